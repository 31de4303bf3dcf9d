"""Where the hyperparameters may lie: the mode of their posterior, its shape along every axis, and draws from that shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special
from scipy.stats import qmc

FloatArray = npt.NDArray[np.float64]
#: Log density of unconstrained hyperparameters, shape (dimension, draws) -> (draws,).
LogDensity = Callable[[FloatArray], FloatArray]

DEGREES = 12.0
STEP = 0.05
WIDE_STEP = 0.5
#: Distances, in scales, at which the fall of the log density is read.
REACHES = (0.5, 1.0, 2.0, 3.0, 4.0)


def find_mode(log_density: LogDensity, start: FloatArray) -> FloatArray:
    """Mode by a quasi-Newton search; all points of a gradient are evaluated as one batch."""
    size = len(start)
    around = np.concatenate([np.zeros((size, 1)), STEP * np.eye(size), -STEP * np.eye(size)], axis=1)

    def value_and_gradient(zeta: FloatArray) -> tuple[float, FloatArray]:
        values = log_density(zeta[:, None] + around)
        return -float(values[0]), -(values[1 : size + 1] - values[size + 1 :]) / (2 * STEP)

    found = optimize.minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 0.1, "maxiter": 200})
    return np.asarray(found.x)


def curvature_at(log_density: LogDensity, mode: FloatArray, step: float = WIDE_STEP) -> FloatArray:
    """Negative Hessian of the log density by differences wide enough to see the shape, not the peak."""
    size = len(mode)
    first, second = np.tril_indices(size, -1)
    unit = step * np.eye(size)
    points = np.concatenate([np.zeros((size, 1)), unit, -unit, unit[:, first] + unit[:, second]], axis=1)
    values = log_density(mode[:, None] + points)
    centre, plus, minus, both = values[0], values[1 : size + 1], values[size + 1 : 2 * size + 1], values[2 * size + 1 :]
    hessian = np.diag((2 * centre - plus - minus) / step**2)
    cross = -(both - plus[first] - plus[second] + centre) / step**2
    hessian[first, second] = cross
    hessian[second, first] = cross
    return hessian


@dataclass(frozen=True, eq=False)
class SplitT:
    """Student-t around a mode whose scale may differ to both sides of every axis.

    Parameters
    ----------
    centre, axes
        Mode (dimension,) and orthonormal axes in columns.
    left, right
        Scales along the axes.
    degrees
        Degrees of freedom.

    References
    ----------
    Split scales as in Rue, Martino & Chopin 2009, Journal of the Royal Statistical Society B 71, 319-392.
    """

    centre: FloatArray
    axes: FloatArray
    left: FloatArray
    right: FloatArray
    degrees: float = DEGREES

    def draw(self, count: int, seed: int) -> FloatArray:
        """Randomised quasi-Monte Carlo draws, shape (dimension, count)."""
        size = len(self.centre)
        engine = qmc.Sobol(size + 1, rng=np.random.default_rng(seed))
        uniform = np.clip(engine.random(1 << (count - 1).bit_length())[:count].T, 1e-12, 1 - 1e-12)
        share = (self.left / (self.left + self.right))[:, None]
        below = uniform[:size] < share
        within = np.where(below, 0.5 * uniform[:size] / share, 0.5 + 0.5 * (uniform[:size] - share) / (1 - share))
        radius = np.sqrt(self.degrees / (2 * special.gammaincinv(self.degrees / 2, uniform[size])))
        z = special.ndtri(np.clip(within, 1e-300, 1 - 1e-16)) * radius
        return np.asarray(
            self.centre[:, None] + self.axes @ (z * np.where(below, self.left[:, None], self.right[:, None]))
        )

    def log_density(self, zeta: FloatArray) -> FloatArray:
        """Log density at points of shape (dimension, draws)."""
        size = len(self.centre)
        z = self.axes.T @ (zeta - self.centre[:, None])
        z = z / np.where(z < 0, self.left[:, None], self.right[:, None])
        constant = (
            special.gammaln((self.degrees + size) / 2)
            - special.gammaln(self.degrees / 2)
            - 0.5 * size * np.log(self.degrees * np.pi)
        )
        return np.asarray(
            constant
            + np.log(2 / (self.left + self.right)).sum()
            - 0.5 * (self.degrees + size) * np.log1p((z**2).sum(axis=0) / self.degrees)
        )


def shape_around(log_density: LogDensity, mode: FloatArray) -> SplitT:
    """Fit a split Student-t to the surface around a mode.

    On either side of every axis the scale is the widest that the fall of the log density asks for at the distances
    `REACHES`, so that the tails of the proposal are not the lighter ones. Scales are read twice: first from the
    curvature at the mode, then from the scales found, which may reach further.
    """
    size = len(mode)
    values, axes = np.linalg.eigh(curvature_at(log_density, mode))
    sides = np.tile(1 / np.sqrt(np.clip(values, 0.05, None)), 2)
    directions = np.concatenate([axes, -axes], axis=1)
    for narrowest in (0.4, 1.0):
        points = np.concatenate([np.zeros((size, 1)), *(reach * directions * sides for reach in REACHES)], axis=1)
        heights = log_density(mode[:, None] + points)
        falls = np.clip(heights[0] - heights[1:].reshape(len(REACHES), -1), 0.05, None)
        asked = np.max([reach / np.sqrt(2 * fall) for reach, fall in zip(REACHES, falls, strict=True)], axis=0)
        sides = sides * np.clip(asked, narrowest, 3.0)
    return SplitT(centre=mode, axes=axes, right=sides[:size], left=sides[size:])


def refitted(proposal: SplitT, zeta: FloatArray, weights: FloatArray) -> SplitT:
    """Move a proposal to the centre and the spread, to both sides of every axis, of weighted draws."""
    size, mean = len(zeta), zeta @ weights
    step = zeta - mean[:, None]
    effective = 1 / (weights**2).sum()
    trust = effective / (effective + 2 * size)
    old = proposal.axes @ np.diag((0.5 * (proposal.left + proposal.right)) ** 2) @ proposal.axes.T
    axes = np.linalg.eigh(trust * (step * weights) @ step.T + (1 - trust) * old)[1]
    along = axes.T @ step
    spread = np.sqrt(((axes.T @ old) * axes.T).sum(axis=1))
    sides = []
    for side in (along < 0, along >= 0):
        own = np.sqrt((side * along**2) @ weights / np.maximum(side @ weights, 1e-12))
        sides.append(1.1 * (trust * own + (1 - trust) * spread))
    return SplitT(centre=mean, axes=axes, left=sides[0], right=sides[1], degrees=8.0)
