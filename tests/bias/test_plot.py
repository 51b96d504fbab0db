"""Pictures of language bias: whole, self-contained, the same twice, and seen in a real browser."""

import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image
from toys import TESTS
from toys.bias import a_report
from toys.browser import console, opened
from toys.cli import succeed
from toys.scaling import FAMILIES, a_family

from hybridir_mteb.bias.plot.draw import SUFFIXES, check_suffix, write_plot
from hybridir_mteb.bias.plot.numbers import (
    TOP1_CASES,
    distance_quantiles,
    note_on_distances,
    note_on_pairs,
    note_on_top1,
    top1_shares,
    why_no_distances,
    why_no_top1,
)
from hybridir_mteb.bias.plot.panels import (
    TOP1_LOOKS,
    ink,
    linear_ticks,
    log_ticks,
    short,
    tick_labels,
)
from hybridir_mteb.bias.plot.style import LONGEST_LABEL, drawing, labels, text_width, wrapped
from hybridir_mteb.errors import DataUnavailableError, SettingError
from hybridir_mteb.measures.report import MATRICES, BiasReport
from hybridir_mteb.scaling.page import page as scaling_page
from hybridir_mteb.scaling.study import Options, study

MANY = tuple(sorted(f"{first}{second}" for first in "abcde" for second in "klmno"))
AWKWARD = ('<b>"&', "$x_1$", "zh-Hans")
LONG = (
    "Chinese (Simplified)",
    "Chinese (Simple)",
    "中文（繁體）的很長的名字",
    "語" * 40,
    "sw" * 99,
)
TITLE = "pocket-base on XQuAD-R"
NOT_PARALLEL = {
    "rank_distance": "Passages are no translations, so no query has its answer in two languages.",
    "lpr": "see <rank_distance>",
}
REMARKS = {
    "rank_distance": "of the 1,142 of 1,190 queries (96.0%) that have all their relevant passages "
    "in the run; a deeper run, or a ranking of the whole pool, would tell of the others as well, "
    "and of <rank 1> too",
    **dict.fromkeys(TOP1_CASES, "queries in el, hi, th have no candidate in their language"),
    "same_language_share_at_10": "queries in el, hi, th have no candidate in their language",
    "mean_rank": "48 of 1,190 queries lack a relevant passage in the run.",
}
NOT_TOP1 = dict.fromkeys(TOP1_CASES, "all candidates are in one language")
# Machado, Oliveira and Fernandes 2009, severity 1.0; on linear red, green, blue.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
REFUSED = "Content Security Policy"


REPORTS: dict[str, Callable[[], BiasReport]] = {
    "eleven": a_report,
    "many": lambda: a_report(MANY),
    "one": lambda: a_report(("en",), ("fa", "ru", "zh")),
    "alone": lambda: a_report(("en",)),
    "not_parallel": lambda: without_distances(a_report(("en", "sw"), not_applicable=NOT_PARALLEL)),
    "awkward": lambda: a_report(AWKWARD),
    "holes": lambda: with_holes(),
    "remarked": lambda: replace(a_report(), remarks=REMARKS),
    "long": lambda: a_report(LONG),
    "nothing": lambda: BiasReport(
        (), (), {}, {}, {}, {}, {}, {}, {name: [] for name in MATRICES}, {}
    ),
}


def without_distances(report: BiasReport) -> BiasReport:
    """As a collection whose relevant passages are in one language only."""
    lone = {"mean_rank": [[4.0, None], [None, 900.0]], "recall_at_10": [[0.7, None], [None, 0.1]]}
    return replace(report, matrices={**report.matrices, **lone})


def with_holes() -> BiasReport:
    """One language without rank distances and first passages; one pair without any relevant."""
    report = a_report(("de", "en", "fr"))
    by_language = {code: dict(row) for code, row in report.by_language.items()}
    by_language["en"]["top1_relevant_same"] = None
    matrix = [list(row) for row in report.matrices["share_at_10"]]
    matrix[0][1] = None
    return replace(
        report,
        by_language=by_language,
        rank_distances={**report.rank_distances, "en": [], "fr": [0, 0, 3]},
        matrices={**report.matrices, "share_at_10": matrix},
    )


@pytest.fixture(scope="module")
def reports() -> dict[str, BiasReport]:
    return {name: make() for name, make in REPORTS.items()}


@pytest.fixture(scope="module")
def pages(
    reports: dict[str, BiasReport], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The page of every report."""
    folder = tmp_path_factory.mktemp("pages")
    for name, report in reports.items():
        write_plot(report, folder / f"{name}.html", f"<{name}> & $co$")
    return {name: folder / f"{name}.html" for name in reports}


def picture_of(path: Path, mode: str = "L") -> np.ndarray:
    """(height, width) or (height, width, 3) uint8."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode))


class Page(HTMLParser):
    """What a page holds; closes what it opens, or fails."""

    VOID = frozenset({"meta", "wbr"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.tables: dict[str, dict[str, list[str]]] = {}
        self.words: list[str] = []
        self._row: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self._note(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "tr" and self._row:
            self._table[self._row[0]] = self._row[1:]

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] in {"th", "td"}:
            self._row[-1] += data
        if self.open and self.open[-1] == "caption":
            self._table = self.tables.setdefault(data, {})

    def _note(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "tr":
            self._row = []
        if tag in {"th", "td"}:
            self._row.append("")
            assert tag == "td" or attributes["scope"] in {"col", "row"}
        if tag == "svg":
            assert attributes["role"] == "img"
            self.images.append(attributes["aria-label"] or "")
        for name, value in attributes.items():
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "xlink:href", "src", "srcset", "data", "action"}:
                self.links.append(value or "")


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_is_whole_and_refers_to_nothing_outside(name, pages):
    page = Page(pages[name])
    assert page.text.startswith('<!doctype html>\n<html lang="en">')
    assert f"<title>&lt;{name}&gt; &amp; $co$</title>" in page.text
    assert "<script" not in page.text
    assert "@import" not in page.text
    assert len(page.ids) == len(set(page.ids))
    inside = page.links + re.findall(r"url\(([^)]*)\)", page.text)
    within = {link[1:] for link in inside if link.startswith("#")}
    assert within <= set(page.ids)
    others = [link for link in inside if not link.startswith("#")]
    assert all(link.startswith("data:image/png;base64,") for link in others)


@pytest.mark.parametrize("name", ["eleven", "many", "one", "awkward", "holes"])
def test_a_page_holds_the_numbers_of_its_pictures(name, pages, reports):
    report, page = reports[name], Page(pages[name])
    assert page.images == [
        "Share of the top 10, in percent",
        "Rank distance of a query's relevant passages",
        "The first passage, in percent of queries",
    ]
    pairs, distances, first = (page.tables[image] for image in page.images)
    assert pairs == {
        "query language": list(report.passage_languages),
        **{
            code: ["–" if share is None else f"{100 * share:.1f}" for share in row]
            for code, row in zip(
                report.query_languages, report.matrices["share_at_10"], strict=True
            )
        },
    }
    for code in report.query_languages:
        found = report.rank_distances[code]
        assert distances[code][0] == str(len(found))
        if found:
            assert distances[code][1] == f"{min(found):,}"
            assert distances[code][4] == f"{np.median(found):,.0f}"
            assert distances[code][-1] == f"{max(found):,}"
        shares = [report.by_language[code][case] for case in TOP1_CASES]
        if None not in shares:
            assert first[code] == [f"{100 * share:.1f}" for share in shares]
    means = page.tables["Means over query languages"]
    low, high = report.intervals["rank_distance_norm"]
    assert means["rank_distance_norm"] == [
        f"{report.means['rank_distance_norm']:.3f}",
        f"[{low:.3f}, {high:.3f}]",
    ]
    assert set(report.means) < set(means)
    by_language = page.tables["Means over the queries of a language, with 95 % intervals"]
    assert len(by_language["top1_relevant_same"]) == len(report.query_languages)


def test_what_does_not_apply_is_said_in_words(pages):
    page = Page(pages["not_parallel"])
    assert page.images == [
        "Share of the top 10, in percent",
        "The first passage, in percent of queries",
    ]
    for reason in NOT_PARALLEL.values():
        assert reason in page.words
    assert "lpr" in page.words
    assert "lpr" not in page.tables["Means over query languages"]


def test_measures_that_are_missing_are_named(tmp_path):
    report = a_report(("en", "sw"))
    bare = replace(report, means={}, by_language={code: {} for code in report.query_languages})
    write_plot(bare, tmp_path / "bare.html", TITLE)
    [words] = [word for word in Page(tmp_path / "bare.html").words if "lacks" in word]
    assert all(case in words for case in TOP1_CASES)


def test_what_was_not_asked_for_is_told_from_what_is_undefined():
    report = replace(a_report(("en", "sw")), rank_distances={})
    assert why_no_distances(report) == "Undefined: no query has a rank_distance."
    other = replace(report, means={"lpr": 0.5}, by_language={"en": {}, "sw": {}})
    assert why_no_distances(other) == "Not computed: the report lacks the measure rank_distance."
    assert why_no_top1(other).startswith("Not computed: the report lacks the measures top1_")
    refused = replace(other, not_applicable={"rank_distance": "no query has two", **NOT_TOP1})
    assert why_no_distances(refused) == "No query has two."
    assert why_no_top1(refused) == "All candidates are in one language."
    assert why_no_distances(replace(refused, rank_distances={"en": [3]})) == "No query has two."


def test_remarks_stand_on_the_page_and_under_the_pictures_concerned(reports, pages):
    report, page = reports["remarked"], Page(pages["remarked"])
    assert "Remarks" in page.words
    assert set(REMARKS) | set(REMARKS.values()) <= set(page.words)
    assert "Remarks" not in Page(pages["eleven"]).words
    notes = [note_on_pairs(report, "share_at_10"), note_on_distances(report), note_on_top1(report)]
    assert [note for note in page.words if note in notes] == notes
    assert note_on_pairs(report, "mean_rank") == f"mean_rank: {REMARKS['mean_rank']}"
    assert note_on_pairs(report, "recall_at_10") == ""
    assert note_on_top1(report) == f"top1: {REMARKS['top1_relevant_same']}."


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eleven", "one"])
def test_notes_make_a_picture_higher_and_change_nothing_above(name, tmp_path, reports):
    shapes = []
    for at, remarks in enumerate(({}, REMARKS)):
        write_plot(replace(reports[name], remarks=remarks), tmp_path / f"{at}.png", TITLE)
        shapes.append(picture_of(tmp_path / f"{at}.png"))
    plain, noted = shapes
    assert noted.shape[1] == plain.shape[1]
    assert noted.shape[0] > plain.shape[0] + 30
    added = noted[plain.shape[0] - 30 :]  # under the axes' labels
    dark = (added < 128).any(axis=1)
    assert dark.any()
    assert not dark[-1]  # nothing is cut off
    assert not (noted[:, -8:] < 128).any()


WIDE_REMARKS = {
    "share_at_10": f"queries in {', '.join(['語' * 6] * 18)}",
    "rank_distance": f"queries in {'語' * 90}",
    "top1_relevant_same": f"QUERIES IN {', '.join(['ZH-HANS', 'WU-HANT'] * 12)}",
}


@pytest.mark.slow
@pytest.mark.parametrize("remarks", [REMARKS, WIDE_REMARKS])
def test_notes_and_titles_stay_within_their_room(remarks, tmp_path, reports):
    for name, title in (("short", TITLE), ("long", "Language bias of WU-HANT " * 12)):
        report = replace(reports["one"], remarks=remarks)
        write_plot(report, tmp_path / f"{name}.png", title)
    short_title, long_title = (picture_of(tmp_path / f"{name}.png") for name in ("short", "long"))
    more = len(long_title) - len(short_title)
    assert more > 20  # another line of title
    for pixels, moved in ((short_title, 0), (long_title, more)):
        assert not (pixels[:8] < 128).any()
        assert not (pixels[moved + 62 : moved + 76] < 128).any()  # above the panels' titles
        assert not (pixels[:, -8:] < 128).any()
    # Under the axes, white columns left of each panel part its notes from the others'.
    notes = (short_title[-60:] < 128).any(axis=0)
    dark = np.flatnonzero(notes)
    assert np.count_nonzero(np.diff(dark) > 40) == 2


@given(st.text("aW語 -\n", max_size=120), st.floats(0.3, 6))
def test_wrapping_keeps_every_letter(words, inches):
    with drawing():
        lines = wrapped(words, inches, size=7).splitlines()
    assert "".join("".join(lines).split()) == "".join(words.split())
    assert all(line and line == line.strip() for line in lines)
    assert all(text_width(line) <= max(2, 72 * inches / 1.5) for line in lines)


def test_undefined_values_are_told_from_zero(reports):
    report = reports["holes"]
    assert distance_quantiles(report)["en"] is None
    assert distance_quantiles(report)["fr"] == pytest.approx([0, 0, 0, 0, 1.5, 2.7, 3])
    shares = top1_shares(report)
    assert shares["en"] is None
    assert sum(shares["de"]) == pytest.approx(1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_report_gives_the_same_file(suffix, tmp_path, reports):
    for name in ("first", "second"):
        write_plot(reports["one"], tmp_path / f"{name}{suffix}", TITLE)
    first, second = (tmp_path / f"{name}{suffix}" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]  # no temporary file stays


@pytest.mark.slow
@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("matrix", ["mean_rank", "share_at_100"])
def test_every_report_becomes_a_picture(name, matrix, tmp_path, reports):
    path = tmp_path / "folder" / "out.PNG"
    write_plot(reports[name], path, TITLE, matrix=matrix)
    picture = picture_of(path, "RGB")
    height, width, _ = picture.shape
    assert 1000 < width < 4000
    assert 300 < height < 2000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    if name == "many":
        assert height > 1000


def test_a_pair_without_any_relevant_passage_is_drawn(tmp_path):
    report = a_report(("en", "sw"))
    empty = [[None, None], [None, None]]
    report = replace(report, matrices=dict.fromkeys(MATRICES, empty))
    for matrix in MATRICES:
        write_plot(report, tmp_path / f"{matrix}.html", TITLE, matrix=matrix)
        page = Page(tmp_path / f"{matrix}.html")
        pairs = page.tables[page.images[0]]
        assert (pairs["en"], pairs["sw"]) == (["–", "–"], ["–", "–"])
        assert len(re.findall(r"fill: url\(#pairs-h", page.text)) == 4  # cells that are hatched


@pytest.mark.slow
def test_drawing_leaves_no_trace_in_matplotlib(tmp_path):
    """A user's own figures, style and backend stay as they are; pyplot is not even loaded."""
    code = """
import sys
import matplotlib
from pathlib import Path
from toys.bias import a_report
from toys.cli import succeed
from hybridir_mteb.bias.plot.draw import write_plot
before = matplotlib.rcParams.copy()  # reading the backend itself would load pyplot
write_plot(a_report(("en", "sw")), Path(sys.argv[1]), "title")
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    command = (sys.executable, "-W", "error::DeprecationWarning", "-c", code)
    succeed(*command, tmp_path / "out.html", cwd=TESTS, HYBRIDIR_AUTOLOAD="0")


@pytest.mark.slow
def test_threads_draw_the_same_file_and_leave_the_settings(tmp_path, reports):
    before = mpl.rcParams.copy()
    paths = [tmp_path / f"{at}{SUFFIXES[at % 3]}" for at in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda path: write_plot(reports["awkward"], path, TITLE), paths))
    for suffix in SUFFIXES:
        assert len({path.read_bytes() for path in paths if path.suffix == suffix}) == 1
    assert mpl.rcParams.copy() == before


def test_only_one_thread_draws_at_a_time():
    inside: list[int] = []

    def draw(at: int) -> bool:
        with drawing():
            inside.append(at)
            time.sleep(0.02)  # room for another thread
            alone = inside == [at]
            inside.remove(at)
        return alone

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(draw, range(8)))


@pytest.mark.filterwarnings("error")
def test_long_and_foreign_names_keep_a_picture_small_and_quiet(tmp_path, reports, capfd):
    write_plot(reports["long"], tmp_path / "out.png", "語")
    height, width = picture_of(tmp_path / "out.png").shape
    assert width < 3300
    assert height < 900
    assert capfd.readouterr().err == ""


def test_long_names_stay_whole_in_tables(pages):
    page = Page(pages["long"])
    assert set(LONG) < set(page.tables["Share of the top 10, in percent"])


def test_labels_are_short_and_differ():
    found = labels([*LONG, "zh-Hans", "a" * 30 + "1" + "a" * 30, "a" * 30 + "2" + "a" * 30])
    assert found["zh-Hans"] == "zh-Hans"
    assert found["sw" * 99] == "swswswswsws…"
    assert found["Chinese (Simple)"] == "Chines…mple)"
    assert found["Chinese (Simplified)"] == "Chines…fied)"
    assert len(set(found.values())) == len(found)
    assert max(map(text_width, found.values())) <= LONGEST_LABEL


@pytest.mark.parametrize("name", ["out.pdf", "out", "out.html.gz"])
def test_another_suffix_is_refused(name, tmp_path, reports):
    with pytest.raises(SettingError, match=r"must end in \.html, \.png, \.svg"):
        write_plot(reports["one"], tmp_path / name, TITLE)
    with pytest.raises(SettingError):
        check_suffix(tmp_path / name)
    assert check_suffix(tmp_path / "a.b.PNG") == ".png"
    assert list(tmp_path.iterdir()) == []


def test_another_matrix_is_refused(tmp_path, reports):
    with pytest.raises(SettingError, match="no matrix 'shares': there are mean_rank, recall_at_10"):
        write_plot(reports["one"], tmp_path / "out.png", TITLE, matrix="shares")


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch, reports):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DataUnavailableError, match=r'pip install "hybridir-mteb\[plot\]"'):
        write_plot(reports["one"], tmp_path / "out.png", TITLE)


def linear(colour: str) -> np.ndarray:
    """Linear red, green, blue of a hex colour."""
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(values: np.ndarray) -> np.ndarray:
    """CIE L*a*b*, white D65, of linear red, green, blue."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.clip(to_xyz @ values / to_xyz.sum(axis=1), 0.008856, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_the_colours_of_the_bars_differ_for_everyone(blindness):
    seen = [lab(np.clip(BLINDNESS[blindness] @ linear(c), 0, 1)) for c, _ in TOP1_LOOKS.values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 20
    assert list(TOP1_LOOKS) == list(TOP1_CASES)


def test_the_bars_differ_in_grey_too(pages):
    assert len({hatch for _, hatch in TOP1_LOOKS.values()}) == len(TOP1_LOOKS)
    patterns = re.findall(r'<pattern id="first-[^"]*"', pages["eleven"].read_text())
    assert len(patterns) == sum(1 for _, hatch in TOP1_LOOKS.values() if hatch)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), "white"),
        ((1, 1, 1), "black"),
        ((0, 0.13, 0.3), "white"),
        ((1, 0.9, 0.2), "black"),
    ],
)
def test_text_is_readable_on_its_colour(colour, expected):
    assert ink(colour) == expected


def test_numbers_in_cells_are_short():
    values = [0, 0.5, 1, 3.77, 9.96, 99.6, 999.4, 1234, 9960, 13_370, 1_500_000]
    expected = ["0", "0.5", "1", "3.8", "10", "100", "1k", "1.2k", "10k", "13k", "1.5M"]
    assert [short(value) for value in values] == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (10, 13_000, [10, 30, 100, 300, 1000, 3000, 10_000]),
        (20, 90, [20, 50]),
        (0, 4, [0, 1, 2]),
        (1, 1e8, [10**at for at in range(9)]),
        (600, 900, [600, 700, 800, 900]),  # narrow ranges
        (21, 48, [30, 40]),
        (210, 480, [300, 400]),
        (6, 9, [6, 7, 8, 9]),
        (1300, 1900, [1400, 1600, 1800]),
    ],
)
def test_ticks_are_round_and_few(low, high, expected):
    assert log_ticks(low, high) == expected


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_every_range_has_ticks_within_and_labels_that_differ(low, span):
    ticks = log_ticks(low, low + span)
    assert 2 <= len(ticks) <= 11
    assert all(low <= tick <= low + span for tick in ticks)
    assert ticks == sorted(set(ticks))
    assert len(set(tick_labels(ticks))) == len(ticks)


@given(st.floats(1, 1e6), st.floats(0.01, 1e6))
def test_linear_ticks_are_few_and_within(low, span):
    ticks = linear_ticks(low, low + span)
    assert 2 <= len(ticks) <= 5
    assert all(low - 1e-9 <= tick <= low + span + 1e-9 for tick in ticks)
    assert ticks == sorted(set(ticks))


@dataclass(frozen=True)
class Seen:
    """A page as a browser shows it."""

    pixels: np.ndarray  # (height, width, 3) uint8
    log: str  # what the browser wrote, the page's console included

    def rows_of(self, colour: str) -> np.ndarray:
        """Rows with at least three pixels of exactly this colour."""
        wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        return np.flatnonzero((self.pixels == wanted).all(axis=2).sum(axis=1) >= 3)


def look(browser: str, page: Path, folder: Path, width: int = 1200) -> Seen:
    """Open a page in a browser with a new profile and take a picture of it."""
    shot = folder / "shot.png"
    done = opened(browser, page, folder, f"--screenshot={shot}", f"--window-size={width},2800")
    assert shot.is_file(), done.stderr
    return Seen(picture_of(shot, "RGB"), done.stderr)


@pytest.mark.slow
def test_a_browser_shows_all_three_pictures(browser, pages, reports, tmp_path):
    shares = np.sqrt(reports["eleven"].matrices["share_at_10"])
    cells = [to_hex(colormaps["cividis"](share)) for share in (shares.min(), shares.max())]
    seen = look(browser, pages["eleven"], tmp_path)
    assert seen.pixels.shape == (2800, 1200, 3)
    assert REFUSED not in seen.log
    assert console(seen.log) == []
    assert len(np.unique(seen.pixels @ np.array([1 << 16, 1 << 8, 1]))) > 500
    # The darkest and the brightest cell, then the boxes, then the bars, each under the one before.
    dark, bright, boxes = (seen.rows_of(colour) for colour in (*cells, "#56b4e9"))
    bars = [seen.rows_of(colour) for colour, _ in TOP1_LOOKS.values()]
    assert min(map(len, (dark, bright, boxes, *bars))) > 5
    blue = bars[0]
    assert max(dark.max(), bright.max()) < boxes.min() < blue.min()
    assert all((rows > blue.min() - 20).any() for rows in bars)
    # Eleven rows of boxes and eleven of bars: as many gaps between runs of rows, and the legend.
    assert np.count_nonzero(np.diff(boxes[boxes < blue.min() - 40]) > 1) == 10
    assert np.count_nonzero(np.diff(blue) > 1) == 11


def test_a_browser_shows_scores_against_parameters(browser, tmp_path):
    """The page of ``hybridir scaling``: marks and law in the family's colour, in both panels."""
    found = study(a_family(noise=0.4), FAMILIES, Options(("mlqa-cross",)))
    place = tmp_path / "scaling.html"
    place.write_text(scaling_page(found), encoding="utf-8")
    seen = look(browser, place, tmp_path)
    assert REFUSED not in seen.log
    assert console(seen.log) == []
    family = (seen.pixels == [0x00, 0x72, 0xB2]).all(axis=2)
    columns = np.flatnonzero(family.sum(axis=0) >= 3)
    left, right = columns[columns < 550], columns[columns > 650]
    for panel in (left, right):  # six marks, from 30M to 10B
        assert len(panel) > 30
        assert panel.max() - panel.min() > 200


def test_a_phone_shows_a_page_that_does_not_spill(browser, pages, tmp_path):
    """The widest picture scrolls within its card: the card's right edge is on the screen."""
    pixels = look(browser, pages["many"], tmp_path, width=500).pixels
    paper = pixels[0, 0]
    assert (pixels[:, -8:] == paper).all()
    assert not (pixels == paper).all()


def test_the_browser_would_tell_of_anything_from_outside(browser, pages, tmp_path):
    """The check above can fail: the page's own policy refuses an image, and the log says so."""
    text = pages["one"].read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(text.replace("<main>", '<main><img src="https://example.invalid/a.png">'))
    assert REFUSED in look(browser, spoilt, tmp_path).log
