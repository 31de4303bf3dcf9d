"""Study: the questions researchers ask, one call each; it wires the rooms together and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from riskmodels.design.audit import Audit, audit_survey
from riskmodels.design.cells import Cells
from riskmodels.design.collapse import collapse
from riskmodels.design.direct import Interval
from riskmodels.design.domains import direct_by_replicates, direct_estimates
from riskmodels.design.patterns import Patterns, count_patterns
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.design.totals import SurveyTotals
from riskmodels.errors import Problem
from riskmodels.estimates.population_match import match_population
from riskmodels.fit.fit import fit_model
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.prevalence_result import PrevalenceResult
from riskmodels.study_cooccurrence import CooccurrenceVerbs
from riskmodels.study_regression import RegressionVerbs
from riskmodels.study_skills import SkillVerbs
from riskmodels.survey.population import PopulationFrame
from riskmodels.survey.survey import read_survey, survey_from_frame
from riskmodels.vocabulary import COUNTRY, Base


@dataclass(frozen=True, eq=False)
class Study(RegressionVerbs, CooccurrenceVerbs, SkillVerbs):
    """A survey, its population and the verbs that answer questions about it.

    Parameters
    ----------
    survey
        The checked survey.
    population
        Children per country or cell, where known.
    """

    population: PopulationFrame | None = None

    def check(self) -> tuple[Problem, ...]:
        """Everything found wrong or worth knowing, errors first; empty is good."""
        return self.survey.problems

    def audit(self) -> Audit:
        """Which groups of children the study can speak of (General Comment No. 25)."""
        self.survey.require_usable()
        return audit_survey(self.survey.codebook, self.survey.source)

    def totals(
        self, indicators: str | Sequence[str], by: Sequence[str] = (), *, base: Base | None = None
    ) -> SurveyTotals:
        """Sums of weights and answers per country, subgroup, stratum and PSU."""
        self.survey.require_usable()
        names = [indicators] if isinstance(indicators, str) else list(indicators)
        return collapse(self.survey.codebook, self.survey.source, names, by, base=base)

    def cells(self, indicators: str | Sequence[str], by: Sequence[str] = (), *, base: Base | None = None) -> Cells:
        """Effective counts per country, subgroup and indicator: all that a model sees."""
        return cells_of_survey(self.totals(indicators, by, base=base))

    def patterns(self, indicators: Sequence[str], by: Sequence[str] = ()) -> Patterns:
        """Joint answers to several questions, counted per country and subgroup."""
        self.survey.require_usable()
        return count_patterns(self.survey.codebook, self.survey.source, indicators, by)

    def direct(
        self,
        indicators: str | Sequence[str],
        by: Sequence[str] = (COUNTRY,),
        *,
        base: Base | None = None,
        interval: Interval = "logit",
    ) -> pd.DataFrame:
        """Design-based estimates per domain, without any model.

        Returns
        -------
        pandas.DataFrame
            One row per indicator and domain: `n`, `estimate`, `standard_error`, `low`, `high` (95 %), `design_effect`,
            `effective_n`, `degrees_of_freedom`. Proportions run from 0 to 1.
        """
        totals = self.totals(indicators, [name for name in by if name != COUNTRY], base=base)
        if totals.replicate_variance is not None:
            return direct_by_replicates(self.survey.codebook, self.survey.source, totals, list(by), interval=interval)
        return direct_estimates(totals, list(by), interval=interval)

    def prevalence(
        self,
        indicators: str | Sequence[str],
        by: Sequence[str] = (COUNTRY,),
        *,
        base: Base | None = None,
        spec: PrevalenceSpec | None = None,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> PrevalenceResult:
        """How common: a hierarchical model over countries and subgroups.

        Parameters
        ----------
        indicators
            One indicator, or several that borrow from one another.
        by
            Country and the variables that split children.
        base
            ``"all asked"`` or ``"valid answers"``; each indicator's own where None.
        spec, sampler
            Model and engine; by default ordered variables are trends and country varies with every other variable.

        Returns
        -------
        PrevalenceResult
            `.estimates(by=...)`, `.plot()`, `.fit`.
        """
        splits = [name for name in by if name != COUNTRY]
        cells = self.cells(indicators, splits, base=base)
        if self.population is not None:
            match_population(cells, self.population)  # what cannot be weighted is told before anything is fitted
        codebook = self.survey.codebook
        ordered = tuple(
            name
            for name in splits
            if name in cells.names and (codebook.variables[name].ordered or codebook.variables[name].is_number)
        )
        chosen = spec or PrevalenceSpec(ordered=ordered)
        return PrevalenceResult(fit_model(cells, chosen, sampler, progress=progress), self.population)

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        return f"Study({self.survey!r})"


def load_study(path: str | Path, *, data: str | Path | None = None, population: PopulationFrame | None = None) -> Study:
    """Load a study: its codebook, the declared columns of its data file, and the checks of both.

    Parameters
    ----------
    path
        The codebook, e.g. ``"study.toml"``; docs/codebook.md describes it.
    data
        Another data file than the codebook names.
    population
        Children per country or cell.

    Returns
    -------
    Study
        `study.check()` tells what was found; nothing is computed from a survey with errors.

    Examples
    --------
    >>> import riskmodels as rm
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> [problem.code for problem in study.check() if problem.stops]
    []
    """
    return Study(read_survey(path, data=data), population)


def study_from_frame(frame: pd.DataFrame, codebook: Any, *, population: PopulationFrame | None = None) -> Study:
    """Make a study of a frame in memory and a `Codebook`."""
    return Study(survey_from_frame(frame, codebook), population)
