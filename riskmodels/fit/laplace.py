"""The fast engine: Laplace approximation of the effects given the hyperparameters, made exact by importance weights.

1. The posterior of the hyperparameters is explored on its Laplace approximation (`fit/hyperposterior.py`) and drawn
   from a proposal shaped like it.
2. For each draw, the shared effects are drawn from their normal approximation (`fit/conditional.py`), twice: a draw
   and its mirror image, whose errors cancel in means.
3. Given both, countries are independent but for one weak link (below). Each country's likelihood, integrated over its
   own effects, is estimated without bias from a few antithetic draws of its normal approximation, and one of these is
   kept in proportion to its weight. The weight of the whole draw is the product of these estimates against the
   proposal, so its variance does not grow as it would with one joint weight over all countries.

The link: country effects sum to zero over countries. With free effects ``w_c`` (independent standard normals) and
their mean ``a``, ``v_c = w_c - a`` sum to zero, and the likelihood does not change when ``a`` moves into the shared
effects, ``h' = h - T a``. Given ``h'`` the ``w_c`` then meet only in the prior of ``h = h' + T a``. Its expansion to
first order around the expected ``a`` is shared out to the countries; the remainder, bounded and close to one, enters
the final weight. Where a shared effect is nearly zero by its prior, the link is strong: there all effects are drawn
jointly, several times, and one draw is kept in the same way. Nothing is approximated in the end: every draw is weighted against the exact joint density.

References
----------
Rue, Martino & Chopin 2009, JRSS B 71, 319-392 (nested Laplace); Andrieu & Roberts 2009, Annals of Statistics 37,
697-725 (unbiased estimates inside weights); Vehtari et al. 2024, JMLR 25 (72) (Pareto smoothing).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special
from threadpoolctl import threadpool_limits

from riskmodels.errors import FitError
from riskmodels.fit import limits
from riskmodels.fit.arrow import backward, cholesky, forward, log_determinant
from riskmodels.fit.conditional import Conditional, Curvature, cell_log_likelihood, condition, log_likelihood, logits
from riskmodels.fit.hyperposterior import SplitT, find_mode, refitted, shape_around
from riskmodels.fit.weighting import effective_draws, smoothed_weights
from riskmodels.models.latent import LatentGaussian, log_hyper_prior

FloatArray = npt.NDArray[np.float64]

#: Draws of every country's effects per draw of everything else.
INNER_DRAWS = 4
#: Share and degrees of freedom of the heavy-tailed part of the effects' proposals: a normal alone is too light where
#: a cell has few cases.
HEAVY_SHARE = 0.15
HEAVY_DEGREES = 4.0
#: Draws of all effects together, where countries are too strongly linked to be integrated one by one.
JOINT_DRAWS = 8
#: Expected loss in the log weight through the link between countries from which they are integrated together.
STRONG_LINK = 0.1
#: Numbers in the largest array of one batch of draws: what stays in a processor's cache.
NUMBERS_AT_ONCE = 500_000


@dataclass(frozen=True, eq=False)
class LaplaceDraws:
    """Weighted draws in mirrored pairs, in standardised coordinates.

    Parameters
    ----------
    zeta
        Hyperparameters, shape (dimension, pairs).
    h, v
        Shared effects (G, 2, pairs) and country effects (B, C, 2, pairs).
    weights, pareto_k
        Smoothed weights that sum to one, shape (2, pairs), and their k-hat.
    rounds
        How many batches were drawn.
    """

    zeta: FloatArray
    h: FloatArray
    v: FloatArray
    weights: FloatArray
    pareto_k: float
    rounds: int

    @property
    def effective(self) -> float:
        """Least effective number of draws of any hyperparameter, centre or tails; pairs share them and count once."""
        weights = self.weights.sum(axis=0)
        overall = float(1 / (weights**2).sum())
        if not len(self.zeta):
            return overall
        _, tails, _ = effective_draws(self.zeta.T[None], weights[None], 0.05)
        return min(overall, float(np.min(tails)))


def heavy_radius(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """What divides standard normals so that a share `HEAVY_SHARE` of draws is Student-t: heavy tails as a defence."""
    radius = np.sqrt(rng.chisquare(HEAVY_DEGREES, shape) / HEAVY_DEGREES)
    return np.where(rng.uniform(size=shape) < HEAVY_SHARE, radius, 1.0)


def heavy_normals(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Such noise, shape (k, ..., draws), one radius per draw over the first axis."""
    return np.asarray(rng.standard_normal(shape) / heavy_radius(rng, shape[1:]))


def log_heavy(square: FloatArray, size: int) -> FloatArray:
    """Log density of that noise at squared length `square` in `size` dimensions, with the normal's constant left out.

    References
    ----------
    Hesterberg 1995, Technometrics 37, 185-194 (defensive mixtures).
    """
    constant = special.gammaln((HEAVY_DEGREES + size) / 2) - special.gammaln(HEAVY_DEGREES / 2) - 0.5 * size * np.log(HEAVY_DEGREES / 2)
    heavy = constant - 0.5 * (HEAVY_DEGREES + size) * np.log1p(square / HEAVY_DEGREES)
    return np.logaddexp(np.log1p(-HEAVY_SHARE) - 0.5 * square, np.log(HEAVY_SHARE) + heavy)


class _Posterior:
    """One latent model with what does not change between draws."""

    def __init__(self, latent: LatentGaussian) -> None:
        self.latent, self.curvature = latent, Curvature(latent)
        self.shared_width, self.own_width, self.countries = latent.shared.shape[-1], latent.own.shape[-1], latent.shared.shape[0]
        self.start = special.logit((latent.yes + 0.5) / (latent.n + 1))[..., None]
        self.absorb = _absorption(latent)
        self.batch = int(np.clip(NUMBERS_AT_ONCE // (self.countries * (self.shared_width + self.own_width) ** 2), 16, 256))
        self._settle(np.zeros((latent.dimension, 1)), 25)

    def _settle(self, zeta: FloatArray, steps: int) -> None:
        at = condition(self.latent, self.curvature, zeta, self.start, steps)
        if not (np.isfinite(at.log_marginal).all() and at.last_step.max() < 0.5):
            raise FitError("the mode of the effects was not found; check the cells, or use engine='nuts'")
        self.start = logits(self.latent, at.size, at.h, at.v)

    def log_marginal(self, zeta: FloatArray) -> FloatArray:
        """Laplace approximation of the log density of hyperparameters; hopeless points count as impossible."""
        parts = [condition(self.latent, self.curvature, zeta[:, at : at + self.batch], self.start, 5).log_marginal for at in range(0, zeta.shape[1], self.batch)]
        return np.nan_to_num(np.concatenate(parts), nan=-1e10, neginf=-1e10)

    def explore(self) -> SplitT:
        """Find the mode of the hyperparameters and the shape of their posterior around it."""
        mode = np.zeros(self.latent.dimension)
        for _ in range(2):
            mode = find_mode(self.log_marginal, mode)
            self._settle(mode[:, None], 10)
        return shape_around(self.log_marginal, mode)


def _absorption(latent: LatentGaussian) -> FloatArray:
    """How shared columns reproduce the columns of a country's effects, shape (G, B)."""
    cells = latent.n.size
    shared, own = latent.plain_shared.reshape(cells, -1), latent.plain_own.reshape(cells, latent.plain_own.shape[-1])
    found = np.linalg.lstsq(shared, own, rcond=None)[0]
    if own.size and np.abs(shared @ found - own).max() > 1e-8:
        raise FitError("an effect varies by country without its main effect in the model: use engine='nuts'")
    return np.asarray(found)


class _Outer:
    """Proposal of the shared effects at some draws of hyperparameters, and where the countries' effects are expected then."""

    def __init__(self, at: Conditional, absorb: FloatArray) -> None:
        arrow, draws = at.arrow, at.zeta.shape[1]
        width, countries = at.h.shape[0], at.v.shape[1]
        self.at, self.countries = at, countries
        self.carry = np.einsum("gk,kbs->gbs", absorb, at.size.root) / at.size.scale[:, None]
        free = backward(arrow.shared, forward(arrow.shared, np.broadcast_to(np.eye(width)[:, :, None], (width, width, draws))))
        tied = forward(arrow.sums, arrow.pull_shared.transpose(1, 0, 2))
        covariance = free - np.einsum("bgs,bhs->ghs", tied, tied) + np.einsum("gbs,hbs->ghs", self.carry, self.carry) / countries
        self.root = cholesky(covariance)
        inverse_root = forward(arrow.own, np.broadcast_to(np.eye(len(arrow.own))[:, :, None, None], arrow.own.shape))
        self.inverse = np.einsum("kbcs,kdcs->bdcs", inverse_root, inverse_root)
        self.total = self.inverse.sum(axis=2)
        self.square = np.einsum("gbs,gds->bds", self.carry, self.carry)
        self.left = (np.eye(len(self.total))[:, :, None] + np.einsum("bks,kds->bds", self.total, self.square) / countries**2).transpose(2, 0, 1)

    def move(self, noise: FloatArray) -> _Moved:
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
        return _Moved(shared=shared, centre=centre, mean=mean, pull=pull, log_link=log_link, log_proposal=log_proposal)


@dataclass(frozen=True, eq=False)
class _Moved:
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


def _integrate_countries(latent: LatentGaussian, at: Conditional, moved: _Moved, noise: FloatArray, uniform: FloatArray) -> tuple[FloatArray, FloatArray]:
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
        log_noise = log_heavy((own_noise**2).sum(axis=0), len(own_noise))
        step = backward(at.arrow.own, own_noise)
        change = latent.own @ np.einsum("bks,kcs->cbs", at.size.root, step)
        for side, sign in enumerate((1.0, -1.0)):
            w = moved.centre + sign * step
            prior = -0.5 * (w**2).sum(axis=0) - np.einsum("bs,bcs->cs", moved.pull, w) / countries
            log_weight[2 * pair + side] = cell_log_likelihood(latent, middle + sign * change) + prior - log_noise + log_density
            effects[2 * pair + side] = w
    top = log_weight.max(axis=0)
    weight = np.exp(log_weight - top)
    total = weight.sum(axis=0)
    kept = (np.cumsum(weight, axis=0) < uniform * total).sum(axis=0)
    chosen = np.take_along_axis(effects, np.minimum(kept, count - 1)[None, None], axis=0)[0]
    return (np.log(total / count) + top).sum(axis=0), chosen


_Batch = tuple[FloatArray, FloatArray, FloatArray]


def _by_country(posterior: _Posterior, at: Conditional, outer: _Outer, rng: np.random.Generator) -> _Batch:
    """Mirrored pairs with each country integrated by itself: (G, 2, draws), (B, C, 2, draws), log weights (2, draws)."""
    latent, draws = posterior.latent, at.zeta.shape[1]
    noise = heavy_normals(rng, (posterior.shared_width, draws))
    own_noise = np.stack([heavy_normals(rng, (posterior.own_width, posterior.countries, draws)) for _ in range(INNER_DRAWS // 2)])
    uniform = rng.uniform(size=(posterior.countries, draws))
    parts = []
    for sign in (1.0, -1.0):
        moved = outer.move(sign * noise)
        log_countries, w = _integrate_countries(latent, at, moved, sign * own_noise, uniform)
        mean = w.mean(axis=1)
        remainder = -0.5 * (np.einsum("gbs,bs->gs", outer.carry, mean - moved.mean) ** 2).sum(axis=0)
        log_weight = log_countries + moved.log_link + remainder - moved.log_proposal
        parts.append((moved.shared + np.einsum("gbs,bs->gs", outer.carry, mean), w - mean[:, None], log_weight))
    h, v, log_weights = (np.stack([part[k] for part in parts], axis=-2) for k in range(3))
    return h, v, log_weights


def _jointly(posterior: _Posterior, at: Conditional, rng: np.random.Generator) -> _Batch:
    """The same with all effects integrated at once: exact however strongly the countries are linked."""
    latent, draws, pairs = posterior.latent, at.zeta.shape[1], JOINT_DRAWS // 2
    log_weight, h, v = np.empty((2 * pairs, draws)), np.empty((2 * pairs, *at.h.shape)), np.empty((2 * pairs, *at.v.shape))
    size = posterior.shared_width + posterior.own_width * (posterior.countries - 1)
    constant = 0.5 * (at.arrow.log_determinant - posterior.own_width * np.log(posterior.countries))
    for pair in range(pairs):
        radius = heavy_radius(rng, (draws,))
        step_h, step_v, square = at.arrow.spread(rng.standard_normal(at.h.shape) / radius, rng.standard_normal(at.v.shape) / radius)
        log_noise = log_heavy(square, size)
        for side, sign in enumerate((1.0, -1.0)):
            place = 2 * pair + side
            h[place], v[place] = at.h + sign * step_h, at.v + sign * step_v
            prior = -0.5 * (h[place] ** 2).sum(axis=0) - 0.5 * (v[place] ** 2).sum(axis=(0, 1))
            log_weight[place] = log_likelihood(latent, logits(latent, at.size, h[place], v[place])) + prior - log_noise - constant
    top = log_weight.max(axis=0)
    weight = np.exp(log_weight - top)
    uniform = rng.uniform(size=draws) * weight.sum(axis=0)
    mirrored = np.arange(2 * pairs).reshape(-1, 2)[:, ::-1].ravel()
    kept = np.minimum((np.cumsum(weight, axis=0) < uniform).sum(axis=0), 2 * pairs - 1)
    image = mirrored[np.minimum((np.cumsum(weight[mirrored], axis=0) < uniform).sum(axis=0), 2 * pairs - 1)]
    every, total = np.arange(draws), np.log(weight.mean(axis=0)) + top
    return np.stack([np.moveaxis(h[k, :, every], 0, -1) for k in (kept, image)], axis=-2), np.stack([np.moveaxis(v[k, :, :, every], 0, -1) for k in (kept, image)], axis=-2), np.stack([total, total])


def _weighted_batch(posterior: _Posterior, proposal: SplitT, zeta: FloatArray, rng: np.random.Generator) -> _Batch:
    """Mirrored pairs for some draws of hyperparameters, each by the way that suits how strongly countries are linked."""
    latent = posterior.latent
    at = condition(latent, posterior.curvature, zeta, posterior.start, 8)
    outer = _Outer(at, posterior.absorb)
    linked = 0.5 * np.einsum("bds,dbs->s", outer.square, outer.total) / posterior.countries**2 > STRONG_LINK
    fixed = log_hyper_prior(latent, zeta) - proposal.log_density(zeta)
    if not linked.any():
        h, v, log_weights = _by_country(posterior, at, outer, rng)
        return h, v, log_weights + fixed
    h, v, log_weights = _jointly(posterior, at.take(linked), rng)
    full = (np.empty((*h.shape[:-1], len(linked))), np.empty((*v.shape[:-1], len(linked))), np.empty((2, len(linked))))
    parts = [(linked, (h, v, log_weights))]
    if not linked.all():
        loose = at.take(~linked)
        parts.append((~linked, _by_country(posterior, loose, _Outer(loose, posterior.absorb), rng)))
    for where, values in parts:
        for target, value in zip(full, values, strict=True):
            target[..., where] = value
    return full[0], full[1], full[2] + fixed


_Raw = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _raw_draws(posterior: _Posterior, proposal: SplitT, pairs: int, seed: int, batch: int) -> _Raw:
    """Hyperparameters, shared and country effects, and log weights, of mirrored pairs of draws from a proposal."""
    rng = np.random.default_rng([seed, batch])
    zeta = proposal.draw(pairs, seed + batch)
    parts = [_weighted_batch(posterior, proposal, zeta[:, at : at + posterior.batch], rng) for at in range(0, pairs, posterior.batch)]
    h, v, log_weights = (np.concatenate([part[k] for part in parts], axis=-1) for k in range(3))
    return zeta, h, v, np.where(np.isnan(log_weights), -np.inf, log_weights)


def _weighed(raw: _Raw, rounds: int) -> LaplaceDraws:
    zeta, h, v, log_weights = raw
    if not np.isfinite(log_weights).any():
        raise FitError("no draw of the Laplace engine has a finite weight; use engine='nuts'")
    log_weights = np.maximum(log_weights - log_weights.max(), -700.0)
    weights, pareto_k = smoothed_weights(log_weights.ravel())
    return LaplaceDraws(zeta=zeta, h=h, v=v, weights=weights.reshape(log_weights.shape), pareto_k=pareto_k, rounds=rounds)


def draw_by_laplace(latent: LatentGaussian, draws: int, seed: int, *, rounds: int = 3) -> LaplaceDraws:
    """Draw from the posterior of a latent Gaussian model, with importance weights.

    Parameters
    ----------
    latent
        The model.
    draws
        Draws, in mirrored pairs that share hyperparameters.
    seed
        Same seed, versions and machine: bitwise the same draws.
    rounds
        At most this many batches: weights that fail their k-hat refit the proposal to the weighted draws, too few
        effective draws add to the batch.

    Returns
    -------
    LaplaceDraws
        The last round's draws, whether its weights passed or not: read `pareto_k` and `effective`.

    Raises
    ------
    FitError
        If no mode is found or no draw has a finite weight.
    """
    with threadpool_limits(limits=1), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        posterior = _Posterior(latent)
        if latent.dimension == 0:
            proposal = SplitT(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0))
        else:
            proposal = posterior.explore()
        raw = _raw_draws(posterior, proposal, draws // 2, seed, 1)
        best = _weighed(raw, 1)
        while best.rounds < rounds:
            pairs = best.zeta.shape[1]
            if not best.pareto_k < limits.PARETO_K_BELOW:
                proposal = refitted(proposal, best.zeta, best.weights.sum(axis=0))
                raw = _raw_draws(posterior, proposal, 2 * pairs, seed, best.rounds + 1)
            elif best.effective < limits.ENGINE_EFFECTIVE:
                missing = min(1.15 * limits.ENGINE_EFFECTIVE / best.effective - 1, 4.0)
                more = _raw_draws(posterior, proposal, int(np.ceil(missing * pairs)), seed, best.rounds + 1)
                raw = (_joined(raw[0], more[0]), _joined(raw[1], more[1]), _joined(raw[2], more[2]), _joined(raw[3], more[3]))
            else:
                break
            best = _weighed(raw, best.rounds + 1)
    return best


def _joined(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.concatenate([first, second], axis=-1)
