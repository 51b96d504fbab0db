"""Readers of the LAReQA format and of the project's own JSON lines."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hybridir_mteb.collections.collection import Passage, Query
from hybridir_mteb.collections.readers.jsonl import read_jsonl
from hybridir_mteb.collections.readers.lareqa import read_lareqa
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, UnknownNameError

#          0         1         2
#          0123456789012345678901234567
CONTEXT = "The cat sleeps. It snows. Go"
SENTENCES = ["The cat sleeps.", "It snows.", "Go"]
BREAKS = [[0, 15], [16, 25], [26, 28]]


def question(identifier: str, *starts: int, text: str = "x") -> dict[str, Any]:
    answers = [{"answer_start": start, "text": text} for start in starts]
    return {"id": identifier, "question": f"what is {identifier}?", "answers": answers}


def paragraph(*questions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = {"context": CONTEXT, "sentences": SENTENCES, "sentence_breaks": BREAKS}
    return {**whole, "qas": list(questions), **changes}


def lareqa_file(folder: Path, *articles: list[dict[str, Any]], name: str = "en.json") -> Path:
    path = folder / name
    document = {"version": "1", "data": [{"title": "t", "paragraphs": list(a)} for a in articles]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def read_english(path: Path):
    return read_lareqa("Small", {"en": path}).part("en")


def refusal(path: Path) -> str:
    """The message with which the file is refused; it names the file."""
    with pytest.raises(DataFormatError) as caught:
        read_english(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    return message


@pytest.mark.parametrize(
    ("start", "sentence"),
    [(0, 0), (14, 0), (16, 1), (24, 1), (26, 2), (27, 2)],
    ids=["first", "last", "first of 2nd", "last of 2nd", "first of 3rd", "last of text"],
)
def test_an_answer_at_a_sentences_first_or_last_character_belongs_to_it(tmp_path, start, sentence):
    part = read_english(lareqa_file(tmp_path, [paragraph(question("q", start))]))
    assert part.queries == (Query("q", "what is q?", (sentence,)),)


def test_an_answer_that_runs_into_the_next_sentence_belongs_to_where_it_starts(tmp_path):
    path = lareqa_file(tmp_path, [paragraph(question("q", 8, text="sleeps. It snows"))])
    assert read_english(path).queries[0].relevant == (0,)


@pytest.mark.parametrize("start", [15, 25, 28, 1000, -1])
def test_an_answer_that_starts_in_no_sentence_is_refused(tmp_path, start):
    path = lareqa_file(tmp_path, [paragraph()], [paragraph(), paragraph(question("q7", start))])
    assert refusal(path).endswith(
        f"paragraph 1.1, question 'q7': answer_start {start} lies in no sentence"
    )


def test_passages_are_all_sentences_in_file_order_with_their_paragraph(tmp_path):
    other = paragraph(context="Stay.", sentences=["Stay."], sentence_breaks=[[0, 5]])
    part = read_english(lareqa_file(tmp_path, [paragraph(question("q", 0)), other], [other]))
    assert part.passages == (
        Passage("0.0.0", "The cat sleeps.", CONTEXT),
        Passage("0.0.1", "It snows.", CONTEXT),
        Passage("0.0.2", "Go", CONTEXT),
        Passage("0.1.0", "Stay.", "Stay."),
        Passage("1.0.0", "Stay.", "Stay."),
    )


def test_relevant_positions_count_the_sentences_of_earlier_paragraphs_and_articles(tmp_path):
    path = lareqa_file(
        tmp_path,
        [paragraph(question("a", 0)), paragraph(question("b", 16))],
        [paragraph(question("c", 26))],
    )
    assert [query.relevant for query in read_english(path).queries] == [(0,), (4,), (8,)]


def test_several_answers_give_each_sentence_once_in_order(tmp_path):
    path = lareqa_file(tmp_path, [paragraph(question("q", 26, 0, 3))])
    assert read_english(path).queries[0].relevant == (0, 2)


def test_every_language_has_its_file(tmp_path):
    english = lareqa_file(tmp_path, [paragraph(question("q", 0))])
    german = lareqa_file(tmp_path, [paragraph(question("q", 16))], name="de.json")
    collection = read_lareqa("Small", {"en": english, "de": german})
    assert collection.name == "Small"
    assert collection.part("en").queries[0].relevant == (0,)
    assert collection.part("de").queries[0].relevant == (1,)


@pytest.mark.parametrize("content", [b"", b'{"data": [', b"\xff\xfe{}"])
def test_a_file_that_is_not_json_is_refused(tmp_path, content):
    path = tmp_path / "en.json"
    path.write_bytes(content)
    assert re.search("not valid JSON|not UTF-8 at byte 1", refusal(path))


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = lareqa_file(tmp_path, [paragraph(question("q", 0))])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_english(path).queries == (Query("q", "what is q?", (0,)),)


@pytest.mark.parametrize(
    "key", ["context", "sentences", "sentence_breaks", "qas", "id", "question", "answers"]
)
def test_a_paragraph_or_a_question_without_a_key_is_refused(tmp_path, key):
    asked = question("q", 0)
    broken = paragraph(asked)
    del (asked if key in asked else broken)[key]
    assert f"not in the LAReQA layout, missing or misplaced: '{key}'" in refusal(
        lareqa_file(tmp_path, [broken])
    )


@pytest.mark.parametrize("document", [[], {}, {"data": 3}, {"data": [{"paragraphs": ["x"]}]}])
def test_json_of_another_layout_is_refused(tmp_path, document):
    path = tmp_path / "en.json"
    path.write_text(json.dumps(document))
    assert "not in the LAReQA layout" in refusal(path)


@pytest.mark.parametrize(
    "breaks",
    [BREAKS[:2], [*BREAKS, [28, 30]], [BREAKS[1], BREAKS[0], BREAKS[2]]],
    ids=["one missing", "behind the text", "not in order"],
)
def test_sentence_breaks_that_do_not_match_the_sentences_are_refused(tmp_path, breaks):
    path = lareqa_file(tmp_path, [paragraph(), paragraph(question("q", 0), sentence_breaks=breaks)])
    assert "paragraph 0.1: sentences and sentence_breaks do not match" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sentence_breaks": [[0], *BREAKS[1:]]}, "must be pairs of whole numbers, got [0]"),
        ({"sentence_breaks": [[0, 15, 16], *BREAKS[1:]]}, "must be pairs of whole numbers"),
        (
            {"sentence_breaks": [["0", "15"], *BREAKS[1:]]},
            "pairs of whole numbers, got ['0', '15']",
        ),
        ({"sentence_breaks": [[0, 15.7], *BREAKS[1:]]}, "pairs of whole numbers, got [0, 15.7]"),
        (
            {"sentence_breaks": [[False, 15], *BREAKS[1:]]},
            "pairs of whole numbers, got [False, 15]",
        ),
        ({"sentence_breaks": ["ab", *BREAKS[1:]]}, "each is a list, got 'ab'"),
        ({"sentence_breaks": None}, "'sentence_breaks' of paragraph 0.0 must be a list, got None"),
        ({"sentence_breaks": [[0, 17], [16, 25], [26, 28]]}, "[16, 25] is not within 17"),
        ({"sentence_breaks": [[0, 15], [25, 16], [26, 28]]}, "[25, 16] is not within 15"),
        ({"sentence_breaks": [[-9, 15], *BREAKS[1:]]}, "[-9, 15] is not within 0"),
        (
            {"sentences": [3, *SENTENCES[1:]]},
            "'sentences' of paragraph 0.0 must be a list of which",
        ),
        ({"sentences": "abc"}, "'sentences' of paragraph 0.0 must be a list, got 'abc'"),
        ({"context": ["x"]}, "'context' of paragraph 0.0 must be a string"),
        ({"context": 7}, "'context' of paragraph 0.0 must be a string"),
        ({"qas": {}}, "'qas' of paragraph 0.0 must be a list"),
    ],
)
def test_a_field_of_a_paragraph_of_another_type_is_named(tmp_path, changes, said):
    assert said in refusal(lareqa_file(tmp_path, [paragraph(question("q", 0), **changes)]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": 7}, "'id' of paragraph 0.0 must be a string, got 7"),
        ({"id": None}, "'id' of paragraph 0.0 must be a string, got None"),
        ({"question": 3}, "'question' of paragraph 0.0, question 'q' must be a string, got 3"),
        ({"question": ["x"]}, "'question' of paragraph 0.0, question 'q' must be a string"),
        (
            {"answers": {"answer_start": 0}},
            "'answers' of paragraph 0.0, question 'q' must be a list",
        ),
        ({"answers": [7]}, "'answers' of paragraph 0.0, question 'q' must be a list of which each"),
        ({"answers": [{"answer_start": True}]}, "must be a whole number, got True"),
        ({"answers": [{"answer_start": "0"}]}, "must be a whole number, got '0'"),
        ({"answers": [{"answer_start": 0.0}]}, "must be a whole number, got 0.0"),
        ({"answers": [{"answer_start": 0, "text": 3}]}, "'text' of paragraph 0.0, question 'q'"),
        ({"answers": [{"answer_start": 10**50}]}, "answer_start 1000"),
    ],
)
def test_a_field_of_a_question_of_another_type_is_named(tmp_path, changes, said):
    path = lareqa_file(tmp_path, [paragraph({**question("q", 0), **changes})])
    assert said in refusal(path)
    assert len(refusal(path)) < 300 + len(str(path))


def test_a_question_id_that_occurs_twice_is_refused(tmp_path):
    path = lareqa_file(tmp_path, [paragraph(question("q", 0)), paragraph(question("q", 16))])
    assert "query id 'q' occurs twice" in refusal(path)


def test_a_missing_lareqa_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        read_english(tmp_path / "absent.json")


def item(identifier: str = "f1", **changes: Any) -> dict[str, Any]:
    whole = {"id": identifier, "query": "who sleeps?", "sentences": SENTENCES, "relevant": 0}
    return {key: value for key, value in {**whole, **changes}.items() if value is not ...}


def jsonl_file(folder: Path, *lines: dict[str, Any] | str, language: str = "en") -> Path:
    path = folder / f"{language}.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def jsonl_refusal(folder: Path, *lines: dict[str, Any] | str) -> str:
    """The message with which the last line is refused, less the file and line that it names."""
    path = jsonl_file(folder, *lines)
    with pytest.raises(DataFormatError) as caught:
        read_jsonl("Small", folder)
    where = f"{path}:{len(lines)}: "
    assert str(caught.value).startswith(where)
    return str(caught.value).removeprefix(where)


def test_a_line_becomes_a_query_and_a_passage_for_each_sentence(tmp_path):
    jsonl_file(tmp_path, item(relevant=1), item("f2", relevant=2, sentences=["A.", "B.", "C."]))
    part = read_jsonl("Small", tmp_path).part("en")
    assert part.queries == (Query("f1", "who sleeps?", (1,)), Query("f2", "who sleeps?", (5,)))
    assert part.passages == (
        Passage("f1.0", "The cat sleeps.", CONTEXT),
        Passage("f1.1", "It snows.", CONTEXT),
        Passage("f1.2", "Go", CONTEXT),
        Passage("f2.0", "A.", "A. B. C."),
        Passage("f2.1", "B.", "A. B. C."),
        Passage("f2.2", "C.", "A. B. C."),
    )


def test_several_sentences_may_be_relevant(tmp_path):
    jsonl_file(tmp_path, item("f0"), item(relevant=[0, 2]))
    assert read_jsonl("Small", tmp_path).part("en").queries[1].relevant == (3, 5)


def test_a_line_without_query_adds_distractors_only(tmp_path):
    jsonl_file(tmp_path, item("d", query=..., relevant=...), item(relevant=0))
    part = read_jsonl("Small", tmp_path).part("en")
    assert [query.relevant for query in part.queries] == [(3,)]
    assert [passage.local_id for passage in part.passages[:3]] == ["d.0", "d.1", "d.2"]


def test_blank_lines_are_skipped_but_counted(tmp_path):
    jsonl_file(tmp_path, "", json.dumps(item()), "  ", "")
    assert len(read_jsonl("Small", tmp_path).part("en").queries) == 1
    assert "not valid JSON" in jsonl_refusal(tmp_path, "", json.dumps(item()), "  ", "{")


def test_all_files_of_the_folder_are_read_unless_languages_are_given(tmp_path):
    for language in ("en", "de", "fr"):
        jsonl_file(tmp_path, item(), language=language)
    (tmp_path / "LICENSE").write_text("CC0")
    assert read_jsonl("Small", tmp_path).languages == ("de", "en", "fr")
    assert read_jsonl("Small", tmp_path, ["fr", "de"]).languages == ("de", "fr")


@pytest.mark.parametrize(
    ("folder", "languages", "named"),
    [("", None, ""), ("absent", None, ""), ("", ["de"], "de.jsonl")],
)
def test_missing_folders_and_files_are_named(tmp_path, folder, languages, named):
    if languages:
        jsonl_file(tmp_path, item())
    with pytest.raises(DataUnavailableError) as caught:
        read_jsonl("Small", tmp_path / folder, languages)
    assert str(tmp_path / folder / named) in str(caught.value)
    assert not languages or "'de'" in str(caught.value)


def test_a_file_named_after_no_language_is_refused(tmp_path):
    jsonl_file(tmp_path, item(), language="english")
    with pytest.raises(UnknownNameError, match="unknown language code 'english'"):
        read_jsonl("Small", tmp_path)


@pytest.mark.parametrize("line", ["[]", '"f1"', "{}", '{"id": 3, "sentences": ["A."]}'])
def test_a_line_that_is_no_object_with_an_id_is_refused(tmp_path, line):
    assert re.match("expected an? (JSON )?object", jsonl_refusal(tmp_path, item("f0"), line))


@pytest.mark.parametrize("sentences", [..., None, [], "The cat sleeps.", ["A.", 3]])
def test_sentences_must_be_a_non_empty_list_of_strings(tmp_path, sentences):
    message = jsonl_refusal(tmp_path, item("f0"), item(sentences=sentences))
    assert '"sentences" must be a non-empty list of strings' in message


@pytest.mark.parametrize("query", [None, 3, ["who?"]])
def test_a_query_must_be_a_string(tmp_path, query):
    message = jsonl_refusal(tmp_path, item("f0"), item(query=query))
    assert '"query" must be a string' in message


@pytest.mark.parametrize("relevant", [..., None, -1, 3, "0", 1.0, True, [0, 3], ["0"], [[0]]])
def test_a_bad_relevant_position_is_refused(tmp_path, relevant):
    message = jsonl_refusal(tmp_path, item("f0"), item(relevant=relevant))
    shown = None if relevant is ... else relevant
    assert message.startswith(f'"relevant" is {shown!r}; ')
    assert "below 3" in message


def test_an_answer_occurs_in_the_relevant_sentence(tmp_path):
    jsonl_file(tmp_path, item(relevant=1, answer="snows"), item("f2", relevant=[0, 1], answer="s"))
    assert read_jsonl("Small", tmp_path).part("en").queries[1].relevant == (3, 4)


@pytest.mark.parametrize(
    ("answer", "occurs"), [("s", [0, 1]), ("snows", [1]), ("rains", [])], ids=["two", "other", "no"]
)
def test_an_answer_in_other_sentences_than_the_relevant_one_is_refused(tmp_path, answer, occurs):
    message = jsonl_refusal(tmp_path, item("f0"), item(relevant=0, answer=answer))
    assert message == f"the answer {answer!r} occurs in sentences {occurs}, expected [0]"


@pytest.mark.parametrize(
    ("broken", "named"),
    [(item(query=" "), "'f1'"), (item(sentences=["A.", ""]), "'f1.1'"), (item("f0"), "'f0'")],
    ids=["empty query", "empty sentence", "an id twice"],
)
def test_empty_texts_and_ids_that_occur_twice_are_refused_with_file_and_id(tmp_path, broken, named):
    path = jsonl_file(tmp_path, item("f0"), broken)
    with pytest.raises(DataFormatError) as caught:
        read_jsonl("Small", tmp_path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path):
    path = tmp_path / "en.jsonl"
    path.write_bytes(json.dumps(item()).encode() + b'\n{"id": "\xff"}\n')
    with pytest.raises(DataFormatError) as caught:
        read_jsonl("Small", tmp_path)
    assert str(path) in str(caught.value)
