"""Distinct values of every question, counted per country in one scan and read by the codebook."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from riskmodels.survey.checks.profile.queries import (
    Columns,
    Text,
    clean,
    counted,
    kind_of_value,
    literal,
    number_of,
    texts_read,
)
from riskmodels.survey.checks.profile.reading import (
    EMPTY,
    UNDECLARED,
    Child,
    ColumnKind,
    Part,
    Raw,
    Reader,
    Reading,
    answers_in,
    as_number,
    columns_below,
    own_columns,
)
from riskmodels.survey.checks.profile.records import Group, Tally
from riskmodels.survey.codebook.records import Code, Codebook, Variable

#: Stands for a value of a column with too many distinct values to keep each: one that is not declared.
NOT_KEPT = Raw(None, None, "not kept")

Rows = Sequence[tuple[Any, ...]]


class _Layout(NamedTuple):
    """What one question is counted by: its own columns, those its skip pattern rests on, and the SQL names of both."""

    own: tuple[str, ...]
    gates: tuple[str, ...]
    keys: tuple[str, ...]


def read_raw(value: Any, reason: str | None, *, numeric: bool, known: Mapping[str, Text]) -> tuple[Raw, str]:
    """Turn what SQL gives for one distinct value into a raw value and its kind."""
    nothing = Raw(None, None, reason), "empty" if reason is None else "reason"
    if value is None:
        return nothing
    if not numeric:
        text = known[value]
        return (Raw(text.number, text.trimmed, reason), text.kind) if text.trimmed is not None else nothing
    size = "infinite" if math.isinf(value) else "number" if value == math.floor(value) else "fraction"
    return Raw(value, None, reason), size


def raw_values(
    connection: duckdb.DuckDBPyConnection, columns: Columns, names: Sequence[str], rows: Rows, start: int
) -> list[dict[str, Raw]]:
    """Turn SQL rows, in which the values of `names` begin at `start`, into raw values per column."""
    places: list[tuple[str, int, ColumnKind]] = []
    for name in names:
        places.append((name, start, columns.kinds[name]))
        start += len(columns.keys(name))
    texts = {row[at] for _, at, kind in places if not kind.numeric for row in rows if row[at] is not None}
    known = texts_read(connection, texts)
    return [
        {
            name: read_raw(row[at], row[at + 1] if kind.has_reason else None, numeric=kind.numeric, known=known)[0]
            for name, at, kind in places
        }
        for row in rows
    ]


def count_answers(
    connection: duckdb.DuckDBPyConnection,
    codebook: Codebook,
    columns: Columns,
    reader: Reader,
    wide: frozenset[str],
    by: Sequence[str],
) -> tuple[dict[str, tuple[Tally, ...]], tuple[Group, ...]]:
    """Count the values of every question, and children per combination of the levels of `by`.

    Parameters
    ----------
    connection
        Holds the view ``base``.
    codebook, columns, reader
        What values mean.
    wide
        Columns with too many distinct values to keep each: of them, declared codes are counted one by one and all
        else by kind (and, for a number, by whether it lies in the declared range).
    by
        Variables with levels.
    """
    parts: dict[str, Part] = {**codebook.variables, **codebook.indicators}
    layouts = {name: _layout(codebook, columns, part, wide) for name, part in parts.items() if own_columns(part)}
    binned = [_binned(column, parts, columns) for column in columns.names if column in wide]
    table = f"(SELECT *{''.join(f', {one}' for one in binned)} FROM base)"
    split = tuple(dict.fromkeys(column for name in by for column in columns_below(codebook, name)))
    of_groups = ("country", "eligible", *(key for column in split for key in columns.keys(column)))
    sets = [("country", "eligible", *layout.keys) for layout in layouts.values()]
    found = counted(connection, table, [*sets, of_groups] if by else sets)
    answers = {
        name: _tallies(connection, columns, reader, name, layout, found[("country", "eligible", *layout.keys)], wide)
        for name, layout in layouts.items()
    }
    return answers, _groups(connection, columns, reader, by, split, found[of_groups]) if by else ()


def _layout(codebook: Codebook, columns: Columns, part: Part, wide: frozenset[str]) -> _Layout:
    own = own_columns(part)
    gates = columns_below(codebook, part.asked_if.name) if part.asked_if else ()
    keys = [key for column in own for key in _own_keys(columns, column, wide)]
    keys += [key for column in gates for key in columns.keys(column)]
    return _Layout(own, gates, tuple(dict.fromkeys(keys)))


def _own_keys(columns: Columns, column: str, wide: frozenset[str]) -> tuple[str, ...]:
    value, *reason = columns.keys(column)
    return (f"b{value[1:]}", f"k{value[1:]}", *reason) if column in wide else (value, *reason)


def _binned(column: str, parts: Mapping[str, Part], columns: Columns) -> str:
    """SQL of a wide column's declared codes (else NULL) and of its kind of value."""
    place, numeric = columns.value(column)[1:], columns.kinds[column].numeric
    readers = [part for part in parts.values() if column in own_columns(part)]
    codes: list[Code] = []
    for part in readers:
        for answers in (part.answers, *part.by_country.values()):
            if answers is not None and answers.column == column:
                codes += [code for group in (*answers.levels.values(), *answers.missing.values()) for code in group]
    value = f"v{place}" if numeric else clean(f"v{place}")
    number = number_of(value, numeric=numeric)
    numbers = [literal(found) for code in codes if (found := as_number(code)) is not None]
    texts = [literal(code) for code in codes if isinstance(code, str)] if not numeric else []
    tests = [f"{number} IN ({', '.join(numbers)})"] * bool(numbers) + [f"{value} IN ({', '.join(texts)})"] * bool(texts)
    kind = kind_of_value(value, numeric=numeric)
    ranges = [part for part in readers if isinstance(part, Variable) and part.is_number]
    if ranges:
        low, high = ranges[0].low, ranges[0].high
        cases = [f"WHEN {number} < {literal(float(low))} THEN 'below'"] if low is not None else []
        cases += [f"WHEN {number} > {literal(float(high))} THEN 'above'"] if high is not None else []
        kind = f"CASE {' '.join(cases)} ELSE {kind} END" if cases else kind
    return f"CASE WHEN {' OR '.join(tests) or 'false'} THEN {value} END AS b{place}, {kind} AS k{place}"


def _tallies(
    connection: duckdb.DuckDBPyConnection,
    columns: Columns,
    reader: Reader,
    name: str,
    layout: _Layout,
    rows: Rows,
    wide: frozenset[str],
) -> tuple[Tally, ...]:
    """Read the counted values of one question, and sum over what only its skip pattern tells apart."""
    part = reader.part(name)
    place = {key: at + 2 for at, key in enumerate(layout.keys)}
    texts = {
        row[at]
        for column in (*layout.own, *layout.gates)
        if not columns.kinds[column].numeric
        for key in (*_own_keys(columns, column, wide)[:1], columns.value(column))
        if (at := place.get(key)) is not None
        for row in rows
        if row[at] is not None
    }
    known = texts_read(connection, texts)

    def raw(row: tuple[Any, ...], column: str, keys: Sequence[str]) -> tuple[Raw, str]:
        reason = row[place[keys[-1]]] if columns.kinds[column].has_reason else None
        return read_raw(row[place[keys[0]]], reason, numeric=columns.kinds[column].numeric, known=known)

    found: Counter[tuple[str | None, bool, bool, Raw, str]] = Counter()
    for row in rows:
        country, eligible = row[0], row[1]
        answers = answers_in(part, country)
        if answers is None:
            continue
        own = _own_keys(columns, answers.column, wide)
        value, kind = raw(row, answers.column, own)
        if value == EMPTY and answers.column in wide and row[place[own[1]]] != "empty":
            value, kind = NOT_KEPT, row[place[own[1]]]
        asked = True
        if part.asked_if is not None:
            gates = {column: raw(row, column, columns.keys(column))[0] for column in layout.gates}
            asked = reader.fulfils(part.asked_if, Child(country, gates), (name,))
        found[(country, eligible, asked, value, kind)] += row[-1]
    is_number = isinstance(part, Variable) and part.is_number
    tallies = [
        Tally(*key, _reading(reader, name, key[0], key[3], key[4], is_number=is_number), rows)
        for key, rows in found.items()
    ]
    return tuple(sorted(tallies, key=lambda tally: (str(tally.country), not tally.asked, str(tally.raw))))


def _reading(reader: Reader, name: str, country: str | None, raw: Raw, kind: str, *, is_number: bool) -> Reading:
    if raw != NOT_KEPT:
        return reader.raw_reading(name, country, raw)
    return Reading(number=math.nan) if is_number and kind in ("number", "fraction", "below", "above") else UNDECLARED


def _groups(
    connection: duckdb.DuckDBPyConnection,
    columns: Columns,
    reader: Reader,
    by: Sequence[str],
    split: Sequence[str],
    rows: Rows,
) -> tuple[Group, ...]:
    found: Counter[tuple[str | None, tuple[str | None, ...]]] = Counter()
    any_eligible = any(row[1] for row in rows)
    for row, values in zip(rows, raw_values(connection, columns, split, rows, 2), strict=True):
        child = Child(row[0], values)
        if row[1] or not any_eligible:
            found[(row[0], tuple(reader.coded(name, child).level for name in by))] += row[-1]
    return tuple(Group(*key, count) for key, count in sorted(found.items(), key=str))
