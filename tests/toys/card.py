"""The card of made-up collections."""

from hybridir_mteb.plugins.specs import CollectionCard

CARD = CollectionCard(
    description="Toy.",
    reference="https://example.org",
    dataset="toy/toy",
    revision="1",
    license="cc0-1.0",
    date=("2026-01-01", "2026-01-02"),
    domains=("Written",),
)
