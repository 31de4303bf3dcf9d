"""Laws of co-occurrence: bounds, sums, permutations, independence, the 2 x 2 table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskmodels.design.joint_counts import JointCounts
from riskmodels.estimates.cooccurrence_measures import MEASURES, measure
from riskmodels.estimates.joint_domains import joint_draws
from riskmodels.estimates.pair_measures import PAIR_MEASURES
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.models.joint_margins import has_risk
from riskmodels.survey.factors import Factor
from tests.cooccurrence.made_fits import counts_of, fit_of, made_fit, noisy, truth_of

BYS = ([], ["country"], ["country", "group"])


def values(fit: CooccurrenceFit, name: str, by: list[str]) -> np.ndarray:
    return measure(fit, name, by, probability=0.95).draws


def any_fit(risks: int, seed: int) -> CooccurrenceFit:
    """A fit of any pattern probabilities whatever, few draws."""
    rng = np.random.default_rng(seed)
    patterns = rng.dirichlet(np.full(2**risks, 0.3), (1, 20, 6)) + 1e-9
    patterns /= patterns.sum(axis=-1, keepdims=True)
    counts = counts_of(truth_of(6, risks, seed), risks, children=list(rng.integers(30, 900, 6)))
    return fit_of(counts, patterns)


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(0, 10**6), st.sampled_from(BYS))
def test_how_many_risks(risks: int, seed: int, by: list[str]) -> None:
    fit = any_fit(risks, seed)
    single, some = values(fit, "prevalence", by), values(fit, "any", by)[..., 0]
    assert (single.max(axis=-1) <= some + 1e-12).all()
    assert (some <= np.minimum(1, single.sum(axis=-1)) + 1e-12).all()
    at_least, exactly = values(fit, "at least", by), values(fit, "exactly", by)
    assert (np.diff(at_least, axis=-1) <= 1e-12).all()
    np.testing.assert_allclose(at_least[..., 0], some, atol=1e-12)
    np.testing.assert_allclose(exactly.sum(axis=-1), 1, atol=1e-12)
    mean = values(fit, "mean", by)[..., 0]
    np.testing.assert_allclose(mean, exactly @ np.arange(risks + 1), atol=1e-12)
    np.testing.assert_allclose(mean, at_least.sum(axis=-1), atol=1e-12)


@settings(max_examples=30)
@given(st.integers(2, 5), st.integers(0, 10**6), st.sampled_from(BYS))
def test_pairs(risks: int, seed: int, by: list[str]) -> None:
    """Bounds of Frechet; P(B given A) P(A) = P(both) = P(A given B) P(B); signs of all measures agree."""
    fit = any_fit(risks, seed)
    single, both = values(fit, "prevalence", by), values(fit, "both", by)
    one, two = np.triu_indices(risks, 1)
    assert (both <= np.minimum(single[..., one], single[..., two]) + 1e-12).all()
    assert (both >= np.maximum(0, single[..., one] + single[..., two] - 1) - 1e-12).all()
    given_ = measure(fit, "given", by, probability=0.95)
    size = risks * (risks - 1)
    first = [int(level.split()[-1]) - 1 for level in given_.labels["risk"][:size]]
    other = [int(level.split()[-1]) - 1 for level in given_.labels["other_risk"][:size]]
    assert all(a != b for a, b in zip(first, other))
    product = given_.draws * single[..., first]
    for place, (a, b) in enumerate(zip(first, other)):
        np.testing.assert_allclose(product[..., place], both[..., fit.counts.pairs.index((min(a, b), max(a, b)))])
    together = np.sign(np.round(values(fit, "ratio", by) - 1, 9))
    for name in ("odds ratio", "tetrachoric"):
        found = measure(fit, name, by, probability=0.95)
        sign = np.sign(np.round(found.draws - PAIR_MEASURES[name].none, 9))
        differs = (sign != together) & (sign * together != 0) & found.exists
        assert not differs.any(), name


def permuted(fit: CooccurrenceFit, order: list[int]) -> CooccurrenceFit:
    """The same children and draws, the risks in another order."""
    risks = len(order)
    has = has_risk(risks).astype(int)
    old = (has[:, np.argsort(order)] @ (1 << np.arange(risks))).astype(int)
    names = fit.counts.risks
    counts: JointCounts = replace(
        fit.counts,
        risks=Factor(names.name, tuple(names.levels[k] for k in order), tuple(names.labels[k] for k in order)),
        answers=fit.counts.answers[:, order],
    )
    size = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    patterns = np.moveaxis(fit.probabilities(np.arange(size)), -1, 0)[:, :, old]
    return fit_of(counts, patterns.reshape(4, -1, *patterns.shape[1:]))


@pytest.mark.parametrize("name", MEASURES)
def test_risks_in_another_order(name: str) -> None:
    fit = made_fit(4, missing=0.2)
    other = permuted(fit, [2, 0, 3, 1])
    one, two = (measure(each, name, ["country"], probability=0.95) for each in (fit, other))
    columns = [c for c in one.labels if not c.endswith("_code")]

    def keyed(found: object) -> dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]]:
        draws = found.draws.reshape(2000, -1)  # type: ignore[attr-defined]
        direct = found.direct.drop(columns="n").to_numpy(float)  # type: ignore[attr-defined]
        rows = {}
        for place, row in enumerate(found.labels[columns].itertuples(index=False)):  # type: ignore[attr-defined]
            key = tuple(row) if name == "given" else tuple(sorted(map(str, row)))
            rows[key] = (draws[:, place], direct[place])
        return rows

    first, second = keyed(one), keyed(two)
    assert first.keys() == second.keys()
    for key, (draws, direct) in first.items():
        np.testing.assert_allclose(draws, second[key][0], rtol=1e-9)
        np.testing.assert_allclose(direct, second[key][1], rtol=1e-9)


def test_independent_risks_hang_together_by_chance_only() -> None:
    """In one cell exactly; over cells with other prevalences, children who meet one risk do meet another."""
    p = np.array([0.1, 0.3, 0.6])
    has = has_risk(3)
    one = (p**has * (1 - p) ** (1 - has)).prod(axis=1)
    fit = fit_of(counts_of(np.tile(one, (6, 1)), 3), np.tile(one, (4, 25, 6, 1)))
    for name, none in (("ratio", 1.0), ("odds ratio", 1.0), ("tetrachoric", 0.0)):
        np.testing.assert_allclose(values(fit, name, []), none, atol=1e-12)
        np.testing.assert_allclose(measure(fit, name, [], probability=0.95).direct["direct"], none, atol=1e-12)
    q = np.array([0.4, 0.6, 0.8])
    two = (q**has * (1 - q) ** (1 - has)).prod(axis=1)
    mixed = np.stack([one, two] * 3)
    fit = fit_of(counts_of(mixed, 3), np.tile(mixed, (4, 25, 1, 1)))
    np.testing.assert_allclose(values(fit, "ratio", ["country", "group"]), 1.0, atol=1e-12)
    assert (values(fit, "ratio", []) > 1.02).all()
    expected = ((p * np.roll(p, 1) + q * np.roll(q, 1)) / 2) / ((p + q) / 2 * np.roll((p + q) / 2, 1))
    np.testing.assert_allclose(np.sort(values(fit, "ratio", [])[0, 0, 0]), np.sort(expected))


def test_two_risks_are_the_two_by_two_table() -> None:
    table = np.array([0.5, 0.2, 0.18, 0.12])  # none, first only, second only, both
    fit = fit_of(counts_of(np.tile(table, (6, 1)), 2), np.tile(table, (4, 25, 6, 1)))
    expected = {
        "prevalence": [0.32, 0.30],
        "any": [0.5],
        "at least": [0.5, 0.12],
        "exactly": [0.5, 0.38, 0.12],
        "mean": [0.62],
        "both": [0.12],
        "given": [0.12 / 0.32, 0.12 / 0.30],
        "ratio": [0.12 / (0.32 * 0.30)],
        "odds ratio": [0.12 * 0.5 / (0.2 * 0.18)],
    }
    for name, numbers in expected.items():
        found = measure(fit, name, [], probability=0.95)
        np.testing.assert_allclose(found.draws[0, 0, 0], numbers, rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(found.direct["direct"], numbers, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("by", BYS)
def test_a_domain_lies_between_its_cells_in_what_averages(by: list[str]) -> None:
    fit = made_fit(3)
    cells, domains = joint_draws(fit, ["country", "group"]), joint_draws(fit, by)
    for name in ("single", "both", "number"):
        parts, whole = getattr(cells, name), getattr(domains, name)
        assert (whole.min(axis=2) >= parts.min(axis=2) - 1e-12).all()
        assert (whole.max(axis=2) <= parts.max(axis=2) + 1e-12).all()


def test_weights_on_another_scale_change_nothing_and_heavier_cells_count_more() -> None:
    fit = made_fit(3)
    scaled = replace(fit, counts=replace(fit.counts, weight=fit.counts.weight * 7))
    np.testing.assert_allclose(values(fit, "ratio", []), values(scaled, "ratio", []))
    heavy = fit.counts.weight.copy()
    heavy[0] *= 1000
    near = replace(fit, counts=replace(fit.counts, weight=heavy))
    cell = values(fit, "both", ["country", "group"])[:, :, 0]
    np.testing.assert_allclose(values(near, "both", [])[:, :, 0], cell, rtol=0.05)


def test_noise_of_draws_is_what_an_interval_shows() -> None:
    truth = truth_of(6, 3)
    fit = fit_of(counts_of(truth, 3), noisy(truth, spread=0.05))
    exact = fit_of(counts_of(truth, 3), np.tile(truth, (4, 25, 1, 1)))
    for name in ("ratio", "odds ratio", "tetrachoric", "given"):
        centre, spread = values(fit, name, []).mean(axis=(0, 1)), values(fit, name, []).std(axis=(0, 1))
        np.testing.assert_array_less(np.abs(centre - values(exact, name, [])[0, 0]), 4 * spread / np.sqrt(2000) + 0.01)
