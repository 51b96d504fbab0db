"""A translation that anybody can undo, folders in it, and encoders that read it."""

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from toys.beir import HEADS, write
from toys.encoders import HashEncoder, hash_embedding

word_vector = cache(partial(hash_embedding, dimension=64))

MARK = "ę"  # ends every word of the other language
FOLDERS = {"en": "en", "pl": "pl"}


def translated(text: str) -> str:
    """Each word reversed, with a mark."""
    return " ".join(word[::-1] + MARK for word in text.split())


def is_translated(text: str) -> bool:
    """Whether it has the mark."""
    return text.split(maxsplit=1)[0].endswith(MARK)


def read(text: str) -> str:
    """The text itself, or what it translates."""
    return " ".join(
        word.removesuffix(MARK)[::-1] if word.endswith(MARK) else word for word in text.split()
    )


class Reader(HashEncoder):
    """Understands both languages by their words, and cannot or can tell them apart.

    Args:
        bias: Square of the length of what it adds for the language; its texts have length 1.
    """

    def __init__(self, bias: float = 0.0) -> None:
        def embed(text: str) -> np.ndarray:
            language = np.zeros(2, np.float32)
            language[int(is_translated(text))] = bias**0.5
            vector = sum(map(word_vector, read(text).split()))
            return np.concatenate([vector / np.linalg.norm(vector), language])

        super().__init__(None, embed)


def beir_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a JSON lines file of a folder."""
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def qrels_of(folder: Path) -> list[tuple[str, str, int]]:
    """The judgements of a folder."""
    lines = (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]
    return [(q, p, int(grade)) for q, p, grade in (line.split("\t") for line in lines)]


def write_pair(
    folder: Path,
    corpus: list[dict[str, Any]],
    queries: list[dict[str, Any]],
    qrels: list[tuple[str, str, int]],
) -> dict[str, Path]:
    """A folder in English and one in translation, both with all judgements."""
    places = {code: folder / code for code in FOLDERS}
    for code, place in places.items():
        for name, rows in (("corpus", corpus), ("queries", queries)):
            write(place / f"{name}.jsonl", [in_language(row, code) for row in rows])
        write(place / "qrels" / "test.tsv", [HEADS, *qrels])
    return places


def in_language(row: dict[str, Any], code: str) -> dict[str, Any]:
    """A row of passages or queries."""
    return {
        key: translated(value) if code == "pl" and key in {"title", "text"} else value
        for key, value in row.items()
    }
