"""Small made-up surveys for the tests of the design room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from riskmodels.survey.codebook.records import Answers, Codebook, Condition, DesignColumns, Indicator, Variable
from riskmodels.survey.source import ColumnInfo, SourceTable

YES_NO = {"no": (1,), "yes": (2, 3)}
MISSING = {"prefer_not_to_say": (888,), "dont_know": (999,)}


def make_codebook(psu: bool = True, stratum: bool = True) -> Codebook:
    """Two countries, gender, age in years, three items of which one is asked only after another, and their union."""
    return Codebook(
        study_id="test",
        title="Made-up children",
        population="children 12-17",
        file="frame",
        synthetic=True,
        design=DesignColumns(
            country="cntry",
            countries={"1": "KEN", "2": "NAM"},
            country_labels={"KEN": "Kenya", "NAM": "Namibia"},
            weight="wgt",
            stratum="strat" if stratum else None,
            psu="ea" if psu else None,
        ),
        variables={
            "gender": Variable(
                "gender", "Gender", Answers("q_gender", {"boy": (1,), "girl": (2,)}, {"prefer_not_to_say": (888,)})
            ),
            "age": Variable("age", "Age", Answers("q_age", {}, MISSING), low=12, high=17),
        },
        indicators={
            "a": Indicator("a", "Item A", Answers("q_a", YES_NO, MISSING)),
            "b": Indicator("b", "Item B", Answers("q_b", YES_NO, MISSING), base="valid answers"),
            "c": Indicator(
                "c",
                "Item C, asked after A",
                Answers("q_c", {"no": (0,), "yes": (1,)}),
                asked_if=Condition("a", ("yes",)),
            ),
            "any": Indicator("any", "A or B", None, any_of=("a", "b")),
        },
    )


def make_frame(seed: int = 0, children: int = 600, psus: int = 15) -> pd.DataFrame:
    """Answers of children in PSUs (nested in two strata per country) with weights that go with the answers."""
    rng = np.random.default_rng(seed)
    frames = []
    for country in (1.0, 2.0):
        ea = np.sort(rng.integers(0, psus, children))
        effect = rng.normal(0, 0.8, psus)[ea]
        p = 1 / (1 + np.exp(1.2 - effect - 0.4 * country))
        a = np.where(rng.uniform(size=children) < p, rng.choice([2.0, 3.0], children), 1.0)
        b = np.where(rng.uniform(size=children) < 0.5 * p + 0.3 * (a > 1), 2.0, 1.0)
        for item in (a, b):
            item[rng.uniform(size=children) < 0.05] = 888.0
            item[rng.uniform(size=children) < 0.03] = 999.0
        c = np.where(np.isin(a, (2.0, 3.0)), rng.integers(0, 2, children).astype(float), np.nan)
        frames.append(
            pd.DataFrame(
                {
                    "cntry": country,
                    "strat": (ea % 2).astype(float) + 10 * country,
                    "ea": ea.astype(float),
                    "wgt": np.exp(0.5 * effect + rng.normal(0, 0.3, children)),
                    "q_gender": rng.choice([1.0, 2.0, 888.0], children, p=[0.49, 0.49, 0.02]),
                    "q_age": rng.integers(12, 18, children).astype(float),
                    "q_a": a,
                    "q_b": b,
                    "q_c": c,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def as_source(frame: pd.DataFrame) -> SourceTable:
    """Take a frame of numbers (text where the dtype says so) as a source."""
    columns = tuple(ColumnInfo(str(name), numeric=pd.api.types.is_numeric_dtype(frame[name])) for name in frame)
    return SourceTable(columns, frame, Path("frame"), "frame", tuple(map(str, frame)))


def as_file(frame: pd.DataFrame, path: Path) -> SourceTable:
    """Write a frame as Parquet or CSV, to be read by SQL."""
    kind = path.suffix[1:]
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    columns = tuple(ColumnInfo(str(name), numeric=kind == "parquet") for name in frame)
    return SourceTable(columns, None, path, kind, tuple(map(str, frame)), delimiter="," if kind == "csv" else "")
