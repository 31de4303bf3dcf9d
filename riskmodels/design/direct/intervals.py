"""Confidence intervals from an estimate, its variance and its degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from riskmodels.design.direct.records import INTERVALS, FloatArray, Interval, TextArray
from riskmodels.errors import Problem

#: A standard error of a proportion below this is rounding: the PSUs show no spread.
NO_SPREAD = 1e-9

NOTE_NO_CHILDREN = "no children in the base"
NOTE_NO_WEIGHT = "the weights of the base (or the denominator) sum to zero"
NOTE_NO_DEGREES = "children of the base come from too few PSUs: no interval"
NOTE_NO_ERROR = "no stratum with two PSUs, or no replicate, holds children of the base: no standard error"
NOTE_EXTREME = "none or all affected: Korn-Graubard interval on Kish's effective n, clustering not counted"
NOTE_ALIKE = "no spread between PSUs: Korn-Graubard interval on Kish's effective n, clustering not counted"
NOTE_ALIKE_MEAN = "no spread between PSUs: the standard error of 0 says nothing, no interval"


@dataclass(frozen=True, eq=False)
class Ends:
    """Ends of intervals, how each was made, and what to say about it."""

    low: FloatArray
    high: FloatArray
    kind: TextArray
    note: TextArray


def check_interval(interval: str, probability: float, allowed: tuple[str, ...] = INTERVALS) -> list[Problem]:
    """E195: an interval that does not exist, or a probability outside 0 to 1."""
    problems = []
    if interval not in allowed:
        problems.append(Problem("E195", "unknown interval", "interval", 1, f"choose among {', '.join(allowed)}"))
    if not 0 < probability < 1:
        problems.append(Problem("E195", "probability outside 0 to 1", "probability", 1, "give, say, 0.95"))
    return problems


def t_quantile(probability: float, degrees_of_freedom: FloatArray) -> FloatArray:
    """Two-sided Student-t quantile; NaN without degrees of freedom."""
    df = np.asarray(degrees_of_freedom, float)
    safe = np.where(df > 0, df, np.nan)
    return stats.t.ppf(0.5 + probability / 2, safe)


def normal_interval(estimate: FloatArray, standard_error: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Estimate plus and minus t standard errors (R: ``confint(svymean(...), df = degf(design))``)."""
    return estimate - t * standard_error, estimate + t * standard_error


def logit_interval(p: FloatArray, standard_error: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Interval symmetric on the logit scale (R: ``svyciprop(method = "xlogit")``; ``"logit"`` under Taylor)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = t * standard_error / (p * (1 - p))
        centre = special.logit(p)
    return special.expit(centre - half), special.expit(centre + half)


def wilson_interval(p: FloatArray, standard_error: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Wilson's interval on the effective n ``p (1 - p) / variance``, with the t quantile in place of the normal one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        n = p * (1 - p) / standard_error**2
        centre = (p + t**2 / (2 * n)) / (1 + t**2 / n)
        half = t * np.sqrt(p * (1 - p) / n + t**2 / (4 * n**2)) / (1 + t**2 / n)
    return centre - half, centre + half


def korn_graubard_interval(p: FloatArray, effective_n: FloatArray, probability: float) -> tuple[FloatArray, FloatArray]:
    """Clopper-Pearson on effective counts; 0 and 1 are closed ends where none or all are affected."""
    tail = (1 - probability) / 2
    yes, no = p * effective_n, (1 - p) * effective_n
    low = np.where(yes > 0, stats.beta.ppf(tail, yes, no + 1), np.where(yes == 0, 0.0, np.nan))
    high = np.where(no > 0, stats.beta.ppf(1 - tail, yes + 1, no), np.where(no == 0, 1.0, np.nan))
    return low, high


def adjusted_n(effective_n: FloatArray, n: FloatArray, t: FloatArray, probability: float) -> FloatArray:
    """Effective n made smaller for few degrees of freedom, as Korn and Graubard do and R's ``svyciprop`` after them."""
    return effective_n * (t_quantile(probability, n - 1) / t) ** 2


def proportion_interval(
    p: FloatArray,
    standard_error: FloatArray,
    degrees_of_freedom: FloatArray,
    n: FloatArray,
    kish_n: FloatArray,
    interval: Interval,
    probability: float,
) -> Ends:
    """Interval for proportions, each domain by the kind asked for or, where that is undefined, by Korn-Graubard.

    Parameters
    ----------
    p, standard_error, degrees_of_freedom, n, kish_n
        Per domain.
    interval
        ``"logit"``, ``"Wilson"``, ``"Korn-Graubard"`` or ``"normal"``.
    probability
        Coverage aimed at.

    Returns
    -------
    Ends
        Where the standard error is zero (none or all affected, or PSUs all alike) the sample shows no spread; the
        interval is then Korn-Graubard's on Kish's effective n, and the note says so. Without degrees of freedom
        there is no interval.

    References
    ----------
    Korn & Graubard 1998, Survey Methodology 24, 193-201; Franco, Little, Louis & Slud 2019, JSSAM 7, 334-364.
    """
    t = t_quantile(probability, degrees_of_freedom)
    alike = standard_error < NO_SPREAD
    if interval == "Korn-Graubard":
        with np.errstate(divide="ignore", invalid="ignore"):
            effective_n = adjusted_n(p * (1 - p) / standard_error**2, n, t, probability)
        low, high = korn_graubard_interval(p, np.where(alike, np.nan, effective_n), probability)
    else:
        make = {"logit": logit_interval, "Wilson": wilson_interval, "normal": normal_interval}[interval]
        low, high = make(p, standard_error, t)
    shortened = np.minimum(adjusted_n(kish_n, n, t, probability), n)
    fallback_low, fallback_high = korn_graubard_interval(p, np.where(alike, shortened, np.nan), probability)
    low, high = np.where(alike, fallback_low, low), np.where(alike, fallback_high, high)
    kind = np.where(alike, "Korn-Graubard", interval).astype(object)
    note = np.where(alike, np.where((p == 0) | (p == 1), NOTE_EXTREME, NOTE_ALIKE), "").astype(object)
    return say_why(Ends(low, high, kind, note), p, standard_error, degrees_of_freedom, n)


def number_interval(
    estimate: FloatArray, standard_error: FloatArray, degrees_of_freedom: FloatArray, n: FloatArray, probability: float
) -> Ends:
    """Interval for means, totals and ratios: estimate plus and minus t standard errors."""
    low, high = normal_interval(estimate, standard_error, t_quantile(probability, degrees_of_freedom))
    alike = (standard_error <= NO_SPREAD * np.abs(estimate)) & np.isfinite(standard_error)
    low, high = np.where(alike, np.nan, low), np.where(alike, np.nan, high)
    kind = np.full(len(estimate), "normal", dtype=object)
    note = np.where(alike, NOTE_ALIKE_MEAN, "").astype(object)
    return say_why(Ends(low, high, kind, note), estimate, standard_error, degrees_of_freedom, n)


def say_why(
    ends: Ends, estimate: FloatArray, standard_error: FloatArray, degrees_of_freedom: FloatArray, n: FloatArray
) -> Ends:
    """Blank the intervals that cannot be had, and note why."""
    reasons = [
        (n == 0, NOTE_NO_CHILDREN),
        (np.isnan(estimate), NOTE_NO_WEIGHT),
        (np.isnan(standard_error), NOTE_NO_ERROR),
        (~(degrees_of_freedom > 0), NOTE_NO_DEGREES),
    ]
    conditions, words = [reason[0] for reason in reasons], [reason[1] for reason in reasons]
    without = np.any(conditions, axis=0)
    note = np.select(conditions, [np.full(len(n), word, dtype=object) for word in words], default=ends.note)
    kind = np.where(without, "", ends.kind).astype(object)
    return Ends(np.where(without, np.nan, ends.low), np.where(without, np.nan, ends.high), kind, note)
