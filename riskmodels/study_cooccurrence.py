"""Which risks come together in a study: from its survey to a fitted joint model, everything cheap checked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from riskmodels.design.joint_answers import JointWeights, joint_counts, options_of
from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.population import PopulationFrame
from riskmodels.survey.survey import Survey
from riskmodels.vocabulary import COUNTRY, Base

if TYPE_CHECKING:
    from riskmodels.cooccurrence_result import CooccurrenceResult


@dataclass(frozen=True)
class JointQuestion:
    """Which children's answers to which questions are counted together.

    Parameters
    ----------
    risks
        2 to 15 indicators; or the name of one question with several answers, e.g. ``"threats.told"``, whose options are
        then meant, among the children who were put it.
    by
        Variables that split children; country always does.
    base
        ``"all asked"`` or ``"valid answers"``; that of the risks where None.
    impossible
        Pairs of risks that no child can have together.
    weights
        ``"effective"``, or ``"none"`` to show what ignoring the design does.
    """

    risks: str | Sequence[str]
    by: Sequence[str] = (COUNTRY,)
    base: Base | None = None
    impossible: Sequence[tuple[str, str]] = ()
    weights: JointWeights = "effective"

    def names(self, codebook: Codebook) -> list[str]:
        """Name the indicators meant."""
        return list(options_of(codebook, self.risks) if isinstance(self.risks, str) else self.risks)


def count_question(survey: Survey, question: JointQuestion) -> JointCounts:
    """Joint answers of a survey's children, as `joint_counts`.

    Parameters
    ----------
    survey
        The checked survey.
    question
        What to count.
    """
    survey.require_usable()
    return joint_counts(
        survey.codebook,
        survey.source,
        question.names(survey.codebook),
        question.by,
        base=question.base,
        weights=question.weights,
        impossible=question.impossible,
    )


def cooccurrence_of(
    survey: Survey,
    question: JointQuestion,
    *,
    population: PopulationFrame | None = None,
    spec: CooccurrenceSpec | None = None,
    sampler: SamplerSpec | None = None,
    progress: Progress = no_progress,
) -> CooccurrenceResult:
    """Which risks come together, for whom, and beyond chance: a joint model of all combinations of answers.

    Parameters
    ----------
    survey
        The checked survey.
    question
        Which answers, of whom.
    population
        Children per country or cell, for figures that pool them.
    spec
        The model; by default every pair of risks, countries partially pooled, ordered variables as trends.
    sampler, progress
        As in `fit_model`.

    Returns
    -------
    CooccurrenceResult
        `.estimates(by)` how many risks, `.pairs(measure, by)` every two of them, `.plot(kind)`. Read `.passed` first,
        and `.fit.counts.warnings` beside every figure.

    Raises
    ------
    InputError
        As `joint_counts`; E195 where the specification names factors that do not split the children, E185 for a
        population that does not fit; all before anything is fitted.

    Examples
    --------
    >>> import riskmodels as rm
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> count_question(survey, JointQuestion("comments.channel"))
    JointCounts(SYNTHETIC, 5 cells, 3 risks, 134 children)
    """
    survey.require_usable()
    chosen = spec or default_spec(survey.codebook, question.by)
    _check_spec(chosen, question.by)
    counts = count_question(survey, question)
    from riskmodels.cooccurrence_result import CooccurrenceResult
    from riskmodels.estimates.joint_domains import joint_domains
    from riskmodels.fit.cooccurrence import fit_cooccurrence

    if population is not None:
        joint_domains(counts, (), population)  # what cannot be weighted is told before anything is fitted
    return CooccurrenceResult(fit_cooccurrence(counts, chosen, sampler, progress=progress), population)


def default_spec(codebook: Codebook, by: Sequence[str]) -> CooccurrenceSpec:
    """Every pair of risks, countries partially pooled; variables in order (or numbers) as trends."""
    splits = [codebook.variables[name] for name in by if name in codebook.variables]
    return CooccurrenceSpec(ordered=tuple(one.name for one in splits if one.ordered or one.is_number))


def _check_spec(spec: CooccurrenceSpec, by: Sequence[str]) -> None:
    """Refuse factors that do not split the children (E195)."""
    known = {COUNTRY, *by}
    asked = (("associations_by", spec.associations_by), ("ordered", spec.ordered))
    problems = [
        Problem(
            "E195",
            f"{field} names factors that do not split the children",
            ", ".join(wrong),
            len(wrong),
            f"add them to by=, or choose among {', '.join(sorted(known))}",
        )
        for field, names in asked
        if (wrong := [name for name in names if name not in known])
    ]
    if problems:
        raise InputError(problems, "CooccurrenceSpec")


@dataclass(frozen=True, eq=False)
class CooccurrenceVerbs:
    """What `Study` can ask about risks that come together.

    Parameters
    ----------
    survey
        The checked survey.
    population
        Children per country or cell, where known.
    """

    survey: Survey
    population: PopulationFrame | None = None

    def cooccurrence(
        self,
        risks: str | Sequence[str],
        by: Sequence[str] = (COUNTRY,),
        *,
        base: Base | None = None,
        impossible: Sequence[tuple[str, str]] = (),
        spec: CooccurrenceSpec | None = None,
        sampler: SamplerSpec | None = None,
        progress: Progress = no_progress,
    ) -> CooccurrenceResult:
        """Which risks come together, for whom, and beyond chance.

        Parameters
        ----------
        risks
            2 to 15 indicators; or one question with several answers, e.g. ``"threats.told"``, for its options.
        by
            Country and the variables that split children.
        base
            ``"all asked"`` or ``"valid answers"``; that of the risks where None.
        impossible
            Pairs that no child can have together; `excluding` gives those of an option such as "nobody". Other pairs
            that nobody has are taken as chance.
        spec, sampler, progress
            Model and engine; by default every pair of risks, countries partially pooled.

        Returns
        -------
        CooccurrenceResult
            `.estimates(by)`, `.pairs(measure, by)`, `.contrast(...)`, `.plot(kind)`; `.passed` comes first.
        """
        question = JointQuestion(risks, by, base, impossible)
        return cooccurrence_of(
            self.survey, question, population=self.population, spec=spec, sampler=sampler, progress=progress
        )
