"""Pareto smoothing of many sets of importance ratios at once: one column per set, no loop over columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: A set whose log ratios differ by less has no tail: its k is 0 by definition.
EQUAL = 1e-12
#: Draws worth of prior information that pull the shape towards 0.5.
PRIOR_DRAWS = 10


def tail_length(draws: int, efficiency: float) -> int:
    """How many of the largest ratios are smoothed: at most a fifth."""
    if draws * efficiency <= 225:
        return draws // 5
    return min(int(3 * np.sqrt(draws / efficiency)), draws // 5)


def log_sum(values: FloatArray) -> FloatArray:
    """Log of the sum of exponentials of each column."""
    highest = values.max(axis=0)
    return np.asarray(highest + np.log(np.exp(values - highest).sum(axis=0)))


def smoothed_ratios(log_ratios: FloatArray, tail: int) -> tuple[FloatArray, FloatArray]:
    """Replace the largest ratios of each column by the expected order statistics of a Pareto tail.

    Parameters
    ----------
    log_ratios
        Shape (draws, columns), each column up to a constant.
    tail
        How many of the largest are replaced.

    Returns
    -------
    tuple
        Smoothed log ratios, largest at most 0; and Pareto k per column. Where no tail could be fitted, k is infinite
        and the ratios are as they were; where all ratios are equal, k is 0.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25 (72); Zhang & Stephens 2009, Technometrics 51, 316-325 (the fit
    of the tail).
    """
    draws = len(log_ratios)
    smoothed = log_ratios - log_ratios.max(axis=0)
    place = np.argpartition(smoothed, draws - tail - 1, axis=0)[draws - tail - 1 :]
    values = np.take_along_axis(smoothed, place, axis=0)
    order = np.argsort(values, axis=0)
    place, values = np.take_along_axis(place, order, axis=0), np.take_along_axis(values, order, axis=0)
    cutoff = np.exp(values[0])
    with np.errstate(all="ignore"):
        k, sigma = _generalised_pareto(np.exp(values[1:]) - cutoff)
        p = (np.arange(tail) + 0.5)[:, None] / tail
        expected = np.log(cutoff + sigma * np.expm1(-k * np.log1p(-p)) / k)
    fitted = np.isfinite(k) & np.isfinite(expected).all(axis=0)
    replaced = np.where(fitted, np.minimum(expected, 0.0), values[1:])
    np.put_along_axis(smoothed, place[1:], replaced, axis=0)
    equal = np.ptp(log_ratios, axis=0) < EQUAL
    return smoothed, np.where(equal, 0.0, np.where(fitted, k, np.inf))


def _generalised_pareto(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape and scale of generalised Pareto distributions, one per column of excesses sorted upwards."""
    size = len(excess)
    grid = 30 + int(size**0.5)
    quarter = excess[int(size / 4 + 0.5) - 1]
    place = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = place[:, None] / (3 * quarter) + 1 / excess[-1]
    k = np.stack([np.log1p(-row * excess).mean(axis=0) for row in b])
    profile = size * (np.log(-b / k) - k - 1)
    share = np.exp(profile - profile.max(axis=0))
    best = (b * share).sum(axis=0) / share.sum(axis=0)
    shape = np.log1p(-best * excess).mean(axis=0)
    sigma = -shape / best
    pulled = (size * shape + PRIOR_DRAWS * 0.5) / (size + PRIOR_DRAWS)
    return np.where(quarter > excess[0], pulled, np.nan), sigma
