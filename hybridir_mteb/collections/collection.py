"""Parallel retrieval collections: queries, passages and relevance in several languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.errors import DataFormatError, UnknownNameError
from hybridir_mteb.plugins.settings import Context, Subset


def language_of(identifier: str) -> str:
    """The language in a query or passage id of a collection, such as ``q:de:7`` or ``p:de:0.1``."""
    return identifier.split(":", 2)[1]


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
            fault = self._fault(query)
            if fault:
                raise DataFormatError(f"{self.language}: query {query.parallel_id!r}: {fault}")
        for passage in self.passages:
            if not passage.text.strip():
                raise DataFormatError(f"{self.language}: passage {passage.local_id!r} is empty")

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
                raise DataFormatError(f"{self.language}: {what} id {identifier!r} occurs twice")
            seen.add(identifier)

    def query_id(self, position: int) -> str:
        """Id with role and language."""
        return query_id(self.language, self.queries[position].parallel_id)

    def passage_id(self, position: int) -> str:
        """Id with role and language."""
        return passage_id(self.language, self.passages[position].local_id)

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
                raise DataFormatError(f"{self.name}: part {code!r} holds language {part.language}")

    def check_answered(self) -> None:
        """Check that each query has a relevant passage; for collections that are loaded whole.

        Raises:
            DataFormatError: A query has no relevant passage in any of the languages loaded.
        """
        answered = {
            query.parallel_id
            for part in self.parts.values()
            for query in part.queries
            if query.relevant
        }
        for part in self.parts.values():
            for query in part.queries:
                if query.parallel_id not in answered:
                    raise DataFormatError(
                        f"{self.name}: query {query.parallel_id!r} has no relevant passage in any "
                        "language; give it one or leave the query out"
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
                f"{self.name} has no language {language!r}, only {', '.join(self.languages)}"
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
