"""Readers of training data, the leak check, lexicons and code switching."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from toys.encoders import hash_embedding

from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    LeakError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.tasks.mlqa_r import MLQA_R
from hybridir_mteb.tasks.xquad_r import XQUAD_R
from hybridir_mteb.training.codeswitch import CodeSwitch
from hybridir_mteb.training.held_out import HeldOut, split_documents
from hybridir_mteb.training.leak import EvaluationTexts, check_leaks, evaluation_texts
from hybridir_mteb.training.lexicon import induce, read_muse
from hybridir_mteb.training.pairs import Example, Source, TrainingItem, normalise
from hybridir_mteb.training.recipe import Documents, Hub
from hybridir_mteb.training.sources.documents import LineParallel, crop_words, inverse_cloze, words
from hybridir_mteb.training.sources.hub import read_hub
from hybridir_mteb.training.sources.jsonl import read_jsonl
from hybridir_mteb.training.sources.ntrex import load_ntrex
from hybridir_mteb.training.sources.questions import read_questions

GOOD = {"id": "a", "language": "en", "query": "who?", "passage": "she"}


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return path


def corpus() -> LineParallel:
    english = [
        "one red fish swims here",
        "two red fish swim there",
        "three blue birds fly away",
        "four green frogs sleep now",
    ]
    german = [
        "ein roter Fisch schwimmt hier",
        "zwei rote Fische schwimmen dort",
        "drei blaue Vögel fliegen weg",
        "vier grüne Frösche schlafen jetzt",
    ]
    return LineParallel("toy", {"en": english, "de": german}, ["a", "a", "a", "b"])


def test_jsonl_joins_translations_over_files(tmp_path):
    write(tmp_path / "1.jsonl", {**GOOD, "negatives": ["he"], "document": "d"}, "")
    write(tmp_path / "2.jsonl", {**GOOD, "language": "de", "query": "wer?"})
    source = read_jsonl(tmp_path)
    (item,) = source.items
    assert item == TrainingItem(
        "a", {"en": Example("who?", "she", ("he",)), "de": Example("wer?", "she")}, "d"
    )
    assert list(read_jsonl(tmp_path, ("de",)).items[0].examples) == ["de"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", ":2: not valid JSON"),
        ("[]", ":2: expected a JSON object"),
        ({**GOOD, "id": "b", "query": " "}, ":2: 'query' must be a non-empty string"),
        ({**GOOD, "id": "b", "language": "xx"}, ":2: unknown language 'xx'"),
        ({**GOOD, "id": "b", "negatives": "no"}, ":2: 'negatives' must be a list"),
        ({**GOOD, "id": "b", "answer": "x"}, ":2: unknown field answer"),
        (GOOD, ":2: id 'a' occurs twice in 'en'"),
    ],
)
def test_a_malformed_line_is_named_with_its_file(tmp_path, row, message):
    path = write(tmp_path / "data.jsonl", GOOD, row)
    with pytest.raises(DataFormatError, match=message) as caught:
        read_jsonl(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_among_others_is_passed_over(tmp_path, content):
    write(tmp_path / "en.jsonl", GOOD)
    (tmp_path / "xx.jsonl").write_text(content)
    assert [item.id for item in read_jsonl(tmp_path).items] == ["a"]
    with pytest.raises(DataFormatError, match="no line in any language"):
        read_jsonl(tmp_path / "xx.jsonl")
    with pytest.raises(DataFormatError, match="no question in de, en"):
        read_questions(tmp_path / "xx.jsonl", corpus())


def test_missing_data_say_so(tmp_path):
    with pytest.raises(DataUnavailableError, match="no such file; check the path in the recipe's"):
        read_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(DataUnavailableError, match="no such file; check the path in the recipe's"):
        read_questions(tmp_path / "none.jsonl", corpus())
    with pytest.raises(DataUnavailableError, match=r"no \*\.jsonl"):
        read_jsonl(tmp_path)


def test_inverse_cloze_by_hand():
    source = inverse_cloze(corpus(), Documents(window=1, keep=0.0))
    found = {item.id: item.examples["en"] for item in source.items}
    assert found["a:1"] == Example("one red fish swims here", "two red fish swim there")
    assert found["a:2"].passage == "one red fish swims here three blue birds fly away"
    assert set(found) == {"a:1", "a:2", "a:3"}  # b has one sentence: no neighbour
    kept = {
        item.id: item.examples["de"] for item in inverse_cloze(corpus(), Documents(keep=1.0)).items
    }
    assert kept["b:4"].passage == "vier grüne Frösche schlafen jetzt"
    for item in inverse_cloze(corpus(), Documents(crop=1.0)).items:
        for code, example in item.examples.items():
            assert example.passage == corpus().lines[code][int(item.id.split(":")[1]) - 1]
            assert example.query in example.passage
            assert len(example.query.split()) == 3
    with pytest.raises(DataFormatError, match="nothing to train on"):
        inverse_cloze(corpus(), Documents(min_words=50))


@given(st.text("ab 中文", min_size=1), st.floats(0.1, 1), st.floats(0, 1))
def test_a_crop_is_a_contiguous_part(text, share, spot):
    for code in ("en", "zh"):
        part = crop_words(text, code, share, spot)
        assert part in " ".join(text.split()) or (code == "zh" and part in text)
        assert len(words(part, code)) >= min(3, len(words(text, code)))


def test_ntrex_is_read_by_its_pinned_files(data_dir):
    found = load_ntrex(("de", "zh"))
    assert len(found.documents) == 1997
    assert len(set(found.documents)) == 123
    assert {len(lines) for lines in found.lines.values()} == {1997}
    with pytest.raises(UnknownNameError, match="xx"):
        load_ntrex(("xx",))


def test_questions_take_their_line_as_passage(tmp_path):
    path = write(tmp_path / "q.jsonl", {"line": 2, "en": "What flies?", "de": "Was fliegt?"})
    (item,) = read_questions(path, corpus()).items
    assert item.examples["de"] == Example("Was fliegt?", "drei blaue Vögel fliegen weg")
    assert item.document == "a"
    for row, message in (({"line": 9, "en": "x"}, ":1: 'line'"), ({"line": 0, "en": ""}, "'en'")):
        with pytest.raises(DataFormatError, match=message):
            read_questions(write(path, row), corpus())


@pytest.mark.parametrize("layout", ["jsonl", "parquet", "saved"])
def test_a_local_copy_of_a_hub_data_set_has_the_same_schema(tmp_path, layout):
    for name, query in (("english", "who"), ("german", "wer")):
        rows = Dataset.from_dict(
            {
                "query": [f"{query} {at}" for at in range(4)],
                "positive": [f"{name} answer {at}" for at in range(4)],
                "negative": [f"{name} other {at}" for at in range(4)],
            }
        )
        if layout == "saved":
            rows.save_to_disk(tmp_path / name)
        else:
            (tmp_path / name).mkdir()
            place = tmp_path / name / f"train.{layout}"
            rows.to_json(place) if layout == "jsonl" else rows.to_parquet(place)
    found = read_hub(
        Hub(
            name=str(tmp_path),
            configurations={"en": "english", "de": "german"},
            negatives=("negative",),
            split="train" if layout == "saved" else "train[:3]",
        )
    )
    assert len(found.items) == (4 if layout == "saved" else 3)
    assert found.items[1].examples == {
        "en": Example("who 1", "english answer 1", ("english other 1",)),
        "de": Example("wer 1", "german answer 1", ("german other 1",)),
    }
    with pytest.raises(DataFormatError, match="no column text; it has"):
        read_hub(Hub(name=str(tmp_path), configurations={"en": "english"}, query="text"))


def test_rows_of_one_query_are_held_out_together(tmp_path):
    rows = [{"query": f"who {at // 3}", "positive": f"answer {at}"} for at in range(9)]
    Dataset.from_list(rows).to_json(tmp_path / "english.jsonl")
    found = read_hub(Hub(name=str(tmp_path), configurations={"en": "english.jsonl"}))
    assert [item.document for item in found.items] == [f"who {at // 3}" for at in range(9)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query": ["a", None]}, "row 1: column 'query' must be a non-empty string, got None"),
        ({"query": [1, 2]}, "row 0: column 'query' must be a non-empty string, got 1"),
        ({"positive": [["a"], ["b"]]}, "row 0: column 'positive' must be a non-empty string"),
        ({"negative": [1, 2]}, r"row 0: column 'negative' must hold strings, got 1"),
        ({"negative": [[1], [2]]}, r"row 0: column 'negative' must hold strings, got \[1\]"),
        ({"id": [None, "2"]}, "row 0: column 'id' must be a string or a whole number, got None"),
        ({"id": [1.5, 2.5]}, "row 0: column 'id' must be a string or a whole number, got 1.5"),
        ({"id": [True, False]}, "row 0: column 'id' must be a string or a whole number, got True"),
        ({"id": ["1", "1"]}, "row 1: id '1' occurs twice in 'en'"),
    ],
)
def test_columns_of_another_type_are_refused(tmp_path, columns, message):
    plain = {"query": ["a", "b"], "positive": ["c", "d"], "negative": ["e", "f"], "id": ["1", "2"]}
    Dataset.from_dict({**plain, **columns}).to_parquet(tmp_path / "english.parquet")
    hub = Hub(
        name=str(tmp_path),
        configurations={"en": "english.parquet"},
        negatives=("negative",),
        id="id",
    )
    with pytest.raises(DataFormatError, match=message):
        read_hub(hub)


def test_a_quotation_mark_that_swallows_rows_is_named(tmp_path):
    hub = Hub(name=str(tmp_path), configurations={"en": "english.tsv"})
    path = tmp_path / "english.tsv"
    path.write_text('query\tpositive\na\t"b ""c"" d"\ne "f" g\th\n')
    found = [item.examples["en"] for item in read_hub(hub).items]
    assert found == [Example("a", 'b "c" d'), Example('e "f" g', "h")]
    path.write_text('query\tpositive\na\t"b\nc\td"\ne\tf\n')
    with pytest.raises(DataFormatError, match=r"english\.tsv:2: a column that begins"):
        read_hub(hub)


def test_a_local_copy_that_is_damaged_is_one_message(tmp_path):
    path = tmp_path / "english.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataUnavailableError) as caught:
        read_hub(Hub(name=str(tmp_path), configurations={"en": "english.parquet"}))
    assert "\n" not in str(caught.value)


def test_a_loading_script_of_the_hub_is_not_run_and_says_so(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Dataset scripts are no longer supported")

    monkeypatch.setattr("hybridir_mteb.training.sources.hub.load_dataset", refuse)
    with pytest.raises(DataUnavailableError, match="scripts are no longer supported"):
        read_hub(Hub(name="me/set", configurations={"en": "english"}, revision="0" * 40))


def test_data_of_the_hub_are_pinned_and_say_when_they_cannot_be_had():
    with pytest.raises(DataFormatError, match="revision"):
        read_hub(Hub(name="unicamp-dl/mmarco", configurations={"en": "english"}))
    with pytest.raises(DataUnavailableError, match="Unset HF_HUB_OFFLINE"):
        read_hub(Hub(name="unicamp-dl/mmarco", configurations={"en": "english"}, revision="0" * 40))


def source_of(text: str) -> Source:
    return Source("mine", (TrainingItem("i1", {"en": Example("a short query", text)}),))


def test_a_leak_is_found_whatever_its_punctuation_and_refused():
    known = EvaluationTexts()
    known.add("Exam", ["The Panthers defence gave up just 308 points. It was good!"])
    copy = "Irrelevant start here. the PANTHERS defence gave up just 308 points"
    with pytest.raises(LeakError, match=r"mine: item 'i1' in 'en' occurs in Exam.*allow_leaks"):
        check_leaks([source_of(copy)], known, allow=False)
    assert len(check_leaks([source_of(copy)], known, allow=True)) == 1
    assert check_leaks([source_of("The Panthers gave up few points.")], known, allow=False) == []
    assert check_leaks([source_of("It was good.")], known, allow=False) == []  # too short to count


def test_a_short_question_in_chinese_is_no_shorter_than_one_in_english():
    known = EvaluationTexts()
    known.add("Exam", ["琥珀是由什么形成的？"])
    (leak,) = check_leaks([source_of("琥珀是由什么形成的")], known, allow=True)
    assert leak == ("mine", "i1", "en", "Exam")
    assert check_leaks([source_of("什么形成的")], known, allow=False) == []


@pytest.mark.slow
def test_nearly_every_question_of_the_evaluation_sets_is_long_enough(known):
    for spec in (XQUAD_R, MLQA_R):
        collection = spec.load(spec.languages)
        for code, part in collection.parts.items():
            missed = [query.text for query in part.queries if known.find(query.text) is None]
            assert len(missed) < 0.1 * len(part.queries), (code, missed[:5])


@pytest.mark.slow
def test_texts_of_all_evaluation_sets_are_known(known):
    assert known.not_at_hand == []
    assert {"XQuADR", "MLQAR", "PocketQAR", "MIRACL topics", "cranfield-beir"} <= set(known.checked)
    assert known.find("How many points did the Panthers defense surrender?") == "XQuADR"


def test_an_empty_file_of_a_beir_folder_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    write(tmp_path / "corpus.jsonl", {"_id": "p", "text": "Nothing but one passage of a corpus."})
    (tmp_path / "queries.jsonl").write_text("")
    known = evaluation_texts([tmp_path])
    assert known.find("nothing but one passage of a corpus") == tmp_path.name


def test_sets_that_are_not_at_hand_are_named(monkeypatch):
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    known = evaluation_texts()
    assert "PocketQAR" in known.checked
    assert {"XQuADR", "MLQAR", "MIRACL topics"} <= set(known.not_at_hand)


def test_normalised_text_keeps_letters_and_digits_only():
    assert normalise("Ｆoo-Bar, 12!") == normalise("foo bar 12") == "foobar12"


@given(st.text())
def test_characters_are_kept_and_dropped_by_their_category(text):
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(one for one in folded if unicodedata.category(one)[0] in "LNM")
    assert normalise(text) == kept


def test_lexicons_in_muse_format(tmp_path):
    path = tmp_path / "en-de.txt"
    path.write_text("cat\tKatze\ncat\tKater\ndog Hund\n\n")
    lexicon = read_muse(path)
    assert lexicon == {"cat": ("Katze", "Kater"), "dog": ("Hund",)}
    pairs = [f"{word}\t{other}" for word, others in lexicon.items() for other in others]
    path.write_text("\n".join(pairs) + "\n")
    assert read_muse(path) == lexicon
    path.write_text("cat\tKatze\nalone\n")
    with pytest.raises(DataFormatError, match=r"\w:2: "):
        read_muse(path)


def test_a_lexicon_is_induced_from_parallel_lines():
    pairs = {"cat": "Katze", "dog": "Hund", "sleeps": "schläft", "runs": "rennt", "eats": "frisst"}
    english, german = [], []
    for one in ("cat", "dog"):
        for verb in ("sleeps", "runs", "eats"):
            for place in ("here", "there"):
                english.append(f"The {one} {verb} {place}.")
                german.append(
                    f"{pairs[one]} {pairs[verb]} {'hier' if place == 'here' else 'dort'}!"
                )
    found = induce(english, german, target_language="de")
    for word, translation in pairs.items():
        assert found[word] == (translation.lower(),)
    assert induce(english, german, target_language="zh") == {}
    with pytest.raises(DataFormatError, match="not line-parallel"):
        induce(["a"], [])


def test_code_switching_keeps_case_script_and_punctuation():
    lexicons = {"de": {"cat": ("Katze",), "nato": ("nato",)}, "ru": {"dog": ("собака",)}}
    switch = CodeSwitch(lexicons, "en", probability=1.0)
    assert (
        switch("The cat, (dog) and Dog; NATO!", "en", 7) == "The Katze, (собака) and Собака; NATO!"
    )
    assert switch("The cat", "de", 7) == "The cat"  # only the source language
    assert CodeSwitch(lexicons, "en", probability=0.0)("cat dog", "en", 1) == "cat dog"
    half = CodeSwitch(lexicons, "en", probability=0.5)
    texts = [half("cat", "en", salt) for salt in range(2000)]
    assert 0.45 < texts.count("Katze") / 2000 < 0.55
    assert half("cat dog cat", "en", 5) == half("cat dog cat", "en", 5)
    for bad in ({"probability": 2.0}, {"lexicons": {"de": {}}}):
        with pytest.raises(SettingError):
            CodeSwitch(**{"lexicons": lexicons, "source_language": "en", **bad})


def test_held_out_documents_are_whole_and_scored_by_hand():
    items = tuple(
        TrainingItem(
            f"i{at}",
            {c: Example(f"fact{at}", f"fact{at} {c}") for c in ("de", "en")},
            f"d{at // 2}",
        )
        for at in range(40)
    )
    train, held = split_documents([Source("s", items), Source("t", items)], 5)
    assert {i.document for i in held[0].items} == {"d4", "d9", "d14", "d19"}
    assert not {i.document for i in train[1].items} & {i.document for i in held[0].items}
    assert split_documents([Source("s", items)], 0)[1] == []

    def embed(texts: list[str], role: str) -> np.ndarray:
        return np.stack([hash_embedding(text.split()[0], 64) for text in texts])

    scores = HeldOut(held, 100).evaluate(embed)  # language-blind and perfect
    assert (scores.mono_map, scores.cross_map, scores.multi_map) == (1.0, 1.0, 1.0)
    assert scores.rank_distance == 1.0
    assert scores.probe_chance == 0.5
    assert scores.criterion == 1.0
