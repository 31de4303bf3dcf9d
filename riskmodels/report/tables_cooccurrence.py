"""Tables of risks that come together, on the terminal and as files; small bases and small counts are guarded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.table import Table
from rich.text import Text

from riskmodels.report.tables import BRACKETS_BELOW, NOT_SHOWN_BELOW
from riskmodels.report.tables_regression import INTERNAL, file_table

RISK, OTHER, HOW_MANY = "risk", "other_risk", "how_many"
#: Children with or without, below which a direct figure is not written.
SMALL = 10
DIRECT = ("n_effective", "direct", "direct_low", "direct_high")
#: Characters that words of a row get at least.
NARROWEST_WORDS = 8
NOT_WRITTEN = "direct figure not shown: it rests on fewer than 10 children with, or without"
IMPOSSIBLE, NEVER_SEEN = "declared impossible", "nobody here was seen with both"


def _guarded(n: float, text: str) -> str:
    return "*" if n < NOT_SHOWN_BELOW else f"({text})" if n < BRACKETS_BELOW else text


def _factors(table: pd.DataFrame) -> list[str]:
    """Columns of words that say which children a row is of."""
    own = [str(name) for name in table.columns[: list(table.columns).index("quantity")]]
    return [name for name in own if not name.endswith("_code") and name not in (RISK, OTHER, HOW_MANY)]


def _empty(title: str, columns: list[str], words: int, probability: float) -> Table:
    caption = (
        f"Medians and {100 * probability:.0f} % intervals; n: children with any answer, unweighted. "
        f"* base under 25, not shown; ( ) base of 25 to 49. {INTERNAL.capitalize()}."
    )
    shown = Table(title=title, title_justify="left", caption=caption, caption_justify="left", header_style="bold")
    for place, name in enumerate(columns):
        narrowest = NARROWEST_WORDS if place < words else None
        shown.add_column(
            name, justify="left" if place < words else "right", no_wrap=place >= words, min_width=narrowest
        )
    return shown


def number_table(table: pd.DataFrame, title: str, most: int = 3) -> Table:
    """Children with at least one, two, ... of the risks, a line per group.

    Parameters
    ----------
    table
        Of `CooccurrenceResult.estimates`.
    title
        Words above it.
    most
        Largest number of risks shown.
    """
    factors, steps = _factors(table), [k for k in dict.fromkeys(table[HOW_MANY]) if k <= most]
    heads = [f"{k}+ risks, %" for k in steps]
    shown = _empty(title, [*(factors or ["children"]), "n", *heads], max(len(factors), 1), table["probability"].iloc[0])
    groups = table.groupby(factors, sort=False, observed=True) if factors else [(("all",), table)]
    for name, part in groups:
        rows = part.set_index(HOW_MANY)
        n = float(rows["n"].iloc[0])
        cells = []
        for k in steps:
            middle, low, high = (100 * float(rows.loc[k, column]) for column in ("median", "low", "high"))
            cells.append(_guarded(n, f"{middle:.1f}, {low:.1f}-{high:.1f}"))
        words = [Text(str(one)) for one in (name if isinstance(name, tuple) else (name,))]
        shown.add_row(*words, _guarded(n, f"{n:,.0f}"), *cells)
    return shown


def pairs_table(both: pd.DataFrame, ratio: pd.DataFrame, title: str) -> Table:
    """Every two risks of all children together, those most surely above chance first.

    Parameters
    ----------
    both, ratio
        Of `CooccurrenceResult.pairs`, measures ``"both"`` and ``"ratio"``, all children together.
    title
        Words above it.
    """
    heads = ["risk", "with", "both %", "interval", "times chance", "interval"]
    shown = _empty(title, heads, 2, both["probability"].iloc[0])
    beside = ratio.set_index([RISK, OTHER])
    rows = both.assign(surely=[beside.loc[(a, b), "low"] for a, b in zip(both[RISK], both[OTHER], strict=True)])
    for _, row in rows.sort_values("surely", ascending=False, na_position="last", kind="stable").iterrows():
        chance, n = beside.loc[(row[RISK], row[OTHER])], float(row["n"])
        if pd.isna(row["surely"]):
            figures = ["-"] * 4
        else:
            figures = [
                _guarded(n, f"{100 * row['median']:.1f}"),
                _guarded(n, f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"),
                _guarded(n, f"{chance['median']:.2f}"),
                _guarded(n, f"{chance['low']:.2f} to {chance['high']:.2f}"),
            ]
        shown.add_row(Text(row[RISK]), Text(row[OTHER]), *figures)
    return shown


def few_behind(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Rows whose direct proportion rests on fewer than 10 (effective) children with, or without.

    Examples
    --------
    >>> rows = pd.DataFrame({"n": [500.0, 500.0], "n_effective": [400.0, 400.0], "direct": [0.01, 0.2]})
    >>> few_behind(rows).tolist()
    [True, False]
    """
    children = table["n"].to_numpy(float)
    if "n_effective" in table:
        children = np.fmin(children, table["n_effective"].to_numpy(float))
    share = table["direct"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        enough = (children * share >= SMALL) & (children * (1 - share) >= SMALL)
    return ~enough


def share_file(table: pd.DataFrame, *, synthetic: bool) -> pd.DataFrame:
    """Shares of children as a file: bases under 25 blanked, direct figures of fewer than 10 children too.

    Of "at least k" figures that stand side by side, each shown differs from the one before by 10 children.
    """
    hidden = few_behind(table)
    if HOW_MANY in table:
        hidden = hidden | _too_close(table, hidden)
    return _blanked(table, hidden, synthetic)


def _too_close(table: pd.DataFrame, hidden: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Rows whose number of children differs from the row shown before it, in the same group, by fewer than 10."""
    children = np.fmin(table["n"].to_numpy(float), table["n_effective"].to_numpy(float)) * table["direct"].to_numpy(
        float
    )
    groups = table[_factors(table)].apply(tuple, axis=1).tolist() if _factors(table) else [()] * len(table)
    last: dict[tuple[object, ...], float] = {}
    close = np.zeros(len(table), dtype=bool)
    for row in np.argsort(table[HOW_MANY].to_numpy(), kind="stable"):
        before = last.get(groups[row])
        close[row] = before is not None and not abs(before - children[row]) >= SMALL
        if not close[row] and not hidden[row]:
            last[groups[row]] = children[row]
    return close


def mean_file(table: pd.DataFrame, *, synthetic: bool) -> pd.DataFrame:
    """Mean numbers of risks as a file: direct figures that rest on fewer than 10 risks in all are blanked too."""
    children = np.fmin(table["n"].to_numpy(float), table["n_effective"].to_numpy(float))
    with np.errstate(invalid="ignore"):
        enough = children * table["direct"].to_numpy(float) >= SMALL
    return _blanked(table, ~enough, synthetic)


def pair_file(table: pd.DataFrame, both: pd.DataFrame, given: pd.DataFrame, *, synthetic: bool) -> pd.DataFrame:
    """A measure of pairs as a file: no direct figure unless 10 children have both, the one alone, and the other alone.

    Shares among fewer than 25 children with a risk are blanked as a whole.

    Parameters
    ----------
    table
        Any measure.
    both, given
        The measures ``"both"`` and ``"given"`` of the same groups.
    synthetic
        Whether the children are made up.
    """
    factors = _factors(both)

    def keys(rows: pd.DataFrame) -> list[tuple[object, ...]]:
        groups = rows[factors].itertuples(index=False, name=None) if factors else [()] * len(rows)
        pairs = (frozenset(pair) for pair in zip(rows[RISK], rows[OTHER], strict=True))
        return [(*group, pair) for group, pair in zip(groups, pairs, strict=True)]

    hidden: dict[tuple[object, ...], bool] = {}
    for rows in (both, given):
        for key, few in zip(keys(rows), few_behind(rows), strict=True):
            hidden[key] = hidden.get(key, False) or bool(few)
    base = table
    if table is given:
        children = np.nan_to_num(table["n_effective"].to_numpy(float))
        base = table.assign(n=np.where(children < NOT_SHOWN_BELOW, children, table["n"].to_numpy(float)))
    return _blanked(base, np.array([hidden[key] for key in keys(table)]), synthetic)


def _blanked(table: pd.DataFrame, hidden: npt.NDArray[np.bool_], synthetic: bool) -> pd.DataFrame:
    written = file_table(table, synthetic=synthetic)
    for name in DIRECT:
        if name in written:
            written[name] = np.where(hidden, np.nan, written[name].to_numpy(float))
    small = written["note"].eq("base under 25: not shown").to_numpy()
    written["note"] = [
        _with_note(str(note)) if few and not under and not str(note).startswith(IMPOSSIBLE) else note
        for few, under, note in zip(hidden, small, written["note"], strict=True)
    ]
    return written


def _with_note(note: str) -> str:
    """What was said of a row, without whether anybody was seen, and that its direct figure is not shown."""
    kept = [part for part in note.split("; ") if part and NEVER_SEEN not in part]
    return "; ".join([*kept, NOT_WRITTEN])
