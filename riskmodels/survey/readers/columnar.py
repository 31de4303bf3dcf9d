"""Parquet files: the types of their columns; the rows stay in the file until SQL reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.readers import names
from riskmodels.survey.readers.signatures import damaged
from riskmodels.survey.source import SQL_SETTINGS, ColumnInfo, SourceTable, scan_parquet

#: SQL types that hold numbers; dates, times and everything else are text.
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN")
NUMBERS_UNSIGNED = tuple(f"U{name}" for name in NUMBERS[:5])
#: Beginnings and endings of types that hold no single answer.
NESTED = ("STRUCT", "MAP", "UNION", "BLOB", "LIST")


def _types(path: Path) -> dict[str, str]:
    """SQL type by column name; InputError (E190) where the file is damaged."""
    connection = duckdb.connect(":memory:", config=SQL_SETTINGS)
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {scan_parquet(path)}").fetchall()
    except (duckdb.Error, UnicodeError):
        raise InputError([damaged(path, "truncated download?")], path.name) from None
    finally:
        connection.close()
    return {row[0]: row[1] for row in rows}


def _check_types(types: dict[str, str], source: str) -> list[Problem]:
    """E163: columns that hold lists or records instead of one answer per child."""
    nested = [name for name, kind in types.items() if kind.startswith(NESTED) or kind.endswith("]")]
    what = "the column holds lists or records, not one answer per child"
    return [Problem("E163", what, f"{source}: {name}", 1, "spread it over one column per answer") for name in nested]


def read_columnar(path: Path, columns: Sequence[str] | None = None) -> SourceTable:
    """Look at a Parquet file and describe its columns, from its schema alone.

    Parameters
    ----------
    path
        The file.
    columns
        Columns to read; None for all.

    Returns
    -------
    SourceTable
        Without a frame: SQL reads the file. Categories of text are text; dates are text; what pandas stored beside
        the columns is ignored.

    Raises
    ------
    InputError
        E132 declared columns absent, E163 nested columns, E190 a damaged file.
    """
    types = _types(path)
    have = tuple(types)
    wanted = list(dict.fromkeys(columns)) if columns is not None else list(have)
    problems = names.check_declared(wanted, have, path.name)
    problems += _check_types({name: types[name] for name in wanted if name in types}, path.name)
    notes = raise_if_stopping([*problems, *names.note_scripts(wanted, (), path.name)], path.name)
    return SourceTable(
        columns=tuple(ColumnInfo(n, numeric=types[n].startswith((*NUMBERS, *NUMBERS_UNSIGNED))) for n in wanted),
        frame=None,
        path=path,
        format="parquet",
        all_columns=have,
        encoding="utf-8",
        notes=notes,
    )
