"""The page of results that the site shows, of the package's own comparison.

What was evaluated with bf16 and with fp32, or with one seed and with several, shares no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.results.html.content import Known, content_of
from hybridir_mteb.results.html.page import page
from hybridir_mteb.results.tables import ResultRow
from markers.compare import DISTANCE, TITLES
from markers.methods import compared_backbones, file_of
from markers.results import load, made_on

NAME = "report.html"
TITLE = "Hybrid batches and adversarial training, side by side"
WITH_SUBSETS = (  # and with the scores of each subset
    *("pocketqa-r", "pocketqa-r-hybrid", "pocketqa-r-adversarial"),
    *("xquad-r", "mlqa-r"),
)
UNSEEN = "unseen"  # in the title of languages that a backbone does not know
WHY_NO_QUESTIONS = (
    "The committed results hold no scores by query. The page of your own results shows the "
    "questions: hybridir report results --html report.html"
)


def rows() -> list[ResultRow]:
    """The committed results by collection, encoders without a debiaser first."""
    found = [*_compared(), *_with_subsets()]
    order = list(dict.fromkeys(row.collection for row in found))
    return sorted(found, key=lambda row: ("+" in row.encoder, order.index(row.collection)))


def _compared() -> Iterator[ResultRow]:
    """Means over the seeds of each method, on every backbone."""
    for backbone in compared_backbones():
        content = load(file_of(backbone))
        some = any(UNSEEN in title for title in content["collections"])
        for title, found in content["collections"].items():
            name, _, rest = title.partition(" ")
            collection = TITLES[name] + (f" {rest}" if rest else "")
            collection += f", languages of {backbone}" if some and not rest else ""
            for method, of in found["contenders"].items():
                means: dict[str, dict[str, float]] = {}
                for key, value in of["mean"].items():
                    setting, _, measure = key.partition(".")
                    means.setdefault(setting, {})[measure] = value
                seeds = len(of["seeds"][DISTANCE])
                seen = f"{seeds} seeds" if seeds > 1 else "1 seed"
                encoder = f"hybridir/{backbone}-{method} ({content['precision']}, {seen})"
                yield ResultRow(collection, encoder, means)


def _with_subsets() -> Iterator[ResultRow]:
    for name in WITH_SUBSETS:
        content = load(name)
        scores = {
            setting: [{"hf_subset": subset, **score} for subset, score in of.items()]
            for setting, of in content["scores"].items()
        }
        means = {
            setting: {measure: value for measure, value in of.items() if measure != "subsets"}
            for setting, of in content["settings"].items()
        }
        yield ResultRow(TITLES[content["collection"]], content["encoder"], means, scores)


def note() -> str:
    """What the rows are."""
    return (
        "Encoders trained by this package from three backbones, with and without a debiaser (after "
        "the +). Where seeds are named: means over them, by the comparison of methods. Else one "
        "encoder of the package, in fp32, with the scores of each language. None from pocket is "
        "zero-shot on XQuAD-R: its backbone saw SQuAD. A page like this of your own results: "
        "hybridir report results --html report.html"
    )


def made() -> list[str]:
    """How the numbers were made, a paragraph for each command."""
    contents = map(load, (*map(file_of, compared_backbones()), *WITH_SUBSETS))
    texts = (f"Made by {one['made_by']['command']} {made_on(one)}." for one in contents)
    return list(dict.fromkeys(texts))


def report_page() -> str:
    """The page; the hook puts it into the site."""
    found = rows()
    sizes = {
        row.encoder: backbone.parameters
        for row in found
        for backbone in BACKBONES
        if backbone.parameters and row.encoder.startswith(f"hybridir/{backbone.name}-")
    }
    why: Mapping[str, Any] = {row.collection: WHY_NO_QUESTIONS for row in found}
    content = content_of(found, known=Known(sizes, why_no_questions=why))
    return page(content, TITLE, [note()], made(), ("index.html", "← Documentation"))
