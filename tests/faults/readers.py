"""Every reader of a file or record, with a sample that it takes and some that it must refuse."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

# No whole numbers by the grammar of judgements, though Python reads some of them as such.
NO_GRADES = ("1_0", "٣", "true", "1e300", "nan", "inf", "0x1", "1,5", "--1", "１", "", "1 0")
NO_SCORES = ("1_0.5", "٣", "nan", "inf", "1e999", "true", "0x1p3", "1,5", "", "-")


@dataclass(frozen=True)
class Reader:
    """A function that reads a file.

    Attributes:
        name: In ids of cases.
        file: Name that the file has.
        sample: What it takes.
        read: Called with the path.
        refused: What it must refuse.
        beside: Other files that lie in the same folder.
    """

    name: str
    file: str
    sample: bytes
    read: Callable[[Path], Any]
    refused: tuple[bytes, ...] = ()
    beside: tuple[tuple[str, bytes], ...] = ()

    def write(self, folder: Path, content: bytes | None = None) -> Path:
        """Write the sample, or another content, and what lies beside it."""
        for name, data in (*self.beside, (self.file, self.sample if content is None else content)):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / self.file


def _lines(*rows: Any) -> bytes:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


CORPUS = _lines(
    {"_id": "d1", "title": "Katzen", "text": "Die Katze schläft."},
    {"_id": "d2", "title": "", "text": "Der Hund läuft.", "metadata": {"url": "x"}},
    {"_id": "d3", "text": "Der Vogel."},
)
QUERIES = _lines({"_id": "q1", "text": "Wer schläft?"}, {"_id": "q2", "text": "Wer läuft?"})
QRELS = _lines("query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td2\t0", "q2\td2\t1")
ROWS = _lines(
    {"query-id": "q1", "corpus-id": "d1", "score": 1},
    {"query-id": "q2", "corpus-id": "d2", "score": 2},
)
BEIR = (("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", QRELS))
RUN = _lines("q1 Q0 d1 1 0.5 run", "q1 Q0 d2 2 -1.25e-3 run", "q2 Q0 d2 1 3 run")
TREC = _lines("q1 0 d1 1", "q1 0 d2 0", "q2 0 d2 2")
QUESTION = {"id": "q1", "question": "Was?", "answers": [{"answer_start": 6, "text": "Zwei"}]}
PARAGRAPH = {
    "context": "Eins. Zwei.",
    "sentences": ["Eins.", "Zwei."],
    "sentence_breaks": [[0, 5], [6, 11]],
    "qas": [QUESTION],
}
LAREQA = json.dumps({"data": [{"title": "T", "paragraphs": [PARAGRAPH]}]}).encode()
TRAIN = _lines(
    {"id": "1", "language": "de", "query": "Wer?", "passage": "Die Katze."},
    {"id": "1", "language": "en", "query": "Who?", "passage": "The cat.", "document": "t"},
)
PARALLEL = _lines(
    {"id": "f1", "query": "Was?", "sentences": ["Eins.", "Zwei."], "relevant": 1},
    {"id": "f2", "query": "Wo?", "sentences": ["Hier."], "relevant": [0]},
)
QUESTIONS = _lines({"line": 0, "de": "Wer?"}, {"line": 1, "de": "Wo?", "en": "Where?"})
RECIPE = b"""backbone: xlmr
method: hybrid
steps: 10
batch_size: 8
learning_rate: 1.0e-4
lora: {rank: 2, alpha: 4}
data:
  - {kind: jsonl, path: train.jsonl}
method_options: {alpha: 0.3}
"""
TOML = b"""backbone = "xlmr"
method = "mono"
steps = 10
[[data]]
kind = "jsonl"
path = "train.jsonl"
"""
SCORE = {"hf_subset": "de", "map": 0.5, "main_score": 0.5, "n_passages": 4, "rank_distance": 2}
RESULT = json.dumps({"task_name": "Toy", "scores": {"test": [SCORE]}}).encode()
RESULT_PLACE = "results/org__name/1/ToyMultilingualRetrieval.json"
META = {"model_name": "m/n", "revision": "1"}
RANKED = {"test": {"q1": {"d1": 0.5, "d2": 0.25}}}
PREDICTIONS = json.dumps({"mteb_model_meta": META, "de": RANKED}).encode()


def _wrong(sample: bytes, old: str, *new: str) -> tuple[bytes, ...]:
    """Samples in which one token is another."""
    assert sample.count(old.encode()) == 1, old
    return tuple(sample.replace(old.encode(), one.encode()) for one in new)


def _by(name: str, up: int = 0) -> Callable[[Path], Any]:
    """A function of the package, imported when it is called; it reads a folder so far up."""

    def read(path: Path) -> Any:
        module, _, function = name.rpartition(".")
        place = path.parents[up - 1] if up else path
        return getattr(import_module(f"hybridir_mteb.{module}"), function)(place)

    return read


_read_run = _by("collections.readers.trec.read_run")
_read_qrels = _by("collections.readers.trec.read_qrels")
_read_map = _by("collections.readers.trec.read_language_map")
_read_topics = _by("collections.readers.miracl.read_topics")
_read_train = _by("training.sources.jsonl.read_jsonl")
_read_lexicon = _by("training.lexicon.read_muse")
_read_recipe = _by("training.recipe.read_recipe")
_read_added = _by("collections.own.read_record")
_read_encoder = _by("encoders.trained.read_encoder", up=1)
_import = _by("encoders.trained.import_encoder")
_read_shard = _by("ranking.shards.shard.read_shard", up=1)
_list_shards = _by("ranking.shards.listing.shard_files", up=2)
_list_store = _by("encoders.cache.store_files", up=1)
_read_json = _by("files.json_text.read_json_object")
_read_sealed = _by("files.record.read_record")


def _read_beir(path: Path, up: int = 0) -> Any:
    from hybridir_mteb.collections.readers.beir import read_beir_folder
    from hybridir_mteb.collections.readers.verify import read_through

    folder = path.parents[up]
    part = read_beir_folder(folder, "test", "de", "Toy")
    return part.queries, part.qrels, read_through(part)


def _read_lareqa(path: Path) -> Any:
    from hybridir_mteb.collections.readers.lareqa import read_lareqa

    return read_lareqa("Toy", {"de": path})


def _read_parallel(path: Path) -> Any:
    from hybridir_mteb.collections.readers.jsonl import read_jsonl

    return read_jsonl("Toy", path.parent)


def _read_questions(path: Path) -> Any:
    from hybridir_mteb.training.sources.documents import LineParallel
    from hybridir_mteb.training.sources.questions import read_questions

    lines = {"de": ["Eins.", "Zwei."], "en": ["One.", "Two."]}
    return read_questions(path, LineParallel("Toy", lines, ["a", "b"]))


def _read_texts(path: Path) -> Any:
    from hybridir_mteb.debias.text import file_text

    return file_text({"de": path, "en": path})


def _read_fitted(path: Path) -> Any:
    from hybridir_mteb.debias.fitted import read_fitted
    from hybridir_mteb.installed import installed_plugins

    return read_fitted(path.parent, installed_plugins().debiasers)


def _read_predictions(path: Path) -> Any:
    from hybridir_mteb.bias.predictions import CallerMaps, read_predictions

    documents = {"d1": "de", "d2": "en"}
    maps = CallerMaps({"q1": {"d1": 1}}, documents, {"q1": "de"})
    return read_predictions(path, maps)


def _report(path: Path) -> Any:
    from hybridir_mteb.results.tables import parallel_rows, summarise_ndcg

    folder = path.parents[2]
    rows = [*parallel_rows(folder), *summarise_ndcg(folder)]
    return [row.cells() for row in rows]


def _former_search(path: Path) -> Any:
    from hybridir_mteb.adapters.mteb.run import check_folder

    return check_folder(path.parent, {"encoder": "e", "task": "t"})


def _read_end(path: Path) -> Any:
    from toys.shards import key

    from hybridir_mteb.ranking.shards.folder import ShardFolder

    folder = ShardFolder(path.parent, key())
    folder.path.mkdir(exist_ok=True)
    path.replace(folder.path / "end.json")
    return folder.known_end


def _read_saved(path: Path) -> Any:
    from hybridir_mteb.adapters.beir.saved import read, read_corpus

    ids, vectors = read_corpus([path])
    return read(path), ids, list(vectors)


def _digests(path: Path) -> Any:
    import os

    from hybridir_mteb.collections.readers.digests import digests_of

    os.environ["HYBRIDIR_CACHE_DIR"] = str(path.parent)
    return digests_of([path])


def _saved() -> bytes:
    stream = io.BytesIO()
    names = np.frombuffer(json.dumps(["d1", "d2"]).encode(), np.uint8)
    np.savez(stream, ids=names, embeddings=np.eye(2, dtype=np.float32), key=np.array("k"))
    return stream.getvalue()


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    rows = [json.loads(line) for line in CORPUS.decode().splitlines()]
    plain = [{key: row.get(key, "") for key in ("_id", "title", "text")} for row in rows]
    pq.write_table(pa.Table.from_pylist(plain), stream)
    return stream.getvalue()


def _of_package(pattern: str) -> bytes:
    from hybridir_mteb import paths

    return next(iter(sorted(paths.DATA.glob(pattern)))).read_bytes()


def _sqlite() -> bytes:
    import sqlite3
    import tempfile
    from contextlib import closing

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        with closing(sqlite3.connect(path)) as made, made:
            made.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            made.execute("CREATE TABLE embedding (key BLOB PRIMARY KEY, vector BLOB, checksum INT)")
            made.execute("INSERT INTO meta VALUES ('namespace', '{\"label\": \"toy\"}')")
            made.execute("INSERT INTO embedding VALUES (x'00', x'0000', 7)")
        return path.read_bytes()


def _sealed() -> bytes:
    from hybridir_mteb.files.record import SEAL, seal_of

    content = {"n_passages": 40, "name": "Äpfel", "sizes": {"a": 1.5}}
    return json.dumps({**content, SEAL: seal_of(content)}, indent=1).encode()


def readers(root: Path) -> tuple[Reader, ...]:
    """All of them.

    Args:
        root: Has an exported encoder, ``encoder.zip``, and a shard, ``shard/``.
    """
    shard = {path.name: path.read_bytes() for path in sorted((root / "shard").iterdir())}
    others = tuple((f"s/00000000/{name}", data) for name, data in shard.items())
    in_beir = partial(_read_beir, up=0)
    return (
        Reader("run", "run.trec", RUN, _read_run, _wrong(RUN, "0.5", *NO_SCORES)),
        Reader("run-gz", "run.trec.gz", gzip.compress(RUN), _read_run),
        Reader("qrels", "qrels.trec", TREC, _read_qrels, _wrong(TREC, "d2 2", *_of_d2(NO_GRADES))),
        Reader("map", "map.tsv", b"d1\tde\tx\nd2\ten\ty\n", _read_map),
        Reader("map-json", "map.json", b'{"d1": "de", "d2": "en"}', _read_map),
        Reader("corpus", "corpus.jsonl", CORPUS, in_beir, beside=BEIR),
        Reader("queries", "queries.jsonl", QUERIES, in_beir, beside=BEIR),
        Reader(
            "judgements",
            "qrels/test.tsv",
            QRELS,
            partial(_read_beir, up=1),
            _wrong(QRELS, "d1\t2", *(f"d1\t{one}" for one in NO_GRADES)),
            BEIR,
        ),
        Reader(
            "judgements-rows",
            "qrels/test.jsonl",
            ROWS,
            partial(_read_beir, up=1),
            _wrong(ROWS, '"score": 1', '"score": true', '"score": "1_0"', '"score": 1e300'),
            BEIR[:2],
        ),
        Reader("corpus-gz", "corpus.jsonl.gz", gzip.compress(CORPUS), in_beir, beside=BEIR[1:]),
        Reader("corpus-parquet", "corpus.parquet", _parquet(), in_beir, beside=BEIR[1:]),
        Reader("topics", "topics.tsv", b"1\tWas?\n2\tWo?\n", _read_topics),
        Reader("lareqa", "de.json", LAREQA, _read_lareqa),
        Reader("parallel", "de.jsonl", PARALLEL, _read_parallel),
        Reader("train", "train.jsonl", TRAIN, _read_train),
        Reader("questions", "questions.jsonl", QUESTIONS, _read_questions),
        Reader("lexicon", "de-en.txt", b"haus\thouse\nhund dog\n", _read_lexicon),
        Reader("texts", "de.txt", b"Das Haus.\nDer Hund.\n", _read_texts),
        Reader("recipe", "recipe.yaml", RECIPE, _read_recipe),
        Reader("recipe-toml", "recipe.toml", TOML, _read_recipe),
        Reader("added", "Toy.json", (root / "Toy.json").read_bytes(), _read_added),
        Reader("encoder", "hybridir.json", _of_package("encoders/*/hybridir.json"), _read_encoder),
        Reader("archive", "encoder.zip", (root / "encoder.zip").read_bytes(), _import),
        Reader(
            "debiaser",
            "debiaser.safetensors",
            (root / "debiaser.safetensors").read_bytes(),
            _read_fitted,
        ),
        Reader("predictions", "Other_predictions.json", PREDICTIONS, _read_predictions),
        Reader("result", RESULT_PLACE, RESULT, _report),
        Reader(
            "measures",
            "measures.json",
            b'{"encoder": "e", "task": "t", "depth": 3, "subsets": {"de": {"map": 0.5}}}',
            _former_search,
        ),
        Reader("shard", "s/00000000/shard.json", shard["shard.json"], _read_shard, beside=others),
        Reader("end", "end.json", (root / "end.json").read_bytes(), _read_end),
        Reader("manifest", "s/manifest.json", (root / "manifest.json").read_bytes(), _list_shards),
        Reader("store", f"{'0' * 32}.sqlite", _sqlite(), _list_store),
        Reader("saved", "corpus.0.pkl", _saved(), _read_saved),
        Reader("json", "any.json", LAREQA, _read_json),
        Reader("sealed", "record.json", _sealed(), _read_sealed),
        Reader("digests", "digests.json", (root / "digests.json").read_bytes(), _digests),
    )


def _of_d2(grades: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"d2 {grade}" for grade in grades)
