"""Likelihoods of effective counts: log density per cell, not restricted to whole numbers."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from riskmodels.design.dependence import Dependence
from riskmodels.models.effects import put_prior
from riskmodels.models.priors import Prior


def rotate_for_shared_children(eta: TensorVariable, dependence: Dependence | None) -> TensorVariable:
    """Read the logits so that items answered by the same children count these children once."""
    if dependence is None:
        return eta
    anchor = pm.Data("anchor", dependence.anchor, dims="cell")
    rotation = pm.Data("rotation", dependence.rotation)
    step = (eta - anchor)[dependence.member]
    turned = pt.sum(rotation * step[:, None, :], axis=-1)
    return anchor + turned.flatten()[dependence.place]


def _log_binomial(yes: TensorVariable, n: TensorVariable, eta: TensorVariable) -> TensorVariable:
    return yes * eta - n * pt.softplus(eta)


def _draw_binomial(
    n: np.ndarray, eta: np.ndarray, rng: np.random.Generator, size: tuple[int, ...] | None = None
) -> np.ndarray:
    """Replicate counts: whole binomial draws on the rounded-up n, scaled back to the effective n."""
    whole = np.maximum(np.ceil(n), 1)
    p = 1 / (1 + np.exp(-eta))
    return np.asarray(rng.binomial(whole.astype(int), p, size=size) * (n / whole), dtype=float)


def binomial(yes: np.ndarray, n: np.ndarray, eta: TensorVariable) -> TensorVariable:
    """Binomial on effective counts: ``y eta - n log(1 + exp(eta))``, defined for any 0 <= y <= n."""
    base = pm.Data("n_effective", n, dims="cell")
    observed = pm.Data("yes_effective", yes, dims="cell")
    return pm.CustomDist(
        "affected",
        base,
        eta,
        logp=_log_binomial,
        random=_draw_binomial,
        observed=observed,
        dims="cell",
        signature="(),()->()",
    )


def beta_binomial(yes: np.ndarray, n: np.ndarray, eta: TensorVariable, overdispersion: Prior) -> TensorVariable:
    """Beta-binomial on effective counts; `overdispersion` is the correlation between children of one cell."""
    base = pm.Data("n_effective", n, dims="cell")
    observed = pm.Data("yes_effective", yes, dims="cell")
    correlation = put_prior("overdispersion", overdispersion)
    size = 1 / correlation - 1

    def log_density(
        y: TensorVariable, n_: TensorVariable, eta_: TensorVariable, size_: TensorVariable
    ) -> TensorVariable:
        a, b = size_ * pt.sigmoid(eta_), size_ * pt.sigmoid(-eta_)
        return (
            pt.gammaln(y + a)
            + pt.gammaln(n_ - y + b)
            - pt.gammaln(n_ + size_)
            - pt.gammaln(a)
            - pt.gammaln(b)
            + pt.gammaln(size_)
        )

    def draw(
        n_: np.ndarray,
        eta_: np.ndarray,
        size_: np.ndarray,
        rng: np.random.Generator,
        size: tuple[int, ...] | None = None,
    ) -> np.ndarray:
        p = 1 / (1 + np.exp(-eta_))
        drawn = rng.beta(np.maximum(size_ * p, 1e-8), np.maximum(size_ * (1 - p), 1e-8))
        return _draw_binomial(n_, np.log(drawn / (1 - drawn)), rng, size)

    return pm.CustomDist(
        "affected",
        base,
        eta,
        size,
        logp=log_density,
        random=draw,
        observed=observed,
        dims="cell",
        signature="(),(),()->()",
    )
