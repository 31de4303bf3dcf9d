"""Tables of co-occurrence on the terminal and as files: units as people write them, small bases guarded, notes said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from riskmodels.estimates.pair_measures import PAIR_MEASURES
from riskmodels.report.tables import BRACKETS_BELOW, NOT_SHOWN_BELOW
from riskmodels.report.tables_regression import INTERNAL, file_table

#: Factor and digits of a unit on paper.
UNITS: dict[str, tuple[float, int, str]] = {
    "proportion": (100.0, 1, "%"),
    "ratio": (1.0, 2, "ratio"),
    "correlation": (1.0, 2, "correlation"),
    "risks": (1.0, 2, "risks"),
    "children": (1.0, 0, "children"),
}
HEADINGS = {"risk": "risk", "other_risk": "other risk", "how_many": "risks"}


def smallest_base(table: pd.DataFrame) -> np.ndarray:
    """Children that each row rests on: n, or (fewer) those with the risk where the share is among them.

    Parameters
    ----------
    table
        Of an `Estimates` of co-occurrence.
    """
    n = table["n"].to_numpy(float) if "n" in table else np.full(len(table), np.inf)
    conditional = table["quantity"].astype(str).str.endswith(PAIR_MEASURES["given"].words).to_numpy()
    if "n_effective" not in table:
        return n
    return np.where(conditional, np.fmin(n, np.nan_to_num(table["n_effective"].to_numpy(float))), n)


def _figure(row: Mapping[Any, Any], names: tuple[str, ...]) -> str:
    """One figure, or the two ends of an interval; `-` where there is none."""
    factor, digits, _ = UNITS[str(row["unit"])]
    values = [float(row.get(name, np.nan)) for name in names]
    if not np.isfinite(values).all():
        return "-"
    return " to ".join(f"{factor * value:,.{digits}f}" for value in values)


def _factor(row: Mapping[Any, Any], name: str) -> str:
    """A level in words; numbers of risks as they are meant."""
    if name == "how_many" and "at least" in str(row["quantity"]):
        return f"{row[name]} or more"
    return str(row[name])[:48]


def _guarded(text: str, base: float) -> str:
    if text == "-" or base >= BRACKETS_BELOW:
        return text
    return "*" if base < NOT_SHOWN_BELOW else f"({text})"


def cooccurrence_table(table: pd.DataFrame, title: str, *, limit: int | None = None) -> Table:
    """Any table of co-occurrence: direct and model figure side by side, notes numbered below.

    Parameters
    ----------
    table
        Of an `Estimates` of co-occurrence.
    title
        Words above it.
    limit
        Rows shown at most; all where None.

    Returns
    -------
    rich.table.Table
        Medians. `*`: a base under 25, not shown; in brackets: 25 to 49; for shares among children with a risk the base
        is the effective number of these. Not cleared for release.
    """
    factors = [name for name in table.columns[: list(table.columns).index("quantity")] if not name.endswith("_code")]
    shown = table if limit is None else table.head(limit)
    notes = [note for note in dict.fromkeys(shown["note"].astype(str)) if note]
    has_direct = "direct" in shown
    unit = UNITS[str(table["unit"].iloc[0])][2]
    more = f" {len(table) - len(shown)} more rows are in the table." if len(shown) < len(table) else ""
    caption = (
        f"{100 * float(table['probability'].iloc[0]):.0f} % intervals; base: {table['base'].iloc[0]}. "
        f"* base under 25, not shown; ( ) base of 25 to 49. {INTERNAL.capitalize()}.{more}"
    )
    caption += "".join(f"\n[{number}] {note}" for number, note in enumerate(notes, 1))
    made = Table(
        title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left", header_style="bold"
    )
    for name in factors:
        made.add_column(HEADINGS.get(name, name))
    columns = ["n", f"direct {unit}", "interval"] if has_direct else []
    for name in [*columns, f"model {unit}", "interval"]:
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("")
    for row, base in zip(shown.to_dict("records"), smallest_base(shown), strict=True):
        parts = [_figure(row, ("direct",)), _figure(row, ("direct_low", "direct_high"))] if has_direct else []
        parts += [_figure(row, ("median",)), _figure(row, ("low", "high"))]
        n = [_guarded(f"{row['n']:,.0f}", row["n"])] if has_direct else []
        mark = f"[{notes.index(str(row['note'])) + 1}]" if row["note"] else ""
        cells = [*(_factor(row, name) for name in factors), *n, *(_guarded(part, base) for part in parts), mark]
        made.add_row(*(Text(cell) for cell in cells))
    return made


def cooccurrence_file(table: pd.DataFrame, *, synthetic: bool) -> pd.DataFrame:
    """The table as it is written to a file: bases under 25 blanked, and what it is on every row.

    Parameters
    ----------
    table
        Of an `Estimates` of co-occurrence.
    synthetic
        Whether the children are made up.
    """
    if "n" not in table:
        return file_table(table.assign(n=np.inf), synthetic=synthetic).drop(columns="n")
    n = table["n"].to_numpy(float)
    written = file_table(table.assign(n=smallest_base(table)), synthetic=synthetic)
    return written.assign(n=np.where(written["n"].isna(), np.nan, n))
