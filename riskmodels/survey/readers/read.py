"""Files to source tables: kinds of missing kept apart, only declared columns read, nothing guessed in silence."""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.readers.looks import looks_like, mojibake
from riskmodels.survey.readers.tables import csv_columns, parquet_columns
from riskmodels.survey.source import REASON_SUFFIX, ColumnInfo, SourceTable

BINARY = ("sav", "zsav", "dta", "por")
FORMATS = (*BINARY, "csv", "parquet")
#: Seconds of processor time that reading may take, and more per megabyte.
LEAST_SECONDS, SECONDS_PER_MEGABYTE = 60, 2


def read_source(path: str | Path, columns: Sequence[str] | None = None, *, encoding: str = "") -> SourceTable:
    """Read the declared columns of a data file.

    Parameters
    ----------
    path
        .sav, .zsav, .por (SPSS), .dta (Stata), .csv (UTF-8) or .parquet.
    columns
        Columns to read; all of them if omitted. CSV and Parquet files are left on disk and read by SQL.
    encoding
        Encoding of the labels, where the file declares a wrong one.

    Returns
    -------
    SourceTable
        Raw values, user-missing codes still among them, and the labels that the file holds.

    Raises
    ------
    InputError
        E190 for a file that cannot be read, E132 for declared columns that are absent, E170 for garbled text.
    """
    path = Path(path)
    kind = _kind(path)
    if kind in BINARY:
        return _read_binary(path, kind, columns, encoding)
    found = csv_columns(path) if kind == "csv" else parquet_columns(path)
    names = [column.name for column in found.columns]
    _require(columns, names, path)
    wanted = names if columns is None else [name for name in names if name in set(columns)]
    kept = tuple(column for column in found.columns if column.name in set(wanted))
    return SourceTable(kept, None, path, kind, tuple(names), found.encoding, delimiter=found.delimiter)


def list_columns(path: str | Path, *, encoding: str = "") -> SourceTable:
    """Read only what a file says of its columns, and no row."""
    path = Path(path)
    kind = _kind(path)
    if kind not in BINARY:
        return read_source(path)
    about, _ = _guarded(path, kind, None, encoding)
    columns = tuple(_info(name, about, None) for name in about["columns"])
    return SourceTable(columns, None, path, kind, tuple(about["columns"]), about["encoding"], about["response_sets"])


def source_from_frame(frame: pd.DataFrame, labels: Mapping[str, str] | None = None) -> SourceTable:
    """Take a frame in memory as a source; the frame itself is not changed.

    Parameters
    ----------
    frame
        Numbers and text; booleans and categories are taken as numbers and text.
    labels
        Words for the columns.
    """
    columns, data = [], {}
    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(object)
        numeric = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
        if numeric:
            data[str(name)] = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        else:
            data[str(name)] = np.array([None if pd.isna(v) else str(v) for v in values], dtype=object)
        columns.append(ColumnInfo(str(name), (labels or {}).get(str(name), ""), numeric=numeric))
    plain = pd.DataFrame(data)
    return SourceTable(tuple(columns), plain, Path("frame"), "frame", tuple(str(name) for name in frame.columns))


def _kind(path: Path) -> str:
    """Format by the file's name, if its first bytes do not say otherwise (E190)."""
    kind = path.suffix.lower().lstrip(".")
    problem: tuple[str, str] | None = None
    if not path.exists():
        problem = ("the file is not there", "check the name, and that it lies beside the codebook")
    elif not path.is_file():
        problem = ("this is a folder, not a file", "name the data file")
    elif path.stat().st_size == 0:
        problem = ("the file is empty (0 bytes)", "truncated download? get it again")
    elif kind not in FORMATS:
        problem = (f"no format of that ending (.{kind})", f"use one of {', '.join('.' + name for name in FORMATS)}")
    else:
        with path.open("rb") as handle:
            head = handle.read(512)
        seen = looks_like(head)
        if (
            seen is not None
            and seen.format != kind
            and not (kind in ("sav", "zsav") and seen.format in ("sav", "zsav"))
        ):
            problem = (f"the name says .{kind}, the first bytes look like {seen.words}", seen.remedy)
        elif kind in ("sav", "zsav", "parquet") and seen is None:
            problem = (
                f"the first bytes are not those of a .{kind} file",
                "truncated, encrypted or renamed? export it again",
            )
    if problem is not None:
        raise InputError([Problem("E190", problem[0], path.name, 1, problem[1])], path.name)
    return kind


def _require(columns: Sequence[str] | None, present: Sequence[str], path: Path) -> None:
    """E132: every declared column that the file does not have, with the nearest names."""
    problems = []
    folded = {name.casefold().strip(): name for name in present}
    for name in columns or ():
        if name in set(present):
            continue
        near = [folded[n] for n in difflib.get_close_matches(name.casefold().strip(), list(folded), n=2, cutoff=0.6)]
        hint = f"did you mean {' or '.join(near)}?" if near else "correct the codebook, or export the column"
        problems.append(Problem("E132", "a declared column is not in the file", name, 1, hint))
    raise_if_stopping(problems, path.name)


def _guarded(
    path: Path, kind: str, columns: Sequence[str] | None, encoding: str
) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Let a limited process read the file; what it found, and the columns."""
    import pyarrow.feather as feather

    size = path.stat().st_size
    seconds = LEAST_SECONDS + int(SECONDS_PER_MEGABYTE * size / 1e6)
    with tempfile.TemporaryDirectory(prefix="riskmodels-") as folder:
        request = {
            "path": str(path.resolve()),
            "kind": kind,
            "columns": None if columns is None else list(columns),
            "encoding": encoding,
            "folder": folder,
            "seconds": seconds,
        }
        script = Path(__file__).with_name("guarded.py")
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(script)],
                input=json.dumps(request).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=2 * seconds,
                check=False,
            )
            code = ended.returncode
        except subprocess.TimeoutExpired:
            code = -1
        about = Path(folder) / "about.json"
        if code != 0 or not about.exists():
            raise InputError([_unreadable(path, kind, size, code)], path.name)
        data = Path(folder) / "data.arrow"
        frame = feather.read_table(str(data), memory_map=False).to_pandas() if data.exists() else None
        return json.loads(about.read_text(encoding="utf-8")), frame


def _unreadable(path: Path, kind: str, size: int, code: int) -> Problem:
    why = {
        -1: "reading took too long",
        3: "reading needed too much memory",
        -9: "reading was stopped",
        -24: "reading took too long",
    }
    what = why.get(code, f"the file cannot be read as .{kind} ({size:,} bytes)")
    return Problem(
        "E190", what, path.name, 1, "truncated download? open and save it again with the program it comes from"
    )


def _read_binary(path: Path, kind: str, columns: Sequence[str] | None, encoding: str) -> SourceTable:
    about, _ = _guarded(path, kind, None, encoding)
    _require(columns, about["columns"], path)
    wanted = list(about["columns"] if columns is None else columns)
    about, frame = _guarded(path, kind, wanted, encoding)
    frame = pd.DataFrame(index=range(about["rows"] or 0)) if frame is None else frame
    infos = tuple(_info(name, about, frame) for name in wanted)
    garbled = sorted(
        {info.name for info in infos if mojibake(info.label) or any(map(mojibake, info.value_labels.values()))}
    )
    if garbled:
        problem = Problem(
            "E170",
            f"labels look garbled: read as {about['encoding'] or 'an unknown encoding'}",
            ", ".join(garbled[:8]),
            len(garbled),
            'read with encoding="utf-8" (or "windows-1252"), or save the file again as UTF-8',
        )
        raise InputError([problem], path.name)
    return SourceTable(infos, frame, path, kind, tuple(about["columns"]), about["encoding"], about["response_sets"])


def _info(name: str, about: Mapping[str, Any], frame: pd.DataFrame | None) -> ColumnInfo:
    labels = {code: str(label) for code, label in about["value_labels"].get(name, [])}
    ranges = about["missing_ranges"].get(name, [])
    missing = [code for code in labels if any(_inside(code, low, high) for low, high in ranges)]
    missing += [low for low, high in ranges if low == high and low not in missing]
    missing += [f".{letter}" for letter in about["missing_user_values"].get(name, [])]
    return ColumnInfo(
        name,
        about["labels"].get(name, ""),
        {
            f".{code}" if isinstance(code, str) and len(code) == 1 and code.isalpha() else code: label
            for code, label in labels.items()
        },
        tuple(missing),
        numeric=frame is None or pd.api.types.is_numeric_dtype(frame[name]),
        has_reason=frame is not None and name + REASON_SUFFIX in frame,
        measure={"nominal": "nominal", "ordinal": "ordinal", "scale": "scale"}.get(about["measure"].get(name, ""), ""),
    )


def _inside(code: object, low: object, high: object) -> bool:
    if isinstance(code, int | float) and isinstance(low, int | float) and isinstance(high, int | float):
        return low <= code <= high
    return code == low
