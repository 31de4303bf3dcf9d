"""Draws of cells become draws of domains: weighted averages by the children each cell stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem
from riskmodels.survey.factors import Factor
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, INDICATOR

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Domains:
    """A partition of the cells: which domain each belongs to, and with what share.

    Parameters
    ----------
    by
        Factors that define a domain; indicator is always among them where the cells have several.
    index
        Level positions of each domain, shape (domains, len(by)).
    of_cell
        Domain of every cell, shape (cells,).
    share
        Share of its domain that every cell makes up; sums to 1 within a domain.
    """

    by: tuple[str, ...]
    index: IntArray
    of_cell: IntArray
    share: FloatArray

    def __len__(self) -> int:
        """Give the number of domains."""
        return len(self.index)

    def average(self, cell_values: FloatArray) -> FloatArray:
        """Weighted average over the cells of each domain; the last axis goes from cells to domains."""
        matrix = np.zeros((len(self.of_cell), len(self)))
        matrix[np.arange(len(self.of_cell)), self.of_cell] = self.share
        return np.asarray(cell_values @ matrix)


def cell_population(cells: Cells, population: PopulationFrame | None) -> FloatArray:
    """Children (online, where the frame says so) that each cell stands for.

    The population frame decides between countries, and between the groups it has within countries; weight totals decide
    within these.
    """
    if population is None:
        return np.asarray(cells.weight, dtype=float)
    if COUNTRY not in cells.names:
        raise InputError(
            [
                Problem(
                    "E185", "a population frame by country needs cells by country", "cells", 1, "leave population out"
                )
            ],
            "population frame",
        )
    frame = population.aligned(cells.factor(COUNTRY).levels)
    country = cells.position(COUNTRY)
    item = cells.position(INDICATOR) if INDICATOR in cells.names else np.zeros(len(cells), dtype=np.int64)
    within = _group_children(cells, frame)
    key = np.unique(np.column_stack([country, item]), axis=0, return_inverse=True)[1].reshape(-1)
    total = np.bincount(key, weights=within)[key]
    return np.asarray(frame.users[country] * within / total)


def _group_children(cells: Cells, frame: PopulationFrame) -> FloatArray:
    """Children each cell stands for within its country: the frame's groups where it has them, else weight totals.

    Groups of the frame are summed over factors that the cells lack; where the cells are finer than the groups, weight
    totals decide within a group.
    """
    common = [name for name in frame.factors if name in cells.names]
    if not common or frame.groups is None:
        return np.asarray(cells.weight, dtype=float)
    keys = [COUNTRY, *common]
    levels = {name: cells.factor(name) for name in keys}
    numbers = frame.groups.groupby(keys, sort=False)["children"].sum()
    _refuse_unmatched(frame, levels, common)
    codes = {name: [levels[name].levels[place] for place in cells.position(name)] for name in keys}
    labels = {name: [levels[name].labels[place] for place in cells.position(name)] for name in keys}
    known = set(numbers.index)
    found = np.zeros(len(cells))
    for cell in range(len(cells)):
        # A frame may name levels by code or by the words shown.
        by_code = (codes[COUNTRY][cell], *(codes[name][cell] for name in common))
        by_label = (codes[COUNTRY][cell], *(labels[name][cell] for name in common))
        found[cell] = numbers.get(by_code if by_code in known else by_label, np.nan)
    if np.isnan(found).any():
        empty = int(np.isnan(found).sum())
        what = "groups of the sample are not in the population frame"
        raise InputError([Problem("E185", what, ", ".join(keys), empty, "add them to the frame")], "population frame")
    item = cells.position(INDICATOR) if INDICATOR in cells.names else np.zeros(len(cells), dtype=np.int64)
    columns = np.column_stack([*(cells.position(name) for name in keys), item])
    group = np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)
    return np.asarray(found * cells.weight / np.bincount(group, cells.weight)[group])


def _refuse_unmatched(frame: PopulationFrame, levels: dict[str, Factor], common: Sequence[str]) -> None:
    """E185: levels that only the frame or only the sample has."""
    problems = []
    assert frame.groups is not None
    for name in common:
        present = set(frame.groups[name].astype(str))
        factor = levels[name]
        over = sorted(present - set(factor.levels) - set(factor.labels))
        absent = [
            level for level, label in zip(factor.levels, factor.labels, strict=True) if not {level, label} & present
        ]
        if over or absent:
            where = (
                f"{name}: only in the frame: {', '.join(over) or '-'}; only in the sample: {', '.join(absent) or '-'}"
            )
            what = "levels of population frame and sample do not match"
            problems.append(
                Problem("E185", what, where, len(over) + len(absent), "map them onto one another (map_levels)")
            )
    if problems:
        raise InputError(problems, "population frame")


def unsampled_share(cells: Cells, population: PopulationFrame | None) -> dict[str, float]:
    """Share of a country's children in groups of the frame without any child in the sample, by country code.

    They are counted as if they were like the others of their country; a note says so.
    """
    if population is None or population.groups is None or COUNTRY not in cells.names:
        return {}
    common = [name for name in population.factors if name in cells.names]
    if not common:
        return {}
    factors = {name: cells.factor(name) for name in (COUNTRY, *common)}
    words = [[(f.levels[k], f.labels[k]) for k in cells.position(name)] for name, f in factors.items()]
    sampled = {tuple(part[0] for part in row) for row in zip(*words, strict=True)}
    sampled |= {(row[0][0], *(part[1] for part in row[1:])) for row in zip(*words, strict=True)}
    sums = population.groups.groupby([COUNTRY, *common], sort=False)["children"].sum()
    total, lost = sums.groupby(level=0).sum(), sums[[key not in sampled for key in sums.index]].groupby(level=0).sum()
    return {str(code): float(lost[code] / total[code]) for code in lost.index if lost[code] > 0}


def domains_of(cells: Cells, by: Sequence[str], population: PopulationFrame | None = None) -> Domains:
    """Partition the cells into domains.

    Parameters
    ----------
    cells
        The cells of a fit.
    by
        Factors to keep; the others are averaged over.
    population
        Children per country; weight totals of the cells if omitted.

    Raises
    ------
    InputError
        E132 for factors that the cells do not have.
    """
    unknown = [name for name in by if name not in cells.names]
    if unknown:
        raise InputError(
            [
                Problem(
                    "E132",
                    "no such factor in the cells",
                    ", ".join(unknown),
                    len(unknown),
                    f"choose among {', '.join(cells.names)}",
                )
            ],
            "by",
        )
    wanted = [name for name in cells.names if name in by or (name == INDICATOR and len(cells.factor(INDICATOR)) > 1)]
    columns = (
        np.column_stack([cells.position(name) for name in wanted])
        if wanted
        else np.zeros((len(cells), 1), dtype=np.int64)
    )
    index, of_cell = np.unique(columns, axis=0, return_inverse=True)
    of_cell = of_cell.reshape(-1)
    children = cell_population(cells, population)
    total = np.bincount(of_cell, weights=children)
    if (total <= 0).any():
        raise InputError(
            [
                Problem(
                    "E185",
                    "a domain stands for no children",
                    "population",
                    int((total <= 0).sum()),
                    "check weights and population",
                )
            ],
            "by",
        )
    return Domains(by=tuple(wanted), index=index[:, : len(wanted)], of_cell=of_cell, share=children / total[of_cell])
