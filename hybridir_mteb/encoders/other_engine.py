"""Engines that compute in place of the network, each once it was compared with the network."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from hybridir_mteb import paths
from hybridir_mteb.collections.readers.jsonl import read_jsonl
from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.sentence import role_prompt
from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.errors import EmbeddingError, SettingError
from hybridir_mteb.ranking.arrays import FloatMatrix

FOLDER = paths.DATA / "pocketqa-r"
ROLES: tuple[Role, ...] = ("query", "document")
COMPARED = 64  # texts
LONG = 8  # of them are longer than the input of most encoders
LEAST = {Precision.FP32: 0.9999, Precision.BF16: 0.999}  # cosine


class OtherEngine(TokenBudgetEncoder):
    """What the engines have in common.

    Attributes:
        asked: What a user asks for it by.
        label: Its name in messages.
    """

    asked: ClassVar[str]
    label: ClassVar[str]

    def by_model(self, texts: Any, prompt: str | None, role: Role | None, **arguments: Any) -> Any:
        """Refused: these arguments are those of the model's own ``encode``.

        Raises:
            SettingError: Always.
        """
        told = ", ".join(sorted(arguments)) or "a model that makes its batches itself"
        raise SettingError(f"engine={self.asked} does not know {told} of encode")

    def reference(self) -> FloatMatrix:
        """(n, dimension) embeddings of the compared texts by the network itself."""
        network = TokenBudgetEncoder(
            self.model, precision=self.precision, token_budget=self.token_budget
        )
        return self._vectors_of(network)

    def _vectors_of(self, engine: TokenBudgetEncoder) -> FloatMatrix:
        found = [
            engine.encode(texts_to_compare(role), role_prompt(self.model, role) or "", role)
            for role in ROLES
        ]
        return np.concatenate(found)

    def check(self, reference: FloatMatrix) -> None:
        """Refuse this engine unless its vectors are the network's.

        Args:
            reference: Those of the network.

        Raises:
            SettingError: They are not.
        """
        try:
            found = self._vectors_of(self)
        except EmbeddingError as error:
            raise SettingError(
                f"{self.label} does not give the encoder's vectors ({error}): leave engine out"
            ) from error
        check_parity(reference, found, self.precision, self.label)


def texts_to_compare(role: Role) -> list[str]:
    """Half of the compared texts: questions or passages of PocketQA-R in its languages."""
    found = read_jsonl("PocketQAR", FOLDER, sorted(path.stem for path in FOLDER.glob("*.jsonl")))
    several = [
        [one.text for one in (part.queries if role == "query" else part.passages)]
        for part in found.parts.values()
    ]
    half, count = COMPARED // 2, len(several)
    texts = [several[at % count][at] for at in range(half)]
    for at in range(LONG // 2):
        texts[-1 - at] = " ".join(several[at])
    return texts


def check_parity(
    reference: FloatMatrix, found: FloatMatrix, precision: Precision, engine: str
) -> None:
    """Refuse vectors that are not the reference's.

    Args:
        reference: (n, dimension) of the network itself.
        found: Those of the engine for the same texts.
        precision: Which decides how close they must be.
        engine: Its name, for the message.

    Raises:
        SettingError: They are not; the text that is farthest is named by its number, from 1.
    """
    least = LEAST[precision]
    if reference.shape != found.shape:
        raise SettingError(f"{engine} gives vectors of shape {found.shape}, not {reference.shape}")
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(found, axis=1)
    cosines = np.nan_to_num((reference * found).sum(axis=1) / norms, nan=-1.0)
    worst = int(cosines.argmin())
    if cosines[worst] < least:
        raise SettingError(
            f"{engine} does not give the encoder's vectors in {precision}: text {worst + 1} of "
            f"{len(cosines)} has cosine {cosines[worst]:.5f} with the reference, and {least} is "
            f"the least: leave engine out, or take another version of {engine} or precision"
        )
