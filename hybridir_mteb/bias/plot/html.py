"""The pictures of language bias as a web page, with their numbers as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hybridir_mteb.bias.plot.numbers import NOTHING
from hybridir_mteb.measures.report import BiasReport, Interval
from hybridir_mteb.results.html.page import safe_text

# The page cannot load anything, and the browser sees to that.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #f3f3f0; --line: #b8b8b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --paper: #1b1b1d; --line: #56565a; }
}
body { margin: 0 auto; padding: 1rem; max-width: 68rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 45rem; }
.note { margin-top: .5rem; font-size: .875rem; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .75rem;
  box-sizing: border-box; width: fit-content; max-width: 100%; }
.card, .wide { overflow-x: auto; }
.card svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
caption { text-align: left; padding: .25rem 0; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: right;
  white-space: nowrap; }
th[scope=col] { vertical-align: bottom; white-space: normal; }
th:first-child { text-align: left; }
@media (max-width: 32rem) {
  th, td { padding: .2rem .25rem; }
  th[scope=row] { white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
}
details { margin: .5rem 0; }
summary { cursor: pointer; padding: .25rem 0; }
dl { max-width: 45rem; }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem 1.25rem; }
"""


@dataclass(frozen=True)
class Section:
    """One picture of the page.

    Attributes:
        heading: What the picture shows.
        reading: How to read it, or why there is nothing to draw.
        picture: Its SVG element; None where there is nothing to draw.
        note: What to know of this collection when reading it; may be empty.
        columns: Heads of the columns of numbers.
        rows: Query language -> formatted numbers.
        of: What the rows are of.
    """

    heading: str
    reading: str
    picture: str | None
    note: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[str]]
    of: str = "query language"


def page(report: BiasReport, title: str, sections: Iterable[Section]) -> str:
    """The whole page: means, what does not apply, remarks, and one section for each picture."""
    parts = [
        f"<p>{_counts('queries', report.n_queries)} {_counts('passages', report.n_passages)}</p>",
        _means(report),
        reasons("Measures that do not apply here", report.not_applicable),
        reasons("Remarks", report.remarks),
        *(section_of(section) for section in sections),
        "<h2>All measures by query language</h2>",
        _folded("Numbers", _by_language(report)),
    ]
    return document(title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """A page of its own that loads nothing; empty parts, which are HTML, are left out."""
    safe = safe_text(title)
    whole = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{safe}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>{safe}</h1>",
        *parts,
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in whole if part)


def section_of(section: Section) -> str:
    """A heading, how to read the picture, the picture, and its numbers, folded."""
    heading = safe_text(section.heading)
    start = f"<section>\n<h2>{heading}</h2>\n<p>{safe_text(section.reading)}</p>\n"
    if section.picture is None:
        return f"{start}</section>"
    return (
        f'{start}<div class="card" tabindex="0" role="group" aria-label="{heading}">\n'
        f"{section.picture}\n</div>\n"
        + (f'<p class="note">{safe_text(section.note)}</p>\n' if section.note else "")
        + _folded("Numbers", _table(section.heading, section.columns, section.rows, section.of))
        + "\n</section>"
    )


def _counts(noun: str, counts: Mapping[str, int]) -> str:
    by_language = ", ".join(f"{safe_text(code)} {n:,}" for code, n in counts.items())
    return f"{sum(counts.values()):,} {noun} ({by_language or 'no language'})."


def _means(report: BiasReport) -> str:
    rows = {
        name: [_cell(mean), _interval(report.intervals.get(name))]
        for name, mean in report.means.items()
        if name not in report.not_applicable
    }
    columns = ("mean", "95 % interval")
    return _wide(_table("Means over query languages", columns, rows, "measure"), "Means")


def reasons(heading: str, texts: Mapping[str, str]) -> str:
    """Names and what is said of each; empty if there are none."""
    if not texts:
        return ""
    entries = "\n".join(
        f"<dt>{safe_text(name)}</dt><dd>{safe_text(text)}</dd>" for name, text in texts.items()
    )
    return f"<h2>{heading}</h2>\n<dl>\n{entries}\n</dl>"


def _by_language(report: BiasReport) -> str:
    def cell(code: str, name: str) -> str:
        mean = _cell(report.by_language[code].get(name))
        ends = report.intervals_by_language.get(code, {}).get(name)
        return f"{mean} {_interval(ends)}" if ends else mean

    rows = {
        name: [cell(code, name) for code in report.query_languages]
        for name in report.means
        if name not in report.not_applicable
    }
    caption = "Means over the queries of a language, with 95 % intervals"
    return _table(caption, report.query_languages, rows, "measure")


def _folded(summary: str, table: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n{_wide(table, summary)}\n</details>"


def _wide(table: str, label: str) -> str:
    """A table that scrolls by itself, with the keyboard too, where the page is narrower."""
    return f'<div class="wide" tabindex="0" role="group" aria-label="{label}">\n{table}\n</div>'


def _table(
    caption: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]], rows_are: str
) -> str:
    heads = "".join(f'<th scope="col">{safe_text(name)}</th>' for name in (rows_are, *columns))
    body = "\n".join(
        f'<tr><th scope="row">{safe_text(name).replace("_", "_<wbr>")}</th>'
        + "".join(f"<td>{safe_text(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows.items()
    )
    return (
        f"<table>\n<caption>{safe_text(caption)}</caption>\n<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )


def _cell(value: float | None) -> str:
    return NOTHING if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"


def _interval(ends: Interval | None) -> str:
    return NOTHING if ends is None else f"[{_number(ends[0])}, {_number(ends[1])}]"
