"""Forests of regressions: coefficients, odds ratios and average marginal effects of one fit or of a family."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.estimates.regression import coefficient_estimates
from riskmodels.estimates.regression_words import coefficient_words
from riskmodels.fit.regression import RegressionFit
from riskmodels.report.export import SYNTHETIC_BANNER
from riskmodels.report.figures import MODEL, _pyplot
from riskmodels.report.tables import NOT_SHOWN_BELOW
from riskmodels.vocabulary import COUNTRY

INTERNAL = "INTERNAL: not cleared for release."
CONCEPT_COLOURS = {
    "risk": "#0072B2",
    "harm": "#D55E00",
    "coping": "#009E73",
    "disclosure": "#7A3E9D",
    "consequence": "#8C6D1F",
}
CONCEPT_WORDS = {
    "risk": "risk: it happened",
    "harm": "harm: how bad it was, among the exposed",
    "coping": "coping, among the exposed",
    "disclosure": "disclosure, among the exposed",
    "consequence": "how children fare",
}
MARKERS = {"not split": "o", "peer": "^", "adult": "s"}
MARKER_WORDS = {"not split": "peers and adults not told apart", "peer": "a peer did it", "adult": "an adult did it"}
WIDTH = 8.0


def write_title(figure: Any, words: str, *, synthetic: bool) -> None:
    """Say above a figure what it shows, after the banner of made-up children."""
    banner = f"{SYNTHETIC_BANNER}.\n" if synthetic else ""
    figure.suptitle(f"{banner}{textwrap.fill(words, 112)}", fontsize=9, x=0.02, ha="left")


def _axis_of(table: pd.DataFrame) -> tuple[float, float, str, bool]:
    """Factor, reference line, words and whether the axis is logarithmic, by what the table holds."""
    quantity = str(table["quantity"].iloc[0])
    if quantity == "odds ratio":
        return 1.0, 1.0, "odds ratio (1: no difference)", True
    if quantity == "average marginal effect":
        return 100.0, 0.0, "difference of the share affected, percentage points (0: no difference)", False
    return 1.0, 0.0, "coefficient, log odds (0: no difference)", False


def _line_of(row: pd.Series, width: int) -> str:
    """The label of an outcome without the words that its marker says already, and its children."""
    n = float(row["n"]) if "n" in row.index else np.nan
    told = "" if np.isnan(n) else f" (n\u00a0{n:,.0f})"
    return "\n".join(textwrap.wrap(f"{row['line']}{told}", width))


def plot_forest(table: pd.DataFrame, *, synthetic: bool, note: str = INTERNAL) -> Any:
    """Forest of coefficients, odds ratios or average marginal effects, one panel per comparison.

    Parameters
    ----------
    table
        Rows of one quantity: of a `RegressionFamily` (then every outcome has a line in each panel, coloured by what it
        says, with a marker by who did it), or of one regression (then every coefficient has a line).
    synthetic
        Whether the children are made up.
    note
        Last words of the title.

    Returns
    -------
    matplotlib.figure.Figure
        Dots are posterior medians, lines the intervals; an interval that crosses the reference line leaves the
        direction open. Rows with a base under 25 are not drawn.
    """
    pyplot = _pyplot()
    name = next(column for column in ("words", "coefficient", "contrast") if column in table)
    by_outcome = "outcome" in table
    table = table[table["coefficient"] != "Intercept"] if "coefficient" in table else table
    groups = [column for column in table.columns[: list(table.columns).index("quantity")] if column in (COUNTRY,)]
    line = table["outcome"] if by_outcome else table[name]
    table = table.assign(
        panel=table[name] if by_outcome else "",
        line=[", ".join([str(text), *map(str, own)]) for text, own in zip(line, table[groups].to_numpy(), strict=True)],
    )
    if "n" in table:
        table = table[table["n"].isna() | (table["n"] >= NOT_SHOWN_BELOW)]
    factor, reference, words, logarithmic = _axis_of(table)
    panels = {str(key): part for key, part in table.groupby("panel", sort=False)}
    labels = {key: [_line_of(row, 44) for _, row in part.iterrows()] for key, part in panels.items()}
    heights = [sum(1.15 + 0.85 * text.count("\n") for text in texts) + 1.6 for texts in labels.values()]
    figure, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(WIDTH, 0.21 * sum(heights) + 1.5),
        squeeze=False,
        sharex=True,
        height_ratios=heights,
        layout="constrained",
    )
    for axis, (key, part) in zip(axes[:, 0], panels.items(), strict=True):
        _forest_panel(axis, part, labels[key], factor)
        axis.axvline(reference, color="#444444", lw=0.9, ls="--", zorder=0)
        axis.set_title("\n".join(textwrap.wrap(key, 80)), fontsize=9.5, loc="left", fontweight="bold")
    if logarithmic:
        _odds_axis(axes[-1, 0], table)
    axes[-1, 0].set_xlabel(words, fontsize=9)
    handles = _forest_legend(table) if by_outcome else []
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=8.5)
    probability = float(table["probability"].iloc[0])
    what = str(table["quantity"].iloc[0]).capitalize()
    write_title(
        figure, f"{what}: posterior medians and {100 * probability:.0f} % intervals. {note}", synthetic=synthetic
    )
    return figure


def plot_coefficients(
    fit: RegressionFit, *, odds_ratios: bool = True, probability: float = 0.95, note: str = INTERNAL
) -> Any:
    """Forest of the odds ratios (or coefficients) of one regression, in the words of the codebook.

    Parameters
    ----------
    fit
        A checked fit.
    odds_ratios
        Odds ratios on a logarithmic axis, or log odds.
    probability
        Probability inside the intervals.
    note
        Last words of the title.

    Returns
    -------
    matplotlib.figure.Figure
        As `plot_forest`.
    """
    table = coefficient_estimates(fit, odds_ratios=odds_ratios, probability=probability).table
    known = coefficient_words(fit)
    table.insert(1, "words", [known[name] for name in table["coefficient"]])
    return plot_forest(table, synthetic=fit.rows.synthetic, note=note)


def _forest_panel(axis: Any, part: pd.DataFrame, labels: Sequence[str], factor: float) -> None:
    places = np.arange(len(part))[::-1]
    for place, (_, row) in zip(places, part.iterrows(), strict=True):
        colour = CONCEPT_COLOURS.get(str(row.get("concept", "risk")), MODEL)
        marker = MARKERS.get(str(row.get("perpetrator", "not split")), "o")
        axis.hlines(place, factor * row["low"], factor * row["high"], color=colour, lw=1.8)
        axis.plot(factor * row["median"], place, marker, color=colour, ms=5.5)
    axis.set_yticks(places, labels, fontsize=8.5)
    axis.set_ylim(-0.7, len(part) - 0.3)
    axis.grid(axis="x", lw=0.3)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _odds_axis(axis: Any, table: pd.DataFrame) -> None:
    from matplotlib import ticker

    low, high = max(float(table["low"].min()) / 1.1, 0.02), min(float(table["high"].max()) * 1.1, 50.0)
    axis.set_xscale("log")
    axis.set_xlim(min(low, 0.8), max(high, 1.25))
    wide = high > 10 * low
    axis.xaxis.set_major_locator(
        ticker.LogLocator(subs=(1.0, 2.0, 5.0) if wide else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=20)
    )
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())


def _forest_legend(table: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D

    concepts = list(dict.fromkeys(table["concept"]))
    kinds = list(dict.fromkeys(table["perpetrator"]))
    handles = [Line2D([], [], color=CONCEPT_COLOURS[c], lw=2.5, label=CONCEPT_WORDS[c]) for c in concepts]
    if len(kinds) > 1:
        handles += [
            Line2D([], [], color="#444444", marker=MARKERS[kind], ls="", ms=5.5, label=MARKER_WORDS[kind])
            for kind in kinds
        ]
    return handles if len(handles) > 1 else []
