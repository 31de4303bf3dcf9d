"""Coefficients given hyperparameters: their mode and precision, country by country, for many points at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.models.country_model import CountryModel, prior_mean, prior_precision
from riskmodels.models.hyperparameters import hyper_values, log_hyper_prior

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prior:
    """Normal priors at points of the hyperparameters: precisions, their log determinants, and the mean."""

    shared: FloatArray
    own: FloatArray
    log_determinant_shared: FloatArray
    log_determinant_own: FloatArray
    mean: FloatArray

    def log_density(self, shared: FloatArray, own: FloatArray) -> FloatArray:
        """Log density of coefficients (points, D) and (points, C, B), the constants of pi left out."""
        step = shared - self.mean
        quadratic = np.einsum("nd,nde,ne->n", step, self.shared, step, optimize=True)
        quadratic += np.einsum("ncb,nbd,ncd->n", own, self.own, own, optimize=True)
        return np.asarray(0.5 * (self.log_determinant_shared + own.shape[1] * self.log_determinant_own - quadratic))


def prior_at(model: CountryModel, zeta: FloatArray) -> Prior:
    """Priors at unconstrained hyperparameters of shape (dimension, points)."""
    points = zeta.shape[1]
    values = hyper_values(model.hypers, zeta)
    shared, shared_determinant = prior_precision(model.shared_blocks, model.size, values, points)
    own, own_determinant = prior_precision(model.own_blocks, len(model.own), values, points)
    return Prior(shared, own, shared_determinant, own_determinant, prior_mean(model.shared_blocks, model.size))


@dataclass(frozen=True, eq=False)
class Precision:
    """Precision of (g, u_1 ... u_C) given hyperparameters, factorised.

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
    blocks = information[..., own[:, None], own[None, :]] + prior.own[:, None]
    own_inverse = np.linalg.inv(np.linalg.cholesky(blocks))
    half = own_inverse @ information[..., own, :]
    points = len(own_inverse)
    joined = half.reshape(points, model.countries * len(own), model.size)
    schur = information.sum(axis=1) + prior.shared - np.swapaxes(joined, -1, -2) @ joined
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
        Centre, (points, D) and (points, C, B).
    log_marginal
        Laplace approximation of the log posterior density of the hyperparameters, up to a constant.
    longest
        Largest change of a coefficient's linear predictor in the last step, in SDs.
    """

    zeta: FloatArray
    prior: Prior
    precision: Precision
    shared: FloatArray
    own: FloatArray
    log_marginal: FloatArray
    longest: FloatArray


def condition(
    model: CountryModel,
    zeta: FloatArray,
    start: tuple[FloatArray, FloatArray],
    information: FloatArray | None,
    steps: int,
) -> Conditional:
    """Newton steps from one start; `information` of the likelihood is used throughout where it is given.

    Parameters
    ----------
    start
        Shared coefficients (D,) and those of the countries (C, B).
    information
        Shape (C, D, D): every step then costs a gradient only.
    steps
        How many.
    """
    points = zeta.shape[1]
    prior = prior_at(model, zeta)
    shared, own = np.tile(start[0], (points, 1)), np.tile(start[1], (points, 1, 1))
    precision = None if information is None else factorise(model, information[None], prior)
    longest = np.full(points, np.inf)
    for _ in range(steps):
        at = coefficients_of(model, shared, own)
        score = model.likelihood.score(at)
        if information is None:
            precision = factorise(model, model.likelihood.information(at), prior)
        assert precision is not None
        pull = score.sum(axis=1) - np.einsum("nde,ne->nd", prior.shared, shared - prior.mean)
        pull_own = score[..., model.own] - np.einsum("nbd,ncd->ncb", prior.own, own)
        step, step_own = precision.solve(pull, pull_own)
        longest = np.abs(step).max(axis=1)
        if step_own.size:
            longest = np.maximum(longest, np.abs(step_own).max(axis=(1, 2)))
        shrink = np.minimum(1.0, 2.0 / np.maximum(longest, 1e-300))[:, None]
        shared, own = shared + shrink * step, own + shrink[..., None] * step_own
    assert precision is not None
    log_marginal = (
        log_hyper_prior(model.hypers, zeta)
        + model.likelihood.log_density(coefficients_of(model, shared, own)).sum(axis=1)
        + prior.log_density(shared, own)
        - 0.5 * precision.log_determinant_own.sum(axis=1)
        - 0.5 * precision.log_determinant_shared
    )
    return Conditional(zeta, prior, precision, shared, own, log_marginal, longest)
