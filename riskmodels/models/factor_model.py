"""Posterior density of a factor model of joint answers, with its gradient: predictor, loadings, quadrature together.

Loadings have independent normal priors, which no rotation of the factors changes, so neither does the order of the
risks. Rotations are removed by two anchors: the first loads on the first factor only, the second on both, and the prior
of the anchors' loadings is that of the triangular part of the full matrix (a chi variable with 2 and with 1 degrees of
freedom). Signs are fixed afterwards: no result but the loadings depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.factor_likelihood import FactorLikelihood, factor_likelihood
from riskmodels.models.joint_predictor import JointPredictor, joint_predictor
from riskmodels.models.priors import Prior

FloatArray = npt.NDArray[np.float64]

#: Prior of a loading where there is one factor; with two, both together say as much.
LOADING = Prior(
    "normal",
    location=0.0,
    scale=1.5,
    reason="two risks with loadings of 1.5 have a tetrachoric correlation of about 0.4; 3 gives 0.7",
)


@dataclass(frozen=True, eq=False)
class FactorModel:
    """Density of ``[parameters of the predictor, loadings]``.

    Parameters
    ----------
    predictor, likelihood
        Its parts.
    risks, factors
        Sizes.
    anchors
        Risks whose loadings are triangular; empty while all are free.
    """

    predictor: JointPredictor
    likelihood: FactorLikelihood
    risks: int
    factors: int
    anchors: tuple[int, ...] = ()

    @property
    def free(self) -> npt.NDArray[np.bool_]:
        """Loadings that are not zero by definition, shape (risks, factors)."""
        free = np.ones((self.risks, self.factors), dtype=bool)
        if self.anchors:
            free[self.anchors[0], 1:] = False
        return free

    def loadings(self, x: FloatArray) -> FloatArray:
        """Loadings of parameters of shape (..., size), shape (..., risks, factors)."""
        found = np.zeros((*x.shape[:-1], self.risks, self.factors))
        found[..., self.free] = x[..., self.predictor.size :]
        return found

    def signed_loadings(self, x: FloatArray) -> FloatArray:
        """Loadings with those of the anchors positive."""
        found = self.loadings(x)
        for factor, anchor in enumerate(self.anchors):
            found[..., factor] *= np.where(found[..., anchor, factor] < 0, -1.0, 1.0)[..., None]
        return found

    def density(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior up to a constant, and its gradient."""
        loadings = self.loadings(x)
        slopes = {}

        def given(logits: FloatArray) -> tuple[float, FloatArray]:
            value, (by_logit, slopes["loading"]) = self.likelihood.density_and_gradient(logits, loadings)
            return value, by_logit

        value, gradient = self.predictor.density_and_gradient(x[: self.predictor.size], given)
        variance = float(LOADING.scale or 1.0) ** 2 / self.factors
        slope = slopes["loading"] - loadings / variance
        value -= 0.5 * float((loadings**2).sum()) / variance
        if self.anchors and self.factors == 2:
            corner = loadings[self.anchors[0], 0]
            value += float(np.log(abs(corner))) if corner else -np.inf
            slope[self.anchors[0], 0] += 1 / corner if corner else 0.0
        return value, np.concatenate([gradient, slope[self.free]])

    def with_predictor(self, predictor: JointPredictor) -> FactorModel:
        """The same with the predictor in other coordinates."""
        return replace(self, predictor=predictor)

    def anchored(self, x: FloatArray) -> tuple[FactorModel, FloatArray]:
        """Choose anchors that tell the factors apart at `x`; the model with them, and the same place in it."""
        loadings = self.loadings(x)
        lengths = np.linalg.norm(loadings, axis=1)
        if self.factors == 1:
            return replace(self, anchors=(int(lengths.argmax()),)), x
        area = np.abs(np.outer(loadings[:, 0], loadings[:, 1]) - np.outer(loadings[:, 1], loadings[:, 0]))
        one, other = (int(k) for k in np.unravel_index(int(area.argmax()), area.shape))
        anchors = (one, other) if lengths[one] >= lengths[other] else (other, one)
        q, _ = np.linalg.qr(loadings[list(anchors)].T)
        turned = loadings @ q
        turned *= np.where(np.diag(turned[list(anchors)]) < 0, -1.0, 1.0)
        model = replace(self, anchors=anchors)
        return model, np.concatenate([x[: self.predictor.size], turned[model.free]])


def factor_model(counts: JointCounts, spec: CooccurrenceSpec, step: float | None = None) -> FactorModel:
    """Write a factor model of joint answers.

    Parameters
    ----------
    counts, spec
        Data and model.
    step
        As in `quadrature`.
    """
    risks = len(counts.risks)
    predictor = joint_predictor(counts, spec, risks, spec.prior_set.intercept)
    return FactorModel(predictor, factor_likelihood(counts, spec.factors, step), risks, spec.factors)


def starting_point(model: FactorModel, counts: JointCounts, seed: int) -> FloatArray:
    """Observed log odds, no differences between cells, loadings near 1 with a little noise that breaks symmetry."""
    x = np.zeros(model.predictor.size + model.risks * model.factors)
    known = ((counts.answers != UNKNOWN) * counts.count[:, None]).sum(axis=0)
    yes = ((counts.answers == 1) * counts.count[:, None]).sum(axis=0)
    terms = len(model.predictor.terms)
    x[terms : terms + model.risks] = np.log((yes + 0.5) / (known - yes + 0.5))
    noise = np.random.default_rng([seed, 11]).normal(size=(model.risks, model.factors))
    x[model.predictor.size :] = (1 / model.factors + 0.5 * noise).ravel()
    return x
