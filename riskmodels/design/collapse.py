"""Children to totals in one pass: sums of weights and answers per country, subgroup, stratum and PSU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Codebook, Indicator
from riskmodels.survey.factors import Factor
from riskmodels.survey.source import VIEW, SourceTable
from riskmodels.vocabulary import ASKED_BUT_MISSING, COUNTRY, INDICATOR, MISSING_KINDS, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: A number used in `by=` becomes a factor of its values where there are no more than this many.
MOST_LEVELS = 40
#: Position of children whose answer to a factor is missing: they stay in the design, but in no subgroup.
NO_LEVEL = -1


@dataclass(frozen=True, eq=False)
class SurveyTotals:
    """What a survey comes down to for some indicators and subgroups; no child is in it.

    Parameters
    ----------
    factors
        Country first, then the factors asked for.
    indicators
        The indicators, as a factor.
    bases
        Denominator of each indicator.
    units
        One row per country x subgroup x stratum x PSU: positions in `factors` (-1: no level), `stratum`, `psu`
        (numbered; one stratum where none is declared, -1 where every child is its own PSU), and over all eligible
        children `n`, `w` (sum of weights) and `w2` (sum of squared weights).
    sums
        Shape (indicators, rows of `units`, 6): per indicator n, yes, sum of w, w y, w^2, w^2 y over its base.
    missing
        Shape (indicators, rows of `units`, kinds): children per kind of missing answer.
    together
        Shape (countries, indicators, indicators, 4): over children in both bases, sums of w, w y_i, w y_j, w y_i y_j.
    rows_read, rows_left
        Rows of the file, and children left after the eligibility rule.
    synthetic
        Whether the children are made up.
    """

    factors: tuple[Factor, ...]
    indicators: Factor
    bases: tuple[Base, ...]
    units: pd.DataFrame
    sums: FloatArray
    missing: IntArray
    together: FloatArray
    rows_read: int
    rows_left: int
    synthetic: bool
    weighted: bool
    notes: tuple[Problem, ...] = field(default=())

    @property
    def has_psu(self) -> bool:
        """Whether children are clustered in PSUs."""
        return bool((self.units["psu"] >= 0).any())


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


def _aggregates(names: Sequence[str], bases: Sequence[Base]) -> list[str]:
    w = quoted(WEIGHT)
    parts = ["count(*)", f"sum({w})", f"sum({w} * {w})"]
    for name, base in zip(names, bases, strict=True):
        column = quoted(name)
        inside = f"{column} IN {base_codes(base)}"
        parts += [
            f"count(*) FILTER ({inside})",
            f"count(*) FILTER ({column} = 1)",
            f"coalesce(sum({w}) FILTER ({inside}), 0)",
            f"coalesce(sum({w}) FILTER ({column} = 1), 0)",
            f"coalesce(sum({w} * {w}) FILTER ({inside}), 0)",
            f"coalesce(sum({w} * {w}) FILTER ({column} = 1), 0)",
        ]
        parts += [f"count(*) FILTER ({column} = {MISSING_CODE[kind]})" for kind in MISSING_KINDS]
        parts.append(f"count(*) FILTER ({column} = {UNDECLARED})")
    return parts


def _pair_sums(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], bases: Sequence[Base], countries: Factor
) -> FloatArray:
    """Weighted joint answers of every pair of indicators per country."""
    size = len(names)
    found = np.zeros((len(countries), size, size, 4))
    if size == 1:
        return found
    pairs = [(i, j) for i in range(size) for j in range(i)]
    parts = []
    for i, j in pairs:
        both = f"{quoted(names[i])} IN {base_codes(bases[i])} AND {quoted(names[j])} IN {base_codes(bases[j])}"
        first, second = f"{quoted(names[i])} = 1", f"{quoted(names[j])} = 1"
        parts += [
            f"coalesce(sum({quoted(WEIGHT)}) FILTER ({condition}), 0)"
            for condition in (both, f"{both} AND {first}", f"{both} AND {second}", f"{both} AND {first} AND {second}")
        ]
    rows = connection.execute(f"SELECT {quoted(COUNTRY)}, {', '.join(parts)} FROM coded GROUP BY 1").fetchall()
    for row in rows:
        at = countries.levels.index(row[0])
        values = np.array(row[1:], dtype=float).reshape(len(pairs), 4)
        for (i, j), value in zip(pairs, values, strict=True):
            found[at, i, j] = value
            found[at, j, i] = value[[0, 2, 1, 3]]
    return found


def country_factor(codebook: Codebook, present: Sequence[str]) -> Factor:
    """Countries that occur, in the order declared, else sorted, with their labels."""
    declared = [code for code in dict.fromkeys(codebook.design.countries.values()) if code in present]
    levels = tuple(declared or sorted(present))
    return Factor(COUNTRY, levels, tuple(codebook.design.country_labels.get(code, code) for code in levels))


def factor_positions(codebook: Codebook, name: str, values: pd.Series) -> tuple[Factor, IntArray, list[Problem]]:
    """A factor with the levels that occur, and the position of every row; -1 where the answer is missing."""
    variable = codebook.variables[name]
    if variable.is_number:
        numbers = values.to_numpy(float)
        present = np.unique(numbers[np.isfinite(numbers)])
        raise_if_stopping(
            [
                Problem(
                    "E195",
                    "a number with many values cannot be broken down by",
                    name,
                    len(present),
                    "declare levels for it (age groups, thirds), or use it as a predictor of a regression",
                )
            ]
            if len(present) > MOST_LEVELS or len(present) == 0
            else [],
            codebook.study_id,
        )
        levels = tuple(f"{value:g}" for value in present)
        found = np.searchsorted(present, np.nan_to_num(numbers, nan=present[0]))
        return Factor(name, levels), np.where(np.isfinite(numbers), found, NO_LEVEL), []
    codes = values.to_numpy(np.int64)
    declared = variable.factor
    used = [place for place in range(len(declared)) if (codes == place).any()]
    unused = [declared.labels[place] for place in range(len(declared)) if place not in used]
    notes = (
        [
            Problem(
                "W161",
                "levels of the codebook that no child has",
                f"{name}: {', '.join(unused)}",
                len(unused),
                "leave them out, or check the codes",
            )
        ]
        if unused
        else []
    )
    factor = Factor(name, tuple(declared.levels[p] for p in used), tuple(declared.labels[p] for p in used))
    position = np.full(len(declared), NO_LEVEL)
    position[used] = np.arange(len(used))
    return factor, np.where(codes >= 0, position[np.maximum(codes, 0)], NO_LEVEL), notes


def check_names(codebook: Codebook, indicators: Sequence[str], by: Sequence[str]) -> None:
    """Refuse names that the codebook does not declare, all at once (E132)."""
    problems = []
    wrong = [name for name in indicators if name not in codebook.indicators]
    if wrong or not indicators:
        known = ", ".join(list(codebook.indicators)[:12])
        problems.append(
            Problem(
                "E132",
                "indicators that the codebook does not declare",
                ", ".join(wrong) or "none given",
                len(wrong),
                f"choose among {known}",
            )
        )
    splits = [name for name in by if name not in codebook.variables]
    if splits:
        known = ", ".join(list(codebook.variables)[:12])
        problems.append(
            Problem(
                "E132",
                "variables that the codebook does not declare",
                ", ".join(splits),
                len(splits),
                f"choose among country, {known}",
            )
        )
    raise_if_stopping(problems, codebook.study_id)


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
    with source.connect() as connection:
        fielded = not_fielded_in(connection, codebook, source, [*indicators, *by])
        statement = coded_select(codebook, source, [*by, *indicators], fielded)
        row = connection.execute(f"SELECT count(*) FROM {VIEW}").fetchone()
        rows_read = int(row[0]) if row else 0
        connection.execute(f"CREATE {'TABLE' if source.frame is not None else 'VIEW'} coded AS {statement}")
        design = [
            quoted(alias)
            for alias, column in ((STRATUM, codebook.design.stratum), (PSU, codebook.design.psu))
            if column
        ]
        keys = [quoted(COUNTRY), *(quoted(name) for name in by), *design]
        table = connection.execute(
            f"SELECT {', '.join(keys)}, {', '.join(f'{part} AS a{k}' for k, part in enumerate(_aggregates(indicators, bases)))}, "
            f"count(*) FILTER (NOT coalesce(isfinite({quoted(WEIGHT)}) AND {quoted(WEIGHT)} >= 0, false)) AS bad_weights "
            f"FROM coded GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}"
        ).df()
        _refuse(table, codebook, indicators, rows_read, len(keys))
        countries = country_factor(codebook, list(pd.unique(table[COUNTRY])))
        together = (
            _pair_sums(connection, indicators, bases, countries)
            if pairs
            else np.zeros((len(countries), len(indicators), len(indicators), 4))
        )
    return _totals(codebook, table, countries, indicators, by, bases, together, rows_read)


def _refuse(table: pd.DataFrame, codebook: Codebook, indicators: Sequence[str], rows_read: int, keys: int) -> None:
    """Refuse what must never be swallowed: no child left, unknown countries, unusable weights, undeclared values."""
    problems = []
    if len(table) == 0 or table["a0"].sum() == 0:
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
                int(table.loc[lost, "a0"].sum()),
                "declare every code in [design] countries; was NA or NO lost?",
            )
        )
    bad = int(table["bad_weights"].sum())
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
                    int(table.loc[table[column].isna(), "a0"].sum()),
                    "fill it in, or leave the column out of [design]",
                )
            )
    raise_if_stopping(problems, codebook.file)
    width = 6 + len(MISSING_KINDS) + 1
    refuse_undeclared(
        {name: int(table[f"a{3 + width * k + width - 1}"].sum()) for k, name in enumerate(indicators)}, codebook.file
    )


def _totals(
    codebook: Codebook,
    table: pd.DataFrame,
    countries: Factor,
    indicators: Sequence[str],
    by: Sequence[str],
    bases: Sequence[Base],
    together: FloatArray,
    rows_read: int,
) -> SurveyTotals:
    notes: list[Problem] = []
    factors, columns = [countries], {COUNTRY: countries.codes(table[COUNTRY])}
    for name in by:
        if not codebook.variables[name].is_number:
            refuse_undeclared({name: int(table.loc[table[name] == UNDECLARED, "a0"].sum())}, codebook.file)
        factor, position, found = factor_positions(codebook, name, table[name])
        factors.append(factor)
        columns[name] = position
        notes += found
    stratum = (
        pd.factorize(columns[COUNTRY].astype(str) + "|" + table[STRATUM].astype(str), sort=True)[0]
        if STRATUM in table
        else columns[COUNTRY]
    )
    psu = (
        pd.factorize(pd.Series(stratum.astype(str)) + "|" + table[PSU].astype(str), sort=True)[0]
        if PSU in table
        else np.full(len(table), -1)
    )
    names = [name for name in table if str(name).startswith("a") and str(name)[1:].isdigit()]
    numbers = significant(table[names].to_numpy(float))
    width = 6 + len(MISSING_KINDS) + 1
    per_indicator = numbers[:, 3:].reshape(len(table), len(indicators), width).transpose(1, 0, 2)
    units = pd.DataFrame(
        {**columns, "stratum": stratum, "psu": psu, "n": numbers[:, 0], "w": numbers[:, 1], "w2": numbers[:, 2]}
    )
    labels = tuple(codebook.indicators[name].label or name for name in indicators)
    return SurveyTotals(
        factors=tuple(factors),
        indicators=Factor(INDICATOR, tuple(indicators), labels),
        bases=tuple(bases),
        units=units,
        sums=np.ascontiguousarray(per_indicator[:, :, :6]),
        missing=per_indicator[:, :, 6 : 6 + len(MISSING_KINDS)].astype(np.int64),
        together=significant(together),
        rows_read=rows_read,
        rows_left=int(numbers[:, 0].sum()),
        synthetic=codebook.synthetic,
        weighted=codebook.design.weight is not None,
        notes=tuple(notes),
    )


def significant(values: FloatArray, digits: int = 13) -> FloatArray:
    """Round to significant digits, so that the order in which threads add up does not show.

    Examples
    --------
    >>> import numpy as np
    >>> bool(significant(np.array([0.1 + 0.2]))[0] == significant(np.array([0.3]))[0])
    True
    """
    with np.errstate(divide="ignore"):
        exponent = np.where(values == 0, 0, np.floor(np.log10(np.abs(values))))
    scale = 10.0 ** (digits - 1 - exponent)
    return np.asarray(np.where(scale >= 1, np.round(values * scale) / scale, values))


def kinds_of_missing(totals: SurveyTotals) -> pd.DataFrame:
    """Children per country and indicator, unweighted: all, answered, and each kind of missing answer."""
    country = totals.units[COUNTRY].to_numpy()
    rows: list[dict[str, object]] = []
    for place, indicator in enumerate(totals.indicators.levels):
        for number, code in enumerate(totals.factors[0].levels):
            at = country == number
            missing = totals.missing[place, at].sum(axis=0)
            children = int(totals.units.loc[at, "n"].sum())
            row: dict[str, object] = {COUNTRY: code, INDICATOR: indicator, "children": children}
            row |= {"answered": children - int(missing.sum())}
            row |= {str(kind): int(count) for kind, count in zip(MISSING_KINDS, missing, strict=True)}
            rows.append(row)
    return pd.DataFrame(rows)
