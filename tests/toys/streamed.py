"""A streamed collection in two languages and encoders for it, shared by tests of streamed tasks."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.collections.collection import CollectionPart, StreamedPassage
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import CollectionSpec
from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.exact import ranks_and_top
from hybridir_mteb.ranking.judgements import Judgements
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.scorers import DenseScorer
from toys.card import CARD
from toys.encoders import hash_embedding
from toys.mteb import measures

MONO, MULTI = "StreamedMonolingualRetrieval", "StreamedMultilingualRetrieval"
DISTINCT = 56  # texts among 60 passages
SPOKEN = {
    "sw": "maji moto paka mbwa ndege nyumba chakula kitabu shule mtoto gari jua mwezi",
    "yo": "omi ina ologbo aja eye ile ounje iwe ile-iwe omo oko oorun osupa",
}
WORDS = {code: words.split() for code, words in SPOKEN.items()}


@dataclass
class ListSource:
    """Passages in memory; counts how often they are read."""

    name: str
    rows: tuple[StreamedPassage, ...]
    reads: int = 0

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        self.reads += 1
        yield from self.rows[start:stop]


def toy_part(code: str, n_passages: int = 30, n_queries: int = 8) -> CollectionPart:
    """Passages of random words, some twice; judgements graded 0 to 2."""
    rng = np.random.default_rng(sum(map(ord, code)))
    words = WORDS[code]
    texts = [" ".join(rng.choice(words, 5)) for _ in range(n_passages)]
    texts[7] = texts[3]  # ties
    texts[11] = texts[3]
    rows = tuple(
        StreamedPassage(f"{at // 3}#{at % 3}", text, words[at % 4] if at % 2 else "")
        for at, text in enumerate(texts)
    )
    queries = {f"q{at}": " ".join(rng.choice(words, 3)) + "?" for at in range(n_queries)}
    qrels = {
        query: {
            rows[int(row)].id: grade
            for row, grade in zip(3 * at + rng.permutation(3), (1, 2, 0), strict=True)
        }
        for at, query in enumerate(queries)
    }
    qrels["q0"][rows[7].id] = 1
    qrels["q1"] = {rows[0].id: 0}  # judged, and nothing relevant: left out
    return CollectionPart(code, queries, qrels, ListSource(f"Toy {code}", rows))


def toy_spec(parts: dict[str, CollectionPart] | None = None, **changes: Any) -> CollectionSpec:
    """The collection, in both settings."""
    held = parts or {code: toy_part(code) for code in WORDS}
    content = {
        "name": "Streamed",
        "languages": tuple(sorted(held)),
        "load": held.__getitem__,
        "card": CARD,
        "split": "dev",
        "parallel": False,
        "settings": (Setting.MONOLINGUAL, Setting.MULTILINGUAL),
    }
    return CollectionSpec(**{**content, **changes})


def task_of(name: str, spec: CollectionSpec | None = None) -> Any:
    """A task of the collection, by name."""
    found = {t.metadata.name: t for t in make_tasks(spec or toy_spec(), measures())}
    return found[name]()


def loaded_task_of(name: str, spec: CollectionSpec | None = None) -> Any:
    """The same, with its data."""
    task = task_of(name, spec)
    task.load_data()
    return task


def plain(text: str, code: str, role: str) -> np.ndarray:
    """What :class:`HashEncoder` does."""
    return hash_embedding(text)


def in_memory(
    embed: Callable[[str, str, str], np.ndarray],
    parts: dict[str, CollectionPart],
    asked: str,
    spoken: tuple[str, ...],
) -> tuple[RankTable, dict[str, list[str]]]:
    """Ranks and rankings by the dense path over everything at once.

    Args:
        embed: Embedding of a text, given its language and role.
        parts: The collection.
        asked: Query language.
        spoken: Languages of the pool.
    """
    pool = [(code, p) for code in spoken for p in parts[code].passages.passages()]
    column = {(code, p.id): at for at, (code, p) in enumerate(pool)}
    judged = {
        query: {p: grade for p, grade in grades.items() if grade > 0}
        for query, grades in parts[asked].qrels.items()
        if any(grade > 0 for grade in grades.values())
    }
    queries = np.stack([embed(parts[asked].queries[q], asked, "query") for q in judged])
    texts = dict.fromkeys((p.content, code) for code, p in pool)
    place = {key: at for at, key in enumerate(texts)}
    vectors = np.stack([embed(text, code, "document") for text, code in texts])
    columns = np.array([place[p.content, code] for code, p in pool])
    scorer = DenseScorer(queries, vectors, columns, similarity=Similarity.COSINE)
    order = tie_order([f"p:{code}:{p.id}" for code, p in pool])
    relevance = Relevance.from_lists([[column[asked, p] for p in row] for row in judged.values()])
    gains = np.array([float(g) for row in judged.values() for g in row.values()])
    ranking = ranks_and_top(scorer, relevance, order, 100)
    top, codes = ranking.top, [code for code, _ in pool]
    names = [str(at) for at in range(len(pool))]
    seen = Judgements.of_lists(relevance, [asked] * len(judged), codes, names)
    view = LanguageView.of(seen, top)
    table = RankTable.build(relevance, ranking.ranks, len(pool), gains, view)
    prefix = len(spoken) > 1
    run = {
        (f"q:{asked}:" if prefix else "") + query: [
            (f"p:{pool[at][0]}:" if prefix else "") + pool[at][1].id for at in row
        ]
        for query, row in zip(judged, top.tolist(), strict=True)
    }
    return table, run
