"""Reads a streamed collection through once and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import CollectionPart, PassageSource, expected_passages
from hybridir_mteb.files import tie_key
from hybridir_mteb.files.progress import progress
from hybridir_mteb.files.repeats import Repeats


@dataclass(frozen=True)
class PartSummary:
    """What one language of a streamed collection holds.

    Attributes:
        queries: Number of queries.
        judgements: Number of judgements, of any grade.
        relevant: Number of judgements of grade 1 or more.
        passages: Number of passages.
        empty: Number of passages without any text.
        duplicates: Number of passages whose id occurs before.
        duplicate: The first such id, or an empty string.
        missing: Number of judgements of passages that are not there.
        missing_relevant: Number of missing ones of grade 1 or more.
        missing_example: Query and passage of the first missing one, or None.
    """

    queries: int
    judgements: int
    relevant: int
    passages: int
    empty: int
    duplicates: int
    duplicate: str
    missing: int
    missing_relevant: int
    missing_example: tuple[str, str] | None

    def __str__(self) -> str:
        return (
            f"{self.queries} queries, {self.passages} passages, {self.judgements} judgements "
            f"({self.relevant} relevant)"
        )


def read_through(part: CollectionPart) -> PartSummary:
    """Read all passages once, a second time only if an id seems to occur twice.

    Memory: the ids of the judged passages, and little besides.

    Raises:
        DataUnavailableError: A file is missing.
        DataFormatError: A line is malformed.
        NoSpaceError: The disk of the cache is full.
    """
    pairs = [
        (query, passage, grade)
        for query, judged in part.qrels.items()
        for passage, grade in judged.items()
    ]
    absent = {passage for _, passage, _ in pairs}
    passages = empty = 0
    source, total = part.passages, expected_passages(part.passages)
    with Repeats(paths.cache_dir()) as ids:
        for passage in progress(source.passages(), desc=source.name, total=total, unit=" passages"):
            ids.add(hash_of(passage.id))
            absent.discard(passage.id)
            passages += 1
            empty += not passage.content
        repeated, duplicate = duplicates(part.passages, ids.found().tolist())
    missing = [pair for pair in pairs if pair[1] in absent]
    return PartSummary(
        queries=len(part.queries),
        judgements=len(pairs),
        relevant=sum(grade > 0 for _, _, grade in pairs),
        passages=passages,
        empty=empty,
        duplicates=repeated,
        duplicate=duplicate,
        missing=len(missing),
        missing_relevant=sum(grade > 0 for _, _, grade in missing),
        missing_example=missing[0][:2] if missing else None,
    )


def hash_of(identifier: str) -> int:
    """Eight bytes that tell most ids apart."""
    return int.from_bytes(tie_key(identifier), "little")


def duplicates(source: PassageSource, suspects: Iterable[int]) -> tuple[int, str]:
    """Number of ids that occur before, and the first of them; read again only if some seem to.

    Args:
        source: The passages.
        suspects: Those of :func:`hash_of` their ids that occur more than once.
    """
    suspected = set(suspects)
    if not suspected:
        return 0, ""
    seen: set[str] = set()  # hashes of different ids may be equal
    again: list[str] = []
    for passage in source.passages():
        if hash_of(passage.id) in suspected:
            if passage.id in seen:
                again.append(passage.id)
            seen.add(passage.id)
    return len(again), again[0] if again else ""
