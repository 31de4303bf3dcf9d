"""Ordered outcomes: which levels occur, and the yes/no question whether a child is above the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.records import Answers, Code, Codebook, Indicator
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import Base


def middle_threshold(levels: int) -> int:
    """Position of the threshold between levels that serves as origin; with two levels the only one."""
    return (levels - 2) // 2


def check_monotonic(codebook: Codebook, names: Sequence[str]) -> None:
    """Refuse monotonic effects of predictors without an order (E195)."""
    known = codebook.variables
    bad = [name for name in names if name not in known or known[name].is_number or not known[name].ordered]
    if bad:
        remedy = "declare their levels in order with ordered = true, or take away mo()"
        raise InputError(
            [Problem("E195", "a monotonic effect needs ordered levels", ", ".join(bad), len(bad), remedy)],
            codebook.study_id,
        )


def check_ordered_outcome(codebook: Codebook, name: str, base: Base | None) -> None:
    """Refuse an outcome without an order, and a denominator in which answers are missing (E195)."""
    variable, problems = codebook.variables[name], []
    if variable.is_number or not variable.ordered or len(variable.answers.levels) < 2:
        remedy = "declare its levels in their order with ordered = true, or use an indicator"
        problems.append(Problem("E195", "an outcome needs ordered levels or yes and no", name, 1, remedy))
    if base == "all asked":
        remedy = 'leave base out, or use base = "valid answers"'
        problems.append(Problem("E195", "a missing answer has no place in an order", name, 1, remedy))
    if problems:
        raise InputError(problems, codebook.study_id)


def levels_that_occur(codebook: Codebook, name: str, codes: pd.Series) -> tuple[Factor, np.ndarray]:
    """Levels of an ordered variable that some child gave, and their positions among those declared.

    Raises
    ------
    InputError
        E101 where all children gave the same answer.
    """
    declared, used = codebook.variables[name].factor, np.unique(codes.to_numpy(np.int64))
    if len(used) < 2:
        raise InputError(
            [Problem("E101", "all children gave the same answer", name, len(used), "choose another outcome")],
            codebook.study_id,
        )
    return Factor(name, tuple(declared.levels[k] for k in used), tuple(declared.labels[k] for k in used)), used


def with_indicator_above(codebook: Codebook, name: str, lowest: int) -> tuple[Codebook, str]:
    """The codebook with one more indicator: whether a child's answer is at this position or higher."""
    variable = codebook.variables[name]
    order = list(variable.answers.levels)

    def halved(answers: Answers) -> Answers:
        sides: dict[str, list[Code]] = {"no": [], "yes": []}
        for level, codes in answers.levels.items():
            sides["yes" if order.index(level) >= lowest else "no"].extend(codes)
        return replace(answers, levels={side: tuple(codes) for side, codes in sides.items()})

    indicator = Indicator(
        name=f"{name}: high",
        label=variable.label,
        answers=halved(variable.answers),
        base="valid answers",
        asked_if=variable.asked_if,
        by_country={code: halved(answers) for code, answers in variable.by_country.items()},
    )
    indicators = {**codebook.indicators, indicator.name: indicator}
    return replace(codebook, indicators=indicators), indicator.name
