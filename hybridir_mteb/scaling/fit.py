"""Two laws of a score s and a number of parameters N in 10^9: a - b N^-c, and i + k log10 N.

The first levels off at a, as in Fang et al. 2024 (arXiv 2403.18684); the second never does. For a
given c the best a and b are those of a linear regression, so the fit is a search over c alone, and
all samples of a bootstrap are fitted at once (separable least squares, Golub and Pereyra 1973).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridir_mteb.errors import SettingError

Floats = NDArray[np.float64]
Interval = tuple[float, float]

BILLION = 1e9
LEAST_SIZES = 5  # three parameters are fitted, and a residual needs something to be left
LEAST_FOR_LINE = 3
EXPONENTS: Floats = np.geomspace(0.02, 3.0, 400)
HIGHEST = 100.0  # percent; nothing levels off above it
RESAMPLES = 1000
LEVEL = 0.95
FAR = 8  # a far hold-out keeps models of at most this part of the largest one's size


@dataclass(frozen=True)
class Law:
    """The saturating law.

    Attributes:
        a: Where it levels off, in percent.
        b: What is missing of that at 10^9 parameters.
        c: How fast that shrinks.
        residual: Root of the mean squared residual, in points.
        a_interval: Of the bootstrap, 95 %.
        c_interval: The same of c.
        target: Number of parameters that it is asked for.
        there: What it says there.
        there_interval: The same of that.
    """

    a: float
    b: float
    c: float
    residual: float
    a_interval: Interval
    c_interval: Interval
    target: float
    there: float
    there_interval: Interval


@dataclass(frozen=True)
class Line:
    """The log-linear law.

    Attributes:
        intercept: Score at 10^9 parameters, in percent.
        slope: Points for ten times as many parameters.
        residual: Root of the mean squared residual, in points.
        there: What it says at the target of the saturating law.
    """

    intercept: float
    slope: float
    residual: float
    there: float


@dataclass(frozen=True)
class HeldOut:
    """What laws say of the largest model when they have not seen it.

    Attributes:
        seen: How many sizes were fitted.
        largest_seen: Number of parameters of the largest of them.
        law: Prediction of the saturating law less the score, in points; None if too few are seen.
        line: The same of the log-linear law.
    """

    seen: int
    largest_seen: float
    law: float | None
    line: float


@dataclass(frozen=True)
class Curve:
    """Values of a law along sizes, with what the bootstrap says of them.

    Attributes:
        sizes: (n,) numbers of parameters.
        values: (n,) scores in percent.
        low: (n,) lower ends of the interval.
        high: (n,) upper ends.
    """

    sizes: Floats
    values: Floats
    low: Floats
    high: Floats


class Fitted:
    """A law fitted to sizes and scores, and to samples of its residuals.

    Args:
        sizes: (n,) numbers of parameters, above 0, of at least five different values.
        scores: (n,) in percent.
        seed: Of the bootstrap.

    Raises:
        SettingError: There are fewer sizes than that, or something that is no number.
    """

    def __init__(self, sizes: Sequence[float], scores: Sequence[float], seed: int = 0) -> None:
        self.sizes, self.scores = _checked(sizes, scores, LEAST_SIZES)
        self.best = _fit(self.sizes, self.scores[None])[0]
        said = _values(self.best[None], self.sizes)[0]
        left = self.scores - said
        n = len(left)
        self.residual = float(np.sqrt(np.mean(left**2)))
        # Residuals of a fit are smaller than errors, by the parameters that it has.
        spread = (left - left.mean()) * np.sqrt(n / (n - 3))
        drawn = np.random.default_rng(seed).choice(spread, (RESAMPLES, n))
        self.samples = _fit(self.sizes, said + drawn)

    def law(self, target: float) -> Law:
        """The law as numbers, asked for a number of parameters."""
        at = self.curve([target])
        a, b, c = self.best.tolist()
        return Law(
            a=a,
            b=b,
            c=c,
            residual=self.residual,
            a_interval=_ends(self.samples[:, 0]),
            c_interval=_ends(self.samples[:, 2]),
            target=target,
            there=float(at.values[0]),
            there_interval=(float(at.low[0]), float(at.high[0])),
        )

    def curve(self, sizes: Sequence[float] | Floats) -> Curve:
        """The law along (n,) numbers of parameters."""
        asked = np.asarray(sizes, np.float64)
        ends = np.array([_ends(column) for column in _values(self.samples, asked).T])
        return Curve(asked, _values(self.best[None], asked)[0], ends[:, 0], ends[:, 1])


def line(sizes: Sequence[float], scores: Sequence[float], target: float) -> Line:
    """The log-linear law by least squares.

    Args:
        sizes: (n,) numbers of parameters, of at least three different values.
        scores: (n,) in percent.
        target: Number of parameters to ask it for.

    Raises:
        SettingError: There are fewer sizes than that, or something that is no number.
    """
    n, s = _checked(sizes, scores, LEAST_FOR_LINE)
    slope, intercept = np.polyfit(np.log10(n / BILLION), s, 1).tolist()
    left = s - intercept - slope * np.log10(n / BILLION)
    there = intercept + slope * float(np.log10(target / BILLION))
    return Line(intercept, slope, float(np.sqrt(np.mean(left**2))), there)


def held_out(sizes: Sequence[float], scores: Sequence[float], share: float = 1.0) -> HeldOut | None:
    """Fit without the largest model and ask for it; None if too few sizes are left.

    Args:
        sizes: (n,) numbers of parameters.
        scores: (n,) in percent.
        share: Largest size that is fitted, as a share of the largest model's; 1 leaves out that one
            alone, or all of its size.
    """
    n, s = np.asarray(sizes, np.float64), np.asarray(scores, np.float64)
    if not len(n):
        return None
    seen = n <= share * n.max() if share < 1 else n < n.max()
    if len(np.unique(n[seen])) < LEAST_FOR_LINE:
        return None
    largest, score = float(n.max()), float(s[n == n.max()].mean())
    law = None
    if len(np.unique(n[seen])) >= LEAST_SIZES - 1:
        law = float(_values(_fit(n[seen], s[seen][None]), np.array([largest]))[0, 0]) - score
    straight = line(n[seen].tolist(), s[seen].tolist(), largest).there - score
    return HeldOut(int(seen.sum()), float(n[seen].max()), law, straight)


def _checked(sizes: Sequence[float], scores: Sequence[float], least: int) -> tuple[Floats, Floats]:
    n, s = np.asarray(sizes, np.float64), np.asarray(scores, np.float64)
    if n.shape != s.shape or n.ndim != 1 or not (np.isfinite(n) & np.isfinite(s) & (n > 0)).all():
        raise SettingError("a law needs as many scores as sizes, finite, and sizes above 0")
    if len(np.unique(n)) < least:
        raise SettingError(f"a law needs at least {least} sizes, got {len(np.unique(n))}")
    return n, s


def _fit(sizes: Floats, samples: Floats) -> Floats:
    """(n_samples, 3) best a, b and c of each sample of scores, a at most 100."""
    # The exponents of a first search are 1.3 % apart, those of a second one 0.25 %.
    coarse = _search(sizes, samples, EXPONENTS[None])
    step = EXPONENTS[1] / EXPONENTS[0]
    around = coarse[:, 2:] * np.geomspace(1 / step, step, 11)
    return _search(sizes, samples, np.clip(around, EXPONENTS[0], EXPONENTS[-1]))


def _search(sizes: Floats, samples: Floats, exponents: Floats) -> Floats:
    """The best of each sample's exponents: a row for each sample, or one for all."""
    powers = np.exp(-exponents[:, :, None] * np.log(sizes / BILLION))  # (samples, exponents, n)
    mean = powers.mean(2)
    centred = powers - mean[:, :, None]
    scores = samples - samples.mean(1, keepdims=True)
    if len(exponents) == 1:
        covered = scores @ centred[0].T
    else:
        covered = (centred @ scores[:, :, None])[:, :, 0]
    variance = (centred**2).sum(2)
    b = -covered / variance
    a = samples.mean(1, keepdims=True) + b * mean
    explained = np.where(a <= HIGHEST, covered**2 / variance, -np.inf)
    at = explained.argmax(1)
    rows = np.arange(len(samples))
    found = np.broadcast_to(exponents, a.shape)[rows, at]
    return np.stack([a[rows, at], b[rows, at], found], 1)


def _values(laws: Floats, sizes: Floats) -> Floats:
    """(n_laws, n_sizes) scores."""
    a, b, c = (laws[:, at : at + 1] for at in range(3))
    return np.asarray(a - b * (sizes / BILLION) ** -c)


def _ends(values: Floats) -> Interval:
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
