"""Language bias of a retriever: from scores, embeddings, a run or MTEB's predictions.

Every function returns the same :class:`~hybridir_mteb.measures.report.BiasReport`: all measures
by query language and on average, with intervals; language by language matrices; and for measures
that say nothing about the collection, why. All take the
keywords ``measures``, ``mrc_depth``, ``parallel`` and ``resamples``, which
:class:`~hybridir_mteb.measures.evaluate.Choices` explains.

Languages may be any codes, as long as queries and passages use the same. Ids, languages and items
are strings, grades whole numbers and scores finite ones; anything else is refused. Equal scores are
ordered by a hash of the passage id. Scores and embeddings may be tensors of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack, cast

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.measures.evaluate import Choices, Options, evaluate
from hybridir_mteb.measures.report import BiasReport
from hybridir_mteb.ranking.arrays import (
    FloatMatrix,
    Qrels,
    Relevance,
    Run,
    Similarity,
    distinct,
)
from hybridir_mteb.ranking.exact import Scorer
from hybridir_mteb.ranking.given import check_sequence, columns_of
from hybridir_mteb.ranking.judgements import Judgements, judgements_of, run_lengths
from hybridir_mteb.ranking.matrices import MatrixScorer, as_array
from hybridir_mteb.ranking.scorers import DenseScorer, RunScorer

__all__ = ["BiasReport", "of_embeddings", "of_predictions", "of_run", "of_scores"]

Relevant = Relevance | Sequence[Sequence[int]]


class PoolChoices(Choices, total=False):
    """Options for queries and passages in the order of their rows.

    Attributes:
        passage_ids: (n_passages,) for the order of equal scores; by default the column numbers.
        items: (n_queries,) what each query asks. Translations of a query share an item: ``mrc``
            compares them, and the bootstrap draws them together.
    """

    passage_ids: Sequence[str] | None
    items: Sequence[str] | None


def of_scores(
    scores: npt.ArrayLike | Scorer,
    relevant: Relevant,
    query_languages: Sequence[str],
    passage_languages: Sequence[str],
    **options: Unpack[PoolChoices],
) -> BiasReport:
    """Language bias of scores of the whole pool.

    Args:
        scores: (n_queries, n_passages), higher is better; or anything that gives them in blocks.
        relevant: Columns of the relevant passages of each query.
        query_languages: (n_queries,) language of each query.
        passage_languages: (n_passages,) language of each passage.
        **options: Ids, items, measures and how to compute them, as in :class:`PoolChoices`.

    Raises:
        SettingError: Arguments that do not fit together.
        EmbeddingError: A score is NaN or infinite, or there are other queries or passages.
        UnknownNameError: There is no measure of a name.

    Example:
        One question in two languages, its answer in both; each version prefers its own language.

        >>> from hybridir_mteb import language_bias
        >>> report = language_bias.of_scores(
        ...     [[0.9, 0.2, 0.8, 0.1], [0.3, 0.9, 0.1, 0.8]],
        ...     relevant=[[0, 1], [0, 1]],
        ...     query_languages=["de", "en"],
        ...     passage_languages=["de", "en", "de", "en"],
        ...     items=["capital", "capital"],
        ... )
        >>> report.means["rank_distance"], report.means["lpr"], report.means["lpr_expected"]
        (2.0, 1.0, 0.5)
    """
    judged, chosen = _judgements(relevant, query_languages, passage_languages, options)
    given = hasattr(scores, "block")
    scorer = cast("Scorer", scores) if given else MatrixScorer(as_array(scores, "scores"))
    return evaluate(scorer, judged, chosen)


def of_embeddings(
    queries: npt.ArrayLike,
    passages: npt.ArrayLike,
    relevant: Relevant,
    query_languages: Sequence[str],
    passage_languages: Sequence[str],
    *,
    similarity: str = "cosine",
    **options: Unpack[PoolChoices],
) -> BiasReport:
    """Language bias of embeddings, scored block by block; adds ``language_probe_accuracy``.

    Args:
        queries: (n_queries, dimension) embeddings.
        passages: (n_passages, dimension) embeddings; equal rows score equally to the bit.
        relevant: Columns of the relevant passages of each query.
        query_languages: (n_queries,) language of each query.
        passage_languages: (n_passages,) language of each passage.
        similarity: ``"cosine"`` or ``"dot"``.
        **options: Ids, items, measures and how to compute them, as in :class:`PoolChoices`.

    Raises:
        SettingError: Arguments that do not fit together.
        EmbeddingError: Embeddings that are NaN, infinite, of different dimensions, or of other
            queries or passages.
        UnknownNameError: There is no measure of a name.
    """
    if not isinstance(similarity, str) or similarity not in set(Similarity):
        raise SettingError(
            f"similarity {quoted(similarity, 80)}: choose from {', '.join(Similarity)}, or give "
            "of_scores a matrix"
        )
    judged, chosen = _judgements(relevant, query_languages, passage_languages, options)
    vectors, asked = as_array(passages, "passages"), as_array(queries, "queries")
    for name, array in (("queries", asked), ("passages", vectors)):
        if array.ndim != 2:
            raise SettingError(f"{name} have shape {array.shape}; expected (n, dimension)")
    rows = judged.rows_by_item  # translations side by side, as rank correlation wants them
    if len(asked) == len(rows) and not np.array_equal(rows, np.arange(len(rows))):
        judged, asked = judged.take(rows), asked[rows]
    first, columns = distinct(row.tobytes() for row in vectors)
    once = vectors if len(first) == len(vectors) else vectors[first]
    scorer = DenseScorer(asked, once, columns, similarity=Similarity(similarity))
    embeddings: FloatMatrix = vectors.astype(np.float32, copy=False)
    return evaluate(scorer, judged, chosen, embeddings=embeddings)


def of_run(
    run: Run,
    qrels: Qrels,
    doc_languages: Mapping[str, str],
    query_languages: Mapping[str, str],
    *,
    items: Mapping[str, str] | None = None,
    **options: Unpack[Choices],
) -> BiasReport:
    """Language bias of a run in the sense of TREC.

    The pool is what ``doc_languages`` lists; the queries are those of ``qrels``. What a run does
    not return for a query is not found, as in trec_eval. Queries that lack a relevant passage have
    no ``rank_distance``; where more than a few do, the measure does not apply. Queries for which
    nothing relevant is returned have no ``lpr``. ``mrc`` ties what is behind the end of a ranking.

    Args:
        run: Query -> document -> score. A query of ``qrels`` that is not there has an empty
            ranking; queries that are not in ``qrels`` play no part.
        qrels: Query -> document -> grade; relevant from 1.
        doc_languages: Document -> language, of the whole pool.
        query_languages: Query -> language.
        items: Query -> what it asks; translations share it.
        **options: Measures and how to compute them, as in
            :class:`~hybridir_mteb.measures.evaluate.Choices`.

    Raises:
        SettingError: A query or document without language or item, or a run of other queries.
        EmbeddingError: A score is not finite.
        UnknownNameError: There is no measure of a name.
    """
    chosen = Options(**options)
    judged = judgements_of(qrels, doc_languages, query_languages, items)
    return _of_judged_run(run, judged, doc_languages, chosen)


def of_predictions(
    path: Path | str,
    *,
    qrels: Qrels | None = None,
    doc_languages: Mapping[str, str] | None = None,
    query_languages: Mapping[str, str] | None = None,
    items: Mapping[str, str] | None = None,
    **options: Unpack[Choices],
) -> BiasReport:
    """Language bias of what ``mteb run --prediction-folder`` wrote.

    All subsets of a task, one for each query language, are one report. For multilingual tasks of
    collections that are registered here, relevance and languages are known, and maps are refused.
    They hold the first 100 passages of each query; what :func:`of_run` says of runs applies.

    Args:
        path: The folder, or one ``<task>_predictions.json`` in it, perhaps compressed (``.gz``).
        qrels: Query -> document -> grade, for tasks that are not ours; by default MTEB's task is
            asked, which may download its data.
        doc_languages: Document -> language, needed for tasks that are not ours.
        query_languages: Query -> language, needed for tasks that are not ours.
        items: Query -> what it asks, for tasks that are not ours.
        **options: Measures and how to compute them, as in
            :class:`~hybridir_mteb.measures.evaluate.Choices`.

    Raises:
        DataUnavailableError: No prediction file there, or no data of MTEB's task.
        DataFormatError: Not a prediction file, or a score that is not a finite number.
        SettingError: Several files to choose from, a task with other than multilingual pools or
            that MTEB does not know, languages that are missing, or maps for a task of ours.
        UnknownNameError: There is no measure of a name.
    """
    from hybridir_mteb.bias.predictions import CallerMaps, read_predictions

    chosen = Options(**options)
    maps = CallerMaps(qrels, doc_languages, query_languages, items)
    found = read_predictions(Path(path), maps, _judgements_of_mteb)
    judged = judgements_of(found.qrels, found.doc_languages, found.query_languages, found.items)
    if found.n_passages is not None:
        codes = tuple(dict.fromkeys([*judged.codes, *found.n_passages]))  # some are never found
        sizes = [found.n_passages.get(code, 0) for code in codes]
        judged = replace(judged, codes=codes, pool=np.array(sizes))
    return _of_judged_run(found.run, judged, found.doc_languages, chosen)


def _judgements_of_mteb(task: str, subsets: Sequence[str]) -> Qrels:
    from hybridir_mteb.adapters.mteb.run import judgements_of_task

    return judgements_of_task(task, subsets)


def _of_judged_run(
    run: Run, judged: Judgements, pool: Mapping[str, str], options: Options
) -> BiasReport:
    queries = list(judged.query_ids or ())
    lengths = run_lengths(run, queries, pool)
    scorer = RunScorer(run, queries, judged.passage_ids or ())
    return evaluate(scorer, judged, options, lengths=lengths)


def _judgements(
    relevant: Relevant,
    query_languages: Sequence[str],
    passage_languages: Sequence[str],
    options: PoolChoices,
) -> tuple[Judgements, Options]:
    """What is judged, and the options that are left."""
    ids, items = options.pop("passage_ids", None), options.pop("items", None)
    left: Choices = options
    chosen = Options(**left)
    relevance = relevant
    if not isinstance(relevance, Relevance):
        relevance = Relevance.from_lists(columns_of(relevance))
    check_sequence(passage_languages, "passage_languages")
    if ids is None:
        ids = list(map(str, range(len(passage_languages))))
    judged = Judgements.of_lists(relevance, query_languages, passage_languages, ids, items)
    return judged, chosen
