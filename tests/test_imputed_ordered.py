"""Ordered outcomes with missing predictors: known truth, levels that agree, what is refused."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import special

import riskmodels as rm
from riskmodels.estimates.imputed import imputed_coefficients, pooled_estimates
from riskmodels.estimates.regression import prediction_estimates
from riskmodels.fit.imputed import PooledRegressionFit
from tests.test_ordered_outcomes import BOOK, THRESHOLDS, answered, spec_of

LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=1000)


@functools.cache
def pooled() -> PooledRegressionFit:
    """Very upset girls rarely say that they are girls: half of all genders are missing, at random given the answer."""
    frame = answered(4, 500)
    rng = np.random.default_rng(4)
    very = (frame["u"] == 3) & (frame["a"] > 14)
    gone = rng.uniform(size=len(frame)) < np.where(very, 0.8, special.expit(-0.6 - 0.4 * (frame["u"] == 0)))
    study = rm.study_from_frame(frame.assign(g=frame["g"].mask(gone)), BOOK)
    return study.imputed_regression(spec_of(weights="none"), 5, sampler=LAPLACE)


def test_known_coefficients_come_back() -> None:
    found = imputed_coefficients(pooled()).table.set_index("coefficient")
    assert pooled().passed
    for name, truth in {"gender: girl": 0.3, "age": 0.2}.items():
        row = found.loc[name]
        assert abs(row["estimate"] - truth) < 4 * row["sd"], name
    assert found.loc["gender: girl", "fraction_of_missing_information"] > 0.1
    thresholds = found[found.index.str.startswith("threshold")]
    gaps = np.diff(thresholds["estimate"].to_numpy())
    np.testing.assert_allclose(gaps, np.diff(THRESHOLDS), atol=0.15)
    assert found["complete_case_n"].notna().all()


def test_complete_cases_mislead_beside() -> None:
    """Those who are left out are the upset: the age effect of complete cases is too small."""
    found = imputed_coefficients(pooled()).table.set_index("coefficient").loc["age"]
    assert found["complete_case"] < found["estimate"] - found["sd"]


def test_shares_of_levels_add_up_over_all_sets() -> None:
    shares = pooled_estimates(pooled(), lambda one: prediction_estimates(one, {"gender": ["boy", "girl"]})).table
    np.testing.assert_allclose(shares.groupby("at gender")["estimate"].sum(), 1, rtol=1e-9)
    assert len(shares) == 8


def test_every_set_keeps_the_levels() -> None:
    levels = {fit.rows.outcome_levels.levels for fit in pooled().fits if fit.rows.outcome_levels is not None}
    assert levels == {("not_at_all", "a_little", "fairly", "very")}
    counts = {tuple(fit.rows.counts.sum(axis=0)) for fit in pooled().fits if fit.rows.counts is not None}
    assert len(counts) == 1


def test_an_adjustment_for_the_design_is_refused_before_anything_is_imputed() -> None:
    study = rm.study_from_frame(answered(4, 60), BOOK)
    with pytest.raises(rm.InputError, match="yes/no outcomes only") as error:
        study.imputed_regression(spec_of(weights="pseudo"), 2, design_adjust=True)
    assert [problem.code for problem in error.value.problems] == ["E195"]
