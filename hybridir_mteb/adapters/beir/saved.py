"""Saved embeddings for BEIR's ``encode_and_retrieve``, without pickle.

BEIR names the files ``queries.pkl`` and ``corpus.*.pkl`` and finds them by these names, so the
names stay the caller's; the content is NumPy's ``.npz``. A pickle is never opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.adapters.beir.stored import About, Saved, opened, read, read_corpus, write
from hybridir_mteb.adapters.mteb.models import as_matrix
from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.errors import DataFormatError, EmbeddingError, SettingError, quoted
from hybridir_mteb.files import digest_of
from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings
from hybridir_mteb.ranking.given import check_ids

__all__ = ["Saved", "read", "read_corpus"]  # their place up to version 0.1

Row = Mapping[str, Any]


def normalised(vectors: FloatMatrix, options: Mapping[str, Any]) -> FloatMatrix:
    """(n, dimension) embeddings, of length 1 if ``normalize_embeddings`` asks for it."""
    if not options.get("normalize_embeddings"):
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)


class SavesEmbeddings:
    """A search of BEIR that encodes, and that saves embeddings without pickle.

    Attributes:
        model: Has ``encode_queries`` and ``encode_corpus``.
        batch_size: Passed to the model.
        corpus_chunk_size: Number of passages whose embeddings are held at a time.
        show_progress_bar: Passed to the model.
    """

    model: Any
    batch_size: int
    corpus_chunk_size: int
    show_progress_bar: bool

    def encode(
        self,
        corpus: Mapping[str, Row],
        queries: Mapping[str, str],
        encode_output_path: str = "./embeddings/",
        overwrite: bool = False,
        query_filename: str = "queries.pkl",
        corpus_filename: str = "corpus.*.pkl",
        **options: Any,
    ) -> None:
        """Encode into files; those that hold the same already are left as they are.

        The names are BEIR's; the content is NumPy's ``.npz`` under any name.

        Args:
            corpus: Passage id -> row.
            queries: Query id -> text.
            encode_output_path: Folder; made if it is missing.
            overwrite: Replace files that hold something else.
            query_filename: Name of the file of queries.
            corpus_filename: Names of the chunks: ``*`` stands for their number.
            **options: Play no part.

        Raises:
            SettingError: A file holds embeddings of other texts or of another encoder, and is not
                to be overwritten, ``corpus_filename`` has no ``*``, or an id is no string.
            DataFormatError: A pickle, or something else, is in the way.
            EmbeddingError: NaN, infinity, no query or no passage.
        """
        if corpus_filename.count("*") != 1:
            said = f"corpus_filename {quoted(corpus_filename)}"
            raise SettingError(f"{said}: needs one * for the chunk's number")
        check_ids(queries, "query")
        check_ids(corpus, "passage")
        folder, ids, size = Path(encode_output_path), list(corpus), self.corpus_chunk_size
        written = {folder / query_filename}
        asked, encoder = _encoder(self.model, "query"), _encoder(self.model, "document")
        of = "" if asked is None or encoder is None else digest_of(asked, encoder)
        self._save(folder / query_filename, About("query", of), queries, asked, overwrite)
        if not corpus:
            raise EmbeddingError("the corpus has no passage")
        for number, start in enumerate(starts := range(0, len(ids), size)):
            path = folder / corpus_filename.replace("*", str(number))
            part = {identifier: corpus[identifier] for identifier in ids[start : start + size]}
            about = About("passage", of, number, len(starts))
            self._save(path, about, part, encoder, overwrite)
            written.add(path)
        for path in sorted(set(folder.glob(corpus_filename)) - written):
            _remove_stale(path, overwrite)

    def embed(self, what: str, inputs: Sequence[Any]) -> FloatMatrix:
        """Embeddings by the search's model.

        Args:
            what: ``query`` or ``passage``.
            inputs: Texts of queries, or rows of passages.

        Returns:
            (n, dimension) float32.

        Raises:
            EmbeddingError: NaN, infinity, not one vector for each input, or no query.
        """
        if what == "query" and not inputs:
            raise EmbeddingError("there are no queries")
        encode = self.model.encode_queries if what == "query" else self.model.encode_corpus
        how = {"batch_size": self.batch_size, "show_progress_bar": self.show_progress_bar}
        output = encode(inputs, convert_to_tensor=False, **how)
        vectors = as_matrix(output, self.model)
        check_embeddings(vectors, what)
        if len(vectors) != len(inputs):
            raise EmbeddingError(
                f"{type(self.model).__name__} returned {len(vectors)} embeddings for "
                f"{len(inputs)} texts"
            )
        return np.ascontiguousarray(vectors)

    def _save(
        self,
        path: Path,
        about: About,
        inputs: Mapping[str, Any],
        encoder: str | None,
        overwrite: bool,
    ) -> None:
        """Write one file, unless it is there."""
        key = _key(encoder, [[name, *_fields(item)] for name, item in inputs.items()])
        if not _is_there(path, key, overwrite):
            vectors = self.embed(about.what, list(inputs.values()))
            write(path, Saved(list(inputs), vectors, about), key)
        elif (saved := read(path)).about != about:  # of 0.1, or of a corpus that was shorter
            write(path, replace(saved, about=about), key)


def _fields(row: Row | str) -> list[Any]:
    return [row] if isinstance(row, str) else [row.get("title"), row.get("text")]


def _encoder(model: Any, role: str) -> str | None:
    """What the encoder is, which reads its weights; None if it cannot be seen."""
    tell = getattr(model, "embedding_key", None)
    return tell(role) if callable(tell) else None


def _key(encoder: str | None, texts: Sequence[Sequence[Any]]) -> str:
    """Digest of texts and encoder; empty if it cannot be seen what the encoder is."""
    if encoder is None:
        return ""
    content = json.dumps([encoder, texts], ensure_ascii=False)
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _is_there(path: Path, key: str, overwrite: bool) -> bool:
    if not path.exists():
        return False
    same = bool(key) and str(opened(path)["key"]) == key
    if not same and not overwrite:
        raise SettingError(
            f"{path} holds embeddings of other texts, or of an encoder that is not known to be "
            "this one; pass overwrite=True, or give another encode_output_path"
        )
    return same


def _remove_stale(path: Path, overwrite: bool) -> None:
    """A chunk of a longer corpus, which BEIR would find by its name and search too."""
    if not overwrite:
        raise SettingError(
            f"{path} is a chunk of another, longer corpus; pass overwrite=True to remove it, or "
            "give another encode_output_path"
        )
    opened(path)  # never remove what is no file of embeddings
    path.unlink()


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


def query_texts(queries: Sequence[str]) -> list[str]:
    """The queries as a list.

    Raises:
        DataFormatError: One is no string.
    """
    for at, text in enumerate(queries):
        if not isinstance(text, str):
            raise DataFormatError(f"query number {at} is no string: {quoted(text, 80)}")
    return list(queries)


def _content(row: Mapping[str, str | None] | str, at: int) -> str:
    if isinstance(row, str):
        return row.strip()
    text, title = (row.get("text"), row.get("title")) if isinstance(row, Mapping) else (row, None)
    if not isinstance(text, str):
        raise DataFormatError(f"passage number {at} of the corpus has no text: {quoted(row, 80)}")
    if not isinstance(title, str | None):
        raise DataFormatError(
            f"passage number {at} of the corpus: the title {quoted(title, 80)} is no string"
        )
    return StreamedPassage("", text, title or "").content
