"""Rounding by n: how many digits of a share may be shown, so that they do not give back a number of children."""

from __future__ import annotations

import math

from scipy import stats

from riskmodels.release.rules import ReleaseRules


def step_of_share(n: float, rules: ReleaseRules) -> float:
    """Smallest step between printed shares of n children: 0.05, 0.01 or 0.001.

    Examples
    --------
    >>> from riskmodels.release.rules import release_rules
    >>> [step_of_share(n, release_rules()) for n in (60, 400, 5000)]
    [0.05, 0.01, 0.001]
    """
    return 0.001 if n >= rules.tenths_from else 0.01 if n >= rules.whole_points_from else 0.05


def nearest(value: float, step: float) -> float:
    """Round to the nearest multiple of a step, halves up."""
    return round(math.floor(value / step + 0.5) * step, 10)


def outward(low: float, high: float, step: float) -> tuple[float, float]:
    """Round the ends of an interval away from one another.

    Examples
    --------
    >>> outward(0.121, 0.149, 0.01)
    (0.12, 0.15)
    """
    return round(math.floor(low / step + 1e-9) * step, 10), round(math.ceil(high / step - 1e-9) * step, 10)


def upper_limit(n: float, rules: ReleaseRules) -> float:
    """Share printed as "less than": the exact 95 % upper end for the largest small count among n, a function of n alone.

    The n of the function is the printed, rounded one.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26, 404-413 (one-sided upper end).
    """
    base = nearest(n, rules.round_base_to)
    few = rules.smallest_count - 1
    step = step_of_share(n, rules)
    return outward(0.0, float(stats.beta.ppf(0.95, few + 1, base - few)), step)[1]
