"""Any encoder for BEIR's own classes: ``encode_queries`` and ``encode_corpus``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from hybridir_mteb.adapters.beir.saved import Corpus, normalised, passage_texts, query_texts
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, MtebEncoder, of_mteb
from hybridir_mteb.adapters.mteb.fit import FITTING_TASK
from hybridir_mteb.adapters.mteb.load import encoder_of
from hybridir_mteb.adapters.mteb.register import register, task_metadata_of
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.debias.encoder import Debiased
from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.errors import SettingError

# What BEIR passes and sentence-transformers takes; a typing error must not pass unseen.
_OPTIONS = {"show_progress_bar", "convert_to_tensor", "convert_to_numpy", "normalize_embeddings"}


class BeirEncoder:
    """An encoder as BEIR's searches want it, for instance ``DenseRetrievalExactSearch``.

    Each distinct text is encoded once, in batches by token budget, and kept in the embedding
    store: the same vectors as in MTEB. The encoder's own prompts are applied.

    Args:
        model: Name of an encoder, ours or any that MTEB knows (``hybridir/pocket-hybrid``,
            ``hybridir/pocket-base+leace``); the folder of a sentence-transformers model; or a
            model object: an MTEB encoder, a ``SentenceTransformer`` or a debiased one.
        language: ISO 639-1 code of all texts, for debiased encoders; by default it is detected.
        task: Name of the MTEB task whose instructions an encoder gets that has one for each; by
            default those for retrieval in general.
        keep: Whether embeddings stay in memory and, of encoders that can be told apart, in the
            embedding store. With False, for corpora of millions, each call encodes anew.

    Raises:
        UnknownNameError: An unknown language code, or a name of this package without an encoder.
        DataUnavailableError: The model cannot be had.
        SettingError: A model that searches or reranks by itself.
    """

    def __init__(
        self, model: Any, *, language: str | None = None, task: str | None = None, keep: bool = True
    ) -> None:
        register()  # names are ours, too, and the autoload hook may be off
        if language is not None:
            check_language(language)
        self.language, self.keep = language, keep
        self.model = encoder_of(model)
        # No subset of the task has this name: its languages are not those of BEIR's texts.
        metadata = task_metadata_of(task or FITTING_TASK)
        self._call = EncodeCall(metadata, "test", "", {}, label="BEIR")

    def encode_queries(self, queries: Sequence[str], batch_size: int = 16, **options: Any) -> Any:
        """Embeddings of queries.

        Args:
            queries: Texts of the queries.
            batch_size: For encoders that do not batch by token budget.
            **options: ``convert_to_tensor`` and ``normalize_embeddings``; BEIR's others change
                nothing.

        Returns:
            (n_queries, dimension) float32 in input order: a NumPy array, or a tensor on the CPU.

        Raises:
            SettingError: An option that is not known.
            EmbeddingError: NaN, infinity, or no text at all.
        """
        return self._encode(query_texts(queries), "query", batch_size, options)

    def encode_corpus(self, corpus: Corpus, batch_size: int = 8, **options: Any) -> Any:
        """Embeddings of passages; title and text are joined as MTEB and BEIR do it.

        Args:
            corpus: Rows with ``text`` and perhaps ``title``, columns of these names, or texts.
            batch_size: For encoders that do not batch by token budget.
            **options: As of :meth:`encode_queries`.

        Returns:
            (n_passages, dimension) float32 in input order, as of :meth:`encode_queries`.

        Raises:
            DataFormatError: A row without text.
            SettingError: An option that is not known.
            EmbeddingError: NaN, infinity, or no text at all.
        """
        return self._encode(passage_texts(corpus), "document", batch_size, options)

    def embedding_key(self, role: Role) -> str | None:
        """All that the embeddings of one role depend on besides the text; None if unknown.

        Args:
            role: ``query`` or ``document``.
        """
        # What lies in files outlives what memory knows of the weights.
        encoder: Any = of_mteb(self.model, replace(self._call, keep=False))
        debiasers = []
        while isinstance(encoder, Debiased):
            debiasers.append(encoder.fitted.fingerprint)
            encoder = encoder.base
        namespace = encoder.namespace
        if namespace is None:
            return None
        return repr([namespace, encoder.prompt(role), debiasers, debiasers and self.language])

    def start_multi_process_pool(self, target_devices: Sequence[str] | None = None) -> Any:
        """Start processes that encode; of a script, only under ``if __name__ == "__main__"``.

        Args:
            target_devices: One process for each, such as ``["cpu", "cpu"]`` or
                ``["cuda:0", "cuda:1"]``; by default all GPUs, or four processes on the CPU.

        Raises:
            SettingError: The encoder is no sentence-transformers model.
        """
        devices = None if target_devices is None else list(target_devices)
        return self._base().network().start_multi_process_pool(devices)

    def stop_multi_process_pool(self, pool: Any) -> None:
        """End the processes."""
        self._base().network().stop_multi_process_pool(pool)

    def encode_queries_parallel(
        self, queries: Sequence[str], pool: Any, batch_size: int = 16, **options: Any
    ) -> Any:
        """Like :meth:`encode_queries`, shared out over the processes of a pool."""
        return self._encode(query_texts(queries), "query", batch_size, options, pool)

    def encode_corpus_parallel(
        self,
        corpus: Corpus,
        pool: Any,
        batch_size: int = 8,
        chunk_id: int | None = None,
        **options: Any,
    ) -> Any:
        """Like :meth:`encode_corpus`, shared out over the processes of a pool.

        BEIR's own method returns nothing and leaves chunk ``chunk_id`` in the pool's queue; this
        one returns the embeddings, so ``chunk_id`` plays no part.
        """
        return self._encode(passage_texts(corpus), "document", batch_size, options, pool)

    def _encode(
        self,
        texts: list[str],
        role: Role,
        batch_size: int,
        options: Mapping[str, Any],
        pool: Any = None,
    ) -> Any:
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise SettingError(
                f"{', '.join(unknown)}: not an option of BeirEncoder, which takes "
                f"{', '.join(sorted(_OPTIONS))}; the encoder's own prompts are always applied"
            )
        kwargs = {"batch_size": batch_size}
        call = replace(self._call, encode_kwargs=kwargs, pool=pool, keep=self.keep)
        languages = None if self.language is None else [self.language] * len(texts)
        if pool is not None:
            self._base().network()
        matrix = normalised(of_mteb(self.model, call).embed(texts, role, languages).matrix, options)
        return torch.from_numpy(matrix) if options.get("convert_to_tensor") else matrix

    def _base(self) -> MtebEncoder:
        """The encoder that computes, beneath what debiases it."""
        encoder: Any = of_mteb(self.model, self._call)
        while isinstance(encoder, Debiased):
            encoder = encoder.base
        return cast("MtebEncoder", encoder)
