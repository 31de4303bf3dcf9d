"""One latent model with what does not change between draws: curvature, modes, tails, shape of its hyperparameters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riskmodels.errors import FitError
from riskmodels.fit.laplace.arrow import backward
from riskmodels.fit.laplace.conditional import Curvature, condition, logits
from riskmodels.fit.laplace.heavy_tails import HEAVY_SHARE
from riskmodels.fit.laplace.hyperposterior import SplitT, find_mode, shape_around
from riskmodels.models.latent import LatentGaussian

FloatArray = npt.NDArray[np.float64]

#: Least share of the heavy-tailed part, for countries whose likelihood is close to normal as far as `TAIL_REACH` SDs,
#: and the excess of its log over the normal's there from which the full share is used.
LIGHT_SHARE = 0.02
TAIL_REACH = 4.0
HEAVY_FROM = 4.0
#: Numbers in the largest array of one batch of draws: what stays in a processor's cache.
NUMBERS_AT_ONCE = 500_000


class Explored:
    """One latent model with what does not change between draws."""

    def __init__(self, latent: LatentGaussian) -> None:
        self.latent, self.curvature = latent, Curvature(latent)
        self.shared_width, self.own_width, self.countries = (
            latent.shared.shape[-1],
            latent.own.shape[-1],
            latent.shared.shape[0],
        )
        self.start = latent.likelihood.start()[..., None]
        self.absorb = _absorption(latent)
        self.batch = int(
            np.clip(NUMBERS_AT_ONCE // (self.countries * (self.shared_width + self.own_width) ** 2), 16, 256)
        )
        self.share = np.full(self.countries, HEAVY_SHARE)
        self._settle(np.zeros((latent.dimension, 1)), 25)

    def _settle(self, zeta: FloatArray, steps: int) -> None:
        at = condition(self.latent, self.curvature, zeta, self.start, steps)
        if not (np.isfinite(at.log_marginal).all() and at.last_step.max() < 0.5):
            raise FitError("the mode of the effects was not found; check the cells, or use engine='nuts'")
        self.start = logits(self.latent, at.size, at.h, at.v)

    def log_marginal(self, zeta: FloatArray) -> FloatArray:
        """Laplace approximation of the log density of hyperparameters; hopeless points count as impossible."""
        parts = [
            condition(self.latent, self.curvature, zeta[:, at : at + self.batch], self.start, 5).log_marginal
            for at in range(0, zeta.shape[1], self.batch)
        ]
        return np.nan_to_num(np.concatenate(parts), nan=-1e10, neginf=-1e10)

    def explore(self) -> SplitT:
        """Find the mode of the hyperparameters and the shape of their posterior around it."""
        mode = np.zeros(self.latent.dimension)
        for _ in range(2):
            mode = find_mode(self.log_marginal, mode)
            self._settle(mode[:, None], 10)
        self._measure_tails(mode)
        return shape_around(self.log_marginal, mode)

    def _measure_tails(self, mode: FloatArray) -> None:
        """Give every country a heavy-tailed share by how much its log likelihood exceeds the normal's far out."""
        latent = self.latent
        at = condition(latent, self.curvature, mode[:, None], self.start, 10)
        eta = logits(latent, at.size, at.h, at.v)
        likelihood = at.size.likelihood
        centre = likelihood.log_density(eta)
        slope, information = likelihood.slope_and_information(eta)
        worst = np.zeros((self.countries, 1))
        for axis in range(self.own_width):
            unit = np.zeros((self.own_width, self.countries, 1))
            unit[axis] = TAIL_REACH
            change = latent.own @ np.einsum("bks,kcs->cbs", at.size.root, backward(at.arrow.own, unit))
            for side in (change, -change):
                normal = (slope * side - 0.5 * information * side**2).sum(axis=1)
                worst = np.fmax(worst, likelihood.log_density(eta + side) - centre - normal)
        self.share = np.clip(HEAVY_SHARE * worst[:, 0] / HEAVY_FROM, LIGHT_SHARE, HEAVY_SHARE)


def _absorption(latent: LatentGaussian) -> FloatArray:
    """How shared columns reproduce the columns of a country's effects, shape (G, B)."""
    cells = latent.likelihood.places
    shared, own = latent.plain_shared.reshape(cells, -1), latent.plain_own.reshape(cells, latent.plain_own.shape[-1])
    found = np.linalg.lstsq(shared, own, rcond=None)[0]
    if own.size and np.abs(shared @ found - own).max() > 1e-8:
        raise FitError("an effect varies by country without its main effect in the model: use engine='nuts'")
    return np.asarray(found)
