"""Effects given hyperparameters: the mode of their log-concave density and its curvature, for many draws at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.fit.laplace.arrow import Arrow, factorise
from riskmodels.models.cell_likelihood import CellLikelihood
from riskmodels.models.hyperparameters import hyper_values, log_hyper_prior
from riskmodels.models.latent import (
    LatentGaussian,
    likelihood_given,
    own_root,
    shared_scale,
)

FloatArray = npt.NDArray[np.float64]

#: Largest change of a logit in one Newton step.
LONGEST_STEP = 3.0
#: Newton steps end when the log density has no more than this left to gain, before the step just made.
ENOUGH = 0.05


@dataclass(frozen=True, eq=False)
class Sized:
    """What hyperparameters decide: the likelihood, and prior mean (G,), scale (G, draws), root (B, B, draws) of effects."""

    mean: FloatArray
    scale: FloatArray
    root: FloatArray
    likelihood: CellLikelihood

    def take(self, draws: npt.NDArray[np.bool_]) -> Sized:
        """Only some of the draws."""
        return Sized(self.mean, self.scale[:, draws], self.root[..., draws], self.likelihood.take(draws))


def sized(latent: LatentGaussian, zeta: FloatArray) -> Sized:
    """Size the effects by hyperparameters at unconstrained coordinates, shape (dimension, draws)."""
    values = hyper_values(latent.hypers, zeta)
    mean, scale = shared_scale(latent, values, zeta.shape[-1])
    root = own_root(latent, values, zeta.shape[-1])
    return Sized(mean=mean, scale=scale, root=root, likelihood=likelihood_given(latent, values))


def logits(latent: LatentGaussian, size: Sized, h: FloatArray, v: FloatArray, *, plain: bool = False) -> FloatArray:
    """Logits that the likelihood reads (or the plain ones), shape (countries, places, draws)."""
    g = size.mean[:, None] + size.scale * h
    u = np.einsum("bks,kcs->cbs", size.root, v)
    if plain:
        return np.asarray(latent.plain_shared @ g + latent.plain_own @ u)
    return np.asarray(latent.offset[..., None] + latent.shared @ g + latent.own @ u)


class Curvature:
    """Information of the likelihood in the blocks of the arrow; products of design columns are formed once."""

    def __init__(self, latent: LatentGaussian) -> None:
        self.shared_width, self.own_width = latent.shared.shape[-1], latent.own.shape[-1]
        both = np.concatenate([latent.shared, latent.own], axis=-1)
        self.first, self.second = np.tril_indices(both.shape[-1])
        self.products = np.ascontiguousarray((both[..., self.first] * both[..., self.second]).transpose(0, 2, 1))

    def blocks(self, weight: FloatArray, size: Sized) -> Arrow:
        """Factorised precision of (h, v) when every cell's logit has this information, shape (countries, places, draws)."""
        entries = self.products @ weight
        width, shared_width = self.shared_width + self.own_width, self.shared_width
        full = np.empty((width, width, *entries.shape[::2]))
        moved = entries.transpose(1, 0, 2)
        full[self.first, self.second] = moved
        full[self.second, self.first] = moved
        top = full[:shared_width, :shared_width].sum(axis=2) * size.scale[:, None] * size.scale[None]
        top[np.arange(shared_width), np.arange(shared_width)] += 1
        link = np.einsum("kbs,kgcs->bgcs", size.root, full[shared_width:, :shared_width]) * size.scale[None, :, None]
        half = np.einsum("klcs,lbs->kbcs", full[shared_width:, shared_width:], size.root)
        own = np.einsum("kas,kbcs->abcs", size.root, half)
        own[np.arange(self.own_width), np.arange(self.own_width)] += 1
        return factorise(top, link, own)


@dataclass(frozen=True, eq=False)
class Conditional:
    """Normal approximation of the effects given hyperparameters: centre, factorised precision, log marginal density.

    Parameters
    ----------
    zeta
        Unconstrained hyperparameters, shape (dimension, draws).
    size
        Prior sizes there.
    h, v
        Centre.
    arrow
        Precision.
    log_marginal
        Laplace approximation of the log density of the hyperparameters given the counts, up to a constant.
    last_step
        Longest change of a logit in the last Newton step.
    """

    zeta: FloatArray
    size: Sized
    h: FloatArray
    v: FloatArray
    arrow: Arrow
    log_marginal: FloatArray
    last_step: FloatArray

    def take(self, draws: npt.NDArray[np.bool_]) -> Conditional:
        """Only some of the draws."""
        return Conditional(
            self.zeta[:, draws],
            self.size.take(draws),
            self.h[:, draws],
            self.v[..., draws],
            self.arrow.take(draws),
            self.log_marginal[draws],
            self.last_step[draws],
        )


def _first_step(
    latent: LatentGaussian, curvature: Curvature, size: Sized, eta: FloatArray
) -> tuple[Arrow, FloatArray, FloatArray]:
    """Weighted least squares for the effects at given logits (countries, places, 1): the first Newton step.

    It depends on the start only through its logits, so the information of the likelihood is the same for all draws
    (unless the likelihood has hyperparameters of its own).
    """
    slope, information = size.likelihood.slope_and_information(eta)
    arrow = curvature.blocks(information, size)
    working = slope + information * (eta - latent.offset[..., None] - (latent.shared @ size.mean)[..., None])
    pull_shared = size.scale * np.einsum("cmg,cms->gs", latent.shared, working)
    pull_own = np.einsum("kbs,kcs->bcs", size.root, np.einsum("cmk,cms->kcs", latent.own, working))
    return arrow, *arrow.solve(pull_shared, pull_own)


def condition(
    latent: LatentGaussian, curvature: Curvature, zeta: FloatArray, start: FloatArray, steps: int
) -> Conditional:
    """Find the mode of the effects at each draw of hyperparameters by Newton steps.

    Parameters
    ----------
    zeta
        Shape (dimension, draws).
    start
        Logits to start from, the same for all draws, shape (countries, places, 1).
    steps
        Newton steps at most; they end earlier where nothing is left to gain. What little is left, importance weights
        repair.
    """
    size = sized(latent, zeta)
    arrow, h, v = _first_step(latent, curvature, size, start)
    eta = logits(latent, size, h, v)
    longest = np.abs(eta - start).max(axis=(0, 1))
    for _ in range(steps - 1):
        slope, information = size.likelihood.slope_and_information(eta)
        arrow = curvature.blocks(information, size)
        pull_shared = size.scale * np.einsum("cmg,cms->gs", latent.shared, slope) - h
        pull_own = np.einsum("kbs,kcs->bcs", size.root, np.einsum("cmk,cms->kcs", latent.own, slope)) - v
        step_h, step_v = arrow.solve(pull_shared, pull_own)
        proposed = logits(latent, size, h + step_h, v + step_v)
        longest = np.abs(proposed - eta).max(axis=(0, 1))
        shrink = np.minimum(1.0, LONGEST_STEP / np.maximum(longest, 1e-300))
        h, v = h + shrink * step_h, v + shrink * step_v
        eta = eta + shrink * (proposed - eta)
        decrement = (pull_shared * step_h).sum(axis=0) + (pull_own * step_v).sum(axis=(0, 1))
        if np.nanmax(np.where(shrink < 1, np.inf, decrement)) < ENOUGH:
            break
    log_marginal = (
        log_hyper_prior(latent.hypers, zeta)
        + size.likelihood.log_density(eta).sum(axis=0)
        - 0.5 * (h**2).sum(axis=0)
        - 0.5 * (v**2).sum(axis=(0, 1))
        - 0.5 * arrow.log_determinant
    )
    return Conditional(zeta=zeta, size=size, h=h, v=v, arrow=arrow, log_marginal=log_marginal, last_step=longest)
