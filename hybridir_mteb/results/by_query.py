"""Scores of every query, in a file beside MTEB's result file of a task.

The file is a row of gzip members, one for each subset: gzip reads them as one text, a line of JSON
for each subset. A subset that is added or replaced leaves the bytes of all others as they are.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from hybridir_mteb.errors import DataFormatError, NoSpaceError, plain_logger, quoted
from hybridir_mteb.files import check_regular, replacing
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.files.numbers import number
from hybridir_mteb.files.record import SEAL, seal_of
from hybridir_mteb.files.stamp import Stamp, stamp_of

logger = plain_logger(__name__)

SUFFIX = ".by-query.jsonl.gz"  # mteb takes what ends in .json for a result
FORMAT = "hybridir-scores-by-query"
VERSION = 1
LIMIT = 32 << 20  # bytes of a file
TEXT_LIMIT = 64 << 20  # bytes of a subset's line
DIGITS = 6  # as MTEB rounds means
LEVEL = 6  # of gzip: the highest takes twice as long for a hundredth of the size
_TOLERANCE = 2e-6  # of a mean: it and its values are rounded
_TEXTS = ("task", "dataset_revision", "split", "subset", "language", "main_score")
_GZIP = 31  # zlib's number for it
_REMEDY = "remove it and run the task again"

Key = tuple[str, str]  # split and subset
# The file that was written last: a run adds many subsets to it, and need not read them each time.
_last: dict[Path, tuple[Stamp, dict[Key, bytes]]] = {}


@dataclass(frozen=True)
class QueryScores:
    """The scores of each query of one subset.

    Attributes:
        task: Name of the task.
        dataset_revision: Of the task's data.
        split: Name of the split.
        subset: Name of the subset.
        language: ISO 639-1 code of the queries.
        main_score: Name of the task's main measure.
        queries: (n_queries,) ids, as the task has them.
        units: (n_queries,) what each asks: translations of a question are one unit.
        scores: Measure -> (n_queries,) values; None where a measure is undefined for a query.
    """

    task: str
    dataset_revision: str
    split: str
    subset: str
    language: str
    main_score: str
    queries: Sequence[str]
    units: Sequence[str]
    scores: Mapping[str, Sequence[float | None]]

    @property
    def key(self) -> Key:
        """What there is one of in a file."""
        return self.split, self.subset

    def line(self) -> bytes:
        """The line of a file."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        scores = {
            measure: [None if value is None else round(value, DIGITS) for value in values]
            for measure, values in self.scores.items()
        }
        content = {"format": FORMAT, "version": VERSION, **texts}
        content |= {"queries": list(self.queries), "units": list(self.units), "scores": scores}
        sealed = {**content, SEAL: seal_of(content)}
        text = json.dumps(sealed, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode() + b"\n"


def beside(result: Path) -> Path:
    """Where the scores by query of a result file are."""
    return result.with_name(result.name.removesuffix(".json") + SUFFIX)


def add_beside(result: Path, one: QueryScores, kept: Collection[Key]) -> None:
    """Add a subset to the file beside a result, in place of what it has of that subset.

    Args:
        result: The result file.
        one: The subset.
        kept: The subsets that the result has; all others are dropped.

    Raises:
        NoSpaceError: The file would be larger than the limit, or the disk is full.
        OSError: It cannot be written.
    """
    path = beside(result)
    members: dict[Key, bytes] = {}
    try:
        members = {key: raw for key, raw in _there(path).items() if key in kept}
    except DataFormatError as error:
        logger.warning("%s; it is begun anew, so its other subsets are no longer there", error)
    members[one.key] = gzip.compress(one.line(), LEVEL, mtime=0)
    content = b"".join(members[key] for key in sorted(members))
    if len(content) > LIMIT:
        raise NoSpaceError(
            f"{path} would have {len(content) / 1e6:.0f} MB, more than the limit of "
            f"{LIMIT / 1e6:.0f} MB: run fewer subsets into one folder"
        )
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    _last.clear()
    _last[path] = stamp_of(path), members


def _there(path: Path) -> dict[Key, bytes]:
    """The members of a file; whoever else writes it puts another file in its place."""
    if not path.exists():
        return {}
    stamp, members = _last.get(path, (None, {}))
    if stamp == stamp_of(path):
        return members
    return {of.key: raw for raw, of in _members(path)}


def is_mean(mean: object, values: Sequence[float]) -> bool:
    """Whether a result's mean is that of scores by query: a copied or older file has others."""
    found = number(mean)
    return found is not None and bool(values) and abs(fmean(values) - found) <= _TOLERANCE


def read_by_query(path: Path) -> list[QueryScores]:
    """The subsets of a file, checked.

    Args:
        path: The file, named as :func:`beside` names it.

    Raises:
        DataFormatError: It is damaged, too large, or of a version that is not known.
        OSError: It cannot be read.
    """
    return [one for _, one in _members(path)]


def _members(path: Path) -> Iterator[tuple[bytes, QueryScores]]:
    """Each member as it is in the file, and what it says."""
    check_regular(path, LIMIT)
    rest = path.read_bytes()
    if not rest:
        raise DataFormatError(f"{path}: empty; {_REMEDY}")
    at = 0
    while rest:
        at += 1
        where = f"{path}: subset {at}"
        reader = zlib.decompressobj(_GZIP)
        try:
            text = reader.decompress(rest, TEXT_LIMIT)
        except zlib.error as error:
            raise DataFormatError(f"{where} is damaged ({error}); {_REMEDY}") from error
        if not reader.eof:
            what = "is too large" if reader.unconsumed_tail else "ends early"
            raise DataFormatError(f"{where} {what}; {_REMEDY}")
        raw, rest = rest[: len(rest) - len(reader.unused_data)], reader.unused_data
        yield raw, _of_line(text, where)


def _of_line(text: bytes, where: str) -> QueryScores:
    content: Any = parse_json(text, where)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataFormatError(f"{where}: no scores by query; {_REMEDY}")
    if content.get("version") != VERSION:
        raise DataFormatError(
            f"{where}: version {quoted(content.get('version'), 20)}, and this package reads "
            f"version {VERSION}: read it with the package that wrote it, or {_REMEDY}"
        )
    seal = content.pop(SEAL, None)
    if seal != seal_of(content):
        raise DataFormatError(f"{where} differs from its checksum; {_REMEDY}")
    parts: tuple[Any, ...] = tuple(content.get(one) for one in ("scores", "queries", "units"))
    scores, queries, units = parts
    sound = all(isinstance(content.get(name), str) for name in _TEXTS)
    sound = sound and _strings(queries) and _strings(units) and len(queries) == len(units)
    sound = (
        sound and isinstance(scores, dict) and all(_numbers(v, queries) for v in scores.values())
    )
    if not sound:
        raise DataFormatError(f"{where}: names, queries and scores do not fit; {_REMEDY}")
    named = {name: content[name] for name in _TEXTS}
    return QueryScores(**named, queries=queries, units=units, scores=scores)


def _strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _numbers(values: Any, queries: Sequence[str]) -> bool:
    if not isinstance(values, list) or len(values) != len(queries):
        return False
    return all(value is None or number(value) is not None for value in values)
