"""Direct figures of co-occurrence: from the children whose answers are all known, without any model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, stats

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.design.weighting import direct_interval
from riskmodels.estimates.joint_domains import JointDomains
from riskmodels.estimates.pair_measures import PairItems, PairMeasure
from riskmodels.estimates.population_match import add_up

FloatArray = npt.NDArray[np.float64]

#: Effective children in the smallest cell of a 2 x 2 table below which a normal interval is not honest.
LEAST_IN_A_CELL = 5.0


def sum_patterns(counts: JointCounts, values: FloatArray, *, unweighted: bool = False) -> FloatArray:
    """Children of every cell for whom each of some 0/1 values holds, shape (cells, values).

    Parameters
    ----------
    counts
        Joint counts.
    values
        Per pattern, shape (patterns, values).
    unweighted
        Whether every child counts as one, rather than as what it is worth under the design.
    """
    size, each = (len(counts), len(counts.cell)), counts.children if unweighted else counts.count
    matrix = sparse.csr_array((each, (counts.cell, np.arange(len(counts.cell)))), shape=size)
    return np.asarray(matrix @ values)


@dataclass(frozen=True, eq=False)
class AnsweredAverages:
    """Averages over the cells of each domain in which somebody answered.

    Parameters
    ----------
    where
        The domains.
    known
        Effective children of every cell whose answers are known, shape (cells, quantities).
    """

    where: JointDomains
    known: FloatArray

    def total(self, values: FloatArray) -> FloatArray:
        """Sum over the cells of each domain, shape (domains, quantities)."""
        return np.ascontiguousarray(
            add_up(np.ascontiguousarray(values.T), self.where.domains.of_cell, len(self.where)).T
        )

    @property
    def answered_share(self) -> FloatArray:
        """Share of the children of each domain who live in cells where somebody answered."""
        return self.total(np.where(self.known > 0, self.where.domains.share[:, None], 0.0))

    @property
    def weight(self) -> FloatArray:
        """Share of every cell in its domain, cells without answers left out."""
        own = np.where(self.known > 0, self.where.domains.share[:, None], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.known > 0, own / self.answered_share[self.where.domains.of_cell], 0.0)

    def of_cell(self, totals: FloatArray) -> FloatArray:
        """Mean per known child of every cell; 0 where nobody answered."""
        return np.divide(totals, self.known, out=np.zeros_like(totals), where=self.known > 0)

    def average(self, values: FloatArray) -> FloatArray:
        """Mean of each domain; NaN where nobody answered."""
        return np.where(self.answered_share > 0, self.total(self.weight * values), np.nan)

    def variance(self, spread: FloatArray) -> FloatArray:
        """Sampling variance of each domain's mean from the variance between the children of every cell."""
        share = np.divide(self.weight**2, self.known, out=np.zeros_like(self.known), where=self.known > 0)
        return self.total(share * spread)


def _columns(
    where: JointDomains, n_effective: FloatArray, direct: FloatArray, low: FloatArray, high: FloatArray
) -> pd.DataFrame:
    """Direct columns, domains one after another, the quantities of each together."""
    found = {"n_effective": n_effective, "direct": direct, "direct_low": low, "direct_high": high}
    n = np.repeat(where.n, direct.shape[1])
    return pd.DataFrame({"n": n, **{name: values.ravel() for name, values in found.items()}})


def _of_proportion(
    averages: AnsweredAverages,
    value: FloatArray,
    variance: FloatArray,
    equal: FloatArray,
    base: FloatArray,
    probability: float,
) -> pd.DataFrame:
    """Korn-Graubard interval on the effective n that a variance implies; on that of equal children where it is 0."""
    with np.errstate(all="ignore"):
        n_effective = np.minimum(np.where(variance > 0, value * (1 - value) / variance, equal), base)
        value = np.clip(value, 0, 1)
        low, high = direct_interval(value * n_effective, n_effective, probability)
    unknown = np.isnan(value)
    low, high = np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
    return _columns(averages.where, np.where(unknown, 0.0, n_effective), value, low, high)


@dataclass(frozen=True, eq=False)
class PairTables:
    """2 x 2 tables of the children who answered both questions of a pair, per cell and per domain.

    Parameters
    ----------
    averages
        How cells make up domains, known children per cell and row of `items`.
    both, first, second
        Shares of every cell, shape (cells, items).
    seen
        Unweighted children of each domain seen with both risks, shape (domains, items).
    """

    averages: AnsweredAverages
    both: FloatArray
    first: FloatArray
    second: FloatArray
    seen: FloatArray

    @property
    def of_domain(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """P(both), P(first), P(second) of each domain."""
        return (
            self.averages.average(self.both),
            self.averages.average(self.first),
            self.averages.average(self.second),
        )

    @property
    def answered(self) -> FloatArray:
        """Effective children of each domain who answered both questions, shape (domains, items)."""
        return self.averages.total(self.averages.known)

    def columns(self, measure: PairMeasure, probability: float) -> pd.DataFrame:
        """Direct columns of a measure, by the method of `direct_pair_columns`."""
        averages, table = self.averages, self.of_domain
        with np.errstate(all="ignore"):
            value = measure.value(*table)
            of_both, of_first, of_second = (one[averages.where.domains.of_cell] for one in measure.gradient(*table))
            mean = of_both * self.both + of_first * self.first + of_second * self.second
            square = (
                self.both * (of_both + of_first + of_second) ** 2
                + (self.first - self.both) * of_first**2
                + (self.second - self.both) * of_second**2
            )
            variance = averages.variance(np.where(averages.known > 0, np.maximum(square - mean**2, 0.0), 0.0))
        if measure.scale == "proportion":
            base = self.first if measure.name == "given" else np.ones_like(self.first)
            children = averages.total(averages.known * base)
            with np.errstate(all="ignore"):
                equal = averages.average(base) ** 2 / averages.variance(base)
            return _of_proportion(
                averages, value, np.where(variance > 1e-15, variance, 0.0), equal, children, probability
            )
        both, first, second = table
        cells = np.minimum.reduce([both, first - both, second - both, 1 - first - second + both])
        honest = self.answered * cells >= LEAST_IN_A_CELL
        half = stats.norm.ppf(0.5 + probability / 2) * np.sqrt(variance)
        with np.errstate(all="ignore"):
            if measure.scale == "log":
                low, high = value * np.exp(-half), value * np.exp(half)
            else:
                low, high = np.tanh(np.arctanh(value) - half), np.tanh(np.arctanh(value) + half)
        exists = np.isfinite(value)
        low, high = np.where(honest & exists, low, np.nan), np.where(honest & exists, high, np.nan)
        return _columns(averages.where, self.answered, np.where(exists, value, np.nan), low, high)


def pair_tables(where: JointDomains, items: PairItems) -> PairTables:
    """2 x 2 tables of some pairs from the children who answered both questions.

    Parameters
    ----------
    where
        The domains.
    items
        The pairs.
    """
    counts = where.counts
    yes, known = counts.answers == 1, counts.answers != UNKNOWN
    answered = known[:, items.first] & known[:, items.second]
    one, two = answered & yes[:, items.first], answered & yes[:, items.second]
    averages = AnsweredAverages(where, sum_patterns(counts, answered.astype(float)))
    both = sum_patterns(counts, (one & two).astype(float))
    return PairTables(
        averages,
        averages.of_cell(both),
        averages.of_cell(sum_patterns(counts, one.astype(float))),
        averages.of_cell(sum_patterns(counts, two.astype(float))),
        averages.total(sum_patterns(counts, (one & two).astype(float), unweighted=True)),
    )


def direct_pair_columns(
    where: JointDomains, measure: PairMeasure, items: PairItems, probability: float
) -> tuple[PairTables, pd.DataFrame]:
    """Direct estimates of a measure of pairs, with the tables behind them.

    Parameters
    ----------
    where
        The domains.
    measure, items
        What is asked.
    probability
        Coverage aimed at.

    Returns
    -------
    tuple
        The 2 x 2 tables, and the columns of `vocabulary.DIRECT_COLUMNS`, domains one after another. Proportions have a
        Korn-Graubard interval on the effective n of their linearised variance; ratios one on the log scale (that of
        Woolf for odds ratios), correlations one on Fisher's scale, both by the delta method and only where every cell
        of the 2 x 2 table holds 5 effective children.

    References
    ----------
    Woolf 1955, Annals of Human Genetics 19, 251-253; Korn & Graubard 1998, Survey Methodology 24, 193-201.
    """
    tables = pair_tables(where, items)
    return tables, tables.columns(measure, probability)


def direct_share_columns(where: JointDomains, probability: float, known: FloatArray, yes: FloatArray) -> pd.DataFrame:
    """Direct shares of children for whom something holds.

    Parameters
    ----------
    where
        The domains.
    probability
        Coverage aimed at.
    known, yes
        Per pattern whether it is known, and whether it holds, shape (patterns, quantities).
    """
    averages = AnsweredAverages(where, sum_patterns(where.counts, known))
    share = averages.of_cell(sum_patterns(where.counts, known * yes))
    with np.errstate(all="ignore"):
        equal = 1 / averages.variance(np.ones_like(share))
    return _of_proportion(
        averages,
        averages.average(share),
        averages.variance(share * (1 - share)),
        equal,
        averages.total(averages.known),
        probability,
    )


def direct_mean_columns(where: JointDomains, probability: float, known: FloatArray, value: FloatArray) -> pd.DataFrame:
    """Direct means of a number per child, with a normal interval that does not go below 0.

    Parameters
    ----------
    where, probability
        As in `direct_share_columns`.
    known, value
        Per pattern whether it is known, and the number, shape (patterns, quantities).
    """
    averages = AnsweredAverages(where, sum_patterns(where.counts, known))
    mean = averages.of_cell(sum_patterns(where.counts, known * value))
    square = averages.of_cell(sum_patterns(where.counts, known * value**2))
    direct, children = averages.average(mean), averages.total(averages.known)
    error = np.sqrt(averages.variance(np.maximum(square - mean**2, 0.0)))
    half = np.where(error > 0, stats.norm.ppf(0.5 + probability / 2) * error, np.nan)
    return _columns(where, children, direct, np.maximum(direct - half, 0.0), direct + half)
