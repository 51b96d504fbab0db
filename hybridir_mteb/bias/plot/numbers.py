"""The numbers that the pictures of language bias show, and why some cannot be shown."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hybridir_mteb.measures.report import MATRICES, BiasReport

NOTHING = "–"
TOP1_CASES = {
    "top1_relevant_same": "relevant, query's language",
    "top1_relevant_other": "relevant, other language",
    "top1_nonrelevant_same": "not relevant, query's language",
    "top1_nonrelevant_other": "not relevant, other language",
}
QUANTILES = {
    0: "smallest",
    5: "5 %",
    25: "25 %",
    50: "median",
    75: "75 %",
    95: "95 %",
    100: "largest",
}


def matrix_title(matrix: str) -> str:
    """What a matrix of ``MATRICES`` holds, with its unit."""
    words = MATRICES[matrix][0].upper() + MATRICES[matrix][1:]
    return words if matrix == "mean_rank" else f"{words}, in percent"


def distance_quantiles(report: BiasReport) -> dict[str, list[float] | None]:
    """Query language -> ``QUANTILES`` of its rank distances; None where it has none."""
    return {
        code: np.percentile(found, list(QUANTILES)).tolist() if found else None
        for code in report.query_languages
        for found in [report.rank_distances.get(code)]
    }


def top1_shares(report: BiasReport) -> dict[str, list[float] | None]:
    """Query language -> shares of the four ``TOP1_CASES``; None where one is undefined."""
    shares: dict[str, list[float] | None] = {}
    for code in report.query_languages:
        found = [report.by_language[code].get(name) for name in TOP1_CASES]
        defined = [share for share in found if share is not None]
        shares[code] = defined if len(defined) == len(found) else None
    return shares


def why_no_pairs(report: BiasReport) -> str | None:
    """Why there are no language pairs to draw, or None if there are some."""
    some = report.query_languages and report.passage_languages
    return None if some else "There are no language pairs."


def why_no_distances(report: BiasReport) -> str | None:
    """Why there is no distribution of rank distances to draw, or None if there is one."""
    name = "rank_distance"
    if name in report.not_applicable:
        return sentence(report.not_applicable[name])
    if any(distance_quantiles(report).values()):
        return None
    if not report.query_languages:
        return "There are no queries."
    if name not in report.means:
        return f"Not computed: the report lacks the measure {name}."
    return f"Undefined: no query has a {name}."


def why_no_top1(report: BiasReport) -> str | None:
    """Why there is no top-1 decomposition to draw, or None if there is one."""
    if any(top1_shares(report).values()):
        return None
    reasons = [report.not_applicable[name] for name in TOP1_CASES if name in report.not_applicable]
    if reasons:
        return " ".join(map(sentence, dict.fromkeys(reasons)))
    if not report.query_languages:
        return "There are no queries."
    missing = [name for name in TOP1_CASES if name not in report.means]
    if missing:
        return f"Not computed: the report lacks the measures {', '.join(missing)}."
    return "Undefined: no query has a first passage."


def note_on_pairs(report: BiasReport, matrix: str) -> str:
    """What to know when reading a matrix; empty if nothing."""
    return _note(report, matrix, (matrix, f"same_language_{matrix}"))


def note_on_distances(report: BiasReport) -> str:
    """What to know when reading the rank distances; empty if nothing."""
    return _note(report, "rank_distance", ("rank_distance",))


def note_on_top1(report: BiasReport) -> str:
    """What to know when reading the top-1 decomposition; empty if nothing."""
    return _note(report, "top1", TOP1_CASES)


def _note(report: BiasReport, about: str, names: Iterable[str]) -> str:
    found = dict.fromkeys(report.remarks[name] for name in names if name in report.remarks)
    return f"{about}: {'; '.join(text.rstrip('.') for text in found)}." if found else ""


def sentence(text: str) -> str:
    """A reason with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def table_of_matrix(report: BiasReport, matrix: str) -> dict[str, list[str]]:
    """Query language -> numbers of its row; shares in percent."""

    def cell(value: float | None) -> str:
        if value is None:
            return NOTHING
        return f"{value:,.1f}" if matrix == "mean_rank" else f"{100 * value:.1f}"

    rows = zip(report.query_languages, report.matrices[matrix], strict=True)
    return {code: [cell(value) for value in row] for code, row in rows}


def table_of_distances(report: BiasReport) -> dict[str, list[str]]:
    """Query language -> number of queries, then ``QUANTILES``."""
    return {
        code: [
            str(len(report.rank_distances.get(code, ()))),
            *(f"{value:,.0f}" for value in found or ()),
            *([] if found else [NOTHING] * len(QUANTILES)),
        ]
        for code, found in distance_quantiles(report).items()
    }


def table_of_top1(report: BiasReport) -> dict[str, list[str]]:
    """Query language -> ``TOP1_CASES`` in percent."""
    return {
        code: [f"{100 * share:.1f}" for share in found] if found else [NOTHING] * len(TOP1_CASES)
        for code, found in top1_shares(report).items()
    }
