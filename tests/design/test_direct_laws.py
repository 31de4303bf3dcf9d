"""Laws of direct estimates, and the same number from rows, from totals of PSUs and from sums of squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskmodels.design.direct import (
    DirectEstimate,
    covariance_from_sums,
    covariance_of_proportions,
    covariance_of_ratios,
    direct_mean,
    direct_proportion,
    direct_ratio,
    direct_total,
    proportions_from_totals,
)

LABELS = ("country", "stratum", "psu")
POLICIES = ("certainty", "average", "centred", "merge")
NUMBERS = ("estimate", "standard_error", "low", "high", "degrees_of_freedom", "design_effect", "effective_n", "kish_n")


@st.composite
def samples(draw: st.DrawFn) -> pd.DataFrame:
    """Up to three countries of three strata, the second and third of them lonely at times; some weights zero."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    for country in range(draw(st.integers(1, 3))):
        for stratum in range(3):
            for psu in range(draw(st.integers(1 if stratum else 2, 4))):
                for _ in range(draw(st.integers(1, 4))):
                    rows.append((f"C{country}", f"S{stratum}", 10 * stratum + psu))
    frame = pd.DataFrame(rows, columns=list(LABELS))
    count = len(frame)
    frame["weight"] = np.round(rng.gamma(2.0, 1.0, count), 3) * (rng.random(count) > 0.1)
    frame.loc[0, "weight"] = 1.0
    frame["y"] = (rng.random(count) < 0.4).astype(float)
    frame["hours"] = np.round(rng.gamma(3.0, 1.0, count), 2)
    frame["gender"] = rng.choice(["boy", "girl"], count)
    frame["base"] = np.where(rng.random(count) < 0.85, frame["y"], np.nan)
    return frame


def proportion(frame: pd.DataFrame, y: str = "base", domain: object = None, **options: object) -> DirectEstimate:
    options = {"lonely_psu": "centred"} | options
    labels = {label: frame[label] for label in LABELS}
    return direct_proportion(frame[y], frame["weight"], domain=domain, **labels, **options)


def same(first: DirectEstimate, second: DirectEstimate, names: tuple[str, ...] = NUMBERS, at: float = 1e-10) -> None:
    for name in names:
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=at, atol=at, err_msg=name)
    if "low" in names:
        assert list(first.interval_kind) == list(second.interval_kind)
        assert list(first.note) == list(second.note)


def collapse(frame: pd.DataFrame, with_psu: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What SQL makes of rows: totals per PSU and gender, and the strata of the whole sample."""
    design = ["country", "stratum", *(["psu"] if with_psu else [])]
    weight, base = frame["weight"], frame["base"].notna()
    yes = (frame["base"] == 1).astype(float)
    sums = frame[design].assign(
        domain=frame["gender"], n=base * 1, n_positive=base & (weight > 0), yes=yes, w=base * weight, wy=yes * weight,
        w2=base * weight**2, w2y=yes * weight**2,
    )  # fmt: skip
    totals = sums.groupby([*design, "domain"], as_index=False).sum()
    strata = frame.groupby(["country", "stratum"], as_index=False).agg(psus=("psu", "nunique" if with_psu else "size"))
    return totals, strata


@settings(max_examples=60, deadline=None)
@given(samples(), st.sampled_from(POLICIES), st.booleans())
def test_rows_and_totals_give_the_same(frame: pd.DataFrame, policy: str, with_psu: bool) -> None:
    psu = {"psu": frame["psu"]} if with_psu else {}
    rows = direct_proportion(
        frame["base"], frame["weight"], country=frame["country"], stratum=frame["stratum"], domain=frame["gender"],
        lonely_psu=policy, **psu,
    )  # fmt: skip
    totals, strata = collapse(frame, with_psu)
    found = proportions_from_totals(totals, strata=strata, lonely_psu=policy)
    assert list(rows.n) == list(found.n)
    same(rows, found, ("estimate", "standard_error", "degrees_of_freedom", "kish_n"), at=1e-12)
    same(rows, found)


@settings(max_examples=40, deadline=None)
@given(samples(), st.sampled_from(POLICIES))
def test_children_as_psus_in_all_three_forms(frame: pd.DataFrame, policy: str) -> None:
    """Rows, totals of PSUs that hold one child each, sums of squares per stratum."""
    alone = frame.assign(psu=np.arange(len(frame)))
    rows = proportion(frame.assign(psu=range(len(frame))), domain=frame["gender"], lonely_psu=policy)
    by_psu = proportions_from_totals(collapse(alone)[0], lonely_psu=policy)
    totals, strata = collapse(alone, with_psu=False)
    by_squares = proportions_from_totals(totals, strata=strata, lonely_psu=policy)
    for found in (by_psu, by_squares):
        same(rows, found, ("estimate", "standard_error", "degrees_of_freedom"), at=1e-12)


@settings(max_examples=40, deadline=None)
@given(samples(), st.sampled_from(POLICIES))
def test_covariances_in_all_forms(frame: pd.DataFrame, policy: str) -> None:
    answers = np.stack([frame["y"], frame["base"], np.where(frame["gender"] == "girl", frame["y"], np.nan)], axis=1)
    labels = {label: frame[label] for label in LABELS}
    weight = np.maximum(frame["weight"], 0.01)
    found = covariance_of_proportions(answers, weight, lonely_psu=policy, **labels)
    alone = [direct_proportion(answers[:, k], weight, lonely_psu=policy, **labels).standard_error[0] for k in range(3)]
    np.testing.assert_allclose(found.standard_error, alone, rtol=1e-10, atol=1e-12)
    held = ~np.isnan(answers)
    basic = np.hstack([np.nan_to_num(answers) * weight.to_numpy()[:, None], held * weight.to_numpy()[:, None]])
    psus = pd.DataFrame(basic).groupby([frame[label] for label in LABELS]).sum().reset_index()
    values = psus[list(range(6))].to_numpy()
    by_psu = covariance_of_ratios(
        values[:, :3], values[:, 3:], stratum=psus["stratum"], country=psus["country"], lonely_psu=policy
    )
    np.testing.assert_allclose(by_psu.covariance, found.covariance, rtol=1e-12, atol=1e-15)
    strata = psus.groupby(["country", "stratum"]).indices
    by_sums = covariance_from_sums(
        [len(rows) for rows in strata.values()],
        [values[rows].sum(axis=0) for rows in strata.values()],
        [values[rows].T @ values[rows] for rows in strata.values()],
        country=[country for country, _ in strata],
        lonely_psu=policy,
    )
    np.testing.assert_allclose(by_sums.covariance, found.covariance, rtol=1e-9, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(samples(), st.floats(0.01, 100.0))
def test_scale_of_a_countrys_weights_changes_nothing(frame: pd.DataFrame, factor: float) -> None:
    scaled = frame.assign(weight=frame["weight"] * np.where(frame["country"] == "C0", factor, 1.0))
    first, second = (proportion(f, domain=f["country"]) for f in (frame, scaled))
    same(first, second)


@settings(max_examples=40, deadline=None)
@given(samples(), st.integers(0, 2**32 - 1), st.sampled_from(POLICIES))
def test_order_of_rows_changes_nothing(frame: pd.DataFrame, seed: int, policy: str) -> None:
    shuffled = frame.sample(frac=1.0, random_state=seed)
    same(*(proportion(f, domain=f["gender"], lonely_psu=policy) for f in (frame, shuffled)))


@settings(max_examples=40, deadline=None)
@given(samples())
def test_rows_twice_at_half_weight_change_nothing(frame: pd.DataFrame) -> None:
    """With PSUs unchanged; n doubles, so what is measured against n (design effect, effective n) is left out."""
    twice = pd.concat([frame, frame]).assign(weight=lambda f: f["weight"] / 2)
    first, second = (proportion(f, domain=f["gender"], interval="Wilson") for f in (frame, twice))
    same(first, second, ("estimate", "standard_error", "degrees_of_freedom", "n_weighted"))
    assert list(2 * first.n) == list(second.n)


@settings(max_examples=30, deadline=None)
@given(samples())
def test_an_empty_country_and_an_unused_level_change_nothing(frame: pd.DataFrame) -> None:
    empty = frame.assign(country="C9", base=np.nan)
    whole = pd.concat([frame, empty], ignore_index=True)
    genders = pd.Categorical(whole["gender"], ["boy", "girl", "other"])
    first = proportion(frame, domain=pd.Categorical(frame["gender"], ["boy", "girl"]))
    second = proportion(whole, domain=genders)
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(first, name), getattr(second, name)[:2], rtol=1e-10, atol=1e-12)
    assert second.n[2] == 0
    assert np.isnan(second.estimate[2])
    assert second.note[2] == "no children in the base"


@settings(max_examples=30, deadline=None)
@given(samples(), st.sampled_from(["certainty", "average", "centred"]))
def test_names_of_strata_and_psus_change_nothing(frame: pd.DataFrame, policy: str) -> None:
    renamed = frame.assign(
        stratum=frame["stratum"].map({"S0": "zone", "S1": "area", "S2": "moor"}), psu=frame["psu"].map(lambda p: -p)
    )
    same(*(proportion(f, domain=f["gender"], lonely_psu=policy) for f in (frame, renamed)))


@settings(max_examples=40, deadline=None)
@given(samples(), st.sampled_from(POLICIES))
def test_proportion_mean_and_ratio_are_one(frame: pd.DataFrame, policy: str) -> None:
    options = {label: frame[label] for label in LABELS} | {"domain": frame["gender"], "lonely_psu": policy}
    first = direct_proportion(frame["base"], frame["weight"], interval="normal", **options)
    mean = direct_mean(frame["base"], frame["weight"], **options)
    ratio = direct_ratio(frame["base"], np.ones(len(frame)), frame["weight"], **options)
    for other in (mean, ratio):
        same(first, other, ("estimate", "standard_error", "degrees_of_freedom"))
    same(mean, ratio)


@settings(max_examples=40, deadline=None)
@given(samples())
def test_a_domain_of_everybody_is_everybody(frame: pd.DataFrame) -> None:
    same(proportion(frame), proportion(frame, domain=np.repeat("all", len(frame))))


@settings(max_examples=40, deadline=None)
@given(samples())
def test_totals_add_up_over_domains_and_countries_add_variances(frame: pd.DataFrame) -> None:
    options: dict[str, object] = {label: frame[label] for label in LABELS}
    options["lonely_psu"] = "average"
    whole = direct_total(frame["hours"], frame["weight"], **options)
    parts = direct_total(frame["hours"], frame["weight"], domain=frame["country"], **options)
    np.testing.assert_allclose(parts.estimate.sum(), whole.estimate[0], rtol=1e-10)
    np.testing.assert_allclose((parts.standard_error**2).sum(), whole.standard_error[0] ** 2, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(samples(), st.sampled_from(["logit", "Wilson", "Korn-Graubard"]))
def test_intervals_hold_the_estimate_and_stay_within_0_and_1(frame: pd.DataFrame, interval: str) -> None:
    found = proportion(frame, domain=frame[["country", "gender"]], interval=interval)
    known = found.interval_kind != ""
    assert (found.low[known] >= 0).all()
    assert (found.high[known] <= 1).all()
    assert (found.low[known] <= found.estimate[known] + 1e-12).all()
    assert (found.high[known] >= found.estimate[known] - 1e-12).all()
    assert (found.note[~known] != "").all()
    counted = np.isfinite(found.effective_n)
    assert (found.effective_n[counted] <= found.n[counted]).all()


def test_merge_goes_to_the_stratum_after_and_the_last_to_the_one_before() -> None:
    """Strata of 1, 1, 3, 1 PSUs: the first two join each other, the last joins the third."""
    stratum = np.array([1, 2, 3, 3, 3, 4])
    y = np.array([1, 0, 1, 0, 0, 1])
    found = direct_proportion(y, np.ones(6), stratum=stratum, psu=np.arange(6), lonely_psu="merge")
    by_hand = direct_proportion(y, np.ones(6), stratum=[1, 1, 2, 2, 2, 2], psu=np.arange(6))
    same(found, by_hand)
    assert found.degrees_of_freedom[0] == 4


@pytest.mark.parametrize("policy", ["certainty", "centred"])
def test_a_lonely_stratum_by_hand(policy: str) -> None:
    """Two PSUs of totals 1 and 0 (weights 1), one lonely child: p = 2/3, z = (1/9, -2/9 | 1/9)."""
    found = direct_proportion([1, 0, 1], [1, 1, 1], stratum=["a", "a", "b"], psu=[1, 2, 3], lonely_psu=policy)
    expected = 2 * 2 * (1 / 6) ** 2 + (1 / 81 if policy == "centred" else 0)
    np.testing.assert_allclose(found.standard_error[0] ** 2, expected, rtol=1e-12)
