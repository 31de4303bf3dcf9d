"""SourceTable: the declared columns of a data file, raw, and what the file itself says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import duckdb

#: Ending of the companion column that holds a Stata extended missing value (".a" to ".z") where its number is empty.
REASON_SUFFIX = "__reason"
#: Name under which SQL sees the table.
VIEW = "source"


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
        Codes the file marks as user-missing.
    numeric
        Whether values are numbers (False: text).
    has_reason
        Whether a companion column ``name + "__reason"`` stands beside it.
    measure
        ``"nominal"``, ``"ordinal"``, ``"scale"`` or empty.
    """

    name: str
    label: str = ""
    value_labels: Mapping[float | str, str] = field(default_factory=dict)
    missing_codes: tuple[float | str, ...] = ()
    numeric: bool = True
    has_reason: bool = False
    measure: str = ""


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
        Sign between the columns of a CSV file.
    """

    columns: tuple[ColumnInfo, ...]
    frame: pd.DataFrame | None
    path: Path
    format: str
    all_columns: tuple[str, ...] = ()
    encoding: str = ""
    response_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delimiter: str = ","

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        held = "in memory" if self.frame is not None else "on disk"
        return f"SourceTable({self.path.name}, {self.format}, {len(self.columns)} columns, {held})"

    def info(self, name: str) -> ColumnInfo | None:
        """Look a column up; None where the file has none of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open a private in-memory database in which the table is the view ``source``.

        CSV columns are text there; Parquet columns keep their types. Two threads, and no spill files outside a
        private folder.
        """
        import duckdb

        connection = duckdb.connect(":memory:", config={"threads": "2"})
        connection.execute("SET enable_progress_bar = false")
        if self.frame is not None:
            connection.register(VIEW, self.frame)
        else:
            quoted = str(self.path).replace("'", "''")
            reader = (
                f"read_parquet('{quoted}')"
                if self.format == "parquet"
                else f"read_csv('{quoted}', all_varchar=true, header=true, delim='{self.delimiter}', null_padding=false)"
            )
            connection.execute(f"CREATE VIEW {VIEW} AS SELECT * FROM {reader}")
        return connection
