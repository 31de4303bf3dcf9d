"""Factors of a survey: its countries, the levels that occur, and where each row stands among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.totals import NO_LEVEL
from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

IntArray = npt.NDArray[np.int64]

#: A number used in `by=` becomes a factor of its values where there are no more than this many.
MOST_LEVELS = 40


def country_factor(codebook: Codebook, present: Sequence[str]) -> Factor:
    """Countries that occur, in the order declared, else sorted, with their labels."""
    declared = [code for code in dict.fromkeys(codebook.design.countries.values()) if code in present]
    levels = tuple(declared or sorted(present))
    return Factor(COUNTRY, levels, tuple(codebook.design.country_labels.get(code, code) for code in levels))


def factor_positions(codebook: Codebook, name: str, values: pd.Series) -> tuple[Factor, IntArray, list[Problem]]:
    """A factor with the levels that occur, and the position of every row; -1 where the answer is missing."""
    variable = codebook.variables[name]
    if variable.is_number:
        numbers = values.to_numpy(float)
        present = np.unique(numbers[np.isfinite(numbers)])
        raise_if_stopping(
            [
                Problem(
                    "E195",
                    "a number with many values cannot be broken down by",
                    name,
                    len(present),
                    "declare levels for it (age groups, thirds), or use it as a predictor of a regression",
                )
            ]
            if len(present) > MOST_LEVELS or len(present) == 0
            else [],
            codebook.study_id,
        )
        levels = tuple(f"{value:g}" for value in present)
        found = np.searchsorted(present, np.nan_to_num(numbers, nan=present[0]))
        return Factor(name, levels), np.where(np.isfinite(numbers), found, NO_LEVEL), []
    codes = values.to_numpy(np.int64)
    declared = variable.factor
    used = [place for place in range(len(declared)) if (codes == place).any()]
    unused = [declared.labels[place] for place in range(len(declared)) if place not in used]
    notes = (
        [
            Problem(
                "W161",
                "levels of the codebook that no child has",
                f"{name}: {', '.join(unused)}",
                len(unused),
                "leave them out, or check the codes",
            )
        ]
        if unused
        else []
    )
    factor = Factor(name, tuple(declared.levels[p] for p in used), tuple(declared.labels[p] for p in used))
    position = np.full(len(declared), NO_LEVEL)
    position[used] = np.arange(len(used))
    return factor, np.where(codes >= 0, position[np.maximum(codes, 0)], NO_LEVEL), notes


def check_names(codebook: Codebook, indicators: Sequence[str], by: Sequence[str]) -> None:
    """Refuse names that the codebook does not declare, all at once (E132)."""
    problems = []
    wrong = [name for name in indicators if name not in codebook.indicators]
    if wrong or not indicators:
        known = ", ".join(list(codebook.indicators)[:12])
        problems.append(
            Problem(
                "E132",
                "indicators that the codebook does not declare",
                ", ".join(wrong) or "none given",
                len(wrong),
                f"choose among {known}",
            )
        )
    splits = [name for name in by if name not in codebook.variables]
    if splits:
        known = ", ".join(list(codebook.variables)[:12])
        problems.append(
            Problem(
                "E132",
                "variables that the codebook does not declare",
                ", ".join(splits),
                len(splits),
                f"choose among country, {known}",
            )
        )
    raise_if_stopping(problems, codebook.study_id)
