"""Tables on the terminal: per cents and counts as people write them, labels not codes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.table import Table


def _table(title: str, columns: Sequence[str], caption: str = "") -> Table:
    table = Table(
        title=title, title_justify="left", caption=caption or None, caption_justify="left", header_style="bold"
    )
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=place == 0)
    return table


def _number(value: float, unit: str) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:,.0f}" if unit == "children" else f"{value:.1f}"


def _interval(low: float, high: float, unit: str) -> str:
    return "-" if pd.isna(low) or pd.isna(high) else f"{_number(low, unit)} to {_number(high, unit)}"


def counts_table(counts: pd.DataFrame) -> Table:
    """Number of targets per family and verdict."""
    table = _table("Published numbers recomputed", [str(name) for name in counts.columns])
    for row in counts.itertuples(index=False):
        table.add_row(*[str(value) for value in row])
    return table


def targets_table(rows: pd.DataFrame, title: str) -> Table:
    """Published and recomputed values side by side, with the verdict."""
    table = _table(
        title, ["country", "quantity", "published", "interval", "recomputed", "interval", "off by %", "verdict"]
    )
    for _, row in rows.iterrows():
        unit = row["unit"]
        table.add_row(
            row["country"],
            row["quantity"],
            _number(row["published"], unit),
            _interval(row["published_low"], row["published_high"], unit),
            _number(row["recomputed"], unit),
            _interval(row["recomputed_low"], row["recomputed_high"], unit),
            "-" if pd.isna(row["deviation_percent"]) else f"{row['deviation_percent']:+.2f}",
            row["verdict"],
        )
    return table


def differing_table(rows: pd.DataFrame, limit: int = 25) -> Table:
    """Targets that differ, with the reason."""
    more = f"{len(rows) - limit} more in agreement.csv" if len(rows) > limit else ""
    table = _table("Targets that differ", ["indicator", "country", "published", "recomputed", "reason"], more)
    for _, row in rows.head(limit).iterrows():
        table.add_row(
            row["indicator"],
            row["country"],
            _number(row["published"], row["unit"]),
            _number(row["recomputed"], row["unit"]),
            row["reason"],
        )
    return table


def prevalence_table(table: pd.DataFrame, title: str) -> Table:
    """Model and direct estimate side by side, per cent."""
    with_indicator = "indicator" in table
    shown = _table(
        title,
        [*(["indicator"] if with_indicator else []), "country", "n", "direct %", "interval", "model %", "interval"],
        "direct: this country's answers alone; model: partially pooled over countries",
    )
    for _, row in table.iterrows():
        cells = [
            row["country"],
            "-" if pd.isna(row["n"]) else f"{row['n']:,.0f}",
            f"{100 * row['direct']:.1f}",
            _interval(100 * row["direct_low"], 100 * row["direct_high"], "%"),
            f"{100 * row['estimate']:.1f}",
            _interval(100 * row["low"], 100 * row["high"], "%"),
        ]
        shown.add_row(*([row["indicator"][:60]] if with_indicator else []), *cells)
    return shown


def burden_table(burden: pd.DataFrame, ranks: pd.DataFrame, title: str) -> Table:
    """Children affected and the rank of each country."""
    shown = _table(
        title,
        ["country", "children affected", "interval", "rank", "interval"],
        "number: prevalence among users x share online x children, all uncertain but the last; rank 1 is the highest prevalence",
    )
    places = ranks.set_index("country")
    for _, row in burden.iterrows():
        rank = places.loc[row["country"]] if row["country"] in places.index else None
        shown.add_row(
            row["country"],
            _number(row["estimate"], "children"),
            _interval(row["low"], row["high"], "children"),
            "-" if rank is None else f"{rank['estimate']:.1f}",
            "-" if rank is None else f"{rank['low']:.0f} to {rank['high']:.0f}",
        )
    return shown


#: Bases below the first are not shown, below the second only in brackets.
NOT_SHOWN_BELOW, BRACKETS_BELOW = 25, 50


def _guarded(n: float, text: str) -> str:
    """A figure as its base allows: `*` for a base below 25, in brackets below 50."""
    if pd.isna(n):
        return text
    return "*" if n < NOT_SHOWN_BELOW else f"({text})" if n < BRACKETS_BELOW else text


def groups_table(table: pd.DataFrame, title: str, *, direct_only: bool = False) -> Table:
    """Estimates of a study by any groups: direct and model side by side; small bases are guarded.

    Parameters
    ----------
    table
        Factor columns, then `n`, and `estimate`, `low`, `high`, with `direct`, `direct_low`, `direct_high` beside.
    title
        Words above it.
    direct_only
        Whether `estimate` is the direct one and there is no model.
    """
    figures = {"quantity", "unit", "base", "n", "estimate", "direct", "standard_error"}
    stop = next(place for place, name in enumerate(table.columns) if name in figures)
    factors = [str(name) for name in table.columns[:stop] if not str(name).endswith("_code")]
    columns = ["direct %", "interval"] if direct_only else ["direct %", "interval", "model %", "interval"]
    probability = f"{100 * float(table['probability'].iloc[0]):.0f} %" if "probability" in table else "95 %"
    shown = _table(
        title,
        [*factors, "n", *columns],
        f"{probability} intervals. direct: this group's answers alone"
        + ("" if direct_only else "; model: partially pooled")
        + ". n: children in the base, unweighted. * base under 25, not shown; ( ) base of 25 to 49. Not cleared for release",
    )
    direct = ("estimate", "low", "high") if direct_only else ("direct", "direct_low", "direct_high")
    for _, row in table.iterrows():
        cells = [*(str(row[name])[:48] for name in factors), _guarded(row["n"], f"{row['n']:,.0f}")]
        for centre, low, high in (direct,) if direct_only else (direct, ("estimate", "low", "high")):
            cells.append(_guarded(row["n"], _number(100 * row[centre], "%")))
            cells.append(_guarded(row["n"], _interval(100 * row[low], 100 * row[high], "%")))
        shown.add_row(*cells)
    return shown


def audit_tables(dimensions: pd.DataFrame, bases: pd.DataFrame) -> list[Table]:
    """What a study can be broken down by, and the bases of every group."""
    first = _table("Dimensions of General Comment No. 25", ["dimension", "variables", "available"])
    for row in dimensions.itertuples(index=False):
        first.add_row(str(row.dimension), str(row.variables) or "-", "yes" if row.available else "NO")
    second = _table(
        "Children per group",
        ["country", "variable", "level", "n", "share %", "can be spoken of"],
        "n: unweighted; share: weighted; under 25: not at all, 25 to 49: in brackets only",
    )
    for row in bases.itertuples(index=False):
        weighted = float(str(row.share))
        share = "-" if weighted != weighted else f"{100 * weighted:.0f}"
        second.add_row(str(row.country), str(row.variable), str(row.level), str(row.n), share, str(row.speaks))
    return [first, second]


def children_table(burden: pd.DataFrame) -> Table:
    """Numbers of children affected per country, and in all countries together."""
    with_indicator = "indicator" in burden
    shown = _table(
        "Children affected",
        [*(["indicator"] if with_indicator else []), "country", "children", "interval"],
        "prevalence among users x share online x children; the share online is uncertain too. Not cleared for release",
    )
    for _, row in burden.iterrows():
        cells = [
            str(row["country"]),
            _number(row["estimate"], "children"),
            _interval(row["low"], row["high"], "children"),
        ]
        shown.add_row(*([str(row["indicator"])[:60]] if with_indicator else []), *cells)
    return shown
