"""Research code: made-up corpora in MIRACL's official format, where the real ones are missing.

The topics and qrels are the real ones, unchanged; ids of judged passages are real, all text is made
up. The folder can be ``HYBRIDIR_DATA_DIR``. Scores on it say nothing about retrieval quality.

    python docs/experiments/miracl_corpus.py --language sw --passages 100000 FOLDER
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hybridir_mteb.collections.download import fetch
from hybridir_mteb.collections.readers.miracl import read_topics
from hybridir_mteb.collections.readers.trec import read_qrels
from hybridir_mteb.files import replacing
from hybridir_mteb.tasks.miracl import CORPORA, QRELS, TOPICS

BLOCK = 2000
WORDS = 8000
SHORTEST, LONGEST = 20, 60  # words of a passage
FIRST_MADE_UP_PAGE = 1_000_000_000  # beyond the real ids
PER_PAGE = 10


@dataclass(frozen=True)
class Corpus:
    """What was written.

    Attributes:
        folder: The mirror: a value for ``HYBRIDIR_DATA_DIR``.
        files: Number of files of passages.
        passages: Number of passages.
        judged: How many passages the qrels judge.
        judged_here: How many of them the corpus has.
        relevant: How many judgements are of grade 1 or more.
        relevant_here: Those whose passage the corpus has.
        topics: Number of queries, all of them real.
        topics_here: Queries all of whose judged passages the corpus has.
    """

    folder: str
    files: int
    passages: int
    judged: int
    judged_here: int
    relevant: int
    relevant_here: int
    topics: int
    topics_here: int


def make_corpus(
    folder: Path, language: str, passages: int, *, seed: int = 0, per_file: int = 500_000
) -> Corpus:
    """Write a mirror with one language: topics, qrels, and a corpus of exactly that many passages.

    All judged passages are in it, spread evenly. If they do not fit, it holds the judged passages
    of the first topics, as many as fit, and no other. The same arguments give the same bytes.

    Args:
        folder: May hold other languages already; a corpus of this language is replaced.
        language: ISO 639-1 code of one of MIRACL's languages.
        passages: At least 1.
        seed: Of the made-up text.
        per_file: Largest number of passages in a file.
    """
    topics_file, qrels_file = fetch(TOPICS[language]), fetch(QRELS[language])
    for source, file in ((topics_file, TOPICS[language]), (qrels_file, QRELS[language])):
        target = folder / file.path
        if not (target.exists() and target.samefile(source)):
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
    topics, qrels = read_topics(topics_file), read_qrels(qrels_file)
    judged = list(dict.fromkeys(key for query in topics for key in qrels[query]))
    here = judged[:passages]
    place = folder / CORPORA[language].place
    for old in place.glob("docs-*"):
        old.unlink()
    generator = np.random.default_rng([seed, zlib.crc32(language.encode())])
    lines = _lines(_ids(here, passages, generator), _hints(topics, qrels), topics, generator)
    files = -(-passages // per_file)
    for number in range(files):
        _write(place / f"docs-{number}.jsonl.gz", islice(lines, per_file))
    kept = set(here)
    relevant = [key for found in qrels.values() for key, grade in found.items() if grade > 0]
    return Corpus(
        folder=str(folder),
        files=files,
        passages=passages,
        judged=len(judged),
        judged_here=len(here),
        relevant=len(relevant),
        relevant_here=sum(key in kept for key in relevant),
        topics=len(topics),
        topics_here=sum(kept.issuperset(found) for found in qrels.values()),
    )


def _ids(judged: list[str], passages: int, generator: np.random.Generator) -> Iterator[str]:
    """Ids of the corpus in order: the judged ones, shuffled, at equal distances."""
    shuffled = [judged[at] for at in generator.permutation(len(judged))]
    made_up = placed = 0
    for at in range(passages):
        if placed < len(shuffled) and at >= placed * passages // len(shuffled):
            yield shuffled[placed]
            placed += 1
        else:
            page, part = divmod(made_up, PER_PAGE)
            yield f"{FIRST_MADE_UP_PAGE + page}#{part}"
            made_up += 1


def _hints(topics: dict[str, str], qrels: dict[str, dict[str, int]]) -> dict[str, str]:
    """Relevant passage -> every second word of its queries, so that it can be found."""
    hints: dict[str, str] = {}
    for query, text in topics.items():
        words = " ".join(text.split()[::2])
        for key, grade in qrels[query].items():
            if grade > 0:
                hints[key] = f"{hints[key]} {words}" if key in hints else words
    return hints


def _vocabulary(topics: dict[str, str], generator: np.random.Generator) -> list[str]:
    """Made-up words of the letters that the queries are written in."""
    letters = sorted({char for text in topics.values() for char in text.lower() if char.isalpha()})
    lengths = generator.integers(2, 9, WORDS)
    drawn = np.array(letters)[generator.integers(0, len(letters), int(lengths.sum()))]
    ends = np.cumsum(lengths)
    return ["".join(drawn[end - length : end]) for end, length in zip(ends, lengths, strict=True)]


def _lines(
    ids: Iterator[str],
    hints: dict[str, str],
    topics: dict[str, str],
    generator: np.random.Generator,
) -> Iterator[bytes]:
    words = _vocabulary(topics, generator)
    while block := list(islice(ids, BLOCK)):
        lengths = generator.integers(SHORTEST, LONGEST + 1, len(block))
        # Frequent and rare words, as in text: the square makes low numbers likely.
        drawn = (generator.random(int(lengths.sum())) ** 2 * WORDS).astype(np.int64).tolist()
        end = 0
        for key, length in zip(block, lengths.tolist(), strict=True):
            start, end = end, end + length
            text = " ".join([words[at] for at in drawn[start:end]])
            if key in hints:
                text = f"{hints[key]} {text}"
            row = {"docid": key, "title": words[drawn[start]].title(), "text": f"{text}."}
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _write(path: Path, lines: Iterator[bytes]) -> None:
    with (
        replacing(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as stream,
    ):
        while block := b"".join(islice(lines, BLOCK)):
            stream.write(block)


def main() -> None:
    """Write a corpus and say what it holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--language", action="append", required=True, choices=sorted(CORPORA))
    parser.add_argument("--passages", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-file", type=int, default=500_000)
    given = parser.parse_args()
    if given.passages < 1 or given.per_file < 1:
        parser.error("--passages and --per-file must be at least 1")
    for code in given.language:
        made = make_corpus(
            given.folder, code, given.passages, seed=given.seed, per_file=given.per_file
        )
        print(code, json.dumps(asdict(made)))


if __name__ == "__main__":
    main()
