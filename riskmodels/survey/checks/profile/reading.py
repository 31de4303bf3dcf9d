"""What a raw value means by the codebook: the reading of `design.coding`, for values already counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from riskmodels.survey.codebook.records import Answers, Code, Codebook, Condition, Indicator, Variable
from riskmodels.vocabulary import ASKED_BUT_MISSING, MISSING_KINDS, MissingKind

Part = Variable | Indicator
#: Kinds of missing answers of children who were not to answer.
NOT_TO_ANSWER: tuple[MissingKind, ...] = ("not_asked", "not_fielded")


class Raw(NamedTuple):
    """One distinct value of a column: its number, its text, the reason why it is missing; all None where empty."""

    number: float | None
    text: str | None
    reason: str | None


class Reading(NamedTuple):
    """What a value means: a level, a kind of missing answer, a number, or (all None) nothing that is declared."""

    level: str | None = None
    missing: MissingKind | None = None
    number: float | None = None


EMPTY = Raw(None, None, None)
UNDECLARED = Reading()


@dataclass(frozen=True)
class ColumnKind:
    """How the codes of a column are compared: as numbers, and with Stata's reasons where the file has them."""

    numeric: bool = True
    has_reason: bool = False


def as_number(code: Code) -> float | None:
    """Give the number that a declared code stands for; None for text and Stata's ".a"."""
    if isinstance(code, str) and code.startswith("."):
        return None
    try:
        number = float(code)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def means(raw: Raw, code: Code, column: ColumnKind) -> bool:
    """Whether a value is this declared code.

    Examples
    --------
    >>> means(Raw(1.0, None, None), 1, ColumnKind()), means(Raw(1.0, "01", None), "1", ColumnKind(numeric=False))
    (True, True)
    """
    if raw.number is not None and raw.number == as_number(code):
        return True
    if not isinstance(code, str):
        return False
    if len(code) == 2 and code.startswith("."):
        return column.has_reason and raw.reason == code
    return not column.numeric and raw.text == code


def read_value(raw: Raw, answers: Answers, column: ColumnKind) -> Reading:
    """Read one value: first empty, then the kinds of missing, then the levels (or, for a number, the number)."""
    if raw == EMPTY:
        return Reading(missing="system_missing")
    for kind, codes in answers.missing.items():
        if any(means(raw, code, column) for code in codes):
            return Reading(missing=kind)
    for level, codes in answers.levels.items():
        if any(means(raw, code, column) for code in codes):
            return Reading(level=level)
    return UNDECLARED if answers.levels or raw.number is None else Reading(number=raw.number)


def find(codebook: Codebook, name: str) -> Part | None:
    """Look a variable or an indicator up."""
    return codebook.variables.get(name) or codebook.indicators.get(name)


def answers_in(part: Part, country: str | None) -> Answers | None:
    """How a question is read in a country; None for the union of several."""
    return part.by_country.get(country, part.answers) if country is not None else part.answers


def own_columns(part: Part) -> tuple[str, ...]:
    """Columns in which a question's answers stand, over all countries."""
    answers = (part.answers, *part.by_country.values())
    return tuple(dict.fromkeys(found.column for found in answers if found is not None))


def columns_below(codebook: Codebook, name: str, seen: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Columns that decide what a question's coded answer is: its own, those it is the union of, and of its skips."""
    part = find(codebook, name)
    if part is None or name in seen:
        return ()
    rests_on = [*(part.any_of if isinstance(part, Indicator) else ()), *([part.asked_if.name] if part.asked_if else [])]
    below = [column for other in rests_on for column in columns_below(codebook, other, (*seen, name))]
    return tuple(dict.fromkeys([*own_columns(part), *below]))


class Child(NamedTuple):
    """Values of some columns that children of one country share."""

    country: str | None
    values: Mapping[str, Raw]


class Reader:
    """Reads children's shared values by the codebook, remembering what it has read.

    Parameters
    ----------
    codebook
        What codes mean.
    columns
        How each column's codes are compared.
    """

    def __init__(self, codebook: Codebook, columns: Mapping[str, ColumnKind]) -> None:
        self.codebook = codebook
        self.columns = columns
        self._known: dict[tuple[str, str | None, Raw], Reading] = {}

    def part(self, name: str) -> Part:
        """Look up a question that the codebook declares."""
        found = find(self.codebook, name)
        if found is None:
            raise KeyError(name)
        return found

    def raw_reading(self, name: str, country: str | None, raw: Raw) -> Reading:
        """Read the value of a question's own column."""
        key = (name, country, raw)
        if key not in self._known:
            part = find(self.codebook, name)
            answers = None if part is None else answers_in(part, country)
            column = None if answers is None else self.columns.get(answers.column, ColumnKind())
            self._known[key] = (
                Reading(missing="system_missing")
                if answers is None or column is None
                else read_value(raw, answers, column)
            )
        return self._known[key]

    def coded(self, name: str, child: Child, seen: tuple[str, ...] = ()) -> Reading:
        """Read a question's coded answer, skip patterns and unions heeded."""
        part = find(self.codebook, name)
        if part is None or name in seen:
            return Reading(missing="system_missing")
        path = (*seen, name)
        if isinstance(part, Indicator) and part.any_of:
            return _union([self.coded(other, child, path) for other in part.any_of])
        if part.asked_if is not None and not self.fulfils(part.asked_if, child, path):
            return Reading(missing="not_asked")
        answers = answers_in(part, child.country)
        return (
            UNDECLARED
            if answers is None
            else self.raw_reading(name, child.country, child.values.get(answers.column, EMPTY))
        )

    def fulfils(self, condition: Condition, child: Child, seen: tuple[str, ...] = ()) -> bool:
        """Whether a child fulfils a condition; a condition on a name that is not declared holds for all."""
        part = find(self.codebook, condition.name)
        if part is None:
            return True
        reading = self.coded(condition.name, child, seen)
        if isinstance(part, Variable) and part.is_number:
            low = -math.inf if condition.low is None else condition.low
            high = math.inf if condition.high is None else condition.high
            return reading.number is not None and low <= reading.number <= high
        return reading.level is not None and reading.level in condition.levels


def _union(parts: list[Reading]) -> Reading:
    """Yes if any is yes, no if all that were asked are no, else the first kind of missing that occurs."""
    if UNDECLARED in parts:
        return UNDECLARED
    levels = {part.level for part in parts}
    kinds = [kind for kind in MISSING_KINDS if any(part.missing == kind for part in parts)]
    unknown = [kind for kind in kinds if kind not in NOT_TO_ANSWER]
    if "yes" in levels:
        return Reading(level="yes")
    if unknown:
        return Reading(missing=unknown[0])
    return Reading(level="no") if "no" in levels else Reading(missing=kinds[0] if kinds else "system_missing")


def in_base(reading: Reading, base: str) -> bool:
    """Whether an answer belongs to an indicator's denominator."""
    return reading.level is not None or (base == "all asked" and reading.missing in ASKED_BUT_MISSING)
