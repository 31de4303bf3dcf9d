"""PopulationFrame: how many children each country and group stands for, and what share of them is online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.factors import match_levels
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]

#: Standard error of a share online for which the source prints none (as Ghai et al. 2026 assume).
DEFAULT_SHARE_SE = 0.03


@dataclass(frozen=True, eq=False)
class PopulationFrame:
    """Children per country, the share online and its uncertainty.

    Parameters
    ----------
    countries
        Country codes.
    children
        Number of children in the age range, shape (countries,).
    share_online
        Share of them who use the internet, 0 to 1.
    share_online_se
        Standard error of that share; 0 where it is known exactly.
    source
        Where the figures come from.
    groups
        Children per group within countries: columns `country`, one per factor (level codes as text), `children`. They
        decide what each subgroup weighs; the totals per country stay those of `children`. None where only countries
        are known.
    """

    countries: tuple[str, ...]
    children: FloatArray
    share_online: FloatArray
    share_online_se: FloatArray
    source: str = ""
    groups: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        """Refuse empty, negative or impossible figures, all at once (E185)."""
        problems = []
        rules = (
            (
                "number of children is zero, negative or missing",
                ~(np.isfinite(self.children) & (self.children > 0)),
                "give the number of children, above 0",
            ),
            (
                "share online lies outside 0 to 1",
                ~((self.share_online > 0) & (self.share_online <= 1)),
                "write a proportion here, per cent in the file",
            ),
            (
                "standard error of the share is negative or above 0.5",
                ~((self.share_online_se >= 0) & (self.share_online_se <= 0.5)),
                "write it as a proportion, e.g. 0.03",
            ),
        )
        for what, bad, remedy in rules:
            if np.any(bad):
                names = [code for code, is_bad in zip(self.countries, bad, strict=True) if is_bad]
                problems.append(Problem("E185", what, ", ".join(names[:8]), len(names), remedy))
        if len(set(self.countries)) != len(self.countries):
            problems.append(
                Problem(
                    "E150",
                    "a country stands twice in the population frame",
                    "countries",
                    len(self.countries),
                    "keep one row per country",
                )
            )
        problems += self._group_problems()
        raise_if_stopping(problems, "population frame")

    def _group_problems(self) -> list[Problem]:
        """What is wrong with the groups within countries (E132, E150, E185)."""
        if self.groups is None:
            return []
        groups = self.groups
        absent = [name for name in (COUNTRY, "children") if name not in groups]
        if absent or not self.factors:
            what = "groups need country, at least one factor, and children"
            return [Problem("E132", what, "groups", max(1, len(absent)), "add the columns")]
        problems = []
        children = groups["children"].to_numpy(float)
        bad = ~(np.isfinite(children) & (children > 0))
        if bad.any():
            what = "number of children in a group is zero, negative or missing"
            problems.append(
                Problem("E185", what, "groups", int(bad.sum()), "give a number above 0, or leave the row out")
            )
        twice = groups.duplicated([COUNTRY, *self.factors]).sum()
        if twice:
            problems.append(Problem("E150", "a group stands twice", "groups", int(twice), "keep one row of each"))
        missing, unused = match_levels(self.countries, list(pd.unique(groups[COUNTRY])))
        if missing or unused:
            where = ", ".join([*missing, *unused][:8])
            what = "countries of the groups and of the totals differ"
            problems.append(Problem("E185", what, where, len(missing) + len(unused), "give groups for every country"))
        return problems

    @property
    def factors(self) -> tuple[str, ...]:
        """Factors by which groups are split."""
        return (
            () if self.groups is None else tuple(str(name) for name in self.groups if name not in (COUNTRY, "children"))
        )

    @property
    def users(self) -> FloatArray:
        """Expected number of children online per country."""
        return np.asarray(self.children * self.share_online)

    def aligned(self, countries: Sequence[str]) -> PopulationFrame:
        """Give the frame in the order of `countries`; E185 names levels that only one side has."""
        missing, unused = match_levels(countries, self.countries)
        if missing:
            names = f"only in the cells: {', '.join(missing)}" + (
                f"; only in the frame: {', '.join(unused)}" if unused else ""
            )
            raise InputError(
                [
                    Problem(
                        "E185",
                        "countries of the cells are not in the population frame",
                        names,
                        len(missing),
                        "add them, or map the names onto one another",
                    )
                ],
                "population frame",
            )
        at = [self.countries.index(code) for code in countries]
        groups = None if self.groups is None else self.groups[self.groups[COUNTRY].isin(countries)]
        return PopulationFrame(
            tuple(countries), self.children[at], self.share_online[at], self.share_online_se[at], self.source, groups
        )
