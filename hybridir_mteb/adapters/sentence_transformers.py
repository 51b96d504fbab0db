"""Language bias during training: an evaluator for sentence-transformers."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.evaluation import BaseEvaluator

from hybridir_mteb.debias.sentence_transformer import DebiasedSentenceTransformer
from hybridir_mteb.encoders.kinds import refuse_other_kinds
from hybridir_mteb.encoders.sentence import own_similarity
from hybridir_mteb.errors import SettingError, plain_logger, quoted
from hybridir_mteb.files.numbers import check_grade
from hybridir_mteb.measures.evaluate import (
    MRC,
    PROBE,
    Options,
    choose_measures,
    evaluate,
    refused_for_all,
)
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.report import BiasReport
from hybridir_mteb.ranking.arrays import FloatMatrix, distinct
from hybridir_mteb.ranking.given import check_ids, check_mapping, check_text
from hybridir_mteb.ranking.judgements import MapNames, judgements_of
from hybridir_mteb.ranking.scorers import scorer_of

logger = plain_logger(__name__)

LOWER_IS_BETTER = tuple(measure.name for measure in LANGUAGE_BIAS if measure.lower_is_better)
NO_DIRECTION = ("lpr", "top1_", "same_language_share_")  # best at a value in between
_NAMES = MapNames("corpus and corpus_languages", "query_languages", "query_items")


class LanguageBiasEvaluator(BaseEvaluator):
    """Effectiveness and language bias over one pool of all languages, from exact ranks.

    Called by a trainer like ``InformationRetrievalEvaluator``, and given the same data plus
    languages. Returns ``map`` and the measures of language bias, each the mean over query
    languages; a measure that says nothing about the data is left out. ``report`` keeps everything
    of the last call.

    Checkpoints are selected by ``map``. A model can be even-handed by ranking all languages equally
    badly, so prefer that, and read bias beside it. With ``select_by="rank_distance_norm"`` (lower
    is better) or ``"peer_at_20"`` (higher is better) they are selected by bias.

    Args:
        queries: Query id -> text. Queries without a relevant document are left out.
        corpus: Document id -> text: the pool.
        relevant_docs: Query id -> ids of relevant documents, or document id -> grade; relevant from
            1.
        query_languages: Query id -> language.
        corpus_languages: Document id -> language.
        query_items: Query id -> what it asks, which translations share; ``mrc`` needs it.
        measures: Names. By default all of language bias but ``mrc`` and
            ``language_probe_accuracy``, which take longest: name them to have them.
        name: Put before the names of metrics.
        batch_size: Texts for one step of the network.
        write_csv: Whether to append a line to a file in the trainer's output folder.
        select_by: The measure that tells the best checkpoint.
        show_progress_bar: Whether encoding shows its progress.

    Raises:
        SettingError: Ids without language, a string in place of a set of ids, or a measure to
            select by that has no better or worse, or that cannot be computed on these data.
        UnknownNameError: There is no measure of a name.
    """

    def __init__(  # noqa: PLR0913 -- the signature of sentence-transformers
        self,
        queries: Mapping[str, str],
        corpus: Mapping[str, str],
        relevant_docs: Mapping[str, Collection[str] | Mapping[str, int]],
        query_languages: Mapping[str, str],
        corpus_languages: Mapping[str, str],
        *,
        query_items: Mapping[str, str] | None = None,
        measures: Sequence[str] | None = None,
        name: str = "",
        batch_size: int = 32,
        write_csv: bool = True,
        select_by: str = "map",
        show_progress_bar: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        quick = [measure.name for measure in LANGUAGE_BIAS if measure.name not in {MRC, PROBE}]
        chosen = quick if measures is None else measures
        Options(chosen)
        Options([select_by])
        self.measures = tuple(dict.fromkeys(["map", select_by, *chosen]))
        choose_measures(self.measures)
        if select_by.startswith(NO_DIRECTION):
            raise SettingError(
                f"select_by={quoted(select_by)}: neither higher nor lower is better; select by "
                "map, rank_distance_norm or peer_at_20"
            )
        (selecting,) = choose_measures([select_by])
        self.greater_is_better = not selecting.lower_is_better
        self.primary_metric = f"{name}_{select_by}" if name else select_by
        self.name, self.batch_size, self.write_csv = name, batch_size, write_csv
        self.show_progress_bar = show_progress_bar
        self.csv_file = f"language_bias_evaluation{f'_{name}' if name else ''}_results.csv"
        check_mapping(relevant_docs, "relevant_docs")
        check_mapping(corpus_languages, "corpus_languages")
        for what, texts in (("query", queries), ("document", corpus)):
            check_mapping(texts, "queries" if what == "query" else "corpus")
            check_ids(texts, what)
            for identifier, text in texts.items():
                check_text(text, f"{what} {quoted(identifier, 80)}")
        grades = {query: _grades(query, relevant_docs.get(query, ())) for query in queries}
        judged = [query for query in queries if grades[query]]
        for document in corpus:
            if document not in corpus_languages:
                raise SettingError(
                    f"document {quoted(document, 80)} has no language in corpus_languages"
                )
        self._judged = judgements_of(
            {query: grades[query] for query in judged},
            {document: corpus_languages[document] for document in corpus},
            query_languages,
            query_items,
            _NAMES,
        )
        self._check_selection(select_by)
        rows = self._judged.rows_by_item
        self._judged = self._judged.take(rows)
        self._queries = [queries[judged[at]] for at in rows]
        self._corpus = list(corpus.values())
        self.report: BiasReport | None = None

    def _check_selection(self, name: str) -> None:
        reason = refused_for_all(self._judged, [name], embeddings=True).get(name)
        if reason:
            raise SettingError(
                f"select_by={quoted(name)} cannot be computed on these data: {reason}; select by "
                "map"
            )

    def __call__(
        self,
        model: SentenceTransformer | DebiasedSentenceTransformer,  # type: ignore[override]
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Evaluate a model.

        Args:
            model: Encodes queries and documents, with its own prompts and similarity; one that is
                debiased detects languages.
            output_path: Folder for the file of results.
            epoch: Number of the epoch, for the file.
            steps: Number of the step, for the file.

        Returns:
            Name of the measure, after the evaluator's -> value.

        Raises:
            EmbeddingError: Embeddings that cannot be ranked.
            SettingError: A model that gives no dense vector for each text.
        """
        refuse_other_kinds(model)
        if not callable(getattr(model, "encode_query", None)):
            raise SettingError(f"{type(model).__name__} is no sentence-transformers model")
        queries = self._encode(model.encode_query, self._queries)
        first, columns = distinct(self._corpus)
        passages = self._encode(model.encode_document, [self._corpus[at] for at in first])
        network = model.model if isinstance(model, DebiasedSentenceTransformer) else model
        similarity = own_similarity(network, model.similarity)
        self.report = evaluate(
            scorer_of(similarity, queries, passages, columns),
            self._judged,
            Options(self.measures, resamples=0),
            embeddings=passages[columns] if PROBE in self.measures else None,
        )
        means = {name: self.report.means[name] for name in self.measures}
        if output_path is not None and self.write_csv:
            self._append(Path(output_path), [epoch, steps, *means.values()])
        defined = {name: value for name, value in means.items() if value is not None}
        logger.info("Language bias %s: %s", self.name, defined)
        metrics: dict[str, float] = self.prefix_name_to_metrics(defined, self.name)
        if isinstance(network, SentenceTransformer):
            self.store_metrics_in_model_card_data(network, metrics, epoch, steps)
        return metrics

    def _encode(self, encode: Any, texts: Sequence[str]) -> FloatMatrix:
        vectors: FloatMatrix = encode(
            list(texts),
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_numpy=True,
        )
        return np.asarray(vectors, np.float32)

    def _append(self, folder: Path, values: Sequence[float | None]) -> None:
        """One more line of the results file, as sentence-transformers' evaluators write theirs."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.csv_file
        new = not path.is_file()
        with path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            if new:
                writer.writerow(["epoch", "steps", *self.measures])
            writer.writerow(values)


def _grades(query: str, relevant: Collection[str] | Mapping[str, int]) -> dict[str, int]:
    """Relevant documents of a query, with their grades."""
    if isinstance(relevant, str) or not isinstance(relevant, Collection):
        raise SettingError(
            f"relevant_docs[{quoted(query, 80)}] is {quoted(relevant, 80)}; give a set of document "
            "ids"
        )
    check_ids(relevant, "document")
    if isinstance(relevant, Mapping):
        grades = {doc: check_grade(value, query, doc) for doc, value in relevant.items()}
        return {document: grade for document, grade in grades.items() if grade > 0}
    return dict.fromkeys(relevant, 1)
