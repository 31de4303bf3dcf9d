"""What skill does, on the scale of shares of children: curves, slopes, moderation, and paths through coping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.estimates.skill_population import (
    Groups,
    Population,
    average,
    collect,
    exposed_by_cause,
    exposed_weight,
    groups_of,
    outcome_words,
    with_any,
)
from riskmodels.fit.skill_fit import SkillFit
from riskmodels.vocabulary import DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]

#: Skill, in SDs of the children of one country around the average of countries, at which figures are shown.
AT = (-1.0, 0.0, 1.0)
#: Step of a slope, in SDs.
STEP = 0.05
AMONG_EXPOSED = "exposed children"


def _table(groups: Groups, blocks: Sequence[dict[str, str]]) -> pd.DataFrame:
    """Labels of quantities in the order block by block, groups within."""
    return pd.concat([groups.labels.assign(**block) for block in blocks], ignore_index=True)


def _outcomes(fit: SkillFit) -> list[tuple[str, str]]:
    """Every outcome, and who it is a share of."""
    coping, distress = outcome_words(fit)
    exposure = fit.rows.labels.get(fit.spec.exposure, fit.spec.exposure)
    return [(exposure, fit.base), *((name, AMONG_EXPOSED) for name in (*coping, *distress))]


def _shares_at(population: Population, groups: Groups, skill: float) -> FloatArray:
    """Share of every outcome if all were at this skill, shape (draws, outcomes, groups).

    Exposure is averaged over all children, coping and distress over those cells' children who are exposed now.
    """
    cells = len(groups.weight)
    at = population.with_cause(np.full((1, cells, 1), skill))
    everyone = groups.weight[None, :, None, :] * population.cause.share[:, None]
    everyone = np.broadcast_to(everyone, (len(population.level), *everyone.shape[1:]))
    exposed = exposed_by_cause(population, groups)
    parts = [
        average(population.exposure(at)[:, :, None], everyone),
        average(with_any(population.coping(at)), exposed),
        average(population.distress(at), exposed),
    ]
    return np.concatenate(parts, axis=1)


def _made(
    fit: SkillFit,
    labels: pd.DataFrame,
    draws: FloatArray,
    quantity: str,
    unit: str,
    probability: float,
    interval: IntervalKind,
) -> Estimates:
    found = make_estimates(fit, labels, draws, quantity=quantity, unit=unit, probability=probability, interval=interval)
    if "among" in found.table:
        found.table["base"] = found.table.pop("among")
    return found


def skill_curves(
    fit: SkillFit,
    at: Sequence[float] = AT,
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Shares exposed, coping and distressed at some levels of skill.

    Parameters
    ----------
    fit
        A checked fit.
    at
        Skill, in SDs of the children of one country; 0 is the average of the countries at hand.
    by
        ``()`` for all children together, ``("country",)`` for each country.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        One row per outcome, skill and group. Coping and distress are shares of exposed children, averaged over the
        covariates of those exposed now, whatever the skill, so that rows differ by skill alone: they say how exposed
        children of unequal skill differ, which is an effect of skill only if nothing unmeasured brings exposure and
        distress together.
    """
    groups = groups_of(fit, by)
    blocks = [
        {"outcome": name, "skill": f"{skill:+g} SD" if skill else "mean", "among": among}
        for skill in at
        for name, among in _outcomes(fit)
    ]
    draws = collect(fit, lambda population: np.stack([_shares_at(population, groups, skill) for skill in at], axis=1))
    return _made(fit, _table(groups, blocks), draws, "share at a level of skill", "proportion", probability, interval)


def skill_slopes(
    fit: SkillFit,
    at: Sequence[float] = AT,
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """By how much exposure, coping and distress change per SD of skill, at low, mean and high skill.

    Parameters
    ----------
    fit, at, by, probability, interval
        As in `skill_curves`.

    Returns
    -------
    Estimates
        Slopes of the curves, as change in proportion per SD.
    """
    groups = groups_of(fit, by)
    blocks = [
        {"outcome": name, "skill": f"{skill:+g} SD" if skill else "mean", "among": among}
        for skill in at
        for name, among in _outcomes(fit)
    ]

    def slopes(population: Population) -> FloatArray:
        return np.stack(
            [
                (_shares_at(population, groups, s + STEP) - _shares_at(population, groups, s - STEP)) / (2 * STEP)
                for s in at
            ],
            axis=1,
        )

    return _made(
        fit, _table(groups, blocks), collect(fit, slopes), "change per SD of skill", "proportion", probability, interval
    )


def skill_moderation(
    fit: SkillFit,
    by: Sequence[str] = (),
    *,
    low: float = -1.0,
    high: float = 1.0,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Whether skill changes what coping does to distress: the effect of coping at low and at high skill.

    Parameters
    ----------
    fit, by, probability, interval
        As in `skill_curves`.
    low, high
        Skill compared, in SDs.

    Returns
    -------
    Estimates
        Per level of distress and group: share with coping minus share without, at low and at high skill, and the
        difference of these differences, in proportions of exposed children. With several strategies told apart, coping
        is all of them against none.
    """
    groups = groups_of(fit, by)
    distress = outcome_words(fit)[1]
    places = (f"at {low:+g} SD", f"at {high:+g} SD", "difference of differences")
    blocks = [{"outcome": name, "contrast": f"coping against none, {place}"} for place in places for name in distress]

    def effects(population: Population) -> FloatArray:
        exposed = exposed_by_cause(population, groups)
        found = []
        for skill in (low, high):
            at = population.with_cause(np.full((1, len(groups.weight), 1), skill))
            mediators = population.on_coping.shape[1]
            change = population.distress_if(at, (1.0,) * mediators) - population.distress_if(at, (0.0,) * mediators)
            found.append(average(change, exposed))
        return np.stack([*found, found[1] - found[0]], axis=1)

    labels = _table(groups, blocks).assign(among=AMONG_EXPOSED)
    return _made(
        fit, labels, collect(fit, effects), "effect of coping on distress", "proportion", probability, interval
    )


def coping_paths(
    fit: SkillFit,
    by: Sequence[str] = (),
    *,
    step: float = 1.0,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Effect of more skill on the distress of exposed children: in all, through coping, and otherwise.

    Parameters
    ----------
    fit, by, probability, interval
        As in `skill_curves`.
    step
        SDs of skill added to every child who is exposed now.

    Returns
    -------
    Estimates
        Changes in proportion at or above each level of distress: natural direct (coping as it would be at the skill a
        child has), natural indirect (only coping moves, at the higher skill), and total, which is their sum in every
        draw. They are effects on children who are exposed; more skill also moves exposure itself (`skill_what_if`), and
        an unmeasured cause of exposure and distress, or of coping and distress, would bias them.

    References
    ----------
    Pearl 2001, Uncertainty in Artificial Intelligence 17, 411-420; VanderWeele 2015, Explanation in Causal Inference,
    chapter 2.
    """
    groups = groups_of(fit, by)
    distress = outcome_words(fit)[1]
    paths = ("total", "direct", "indirect, through coping")
    blocks = [{"outcome": name, "path": path} for path in paths for name in distress]

    def effects(population: Population) -> FloatArray:
        weight, now = exposed_weight(population, groups), population.skill
        then = now + step
        start, moved, whole = (
            average(population.distress(own, coping), weight) for own, coping in ((now, now), (then, now), (then, then))
        )
        return np.stack([whole - start, moved - start, whole - moved], axis=1)

    labels = _table(groups, blocks).assign(among=AMONG_EXPOSED)
    quantity = f"effect of {step:+g} SD of skill on distress"
    return _made(fit, labels, collect(fit, effects), quantity, "proportion", probability, interval)


def mean_shares(population: Population, groups: Groups, skill: FloatArray, share: FloatArray) -> tuple[FloatArray, ...]:
    """Sums over children of exposure, coping x exposure and distress x exposure, each (draws, ..., groups).

    Parameters
    ----------
    population, groups
        Who.
    skill, share
        Skill at some points and the share of a cell's children at each, shapes that broadcast to (draws, cells, points).
    """
    size = (len(population.level), len(groups.weight), np.shape(skill)[-1])
    point = np.broadcast_to(share, size)
    exposure = population.exposure(skill) * point

    def summed(values: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("sgkq,gw->skw", values, groups.weight, optimize=True))

    coping, distress = with_any(population.coping(skill)), population.distress(skill)
    return summed(exposure[:, :, None]), summed(coping * exposure[:, :, None]), summed(distress * exposure[:, :, None])
