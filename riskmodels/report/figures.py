"""Figures as PNG and SVG: direct against model with the shrinkage visible, and published against recomputed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.estimates.estimates import Estimates
from riskmodels.release.gate import ClearedEstimates
from riskmodels.report.export import SYNTHETIC_BANNER

DIRECT, MODEL, LINE = "#D55E00", "#0072B2", "#999999"
VERDICT_COLOURS = {"agrees": "#0072B2", "differs": "#D55E00"}


def _pyplot() -> Any:
    import matplotlib

    if "MPLBACKEND" not in os.environ:  # a notebook has chosen how to show figures
        matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "riskmodels"
    from matplotlib import pyplot

    return pyplot


def save_figure(figure: Any, stem: Path) -> None:
    """Write `stem`.png and `stem`.svg, without a date so that equal figures are equal files."""
    figure.savefig(stem.with_suffix(".png"), dpi=150, bbox_inches="tight")
    figure.savefig(stem.with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})
    _pyplot().close(figure)


def _forest(axis: Any, part: pd.DataFrame, title: str) -> None:
    part = part.sort_values("estimate")
    places = np.arange(len(part))
    axis.hlines(places - 0.16, 100 * part["direct_low"], 100 * part["direct_high"], color=DIRECT, lw=1)
    axis.hlines(places + 0.16, 100 * part["low"], 100 * part["high"], color=MODEL, lw=2.2)
    for place, direct, model in zip(places, part["direct"], part["estimate"], strict=True):
        axis.plot([100 * direct, 100 * model], [place - 0.16, place + 0.16], color=LINE, lw=0.8, zorder=1)
    axis.plot(
        100 * part["direct"], places - 0.16, "o", mfc="white", mec=DIRECT, ms=4, label="direct, from this group alone"
    )
    axis.plot(100 * part["estimate"], places + 0.16, "o", color=MODEL, ms=4, label="model, partially pooled")
    axis.set_yticks(places, part["group"])
    axis.set_title(title, fontsize=9)
    axis.set_xlim(left=0)
    axis.grid(axis="x", lw=0.3)


def plot_prevalence(cleared: ClearedEstimates, *, note: str = "") -> Any:
    """Forest plot of prevalence by country: direct and model estimate with their intervals, one panel per indicator.

    Parameters
    ----------
    cleared
        Cleared prevalence estimates by country.
    note
        Source line under the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The grey link between the two points of a country is its shrinkage.
    """
    return _prevalence_figure(cleared.table, cleared.fingerprint.synthetic, note)


def plot_internal(estimates: Estimates) -> Any:
    """The same figure of estimates that are not cleared, for the eyes of those who hold the data.

    Parameters
    ----------
    estimates
        Prevalence estimates by country and at most a few more factors.

    Returns
    -------
    matplotlib.figure.Figure
        Marked as not cleared for release.
    """
    return _prevalence_figure(estimates.table, estimates.fingerprint.synthetic, "INTERNAL: not cleared for release.")


def _prevalence_figure(table: pd.DataFrame, synthetic: bool, note: str) -> Any:
    import textwrap

    pyplot = _pyplot()
    factors = [str(name) for name in table.columns[: list(table.columns).index("quantity")]]
    groups = [name for name in factors if name != "indicator" and not name.endswith("_code")]
    table = table.assign(group=table[groups].agg(", ".join, axis=1) if groups else "all")
    names = list(dict.fromkeys(table["indicator"])) if "indicator" in table else [""]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    height = 0.28 * table["group"].nunique() + 1.2
    figure, axes = pyplot.subplots(rows, columns, figsize=(5.2 * columns, height * rows), squeeze=False)
    for axis, name in zip(axes.ravel(), names, strict=False):
        _forest(axis, table[table["indicator"] == name] if name else table, textwrap.fill(name, 52))
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("per cent of children asked")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=2, frameon=False, bbox_to_anchor=(0.5, -0.035 if rows > 1 else -0.08)
    )
    probability = float(table["probability"].iloc[0])
    banner = f"{SYNTHETIC_BANNER}. " if synthetic else ""
    figure.suptitle(
        textwrap.fill(
            f"{banner}Prevalence with {100 * probability:.0f} % intervals; base: {table['base'].iloc[0]}. {note}",
            55 * columns,
        ),
        fontsize=9,
    )
    figure.tight_layout(rect=(0, 0.01, 1, 0.985))
    return figure


def plot_agreement(table: pd.DataFrame) -> Any:
    """Published against recomputed values, target by target, one panel per family."""
    pyplot = _pyplot()
    from matplotlib import ticker

    known = table[table["recomputed"].notna()]
    families = list(dict.fromkeys(known["family"]))
    columns = 3
    rows = -(-len(families) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.2 * columns, 4.0 * rows), squeeze=False)
    for axis, family in zip(axes.ravel(), families, strict=False):
        part = known[(known["family"] == family) & (known["published"] > 0) & (known["recomputed"] > 0)]
        for verdict, colour in VERDICT_COLOURS.items():
            chosen = part[part["verdict"] == verdict]
            axis.plot(
                chosen["published"],
                chosen["recomputed"],
                "o",
                ms=4,
                alpha=0.7,
                color=colour,
                label=f"{verdict} ({int((known[known['family'] == family]['verdict'] == verdict).sum())})",
            )
        ends = [part["published"].min(), part["published"].max()]
        axis.plot(ends, ends, color=LINE, lw=0.8, zorder=0)
        axis.set(xscale="log", yscale="log", xlabel="published", ylabel="recomputed")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter(
                ticker.FuncFormatter(lambda value, _: f"{value:,.10g}" if value < 1e4 else f"{value:.0e}")
            )
            side.set_minor_formatter(ticker.NullFormatter())
            side.set_major_locator(
                ticker.LogLocator(subs=(1.0, 2.0, 5.0) if ends[1] < 1000 * ends[0] else (1.0,), numticks=12)
            )
        axis.set_title(family, fontsize=10)
        axis.legend(frameon=False, fontsize=8)
    for axis in axes.ravel()[len(families) :]:
        axis.set_visible(False)
    figure.tight_layout()
    return figure
