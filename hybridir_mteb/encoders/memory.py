"""Each distinct (prompt, text) is encoded once: within a process and, by the store, across runs.

One :class:`EncodeOnce` belongs to one model object. It keeps a matrix of all vectors seen so far,
asks the store for those it lacks, and has only the rest encoded.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from hybridir_mteb.encoders.cache import EmbeddingStore, text_key
from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.files.progress import progress
from hybridir_mteb.ranking.arrays import BatchEncoder, FloatMatrix, IntArray

Value = TypeVar("Value")


class Embedded(NamedTuple):
    """Embeddings of texts; repeated texts share a row.

    Attributes:
        vectors: (n_distinct, dimension) float32.
        rows: (n_texts,) row of each text.
    """

    vectors: FloatMatrix
    rows: IntArray

    @property
    def matrix(self) -> FloatMatrix:
        """(n_texts, dimension) float32, in the order of the texts."""
        return self.vectors[self.rows]


class EncodeOnce:
    """Vectors of one model, by prompt and text.

    Args:
        store: On-disk store; None keeps vectors in memory only.

    Attributes:
        encoded: Number of texts that the model really encoded.
    """

    def __init__(self, store: EmbeddingStore | None) -> None:
        self._store = store
        self._row: dict[bytes, int] = {}
        self._matrix: FloatMatrix | None = None
        self.encoded = 0

    def embed(
        self, texts: Sequence[str], prompt: str, encode: BatchEncoder, label: str = "encoding"
    ) -> Embedded:
        """Embeddings of texts, repeated ones sharing a row.

        Args:
            texts: Any number of texts, in any order, repetitions allowed.
            prompt: Everything besides the text that the embedding depends on.
            encode: Encodes texts that neither memory nor store have.
            label: Shown beside the progress bar.

        Raises:
            EmbeddingError: The model returned another dimension than before.
        """
        keys = [text_key(prompt, text) for text in texts]
        distinct = dict(zip(keys, texts, strict=True))
        missing = [key for key in distinct if key not in self._row]
        if self._store is not None and missing:
            self._remember(self._store.get(missing))
            missing = [key for key in missing if key not in self._row]
        if missing:
            self._encode(missing, [distinct[key] for key in missing], encode, label)
        if self._matrix is None:
            raise EmbeddingError("there are no texts to encode")
        place = {key: at for at, key in enumerate(distinct)}
        rows = np.fromiter((self._row[key] for key in distinct), np.int64, len(distinct))
        numbers = np.fromiter((place[key] for key in keys), np.int64, len(keys))
        return Embedded(self._matrix[rows], numbers)

    def _encode(
        self, keys: list[bytes], texts: list[str], encode: BatchEncoder, label: str
    ) -> None:
        found: dict[bytes, FloatMatrix] = {}
        widths: set[int] = set()
        done = 0
        # Long texts come first; counting characters keeps the time left honest.
        work = sum(map(len, texts))
        with progress(desc=label, total=work, unit="char", unit_scale=True, leave=False) as bar:
            try:
                for positions, vectors in encode(texts):
                    new = {keys[at]: vectors[i] for i, at in enumerate(positions)}
                    widths.update(map(len, new.values()))
                    self._check(widths)
                    found.update(new)
                    if self._store is not None:
                        self._store.put(new.items())
                    self.encoded += len(positions)
                    done += len(positions)
                    bar.set_postfix_str(f"texts={done}/{len(texts)}", refresh=False)
                    bar.update(sum(len(texts[at]) for at in positions))
            finally:  # an interrupted run keeps what it has
                self._remember(found)
        lost = sum(key not in self._row for key in keys)
        if lost:
            raise EmbeddingError(f"the model returned no embedding for {lost} of {len(keys)} texts")

    def _check(self, widths: set[int]) -> None:
        dimensions = widths | (set() if self._matrix is None else {self._matrix.shape[1]})
        if len(dimensions) > 1:
            raise EmbeddingError(f"embeddings of dimensions {sorted(dimensions)} from one model")

    def _remember(self, vectors: dict[bytes, FloatMatrix]) -> None:
        if not vectors:
            return
        self._check({len(vector) for vector in vectors.values()})
        new = np.stack(list(vectors.values()))
        if self._matrix is None:
            self._matrix = new
        else:
            self._matrix = np.concatenate([self._matrix, new])
        start = len(self._matrix) - len(new)
        self._row.update((key, start + i) for i, key in enumerate(vectors))


class PerModel(Generic[Value]):
    """One value for each model object and each way of using it, freed with the object."""

    def __init__(self) -> None:
        self._found: dict[int, dict[str, tuple[object, Value]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def get(self, model: object, state: object, make: Callable[[], Value], way: str = "") -> Value:
        """The value, made at the first call for a model in its present state.

        Args:
            model: Anything that can be weakly referenced.
            state: State of the model's weights: while it is equal, the value holds.
            make: Computes the value.
            way: Settings under which the model is used, where the value depends on them.
        """
        if id(model) not in self._found:
            self._found[id(model)] = {}
            # It must not keep this alive as long as the model lives.
            weakref.finalize(model, _forget, weakref.ref(self), id(model))
        known = self._found[id(model)]
        if way not in known or known[way][0] != state:
            known[way] = (state, make())
        return known[way][1]


def _forget(values: weakref.ref[PerModel[Any]], model: int) -> None:
    if (found := values()) is not None:
        found._found.pop(model, None)


_ONCE: PerModel[EncodeOnce] = PerModel()


def encode_once_for(
    model: object, variant: str, stamp: str, make_store: Callable[[], EmbeddingStore | None]
) -> EncodeOnce:
    """The :class:`EncodeOnce` of a model object, made at first use and freed with the model.

    See :meth:`PerModel.get`: vectors made in another state of the weights, told by their stamp, are
    forgotten, and the store is opened once for each.
    """
    return _ONCE.get(model, stamp, lambda: EncodeOnce(make_store()), variant)
