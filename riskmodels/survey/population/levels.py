"""Categories of a population frame onto the levels of a survey, many to one, nothing left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.factors import Factor
from riskmodels.survey.population.cells import merged_cells, name_levels
from riskmodels.survey.population.frame import PopulationFrame, cells_of, frame_from_cells


def map_levels(
    frame: PopulationFrame, factor: str, mapping: Mapping[str, str], *, levels: Sequence[str] | None = None
) -> PopulationFrame:
    """Bring the categories of a population frame onto the survey's levels.

    Parameters
    ----------
    frame
        Population frame.
    factor
        Factor whose categories are mapped, e.g. ``"age_group"`` held in single years.
    mapping
        Category of the frame -> level of the survey, many to one: ``{"12": "12-13", "13": "12-13", ...}``.
    levels
        The survey's levels in their order: every one must be reached. In the order of the mapping if omitted.

    Returns
    -------
    PopulationFrame
        Children add up exactly. Where merged cells rest on different shares online, the merged share is their mean
        weighted by children, with the standard error of that mean.

    Raises
    ------
    InputError
        E185 listing every level left over on either side: categories that are not mapped, categories of the mapping
        that the frame lacks, targets the survey lacks, levels of the survey that nothing reaches.

    Examples
    --------
    >>> import pandas as pd
    >>> from riskmodels.survey.population import population_from_table
    >>> years = pd.DataFrame({"age": ["12", "13", "14"], "total": [10.0, 20.0, 30.0]})
    >>> mapped = map_levels(population_from_table(years), "age", {"12": "12-13", "13": "12-13", "14": "14-15"})
    >>> mapped.cells.children.tolist()
    [30.0, 30.0]
    """
    cells = cells_of(frame)
    if factor not in cells.names:
        raise InputError(
            [
                Problem(
                    "E132", f"no factor {factor} in the frame", "mapping", 1, f"choose among {', '.join(cells.names)}"
                )
            ],
            "population frame",
        )
    old = cells.factor(factor)
    targets = tuple(dict.fromkeys(mapping.values()))
    wanted = targets if levels is None else tuple(levels)
    problems = [
        Problem("E185", what, f"{factor}: {name_levels(left)}", len(left), remedy)
        for what, left, remedy in (
            (
                "categories of the frame that are not mapped",
                [level for level in old.levels if level not in mapping],
                "say which level of the survey each belongs to, or leave these children out of the frame",
            ),
            (
                "categories of the mapping that the frame does not have",
                [level for level in mapping if level not in old.levels],
                "check their spelling in the frame",
            ),
            (
                "targets of the mapping that the survey does not have",
                [level for level in targets if level not in wanted],
                "check their spelling in the codebook",
            ),
            (
                "levels of the survey that no category reaches",
                [level for level in wanted if level not in targets],
                "add the categories that make them up",
            ),
        )
        if left
    ]
    raise_if_stopping(problems, "population frame")
    new = Factor(factor, wanted)
    index = cells.index.copy()
    place = cells.names.index(factor)
    index[:, place] = new.codes(mapping[level] for level in old.levels)[index[:, place]]
    factors = tuple(new if own.name == factor else own for own in cells.factors)
    return frame_from_cells(merged_cells(cells, factors, index), frame.source)
