"""Saved embeddings for BEIR's ``encode_and_retrieve``, without pickle.

BEIR names the files ``queries.pkl`` and ``corpus.*.pkl`` and finds them by these names, so the
names stay the caller's; the content is NumPy's ``.npz``. A pickle is never opened.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.adapters.mteb.embed import as_matrix
from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, EmbeddingError, SettingError
from hybridir_mteb.files import replacing
from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings

Row = Mapping[str, Any]
_ZIP, _PICKLE = b"PK", b"\x80"


@dataclass(frozen=True)
class Saved:
    """One file: ids and the (n, dimension) float32 embeddings of their texts."""

    ids: list[str]
    vectors: FloatMatrix


def embed_queries(search: Any, queries: Mapping[str, str]) -> FloatMatrix:
    """(n_queries, dimension) float32 embeddings by a search's model.

    Raises:
        EmbeddingError: NaN, infinity, or not one vector for each query.
    """
    if not queries:
        raise EmbeddingError("there are no queries")
    output = search.model.encode_queries(
        list(queries.values()),
        batch_size=search.batch_size,
        show_progress_bar=search.show_progress_bar,
        convert_to_tensor=False,
    )
    return _checked(output, search.model, "query", len(queries))


def check_corpus(corpus: Mapping[str, Row]) -> None:
    """Refuse an empty corpus.

    Raises:
        EmbeddingError: There is no passage.
    """
    if not corpus:
        raise EmbeddingError("the corpus has no passage")


def embed_passages(search: Any, rows: list[Row]) -> FloatMatrix:
    """(n, dimension) float32 embeddings of passages by a search's model.

    Raises:
        EmbeddingError: NaN, infinity, or not one vector for each passage.
    """
    output = search.model.encode_corpus(
        rows,
        batch_size=search.batch_size,
        show_progress_bar=search.show_progress_bar,
        convert_to_tensor=False,
    )
    return _checked(output, search.model, "passage", len(rows))


def normalised(vectors: FloatMatrix, options: Mapping[str, Any]) -> FloatMatrix:
    """(n, dimension) embeddings, of length 1 if ``normalize_embeddings`` asks for it."""
    if not options.get("normalize_embeddings"):
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)


def _checked(output: Any, model: Any, what: str, count: int) -> FloatMatrix:
    vectors = as_matrix(output, model)
    check_embeddings(vectors, what)
    if len(vectors) != count:
        raise EmbeddingError(
            f"{type(model).__name__} returned {len(vectors)} embeddings for {count} texts"
        )
    return np.ascontiguousarray(vectors)


class SavesEmbeddings:
    """A search of BEIR that saves embeddings without pickle.

    It has ``model``, ``batch_size``, ``corpus_chunk_size`` and ``show_progress_bar``.
    """

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
                to be overwritten, or ``corpus_filename`` has no ``*``.
            DataFormatError: A pickle, or something else, is in the way.
        """
        if corpus_filename.count("*") != 1:
            raise SettingError(
                f"corpus_filename {corpus_filename!r}: needs one * for the chunk's number"
            )
        search: Any = self
        folder = Path(encode_output_path)
        texts = [[identifier, text] for identifier, text in queries.items()]
        path, key = folder / query_filename, _key(_encoder(search.model, "query"), texts)
        if not _is_there(path, key, overwrite):
            _write(path, list(queries), embed_queries(search, queries), key)
        check_corpus(corpus)

        def path_of(number: int) -> Path:
            return folder / corpus_filename.replace("*", str(number))

        written = {path, *_save_corpus(search, corpus, path_of, overwrite)}
        for path in sorted(set(folder.glob(corpus_filename)) - written):
            _remove_stale(path, overwrite)


def _save_corpus(
    search: Any, corpus: Mapping[str, Row], path_of: Callable[[int], Path], overwrite: bool
) -> Iterator[Path]:
    """Write the chunks; gives each file when it is there."""
    every, size = list(corpus), search.corpus_chunk_size
    encoder = _encoder(search.model, "document")
    for number, start in enumerate(range(0, len(every), size)):
        ids = every[start : start + size]
        rows = [corpus[identifier] for identifier in ids]
        texts = [[i, *_fields(row)] for i, row in zip(ids, rows, strict=True)]
        key = _key(encoder, texts)
        path = path_of(number)
        if not _is_there(path, key, overwrite):
            _write(path, ids, embed_passages(search, rows), key)
        yield path


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
    with _opened(path) as content:
        same = bool(key) and str(content["key"]) == key
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
    _opened(path).close()  # never remove what is no file of embeddings
    path.unlink()


def _write(path: Path, ids: Sequence[str], vectors: FloatMatrix, key: str) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        names = np.frombuffer(json.dumps(list(ids)).encode(), np.uint8)
        np.savez(stream, ids=names, embeddings=vectors, key=np.array(key))


def read(path: Path) -> Saved:
    """Ids and embeddings of a file.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It holds something else, or is a pickle.
    """
    with _opened(path) as content:
        return Saved(_ids(content), content["embeddings"])


class SavedCorpus:
    """Passages in several files, as one matrix; one file is held at a time.

    Args:
        paths: Of the files, in any order.

    Attributes:
        ids: Of all passages.

    Raises:
        DataUnavailableError: A file is missing, or there are none.
        DataFormatError: A file holds something else, or an id occurs twice.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise DataUnavailableError("no file of passages' embeddings is there; encode first")
        self._paths = sorted(paths)
        parts = [self._read_ids(path) for path in self._paths]
        self.ids = [identifier for part in parts for identifier in part]
        self._starts = np.cumsum([0, *map(len, parts)])
        self._held: tuple[int, FloatMatrix] = (-1, np.empty((0, 0), np.float32))
        if len(set(self.ids)) < len(self.ids):
            raise DataFormatError(
                f"a passage occurs twice in {', '.join(map(str, self._paths))}: the files are of "
                "different corpora; encode again with overwrite=True"
            )

    @staticmethod
    def _read_ids(path: Path) -> list[str]:
        with _opened(path) as content:
            return _ids(content)

    def vectors(self, rows: Sequence[int]) -> FloatMatrix:
        """(n, dimension) embeddings of rows; quick if they ascend."""
        return np.stack([self._vector(row) for row in rows])

    def _vector(self, row: int) -> FloatMatrix:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        if self._held[0] != number:
            self._held = number, read(self._paths[number]).vectors
        vector: FloatMatrix = self._held[1][row - self._starts[number]]
        return vector


def _ids(content: Mapping[str, Any]) -> list[str]:
    ids: list[str] = json.loads(content["ids"].tobytes())
    return ids


def _opened(path: Path) -> Any:
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
        content = np.load(path, allow_pickle=False)
        if set(content.files) != {"ids", "embeddings", "key"}:
            raise ValueError(f"it has the parts {', '.join(content.files)}")
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataFormatError(
            f"{path} is no file of embeddings: {error}. Remove it and encode again"
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


def _content(row: Mapping[str, str | None] | str, at: int) -> str:
    if isinstance(row, str):
        return row.strip()
    text = row.get("text")
    if not isinstance(text, str):
        raise DataFormatError(f"passage number {at} of the corpus has no text: {dict(row)!r}")
    return StreamedPassage("", text, row.get("title") or "").content
