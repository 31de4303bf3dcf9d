"""What all released numbers of a study say together about those withheld: feasible ranges by linear programme.

The attacker is taken to know every released number exactly, before rounding. What holds against that attacker holds
against every reader of rounded numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from riskmodels.errors import InputError, Problem

FloatArray = npt.NDArray[np.float64]
Group = tuple[tuple[str, str], ...]

#: Finest groups that one audit can hold.
MOST_ATOMS = 20_000
NOT_STATED = "\x00not stated"
TOLERANCE = 1e-6


def group_of(levels: Mapping[str, str]) -> Group:
    """A group of children: sorted pairs of factor and level; empty for everybody."""
    return tuple(sorted(levels.items()))


@dataclass(frozen=True)
class Atoms:
    """The finest groups that the tables can be combined to.

    Parameters
    ----------
    levels
        Levels of every factor.
    """

    levels: dict[str, tuple[str, ...]]

    @property
    def combinations(self) -> list[tuple[str, ...]]:
        """Every combination of levels."""
        return list(product(*self.levels.values()))

    def members(self, groups: Sequence[Group]) -> FloatArray:
        """1 where a finest group lies in a group, shape (groups, atoms)."""
        size = tuple(len(names) for names in self.levels.values())
        found = np.zeros((len(groups), int(np.prod(size, dtype=int))))
        for row, group in enumerate(groups):
            wanted = dict(group)
            inside = np.ones(size)
            for axis, (name, names) in enumerate(self.levels.items()):
                if name in wanted:
                    shape = [1] * len(size)
                    shape[axis] = -1
                    inside = inside * (np.array(names) == wanted[name]).reshape(shape)
            found[row] = inside.reshape(-1)
        return found


def atoms_of(groups: Sequence[Group], *, with_not_stated: bool = False) -> Atoms:
    """Finest groups behind some groups; E213 where there are too many to be audited.

    Parameters
    ----------
    groups
        Every group of which a number is released or withheld.
    with_not_stated
        Add a level for children without answer to a factor.
    """
    levels: dict[str, tuple[str, ...]] = {}
    for name in sorted({name for group in groups for name, _ in group}):
        found = tuple(sorted({dict(group)[name] for group in groups if name in dict(group)}))
        levels[name] = (*found, NOT_STATED) if with_not_stated else found
    count = int(np.prod([len(one) for one in levels.values()], dtype=int))
    if count > MOST_ATOMS:
        raise InputError(
            [
                Problem(
                    "E213",
                    "too many combinations of groups to be audited",
                    ", ".join(levels),
                    count,
                    "release fewer factors, or a separate study",
                )
            ],
            "release",
        )
    return Atoms(levels)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of children as sums over unknown counts that are not negative.

    Parameters
    ----------
    matrix
        Shape (numbers, unknowns), the unknowns being yes and no per finest group.
    value
        The numbers; NaN for one withheld earlier, whose value is not kept.
    """

    matrix: FloatArray
    value: FloatArray

    def known(self, hidden: npt.NDArray[np.bool_]) -> tuple[sparse.csr_matrix, FloatArray]:
        """What the attacker has: rows and values of the numbers shown."""
        return sparse.csr_matrix(self.matrix[~hidden]), self.value[~hidden]


class Attacker:
    """Someone who combines every number shown; remembers each table found to be possible.

    Parameters
    ----------
    matrix, value
        Numbers known and how they add up from the unknowns.
    upper
        Numbers said to be at most so many: rows and limits.
    """

    def __init__(
        self, matrix: sparse.csr_matrix, value: FloatArray, upper: tuple[FloatArray, FloatArray] | None = None
    ) -> None:
        self.matrix, self.value, self.upper = matrix, value, upper
        self.possible: list[FloatArray] = []

    def extreme(self, row: FloatArray, sign: int) -> float:
        """Smallest (sign 1) or largest (sign -1) possible value of a number; infinite where nothing bounds it."""
        more = {} if self.upper is None else {"A_ub": self.upper[0], "b_ub": self.upper[1]}
        some = {} if self.matrix.shape[0] == 0 else {"A_eq": self.matrix, "b_eq": self.value}
        found = linprog(sign * row, bounds=(0, None), method="highs", **some, **more)
        if found.status == 0:
            self.possible.append(found.x)
            return float(row @ found.x)
        if found.status == 3:
            return -sign * np.inf
        if found.status == 2:
            raise ArithmeticError("no counts fit the numbers shown")
        # 4: HiGHS cannot tell unbounded from infeasible; a bound settles it
        capped = linprog(sign * row, bounds=(0, 1e7), method="highs", **some, **more)
        if capped.status != 0:
            raise ArithmeticError("no counts fit the numbers shown")
        return float(row @ capped.x)

    def interval(self, row: FloatArray) -> tuple[float, float]:
        """Smallest and largest value of a number that fits everything shown."""
        return self.extreme(row, 1), self.extreme(row, -1)

    def wide_enough(self, row: FloatArray, width: float) -> bool:
        """Whether a number stays in a range at least so wide; tables already found to be possible spare the search."""
        if self.possible:
            seen = np.array(self.possible) @ row
            if seen.max() - seen.min() >= width - TOLERANCE:
                return True
        low, high = self.interval(row)
        return high - low >= width - TOLERANCE

    def may_reach(self, row: FloatArray, count: float) -> bool:
        """Whether a number may be at least `count`."""
        if self.possible and (np.array(self.possible) @ row).max() >= count - TOLERANCE:
            return True
        return self.extreme(row, -1) >= count - TOLERANCE

    @property
    def consistent(self) -> bool:
        """Whether any counts at all fit the numbers shown."""
        try:
            self.extreme(np.zeros(self.matrix.shape[1]), 1)
        except ArithmeticError:
            return False
        return True
