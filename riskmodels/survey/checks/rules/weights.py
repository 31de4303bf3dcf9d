"""Rules for weights: E110, E111, W111, E112, W113, W114, W115."""

from __future__ import annotations

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import MOST_NAMED, SMALLEST_BASE, problem
from riskmodels.survey.checks.profile.records import Profile, Weights, country_names
from riskmodels.survey.codebook.records import Codebook

#: Largest weight over the median, and Kish's design effect, above which W113 warns.
LARGEST_OVER_MEDIAN = 10.0
LARGEST_DESIGN_EFFECT = 2.0
#: Mean weight that counts as normalised, and the one from which it counts the population.
NORMALISED = (0.95, 1.05)
POPULATION_SCALED = 10.0
#: A run of whole numbers 1, 2, ... up to here looks like the codes of strata or of household sizes.
MOST_CODES = 200


def check_weight_values(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E110, E111, W111, E112: weights that are negative, zero, missing, not finite or not a number."""
    where = codebook.design.weight or ""
    rows, unusable, negative, zero = (
        sum(getattr(one, name) for one in profile.weights) for name in ("rows", "unusable", "negative", "zero")
    )
    problems = [problem("E110", where, negative)] if negative else []
    if zero and zero == rows:
        problems.append(problem("E111", where, zero))
    elif zero:
        problems.append(problem("W111", where, zero))
    if unusable:
        problems.append(problem("E112", where, unusable))
    return problems


def check_weight_spread(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W113: a country whose largest weight is over 10 medians, or whose Kish design effect is over 2."""
    found: list[tuple[str, str]] = []
    for one in profile.weights:
        if one.country is None or one.positive < SMALLEST_BASE:
            continue
        ratio, effect = one.largest / one.median, one.positive / one.effective_n
        if not ratio > LARGEST_OVER_MEDIAN and not effect > LARGEST_DESIGN_EFFECT:
            continue
        found.append((one.country, _spread(one, ratio, effect)))
    if not found:
        return []
    named = "; ".join(
        f"{country_names(profile, codebook, (country,))}: {words}" for country, words in found[:MOST_NAMED]
    )
    return [problem("W113", codebook.design.weight or "", len(found), named)]


def _spread(one: Weights, ratio: float, effect: float) -> str:
    return (
        f"largest / median {ratio:.0f}, top 1 % hold {100 * one.top_share:.0f} %, "
        f"Kish design effect {effect:.1f}, effective n {one.effective_n:,.0f} of {one.positive:,}"
    )


def check_weight_scales(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W114: weights that average 1 in some countries and count the population in others."""
    known = [one for one in profile.weights if one.country is not None and one.positive >= SMALLEST_BASE]
    normalised = [one for one in known if NORMALISED[0] <= one.mean <= NORMALISED[1]]
    scaled = [one for one in known if one.mean >= POPULATION_SCALED]
    if not normalised or not scaled:
        return []
    totals = "; ".join(
        f"{country_names(profile, codebook, (one.country or '',))} {one.total:,.0f}"
        for one in [*normalised[:MOST_NAMED], *scaled[:MOST_NAMED]]
    )
    return [problem("W114", codebook.design.weight or "", len(scaled), f"totals {totals}")]


def check_weight_kind(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W115: whole numbers that run 1, 2, 3 ..., or a column that the design names twice."""
    design, every = codebook.design, profile.all_weights
    where = design.weight or ""
    if design.weight is not None and design.weight in (design.stratum, design.psu, design.child_id, design.country):
        return [problem("W115", where, 1, "[design] names the same column twice")]
    if every is None or not every.whole or every.distinct < 2 or every.smallest not in (0, 1):
        return []
    runs_on = every.largest - every.smallest + 1 == every.distinct
    if runs_on and (every.distinct <= MOST_CODES or every.distinct == every.rows):
        return [problem("W115", where, every.distinct, "whole numbers that run on without a gap")]
    return []
