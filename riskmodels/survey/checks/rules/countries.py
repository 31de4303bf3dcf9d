"""Rules for country codes and declared names: E172, W172, E132."""

from __future__ import annotations

import difflib

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import SMALL_CELL, listed, problem
from riskmodels.survey.checks.profile.reading import EMPTY, Raw
from riskmodels.survey.checks.profile.records import Profile, country_names
from riskmodels.survey.checks.rules.answers import parts_of
from riskmodels.survey.codebook.records import Codebook, Condition
from riskmodels.survey.countries import is_country
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY

#: What is left of NA and NO after a tool took them for a missing value or for "false".
LOST_CODES = frozenset({"nan", "none", "null", "<na>", "n/a", "false", "true"})


def check_country_codes(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E172: codes that are empty, lost or not declared; W172: codes that are no ISO 3166-1 alpha-3 codes."""
    design = codebook.design
    if design.country is None or design.country in profile.columns.absent:
        return []
    problems = []
    empty = sum(rows for raw, rows in profile.lost_countries if raw == EMPTY)
    if empty:
        problems.append(problem("E172", design.country, empty, "empty"))
    unknown = {raw: rows for raw, rows in profile.lost_countries if raw != EMPTY}
    if unknown:
        named = sorted(_name(raw) for raw, rows in unknown.items() if rows >= SMALL_CELL)
        where = f"{design.country}{': ' + listed(named) if named else ''}"
        rows = sum(unknown.values())
        problems.append(
            problem("E172", where, rows, f"{'1 code' if len(unknown) == 1 else f'{len(unknown)} codes'} not declared")
        )
    if design.countries:
        return problems
    lost = [country for country in profile.countries if country.lower() in LOST_CODES]
    if lost:
        rows = sum(profile.country_rows[country] for country in lost)
        problems.append(problem("E172", design.country, rows, "what is left of NA or NO"))
    other = [country for country in profile.countries if country not in lost and not is_country(country)]
    if other and not codebook.synthetic:
        problems.append(problem("W172", f"{design.country}: {country_names(profile, codebook, other)}", len(other)))
    return problems


def _name(raw: Raw) -> str:
    return (raw.text or raw.reason or f"{raw.number:g}")[:20]


def check_names(profile: Profile, codebook: Codebook, source: SourceTable, by: tuple[str, ...] = ()) -> list[Problem]:
    """E132: declared columns that the file lacks, and names that the codebook uses but does not declare."""
    problems = [
        problem("E132", column, 1, _nearest(column, source.all_columns or [info.name for info in source.columns]))
        for column in profile.columns.absent
    ]
    declared = [*codebook.variables, *codebook.indicators, *codebook.scales]
    for name, place in _names_used(codebook, by).items():
        if name not in declared:
            problems.append(problem("E132", f"{name}, {place}", 1, _nearest(name, declared)))
    return problems


def _nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"nearest: {', '.join(near)}" if near else "nothing like it is there"


def _names_used(codebook: Codebook, by: tuple[str, ...]) -> dict[str, str]:
    """Names that something rests on, with where they are used."""
    found: dict[str, str] = {}

    def use(condition: Condition | None, place: str) -> None:
        if condition is not None:
            found.setdefault(condition.name, place)

    for condition in codebook.eligibility:
        use(condition, "in the eligibility rule")
    for name, part in parts_of(codebook).items():
        use(part.asked_if, f"in asked_if of {name}")
    for name, indicator in codebook.indicators.items():
        for other in (*indicator.any_of, *([indicator.follows] if indicator.follows else [])):
            found.setdefault(other, f"in {name}")
    for name, scale in codebook.scales.items():
        for item in scale.items:
            found.setdefault(item, f"in the scale {name}")
    for name, indicators in codebook.response_sets.items():
        for option in indicators:
            found.setdefault(option, f"in the response set {name}")
    for name in by:
        if name != COUNTRY:
            found.setdefault(name, "in by=")
    return found
