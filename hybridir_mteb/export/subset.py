"""What is exported: the queries, passages and judgements behind one score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hybridir_mteb.passages import StreamedPassage


@dataclass(frozen=True)
class ExportSubset:
    """One subset of a task.

    Attributes:
        name: As MTEB has it; ``default`` is the only one of its task.
        split: Name of the evaluation split.
        queries: Query id -> text.
        qrels: Query id -> passage id -> grade.
        passages: Reads the pool anew at each call, passage by passage.
        pool: Equal for subsets that share a pool; their files are one.
        query_languages: Query id -> ISO 639-1 code.
        passage_language: Tells the code of a passage by its id.
        items: Query id -> what it asks, which translations share; None if not parallel.
    """

    name: str
    split: str
    queries: Mapping[str, str] = field(repr=False)
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    passages: Callable[[], Iterator[StreamedPassage]] = field(repr=False)
    pool: str
    query_languages: Mapping[str, str] = field(repr=False)
    passage_language: Callable[[str], str] = field(repr=False)
    items: Mapping[str, str] | None = field(default=None, repr=False)
