"""Parallel retrieval collections: queries, passages and relevance in several languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.collections.languages import suggest_language
from hybridir_mteb.errors import DataFormatError, UnknownNameError, quoted
from hybridir_mteb.files import digest_of
from hybridir_mteb.plugins.settings import Context, Subset


def query_id(language: str, identifier: str) -> str:
    """An id with role and language, so that no two ids of a collection collide."""
    return f"q:{language}:{identifier}"


def passage_id(language: str, identifier: str) -> str:
    """An id with role and language, so that no two ids of a collection collide."""
    return f"p:{language}:{identifier}"


@dataclass(frozen=True)
class Query:
    """One query in one language.

    Attributes:
        parallel_id: The id that its translations share.
        text: The query.
        relevant: Positions of its relevant passages among the passages of the same language.
    """

    parallel_id: str
    text: str
    relevant: tuple[int, ...]


@dataclass(frozen=True)
class Passage:
    """One candidate passage.

    Attributes:
        local_id: Id within its language.
        text: The passage.
        context: The text around it, for ``context="sentence+paragraph"``; may be empty.
    """

    local_id: str
    text: str
    context: str = ""


@dataclass(frozen=True)
class LanguagePart:
    """The queries and candidate passages of one language, in file order."""

    language: str
    queries: tuple[Query, ...]
    passages: tuple[Passage, ...]

    def __post_init__(self) -> None:
        check_language(self.language)
        self._check_unique("query", [query.parallel_id for query in self.queries])
        self._check_unique("passage", [passage.local_id for passage in self.passages])
        for query in self.queries:
            if fault := self._fault(query):
                named = quoted(query.parallel_id, 80)
                raise DataFormatError(f"{self.language}: query {named}: {fault}")
        for passage in self.passages:
            if not passage.text.strip():
                named = quoted(passage.local_id, 80)
                raise DataFormatError(f"{self.language}: passage {named} is empty")

    def _fault(self, query: Query) -> str | None:
        outside = [at for at in query.relevant if not 0 <= at < len(self.passages)]
        if outside:
            return f"no passage {outside[0]}"
        if len(set(query.relevant)) < len(query.relevant):
            return "a relevant passage is given twice"
        return None if query.text.strip() else "its text is empty"

    def _check_unique(self, what: str, ids: Sequence[str]) -> None:
        seen: set[str] = set()
        for identifier in ids:
            if identifier in seen:
                raise DataFormatError(
                    f"{self.language}: {what} id {quoted(identifier, 80)} occurs twice"
                )
            seen.add(identifier)

    def query_id(self, position: int) -> str:
        """Id with role and language."""
        return query_id(self.language, self.queries[position].parallel_id)

    def passage_id(self, position: int) -> str:
        """Id with role and language."""
        return passage_id(self.language, self.passages[position].local_id)

    def read_as(self, context: Context) -> CollectionPart:
        """The language as tasks see it, each passage with as much context as is asked for."""
        ids = [passage.local_id for passage in self.passages]
        texts = [passage_text(self, at, context) for at in range(len(ids))]
        return CollectionPart(
            self.language,
            {query.parallel_id: query.text for query in self.queries},
            {
                query.parallel_id: dict.fromkeys((ids[at] for at in query.relevant), 1)
                for query in self.queries
            },
            ListedPassages(self.language, list(map(StreamedPassage, ids, texts))),
        )

    @cached_property
    def relevant_by_parallel_id(self) -> Mapping[str, tuple[int, ...]]:
        """Parallel id -> positions of the relevant passages of this language."""
        return MappingProxyType({query.parallel_id: query.relevant for query in self.queries})


@dataclass(frozen=True)
class ParallelCollection:
    """Queries that exist in several languages under one id, each with passages in each language.

    Partly parallel collections are fine: a query need not exist in every language.

    Attributes:
        name: Name of the collection, PascalCase.
        parts: Language code -> its queries and passages.

    Raises:
        DataFormatError: No language, an id that occurs twice, an empty text, or a relevant passage
            that does not exist.
    """

    name: str
    parts: Mapping[str, LanguagePart] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.parts:
            raise DataFormatError(f"collection {self.name} has no language")
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))
        for code, part in self.parts.items():
            if code != part.language:
                raise DataFormatError(
                    f"{self.name}: part {quoted(code)} holds language {part.language}"
                )

    def check_answered(self) -> None:
        """Check that each query has a relevant passage; for collections that are loaded whole.

        Raises:
            DataFormatError: A query has no relevant passage in any of the languages loaded.
        """
        queries = [query for part in self.parts.values() for query in part.queries]
        answered = {query.parallel_id for query in queries if query.relevant}
        for query in queries:
            if query.parallel_id not in answered:
                raise DataFormatError(
                    f"{self.name}: query {quoted(query.parallel_id, 80)} has no relevant "
                    "passage in any language; give it one or leave the query out"
                )

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes, sorted."""
        return tuple(sorted(self.parts))

    def part(self, language: str) -> LanguagePart:
        """One language's queries and passages.

        Raises:
            UnknownNameError: The collection does not have the language.
        """
        if language not in self.parts:
            raise UnknownNameError(
                f"{self.name} has no language {quoted(language, 80)}, only "
                f"{', '.join(self.languages)}{suggest_language(language, self.languages)}"
            )
        return self.parts[language]


def passage_text(part: LanguagePart, position: int, context: Context) -> str:
    """The text of a candidate as the encoder sees it: the sentence, then the paragraph if asked.

    Stripped, as MTEB strips every document.
    """
    passage = part.passages[position]
    if context is Context.SENTENCE or not passage.context.strip():
        return passage.text.strip()
    return f"{passage.text.strip()} {passage.context.strip()}"


def judged_queries(
    collection: ParallelCollection, subset: Subset
) -> Iterator[tuple[int, list[str]]]:
    """Positions of the subset's queries, each with the ids of its relevant passages.

    Queries without a relevant passage in the pool are left out.
    """
    pools = [collection.part(code) for code in subset.passage_languages]
    for position, query in enumerate(collection.part(subset.query_language).queries):
        relevant = [
            pool.passage_id(at)
            for pool in pools
            for at in pool.relevant_by_parallel_id.get(query.parallel_id, ())
        ]
        if relevant:
            yield position, relevant


@dataclass(frozen=True, slots=True)
class StreamedPassage:
    """One passage of a source.

    Attributes:
        id: Unique in its source.
        text: Without the title.
        title: May be empty.
    """

    id: str
    text: str
    title: str = ""

    @property
    def content(self) -> str:
        """What the encoder sees: title and text, joined and stripped as MTEB and BEIR do it."""
        return f"{self.title} {self.text}".strip() if self.title else self.text.strip()


@runtime_checkable
class PassageSource(Protocol):
    """The passages of one language, in an order that never changes."""

    @property
    def name(self) -> str:
        """For messages and progress bars, such as ``MIRACL sw``."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of the content: other passages, or another order, have another one.

        Raises:
            DataUnavailableError: A file is missing.
        """
        ...

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        """Passages ``start`` to ``stop``, in constant memory; each call reads anew.

        Raises:
            DataUnavailableError: A file is missing.
            DataFormatError: A line is malformed; the message names file, line and remedy.
        """
        ...


SMALLEST = 32  # bytes that a passage takes at least in a compressed file


def expected_passages(source: PassageSource) -> int | None:
    """How many passages a source should have; None if it does not say."""
    return getattr(source, "expected", None)  # optional in sources of plugins


def at_most_passages(source: PassageSource) -> int | None:
    """The same, unless the files are too small to hold so many."""
    expected, n_bytes = expected_passages(source), getattr(source, "n_bytes", None)
    return expected if expected is None or n_bytes is None else min(expected, n_bytes // SMALLEST)


@dataclass(frozen=True)
class ListedPassages:
    """Passages that are in memory, as a source.

    Attributes:
        name: For messages.
        listed: The passages, in order.
    """

    name: str
    listed: Sequence[StreamedPassage] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Hex digest of ids and texts."""
        return digest_of(*(f"{p.id}\t{p.title}\t{p.text}" for p in self.listed))

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        """Passages ``start`` to ``stop``."""
        return iter(self.listed[start:stop])


@dataclass(frozen=True)
class CollectionPart:
    """One language of a collection, as tasks see it; passages are read one by one.

    Attributes:
        language: ISO 639-1 code of the passages.
        queries: Query id -> text, in file order.
        qrels: Query id -> passage id -> grade; relevant from 1. Ids are those of the files.
        passages: The candidates.
    """

    language: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    passages: PassageSource = field(repr=False)

    def judged(self) -> dict[str, Mapping[str, int]]:
        """Query -> passage -> grade of the queries that have a relevant passage."""
        grades = {query: self.qrels.get(query, {}) for query in self.queries}
        return {q: found for q, found in grades.items() if any(g > 0 for g in found.values())}

    def read_as(self, context: Context) -> CollectionPart:
        """Itself: its passages have no context; as :meth:`LanguagePart.read_as`."""
        return self


StreamedPart = CollectionPart  # its name up to version 0.1


class Grade(NamedTuple):
    """One judgement: the language and id of a passage, and how relevant it is."""

    language: str
    passage: str
    grade: int


@dataclass(frozen=True)
class Collection:
    """What is loaded of a collection.

    Attributes:
        parts: Language code -> the language.
        parallel: Whether a query exists in several languages under one id.
    """

    parts: Mapping[str, CollectionPart]
    parallel: bool
    _graded: dict[str, dict[str, list[Grade]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def part(self, language: str) -> CollectionPart:
        """One language; as :meth:`ParallelCollection.part`."""
        return self.parts[language]

    def judged(self, subset: Subset) -> dict[str, list[Grade]]:
        """Query id -> its judgements in the subset's pool.

        Queries without a relevant passage in the pool are left out.
        """
        pools = subset.passage_languages if self.parallel else (subset.query_language,)
        graded = [self._grades(code) for code in pools]
        found = {}
        for query in self.parts[subset.query_language].queries:
            grades = [one for by_query in graded for one in by_query.get(query, ())]
            if any(one.grade > 0 for one in grades):
                found[query] = grades
        return found

    def _grades(self, code: str) -> dict[str, list[Grade]]:
        """Query id -> its judgements in one language, which many subsets share."""
        if code not in self._graded:
            self._graded[code] = {
                query: [Grade(code, passage, grade) for passage, grade in grades.items()]
                for query, grades in self.parts[code].qrels.items()
            }
        return self._graded[code]
