"""Answers to totals: codes, kinds of missing, skip patterns, unions, and laws that any collapse must obey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskmodels.design.coding import MISSING_CODE, UNDECLARED, coded_select
from riskmodels.design.collapse import collapse
from riskmodels.design.patterns import count_patterns
from riskmodels.design.totals import SurveyTotals, kinds_of_missing
from riskmodels.errors import InputError
from riskmodels.survey.codebook.records import Answers, Codebook, Condition
from riskmodels.survey.source import SourceTable
from tests.design.surveys import as_file, as_source, make_codebook, make_frame

DK, PNTS = MISSING_CODE["dont_know"], MISSING_CODE["prefer_not_to_say"]
SKIPPED, NOT_FIELDED, EMPTY = MISSING_CODE["not_asked"], MISSING_CODE["not_fielded"], MISSING_CODE["system_missing"]


def coded(frame: pd.DataFrame, names: list[str], codebook: Codebook | None = None) -> pd.DataFrame:
    source = as_source(frame)
    with source.connect() as connection:
        return connection.execute(coded_select(codebook or make_codebook(), source, names)).df()


def same(one: SurveyTotals, two: SurveyTotals) -> None:
    pd.testing.assert_frame_equal(one.units, two.units, check_dtype=False)
    np.testing.assert_allclose(one.sums, two.sums, rtol=1e-11)
    np.testing.assert_array_equal(one.missing, two.missing)
    np.testing.assert_allclose(one.together, two.together, rtol=1e-11)


def test_kinds_of_missing_stay_apart() -> None:
    frame = (
        make_frame().head(7).assign(q_a=[1.0, 2.0, 3.0, 888.0, 999.0, np.nan, 7.0], q_c=[np.nan, 0, 1, 1, np.nan, 0, 1])
    )
    table = coded(frame, ["a", "c"])
    assert table["a"].tolist() == [0, 1, 1, PNTS, DK, EMPTY, UNDECLARED]
    assert table["c"].tolist() == [SKIPPED, 0, 1, SKIPPED, SKIPPED, SKIPPED, SKIPPED]


def union(a: int, b: int) -> int:
    """What the codebook's record says of `any_of`."""
    if UNDECLARED in (a, b):
        return UNDECLARED
    if 1 in (a, b):
        return 1
    unknown = [code for code in (a, b) if code in (DK, PNTS, EMPTY)]
    if unknown:
        return max(unknown)
    return 0 if 0 in (a, b) else max(a, b)


@given(
    st.lists(st.tuples(*[st.sampled_from([1.0, 2.0, 3.0, 888.0, 999.0, np.nan, 55.0])] * 2), min_size=1, max_size=30)
)
@settings(max_examples=60, deadline=None)
def test_union_of_items(answers: list[tuple[float, float]]) -> None:
    a, b = (np.array(column) for column in zip(*answers, strict=True))
    frame = pd.concat([make_frame().head(1)] * len(a), ignore_index=True).assign(q_a=a, q_b=b)
    table = coded(frame, ["a", "b", "any"])
    assert table["any"].tolist() == [union(x, y) for x, y in zip(table["a"], table["b"], strict=True)]


def test_totals_are_plain_sums() -> None:
    """Against pandas, cell by cell."""
    frame = make_frame(1)
    totals = collapse(make_codebook(), as_source(frame), ["a", "b"], ["gender"])
    assert totals.rows_read == totals.rows_left == len(frame)
    y, asked = frame["q_a"].isin([2, 3]), frame["q_a"].notna()
    for place, (code, gender) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)]):
        at = (totals.units["country"] == place // 2) & (totals.units["gender"] == place % 2)
        rows = (frame["cntry"] == code) & (frame["q_gender"] == gender)
        w = frame.loc[rows, "wgt"]
        expected = [rows.sum(), (y & rows).sum(), w.sum(), w[y].sum(), (w**2).sum(), (w[y] ** 2).sum()]
        np.testing.assert_allclose(totals.sums[0, at].sum(axis=0), expected, rtol=1e-11)
        valid = rows & frame["q_b"].isin([1, 2, 3])
        assert totals.sums[1, at, 0].sum() == valid.sum()
    assert asked.all()
    counts = kinds_of_missing(totals).set_index(["country", "indicator"])
    assert counts.loc[("KEN", "a"), "dont_know"] == ((frame["cntry"] == 1) & (frame["q_a"] == 999)).sum()


def test_a_file_gives_what_a_frame_gives(tmp_path: Path) -> None:
    frame = make_frame(2)
    arguments = (["a", "b", "any"], ["gender", "age"])
    expected = collapse(make_codebook(), as_source(frame), *arguments)
    for name in ("study.parquet", "study.csv"):
        same(expected, collapse(make_codebook(), as_file(frame, tmp_path / name), *arguments))


@pytest.mark.parametrize("seed", [3, 4])
def test_order_of_rows_and_names_of_codes_do_not_matter(seed: int) -> None:
    frame, codebook = make_frame(seed), make_codebook()
    expected = collapse(codebook, as_source(frame), ["a", "b"], ["gender"])
    same(expected, collapse(codebook, as_source(frame.sample(frac=1, random_state=seed)), ["a", "b"], ["gender"]))
    renamed = frame.assign(q_a=frame["q_a"].map({1.0: "nie", 2.0: "ja", 3.0: "oft", 888.0: "kA", 999.0: "wn"}))
    words = Answers("q_a", {"no": ("nie",), "yes": ("ja", "oft")}, {"prefer_not_to_say": ("kA",), "dont_know": ("wn",)})
    other = replace(codebook, indicators={**codebook.indicators, "a": replace(codebook.indicators["a"], answers=words)})
    same(expected, collapse(other, as_source(renamed), ["a", "b"], ["gender"]))


def test_one_country_that_codes_a_question_the_other_way() -> None:
    frame, codebook = make_frame(5), make_codebook()
    expected = collapse(codebook, as_source(frame), ["a"])
    swapped = frame.assign(q_a=np.where((frame["cntry"] == 2) & (frame["q_a"] < 10), 4 - frame["q_a"], frame["q_a"]))
    answers = Answers("q_a", {"no": (3,), "yes": (1, 2)}, codebook.indicators["a"].answers.missing)  # type: ignore[union-attr]
    indicator = replace(codebook.indicators["a"], by_country={"NAM": answers})
    same(expected, collapse(replace(codebook, indicators={"a": indicator}), as_source(swapped), ["a"]))


def test_a_question_not_fielded_in_a_country_is_never_nought_per_cent() -> None:
    frame = make_frame(6)
    frame.loc[frame["cntry"] == 2, "q_b"] = np.nan
    totals = collapse(make_codebook(), as_source(frame), ["a", "b", "any"])
    counts = kinds_of_missing(totals).set_index(["country", "indicator"])
    assert counts.loc[("NAM", "b"), "not_fielded"] == 600
    assert counts.loc[("NAM", "b"), "answered"] == 0
    # the union rests on what was asked there
    assert counts.loc[("NAM", "any"), "answered"] == counts.loc[("NAM", "a"), "answered"]


def test_eligibility_leaves_children_out_and_counts_them() -> None:
    frame = make_frame(7)
    codebook = replace(make_codebook(), eligibility=(Condition("age", low=13, high=16), Condition("gender", ("girl",))))
    totals = collapse(codebook, as_source(frame), ["a"])
    assert totals.rows_left == (frame["q_age"].between(13, 16) & (frame["q_gender"] == 2)).sum()
    with pytest.raises(InputError, match="E101"):
        collapse(replace(codebook, eligibility=(Condition("age", low=150),)), as_source(frame), ["a"])


def broken(column: str, value: object, rows: int = 4) -> SourceTable:
    frame = make_frame(8)
    frame.loc[: rows - 1, column] = value  # type: ignore[call-overload]
    return as_source(frame)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (broken("q_a", 55.0), "E160"),
        (broken("wgt", np.nan), "E112"),
        (broken("wgt", -1.0), "E112"),
        (broken("wgt", np.inf), "E112"),
        (broken("cntry", 9.0), "E172"),
        (broken("ea", np.nan), "E122"),
        (broken("q_gender", 5.0), "E160"),
    ],
)
def test_nothing_is_left_out_in_silence(source: SourceTable, code: str) -> None:
    with pytest.raises(InputError) as caught:
        collapse(make_codebook(), source, ["a"], ["gender"])
    assert {problem.code for problem in caught.value.problems} == {code}
    assert caught.value.problems[0].count == 4
    assert "55" not in str(caught.value)


def test_unknown_names_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        collapse(make_codebook(), as_source(make_frame()), ["a", "nosuch"], ["gendr"])
    assert len(caught.value.problems) == 2


def test_patterns_add_up_to_the_totals() -> None:
    frame = make_frame(9)
    patterns = count_patterns(make_codebook(), as_source(frame), ["a", "b"], ["gender"])
    assert patterns.n.sum() == frame["q_gender"].isin([1, 2]).sum()
    both = (frame["q_a"].isin([2, 3]) & frame["q_b"].isin([2, 3]) & frame["q_gender"].isin([1, 2])).sum()
    assert patterns.n[(patterns.answers == 1).all(axis=1)].sum() == both
    assert set(np.unique(patterns.answers)) == {0, 1, DK, PNTS}
    scaled = frame.assign(wgt=frame["wgt"] * np.where(frame["cntry"] == 1, 7.0, 0.1))
    again = count_patterns(make_codebook(), as_source(scaled), ["a", "b"], ["gender"])
    np.testing.assert_allclose(again.weight, patterns.weight, rtol=1e-12)
    assert 0 < patterns.share_of([1, 1]) < 1


def test_country_codes_read_alike_from_whole_numbers_and_fractions(tmp_path: Path) -> None:
    codebook = replace(make_codebook(), design=replace(make_codebook().design, countries={}))
    frame = make_frame(10)
    expected = collapse(codebook, as_source(frame), ["a"])
    assert expected.factors[0].levels == ("1", "2")
    whole = as_file(frame.astype({"cntry": int}), tmp_path / "whole.parquet")
    same(expected, collapse(codebook, whole, ["a"]))
    same(expected, collapse(codebook, as_file(frame.astype({"cntry": int}), tmp_path / "whole.csv"), ["a"]))
