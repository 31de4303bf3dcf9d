"""Measures of how two risks come together: pure functions of P(both) and the two prevalences, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.quantities import ratio
from riskmodels.estimates.tetrachoric import EMPTY, tetrachoric

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PairMeasureName = Literal["both", "given", "ratio", "odds ratio", "tetrachoric"]
#: Scale on which a direct interval is made: that of a proportion, the logarithm, or Fisher's z.
Scale = Literal["proportion", "log", "fisher"]
Gradient = tuple[FloatArray, FloatArray, FloatArray]
OfTable = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def joint_probability(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """P(both)."""
    return np.asarray(both)


def conditional_probability(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """P(second given first): among children with the first risk, the share who have the second too.

    Examples
    --------
    >>> float(conditional_probability(np.array(0.06), np.array(0.10), np.array(0.20)))
    0.6
    """
    return ratio(both, first)


def observed_over_expected(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """P(both) over what it would be if the two risks came together by chance only.

    Examples
    --------
    >>> float(np.round(observed_over_expected(np.array(0.06), np.array(0.10), np.array(0.20)), 12))
    3.0
    """
    return ratio(both, first * second)


def pair_odds_ratio(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Odds of the second risk among children with the first, over those among the others.

    Examples
    --------
    >>> float(np.round(pair_odds_ratio(np.array(0.06), np.array(0.10), np.array(0.20)), 3))  # 6 x 76 / (4 x 14)
    8.143
    """
    return np.asarray(both * (1 - first - second + both) / ((first - both) * (second - both)))


def _of_both(both: FloatArray, first: FloatArray, second: FloatArray) -> Gradient:
    return np.ones_like(both), np.zeros_like(both), np.zeros_like(both)


def _of_conditional(both: FloatArray, first: FloatArray, second: FloatArray) -> Gradient:
    return 1 / first, -both / first**2, np.zeros_like(both)


def _of_log_ratio(both: FloatArray, first: FloatArray, second: FloatArray) -> Gradient:
    return 1 / both, -1 / first, -1 / second


def _of_log_odds_ratio(both: FloatArray, first: FloatArray, second: FloatArray) -> Gradient:
    neither, only_first, only_second = 1 / (1 - first - second + both), 1 / (first - both), 1 / (second - both)
    return 1 / both + neither + only_first + only_second, -neither - only_first, -neither - only_second


def _of_fisher(both: FloatArray, first: FloatArray, second: FloatArray) -> Gradient:
    """Of atanh(correlation), by implicit differentiation of the bivariate normal probability."""
    r = tetrachoric(both, first, second)
    h, k, square = special.ndtri(first), special.ndtri(second), 1 - r**2
    root = np.sqrt(square)
    density = np.exp(-(h**2 + k**2 - 2 * r * h * k) / (2 * square)) / (2 * np.pi * root)
    scale = density * square
    return 1 / scale, -special.ndtr((k - r * h) / root) / scale, -special.ndtr((h - r * k) / root) / scale


@dataclass(frozen=True)
class PairMeasure:
    """One way to say how two risks come together.

    Parameters
    ----------
    name
        As asked for.
    words
        What a row of the table says.
    unit
        ``"proportion"``, ``"ratio"`` or ``"correlation"``.
    value
        From P(both), P(first) and P(second).
    gradient
        Derivatives of the value on `scale` with respect to the three, for direct intervals.
    scale
        Scale of the direct interval.
    symmetric
        Whether the order of the two risks does not matter; then a pair stands once.
    none
        Value where the two come together by chance only; None where it depends on the prevalences.
    """

    name: str
    words: str
    unit: str
    value: OfTable
    gradient: Callable[[FloatArray, FloatArray, FloatArray], Gradient]
    scale: Scale
    symmetric: bool = True
    none: float | None = None

    def exists(self, both: FloatArray, first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
        """Where the measure exists: an odds ratio and a correlation need four cells that are not empty."""
        some = (first > 0) & (second > 0)
        if self.name not in ("odds ratio", "tetrachoric"):
            return np.asarray(some)
        cells = (both, first - both, second - both, 1 - first - second + both)
        return np.asarray(some & (np.minimum.reduce(cells) > EMPTY))


PAIR_MEASURES: dict[str, PairMeasure] = {
    measure.name: measure
    for measure in (
        PairMeasure(
            "both", "share of children with both risks", "proportion", joint_probability, _of_both, "proportion"
        ),
        PairMeasure(
            "given",
            "share with other_risk among children with risk",
            "proportion",
            conditional_probability,
            _of_conditional,
            "proportion",
            symmetric=False,
        ),
        PairMeasure(
            "ratio", "observed / expected by chance", "ratio", observed_over_expected, _of_log_ratio, "log", none=1.0
        ),
        PairMeasure("odds ratio", "odds ratio", "ratio", pair_odds_ratio, _of_log_odds_ratio, "log", none=1.0),
        PairMeasure(
            "tetrachoric", "tetrachoric correlation", "correlation", tetrachoric, _of_fisher, "fisher", none=0.0
        ),
    )
}


@dataclass(frozen=True, eq=False)
class PairItems:
    """The pairs that a measure has a row for.

    Parameters
    ----------
    pair
        Position among `JointCounts.pairs`.
    first, second
        The two risks: "second given first" where the order matters.
    """

    pair: IntArray
    first: IntArray
    second: IntArray

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.pair)


def pair_items(risks: int, *, symmetric: bool) -> PairItems:
    """List the pairs of risks: each once, or in both directions, never a risk with itself.

    Parameters
    ----------
    risks
        Number of risks.
    symmetric
        Whether the order does not matter.

    Examples
    --------
    >>> items = pair_items(3, symmetric=False)
    >>> list(zip(items.first.tolist(), items.second.tolist(), items.pair.tolist()))
    [(0, 1, 0), (0, 2, 1), (1, 0, 0), (1, 2, 2), (2, 0, 1), (2, 1, 2)]
    """
    one, two = np.triu_indices(risks, 1)
    number = np.zeros((risks, risks), dtype=np.int64)
    number[one, two] = number[two, one] = np.arange(len(one))
    if symmetric:
        return PairItems(np.arange(len(one)), one.astype(np.int64), two.astype(np.int64))
    first, second = np.nonzero(~np.eye(risks, dtype=bool))
    return PairItems(number[first, second], first.astype(np.int64), second.astype(np.int64))


def pair_measure(name: str) -> PairMeasure:
    """Look a measure of pairs up; E195 for one that does not exist."""
    if name not in PAIR_MEASURES:
        remedy = f"choose among {', '.join(PAIR_MEASURES)}"
        raise InputError([Problem("E195", "no such measure of two risks", "measure", 1, remedy)], "co-occurrence")
    return PAIR_MEASURES[name]
