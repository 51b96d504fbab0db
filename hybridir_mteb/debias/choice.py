"""An option of a debiaser, chosen on held-out lines of the parallel text that it is fitted on.

Lines of one number are translations of one another, so each is a query for its translations, among
the held-out lines of all languages but itself. No evaluation set takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridir_mteb.errors import SettingError
from hybridir_mteb.measures.effectiveness import average_precision
from hybridir_mteb.measures.language_bias import rank_distance
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.plugins.debias_specs import Debiaser
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.ranking.arrays import FloatArray, FloatMatrix, Relevance, distinct
from hybridir_mteb.ranking.exact import exact_ranks
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.scorers import DenseScorer

AUTO = "auto"
EVERY = 5  # line of each language is held out
FEWEST = 20  # held-out lines

Embeddings = Mapping[str, Mapping[str, FloatArray]]  # role -> language -> a row for each line
Debias = Callable[[FloatArray, str, str], FloatMatrix]  # of embeddings, their language and role


@dataclass(frozen=True)
class Score:
    """How well held-out lines find their translations with one value of the option.

    Attributes:
        value: Of the option.
        map: Mean average precision; what is chosen by.
        rank_distance: Largest less smallest rank of a line's translations; NaN where there is one.
    """

    value: OptionValue
    map: float
    rank_distance: float


@dataclass(frozen=True)
class Choice:
    """The value of an option that was chosen.

    Attributes:
        option: Its name.
        value: The best of its values, the first of those that are equally good.
        lines: Of each language, all of which the debiaser was then fitted on.
        held_out: How many of them were held out for the choice.
        scores: Of every value.
    """

    option: str
    value: OptionValue
    lines: int
    held_out: int
    scores: tuple[Score, ...]

    def as_dict(self) -> dict[str, Any]:
        """For records, rounded."""
        return {
            "option": self.option,
            "value": self.value,
            "chosen_by": "map of translations",
            "held_out_every": EVERY,
            "held_out_lines": self.held_out,
            "refitted_on_lines": self.lines,
            "scores": [
                {
                    "value": score.value,
                    "map": round(score.map, 6),
                    "rank_distance": round(score.rank_distance, 4),
                }
                for score in self.scores
            ],
        }


def left_open(debiaser: Debiaser, options: Mapping[str, OptionValue]) -> str | None:
    """The option whose value is to be chosen; None if there is none."""
    found = [name for name in debiaser.choices if options[name] == AUTO]
    if len(found) > 1:
        raise SettingError(
            f"{debiaser.name}: {' and '.join(found)} are {AUTO}: one option at a time can be chosen"
        )
    return found[0] if found else None


def check_choice(
    debiaser: Debiaser, options: Mapping[str, OptionValue], *, parallel: bool, lines: int
) -> None:
    """Refuse to choose on text that is not parallel, or has too few lines in a language.

    Raises:
        SettingError: It is such text, or two options are to be chosen.
    """
    option = left_open(debiaser, options)
    if option is None:
        return
    by_hand = f"give a value, such as {option}={debiaser.options[option]}"
    if not parallel:
        raise SettingError(
            f"{debiaser.name}: {option}={AUTO} is chosen by how lines find their translations, "
            f"which needs line-parallel text, equally many lines in every language; or {by_hand}"
        )
    if lines // EVERY < FEWEST:
        raise SettingError(
            f"{debiaser.name}: {option}={AUTO} is chosen on one in {EVERY} lines, {FEWEST} at "
            f"least, so {EVERY * FEWEST} lines of each language are needed; the text has {lines}. "
            f"Add text, or {by_hand}"
        )


def choose(
    option: str,
    values: Sequence[OptionValue],
    embeddings: Embeddings,
    fit: Callable[[OptionValue, Embeddings], Debias],
) -> Choice:
    """The value with which held-out lines find their translations best, the first of equals."""
    lines = len(next(iter(embeddings["query"].values())))
    held = np.zeros(lines, bool)
    held[EVERY - 1 :: EVERY] = True

    def part(rows: np.ndarray[Any, np.dtype[np.bool_]]) -> Embeddings:
        return {
            role: {code: matrix[rows] for code, matrix in of_role.items()}
            for role, of_role in embeddings.items()
        }

    kept, asked, scores = part(~held), part(held), []
    for value in values:
        debias = fit(value, kept)
        queries, passages = (
            [debias(matrix, code, role) for code, matrix in asked[role].items()]
            for role in ("query", "document")
        )
        scores.append(Score(value, *find_translations(queries, passages)))
    best = max(scores, key=lambda score: score.map)
    return Choice(option, best.value, lines, int(held.sum()), tuple(scores))


def find_translations(
    queries: Sequence[FloatMatrix], passages: Sequence[FloatMatrix]
) -> tuple[float, float]:
    """Mean average precision and rank distance of lines that look for their translations.

    Averages over lines and languages, by cosine and the tie rule of all measures.

    Args:
        queries: (n_lines, dimension) of each language, in the role of queries.
        passages: The same lines in the role of passages.
    """
    size, lines = len(passages), len(passages[0])
    own = np.repeat(np.arange(size), lines)[:, None]  # language number of each query
    columns = np.arange(size * lines).reshape(size, lines)
    same_line = np.tile(columns.T, (size, 1))  # a row for each query, its own passage included
    stacked = np.concatenate(passages)
    first, rows = distinct(row.tobytes() for row in stacked)
    ranks = exact_ranks(
        DenseScorer(np.concatenate(queries), stacked[first], rows),
        Relevance.from_lists(same_line.tolist()),
        tie_order([str(column) for column in columns.flat]),
    ).reshape(same_line.shape)
    # The query's own line is not searched: what lies below it moves up by one.
    ranks -= ranks > np.take_along_axis(ranks, own, axis=1)
    others = np.arange(size) != own
    relevance = Relevance.from_lists(same_line[others].reshape(-1, size - 1).tolist())
    table = RankTable.build(relevance, ranks[others], size * lines - 1)
    return float(average_precision(table).mean()), float(rank_distance(table).mean())
