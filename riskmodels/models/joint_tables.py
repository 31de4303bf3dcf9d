"""Tables of all answer patterns of log-linear models with pairs: normalising sums, probabilities and their moments.

Patterns lie on the first axis, in the order of `joint_margins.py` (risk ``j`` is bit ``j``); any number of tables side by
side on the last. With ``r = exp(main effect)`` and ``s = exp(association)`` a table is a product, so that nothing is
exponentiated per pattern, and sums over one risk halve it: all costs are a small multiple of 2^J.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riskmodels.models.joint_margins import FloatArray, IntArray, Margins


def pair_positions(risks: int) -> tuple[IntArray, IntArray]:
    """First and second risk of every pair, in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    return np.triu_indices(risks, 1)


@dataclass(frozen=True, eq=False)
class PatternIndex:
    """Where margins stand among subsets of the risks, numbered by their bits.

    Parameters
    ----------
    risks
        Number of risks, J.
    subsets
        Subset of every statistic of the model: J single risks, then all pairs.
    unions
        Subset that two statistics have together, shape (statistics, statistics).
    held
        How many risks every pattern holds, shape (2^J,).
    by_number, starts
        Patterns sorted by how many risks they hold, and where each number begins.
    """

    risks: int
    subsets: IntArray
    unions: IntArray
    held: IntArray
    by_number: IntArray
    starts: IntArray


def pattern_index(risks: int) -> PatternIndex:
    """Number the subsets of so many risks."""
    first, second = pair_positions(risks)
    subsets = np.concatenate([1 << np.arange(risks), (1 << first) | (1 << second)])
    held = np.array([int(pattern).bit_count() for pattern in range(2**risks)])
    order = np.argsort(held, kind="stable")
    starts = np.searchsorted(held[order], np.arange(risks + 1))
    return PatternIndex(risks, subsets, subsets[:, None] | subsets[None, :], held, order, starts)


def association_table(odds: FloatArray, risks: int) -> FloatArray:
    """Products of the pairs' ``s`` over every pattern: shape (pairs, tables) -> (2^J, tables)."""
    place = {pair: row for row, pair in enumerate(zip(*(part.tolist() for part in pair_positions(risks)), strict=True))}
    table = np.empty((2**risks, odds.shape[1]))
    table[0] = 1.0
    factor = np.empty((2 ** (risks - 1), odds.shape[1]))
    for risk in range(risks):
        half = 1 << risk
        factor[0] = 1.0
        for other in range(risk):
            size = 1 << other
            np.multiply(factor[:size], odds[place[other, risk]], out=factor[size : 2 * size])
        np.multiply(table[:half], factor[:half], out=table[half : 2 * half])
    return table


def normalising_sum(table: FloatArray, odds: FloatArray) -> FloatArray:
    """Sum over all patterns of a table of associations times the single risks' ``r``.

    Parameters
    ----------
    table
        Shape (2^J, tables), or (2^J, tables, 1) where several sets of single risks share one.
    odds
        ``r``, shape (risks, tables) or (risks, tables, sets).
    """
    for risk in range(len(odds) - 1, -1, -1):
        half = 1 << risk
        table = table[:half] + odds[risk] * table[half:]
    return np.asarray(table[0])


def unnormalised_table(table: FloatArray, odds: FloatArray) -> FloatArray:
    """Table of associations times the single risks' ``r``, shape (2^J, tables)."""
    product = np.empty((len(table), odds.shape[-1]))
    product[0] = 1.0
    for risk in range(len(odds)):
        half = 1 << risk
        np.multiply(product[:half], odds[risk], out=product[half : 2 * half])
    product *= table
    return product


def subset_moments(table: FloatArray) -> FloatArray:
    """P(all risks of a subset) for every subset, in place of the table's own memory."""
    risks = len(table).bit_length() - 1
    for risk in range(risks):
        split = table.reshape(-1, 2, 1 << risk, *table.shape[1:])
        split[:, 0] += split[:, 1]
    return table


def margins_of_tables(probabilities: FloatArray, index: PatternIndex) -> Margins:
    """Margins of probabilities with patterns on the first axis; margins come on the first axis too."""
    number = np.add.reduceat(probabilities[index.by_number], index.starts, axis=0)
    moments = subset_moments(probabilities.copy())[index.subsets]
    return Margins(moments[: index.risks], moments[index.risks :], number)
