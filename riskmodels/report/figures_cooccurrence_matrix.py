"""Matrix of pairs of risks: the measure above the diagonal, its interval below, how common each risk is on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.estimates.cooccurrence import pair_estimates, risk_estimates
from riskmodels.estimates.cooccurrence_combinations import LEAST_CHILDREN
from riskmodels.estimates.cooccurrence_measures import NOTE_IMPOSSIBLE
from riskmodels.estimates.pair_measures import PairMeasureName, pair_measure
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures import _pyplot
from riskmodels.report.figures_cooccurrence_shared import (
    INK,
    LESS,
    MORE,
    NARROWEST,
    OPEN,
    check_passed,
    numbered_risks,
    pair_places,
    rarely_seen,
    rows_within,
    smallest_base,
    write_words,
)
from riskmodels.report.tables import NOT_SHOWN_BELOW
from riskmodels.survey.population import PopulationFrame

WORDS = {
    "both": "Share of children with both risks, per cent",
    "given": "Among children with the risk of the row, per cent who have the risk of the column too",
    "ratio": "How many times as often two risks meet in a child as they would by chance",
    "odds ratio": "Odds ratio of two risks",
    "tetrachoric": "Tetrachoric correlation of two risks",
}
#: Marks a figure that rests largely on the model, since few children were seen with both.
RARE = "°"


def plot_matrix(
    fit: CooccurrenceFit,
    measure: PairMeasureName = "ratio",
    within: Mapping[str, str] | None = None,
    *,
    population: PopulationFrame | None = None,
    probability: float = 0.95,
    show_failed: bool = False,
) -> Any:
    """Matrix of a measure of pairs with its uncertainty.

    Parameters
    ----------
    fit
        A checked fit.
    measure
        As in `pair_estimates`.
    within
        Factor -> level, to show one group only, e.g. ``{"country": "Kenya"}``; everybody where None.
    population, probability
        As in `pair_estimates`.
    show_failed
        Draw a fit whose checks failed, marked as such.

    Returns
    -------
    matplotlib.figure.Figure
        Above the diagonal posterior medians, below it the intervals, on it how common each risk is. Vermillion: together
        more often than by chance; blue: less often; grey: the interval leaves it open. Shares are shaded by size. In
        both directions ("given"), median and interval share a cell.

    Raises
    ------
    GateError
        Where a check failed, or the group has fewer than 25 children.
    """
    chosen, groups = pair_measure(measure), dict(within or {})
    made = pair_estimates(fit, measure, list(groups), population=population, probability=probability)
    single = risk_estimates(fit, list(groups), population=population, probability=probability)
    mark = check_passed([made, single], show_failed=show_failed)
    table, common = rows_within(made.table, groups), rows_within(single.table, groups)
    pyplot = _pyplot()
    size = len(fit.counts.risks)
    figure, axis = pyplot.subplots(figsize=(max(NARROWEST, 3.2 + 0.82 * size), 1.6 + 0.62 * size), layout="constrained")
    _diagonal(axis, common)
    strengths, rare = _strengths(table, chosen.none), rarely_seen(fit, groups)
    bases = smallest_base(table)
    for row, (first, second), strength, base in zip(
        table.to_dict("records"), pair_places(fit, table), strengths, bases, strict=True
    ):
        own = _words(row, chosen.none, rare=(first, second) in rare, small=base < NOT_SHOWN_BELOW)
        _pair(axis, row, (first, second), chosen.none, strength, own, turned=chosen.symmetric)
    _axes(axis, fit)
    words = WORDS[measure] + ("." if chosen.none is None else f" ({chosen.none:g}: by chance only).")
    write_words(
        figure,
        fit,
        words,
        mark=mark,
        within=groups,
        probability=probability,
        small=_legend(table, chosen.none, rare=bool(rare)),
    )
    return figure


def _strengths(table: pd.DataFrame, none: float | None) -> np.ndarray:
    """Shade of every row, -1 to 1: distance from chance (in logarithms for ratios), or size of a share."""
    centre = table["median"].to_numpy(float)
    if none is None:
        return np.nan_to_num(centre / np.nanmax(centre))
    distance = np.log2(centre) if none == 1 else centre
    return np.nan_to_num(distance / max(float(np.nanmax(np.abs(distance))), 1.0 if none == 1 else 0.3))


def _shade(strength: float) -> tuple[float, ...]:
    from matplotlib import colors

    target = np.array(colors.to_rgb(MORE if strength > 0 else LESS))
    return tuple(1 - (0.1 + 0.75 * min(abs(strength), 1.0)) * (1 - target))


def _text(value: float, measure_none: float | None) -> str:
    if measure_none is None:
        return f"{100 * value:.1f}"
    return f"{value:.2f}".replace("-0.00", "0.00") if abs(value) < 10 else f"{value:.0f}"


def _box(axis: Any, column: int, row: int, colour: Any, *, hatch: str = "") -> None:
    from matplotlib.patches import Rectangle

    edge = "#C8C8C8" if hatch else "white"
    axis.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor=edge, lw=1.5, hatch=hatch or None)
    )


def _words(row: Mapping[Any, Any], none: float | None, *, rare: bool, small: bool) -> tuple[str, str]:
    """Median and interval of a pair, or why there is none."""
    if np.isnan(row["median"]):
        return ("cannot\nbe", "cannot\nbe") if NOTE_IMPOSSIBLE in str(row["note"]) else ("-", "-")
    if small:
        return "*", "*"
    return (
        f"{_text(row['median'], none)}{RARE if rare else ''}",
        f"{_text(row['low'], none)} to\n{_text(row['high'], none)}",
    )


def _pair(
    axis: Any,
    row: Mapping[Any, Any],
    places: tuple[int, int],
    none: float | None,
    strength: float,
    words: tuple[str, str],
    *,
    turned: bool,
) -> None:
    """One pair: median in its cell, interval in the mirrored one (or below the median)."""
    first, second = places
    centred = {"ha": "center", "va": "center"}
    if words[0] == words[1]:
        hatch = "////" if NOTE_IMPOSSIBLE in str(row["note"]) else ""
        for column, line in [(second, first)] + ([(first, second)] if turned else []):
            _box(axis, column, line, "white", hatch=hatch)
            axis.text(column, line, words[0], fontsize=8, color="#444444", **centred)
        return
    unsure = none is not None and row["low"] <= none <= row["high"]
    ink = "#666666" if unsure else INK
    _box(axis, second, first, OPEN if unsure else _shade(strength))
    if turned:
        axis.text(second, first, words[0], fontsize=10, color=ink, **centred)
        _box(axis, first, second, "white")
        axis.text(first, second, words[1], fontsize=7.5, color=ink, **centred)
    else:
        axis.text(second, first - 0.18, words[0], fontsize=9.5, color=ink, **centred)
        axis.text(second, first + 0.2, words[1].replace("\n", " "), fontsize=6.3, color=ink, **centred)


def _diagonal(axis: Any, common: pd.DataFrame) -> None:
    for place, value in enumerate(common["median"].to_numpy(float)):
        _box(axis, place, place, "#444444")
        axis.text(place, place, f"{100 * value:.1f} %", ha="center", va="center", fontsize=8.5, color="white")


def _axes(axis: Any, fit: CooccurrenceFit) -> None:
    size = len(fit.counts.risks)
    axis.set_xlim(-0.5, size - 0.5)
    axis.set_ylim(size - 0.5, -0.5)
    axis.set_yticks(range(size), numbered_risks(fit), fontsize=8.5)
    axis.set_xticks(range(size), [str(number) for number in range(1, size + 1)], fontsize=9)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)


def _legend(table: pd.DataFrame, none: float | None, *, rare: bool) -> str:
    """What colours and marks mean, only those that occur."""
    notes = table["note"].astype(str)
    parts = ["Black: share of children with the risk."]
    if none is not None:
        parts.append("Vermillion: more often than by chance; blue: less often; grey: the interval leaves it open.")
    if rare:
        parts.append(f"{RARE} fewer than {LEAST_CHILDREN} children were seen with both: it rests largely on the model.")
    if (smallest_base(table) < NOT_SHOWN_BELOW).any():
        parts.append(f"* fewer than {NOT_SHOWN_BELOW} children with the risk of the row: not shown.")
    if notes.str.contains(NOTE_IMPOSSIBLE, regex=False).any():
        parts.append("Hatched: declared impossible.")
    return " ".join(parts)
