"""SQL of the profile: columns made comparable, and distinct values counted in one scan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb

from riskmodels.errors import InputError, Problem
from riskmodels.survey.checks.profile.reading import ColumnKind
from riskmodels.survey.source import REASON_SUFFIX, VIEW, SourceTable

#: Columns with more distinct values than this are counted by kind of value, not value by value.
MOST_VALUES = 1000
#: Files up to this size are read once and kept; larger ones are scanned once per statement.
KEPT_BYTES = 300_000_000
#: Grouping sets per statement.
SETS_PER_STATEMENT = 50

#: Kinds of value, tried in this order on text that is no number.
TEXT_KINDS: dict[str, str] = {
    "comma": r"^[-+]?\d+,\d+$",
    "date": r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2}[-/ ][A-Za-z]{3}([-/ ]\d{2,4})?|[A-Za-z]{3}[-/ ]\d{1,4})$",
}
#: A long whole number as a spreadsheet shows it.
SCIENTIFIC = r"^\d([.,]\d+)?[eE]\+\d+$"
NUMBER_TYPES = tuple(
    "DOUBLE FLOAT REAL DECIMAL BOOLEAN INTEGER BIGINT HUGEINT SMALLINT TINYINT UINTEGER UBIG UHUGE USMALL UTINY".split()
)


def quoted(name: str) -> str:
    """Quote a name as SQL does."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: float | str) -> str:
    """Write a number or a text as SQL does."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else f"{value!r}::DOUBLE"


@dataclass(frozen=True)
class Columns:
    """The declared columns as `tidy_select` names them: ``v0, v1, ...``, reasons ``r0, r1, ...``.

    Parameters
    ----------
    names
        Declared columns, in their order.
    kinds
        Column -> how its codes are compared.
    absent
        Declared columns that the table does not have; they read as empty.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, ColumnKind]
    absent: tuple[str, ...]

    def value(self, column: str) -> str:
        """SQL name of a column's value."""
        return f"v{self.names.index(column)}"

    def keys(self, column: str) -> tuple[str, ...]:
        """SQL names of a column's value and, where the file has it, its reason."""
        place = self.names.index(column)
        return (f"v{place}", f"r{place}") if self.kinds[column].has_reason else (f"v{place}",)


def open_source(source: SourceTable) -> duckdb.DuckDBPyConnection:
    """Open the table; E163 where a frame mixes types so that no column type fits.

    What the database says is dropped on purpose: it quotes the value that it stumbled over.
    """
    try:
        return source.connect()
    except (duckdb.Error, TypeError, ValueError):
        raise InputError([_unreadable()], source.path.name) from None


def _unreadable() -> Problem:
    return Problem(
        "E163", "numbers and text in one column: the table cannot be read", "table", 1, "make each column of one type"
    )


def make_tidy(
    connection: duckdb.DuckDBPyConnection, source: SourceTable, declared: Sequence[str], trimmed: Collection[str]
) -> Columns:
    """Create ``tidy``: declared columns as DOUBLE (NaN as NULL) or text.

    Text is trimmed (and NULL where nothing is left) in the columns `trimmed`; elsewhere that costs less once values
    are counted, see `texts_read`.

    Raises
    ------
    InputError
        E163 where values cannot be brought to one type.
    """
    try:
        described = connection.execute(f"DESCRIBE {VIEW}").fetchall()
    except (duckdb.Error, TypeError, ValueError):
        raise InputError([_unreadable()], source.path.name) from None
    types = {row[0]: str(row[1]).upper() for row in described}
    kinds: dict[str, ColumnKind] = {}
    parts: list[str] = []
    for place, name in enumerate(declared):
        numeric = types.get(name, "DOUBLE").startswith(NUMBER_TYPES)
        info = source.info(name)
        has_reason = info is not None and info.has_reason and name + REASON_SUFFIX in types
        kinds[name] = ColumnKind(numeric, has_reason)
        raw = quoted(name) if name in types else "NULL"
        number = f"TRY_CAST({raw} AS DOUBLE)"
        text = f"CAST({raw} AS VARCHAR)"
        value = f"CASE WHEN NOT isnan({number}) THEN {number} END" if numeric else text
        if name in trimmed and not numeric:
            value = clean(text)
        parts.append(f"{value} AS v{place}")
        if has_reason:
            parts.append(f"CAST({quoted(name + REASON_SUFFIX)} AS VARCHAR) AS r{place}")
    kept = source.frame is not None or (source.path.exists() and source.path.stat().st_size <= KEPT_BYTES)
    try:
        connection.execute(
            f"CREATE {'TABLE' if kept else 'VIEW'} tidy AS SELECT {', '.join(parts) or '0 AS nothing'} FROM {VIEW}"
        )
    except duckdb.Error:
        raise InputError([_unreadable()], source.path.name) from None
    return Columns(tuple(declared), kinds, tuple(name for name in declared if name not in types))


def clean(text: str) -> str:
    """SQL value: a text without spaces around it, NULL where nothing is left."""
    return f"nullif(trim({text}), '')"


def kind_of_value(name: str, *, numeric: bool) -> str:
    """SQL value: what kind of value stands there: empty, number, fraction, infinite, comma, date or text."""
    number = number_of(name, numeric=numeric)
    size = f"CASE WHEN NOT isfinite({number}) THEN 'infinite' WHEN {number} = floor({number}) THEN 'number' ELSE 'fraction' END"
    if numeric:
        return f"CASE WHEN {name} IS NULL THEN 'empty' ELSE {size} END"
    texts = " ".join(
        f"WHEN regexp_full_match({name}, {literal(rule)}) THEN '{kind}'" for kind, rule in TEXT_KINDS.items()
    )
    return f"CASE WHEN {name} IS NULL THEN 'empty' WHEN {number} IS NOT NULL THEN {size} {texts} ELSE 'text' END"


def number_of(name: str, *, numeric: bool) -> str:
    """SQL value: the number that a value is, NULL where it is none."""
    return name if numeric else f"TRY_CAST({name} AS DOUBLE)"


class Text(NamedTuple):
    """A text as SQL reads it: trimmed (None where empty), the number it is, and its kind of value."""

    trimmed: str | None
    number: float | None
    kind: str


def texts_read(connection: duckdb.DuckDBPyConnection, texts: Iterable[str]) -> dict[str, Text]:
    """Read distinct texts as SQL reads them."""
    distinct = sorted(set(texts))
    if not distinct:
        return {}
    rows = connection.execute(
        f"SELECT raw, t, {number_of('t', numeric=False)}, {kind_of_value('t', numeric=False)} "
        f"FROM (SELECT raw, {clean('raw')} AS t FROM (SELECT unnest(?::VARCHAR[]) AS raw))",
        [distinct],
    ).fetchall()
    return {row[0]: Text(*row[1:]) for row in rows}


def counted(
    connection: duckdb.DuckDBPyConnection, table: str, sets: Iterable[tuple[str, ...]]
) -> dict[tuple[str, ...], list[tuple[object, ...]]]:
    """Count rows per distinct combination of each set of columns, many sets in one scan.

    Returns
    -------
    dict
        Set -> rows of its values, in the order of the set, and the count last.
    """
    orders: dict[frozenset[str], list[tuple[str, ...]]] = {}
    for one in dict.fromkeys(sets):
        orders.setdefault(frozenset(one), []).append(one)
    found: dict[tuple[str, ...], list[tuple[object, ...]]] = {one: [] for same in orders.values() for one in same}
    distinct = [same[0] for same in orders.values()]
    for start in range(0, len(distinct), SETS_PER_STATEMENT):
        batch = distinct[start : start + SETS_PER_STATEMENT]
        names = list(dict.fromkeys(name for one in batch for name in one))
        places = {name: place for place, name in enumerate(names)}
        groups = ", ".join(f"({', '.join(one)})" for one in batch)
        marks = [f"GROUPING({', '.join(names[at : at + 60])})" for at in range(0, len(names), 60)]
        rows = connection.execute(
            f"SELECT {', '.join(names)}, count(*), {', '.join(marks)} FROM {table} GROUP BY GROUPING SETS ({groups})"
        ).fetchall()
        by_mark = {_marks(one, names): orders[frozenset(one)] for one in batch}
        for row in rows:
            for one in by_mark[row[len(names) + 1 :]]:
                found[one].append((*(row[places[name]] for name in one), row[len(names)]))
    return found


def _marks(one: tuple[str, ...], names: Sequence[str]) -> tuple[int, ...]:
    """Give the bits by which SQL tells a grouping set from the others: 1 where a column is not in it."""
    inside = set(one)
    parts = [names[at : at + 60] for at in range(0, len(names), 60)]
    return tuple(
        sum((name not in inside) << (len(part) - 1 - place) for place, name in enumerate(part)) for part in parts
    )
