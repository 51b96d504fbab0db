"""Every reader of a text file under damage: the right value, or one line of this package.

The campaign (``make faults``) gives them many more inputs; these are the same at each run.
"""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hybridir_mteb.bias.predictions import CallerMaps, read_predictions
from hybridir_mteb.collections.readers.beir import read_beir_folder
from hybridir_mteb.collections.readers.jsonl import read_jsonl as read_parallel
from hybridir_mteb.collections.readers.lareqa import read_lareqa
from hybridir_mteb.collections.readers.miracl import read_topics
from hybridir_mteb.collections.readers.trec import read_language_map, read_qrels, read_run
from hybridir_mteb.collections.readers.verify import read_through
from hybridir_mteb.debias.text import file_text
from hybridir_mteb.errors import HybridIRError
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.results.tables import parallel_rows
from hybridir_mteb.training.lexicon import read_muse
from hybridir_mteb.training.recipe import read_recipe
from hybridir_mteb.training.sources.documents import LineParallel
from hybridir_mteb.training.sources.jsonl import read_jsonl as read_training
from hybridir_mteb.training.sources.questions import read_questions

INPUTS = 40  # of each reader
LONGEST = 700  # characters of a message without its path
CORPUS = LineParallel("toy", {"de": ["Eins.", "Zwei."], "en": ["One.", "Two."]}, ["a", "b"])
TOKENS = ("null", "true", "NaN", "1e999", "1_0", "٣", "9" * 5000, "[" * 3000, '{"a":' * 3000, "\0")
TOKENS += (
    '"\\ud800"',
    "[]",
    "{}",
    '""',
    "\ufeff",
    "\u2028",
    "\x85",
    "\x1b[31m",
    "\r",
    "\t",
    "x" * 999,
)


class Reader(NamedTuple):
    """A reader with a sample: the name of its file, what it holds, how it is read."""

    file: str
    sample: str
    read: Callable[[Path], Any]
    beside: tuple[tuple[str, str], ...] = ()


def lines(*rows: Any) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def beir(up: int) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        part = read_beir_folder(path.parents[up])
        return part.queries, part.qrels, list(part.passages.passages()), read_through(part)

    return read


PARAGRAPH = {
    "context": "Eins. Zwei.",
    "sentences": ["Eins.", "Zwei."],
    "sentence_breaks": [[0, 5], [6, 11]],
    "qas": [{"id": "q", "question": "Was?", "answers": [{"answer_start": 6, "text": "Zwei"}]}],
}
BEIR = (
    ("corpus.jsonl", lines({"_id": "d1", "title": "T", "text": "Ä"}, {"_id": 2, "text": "x"})),
    ("queries.jsonl", lines({"_id": "q1", "text": "Wer?"}, {"_id": "q2", "text": "Wo?"})),
    ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\t2\t1\n"),
)
RESULT = {"scores": {"test": [{"hf_subset": "de", "map": 0.5, "n_passages": 4}]}}
RECIPE = "backbone: xlmr\nmethod: hybrid\nsteps: 10\nlearning_rate: 1e-4\nlora: {rank: 2}\n"
READERS = {
    "run": Reader("run", "q1 Q0 d1 1 0.5 n\nq1 Q0 d2 2 -1e-3 n\n", read_run),
    "qrels": Reader("qrels", "q1 0 d1 1\nq1 0 d2 0\nq2 0 d2 2\n", read_qrels),
    "map": Reader("map.tsv", "d1\tde\tx\nd2\ten\ty\n", read_language_map),
    "map-json": Reader("map.json", '{"d1": "de", "d2": {"language": "en"}}', read_language_map),
    "corpus": Reader(*BEIR[0], beir(0), BEIR),
    "queries": Reader(*BEIR[1], beir(0), BEIR),
    "judgements": Reader(*BEIR[2], beir(1), BEIR),
    "rows": Reader(
        "qrels/test.jsonl",
        lines({"query-id": "q1", "corpus-id": "d1", "score": 1}),
        beir(1),
        BEIR[:2],
    ),
    "topics": Reader("topics.tsv", "1\tWas?\n2\tWo?\n", read_topics),
    "lareqa": Reader(
        "de.json",
        json.dumps({"data": [{"title": "t", "paragraphs": [PARAGRAPH]}]}),
        lambda path: read_lareqa("Toy", {"de": path}),
    ),
    "parallel": Reader(
        "de.jsonl",
        lines({"id": "f", "query": "Was?", "sentences": ["Eins.", "Zwei."], "relevant": [1]}),
        lambda path: read_parallel("Toy", path.parent),
    ),
    "training": Reader(
        "train.jsonl",
        lines({"id": "1", "language": "de", "query": "Wer?", "passage": "Die Katze."}),
        read_training,
    ),
    "questions": Reader(
        "questions.jsonl",
        lines({"line": 0, "de": "Wer?"}, {"line": 1, "en": "Where?"}),
        lambda path: read_questions(path, CORPUS),
    ),
    "lexicon": Reader("de-en.txt", "haus\thouse\nhund dog\n", read_muse),
    "texts": Reader("de.txt", "Das Haus.\nEin Hund.\n", lambda p: file_text({"de": p, "en": p})),
    "recipe": Reader("recipe.yaml", RECIPE, read_recipe),
    "toml": Reader("recipe.toml", 'backbone = "xlmr"\nmethod = "mono"\nsteps = 10\n', read_recipe),
    "predictions": Reader(
        "Other_predictions.json",
        json.dumps({"de": {"test": {"q1": {"d1": 0.5, "d2": 0.25}}}}),
        lambda path: read_predictions(
            path, CallerMaps({"q1": {"d1": 1}}, {"d1": "de", "d2": "en"}, {"q1": "de"})
        ),
    ),
    "result": Reader(
        "org__m/1/ToyMultilingualRetrieval.json",
        json.dumps(RESULT),
        lambda path: [row.means for row in parallel_rows(path.parents[2])],
    ),
    "json": Reader("any.json", json.dumps(RESULT), read_json_object),
}
EVERY = pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
PACKED = ("run", "qrels", "map", "map-json", "corpus", "queries", "judgements", "predictions")


def put(reader: Reader, folder: Path, content: bytes, suffix: str = "") -> Path:
    for name, text in (*reader.beside, (reader.file, "")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    path.unlink()
    path = folder / f"{reader.file}{suffix}"
    (folder / reader.file).unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def outcome(reader: Reader, path: Path) -> Any:
    """What is read; None if it is refused, in one line that is not too long."""
    try:
        return reader.read(path)
    except HybridIRError as error:
        said = str(error).replace(str(path.parent), "")
        assert said.isprintable(), said
        assert len(said) < LONGEST, said
        return None


def comparable(value: Any) -> str:
    """The value as text, in which objects are what they hold."""
    return str(getattr(value, "parts", value))


@EVERY
def test_marks_and_line_ends_of_other_systems_change_nothing(reader, tmp_path):
    sample = reader.sample.encode()
    expected = comparable(reader.read(put(reader, tmp_path / "a", sample)))
    for content in (b"\xef\xbb\xbf" + sample, sample.replace(b"\n", b"\r\n")):
        found = comparable(reader.read(put(reader, tmp_path / "a", content)))
        assert found == expected
    if sample.endswith(b"\n"):
        assert comparable(reader.read(put(reader, tmp_path / "a", sample[:-1]))) == expected


@pytest.mark.parametrize("name", PACKED)
def test_a_compressed_file_holds_the_same(name, tmp_path):
    reader = READERS[name]
    expected = comparable(reader.read(put(reader, tmp_path / "x", reader.sample.encode())))
    packed = gzip.compress(reader.sample.encode())
    path = put(reader, tmp_path / "x", packed, ".gz")
    assert comparable(reader.read(path)) == expected
    for damage in (
        packed[:-9],
        packed[:15],
        b"",
        packed[:12] + b"\0\0\0" + packed[15:],
        packed[4:],
    ):
        path.write_bytes(damage)
        assert outcome(reader, path) is None


@EVERY
def test_what_is_no_such_file_is_refused(reader, tmp_path):
    sample = reader.sample
    path = put(reader, tmp_path, b"")
    for content in (
        sample.encode("utf-16"),
        sample.encode("utf-32-be"),
        sample.encode() + b"\xff\xfe",
        sample.encode() + b"\xed\xa0\x80",
    ):
        path.write_bytes(content)
        assert outcome(reader, path) is None
    path.unlink()
    path.mkdir()
    if reader is READERS["result"]:
        assert outcome(reader, path) == [], "a folder is no result"
        return
    for _ in ("a folder", "nothing"):
        if reader is READERS["json"]:  # raises what the system says; its callers name the remedy
            with pytest.raises(OSError, match="any"):
                reader.read(path)
        else:
            assert outcome(reader, path) is None
        if path.exists():
            path.rmdir()


def damaged(sample: bytes, rng: random.Random) -> bytes:
    """A sample with bytes, tokens or lines changed."""
    at, other = rng.randrange(len(sample)), rng.randrange(len(sample))
    rows = sample.split(b"\n")
    line, second = rng.randrange(len(rows)), rng.randrange(len(rows))
    match rng.randrange(6):
        case 0:
            return sample[:at] + bytes([rng.randrange(256)]) + sample[at + 1 :]
        case 1:
            return sample[: min(at, other)] + sample[max(at, other) :]
        case 2:
            return sample[:at]
        case 3:
            rows[line], rows[second] = rows[second], rows[line]
        case 4:
            rows.insert(line, rows[second])
        case _:
            return sample[:at] + rng.choice(TOKENS).encode() + sample[at:]
    return b"\n".join(rows)


@EVERY
def test_damage_is_a_value_or_one_line(reader, tmp_path):
    path = put(reader, tmp_path, b"")
    refused = 0
    for number in range(INPUTS):
        rng = random.Random(f"{reader.file} {number}")
        path.write_bytes(damaged(reader.sample.encode(), rng))
        refused += outcome(reader, path) is None
    assert 0 < refused < INPUTS
