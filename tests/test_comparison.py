"""Comparing regressions: against exact integrals, brute-force refits and arviz; laws; faults before any fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats import loo
from arviz_stats.base import array_stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

import riskmodels as rm
from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.estimates.comparison import (
    common_rows,
    compare_models,
    grouped_cross_validation,
    leave_one_out,
    screen_slopes,
    split_rows,
    stacking_weights,
)
from riskmodels.estimates.comparison.groups import some_rows
from riskmodels.estimates.comparison.held_out import averaged, held_out
from riskmodels.estimates.comparison.scores import answer_counts
from riskmodels.estimates.comparison.smoothing import smoothed_ratios, tail_length
from riskmodels.estimates.regression import predicted_shares
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.weighting import effective_draws
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import source_from_frame

CODES = ("KEN", "NAM", "UGA", "VNM", "THA", "PHL", "ETH", "IDN")
MANY = rm.SamplerSpec(engine="laplace", weighted_draws=16_000)
FAST = rm.SamplerSpec(engine="laplace")
CODEBOOK = Codebook(
    study_id="comparison",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=DesignColumns(country="c", weight="w"),
    variables={
        "gender": Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)})),
        "age": Variable("age", "Age", Answers("a", {}), low=12, high=17),
    },
    indicators={
        "y": Indicator("y", "Y", Answers("y", {"no": (0,), "yes": (1,)})),
    },
)
POOLED = RegressionSpec("y", (), varying=(), weights="none")
INTERCEPTS = RegressionSpec("y", (), varying=((),), weights="none")


def children(seed: int, countries: int = 5, each: int = 60, slope_sd: float = 0.0, girl: float = 0.0) -> pd.DataFrame:
    """Log odds -1 with SD 0.7 between countries; girls `girl` more, by country with `slope_sd`."""
    rng = np.random.default_rng(seed)
    country = np.repeat(np.arange(countries), each)
    gender, age = rng.integers(0, 2, len(country)), rng.integers(12, 18, len(country))
    slope = girl + slope_sd * rng.standard_normal(countries)
    eta = -1 + 0.7 * rng.standard_normal(countries)[country] + slope[country] * gender
    return pd.DataFrame(
        {
            "c": np.array(CODES)[country],
            "w": rng.choice([1.0, 3.0], len(country)),
            "g": gender.astype(float),
            "a": age.astype(float),
            "y": (rng.uniform(size=len(country)) < special.expit(eta)).astype(float),
        }
    )


def rows_of(frame: pd.DataFrame, *predictors: str) -> RegressionRows:
    return regression_rows(CODEBOOK, source_from_frame(frame), "y", predictors)


def likelihood(mass: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Log density of (no, yes) counts, shape (rows, 2), at log odds of shape (grid,)."""
    return -mass[:, :1] * np.logaddexp(0, eta) - mass[:, 1:] * np.logaddexp(0, -eta)


def pooled_posterior(spec: RegressionSpec) -> tuple[np.ndarray, np.ndarray]:
    """Grid of the only parameter of `y ~ 1`, and its log prior up to a constant."""
    grid = np.linspace(-8, 6, 40_001)
    prior = spec.prior_set.intercept
    return grid, stats.norm(prior.location, prior.scale).logpdf(grid)


@pytest.mark.parametrize("weights", ["none", "pseudo", "effective"])
def test_one_parameter_against_exact_integrals(weights: str) -> None:
    """Every leave-one-child-out density and the sum, at Monte Carlo accuracy; `part` is what a child counts."""
    spec = replace(POOLED, weights=weights)
    rows = rows_of(children(1, each=25))
    found = leave_one_out(fit_regression(rows, spec, MANY))
    grid, prior = pooled_posterior(spec)
    number, mass, _ = answer_counts(rows, spec)
    posterior = prior + likelihood(mass, grid).sum(axis=0)
    log_p = np.stack([-np.logaddexp(0, grid), -np.logaddexp(0, -grid)])
    exact = np.zeros_like(mass)
    for row, answer in np.argwhere(number > 0):
        without = posterior - mass[row, answer] / number[row, answer] * log_p[answer]
        exact[row, answer] = special.logsumexp(without + log_p[answer]) - special.logsumexp(without)
    np.testing.assert_allclose(found.scores.density, exact[number > 0], atol=5e-4)
    assert found.elpd == pytest.approx((exact * mass).sum(), abs=0.01)
    in_sample = np.array([special.logsumexp(posterior + p) - special.logsumexp(posterior) for p in log_p])
    assert found.p_loo == pytest.approx((mass @ in_sample).sum() - (exact * mass).sum(), abs=0.01)
    assert found.passed


def test_leaving_out_a_child_is_refitting_without_it() -> None:
    """Brute force in a hierarchical model: rows less one child, refitted, for every row and answer."""
    rows = rows_of(children(2, countries=4, each=30))
    found = leave_one_out(fit_regression(rows, INTERCEPTS, MANY))
    number = answer_counts(rows, INTERCEPTS)[0]
    exact, error = [], []
    for row, answer in np.argwhere(number > 0):
        less = np.zeros(len(rows))
        less[row] = 1.0
        fit = fit_regression(replace(rows, n=rows.n - less, yes=rows.yes - less * answer), INTERCEPTS, MANY)
        share = predicted_shares(fit, rows.values)["yes"][..., [row]]
        share = share if answer else 1 - share
        mean = float(np.einsum("cs,csq->q", fit.weights, share)[0])
        exact.append(np.log(mean))
        error.append(effective_draws(share, fit.weights, 0.05)[2][0] / mean)  # type: ignore[arg-type]
    assert (np.abs(found.scores.density - exact) < 4 * np.sqrt(2) * np.array(error)).all()
    assert max(error) < 0.01


def test_monte_carlo_error_is_what_another_seed_moves() -> None:
    """Standard deviation over 30 seeds within the 99.9 % range of a chi distribution around the stated error."""
    rows = rows_of(children(16), "gender")
    spec = regression_formula("y ~ gender + (1 | country)", weights="none")
    found = [leave_one_out(fit_regression(rows, spec, replace(FAST, seed=seed))) for seed in range(30)]
    ratio = np.std([result.elpd for result in found], ddof=1) / np.mean([result.mcse for result in found])
    low, high = np.sqrt(stats.chi2(29).ppf([0.0005, 0.9995]) / 29)
    assert low < ratio < high


def as_equal_draws(fit: RegressionFit) -> RegressionFit:
    return replace(fit, posterior=fit.draws, weights=None)


def test_agreement_with_arviz_on_one_row_per_child() -> None:
    """An independent implementation on the expanded data: same sums, errors, parameters and Pareto k."""
    rows = rows_of(children(3), "gender")
    spec = regression_formula("y ~ gender + (1 | country)", weights="none")
    fit = as_equal_draws(fit_regression(rows, spec, FAST))
    found = leave_one_out(fit, relative_efficiency=1.0)
    share = predicted_shares(fit, rows.values)["yes"]
    child = np.repeat(np.tile([0, 1], len(rows)), np.stack([rows.n - rows.yes, rows.yes], axis=1).ravel().astype(int))
    row = np.repeat(np.arange(len(rows)), rows.n.astype(int))
    each = np.log(np.where(child == 1, share[..., row], 1 - share[..., row]))
    tree = xr.DataTree.from_dict(
        {
            "posterior": fit.posterior[["coefficient"]],
            "log_likelihood": xr.Dataset({"y": (("chain", "draw", "child"), each)}),
        }
    )
    theirs = loo(tree, var_name="y", pointwise=True, reff=1.0)
    assert len(child) == rows.n.sum()
    assert found.elpd == pytest.approx(float(theirs.elpd), rel=1e-9)
    assert found.se == pytest.approx(float(theirs.se), rel=1e-2)
    assert found.p_loo == pytest.approx(float(theirs.p), rel=1e-6)
    assert found.largest_k == pytest.approx(float(np.max(theirs.pareto_k)), abs=1e-9)
    own_choice = leave_one_out(fit)
    assert own_choice.elpd == pytest.approx(found.elpd, abs=0.05)


def test_standard_errors_count_children_and_their_weights() -> None:
    """By hand on one row per child; weights alike within a row and answer, where shared-out squares are exact."""
    frame = children(4).assign(w=lambda f: np.where(f["y"] == 1, 2.0, 1.0))
    rows = rows_of(frame)
    for weights in ("none", "pseudo"):
        found = leave_one_out(fit_regression(rows, replace(INTERCEPTS, weights=weights), FAST))
        number, mass, _ = answer_counts(rows, replace(INTERCEPTS, weights=weights))
        given_answers = number > 0
        times = number[given_answers].astype(int)
        each = np.repeat(found.scores.density, times)
        weight = np.repeat(mass[given_answers] / number[given_answers], times)
        centred = each - np.average(each, weights=weight)
        by_hand = np.sqrt(len(each) / (len(each) - 1) * (weight**2 * centred**2).sum())
        assert found.se == pytest.approx(by_hand, rel=1e-9)
        if weights == "none":
            assert found.se == pytest.approx(np.std(each, ddof=1) * np.sqrt(len(each)), rel=1e-9)


def halved(rows: RegressionRows) -> tuple[RegressionRows, np.ndarray]:
    """Every row in two parts, every part with its label."""
    half = {name: getattr(rows, name) / 2 for name in ("weight", "weight_yes", "weight_squared")}
    low = {"n": np.floor(rows.n / 2), "yes": np.floor(rows.yes / 2), **half}
    high = {name: getattr(rows, name) - values for name, values in low.items()}
    parts = pd.concat([pd.DataFrame(low), pd.DataFrame(high)], names=["row"])
    return split_rows(rows, parts.reset_index(names="row").assign(group=range(2 * len(rows))))


def test_parts_must_add_up() -> None:
    rows = rows_of(children(18))
    parts = pd.DataFrame({name: getattr(rows, name) for name in ("n", "yes", "weight", "weight_yes", "weight_squared")})
    parts = parts.assign(row=range(len(rows)), group="a")
    assert split_rows(rows, parts)[0].content_hash == rows.content_hash
    with pytest.raises(rm.InputError, match="do not add up"):
        split_rows(rows, parts.assign(yes=0.0))


def test_how_rows_are_split_changes_nothing() -> None:
    rows = rows_of(children(9), "gender")
    spec = regression_formula("y ~ gender + (1 | country)", weights="none")
    fit = fit_regression(rows, spec, FAST)
    whole, split = leave_one_out(fit), leave_one_out(replace(fit, rows=halved(rows)[0]))
    for name in ("elpd", "se", "p_loo", "largest_k"):
        assert getattr(whole, name) == pytest.approx(getattr(split, name), rel=1e-9)


def test_equal_models_differ_by_nothing_and_a_real_predictor_wins() -> None:
    frame = children(10, girl=1.5, each=150)
    with_girls = regression_formula("y ~ gender + (1 | country)", weights="none")
    rows = common_rows(CODEBOOK, source_from_frame(frame), [INTERCEPTS, with_girls])
    fits = {"with": fit_regression(rows, with_girls, FAST), "without": fit_regression(rows, INTERCEPTS, FAST)}
    same = compare_models({"one": fits["with"], "two": leave_one_out(fits["with"])}).table
    assert (same["elpd_difference"] == 0).all()
    assert (same["se_difference"] == 0).all()
    found = compare_models({"without": fits["without"], "with": fits["with"]})
    best, other = found.table.iloc[0], found.table.iloc[1]
    assert (best["model"], best["reading"], other["reading"]) == ("with", "best", "predicts worse")
    assert other["elpd_difference"] < -2 * other["se_difference"] < 0
    assert best["stacking_weight"] > 0.9
    assert found.passed
    assert "SYNTHETIC" in found._repr_html_()
    grouped = {name: grouped_cross_validation(rows, fit.spec, FAST) for name, fit in fits.items()}
    assert compare_models(grouped).table["model"][0] == "with"


@settings(max_examples=30)
@given(st.floats(0.01, 3), st.floats(0.2, 1.2), st.integers(0, 10**6))
def test_pareto_smoothing_agrees_with_arviz(scale: float, efficiency: float, seed: int) -> None:
    """Light to hopeless tails, at any length of tail, against the independent implementation."""
    log_ratios = scale * np.random.default_rng(seed).standard_t(5, (2000, 3))
    smoothed, k = smoothed_ratios(log_ratios, tail_length(2000, efficiency))
    smoothed = smoothed - special.logsumexp(smoothed, axis=0)
    for column in range(3):
        theirs, their_k = array_stats.psislw(-log_ratios[:, column], r_eff=efficiency)
        np.testing.assert_allclose(smoothed[:, column], theirs, atol=1e-8)
        assert k[column] == pytest.approx(float(their_k), abs=1e-8)
    assert smoothed_ratios(np.ones((100, 1)), 20)[1].tolist() == [0.0]
    assert smoothed_ratios(np.repeat([[0.0], [1.0]], 50, axis=0), 20)[1].tolist() == [np.inf]


@settings(max_examples=60)
@given(st.integers(1, 5), st.integers(2, 40), st.integers(0, 10**6))
def test_stacking_weights_are_the_best_mixture(models: int, units: int, seed: int) -> None:
    """On the simplex, and no model outside the mixture would improve it (the optimality conditions)."""
    rng = np.random.default_rng(seed)
    density, mass = rng.normal(-1, 2, (units, models)), rng.uniform(0.1, 3, units)
    weights = stacking_weights(density, mass)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    p = np.exp(density - density.max(axis=1, keepdims=True))
    gain = (mass / mass.sum() / (p @ weights)) @ p
    assert gain.max() < 1 + 1e-4
    order = rng.permutation(models)
    mixed = np.log(p @ weights) @ mass
    assert np.log(p[:, order] @ stacking_weights(density[:, order], mass)) @ mass == pytest.approx(mixed, abs=1e-4)


def test_slopes_that_vary_are_found_and_others_are_not() -> None:
    frame = children(11, countries=8, each=400, slope_sd=0.9)
    spec = regression_formula("y ~ gender + age + (1 | country)", weights="none", numbers={"age": (15.0, 2.0)})
    screen = screen_slopes(rows_of(frame, "gender", "age"), spec, FAST)
    table = screen.table.set_index("predictor")
    assert table.loc["gender", "elpd_difference"] > 2 * table.loc["gender", "se_difference"]
    assert table.loc["gender", "low"] < 0.9 < table.loc["gender", "high"]
    assert table.loc["gender", "reading"] == "predicts better"
    assert table.loc["age", "reading"].startswith("no clear difference")
    assert screen.passed
    assert [fit.spec.varying for fit in screen.fits.values()] == [((),), ((), ("gender",)), ((), ("age",))]


def test_a_high_pareto_k_and_a_failed_fit_are_told() -> None:
    rows = rows_of(children(12))
    fit = as_equal_draws(fit_regression(rows, POOLED, FAST))
    wide = fit.posterior.copy()
    wide["average_coefficient"] = wide["average_coefficient"] * 0 + np.random.default_rng(1).normal(
        0, 8, wide["average_coefficient"].shape
    )
    found = leave_one_out(replace(fit, posterior=wide))
    assert not found.passed
    assert found.share_high_k == 1
    assert "CHECKS FAILED" in found._repr_html_()
    table = compare_models({"good": leave_one_out(fit), "bad": found}).table.set_index("model")
    assert table.loc["bad", "reading"] == "checks failed: not to be relied on"
    assert not leave_one_out(replace(fit, checks=(replace(fit.checks[0], passed=False),))).passed


def test_faults_are_told_before_any_fit() -> None:
    frame = children(13)
    rows, fewer = rows_of(frame, "gender"), rows_of(frame[frame["a"] > 12], "gender")
    fit = fit_regression(rows, INTERCEPTS, FAST)
    other = leave_one_out(fit_regression(fewer, replace(INTERCEPTS, weights="pseudo"), FAST))
    with pytest.raises(rm.InputError, match="different children") as caught:
        compare_models({"all": fit, "some": replace(other, outcome="other")})
    assert len(caught.value.problems) == 3
    with pytest.raises(rm.InputError, match="different criteria"):
        compare_models({"child": fit, "country": grouped_cross_validation(rows, INTERCEPTS, FAST)})
    with pytest.raises(rm.InputError, match="no model"):
        compare_models({})
    with pytest.raises(rm.InputError, match="not one outcome"):
        common_rows(CODEBOOK, source_from_frame(frame), [INTERCEPTS, replace(INTERCEPTS, outcome="other")])
    for groups, folds, says in (
        ("school", None, "no such groups"), ([1, 2], None, "one group label per row"), ([None] * len(rows), None, "without a group"),
        ("country", 9, "cannot be left out"), ("country", 1, "cannot be left out"), ([1] * len(rows), None, "cannot be left out"),
    ):  # fmt: skip
        with pytest.raises(rm.InputError, match=says):
            grouped_cross_validation(rows, INTERCEPTS, groups=groups, folds=folds)
    two = rows_of(frame[frame["c"].isin(["KEN", "NAM"])])
    with pytest.raises(rm.InputError, match="E142") as caught:
        grouped_cross_validation(two, INTERCEPTS)
    assert len(caught.value.problems) == 2
    rare = rows_of(frame.assign(y=(frame["c"] == "KEN") & (np.arange(len(frame)) < 12)).astype({"y": float}))
    with pytest.raises(rm.InputError, match="without KEN"):
        grouped_cross_validation(rare, INTERCEPTS)
    with pytest.raises(rm.InputError, match="E195"):
        screen_slopes(rows, INTERCEPTS)
    with pytest.raises(rm.InputError, match="E142"):
        screen_slopes(rows_of(frame[frame["c"] == "KEN"], "gender"), regression_formula("y ~ gender + (1 | country)"))


@pytest.mark.fit
def test_both_engines_agree_on_what_is_left_out() -> None:
    """Within 4 Monte Carlo errors, leaving out a child and leaving out a country."""
    rows = rows_of(children(17, countries=4), "gender")
    spec = regression_formula("y ~ gender + (1 + gender | country)", weights="pseudo")
    fast = fit_regression(rows, spec, MANY)
    nuts = rm.SamplerSpec(engine="nuts", draws=1000, target_accept=0.95)
    slow = fit_regression(rows, spec, nuts)
    one, other = leave_one_out(fast), leave_one_out(slow)
    assert slow.weights is None
    assert abs(one.elpd - other.elpd) < 4 * np.hypot(one.mcse, other.mcse)
    at = rows.country == 1
    held = held_out(rows, spec)
    without = some_rows(rows, ~at)
    values, errors = [], []
    for sampler in (MANY, nuts):
        fit = fit_regression(without, spec, sampler)
        joint, _ = held.predicted(fit, np.flatnonzero(at), np.random.default_rng(1))
        value, error, k = averaged(fit, joint)
        assert k < 0.7
        values.append(value)
        errors.append(error)
    assert abs(values[0] - values[1]) < 4 * np.hypot(*errors)
