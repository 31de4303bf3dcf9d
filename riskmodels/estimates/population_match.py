"""A population frame matched to the cells of a fit: whose children each cell stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.factors import match_levels
from riskmodels.survey.population import PopulationCells, PopulationFrame
from riskmodels.survey.population.cells import name_levels
from riskmodels.survey.population.frame import cells_of
from riskmodels.vocabulary import COUNTRY, INDICATOR, MULTI_RESPONSE_DIMS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PopulationOfCells:
    """How the children of a population frame spread over the cells of a fit.

    A *group* is a combination of the factors that frame and cells share. Its children go to the cells of the group,
    per indicator, in proportion to their weight totals.

    Parameters
    ----------
    frame
        Cells of the population frame, in the cells' order of countries.
    group_of_frame
        Group of every cell of the frame.
    group
        Group of every cell of the fit.
    part, whole
        Weight total of every cell, and of all cells of its group and indicator.
    country
        Country of every group.
    asked
        Whether anybody of the group is in the sample: the children of the other groups are taken to be like the rest
        of their country.
    note
        Where weight totals decide, and which children nobody in the sample stands for.
    """

    frame: PopulationCells
    group_of_frame: IntArray
    group: IntArray
    part: FloatArray
    whole: FloatArray
    country: IntArray
    asked: npt.NDArray[np.bool_]
    note: str = ""

    def spread(self, children: FloatArray) -> FloatArray:
        """Children of the frame's cells (last axis) to children of the cells of the fit."""
        grouped = add_up(children, self.group_of_frame, len(self.asked))
        values = grouped[..., self.group] * self.part / self.whole
        if self.asked.all():
            return np.asarray(values)
        countries = int(self.country.max()) + 1
        every = add_up(grouped, self.country, countries)
        present = add_up(np.where(self.asked, grouped, 0.0), self.country, countries)
        return np.asarray(values * (every / present)[..., self.country[self.group]])


def add_up(values: FloatArray, group: IntArray, size: int) -> FloatArray:
    """Sum the last axis within groups."""
    flat = values.reshape(-1, values.shape[-1])
    matrix = sparse.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(size, len(group)))
    return np.asarray((matrix @ flat.T).T).reshape(*values.shape[:-1], size)


def _refuse_filtered(cells: Cells) -> None:
    """Stop where a frame of all children would stand for the children asked."""
    filtered = [problem for problem in cells.warnings if problem.code == "W145"]
    if filtered:
        names, count = ", ".join(problem.where for problem in filtered), sum(problem.count for problem in filtered)
        what = "a population of all children cannot stand for those asked a filtered question"
        remedy = "load the study without a population for these indicators: figures are of the children asked"
        raise InputError([Problem("E185", what, names, count, remedy)], "population")


def match_population(cells: Cells, population: PopulationFrame) -> PopulationOfCells:
    """Match a population frame to the cells of a fit.

    Parameters
    ----------
    cells
        The cells of a fit.
    population
        Children by country or by cell, levels named by code or by the words shown. Factors that the cells lack are
        added up; where the cells have factors that the
        frame lacks, weight totals decide within the frame's cells.

    Returns
    -------
    PopulationOfCells
        `spread` takes numbers of the frame to the cells.

    Raises
    ------
    InputError
        E185, all at once: levels that only one side has, cells of the sample that the frame has no children for, no
        factor in common, several countries and a frame that does not split by country, questions that only some
        children were asked (nobody knows how many there are).

    Examples
    --------
    >>> import pandas as pd
    >>> import riskmodels as rm
    >>> from riskmodels.survey.population import population_from_table
    >>> cells = rm.load_pack("disrupting-harm").cells(base="valid answers").select(country=["KEN", "UGA"])
    >>> frame = population_from_table(pd.DataFrame({"country": ["KEN", "UGA"], "total": [7e6, 6e6]}))
    >>> matched = match_population(cells, frame)
    >>> float(matched.spread(matched.frame.children).sum() / len(cells.factor("indicator")))
    13000000.0
    """
    _refuse_filtered(cells)
    frame = cells_of(_by_country(cells, population))
    shared = [name for name in frame.names if name in cells.names]
    if not shared:
        raise InputError(
            [
                Problem(
                    "E185",
                    "a population frame by country needs cells by country"
                    if frame.names == (COUNTRY,)
                    else "the population frame and the cells have no factor in common",
                    "cells",
                    1,
                    "leave population out",
                )
            ],
            "population frame",
        )
    raise_if_stopping(_compare_levels(cells, frame, shared), "population frame")
    own = np.column_stack([cells.position(name) for name in shared])
    theirs = np.column_stack([_in_cells_order(cells, frame, name) for name in shared])
    both, place = np.unique(np.concatenate([theirs, own]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    of_frame, group = place[: len(frame)], place[len(frame) :]
    raise_if_stopping(_missing_children(cells, shared, both, of_frame, group), "population frame")
    item = cells.position(INDICATOR) if INDICATOR in cells.names else np.zeros(len(cells), dtype=np.int64)
    pair = np.unique(np.column_stack([group, item]), axis=0, return_inverse=True)[1].reshape(-1)
    alone = np.bincount(pair)[pair] == 1
    part = np.where(alone & (cells.weight == 0), 1.0, cells.weight)
    whole = np.bincount(pair, weights=part)[pair]
    raise_if_stopping(_without_weight(whole), "population frame")
    country = both[:, shared.index(COUNTRY)] if COUNTRY in shared else np.zeros(len(both), dtype=np.int64)
    asked = np.isin(np.arange(len(both)), group)
    note = "; ".join(
        words
        for words in (
            _note_of_weights(cells, shared, alone),
            _note_of_nobody(frame, of_frame, asked),
            _note_of_not_asked(group, item, country),
        )
        if words
    )
    return PopulationOfCells(frame, of_frame, group, part, whole, country, asked, note)


def _by_country(cells: Cells, population: PopulationFrame) -> PopulationFrame:
    """The frame in the order of the cells' countries; refused where it cannot tell them apart."""
    if COUNTRY not in cells.names:
        return population
    levels = cells.factor(COUNTRY).levels
    if not population.countries and len(levels) > 1:
        raise InputError(
            [
                Problem(
                    "E185",
                    "the population frame is not split by country and the cells are",
                    name_levels(levels),
                    len(levels),
                    "add a country column: weights of different countries cannot be added up",
                )
            ],
            "population frame",
        )
    return population.aligned(levels)


def _compare_levels(cells: Cells, frame: PopulationCells, shared: Sequence[str]) -> list[Problem]:
    """E185: levels of a shared factor that only one side has (countries have been compared before)."""
    problems = []
    for name in shared:
        levels = cells.factor(name).levels
        codes = [_code(cells, name, level) for level in frame.factor(name).levels]
        only_cells, only_frame = match_levels(levels, codes)
        words = [
            f"only in the {side}: {name_levels(left)}"
            for side, left in (("sample", only_cells), ("frame", only_frame))
            if left
        ]
        if words:
            problems.append(
                Problem(
                    "E185",
                    f"levels of {name} stand on one side only",
                    "; ".join(words),
                    len(only_cells) + len(only_frame),
                    "map the frame's categories onto the survey's (map_levels), or leave those children out of it",
                )
            )
    return problems


def _in_cells_order(cells: Cells, frame: PopulationCells, name: str) -> IntArray:
    """Level positions of the frame's cells, as the cells of the fit count them."""
    codes = [_code(cells, name, level) for level in frame.factor(name).levels]
    return cells.factor(name).codes(codes)[frame.position(name)]


def _code(cells: Cells, name: str, level: str) -> str:
    """Code of a level that the frame may name by code or by the words shown; itself where the cells have neither."""
    factor = cells.factor(name)
    if level in factor.levels or level not in factor.labels:
        return level
    return factor.levels[factor.labels.index(level)]


def _missing_children(
    cells: Cells, shared: Sequence[str], both: IntArray, of_frame: IntArray, group: IntArray
) -> list[Problem]:
    """E185: groups with respondents and no children in the frame."""
    missing = np.setdiff1d(group, of_frame)
    if not len(missing):
        return []
    words = [
        " / ".join(cells.factor(name).levels[i] for name, i in zip(shared, both[at], strict=True)) for at in missing
    ]
    return [
        Problem(
            "E185",
            "the sample has cells for which the population frame has no children",
            name_levels(words),
            len(missing),
            "add their number to the frame, or pool levels",
        )
    ]


def _without_weight(whole: FloatArray) -> list[Problem]:
    bad = int((~(whole > 0)).sum())
    what, remedy = "weight totals are zero where they must divide children", "check weights and population"
    return [Problem("E185", what, "cells", bad, remedy)] if bad else []


def _note_of_weights(cells: Cells, shared: Sequence[str], alone: npt.NDArray[np.bool_]) -> str:
    within = [name for name in cells.subgroups if name not in shared and name not in MULTI_RESPONSE_DIMS]
    if not within or alone.all():
        return ""
    return f"children by {', '.join(shared)} from the population; by {', '.join(within)} from weight totals"


def _note_of_nobody(frame: PopulationCells, of_frame: IntArray, asked: npt.NDArray[np.bool_]) -> str:
    if asked.all():
        return ""
    share = frame.children[~asked[of_frame]].sum() / frame.children.sum()
    return f"{100 * share:.2g} % of the children live in groups without respondents: taken to be like the rest"


def _note_of_not_asked(group: IntArray, item: IntArray, country: IntArray) -> str:
    """Groups that answered some indicators, but not one that was asked of others in their country."""
    answered = np.unique(np.column_stack([group, item]), axis=0)
    fielded = np.unique(np.column_stack([country[answered[:, 0]], answered[:, 1]]), axis=0)
    groups_of = np.bincount(country[np.unique(answered[:, 0])], minlength=int(country.max()) + 1)
    left_out = int(groups_of[fielded[:, 0]].sum()) - len(answered)
    return f"{left_out} groups of children did not get every question: left out where not asked" if left_out else ""
