"""What `study.cooccurrence` gives: a joint fit of several risks and every answer it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from riskmodels.errors import InputError, Problem
from riskmodels.estimates.cooccurrence import children_estimates, number_estimates, pair_estimates, risk_estimates
from riskmodels.estimates.cooccurrence_combinations import combination_estimates
from riskmodels.estimates.cooccurrence_contrasts import ContrastKind, contrast_cooccurrence
from riskmodels.estimates.cooccurrence_measures import NumberMeasureName
from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.pair_measures import PairMeasureName
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY, DEFAULT_PROBABILITY


@dataclass(frozen=True, eq=False)
class CooccurrenceResult:
    """A fitted joint model of several risks.

    Parameters
    ----------
    fit
        The checked fit; read `passed` first.
    population
        Children per country or cell, for estimates that pool them.
    """

    fit: CooccurrenceFit
    population: PopulationFrame | None = None

    @property
    def passed(self) -> bool:
        """Whether the fit passed all its checks; every table says so of its own figures too."""
        return self.fit.passed

    @property
    def risks(self) -> tuple[str, ...]:
        """The risks, in words."""
        return self.fit.counts.risks.labels

    def estimates(self, by: Sequence[str] = (COUNTRY,), *, probability: float = DEFAULT_PROBABILITY) -> Estimates:
        """Share of children with at least one, two, ... of the risks; direct and model estimate side by side."""
        return self.number(by, probability=probability)

    @property
    def table(self) -> pd.DataFrame:
        """`estimates` by country."""
        return self.estimates().table

    def number(
        self,
        by: Sequence[str] = (COUNTRY,),
        measure: NumberMeasureName = "at least",
        *,
        probability: float = DEFAULT_PROBABILITY,
    ) -> Estimates:
        """How many risks children meet: ``"any"``, ``"at least"``, ``"exactly"`` or ``"mean"`` (`number_estimates`)."""
        return number_estimates(self.fit, measure, by, population=self.population, probability=probability)

    def any(self, by: Sequence[str] = (COUNTRY,), *, probability: float = DEFAULT_PROBABILITY) -> Estimates:
        """Share of children with any of the risks."""
        return self.number(by, "any", probability=probability)

    def mean(self, by: Sequence[str] = (COUNTRY,), *, probability: float = DEFAULT_PROBABILITY) -> Estimates:
        """Mean number of risks per child."""
        return self.number(by, "mean", probability=probability)

    def prevalence(self, by: Sequence[str] = (COUNTRY,), *, probability: float = DEFAULT_PROBABILITY) -> Estimates:
        """How common each single risk is, under the joint model."""
        return risk_estimates(self.fit, by, population=self.population, probability=probability)

    def pairs(
        self,
        measure: PairMeasureName = "ratio",
        by: Sequence[str] = (),
        *,
        probability: float = DEFAULT_PROBABILITY,
    ) -> Estimates:
        """Every two risks: ``"both"``, ``"given"``, ``"ratio"``, ``"odds ratio"`` or ``"tetrachoric"``."""
        return pair_estimates(self.fit, measure, by, population=self.population, probability=probability)

    def contrast(
        self,
        factor: str,
        reference: str,
        of: str = "ratio",
        kind: ContrastKind = "difference",
        by: Sequence[str] = (),
        *,
        probability: float = DEFAULT_PROBABILITY,
    ) -> Estimates:
        """Any measure in every level of a factor against a reference level (`contrast_cooccurrence`)."""
        return contrast_cooccurrence(
            self.fit,
            factor,
            reference=reference,
            of=of,
            contrast=kind,
            by=by,
            population=self.population,
            probability=probability,
        )

    def combinations(
        self, within: Mapping[str, str] | None = None, *, top: int = 15, probability: float = DEFAULT_PROBABILITY
    ) -> Estimates:
        """The most common exact combinations of risks; those of fewer than 10 children only together."""
        found = combination_estimates(self.fit, within, top=top, population=self.population, probability=probability)
        return found.estimates

    def children(
        self,
        at_least: Sequence[int] = (1, 2, 3),
        by: Sequence[str] = (COUNTRY,),
        *,
        probability: float = DEFAULT_PROBABILITY,
    ) -> Estimates:
        """How many children meet at least so many of the risks; needs a population."""
        if self.population is None:
            what, remedy = "numbers of children need a population", "load the study with a population"
            raise InputError([Problem("E185", what, "population", 1, remedy)], "children")
        return children_estimates(self.fit, self.population, at_least, by, probability=probability)

    def plot(self, kind: str = "matrix", *, show_failed: bool = False) -> Any:
        """A figure (internal: not cleared for release).

        Parameters
        ----------
        kind
            ``"matrix"`` (pairs beyond chance), ``"upset"`` (exact combinations), ``"network"``, ``"curve"`` (at least k risks per
            country).
        show_failed
            Draw a fit whose checks failed, marked as such.
        """
        from riskmodels.report.figures_cooccurrence import plot_cooccurrence

        return plot_cooccurrence(self.fit, kind, population=self.population, show_failed=show_failed)

    def __repr__(self) -> str:
        """Say what it is in a line."""
        return f"CooccurrenceResult of {self.fit!r}"

    def _repr_html_(self) -> str:
        return self.fit._repr_html_() + self.estimates(())._repr_html_() + self.pairs()._repr_html_()
