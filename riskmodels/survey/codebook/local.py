"""Rules that one table of a codebook must keep by itself, whatever the rest of the file says."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from riskmodels.errors import Problem
from riskmodels.survey.codebook.shape import (
    ConditionShape,
    DesignShape,
    FollowUpShape,
    IndicatorShape,
    OptionsShape,
    RangeShape,
    ReplicatesShape,
    ResponseSetShape,
    ScaleShape,
    VariableShape,
)
from riskmodels.survey.codebook.wording import dotted, fault, offer, shown
from riskmodels.vocabulary import ALL_LEVELS, COUNTRY, INDICATOR, MISSING_KINDS, RESERVED_NAMES

LONGEST_NAME = 100


def name_problems(name: str, place: tuple[str, ...], reserved: bool) -> Iterator[Problem]:
    """E195: a name that could not be used in calls, columns and files; `reserved`: refuse reserved words too."""
    where = dotted(*place)
    if not f"_{name}".isidentifier() or len(name) > LONGEST_NAME or not name:
        yield fault("a name has a sign other than letters, digits and _", where, "rename it, e.g. images_shared")
    elif unicodedata.normalize("NFC", name) != name:
        yield fault("a name is written with separate accents", where, "type the accented letters as single signs")
    elif name == ALL_LEVELS or (reserved and name in RESERVED_NAMES | {COUNTRY, INDICATOR}):
        yield fault(f"{name} is a reserved name", where, f"rename it, e.g. {name}_of_child")


def level_problems(levels: Iterable[str], place: tuple[str, ...]) -> Iterator[Problem]:
    """E195: names of levels that could not be told from a kind of missing or from all levels together."""
    for level in levels:
        where = dotted(*place, level)
        if not level.strip() or level != level.strip() or not level.isprintable() or len(level) > LONGEST_NAME:
            yield fault("the name of a level is empty, too long or has blanks around it", where, "rename the level")
        elif level in MISSING_KINDS:
            yield fault(
                f"{level} is a kind of missing, not a level", where, f"write it as missing = {{ {level} = ... }}"
            )
        elif level == ALL_LEVELS:
            yield fault(f"{ALL_LEVELS} stands for all levels together", where, "rename the level")


def range_problems(low: float | None, high: float | None, where: str) -> Iterator[Problem]:
    """E195: a range that stands upside down."""
    if low is not None and high is not None and low > high:
        yield fault("low is above high", where, "put the lower end into low")


def condition_problems(conditions: Mapping[str, ConditionShape], place: tuple[str, ...]) -> Iterator[Problem]:
    """E195, E150: conditions that nobody or everybody meets, whatever they name."""
    for name, condition in conditions.items():
        where = dotted(*place, name)
        if isinstance(condition, RangeShape):
            yield from range_problems(condition.low, condition.high, where)
            if condition.low is None and condition.high is None:
                yield fault("a range has neither low nor high", where, "write e.g. { low = 12, high = 17 }")
        elif not condition:
            yield fault("no level is named", where, 'write e.g. ["yes"]')
        elif len(set(condition)) < len(condition):
            yield fault("a level is named twice", where, "name every level once", "E150")


def asked_if_problems(asked_if: Mapping[str, ConditionShape] | None, place: tuple[str, ...]) -> Iterator[Problem]:
    """E195: a skip pattern that names none or several."""
    if asked_if is None:
        return
    if len(asked_if) != 1:
        remedy = "name one variable or indicator; for several, declare an indicator with any_of and name that"
        yield fault("asked_if names not exactly one variable or indicator", dotted(*place), remedy, count=len(asked_if))
    yield from condition_problems(asked_if, place)


def variable_problems(name: str, shape: VariableShape) -> Iterator[Problem]:
    """Everything wrong with one variable by itself."""
    place = ("variables", name)
    where = dotted(*place)
    yield from asked_if_problems(shape.asked_if, (*place, "asked_if"))
    yield from range_problems(shape.low, shape.high, where)
    yield from _country_level_problems(place, shape)
    if shape.levels is None:
        for key in ("labels", "ordered"):
            if getattr(shape, key):
                yield fault(f"{key} is given without levels", dotted(*place, key), "declare levels, or leave it out")
        return
    if not shape.levels:
        yield fault("levels is empty", dotted(*place, "levels"), "declare levels, or leave it out for a number")
    if shape.low is not None or shape.high is not None:
        yield fault("low or high is given beside levels", where, "a range is for a number: leave out one of the two")
    yield from level_problems(shape.levels, (*place, "levels"))
    for level in shape.labels:
        if level not in shape.levels:
            remedy = offer(level, shape.levels, "write the name of a level")
            yield fault(f"{shown(level)} is not a level", dotted(*place, "labels", level), remedy, "E145")


def _country_level_problems(place: tuple[str, ...], shape: VariableShape) -> Iterator[Problem]:
    for country, other in shape.by_country.items():
        where = (*place, "by_country", country)
        if not other.model_fields_set:
            yield fault("nothing differs in this country", dotted(*where), "give what differs, or leave it out")
        if other.levels is None:
            continue
        if shape.levels is None:
            yield fault("levels for a variable that is a number elsewhere", dotted(*where), "declare levels above")
            continue
        for level in other.levels:
            if level not in shape.levels:
                remedy = offer(level, shape.levels, "map it onto one of the levels above")
                yield fault(f"{shown(level)} is not a level", dotted(*where, "levels", level), remedy, "E145")
        left = [level for level in shape.levels if level not in other.levels]
        if left:
            remedy = f"name {', '.join(map(shown, left[:5]))} too; write [] for a level this country does not offer"
            yield fault("levels of a country leave some out", dotted(*where, "levels"), remedy, count=len(left))


def indicator_problems(name: str, shape: IndicatorShape) -> Iterator[Problem]:
    """Everything wrong with one indicator by itself, its follow-ups included."""
    place = ("indicators", name)
    yield from asked_if_problems(shape.asked_if, (*place, "asked_if"))
    if shape.any_of is not None:
        for key in ("column", "yes", "no", "missing", "asked_if", "by_country"):
            if key in shape.model_fields_set:
                yield fault(f"{key} is given beside any_of", dotted(*place, key), "leave out one of the two")
        if not shape.any_of:
            yield fault("any_of is empty", dotted(*place, "any_of"), "name the indicators it joins")
        if len(set(shape.any_of)) < len(shape.any_of):
            yield fault("any_of names an indicator twice", dotted(*place, "any_of"), "name each once", "E150")
    else:
        for key in ("column", "yes", "no"):
            if getattr(shape, key) is None:
                yield fault(f"{key} is missing", dotted(*place), f"add {key} = ..., or any_of = [...]")
    for country, other in shape.by_country.items():
        if not other.model_fields_set:
            remedy = "give what differs, or leave it out"
            yield fault("nothing differs in this country", dotted(*place, "by_country", country), remedy)
    if shape.follow_ups is not None:
        for dimension, follow_up in follow_ups_of(shape).items():
            yield from options_problems((*place, "follow_ups", dimension), follow_up)


def follow_ups_of(shape: IndicatorShape) -> dict[str, FollowUpShape]:
    """Follow-ups of an indicator that are given, by dimension: channel, perpetrator, told, why_not_told."""
    given = shape.follow_ups
    fields = type(given).model_fields if given is not None else {}
    return {key: value for key in fields if (value := getattr(given, key)) is not None}


def response_set_problems(name: str, shape: ResponseSetShape) -> Iterator[Problem]:
    """Everything wrong with one multi-response question by itself."""
    yield from asked_if_problems(shape.asked_if, ("response_sets", name, "asked_if"))
    yield from options_problems(("response_sets", name), shape)


def options_problems(place: tuple[str, ...], shape: OptionsShape) -> Iterator[Problem]:
    """E195, E150: options without codes, and options that read the same answer."""
    if not shape.options:
        yield fault("options is empty", dotted(*place, "options"), "give every option its column")
    seen: dict[tuple[str, object], str] = {}
    for option, one in shape.options.items():
        where = (*place, "options", option)
        yield from name_problems(option, where, reserved=False)
        for key in ("yes", "no"):
            if getattr(one, key) is None and getattr(shape, key) is None:
                yield fault(f"{key} is missing", dotted(*where), f"add {key} = [...] once, beside options")
        for country, other in one.by_country.items():
            if not other.model_fields_set:
                remedy = "give what differs, or leave it out"
                yield fault("nothing differs in this country", dotted(*where, "by_country", country), remedy)
        for code in one.yes or shape.yes or ():
            first = seen.setdefault((one.column, code), option)
            if first != option:
                what = f"{shown(first)} and {shown(option)} read the same code of the same column"
                yield fault(what, dotted(*where), "give each option its own column, or its own yes", "E150")
                break


def scale_problems(name: str, shape: ScaleShape) -> Iterator[Problem]:
    """Everything wrong with one scale by itself."""
    place = ("scales", name)
    if len(shape.items) < 2:
        yield fault("a scale has fewer than two items", dotted(*place, "items"), "name its items")
    for key, names in (("items", shape.items), ("reverse", shape.reverse)):
        if len(set(names)) < len(names):
            yield fault(f"{key} names an item twice", dotted(*place, key), "name each once", "E150")
    if not 1 <= shape.at_least <= max(1, len(shape.items)):
        yield fault("at_least is below 1 or above the number of items", dotted(*place, "at_least"), "mend the number")
    for item in shape.reverse:
        if item not in shape.items:
            remedy = offer(item, shape.items, "reverse names items of this scale")
            yield fault(f"{shown(item)} is not an item of this scale", dotted(*place, "reverse"), remedy, "E145")


def design_problems(shape: DesignShape) -> Iterator[Problem]:
    """Everything wrong with the sampling design by itself, the country codes apart."""
    if (shape.country is None) == (shape.one_country is None):
        what = "both country and one_country are given" if shape.country else "neither country nor one_country is given"
        yield fault(what, "design", "name the country column, or the one country of the study")
    if shape.one_country is not None and shape.countries:
        yield fault("countries is given beside one_country", "design.countries", "leave out one of the two")
    for code in shape.countries:
        if not code.strip():
            yield fault("a code of countries is empty", "design.countries", "write the code as it stands in the file")
    if shape.replicates is not None:
        yield from replicates_problems(shape.replicates)


def replicates_problems(shape: ReplicatesShape) -> Iterator[Problem]:
    """E195, E150: replicate weights that no formula fits."""
    place = "design.replicates"
    if len(shape.columns) < 2:
        yield fault("fewer than two replicate weights", f"{place}.columns", "name all their columns")
    if len(set(shape.columns)) < len(shape.columns):
        yield fault("a replicate weight is named twice", f"{place}.columns", "name each once", "E150")
    if shape.kind == "fay" and not 0 < (shape.fay or 0) < 1:
        yield fault("Fay's factor is not between 0 and 1", f"{place}.fay", "write it as the survey's manual gives it")
    if shape.kind != "fay" and shape.fay is not None:
        yield fault("fay is given for another kind", f"{place}.fay", 'write kind = "fay", or leave it out')
    if shape.scale is not None and shape.scale <= 0:
        yield fault("scale is not above 0", f"{place}.scale", "leave it out for the usual one")
    if shape.kind == "jackknife-n" and shape.rscales is None:
        yield fault("rscales is missing", place, "jackknife-n needs one factor per replicate")
    if shape.rscales is not None:
        if len(shape.rscales) != len(shape.columns):
            yield fault(
                "rscales does not hold one factor per replicate", f"{place}.rscales", "give one for each column"
            )
        if any(factor < 0 for factor in shape.rscales):
            yield fault("a factor of rscales is negative", f"{place}.rscales", "factors start at 0")
