"""BEIR's corpora as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.passages import StreamedPassage

Corpus = Sequence[Mapping[str, str | None]] | Sequence[str] | Mapping[str, Sequence[str | None]]


def passage_texts(corpus: Corpus) -> list[str]:
    """The text of each passage as the encoder sees it: title and text, stripped.

    Raises:
        DataFormatError: A row without text, or columns of different lengths.
    """
    if isinstance(corpus, Mapping):
        if "text" not in corpus:
            raise DataFormatError("a corpus in columns needs the column 'text'")
        texts = corpus["text"]
        titles = corpus.get("title") or [""] * len(texts)
        if len(titles) != len(texts):
            raise DataFormatError(f"the corpus has {len(texts)} texts and {len(titles)} titles")
        rows: list[Any] = [{"text": a, "title": b} for a, b in zip(texts, titles, strict=True)]
    else:
        rows = list(corpus)
    return [_content(row, at) for at, row in enumerate(rows)]


def _content(row: Mapping[str, str | None] | str, at: int) -> str:
    if isinstance(row, str):
        return row.strip()
    text = row.get("text")
    if not isinstance(text, str):
        raise DataFormatError(f"passage number {at} of the corpus has no text: {dict(row)!r}")
    return StreamedPassage("", text, row.get("title") or "").content
