"""How well a regression predicts a child it has not seen: leaving one child out, without refitting.

Children of one row (same country, same predictors) with the same answer are exchangeable, so one leave-one-out density
per row and answer stands for all of them: exact, and no work per child.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from arviz_stats.base import array_stats
from scipy import special

from riskmodels.estimates.comparison.scores import (
    UNIT_WORDS,
    Scores,
    answer_counts,
    flat_draws,
    log_draw_weights,
    log_level_probabilities,
    table_in_html,
)
from riskmodels.estimates.comparison.smoothing import log_sum, smoothed_ratios, tail_length
from riskmodels.fit import limits
from riskmodels.fit.checks import CheckResult, below
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.regression_design import own_design, shared_design

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Numbers held at a time while rows are gone through.
BATCH = 2_000_000


@dataclass(frozen=True, eq=False)
class LooResult:
    """Leave-one-child-out predictive accuracy of a regression.

    Parameters
    ----------
    formula, outcome, weights
        The model, and how it uses weights.
    rows_hash
        Identity of the rows it was fitted to.
    scores
        One unit per row and answer that a child gave.
    in_sample
        Log density of the same units without leaving anything out.
    pareto_k
        Pareto k of the same units.
    mcse
        Monte Carlo error of `elpd`: how much another seed would move it.
    synthetic
        Whether the children are made up.
    checks
        Verdicts on the fit and on the largest Pareto k.
    """

    formula: str
    outcome: str
    weights: str
    rows_hash: str
    scores: Scores
    in_sample: FloatArray
    pareto_k: FloatArray
    mcse: float
    synthetic: bool
    checks: tuple[CheckResult, ...] = field(default=())

    @property
    def criterion(self) -> str:
        """What was left out."""
        return "leaving one child out"

    @property
    def elpd(self) -> float:
        """Expected log predictive density; nearer to 0 is better."""
        return self.scores.total

    @property
    def se(self) -> float:
        """Sampling standard error of `elpd`; a comparison has a smaller one of its own."""
        return self.scores.error_of(self.scores.density)

    @property
    def p_loo(self) -> float:
        """Effective number of parameters: how much better the model looks with the child in the data."""
        return float(self.scores.mass @ (self.in_sample - self.scores.density))

    @property
    def largest_k(self) -> float:
        """Largest Pareto k; NaN where any is unknown."""
        return float(self.pareto_k.max()) if np.isfinite(self.pareto_k).all() else float("nan")

    @property
    def share_high_k(self) -> float:
        """Share of children whose Pareto k is not below 0.7."""
        high = ~(self.pareto_k < limits.PARETO_K_BELOW)
        return float(self.scores.count[high].sum() / self.scores.count.sum())

    @property
    def passed(self) -> bool:
        """Whether the fit passed the gate and every Pareto k is below 0.7."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def table(self) -> pd.DataFrame:
        """One row: `elpd`, `se`, `mcse`, `p_loo`, `children`, `largest_k`, `share_high_k`, `passed`, `unit`."""
        return pd.DataFrame(
            {
                "model": [self.formula],
                "elpd": [self.elpd],
                "se": [self.se],
                "mcse": [self.mcse],
                "p_loo": [self.p_loo],
                "children": [self.scores.count.sum()],
                "largest_k": [self.largest_k],
                "share_high_k": [self.share_high_k],
                "passed": [self.passed],
                "unit": [UNIT_WORDS[self.weights]],
            }
        )

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        return f"LooResult({brand}{self.formula}; elpd {self.elpd:.1f}, SE {self.se:.1f}, {verdict})"

    def _repr_html_(self) -> str:
        return table_in_html(self.table, self.criterion, self.checks, synthetic=self.synthetic)


def _relative_efficiency(shares: FloatArray, chains: int) -> FloatArray:
    """Effective draws of every row's share, over the draws made; shape (rows,)."""
    draws = shares.reshape(chains, -1, shares.shape[-1])
    with np.errstate(all="ignore"):
        found = np.asarray(array_stats.ess(draws, method="mean", chain_axis=0, draw_axis=1)) / len(shares)
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


def _left_out(
    log_p: FloatArray, part: FloatArray, mass: FloatArray, log_weights: FloatArray, efficiency: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Leave-one-out log density, in-sample log density and Pareto k of some units; what every draw adds to their sum.

    The first three have shape (units, 3), the last (draws,). `log_p` has shape (draws, units); `part` is how often one child of a unit counts in the likelihood, `mass` all.
    """
    found, added = np.empty((log_p.shape[1], 3)), np.zeros(len(log_p))
    tails = np.array([tail_length(len(log_p), value) for value in efficiency], dtype=np.int64)
    for tail in np.unique(tails):
        at = np.flatnonzero(tails == tail)
        own = log_p[:, at]
        smoothed, pareto_k = smoothed_ratios(log_weights[:, None] - part[at] * own, int(tail))
        below_line, above_line = log_sum(smoothed), log_sum(smoothed + own)
        added += (np.exp(smoothed + own - above_line) - np.exp(smoothed - below_line)) @ mass[at]
        in_sample = log_sum(log_weights[:, None] + own)
        found[at] = np.column_stack([above_line - below_line, in_sample, pareto_k])
    return found, added


def _monte_carlo_error(fit: RegressionFit, added: FloatArray) -> float:
    """Monte Carlo error of a sum to which every draw adds something, the sum of which is 0."""
    by_chain = added.reshape(fit.posterior.sizes["chain"], -1)
    if fit.weights is not None:  # mirrored pairs share what decides their weights: each counts as one
        return float(np.sqrt((by_chain.sum(axis=0) ** 2).sum()))
    if np.ptp(added) == 0:
        return 0.0
    return float(np.asarray(array_stats.mcse(by_chain * added.size, method="mean", chain_axis=0, draw_axis=1)))


def leave_one_out(fit: RegressionFit, *, relative_efficiency: float | None = None) -> LooResult:
    """How well a regression predicts one child from all others, by Pareto-smoothed importance sampling.

    Parameters
    ----------
    fit
        A checked fit.
    relative_efficiency
        Effective draws per draw, which sets how many ratios are smoothed. By default 1 for weighted draws of the fast
        engine, and for NUTS what its own chains say of each row.

    Returns
    -------
    LooResult
        `elpd`, the expected log predictive density (higher is better; only differences between models mean anything:
        `compare_models`), its sampling error, the effective number of parameters, and Pareto k. A k of 0.7 or more
        says that one child moves the posterior too far to leave it out by reweighting: the numbers fail their check.

    Notes
    -----
    Leaving a child out takes away what it counts in the likelihood: 1 without weights; the mean weight of the children
    of its row and answer with pseudo-weights; that, divided by the country's design effect, with effective counts.
    What is predicted is the answer of one child, ``log p(answer | all others)``, never a power of it; children are
    summed by what they count. With weights this estimates the accuracy for the population's children rather than the
    sample's, and differs from software that scores ``weight * log p`` inside the expectation.

    Draws of the fast engine carry importance weights ``W``: the ratios ``W / p(answer)^part`` are formed first and
    smoothed as one, so that Pareto k judges both steps together.

    A new child of a country in the sample is meant; for a new country see `grouped_cross_validation`. Children of the
    same cluster stay in the data, so clustering makes the accuracy look somewhat too good for a new cluster.

    References
    ----------
    Vehtari, Gelman & Gabry 2017, Statistics and Computing 27, 1413-1432; Vehtari, Simpson, Gelman, Yao & Gabry 2024,
    Journal of Machine Learning Research 25 (72).

    Examples
    --------
    >>> import riskmodels as rm
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> result = leave_one_out(study.regression("comments ~ gender + (1 | country)"))
    >>> result.passed, bool(0 < result.p_loo < 10)
    (True, True)
    """
    rows, spec = fit.rows, fit.spec
    children, mass, spread = answer_counts(rows, spec)
    log_weights = log_draw_weights(fit)
    _, shared = shared_design(spec, rows, rows.values)
    average = flat_draws(fit, "average_coefficient", "term")
    own, deviation = np.zeros((len(rows), 0)), np.zeros((len(average), len(rows.countries), 0))
    if "country_deviation" in fit.posterior:
        _, own = own_design(spec, rows, rows.values)
        deviation = flat_draws(fit, "country_deviation", "country", "varying")
    found, added = np.zeros((*children.shape, 3)), np.zeros(len(average))
    step = max(1, BATCH // len(average))
    for start in range(0, len(rows), step):
        at = np.arange(start, min(start + step, len(rows)))
        eta = average @ shared[at].T + np.einsum("rb,srb->sr", own[at], deviation[:, rows.country[at]])
        log_p = log_level_probabilities(fit, eta)
        efficiency = np.full(len(at), 1.0 if relative_efficiency is None else relative_efficiency)
        if relative_efficiency is None and fit.weights is None:
            efficiency = _relative_efficiency(special.expit(eta), fit.posterior.sizes["chain"])
        for answer in range(children.shape[1]):
            some = np.flatnonzero(children[at, answer] > 0)
            part = mass[at[some], answer] / children[at[some], answer]
            found[at[some], answer], more = _left_out(
                log_p[:, some, answer], part, mass[at[some], answer], log_weights, efficiency[some]
            )
            added += more
    given = children > 0
    density, in_sample, pareto_k = found[given].T
    largest = float(pareto_k.max()) if np.isfinite(pareto_k).all() else float("nan")
    check = below("Pareto k of leaving one child out", "all children", largest, limits.PARETO_K_BELOW)
    return LooResult(
        formula=spec.formula,
        outcome=spec.outcome,
        weights=spec.weights,
        rows_hash=rows.content_hash,
        scores=Scores(density, children[given], mass[given], spread[given]),
        in_sample=in_sample,
        pareto_k=pareto_k,
        mcse=_monte_carlo_error(fit, added),
        synthetic=rows.synthetic,
        checks=(*fit.checks, check),
    )
