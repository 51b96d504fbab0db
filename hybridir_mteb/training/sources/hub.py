"""Data sets of the hub by name, or local copies of them, with their columns mapped to ours.

Written for MS MARCO and its translations (mMARCO), where row i of each language's configuration is
the same triple. Never runs code from the hub.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, quoted
from hybridir_mteb.files.reading import numbered_lines
from hybridir_mteb.files.remote import reached
from hybridir_mteb.paths import with_home
from hybridir_mteb.training.pairs import Example, Source, TrainingItem
from hybridir_mteb.training.recipe import Hub

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}


def read_hub(data: Hub, languages: tuple[str, ...] = ()) -> Source:
    """A data set joined by id or row number, in some languages or all.

    Raises:
        DataUnavailableError: The data set cannot be had.
        DataFormatError: A column is missing, a text is empty (with language and row), or data from
            the hub without a pinned revision.
    """
    examples: dict[str, dict[str, Example]] = {}
    for code, configuration in data.configurations.items():
        if languages and code not in languages:
            continue
        rows = _load(data, configuration)
        wanted = {data.query, data.passage, *data.negatives, *([data.id] if data.id else [])}
        missing = sorted(wanted - set(rows.column_names))
        if missing:
            raise DataFormatError(
                f"{data.name}, {configuration}: no column {', '.join(missing)}; it has "
                f"{', '.join(rows.column_names)}: name its columns in the recipe as query, "
                "passage, negatives and id"
            )
        for number, row in enumerate(rows):
            where = f"{data.name}, {configuration}, row {number}"
            key = _key(row[data.id], data.id, where) if data.id else str(number)
            of_item = examples.setdefault(key, {})
            if code in of_item:
                raise DataFormatError(
                    f"{where}: id {quoted(key, 80)} occurs twice in {quoted(code)}; ids tell what "
                    "translations share: leave 'id' out of the recipe to join by rows"
                )
            of_item[code] = _example(row, data, where)
    # Rows of one query, as in MS MARCO's triples, are held out together.
    items = tuple(
        TrainingItem(key, found, found[min(found)].query) for key, found in examples.items()
    )
    origin = f"{data.name}@{data.revision or 'local'}:{data.split}"
    return Source(data.name, items, origin)


def _key(value: Any, column: str, where: str) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise DataFormatError(
            f"{where}: column {quoted(column)} must be a string or a whole number, got "
            f"{quoted(value, 80)}"
        )
    return str(value)


def _load(data: Hub, configuration: str) -> Any:
    said = f"{data.name}, {configuration}, {data.split}: cannot be read"
    local = with_home(data.name)
    if local.is_dir():
        with reached(said, remedy=f"check it: {', '.join(FORMATS)} or a saved data set are read"):
            return _load_local(local / configuration, data.split)
    if data.revision is None:
        raise DataFormatError(
            f"{data.name}: give the commit as 'revision': data from the hub are pinned"
        )
    with reached(said, "give a local folder with one file or folder a language as 'name'"):
        return load_dataset(data.name, configuration, split=data.split, revision=data.revision)


def _load_local(place: Path, split: str) -> Any:
    if (place / "dataset_info.json").is_file():
        return Dataset.load_from_disk(str(place))
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    files = [path for path in files if path.suffix in FORMATS]
    if not files or not files[0].is_file():
        raise DataUnavailableError(f"{place}: no file of {', '.join(FORMATS)}")
    arguments: dict[str, Any] = {}
    if files[0].suffix == ".tsv":
        arguments = {"delimiter": "\t"}
        for path in files:
            _check_quotes(path)
    kept = split.partition("[")
    return load_dataset(
        FORMATS[files[0].suffix],
        data_files=[str(path) for path in files],
        split="train" + kept[1] + kept[2],  # loose files are one split, called train
        **arguments,
    )


def _check_quotes(path: Path) -> None:
    """Refuse a quotation mark that opens and does not close: rows until the next would be lost."""
    for number, line in numbered_lines(path):
        if '"' in line:
            try:
                list(csv.reader([line], delimiter="\t", strict=True))
            except csv.Error as error:
                raise DataFormatError(
                    f"{path}:{number}: a column that begins with a quotation mark must end with "
                    f"one ({error}); quote as CSV does, or give JSON lines"
                ) from error


def _example(row: Mapping[str, Any], data: Hub, where: str) -> Example:
    query, passage = row[data.query], row[data.passage]
    for name, text in ((data.query, query), (data.passage, passage)):
        if not isinstance(text, str) or not text.strip():
            raise DataFormatError(
                f"{where}: column {quoted(name)} must be a non-empty string, got {quoted(text, 80)}"
            )
    negatives: list[str] = []
    for name in data.negatives:
        value = row[name]
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str | None) for text in texts):
            raise DataFormatError(
                f"{where}: column {quoted(name)} must hold strings, got {quoted(value, 80)}"
            )
        negatives += texts
    return Example(query, passage, tuple(text for text in negatives if text))
