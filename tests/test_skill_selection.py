"""Unmeasured common cause of exposure and distress: exact sums, derivatives, children made up one by one, tipping points."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import special

import riskmodels as rm
from riskmodels.errors import InputError
from riskmodels.estimates.skill_selection import nearest_zero, selection_sensitivity
from riskmodels.estimates.skill_what_if import LOWEST_QUARTER_UP, _after, _figures
from riskmodels.fit.skill_fit import fit_skills
from riskmodels.models.skill_arrays import skill_arrays
from riskmodels.models.skill_kernel import SkillKernel, SkillPoint, common_cause
from riskmodels.models.skill_simulation import SkillTruth, simulate_skills
from tests.test_skill_estimates import one_draw
from tests.test_skill_kernel import SMALL, some_point, specification

FAST = rm.SamplerSpec(engine="laplace", weighted_draws=1000)


def test_one_child_is_the_average_over_the_common_cause() -> None:
    """The likelihood of one child is that without a cause, averaged over 80 values of it."""
    rows = simulate_skills(replace(SMALL, children=40, exposure=(0.0, 0.4)), 3).rows
    arrays = skill_arrays(rows, specification(rows))
    point, strength = some_point(arrays, 2), common_cause(-0.4)
    assert strength.on_exposure > 0 > strength.on_distress
    assert strength.on_exposure**2 / (strength.on_exposure**2 + np.pi**2 / 3) == pytest.approx(0.4)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    load = np.zeros(point.level.shape[1])
    load[0], load[-1] = strength.on_exposure, strength.on_distress
    for row in (0, 17, len(arrays.count) - 1):
        alone = replace(arrays, count=(np.arange(len(arrays.count)) == row).astype(float))
        plain = SkillKernel(alone, 31)
        parts = [plain.value(replace(point, level=point.level + node * load)) for node in nodes]
        expected = special.logsumexp(parts, b=weights / weights.sum())
        assert SkillKernel(alone, 31, -0.4).value(point) == pytest.approx(expected, abs=5e-5)


def test_derivatives_with_a_common_cause() -> None:
    rows = simulate_skills(SMALL, 2, missing=0.1).rows
    arrays = skill_arrays(rows, specification(rows))
    kernel, point, step = SkillKernel(arrays, 31, 0.5), some_point(arrays, 3), 1e-5
    value, gradient = kernel.value_and_gradient(point)
    assert value == pytest.approx(kernel.value(point), abs=1e-8)
    for name in (one.name for one in fields(SkillPoint)):
        values, slopes = getattr(point, name), getattr(gradient, name)
        for place in list(np.ndindex(values.shape))[:4]:
            move = np.zeros_like(values)
            move[place] = step
            high, low = (kernel.value(replace(point, **{name: values + sign * move})) for sign in (1, -1))
            assert slopes[place] == pytest.approx((high - low) / (2 * step), rel=1e-6, abs=2e-5), name


def test_figures_with_a_common_cause_are_those_of_children_made_up_one_by_one() -> None:
    population, groups = one_draw(3, 1)
    population = replace(population, cause=common_cause(0.5))
    rng, size = np.random.default_rng(1), 400_000
    cell = rng.choice(2, size, p=[1 / 3, 2 / 3])
    theta, cause = population.mean[0, cell] + rng.normal(size=size), rng.normal(size=size)
    cut, target = np.quantile(theta, [0.25, 0.5])
    theta = np.where(theta < cut, target, theta)
    logit = population.level[0, cell] + population.slope[0, cell] * theta[:, None]
    exposed = rng.uniform(size=size) < special.expit(logit[:, 0] + population.cause.on_exposure * cause)
    coped = (rng.uniform(size=(size, 2)) < special.expit(logit[:, 1:3])).any(axis=1)
    eta = logit[:, 3] + coped * (population.on_coping[0, 0] + theta * population.on_product[0, 0])
    eta = eta + population.cause.on_distress * cause + rng.logistic(size=size)
    level = eta[:, None] > population.threshold[0]
    made = [
        exposed.mean(),
        coped[exposed].mean(),
        *level[exposed].mean(axis=0),
        *(level & exposed[:, None]).mean(axis=0),
    ]
    found = _figures(_after(population, groups, LOWEST_QUARTER_UP, groups.weight[:, 0]), groups.weight.sum(axis=0))
    np.testing.assert_allclose(found[0, [0, 3, 4, 5, 6, 7], 0], made, atol=4 * np.sqrt(0.25 / exposed.sum()))


def test_tipping_points() -> None:
    rho = np.array([-0.5, 0.0, 0.5])
    assert nearest_zero(rho, np.array([-1.0, 1.0, 3.0])) == pytest.approx(-0.25)
    assert nearest_zero(rho, np.array([0.0, 1.0, -1.0])) == pytest.approx(0.25)
    assert np.isnan(nearest_zero(rho, np.array([1.0, 2.0, 1.0])))


def test_the_effect_moves_with_the_assumed_cause() -> None:
    """More skill, more exposure: with a shared cause the skilful exposed have less of it, which explains part of the effect."""
    rows = simulate_skills(SkillTruth(countries=1, children=1500, exposure=(-1.0, 0.6), girl=None), 4).rows
    found = selection_sensitivity(rows, specification(rows), (0.5, -0.5), sampler=FAST)
    estimate = found.table[found.table["outcome"] == "distress: level 3 or more"].set_index("rho")["estimate"]
    assert estimate[0.5] > estimate[-0.5]
    assert list(found.tipping.columns) == ["outcome", "rho_of_doubt", "rho_of_reversal"]
    with pytest.raises(InputError, match="E195"):
        selection_sensitivity(rows, specification(rows), (0.5, 1.5))
    with pytest.raises(InputError, match="E195"):
        selection_sensitivity(rows, specification(rows), (0.5,))


@pytest.mark.slow
def test_told_of_the_cause_the_model_finds_the_truth_and_untold_it_does_not() -> None:
    truth = SkillTruth(countries=1, children=20_000, exposure=(-1.0, 1.0), distress=(0.0, 0.0, 0.0), girl=None, rho=0.6)
    one = simulate_skills(truth, 1)
    distance = {}
    for rho in (0.0, 0.6):
        draws = fit_skills(one.rows, specification(one.rows, rho=rho), FAST).draws["average_slope"].to_numpy()[..., -1]
        distance[rho] = draws.mean() / draws.std()
    assert abs(distance[0.6]) < 2.5 < abs(distance[0.0])
