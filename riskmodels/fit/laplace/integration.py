"""Effects integrated out by importance: country by country where they are loosely linked, all at once where not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.fit.laplace.arrow import backward, cholesky, forward, log_determinant
from riskmodels.fit.laplace.conditional import Conditional, condition, logits
from riskmodels.fit.laplace.explored import Explored
from riskmodels.fit.laplace.heavy_tails import heavy_normals, heavy_radius, log_heavy
from riskmodels.fit.laplace.hyperposterior import SplitT
from riskmodels.models.hyperparameters import log_hyper_prior
from riskmodels.models.latent import LatentGaussian

FloatArray = npt.NDArray[np.float64]

#: Draws of every country's effects per draw of everything else.
INNER_DRAWS = 4
#: Draws of all effects together, where countries are too strongly linked to be integrated one by one.
JOINT_DRAWS = 8
#: Expected loss in the log weight through the link between countries from which they are integrated together.
STRONG_LINK = 0.1


class Outer:
    """Proposal of the shared effects at some draws of hyperparameters, and where the countries' effects are expected then."""

    def __init__(self, at: Conditional, absorb: FloatArray) -> None:
        arrow, draws = at.arrow, at.zeta.shape[1]
        width, countries = at.h.shape[0], at.v.shape[1]
        self.at, self.countries = at, countries
        self.carry = np.einsum("gk,kbs->gbs", absorb, at.size.root) / at.size.scale[:, None]
        free = backward(
            arrow.shared, forward(arrow.shared, np.broadcast_to(np.eye(width)[:, :, None], (width, width, draws)))
        )
        tied = forward(arrow.sums, arrow.pull_shared.transpose(1, 0, 2))
        covariance = (
            free - np.einsum("bgs,bhs->ghs", tied, tied) + np.einsum("gbs,hbs->ghs", self.carry, self.carry) / countries
        )
        self.root = cholesky(covariance)
        inverse_root = forward(arrow.own, np.broadcast_to(np.eye(len(arrow.own))[:, :, None, None], arrow.own.shape))
        self.inverse = np.einsum("kbcs,kdcs->bdcs", inverse_root, inverse_root)
        self.total = self.inverse.sum(axis=2)
        self.square = np.einsum("gbs,gds->bds", self.carry, self.carry)
        self.left = (
            np.eye(len(self.total))[:, :, None] + np.einsum("bks,kds->bds", self.total, self.square) / countries**2
        ).transpose(2, 0, 1)

    def move(self, noise: FloatArray) -> Moved:
        """Shared effects at standardised noise of shape (G, draws), and the quadratic of the arrow solved for the countries."""
        at, countries = self.at, self.countries
        step = np.einsum("ghs,hs->gs", self.root, noise)
        log_proposal = log_heavy((noise**2).sum(axis=0), len(noise)) - 0.5 * log_determinant(self.root)
        shared = at.h + step
        response = backward(at.arrow.own, np.einsum("bgcs,gs->bcs", at.arrow.link, step))
        toward = np.einsum("gbs,gs->bs", self.carry, step)
        right = -(response.sum(axis=1) / countries + np.einsum("bks,ks->bs", self.total, toward) / countries**2)
        mean = np.linalg.solve(self.left, right.T[..., None])[..., 0].T
        expected = shared + np.einsum("gbs,bs->gs", self.carry, mean)
        pull = np.einsum("gbs,gs->bs", self.carry, expected)
        shift = toward + np.einsum("bds,ds->bs", self.square, mean)
        centre = at.v - response - np.einsum("bdcs,ds->bcs", self.inverse, shift) / countries
        log_link = -0.5 * (expected**2).sum(axis=0) + np.einsum("bs,bs->s", pull, mean)
        return Moved(shared=shared, centre=centre, mean=mean, pull=pull, log_link=log_link, log_proposal=log_proposal)


@dataclass(frozen=True, eq=False)
class Moved:
    """Shared effects drawn, and what follows for the countries.

    Parameters
    ----------
    shared
        ``h'``, shape (G, draws).
    centre
        Expected ``w_c``, shape (B, C, draws).
    mean
        Its mean over the countries, shape (B, draws).
    pull
        First-order coefficient of the link, shared out to the countries, shape (B, draws).
    log_link
        The link at `mean`, with what its expansion left out.
    log_proposal
        Log density of the proposal of ``h'``.
    """

    shared: FloatArray
    centre: FloatArray
    mean: FloatArray
    pull: FloatArray
    log_link: FloatArray
    log_proposal: FloatArray


def _integrate_countries(
    latent: LatentGaussian, at: Conditional, moved: Moved, noise: FloatArray, uniform: FloatArray, share: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Unbiased estimate of every country's likelihood, and one draw of its effects kept in proportion to its weight.

    Parameters
    ----------
    noise
        Standardised noise, shape (pairs, B, C, draws); each is used with both signs.
    uniform
        Decides which draw is kept, shape (C, draws).

    Returns
    -------
    tuple
        Sum of the logs over countries, shape (draws,); effects ``w``, shape (B, C, draws).
    """
    count, countries = 2 * len(noise), len(uniform)
    shared = latent.offset[..., None] + latent.shared @ (at.size.mean[:, None] + at.size.scale * moved.shared)
    middle = shared + latent.own @ np.einsum("bks,kcs->cbs", at.size.root, moved.centre)
    log_density = -0.5 * log_determinant(at.arrow.own)
    log_weight, effects = np.empty((count, *uniform.shape)), np.empty((count, *moved.centre.shape))
    for pair, own_noise in enumerate(noise):
        log_noise = log_heavy((own_noise**2).sum(axis=0), len(own_noise), share[:, None])
        step = backward(at.arrow.own, own_noise)
        change = latent.own @ np.einsum("bks,kcs->cbs", at.size.root, step)
        for side, sign in enumerate((1.0, -1.0)):
            w = moved.centre + sign * step
            prior = -0.5 * (w**2).sum(axis=0) - np.einsum("bs,bcs->cs", moved.pull, w) / countries
            log_weight[2 * pair + side] = (
                at.size.likelihood.log_density(middle + sign * change) + prior - log_noise + log_density
            )
            effects[2 * pair + side] = w
    top = log_weight.max(axis=0)
    weight = np.exp(log_weight - top)
    total = weight.sum(axis=0)
    kept = (np.cumsum(weight, axis=0) < uniform * total).sum(axis=0)
    chosen = np.take_along_axis(effects, np.minimum(kept, count - 1)[None, None], axis=0)[0]
    return (np.log(total / count) + top).sum(axis=0), chosen


Batch = tuple[FloatArray, FloatArray, FloatArray]


def by_country(explored: Explored, at: Conditional, outer: Outer, rng: np.random.Generator) -> Batch:
    """Mirrored pairs with each country integrated by itself: (G, 2, draws), (B, C, 2, draws), log weights (2, draws)."""
    latent, draws = explored.latent, at.zeta.shape[1]
    noise = heavy_normals(rng, (explored.shared_width, draws))
    own_noise = np.stack(
        [
            heavy_normals(rng, (explored.own_width, explored.countries, draws), explored.share[:, None])
            for _ in range(INNER_DRAWS // 2)
        ]
    )
    uniform = rng.uniform(size=(explored.countries, draws))
    parts = []
    for sign in (1.0, -1.0):
        moved = outer.move(sign * noise)
        log_countries, w = _integrate_countries(latent, at, moved, sign * own_noise, uniform, explored.share)
        mean = w.mean(axis=1)
        remainder = -0.5 * (np.einsum("gbs,bs->gs", outer.carry, mean - moved.mean) ** 2).sum(axis=0)
        log_weight = log_countries + moved.log_link + remainder - moved.log_proposal
        parts.append((moved.shared + np.einsum("gbs,bs->gs", outer.carry, mean), w - mean[:, None], log_weight))
    h, v, log_weights = (np.stack([part[k] for part in parts], axis=-2) for k in range(3))
    return h, v, log_weights


def jointly(explored: Explored, at: Conditional, rng: np.random.Generator) -> Batch:
    """The same with all effects integrated at once: exact however strongly the countries are linked."""
    latent, draws, pairs = explored.latent, at.zeta.shape[1], JOINT_DRAWS // 2
    log_weight, h, v = (
        np.empty((2 * pairs, draws)),
        np.empty((2 * pairs, *at.h.shape)),
        np.empty((2 * pairs, *at.v.shape)),
    )
    size = explored.shared_width + explored.own_width * (explored.countries - 1)
    constant = 0.5 * (at.arrow.log_determinant - explored.own_width * np.log(explored.countries))
    for pair in range(pairs):
        radius = heavy_radius(rng, (draws,))
        step_h, step_v, square = at.arrow.spread(
            rng.standard_normal(at.h.shape) / radius, rng.standard_normal(at.v.shape) / radius
        )
        log_noise = log_heavy(square, size)
        for side, sign in enumerate((1.0, -1.0)):
            place = 2 * pair + side
            h[place], v[place] = at.h + sign * step_h, at.v + sign * step_v
            prior = -0.5 * (h[place] ** 2).sum(axis=0) - 0.5 * (v[place] ** 2).sum(axis=(0, 1))
            log_weight[place] = (
                at.size.likelihood.log_density(logits(latent, at.size, h[place], v[place])).sum(axis=0)
                + prior
                - log_noise
                - constant
            )
    top = log_weight.max(axis=0)
    weight = np.exp(log_weight - top)
    uniform = rng.uniform(size=draws) * weight.sum(axis=0)
    mirrored = np.arange(2 * pairs).reshape(-1, 2)[:, ::-1].ravel()
    kept = np.minimum((np.cumsum(weight, axis=0) < uniform).sum(axis=0), 2 * pairs - 1)
    image = mirrored[np.minimum((np.cumsum(weight[mirrored], axis=0) < uniform).sum(axis=0), 2 * pairs - 1)]
    every, total = np.arange(draws), np.log(weight.mean(axis=0)) + top
    return (
        np.stack([np.moveaxis(h[k, :, every], 0, -1) for k in (kept, image)], axis=-2),
        np.stack([np.moveaxis(v[k, :, :, every], 0, -1) for k in (kept, image)], axis=-2),
        np.stack([total, total]),
    )


def weighted_batch(explored: Explored, proposal: SplitT, zeta: FloatArray, rng: np.random.Generator) -> Batch:
    """Mirrored pairs for some draws of hyperparameters, each by the way that suits how strongly countries are linked."""
    latent = explored.latent
    at = condition(latent, explored.curvature, zeta, explored.start, 8)
    outer = Outer(at, explored.absorb)
    linked = 0.5 * np.einsum("bds,dbs->s", outer.square, outer.total) / explored.countries**2 > STRONG_LINK
    fixed = log_hyper_prior(latent.hypers, zeta) - proposal.log_density(zeta)
    if not linked.any():
        h, v, log_weights = by_country(explored, at, outer, rng)
        return h, v, log_weights + fixed
    h, v, log_weights = jointly(explored, at.take(linked), rng)
    full = (np.empty((*h.shape[:-1], len(linked))), np.empty((*v.shape[:-1], len(linked))), np.empty((2, len(linked))))
    parts = [(linked, (h, v, log_weights))]
    if not linked.all():
        loose = at.take(~linked)
        parts.append((~linked, by_country(explored, loose, Outer(loose, explored.absorb), rng)))
    for where, values in parts:
        for target, value in zip(full, values, strict=True):
            target[..., where] = value
    return full[0], full[1], full[2] + fixed
