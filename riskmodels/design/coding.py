"""Answers to codes, as SQL: the same statement codes a frame of a thousand children and a file of a hundred million.

Coded data hold the position of a level (0, 1, ...; for an indicator 0 is no and 1 yes) or the kind of a missing answer
(-1, -2, ... in the order of `vocabulary.MISSING_KINDS`). Numbers stay numbers, empty where no number was given. No
step after this one sees a raw value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.codebook.records import Answers, Code, Codebook, Condition, Indicator, Scale, Variable
from riskmodels.survey.source import REASON_SUFFIX, VIEW, SourceTable
from riskmodels.vocabulary import COUNTRY, MISSING_KINDS, MissingKind

#: Code of every kind of missing answer.
MISSING_CODE: dict[MissingKind, int] = {kind: -1 - place for place, kind in enumerate(MISSING_KINDS)}
#: Code of a value that the codebook does not declare; never silently left out.
UNDECLARED = -99
#: Names of the design's columns in coded data.
WEIGHT, STRATUM, PSU, CHILD = "weight", "stratum", "psu", "child_id"


def quoted(name: str) -> str:
    """Quote a name as SQL does."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Quote a text as SQL does."""
    return "'" + text.replace("'", "''") + "'"


def _as_number(code: Code) -> float | None:
    try:
        number = float(code)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def matches(source: SourceTable, column: str, codes: Iterable[Code]) -> str:
    """SQL condition: the column holds one of these codes; Stata's ".a" is looked up in the column's companion."""
    info = source.info(column)
    name = quoted(column)
    numeric = info is not None and info.numeric
    numbers: list[str] = []
    texts: list[str] = []
    reasons: list[str] = []
    for code in codes:
        number = None if isinstance(code, str) and code.startswith(".") else _as_number(code)
        if number is not None:
            numbers.append(repr(number))
        if isinstance(code, str):
            (reasons if len(code) == 2 and code.startswith(".") else texts).append(text_literal(code))
    parts = []
    if numbers:
        parts.append(f"{name if numeric else f'TRY_CAST({name} AS DOUBLE)'} IN ({', '.join(numbers)})")
    if texts and not numeric:
        parts.append(f"trim(CAST({name} AS VARCHAR)) IN ({', '.join(texts)})")
    if reasons and info is not None and info.has_reason:
        parts.append(f"{quoted(column + REASON_SUFFIX)} IN ({', '.join(reasons)})")
    return f"coalesce({' OR '.join(parts)}, false)" if parts else "false"


def is_empty(source: SourceTable, column: str) -> str:
    """SQL condition: nothing stands in the column (a Stata extended missing value is something)."""
    info = source.info(column)
    name = quoted(column)
    empty = f"{name} IS NULL"
    if info is not None and not info.numeric:
        empty = f"({name} IS NULL OR trim(CAST({name} AS VARCHAR)) = '')"
    elif info is not None:
        empty = f"({name} IS NULL OR isnan({name}))"
    return f"({empty} AND {quoted(column + REASON_SUFFIX)} IS NULL)" if info is not None and info.has_reason else empty


def _coded_answers(source: SourceTable, answers: Answers, order: Sequence[str]) -> str:
    """SQL value: the code of one column's answer."""
    cases = [f"WHEN {is_empty(source, answers.column)} THEN {MISSING_CODE['system_missing']}"]
    for kind, codes in answers.missing.items():
        cases.append(f"WHEN {matches(source, answers.column, codes)} THEN {MISSING_CODE[kind]}")
    for level, codes in answers.levels.items():
        cases.append(f"WHEN {matches(source, answers.column, codes)} THEN {order.index(level)}")
    return f"CASE {' '.join(cases)} ELSE {UNDECLARED} END"


def _number(source: SourceTable, answers: Answers) -> str:
    """SQL value: the number of one column's answer, NULL where it is missing."""
    coded = [code for codes in answers.missing.values() for code in codes]
    value = f"TRY_CAST({quoted(answers.column)} AS DOUBLE)"
    return f"CASE WHEN {is_empty(source, answers.column)} OR {matches(source, answers.column, coded)} THEN NULL ELSE {value} END"


def _per_country(default: str, others: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN {quoted(COUNTRY)} = {text_literal(code)} THEN {value}" for code, value in others.items())
    return f"CASE {cases} ELSE {default} END" if others else default


def _asked(condition: Condition, codebook: Codebook) -> str:
    """SQL condition: a child fulfils `condition`, read from coded columns."""
    name = quoted(condition.name)
    if condition.name in codebook.indicators:
        order: tuple[str, ...] = ("no", "yes")
    else:
        variable = codebook.variables[condition.name]
        if variable.is_number:
            low = -math.inf if condition.low is None else condition.low
            high = math.inf if condition.high is None else condition.high
            bounds = [f"{name} >= {low!r}"] * math.isfinite(low) + [f"{name} <= {high!r}"] * math.isfinite(high)
            return f"coalesce({' AND '.join(bounds) or f'{name} IS NOT NULL'}, false)"
        order = tuple(variable.answers.levels)
    return f"coalesce({name} IN ({', '.join(str(order.index(level)) for level in condition.levels)}), false)"


def country_sql(codebook: Codebook, source: SourceTable) -> str:
    """SQL value: the country's code as used from then on; NULL where the file's code is not declared."""
    design = codebook.design
    if design.country is None:
        return text_literal(design.one_country or "ONE")
    info = source.info(design.country)
    if design.countries:
        cases = " ".join(
            f"WHEN {matches(source, design.country, [code])} THEN {text_literal(country)}"
            for code, country in design.countries.items()
        )
        return f"CASE {cases} END"
    name = quoted(design.country)
    if info is None or info.numeric:
        # A whole number is written without a decimal point, whether the file holds it as 1 or as 1.0.
        whole = f"CAST(CAST({name} AS BIGINT) AS VARCHAR)"
        number = f"TRY_CAST({name} AS DOUBLE)"
        return f"CASE WHEN isnan({number}) THEN NULL WHEN {number} = floor({number}) THEN {whole} ELSE CAST({name} AS VARCHAR) END"
    return f"nullif(trim(CAST({name} AS VARCHAR)), '')"


def _variable_sql(source: SourceTable, variable: Variable) -> str:
    if variable.is_number:
        others = {code: _number(source, answers) for code, answers in variable.by_country.items()}
        return _per_country(_number(source, variable.answers), others)
    order = tuple(variable.answers.levels)
    others = {code: _coded_answers(source, answers, order) for code, answers in variable.by_country.items()}
    return _per_country(_coded_answers(source, variable.answers, order), others)


def _indicator_sql(source: SourceTable, indicator: Indicator) -> str:
    order = ("no", "yes")
    assert indicator.answers is not None
    others = {code: _coded_answers(source, answers, order) for code, answers in indicator.by_country.items()}
    return _per_country(_coded_answers(source, indicator.answers, order), others)


def _any_of_sql(parts: Sequence[str]) -> str:
    """SQL value: yes if any is yes, no if all that were asked are no, else the first kind of missing that occurs."""
    names = [quoted(part) for part in parts]
    unasked = (MISSING_CODE["not_asked"], MISSING_CODE["not_fielded"])
    yes = " OR ".join(f"{name} = 1" for name in names)
    undeclared = " OR ".join(f"{name} = {UNDECLARED}" for name in names)
    unknown = [f"CASE WHEN {name} < 0 AND {name} NOT IN {unasked} THEN {name} END" for name in names]
    no = " OR ".join(f"{name} = 0" for name in names)
    first = f"greatest({', '.join(unknown)})"
    return (
        f"CASE WHEN {undeclared} THEN {UNDECLARED} WHEN {yes} THEN 1 WHEN {first} IS NOT NULL THEN {first} "
        f"WHEN {no} THEN 0 ELSE greatest({', '.join(names)}) END"
    )


def _scale_sql(scale: Scale, codebook: Codebook) -> str:
    """SQL value: a scale's score, NULL where too few items are answered."""
    items = []
    for item in scale.items:
        variable, name = codebook.variables[item], quoted(item)
        value = name if variable.is_number else f"CASE WHEN {name} >= 0 THEN {name} END"
        if item in scale.reverse:
            top = (
                len(variable.answers.levels) - 1
                if not variable.is_number
                else (variable.low or 0) + (variable.high or 0)
            )
            value = f"({top} - ({value}))"
        items.append(f"CAST({value} AS DOUBLE)")
    answered = f"list_count([{', '.join(items)}])"
    mean = f"list_avg([{', '.join(items)}])"
    score = mean if scale.rule == "mean" else f"{mean} * {len(items)}"
    return f"CASE WHEN {answered} >= {max(1, scale.at_least)} THEN {score} END"


def needed(codebook: Codebook, names: Iterable[str]) -> list[str]:
    """Variables, indicators and scales that these names rest on, each before what rests on it.

    Raises
    ------
    InputError
        E132 for names that the codebook does not declare.
    """
    ordered: list[str] = []
    unknown: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name in unknown:
            return
        part = codebook.variables.get(name) or codebook.indicators.get(name) or codebook.scales.get(name)
        if part is None:
            unknown.append(name)
            return
        rests_on: list[str] = list(part.items) if isinstance(part, Scale) else []
        if isinstance(part, Variable | Indicator) and part.asked_if is not None:
            rests_on.append(part.asked_if.name)
        if isinstance(part, Indicator):
            rests_on += part.any_of
        for other in rests_on:
            visit(other)
        ordered.append(name)

    for name in (*(condition.name for condition in codebook.eligibility), *names):
        visit(name)
    declared = ", ".join([*codebook.indicators, *codebook.variables, *codebook.scales][:12])
    raise_if_stopping(
        [
            Problem(
                "E132",
                "a name is not in the codebook",
                ", ".join(unknown),
                len(unknown),
                f"the codebook declares {declared} ...",
            )
        ]
        if unknown
        else [],
        codebook.study_id,
    )
    return ordered


def coded_select(
    codebook: Codebook,
    source: SourceTable,
    names: Iterable[str],
    not_fielded: Mapping[str, Sequence[str]] | None = None,
    *,
    carried: Sequence[str] = (),
) -> str:
    """SQL that gives one coded row per eligible child.

    Parameters
    ----------
    codebook, source
        What the codes mean, and where they stand; the statement reads the view ``source``.
    names
        Variables, indicators and scales wanted; what they rest on comes with them.
    not_fielded
        Name -> countries in which its column is empty throughout.
    carried
        Columns of numbers taken along as they stand, as ``carried:NAME``: replicate weights.

    Returns
    -------
    str
        A SELECT with the columns `country`, `weight` (1 where the file has none), `stratum`, `psu` where declared, and
        one column per name.
    """
    order = needed(codebook, names)
    design = codebook.design
    first = [f"{country_sql(codebook, source)} AS {quoted(COUNTRY)}", "* "]
    base = f"(SELECT {', '.join(first[:1])}, * {_without_country(source)} FROM {VIEW})"
    keep = [quoted(COUNTRY)]
    weight = "1.0" if design.weight is None else f"TRY_CAST({quoted(design.weight)} AS DOUBLE)"
    keep.append(f"{weight} AS {quoted(WEIGHT)}")
    for column, alias in ((design.stratum, STRATUM), (design.psu, PSU)):
        if column is not None:
            keep.append(f"{_design_sql(source, column)} AS {quoted('design:' + alias)}")
    keep += [f"TRY_CAST({quoted(column)} AS DOUBLE) AS {quoted('carried:' + column)}" for column in carried]
    later: list[tuple[str, str]] = []
    for name in order:
        if name in codebook.scales:
            later.append((name, _scale_sql(codebook.scales[name], codebook)))
            continue
        part: Variable | Indicator = (
            codebook.variables[name] if name in codebook.variables else codebook.indicators[name]
        )
        if isinstance(part, Indicator) and part.any_of:
            later.append((name, _any_of_sql(part.any_of)))
        else:
            raw = _variable_sql(source, part) if isinstance(part, Variable) else _indicator_sql(source, part)
            is_number = isinstance(part, Variable) and part.is_number
            countries = (not_fielded or {}).get(name, ())
            if countries and not is_number:
                inside = ", ".join(text_literal(code) for code in countries)
                raw = f"CASE WHEN {quoted(COUNTRY)} IN ({inside}) THEN {MISSING_CODE['not_fielded']} ELSE {raw} END"
            keep.append(f"{raw} AS {quoted('raw:' + name)}")
            asked = "true" if part.asked_if is None else _asked(part.asked_if, codebook)
            skipped = "NULL" if is_number else str(MISSING_CODE["not_asked"])
            fielded = "" if is_number else f" AND {quoted('raw:' + name)} <> {MISSING_CODE['not_fielded']}"
            value = quoted("raw:" + name)
            later.append(
                (
                    name,
                    value if asked == "true" else f"CASE WHEN NOT ({asked}){fielded} THEN {skipped} ELSE {value} END",
                )
            )
    statement = f"SELECT {', '.join(keep)} FROM {base}"
    for name, value in later:
        statement = f"SELECT *, {value} AS {quoted(name)} FROM ({statement})"
    wanted = [quoted(COUNTRY), quoted(WEIGHT)]
    wanted += [
        f"{quoted('design:' + alias)} AS {quoted(alias)}"
        for column, alias in ((design.stratum, STRATUM), (design.psu, PSU))
        if column
    ]
    numbers = {v.name for v in codebook.variables.values() if v.is_number} | set(codebook.scales)
    wanted += [
        quoted(name) if name in numbers else f"CAST({quoted(name)} AS SMALLINT) AS {quoted(name)}"
        for name in dict.fromkeys(names)
    ]
    wanted += [quoted("carried:" + column) for column in carried]
    eligible = " AND ".join(_asked(condition, codebook) for condition in codebook.eligibility) or "true"
    return f"SELECT {', '.join(wanted)} FROM ({statement}) WHERE {eligible}"


def _design_sql(source: SourceTable, column: str) -> str:
    """SQL value: a stratum or PSU as it stands, NULL where empty; numbers are not written out, which takes time."""
    return f"CASE WHEN {is_empty(source, column)} THEN NULL ELSE {quoted(column)} END"


def _without_country(source: SourceTable) -> str:
    """Leave out a column of the file that is itself named "country", whose code replaces it."""
    return f"EXCLUDE ({quoted(COUNTRY)})" if source.info(COUNTRY) is not None else ""


def refuse_undeclared(counts: Mapping[str, int], source: str) -> None:
    """Raise E160 for values that the codebook does not declare, so that none is left out in silence."""
    problems = [
        Problem(
            "E160",
            "values that the codebook does not declare",
            name,
            count,
            "declare them as a level or as a kind of missing answer",
        )
        for name, count in counts.items()
        if count
    ]
    if problems:
        raise InputError(problems, source)
