"""Likelihood of cells for the fast engine: log density, slope and information of every cell's linear predictor.

A family of models plugs into the Laplace engine by giving these three; all that the engine asks of them is that the
log density be concave in the linear predictor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import special

from riskmodels.design.ordered_outcome import middle_threshold

FloatArray = npt.NDArray[np.float64]


class CellLikelihood(Protocol):
    """What the engine needs to know of the data, given linear predictors of shape (countries, places, draws)."""

    @property
    def places(self) -> int:
        """Number of places, padding included."""

    def log_density(self, eta: FloatArray) -> FloatArray:
        """Log density up to a constant, summed over the places of each country, shape (countries, draws)."""

    def slope_and_information(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First derivative, and minus the second derivative (0 or more), per place, of the shape of `eta`."""

    def start(self) -> FloatArray:
        """Linear predictors to start a search from, shape (countries, places)."""

    def given(self, steps: FloatArray) -> CellLikelihood:
        """The same with hyperparameters of its own at values of shape (hyperparameters, draws)."""

    def take(self, draws: npt.NDArray[np.bool_]) -> CellLikelihood:
        """Only some of the draws."""


@dataclass(frozen=True, eq=False)
class BinomialCounts:
    """Effective counts with a logit link: ``y eta - n log(1 + exp(eta))``, for any 0 <= y <= n.

    Parameters
    ----------
    yes, n
        Effective counts, shape (countries, places); 0 where padded.
    """

    yes: FloatArray
    n: FloatArray

    @property
    def places(self) -> int:
        """Number of places, padding included."""
        return self.n.size

    def log_density(self, eta: FloatArray) -> FloatArray:
        """Log density up to a constant, shape (countries, draws)."""
        softplus = np.maximum(eta, 0) + np.log1p(np.exp(-np.abs(eta)))
        return np.asarray((self.yes[:, None] @ eta - self.n[:, None] @ softplus)[:, 0])

    def slope_and_information(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slope ``y - n p`` and information ``n p (1 - p)``."""
        p = special.expit(eta)
        expected = self.n[..., None] * p
        return self.yes[..., None] - expected, expected * (1 - p)

    def start(self) -> FloatArray:
        """Empirical logits."""
        return np.asarray(special.logit((self.yes + 0.5) / (self.n + 1)))

    def given(self, steps: FloatArray) -> BinomialCounts:
        """Counts of two outcomes have no hyperparameter of their own."""
        return self

    def take(self, draws: npt.NDArray[np.bool_]) -> BinomialCounts:
        """The same for every draw."""
        return self


@dataclass(frozen=True, eq=False)
class OrderedCounts:
    """Effective counts of ordered levels: ``logit P(above threshold j) = eta - threshold_j``.

    Written out, the log density is a sum of one softplus per threshold, weighted by the children on both sides of it,
    a term linear in eta, and one that depends on the thresholds alone. It is concave in eta.

    Parameters
    ----------
    counts
        Children per level, shape (countries, places, levels); 0 where padded.
    steps
        Distances between neighbouring thresholds, shape (levels - 2, draws); None until `given`.

    References
    ----------
    McCullagh 1980, Journal of the Royal Statistical Society B 42, 109-142.
    """

    counts: FloatArray
    steps: FloatArray | None = None

    @property
    def places(self) -> int:
        """Number of places, padding included."""
        return self.counts[..., 0].size

    @property
    def middle(self) -> int:
        """Which threshold is the origin."""
        return middle_threshold(self.counts.shape[-1])

    def given(self, steps: FloatArray) -> OrderedCounts:
        """Thresholds at these distances."""
        return OrderedCounts(self.counts, steps)

    def take(self, draws: npt.NDArray[np.bool_]) -> OrderedCounts:
        """Only some of the draws."""
        return self if self.steps is None else OrderedCounts(self.counts, self.steps[:, draws])

    @property
    def thresholds(self) -> FloatArray:
        """Thresholds, the middle one 0, shape (levels - 1, draws)."""
        steps = np.zeros((self.counts.shape[-1] - 2, 1)) if self.steps is None else self.steps
        return thresholds_at(steps)

    def log_density(self, eta: FloatArray) -> FloatArray:
        """Log density up to a constant, shape (countries, draws)."""
        thresholds, steps = self.thresholds, self.steps
        total = -(self.counts[..., :-1].sum(axis=-1)[:, None] @ eta)[:, 0]
        for j, threshold in enumerate(thresholds):
            below = threshold - eta
            softplus = np.maximum(below, 0) + np.log1p(np.exp(-np.abs(below)))
            total = total - (self.counts[..., j : j + 2].sum(axis=-1)[:, None] @ softplus)[:, 0]
        levels = self.counts.sum(axis=1)
        total = total + levels[:, :1] * thresholds[0]
        if steps is not None:
            total = total + levels[:, 1:-1] @ (thresholds[:-1] + np.log(np.expm1(steps)))
        return np.asarray(total)

    def slope_and_information(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First and minus the second derivative in eta."""
        slope: FloatArray = -self.counts[..., :-1].sum(axis=-1)[..., None]
        information: FloatArray = np.zeros(())
        for j, threshold in enumerate(self.thresholds):
            below = special.expit(threshold - eta)
            part = self.counts[..., j : j + 2].sum(axis=-1)[..., None] * below
            slope = slope + part
            information = information + part * (1 - below)
        return slope, information

    def start(self) -> FloatArray:
        """Empirical logits of the share above the middle threshold."""
        above = self.counts[..., self.middle + 1 :].sum(axis=-1)
        return np.asarray(special.logit((above + 0.5) / (self.counts.sum(axis=-1) + 1)))


def thresholds_at(steps: FloatArray) -> FloatArray:
    """Thresholds, the middle one 0, from the distances between neighbours, shape (levels - 2, draws)."""
    ends = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    return np.asarray(ends - ends[middle_threshold(len(steps) + 2)])
