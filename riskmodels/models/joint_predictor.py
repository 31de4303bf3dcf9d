"""Linear predictors of several outcomes in every cell: intercepts and partially pooled effects, with their gradient.

The hierarchical predictor of prevalence for many outcomes at once, as plain arrays. Effects sum to zero over the levels
of a factor (steps of a random walk where the levels are ordered) and are standard normals times an SD; a term has one
SD for all outcomes. SDs are quantiles of their priors at a standard normal coordinate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.models.blocks import trend_basis, zero_sum_basis
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.priors import Prior
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_MIXED = "_x_"


@dataclass(frozen=True, eq=False)
class JointTerm:
    """One term of the predictor.

    Parameters
    ----------
    name
        The factor, or two factors and ``_x_`` between.
    basis
        What its columns mean at every level, shape (levels, columns); of an interaction, its rows are pairs of levels.
    position
        Level of every cell.
    prior
        Of its SD.
    """

    name: str
    basis: FloatArray
    position: IntArray
    prior: Prior


@dataclass(frozen=True, eq=False)
class JointPredictor:
    """Parameters ``[SD coordinates, intercepts, effect coordinates]`` -> linear predictors (cells, outcomes).

    An effect is ``u = s^2 pull + s z`` with ``1/s^2 = information + 1/SD^2``: what a Gaussian likelihood with this
    information would leave of it, given the SD. So `z` hardly depends on the SD, whether the answers tell much or little
    of an effect; without information it is the non-centred form. Information chooses coordinates, not the model.

    Parameters
    ----------
    terms
        Partially pooled terms; a factor of one level has none.
    outcomes
        How many linear predictors a cell has.
    intercept
        Prior of every outcome's intercept.
    design
        Columns of all terms at every cell, shape (cells, columns).
    term_of_column
        Term of every column.
    information, pull
        What the answers say of every effect, and times its estimate; shape (columns, outcomes).

    References
    ----------
    Papaspiliopoulos, Roberts & Skold 2007, Statistical Science 22, 59-73 (partially non-centred forms).
    """

    terms: tuple[JointTerm, ...]
    outcomes: int
    intercept: Prior
    design: FloatArray
    term_of_column: IntArray
    information: FloatArray
    pull: FloatArray

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.terms) + self.outcomes * (1 + self.design.shape[1])

    def parts(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """SD coordinates (..., terms), intercepts (..., outcomes), effect coordinates (..., columns, outcomes)."""
        first, second = len(self.terms), len(self.terms) + self.outcomes
        z = x[..., second:].reshape(*x.shape[:-1], self.design.shape[1], self.outcomes)
        return x[..., :first], x[..., first:second], z

    def sds(self, zeta: FloatArray) -> FloatArray:
        """SDs of the terms at their coordinates (..., terms)."""
        if not self.terms:
            return np.zeros(zeta.shape)
        return np.stack([sd_and_slope(t.prior, zeta[..., k])[0] for k, t in enumerate(self.terms)], axis=-1)

    def columns(self, x: FloatArray) -> FloatArray:
        """Effects of the columns, shape (..., columns, outcomes)."""
        zeta, _, z = self.parts(x)
        sd = self.sds(zeta)[..., self.term_of_column, None]
        s = sd / np.sqrt(1 + self.information * sd**2)
        return np.asarray(s * (s * self.pull + z))

    def predictors(self, x: FloatArray) -> FloatArray:
        """Linear predictors of parameters of shape (..., size), shape (..., cells, outcomes)."""
        return np.asarray(self.parts(x)[1][..., None, :] + self.design @ self.columns(x))

    def effects(self, x: FloatArray) -> dict[str, FloatArray]:
        """Effects of the levels of every factor, shape (..., levels, outcomes)."""
        columns = self.columns(x)
        return {
            term.name: term.basis @ columns[..., self.term_of_column == k, :]
            for k, term in enumerate(self.terms)
            if _MIXED not in term.name
        }

    def density_and_gradient(
        self, x: FloatArray, given: Callable[[FloatArray], tuple[float, FloatArray]]
    ) -> tuple[float, FloatArray]:
        """Log prior of parameters plus a log likelihood of the predictors, and the gradient.

        Parameters
        ----------
        x
            Parameters, shape (size,).
        given
            Log likelihood of predictors (cells, outcomes) and its gradient, of the same shape.
        """
        zeta, intercepts, z = self.parts(x)
        pairs = [sd_and_slope(term.prior, zeta[k]) for k, term in enumerate(self.terms)]
        sd = np.array([float(one) for one, _ in pairs])[self.term_of_column, None] if pairs else np.zeros((0, 1))
        ratio = 1 / np.sqrt(1 + self.information * sd**2)
        s = ratio * sd
        unit = self.pull * s * ratio + ratio * z
        likelihood, slope = given(intercepts + self.design @ (sd * unit))
        prior, prior_slope = log_prior_and_slope(self.intercept, intercepts)
        by_column = self.design.T @ slope
        change = -self.information * s * ratio**2
        unit_by_sd = self.pull * (ratio**4 + s * change) + z * change
        along = sd * by_column - unit
        by_sd = (along * unit_by_sd + by_column * unit - self.information * s * ratio).sum(axis=1)
        by_term = np.bincount(self.term_of_column, by_sd, len(self.terms))
        gradient = np.concatenate(
            [
                by_term * np.array([float(one) for _, one in pairs]) - zeta,
                slope.sum(axis=0) + prior_slope,
                (along * ratio).ravel(),
            ]
        )
        own = float(np.log(ratio).sum()) - 0.5 * float((unit * unit).sum())
        return likelihood + prior + own - 0.5 * float(zeta @ zeta), gradient

    def told(self, x: FloatArray, curvature: FloatArray) -> tuple[JointPredictor, FloatArray]:
        """Coordinates suited to what the answers tell: the predictor in them, and the same place in them.

        Parameters
        ----------
        x
            A mode given SDs, in non-centred coordinates.
        curvature
            Minus the second derivatives of the log posterior there by every effect coordinate, shape (columns,
            outcomes).
        """
        zeta, _, z = self.parts(x)
        sd = self.sds(zeta)[self.term_of_column, None]
        information = np.maximum(curvature - 1, 0.0) / sd**2
        other = replace(self, information=information, pull=sd * z * (information + 1 / sd**2))
        moved = x.copy()
        moved[len(self.terms) + self.outcomes :] = 0.0
        return other, moved


def sd_and_slope(prior: Prior, zeta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """SD at the quantile of its prior that a coordinate is of a standard normal, and its derivative."""
    scale = float(prior.scale or 1.0)
    upper = 0.5 * special.ndtr(-zeta)
    normal = np.exp(-0.5 * zeta**2) / np.sqrt(2 * np.pi)
    if prior.family == "half_normal":
        unit = -special.ndtri(upper)
        density = np.exp(-0.5 * unit**2) / np.sqrt(2 * np.pi)
    else:
        degrees = float(prior.degrees or 1.0)
        unit = -special.stdtrit(degrees, upper)
        density = stats.t.pdf(unit, degrees)
    return np.asarray(scale * unit), np.asarray(0.5 * scale * normal / density)


def log_prior_and_slope(prior: Prior, x: FloatArray) -> tuple[float, FloatArray]:
    """Log density of independent parameters with one normal or Student-t prior, up to a constant, and its gradient."""
    away = (x - float(prior.location or 0.0)) / float(prior.scale or 1.0)
    if prior.family == "normal":
        return -0.5 * float(away @ away), -away / float(prior.scale or 1.0)
    degrees = float(prior.degrees or 1.0)
    density = -0.5 * (degrees + 1) * float(np.log1p(away**2 / degrees).sum())
    return density, -(degrees + 1) * away / (degrees + away**2) / float(prior.scale or 1.0)


def joint_predictor(counts: JointCounts, spec: CooccurrenceSpec, outcomes: int, intercept: Prior) -> JointPredictor:
    """Write the predictor of a specification: country, subgroups, and country by subgroup where asked for.

    Parameters
    ----------
    counts, spec
        Data and model.
    outcomes
        Linear predictors per cell.
    intercept
        Prior of their intercepts.

    Raises
    ------
    InputError
        E195 for an ordered factor that the cells do not have.
    """
    names = [one.name for one in counts.factors]
    unknown = [name for name in spec.ordered if name not in names[1:]]
    if unknown:
        remedy = f"choose among {', '.join(names[1:])}" if names[1:] else "split cells by it"
        raise InputError(
            [Problem("E195", "an ordered factor that is not a subgroup", ", ".join(unknown), len(unknown), remedy)],
            "CooccurrenceSpec",
        )
    priors = spec.prior_set
    terms = []
    for factor in counts.factors:
        ordered = factor.name in spec.ordered
        if len(factor) > 1:
            basis = trend_basis(len(factor)) if ordered else zero_sum_basis(len(factor))
            prior = priors.trend_step if ordered else priors.group_sd
            terms.append(JointTerm(factor.name, basis, counts.position(factor.name), prior))
    if spec.interactions and terms and terms[0].name == COUNTRY:
        country = terms[0]
        for other in terms[1:]:
            pairs = np.einsum("ia,jb->ijab", country.basis, other.basis)
            basis = pairs.reshape(len(country.basis) * len(other.basis), -1)
            position = country.position * len(other.basis) + other.position
            terms.append(JointTerm(f"{COUNTRY}{_MIXED}{other.name}", basis, position, priors.group_sd))
    columns = [term.basis[term.position] for term in terms]
    design = np.concatenate(columns, axis=1) if columns else np.zeros((len(counts), 0))
    term_of_column = np.repeat(np.arange(len(terms)), [one.shape[1] for one in columns])
    nothing = np.zeros((design.shape[1], outcomes))
    return JointPredictor(tuple(terms), outcomes, intercept, design, term_of_column.astype(np.int64), nothing, nothing)
