"""Pooled fits of imputed sets: known truth, Rubin's numbers, every estimand, complete cases and failures beside."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

import riskmodels as rm
from riskmodels.errors import Problem
from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.imputed import imputed_coefficients, pooled_estimates
from riskmodels.estimates.regression import coefficient_estimates, marginal_effects, prediction_estimates
from riskmodels.fit.checks import at_least, below
from riskmodels.fit.imputed import PooledRegressionFit, fit_imputed, impute_and_fit, pool_fits
from riskmodels.fit.pooling import equal_mixture, missing_information, worst_checks
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Codebook, Condition, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import source_from_frame

LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=1000)
CODEBOOK = Codebook(
    study_id="imputed",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=DesignColumns(country="c", weight="w"),
    variables={
        "gender": Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)})),
        "disability": Variable("disability", "Disability", Answers("d", {"no": (0,), "yes": (1,)})),
        "means": Variable("means", "Means", Answers("m", {"low": (0,), "middle": (1,), "high": (2,)}), ordered=True),
        "skill": Variable("skill", "Skill", Answers("s", {})),
    },
    indicators={"y": Indicator("y", "Y", Answers("y", {"no": (0,), "yes": (1,)}))},
)
TRUTH = {
    "Intercept": -1.0,
    "gender: girl": 0.4,
    "disability: yes": 0.6,
    "gender: girl x disability: yes": 0.5,
    "means: middle": -0.3,
    "means: high": -0.6,
    "skill": 0.5,
}
FORMULA = "y ~ gender * disability + means + skill + (1 | country)"


def simulated(seed: int, children: int = 1500, share: float = 0.4) -> pd.DataFrame:
    """Children of four countries; `share` of three predictors is missing, more often among affected girls."""
    rng = np.random.default_rng(seed)
    country = np.repeat(np.arange(4), children)
    size = len(country)
    girl = rng.integers(0, 2, size)
    disability = rng.uniform(size=size) < special.expit(-0.9 + 0.3 * girl + 0.2 * country)
    latent = rng.logistic(size=size) - 0.5 * disability
    means = (latent > -0.6).astype(int) + (latent > 0.8)
    # Skill is rounded so that rows collapse and tests are quick.
    skill = np.round(rng.normal(size=size) + 0.3 * means - 0.4 * disability, 1)
    eta = -1 + np.array([-0.3, -0.1, 0.1, 0.3])[country] + 0.4 * girl + (0.6 + 0.5 * girl) * disability
    eta = eta + np.array([0.0, -0.3, -0.6])[means] + 0.5 * skill
    y = rng.uniform(size=size) < special.expit(eta)
    frame = pd.DataFrame({"c": np.array(["A", "B", "C", "D"])[country], "w": rng.choice([1.0, 2.0], size), "g": girl})
    frame = frame.assign(d=disability, m=means, s=skill, y=y).astype(dict.fromkeys("gdmsy", float))
    affected_girl = (y & (girl == 1)).astype(float)
    for name in "dms" if share else "":
        chance = share + 0.45 * (affected_girl - affected_girl.mean())
        frame.loc[rng.uniform(size=size) < chance, name] = np.nan
    return frame


def spec(text: str = FORMULA) -> RegressionSpec:
    return regression_formula(text, weights="none")


@functools.cache
def small() -> PooledRegressionFit:
    return impute_and_fit(CODEBOOK, source_from_frame(simulated(1, 500)), spec(), imputations=3, sampler=LAPLACE)


def test_known_coefficients_come_back_where_complete_cases_mislead() -> None:
    """6,000 children, 40 % of three predictors missing: pooled within 4 posterior SDs, complete cases far off."""
    frame = simulated(5)
    assert frame[["d", "m", "s"]].isna().mean().to_numpy() == pytest.approx(0.4, abs=0.02)
    fit = impute_and_fit(CODEBOOK, source_from_frame(frame), spec(), imputations=6, sampler=LAPLACE)
    assert fit.passed
    table = imputed_coefficients(fit).table.set_index("coefficient")
    away = (table["estimate"] - pd.Series(TRUTH)) / table["sd"]
    assert (away.drop("Intercept").abs() < 4).all()
    assert abs(table.loc["Intercept", "estimate"] + 1) < 0.2
    wrong = abs(table.loc["gender: girl", "complete_case"] - 0.4)
    assert wrong > 0.8
    assert not table.loc["gender: girl", "complete_case_low"] < 0.4 < table.loc["gender: girl", "complete_case_high"]
    assert table["complete_case_n"].iloc[0] == frame.dropna().shape[0]
    assert table["fraction_of_missing_information"].between(0.01, 0.9).all()
    interaction = table.loc["gender: girl x disability: yes"]
    assert interaction["low"] < 0.5 < interaction["high"]


def test_without_the_outcome_coefficients_would_shrink() -> None:
    """The outcome belongs into the imputation model: left out, the coefficient of skill is attenuated."""
    from riskmodels.design.completed_rows import rows_of_drawn
    from riskmodels.design.missing_predictors import missing_predictors
    from riskmodels.survey.imputation import draw_sets

    source = source_from_frame(simulated(6))
    missing = missing_predictors(CODEBOOK, source, "y", spec().terms)
    blind = replace(missing.answers, outcome=np.zeros_like(missing.answers.outcome))
    means = []
    for answers in (missing.answers, blind):
        fit = fit_imputed(rows_of_drawn(CODEBOOK, missing, draw_sets(answers, 3)), spec(), LAPLACE)
        means.append(coefficient_estimates(fit).table.set_index("coefficient").loc["skill", "estimate"])  # type: ignore[arg-type]
    assert means[0] == pytest.approx(0.5, abs=0.12)
    assert means[1] < 0.75 * means[0]


def test_rubin_s_fraction_of_missing_information() -> None:
    """Against the formulas worked by hand; nothing lost where all sets agree; one set loses nothing."""
    found = missing_information(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[4.0, 1.0], [2.0, 1.0]]))
    ratio = 1.5 * 2 / 3
    degrees = (1 + 1 / ratio) ** 2
    assert found.fraction[0] == pytest.approx((ratio + 2 / (degrees + 3)) / (ratio + 1))
    assert list(found.fraction[1:]) == [0.0]
    assert missing_information(np.ones((1, 2)), np.ones((1, 2))).fraction.tolist() == [0.0, 0.0]
    every = missing_information(np.array([[0.0], [50.0], [-80.0]]), np.full((3, 1), 1e-9)).fraction[0]
    assert 0.99 < every <= 1.0


def test_the_pool_is_an_equal_mixture() -> None:
    """Mean of means; variance = within + between; weights sum to one whatever each set's number of draws."""
    fit = small()
    assert fit.weights is not None
    assert fit.weights.sum() == pytest.approx(1)
    each = [coefficient_estimates(one).table for one in fit.fits]
    pooled = coefficient_estimates(fit).table  # type: ignore[arg-type]
    means, spreads = (np.array([table[name] for table in each]) for name in ("estimate", "sd"))
    np.testing.assert_allclose(pooled["estimate"], means.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(pooled["sd"], np.sqrt((spreads**2).mean(axis=0) + means.var(axis=0)), rtol=1e-9)
    table = imputed_coefficients(fit).table
    for name in ("estimate", "sd", "low", "high", "probability_of_direction"):
        np.testing.assert_allclose(table[name], pooled[name], rtol=1e-9)
    assert (table["mcse"] <= pooled["mcse"] * 1.001).all()


def test_sets_of_different_engines_mix() -> None:
    """Four chains of equal draws and two of weighted ones: each set counts the same."""
    rng = np.random.default_rng(1)
    one, two = rng.normal(0, 1, (4, 500, 1)), rng.normal(10, 1, (2, 300, 1))
    weights = rng.uniform(size=(2, 300))
    parts, joined = equal_mixture([one, two], [None, weights / weights.sum()])
    values = np.concatenate(parts, axis=1)
    assert values.shape == (1, 2600, 1)
    assert joined.sum() == pytest.approx(1)
    assert float((joined[..., None] * values).sum()) == pytest.approx(5, abs=0.15)
    fits = small().fits
    sampled = replace(fits[1], posterior=fits[1].draws, weights=None, engine="nuts")
    mixed = pool_fits([fits[0], sampled], LAPLACE)
    assert mixed.engine == "laplace and nuts"
    assert len(imputed_coefficients(mixed)) == len(TRUTH)


ESTIMANDS: list[Callable[[RegressionFit], Estimates]] = [
    lambda one: marginal_effects(one, "skill"),
    lambda one: marginal_effects(one, "means", by=["country"]),
    lambda one: prediction_estimates(one, {"disability": ["no", "yes"]}, by=["gender"]),
    lambda one: coefficient_estimates(one, odds_ratios=True, probability=0.8),
]


@pytest.mark.parametrize("number", range(len(ESTIMANDS)))
def test_every_estimand_pools(number: int) -> None:
    estimand, fit = ESTIMANDS[number], small()
    pooled, each = pooled_estimates(fit, estimand), [estimand(one).table for one in fit.fits]
    mean = np.mean([table["estimate"] for table in each], axis=0)
    np.testing.assert_allclose(pooled.table["estimate"], mean, rtol=1e-9)
    assert (pooled.table["low"] < mean).all()
    assert (pooled.table["high"] > mean).all()
    assert (pooled.table["probability"] == each[0]["probability"]).all()
    assert (pooled.table["sd"] >= np.min([table["sd"] for table in each], axis=0) * 0.999).all()
    assert pooled.passed
    pooled.require_passed()
    if "probability_of_direction" in pooled.table:
        assert pooled.table["probability_of_direction"].between(0.5, 1).all()
        assert pooled.table["probability_of_direction"].max() > 0.99


def test_one_failed_set_fails_the_pool() -> None:
    fits = small().fits
    bad = replace(fits[1], checks=(*fits[1].checks[:-1], at_least(fits[1].checks[-1].name, "x", float("nan"), 400)))
    pool = pool_fits([fits[0], bad, fits[2]], LAPLACE)
    assert not pool.passed
    assert not imputed_coefficients(pool).passed
    with pytest.raises(rm.errors.GateError, match="imputation 2"):
        pool.require_passed()
    assert not pool_fits([fits[0], replace(fits[1], checks=())], LAPLACE).passed


def test_the_worst_verdict_is_kept() -> None:
    found = worst_checks(
        [
            [below("k", "a", 0.3, 0.7), at_least("n", "a", 900, 400)],
            [below("k", "b", 0.6, 0.7), at_least("n", "b", 500, 400)],
            [below("k", "c", 0.1, 0.7), at_least("n", "c", 700, 400)],
        ]
    )
    assert [(check.name, check.worst_case, check.passed) for check in found] == [
        ("k", "imputation 2: b", True),
        ("n", "imputation 2: b", True),
    ]


def test_equal_seeds_give_equal_pools_and_identity_tells_them_apart() -> None:
    source = source_from_frame(simulated(2, 150))
    simple = spec("y ~ disability + skill + (1 | country)")
    one, two, other = (
        impute_and_fit(CODEBOOK, source, simple, imputations=2, sampler=replace(LAPLACE, seed=seed))
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(one.posterior["coefficient"], two.posterior["coefficient"])
    assert one.fingerprint.id == two.fingerprint.id != other.fingerprint.id
    assert "2 imputations" in one.fingerprint.source
    assert "SYNTHETIC" in repr(one)
    assert "2 imputations" in one._repr_html_()


def test_missing_answers_are_counted_and_few_sets_are_told() -> None:
    fit = small()
    frame = simulated(1, 500)
    skill = fit.missing[fit.missing["predictor"] == "skill"].set_index("country")["children"]
    assert skill.to_dict() == frame["s"].isna().groupby(frame["c"]).sum().to_dict()
    assert "W148" in {note.code for note in fit.notes}
    assert fit.complete_case is not None
    lost = fit.complete_case.rows.lost.set_index("country")["children"]
    every = fit.missing[fit.missing["predictor"] == "any of them"].set_index("country")["children"]
    assert lost.to_dict() == every.to_dict()


def test_nothing_missing_is_one_fit_and_few_complete_cases_are_no_bar() -> None:
    frame = simulated(3, 200, share=0.0)
    fit = impute_and_fit(CODEBOOK, source_from_frame(frame), spec("y ~ gender"), sampler=LAPLACE)
    assert len(fit.fits) == 1
    assert imputed_coefficients(fit).table["fraction_of_missing_information"].eq(0).all()
    holes = frame.assign(
        d=frame["d"].where(np.arange(len(frame)) % 2 == 0), s=frame["s"].where(np.arange(len(frame)) % 2 == 1)
    )
    fit = impute_and_fit(
        CODEBOOK, source_from_frame(holes), spec("y ~ disability + skill"), imputations=2, sampler=LAPLACE
    )
    assert fit.complete_case is None
    assert any(note.code == "I149" and "E101" in note.what for note in fit.notes)
    assert imputed_coefficients(fit).table["complete_case"].isna().all()


def test_imputed_fits_say_who_was_asked_and_what_does_not_vary() -> None:
    frame = simulated(3, 300)
    frame.loc[frame["c"] == "A", "g"] = 1.0
    asked = replace(CODEBOOK.indicators["y"], asked_if=Condition("gender", levels=("girl",)))
    book, source = replace(CODEBOOK, indicators={"y": asked}), source_from_frame(frame)
    fit = impute_and_fit(book, source, spec("y ~ skill"), imputations=2, sampler=LAPLACE)
    assert fit.complete_case is not None
    for one in (fit, *fit.fits, fit.complete_case):
        assert [note.code for note in one.notes].count("W145") == 1
    fit = impute_and_fit(CODEBOOK, source, spec("y ~ gender + skill"), imputations=2, sampler=LAPLACE)
    told = [(note.where, note.count) for note in fit.notes if note.code == "W144"]
    assert told == [("gender", 1)]


def test_settings_are_checked_before_anything_is_read() -> None:
    source = source_from_frame(simulated(3, 50))
    with pytest.raises(rm.InputError) as caught:
        impute_and_fit(CODEBOOK, source, spec(), imputations=1, cycles=0)
    assert len(caught.value.problems) == 2


def test_sets_made_elsewhere_are_fitted() -> None:
    frame = simulated(4, 200)
    rng = np.random.default_rng(0)
    sets = [frame.apply(lambda v: v.where(v.notna(), rng.choice(v.dropna(), len(v)))) for _ in range(2)]
    fit = impute_and_fit(CODEBOOK, source_from_frame(frame), spec(), imputations=sets, sampler=LAPLACE)
    assert len(fit.fits) == 2
    assert fit.fits[0].rows.n.sum() == len(frame)
    with pytest.raises(rm.InputError, match="E149"):
        impute_and_fit(CODEBOOK, source_from_frame(frame), spec(), imputations=[frame, frame], sampler=LAPLACE)


def test_problems_found_in_another_process_arrive_whole() -> None:
    error = rm.InputError(
        [Problem("E147", "fewer than 10 events per coefficient", "outcome", 9, "pool levels")], "study"
    )
    back = pickle.loads(pickle.dumps(error))
    assert (back.problems, back.source, str(back)) == (error.problems, error.source, str(error))
