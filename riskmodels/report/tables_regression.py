"""Tables of regressions on the terminal and as files: words not names, small bases guarded, risk apart from harm."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from riskmodels.report.export import SYNTHETIC_BANNER
from riskmodels.report.tables import BRACKETS_BELOW, NOT_SHOWN_BELOW

#: Outcomes that do not tell peers and adults apart.
NOT_SPLIT = "not split"
INTERNAL = "not cleared for release"
#: Columns of numbers that are blanked where the base is too small.
GUARDED = (
    *(
        "n",
        "n_effective",
        "estimate",
        "median",
        "sd",
        "low",
        "high",
        "mcse",
        "rhat",
        "pareto_k",
        "ess_bulk",
        "ess_tail",
    ),
    *("direct", "direct_low", "direct_high", "probability_of_direction"),
)


def _guarded(n: float, text: str) -> str:
    return "*" if n < NOT_SHOWN_BELOW else f"({text})" if n < BRACKETS_BELOW else text


def _heading(row: pd.Series) -> str:
    """An outcome with what it says and who did it."""
    who = "" if row["perpetrator"] == NOT_SPLIT else f", {row['perpetrator']}"
    return f"{row['outcome']} [{row['concept']}{who}]"


def regression_table(table: pd.DataFrame, title: str) -> Table:
    """Odds ratios, average marginal effects or shares of a family, one line per outcome and comparison.

    Parameters
    ----------
    table
        `RegressionFamily.table`, `.marginal_effects()` or `.shares()`.
    title
        Words above it.
    """
    quantity = str(table["quantity"].iloc[0]) if len(table) else "share"
    shown = Table(
        title=title,
        title_justify="left",
        caption=(
            f"Medians and {100 * float(table['probability'].iloc[0]):.0f} % intervals; n: children in the base, unweighted. "
            f"* base under 25, not shown; ( ) base of 25 to 49. {INTERNAL.capitalize()}."
        ),
        caption_justify="left",
        header_style="bold",
    )
    unit = {"odds ratio": "odds ratio", "average marginal effect": "points"}.get(quantity, "%")
    compared = "words" in table
    shown.add_column(Text("outcome [what it says, who did it]" + (" and comparison" if compared else "")))
    for name in ["n", unit, "interval", *(["P(sign)"] if "probability_of_direction" in table else [])]:
        shown.add_column(name, justify="right", no_wrap=True)
    factor, digits = (100.0, 1) if quantity != "odds ratio" else (1.0, 2)
    before = None
    for _, row in table.iterrows():
        key = (row["outcome"], row["perpetrator"])
        n = _guarded(row["n"], f"{row['n']:,.0f}")
        head = _heading(row)
        middle, low, high = (f"{factor * float(row[name]):.{digits}f}" for name in ("median", "low", "high"))
        numbers = [_guarded(row["n"], middle), _guarded(row["n"], f"{low} to {high}")]
        if "probability_of_direction" in table:
            numbers.append(_guarded(row["n"], f"{row['probability_of_direction']:.2f}"))
        if compared and key != before:
            if before is not None:
                shown.add_section()
            shown.add_row(Text(head, style="bold"), n)
        shown.add_row(Text(f"  {row['words']}" if compared else head), "" if compared else n, *numbers)
        before = key
    return shown


def left_out_tables(left_out: pd.DataFrame) -> list[Table]:
    """Outcomes that were not fitted, a list per reason."""
    tables = []
    for (code, reason, remedy), part in left_out.groupby(["code", "reason", "remedy"], sort=False):
        shown = Table(title=Text(f"Not fitted: {code}  {reason} -> {remedy}"), title_justify="left", show_header=False)
        for _, row in part.iterrows():
            shown.add_row(Text(_heading(row)))
        tables.append(shown)
    return tables


def file_table(table: pd.DataFrame, *, synthetic: bool) -> pd.DataFrame:
    """The table as it is written to a file: bases under 25 blanked, and what it is on every row.

    Parameters
    ----------
    table
        Of a `RegressionFamily`.
    synthetic
        Whether the children are made up.
    """
    small = table["n"].to_numpy(float) < NOT_SHOWN_BELOW
    written = table.copy()
    for name in GUARDED:
        if name in written:
            written[name] = np.where(small, np.nan, written[name].to_numpy(float))
    written["note"] = [
        "base under 25: not shown" if hidden else note for hidden, note in zip(small, table["note"], strict=True)
    ]
    return written.assign(synthetic=SYNTHETIC_BANNER if synthetic else "", release=INTERNAL)
