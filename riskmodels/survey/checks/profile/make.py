"""From a source table to its profile: a few SQL statements, each over all columns at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import duckdb
import pandas as pd

from riskmodels.survey.checks.profile.design import (
    profile_identifiers,
    profile_spellings,
    profile_units,
    profile_weights,
)
from riskmodels.survey.checks.profile.queries import MOST_VALUES, Columns, literal, make_tidy, open_source
from riskmodels.survey.checks.profile.reading import Child, Part, Raw, Reader, columns_below, means, own_columns
from riskmodels.survey.checks.profile.records import Profile
from riskmodels.survey.checks.profile.tallies import count_answers, raw_values
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.source import SourceTable


def profile_source(source: SourceTable, codebook: Codebook, by: Sequence[str] = ()) -> Profile:
    """Count what a survey file holds.

    Parameters
    ----------
    source
        The table: a frame, or a file that SQL scans a handful of times, larger than memory.
    codebook
        What its codes mean.
    by
        Variables whose combinations are counted too.

    Returns
    -------
    Profile
        Counts and sums per country. No row, but small cells and codes: for checks only.

    Raises
    ------
    InputError
        E163 where the values of a frame cannot be brought to one type per column.

    Examples
    --------
    >>> import pandas as pd
    >>> from pathlib import Path
    >>> from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator
    >>> from riskmodels.survey.source import ColumnInfo, SourceTable
    >>> answers = Answers("q1", {"no": (1,), "yes": (2,)}, {"dont_know": (999,)})
    >>> book = Codebook("s", "S", "children", "s.csv", True, DesignColumns(one_country="KEN"), {},
    ...                 {"threatened": Indicator("threatened", "Threatened", answers)})
    >>> table = SourceTable((ColumnInfo("q1"),), pd.DataFrame({"q1": [1.0, 2.0, 2.0, 999.0]}), Path("s.csv"), "frame")
    >>> profile = profile_source(table, book)
    >>> profile.rows, sorted((t.reading.level or t.reading.missing, t.rows) for t in profile.answers["threatened"])
    (4, [('dont_know', 1), ('no', 1), ('yes', 2)])
    """
    parts: dict[str, Part] = {**codebook.variables, **codebook.indicators}
    by = tuple(name for name in by if (part := codebook.variables.get(name)) is not None and not part.is_number)
    with open_source(source) as connection:
        design = (codebook.design.stratum, codebook.design.psu, codebook.design.child_id, codebook.design.weight)
        columns = make_tidy(connection, source, codebook.columns(), [name for name in design if name is not None])
        rows, wide, twins = _first_look(connection, columns, parts)
        reader = Reader(codebook, columns.kinds)
        eligible, kept, country_rows, lost = _make_base(connection, codebook, columns, reader)
        rows_analysed = "(SELECT * FROM base WHERE eligible)" if eligible else "base"
        answers, groups = count_answers(connection, codebook, columns, reader, wide, by)
        weights, all_weights = profile_weights(connection, codebook, columns, rows_analysed)
        return Profile(
            rows=rows,
            eligible=eligible,
            kept=kept,
            country_rows=country_rows,
            lost_countries=lost,
            answers=answers,
            columns=columns,
            weights=weights,
            all_weights=all_weights,
            units=profile_units(connection, codebook, columns, rows_analysed),
            spellings=profile_spellings(connection, codebook, columns, rows_analysed),
            identifiers=profile_identifiers(connection, codebook, columns, rows_analysed),
            twins=twins,
            by=by,
            groups=groups,
        )


def _first_look(
    connection: duckdb.DuckDBPyConnection, columns: Columns, parts: Mapping[str, Part]
) -> tuple[int, frozenset[str], tuple[tuple[str, str], ...]]:
    """Rows, columns with many distinct values, and pairs of questions whose columns are equal in every row."""
    asked = [name for name in columns.names if any(name in own_columns(part) for part in parts.values())]
    keys = [key for name in columns.names for key in columns.keys(name)]
    if not keys:
        return 0, frozenset(), ()
    distinct = ", ".join(f"approx_count_distinct({columns.value(name)})" for name in columns.names)
    prints = "".join(f", sum(hash({', '.join(columns.keys(name))}, h)::HUGEINT)" for name in asked)
    row = connection.execute(
        f"SELECT count(*), {distinct}{prints} FROM (SELECT *, hash({', '.join(keys)}) AS h FROM tidy)"
    ).fetchone()
    assert row is not None
    many = dict(zip(columns.names, row[1 : 1 + len(columns.names)], strict=True))
    marks = dict(zip(asked, row[1 + len(columns.names) :], strict=True))
    by_mark: dict[object, list[str]] = {}
    for name, mark in marks.items():
        if many[name] > 1:
            by_mark.setdefault((mark, columns.kinds[name]), []).append(name)
    first = {own_columns(part)[0]: name for name, part in reversed(list(parts.items())) if own_columns(part)}
    twins = [
        (first[same[0]], first[other])
        for same in by_mark.values()
        for other in same[1:]
        if same[0] in first and other in first
    ]
    return int(row[0]), frozenset(name for name in columns.names if many[name] > MOST_VALUES), tuple(twins)


def _make_base(
    connection: duckdb.DuckDBPyConnection, codebook: Codebook, columns: Columns, reader: Reader
) -> tuple[int, tuple[tuple[str, int], ...], dict[str | None, int], tuple[tuple[Raw, int], ...]]:
    """Create ``base``: the tidy columns with the country's code and whether the child is eligible."""
    design = codebook.design
    below = [column for condition in codebook.eligibility for column in columns_below(codebook, condition.name)]
    names = tuple(dict.fromkeys([*([design.country] if design.country else []), *below]))
    keys = [key for name in names for key in columns.keys(name)]
    if not keys:
        only = literal(design.one_country or "ONE")
        connection.execute(f"CREATE VIEW base AS SELECT *, {only} AS country, true AS eligible FROM tidy")
        row = connection.execute("SELECT count(*) FROM tidy").fetchone()
        rows = int(row[0]) if row else 0
        return rows, (), {design.one_country or "ONE": rows} if rows else {}, ()
    connection.execute(
        f"CREATE TABLE shared AS SELECT {', '.join(keys)}, count(*) AS n, row_number() OVER () AS place "
        f"FROM tidy GROUP BY {', '.join(keys)}"
    )
    shared = connection.execute(f"SELECT {', '.join(keys)}, n, place FROM shared").fetchall()
    children = raw_values(connection, columns, names, shared, 0)
    kept: Counter[int] = Counter()
    lost: Counter[Raw] = Counter()
    countries: Counter[str | None] = Counter()
    decided = []
    for row, values in zip(shared, children, strict=True):
        rows = row[-2]
        country = _country(codebook, reader, values)
        child = Child(country, values)
        holds = [reader.fulfils(condition, child) for condition in codebook.eligibility]
        for place, one in enumerate(holds):
            kept[place] += rows if one else 0
        decided.append((row[-1], country, all(holds), rows))
        if country is None and design.country and all(holds):
            lost[values[design.country]] += rows
    eligible = sum(rows for _, _, ok, rows in decided if ok)
    for _, country, ok, rows in decided:
        countries[country] += rows if ok or not eligible else 0
    table = pd.DataFrame(
        {
            "place": pd.Series([one[0] for one in decided], dtype="int64"),
            "country": pd.Series([one[1] for one in decided], dtype="str"),
            "eligible": pd.Series([one[2] for one in decided], dtype="bool"),
        }
    )
    connection.register("decided", table)
    connection.execute(
        f"CREATE TABLE known AS SELECT {', '.join(keys)}, country, eligible FROM shared JOIN decided USING (place)"
    )
    connection.unregister("decided")
    same = " AND ".join(f"tidy.{key} IS NOT DISTINCT FROM known.{key}" for key in keys)
    connection.execute(
        f"CREATE VIEW base AS SELECT tidy.*, known.country, known.eligible FROM tidy JOIN known ON {same}"
    )
    conditions = tuple((condition.name, kept[place]) for place, condition in enumerate(codebook.eligibility))
    return eligible, conditions, {key: count for key, count in countries.items() if count}, tuple(lost.items())


def _country(codebook: Codebook, reader: Reader, values: Mapping[str, Raw]) -> str | None:
    """Give the country's code as used from then on; None where the file's code is empty or not declared."""
    design = codebook.design
    if design.country is None:
        return design.one_country or "ONE"
    raw = values[design.country]
    if design.countries:
        kind = reader.columns[design.country]
        return next((country for code, country in design.countries.items() if means(raw, code, kind)), None)
    return raw.text if raw.text is not None or raw.number is None else f"{raw.number:.15g}"
