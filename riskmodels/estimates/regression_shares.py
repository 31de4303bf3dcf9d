"""Predicted shares of a regression by group, with the direct share of the same children beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.estimates.regression import YES, predicted_shares, standardised, with_level
from riskmodels.fit.regression import RegressionFit
from riskmodels.vocabulary import COUNTRY, DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind


def share_estimates(
    fit: RegressionFit,
    by: Sequence[str] = (),
    *,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Estimates:
    """Share affected as the regression predicts it for the children at hand, by country or predictors with levels.

    Parameters
    ----------
    fit
        A checked fit.
    by
        Country or predictors with levels; everybody together where empty.
    probability, interval
        95 % equal-tailed by default.

    Returns
    -------
    Estimates
        Proportions averaged by the children's weights; `n` counts the children behind each, `direct` is their weighted
        share without any model. Shares of groups describe; they are not the effect of the group
        (`marginal_effects` compares children alike in all else).
    """
    rows = fit.rows
    predicted = predicted_shares(fit, rows.values)
    weight_of = _weights_of_levels(fit)
    places = [rows.country if name == COUNTRY else rows.values[name].astype(np.int64) for name in by]
    keys = np.column_stack(places) if places else np.zeros((len(rows), 1), dtype=np.int64)
    groups, of_row = np.unique(keys, axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(of_row, weights=values, minlength=len(groups))

    labels, parts, direct = [], [], []
    for level, shares in predicted.items():
        words, draws = standardised(fit, shares, by)
        labels.append(with_level(fit, words, level))
        parts.append(draws)
        direct.append(pd.DataFrame({"n": total(rows.n), "direct": total(weight_of[level]) / total(rows.weight)}))
    return make_estimates(
        fit,
        pd.concat(labels, ignore_index=True),
        np.concatenate(parts, axis=-1),
        quantity="predicted share",
        probability=probability,
        interval=interval,
        direct=pd.concat(direct, ignore_index=True),
    )


def _weights_of_levels(fit: RegressionFit) -> dict[str, np.ndarray]:
    """Sums of weights per row, by level of an ordered outcome; of the affected else."""
    rows = fit.rows
    if rows.outcome_levels is None or rows.weight_counts is None:
        return {YES: rows.weight_yes}
    return dict(zip(rows.outcome_levels.labels, rows.weight_counts.T, strict=True))


def children_of(fit: RegressionFit, table: pd.DataFrame) -> pd.Series:
    """Unweighted children behind each row of an estimates table: those of its country and levels.

    Parameters
    ----------
    fit
        The fit behind the table.
    table
        Its columns `country` and those named like a predictor with levels hold labels.
    """
    factors = {COUNTRY: fit.rows.countries, **fit.rows.factors}
    by = [name for name in factors if name in table.columns]
    if not by:
        return pd.Series(fit.rows.n.sum(), index=table.index)
    known = pd.DataFrame(
        {
            name: np.array(factors[name].labels)[
                fit.rows.country if name == COUNTRY else fit.rows.values[name].astype(int)
            ]
            for name in by
        }
    )
    counts = known.assign(n=fit.rows.n).groupby(by)["n"].sum()
    keys = pd.MultiIndex.from_frame(table[by]) if len(by) > 1 else pd.Index(table[by[0]])
    return pd.Series(counts.reindex(keys).to_numpy(), index=table.index)
