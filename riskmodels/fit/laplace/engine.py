"""The fast engine: Laplace approximation of the effects given the hyperparameters, made exact by importance weights.

1. The posterior of the hyperparameters is explored on its Laplace approximation (`hyperposterior.py`) and drawn
   from a proposal shaped like it.
2. For each draw, the shared effects are drawn from their normal approximation (`conditional.py`), twice: a draw
   and its mirror image, whose errors cancel in means.
3. Given both, countries are independent but for one weak link (below). Each country's likelihood, integrated over its
   own effects, is estimated without bias from a few antithetic draws of its normal approximation, and one of these is
   kept in proportion to its weight. The weight of the whole draw is the product of these estimates against the
   proposal, so its variance does not grow as it would with one joint weight over all countries.

The link: country effects sum to zero over countries. With free effects ``w_c`` (independent standard normals) and
their mean ``a``, ``v_c = w_c - a`` sum to zero, and the likelihood does not change when ``a`` moves into the shared
effects, ``h' = h - T a``. Given ``h'`` the ``w_c`` then meet only in the prior of ``h = h' + T a``. Its expansion to
first order around the expected ``a`` is shared out to the countries; the remainder, bounded and close to one, enters
the final weight. Where a shared effect is nearly zero by its prior, the link is strong: there all effects are drawn
jointly, several times, and one draw is kept in the same way. Nothing is approximated in the end: every draw is weighted against the exact joint density.

References
----------
Rue, Martino & Chopin 2009, JRSS B 71, 319-392 (nested Laplace); Andrieu & Roberts 2009, Annals of Statistics 37,
697-725 (unbiased estimates inside weights); Vehtari et al. 2024, JMLR 25 (72) (Pareto smoothing).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from riskmodels.errors import FitError
from riskmodels.fit import limits
from riskmodels.fit.laplace.explored import Explored
from riskmodels.fit.laplace.hyperposterior import SplitT, refitted
from riskmodels.fit.laplace.integration import weighted_batch
from riskmodels.fit.weighting import effective_draws, smoothed_weights
from riskmodels.models.latent import LatentGaussian

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LaplaceDraws:
    """Weighted draws in mirrored pairs, in standardised coordinates.

    Parameters
    ----------
    zeta
        Hyperparameters, shape (dimension, pairs).
    h, v
        Shared effects (G, 2, pairs) and country effects (B, C, 2, pairs).
    weights, pareto_k
        Smoothed weights that sum to one, shape (2, pairs), and their k-hat.
    rounds
        How many batches were drawn.
    """

    zeta: FloatArray
    h: FloatArray
    v: FloatArray
    weights: FloatArray
    pareto_k: float
    rounds: int

    @property
    def effective(self) -> float:
        """Least effective number of draws of any hyperparameter, centre or tails; pairs share them and count once."""
        weights = self.weights.sum(axis=0)
        overall = float(1 / (weights**2).sum())
        if not len(self.zeta):
            return overall
        _, tails, _ = effective_draws(self.zeta.T[None], weights[None], 0.05)
        return min(overall, float(np.min(tails)))


_Raw = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _raw_draws(explored: Explored, proposal: SplitT, pairs: int, seed: int, batch: int) -> _Raw:
    """Hyperparameters, shared and country effects, and log weights, of mirrored pairs of draws from a proposal."""
    rng = np.random.default_rng([seed, batch])
    zeta = proposal.draw(pairs, seed + batch)
    parts = [
        weighted_batch(explored, proposal, zeta[:, at : at + explored.batch], rng)
        for at in range(0, pairs, explored.batch)
    ]
    h, v, log_weights = (np.concatenate([part[k] for part in parts], axis=-1) for k in range(3))
    return zeta, h, v, log_weights


def _weighed(raw: _Raw, rounds: int) -> LaplaceDraws:
    zeta, h, v, log_weights = raw
    unknown = int(np.isnan(log_weights).sum())
    if unknown:
        raise FitError(
            f"{unknown:,} of {log_weights.size:,} draws of the Laplace engine have no weight; use engine='nuts'"
        )
    if not np.isfinite(log_weights).any():
        raise FitError("no draw of the Laplace engine has a finite weight; use engine='nuts'")
    log_weights = np.maximum(log_weights - log_weights.max(), -700.0)
    weights, pareto_k = smoothed_weights(log_weights.ravel())
    return LaplaceDraws(
        zeta=zeta, h=h, v=v, weights=weights.reshape(log_weights.shape), pareto_k=pareto_k, rounds=rounds
    )


def draw_by_laplace(latent: LatentGaussian, draws: int, seed: int, *, rounds: int = 3) -> LaplaceDraws:
    """Draw from the posterior of a latent Gaussian model, with importance weights.

    Parameters
    ----------
    latent
        The model.
    draws
        Draws, in mirrored pairs that share hyperparameters.
    seed
        Same seed, versions and machine: bitwise the same draws.
    rounds
        At most this many batches: weights that fail their k-hat refit the proposal to the weighted draws, too few
        effective draws add to the batch.

    Returns
    -------
    LaplaceDraws
        The last round's draws, whether its weights passed or not: read `pareto_k` and `effective`.

    Raises
    ------
    FitError
        If no mode is found, if the weight of any draw is not a number, or if no draw has a finite weight.
    """
    with threadpool_limits(limits=1), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        explored = Explored(latent)
        if latent.dimension == 0:
            proposal = SplitT(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0))
        else:
            proposal = explored.explore()
        raw = _raw_draws(explored, proposal, draws // 2, seed, 1)
        best = _weighed(raw, 1)
        while best.rounds < rounds:
            pairs = best.zeta.shape[1]
            if not best.pareto_k < limits.PARETO_K_BELOW:
                proposal = refitted(proposal, best.zeta, best.weights.sum(axis=0))
                raw = _raw_draws(explored, proposal, 2 * pairs, seed, best.rounds + 1)
            elif best.effective < limits.ENGINE_EFFECTIVE:
                missing = min(1.15 * limits.ENGINE_EFFECTIVE / best.effective - 1, 4.0)
                more = _raw_draws(explored, proposal, int(np.ceil(missing * pairs)), seed, best.rounds + 1)
                raw = (
                    _joined(raw[0], more[0]),
                    _joined(raw[1], more[1]),
                    _joined(raw[2], more[2]),
                    _joined(raw[3], more[3]),
                )
            else:
                break
            best = _weighed(raw, best.rounds + 1)
    return best


def _joined(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.concatenate([first, second], axis=-1)
