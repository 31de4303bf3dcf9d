"""Weighted draws from a hierarchical model whose countries are independent given what they share.

1. The posterior of the hyperparameters is explored on its Laplace approximation and drawn from a proposal shaped like it.
2. For each draw the shared coefficients come from their normal approximation, once and mirrored.
3. Given both, every country's likelihood, integrated over its own coefficients, is estimated without bias from a few
   antithetic draws, of which one is kept in proportion to its weight.

The weight of a draw is the product of these estimates and of the shared coefficients' prior against the proposal, so
that its variance does not grow as with one joint weight over hundreds of coefficients, and nothing is approximated in
the end. Countries are tied by nothing but what they share: their effects do not sum to zero, and shared coefficients are
those of the population of countries.

References
----------
As `fit/laplace/engine.py`: Rue, Martino & Chopin 2009; Andrieu & Roberts 2009; Vehtari et al. 2024.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from riskmodels.errors import FitError
from riskmodels.fit import limits
from riskmodels.fit.countrywise.conditional import Conditional, Expansion, condition, expand
from riskmodels.fit.countrywise.countries import OWN_SHARE, Skew, integrate_countries, measured_skew, no_skew
from riskmodels.fit.laplace.heavy_tails import heavy_normals, log_heavy
from riskmodels.fit.laplace.hyperposterior import find_mode, refitted, shape_around
from riskmodels.fit.tailed_proposal import TailedProposal, along_coordinates, with_tails
from riskmodels.fit.weighting import effective_draws, smoothed_weights
from riskmodels.models.country_model import CountryModel, exact_over_normal
from riskmodels.models.hyperparameters import log_hyper_prior

FloatArray = npt.NDArray[np.float64]

#: Draws of every country's coefficients per draw of everything else: four, each with its mirror image.
INNER_PAIRS = 4
#: Newton steps to a mode, at most.
NEWTON_STEPS = 60
#: Hyperparameters at once: what stays in memory, and the unit of work of a thread.
POINTS_AT_ONCE = 128
#: Share of heavy-tailed draws of what countries share.
SHARED_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class CountrywiseDraws:
    """Weighted draws in mirrored pairs.

    Parameters
    ----------
    zeta
        Unconstrained hyperparameters, (dimension, pairs).
    shared, own
        Shared coefficients (2, pairs, D) and those of the countries (2, pairs, C, B).
    weights, pareto_k
        Smoothed weights that sum to one, (2, pairs), and their k-hat.
    """

    zeta: FloatArray
    shared: FloatArray
    own: FloatArray
    weights: FloatArray
    pareto_k: float

    @property
    def effective(self) -> float:
        """Least effective number of draws of any hyperparameter; mirrored pairs share them and count once."""
        weights = self.weights.sum(axis=0)
        overall = float(1 / (weights**2).sum())
        if not len(self.zeta):
            return overall
        _, tails, _ = effective_draws(self.zeta.T[None], weights[None], 0.05)
        return min(overall, float(np.min(tails)))


@dataclass(frozen=True, eq=False)
class Explored:
    """Where the posterior lies: a model, its likelihood expanded at the mode, proposals."""

    model: CountryModel
    around: Expansion
    proposal: TailedProposal
    skew: Skew

    def condition(self, zeta: FloatArray, steps: int = 2) -> Conditional:
        """Normal approximations of the coefficients with the information found at the mode."""
        return condition(self.model, zeta, self.around, steps)


def _settled(model: CountryModel, zeta: FloatArray, around: Expansion) -> Expansion:
    """The likelihood expanded at the mode of the coefficients at one point of the hyperparameters."""
    at = condition(model, zeta[:, None], around, NEWTON_STEPS, refresh=True)
    if not (np.isfinite(at.log_marginal).all() and at.longest.max() < 0.01):
        raise FitError("the mode of the joint model was not found; check the counts, or use engine='nuts'")
    return expand(model, at.prior.coefficients(model, at.shared, at.own)[0])


def explore(model: CountryModel) -> Explored:
    """Find the mode of the hyperparameters and the shape of their posterior around it.

    Parameters
    ----------
    model
        The model.

    Raises
    ------
    FitError
        If no mode is found.
    """
    mode = np.zeros(model.dimension)
    around = expand(model, np.tile(model.start, (model.countries, 1)))
    empty, normal = TailedProposal(mode, np.zeros((0, 0)), mode, mode), no_skew(model)
    around = _settled(model, mode, around)
    for _ in range(2 if model.dimension else 0):
        mode = find_mode(_log_marginal(Explored(model, around, empty, normal)), mode)
        around = _settled(model, mode, around)
    explored = Explored(model, around, empty, normal)
    if model.dimension:
        log_density = _log_marginal(explored)
        explored = replace(
            explored, proposal=with_tails(shape_around(log_density, mode), along_coordinates(log_density, mode))
        )
    return replace(explored, skew=measured_skew(model, explored.condition(mode[:, None])))


def _log_marginal(explored: Explored) -> Callable[[FloatArray], FloatArray]:
    """Laplace approximation of the log density of hyperparameters; hopeless points count as impossible."""

    def log_density(zeta: FloatArray) -> FloatArray:
        parts = [
            explored.condition(zeta[:, at : at + POINTS_AT_ONCE], steps=1).log_marginal
            for at in range(0, zeta.shape[1], POINTS_AT_ONCE)
        ]
        return np.nan_to_num(np.concatenate(parts), nan=-1e10, neginf=-1e10)

    return log_density


_Batch = tuple[FloatArray, FloatArray, FloatArray]
_Raw = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _batch(explored: Explored, zeta: FloatArray, rng: np.random.Generator) -> _Batch:
    """Mirrored pairs at some hyperparameters: (2, points, D), (2, points, C, B), log weights (2, points)."""
    model, points = explored.model, zeta.shape[1]
    at = explored.condition(zeta)
    # heavy_normals shares one radius over its first axis, so the coefficients come first
    noise = heavy_normals(rng, (model.size, points), SHARED_SHARE).T
    width = (len(model.own), INNER_PAIRS, points, model.countries)
    inner = np.moveaxis(heavy_normals(rng, width, OWN_SHARE), 0, -1)
    uniform = rng.uniform(size=(points, model.countries))
    back = np.swapaxes(at.precision.shared_inverse, -1, -2)
    change = (back @ noise[..., None])[..., 0]
    log_noise = log_heavy((noise**2).sum(axis=-1), model.size, SHARED_SHARE)
    parts = []
    for sign in (1.0, -1.0):
        shared = at.shared + sign * change
        log_countries, own = integrate_countries(at, model, explored.skew, shared, sign * inner, uniform)
        coefficients = at.prior.mean + at.prior.shared.apply(shared)
        log_weight = (
            log_countries
            - 0.5 * (shared**2).sum(axis=-1)
            - 0.5 * at.precision.log_determinant_shared
            - log_noise
            + exact_over_normal(model, coefficients)
        )
        parts.append((coefficients, at.prior.own.apply(own), log_weight))
    fixed = log_hyper_prior(model.hypers, zeta) - explored.proposal.log_density(zeta)
    shared, own, log_weight = (np.stack([part[k] for part in parts]) for k in range(3))
    return shared, own, log_weight + fixed


def _raw(
    explored: Explored, pairs: int, seed: int, batch: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    zeta = explored.proposal.draw(pairs, seed + batch)

    def part(start: int) -> _Batch:
        rng = np.random.default_rng([seed, batch, start])
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            return _batch(explored, zeta[:, start : start + POINTS_AT_ONCE], rng)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = list(threads.map(part, range(0, pairs, POINTS_AT_ONCE)))
    shared, own, log_weights = (np.concatenate([part[k] for part in parts], axis=1) for k in range(3))
    return zeta, shared, own, log_weights


def _joined(first: _Raw, second: _Raw) -> _Raw:
    zeta, shared, own, log_weights = (
        np.concatenate([one, other], axis=1) for one, other in zip(first, second, strict=True)
    )
    return zeta, shared, own, log_weights


def _weighed(raw: _Raw) -> CountrywiseDraws:
    zeta, shared, own, log_weights = raw
    unknown = int(np.isnan(log_weights).sum())
    if unknown:
        raise FitError(f"{unknown:,} of {log_weights.size:,} draws have no weight; use engine='nuts'")
    if not np.isfinite(log_weights).any():
        raise FitError("no draw has a finite weight; use engine='nuts'")
    log_weights = np.maximum(log_weights - log_weights.max(), -700.0)
    weights, pareto_k = smoothed_weights(log_weights.ravel())
    return CountrywiseDraws(zeta, shared, own, weights.reshape(log_weights.shape), pareto_k)


def draw_countrywise(model: CountryModel, draws: int, seed: int, *, rounds: int = 3) -> CountrywiseDraws:
    """Draw from the posterior, with importance weights.

    Parameters
    ----------
    model
        Likelihood and priors.
    draws
        Draws, in mirrored pairs that share hyperparameters.
    seed
        Same seed, versions and machine: bitwise the same draws.
    rounds
        At most this many batches: weights that fail their k-hat refit the proposal, too few effective draws add to it.

    Returns
    -------
    CountrywiseDraws
        The last round's, whether its weights passed or not: read `pareto_k` and `effective`.

    Raises
    ------
    FitError
        If no mode is found, if the weight of any draw is not a number, or if no draw has a finite weight.
    """
    with threadpool_limits(limits=1), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        try:
            explored = explore(model)
        except np.linalg.LinAlgError as error:
            raise FitError(f"the joint model has no usable approximation ({error}); use engine='nuts'") from None
        raw = _raw(explored, draws // 2, seed, 1)
        best, done = _weighed(raw), 1
        while done < rounds:
            pairs = best.zeta.shape[1]
            if not best.pareto_k < limits.PARETO_K_BELOW:
                proposal = refitted(explored.proposal, best.zeta, best.weights.sum(axis=0))
                explored = replace(explored, proposal=with_tails(proposal, explored.proposal.tails or proposal))
                raw = _raw(explored, 2 * pairs, seed, done + 1)
            elif best.effective < limits.ENGINE_EFFECTIVE:
                missing = min(1.15 * limits.ENGINE_EFFECTIVE / best.effective - 1, 4.0)
                more = _raw(explored, int(np.ceil(missing * pairs)), seed, done + 1)
                raw = _joined(raw, more)
            else:
                break
            best, done = _weighed(raw), done + 1
    return best
