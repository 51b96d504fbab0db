"""The page of results that the site shows, of the package's own comparison.

What was evaluated with bf16 and with fp32 does not share a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.results.html.content import Known, content_of
from hybridir_mteb.results.html.page import page
from hybridir_mteb.results.tables import ResultRow
from markers.compare import TITLES
from markers.results import load, made_on

NAME = "report.html"
TITLE = "Hybrid batches and adversarial training, side by side"
COMPARED = "compare-debiasing"  # trained encoders, as they are and debiased: means
WITH_SUBSETS = (  # and with the scores of each subset
    *("pocketqa-r", "pocketqa-r-hybrid", "pocketqa-r-adversarial"),
    *("xquad-r", "mlqa-r"),
)
PLAIN = "none"  # what the file calls no debiaser
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
    content = load(COMPARED)
    precision = content["precision"]
    for collection, found in content["collections"].items():
        for encoder, by_debiaser in found["encoders"].items():
            for debiaser, scores in by_debiaser.items():
                name = f"hybridir/{encoder}{'' if debiaser == PLAIN else f'+{debiaser}'}"
                means: dict[str, dict[str, float]] = {}
                for key, value in scores["means"].items():
                    setting, _, measure = key.partition(".")
                    means.setdefault(setting, {})[measure] = value
                means["multi"] |= scores["bias"]
                yield ResultRow(TITLES[collection], f"{name} ({precision})", means)


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
        collection = TITLES.get(content["collection"], "PocketQA-R")
        yield ResultRow(collection, content["encoder"], means, scores)


def note() -> str:
    """What the rows are."""
    return (
        "Encoders of this package, trained from one backbone, with and without a debiaser (after "
        f"the +). Those marked {load(COMPARED)['precision']} ran in that precision, the others in "
        "fp32. None is zero-shot on XQuAD-R: their backbone saw SQuAD. A page like this of your "
        "own results: hybridir report results --html report.html"
    )


def made() -> list[str]:
    """How the numbers were made, a paragraph for each command."""
    contents = map(load, (COMPARED, *WITH_SUBSETS))
    texts = (f"Made by {one['made_by']['command']} {made_on(one)}." for one in contents)
    return list(dict.fromkeys(texts))


def report_page() -> str:
    """The page; the hook puts it into the site."""
    found = rows()
    (pocket,) = (one for one in BACKBONES if one.name == "pocket")
    sizes = {row.encoder: pocket.parameters for row in found if pocket.parameters}
    why: Mapping[str, Any] = {row.collection: WHY_NO_QUESTIONS for row in found}
    content = content_of(found, known=Known(sizes, why_no_questions=why))
    return page(content, TITLE, [note()], made(), ("index.html", "← Documentation"))
