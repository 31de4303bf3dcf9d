"""The fast engine for several standard deviations between countries: a proposal that follows the tail of each.

The engine shapes its proposal of hyperparameters along the axes of the posterior's curvature. Where two standard
deviations may both be near zero, the tails lie along each of them, askew to those axes, and a proposal that fits the
middle is too thin there: single draws get weights of 20 to 70 times the mean, and k-hat tells it. Here half of the draws
come from the engine's proposal and half from one whose axes are the hyperparameters themselves, its scales read off the
same surface; every draw is weighted against the mixture, so that nothing else changes.

References
----------
Hesterberg 1995, Technometrics 37, 185-194 (defensive mixtures); Owen & Zhou 2000, Journal of the American Statistical
Association 95, 135-143 (fixed numbers of draws from each part).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from riskmodels.errors import FitError
from riskmodels.fit import limits
from riskmodels.fit.laplace.engine import LaplaceDraws, draw_by_laplace
from riskmodels.fit.laplace.explored import Explored
from riskmodels.fit.laplace.hyperposterior import REACHES, WIDE_STEP, LogDensity, SplitT, refitted
from riskmodels.fit.laplace.integration import weighted_batch
from riskmodels.fit.weighting import smoothed_weights
from riskmodels.models.latent import LatentGaussian

FloatArray = npt.NDArray[np.float64]
Raw = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

#: Added to the seed of the second half.
OTHER_STREAM = 104_729
#: Log weights below the largest by more than this count as this.
LOWEST = -700.0


@dataclass(frozen=True, eq=False)
class TailedProposal(SplitT):
    """Half of the draws from a split Student-t, half from another.

    Parameters
    ----------
    tails
        The other half. For the rest see `SplitT`.
    """

    tails: SplitT | None = None

    def draw(self, count: int, seed: int) -> FloatArray:
        """Draws of shape (dimension, count), the halves one after the other."""
        if self.tails is None:
            return super().draw(count, seed)
        first = (count + 1) // 2
        parts = [super().draw(first, seed), self.tails.draw(max(count - first, 1), seed + OTHER_STREAM)]
        return np.concatenate(parts, axis=1)[:, :count]

    def log_density(self, zeta: FloatArray) -> FloatArray:
        """Log density of the mixture at points of shape (dimension, draws)."""
        if self.tails is None:
            return super().log_density(zeta)
        return np.asarray(np.logaddexp(super().log_density(zeta), self.tails.log_density(zeta)) - np.log(2))


def along_coordinates(log_density: LogDensity, mode: FloatArray) -> SplitT:
    """Split Student-t whose axes are the hyperparameters, each side as wide as the fall of the log density asks for.

    Examples
    --------
    A density that falls exponentially to the left and as a normal to the right, one of each coordinate:

    >>> import numpy as np
    >>> found = along_coordinates(lambda z: (z - np.exp(2 * z) / 2).sum(axis=0), np.zeros(2))
    >>> bool((found.left > 1.5 * found.right).all())
    True
    """
    size = len(mode)
    directions, sides = np.concatenate([np.eye(size), -np.eye(size)], axis=1), np.full(2 * size, WIDE_STEP)
    for narrowest in (0.4, 1.0):
        points = np.concatenate([np.zeros((size, 1)), *(reach * directions * sides for reach in REACHES)], axis=1)
        heights = log_density(mode[:, None] + points)
        falls = np.clip(heights[0] - heights[1:].reshape(len(REACHES), -1), 0.05, None)
        asked = np.max([reach / np.sqrt(2 * fall) for reach, fall in zip(REACHES, falls, strict=True)], axis=0)
        sides = sides * np.clip(asked, narrowest, 3.0)
    return SplitT(centre=mode, axes=np.eye(size), right=sides[:size], left=sides[size:])


def with_tails(proposal: SplitT, tails: SplitT) -> TailedProposal:
    """Mix two proposals in equal shares."""
    return TailedProposal(proposal.centre, proposal.axes, proposal.left, proposal.right, proposal.degrees, tails)


def _raw(explored: Explored, proposal: SplitT, pairs: int, seed: int, batch: int) -> Raw:
    rng, zeta = np.random.default_rng([seed, batch]), proposal.draw(pairs, seed + batch)
    parts = [
        weighted_batch(explored, proposal, zeta[:, at : at + explored.batch], rng)
        for at in range(0, pairs, explored.batch)
    ]
    h, v, log_weights = (np.concatenate([part[k] for part in parts], axis=-1) for k in range(3))
    return zeta, h, v, log_weights


def _weighed(raw: Raw, rounds: int) -> LaplaceDraws:
    zeta, h, v, log_weights = raw
    if np.isnan(log_weights).any() or not np.isfinite(log_weights).any():
        raise FitError("draws of the Laplace engine have no weight; use engine='nuts'")
    weights, pareto_k = smoothed_weights(np.maximum(log_weights - log_weights.max(), LOWEST).ravel())
    return LaplaceDraws(zeta, h, v, weights.reshape(log_weights.shape), pareto_k, rounds)


def draw_with_tails(latent: LatentGaussian, draws: int, seed: int, *, rounds: int = 3) -> LaplaceDraws:
    """Draw from the posterior of a latent Gaussian model as `draw_by_laplace` does, by the proposal of two halves.

    Parameters
    ----------
    latent, draws, seed, rounds
        As in `draw_by_laplace`, which draws for models with fewer than two hyperparameters.

    Returns
    -------
    LaplaceDraws
        The last round's draws, whether its weights passed or not.

    Raises
    ------
    FitError
        As `draw_by_laplace`.
    """
    if latent.dimension < 2:
        return draw_by_laplace(latent, draws, seed, rounds=rounds)
    with threadpool_limits(limits=1), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        explored = Explored(latent)
        shaped = explored.explore()
        proposal = with_tails(shaped, along_coordinates(explored.log_marginal, shaped.centre))
        raw = _raw(explored, proposal, draws // 2, seed, 1)
        best = _weighed(raw, 1)
        while best.rounds < rounds:
            pairs, batch = best.zeta.shape[1], best.rounds + 1
            if not best.pareto_k < limits.PARETO_K_BELOW:
                tails = proposal.tails or shaped
                proposal = with_tails(refitted(proposal, best.zeta, best.weights.sum(axis=0)), tails)
                raw = _raw(explored, proposal, 2 * pairs, seed, batch)
            elif best.effective < limits.ENGINE_EFFECTIVE:
                missing = min(1.15 * limits.ENGINE_EFFECTIVE / best.effective - 1, 4.0)
                more = _raw(explored, proposal, int(np.ceil(missing * pairs)), seed, batch)
                raw = (
                    np.concatenate([raw[0], more[0]], axis=-1),
                    np.concatenate([raw[1], more[1]], axis=-1),
                    np.concatenate([raw[2], more[2]], axis=-1),
                    np.concatenate([raw[3], more[3]], axis=-1),
                )
            else:
                break
            best = _weighed(raw, batch)
    return best
