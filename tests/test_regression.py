"""Regression: formulas, known truth, both engines, marginal effects by hand, faults before any sampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

import riskmodels as rm
from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.estimates.regression import (
    coefficient_estimates,
    marginal_effects,
    predicted_shares,
    prediction_estimates,
)
from riskmodels.fit.checks import convergence
from riskmodels.fit.regression import fit_regression
from riskmodels.fit.weighting import effective_draws
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import source_from_frame

CODES = ("KEN", "NAM", "UGA", "VNM", "THA", "PHL", "ETH", "IDN")
LAPLACE = rm.SamplerSpec(engine="laplace")
CODEBOOK = Codebook(
    study_id="regression",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=DesignColumns(country="c", weight="w"),
    variables={
        "gender": Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)})),
        "age": Variable("age", "Age", Answers("a", {}), low=12, high=17),
        "area": Variable("area", "Area", Answers("r", {"urban": (1,), "rural": (2,), "remote": (3,)})),
        "twin": Variable("twin", "Gender again", Answers("g", {"m": (0,), "f": (1,)})),
    },
    indicators={"y": Indicator("y", "Y", Answers("y", {"no": (0,), "yes": (1,)}))},
)
FORMULA = "y ~ gender * age + (1 + age | country)"
NUMBERS = {"age": (15.0, 1.0)}


def simulated(seed: int, children: int = 400, weighted: bool = False) -> tuple[pd.DataFrame, dict[str, float]]:
    """Children of eight countries; log odds -1.5, girls +0.3, age 0.2, girls x age 0.1; intercepts and slopes vary."""
    rng = np.random.default_rng(seed)
    country = np.repeat(np.arange(8), children)
    deviation = rng.multivariate_normal([0, 0], [[0.36, 0.03], [0.03, 0.01]], 8)
    girl, age = rng.integers(0, 2, len(country)), rng.integers(12, 18, len(country))
    eta = (
        -1.5 + deviation[country, 0] + 0.3 * girl + (0.2 + deviation[country, 1]) * (age - 15) + 0.1 * girl * (age - 15)
    )
    frame = pd.DataFrame(
        {
            "c": np.array(CODES)[country],
            "w": rng.choice([1.0, 2.0, 3.0], len(country)) if weighted else 1.0,
            "g": girl.astype(float),
            "a": age.astype(float),
            "r": rng.choice([1.0, 2.0, 3.0], len(country)),
            "y": (rng.uniform(size=len(country)) < special.expit(eta)).astype(float),
        }
    )
    return frame, {"Intercept": -1.5, "gender: girl": 0.3, "age": 0.2, "gender: girl x age": 0.1}


def rows_of(frame: pd.DataFrame, spec: RegressionSpec) -> RegressionRows:
    return regression_rows(CODEBOOK, source_from_frame(frame), spec.outcome, spec.predictors)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (
            "y ~ gender*age + area + (gender*age|country)",
            "y ~ gender + age + gender:age + area + (1 + gender + age + gender:age | country)",
        ),
        ("y ~ 1", "y ~ 1"),
        ("y ~ gender + (1|country)", "y ~ gender + (1 | country)"),
        ("y ~ age + (0 + age | country)", "y ~ age + (0 + age | country)"),
    ],
)
def test_formulas_are_shown_back_as_read(text: str, read: str) -> None:
    spec = regression_formula(text)
    assert spec.formula == read
    assert regression_formula(spec.formula) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("y ~ log(age)", "not a name"), ("y ~", "not a formula"), ("((", "not a formula"), ("y ~ age - 1", "leaves out the intercept"),
        ("y ~ age + (1 | school)", "by country only"), ("y ~ gender:age", "without main effects"), ("gender + age", "no outcome"),
        ("y ~ age + (1 + gender | country)", "without their main effect"), ("y ~ y", "outcome among the predictors"),
    ],
)  # fmt: skip
def test_formulas_that_are_none(text: str, says: str) -> None:
    with pytest.raises(rm.InputError, match=says):
        regression_formula(text)


def test_constants_and_priors_are_checked_at_once() -> None:
    with pytest.raises(rm.InputError) as caught:
        RegressionSpec("y", (("age",),), numbers={"age": (15, 0), "size": (0, 1)}, priors="loose", weights="some")  # type: ignore[arg-type]
    assert len(caught.value.problems) == 4


def test_rows_hold_every_child_once_and_the_design_matrix_is_that_of_the_formula() -> None:
    frame, _ = simulated(1, weighted=True)
    spec = regression_formula(FORMULA, numbers=NUMBERS)
    rows = rows_of(frame, spec)
    assert rows.n.sum() == len(frame)
    assert rows.yes.sum() == frame["y"].sum()
    assert len(rows) == 8 * 2 * 6
    np.testing.assert_allclose(np.bincount(rows.country, rows.weight), np.bincount(rows.country, rows.n))
    names, design = shared_design(spec, rows, rows.values)
    assert names == ["Intercept", "gender: girl", "age", "gender: girl x age"]
    np.testing.assert_array_equal(design[:, 3], design[:, 1] * (rows.values["age"] - 15))
    other = shared_design(replace(spec, references={"gender": "girl"}), rows, rows.values)[0]
    assert other[1] == "gender: boy"


def test_missing_predictors_are_left_out_and_counted() -> None:
    frame, _ = simulated(2)
    frame.loc[frame["c"] == "KEN", "a"] = np.where(np.arange(400) < 100, np.nan, frame.loc[frame["c"] == "KEN", "a"])
    rows = rows_of(frame, regression_formula("y ~ age"))
    lost = rows.lost.set_index("country")
    assert lost.loc["KEN", "children"] == 100
    assert lost.loc["KEN", "share"] == pytest.approx(0.25)
    assert rows.n.sum() == len(frame) - 100


def test_known_coefficients_come_back() -> None:
    """Twenty surveys: mean of estimates within 4 standard errors of the truth, 90 % intervals cover."""
    found, covered = [], 0
    for seed in range(20):
        frame, truth = simulated(100 + seed)
        spec = regression_formula(FORMULA, numbers=NUMBERS, weights="none")
        table = coefficient_estimates(
            fit_regression(rows_of(frame, spec), spec, LAPLACE), probability=0.9
        ).table.set_index("coefficient")
        found.append(table["estimate"].reindex(list(truth)).to_numpy())
        covered += sum(table.loc[name, "low"] < value < table.loc[name, "high"] for name, value in truth.items())
    error = np.std(found, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(np.mean(found, axis=0) - list(truth.values())) < 4 * error).all()
    assert 62 <= covered <= 80  # of 80; binomial at 0.9, dependent within surveys


@pytest.mark.fit
@pytest.mark.parametrize("priors", ["default", "brms"])
def test_both_engines_agree(priors: str) -> None:
    """Coefficients, SDs and the correlation within 4 Monte Carlo errors; NUTS does not tie deviations to a zero sum."""
    frame, _ = simulated(3, weighted=True)
    spec = regression_formula(FORMULA, numbers=NUMBERS, weights="pseudo", priors=priors)
    rows = rows_of(frame, spec)
    fast = fit_regression(rows, spec, replace(LAPLACE, weighted_draws=16_000))
    slow = fit_regression(rows, spec, rm.SamplerSpec(engine="nuts", draws=3000, tune=1500, target_accept=0.95))
    assert fast.passed
    for name in ("coefficient", "average_coefficient", "country_deviation", "country_sd", "country_correlation"):
        x, y = (fit.posterior[name].to_numpy() for fit in (fast, slow))
        x, y = (values.reshape(*values.shape[:2], -1) for values in (x, y))
        keep = y.std(axis=(0, 1)) > 1e-9
        mean = np.einsum("cs,csq->q", fast.weights, x)
        _, _, error = effective_draws(x, fast.weights, 0.05)  # type: ignore[arg-type]
        distance = np.abs(mean - y.mean(axis=(0, 1)))[keep] / np.hypot(error, convergence(y).mcse)[keep]
        assert distance.max() < 4, name


def test_pseudo_weights_count_children_by_their_weight() -> None:
    """Integer weights and copies of children are the same likelihood."""
    frame, _ = simulated(4, weighted=True)
    copies = frame.loc[frame.index.repeat(frame["w"].astype(int))].assign(w=1.0)
    spec = regression_formula("y ~ gender + (1 | country)", weights="pseudo", numbers={})
    weighted, copied = rows_of(frame, spec), rows_of(copies, spec)
    scale = np.bincount(copied.country, copied.n) / np.bincount(weighted.country, weighted.n)
    np.testing.assert_allclose(weighted.weight_yes * scale[weighted.country], copied.weight_yes, rtol=1e-9)


def test_marginal_effects_by_hand() -> None:
    """Against the same quantities computed draw by draw from the logit's own derivative."""
    frame, _ = simulated(5)
    spec = regression_formula(FORMULA, numbers={"age": (15.0, 2.0)}, weights="none")
    fit = fit_regression(rows_of(frame, spec), spec, LAPLACE)
    rows = fit.rows
    p = predicted_shares(fit, rows.values)["yes"]
    average = fit.posterior["average_coefficient"].to_numpy()
    deviation = fit.posterior["country_deviation"].sel(varying="age").to_numpy()
    slope = (average[..., 2, None] + average[..., 3, None] * rows.values["gender"] + deviation[..., rows.country]) / 2.0
    by_hand = (p * (1 - p) * slope) @ rows.weight / rows.weight.sum()
    np.testing.assert_allclose(marginal_effects(fit, "age").draws[..., 0], by_hand, atol=1e-8)
    girl, boy = (predicted_shares(fit, {**rows.values, "gender": np.full(len(rows), g)})["yes"] for g in (1.0, 0.0))
    effect = marginal_effects(fit, "gender", by=["country"])
    at = rows.country == 3
    expected = (girl - boy)[..., at] @ rows.weight[at] / rows.weight[at].sum()
    place = list(effect.table["country"]).index(rows.countries.labels[3])
    np.testing.assert_allclose(effect.draws[..., place], expected, rtol=1e-10)
    shares = prediction_estimates(fit, {"gender": ["boy", "girl"], "age": [12, 17]}).table
    assert len(shares) == 4
    assert shares["estimate"].between(0, 1).all()


def test_odds_ratios_are_transformed_draw_by_draw() -> None:
    frame, _ = simulated(6)
    spec = regression_formula("y ~ gender + (1 | country)")
    fit = fit_regression(rows_of(frame, spec), spec, LAPLACE)
    ratio, log_odds = coefficient_estimates(fit, odds_ratios=True), coefficient_estimates(fit)
    np.testing.assert_allclose(ratio.draws[..., 0], np.exp(log_odds.draws[..., 1]))
    assert (ratio.table["probability_of_direction"] >= 0.5).all()
    assert "all checks passed" in repr(fit)


def test_faults_are_told_before_anything_is_sampled() -> None:
    frame, _ = simulated(7)
    with pytest.raises(rm.InputError, match="E141"):
        spec = regression_formula("y ~ gender + twin")
        fit_regression(rows_of(frame, spec), spec)
    rare = frame.assign(y=(np.arange(len(frame)) < 15).astype(float))
    with pytest.raises(rm.InputError, match="E147"):
        spec = regression_formula("y ~ gender + age")
        fit_regression(rows_of(rare, spec), spec)
    with pytest.raises(rm.InputError, match="E132"):
        spec = regression_formula("y ~ nosuch")
        rows_of(frame, spec)
    never = frame.assign(y=frame["y"] * (frame["r"] != 3))
    spec = regression_formula("y ~ area")
    fit = fit_regression(rows_of(never, spec), spec, LAPLACE)
    assert "W141" in {note.code for note in fit.notes}
    with pytest.raises(rm.InputError, match="E132"):
        marginal_effects(fit, "gender")


def test_one_country_has_no_deviations() -> None:
    frame, _ = simulated(8)
    spec = regression_formula("y ~ gender + (1 | country)", weights="none")
    fit = fit_regression(rows_of(frame[frame["c"] == "KEN"], spec), spec, LAPLACE)
    assert fit.passed
    assert "country_deviation" not in fit.posterior


def test_a_varying_term_takes_the_spelling_of_the_term_it_varies() -> None:
    spec = RegressionSpec("risk", terms=(("age",), ("gender",), ("age", "gender")), varying=((), ("gender", "age")))
    assert spec.varying == ((), ("age", "gender"))


def test_notes_tell_predictors_that_do_not_vary_in_a_country() -> None:
    frame, _ = simulated(8)
    frame.loc[frame["c"] == "KEN", "g"] = 1.0
    study = rm.study_from_frame(frame, CODEBOOK)
    notes = study.regression("y ~ gender + (1 | country)", sampler=LAPLACE).notes
    assert [(one.code, one.where, one.count) for one in notes] == [("W144", "gender", 1)]
