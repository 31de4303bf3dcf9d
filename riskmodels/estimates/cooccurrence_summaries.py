"""Measures of co-occurrence to tables: rows that do not exist stay empty, means that draws cannot give are blanked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.cooccurrence_measures import Measured
from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.fit import limits
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.weighting import effective_draws, pareto_k
from riskmodels.vocabulary import IntervalKind

FloatArray = npt.NDArray[np.float64]

NOTE_NO_MEAN = "a few draws decide the mean: read the median and the interval"
#: What a heavy tail takes from a row, and what is judged on the scale of the logarithm instead.
OF_THE_MEAN, JUDGED = ("estimate", "sd", "mcse"), ("pareto_k", "ess_bulk", "ess_tail")


def _heavy(draws: FloatArray, weights: FloatArray | None, probability: float) -> npt.NDArray[np.bool_]:
    """Positive quantities whose weighted mean cannot be had: k-hat too large, or too few effective draws."""
    if weights is None:
        return np.zeros(draws.shape[-1], dtype=bool)
    bulk = effective_draws(draws, weights, (1 - probability) / 2)[0]
    unsafe = ~(pareto_k(draws, weights) < limits.PARETO_K_BELOW) | ~(bulk >= limits.ESS_AT_LEAST)
    return np.asarray(unsafe & (draws > 0).all(axis=(0, 1)))


def estimates_of(fit: CooccurrenceFit, found: Measured, *, probability: float, interval: IntervalKind) -> Estimates:
    """Summarise a measure and run the gate on it.

    Parameters
    ----------
    fit
        The fit behind it.
    found
        The measure.
    probability, interval
        Of the intervals.

    Returns
    -------
    Estimates
        Rows where the measure does not exist are there, empty, with the reason in `note`. Where importance weights
        cannot give the mean of a positive quantity (a share of one in 100,000 is known to a factor of ten, and its mean
        is decided by a few draws), mean and standard deviation are empty, `note` says so, and the gate judges the
        logarithm, whose median and interval are those of the quantity.

    Raises
    ------
    InputError
        E195 where it exists nowhere.
    """
    exists = found.exists.ravel()
    keep = np.flatnonzero(exists)
    if not len(keep):
        what, remedy = f"{found.quantity}: no pair of risks has it", "ask for risks that a child can have together"
        raise InputError([Problem("E195", what, "risks", len(exists), remedy)], "co-occurrence")
    notes = [str(note) for note in found.notes.ravel()]
    draws = found.draws.reshape(*found.draws.shape[:2], -1)
    made = _judged(fit, found, keep, draws[..., keep], [notes[k] for k in keep], probability, interval)
    if len(keep) == len(exists):
        return made
    table = made.table.set_index(pd.Index(keep)).reindex(range(len(exists)))
    table[list(found.labels.columns)] = found.labels
    for name in ("quantity", "unit", "base", "interval_kind", "probability"):
        table[name] = made.table[name].iloc[0]
    table[list(found.direct.columns)] = found.direct
    table.loc[~exists, "note"] = [note for note, one in zip(notes, exists, strict=True) if not one]
    return replace(made, table=table, draws=draws)


def _judged(
    fit: CooccurrenceFit,
    found: Measured,
    keep: npt.NDArray[np.int64],
    draws: FloatArray,
    notes: list[str],
    probability: float,
    interval: IntervalKind,
) -> Estimates:
    """Estimates of the rows that exist."""
    heavy = _heavy(draws, fit.weights, probability)
    judged = draws.copy()
    judged[..., heavy] = np.log(draws[..., heavy])
    made = make_estimates(
        fit,
        found.labels.iloc[keep],
        draws,
        quantity=found.quantity,
        unit=found.unit,
        base=found.base,
        probability=probability,
        interval=interval,
        direct=found.direct.iloc[keep],
        notes=[
            "; ".join(filter(None, (note, NOTE_NO_MEAN if one else ""))) for note, one in zip(notes, heavy, strict=True)
        ],
        gate_on=judged,
    )
    if fit.weights is None or not heavy.any():
        return made
    table, tail = made.table.copy(), (1 - probability) / 2
    bulk, of_tail, _ = effective_draws(judged[..., heavy], fit.weights, tail)
    table.loc[heavy, list(OF_THE_MEAN)] = np.nan
    table.loc[heavy, list(JUDGED)] = np.column_stack([pareto_k(judged[..., heavy], fit.weights), bulk, of_tail])
    return replace(made, table=table)
