"""Marginal likelihood of the skill pathway: against brute force child by child, its derivatives, its invariances."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import special

from riskmodels.design.skill_rows import UNKNOWN, SkillRows
from riskmodels.models.skill_arrays import SkillArrays, skill_arrays
from riskmodels.models.skill_kernel import SkillKernel, SkillPoint
from riskmodels.models.skill_posterior import Natural, SkillPosterior
from riskmodels.models.skill_simulation import SkillTruth, simulate_skills
from riskmodels.models.skill_spec import CopingEffect, SkillPathwaySpec

SMALL = SkillTruth(countries=3, children=150, exposure=(-1.0, 0.4))


def specification(rows: SkillRows, **changes: object) -> SkillPathwaySpec:
    spec = SkillPathwaySpec(
        skill_items=tuple(item.name for item in rows.items),
        exposure="exposed",
        coping=rows.strategies.levels,
        distress="distress",
        covariates=tuple(rows.values),
        weights="none",
    )
    return replace(spec, **changes)  # type: ignore[arg-type]


def some_point(arrays: SkillArrays, seed: int) -> SkillPoint:
    rng, cells, outcomes = np.random.default_rng(seed), len(arrays.cell_country), arrays.strategies + 2
    return SkillPoint(
        discrimination=np.exp(rng.normal(0.3, 0.2, len(arrays.levels))),
        item_threshold=np.concatenate([np.sort(rng.normal(0, 1.5, size - 1)) for size in arrays.levels]),
        shift=rng.normal(0, 0.3, (len(arrays.shifted), arrays.countries)),
        mean=rng.normal(0, 0.3, cells),
        level=rng.normal(-0.5, 0.5, (cells, outcomes)),
        slope=rng.normal(0, 0.4, (cells, outcomes)),
        distress_threshold=np.sort(rng.normal(0, 1.5, arrays.distress_levels - 1)),
        on_coping=rng.normal(0, 0.5, arrays.mediators),
        on_product=rng.normal(0, 0.3, arrays.mediators),
    )


def level_probability(eta: float, thresholds: np.ndarray, level: int) -> float:
    edges = np.concatenate([[1.0], special.expit(eta - thresholds), [0.0]])
    return float(edges[level] - edges[level + 1])


def brute_force(rows: SkillRows, arrays: SkillArrays, point: SkillPoint, each: bool) -> float:
    """One row at a time: Gauss-Hermite around its own mean; unknown coping summed over where distress is known."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    girl = rows.values["girl"] - arrays.means[0]
    total = 0.0
    for row in range(len(rows)):
        country = int(rows.country[row])
        cell = int(np.flatnonzero((arrays.cell_country == country) & np.isclose(arrays.design[:, 0], girl[row]))[0])
        likelihood = 0.0
        for node, weight in zip(nodes, weights, strict=True):
            theta, chance, start = point.mean[cell] + node, 1.0, 0
            for j, size in enumerate(arrays.levels):
                thresholds = point.item_threshold[start : start + size - 1]
                start += size - 1
                if j in arrays.shifted:
                    thresholds = thresholds + point.shift[int(np.flatnonzero(arrays.shifted == j)[0]), country]
                if rows.answers[row, j] != UNKNOWN:
                    chance *= level_probability(point.discrimination[j] * theta, thresholds, int(rows.answers[row, j]))
            logits = point.level[cell] + point.slope[cell] * theta
            exposed = special.expit(logits[0])
            if not rows.exposed[row]:
                likelihood += weight * chance * (1 - exposed)
                continue
            answered = rows.coping[row]
            inner = 0.0
            for pattern in np.ndindex(*[2] * len(answered)):
                if any(known not in (UNKNOWN, used) for known, used in zip(answered, pattern, strict=True)):
                    continue
                part = np.prod([special.expit(logits[1 + k] * (1 if used else -1)) for k, used in enumerate(pattern)])
                coped = np.array(pattern, float) if each else np.array([float(max(pattern))])
                eta = logits[-1] + coped @ point.on_coping + theta * (coped @ point.on_product)
                if rows.distress[row] != UNKNOWN:
                    part *= level_probability(eta, point.distress_threshold, int(rows.distress[row]))
                inner += part
            likelihood += weight * chance * exposed * inner
        total += rows.n[row] * np.log(likelihood)
    return total


@pytest.mark.parametrize(("effect", "dif"), [("any", ()), ("each", ("skill_2", "skill_5"))])
def test_it_is_the_sum_over_children_of_a_brute_force_integral(effect: CopingEffect, dif: tuple[str, ...]) -> None:
    rows = simulate_skills(replace(SMALL, children=25, exposure=(0.3, 0.4)), 4, missing=0.2).rows
    arrays = skill_arrays(rows, specification(rows, coping_effect=effect, dif=dif))
    point = some_point(arrays, 8)
    assert SkillKernel(arrays, 61).value(point) == pytest.approx(
        brute_force(rows, arrays, point, effect == "each"), abs=1e-6
    )


@pytest.mark.parametrize("effect", ["any", "each"])
def test_derivatives_are_those_of_differences(effect: CopingEffect) -> None:
    rows = simulate_skills(SMALL, 2, missing=0.1).rows
    arrays = skill_arrays(rows, specification(rows, coping_effect=effect, dif=("skill_1",)))
    kernel, point, step = SkillKernel(arrays, 31), some_point(arrays, 3), 1e-5
    value, gradient = kernel.value_and_gradient(point)
    assert value == pytest.approx(kernel.value(point), abs=1e-9)
    for name in (one.name for one in fields(SkillPoint)):
        values, slopes = getattr(point, name), getattr(gradient, name)
        for place in list(np.ndindex(values.shape))[:8]:
            move = np.zeros_like(values)
            move[place] = step
            high, low = (kernel.value(replace(point, **{name: values + sign * move})) for sign in (1, -1))
            assert slopes[place] == pytest.approx((high - low) / (2 * step), rel=1e-6, abs=2e-5), name


def test_three_times_the_nodes_change_nothing() -> None:
    rows = simulate_skills(SMALL, 5).rows
    arrays = skill_arrays(rows, specification(rows))
    point = replace(some_point(arrays, 3), discrimination=np.linspace(1.0, 2.5, 6))
    assert SkillKernel(arrays, 31).value(point) == pytest.approx(SkillKernel(arrays, 93).value(point), abs=1e-3)


def test_moving_skill_and_items_together_changes_nothing() -> None:
    """The origin of skill is a convention: items, levels and the effect of coping moved along, the likelihood stays."""
    rows = simulate_skills(SMALL, 6).rows
    arrays = skill_arrays(rows, specification(rows))
    kernel, point, by = SkillKernel(arrays, 91), some_point(arrays, 1), 0.4
    moved = replace(
        point,
        mean=point.mean + by,
        item_threshold=point.item_threshold
        + by * np.repeat(point.discrimination, [size - 1 for size in arrays.levels]),
        level=point.level - by * point.slope,
        on_coping=point.on_coping - by * point.on_product,
    )
    assert kernel.value(moved) == pytest.approx(kernel.value(point), abs=1e-6)


def test_counts_that_are_split_or_multiplied() -> None:
    made = simulate_skills(SMALL, 7).rows
    arrays = skill_arrays(made, specification(made))
    point = some_point(arrays, 2)
    twice = replace(arrays, count=2 * arrays.count)
    assert SkillKernel(twice, 31).value(point) == pytest.approx(2 * SkillKernel(arrays, 31).value(point))


@pytest.mark.parametrize("countries", [1, 4])
def test_posterior_gradient_and_information(countries: int) -> None:
    rows = simulate_skills(replace(SMALL, countries=countries), 3, missing=0.05).rows
    spec = specification(rows, dif=("skill_1",), coping_effect="each")
    posterior = SkillPosterior(skill_arrays(rows, spec), spec)
    x = posterior.start() + 0.1 * np.random.default_rng(1).normal(size=posterior.size)
    gradient = posterior.value_and_gradient(x)[1]
    moves = 1e-5 * np.eye(posterior.size)
    numeric = np.array([(posterior.value(x + move) - posterior.value(x - move)) / 2e-5 for move in moves])
    np.testing.assert_allclose(gradient, numeric, atol=1e-6 * np.abs(numeric).max(), rtol=1e-6)
    moves = 1e-4 * np.eye(posterior.size)
    slow = [posterior.value_and_gradient(x - move)[1] - posterior.value_and_gradient(x + move)[1] for move in moves]
    np.testing.assert_allclose(posterior.information(x), np.array(slow) / 2e-4, atol=1e-4)


def test_deviations_of_countries_sum_to_zero() -> None:
    rows = simulate_skills(SMALL, 3).rows
    spec = specification(rows)
    posterior = SkillPosterior(skill_arrays(rows, spec), spec)
    natural = posterior.natural(np.random.default_rng(2).normal(size=posterior.size))
    assert isinstance(natural, Natural)
    assert natural.deviation.shape == (11, 3)
    np.testing.assert_allclose(natural.deviation.sum(axis=1), 0, atol=1e-12)
    assert (np.diff(natural.shared["distress_threshold"]) > 0).all()
