"""Predictions of a pool whose passages are streamed: only their number by language is needed."""

from __future__ import annotations

import logging
from collections.abc import Container

from hybridir_mteb import paths
from hybridir_mteb.bias.predictions import Predictions
from hybridir_mteb.collection import language_of, passage_id, query_id
from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.shard_files import shard_files
from hybridir_mteb.streamed import StreamedPart, StreamedSpec

logger = logging.getLogger(__name__)


def of_pool(
    task: str,
    model: str,
    run: dict[str, dict[str, float]],
    spec: StreamedSpec,
    subsets: Container[str],
) -> Predictions:
    """The predictions with judgements and languages, which ids such as ``p:sw:7#0`` tell.

    Args:
        task: Name of the task.
        model: Name of the model.
        run: Query -> document -> score.
        spec: The pool.
        subsets: Query languages that were run.

    Raises:
        DataFormatError: A document of a language that the pool does not have.
        DataUnavailableError: A file of the collection is missing.
    """
    parts = {code: spec.load(code) for code in spec.languages}
    qrels: dict[str, dict[str, int]] = {}
    query_languages: dict[str, str] = {}
    for code, part in parts.items():
        if code not in subsets:
            continue
        for query, grades in part.judged().items():
            relevant = {passage_id(code, p): grade for p, grade in grades.items() if grade > 0}
            qrels[query_id(code, query)] = relevant
            query_languages[query_id(code, query)] = code
    documents = {document for found in run.values() for document in found}
    documents.update(document for relevant in qrels.values() for document in relevant)
    doc_languages = {document: _language(document, spec, task) for document in sorted(documents)}
    return Predictions(
        task,
        model,
        run,
        qrels,
        doc_languages,
        query_languages,
        {query: query for query in qrels},  # none is a translation of another
        {code: _count(part) for code, part in parts.items()},
    )


def _language(document: str, spec: StreamedSpec, task: str) -> str:
    code = language_of(document) if document.count(":") >= 2 else ""
    if code not in spec.languages:
        raise DataFormatError(
            f"document {document!r} is of no language of {task}, whose ids are such as "
            f"{passage_id(spec.languages[0], '7')}; make the predictions again with mteb run"
        )
    return code


def _count(part: StreamedPart) -> int:
    """Number of passages: what shards say, else counted, which reads them all."""
    fingerprint = part.passages.fingerprint
    for files in shard_files(paths.shard_dir()):
        if files.complete and files.source_fingerprint == fingerprint:
            return files.passages
    logger.info("counting the passages of %s", part.passages.name)
    return sum(1 for _ in part.passages.passages())
