"""Posterior density of latent classes of joint answers, with its gradient; classes are summed out, never drawn.

``P(answers | cell) = sum_k share[cell, k] prod_j p[k, j]^yes (1 - p[k, j])^no``. Shares are a softmax of class logits that
sum to zero over the classes, moved by the partially pooled effects of country and subgroups; risk probabilities of a
class are those of all countries. Priors do not depend on how classes are numbered.

References
----------
Lazarsfeld & Henry 1968, Latent structure analysis (the model); Stephens 2000, JRSS B 62, 795-809 (labels).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models.blocks import zero_sum_basis
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_predictor import JointPredictor, joint_predictor, log_prior_and_slope
from riskmodels.models.priors import Prior

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Log odds of a risk within a class.
WITHIN = Prior("normal", location=-1.0, scale=2.0, reason="within a class a risk may concern 1 % or 95 % of children")
#: Class logits at the centre of all levels, in directions that sum to zero.
SHARE = Prior("normal", location=0.0, scale=1.5, reason="a class may hold 1 % or 90 % of children")


@dataclass(frozen=True, eq=False)
class ClassModel:
    """Density of ``[parameters of the predictor, log odds of every risk in every class]``.

    Parameters
    ----------
    predictor
        Of the class logits, in classes - 1 directions that sum to zero.
    classes, risks
        Sizes.
    count, row_cell, row_answers
        Of every row: effective children, its cell, its place in `yes` and `no`.
    yes, no
        Different combinations of answers, 0 or 1; both 0 where an answer is not known.
    """

    predictor: JointPredictor
    classes: int
    risks: int
    count: FloatArray
    row_cell: IntArray
    row_answers: IntArray
    yes: FloatArray
    no: FloatArray

    @cached_property
    def basis(self) -> FloatArray:
        """Directions of class logits, shape (classes, classes - 1)."""
        return zero_sum_basis(self.classes)

    def shares(self, x: FloatArray) -> FloatArray:
        """Class shares of every cell, shape (..., cells, classes)."""
        logits = self.predictor.predictors(x[..., : self.predictor.size]) @ self.basis.T
        return np.asarray(special.softmax(logits, axis=-1))

    def within(self, x: FloatArray) -> FloatArray:
        """P(risk | class), shape (..., classes, risks)."""
        logits = x[..., self.predictor.size :].reshape(*x.shape[:-1], self.classes, self.risks)
        return np.asarray(special.expit(logits))

    def density(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior up to a constant, and its gradient."""
        size = self.predictor.size
        logits = x[size:].reshape(self.classes, self.risks)
        no_risk = -np.logaddexp(0.0, logits)
        of_answers = np.exp(self.yes @ (logits + no_risk).T + self.no @ no_risk.T)
        slopes = {}

        def given(eta: FloatArray) -> tuple[float, FloatArray]:
            share = special.softmax(eta @ self.basis.T, axis=1)
            joint = share[self.row_cell] * of_answers[self.row_answers]
            probability = joint.sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                value = float(self.count @ np.log(probability))
                belongs = joint * (self.count / probability)[:, None]
            by_cell = _sums(self.row_cell, belongs, len(share))
            slopes["answers"] = _sums(self.row_answers, belongs, len(of_answers))
            return value, (by_cell - by_cell.sum(axis=1, keepdims=True) * share) @ self.basis

        value, gradient = self.predictor.density_and_gradient(x[:size], given)
        p = np.exp(logits + no_risk)
        slope = (slopes["answers"].T @ self.yes) * (1 - p) - (slopes["answers"].T @ self.no) * p
        prior, prior_slope = log_prior_and_slope(WITHIN, x[size:])
        return value + prior, np.concatenate([gradient, slope.ravel() + prior_slope])

    def with_predictor(self, predictor: JointPredictor) -> ClassModel:
        """The same with the predictor in other coordinates."""
        return replace(self, predictor=predictor)

    def renumbered(self, x: FloatArray, order: IntArray) -> FloatArray:
        """The same place with classes in another order, in non-centred coordinates."""
        turn = self.basis.T @ self.basis[order]
        zeta, intercepts, z = self.predictor.parts(x[: self.predictor.size])
        within = x[self.predictor.size :].reshape(self.classes, self.risks)[order]
        return np.concatenate([zeta, turn @ intercepts, (z @ turn.T).ravel(), within.ravel()])


def _sums(groups: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sums of rows by group, shape (size, columns)."""
    return np.stack([np.bincount(groups, column, size) for column in values.T], axis=1)


def class_model(counts: JointCounts, spec: CooccurrenceSpec) -> ClassModel:
    """Write a latent class model of joint answers.

    Parameters
    ----------
    counts, spec
        Data and model.
    """
    predictor = joint_predictor(counts, spec, spec.classes - 1, SHARE)
    answers, row_answers = np.unique(counts.answers, axis=0, return_inverse=True)
    return ClassModel(
        predictor=predictor,
        classes=spec.classes,
        risks=len(counts.risks),
        count=counts.count,
        row_cell=counts.cell,
        row_answers=row_answers.astype(np.int64),
        yes=(answers == 1).astype(float),
        no=(answers == 0).astype(float),
    )


def class_starts(model: ClassModel, counts: JointCounts, seed: int, how_many: int) -> list[FloatArray]:
    """Random places to climb from: observed log odds, shifted by class and noise."""
    known = ((counts.answers != UNKNOWN) * counts.count[:, None]).sum(axis=0)
    yes = ((counts.answers == 1) * counts.count[:, None]).sum(axis=0)
    observed = np.log((yes + 0.5) / (known - yes + 0.5))
    rng = np.random.default_rng([seed, 12])
    starts = []
    for _ in range(how_many):
        x = np.zeros(model.predictor.size + model.classes * model.risks)
        level = np.linspace(-1.0, 2.0, model.classes)[:, None]
        x[model.predictor.size :] = (observed + level + rng.normal(size=(model.classes, model.risks))).ravel()
        starts.append(x)
    return starts


def matched_classes(within: FloatArray, pivot: FloatArray) -> IntArray:
    """Order of the classes of every draw in which they resemble those of a pivot most, shape (draws, classes).

    Parameters
    ----------
    within
        P(risk | class), shape (draws, classes, risks).
    pivot
        The same of the pivot, shape (classes, risks).
    """
    distance = ((within[:, None, :, :] - pivot[None, :, None, :]) ** 2).sum(axis=-1)
    return np.array([optimize.linear_sum_assignment(one)[1] for one in distance], dtype=np.int64)


def class_margins(shares: FloatArray, within: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P(risk), P(both of a pair), P(exactly k) of every draw and cell.

    Parameters
    ----------
    shares, within
        Draws, shapes (draws, cells, classes) and (draws, classes, risks).
    """
    risks = within.shape[-1]
    first, second = np.triu_indices(risks, 1)
    number = np.zeros((*within.shape[:2], risks + 1))
    number[..., 0] = 1.0
    for j in range(risks):
        p = within[..., j, None]
        number[..., 1:] += p * (number[..., :-1] - number[..., 1:])
        number[..., 0] *= 1 - p[..., 0]
    return shares @ within, shares @ (within[..., first] * within[..., second]), shares @ number


def class_patterns(shares: FloatArray, within: FloatArray, has: FloatArray) -> FloatArray:
    """Probabilities of all combinations of answers, shape (cells, 2^risks, draws).

    Parameters
    ----------
    shares, within
        As in `class_margins`.
    has
        From `has_risk`.
    """
    with np.errstate(divide="ignore"):
        of_class = np.exp(np.log(within) @ has.T + np.log1p(-within) @ (1 - has).T)
    return np.moveaxis(shares @ of_class, 0, -1)
