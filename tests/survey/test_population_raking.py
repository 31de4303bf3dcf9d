"""Margins to cells: margins met, associations of the seed kept, order and scale without effect, contradictions told."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import riskmodels as rm
from riskmodels.survey.population import PopulationFrame, rake_population, with_share_online

LEVELS = {"country": ["KEN", "UGA"], "gender": ["girl", "boy"], "age": ["12-13", "14-15", "16-17"]}


def full_table(values: np.ndarray) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(LEVELS.values(), names=LEVELS.keys())
    return index.to_frame(index=False).assign(total=values)


def margins_of(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [
        table.groupby(list(by), as_index=False, sort=False)["total"].sum()
        for by in (("country", "gender"), ("country", "age"), ("gender", "age"))
    ]


def values_of(frame: PopulationFrame) -> pd.Series:
    return frame.table().set_index(list(LEVELS))["total"].sort_index()


positive = st.lists(st.floats(0.5, 20.0), min_size=12, max_size=12).map(np.array)


@settings(max_examples=40, deadline=None)
@given(truth=positive, seed=positive)
def test_margins_are_met_and_odds_ratios_kept(truth: np.ndarray, seed: np.ndarray) -> None:
    """Two-way margins leave the three-way odds ratios free: they must be the seed's."""
    margins = margins_of(full_table(truth * 1e5))
    raked = rake_population(margins, seed_table=full_table(seed))
    table = raked.frame.table()
    for margin, fitted in zip(margins, margins_of(table), strict=True):
        by = list(margin.columns[:2])
        both = margin.merge(fitted, on=by)
        np.testing.assert_allclose(both["total_y"], both["total_x"], rtol=1e-8)
    found = values_of(raked.frame).to_numpy().reshape(2, 2, 3)
    start = full_table(seed).set_index(list(LEVELS))["total"].sort_index().to_numpy().reshape(2, 2, 3)

    def third_order(cells: np.ndarray) -> np.ndarray:
        return np.diff(np.diff(np.diff(np.log(cells), axis=0), axis=1), axis=2)

    np.testing.assert_allclose(third_order(found), third_order(start), atol=1e-6)
    assert raked.report.largest_deviation <= 1e-10 and raked.report.start == "seed table"


@settings(max_examples=20, deadline=None)
@given(truth=positive, scale=st.floats(1e-3, 1e3), seed_scale=st.floats(1e-3, 1e3))
def test_order_and_scale(truth: np.ndarray, scale: float, seed_scale: float) -> None:
    margins = margins_of(full_table(truth))
    seed = full_table(np.arange(1.0, 13.0))
    first = values_of(rake_population(margins, seed_table=seed).frame)
    for order in permutations(margins):
        again = values_of(rake_population(order, seed_table=seed).frame)
        np.testing.assert_allclose(again, first, rtol=1e-8)
    bigger = [margin.assign(total=margin["total"] * scale) for margin in margins]
    scaled = rake_population(bigger, seed_table=seed.assign(total=seed["total"] * seed_scale))
    np.testing.assert_allclose(values_of(scaled.frame), first * scale, rtol=1e-8)


def test_two_by_two_against_the_closed_form() -> None:
    """Margins (60, 40) x (30, 70), odds ratio 6: the first cell solves a quadratic, written out here."""
    seed = pd.DataFrame({"gender": ["g", "g", "b", "b"], "age": ["y", "o", "y", "o"], "total": [3.0, 1.0, 1.0, 2.0]})
    gender = pd.DataFrame({"gender": ["g", "b"], "total": [60.0, 40.0]})
    age = pd.DataFrame({"age": ["y", "o"], "total": [30.0, 70.0]})
    # x (10 + x) = 6 (60 - x)(30 - x)  <=>  5 x^2 - 550 x + 10800 = 0
    exact = (550 - np.sqrt(550**2 - 4 * 5 * 10800)) / 10
    raked = rake_population([gender, age], seed_table=seed)
    np.testing.assert_allclose(raked.frame.table()["total"], [exact, 60 - exact, 30 - exact, 10 + exact], rtol=1e-9)
    assert raked.report.iterations > 1


def test_three_way_against_entropy_minimised_elsewhere() -> None:
    """The raked table is the one nearest to the seed in relative entropy: solved through its convex dual by scipy."""
    rng = np.random.default_rng(5)
    truth, seed = full_table(rng.gamma(2, 50, 12)), full_table(rng.gamma(2, 1, 12))
    margins = margins_of(truth)
    rows, targets = [], []
    for margin in margins:
        for _, figure in margin.iterrows():
            match = np.ones(12)
            for name in margin.columns[:2]:
                match = match * (seed[name] == figure[name]).to_numpy()
            rows.append(match)
            targets.append(figure["total"])
    design, target, start = np.array(rows), np.array(targets), seed["total"].to_numpy()

    def dual(multipliers: np.ndarray) -> tuple[float, np.ndarray]:
        cells = start * np.exp(multipliers @ design)
        return float(cells.sum() - multipliers @ target), design @ cells - target

    solved = optimize.minimize(dual, np.zeros(len(target)), jac=True, method="BFGS", options={"gtol": 1e-9})
    exact = seed.assign(total=start * np.exp(solved.x @ design)).set_index(list(LEVELS))["total"].sort_index()
    np.testing.assert_allclose(values_of(rake_population(margins, seed_table=seed).frame), exact, rtol=1e-6)


def test_uniform_start_is_independence_within_countries() -> None:
    gender = pd.DataFrame(
        {"country": ["KEN", "KEN", "UGA", "UGA"], "gender": ["girl", "boy"] * 2, "total": [60.0, 40, 10, 30]}
    )
    age = pd.DataFrame({"country": ["KEN", "KEN", "UGA", "UGA"], "age": ["y", "o"] * 2, "total": [30.0, 70, 20, 20]})
    raked = rake_population([gender, age])
    table = raked.frame.table().set_index(["country", "gender", "age"])["total"]
    assert table["KEN", "girl", "y"] == pytest.approx(18) and table["UGA", "boy", "o"] == pytest.approx(15)
    assert (raked.report.iterations, raked.report.cells, raked.report.total) == (1, 8, pytest.approx(140))
    assert [margin.factors for margin in raked.report.margins] == [("country", "gender"), ("country", "age")]


def test_regions_of_their_own_country_only() -> None:
    region = pd.DataFrame({"country": ["KEN", "KEN", "UGA"], "region": ["n", "s", "w"], "total": [6.0, 4, 5]})
    gender = pd.DataFrame({"country": ["KEN", "KEN", "UGA", "UGA"], "gender": ["g", "b"] * 2, "total": [5.0, 5, 2, 3]})
    report = rake_population([region, gender]).report
    assert (report.cells, report.empty_combinations) == (6, 6)


GENDER = pd.DataFrame({"gender": ["girl", "boy"], "total": [60.0, 40.0]})
AGE = pd.DataFrame({"age": ["y", "o"], "total": [30.0, 70.0]})
SEED = pd.DataFrame(
    {"gender": ["girl", "girl", "boy", "boy"], "age": ["y", "o", "y", "o"], "total": [1.0, 1.0, 1.0, 1.0]}
)


@pytest.mark.parametrize(
    ("margins", "seed", "message"),
    [
        ([GENDER, AGE.assign(total=[30.0, 71.0])], None, r"differ by up to 0.99 %"),
        ([GENDER, AGE.assign(total=[0.0, 100.0])], None, r"zero, negative or missing"),
        ([GENDER, AGE.assign(total=[np.nan, 70.0])], None, r"zero, negative or missing"),
        ([GENDER, AGE], SEED[SEED["gender"] == "girl"], r"gender that the seed table does not have.*boy"),
        ([GENDER, AGE], SEED.assign(total=[0.0, 1.0, 0.0, 1.0]), r"have no cell that may hold them.*where: y;"),
        ([GENDER, AGE], SEED.assign(total=[1.0, 1.0, 0.0, -1.0]), r"negative or missing"),
        ([GENDER, AGE], SEED.assign(total=[1.0, 0.0, 0.0, 1.0]), r"% off after 1000 rounds"),
        ([GENDER, AGE], SEED.drop(columns="age").iloc[[0, 2]], r"lacks.*age"),
        ([GENDER, GENDER.assign(gender=["girl", "other"])], None, r"levels of gender that margin 1.*other"),
        ([GENDER.assign(share_online=0.5)], None, r"E132.*cannot be raked"),
        ([pd.concat([GENDER, GENDER])], None, r"E150"),
        ([GENDER.assign(gender=["girl", ""])], None, r"a level is empty"),
        ([], None, r"E101"),
        ([GENDER[["total"]]], None, r"E132"),
    ],
)
def test_faults_are_told(margins: list[pd.DataFrame], seed: pd.DataFrame | None, message: str) -> None:
    with pytest.raises(rm.InputError, match=message):
        rake_population(margins, seed_table=seed)


def test_pairwise_agreement_is_not_enough() -> None:
    """a = b, b = c and a != c: every pair of margins agrees on the common totals, no table has all three."""

    def pair(x: str, y: str, equal: bool) -> pd.DataFrame:
        rows = [("0", "0"), ("1", "1")] if equal else [("0", "1"), ("1", "0")]
        return pd.DataFrame(rows, columns=[x, y]).assign(total=50.0)

    with pytest.raises(rm.InputError, match=r"E185.*have no cell that may hold them"):
        rake_population([pair("a", "b", True), pair("b", "c", True), pair("a", "c", False)])


def test_settings_and_size_are_refused() -> None:
    with pytest.raises(rm.InputError, match="E195") as caught:
        rake_population([GENDER], tolerance=0, max_iterations=0)
    assert len(caught.value.problems) == 2
    wide = [pd.DataFrame({f"f{k}": [str(i) for i in range(300)], "total": 1.0}) for k in range(3)]
    with pytest.raises(rm.InputError, match="too large"):
        rake_population(wide)


def test_inputs_are_left_alone_and_shares_come_after() -> None:
    before = GENDER.copy()
    frame = rake_population([GENDER, AGE]).frame
    pd.testing.assert_frame_equal(GENDER, before)
    shares = pd.DataFrame({"age": ["o", "y"], "share_online": [0.9, 0.5], "share_online_se": [0.01, 0.02]})
    online = with_share_online(frame, shares).cells
    assert online is not None
    assert online.users.sum() == pytest.approx(0.9 * 70 + 0.5 * 30)
