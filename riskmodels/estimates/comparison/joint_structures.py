"""Which structure of co-occurrence predicts better: differences of predictive accuracy, their errors, and stacking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.estimates.comparison.joint_scores import JointScore, leave_child_out
from riskmodels.estimates.comparison.models import Comparison, stacking_weights
from riskmodels.estimates.comparison.scores import difference, reading_of
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit


def compare_structures(models: Mapping[str, CooccurrenceFit | JointScore]) -> Comparison:
    """Compare structures of co-occurrence by how well they predict answers they had not seen.

    Parameters
    ----------
    models
        Name -> fit (one child is left out), or results of `leave_child_out` or of `leave_country_out`.

    Returns
    -------
    Comparison
        Best first: `model`, `formula` (the structure in words), `elpd`, `se`, `elpd_difference`, `se_difference`,
        `stacking_weight`, `passed`, `reading`. A difference below 4, or within two of its standard errors, decides
        nothing. Stacking shares are those of children and their combinations of answers, also where countries are left
        out: a dozen countries determine none.

    Raises
    ------
    InputError
        E195 for models of different counts or judged by different criteria.

    References
    ----------
    As in `leave_child_out`; Yao et al. 2018, Bayesian Analysis 13, 917-1007 (stacking).
    """
    results = {name: leave_child_out(one) if isinstance(one, CooccurrenceFit) else one for name, one in models.items()}
    _refuse_mixtures(results)
    listed = list(results.values())
    stacked = stacking_weights(np.column_stack([one.stacked for one in listed]), listed[0].stacked_mass)
    best = max(listed, key=lambda one: one.elpd)
    records = []
    for (name, result), share in zip(results.items(), stacked):
        gap, error = difference(result.scores, result.scores.density, best.scores.density)
        records.append(
            {
                "model": name,
                "formula": result.structure,
                "elpd": result.elpd,
                "se": result.se,
                "elpd_difference": gap,
                "se_difference": error,
                "stacking_weight": share,
                "passed": result.passed,
                "reading": "best" if result is best else reading_of(gap, error, passed=result.passed and best.passed),
            }
        )
    checks = tuple(
        replace(check, name=f"{name}: {check.name}") for name, one in results.items() for check in one.checks
    )
    table = pd.DataFrame(records).sort_values("elpd", ascending=False, kind="stable", ignore_index=True)
    return Comparison(table, best.criterion, any(one.synthetic for one in listed), checks)


def _refuse_mixtures(results: Mapping[str, JointScore]) -> None:
    """Refuse scores of different counts or criteria (E195), all differences at once."""
    if not results:
        raise InputError(
            [Problem("E195", "no model to compare", "models", 0, "give two or more")], "compare_structures"
        )
    first_name, first = next(iter(results.items()))
    problems = []
    for name, other in results.items():
        where = f"{first_name}, {name}"
        if other.criterion != first.criterion:
            remedy = "leave out the same for every model"
            problems.append(Problem("E195", "models judged by different criteria", where, 1, remedy))
        if other.counts_hash != first.counts_hash:
            problems.append(Problem("E195", "models of different children", where, 1, "fit the same joint counts"))
    raise_if_stopping(problems, "compare_structures")
