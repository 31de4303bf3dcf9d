"""Figures of regressions: curves and slopes by country, children lost to missing predictors."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.regression import prediction_estimates
from riskmodels.estimates.regression_words import coefficient_words
from riskmodels.fit.regression import RegressionFit
from riskmodels.report.figures import DIRECT, LINE, MODEL, _pyplot
from riskmodels.report.figures_forest import INTERNAL, WIDTH, write_title
from riskmodels.report.tables import NOT_SHOWN_BELOW
from riskmodels.vocabulary import COUNTRY

BANDS = ("#0072B2", "#D55E00", "#009E73", "#7A3E9D")


def _speaking(fit: RegressionFit) -> list[int]:
    """Positions of the countries with a base large enough to be shown."""
    n = np.bincount(fit.rows.country, fit.rows.n, minlength=len(fit.rows.countries))
    return [place for place in range(len(fit.rows.countries)) if n[place] >= NOT_SHOWN_BELOW]


def plot_curves(
    fit: RegressionFit,
    predictor: str,
    split: str | None = None,
    *,
    points: int = 13,
    probability: float = 0.95,
    note: str = INTERNAL,
) -> Any:
    """Predicted share affected along a predictor, one panel per country, with bands.

    Parameters
    ----------
    fit
        A checked fit.
    predictor
        A number (a curve over its observed range) or a variable with levels (points).
    split
        A predictor with levels whose levels get a curve each.
    points
        Values at which a curve is computed.
    probability
        Probability inside the bands.
    note
        Last words of the title.

    Returns
    -------
    matplotlib.figure.Figure
        Every child of the country is given the value, all else as it is. Countries with a base under 25 are not drawn.
    """
    pyplot = _pyplot()
    rows = fit.rows
    factor = rows.factors.get(predictor)
    if factor is None and predictor in rows.values:
        values = rows.values[predictor]
        grid: list[object] = [float(value) for value in np.linspace(values.min(), values.max(), points)]
    else:
        grid = list(factor.levels) if factor is not None else [0.0]
    at: dict[str, Sequence[object]] = (
        {predictor: grid} if split is None else {predictor: grid, split: list(rows.factors[split].levels)}
    )
    table = prediction_estimates(fit, at, [COUNTRY], probability=probability).table
    shown = _speaking(fit)
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure, axes = pyplot.subplots(
        lines,
        columns,
        figsize=(WIDTH, 2.3 * lines + 1.3),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for axis, place in zip(axes.ravel(), shown, strict=False):
        part = table[table[COUNTRY] == rows.countries.labels[place]]
        levels = [None] if split is None else list(rows.factors[split].levels)
        for number, level in enumerate(levels):
            own = part if level is None else part[part[f"at {split}"] == level]
            words = "" if level is None or split is None else rows.factors[split].label_of(level)
            _curve(axis, own, grid, factor is not None, BANDS[number % len(BANDS)], words)
        axis.set_title(rows.countries.labels[place], fontsize=9.5)
        axis.grid(lw=0.3)
        if factor is not None:
            axis.set_xticks(range(len(grid)), [textwrap.fill(label, 10) for label in factor.labels], fontsize=8)
            axis.set_xlim(-0.5, len(grid) - 0.5)
    for axis in axes.ravel()[len(shown) :]:
        axis.set_visible(False)
    axes[0, 0].set_ylim(bottom=0)
    for place, axis in enumerate(axes.ravel()[: len(shown)]):
        axis.tick_params(labelbottom=place + columns >= len(shown))
    figure.supxlabel(rows.labels.get(predictor, predictor), fontsize=9)
    figure.supylabel("per cent affected", fontsize=9)
    if split is not None:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=8.5)
    hidden = len(rows.countries) - len(shown)
    small = f" {hidden} countries with a base under 25 are not shown." if hidden else ""
    outcome = rows.labels.get(fit.spec.outcome, fit.spec.outcome)
    write_title(
        figure,
        f"{outcome}: predicted share with {100 * probability:.0f} % intervals; base: {fit.base}.{small} {note}",
        synthetic=rows.synthetic,
    )
    return figure


def _curve(axis: Any, part: pd.DataFrame, grid: Sequence[object], levels: bool, colour: str, words: str) -> None:
    estimate, low, high = (100 * part[name].to_numpy(float) for name in ("estimate", "low", "high"))
    if levels:
        offset = {BANDS[0]: -0.09, BANDS[1]: 0.09}.get(colour, 0.0) if words else 0.0
        places = np.arange(len(grid)) + offset
        axis.vlines(places, low, high, color=colour, lw=1.8)
        axis.plot(places, estimate, "o", color=colour, ms=4.5, label=words)
        return
    axis.fill_between(grid, low, high, color=colour, alpha=0.2, lw=0)
    axis.plot(grid, estimate, color=colour, lw=1.8, label=words)


def plot_country_slopes(fit: RegressionFit, coefficient: str | None = None, *, note: str = INTERNAL) -> Any:
    """Densities of a coefficient that varies by country, one ridge per country and one for their average.

    Parameters
    ----------
    fit
        A checked fit.
    coefficient
        Name as in the table of coefficients; the first that varies (besides the intercept, if there is another) where
        None.
    note
        Last words of the title.

    Returns
    -------
    matplotlib.figure.Figure
        A ridge that lies on one side of the line speaks for a direction in that country. Countries with a base under
        25 are not drawn.

    Raises
    ------
    InputError
        E195 where nothing varies by country, or not this coefficient.
    """
    from scipy.stats import gaussian_kde

    pyplot = _pyplot()
    draws = fit.draws
    varying = [str(name) for name in draws["varying"].to_numpy()] if "country_deviation" in draws else []
    if not varying or (coefficient is not None and coefficient not in varying):
        remedy = f"choose among {', '.join(varying)}" if varying else 'let it vary: "... + (1 + gender | country)"'
        raise InputError([Problem("E195", "does not vary by country", coefficient or "nothing", 1, remedy)], "figure")
    chosen = coefficient or next((name for name in varying if name != "Intercept"), varying[0])
    average = draws["average_coefficient"].sel(term=chosen).to_numpy().ravel()
    deviation = draws["country_deviation"].sel(varying=chosen).transpose("chain", "draw", COUNTRY).to_numpy()
    shown = _speaking(fit)
    ridges = [(fit.rows.countries.labels[k], average + deviation[..., k].ravel(), MODEL) for k in shown]
    ridges.sort(key=lambda ridge: float(np.median(ridge[1])))
    ridges.insert(0, ("average of the countries", average, DIRECT))
    ends = np.quantile(np.concatenate([values for _, values, _ in ridges]), [0.001, 0.999])
    grid = np.linspace(min(ends[0], -0.05), max(ends[1], 0.05), 300)
    curves = [gaussian_kde(values)(grid) for _, values, _ in ridges]
    tallest = max(float(curve.max()) for curve in curves)
    figure, axis = pyplot.subplots(figsize=(WIDTH, 0.5 * len(ridges) + 1.9), layout="constrained")
    for place, ((_, values, colour), curve) in enumerate(zip(ridges, curves, strict=True)):
        axis.fill_between(grid, place, place + 0.9 * curve / tallest, color=colour, alpha=0.45, lw=0)
        axis.plot(grid, place + 0.9 * curve / tallest, color=colour, lw=1)
        axis.plot(np.median(values), place, "|", color="#222222", ms=7, mew=1.5)
    if chosen != "Intercept":
        axis.axvline(0, color="#444444", lw=0.9, ls="--", zorder=0)
    axis.set_yticks(range(len(ridges)), [label for label, _, _ in ridges], fontsize=9)
    axis.set_ylim(-0.25, len(ridges) + 0.1)
    axis.grid(axis="x", lw=0.3)
    words = coefficient_words(fit)[chosen]
    axis.set_xlabel(
        f"{words}: coefficient, log odds" + ("" if chosen == "Intercept" else " (0: no difference)"), fontsize=9
    )
    outcome = fit.rows.labels.get(fit.spec.outcome, fit.spec.outcome)
    write_title(
        figure, f"{outcome}: posterior densities by country; ticks are medians. {note}", synthetic=fit.rows.synthetic
    )
    return figure


def plot_missing(table: pd.DataFrame, *, synthetic: bool, note: str = INTERNAL) -> Any:
    """Children lost to missing predictors, raw and weighted.

    Parameters
    ----------
    table
        From `predictor_loss`.
    synthetic
        Whether the children are made up.
    note
        Last words of the title.

    Returns
    -------
    matplotlib.figure.Figure
        The last bar is what a complete-case regression leaves out. Where raw and weighted shares differ, the children
        lost are not like the others.
    """
    pyplot = _pyplot()
    places = np.arange(len(table))[::-1]
    figure, axis = pyplot.subplots(figsize=(WIDTH, 0.42 * len(table) + 1.9), layout="constrained")
    axis.barh(places + 0.19, 100 * table["share"], 0.36, color=MODEL, label="children, raw")
    axis.barh(places - 0.19, 100 * table["weighted_share"], 0.36, color=DIRECT, label="children, weighted")
    for offset, name in ((0.19, "share"), (-0.19, "weighted_share")):
        for place, value in zip(places, 100 * table[name], strict=True):
            axis.annotate(
                f"{value:.1f}", (value, place + offset), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
    axis.axhline(places[-1] + 0.5, color=LINE, lw=0.8)
    labels = ["\n".join(textwrap.wrap(str(label), 40)) for label in table["label"]]
    axis.set_yticks(places, labels, fontsize=9)
    axis.set_xlim(0, max(100 * float(table[["share", "weighted_share"]].to_numpy().max()) * 1.15, 1.0))
    axis.set_xlabel("per cent of the children in the base left out because the predictor is missing", fontsize=9)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8.5)
    axis.grid(axis="x", lw=0.3)
    write_title(
        figure,
        f"Rows lost to missing predictors; base of {table['n'].max():,.0f} children. {note}",
        synthetic=synthetic,
    )
    return figure
