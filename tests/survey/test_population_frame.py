"""Frames of cells: what adds up, what is refused, how shares move together; mapping of levels; weight totals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riskmodels as rm
from riskmodels.survey.population import (
    PopulationFrame,
    frame_from_cells,
    map_levels,
    population_from_table,
    population_from_weights,
    with_share_online,
)
from riskmodels.survey.population.cells import PopulationCells

TABLE = pd.DataFrame(
    [(c, g, a) for c in ("KEN", "UGA") for g in ("girl", "boy") for a in ("12", "13", "14", "15")],
    columns=["country", "gender", "age"],
).assign(total=np.arange(1.0, 17.0) * 1000)
YEARS = {"12": "12-13", "13": "12-13", "14": "14-15", "15": "14-15"}


def cells_of(frame: PopulationFrame) -> PopulationCells:
    assert frame.cells is not None
    return frame.cells


def test_countries_are_the_sums_of_their_cells() -> None:
    frame = population_from_table(TABLE, source="census")
    assert frame.countries == ("KEN", "UGA")
    assert frame.children.tolist() == [36_000.0, 100_000.0]
    assert frame.users.tolist() == frame.children.tolist()
    pd.testing.assert_frame_equal(frame.table()[list(TABLE)], TABLE)


def test_share_of_a_country_from_the_shares_of_its_cells() -> None:
    """KEN prints one share in every row: its error stays. UGA prints two: they err independently."""
    table = pd.DataFrame({"country": ["KEN", "KEN", "UGA", "UGA"], "gender": ["g", "b"] * 2, "total": [1.0, 3, 1, 3]})
    frame = population_from_table(
        table.assign(share_online=[0.5, 0.5, 0.4, 0.8], share_online_se=[0.04, 0.04, 0.04, 0.02])
    )
    assert frame.share_online == pytest.approx([0.5, (0.4 + 3 * 0.8) / 4])
    assert frame.share_online_se == pytest.approx([0.04, np.hypot(0.04, 3 * 0.02) / 4])
    assert len(cells_of(frame).share_online) == 3


def test_aligned_keeps_the_cells_in_the_order_asked_for() -> None:
    regions = TABLE.assign(region=TABLE["country"] + "-north")
    frame = population_from_table(regions).aligned(["UGA"])
    assert frame.countries == ("UGA",) and frame.children.tolist() == [100_000.0]
    assert cells_of(frame).factor("region").levels == ("UGA-north",)
    turned = population_from_table(TABLE).aligned(["UGA", "KEN"])
    assert turned.children.tolist() == [100_000.0, 36_000.0]
    assert cells_of(turned).children[:8].tolist() == TABLE["total"].tolist()[8:]
    with pytest.raises(rm.InputError, match=r"E185.*VNM"):
        frame.aligned(["UGA", "VNM"])


def test_aligned_takes_the_shares_along() -> None:
    table = TABLE.assign(share_online=np.where(TABLE["country"] == "KEN", 0.3, 0.9), share_online_se=0.01)
    turned = population_from_table(table).aligned(["UGA", "KEN"])
    assert turned.share_online.tolist() == [0.9, 0.3]
    assert cells_of(turned).share_online.tolist() == [0.9, 0.3]
    assert cells_of(turned).share_of_cell.tolist() == [0] * 8 + [1] * 8


def test_a_frame_without_countries_stands_for_one() -> None:
    frame = population_from_table(TABLE[TABLE["country"] == "KEN"].drop(columns="country"))
    assert frame.countries == ()
    assert frame.aligned(["KEN"]).children.tolist() == [36_000.0]
    with pytest.raises(rm.InputError, match="E185"):
        frame.aligned(["KEN", "UGA"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.assign(total=0.0), r"E185.*zero, negative.*KEN / girl / 12.*and 8 more; count: 16"),
        (TABLE.assign(total=np.nan), r"E185.*missing"),
        (TABLE.assign(age="12"), r"E150"),
        (TABLE.assign(age=[""] + ["12"] * 15), r"E185.*empty"),
        (TABLE.drop(columns="total"), r"E132"),
        (TABLE[["total"]], r"E132"),
        (TABLE.iloc[:0], r"E101"),
        (TABLE.assign(indicator="x"), r"E185.*no indicators"),
        (TABLE.assign(share_online=85.0), r"E185.*share online lies outside"),
        (TABLE.assign(share_online=0.85, share_online_se=3.0), r"E185.*standard error"),
    ],
)
def test_impossible_tables_are_refused(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(rm.InputError, match=message):
        population_from_table(table)


def test_declared_levels_are_compared_both_ways() -> None:
    frame = population_from_table(TABLE, levels={"gender": ["boy", "girl"]})
    assert cells_of(frame).factor("gender").levels == ("boy", "girl")
    with pytest.raises(rm.InputError, match="other") as caught:
        population_from_table(TABLE, levels={"gender": ["boy", "other"]})
    assert len(caught.value.problems) == 2 and "girl" in str(caught.value)


def test_cells_that_do_not_add_up_are_refused() -> None:
    frame = population_from_table(TABLE)
    with pytest.raises(rm.InputError, match="do not add up"):
        PopulationFrame(
            frame.countries, frame.children * 1.01, frame.share_online, frame.share_online_se, "", frame.cells
        )


def test_numbers_become_level_words() -> None:
    frame = population_from_table(pd.DataFrame({"age": [12.0, 13.0], "total": [1.0, 2.0]}))
    assert cells_of(frame).factor("age").levels == ("12", "13")


@given(st.lists(st.integers(1, 10**9), min_size=16, max_size=16), st.permutations(range(16)))
def test_mapping_adds_up_exactly_whatever_the_order(totals: list[int], order: list[int]) -> None:
    table = TABLE.assign(total=np.array(totals, dtype=float)).iloc[order]
    mapped = map_levels(population_from_table(table), "age", YEARS, levels=["12-13", "14-15"])
    expected = table.assign(age=table["age"].map(YEARS)).groupby(["country", "gender", "age"])["total"].sum()
    found = mapped.table().set_index(["country", "gender", "age"])["total"].sort_index()
    assert found.tolist() == expected.sort_index().tolist()
    assert mapped.children.sum() == sum(totals)


def test_mapping_names_everything_left_over_on_either_side() -> None:
    frame = population_from_table(TABLE)
    mapping = {"12": "12-13", "13": "12-14", "99": "12-13"}
    with pytest.raises(rm.InputError) as caught:
        map_levels(frame, "age", mapping, levels=["12-13", "14-15"])
    assert [problem.code for problem in caught.value.problems] == ["E185"] * 4
    assert [problem.where for problem in caught.value.problems] == [
        *("age: 14, 15", "age: 99", "age: 12-14", "age: 14-15")
    ]
    with pytest.raises(rm.InputError, match="E132"):
        map_levels(frame, "area", mapping)


def test_mapping_keeps_a_common_share_and_averages_different_ones() -> None:
    common = map_levels(population_from_table(TABLE.assign(share_online=0.7, share_online_se=0.03)), "age", YEARS)
    assert len(cells_of(common).share_online) == 2
    assert common.share_online_se == pytest.approx([0.03, 0.03])
    varied = population_from_table(
        TABLE[:2].assign(share_online=[0.6, 0.9], share_online_se=[0.03, 0.02], total=[1.0, 2.0])
    )
    one = cells_of(map_levels(varied, "age", {"12": "12-13", "13": "12-13"}))
    assert one.share_online == pytest.approx([0.8]) and one.share_online_se == pytest.approx([np.hypot(0.03, 0.04) / 3])


def test_mapping_countries_of_a_frame_without_cells() -> None:
    frame = PopulationFrame(("GBE", "GBN"), np.array([3.0, 1.0]), np.array([0.8, 0.4]), np.zeros(2))
    merged = map_levels(frame, "country", {"GBE": "GBR", "GBN": "GBR"})
    assert merged.countries == ("GBR",) and merged.users.tolist() == pytest.approx([2.8])


WEIGHTS = TABLE.rename(columns={"total": "weight"})


def test_weight_totals_are_scaled_country_by_country() -> None:
    scaled = WEIGHTS.assign(weight=WEIGHTS["weight"] * np.where(WEIGHTS["country"] == "KEN", 50.0, 1.0))
    one = population_from_weights(WEIGHTS, totals={"KEN": 7e6, "UGA": 6e6})
    other = population_from_weights(scaled, totals={"UGA": 6e6, "KEN": 7e6, "VNM": 1.0})
    np.testing.assert_allclose(one.children, [7e6, 6e6], rtol=1e-12)
    np.testing.assert_allclose(cells_of(one).children, cells_of(other).children, rtol=1e-12)
    assert cells_of(one).children[0] == pytest.approx(7e6 / 36)
    plain = population_from_weights(WEIGHTS)
    assert cells_of(plain).children.tolist() == WEIGHTS["weight"].tolist()


def test_shares_come_along_from_a_frame_of_totals() -> None:
    totals = PopulationFrame(("UGA", "KEN"), np.array([6e6, 7e6]), np.array([0.4, 0.6]), np.array([0.03, 0.02]), "UN")
    frame = population_from_weights(WEIGHTS, totals=totals)
    np.testing.assert_allclose(frame.share_online, [0.6, 0.4])
    np.testing.assert_allclose(frame.share_online_se, [0.02, 0.03])
    assert frame.source == "weight totals of the sample, scaled to UN"


@pytest.mark.parametrize(
    ("weights", "totals", "code"),
    [
        (WEIGHTS.drop(columns="weight"), None, "E132"),
        (WEIGHTS.drop(columns="country"), {"KEN": 1.0}, "E132"),
        (WEIGHTS.assign(total=1.0), None, "E132"),
        (WEIGHTS.assign(weight=-1.0), None, "E110"),
        (WEIGHTS.assign(weight=np.nan), None, "E112"),
        (WEIGHTS.assign(weight=np.where(WEIGHTS["country"] == "KEN", 0.0, 1.0)), None, "E111"),
        (WEIGHTS, {"KEN": 1.0}, "E185"),
        (WEIGHTS, {"KEN": 1.0, "UGA": 0.0}, "E185"),
    ],
)
def test_impossible_weight_totals(weights: pd.DataFrame, totals: dict[str, float] | None, code: str) -> None:
    with pytest.raises(rm.InputError, match=code):
        population_from_weights(weights, totals=totals)


def test_shares_must_fit_the_frame() -> None:
    frame = population_from_table(TABLE)
    good = pd.DataFrame({"country": ["UGA", "KEN"], "share_online": [0.4, 0.8], "share_online_se": [0.03, 0.02]})
    assert with_share_online(frame, good).share_online.tolist() == [0.8, 0.4]
    for faulty, message in (
        (good.assign(country=["UGA", "VNM"]), "without a share.*KEN"),
        (pd.concat([good, good]), "E150"),
        (good.drop(columns="share_online_se"), "E132"),
        (good.rename(columns={"country": "area"}), "E132"),
        (good.assign(share_online=40.0), "E185.*outside"),
    ):
        with pytest.raises(rm.InputError, match=message):
            with_share_online(frame, faulty)


def test_records_are_read_only() -> None:
    cells = cells_of(population_from_table(TABLE))
    with pytest.raises(ValueError, match="read-only"):
        cells.children[0] = 5.0
    assert frame_from_cells(cells).children.sum() == TABLE["total"].sum()
