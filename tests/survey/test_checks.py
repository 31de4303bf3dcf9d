"""Every code of the catalogue: a survey that triggers it, and one that triggers none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import RULES
from riskmodels.survey.codebook.records import Answers, Condition, DesignColumns, Indicator, Variable
from riskmodels.survey.source import ColumnInfo
from tests.survey.checked import COUNTRIES, MISSING, ROWS, YES_NO, codebook, codes, frame, problems

CASES: dict[str, Callable[[], list[Problem]]] = {}


def triggers(code: str) -> Callable[[Callable[[], list[Problem]]], Callable[[], list[Problem]]]:
    def keep(build: Callable[[], list[Problem]]) -> Callable[[], list[Problem]]:
        CASES[code] = build
        return build

    return keep


def spoilt(column: str, rows: object, value: object, **book: object) -> list[Problem]:
    """Check the clean survey with one value changed in some rows."""
    values = frame()
    if isinstance(value, str) and pd.api.types.is_numeric_dtype(values[column]):
        values[column] = values[column].map(lambda number: None if pd.isna(number) else f"{number:g}")
    values.loc[rows, column] = value
    return problems(values, codebook(**book))


def with_design(**changes: object) -> DesignColumns:
    return replace(codebook().design, **changes)  # type: ignore[arg-type]


def with_variable(variable: Variable) -> dict[str, Variable]:
    return {**codebook().variables, variable.name: variable}


def with_indicator(indicator: Indicator) -> dict[str, Indicator]:
    return {**codebook().indicators, indicator.name: indicator}


def in_country(*places: int) -> np.ndarray:
    return np.isin(np.arange(ROWS * len(COUNTRIES)) // ROWS, places)


first = slice(3, 14)  # label slice: rows 3 to 14, both ends included
triggers("E101")(lambda: spoilt("Q1", slice(None), 2.0))
triggers("W102")(lambda: spoilt("G1", in_country(2) & (np.arange(720) % ROWS > 20), 1.0, indicators={
    **codebook().indicators, "told": Indicator("told", "Told", Answers("G3", YES_NO), asked_if=Condition("images", ("yes",)))}))  # fmt: skip
triggers("E110")(lambda: spoilt("wgt", first, -0.5))
triggers("E111")(lambda: spoilt("wgt", slice(None), 0.0))
triggers("W111")(lambda: spoilt("wgt", first, 0.0))
triggers("E112")(lambda: spoilt("wgt", first, np.inf))
triggers("W113")(lambda: spoilt("wgt", [1, 2, 3], 60.0))
triggers("I120")(lambda: problems(frame().assign(ea=lambda t: t["ea"] % 4), codebook()))
triggers("E120")(lambda: spoilt("ea", [1], 109.0))
triggers("E121")(lambda: spoilt("stratum", (np.arange(720) % 12 == 3) & in_country(0), 9.0))
triggers("I121")(
    lambda: spoilt("stratum", (np.arange(720) % 12 == 3) & in_country(0), 9.0, design=with_design(lonely_psu="centred"))
)
triggers("E122")(lambda: spoilt("ea", first, np.nan))
triggers("E130")(lambda: spoilt("G2", slice(None), np.nan))
triggers("W131")(lambda: spoilt("G2", in_country(1, 3), np.nan))
triggers("W140")(lambda: spoilt("G2", in_country(4), 1.0))
triggers("W141")(lambda: problems(frame().assign(G2=lambda t: t["G1"]), codebook()))
triggers("W143")(lambda: problems(frame()[in_country(0, 1, 2)].reset_index(drop=True), codebook()))
triggers("I144")(
    lambda: problems(frame().assign(Q2=lambda t: np.where(in_country(2), 1.0, t["Q2"])), codebook(), by=("gender",))
)
triggers("E142")(lambda: problems(frame()[in_country(0)], codebook(), by=("country",)))
triggers("W146")(lambda: spoilt("G2", in_country(4), 999.0))
triggers("E150")(lambda: spoilt("id", [1, 2, 3], "c00005"))
triggers("W150")(lambda: spoilt("id", [1, 2, 3], None))
triggers("E160")(lambda: spoilt("G2", first, 7.0))
triggers("E163")(lambda: spoilt("G2", first, "sometimes"))
triggers("E164")(lambda: spoilt("G2", first, 1.5))
triggers("E166")(lambda: spoilt("age", first, 45.0))
triggers("E173")(lambda: spoilt("G2", first, "1-Mar"))
triggers("E172")(lambda: spoilt("country", in_country(3), None))
triggers("W182")(lambda: spoilt("G3", frame()["G1"] == 1.0, 1.0))


@triggers("W114")
def population_scaled() -> list[Problem]:
    return problems(
        frame().assign(wgt=lambda t: np.where(in_country(2), 5000 * t["wgt"], t["wgt"] / t["wgt"].mean())), codebook()
    )


@triggers("W115")
def weight_is_a_stratum() -> list[Problem]:
    return problems(frame(), codebook(design=with_design(weight="stratum", stratum=None)))


@triggers("E132")
def names_that_are_not_there() -> list[Problem]:
    union = Indicator("either", "Either", None, any_of=("image", "threatened"))
    return problems(frame().drop(columns="Q2").assign(Q22=1.0), codebook(indicators=with_indicator(union)))


@triggers("W161")
def unused_level() -> list[Problem]:
    gender = Variable("gender", "Gender", Answers("Q2", {"boy": (1,), "girl": (2,), "other": (3,)}, MISSING))
    return problems(frame(), codebook(variables=with_variable(gender)))


@triggers("E165")
def one_country_the_other_way_round() -> list[Problem]:
    values = frame()
    rare = np.where(np.arange(720) % 10 == 1, 2.0, 1.0)
    return problems(values.assign(G2=np.where(in_country(2), 3.0 - rare, rare)), codebook())


@triggers("E167")
def user_missing_as_answer() -> list[Problem]:
    answers = Answers("G1", {"no": (1,), "yes": (2, 3, 888)})
    info = {"G1": ColumnInfo("G1", value_labels={888.0: "No me acuerdo"}, missing_codes=(888.0,))}
    return problems(frame(), codebook(indicators=with_indicator(Indicator("images", "Images", answers))), info)


@triggers("E170")
def mojibake() -> list[Problem]:
    return problems(frame(), codebook(), {"Q2": ColumnInfo("Q2", label="Género".encode().decode("cp1252"))})


@triggers("I171")
def beyond_ascii() -> list[Problem]:
    return problems(frame(), codebook(), {"Q2": ColumnInfo("Q2", value_labels={1.0: "\u0648\u0644\u062f"})})


@triggers("W172")
def not_iso() -> list[Problem]:
    return problems(
        frame().replace({"country": {"KEN": "Kenya"}}), codebook(synthetic=False, design=with_design(countries={}))
    )


def test_a_clean_survey_has_no_problem() -> None:
    assert [str(one) for one in problems(frame(), codebook(), by=("country", "gender"))] == []


@pytest.mark.parametrize("code", sorted(RULES))
def test_each_code_is_triggered(code: str) -> None:
    found = CASES[code]()
    mine = [one for one in found if one.code == code]
    assert mine, [str(one) for one in found]
    assert all(RULES[code].what in one.what and one.remedy == RULES[code].remedy and one.count >= 1 for one in mine)
    assert all(one.where for one in mine)


#: Codes that a spoilt survey may give besides its own, since one fault has several consequences.
ALSO = {
    "E101": {"W161"}, "E142": {"W161"}, "W143": {"W161"}, "E172": {"W161"}, "E167": {"W182"}, "W102": {"W182"},
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(RULES))
def test_nothing_else_is_raised(code: str) -> None:
    others = set(codes(CASES[code]())) - {code} - ALSO.get(code, set())
    assert others == set()


def test_errors_come_first_then_warnings_then_notes() -> None:
    values = frame().assign(wgt=lambda t: np.where(t.index < 3, -1.0, t["wgt"]))
    values.loc[in_country(1), "G2"] = np.nan
    info = {"Q2": ColumnInfo("Q2", value_labels={1.0: "\u0648\u0644\u062f"})}
    assert codes(problems(values, codebook(), info)) == ["E110", "W131", "I171"]
