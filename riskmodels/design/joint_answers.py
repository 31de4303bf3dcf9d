"""Survey to JointCounts: effective numbers of children per cell and combination of answers to several risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from riskmodels.design.coding import MISSING_CODE
from riskmodels.design.collapse import base_codes, collapse
from riskmodels.design.joint_checks import JointTallies, counted_problems, declared_problems
from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.design.joint_notes import answers_unknown, children_without_answers, design_effects_that_differ
from riskmodels.design.patterns import Patterns, count_patterns
from riskmodels.design.sampling import cell_covariance, measure_clustering, t_penalty
from riskmodels.design.survey_factors import check_names
from riskmodels.design.totals import SurveyTotals, significant
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.factors import Factor
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

JointWeights = Literal["effective", "none"]
JOINT_WEIGHTS: tuple[JointWeights, ...] = ("effective", "none")


@dataclass(frozen=True, eq=False)
class CodedPatterns:
    """Patterns with every answer known or not by the denominator, children without any known answer set apart.

    Parameters
    ----------
    patterns
        As counted.
    answers
        1, 0 or `UNKNOWN`, shape (patterns, risks).
    some
        Patterns with a known answer.
    asked
        Patterns of children who were put at least one of the questions.
    """

    patterns: Patterns
    answers: IntArray
    some: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.bool_]


def options_of(codebook: Codebook, question: str) -> tuple[str, ...]:
    """Indicators that are the options of a question with several answers: whom a child told, channels, barriers.

    Parameters
    ----------
    codebook
        The study's.
    question
        A response set, or a follow-up such as ``"threats.told"``.

    Returns
    -------
    tuple of str
        For `joint_counts`: the figures are then of the children who were put the question.

    Raises
    ------
    InputError
        E132 for a question that the codebook does not declare.

    Examples
    --------
    >>> import riskmodels as rm
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> options_of(study.survey.codebook, "comments.channel")[:2]
    ('comments.channel.social_media', 'comments.channel.online_game')
    """
    if question not in codebook.response_sets:
        known = ", ".join(list(codebook.response_sets)[:12]) or "none: declare [response_sets.NAME] or follow_ups"
        what = "a question with several answers that the codebook does not declare"
        raise InputError([Problem("E132", what, question, 1, f"choose among {known}")], codebook.study_id)
    return tuple(codebook.response_sets[question])


def excluding(option: str, options: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs that an option which excludes all others, such as "nobody", cannot be part of: for ``impossible=``.

    Examples
    --------
    >>> excluding("told.nobody", ["told.nobody", "told.friend", "told.police"])
    (('told.nobody', 'told.friend'), ('told.nobody', 'told.police'))
    """
    return tuple((option, other) for other in options if other != option)


def joint_counts(
    codebook: Codebook,
    source: SourceTable,
    risks: Sequence[str],
    by: Sequence[str] = (),
    *,
    base: Base | None = None,
    weights: JointWeights = "effective",
    impossible: Sequence[tuple[str, str]] = (),
) -> JointCounts:
    """Count the joint answers of children to several risks, as certain as the sampling design makes them.

    Parameters
    ----------
    codebook, source
        The study.
    risks
        2 to 15 indicators; see `options_of` for the options of one question.
    by
        Variables that split children besides country.
    base
        Denominator; that of the risks where None. ``"all asked"`` counts don't know and prefer not to say as not
        affected; ``"valid answers"`` sums over them. Not asked, not fielded and empty are summed over by both.
    weights
        ``"effective"``, or ``"none"``: children as a simple random sample, only to show what that does.
    impossible
        Pairs of risks that no child can have together, e.g. ``("told.nobody", "told.friend")``.

    Returns
    -------
    JointCounts
        A child with some answers missing stays, with these summed over; a child without any drops out (W152). Per
        cell, weighted shares of the combinations times an effective number of children. `warnings` belong beside
        every figure. The file is read twice: once for combinations, once for what the design does to them.

    Raises
    ------
    InputError
        E132 unknown names; E154 to E157 and E195, from the codebook alone and all at once: number of risks, risks made
        of one another, a follow-up beside its question, several denominators, pairs that are none. Then, all at once:
        E152, E153, E158, E159 risks of one country, without variation, pairs that are possible after all, pairs never
        asked together. Else as `collapse`.

    Notes
    -----
    What a design does differs between risks, and a joint pattern has one number of children. It is the Kish effective
    number of the cell times a factor of its country: the inverse mean over the risks of design-based variance (weights,
    strata, PSUs, few PSUs: as for a prevalence) over what the weights alone would give. So for one risk the effective
    number of a country is that of `cells_of_survey`; the country's share of any risk, put together from its cells by
    their weights, is as uncertain as the average risk's design says, however finely it is broken down, and subgroups
    rather more uncertain than their smaller clusters would make them. Pairs of risks cluster less than single risks, so
    that their intervals err on the wide side: in 15 simulated surveys of 13,000 children with informative weights, intervals of
    90 % made from these numbers held 91 % of true shares of single risks and 92 % of those of pairs at a mean design effect
    of 1.4, and 91 % and 95 % at 2.0. A risk that clusters more than the others is told (I152): its prevalence
    should be quoted from a prevalence model. An effective number is never above n.

    References
    ----------
    Mean design effect of several margins: Rao & Scott 1984, Annals of Statistics 12, 46-60; for questions with several
    answers Thomas & Decady 2004, International Journal of Testing 4, 43-59. Effective counts: Chen, Wakefield & Lumley
    2014, Spatial and Spatio-temporal Epidemiology 11, 33-43.

    Examples
    --------
    >>> import riskmodels as rm
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> joint_counts(survey.codebook, survey.source, ["comments", "images", "requests"], ["gender"])
    JointCounts(SYNTHETIC, 10 cells, 3 risks, 1,252 children)
    """
    by = [name for name in by if name != COUNTRY]
    check_names(codebook, risks, by)
    if weights not in JOINT_WEIGHTS:
        problem = Problem("E195", "no such weighting", "weights", 1, f"choose among {', '.join(JOINT_WEIGHTS)}")
        raise InputError([problem], codebook.study_id)
    raise_if_stopping(declared_problems(codebook, risks, base, impossible), codebook.study_id)
    position = {name: place for place, name in enumerate(risks)}
    pairs = sorted({tuple(sorted((position[one], position[other]))) for one, other in impossible})
    return collapsed_joint(codebook, source, risks, by, base, weights, [(one, other) for one, other in pairs])


def collapsed_joint(
    codebook: Codebook,
    source: SourceTable,
    risks: Sequence[str],
    by: Sequence[str],
    base: Base | None,
    weights: JointWeights,
    impossible: Sequence[tuple[int, int]],
) -> JointCounts:
    """Count joint answers of risks that the codebook allows together; see `joint_counts`."""
    totals = collapse(codebook, source, risks, by, base=base, pairs=False)
    coded = code_patterns(count_patterns(codebook, source, risks, by), totals.bases)
    if not coded.some.any():
        remedy = "check the codes, and who was asked"
        raise InputError([Problem("E101", "no child answered any of the risks", "risks", 0, remedy)], codebook.study_id)
    tallies = joint_tallies(coded)
    warnings = raise_if_stopping(counted_problems(tallies, impossible), codebook.study_id)
    penalty, notes = _design_penalty(totals) if weights == "effective" else (None, [])
    notes = [*totals.notes, *children_without_answers(coded.patterns, coded.some, coded.asked), *notes]
    notes += answers_unknown(coded.patterns, coded.answers, coded.some)
    return _counts(coded, totals.bases[0], penalty, impossible, (*notes, *warnings))


def code_patterns(patterns: Patterns, bases: Sequence[Base]) -> CodedPatterns:
    """Code every answer as 1, 0 or unknown by its denominator.

    Parameters
    ----------
    patterns
        What `count_patterns` gave.
    bases
        Denominator of every risk.
    """
    raw = patterns.answers
    inside = np.stack([np.isin(raw[:, place], base_codes(base)) for place, base in enumerate(bases)], axis=1)
    answers = np.where(inside, (raw == 1).astype(np.int64), UNKNOWN)
    put = ~np.isin(raw, (MISSING_CODE["not_asked"], MISSING_CODE["not_fielded"]))
    return CodedPatterns(patterns, answers, (answers != UNKNOWN).any(axis=1), put.any(axis=1))


def joint_tallies(coded: CodedPatterns) -> JointTallies:
    """Add up what the checks look at, unweighted."""
    patterns, n = coded.patterns, coded.patterns.n
    countries, country = patterns.factors[0], patterns.index[:, 0]
    yes, known = (coded.answers == 1).astype(float), (coded.answers != UNKNOWN).astype(float)
    no = known - yes

    def per_country(values: FloatArray) -> FloatArray:
        return np.stack([values[country == number].sum(axis=0) for number in range(len(countries))])

    return JointTallies(
        names=patterns.indicators.levels,
        countries=countries.labels,
        together=(yes * n[:, None]).T @ yes,
        answered=(known * n[:, None]).T @ known,
        first_only=(yes * n[:, None]).T @ no,
        known=per_country(known * n[:, None]),
        children=per_country(n * coded.some),
        unasked=per_country((patterns.answers == MISSING_CODE["not_asked"]) * n[:, None]),
        everyone=per_country(n),
    )


def _design_penalty(totals: SurveyTotals) -> tuple[FloatArray, list[Problem]]:
    """Mean over the risks of design-based variance over that of the weights alone, per country; and what differs."""
    with np.errstate(invalid="ignore"):  # a country that did not ask: nothing is measured there, nothing is used
        clustering = measure_clustering(totals)
    country = totals.units[COUNTRY].to_numpy(np.int64)
    size, risks = len(totals.factors[0]), len(totals.indicators)
    # Of two risks that a country did not ask, nothing is shared; variances do not need it.
    clustering = replace(clustering, shared=np.broadcast_to(np.eye(risks), clustering.shared.shape))
    ratio = np.full((size, risks), np.nan)
    clustered = totals.has_psu or totals.replicate_variance is not None
    for number in range(size):
        rows = country == number
        weight, square = totals.sums[:, rows, 2].sum(axis=1), totals.sums[:, rows, 4].sum(axis=1)
        variance, _ = cell_covariance(totals, clustering, number, np.zeros(int(rows.sum()), dtype=np.int64))
        few_psus = float(t_penalty(clustering.degrees[number])) if clustered else 1.0
        asked = weight > 0
        kish = weight[asked] ** 2 / square[asked]
        ratio[number, asked] = variance[0, asked] / few_psus * kish
    known = np.isfinite(ratio)
    mean = np.where(known, ratio, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, 1.0), design_effects_that_differ(ratio, mean, totals.indicators.levels)


def _counts(
    coded: CodedPatterns,
    base: Base,
    penalty: FloatArray | None,
    impossible: Sequence[tuple[int, int]],
    warnings: tuple[Problem, ...],
) -> JointCounts:
    """Cells and their patterns; `penalty` None: every child counts as one."""
    patterns = coded.patterns
    weight_of = patterns.n if penalty is None else patterns.weight
    used = coded.some & (weight_of > 0)
    index, cell = np.unique(patterns.index[used], axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    size = len(index)
    n = np.bincount(cell, patterns.n[used], size)
    weight = np.bincount(cell, weight_of[used], size)
    effective = n
    if penalty is not None:
        kish = weight**2 / np.bincount(cell, patterns.weight_squared[used], size)
        effective = np.minimum(kish / penalty[index[:, 0]], n)
    rows = np.column_stack([cell, coded.answers[used]])
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    of_pattern = np.bincount(place.reshape(-1), weight_of[used], len(distinct))
    count = of_pattern / weight[distinct[:, 0]] * effective[distinct[:, 0]]
    factors, index = _factors_that_occur(patterns.factors, index)
    return JointCounts(
        factors=factors,
        risks=patterns.indicators,
        index=index,
        n=n,
        weight=significant(_weight_of_the_asked(coded, weight_of, used, cell, size)),
        n_effective=significant(effective),
        cell=distinct[:, 0],
        answers=distinct[:, 1:],
        count=significant(count),
        base=base,
        impossible=tuple(impossible),
        children=np.bincount(place.reshape(-1), patterns.n[used], len(distinct)),
        synthetic=patterns.synthetic,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _weight_of_the_asked(
    coded: CodedPatterns, weight_of: FloatArray, used: npt.NDArray[np.bool_], cell: IntArray, size: int
) -> FloatArray:
    """Weight of the children each cell stands for: those put a question, answered or not."""
    patterns = coded.patterns
    cells = {tuple(levels): number for levels, number in zip(patterns.index[used].tolist(), cell, strict=True)}
    of_all = np.array([cells.get(tuple(levels), -1) for levels in patterns.index.tolist()])
    inside = coded.asked & (of_all >= 0)
    return np.bincount(of_all[inside], weight_of[inside], size)


def _factors_that_occur(factors: Sequence[Factor], index: IntArray) -> tuple[tuple[Factor, ...], IntArray]:
    """Leave out levels without a cell."""
    kept, columns = [], []
    for factor, column in zip(factors, index.T, strict=True):
        used = np.unique(column)
        kept.append(Factor(factor.name, tuple(factor.levels[k] for k in used), tuple(factor.labels[k] for k in used)))
        columns.append(np.searchsorted(used, column))
    return tuple(kept), np.column_stack(columns)
