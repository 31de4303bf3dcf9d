"""Estimates of the skill pathway: sums that must hold, no change where nothing is changed, and children made up one by one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import riskmodels as rm
from riskmodels.errors import InputError
from riskmodels.estimates.skill_effects import coping_paths, skill_curves, skill_moderation, skill_slopes
from riskmodels.estimates.skill_population import Groups, Population, groups_of, lower_part, skill_quantiles
from riskmodels.estimates.skill_what_if import LOWEST_QUARTER_UP, SkillScenario, skill_what_if
from riskmodels.fit.skill_fit import SkillFit, fit_skills
from riskmodels.models.skill_simulation import SkillTruth, simulate_skills
from tests.test_skill_kernel import specification

TRUTH = SkillTruth(countries=3, children=400, exposure=(-1.0, 0.5))
FAST = rm.SamplerSpec(engine="laplace", weighted_draws=1000)


@cache
def fit(effect: str = "any", measurement: str = "latent") -> SkillFit:
    rows = simulate_skills(TRUTH, 2).rows
    return fit_skills(rows, specification(rows, coping_effect=effect, measurement=measurement), FAST)


def pick(table, **where: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    keep = np.ones(len(table), dtype=bool)
    for name, value in where.items():
        keep &= (table[name] == value).to_numpy()
    return keep


@pytest.mark.parametrize("effect", ["any", "each"])
def test_direct_and_indirect_add_up_in_every_draw(effect: str) -> None:
    found = coping_paths(fit(effect), by=["country"])
    total, direct, indirect = (
        found.draws[..., pick(found.table, path=path)] for path in ("total", "direct", "indirect, through coping")
    )
    np.testing.assert_allclose(direct + indirect, total, atol=1e-13)
    assert np.abs(indirect).max() > 1e-3
    assert set(found.table["base"]) == {"exposed children"}
    assert len(found) == 3 * 3 * 3


@pytest.mark.parametrize("measurement", ["latent", "score"])
@pytest.mark.parametrize("scenario", [SkillScenario("shift", amount=0.0), SkillScenario("raise", below=0.5, up_to=0.5)])
def test_no_change_changes_nothing_and_raising_never_lowers_skill(measurement: str, scenario: SkillScenario) -> None:
    found = skill_what_if(fit(measurement=measurement), scenario)
    change = found.draws[..., pick(found.table, when="change")]
    exposure = found.draws[..., pick(found.table, when="change", outcome="exposed")]
    if scenario.kind == "shift":
        np.testing.assert_allclose(change, 0, atol=1e-13)
    else:
        rises = fit(measurement=measurement).posterior["slope"].to_numpy()[..., 0].min(axis=-1) > 0
        assert (exposure[rises] > 0).all()


def test_shares_are_ordered_and_figures_belong_together() -> None:
    found = skill_what_if(fit())
    for when in ("now", "then"):
        levels = found.draws[
            ..., pick(found.table, when=when) & found.table["outcome"].str.startswith("distress").to_numpy()
        ]
        both = found.draws[
            ..., pick(found.table, when=when) & found.table["outcome"].str.startswith("exposed and").to_numpy()
        ]
        exposure = found.draws[..., pick(found.table, when=when, outcome="exposed")]
        assert (np.diff(levels, axis=-1) <= 0).all()
        np.testing.assert_allclose(levels * exposure, both, atol=1e-13)
        strategies = [found.draws[..., pick(found.table, when=when, outcome=f"strategy_{k}")] for k in (1, 2, 3)]
        any_ = found.draws[..., pick(found.table, when=when, outcome="any strategy")]
        assert (np.max(strategies, axis=0) <= any_ + 1e-12).all() and (any_ <= np.sum(strategies, axis=0) + 1e-12).all()


def test_all_children_are_the_average_of_countries() -> None:
    pooled, own = skill_what_if(fit()), skill_what_if(fit(), by=["country"])
    weight = groups_of(fit(), ("country",)).weight.sum(axis=0)
    exposure = own.draws[..., pick(own.table, when="then", outcome="exposed")] @ weight / weight.sum()
    np.testing.assert_allclose(exposure, pooled.draws[..., pick(pooled.table, when="then", outcome="exposed")][..., 0])


def test_the_model_now_is_the_survey() -> None:
    """Shares predicted at the skill children have are close to those observed (4 posterior SDs)."""
    found, rows = skill_what_if(fit()).table, fit().rows
    now, exposed = found[found["when"] == "now"].set_index("outcome"), rows.exposed == 1
    observed = {
        "exposed": np.average(rows.exposed, weights=rows.n),
        "strategy_1": np.average(rows.coping[exposed, 0], weights=rows.n[exposed]),
        "any strategy": np.average(rows.coping[exposed].max(axis=1), weights=rows.n[exposed]),
        "distress: level 3 or more": np.average(rows.distress[exposed] >= 2, weights=rows.n[exposed]),
    }
    for name, share in observed.items():
        assert now.loc[name, "estimate"] == pytest.approx(share, abs=4 * now.loc[name, "sd"])


def test_slopes_are_those_of_the_curves_and_moderation_is_their_difference() -> None:
    slopes = skill_slopes(fit(), (0.0,))
    ends = skill_curves(fit(), (-0.05, 0.05))
    half = len(ends) // 2
    np.testing.assert_allclose(slopes.draws, (ends.draws[..., half:] - ends.draws[..., :half]) / 0.1)
    found = skill_moderation(fit())
    low, high, change = np.split(found.draws, 3, axis=-1)
    np.testing.assert_allclose(change, high - low)
    assert found.passed and slopes.passed


def test_breakdowns_and_scenarios_that_are_not_possible_are_refused() -> None:
    with pytest.raises(InputError, match="E132"):
        skill_curves(fit(), by=["girl"])
    with pytest.raises(InputError, match="E195"):
        SkillScenario("raise", below=0.6, up_to=0.5)


def one_draw(seed: int, mediators: int) -> tuple[Population, Groups]:
    rng, cells = np.random.default_rng(seed), 2
    population = Population(
        mean=rng.normal(0, 0.5, (1, cells)),
        level=rng.normal(-0.3, 0.5, (1, cells, 4)),
        slope=rng.normal(0, 0.6, (1, cells, 4)),
        threshold=np.array([[-0.5, 1.0]]),
        on_coping=rng.normal(-0.6, 0.3, (1, mediators)),
        on_product=rng.normal(0, 0.3, (1, mediators)),
        known=None,
    )
    return population, Groups(None, np.array([[1.0], [2.0]]))  # type: ignore[arg-type]


@pytest.mark.parametrize("mediators", [1, 2])
def test_figures_are_those_of_children_made_up_one_by_one(mediators: int) -> None:
    """Exposure, coping and distress drawn for 400,000 children whose lowest quarter was raised (4 standard errors)."""
    from riskmodels.estimates.skill_what_if import _after, _figures

    population, groups = one_draw(3, mediators)
    rng, size = np.random.default_rng(1), 400_000
    cell = rng.choice(2, size, p=[1 / 3, 2 / 3])
    theta = population.mean[0, cell] + rng.normal(size=size)
    cut, target = np.quantile(theta, [0.25, 0.5])
    theta = np.where(theta < cut, target, theta)
    logit = population.level[0, cell] + population.slope[0, cell] * theta[:, None]
    exposed = rng.uniform(size=size) < special.expit(logit[:, 0])
    coping = rng.uniform(size=(size, 2)) < special.expit(logit[:, 1:3])
    coped = coping.astype(float) if mediators == 2 else coping.any(axis=1, keepdims=True).astype(float)
    eta = logit[:, 3] + coped @ population.on_coping[0] + theta * (coped @ population.on_product[0])
    level = (eta + rng.logistic(size=size))[:, None] > population.threshold[0]
    made = [
        exposed.mean(),
        *coping[exposed].mean(axis=0),
        coping[exposed].any(axis=1).mean(),
        *level[exposed].mean(axis=0),
    ]
    made += list((level & exposed[:, None]).mean(axis=0))
    sums = _after(population, groups, LOWEST_QUARTER_UP, groups.weight[:, 0])
    found = _figures(sums, groups.weight.sum(axis=0))[0, :, 0]
    np.testing.assert_allclose(found, made, atol=4 * np.sqrt(0.25 / exposed.sum()))


def test_mediation_is_that_of_children_made_up_one_by_one() -> None:
    """Distress at skill + 1 with the coping of skill: the cross-world mean, drawn."""
    population, _ = one_draw(5, 1)
    theta, size = 0.3, 400_000
    rng = np.random.default_rng(2)
    coping = rng.uniform(size=(size, 2)) < special.expit(
        population.level[0, 0, 1:3] + population.slope[0, 0, 1:3] * theta
    )
    coped = coping.any(axis=1)
    eta = population.level[0, 0, 3] + population.slope[0, 0, 3] * (theta + 1) + population.on_coping[0, 0] * coped
    eta = eta + population.on_product[0, 0] * (theta + 1) * coped
    made = ((eta + rng.logistic(size=size))[:, None] > population.threshold[0]).mean(axis=0)
    at = np.full((1, 2, 1), theta)
    np.testing.assert_allclose(population.distress(at + 1, at)[0, 0, :, 0], made, atol=4 * 0.5 / np.sqrt(size))


@given(by=st.floats(-1.5, 1.5), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_the_origin_of_skill_leaves_every_share_unchanged(by: float, seed: int) -> None:
    population, groups = one_draw(seed, 1)
    moved = replace(
        population,
        mean=population.mean + by,
        level=population.level - by * population.slope,
        on_coping=population.on_coping - by * population.on_product,
    )
    for left, right in (
        (population.exposure(population.skill), moved.exposure(moved.skill)),
        (population.distress(population.skill), moved.distress(moved.skill)),
    ):
        np.testing.assert_allclose(left, right, atol=1e-12)
    quantiles = [skill_quantiles(one, groups.weight[:, 0], (0.25, 0.5)) for one in (population, moved)]
    np.testing.assert_allclose(quantiles[1] - quantiles[0], by, atol=2e-3)


@given(cut=st.floats(-3, 3), mean=st.floats(-2, 2))
def test_what_lies_below_a_cut_is_the_normal_share(cut: float, mean: float) -> None:
    skill, share = lower_part(np.array([cut]), np.array([[mean]]))
    assert share.sum() == pytest.approx(special.ndtr(cut - mean), abs=1e-7)
    assert (skill < cut).all()
