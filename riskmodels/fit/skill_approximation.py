"""Posterior of the skill pathway, nearly: a Gaussian for all effects given the SDs between countries, the SDs explored.

The likelihood is taken as Gaussian in the effects around their mode; whatever the SDs, the conditional posterior is then
Gaussian in closed form, and so is the marginal density of the SDs, which is explored as in `laplace.hyperposterior`.
What this leaves out is mended by importance weights against the exact density, or by Hamiltonian Monte Carlo that starts
from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from riskmodels.errors import FitError
from riskmodels.fit.laplace.hyperposterior import SplitT, find_mode, shape_around
from riskmodels.models.skill_posterior import SkillPosterior

FloatArray = npt.NDArray[np.float64]
#: How often mode and SDs are found in turn.
ROUNDS = 3
#: Least curvature that a direction of the shared parameters is given.
LEAST_CURVATURE = 1e-3


def mode_given(posterior: SkillPosterior, sd: FloatArray, start: FloatArray) -> FloatArray:
    """Mode of all effects given the SD of every class, shape (classes,)."""
    precision = 1 / sd[posterior.class_of] ** 2 if len(sd) else np.zeros(0)

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = posterior.value_and_gradient(x)
        d = x[posterior.shared :]
        gradient[posterior.shared :] -= precision * d
        return -(value - 0.5 * float(d @ (precision * d))), -gradient

    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-4}
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    if not np.isfinite(found.fun):
        raise FitError("the search for the posterior's mode left the finite numbers; check the rows")
    return np.asarray(found.x)


@dataclass(frozen=True, eq=False)
class GaussianEffects:
    """Likelihood and prior of the shared parameters as a Gaussian: ``-x' precision x / 2 + pull' x``.

    Parameters
    ----------
    posterior
        The exact density.
    precision, pull
        Over shared parameters, then deviations.
    """

    posterior: SkillPosterior
    precision: FloatArray
    pull: FloatArray

    def _free(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Shared parameters integrated out: root of their precision, carry, precision and pull of the deviations."""
        k = self.posterior.shared
        root = linalg.cholesky(self.precision[:k, :k], lower=True)
        half = linalg.solve_triangular(root, self.precision[:k, k:], lower=True)
        first = linalg.solve_triangular(root, self.pull[:k], lower=True)
        return root, half, self.precision[k:, k:] - half.T @ half, self.pull[k:] - half.T @ first

    def own_information(self) -> FloatArray:
        """What the data say of every deviation when nothing else is known, shape (deviations,)."""
        return np.asarray(np.clip(np.diagonal(self._free()[2]), 0.0, None))

    def log_marginal(self, zeta: FloatArray) -> FloatArray:
        """Log density of the SDs' coordinates, shape (classes, draws) -> (draws,), up to a constant."""
        posterior = self.posterior
        sd = posterior.sds(zeta)
        _, _, precision, pull = self._free()
        total = -0.5 * (zeta**2).sum(axis=0) - posterior.per_class @ np.log(sd)
        prior = 1 / sd[posterior.class_of] ** 2
        for draw in range(zeta.shape[1]):
            root = linalg.cholesky(precision + np.diag(prior[:, draw]), lower=True, check_finite=False)
            total[draw] -= np.log(np.diagonal(root)).sum()
            total[draw] += 0.5 * (linalg.solve_triangular(root, pull, lower=True, check_finite=False) ** 2).sum()
        return np.asarray(total)

    def given(self, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean of all effects given the SDs (classes,), and the lower root of their precision."""
        k, precision = self.posterior.shared, self.precision.copy()
        if len(sd):
            precision[range(k, len(precision)), range(k, len(precision))] += 1 / sd[self.posterior.class_of] ** 2
        root = linalg.cholesky(precision, lower=True, check_finite=False)
        return np.asarray(linalg.cho_solve((root, True), self.pull)), root


def gaussian_at(posterior: SkillPosterior, x: FloatArray, sd: FloatArray) -> GaussianEffects:
    """Gaussian with the gradient and curvature of the exact density at a point.

    Directions in which the likelihood bends upwards there are given the least curvature that keeps the whole definite.
    """
    _, gradient = posterior.value_and_gradient(x)
    precision = posterior.information(x)
    prior = np.zeros(posterior.size)
    prior[posterior.shared :] = 1 / sd[posterior.class_of] ** 2 if len(sd) else 0.0
    values, vectors = np.linalg.eigh(precision)
    if values.min() < LEAST_CURVATURE:
        precision = (vectors * np.maximum(values, LEAST_CURVATURE)) @ vectors.T
    return GaussianEffects(posterior, precision, precision @ x + gradient)


@dataclass(frozen=True, eq=False)
class SkillApproximation:
    """Approximate posterior: SDs by a split Student-t, effects given them by a Gaussian.

    Parameters
    ----------
    effects
        The Gaussian.
    proposal
        Of the SDs' coordinates; None where there is one country only.
    mode
        Mode of the effects at the SDs' mode.
    """

    effects: GaussianEffects
    proposal: SplitT | None
    mode: FloatArray

    @property
    def posterior(self) -> SkillPosterior:
        """The exact density."""
        return self.effects.posterior


def approximate(posterior: SkillPosterior) -> SkillApproximation:
    """Find mode and SDs in turn, then the shape of both."""
    count = len(posterior.classes)
    zeta, x = np.zeros(count), posterior.start()
    if not count:
        x = mode_given(posterior, np.zeros(0), x)
        return SkillApproximation(gaussian_at(posterior, x, np.zeros(0)), None, x)
    for _ in range(ROUNDS):
        sd = posterior.sds(zeta[:, None])[:, 0]
        x = mode_given(posterior, sd, x)
        effects = gaussian_at(posterior, x, sd)
        zeta = find_mode(effects.log_marginal, zeta)
    return SkillApproximation(effects, shape_around(effects.log_marginal, zeta), x)
