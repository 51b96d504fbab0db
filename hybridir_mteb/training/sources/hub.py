"""Data sets of the hub by name, or local copies of them, with their columns mapped to ours.

Written for MS MARCO and its translations (mMARCO), where row i of each language's configuration is
the same triple. Never runs code from the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset

from hybridir_mteb.errors import DataFormatError, DataUnavailableError
from hybridir_mteb.training.pairs import Example, Source, TrainingItem

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}


@dataclass(frozen=True)
class HubColumns:
    """Names of the columns.

    Attributes:
        query: The query's text.
        passage: The relevant passage's text.
        negatives: Columns of one text or of a list of texts, hardest first.
        id: What translations share; by default the number of the row.
    """

    query: str = "query"
    passage: str = "positive"
    negatives: tuple[str, ...] = ()
    id: str | None = None


@dataclass(frozen=True)
class HubSet:
    """A data set with one configuration, file or folder a language.

    Attributes:
        name: ``owner/name`` on the hub, or a local folder.
        configurations: Language code -> configuration; of a local folder, file or folder in it.
        split: Split, or slice of it, such as ``train[:100000]``.
        revision: Commit on the hub.
        columns: Names of the columns.
    """

    name: str
    configurations: Mapping[str, str]
    split: str = "train"
    revision: str | None = None
    columns: HubColumns = field(default_factory=HubColumns)


def read_hub(data: HubSet) -> Source:
    """All languages of a data set, joined by id or row number.

    Raises:
        DataUnavailableError: The data set cannot be had.
        DataFormatError: A column is missing, a text is empty (with language and row), or data from
            the hub without a pinned revision.
    """
    examples: dict[str, dict[str, Example]] = {}
    for code, configuration in data.configurations.items():
        rows = _load(data, configuration)
        wanted = {data.columns.query, data.columns.passage, *data.columns.negatives}
        wanted |= {data.columns.id} if data.columns.id else set()
        missing = sorted(wanted - set(rows.column_names))
        if missing:
            raise DataFormatError(
                f"{data.name}, {configuration}: no column {', '.join(missing)}; it has "
                f"{', '.join(rows.column_names)}: name its columns in the recipe as query, "
                "passage, negatives and id"
            )
        for number, row in enumerate(rows):
            where = f"{data.name}, {configuration}, row {number}"
            key = str(row[data.columns.id]) if data.columns.id else str(number)
            examples.setdefault(key, {})[code] = _example(row, data.columns, where)
    # Rows of one query, as in MS MARCO's triples, are held out together.
    items = tuple(
        TrainingItem(key, found, found[min(found)].query) for key, found in examples.items()
    )
    origin = f"{data.name}@{data.revision or 'local'}:{data.split}"
    return Source(data.name, items, origin)


def _load(data: HubSet, configuration: str) -> Any:
    local = Path(data.name).expanduser()
    try:
        if local.is_dir():
            return _load_local(local / configuration, data.split)
        if data.revision is None:
            raise DataFormatError(
                f"{data.name}: give the commit as 'revision': data from the hub are pinned"
            )
        return load_dataset(data.name, configuration, split=data.split, revision=data.revision)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loading script
        if isinstance(error, DataFormatError):
            raise
        raise DataUnavailableError(
            f"{data.name}, {configuration}, {data.split}: {error}. Connect to the network, or give "
            "a local folder with one file or folder a language as 'name'"
        ) from error


def _load_local(place: Path, split: str) -> Any:
    if (place / "dataset_info.json").is_file():
        return Dataset.load_from_disk(str(place))
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    files = [path for path in files if path.suffix in FORMATS]
    if not files or not files[0].is_file():
        raise DataUnavailableError(f"{place}: no file of {', '.join(FORMATS)}")
    arguments = {"delimiter": "\t"} if files[0].suffix == ".tsv" else {}
    kept = split.partition("[")
    return load_dataset(
        FORMATS[files[0].suffix],
        data_files=[str(path) for path in files],
        split="train" + kept[1] + kept[2],  # loose files are one split, called train
        **arguments,
    )


def _example(row: Mapping[str, Any], columns: HubColumns, where: str) -> Example:
    query, passage = row[columns.query], row[columns.passage]
    for name, text in ((columns.query, query), (columns.passage, passage)):
        if not isinstance(text, str) or not text.strip():
            raise DataFormatError(f"{where}: column {name!r} must be a non-empty string")
    negatives: list[str] = []
    for name in columns.negatives:
        value = row[name]
        negatives += value if isinstance(value, list) else [value]
    return Example(query, passage, tuple(text for text in negatives if text))
