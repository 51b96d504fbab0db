"""Research code: encoders of the store and backbones, embedding each text once, across runs too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import RESULTS

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import ParallelCollection, passage_text
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace
from hybridir_mteb.encoders.load import load_backbone, load_sentence_transformer
from hybridir_mteb.encoders.memory import EncodeOnce
from hybridir_mteb.encoders.network import freeze_in_bf16
from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.settings import Context

ROOT = RESULTS.parent.parent
ENCODING = ("hybridir_mteb/encoders/**/*.py", "docs/experiments/embedder.py")
ALL_CODE = ("hybridir_mteb/**/*.py", "tasks/*.py", "docs/experiments/*.py")
STORE_BYTES = 20 * 10**9
Vectors = dict[str, np.ndarray]  # language -> (n, dimension)


def code_hash(patterns: Iterable[str] = ALL_CODE) -> str:
    """Of the package and these scripts: results of other code are not used again."""
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fingerprint(backbone: str, folder: Path | None) -> str:
    """What tells an encoder, or a backbone where there is no folder, from all others."""
    if folder is not None:
        return trained.read_encoder(folder).fingerprint
    return str(installed_plugins().backbones[backbone].sha256)


def load(backbone: str, folder: Path | None) -> Any:
    """The model of an encoder in a folder, or of the backbone where there is none."""
    backbones = installed_plugins().backbones
    if folder is None:
        return load_backbone(backbones[backbone], device=device())
    encoder = trained.read_encoder(folder)
    return load_sentence_transformer(encoder, backbones.__getitem__, device=device())


class Embedder:
    """Embeds each distinct text of a role once.

    Args:
        model: A sentence-transformers model.
        precision: Arithmetic of the forward pass.
        fingerprint: Of the model: embeddings are kept under it, by arithmetic, device, torch and
            the code that encodes; None keeps none.
    """

    def __init__(
        self, model: Any, precision: Precision = Precision.BF16, fingerprint: str | None = None
    ) -> None:
        model.requires_grad_(False)
        if precision is Precision.BF16:
            freeze_in_bf16(model)
        self._encoder = TokenBudgetEncoder(model, precision=precision)
        self._prompts = model.prompts
        kept = None
        if fingerprint is not None:
            decides = (precision, model.device.type, torch.__version__, code_hash(ENCODING))
            longest = int(model.max_seq_length or 0)
            dtype = str(next(model.parameters()).dtype)
            space = Namespace(fingerprint, longest, dtype, "experiment", " ".join(decides))
            kept = EmbeddingStore(paths.model_store_dir() / ".embedded", space, STORE_BYTES)
        self._once = EncodeOnce(kept)

    def __call__(self, texts: list[str], role: str, label: str) -> np.ndarray:
        """(n, dimension) embeddings."""
        prompt = self._prompts[role] or ""
        return self._once.embed(
            texts, prompt, lambda missing: self._encoder.batches(missing, prompt), label
        ).matrix


def embed(name: str, embedder: Embedder, languages: tuple[str, ...] = ()) -> tuple[Any, ...]:
    """A collection, and its queries and passages by language.

    Args:
        name: Of the collection.
        embedder: Embeds texts.
        languages: By default all of the collection.
    """
    spec = installed_plugins().collections[name]
    collection = spec.load(languages or spec.languages)
    return collection, *embed_all(collection, embedder)


def embed_all(
    collection: ParallelCollection, embedder: Callable[[list[str], str, str], np.ndarray]
) -> tuple[Vectors, Vectors]:
    """Queries and passages of a collection, by language.

    Args:
        collection: The collection.
        embedder: Texts, their role and a label -> (n, dimension).
    """
    queries: Vectors = {}
    passages: Vectors = {}
    for code, part in collection.parts.items():
        label = f"{collection.name} {code}"
        texts = [passage_text(part, at, Context.SENTENCE) for at in range(len(part.passages))]
        passages[code] = embedder(texts, "document", f"{label} passages")
        asked = [query.text for query in part.queries]
        queries[code] = embedder(asked, "query", f"{label} queries")
    return queries, passages


def debias(fitted: Callable[..., np.ndarray], sides: Iterable[Vectors]) -> list[Vectors]:
    """Queries and passages by language, debiased.

    Args:
        fitted: A fitted debiaser.
        sides: Queries, passages.
    """
    return [
        {code: fitted(vectors, code, role) for code, vectors in side.items()}
        for side, role in zip(sides, ("query", "document"), strict=True)
    ]
