"""What if children were more skilful: exposure, coping and distress moved, among the exposed and among all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.estimates.skill_effects import AMONG_EXPOSED, mean_shares
from riskmodels.estimates.skill_population import (
    Groups,
    Population,
    collect,
    groups_of,
    lower_part,
    outcome_words,
    skill_quantiles,
)
from riskmodels.fit.skill_fit import SkillFit
from riskmodels.vocabulary import DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]
Kind = Literal["shift", "raise"]


@dataclass(frozen=True)
class SkillScenario:
    """A change of children's skill.

    Parameters
    ----------
    kind
        ``"shift"``: every child moves by `amount` SDs; ``"raise"``: children below the quantile `below` of skill (over all
        children) are lifted to the quantile `up_to`.
    amount
        SDs.
    below, up_to
        Quantiles.

    Examples
    --------
    >>> SkillScenario("raise").words
    'the least skilful 25 % raised to the median'
    """

    kind: Kind = "shift"
    amount: float = 1.0
    below: float = 0.25
    up_to: float = 0.5

    def __post_init__(self) -> None:
        """Refuse impossible scenarios (E195)."""
        wrong = (
            ("kind", self.kind not in ("shift", "raise"), "use shift or raise"),
            ("amount", not np.isfinite(self.amount), "give SDs, e.g. 1"),
            ("below, up_to", not 0 < self.below <= self.up_to < 1, "give quantiles between 0 and 1, below <= up_to"),
        )
        problems = [Problem("E195", "not a possible value", name, 1, remedy) for name, bad, remedy in wrong if bad]
        if problems:
            raise InputError(problems, "SkillScenario")

    @property
    def words(self) -> str:
        """The scenario in words."""
        if self.kind == "shift":
            return f"every child {self.amount:+g} SD of skill"
        top = "the median" if self.up_to == 0.5 else f"the {100 * self.up_to:g} % point"
        return f"the least skilful {100 * self.below:g} % raised to {top}"


EVERY_CHILD_UP = SkillScenario()
LOWEST_QUARTER_UP = SkillScenario("raise")


def _after(
    population: Population, groups: Groups, scenario: SkillScenario, weight: FloatArray
) -> tuple[FloatArray, ...]:
    """Sums of exposure, coping x exposure and distress x exposure under a scenario."""
    skill, share = population.skill, population.share
    if scenario.kind == "shift":
        return mean_shares(population, groups, skill + scenario.amount, share)
    cut, target = skill_quantiles(population, weight, (scenario.below, scenario.up_to)).T
    if population.known is not None:
        lifted = np.where(skill < cut[:, None, None], target[:, None, None], skill)
        return mean_shares(population, groups, lifted, share)
    low, density = lower_part(cut, population.mean)
    mass = special.ndtr(cut[:, None] - population.mean)[..., None]
    at = population.with_cause(np.broadcast_to(target[:, None, None], mass.shape))
    low, density = population.with_cause(low), population.with_cause_share(density)
    parts = zip(
        mean_shares(population, groups, skill, share),
        mean_shares(population, groups, low, density),
        mean_shares(population, groups, at, population.with_cause_share(mass)),
        strict=True,
    )
    return tuple(whole - below + above for whole, below, above in parts)


def _figures(sums: tuple[FloatArray, ...], size: FloatArray) -> FloatArray:
    """Exposure, coping and distress given exposure, distress among all; shape (draws, outcomes, groups)."""
    exposure, coping, distress = sums
    return np.concatenate([exposure / size, coping / exposure, distress / exposure, distress / size], axis=1)


def skill_what_if(
    fit: SkillFit,
    scenario: SkillScenario = EVERY_CHILD_UP,
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Exposure, coping and distress now, under a change of skill, and the change.

    Parameters
    ----------
    fit
        A checked fit.
    scenario
        What is changed; every child one SD up by default.
    by
        ``()`` for all children together, ``("country",)`` for each country.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Per outcome and group, `when` now, then or change. Distress is shown twice: among the exposed, whose make-up changes
        with exposure, and among all children, where more exposure and less distress of the exposed meet. Read both: skill
        may raise the one and lower the other.

    References
    ----------
    Robins 1986, Mathematical Modelling 7, 1393-1512 (g-formula).
    """
    groups = groups_of(fit, by)
    coping, distress = outcome_words(fit)
    exposure = fit.rows.labels.get(fit.spec.exposure, fit.spec.exposure)
    outcomes = [(exposure, fit.base), *((name, AMONG_EXPOSED) for name in (*coping, *distress))]
    outcomes += [(f"exposed and {name}", fit.base) for name in distress]
    whens = ("now", "then", "change")
    blocks = [groups.labels.assign(outcome=name, when=when, among=among) for when in whens for name, among in outcomes]
    weight, size = fit.arrays.cell_weight, groups.weight.sum(axis=0)

    def figures(population: Population) -> FloatArray:
        now = _figures(mean_shares(population, groups, population.skill, population.share), size)
        then = _figures(_after(population, groups, scenario, weight), size)
        return np.stack([now, then, then - now], axis=1)

    labels = pd.concat(blocks, ignore_index=True).assign(scenario=scenario.words)
    found = make_estimates(
        fit,
        labels,
        collect(fit, figures),
        quantity="share under a change of skill",
        probability=probability,
        interval=interval,
    )
    found.table["base"] = found.table.pop("among")
    return found
