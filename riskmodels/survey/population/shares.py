"""Shares of children online given to a frame that has none: per country, per group or per cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.factors import match_levels
from riskmodels.survey.population.cells import PopulationCells, name_levels
from riskmodels.survey.population.frame import (
    SHARE,
    SHARE_SE,
    PopulationFrame,
    cells_of,
    frame_from_cells,
    level_words,
)


def with_share_online(frame: PopulationFrame, shares: pd.DataFrame) -> PopulationFrame:
    """Give shares online to a frame made from margins or weight totals.

    Parameters
    ----------
    frame
        Population frame.
    shares
        One row per figure: some of the frame's factors as columns (`country`, or `country` and `gender`, ...),
        `share_online` and `share_online_se`, both proportions.

    Returns
    -------
    PopulationFrame
        Every figure is one uncertain number for all the cells it covers: their children move together.

    Raises
    ------
    InputError
        E132 for absent columns, E150 for a repeated row, E185 for cells without a figure, figures without a cell and
        impossible figures.

    Examples
    --------
    >>> import pandas as pd
    >>> from riskmodels.survey.population import population_from_table
    >>> table = pd.DataFrame({"country": ["KEN", "KEN"], "gender": ["girl", "boy"], "total": [100.0, 300.0]})
    >>> shares = pd.DataFrame({"gender": ["boy", "girl"], "share_online": [0.8, 0.4], "share_online_se": [0.02, 0.02]})
    >>> float(with_share_online(population_from_table(table), shares).users[0])
    280.0
    """
    cells = cells_of(frame)
    by = [str(name) for name in shares.columns if name not in (SHARE, SHARE_SE)]
    unknown = [name for name in by if name not in cells.names]
    problems = [
        Problem("E132", f"column {name} is absent", "shares online", 1, "give share_online and share_online_se")
        for name in (SHARE, SHARE_SE)
        if name not in shares
    ]
    if unknown or not by:
        problems.append(
            Problem(
                "E132",
                "columns that are no factor of the frame, or none at all",
                ", ".join(unknown) or "shares online",
                max(len(unknown), 1),
                f"choose among {', '.join(cells.names)}",
            )
        )
    raise_if_stopping(problems, "shares online")
    given = [" / ".join(row) for row in zip(*(level_words(shares[name]) for name in by), strict=True)]
    levels = [[cells.factor(name).levels[i] for i in cells.position(name)] for name in by]
    wanted = [" / ".join(row) for row in zip(*levels, strict=True)]
    missing, unused = match_levels(list(dict.fromkeys(wanted)), given)
    problems = [
        Problem("E185", what, name_levels(left), len(left), remedy)
        for what, left, remedy in (
            ("children without a share online", missing, "give a share for each"),
            ("shares online of children that the frame does not have", unused, "leave them out, or check the spelling"),
        )
        if left
    ]
    if len(set(given)) < len(given):
        problems.append(
            Problem("E150", "a share online stands twice", "shares online", len(given) - len(set(given)), "keep one")
        )
    raise_if_stopping(problems, "shares online")
    made: PopulationCells = replace(
        cells,
        share_online=shares[SHARE].to_numpy(float),
        share_online_se=shares[SHARE_SE].to_numpy(float),
        share_of_cell=np.array([given.index(name) for name in wanted]),
    )
    return frame_from_cells(made, frame.source)
