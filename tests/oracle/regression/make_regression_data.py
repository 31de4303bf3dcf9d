"""Write the rows that brms and rstanarm were given. From the repository's root: python tests/oracle/regression/make_regression_data.py."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import riskmodels as rm
from riskmodels.design.regression_rows import regression_rows

TWIN = Path("data/synthetic/twin/study.toml")
FOLDER = Path("tests/oracle/regression")
OUTCOMES = ("any_item", "did_not_disclose")


def oracle_rows(outcome: str) -> pd.DataFrame:
    """One row per country, sex, age and answer: children, and the sum of their weights (mean 1 in each country)."""
    survey = rm.load_study(TWIN).survey
    rows = regression_rows(survey.codebook, survey.source, outcome, ["sex", "age"])
    common = {
        "country": [rows.countries.levels[k] for k in rows.country],
        "sex": [rows.factors["sex"].levels[int(k)] for k in rows.values["sex"]],
        "age": rows.values["age"].astype(int),
    }
    halves = [
        pd.DataFrame({**common, "y": 1, "children": rows.yes.astype(int), "weight": rows.weight_yes}),
        pd.DataFrame(
            {**common, "y": 0, "children": (rows.n - rows.yes).astype(int), "weight": rows.weight - rows.weight_yes}
        ),
    ]
    table = pd.concat(halves)
    return table[table["children"] > 0].sort_values(["country", "sex", "age", "y"]).reset_index(drop=True)


if __name__ == "__main__":
    for name in OUTCOMES:
        oracle_rows(name).to_csv(FOLDER / f"{name}_SYNTHETIC.csv", index=False, float_format="%.15g")
