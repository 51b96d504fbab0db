"""Systems to compare: names that a user gives, what they stand for, and the queries in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hybridir_mteb.comparison.pairs import Comparison, by_question, compare, corrected
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
    quoted,
    suggest,
)
from hybridir_mteb.files.numbers import number
from hybridir_mteb.results.by_query import beside, is_mean, read_by_query
from hybridir_mteb.results.naming import encoder_of, result_files, revision_of
from hybridir_mteb.results.tables import read_splits

Entry = tuple[str, str]  # subset and query


@dataclass(frozen=True)
class Scores:
    """Scores by query of one run of one system on one task.

    Attributes:
        main: Name of the task's main measure.
        values: Measure -> subset and query -> value; nothing where it is undefined.
        units: Subset and query -> what it asks: translations of a question are one unit.
    """

    main: str
    values: Mapping[str, Mapping[Entry, float]]
    units: Mapping[Entry, str]


class Source(Protocol):
    """One run of a system: one seed."""

    def tasks(self) -> set[str]:
        """Names of the tasks that can be read."""
        ...

    def read(self, task: str) -> Scores:
        """Scores of one of the tasks."""
        ...


@dataclass(frozen=True)
class ResultSource:
    """Results of one model.

    Attributes:
        name: The model's name.
        place: Folder of its result files.
        folder: The ``--output-folder`` of ``mteb run``.
    """

    name: str
    place: Path
    folder: Path

    def tasks(self) -> set[str]:
        """Tasks whose scores by query are there."""
        return {path.stem for path in self.results() if beside(path).is_file()}

    def results(self) -> list[Path]:
        """All result files."""
        return [path for path in result_files(self.folder) if path.parent == self.place]

    def read(self, task: str) -> Scores:
        """Scores of one of the tasks.

        Raises:
            DataFormatError: A file is damaged, or its means are not those of the result.
            DataUnavailableError: There are no scores by query of this task.
        """
        result = self.place / f"{task}.json"
        if not beside(result).is_file():
            raise self.without(task)
        splits = read_splits(result)
        means = {(s, str(one.get("hf_subset"))): one for s, of in splits.items() for one in of}
        values: dict[str, dict[Entry, float]] = {}
        units: dict[Entry, str] = {}
        main = ""
        for one in read_by_query(beside(result)):
            if one.key not in means:
                continue
            entries, main = [(one.subset, query) for query in one.queries], one.main_score
            units |= dict(zip(entries, one.units, strict=True))
            for name, column in one.scores.items():
                known = {e: v for e, v in zip(entries, column, strict=True) if v is not None}
                mean = number(means[one.key].get(name))
                if mean is not None and not is_mean(mean, list(known.values())):
                    raise DataFormatError(
                        f"{beside(result)}: {name} of {quoted(one.subset, 80)} is not what the "
                        f"result beside it has; {self._again(task)}"
                    )
                values.setdefault(name, {}).update(known)
        return Scores(main, values, units)

    def without(self, task: str) -> DataUnavailableError:
        """The error of a result that has no scores by query, with how to make them."""
        path = self.place / f"{task}.json"
        return DataUnavailableError(
            f"{path}: no scores by query beside it ({beside(path).name}); {self._again(task)}"
        )

    def _again(self, task: str) -> str:
        return (
            f"run it again with HYBRIDIR_SCORES_BY_QUERY on: mteb run -m {self.name} -t {task} "
            f"--output-folder {self.folder} --overwrite-strategy always"
        )


def encoders(folder: Path) -> dict[str, ResultSource]:
    """Name -> results of every model below a folder; revisions of one name are told apart."""
    places = sorted({path.parent for path in result_files(folder) if len(path.parts) > 3})
    seen = Counter(encoder_of(place) for place in places)
    found = {}
    for place in places:
        name = full = encoder_of(place)
        if seen[name] > 1:
            full = f"{name} @{revision_of(place)}"
        found[full] = ResultSource(name, place, folder)
    return found


def sources_of(
    folder: Path, systems: Sequence[str], run: Callable[[Path], Source]
) -> dict[str, list[Source]]:
    """System -> its seeds.

    Args:
        folder: The ``--output-folder`` of ``mteb run``, or what paths of runs start from.
        systems: Names of encoders, or paths; ``name=one,two`` names several seeds of one system.
        run: Makes a source of a path.

    Raises:
        SettingError: Fewer than two systems, or one twice.
        UnknownNameError: Neither an encoder nor a path.
    """
    known = encoders(folder)
    found: dict[str, list[Source]] = {}
    for system in systems:
        label, several, seeds = system.partition("=")
        names = [one.strip() for one in seeds.split(",")] if several else [system]
        if system in known:
            label, names = system, [system]
        if label in found:
            raise SettingError(f"{quoted(label)} is there twice: give each system once")
        if len(set(names)) < len(names):
            raise SettingError(f"{quoted(system)} names a seed twice: give each once")
        found[label] = [_source(folder, name, known, run) for name in names]
    if len(found) < 2:
        raise SettingError(f"{', '.join(found)}: give at least two systems to compare")
    return found


def _source(
    folder: Path, name: str, known: Mapping[str, ResultSource], run: Callable[[Path], Source]
) -> Source:
    if name in known:
        return known[name]
    path = folder / name
    if name and path.exists():
        return run(path)
    there = f"only of {', '.join(known)}" if known else "and no other results"
    revisions = [one for one in known if one.startswith(f"{name} @")]
    if revisions:
        raise UnknownNameError(f"{quoted(name)} has several revisions: {', '.join(revisions)}")
    raise UnknownNameError(
        f"{folder} has no results of {quoted(name)}, {there}{suggest(name, known)}"
    )


def compare_all(
    systems: Mapping[str, Sequence[Source]],
    tasks: Sequence[str] = (),
    measures: Sequence[str] = (),
    lower: Callable[[str], bool | None] = lambda measure: None,
) -> list[Comparison]:
    """Tests of all pairs of systems on each task by each measure, corrected together.

    Args:
        systems: System -> its seeds.
        tasks: Names; by default all that every seed has scores by query of.
        measures: Names; by default the main measure of each task.
        lower: Whether less of a measure is better; None where built-in measures tell.

    Raises:
        UnknownNameError: A task or measure that the systems do not have.
        DataUnavailableError: No scores by query, or nothing in common.
        DataFormatError: A file is damaged.
    """
    found = []
    for task in _tasks(systems, tasks):
        read = {name: [seed.read(task) for seed in seeds] for name, seeds in systems.items()}
        main = next(iter(read.values()))[0].main
        asked = dict.fromkeys(measures or [main])
        found += [_compare(task, measure, read, lower) for measure in asked]
    return corrected(found)


def _tasks(systems: Mapping[str, Sequence[Source]], asked: Sequence[str]) -> list[str]:
    """The tasks to compare on.

    Raises:
        UnknownNameError: One was asked for that a system does not have.
        DataUnavailableError: There is none that all have.
    """
    seeds = [(name, seed) for name, of in systems.items() for seed in of]
    for task in asked:
        for name, seed in seeds:
            if task in seed.tasks():
                continue
            if isinstance(seed, ResultSource) and (seed.place / f"{task}.json").is_file():
                raise seed.without(task)
            there = sorted(seed.tasks())
            raise UnknownNameError(
                f"{quoted(name)} has no scores by query of {quoted(task)}, only of "
                f"{', '.join(there) or 'none'}{suggest(task, there)}"
            )
    if asked:
        return list(dict.fromkeys(asked))
    common = sorted(set.intersection(*(seed.tasks() for _, seed in seeds)))
    if common:
        return common
    for _, seed in seeds:
        if isinstance(seed, ResultSource) and not seed.tasks() and seed.results():
            raise seed.without(seed.results()[0].stem)
    have = "; ".join(f"{name}: {', '.join(sorted(s.tasks())) or 'none'}" for name, s in seeds)
    raise DataUnavailableError(f"no task that all have scores by query of ({have}): run the others")


def _compare(
    task: str,
    measure: str,
    read: Mapping[str, Sequence[Scores]],
    lower: Callable[[str], bool | None],
) -> Comparison:
    """One task by one measure, on the queries for which all have a value."""
    every = [(name, seed) for name, seeds in read.items() for seed in seeds]
    for name, seed in every:
        if not seed.values.get(measure):
            known = [one for one, values in seed.values.items() if values]
            raise UnknownNameError(
                f"{quoted(name)} has no {quoted(measure)} by query on {task}, only "
                f"{', '.join(known) or 'nothing'}{suggest(measure, known)}"
            )
    columns = [seed.values[measure] for _, seed in every]
    common = [entry for entry in columns[0] if all(entry in of for of in columns)]
    units = every[0][1].units
    questions = {units[entry] for entry in common}
    if len(questions) < 2:
        raise DataUnavailableError(
            f"{task}: {len(questions)} questions have {measure} of all systems, and tests need "
            "two: run them on the same subsets"
        )
    tables = {
        name: by_question([seed.values[measure] for seed in seeds], units, common)
        for name, seeds in read.items()
    }
    left = {
        name: max(len(seed.values[measure]) for seed in seeds) - len(common)
        for name, seeds in read.items()
    }
    left = {name: count for name, count in left.items() if count}
    return compare((task, measure), tables, len(common), left, lower=lower(measure))
