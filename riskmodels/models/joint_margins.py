"""Margins of joint probabilities of yes/no risks: one risk, two risks, how many risks.

Patterns are numbered by their bits: in pattern ``k`` a child has risk ``j`` where ``(k >> j) & 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Margins:
    """Margins of joint probabilities, leading axes as given.

    Parameters
    ----------
    single
        P(risk), last axis risks.
    both
        P(both risks of a pair), last axis pairs (0, 1), (0, 2), ..., (1, 2), ...
    number
        P(exactly k of the risks), last axis k = 0 ... J.
    """

    single: FloatArray
    both: FloatArray
    number: FloatArray


def has_risk(risks: int) -> FloatArray:
    """Whether a pattern has a risk: 0 or 1, shape (patterns, risks)."""
    return ((np.arange(2**risks)[:, None] >> np.arange(risks)) & 1).astype(float)


def margins_of(probabilities: FloatArray, risks: int) -> Margins:
    """Margins of pattern probabilities, patterns on the last axis.

    Parameters
    ----------
    probabilities
        Shape (..., 2^risks).
    risks
        Number of risks.

    Examples
    --------
    >>> found = margins_of(np.array([0.4, 0.2, 0.3, 0.1]), 2)
    >>> [float(round(p, 3)) for p in (*found.single, *found.both, *found.number)]
    [0.3, 0.4, 0.1, 0.4, 0.5, 0.1]
    """
    has = has_risk(risks)
    first, second = np.triu_indices(risks, 1)
    exactly = (has.sum(axis=1)[:, None] == np.arange(risks + 1)).astype(float)
    return Margins(probabilities @ has, probabilities @ (has[:, first] * has[:, second]), probabilities @ exactly)
