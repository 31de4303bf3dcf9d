"""Draws of cells become draws of domains: weighted averages by the children each cell stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.population_match import add_up, match_population
from riskmodels.estimates.quantities import logit_normal_draws
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import INDICATOR

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
    note
        What a reader must know about the children behind the shares; empty where the frame says it all.
    """

    by: tuple[str, ...]
    index: IntArray
    of_cell: IntArray
    share: FloatArray
    note: str = ""

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

    The population frame decides between its own cells, weight totals within them; without a frame weight totals
    decide everything.
    """
    if population is None:
        return np.asarray(cells.weight, dtype=float)
    matched = match_population(cells, population)
    return matched.spread(matched.frame.users)


def domains_of(cells: Cells, by: Sequence[str], population: PopulationFrame | None = None) -> Domains:
    """Partition the cells into domains.

    Parameters
    ----------
    cells
        The cells of a fit.
    by
        Factors to keep; the others are averaged over.
    population
        Children per country or per cell; weight totals of the cells if omitted.

    Returns
    -------
    Domains
        Each cell's share of its domain: children online in the cell over those in the domain.

    Raises
    ------
    InputError
        E132 for factors that the cells do not have, E185 as in `match_population`.
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
    matched = None if population is None else match_population(cells, population)
    children = cells.weight if matched is None else matched.spread(matched.frame.users)
    total = np.bincount(of_cell, weights=children)
    if (~(total > 0)).any():
        raise InputError(
            [
                Problem(
                    "E185",
                    "a domain stands for no children",
                    "population",
                    int((~(total > 0)).sum()),
                    "check weights and population",
                )
            ],
            "by",
        )
    return Domains(
        by=tuple(wanted),
        index=index[:, : len(wanted)],
        of_cell=of_cell,
        share=children / total[of_cell],
        note="" if matched is None else matched.note,
    )


def affected_draws(
    prevalence: FloatArray, cells: Cells, by: Sequence[str], population: PopulationFrame, rng: np.random.Generator
) -> tuple[Domains, FloatArray]:
    """Children affected per domain, draw by draw, each share online uncertain on the logit scale.

    Parameters
    ----------
    prevalence
        Prevalence of every cell among users, shape (chain, draw, cell).
    cells
        The cells of the fit.
    by
        Factors to keep.
    population
        Children (taken as known) and shares online with their standard errors, per country or per cell. Cells of the
        frame that rest on one share move together.
    rng
        Random generator of the shares.

    Returns
    -------
    tuple of Domains and numpy.ndarray
        The domains, and numbers of children, shape (chain, draw, domain): sum over cells of prevalence x share online
        x children. Domains without respondents are not among them.

    References
    ----------
    Delta method on the logit, as `quantities.logit_normal_draws`.
    """
    domains = domains_of(cells, by, population)
    matched = match_population(cells, population)
    shares = logit_normal_draws(matched.frame.share_online, matched.frame.share_online_se, prevalence.shape[:-1], rng)
    users = matched.spread(matched.frame.children * shares[..., matched.frame.share_of_cell])
    return domains, add_up(prevalence * users, domains.of_cell, len(domains))
