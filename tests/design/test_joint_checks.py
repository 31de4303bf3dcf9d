"""Every fault of joint answers is told by its code, all at once, and no message tells a count of children under ten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from riskmodels.design.joint_answers import joint_counts
from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.records import Answers, Codebook, Condition, Indicator
from tests.design.surveys import as_source, make_codebook

NAMES = ("a", "b", "c", "d")


def book(names: Sequence[str] = NAMES, countries: int = 3, **more: Indicator) -> Codebook:
    """Some questions put to all, and whatever else is given."""
    plain = make_codebook(psu=False, stratum=False)
    answers = {name: Answers(f"q_{name}", {"no": (0,), "yes": (1,)}, {"dont_know": (999,)}) for name in names}
    found = {name: Indicator(name, f"Item {name}", one) for name, one in answers.items()}
    codes = {str(k + 1): code for k, code in enumerate(("KEN", "NAM", "UGA", "MOZ")[:countries])}
    design = replace(plain.design, countries=codes, country_labels={}, weight=None)
    return replace(plain, indicators={**found, **more}, design=design)


def children(size: int = 900, countries: int = 3, names: Sequence[str] = NAMES) -> pd.DataFrame:
    """Children with every combination of independent answers."""
    rng = np.random.default_rng(5)
    country = 1.0 + np.arange(size) % countries
    answers = {f"q_{name}": rng.integers(0, 2, size).astype(float) for name in names}
    return pd.DataFrame({"cntry": country, "q_gender": 1.0, "q_age": 13.0, **answers})


def count(frame: pd.DataFrame, codebook: Codebook, risks: Sequence[str] = NAMES, **settings: object) -> JointCounts:
    return joint_counts(codebook, as_source(frame), risks, **settings)  # type: ignore[arg-type]


def problems(
    frame: pd.DataFrame, codebook: Codebook, risks: Sequence[str] = NAMES, **settings: object
) -> list[Problem]:
    try:
        return list(count(frame, codebook, risks, **settings).warnings)
    except InputError as error:
        return list(error.problems)


def only(code: str, found: Sequence[Problem]) -> Problem:
    (one,) = [problem for problem in found if problem.code == code]
    return one


def test_nothing_is_said_of_answers_without_fault() -> None:
    assert problems(children(), book()) == []


def test_e152_a_risk_that_one_country_asked_about() -> None:
    frame = children()
    frame.loc[frame["cntry"] > 1, "q_d"] = np.nan
    assert only("E152", problems(frame, book())).where == "d"
    alone = frame[frame["cntry"] == 1]
    assert problems(alone, book(countries=1)) == []  # a study of one country compares nothing


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_e153_a_risk_nobody_or_everybody_has(answer: float) -> None:
    found = only("E153", problems(children().assign(q_b=answer), book()))
    assert found.where == "b"
    assert found.what == "risks on which all children gave the same answer"  # and not which


def test_e154_risks_made_of_one_another() -> None:
    union = Indicator("any", "Any", None, any_of=("a", "b"))
    nested = Indicator("more", "More", None, any_of=("any", "c"))
    again = Indicator("again", "A again", Answers("q_a", {"no": (0,), "yes": (1,)}, {"dont_know": (999,)}))
    whole = book(any=union, more=nested, again=again)
    for risks, where in (
        (("a", "any", "d"), "a and any"),
        (("any", "more"), "any and more"),
        (("c", "more"), "c and more"),
        (("a", "again"), "a and again"),
        (("a", "a", "b"), "a"),
    ):
        assert only("E154", problems(children(), whole, risks)).where == where
    assert problems(children(), whole, ("c", "any", "d")) == []


def test_e155_too_few_or_too_many_risks() -> None:
    names = [f"r{k}" for k in range(16)]
    frame, whole = children(names=names), book(names)
    assert only("E155", problems(frame, whole, names[:1])).where == "1 given"
    assert only("E155", problems(frame, whole, names)).count == 16
    assert not any(problem.stops for problem in problems(frame, whole, names[:15]))


def test_e156_several_denominators_and_one_given_for_all() -> None:
    whole = book()
    mixed = replace(whole, indicators={**whole.indicators, "b": replace(whole.indicators["b"], base="valid answers")})
    assert only("E156", problems(children(), mixed)).where == "a, b, c, d"
    assert problems(children(), mixed, base="all asked") == []


def test_e157_a_follow_up_beside_what_decides_who_is_asked() -> None:
    codes = {"no": (0,), "yes": (1,)}
    after = Indicator("after", "After a", Answers("q_b", codes), asked_if=Condition("a", ("yes",)))
    last = Indicator("last", "After that", Answers("q_c", codes), asked_if=Condition("after", ("yes",)))
    union = Indicator("any", "a or d", None, any_of=("a", "d"))
    whole = book(after=after, last=last, any=union)
    for risks, where in (
        (("a", "after"), "after after a"),
        (("last", "a"), "last after a"),
        (("any", "after"), "after after any"),
    ):
        assert only("E157", problems(children(), whole, risks)).where == where


def test_e158_and_w153_a_pair_never_seen_is_chance_unless_declared() -> None:
    frame = children().assign(q_b=lambda f: np.where(f["q_a"] == 1, 0.0, f["q_b"]))
    told = only("W153", problems(frame, book()))
    assert told.where == "a and b"
    assert "impossible=" in told.remedy
    declared = count(frame, book(), impossible=[("b", "a")])
    assert declared.impossible == ((0, 1),)
    assert declared.warnings == ()
    frame.loc[[0, 1], ["q_a", "q_b"]] = 1.0
    found = problems(frame, book(), impossible=[("a", "b"), ("c", "d")])
    assert only("E158", found).where == "a and b, c and d"
    assert only("W153", problems(frame, book())) == told  # two children or none: the same words


def test_e159_pairs_hardly_asked_together() -> None:
    frame = children().assign(
        q_b=lambda f: f["q_b"].where(f.index % 2 == 0), q_c=lambda f: f["q_c"].where(f.index % 2 == 1)
    )
    assert only("E159", problems(frame, book())).where == "b and c"


def test_e195_pairs_that_are_no_pairs_and_weights_that_are_none() -> None:
    found = problems(children(), book(), ("a", "b"), impossible=[("a", "a"), ("a", "d")])
    assert only("E195", found).where == "a and a, a and d"
    assert only("E195", problems(children(), book(), weights="pseudo")).where == "weights"


def test_e101_nobody_answered() -> None:
    frame = children().assign(**{f"q_{name}": 999.0 for name in NAMES})
    assert only("E101", problems(frame, book(), base="valid answers"))


def test_w152_children_without_answers() -> None:
    frame = children()
    frame.loc[frame.index < 4, [f"q_{name}" for name in NAMES]] = 999.0
    told = only("W152", problems(frame, book(), base="valid answers"))
    assert "fewer than 10 children" in told.what
    frame.loc[frame.index < 90, [f"q_{name}" for name in NAMES]] = 999.0
    assert "(10 % of those asked)" in only("W152", problems(frame, book(), base="valid answers")).what


def test_i153_kinds_of_answers_summed_over() -> None:
    frame = children()
    frame.loc[frame.index < 90, "q_a"] = 999.0
    frame.loc[frame.index > 895, "q_b"] = np.nan
    told = only("I153", problems(frame, book(), base="valid answers"))
    assert told.what.endswith("don't know 2.5 %, no answer fewer than 10")
    assert told.what.split(":")[0] == "answers that are not known and are summed over"


def test_w154_one_risk_implies_another() -> None:
    frame = children().assign(q_b=lambda f: np.maximum(f["q_a"], f["q_b"]))
    told = only("W154", problems(frame, book()))
    assert told.where == "a with b"
    frame.loc[frame[frame["q_a"] == 1].index[:3], "q_b"] = 0.0
    assert only("W154", problems(frame, book())) == told


def test_w155_w158_w159_countries() -> None:
    frame = children(countries=4)
    frame.loc[frame["cntry"] == 4, [f"q_{name}" for name in NAMES]] = np.nan
    frame.loc[frame["cntry"] == 2, "q_c"] = np.nan
    frame = frame[(frame["cntry"] != 3) | (frame.index < 200)]
    found = problems(frame, book(countries=4))
    assert only("W155", found).where == "MOZ"
    assert only("W158", found).where == "c in NAM"
    assert only("W159", found).where == "UGA"


def test_w145_questions_put_to_some() -> None:
    codes = {"no": (0,), "yes": (1,)}
    after = {
        name: Indicator(name, name, Answers(f"q_{name}", codes), asked_if=Condition("a", ("yes",))) for name in "bcd"
    }
    frame = children().assign(**{f"q_{name}": lambda f, n=name: f[f"q_{n}"].where(f["q_a"] == 1) for name in "bcd"})
    whole = replace(book(), indicators={**book().indicators, **after})
    found = count(frame, whole, ("b", "c", "d"))
    assert found.n.sum() == (frame["q_a"] == 1).sum()
    assert only("W145", found.warnings).count == 3


def test_i152_a_risk_that_clusters_more_than_the_others() -> None:
    rng = np.random.default_rng(3)
    psu = np.repeat(np.arange(60), 20)
    frame = children(1200, countries=1).assign(ea=psu, strat=1.0)
    frame["q_a"] = (rng.uniform(size=1200) < 1 / (1 + np.exp(-rng.normal(0, 2, 60)[psu]))).astype(float)
    whole = book(countries=1)
    clustered = replace(whole, design=replace(whole.design, psu="ea", stratum="strat"))
    assert re.fullmatch(r"a \(\d\.\d times\)", only("I152", problems(frame, clustered)).where)


def test_everything_is_told_at_once() -> None:
    union = Indicator("any", "Any", None, any_of=("a", "b"), base="valid answers")
    found = problems(children(), book(any=union), ("a", "any", "any"), impossible=[("x", "y")])
    assert {problem.code for problem in found} >= {"E154", "E156", "E195"}
    frame = children().assign(q_b=0.0, q_c=lambda f: f["q_c"].where(f["cntry"] == 1))
    found = problems(frame, book(), impossible=[("a", "d")])
    assert {problem.code for problem in found} >= {"E152", "E153", "E158", "W153", "W158"}
