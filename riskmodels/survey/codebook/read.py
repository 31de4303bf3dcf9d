"""Read a codebook: TOML -> tables of known keys -> records, with everything that is wrong told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook import build, local
from riskmodels.survey.codebook.records import Codebook, Indicator, Scale, Variable
from riskmodels.survey.codebook.rules import check_codebook, no_design, shared_name_problems
from riskmodels.survey.codebook.shape import (
    CONDITION_TAGS,
    CodebookShape,
    ConditionShape,
    DesignShape,
    IndicatorShape,
    RangeShape,
    ResponseSetShape,
    ScaleShape,
    StudyShape,
    VariableShape,
    table_at,
)
from riskmodels.survey.codebook.wording import dotted, fault, offer

LARGEST_FILE = 4_000_000
#: Problems listed of one codebook; a file with more is not a codebook with slips but something else.
MOST_PROBLEMS = 200
#: A name with a hundred dots: the parser needs time that grows with the square of their number.
_ENDLESS_NAME = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
_REPEATED = ("variables", "indicators", "response_sets", "scales")
#: What the parser says -> what a person can do about it; its own words may quote the file and are never shown.
_TOML_SLIPS = {
    "Cannot overwrite": "a name is given twice: keep one",
    "Cannot declare": "a [table] stands twice, or after a key of the same name: join the two",
    "Duplicate inline table key": "a name is given twice inside { }: keep one",
    "Cannot mutate immutable": "a table written in { } is continued elsewhere: write it in one place",
    "Cannot redefine": "a name is given twice: keep one",
    "Expected '=' after": "write name = value; names with blanks, dots or accents need quotes",
    "Expected newline or end": "one statement a line: is a quote or a comma missing?",
    "Expected ']' at the end": "close the [table] with ]",
    "Expected ']]' at the end": "close the [[table]] with ]]",
    "Unclosed array": "close the list with ]",
    "Unclosed inline table": "close the { } on the same line",
    "Unterminated string": "close the quotes",
    "Expected": "a quote, bracket or comma is missing",
    "Unescaped": "write \\\\ for a backslash, or use single quotes around the text",
    "Invalid value": "texts need quotes; true and false are written small; decimals take a point",
    "Invalid initial character": "names with signs other than letters, digits, _ and - need quotes",
    "Invalid statement": "a line starts with a name, [table] or #",
    "Illegal character '\\n'": "close the quotes on the same line",
    "Illegal character": "a control character stands in the text: type the line again",
}
_WORDS = {
    "missing": ("a key that is needed is missing", "add it"),
    "string_type": ("not a text", "write it in quotes"),
    "bool_type": ("neither true nor false", "write true or false, without quotes"),
    "float_type": ("not a number", "write a number without quotes"),
    "int_type": ("not a whole number", "write a whole number without quotes"),
    "list_type": ("not a list", "write it in brackets, e.g. [...]"),
    "model_type": ("not a table", "write it as { ... } or under its own [heading]"),
    "dict_type": ("not a table", "write it as { ... } or under its own [heading]"),
    "finite_number": ("not a finite number", "write a number, or leave it out"),
    "string_too_long": ("the text is too long", "shorten it"),
}


def read_codebook(path: str | Path) -> Codebook:
    r"""Read what was asked of whom, and what every code means, from a codebook file.

    Parameters
    ----------
    path
        A TOML file, UTF-8, at most 4 MB; `docs/codebook.md` lists its keys.

    Returns
    -------
    Codebook
        Everything declared, in the order declared. The data file is not opened: whether its columns and codes are
        those declared is checked when it is read. `folder` is the folder of `path`.

    Raises
    ------
    InputError
        Every problem of the file at once: E190 (cannot be read as TOML, with the line), E195 (unknown key, wrong
        type, impossible value), E145 (a name that is not declared), E150 (a code or name that means two things),
        E172 (country code).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> text = '[study]\nid = "s"\npopulation = "users of 12-17"\nfile = "s.sav"\n[design]\none_country = "KEN"\n'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "study.toml").write_text(text, encoding="utf-8")
    ...     read_codebook(Path(folder, "study.toml")).design.one_country
    'KEN'
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else "the file cannot be opened"
        problem = fault(what, path.name, "check the path and the rights to read it", "E190")
        raise InputError([problem], path.name) from None
    if len(raw) > LARGEST_FILE:
        problem = fault("larger than any codebook", path.name, "is this the data file? name the codebook", "E190")
        raise InputError([problem], path.name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        problem = fault("not saved as UTF-8", f"line {line}", "save it again with encoding UTF-8", "E190")
        raise InputError([problem], path.name) from None
    return _codebook(text, str(path.parent), path.name)


def codebook_from_toml(text: str, folder: str | Path = ".") -> Codebook:
    """Read what was asked of whom, and what every code means, from the text of a codebook.

    Parameters
    ----------
    text
        TOML; `docs/codebook.md` lists the keys.
    folder
        Folder the data file's path starts from.

    Returns
    -------
    Codebook
        Everything declared, in the order declared; an option of a follow-up is an indicator of its own, named
        ``parent.dimension.option``.

    Raises
    ------
    InputError
        Every problem of the text at once, with the codes listed at `read_codebook`.

    Examples
    --------
    >>> codebook = codebook_from_toml('''
    ... [study]
    ... id = "example"
    ... population = "internet users aged 12-17"
    ... file = "survey.sav"
    ... [design]
    ... one_country = "KEN"
    ... [variables.gender]
    ... column = "Q2"
    ... levels = { boy = [1], girl = [2] }
    ... ''')
    >>> codebook.variables["gender"].factor.levels
    ('boy', 'girl')
    """
    return _codebook(text, str(folder), "codebook")


def _codebook(text: str, folder: str, source: str) -> Codebook:
    document = _parsed(text, source)
    parts = _Parts()
    problems = list(islice(chain(_read_parts(document, parts), _cross_problems(document, parts)), MOST_PROBLEMS))
    if len(problems) == MOST_PROBLEMS:
        problems.append(fault("there may be more problems than are listed", source, "mend these, then check again"))
    if problems:
        raise InputError(dict.fromkeys(problems), source)
    return parts.codebook(folder)


def _parsed(text: str, source: str) -> dict[str, Any]:
    """Parse TOML; E190 with the line where that fails."""
    if len(text) > LARGEST_FILE:
        raise InputError([fault("larger than any codebook", source, "is this the data file?", "E190")], source)
    endless = _ENDLESS_NAME.search(text)
    if endless is not None:
        where = f"line {text.count(chr(10), 0, endless.start()) + 1}"
        raise InputError([fault("a name with a hundred dots", where, "a codebook needs seven", "E190")], source)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        found = re.search(r"\(at line (\d+), column (\d+)\)$", said)
        where = f"line {found[1]}, column {found[2]}" if found else "last line"
        remedy = next((slip for start, slip in _TOML_SLIPS.items() if said.startswith(start)), "mend this line")
    except ValueError:
        where, remedy = source, "a number has thousands of digits: shorten it"
    except RecursionError:
        where, remedy = source, "brackets are nested hundreds deep: a codebook needs four"
    raise InputError([fault("not valid TOML", where, remedy, "E190")], source)


@dataclass
class _Parts:
    """What could be read so far; names of tables that could not be are kept in `unread`."""

    study: StudyShape | None = None
    design: DesignShape | None = None
    eligibility: dict[str, ConditionShape] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    indicators: dict[str, Indicator] = field(default_factory=dict)
    scales: dict[str, Scale] = field(default_factory=dict)
    response_sets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def codebook(self, folder: str) -> Codebook:
        """Join the parts; stand-ins take the place of a faulty study or design."""
        study = self.study or StudyShape(id="?", population="?", file="?", synthetic=True)
        return Codebook(
            study_id=study.id,
            title=study.title or study.id,
            population=study.population,
            file=study.file,
            synthetic=study.synthetic,
            citation=study.citation,
            design=no_design() if self.design is None else build.design_record(self.design),
            variables=self.variables,
            indicators=self.indicators,
            scales=self.scales,
            response_sets=self.response_sets,
            eligibility=tuple(build.condition_record(name, one) for name, one in self.eligibility.items()),
            folder=folder,
        )


def _read_parts(document: Mapping[str, Any], parts: _Parts) -> Iterator[Problem]:
    """Read table by table, so that a fault in one hides no fault in another."""
    for key in document:
        if key not in CodebookShape.model_fields:
            remedy = offer(key, CodebookShape.model_fields, f"write one of {', '.join(CodebookShape.model_fields)}")
            yield fault("unknown key", dotted(key), remedy)
    parts.study, _ = yield from _validated(StudyShape, document.get("study"), ("study",))
    if parts.study is not None and not re.fullmatch(r"[\w.-]{1,100}", parts.study.id):
        yield fault("id is part of file names", "study.id", "use letters, digits, points, - and _ only")
    parts.design, _ = yield from _validated(DesignShape, document.get("design"), ("design",))
    if parts.design is not None:
        yield from local.design_problems(parts.design)
    for section in ("eligibility", *_REPEATED):
        tables = document.get(section, {})
        if not isinstance(tables, dict):
            yield fault("not a table", section, f"write each under its own heading, e.g. [{section}.name]")
            continue
        for name, table in tables.items():
            if section == "eligibility":
                yield from _read_condition(name, table, parts)
                continue
            problems = list(_read_one(section, name, table, parts))
            if problems:
                parts.unread.add(name)
                yield from problems


def _read_condition(name: str, table: object, parts: _Parts) -> Iterator[Problem]:
    """Read one condition of eligibility."""
    shape, _ = yield from _validated(ConditionShape, table, ("eligibility", name))
    if shape is not None:
        wrong = list(local.condition_problems({name: shape}, ("eligibility",)))
        yield from wrong
        if not wrong:
            parts.eligibility[name] = shape


def _read_one(section: str, name: str, table: object, parts: _Parts) -> Iterator[Problem]:
    """Read one variable, indicator, response set or scale; its record is kept only if nothing is wrong with it."""
    kinds = {
        "variables": VariableShape,
        "indicators": IndicatorShape,
        "response_sets": ResponseSetShape,
        "scales": ScaleShape,
    }
    wrong = list(local.name_problems(name, (section, name), reserved=section in {"variables", "scales"}))
    shape, clean = yield from _validated(kinds[section], table, (section, name))
    if isinstance(shape, VariableShape):
        wrong += local.variable_problems(name, shape)
    elif isinstance(shape, IndicatorShape):
        wrong += local.indicator_problems(name, shape)
    elif isinstance(shape, ResponseSetShape):
        wrong += local.response_set_problems(name, shape)
    elif isinstance(shape, ScaleShape):
        wrong += local.scale_problems(name, shape)
    yield from wrong
    if clean and not wrong:
        _keep(name, shape, parts)


def _keep(name: str, shape: object, parts: _Parts) -> None:
    """Turn a faultless table into its records."""
    indicators: list[Indicator] = []
    if isinstance(shape, VariableShape):
        parts.variables[name] = build.variable_record(name, shape)
    elif isinstance(shape, ScaleShape):
        parts.scales[name] = build.scale_record(name, shape)
    elif isinstance(shape, IndicatorShape):
        indicators = list(build.indicator_records(name, shape))
    elif isinstance(shape, ResponseSetShape):
        indicators = list(build.response_set_records(name, shape))
    for indicator in indicators:
        parts.indicators[indicator.name] = indicator
        question, dot, _ = indicator.name.rpartition(".")
        if dot:
            parts.response_sets[question] = (*parts.response_sets.get(question, ()), indicator.name)


def _cross_problems(document: Mapping[str, Any], parts: _Parts) -> Iterator[Problem]:
    """Check what could be read against itself."""
    names = {key: document[key] for key in _REPEATED if isinstance(document.get(key), dict)}
    yield from shared_name_problems(names)
    yield from check_codebook(parts.codebook("."), frozenset(parts.unread))


def _validated(kind: Any, table: object, place: tuple[str, ...]) -> Generator[Problem, None, tuple[Any, bool]]:
    """Read one table as `kind`: yields its problems, returns it (None: unreadable) and whether it is faultless.

    Unknown keys are set aside, so that the rest of the table is still judged.
    """
    if table is None:
        yield fault("a table that is needed is missing", dotted(*place), f"add [{dotted(*place)}]")
        return None, False
    try:
        return TypeAdapter(kind).validate_python(table), True
    except ValidationError as error:
        slips = error.errors(include_input=False, include_url=False)
    for slip in slips:
        yield _worded(kind, slip, place)
    if all(slip["type"] == "extra_forbidden" for slip in slips):
        unknown = [_place_in_table(slip) for slip in slips]
        return TypeAdapter(kind).validate_python(_without(table, unknown)), False
    return None, False


def _place_in_table(slip: Any) -> tuple[str | int, ...]:
    return tuple(part for part in slip["loc"] if part not in CONDITION_TAGS)


def _without(table: Any, places: list[tuple[str | int, ...]]) -> Any:
    """Copy a table without the keys at `places`."""
    gone = {place[0] for place in places if len(place) == 1}
    deeper = {place[0] for place in places if len(place) > 1}
    return {
        key: _without(value, [place[1:] for place in places if place[0] == key]) if key in deeper else value
        for key, value in table.items()
        if key not in gone
    }


def _worded(kind: Any, slip: Any, place: tuple[str, ...]) -> Problem:
    """Word one finding of pydantic for people; its own words may quote the input and are never shown."""
    inner = _place_in_table(slip)
    where = dotted(*place, *inner)
    if slip["type"] == "extra_forbidden":
        table = table_at(kind, inner[:-1])
        allowed = list(table.model_fields) if table is not None else []
        listed = f"allowed here: {', '.join(allowed)}"
        if table is RangeShape:
            listed = f"{listed}; a name with dots needs quotes around it"
        return fault("unknown key", where, offer(str(inner[-1]), allowed, listed))
    if slip["type"] == "literal_error":
        return fault("not one of the words allowed", where, f"write {slip['ctx']['expected']}")
    if slip["type"] in {"text", "codes"}:
        return fault(slip["msg"], where, "mend it")
    what, remedy = _WORDS.get(slip["type"], ("an impossible value", "see the table of keys in docs/codebook.md"))
    return fault(what, where, remedy)
