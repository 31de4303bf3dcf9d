"""The Laplace engine against algebra, quadrature, the sampler's graph and brms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats
from scipy.linalg import helmert, null_space

import riskmodels as rm
from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.laplace import integration
from riskmodels.fit.laplace.arrow import factorise
from riskmodels.fit.laplace.conditional import condition, logits, sized
from riskmodels.fit.laplace.explored import Explored
from riskmodels.fit.weighting import effective_draws, pareto_k, smoothed_weights, weighted_quantile
from riskmodels.models import hyperparameters
from riskmodels.models.hyperparameters import hyper_values, log_hyper_prior
from riskmodels.models.latent import latent_prevalence_model
from riskmodels.models.latent_draws import named_draws
from riskmodels.survey.factors import Factor
from riskmodels.survey.synthetic import simulate_subgroups
from tests.conftest import make_cells

ORACLE = Path(__file__).parent / "oracle"
RICH = rm.PrevalenceSpec(
    ordered=("ses",),
    continuous=("age",),
    interactions=(("country", "gender"), ("gender", "ses")),
    country_predictors={"online": {"ABW": 0.2, "AFG": 0.5, "AGO": 0.7, "AIA": 0.9, "ALA": 0.4}},
)


def subgroup_cells(seed: int = 1, countries: int = 5) -> Cells:
    table = simulate_subgroups(seed, countries=countries)
    return cells_from_frame(
        table.frame,
        [Factor(name, levels) for name, levels in table.levels.items()],
        base="all asked",
        source="published aggregates",
        synthetic=True,
    )


@pytest.mark.parametrize("seed", range(3))
def test_arrow_is_the_dense_system_under_the_constraint(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, shared, countries, draws = 2, 3, 4, 2
    blocks = [
        [(lambda x: x.T @ x)(rng.normal(size=(6, shared + width))) for _ in range(countries)] for _ in range(draws)
    ]
    top = np.stack([sum(b[:shared, :shared] for b in row) + np.eye(shared) for row in blocks], axis=-1)
    link = np.stack([np.stack([b[shared:, :shared] for b in row], axis=-1) for row in blocks], axis=-1)
    own = np.stack([np.stack([b[shared:, shared:] + np.eye(width) for b in row], axis=-1) for row in blocks], axis=-1)
    arrow = factorise(top, link, own)
    free = null_space(np.hstack([np.zeros((width, shared)), *[np.eye(width)] * countries]))
    force = rng.normal(size=(shared + width * countries, draws))
    h, v = arrow.solve(force[:shared], force[shared:].reshape(countries, width, draws).transpose(1, 0, 2))
    for s in range(draws):
        dense = np.zeros((len(force), len(force)))
        dense[:shared, :shared] = top[..., s]
        for c in range(countries):
            at = shared + c * width + np.arange(width)
            dense[np.ix_(at, at)], dense[np.ix_(at, range(shared))], dense[np.ix_(range(shared), at)] = (
                own[:, :, c, s],
                link[:, :, c, s],
                link[:, :, c, s].T,
            )
        inner = free.T @ dense @ free
        np.testing.assert_allclose(
            np.concatenate([h[:, s], v[:, :, s].T.ravel()]),
            free @ np.linalg.solve(inner, free.T @ force[:, s]),
            atol=1e-10,
        )
        assert arrow.log_determinant[s] - np.linalg.slogdet(inner)[1] == pytest.approx(width * np.log(countries))
    noise = rng.standard_normal((shared + width * countries, 40_000))
    one = type(arrow)(
        *(getattr(arrow, name)[..., :1] for name in ("own", "link", "shared", "pull_shared", "pull_own", "sums"))
    )
    dh, dv, _ = one.spread(noise[:shared], noise[shared:].reshape(width, countries, -1))
    spread = np.cov(np.concatenate([dh, dv.transpose(1, 0, 2).reshape(width * countries, -1)]))
    dense = np.zeros((len(force), len(force)))
    dense[:shared, :shared] = top[..., 0]
    for c in range(countries):
        at = shared + c * width + np.arange(width)
        dense[np.ix_(at, at)], dense[np.ix_(at, range(shared))], dense[np.ix_(range(shared), at)] = (
            own[:, :, c, 0],
            link[:, :, c, 0],
            link[:, :, c, 0].T,
        )
    expected = free @ np.linalg.inv(free.T @ dense @ free) @ free.T
    np.testing.assert_allclose(spread, expected, atol=0.03 * np.abs(expected).max())


def raw_of(model: object, latent: object, h: np.ndarray, v: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Values of the graph's free variables at standardised effects of the latent model."""
    countries = helmert(v.shape[1])
    values: dict[str, np.ndarray] = {}
    shapes = {variable.name: variable.eval().shape for variable in model.free_RVs}  # type: ignore[attr-defined]
    for effect in latent.effects:  # type: ignore[attr-defined]
        part = (
            v[effect.start : effect.start + effect.size]
            if effect.per_country
            else h[effect.start : effect.start + effect.size]
        )
        if effect.basis is None:
            values[effect.name] = np.array(effect.mean + scale[effect.start] * part[0])
        else:
            values[f"{effect.name}_raw"] = ((countries @ part.T) if effect.per_country else part).reshape(
                shapes[f"{effect.name}_raw"]
            )
    return values


@pytest.mark.parametrize(
    ("spec", "cells"),
    [
        (RICH, subgroup_cells()),
        (rm.PrevalenceSpec(), make_cells()),
        (rm.PrevalenceSpec(country_correlation="free"), make_cells()),
    ],
    ids=["slopes and interactions", "two items", "free correlation"],
)
def test_likelihood_is_that_of_the_sampled_graph(
    spec: rm.PrevalenceSpec, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random effects and hyperparameters through both writings of the model: equal logits, equal log likelihood."""
    from riskmodels.models import predictor

    monkeypatch.setattr(predictor, "well_determined", lambda cells, name: False)
    latent = latent_prevalence_model(cells, spec)
    model = rm.build_prevalence_model(cells, spec)
    rng = np.random.default_rng(2)
    zeta = rng.normal(size=(latent.dimension, 1))
    h = rng.normal(size=(latent.shared.shape[-1], 1))
    v = rng.normal(size=(latent.own.shape[-1], latent.own.shape[0], 1))
    v -= v.mean(axis=1, keepdims=True)
    size = sized(latent, zeta)
    named = named_draws(latent, cells, spec, zeta, h[:, None], v[:, :, None])
    values = raw_of(model, latent, h[:, 0], v[..., 0], size.scale[:, 0])
    values |= {
        name: named[name].to_numpy()[0, 0]
        for name in named
        if str(name).endswith("_sd") and name in model.named_vars and model[str(name)] in model.free_RVs
    }
    if "country_packed" in model.named_vars:
        root = (
            np.linalg.cholesky(named["country_correlation"].to_numpy()[0, 0])
            * named["country_sd"].to_numpy()[0, 0][:, None]
        )
        values["country_packed"] = root[np.tril_indices(len(root))]
    inputs = {variable: value for variable in model.free_RVs for name, value in values.items() if variable.name == name}
    assert len(inputs) == len(model.free_RVs)
    prevalence, log_mass = (
        part.eval(inputs, on_unused_input="ignore") for part in (model["prevalence"], _observed_log_density(model))
    )
    np.testing.assert_allclose(named["prevalence"].to_numpy()[0, 0], prevalence, rtol=1e-9)
    assert latent.likelihood.log_density(logits(latent, size, h, v)).sum() == pytest.approx(float(log_mass), rel=1e-9)
    for name in named:
        if str(name).endswith("_effect"):
            np.testing.assert_allclose(
                named[name].to_numpy()[0, 0], model[str(name)].eval(inputs, on_unused_input="ignore"), atol=1e-9
            )


def _observed_log_density(model: object) -> object:
    import pymc as pm

    return pm.logp(model["affected"], model.rvs_to_values[model["affected"]]).sum()  # type: ignore[index, attr-defined]


def test_hyperparameters_have_their_priors() -> None:
    zeta = np.array([[-2.0, -0.3, 0.0, 1.0, 3.0]])
    brms, default = rm.prior_preset("brms"), rm.prior_preset("default")
    np.testing.assert_allclose(
        stats.halfnorm.cdf(hyperparameters._sd_of(default.group_sd, zeta[0]), scale=0.75),
        stats.norm.cdf(zeta[0]),
        rtol=1e-9,
    )
    half_t = 2 * stats.t.cdf(hyperparameters._sd_of(brms.group_sd, zeta[0]) / 2.5, 3) - 1
    np.testing.assert_allclose(half_t, stats.norm.cdf(zeta[0]), rtol=1e-9)
    np.testing.assert_allclose(
        stats.invgamma.cdf(hyperparameters._mixing_of(brms.intercept, zeta[0]), 1.5, scale=1.5),
        stats.norm.cdf(zeta[0]),
        rtol=1e-9,
    )


def test_the_far_end_of_a_mixing_variance_is_no_zero() -> None:
    """Ten SDs out, where the probability below rounds to one: the variance of the normal mixture stays a number above 0."""
    prior = rm.prior_preset("brms").intercept
    far = hyperparameters._mixing_of(prior, np.array([-12.0, -9.7, -8.0, -0.5, 0.5, 8.0]))
    assert (far > 0.005).all()
    assert (np.diff(far) > 0).all()
    np.testing.assert_allclose(
        special.gammaincc(1.5, 1.5 / far[:4]), special.ndtr(np.array([-12.0, -9.7, -8.0, -0.5])), rtol=1e-6
    )


def test_correlation_prior_is_lkj() -> None:
    """Change of variables from partial correlations to the matrix, by numerical differentiation, against det^(eta-1)."""
    cells = make_cells(items=("a", "b", "rare"))
    latent = latent_prevalence_model(cells, rm.PrevalenceSpec(country_correlation="free"))
    place = next(h for h in latent.hypers if h.kind == "correlation")
    position = latent.hypers.index(place)
    lower = np.tril_indices(3, -1)

    def matrix(part: np.ndarray) -> np.ndarray:
        zeta = np.zeros((latent.dimension, 1))
        zeta[place.start : place.start + place.size, 0] = part
        root = hyper_values(latent.hypers, zeta)[position][..., 0]
        return np.asarray(root @ root.T)

    differences = []
    for part in np.random.default_rng(0).normal(scale=0.5, size=(4, 3)):
        step = 1e-6 * np.eye(3)
        jacobian = np.column_stack([(matrix(part + row)[lower] - matrix(part - row)[lower]) / 2e-6 for row in step])
        zeta = np.zeros((latent.dimension, 1))
        zeta[place.start : place.start + place.size, 0] = part
        lkj = (2.0 - 1) * np.linalg.slogdet(matrix(part))[1] + np.linalg.slogdet(jacobian)[1]
        differences.append(log_hyper_prior(latent.hypers, zeta)[0] - lkj)
    np.testing.assert_allclose(differences, differences[0], atol=1e-6)


def test_two_countries_by_quadrature() -> None:
    """The whole posterior of the smallest hierarchical model on a grid: centre, difference of countries, SD."""
    y, n = np.array([12.0, 30.0]), np.array([200.0, 250.0])
    frame = pd.DataFrame({"country": ["KEN", "UGA"], "n": n, "n_effective": n, "yes_effective": y})
    cells = cells_from_frame(
        frame, [Factor("country", ("KEN", "UGA"))], base="all asked", source="published aggregates"
    )
    fit = rm.fit_model(cells, sampler=rm.SamplerSpec(engine="laplace", weighted_draws=16_000))
    centre, raw, sd = np.meshgrid(
        np.linspace(-4.5, 0.5, 161), np.linspace(-4.5, 4.5, 161), np.linspace(1e-4, 4, 201), indexing="ij"
    )
    eta = centre[..., None] + (sd * raw / np.sqrt(2))[..., None] * np.array([-1.0, 1.0])
    log_density = (
        (y * eta - n * np.logaddexp(0, eta)).sum(axis=-1)
        + stats.norm.logpdf(centre, special.logit(0.1), 1.2)
        + stats.norm.logpdf(raw)
        + stats.halfnorm.logpdf(sd, scale=0.75)
    )
    weight = np.exp(log_density - log_density.max())
    axes = [np.linspace(-4.5, 0.5, 161), np.linspace(-4.5, 4.5, 161), np.linspace(1e-4, 4, 201)]

    def total(values: np.ndarray) -> float:
        for axis in axes[::-1]:
            values = integrate.simpson(values, x=axis, axis=-1)
        return float(values)

    exact = [total(weight * special.expit(eta[..., k])) / total(weight) for k in (0, 1)] + [
        total(weight * sd) / total(weight)
    ]
    draws = np.concatenate(
        [fit.posterior["prevalence"].to_numpy(), fit.posterior["country_sd"].to_numpy()[..., None]], axis=-1
    )
    error = effective_draws(draws, fit.weights, 0.05)[2]  # type: ignore[arg-type]
    draws, weights = draws.reshape(-1, 3), fit.weights.ravel()  # type: ignore[union-attr]
    assert fit.passed
    assert (np.abs(weights @ draws - exact) < 4 * error).all()
    assert (error < 0.01 * np.sqrt(weights @ (draws - weights @ draws) ** 2) * 1.5).all()


def oracle_fit(name: str) -> tuple[dict[str, object], rm.Fit]:
    oracle = json.loads((ORACLE / f"{name}.json").read_text())
    if name == "brms_country":
        frame = pd.read_csv(ORACLE / "oracle_country.csv")
        spec, factors = rm.PrevalenceSpec(), ["country"]
    else:
        frame = pd.read_csv(ORACLE.parents[1] / "benchmarks" / "peers" / "cells_312.csv", dtype=str).astype(
            {"n": float, "yes": float}
        )
        spec, factors = (
            rm.PrevalenceSpec(interactions=(("country", "age"), ("country", "gender"))),
            ["country", "age", "gender", "ses"],
        )
    frame = frame.assign(n_effective=frame["n"].astype(float), yes_effective=frame["yes"].astype(float))
    levels = [Factor(factor, tuple(sorted(frame[factor].astype(str).unique()))) for factor in factors]
    cells = cells_from_frame(frame, levels, base="all asked", source="published aggregates")
    return oracle, rm.fit_model(cells, spec, rm.SamplerSpec(engine="laplace", weighted_draws=8000))


@pytest.mark.parametrize("name", ["brms_country", "brms_312"])
def test_country_prevalences_are_those_of_brms(name: str) -> None:
    """Stored brms runs (scripts, versions and date beside them): mean within 4 MCSE of both, 5 and 95 % ends within 0.1 SD."""
    oracle, fit = oracle_fit(name)
    table = rm.prevalence_estimates(fit, probability=0.9).table.set_index("country")
    found = oracle["country_prevalence"]
    assert len(found) == len(table)
    for country, row in found.items():  # type: ignore[attr-defined]
        mine = table.loc[country]
        assert abs(mine["estimate"] - row["mean"]) < 4 * np.hypot(mine["mcse"], row["mcse_mean"]), country
        assert abs(mine["low"] - row["q5"]) < 0.1 * row["sd"], country
        assert abs(mine["high"] - row["q95"]) < 0.1 * row["sd"], country


def test_equal_draws_agree_with_the_weights() -> None:
    fit = rm.fit_model(make_cells(), sampler=rm.SamplerSpec(engine="laplace"))
    values = fit.posterior["prevalence"].to_numpy()
    weighted = fit.weights.ravel() @ values.reshape(-1, len(fit.cells))  # type: ignore[union-attr]
    equal = fit.draws["prevalence"].to_numpy()
    spread = values.reshape(-1, len(fit.cells)).std(axis=0) / np.sqrt(len(values.reshape(-1, len(fit.cells))))
    assert equal.shape == values.shape
    assert (np.abs(equal.mean(axis=(0, 1)) - weighted) < 3 * spread).all()


def known_case(smooth: object) -> None:
    """Draws of Normal(0, 1) weighted to Normal(0.5, 1): mean 0.5, k-hat low."""
    x = np.random.default_rng(0).normal(size=20_000)
    weights, k_hat = smooth(0.5 * x - 0.125)  # type: ignore[operator]
    assert weights @ x == pytest.approx(0.5, abs=0.04)
    assert k_hat < 0.5


def test_log_weights_with_the_wrong_sign_are_caught() -> None:
    known_case(smoothed_weights)
    with pytest.raises(AssertionError):
        known_case(lambda log_weights: smoothed_weights(-log_weights))


def test_pareto_k_of_many_quantities_is_the_librarys() -> None:
    rng = np.random.default_rng(1)
    for spread in (0.1, 1.0, 2.0, 3.0):
        log_weights = rng.normal(0, spread, 4000)
        weights = np.exp(log_weights - log_weights.max())
        mine = pareto_k(np.full((1, 4000, 2), 0.3), weights[None] / weights.sum())
        np.testing.assert_allclose(mine, smoothed_weights(log_weights)[1], atol=0.03)
    assert np.isnan(pareto_k(np.array([[1.0], [np.nan]] * 300)[None], rng.uniform(0.5, 1, (1, 600)) / 450)).all()


def test_weighted_quantiles_and_effective_draws_of_equal_weights() -> None:
    x = np.random.default_rng(3).normal(size=(4000, 2))
    equal = np.full(4000, 1 / 4000)
    np.testing.assert_allclose(
        weighted_quantile(x, equal, np.array([0.05, 0.5, 0.95])),
        np.quantile(x, [0.05, 0.5, 0.95], axis=0, method="hazen"),
        atol=1e-9,
    )
    bulk, tail, error = effective_draws(x[None], equal[None], 0.05)
    np.testing.assert_allclose(bulk, 4000)
    np.testing.assert_allclose(tail, 4000, rtol=1e-6)
    np.testing.assert_allclose(error, x.std(axis=0) / np.sqrt(4000))


def test_both_ways_of_integrating_effects_estimate_the_same() -> None:
    """Country by country and all at once, at the same hyperparameters: equal marginal likelihoods, equal mean logits."""
    cells = subgroup_cells(3, countries=6)
    latent = latent_prevalence_model(cells, rm.PrevalenceSpec(interactions=(("country", "age"), ("country", "gender"))))
    explored = Explored(latent)
    zeta = np.tile(np.random.default_rng(4).normal(scale=0.5, size=(latent.dimension, 1)), 4000)
    at = condition(latent, explored.curvature, zeta, explored.start, 8)
    found = []
    for h, v, log_weights in (
        integration.by_country(explored, at, integration.Outer(at, explored.absorb), np.random.default_rng(5)),
        integration.jointly(explored, at, np.random.default_rng(6)),
    ):
        weights = np.exp(log_weights - log_weights.max())
        pairs = weights.mean(axis=0)
        p = special.expit(
            np.stack([logits(latent, at.size, h[:, k], v[:, :, k], plain=True).reshape(-1, 4000)[0] for k in (0, 1)])
        )
        mean = (weights * p).sum() / weights.sum()
        error = np.sqrt((((weights * (p - mean)).sum(axis=0)) ** 2).sum()) / weights.sum()
        found.append(
            (np.log(pairs.mean()) + log_weights.max(), pairs.std() / pairs.mean() / np.sqrt(4000), mean, error)
        )
    a, b = found
    assert abs(a[0] - b[0]) < 4 * np.hypot(a[1], b[1])
    assert abs(a[2] - b[2]) < 4 * np.hypot(a[3], b[3])
    assert max(a[1], b[1]) < 0.05
