"""A user's own data frame as a SourceTable: numbers become float64, everything else text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from riskmodels.errors import Problem, raise_if_stopping
from riskmodels.survey.readers import names
from riskmodels.survey.source import ColumnInfo, SourceTable

SOURCE = "data frame"


def _kinds(values: pd.Series) -> Counter[str]:
    """How many non-empty values are numbers, text or something else."""
    present = values.dropna()
    return Counter(
        "text"
        if isinstance(v, str)
        else "numbers"
        if isinstance(v, (int, float)) or hasattr(v, "__float__")
        else "other"
        for v in present
    )


def _as_text(values: pd.Series) -> pd.Series:
    texts = [None if missing else str(v).rstrip(" ") or None for v, missing in zip(values, values.isna())]
    return pd.Series(texts, dtype="str", index=values.index)


def _converted(values: pd.Series, name: str) -> tuple[pd.Series, list[Problem]]:
    """Copy a column as float64 or text; E163 where it holds both, or neither."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(values) or (
        pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values)
    ):
        return values.astype("Float64").astype("float64"), []
    if pd.api.types.is_datetime64_any_dtype(values) or isinstance(values.dtype, pd.StringDtype):
        return _as_text(values), []
    kinds = _kinds(values)
    if len(kinds) == 1 and "numbers" in kinds:
        return pd.to_numeric(values).astype("float64"), []
    if "numbers" in kinds or ("text" in kinds and "other" in kinds):
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        what = f"column {name} mixes types: {counts}"
        return values, [Problem("E163", what, SOURCE, sum(kinds.values()), "make the column all numbers or all text")]
    return _as_text(values), []


def source_from_frame(
    frame: pd.DataFrame,
    labels: Mapping[str, Mapping[float | str, str]] | None = None,
    columns: Sequence[str] | None = None,
) -> SourceTable:
    """Take a survey that is already in memory; the caller's frame is not changed.

    Parameters
    ----------
    frame
        One row per child.
    labels
        Column -> code -> label, where the codes have labels.
    columns
        Columns to take; None for all.

    Returns
    -------
    SourceTable
        Numbers (also booleans, nullable integers and categories of numbers) as float64; text, dates and categories of
        text as text. Codes of missing answers stay as they are: the codebook says what they mean.

    Raises
    ------
    InputError
        E132 declared columns absent, E163 columns that mix numbers and text, E190 two columns of one name.

    Examples
    --------
    >>> import pandas as pd
    >>> children = pd.DataFrame({"country": ["NA", "NO"], "G4c": [1, 888]})
    >>> source = source_from_frame(children, labels={"G4c": {1: "no", 888: "prefer not to say"}})
    >>> [(column.name, column.numeric) for column in source.columns]
    [('country', False), ('G4c', True)]
    """
    have = [str(name) for name in frame.columns]
    doubled = names.check_header(have, SOURCE) if len(set(have)) < len(have) else []
    raise_if_stopping([*doubled, *names.check_declared(columns, have, SOURCE)], SOURCE)
    wanted = list(dict.fromkeys(columns)) if columns is not None else have
    place = {name: at for at, name in enumerate(have)}
    done = {name: _converted(frame.iloc[:, place[name]].reset_index(drop=True), name) for name in wanted}
    problems = [problem for _, found in done.values() for problem in found]
    known = labels or {}
    problems += names.check_declared(known, have, SOURCE)
    texts = [text for name in wanted for text in known.get(name, {}).values()]
    notes = raise_if_stopping([*problems, *names.note_scripts(wanted, texts, SOURCE)], SOURCE)
    values = pd.DataFrame({name: column for name, (column, _) in done.items()})
    return SourceTable(
        columns=tuple(
            ColumnInfo(n, value_labels=dict(known.get(n, {})), numeric=values[n].dtype == "float64") for n in wanted
        ),
        frame=values,
        path=Path(SOURCE),
        format="frame",
        all_columns=tuple(have),
        encoding="utf-8",
        notes=notes,
    )
