"""Tetrachoric correlation: the bivariate normal that gives a 2 x 2 table, inverted exactly and for millions at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

#: Tables solved at a time, so that they stay in the processor's cache.
BLOCK = 8192
#: Steps in the angle below which a table is solved, and the most steps made (bisection alone needs 45).
SMALL_STEP, STEPS = 1e-13, 100
#: Tables this near to an empty cell have a correlation of -1 or 1.
EMPTY = 1e-15


def bivariate_normal(h: FloatArray, k: FloatArray, correlation: FloatArray) -> FloatArray:
    """P(X < h and Y < k) of standard normal X and Y, elementwise, to about 1e-15.

    Parameters
    ----------
    h, k
        Finite limits.
    correlation
        Between -1 and 1, the ends left out.

    References
    ----------
    Owen 1956, Annals of Mathematical Statistics 27, 1075-1090 (by his function T).

    Examples
    --------
    >>> float(np.round(bivariate_normal(np.zeros(1), np.zeros(1), np.array([0.5]))[0], 12))  # 1/4 + asin(0.5) / (2 pi)
    0.333333333333
    """
    root = np.sqrt((1 - correlation) * (1 + correlation))
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = [np.where(a == b, 1.0, np.where(a == 0, np.copysign(np.inf, b), b / a)) for a, b in ((h, k), (k, h))]
        of_h, of_k = (special.owens_t(a, (slope - correlation) / root) for a, slope in zip((h, k), slopes, strict=True))
    apart = (h * k < 0) | ((h * k == 0) & (h + k < 0))
    return np.asarray((special.ndtr(h) + special.ndtr(k)) / 2 - of_h - of_k - np.where(apart, 0.5, 0.0))


def _start(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """First guess of the angle, from the odds ratio (Bonett & Price 2005)."""
    neither = 1 - first - second + both
    odds_ratio = both * neither / ((first - both) * (second - both))
    smallest = np.minimum(np.minimum(first, 1 - first), np.minimum(second, 1 - second))
    power = (1 - np.abs(first - second) / 5 - (0.5 - smallest) ** 2) / 2
    return np.asarray(np.pi / 2 - np.pi / (1 + odds_ratio**power))


def _solve(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Angle whose sine is the correlation, for tables with four cells above zero."""
    h, k = special.ndtri(first), special.ndtri(second)
    squares, product = h**2 + k**2, h * k
    low, high = np.full(both.shape, -np.pi / 2), np.full(both.shape, np.pi / 2)
    angle, open_ = _start(both, first, second), np.arange(len(both))
    for _ in range(STEPS):
        at, hh, kk = angle[open_], h[open_], k[open_]
        sine, cosine = np.sin(at), np.cos(at)
        excess = bivariate_normal(hh, kk, sine) - both[open_]
        low[open_] = np.where(excess <= 0, at, low[open_])
        high[open_] = np.where(excess >= 0, at, high[open_])
        distance = squares[open_] - 2 * product[open_] * sine
        with np.errstate(all="ignore"):
            slope = np.exp(-distance / (2 * cosine**2)) / (2 * np.pi)
            bend = (product[open_] * cosine**2 - distance * sine) / cosine**3
            newton = excess / slope
            curved = newton * bend / 2
            step = np.where(np.abs(curved) < 0.5, newton / (1 - curved), newton)  # Halley near the solution
        there = at - step
        inside = np.isfinite(there) & (there > low[open_]) & (there < high[open_])
        there = np.where(excess == 0, at, np.where(inside, there, (low[open_] + high[open_]) / 2))
        angle[open_] = there
        open_ = open_[(np.abs(there - at) > SMALL_STEP) & (high[open_] - low[open_] > SMALL_STEP)]
        if not len(open_):
            break
    return angle


def tetrachoric(both: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Correlation of two normal variables whose upper parts are two risks, from P(both) and the two prevalences.

    Parameters
    ----------
    both, first, second
        Proportions of one shape: with both risks, with the first, with the second.

    Returns
    -------
    numpy.ndarray
        -1 to 1, of the same shape; 0 exactly where P(both) is the product; -1 or 1 where a cell of the table is empty;
        NaN where a risk affects nobody or everybody. Correct to about 1e-12 where no cell is nearly empty.

    References
    ----------
    Pearson 1900, Philosophical Transactions A 195, 1-47 (the coefficient); Owen 1956 (the probability); derivative with
    respect to the correlation by Plackett 1954, Biometrika 41, 351-360.

    Examples
    --------
    >>> float(np.round(tetrachoric(np.array([1 / 3]), np.array([0.5]), np.array([0.5]))[0], 10))
    0.5
    """
    parts = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (both, first, second)))
    joint, one, two = (np.ascontiguousarray(part).ravel() for part in parts)
    found = np.full(joint.shape, np.nan)
    margins = (one > 0) & (one < 1) & (two > 0) & (two < 1)
    apart = margins & ((joint <= EMPTY) | (1 - one - two + joint <= EMPTY))
    within = margins & ~apart & ((one - joint <= EMPTY) | (two - joint <= EMPTY))
    independent = margins & (joint == one * two)
    found[apart], found[within] = -1.0, 1.0
    found[independent] = 0.0
    todo = np.flatnonzero(margins & ~apart & ~within & ~independent)
    for start in range(0, len(todo), BLOCK):
        part = todo[start : start + BLOCK]
        found[part] = np.sin(_solve(joint[part], one[part], two[part]))
    return found.reshape(parts[0].shape)
