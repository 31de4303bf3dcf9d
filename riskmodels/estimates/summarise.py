"""Draws to tables: the only place where an interval is made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from arviz_stats.base import array_stats

from riskmodels.errors import InputError, Problem
from riskmodels.fit.checks import convergence
from riskmodels.fit.weighting import effective_draws, pareto_k, systematic_resample, weighted_quantile
from riskmodels.vocabulary import INTERVAL_KINDS, IntervalKind

FloatArray = npt.NDArray[np.float64]


def check_interval(probability: float, interval: str) -> None:
    """Refuse an impossible interval (E195)."""
    problems = []
    if not 0 < probability < 1:
        problems.append(Problem("E195", "probability must lie between 0 and 1", "probability", 1, "use 0.95"))
    if interval not in INTERVAL_KINDS:
        problems.append(
            Problem("E195", "no such kind of interval", "interval", 1, f"choose among {', '.join(INTERVAL_KINDS)}")
        )
    if problems:
        raise InputError(problems, "interval")


def _ends(
    flat: FloatArray, probability: float, interval: IntervalKind, weights: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    if interval == "equal-tailed":
        tail = (1 - probability) / 2
        ends = np.array([tail, 1 - tail])
        low, high = np.quantile(flat, ends, axis=0) if weights is None else weighted_quantile(flat, weights, ends)
        return np.asarray(low), np.asarray(high)
    if weights is not None:
        flat = flat[systematic_resample(weights, len(flat), np.random.default_rng(0))]
    ends = np.stack([array_stats.hdi(flat[:, k], probability) for k in range(flat.shape[1])])
    return ends[:, 0], ends[:, 1]


def summarise(
    draws: FloatArray, probability: float, interval: IntervalKind, weights: FloatArray | None = None
) -> pd.DataFrame:
    """Summarise draws of shape (chain, draw, quantity), unrounded, one row per quantity.

    Parameters
    ----------
    draws
        Draws of the quantities.
    probability, interval
        Probability inside the interval, and its kind.
    weights
        Importance weights, shape (chain, draw), summing to one; None where all draws count the same.

    Returns
    -------
    pandas.DataFrame
        The columns of `vocabulary.SUMMARY_COLUMNS`.
    """
    check_interval(probability, interval)
    if not np.isfinite(draws).all():
        raise InputError(
            [
                Problem(
                    "E195",
                    "draws that are not finite cannot be summarised",
                    "draws",
                    int((~np.isfinite(draws)).sum()),
                    "a ratio to zero? an aborted fit?",
                )
            ],
            "summary",
        )
    flat = draws.reshape(-1, draws.shape[-1])
    own = None if weights is None else weights.ravel()
    low, high = _ends(flat, probability, interval, own)
    words = {"low": low, "high": high, "interval_kind": interval, "probability": probability}
    if own is None or weights is None:
        found = convergence(draws, tail=(1 - probability) / 2)
        centre = {"estimate": flat.mean(axis=0), "median": np.median(flat, axis=0), "sd": flat.std(axis=0, ddof=1)}
        return pd.DataFrame(
            {
                **centre,
                **words,
                "mcse": found.mcse,
                "rhat": found.rhat,
                "pareto_k": np.nan,
                "ess_bulk": found.ess_bulk,
                "ess_tail": found.ess_tail,
            }
        )
    mean = own @ flat
    bulk, tail, error = effective_draws(draws, weights, (1 - probability) / 2)
    centre = {
        "estimate": mean,
        "median": weighted_quantile(flat, own, np.array([0.5]))[0],
        "sd": np.sqrt(own @ (flat - mean) ** 2),
    }
    return pd.DataFrame(
        {
            **centre,
            **words,
            "mcse": error,
            "rhat": np.nan,
            "pareto_k": pareto_k(draws, weights),
            "ess_bulk": bulk,
            "ess_tail": tail,
        }
    )
