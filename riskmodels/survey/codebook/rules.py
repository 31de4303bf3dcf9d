"""Rules between the parts of a codebook: references, codes that mean two things, cycles, countries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from riskmodels.errors import Problem
from riskmodels.survey.codebook.local import range_problems
from riskmodels.survey.codebook.records import (
    Answers,
    Code,
    Codebook,
    Condition,
    DesignColumns,
    Indicator,
    Scale,
    Variable,
)
from riskmodels.survey.codebook.wording import dotted, fault, nearest, offer, shown, undeclared
from riskmodels.survey.countries import ISO_ALPHA_3, POOLED_CODES, is_country

YES_NO = ("no", "yes")


def place_of(part: Variable | Indicator) -> tuple[str, ...]:
    """Where a variable or an indicator is declared in the file."""
    if isinstance(part, Variable):
        return ("variables", part.name)
    names = part.name.split(".")
    if part.follows is not None and part.dimension is not None:
        return ("indicators", part.follows, "follow_ups", part.dimension, "options", names[-1])
    return ("response_sets", names[0], "options", names[1]) if len(names) == 2 else ("indicators", part.name)


def same_code(code: Code) -> str:
    """Text by which two ways of writing one code are known as the same: 1, 1.0 and "1"."""
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)


def answer_problems(answers: Answers, place: tuple[str, ...]) -> Iterator[Problem]:
    """E150: a code that stands twice in a level, in two levels, or in a level and a kind of missing."""
    seen: dict[str, str] = {}
    for name, codes in (*answers.levels.items(), *answers.missing.items()):
        for code in codes:
            first = seen.setdefault(same_code(code), name)
            if first != name:
                what = f"code {shown(code)} stands for both {shown(first)} and {shown(name)}"
                yield fault(what, dotted(*place), "a code means one thing: take it out of one of the two", "E150")
        if len({same_code(code) for code in codes}) < len(codes):
            yield fault(f"a code stands twice under {shown(name)}", dotted(*place), "write it once", "E150")


def code_problems(codebook: Codebook) -> Iterator[Problem]:
    """E150 for every column, in every country."""
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    for part in parts:
        if part.answers is not None:
            yield from answer_problems(part.answers, place_of(part))
        for country, answers in part.by_country.items():
            yield from answer_problems(answers, (*place_of(part), "by_country", country))


def shared_name_problems(names: Mapping[str, Iterable[str]]) -> Iterator[Problem]:
    """E150: one name for two things; `names` by section of the file."""
    seen: dict[str, str] = {}
    for section, declared in names.items():
        for name in declared:
            first = seen.setdefault(name, section)
            if first != section:
                what = f"{shown(name)} is declared under {first} and under {section}"
                yield fault(what, dotted(section, name), "rename one of the two", "E150")


class References:
    """Looks names up; those of faulty tables (`unread`) are known but not judged further."""

    def __init__(self, codebook: Codebook, unread: frozenset[str]) -> None:
        self.codebook = codebook
        self.unread = unread

    def is_unread(self, name: str) -> bool:
        """Whether the name belongs to a table that is faulty itself."""
        return name.split(".")[0] in self.unread

    def condition(self, condition: Condition, place: tuple[str, ...]) -> Iterator[Problem]:
        """E145, E195: a condition on something undeclared, or that fits it not."""
        name, where = condition.name, dotted(*place)
        variable = self.codebook.variables.get(name)
        known = [*self.codebook.variables, *self.codebook.indicators]
        if variable is None and name not in self.codebook.indicators:
            if not self.is_unread(name):
                yield undeclared("variables and indicators", name, known, where)
            return
        ranged = condition.low is not None or condition.high is not None
        yield from range_problems(condition.low, condition.high, where)
        if variable is not None and variable.is_number:
            if condition.levels or not ranged:
                yield fault(f"{shown(name)} is a number", where, "write a range, e.g. { low = 12, high = 17 }")
            return
        levels = tuple(variable.answers.levels) if variable is not None else YES_NO
        if ranged or not condition.levels:
            yield fault(f"{shown(name)} has levels, no range", where, f'name levels, e.g. ["{shown(levels[-1])}"]')
        for level in condition.levels:
            if level not in levels:
                remedy = offer(level, levels, f"write one of {', '.join(map(shown, levels[:8]))}")
                yield fault(f"{shown(level)} is not a level of {shown(name)}", where, remedy, "E145")

    def any_of(self, indicator: Indicator) -> Iterator[Problem]:
        """E145: a union of something undeclared."""
        where = dotted("indicators", indicator.name, "any_of")
        for name in indicator.any_of:
            if name not in self.codebook.indicators and not self.is_unread(name):
                yield undeclared("indicators", name, self.codebook.indicators, where)

    def scale(self, scale: Scale) -> Iterator[Problem]:
        """E145, E195: items that are no variables, or that cannot be counted."""
        where = dotted("scales", scale.name, "items")
        for item in scale.items:
            variable = self.codebook.variables.get(item)
            if variable is None:
                if not self.is_unread(item):
                    yield undeclared("variables", item, self.codebook.variables, where)
            elif not variable.is_number and not variable.ordered and len(variable.answers.levels) > 2:
                what = f"{shown(item)} has levels in no order and cannot be counted"
                yield fault(what, where, "write ordered = true in the variable if its levels are steps of one scale")
            elif variable.is_number and item in scale.reverse and (variable.low is None or variable.high is None):
                what = f"{shown(item)} is a number without low and high and cannot be reversed"
                yield fault(what, where, "give the variable low and high")


def reference_problems(codebook: Codebook, unread: frozenset[str]) -> Iterator[Problem]:
    """E145, E195 for everything that names something else."""
    look = References(codebook, unread)
    for condition in codebook.eligibility:
        yield from look.condition(condition, ("eligibility", condition.name))
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    asked: dict[tuple[str, ...], Condition] = {}
    for part in parts:
        if part.asked_if is not None and getattr(part, "follows", None) is None:
            place = place_of(part)
            asked[(*(place[:2] if place[0] == "response_sets" else place), "asked_if")] = part.asked_if
    for place, condition in asked.items():
        yield from look.condition(condition, place)
    for indicator in codebook.indicators.values():
        yield from look.any_of(indicator)
    for scale in codebook.scales.values():
        yield from look.scale(scale)


def cycle_problems(codebook: Codebook) -> Iterator[Problem]:
    """E195: something that in the end is made of, or asked because of, itself."""
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    needs = {part.name: set(getattr(part, "any_of", ())) for part in parts}
    for part in parts:
        if part.asked_if is not None:
            needs[part.name].add(part.asked_if.name)
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle = list(dict.fromkeys(error.args[1]))
            names = " -> ".join(shown(name) for name in [*circle[:6], circle[0]])
            remedy = "take one of them out of any_of or asked_if of another"
            yield fault(f"any_of or asked_if goes in a circle: {names}", shown(circle[0]), remedy, count=len(circle))
            needs = {name: others - set(circle) for name, others in needs.items() if name not in circle}
        else:
            return


def country_problems(codebook: Codebook) -> Iterator[Problem]:
    """E172, E145: country codes that are none, or that no row of the file can have."""
    design = codebook.design
    used = tuple(dict.fromkeys(design.countries.values())) or ((design.one_country,) if design.one_country else ())
    for code in used:
        where = "design.one_country" if design.one_country else "design.countries"
        yield from _country_problem(code, where, codebook.synthetic)
    parts: list[Variable | Indicator] = [*codebook.variables.values(), *codebook.indicators.values()]
    named: list[tuple[str, tuple[str, ...]]] = [
        (code, ("design", "country_labels", code)) for code in design.country_labels
    ]
    named += [(code, (*place_of(part), "by_country", code)) for part in parts for code in part.by_country]
    for code, place in named:
        if not used:
            yield from _country_problem(code, dotted(*place), codebook.synthetic)
        elif code not in used:
            yield undeclared("countries of the design", code, used, dotted(*place))


def _country_problem(code: str, where: str, synthetic: bool) -> Iterator[Problem]:
    if code.upper() in POOLED_CODES:
        remedy = "name the country, or rename it if it is invented"
        yield fault(f"{shown(code)} stands for several countries together", where, remedy, "E172")
    elif not synthetic and not is_country(code):
        near = nearest(code, sorted(ISO_ALPHA_3)) if len(code) == 3 else []
        hint = f", e.g. {', '.join(near)}" if near else ", e.g. VNM for Viet Nam"
        remedy = f"write the ISO 3166 alpha-3 code{hint}; invented countries need study.synthetic = true"
        yield fault(f"{shown(code)} is not a country code", where, remedy, "E172")


def check_codebook(codebook: Codebook, unread: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Run every rule between the parts of a codebook; `unread`: names of tables left out because they are faulty."""
    yield from code_problems(codebook)
    yield from reference_problems(codebook, unread)
    yield from cycle_problems(codebook)
    yield from country_problems(codebook)


def no_design() -> DesignColumns:
    """Stand-in for a sampling design that is faulty, so that the rest can be checked."""
    return DesignColumns()
