"""Joint answers of a survey: exact counts, effective numbers as certain as a prevalence, laws, formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.design.collapse import collapse
from riskmodels.design.joint_answers import collapsed_joint, excluding, joint_counts, options_of
from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.errors import InputError
from riskmodels.survey.codebook.records import Codebook
from tests.design.surveys import as_source, make_codebook, make_frame
from tests.design.test_replicated import study as study_with_replicates

DATA = Path(rm.__file__).parents[1] / "data" / "synthetic"
RISKS = ("comments", "images", "requests", "threats")


def counted(frame: pd.DataFrame, by: Sequence[str] = ("gender",), **settings: object) -> JointCounts:
    chosen = {"base": "all asked", **settings}
    return joint_counts(make_codebook(), as_source(frame), ["a", "b"], by, **chosen)  # type: ignore[arg-type]


def by_hand(frame: pd.DataFrame, base: str) -> dict[tuple[int, ...], float]:
    """Weighted share of every combination per country, child by child."""
    coded = frame[["q_a", "q_b"]].isin([2.0, 3.0]).astype(int)
    if base == "valid answers":
        coded = coded.where(~frame[["q_a", "q_b"]].isin([888.0, 999.0]), UNKNOWN)
    coded["country"] = (frame["cntry"] - 1).astype(int)
    known = (coded[["q_a", "q_b"]] != UNKNOWN).any(axis=1)
    sums = frame["wgt"][known].groupby([coded["country"], coded["q_a"], coded["q_b"]]).sum()
    return (sums / sums.groupby(level=0).transform("sum")).to_dict()


@pytest.mark.parametrize("base", ["all asked", "valid answers"])
def test_shares_are_those_counted_child_by_child(base: str) -> None:
    frame = make_frame(1)
    found = counted(frame, (), base=base)
    share = found.count / found.n_effective[found.cell]
    assert len(found.count) == len(by_hand(frame, base))
    for cell, answers, value in zip(found.cell, found.answers, share, strict=True):
        assert value == pytest.approx(by_hand(frame, base)[(cell, *answers)], rel=1e-10)
    assert (found.answers == UNKNOWN).any() == (base == "valid answers")


def test_refusals_count_as_not_affected_among_all_asked_and_are_unknown_among_valid_answers() -> None:
    frame = make_frame(2).assign(q_b=lambda f: np.where(f.index % 10 == 0, 888.0, f["q_b"]))
    for base, code in (("all asked", 0), ("valid answers", UNKNOWN)):
        found = counted(frame, (), base=base, weights="none")
        refused = frame["q_b"].isin([888.0, 999.0])
        yes_only = found.count[(found.answers[:, 0] == 1) & (found.answers[:, 1] == code)].sum()
        not_b = refused if base == "valid answers" else ~frame["q_b"].isin([2.0, 3.0])
        assert yes_only == (frame["q_a"].isin([2.0, 3.0]) & not_b).sum()


def test_for_one_risk_a_country_is_as_certain_as_its_prevalence() -> None:
    for frame in (make_frame(3), make_frame(4, psus=40)):
        for base in ("all asked", "valid answers"):
            book, source = make_codebook(), as_source(frame)
            one = collapsed_joint(book, source, ["a"], [], base, "effective", [])  # type: ignore[arg-type]
            cells = cells_of_survey(collapse(book, source, ["a"], base=base))  # type: ignore[arg-type]
            np.testing.assert_allclose(one.n_effective, cells.n_effective, rtol=1e-9)
            np.testing.assert_array_equal(one.n, cells.n)
            np.testing.assert_allclose(one.weight, cells.weight, rtol=1e-9)
            yes = [one.count[(one.cell == k) & (one.answers[:, 0] == 1)].sum() for k in range(len(one))]
            np.testing.assert_allclose(yes, cells.yes_effective, rtol=1e-9)
            assert (one.n_effective < 0.8 * one.n).all()  # the test is not empty


def test_replicate_weights_stand_for_strata_and_psus() -> None:
    frame, book = study_with_replicates()
    one = collapsed_joint(book, as_source(frame), ["a"], [], "all asked", "effective", [])
    cells = cells_of_survey(collapse(book, as_source(frame), ["a"], base="all asked"))
    np.testing.assert_allclose(one.n_effective, cells.n_effective, rtol=1e-9)
    taylor = collapsed_joint(make_codebook(), as_source(frame), ["a"], [], "all asked", "effective", [])
    assert np.abs(one.n_effective / taylor.n_effective - 1).min() > 1e-3


def test_for_several_risks_the_variance_is_the_mean_of_theirs() -> None:
    frame = make_frame(5).replace({"q_a": {888.0: 1.0, 999.0: 1.0}, "q_b": {888.0: 1.0, 999.0: 1.0}})
    cells = cells_of_survey(collapse(make_codebook(), as_source(frame), ["a", "b"], base="all asked"))
    variance = (1 / cells.n_effective).reshape(2, 2).mean(axis=1)
    np.testing.assert_allclose(1 / counted(frame, ()).n_effective, variance, rtol=1e-9)


def test_a_country_put_together_from_its_cells_is_as_certain_as_the_whole() -> None:
    frame = make_frame(6).assign(q_gender=lambda f: f["q_gender"].replace(888.0, 1.0))
    whole, split = counted(frame, ()), counted(frame, ("gender", "age"))
    for number in range(2):
        at = split.position("country") == number
        share = split.weight[at] / split.weight[at].sum()
        assert 1 / (share**2 / split.n_effective[at]).sum() == pytest.approx(whole.n_effective[number], rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_an_effective_number_is_never_above_n(seed: int) -> None:
    frame = make_frame(seed, children=150, psus=140)
    if seed % 2:
        frame["wgt"] = 1.0
    found = counted(frame, ("gender", "age"))
    assert (found.n_effective <= found.n * (1 + 1e-12)).all()
    assert counted(frame, (), weights="none").n_effective.sum() == found.n.sum() + (frame["q_gender"] == 888).sum()


def same(one: JointCounts, two: JointCounts, *, scale: float = 1.0) -> None:
    np.testing.assert_array_equal(one.answers, two.answers)
    np.testing.assert_array_equal(one.cell, two.cell)
    np.testing.assert_allclose(one.count * scale, two.count, rtol=1e-10)
    np.testing.assert_allclose(one.n_effective * scale, two.n_effective, rtol=1e-10)


def test_what_must_not_matter_does_not() -> None:
    frame = make_frame(7)
    expected = counted(frame)
    same(expected, counted(frame.sample(frac=1, random_state=3)))
    scaled = frame.assign(wgt=frame["wgt"] * np.where(frame["cntry"] == 1, 1234.5, 1.0))
    same(expected, counted(scaled))
    twice = counted(pd.concat([frame, frame], ignore_index=True).assign(wgt=lambda f: f["wgt"] / 2))
    same(expected, twice)
    np.testing.assert_allclose(twice.weight, 2 * expected.weight)


def test_risks_in_another_order_give_the_same_patterns_in_that_order() -> None:
    book, source = make_codebook(), as_source(make_frame(8))
    one = joint_counts(book, source, ["a", "b"], base="all asked")
    two = joint_counts(book, source, ["b", "a"], base="all asked")
    told = {(c, *a): k for c, a, k in zip(one.cell, one.answers, one.count, strict=True)}
    for cell, answers, count in zip(two.cell, two.answers, two.count, strict=True):
        assert told[(cell, *answers[::-1])] == pytest.approx(count, rel=1e-10)


def test_children_without_a_known_answer_drop_out_and_their_weight_stays() -> None:
    frame = make_frame(9)
    gone = frame.index % 7 == 0
    frame.loc[gone, ["q_a", "q_b"]] = 888.0
    found = counted(frame, (), base="valid answers")
    silent = frame[["q_a", "q_b"]].isin([888.0, 999.0]).all(axis=1)
    assert found.n.sum() == (~silent).sum()
    assert found.weight.sum() == pytest.approx(len(frame))
    assert "W152" in [problem.code for problem in found.warnings]


def test_zero_weights_leave_no_pattern_behind() -> None:
    frame = make_frame(10)
    frame.loc[(frame["q_a"] > 1) & (frame["q_a"] < 4) & (frame["cntry"] == 1), "wgt"] = 0.0
    found = counted(frame, ())
    assert (found.count > 0).all()
    assert not ((found.cell == 0) & (found.answers[:, 0] == 1)).any()


def test_four_formats_give_the_same_counts() -> None:
    hashes, book = set(), ""
    for ending in ("sav", "dta", "csv", "parquet"):
        study = rm.load_study(DATA / "invented" / "study.toml", data=DATA / "invented" / f"study.{ending}")
        survey = study.survey
        found = joint_counts(survey.codebook, survey.source, RISKS, ["gender", "age_group"], base="valid answers")
        hashes.add(found.content_hash)
        book = repr(found)
    assert len(hashes) == 1
    assert book == "JointCounts(SYNTHETIC, 30 cells, 4 risks, 1,252 children)"


@pytest.fixture(scope="module")
def invented() -> tuple[Codebook, object]:
    survey = rm.load_study(DATA / "invented" / "study.toml", data=DATA / "invented" / "study.parquet").survey
    return survey.codebook, survey.source


def test_options_of_a_question_are_of_the_children_who_were_put_it(invented: tuple[Codebook, object]) -> None:
    book, source = invented
    told = options_of(book, "comments.told")
    found = joint_counts(book, source, told, impossible=excluding(told[0], told))  # type: ignore[arg-type]
    exposed = joint_counts(book, source, ["comments", "images"], weights="none", base="all asked")  # type: ignore[arg-type]
    assert found.n.sum() == exposed.count[exposed.answers[:, 0] == 1].sum()
    assert found.impossible == tuple((0, k) for k in range(1, 8))
    assert not ((found.answers[:, 0] == 1) & (found.answers[:, 1:] == 1).any(axis=1)).any()
    assert "W145" in [problem.code for problem in found.warnings]
    with pytest.raises(InputError, match="E132"):
        options_of(book, "comments")


def test_a_country_that_lacks_a_risk_keeps_its_other_answers() -> None:
    frame = make_frame(11)
    extra = make_frame(12).assign(cntry=3.0, q_b=np.nan).query("index < 600")
    book = make_codebook()
    book = replace(book, design=replace(book.design, countries={**book.design.countries, "3": "UGA"}))
    found = joint_counts(book, as_source(pd.concat([frame, extra], ignore_index=True)), ["a", "b"], base="all asked")
    third = found.answers[found.cell == 2]
    assert (third[:, 1] == UNKNOWN).all()
    assert found.n[2] == 600
    assert "W158" in [problem.code for problem in found.warnings]


def test_small_groups_are_hidden_by_real_children_not_by_their_weights() -> None:
    """The sum over patterns is the number of children, whatever they are worth."""
    survey = rm.load_study("data/synthetic/invented/study.toml").survey
    counts = rm.joint_counts(survey.codebook, survey.source, ["comments", "images", "requests"], ["gender"])
    assert counts.children is not None
    np.testing.assert_array_equal(np.bincount(counts.cell, counts.children), counts.n)
    assert not np.allclose(counts.children, counts.count)
