"""Hamiltonian Monte Carlo for the skill pathway: the reference, started and scaled by the approximation.

Deviations of countries are moved between their own values and multiples of their SD (partly non-centred), class by class,
by how much the data say of them; then everything is scaled by the covariance that the approximation expects. What is left
is close to a standard normal, so that a few steps of the leapfrog carry from one draw to a nearly independent one.

References
----------
Neal 2011, Handbook of Markov Chain Monte Carlo, chapter 5; Papaspiliopoulos, Roberts & Skoeld 2007, Statistical Science
22, 59-73 (partly non-centred); Hoffman & Gelman 2014, Journal of Machine Learning Research 15, 1593-1623 (step size).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy import linalg
from threadpoolctl import threadpool_limits

from riskmodels.fit.skill_approximation import SkillApproximation
from riskmodels.fit.skill_importance import SkillDraws
from riskmodels.models.skill_posterior import SkillPosterior

FloatArray = npt.NDArray[np.float64]
#: Draws of the SDs from which the covariance is put together.
COVARIANCE_DRAWS = 128
#: Length of a trajectory as a share of a quarter turn of a standard normal, drawn evenly between these.
SHORTEST, LONGEST = 0.6, 1.2
#: Error of the energy beyond which a trajectory counts as diverging.
DIVERGES_AT = 50.0
#: Distance, in expected SDs, beyond which a trajectory is given up.
FARTHEST = 30.0


class MixedSpace:
    """Log density in partly non-centred coordinates: shared parameters, ``z = d / sd**mix``, coordinates of the SDs."""

    def __init__(self, posterior: SkillPosterior, mix: FloatArray) -> None:
        self.posterior, self.mix = posterior, mix
        self.size = posterior.size + len(mix)

    def split(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effects ``x`` and SDs at coordinates of shape (size,)."""
        posterior = self.posterior
        sd = posterior.sds(psi[posterior.size :, None])[:, 0] if len(self.mix) else np.zeros(0)
        x = psi[: posterior.size].copy()
        x[posterior.shared :] *= (sd**self.mix)[posterior.class_of] if len(sd) else 1.0
        return x, sd

    def join(self, x: FloatArray, zeta: FloatArray) -> FloatArray:
        """Coordinates of effects and SDs."""
        sd = self.posterior.sds(zeta[:, None])[:, 0] if len(zeta) else np.zeros(0)
        psi = np.concatenate([x, zeta])
        psi[self.posterior.shared : self.posterior.size] /= (sd**self.mix)[self.posterior.class_of] if len(sd) else 1.0
        return psi

    def value_and_gradient(self, psi: FloatArray) -> tuple[float, FloatArray]:
        """Log density and its gradient."""
        posterior, mix, of = self.posterior, self.mix, self.posterior.class_of
        x, sd = self.split(psi)
        value, gradient = posterior.value_and_gradient(x)
        if not len(mix):
            return value, gradient
        zeta, z, d = psi[posterior.size :], psi[posterior.shared : posterior.size], x[posterior.shared :]
        left = sd ** (1 - mix)
        scaled = z / left[of]
        value -= (
            0.5 * float(scaled @ scaled)
            + float((posterior.per_class * (1 - mix)) @ np.log(sd))
            + 0.5 * float(zeta @ zeta)
        )
        to_d = gradient[posterior.shared :]
        squares = np.bincount(of, scaled**2, len(mix)) - posterior.per_class
        log_sd = mix * np.bincount(of, to_d * d, len(mix)) + (1 - mix) * squares
        to_z = to_d * (sd**mix)[of] - scaled / left[of]
        slopes = log_sd * posterior.log_sd_slopes(zeta, sd) - zeta
        return value, np.concatenate([gradient[: posterior.shared], to_z, slopes])


def mixing(approximation: SkillApproximation) -> FloatArray:
    """How far from centred every class is: 0 where the data say much more than the prior, 1 where they say little."""
    posterior = approximation.posterior
    if approximation.proposal is None:
        return np.zeros(0)
    sd = posterior.sds(approximation.proposal.centre[:, None])[:, 0]
    information = np.bincount(posterior.class_of, approximation.effects.own_information()) / posterior.per_class
    return np.asarray(1 / (1 + information * sd**2))


def expected_moments(approximation: SkillApproximation, space: MixedSpace, seed: int) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance of the coordinates that the approximation expects."""
    posterior, proposal = approximation.posterior, approximation.proposal
    if proposal is None:
        mean, root = approximation.effects.given(np.zeros(0))
        return mean, np.asarray(linalg.cho_solve((root, True), np.eye(len(mean))))
    zetas = proposal.draw(COVARIANCE_DRAWS, seed)
    means, within = [], np.zeros((space.size, space.size))
    for zeta in zetas.T:
        sd = posterior.sds(zeta[:, None])[:, 0]
        mean, root = approximation.effects.given(sd)
        scale = np.ones(posterior.size)
        scale[posterior.shared :] = (1 / sd**space.mix)[posterior.class_of]
        half = linalg.solve_triangular(root, np.eye(posterior.size), lower=True, check_finite=False) * scale
        within[: posterior.size, : posterior.size] += half.T @ half / COVARIANCE_DRAWS
        means.append(space.join(mean, zeta))
    return np.mean(means, axis=0), within + np.cov(np.array(means).T)


@dataclass(frozen=True, eq=False)
class Chain:
    """One chain: draws in the coordinates of the density, whether each diverged, and its energy."""

    draws: FloatArray
    diverging: npt.NDArray[np.bool_]
    energy: FloatArray


Density = Callable[[FloatArray], tuple[float, FloatArray]]


def run_chain(
    density: Density, mean: FloatArray, root: FloatArray, tune: int, draws: int, target: float, seed: tuple[int, ...]
) -> Chain:
    """One chain of randomised Hamiltonian Monte Carlo, scaled by ``root`` (covariance ``root root'``).

    Parameters
    ----------
    density
        Log density and gradient.
    mean, root
        Where it starts around, and the scale.
    tune, draws
        Draws that settle the step size, and draws kept.
    target
        Share of proposals to be accepted.
    seed
        Of this chain.
    """
    rng, size = np.random.default_rng(seed), len(mean)

    def at(w: FloatArray) -> tuple[float, FloatArray]:
        if not np.abs(w).max() < FARTHEST:
            return -np.inf, np.zeros(size)
        value, gradient = density(mean + root @ w)
        return value, root.T @ gradient

    w = rng.standard_normal(size)
    value, gradient = at(w)
    step, averaged, error_sum, anchor = 0.5, np.log(0.5), 0.0, np.log(5.0)
    kept, diverging, energies = np.empty((draws, size)), np.zeros(draws, dtype=bool), np.empty(draws)
    for turn in range(tune + draws):
        momentum = rng.standard_normal(size)
        energy = 0.5 * float(momentum @ momentum) - value
        length = rng.uniform(SHORTEST, LONGEST) * np.pi / 2
        steps = max(1, round(length / step))
        new_w, new_value, new_gradient, p = w, value, gradient, momentum
        for _ in range(steps):
            p = p + 0.5 * step * new_gradient
            new_w = new_w + step * p
            new_value, new_gradient = at(new_w)
            p = p + 0.5 * step * new_gradient
            if not 0.5 * float(p @ p) - new_value - energy < DIVERGES_AT:
                break
        error = 0.5 * float(p @ p) - new_value - energy
        chance = float(np.exp(min(0.0, -error))) if np.isfinite(error) else 0.0
        if rng.uniform() < chance:
            w, value, gradient = new_w, new_value, new_gradient
        if turn < tune:
            error_sum += target - chance
            logs = anchor + np.log(0.5) - np.log(5.0) - np.sqrt(turn + 1) / 0.05 * error_sum / (turn + 11)
            share = (turn + 1) ** -0.75
            averaged = share * logs + (1 - share) * averaged
            step = float(np.exp(averaged if turn == tune - 1 else np.clip(logs, -5, np.log(1.5))))
            continue
        place = turn - tune
        kept[place] = mean + root @ w
        diverging[place] = not np.isfinite(error) or error > DIVERGES_AT
        energies[place] = energy
    return Chain(kept, diverging, energies)


@dataclass(frozen=True, eq=False)
class SampledSkills:
    """Draws of all chains, and what the checks of a sampler ask for."""

    draws: SkillDraws
    diverging: npt.NDArray[np.bool_]
    energy: FloatArray


def sample(
    approximation: SkillApproximation, *, chains: int, tune: int, draws: int, target: float, seed: int
) -> SampledSkills:
    """Draw from the exact posterior.

    Parameters
    ----------
    approximation
        Gives the scale.
    chains, tune, draws, target, seed
        As in `SamplerSpec`; draws are nearly independent, so that far fewer do than of a sampler that must learn the
        scale.
    """
    space = MixedSpace(approximation.posterior, mixing(approximation))
    mean, covariance = expected_moments(approximation, space, seed)
    root = linalg.cholesky(covariance, lower=True)
    jobs = min(chains, os.cpu_count() or 1)
    with threadpool_limits(limits=1):
        found = Parallel(n_jobs=jobs, prefer="threads")(
            delayed(run_chain)(space.value_and_gradient, mean, root, tune, draws, target, (seed, 72, chain))
            for chain in range(chains)
        )
    x, sd = np.empty((chains, draws, space.posterior.size)), np.empty((chains, draws, len(space.mix)))
    for chain, one in enumerate(found):
        for draw, psi in enumerate(one.draws):
            x[chain, draw], sd[chain, draw] = space.split(psi)
    return SampledSkills(
        SkillDraws(x, sd), np.stack([one.diverging for one in found]), np.stack([one.energy for one in found])
    )
