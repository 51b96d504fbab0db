"""Exports: what other toolkits read from them is what the collection holds."""

import json
import re
from collections.abc import Iterator
from html import unescape
from xml.etree import ElementTree as ET

import pytest
from beir.datasets.data_loader import GenericDataLoader
from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader
from toys.card import CARD
from toys.mteb import measures
from typer.testing import CliRunner

from hybridir_mteb.adapters.mteb.export import subsets_of
from hybridir_mteb.adapters.mteb.task import CollectionTask, make_tasks
from hybridir_mteb.cli.app import app
from hybridir_mteb.collections.collection import CollectionPart, StreamedPassage
from hybridir_mteb.collections.export.folder import RECORD, Origin, write_export
from hybridir_mteb.collections.export.formats import ExportSubset
from hybridir_mteb.collections.readers.beir import read_beir_folder
from hybridir_mteb.collections.readers.trec import read_language_map, read_qrels
from hybridir_mteb.errors import DataFormatError, SettingError, UnknownNameError
from hybridir_mteb.export import Format, export_task
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import CollectionSpec

ORIGIN = Origin(
    task="ToyRetrieval",
    collection="Toy",
    setting="monolingual",
    description="Toy data.",
    source="toy/toy",
    revision="abc",
    license="cc0-1.0",
    reference="https://example.org",
    citation="@misc{toy}",
)
PASSAGES = (
    StreamedPassage("p1", "first <text> & more\nof it", "A title"),
    StreamedPassage("p2", 'zweiter "Text"'),
)


def subset(name: str = "de", **changes: object) -> ExportSubset:
    queries = {"q1": "what\tis <this>?", "q2": "und das"}
    fields: dict[str, object] = {
        "name": name,
        "split": "dev",
        "queries": queries,
        "qrels": {"q1": {"p1": 2, "p2": 0}, "q2": {"p2": 1}},
        "passages": lambda: zip(("en", "de"), PASSAGES, strict=True),
        "pool": "de",
        "query_languages": dict.fromkeys(queries, "de"),
        "items": {"q1": "i1", "q2": "i2"},
    }
    return ExportSubset(**(fields | changes))  # type: ignore[arg-type]


def test_beir_reads_what_was_written(tmp_path):
    done = write_export([subset()], ORIGIN, tmp_path / "out", Format.BEIR)
    corpus, queries, qrels = GenericDataLoader(str(done.folder / "de")).load("dev")
    assert corpus == {p.id: {"text": p.text, "title": p.title} for p in PASSAGES}
    assert (queries, qrels) == (subset().queries, subset().qrels)
    part = read_beir_folder(done.folder / "de", "dev", "de")
    assert list(part.passages.passages()) == list(PASSAGES)
    assert (part.queries, part.qrels) == (subset().queries, subset().qrels)
    first = (done.folder / "de" / "qrels" / "dev.tsv").read_text().splitlines()[0]
    assert first == "query-id\tcorpus-id\tscore"


def test_mteb_reads_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    done = write_export(
        [subset(), subset("en"), subset("default")], ORIGIN, tmp_path / "out", Format.JSONL
    )
    for config in ("de", "default"):
        data = RetrievalDatasetLoader(str(done.folder), None, split="dev", config=config).load()
        assert {row["id"]: row["text"] for row in data["queries"]} == subset().queries
        assert [row["id"] for row in data["corpus"]] == ["p1", "p2"]
        assert data["corpus"][0]["title"] == "A title"
        assert data["relevant_docs"] == subset().qrels


@pytest.mark.parametrize("place", ["out", "other/out"])
def test_mteb_does_not_take_one_export_for_another(tmp_path, monkeypatch, place):
    """``datasets`` caches by the folder's name and what the README says."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for out, text in ((tmp_path / "out", "first"), (tmp_path / place, "second")):
        one = subset(
            "default", passages=lambda text=text: iter([("de", StreamedPassage("p1", text))])
        )
        write_export([one], ORIGIN, out, Format.JSONL, overwrite=True)
        data = RetrievalDatasetLoader(str(out), None, split="dev", config="default").load()
        assert data["corpus"]["text"] == [text]


def test_trec_files_hold_what_was_written(tmp_path):
    write_export([subset()], ORIGIN, tmp_path / "out", Format.TREC)
    folder = tmp_path / "out" / "de"
    text = (folder / "corpus.trec").read_text(encoding="utf-8")
    documents = re.findall(r"<DOC>\n<DOCNO>(.*?)</DOCNO>\n(.*?)</DOC>\n", text, re.DOTALL)
    assert [identifier for identifier, _ in documents] == ["p1", "p2"]
    assert "<text>" not in text
    title = re.search(r"<TITLE>(.*?)</TITLE>", documents[0][1])
    body = re.search(r"<TEXT>\n(.*?)\n</TEXT>", documents[0][1], re.DOTALL)
    assert title is not None
    assert body is not None
    assert (unescape(title[1]), unescape(body[1])) == ("A title", PASSAGES[0].text)
    assert "TITLE" not in documents[1][1]
    assert (folder / "topics.tsv").read_text() == "q1\twhat is <this>?\nq2\tund das\n"
    topics = re.findall(
        r"<top>\n<num> Number: (\S+) </num>\n<title> (.*?) </title>\n</top>\n",
        (folder / "topics.trec").read_text(),
    )
    assert [(i, unescape(t)) for i, t in topics] == [("q1", "what is <this>?"), ("q2", "und das")]
    assert read_qrels(folder / "qrels.txt") == subset().qrels
    assert read_language_map(folder / "document-languages.tsv").languages == {
        "p1": "en",
        "p2": "de",
    }
    queries = read_language_map(folder / "query-languages.tsv")
    assert (queries.languages, queries.items) == (subset().query_languages, subset().items)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": {"q 1": "x"}}, "query id 'q 1' holds white space"),
        (
            {"passages": lambda: iter([("de", StreamedPassage("p\t1", "x"))])},
            r"passage id 'p\\t1' holds",
        ),
        (
            {"passages": lambda: iter([("de", StreamedPassage("", "x"))])},
            "a passage has an empty id",
        ),
    ],
)
def test_ids_that_trec_cannot_hold_are_refused_and_nothing_stays(tmp_path, changes, message):
    with pytest.raises(DataFormatError, match=message):
        write_export([subset(**changes)], ORIGIN, tmp_path / "out", Format.TREC)
    assert list(tmp_path.iterdir()) == []
    if "white space" in message:
        write_export([subset(**changes)], ORIGIN, tmp_path / "out", Format.JSONL)


@pytest.mark.parametrize("bad", ["a\tb", "a\rb", "a\nb", " a", "a\u3000"])
def test_ids_that_beir_cannot_hold_are_refused(tmp_path, bad):
    passages = [StreamedPassage(bad, "x")]
    with pytest.raises(DataFormatError, match="part BEIR's judgements; export as jsonl"):
        write_export(
            [subset(passages=lambda: (("de", one) for one in passages))],
            ORIGIN,
            tmp_path / "o",
            Format.BEIR,
        )


@pytest.mark.parametrize(
    "identifier", ['"q"', 'a"b', "a b", "ü𝄞", "a\u2028b", "<a&b>", "'x'", "#1"]
)
def test_odd_ids_and_texts_come_back(tmp_path, identifier):
    passages = [StreamedPassage(identifier, 'half \u2028\x0b\n\t"q"', ' "t"')]
    changes = {
        "passages": lambda: (("de", one) for one in passages),
        "queries": {identifier: "who\x1c?"},
        "qrels": {identifier: {identifier: 1}},
        "query_languages": {identifier: "de"},
        "items": None,
    }
    one = subset("default", **changes)
    folder = write_export([one], ORIGIN, tmp_path / "beir", Format.BEIR).folder
    corpus, queries, qrels = GenericDataLoader(str(folder)).load("dev")
    assert corpus == {p.id: {"text": p.text, "title": p.title} for p in passages}
    assert (queries, qrels) == (one.queries, one.qrels)
    assert list(read_beir_folder(folder, "dev", "de").passages.passages()) == passages
    if identifier.split() == [identifier]:
        folder = write_export([one], ORIGIN, tmp_path / "trec", Format.TREC).folder
        for name in ("corpus.trec", "topics.trec"):
            ET.fromstring(f"<all>{(folder / name).read_text(encoding='utf-8')}</all>")
        assert read_qrels(folder / "qrels.txt") == one.qrels


def test_subsets_of_one_pool_share_its_file(tmp_path):
    read = []

    def passages() -> Iterator[tuple[str, StreamedPassage]]:
        read.append(1)
        return (("de", passage) for passage in PASSAGES)

    parts = [subset(name, passages=passages) for name in ("de", "en")]
    parts.append(subset("fr", passages=passages, pool="another"))
    done = write_export(parts, ORIGIN, tmp_path / "out", Format.BEIR)
    files = [done.folder / name / "corpus.jsonl" for name in ("de", "en", "fr")]
    assert len(read) == 2
    assert files[0].samefile(files[1])
    assert not files[0].samefile(files[2])
    assert [one.passages for one in done.subsets] == [2, 2, 2]


def test_a_readme_and_a_record_say_where_it_is_from(tmp_path):
    done = write_export([subset("default")], ORIGIN, tmp_path / "out", Format.BEIR)
    assert (done.folder / "corpus.jsonl").is_file()  # the only subset: no folder of its own
    readme = (done.folder / "README.md").read_text(encoding="utf-8")
    for wanted in (
        "# ToyRetrieval",
        "toy/toy, revision abc",
        "licence: cc0-1.0",
        "Toy, monolingual setting",
        "hybridir export beir ToyRetrieval",
        "| default | `.` | dev | 2 | 3 | 2 |",
        "@misc{toy}",
    ):
        assert wanted in readme
    record = json.loads((done.folder / RECORD).read_text(encoding="utf-8"))
    assert record["revision"] == "abc"
    assert record["subsets"][0]["judgements"] == 3


def test_only_an_older_export_is_overwritten(tmp_path):
    out = tmp_path / "out"
    write_export([subset()], ORIGIN, out, Format.BEIR)
    with pytest.raises(SettingError, match="exists; add --overwrite"):
        write_export([subset()], ORIGIN, out, Format.TREC)
    write_export([subset("en")], ORIGIN, out, Format.TREC, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "en", RECORD]
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.tex").write_text("years of work")
    for record in (None, "{", "[]", "{}", '{"format": "beir"}'):  # other programs have such files
        if record:
            (own / RECORD).write_text(record)
        with pytest.raises(SettingError, match="is no export"):
            write_export([subset()], ORIGIN, own, Format.BEIR, overwrite=True)
    assert (own / "thesis.tex").read_text() == "years of work"


def test_a_failed_export_leaves_the_old_one(tmp_path):
    def passages() -> Iterator[tuple[str, StreamedPassage]]:
        yield "de", PASSAGES[0]
        raise DataFormatError("the second line is broken")

    out = tmp_path / "out"
    write_export([subset()], ORIGIN, out, Format.BEIR)
    with pytest.raises(DataFormatError, match="second line"):
        write_export([subset(passages=passages)], ORIGIN, out, Format.BEIR, overwrite=True)
    assert len((out / "de" / "corpus.jsonl").read_text().splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_message(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    write_export([subset()], ORIGIN, out, Format.BEIR)
    monkeypatch.setattr("hybridir_mteb.collections.export.folder.write_queries", full)
    with pytest.raises(SettingError, match=r"out cannot be written: .*No space left"):
        write_export([subset()], ORIGIN, out, Format.BEIR, overwrite=True)
    assert (out / "de" / "queries.jsonl").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_to_an_older_export_stays_a_link(tmp_path):
    write_export([subset()], ORIGIN, tmp_path / "out", Format.BEIR)
    (tmp_path / "link").symlink_to("out")
    write_export([subset("en")], ORIGIN, tmp_path / "link", Format.BEIR, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out" / "en").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"]


@pytest.mark.parametrize(
    ("setting", "name", "sizes"),
    [
        ("Monolingual", "de", (48, 48, 144)),
        ("CrossLingual", "de-en", (48, 48, 144)),
        ("Multilingual", "de", (48, 528, 1584)),
    ],
)
def test_each_setting_of_a_collection_is_exported(tmp_path, setting, name, sizes):
    done = export_task(f"PocketQAR{setting}Retrieval", tmp_path / "out", subsets=[name])
    (one,) = done.subsets
    assert (one.queries, one.judgements, one.passages) == sizes
    corpus, queries, qrels = GenericDataLoader(str(done.folder / name)).load("test")
    assert all(identifier.startswith("q:de:") for identifier in queries)
    languages = {identifier.split(":")[1] for identifier in corpus}
    assert len(languages) == {"Monolingual": 1, "CrossLingual": 1, "Multilingual": 11}[setting]
    assert all(passage in corpus for found in qrels.values() for passage in found)


class Lines:
    """Passages that are made as they are read."""

    fingerprint = "1"

    def __init__(self, code: str) -> None:
        self.name, self.code, self.reads = f"Toy {code}", code, 0

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        self.reads += 1
        for at in range(start, 3 if stop is None else stop):
            yield StreamedPassage(f"{at}", f"{self.code} text {at}", f"title {at}")


def streamed_task(sources: dict[str, Lines], **changes: object) -> CollectionTask:
    def load(code: str) -> CollectionPart:
        qrels = {"q": {"1": 2, "2": 0}, "unjudged": {"1": 0}}
        return CollectionPart(code, {"q": f"{code}?", "unjudged": "?"}, qrels, sources[code])

    fields = {"settings": (Setting.MULTILINGUAL,), **changes}
    return loaded(CollectionSpec("Toy", tuple(sources), load, CARD, parallel=False, **fields))


def loaded(spec: CollectionSpec) -> CollectionTask:
    """The only task of a collection, with its data."""
    (made,) = make_tasks(spec, measures())
    task = made()
    task.load_data()
    return task


def test_pools_of_streamed_collections_carry_the_language_in_their_ids(tmp_path):
    sources = {code: Lines(code) for code in ("sw", "yo")}
    parts = subsets_of(streamed_task(sources))
    assert [source.reads for source in sources.values()] == [0, 0]
    done = write_export(parts, ORIGIN, tmp_path / "out", Format.TREC)
    assert [source.reads for source in sources.values()] == [1, 1]
    folder = done.folder / "yo"
    assert read_qrels(folder / "qrels.txt") == {"q:yo:q": {"p:yo:1": 2, "p:yo:2": 0}}
    documents = read_language_map(folder / "document-languages.tsv").languages
    assert list(documents.items())[2:4] == [("p:sw:2", "sw"), ("p:yo:0", "yo")]
    queries = read_language_map(folder / "query-languages.tsv")
    assert (queries.languages, queries.items) == ({"q:yo:q": "yo"}, None)


def test_a_beir_folder_comes_back_as_it_went_in(tmp_path):
    first = write_export([subset("default")], ORIGIN, tmp_path / "first", Format.BEIR).folder
    spec = CollectionSpec(
        "toy",
        ("de",),
        lambda code: read_beir_folder(first, "dev", code),
        CARD,
        split="dev",
        parallel=False,
        task="toy",
        query_languages=("en",),
    )
    (one,) = subsets_of(loaded(spec))
    assert set(one.query_languages.values()) == {"en"}
    assert {code for code, _ in one.passages()} == {"de"}
    second = write_export([one], ORIGIN, tmp_path / "second", Format.BEIR).folder
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/dev.tsv"):
        assert (first / name).read_text() == (second / name).read_text()


def test_the_language_maps_of_an_export_feed_hybridir_bias(tmp_path):
    name = "PocketQARMultilingualRetrieval"
    done = export_task(name, tmp_path / "out", format="trec", subsets=["de"])
    folder = done.folder / "de"
    documents = read_language_map(folder / "document-languages.tsv").languages
    queries = read_language_map(folder / "query-languages.tsv")
    assert (documents["p:en:f01.0"], len(documents)) == ("en", 1584)
    assert set(queries.languages.values()) == {"de"}
    assert queries.items is not None
    assert queries.items["q:de:f01"] == "f01"


def test_wrong_names_are_answered_with_the_right_ones(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UnknownNameError, match=r"no format 'bier'.*Did you mean beir"):
        export_task("PocketQARMultilingualRetrieval", out, format="bier")
    with pytest.raises(UnknownNameError, match="Did you mean PocketQARMultilingualRetrieval"):
        export_task("PocketQAMultilingualRetrieval", out)
    with pytest.raises(UnknownNameError, match="SciFact is a task of mteb"):
        export_task("SciFact", out)
    with pytest.raises(UnknownNameError, match="no subset 'xx', only ar, de"):
        export_task("PocketQARMultilingualRetrieval", out, subsets=["xx"])
    assert not out.exists()


def test_the_command_tells_what_it_wrote(tmp_path):
    out = tmp_path / "out"
    arguments = ["export", "beir", "PocketQARMultilingualRetrieval", str(out), "--subset", "de"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    said = "".join(done.output.split())
    assert f"{out}/de:48queries,528judgements,1584passages" in said
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, SettingError)
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
