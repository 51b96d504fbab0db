"""What BEIR's users need: encoders for BEIR's own classes, and searches that work with it.

The names are resolved at first use. :class:`BeirEncoder` needs no BEIR; the searches do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridir_mteb.adapters.beir.encoder import BeirEncoder
    from hybridir_mteb.adapters.beir.faiss import (
        FlatIPFaissSearch,
        HNSWFaissSearch,
        PQFaissSearch,
        SQFaissSearch,
    )
    from hybridir_mteb.adapters.beir.search import ExactSearch

__all__ = [
    "BeirEncoder",
    "ExactSearch",
    "FlatIPFaissSearch",
    "HNSWFaissSearch",
    "PQFaissSearch",
    "SQFaissSearch",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = {"BeirEncoder": "encoder", "ExactSearch": "search"}.get(name, "faiss")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
