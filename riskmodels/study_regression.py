"""The questions of `Study` that are regressions: who is exposed, who is harmed, who tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from riskmodels.design.predictor_loss import predictor_loss
from riskmodels.design.regression_clusters import regression_clusters
from riskmodels.design.regression_rows import regression_rows
from riskmodels.estimates.comparison import Comparison, common_rows, compare_models
from riskmodels.families.choose import disclosure_outcomes, exposure_outcomes, harm_outcomes
from riskmodels.families.consequences import consequence_outcomes
from riskmodels.families.family import FamilySettings, RegressionFamily, fit_family
from riskmodels.families.predictors import default_predictors, harm_predictors, number_constants
from riskmodels.families.words import OptionWords
from riskmodels.fit.design_adjustment import design_adjusted
from riskmodels.fit.imputed import IMPUTATIONS, PooledRegressionFit, impute_and_fit
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.survey import Survey
from riskmodels.vocabulary import COUNTRY


@dataclass(frozen=True, eq=False)
class RegressionVerbs:
    """What `Study` can ask by regression.

    Parameters
    ----------
    survey
        The checked survey.
    """

    survey: Survey

    def regression(
        self,
        model: str | RegressionSpec,
        *,
        design_adjust: bool = False,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> RegressionFit:
        """Who is affected: a hierarchical regression of a yes/no outcome, or of an ordered one.

        Parameters
        ----------
        model
            A formula such as ``"any_risk ~ gender * age + (1 + gender | country)"``, in which numbers are counted from
            the middle of their declared range (``fit.spec.numbers``); or a `RegressionSpec`, taken as it is.
        design_adjust
            Adjust a fit with ``weights="pseudo"`` for clusters, strata and unequal weights.
        sampler, progress
            As in `prevalence`.

        Returns
        -------
        RegressionFit
            For `coefficient_estimates`, `marginal_effects` and `prediction_estimates`; only children who answered every
            predictor (`imputed_regression` fills gaps).
        """
        spec = self._spec(model)
        codebook, source, asked = self._codebook, self.survey.source, spec.predictors
        rows = regression_rows(codebook, source, spec.outcome, asked, base=spec.base, monotonic=spec.monotonic)
        fit = fit_regression(rows, spec, sampler, progress=progress)
        if not design_adjust:
            return fit
        return design_adjusted(fit, regression_clusters(codebook, source, spec.outcome, rows))

    def imputed_regression(
        self,
        model: str | RegressionSpec,
        imputations: int | Sequence[pd.DataFrame] = IMPUTATIONS,
        *,
        design_adjust: bool = False,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> PooledRegressionFit:
        """Who is affected, missing predictors filled several times: `.fits`, `.complete_case` and `.missing` beside.

        Parameters
        ----------
        model, sampler, progress
            As in `regression`.
        imputations
            How many sets to draw; or completed copies of the survey made elsewhere.
        design_adjust
            Adjust every fit, with ``weights="pseudo"``, for clusters, strata and unequal weights before pooling.

        Returns
        -------
        PooledRegressionFit
            For `imputed_coefficients` (complete cases and the fraction of missing information beside) and, for anything
            else, `pooled_estimates`.
        """
        spec = self._spec(model)
        return impute_and_fit(
            self._codebook,
            self.survey.source,
            spec,
            imputations=imputations,
            design_adjust=design_adjust,
            sampler=sampler,
            progress=progress,
        )

    def compare(
        self,
        models: Mapping[str, str | RegressionSpec],
        *,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> Comparison:
        """Which of several regressions of one outcome predicts a child best, on the same children; stacking weights."""
        specs = {name: self._spec(one) for name, one in models.items()}
        rows = common_rows(self._codebook, self.survey.source, list(specs.values()))
        return compare_models({n: fit_regression(rows, one, sampler, progress=progress) for n, one in specs.items()})

    def rows_lost(self, model: str | RegressionSpec) -> pd.DataFrame:
        """Children whom a regression leaves out because a predictor is missing, per predictor, raw and weighted.

        Parameters
        ----------
        model
            As in `regression`.

        Returns
        -------
        pandas.DataFrame
            As `predictor_loss`; draw it with `plot_missing`.
        """
        spec = self._spec(model)
        return predictor_loss(self._codebook, self.survey.source, spec.outcome, spec.predictors, base=spec.base)

    def exposure(
        self,
        outcomes: Sequence[str] | None = None,
        predictors: str | None = None,
        varying: str = f"1 | {COUNTRY}",
        *,
        split: bool = True,
        words: OptionWords | None = None,
        settings: FamilySettings | None = None,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> RegressionFamily:
        """Who is exposed: one regression per risk, and per risk by a peer and by an adult, among all children.

        Parameters
        ----------
        outcomes
            Indicators; by default every sensitive one put to all children.
        predictors, varying
            Right side of the formula, e.g. ``"gender * age"`` (the default) and ``"1 + gender | country"``.
        split
            Whether peers and adults are shown apart too, where the study asked who did it.
        words, settings
            How options are sorted by their names; bases, weights, priors and constants of all fits.
        sampler, progress
            As in `prevalence`.

        Returns
        -------
        RegressionFamily
            `.table` (odds ratios), `.marginal_effects("gender")`, `.shares(by=["country"])`, `.left_out`, `.plot()`.
        """
        found = exposure_outcomes(self._codebook, outcomes, split=split, words=words)
        right = predictors or default_predictors(self._codebook)
        return fit_family("exposure", found, self.survey.source, right, varying, settings, sampler, progress)

    def harm(
        self,
        outcomes: Sequence[str] | None = None,
        predictors: str | None = None,
        varying: str = f"1 | {COUNTRY}",
        *,
        split: bool = True,
        cuts: Mapping[str, float] | None = None,
        words: OptionWords | None = None,
        settings: FamilySettings | None = None,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> RegressionFamily:
        """Who is harmed: how bad it was among the exposed, step by step, beside who was exposed at all.

        As `exposure`. `outcomes` are questions put to the exposed (by default those whose name has one of `words.harm`),
        `cuts` says from which value on a number counts as harm, `predictors` are by default gender, age,
        socio-economic group, disability, self-efficacy and psychological difficulties, as far as declared.
        Rows of concept ``risk`` (all children) and ``harm`` (the exposed only) answer different questions.
        """
        found = harm_outcomes(self._codebook, outcomes, split=split, words=words, cuts=cuts)
        right = predictors or harm_predictors(self._codebook)
        return fit_family("harm", found, self.survey.source, right, varying, settings, sampler, progress)

    def disclosure(
        self,
        of: str | Sequence[str] | None = None,
        predictors: str | None = None,
        varying: str = f"1 | {COUNTRY}",
        *,
        told: Sequence[str] | None = None,
        split: bool = True,
        words: OptionWords | None = None,
        settings: FamilySettings | None = None,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> RegressionFamily:
        """Who tells: anyone, a formal source, an informal source, each of them, nobody; among the exposed.

        As `exposure`. `of` names the indicators whose follow-up ``told`` is meant (all that have one by default),
        `told` the options where they are not a follow-up (by default indicators named ``told_...`` and
        ``did_not_disclose``). `words` says which are formal and which informal, `.notes` how they were sorted.
        """
        found = disclosure_outcomes(self._codebook, of, told=told, split=split, words=words)
        right = predictors or default_predictors(self._codebook)
        return fit_family("disclosure", found, self.survey.source, right, varying, settings, sampler, progress)

    def consequences(
        self,
        outcomes: Sequence[str] | None = None,
        predictors: str | None = None,
        varying: str = f"1 | {COUNTRY}",
        *,
        of: str | None = None,
        split: bool = True,
        cuts: Mapping[str, float] | None = None,
        words: OptionWords | None = None,
        settings: FamilySettings | None = None,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> RegressionFamily:
        """How children fare (well-being, school, social life) against having told someone and having support.

        As `harm`. `of` names the indicator whose follow-up ``told`` is meant; `predictors` are by default
        ``told_someone``, variables about support, gender and age. Associations among the exposed, not effects of
        telling.
        """
        found, default = consequence_outcomes(self._codebook, of, outcomes, split=split, words=words, cuts=cuts)
        right = predictors or default
        return fit_family("consequences", found, self.survey.source, right, varying, settings, sampler, progress)

    def _spec(self, model: str | RegressionSpec) -> RegressionSpec:
        """A formula with the constants of its numbers, or the specification given."""
        if isinstance(model, RegressionSpec):
            return model
        spec = regression_formula(model)
        return replace(spec, numbers=number_constants(self._codebook, spec.predictors))

    @property
    def _codebook(self) -> Codebook:
        """The codebook of a survey that can be used."""
        self.survey.require_usable()
        return self.survey.codebook
