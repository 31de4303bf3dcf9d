"""What a reader of a regression must know of its data: who was asked, and predictors that do not vary in a country."""

from __future__ import annotations

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Codebook, Indicator


def _asked_of_some(codebook: Codebook, outcome: str) -> bool:
    part = codebook.indicators.get(outcome) or codebook.variables[outcome]
    parts = [codebook.indicators[name] for name in part.any_of] if isinstance(part, Indicator) else []
    return any(one.asked_if is not None for one in (part, *parts))


def regression_notes(codebook: Codebook, rows: RegressionRows, outcome: str) -> tuple[Problem, ...]:
    """Notes of a regression that need no fit.

    Parameters
    ----------
    codebook
        The study's.
    rows
        Its rows.
    outcome
        Indicator or ordered variable.

    Returns
    -------
    tuple of Problem
        W145 for an outcome that only some children were asked, W144 for predictors that are the same for all children
        of a country: that country says nothing of them, the others speak for it.
    """
    notes = []
    if _asked_of_some(codebook, outcome):
        what = "questions that only some children were asked: figures are of the children asked"
        notes.append(Problem("W145", what, outcome, 1, "say so beside the figure; give no population"))
    constant = {
        name: sum(len(set(values[rows.country == number])) == 1 for number in range(len(rows.countries)))
        for name, values in rows.values.items()
    }
    names = [name for name, count in constant.items() if count]
    if names and len(rows.countries) > 1:
        what = "predictors that do not vary within a country"
        remedy = "read that country's effect as the others'; or leave the predictor out"
        notes.append(Problem("W144", what, ", ".join(names), sum(constant.values()), remedy))
    return tuple(notes)
