"""What MTEB's public results repository takes: its checks, on a folder before it is sent.

The rules are those of the tests in ``embeddings-benchmark/results``; ``tests/results`` holds them
against a stand-in of that repository.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.json_text import parse_json, read_json_object
from hybridir_mteb.files.numbers import number
from hybridir_mteb.files.reading import naming, numbered_lines
from hybridir_mteb.results.naming import META
from hybridir_mteb.results.tables import read_splits

SETTINGS = "run_settings.jsonl"
LARGEST_FILE = 10 << 20  # bytes
TOLERANCE = 0.001
OLDEST_MTEB = (2, 14)
# Names that stand where nobody knew the revision; the last one is this package's own.
NO_REVISION = frozenset(
    {"", "None", "none", "null", "no_revision_available", "external", "not-on-this-machine"}
)

Scored = Mapping[tuple[str, str], Mapping[str, Any]]  # split and subset -> its scores


def folder_of(name: str) -> str:
    """The folder of a model's name, such as ``org__model``."""
    return name.replace("/", "__").replace(" ", "_")


def results_in(folder: Path) -> list[Path]:
    """The result files of one revision, sorted."""
    return sorted(path for path in folder.glob("*.json") if path.name != META)


def faults(tree: Path, public: Path | None = None) -> list[str]:
    """What the results repository would refuse, one line each; empty if it takes everything.

    Args:
        tree: Folder with ``<org>__<model>/<revision>/<Task>.json``.
        public: The same folder of a clone of the repository; None if there is none at hand.
    """
    found: list[str] = []
    for model in sorted(tree.iterdir()):
        if not model.is_dir():
            found.append(f"{model}: only folders of models belong here; remove it")
            continue
        known = None if public is None else public / model.name
        for revision in sorted(model.iterdir()):
            before = None if known is None else known / revision.name
            found += _Revision(revision, before).faults()
        found += _duplicates(model, known)
    return found


def _duplicates(model: Path, known: Path | None) -> Iterator[str]:
    """Tasks that several revisions have, those of the public folder included."""
    places: dict[str, set[str]] = defaultdict(set)
    for root in (model, known):
        for path in () if root is None else sorted(root.glob("*/*.json")):
            if path.name != META:
                places[path.stem].add(path.parent.name)
    ours = {path.stem for path in model.glob("*/*.json")}
    for task, revisions in places.items():
        if len(revisions) > 1 and task in ours:
            yield (
                f"{model.name}: {task} has results of {len(revisions)} revisions "
                f"({', '.join(sorted(revisions))}); keep one with --revision, or ask upstream to "
                "remove the older one"
            )


@dataclass(frozen=True)
class _Revision:
    """The results of one revision.

    Attributes:
        folder: Where they are.
        public: Its place in the clone; there may be nothing.
    """

    folder: Path
    public: Path | None

    def faults(self) -> Iterator[str]:
        """What would be refused."""
        if not self.folder.is_dir():
            yield f"{self.folder}: results belong into the folder of a revision; move it there"
            return
        yield from self._structure()
        covered, problem = _covered(self.folder / SETTINGS)
        if problem:
            yield problem
        for path in results_in(self.folder):
            try:
                yield from self._file(path, covered)
            except DataFormatError as error:
                yield str(error)

    def _structure(self) -> Iterator[str]:
        meta = self.folder / META
        if not results_in(self.folder):
            yield f"{self.folder}: no result of any task; remove the folder"
        yield from (
            f"{path}: a folder of a revision holds files only; remove it"
            for path in sorted(self.folder.iterdir())
            if path.is_dir()
        )
        if not meta.is_file():
            yield f"{meta}: missing; run a task again, which writes it"
            return
        try:
            content = read_json_object(meta)
        except DataFormatError as error:
            yield str(error)
            return
        name, revision = content.get("name"), content.get("revision")
        if folder_of(str(name)) != self.folder.parent.name:
            yield f"{meta}: the name {quoted(name)} is not that of the folder; rename the folder"
        if revision is None or str(revision).strip() in NO_REVISION:
            yield (
                f"{meta}: the revision {quoted(revision)} is none; run the tasks with a model "
                "whose ModelMeta has a revision"
            )
        elif revision != self.folder.name:
            yield f"{meta}: the revision {quoted(revision)} is not the folder's; rename the folder"

    def _file(self, path: Path, covered: frozenset[tuple[str, str, str]]) -> Iterator[str]:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            yield f"{path}: {size / 2**20:.1f} MB, and 10 are taken; run fewer subsets at a time"
            return
        with naming(path):
            task = read_json_object(path, nan=True).get("task_name")
        if task != path.stem:
            yield f"{path}: the task {quoted(task)} is not the file's name; rename the file"
        new = _scored(path)
        if not new:
            yield f"{path}: no scores; run the task again"
        old = [
            subset
            for (_, subset), scores in new.items()
            if _version(scores.get("mteb_version")) < OLDEST_MTEB
        ]
        if old:
            yield f"{path}: {old[0]} was scored by no MTEB of 2.14 or later; run it again"
        missing = [key for key in new if (path.stem, *key) not in covered]
        if missing:
            yield f"{path}: {SETTINGS} does not cover {_named(missing[0])}; run it again"
        before = None if self.public is None else self.public / path.name
        if before is not None and before.is_file():
            yield from _changes(path, _scored(before), new)


def _changes(path: Path, old: Scored, new: Scored) -> Iterator[str]:
    """What may not differ from results that are public."""
    for key, scores in old.items():
        if key not in new:
            yield f"{path}: {_named(key)} is public and would be removed; run it, too"
            continue
        gone = set(scores.get("languages") or ()) - set(new[key].get("languages") or ())
        if gone:
            yield f"{path}: {_named(key)} would lose {', '.join(sorted(gone))}; run it in full"
        was, is_now = (_of_one(one.get("main_score")) for one in (scores, new[key]))
        if was is not None and is_now is not None and abs(was - is_now) > TOLERANCE:
            yield (
                f"{path}: {_named(key)} is {is_now:.4f}, and {was:.4f} is public; find out why, or "
                "keep the public one"
            )


def _scored(path: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    splits = read_splits(path)
    return {
        (split, str(one.get("hf_subset"))): one
        for split, scores in splits.items()
        for one in scores
    }


def _covered(path: Path) -> tuple[frozenset[tuple[str, str, str]], str]:
    """Task, split and subset of all runs whose settings are kept, and what is wrong with them."""
    found: set[tuple[str, str, str]] = set()
    if not path.is_file():
        return frozenset(), f"{path}: missing; run the tasks with MTEB 2.14 or later"
    try:
        for line_number, line in numbered_lines(path):
            if not line.strip():
                continue
            run = parse_json(line, f"{path}:{line_number}")
            splits, subsets = (run.get(f"{key}s", [run.get(key)]) for key in ("split", "subset"))
            found |= {(str(run["task"]), str(a), str(b)) for a in splits for b in subsets}
    except DataFormatError as error:
        return frozenset(found), str(error)
    except (AttributeError, KeyError, TypeError):
        return frozenset(found), f"{path}:{line_number}: no settings of a run; remove the line"
    return frozenset(found), ""


def _version(text: object) -> tuple[int, ...]:
    parts = str(text).split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())


def _of_one(score: object) -> float | None:
    """A main score between 0 and 1; some old ones are in percent."""
    value = number(score)
    return value / 100 if value is not None and value > 1 else value


def _named(key: tuple[str, str]) -> str:
    return f"subset {key[1]} of split {key[0]}"
