"""Network of risks on a circle: an edge where two risks come together more, or less, often than by chance."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.cooccurrence import pair_estimates, risk_estimates
from riskmodels.estimates.cooccurrence_combinations import LEAST_CHILDREN
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures import _pyplot
from riskmodels.report.figures_cooccurrence_shared import (
    LESS,
    MORE,
    check_passed,
    pair_places,
    rarely_seen,
    rows_within,
    write_words,
)
from riskmodels.survey.population import PopulationFrame

FloatArray = npt.NDArray[np.float64]
#: Width of the strongest edge; most risks that have their labels beside them.
WIDEST, LABELLED = 9.0, 9


def plot_network(
    fit: CooccurrenceFit,
    measure: Literal["ratio", "odds ratio", "tetrachoric"] = "odds ratio",
    within: Mapping[str, str] | None = None,
    *,
    population: PopulationFrame | None = None,
    probability: float = 0.95,
    show_failed: bool = False,
) -> Any:
    """Risks and what ties them.

    Parameters
    ----------
    fit
        A checked fit.
    measure
        ``"odds ratio"``, ``"ratio"`` or ``"tetrachoric"``.
    within
        Factor -> level, to show one group only.
    population, probability
        As in `pair_estimates`.
    show_failed
        Draw a fit whose checks failed, marked as such.

    Returns
    -------
    matplotlib.figure.Figure
        The risks in their own order on a circle, each as large as it is common. An edge is as wide as the tie is strong
        and drawn only where the interval excludes chance; no edge means that this is open, not that there is no tie.

    Raises
    ------
    InputError
        E195 for a measure that has no value of chance.
    GateError
        Where a check failed, or the group has fewer than 25 children.
    """
    if measure not in ("ratio", "odds ratio", "tetrachoric"):
        remedy = "choose among ratio, odds ratio, tetrachoric"
        raise InputError([Problem("E195", "has no value of chance to draw edges by", "measure", 1, remedy)], "figure")
    groups = dict(within or {})
    made = pair_estimates(fit, measure, list(groups), population=population, probability=probability)
    single = risk_estimates(fit, list(groups), population=population, probability=probability)
    mark = check_passed([made, single], show_failed=show_failed)
    table, common = rows_within(made.table, groups), rows_within(single.table, groups)
    none = 0.0 if measure == "tetrachoric" else 1.0
    table = table.assign(place=pd.Series(pair_places(fit, table), index=table.index))
    without = int(table["median"].isna().sum())
    table = table.dropna(subset=["median"])
    shown = table[(table["low"] > none) | (table["high"] < none)]
    figure, axis = _pyplot().subplots(figsize=(9, 6.8), layout="constrained")
    size, rare = len(fit.counts.risks), rarely_seen(fit, groups)
    angle = np.pi / 2 - 2 * np.pi * np.arange(size) / size
    at = np.column_stack([np.cos(angle), np.sin(angle)])
    strength = np.array([_strength(value, none) for value in shown["median"]])
    largest = float(strength.max()) if len(strength) else 1.0
    for row, power in sorted(zip(shown.to_dict("records"), strength, strict=True), key=lambda one: float(one[1])):
        ends = at[list(row["place"])]
        axis.plot(
            *ends.T,
            color=MORE if row["median"] > none else LESS,
            lw=WIDEST * power / largest,
            alpha=0.35 + 0.5 * power / largest,
            ls=(0, (1.5, 1)) if tuple(row["place"]) in rare else "-",
            solid_capstyle="round",
            zorder=1,
        )
    _nodes(axis, fit, at, common["median"].to_numpy(float))
    _legend(figure, measure, shown["median"].to_numpy(float), none, largest)
    left = len(table) - len(shown)
    words = f"Risks that come together more often than by chance, or less often; the wider an edge, the stronger the tie ({measure})."
    small = f"Not drawn: {left} of {len(table)} pairs, whose interval leaves it open." if left else ""
    small += f" Without this measure: {without} (declared impossible, or one within the other)." if without else ""
    if rare & set(shown["place"]):
        small += f" Dotted: fewer than {LEAST_CHILDREN} children were seen with both; it rests largely on the model."
    write_words(figure, fit, words, mark=mark, within=groups, probability=probability, small=small)
    return figure


def _strength(value: float, none: float) -> float:
    return float(abs(np.log(value)) if none == 1 else abs(value))


def _nodes(axis: Any, fit: CooccurrenceFit, at: FloatArray, share: FloatArray) -> None:
    """Nodes with their labels beside them; numbers and a list where there are too many."""
    axis.scatter(*at.T, s=120 + 2200 * share, color="white", edgecolors="#333333", linewidths=1.6, zorder=3)
    many = len(at) > LABELLED
    for number, ((x, y), label, value) in enumerate(zip(at, fit.counts.risks.labels, share, strict=True), 1):
        if many:
            axis.text(1.19 * x, 1.19 * y, str(number), ha="center", va="center", fontsize=10, fontweight="bold")
            text = "\n".join(textwrap.wrap(f"{number}  {label} ({100 * value:.1f} %)", 46, subsequent_indent="     "))
            axis.text(1.5, 1.2 - 2.4 * (number - 1) / (len(at) - 1), text, ha="left", va="center", fontsize=8.5)
            continue
        side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
        up = "bottom" if side == "center" and y > 0 else "top" if side == "center" else "center"
        text = f"{textwrap.fill(label, 26)}\n{100 * value:.1f} %"
        axis.text(1.14 * x, 1.12 * y, text, ha=side, va=up, fontsize=9)
    axis.set_xlim(-1.3 if many else -2.1, 3.6 if many else 2.1)
    axis.set_ylim(-1.45, 1.45)
    axis.set_aspect("equal")
    axis.set_axis_off()


def _legend(figure: Any, measure: str, values: FloatArray, none: float, largest: float) -> None:
    """Three widths with their values, and what the colours mean."""
    from matplotlib.lines import Line2D

    if not len(values):
        return
    more = values[values > none]
    shown = np.unique(np.round(np.quantile(more, [0.0, 0.5, 1.0]), 2)) if len(more) else np.array([])
    handles = [
        Line2D([], [], color=MORE, alpha=0.7, lw=WIDEST * _strength(v, none) / largest, label=f"{measure} {v:.2f}")
        for v in shown
    ]
    if (values < none).any():
        lowest = float(values.min())
        width = WIDEST * _strength(lowest, none) / largest
        handles.append(
            Line2D([], [], color=LESS, alpha=0.7, lw=width, label=f"{measure} {lowest:.2f}: less than chance")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8.5)
