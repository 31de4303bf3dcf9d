"""Monotonic effects and the regularised horseshoe: read from formulas, refused where they cannot be, known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

import riskmodels as rm
from riskmodels.design.regression_rows import regression_rows
from riskmodels.errors import FitError
from riskmodels.estimates.regression import coefficient_estimates, prediction_estimates
from riskmodels.fit.regression import fit_regression
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Variable
from riskmodels.survey.readers import source_from_frame
from tests.test_regression import CODEBOOK, simulated

MONEY = Variable("money", "Family's money", Answers("r", {"low": (1,), "middle": (2,), "high": (3,)}), ordered=True)
BOOK = replace(
    CODEBOOK,
    variables={
        **CODEBOOK.variables,
        "money": MONEY,
        **{f"x{k}": Variable(f"x{k}", f"X {k}", Answers(f"x{k}", {}), low=-9, high=9) for k in range(8)},
    },
)
NUTS = rm.SamplerSpec(engine="nuts", draws=500, tune=700, target_accept=0.95)


def test_mo_is_read_and_shown_back() -> None:
    spec = regression_formula("y ~ gender + mo(money) + (1 + gender | country)")
    assert spec.monotonic == ("money",)
    assert spec.formula == "y ~ gender + mo(money) + (1 + gender | country)"
    assert regression_formula(spec.formula) == spec
    assert spec.content_hash != regression_formula("y ~ gender + money + (1 + gender | country)").content_hash


@pytest.mark.parametrize(
    "text",
    ["y ~ gender * mo(money)", "y ~ mo(money) + (1 + mo(money) | country)", "y ~ mo(money) + gender + money:gender"],
)
def test_monotonic_effects_stand_alone(text: str) -> None:
    with pytest.raises(rm.InputError, match="main effects"):
        regression_formula(text)


def test_what_the_fast_engine_cannot_do_is_said_before_anything_is_fitted() -> None:
    frame, _ = simulated(1)
    source = source_from_frame(frame)
    with pytest.raises(rm.InputError, match="needs ordered levels"):
        regression_rows(BOOK, source, "y", ["area"], monotonic=["area"])
    spec = regression_formula("y ~ mo(money)")
    rows = regression_rows(BOOK, source, "y", spec.predictors, monotonic=spec.monotonic)
    for shape in (spec, RegressionSpec("y", (("money",),), varying=(), horseshoe=1.0)):
        with pytest.raises(FitError, match="not log-concave"):
            fit_regression(rows, shape, rm.SamplerSpec(engine="laplace"))
    with pytest.raises(rm.InputError, match="above 0"):
        RegressionSpec("y", (("money",),), horseshoe=0.0)


@pytest.mark.fit
def test_steps_of_a_monotonic_effect_come_back_with_one_sign() -> None:
    """Low to middle adds 0.8, middle to high nothing: an effect that levels off."""
    frame, _ = simulated(3)
    rng = np.random.default_rng(3)
    eta = -1.0 + 0.8 * (frame["r"] >= 2)
    frame = frame.assign(y=(rng.uniform(size=len(frame)) < special.expit(eta)).astype(float))
    spec = regression_formula("y ~ mo(money)", weights="none")
    rows = regression_rows(BOOK, source_from_frame(frame), "y", spec.predictors, monotonic=spec.monotonic)
    fit = fit_regression(rows, spec, replace(NUTS, engine="auto"))
    assert "not log-concave" in fit.engine_reason
    table = coefficient_estimates(fit).table.set_index("coefficient")
    low, high = table.loc["money: low to middle"], table.loc["money: middle to high"]
    assert low["low"] < 0.8 < low["high"]
    assert high["estimate"] < 0.15
    draws = fit.posterior["coefficient"].to_numpy()[..., 1:]
    assert (np.sign(draws[..., 0]) == np.sign(draws[..., 1])).all()
    shares = prediction_estimates(fit, {"money": ["low", "middle", "high"]}).table["estimate"].to_numpy()
    seen = frame.groupby("r")["y"].mean().to_numpy()
    assert np.abs(shares - seen).max() < 0.03


@pytest.mark.fit
def test_a_horseshoe_keeps_the_strong_and_shrinks_the_rest() -> None:
    rng = np.random.default_rng(5)
    x = rng.integers(0, 2, (600, 8)).astype(float)
    y = (rng.uniform(size=600) < special.expit(-0.5 + 1.5 * x[:, 0])).astype(float)
    frame = pd.DataFrame({"c": "KEN", "w": 1.0, "y": y, **{f"x{k}": x[:, k] for k in range(8)}})
    formula = "y ~ " + " + ".join(f"x{k}" for k in range(8))
    tables = {}
    for horseshoe in (None, 1.0):
        spec = regression_formula(formula, weights="none", horseshoe=horseshoe)
        rows = regression_rows(BOOK, source_from_frame(frame), "y", spec.predictors)
        tables[horseshoe] = coefficient_estimates(fit_regression(rows, spec, replace(NUTS, engine="auto"))).table
    plain, shrunk = (tables[key].set_index("coefficient")["estimate"] for key in (None, 1.0))
    noise = [f"x{k}" for k in range(1, 8)]
    assert np.abs(shrunk[noise]).mean() < 0.6 * np.abs(plain[noise]).mean()
    assert shrunk["x0"] > 1.0
