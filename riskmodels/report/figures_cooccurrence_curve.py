"""Poly-victimisation curve: share of children with at least k risks, country by country."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.errors import GateError
from riskmodels.estimates.cooccurrence import number_estimates
from riskmodels.estimates.cooccurrence_combinations import LEAST_CHILDREN
from riskmodels.estimates.cooccurrence_measures import HOW_MANY_COLUMN
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures import DIRECT, LINE, MODEL, _pyplot
from riskmodels.report.figures_cooccurrence_shared import check_passed, write_words
from riskmodels.report.figures_forest import WIDTH
from riskmodels.report.tables import NOT_SHOWN_BELOW
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY

#: The number of risks whose share every panel states in figures.
NAMED = 3


def plot_curve(
    fit: CooccurrenceFit,
    by: str = COUNTRY,
    *,
    population: PopulationFrame | None = None,
    probability: float = 0.95,
    show_failed: bool = False,
) -> Any:
    """Share of children with at least 1, 2, ... of the risks, one panel per country.

    Parameters
    ----------
    fit
        A checked fit.
    by
        Factor whose levels get a panel each.
    population, probability
        As in `number_estimates`.
    show_failed
        Draw a fit whose checks failed, marked as such.

    Returns
    -------
    matplotlib.figure.Figure
        Blue: model with band; hollow: children of this group alone who answered everything, where 10
        have so many risks and 10 have not; grey: all children. Groups
        with a base below 25 are not drawn.

    Raises
    ------
    GateError
        Where a check failed, or no group has 25 children.
    """
    own = number_estimates(fit, "at least", [by], population=population, probability=probability)
    whole = number_estimates(fit, "at least", [], population=population, probability=probability)
    mark = check_passed([own, whole], show_failed=show_failed)
    table = own.table[own.table["n"] >= NOT_SHOWN_BELOW]
    names = list(dict.fromkeys(table[by]))
    if not names:
        raise GateError(f"fewer than {NOT_SHOWN_BELOW} children in every group: no figure is drawn; pool groups")
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, axes = _pyplot().subplots(
        rows,
        columns,
        figsize=(max(WIDTH, 2.35 * columns), 2.2 * rows + 1.5),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    steps = whole.table[HOW_MANY_COLUMN].to_numpy(int)
    for axis, name in zip(axes.ravel(), names, strict=False):
        axis.plot(steps, 100 * whole.table["median"], color=LINE, lw=1.4, zorder=1, label="all children")
        _curve(axis, table[table[by] == name])
        axis.set_title(textwrap.fill(str(name), 28), fontsize=9.5)
        axis.set_xticks(steps)
        axis.grid(lw=0.3)
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    for place, axis in enumerate(axes.ravel()[: len(names)]):
        lowest = place + columns >= len(names)
        axis.tick_params(labelbottom=lowest)
        axis.set_xlabel("at least so many risks" if lowest else "", fontsize=8.5)
    axes[0, 0].set_ylim(bottom=0)
    figure.supylabel("per cent of children", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    hidden = own.table[by].nunique() - len(names)
    small = f"{hidden} with a base under {NOT_SHOWN_BELOW} not shown." if hidden else ""
    write_words(
        figure,
        fit,
        f"How many risks children meet, by {by}.",
        mark=mark,
        within={},
        probability=probability,
        small=small,
    )
    return figure


def _curve(axis: Any, part: pd.DataFrame) -> None:
    steps = part[HOW_MANY_COLUMN].to_numpy(int)
    middle, low, high, direct = (100 * part[name].to_numpy(float) for name in ("median", "low", "high", "direct"))
    axis.fill_between(steps, low, high, color=MODEL, alpha=0.22, lw=0, zorder=2)
    axis.plot(steps, middle, "o-", color=MODEL, ms=3.5, lw=1.6, zorder=3, label="model, with interval")
    row = part[(part[HOW_MANY_COLUMN] <= NAMED) & part["median"].notna()].iloc[-1]
    number = f"{row[HOW_MANY_COLUMN]:.0f} or more: {100 * row['median']:.1f} %"
    ends = f"({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    axis.text(0.97, 0.95, f"{number}\n{ends}", transform=axis.transAxes, ha="right", va="top", fontsize=8)
    seen = part["n_effective"].to_numpy(float) * direct / 100
    known = np.minimum(seen, part["n_effective"].to_numpy(float) - seen) >= LEAST_CHILDREN
    axis.plot(steps[known], direct[known], "o", mfc="none", mec=DIRECT, ms=7, zorder=4, label="observed in this group")
