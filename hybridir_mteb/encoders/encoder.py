"""What an encoder is to this package; a host's model is wrapped once, at its border."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from hybridir_mteb import paths
from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace
from hybridir_mteb.encoders.memory import Embedded, EncodeOnce, encode_once_for
from hybridir_mteb.errors import plain_logger
from hybridir_mteb.files import digest_of
from hybridir_mteb.ranking.arrays import FloatMatrix, ScoreFunction, Similarity

logger = plain_logger(__name__)

Role = Literal["query", "document"]
Batches = Iterator[tuple[Sequence[int], FloatMatrix]]


class Encoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: For people, such as ``hybridir/pocket-base``.
        host: The object that is wrapped; what is kept in memory is forgotten with it.
    """

    name: str
    host: object

    @property
    @abstractmethod
    def similarity(self) -> Similarity | ScoreFunction:
        """Cosine, dot product, or a function of two matrices of embeddings."""
        ...

    @abstractmethod
    def identity(self, role: Role) -> str | None:
        """Digest of all that a vector depends on besides text and language.

        None if something that it depends on cannot be seen: such vectors are never stored.
        """
        ...

    @abstractmethod
    def state(self) -> str:
        """What changes when weights are trained or merged in place, or settings are changed."""
        ...

    @abstractmethod
    def use(self, role: Role) -> str:
        """All that a vector depends on besides weights, text and language, as one string."""
        ...

    @abstractmethod
    def embed(
        self, texts: Sequence[str], role: Role, languages: Sequence[str | None] | None = None
    ) -> Embedded:
        """Embeddings of texts, each distinct one encoded once.

        Args:
            texts: The texts, repetitions allowed.
            role: Whether they are queries or documents.
            languages: ISO 639-1 code of each text, None where it is unknown; without codes they
                are detected where they matter.

        Raises:
            EmbeddingError: An embedding is missing, not finite, or of another dimension.
        """
        ...

    @abstractmethod
    def batches(self, texts: Sequence[str], role: Role) -> Batches:
        """Positions and embeddings, batch by batch in any order; nothing is kept."""
        ...


def ways(encoder: Encoder) -> tuple[str, ...]:
    """What changes when anything does that queries, passages or their scores depend on."""
    return encoder.state(), encoder.use("query"), encoder.use("document")


class TextEncoder(Encoder):
    """An encoder whose vectors depend on role and text alone; memory and store keep them.

    Attributes:
        variant: Settings besides weights, prompt and text that change embeddings.
        stamp: Cheap digest of the weights.
        label: Shown beside progress bars.
        keep: Whether embeddings stay in memory and in the store.
        width: Of the embeddings, if it is known before anything is encoded.
    """

    variant: str
    stamp: str
    label: str
    keep: bool = True
    width: int | None = None

    @property
    @abstractmethod
    def namespace(self) -> Namespace | None:
        """All that embeddings depend on besides prompt and text; None if it cannot be seen."""

    @abstractmethod
    def prompt(self, role: Role) -> str:
        """Everything besides weights and text that an embedding in a role depends on."""

    def state(self) -> str:
        """Settings and weights, as far as they can be told cheaply."""
        return f"{self.variant}|{self.stamp}"

    def use(self, role: Role) -> str:
        """Settings and prompt."""
        return f"{self.variant}|{self.prompt(role)}"

    def identity(self, role: Role) -> str | None:
        """Digest of weights, settings and prompt; None if the weights cannot be seen."""
        namespace = self.namespace
        if namespace is None:
            return None
        known = json.dumps(vars(replace(namespace, label="")), sort_keys=True)
        return digest_of(known, self.prompt(role))

    @property
    def once(self) -> EncodeOnce:
        """The memory of the wrapped object; the same for all tasks of a run."""
        if not self.keep:
            return EncodeOnce(None)
        return encode_once_for(self.host, self.variant, self.stamp, self._open_store)

    def embed(
        self, texts: Sequence[str], role: Role, languages: Sequence[str | None] | None = None
    ) -> Embedded:
        """See :meth:`Encoder.embed`; from memory and store, and languages play no part."""
        label = f"{self.label} {role}"
        return self.once.embed(texts, self.prompt(role), lambda t: self.batches(t, role), label)

    def _open_store(self) -> EmbeddingStore | None:
        """The store, if all that the embeddings depend on can be seen; else memory only."""
        if not paths.embedding_store_enabled():
            return None
        namespace = self.namespace
        if namespace is None:
            logger.info("%s has no fingerprint: its embeddings stay in memory only", self.name)
            return None
        folder, limit = paths.embedding_store_dir(), paths.embedding_store_limit()
        return EmbeddingStore(folder, namespace, limit, self.width)
