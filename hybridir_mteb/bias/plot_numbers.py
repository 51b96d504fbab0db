"""The numbers that the pictures of language bias show, and why some cannot be shown."""

from __future__ import annotations

import numpy as np

from hybridir_mteb.metrics.bias_report import MATRICES, BiasReport

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
    if any(report.rank_distances.values()):
        return None
    return report.not_applicable.get("rank_distance", "No query has two relevant passages.")


def why_no_top1(report: BiasReport) -> str | None:
    """Why there is no top-1 decomposition to draw, or None if there is one."""
    if any(top1_shares(report).values()):
        return None
    missing = [name for name in TOP1_CASES if name not in report.means]
    if missing:
        return f"The report lacks the measures {', '.join(missing)}."
    reasons = [report.not_applicable[name] for name in TOP1_CASES if name in report.not_applicable]
    return " ".join(dict.fromkeys(reasons)) or "No query has a first passage."


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
