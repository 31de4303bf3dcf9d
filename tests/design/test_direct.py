"""Direct estimates: what is refused and how it is said, replicate weights over countries, recovery, the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from riskmodels.design.direct import (
    DIRECT_ESTIMATE_COLUMNS,
    ReplicateWeights,
    covariance_from_sums,
    covariance_of_proportions,
    covariance_of_ratios,
    direct_mean,
    direct_proportion,
    direct_ratio,
    direct_total,
    proportions_from_totals,
)
from riskmodels.errors import InputError
from riskmodels.survey.codebook.records import Replicates

Y = [1, 0, 1, 0]
W = [1.0, 2.0, 1.0, 2.0]


def problems(call: object, *values: object, **options: object) -> dict[str, int]:
    with pytest.raises(InputError) as caught:
        call(*values, **options)  # type: ignore[operator]
    return {problem.code: problem.count for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("y", "weight", "options", "expected"),
    [
        (Y, [1, -1, 1, -2], {}, {"E110": 2}),
        (Y, [0, 0, 0, 0], {}, {"E111": 4}),
        (Y, [1, np.nan, np.inf, 1], {}, {"E112": 2}),
        (Y, W, {"stratum": [1, 1, 2, 2], "psu": [1, 2, 1, 3]}, {"E120": 1}),
        (Y, W, {"stratum": [1, 1, 2, 2], "psu": [1, 2, 3, 3]}, {"E121": 1}),
        (Y, W, {"psu": [1, 1, 1, 1], "lonely_psu": "merge"}, {"E121": 1}),
        (Y, W, {"country": ["A", "A", "B", "B"], "psu": [1, 2, 3, 3], "lonely_psu": "average"}, {"E121": 1}),
        (Y, W, {"stratum": [1, None, 2, None]}, {"E122": 2}),
        (Y, W, {"psu": [1, 2]}, {"E151": 2}),
        (Y, W, {"domain": ["a"] * 3}, {"E151": 3}),
        (Y[:3], W, {}, {"E151": 3}),
        ([1, 2, 888, 0], W, {}, {"E160": 2}),
        ([1, 0, np.inf, 0], W, {}, {"E160": 1, "E163": 1}),
        (["yes", 0, 1, 0], ["1", "1", "1", "a"], {"psu": [1]}, {"E163": 4, "E151": 1}),
        (Y, W, {"interval": "wald"}, {"E195": 1}),
        (Y, W, {"probability": 95}, {"E195": 1}),
        (Y, W, {"lonely_psu": "ignore"}, {"E195": 1}),
    ],
)
def test_each_fault_is_named_and_counted(y: list, weight: list, options: dict, expected: dict[str, int]) -> None:
    assert problems(direct_proportion, y, weight, **options) == expected


def test_all_faults_at_once() -> None:
    found = problems(direct_proportion, [1, 7, 0, 0], [1, -1, np.nan, 1], psu=[1, 2, None, 4], probability=2)
    assert found == {"E110": 1, "E112": 1, "E122": 1, "E160": 1, "E195": 1}


def test_lonely_strata_are_named_and_answers_are_not() -> None:
    with pytest.raises(InputError, match="Borland / north") as caught:
        direct_proportion(Y, W, country=["Borland"] * 4, stratum=["north", "south", "south", "south"], psu=[1, 2, 3, 4])
    assert "centred" in str(caught.value)
    with pytest.raises(InputError) as caught:
        direct_mean([77123, "canary", 1, 0], W)
    assert "canary" not in str(caught.value)
    assert "77123" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def totals(**changes: object) -> pd.DataFrame:
    table = {"psu": [1, 2, 3], "domain": ["a"] * 3, "n": [2, 2, 3], "yes": [1, 0, 2], "w": [2, 2, 3]}
    table |= {"wy": [1, 0, 2], "w2": [2, 2, 3], "w2y": [1, 0, 2]}
    return pd.DataFrame(table | changes)


@pytest.mark.parametrize(
    ("table", "options", "expected"),
    [
        (totals().drop(columns=["w2y", "domain"]), {}, {"E132": 1}),
        (totals(yes=[3, 0, 2]), {}, {"E180": 1}),
        (totals(w=[-2, 2, 3], wy=[-2, 0, 2]), {}, {"E180": 1}),
        (totals(w2=[np.nan, 2, 3]), {}, {"E112": 1}),
        (totals(n=["2", "two", "3"]), {}, {"E163": 3}),
        (totals(), {"strata": pd.DataFrame({"psus": [2]})}, {"E180": 1}),
        (totals(), {"strata": pd.DataFrame({"psus": [0]})}, {"E180": 1}),
        (totals(), {"strata": pd.DataFrame({"count": [9]})}, {"E132": 1}),
        (totals(psu=[1, 2, None]), {}, {"E122": 1}),
    ],
)
def test_faults_of_totals(table: pd.DataFrame, options: dict, expected: dict[str, int]) -> None:
    assert problems(proportions_from_totals, table, **options) == expected


def test_psus_without_children_of_the_base_count() -> None:
    """A fourth PSU that only `strata` knows, or only a row without a domain: z = 0 in both."""
    listed = proportions_from_totals(totals(), strata=pd.DataFrame({"psus": [4]}))
    outside = pd.DataFrame(
        {"psu": [4], "domain": [None], "n": [5], "yes": [0], "w": [5], "wy": [0], "w2": [5], "w2y": [0]}
    )
    with_row = proportions_from_totals(pd.concat([totals(), outside]))
    np.testing.assert_allclose(listed.standard_error, with_row.standard_error, rtol=1e-14)
    assert listed.standard_error[0] != proportions_from_totals(totals()).standard_error[0]


def test_faults_of_joint_estimates() -> None:
    assert problems(covariance_of_ratios, np.ones((3, 2)), np.ones((3, 1))) == {"E151": 3}
    assert problems(covariance_of_ratios, [[np.nan], [1.0]], np.ones((2, 1))) == {"E112": 1}
    assert problems(covariance_of_proportions, np.full((2, 2), 5.0), [1, 1]) == {"E160": 4}
    assert problems(covariance_of_proportions, [["yes"], [1]], [1, 1]) == {"E163": 1}
    assert problems(covariance_from_sums, [0, 4], np.ones((2, 2)), np.ones((2, 2, 2))) == {"E180": 1}
    assert problems(covariance_from_sums, [4], np.ones((1, 3)), np.ones((1, 3, 3))) == {"E151": 1}
    assert problems(covariance_from_sums, [1, 3], np.ones((2, 2)), np.ones((2, 2, 2))) == {"E121": 1}


def replicates(weights: np.ndarray, kind: str = "jackknife-1", **options: object) -> ReplicateWeights:
    columns = tuple(f"r{place}" for place in range(weights.shape[1]))
    return ReplicateWeights(weights, Replicates(columns, kind, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weights", "options", "expected"),
    [
        (np.ones((3, 5)), {}, {"E151": 3}),
        (np.full((4, 5), "heavy"), {}, {"E163": 4}),
        (np.full((4, 5), np.nan), {}, {"E112": 4}),
        (-np.ones((4, 5)), {}, {"E110": 4}),
        (np.ones((4, 1)), {}, {"E195": 1}),
        (np.ones((4, 5)), {"kind": "jackknife-n"}, {"E132": 1}),
        (np.ones((4, 5)), {"kind": "jackknife-n", "rscales": (1.0,)}, {"E195": 1}),
        (np.ones((4, 5)), {"kind": "fay"}, {"E195": 1}),
    ],
)
def test_faults_of_replicate_weights(weights: np.ndarray, options: dict, expected: dict[str, int]) -> None:
    assert problems(direct_proportion, Y, W, replicates=replicates(weights, **options)) == expected


def test_strata_beside_replicate_weights_are_refused() -> None:
    given = replicates(np.ones((4, 5)))
    assert problems(direct_proportion, Y, W, psu=[1, 2, 3, 4], replicates=given) == {"E195": 1}


def jackknife(psu: np.ndarray, weight: np.ndarray) -> np.ndarray:
    count = int(psu.max()) + 1
    return np.stack([weight * np.where(psu == k, 0, count / (count - 1)) for k in range(count)], axis=1)


def test_jackknife_of_a_total_is_linearisation() -> None:
    """For a total the two agree exactly: n / (n - 1) times the spread of PSU totals."""
    rng = np.random.default_rng(3)
    psu, weight, y = np.repeat(np.arange(8), 5), rng.gamma(3, 1, 40), rng.normal(5, 2, 40)
    by_jackknife = direct_total(y, weight, replicates=replicates(jackknife(psu, weight)))
    by_taylor = direct_total(y, weight, psu=psu)
    np.testing.assert_allclose(by_jackknife.standard_error, by_taylor.standard_error, rtol=1e-12)
    assert by_jackknife.degrees_of_freedom[0] == by_taylor.degrees_of_freedom[0] == 7


def test_replicates_of_countries_are_separate_samples() -> None:
    """Ten columns shared by two countries say the same as twenty that each move one country."""
    rng = np.random.default_rng(4)
    psu, weight = np.tile(np.repeat(np.arange(10), 4), 2), rng.gamma(3, 1, 80)
    y, country = (rng.random(80) < 0.3).astype(float), np.repeat(["A", "B"], 40)
    shared = jackknife(psu, weight)
    apart = np.hstack([np.where((country == c)[:, None], shared, weight[:, None]) for c in ("A", "B")])
    pooled = direct_proportion(y, weight, country=country, replicates=replicates(shared))
    blocks = direct_proportion(y, weight, replicates=replicates(apart, scale=0.9))
    np.testing.assert_allclose(pooled.standard_error, blocks.standard_error, rtol=1e-12)
    own = direct_proportion(y, weight, country=country, domain=country, replicates=replicates(shared))
    share = np.array([weight[country == c].sum() for c in ("A", "B")]) / weight.sum()
    roughly = np.sqrt((share**2 * own.standard_error**2).sum())
    assert 0.8 < pooled.standard_error[0] / roughly < 1.25


def test_replicates_without_children_of_the_domain_are_said() -> None:
    psu, weight = np.repeat(np.arange(6), 5), np.ones(30)
    domain = np.where(psu == 2, "few", "rest")
    found = direct_mean(np.arange(30.0), weight, domain=domain, replicates=replicates(jackknife(psu, weight)))
    assert "1 replicates hold no child" in found.note[0]
    assert found.note[1] == ""


def test_average_without_another_stratum_is_said() -> None:
    stratum, psu = np.repeat([1, 2, 3], 4), np.array([1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    y = np.array([1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0])
    found = direct_proportion(y, np.ones(12), stratum=stratum, psu=psu, domain=stratum == 1, lonely_psu="average")
    assert np.isnan(found.standard_error[1])
    assert "no standard error" in found.note[1]
    assert found.interval_kind[1] == ""


def test_psus_all_alike_do_not_give_a_certain_number() -> None:
    found = direct_proportion([1, 0] * 4, np.ones(8), psu=np.repeat(np.arange(4), 2))
    assert found.standard_error[0] < 1e-12
    assert found.interval_kind[0] == "Korn-Graubard"
    assert found.high[0] - found.low[0] > 0.5
    assert np.isnan(found.effective_n[0])
    assert np.isnan(direct_mean([1, 3] * 4, np.ones(8), psu=np.repeat(np.arange(4), 2)).low[0])


def test_none_affected_by_hand() -> None:
    """Clopper-Pearson at 0 of m is 1 - (alpha/2)^(1/m), m being Kish's n shortened for few degrees of freedom."""
    weight, psu = np.array([1.0, 1, 1, 1, 3, 3]), np.array([1, 1, 2, 2, 3, 3])
    found = direct_proportion(np.zeros(6), weight, psu=psu, interval="Wilson")
    kish = 10.0**2 / 22.0
    m = kish * (2.570582 / 4.302653) ** 2
    np.testing.assert_allclose(found.kish_n[0], kish, rtol=1e-12)
    np.testing.assert_allclose([found.low[0], found.high[0]], [0.0, 1 - 0.025 ** (1 / m)], rtol=1e-5)


def test_zero_weights_count_and_add_nothing() -> None:
    y, weight, psu = [1, 0, 1, 0, 1, 1], [1, 2, 1, 1, 0, 0], [1, 1, 2, 2, 1, 2]
    with_zero, without = direct_proportion(y, weight, psu=psu), direct_proportion(y[:4], weight[:4], psu=psu[:4])
    assert (with_zero.n[0], without.n[0]) == (6, 4)
    for name in ("estimate", "standard_error", "kish_n", "design_effect", "degrees_of_freedom"):
        np.testing.assert_allclose(getattr(with_zero, name), getattr(without, name), rtol=1e-14)


def test_a_ratio_without_a_denominator_is_said() -> None:
    found = direct_ratio([1, 2], [0, 0], [1, 1])
    assert np.isnan(found.estimate[0])
    assert "denominator" in found.note[0]


def test_the_table_is_tidy_and_nothing_of_the_caller_changes() -> None:
    frame = pd.DataFrame({"y": Y, "w": W, "country": ["A", "A", "B", "B"], "gender": ["boy", "girl", "boy", "girl"]})
    before = frame.copy()
    table = direct_proportion(
        frame["y"], frame["w"], country=frame["country"], domain=frame[["country", "gender"]]
    ).frame()
    assert list(table.columns) == ["country", "gender", *DIRECT_ESTIMATE_COLUMNS]
    assert list(table["gender"]) == ["boy", "girl"] * 2
    pd.testing.assert_frame_equal(frame, before)


def test_levels_keep_their_declared_order() -> None:
    ages = pd.Series(["9", "12", "9", "12"]).astype(pd.CategoricalDtype(["9", "12", "15"]))
    assert list(direct_proportion(Y, W, domain=ages).domains) == ["9", "12", "15"]


def test_standard_errors_are_right_on_average() -> None:
    """Clustered, informative samples: the mean variance is the variance of the estimates (800 samples: within 15 %)."""
    rng = np.random.default_rng(11)
    strata, psus, size, repeats = 4, 10, 12, 800
    count = strata * psus
    estimates, variances, hits = np.empty(repeats), np.empty(repeats), 0
    stratum, psu = np.repeat(np.arange(strata), psus * size), np.repeat(np.arange(count), size)
    base = rng.normal(-1.0, 0.4, strata)
    draws = 1 / (1 + np.exp(-(base[:, None] + 0.7 * rng.normal(size=(strata, 400_000)))))
    heavy = 1 + (np.arange(count * size) % 2)
    truth = float(draws.mean())
    for place in range(repeats):
        p = 1 / (1 + np.exp(-(np.repeat(base, psus) + 0.7 * rng.normal(size=count))))
        y = rng.random(count * size) < p[psu]
        found = direct_proportion(y, heavy, stratum=stratum, psu=psu)
        estimates[place], variances[place] = found.estimate[0], found.standard_error[0] ** 2
        hits += bool(found.low[0] <= truth <= found.high[0])
    assert abs(variances.mean() / estimates.var() - 1) < 0.15
    assert abs(estimates.mean() - truth) < 4 * np.sqrt(estimates.var() / repeats)
    assert 0.92 < hits / repeats < 0.98
