"""Estimates: a tidy table of posterior summaries with the draws and the identity behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.cells import Cells
from riskmodels.design.weighting import direct_interval
from riskmodels.errors import GateError
from riskmodels.estimates.poststratify import Domains
from riskmodels.estimates.summarise import summarise
from riskmodels.fit.checks import CheckResult, check_convergence, check_weighted
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.provenance import Fingerprint
from riskmodels.vocabulary import ESTIMATE_COLUMNS, IntervalKind

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimates:
    """Posterior summaries of named quantities, unrounded.

    Parameters
    ----------
    table
        One row per quantity; columns are the factors asked for, then those of `vocabulary.ESTIMATE_COLUMNS`.
    draws
        Draws behind the rows, shape (chain, draw, row), to be used together with `weights`.
    quantity
        What is estimated, in words.
    fingerprint
        Identity of the fit behind it.
    fit_checks
        Verdicts on the fit.
    checks
        Verdicts on these very quantities.
    weights
        Importance weight of every draw, shape (chain, draw); None where all draws count the same.
    """

    table: pd.DataFrame
    draws: FloatArray
    quantity: str
    fingerprint: Fingerprint
    fit_checks: tuple[CheckResult, ...]
    checks: tuple[CheckResult, ...] = field(default=())
    weights: FloatArray | None = None

    @property
    def passed(self) -> bool:
        """Whether the fit and every quantity here passed the gate."""
        every = (*self.fit_checks, *self.checks)
        return bool(every) and all(check.passed for check in every)

    def require_passed(self) -> None:
        """Raise `GateError` naming the failed checks unless all passed."""
        failed = [str(check) for check in (*self.fit_checks, *self.checks) if not check.passed]
        if failed or not self.passed:
            raise GateError(
                f"{self.quantity}: not releasable, checks failed:\n  " + "\n  ".join(failed or ["no check was run"])
            )

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.table)

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.fingerprint.synthetic else ""
        return f"Estimates({brand}{self.quantity}, {len(self)} rows, {'passed' if self.passed else 'CHECKS FAILED'})"

    def _repr_html_(self) -> str:
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.fingerprint.synthetic else ""
        verdict = "" if self.passed else "<p><strong>CHECKS FAILED: not to be released</strong></p>"
        shown = self.table.drop(
            columns=[
                name
                for name in ("mcse", "rhat", "pareto_k", "ess_bulk", "ess_tail", "n_effective", "interval_kind")
                if name in self.table
            ]
        )
        return f"{banner}{verdict}<p>{self.quantity}</p>" + shown.to_html(
            index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"
        )


def label_columns(cells: Cells, domains: Domains) -> pd.DataFrame:
    """Words for the factors of each domain, codes of the countries beside their names."""
    columns: dict[str, list[str]] = {}
    for place, name in enumerate(domains.by):
        factor = cells.factor(name)
        if factor.labels != factor.levels:
            columns[f"{name}_code"] = [factor.levels[i] for i in domains.index[:, place]]
        columns[name] = [factor.labels[i] for i in domains.index[:, place]]
    return pd.DataFrame(columns, index=range(len(domains)))


def _variance_of_averages(cells: Cells, domains: Domains, error: FloatArray) -> FloatArray:
    """Variance of each domain's average of cells with these standard errors; microdata carry how errors correlate."""
    variance = np.zeros(len(domains))
    if not cells.sampling_correlation:
        np.add.at(variance, domains.of_cell, error**2)
        return variance
    for number, correlation in zip(np.unique(cells.same_children), cells.sampling_correlation, strict=True):
        group = np.flatnonzero(cells.same_children == number)
        for domain in np.unique(domains.of_cell[group]):
            inside = domains.of_cell[group] == domain
            own = error[group][inside]
            variance[domain] += own @ correlation[np.ix_(inside, inside)] @ own
    return variance


def direct_columns(cells: Cells, domains: Domains, probability: float) -> pd.DataFrame:
    """n, effective n and the direct estimate of each domain with its interval.

    Where a domain has no case (or only cases) its variance is 0: its effective n is then that of an average of cells
    of one prevalence.
    """
    direct = domains.average(cells.direct)
    unit = domains.share / np.sqrt(cells.n_effective)
    variance = _variance_of_averages(cells, domains, unit * np.sqrt(cells.direct * (1 - cells.direct)))
    pooled_n = np.bincount(domains.of_cell, weights=cells.n_effective, minlength=len(domains))
    with np.errstate(all="ignore"):
        same_prevalence = 1 / _variance_of_averages(cells, domains, unit)
        n_effective = np.minimum(np.where(variance > 0, direct * (1 - direct) / variance, same_prevalence), pooled_n)
    low, high = direct_interval(direct * n_effective, n_effective, probability)
    n = np.bincount(domains.of_cell, weights=np.nan_to_num(cells.n, nan=np.inf), minlength=len(domains))
    return pd.DataFrame(
        {
            "n": np.where(np.isinf(n), np.nan, n),
            "n_effective": n_effective,
            "direct": direct,
            "direct_low": low,
            "direct_high": high,
        }
    )


def make_estimates(
    fit: CheckedPosterior,
    labels: pd.DataFrame,
    draws: FloatArray,
    *,
    quantity: str,
    unit: str = "proportion",
    base: str = "",
    probability: float,
    interval: IntervalKind,
    direct: pd.DataFrame | None = None,
    notes: list[str] | None = None,
    gate_on: FloatArray | None = None,
) -> Estimates:
    """Summarise draws of a fit into an `Estimates` record and run the gate on its quantities.

    Parameters
    ----------
    fit
        Where the draws come from.
    labels
        Factor columns, one row per quantity.
    draws
        Shape (chain, draw, row).
    base
        Denominator; the fit's own where empty.
    gate_on
        Draws that the gate judges instead, for quantities of few values (ranks, claims) whose own effective
        size says little: the continuous quantities they are made of.
    """
    weights = fit.weights
    summary = summarise(draws, probability, interval, weights)
    parts = [
        labels.reset_index(drop=True),
        pd.DataFrame({"quantity": quantity, "unit": unit, "base": base or fit.base}, index=range(len(labels))),
        summary,
    ]
    parts += [direct.reset_index(drop=True)] if direct is not None else []
    table = pd.concat(parts, axis=1)
    table["note"] = notes if notes is not None else ""
    order = [*labels.columns, *(name for name in ESTIMATE_COLUMNS if name in table)]
    judged = {quantity: draws if gate_on is None else gate_on}
    checks = (
        check_convergence(judged, "reported quantities")
        if weights is None
        else check_weighted(judged, weights, "reported quantities")
    )
    return Estimates(
        table=table[order],
        draws=draws,
        quantity=quantity,
        fingerprint=fit.fingerprint,
        fit_checks=fit.checks,
        checks=tuple(checks),
        weights=weights,
    )
