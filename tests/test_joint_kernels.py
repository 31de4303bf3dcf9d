"""Densities of factor and class models: gradients, quadrature, exact small cases, laws of coordinates and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.errors import InputError
from riskmodels.models.class_model import (
    class_margins,
    class_model,
    class_patterns,
    class_starts,
    matched_classes,
)
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.factor_likelihood import factor_likelihood, factor_margins, factor_patterns, quadrature
from riskmodels.models.factor_model import factor_model, starting_point
from riskmodels.models.joint_margins import has_risk, margins_of
from riskmodels.models.joint_predictor import joint_predictor
from tests.joint_truths import cell_logits, drawn, layout, of_classes, of_factors

FloatArray = npt.NDArray[np.float64]


def counts_of(risks: int = 4, unknown: float = 0.1, children: int = 400, seed: int = 1) -> JointCounts:
    factors, index = layout(3, 2)
    logits = cell_logits(index, risks, seed)
    return drawn(factors, index, of_factors(logits, np.ones((risks, 1))), children, seed, unknown=unknown)


def differences(function: object, x: FloatArray) -> FloatArray:
    """Gradient by central differences of two step sizes, extrapolated."""

    def slope(step: float) -> FloatArray:
        out = np.empty(len(x))
        for k in range(len(x)):
            away = np.zeros(len(x))
            away[k] = step
            out[k] = (function(x + away)[0] - function(x - away)[0]) / (2 * step)  # type: ignore[operator]
        return out

    return (4 * slope(1e-4) - slope(2e-4)) / 3


SPECS = [
    CooccurrenceSpec(structure="factor", factors=1),
    CooccurrenceSpec(structure="factor", factors=2, ordered=("age",), interactions=True, priors="brms"),
    CooccurrenceSpec(structure="classes", classes=3, ordered=("age",)),
    CooccurrenceSpec(structure="classes", classes=2, interactions=True, priors="brms"),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.structure}-{spec.priors}")
@pytest.mark.parametrize("told", [False, True], ids=["non-centred", "suited"])
def test_gradients_agree_with_finite_differences(spec: CooccurrenceSpec, told: bool) -> None:
    counts, rng = counts_of(), np.random.default_rng(4)
    if spec.structure == "factor":
        model = factor_model(counts, spec)
        x = starting_point(model, counts, 0)
        model, x = model.anchored(x)
    else:
        model = class_model(counts, spec)
        x = class_starts(model, counts, 0, 1)[0]
    x = x + 0.3 * rng.normal(size=len(x))
    if told:
        curvature = rng.uniform(0.5, 6.0, model.predictor.information.shape)
        predictor, moved = model.predictor.told(x[: model.predictor.size], curvature)
        model, x = model.with_predictor(predictor), np.concatenate([moved, x[model.predictor.size :]])
    x = x + 0.3 * rng.normal(size=len(x))
    gradient = model.density(x)[1]
    np.testing.assert_allclose(gradient, differences(model.density, x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("factors", [1, 2])
def test_quadrature_agrees_with_a_dense_grid(factors: int) -> None:
    rng = np.random.default_rng(factors)
    logits, loadings = rng.normal(-1.5, 0.7, (3, 5)), rng.normal(0, 2.0, (5, factors))
    dense = of_factors(logits, loadings, nodes=401 if factors == 1 else 161)
    found = factor_patterns(logits[None], loadings[None])[..., 0]
    np.testing.assert_allclose(found, dense, atol=1e-5 if factors == 2 else 1e-8)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


def test_one_risk_is_an_integral_over_one_normal() -> None:
    exact, _ = integrate.quad(lambda f: special.expit(-1 + 1.7 * f) * stats.norm.pdf(f), -9, 9, epsabs=1e-12)
    single, both, number = factor_margins(np.array([[[-1.0]]]), np.array([[[1.7]]]))
    assert single[0, 0, 0] == pytest.approx(exact, abs=1e-9)
    assert both.shape == (1, 1, 0)
    np.testing.assert_allclose(number[0, 0], [1 - exact, exact], atol=1e-9)


def test_without_loadings_two_risks_are_independent() -> None:
    logits = np.array([[[-1.0, 0.5]]])
    single, both, _ = factor_margins(logits, np.zeros((1, 2, 1)))
    np.testing.assert_allclose(single[0], special.expit(logits[0]), atol=1e-12)
    assert both[0, 0, 0] == pytest.approx(float(special.expit(logits).prod()), abs=1e-12)


def summed(counts: JointCounts, table: FloatArray) -> float:
    """Weighted log likelihood from a full table of pattern probabilities, unknown answers summed over."""
    has = has_risk(len(counts.risks))
    total = 0.0
    for cell, answers, count in zip(counts.cell, counts.answers, counts.count):
        fits = ((answers == UNKNOWN) | (has == answers)).all(axis=1)
        total += count * np.log(table[cell, fits].sum())
    return total


@pytest.mark.parametrize("factors", [1, 2])
def test_unknown_answers_are_summed_over_by_factors(factors: int) -> None:
    counts, rng = counts_of(unknown=0.3), np.random.default_rng(2)
    logits, loadings = rng.normal(-1.0, 0.5, (len(counts), 4)), rng.normal(0, 1.2, (4, factors))
    likelihood = factor_likelihood(counts, factors)
    table = factor_patterns(logits[None], loadings[None])[..., 0]
    assert likelihood.density_and_gradient(logits, loadings)[0] == pytest.approx(summed(counts, table), abs=1e-7)


def test_unknown_answers_are_summed_over_by_classes() -> None:
    counts = counts_of(unknown=0.3)
    model = class_model(counts, CooccurrenceSpec(structure="classes"))
    x = class_starts(model, counts, 1, 1)[0]
    quarter = replace(counts, count=counts.count / 4, n_effective=counts.n_effective / 4)
    difference = model.density(x)[0] - class_model(quarter, CooccurrenceSpec(structure="classes")).density(x)[0]
    assert difference == pytest.approx(0.75 * summed(counts, of_classes(model.shares(x), model.within(x))), abs=1e-7)


@pytest.mark.parametrize("factors", [1, 2])
def test_margins_agree_with_the_table_of_patterns(factors: int) -> None:
    rng = np.random.default_rng(7)
    logits, loadings = rng.normal(-1.5, 1.0, (2, 3, 5)), rng.normal(0, 1.5, (2, 5, factors))
    table = margins_of(np.moveaxis(factor_patterns(logits, loadings), -1, 0), 5)
    for one, other in zip(factor_margins(logits, loadings), (table.single, table.both, table.number)):
        np.testing.assert_allclose(one, other, atol=1e-12)
    shares, within = rng.dirichlet(np.ones(3), (2, 4)), rng.uniform(0.01, 0.9, (2, 3, 5))
    table = margins_of(np.moveaxis(class_patterns(shares, within, has_risk(5)), -1, 0), 5)
    for one, other in zip(class_margins(shares, within), (table.single, table.both, table.number)):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_coordinates_choose_no_other_model() -> None:
    """The same effects have the same density in both coordinates, but for the logarithm of the change of volume."""
    counts = counts_of()
    spec = CooccurrenceSpec(structure="factor", factors=1)
    plain = joint_predictor(counts, spec, 4, spec.prior_set.intercept)
    rng = np.random.default_rng(5)
    x = rng.normal(size=plain.size)
    suited, _ = plain.told(x, rng.uniform(0.0, 9.0, plain.information.shape))
    zeta, intercepts, _ = plain.parts(x)
    sd = plain.sds(zeta)[plain.term_of_column, None]
    s = sd / np.sqrt(1 + suited.information * sd**2)
    z = plain.columns(x) / s - s * suited.pull
    other = np.concatenate([zeta, intercepts, z.ravel()])
    np.testing.assert_allclose(suited.predictors(other), plain.predictors(x), atol=1e-12)

    def nothing(eta: FloatArray) -> tuple[float, FloatArray]:
        return 0.0, np.zeros_like(eta)

    volume = float(np.log(s / sd).sum())
    difference = suited.density_and_gradient(other, nothing)[0] - plain.density_and_gradient(x, nothing)[0]
    assert difference == pytest.approx(volume, abs=1e-9)


@given(st.integers(0, 10_000))
def test_turning_factors_changes_no_probability(seed: int) -> None:
    counts = counts_of(children=60)
    model = factor_model(counts, CooccurrenceSpec(structure="factor", factors=2))
    x = starting_point(model, counts, seed)
    anchored, turned = model.anchored(x)
    logits = np.full((1, 1, 4), -1.0)
    before, after = (
        factor_patterns(logits, loading[None]) for loading in (model.loadings(x), anchored.loadings(turned))
    )
    np.testing.assert_allclose(before, after, atol=5e-6)  # the nodes lie on the axes: quadrature differs by 1e-6
    first, second = anchored.anchors
    found = anchored.signed_loadings(turned)
    assert found[first, 0] > 0
    assert found[second, 1] > 0
    assert found[first, 1] == 0


@given(st.permutations(range(3)), st.integers(0, 10_000))
def test_numbering_of_classes_changes_nothing(order: list[int], seed: int) -> None:
    counts = counts_of(children=60)
    model = class_model(counts, CooccurrenceSpec(structure="classes", classes=3))
    x = class_starts(model, counts, seed, 1)[0]
    x = x + 0.5 * np.random.default_rng(seed).normal(size=len(x))
    other = model.renumbered(x, np.array(order))
    assert model.density(other)[0] == pytest.approx(model.density(x)[0], abs=1e-8)
    np.testing.assert_allclose(model.shares(other), model.shares(x)[:, order], atol=1e-12)
    assert matched_classes(model.within(other)[None], model.within(x))[0].tolist() == np.argsort(order).tolist()


def test_an_ordered_factor_that_cells_lack_is_refused() -> None:
    with pytest.raises(InputError, match="E195") as caught:
        factor_model(counts_of(), CooccurrenceSpec(structure="factor", ordered=("income", "country")))
    assert "income, country" in str(caught.value)


def test_weights_of_nodes_sum_to_one_and_have_normal_moments() -> None:
    for factors in (1, 2):
        where, weight = quadrature(factors)
        assert weight.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(weight @ where, 0.0, atol=1e-12)
        np.testing.assert_allclose((where * weight[:, None]).T @ where, np.eye(factors), atol=1e-5)
        np.testing.assert_allclose(weight @ where**4, 3.0, atol=1e-3)


@pytest.mark.parametrize("structure", ["factor", "classes"])
def test_the_density_is_that_of_the_priors_as_written_and_the_answers(structure: str) -> None:
    """Priors from scipy on SDs and effects themselves, volumes of the coordinates, full tables: equal up to a constant."""
    counts, rng = counts_of(unknown=0.2), np.random.default_rng(8)
    spec = CooccurrenceSpec(structure=structure, factors=1, classes=3, ordered=("age",))  # type: ignore[arg-type]
    if structure == "factor":
        model = factor_model(counts, spec)
        x = starting_point(model, counts, 0)
    else:
        model = class_model(counts, spec)
        x = class_starts(model, counts, 0, 1)[0]
    size = model.predictor.size
    x = x + 0.3 * rng.normal(size=len(x))
    curvature = rng.uniform(1.0, 6.0, model.predictor.information.shape)
    predictor, _ = model.predictor.told(x[:size], curvature)
    model = model.with_predictor(predictor)

    def written(x: FloatArray) -> float:
        zeta, intercepts, _ = predictor.parts(x[:size])
        sd, effects = predictor.sds(zeta), predictor.columns(x[:size])
        total = 0.0
        for k, (name, scale) in enumerate((("country", 0.75), ("age", 0.5))):
            assert predictor.terms[k].name == name
            own = predictor.term_of_column == k
            spread = sd[k] / np.sqrt(1 + predictor.information[own] * sd[k] ** 2)
            total += stats.norm.logpdf(effects[own], 0, sd[k]).sum() + np.log(spread).sum()
            total += stats.halfnorm.logpdf(sd[k], scale=scale)
            up, down = (predictor.sds(zeta + step)[k] for step in (1e-6, -1e-6))
            total += np.log((up - down) / 2e-6)
        if structure == "factor":
            loadings = model.loadings(x)
            table = of_factors(predictor.predictors(x[:size]), loadings, nodes=201)
            total += stats.norm.logpdf(intercepts, np.log(1 / 9), 1.2).sum() + stats.norm.logpdf(loadings, 0, 1.5).sum()
        else:
            table = of_classes(model.shares(x), model.within(x))
            total += stats.norm.logpdf(intercepts, 0, 1.5).sum() + stats.norm.logpdf(x[size:], -1, 2).sum()
        return float(total + summed(counts, table))

    places = [x + 0.4 * rng.normal(size=len(x)) for _ in range(4)]
    gaps = [model.density(place)[0] - written(place) for place in places]
    assert np.ptp(gaps) < 1e-4
