"""What `study.prevalence` gives: a fit, its estimates by any factors, a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.prevalence import prevalence_estimates
from riskmodels.fit.fit import Fit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, DEFAULT_PROBABILITY


@dataclass(frozen=True, eq=False)
class PrevalenceResult:
    """A fitted prevalence model of a study.

    Parameters
    ----------
    fit
        The checked fit; read `fit.passed` first.
    population
        Children per country or cell, for estimates that pool them.
    """

    fit: Fit
    population: PopulationFrame | None = None

    def estimates(self, by: Sequence[str] = (COUNTRY,), *, probability: float = DEFAULT_PROBABILITY) -> Estimates:
        """How common, by any factors of the fit; direct and model estimate side by side."""
        return prevalence_estimates(self.fit, by, population=self.population, probability=probability)

    @property
    def table(self) -> pd.DataFrame:
        """Estimates by country."""
        return self.estimates().table

    def plot(self, by: str | None = None) -> Any:
        """Forest plot by country with the shrinkage visible (internal: not cleared for release)."""
        from riskmodels.report.figures import plot_internal

        return plot_internal(self.estimates((COUNTRY,) if by is None else (COUNTRY, by)))

    def _repr_html_(self) -> str:
        return self.fit._repr_html_() + self.estimates()._repr_html_()
