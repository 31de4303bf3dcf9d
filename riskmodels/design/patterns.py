"""Joint answers to several questions, counted per cell: the data of the co-occurrence and skill models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import UNDECLARED, WEIGHT, coded_select, quoted, refuse_undeclared
from riskmodels.design.collapse import not_fielded_in
from riskmodels.design.survey_factors import check_names, country_factor, factor_positions
from riskmodels.design.totals import NO_LEVEL
from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.factors import Factor
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, INDICATOR

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Patterns:
    """How many children gave each combination of answers, per cell; no row is a child unless it is alone in its cell.

    Parameters
    ----------
    factors
        Country first, then the factors asked for.
    indicators
        The questions, as a factor.
    index
        Level positions, shape (patterns, factors).
    answers
        1 yes, 0 no, negative for kinds of missing (in the order of `vocabulary.MISSING_KINDS`), shape (patterns,
        indicators).
    n
        Children with this pattern.
    weight
        Sum of their weights, mean 1 per child within each country.
    weight_squared
        Sum of their squared weights on the same scale.
    synthetic
        Whether the children are made up.
    warnings
        What was noticed.
    """

    factors: tuple[Factor, ...]
    indicators: Factor
    index: IntArray
    answers: IntArray
    n: FloatArray
    weight: FloatArray
    weight_squared: FloatArray
    synthetic: bool
    warnings: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        """Give the number of patterns in cells."""
        return len(self.n)

    def share_of(self, answers: Sequence[int]) -> float:
        """Weighted share of all children who gave exactly these answers."""
        same = (self.answers == np.asarray(answers)).all(axis=1)
        return float(self.weight[same].sum() / self.weight.sum())

    def __repr__(self) -> str:
        """Show sizes only."""
        return (
            f"Patterns({len(self)} patterns in cells, {len(self.indicators)} indicators, {self.n.sum():.0f} children)"
        )


def count_patterns(
    codebook: Codebook, source: SourceTable, indicators: Sequence[str], by: Sequence[str] = ()
) -> Patterns:
    """Count the joint answers to several indicators per country and subgroup.

    Parameters
    ----------
    codebook, source
        The study.
    indicators
        Indicators, up to about fifteen.
    by
        Variables that split children besides country; children without a level of one of them are left out.

    Returns
    -------
    Patterns
        As many rows as there are different combinations in a cell, however many children there are.

    Raises
    ------
    InputError
        E132 for unknown names, E160 for values that the codebook does not declare.
    """
    by = [name for name in by if name != COUNTRY]
    check_names(codebook, indicators, by)
    with reading(source), source.connect() as connection:
        fielded = not_fielded_in(connection, codebook, source, [*indicators, *by])
        keys = ", ".join(quoted(name) for name in (COUNTRY, *by, *indicators))
        statement = coded_select(codebook, source, [*by, *indicators], fielded)
        table = connection.execute(
            f"SELECT {keys}, count(*) AS children, sum({quoted(WEIGHT)}) AS weight_total, "
            f"sum({quoted(WEIGHT)} * {quoted(WEIGHT)}) AS weight_squares FROM ({statement}) GROUP BY {keys} ORDER BY {keys}"
        ).df()
    refuse_undeclared(
        {name: int(table.loc[table[name] == UNDECLARED, "children"].sum()) for name in (*indicators, *by)},
        codebook.file,
    )
    return _patterns(codebook, table, indicators, by)


def _patterns(codebook: Codebook, table: pd.DataFrame, indicators: Sequence[str], by: Sequence[str]) -> Patterns:
    countries = country_factor(codebook, list(pd.unique(table[COUNTRY])))
    factors, columns, notes = [countries], [countries.codes(table[COUNTRY])], []
    for name in by:
        factor, position, found = factor_positions(codebook, name, table[name])
        factors.append(factor)
        columns.append(position)
        notes += found
    index = np.column_stack(columns)
    whole = (index != NO_LEVEL).all(axis=1)
    children, weight = table["children"].to_numpy(float), table["weight_total"].to_numpy(float)
    scale = (np.bincount(index[:, 0], children) / np.bincount(index[:, 0], weight))[index[:, 0]]
    labels = tuple(codebook.indicators[name].label or name for name in indicators)
    return Patterns(
        factors=tuple(factors),
        indicators=Factor(INDICATOR, tuple(indicators), labels),
        index=index[whole],
        answers=table[list(indicators)].to_numpy(np.int64)[whole],
        n=children[whole],
        weight=(weight * scale)[whole],
        weight_squared=(table["weight_squares"].to_numpy(float) * scale**2)[whole],
        synthetic=codebook.synthetic,
        warnings=tuple(notes),
    )
