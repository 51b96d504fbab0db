"""What tables that compare methods share: units, differences, claims and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from markers.results import SETTINGS, number

TITLES = {"XQuADR": "XQuAD-R", "MLQAR": "MLQA-R", "PocketQAR": "PocketQA-R"}
DISTANCE = "multi.rank_distance"  # lower is better, in ranks; the others are mAP
MAP = {f"{key}.map": f"{label} mAP" for key, label in SETTINGS.items()}
# Scores on held-out documents: column -> key, digits, factor.
HELD_OUT = {
    "mono": ("mono_map", 1, 100),
    "cross": ("cross_map", 1, 100),
    "multi": ("multi_map", 1, 100),
    "mean": ("criterion", 1, 100),
    "rank distance": ("rank_distance", 0, 1),
    "probe": ("language_probe", 2, 1),
}
SIGNIFICANT = 0.05


class Claim(NamedTuple):
    """What is said of hybrid batches against another method.

    Attributes:
        other: The method they are compared with.
        key: Setting and measure.
        at_least: Only "not worse" is claimed.
    """

    other: str
    key: str
    at_least: bool = False

    def sentence(self) -> str:
        """What ``hybrid`` is said to be."""
        if self.key == DISTANCE:
            return f"less biased than `{self.other}` (rank distance)"
        how = "at least as good as" if self.at_least else "better than"
        return f"{how} `{self.other}`, {MAP[self.key]}"


# Elmahdy et al. 2024, abstract: comparable or superior to monolingual and to cross-lingual batches
# in every setting, and less language bias than monolingual batches.
OF_THE_PAPER = (
    *(Claim(other, key, at_least=True) for other in ("mono", "cross") for key in MAP),
    Claim("mono", DISTANCE),
)
CLAIMS = {
    "paper": OF_THE_PAPER,
    "adversarial": tuple(Claim("adversarial", key) for key in (*MAP, DISTANCE)),
}


def scale(key: str) -> tuple[int, int]:
    """Factor and digits: ranks as they are, everything else in percent."""
    return (1, 0) if key == DISTANCE else (100, 1)


def signed(difference: float, key: str) -> str:
    """A difference with its sign, in the unit of its measure."""
    factor, digits = scale(key)
    return f"{factor * difference:+.{digits}f}"


def tested(collection: Mapping[str, Any], key: str, one: str, other: str) -> tuple[float, float]:
    """The first contender less the second, and the corrected p-value of the difference."""
    for row in collection["tests"][key]:
        if row["methods"] == [other, one]:
            return row["difference"], row["p_holm"]
        if row["methods"] == [one, other]:
            return -row["difference"], row["p_holm"]
    raise KeyError(f"no test of {one} and {other} on {key}")


def better_sign(found: float, p: float, key: str) -> int:
    """1 where a difference says significantly better, -1 where worse, 0 where neither is shown."""
    if p >= SIGNIFICANT:
        return 0
    return 1 if (found < 0) == (key == DISTANCE) else -1


def bold_if_significant(found: float, p: float, key: str) -> str:
    """A difference with its sign."""
    return f"**{signed(found, key)}**" if p < SIGNIFICANT else signed(found, key)


def with_interval(mean: float, interval: Iterable[float], key: str) -> str:
    """A mean and its interval, in the unit of its measure."""
    factor, digits = scale(key)
    low, high = (number(end, digits, factor) for end in interval)
    return f"{number(mean, digits, factor)} [{low}, {high}]"


def difference_with_interval(row: Mapping[str, Any], key: str) -> str:
    """The difference of a test, bold where significant, and its interval."""
    low, high = (signed(end, key) for end in row["interval"])
    return f"{bold_if_significant(row['difference'], row['p_holm'], key)} [{low}, {high}]"


def held_out_cells(scores: Mapping[str, Any]) -> list[str]:
    """Scores on held-out documents, a cell for each column."""
    return [number(scores[key], digits, factor) for key, digits, factor in HELD_OUT.values()]


def verdict(sign: int, *, at_least: bool = False) -> str:
    """What a difference says of a claim.

    Args:
        sign: 1 for significantly better, -1 for worse, 0 for no significant difference.
        at_least: The claim is "not worse".
    """
    if sign == 1:
        return "holds, and better" if at_least else "holds"
    if sign == -1:
        return "fails: worse" if at_least else "the reverse holds"
    return "holds" if at_least else "no difference shown"
