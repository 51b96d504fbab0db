"""Tables of language bias: digits, what fits a terminal, what a pipe gets, and the options."""

import io
import json
import re
from dataclasses import replace
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from toys.bias import Parallel
from toys.cli import pipe, rows
from toys.hostile import ESCAPES
from typer.testing import CliRunner

from hybridir_mteb import language_bias
from hybridir_mteb.bias.present import (
    Sheet,
    as_json,
    as_latex,
    check_matrix,
    fitting,
    folded,
    matrix_number,
    sheets,
)
from hybridir_mteb.cli.app import app
from hybridir_mteb.errors import SettingError, UnknownNameError
from hybridir_mteb.measures.report import BiasReport

LANGUAGES = tuple(f"{first}{second}" for first in "abcdef" for second in "xyz")
command = import_module("hybridir_mteb.cli.bias")


def eighteen() -> BiasReport:
    toy = Parallel.make()
    report = language_bias.of_scores(
        toy.random_scores(0), *toy.arguments, **toy.keywords, resamples=0
    )
    shares = [[(row + column) / 34 for column in range(18)] for row in range(18)]
    ranks = [[12345.6 + row * column for column in range(18)] for row in range(18)]
    return replace(
        report,
        query_languages=LANGUAGES,
        passage_languages=LANGUAGES,
        by_language=dict.fromkeys(LANGUAGES, report.by_language["de"]),
        matrices={"share_at_10": shares, "mean_rank": ranks},
    )


def printed(sheet: Sheet, console: Console, monkeypatch: pytest.MonkeyPatch) -> str:
    stream = io.StringIO()
    console.file = stream
    monkeypatch.setattr("hybridir_mteb.cli.console.console", console)
    command._print(sheet)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch)


@pytest.mark.parametrize("matrix", ["share_at_10", "mean_rank"])
def test_a_pipe_gets_the_whole_matrix_in_one_table(matrix, monkeypatch):
    sheet = sheets(eighteen(), matrix)[-1]
    found = rows(printed(sheet, Console(width=120), monkeypatch))
    assert found == [list(sheet.columns), *map(list, sheet.rows)]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("matrix", ["share_at_10", "mean_rank"])
def test_a_terminal_gets_tables_that_fit_and_hold_every_cell(matrix, width, monkeypatch):
    sheet = sheets(eighteen(), matrix)[-1]
    console = Console(width=width, force_terminal=True, color_system=None)
    shown = re.sub("\x1b[^m]*m", "", printed(sheet, console, monkeypatch))
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    parts = rows(shown)
    assert len(parts) > 19
    joined = [parts[at::19] for at in range(19)]
    whole = [[pieces[0][0], *(cell for piece in pieces for cell in piece[1:])] for pieces in joined]
    assert whole == [list(sheet.columns), *map(list, sheet.rows)]


def test_a_table_that_fits_stays_as_it_is():
    sheet = Sheet("t", ("query", "a", "b"), (("de", "0.5", "0.5"),))
    assert fitting(sheet, 21) == [sheet]
    parts = fitting(sheet, 20)
    assert [part.title for part in parts] == ["t (part 1 of 2)", "t (part 2 of 2)"]
    assert [part.columns for part in parts] == [("query", "a"), ("query", "b")]
    assert [part.rows for part in fitting(sheet, 1)] == [(("de", "0.5"),), (("de", "0.5"),)]
    alone = Sheet("t", ("query",), (("de",),))
    assert fitting(alone, 1) == [alone]


@given(
    st.lists(st.text("ab_語", min_size=1, max_size=30), max_size=12, unique=True),
    st.integers(1, 200),
)
def test_cutting_loses_no_column(heads, width):
    sheet = Sheet("t", ("query", *heads), (("de", *heads), ("mean", *heads)))
    parts = fitting(sheet, width)
    assert [head for part in parts for head in part.columns[1:]] == heads
    assert [cell for part in parts for cell in part.rows[1][1:]] == heads
    assert {part.columns[0] for part in parts} == {"query"}
    for part in parts:
        stream = io.StringIO()
        monkeypatch = pytest.MonkeyPatch()
        monkeypatch.setattr("hybridir_mteb.cli.console.console", Console(width=120, file=stream))
        command._print(part)
        monkeypatch.undo()
        assert len(part.columns) <= 2 or frame(stream.getvalue()) <= width


def frame(table: str) -> int:
    return max(len(line) for line in table.splitlines() if line.startswith("┏"))


def test_matrices_have_few_digits():
    assert matrix_number(0.456, "share_at_10") == "0.46"
    assert matrix_number(0.456, "recall_at_10") == "0.46"
    assert matrix_number(12345.6, "mean_rank") == "12346"
    assert matrix_number(None, "mean_rank") == "-"
    assert r"ax & 12346 & 12346" in as_latex(eighteen(), "mean_rank")


def test_heads_break_after_underscores():
    assert folded("same_language_share_at_100") == "same_language_\nshare_at_100"


def test_an_unknown_matrix_is_refused():
    check_matrix("mean_rank")
    with pytest.raises(UnknownNameError, match="Did you mean mean_rank"):
        check_matrix("mean_ranks")


class TooLateError(Exception):
    """The evaluation began."""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--plot", "out.pdf"], SettingError),
        (["--matrix", "mean_ranks"], UnknownNameError),
        (["--measures", " , "], SettingError),
        ([], TooLateError),
    ],
)
def test_options_are_checked_before_the_evaluation(arguments, error, monkeypatch):
    def evaluate(*_: object) -> None:
        raise TooLateError

    monkeypatch.setattr(command, "_report", evaluate)
    result = CliRunner().invoke(app, ["bias", "run.trec", *arguments])
    assert type(result.exception) is error


def test_empty_names_are_dropped_and_the_matrix_is_drawn(monkeypatch, tmp_path):
    asked = []

    def evaluate(*arguments: object) -> BiasReport:
        asked.append(arguments[-1]["measures"])
        return eighteen()

    monkeypatch.setattr(command, "_report", evaluate)
    page = tmp_path / "out.html"
    options = ["--measures", "lpr, ,mrc,", "--plot", str(page), "--matrix", "mean_rank"]
    result = CliRunner().invoke(app, ["bias", "run.trec", *options])
    assert result.exit_code == 0, result.output
    assert asked == [["lpr", "mrc"]]
    assert "<h2>Mean rank of the relevant passages</h2>" in page.read_text(encoding="utf-8")
    assert "…" not in result.stdout


def test_names_of_languages_are_text_in_every_format(monkeypatch):
    """Control characters are escapes, and signs of LaTeX are no commands."""
    names = (f"[a]{ESCAPES}", "*b", "\\input{c}", "d$_^~&%#")
    report = eighteen()
    odd = replace(
        report,
        query_languages=names,
        passage_languages=names,
        by_language=dict.fromkeys(names, report.by_language["ax"]),
        matrices={"share_at_10": [[0.5] * 4] * 4},
        remarks={"lpr": f"a remark{ESCAPES}\\input{{x}}"},
    )
    latex = as_latex(odd, "share_at_10")
    lines = latex.split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith(("[", "*"))] == []
    assert r"{}[a]\textbackslash{}x1b[31m" in latex
    assert "{}*b &" in latex
    assert r"\textbackslash{}input\{c\}" in latex
    assert r"d\$\_\textasciicircum{}\textasciitilde{}\&\%\#" in latex
    assert all(line.startswith("%") for line in lines if "input{x}" in line)
    text = as_json(odd)
    assert all(line.isprintable() for line in text.split("\n"))
    assert json.loads(text)["query_languages"] == list(names)
    for sheet in sheets(odd, "share_at_10"):
        shown = printed(sheet, Console(width=300), monkeypatch)
        assert all(line.isprintable() for line in shown.split("\n"))
