"""Rules for strata, PSUs and identifiers: E120, I120, E121, I121, E122, E150, W150, and spellings (E164, E173)."""

from __future__ import annotations

from collections import defaultdict

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import SMALL_CELL, listed, problem
from riskmodels.survey.checks.profile.records import Profile, Unit, country_names
from riskmodels.survey.codebook.records import Codebook

#: Share of a country's PSU codes in several strata from which the numbering is taken to start again in each.
STARTS_AGAIN = 0.5


def check_nesting(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E120: PSUs in several strata; I120 where so many are that PSU codes plainly start again in each stratum."""
    design = codebook.design
    if design.stratum is None or design.psu is None or {design.stratum, design.psu} & set(profile.columns.absent):
        return []
    strata: dict[str | None, dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for unit in profile.units:
        if unit.psu is not None and unit.stratum is not None:
            strata[unit.country][unit.psu].add(unit.stratum)
    faulty, restarting = 0, []
    for country, psus in strata.items():
        several = sum(len(found) > 1 for found in psus.values())
        if several > STARTS_AGAIN * len(psus):
            restarting.append(country or "")
        else:
            faulty += several
    where = f"{design.psu} in {design.stratum}"
    problems = [problem("E120", where, faulty)] if faulty else []
    if restarting:
        named = country_names(profile, codebook, sorted(restarting))
        problems.append(problem("I120", where, len(restarting), named))
    return problems


def check_single_psus(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E121, or I121 by the policy of the codebook: strata in which one PSU (or one child) stands alone."""
    design = codebook.design
    column = design.psu or design.stratum
    if column is None or column in profile.columns.absent or (design.stratum or "") in profile.columns.absent:
        return []
    psus: dict[tuple[str | None, str | None], list[Unit]] = defaultdict(list)
    for unit in profile.units:
        if (design.psu is None or unit.psu is not None) and (design.stratum is None or unit.stratum is not None):
            psus[unit.country, unit.stratum].append(unit)
    alone = {
        key: units[0].rows
        for key, units in psus.items()
        if (len(units) if design.psu is not None else units[0].rows) == 1
    }
    if not alone:
        return []
    named = [_code(stratum) for (_, stratum), rows in sorted(alone.items(), key=str) if stratum and rows >= SMALL_CELL]
    hidden = len(alone) - len(named)
    parts = [listed(named)] * bool(named) + [f"{hidden} of fewer than {SMALL_CELL} rows, not named"] * bool(hidden)
    policy = design.lonely_psu
    code, detail = ("E121", "") if policy == "error" else ("I121", policy)
    where = f"{design.stratum}: {', '.join(parts)}" if design.stratum else f"{design.psu}, country as stratum"
    return [problem(code, where, len(alone), detail)]


def _code(stratum: str) -> str:
    return stratum[:-2] if stratum.endswith(".0") else stratum[:20]


def check_missing_units(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E122: children without a stratum or without a PSU."""
    problems = []
    for name, column in (("stratum", codebook.design.stratum), ("psu", codebook.design.psu)):
        lacking = sum(unit.rows for unit in profile.units if getattr(unit, name) is None)
        if column is not None and column not in profile.columns.absent and lacking:
            problems.append(problem("E122", column, lacking))
    return problems


def check_identifiers(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E150: identifiers on several rows of a country, with the rows that are identical; W150: rows without one."""
    found, where = profile.identifiers, codebook.design.child_id or ""
    if found is None:
        return []
    problems = []
    if found.repeated:
        detail = f"on {found.rows:,} rows, of which {found.identical:,} repeat another row in full"
        problems.append(problem("E150", where, found.repeated, detail))
    if found.empty:
        problems.append(problem("W150", where, found.empty))
    return problems


def check_design_spelling(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E173: codes of the design rewritten by a spreadsheet; E164: fractions where codes are whole."""
    problems = []
    words = {
        "twice": "codes with and without leading zeros",
        "scientific": "long numbers shortened to powers of ten",
        "dates": "codes turned into dates",
        "commas": "decimal commas",
    }
    for found in profile.spellings:
        for name, what in words.items():
            count = getattr(found, name)
            if count:
                problems.append(problem("E173", found.column, count, what))
        if found.fractions:
            problems.append(problem("E164", found.column, found.fractions))
    return problems
