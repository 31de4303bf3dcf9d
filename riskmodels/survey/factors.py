"""Factor: a name and its declared, ordered levels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from riskmodels.errors import InputError, Problem
from riskmodels.vocabulary import RESERVED_NAMES


@dataclass(frozen=True)
class Factor:
    """A variable that splits children into groups, with its levels in the order declared.

    Parameters
    ----------
    name
        Name as used in `by=` and in the columns of results.
    levels
        Codes, in display order.
    labels
        Words shown instead of the codes; the codes themselves where omitted.
    """

    name: str
    levels: tuple[str, ...]
    labels: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse names and levels that could not be told apart later."""
        if self.name in RESERVED_NAMES:
            raise InputError(
                [Problem("E195", "a factor takes a reserved name", self.name, 1, "rename the factor")], "factor"
            )
        if len(set(self.levels)) != len(self.levels):
            raise InputError(
                [Problem("E150", "a factor repeats a level", self.name, len(self.levels), "give every level once")],
                "factor",
            )
        if not self.labels:
            object.__setattr__(self, "labels", self.levels)
        if len(self.labels) != len(self.levels):
            raise InputError(
                [
                    Problem(
                        "E160",
                        "a factor needs one label per level",
                        self.name,
                        len(self.labels),
                        "give as many labels as levels",
                    )
                ],
                "factor",
            )

    def __len__(self) -> int:
        """Give the number of levels."""
        return len(self.levels)

    def label_of(self, level: str) -> str:
        """Words for one level."""
        return self.labels[self.levels.index(level)]

    def codes(self, values: Iterable[str]) -> npt.NDArray[np.int64]:
        """Positions of `values` among the levels; an unknown value raises `KeyError`."""
        position = {level: index for index, level in enumerate(self.levels)}
        return np.array([position[value] for value in values], dtype=np.int64)


def match_levels(have: Sequence[str], want: Sequence[str]) -> tuple[list[str], list[str]]:
    """Compare two sets of levels: those only in `have`, those only in `want`, in their order."""
    return [level for level in have if level not in set(want)], [level for level in want if level not in set(have)]
