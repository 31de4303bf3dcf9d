"""Several posteriors of one quantity as one: mixtures of draws, the fraction of missing information, worst verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from riskmodels.fit.checks import CheckResult

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MissingInformation:
    """How much of what is known of each quantity was lost with the missing answers.

    Parameters
    ----------
    within, between
        Average variance of one completed set's posterior, and variance of its means between sets.
    fraction
        Fraction of missing information, 0 to 1: 0.4 means intervals as wide as if 40 % of the information were lost.
    """

    within: FloatArray
    between: FloatArray
    fraction: FloatArray


def missing_information(means: FloatArray, variances: FloatArray) -> MissingInformation:
    """Fraction of missing information from the means and variances of completed sets.

    Parameters
    ----------
    means, variances
        Shapes (imputations, quantities).

    Returns
    -------
    MissingInformation
        0 where there is one set.

    References
    ----------
    Rubin 1987, Multiple imputation for nonresponse in surveys, chapter 3: ``(r + 2 / (v + 3)) / (r + 1)`` with
    ``r = (1 + 1/M) between / within`` and ``v = (M - 1)(1 + 1/r)^2``; compare Barnard & Rubin 1999, Biometrika 86.

    Examples
    --------
    >>> import numpy as np
    >>> found = missing_information(np.array([[0.0], [1.0], [2.0]]), np.ones((3, 1)))
    >>> float(found.within[0]), float(found.between[0]), round(float(found.fraction[0]), 4)
    (1.0, 1.0, 0.6654)
    """
    count, within = len(means), variances.mean(axis=0)
    if count == 1:
        zero = np.zeros(means.shape[1])
        return MissingInformation(within, zero, zero)
    between = means.var(axis=0, ddof=1)
    with np.errstate(all="ignore"):
        ratio = (1 + 1 / count) * between / within
        degrees = (count - 1) * (1 + 1 / ratio) ** 2
        fraction = np.where(ratio > 0, (ratio + 2 / (degrees + 3)) / (ratio + 1), 0.0)
    return MissingInformation(within, between, np.minimum(fraction, 1.0))


def equal_mixture(
    draws: Sequence[FloatArray], weights: Sequence[FloatArray | None]
) -> tuple[list[FloatArray], FloatArray]:
    """Draws of several posteriors laid out as one, and weights by which each posterior counts the same.

    Parameters
    ----------
    draws
        Shapes (chain, draw, ...), one per posterior.
    weights
        Shapes (chain, draw), summing to one; None where all draws of that posterior count the same.

    Returns
    -------
    tuple
        The draws, to be joined along their second axis, and the weights, joined, summing to one. Where the numbers of
        chains differ all draws stand in one chain.
    """
    own = [np.full(d.shape[:2], 1 / (d.shape[0] * d.shape[1])) if w is None else w for d, w in zip(draws, weights)]
    parts = list(draws)
    if len({d.shape[0] for d in draws}) > 1:
        parts = [d.reshape(1, -1, *d.shape[2:]) for d in draws]
        own = [w.reshape(1, -1) for w in own]
    return parts, np.concatenate(own, axis=1) / len(draws)


def worst_checks(verdicts: Sequence[Sequence[CheckResult]]) -> tuple[CheckResult, ...]:
    """One verdict per check: the worst of all sets, which is named; a set that was not checked is a failure."""
    found: dict[str, list[tuple[int, CheckResult]]] = {}
    for number, checks in enumerate(verdicts, start=1):
        unchecked = CheckResult("checks", "all", float("nan"), "some run", passed=False)
        for check in checks or (unchecked,):
            found.setdefault(check.name, []).append((number, check))

    def badness(pair: tuple[int, CheckResult]) -> tuple[bool, bool, float]:
        check = pair[1]
        sign = -1.0 if check.rule.startswith(">") else 1.0
        return not check.passed, bool(np.isnan(check.value)), float(np.nan_to_num(sign * check.value))

    worst = (max(pairs, key=badness) for pairs in found.values())
    return tuple(replace(check, worst_case=f"imputation {number}: {check.worst_case}") for number, check in worst)
