"""What a codebook says of itself must fit together: names declared, codes given once, no circles."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Answers, Codebook, Condition, Indicator, Variable
from riskmodels.survey.codebook.shape import CodebookShape
from riskmodels.survey.countries import is_country
from riskmodels.vocabulary import COUNTRY, INDICATOR, RESERVED_NAMES

#: Names that coded data use themselves.
TAKEN = frozenset({COUNTRY, INDICATOR, "weight", "stratum", "psu", "child_id", "children"}) | RESERVED_NAMES


def check_consistency(codebook: Codebook, shape: CodebookShape) -> list[Problem]:
    """Run every rule on a codebook whose shape is right."""
    rules = (
        _check_names(codebook, shape),
        _check_references(codebook, shape),
        _check_circles(codebook),
        _check_codes(codebook),
        _check_answers(codebook, shape),
        _check_countries(codebook),
        _check_numbers(codebook, shape),
    )
    return [problem for found in rules for problem in found]


def _check_names(codebook: Codebook, shape: CodebookShape) -> list[Problem]:
    problems = []
    groups = [list(shape.variables), list(shape.indicators), list(shape.scales), list(shape.response_sets)]
    every = [name for group in groups for name in group]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        problems.append(
            Problem("E150", "a name stands for two things", ", ".join(twice), len(twice), "rename one of them")
        )
    taken = sorted(name for name in every if name in TAKEN)
    if taken:
        problems.append(
            Problem("E195", "names that riskmodels uses itself", ", ".join(taken), len(taken), "rename them")
        )
    odd = sorted(
        name
        for name in every
        if not name or len(name) > 60 or any(sign in name for sign in '."\n\\') or name.startswith("raw:")
    )
    if odd:
        problems.append(
            Problem(
                "E195",
                "names that are empty, longer than 60 signs or hold dots or quotes",
                "variables or indicators",
                len(odd),
                "use letters, digits and underscores",
            )
        )
    return problems


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "declare it, or correct the name"


def _conditions(codebook: Codebook) -> list[tuple[str, Condition]]:
    found = [("eligibility", condition) for condition in codebook.eligibility]
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    return found + [(f"{part.name}.asked_if", part.asked_if) for part in parts if part.asked_if is not None]


def _check_references(codebook: Codebook, shape: CodebookShape) -> list[Problem]:
    problems = []
    askable: dict[str, Variable | Indicator] = {**codebook.variables, **codebook.indicators}
    for where, condition in _conditions(codebook):
        part = askable.get(condition.name)
        if part is None:
            problems.append(
                Problem(
                    "E145",
                    "a condition names something not declared",
                    f"{where}: {condition.name}",
                    1,
                    _near(condition.name, askable),
                )
            )
            continue
        is_number = isinstance(part, Variable) and part.is_number
        if is_number and condition.levels:
            problems.append(
                Problem("E195", "a number has no levels", f"{where}: {condition.name}", 1, "give low and high")
            )
        if not is_number:
            known = ("no", "yes") if isinstance(part, Indicator) else tuple(part.answers.levels)
            wrong = [level for level in condition.levels if level not in known]
            if wrong or not condition.levels:
                problems.append(
                    Problem(
                        "E145",
                        "a condition names levels that are not declared",
                        f"{where}: {condition.name}",
                        max(1, len(wrong)),
                        f"choose among {', '.join(known)}",
                    )
                )
    for indicator in codebook.indicators.values():
        for name in indicator.any_of:
            if name not in codebook.indicators:
                problems.append(
                    Problem(
                        "E145",
                        "any_of names an indicator not declared",
                        f"{indicator.name}: {name}",
                        1,
                        _near(name, codebook.indicators),
                    )
                )
    for scale in codebook.scales.values():
        for name in (*scale.items, *scale.reverse):
            if name not in codebook.variables:
                problems.append(
                    Problem(
                        "E145",
                        "a scale names a variable not declared",
                        f"{scale.name}: {name}",
                        1,
                        _near(name, codebook.variables),
                    )
                )
        if scale.at_least > len(scale.items):
            problems.append(Problem("E195", "at_least exceeds the number of items", scale.name, 1, "lower it"))
        if not scale.items or set(scale.reverse) - set(scale.items):
            problems.append(
                Problem(
                    "E195",
                    "a scale without items, or with reversed items that are not among them",
                    scale.name,
                    1,
                    "list the items",
                )
            )
    asked = {name: part.asked_if for name, part in shape.variables.items()}
    asked |= {name: part.asked_if for name, part in shape.indicators.items()}
    several = [f"{name}.asked_if" for name, conditions in asked.items() if len(conditions) > 1]
    if several:
        problems.append(
            Problem(
                "E195",
                "asked_if holds more than one condition",
                ", ".join(several),
                len(several),
                "declare an indicator that joins them (any_of)",
            )
        )
    return problems


def _check_circles(codebook: Codebook) -> list[Problem]:
    """E195: something that rests on itself, by any_of or asked_if."""
    rests_on: dict[str, list[str]] = {}
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    for part in parts:
        rests_on[part.name] = [part.asked_if.name] if part.asked_if else []
        rests_on[part.name] += part.any_of if isinstance(part, Indicator) else ()
    done: set[str] = set()
    circles: list[str] = []
    for start in rests_on:
        stack: list[tuple[str, int]] = [(start, 0)]
        open_names: list[str] = []
        while stack:
            name, place = stack.pop()
            if place == 0:
                if name in done:
                    continue
                if name in open_names:
                    circles.append(name)
                    continue
                open_names.append(name)
            others = [other for other in rests_on.get(name, []) if other in rests_on]
            if place < len(others):
                stack += [(name, place + 1), (others[place], 0)]
            else:
                done.add(name)
                if name in open_names:
                    open_names.remove(name)
    unique = list(dict.fromkeys(circles))
    return (
        [Problem("E195", "something rests on itself", ", ".join(unique), len(unique), "mend any_of or asked_if")]
        if unique
        else []
    )


def _all_answers(codebook: Codebook) -> list[tuple[str, Answers]]:
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    found: list[tuple[str, Answers]] = [(part.name, part.answers) for part in parts if part.answers is not None]
    return found + [
        (f"{part.name} in {country}", answers) for part in parts for country, answers in part.by_country.items()
    ]


def same_code(code: int | float | str) -> str:
    """Write a code so that 1, 1.0 and "1" are the same."""
    try:
        return f"{float(code):g}"
    except ValueError:
        return str(code).strip()


def _check_codes(codebook: Codebook) -> list[Problem]:
    """E150: one code that means two things."""
    problems = []
    for where, answers in _all_answers(codebook):
        codes = [
            same_code(code) for group in (answers.levels, answers.missing) for own in group.values() for code in own
        ]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            problems.append(
                Problem(
                    "E150",
                    "a code means two things",
                    f"{where}: {', '.join(twice[:5])}",
                    len(twice),
                    "give every code once",
                )
            )
        empty = [level for level, own in answers.levels.items() if not own]
        if empty:
            problems.append(
                Problem(
                    "E195",
                    "a level (or yes, or no) without codes",
                    f"{where}: {', '.join(empty[:5])}",
                    len(empty),
                    "give its codes",
                )
            )
    return problems


def _check_answers(codebook: Codebook, shape: CodebookShape) -> list[Problem]:
    problems = []
    for name, found in shape.indicators.items():
        if found.any_of and found.asked_if:
            where = f"{name}.asked_if"
            what = "a union rests on what its parts were asked"
            problems.append(Problem("E195", what, where, 1, "give asked_if to the parts, and remove it here"))
        if bool(found.any_of) == (found.column is not None):
            problems.append(
                Problem("E195", "an indicator has either a column or any_of", name, 1, "give one of the two")
            )
    for name, variable in shape.variables.items():
        unknown = sorted(set(variable.labels) - set(variable.levels))
        if unknown:
            problems.append(
                Problem(
                    "E145",
                    "labels for levels that are not declared",
                    f"{name}: {', '.join(unknown[:5])}",
                    len(unknown),
                    "declare the level, or remove the label",
                )
            )
        for country, other in variable.by_country.items():
            if other.levels is not None and list(other.levels) != list(variable.levels):
                problems.append(
                    Problem(
                        "E145",
                        "a country's levels are not those of the variable",
                        f"{name} in {country}",
                        1,
                        "use the same level names in the same order",
                    )
                )
    return problems


def _check_countries(codebook: Codebook) -> list[Problem]:
    design = codebook.design
    problems = []
    used = list(design.countries.values()) or ([design.one_country] if design.one_country else [])
    unknown = sorted({code for code in used if not is_country(code)})
    if unknown and not codebook.synthetic:
        problems.append(
            Problem(
                "E172",
                "country codes not in ISO 3166-1 alpha-3",
                ", ".join(unknown[:8]),
                len(unknown),
                "write the three-letter code, e.g. VNM for Viet Nam",
            )
        )
    if design.country is not None and design.one_country is not None:
        problems.append(Problem("E195", "one_country beside a country column", "design", 1, "give one of the two"))
    if used:
        named: Mapping[str, object] = {country: 1 for _, part in _named_countries(codebook) for country in part}
        strange = sorted(set(named) - set(used))
        if strange:
            problems.append(
                Problem(
                    "E145",
                    "by_country or country_labels name countries that the study does not have",
                    ", ".join(strange[:8]),
                    len(strange),
                    "correct the code, or declare it in [design] countries",
                )
            )
    return problems


def _named_countries(codebook: Codebook) -> list[tuple[str, list[str]]]:
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    return [
        ("country_labels", list(codebook.design.country_labels)),
        *((part.name, list(part.by_country)) for part in parts),
    ]


def _check_numbers(codebook: Codebook, shape: CodebookShape) -> list[Problem]:
    problems = []
    for name, variable in codebook.variables.items():
        if not variable.is_number and (variable.low is not None or variable.high is not None):
            problems.append(
                Problem("E195", "low and high belong to numbers", name, 1, "remove them, or remove the levels")
            )
        if variable.low is not None and variable.high is not None and variable.low > variable.high:
            problems.append(Problem("E195", "low exceeds high", name, 1, "swap them"))
    replicates = shape.design.replicates
    if replicates is not None:
        if not replicates.columns:
            problems.append(
                Problem("E195", "replicate weights without columns", "design.replicates", 1, "list the columns")
            )
        if replicates.rscales is not None and len(replicates.rscales) != len(replicates.columns):
            problems.append(
                Problem(
                    "E195",
                    "one rscale per replicate is needed",
                    "design.replicates",
                    len(replicates.rscales),
                    "give as many as columns",
                )
            )
        if replicates.kind == "jackknife-n" and replicates.rscales is None:
            problems.append(
                Problem(
                    "E195", "jackknife-n needs rscales", "design.replicates", 1, "give the factor of every replicate"
                )
            )
    return problems
