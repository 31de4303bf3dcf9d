"""Quantities on draws: small pure functions, each obeying a law that a test states."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]


def difference(a: FloatArray, b: FloatArray) -> FloatArray:
    """Difference of two prevalences, draw by draw, in proportion points."""
    return np.asarray(a - b)


def ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """Ratio of two prevalences, draw by draw."""
    return np.asarray(a / b)


def odds_ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """Odds ratio of two prevalences, draw by draw."""
    return np.asarray((a / (1 - a)) / (b / (1 - b)))


def ranks(values: FloatArray) -> FloatArray:
    """Rank among the last axis, draw by draw; 1 is the highest."""
    order = np.argsort(-values, axis=-1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(1, values.shape[-1] + 1), order.shape), axis=-1)
    return places.astype(float)


def logit_normal_draws(
    mean: FloatArray, standard_error: FloatArray, shape: tuple[int, ...], rng: np.random.Generator
) -> FloatArray:
    """Draws of proportions whose logit is normal, by the delta method from a standard error.

    Parameters
    ----------
    mean, standard_error
        Proportions, and their standard errors on the same scale, shape (k,).
    shape
        Leading axes of the draws.
    rng
        Random generator.

    Returns
    -------
    numpy.ndarray
        Draws of shape ``(*shape, k)``; a proportion of exactly 0 or 1, or a standard error of 0, stays fixed.
    """
    mean, standard_error = np.asarray(mean, dtype=float), np.asarray(standard_error, dtype=float)
    fixed = (mean <= 0) | (mean >= 1) | (standard_error == 0)
    inside = np.where(fixed, 0.5, mean)
    spread = np.where(fixed, 0.0, standard_error / (inside * (1 - inside)))
    draws = special.expit(special.logit(inside) + spread * rng.standard_normal((*shape, len(mean))))
    return np.asarray(np.where(fixed, mean, draws))


def children_affected(prevalence: FloatArray, share_online: FloatArray, children: FloatArray) -> FloatArray:
    """Number of children affected: prevalence among users x share online x children."""
    return np.asarray(prevalence * share_online * children)
