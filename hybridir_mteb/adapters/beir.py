"""What BEIR's users need: encoders for BEIR's own classes, and searches that work with it.

The names are resolved at first use. :class:`BeirEncoder` needs no BEIR; the searches do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybridir_mteb.adapters.beir_encoder import BeirEncoder
    from hybridir_mteb.adapters.beir_faiss import (
        FlatIPFaissSearch,
        HNSWFaissSearch,
        PQFaissSearch,
        SQFaissSearch,
    )
    from hybridir_mteb.adapters.beir_search import ExactSearch

_MODULES = {
    "BeirEncoder": "beir_encoder",
    "ExactSearch": "beir_search",
    "FlatIPFaissSearch": "beir_faiss",
    "HNSWFaissSearch": "beir_faiss",
    "PQFaissSearch": "beir_faiss",
    "SQFaissSearch": "beir_faiss",
}

__all__ = [
    "BeirEncoder",
    "ExactSearch",
    "FlatIPFaissSearch",
    "HNSWFaissSearch",
    "PQFaissSearch",
    "SQFaissSearch",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"hybridir_mteb.adapters.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
