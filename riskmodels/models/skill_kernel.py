"""Marginal log likelihood of the skill pathway with its gradient, skill summed over a fixed grid of equal steps.

On an even grid the sum of a smooth function that dies out at both ends is as good as Gauss-Hermite quadrature with many
more points, and all children share the nodes, whatever the mean of their group: the tables of item probabilities are
then items x levels x nodes, the same for every group.

References
----------
Trefethen & Weideman 2014, SIAM Review 56, 385-458 (sums at equal steps); Bock & Aitkin 1981, Psychometrika 46, 443-459
(latent skill summed out by item response patterns).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from riskmodels.design.skill_rows import UNKNOWN
from riskmodels.models.skill_arrays import SkillArrays
from riskmodels.models.skill_row_sums import row_sums

FloatArray = npt.NDArray[np.float64]
#: Ends of the grid, in SDs of skill within a country.
REACH = 6.0


@dataclass(frozen=True, eq=False)
class SkillPoint:
    """Parameters of the likelihood, or its derivatives in them.

    Parameters
    ----------
    discrimination
        Slope of every item, shape (items,).
    item_threshold
        Thresholds of all items one after the other.
    shift
        What a country adds to all thresholds of an item, shape (shifted items, countries).
    mean
        Mean skill per cell.
    level, slope
        Per cell: logit at skill 0, and effect of skill, of exposure, each strategy, distress; shape (cells, outcomes).
    distress_threshold
        Thresholds of distress.
    on_coping, on_product
        Effects of coping and of skill x coping on distress, shape (mediators,).
    """

    discrimination: FloatArray
    item_threshold: FloatArray
    shift: FloatArray
    mean: FloatArray
    level: FloatArray
    slope: FloatArray
    distress_threshold: FloatArray
    on_coping: FloatArray
    on_product: FloatArray


def ordered_probabilities(eta: FloatArray, thresholds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Probability of every level, and of being at or above it; levels on a new first axis."""
    above = special.expit(eta[None] - thresholds.reshape(-1, *([1] * eta.ndim)))
    edges = np.concatenate([np.ones((1, *eta.shape)), above, np.zeros((1, *eta.shape))])
    return np.maximum(edges[:-1] - edges[1:], 1e-300), edges


@dataclass(frozen=True, eq=False)
class CommonCause:
    """An unmeasured standard normal cause of exposure and distress, summed over a few points.

    Parameters
    ----------
    points, share
        Its values, and their shares.
    on_exposure, on_distress
        What a unit of it adds to either logit.
    """

    points: FloatArray
    share: FloatArray
    on_exposure: float
    on_distress: float

    @property
    def active(self) -> bool:
        """Whether there is one."""
        return self.on_exposure != 0.0


def common_cause(rho: float, points: int = 15) -> CommonCause:
    """The cause that gives the liabilities of exposure and distress this correlation, as strong on one as on the other."""
    if rho == 0:
        return CommonCause(np.zeros(1), np.ones(1), 0.0, 0.0)
    strength = math.sqrt(abs(rho) / (1 - abs(rho)) * math.pi**2 / 3)
    at, weight = np.polynomial.hermite_e.hermegauss(points)
    return CommonCause(at, weight / weight.sum(), strength, math.copysign(strength, rho))


def grid(nodes: int) -> FloatArray:
    """Skill at the nodes."""
    return np.linspace(-REACH, REACH, nodes)


class SkillKernel:
    """The log likelihood of some rows as a function of a `SkillPoint`."""

    def __init__(self, arrays: SkillArrays, nodes: int, rho: float = 0.0) -> None:
        self.arrays, self.cause = arrays, common_cause(rho)
        self.theta = grid(nodes)[None] if arrays.cell_theta is None else arrays.cell_theta
        self.step = 2 * REACH / (nodes - 1)
        self.latent = arrays.cell_theta is None
        self.edges = np.concatenate([[0], np.cumsum(np.array(arrays.levels) - 1)])
        self.combos, self.entries = arrays.sum_combos, arrays.sum_entries
        self.starts = np.flatnonzero(np.diff(arrays.entry_combo, prepend=-1))
        self.single = len(self.starts) == len(arrays.entry_combo)
        exposed, self.entry_place = np.unique(arrays.entry_cell, return_inverse=True)
        self.exposed = exposed
        self.entry_theta = np.broadcast_to(self.theta, (len(arrays.cell_country), self.theta.shape[1]))[
            arrays.entry_cell
        ]
        self.mediators = arrays.entry_mediators
        place = (self.entry_place, np.arange(len(arrays.entry_combo)))
        shape = (len(exposed), len(arrays.entry_combo))
        self.used = [
            sparse.csr_array((arrays.entry_coping[:, k] * arrays.entry_known[:, k], place), shape=shape)
            for k in range(arrays.strategies)
        ]
        self.asked = [
            sparse.csr_array((arrays.entry_known[:, k], place), shape=shape) for k in range(arrays.strategies)
        ]
        self.graded = np.flatnonzero(arrays.entry_distress != UNKNOWN)
        self.pattern_starts = np.cumsum([0, *(len(block) for block in arrays.blocks)])

    def _item_tables(self, point: SkillPoint, country: int) -> tuple[list[FloatArray], list[FloatArray]]:
        """Probabilities of every level of every item, and at or above, at the nodes."""
        tables, above = [], []
        shifts = (
            dict(zip(self.arrays.shifted.tolist(), point.shift[:, country], strict=True))
            if len(self.arrays.shifted)
            else {}
        )
        for j, slope in enumerate(point.discrimination):
            thresholds = point.item_threshold[self.edges[j] : self.edges[j + 1]] + shifts.get(j, 0.0)
            one, edges = ordered_probabilities(slope * self.theta[0], thresholds)
            tables.append(one)
            above.append(edges)
        return tables, above

    def _items(self, point: SkillPoint) -> tuple[FloatArray, FloatArray, list[list[FloatArray]]]:
        if not self.latent:
            patterns = len(self.arrays.blocks[0])
            return np.ones((patterns, 1)), np.zeros(patterns), []
        logs, kept = [], []
        for country, block in enumerate(self.arrays.blocks):
            tables, above = self._item_tables(point, country)
            logs.append(block @ np.log(np.concatenate(tables)))
            kept.append(above)
        log = np.concatenate(logs)
        top = log.max(axis=1)
        return np.exp(log - top[:, None]), top, kept

    def _outcomes(self, point: SkillPoint) -> dict[str, FloatArray]:
        arrays, theta, cell = self.arrays, self.theta, self.arrays.entry_cell
        prior = np.zeros((len(arrays.cell_country), 1))
        if self.latent:
            prior = math.log(self.step / math.sqrt(2 * math.pi)) - 0.5 * (theta - point.mean[:, None]) ** 2
        eta = point.level[:, :1] + point.slope[:, :1] * theta
        softplus = np.logaddexp(0, eta)
        exposed, known_theta = self.exposed, theta if self.latent else theta[self.exposed]
        coping = point.level[exposed, 1:-1, None] + point.slope[exposed, 1:-1, None] * known_theta[:, None]
        normal = np.logaddexp(0, coping)
        log_entry = np.zeros(self.entry_theta.shape)
        for k in range(arrays.strategies):
            used, asked = arrays.entry_coping[:, k, None], arrays.entry_known[:, k, None]
            log_entry += asked * (used * coping[self.entry_place, k] - normal[self.entry_place, k])
        distress = point.level[cell, -1:] + point.slope[cell, -1:] * self.entry_theta
        distress = (
            distress
            + self.mediators @ point.on_coping[:, None]
            + (self.mediators @ point.on_product[:, None]) * self.entry_theta
        )
        ends = np.concatenate([[-np.inf], point.distress_threshold, [np.inf]])
        at = arrays.entry_distress[self.graded]
        upper = special.expit(distress[self.graded] - ends[at][:, None])
        lower = special.expit(distress[self.graded] - ends[at + 1][:, None])
        chance = np.maximum(upper - lower, 1e-300)
        log_entry[self.graded] += np.log(chance)
        if self.single:
            log_combo = log_entry
        else:
            best = np.maximum.reduceat(log_entry, self.starts, axis=0)
            log_combo = best + np.log(self.entries @ np.exp(log_entry - best[arrays.entry_combo]))
        log = np.concatenate([prior - softplus, (prior + eta - softplus)[arrays.combo_cell] + log_combo])
        return {"log": log, "exposure": np.exp(eta - softplus), "coping": np.exp(coping - normal), "upper": upper, "lower": lower, "chance": chance, "entry": log_entry, "combo": log_combo}  # fmt: skip

    def _at_cause(self, point: SkillPoint) -> list[tuple[SkillPoint, dict[str, FloatArray]]]:
        """The point and what follows at every value of the common cause, its share counted in."""
        if not self.cause.active:
            return [(point, self._outcomes(point))]
        found, load = [], np.zeros(point.level.shape[1])
        load[0], load[-1] = self.cause.on_exposure, self.cause.on_distress
        for at, share in zip(self.cause.points, self.cause.share, strict=True):
            moved = replace(point, level=point.level + at * load)
            parts = self._outcomes(moved)
            found.append((moved, parts | {"log": parts["log"] + math.log(share)}))
        return found

    def value(self, point: SkillPoint) -> float:
        """Log likelihood."""
        items, top_items, _ = self._items(point)
        logs = [parts["log"] for _, parts in self._at_cause(point)]
        log = logs[0] if len(logs) == 1 else np.logaddexp.reduce(logs)
        return self._total(items, top_items, log, backward=False)[0]

    def _total(
        self, items: FloatArray, top_items: FloatArray, log: FloatArray, *, backward: bool
    ) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        arrays, top = self.arrays, log.max(axis=1)
        outcomes = np.exp(log - top[:, None])
        total, to_items, to_outcomes = row_sums(
            items, outcomes, arrays.row_pattern, arrays.row_combo, arrays.count, backward
        )
        total += float(arrays.count @ (top_items[arrays.row_pattern] + top[arrays.row_combo]))
        return total, to_items, to_outcomes, top

    def value_and_gradient(self, point: SkillPoint) -> tuple[float, SkillPoint]:
        """Log likelihood and its derivatives, as a `SkillPoint` of the same shapes."""
        items, top_items, kept = self._items(point)
        found = self._at_cause(point)
        logs = [parts["log"] for _, parts in found]
        log = logs[0] if len(logs) == 1 else np.logaddexp.reduce(logs)
        total, to_items, to_outcomes, top = self._total(items, top_items, log, backward=True)
        a, thresholds, shift = self._back_to_items(point, items * to_items, kept)
        pulls = [
            self._back_to_outcomes(at, np.exp(parts["log"] - top[:, None]) * to_outcomes, parts) for at, parts in found
        ]
        return total, SkillPoint(a, thresholds, shift, *(sum(parts) for parts in zip(*pulls, strict=True)))  # type: ignore[arg-type]

    def _back_to_items(
        self, point: SkillPoint, expected: FloatArray, kept: list[list[FloatArray]]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """From expected children per item pattern and node to slopes, thresholds and shifts."""
        arrays = self.arrays
        slopes, thresholds = np.zeros(len(arrays.levels)), np.zeros(len(point.item_threshold))
        shift = np.zeros_like(point.shift)
        for country, above in enumerate(kept):
            counts = (
                arrays.blocks[country].T @ expected[self.pattern_starts[country] : self.pattern_starts[country + 1]]
            )
            start = 0
            for j, size in enumerate(arrays.levels):
                own = counts[start : start + size]
                start += size
                upper, lower = above[j][:-1], above[j][1:]
                chance = np.maximum(upper - lower, 1e-300)
                along = own * (1 - upper - lower)
                slopes[j] += float(along.sum(axis=0) @ self.theta[0])
                density = upper * (1 - upper)
                pull = -own[1:] * density[1:] / chance[1:] + own[:-1] * (lower * (1 - lower))[:-1] / chance[:-1]
                thresholds[self.edges[j] : self.edges[j + 1]] += pull.sum(axis=1)
                if j in arrays.shifted:
                    shift[int(np.flatnonzero(arrays.shifted == j)[0]), country] -= along.sum()
        return slopes, thresholds, shift

    def _back_to_outcomes(
        self, point: SkillPoint, expected: FloatArray, found: dict[str, FloatArray]
    ) -> tuple[FloatArray, ...]:
        """From expected children per combination and node to means, levels, slopes, thresholds and effects of coping."""
        arrays, theta, cells = self.arrays, self.theta, len(self.arrays.cell_country)
        of_exposed = expected[cells:]
        per_cell = self.combos @ of_exposed
        whole = expected[:cells] + per_cell
        mean = (whole * theta).sum(axis=1) - whole.sum(axis=1) * point.mean if self.latent else np.zeros(cells)
        level, slope = np.zeros_like(point.level), np.zeros_like(point.slope)

        def add(outcome: int, pull: FloatArray, at: npt.NDArray[np.int64] | slice) -> None:
            level[at, outcome] += pull.sum(axis=1)
            slope[at, outcome] += (pull * (theta if self.latent else theta[at])).sum(axis=1)

        add(0, per_cell - whole * found["exposure"], slice(None))
        if self.single:
            entry = of_exposed
        else:
            entry = of_exposed[arrays.entry_combo] * np.exp(found["entry"] - found["combo"][arrays.entry_combo])
        for k in range(arrays.strategies):
            add(1 + k, self.used[k] @ entry - (self.asked[k] @ entry) * found["coping"][:, k], self.exposed)
        graded = entry[self.graded]
        upper, lower, chance = found["upper"], found["lower"], found["chance"]
        pull = graded * (1 - upper - lower)
        at, cell, own = arrays.entry_distress[self.graded], arrays.entry_cell[self.graded], self.mediators[self.graded]
        total, sloped = pull.sum(axis=1), (pull * self.entry_theta[self.graded]).sum(axis=1)
        level[:, -1] += np.bincount(cell, total, cells)
        slope[:, -1] += np.bincount(cell, sloped, cells)
        below = np.bincount(at, -(graded * upper * (1 - upper) / chance).sum(axis=1), arrays.distress_levels)
        beyond = np.bincount(at, (graded * lower * (1 - lower) / chance).sum(axis=1), arrays.distress_levels)
        return mean, level, slope, below[1:] + beyond[:-1], own.T @ total, own.T @ sloped
