"""Regressions of the SYNTHETIC twin against brms and rstanarm: stored runs, every coefficient, SD and correlation."""

from __future__ import annotations

import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import integrate, stats

import riskmodels as rm
from riskmodels.design.regression_rows import regression_rows
from riskmodels.fit.checks import check_pareto
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.weighting import effective_draws, smoothed_weights
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec, regression_formula

FloatArray = npt.NDArray[np.float64]
ROOT = Path(__file__).parents[1]
ORACLES = ROOT / "tests/oracle/regression"
TWIN = ROOT / "data/synthetic/twin/study.toml"
FORMULAS = {
    "exposure": "any_item ~ sex * age + (sex * age | country)",
    "disclosure": "did_not_disclose ~ sex * age + (1 | country)",
    "disclosure_slopes": "did_not_disclose ~ sex * age + (sex * age | country)",
}
#: Largest distance allowed between two posterior means, in combined Monte Carlo standard errors.
LARGEST = 4.0


def stored(model: str, peer: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((ORACLES / f"{peer}_{model}.json").read_text())
    return record


def spec_of(model: str) -> RegressionSpec:
    return regression_formula(FORMULAS[model], numbers={"age": (15.0, 1.0)}, weights="pseudo", priors="brms")


@cache
def fitted(model: str) -> RegressionFit:
    survey, spec = rm.load_study(TWIN).survey, spec_of(model)
    rows = regression_rows(survey.codebook, survey.source, spec.outcome, spec.predictors)
    fit = fit_regression(rows, spec, rm.SamplerSpec(engine="laplace", weighted_draws=64_000))
    fit.require_passed()
    return fit


def draws_of(fit: RegressionFit) -> dict[str, FloatArray]:
    """Draws of every quantity that an oracle holds, shape (chain, draw), by kind and name."""
    posterior = fit.posterior
    found = {
        f"{kind}: {name}": posterior[kind].sel({dim: name}).to_numpy()
        for kind, dim in (("coefficient", "term"), ("country_sd", "varying"))
        for name in posterior[dim].to_numpy()
    }
    if "country_correlation" in posterior:
        names = list(posterior["varying"].to_numpy())
        for first, second in zip(*np.triu_indices(len(names), 1), strict=True):
            value = posterior["country_correlation"][..., first, second].to_numpy()
            found[f"country_correlation: {names[first]} | {names[second]}"] = value
    return found


def distances(fit: RegressionFit, weights: FloatArray, oracle: dict[str, Any]) -> pd.Series:
    """Difference of every posterior mean in combined Monte Carlo standard errors."""
    ours = draws_of(fit)
    theirs = {
        f"{kind}: {name}": summary
        for kind in ("coefficient", "country_sd", "country_correlation")
        for name, summary in oracle[kind].items()
    }
    assert set(ours) == set(theirs)
    values = np.stack(list(ours.values()), axis=-1)
    _, _, error = effective_draws(values, weights, 0.05)
    mean = np.einsum("cs,csq->q", weights, values)
    other, other_error = (np.array([theirs[name][key] for name in ours]) for key in ("mean", "mcse_mean"))
    return pd.Series((mean - other) / np.hypot(error, other_error), index=list(ours))


def decov_log_density(sds: FloatArray) -> FloatArray:
    """Log density of standard deviations (quantities, ...) under rstanarm's ``decov(1, 1, 1, 1)``.

    The mean of the variances is the square of an exponential variable; shares of their sum are uniform over the simplex.
    """
    size, total = len(sds), (sds**2).sum(axis=0)
    of_total = -np.sqrt(total / size) - np.log(2 * np.sqrt(size * total))
    shares = np.log(np.arange(1, size)).sum() - (size - 1) * np.log(total)
    return np.asarray(of_total + shares + np.log(2 * sds).sum(axis=0))


def log_ratio_to_rstanarm(fit: RegressionFit, oracle: dict[str, Any]) -> FloatArray:
    """Log of rstanarm's prior over ours, per draw: SDs, and where the intercept's prior is centred."""
    priors, coefficient = fit.spec.prior_set, fit.posterior["coefficient"].to_numpy()
    sds = np.moveaxis(fit.posterior["country_sd"].to_numpy(), -1, 0)
    _, design = shared_design(fit.spec, fit.rows, fit.rows.values)
    here = np.average(design, axis=0, weights=fit.rows.n)
    there = np.array([1.0, *oracle["means"].values()])
    of_intercept = priors.intercept.log_density(coefficient @ there) - priors.intercept.log_density(coefficient @ here)
    return np.asarray(decov_log_density(sds) - priors.group_sd.log_density(sds).sum(axis=0) + of_intercept)


@pytest.mark.parametrize("model", FORMULAS)
def test_the_oracles_were_given_the_rows_of_the_twin(model: str) -> None:
    """The stored CSV is what the package collapses today; its children and weights are those that are fitted."""
    make = runpy.run_path(str(ORACLES / "make_data.py"))["oracle_rows"]
    for peer in ("brms", "rstanarm"):
        kept = pd.read_csv(ORACLES / stored(model, peer)["data"])
        pd.testing.assert_frame_equal(kept, make(spec_of(model).outcome), check_exact=False, rtol=1e-12)
    means = np.average(
        shared_design(spec_of(model), fitted(model).rows, fitted(model).rows.values)[1][:, 1:],
        axis=0, weights=fitted(model).rows.n,
    )  # fmt: skip
    np.testing.assert_allclose(list(stored(model, "brms")["means"].values()), means, rtol=1e-9)


@pytest.mark.parametrize("peer", ["brms", "rstanarm"])
@pytest.mark.parametrize("model", FORMULAS)
def test_the_oracles_are_fit_to_be_compared_with(model: str, peer: str) -> None:
    oracle = stored(model, peer)
    assert oracle["divergent"] <= 1e-4 * oracle["draws"]
    for kind in ("coefficient", "country_sd", "country_correlation"):
        for summary in oracle[kind].values():
            assert summary["rhat"] < 1.01
            assert summary["ess_bulk"] > 2000


@pytest.mark.fit
@pytest.mark.parametrize("model", FORMULAS)
def test_posteriors_are_those_of_brms(model: str) -> None:
    """Same rows, likelihood and priors (flat slopes are Normal(0, 100) here)."""
    fit = fitted(model)
    assert fit.weights is not None
    found = distances(fit, fit.weights, stored(model, "brms"))
    assert found.abs().max() < LARGEST, found


@pytest.mark.fit
@pytest.mark.parametrize("model", FORMULAS)
def test_posteriors_are_those_of_rstanarm_under_its_prior(model: str) -> None:
    """rstanarm has another prior of SDs: our draws are weighted by the ratio of the two densities."""
    fit, oracle = fitted(model), stored(model, "rstanarm")
    assert fit.weights is not None
    log_weights = np.log(fit.weights) + log_ratio_to_rstanarm(fit, oracle)
    weights, k_hat = smoothed_weights(log_weights.ravel())
    assert check_pareto(k_hat).passed
    found = distances(fit, weights.reshape(log_weights.shape), oracle)
    assert found.abs().max() < LARGEST, found


def test_density_of_decov() -> None:
    """Against its definition: one SD is exponential; two integrate to one and give the share below a bound."""
    np.testing.assert_allclose(decov_log_density(np.array([[0.3, 2.0]])), [-0.3, -2.0])
    rng = np.random.default_rng(1)
    tau, share = rng.exponential(size=200_000), rng.dirichlet([1, 1], 200_000)
    made = (np.sqrt(share * 2) * tau[:, None] < [0.5, 0.8]).all(axis=1).mean()

    def density(a: float, b: float) -> float:
        return float(np.exp(decov_log_density(np.array([a, b]))))

    below, _ = integrate.dblquad(density, 0, 0.8, 0, 0.5)
    assert below == pytest.approx(made, abs=4 * stats.bernoulli.std(made) / np.sqrt(200_000))
