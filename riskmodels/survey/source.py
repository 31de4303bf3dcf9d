"""SourceTable: the declared columns of a data file, raw, and what the file itself says about them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from riskmodels.errors import Problem

if TYPE_CHECKING:
    import duckdb

#: Ending of the companion column that holds a Stata extended missing value (".a" to ".z") where its number is empty.
REASON_SUFFIX = "__reason"
#: Name under which SQL sees the table.
VIEW = "source"
#: How every private database is opened.
SQL_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": "2",
    "temp_directory": "",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


@dataclass(frozen=True)
class ColumnInfo:
    """What a file says about one column.

    Parameters
    ----------
    name, label
        Column and its label in the file (empty where the format has none).
    value_labels
        Code -> label.
    missing_codes
        Codes the file marks as user-missing: those it names one by one, and the labelled ones within `missing_ranges`.
    numeric
        Whether values are numbers (False: text).
    has_reason
        Whether a companion column ``name + "__reason"`` stands beside it.
    measure
        ``"nominal"``, ``"ordinal"``, ``"scale"`` or empty.
    missing_ranges
        Ranges (low, high, both included) of numbers that the file marks as user-missing; the largest
        numbers a file can hold stand for "lowest" and "highest".
    """

    name: str
    label: str = ""
    value_labels: Mapping[float | str, str] = field(default_factory=dict)
    missing_codes: tuple[float | str, ...] = ()
    numeric: bool = True
    has_reason: bool = False
    measure: str = ""
    missing_ranges: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class SourceTable:
    """Raw values of the declared columns: in memory, or still in a Parquet or CSV file.

    Parameters
    ----------
    columns
        What is known of each column that was read.
    frame
        Values, numbers as float64 and text as str, NaN / None where empty; None where `path` is read by SQL directly.
    path
        The file; its name is used in messages.
    format
        ``"sav"``, ``"dta"``, ``"csv"``, ``"parquet"`` or ``"frame"``.
    all_columns
        Names of all columns of the file, for finding near misses.
    encoding
        Encoding the file declares.
    response_sets
        Multiple-response sets the file declares: name -> columns.
    delimiter
        Delimiter of a CSV file; empty elsewhere.
    notes
        Warnings and notes found while reading.
    """

    columns: tuple[ColumnInfo, ...]
    frame: pd.DataFrame | None = field(repr=False)
    path: Path
    format: str
    all_columns: tuple[str, ...] = ()
    encoding: str = ""
    response_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delimiter: str = ""
    notes: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        held = "in memory" if self.frame is not None else "on disk"
        return f"SourceTable({self.path.name}, {self.format}, {len(self.columns)} columns, {held})"

    def info(self, name: str) -> ColumnInfo | None:
        """Look a column up; None where the file has none of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open a private in-memory database in which the table is the view ``source``.

        CSV columns are text there; Parquet columns keep their types. Only the columns that were asked for are in it.
        Two threads, no library fetched from elsewhere, and nothing spilled to a disk.
        """
        import duckdb

        connection = duckdb.connect(":memory:", config=SQL_SETTINGS)
        if "ipykernel" not in sys.modules or importlib.util.find_spec("ipywidgets"):
            # A notebook without ipywidgets has no bar to switch off, and refuses to.
            connection.execute("SET enable_progress_bar = false")
        if self.frame is not None:
            connection.register(VIEW, self.frame)
        else:
            reader = scan_parquet(self.path) if self.format == "parquet" else scan_csv(self)
            names = ", ".join(quoted_name(column.name) for column in self.columns)
            connection.execute(f"CREATE VIEW {VIEW} AS SELECT {names} FROM {reader}")
        return connection


def quoted_name(name: str) -> str:
    """Write a name so that SQL takes it as it stands.

    Examples
    --------
    >>> quoted_name("a column")
    '"a column"'
    """
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """Write a text so that SQL takes it as it stands."""
    return "'" + text.replace("'", "''") + "'"


def quoted_path(path: Path) -> str:
    """Write a path so that SQL opens that very file: ``*``, ``?`` and ``[`` in its name stand for themselves.

    Examples
    --------
    >>> quoted_path(Path("/data/survey[1].csv"))
    "'/data/survey[[]1].csv'"
    """
    return quoted_text("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path.resolve())))


def scan_parquet(path: Path) -> str:
    """SQL that reads a Parquet file."""
    return f"read_parquet({quoted_path(path)})"


def scan_csv(source: SourceTable, options: str = "") -> str:
    """SQL that reads a CSV file as text, by the header and delimiter found when it was opened: nothing is guessed."""
    columns = ", ".join(f"{quoted_text(name)}: 'VARCHAR'" for name in source.all_columns)
    more = f", {options}" if options else ""
    return (
        f"read_csv({quoted_path(source.path)}, auto_detect=false, header=true, delim={quoted_text(source.delimiter)}, "
        f"""quote='"', escape='"', columns={{{columns}}}{more})"""
    )
