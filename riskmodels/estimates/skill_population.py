"""What a skill pathway predicts for a population of children, draw by draw: exposure, coping and distress at any skill."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from riskmodels.errors import InputError, Problem
from riskmodels.fit.skill_fit import SkillFit
from riskmodels.fit.skill_natural import ANY_COPING
from riskmodels.models.skill_kernel import CommonCause, common_cause
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]

#: Points over which shares are averaged: they are smooth in skill, so that few do.
POINTS, REACH = 25, 6.0
#: Numbers held at a time per outcome.
AT_ONCE = 2_000_000
NO_CAUSE = common_cause(0.0)


@dataclass(frozen=True, eq=False)
class Population:
    """Some draws of the parameters, for every cell (country x covariates) of children.

    Parameters
    ----------
    mean
        Mean skill, shape (draws, cells).
    level, slope
        Of every outcome (exposure, strategies, distress), shape (draws, cells, outcomes).
    threshold
        Of distress, shape (draws, thresholds).
    on_coping, on_product
        Shape (draws, mediators).
    known
        Skill taken as known, shape (cells, 1); None where it is latent.
    cause
        Unmeasured common cause of exposure and distress. Wherever points of skill are given, its points lie within them:
        the last axis runs over skill, then over the cause.
    """

    mean: FloatArray
    level: FloatArray
    slope: FloatArray
    threshold: FloatArray
    on_coping: FloatArray
    on_product: FloatArray
    known: FloatArray | None
    cause: CommonCause = NO_CAUSE

    @property
    def skill(self) -> FloatArray:
        """Points of skill, shape (draws or 1, cells, points)."""
        if self.known is not None:
            return self.with_cause(self.known[None])
        return self.with_cause(self.mean[..., None] + np.linspace(-REACH, REACH, POINTS))

    @property
    def share(self) -> FloatArray:
        """Share of a cell's children at every point; sums to one, shape (points,)."""
        if self.known is not None:
            return self.cause.share
        density = np.exp(-0.5 * np.linspace(-REACH, REACH, POINTS) ** 2)
        return np.asarray(np.outer(density / density.sum(), self.cause.share).ravel())

    def with_cause(self, skill: FloatArray) -> FloatArray:
        """Points of skill, each repeated for every point of the cause."""
        return np.repeat(skill, len(self.cause.points), axis=-1)

    def with_cause_share(self, share: FloatArray) -> FloatArray:
        """Shares at points of skill, times those of the cause."""
        return np.repeat(share, len(self.cause.points), axis=-1) * np.tile(self.cause.share, share.shape[-1])

    def _cause_at(self, skill: FloatArray) -> FloatArray:
        return np.tile(self.cause.points, skill.shape[-1] // len(self.cause.points))

    def exposure(self, skill: FloatArray) -> FloatArray:
        """Share exposed at some skill, shape (draws, cells, points)."""
        cause = self.cause.on_exposure * self._cause_at(skill)
        return np.asarray(special.expit(self.level[..., :1] + self.slope[..., :1] * skill + cause))

    def coping(self, skill: FloatArray) -> FloatArray:
        """Share of the exposed who use each strategy, shape (draws, cells, strategies, points)."""
        level, slope = self.level[..., 1:-1, None], self.slope[..., 1:-1, None]
        return np.asarray(special.expit(level + slope * skill[..., None, :]))

    def coping_patterns(self, used: FloatArray) -> list[tuple[tuple[float, ...], FloatArray]]:
        """Every way in which coping enters distress, with its share at `used` (strategies in the last axis but one)."""
        if self.on_coping.shape[1] == 1:
            none = np.prod(1 - used, axis=-2)
            return [((0.0,), none), ((1.0,), 1 - none)]
        found = []
        for pattern in product((0.0, 1.0), repeat=used.shape[-2]):
            chosen = np.array(pattern)[:, None]
            found.append((pattern, np.prod(chosen * used + (1 - chosen) * (1 - used), axis=-2)))
        return found

    def distress_if(self, skill: FloatArray, pattern: Sequence[float]) -> FloatArray:
        """Share of the exposed at or above each level but the lowest, coping being this, (draws, cells, levels, points)."""
        coped = np.asarray(pattern)
        level = self.level[..., -1] + (self.on_coping @ coped)[:, None]
        slope = self.slope[..., -1] + (self.on_product @ coped)[:, None]
        eta = level[..., None] + slope[..., None] * skill + self.cause.on_distress * self._cause_at(skill)
        return np.asarray(special.expit(eta[:, :, None, :] - self.threshold[:, None, :, None]))

    def distress(self, skill: FloatArray, coping_skill: FloatArray | None = None) -> FloatArray:
        """Share of the exposed at or above each level but the lowest, if they coped as at `coping_skill`.

        Coping is summed out, pattern by pattern (g-formula); logits are never multiplied.
        """
        used = self.coping(skill if coping_skill is None else coping_skill)
        return np.asarray(
            sum(share[:, :, None] * self.distress_if(skill, pattern) for pattern, share in self.coping_patterns(used))
        )


def populations(fit: SkillFit) -> Iterator[Population]:
    """All draws, some at a time, in the order of the flattened (chain, draw)."""
    posterior, arrays = fit.posterior, fit.arrays
    country = arrays.cell_country

    def flat(name: str) -> FloatArray:
        values = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return np.asarray(values.reshape(values.shape[0] * values.shape[1], *values.shape[2:]))

    level, slope, covariate = flat("level"), flat("slope"), flat("covariate")
    threshold, on_coping, on_product = flat("distress_threshold"), flat("on_coping"), flat("on_product")
    latent = arrays.cell_theta is None
    mean = flat("skill_mean") if latent else np.zeros((len(level), len(fit.rows.countries)))
    on_skill = flat("skill_covariate") if latent else np.zeros((len(level), len(arrays.columns)))
    cause = common_cause(fit.spec.rho)
    points = (POINTS if latent else 1) * len(cause.points)
    chunk = max(1, AT_ONCE // (len(country) * points * max(arrays.strategies, arrays.distress_levels - 1)))
    for start in range(0, len(level), chunk):
        at = slice(start, start + chunk)
        yield Population(
            mean=mean[at][:, country] + on_skill[at] @ arrays.design.T,
            level=level[at][:, country] + np.einsum("gp,spo->sgo", arrays.design, covariate[at]),
            slope=slope[at][:, country],
            threshold=threshold[at],
            on_coping=on_coping[at],
            on_product=on_product[at],
            known=arrays.cell_theta,
            cause=cause,
        )


@dataclass(frozen=True, eq=False)
class Groups:
    """Who is averaged over: all children, or those of every country.

    Parameters
    ----------
    labels
        One row per group.
    weight
        Weight of every cell in every group, shape (cells, groups).
    """

    labels: pd.DataFrame
    weight: FloatArray


def groups_of(fit: SkillFit, by: Sequence[str]) -> Groups:
    """Groups of children; `by` is empty, or country (E132)."""
    by = (by,) if isinstance(by, str) else tuple(by)
    wrong = [name for name in by if name != COUNTRY]
    if wrong:
        raise InputError(
            [Problem("E132", "cannot be broken down by", ", ".join(wrong), len(wrong), "use country")], "by"
        )
    weight, country = fit.arrays.cell_weight, fit.arrays.cell_country
    if not by:
        return Groups(pd.DataFrame({"group": ["all children"]}), weight[:, None])
    factor = fit.rows.countries
    columns = {COUNTRY: list(factor.labels)}
    if factor.labels != factor.levels:
        columns = {f"{COUNTRY}_code": list(factor.levels), **columns}
    return Groups(pd.DataFrame(columns), weight[:, None] * (country[:, None] == np.arange(len(factor))))


def average(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Average over cells and points, values (draws, cells, ..., points) and weights (draws, cells, points, groups).

    Returns
    -------
    numpy.ndarray
        Shape (draws, ..., groups).
    """
    lead = values.shape[2:-1]
    flat = values.reshape(*values.shape[:2], -1, values.shape[-1])
    total = np.einsum("sgkq,sgqw->skw", flat, weight, optimize=True) / weight.sum(axis=(1, 2))[:, None]
    return np.asarray(total.reshape(len(total), *lead, weight.shape[-1]))


def population_weight(population: Population, groups: Groups) -> FloatArray:
    """Weight of every cell and point in every group, shape (draws, cells, points, groups)."""
    whole = groups.weight[None, :, None, :] * population.share[None, None, :, None]
    return np.broadcast_to(whole, (len(population.level), *whole.shape[1:]))


def exposed_weight(population: Population, groups: Groups) -> FloatArray:
    """The same among the exposed."""
    return np.asarray(population_weight(population, groups) * population.exposure(population.skill)[..., None])


def exposed_by_cause(population: Population, groups: Groups) -> FloatArray:
    """Weight of the exposed in every cell and at every point of the cause, (draws, cells, points of the cause, groups)."""
    weight = exposed_weight(population, groups)
    shape = (*weight.shape[:2], -1, len(population.cause.points), weight.shape[-1])
    return np.asarray(weight.reshape(shape).sum(axis=2))


def outcome_words(fit: SkillFit) -> tuple[list[str], list[str]]:
    """Words for the strategies (and any of them), and for being at or above each level of distress but the lowest."""
    words = fit.rows.labels
    strategies = [
        words.get(name, label)
        for name, label in zip(fit.rows.strategies.levels, fit.rows.strategies.labels, strict=True)
    ]
    distress = words.get(fit.spec.distress, fit.spec.distress)
    return [*strategies, ANY_COPING], [f"{distress}: {label} or more" for label in fit.rows.distress_levels.labels[1:]]


def with_any(coping: FloatArray) -> FloatArray:
    """Shares of each strategy, and of any of them, in the last axis but one."""
    return np.concatenate([coping, 1 - np.prod(1 - coping, axis=-2, keepdims=True)], axis=-2)


def collect(fit: SkillFit, make: Callable[[Population], FloatArray]) -> FloatArray:
    """Apply `make` (draws, ...) to all draws; shape (chain, draw, quantities)."""
    parts = [make(population) for population in populations(fit)]
    shape = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    whole = np.concatenate([part.reshape(len(part), -1) for part in parts])
    return np.asarray(whole.reshape(*shape, -1))


def skill_quantiles(population: Population, weight: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """Quantiles of skill over all children, shape (draws, probabilities)."""
    if population.known is not None:
        order = np.argsort(population.known[:, 0])
        place = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
        one = np.interp(probabilities, place, population.known[order, 0])
        return np.broadcast_to(one, (len(population.level), len(one)))
    grid = np.linspace(-REACH, REACH, 481)
    found = np.empty((len(population.mean), len(probabilities)))
    for draw, means in enumerate(population.mean):
        below = weight @ special.ndtr(grid - means[:, None]) / weight.sum()
        found[draw] = np.interp(probabilities, below, grid)
    return found


def lower_part(cut: FloatArray, mean: FloatArray, points: int = 32) -> tuple[FloatArray, FloatArray]:
    """Points of skill below a cut and the share of a cell's children at each, shapes (draws, cells, points).

    Gauss-Legendre from six SDs below the mean up to the cut, where the normal density is smooth.
    """
    node, weight = np.polynomial.legendre.leggauss(points)
    bottom = np.minimum(mean - REACH, cut[:, None] - 0.5)
    half = 0.5 * (cut[:, None] - bottom)
    skill = bottom[..., None] + half[..., None] * (node + 1)
    density = np.exp(-0.5 * (skill - mean[..., None]) ** 2) / math.sqrt(2 * math.pi)
    return skill, half[..., None] * weight * density
