"""Specifications, priors, the graph, and the likelihood that counts each child once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import riskmodels as rm
from riskmodels.design.dependence import bivariate_normal_upper, dependence_between_items, within_child_correlation
from riskmodels.models.blocks import trend_basis, zero_sum_basis
from tests.conftest import make_cells


def test_bivariate_normal_against_scipy() -> None:
    for a, b, r in [(0.5, 1.2, 0.4), (-0.3, 2.0, 0.7), (1.0, 1.0, 0.4), (0.0, 0.0, 0.4), (-1.0, -0.5, 0.2)]:
        oracle = stats.multivariate_normal.cdf([-a, -b], cov=[[1, r], [r, 1]])
        assert bivariate_normal_upper(np.array(a), np.array(b), r) == pytest.approx(oracle, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.002, 0.6), min_size=2, max_size=9), st.floats(0.05, 0.9))
def test_within_child_correlation_is_a_correlation(p: list[float], r: float) -> None:
    matrix = within_child_correlation(np.array(p), r)
    assert np.linalg.eigvalsh(matrix).min() > 0
    assert (np.abs(matrix) <= 1 + 1e-12).all()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)


def test_adjusted_curvature_is_that_of_correlated_items() -> None:
    cells = make_cells()
    dependence = dependence_between_items(cells, 0.4)
    assert dependence is not None
    group = np.flatnonzero(cells.same_children == cells.same_children[0])
    p = (cells.yes_effective[group] + 0.5) / (cells.n_effective[group] + 1)
    information = np.diag(cells.n_effective[group] * p * (1 - p))
    rotation = dependence.rotation[0][: len(group), : len(group)]
    root = np.sqrt(np.linalg.inv(information))
    sampling = root @ within_child_correlation(p, 0.4) @ root
    np.testing.assert_allclose(rotation.T @ information @ rotation, np.linalg.inv(sampling), rtol=1e-9)


def test_rotation_leaves_the_anchor_and_vanishes_without_correlation() -> None:
    cells = make_cells()
    dependence = dependence_between_items(cells, 0.4)
    assert dependence is not None
    np.testing.assert_allclose(dependence.apply(dependence.anchor), dependence.anchor)
    assert dependence_between_items(cells, 0.0) is None


def test_bases_sum_to_zero() -> None:
    for levels in (2, 3, 12):
        np.testing.assert_allclose(zero_sum_basis(levels).sum(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(zero_sum_basis(levels).T @ zero_sum_basis(levels), np.eye(levels - 1), atol=1e-12)
        np.testing.assert_allclose(trend_basis(levels).sum(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(np.diff(trend_basis(levels), axis=0), np.eye(levels - 1), atol=1e-12)


@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("normal", {"location": 0.0, "scale": -1.0}),
        ("half_normal", {"scale": 0.0}),
        ("half_normal", {"scale": 1.0, "degrees": 3.0}),
        ("student_t", {"location": 0.0, "scale": 1.0}),
        ("gamma", {}),
    ],
)
def test_impossible_priors(family: str, values: dict[str, float]) -> None:
    with pytest.raises(rm.InputError, match="E195"):
        rm.Prior(family, **values)


@pytest.mark.parametrize("values", [{"draws": 0}, {"chains": 1}, {"seed": -1}, {"target_accept": 1.0}])
def test_absurd_sampler(values: dict[str, float]) -> None:
    with pytest.raises(rm.InputError, match="E196"):
        rm.SamplerSpec(**values)


def test_spec_round_trip_and_hash() -> None:
    spec = rm.PrevalenceSpec(
        ordered=("age",),
        interactions=(("sex", "age"),),
        priors=rm.prior_preset("brms"),
        country_predictors={"online": {"KEN": 0.6}},
    )
    assert rm.PrevalenceSpec.from_toml(spec.to_toml()) == spec
    assert (
        rm.PrevalenceSpec(priors="default").content_hash
        == rm.PrevalenceSpec(priors=rm.prior_preset("default")).content_hash
    )
    assert rm.PrevalenceSpec(priors="wide").content_hash != rm.PrevalenceSpec().content_hash
    with pytest.raises(rm.InputError, match="E195"):
        rm.PrevalenceSpec(priors="nonsense", within_child_correlation=2)


def test_one_country_and_few_countries() -> None:
    one = make_cells(("KEN",))
    terms = rm.PrevalenceSpec().terms_for(one)
    assert [t.name for t in terms.terms] == ["indicator"]
    assert [n.code for n in terms.notes] == ["I142"]
    with pytest.raises(rm.InputError, match="E142"):
        rm.PrevalenceSpec(country="partial").terms_for(one)
    assert [n.code for n in rm.PrevalenceSpec().terms_for(make_cells(("KEN", "UGA"))).notes] == ["W143"]


def test_every_variable_of_the_graph_has_dims() -> None:
    model = rm.build_prevalence_model(make_cells(), rm.PrevalenceSpec())
    for variable in [*model.free_RVs, *model.deterministics, *model.observed_RVs]:
        assert variable.ndim == 0 or len(model.named_vars_to_dims[variable.name]) == variable.ndim, variable.name


def test_log_likelihood_of_effective_counts() -> None:
    """Against scipy's binomial on whole counts, up to the constant that does not depend on p."""
    cells = make_cells(items=("common",))
    model = rm.build_prevalence_model(cells, rm.PrevalenceSpec())
    point = model.initial_point()
    compiled = model.compile_logp(vars=model.observed_RVs)
    eta = float(point["intercept"])
    ours = compiled(point) - compiled({**point, "intercept": np.array(eta + 0.3)})
    log_mass = [
        stats.binom.logpmf(cells.yes_effective, cells.n_effective, 1 / (1 + np.exp(-e))).sum() for e in (eta, eta + 0.3)
    ]
    assert ours == pytest.approx(log_mass[0] - log_mass[1], rel=1e-8)


@pytest.mark.parametrize(
    "spec",
    [
        rm.PrevalenceSpec(interactions=(("country", "indicator"), ("indicator", "country"))),
        rm.PrevalenceSpec(interactions=(("country", "country"),)),
        rm.PrevalenceSpec(country="none", interactions=(("country", "indicator"),)),
        rm.PrevalenceSpec(continuous=("indicator",)),
    ],
)
def test_interactions_that_would_be_fitted_twice_or_lost(spec: rm.PrevalenceSpec) -> None:
    with pytest.raises(rm.InputError, match="E195"):
        spec.terms_for(make_cells())


def test_predictors_and_priors_that_are_not_whole() -> None:
    cells = make_cells()
    values = dict.fromkeys(cells.factor("country").levels, 0.5) | {"KEN": float("nan"), "UGA": 0.1}
    with pytest.raises(rm.InputError, match="E185"):
        rm.PrevalenceSpec(country_predictors={"gdp": values}).terms_for(cells)
    with pytest.raises(rm.InputError, match="E195"):
        rm.PrevalenceSpec.from_toml('[priors]\nintercept = {family = "normal", location = 0.0, scale = 1.0}\n')
    with pytest.raises(rm.InputError, match="E195"):
        rm.PrevalenceSpec.from_toml('interactions = [["a"]]\n')
