"""Made-up surveys as files, the same bytes every time: no file holds the moment it was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

BRAND = "SYNTHETIC DATA: made-up children, no survey"
#: Places of the date and the time in the header of an SPSS file.
SAV_DATE, SAV_TIME = slice(92, 101), slice(101, 109)


def write_sav(
    frame: pd.DataFrame,
    path: Path,
    labels: Mapping[str, str],
    value_labels: Mapping[str, Mapping[float, str]],
    missing: Mapping[str, tuple[float, ...]],
) -> None:
    """Write an SPSS file with labels and user-missing codes."""
    import pyreadstat

    pyreadstat.write_sav(
        frame,
        str(path),
        file_label=BRAND[:64],
        column_labels=[labels.get(str(name), "") for name in frame],
        variable_value_labels={name: dict(found) for name, found in value_labels.items()},
        missing_ranges={name: [{"lo": code, "hi": code} for code in codes] for name, codes in missing.items()},
        note=BRAND,
    )
    content = bytearray(path.read_bytes())
    content[SAV_DATE], content[SAV_TIME] = b"01 Jan 26", b"00:00:00"
    path.write_bytes(bytes(content))


def write_dta(
    frame: pd.DataFrame,
    path: Path,
    labels: Mapping[str, str],
    value_labels: Mapping[str, Mapping[float, str]],
    letters: Mapping[float, str],
    coded: Mapping[str, tuple[float, ...]],
) -> None:
    """Write a Stata file; codes of missing answers become extended missing values (.a, .b)."""
    import pyreadstat

    stata, tagged = pd.DataFrame(index=frame.index), {}
    for name in map(str, frame):
        values = frame[name]
        if name in coded:
            values = values.astype(object)
            for code, letter in letters.items():
                values = values.mask(frame[name] == code, letter)
            tagged[name] = [letters[code] for code in coded[name] if code in letters]
        stata[name] = values
    kept = {
        name: {code: label for code, label in found.items() if not (name in coded and code in letters)}
        for name, found in value_labels.items()
    }
    pyreadstat.write_dta(
        stata,
        str(path),
        file_label=BRAND[:80],
        column_labels=[labels.get(str(name), "")[:80] for name in frame],
        variable_value_labels={name: found for name, found in kept.items() if found},
        missing_user_values=tagged,
    )
    content = path.read_bytes()
    fixed = re.sub(rb"<timestamp>\x11.{17}</timestamp>", b"<timestamp>\x1101 Jan 2026 00:00</timestamp>", content)
    path.write_bytes(fixed)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a CSV file (UTF-8), whole numbers without a decimal point."""
    plain = frame.copy()
    for name in map(str, plain):
        if pd.api.types.is_float_dtype(plain[name]):
            known = plain[name].dropna()
            if (known == np.round(known)).all():
                plain[name] = plain[name].astype("Int64")
    plain.to_csv(path, index=False, lineterminator="\n")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file branded in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata({"riskmodels": BRAND})
    pq.write_table(table, path, compression="zstd", write_statistics=True)
