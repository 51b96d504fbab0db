"""The plugin of the pinned runs: an encoder, a search model and two collections, all made up.

Embeddings are small whole numbers and the similarity is the dot product, so that every machine
computes the very same scores. Each text that is encoded is noted in the file that ``PINS_LOG``
names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction

from hybridir_mteb import (
    CollectionCard,
    CollectionSpec,
    LanguagePart,
    ParallelCollection,
    Passage,
    Query,
    Setting,
    StreamedPart,
    StreamedPassage,
    StreamedSpec,
    hookimpl,
)

DIMENSION = 16
WORDS = 14
PARALLEL = ("de", "en", "fr")
STREAMED = ("sw", "yo")


def number(*parts: Any) -> int:
    """A whole number that is a function of its arguments."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def words(code: str, n: int, *seed: Any) -> str:
    """Made-up words of a language."""
    return " ".join(f"{code}{number(code, at, *seed) % WORDS}" for at in range(n))


def embedding(text: str, role: str) -> np.ndarray:
    """The sum of the words' vectors, which hold whole numbers."""
    vector = np.zeros(DIMENSION, np.int64)
    for word in text.lower().rstrip("?.").split():
        digest = blake2b(word.encode(), digest_size=DIMENSION).digest()
        vector += np.frombuffer(digest, np.uint8).astype(np.int64) % 16 - 7
    vector[0] += role == "query"
    return vector.astype(np.float32)


def note(role: str, texts: Sequence[str]) -> None:
    """Write down what is encoded."""
    if path := os.environ.get("PINS_LOG"):
        with open(path, "a", encoding="utf-8") as log:  # noqa: PTH123 -- appends across calls
            log.writelines(f"{role}\t{text}\n" for text in texts)


class HashEncoder(AbsEncoder):
    """Embeds by a function of text and role, and says what it is."""

    embedding_fingerprint = "pins-hash-1"

    def __init__(self, model_name: str, revision: Any = None, device: Any = None, **_: Any) -> None:
        pass

    def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        note(prompt_type.value, texts)
        return np.stack([embedding(text, prompt_type.value) for text in texts])


class WordSearch:
    """A model that only searches: counts shared words, returns at most ten passages."""

    def __init__(self, model_name: str, revision: Any = None, device: Any = None, **_: Any) -> None:
        pass

    def index(self, corpus: Any, **kwargs: Any) -> None:
        self.corpus = {
            row["id"]: {*(row.get("title") or "").split(), *row["text"].split()} for row in corpus
        }

    def search(self, queries: Any, *, top_k: int, **kwargs: Any) -> dict[str, dict[str, float]]:
        run = {}
        for row in queries:
            asked = set(row["text"].rstrip("?").split())
            scored = {i: float(len(asked & found)) for i, found in self.corpus.items()}
            best = sorted(scored, key=lambda i: (-scored[i], i))[: min(top_k, 10)]
            run[row["id"]] = {i: scored[i] for i in best}
        return run


def card(name: str) -> CollectionCard:
    return CollectionCard(
        description="Made up.",
        reference="https://example.org",
        dataset=f"pins/{name}",
        revision="1",
        license="cc0-1.0",
        date=("2026-01-01", "2026-01-02"),
        domains=("Written",),
    )


def parallel_part(code: str) -> LanguagePart:
    """Ten facts, the last of which French lacks; each has an answer and a near miss."""
    queries: list[Query] = []
    passages: list[Passage] = []
    for fact in range(10 - (code == "fr")):
        answer = words(code, 5, "fact", fact)
        queries.append(Query(f"f{fact}", f"{answer[: answer.rindex(' ')]}?", (2 * fact,)))
        for kind, text in enumerate([f"{answer}.", f"{words(code, 4, 'miss', fact)}."]):
            passages.append(Passage(f"f{fact}.{kind}", text, f"{text} {words(code, 3, fact)}."))
    return LanguagePart(code, tuple(queries), tuple(passages))


class Listed:
    """Passages in memory as a source."""

    def __init__(self, code: str, rows: Sequence[StreamedPassage]) -> None:
        self.name, self.rows = f"Pins {code}", rows
        self.fingerprint = f"{number(code, repr([(r.id, r.title, r.text) for r in rows])):064x}"

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        yield from self.rows[start:stop]


def streamed_part(code: str) -> StreamedPart:
    """Forty passages, some of them equal; graded judgements, one of them of a missing passage."""
    texts = [words(code, 5, "passage", at) for at in range(40)]
    texts[7] = texts[11] = texts[3]
    rows = [
        StreamedPassage(f"{at // 3}#{at % 3}", text, words(code, 1, at) if at % 2 else "")
        for at, text in enumerate(texts)
    ]
    queries = {f"q{at}": f"{words(code, 3, 'passage', 3 * at)}?" for at in range(9)}
    qrels = {
        query: {rows[3 * at + step].id: grade for step, grade in enumerate((2, 0, 1))}
        for at, query in enumerate(queries)
    }
    qrels["q0"][rows[7].id] = 1
    qrels["q1"] = {rows[0].id: 0}  # judged, and nothing relevant
    qrels["q2"]["elsewhere#1"] = 1
    return StreamedPart(code, queries, qrels, Listed(code, rows))


@hookimpl
def register_models(register: Callable[[Any], None]) -> None:
    """Register encoder and search model."""
    for name, loader in (("pins/hash", HashEncoder), ("pins/words", WordSearch)):
        content = {"name": name, "revision": "1", "similarity_fn_name": ScoringFunction.DOT_PRODUCT}
        register(ModelMeta.create_empty(content).model_copy(update={"loader": loader}))


@hookimpl
def register_collections(register: Callable[[Any], None]) -> None:
    """Register a parallel and a streamed collection."""
    parallel = ParallelCollection("PinsParallel", {c: parallel_part(c) for c in PARALLEL})
    register(CollectionSpec("PinsParallel", PARALLEL, lambda codes: parallel, card("parallel")))
    register(
        StreamedSpec(
            "PinsStreamed",
            STREAMED,
            streamed_part,
            card("streamed"),
            split="dev",
            settings=(Setting.MONOLINGUAL, Setting.MULTILINGUAL),
        )
    )
