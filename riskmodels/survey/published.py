"""A published table as a validated record: one row per country, indicator and subgroup."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from riskmodels.errors import InputError, Problem, name_rows, raise_if_stopping
from riskmodels.survey.published_checks import check_columns, check_table, parse_numbers

#: Columns of a published table; the three first are required.
TEXT_COLUMNS = (
    "country_iso3",
    "indicator",
    "subgroup_dim",
    "subgroup",
    "country",
    "indicator_label",
    "base",
    "population",
    "year",
    "numerator_kind",
    "denominator_note",
    "source_title",
    "source_page",
    "confidence",
    "synthetic",
)
NUMBER_COLUMNS = (
    "n",
    "percent",
    "ci_low",
    "ci_high",
    "ci_level",
    "numerator",
    "numerator_weighted",
    "n_weighted",
    "n_effective",
    "design_effect",
)


@dataclass(frozen=True)
class PublishedTable:
    """A published table after every check, with the warnings it earned.

    Parameters
    ----------
    frame
        One row per country x indicator x subgroup; the columns of `TEXT_COLUMNS` as text (empty where not
        given) and those of `NUMBER_COLUMNS` as numbers (NaN where not printed); `row` counts file lines.
    warnings
        Problems that do not stop, and notes.
    name
        File name, for messages.
    synthetic
        Whether any row declares itself simulated.
    """

    frame: pd.DataFrame
    warnings: tuple[Problem, ...]
    name: str
    synthetic: bool


def _read_text(path: Path) -> str:
    """Read a UTF-8 file or say what is wrong with it."""
    if not path.is_file():
        raise InputError([Problem("E190", "no such file", path.name, 0, "check the path")], path.name)
    raw = path.read_bytes()
    if not raw.strip():
        raise InputError(
            [Problem("E190", "the file is empty", path.name, 0, "truncated download? fetch it again")], path.name
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "the file is not UTF-8 text (a spreadsheet or SPSS file under a .csv name, or another encoding)"
        raise InputError([Problem("E170", what, path.name, len(raw), "export it as CSV UTF-8")], path.name) from None


def _parse_text(text: str, name: str) -> pd.DataFrame:
    """Parse CSV into text columns, keeping `NA` (Namibia) and `NO` (Norway) as the text they are."""
    first_line = text.splitlines()[0]
    separator = ";" if first_line.count(";") > first_line.count(",") else ","
    try:
        # Whatever ends a line on the system it comes from, it ends a line here.
        rows = list(csv.reader(io.StringIO(text, newline=None), delimiter=separator))
    except csv.Error:
        broken = Problem("E190", "the file is not a table of comma-separated values", name, 1, "export it as CSV again")
        raise InputError([broken], name) from None
    header = [column.strip() for column in rows[0]]
    body = [(line, row) for line, row in enumerate(rows[1:], start=2) if any(field.strip() for field in row)]
    ragged = [line for line, row in body if len(row) != len(header)]
    problems = []
    if ragged:
        problems.append(
            Problem(
                "E190",
                "rows with more or fewer fields than the header",
                f"rows {ragged[:8]}",
                len(ragged),
                "quote fields that hold a comma; truncated download?",
            )
        )
    if "row" in header:
        problems.append(Problem("E132", "a column is named row, which is taken", "row", 1, "rename the column"))
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        problems.append(
            Problem("E132", "columns that stand twice", ", ".join(repeated), len(repeated), "keep one of each")
        )
    if not body:
        problems.append(Problem("E101", "the table has a header and no rows", name, 0, "check the export"))
    raise_if_stopping(problems, name)
    frame = pd.DataFrame([[field.strip() for field in row] for _, row in body], columns=header, dtype="str")
    frame.insert(0, "row", [line for line, _ in body])
    return frame


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV as text columns plus `row`, the line in the file; problems name lines, never values."""
    return _parse_text(_read_text(path), path.name)


def _set_aside_marked_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """I148: rows whose own note says "do not use" are left aside before the checks."""
    marked = frame["denominator_note"].str.lower().str.contains("do not use", regex=False)
    if not marked.any():
        return frame, []
    note = Problem(
        "I148",
        "rows that their own note marks as not to be used",
        name_rows(frame.loc[marked, "row"]),
        int(marked.sum()),
        "left aside",
    )
    return frame[~marked].reset_index(drop=True), [note]


def read_published_table(path: str | Path) -> PublishedTable:
    """Read and check a published table.

    Parameters
    ----------
    path
        UTF-8 CSV with a header; `country_iso3`, `indicator` and one of `n`, `percent` are needed, the other
        columns of `TEXT_COLUMNS` and `NUMBER_COLUMNS` are used where they stand.

    Returns
    -------
    PublishedTable
        Every row, typed; percentages run from 0 to 100 as printed.

    Raises
    ------
    InputError
        With all problems of the file at once.
    """
    path = Path(path)
    raw = read_text_table(path)
    raise_if_stopping(check_columns(raw, TEXT_COLUMNS + NUMBER_COLUMNS), path.name)
    frame = raw.copy()
    for column in TEXT_COLUMNS:
        if column not in frame:
            frame[column] = ""
    frame["subgroup_dim"] = frame["subgroup_dim"].replace("", "all")
    frame["subgroup"] = frame["subgroup"].replace("", "all")
    frame, problems = parse_numbers(frame, NUMBER_COLUMNS)
    frame, set_aside = _set_aside_marked_rows(frame)
    problems += set_aside
    warnings = raise_if_stopping([*problems, *check_table(frame)], path.name)
    synthetic = bool(frame["synthetic"].str.lower().isin({"true", "yes", "1"}).any())
    return PublishedTable(frame=frame, warnings=warnings, name=path.name, synthetic=synthetic)
