"""What lies beside the results of a folder: records of encoders, and scores by query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from hybridir_mteb.errors import DataFormatError, DataUnavailableError
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.numbers import number
from hybridir_mteb.files.reading import naming
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.results.by_query import beside, is_mean, read_by_query
from hybridir_mteb.results.html.content import Known
from hybridir_mteb.results.html.questions import Key, OfCollection, TextsOf
from hybridir_mteb.results.naming import META, task_of
from hybridir_mteb.results.tables import NdcgRow, ResultRow

_NO_TEXTS = "The collection's texts are not at hand, so ids stand for them."
_SHORT = 300  # characters of a passage
AskTexts = Callable[[str], TextsOf | None]


def known_of(
    rows: Sequence[ResultRow],
    others: Iterable[NdcgRow] = (),
    sizes: Mapping[str, int] | None = None,
    ask: AskTexts | None = None,
) -> Known:
    """What the files beside some results tell.

    Args:
        rows: Of parallel collections.
        others: Of other tasks.
        sizes: Name of a model -> number of parameters, where no record tells it.
        ask: Gives the texts of a collection by its name; None where they are not at hand.

    Raises:
        DataFormatError: A file of scores by query is damaged.
    """
    found: dict[str, int] = {}
    every: list[ResultRow | NdcgRow] = [*rows, *others]
    for row in every:
        size = None if row.place is None else _size(row.place)
        size = size or (sizes or {}).get(row.encoder.split(" ")[0])
        if size:
            found[row.encoder] = size
    questions: dict[str, OfCollection] = {}
    why: dict[str, str] = {}
    for name in dict.fromkeys(row.collection for row in rows):
        scores = {r.encoder: of for r in rows if r.collection == name and (of := _by_query(r))}
        if not scores:
            why[name] = (
                "These results have no scores by query of the multilingual setting beside them: "
                "they are older, or were made with HYBRIDIR_SCORES_BY_QUERY=0."
            )
            continue
        texts = ask(name) if ask else None
        questions[name] = (
            OfCollection(scores, note=_NO_TEXTS) if texts is None else OfCollection(scores, texts)
        )
    return Known(found, questions, why)


def _size(folder: Path) -> int | None:
    """The number of parameters that MTEB's record of a model names; None if it has none."""
    try:
        with naming(folder / META):
            size = number(read_json_object(folder / META, nan=True).get("n_parameters"))
    except (DataFormatError, DataUnavailableError, OSError):
        return None  # results are read without it, too
    return int(size) if size and size > 0 else None


def _by_query(row: ResultRow) -> dict[str, dict[Key, float]]:
    """Measure -> query -> value in the multilingual setting; empty where there is no such file."""
    if row.place is None:
        return {}
    path = beside(row.place / f"{task_of(row.collection, Setting.MULTILINGUAL)}.json")
    if not path.exists():
        return {}
    found: dict[str, dict[Key, float]] = defaultdict(dict)
    means = {score.get("hf_subset"): score for score in row.scores.get("multi", ())}
    for subset in read_by_query(path):
        main, mean = subset.main_score, means.get(subset.subset, {}).get(subset.main_score)
        if not is_mean(mean, [v for v in subset.scores.get(main, ()) if v is not None]):
            continue
        keys = [(subset.language, query) for query in subset.queries]
        for measure, values in subset.scores.items():
            pairs = zip(keys, values, strict=True)
            found[measure].update({key: value for key, value in pairs if value is not None})
    return dict(found)


def shortened(passage: str) -> str:
    """The start of a passage."""
    return passage if len(passage) <= _SHORT else f"{passage[: _SHORT - 1].rstrip()}…"
