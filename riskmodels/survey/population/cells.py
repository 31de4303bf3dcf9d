"""PopulationCells: children per combination of factors, and which of them share one figure of the share online."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import INDICATOR

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: How many levels or cells a message names before it only counts.
NAMED = 8


def name_levels(levels: Iterable[str]) -> str:
    """List level names for a message, cut after `NAMED`."""
    found = list(levels)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


@dataclass(frozen=True, eq=False)
class PopulationCells:
    """Children per cell of a population.

    Parameters
    ----------
    factors
        What splits the children, e.g. country, gender, age group; never the indicator.
    index
        Level positions of each cell, shape (cells, factors).
    children
        Children of each cell, above 0; combinations that hold nobody have no cell.
    share_online, share_online_se
        Shares of children online (proportions) and their standard errors, shape (shares,). Different shares are
        uncertain independently of one another.
    share_of_cell
        Which of the shares holds for each cell, shape (cells,): one per country, or one per cell, or anything between.
    """

    factors: tuple[Factor, ...]
    index: IntArray
    children: FloatArray
    share_online: FloatArray
    share_online_se: FloatArray
    share_of_cell: IntArray

    def __post_init__(self) -> None:
        """Hold every array read-only and refuse impossible figures, all at once (E185, E150)."""
        for name, kind in (
            ("index", np.int64),
            ("children", np.float64),
            ("share_online", np.float64),
            ("share_online_se", np.float64),
            ("share_of_cell", np.int64),
        ):
            array = np.array(getattr(self, name), dtype=kind)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        raise_if_stopping(self._problems(), "population frame")

    def _problems(self) -> list[Problem]:
        problems = []
        share, error = self.share_online[self.share_of_cell], self.share_online_se[self.share_of_cell]
        for what, bad, remedy in (
            (
                "number of children is zero, negative or missing",
                ~(np.isfinite(self.children) & (self.children > 0)),
                "give the number of children, above 0; leave combinations out that cannot occur",
            ),
            (
                "share online lies outside 0 to 1",
                ~((share > 0) & (share <= 1)),
                "write a proportion here, per cent in the file",
            ),
            (
                "standard error of the share is negative or above 0.5",
                ~((error >= 0) & (error <= 0.5)),
                "write it as a proportion, e.g. 0.03",
            ),
        ):
            if bad.any():
                problems.append(
                    Problem(
                        "E185",
                        what,
                        name_levels(self.name_of(int(at)) for at in np.flatnonzero(bad)),
                        int(bad.sum()),
                        remedy,
                    )
                )
        if INDICATOR in self.names:
            problems.append(
                Problem(
                    "E185", "a population has no indicators", INDICATOR, 1, "leave the column out: children are counted"
                )
            )
        if len(self) == 0:
            problems.append(Problem("E101", "the population has no cell", "population frame", 0, "check the table"))
        else:
            _, counts = np.unique(self.index, axis=0, return_counts=True)
            if (counts > 1).any():
                twice = int((counts > 1).sum())
                problems.append(
                    Problem(
                        "E150",
                        "the same combination of levels stands twice in the population",
                        ", ".join(self.names),
                        twice,
                        "keep one row per combination, or add the column that tells them apart",
                    )
                )
        return problems

    def __len__(self) -> int:
        """Give the number of cells."""
        return len(self.children)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors."""
        return tuple(factor.name for factor in self.factors)

    def factor(self, name: str) -> Factor:
        """Look a factor up by name."""
        return self.factors[self.names.index(name)]

    def position(self, name: str) -> IntArray:
        """Level position of every cell in one factor."""
        return self.index[:, self.names.index(name)]

    def name_of(self, cell: int) -> str:
        """Levels of one cell, for messages."""
        levels = [factor.levels[place] for factor, place in zip(self.factors, self.index[cell], strict=True)]
        return " / ".join(levels) or "all children"

    @property
    def users(self) -> FloatArray:
        """Expected number of children online per cell."""
        return np.asarray(self.children * self.share_online[self.share_of_cell])


def mean_shares(cells: PopulationCells, group: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Children of groups of cells, their mean share online and its standard error.

    Cells that use the same share move together; different shares are independent.
    """
    size = int(group.max()) + 1
    children = np.bincount(group, weights=cells.children, minlength=size)
    mean = np.bincount(group, weights=cells.users, minlength=size) / children
    pair, at = np.unique(np.column_stack([group, cells.share_of_cell]), axis=0, return_inverse=True)
    part = np.bincount(at.reshape(-1), weights=cells.children)
    variance = np.bincount(pair[:, 0], weights=(part * cells.share_online_se[pair[:, 1]]) ** 2, minlength=size)
    one = np.bincount(pair[:, 0], minlength=size) == 1
    error = np.sqrt(variance) / children
    first = np.zeros(size, dtype=np.int64)
    first[pair[:, 0]] = pair[:, 1]
    return (
        children,
        np.where(one, cells.share_online[first], mean),
        np.where(one, cells.share_online_se[first], error),
    )


def merged_cells(cells: PopulationCells, factors: Sequence[Factor], index: IntArray) -> PopulationCells:
    """Add up cells that fall on the same combination of `factors`.

    Parameters
    ----------
    cells
        The cells to merge.
    factors
        Factors of the result.
    index
        Level positions of every old cell in those factors, shape (cells, factors).

    Returns
    -------
    PopulationCells
        Children add up exactly. Where every merged cell rests on one share, the shares stay as they are, common to
        the same cells; else each gets the mean of its parts, weighted by children.
    """
    found, group = np.unique(index, axis=0, return_inverse=True)
    group = group.reshape(-1)
    children, share, error = mean_shares(cells, group)
    pairs = np.unique(np.column_stack([group, cells.share_of_cell]), axis=0)
    if len(pairs) == len(found):
        kept, share_of_cell = np.unique(pairs[:, 1], return_inverse=True)
        share, error = cells.share_online[kept], cells.share_online_se[kept]
        share_of_cell = share_of_cell.reshape(-1)
    else:
        share_of_cell = np.arange(len(found))
    return PopulationCells(tuple(factors), found, children, share, error, share_of_cell)


def without_unused_levels(factors: Sequence[Factor], index: IntArray) -> tuple[tuple[Factor, ...], IntArray]:
    """Drop the levels that no cell has, keeping the order of the others."""
    kept, columns = [], []
    for place, factor in enumerate(factors):
        used, position = np.unique(index[:, place], return_inverse=True)
        kept.append(
            Factor(factor.name, tuple(factor.levels[i] for i in used), tuple(factor.labels[i] for i in used))
            if len(used) < len(factor)
            else factor
        )
        columns.append(position.reshape(-1) if len(used) < len(factor) else index[:, place])
    return tuple(kept), np.column_stack(columns) if columns else index
