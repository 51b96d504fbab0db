"""Families: models of one maker and recipe that differ in size, from a table that users extend."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import DataFormatError, UnknownNameError, quoted, suggest
from hybridir_mteb.files.reading import decoded, read_bytes
from hybridir_mteb.plugins.specs import Family

TABLE = paths.DATA / "families.toml"
_KEYS = {"models", "note"}


@dataclass(frozen=True)
class Families:
    """All families, in order.

    Attributes:
        known: Those of the user come first, then those of plugins.
    """

    known: tuple[Family, ...]

    def of(self, model: str) -> Family | None:
        """The first family that names a model; None if none does."""
        return next((family for family in self.known if family.holds(model)), None)

    def named(self, names: Iterable[str]) -> list[Family]:
        """Families by their names.

        Raises:
            UnknownNameError: There is none of a name.
        """
        by_name = {family.name: family for family in self.known}
        for name in names:
            if name not in by_name:
                raise UnknownNameError(
                    f"no family {quoted(name)}{suggest(name, by_name)} (known: {', '.join(by_name)}"
                    "; --families adds others)"
                )
        return [by_name[name] for name in names]


def read_families(own: Path | None = None, of_plugins: Iterable[Family] = ()) -> Families:
    """The families of a file, of plugins and of the package; of two of a name, the first one.

    A file is TOML, as ``data/families.toml``.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It is no such table.
    """
    found: dict[str, Family] = {}
    for family in (*([] if own is None else _read(own)), *of_plugins, *_read(TABLE)):
        found.setdefault(family.name, family)
    return Families(tuple(found.values()))


def _read(path: Path) -> list[Family]:
    try:
        table = tomllib.loads(decoded(read_bytes(path), str(path)))
    except tomllib.TOMLDecodeError as error:
        raise DataFormatError(f"{path}: no TOML: {error}; mend the file") from error
    families = table.get("families")
    if not isinstance(families, dict) or table.keys() != {"families"}:
        raise DataFormatError(f'{path}: expected tables [families."name"] and nothing else')
    return [_family(path, name, entry) for name, entry in families.items()]


def _family(path: Path, name: str, entry: Any) -> Family:
    where = f"{path}: family {quoted(name, 80)}"
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS:
        raise DataFormatError(f"{where}: expected models and note, and nothing else")
    models, note = entry.get("models"), entry.get("note", "")
    if not (isinstance(models, list) and models and all(isinstance(one, str) for one in models)):
        raise DataFormatError(f'{where}: models must be names, such as ["owner/name-*"]')
    if not isinstance(note, str):
        raise DataFormatError(f"{where}: note must be text")
    return Family(name, tuple(models), note)
