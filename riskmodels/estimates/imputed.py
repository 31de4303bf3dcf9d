"""What a regression with imputed predictors says: any estimand pooled over its completed sets, complete cases beside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.regression import coefficient_estimates
from riskmodels.estimates.summarise import summarise
from riskmodels.fit.imputed import PooledRegressionFit
from riskmodels.fit.pooling import equal_mixture, missing_information, worst_checks
from riskmodels.fit.regression import RegressionFit
from riskmodels.vocabulary import DEFAULT_INTERVAL, DEFAULT_PROBABILITY, DIRECT_COLUMNS, SUMMARY_COLUMNS, IntervalKind

FloatArray = npt.NDArray[np.float64]

MISSING_INFORMATION = "fraction_of_missing_information"
DIRECTION = "probability_of_direction"


def pooled_estimates(fit: PooledRegressionFit, estimand: Callable[[RegressionFit], Estimates]) -> Estimates:
    """Compute any estimand on every completed set and pool its draws.

    Parameters
    ----------
    fit
        A pooled fit.
    estimand
        What to compute on one fit, e.g. ``lambda one: marginal_effects(one, "age", by=["country"])``.

    Returns
    -------
    Estimates
        As the estimand itself gives, of the equal mixture of all sets; `fraction_of_missing_information` in addition.
        Predicted shares and effects average over each set's own children. `mcse` is the Monte Carlo error given these
        sets. The gate passes where every set's does.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., section 18.2 (mixing the draws of all sets).

    Examples
    --------
    >>> import riskmodels as rm
    >>> from riskmodels.estimates.regression import marginal_effects
    >>> from riskmodels.fit.imputed import impute_and_fit
    >>> from riskmodels.models.regression_spec import regression_formula
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> fit = impute_and_fit(survey.codebook, survey.source, regression_formula("any_risk ~ gender"), imputations=2)
    >>> pooled_estimates(fit, lambda one: marginal_effects(one, "gender")).table["contrast"].tolist()
    ['gender: Girls against Boys']
    """
    each = [estimand(one) for one in fit.fits]
    first = each[0]
    parts, weights = equal_mixture([one.draws for one in each], [one.weights for one in each])
    draws = np.concatenate(parts, axis=1)
    table = first.table.copy()
    probability, interval = float(table["probability"].iloc[0]), table["interval_kind"].iloc[0]
    summary = summarise(draws, probability, interval, weights)
    for name in SUMMARY_COLUMNS:
        table[name] = summary[name]
    _monte_carlo(table, [one.table for one in each])
    for name in DIRECT_COLUMNS:
        if name in table:
            table[name] = np.mean([one.table[name].to_numpy(float) for one in each], axis=0)
    if DIRECTION in table:
        neutral = 1.0 if "ratio" in first.quantity else 0.0
        above = np.einsum("cs,csq->q", weights, (draws > neutral).astype(float))
        table[DIRECTION] = np.maximum(above, 1 - above)
    table[MISSING_INFORMATION] = missing_information(*_moments([one.table for one in each])).fraction
    return Estimates(
        table=table,
        draws=draws,
        quantity=first.quantity,
        fingerprint=fit.fingerprint,
        fit_checks=fit.checks,
        checks=worst_checks([one.checks for one in each]),
        weights=weights,
    )


def _moments(tables: list[pd.DataFrame]) -> tuple[FloatArray, FloatArray]:
    means, spreads = (np.array([table[name].to_numpy(float) for table in tables]) for name in ("estimate", "sd"))
    return means, spreads**2


def _monte_carlo(table: pd.DataFrame, tables: list[pd.DataFrame]) -> None:
    """Error given these sets, from each set's own: draws of different sets are independent."""

    def every(name: str) -> FloatArray:
        return np.array([one[name].to_numpy(float) for one in tables])

    error = np.sqrt((every("mcse") ** 2).sum(axis=0)) / len(tables)
    with np.errstate(all="ignore"):
        table["mcse"], table["ess_bulk"] = error, (table["sd"].to_numpy(float) / error) ** 2
    table["ess_tail"] = every("ess_tail").sum(axis=0)
    for name in ("rhat", "pareto_k"):
        found = every(name)
        known = ~np.isnan(found)
        table[name] = np.where(known.any(axis=0), np.where(known, found, -np.inf).max(axis=0), np.nan)


def imputed_coefficients(
    fit: PooledRegressionFit,
    *,
    odds_ratios: bool = False,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Coefficients of a regression with imputed predictors, those of complete cases beside them.

    Parameters
    ----------
    fit
        A pooled fit.
    odds_ratios, probability, interval
        As in `coefficient_estimates`.

    Returns
    -------
    Estimates
        In addition `fraction_of_missing_information` and `complete_case`, `complete_case_low`, `complete_case_high`,
        `complete_case_n` (empty where complete cases cannot be fitted). Where the two disagree, answers are not missing
        completely at random; imputation is right where they are missing at random given all that is in the model.

    Examples
    --------
    >>> import riskmodels as rm
    >>> from riskmodels.fit.imputed import impute_and_fit
    >>> from riskmodels.models.regression_spec import regression_formula
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> fit = impute_and_fit(survey.codebook, survey.source, regression_formula("any_risk ~ gender"), imputations=2)
    >>> imputed_coefficients(fit).table[["coefficient", "complete_case_n"]]
         coefficient  complete_case_n
    0      Intercept           1252.0
    1  gender: Girls           1252.0
    """

    def own(one: RegressionFit) -> Estimates:
        return coefficient_estimates(one, odds_ratios=odds_ratios, probability=probability, interval=interval)

    found = pooled_estimates(fit, own)
    beside = pd.DataFrame(np.nan, index=found.table.index, columns=["estimate", "low", "high"])
    children = np.nan
    if fit.complete_case is not None:
        complete = own(fit.complete_case)
        indexed = complete.table.set_index("coefficient").reindex(found.table["coefficient"])
        beside, children = indexed[["estimate", "low", "high"]].reset_index(drop=True), fit.complete_case.rows.n.sum()
    found.table["complete_case"] = beside["estimate"]
    found.table["complete_case_low"], found.table["complete_case_high"] = beside["low"], beside["high"]
    found.table["complete_case_n"] = children
    return found
