"""What a skill pathway refuses or warns of, and how a survey becomes its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import riskmodels as rm
from riskmodels.design.skill_checks import check_skill_rows
from riskmodels.design.skill_rows import UNKNOWN, SkillRows
from riskmodels.design.skill_survey import skill_rows
from riskmodels.errors import InputError
from riskmodels.fit.skill_natural import known_skill
from riskmodels.models.priors import Prior
from riskmodels.models.skill_simulation import SkillTruth, simulate_skills
from riskmodels.models.skill_spec import SkillPriors
from riskmodels.survey.survey import read_survey
from tests.test_skill_kernel import specification

STUDY = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented" / "study.toml"
ITEMS = tuple(f"skill_{k}" for k in range(1, 7))
COPING = ("coped_deleted", "coped_blocked", "coped_told")
ROWS = simulate_skills(SkillTruth(countries=6, children=700), 1).rows


def _answers(rows: SkillRows, change: Callable[[np.ndarray], None]) -> SkillRows:
    answers = rows.answers.copy()
    change(answers)
    return replace(rows, answers=answers)


def _one_answer(rows: SkillRows) -> SkillRows:
    return _answers(rows, lambda a: a.__setitem__((slice(None), 2), 1))


def _all_equal(rows: SkillRows) -> SkillRows:
    return _answers(rows, lambda a: a.__setitem__((slice(None), slice(None)), a[:, :1]))


def _unused_level(rows: SkillRows) -> SkillRows:
    return _answers(rows, lambda a: a.__setitem__((a[:, 1] == 3, 1), 2))


def _two_items(rows: SkillRows) -> SkillRows:
    return replace(rows, items=rows.items[:2], answers=rows.answers[:, :2])


def _nobody_exposed(rows: SkillRows) -> SkillRows:
    return replace(
        rows,
        exposed=np.zeros_like(rows.exposed),
        coping=np.full_like(rows.coping, UNKNOWN),
        distress=np.full_like(rows.distress, UNKNOWN),
    )


def _flat_coping(rows: SkillRows) -> SkillRows:
    coping = rows.coping.copy()
    coping[:, 1] = np.where(rows.exposed == 1, 1, UNKNOWN)
    return replace(rows, coping=coping)


def _asked_in_some(rows: SkillRows) -> SkillRows:
    coping = rows.coping.copy()
    coping[rows.country < 2, 0] = UNKNOWN
    return replace(rows, coping=coping)


def _few_exposed(rows: SkillRows) -> SkillRows:
    gone = (rows.country == 4) & (rows.exposed == 1) & (np.arange(len(rows)) % 2 == 0)
    exposed, coping, distress = rows.exposed.copy(), rows.coping.copy(), rows.distress.copy()
    exposed[gone], coping[gone], distress[gone] = 0, UNKNOWN, UNKNOWN
    return replace(rows, exposed=exposed, coping=coping, distress=distress)


def test_good_rows_pass_without_a_word() -> None:
    assert check_skill_rows(simulate_skills(SkillTruth(countries=6, children=2000), 1).rows) == ()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_one_answer, "E201"),
        (_two_items, "E202"),
        (_all_equal, "E203"),
        (_nobody_exposed, "E207"),
        (_flat_coping, "E208"),
    ],
)
def test_rows_that_cannot_be_fitted(spoil: Callable[[SkillRows], SkillRows], code: str) -> None:
    with pytest.raises(InputError) as caught:
        check_skill_rows(spoil(ROWS))
    found = {problem.code: problem for problem in caught.value.problems}
    assert code in found
    assert found[code].remedy


@pytest.mark.parametrize(
    ("spoil", "code", "where"),
    [
        (_unused_level, "W209", "skill_2"),
        (_asked_in_some, "W205", "strategy_1: C01, C02"),
        (_few_exposed, "W206", "C05"),
    ],
)
def test_rows_that_are_fitted_with_a_warning(spoil: Callable[[SkillRows], SkillRows], code: str, where: str) -> None:
    found = {problem.code: problem for problem in check_skill_rows(spoil(ROWS))}
    assert where in found[code].where


def test_few_countries_are_said() -> None:
    rows = simulate_skills(SkillTruth(countries=3, children=1000), 1).rows
    assert "W143" in {problem.code for problem in check_skill_rows(rows)}


def test_distress_of_unexposed_children_is_refused() -> None:
    distress = ROWS.distress.copy()
    distress[np.flatnonzero(ROWS.exposed == 0)[:3]] = 1
    with pytest.raises(InputError, match="E204"):
        replace(ROWS, distress=distress)


def test_impossible_answers_are_refused_all_at_once() -> None:
    with pytest.raises(InputError) as caught:
        replace(ROWS, answers=ROWS.answers + 2, n=-ROWS.n)
    assert [problem.code for problem in caught.value.problems] == ["E200", "E200"]


def test_children_without_any_item_have_no_score() -> None:
    rows = _answers(ROWS, lambda a: a.__setitem__((0, slice(None)), UNKNOWN))
    spec = specification(rows, measurement="score")
    with pytest.raises(InputError, match="E206"):
        known_skill(rows, spec)


def test_specifications_are_checked_and_hashed() -> None:
    spec = specification(ROWS)
    assert hash(spec) == hash(specification(ROWS))
    assert spec.content_hash == specification(ROWS).content_hash != replace(spec, coping_effect="each").content_hash
    with pytest.raises(InputError, match="E202"):
        replace(spec, skill_items=spec.skill_items[:2])
    with pytest.raises(InputError) as caught:
        replace(spec, dif=spec.skill_items[1:], measurement="guess", weights="heavy", nodes=3)  # type: ignore[arg-type]
    assert len(caught.value.problems) == 5
    with pytest.raises(InputError, match="name each question once"):
        replace(spec, distress="exposed")
    with pytest.raises(InputError, match="skill_sd"):
        SkillPriors(skill_sd=Prior("normal", location=0.0, scale=1.0))


def test_a_survey_becomes_rows() -> None:
    survey = read_survey(STUDY)
    rows = skill_rows(survey.codebook, survey.source, ITEMS, "cyberbullied", COPING, "distress", ["gender", "age"])
    assert {problem.code for problem in rows.warnings} == {"I200"}
    np.testing.assert_allclose(np.bincount(rows.country, rows.weight), np.bincount(rows.country, rows.n))
    assert (rows.coping[rows.exposed == 0] == UNKNOWN).all()
    assert rows.counts("effective").sum() < rows.counts("pseudo").sum() == pytest.approx(rows.n.sum())
    assert (
        rows.content_hash
        == skill_rows(
            survey.codebook, survey.source, ITEMS, "cyberbullied", COPING, "distress", ["gender", "age"]
        ).content_hash
    )


def test_names_that_the_survey_lacks_are_refused() -> None:
    survey = read_survey(STUDY)
    with pytest.raises(InputError, match="E132"):
        skill_rows(survey.codebook, survey.source, ITEMS, "bullied", COPING, "distress")
    with pytest.raises(InputError, match="E195"):
        skill_rows(survey.codebook, survey.source, (*ITEMS, "gender"), "cyberbullied", COPING, "distress")


def test_levels_that_no_child_gave_take_no_part() -> None:
    survey = read_survey(STUDY)
    codebook = survey.codebook
    variable = codebook.variables["skill_1"]
    more = replace(
        variable, answers=replace(variable.answers, levels={**variable.answers.levels, "beyond": (9,)}), labels=()
    )
    widened = replace(codebook, variables={**codebook.variables, "skill_1": more})
    rows = skill_rows(widened, survey.source, ITEMS, "cyberbullied", COPING, "distress")
    assert "I201" in {problem.code for problem in rows.warnings}
    assert "beyond" not in rows.items[0].levels


def test_nothing_shown_of_rows_is_an_answer() -> None:
    assert (
        repr(ROWS) == f"SkillRows(SYNTHETIC, 6 items, 3 strategies, {len(ROWS)} rows of 4,200 children in 6 countries)"
    )


def test_the_verb_of_a_study_asks_the_engine_for_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    import riskmodels as rm
    from riskmodels.fit import skill_fit

    asked: list[object] = []
    monkeypatch.setattr(skill_fit, "fit_skills", lambda rows, spec, sampler, progress: asked.extend([rows, spec]))
    study = rm.load_study("data/synthetic/invented/study.toml")
    items = [f"skill_{k}" for k in range(1, 7)]
    coping = ["coped_deleted", "coped_blocked"]
    study.skills(items, "cyberbullied", coping, "distress", ["gender", "age"], dif=["skill_2"])
    rows, spec = asked
    assert spec.numbers == {"age": (14.5, 1.0)}  # type: ignore[attr-defined]
    assert (spec.dif, spec.measurement) == (("skill_2",), "latent")  # type: ignore[attr-defined]
    assert rows.n.sum() > 1000  # type: ignore[attr-defined]
