"""Imputation: draws from the right distributions, gaps only, what must not be filled, completed sets collapsed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import riskmodels as rm
from riskmodels.design.completed_rows import rows_of_completed, rows_of_drawn
from riskmodels.design.missing_predictors import missing_predictors
from riskmodels.design.regression_rows import regression_rows
from riskmodels.survey.codebook.records import (
    Answers,
    Codebook,
    Condition,
    DesignColumns,
    Indicator,
    Replicates,
    Scale,
    Variable,
)
from riskmodels.survey.imputation import (
    IncompleteAnswers,
    completed,
    draw_one_set,
    draw_sets,
    own_model,
)
from riskmodels.survey.imputation_draws import draw_levels, draw_matched
from riskmodels.survey.readers import source_from_frame

MISSING = {"dont_know": (8,), "prefer_not_to_say": (9,)}
VARIABLES = {
    "gender": Variable("gender", "Gender", Answers("g", {"boy": (1,), "girl": (2,)}, MISSING)),
    "means": Variable(
        "means", "Means", Answers("m", {"low": (1,), "middle": (2,), "high": (3,)}, MISSING), ordered=True
    ),
    "age": Variable("age", "Age", Answers("a", {}, {"prefer_not_to_say": (99,)}), low=9, high=17),
    "first": Variable("first", "First", Answers("s1", {"no": (1,), "yes": (2,)}, MISSING)),
    "second": Variable("second", "Second", Answers("s2", {"no": (1,), "yes": (2,)}, MISSING)),
    "third": Variable(
        "third", "Third", Answers("s2", {"no": (1,), "yes": (2,)}, MISSING), asked_if=Condition("online", ("yes",))
    ),
    "school": Variable("school", "School", Answers("k", {"no": (0,), "yes": (1,)})),
    "online": Variable("online", "Online", Answers("o", {"no": (0,), "yes": (1,)})),
    "hours": Variable("hours", "Hours", Answers("h", {}), asked_if=Condition("online", ("yes",))),
}
CODEBOOK = Codebook(
    study_id="gaps",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=DesignColumns(country="c", countries={"2": "NAM", "1": "KEN"}, weight="w", psu="p"),
    variables=VARIABLES,
    indicators={
        "a1": Indicator("a1", "A1", Answers("y1", {"no": (0,), "yes": (1,)}, MISSING)),
        "a2": Indicator("a2", "A2", Answers("y2", {"no": (0,), "yes": (1,)}, MISSING)),
        "any": Indicator("any", "Any", None, any_of=("a1", "a2")),
    },
    scales={
        "score": Scale("score", "Score", ("first", "second"), at_least=2),
        "asked": Scale("asked", "Asked", ("third",)),
    },
    eligibility=(Condition("school", ("yes",)),),
)
TERMS = (("gender",), ("means",), ("age",), ("score",), ("gender", "age"))


def children(seed: int = 1, size: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "c": rng.choice(["1", "2"], size),
            "w": rng.choice([0.5, 1.0, 3.0], size),
            "p": rng.integers(0, 30, size).astype(float),
            "g": rng.choice([1.0, 2.0], size),
            "m": rng.choice([1.0, 2.0, 3.0], size),
            "a": rng.integers(9, 18, size).astype(float),
            "k": rng.choice([0.0, 1.0], size, p=[0.1, 0.9]),
            "s1": rng.choice([1.0, 2.0], size),
            "s2": rng.choice([1.0, 2.0], size),
            "o": rng.choice([0.0, 1.0], size),
            "h": rng.integers(0, 6, size).astype(float),
            "y1": rng.choice([0.0, 1.0, 8.0], size, p=[0.7, 0.25, 0.05]),
            "y2": rng.choice([0.0, 1.0], size, p=[0.8, 0.2]),
        }
    )


def with_gaps(frame: pd.DataFrame, seed: int = 2) -> pd.DataFrame:
    rng, found = np.random.default_rng(seed), frame.copy()
    for column, code in (("g", 8.0), ("m", 9.0), ("a", 99.0), ("s1", np.nan), ("s2", 8.0)):
        found.loc[rng.uniform(size=len(found)) < 0.2, column] = code
    return found


def codes_of(caught: pytest.ExceptionInfo[rm.InputError]) -> set[str]:
    return {problem.code for problem in caught.value.problems}


def test_levels_come_from_their_posterior_predictive() -> None:
    """Shares of a known logit and of a known three-level model, within 4 standard errors; coefficients vary by draw."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, 1))
    binary = (rng.uniform(size=4000) < special.expit(-1 + x[:, 0])).astype(float)
    weights = np.column_stack([np.zeros(4000), 0.5 + x[:, 0], -0.5 - x[:, 0]])
    three = (weights + rng.gumbel(size=weights.shape)).argmax(axis=1).astype(float)
    at = np.full((20_000, 1), 1.0)
    truth = np.exp([0, 1.5, -1.5]) / np.exp([0, 1.5, -1.5]).sum()
    shares = np.array([(draw_levels(x, binary, at, rng) == 1).mean() for _ in range(40)])
    several = np.array(
        [np.bincount(draw_levels(x, three, at, rng).astype(int), minlength=3) / len(at) for _ in range(40)]
    )
    # Posterior SD of a share: about that of a prediction from 4,000 children.
    assert abs(shares.mean() - 0.5) < 4 * shares.std()
    assert (np.abs(several.mean(axis=0) - truth) < 4 * several.std(axis=0)).all()
    sampling = np.sqrt(0.25 / len(at))
    assert 1.5 * sampling < shares.std() < 0.03
    plain = np.zeros((4000, 1))
    assert draw_levels(plain, binary, np.zeros((9000, 1)), rng).mean() == pytest.approx(binary.mean(), abs=0.03)


def test_the_spread_of_drawn_shares_is_the_posterior_s() -> None:
    """Against the beta posterior of one proportion: two groups of 60, share 0.3 in the second."""
    rng = np.random.default_rng(4)
    group = np.repeat([0.0, 1.0], 60)[:, None]
    level = np.r_[np.arange(60) < 30, np.arange(60) < 18].astype(float)
    found = np.array([draw_levels(group, level, np.ones((40_000, 1)), rng).mean() for _ in range(300)])
    assert found.mean() == pytest.approx(0.3, abs=0.02)
    assert found.std() == pytest.approx(np.sqrt(0.3 * 0.7 / 60), rel=0.15)


def test_matching_gives_answers_that_exist_and_never_cuts_ties() -> None:
    rng = np.random.default_rng(5)
    group = np.repeat([0.0, 1.0], 200)[:, None]
    numbers = np.where(group[:, 0] == 1, 30.0, 10.0) + np.tile(np.arange(20), 20)
    found = draw_matched(group, numbers, np.ones((5000, 1)), rng)
    assert set(found) == set(numbers[200:])  # every one of 200 tied donors is reached
    assert np.bincount(found.astype(int))[30:].min() > 150
    scores = numbers + np.arange(400) / 1000
    found = draw_matched(group, scores, np.ones((5000, 1)), rng)
    assert found.mean() == pytest.approx(scores[200:].mean(), abs=1.7)
    assert scores.min() <= found.min() < found.max() <= scores.max()
    few = draw_matched(group[[0, 399]], np.array([10.0, 20.0]), np.ones((50, 1)), rng)
    assert set(few) <= {10.0, 20.0}


def test_a_line_comes_back_through_matching() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 1))
    numbers = 2 + 1.5 * x[:, 0] + rng.normal(size=3000)
    z = rng.normal(size=(3000, 1))
    slopes = [np.polyfit(z[:, 0], draw_matched(x, numbers, z, rng), 1)[0] for _ in range(40)]
    # Sampling of 3,000 residuals and the posterior of the slope: both have this standard error.
    assert np.std(slopes) == pytest.approx(np.sqrt(2 / 3000), rel=0.4)
    assert np.mean(slopes) == pytest.approx(1.5, abs=0.04)
    spread = [np.std(draw_matched(x, numbers, z, rng) - 2 - 1.5 * z[:, 0]) for _ in range(5)]
    assert np.mean(spread) == pytest.approx(1.0, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**20), st.floats(0.05, 0.9))
def test_only_gaps_are_filled_and_only_with_answers_that_exist(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    size = 80
    values = {
        "two": rng.integers(0, 2, size).astype(float),
        "three": rng.integers(0, 3, size).astype(float),
        "number": rng.integers(9, 18, size).astype(float),
        "many": rng.integers(0, 8, size).astype(float),
    }
    for column in values.values():
        column[rng.uniform(size=size) < share] = np.nan
        column[0] = 0.0 if np.isnan(column).all() else column[0]
    answers = IncompleteAnswers(
        values,
        {"two": "levels", "three": "ordered", "number": "number", "many": "ordered"},
        rng.integers(0, 2, size),
        rng.integers(0, 2, size),
        rng.choice([0.0, 1.0, 5.0], size),
        (("two", "number"), ("two", "three", "number")),
    )
    whole = completed(values, draw_one_set(answers, rng, 2), list(values))
    for name, column in whole.items():
        known = ~np.isnan(values[name])
        np.testing.assert_array_equal(column[known], values[name][known])
        assert set(column) == set(values[name][known]) | set(column[~known])
        assert set(column[~known]) <= set(values[name][known])


def test_equal_seeds_give_equal_sets_and_more_sets_keep_the_first() -> None:
    answers = missing_predictors(CODEBOOK, source_from_frame(with_gaps(children())), "a1", TERMS).answers
    three, two, other = (draw_sets(answers, count, seed=seed) for count, seed in ((3, 7), (2, 7), (2, 8)))
    for name in answers.incomplete:
        np.testing.assert_array_equal(three[1][name], two[1][name])
        assert (two[0][name] != other[0][name]).any()
        assert (two[0][name] != two[1][name]).any()


def test_countries_with_few_answers_borrow_from_all() -> None:
    rng = np.random.default_rng(9)
    country = np.repeat([0, 1], [500, 40])
    level = (rng.uniform(size=540) < 0.5).astype(float)
    level[rng.uniform(size=540) < 0.3] = np.nan
    answers = IncompleteAnswers({"x": level}, {"x": "levels"}, country, np.zeros(540, dtype=np.int64), np.ones(540))
    assert list(own_model(answers, "x", 4)) == [True, False]
    constant = IncompleteAnswers(
        {"x": level * 0}, {"x": "levels"}, country, np.zeros(540, dtype=np.int64), np.ones(540)
    )
    assert not own_model(constant, "x", 1).any()


def studies() -> list[Codebook]:
    """The same children under designs of every kind."""
    replicated = DesignColumns(country="c", weight="w", replicates=Replicates(("r1", "r2", "r3"), "bootstrap"))
    return [
        CODEBOOK,
        replace(
            CODEBOOK,
            design=DesignColumns(
                country="c", stratum="lonely", psu="p", country_labels={"1": "First"}, lonely_psu="certainty"
            ),
        ),
        replace(CODEBOOK, design=DesignColumns(one_country="KEN", weight="w")),
        replace(CODEBOOK, design=replicated),
    ]


@pytest.mark.parametrize("study", range(4))
@pytest.mark.parametrize("outcome", ["a1", "any"])
def test_without_gaps_a_completed_set_is_the_survey(study: int, outcome: str) -> None:
    """Rows, weights and design effects are those of the direct path to the last bit."""
    codebook, frame = studies()[study], children()
    frame = frame.assign(**{f"r{k}": frame["w"] * (1 + 0.1 * np.sin(k * np.arange(len(frame)))) for k in (1, 2, 3)})
    frame["lonely"] = (frame["p"] == 0).astype(float)
    source = source_from_frame(frame)
    names = ["gender", "means", "age", "score"]
    missing = missing_predictors(codebook, source, outcome, TERMS)
    assert missing.answers.incomplete == ()
    (own,) = rows_of_drawn(codebook, missing, draw_sets(missing.answers, 1))
    direct = regression_rows(codebook, source, outcome, names)
    assert own.content_hash == direct.content_hash
    assert own.countries == direct.countries
    assert own.factors == direct.factors
    assert own.labels == direct.labels
    assert own.n.sum() == (frame["k"] == 1).sum()


def test_every_child_of_the_base_is_in_every_set() -> None:
    frame = with_gaps(children())
    source = source_from_frame(frame)
    missing = missing_predictors(CODEBOOK, source, "a1", TERMS)
    complete = regression_rows(CODEBOOK, source, "a1", ["gender", "means", "age", "score"])
    eligible = frame["k"] == 1
    sets = rows_of_drawn(CODEBOOK, missing, draw_sets(missing.answers, 2))
    assert [rows.n.sum() for rows in sets] == [eligible.sum()] * 2
    assert [rows.yes.sum() for rows in sets] == [(frame.loc[eligible, "y1"] == 1).sum()] * 2
    np.testing.assert_array_equal(sets[0].design_effect, complete.design_effect)
    lost = missing.missing[missing.missing["predictor"] == "any of them"].reset_index(drop=True)
    pd.testing.assert_frame_equal(lost.drop(columns="predictor"), complete.lost, check_dtype=False)
    gender = missing.missing[missing.missing["predictor"] == "gender"].set_index("country")
    kenya = eligible & (frame["c"] == "1")
    gone = kenya & (frame["g"] == 8)
    assert gender.loc["KEN", "children"] == gone.sum()
    assert gender.loc["KEN", "weighted_share"] == pytest.approx(
        frame.loc[gone, "w"].sum() / frame.loc[kenya, "w"].sum()
    )


def test_what_was_not_asked_is_never_filled() -> None:
    """A filter leaves children out with a note; a country that nobody asked is refused; auxiliary variables too."""
    frame = with_gaps(children())
    frame.loc[(frame["o"] == 1) & (np.arange(len(frame)) % 7 == 0), "h"] = np.nan
    missing = missing_predictors(CODEBOOK, source_from_frame(frame), "a1", [("gender",), ("hours",)])
    online = (frame["k"] == 1) & (frame["o"] == 1)
    assert len(missing.answers) == online.sum()
    assert [(note.code, note.where, note.count) for note in missing.notes] == [
        ("W149", "hours", ((frame["k"] == 1) & (frame["o"] == 0)).sum())
    ]
    assert np.isnan(missing.answers.values["hours"]).sum() == (online & frame["h"].isna()).sum()
    (rows,) = rows_of_drawn(CODEBOOK, missing, draw_sets(missing.answers, 1))
    assert rows.n.sum() == online.sum()
    scored = missing_predictors(CODEBOOK, source_from_frame(frame), "a1", [("asked",)])
    assert len(scored.answers) == online.sum()
    assert np.isnan(scored.answers.values["asked"]).sum() == (online & (frame["s2"] == 8)).sum()
    unfielded = frame.assign(m=frame["m"].where(frame["c"] == "1"))
    with pytest.raises(rm.InputError, match=r"E130.*means: NAM") as caught:
        missing_predictors(CODEBOOK, source_from_frame(unfielded), "a1", TERMS)
    assert codes_of(caught) == {"E130"}
    silent = frame.assign(s1=frame["s1"].where(frame["c"] == "2", 8.0))
    with pytest.raises(rm.InputError, match=r"E130.*score: KEN"):
        missing_predictors(CODEBOOK, source_from_frame(silent), "a1", TERMS)
    with pytest.raises(rm.InputError, match=r"E195.*hours"):
        missing_predictors(CODEBOOK, source_from_frame(frame), "a1", [("gender",)], auxiliary=["hours"])


def test_faults_are_told_at_once_and_without_values() -> None:
    frame = with_gaps(children())
    broken = frame.assign(
        w=frame["w"].where((np.arange(len(frame)) < 50) | (np.arange(len(frame)) > 60), -77.25),
        c=frame["c"].where(np.arange(len(frame)) > 3, "7"),
    )
    with pytest.raises(rm.InputError) as caught:
        missing_predictors(CODEBOOK, source_from_frame(broken), "a1", TERMS)
    assert codes_of(caught) == {"E112", "E172"}
    assert "77" not in str(caught.value)
    stray = frame.assign(g=frame["g"].where(np.arange(len(frame)) != 9, 4242.0))
    with pytest.raises(rm.InputError, match="E160") as caught:
        missing_predictors(CODEBOOK, source_from_frame(stray), "a1", TERMS)
    assert "4242" not in str(caught.value)
    with pytest.raises(rm.InputError, match="E132"):
        missing_predictors(CODEBOOK, source_from_frame(frame), "a1", [("nosuch",)])


def test_auxiliary_variables_help_but_are_no_predictors() -> None:
    frame = with_gaps(children())
    missing = missing_predictors(CODEBOOK, source_from_frame(frame), "a1", [("gender",)], auxiliary=["age", "score"])
    assert set(missing.answers.values) == {"gender", "age", "score"}
    (rows,) = rows_of_drawn(CODEBOOK, missing, draw_sets(missing.answers, 1))
    assert list(rows.values) == ["gender"]


def filled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What another program would hand back: codes of the file, no gaps."""
    rng, found = np.random.default_rng(seed), frame.copy()
    for column, gap, pool in (("g", 8, [1, 2]), ("m", 9, [1, 2, 3]), ("a", 99, range(10, 18)), ("s2", 8, [1, 2])):
        at = found[column] == gap
        found.loc[at, column] = rng.choice(list(pool), at.sum()).astype(float)
    found["s1"] = found["s1"].where(found["s1"].notna(), rng.choice([1.0, 2.0], len(found)))
    return found


def test_sets_made_elsewhere_are_checked_and_collapsed() -> None:
    frame = with_gaps(children())
    missing = missing_predictors(CODEBOOK, source_from_frame(frame), "a1", TERMS)
    sets = [filled(frame, seed) for seed in (1, 2)]
    rows = rows_of_completed(CODEBOOK, missing, sets)
    direct = regression_rows(CODEBOOK, source_from_frame(sets[1]), "a1", missing.predictors)
    assert rows[1].content_hash == direct.content_hash
    shuffled, short, open_gaps = sets[0].sample(frac=1, random_state=1), sets[0].iloc[1:], frame
    with pytest.raises(rm.InputError) as caught:
        rows_of_completed(CODEBOOK, missing, [sets[0], shuffled, short, open_gaps])
    where = " ".join(problem.where for problem in caught.value.problems)
    assert codes_of(caught) == {"E149"}
    assert "set 1" not in where
    assert all(f"set {number}" in where for number in (2, 3, 4))
