"""The only loop over rows: products of item and outcome vectors summed over skill, and what flows back to both."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def row_sums(
    items: FloatArray,
    outcomes: FloatArray,
    row_item: IntArray,
    row_outcome: IntArray,
    count: FloatArray,
    backward: bool,
) -> tuple[float, FloatArray, FloatArray]:
    """Sum of ``count log(items[i] . outcomes[o])`` over rows, and its derivatives in both (zeros where not wanted).

    Parameters
    ----------
    items, outcomes
        Likelihoods at every node, shapes (patterns, nodes) and (combinations, nodes).
    row_item, row_outcome, count
        The rows.
    backward
        Whether derivatives are wanted.
    """
    nodes = items.shape[1]
    to_items, to_outcomes = np.zeros_like(items), np.zeros_like(outcomes)
    total = 0.0
    for row in range(len(count)):
        i, o = row_item[row], row_outcome[row]
        # four partial sums: a single one would wait for itself
        first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
        q = 0
        while q + 4 <= nodes:
            first += items[i, q] * outcomes[o, q]
            second += items[i, q + 1] * outcomes[o, q + 1]
            third += items[i, q + 2] * outcomes[o, q + 2]
            fourth += items[i, q + 3] * outcomes[o, q + 3]
            q += 4
        while q < nodes:
            first += items[i, q] * outcomes[o, q]
            q += 1
        likelihood = max(first + second + third + fourth, 1e-300)
        total += count[row] * np.log(likelihood)
        if backward:
            share = count[row] / likelihood
            for q in range(nodes):
                to_items[i, q] += share * outcomes[o, q]
                to_outcomes[o, q] += share * items[i, q]
    return total, to_items, to_outcomes
