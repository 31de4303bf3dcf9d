"""Figures of co-occurrence by name: matrix, UpSet figure, network, poly-victimisation curve."""

from __future__ import annotations

from typing import Any

from riskmodels.errors import InputError, Problem
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures_cooccurrence_curve import plot_curve
from riskmodels.report.figures_cooccurrence_matrix import plot_matrix
from riskmodels.report.figures_cooccurrence_network import plot_network
from riskmodels.report.figures_cooccurrence_upset import plot_upset
from riskmodels.survey.population import PopulationFrame

KINDS = ("matrix", "upset", "network", "curve")


def plot_cooccurrence(
    fit: CooccurrenceFit,
    kind: str = "matrix",
    *,
    population: PopulationFrame | None = None,
    probability: float = 0.95,
    show_failed: bool = False,
) -> Any:
    """Draw a figure of a joint fit (internal: not cleared for release).

    Parameters
    ----------
    fit
        A checked fit.
    kind
        ``"matrix"``: every two risks against chance; ``"upset"``: the most common exact combinations; ``"network"``: which
        risks are tied; ``"curve"``: at least k risks, by country. Their own functions (`plot_matrix`, `plot_upset`,
        `plot_network`, `plot_curve`) take more choices.
    population, probability
        As in `pair_estimates`.
    show_failed
        Draw a fit whose checks failed, marked as such.

    Returns
    -------
    matplotlib.figure.Figure
        Labels in words; made-up children are branded.

    Raises
    ------
    InputError
        E195 for a figure that does not exist.
    GateError
        Where a check failed and `show_failed` is not set.
    """
    if kind == "matrix":
        return plot_matrix(fit, population=population, probability=probability, show_failed=show_failed)
    if kind == "upset":
        return plot_upset(fit, population=population, probability=probability, show_failed=show_failed)
    if kind == "network":
        return plot_network(fit, population=population, probability=probability, show_failed=show_failed)
    if kind == "curve":
        return plot_curve(fit, population=population, probability=probability, show_failed=show_failed)
    raise InputError([Problem("E195", "no such figure", "kind", 1, f"choose among {', '.join(KINDS)}")], "figure")
