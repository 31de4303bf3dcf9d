"""Survey to the rows of a skill pathway."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import UNDECLARED, WEIGHT, coded_select, quoted, refuse_undeclared
from riskmodels.design.collapse import collapse, not_fielded_in
from riskmodels.design.ordered_outcome import check_ordered_outcome
from riskmodels.design.skill_rows import STRATEGY, UNKNOWN, SkillRows
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.design.survey_factors import check_names, country_factor
from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.records import Codebook, Indicator, Scale, Variable
from riskmodels.survey.factors import Factor
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
YES_NO = ("no", "yes")


def skill_rows(
    codebook: Codebook,
    source: SourceTable,
    skill_items: Sequence[str],
    exposure: str,
    coping: Sequence[str],
    distress: str,
    covariates: Sequence[str] = (),
) -> SkillRows:
    """Collapse a survey to the rows of a skill pathway.

    Parameters
    ----------
    codebook, source
        The study.
    skill_items
        Ordered variables or indicators, more being more skilful.
    exposure, coping
        Indicators.
    distress
        Ordered variable, asked of the exposed.
    covariates
        Variables (levels or numbers) and scales.

    Returns
    -------
    SkillRows
        Children who answered exposure and every covariate. A missing answer to an item, to coping or to distress leaves
        the child in: what it would have said is summed over (missing at random given all else).

    Raises
    ------
    InputError
        E132 for unknown names, E160 for values that the codebook does not declare, E195 for an outcome without an order,
        E204 coping or distress of children who were not exposed, E101 where nothing is left.
    """
    names = [*skill_items, exposure, *coping, distress, *covariates]
    _check(codebook, skill_items, [exposure, *coping], distress, covariates)
    with reading(source), source.connect() as connection:
        fielded = not_fielded_in(connection, codebook, source, [n for n in names if n not in codebook.scales])
        keys = ", ".join(quoted(name) for name in (COUNTRY, *names))
        table = connection.execute(
            f"SELECT {keys}, count(*) AS children, sum({quoted(WEIGHT)}) AS total "
            f"FROM ({coded_select(codebook, source, names, fielded)}) GROUP BY {keys} ORDER BY {keys}"
        ).df()
    refuse_undeclared(
        {
            name: int(table.loc[table[name] == UNDECLARED, "children"].sum())
            for name in names
            if not _is_number(codebook, name)
        },
        codebook.file,
    )
    return _rows(codebook, source, table, skill_items, exposure, coping, distress, covariates)


def _is_number(codebook: Codebook, name: str) -> bool:
    return name in codebook.scales or (name in codebook.variables and codebook.variables[name].is_number)


def _check(
    codebook: Codebook, items: Sequence[str], indicators: Sequence[str], distress: str, covariates: Sequence[str]
) -> None:
    """Refuse names that are not there, and items and distress without an order."""
    variables = [name for name in (*items, distress, *covariates) if name not in codebook.scales]
    check_names(codebook, indicators, [name for name in variables if name not in codebook.indicators])
    check_ordered_outcome(codebook, distress, None)
    unordered = [
        name
        for name in items
        if name not in codebook.indicators
        and (codebook.variables[name].is_number or not codebook.variables[name].ordered)
    ]
    if unordered:
        remedy = "declare their levels in order with ordered = true, lowest skill first"
        problem = Problem("E195", "skill items need ordered levels", ", ".join(unordered), len(unordered), remedy)
        raise InputError([problem], codebook.study_id)


def _levels(codebook: Codebook, name: str, codes: pd.Series) -> tuple[Factor, IntArray, bool]:
    """Levels that occur, the position of every row among them, and whether a declared level is left out."""
    declared = Factor(name, YES_NO) if name in codebook.indicators else codebook.variables[name].factor
    values = codes.to_numpy(np.int64)
    used = np.unique(values[values >= 0])
    position = np.where(values >= 0, np.searchsorted(used, np.maximum(values, 0)), UNKNOWN)
    factor = Factor(name, tuple(declared.levels[k] for k in used), tuple(declared.labels[k] for k in used))
    return factor, np.asarray(position, dtype=np.int64), len(used) < len(declared)


def _rows(
    codebook: Codebook,
    source: SourceTable,
    table: pd.DataFrame,
    items: Sequence[str],
    exposure: str,
    coping: Sequence[str],
    distress: str,
    covariates: Sequence[str],
) -> SkillRows:
    whole = table[exposure].to_numpy() >= 0
    asked = whole.copy()
    for name in covariates:
        values = table[name].to_numpy(float)
        whole &= np.isfinite(values) if _is_number(codebook, name) else values >= 0
    if not whole.any():
        remedy = "check exposure and covariates"
        problem = Problem("E101", "no child answered exposure and every covariate", exposure, 0, remedy)
        raise InputError([problem], codebook.study_id)
    notes = []
    lost = int(table.loc[asked & ~whole, "children"].sum())
    if lost:
        what, remedy = "children left out because a covariate is missing", "leave covariates out, or impute them"
        notes.append(Problem("I200", what, ", ".join(covariates), lost, remedy))
    kept = table[whole].reset_index(drop=True)
    countries = country_factor(codebook, list(pd.unique(kept[COUNTRY])))
    country = countries.codes(kept[COUNTRY])
    found = [_levels(codebook, name, kept[name]) for name in items]
    exposed = kept[exposure].to_numpy(np.int64)
    distress_levels, level, gap = _levels(codebook, distress, kept[distress])
    unused = [factor.name for factor, _, missing in found if missing] + [distress] * gap
    if unused:
        remedy = "nothing to do: such levels take no part"
        notes.append(Problem("I201", "declared levels that no child gave", ", ".join(unused), len(unused), remedy))
    factors, values_of = {}, {}
    for name in covariates:
        if _is_number(codebook, name):
            values_of[name] = kept[name].to_numpy(float)
        else:
            factors[name], place, _ = _levels(codebook, name, kept[name])
            values_of[name] = place.astype(float)
    children, total = kept["children"].to_numpy(float), kept["total"].to_numpy(float)
    scale = np.bincount(country, children) / np.bincount(country, total)
    every: dict[str, Variable | Indicator | Scale] = {**codebook.variables, **codebook.indicators, **codebook.scales}
    used = kept[list(coping)].to_numpy(np.int64)
    strategies = Factor(STRATEGY, tuple(coping), tuple(every[name].label or name for name in coping))
    return SkillRows(
        countries=countries,
        items=tuple(factor for factor, _, _ in found),
        strategies=strategies,
        distress_levels=distress_levels,
        factors=factors,
        country=country,
        answers=np.column_stack([position for _, position, _ in found]),
        values=values_of,
        exposed=exposed,
        coping=np.where(used >= 0, used, UNKNOWN),
        distress=level,
        n=children,
        weight=total * scale[country],
        design_effect=_design_effects(codebook, source, exposure, countries),
        labels={name: every[name].label or name for name in (*items, exposure, *coping, distress, *covariates)},
        synthetic=codebook.synthetic,
        warnings=tuple(notes),
    )


def _design_effects(codebook: Codebook, source: SourceTable, exposure: str, countries: Factor) -> FloatArray:
    """N over effective n of exposure in each country (1 at least)."""
    cells = cells_of_survey(collapse(codebook, source, [exposure], base="valid answers", pairs=False))
    levels = cells.factor(COUNTRY).levels
    ratio = dict(zip((levels[k] for k in cells.position(COUNTRY)), cells.n / cells.n_effective, strict=True))
    return np.array([max(1.0, ratio.get(code, 1.0)) for code in countries.levels])
