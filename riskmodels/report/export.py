"""Tables to CSV, Parquet and Excel; strings never become formulas; every file is written beside and moved."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from riskmodels.release.gate import ClearedEstimates
from riskmodels.vocabulary import ESTIMATE_COLUMNS

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SYNTHETIC_BANNER = "SYNTHETIC DATA: simulated, no real child's answers"


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside `target`; its files move into `target` only if all goes well.

    Files are moved one by one with `manifest.json` last; an error or Ctrl-C leaves `target` as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield staging
        files = sorted(
            (path for path in staging.rglob("*") if path.is_file()),
            key=lambda path: (path.name == "manifest.json", str(path)),
        )
        for path in files:
            goal = target / path.relative_to(staging)
            goal.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(path, goal)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def combined_table(cleared: Sequence[ClearedEstimates]) -> pd.DataFrame:
    """Stack cleared estimates into one long table, factors first, then the columns of the vocabulary."""
    frames = [item.table.assign(fit=item.fingerprint.id, synthetic=item.fingerprint.synthetic) for item in cleared]
    factors = list(
        dict.fromkeys(
            name
            for frame in frames
            for name in frame.columns
            if name not in ESTIMATE_COLUMNS and name not in ("fit", "synthetic")
        )
    )
    order = [*factors, *ESTIMATE_COLUMNS, "fit", "synthetic"]
    stacked = pd.DataFrame([row for frame in frames for row in frame.to_dict("records")])
    return stacked[[name for name in order if name in stacked]]


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write UTF-8 CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    safe = table.copy()
    for column in safe.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[column] = [
            f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
            for value in safe[column]
        ]
    safe.to_csv(path, index=False, lineterminator="\n")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write Parquet with its schema."""
    table.to_parquet(path, index=False)


def write_workbook(sheets: Mapping[str, pd.DataFrame], path: Path, *, about: Sequence[str], synthetic: bool) -> None:
    """Write an Excel workbook: one sheet per table, text as text, a sheet that says what it is."""
    import xlsxwriter

    with xlsxwriter.Workbook(
        str(path), {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": False}
    ) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        red = book.add_format({"bold": True, "font_color": "red"})
        first = book.add_worksheet("About")
        first.set_column(0, 0, 120)
        for number, line in enumerate(about):
            first.write_string(number, 0, line)
        for name, table in sheets.items():
            sheet = book.add_worksheet(name[:31])
            top = 1 if synthetic else 0
            if synthetic:
                sheet.write_string(0, 0, SYNTHETIC_BANNER, red)
            for column, title in enumerate(table.columns):
                sheet.write_string(top, column, str(title), bold)
                sheet.set_column(column, column, min(40, max(10, len(str(title)) + 2)))
            for number, row in enumerate(table.itertuples(index=False), start=top + 1):
                for column, value in enumerate(row):
                    _write_value(sheet, number, column, value)
            sheet.freeze_panes(top + 1, 1)
            sheet.autofilter(top, 0, top + len(table), len(table.columns) - 1)


def _write_value(sheet: object, row: int, column: int, value: object) -> None:
    """Write a number as a number, anything else as plain text, nothing for a missing value."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        sheet.write_string(row, column, str(value))  # type: ignore[attr-defined]
    else:
        sheet.write_number(row, column, value)  # type: ignore[attr-defined]


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write JSON with sorted keys."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
