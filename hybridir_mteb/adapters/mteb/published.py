"""Scores in MTEB's result folders, and what its registry says of the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import mteb
from mteb.results import TaskResult

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, one_line
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.numbers import number, whole
from hybridir_mteb.results.naming import META
from hybridir_mteb.scaling.scores import Cell, Facts, Scores
from hybridir_mteb.scaling.settings import TASKS

NAN = float("nan")


def registered_facts(names: Iterable[str]) -> dict[str, Facts]:
    """Name -> what the registry says, of the models that it knows."""
    wanted = set(names)  # of which MTEB would refuse those that it does not know
    return {str(m.name): _facts(m) for m in mteb.get_model_metas() if m.name in wanted}


def _facts(meta: mteb.models.ModelMeta) -> Facts:
    trained_on = meta.get_training_datasets()
    return Facts(
        parameters=meta.n_parameters or None,
        embedding_parameters=meta.n_embedding_parameters or None,
        active_parameters=meta.n_active_parameters_override,
        released=None if meta.release_date is None else str(meta.release_date),
        trained_on=None if trained_on is None else frozenset(trained_on),
        open_weights=meta.open_weights,
        revision=meta.revision,
        kind=", ".join(meta.model_type),
    )


def read_results(folder: Path) -> Scores:
    """The scores of a result folder in the tasks of ``scaling.settings``.

    Args:
        folder: The ``--output-folder`` of ``mteb run``, its ``results``, or MTEB's own cache, whose
            clone of the public results is read, too.

    Raises:
        DataUnavailableError: There is no folder, or no result of these tasks in it.
        DataFormatError: A result file cannot be read.
    """
    if not folder.is_dir():
        raise DataUnavailableError(f"{folder}: no such folder")
    folder = folder.absolute()
    above = not any((folder / name).is_dir() for name in ("results", "remote"))
    root = folder.parent if above else folder
    if root != folder and folder.name != "results":
        raise _nothing(folder)
    paths = mteb.ResultCache(root).get_cache_paths(tasks=list(TASKS), require_model_meta=False)
    if not paths:
        raise _nothing(folder)
    cells: list[Cell] = []
    places: dict[str, Path] = {}
    for path in sorted(paths):
        found = list(_cells(path))
        places.update((cell.model, path.parent) for cell in found)
        cells += found
    facts = registered_facts(places)
    facts |= {name: _facts_beside(p) for name, p in places.items() if name not in facts}
    public = root / "remote"
    own = frozenset(name for name, place in places.items() if not place.is_relative_to(public))
    return Scores(tuple(cells), facts, (f"{folder}",), own)


def public_results() -> Scores:
    """All that MTEB's own cache holds, its clone of the public results included.

    Raises:
        DataUnavailableError: There is no clone.
    """
    cache = mteb.ResultCache()
    if not cache.has_remote:
        raise DataUnavailableError(
            f"{cache.cache_path}: no clone of MTEB's public results. "
            "mteb.ResultCache().download_from_remote() makes one"
        )
    return read_results(Path(cache.cache_path))


def _nothing(folder: Path) -> DataUnavailableError:
    return DataUnavailableError(
        f"{folder}: no results of MTEB in the tasks that are compared. Make some: mteb run "
        f"-m hybridir/pocket-base -t MLQARetrieval --output-folder {folder}"
    )


def _cells(path: Path) -> Iterator[Cell]:
    """The cells of one result file; a score that is no number is NaN."""
    try:
        result = TaskResult.from_disk(path)
        scores = result.scores
    except Exception as error:  # pydantic's, json's, and MTEB's own of old formats
        raise DataFormatError(
            f"{path}: not an MTEB result file ({one_line(error, 200)}); remove it and run the task "
            "again"
        ) from error
    model, revision = path.parent.parent.name.replace("__", "/", 1), path.parent.name
    for split, found in scores.items():
        for one in found:
            ndcg, mrr = number(one.get("ndcg_at_10")), number(one.get("mrr_at_10"))
            subset = str(one["hf_subset"])
            score = NAN if ndcg is None else ndcg
            yield Cell(model, revision, path.stem, str(split), subset, score, mrr)


def _facts_beside(folder: Path) -> Facts:
    """Of a model that the registry does not know: what ``mteb run`` wrote beside its results."""
    path = folder / META
    found: dict[str, Any] = read_json_object(path) if path.is_file() else {}
    trained_on = found.get("training_datasets")
    return Facts(
        parameters=whole(found.get("n_parameters")) or None,
        embedding_parameters=whole(found.get("n_embedding_parameters")) or None,
        active_parameters=whole(found.get("n_active_parameters_override")),
        released=None if found.get("release_date") is None else str(found["release_date"]),
        trained_on=frozenset(map(str, trained_on)) if isinstance(trained_on, list) else None,
        open_weights=found.get("open_weights") is True,
        revision=folder.name,
    )
