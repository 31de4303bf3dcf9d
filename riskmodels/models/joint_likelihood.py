"""Likelihood of joint answers under the log-linear model with pairs, and its derivatives, country by country.

A country's coefficients are, for every covariate of its cells, one number per risk (main effects), then one per pair
(associations), then one for each step from two risks to three, from three to four, and so on. Patterns with unknown answers are summed over: their likelihood is not log-concave, and the information
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
#: Logs from which tables are worked out by logs.
LARGEST_LOG = 600.0


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
    steps
        Number of step coefficients: J - 2, or 0 where how many risks a child has is left to the pairs.
    main, association
        Covariates of every cell, shapes (countries, places, covariates).
    n
        Effective number of children, shape (countries, places).
    statistics
        Children with each risk, each free pair, and at least 3, 4, ... risks among complete answers, shape (countries,
        places, J + pairs + steps).
    incomplete
        The other answers.
    missing_information
        What unknown answers take from the information, shape (countries, D, D); see `settled_at`.
    """

    risks: int
    free: IntArray
    steps: int
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
    def size(self) -> int:
        """Number of coefficients of a country, D."""
        return self.risks * self.main.shape[-1] + len(self.free) * self.association.shape[-1] + self.steps

    @property
    def _blocks(self) -> list[tuple[slice, FloatArray]]:
        """Statistics and covariates of main effects, associations and steps."""
        first, second = self.risks, self.risks + len(self.free)
        ones = np.ones((*self.n.shape, 1))
        blocks = [
            (slice(0, first), self.main),
            (slice(first, second), self.association),
            (slice(second, second + self.steps), ones),
        ]
        return [(at, own) for at, own in blocks if at.stop > at.start]

    def cell_parameters(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Main effects (points, countries, places, J), and associations of each distinct table (points, tables, pairs)."""
        split, end = self.risks * self.main.shape[-1], self.size - self.steps
        lead = coefficients.shape[:-1]
        main = coefficients[..., :split].reshape(*lead, self.main.shape[-1], self.risks)
        pairs = coefficients[..., split:end].reshape(*lead, self.association.shape[-1], len(self.free))
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
        if self.steps:
            heights = np.zeros((self.risks + 1, points, coefficients.shape[1]))
            heights[3:] = np.cumsum(np.moveaxis(coefficients[..., -self.steps :], -1, 0), axis=0)
            table *= np.exp(heights)[self.index.held][:, :, self.table_covariates[:, 0].astype(int)]
        return table, np.exp(np.moveaxis(main.reshape(points, -1, self.risks), -1, 0))

    def _overflows(self, coefficients: FloatArray) -> bool:
        """Whether some table might hold a number too large for a double."""
        main, associations = self.cell_parameters(coefficients)
        bound = np.maximum(main, 0).sum(axis=-1).max() + np.maximum(associations, 0).sum(axis=-1).max()
        steps = np.cumsum(coefficients[..., self.size - self.steps :], axis=-1)
        return bool(bound + max(float(steps.max(initial=0.0)), 0.0) > LARGEST_LOG)

    def _whole_tables(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray | float]:
        """Unnormalised tables of every cell, shape (2^J, points, cells), and the log of what they were divided by."""
        if self._overflows(coefficients):
            return self._tables_by_logs(coefficients)
        table, odds = self._tables(coefficients)
        spread = table[:, :, self.table_of_cell].reshape(len(table), -1)
        whole = unnormalised_table(spread, odds.reshape(self.risks, -1)).reshape(len(table), *odds.shape[1:])
        return whole, 0.0

    def _tables_by_logs(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same pattern by pattern, each table divided by its largest number: slow, and never too large."""
        main, associations = self.cell_parameters(coefficients)
        points = len(main)
        statistics, has = self._statistics_of_patterns(), has_risk(self.risks)
        held = statistics[:, self.risks : self.risks + len(self.free)]
        log = np.tensordot(held, associations, axes=(1, 2))[:, :, self.table_of_cell]
        log = log + np.einsum("kj,ncj->knc", has, main.reshape(points, -1, self.risks))
        first, second = (np.delete(part, self.free) for part in np.triu_indices(self.risks, 1))
        log[(has[:, first] * has[:, second]).any(axis=1)] = -np.inf
        if self.steps:
            at_least = statistics[:, self.risks + len(self.free) :]
            country = np.repeat(np.arange(self.n.shape[0]), self.n.shape[1])
            log = log + np.einsum("ks,ncs->knc", at_least, coefficients[..., -self.steps :])[:, :, country]
        scale = log.max(axis=0)
        return np.exp(log - scale), scale

    def _at_once(self) -> int:
        return max(1, NUMBERS_AT_ONCE // (2**self.risks * self.n.size))

    def _in_parts(self, coefficients: FloatArray) -> list[FloatArray]:
        step = self._at_once()
        return [coefficients[at : at + step] for at in range(0, len(coefficients), step)]

    def probabilities(self, coefficients: FloatArray) -> FloatArray:
        """Pattern probabilities, shape (2^J, points, countries x places)."""
        table, _ = self._whole_tables(coefficients)
        return np.asarray(table / table.sum(axis=0))

    def log_density(self, coefficients: FloatArray) -> FloatArray:
        """Log likelihood of every country, shape (points, countries)."""
        return np.concatenate([self._log_density(part) for part in self._in_parts(coefficients)])

    def _log_density(self, coefficients: FloatArray) -> FloatArray:
        points = len(coefficients)
        total = np.einsum("cd,ncd->nc", self._observed(), coefficients)
        if len(self.incomplete) or self._overflows(coefficients):
            whole, scale = self._whole_tables(coefficients)
            log_sums = np.log(whole.sum(axis=0)) + scale
            if len(self.incomplete):
                inside = np.zeros((self.n.size, points))
                with np.errstate(divide="ignore"):  # answers less likely than the smallest number: no weight
                    found = np.log(self._completed(whole))
                if not isinstance(scale, float):
                    found = found + scale[:, self.incomplete.cell].T
                np.add.at(inside, self.incomplete.cell, self.incomplete.count[:, None] * found)
                total += inside.reshape(*self.n.shape, points).sum(axis=1).T
        else:
            log_sums = np.log(self._sums(*self._tables(coefficients)))
        return np.asarray(total - (self.n * log_sums.reshape(points, *self.n.shape)).sum(axis=-1))

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
        """Sum cells' statistics (points, countries, places, statistics) by covariates: (points, countries, D)."""
        lead = statistics.shape[:2]
        parts = [np.einsum("cma,ncmj->ncaj", own, statistics[..., at]) for at, own in self._blocks]
        return np.concatenate([part.reshape(*lead, -1) for part in parts], axis=-1)

    def _at_least(self, table: FloatArray) -> FloatArray:
        """P(at least 3, 4, ... risks), shape (steps, points, cells)."""
        number = np.add.reduceat(table[self.index.by_number], self.index.starts, axis=0)
        return np.cumsum(number[::-1], axis=0)[::-1][3:][: self.steps]

    def _moments(self, table: FloatArray) -> FloatArray:
        """Expected statistics of tables, shape (statistics, points, cells); the table's memory is used."""
        at_least = self._at_least(table) if self.steps else table[:0]
        own = subset_moments(table)[self.index.subsets[self._used]]
        return np.concatenate([own, at_least])

    def _second_moments(self, table: FloatArray) -> FloatArray:
        """Expected products of statistics, shape (statistics, statistics, points, cells)."""
        used, count = self._used, self.risks + len(self.free)
        out = np.empty((count + self.steps, count + self.steps, *table.shape[1:]))
        if self.steps:
            at_least = self._at_least(table)
            larger = np.maximum.outer(np.arange(self.steps), np.arange(self.steps))
            out[count:, count:] = at_least[larger]
            out[:count, count:] = self._with_at_least(table)
            out[count:, :count] = np.swapaxes(out[:count, count:], 0, 1)
        out[:count, :count] = subset_moments(table)[self.index.unions[np.ix_(used, used)]]
        return out

    def _with_at_least(self, table: FloatArray) -> FloatArray:
        """P(a risk or a pair, and at least 3, 4, ... risks), shape (J + pairs, steps, points, cells)."""
        flat, statistics = (
            table.reshape(len(table), -1),
            self._statistics_of_patterns()[:, : self.risks + len(self.free)],
        )
        total = np.zeros((statistics.shape[1], flat.shape[1]))
        found = np.empty((statistics.shape[1], self.steps, flat.shape[1]))
        for number in range(self.risks, 2, -1):
            patterns = np.flatnonzero(self.index.held == number)
            total = total + statistics[patterns].T @ flat[patterns]
            found[:, number - 3] = total
        return found.reshape(*found.shape[:2], *table.shape[1:])

    @property
    def _used(self) -> IntArray:
        """Positions of single risks and free pairs among all single risks and pairs."""
        return np.concatenate([np.arange(self.risks), self.risks + self.free])

    def _expected_completions(self, whole: FloatArray) -> FloatArray:
        """Children per complete pattern expected of the incomplete ones, shape (2^J, points, cells)."""
        own = self.incomplete
        parts = whole[own.completion, :, own.completion_cell]
        sums = np.add.reduceat(parts, own.starts, axis=0)
        lengths = np.diff(np.append(own.starts, len(own.completion)))
        share = np.divide(own.count[:, None], sums, out=np.zeros_like(sums), where=sums > 0)
        parts *= np.repeat(share, lengths, axis=0)
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
        whole, _ = self._whole_tables(coefficients)
        difference = -self.n.ravel() * (whole / whole.sum(axis=0))
        if len(self.incomplete):
            difference += self._expected_completions(whole)
        cells = np.moveaxis(self._moments(difference), 0, -1).reshape(len(coefficients), *self.n.shape, -1)
        return self._to_coefficients(cells + self.statistics)

    def information(self, coefficients: FloatArray) -> FloatArray:
        """Information of complete answers less what is missing (if known), shape (points, countries, D, D)."""
        found = self.complete_information(coefficients)
        return found if self.missing_information is None else found - self.missing_information

    def complete_information(self, coefficients: FloatArray) -> FloatArray:
        """Information if every answer were known, shape (points, countries, D, D)."""
        return np.concatenate([self._information(part) for part in self._in_parts(coefficients)])

    def _information(self, coefficients: FloatArray) -> FloatArray:
        whole, _ = self._whole_tables(coefficients)
        whole /= whole.sum(axis=0)
        covariance = self._second_moments(whole.copy())
        mean = self._moments(whole)
        covariance -= mean[:, None] * mean[None, :]
        covariance *= self.n.ravel()
        return self._to_matrices(covariance)

    def _to_matrices(self, covariance: FloatArray) -> FloatArray:
        """Sum cells' matrices by covariates: (points, countries, D, D)."""
        cells = covariance.reshape(*covariance.shape[:3], *self.n.shape)
        lead = (covariance.shape[2], self.n.shape[0])
        rows = []
        for at, own in self._blocks:
            row = [
                np.einsum("jkncm,cma,cmb->ncajbk", cells[at, other], own, theirs, optimize=True)
                for other, theirs in self._blocks
            ]
            height = own.shape[-1] * (at.stop - at.start)
            rows.append(np.concatenate([part.reshape(*lead, height, -1) for part in row], axis=-1))
        return np.concatenate(rows, axis=-2)

    def settled_at(self, coefficients: FloatArray) -> JointLikelihood:
        """The same, with what unknown answers take from the information at coefficients of shape (countries, D)."""
        if not len(self.incomplete):
            return self
        own = self.incomplete
        whole, _ = self._whole_tables(coefficients[None])
        parts = whole[own.completion, 0, own.completion_cell]
        lengths = np.diff(np.append(own.starts, len(own.completion)))
        share = parts / np.repeat(np.add.reduceat(parts, own.starts), lengths)
        statistics = self._statistics_of_patterns()[own.completion]
        mean = np.add.reduceat(share[:, None] * statistics, own.starts, axis=0)
        second = self._second_moments(self._expected_completions(whole).copy())[:, :, 0]
        for cell in np.unique(own.cell):
            inside = own.cell == cell
            second[:, :, cell] -= (own.count[inside, None] * mean[inside]).T @ mean[inside]
        return replace(self, missing_information=self._to_matrices(second[:, :, None])[0])

    def _statistics_of_patterns(self) -> FloatArray:
        """Single risks, free pairs, and at least 3, 4, ... risks, of every pattern, shape (2^J, statistics)."""
        has = has_risk(self.risks)
        first, second = (part[self.free] for part in np.triu_indices(self.risks, 1))
        at_least = (self.index.held[:, None] >= 3 + np.arange(self.steps)).astype(float)
        return np.concatenate([has, has[:, first] * has[:, second], at_least], axis=1)
