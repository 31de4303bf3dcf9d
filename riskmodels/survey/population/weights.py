"""A population frame from the sample's own weight totals, scaled to known totals of the countries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.factors import match_levels
from riskmodels.survey.population.cells import name_levels
from riskmodels.survey.population.frame import (
    SHARE,
    SHARE_SE,
    TOTAL,
    PopulationFrame,
    level_words,
    population_from_table,
)
from riskmodels.vocabulary import COUNTRY

#: Column of weight totals.
WEIGHT = "weight"


def population_from_weights(
    weights: pd.DataFrame, *, totals: PopulationFrame | Mapping[str, float] | None = None
) -> PopulationFrame:
    """Take the composition of the children from weight totals, and their number from known totals.

    Parameters
    ----------
    weights
        One row per cell: the factors as columns, and `weight`, the weight total of its respondents. Cells of weight
        zero are left out.
    totals
        Children per country: a frame by country (its shares online come along) or country -> children. Every
        country of the table must have one: countries on different scales cannot be added up. Without it the weight
        totals stand for children as they are, which is only right where weights are of population scale everywhere.

    Returns
    -------
    PopulationFrame
        With cells. Composition carries the sampling error of the weight totals, which is not stated.

    Raises
    ------
    InputError
        E132 for absent columns, E110 or E112 for weight totals below zero or missing, E111 where all of a country's
        are zero, E185 for countries on one side only.

    Examples
    --------
    >>> import pandas as pd
    >>> weights = pd.DataFrame({"country": ["KEN", "KEN"], "gender": ["girl", "boy"], "weight": [480.0, 520.0]})
    >>> population_from_weights(weights, totals={"KEN": 8e6}).cells.children.tolist()
    [3840000.0, 4160000.0]
    """
    raise_if_stopping(_problems(weights, totals), "weight totals")
    kept = weights[weights[WEIGHT] > 0].rename(columns={WEIGHT: TOTAL}).reset_index(drop=True)
    source = "weight totals of the sample"
    if totals is None:
        return population_from_table(kept, source=source)
    country = level_words(kept[COUNTRY])
    known = _children(totals)
    own = kept[TOTAL].groupby(country).transform("sum").to_numpy(float)
    kept[TOTAL] = kept[TOTAL].to_numpy(float) * country.map(known).to_numpy(float) / own
    if isinstance(totals, PopulationFrame):
        for column, figures in ((SHARE, totals.share_online), (SHARE_SE, totals.share_online_se)):
            kept[column] = country.map(dict(zip(totals.countries, figures, strict=True))).to_numpy(float)
        source += f", scaled to {totals.source}" if totals.source else ""
    return population_from_table(kept, source=source)


def _children(totals: PopulationFrame | Mapping[str, float]) -> dict[str, float]:
    if isinstance(totals, PopulationFrame):
        return {code: float(n) for code, n in zip(totals.countries, totals.children, strict=True)}
    return {code: float(n) for code, n in totals.items()}


def _problems(weights: pd.DataFrame, totals: PopulationFrame | Mapping[str, float] | None) -> list[Problem]:
    """Everything wrong with weight totals and the countries they are scaled to."""
    needed = [WEIGHT] + ([COUNTRY] if totals is not None else [])
    problems = [
        Problem("E132", f"column {name} is absent", "weight totals", 1, "give the factors, and weight")
        for name in needed
        if name not in weights
    ]
    if TOTAL in weights:
        problems.append(
            Problem("E132", "a column total stands beside the weights", TOTAL, 1, "keep factors and weight only")
        )
    if problems:
        return problems
    number = weights[WEIGHT].to_numpy(float)
    if (~np.isfinite(number)).any():
        bad = int((~np.isfinite(number)).sum())
        problems.append(Problem("E112", "weight totals are missing or infinite", WEIGHT, bad, "mend the weights"))
    if (number < 0).any():
        problems.append(
            Problem("E110", "weight totals are negative", WEIGHT, int((number < 0).sum()), "weights are above 0")
        )
    if COUNTRY not in weights:
        return problems
    country = level_words(weights[COUNTRY])
    none = [code for code in pd.unique(country) if not (number[(country == code).to_numpy()] > 0).any()]
    if none:
        problems.append(
            Problem("E111", "all weight totals of a country are zero", name_levels(none), len(none), "mend the weights")
        )
    if totals is not None:
        known = _children(totals)
        missing = match_levels(list(pd.unique(country)), list(known))[0]
        if missing:
            problems.append(
                Problem(
                    "E185",
                    "countries of the weights without a known total",
                    name_levels(missing),
                    len(missing),
                    "give the children of every country, or of none",
                )
            )
        impossible = [code for code in known if not (np.isfinite(known[code]) and known[code] > 0)]
        if impossible:
            problems.append(
                Problem(
                    "E185",
                    "number of children is zero, negative or missing",
                    name_levels(impossible),
                    len(impossible),
                    "give the number of children, above 0",
                )
            )
    return problems
