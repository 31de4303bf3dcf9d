"""CSV and Parquet files: their columns, without reading their rows."""

from __future__ import annotations

import csv
from pathlib import Path

from riskmodels.errors import InputError, Problem
from riskmodels.survey.source import ColumnInfo, SourceTable

#: Bytes of a CSV file that are looked at for its encoding and delimiter.
PROBE = 1 << 20


def csv_columns(path: Path) -> SourceTable:
    """Find encoding, delimiter and header of a CSV file; all columns are text.

    Raises
    ------
    InputError
        E170 for a file that is not UTF-8, E190 for one without a usable header.
    """
    with path.open("rb") as handle:
        probe = handle.read(PROBE)
    if b"\0" in probe:
        raise InputError(
            [Problem("E190", "the file holds binary data", path.name, 1, "export it as CSV again")], path.name
        )
    # A sign of several bytes may be cut at the end of the probe.
    text = None
    for cut in range(4):
        try:
            text = probe[: len(probe) - cut].decode("utf-8-sig")
            break
        except UnicodeDecodeError:
            if len(probe) < PROBE:
                break
    if text is None:
        problem = Problem("E170", "the file is not UTF-8; it looks like windows-1252", path.name, 1, "save it as UTF-8")
        raise InputError([problem], path.name)
    first = text.splitlines()[0] if text.splitlines() else ""
    delimiter = max(",;\t", key=first.count)
    try:
        header = next(csv.reader([first], delimiter=delimiter))
    except (csv.Error, StopIteration):
        raise InputError(
            [Problem("E190", "the first line is not a header", path.name, 1, "put column names there")], path.name
        ) from None
    problems = []
    if any(not name.strip() for name in header):
        problems.append(
            Problem(
                "E190", "columns without a name", path.name, sum(not n.strip() for n in header), "name every column"
            )
        )
    twice = sorted({name for name in header if header.count(name) > 1 and name.strip()})
    if twice:
        problems.append(Problem("E150", "column names that stand twice", path.name, len(twice), "rename them"))
    if problems:
        raise InputError(problems, path.name)
    columns = tuple(ColumnInfo(name, numeric=False) for name in header)
    return SourceTable(columns, None, path, "csv", tuple(header), "UTF-8", delimiter=delimiter)


def parquet_columns(path: Path) -> SourceTable:
    """Find the columns of a Parquet file.

    Raises
    ------
    InputError
        E190 for a file that cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError):
        problem = Problem(
            "E190",
            f"the file cannot be read as .parquet ({path.stat().st_size:,} bytes)",
            path.name,
            1,
            "truncated download? write it again",
        )
        raise InputError([problem], path.name) from None
    columns = tuple(
        ColumnInfo(
            field.name,
            numeric=pa.types.is_integer(field.type)
            or pa.types.is_floating(field.type)
            or pa.types.is_decimal(field.type)
            or pa.types.is_boolean(field.type),
        )
        for field in schema
    )
    return SourceTable(columns, None, path, "parquet", tuple(schema.names), "UTF-8")
