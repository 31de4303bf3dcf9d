"""Made-up children with several risks and known truth: whom has which risks together, per country and subgroup.

Three truths, none of which is a model of this package: a multivariate probit whose tetrachoric correlations are free
and differ by country, a two-factor model, and independent risks. Children are drawn as counts of answer patterns, fast
enough for studies of hundreds of replicates; `joint_survey.py` makes a whole labelled survey of the same truths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt
from scipy import stats

from riskmodels.survey.synthetic.joint_integration import (
    correlations_of,
    factor_points,
    free_loadings,
    pattern_probabilities,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Subgroups of the truths: 2 x 3.
SUBGROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gender", ("boy", "girl")),
    ("age_group", ("younger", "middle", "older")),
)
#: Average share affected, risk by risk, repeated where there are more risks.
SHARES = (0.15, 0.06, 0.08, 0.04, 0.10, 0.20, 0.05, 0.03)
#: Nodes per factor of a two-factor quadrature, and of one of four factors, strongest first.
NODES, PROBIT_NODES = 40, (32, 18, 14, 12)


@dataclass(frozen=True, eq=False)
class JointTruth:
    """What is true of several risks of made-up children, per cell (country x subgroup), country slowest.

    Parameters
    ----------
    kind
        ``"probit"``, ``"two factors"`` or ``"independent"``.
    countries
        Codes.
    subgroups
        Factors of subgroups and their levels.
    liability
        Mean of every risk's normal liability; a child has the risk where it exceeds zero; shape (cells, risks).
    correlation
        Tetrachoric correlations, shape (countries, risks, risks).
    probabilities
        P(pattern), shape (cells, 2^risks); in pattern k a child has risk j where ``(k >> j) & 1``.
    error
        Largest error of a probability, from a second integration; 0 where exact.
    share
        Share of the children of a country in each of its cells, shape (cells,).
    """

    kind: str
    countries: tuple[str, ...]
    subgroups: tuple[tuple[str, tuple[str, ...]], ...]
    liability: FloatArray
    correlation: FloatArray
    probabilities: FloatArray
    error: float
    share: FloatArray

    @property
    def risks(self) -> int:
        """Number of risks."""
        return self.liability.shape[1]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the risks: risk_1, risk_2, ..."""
        return tuple(f"risk_{number + 1}" for number in range(self.risks))

    @property
    def index(self) -> IntArray:
        """Level positions of every cell: country, then each factor of subgroups."""
        return _cells(self.countries, self.subgroups)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs (0, 1), (0, 2), ..., (1, 2), ..."""
        return [(one, other) for one in range(self.risks) for other in range(one + 1, self.risks)]

    @cached_property
    def _has(self) -> npt.NDArray[np.bool_]:
        return ((np.arange(2**self.risks)[:, None] >> np.arange(self.risks)) & 1).astype(bool)

    @cached_property
    def single(self) -> FloatArray:
        """True P(risk) per cell, shape (cells, risks)."""
        return self.probabilities @ self._has

    @cached_property
    def both(self) -> FloatArray:
        """True P(both) per cell and pair, shape (cells, pairs)."""
        return self.probabilities @ np.stack([self._has[:, j] & self._has[:, k] for j, k in self.pairs], axis=1)

    @cached_property
    def number(self) -> FloatArray:
        """True P(exactly k risks) per cell, shape (cells, risks + 1)."""
        return self.probabilities @ (self._has.sum(axis=1)[:, None] == np.arange(self.risks + 1))

    def pooled(self, cell_values: FloatArray, by: Sequence[str] = ("country",)) -> FloatArray:
        """Average a truth of cells over what is not in `by`, cells by their share of a country, countries alike.

        Parameters
        ----------
        cell_values
            Shape (cells, ...).
        by
            ``"country"`` and names of subgroup factors, in this order; empty for all children.
        """
        names = ["country", *(name for name, _ in self.subgroups)]
        sizes = [len(self.countries), *(len(levels) for _, levels in self.subgroups)]
        keep = [names.index(name) for name in by]
        group = np.zeros(len(self.share), dtype=np.int64)
        for place in keep:
            group = group * sizes[place] + self.index[:, place]
        matrix = np.zeros((prod(sizes[place] for place in keep), len(group)))
        matrix[group, np.arange(len(group))] = self.share
        matrix /= matrix.sum(axis=1, keepdims=True)
        return np.tensordot(matrix, cell_values, axes=1)


@dataclass(frozen=True, eq=False)
class JointSample:
    """Made-up children as counts of answer patterns.

    Parameters
    ----------
    truth
        What is true.
    cell
        Cell of every pattern, shape (patterns,).
    answers
        1, 0 or -1 (not known), shape (patterns, risks).
    n
        Children with this pattern; those without any known answer are left out.
    """

    truth: JointTruth
    cell: IntArray
    answers: IntArray
    n: FloatArray


def _cells(countries: Sequence[str], subgroups: Sequence[tuple[str, tuple[str, ...]]]) -> IntArray:
    sizes = [range(len(countries)), *(range(len(levels)) for _, levels in subgroups)]
    return np.array(list(product(*sizes)), dtype=np.int64).reshape(-1, len(sizes))


def _liabilities(
    rng: np.random.Generator, index: IntArray, sizes: Sequence[int], shares: FloatArray, country_sd: float
) -> FloatArray:
    """Means of liabilities: a risk's own, its country's (half shared by all risks), its subgroup's."""
    risks = len(shares)
    found = np.tile(stats.norm.ppf(shares), (len(index), 1))
    for place, size in enumerate(sizes):
        shared, own = rng.normal(size=(size, 1)), rng.normal(size=(size, risks))
        spread = country_sd if place == 0 else 0.15
        effect = spread * (shared + own) / np.sqrt(2)
        if place > 0:
            effect -= effect.mean(axis=0)
        found += effect[index[:, place]]
    return found


def _frame_of_truth(
    seed: int, salt: int, risks: int, countries: int, country_sd: float
) -> tuple[np.random.Generator, tuple[str, ...], IntArray, FloatArray, FloatArray]:
    """What all truths share: generator, country codes, cells, liabilities, shares of cells."""
    rng = np.random.default_rng([seed, salt])
    codes = tuple(f"X{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(countries))
    index = _cells(codes, SUBGROUPS)
    sizes = [countries, *(len(levels) for _, levels in SUBGROUPS)]
    shares = np.resize(SHARES, risks)
    liability = _liabilities(rng, index, sizes, shares, country_sd)
    per_country = len(index) // countries
    share = rng.dirichlet(np.full(per_country, 30.0), countries).ravel()
    return rng, codes, index, liability, share


def probit_truth(
    seed: int = 1, *, risks: int = 8, countries: int = 13, country_sd: float = 0.25, correlation_sd: float = 0.1
) -> JointTruth:
    """Make a multivariate probit truth with free tetrachoric correlations that differ by country.

    Parameters
    ----------
    seed
        Same seed, same truth.
    risks, countries
        Numbers; each country has 2 genders x 3 age groups.
    country_sd
        SD of countries' effects on liabilities.
    correlation_sd
        SD of countries' correlations, on Fisher's scale.

    Returns
    -------
    JointTruth
        Probabilities by Gauss-Hermite quadrature over the four factors that any correlations of eight risks nearly come
        down to (26 numbers for 28 pairs); `error` is the difference to a coarser one (around 1e-6).

    Examples
    --------
    >>> truth = probit_truth(risks=3, countries=2)
    >>> truth.single.shape, truth.both.shape, truth.number.shape, bool(truth.error < 1e-4)
    ((12, 3), (12, 3), (12, 4), True)
    """
    rng, codes, index, liability, share = _frame_of_truth(seed, 11, risks, countries, country_sd)
    loadings = free_loadings(rng, countries, risks, correlation_sd)
    correlation, own = correlations_of(loadings)
    nodes = PROBIT_NODES[: loadings.shape[-1]]
    fine, coarse = (
        pattern_probabilities(liability, index[:, 0], loadings, own, *factor_points(used))
        for used in (nodes, [count - 2 for count in nodes])
    )
    error = float(np.abs(fine - coarse).max())
    return JointTruth("probit", codes, SUBGROUPS, liability, correlation, fine, error, share)


def two_factor_truth(seed: int = 1, *, risks: int = 8, countries: int = 13, country_sd: float = 0.25) -> JointTruth:
    """Make a truth of two normal factors of a child, the same in all countries.

    Parameters
    ----------
    seed, risks, countries, country_sd
        As in `probit_truth`.

    Returns
    -------
    JointTruth
        Probabilities by Gauss-Hermite quadrature; `error` is the difference to a coarser one (under 1e-6).

    Examples
    --------
    >>> truth = two_factor_truth(risks=4, countries=2)
    >>> bool(abs(truth.probabilities.sum(axis=1) - 1).max() < 1e-12)
    True
    """
    rng, codes, index, liability, share = _frame_of_truth(seed, 22, risks, countries, country_sd)
    # Two kinds of risks: within a kind they go together more than one factor could say of all.
    kind = np.where(np.arange(risks) < risks / 2, 1.0, -1.0)
    first, second = rng.uniform(0.45, 0.7, risks), kind * rng.uniform(0.25, 0.45, risks)
    loadings = np.tile(np.column_stack([first, second]), (countries, 1, 1))
    correlation, own = correlations_of(loadings)
    fine, coarse = (
        pattern_probabilities(liability, index[:, 0], loadings, own, *factor_points((nodes, nodes)))
        for nodes in (NODES, NODES - 8)
    )
    error = float(np.abs(fine - coarse).max())
    return JointTruth("two factors", codes, SUBGROUPS, liability, correlation, fine, error, share)


def independent_truth(seed: int = 1, *, risks: int = 8, countries: int = 13, country_sd: float = 0.25) -> JointTruth:
    """Make a truth in which no risk has to do with another within a cell; exact.

    Parameters
    ----------
    seed, risks, countries, country_sd
        As in `probit_truth`.

    Examples
    --------
    >>> truth = independent_truth(risks=2, countries=2)
    >>> bool(abs(truth.both[:, 0] - truth.single.prod(axis=1)).max() < 1e-15)
    True
    """
    _, codes, index, liability, share = _frame_of_truth(seed, 33, risks, countries, country_sd)
    alone = np.zeros((countries, risks, 1))
    found = pattern_probabilities(
        liability, index[:, 0], alone, np.ones((countries, risks)), np.zeros((1, 1)), np.ones(1)
    )
    every = np.tile(np.eye(risks), (countries, 1, 1))
    return JointTruth("independent", codes, SUBGROUPS, liability, every, found, 0.0, share)


def simulate_joint(truth: JointTruth, seed: int = 1, *, children: int = 13_000, unanswered: float = 0.0) -> JointSample:
    """Draw children of a truth, equally many per country.

    Parameters
    ----------
    truth
        What is true.
    seed
        Same seed, same children.
    children
        All children.
    unanswered
        Share of answers that are not known, whatever they are.

    Examples
    --------
    >>> sample = simulate_joint(independent_truth(risks=2, countries=2), children=600)
    >>> int(sample.n.sum()), sample.answers.shape[1]
    (600, 2)
    """
    rng = np.random.default_rng([seed, 20_261])
    countries, size = len(truth.countries), len(truth.share)
    per_cell = rng.multinomial(children // countries, truth.share.reshape(countries, -1)).ravel()
    counts = rng.multinomial(per_cell, truth.probabilities / truth.probabilities.sum(axis=1, keepdims=True))
    cell, pattern = np.nonzero(counts)
    n = counts[cell, pattern]
    answers = ((pattern[:, None] >> np.arange(truth.risks)) & 1).astype(np.int64)
    if unanswered:
        cell, answers = np.repeat(cell, n), np.repeat(answers, n, axis=0)
        answers = np.where(rng.uniform(size=answers.shape) < unanswered, -1, answers)
        rows = np.column_stack([cell, answers])[(answers >= 0).any(axis=1)]
        # One number per row: children are counted many times faster than rows are compared.
        key = rows[:, 0] + size * ((rows[:, 1:] + 1) @ (3 ** np.arange(truth.risks)))
        _, first, n = np.unique(key, return_index=True, return_counts=True)
        cell, answers = rows[first, 0], rows[first, 1:]
    return JointSample(truth, cell, answers, n.astype(float))
