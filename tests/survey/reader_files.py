"""Small survey files in every format, written by pyreadstat and pandas: one table, so that readers can be compared."""

from __future__ import annotations

import datetime as dt
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat

CANARY = "CANARY-7f3a"
LABELS = {"country": "País", "G4c": "Изображения опубликованы", "age": "العمر", "seen": "Day", "note": "Free text"}
G4C = {1.0: "никогда", 2.0: "да", 888.0: "отказ", 999.0: "не знаю"}
DECLARED = ("country", "G4c", "age")


def children() -> pd.DataFrame:
    """Six children: Namibia and Norway, refusals (888), don't knows (999), and nothing at all."""
    return pd.DataFrame(
        {
            "country": ["NA", "NA", "NO", "NO", "KEN", ""],
            "G4c": [1.0, 2.0, 888.0, 999.0, np.nan, 1.0],
            "age": [12.0, 17.0, 97.0, 98.0, 13.0, np.nan],
            "seen": [dt.date(2026, 3, day) for day in range(1, 7)],
            "note": [CANARY] * 6,
        }
    )


def write_sav(path: Path, frame: pd.DataFrame | None = None) -> Path:
    pyreadstat.write_sav(
        children() if frame is None else frame,
        path,
        compress=path.suffix == ".zsav",
        column_labels=LABELS,
        variable_value_labels={
            "G4c": G4C,
            "age": {97.0: "refused", 98.0: "don't know"},
            "country": {"NA": "Namibia", "NO": "Norway"},
        },
        missing_ranges={"G4c": [888, 999], "age": [{"lo": 97, "hi": 99}], "country": ["KEN"]},
        variable_measure={"G4c": "nominal", "age": "scale"},
    )
    return path


def write_dta(path: Path, version: int = 15) -> Path:
    frame = children()
    frame["G4c"] = pd.Series([1.0, 2.0, "r", "d", None, 1.0], dtype=object).where(lambda s: s.notna(), 3.0)
    labels: dict[float | str, str] = {1: "never", 2: "yes", "r": "refused", "d": "don't know"}
    if version >= 14:
        labels |= {1: "никогда", 2: "да"}
    pyreadstat.write_dta(
        frame,
        path,
        version=version,
        column_labels=LABELS if version >= 14 else None,
        variable_value_labels={"G4c": labels},
        missing_user_values={"G4c": ["r", "d"]},
    )
    return path


def write_csv(path: Path, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    children().to_csv(path, sep=delimiter, encoding=encoding, index=False)
    return path


def write_parquet(path: Path) -> Path:
    children().astype({"note": "category"}).to_parquet(path)
    return path


WRITERS = {".sav": write_sav, ".zsav": write_sav, ".dta": write_dta, ".csv": write_csv, ".parquet": write_parquet}


def add_record(path: Path, subtype: int, content: bytes) -> Path:
    """Put one more extension record (type 7) into an SPSS file, as SPSS writes multiple-response sets (subtype 7)."""
    data = path.read_bytes()
    place = data.index(struct.pack("<iii", 7, 3, 4))  # the machine record, first of the extension records
    path.write_bytes(data[:place] + struct.pack("<iiii", 7, subtype, 1, len(content)) + content + data[place:])
    return path
