"""Categories of a population table mapped onto those of a survey, many to one; nothing is left over in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping


def map_levels(
    groups: pd.DataFrame,
    factor: str,
    mapping: Mapping[str, str],
    *,
    levels: Sequence[str] = (),
    value: str = "children",
) -> pd.DataFrame:
    """Map the categories of one column onto a survey's levels and add up what falls together.

    Parameters
    ----------
    groups
        Table with the column `factor` and the number of children.
    factor
        Column whose categories are mapped, e.g. single years of age.
    mapping
        Category -> level of the survey, many to one; every category must be named.
    levels
        The survey's levels; each must be reached. Not checked where empty.
    value
        Column that is added up.

    Returns
    -------
    pandas.DataFrame
        The same number of children in fewer rows.

    Raises
    ------
    InputError
        E185 naming every category without a level, and every level without a category.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"country": "KEN", "age": ["12", "13", "14"], "children": [10, 20, 30]})
    >>> map_levels(table, "age", {"12": "12-13", "13": "12-13", "14": "14"})["children"].tolist()
    [30, 30]
    """
    problems = []
    if factor not in groups:
        problems.append(Problem("E132", "no such column in the population table", factor, 1, "name the column to map"))
        raise_if_stopping(problems, "population table")
    found = groups[factor].astype(str)
    over = sorted(set(found) - set(mapping))
    if over:
        what = "categories of the population that no level of the survey stands for"
        problems.append(Problem("E185", what, f"{factor}: {', '.join(over[:10])}", len(over), "map every category"))
    unreached = [level for level in levels if level not in set(mapping.values())]
    foreign = sorted(set(mapping.values()) - set(levels)) if levels else []
    if unreached or foreign:
        where = f"{factor}: {', '.join([*unreached, *foreign][:10])}"
        what = "levels of the survey without a category, or mapped to without being a level"
        problems.append(Problem("E185", what, where, len(unreached) + len(foreign), "correct the mapping"))
    raise_if_stopping(problems, "population table")
    mapped = groups.assign(**{factor: found.map(dict(mapping))})
    others = [str(name) for name in groups if name not in (value,)]
    return mapped.groupby(others, sort=False, dropna=False)[value].sum().reset_index()
