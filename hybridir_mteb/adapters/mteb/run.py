"""Runs: our tasks searched with any encoder, MTEB's own command, judgements of MTEB's own tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import mteb
from mteb.models import SearchProtocol

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.by_query import units_of
from hybridir_mteb.adapters.mteb.evaluation import SubsetRun
from hybridir_mteb.adapters.mteb.ids import check_ids, check_passage_ids
from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.adapters.mteb.models import check_encoder, torch_device
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.task import CollectionTask, check_subsets
from hybridir_mteb.comparison.runs import Judged
from hybridir_mteb.errors import (
    DataFormatError,
    HybridIRError,
    PluginError,
    SettingError,
    plain_logger,
    printable,
    quoted,
)
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.numbers import whole
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.remote import reached
from hybridir_mteb.files.room import check_folder as check_writable
from hybridir_mteb.files.room import check_room
from hybridir_mteb.measures.measure import FAILED
from hybridir_mteb.ranking.arrays import Qrels
from hybridir_mteb.ranking.shards.approximate import SAMPLE, ApproximateSearch
from hybridir_mteb.ranking.trec import write_qrels, write_run

logger = plain_logger(__name__)

DEPTH = 1000
LINE = 50  # bytes of a run's line
MEASURES_FILE = "measures.json"
_OF_0_1 = (  # its keys in version 0.1, which had no checksum
    *("encoder", "task", "encoder_revision", "dataset_revision", "split"),
    *("main_score", "depth", "subsets"),
)
ENCODE_KWARGS = {"batch_size": 32}  # as mteb run has it


class RunOptions(TypedDict, total=False):
    """How to search a task, as keywords.

    Attributes:
        subsets: Names of subsets; all by default.
        depth: Passages for each query in the run; measures see the whole ranking.
        dtype: ``float32`` or ``float16``, of the shards; by default what the environment says.
        device: Torch device of encoder and search; by default a GPU if there is one.
        precision: ``fp32``, ``bf16`` or ``auto``, for encoders of this package.
        search: As :func:`hybridir_mteb.ranking.shards.search.search`, on a cluster.
        approximate: ``hnsw`` or ``ivfpq``, to search an index of streamed passages in this process.
        recall_queries: Queries of each subset that are then searched exactly, too.
    """

    subsets: Sequence[str]
    depth: int
    dtype: str | None
    device: str | None
    precision: str | None
    search: Any
    approximate: str | None
    recall_queries: int


def search(
    encoder: str, task: str, output: Path | str, **options: Unpack[RunOptions]
) -> Iterator[tuple[str, SubsetRun]]:
    """Search the subsets of a task and write each as a run, subset by subset.

    Writes ``<subset>.trec``, ``<subset>.qrels`` and ``measures.json``, which keeps the subsets that
    an earlier search wrote to the folder in the same way. trec_eval and pytrec_eval order the run
    as it is here: see :func:`~hybridir_mteb.ranking.trec.trec_scores`. Passages of streamed
    collections are kept as shards, so a search that was interrupted goes on where it was.

    Args:
        encoder: Name that MTEB knows, folder of a sentence-transformers model, or hub id.
        task: A task of this package or its plugins.
        output: Folder; made if missing.
        **options: Subsets, depth, number format and device, as in :class:`RunOptions`.

    Yields:
        Name of each subset, and what was found.

    Raises:
        SettingError: An option that makes no sense, or a folder that holds another search.
        UnknownNameError: No such encoder, task or subset.
        DataUnavailableError: The encoder or the data cannot be had.
        DataFormatError: An id that a run cannot hold, or that occurs twice.
        NoSpaceError: The disk is full; what was measured is told before.
        PluginError: A measure failed; all others are told and written before.
        TypeError: There is no option of a name.
    """
    depth = _checked(options)
    searched = chosen_task(task, options)
    folder, named = Path(output), {"encoder": encoder, "task": task}
    former = check_folder(folder, named)
    searched.load_data()
    _check_files(searched, folder, depth)
    model = finder(encoder, options.get("device"), options.get("precision"))
    record = {**named, **_record(searched, model), "depth": depth, **_way(options, model)}
    before = former.pop("subsets", {})  # kept if it was searched in the same way
    found = before if former == record and isinstance(before, dict) else {}
    searched.turns.start(searched.hf_subsets)
    for name in searched.hf_subsets:
        result = searched.search_subset(model, name, depth, ENCODE_KWARGS)
        found[name] = result.scores
        try:
            _write(folder, name, {**record, "subsets": found}, result)
        except (HybridIRError, OSError):
            yield name, result  # what was measured is told before what failed
            raise
        yield name, result
    _tell_failures({name: found[name] for name in searched.hf_subsets})


def _checked(options: RunOptions) -> int:
    """The depth, once the options are known to make sense."""
    if unknown := set(options) - set(RunOptions.__annotations__):
        raise TypeError(f"search() has no option {', '.join(sorted(unknown))}")
    depth = options.get("depth", DEPTH)
    if isinstance(depth, float) or (whole(depth) or 0) < 1:
        raise SettingError(f"depth={quoted(depth, 80)} (--depth): give 1 or more")
    sample = options.get("recall_queries", SAMPLE)
    if isinstance(sample, float) or (whole(sample) is None) or sample < 0:
        raise SettingError(
            f"recall_queries={quoted(sample, 80)} (--recall-queries): give 0 or more"
        )
    torch_device(options.get("device"))
    return depth


def _write(folder: Path, subset: str, record: Mapping[str, Any], found: SubsetRun) -> None:
    """The measures first: they are small, and what cannot be had again without encoding."""
    write_record(folder / MEASURES_FILE, record)
    write_run(folder / f"{subset}.trec", found.run, record["encoder"])
    write_qrels(folder / f"{subset}.qrels", found.qrels)


def _tell_failures(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise, once all is written, if a measure failed in a subset."""
    broken = [
        f"{subset}: {name}: {why}"
        for subset, scores in found.items()
        for name, why in scores.get("not_applicable", {}).items()
        if why.startswith(FAILED)
    ]
    if broken:
        raise PluginError(f"all but this was measured: {'; '.join(broken)}")


def finder(encoder: str, device: str | None, precision: str | None) -> Any:
    """A model that finds passages: an encoder, or one that searches by itself."""
    model = load_base(encoder, device=device, **({"precision": precision} if precision else {}))
    if not isinstance(model, SearchProtocol):
        check_encoder(model)
    return model


def _check_files(task: CollectionTask, folder: Path, depth: int) -> None:
    """Refuse ids that the search's files cannot hold, or a small disk, before encoding."""
    lines = 0
    for name in task.hf_subsets:
        data = task.dataset[name][task.eval_splits[0]]
        check_ids(data["relevant_docs"])
        for grades in data["relevant_docs"].values():
            check_ids(grades)
        lines += depth * len(data["relevant_docs"])
    for part in task.collection.parts.values():
        check_passage_ids(part.passages, trec=True)
    check_room(folder, LINE * lines, "the runs of the search")


def chosen_task(name: str, options: RunOptions) -> CollectionTask:
    """A task of ours with the subsets that are asked for, in the task's order."""
    dtype = options.get("dtype")
    if dtype is not None and dtype not in paths.SHARD_DTYPES:
        raise SettingError(
            f"dtype {quoted(dtype)} (--dtype): expected one of {', '.join(paths.SHARD_DTYPES)}"
        )
    task = _task(name)
    if not task.spec.parallel:
        task.shard_dtype, task.device = dtype, options.get("device")
        task.search = options.get("search")
        if (kind := options.get("approximate")) is not None:
            task.search = ApproximateSearch(kind, options.get("recall_queries", SAMPLE))
    else:
        for option in ("dtype", "approximate"):
            if options.get(option) is not None:
                raise SettingError(
                    f"{name} is small and is searched in memory: leave out {option} (--{option})"
                )
    chosen = options.get("subsets", ())
    check_subsets(task.metadata, chosen)
    task.hf_subsets = [s for s in task.metadata.hf_subsets if not chosen or s in chosen]
    return task


def _task(name: str) -> CollectionTask:
    ours = register().tasks
    if name not in ours:
        try:
            mteb.get_task(name)
        except KeyError:
            ours[name]  # says which there are
        raise SettingError(
            f"{name} is a task of mteb: hybridir search writes rankings of 'hybridir tasks'; for "
            f"others use mteb run -t {name} --prediction-folder DIR"
        )
    task = ours[name]()
    if not isinstance(task, CollectionTask):
        raise SettingError(
            f"{name} is made by a plugin in its own way: use mteb run -t {name} "
            "--prediction-folder DIR"
        )
    return task


def _record(task: CollectionTask, model: Any) -> dict[str, Any]:
    """What the results are of, as JSON values; such as a precision only if it was asked for."""
    meta = getattr(model, "mteb_model_meta", None)
    asked = getattr(meta, "experiment_kwargs", None) or {}
    return {
        **({"arguments": {name: str(value) for name, value in asked.items()}} if asked else {}),
        "encoder_revision": getattr(meta, "revision", None),
        "dataset_revision": task.metadata.revision,
        "split": task.eval_splits[0],
        "main_score": task.metadata.main_score,
    }


def _way(options: RunOptions, model: Any) -> dict[str, str]:
    """What the record says of a search that is not exact."""
    if (kind := options.get("approximate")) is None:
        return {}
    if isinstance(model, SearchProtocol):
        raise SettingError("the model searches by itself: leave out approximate (--approximate)")
    return {"approximate": kind}


def check_folder(folder: Path, record: Mapping[str, str]) -> dict[str, Any]:
    """Refuse to mix the files of two searches: of another encoder, or another task.

    Returns:
        What an earlier search of the same encoder and task wrote of itself, without its subsets if
        the file was changed since; empty if none did.

    Raises:
        SettingError: The folder holds those of another encoder or task, or is none.
    """
    check_writable(folder, "--output")
    path = folder / MEASURES_FILE
    if not path.exists():
        return {}
    try:
        held = _unless_damaged(path)
        former = {name: str(held[name]) for name in record}
    except (OSError, DataFormatError, KeyError) as error:
        raise SettingError(f"{path} is no file of this command; give another --output") from error
    if former != record:
        raise SettingError(
            f"{folder} holds the search of {printable(former['encoder'], 100)} on "
            f"{printable(former['task'], 100)}; give another --output"
        )
    return held


def _unless_damaged(path: Path) -> dict[str, Any]:
    """What a search wrote of itself; without the subsets unless the file is as it was written."""
    try:
        return read_record(path, _OF_0_1)
    except DataFormatError as error:
        held = read_json_object(path)
        if held.pop("subsets", None):
            logger.warning("%s: subsets that are not searched now are left out of it", error)
        return held


def mteb_main(arguments: Sequence[str]) -> None:
    """Do what the command ``mteb`` does with these arguments."""
    from mteb.cli import main

    sys.argv = ["mteb", *arguments]
    main()


def judgements_of_task(name: str, subsets: Sequence[str]) -> Qrels:
    """What subsets of a task of MTEB hold relevant; may download its data.

    Raises:
        SettingError: MTEB knows no such task, or the task no such subset.
        DataUnavailableError: The task's data cannot be had.
    """
    task = _loaded_task(name, subsets)
    return {q: grades for one in subsets for q, grades in _relevant(task, one).items()}


def judged_of_task(name: str, subsets: Sequence[str]) -> tuple[str, dict[str, Judged]]:
    """The main measure of a task, and what it holds relevant in subsets; as the function above.

    Args:
        name: Name of a task of MTEB, or of ours.
        subsets: Those whose judgements are wanted.
    """
    task = _loaded_task(name, subsets)
    judged = {one: Judged(_relevant(task, one), _units(task, one)) for one in subsets}
    return task.metadata.main_score, judged


def _relevant(task: Any, subset: str) -> dict[str, dict[str, int]]:
    splits = task.dataset[subset].values()
    return {query: grades for of in splits for query, grades in of["relevant_docs"].items()}


def _units(task: Any, subset: str) -> dict[str, str]:
    """Query -> what it asks, for collections whose structure is known."""
    if not isinstance(task, CollectionTask):
        return {}
    of = task.subset(subset)
    prefix, judged = task.prefixes(of.query_language)[0], task.collection.judged(of)
    units = units_of(task, of.query_language, judged)
    return {prefix + query: unit for query, unit in zip(judged, units, strict=True)}


def _loaded_task(name: str, subsets: Sequence[str]) -> Any:
    try:
        task: Any = mteb.get_task(name)
    except KeyError as error:
        raise SettingError(
            f"mteb knows no task {name}: give its judgements too, qrels (QRELS)"
        ) from error
    if isinstance(task, CollectionTask):
        check_subsets(task.metadata, subsets)
        task.hf_subsets = list(subsets)
    with reached(f"mteb cannot load the data of {name}", "give its judgements, qrels (QRELS)"):
        task.load_data()
    unknown = sorted(set(subsets) - set(task.dataset))
    if unknown:
        raise SettingError(
            f"{name} of mteb has no subset {', '.join(unknown)}: give the judgements that belong "
            "to the predictions, qrels (QRELS)"
        )
    return task
