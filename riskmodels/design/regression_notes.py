"""What a reader of a regression must know of its data: who was asked, and predictors that do not vary in a country."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Codebook, Indicator


def _asked_of_some(codebook: Codebook, name: str) -> bool:
    """Whether a filter stands before a question; before every part of it, where it is made of several."""
    part = codebook.indicators.get(name) or codebook.variables[name]
    if part.asked_if is not None:
        return True
    parts = part.any_of if isinstance(part, Indicator) else ()
    return bool(parts) and all(_asked_of_some(codebook, one) for one in parts)


def notes_on_the_asked(codebook: Codebook, outcome: str) -> tuple[Problem, ...]:
    """W145 for an outcome (indicator or variable) that only some children were asked."""
    if not _asked_of_some(codebook, outcome):
        return ()
    what = "questions that only some children were asked: figures are of the children asked"
    return (Problem("W145", what, outcome, 1, "say so beside the figure; give no population"),)


def notes_on_constants(
    country: npt.NDArray[np.int64], countries: int, values: Mapping[str, npt.NDArray[np.float64]]
) -> tuple[Problem, ...]:
    """W144 for predictors that are the same for all children of a country: the other countries speak for it.

    Parameters
    ----------
    country
        Country of every row, 0 and up.
    countries
        How many there are.
    values
        Predictor -> value per row.

    Examples
    --------
    >>> import numpy as np
    >>> [note.where for note in notes_on_constants(np.array([0, 0, 1, 1]), 2, {"age": np.array([9.0, 12, 14, 14])})]
    ['age']
    """
    constant = {
        name: sum(len(set(column[country == number])) == 1 for number in range(countries))
        for name, column in values.items()
    }
    names = [name for name, count in constant.items() if count]
    if not names or countries < 2:
        return ()
    what = "predictors that do not vary within a country"
    remedy = "read that country's effect as the others'; or leave the predictor out"
    return (Problem("W144", what, ", ".join(names), sum(constant.values()), remedy),)
