"""A BEIR folder of nonsense, and an encoder that is a function of the text."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from toys.encoders import HashEncoder, hash_embedding

Corpus = dict[str, dict[str, str]]
Queries = dict[str, str]
Qrels = dict[str, dict[str, int]]
DIMENSION = 32
HEADS = ("query-id", "corpus-id", "score")
CORPUS = [
    {"_id": "d1", "title": "Cats", "text": "A cat sleeps."},
    {"_id": "d2", "title": "", "text": "A dog runs."},
    {"_id": "d3", "title": "Birds", "text": ""},
]
QUERIES = [
    {"_id": "q2", "text": "running animals"},
    {"_id": "q1", "text": "sleeping animals"},
    {"_id": "q3", "text": "never judged"},
    {"_id": "q4", "text": "judged, but nothing is relevant"},
]
QRELS = [("q1", "d1", 2), ("q1", "d2", 0), ("q2", "d2", 1), ("q4", "d3", 0)]


class BeirHash(HashEncoder):
    """Tells the roles apart."""

    def __init__(self) -> None:
        super().__init__("toy", lambda text: hash_embedding(text, DIMENSION), shift=0.05)


def toy_set(
    n_passages: int = 120, n_queries: int = 15, *, prefix: str = "", distinct: bool = False
) -> tuple[Corpus, Queries, Qrels]:
    """Passages of few words, so that texts repeat; ids of queries and passages collide.

    Args:
        n_passages: In the corpus.
        n_queries: All are judged; the first has grades 0 and 2, too.
        prefix: Of passage ids: with one they collide no more.
        distinct: Whether every passage has a word of its own: no two scores are equal.
    """
    rng = np.random.default_rng(7)
    words = [f"w{at}" for at in range(12)]
    corpus = {
        f"{prefix}{at}": {
            "title": words[at % 12],
            "text": " ".join(rng.choice(words, 2)) + (f" own{at}" if distinct else ""),
        }
        for at in range(n_passages)
    }
    queries = {str(at): " ".join(rng.choice(words, 3)) for at in range(n_queries)}
    ids = list(corpus)
    qrels = {
        query: {str(passage): 1 for passage in rng.choice(ids, 5, replace=False)}
        for query in queries
    }
    first = next(iter(qrels))
    qrels[first] |= {ids[3]: 2, ids[4]: 0}
    return corpus, queries, qrels


def write_folder(folder: Path, corpus: Corpus, queries: Queries, qrels: Qrels) -> Path:
    """The three files of BEIR's layout, by its own conventions."""
    write(folder / "corpus.jsonl", [{"_id": key, **row} for key, row in corpus.items()])
    write(folder / "queries.jsonl", [{"_id": key, "text": text} for key, text in queries.items()])
    rows = [(q, p, grade) for q, found in qrels.items() for p, grade in found.items()]
    write(folder / "qrels" / "test.tsv", [HEADS, *rows])
    return folder


def small_folder(folder: Path) -> Path:
    """The plain layout with three passages."""
    write(folder / "corpus.jsonl", CORPUS)
    write(folder / "queries.jsonl", QUERIES)
    write(folder / "qrels" / "test.tsv", [HEADS, *QRELS])
    return folder


def write(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    if name.endswith(".tsv"):
        lines = ["\t".join(map(str, row)) for row in rows]
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
