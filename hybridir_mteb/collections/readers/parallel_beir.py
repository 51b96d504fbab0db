"""BEIR folders of several languages whose ids are shared: a parallel collection.

BEIR and its translations have the same ids. What is judged in one language holds for the
translations: the judgements of all folders are joined, and apply wherever the passage exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path

from hybridir_mteb.collections.collection import Collection, CollectionPart, ListedPassages
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.collections.readers.beir import BeirFiles, beir_files, check_texts, read_queries
from hybridir_mteb.collections.readers.qrels import read_judgements
from hybridir_mteb.collections.readers.rows import FileSource
from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.plugins.settings import Subset


class ParallelFolders:
    """Folders in BEIR's layout, one a language, that are translations of one another.

    - A query is asked in each language that has its text, if it has a relevant passage.
    - A passage is a candidate in each language that has it, translated or not.
    - A judgement of any folder holds in every language that has the passage.

    Args:
        name: What messages call the collection.
        folders: ISO 639-1 code -> folder, two or more.
        split: Which judgements to read, in each of them.

    Attributes:
        grades: Query -> passage -> grade, of all folders together, of the queries that have a
            relevant passage.

    Raises:
        UnknownNameError: A language is not known.
        DataUnavailableError: A file is missing.
        DataFormatError: A line of queries or judgements is malformed, two judgements disagree, or a
            judged query has no text.
    """

    def __init__(self, name: str, folders: Mapping[str, Path], split: str = "test") -> None:
        self._name, self._folders = name, dict(sorted(folders.items()))
        for code in folders:
            check_language(code)
        self._files = {code: beir_files(path, split) for code, path in self._folders.items()}
        self._texts = {code: read_queries(files.queries) for code, files in self._files.items()}
        self.grades = _joined(self._files.values(), self._texts.values())

    def read(self, languages: Sequence[str]) -> Collection:
        """Some of the languages, their passages in memory.

        Raises:
            DataFormatError: A line of passages is malformed, a judged query is empty, or two of the
                languages have nothing in common.
        """
        found = Collection({code: self._part(code) for code in languages}, parallel=True)
        for a, b in combinations(languages, 2):
            self._check_shared("judged queries", a, b, *(found.part(c).queries for c in (a, b)))
            ids = ([p.id for p in found.part(c).passages.passages()] for c in (a, b))
            self._check_shared("passages", a, b, *ids)
        for a, b in product(languages, repeat=2):
            if not found.judged(Subset(f"{a}-{b}", a, (b,))):
                raise DataFormatError(
                    f"{self._folders[a]}: no query has a relevant passage in {self._folders[b]}, "
                    f"so {a}-{b} has nothing to score; translations share their ids: correct them"
                )
        return found

    def check_judged(self, collection: Collection) -> None:
        """Refuse judgements of passages that are in none of the languages; they would not count.

        Raises:
            DataFormatError: There is one.
        """
        parts = collection.parts.values()
        there = {(q, p) for part in parts for q, judged in part.qrels.items() for p in judged}
        pairs = ((query, passage) for query, judged in self.grades.items() for passage in judged)
        if nowhere := [pair for pair in pairs if pair not in there]:
            query, passage = nowhere[0]
            raise DataFormatError(
                f"{', '.join(map(str, self._folders.values()))}: {len(nowhere)} judgements are of "
                f"passages that no corpus has, the first is passage {quoted(passage)} of query "
                f"{quoted(query)}; add the passages, or remove the judgements"
            )

    def _part(self, code: str) -> CollectionPart:
        files = self._files[code]
        queries = {q: text for q, text in self._texts[code].items() if q in self.grades}
        check_texts(files, queries)
        source = FileSource(f"{self._name} {code}", files.corpus)
        listed = list(source.passages())
        ids = {passage.id for passage in listed}
        qrels = {
            query: {passage: grade for passage, grade in judged.items() if passage in ids}
            for query, judged in self.grades.items()
        }
        return CollectionPart(code, queries, qrels, ListedPassages(source.name, listed))

    def _check_shared(
        self, what: str, a: str, b: str, of_a: Iterable[str], of_b: Iterable[str]
    ) -> None:
        of_a, of_b = list(of_a), list(of_b)
        if set(of_a).isdisjoint(of_b):
            first = " and ".join(quoted(ids[0], 80) if ids else "none" for ids in (of_a, of_b))
            raise DataFormatError(
                f"{self._folders[a]} and {self._folders[b]}: their {what} have no id in common "
                f"(the first ids are {first}); translations share their ids: correct one of them"
            )


def _joined(
    folders: Iterable[BeirFiles], texts: Iterable[Mapping[str, str]]
) -> dict[str, dict[str, int]]:
    """Query -> passage -> grade of all folders, of the queries that have a relevant passage."""
    folders, known = list(folders), {query for one in texts for query in one}
    grades: dict[str, dict[str, int]] = {}
    places: dict[tuple[str, str], str] = {}
    for where, query, passage, grade in (
        one for files in folders for path in files.qrels for one in read_judgements(path)
    ):
        if query not in known:
            raise DataFormatError(
                f"{where}: query {quoted(query, 80)} is in none of "
                f"{', '.join(str(files.queries[0]) for files in folders)}; add it, or remove the "
                "line"
            )
        place = places.setdefault((query, passage), where)
        former = grades.setdefault(query, {}).setdefault(passage, grade)
        if former != grade:
            raise DataFormatError(
                f"{where}: passage {quoted(passage, 80)} has grade {grade} for query "
                f"{quoted(query, 80)}, and {former} at {place}; judgements hold in all languages: "
                "keep one of them"
            )
    kept = {query: judged for query, judged in grades.items() if max(judged.values()) > 0}
    if not kept:
        files = ", ".join(str(one.qrels[0]) for one in folders)
        raise DataFormatError(f"{files}: no query has a relevant passage, of grade 1 or more")
    return kept
