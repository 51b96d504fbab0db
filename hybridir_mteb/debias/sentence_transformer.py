"""Debiasing for users of sentence-transformers, without any evaluation toolkit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from hybridir_mteb._moved import old_names
from hybridir_mteb.debias.detect import check_code
from hybridir_mteb.debias.fitted import FittedDebiaser, Languages, read_fitted
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.kinds import refuse_other_kinds
from hybridir_mteb.errors import DataFormatError, SettingError, quoted
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.paths import with_home

__getattr__ = old_names("debias.sentence_transformer", "adapters.mteb.fit", "fit_debiaser")


def load_debiaser(place: str | Path, revision: str | None = None) -> FittedDebiaser:
    """The debiaser of a debiased encoder, without its base.

    Args:
        place: Name, such as ``hybridir/pocket-base+centre``, or the encoder's folder.
        revision: Fingerprint, or its first characters; of a name only.

    Raises:
        UnknownNameError: There is no such encoder.
        ChecksumError: The statistics are not those of the record.
        DataFormatError: Not a debiased encoder.
    """
    folder = with_home(place)
    encoder = trained.read_encoder(folder) if folder.is_dir() else trained.get(str(place), revision)
    if "debiaser" not in encoder.record:
        raise DataFormatError(
            f"{encoder.name} is a trained encoder and no debiased one; those are named "
            f"{encoder.name}+centre and so on: hybridir debias fit --model {encoder.name}"
        )
    trained.verify(encoder)
    return read_fitted(encoder.path, installed_plugins().debiasers)


class DebiasedSentenceTransformer:
    """A sentence-transformers model whose embeddings are debiased.

    Args:
        model: The model that the debiaser was fitted on.
        fitted: What is applied to its embeddings.

    Raises:
        SettingError: A model that gives no dense vector for each text.
    """

    def __init__(self, model: SentenceTransformer, fitted: FittedDebiaser) -> None:
        refuse_other_kinds(model)
        self.model, self.fitted = model, fitted

    def encode(
        self,
        sentences: str | Sequence[str],
        *,
        languages: Languages = None,
        role: str = "query",
        **kwargs: Any,
    ) -> Any:
        """Like ``SentenceTransformer.encode``, debiased.

        Args:
            sentences: One text or several.
            languages: ISO 639-1 code of all texts, or one for each (None: unknown); by default
                they are detected.
            role: Whose statistics are used: ``query`` or ``document``.
            **kwargs: Of ``SentenceTransformer.encode``.

        Returns:
            What sentence-transformers returns: a vector for one text, else a matrix, as NumPy
            array or tensor; or a list of tensors.

        Raises:
            SettingError: An argument that gives no embeddings of texts in floating point, or a
                string that is no language code. A language without statistics is unknown.
            EmbeddingError: NaN, or another dimension than that of the statistics.
        """
        return self._debiased(self.model.encode, sentences, languages, role, kwargs)

    def encode_query(
        self, sentences: str | Sequence[str], *, languages: Languages = None, **kwargs: Any
    ) -> Any:
        """Like ``SentenceTransformer.encode_query``, debiased; see :meth:`encode`."""
        return self._debiased(self.model.encode_query, sentences, languages, "query", kwargs)

    def encode_document(
        self, sentences: str | Sequence[str], *, languages: Languages = None, **kwargs: Any
    ) -> Any:
        """Like ``SentenceTransformer.encode_document``, debiased; see :meth:`encode`."""
        return self._debiased(self.model.encode_document, sentences, languages, "document", kwargs)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """The model's similarity of all pairs."""
        return self.model.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """The model's similarity of corresponding embeddings."""
        return self.model.similarity_pairwise(embeddings1, embeddings2)

    def _debiased(
        self,
        encode: Callable[..., Any],
        sentences: str | Sequence[str],
        languages: Languages,
        role: str,
        kwargs: dict[str, Any],
    ) -> Any:
        for name, usual in (("output_value", "sentence_embedding"), ("precision", "float32")):
            if kwargs.get(name, usual) not in {None if name == "precision" else usual, usual}:
                raise SettingError(
                    f"{name}={quoted(kwargs[name])} cannot be debiased, only {usual!r}"
                )
        as_tensor = kwargs.pop("convert_to_tensor", False)
        as_array = kwargs.pop("convert_to_numpy", True)
        normalise = kwargs.pop("normalize_embeddings", False)
        single = isinstance(sentences, str)
        texts = [sentences] if isinstance(sentences, str) else list(sentences)
        for code in [languages] if isinstance(languages, str) else set(languages or ()) - {None}:
            check_code(code)
        tensor = encode(texts, convert_to_tensor=True, **kwargs)
        if not texts:  # sentence-transformers gives no dimension
            tensor = tensor.new_zeros((0, self.fitted.dimension))
        numbers = self.fitted.languages_of(texts, languages, role)
        matrix = self.fitted.apply(tensor.float().cpu().numpy(), numbers, role)
        out = torch.from_numpy(matrix).to(tensor.device)
        if normalise:
            out = torch.nn.functional.normalize(out, dim=1)
        found = out.cpu().numpy() if as_array and not as_tensor else out
        if single:
            return found[0]
        return found if as_tensor or as_array else list(found)
