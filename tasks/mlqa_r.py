"""MLQA-R: 7 languages, each question in 2 to 4 of them (Roy et al. 2020, LAReQA)."""

from __future__ import annotations

from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec
from hybridir_mteb.tasks.lareqa import CITATION, REFERENCE, REPOSITORY, loader, upstream_files

COMMIT = "354d67d1cd066854cdfbf5ad0e6105528976141d"  # later commits dropped the folder
SHA256 = {
    "ar": "2132fbc03208535c0fe01f2e2c5121d06f9c2aa799af93b0a719dbc105bdf137",
    "de": "ce9454dc5aa6f2d85c23cd6e49cb367fbb7c4c6e62d7f71e355c6b5dae4d0886",
    "en": "fedd9a5cc0848dda80caf84aa36f482adaae230526a3f6e9e86926a93ef3b1e4",
    "es": "70ecba276b8c96a692b120693a595d076ce94ad21d4b28311538a9fcbfe0f9d7",
    "hi": "4dd0fb3c06f737a5481d705bc1dcac7876712a5815c9265908fbb3a0696cb654",
    "vi": "9d3baff6ba03e6793b25594217265ea59a136b9733833dca8a9582a84a78ff85",
    "zh": "57f01d2fff50cf3392805635b01445339f225ad5bf28ba8443b12f8dbd1e69dc",
}
FILES = upstream_files("mlqa-r", COMMIT, SHA256)

MLQA_R = CollectionSpec(
    name="MLQAR",
    languages=tuple(sorted(SHA256)),
    load=loader("MLQAR", FILES),
    files=tuple(FILES.values()),
    split="validation",
    card=CollectionCard(
        description=(
            "MLQA-R turns the partly parallel questions of MLQA dev into retrieval: find the "
            "sentence that holds the answer. Research use only: the licence file beside the data "
            "is CC BY-NC 4.0, MLQA's own text is CC BY-SA 3.0."
        ),
        reference=REFERENCE,
        dataset=REPOSITORY,
        revision=COMMIT,
        license="cc-by-nc-4.0",
        date=("2019-01-01", "2020-04-11"),
        domains=("Encyclopaedic", "Written"),
        citation=CITATION,
        sample_creation="found",
        adapted_from=("MLQARetrieval",),
    ),
)
