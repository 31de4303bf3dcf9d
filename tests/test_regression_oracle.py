"""Regressions of the SYNTHETIC twin against brms and rstanarm: stored runs, every coefficient, SD and correlation."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import riskmodels as rm
from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.fit.checks import check_pareto, convergence
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.weighting import effective_draws, smoothed_weights
from riskmodels.models.latent_regression import VARYING
from riskmodels.models.priors import Prior, prior_preset
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
ROOT = Path(__file__).parents[1]
ORACLES = ROOT / "tests/oracle/regression"
TWIN = ROOT / "data/synthetic/twin/study.toml"
FORMULAS = {
    "exposure": "any_item ~ sex * age + (sex * age | country)",
    "disclosure": "did_not_disclose ~ sex * age + (1 | country)",
    "disclosure_slopes": "did_not_disclose ~ sex * age + (sex * age | country)",
}
#: Stored runs, by package and model.
RUNS = [(peer, model) for peer in ("brms", "rstanarm") for model in FORMULAS]
#: Largest distance allowed between two posterior means, in combined Monte Carlo standard errors.
LARGEST = 4.0


def stored(model: str, peer: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((ORACLES / f"{peer}_{model}.json").read_text())
    return record


def spec_of(model: str) -> RegressionSpec:
    return regression_formula(FORMULAS[model], numbers={"age": (15.0, 1.0)}, weights="pseudo", priors="brms")


def rows_of(spec: RegressionSpec) -> RegressionRows:
    survey = rm.load_study(TWIN).survey
    return regression_rows(survey.codebook, survey.source, spec.outcome, spec.predictors)


@cache
def fitted(model: str) -> RegressionFit:
    spec = spec_of(model)
    fit = fit_regression(rows_of(spec), spec, rm.SamplerSpec(engine="laplace", weighted_draws=64_000))
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


def values_of(fit: RegressionFit) -> FloatArray:
    """Draws of all of them, shape (chain, draw, quantities)."""
    return np.stack(list(draws_of(fit).values()), axis=-1)


def distances(fit: RegressionFit, oracle: dict[str, Any], weights: FloatArray | None = None) -> pd.Series:
    """Difference of every posterior mean in combined Monte Carlo standard errors; draws count the same without weights."""
    ours = draws_of(fit)
    theirs = {
        f"{kind}: {name}": summary
        for kind in ("coefficient", "country_sd", "country_correlation")
        for name, summary in oracle[kind].items()
    }
    assert set(ours) == set(theirs)
    values = values_of(fit)
    if weights is None:
        mean, error = values.mean(axis=(0, 1)), convergence(values).mcse
    else:
        mean, error = np.einsum("cs,csq->q", weights, values), effective_draws(values, weights, 0.05)[2]
    other, other_error = (np.array([theirs[name][key] for name in ours]) for key in ("mean", "mcse_mean"))
    return pd.Series((mean - other) / np.hypot(error, other_error), index=list(ours))


def roots_of(fit: RegressionFit) -> FloatArray:
    """Lower triangular roots of the covariance matrices, shape (chain, draw, size, size)."""
    sds = fit.posterior["country_sd"].to_numpy()
    if "country_correlation" not in fit.posterior:
        return np.asarray(sds[..., None])
    return np.asarray(sds[..., None] * np.linalg.cholesky(fit.posterior["country_correlation"].to_numpy()))


def log_density_here(root: FloatArray, group_sd: Prior) -> FloatArray:
    """Log density of roots where SDs are independent and correlations uniform, up to a constant."""
    size = root.shape[-1]
    sds = np.sqrt((root**2).sum(axis=-1))
    cosines = np.diagonal(root, axis1=-2, axis2=-1) / sds
    rows = np.arange(size)
    of_rows = (size - rows) * np.log(cosines) - rows * np.log(sds)
    return np.asarray((group_sd.log_density(sds) + of_rows).sum(axis=-1))


def log_density_in_rstanarm(root: FloatArray) -> FloatArray:
    """Log density of roots under ``decov(1, 1, 1, 1)`` as rstanarm 2.21.3 computes it, up to a constant.

    Scales s: their mean square is the square of an exponential variable, and their squares divide the sum uniformly. The
    documentation makes row k of the root (s_k y, s_k sqrt(1 - y'y)). The package does for the first two rows; from the third
    it takes (s_{k-1} y, s_k sqrt(1 - y'y)), so s_k is no SD there, and roots with y'y > 1 have no density.
    """
    size = root.shape[-1]
    scales, log_density = [root[..., 0, 0]], np.zeros(root.shape[:-2])
    for k in range(1, size):
        square, end = (root[..., k, :k] ** 2).sum(axis=-1), root[..., k, k]
        before = np.sqrt(square + end**2) if k == 1 else scales[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = np.log1p(-square / before**2)
        scales.append(end * np.exp(-0.5 * rest))
        log_density += 0.5 * (size - k - 1) * rest - k * np.log(before) + (0.5 if k == 1 else -0.5) * rest
    s = np.stack(scales, axis=-1)
    total = (s**2).sum(axis=-1)
    log_density += np.log(s).sum(axis=-1) - np.sqrt(total / size) - (size - 0.5) * np.log(total)
    return np.where(np.isfinite(log_density), log_density, -np.inf)


def log_ratio_to_rstanarm(fit: RegressionFit, oracle: dict[str, Any]) -> FloatArray:
    """Log of rstanarm's prior over ours, per draw: covariance, and where the intercept's prior is centred."""
    priors, coefficient, root = fit.spec.prior_set, fit.posterior["coefficient"].to_numpy(), roots_of(fit)
    _, design = shared_design(fit.spec, fit.rows, fit.rows.values)
    here = np.average(design, axis=0, weights=fit.rows.n)
    there = np.array([1.0, *oracle["means"].values()])
    of_intercept = priors.intercept.log_density(coefficient @ there) - priors.intercept.log_density(coefficient @ here)
    return np.asarray(log_density_in_rstanarm(root) - log_density_here(root, priors.group_sd) + of_intercept)


def weights_in_rstanarm(fit: RegressionFit, oracle: dict[str, Any]) -> tuple[FloatArray, float]:
    """Weights of our draws under rstanarm's prior, shape (chain, draw), and their k-hat."""
    assert fit.weights is not None
    log_ratio = log_ratio_to_rstanarm(fit, oracle)
    possible = np.isfinite(log_ratio)
    log_weights = np.maximum(np.log(fit.weights) + np.where(possible, log_ratio, 0.0), -700.0)
    smoothed, k_hat = smoothed_weights(log_weights[possible])
    weights = np.zeros(log_weights.shape)
    weights[possible] = smoothed
    return weights, k_hat


@pytest.mark.parametrize(("peer", "model"), RUNS)
def test_the_oracles_were_given_the_rows_of_the_twin(peer: str, model: str) -> None:
    """The stored CSV is what the package collapses today; columns were centred where the record says."""
    make, spec, oracle = (
        runpy.run_path(str(ORACLES / "make_regression_data.py"))["oracle_rows"],
        spec_of(model),
        stored(model, peer),
    )
    kept = pd.read_csv(ORACLES / oracle["data"])
    pd.testing.assert_frame_equal(kept, make(spec.outcome), check_exact=False, rtol=1e-12)
    _, design = shared_design(
        spec, rows_of(spec), {"sex": (kept["sex"] == "girl").to_numpy(float), "age": kept["age"].to_numpy(float)}
    )
    counted = kept["children"] if peer == "brms" else np.ones(len(kept))
    np.testing.assert_allclose(
        list(oracle["means"].values()), np.average(design[:, 1:], axis=0, weights=counted), rtol=1e-9
    )


@pytest.mark.parametrize(("peer", "model"), RUNS)
def test_the_oracles_are_fit_to_be_compared_with(peer: str, model: str) -> None:
    oracle = stored(model, peer)
    assert oracle["divergent"] <= 1e-3 * oracle["draws"]
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
    found = distances(fit, stored(model, "brms"), fit.weights)
    assert found.abs().max() < LARGEST, found


@pytest.mark.fit
@pytest.mark.parametrize("model", ["disclosure"])
def test_posteriors_are_those_of_rstanarm_under_its_prior(model: str) -> None:
    """rstanarm has another prior of SDs: our draws are weighted by the ratio of the two densities."""
    fit, oracle = fitted(model), stored(model, "rstanarm")
    weights, k_hat = weights_in_rstanarm(fit, oracle)
    assert check_pareto(k_hat).passed
    found = distances(fit, oracle, weights)
    assert found.abs().max() < LARGEST, found


def own_part_in_rstanarm(
    rows: RegressionRows, names: list[str], own: FloatArray, spec: RegressionSpec
) -> pt.TensorVariable:
    """Deviations of countries under rstanarm's covariance as it computes it (see `log_density_in_rstanarm`)."""
    size = len(names)
    pm.modelcontext(None).add_coords({VARYING: names, f"{VARYING}_other": names})
    shares = pm.Dirichlet("shares", np.ones(size))
    s = pm.Exponential("tau", 1.0) * pt.sqrt(size * shares)
    root = pt.zeros((size, size))
    root = pt.set_subtensor(root[0, 0], s[0])
    for k in range(1, size):
        share = pm.Beta(f"share_{k}", 0.5 * k, 0.5 * (size - k + 1)) if k > 1 else None
        if share is None:
            line = (2 * pm.Beta("share_1", size / 2, size / 2) - 1)[None]
        else:
            direction = pm.Normal(f"direction_{k}", shape=k)
            line = direction * pt.sqrt(share / pt.sum(direction**2))
        root = pt.set_subtensor(root[k, :k], line * s[max(k - 1, 1)])
        root = pt.set_subtensor(root[k, k], s[k] * pt.sqrt(1 - pt.sum(line**2)))
    sd = pm.Deterministic("country_sd", pt.sqrt(pt.sum(root**2, axis=1)), dims=VARYING)
    covariance = pt.dot(root, root.T)
    pm.Deterministic("country_correlation", covariance / (sd[:, None] * sd[None]), dims=(VARYING, f"{VARYING}_other"))
    raw = pm.Normal("raw", 0.0, 1.0, dims=(COUNTRY, VARYING))
    deviation = pm.Deterministic("country_deviation", pt.dot(raw, root.T).T, dims=(VARYING, COUNTRY))
    return pt.sum(own * deviation.T[rows.country], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["exposure", "disclosure_slopes"])
def test_four_varying_terms_are_those_of_rstanarm(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From three terms on rstanarm's prior is too far from ours to weight draws: NUTS is given that prior instead."""
    oracle = stored(model, "rstanarm")
    monkeypatch.setattr("riskmodels.models.regression._own_part", own_part_in_rstanarm)
    spec = spec_of(model)
    sampler = rm.SamplerSpec(engine="nuts", draws=4000, tune=1500, target_accept=0.97)
    fit = fit_regression(rows_of(spec), spec, sampler)
    assert convergence(values_of(fit)).rhat.max() < 1.01
    found = distances(fit, oracle)
    assert found.abs().max() < LARGEST, found


def made_in_rstanarm(primitives: FloatArray, size: int) -> tuple[FloatArray, float]:
    """Root that rstanarm makes of its primitives (tau, shares but the last, rows y), and their log density."""
    tau, first = primitives[0], primitives[1:size]
    s = tau * np.sqrt(size * np.append(first, 1 - first.sum()))
    root, place, log_density = np.diag(s), size, -tau
    for k in range(1, size):
        y = primitives[place : place + k]
        place += k
        root[k, :k], root[k, k] = y * s[max(k - 1, 1)], s[k] * np.sqrt(1 - y @ y)
        log_density += 0.5 * (size - k - 1) * np.log(1 - y @ y)
    return root, log_density


def made_here(primitives: FloatArray, size: int) -> tuple[FloatArray, float]:
    """Root of SDs and correlations, and their log density (correlation matrices are uniform)."""
    correlation = np.eye(size)
    correlation[np.tril_indices(size, -1)] = primitives[size:]
    root = primitives[:size, None] * np.linalg.cholesky(correlation)  # reads the lower triangle only
    return root, prior_preset("brms").group_sd.log_density(primitives[:size]).sum()


def in_rstanarm(rng: np.random.Generator, size: int) -> FloatArray:
    return np.concatenate([[0.8], rng.dirichlet(np.ones(size))[:-1], rng.uniform(-0.4, 0.4, size * (size - 1) // 2)])


def in_ours(rng: np.random.Generator, size: int) -> FloatArray:
    return np.concatenate([rng.uniform(0.2, 2.0, size), rng.uniform(-0.3, 0.3, size * (size - 1) // 2)])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("point", "make", "density"),
    [
        (in_rstanarm, made_in_rstanarm, log_density_in_rstanarm),
        (in_ours, made_here, lambda root: log_density_here(root, prior_preset("brms").group_sd)),
    ],
)
def test_densities_of_roots_are_those_of_their_primitives(
    point: Callable[[np.random.Generator, int], FloatArray],
    make: Callable[[FloatArray, int], tuple[FloatArray, float]],
    density: Callable[[FloatArray], FloatArray],
    size: int,
) -> None:
    """Change of variables by numerical differentiation, at two points: the constant cancels."""
    rng, found = np.random.default_rng(size), []
    lower, step = np.tril_indices(size), 1e-6
    for _ in range(2):
        at = point(rng, size)
        moves = [(make(at + d, size)[0] - make(at - d, size)[0])[lower] / (2 * step) for d in step * np.eye(len(at))]
        root, log_density = make(at, size)
        found.append(log_density - np.linalg.slogdet(np.array(moves))[1] - density(root))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
