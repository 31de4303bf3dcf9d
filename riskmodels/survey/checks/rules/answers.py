"""Rules for the values of questions: E160, W161, E163, E164, E166, E173, W182. Counts are of codes, never of children."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from riskmodels.errors import Problem
from riskmodels.survey.checks.catalogue import SMALL_CELL, listed, problem, rows_in_words
from riskmodels.survey.checks.profile.reading import Part, answers_in, as_number, find
from riskmodels.survey.checks.profile.records import Profile, Tally, country_names
from riskmodels.survey.checks.profile.tallies import NOT_KEPT
from riskmodels.survey.codebook.records import Codebook, Variable
from riskmodels.vocabulary import COUNTRY

#: Longest text of a code that is named.
LONGEST_CODE = 20
NUMBERS = ("number", "fraction", "infinite", "below", "above")
#: Empty answers among children who were to answer are named from this share on.
OFTEN_EMPTY = 0.01


def parts_of(codebook: Codebook) -> dict[str, Part]:
    """Variables and indicators by name."""
    return {**codebook.variables, **codebook.indicators}


def _where(part: Part) -> str:
    columns = dict.fromkeys(found.column for found in (part.answers, *part.by_country.values()) if found is not None)
    return f"{part.name} ({', '.join(columns)})"


def _gates(codebook: Codebook) -> set[str]:
    """Variables that decide who is eligible: their values count for every row of the file."""
    return {condition.name for condition in codebook.eligibility}


def _seen(profile: Profile, codebook: Codebook, name: str) -> Iterable[Tally]:
    return profile.answers.get(name, ()) if name in _gates(codebook) else profile.analysed(name)


def _undeclared(tally: Tally) -> bool:
    return tally.reading.level is None and tally.reading.missing is None and tally.reading.number is None


def _whole_codes(part: Part, country: str | None) -> bool:
    answers = answers_in(part, country)
    codes = [code for group in answers.levels.values() for code in group] if answers else []
    numbers = [as_number(code) for code in codes]
    return bool(codes) and all(number is not None and number == math.floor(number) for number in numbers)


def _sort_undeclared(part: Part, tallies: Iterable[Tally]) -> dict[str, list[Tally]]:
    """Divide values that nothing declares by what is wrong with them: E173, E163, E164 or E160."""
    seen = list(tallies)
    has_numbers = any(tally.kind in NUMBERS for tally in seen)
    has_text = any(tally.kind == "text" for tally in seen)
    found: dict[str, list[Tally]] = defaultdict(list)
    for tally in seen:
        if not _undeclared(tally):
            if tally.reading.number is not None and math.isinf(tally.reading.number):
                found["E163"].append(tally)
        elif tally.kind in ("comma", "date"):
            found["E173"].append(tally)
        elif (isinstance(part, Variable) and part.is_number) or _strays(tally, seen, has_numbers and has_text):
            found["E163" if tally.kind != "reason" else "E160"].append(tally)
        elif tally.kind == "fraction" and _whole_codes(part, tally.country):
            found["E164"].append(tally)
        else:
            found["E160"].append(tally)
    return found


def _strays(tally: Tally, seen: list[Tally], mixed: bool) -> bool:
    """Whether a value is of the type that no declared code of the column has."""
    if not mixed:
        return False
    of_type = (lambda one: one.kind in NUMBERS) if tally.kind in NUMBERS else (lambda one: one.kind == tally.kind)
    return not any(of_type(one) and not _undeclared(one) for one in seen) and any(not _undeclared(one) for one in seen)


def check_values(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E160, E163, E164, E173: values that the codebook does not declare, by what is wrong with them."""
    problems = []
    words: dict[str, Callable[[list[Tally], list[Tally]], tuple[str, str]]] = {
        "E160": lambda wrong, _: _codes_in_words(wrong),
        "E163": lambda wrong, seen: ("", _types_in_words(seen)),
        "E164": lambda wrong, _: ("", rows_in_words(_rows(wrong))),
        "E173": lambda wrong, _: ("", _mangled_in_words(wrong)),
    }
    for name, part in parts_of(codebook).items():
        seen = [tally for tally in _seen(profile, codebook, name) if tally.kind != "empty"]
        for code, wrong in sorted(_sort_undeclared(part, seen).items()):
            named, detail = words[code](wrong, seen)
            values = len({tally.raw for tally in wrong})
            problems.append(problem(code, _where(part) + named, values, detail))
    return problems


def _rows(tallies: Iterable[Tally]) -> int:
    return sum(tally.rows for tally in tallies)


def _codes_in_words(wrong: list[Tally]) -> tuple[str, str]:
    """Name undeclared codes that stand on ten rows or more; the others are counted only."""
    rows: Counter[str | None] = Counter()
    for tally in wrong:
        rows[_code(tally)] += tally.rows
    named = sorted(text for text, count in rows.items() if text and count >= SMALL_CELL and len(text) <= LONGEST_CODE)
    many = " or more" if None in rows else ""
    codes = "1 code" if len(rows) == 1 and not many else f"{len(rows)}{many} codes"
    detail = f"{codes} on {rows_in_words(sum(rows.values()))}"
    return (f": {listed(named)}" if named else ""), detail


def _code(tally: Tally) -> str | None:
    """Write an undeclared code; None where the column has too many values to keep each."""
    if tally.raw == NOT_KEPT:
        return None
    text = tally.raw.text or tally.raw.reason or (f"{tally.raw.number:g}" if tally.raw.number is not None else "")
    return text.removesuffix(".0")


def _types_in_words(seen: list[Tally]) -> str:
    numbers = _rows(tally for tally in seen if tally.kind in NUMBERS and tally.kind != "infinite")
    texts = _rows(tally for tally in seen if tally.kind in ("text", "comma", "date"))
    infinite = _rows(tally for tally in seen if tally.kind == "infinite")
    parts = [("numbers", numbers), ("text", texts), ("infinite", infinite)]
    return ", ".join(f"{name} on {rows_in_words(rows)}" for name, rows in parts if rows)


def _mangled_in_words(wrong: list[Tally]) -> str:
    kinds = sorted({tally.kind for tally in wrong})
    words = {"comma": "decimal commas", "date": "codes turned into dates"}
    return f"{' and '.join(words[kind] for kind in kinds)} on {rows_in_words(_rows(wrong))}"


def check_unused_levels(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W161: levels of variables, and countries of the design, that no child has."""
    found: dict[str, list[str]] = {}
    for name, variable in codebook.variables.items():
        used = {tally.reading.level for tally in _seen(profile, codebook, name)}
        if used - {None}:
            found[name] = [variable.factor.label_of(level) for level in variable.answers.levels if level not in used]
    declared = dict.fromkeys(codebook.design.countries.values())
    if profile.rows:
        labels = codebook.design.country_labels
        found[COUNTRY] = [labels.get(code, code) for code in declared if code not in profile.country_rows]
    named = [f"{name}: {listed(unused)}" for name, unused in found.items() if unused]
    return [problem("W161", "; ".join(named), sum(map(len, found.values())))] if named else []


def check_ranges(profile: Profile, codebook: Codebook) -> list[Problem]:
    """E166: numbers below `low` or above `high`; ages that look like months are said to."""
    problems = []
    for name, variable in codebook.variables.items():
        if not variable.is_number or (variable.low is None and variable.high is None):
            continue
        low, high = (
            (-math.inf if variable.low is None else variable.low),
            (math.inf if variable.high is None else variable.high),
        )
        outside = [tally for tally in _seen(profile, codebook, name) if _is_outside(tally, low, high)]
        if outside:
            months = [
                tally
                for tally in outside
                if tally.reading.number is not None and low <= tally.reading.number / 12 <= high
            ]
            looks = ", most of which look like months" if 2 * _rows(months) > _rows(outside) and low > 0 else ""
            detail = f"{rows_in_words(_rows(outside))} outside {low:g} to {high:g}{looks}"
            problems.append(problem("E166", _where(variable), len({tally.raw for tally in outside}), detail))
    return problems


def _is_outside(tally: Tally, low: float, high: float) -> bool:
    number = tally.reading.number
    if number is None or math.isinf(number):
        return False
    return tally.kind in ("below", "above") or number < low or number > high


def check_skips(profile: Profile, codebook: Codebook) -> list[Problem]:
    """W182: answers of children who were not to answer, and fields empty though the child was to answer."""
    problems = []
    for name, part in parts_of(codebook).items():
        if part.asked_if is None or find(codebook, part.asked_if.name) is None:
            continue
        tallies = profile.analysed(name)
        given = [tally for tally in tallies if not tally.asked and _is_answer(tally)]
        asked = [tally for tally in tallies if tally.asked]
        fielded = {tally.country for tally in asked if tally.kind != "empty"}
        asked = [tally for tally in asked if tally.country in fielded]
        empty = [tally for tally in asked if tally.kind == "empty" or tally.reading.missing == "not_asked"]
        for wrong, words in ((given, "answered though not asked"), (empty, "without an answer though asked")):
            if wrong and (wrong is given or _rows(empty) > OFTEN_EMPTY * _rows(asked)):
                countries = sorted({tally.country for tally in wrong if tally.country is not None})
                detail = f"{words}, {rows_in_words(_rows(wrong))} in {country_names(profile, codebook, countries)}"
                problems.append(problem("W182", _where(part), len(countries), detail))
    return problems


def _is_answer(tally: Tally) -> bool:
    return tally.kind not in ("empty", "reason") and tally.reading.missing not in (
        "not_asked",
        "not_fielded",
        "system_missing",
    )
