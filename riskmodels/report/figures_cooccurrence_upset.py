"""UpSet figure: exact combinations of risks with model intervals and observed shares; rare ones only together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.estimates.cooccurrence import risk_estimates
from riskmodels.estimates.cooccurrence_combinations import LEAST_CHILDREN, NONE, OTHER, combination_estimates
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures import DIRECT, MODEL, _pyplot
from riskmodels.report.figures_cooccurrence_shared import (
    INK,
    NARROWEST,
    OPEN,
    check_passed,
    numbered_risks,
    rows_within,
    write_words,
)
from riskmodels.survey.population import PopulationFrame


def plot_upset(
    fit: CooccurrenceFit,
    within: Mapping[str, str] | None = None,
    *,
    top: int = 15,
    population: PopulationFrame | None = None,
    probability: float = 0.95,
    show_failed: bool = False,
) -> Any:
    """The most common exact combinations of risks.

    Parameters
    ----------
    fit
        A checked fit.
    within
        Factor -> level, to show one group only.
    top
        Combinations shown at most.
    population, probability
        As in `combination_estimates`.
    show_failed
        Draw a fit whose checks failed, marked as such.

    Returns
    -------
    matplotlib.figure.Figure
        A column per combination: above, the share of children with exactly these risks (model with interval; hollow:
        observed among those who answered everything); below, which risks they are. Combinations seen by fewer than 10
        children are only in the last column. On the left, how common each risk is.

    Raises
    ------
    GateError
        Where a check failed, or there are fewer than 25 children.
    """
    groups = dict(within or {})
    found = combination_estimates(fit, groups, top=top, population=population, probability=probability)
    single = risk_estimates(fit, list(groups), population=population, probability=probability)
    mark = check_passed([found.estimates, single], show_failed=show_failed)
    table, common = rows_within(found.estimates.table, groups), rows_within(single.table, groups)
    none = table[table["combination"] == NONE]
    kept = (table["combination"] != NONE).to_numpy()
    table, members = table[kept].reset_index(drop=True), found.members[kept]
    pyplot = _pyplot()
    risks = len(fit.counts.risks)
    figure, axes = pyplot.subplots(
        2,
        2,
        figsize=(max(NARROWEST, 5.4 + 0.42 * len(table)), 3.4 + 0.36 * risks),
        sharex="col",
        sharey="row",
        height_ratios=[2.4, 0.36 * risks],
        width_ratios=[1.5, 0.42 * len(table)],
        layout="constrained",
    )
    rest = table["combination"].iloc[-1] == OTHER
    axes[0, 0].set_axis_off()
    _shares(axes[0, 1], table, rest=rest)
    _members(axes[1, 1], members, rest=rest)
    axes[0, 0].legend(*axes[0, 1].get_legend_handles_labels(), frameon=False, fontsize=8.5, loc="lower right")
    _risks(axes[1, 0], fit, common)
    others = f"Last column: combinations seen by fewer than {LEAST_CHILDREN} children, and others." if rest else ""
    nothing = "".join(
        f"None of the risks: {100 * row['median']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})."
        for row in none.to_dict("records")
    )
    words = "Children with exactly these risks and no other."
    small = f"{nothing} {others}"
    write_words(figure, fit, words, mark=mark, within=groups, probability=probability, small=small)
    return figure


def _shares(axis: Any, table: pd.DataFrame, *, rest: bool) -> None:
    places = np.arange(len(table))
    axis.bar(
        places, 100 * table["median"], 0.62, color=["#9CC3DE"] * (len(table) - rest) + ["#CCCCCC"] * rest, zorder=1
    )
    axis.vlines(
        places, 100 * table["low"], 100 * table["high"], color=MODEL, lw=2, zorder=2, label="model, with interval"
    )
    axis.plot(places, 100 * table["direct"], "o", mfc="white", mec=DIRECT, ms=5, ls="", zorder=3, label="observed")
    axis.set_ylim(bottom=0)
    axis.set_ylabel("per cent of children", fontsize=9)
    axis.tick_params(labelleft=True, bottom=False)
    axis.grid(axis="y", lw=0.3)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _members(axis: Any, members: np.ndarray, *, rest: bool) -> None:
    columns, risks = members.shape
    for row in range(0, risks, 2):
        axis.axhspan(row - 0.5, row + 0.5, color="#F4F4F4", lw=0, zorder=0)
    for column, own in enumerate(members[: columns - rest]):
        at = np.flatnonzero(own)
        axis.plot(np.full(risks, column), np.arange(risks), "o", color=OPEN, ms=8, zorder=1)
        axis.plot(np.full(len(at), column), at, "o-", color=INK, ms=8, lw=2, zorder=2)
    if rest:
        words = "all other\ncombinations"
        axis.text(columns - 1, (risks - 1) / 2, words, rotation=90, ha="center", va="center", fontsize=8)
    axis.set_xlim(-0.7, columns - 0.3)
    axis.set_ylim(risks - 0.5, -0.5)
    axis.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    for side in axis.spines.values():
        side.set_visible(False)


def _risks(axis: Any, fit: CooccurrenceFit, common: pd.DataFrame) -> None:
    places = np.arange(len(common))
    middle, low, high = (100 * common[name].to_numpy(float) for name in ("median", "low", "high"))
    axis.barh(places, middle, 0.55, color="#9CC3DE", zorder=1)
    axis.hlines(places, low, high, color=MODEL, lw=2, zorder=2)
    axis.set_yticks(places, numbered_risks(fit), fontsize=8.5)
    axis.set_xlim(1.15 * high.max(), 0)
    axis.set_xlabel("per cent with the risk", fontsize=8.5)
    axis.tick_params(left=False, labelsize=8.5)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
