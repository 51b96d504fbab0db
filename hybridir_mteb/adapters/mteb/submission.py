"""An encoder's results as the public results repository takes them, and drafts of the requests.

Nothing is sent: a person reads the drafts, completes them and opens the two pull requests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mteb.models.model_implementations import MODEL_REGISTRY

from hybridir_mteb.adapters.mteb.drafts import (
    MOCK_RUN,
    model_file,
    model_request,
    results_request,
)
from hybridir_mteb.adapters.mteb.register import owner_of, register
from hybridir_mteb.errors import DataUnavailableError, SettingError, quoted, suggest
from hybridir_mteb.files import folder_beside, move_in, write_text
from hybridir_mteb.files.room import check_folder
from hybridir_mteb.results.naming import META, encoder_of
from hybridir_mteb.results.submission import SETTINGS, faults, folder_of, results_in


@dataclass(frozen=True)
class Bundled:
    """What a bundle is made of.

    Attributes:
        name: Of the encoder.
        meta: Its metadata in MTEB's registry; None if it has none.
        upstream: Whether MTEB itself has them, without plugins.
        folders: The revisions' folders with results.
        left_out: Revisions of which there are results that are not taken.
    """

    name: str
    meta: Any
    upstream: bool
    folders: tuple[Path, ...]
    left_out: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        """The tasks that have results."""
        return sorted({path.stem for folder in self.folders for path in results_in(folder)})


@dataclass(frozen=True)
class Outcome:
    """What became of a bundle.

    Attributes:
        faults: Why it was refused, one line each; then nothing was written.
        written: Files below the output folder.
        notes: What a person should know.
    """

    faults: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_results(name: str, results: Path, revision: str | None = None) -> Bundled:
    """The results of an encoder: of the revision asked for, else of the registered one.

    Args:
        name: Of the encoder, as MTEB knows it.
        results: The ``--output-folder`` of ``mteb run``, or its ``results``.
        revision: Its first characters.

    Raises:
        DataUnavailableError: There are none.
    """
    ours = register().models
    meta = MODEL_REGISTRY.get(name)
    upstream = meta is not None and not (name in ours and dict(ours.items())[name] is meta)
    root = results / "results" if (results / "results").is_dir() else results
    found = [path for path in sorted(root.glob(f"{folder_of(name)}/*")) if path.is_dir()]
    found = [path for path in found if results_in(path)]
    if not found:
        known = {encoder_of(path) for path in root.glob("*/*") if path.is_dir()}
        raise DataUnavailableError(
            f"{results}: no results of {quoted(name)}; make some: mteb run -m {name} "
            f"-t XQuADRMultilingualRetrieval --output-folder {results}{suggest(name, known)}"
        )
    wanted = revision if revision is not None else str(getattr(meta, "revision", None))
    taken = [path for path in found if path.name.startswith(wanted)]
    if revision is not None and not taken:
        raise DataUnavailableError(
            f"{root}: {name} has results of {', '.join(path.name for path in found)}, and of no "
            f"revision {quoted(revision)}; choose one of these"
        )
    taken = taken or found  # their revision may be none, which is refused by name
    return Bundled(name, meta, upstream, tuple(taken), _names(set(found) - set(taken)))


def _names(folders: Iterable[Path]) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folders))


def bundle(found: Bundled, output: Path, public: Path | None, mock_run: bool) -> Outcome:
    """Write the tree of the results repository and the drafts, unless something is refused.

    Args:
        found: The results.
        output: Folder to write; there must be nothing.
        public: A clone of the results repository, or None.
        mock_run: Whether to load the encoder and run MTEB's mock tasks with it.

    Raises:
        SettingError: There is something at the output, or no clone where one was named.
    """
    check_folder(output, "--output")
    if output.exists() and any(output.iterdir()):
        raise SettingError(f"{output}: not empty; choose another --output")
    clone = None if public is None else public / "results"
    if clone is not None and not clone.is_dir():
        raise SettingError(
            f"{public}: no clone of the results repository: it has no results folder"
        )
    with folder_beside(output) as folder:
        tree = folder / "results"
        for revision in found.folders:
            place = tree / revision.parent.name / revision.name
            place.mkdir(parents=True)
            for path in (*results_in(revision), revision / META, revision / SETTINGS):
                if path.is_file():
                    shutil.copyfile(path, place / path.name)
        refused = faults(tree, clone)
        if refused:
            return Outcome(
                [line.replace(str(tree), str(found.folders[0].parents[1])) for line in refused]
            )
        notes = _notes(found, clone)
        _write_drafts(found, folder, mock_run)
        if output.exists():
            output.rmdir()
        if not move_in(folder, output):
            raise SettingError(f"{output}: not empty; choose another --output")
    written = [str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()]
    return Outcome([], sorted(written), notes)


def _notes(found: Bundled, clone: Path | None) -> list[str]:
    notes = []
    if not found.upstream:
        notes.append(
            f"MTEB itself does not know {found.name}: the model's request comes first, and the "
            "results are refused until it is merged"
        )
    unknown = [task for task in found.tasks if owner_of(task) != "mteb"]
    if unknown:
        notes.append(f"the leaderboard shows no task that MTEB lacks: {', '.join(unknown)}")
    if clone is None:
        notes.append("not compared with public results: --public names a clone of the repository")
    if found.left_out:
        notes.append(f"left out, of other revisions: {', '.join(found.left_out)}")
    experiments = [path for path in found.folders if (path / "experiments").is_dir()]
    if experiments:
        notes.append("left out: results of experiments, which are no results of the model itself")
    return notes


def _write_drafts(found: Bundled, folder: Path, mock_run: bool) -> None:
    """The results' request, and the model's where MTEB lacks the model."""
    write_text(folder / "results-request.md", results_request(found))
    if found.upstream:
        return
    tested = ""
    if mock_run:
        import mteb

        tested = mteb.mock_run(mteb.get_model(found.name)).to_markdown()
        write_text(folder / "model" / MOCK_RUN, tested + "\n")
    if found.meta is not None:
        organisation = found.name.partition("/")[0].lower().replace("-", "_")
        write_text(folder / "model" / f"{organisation}_models.py", model_file(found.meta))
    write_text(folder / "model" / "model-request.md", model_request(found, tested))
