"""Families of outcomes: which questions they hold, the same shares by hand, nothing lost, one right-hand side."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special

import riskmodels as rm
from riskmodels.design.regression_rows import RegressionRows
from riskmodels.errors import FitError
from riskmodels.families.choose import disclosure_outcomes, exposure_outcomes, harm_outcomes
from riskmodels.families.family import FamilySettings, RegressionFamily
from riskmodels.families.outcomes import steps_of
from riskmodels.families.predictors import default_predictors, harm_predictors, number_constants
from riskmodels.families.words import OptionWords
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Answers, Codebook, Condition, DesignColumns, Indicator, Variable

INVENTED = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented"
YES = [2, 3, 4, 5]
CHANNELS = ("friend", "sibling", "mother", "father", "teacher", "police", "helpline")


@pytest.fixture(scope="module")
def study() -> rm.Study:
    return rm.load_study(INVENTED / "study.toml", data=INVENTED / "study.csv")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Children whose gender and age are known: those of every fit with these predictors."""
    read = pd.read_csv(INVENTED / "study.csv")
    read = read[read["Q1"].between(12, 17) & read["Q2"].isin([1, 2])]
    mean = read.groupby("cntry")["wgt_scaled"].transform("mean")
    return read.assign(weight=read["wgt_scaled"] / mean)


@pytest.fixture(scope="module")
def exposure(study: rm.Study) -> RegressionFamily:
    return study.exposure()


@pytest.fixture(scope="module")
def disclosure(study: rm.Study) -> RegressionFamily:
    return study.disclosure()


def share(frame: pd.DataFrame, yes: pd.Series) -> float:
    """Weighted share, weights of mean 1 among these children of each country."""
    own = frame["weight"] / frame.groupby("cntry")["weight"].transform("mean")
    return float((own * yes.loc[frame.index]).sum() / own.sum())


def test_exposure_keeps_peers_and_adults_apart_among_all_children(
    exposure: RegressionFamily, frame: pd.DataFrame
) -> None:
    """By hand: no where a child was not exposed; refusals stay in the base "all asked"; both kinds can be named."""
    shares = exposure.shares().set_index(["outcome", "perpetrator"])
    assert set(exposure.table["concept"]) == {"risk"}
    asked = frame[frame["G_comments"].isin([1, *YES, 888, 999])]
    label = "Unwanted sexual comments, past year"
    for outcome, kind, yes in (
        (label, "not split", frame["G_comments"].isin(YES)),
        (f"{label}, by a peer", "peer", frame[["GC_who_peer_known", "GC_who_peer_unknown"]].eq(1).any(axis=1)),
        (f"{label}, by an adult", "adult", frame[["GC_who_adult_known", "GC_who_adult_unknown"]].eq(1).any(axis=1)),
    ):
        row = shares.loc[(outcome, kind)]
        assert row["n"] == len(asked)
        assert row["direct"] == pytest.approx(share(asked, yes), abs=1e-12)
        assert row["low"] < row["direct"] < row["high"]
    whole, peer, adult = (shares.xs(kind, level="perpetrator")["direct"] for kind in ("not split", "peer", "adult"))
    assert max(peer.iloc[0], adult.iloc[0]) <= whole.loc[label] <= peer.iloc[0] + adult.iloc[0] + 0.05


def test_exposure_by_perpetrator_with_valid_answers_only(study: rm.Study, frame: pd.DataFrame) -> None:
    """Refusals leave the base; exposed children who named nobody of the kind stay in it as no."""
    settings = FamilySettings(base="valid answers")
    shares = study.exposure(["comments"], "gender + age", settings=settings).shares().set_index("perpetrator")
    valid = frame[frame["G_comments"].isin([1, *YES])]
    adult = frame[["GC_who_adult_known", "GC_who_adult_unknown"]].eq(1).any(axis=1)
    assert set(shares["n"]) == {len(valid)}
    assert shares.loc["adult", "direct"] == pytest.approx(share(valid, adult), abs=1e-12)


def test_disclosure_by_hand(disclosure: RegressionFamily, frame: pd.DataFrame) -> None:
    exposed = frame[frame["G_comments"].isin(YES)]
    told = exposed[[f"GC_told_{name}" for name in CHANNELS]].eq(1)
    shares = disclosure.shares().query("perpetrator == 'not split'").set_index("outcome")["direct"]
    assert shares["Told anyone"] == pytest.approx(share(exposed, told.any(axis=1)), abs=1e-12)
    family = told[[f"GC_told_{name}" for name in CHANNELS[:4]]].any(axis=1)
    informal = next(name for name in shares.index if "informal" in name)
    assert shares[informal] == pytest.approx(share(exposed, family), abs=1e-12)
    assert shares["Told nobody"] == pytest.approx(share(exposed, exposed["GC_told_nobody"].eq(1)), abs=1e-12)
    peers = exposed[exposed[["GC_who_peer_known", "GC_who_peer_unknown"]].eq(1).any(axis=1)]
    row = disclosure.shares().query("perpetrator == 'peer' and outcome == 'Told anyone, when a peer did it'").iloc[0]
    assert row["n"] == len(peers)
    assert row["direct"] == pytest.approx(share(peers, told.any(axis=1)), abs=1e-12)


def test_outcomes_without_enough_events_are_listed_and_do_not_stop_the_rest(
    study: rm.Study, disclosure: RegressionFamily
) -> None:
    wanted = disclosure_outcomes(study.survey.codebook).outcomes
    told = {(one.label, one.perpetrator) for one in wanted}
    fitted = {(one.label, one.perpetrator) for one in disclosure.outcomes}
    left = set(zip(disclosure.left_out["outcome"], disclosure.left_out["perpetrator"], strict=True))
    assert fitted | left == told
    assert not fitted & left
    assert set(disclosure.left_out["code"]) == {"E147"}
    assert ("Told: Police", "not split") in left
    with pytest.raises(rm.InputError, match="E147") as caught:
        study.disclosure(predictors="gender * age * religion * ses * area")
    assert len(caught.value.problems) >= len(wanted)


def test_faults_of_the_right_hand_side_stop_before_any_fit(study: rm.Study) -> None:
    with pytest.raises(rm.InputError, match="E132"):
        study.exposure(predictors="gender * nosuch")
    with pytest.raises(rm.InputError, match="E195"):
        study.exposure(predictors="gender", varying="1 | school")
    with pytest.raises(rm.InputError, match="E132"):
        study.disclosure(of="images")
    with pytest.raises(rm.InputError, match="E132"):
        study.disclosure(told=["coped_told", "knows_help"])
    with pytest.raises(rm.InputError, match="E132"):
        study.harm(outcomes=["nosuch", "neither"])
    with pytest.raises(rm.InputError, match="well-being"):
        study.consequences()


def test_risk_and_harm_stand_in_their_own_rows_with_their_own_base(study: rm.Study, frame: pd.DataFrame) -> None:
    family = study.harm(predictors="gender + age")
    shares = family.shares()
    risk, harm = shares[shares["concept"] == "risk"], shares[shares["concept"] == "harm"]
    assert list(risk["asked"]) == ["all children"]
    exposed = frame[frame["cyber"].eq(1) & frame["distress"].isin([1, 2, 3, 4])]
    assert set(harm["n"]) == {len(exposed)}
    levels, steps = list(harm["direct"][:4]), list(harm["direct"][4:])
    for level, code in zip(levels, (1, 2, 3, 4), strict=True):
        assert level == pytest.approx(share(exposed, exposed["distress"] == code), abs=1e-12)
    assert harm["estimate"][:4].sum() == pytest.approx(1.0)
    assert steps == sorted(steps, reverse=True)
    for step, code in zip(steps, (2, 3, 4), strict=False):
        assert step == pytest.approx(share(exposed, exposed["distress"] >= code), abs=1e-12)
    assert set(family.table["concept"]) == {"risk", "harm"}


def test_a_family_is_the_same_fits_one_by_one(study: rm.Study, exposure: RegressionFamily) -> None:
    numbers = {"age": (14.5, 1.0)}
    alone = study.regression(regression_formula("any_risk ~ gender * age + (1 | country)", numbers=numbers))
    together = exposure.fits["any_risk"]
    np.testing.assert_array_equal(
        alone.posterior["coefficient"].to_numpy(), together.posterior["coefficient"].to_numpy()
    )
    effects = exposure.marginal_effects("gender")
    one = rm.marginal_effects(alone, "gender").table["estimate"].iloc[0]
    assert effects.set_index("outcome").loc["Any of the four, past year", "estimate"] == one
    every = exposure.marginal_effects()
    assert len(every) == len(exposure.outcomes) * 2
    assert list(dict.fromkeys(every["outcome"])) == [outcome.label for outcome in exposure.outcomes]
    by_country = exposure.shares(by=["country"])
    assert len(by_country) == len(exposure.outcomes) * 5
    assert by_country.groupby("outcome")["n"].sum().nunique() == 1
    log_odds = exposure.coefficients()
    assert len(log_odds) == len(exposure.table) + len(exposure.outcomes)


def test_telling_someone_is_any_of_the_channels(study: rm.Study, frame: pd.DataFrame) -> None:
    """Not the complement of "nobody": a child may tick nothing at all."""
    family = study.consequences(["difficulties"], cuts={"difficulties": 5}, predictors="told_someone + gender")
    fit = next(iter(family.fits.values()))
    exposed = frame[frame["G_comments"].isin(YES) & frame["sdq"].between(0, 10)]
    told = exposed[[f"GC_told_{name}" for name in CHANNELS]].eq(1).any(axis=1)
    assert fit.rows.n[fit.rows.values["told_someone"] == 1].sum() == told.sum()
    assert fit.rows.n.sum() == len(exposed)
    assert fit.rows.yes.sum() == exposed["sdq"].ge(5).sum()
    assert "told_someone: yes" in set(family.table["coefficient"])
    assert "associations" in family.notes[0]


def test_words_sort_options_and_what_is_not_sorted_is_told(study: rm.Study) -> None:
    words = OptionWords()
    assert words.group_of("social_worker", "formal", "informal") == "formal"
    assert words.group_of("best_friend", "formal", "informal") == "informal"
    assert words.group_of("friendly_stranger", "formal", "informal") == ""
    assert words.group_of("peer_known", "peers", "adults") == "peers"
    found = disclosure_outcomes(study.survey.codebook, words=replace(words, formal=("police",)))
    formal = next(one for one in found.outcomes if one.label.startswith("Told a formal"))
    assert formal.made_of == ("comments.told.police",)
    assert any("neither" in note and "Teacher" in note for note in found.notes)
    unsplit = disclosure_outcomes(study.survey.codebook, split=False)
    assert {one.perpetrator for one in unsplit.outcomes} == {"not split"}
    named = disclosure_outcomes(study.survey.codebook, told=["coped_told"], split=False)
    assert [one.label for one in named.outcomes][-1] == "Told someone"
    assert {one.asked for one in named.outcomes} == {
        "children who said yes to: Treated in a hurtful way online, past year"
    }


def test_defaults_come_from_the_codebook(study: rm.Study) -> None:
    book = study.survey.codebook
    assert default_predictors(book) == "gender * age"
    assert harm_predictors(book) == "gender + age + ses + disability + self_efficacy + difficulties"
    assert number_constants(book, ["age", "gender", "digital_skills"]) == {
        "age": (14.5, 1.0),
        "digital_skills": (1.5, 1.0),
    }
    names = [one.name for one in exposure_outcomes(book, split=False).outcomes]
    assert names == ["comments", "images", "requests", "threats", "any_risk", "cyberbullied"]
    assert [one.concept for one in harm_outcomes(book).outcomes] == ["risk", "harm", "harm", "harm", "harm"]
    coping = exposure_outcomes(book, ["coped_deleted", "comments.told.friend", "distress", "images"], split=False)
    assert [one.concept for one in coping.outcomes] == ["coping", "disclosure", "harm", "harm", "harm", "harm", "risk"]
    without = replace(book, variables={})
    with pytest.raises(rm.InputError, match="E132"):
        default_predictors(without)


def test_steps_of_numbers_and_of_levels_without_an_order(study: rm.Study) -> None:
    score = study.survey.codebook.variables["difficulties"]
    with pytest.raises(rm.InputError, match="E195"):
        steps_of(score)
    cut = steps_of(score, {"difficulties": 7})[0]
    assert cut.answers is not None
    assert cut.answers.levels == {"no": tuple((k) for k in range(7)), "yes": (7, 8, 9, 10)}
    with pytest.raises(rm.InputError, match="E195"):
        steps_of(study.survey.codebook.variables["religion"])


def told_study(seed: int) -> rm.Study:
    """Eight countries of 1,500 children; half exposed; girls tell friends more (+0.8), the police less (-0.5)."""
    rng = np.random.default_rng(seed)
    country = np.repeat(np.arange(8), 1500)
    girl, age = rng.integers(0, 2, len(country)), rng.integers(12, 18, len(country))
    own = rng.normal(0, 0.4, 8)[country]
    exposed = rng.uniform(size=len(country)) < 0.5

    def told(eta: np.ndarray) -> np.ndarray:
        return np.where(exposed, rng.uniform(size=len(country)) < special.expit(eta + own), np.nan)

    codes = np.array(["KEN", "NAM", "UGA", "VNM", "THA", "PHL", "ETH", "IDN"])[country]
    columns = {
        "friend": told(-0.5 + 0.8 * girl + 0.1 * (age - 14.5)),
        "police": told(-1.5 - 0.5 * girl),
        "adult_at_church": told(np.full(len(country), -1.0)),
    }
    frame = pd.DataFrame({"c": codes, "g": girl, "a": age, "e": exposed.astype(float), **columns})
    options = {
        f"e.told.{name}": Indicator(
            f"e.told.{name}",
            name.capitalize(),
            Answers(name, {"no": (0,), "yes": (1,)}),
            asked_if=Condition("e", ("yes",)),
            follows="e",
            dimension="told",
        )
        for name in columns
    }
    codebook = Codebook(
        study_id="told",
        title="SYNTHETIC",
        population="made-up children",
        file="frame",
        synthetic=True,
        design=DesignColumns(country="c"),
        variables={
            "gender": Variable(
                "gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)}), ("Boys", "Girls"), dimension="gender"
            ),
            "age": Variable("age", "Age", Answers("a", {}), low=12, high=17, dimension="age"),
        },
        indicators={"e": Indicator("e", "Exposed", Answers("e", {"no": (0,), "yes": (1,)})), **options},
    )
    return rm.study_from_frame(frame, codebook)


def test_known_coefficients_of_channels_come_back() -> None:
    """Six surveys x 2 coefficients: means within 4 standard errors of the truth."""
    found = []
    for seed in range(6):
        family = told_study(seed).disclosure(predictors="gender + age", settings=FamilySettings(weights="none"))
        table = family.coefficients().set_index(["outcome", "coefficient"])["estimate"]
        found.append([table[("Told: Friend", "gender: Girls")], table[("Told: Police", "gender: Girls")]])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(6)
    assert (np.abs(np.mean(found, axis=0) - [0.8, -0.5]) < 4 * error).all()
    assert any("neither" in note and "Adult_at_church" in note for note in family.notes)
    assert "Told a formal source (Police)" in set(family.table["outcome"])


def test_a_fit_without_a_posterior_is_listed(study: rm.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(rows: RegressionRows, spec: RegressionSpec, *_: object) -> RegressionFit:
        if spec.outcome in broken:
            raise FitError("no mode")
        return fit_regression(rows, spec)

    monkeypatch.setattr("riskmodels.families.family.fit_regression", fails)
    broken = {"images"}
    family = study.exposure(["images", "comments"], "gender", split=False)
    assert list(family.fits) == ["comments"]
    assert list(family.left_out["reason"]) == ["no mode"]
    broken = {"images", "comments"}
    with pytest.raises(FitError, match="no mode"):
        study.exposure(["images", "comments"], "gender", split=False)


def test_options_of_several_questions_are_taken_together() -> None:
    """Told a friend of one thing or the other; the base are children who met either; peers only where both ask."""
    rng = np.random.default_rng(5)
    size = 3000
    met = {name: rng.uniform(size=size) < share for name, share in (("a", 0.4), ("b", 0.3))}
    columns: dict[str, np.ndarray] = {"c": rng.choice(["KEN", "UGA"], size), "g": rng.integers(0, 2, size)}
    indicators: dict[str, Indicator] = {}
    answers = {"no": (0,), "yes": (1,)}
    for name, was in met.items():
        columns[name] = was.astype(float)
        indicators[name] = Indicator(name, f"Met {name}", Answers(name, answers))
        for dimension, option in (
            ("told", "friend"),
            ("told", "nobody"),
            ("perpetrator", "peer"),
            ("perpetrator", "adult"),
        ):
            column = f"{name}_{option}"
            columns[column] = np.where(was, rng.uniform(size=size) < 0.4, np.nan)
            whole = f"{name}.{dimension}.{option}"
            indicators[whole] = Indicator(
                whole,
                option,
                Answers(column, answers),
                asked_if=Condition(name, ("yes",)),
                follows=name,
                dimension=dimension,
            )
    gender = Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)}), dimension="gender")
    codebook = replace(told_study(1).survey.codebook, variables={"gender": gender}, indicators=indicators)
    frame = pd.DataFrame(columns)
    shares = rm.study_from_frame(frame, codebook).disclosure().shares()
    whole = shares[shares["perpetrator"] == "not split"].set_index("outcome")
    friend = frame["a_friend"].eq(1) | frame["b_friend"].eq(1)
    either = frame["a"].eq(1) | frame["b"].eq(1)
    assert whole.loc["Told: friend", "n"] == either.sum()
    assert whole.loc["Told: friend", "direct"] == pytest.approx(friend[either].mean(), abs=0.01)
    adult = shares[(shares["perpetrator"] == "adult") & shares["outcome"].str.startswith("Told anyone")].iloc[0]
    by_adult = frame["a_adult"].eq(1) | frame["b_adult"].eq(1)
    told = (frame["a_friend"].eq(1) & frame["a_adult"].eq(1)) | (frame["b_friend"].eq(1) & frame["b_adult"].eq(1))
    assert adult["n"] == by_adult.sum()
    assert adult["direct"] == pytest.approx(told[by_adult].mean(), abs=0.01)


def test_every_fit_of_a_family_says_who_was_asked(exposure: RegressionFamily, disclosure: RegressionFamily) -> None:
    codes = [{note.code for note in fit.notes} for fit in disclosure.fits.values()]
    assert codes and all("W145" in found for found in codes)
    assert not any("W145" in {note.code for note in fit.notes} for fit in exposure.fits.values())


def test_a_family_shows_what_it_is(disclosure: RegressionFamily) -> None:
    assert disclosure.passed
    assert "SYNTHETIC" in repr(disclosure)
    assert "13 left out" in repr(disclosure)
    page = disclosure._repr_html_()
    assert "SYNTHETIC DATA" in page
    assert "E147" in page
    assert "age counted from 14.5" in page
    assert "formal: Teacher, Police, Helpline" in page


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(rm.__file__).parents[1]
    monkeypatch.chdir(root)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(
        str(root / "docs" / "regression.md"), module_relative=False, optionflags=options, encoding="utf-8"
    )
    assert found.attempted >= 10
    assert found.failed == 0
