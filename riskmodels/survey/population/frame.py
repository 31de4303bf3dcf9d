"""PopulationFrame: how many children each country and cell stands for, and what share of them is online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.factors import Factor, match_levels
from riskmodels.survey.population.cells import (
    PopulationCells,
    mean_shares,
    name_levels,
    without_unused_levels,
)
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]

#: Columns of a tidy population table that are not factors.
TOTAL, SHARE, SHARE_SE = "total", "share_online", "share_online_se"


@dataclass(frozen=True, eq=False)
class PopulationFrame:
    """Children per country and, where known, per cell; the share online and its uncertainty.

    Parameters
    ----------
    countries
        Country codes; empty where the cells are not split by country.
    children
        Number of children in the age range, shape (countries,).
    share_online
        Share of them who use the internet, 0 to 1.
    share_online_se
        Standard error of that share; 0 where it is known exactly.
    source
        Where the figures come from.
    cells
        Children per combination of factors; they add up to `children`. None where only countries are known.
        `frame_from_cells` and `population_from_table` make frames that have them.
    """

    countries: tuple[str, ...]
    children: FloatArray
    share_online: FloatArray
    share_online_se: FloatArray
    source: str = ""
    cells: PopulationCells | None = None

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
        if self.cells is not None and not problems and not _agree(self, self.cells):
            problems.append(
                Problem(
                    "E185",
                    "the cells of the population do not add up to the countries",
                    "cells",
                    len(self.cells),
                    "make the frame from its cells (population_from_table)",
                )
            )
        raise_if_stopping(problems, "population frame")

    @property
    def users(self) -> FloatArray:
        """Expected number of children online per country."""
        return np.asarray(self.children * self.share_online)

    def aligned(self, countries: Sequence[str]) -> PopulationFrame:
        """Give the frame in the order of `countries`; E185 names levels that only one side has.

        A frame whose cells are not split by country stands for the one country of a single-country study.
        """
        if self.cells is not None and not self.countries and len(countries) == 1:
            return frame_from_cells(_of_one_country(self.cells, countries[0]), self.source)
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
        return PopulationFrame(
            tuple(countries),
            self.children[at],
            self.share_online[at],
            self.share_online_se[at],
            self.source,
            None if self.cells is None else _of_countries(self.cells, countries),
        )

    def table(self) -> pd.DataFrame:
        """Tidy table of the cells (of the countries where there are none), as `population_from_table` reads it."""
        cells = cells_of(self)
        columns: dict[str, object] = {
            factor.name: [factor.levels[i] for i in cells.position(factor.name)] for factor in cells.factors
        }
        return pd.DataFrame(
            {
                **columns,
                TOTAL: cells.children,
                SHARE: cells.share_online[cells.share_of_cell],
                SHARE_SE: cells.share_online_se[cells.share_of_cell],
            }
        )


def _agree(frame: PopulationFrame, cells: PopulationCells) -> bool:
    """Whether the cells add up to the countries, in the same order."""
    if COUNTRY not in cells.names:
        return frame.countries == ()
    if cells.factor(COUNTRY).levels != frame.countries:
        return False
    total = np.bincount(cells.position(COUNTRY), weights=cells.children, minlength=len(frame.countries))
    return bool(np.allclose(total, frame.children, rtol=1e-9, atol=0))


def cells_of(frame: PopulationFrame) -> PopulationCells:
    """Cells of a frame; one per country where only countries are known."""
    if frame.cells is not None:
        return frame.cells
    each = np.arange(len(frame.countries))
    return PopulationCells(
        (Factor(COUNTRY, frame.countries),),
        each[:, None],
        frame.children,
        frame.share_online,
        frame.share_online_se,
        each,
    )


def frame_from_cells(cells: PopulationCells, source: str = "") -> PopulationFrame:
    """Make a frame from its cells; children and share online per country follow from them.

    Parameters
    ----------
    cells
        Children per combination of factors.
    source
        Where the figures come from.

    Returns
    -------
    PopulationFrame
        Levels that no cell has are dropped. The share online of a country is the mean over its cells, weighted by
        children; cells that use one share move together, others independently.
    """
    factors, index = without_unused_levels(cells.factors, cells.index)
    kept = PopulationCells(
        factors, index, cells.children, cells.share_online, cells.share_online_se, cells.share_of_cell
    )
    if COUNTRY not in kept.names:
        none = np.empty(0)
        return PopulationFrame((), none, none, none, source, kept)
    children, share, error = mean_shares(kept, kept.position(COUNTRY))
    return PopulationFrame(kept.factor(COUNTRY).levels, children, share, error, source, kept)


def _of_one_country(cells: PopulationCells, country: str) -> PopulationCells:
    """Say which country the cells of a single-country frame belong to."""
    index = np.column_stack([np.zeros(len(cells), dtype=np.int64), cells.index])
    factors = (Factor(COUNTRY, (country,)), *cells.factors)
    return PopulationCells(
        factors, index, cells.children, cells.share_online, cells.share_online_se, cells.share_of_cell
    )


def _of_countries(cells: PopulationCells, countries: Sequence[str]) -> PopulationCells:
    """Cells of some countries, in their order; levels and shares that are left without a cell are dropped."""
    place = cells.names.index(COUNTRY)
    old = cells.factor(COUNTRY)
    new = np.full(len(old), -1)
    new[old.codes(countries)] = np.arange(len(countries))
    index = cells.index.copy()
    index[:, place] = new[index[:, place]]
    keep = index[:, place] >= 0
    labels = tuple(old.label_of(code) for code in countries)
    factors = tuple(Factor(COUNTRY, tuple(countries), labels) if f.name == COUNTRY else f for f in cells.factors)
    order = np.lexsort((np.arange(keep.sum()), index[keep][:, place]))
    factors, kept = without_unused_levels(factors, index[keep][order])
    used, share_of_cell = _shares_in_order(cells.share_of_cell[keep][order])
    return PopulationCells(
        factors,
        kept,
        cells.children[keep][order],
        cells.share_online[used],
        cells.share_online_se[used],
        share_of_cell,
    )


def _shares_in_order(share_of_cell: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Shares in the order in which the cells first use them, and the share of every cell in that order."""
    used, first, back = np.unique(share_of_cell, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return used[order], place[back.reshape(-1)]


def level_words(values: pd.Series) -> pd.Series:
    """Levels as text: whole numbers lose their decimal point, spaces around words go, empty stays empty."""
    return pd.Series([_level_word(value) for value in values], index=values.index, dtype="str")


def _level_word(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if pd.isna(value):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def population_from_table(
    table: pd.DataFrame, *, levels: Mapping[str, Sequence[str]] | None = None, source: str = ""
) -> PopulationFrame:
    """Make a population frame from a tidy table of cells.

    Parameters
    ----------
    table
        One row per cell: one column per factor (`country`, `gender`, ...), `total` (children), and optionally
        `share_online` and `share_online_se` (proportions).
    levels
        Levels of some factors in the order wanted; the order of first appearance otherwise.
    source
        Where the figures come from.

    Returns
    -------
    PopulationFrame
        With cells. Cells of one country that print the same share online are taken to rest on one figure, which is
        uncertain as a whole; different figures are uncertain independently.

    Raises
    ------
    InputError
        E132 where `total` or every factor is absent, E185 for zero or missing numbers, empty levels and levels that
        only one side has, E150 for a cell that stands twice: all at once.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"country": ["KEN", "KEN"], "gender": ["girl", "boy"], "total": [3.4e6, 3.5e6]})
    >>> frame = population_from_table(table)
    >>> frame.countries, float(frame.children[0])
    (('KEN',), 6900000.0)
    """
    names = [str(name) for name in table.columns if name not in (TOTAL, SHARE, SHARE_SE)]
    raise_if_stopping(_absent(table, names), "population frame")
    words = {name: level_words(table[name]) for name in names}
    declared = {name: tuple(levels[name]) for name in names if levels is not None and name in levels}
    raise_if_stopping(_level_problems(words, declared), "population frame")
    factors = tuple(Factor(name, declared.get(name, tuple(pd.unique(words[name])))) for name in names)
    index = np.column_stack([factor.codes(words[factor.name]) for factor in factors])
    share = table[SHARE].to_numpy(float) if SHARE in table else np.ones(len(table))
    error = table[SHARE_SE].to_numpy(float) if SHARE_SE in table else np.zeros(len(table))
    country = index[:, names.index(COUNTRY)] if COUNTRY in names else np.zeros(len(table), dtype=np.int64)
    figures = np.column_stack([country, share, error])
    found, share_of_cell = np.unique(figures, axis=0, return_inverse=True)
    cells = PopulationCells(
        factors, index, table[TOTAL].to_numpy(float), found[:, 1], found[:, 2], share_of_cell.reshape(-1)
    )
    return frame_from_cells(cells, source)


def _absent(table: pd.DataFrame, names: Sequence[str]) -> list[Problem]:
    problems = []
    if TOTAL not in table:
        problems.append(Problem("E132", f"column {TOTAL} is absent", "population table", 1, "give the children"))
    if not names:
        problems.append(
            Problem("E132", "no factor stands in the table", "population table", 1, "give country, gender or the like")
        )
    if len(table) == 0:
        problems.append(Problem("E101", "the population table has no rows", "population table", 0, "check the table"))
    return problems


def _level_problems(words: Mapping[str, pd.Series], declared: Mapping[str, Sequence[str]]) -> list[Problem]:
    problems = []
    for name, column in words.items():
        empty = int((column == "").sum())
        if empty:
            problems.append(Problem("E185", "a level is empty", f"column {name}", empty, "name the level in every row"))
        if name in declared:
            only_table, only_declared = match_levels(list(pd.unique(column[column != ""])), declared[name])
            for where, found in (("only in the table", only_table), ("only declared", only_declared)):
                if found:
                    problems.append(
                        Problem(
                            "E185",
                            f"levels of {name} stand on one side only",
                            f"{where}: {name_levels(found)}",
                            len(found),
                            "map the levels onto one another (map_levels)",
                        )
                    )
    return problems
