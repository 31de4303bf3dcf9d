"""Margins to a full table of cells by iterative proportional fitting, with a report of how well that went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.factors import match_levels
from riskmodels.survey.population.cells import name_levels
from riskmodels.survey.population.frame import SHARE, SHARE_SE, TOTAL, PopulationFrame, level_words
from riskmodels.survey.population.frame import population_from_table as _frame

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Relative difference from which two margins are said to contradict each other.
CONTRADICTS_FROM = 1e-8
#: Cells a full table may have; more are refused rather than left to fill the memory.
MOST_CELLS = 5_000_000


@dataclass(frozen=True)
class MarginFit:
    """How well one margin is reproduced.

    Parameters
    ----------
    factors
        Factors of the margin.
    cells
        Number of figures in it.
    largest_deviation
        Largest relative deviation of the raked table from a figure of the margin.
    """

    factors: tuple[str, ...]
    cells: int
    largest_deviation: float


@dataclass(frozen=True)
class RakingReport:
    """How iterative proportional fitting ended.

    Parameters
    ----------
    iterations
        Rounds over all margins.
    tolerance
        Largest relative deviation allowed.
    margins
        One entry per margin, in the order given.
    start
        ``"uniform"`` or ``"seed table"``: where associations that no margin states come from.
    cells, empty_combinations
        Cells of the result, and combinations of levels that hold nobody.
    total
        Children in all.
    """

    iterations: int
    tolerance: float
    margins: tuple[MarginFit, ...]
    start: str
    cells: int
    empty_combinations: int
    total: float

    @property
    def largest_deviation(self) -> float:
        """Largest relative deviation over all margins."""
        return max(margin.largest_deviation for margin in self.margins)


@dataclass(frozen=True, eq=False)
class RakedFrame:
    """A population frame made from margins, and the report on the fitting.

    Parameters
    ----------
    frame
        Children per cell of all factors of the margins; everybody counts as online until shares are given.
    report
        Iterations and deviations.
    """

    frame: PopulationFrame
    report: RakingReport


@dataclass(frozen=True, eq=False)
class _Margin:
    """One margin: its figures, and which of them every cell of the full table belongs to (-1: none)."""

    factors: tuple[str, ...]
    target: FloatArray
    of_cell: IntArray
    words: tuple[str, ...]


def rake_population(
    margins: Sequence[pd.DataFrame],
    *,
    seed_table: pd.DataFrame | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 1000,
) -> RakedFrame:
    """Fill a table of cells from its margins.

    Parameters
    ----------
    margins
        Tables of children: the factors of the margin as columns, and `total`. One factor or several each; with
        `country` among them they hold per country. Combinations that a margin does not list hold nobody.
    seed_table
        Table to start from: all factors of the margins, and `total`, e.g. the sample's weight totals. Its odds
        ratios are kept wherever no margin states them, and combinations it does not list hold nobody. Without it the
        factors are taken as independent within what the margins state.
    tolerance
        Largest relative deviation from any figure at which the fitting stops.
    max_iterations
        Rounds after which margins that are still not met are called contradictory.

    Returns
    -------
    RakedFrame
        `frame` with every combination as a cell, and `report`. Only the margins are known figures: what the cells say
        beyond them is the seed's association, or independence.

    Raises
    ------
    InputError
        E185: zero or missing figures, levels on one side only, margins whose common totals differ (with how much),
        figures that no cell of the seed can fill, margins not met in `max_iterations`; E150 for repeated rows.

    Examples
    --------
    >>> import pandas as pd
    >>> gender = pd.DataFrame({"gender": ["girl", "boy"], "total": [60.0, 40.0]})
    >>> age = pd.DataFrame({"age": ["12-14", "15-17"], "total": [30.0, 70.0]})
    >>> raked = rake_population([gender, age])
    >>> raked.frame.cells.children.round(6).tolist()
    [18.0, 42.0, 12.0, 28.0]
    >>> raked.report.iterations
    1

    References
    ----------
    Deming & Stephan 1940, Annals of Mathematical Statistics 11, 427-444; Fienberg 1970, ibid. 41, 907-917
    (convergence, and that the odds ratios of the seed are kept).
    """
    _check_settings(margins, tolerance, max_iterations)
    tables = [_checked(table, f"margin {place}") for place, table in enumerate(margins, start=1)]
    seed = None if seed_table is None else _checked(seed_table, "seed table")
    raise_if_stopping([problem for _, found in (*tables, *([seed] if seed else [])) for problem in found], "raking")
    clean = [table for table, _ in tables]
    names = _all_factors(clean)
    raise_if_stopping(_compare_levels(clean, None if seed is None else seed[0], names), "raking")
    raise_if_stopping(_contradictions(clean), "raking")
    cells, start = _starting_cells(clean, None if seed is None else seed[0], names)
    placed = [_place(table, cells) for table in clean]
    value = np.where(np.logical_and.reduce([margin.of_cell >= 0 for margin in placed]), start, 0.0)
    raise_if_stopping(_unreachable(placed, value), "raking")
    value, iterations = _fit(placed, value, tolerance, max_iterations)
    kept = cells[value > 0].assign(**{TOTAL: value[value > 0]})
    report = RakingReport(
        iterations=iterations,
        tolerance=tolerance,
        margins=tuple(MarginFit(m.factors, len(m.target), _deviation(m, value)) for m in placed),
        start="uniform" if seed is None else "seed table",
        cells=len(kept),
        empty_combinations=_combinations(clean, names) - len(kept),
        total=float(value.sum()),
    )
    words = "; ".join("*".join(margin.factors) for margin in placed)
    return RakedFrame(_frame(kept, source=f"raked from margins: {words}"), report)


def _check_settings(margins: Sequence[pd.DataFrame], tolerance: float, max_iterations: int) -> None:
    problems = []
    if not margins:
        problems.append(Problem("E101", "no margin is given", "margins", 0, "give at least one"))
    if not 0 < tolerance < 1:
        problems.append(Problem("E195", "the tolerance is a small number above 0", "tolerance", 1, "write 1e-10"))
    if max_iterations < 1:
        problems.append(Problem("E195", "at least one iteration is needed", "max_iterations", 1, "write 1000"))
    raise_if_stopping(problems, "raking")


def _checked(table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[Problem]]:
    """A margin with its levels as text, and what is wrong with it; seeds may hold zeros."""
    factors = [str(name) for name in table.columns if name != TOTAL]
    if SHARE in table or SHARE_SE in table:
        what = "shares online cannot be raked"
        return table, [Problem("E132", what, where, 1, "leave them out; give them afterwards (with_share_online)")]
    if TOTAL not in table or not factors or len(table) == 0:
        what = "a column total, a factor or every row is absent"
        return table, [Problem("E132", what, where, 1, "give the factors as columns, and total")]
    clean = pd.DataFrame({name: level_words(table[name]) for name in factors})
    number = pd.to_numeric(table[TOTAL], errors="coerce").to_numpy(float)
    seed = where == "seed table"
    bad = ~(np.isfinite(number) & ((number >= 0) if seed else (number > 0)))
    problems = []
    if bad.any():
        what = "figures are negative or missing" if seed else "figures are zero, negative or missing"
        problems.append(Problem("E185", what, where, int(bad.sum()), "give children, or leave the combination out"))
    empty = int((clean == "").any(axis=1).sum())
    if empty:
        problems.append(Problem("E185", "a level is empty", where, empty, "name every level in every row"))
    twice = int(clean.duplicated().sum())
    if twice:
        problems.append(
            Problem("E150", "the same combination of levels stands twice", where, twice, "keep one row of each")
        )
    return clean.assign(**{TOTAL: number}), problems


def _factors(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name != TOTAL]


def _all_factors(margins: Sequence[pd.DataFrame]) -> list[str]:
    return list(dict.fromkeys(name for table in margins for name in _factors(table)))


def _compare_levels(margins: Sequence[pd.DataFrame], seed: pd.DataFrame | None, names: Sequence[str]) -> list[Problem]:
    """E185: levels that one margin (or the seed) has and another, with the same factor, has not."""
    tables = {f"margin {place}": table for place, table in enumerate(margins, start=1)}
    problems = []
    if seed is not None:
        tables["the seed table"] = seed
        for what, left in (
            ("factors of the margins that the seed table lacks", [n for n in names if n not in seed]),
            ("factors of the seed table that no margin has", [n for n in _factors(seed) if n not in names]),
        ):
            if left:
                problems.append(
                    Problem("E185", what, ", ".join(left), len(left), "start from a table of the same factors")
                )
    for name in names:
        having = {where: list(pd.unique(table[name])) for where, table in tables.items() if name in table}
        every = list(dict.fromkeys(level for levels in having.values() for level in levels))
        for where, levels in having.items():
            missing = match_levels(every, levels)[0]
            if missing:
                problems.append(
                    Problem(
                        "E185",
                        f"levels of {name} that {where} does not have",
                        name_levels(missing),
                        len(missing),
                        "give every level in every table, or map the levels onto one another",
                    )
                )
    return problems


def _contradictions(margins: Sequence[pd.DataFrame]) -> list[Problem]:
    """E185: margins whose totals differ where they overlap, with how much and where."""
    problems = []
    for (first, one), (second, other) in combinations(enumerate(margins, start=1), 2):
        shared = [name for name in _factors(one) if name in _factors(other)]
        if shared:
            both = pd.concat([table.groupby(shared, sort=False)[TOTAL].sum() for table in (one, other)], axis=1)
            a, b = both.iloc[:, 0].fillna(0).to_numpy(), both.iloc[:, 1].fillna(0).to_numpy()
            words = [" / ".join(key) if isinstance(key, tuple) else str(key) for key in both.index]
        else:
            a, b, words = np.array([one[TOTAL].sum()]), np.array([other[TOTAL].sum()]), ["all children"]
        apart = np.abs(a - b) / np.maximum(a, b)
        bad = np.flatnonzero(apart > CONTRADICTS_FROM)
        if len(bad):
            worst = bad[np.argmax(apart[bad])]
            problems.append(
                Problem(
                    "E185",
                    f"margins {first} and {second} contradict each other: their totals differ by up to "
                    f"{100 * apart[worst]:.3g} %",
                    f"worst at {words[worst]}",
                    len(bad),
                    "take figures of one year and one source, or scale one margin to the other's totals",
                )
            )
    return problems


def _combinations(margins: Sequence[pd.DataFrame], names: Sequence[str]) -> int:
    """Number of combinations of all levels."""
    return int(np.prod([next(t[name].nunique() for t in margins if name in t) for name in names], dtype=object))


def _starting_cells(
    margins: Sequence[pd.DataFrame], seed: pd.DataFrame | None, names: Sequence[str]
) -> tuple[pd.DataFrame, FloatArray]:
    """Full table of cells and the values to start from: the seed's, or 1 for every combination the margins list."""
    if seed is not None:
        positive = seed[seed[TOTAL] > 0].reset_index(drop=True)
        return positive[list(names)], positive[TOTAL].to_numpy(float)
    cells = margins[0][_factors(margins[0])]
    for table in margins[1:]:
        factors = _factors(table)
        shared = [name for name in factors if name in cells]
        if not shared and len(cells) * len(table) > MOST_CELLS:
            raise InputError(
                [
                    Problem(
                        "E185",
                        "the table of cells is too large",
                        "margins",
                        len(cells) * len(table),
                        "use fewer factors",
                    )
                ],
                "raking",
            )
        cells = cells.merge(table[factors], on=shared) if shared else cells.merge(table[factors], how="cross")
    return cells[list(names)], np.ones(len(cells))


def _place(table: pd.DataFrame, cells: pd.DataFrame) -> _Margin:
    """Find the figure of a margin that every cell belongs to."""
    factors = _factors(table)
    at = pd.MultiIndex.from_frame(table[factors]).get_indexer(pd.MultiIndex.from_frame(cells[factors]))
    words = tuple(" / ".join(row) for row in table[factors].itertuples(index=False, name=None))
    return _Margin(tuple(factors), table[TOTAL].to_numpy(float), np.asarray(at, dtype=np.int64), words)


def _sums(margin: _Margin, value: FloatArray) -> FloatArray:
    inside = margin.of_cell >= 0
    return np.bincount(margin.of_cell[inside], weights=value[inside], minlength=len(margin.target))


def _deviation(margin: _Margin, value: FloatArray) -> float:
    return float(np.max(np.abs(_sums(margin, value) / margin.target - 1)))


def _unreachable(margins: Sequence[_Margin], value: FloatArray) -> list[Problem]:
    """E185: a margin has children where no cell may hold any (structural zeros)."""
    problems = []
    for margin in margins:
        empty = np.flatnonzero(_sums(margin, value) <= 0)
        if len(empty):
            problems.append(
                Problem(
                    "E185",
                    f"children of the margin {'*'.join(margin.factors)} have no cell that may hold them",
                    name_levels(margin.words[at] for at in empty),
                    len(empty),
                    "the seed table or another margin leaves these combinations out: add them, or pool levels",
                )
            )
    return problems


def _fit(
    margins: Sequence[_Margin], value: FloatArray, tolerance: float, max_iterations: int
) -> tuple[FloatArray, int]:
    """Scale the table to each margin in turn until all are met."""
    value = value * (margins[0].target.sum() / value.sum())
    for iteration in range(1, max_iterations + 1):
        for margin in margins:
            sums = _sums(margin, value)
            factor = np.divide(margin.target, sums, out=np.zeros_like(sums), where=sums > 0)
            value = value * np.where(margin.of_cell >= 0, factor[margin.of_cell], 0.0)
        if max(_deviation(margin, value) for margin in margins) <= tolerance:
            return value, iteration
    problems = [
        Problem(
            "E185",
            f"the margin {'*'.join(margin.factors)} is still {100 * _deviation(margin, value):.2g} % off after "
            f"{max_iterations} rounds",
            name_levels([margin.words[int(np.argmax(np.abs(_sums(margin, value) / margin.target - 1)))]]),
            len(margin.target),
            "margins or empty combinations contradict each other: pool levels, or start without the seed table",
        )
        for margin in margins
        if not _deviation(margin, value) <= tolerance
    ]
    raise InputError(problems, "raking")
