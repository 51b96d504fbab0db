"""A debiased encoder: another encoder, and what is applied to its embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hybridir_mteb._moved import old_names
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.encoders.encoder import Encoder, Role
from hybridir_mteb.encoders.memory import Embedded
from hybridir_mteb.files import digest_of
from hybridir_mteb.ranking.arrays import FloatMatrix, ScoreFunction, Similarity

__getattr__ = old_names(
    "debias.encoder",
    "adapters.mteb.load adapters.mteb.fit adapters.mteb.metas",
    "SEPARATOR check_names debiased_metas debiased_name load_debiased",
)


class Debiased:
    """An encoder whose embeddings are debiased by the language of each text.

    Texts are encoded, and stored, as the base does it.

    Args:
        base: The encoder whose embeddings are debiased.
        fitted: What is applied to them.
        host: The object that is wrapped; by default the base's.
        name: For people; by default the base's and the debiaser's.
        among: Codes of the languages that texts of unknown language may be in; by default any.
    """

    def __init__(
        self,
        base: Encoder,
        fitted: FittedDebiaser,
        host: object = None,
        name: str = "",
        among: Sequence[str] = (),
    ) -> None:
        self.base, self.fitted, self.among = base, fitted, among
        self.host = base.host if host is None else host
        self.name = name or f"{base.name}+{fitted.debiaser.name}"

    @property
    def similarity(self) -> Similarity | ScoreFunction:
        """The base's similarity."""
        return self.base.similarity

    def changes(self, role: Role) -> bool:
        """Whether embeddings in a role are changed at all."""
        return self.fitted.changes(role)

    def identity(self, role: Role) -> str | None:
        """Digest of the base's identity and of method, statistics and options."""
        below = self.base.identity(role)
        if below is None or not self.changes(role):
            return below
        return digest_of(below, self.fitted.fingerprint)

    def state(self) -> str:
        """The base's state: statistics do not change."""
        return self.base.state()

    def use(self, role: Role) -> str:
        """The base's settings and prompt, and the statistics."""
        return f"{self.base.use(role)}|{self.fitted.fingerprint if self.changes(role) else ''}"

    def embed(
        self, texts: Sequence[str], role: Role, languages: Sequence[str | None] | None = None
    ) -> Embedded:
        """Embeddings of texts; texts share a row if they are equal and in one language.

        Args:
            texts: The texts, repetitions allowed.
            role: Whether they are queries or documents.
            languages: ISO 639-1 code of each text, None where it is unknown; without codes they
                are detected if the debiaser needs them.

        Raises:
            EmbeddingError: An embedding is missing, not finite, or of another dimension.
            SettingError: Another number of languages than of texts.
        """
        below = self.base.embed(texts, role, languages)
        numbers = self.fitted.languages_of(texts, languages, role, self.among)
        width = len(self.fitted.languages) + 1
        pairs, rows = np.unique(below.rows * width + numbers + 1, return_inverse=True)
        vectors = below.vectors[pairs // width]
        return Embedded(self.fitted.apply(vectors, pairs % width - 1, role), rows)

    def batches(
        self, texts: Sequence[str], role: Role
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Positions and debiased embeddings, batch by batch; languages are detected."""
        numbers = self.fitted.languages_of(texts, None, role, self.among)
        for positions, vectors in self.base.batches(texts, role):
            yield positions, self.fitted.apply(vectors, numbers[list(positions)], role)
