"""Saved embeddings for BEIR's ``encode_and_retrieve``, without pickle.

BEIR names the files ``queries.pkl`` and ``corpus.*.pkl`` and finds them by these names, so the
names stay the caller's; the content is NumPy's ``.npz``. A pickle is never opened. A file says what
it is a part of, and has a checksum over all that it holds; files of version 0.1 have neither.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
from hybridir_mteb.files import digest_of, replacing
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings
from hybridir_mteb.ranking.given import check_ids

Row = Mapping[str, Any]
_ZIP, _PICKLE = b"PK", b"\x80"
_OLD_PARTS = {"ids", "embeddings", "key"}  # up to version 0.1
_PARTS = _OLD_PARTS | {"about", "sha256"}
# What NumPy and zipfile raise on damaged files.
_DAMAGED = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


@dataclass(frozen=True)
class About:
    """What a file is a part of.

    Attributes:
        what: ``query`` or ``passage``.
        encoder: Digest of what the encoder is; empty if it cannot be seen.
        chunk: Number of the file, from 0.
        chunks: Number of files.
    """

    what: str
    encoder: str
    chunk: int = 0
    chunks: int = 1


@dataclass(frozen=True)
class Saved:
    """One file: ids and the (n, dimension) float32 embeddings of their texts.

    Attributes:
        ids: (n,) ids.
        vectors: (n, dimension) float32.
        about: What the file is a part of; None in files of version 0.1.
    """

    ids: list[str]
    vectors: FloatMatrix
    about: About | None = None


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
        asked, encoder = _encoder(self.model, "query"), _encoder(self.model, "document")
        of = "" if asked is None or encoder is None else digest_of(asked, encoder)
        self._save(folder / query_filename, About("query", of), queries, asked, overwrite)
        if not corpus:
            raise EmbeddingError("the corpus has no passage")
        starts = range(0, len(ids), size)
        for number, start in enumerate(starts):
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
        about: About,
        inputs: Mapping[str, Any],
        encoder: str | None,
        overwrite: bool,
    ) -> None:
        """Write one file, unless it is there."""
        key = _key(encoder, [[name, *_fields(item)] for name, item in inputs.items()])
        if not _is_there(path, key, overwrite):
            vectors = self.embed(about.what, list(inputs.values()))
            _write(path, Saved(list(inputs), vectors, about), key)
        elif (saved := read(path)).about != about:  # of 0.1, or of a corpus that was shorter
            _write(path, replace(saved, about=about), key)


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
    same = bool(key) and str(_opened(path)["key"]) == key
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
    _opened(path)  # never remove what is no file of embeddings
    path.unlink()


def _write(path: Path, saved: Saved, key: str) -> None:
    assert saved.about is not None  # noqa: S101 -- of what is written now
    content: dict[str, Any] = {
        "ids": np.frombuffer(json.dumps(saved.ids).encode(), np.uint8),
        "embeddings": saved.vectors,
        "key": np.array(key),
        "about": np.frombuffer(json.dumps(asdict(saved.about)).encode(), np.uint8),
    }
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **content, sha256=np.array(_digest(content)))


def _digest(content: Mapping[str, Any]) -> str:
    """Hex sha256 of all parts but itself."""
    digest = hashlib.sha256()
    for name in sorted(_PARTS - {"sha256"}):
        part = content[name]
        digest.update(f"{name} {part.dtype.str} {part.shape}\n".encode())
        digest.update(np.ascontiguousarray(part).data if part.size else b"")
    return digest.hexdigest()


def read(path: Path, what: str | None = None) -> Saved:
    """Ids and embeddings of a file.

    Args:
        path: The file.
        what: ``query`` or ``passage``, where the other must not be read.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It holds something else, is damaged, or is a pickle.
    """
    content = _opened(path, with_vectors=True)
    saved = Saved(_ids(path, content), content["embeddings"], _about(path, content))
    if saved.vectors.shape[:1] != (len(saved.ids),) or saved.vectors.ndim != 2:
        raise DataFormatError(
            f"{path} has {len(saved.ids)} ids and embeddings of shape {saved.vectors.shape}. "
            "Remove it and encode again"
        )
    if saved.about and what not in {None, saved.about.what}:
        raise DataFormatError(f"{path} holds embeddings of {saved.about.what} texts, not {what}")
    return saved


def read_corpus(
    paths: Sequence[Path], queries: Saved | None = None
) -> tuple[list[str], Iterator[FloatMatrix]]:
    """Ids of all passages in several files, and their vectors one by one in the same order.

    One file is held at a time.

    Args:
        paths: The files, in any order.
        queries: What is searched for, where it must be by the same encoder.

    Raises:
        DataUnavailableError: A file is missing, or there are none.
        DataFormatError: A file holds something else or is of another encoder or corpus, or an id
            occurs twice.
    """
    if not paths:
        raise DataUnavailableError("no file of passages' embeddings is there; encode first")
    files, ids, parts = sorted(paths), [], {}
    for path in files:
        content = _opened(path)
        ids += _ids(path, content)
        parts[path] = _about(path, content)
    if len(set(ids)) < len(ids):
        raise DataFormatError(
            f"a passage occurs twice in {', '.join(map(str, files))}: the files are of "
            "different corpora; encode again with overwrite=True"
        )
    _check_parts(parts, queries.about if queries else None)
    return ids, (vector for path in files for vector in read(path, "passage").vectors)


def _check_parts(parts: Mapping[Path, About | None], queries: About | None) -> None:
    """Whether files are all those of one corpus, by one encoder; those of 0.1 do not say.

    Raises:
        DataFormatError: They are not; the message names a file.
    """
    encoder = queries.encoder if queries else ""
    for path, about in parts.items():
        if about is None:
            continue
        encoder = encoder or about.encoder
        if about.encoder not in {"", encoder}:
            raise DataFormatError(
                f"{path} is of another encoder than the other files; encode again with "
                "overwrite=True"
            )
        if about.chunks != len(parts):
            raise DataFormatError(
                f"{path} is one of {about.chunks} files of its corpus, and {len(parts)} are given: "
                "that would be a search in a part of it; encode again"
            )


def _ids(path: Path, content: Mapping[str, Any]) -> list[str]:
    ids = parse_json(content["ids"].tobytes(), str(path))
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise DataFormatError(f"{path} holds no list of ids. Remove it and encode again")
    return ids


def _about(path: Path, content: Mapping[str, Any]) -> About | None:
    if "about" not in content:
        return None
    try:
        return About(**parse_json(content["about"].tobytes(), str(path)))
    except TypeError as error:
        raise DataFormatError(f"{path}: {error}. Remove it and encode again") from error


def _opened(path: Path, *, with_vectors: bool = False) -> dict[str, Any]:
    """The parts of a file by name.

    Args:
        path: The file.
        with_vectors: Whether to read the embeddings, too, and compare the checksum.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It is damaged, or something else.
    """
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
        with np.load(path, allow_pickle=False) as file:
            if set(file.files) not in (_OLD_PARTS, _PARTS):
                raise ValueError(f"it has the parts {', '.join(file.files)}")
            names = [name for name in file.files if with_vectors or name != "embeddings"]
            content = {name: file[name] for name in names}
        if with_vectors and "sha256" in content and _digest(content) != str(content["sha256"]):
            raise ValueError("it differs from its checksum")
    except _DAMAGED as error:
        raise DataFormatError(
            f"{path} is no file of embeddings, or damaged: {one_line(error, 200)}. Remove it and "
            "encode again"
        ) from error
    return content


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
