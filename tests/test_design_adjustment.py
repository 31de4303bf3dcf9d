"""Design adjustment of regressions: score totals against rows, exact cases, laws of the map, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import riskmodels as rm
from riskmodels.design.direct import ReplicateWeights, direct_total
from riskmodels.design.regression_clusters import RegressionClusters, regression_clusters
from riskmodels.design.regression_rows import regression_rows
from riskmodels.design.score_covariance import score_covariance
from riskmodels.fit.design_adjustment import (
    curvature,
    design_adjusted,
    least_moving_map,
)
from riskmodels.fit.design_effects_pooled import LEAST, pooled_design_effects
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Replicates, Variable
from riskmodels.survey.readers import source_from_frame

LAPLACE = rm.SamplerSpec(engine="laplace")
FORMULA = "y ~ gender + age + (1 + gender | country)"
NUMBERS = {"age": (15.0, 1.0)}
CLUSTERED = DesignColumns(country="c", weight="w", stratum="s", psu="u")
CODEBOOK = Codebook(
    study_id="adjustment",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=CLUSTERED,
    variables={
        "gender": Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)})),
        "age": Variable("age", "Age", Answers("a", {}), low=9, high=17),
    },
    indicators={"y": Indicator("y", "Affected", Answers("y", {"no": (0,), "yes": (1,)}))},
)


def clustered(
    seed: int, countries: int = 4, psus: int = 40, children: int = 15, spread: float = 0.7, weighted: bool = True
) -> pd.DataFrame:
    """Children of two strata per country, with effects of PSUs of this SD, and weights."""
    rng = np.random.default_rng([seed, 91])
    size = countries * psus * children
    unit = np.repeat(np.arange(countries * psus), children)
    country = unit // psus
    girl, age = rng.integers(0, 2, size), rng.integers(12, 18, size)
    eta = -1.2 + rng.normal(0, 0.5, countries)[country] + rng.normal(0, spread, countries * psus)[unit] + 0.3 * girl
    return pd.DataFrame(
        {
            "c": np.array(["KEN", "NAM", "UGA", "VNM", "THA", "PHL"])[country],
            "s": (unit % 2).astype(float),
            "u": unit.astype(float),
            "w": np.exp(0.4 * rng.normal(size=size)) if weighted else 1.0,
            "g": girl.astype(float),
            "a": age.astype(float),
            "y": (rng.uniform(size=size) < special.expit(eta)).astype(float),
        }
    )


def spec_of(formula: str = FORMULA) -> RegressionSpec:
    numbers = NUMBERS if "age" in formula else {}
    return regression_formula(formula, numbers=numbers, weights="pseudo")


def fitted(frame: pd.DataFrame, formula: str = FORMULA, codebook: Codebook = CODEBOOK) -> RegressionFit:
    spec = spec_of(formula)
    rows = regression_rows(codebook, source_from_frame(frame), spec.outcome, spec.predictors)
    return fit_regression(rows, spec, LAPLACE)


def clusters_of(frame: pd.DataFrame, fit: RegressionFit, codebook: Codebook = CODEBOOK) -> RegressionClusters:
    return regression_clusters(codebook, source_from_frame(frame), "y", fit.rows)


def moments(fit: RegressionFit, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weighted posterior means and SDs."""
    assert fit.weights is not None
    values = fit.posterior[name].transpose("chain", "draw", ...).to_numpy().reshape(fit.weights.size, -1)
    mean = fit.weights.ravel() @ values
    return mean, np.sqrt(fit.weights.ravel() @ (values - mean) ** 2)


def with_replicates(frame: pd.DataFrame) -> tuple[pd.DataFrame, Codebook]:
    """Jackknife of PSUs within strata of one country, as a data producer would deliver it."""
    units = frame.groupby("u")["s"].first()
    per_stratum = units.value_counts()
    names = {}
    for unit, stratum in units.items():
        count = per_stratum[stratum]
        factor = np.where(frame["s"] == stratum, count / (count - 1), 1.0)
        names[f"r{unit:g}"] = frame["w"] * np.where(frame["u"] == unit, 0.0, factor)
    rscales = tuple(float((per_stratum[s] - 1) / per_stratum[s]) for s in units)
    how = Replicates(tuple(names), "jackknife-n", rscales=rscales)
    design = DesignColumns(country="c", weight="w", replicates=how)
    return pd.concat([frame, pd.DataFrame(names)], axis=1), replace(CODEBOOK, design=design)


@pytest.mark.parametrize("design", ["PSUs", "children", "replicates"])
def test_score_covariances_are_those_of_totals_over_children(design: str) -> None:
    """Against `direct_total` of (y - p) x over rows; some PSUs hold no child with every predictor."""
    frame = clustered(1, countries=1, psus=10)
    frame.loc[frame["u"].isin([3, 4]) | (np.arange(len(frame)) % 11 == 0), "a"] = np.nan
    codebook, replicates = CODEBOOK, None
    if design == "children":
        codebook = replace(CODEBOOK, design=replace(CLUSTERED, psu=None))
    if design == "replicates":
        frame, codebook = with_replicates(frame)
    source = source_from_frame(frame)
    rows = regression_rows(codebook, source, "y", ["gender", "age"])
    found = regression_clusters(codebook, source, "y", rows)
    assert found.units == design
    _, x = shared_design(spec_of(), rows, rows.values)
    share = np.random.default_rng(2).uniform(0.1, 0.4, len(rows))
    scores = score_covariance(found, rows.country, x, share)[0]
    answered = frame["a"].notna().to_numpy()
    key = {(g, a): k for k, (g, a) in enumerate(zip(rows.values["gender"], rows.values["age"], strict=True))}
    p = np.array([share[key[pair]] if ok else np.nan for pair, ok in zip(zip(frame["g"], frame["a"], strict=True), answered, strict=True)])  # fmt: skip
    columns = np.column_stack([np.ones(len(frame)), frame["g"], frame["a"] - 15])
    scale = answered.sum() / frame.loc[answered, "w"].sum()
    if design == "replicates":
        assert codebook.design.replicates is not None
        matrix = frame[list(codebook.design.replicates.columns)].to_numpy() * scale
        replicates = ReplicateWeights(matrix, codebook.design.replicates)
    units = {"stratum": frame["s"], "psu": frame["u"] if design == "PSUs" else None} if replicates is None else {}
    for i in range(3):
        for j in range(3):
            both = [(frame["y"] - p) * (columns[:, i] + sign * columns[:, j]) for sign in (1, -1)]
            errors = [
                direct_total(z, frame["w"] * scale, replicates=replicates, **units).standard_error[0] for z in both
            ]  # type: ignore[arg-type]
            assert scores[i, j] == pytest.approx((errors[0] ** 2 - errors[1] ** 2) / 4, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("replicated", [False, True])
def test_one_intercept_has_the_direct_standard_error(replicated: bool) -> None:
    """Logit of the share: standard error of the direct estimate over p (1 - p), within 4 %; unadjusted far below."""
    frame, codebook = clustered(3, countries=1, psus=80), CODEBOOK
    if replicated:
        frame, codebook = with_replicates(frame)
    fit = fitted(frame, "y ~ 1", codebook)
    adjusted = design_adjusted(fit, clusters_of(frame, fit, codebook))
    direct = rm.study_from_frame(frame, CODEBOOK).direct("y").iloc[0]
    expected = direct["standard_error"] / direct["estimate"] / (1 - direct["estimate"])
    assert moments(adjusted, "coefficient")[1][0] == pytest.approx(expected, rel=0.04)
    assert moments(fit, "coefficient")[1][0] < 0.75 * expected


def test_copies_of_children_add_nothing() -> None:
    """Every child four times in a PSU of its own: the intervals are those of each child once."""
    once = clustered(4, spread=0.0, weighted=False).assign(u=lambda f: np.arange(len(f)))
    four = once.loc[once.index.repeat(4)].reset_index(drop=True)
    honest, deceived = fitted(once), fitted(four)
    adjusted = design_adjusted(deceived, clusters_of(four, deceived))
    wanted, too_narrow, found = (moments(fit, "coefficient")[1][2] for fit in (honest, deceived, adjusted))
    assert too_narrow == pytest.approx(wanted / 2, rel=0.05)
    assert found == pytest.approx(wanted, rel=0.05)
    own = [moments(fit, "average_coefficient")[1][0] for fit in (honest, adjusted)]
    assert own[1] == pytest.approx(own[0], rel=0.05)


def test_children_drawn_one_by_one_need_no_adjustment() -> None:
    frame = clustered(5, spread=0.0, weighted=False)
    codebook = replace(CODEBOOK, design=replace(CLUSTERED, psu=None, stratum=None))
    fit = fitted(frame, codebook=codebook)
    adjusted = design_adjusted(fit, clusters_of(frame, fit, codebook))
    for name in ("coefficient", "average_coefficient", "country_deviation"):
        np.testing.assert_allclose(moments(adjusted, name)[1], moments(fit, name)[1], rtol=0.05)
    assert {"W123", "I124"} <= {note.code for note in adjusted.notes}


def test_means_stay_and_covariances_are_those_of_the_map() -> None:
    frame = clustered(6)
    fit = fitted(frame)
    clusters = clusters_of(frame, fit)
    adjusted, found = design_adjusted(fit, clusters), curvature(fit, clusters)
    for name in ("coefficient", "average_coefficient", "country_deviation"):
        np.testing.assert_allclose(moments(adjusted, name)[0], moments(fit, name)[0], atol=1e-10)
    np.testing.assert_allclose(adjusted.posterior["country_deviation"].sum("country"), 0, atol=1e-10)
    np.testing.assert_array_equal(adjusted.posterior["country_sd"], fit.posterior["country_sd"])
    inverse = np.linalg.inv(found.bread)
    ratio = np.sqrt(np.diag(inverse @ found.meat @ inverse)[:3] / np.diag(inverse)[:3])
    np.testing.assert_allclose(moments(adjusted, "coefficient")[1] / moments(fit, "coefficient")[1], ratio, rtol=0.05)
    assert (moments(adjusted, "country_deviation")[1][:4] > 1.1 * moments(fit, "country_deviation")[1][:4]).all()


def test_the_scale_of_a_countrys_weights_changes_nothing() -> None:
    frame = clustered(7)
    scaled = frame.assign(w=np.where(frame["c"] == "NAM", 70.0, 1.0) * frame["w"])
    both = []
    for data in (frame, scaled):
        fit = fitted(data)
        both.append(design_adjusted(fit, clusters_of(data, fit)).posterior)
    for name in ("coefficient", "country_deviation"):
        np.testing.assert_allclose(both[0][name], both[1][name], rtol=1e-6, atol=1e-8)


def test_an_adjusted_fit_says_so_and_is_told_apart() -> None:
    frame = clustered(8, countries=6, psus=10)
    fit = fitted(frame)
    adjusted = design_adjusted(fit, clusters_of(frame, fit))
    assert adjusted.fingerprint.id != fit.fingerprint.id
    assert "adjusted for the sampling design" in adjusted.engine_reason
    assert adjusted.passed
    assert len(adjusted.checks) == len(fit.checks) + 3
    other = frame.assign(u=frame["u"] // 2 * 2, s=0.0)
    assert design_adjusted(fit, clusters_of(other, fit)).fingerprint.id != adjusted.fingerprint.id
    equal = replace(fit, posterior=fit.draws, weights=None)
    np.testing.assert_allclose(
        design_adjusted(equal, clusters_of(frame, fit)).posterior["coefficient"].std(("chain", "draw")),
        moments(adjusted, "coefficient")[1],
        rtol=0.08,
    )


def test_a_country_with_few_psus_takes_the_design_effects_of_the_others() -> None:
    frame = clustered(9)
    frame = frame[(frame["c"] != "KEN") | frame["u"].isin([0, 2])].assign(s=0.0)
    frame.loc[frame["c"] == "VNM", "g"] = 1.0  # and a predictor that is constant in a country
    fit = fitted(frame)
    clusters = clusters_of(frame, fit)
    adjusted, found = design_adjusted(fit, clusters), curvature(fit, clusters)
    assert clusters.degrees[0] == 1
    assert "W124" in {note.code for note in adjusted.notes}
    assert found.effects[0, 0, 0] == pytest.approx(found.effects[1:, 0, 0].mean(), rel=0.25)
    assert np.isfinite(adjusted.posterior["coefficient"]).all()
    assert (moments(adjusted, "country_deviation")[1] > 0).all()


def test_faults_are_refused_with_a_remedy() -> None:
    frame = clustered(10, countries=2)
    fit = fitted(frame)
    clusters = clusters_of(frame, fit)
    with pytest.raises(rm.InputError, match="E195"):
        design_adjusted(replace(fit, spec=replace(fit.spec, weights="effective")), clusters)
    with pytest.raises(rm.InputError, match="adjusted for the design already"):
        design_adjusted(design_adjusted(fit, clusters), clusters)
    with pytest.raises(rm.InputError, match="E151"):
        clusters_of(frame.assign(y=1 - frame["y"]), fit)
    with pytest.raises(rm.InputError, match="E151"):
        clusters_of(frame.assign(w=frame["w"] * np.where(frame["g"] == 1, 2, 1)), fit)
    with pytest.raises(rm.InputError, match="E151"):
        design_adjusted(fitted(frame[frame["c"] == "KEN"]), clusters)
    with pytest.raises(rm.InputError, match="E123"):
        clusters_of(frame, fit, replace(CODEBOOK, design=DesignColumns(country="c")))
    few = frame.assign(u=frame["u"] % 2, s=0.0)
    with pytest.raises(rm.InputError, match="E124"):
        design_adjusted(fit, clusters_of(few, fit))
    lonely = frame.assign(s=np.where(frame["u"] == 0, 7.0, frame["s"]))
    with pytest.raises(rm.InputError, match="E121"):
        clusters_of(lonely, fit)
    with pytest.raises(rm.InputError, match="E122"):
        clusters_of(frame.assign(s=frame["s"].where(frame["u"] != 1)), fit)


def _matrices(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, size, size + 2))
    return first @ first.T, second[:, :-1] @ second[:, :-1].T


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_map_gives_the_sandwich_whatever_the_coding(seed: int, size: int) -> None:
    """T H^-1 T' = H^-1 K H^-1; K = H changes nothing; another coding of the coefficients gives the same map."""
    bread, meat = _matrices(seed, size)
    found, inverse = least_moving_map(bread, meat), np.linalg.inv(bread)
    scale = np.abs(inverse @ meat @ inverse).max()
    np.testing.assert_allclose(found @ inverse @ found.T / scale, inverse @ meat @ inverse / scale, atol=1e-6)
    np.testing.assert_allclose(least_moving_map(bread, bread), np.eye(size), atol=1e-6)
    recode = np.eye(size) + np.tril(np.ones((size, size)), -1)
    recoded = least_moving_map(recode.T @ bread @ recode, recode.T @ meat @ recode)
    expected = np.linalg.inv(recode) @ found @ recode
    np.testing.assert_allclose(recoded, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 5))
def test_design_effects_are_never_nan_nor_negative(seed: int, size: int, countries: int) -> None:
    """Scores of rank one, degrees of freedom from none, coefficients that a country cannot tell apart."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(countries, 30, size)) * rng.integers(0, 2, (countries, 1, size))
    z = np.einsum("cr,crk->ck", rng.normal(size=x.shape[:2]), x)
    degrees = rng.integers(0, 4, countries).astype(float)
    degrees[0] += 3
    found = pooled_design_effects(np.einsum("cri,crj->cij", x, x), z[:, :, None] * z[:, None, :], degrees)
    assert np.isfinite(found).all()
    assert np.linalg.eigvalsh(found).min() >= LEAST * (1 - 1e-9)
