"""Tables of co-occurrence: rows, notes, direct figures, contrasts, numbers of children, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from riskmodels.cooccurrence_result import CooccurrenceResult
from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError
from riskmodels.estimates.answered_tables import pair_tables
from riskmodels.estimates.cooccurrence import children_estimates, number_estimates, pair_estimates, risk_estimates
from riskmodels.estimates.cooccurrence_contrasts import contrast_cooccurrence
from riskmodels.estimates.joint_domains import joint_domains
from riskmodels.estimates.pair_measures import PAIR_MEASURES, pair_items
from riskmodels.fit.weighting import weighted_quantile
from riskmodels.survey.population import population_from_table
from riskmodels.vocabulary import DIRECT_COLUMNS
from tests.cooccurrence.made_fits import COUNTRIES, counts_of, fit_of, loglinear, made_fit, noisy, truth_of


def frame_of_children() -> object:
    table = pd.DataFrame({"country": COUNTRIES.levels, "total": [8e6, 1e6, 3e6]})
    return population_from_table(table.assign(share_online=[0.5, 0.6, 0.4], share_online_se=0.03))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("measure", list(PAIR_MEASURES))
def test_pairs_stand_once_or_in_both_directions(measure: str, weighted: bool) -> None:
    found = pair_estimates(made_fit(4, weighted=weighted), measure, ["country"])  # type: ignore[arg-type]
    table = found.table
    assert found.passed
    assert len(table) == 3 * (12 if measure == "given" else 6)
    assert (table["risk"] != table["other_risk"]).all()
    assert not table.duplicated(["country", "risk", "other_risk"]).any()
    assert (table["low"] <= table["median"]).all()
    assert (table["median"] <= table["high"]).all()
    assert set(DIRECT_COLUMNS) <= set(table)
    assert list(table["n"].unique()) == [800.0]
    assert ((table["direct"] - table["estimate"]).abs() < 0.25 * table["estimate"].abs() + 0.02).all()
    assert found.draws.shape[-1] == len(table)


def test_an_impossible_pair_is_said_to_be_one() -> None:
    fit = made_fit(4, impossible=((0, 1),))
    for measure in PAIR_MEASURES:
        table = pair_estimates(fit, measure).table  # type: ignore[arg-type]
        pair = {frozenset(("Risk number 1", "Risk number 2"))}
        declared = [frozenset(row) in pair for row in table[["risk", "other_risk"]].itertuples(index=False)]
        assert table["note"].str.contains("declared impossible").tolist() == declared
        numbers = table.loc[declared, ["estimate", "median", "low", "high", "direct"]]
        assert numbers.isna().all().all()
        assert table.loc[~np.array(declared), "estimate"].notna().all()
    contrast = contrast_cooccurrence(fit, "group", reference="others", of="odds ratio")
    assert contrast.passed
    assert contrast.table["note"].str.contains("declared impossible").sum() == 1


def test_only_impossible_pairs() -> None:
    with pytest.raises(InputError, match="E195"):
        pair_estimates(made_fit(2, impossible=((0, 1),)), "ratio")


def without_both(fit_risks: int = 3) -> JointCounts:
    """Nobody was seen with the first two risks."""
    counts = made_fit(fit_risks).counts
    keep = ~((counts.answers[:, 0] == 1) & (counts.answers[:, 1] == 1))
    sums = np.bincount(counts.cell[keep], counts.count[keep], len(counts))
    return replace(
        counts,
        cell=counts.cell[keep],
        answers=counts.answers[keep],
        count=counts.count[keep],
        n_effective=sums,
        children=None,
    )


def test_a_pair_never_seen_rests_on_the_model_and_says_so() -> None:
    fit = fit_of(without_both(), noisy(truth_of(6, 3)))
    table = pair_estimates(fit, "odds ratio").table
    assert table["note"].str.contains("nobody here was seen with both").tolist() == [True, False, False]
    first = table.iloc[0]
    assert first["estimate"] > 0
    assert first["direct"] == 0
    assert np.isnan(first["direct_low"])
    both = pair_estimates(fit, "both").table.iloc[0]
    assert both["direct_low"] == 0
    assert 0 < both["direct_high"] < 0.005  # Clopper-Pearson of none among about 1,900
    given = pair_estimates(fit, "given").table.iloc[0]
    with_first = fit.counts.count[fit.counts.answers[:, 0] == 1].sum()
    assert given["n_effective"] <= with_first + 1e-9
    assert given["n_effective"] > 0.8 * with_first  # its base: children with the first risk
    np.testing.assert_allclose(given["direct_high"], 1 - 0.025 ** (1 / given["n_effective"]))


def test_a_risk_within_another_has_no_odds_ratio() -> None:
    """The first risk is part of the second ("any of" beside its parts)."""
    more = truth_of(6, 3).copy()
    more[:, [1, 5]] = 0
    more /= more.sum(axis=1, keepdims=True)
    fit = fit_of(counts_of(more, 3), noisy(more))
    for measure in ("odds ratio", "tetrachoric"):
        table = pair_estimates(fit, measure).table  # type: ignore[arg-type]
        assert table["estimate"].isna().tolist() == [True, False, False]
        assert "no such figure exists" in table["note"].iloc[0]
    given = pair_estimates(fit, "given").table
    np.testing.assert_allclose(given["estimate"].iloc[0], 1.0)


def test_a_question_that_a_country_did_not_ask() -> None:
    counts = made_fit(3).counts
    country = counts.position("country")[counts.cell]
    answers = counts.answers.copy()
    answers[country == 2, 0] = -1
    fit = fit_of(replace(counts, answers=answers), noisy(truth_of(6, 3)))
    table = pair_estimates(fit, "ratio", ["country"]).table
    uganda = table[table["country"] == "Uganda"]
    assert uganda["note"].str.contains("nobody here answered both").tolist() == [True, True, False]
    assert uganda["direct"].isna().tolist() == [True, True, False]
    assert uganda["estimate"].notna().all()
    pooled = pair_estimates(fit, "ratio").table
    assert pooled["note"].str.contains("without the 33 % of children").tolist() == [True, True, False]
    assert risk_estimates(fit).table["direct"].isna().sum() == 1
    number = number_estimates(fit, "any").table
    assert number["direct"].isna().tolist() == [False, False, True]
    assert number["n_effective"].iloc[2] == 0


def test_direct_figures_are_those_of_the_sample() -> None:
    """One cell, equal weights: the textbook's figures and intervals from its 2 x 2 table (Woolf's for odds ratios)."""
    a, b, c, d = 60, 40, 110, 290  # both, first only, second only, neither
    table = np.array([d, b, c, a]) / 500
    counts = counts_of(np.tile(table, (6, 1)), 2, children=500, design_effect=1.0)
    fit = fit_of(counts, noisy(np.tile(table, (6, 1))))
    by = ["country", "group"]
    row = pair_estimates(fit, "odds ratio", by).table.iloc[0]
    half = stats.norm.ppf(0.975) * np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    np.testing.assert_allclose(row["direct"], a * d / (b * c))
    np.testing.assert_allclose(
        np.log([row["direct_low"], row["direct_high"]]), np.log(row["direct"]) + half * np.array([-1, 1])
    )
    row = pair_estimates(fit, "given", by).table.iloc[0]
    np.testing.assert_allclose(row["n_effective"], a + b)  # children with the first risk
    exact = stats.binomtest(a, a + b).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose([row["direct_low"], row["direct_high"]], [exact.low, exact.high], rtol=1e-9)
    row = pair_estimates(fit, "both", by).table.iloc[0]
    exact = stats.binomtest(a, 500).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose([row["direct_low"], row["direct_high"]], [exact.low, exact.high], rtol=1e-9)
    row = pair_estimates(fit, "ratio", by).table.iloc[0]
    p, q, r = a / 500, (a + b) / 500, (a + c) / 500
    # delta method on log P(both) - log P(first) - log P(second) of a multinomial
    expected = (1 / p - 1 / q - 1 / r + 2 * p / (q * r) - 1) / 500
    found = (np.log(row["direct_high"] / row["direct_low"]) / 2 / stats.norm.ppf(0.975)) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_direct_interval_of_a_correlation_covers() -> None:
    """95 % intervals of tetrachorics of 600 drawn tables: 0.95 plus or minus three binomial errors."""
    truth = np.tile(np.array([0.55, 0.15, 0.18, 0.12]), (6, 1))
    true = pair_estimates(fit_of(counts_of(truth, 2), noisy(truth, spread=1e-6)), "tetrachoric").table["estimate"][0]
    inside = []
    for seed in range(100):
        counts = counts_of(truth, 2, children=300, drawn=True, design_effect=1.0, seed=seed)
        where = joint_domains(counts, ["country", "group"])
        tables = pair_tables(where, pair_items(2, symmetric=True))
        columns = tables.columns(PAIR_MEASURES["tetrachoric"], 0.95)
        inside += list((columns["direct_low"] < true) & (true < columns["direct_high"]))
    assert abs(np.mean(inside) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 600)


def test_contrasts_are_those_of_the_tables() -> None:
    fit = made_fit(3)
    by_group = pair_estimates(fit, "ratio", ["group"])
    contrast = contrast_cooccurrence(fit, "group", reference="Other children", of="ratio")
    others, vulnerable = by_group.draws[..., :3], by_group.draws[..., 3:]
    np.testing.assert_allclose(contrast.draws, vulnerable - others)
    assert contrast.table["group"].unique().tolist() == ["Vulnerable children"]
    assert contrast.table["note"].str.startswith("compared with Other children (n 1,200)").all()
    turned = contrast_cooccurrence(fit, "group", reference="vulnerable", of="ratio", contrast="ratio")
    there = contrast_cooccurrence(fit, "group", reference="others", of="ratio", contrast="ratio")
    np.testing.assert_allclose(turned.draws * there.draws, 1.0)
    within = contrast_cooccurrence(fit, "group", reference="others", of="mean", by=["country"])
    assert within.table["country"].tolist() == ["Kenya", "Namibia", "Uganda"]
    countries = contrast_cooccurrence(fit, "country", reference="Kenya", of="any", contrast="ratio")
    assert countries.table["country"].tolist() == ["Namibia", "Uganda"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"reference": "nobody"}, "E145"),
        ({"reference": "others", "of": "phi"}, "E195"),
        ({"reference": "others", "contrast": "odds"}, "E195"),
        ({"reference": "others", "of": "tetrachoric", "contrast": "ratio"}, "E195"),
        ({"reference": "others", "by": ["age"]}, "E132"),
    ],
)
def test_contrasts_that_cannot_be(settings: dict[str, object], code: str) -> None:
    with pytest.raises(InputError, match=code):
        contrast_cooccurrence(made_fit(2), "group", **settings)  # type: ignore[arg-type]


def test_measures_that_do_not_exist() -> None:
    fit = made_fit(2)
    with pytest.raises(InputError, match="E195"):
        pair_estimates(fit, "any")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="E195"):
        number_estimates(fit, "ratio")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="E132"):
        pair_estimates(fit, "ratio", ["age"])


def test_numbers_of_children() -> None:
    fit, frame = made_fit(3), frame_of_children()
    found = children_estimates(fit, frame, (1, 2, 9))  # type: ignore[arg-type]
    table = found.table
    assert table["how_many"].tolist() == [1, 1, 1, 2, 2, 2, 1, 2]
    assert table["country"].tolist()[-2:] == ["all countries"] * 2
    np.testing.assert_allclose(found.draws[..., :3].sum(axis=-1), found.draws[..., 6])
    np.testing.assert_allclose(found.draws[..., 3:6].sum(axis=-1), found.draws[..., 7])
    share = number_estimates(fit, "any", population=frame).table["estimate"]  # type: ignore[arg-type]
    np.testing.assert_allclose(table["estimate"][:3], share * [4e6, 6e5, 1.2e6], rtol=0.02)
    with pytest.raises(InputError, match="E195"):
        children_estimates(fit, frame, (0, 7))  # type: ignore[arg-type]


def test_a_population_decides_how_countries_count() -> None:
    fit, frame = made_fit(3), frame_of_children()
    by_country = number_estimates(fit, "any", population=frame).draws  # type: ignore[arg-type]
    pooled = number_estimates(fit, "any", [], population=frame).draws[..., 0]  # type: ignore[arg-type]
    users = np.array([4e6, 6e5, 1.2e6])
    np.testing.assert_allclose(pooled, by_country @ (users / users.sum()))


def test_result_answers_by_names_that_one_would_guess() -> None:
    fit = made_fit(3)
    result = CooccurrenceResult(fit, frame_of_children())  # type: ignore[arg-type]
    assert result.passed
    assert result.risks[0] == "Risk number 1"
    assert len(result.estimates()) == 9
    assert len(result.any()) == len(result.mean()) == 3
    assert len(result.number([], "exactly")) == 4
    assert len(result.pairs("given", ["group"])) == 12
    assert len(result.prevalence()) == 9
    assert len(result.contrast("group", "others", of="odds ratio", kind="ratio")) == 3
    assert len(result.children()) == 12
    assert "SYNTHETIC" in result._repr_html_()
    assert repr(result).startswith("CooccurrenceResult of CooccurrenceFit(SYNTHETIC")
    with pytest.raises(InputError, match="E185"):
        CooccurrenceResult(fit).children()
    assert not CooccurrenceResult(made_fit(2, passed=False)).passed


def test_notes_say_what_is_no_finding() -> None:
    """Associations that the model makes alike in all groups, and countries taken as one."""
    fit = made_fit(3)
    by_group = pair_estimates(fit, "odds ratio", ["group"]).table["note"]
    assert by_group.str.contains("hang together alike for every group").all()
    contrast = contrast_cooccurrence(fit, "group", reference="others", of="odds ratio", by=["country"]).table["note"]
    assert contrast.str.contains("no finding").all()
    free = replace(fit, spec=replace(fit.spec, associations_by=("country", "group")))
    assert not pair_estimates(free, "odds ratio", ["group"]).table["note"].str.contains("no finding").any()
    assert not pair_estimates(fit, "odds ratio", ["country"]).table["note"].str.contains("no finding").any()
    assert pair_estimates(fit, "ratio").table["note"].str.contains("all countries as one").all()
    assert not pair_estimates(fit, "ratio", ["country"]).table["note"].any()
    assert not pair_estimates(fit, "both").table["note"].any()


def test_combinations_of_one_group() -> None:
    fit = made_fit(3)
    result = CooccurrenceResult(fit)
    found = result.combinations({"country": "Kenya", "group": "vulnerable"}, top=3)
    table = found.table
    assert table["n"].unique().tolist() == [400.0]
    assert table["group"].unique().tolist() == ["Vulnerable children"]
    np.testing.assert_allclose(table["direct"].sum(), 1)
    for within in ({"country": "Atlantis"}, {"country": "Kenya", "group": "nobody"}):
        with pytest.raises(InputError, match="E145"):
            result.combinations(within)


def test_levels_that_no_cell_has_are_left_out() -> None:
    counts = made_fit(2).counts
    more = replace(COUNTRIES, levels=("AAA", *COUNTRIES.levels), labels=("Nowhere", *COUNTRIES.labels))
    index = counts.index + np.array([1, 0])
    fit = fit_of(replace(counts, factors=(more, counts.factors[1]), index=index), noisy(truth_of(6, 2)))
    assert number_estimates(fit, "any").table["country"].tolist() == ["Kenya", "Namibia", "Uganda"]


@pytest.mark.parametrize("name", list(PAIR_MEASURES))
def test_gradients_are_those_of_differences(name: str) -> None:
    """Against central differences of the value on its scale, table by table."""
    measure = PAIR_MEASURES[name]
    scale = {"proportion": lambda x: x, "log": np.log, "fisher": np.arctanh}[measure.scale]
    tables = np.array([[0.06, 0.1, 0.2], [0.3, 0.4, 0.5], [0.01, 0.2, 0.3], [0.015, 0.02, 0.7]])
    found = np.stack(measure.gradient(*tables.T))
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-6
        high, low = (scale(measure.value(*(tables + sign * step).T)) for sign in (1, -1))
        np.testing.assert_allclose(found[place], (high - low) / 2e-6, rtol=1e-5, atol=1e-8)


def test_a_mean_that_a_few_draws_decide_is_not_reported() -> None:
    """The share with all eight risks is known to a factor only: median and interval stay, and are those of the draws."""
    truth = loglinear(np.full((6, 8), -2.8), np.full((6, 28), 0.1))
    log = 0.6 * np.random.default_rng(4).normal(size=(4, 1000))
    fit = fit_of(counts_of(truth, 8), noisy(truth, spread=0.4, draws=1000), weights=np.exp(log) / np.exp(log).sum())
    found = number_estimates(fit, "at least")
    table = found.table
    blank = table["estimate"].isna()
    assert found.passed
    assert set(table.loc[blank, "how_many"]) <= {6, 7, 8}
    assert blank.any()
    assert table["note"].str.contains("read the median").tolist() == blank.tolist()
    assert table.loc[blank, ["sd", "mcse"]].isna().all().all()
    assert (table["pareto_k"] < 0.7).all()
    for place in np.flatnonzero(blank):
        logs = weighted_quantile(
            np.log(found.draws[..., place].reshape(-1, 1)), fit.weights.ravel(), np.array([0.025, 0.5, 0.975])
        )
        own = table.iloc[place][["low", "median", "high"]].to_numpy(float)
        np.testing.assert_allclose(np.log(own), logs[:, 0], atol=0.02)


def test_draws_too_few_to_tell_are_not_passed_by_their_logarithm() -> None:
    log = 3.0 * np.random.default_rng(4).normal(size=(4, 500))
    fit = replace(made_fit(3), weights=np.exp(log) / np.exp(log).sum())
    assert not number_estimates(fit, "any").passed


def test_numbers_of_risks_that_impossible_pairs_rule_out() -> None:
    """Of three risks of which two exclude each other, nobody has all three."""
    truth = truth_of(6, 3)
    truth[:, [3, 7]] = 0
    truth /= truth.sum(axis=1, keepdims=True)
    fit = fit_of(counts_of(truth, 3, impossible=((0, 1),)), noisy(truth))
    for name, empty in (("at least", [False, False, True]), ("exactly", [False, False, False, True])):
        found = number_estimates(fit, name, [])  # type: ignore[arg-type]
        assert found.passed
        assert found.table["median"].isna().tolist() == empty
        assert found.table["note"].str.contains("no child can have so many").tolist() == empty
    children = children_estimates(fit, frame_of_children(), (1, 2, 3))  # type: ignore[arg-type]
    assert children.passed
    assert set(children.table["how_many"]) == {1, 2}
    contrast = contrast_cooccurrence(fit, "group", reference="others", of="at least", contrast="ratio")
    assert contrast.table["median"].isna().tolist() == [False, False, True]
    result = CooccurrenceResult(fit)
    assert result.plot("curve") is not None
    assert "together" not in " ".join(result.combinations().table["combination"])  # all six possible ones are shown
    assert len(result.combinations()) == 6
