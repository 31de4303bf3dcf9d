"""A first codebook from a file's own labels, for the user to finish: guesses marked as guesses."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from riskmodels.survey.codebook import guess
from riskmodels.survey.codebook.guess import Role
from riskmodels.survey.codebook.local import LONGEST_NAME
from riskmodels.survey.codebook.records import Code
from riskmodels.survey.codebook.rules import same_code
from riskmodels.survey.codebook.shape import LARGEST_CODE, LONGEST_TEXT
from riskmodels.survey.codebook.wording import shown
from riskmodels.survey.codebook.write import toml_key, toml_value
from riskmodels.survey.countries import country_code
from riskmodels.survey.source import ColumnInfo, SourceTable
from riskmodels.vocabulary import ALL_LEVELS, COUNTRY, INDICATOR, MISSING_KINDS, RESERVED_NAMES

ROLES: tuple[Role, ...] = ("country", "weight", "stratum", "psu", "child_id")


@dataclass
class _Reading:
    """How the labels of one column are read: answers and kinds of missing, with the codes of each."""

    answers: list[tuple[Code, str]] = field(default_factory=list)
    missing: dict[str, list[Code]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def draft_codebook(source: SourceTable, value_counts: Mapping[str, Mapping[Code, int]] | None = None) -> str:
    """Write a first codebook from what a data file says about its own columns.

    Parameters
    ----------
    source
        The file; only names, labels, value labels and marked missing codes of its columns are used.
    value_counts
        Column -> code -> rows, where known. Used only to tell whether a column holds codes that have no label; no
        code or count of it is written.

    Returns
    -------
    str
        TOML. ``# guess:`` marks what was guessed, ``# TODO:`` what the user must decide. The keys left empty in
        [study] and [design] must be filled before `read_codebook` accepts it; everything else already reads.

    Examples
    --------
    >>> from pathlib import Path
    >>> from riskmodels.survey.source import ColumnInfo, SourceTable
    >>> asked = ColumnInfo("Q7", "Threatened online", {1.0: "Yes", 2.0: "No", 888.0: "Prefer not to say"})
    >>> text = draft_codebook(SourceTable((asked,), None, Path("survey.sav"), "sav"))
    >>> print(text[text.index("[indicators.q7]"):])
    [indicators.q7]
    # guess: a yes/no question. TODO: check the codes, rename it, and set base, recall and sensitive
    column = "Q7"
    label = "Threatened online"
    yes = [1]
    no = [2]
    missing = { prefer_not_to_say = [888] }  # guess: from the labels
    base = "all asked"  # TODO: "all asked" or "valid answers"
    recall = ""  # TODO: e.g. "past year"
    sensitive = true  # TODO: false only if the stricter release rules need not hold
    <BLANKLINE>
    """
    roles = _roles(source)
    lines = [*_header(source), *_design(source, roles)]
    taken: set[str] = set()
    members = {column: name for name, columns in source.response_sets.items() for column in columns}
    written: set[str] = set()
    for column in source.columns:
        if column.name in roles.values():
            continue
        question = members.get(column.name)
        if question is None:
            lines += _column(column, value_counts, taken)
        elif question not in written:
            written.add(question)
            lines += _response_set(question, source, value_counts, taken)
    return "\n".join(lines) + "\n"


def _header(source: SourceTable) -> Iterator[str]:
    stem = re.sub(r"[^\w.-]+", "-", source.path.stem)[:LONGEST_NAME].strip("-") or "study"
    yield "# First draft of a codebook, from the labels of the data file. Work through every TODO, check every guess."
    yield "# Leave out what is not needed: only columns named here are read."
    yield ""
    yield "[study]"
    yield f"id = {toml_value(stem)}  # guess: from the name of the file"
    yield 'title = ""  # TODO: words for people'
    yield 'population = ""  # TODO: who was asked, e.g. "internet users aged 12-17"'
    yield f"file = {toml_value(_clean(source.path.name))}"
    yield "synthetic = false  # TODO: true if the children are made up"
    yield 'citation = ""  # TODO: how to cite the study'


def _roles(source: SourceTable) -> dict[Role, str]:
    """Best column for each part of the design; a column takes one part only."""
    found: dict[Role, str] = {}
    for role in ROLES:
        ranked = [
            (rank, place, column.name)
            for place, column in enumerate(source.columns)
            if column.name not in found.values()
            and _is_line(column.name)
            and (rank := guess.role_rank(column, role)) is not None
        ]
        if ranked:
            found[role] = min(ranked)[2]
    return found


def _design(source: SourceTable, roles: Mapping[Role, str]) -> Iterator[str]:
    yield ""
    yield "[design]"
    for role in ROLES:
        if role in roles:
            others = [
                toml_value(column.name)
                for column in source.columns
                if column.name != roles[role] and guess.role_rank(column, role) is not None and _is_line(column.name)
            ]
            also = f"; or one of {', '.join(others[:5])}?" if others else ""
            yield f"{role} = {toml_value(roles[role])}  # guess: from its name or label{also} TODO: check"
            if role == "country":
                yield from _countries(source.info(roles[role]))
        elif role == "country":
            yield 'one_country = ""  # TODO: three-letter code of the one country, or country = "its column"'
        else:
            yield f'# {role} = ""  # TODO: column, if the file has one'


def _countries(column: ColumnInfo | None) -> Iterator[str]:
    reading = _read(column, None) if column is not None else _Reading()
    if not reading.answers:
        return
    pairs = {str(code): label for code, label in reading.answers}
    known = {code: country_code(label) for code, label in pairs.items()}
    if all(known.values()) and len(set(known.values())) == len(known):
        yield f"countries = {toml_value(known)}  # guess: from the labels"
        if known != pairs:
            yield f"# in the file: {'; '.join(f'{code} is {shown(label)}' for code, label in pairs.items())}"
        return
    yield "# TODO: write the three-letter code of each country, then take the # away"
    yield f"# countries = {toml_value(dict.fromkeys(pairs, ''))}"
    yield f"# in the file: {'; '.join(f'{code} is {shown(label)}' for code, label in pairs.items())}"


def _column(column: ColumnInfo, counts: Mapping[str, Mapping[Code, int]] | None, taken: set[str]) -> Iterator[str]:
    """Lines of one column: an indicator, a variable with levels, a number, or a note why it is left out."""
    yield ""
    if not _is_line(column.name):
        yield "# TODO: left out: a column whose name is empty or holds control characters; rename it in the file"
        return
    if guess.may_identify(column):
        yield f"# guess: left out: column {toml_value(column.name)} may tell who a child is"
        return
    reading = _read(column, None if counts is None else counts.get(column.name))
    labels = [label for _, label in reading.answers]
    if not reading.answers and not column.numeric:
        yield f"# TODO: left out: column {toml_value(column.name)} holds text without labels; free text stays out,"
        yield "# for an answer in words declare a variable with its levels"
    elif not reading.answers:
        yield from _number(column, reading, taken)
    elif _yes_codes(reading) is not None:
        yield from _indicator(column, reading, taken)
    else:
        yield from _variable(column, reading, taken, guess.are_steps(labels, column.measure))


def _read(column: ColumnInfo, counts: Mapping[Code, int] | None) -> _Reading:
    """Part the value labels into answers and kinds of missing; only marked or labelled codes are named."""
    reading = _Reading()
    marked = {same_code(code): code for code in map(_code, column.missing_codes) if code is not None}
    labelled: dict[Code, str] = {}
    seen: set[str] = set()
    for raw, label in column.value_labels.items():
        code = _code(raw)
        if code is None:
            reading.remarks.append("TODO: a label belongs to a code that cannot be declared; mend it in the file")
        elif same_code(code) not in seen:
            seen.add(same_code(code))
            labelled[code] = _clean(label)
    for code, label in labelled.items():
        kind = guess.missing_kind_of(label)
        if kind is None and same_code(code) in marked:
            kind = "system_missing"
            reading.remarks.append(f"TODO: {code} ({shown(label)}) is marked missing in the file: which kind?")
        if kind is None:
            reading.answers.append((code, label))
        else:
            reading.missing.setdefault(kind, []).append(code)
    for code in sorted((code for text, code in marked.items() if text not in seen), key=str):
        reading.missing.setdefault("system_missing", []).append(code)
        reading.remarks.append(f"TODO: {code} is marked missing in the file and has no label: which kind?")
    _look_for_unlabelled(column, reading, {*seen, *marked}, counts)
    return reading


def _look_for_unlabelled(
    column: ColumnInfo, reading: _Reading, known: set[str], counts: Mapping[Code, int] | None
) -> None:
    """Take labels at the ends of a number for what they are; warn where codes lack a label."""
    codes = [_code(code) for code, rows in (counts or {}).items() if rows > 0]
    held = {same_code(code) for code in codes if code not in (None, "")}
    unlabelled = len(held - known)
    if column.numeric and reading.answers and unlabelled > len(reading.answers):
        reading.answers.clear()
        reading.remarks.append("guess: a number; labels stand on some of its values only")
    elif unlabelled and reading.answers:
        reading.remarks.append("TODO: the column holds codes without a label: add them, or they stop the reading")


def _yes_codes(reading: _Reading) -> tuple[list[Code], list[Code]] | None:
    """Codes of yes and of no where the labels are yes and no, or never and more; else None."""
    yes = [code for code, label in reading.answers if guess.is_yes(label)]
    no = [code for code, label in reading.answers if guess.is_no(label)]
    if len(yes) == 1 and len(no) == 1 and len(reading.answers) == 2 and yes != no:
        return yes, no
    never = [code for code, label in reading.answers if guess.is_never(label)]
    if len(never) == 1 and len(reading.answers) >= 3 and never[0] in (reading.answers[0][0], reading.answers[-1][0]):
        return [code for code, _ in reading.answers if code != never[0]], never
    return None


def _indicator(column: ColumnInfo, reading: _Reading, taken: set[str]) -> Iterator[str]:
    codes = _yes_codes(reading)
    if codes is None:
        return
    yes, no = codes
    what = "a yes/no question" if len(reading.answers) == 2 else "a frequency; yes is everything but never"
    yield f"[indicators.{toml_key(_name(column.name, taken))}]"
    yield f"# guess: {what}. TODO: check the codes, rename it, and set base, recall and sensitive"
    if len(reading.answers) > 2:
        yield f"# in the file: {'; '.join(f'{code} is {shown(label)}' for code, label in reading.answers)}"
    yield from _common(column, reading)
    yield f"yes = {toml_value(yes)}"
    yield f"no = {toml_value(no)}"
    yield from _missing(reading)
    yield 'base = "all asked"  # TODO: "all asked" or "valid answers"'
    yield 'recall = ""  # TODO: e.g. "past year"'
    yield "sensitive = true  # TODO: false only if the stricter release rules need not hold"


def _variable(column: ColumnInfo, reading: _Reading, taken: set[str], ordered: bool) -> Iterator[str]:
    dimension = guess.dimension_of(column)
    levels: dict[str, list[Code]] = {}
    labels: dict[str, str] = {}
    used: set[str] = set()
    for code, label in reading.answers:
        level = _level(label, used)
        levels[level], labels[level] = [code], label
    yield f"[variables.{toml_key(_name(column.name, taken))}]"
    yield "# guess: a variable with levels. TODO: check their order and names"
    yield from _common(column, reading)
    yield f"levels = {toml_value(levels)}"
    if all(_is_line(label) for label in labels.values()):
        yield f"labels = {toml_value(labels)}"
    if ordered:
        yield "ordered = true  # guess: steps of one scale"
    yield from _missing(reading)
    if dimension:
        yield f"dimension = {toml_value(dimension)}  # guess: from its name or label"


def _number(column: ColumnInfo, reading: _Reading, taken: set[str]) -> Iterator[str]:
    dimension = guess.dimension_of(column)
    yield f"[variables.{toml_key(_name(column.name, taken))}]"
    yield "# guess: a number. TODO: give low and high, or levels if its values are codes, or leave it out"
    yield from _common(column, reading)
    yield "# low = 0  # TODO: lowest value that can be true"
    yield "# high = 99  # TODO: highest value that can be true"
    yield from _missing(reading)
    if dimension:
        yield f"dimension = {toml_value(dimension)}  # guess: from its name or label"


def _response_set(
    question: str, source: SourceTable, counts: Mapping[str, Mapping[Code, int]] | None, taken: set[str]
) -> Iterator[str]:
    """Lines of a multiple-response set that the file declares, and of those of its columns that fit it not."""
    columns = [
        column for name in dict.fromkeys(source.response_sets[question]) if (column := source.info(name)) is not None
    ]
    fitting, misfits = [], []
    for column in columns:
        reading = _read(column, None if counts is None else counts.get(column.name))
        codes = _yes_codes(reading)
        if codes is None or not _is_line(column.name):
            misfits.append(column)
        else:
            fitting.append((column, codes, reading))
    if fitting:
        name = _name(question.lstrip("$"), taken)
        yield ""
        yield f"[response_sets.{toml_key(name)}]"
        yield "# guess: several answers allowed, as the file declares. TODO: check, rename, or make it a follow-up:"
        yield "# [indicators.NAME.follow_ups.channel], .perpetrator, .told or .why_not_told"
        yield 'base = "all asked"  # TODO: "all asked" or "valid answers"'
        used: set[str] = set()
        for column, (yes, no), reading in fitting:
            yield ""
            yield f"[response_sets.{toml_key(name)}.options.{toml_key(_name(column.name, used))}]"
            yield from _common(column, reading)
            yield f"yes = {toml_value(yes)}"
            yield f"no = {toml_value(no)}"
            yield from _missing(reading)
    for column in misfits:
        yield from _column(column, counts, taken)


def _common(column: ColumnInfo, reading: _Reading) -> Iterator[str]:
    for remark in dict.fromkeys(reading.remarks):
        yield f"# {remark}"
    yield f"column = {toml_value(column.name)}"
    yield f"label = {toml_value(_clean(column.label))}"


def _missing(reading: _Reading) -> Iterator[str]:
    if reading.missing:
        kinds = {kind: reading.missing[kind] for kind in MISSING_KINDS if kind in reading.missing}
        yield f"missing = {toml_value(kinds)}  # guess: from the labels"


def _code(raw: object) -> Code | None:
    """Write a code as a codebook does, whole numbers without a point; None where it can be none."""
    if isinstance(raw, str):
        text = raw.strip()
        return text if _is_line(text) else None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw) or abs(raw) > LARGEST_CODE:
        return None
    return int(raw) if float(raw).is_integer() else float(raw)


def _is_line(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST_TEXT and _clean(text) == text


def _clean(text: str) -> str:
    """Turn line breaks into blanks and take out what TOML cannot hold."""
    kept = " ".join(text.split()) if any(letter.isspace() and letter != " " for letter in text) else text
    return "".join(letter for letter in kept if unicodedata.category(letter) not in {"Cc", "Cs"})[:LONGEST_TEXT]


def _slug(text: str) -> str:
    joined = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", _clean(text)).lower()).strip("_")
    return unicodedata.normalize("NFC", joined)[: LONGEST_NAME - 10]


def _unused(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free


def _name(text: str, taken: set[str]) -> str:
    """Make a name for a column that is free and allowed."""
    name = _slug(text)
    if not f"_{name}".isidentifier() or not name:
        name = "column"
    if name in RESERVED_NAMES | {COUNTRY, INDICATOR, ALL_LEVELS}:
        name = f"{name}_in_file"
    return _unused(name, taken)


def _level(label: str, taken: set[str]) -> str:
    """Make a name for a level that is free and allowed."""
    level = _slug(label) or "level"
    if level in MISSING_KINDS or level == ALL_LEVELS or not level.isprintable():
        level = f"level_{level}" if level.isprintable() else "level"
    return _unused(level, taken)
