"""Which regression predicts better: differences of predictive accuracy with their errors, and stacking weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.estimates.comparison_groups import GroupedResult, grouped_cross_validation, split_rows
from riskmodels.estimates.comparison_loo import LooResult, leave_one_out
from riskmodels.estimates.comparison_scores import difference, reading_of, table_in_html
from riskmodels.estimates.comparison_slopes import SlopeScreen, screen_slopes
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.source import SourceTable

__all__ = [
    "Comparison",
    "GroupedResult",
    "LooResult",
    "SlopeScreen",
    "common_rows",
    "compare_models",
    "grouped_cross_validation",
    "leave_one_out",
    "screen_slopes",
    "split_rows",
    "stacking_weights",
]

FloatArray = npt.NDArray[np.float64]
Compared = RegressionFit | LooResult | GroupedResult


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models of the same children, the best predicting one first.

    Parameters
    ----------
    table
        One row per model: `model` (its name), `formula`, `elpd`, `se`, `elpd_difference` (from the first row; 0 or
        less) with `se_difference`, `stacking_weight`, `passed`, and `reading` in words.
    criterion
        What was left out.
    synthetic
        Whether the children are made up.
    checks
        Every model's verdicts, named.
    """

    table: pd.DataFrame
    criterion: str
    synthetic: bool
    checks: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every model passed all its checks."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        return f"Comparison({brand}{len(self.table)} models by {self.criterion}; {verdict})"

    def _repr_html_(self) -> str:
        return table_in_html(self.table, f"models compared by {self.criterion}", self.checks, synthetic=self.synthetic)


def stacking_weights(density: FloatArray, mass: FloatArray) -> FloatArray:
    """Shares of models in the mixture that predicts best what each of them had not seen.

    Parameters
    ----------
    density
        Log predictive densities, shape (units, models), each with its unit left out.
    mass
        What every unit counts.

    Returns
    -------
    numpy.ndarray
        One share per model, 0 or more, summing to one. They are not probabilities that a model is true.

    References
    ----------
    Yao, Vehtari, Simpson & Gelman 2018, Bayesian Analysis 13, 917-1007.

    Examples
    --------
    >>> stacking_weights(np.log([[0.9, 0.1], [0.1, 0.9]]), np.ones(2)).round(3).tolist()
    [0.5, 0.5]
    """
    models = density.shape[1]
    if models == 1:
        return np.ones(1)
    ratio = np.exp(density - density.max(axis=1, keepdims=True))
    share = mass / mass.sum()

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        mixed = np.maximum(ratio @ weights, np.finfo(float).tiny)
        return -float(share @ np.log(mixed)), -(share / mixed) @ ratio

    found = optimize.minimize(
        loss,
        np.full(models, 1 / models),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * models,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones_like(w)},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weights = np.clip(np.asarray(found.x, dtype=float), 0.0, 1.0)
    return _polished(weights / weights.sum(), ratio, share)


def _polished(weights: FloatArray, ratio: FloatArray, share: FloatArray, rounds: int = 200) -> FloatArray:
    """Steps that can only improve a mixture (expectation-maximisation), from where the search ended."""
    for _ in range(rounds):
        mixed = np.maximum(ratio @ weights, np.finfo(float).tiny)
        better = weights * ((share / mixed) @ ratio)
        better = better / better.sum()
        if np.abs(better - weights).max() < 1e-10:
            break
        weights = better
    return np.asarray(weights)


def _refuse_mixtures(results: Mapping[str, LooResult | GroupedResult]) -> None:
    """Refuse what is not of the same children, outcome, weights and criterion (E195), all differences at once."""
    if not results:
        raise InputError([Problem("E195", "no model to compare", "models", 0, "give two or more")], "compare_models")
    first_name, first = next(iter(results.items()))
    problems = []
    for name, other in results.items():
        where = f"{first_name}, {name}"
        if type(other) is not type(first) or other.criterion != first.criterion:
            remedy = "leave out the same for every model"
            problems.append(Problem("E195", "models judged by different criteria", where, 1, remedy))
        if other.outcome != first.outcome:
            problems.append(Problem("E195", "models of different outcomes", where, 1, "compare models of one outcome"))
        if other.weights != first.weights:
            problems.append(
                Problem("E195", "models that use weights differently", where, 1, "fit with the same weights")
            )
        if other.rows_hash != first.rows_hash:
            remedy = "fit every model to common_rows(codebook, source, specs): complete cases of all predictors"
            problems.append(Problem("E195", "models of different children or rows", where, 1, remedy))
    raise_if_stopping(problems, "compare_models")


def compare_models(models: Mapping[str, Compared]) -> Comparison:
    """Compare regressions of the same children by how well they predict what was left out.

    Parameters
    ----------
    models
        Name -> fit (one child is left out), or results of `leave_one_out`, or of `grouped_cross_validation`.

    Returns
    -------
    Comparison
        Best first. Read `reading`: a difference below 4, or within two of its standard errors, decides nothing, and
        then the simpler model serves as well. `stacking_weight` is the share in the best predicting mixture: a model
        may be worse alone and still add something.

    Raises
    ------
    InputError
        E195 for models of different children, outcomes, weights or criteria.

    References
    ----------
    Vehtari, Gelman & Gabry 2017 (as in `leave_one_out`); Yao et al. 2018 (stacking); Sivula, Magnusson, Matamoros &
    Vehtari 2020, arXiv 2008.10296 (when the standard error of a difference can be trusted).

    Examples
    --------
    >>> import riskmodels as rm
    >>> from riskmodels.models.regression_spec import regression_formula
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> specs = [regression_formula(f"comments ~ {terms} + (1 | country)") for terms in ("1", "gender")]
    >>> rows = common_rows(study.survey.codebook, study.survey.source, specs)
    >>> found = compare_models({spec.formula: rm.fit_regression(rows, spec) for spec in specs})
    >>> float(found.table["stacking_weight"].sum().round(6)), found.table["elpd_difference"].tolist()[0]
    (1.0, 0.0)
    """
    results = {
        name: leave_one_out(model) if isinstance(model, RegressionFit) else model for name, model in models.items()
    }
    _refuse_mixtures(results)
    names, listed = list(results), list(results.values())
    scores = listed[0].scores
    density = np.column_stack([result.scores.density for result in listed])
    stacked = stacking_weights(density, scores.mass)
    best = int(np.argmax([result.elpd for result in listed]))
    records = []
    for place, result in enumerate(listed):
        gap, error = difference(scores, result.scores.density, listed[best].scores.density)
        records.append(
            {
                "model": names[place],
                "formula": result.formula,
                "elpd": result.elpd,
                "se": result.se,
                "elpd_difference": gap,
                "se_difference": error,
                "stacking_weight": stacked[place],
                "passed": result.passed,
                "reading": "best" if place == best else reading_of(gap, error, passed=result.passed),
            }
        )
    checks = tuple(
        CheckResult(f"{name}: {check.name}", check.worst_case, check.value, check.rule, check.passed)
        for name, result in results.items()
        for check in result.checks
    )
    table = pd.DataFrame(records).sort_values("elpd", ascending=False, kind="stable", ignore_index=True)
    return Comparison(table, listed[0].criterion, any(result.synthetic for result in listed), checks)


def common_rows(codebook: Codebook, source: SourceTable, specs: Sequence[RegressionSpec]) -> RegressionRows:
    """Rows on which several regressions of one outcome can be fitted and compared.

    Parameters
    ----------
    codebook, source
        The study.
    specs
        The models.

    Returns
    -------
    RegressionRows
        Children who answered the outcome and every predictor of any of the models; `lost` tells who is left out.

    Raises
    ------
    InputError
        E195 for models of different outcomes or denominators; else as `regression_rows`.
    """
    problems = []
    if len({spec.outcome for spec in specs}) != 1:
        where = ", ".join(sorted({spec.outcome for spec in specs}))
        problems.append(Problem("E195", "not one outcome", where, len(specs), "compare models of one outcome"))
    if len({spec.base for spec in specs}) > 1:
        problems.append(Problem("E195", "models of different denominators", "base", len(specs), "give all the same"))
    raise_if_stopping(problems, "common_rows")
    predictors = list(dict.fromkeys(name for spec in specs for name in spec.predictors))
    return regression_rows(codebook, source, specs[0].outcome, predictors, base=specs[0].base)
