"""Debiasing around any MTEB encoder, by the language of each text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import mteb
import numpy as np
from mteb.models import EncoderProtocol, SearchProtocol
from mteb.models.abs_encoder import AbsEncoder
from mteb.types import PromptType

from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.collections.languages import LANGUAGES
from hybridir_mteb.debias.detect import MACRO, detect, iso_639
from hybridir_mteb.debias.fitted import FittedDebiaser, Languages
from hybridir_mteb.errors import EmbeddingError, SettingError
from hybridir_mteb.plugins.specs import ROLES
from hybridir_mteb.ranking.arrays import FloatArray, FloatMatrix, IntArray

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from torch.utils.data import DataLoader

# Text that statistics are estimated on belongs to no task. It is encoded with the prompts of a
# retrieval task that ships with the package: a model's own prompts for retrieval.
FITTING_TASK = "PocketQARMultilingualRetrieval"


@lru_cache(maxsize=1)
def _short_codes() -> dict[str, str]:
    """ISO 639-3 -> ISO 639-1."""
    own = {entry.mteb_code.split("-")[0]: code for code, entry in LANGUAGES.items()}
    return {**{long: short for short, long in iso_639().items()}, **MACRO, **own}


def task_languages(metadata: TaskMetadata, subset: str) -> tuple[str, ...]:
    """Codes of a subset's languages, sorted; empty if the task does not tell.

    ISO 639-1 where there is one, else MTEB's own; scripts do not count.
    """
    codes = metadata.hf_subsets_to_langscripts.get(subset, [])
    long = (str(code).partition("-")[0] for code in codes)
    return tuple(sorted({_short_codes().get(code, code) for code in long}))


class DebiasedEncoder(AbsEncoder):
    """An MTEB encoder whose embeddings are debiased by the language of each text.

    The language is that of the task's subset if it has one; among several, and where the task
    does not tell, it is detected. What happens to an unknown language is the debiaser's matter.
    Symmetric tasks, which have no role, are debiased as queries.

    Args:
        undebiased: Any MTEB encoder.
        fitted: What is applied to its embeddings.
        revision: Fingerprint of statistics and base, if it is known only once they are loaded; it
            replaces the one in the metadata that MTEB hands over.

    Raises:
        SettingError: Not an encoder, or one that searches by itself.
    """

    def __init__(
        self, undebiased: Any, fitted: FittedDebiaser, *, revision: str | None = None
    ) -> None:
        check_encoder(undebiased)
        self._revision = revision
        self.undebiased = undebiased
        self.fitted = fitted
        self.model_prompts = getattr(undebiased, "model_prompts", None)

    def __setattr__(self, name: str, value: Any) -> None:
        # A name that was registered before the fit has no revision in MTEB's metadata.
        if name == "mteb_model_meta" and self._revision is not None and value is not None:
            value = value.model_copy(update={"revision": self._revision})
        super().__setattr__(name, value)

    def debias(self, vectors: FloatArray, languages: Languages, role: str) -> FloatMatrix:
        """(n, dimension) debiased embeddings; see :class:`FittedDebiaser`."""
        return self.fitted(vectors, languages, role)

    def debias_distinct(
        self,
        undebiased: tuple[FloatMatrix, IntArray],
        texts: Sequence[str],
        languages: Sequence[str | None] | None,
        role: PromptType,
        call: mteb_embed.EncodeCall,
    ) -> tuple[FloatMatrix, IntArray]:
        """Debias embeddings whose repeated texts share a row.

        Args:
            undebiased: (n_distinct, dimension) embeddings and (n_texts,) row of each text.
            texts: The texts.
            languages: Code of each text; None takes the task's, or detects them.
            role: Query or document.
            call: MTEB's arguments.

        Returns:
            (n_pairs, dimension) embeddings, one for each distinct text and language, and the row
            of each text.
        """
        vectors, rows = undebiased
        if languages is None:
            numbers = self.language_numbers(texts, call.metadata, call.subset, role)
        else:
            numbers = self.fitted.numbers(languages, len(texts))
        width = len(self.fitted.languages) + 1
        pairs, rows = np.unique(rows * width + numbers + 1, return_inverse=True)
        return self.fitted.apply(vectors[pairs // width], pairs % width - 1, role.value), rows

    def language_numbers(
        self, texts: Sequence[str], metadata: TaskMetadata, subset: str, role: PromptType
    ) -> IntArray:
        """(n_texts,) language numbers by the rule above; all -1 where nothing depends on them."""
        if not self.fitted.needs_languages(role.value):
            return self.fitted.numbers(None, len(texts))
        codes = task_languages(metadata, subset)
        if len(codes) == 1:
            return self.fitted.numbers(codes[0], len(texts))
        distinct = list(dict.fromkeys(texts))
        found = dict(zip(distinct, detect(distinct, among=codes), strict=True))
        return self.fitted.numbers([found[text] for text in texts], len(texts))

    def encode(
        self,
        inputs: DataLoader[Any],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **encode_kwargs: Any,
    ) -> FloatMatrix:
        """(n, dimension) float32 debiased embeddings in input order.

        Raises:
            EmbeddingError: The encoder gives no vector of the statistics' dimension for each text.
        """
        role = prompt_type or PromptType.query
        by_language = self.fitted.needs_languages(role.value)
        if by_language and isinstance(inputs, Iterator):
            inputs = list(inputs)  # type: ignore[assignment]  # read twice: by the encoder and here
        output = self.undebiased.encode(
            inputs,
            task_metadata=task_metadata,
            hf_split=hf_split,
            hf_subset=hf_subset,
            prompt_type=prompt_type,
            **encode_kwargs,
        )
        vectors = mteb_embed.as_matrix(output, self.undebiased)
        texts = [t for batch in inputs for t in batch.get("text", ())] if by_language else []
        if len(texts) not in {0, len(vectors)}:
            raise EmbeddingError(
                f"{type(self.undebiased).__name__}.encode returned {len(vectors)} embeddings for "
                f"{len(texts)} texts"
            )
        texts = texts or [""] * len(vectors)  # pictures and sounds have no language
        numbers = self.language_numbers(texts, task_metadata, hf_subset, role)
        return self.fitted.apply(vectors, numbers, role.value)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The undebiased encoder's similarity of all pairs."""
        return self.undebiased.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The undebiased encoder's similarity of corresponding embeddings."""
        return self.undebiased.similarity_pairwise(embeddings1, embeddings2)


def check_encoder(model: Any) -> None:
    """Refuse what has no embeddings to debias.

    Raises:
        SettingError: Not an encoder, or one that searches by itself.
    """
    if not isinstance(model, EncoderProtocol) or isinstance(model, SearchProtocol):
        raise SettingError(
            f"{type(model).__name__} cannot be debiased: it must be an encoder with one vector for "
            "each text, and no model that searches or reranks by itself"
        )


def embed_for_fitting(
    model: Any, texts: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, FloatMatrix]]:
    """Embeddings of the same texts in both roles, through memory and store as in evaluation.

    Args:
        model: An MTEB encoder.
        texts: Language -> texts.

    Returns:
        Role -> language -> (n_texts, dimension).
    """
    register()  # the task is ours, and the autoload hook may be off
    metadata = mteb.get_task(FITTING_TASK).metadata
    codes = [code for code, lines in texts.items() for _ in lines]
    flat = [line for lines in texts.values() for line in lines]
    places = {code: [at for at, other in enumerate(codes) if other == code] for code in texts}
    found = {}
    for role in ROLES:
        call = mteb_embed.EncodeCall(metadata, "test", "en", {"batch_size": 32}, label="statistics")
        vectors, rows = mteb_embed.embed(model, flat, PromptType(role), call, codes)
        found[role] = {code: vectors[rows[at]] for code, at in places.items()}
    return found
