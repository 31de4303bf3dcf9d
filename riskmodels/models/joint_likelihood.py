"""Likelihood of joint answers under the log-linear model with pairs, and its derivatives, country by country.

A country's coefficients are, for every covariate of its cells, one number per risk (main effects), then one per pair
(associations). Patterns with unknown answers are summed over: their likelihood is not log-concave, and the information
given is that of complete answers less what is missing at one point, which stays close.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from riskmodels.models.joint_margins import has_risk
from riskmodels.models.joint_tables import (
    PatternIndex,
    association_table,
    normalising_sum,
    pattern_index,
    subset_moments,
    unnormalised_table,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Numbers in the largest array worked on at once: what stays in a processor's cache.
NUMBERS_AT_ONCE = 300_000


@dataclass(frozen=True, eq=False)
class Incomplete:
    """Patterns with unknown answers, and all ways to complete them.

    Parameters
    ----------
    cell, count
        Flat cell and effective number of children of each pattern.
    completion, completion_cell
        Complete patterns, one run after another, and their cells.
    starts
        Where each pattern's run begins.
    """

    cell: IntArray
    count: FloatArray
    completion: IntArray
    completion_cell: IntArray
    starts: IntArray

    def __len__(self) -> int:
        """Number of patterns."""
        return len(self.count)


@dataclass(frozen=True, eq=False)
class JointLikelihood:
    """Counts of patterns in cells that are sorted into countries and padded with empty ones.

    Parameters
    ----------
    risks
        Number of risks, J.
    free
        Pairs that have an association (positions among all pairs); the others are impossible.
    main, association
        Covariates of every cell, shapes (countries, places, covariates).
    n
        Effective number of children, shape (countries, places).
    statistics
        Children with each risk and each free pair among complete answers, shape (countries, places, J + pairs).
    incomplete
        The other answers.
    missing_information
        What unknown answers take from the information, shape (countries, D, D); see `settled_at`.
    """

    risks: int
    free: IntArray
    main: FloatArray
    association: FloatArray
    n: FloatArray
    statistics: FloatArray
    incomplete: Incomplete
    missing_information: FloatArray | None = None
    index: PatternIndex = field(init=False)
    table_of_cell: IntArray = field(init=False)
    table_covariates: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        """Number the patterns, and the distinct associations that cells have."""
        object.__setattr__(self, "index", pattern_index(self.risks))
        countries, places, width = self.association.shape
        of_cell = np.concatenate(
            [np.repeat(np.arange(countries), places)[:, None], self.association.reshape(-1, width)], axis=1
        )
        distinct, place = np.unique(of_cell, axis=0, return_inverse=True)
        object.__setattr__(self, "table_of_cell", place.reshape(-1))
        object.__setattr__(self, "table_covariates", distinct)

    @property
    def statistics_used(self) -> IntArray:
        """Positions of single risks and free pairs among all single risks and pairs."""
        return np.concatenate([np.arange(self.risks), self.risks + self.free])

    @property
    def size(self) -> int:
        """Number of coefficients of a country, D."""
        return self.risks * self.main.shape[-1] + len(self.free) * self.association.shape[-1]

    def cell_parameters(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Main effects (points, countries, places, J), and associations of each distinct table (points, tables, pairs)."""
        split = self.risks * self.main.shape[-1]
        main = coefficients[..., :split].reshape(*coefficients.shape[:-1], -1, self.risks)
        pairs = coefficients[..., split:].reshape(*coefficients.shape[:-1], -1, len(self.free))
        country, covariates = self.table_covariates[:, 0].astype(int), self.table_covariates[:, 1:]
        associations = np.einsum("ta,ntap->ntp", covariates, pairs[:, country])
        return self.main @ main, associations

    def _tables(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Association tables (2^J, points, tables), and odds of single risks (J, points, cells)."""
        main, associations = self.cell_parameters(coefficients)
        points, tables = associations.shape[:2]
        odds = np.zeros((self.risks * (self.risks - 1) // 2, points, tables))
        odds[self.free] = np.exp(associations).transpose(2, 0, 1)
        table = association_table(odds.reshape(len(odds), -1), self.risks).reshape(-1, points, tables)
        return table, np.exp(np.moveaxis(main.reshape(points, -1, self.risks), -1, 0))

    def _whole_tables(self, coefficients: FloatArray) -> FloatArray:
        """Unnormalised tables of every cell, shape (2^J, points, cells)."""
        table, odds = self._tables(coefficients)
        spread = table[:, :, self.table_of_cell].reshape(len(table), -1)
        return unnormalised_table(spread, odds.reshape(self.risks, -1)).reshape(len(table), *odds.shape[1:])

    def _at_once(self) -> int:
        return max(1, NUMBERS_AT_ONCE // (2**self.risks * self.n.size))

    def _in_parts(self, coefficients: FloatArray) -> list[FloatArray]:
        step = self._at_once()
        return [coefficients[at : at + step] for at in range(0, len(coefficients), step)]

    def probabilities(self, coefficients: FloatArray) -> FloatArray:
        """Pattern probabilities, shape (2^J, points, countries x places)."""
        table = self._whole_tables(coefficients)
        return np.asarray(table / table.sum(axis=0))

    def log_density(self, coefficients: FloatArray) -> FloatArray:
        """Log likelihood of every country, shape (points, countries)."""
        return np.concatenate([self._log_density(part) for part in self._in_parts(coefficients)])

    def _log_density(self, coefficients: FloatArray) -> FloatArray:
        points = len(coefficients)
        total = np.einsum("cd,ncd->nc", self._observed(), coefficients)
        if len(self.incomplete):
            whole = self._whole_tables(coefficients)
            normalising = whole.sum(axis=0)
            found = np.log(self._completed(whole))
            inside = np.zeros((self.n.size, points))
            np.add.at(inside, self.incomplete.cell, self.incomplete.count[:, None] * found)
            total += inside.reshape(*self.n.shape, points).sum(axis=1).T
        else:
            table, odds = self._tables(coefficients)
            normalising = self._sums(table, odds)
        return np.asarray(total - (self.n * np.log(normalising.reshape(points, *self.n.shape))).sum(axis=-1))

    def _sums(self, table: FloatArray, odds: FloatArray) -> FloatArray:
        """Normalising sum of every cell, shape (points, cells); a country's cells share its table where they can."""
        countries, places = self.n.shape
        if table.shape[-1] == countries:
            shared = normalising_sum(table.reshape(len(table), -1, 1), odds.reshape(self.risks, -1, places))
            return shared.reshape(odds.shape[1:])
        spread = table[:, :, self.table_of_cell]
        return normalising_sum(spread, odds)

    def _completed(self, whole: FloatArray) -> FloatArray:
        """Sums over the completions of every incomplete pattern, shape (patterns, points)."""
        parts = whole[self.incomplete.completion, :, self.incomplete.completion_cell]
        return np.asarray(np.add.reduceat(parts, self.incomplete.starts, axis=0))

    def _observed(self) -> FloatArray:
        """Statistics of complete answers summed to the coefficients, shape (countries, D)."""
        return self._to_coefficients(self.statistics[None])[0]

    def _to_coefficients(self, statistics: FloatArray) -> FloatArray:
        """Sum cells' statistics (points, countries, places, J + pairs) by covariates: (points, countries, D)."""
        main = np.einsum("cma,ncmj->ncaj", self.main, statistics[..., : self.risks])
        pairs = np.einsum("cma,ncmp->ncap", self.association, statistics[..., self.risks :])
        lead = statistics.shape[:2]
        return np.concatenate([main.reshape(*lead, -1), pairs.reshape(*lead, -1)], axis=-1)

    def _expected_completions(self, whole: FloatArray) -> FloatArray:
        """Children per complete pattern expected of the incomplete ones, shape (2^J, points, cells)."""
        own = self.incomplete
        parts = whole[own.completion, :, own.completion_cell]
        sums = np.add.reduceat(parts, own.starts, axis=0)
        lengths = np.diff(np.append(own.starts, len(own.completion)))
        parts *= np.repeat(own.count[:, None] / sums, lengths, axis=0)
        expected = np.zeros((whole.shape[0] * whole.shape[2], whole.shape[1]))
        key = own.completion * whole.shape[2] + own.completion_cell
        order = np.argsort(key, kind="stable")
        targets, first = np.unique(key[order], return_index=True)
        expected[targets] = np.add.reduceat(parts[order], first, axis=0)
        return expected.reshape(whole.shape[0], whole.shape[2], -1).transpose(0, 2, 1)

    def score(self, coefficients: FloatArray) -> FloatArray:
        """First derivative of the log likelihood, shape (points, countries, D)."""
        return np.concatenate([self._score(part) for part in self._in_parts(coefficients)])

    def _score(self, coefficients: FloatArray) -> FloatArray:
        whole = self._whole_tables(coefficients)
        difference = -self.n.ravel() * (whole / whole.sum(axis=0))
        if len(self.incomplete):
            difference += self._expected_completions(whole)
        moments = subset_moments(difference)[self.index.subsets[self.statistics_used]]
        cells = np.moveaxis(moments, 0, -1).reshape(len(coefficients), *self.n.shape, -1)
        return self._to_coefficients(cells + self.statistics)

    def information(self, coefficients: FloatArray) -> FloatArray:
        """Information of complete answers less what is missing (if known), shape (points, countries, D, D)."""
        found = np.concatenate([self._information(part) for part in self._in_parts(coefficients)])
        return found if self.missing_information is None else found - self.missing_information

    def _information(self, coefficients: FloatArray) -> FloatArray:
        whole = self._whole_tables(coefficients)
        moments = subset_moments(whole / whole.sum(axis=0))
        return self._to_matrices(self._covariances(moments, self.n.ravel()))

    def _covariances(self, moments: FloatArray, n: FloatArray) -> FloatArray:
        """Covariance of the statistics in every cell, times its n, shape (statistics, statistics, points, cells)."""
        used = self.statistics_used
        mean = moments[self.index.subsets[used]]
        covariance = moments[self.index.unions[np.ix_(used, used)]]
        covariance -= mean[:, None] * mean[None, :]
        covariance *= n
        return covariance

    def _to_matrices(self, covariance: FloatArray) -> FloatArray:
        """Sum cells' matrices by covariates: (points, countries, D, D)."""
        size, points = len(covariance), covariance.shape[2]
        cells = covariance.reshape(size, size, points, *self.n.shape)
        j = self.risks
        width = (self.main.shape[-1] * j, self.association.shape[-1] * (size - j))
        main, pairs = self.main, self.association
        top = np.einsum("jkncm,cma,cmb->ncajbk", cells[:j, :j], main, main, optimize=True)
        side = np.einsum("jpncm,cma,cmb->ncajbp", cells[:j, j:], main, pairs, optimize=True)
        bottom = np.einsum("pqncm,cma,cmb->ncapbq", cells[j:, j:], pairs, pairs, optimize=True)
        lead = (points, self.n.shape[0])
        out = np.empty((*lead, sum(width), sum(width)))
        out[..., : width[0], : width[0]] = top.reshape(*lead, width[0], width[0])
        out[..., : width[0], width[0] :] = side.reshape(*lead, width[0], width[1])
        out[..., width[0] :, : width[0]] = np.swapaxes(out[..., : width[0], width[0] :], -1, -2)
        out[..., width[0] :, width[0] :] = bottom.reshape(*lead, width[1], width[1])
        return out

    def settled_at(self, coefficients: FloatArray) -> JointLikelihood:
        """The same, with what unknown answers take from the information at coefficients of shape (countries, D)."""
        if not len(self.incomplete):
            return self
        own, used = self.incomplete, self.statistics_used
        whole = self._whole_tables(coefficients[None])
        parts = whole[own.completion, 0, own.completion_cell]
        lengths = np.diff(np.append(own.starts, len(own.completion)))
        share = parts / np.repeat(np.add.reduceat(parts, own.starts), lengths)
        statistics = self._statistics_of_patterns()[own.completion][:, used]
        mean = np.add.reduceat(share[:, None] * statistics, own.starts, axis=0)
        moments = subset_moments(self._expected_completions(whole))
        second = moments[self.index.unions[np.ix_(used, used)]][:, :, 0]
        for cell in np.unique(own.cell):
            inside = own.cell == cell
            second[:, :, cell] -= (own.count[inside, None] * mean[inside]).T @ mean[inside]
        return replace(self, missing_information=self._to_matrices(second[:, :, None])[0])

    def _statistics_of_patterns(self) -> FloatArray:
        """Single risks and pairs of every pattern, shape (2^J, J + all pairs)."""
        has = has_risk(self.risks)
        first, second = np.triu_indices(self.risks, 1)
        return np.concatenate([has, has[:, first] * has[:, second]], axis=1)
