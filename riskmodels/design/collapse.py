"""Children to totals in one pass: sums of weights and answers per country, subgroup, stratum and PSU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import (
    MISSING_CODE,
    PSU,
    STRATUM,
    UNDECLARED,
    WEIGHT,
    coded_select,
    is_empty,
    needed,
    quoted,
    refuse_undeclared,
)
from riskmodels.design.replicated import replicate_variances
from riskmodels.design.survey_factors import check_names, country_factor, factor_positions
from riskmodels.design.totals import NO_LEVEL, SurveyTotals, significant
from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Codebook, Indicator
from riskmodels.survey.factors import Factor
from riskmodels.survey.readers import reading
from riskmodels.survey.source import VIEW, SourceTable
from riskmodels.vocabulary import ASKED_BUT_MISSING, COUNTRY, INDICATOR, MISSING_KINDS, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Coded rows of a file are held in memory up to this many; larger files are read again for each question.
ROWS_HELD = 15_000_000


def base_codes(base: Base) -> tuple[int, ...]:
    """Codes of the answers that a denominator holds."""
    return (0, 1, *(MISSING_CODE[kind] for kind in ASKED_BUT_MISSING)) if base == "all asked" else (0, 1)


def not_fielded_in(
    connection: duckdb.DuckDBPyConnection, codebook: Codebook, source: SourceTable, names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Countries in which a question's column is empty throughout: not fielded there, which is never 0 %."""
    from riskmodels.design.coding import country_sql

    parts = {
        name: part
        for name in needed(codebook, names)
        if (part := codebook.variables.get(name) or codebook.indicators.get(name)) is not None
        and part.answers is not None
    }
    if not parts:
        return {}
    columns = []
    for part in parts.values():
        assert part.answers is not None
        other = [f"NOT {is_empty(source, answers.column)}" for answers in part.by_country.values()]
        columns.append(f"bool_or({' OR '.join([f'NOT {is_empty(source, part.answers.column)}', *other])})")
    found = connection.execute(
        f"SELECT {country_sql(codebook, source)} AS c, {', '.join(columns)} FROM {VIEW} GROUP BY 1"
    ).fetchall()
    return {
        name: tuple(sorted(row[0] for row in found if row[0] is not None and row[1 + place] is False))
        for place, name in enumerate(parts)
    }


def _counted(
    connection: duckdb.DuckDBPyConnection, keys: Sequence[str], names: Sequence[str], held: bool
) -> pd.DataFrame:
    """Children and weights per unit, and per unit and answer to each indicator.

    Rows of units have no answer to any indicator; the others have the answer to one. Rows held in memory are grouped
    once per indicator, which is fastest; rows of a large file are read once for all.
    """
    listed = ", ".join(quoted(key) for key in keys)
    weight = quoted(WEIGHT)
    sums = (
        f"count(*) AS children, coalesce(sum({weight}), 0) AS weights, coalesce(sum({weight} * {weight}), 0) AS squares, "
        f"count(*) FILTER (NOT coalesce(isfinite({weight}) AND {weight} >= 0, false)) AS unusable FROM coded GROUP BY"
    )
    answers = ", ".join(quoted(name) for name in names)
    if held:
        parts = [f"SELECT {listed}, {sums} {listed}"]
        parts += [f"SELECT {listed}, {quoted(name)}, {sums} {listed}, {quoted(name)}" for name in names]
        select = f"SELECT {listed}, {answers}, children, weights, squares, unusable FROM ({' UNION ALL BY NAME '.join(parts)})"
    else:
        sets = ", ".join([f"({listed})", *(f"({listed}, {quoted(name)})" for name in names)])
        select = f"SELECT {listed}, {answers}, {sums} GROUPING SETS ({sets})"
    return connection.execute(f"{select} ORDER BY ALL").df()


def _pair_sums(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], bases: Sequence[Base], countries: Factor
) -> FloatArray:
    """Weighted joint answers of every pair of indicators per country, from the patterns that occur."""
    size = len(names)
    found = np.zeros((len(countries), size, size, 4))
    if size == 1:
        return found
    keys = ", ".join(quoted(name) for name in (COUNTRY, *names))
    table = connection.execute(
        f"SELECT {keys}, sum({quoted(WEIGHT)}) AS w FROM coded GROUP BY {keys} ORDER BY {keys}"
    ).df()
    answers = table[list(names)].to_numpy(np.int64)
    inside = np.stack([np.isin(answers[:, k], base_codes(base)) for k, base in enumerate(bases)], axis=1).astype(float)
    yes = (answers == 1).astype(float)
    weight = table["w"].to_numpy(float)
    for number, code in enumerate(countries.levels):
        at = (table[COUNTRY] == code).to_numpy()
        base, own = inside[at], yes[at]
        weighted_base, weighted_yes = base * weight[at, None], own * weight[at, None]
        first = weighted_yes.T @ base
        found[number] = np.stack([weighted_base.T @ base, first, first.T, weighted_yes.T @ own], axis=-1)
    return found


def collapse(
    codebook: Codebook,
    source: SourceTable,
    indicators: Sequence[str],
    by: Sequence[str] = (),
    *,
    base: Base | None = None,
    pairs: bool = True,
) -> SurveyTotals:
    """Collapse a survey to totals per country, subgroup, stratum and PSU.

    Parameters
    ----------
    codebook, source
        The study; `source` may be a frame in memory or a file read by SQL, larger than memory.
    indicators
        Indicators to count.
    by
        Variables that split children besides country.
    base
        Denominator for all indicators; each indicator's own where None.
    pairs
        Whether to count joint answers of pairs of indicators too.

    Returns
    -------
    SurveyTotals
        Sums only. Memory and time of later steps grow with PSUs and subgroups, not with children.

    Raises
    ------
    InputError
        E132 for unknown names, E160 for values that the codebook does not declare, E172 for country codes that it
        does not, E101 where no child is left, E112 for weights that are missing, negative or not finite.
    """
    by = [name for name in by if name != COUNTRY]
    check_names(codebook, indicators, by)
    declared: list[Indicator] = [codebook.indicators[name] for name in indicators]
    bases: list[Base] = [base or indicator.base for indicator in declared]
    with reading(source), source.connect() as connection:
        fielded = not_fielded_in(connection, codebook, source, [*indicators, *by])
        statement = coded_select(codebook, source, [*by, *indicators], fielded)
        row = connection.execute(f"SELECT count(*) FROM {VIEW}").fetchone()
        rows_read = int(row[0]) if row else 0
        held = source.frame is not None or rows_read <= ROWS_HELD
        connection.execute(f"CREATE {'TABLE' if held else 'VIEW'} coded AS {statement}")
        # Replicate weights stand for strata and PSUs.
        declared_design = ((STRATUM, codebook.design.stratum), (PSU, codebook.design.psu))
        design = [alias for alias, column in declared_design if column and codebook.design.replicates is None]
        keys = [COUNTRY, *by, *design]
        table = _counted(connection, keys, indicators, held)
        _refuse(table, codebook, indicators, rows_read)
        countries = country_factor(codebook, list(pd.unique(table[COUNTRY])))
        together = (
            _pair_sums(connection, indicators, bases, countries)
            if pairs
            else np.zeros((len(countries), len(indicators), len(indicators), 4))
        )
    totals = _totals(codebook, table, countries, indicators, keys, bases, together, rows_read)
    if codebook.design.replicates is None:
        return totals
    in_base = [base_codes(own) for own in bases]
    variance, degrees = replicate_variances(codebook, source, indicators, in_base, countries)
    return replace(totals, replicate_variance=variance, replicate_degrees=degrees)


def _refuse(counted: pd.DataFrame, codebook: Codebook, indicators: Sequence[str], rows_read: int) -> None:
    """Refuse what must never be swallowed: no child left, unknown countries, unusable weights, undeclared values."""
    table = counted[counted[list(indicators)].isna().all(axis=1)]
    problems = []
    if table["children"].sum() == 0:
        problems.append(
            Problem(
                "E101",
                f"no child is left: {rows_read} rows read",
                "eligibility",
                0,
                "check the eligibility rule; units of age?",
            )
        )
        raise_if_stopping(problems, codebook.file)
    lost = table[COUNTRY].isna()
    if lost.any():
        problems.append(
            Problem(
                "E172",
                "country codes that are empty or not declared",
                codebook.design.country or COUNTRY,
                int(table.loc[lost, "children"].sum()),
                "declare every code in [design] countries; was NA or NO lost?",
            )
        )
    bad = int(table["unusable"].sum())
    if bad:
        problems.append(
            Problem(
                "E112",
                "weights that are missing, negative or not finite",
                codebook.design.weight or WEIGHT,
                bad,
                "mend them, or drop these rows before reading",
            )
        )
    for column in (STRATUM, PSU):
        if column in table and table[column].isna().any():
            problems.append(
                Problem(
                    "E122",
                    f"children without {column}",
                    column,
                    int(table.loc[table[column].isna(), "children"].sum()),
                    "fill it in, or leave the column out of [design]",
                )
            )
    raise_if_stopping(problems, codebook.file)
    refuse_undeclared(
        {name: int(counted.loc[counted[name] == UNDECLARED, "children"].sum()) for name in indicators}, codebook.file
    )


def _totals(
    codebook: Codebook,
    counted: pd.DataFrame,
    countries: Factor,
    indicators: Sequence[str],
    keys: Sequence[str],
    bases: Sequence[Base],
    together: FloatArray,
    rows_read: int,
) -> SurveyTotals:
    unit: IntArray = np.asarray(counted.groupby(list(keys), sort=True, dropna=False).ngroup(), dtype=np.int64)
    of_unit = counted[list(indicators)].isna().all(axis=1).to_numpy()
    table = counted[of_unit].iloc[np.argsort(unit[of_unit])].reset_index(drop=True)
    notes: list[Problem] = []
    factors, columns = [countries], {COUNTRY: countries.codes(table[COUNTRY])}
    for name in keys:
        if name not in codebook.variables:
            continue
        if not codebook.variables[name].is_number:
            refuse_undeclared({name: int(table.loc[table[name] == UNDECLARED, "children"].sum())}, codebook.file)
        factor, position, found = factor_positions(codebook, name, table[name])
        factors.append(factor)
        columns[name] = position
        notes += found
    notes += _left_out(table, columns, codebook)
    stratum, psu = _design_numbers(table, columns[COUNTRY])
    sizes = significant(table[["children", "weights", "squares"]].to_numpy(float))
    units = pd.DataFrame(
        {**columns, "stratum": stratum, "psu": psu, **dict(zip(("n", "w", "w2"), sizes.T, strict=True))}
    )
    parts = [
        _sums_of(counted[name].to_numpy(float), unit, counted, base, len(table))
        for name, base in zip(indicators, bases, strict=True)
    ]
    # The order of units must not depend on whether a file holds numbers or text.
    order = np.lexsort([units[name] for name in ("psu", "stratum", *reversed(columns))])
    labels = tuple(codebook.indicators[name].label or name for name in indicators)
    return SurveyTotals(
        factors=tuple(factors),
        indicators=Factor(INDICATOR, tuple(indicators), labels),
        bases=tuple(bases),
        units=units.iloc[order].reset_index(drop=True),
        sums=significant(np.stack([sums for sums, _ in parts])[:, order]),
        missing=np.stack([missing for _, missing in parts])[:, order],
        together=significant(together),
        rows_read=rows_read,
        rows_left=int(sizes[:, 0].sum()),
        synthetic=codebook.synthetic,
        weighted=codebook.design.weight is not None,
        lonely_psu=codebook.design.lonely_psu,
        notes=tuple(notes),
    )


def _left_out(table: pd.DataFrame, columns: dict[str, IntArray], codebook: Codebook) -> list[Problem]:
    """W184: children whose answer to what splits the groups is missing belong to no group of a model."""
    whole = np.all([column != NO_LEVEL for column in columns.values()], axis=0)
    lost, every = int(table.loc[~whole, "children"].sum()), int(table["children"].sum())
    if not lost:
        return []
    names = ", ".join(codebook.variables[name].label for name in columns if name != COUNTRY)
    what = f"children in no group: {100 * lost / every:.1f} % have no answer to what splits them; country figures of this breakdown leave them out"
    return [Problem("W184", what, names, lost, "for figures of whole countries, fit by country alone")]


def _design_numbers(table: pd.DataFrame, country: IntArray) -> tuple[IntArray, IntArray]:
    """Number strata within countries, and PSUs within strata; -1 where every child is its own PSU."""
    stratum = _numbered_within(country, table[STRATUM]) if STRATUM in table else country
    if PSU not in table:
        return stratum, np.full(len(table), -1)
    return stratum, _numbered_within(stratum, table[PSU])


def _numbered_within(parent: IntArray, names: pd.Series) -> IntArray:
    """Number the names found within each parent; "07" and 7 are one name, so that all formats give one numbering."""
    numbers = pd.to_numeric(names, errors="coerce")
    codes = pd.factorize(names.astype(str) if numbers.isna().any() else numbers, sort=True)[0]
    return np.asarray(np.unique(parent * (codes.max() + 1) + codes, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _sums_of(
    answer: FloatArray, unit: IntArray, counted: pd.DataFrame, base: Base, units: int
) -> tuple[FloatArray, IntArray]:
    """Per unit: n, yes, sums of weights and of squared weights in the base and of the affected; kinds of missing."""
    inside, yes = np.isin(answer, base_codes(base)), answer == 1

    def total(column: str, rows: npt.NDArray[np.bool_]) -> FloatArray:
        return np.bincount(unit[rows], counted.loc[rows, column].to_numpy(float), units)

    sums = [total(column, rows) for column in ("children", "weights", "squares") for rows in (inside, yes)]
    missing = [total("children", answer == MISSING_CODE[kind]) for kind in MISSING_KINDS]
    return np.stack(sums, axis=-1), np.stack(missing, axis=-1).astype(np.int64)
