"""Poststratification by cells of the population: exact cases, laws, what is refused and what is noted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskmodels as rm
from riskmodels.design.cells import Cells
from riskmodels.estimates.population_match import match_population
from riskmodels.estimates.poststratify import affected_draws, cell_population, domains_of
from riskmodels.estimates.quantities import logit_normal_draws
from riskmodels.survey.factors import Factor
from riskmodels.survey.population import PopulationFrame, population_from_table, with_share_online
from tests.conftest import COUNTRIES, make_cells, make_fit

LEVELS = {"country": ("KEN", "UGA"), "gender": ("girl", "boy"), "age": ("12-14", "15-17")}


def cells_by(*names: str, items: tuple[str, ...] = ("a", "b"), drop: str = "") -> Cells:
    """Cells of a made-up survey; `drop` leaves out rows by a pandas query."""
    levels = {**{name: LEVELS[name] for name in names}, "indicator": items}
    frame = pd.MultiIndex.from_product(levels.values(), names=levels.keys()).to_frame(index=False)
    rng = np.random.default_rng(8)
    frame["n_effective"] = rng.uniform(50, 200, len(frame))
    frame["yes_effective"] = frame["n_effective"] * rng.uniform(0.05, 0.4, len(frame))
    frame["weight"] = rng.uniform(50, 300, len(frame))
    if drop:
        frame = frame.query(f"not ({drop})")
    factors = [Factor(name, found) for name, found in levels.items()]
    return rm.cells_from_frame(frame, factors, base="all asked", source="microdata")


def table_by(*names: str, totals: object = None) -> pd.DataFrame:
    levels = {name: LEVELS[name][::-1] for name in names}
    frame = pd.MultiIndex.from_product(levels.values(), names=names).to_frame(index=False)
    return frame.assign(total=np.arange(1.0, len(frame) + 1) * 1e5 if totals is None else totals)


def values_of(cells: Cells) -> np.ndarray:
    return np.linspace(0.02, 0.5, len(cells))


def averages(cells: Cells, values: np.ndarray, by: list[str], frame: PopulationFrame | None) -> np.ndarray:
    return domains_of(cells, by, frame).average(values)


def test_cells_of_the_frame_decide_within_countries() -> None:
    """sum N_c p_c / sum N_c, written out by a merge of tables."""
    cells, table = cells_by("country", "gender", "age"), table_by("country", "age", "gender")
    shown = cells.frame().assign(p=values_of(cells)).merge(table, on=["country", "gender", "age"])
    shown["np"] = shown["total"] * shown["p"]
    for by in (["country"], ["gender"], ["country", "age"], []):
        sums = shown.groupby([*by, "indicator"])[["np", "total"]].sum()
        domains = domains_of(cells, by, population_from_table(table))
        found = domains.average(values_of(cells))
        keys = [
            tuple(cells.factor(name).levels[i] for name, i in zip(domains.by, row, strict=True))
            for row in domains.index
        ]
        keys = keys if len(domains.by) > 1 else [key[0] for key in keys]
        np.testing.assert_allclose(found, [sums["np"][key] / sums["total"][key] for key in keys], rtol=1e-12)
        assert domains.note == ""


def test_country_frames_give_the_numbers_they_gave() -> None:
    """The formula of frames by country, as it stood before frames had cells: bit for bit."""
    cells = make_cells()
    frame = PopulationFrame(COUNTRIES[::-1], np.arange(1, 7) * 1e6, np.linspace(0.3, 0.9, 6), np.full(6, 0.03))
    users = frame.aligned(COUNTRIES).users
    country, item = cells.position("country"), cells.position("indicator")
    group = np.unique(np.column_stack([country, item]), axis=0, return_inverse=True)[1].reshape(-1)
    total = np.bincount(group, weights=cells.weight)[group]
    np.testing.assert_array_equal(cell_population(cells, frame), users[country] * cells.weight / total)
    deep = cells_by("country", "gender")
    by_country = population_from_table(table_by("country"))
    again = PopulationFrame(("UGA", "KEN"), np.array([1e5, 2e5]), np.ones(2), np.zeros(2))
    np.testing.assert_array_equal(cell_population(deep, by_country), cell_population(deep, again))


@settings(max_examples=40, deadline=None)
@given(
    totals=st.lists(st.floats(1, 1e8), min_size=8, max_size=8),
    weights=st.lists(st.floats(0.1, 1e4), min_size=16, max_size=16),
    scale=st.floats(1e-3, 1e3),
)
def test_between_min_and_max_and_blind_to_scales(totals: list[float], weights: list[float], scale: float) -> None:
    cells = replace(cells_by("country", "gender", "age"), weight=np.array(weights))
    table = table_by("country", "gender", "age", totals=totals)
    values = values_of(cells)
    frame = population_from_table(table)
    pooled = averages(cells, values, [], frame)
    for item, value in enumerate(pooled):
        own = values[cells.position("indicator") == item]
        assert own.min() - 1e-12 <= value <= own.max() + 1e-12
    bigger = population_from_table(table.assign(total=table["total"] * scale))
    np.testing.assert_allclose(averages(cells, values, [], bigger), pooled, rtol=1e-10)
    reweighted = replace(cells, weight=cells.weight * np.where(cells.position("country") == 0, scale, 1.0))
    np.testing.assert_allclose(averages(reweighted, values, [], frame), pooled, rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(part=st.floats(0.01, 0.99), order=st.permutations(range(8)))
def test_splitting_a_cell_or_permuting_rows_changes_nothing(part: float, order: list[int]) -> None:
    cells, table = cells_by("country", "gender", "age"), table_by("country", "gender", "age")
    values = values_of(cells)
    before = averages(cells, values, ["country"], population_from_table(table))
    split = pd.concat(
        [
            table.assign(area="urban", total=table["total"] * part),
            table.assign(area="rural", total=table["total"] * (1 - part)),
        ]
    )
    np.testing.assert_allclose(averages(cells, values, ["country"], population_from_table(split)), before, rtol=1e-10)
    np.testing.assert_array_equal(
        averages(cells, values, ["country"], population_from_table(table.iloc[order])), before
    )
    coarse = cells_by("country", "gender")
    of = [int(np.flatnonzero((coarse.index == row[[0, 1, 3]]).all(axis=1))[0]) for row in cells.index]
    one = averages(coarse, values_of(coarse), ["country"], population_from_table(table))
    np.testing.assert_allclose(
        averages(cells, values_of(coarse)[of], ["country"], population_from_table(table)), one, rtol=1e-10
    )


def test_weight_totals_only_where_the_frame_is_silent() -> None:
    """Frame by country and gender, cells by age as well: N from the frame, ages within by weight; and it is said."""
    cells, table = cells_by("country", "gender", "age"), table_by("country", "gender")
    frame = population_from_table(table)
    children = cell_population(cells, frame)
    shown = cells.frame().assign(children=children, weight=cells.weight)
    sums = shown.groupby(["country", "gender", "indicator"])[["children", "weight"]].sum()
    for _, row in table.iterrows():
        assert sums["children"][row["country"], row["gender"]].tolist() == pytest.approx([row["total"]] * 2)
    ratio = shown["children"] / shown["weight"]
    assert (ratio.groupby([shown["country"], shown["gender"], shown["indicator"]]).std() < 1e-9 * ratio.max()).all()
    note = domains_of(cells, ["country"], frame).note
    assert note == "children by country, gender from the population; by age from weight totals"


def test_levels_on_one_side_only_are_all_named() -> None:
    cells = cells_by("country", "gender", "age")
    table = table_by("country", "gender", "age").replace({"12-14": "9-14", "girl": "female"})
    with pytest.raises(rm.InputError) as caught:
        match_population(cells, population_from_table(table))
    wheres = [problem.where for problem in caught.value.problems]
    assert [problem.code for problem in caught.value.problems] == ["E185", "E185"]
    assert sorted(wheres) == [
        "only in the sample: 12-14; only in the frame: 9-14",
        "only in the sample: girl; only in the frame: female",
    ]


def test_levels_may_be_named_in_words() -> None:
    cells = cells_by("country", "gender")
    worded = replace(
        cells, factors=(cells.factors[0], Factor("gender", LEVELS["gender"], ("Girls", "Boys")), cells.factors[2])
    )
    table = table_by("country", "gender")
    words = population_from_table(table.replace({"girl": "Girls", "boy": "Boys"}))
    np.testing.assert_array_equal(cell_population(worded, words), cell_population(cells, population_from_table(table)))


def test_children_missing_for_a_cell_of_the_sample() -> None:
    table = table_by("country", "gender", "age").iloc[:-1]
    with pytest.raises(rm.InputError, match=r"E185.*no children.*where: KEN / girl / 12-14; count: 1"):
        match_population(cells_by("country", "gender", "age"), population_from_table(table))


def test_frames_that_cannot_be_matched() -> None:
    by_country = population_from_table(table_by("country"))
    with pytest.raises(rm.InputError, match="needs cells by country"):
        match_population(cells_by("gender"), by_country)
    with pytest.raises(rm.InputError, match="no factor in common"):
        match_population(cells_by("gender"), population_from_table(table_by("country", "age")))
    with pytest.raises(rm.InputError, match="not split by country"):
        match_population(cells_by("country", "gender"), population_from_table(table_by("gender")))
    none = replace(cells_by("country", "gender"), weight=np.zeros(8))
    with pytest.raises(rm.InputError, match="weight totals are zero"):
        match_population(none, by_country)
    assert cell_population(none, population_from_table(table_by("country", "gender"))).min() > 0
    with pytest.raises(rm.InputError, match="stands for no children"):
        domains_of(none, ["country"])


def test_a_single_country_takes_a_frame_without_countries() -> None:
    cells = cells_by("country", "gender").select(country=["UGA"])
    frame = population_from_table(table_by("gender"))
    boys, girls = 1e5, 2e5
    values = values_of(cells)
    first = (girls * values[0] + boys * values[2]) / (girls + boys)
    assert averages(cells, values, ["country"], frame)[0] == pytest.approx(first)


def test_groups_without_respondents_are_like_the_rest_of_their_country() -> None:
    cells = cells_by("country", "gender", "age", drop="country == 'KEN' and gender == 'girl' and age == '12-14'")
    frame = population_from_table(table_by("country", "gender", "age"))
    shown = cells.frame().assign(children=cell_population(cells, frame))
    sums = shown.groupby(["country", "indicator"])["children"].sum()
    np.testing.assert_allclose(sums, np.repeat(frame.aligned(["KEN", "UGA"]).children, 2))
    assert domains_of(cells, [], frame).note.startswith("22 % of the children live in groups without respondents")


def test_groups_not_asked_a_question_do_not_count_for_it() -> None:
    cells = cells_by("country", "gender", "age", drop="indicator == 'b' and age == '12-14'")
    frame = population_from_table(table_by("country", "gender", "age"))
    shown = cells.frame().assign(children=cell_population(cells, frame))
    table = frame.table()
    sums = shown.groupby("indicator")["children"].sum()
    assert sums["a"] == pytest.approx(table["total"].sum())
    assert sums["b"] == pytest.approx(table.loc[table["age"] == "15-17", "total"].sum())
    assert "4 groups of children did not get every question" in domains_of(cells, [], frame).note


def shares(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["country", "gender", "share_online", "share_online_se"])


def test_users_weigh_and_not_children() -> None:
    cells = cells_by("country", "gender", items=("a",)).select(country=["KEN"])
    table = table_by("country", "gender", totals=[1e5, 1e5, 1e5, 1e5])
    frame = with_share_online(
        population_from_table(table),
        shares(
            ("KEN", "girl", 0.3, 0.0), ("KEN", "boy", 0.9, 0.0), ("UGA", "girl", 0.5, 0.0), ("UGA", "boy", 0.5, 0.0)
        ),
    )
    assert averages(cells, np.array([0.4, 0.2]), ["country"], frame)[0] == pytest.approx((0.3 * 0.4 + 0.9 * 0.2) / 1.2)


def test_affected_children_agree_with_the_burden_of_a_country_frame() -> None:
    fit = make_fit(make_cells())
    frame = PopulationFrame(COUNTRIES, np.arange(1, 7) * 1e6, np.full(6, 0.6), np.full(6, 0.03))
    burden = rm.burden_estimates(fit, frame, seed=3)
    rng = np.random.default_rng([3, 10_001])
    draws = fit.posterior["prevalence"].to_numpy()
    domains, children = affected_draws(draws, fit.cells, ["country"], frame, rng)
    np.testing.assert_allclose(children, burden.draws[..., : len(domains)], rtol=1e-12)


def test_shares_of_cells_vary_alone_and_a_countrys_share_as_one() -> None:
    """Four equal cells a country: independent shares average out, one share does not."""
    cells = cells_by("country", "gender", "age", items=("a",))
    draws = np.full((4, 2000, len(cells)), 0.1)
    table = table_by("country", "gender", "age", totals=1e5)
    one = population_from_table(table.assign(share_online=0.6, share_online_se=0.03))
    jitter = 0.6 + 1e-6 * np.arange(8)
    apart = population_from_table(table.assign(share_online=jitter, share_online_se=0.03))
    found = {}
    for name, frame in (("one", one), ("apart", apart)):
        _, children = affected_draws(draws, cells, ["country"], frame, np.random.default_rng(1))
        found[name] = children[..., 0].std() / (0.1 * 4e5)
        assert children.mean() / (0.1 * 4e5) == pytest.approx(0.6, abs=0.002)
    assert found["one"] == pytest.approx(0.03, rel=0.06)
    assert found["apart"] == pytest.approx(0.03 / 2, rel=0.06)
    assert apart.share_online_se == pytest.approx([0.015, 0.015])
    alone = logit_normal_draws(np.array([0.6]), np.array([0.03]), (4, 2000), np.random.default_rng(1))
    assert alone.std() == pytest.approx(0.03, rel=0.06)
