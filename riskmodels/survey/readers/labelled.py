"""SPSS and Stata files: what the guarded child sends, as a SourceTable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.readers import names
from riskmodels.survey.readers.guarded import DEFAULT_LIMITS, Limits, read_guarded
from riskmodels.survey.source import REASON_SUFFIX, ColumnInfo, SourceTable

#: Measures that say something; the file's "unknown" does not.
MEASURES = frozenset(("nominal", "ordinal", "scale"))


def _in_ranges(code: float | str, ranges: Iterable[tuple[float | str, float | str]]) -> bool:
    for low, high in ranges:
        if isinstance(code, str) or isinstance(low, str) or isinstance(high, str):
            if code == low:
                return True
        elif low <= code <= high:
            return True
    return False


def _info(entry: Mapping[str, Any]) -> ColumnInfo:
    """Make a column's record; a range of missing codes stays a rule beside the codes known to fall in it."""
    labels = dict(entry["labels"])
    pairs = [(low, high) for low, high in entry["ranges"]]
    single = [low for low, high in pairs if low == high]
    labelled = [code for code in labels if _in_ranges(code, pairs)]
    letters = [code for code in labels if entry["numeric"] and isinstance(code, str)] + entry["letters"]
    return ColumnInfo(
        name=entry["name"],
        label=entry["label"],
        value_labels=labels,
        missing_codes=tuple(dict.fromkeys([*single, *labelled, *sorted(letters)])),
        numeric=entry["numeric"],
        has_reason=bool(entry.get("reason")),
        measure=entry["measure"] if entry["measure"] in MEASURES else "",
        missing_ranges=tuple((float(low), float(high)) for low, high in pairs if low != high),
    )


def _response_sets(sets: Mapping[str, Sequence[str]], have: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Name the columns of multiple-response sets as the file names them now (sets often keep another case)."""
    by_case = {name.casefold(): name for name in have}
    return {name: tuple(by_case.get(part.casefold(), part) for part in parts) for name, parts in sets.items()}


def _frame(table: pa.Table, columns: Sequence[ColumnInfo]) -> pd.DataFrame:
    """Columns in the order declared; an empty frame with the right types where only metadata were read."""
    if table.num_columns:
        order = [part for c in columns for part in ([c.name, c.name + REASON_SUFFIX] if c.has_reason else [c.name])]
        return table.select(order).to_pandas()
    return pd.DataFrame({c.name: pd.Series([], dtype="float64" if c.numeric else "str") for c in columns})


def _check_reason_names(columns: Sequence[ColumnInfo], source: str) -> list[Problem]:
    known = {column.name for column in columns}
    taken = [c.name + REASON_SUFFIX for c in columns if c.has_reason and c.name + REASON_SUFFIX in known]
    what = "a column has the name that riskmodels gives to the reasons of missing answers"
    return [Problem("E190", what, f"{source}: {name}", 1, "rename it in the file") for name in taken]


def read_labelled(
    path: Path,
    format: str,
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    rows: bool = True,
) -> SourceTable:
    """Read an SPSS or Stata file with the kinds of missing answers apart.

    Parameters
    ----------
    path, format
        The file, and ``"sav"`` or ``"dta"``.
    columns
        Columns to read, in this order; None for all.
    encoding
        Encoding of its text, where the file's own word is wrong.
    limits
        Time and memory allowed to the child process that parses it.
    rows
        Whether rows are read, or only names and labels.

    Returns
    -------
    SourceTable
        Numbers as float64, user-missing codes as they stand; text without trailing blanks, None where empty; beside a
        Stata number with extended missing values a text column ``NAME__reason`` with ``".a"`` to ``".z"``.

    Raises
    ------
    InputError
        E132 declared columns absent (all at once), E170 garbled text, E190 a file that cannot be read.
    """
    reply, table = read_guarded(path, format, columns, encoding, limits, rows=rows)
    found = {entry["name"]: _info(entry) for entry in reply["columns"]}
    have = tuple(reply["all_columns"])
    infos = [found[name] for name in (dict.fromkeys(columns) if columns is not None else have) if name in found]
    labels = [text for info in infos for text in (info.label, *info.value_labels.values())]
    problems = [
        *names.check_declared(columns, have, path.name),
        *names.check_labels([*(info.name for info in infos), *labels], path.name, encoding),
        *_check_reason_names(infos, path.name),
    ]
    notes = raise_if_stopping(
        [*problems, *names.note_scripts([info.name for info in infos], labels, path.name)], path.name
    )
    return SourceTable(
        columns=tuple(infos),
        frame=_frame(table, infos),
        path=path,
        format=format,
        all_columns=have,
        encoding=encoding or reply["encoding"],
        response_sets=_response_sets(reply["sets"], have),
        notes=notes,
    )
