"""Prediction files of MTEB as runs, with what is known of the task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import (
    Collection,
    CollectionPart,
    passage_id,
    query_id,
)
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    SettingError,
    plain_logger,
    printable,
    quoted,
)
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.files.numbers import number
from hybridir_mteb.files.reading import read_bytes
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.settings import Context, Setting
from hybridir_mteb.plugins.specs import CollectionSpec
from hybridir_mteb.ranking.arrays import Qrels
from hybridir_mteb.ranking.shards.listing import shard_files

logger = plain_logger(__name__)

SUFFIX = "_predictions.json"
MODEL_KEY = "mteb_model_meta"
Rankings = dict[str, dict[str, float]]  # query -> document -> score
AskJudgements = Callable[[str, Sequence[str]], Qrels]


@dataclass(frozen=True)
class Predictions:
    """A run over all subsets of a task, judged.

    Attributes:
        run: Query -> document -> score.
        qrels: Query -> document -> grade.
        doc_languages: Document -> language, of the whole pool.
        query_languages: Query -> language.
        items: Query -> what it asks; None if unknown.
        n_passages: Language -> size of the pool, where only documents that were found or are
            relevant have a language here; None if all have one.
    """

    run: Rankings
    qrels: Qrels
    doc_languages: Mapping[str, str]
    query_languages: Mapping[str, str]
    items: Mapping[str, str] | None
    n_passages: Mapping[str, int] | None = None


@dataclass(frozen=True)
class CallerMaps:
    """What the caller knows of a task that is not ours, as in :class:`Predictions`; else None."""

    qrels: Qrels | None = None
    doc_languages: Mapping[str, str] | None = None
    query_languages: Mapping[str, str] | None = None
    items: Mapping[str, str] | None = None


def read_predictions(
    path: Path, maps: CallerMaps | None = None, ask: AskJudgements | None = None
) -> Predictions:
    """Read a prediction file, and find out what is relevant and in which language.

    Args:
        path: The folder given to ``mteb run --prediction-folder``, or a file in it, which may be
            compressed (``.json.gz``).
        maps: What the caller knows; needed for tasks that are not ours, refused for ours.
        ask: Gives the judgements of a task that is not ours, by its name and the subsets that were
            run, where the caller has none.

    Raises:
        DataUnavailableError: No prediction file there, or ``ask`` cannot load the judgements.
        DataFormatError: Not a prediction file, or a score that is not a finite number.
        SettingError: Several files to choose from, a task without multilingual pools, languages or
            judgements that are missing, or maps for a task of ours.
    """
    maps = maps or CallerMaps()
    file = _file(path)
    task = file.name.removesuffix(".gz").removesuffix(SUFFIX)
    found = rankings_of(file)
    run: Rankings = {}
    for subset, results in found.items():
        for query, ranking in results.items():
            if query in run:
                raise DataFormatError(
                    f"{file}: query {quoted(query, 80)} is in several subsets, "
                    f"{quoted(subset, 80)} among them; language bias needs ids that tell queries "
                    "of different languages apart"
                )
            run[query] = ranking
    spec = _spec_of(task)
    if spec is None:
        return _foreign(task, run, list(found), maps, ask)
    _refuse_maps(task, maps)
    return _ours(task, run, spec, set(found))


def _file(path: Path) -> Path:
    if path.is_file():
        if not path.name.removesuffix(".gz").endswith(SUFFIX):
            raise DataFormatError(f"{path}: expected a file named <task>{SUFFIX}, as mteb writes")
        return path
    files = sorted([*path.glob(f"*{SUFFIX}"), *path.glob(f"*{SUFFIX}.gz")])
    if not files:
        raise DataUnavailableError(
            f"{path} holds no *{SUFFIX}. Make some: mteb run -m hybridir/pocket-base "
            f"-t PocketQARMultilingualRetrieval --prediction-folder {path}"
        )
    multilingual = [file for file in files if Setting.MULTILINGUAL.in_task_name in file.name]
    if len(files) > 1 and len(multilingual) != 1:
        raise SettingError(
            f"{path} holds predictions of several tasks; name one of the files: "
            f"{', '.join(file.name for file in files)}"
        )
    return files[0] if len(files) == 1 else multilingual[0]


def rankings_of(file: Path) -> dict[str, Rankings]:
    """The rankings of each subset in its only split."""
    content = _object(parse_json(read_bytes(file), str(file), nan=True), file)
    content.pop(MODEL_KEY, None)
    by_subset = {subset: _object(by_split, file) for subset, by_split in content.items()}
    splits = {split for by_split in by_subset.values() for split in by_split}
    if len(splits) != 1:
        names = printable(", ".join(sorted(splits)), 100) or "none"
        raise DataFormatError(
            f"{file}: expected the predictions of one split, found {names}; run the task on one"
        )
    return {
        subset: {
            query: _ranking(ranking, query, file)
            for results in by_split.values()
            for query, ranking in _object(results, file).items()
        }
        for subset, by_split in by_subset.items()
    }


def _object(value: Any, file: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataFormatError(
            f"{file}: not a prediction file of a retrieval task: {quoted(value, 80)} should be an "
            "object; make it again with mteb run --prediction-folder"
        )
    return value


def _ranking(given: Any, query: str, file: Path) -> dict[str, float]:
    """Document -> score."""
    ranking: dict[str, float] = {}
    for document, value in _object(given, file).items():
        score = number(value)
        if score is None:
            raise DataFormatError(
                f"{file}: the score {quoted(value, 80)} of document {quoted(document, 80)} for "
                f"query {quoted(query, 80)} is not a finite number; make the file again with mteb "
                "run --prediction-folder"
            )
        ranking[document] = score
    return ranking


def _spec_of(task: str) -> CollectionSpec | None:
    """The collection of a multilingual task of ours; None for other people's tasks.

    Raises:
        SettingError: A task of ours in another setting.
    """
    registry = installed_plugins().collections
    for spec in (registry[name] for name in registry):
        names = _task_names(spec)
        if task not in names:
            continue
        setting, right = names[task]
        if setting is Setting.MULTILINGUAL:
            return spec
        advice = f"; run {right}" if right else ""
        raise SettingError(
            f"{task} is {setting}: a query sees passages of one language only, so there is no "
            f"language bias to measure{advice}"
        )
    return None


def _task_names(spec: CollectionSpec) -> dict[str, tuple[Setting, str]]:
    """Task -> its setting, and what to run for the multilingual setting, if there is one."""
    known = tuple(Setting) if spec.parallel else spec.settings
    named = {}
    for context in Context if spec.parallel else (Context.SENTENCE,):
        right = spec.task_name(Setting.MULTILINGUAL, context)
        if not spec.parallel:
            right += ", or a pool of some of its languages (hybridir data pool)"
        for setting in known:
            advice = right if Setting.MULTILINGUAL in known else ""
            named[spec.task_name(setting, context)] = (setting, advice)
    return named


def _foreign(
    task: str, run: Rankings, found: Sequence[str], maps: CallerMaps, ask: AskJudgements | None
) -> Predictions:
    """A task that no collection here has, by what the caller knows of it."""
    if maps.doc_languages is None or maps.query_languages is None:
        raise SettingError(
            f"{task} is no task of a registered collection: give the languages of its documents "
            "and queries, doc_languages (--doc-lang) and query_languages (--query-lang)"
        )
    qrels = maps.qrels
    if qrels is None and ask is not None:
        qrels = ask(task, found)
    if qrels is None:
        raise SettingError(f"{task}: give its judgements, qrels (QRELS)")
    return Predictions(run, qrels, maps.doc_languages, maps.query_languages, maps.items)


def _refuse_maps(task: str, maps: CallerMaps) -> None:
    names = {
        "qrels (QRELS)": maps.qrels,
        "doc_languages (--doc-lang)": maps.doc_languages,
        "query_languages (--query-lang)": maps.query_languages,
        "items (the third column of --query-lang)": maps.items,
    }
    given = [name for name, value in names.items() if value is not None]
    if given:
        raise SettingError(
            f"{task} is a task of a registered collection, whose judgements and languages are "
            f"known: leave out {', '.join(given)}"
        )


def _ours(task: str, run: Rankings, spec: CollectionSpec, found: set[str]) -> Predictions:
    """A task of a collection here; passages that are streamed are not read, only counted.

    Raises:
        DataFormatError: A document of a language that the pool does not have.
        DataUnavailableError: A file of the collection is missing.
    """
    collection = Collection(spec.read(spec.languages), spec.parallel)
    qrels: dict[str, dict[str, int]] = {}
    query_languages: dict[str, str] = {}
    items: dict[str, str] = {}
    for subset in spec.subsets(Setting.MULTILINGUAL):
        code = subset.query_language
        for query, grades in collection.judged(subset).items() if subset.name in found else ():
            name = query_id(code, query)
            qrels[name] = {
                passage_id(g.language, g.passage): g.grade for g in grades if g.grade > 0
            }
            query_languages[name] = code
            items[name] = query if spec.parallel else name  # else none has a translation
    if spec.parallel:
        documents = {
            passage_id(code, passage.id): code
            for code in sorted(spec.languages)
            for passage in collection.parts[code].passages.passages()
        }
        return Predictions(run, qrels, documents, query_languages, items)
    rankings: list[Iterable[str]] = [*run.values(), *qrels.values()]
    documents = _languages({d for ranking in rankings for d in ranking}, spec, task)
    sizes = {code: _count(part) for code, part in collection.parts.items()}
    return Predictions(run, qrels, documents, query_languages, items, sizes)


def _languages(documents: Iterable[str], spec: CollectionSpec, task: str) -> dict[str, str]:
    """Documents of a pool by language, whose names begin as the task's own do."""
    starts = {passage_id(code, ""): code for code in spec.languages}
    known = {}
    for document in sorted(documents):
        start = next((start for start in starts if document.startswith(start)), None)
        if start is None:
            raise DataFormatError(
                f"document {quoted(document, 80)} is of no language of {task}, whose ids are such "
                f"as {passage_id(spec.languages[0], '7')}; make the predictions again with mteb run"
            )
        known[document] = starts[start]
    return known


def _count(part: CollectionPart) -> int:
    """Number of passages: what shards say, else counted, which reads them all."""
    fingerprint = part.passages.fingerprint
    for files in shard_files(paths.shard_dir()):
        if files.complete and files.source_fingerprint == fingerprint:
            return files.passages
    logger.info("counting the passages of %s", part.passages.name)
    return sum(1 for _ in part.passages.passages())
