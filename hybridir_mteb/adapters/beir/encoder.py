"""Any encoder for BEIR's own classes: ``encode_queries`` and ``encode_corpus``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mteb
import torch
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer

from hybridir_mteb.adapters.beir.saved import Corpus, normalised, passage_texts
from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.adapters.mteb.debias import FITTING_TASK, DebiasedEncoder, check_encoder
from hybridir_mteb.adapters.mteb.encoder import SentenceEncoder
from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.debias.sentence_transformer import DebiasedSentenceTransformer
from hybridir_mteb.errors import SettingError
from hybridir_mteb.ranking.arrays import BatchEncoder, FloatMatrix

# What BEIR passes and sentence-transformers takes; a typing error must not pass unseen.
_OPTIONS = {
    "show_progress_bar",
    "convert_to_tensor",
    "convert_to_numpy",
    "normalize_embeddings",
}


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
        self,
        model: Any,
        *,
        language: str | None = None,
        task: str | None = None,
        keep: bool = True,
    ) -> None:
        register()  # names are ours, too, and the autoload hook may be off
        if language is not None:
            check_language(language)
        self.language, self.keep = language, keep
        self.model = _encoder(model)
        # No subset of the task has this name: its languages are not those of BEIR's texts.
        metadata = mteb.get_task(task or FITTING_TASK).metadata
        self._call = mteb_embed.EncodeCall(metadata, "test", "", {}, label="BEIR")

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
        return self._encode(list(queries), PromptType.query, batch_size, options)

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
        return self._encode(passage_texts(corpus), PromptType.document, batch_size, options)

    def embedding_key(self, role: str) -> str | None:
        """All that the embeddings of one role depend on besides the text; None if unknown.

        Args:
            role: ``query`` or ``document``.
        """
        base, debiasers = self.model, []
        while hasattr(base, "undebiased"):
            debiasers.append(base.fitted.fingerprint)
            base = base.undebiased
        namespace = mteb_embed.namespace_of(base, self._call.variant(base))
        if namespace is None:
            return None
        signature = mteb_embed.prompt_signature(base, PromptType(role), self._call)
        return repr([namespace, signature, debiasers, debiasers and self.language])

    def start_multi_process_pool(self, target_devices: Sequence[str] | None = None) -> Any:
        """Start processes that encode; of a script, only under ``if __name__ == "__main__"``.

        Args:
            target_devices: One process for each, such as ``["cpu", "cpu"]`` or
                ``["cuda:0", "cuda:1"]``; by default all GPUs, or four processes on the CPU.

        Raises:
            SettingError: The encoder is no sentence-transformers model.
        """
        return self._network().start_multi_process_pool(
            None if target_devices is None else list(target_devices)
        )

    def stop_multi_process_pool(self, pool: Any) -> None:
        """End the processes."""
        self._network().stop_multi_process_pool(pool)

    def encode_queries_parallel(
        self, queries: Sequence[str], pool: Any, batch_size: int = 16, **options: Any
    ) -> Any:
        """Like :meth:`encode_queries`, shared out over the processes of a pool."""
        return self._encode(list(queries), PromptType.query, batch_size, options, pool)

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
        return self._encode(passage_texts(corpus), PromptType.document, batch_size, options, pool)

    def _encode(
        self,
        texts: list[str],
        role: PromptType,
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
        call = mteb_embed.EncodeCall(
            self._call.metadata, "test", "", {"batch_size": batch_size}, label="BEIR"
        )
        languages = None if self.language is None else [self.language] * len(texts)
        encode = None if pool is None else self._pool_encoder(pool, role, call)
        vectors, rows = mteb_embed.embed(
            self.model, texts, role, call, languages, encode=encode, keep=self.keep
        )
        matrix = normalised(vectors[rows], options)
        return torch.from_numpy(matrix) if options.get("convert_to_tensor") else matrix

    def _network(self) -> SentenceTransformer:
        base = mteb_embed.undebiased(self.model)
        network = mteb_embed.module_of(base)
        known = type(base) in {SentenceEncoder, SentenceTransformerEncoderWrapper}
        if not known or not isinstance(network, SentenceTransformer):
            raise SettingError(
                f"{type(base).__name__} is no sentence-transformers model, so it cannot encode in "
                "several processes; use encode_queries and encode_corpus"
            )
        return network

    def _pool_encoder(
        self, pool: Any, role: PromptType, call: mteb_embed.EncodeCall
    ) -> BatchEncoder:
        base, network = mteb_embed.undebiased(self.model), self._network()
        if not isinstance(base, SentenceEncoder):  # chooses prompts in its own way
            pooled = {**call.encode_kwargs, "pool": pool}
            return mteb_embed.batch_encoder(base, role, replace(call, encode_kwargs=pooled))

        def encode(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
            found = network.encode(
                list(texts),
                prompt=base.prompt(role) or None,
                batch_size=call.encode_kwargs["batch_size"],
                pool=pool,
                show_progress_bar=False,
            )
            yield range(len(texts)), mteb_embed.as_matrix(found, base)

        return encode


def _encoder(model: Any) -> Any:
    """The MTEB encoder behind a name or a model object."""
    if isinstance(model, str | Path):
        return load_base(str(model))
    if isinstance(model, DebiasedSentenceTransformer):
        return DebiasedEncoder(_encoder(model.model), model.fitted)
    if isinstance(model, SentenceTransformer):
        return _of_sentence_transformer(model)
    check_encoder(model)
    return model


def _of_sentence_transformer(
    model: SentenceTransformer,
) -> SentenceEncoder | SentenceTransformerEncoderWrapper:
    """Prompts as ``encode_query`` and ``encode_document`` of sentence-transformers choose them."""
    if not callable(model.tokenizer):  # static embeddings: tokens cannot be counted
        return SentenceTransformerEncoderWrapper(model)
    encoder = SentenceEncoder(model)
    prompts = dict(encoder.model_prompts or {})
    for name in ("passage", "corpus"):
        if name in prompts:
            prompts.setdefault("document", prompts[name])
    encoder.model_prompts = prompts
    return encoder
