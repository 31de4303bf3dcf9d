"""Rules for who is left and how many: E101, W102, E130, W131, W140, W141, E142, W143, I144, W146."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import SMALL_CELL, SMALLEST_BASE, listed, problem
from riskmodels.survey.checks.profile.reading import NOT_TO_ANSWER, in_base
from riskmodels.survey.checks.profile.records import Profile, country_names, names_by_countries
from riskmodels.survey.checks.rules.answers import parts_of
from riskmodels.survey.codebook.records import Codebook
from riskmodels.vocabulary import COUNTRY

#: Below this number of countries the spread between them is largely the prior's.
FEW_COUNTRIES = 5


def check_rows(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E101: no row at all, or none that fulfils the eligibility rule, with what each condition leaves."""
    if profile.rows and profile.eligible:
        return []
    left = "; ".join(f"{name} alone leaves {rows:,}" for name, rows in profile.kept)
    detail = f"{profile.rows:,} rows read, {profile.eligible:,} left{'; ' + left if left else ''}"
    return [problem("E101", "eligibility" if profile.rows else codebook.file, profile.rows, detail)]


def check_small_bases(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W102: countries, indicators in a country, and groups asked for with fewer than 25 children."""
    problems = []
    if not profile.eligible:
        return []
    small = [country for country in profile.countries if profile.country_rows[country] < SMALLEST_BASE]
    if small:
        problems.append(problem("W102", f"country: {country_names(profile, codebook, small)}", len(small)))
    low = {
        name: [country for country in sorted(counts) if 0 < counts[country][0] < SMALLEST_BASE and country not in small]
        for name, counts in _bases(profile, codebook).items()
    }
    problems += _by_countries("W102", profile, codebook, low)
    groups = [group for group in profile.groups if None not in group.levels and group.country is not None]
    low_groups = [
        f"{country_names(profile, codebook, (group.country or '',))} {', '.join(level or '' for level in group.levels)}"
        for group in groups
        if group.rows < SMALLEST_BASE and group.country not in small
    ]
    if low_groups:
        problems.append(problem("W102", f"{' x '.join((COUNTRY, *profile.by))}: {listed(low_groups)}", len(low_groups)))
    return problems


def _bases(profile: Profile, codebook: Codebook) -> dict[str, dict[str, list[int]]]:
    """Per indicator and country: children in the base, with a valid answer, with yes, with no valid answer, undeclared."""
    found: dict[str, dict[str, list[int]]] = {}
    for name, indicator in codebook.indicators.items():
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        for tally in profile.analysed(name, asked=True):
            if tally.country is not None:
                row, reading = counts[tally.country], tally.reading
                row[0] += tally.rows * in_base(reading, indicator.base)
                row[1] += tally.rows * (reading.level is not None)
                row[2] += tally.rows * (reading.level == "yes")
                row[3] += tally.rows * (tally.kind != "empty" and reading.missing not in (None, *NOT_TO_ANSWER))
                row[4] += tally.rows * (reading.level is None and reading.missing is None)
        found[name] = dict(counts)
    return found


def check_fielded(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E130: a question empty in every country; W131: the table of countries in which it was fielded and not."""
    nowhere: list[str] = []
    splits: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for name, part in parts_of(codebook).items():
        tallies = profile.analysed(name, asked=True)
        columns = {found.column for found in (part.answers, *part.by_country.values()) if found is not None}
        asked = {tally.country for tally in tallies if tally.country is not None}
        if not asked or columns & set(profile.columns.absent):
            continue
        fielded = {
            tally.country
            for tally in tallies
            if tally.country is not None and tally.kind != "empty" and tally.reading.missing not in NOT_TO_ANSWER
        }
        where = f"{name} ({', '.join(sorted(columns))})"
        if not fielded:
            nowhere.append(where)
        elif asked - fielded:
            splits[tuple(sorted(fielded)), tuple(sorted(asked - fielded))].append(where)
    problems = [problem("E130", listed(nowhere), len(nowhere))] if nowhere else []
    for (yes, no), names in splits.items():
        detail = f"fielded in {country_names(profile, codebook, yes)}; not in {country_names(profile, codebook, no)}"
        problems.append(problem("W131", listed(names), len(no), detail))
    return problems


def check_extremes(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W140: an indicator that is 0 % or 100 % in a country; W146: asked there, but no valid answer.

    Neither is said of a handful of children: that all of them answered alike would be told with it.
    """
    bases = _bases(profile, codebook)
    extreme = {
        name: sorted(c for c, (_, valid, yes, *_) in counts.items() if valid >= SMALLEST_BASE and yes in (0, valid))
        for name, counts in bases.items()
    }
    silent = {
        name: sorted(
            c for c, (_, valid, _, given, other) in counts.items() if given >= SMALL_CELL and not valid + other
        )
        for name, counts in bases.items()
    }
    return [
        *_by_countries("W140", profile, codebook, extreme),
        *_by_countries("W146", profile, codebook, silent),
    ]


def _by_countries(code: str, profile: Profile, codebook: Codebook, found: Mapping[str, Sequence[str]]) -> list[Problem]:
    """One problem for all names; its count is of names in a country."""
    named = {name: countries for name, countries in found.items() if countries}
    count = sum(map(len, named.values()))
    return [problem(code, names_by_countries(profile, codebook, named), count)] if named else []


def check_twins(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W141: two questions whose columns are equal in every row, or that read one column in the same way.

    Collinearity among the predictors of a model is seen only when the model is chosen: the regression looks for it.
    """
    parts = parts_of(codebook)
    same = [
        (one, other)
        for one, other in itertools.combinations(parts, 2)
        if parts[one].answers is not None
        and parts[one].answers == parts[other].answers
        and parts[one].by_country == parts[other].by_country
        and parts[one].asked_if == parts[other].asked_if
    ]
    pairs = [f"{one} and {other}" for one, other in dict.fromkeys((*profile.twins, *same))]
    return [problem("W141", listed(pairs), len(pairs))] if pairs else []


def check_countries_enough(profile: Profile, codebook: Codebook, by: tuple[str, ...] = ()) -> list[Problem]:
    """E142: one country, and countries are to be compared; W143: two to four countries."""
    number = len(profile.countries)
    if number == 1 and COUNTRY in by:
        return [problem("E142", country_names(profile, codebook, profile.countries), 1)]
    if 1 < number < FEW_COUNTRIES:
        return [problem("W143", country_names(profile, codebook, profile.countries), number)]
    return []


def check_empty_groups(profile: Profile, codebook: Codebook) -> list[Problem]:
    """I144: combinations of a country and levels asked for that no child has."""
    if not profile.by:
        return []
    have = {(group.country, group.levels) for group in profile.groups}
    factors = [codebook.variables[name].factor for name in profile.by]
    empty = [
        f"{country_names(profile, codebook, (country,))} {', '.join(f.label_of(level) for f, level in zip(factors, levels))}"
        for country in profile.countries
        for levels in itertools.product(*(factor.levels for factor in factors))
        if (country, levels) not in have
    ]
    return [problem("I144", f"{' x '.join((COUNTRY, *profile.by))}: {listed(empty)}", len(empty))] if empty else []
