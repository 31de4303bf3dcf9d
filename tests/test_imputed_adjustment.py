"""Imputed fits adjusted for the sampling design, then pooled."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.design.completed_rows import sets_of_drawn
from riskmodels.design.missing_predictors import missing_predictors
from riskmodels.design.regression_clusters import regression_clusters
from riskmodels.errors import InputError
from riskmodels.fit.design_adjustment import ADJUSTMENT, design_adjusted
from riskmodels.fit.imputed import PooledRegressionFit
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.imputation import draw_sets
from tests.test_design_adjustment import CODEBOOK, clustered, fitted, moments, with_replicates

FORMULA = "y ~ gender + age + (1 | country)"
LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=1000)


def spec(weights: str = "pseudo") -> RegressionSpec:
    return regression_formula(FORMULA, numbers={"age": (15.0, 1.0)}, weights=weights)  # type: ignore[arg-type]


def with_holes(seed: int) -> pd.DataFrame:
    frame = clustered(seed, countries=3, psus=24)
    rng = np.random.default_rng(seed)
    return frame.assign(g=frame["g"].where(rng.uniform(size=len(frame)) > 0.3))


@functools.cache
def pooled(adjust: bool) -> PooledRegressionFit:
    study = rm.study_from_frame(with_holes(1), CODEBOOK)
    return study.imputed_regression(spec(), 3, design_adjust=adjust, sampler=LAPLACE)


def test_every_set_is_adjusted_and_intervals_widen() -> None:
    plain, adjusted = pooled(False), pooled(True)
    assert adjusted.complete_case is not None
    for fit in (*adjusted.fits, adjusted.complete_case):
        assert ADJUSTMENT in dict(fit.fingerprint.versions)
    (mean, _), (other, _) = moments(plain, "coefficient"), moments(adjusted, "coefficient")  # type: ignore[arg-type]
    np.testing.assert_allclose(mean, other, rtol=1e-9)
    average = moments(plain, "average_coefficient"), moments(adjusted, "average_coefficient")  # type: ignore[arg-type]
    assert average[1][1][0] > 1.2 * average[0][1][0]
    assert adjusted.passed
    assert [note.code for note in adjusted.notes].count("I124") == 1


def test_variances_within_sets_are_those_of_the_adjusted_fits() -> None:
    """Of the mixture: mean of the sets' variances and the spread of their means."""
    fits = pooled(True).fits
    parts = [moments(fit, "coefficient") for fit in fits]
    within = np.mean([sd**2 for _, sd in parts], axis=0)
    between = np.var([mean for mean, _ in parts], axis=0, ddof=1)
    _, sd = moments(pooled(True), "coefficient")  # type: ignore[arg-type]
    assert (between[1:] > 0).all()
    np.testing.assert_allclose(sd**2, within + (1 - 1 / 3) * between, rtol=1e-6)


@pytest.mark.parametrize("replicated", [False, True])
def test_completed_sets_know_their_design(replicated: bool) -> None:
    """Nothing missing: clusters read off a completed set are those of the survey itself."""
    frame, book = clustered(2, countries=1, psus=12), CODEBOOK
    if replicated:
        frame, book = with_replicates(frame)
    survey = rm.study_from_frame(frame, book).survey
    missing = missing_predictors(book, survey.source, "y", [("gender",), ("age",)])
    (one,) = sets_of_drawn(book, missing, draw_sets(missing.answers, 1, seed=1, cycles=1))
    found = regression_clusters(book, survey.source, "y", one.rows)
    assert one.clusters("y").content_hash == found.content_hash


def test_nothing_missing_is_the_adjusted_fit() -> None:
    frame = clustered(3, countries=3, psus=20)
    study = rm.study_from_frame(frame, CODEBOOK)
    found = study.imputed_regression(spec(), 2, design_adjust=True, sampler=rm.SamplerSpec(engine="laplace"))
    fit = fitted(frame, FORMULA)
    expected = design_adjusted(fit, regression_clusters(CODEBOOK, study.survey.source, "y", fit.rows))
    wanted, got = moments(expected, "average_coefficient"), moments(found, "average_coefficient")  # type: ignore[arg-type]
    np.testing.assert_allclose(got[0], wanted[0], atol=0.02)
    np.testing.assert_allclose(got[1], wanted[1], rtol=0.08)


def test_other_weights_are_refused_before_anything_is_imputed() -> None:
    study = rm.study_from_frame(with_holes(1), CODEBOOK)
    with pytest.raises(InputError, match="cannot be adjusted") as error:
        study.imputed_regression(spec("effective"), 2, design_adjust=True)
    assert [problem.code for problem in error.value.problems] == ["E195"]
