"""What comparisons of models add up: log predictive densities of units, their sums and sampling errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.latent_regression import counts_of, level_counts_of
from riskmodels.models.regression_spec import RegressionSpec

FloatArray = npt.NDArray[np.float64]

#: Differences below this have no trustworthy standard error (Sivula et al. 2020, arXiv 2008.10296).
SMALL_DIFFERENCE = 4.0
#: Standard errors by which a difference must exceed 0 to be called one.
CLEAR_ERRORS = 2.0
#: What one unit of a score stands for, by the use of weights.
UNIT_WORDS = {
    "none": "summed over children; the standard error takes children as independent",
    "pseudo": (
        "summed over children by their weights (mean 1 within a country); the standard error counts unequal weights, "
        "not clusters"
    ),
    "effective": "summed over effective children, which the standard error takes as independent",
}


@dataclass(frozen=True, eq=False)
class Scores:
    """Log predictive densities of the units that a comparison adds up.

    Parameters
    ----------
    density
        Log predictive density of one unit (a child of a row with an answer, or a group of children).
    count
        How many such units there are.
    mass
        What they count in the sum: as many, or their weights.
    spread
        Sum of their squared weights, which makes the standard error.
    """

    density: FloatArray
    count: FloatArray
    mass: FloatArray
    spread: FloatArray

    @property
    def total(self) -> float:
        """Sum over all units."""
        return float(self.mass @ self.density)

    def error_of(self, values: FloatArray) -> float:
        """Sampling standard error of the sum of some values of the units."""
        units = self.count.sum()
        if units < 2:
            return float("nan")
        centred = values - (self.mass @ values) / self.mass.sum()
        return float(np.sqrt(units / (units - 1) * (self.spread @ centred**2)))


def answer_counts(rows: RegressionRows, spec: RegressionSpec) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Children, what they count in the likelihood, and their squared weights, by row and answer (no, yes; or levels).

    Squared weights are known per row, not per answer: what exceeds equal weights within an answer is shared out by
    children.
    """
    if rows.counts is not None:
        children, counted = rows.counts, level_counts_of(rows, spec)
    else:
        yes, n = counts_of(rows, spec)
        children, counted = np.stack([rows.n - rows.yes, rows.yes], axis=1), np.stack([n - yes, yes], axis=1)
    mass = np.where(children > 0, counted, 0.0)
    if spec.weights != "pseudo":
        return children, mass, mass
    with np.errstate(all="ignore"):
        equal = np.where(children > 0, mass**2 / children, 0.0)
    excess = np.maximum(rows.weight_squared - equal.sum(axis=1), 0.0)
    return children, mass, equal + excess[:, None] * children / np.maximum(rows.n, 1.0)[:, None]


def log_draw_weights(fit: RegressionFit) -> FloatArray:
    """Log weight of every draw, chains one after the other; they sum to one."""
    return np.log(np.maximum(fit.draw_weights.ravel(), np.finfo(float).tiny))


def flat_draws(fit: RegressionFit, name: str, *dims: str) -> FloatArray:
    """Draws of a variable, chains one after the other, shape (draws, ...)."""
    values = fit.posterior[name].transpose("chain", "draw", *dims).to_numpy()
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def softplus(eta: FloatArray) -> FloatArray:
    """Compute ``log(1 + exp(eta))`` without overflow."""
    return np.asarray(np.maximum(eta, 0.0) + np.log1p(np.exp(-np.abs(eta))))


def log_probabilities(eta: FloatArray) -> FloatArray:
    """Log probabilities of no and yes, stacked on a last axis."""
    no = -softplus(eta)
    return np.stack([no, eta + no], axis=-1)


def log_level_probabilities(fit: RegressionFit, eta: FloatArray) -> FloatArray:
    """Log probabilities of every answer at log odds of shape (draws, rows), on a last axis: no and yes, or the levels."""
    if fit.rows.outcome_levels is None:
        return log_probabilities(eta)
    offsets = flat_draws(fit, "threshold", "threshold_name") + flat_draws(fit, "coefficient", "term")[:, :1]
    below = offsets[:, None, :] - eta[..., None]
    # log(F(b) - F(a)) for b > a is log F(b) + log(1 - F(a)) + log(1 - exp(a - b)).
    with np.errstate(divide="ignore"):
        gaps = np.log(-np.expm1(-np.diff(offsets, axis=1)))[:, None, :]
    up, down = -np.logaddexp(0.0, -below), -np.logaddexp(0.0, below)
    middle = up[..., 1:] + down[..., :-1] + gaps
    return np.concatenate([up[..., :1], middle, down[..., -1:]], axis=-1)


def difference(scores: Scores, one: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Sum of the differences between two models' densities of the same units, and its sampling standard error."""
    return float(scores.mass @ (one - other)), scores.error_of(one - other)


def reading_of(gap: float, error: float, *, passed: bool) -> str:
    """What a difference from the better (or simpler) model says, in words."""
    if not passed:
        return "checks failed: not to be relied on"
    if abs(gap) < SMALL_DIFFERENCE:
        return f"no clear difference: below {SMALL_DIFFERENCE:g}"
    if not abs(gap) > CLEAR_ERRORS * error:
        return f"no clear difference: within {CLEAR_ERRORS:g} standard errors"
    return "predicts better" if gap > 0 else "predicts worse"


def table_in_html(table: pd.DataFrame, title: str, checks: tuple[CheckResult, ...], *, synthetic: bool) -> str:
    """A table under its banner and the checks that failed, if any."""
    banner = "<p><strong>SYNTHETIC DATA</strong></p>" if synthetic else ""
    failed = [str(check) for check in checks if not check.passed] or ([] if checks else ["no check was run"])
    verdict = f"<p><strong>CHECKS FAILED: not to be relied on: {'; '.join(failed)}</strong></p>" if failed else ""
    body = table.to_html(index=False, float_format=lambda value: f"{value:.4g}", na_rep="-")
    return f"{banner}{verdict}<p>{title}</p>{body}"
