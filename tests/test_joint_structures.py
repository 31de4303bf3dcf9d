"""Comparison of joint models and checks of their margins, on fits whose posterior is known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.errors import InputError
from riskmodels.estimates.comparison.joint_new_country import leave_country_out, without_country
from riskmodels.estimates.comparison.joint_scores import answer_densities, leave_child_out
from riskmodels.estimates.comparison.joint_structures import compare_structures
from riskmodels.estimates.joint_checks import check_margins
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.cooccurrence_gate import identity
from riskmodels.fit.sampler import SamplerSpec
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_margins import has_risk, margins_of
from tests.joint_truths import cell_logits, drawn, layout, of_factors

FloatArray = npt.NDArray[np.float64]


def known_fit(counts: JointCounts, table: FloatArray, weights: FloatArray | None = None) -> CooccurrenceFit:
    """A fit whose pattern probabilities (cells, 2^risks, draws) are given."""
    chains = 2
    margins = margins_of(np.moveaxis(table, -1, 0).reshape(chains, -1, *table.shape[:2]), len(counts.risks))
    names = (("single", "risk"), ("both", "pair"), ("number", "how_many"))
    data = {name: (("chain", "draw", "cell", dim), getattr(margins, name)) for name, dim in names}
    spec, sampler = CooccurrenceSpec(), SamplerSpec()
    return CooccurrenceFit(
        spec=spec,
        counts=counts,
        sampler=sampler,
        posterior=xr.Dataset(data),
        checks=(CheckResult("R-hat", "all", 1.0, "< 1.01", True),),
        fingerprint=identity(counts, spec, sampler),
        seconds=0.0,
        weights=weights,
        probabilities=lambda which: table[..., which],
    )


def conjugate(counts: JointCounts, draws: int, seed: int, prior: float = 0.5) -> tuple[CooccurrenceFit, FloatArray]:
    """Saturated model: every cell's patterns have a Dirichlet posterior; the fit and its parameters."""
    size = 2 ** len(counts.risks)
    alpha = np.full((len(counts), size), prior)
    pattern = (counts.answers == 1) @ (1 << np.arange(len(counts.risks)))
    np.add.at(alpha, (counts.cell, pattern), counts.count)
    rng = np.random.default_rng(seed)
    table = np.stack([rng.dirichlet(one, draws).T for one in alpha])
    return known_fit(counts, table), alpha


def some_counts(risks: int = 3, children: int = 1500, seed: int = 1, **more: float) -> tuple[JointCounts, FloatArray]:
    factors, index = layout(4, 2)
    truth = of_factors(cell_logits(index, risks, seed) + 1.0, np.full((risks, 1), 1.5))
    return drawn(factors, index, truth, children, seed, **more), truth


@pytest.mark.parametrize("design_effect", [1.0, 1.6])
def test_leaving_a_child_out_is_exact_for_a_conjugate_model(design_effect: float) -> None:
    counts, _ = some_counts(design_effect=design_effect)
    fit, alpha = conjugate(counts, 4000, 2)
    found = leave_child_out(fit)
    pattern = (counts.answers == 1) @ (1 << np.arange(3))
    part = 1 / design_effect
    exact = np.log((alpha[counts.cell, pattern] - part) / (alpha.sum(axis=1)[counts.cell] - part))
    error = found.scores.density - exact
    assert np.abs(error).max() < 0.12
    assert found.elpd == pytest.approx(float(counts.count @ exact), abs=1.5)
    assert found.scores.mass.sum() == pytest.approx(1500 / design_effect)
    in_sample = counts.count @ np.log(alpha[counts.cell, pattern] / alpha.sum(axis=1)[counts.cell])
    assert found.p_loo == pytest.approx(in_sample - counts.count @ exact, rel=0.1)


def test_unknown_answers_are_summed_over() -> None:
    counts, truth = some_counts(unknown=0.3)
    fit = known_fit(counts, np.repeat(truth[..., None], 4, axis=2))
    has = has_risk(3)
    exact = [
        np.log(truth[cell, ((answers == UNKNOWN) | (has == answers)).all(axis=1)].sum())
        for cell, answers in zip(counts.cell, counts.answers)
    ]
    np.testing.assert_allclose(answer_densities(fit), np.repeat([exact], 4, axis=0), atol=1e-12)


def test_weights_of_draws_count() -> None:
    """A draw with all the weight is the fit."""
    counts, truth = some_counts()
    other = np.full_like(truth, 1 / 8)
    weights = np.zeros((2, 300))
    weights[0] = 1 / 300
    fit = known_fit(counts, np.concatenate([np.repeat(p[..., None], 300, axis=2) for p in (truth, other)], 2), weights)
    alone = known_fit(counts, np.repeat(truth[..., None], 600, axis=2))
    assert leave_child_out(fit).elpd == pytest.approx(leave_child_out(alone).elpd, abs=1e-6)


def test_the_truth_predicts_better_than_independence_and_takes_the_weight() -> None:
    counts, truth = some_counts()
    has = has_risk(3)
    single = truth @ has
    alone = np.prod(np.where(has == 1, single[:, None], 1 - single[:, None]), axis=2)
    fits = {name: known_fit(counts, np.repeat(p[..., None], 1000, axis=2)) for name, p in (("a", alone), ("t", truth))}
    found = compare_structures(fits)
    assert found.passed
    assert found.table["model"].tolist() == ["t", "a"]
    assert found.table["reading"].tolist() == ["best", "predicts worse"]
    assert found.table["stacking_weight"][0] > 0.95
    assert found.table["stacking_weight"].sum() == pytest.approx(1.0)


def test_different_children_or_criteria_are_refused() -> None:
    counts, truth = some_counts()
    others, _ = some_counts(seed=2)
    one, other = (leave_child_out(known_fit(c, np.repeat(truth[..., None], 600, axis=2))) for c in (counts, others))
    with pytest.raises(InputError, match="E195") as caught:
        compare_structures({"one": one, "other": replace(other, criterion="something else")})
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="E195"):
        compare_structures({})


def test_a_new_country_is_predicted_by_the_others() -> None:
    counts, truth = some_counts(unknown=0.1)
    seen: list[tuple[str, ...]] = []

    def fit(kept: JointCounts) -> CooccurrenceFit:
        seen.append(kept.factors[0].levels)
        cells = [int(np.flatnonzero((counts.index == row).all(axis=1))[0]) for row in original(kept)]
        return known_fit(kept, np.repeat(truth[cells][..., None], 4, axis=2))

    def original(kept: JointCounts) -> npt.NDArray[np.int64]:
        index = np.array(kept.index)
        index[:, 0] = [counts.factors[0].levels.index(kept.factors[0].levels[k]) for k in index[:, 0]]
        return index

    found = leave_country_out(counts, fit)
    levels = counts.factors[0].levels
    assert seen == [tuple(name for name in levels if name != gone) for gone in levels]
    has, at = has_risk(3), 5
    cell, answers = counts.cell[at], counts.answers[at]
    alike = (counts.index[:, 1] == counts.index[cell, 1]) & (counts.index[:, 0] != counts.index[cell, 0])
    exact = np.log(truth[alike].mean(axis=0)[((answers == UNKNOWN) | (has == answers)).all(axis=1)].sum())
    assert found.stacked[at] == pytest.approx(exact, abs=1e-12)
    assert found.elpd == pytest.approx(float(counts.count @ found.stacked))
    assert len(found.scores.density) == 4
    assert found.passed


def test_counts_without_a_country_add_up() -> None:
    counts, _ = some_counts(unknown=0.1, design_effect=1.3)
    parts = [without_country(counts, k) for k in range(4)]
    assert sum(part.count.sum() for part in parts) == pytest.approx(3 * counts.count.sum())
    assert all(len(part) == 6 and len(part.factors[0]) == 3 for part in parts)
    with pytest.raises(InputError, match="E142"):
        leave_country_out(without_country(parts[0], 0), lambda kept: conjugate(kept, 100, 1)[0])


def test_a_subgroup_of_one_country_alone_cannot_be_predicted() -> None:
    counts, _ = some_counts()
    index = np.array(counts.index)
    kept = np.flatnonzero((index[:, 0] == 0) | (index[:, 1] == 0))
    rows = np.isin(counts.cell, kept)
    less = replace(
        counts,
        index=index[kept],
        n=counts.n[kept],
        weight=counts.weight[kept],
        n_effective=counts.n_effective[kept],
        cell=np.searchsorted(kept, counts.cell[rows]),
        answers=counts.answers[rows],
        count=counts.count[rows],
        children=None,
    )
    with pytest.raises(InputError, match="E195"):
        leave_country_out(less, lambda counts: conjugate(counts, 100, 1)[0])


def test_margins_of_the_true_model_lie_outside_as_often_as_chance_says() -> None:
    outside, checked = 0, 0
    for seed in range(12):
        counts, truth = some_counts(risks=4, children=4000, seed=seed, unknown=0.1, design_effect=1.25)
        found = check_margins(known_fit(counts, np.repeat(truth[..., None], 2, axis=2)), draws=500, seed=seed)
        outside += int(found.table["outside"].sum())
        checked += len(found.table)
        assert found.table["children"].between(0, 4000 / 1.25).all()
    # effective counts vary 1.25 times less than children do: observed counts are 0.8 times a binomial of 1.25 times as many
    assert checked == 12 * 5 * 10
    assert 0.05 < outside / checked < 0.13


def test_a_planted_triple_is_found_first_and_pairs_are_not_blamed() -> None:
    """Three risks that are more often together than pairs say: all pair margins as if independent."""
    factors, index = layout(4, 1)
    has, p = has_risk(5), np.array([0.3, 0.25, 0.35, 0.3, 0.2])
    alone = np.prod(np.where(has == 1, p, 1 - p), axis=1)
    sign = np.prod(np.where(has[:, :3] == 1, 1.0, -1.0), axis=1)
    rest = np.prod(np.where(has[:, 3:] == 1, p[3:], 1 - p[3:]), axis=1)
    truth = np.repeat((alone + 0.02 * sign * rest)[None], 4, axis=0)
    assert (truth > 0).all()
    counts = drawn(factors, index, truth, 8000, 3)
    found = check_margins(known_fit(counts, np.repeat(np.tile(alone, (4, 1))[..., None], 2, axis=2)))
    first = found.beyond().iloc[0]
    assert first["risks"] == "risk 0 & risk 1 & risk 2"
    assert first["at_least_as_far_by_chance"] < 0.05
    assert (found.beyond()["at_least_as_far_by_chance"][1:] > 0.05).all()
    summary = found.summary.set_index(["kind", "domain"])
    assert not summary.loc[("pair", "pooled"), "more_than_by_chance"]
    assert summary.loc[("triple", "pooled"), "by_chance"] == pytest.approx(1.0)
    assert summary.loc[("triple", "by country"), "checked"] == 40
    assert "outside" in repr(found)
    assert "SYNTHETIC" in found._repr_html_()


def test_impossible_settings_are_refused_at_once() -> None:
    counts, truth = some_counts()
    with pytest.raises(InputError, match="E195") as caught:
        check_margins(known_fit(counts, np.repeat(truth[..., None], 2, axis=2)), probability=1.2, draws=5)
    assert len(caught.value.problems) == 2
