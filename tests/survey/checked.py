"""A small survey with nothing wrong with it, made anew for each test, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from riskmodels.errors import Problem
from riskmodels.survey.checks import check_survey, profile_source
from riskmodels.survey.codebook.records import (
    Answers,
    Codebook,
    Condition,
    DesignColumns,
    Indicator,
    Variable,
)
from riskmodels.survey.source import ColumnInfo, SourceTable

COUNTRIES = ("KEN", "UGA", "TZA", "NAM", "ETH", "MOZ")
MISSING = {"dont_know": (999,), "prefer_not_to_say": (888,)}
YES_NO = {"no": (1,), "yes": (2, 3)}
ROWS = 120


def frame(seed: int = 1) -> pd.DataFrame:
    """Draw 120 children in each of six countries: 3 strata of 4 PSUs, moderate weights, every answer given somewhere."""
    random = np.random.default_rng(seed)
    size = ROWS * len(COUNTRIES)
    place = np.arange(size)
    unit = place % 12
    table = pd.DataFrame(
        {
            "country": np.repeat(COUNTRIES, ROWS),
            "wgt": np.round(random.uniform(0.5, 1.5, size), 4),
            "stratum": (unit // 4 + 1).astype(float),
            "ea": (unit + 101).astype(float),
            "id": [f"c{k:05d}" for k in place],
            "age": random.integers(12, 18, size).astype(float),
            "Q1": 1.0,
            "Q2": random.choice([1.0, 2.0], size),
            "area": random.choice(["urban", "rural"], size),
            "G1": random.choice([1.0, 1.0, 2.0, 3.0, 888.0], size),
            "G2": random.choice([1.0, 1.0, 2.0, 999.0], size),
            "G3": 0.0,
        }
    )
    table.loc[place % 10 == 0, "Q1"] = 2.0
    told = random.choice([1.0, 2.0], size)
    table["G3"] = np.where(table["G1"].isin([2.0, 3.0]), told, np.nan)
    return table


def codebook(**changes: object) -> Codebook:
    """Declare the columns of `frame`."""
    book = Codebook(
        study_id="tiny",
        title="A tiny study",
        population="children 12-17",
        file="tiny.csv",
        synthetic=True,
        design=DesignColumns(
            country="country",
            countries={code: code for code in COUNTRIES},
            weight="wgt",
            stratum="stratum",
            psu="ea",
            child_id="id",
        ),
        variables={
            "online": Variable("online", "Uses the internet", Answers("Q1", {"yes": (1,), "no": (2,)})),
            "gender": Variable("gender", "Gender", Answers("Q2", {"boy": (1,), "girl": (2,)}, MISSING)),
            "age": Variable("age", "Age", Answers("age", {}, {"dont_know": (999,)}), low=9, high=17, dimension="age"),
            "area": Variable("area", "Area", Answers("area", {"urban": ("urban",), "rural": ("rural",)})),
        },
        indicators={
            "images": Indicator("images", "Images shared", Answers("G1", YES_NO, MISSING)),
            "threatened": Indicator("threatened", "Threatened", Answers("G2", YES_NO, MISSING)),
            "told": Indicator("told", "Told someone", Answers("G3", YES_NO), asked_if=Condition("images", ("yes",))),
            "either": Indicator("either", "Either", None, any_of=("images", "threatened")),
        },
        eligibility=(Condition("online", ("yes",)),),
    )
    return replace(book, **changes)  # type: ignore[arg-type]


def table(values: pd.DataFrame, infos: Mapping[str, ColumnInfo] | None = None) -> SourceTable:
    """Wrap a frame as a source."""
    known = {name: ColumnInfo(name, numeric=pd.api.types.is_numeric_dtype(values[name])) for name in values}
    known |= dict(infos or {})
    return SourceTable(tuple(known.values()), values, Path("tiny.csv"), "frame", tuple(values.columns))


def problems(
    values: pd.DataFrame, book: Codebook, infos: Mapping[str, ColumnInfo] | None = None, by: tuple[str, ...] = ()
) -> list[Problem]:
    """Profile and check."""
    source = table(values, infos)
    return check_survey(profile_source(source, book, by), book, source, by)


def codes(found: list[Problem]) -> list[str]:
    """Codes of the problems."""
    return [one.code for one in found]
