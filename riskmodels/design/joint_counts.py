"""JointCounts: effective numbers of children per cell and combination of answers; what co-occurrence models see."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from riskmodels.errors import InputError, Problem
from riskmodels.provenance import hash_record
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Answer of a child that is not known and summed over.
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class JointCounts:
    """Children per cell (country x subgroups) and combination of answers to several yes/no questions.

    Parameters
    ----------
    factors
        What defines a cell, country first.
    risks
        The questions, as a factor.
    index
        Level positions of every cell, shape (cells, factors).
    n
        Unweighted children with at least one answer, shape (cells,).
    weight
        Weight total of every cell (mean 1 per child within its country): what the cell counts in averages.
    n_effective
        Effective number of children after the design effect: the sum of `count` over the cell's patterns.
    cell
        Cell of every pattern, shape (patterns,).
    answers
        1 yes, 0 no, `UNKNOWN` where summed over, shape (patterns, risks); no pattern is all unknown.
    count
        Effective number of children with this pattern, shape (patterns,).
    base
        Denominator in words.
    impossible
        Pairs of risks (positions, smaller first) that the study declares no child can have together.
    children
        Unweighted children with each pattern, shape (patterns,), by which small groups are hidden; by default every
        effective child is one.
    synthetic
        Whether the children are made up.
    source
        ``"microdata"`` or where the counts came from.
    warnings
        What a reader must know.
    """

    factors: tuple[Factor, ...]
    risks: Factor
    index: IntArray
    n: FloatArray
    weight: FloatArray
    n_effective: FloatArray
    cell: IntArray
    answers: IntArray
    count: FloatArray
    base: Base
    impossible: tuple[tuple[int, int], ...] = ()
    children: FloatArray | None = None
    synthetic: bool = False
    source: str = "microdata"
    warnings: tuple[Problem, ...] = field(default=())

    def __post_init__(self) -> None:
        """Hold every array read-only and refuse impossible counts (E180)."""
        if self.children is None:
            object.__setattr__(self, "children", self.count)
        for name in ("index", "n", "weight", "n_effective", "cell", "answers", "count", "children"):
            array = np.array(getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        assert self.children is not None
        totals = np.bincount(self.cell, self.count, len(self.index))
        wrong = {
            "the first factor is not the country": self.factors[0].name != COUNTRY,
            "counts are not positive and finite": not (np.isfinite(self.count) & (self.count > 0)).all(),
            "answers are not 1, 0 or unknown": not np.isin(self.answers, (1, 0, UNKNOWN)).all(),
            "children do not match the patterns": len(self.children) != len(self.count),
            "a pattern without any answer": bool((self.answers == UNKNOWN).all(axis=1).any()),
            "counts do not add up to the effective number": not np.allclose(totals, self.n_effective),
        }
        problems = [Problem("E180", what, "joint counts", 1, "collapse again") for what, bad in wrong.items() if bad]
        if problems:
            raise InputError(problems, "joint counts")

    def __len__(self) -> int:
        """Give the number of cells."""
        return len(self.index)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of risks in the order of every result: (0, 1), (0, 2), ..., (1, 2), ..."""
        size = len(self.risks)
        return tuple((first, second) for first in range(size) for second in range(first + 1, size))

    def factor(self, name: str) -> Factor:
        """Look up a factor of the cells."""
        return next(one for one in self.factors if one.name == name)

    def position(self, name: str) -> IntArray:
        """Level position of every cell in a factor, shape (cells,)."""
        place = [one.name for one in self.factors].index(name)
        return np.asarray(self.index[:, place])

    @cached_property
    def content_hash(self) -> str:
        """Equal for equal counts."""
        return hash_record(
            {
                "factors": [[one.name, list(one.levels)] for one in self.factors],
                "risks": list(self.risks.levels),
                **{name: getattr(self, name) for name in ("index", "n", "weight", "cell", "answers", "count")},
                "base": self.base,
                "impossible": [list(pair) for pair in self.impossible],
            }
        )

    def __repr__(self) -> str:
        """Show sizes only."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        return f"JointCounts({brand}{len(self)} cells, {len(self.risks)} risks, {self.n.sum():,.0f} children)"
