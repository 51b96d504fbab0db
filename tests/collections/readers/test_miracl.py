"""MIRACL: counts of the real topics and qrels, made-up corpora, and the download from the hub."""

import csv
import gzip
import hashlib
import json
import logging
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from miracl_corpus import Corpus, make_corpus
from toys import cli
from toys.damage import unseal, unseen

from hybridir_mteb.collections import download as hub_files
from hybridir_mteb.collections.download import fetch_folder, locate, locate_folder
from hybridir_mteb.collections.readers.miracl import read_topics
from hybridir_mteb.collections.readers.verify import read_through
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.files.record import read_record
from hybridir_mteb.paths import data_cache_dir
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import pool_of
from hybridir_mteb.tasks.miracl import CORPORA, CORPUS, CORPUS_COMMIT, MIRACL, UPSTREAM

# Questions, judgements, relevant judgements of dev: counted in the official files.
COUNTS = {
    "ar": (2896, 29197, 5658),
    "bn": (411, 4206, 863),
    "de": (305, 3144, 811),
    "en": (799, 8350, 2326),
    "es": (648, 6443, 2987),
    "fa": (632, 6571, 1314),
    "fi": (1271, 12008, 2447),
    "fr": (343, 3429, 731),
    "hi": (350, 3494, 752),
    "id": (960, 9668, 3088),
    "ja": (860, 8354, 1790),
    "ko": (213, 3057, 547),
    "ru": (1252, 13100, 3560),
    "sw": (482, 5092, 910),
    "te": (828, 1606, 854),
    "th": (733, 7573, 1343),
    "yo": (119, 1188, 144),
    "zh": (393, 3928, 994),
}


@pytest.fixture
def made_up(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Corpus]:
    """Makes a corpus with the real topics and qrels in another mirror, which it sets."""

    def make(code: str, n: int, **options: int) -> Corpus:
        monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(mirror))
        made = make_corpus(tmp_path / "mirror", code, n, **options)
        monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path / "mirror"))
        return made

    return make


def test_the_collection_is_what_its_paper_says():
    assert MIRACL.languages == tuple(sorted(COUNTS)) == tuple(sorted(UPSTREAM))
    assert MIRACL.settings == (Setting.MONOLINGUAL, Setting.MULTILINGUAL)
    assert MIRACL.split == "dev"
    assert len(MIRACL.files) == 36
    assert sum(known.passages for known in UPSTREAM.values()) == 106_332_152  # Zhang et al. 2023
    assert pool_of(MIRACL, ["yo", "sw"]).name == "MIRACLSwYo"


@pytest.mark.parametrize("code", COUNTS)
def test_the_real_topics_and_qrels_have_the_official_counts(mirror, code):
    part = MIRACL.load(code)
    grades = [grade for judged in part.qrels.values() for grade in judged.values()]
    assert (len(part.queries), len(grades), sum(grades)) == COUNTS[code]
    assert set(grades) == {0, 1}
    assert list(part.queries) == list(dict.fromkeys(part.queries))
    assert part.queries.keys() == part.qrels.keys()
    assert all(max(judged.values()) == 1 for judged in part.qrels.values())
    assert part.passages.name == f"MIRACL {code}"
    with (mirror / MIRACL_TOPICS.format(code)).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert list(part.queries.items()) == [tuple(row) for row in rows]


MIRACL_TOPICS = "miracl/miracl-v1.0-{0}/topics/topics.miracl-v1.0-{0}-dev.tsv"


def test_mteb_knows_encoders_trained_on_miracl_are_not_zero_shot_on_ours():
    import mteb
    from mteb.models.model_meta import _collect_similar_tasks

    from hybridir_mteb.adapters.mteb.register import register

    register()
    assert mteb.get_task("MIRACLRetrieval").metadata.name == MIRACL.card.adapted_from[0]
    for name in ("MIRACLRetrieval", "MIRACLRetrievalHardNegatives"):
        assert "MIRACLMonolingualRetrieval" in _collect_similar_tasks(name, set())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1\tone\n2 two\n", ":2: expected an id, a tab and a query"),
        (b"1\tone\n\n1\ttwo\n", ":3: query '1' occurs twice"),
        (b"1\tone\tmore\n", ":1: expected an id, a tab"),
        (b"1\t \n", ":1: expected an id"),
        (b"1\t\xff\n", ":1: not UTF-8 at byte 3"),
        (b"\n", ": the file is empty"),
    ],
)
def test_malformed_topics_are_named(tmp_path, content, said):
    path = tmp_path / "topics.tsv"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as caught:
        read_topics(path)
    assert str(caught.value).startswith(f"{path}{said}")


def lines_of(folder: Path, code: str) -> list[dict[str, Any]]:
    files = sorted((folder / "mirror" / CORPORA[code].place).glob("docs-*.jsonl.gz"))
    return [json.loads(line) for path in files for line in gzip.open(path, "rt", encoding="utf-8")]


def test_a_made_up_corpus_holds_every_judged_passage(made_up, tmp_path):
    made = made_up("yo", 2500, per_file=1000)
    assert (made.files, made.judged_here, made.judged, made.relevant_here) == (3, 942, 942, 144)
    assert all(locate(file) for file in MIRACL.files if "-yo-" in file.path), "a complete mirror"
    part = MIRACL.load("yo")
    rows = lines_of(tmp_path, "yo")
    assert len(rows) == 2500
    assert all(set(row) == {"docid", "title", "text"} for row in rows)
    passages = {passage.id: passage for passage in part.passages.passages()}
    assert list(passages) == [row["docid"] for row in rows]
    found = read_through(part)
    assert (found.passages, found.duplicates, found.missing, found.empty) == (2500, 0, 0, 0)
    assert str(found) == "119 queries, 2500 passages, 1188 judgements (144 relevant)"
    for query, judged in part.qrels.items():
        for key, grade in judged.items():
            if grade:
                assert part.queries[query].split()[0] in passages[key].text.split()
    positions = [at for at, row in enumerate(rows) if row["docid"] in found_judged(part)]
    assert max(b - a for a, b in pairwise(positions)) <= 3, "spread evenly"


def found_judged(part: Any) -> set[str]:
    return {key for judged in part.qrels.values() for key in judged}


def test_a_small_corpus_holds_the_judged_passages_of_the_first_topics(made_up, tmp_path):
    made = made_up("sw", 100)
    part = MIRACL.load("sw")
    here = {row["docid"] for row in lines_of(tmp_path, "sw")}
    assert len(here) == made.judged_here == 100
    whole = [query for query, judged in part.qrels.items() if here.issuperset(judged)]
    assert len(whole) == made.topics_here > 5
    assert whole[:5] == list(part.queries)[:5]
    found = read_through(part)
    assert found.missing_relevant == made.relevant - made.relevant_here > 0
    assert found.missing_example is not None
    query, passage = found.missing_example
    assert passage in part.qrels[query]
    assert passage not in here


def test_the_same_arguments_give_the_same_bytes_and_another_seed_another_text(mirror, tmp_path):
    def digest(folder: Path, **options: int) -> str:
        make_corpus(folder, "yo", 1000, **options)
        (path,) = (folder / CORPORA["yo"].place).iterdir()
        return hashlib.sha256(path.read_bytes()).hexdigest()

    first = digest(tmp_path / "one")
    make_corpus(tmp_path / "one", "yo", 1000, per_file=10)
    assert digest(tmp_path / "one") == first, "files of a larger number are gone"
    assert digest(tmp_path / "other") == first
    assert digest(tmp_path / "one", seed=1) != first


def test_a_corpus_of_another_size_is_used_with_a_warning(made_up, tmp_path, caplog):
    made_up("yo", 1000)
    source = MIRACL.load("yo").passages
    with caplog.at_level(logging.WARNING):
        assert len(list(source.passages(0, 900))) == 900
        assert caplog.messages == []
        assert len(list(source.passages(900))) == 100
    assert "this corpus has 1000 passages, the official one 49043" in caplog.text


def test_a_gap_in_the_mirror_is_refused(made_up, tmp_path):
    made_up("yo", 1000, per_file=400)
    (tmp_path / "mirror" / CORPORA["yo"].place / "docs-1.jsonl.gz").unlink()
    with pytest.raises(DataFormatError, match="file 1 of the numbered files"):
        next(MIRACL.load("yo").passages.passages())


class FakeHub:
    """The calls of the hub's client that we use; counts downloads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        self.contents = {
            f"{CORPORA[code].folder}/{name}": gzip.compress(
                json.dumps({"docid": f"{at}#0", "title": "", "text": "x"}).encode()
            )
            for at, name in enumerate(CORPORA[code].names)
        }
        self.listed = {p: hashlib.sha256(c).hexdigest() for p, c in self.contents.items()}
        self.downloads: list[str] = []
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)

    def get_paths_info(
        self, repo_id: str, paths: list[str], *, revision: str, repo_type: str
    ) -> list[Any]:
        assert (repo_id, revision, repo_type) == (CORPUS, CORPUS_COMMIT, "dataset")
        return [
            SimpleNamespace(path=path, lfs=SimpleNamespace(sha256=self.listed[path]))
            for path in paths
            if path in self.listed
        ]

    def download(
        self, repo_id: str, filename: str, *, revision: str, repo_type: str, local_dir: Path
    ) -> str:
        assert (repo_id, revision, repo_type) == (CORPUS, CORPUS_COMMIT, "dataset")
        if filename not in self.contents:
            raise ConnectionError("the line is cut")
        self.downloads.append(filename)
        path = local_dir / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.contents[filename])
        return str(path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    """Hindi, of two files, on a stub of the hub; no mirror."""
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    return FakeHub(monkeypatch, "hi")


def test_a_corpus_is_downloaded_once_and_checked(hub):
    assert locate_folder(CORPORA["hi"]) is None
    files = fetch_folder(CORPORA["hi"])
    place = data_cache_dir() / "miracl" / "miracl-corpus-v1.0-hi"
    assert files == (place / "docs-0.jsonl.gz", place / "docs-1.jsonl.gz")
    assert fetch_folder(CORPORA["hi"]) == locate_folder(CORPORA["hi"]) == files
    assert len(hub.downloads) == 2


def test_who_waited_for_another_process_asks_the_hub_nothing(hub, monkeypatch):
    files = fetch_folder(CORPORA["hi"])
    monkeypatch.setattr(hub, "get_paths_info", None)
    monkeypatch.setattr(hub_files, "locate_folder", lambda folder: None)  # as it was at the start
    assert fetch_folder(CORPORA["hi"]) == files


def test_an_interrupted_download_goes_on(hub):
    last = hub.contents.popitem()
    with pytest.raises(DataUnavailableError) as caught:
        fetch_folder(CORPORA["hi"])
    message = str(caught.value)
    for said in (
        "the line is cut",
        "hybridir data fetch MIRACL --language hi",
        "HYBRIDIR_DATA_DIR",
    ):
        assert said in message
    assert locate_folder(CORPORA["hi"]) is None, "half a corpus is none"
    hub.contents.update([last])
    assert len(fetch_folder(CORPORA["hi"])) == 2
    assert len(hub.downloads) == 2


def test_a_download_that_is_not_what_the_hub_lists_is_never_used(hub):
    path = min(hub.contents)
    hub.contents[path] += b"more"
    with pytest.raises(ChecksumError, match="run again"):
        fetch_folder(CORPORA["hi"])
    assert locate_folder(CORPORA["hi"]) is None
    hub.contents[path] = hub.contents[path].removesuffix(b"more")
    assert len(fetch_folder(CORPORA["hi"])) == 2
    hub.listed.pop(path)
    (data_cache_dir() / CORPORA["hi"].place / "verified.json").write_text("{")
    with pytest.raises(DataUnavailableError, match="lists no checksum"):
        fetch_folder(CORPORA["hi"])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[12] ^= 1
    path.write_bytes(bytes(raw))


def test_a_download_that_was_damaged_since_is_not_used_and_fetched_again(hub, caplog):
    files = fetch_folder(CORPORA["hi"])
    whole = files[1].read_bytes()
    flip(files[1])
    assert locate_folder(CORPORA["hi"]) is None
    assert str(files[1]) in caplog.text
    assert fetch_folder(CORPORA["hi"]) == files
    assert files[1].read_bytes() == whole
    assert len(hub.downloads) == 3


@pytest.mark.parametrize("what", ["damaged", "missing"])
def test_a_lost_record_of_downloads_costs_no_download(hub, caplog, what):
    files = fetch_folder(CORPORA["hi"])
    record = files[0].with_name("verified.json")
    record.unlink() if what == "missing" else flip(record)
    assert locate_folder(CORPORA["hi"]) is None
    assert (str(record) in caplog.text) is (what == "damaged")
    assert fetch_folder(CORPORA["hi"]) == locate_folder(CORPORA["hi"]) == files
    assert len(hub.downloads) == 2


def test_no_damage_to_the_record_of_downloads_is_believed(hub):
    files = fetch_folder(CORPORA["hi"])
    record = files[0].with_name("verified.json")
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[::-1])
    tried, wrong = unseen(record, lambda: locate_folder(CORPORA["hi"]), None, step=9)
    assert tried > 100
    assert wrong == []
    files[1].write_bytes(whole)
    assert locate_folder(CORPORA["hi"]) == files


def test_downloads_of_0_1_are_compared_with_its_record_and_sealed(hub):
    files = fetch_folder(CORPORA["hi"])
    record = files[0].with_name("verified.json")
    unseal(record, files="sha256")
    assert locate_folder(CORPORA["hi"]) == files
    assert set(read_record(record)) == {"revision", "files"}
    unseal(record, files="sha256")
    record.write_text(record.read_text().replace('": "', '": "0', 2))
    assert locate_folder(CORPORA["hi"]) is None


def test_a_corpus_that_cannot_be_had_is_one_message_at_first_use(mirror):
    """HF_HUB_OFFLINE is set in tests: the real client of the hub refuses."""
    source = MIRACL.load("sw").passages
    with pytest.raises(
        DataUnavailableError, match=r"miracl-corpus-v1\.0-sw is needed and not here"
    ):
        _ = source.fingerprint


def test_commands_fetch_and_verify_one_language(made_up, tmp_path):
    def run(*arguments: str) -> list[str]:
        return [" ".join(line.split()) for line in cli.run("data", *arguments).splitlines()]

    made_up("yo", 500)
    fetched = run("fetch", "MIRACL", "--language", "yo")
    assert [line.partition(": ")[0].rpartition("/")[2] for line in fetched] == [
        "topics.miracl-v1.0-yo-dev.tsv",
        "qrels.miracl-v1.0-yo-dev.tsv",
        "docs-0.jsonl.gz",
    ]
    verified = run("verify", "MIRACL", "--language", "yo")
    assert verified[0].startswith("MIRACL yo: 119 queries, 500 passages, 1188 judgements")
    assert re.fullmatch(r"MIRACL yo: \d+ judgements are of passages that are not here", verified[1])
    with pytest.raises(DataFormatError, match=r"topics\.miracl-v1\.0-ar.* and 31 more missing"):
        run("verify", "MIRACL")
    for command in ("fetch", "verify"):
        with pytest.raises(UnknownNameError, match="MIRACL has no language 'xx'"):
            run(command, "MIRACL", "--language", "xx")
    with pytest.raises(SettingError, match="PocketQAR is not fetched by language"):
        run("fetch", "PocketQAR", "--language", "de")


def test_topics_of_the_languages_at_hand_are_compared_with_training_data(made_up, tmp_path):
    from hybridir_mteb.training.leak import evaluation_texts

    made_up("yo", 10)
    known = evaluation_texts()
    assert "MIRACL topics" in known.checked
    assert known.find("Ipa wo ni Benito Mussolini se ni Ogun World War 2?") == "MIRACL topics"
    (absent,) = [name for name in known.not_at_hand if name.startswith("MIRACL")]
    assert absent.startswith("MIRACL topics in ar, bn, de,")
    assert "yo" not in absent.split()[-2:]
