"""Ordered outcomes: the likelihood by hand, thresholds by quadrature, known truth, both engines, shares that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import riskmodels as rm
from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.estimates.comparison import grouped_cross_validation, leave_one_out
from riskmodels.estimates.regression import (
    coefficient_estimates,
    marginal_effects,
    predicted_shares,
    prediction_estimates,
)
from riskmodels.fit.regression import fit_regression
from riskmodels.models.cell_likelihood import BinomialCounts, OrderedCounts, thresholds_at
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Variable
from riskmodels.survey.readers import source_from_frame
from tests.test_regression import CODEBOOK, NUMBERS, simulated

LAPLACE = rm.SamplerSpec(engine="laplace")
LEVELS = {"not_at_all": (0,), "a_little": (1,), "fairly": (2,), "very": (3,)}
THRESHOLDS = np.array([-1.0, 0.2, 1.6])
BOOK = replace(
    CODEBOOK,
    variables={
        **CODEBOOK.variables,
        "upset": Variable("upset", "How upset", Answers("u", LEVELS, {"prefer_not_to_say": (9,)}), ordered=True),
        "mood": Variable("mood", "Mood, no order", Answers("u", LEVELS, {"prefer_not_to_say": (9,)})),
    },
)


def answered(seed: int, children: int = 400) -> pd.DataFrame:
    """Girls 0.3 and each year 0.2 more upset; country intercepts vary by 0.6."""
    frame, _ = simulated(seed, children)
    rng = np.random.default_rng(seed + 1)
    country = np.repeat(np.arange(8), children)
    eta = 0.3 * frame["g"] + 0.2 * (frame["a"] - 15) + rng.normal(0, 0.6, 8)[country]
    latent = (eta + rng.logistic(size=len(frame))).to_numpy()
    return frame.assign(u=(latent[:, None] > THRESHOLDS).sum(axis=1).astype(float))


def spec_of(formula: str = "upset ~ gender + age + (1 | country)", **options: object) -> RegressionSpec:
    numbers = NUMBERS if "age" in formula else {}
    return regression_formula(formula, numbers=numbers, **options)  # type: ignore[arg-type]


def rows_of(frame: pd.DataFrame, spec: RegressionSpec) -> RegressionRows:
    return regression_rows(BOOK, source_from_frame(frame), spec.outcome, spec.predictors)


@pytest.mark.parametrize("levels", [2, 3, 4, 5])
def test_the_log_density_is_that_of_the_multinomial(levels: int) -> None:
    rng = np.random.default_rng(levels)
    counts = rng.integers(0, 9, (2, 3, levels)).astype(float)
    steps = rng.uniform(0.2, 2, (levels - 2, 5))
    likelihood = OrderedCounts(counts).given(steps) if levels > 2 else OrderedCounts(counts)
    eta = rng.normal(0, 2, (2, 3, 5))
    cut = thresholds_at(steps) if levels > 2 else np.zeros((1, 1))
    below = special.expit(cut[None, None] - eta[:, :, None])
    edges = np.concatenate([np.zeros((2, 3, 1, 5)), below, np.ones((2, 3, 1, 5))], axis=2)
    expected = (counts[..., None] * np.log(np.diff(edges, axis=2))).sum(axis=(1, 2))
    np.testing.assert_allclose(likelihood.log_density(eta), expected, rtol=1e-10)
    small = 1e-5
    slope, information = likelihood.slope_and_information(eta)
    for place in range(3):
        step = np.zeros_like(eta)
        step[:, place] = small
        up, down = likelihood.log_density(eta + step), likelihood.log_density(eta - step)
        np.testing.assert_allclose(slope[:, place], (up - down) / (2 * small), atol=1e-5)
        numeric = likelihood.slope_and_information(eta - step)[0] - likelihood.slope_and_information(eta + step)[0]
        np.testing.assert_allclose(information[:, place], numeric[:, place] / (2 * small), atol=1e-5)


def test_two_levels_are_the_binomial() -> None:
    rng = np.random.default_rng(0)
    counts, eta = rng.integers(1, 9, (2, 3, 2)).astype(float), rng.normal(size=(2, 3, 4))
    ordered, binomial = OrderedCounts(counts), BinomialCounts(counts[..., 1], counts.sum(axis=-1))
    np.testing.assert_allclose(ordered.log_density(eta), binomial.log_density(eta), rtol=1e-12)
    for one, other in zip(ordered.slope_and_information(eta), binomial.slope_and_information(eta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("priors", ["default", "brms"])
def test_thresholds_of_one_country_by_quadrature(priors: str) -> None:
    """Thirty-one children, three levels, no predictor: both thresholds on a grid, prior and order included."""
    counts = np.array([12.0, 4.0, 15.0])
    frame = pd.DataFrame({"c": "KEN", "w": 1.0, "u": np.repeat([0.0, 1.0, 2.0], counts.astype(int))})
    spec = spec_of("upset ~ 1", weights="none", priors=priors)
    fit = fit_regression(rows_of(frame, spec), spec, replace(LAPLACE, weighted_draws=16_000))
    assert fit.passed
    grid = np.linspace(-7, 5, 1201)
    first, second = np.meshgrid(grid, grid, indexing="ij")
    prior = spec.prior_set.threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.stack([special.expit(first), special.expit(second) - special.expit(first), special.expit(-second)])
        log = (
            (counts[:, None, None] * np.log(shares)).sum(axis=0) + prior.log_density(first) + prior.log_density(second)
        )
    weight = np.where(second > first, np.exp(log - np.nanmax(log)), 0.0)
    weight /= weight.sum()
    draws = fit.posterior["threshold"].transpose("chain", "draw", ...).to_numpy()
    own = np.ones(draws.shape[:2]) / draws[..., 0].size if fit.weights is None else fit.weights
    for k, values in enumerate((first, second)):
        mean = (weight * values).sum()
        sd = np.sqrt((weight * (values - mean) ** 2).sum())
        found = (own * draws[..., k]).sum()
        spread = np.sqrt((own * (draws[..., k] - found) ** 2).sum())
        assert abs(found - mean) < 0.03 * sd
        assert spread == pytest.approx(sd, rel=0.03)


def test_known_thresholds_and_coefficients_come_back() -> None:
    truth = np.array([*THRESHOLDS, 0.3, 0.2])
    found, covered = [], 0
    for seed in range(20):
        spec = spec_of(weights="none")
        table = coefficient_estimates(
            fit_regression(rows_of(answered(200 + seed), spec), spec, LAPLACE), probability=0.9
        ).table
        assert list(table["coefficient"][:2]) == ["threshold: not_at_all | a_little", "threshold: a_little | fairly"]
        found.append(table["estimate"].to_numpy())
        covered += int(((table["low"] < truth) & (truth < table["high"])).sum())
    error = np.std(found, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(np.mean(found, axis=0) - truth) < 4 * error).all()
    assert 80 <= covered <= 99  # of 100; binomial at 0.9, thresholds dependent


def test_shares_of_levels_add_up_and_effects_sum_to_zero() -> None:
    spec = spec_of(weights="none")
    frame = answered(7)
    fit = fit_regression(rows_of(frame, spec), spec, LAPLACE)
    shares = prediction_estimates(fit, {"gender": ["boy", "girl"]}, by=["country"])
    totals = shares.table.assign(draw=shares.draws[0, 0]).groupby(["country", "at gender"])["draw"].sum()
    np.testing.assert_allclose(totals, 1.0, rtol=1e-12)
    assert set(shares.table["level"]) == set(LEVELS)
    effects = marginal_effects(fit, "gender")
    np.testing.assert_allclose(effects.draws.sum(axis=-1), 0.0, atol=1e-12)
    assert effects.table.set_index("level").loc["very", "estimate"] > 0
    whole = prediction_estimates(fit, {"age": [15]}, by=["country"]).table
    seen = pd.crosstab(frame["c"], frame["u"], normalize="index")
    assert (
        np.abs(whole.pivot_table(index="country", columns="level", values="estimate")["very"] - seen[3.0]).max() < 0.06
    )


def test_rows_of_an_ordered_outcome_hold_every_answer_once() -> None:
    frame = answered(3)
    frame.loc[:9, "u"] = 9.0
    rows = rows_of(frame, spec_of())
    assert rows.counts is not None
    assert rows.weight_counts is not None
    assert rows.base == "valid answers"
    assert rows.n.sum() == len(frame) - 10
    np.testing.assert_array_equal(rows.counts.sum(axis=1), rows.n)
    np.testing.assert_array_equal(rows.counts[:, 2:].sum(axis=1), rows.yes)
    np.testing.assert_allclose(rows.weight_counts.sum(axis=1), rows.weight)
    assert (rows.design_effect >= 1).all()
    assert rows_of(frame.assign(u=frame["u"].replace(1.0, 0.0)), spec_of()).outcome_levels.levels == (
        "not_at_all", "fairly", "very",
    )  # fmt: skip


def test_outcomes_without_an_order_are_refused() -> None:
    frame = answered(4)
    for outcome, base, says in (("mood", None, "needs ordered levels"), ("upset", "all asked", "no place in an order")):
        with pytest.raises(rm.InputError, match=says):
            regression_rows(BOOK, source_from_frame(frame), outcome, ["age"], base=base)  # type: ignore[arg-type]
    with pytest.raises(rm.InputError, match="same answer"):
        regression_rows(BOOK, source_from_frame(frame.assign(u=1.0)), "upset", ["age"])


@pytest.mark.fit
def test_both_engines_agree_on_an_ordered_outcome() -> None:
    spec = spec_of("upset ~ gender + age + (1 + age | country)")
    rows = rows_of(answered(11), spec)
    fast = fit_regression(rows, spec, replace(LAPLACE, weighted_draws=16_000))
    slow = fit_regression(rows, spec, rm.SamplerSpec(engine="nuts", draws=1500, target_accept=0.95))
    assert fast.passed
    a, b = (coefficient_estimates(fit).table for fit in (fast, slow))
    assert list(a["coefficient"]) == list(b["coefficient"])
    assert (np.abs(a["estimate"] - b["estimate"]) < 4 * np.hypot(a["mcse"], b["mcse"])).all()
    assert stats.spearmanr(a["sd"], b["sd"]).statistic > 0.8


def test_leaving_out_one_child_of_an_ordered_outcome() -> None:
    """Against the harmonic mean over draws, from shares that the predictions give; two groups refuse what is not covered."""
    spec = spec_of(weights="none")
    fit = fit_regression(rows_of(answered(9, 120), spec), spec, replace(LAPLACE, weighted_draws=16_000))
    loo = leave_one_out(fit)
    assert loo.passed
    assert fit.rows.counts is not None
    shares = np.stack(list(predicted_shares(fit, fit.rows.values).values()), axis=-1)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-12)
    weights = np.ones(shares.shape[:2]) if fit.weights is None else fit.weights
    harmonic = -np.log(np.einsum("cs,csrk->rk", weights, 1 / shares) / weights.sum())
    assert loo.elpd == pytest.approx((fit.rows.counts * harmonic).sum(), abs=0.1)
    assert 6 < loo.p_loo < 14  # three thresholds, two coefficients, eight countries partially pooled
    with pytest.raises(rm.InputError, match="yes/no outcomes only"):
        grouped_cross_validation(fit.rows, spec)
