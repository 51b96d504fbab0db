"""What an encoder's folder may hold, and how it takes its place in the store.

Imports neither torch nor mteb.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files import beside, move_in, replacing
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.plugins.names import OWNER

if TYPE_CHECKING:
    from hybridir_mteb.encoders.trained import StoredEncoder

# Record key -> types: what loading and MTEB's metadata need, dots lead inwards.
_NEEDED: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "fingerprint": (str,),
    "created": (str,),
    "dimension": (int,),
    "data": (list,),
    "backbone.name": (str,),
    "backbone.revision": (str,),
}
_NEEDED_TRAINED: Mapping[str, tuple[type, ...]] = {
    "parameters": (int,),
    "backbone.weights": (str, type(None)),
}
# What only later versions note, where it is known.
_FACTS: Mapping[str, tuple[type, ...]] = {
    "embedding_parameters": (int, type(None)),
    "longest_input": (int, type(None)),
    "memory_mb": (int, type(None)),
    "license": (str, type(None)),
    "languages": (list,),
}
_NEEDED_DEBIASED: Mapping[str, tuple[type, ...]] = {
    "parameters": (int, type(None)),
    "similarity": (str, type(None)),
    "backbone.model_revision": (str, type(None)),
    "debiaser.method": (str,),
}


def check_record(record: Any, place: object) -> None:
    """Refuse the content of a ``hybridir.json`` from which no metadata could be made.

    Raises:
        DataFormatError: A key is missing, or its value is of another type.
    """
    if not isinstance(record, dict):
        raise DataFormatError(f"{place}: not a record of an encoder but {type(record).__name__}")
    more = _NEEDED_DEBIASED if "debiaser" in record else _NEEDED_TRAINED
    for key, types in {**_NEEDED, **more}.items():
        value: Any = record
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise DataFormatError(f"{place}: the record has no {key!r}")
            value = value[part]
        if not isinstance(value, types) or isinstance(value, bool):
            raise DataFormatError(f"{place}: the record's {key!r} is {quoted(value)}")
    _check_facts(record.get("facts", {}), place)
    base = record["backbone"]["name"]
    ours = "debiaser" in record and base.startswith(f"{OWNER}/")
    if ours and not record["name"].startswith(f"{base}+"):  # it might be its own base
        raise DataFormatError(f"{place}: the record's 'backbone.name' is not that of its name")
    try:
        date.fromisoformat(record["created"][:10])
    except ValueError as error:
        raise DataFormatError(f"{place}: the record's 'created' is no date: {error}") from error
    if not all(
        isinstance(item, dict) and {"source", "origin"} <= set(item) for item in record["data"]
    ):
        raise DataFormatError(f"{place}: the record's 'data' do not name source and origin")
    checks = record.get("leak_check", {})
    leaked = checks.get("leaked_sets", []) if isinstance(checks, dict) else None
    if not isinstance(leaked, list) or not all(isinstance(name, str) for name in leaked):
        raise DataFormatError(f"{place}: the record's 'leak_check' has no list of leaked_sets")


def _check_facts(facts: Any, place: object) -> None:
    """Refuse what is no fact; facts that only later versions know are passed over."""
    if not isinstance(facts, dict):
        raise DataFormatError(f"{place}: the record's 'facts': {quoted(facts)}")
    for key in _FACTS.keys() & facts.keys():
        value = facts[key]
        codes = value if isinstance(value, list) else []
        sound = isinstance(value, _FACTS[key]) and not isinstance(value, bool)
        if not sound or not all(isinstance(code, str) for code in codes):
            raise DataFormatError(f"{place}: the record's 'facts' {quoted(key)}: {quoted(value)}")


def origin_of(backbone: Mapping[str, Any]) -> str:
    """Name of the network in an encoder's record: on the hub, or ``local/<folder>``."""
    weights = backbone.get("weights")
    if weights is None:
        return str(backbone.get("hub_id") or backbone["name"])
    return f"local/{Path(weights).name}" if backbone["revision"] == "local" else str(weights)


def skipping(
    encoder: StoredEncoder, report: Callable[[str], None] | None
) -> AbstractContextManager[None]:
    """Whatever fails for one encoder is reported by its name; without a report, it is raised."""
    return alone(
        f"encoder {encoder.name} is skipped",
        report,
        f"remove {encoder.path} (hybridir models rm {encoder.name}), or make the encoder again",
    )


def take_place(
    folder: Path, target: Path, described_by: tuple[str, ...], sound: Callable[[Path], bool]
) -> None:
    """Move a complete folder to its target, where a reader always finds a complete one.

    Another process may do the same: whoever comes second finds equal weights there and replaces
    what describes them. Damaged ones are replaced file by file.

    Args:
        folder: On the same file system; files may be left in it.
        target: Where the encoder belongs; nothing else is put there.
        described_by: Files that describe the others, and go last.
        sound: Whether a folder holds the weights that belong there.
    """
    if move_in(folder, target):
        return
    keep = sound(target)
    ours = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    for path in sorted(ours, key=lambda path: (path.as_posix() in described_by, path)):
        if not keep or path.as_posix() in described_by:
            if (target / path).is_dir() and not (target / path).is_symlink():
                shutil.rmtree(target / path)  # no file can take its place
            with replacing(target / path) as temporary:
                (folder / path).rename(temporary)
    for path in () if keep else list(target.rglob("*")):
        hidden = path.name.startswith(".")  # another process may be writing it
        other = path.is_symlink() or not path.is_dir()
        if other and not hidden and path.relative_to(target) not in ours:
            path.unlink(missing_ok=True)  # would count among the files


def folders_in(parent: Path) -> list[Path]:
    """The folders in another, without hidden ones: runs, and what is still being written."""
    if not parent.is_dir() and not parent.is_symlink():
        return []
    paths_in = sorted(path for path in parent.iterdir() if not path.name.startswith("."))
    return [path for path in paths_in if path.is_symlink() or path.is_dir()]


@contextmanager
def no_empty(home: Path) -> Iterator[None]:
    """An encoder that did not come to be leaves no folder of its name."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            home.rmdir()
        raise


def delete_folder(folder: Path) -> None:
    """Under another name first: nobody sees a part of it."""
    gone = beside(folder.with_name("removed"))
    folder.rename(gone)
    if gone.is_symlink():
        gone.unlink()
    else:
        shutil.rmtree(gone)
