"""RegressionFamily: several outcomes fitted with one right-hand side, stacked, with what could not be fitted."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.errors import FitError, InputError, Problem
from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.regression import coefficient_estimates, marginal_effects
from riskmodels.estimates.regression_shares import children_of, share_estimates
from riskmodels.estimates.regression_words import coefficient_words, contrast_words
from riskmodels.families.outcomes import Outcome, Outcomes
from riskmodels.families.predictors import number_constants
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.priors import Priors
from riskmodels.models.regression_spec import RegressionSpec, Weights, regression_formula
from riskmodels.survey.factors import Factor
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, Base

#: Faults of one outcome that leave the others untouched.
OF_ONE_OUTCOME = ("E101", "E141", "E147")
#: In the place of a code where no engine found a usable posterior.
NO_POSTERIOR = "no posterior"
#: Columns that say which outcome a row is about.
OUTCOME_COLUMNS = ("outcome", "concept", "perpetrator", "asked")


@dataclass(frozen=True)
class FamilySettings:
    """What all fits of a family share besides their predictors; the same words as in `RegressionSpec`.

    Parameters
    ----------
    numbers
        Number -> (centre, scale); the middle of the declared range and 1 where not named.
    references
        Variable -> reference level.
    base
        Denominator; each indicator's own where None.
    weights
        ``"effective"``, ``"pseudo"`` or ``"none"``.
    priors
        A preset's name or a `Priors` record.
    """

    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    references: Mapping[str, str] = field(default_factory=dict, hash=False)
    base: Base | None = None
    weights: Weights = "effective"
    priors: Priors | str = "default"


@dataclass(frozen=True, eq=False)
class RegressionFamily:
    """Fits of several outcomes with the same predictors.

    Parameters
    ----------
    name
        ``"exposure"``, ``"harm"``, ``"disclosure"`` or ``"consequences"``.
    outcomes
        Outcomes that were fitted, in order.
    fits
        Their fits, by the name of the outcome.
    left_out
        Outcomes that could not be fitted: `outcome`, `concept`, `perpetrator`, `asked`, `code`, `reason`, `remedy`.
    formula
        Right-hand side of all of them.
    numbers
        Constants at which numbers were centred, and their scales.
    notes
        How answers were sorted; what a reader must know.
    """

    name: str
    outcomes: tuple[Outcome, ...]
    fits: Mapping[str, RegressionFit]
    left_out: pd.DataFrame
    formula: str
    numbers: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every fit passed its checks."""
        return all(fit.passed for fit in self.fits.values())

    @property
    def synthetic(self) -> bool:
        """Whether the children are made up."""
        return any(fit.rows.synthetic for fit in self.fits.values())

    @property
    def predictors(self) -> tuple[str, ...]:
        """Predictors that all fits share; none where only the intercept was fitted."""
        return next(iter(self.fits.values())).spec.predictors

    @cached_property
    def table(self) -> pd.DataFrame:
        """Odds ratios of all outcomes, stacked (without predictors: the intercepts, log odds).

        `coefficients()` gives them on the log scale, and with other intervals.
        """
        return self.coefficients(odds_ratios=bool(self.predictors))

    def coefficients(self, *, odds_ratios: bool = False, probability: float = 0.95) -> pd.DataFrame:
        """Coefficients (log odds) or odds ratios of all outcomes, one row per outcome and coefficient.

        Returns
        -------
        pandas.DataFrame
            `outcome`, `concept`, `perpetrator`, `asked`, then as in `coefficient_estimates`, with `n` (children who
            answered) and `passed` (the fit and this table's quantities passed the gate).
        """
        return self._stacked(lambda fit: [coefficient_estimates(fit, odds_ratios=odds_ratios, probability=probability)])

    def marginal_effects(
        self, predictor: str | None = None, by: Sequence[str] = (), *, probability: float = 0.95
    ) -> pd.DataFrame:
        """Average marginal effects on the share, of one predictor or of each, one row per outcome and contrast.

        Parameters
        ----------
        predictor
            A predictor; every one where None.
        by
            Country or predictors with levels to keep apart.
        probability
            Probability inside the intervals.
        """
        return self._stacked(
            lambda fit: [
                marginal_effects(fit, name, by, probability=probability)
                for name in ([predictor] if predictor is not None else fit.spec.predictors)
            ]
        )

    def shares(self, by: Sequence[str] = (), *, probability: float = 0.95) -> pd.DataFrame:
        """Predicted and direct share of every outcome, by country or predictors with levels; n beside."""
        return self._stacked(lambda fit: [share_estimates(fit, by, probability=probability)])

    def _stacked(self, ask: Callable[[RegressionFit], list[Estimates]]) -> pd.DataFrame:
        return pd.concat(
            [
                _shown(self.fits[outcome.name], found, outcome)
                for outcome in self.outcomes
                for found in ask(self.fits[outcome.name])
            ],
            ignore_index=True,
        )

    def plot(self, kind: str = "odds ratios") -> Any:
        """Forest of all outcomes (internal: not cleared for release).

        Parameters
        ----------
        kind
            ``"odds ratios"`` or ``"marginal effects"``.
        """
        from riskmodels.report.figures_forest import plot_forest

        table = self.table if kind == "odds ratios" else self.marginal_effects()
        return plot_forest(table, synthetic=self.synthetic)

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        return f"RegressionFamily({brand}{self.name} ~ {self.formula}; {len(self.outcomes)} outcomes fitted, {len(self.left_out)} left out, {verdict})"

    def _repr_html_(self) -> str:
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.synthetic else ""
        verdict = "" if self.passed else "<p><strong>CHECKS FAILED: not to be released</strong></p>"
        constants = "; ".join(
            f"{name} counted from {pair[0]:g}, per {pair[1]:g}" for name, pair in self.numbers.items()
        )
        head = f"<p>{html.escape(self.name)} ~ {html.escape(self.formula)}. Odds ratios, medians and 95 % intervals. {html.escape(constants)}</p>"
        shown = self.table[[*OUTCOME_COLUMNS, "words", "n", "median", "low", "high", "probability_of_direction"]]
        body = shown.to_html(index=False, float_format=lambda value: f"{value:.3g}")
        left = f"<p>Not fitted</p>{self.left_out.to_html(index=False)}" if len(self.left_out) else ""
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return banner + verdict + head + body + left + (f"<ul>{notes}</ul>" if notes else "")


def _shown(fit: RegressionFit, found: Estimates, outcome: Outcome) -> pd.DataFrame:
    """A table of one outcome with what the outcome is, words for its comparisons, n and the verdict."""
    table = found.table.copy()
    if "n" not in table:
        table["n"] = children_of(fit, table)
    name = "coefficient" if "coefficient" in table else "contrast" if "contrast" in table else ""
    if name:
        known = coefficient_words(fit)
        words = [known.get(text) or contrast_words(fit, text) for text in table[name]]
        table.insert(list(table.columns).index(name) + 1, "words", words)
    table["passed"] = found.passed
    label: str | pd.Series = outcome.label
    if "level" in table:  # one row per level of an ordered outcome
        label = f"{outcome.label}: " + table.pop("level")
    for place, column in enumerate(OUTCOME_COLUMNS):
        table.insert(place, column, label if column == "outcome" else getattr(outcome, column))
    return table


def family_spec(outcomes: Outcomes, predictors: str, varying: str, settings: FamilySettings) -> RegressionSpec:
    """The specification that all outcomes share, with the first as its outcome.

    Raises
    ------
    InputError
        E195 for what is not a formula, E132 for predictors that the codebook does not declare.
    """
    text = f"outcome_of_the_family ~ {predictors}" + (f" + ({varying})" if varying else "")
    bare = regression_formula(text)
    codebook = outcomes.codebook
    declared = {*codebook.variables, *codebook.scales, *outcomes.above_zero}
    unknown = [name for name in bare.predictors if name not in declared]
    if unknown:
        remedy = f"choose among {', '.join([*codebook.variables, *codebook.scales][:20])}"
        raise InputError(
            [
                Problem(
                    "E132", "predictors that the codebook does not declare", ", ".join(unknown), len(unknown), remedy
                )
            ],
            codebook.study_id,
        )
    numbers = {**number_constants(codebook, bare.predictors), **settings.numbers}
    return replace(
        bare,
        outcome=outcomes.outcomes[0].name,
        numbers=numbers,
        references=dict(settings.references),
        base=settings.base,
        weights=settings.weights,
        priors=settings.priors,
    )


def _rows_of(outcomes: Outcomes, source: SourceTable, spec: RegressionSpec) -> RegressionRows:
    """Rows of one outcome; yes/no predictors made from numbers stand in the place of these."""
    made = {name: number for name, number in outcomes.above_zero.items() if name in spec.predictors}
    read = [made.get(name, name) for name in spec.predictors]
    rows = regression_rows(
        outcomes.codebook, source, spec.outcome, list(dict.fromkeys(read)), base=spec.base, monotonic=spec.monotonic
    )
    values, factors, labels = dict(rows.values), dict(rows.factors), dict(rows.labels)
    for name, number in made.items():
        whole = values[number] if number in spec.predictors else values.pop(number)
        values[name] = (whole > 0).astype(float)
        factors[name] = Factor(name, ("no", "yes"))
        labels[name] = name.replace("_", " ").capitalize()
    return replace(rows, values=values, factors=factors, labels=labels)


def fit_family(
    name: str,
    outcomes: Outcomes,
    source: SourceTable,
    predictors: str,
    varying: str = f"1 | {COUNTRY}",
    settings: FamilySettings | None = None,
    sampler: SamplerSpec | None = None,
    progress: Progress = no_progress,
) -> RegressionFamily:
    """Fit every outcome of a family with the same predictors.

    Parameters
    ----------
    name
        Word for the family.
    outcomes
        From `exposure_outcomes`, `harm_outcomes`, `disclosure_outcomes` or `consequence_outcomes`.
    source
        The study's data.
    predictors
        Right side of a formula, e.g. ``"gender * age"``.
    varying
        What varies by country, e.g. ``"1 + gender | country"``; empty for nothing.
    settings, sampler, progress
        As in `RegressionSpec` and `fit_regression`.

    Returns
    -------
    RegressionFamily
        Outcomes with too few events (E147), nobody who answered (E101) or predictors that cannot be told apart (E141)
        are in `left_out` with the reason; the others are fitted.

    Raises
    ------
    InputError
        For faults of the common right-hand side, and where no outcome at all can be fitted.
    """
    shared = family_spec(outcomes, predictors, varying, settings or FamilySettings())
    fits: dict[str, RegressionFit] = {}
    failed: list[tuple[Outcome, str, str, str]] = []
    stage = f"fitting {len(outcomes.outcomes)} outcomes"
    for number, outcome in enumerate(outcomes.outcomes):
        progress(stage, number, len(outcomes.outcomes))
        if outcome.name in fits:  # a group of one option is that option
            continue
        ordered = outcome.family == "ordinal"
        spec = replace(shared, outcome=outcome.name, base=None if ordered else shared.base)
        try:
            fits[outcome.name] = fit_regression(_rows_of(outcomes, source, spec), spec, sampler)
        except InputError as error:
            stopping = [problem for problem in error.problems if problem.stops]
            if any(problem.code not in OF_ONE_OUTCOME for problem in stopping):
                raise
            failed += [(outcome, problem.code, problem.what, problem.remedy) for problem in stopping]
        except FitError as error:
            failed.append((outcome, NO_POSTERIOR, str(error), "simplify the predictors"))
    progress(stage, len(outcomes.outcomes), len(outcomes.outcomes))
    if not fits and all(code == NO_POSTERIOR for _, code, _, _ in failed):
        raise FitError("; ".join(f"{outcome.label}: {reason}" for outcome, _, reason, _ in failed))
    if not fits:
        raise InputError(
            [Problem(code, reason, outcome.label, 1, remedy) for outcome, code, reason, remedy in failed], name
        )
    first = next(iter(fits.values())).spec
    return RegressionFamily(
        name=name,
        outcomes=tuple(outcome for outcome in outcomes.outcomes if outcome.name in fits),
        fits=fits,
        left_out=pd.DataFrame(
            [(o.label, o.concept, o.perpetrator, o.asked, code, reason, remedy) for o, code, reason, remedy in failed],
            columns=[*OUTCOME_COLUMNS, "code", "reason", "remedy"],
        ),
        formula=first.formula.split(" ~ ", 1)[1],
        numbers=first.numbers,
        notes=outcomes.notes,
    )
