"""Fits of factor and class models recover what made the answers, and say what a reader must know."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import FitError
from riskmodels.estimates.comparison.joint_structures import compare_structures
from riskmodels.estimates.joint_checks import check_margins
from riskmodels.fit.cooccurrence_classes import fit_classes
from riskmodels.fit.cooccurrence_factor import fit_factor
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.sampler import SamplerSpec
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_margins import margins_of
from tests.joint_truths import cell_logits, drawn, layout, of_classes, of_factors

FloatArray = npt.NDArray[np.float64]

LOADINGS = np.array([[1.5], [1.2], [0.8], [2.0]])
TWO = np.array([[1.8, 0.2], [1.5, 0.0], [1.6, 0.3], [0.2, 1.8], [0.0, 1.5], [0.3, 1.7]])
WITHIN = np.array([[0.03, 0.05, 0.08, 0.05], [0.10, 0.60, 0.15, 0.50], [0.70, 0.75, 0.60, 0.80]])

FEWER = SamplerSpec(weighted_draws=3000)


def of_one_factor() -> tuple[JointCounts, FloatArray]:
    factors, index = layout(6, 1)
    truth = of_factors(cell_logits(index, 4, 1), LOADINGS)
    return drawn(factors, index, truth, 3000, 1, unknown=0.03), truth


def of_three_classes() -> tuple[JointCounts, FloatArray]:
    factors, index = layout(6, 1)
    moved = np.random.default_rng(5).normal(0, 0.4, (6, 3)) + np.log([0.7, 0.2, 0.1])
    truth = of_classes(np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True), WITHIN)
    return drawn(factors, index, truth, 3000, 2, unknown=0.03), truth


@cache
def factor_fit() -> CooccurrenceFit:
    return fit_factor(of_one_factor()[0], CooccurrenceSpec(structure="factor", factors=1), FEWER)


@cache
def class_fit() -> CooccurrenceFit:
    return fit_classes(of_three_classes()[0], CooccurrenceSpec(structure="classes", classes=3), FEWER)


def covered(draws: FloatArray, truth: FloatArray, probability: float = 0.9) -> float:
    flat = draws.reshape(-1, *truth.shape)
    low, high = np.quantile(flat, [(1 - probability) / 2, (1 + probability) / 2], axis=0)
    return float(((low <= truth) & (truth <= high)).mean())


def test_one_factor_recovers_loadings_and_joint_probabilities() -> None:
    fit, truth = factor_fit(), of_one_factor()[1]
    assert fit.passed, [str(check) for check in fit.checks if not check.passed]
    loading = fit.posterior["loading"].to_numpy()[..., 0]
    away = (loading.mean(axis=(0, 1)) - LOADINGS[:, 0]) / loading.std(axis=(0, 1))
    assert np.abs(away).max() < 3
    margins = margins_of(truth, 4)
    for name in ("single", "both", "number"):
        # six countries, hence few independent quantities: coverage over many surveys is measured elsewhere
        assert covered(fit.posterior[name].to_numpy(), getattr(margins, name)) >= 0.6


def test_three_classes_recover_classes_and_joint_probabilities() -> None:
    fit, truth = class_fit(), of_three_classes()[1]
    assert fit.passed, [str(check) for check in fit.checks if not check.passed]
    within = fit.posterior["risk_in_class"].to_numpy()
    assert (np.diff(within.mean(axis=(0, 1)).sum(axis=1)) > 0).all()
    away = (within.mean(axis=(0, 1)) - WITHIN) / within.std(axis=(0, 1))
    assert np.abs(away).max() < 3.5
    margins = margins_of(truth, 4)
    for name in ("single", "both", "number"):
        assert covered(fit.posterior[name].to_numpy(), getattr(margins, name)) >= 0.75
    assert any(note.code == "I197" and "numbered" in note.what for note in fit.notes)  # two factors: I197 too


@pytest.mark.parametrize("make", [factor_fit, class_fit], ids=["factor", "classes"])
def test_stored_margins_are_those_of_the_patterns(make: object) -> None:
    fit = make()  # type: ignore[operator]
    which = np.array([0, 17, 2500])
    table = margins_of(np.moveaxis(fit.probabilities(which), -1, 0), 4)
    for name in ("single", "both", "number"):
        stored = fit.posterior[name].to_numpy()
        np.testing.assert_allclose(stored.reshape(-1, *stored.shape[2:])[which], getattr(table, name), atol=1e-10)
    np.testing.assert_allclose(fit.posterior["number"].sum("how_many"), 1.0, atol=1e-10)
    assert fit.engine == "nuts"
    assert "whitened" in fit.engine_reason


def test_the_structure_that_made_the_answers_predicts_best() -> None:
    counts = of_three_classes()[0]
    factor = fit_factor(counts, CooccurrenceSpec(structure="factor", factors=1), FEWER)
    found = compare_structures({"classes": class_fit(), "factor": factor})
    assert found.table["model"][0] == "classes"
    assert found.table["stacking_weight"][0] > 0.6
    checked = check_margins(class_fit(), draws=500)
    assert (checked.summary["outside"] <= checked.summary["by_chance"] + 3).all()


def test_the_same_seed_gives_the_same_numbers_and_identity() -> None:
    factors, index = layout(3, 1)
    counts = drawn(factors, index, of_factors(cell_logits(index, 3, 1), np.ones((3, 1))), 600, 1)
    sampler = SamplerSpec(engine="nuts", draws=100, tune=100, chains=2)
    spec = CooccurrenceSpec(structure="factor", factors=1)
    one, other = (fit_factor(counts, spec, sampler) for _ in range(2))
    np.testing.assert_array_equal(one.posterior["both"], other.posterior["both"])
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != fit_factor(counts, spec, replace(sampler, seed=1)).fingerprint
    assert not one.passed  # 200 draws never have 400 effective ones at the tails


@pytest.mark.parametrize("structure", ["factor", "classes"])
def test_one_country_impossible_pairs_and_the_laplace_engine(structure: str) -> None:
    factors, index = layout(1, 2)
    counts = drawn(factors, index, of_factors(cell_logits(index, 3, 1), np.ones((3, 1))), 500, 1)
    counts = replace(counts, impossible=((0, 2),))
    spec = CooccurrenceSpec(structure=structure, factors=1, classes=2)  # type: ignore[arg-type]
    fit_it = fit_factor if structure == "factor" else fit_classes
    sampler = SamplerSpec(engine="nuts", draws=100, tune=100, chains=2)
    codes = {note.code: note for note in fit_it(counts, spec, sampler).notes}
    assert {"I142", "W197"} <= set(codes)
    assert codes["W197"].where == "risk 0 & risk 2"
    with pytest.raises(FitError, match="not log-concave"):
        fit_it(counts, spec, SamplerSpec(engine="laplace"))


@pytest.mark.slow
def test_two_factors_recover_and_one_factor_fails_on_them() -> None:
    factors, index = layout(6, 1)
    truth = of_factors(cell_logits(index, 6, 3), TWO)
    counts = drawn(factors, index, truth, 6000, 4)
    two = fit_factor(counts, CooccurrenceSpec(structure="factor", factors=2))
    one = fit_factor(counts, CooccurrenceSpec(structure="factor", factors=1))
    assert two.passed, [str(check) for check in two.checks if not check.passed]
    assert one.passed
    margins = margins_of(truth, 6)
    assert covered(two.posterior["both"].to_numpy(), margins.both) > 0.8
    assert covered(one.posterior["both"].to_numpy(), margins.both) < 0.6
    products = np.einsum("cdjk,cdik->cdji", *[two.posterior["loading"].to_numpy()] * 2)
    away = (products.mean(axis=(0, 1)) - TWO @ TWO.T) / products.std(axis=(0, 1))
    assert np.abs(away).max() < 3.5
    found = compare_structures({"one factor": one, "two factors": two})
    assert found.table["model"][0] == "two factors"
    assert found.table["reading"][1] == "predicts worse"
    assert check_margins(one).summary["more_than_by_chance"].any()
    assert not check_margins(two).summary["more_than_by_chance"].any()


@pytest.mark.slow
def test_eight_risks_in_thirteen_countries_pass_the_gate() -> None:
    factors, index = layout(13, 3)
    loadings = np.vstack([TWO, [[1.0, 1.0], [0.6, 1.2]]])
    truth = of_factors(cell_logits(index, 8, 5), loadings, nodes=81)
    counts = drawn(factors, index, truth, 13_000, 6, unknown=0.02, design_effect=1.5)
    fit = fit_factor(counts, CooccurrenceSpec(structure="factor", factors=2, ordered=("age",)))
    assert fit.passed, [str(check) for check in fit.checks if not check.passed]
    assert covered(fit.posterior["both"].to_numpy(), margins_of(truth, 8).both) > 0.85
