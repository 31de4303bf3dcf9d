"""Coefficients given hyperparameters: their mode and precision, country by country, for many points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.models.country_model import CountryModel, PriorRoot, prior_mean, prior_root
from riskmodels.models.hyperparameters import hyper_values, log_hyper_prior

FloatArray = npt.NDArray[np.float64]

#: Largest change of a coefficient in one Newton step.
LONGEST_STEP = 2.0
#: Newton steps with fresh information end when no coefficient changes by more.
SETTLED = 0.001
#: Halvings of a Newton step at most.
HALVINGS = 20


@dataclass(frozen=True, eq=False)
class Prior:
    """Normal priors at points of the hyperparameters: standard normals times a root, around a mean."""

    shared: PriorRoot
    own: PriorRoot
    mean: FloatArray

    def coefficients(self, model: CountryModel, shared: FloatArray, own: FloatArray) -> FloatArray:
        """Coefficients of every country, (points, C, D), from standardised (points, D) and (points, C, B)."""
        return coefficients_of(model, self.mean + self.shared.apply(shared), self.own.apply(own))


def prior_at(model: CountryModel, zeta: FloatArray) -> Prior:
    """Priors at unconstrained hyperparameters of shape (dimension, points)."""
    points, values = zeta.shape[1], hyper_values(model.hypers, zeta)
    shared, own = (prior_root(blocks, values, points) for blocks in (model.shared_blocks, model.own_blocks))
    return Prior(shared, own, prior_mean(model.shared_blocks, model.size))


@dataclass(frozen=True, eq=False)
class Precision:
    """Precision of the standardised (h, v_1 ... v_C) given hyperparameters, factorised.

    Parameters
    ----------
    own_inverse
        Inverse Cholesky factors of the countries' blocks, (points, C, B, B).
    half
        These times the blocks that link countries to what they share, (points, C, B, D).
    shared_inverse
        Inverse Cholesky factor of what is left for the shared coefficients, (points, D, D).
    """

    own_inverse: FloatArray
    half: FloatArray
    shared_inverse: FloatArray

    @property
    def log_determinant_own(self) -> FloatArray:
        """Log determinant of every country's block, (points, C)."""
        return np.asarray(-2 * np.log(np.einsum("ncbb->ncb", self.own_inverse)).sum(axis=-1))

    @property
    def log_determinant_shared(self) -> FloatArray:
        """Log determinant of the shared coefficients' precision, (points,)."""
        return np.asarray(-2 * np.log(np.einsum("ndd->nd", self.shared_inverse)).sum(axis=-1))

    def solve(self, shared: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Newton step for gradients (points, D) and (points, C, B)."""
        first = (self.own_inverse @ own[..., None])[..., 0]
        rest = shared - np.einsum("ncbd,ncb->nd", self.half, first, optimize=True)
        step = (np.swapaxes(self.shared_inverse, -1, -2) @ (self.shared_inverse @ rest[..., None]))[..., 0]
        left = first - (self.half @ step[:, None, :, None])[..., 0]
        return step, (np.swapaxes(self.own_inverse, -1, -2) @ left[..., None])[..., 0]


def factorise(model: CountryModel, information: FloatArray, prior: Prior) -> Precision:
    """Factorise the precision where the likelihood has this information, shape (points or 1, C, D, D)."""
    own = model.own
    rows = prior.own.apply_to_matrices(np.swapaxes(information[..., own, :], -1, -2))  # (points, C, D, B)
    blocks = prior.own.apply_to_matrices(np.swapaxes(rows[..., own, :], -1, -2))
    blocks[..., np.arange(len(own)), np.arange(len(own))] += 1
    own_inverse = np.linalg.inv(np.linalg.cholesky(blocks))
    half = own_inverse @ prior.shared.apply_to_matrices(np.swapaxes(rows, -1, -2))
    joined = half.reshape(len(half), model.countries * len(own), model.size)
    total = prior.shared.apply_to_matrices(np.swapaxes(prior.shared.apply_to_matrices(information.sum(axis=1)), -1, -2))
    schur = total - np.swapaxes(joined, -1, -2) @ joined
    schur[..., np.arange(model.size), np.arange(model.size)] += 1
    return Precision(own_inverse, half, np.linalg.inv(np.linalg.cholesky(schur)))


def coefficients_of(model: CountryModel, shared: FloatArray, own: FloatArray) -> FloatArray:
    """Coefficients of every country, (points, C, D), from shared (points, D) and own (points, C, B)."""
    found = np.repeat(shared[:, None, :], model.countries, axis=1)
    found[..., model.own] += own
    return found


@dataclass(frozen=True, eq=False)
class Conditional:
    """Normal approximation at points of the hyperparameters.

    Parameters
    ----------
    zeta
        Hyperparameters, (dimension, points).
    prior, precision
        Priors and factorised precision there.
    shared, own
        Centre, standardised, (points, D) and (points, C, B).
    log_marginal
        Laplace approximation of the log posterior density of the hyperparameters, up to a constant.
    longest
        Largest change of a coefficient in the last step.
    """

    zeta: FloatArray
    prior: Prior
    precision: Precision
    shared: FloatArray
    own: FloatArray
    log_marginal: FloatArray
    longest: FloatArray


@dataclass(frozen=True, eq=False)
class Expansion:
    """The log likelihood around coefficients (C, D): its score (C, D) and information (C, D, D)."""

    coefficients: FloatArray
    score: FloatArray
    information: FloatArray


def expand(model: CountryModel, coefficients: FloatArray) -> Expansion:
    """Expand the log likelihood to second order; directions in which it is not concave count as flat."""
    at = coefficients[None]
    values, axes = np.linalg.eigh(model.likelihood.settled_at(coefficients).information(at)[0])
    information = (axes * np.maximum(values, 0.0)[:, None, :]) @ np.swapaxes(axes, -1, -2)
    return Expansion(coefficients, model.likelihood.score(at)[0], information)


def condition(
    model: CountryModel, zeta: FloatArray, around: Expansion, steps: int, *, refresh: bool = False
) -> Conditional:
    """Find the mode of the coefficients: one step by an expansion of the likelihood, then Newton steps.

    Parameters
    ----------
    zeta
        Hyperparameters, (dimension, points).
    around
        The first step is the same quadratic for all points, whatever their hyperparameters.
    steps
        How many in all, at most.
    refresh
        Whether later steps take the information at hand (of one point only); else that of the expansion, and each costs a gradient only.
    """
    prior = prior_at(model, zeta)
    precision = factorise(model, around.information[None], prior)
    shared, own = _first_step(model, prior, precision, around, 1.0)
    at = prior.coefficients(model, shared, own)
    longest = np.abs(at - around.coefficients).max(axis=(1, 2))
    if refresh and not longest.max() <= LONGEST_STEP:
        shared, own = _first_step(model, prior, precision, around, LONGEST_STEP / longest.max())
        at = prior.coefficients(model, shared, own)
    for _ in range(steps - 1):
        score = model.likelihood.score(at)
        if refresh:
            precision = _precision_at(model, prior, at)
        pull = prior.shared.apply(score.sum(axis=1)) - shared
        pull_own = prior.own.apply(score[..., model.own]) - own
        step, step_own = precision.solve(pull, pull_own)
        longest = np.abs(prior.coefficients(model, shared + step, own + step_own) - at).max(axis=(1, 2))
        shrink = np.minimum(1.0, LONGEST_STEP / np.maximum(longest, 1e-300))
        if refresh:
            shrink = _uphill(model, prior, (shared, own), (step, step_own), shrink)
        shared, own = shared + shrink[:, None] * step, own + shrink[:, None, None] * step_own
        at = prior.coefficients(model, shared, own)
        if refresh and longest.max() < SETTLED:
            break
    log_marginal = (
        log_hyper_prior(model.hypers, zeta)
        + _log_posterior(model, prior, shared, own)
        - 0.5 * precision.log_determinant_own.sum(axis=1)
        - 0.5 * precision.log_determinant_shared
    )
    return Conditional(zeta, prior, precision, shared, own, log_marginal, longest)


def _precision_at(model: CountryModel, prior: Prior, at: FloatArray) -> Precision:
    """Precision with the information at one point, or where that is indefinite, as if all answers were known."""
    try:
        return factorise(model, model.likelihood.settled_at(at[0]).information(at), prior)
    except np.linalg.LinAlgError:
        return factorise(model, model.likelihood.complete_information(at), prior)


def _first_step(
    model: CountryModel, prior: Prior, precision: Precision, around: Expansion, length: float
) -> tuple[FloatArray, FloatArray]:
    """Standardised coefficients where the expansion, its score shortened to this length, and the prior meet."""
    working = length * around.score + np.einsum("cde,ce->cd", around.information, around.coefficients - prior.mean)
    return precision.solve(prior.shared.apply(working.sum(axis=0)[None]), prior.own.apply(working[None, :, model.own]))


def _log_posterior(model: CountryModel, prior: Prior, shared: FloatArray, own: FloatArray) -> FloatArray:
    """Log density of coefficients given hyperparameters, up to a constant, (points,)."""
    likelihood = model.likelihood.log_density(prior.coefficients(model, shared, own)).sum(axis=1)
    return np.asarray(likelihood - 0.5 * (shared**2).sum(axis=1) - 0.5 * (own**2).sum(axis=(1, 2)))


def _uphill(
    model: CountryModel,
    prior: Prior,
    place: tuple[FloatArray, FloatArray],
    step: tuple[FloatArray, FloatArray],
    shrink: FloatArray,
) -> FloatArray:
    """Halve steps until the log density does not fall."""
    before = _log_posterior(model, prior, *place)
    for _ in range(HALVINGS):
        moved = (place[0] + shrink[:, None] * step[0], place[1] + shrink[:, None, None] * step[1])
        worse = ~(_log_posterior(model, prior, *moved) >= before - 1e-9 * np.abs(before))
        if not worse.any():
            break
        shrink = np.where(worse, shrink / 2, shrink)
    return shrink
