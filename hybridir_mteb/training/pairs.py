"""Training data: items that exist in one or several languages, and the pairs drawn from them.

A row is one item in one language: a query and its passage. A training pair takes the query of one
row and the passage of another row of the same item, so n items in L languages give n x L x L pairs
without storing them. Batch samplers yield :class:`Draw` objects; :class:`PairDataset` turns them
into text.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.ranking.arrays import IntArray

LABELS = "label"
NEGATIVE = "negative_"
_STORED = ("item", "language", "query", "passage", "negatives")


class Draw(NamedTuple):
    """One training pair.

    Attributes:
        query: Row whose query is taken.
        passage: Row whose passage and negatives are taken: the same item.
        salt: Random bits of this draw: everything else that is random about the pair (unlabelled
            text, another language, replaced words) follows from them, so that a resumed run repeats
            it.
    """

    query: int
    passage: int
    salt: int


@dataclass(frozen=True)
class Example:
    """An item in one language.

    Attributes:
        query: Non-empty text.
        passage: Non-empty text that answers it.
        negatives: Passages that do not, hardest first.
    """

    query: str
    passage: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingItem:
    """A query with its passage, by language; translations of each other.

    Attributes:
        id: Unique within its source.
        examples: ISO 639-1 code -> the item in this language; at least one.
        document: What is kept together when a part is held out; by default the id.
    """

    id: str
    examples: Mapping[str, Example]
    document: str = ""


@dataclass(frozen=True)
class Source:
    """A set of items from one place; a batch never mixes sources.

    Attributes:
        name: For logs and metadata.
        items: The items.
        origin: Where they come from, with revision, for the record of a training run.
        written: Whether the queries were written, and not cut out of the documents.
        documents: All documents of the corpus that the items are about, in its order; by default
            those of the items, in the order in which they first occur.
    """

    name: str
    items: tuple[TrainingItem, ...]
    origin: str = ""
    written: bool = True
    documents: tuple[str, ...] = ()

    def order(self) -> tuple[str, ...]:
        """The documents in order, each once."""
        return tuple(dict.fromkeys(self.documents or (i.document or i.id for i in self.items)))


# (text, language, salt) -> text: applied to both sides of a pair, such as code switching.
TextTransform = Callable[[str, str, int], str]


@dataclass(frozen=True)
class Columns:
    """What a drawn pair carries besides query, passage and negatives.

    Attributes:
        unlabelled: Add ``text``: a passage in a random language that belongs to no pair.
        pivot: Add ``pivot_query`` and ``pivot_passage``: the item in this language, or in the
            query's own where the item lacks it.
        transform: Applied to query and passage.
        translated: Add ``other_query``: the item's query in another language, each that it has
            equally often, or the query itself where it has no other.
    """

    unlabelled: bool = False
    pivot: str | None = None
    transform: TextTransform | None = None
    translated: bool = False


@dataclass(frozen=True)
class ItemTable:
    """Which item is where: everything that a batch sampler needs, without any text.

    Attributes:
        languages: Sorted codes; their positions are the language numbers.
        sources: Names of the sources.
        rows: (n_items, n_languages) row of each item in each language, -1 where it is missing.
        source: (n_items,) number of the source.
        keys: For each item, hashes of its normalised passages: two items that share one are false
            negatives of each other.
    """

    languages: tuple[str, ...]
    sources: tuple[str, ...]
    rows: IntArray
    source: IntArray
    keys: tuple[frozenset[int], ...]


class PairDataset(Dataset):  # type: ignore[misc]  # datasets carries no types
    """Rows of (item, language) as a ``datasets.Dataset``, indexed by :class:`Draw` in training.

    Use :meth:`build`. An integer index gives a stored row, as with any ``Dataset``; a draw gives
    the row that the trainer's collator tokenizes: ``query``, ``passage``, ``negative_1`` ..., the
    extra :class:`Columns`, and ``label``: the language numbers of query, passage, text and other
    query.
    """

    items: ItemTable
    extra: Columns
    negatives_of_source: tuple[int, ...]

    @classmethod
    def build(cls, sources: Sequence[Source], extra: Columns | None = None) -> PairDataset:
        """Lay out items as rows.

        Raises:
            DataFormatError: There is no item, or an item has no language.
        """
        languages = tuple(sorted({c for s in sources for item in s.items for c in item.examples}))
        if not languages:
            raise DataFormatError("the training data hold no item; check the recipe's data")
        columns: dict[str, list[Any]] = {name: [] for name in _STORED}
        every = [item for source in sources for item in source.items]
        rows = np.full((len(every), len(languages)), -1, np.int64)
        for number, item in enumerate(every):
            if not item.examples:
                raise DataFormatError(f"training item {quoted(item.id, 80)} has no language")
            for code, example in sorted(item.examples.items()):
                rows[number, languages.index(code)] = len(columns["item"])
                row = (number, code, example.query, example.passage, list(example.negatives))
                for name, value in zip(_STORED, row, strict=True):
                    columns[name].append(value)
        dataset: PairDataset = cls.from_dict(columns)
        dataset.items = ItemTable(
            languages,
            tuple(source.name for source in sources),
            rows,
            np.repeat(np.arange(len(sources)), [len(source.items) for source in sources]),
            tuple(frozenset(_key(e.passage) for e in item.examples.values()) for item in every),
        )
        dataset.extra = extra or Columns()
        dataset.negatives_of_source = tuple(common_negatives(source.items) for source in sources)
        return dataset

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Draw):
            return self.__getitems__([key])[0]
        return super().__getitem__(key)

    def __getitems__(self, keys: Sequence[Any]) -> list[Any]:
        if not keys or not isinstance(keys[0], Draw):
            rows: list[Any] = super().__getitems__(keys)
            return rows
        return self._pairs(keys)

    def _pairs(self, draws: Sequence[Draw]) -> list[dict[str, Any]]:
        companions = [self._companions(draw) for draw in draws]
        needed = {*(row for draw in draws for row in draw[:2]), *(r for c in companions for r in c)}
        order = sorted(row for row in needed if row >= 0)
        cells = super().__getitem__(order)
        stored = {
            row: {name: column[at] for name, column in cells.items()}
            for at, row in enumerate(order)
        }
        return [self._pair(draw, stored, c) for draw, c in zip(draws, companions, strict=True)]

    def _companions(self, draw: Draw) -> tuple[int, int, int]:
        """Rows of unlabelled text, other query and pivot; -1 where not asked for."""
        rest, text = divmod(draw.salt, len(self))
        other = pivot = -1
        # (n_languages,) rows of the query's item, -1 where it is missing.
        versions: IntArray = self.items.rows[int(self.data.column("item")[draw.query].as_py())]
        if self.extra.translated:
            others = versions[(versions >= 0) & (versions != draw.query)]
            other = int(others[rest % len(others)]) if len(others) else draw.query
        if (code := self.extra.pivot) is not None:
            known = code in self.items.languages
            pivot = int(versions[self.items.languages.index(code)]) if known else -1
            pivot = pivot if pivot >= 0 else draw.query
        return text if self.extra.unlabelled else -1, other, pivot

    def _pair(
        self, draw: Draw, stored: Mapping[int, Mapping[str, Any]], companions: tuple[int, int, int]
    ) -> dict[str, Any]:
        text, other, pivot = companions
        query, passage = stored[draw.query], stored[draw.passage]
        change = self.extra.transform or (lambda words, _language, _salt: words)
        pair = {
            "query": change(query["query"], query["language"], draw.salt),
            "passage": change(passage["passage"], passage["language"], draw.salt),
        }
        count = self.negatives_of_source[int(self.items.source[query["item"]])]
        for at, negative in enumerate(passage["negatives"][:count], 1):
            pair[f"{NEGATIVE}{at}"] = negative
        labels = [self._number(query), self._number(passage)]
        if text >= 0:
            pair["text"] = stored[text]["passage"]
            labels.append(self._number(stored[text]))
        if other >= 0:
            pair["other_query"] = stored[other]["query"]
            labels.append(self._number(stored[other]))
        if pivot >= 0:
            pair["pivot_query"] = stored[pivot]["query"]
            pair["pivot_passage"] = stored[pivot]["passage"]
        return {**pair, LABELS: labels}

    def _number(self, row: Mapping[str, Any]) -> int:
        return self.items.languages.index(row["language"])


def common_negatives(items: Iterable[TrainingItem]) -> int:
    """Hard negatives that every example of a source has: a batch needs equally many of each."""
    return min((len(e.negatives) for item in items for e in item.examples.values()), default=0)


def _key(passage: str) -> int:
    digest = hashlib.blake2b(normalise(passage).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def normalise(text: str) -> str:
    """Letters and digits of a text, compatibility forms and case folded, all else dropped.

    The leak check and the search for false negatives call texts equal that are equal in this form:
    spaces and punctuation differ between copies of one text and between scripts.
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_KEPT)


class _Kept(dict[int, int | None]):
    """What a character becomes, found out once: itself if a letter, mark or digit, else nothing."""

    def __missing__(self, code: int) -> int | None:
        kept = code if unicodedata.category(chr(code))[0] in "LNM" else None
        self[code] = kept
        return kept


_KEPT = _Kept()
