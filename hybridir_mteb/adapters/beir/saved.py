"""Saved embeddings for BEIR's ``encode_and_retrieve``, without pickle.

BEIR names the files ``queries.pkl`` and ``corpus.*.pkl`` and finds them by these names, so the
names stay the caller's; the content is NumPy's ``.npz``. A pickle is never opened.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.adapters.mteb.models import as_matrix
from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    EmbeddingError,
    SettingError,
    one_line,
    quoted,
)
from hybridir_mteb.files import replacing
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings
from hybridir_mteb.ranking.given import check_ids

Row = Mapping[str, Any]
_ZIP, _PICKLE = b"PK", b"\x80"
_PARTS = {"ids", "embeddings", "key"}
_PLACE = "place"  # which file of how many; version 0.1 did not write it
# What reading a damaged archive raises: NumPy and zipfile believe its lengths.
_DAMAGE = (
    *(ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, struct.error),
    *(NotImplementedError, RuntimeError, MemoryError, OverflowError),
)
Place = tuple[str, int, int]  # query or passage, number of the file, number of files


@dataclass(frozen=True)
class Saved:
    """One file: ids and the (n, dimension) float32 embeddings of their texts."""

    ids: list[str]
    vectors: FloatMatrix


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
            raise SettingError(
                f"corpus_filename {corpus_filename!r}: needs one * for the chunk's number"
            )
        check_ids(queries, "query")
        check_ids(corpus, "passage")
        folder, ids, size = Path(encode_output_path), list(corpus), self.corpus_chunk_size
        written = {folder / query_filename}
        encoder = _encoder(self.model, "query")
        self._save(folder / query_filename, ("query", 0, 1), queries, encoder, overwrite)
        if not corpus:
            raise EmbeddingError("the corpus has no passage")
        encoder = _encoder(self.model, "document")
        starts = range(0, len(ids), size)
        for number, start in enumerate(starts):
            path = folder / corpus_filename.replace("*", str(number))
            part = {identifier: corpus[identifier] for identifier in ids[start : start + size]}
            self._save(path, ("passage", number, len(starts)), part, encoder, overwrite)
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
        output = encode(
            inputs,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_tensor=False,
        )
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
        place: Place,
        inputs: Mapping[str, Any],
        encoder: str | None,
        overwrite: bool,
    ) -> None:
        """Write one file, unless it is there."""
        key = _key(encoder, [[name, *_fields(item)] for name, item in inputs.items()])
        if not _is_there(path, key, place, overwrite):
            vectors = self.embed(place[0], list(inputs.values()))
            _write(path, list(inputs), vectors, key=key, place=place)


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


def _is_there(path: Path, key: str, place: Place, overwrite: bool) -> bool:
    if not path.exists():
        return False
    content = _parts(path, "key")
    same = bool(key) and str(content["key"]) == key
    if not same and not overwrite:
        raise SettingError(
            f"{path} holds embeddings of other texts, or of an encoder that is not known to be "
            "this one; pass overwrite=True, or give another encode_output_path"
        )
    return same and _place(content) in {None, place}


def _remove_stale(path: Path, overwrite: bool) -> None:
    """A chunk of a longer corpus, which BEIR would find by its name and search too."""
    if not overwrite:
        raise SettingError(
            f"{path} is a chunk of another, longer corpus; pass overwrite=True to remove it, or "
            "give another encode_output_path"
        )
    _parts(path)  # never remove what is no file of embeddings
    path.unlink()


def _write(path: Path, ids: Sequence[str], vectors: FloatMatrix, *, key: str, place: Place) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        names = np.frombuffer(json.dumps(list(ids)).encode(), np.uint8)
        parts = {"ids": names, "embeddings": vectors, "key": np.array(key)}
        np.savez(stream, **parts, **{_PLACE: np.array(json.dumps(place))})  # type: ignore[arg-type]


def read(path: Path, what: str | None = None) -> Saved:
    """Ids and embeddings of a file.

    Args:
        path: The file.
        what: ``query`` or ``passage``, what its texts have to be; None takes both.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It holds something else, is damaged, or is a pickle.
    """
    content = _parts(path, "ids", "embeddings")
    _check_what(path, content, what)
    saved = Saved(_ids(path, content), content["embeddings"])
    if len(saved.ids) != len(saved.vectors):
        raise DataFormatError(
            f"{path} has {len(saved.ids)} ids and {len(saved.vectors)} embeddings. Remove it and "
            "encode again"
        )
    return saved


def read_corpus(paths: Sequence[Path]) -> tuple[list[str], Iterator[FloatMatrix]]:
    """Ids of all passages in several files, and their vectors one by one in the same order.

    One file is held at a time.

    Args:
        paths: The files, in any order.

    Raises:
        DataUnavailableError: A file is missing, or there are none.
        DataFormatError: A file holds something else, or an id occurs twice.
    """
    if not paths:
        raise DataUnavailableError("no file of passages' embeddings is there; encode first")
    files, ids = sorted(paths), []
    places: dict[Path, Place | None] = {}
    for path in files:
        content = _parts(path, "ids")
        _check_what(path, content, "passage")
        places[path] = _place(content)
        ids += _ids(path, content)
    _check_all_there(places)
    if len(set(ids)) < len(ids):
        raise DataFormatError(
            f"a passage occurs twice in {', '.join(map(str, files))}: the files are of "
            "different corpora; encode again with overwrite=True"
        )
    return ids, (vector for path in files for vector in read(path, "passage").vectors)


def _check_what(path: Path, content: Mapping[str, Any], what: str | None) -> None:
    place = _place(content)
    if what is not None and place is not None and place[0] != what:
        raise DataFormatError(
            f"{path} holds the embeddings of a {place[0]}, not of a {what}: give the right file, "
            "or encode again"
        )


def _check_all_there(places: Mapping[Path, Place | None]) -> None:
    """Refuse a part of a corpus: its rankings would be those of another one."""
    known = [place for place in places.values() if place is not None]
    counts = {count for _, _, count in known}
    missing = sorted(set(range(max(counts, default=0))) - {number for _, number, _ in known})
    if len(known) == len(places) and (len(counts) > 1 or missing):
        first = next(iter(places))
        raise DataFormatError(
            f"{first.parent}: not all {max(counts)} files of passages are there, or they are of "
            "two corpora; encode again"
        )


def _place(content: Mapping[str, Any]) -> Place | None:
    if _PLACE not in content:
        return None
    what, number, count = json.loads(str(content[_PLACE]))
    return str(what), int(number), int(count)


def _ids(path: Path, content: Mapping[str, Any]) -> list[str]:
    ids = parse_json(content["ids"].tobytes(), f"{path}: its ids")
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise DataFormatError(f"{path}: its ids are no list of strings. Encode again")
    return ids


def _parts(path: Path, *names: str) -> dict[str, Any]:
    """Some arrays of a file, and its place; each is compared with the archive's checksum."""
    if not path.is_file():
        raise DataUnavailableError(f"{path}: no such file; encode first")
    with path.open("rb") as stream:
        start = stream.read(2)
    if start[:1] == _PICKLE:
        raise DataFormatError(
            f"{path} is a pickle, as BEIR's own searches write; it is not opened, since a pickle "
            "can run any code. Remove it or give another encode_output_path, and encode again"
        )
    try:
        if start != _ZIP:
            raise ValueError("not a zip archive")
        with np.load(path, allow_pickle=False) as content:
            if set(content.files) - {_PLACE} != _PARTS:
                raise ValueError(f"it has the parts {', '.join(content.files)}")
            return {name: content[name] for name in (*names, _PLACE) if name in content.files}
    except _DAMAGE as error:
        raise DataFormatError(
            f"{path} is no file of embeddings, or damaged: {one_line(error)}. Remove it and "
            "encode again"
        ) from error


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
