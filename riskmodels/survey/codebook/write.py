"""Write a codebook as TOML that reads back as the same codebook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.read import codebook_from_toml
from riskmodels.survey.codebook.records import (
    Answers,
    Codebook,
    Condition,
    DesignColumns,
    Indicator,
    Replicates,
    Scale,
    Variable,
)
from riskmodels.vocabulary import MISSING_KINDS

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(name: str) -> str:
    """Write a name as a TOML key, in quotes where it needs them."""
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)


def toml_value(value: Any) -> str:
    """Write a value on one line: text, number, true or false, list or table."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{toml_key(name)} = {toml_value(one)}" for name, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    return repr(value)


def toml_table(place: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[str]:
    """Write the lines of one table, leaving out what is None."""
    yield ""
    yield f"[{'.'.join(map(toml_key, place))}]"
    for name, value in values.items():
        if value is not None:
            yield f"{toml_key(name)} = {toml_value(value)}"


def codebook_to_toml(codebook: Codebook) -> str:
    """Write a codebook as the text of a codebook file.

    Parameters
    ----------
    codebook
        Any codebook that `read_codebook` could have given.

    Returns
    -------
    str
        TOML with one table per variable, indicator, response set and scale, in their order; `codebook_from_toml` gives
        the same codebook back. Comments of a file it came from are lost.

    Raises
    ------
    InputError
        The problems of a codebook that breaks a rule of the format; E195 where the format cannot express it.

    Examples
    --------
    >>> from riskmodels.survey.codebook.read import codebook_from_toml
    >>> text = '''
    ... [study]
    ... id = "example"
    ... population = "internet users aged 12-17"
    ... file = "survey.sav"
    ... [design]
    ... one_country = "KEN"
    ... '''
    >>> codebook_from_toml(codebook_to_toml(codebook_from_toml(text))) == codebook_from_toml(text)
    True
    """
    text = "\n".join(_lines(codebook)).lstrip("\n") + "\n"
    again = codebook_from_toml(text, codebook.folder)
    if again != replace(codebook, folder=str(codebook.folder)):
        what = "the codebook holds something that the format cannot express"
        remedy = "name options parent.dimension.option or set.option, declared after their parent, with labels"
        raise InputError([Problem("E195", what, "codebook", 1, remedy)], codebook.study_id)
    return text


def _lines(codebook: Codebook) -> Iterator[str]:
    study = {
        "id": codebook.study_id,
        "title": codebook.title,
        "population": codebook.population,
        "file": codebook.file,
        "synthetic": codebook.synthetic,
        "citation": codebook.citation or None,
    }
    yield from toml_table(("study",), study)
    yield from _design(codebook.design)
    if codebook.eligibility:
        yield from toml_table(("eligibility",), {one.name: _condition(one) for one in codebook.eligibility})
    for variable in codebook.variables.values():
        yield from _variable(variable)
    options = {name for members in codebook.response_sets.values() for name in members}
    for indicator in codebook.indicators.values():
        if indicator.name not in options:
            yield from _indicator(indicator, codebook)
    for name, members in codebook.response_sets.items():
        given = [codebook.indicators[member] for member in members if member in codebook.indicators]
        if given and given[0].follows is None:
            shared = {**_about(given[0]), "asked_if": _asked_if(given[0].asked_if)}
            yield from _options(("response_sets", name), given, shared)
    for scale in codebook.scales.values():
        yield from _scale(scale)


def _design(design: DesignColumns) -> Iterator[str]:
    names = ("country", "one_country", "countries", "country_labels", "weight", "stratum", "psu", "child_id")
    values = {name: getattr(design, name) or None for name in names}
    yield from toml_table(("design",), {**values, "lonely_psu": design.lonely_psu})
    if design.replicates is not None:
        yield from _replicates(design.replicates)


def _replicates(replicates: Replicates) -> Iterator[str]:
    values = {
        "columns": replicates.columns,
        "kind": replicates.kind,
        "fay": replicates.fay or None,
        "scale": replicates.scale,
        "rscales": replicates.rscales,
    }
    yield from toml_table(("design", "replicates"), values)


def _condition(condition: Condition) -> Any:
    if condition.levels:
        return condition.levels
    return {key: value for key in ("low", "high") if (value := getattr(condition, key)) is not None}


def _asked_if(condition: Condition | None) -> Any:
    return None if condition is None else {condition.name: _condition(condition)}


def _missing(answers: Answers) -> dict[str, Any]:
    return {kind: answers.missing[kind] for kind in MISSING_KINDS if kind in answers.missing}


def _country_answers(answers: Answers) -> dict[str, Any]:
    return {"column": answers.column, "levels": answers.levels or None, "missing": _missing(answers)}


def _variable(variable: Variable) -> Iterator[str]:
    place, answers = ("variables", variable.name), variable.answers
    values = {
        "column": answers.column,
        "label": variable.label,
        "levels": answers.levels or None,
        "labels": dict(zip(answers.levels, variable.labels)) or None,
        "ordered": variable.ordered or None,
        "low": variable.low,
        "high": variable.high,
        "missing": _missing(answers) or None,
        "dimension": variable.dimension,
        "asked_if": _asked_if(variable.asked_if),
    }
    yield from toml_table(place, values)
    for country, there in variable.by_country.items():
        yield from toml_table((*place, "by_country", country), _country_answers(there))


def _codes(answers: Answers) -> dict[str, Any]:
    return {"yes": answers.levels.get("yes"), "no": answers.levels.get("no"), "missing": _missing(answers)}


def _about(indicator: Indicator) -> dict[str, Any]:
    return {"base": indicator.base, "recall": indicator.recall, "sensitive": indicator.sensitive}


def _indicator(indicator: Indicator, codebook: Codebook) -> Iterator[str]:
    place, answers = ("indicators", indicator.name), indicator.answers
    values: dict[str, Any] = {"label": indicator.label, "any_of": indicator.any_of or None}
    if answers is not None:
        values = {"column": answers.column, "label": indicator.label, **_codes(answers)}
        values["missing"] = values["missing"] or None
    yield from toml_table(place, {**values, **_about(indicator), "asked_if": _asked_if(indicator.asked_if)})
    for country, there in indicator.by_country.items():
        yield from toml_table((*place, "by_country", country), {"column": there.column, **_codes(there)})
    for members in codebook.response_sets.values():
        given = [codebook.indicators[member] for member in members if member in codebook.indicators]
        if given and given[0].follows == indicator.name and given[0].dimension is not None:
            yield from _options((*place, "follow_ups", given[0].dimension), given, _about(given[0]))


def _options(place: tuple[str, ...], options: list[Indicator], shared: Mapping[str, Any]) -> Iterator[str]:
    """Write a question with several options; codes that all options share stand once."""
    codes = [_codes(one.answers) for one in options if one.answers is not None]
    common = {key: codes[0][key] for key in ("yes", "no", "missing") if all(one[key] == codes[0][key] for one in codes)}
    yield from toml_table(place, {**{key: value for key, value in common.items() if value}, **shared})
    for option, own in zip(options, codes):
        where = (*place, "options", option.name.rpartition(".")[2])
        rest = {key: value for key, value in own.items() if key not in common}
        column = option.answers.column if option.answers is not None else None
        yield from toml_table(where, {"column": column, "label": option.label, **rest})
        for country, there in option.by_country.items():
            yield from toml_table((*where, "by_country", country), {"column": there.column, **_codes(there)})


def _scale(scale: Scale) -> Iterator[str]:
    values = {
        "label": scale.label,
        "items": scale.items,
        "rule": scale.rule,
        "at_least": scale.at_least,
        "reverse": scale.reverse or None,
    }
    yield from toml_table(("scales", scale.name), values)
