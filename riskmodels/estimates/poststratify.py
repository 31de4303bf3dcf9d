"""Draws of cells become draws of domains: weighted averages by the children each cell stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem
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

    Weight totals decide within a country; the population frame decides between countries.
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
    users = population.aligned(cells.factor(COUNTRY).levels).users
    country = cells.position(COUNTRY)
    item = cells.position(INDICATOR) if INDICATOR in cells.names else np.zeros(len(cells), dtype=np.int64)
    group = np.unique(np.column_stack([country, item]), axis=0, return_inverse=True)[1].reshape(-1)
    total = np.bincount(group, weights=cells.weight)[group]
    return np.asarray(users[country] * cells.weight / total)


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
