"""Fits of the skill pathway: both engines alike, known truth found, what must not be found not found, identity."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

import riskmodels as rm
from riskmodels.errors import GateError, InputError
from riskmodels.estimates.skill_coefficients import attenuation, item_parameters, item_shifts, skill_coefficients
from riskmodels.fit import skill_fit
from riskmodels.fit.checks import convergence
from riskmodels.fit.skill_approximation import approximate
from riskmodels.fit.skill_fit import SkillFit, fit_skills
from riskmodels.fit.skill_hmc import MixedSpace, expected_moments, mixing
from riskmodels.fit.weighting import effective_draws
from riskmodels.models.skill_arrays import skill_arrays
from riskmodels.models.skill_posterior import SkillPosterior
from riskmodels.models.skill_simulation import SimulatedSkills, SkillTruth, simulate_skills
from tests.test_skill_kernel import specification

SMALL = SkillTruth(countries=3, children=300, exposure=(-1.0, 0.4))
FAST = rm.SamplerSpec(engine="laplace", weighted_draws=1000)


@pytest.fixture
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """No further draws where few are effective: for tests that do not ask whether the gate was passed."""
    monkeypatch.setattr(skill_fit, "MORE_DRAWS", (1,))


@cache
def made() -> SimulatedSkills:
    return simulate_skills(SMALL, 1)


@cache
def fitted(engine: str) -> SkillFit:
    sampler = rm.SamplerSpec(engine=engine, draws=300, tune=100, chains=2)  # type: ignore[arg-type]
    return fit_skills(made().rows, specification(made().rows), sampler)


def test_the_fast_engine_passes_and_says_what_it_did() -> None:
    fit = fitted("laplace")
    assert fit.passed, "\n".join(map(str, fit.checks))
    assert fit.engine == "laplace" and "k-hat" in fit.engine_reason
    assert "SYNTHETIC" in repr(fit) and "exposure" not in repr(fit)
    assert {problem.code for problem in fit.notes} == {"W143"}


def test_both_engines_agree_within_their_monte_carlo_errors() -> None:
    """Weighted draws and Hamiltonian Monte Carlo share the density and nothing else."""
    fast, slow = fitted("laplace"), fitted("nuts")
    assert slow.engine == "hmc"
    assert fast.weights is not None
    distances = []
    for name in fast.posterior.data_vars:
        left, right = (one.posterior[name].to_numpy() for one in (fast, slow))
        left, right = (values.reshape(*values.shape[:2], -1) for values in (left, right))
        moving = np.ptp(left, axis=(0, 1)) > 0
        _, _, error = effective_draws(left[..., moving], fast.weights, 0.05)
        mean = np.einsum("cs,csq->q", fast.weights, left[..., moving])
        distances += list(
            (mean - right[..., moving].mean(axis=(0, 1))) / np.hypot(error, convergence(right[..., moving]).mcse)
        )
    assert np.abs(distances).max() < 4
    assert np.mean(np.square(distances)) < 1.6


def test_the_same_seed_gives_the_same_numbers(one_round: None) -> None:
    rows = simulate_skills(replace(SMALL, countries=1), 1).rows
    spec, sampler = specification(rows), replace(FAST, weighted_draws=500)
    first, second = (fit_skills(rows, spec, sampler) for _ in range(2))
    assert first.fingerprint.id == second.fingerprint.id
    np.testing.assert_array_equal(first.posterior["slope"], second.posterior["slope"])
    other = fit_skills(rows, replace(spec, coping_effect="each"), sampler)
    assert other.fingerprint.id != first.fingerprint.id


def test_partly_non_centred_coordinates_have_the_gradient_of_their_density() -> None:
    rows = made().rows
    posterior = SkillPosterior(skill_arrays(rows, specification(rows)), specification(rows))
    approximation = approximate(posterior)
    space = MixedSpace(posterior, mixing(approximation))
    mean, covariance = expected_moments(approximation, space, 1)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    psi = mean + 0.3 * np.sqrt(np.diagonal(covariance))
    x, sd = space.split(psi)
    np.testing.assert_allclose(space.join(x, psi[posterior.size :]), psi)
    assert (sd > 0).all()
    gradient = space.value_and_gradient(psi)[1]
    places = [*range(0, space.size, 7), *range(posterior.size, space.size)]
    moves = 1e-5 * np.eye(space.size)[places]
    numeric = [(space.value_and_gradient(psi + m)[0] - space.value_and_gradient(psi - m)[0]) / 2e-5 for m in moves]
    np.testing.assert_allclose(gradient[places], numeric, rtol=1e-5, atol=1e-3)


def test_a_country_without_a_question_borrows() -> None:
    rows = made().rows
    coping = rows.coping.copy()
    coping[rows.country == 0, 0] = -1
    fit = fit_skills(replace(rows, coping=coping), specification(rows), replace(FAST, weighted_draws=2000))
    sd = fit.draws["level"].std(("chain", "draw")).to_numpy()
    assert fit.passed
    assert sd[0, 1] > 1.3 * sd[1:, 1].max()


def _distances(truth: SkillTruth, seeds: range, measurement: str = "latent") -> np.ndarray:
    """Estimate minus truth over posterior SD: average effects of skill, effect of coping, their product."""
    found = []
    for seed in seeds:
        one = simulate_skills(truth, seed)
        fit = fit_skills(one.rows, specification(one.rows, measurement=measurement), FAST)
        own, parts, aims = fit.draw_weights.ravel(), [], []
        for name, aim in (
            ("average_slope", one.slope.mean(axis=0)),
            ("on_coping", truth.distress[1:2]),
            ("on_product", truth.distress[2:]),
        ):
            values = fit.posterior[name].to_numpy()
            parts.append(values.reshape(own.size, -1))
            aims.append(np.asarray(aim))
        draws, aim = np.concatenate(parts, axis=1), np.concatenate(aims)
        mean = own @ draws
        found.append((mean - aim) / np.sqrt(own @ (draws - mean) ** 2))
    return np.array(found)


ONE_COUNTRY = SkillTruth(countries=1, children=4000, exposure=(-1.2, 0.4))


def test_one_data_set_is_not_far_off(one_round: None) -> None:
    """Seven effects of one survey: none four posterior SDs away, and not all too close."""
    distances = _distances(replace(ONE_COUNTRY, children=2000), range(7, 8))
    assert np.abs(distances).max() < 4
    assert 0.001 < stats.chi2.sf((distances**2).sum(), distances.size) < 0.999


@pytest.mark.slow
def test_the_truth_is_found() -> None:
    """12 data sets, 7 effects: squared distances add up to a chi-square; no effect is off on average (4 sigma)."""
    distances = _distances(ONE_COUNTRY, range(100, 112))
    assert 0.0005 < stats.chi2.sf((distances**2).sum(), distances.size) < 0.9995
    assert np.abs(distances.mean(axis=0)).max() < 4 / np.sqrt(len(distances))


@pytest.mark.slow
def test_where_skill_does_nothing_nothing_is_found() -> None:
    null = replace(
        ONE_COUNTRY, exposure=(-1.2, 0.0), coping=((-0.3, 0.0), (0.0, 0.0), (-0.6, 0.0)), distress=(0.0, -0.4, 0.0)
    )
    distances = _distances(null, range(200, 210))
    beyond = int((np.abs(distances[:, [0, 1, 2, 3, 4, 6]]) > 1.96).sum())
    assert beyond <= stats.binom.ppf(0.9995, 60, 0.05)


def test_scores_attenuate_and_latent_skill_does_not(one_round: None) -> None:
    """Three yes/no items: the score's effect on exposure is smaller by far, as reliability predicts."""
    truth = replace(
        ONE_COUNTRY, children=3000, discrimination=(1.2, 1.2, 1.2), item_levels=2, exposure=(-1.2, 0.8), girl=None
    )
    one = simulate_skills(truth, 5)
    fits = {
        measurement: fit_skills(one.rows, specification(one.rows, measurement=measurement), FAST)
        for measurement in ("latent", "score", "eap")
    }
    slopes = {name: float(fit.draws["average_slope"].to_numpy()[..., 0].mean()) for name, fit in fits.items()}
    table = attenuation(fits["latent"], fits["score"]).set_index("coefficient")
    assert table.loc["skill -> exposed", "ratio"] == pytest.approx(slopes["score"] / slopes["latent"], rel=0.02)
    with pytest.raises(InputError, match="E195"):
        item_parameters(fits["score"])
    assert slopes["latent"] == pytest.approx(0.8, abs=0.2)
    assert slopes["score"] < 0.75 * slopes["latent"]
    assert slopes["score"] < slopes["eap"]


def test_items_that_work_differently_are_found(one_round: None) -> None:
    """One item is harder in the first country; told so, the model says by how much and skill stays comparable."""
    one = simulate_skills(replace(SMALL, children=500, skill_sd=0.0, girl=None), 3)
    answers = one.rows.answers.copy()
    moved = (one.rows.country == 0) & (np.random.default_rng(1).uniform(size=len(answers)) < 0.5)
    answers[moved, 0] = np.maximum(answers[moved, 0] - 1, 0)
    rows = replace(one.rows, answers=answers)
    naive, told = (fit_skills(rows, specification(rows, dif=dif), FAST) for dif in ((), ("skill_1",)))
    shift = told.draws["item_shift"].mean(("chain", "draw")).to_numpy()[0]
    assert shift[0] > 0.4 and np.abs(shift.sum()) < 1e-8
    table = item_shifts(told).table
    assert table["probability_matters"].iloc[0] > 0.5 > table["probability_matters"].iloc[1:].max()
    skill = [float(fit.draws["skill_mean"].mean(("chain", "draw"))[0]) for fit in (naive, told)]
    assert abs(skill[1]) < abs(skill[0])


def test_a_fit_that_fails_its_checks_cannot_be_released(one_round: None) -> None:
    fit = fit_skills(made().rows, specification(made().rows, nodes=15), replace(FAST, weighted_draws=500))
    if fit.passed:  # the quadrature check is what must fail at 15 nodes
        pytest.fail("15 nodes cannot be enough for items as steep as these")
    with pytest.raises(GateError, match="summing over skill"):
        fit.require_passed()


def test_coefficients_and_items_say_what_the_fit_holds() -> None:
    fit = fitted("laplace")
    pooled, own = skill_coefficients(fit), skill_coefficients(fit, by=["country"])
    assert list(pooled.table["coefficient"])[-1] == "skill x any strategy -> distress"
    np.testing.assert_allclose(pooled.draws[..., :5], fit.posterior["average_slope"])
    per_country = own.draws.reshape(*own.draws.shape[:2], 5, 3)
    np.testing.assert_allclose(per_country.mean(axis=-1), fit.posterior["average_slope"], atol=1e-12)
    assert ((pooled.table["probability_of_direction"] >= 0.5) & (pooled.table["probability_of_direction"] <= 1)).all()
    assert len(item_parameters(fit)) == 6
    for wrong in (lambda: item_shifts(fit), lambda: attenuation(fit, fit)):
        with pytest.raises(InputError, match="E195"):
            wrong()
