"""The folder of an export: made beside its place, then renamed; with a README on where it is from.

Subsets that search one pool share its files by hard links.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hybridir_mteb.collections.export.formats import ExportSubset, Format, write_pool, write_queries
from hybridir_mteb.errors import DataFormatError, HybridIRError, SettingError, one_line
from hybridir_mteb.files import folder_beside, sha256_of
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.room import check_folder

RECORD = "export.json"
KEYS = {"format", "task", "collection", "subsets"}  # of every record
DEFAULT = "default"


@dataclass(frozen=True)
class Origin:
    """Where exported data come from, for the README."""

    task: str
    collection: str
    setting: str
    description: str
    source: str
    revision: str
    license: str
    reference: str
    citation: str = ""


@dataclass(frozen=True)
class ExportedSubset:
    """Numbers of one subset; ``folder`` is relative to the export's."""

    name: str
    folder: str
    split: str
    queries: int
    judgements: int
    passages: int


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    folder: Path
    format: Format
    subsets: tuple[ExportedSubset, ...]


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place that holds something else.

    Raises:
        SettingError: The folder exists and is not to be overwritten, or is no export.
    """
    check_folder(folder.parent)
    if not folder.exists():
        return
    if not overwrite:
        raise SettingError(f"{folder} exists; add --overwrite, or give another folder")
    why = f"{RECORD} is missing"
    if (folder / RECORD).is_file():
        try:
            why = "" if read_json_object(folder / RECORD).keys() >= KEYS else f"by its {RECORD}"
        except (DataFormatError, OSError) as error:
            why = one_line(error)
    if why:
        raise SettingError(
            f"{folder} is no export ({why}), so it is not overwritten; give another folder"
        )


def write_export(
    subsets: Iterable[ExportSubset],
    origin: Origin,
    folder: Path,
    form: Format,
    *,
    overwrite: bool = False,
) -> Exported:
    """Write subsets to a folder that appears whole or not at all.

    Raises:
        SettingError: As of :func:`check_target`, or the disk is full or cannot be written to.
        DataFormatError: An id that the format cannot hold.
    """
    place = folder.resolve()  # a link stays one
    aside = place.with_name(f".{place.name}.old")
    check_target(folder, overwrite=overwrite)
    try:
        _recover(place, aside)
        with folder_beside(place) as building:
            done = _write_subsets(subsets, building, form)
            readme = _readme(origin, done, building, form)
            (building / "README.md").write_text(readme, encoding="utf-8")
            record = {"format": form, **asdict(origin), "subsets": [asdict(one) for one in done]}
            text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
            (building / RECORD).write_text(text, encoding="utf-8")
            _put_in_place(building, place, aside)
    except HybridIRError:  # some are OSErrors
        raise
    except OSError as error:
        raise SettingError(
            f"{folder} was not written: {error}; free some space or give another folder"
        ) from error
    return Exported(folder, form, tuple(done))


def _recover(place: Path, aside: Path) -> None:
    """What an export that was killed as it replaced an older one left aside: back, or away."""
    if aside.is_dir() and not place.exists():
        aside.rename(place)
    elif aside.is_dir():
        shutil.rmtree(aside)


def _put_in_place(building: Path, place: Path, aside: Path) -> None:
    """Rename; an older export goes only once the new one is there."""
    if not place.exists():
        building.rename(place)
        return
    place.rename(aside)
    try:
        building.rename(place)
    except OSError:
        aside.rename(place)
        raise
    shutil.rmtree(aside)


def _write_subsets(
    subsets: Iterable[ExportSubset], building: Path, form: Format
) -> list[ExportedSubset]:
    pools: dict[str, tuple[Path, int, list[str]]] = {}
    done = []
    for subset in subsets:
        folder = building if subset.name == DEFAULT else building / subset.name
        folder.mkdir(parents=True, exist_ok=True)
        if subset.pool in pools:
            first, count, names = pools[subset.pool]
            for name in names:
                _link(first / name, folder / name)
        else:
            count, names = write_pool(subset, folder, form)
            pools[subset.pool] = folder, count, names
        write_queries(subset, folder, form)
        relative = folder.relative_to(building).as_posix()
        sizes = (len(subset.queries), sum(map(len, subset.qrels.values())), count)
        done.append(ExportedSubset(subset.name, relative, subset.split, *sizes))
    return done


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _readme(origin: Origin, done: Sequence[ExportedSubset], building: Path, form: Format) -> str:
    rows = [
        f"| {one.name} | `{one.folder}` | {one.split} | {one.queries} | {one.judgements} "
        f"| {one.passages} |"
        for one in done
    ]
    citation = f"\n```bibtex\n{origin.citation.strip()}\n```\n" if origin.citation.strip() else ""
    head = _hub_head(done, building) if form is Format.JSONL else ""
    return f"""{head}# {origin.task}

{origin.description}

- collection: {origin.collection}, {origin.setting} setting
- source: {origin.source}, revision {origin.revision}
- licence: {origin.license}
- reference: {origin.reference}
- format: {form.value}; written by `hybridir export {form.value} {origin.task}`

| subset | folder | split | queries | judgements | passages |
| --- | --- | --- | --: | --: | --: |
{chr(10).join(rows)}
{citation}"""


def _hub_head(done: Sequence[ExportedSubset], building: Path) -> str:
    """The configurations by which MTEB finds the files, as the hub's data cards have them.

    ``datasets`` caches what it read by these lines and the folder's name, whatever the files hold
    (``LocalDatasetModuleFactory`` of 5.2.0): without a digest, an export that replaced another, or
    has its name, would be read as the other.
    """
    digests: dict[int, str] = {}  # by inode: a pool that is shared is read once
    lines = ["---", "configs:"]
    for one in done:
        start = "" if one.name == DEFAULT else f"{one.name}-"
        base = "" if one.folder == "." else f"{one.folder}/"
        qrels = "default" if one.name == DEFAULT else f"{one.name}-qrels"
        files = {
            f"{start}corpus": "corpus.jsonl",
            f"{start}queries": "queries.jsonl",
            qrels: f"qrels/{one.split}.jsonl",
        }
        for name, file in files.items():
            path = building / one.folder / file
            inode = path.stat().st_ino
            digests[inode] = digests.get(inode) or sha256_of(path)
            lines += [
                f"- config_name: {name}",
                f"  description: sha256 {digests[inode]}",
                "  data_files:",
                f"  - split: {one.split}",
                f"    path: {base}{file}",
            ]
    return "\n".join([*lines, "---", "", ""])
