"""The page of results: what it holds, that no name can do anything in it, and how it is used."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from toys.browser import console, opened

from hybridir_mteb.results.by_query import QueryScores, add_beside
from hybridir_mteb.results.html.content import Known, Public, content_of
from hybridir_mteb.results.html.gather import known_of
from hybridir_mteb.results.html.page import TITLE, embedded, page
from hybridir_mteb.results.html.questions import MOST, TOP, OfCollection, Texts, as_json
from hybridir_mteb.results.tables import NdcgRow, ResultRow, parallel_rows

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
LANGUAGES = ("ar", "en", "zh")


def a_row(encoder: str, best: float, distance: float, collection: str = "Toy") -> ResultRow:
    """An encoder on three languages; each step of a language takes 0.1 from its scores."""
    places = list(enumerate(LANGUAGES))
    first = {"relevant_same": 0.5, "relevant_other": 0.25, "nonrelevant_same": 0.25}
    multi = [
        {
            "hf_subset": code,
            "map": best - 0.1 * at,
            "rank_distance": distance * (1 + at),
            **{f"top1_{name}": share for name, share in first.items()},
            "top1_nonrelevant_other": 0.0,
            "n_queries": 20,
            "passage_languages": {to: {"mean_rank": 2.0 + at + to_at} for to_at, to in places},
        }
        for at, code in places
    ]
    mono = [{"hf_subset": code, "map": best} for code in LANGUAGES]
    cross = [
        {"hf_subset": f"{code}-{to}", "map": best - 0.1 * (1 + at)}
        for at, code in places
        for to in LANGUAGES
        if to != code
    ]
    scores: dict[str, list[dict[str, Any]]] = {"mono": mono, "cross": cross, "multi": multi}
    means = {
        setting: {
            name: sum(one[name] for one in of) / len(of)
            for name, value in of[0].items()
            if isinstance(value, float | int)
        }
        for setting, of in scores.items()
    }
    return ResultRow(collection, encoder, means, scores)


def by_query(shift: float) -> dict[str, dict[tuple[str, str], float]]:
    keys = [(code, f"q{at}") for code in LANGUAGES for at in range(20)]
    return {
        "map": {key: (at * shift) % 1 for at, key in enumerate(keys)},
        "rank_distance": {key: 2.0 + at * 100 * shift for at, key in enumerate(keys)},
    }


def texts(language: str, query: str) -> Texts | None:
    words = {"ar": "من أي بلد تأتي القهوة؟", "en": HOSTILE, "zh": "咖啡来自哪个国家?"}
    return None if query == "q3" else Texts(f"{words[language]} {query}", "an answer")


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    names = ("hybridir/pocket-hybrid", "hybridir/pocket-base", f"org/{HOSTILE}")
    rows = [a_row(name, 0.9 - at / 10, 30 - 9 * at) for at, name in enumerate(names)]
    rows.append(a_row(names[1], 0.5, 300, HOSTILE))
    scores = {names[0]: by_query(0.31), names[1]: by_query(0.17)}
    known = Known(
        {names[0]: 118_000_000, names[1]: 7_000_000_000},
        {"Toy": OfCollection(scores, texts)},
        {HOSTILE: f"no scores {HOSTILE}"},
        Public(
            {HOSTILE: [(HOSTILE, 10**8, 0.5, "zero-shot"), ("a/b", 10**9, 0.75, "trained")]}, "X"
        ),
    )
    others = [NdcgRow(HOSTILE, names[1], {"ndcg_at_10": 0.25}, "1")]
    return content_of(rows, others, known)


def test_the_content_has_measures_but_no_counts(content):
    row = content["rows"][0]
    assert row["means"]["multi"]["rank_distance"] == 60
    assert "n_queries" not in row["means"]["multi"]
    assert row["subsets"]["cross"]["names"] == [
        "ar-en",
        "ar-zh",
        "en-ar",
        "en-zh",
        "zh-ar",
        "zh-en",
    ]
    assert row["subsets"]["multi"]["scores"]["map"] == [0.9, 0.8, 0.7]
    assert row["matrices"] == {
        "mean_rank": {
            code: {to: 2.0 + at + to_at for to_at, to in enumerate(LANGUAGES)}
            for at, code in enumerate(LANGUAGES)
        }
    }
    assert [one["parameters"] for one in content["encoders"]] == [118_000_000, 7_000_000_000, None]


def test_public_models_are_named_once_and_stand_beside_no_other_task(content):
    public = content["public"]
    assert public["tasks"] == {HOSTILE: [[0, 0.5, "zero-shot"], [1, 0.75, "trained"]]}
    assert public["models"] == [[HOSTILE, 10**8], ["a/b", 10**9]]
    assert content_of([])["public"] == {"models": [], "tasks": {}, "origin": ""}


def test_a_page_of_a_site_leads_back_and_one_of_its_own_does_not(content):
    link = '<p class="back"><a href="index.html">Back</a></p>'
    assert link in page(content, TITLE, back=("index.html", "Back"))
    assert 'class="back"' not in page(content, TITLE)


def test_what_is_no_finite_number_is_null():
    row = ResultRow("Toy", "org/model", {"multi": {"map": float("nan"), "lpr": float("inf")}})
    (found,) = content_of([row])["rows"]
    assert found["means"] == {"multi": {"map": None, "lpr": None}}


def test_no_text_can_end_the_element_that_it_is_in(content):
    text = page(content, f"{TITLE} {HOSTILE}", [HOSTILE], [HOSTILE], (f'"{HOSTILE}', HOSTILE))
    assert text.count("</script>") == 2
    assert "<img" not in text
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert data
    assert json.loads(data[1]) == json.loads(json.dumps(content))
    assert json.loads(embedded({"a": "\u2028<!--&"})) == {"a": "\u2028<!--&"}
    assert not set("<>&\u2028") & set(embedded({"a": "\u2028<!--&"}))


def test_the_page_is_the_same_twice_and_names_nothing_outside(content):
    text = page(content, TITLE)
    assert text == page(content, TITLE)
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}


def test_the_questions_are_those_that_changed_most():
    one = {("en", str(at)): 0.5 for at in range(50)}
    other = {("en", str(at)): 0.5 + (at - 25) / 100 for at in range(50)}
    scores = {"a": {"map": one}, "b": {"map": {**other, ("en", "51"): 1.0}}}
    found = as_json(OfCollection(scores), {"a": 1, "b": 0})
    (pair,) = found["changed"].values()
    changes = [round(100 * (b - a)) for _, a, b in pair["map"]]
    assert changes == [*range(-24, -24 + TOP), *range(26 - TOP, 26)]  # from b to a
    assert found["texts"][0] == {"language": "en", "id": "49"}
    assert found["distances"] is None


def test_many_encoders_are_not_compared_in_all_pairs():
    names = [f"e{at}" for at in range(MOST + 3)]
    scores = {name: {"map": {("en", "1"): at / 20}} for at, name in enumerate(names)}
    found = as_json(OfCollection(scores), {name: at for at, name in enumerate(names)})
    assert found["encoders"] == list(range(MOST))
    assert f"first {MOST} encoders" in found["note"]


def test_rank_distances_are_counted_once_each():
    found = as_json(OfCollection({"a": by_query(1.0), "b": by_query(0.0)}), {"a": 0, "b": 1})
    spread = found["distances"]
    assert {at: sum(counts) for at, counts in spread["counts"].items()} == {0: 60, 1: 60}
    assert spread["counts"][1][0] == 60
    assert spread["medians"] == {0: 2952.0, 1: 2.0}
    assert spread["edges"] == sorted(spread["edges"])


def put(folder: Path, values: list[float], mean: float) -> Path:
    """A result of one language and scores by query beside it, with a record of the model."""
    path = folder / "results/org__model/0123abc/ToyMultilingualRetrieval.json"
    path.parent.mkdir(parents=True)
    score = {"hf_subset": "en", "map": mean, "main_score": mean, "n_passages": 3, "languages": []}
    path.write_text(json.dumps({"scores": {"test": [score]}}))
    (path.parent / "model_meta.json").write_text(json.dumps({"n_parameters": 12}))
    ids = [f"q{at}" for at in range(len(values))]
    task = "ToyMultilingualRetrieval"
    one = QueryScores(task, "1", "test", "en", "en", "map", ids, ids, {"map": values})
    add_beside(path, one, [one.key])
    return path


def test_what_lies_beside_a_result_is_found(tmp_path):
    put(tmp_path, [0.25, 0.75], 0.5)
    known = known_of(parallel_rows(tmp_path), ask={"Toy": texts}.get)
    assert known.sizes == {"org/model": 12}
    of = known.questions["Toy"]
    assert of.scores == {"org/model": {"map": {("en", "q0"): 0.25, ("en", "q1"): 0.75}}}
    assert of.texts is texts
    assert "ids" in known_of(parallel_rows(tmp_path)).questions["Toy"].note


def test_scores_by_query_of_another_result_are_not_shown(tmp_path):
    put(tmp_path, [0.25, 0.75], 0.6)
    known = known_of(parallel_rows(tmp_path))
    assert not known.questions
    assert "no scores by query" in known.why_no_questions["Toy"]


def test_the_console_is_that_of_pages_alone(tmp_path):
    line = '[1:1:1127/1.1:INFO:CONSOLE:3] "words", source: {} (3)'
    own = line.format("chrome://omnibox-popup.top-chrome/")
    theirs = line.format((tmp_path / "report.html").as_uri())
    assert console(f"{own}\n[1:1:ERROR:dbus/bus.cc:405] Failed\n{theirs}\n") == [theirs]


@pytest.mark.slow
def test_a_browser_sorts_filters_compares_and_runs_nothing_of_others(browser, content, tmp_path):
    place = tmp_path / "report.html"
    place.write_text(page(content, TITLE), encoding="utf-8")
    clicks = Path(__file__).with_name("click.html").read_text(encoding="utf-8")
    outer = tmp_path / "click.html"
    outer.write_text(clicks.replace("PAGE;", '"report.html";'), encoding="utf-8")
    options = ("--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom")
    done = opened(browser, outer, tmp_path, *options, "--window-size=1400,1000")
    assert console(done.stderr) == []
    said = re.search(r"seen (\S+) end", done.stdout)
    assert said, done.stdout[-2000:]
    seen = json.loads(unquote(base64.b64decode(said[1]).decode()))
    assert seen["errors"] == []
    assert seen["up"] == ["24.0", "42.0", "60.0", "600.0"]
    assert seen["down"] == seen["up"][::-1]
    assert seen["state"] == seen["focus"] == "rank distance"
    assert (seen["filtered"], seen["count"]) == (["hybridir/pocket-hybrid"], "1 of 4 rows")
    assert seen["all"] > 8
    assert (seen["marks"], seen["fewer"], seen["at_mark"]) == (3, 2, True)
    assert seen["told"].startswith("hybridir/pocket-hybrid: multilingual rank distance")
    assert seen["pairs"] == [
        *("90.0", "80.0", "80.0"),
        *("70.0", "90.0", "70.0"),
        *("60.0", "60.0", "90.0"),
    ]
    assert set(seen["difference"]) == {"+10.0"}
    assert seen["bars"] > 30
    assert seen["first"] == 12
    assert "window.hacked" in seen["questions"]
    assert "القهوة" in seen["questions"]
    assert seen["arabic"] == "rtl"
    gained = re.findall(r"\t(\+[\d.]+)$", seen["questions"], re.M)
    lost = re.findall(r"\t-([\d.]+)$", seen["turned"], re.M)
    assert len(gained) == TOP
    assert {f"+{value}" for value in lost} == set(gained)
    assert (seen["none"], seen["again"]) == (0, 3)
    assert (seen["public"], seen["hidden"]) == ([1, 2, False], [2, 0, True])
    assert "a/b (public, trained)" in seen["named"]
    assert seen["tried"] > 40
    assert (seen["empty"], seen["hacked"], seen["strange"]) == (0, False, 2)
    assert seen["widest"] <= 390
    assert seen["svg"] <= 390
