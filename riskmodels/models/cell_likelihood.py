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
