"""What the page shows: rows of results, sizes of encoders, and questions, as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybridir_mteb.errors import printable
from hybridir_mteb.files.numbers import number
from hybridir_mteb.results.html.questions import OfCollection, as_json
from hybridir_mteb.results.tables import MEASURES, NdcgRow, ResultRow, Scores

_DIGITS = 6
_BY_PASSAGE_LANGUAGE = "passage_languages"  # of a multilingual subset: language -> measure -> value
_NO_MEASURES = {"main_score"}


@dataclass(frozen=True)
class Public:
    """Scores that others published, of tasks that are the same there and here.

    Attributes:
        tasks: Task -> model, number of parameters, nDCG@10 from 0 to 1, and in a word whether it is
            zero-shot.
        origin: Where they are from.
    """

    tasks: Mapping[str, Sequence[tuple[str, int, float, str]]] = field(default_factory=dict)
    origin: str = ""

    def as_json(self) -> dict[str, Any]:
        """What the page needs; each model is named once."""
        sizes = {model: size for of in self.tasks.values() for model, size, _, _ in of}
        at = {model: place for place, model in enumerate(sizes)}
        return {
            "models": [[_name(model), size] for model, size in sizes.items()],
            "tasks": {
                _name(task): [[at[model], _number(score), word] for model, _, score, word in of]
                for task, of in self.tasks.items()
            },
            "origin": self.origin,
        }


@dataclass(frozen=True)
class Known:
    """What is known of results beside their scores.

    Attributes:
        sizes: Encoder, as rows name it -> number of its parameters.
        questions: Collection -> its questions and their scores.
        why_no_questions: Collection -> why there are none, as text.
        public: What others published of the tasks.
        lower: Names of plugins' measures of which less is better.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    questions: Mapping[str, OfCollection] = field(default_factory=dict)
    why_no_questions: Mapping[str, str] = field(default_factory=dict)
    public: Public = field(default_factory=Public)
    lower: frozenset[str] = frozenset()


def content_of(
    rows: Sequence[ResultRow], others: Sequence[NdcgRow] = (), known: Known | None = None
) -> dict[str, Any]:
    """The content of a page.

    Args:
        rows: Encoders on parallel collections.
        others: Encoders on tasks that are scored by nDCG@10.
        known: What else there is.
    """
    known = known or Known()
    every: list[ResultRow | NdcgRow] = [*rows, *others]
    found = dict.fromkeys(row.encoder for row in every)
    at = {name: place for place, name in enumerate(found)}
    return {
        "encoders": [{"name": _name(name), "parameters": known.sizes.get(name)} for name in at],
        "rows": [_row(row, at[row.encoder]) for row in rows],
        "others": [
            {
                "task": _name(row.collection),
                "encoder": at[row.encoder],
                "values": {head: _number(row.value(head)) for head in MEASURES},
                "subsets": row.subsets,
            }
            for row in others
        ],
        "questions": {_name(name): as_json(of, at) for name, of in known.questions.items()},
        "why_no_questions": {_name(name): why for name, why in known.why_no_questions.items()},
        "public": known.public.as_json(),
        "lower": sorted(known.lower),
    }


def _row(row: ResultRow, encoder: int) -> dict[str, Any]:
    return {
        "collection": _name(row.collection),
        "encoder": encoder,
        "means": {
            setting: {name: _number(value) for name, value in means.items() if _shown(name)}
            for setting, means in row.means.items()
        },
        "subsets": {
            setting: _columns(scores)
            for setting, scores in row.scores.items()
            if any("hf_subset" in score for score in scores)
        },
        "matrices": _matrices(row.scores.get("multi", ())),
    }


def _columns(scores: Scores) -> dict[str, Any]:
    """Measures as columns, over the subsets in order of their names."""
    ordered = sorted(scores, key=lambda score: str(score.get("hf_subset")))
    measures = dict.fromkeys(
        name for score in ordered for name, value in score.items() if _is_number(value)
    )
    return {
        "names": [str(score.get("hf_subset")) for score in ordered],
        "scores": {
            name: [_number(score.get(name)) for score in ordered]
            for name in measures
            if _shown(name)
        },
    }


def _matrices(scores: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Measure -> query language -> passage language -> value; what is no such table is left out."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for score in scores:
        by_passage = score.get(_BY_PASSAGE_LANGUAGE)
        for code, values in by_passage.items() if isinstance(by_passage, Mapping) else ():
            for name, value in values.items() if isinstance(values, Mapping) else ():
                row = found.setdefault(name, {}).setdefault(str(score.get("hf_subset")), {})
                row[code] = _number(value)
    return found


def _shown(name: str) -> bool:
    """Whether a number of a result is a measure, and no count."""
    return not name.startswith("n_") and name not in _NO_MEASURES


def _is_number(value: Any) -> bool:
    return type(value) is float or number(value) is not None


def _number(value: Any) -> float | None:
    """A finite number with as many digits as MTEB keeps."""
    if not _is_number(value) or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def _name(text: str) -> str:
    return printable(text, None)
