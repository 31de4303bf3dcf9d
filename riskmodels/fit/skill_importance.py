"""Draws of the skill pathway from its approximation, each weighted against the exact density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from riskmodels.fit.skill_approximation import SkillApproximation

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SkillDraws:
    """Draws in the unconstrained terms of `SkillPosterior`.

    Parameters
    ----------
    x
        Shared parameters and coordinates of deviations, shape (chain, draw, size).
    sd
        SD of every class, shape (chain, draw, classes).
    log_weights
        Log importance weights, shape (chain, draw), up to a constant; None where all draws count the same.
    """

    x: FloatArray
    sd: FloatArray
    log_weights: FloatArray | None = None


def weighted_draws(approximation: SkillApproximation, count: int, seed: int) -> SkillDraws:
    """Mirrored pairs of draws: both of a pair share SDs, their effects lie opposite to each other.

    Parameters
    ----------
    approximation
        The proposal.
    count
        Draws in all; half of them are mirror images.
    seed
        Same seed, same draws.
    """
    posterior, pairs = approximation.posterior, count // 2
    rng = np.random.default_rng([seed, 71])
    proposal = approximation.proposal
    zeta = np.zeros((0, pairs)) if proposal is None else proposal.draw(pairs, seed)
    outer = np.zeros(pairs) if proposal is None else -0.5 * (zeta**2).sum(axis=0) - proposal.log_density(zeta)
    sds = posterior.sds(zeta)
    x, log_weights = np.empty((2, pairs, posterior.size)), np.empty((2, pairs))
    for pair in range(pairs):
        mean, root = approximation.effects.given(sds[:, pair])
        noise = rng.standard_normal(posterior.size)
        step = linalg.solve_triangular(root, noise, lower=True, trans="T", check_finite=False)
        log_proposal = np.log(np.diagonal(root)).sum() - 0.5 * noise @ noise
        for side, sign in enumerate((1.0, -1.0)):
            x[side, pair] = mean + sign * step
            prior = (
                posterior.log_deviations(x[side, pair, posterior.shared :, None], sds[:, [pair]])[0]
                if len(sds)
                else 0.0
            )
            log_weights[side, pair] = posterior.value(x[side, pair]) + prior + outer[pair] - log_proposal
    return SkillDraws(x, np.broadcast_to(sds.T, (2, pairs, len(sds))).copy(), log_weights)
