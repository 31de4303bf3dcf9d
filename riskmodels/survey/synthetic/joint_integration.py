"""Probabilities of answer patterns under normal liabilities with common factors, by quadrature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Weight of a quadrature point below which it is left out; largest part of a liability that factors explain.
LEAST_WEIGHT, MOST_COMMON = 1e-11, 0.7
#: Factors that come near any correlations of eight risks: 26 numbers for 28 pairs.
MOST_FACTORS = 4


def loadings_of(correlation: FloatArray) -> FloatArray:
    """Loadings on four factors (or fewer) that come nearest to a correlation matrix, by principal axes.

    Parameters
    ----------
    correlation
        Shape (risks, risks); need not be positive definite.
    """
    factors = min(MOST_FACTORS, len(correlation) - 1)
    common = np.full(len(correlation), 0.5)
    for _ in range(100):
        reduced = correlation.copy()
        np.fill_diagonal(reduced, common)
        values, vectors = np.linalg.eigh(reduced)
        loadings = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, :factors]
        length = np.sqrt((loadings**2).sum(axis=1))
        loadings *= np.minimum(1.0, np.sqrt(MOST_COMMON) / length)[:, None]
        common = (loadings**2).sum(axis=1)
    return np.asarray(loadings)


def free_loadings(rng: np.random.Generator, countries: int, risks: int, spread: float) -> FloatArray:
    """Correlations around 0.4, every pair its own, each country's its own around them; shape (countries, risks, ...)."""
    first, second = np.triu_indices(risks, 1)
    centre = np.arctanh(np.clip(rng.normal(0.4, 0.18, len(first)), -0.1, 0.8))
    found = []
    for _ in range(countries):
        wanted = np.eye(risks)
        own = np.tanh(centre + spread * rng.normal(size=len(first)))
        wanted[first, second] = wanted[second, first] = own
        found.append(loadings_of(wanted))
    return np.stack(found)


def correlations_of(loadings: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlations that loadings give, and the SD of what is each risk's own."""
    own = np.sqrt(1 - (loadings**2).sum(axis=-1))
    return loadings @ np.swapaxes(loadings, -1, -2) + own[..., None] ** 2 * np.eye(loadings.shape[-2]), own


def _halves(probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(pattern of the first risks | point) and of the others, from P(risk | point); the first risk the lowest bit."""

    def patterns(part: FloatArray) -> FloatArray:
        found = np.ones((len(part), 1))
        for column in part.T:
            found = np.concatenate([found * (1 - column[:, None]), found * column[:, None]], axis=1)
        return found

    middle = probability.shape[1] // 2
    return patterns(probability[:, :middle]), patterns(probability[:, middle:])


def pattern_probabilities(
    liability: FloatArray,
    country: IntArray,
    loadings: FloatArray,
    own: FloatArray,
    points: FloatArray,
    weight: FloatArray,
) -> FloatArray:
    """P(pattern) per cell: risks are independent given the factors, whose values are `points`.

    `loadings` has shape (countries, risks, factors) and `own` (countries, risks): the SD of what is not shared.
    """
    found = np.empty((len(liability), 2 ** liability.shape[1]))
    for number in range(len(loadings)):
        shared = points @ loadings[number].T
        for cell in np.flatnonzero(country == number):
            low, high = _halves(special.ndtr((liability[cell] + shared) / own[number]))
            found[cell] = (high.T @ (low * weight[:, None])).ravel()
    return found


def factor_points(nodes: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Gauss-Hermite points of normal factors and their weights; points of hardly any weight are left out."""
    rules = [np.polynomial.hermite_e.hermegauss(count) for count in nodes]
    points = np.stack(np.meshgrid(*(place for place, _ in rules), indexing="ij"), axis=-1).reshape(-1, len(nodes))
    weight = np.array([1.0])
    for _, own in rules:
        weight = np.outer(weight, own / own.sum()).ravel()
    kept = weight > LEAST_WEIGHT
    return points[kept], weight[kept] / weight[kept].sum()
