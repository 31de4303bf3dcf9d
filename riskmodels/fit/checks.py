"""Checks of a posterior: each carries its value, its threshold and its verdict; unknown is a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from arviz_stats.base import array_stats

from riskmodels.fit import limits
from riskmodels.fit.weighting import effective_draws, pareto_k

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CheckResult:
    """Verdict of one check.

    Parameters
    ----------
    name
        What was checked, e.g. ``"R-hat"``.
    worst_case
        Parameter or quantity with the worst value.
    value
        Worst value; NaN where it could not be computed, which is a failure.
    rule
        The threshold in words, e.g. ``"< 1.01"``.
    passed
        The verdict.
    """

    name: str
    worst_case: str
    value: float
    rule: str
    passed: bool

    def __str__(self) -> str:
        """Render as one line."""
        return f"{'pass' if self.passed else 'FAIL'}  {self.name} {self.value:.4g} ({self.rule}) at {self.worst_case}"


def below(name: str, worst_case: str, value: float, threshold: float) -> CheckResult:
    """Pass only if `value` is a number below `threshold`."""
    return CheckResult(name, worst_case, value, f"< {threshold:g}", bool(value < threshold))


def at_least(name: str, worst_case: str, value: float, threshold: float) -> CheckResult:
    """Pass only if `value` is a number of at least `threshold`."""
    return CheckResult(name, worst_case, value, f">= {threshold:g}", bool(value >= threshold))


def at_most(name: str, worst_case: str, value: float, threshold: float) -> CheckResult:
    """Pass only if `value` is a number of at most `threshold`."""
    return CheckResult(name, worst_case, value, f"<= {threshold:g}", bool(value <= threshold))


@dataclass(frozen=True)
class Convergence:
    """R-hat, effective draws and Monte Carlo error of quantities, arrays without the chain and draw axes."""

    rhat: FloatArray
    ess_bulk: FloatArray
    ess_tail: FloatArray
    mcse: FloatArray


def convergence(draws: FloatArray, tail: float = 0.05) -> Convergence:
    """Diagnose draws of shape (chain, draw, ...).

    Parameters
    ----------
    draws
        Draws of any number of quantities.
    tail
        Probability beyond each interval end; effective draws are computed at these very quantiles.

    Returns
    -------
    Convergence
        NaN where nothing can be said (one chain, a constant quantity).
    """
    axes = {"chain_axis": 0, "draw_axis": 1}
    with np.errstate(all="ignore"):
        return Convergence(
            rhat=np.asarray(array_stats.rhat(draws, **axes)),
            ess_bulk=np.asarray(array_stats.ess(draws, method="bulk", **axes)),
            ess_tail=np.asarray(array_stats.ess(draws, method="tail", prob=(tail, 1 - tail), **axes)),
            mcse=np.asarray(array_stats.mcse(draws, method="mean", **axes)),
        )


def _worst(values: Mapping[str, FloatArray], highest: bool) -> tuple[str, float]:
    """Name and value of the worst entry; NaN is worse than any number."""
    name, value = "", -np.inf if highest else np.inf
    for key, array in values.items():
        flat = np.asarray(array, dtype=float).ravel()
        if flat.size == 0:
            continue
        missing = np.flatnonzero(~np.isfinite(flat))
        if missing.size:
            return f"{key}[{missing[0]}]", float("nan")
        at = int(flat.argmax() if highest else flat.argmin())
        if (flat[at] > value) == highest and flat[at] != value:
            name, value = f"{key}[{at}]" if flat.size > 1 else key, float(flat[at])
    return name, value


def check_convergence(draws: Mapping[str, FloatArray], what: str) -> list[CheckResult]:
    """R-hat and effective draws of everything named, worst case each.

    Parameters
    ----------
    draws
        Arrays of shape (chain, draw, ...).
    what
        Words put before the check's name: ``"parameters"`` or ``"reported quantities"``.
    """
    found = {name: convergence(array) for name, array in draws.items()}
    worst_rhat = _worst({name: c.rhat for name, c in found.items()}, highest=True)
    worst_bulk = _worst({name: c.ess_bulk for name, c in found.items()}, highest=False)
    worst_tail = _worst({name: c.ess_tail for name, c in found.items()}, highest=False)
    return [
        below(f"R-hat of {what}", *worst_rhat, limits.RHAT_BELOW),
        at_least(f"bulk effective draws of {what}", *worst_bulk, limits.ESS_AT_LEAST),
        at_least(f"tail effective draws of {what}", *worst_tail, limits.ESS_AT_LEAST),
    ]


def check_weighted(draws: Mapping[str, FloatArray], weights: FloatArray, what: str) -> list[CheckResult]:
    """Effective draws of everything named under importance weights, worst case each.

    Parameters
    ----------
    draws
        Arrays of shape (chain, draw, ...).
    weights
        Shape (chain, draw), summing to one.
    """
    found = {name: effective_draws(array.reshape(*weights.shape, -1), weights, 0.05) for name, array in draws.items()}
    tails = {name: pareto_k(array.reshape(*weights.shape, -1), weights) for name, array in draws.items()}
    return [
        below(f"k-hat of {what}", *_worst(tails, highest=True), limits.PARETO_K_BELOW),
        at_least(
            f"bulk effective draws of {what}",
            *_worst({name: parts[0] for name, parts in found.items()}, highest=False),
            limits.ESS_AT_LEAST,
        ),
        at_least(
            f"tail effective draws of {what}",
            *_worst({name: parts[1] for name, parts in found.items()}, highest=False),
            limits.ESS_AT_LEAST,
        ),
    ]


def check_pareto(value: float) -> CheckResult:
    """k-hat of the importance weights themselves."""
    return below("Pareto k-hat of the importance weights", "all draws", value, limits.PARETO_K_BELOW)


def check_sampler(diverging: npt.NDArray[np.bool_], energy: FloatArray) -> list[CheckResult]:
    """Divergences and E-BFMI of a NUTS run, arrays of shape (chain, draw)."""
    fractions = np.atleast_1d(np.asarray(array_stats.bfmi(energy, chain_axis=0, draw_axis=1), dtype=float))
    lowest = float("nan") if not np.isfinite(fractions).all() else float(fractions.min())
    return [
        at_most(
            "divergent transitions",
            "all chains",
            float(np.asarray(diverging, dtype=float).sum()),
            limits.DIVERGENCES_AT_MOST,
        ),
        at_least(
            "E-BFMI",
            f"chain {int(np.nanargmin(fractions)) if np.isfinite(fractions).any() else '?'}",
            lowest,
            limits.EBFMI_AT_LEAST,
        ),
    ]
