"""Checks of survey microdata: a file is profiled once, every rule reads the profile, all problems come at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from riskmodels.errors import Problem
from riskmodels.survey.checks.profile.make import profile_source
from riskmodels.survey.checks.profile.records import Profile
from riskmodels.survey.checks.rules import answers, codings, countries, design, groups, weights
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.source import SourceTable

__all__ = ["Profile", "check_survey", "profile_source"]

#: Rules that need the profile and the codebook only.
RULES: tuple[Callable[[Profile, Codebook], list[Problem]], ...] = (
    groups.check_rows,
    countries.check_country_codes,
    weights.check_weight_values,
    weights.check_weight_spread,
    weights.check_weight_scales,
    weights.check_weight_kind,
    design.check_nesting,
    design.check_single_psus,
    design.check_missing_units,
    design.check_identifiers,
    design.check_design_spelling,
    answers.check_values,
    answers.check_unused_levels,
    answers.check_ranges,
    answers.check_skips,
    groups.check_fielded,
    groups.check_extremes,
    groups.check_small_bases,
    groups.check_twins,
    groups.check_empty_groups,
    codings.check_reversed_countries,
)


def check_survey(profile: Profile, codebook: Codebook, source: SourceTable, by: Sequence[str] = ()) -> list[Problem]:
    """Run every rule of the catalogue on a profiled survey.

    Parameters
    ----------
    profile
        Counts and sums of the file, from `profile_source` (give it the same `by`).
    codebook
        What the codes mean.
    source
        Only what the file says about itself is read: column names, labels, user-missing codes. No row.
    by
        What the estimates are to be broken down by; ``"country"`` asks for a comparison of countries (E142).

    Returns
    -------
    list of Problem
        All problems: E (stops) first, then W (warns) and I (notes), each kind in the order of the codes. No child's
        value is in any of them, and no count under 10 of answers.
    """
    asked = tuple(by)
    found = [one for rule in RULES for one in rule(profile, codebook)]
    found += countries.check_names(profile, codebook, source, asked)
    found += groups.check_countries_enough(profile, codebook, asked)
    found += codings.check_labels_of_yes(codebook, source)
    found += codings.check_missing_as_valid(profile, codebook, source)
    found += codings.check_labels(codebook, source)
    return sorted(found, key=lambda one: ("EWI".index(one.code[0]), one.code))
