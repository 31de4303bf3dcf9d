"""Hierarchical models whose countries are independent given what they share: the contract of the countrywise engine.

A country's coefficients are ``g``, shared by all countries, plus ``u`` of its own on some of them; both are normal given
hyperparameters. The likelihood of a country may hang on all its coefficients at once (joint models of several answers).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from riskmodels.models.hyperparameters import Hyper
from riskmodels.models.priors import Prior

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class CountryLikelihood(Protocol):
    """What the engine needs to know of the data, at coefficients of shape (points, countries, coefficients)."""

    def log_density(self, coefficients: FloatArray) -> FloatArray:
        """Log density up to a constant, shape (points, countries)."""

    def score(self, coefficients: FloatArray) -> FloatArray:
        """Its first derivative, shape of the coefficients."""

    def information(self, coefficients: FloatArray) -> FloatArray:
        """Minus the second derivative as far as it is known, (points, countries, D, D)."""

    def complete_information(self, coefficients: FloatArray) -> FloatArray:
        """A positive semi-definite matrix that is no smaller, of the same shape."""

    def settled_at(self, coefficients: FloatArray) -> CountryLikelihood:
        """The same, whose information is exact at coefficients of shape (countries, D)."""


@dataclass(frozen=True)
class PriorBlock:
    """Some coefficients with one normal prior: a common part and deviations, each fixed or sized by a hyperparameter.

    Their covariance is ``deviation^2 I + common^2 11'``.

    Parameters
    ----------
    name
        What they are.
    positions
        Places among the shared coefficients, or among those of a country.
    mean
        Prior mean.
    deviation, common
        SDs where they are fixed.
    deviation_hyper, common_hyper
        Positions of the hyperparameters that are these SDs; None where fixed.
    exact
        The prior of every coefficient where it is not normal: weights account for it.
    """

    name: str
    positions: tuple[int, ...]
    mean: float = 0.0
    deviation: float = 1.0
    common: float = 0.0
    deviation_hyper: int | None = None
    common_hyper: int | None = None
    exact: Prior | None = None

    def sds(self, values: list[FloatArray], points: int) -> tuple[FloatArray, FloatArray]:
        """SD of the deviations and of the common part at every point of the hyperparameters."""
        parts = (
            np.full(points, fixed) if hyper is None else values[hyper]
            for fixed, hyper in ((self.deviation, self.deviation_hyper), (self.common, self.common_hyper))
        )
        deviation, common = parts
        return deviation, common


@dataclass(frozen=True, eq=False)
class CountryModel:
    """Likelihood and priors.

    Parameters
    ----------
    likelihood
        Of the data.
    size, countries
        Number of coefficients, and of countries.
    own
        Positions of the coefficients that vary by country.
    shared_blocks, own_blocks
        Priors; every position stands in one block.
    hypers
        Hyperparameters, all of kind ``"sd"``.
    start
        Shared coefficients to start a search from.
    """

    likelihood: CountryLikelihood
    size: int
    countries: int
    own: IntArray
    shared_blocks: tuple[PriorBlock, ...]
    own_blocks: tuple[PriorBlock, ...]
    hypers: tuple[Hyper, ...]
    start: FloatArray

    @property
    def dimension(self) -> int:
        """Number of hyperparameters."""
        return len(self.hypers)


@dataclass(frozen=True, eq=False)
class PriorRoot:
    """Symmetric root of the prior covariance of some coefficients: turns standard normals into coefficients.

    Parameters
    ----------
    places
        Positions of every block.
    deviation, spread
        Per block and point: the root is ``deviation I + spread 11'``.
    """

    places: tuple[slice | IntArray, ...]
    deviation: tuple[FloatArray, ...]
    spread: tuple[FloatArray, ...]

    def apply(self, values: FloatArray) -> FloatArray:
        """Multiply vectors along the last axis; values have shape (points, size) or (points, countries, size)."""
        if values.ndim == 2:
            return np.asarray((values[:, None] @ self.matrix)[:, 0])
        return np.asarray(values @ self.matrix)

    def apply_to_matrices(self, values: FloatArray) -> FloatArray:
        """The same for stacks of matrices (points or 1, ..., size), block by block."""
        out = np.empty(np.broadcast_shapes(values.shape, (self.points, *(1,) * (values.ndim - 1))))
        lead = (slice(None), *(None,) * (values.ndim - 1))
        for at, deviation, spread in zip(self.places, self.deviation, self.spread, strict=True):
            part = values[..., at]
            out[..., at] = part * deviation[lead]
            if spread.any():
                out[..., at] += part.sum(axis=-1, keepdims=True) * spread[lead]
        return out

    @cached_property
    def matrix(self) -> FloatArray:
        """The root, shape (points, size, size)."""
        size = sum(len(self._positions(place)) for place in self.places)
        found = np.zeros((self.points, size, size))
        for at, deviation, spread in zip(map(self._positions, self.places), self.deviation, self.spread, strict=True):
            found[:, at[:, None], at[None, :]] = spread[:, None, None]
            found[:, at, at] += deviation[:, None]
        return found

    @staticmethod
    def _positions(place: slice | IntArray) -> IntArray:
        return np.arange(place.start, place.stop) if isinstance(place, slice) else place

    @property
    def points(self) -> int:
        """Number of points of the hyperparameters."""
        return len(self.deviation[0]) if self.deviation else 1


def prior_root(blocks: tuple[PriorBlock, ...], values: list[FloatArray], points: int) -> PriorRoot:
    """Root of the prior covariance at every point of the hyperparameters."""
    places: list[slice | IntArray] = []
    deviations, spreads = [], []
    for block in blocks:
        at, count = np.array(block.positions), len(block.positions)
        whole = slice(int(at[0]), int(at[-1]) + 1)
        places.append(whole if np.array_equal(at, np.arange(whole.start, whole.stop)) else at)
        deviation, common = block.sds(values, points)
        deviations.append(deviation)
        spreads.append((np.sqrt(deviation**2 + count * common**2) - deviation) / count)
    return PriorRoot(tuple(places), tuple(deviations), tuple(spreads))


def prior_mean(blocks: tuple[PriorBlock, ...], size: int) -> FloatArray:
    """Mean of the prior, shape (size,)."""
    mean = np.zeros(size)
    for block in blocks:
        mean[list(block.positions)] = block.mean
    return mean


def exact_over_normal(model: CountryModel, shared: FloatArray) -> FloatArray:
    """Log of the exact prior of the shared coefficients over the normal that stands for it, (..., size) -> (...)."""
    total = np.zeros(shared.shape[:-1])
    for block in model.shared_blocks:
        if block.exact is not None:
            values = shared[..., list(block.positions)]
            normal = Prior("normal", location=block.mean, scale=block.deviation)
            total += (block.exact.log_density(values) - normal.log_density(values)).sum(axis=-1)
    return total
