"""Codebooks from TOML: everything wrong with one is told at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.survey.codebook.consistency import check_consistency
from riskmodels.survey.codebook.records import (
    Answers,
    Code,
    Codebook,
    Condition,
    DesignColumns,
    Indicator,
    Replicates,
    Scale,
    Variable,
)
from riskmodels.survey.codebook.shape import (
    CodebookShape,
    ConditionShape,
    DesignShape,
    IndicatorShape,
    RangeShape,
    ResponseSetShape,
    VariableShape,
)
from riskmodels.vocabulary import Base, MissingKind

#: Codebooks larger than this are not codebooks.
LARGEST_FILE = 5_000_000


def read_codebook(path: str | Path) -> Codebook:
    """Read a study's codebook.

    Parameters
    ----------
    path
        A TOML file; docs/codebook.md describes every key.

    Returns
    -------
    Codebook
        Frozen records of what the codes of the data file mean.

    Raises
    ------
    InputError
        E190 for a file that is not there or not TOML, E195 for unknown keys and impossible values, E145 for names
        that are not declared, E150 for a code or name given twice, E172 for unknown countries: all at once.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _not_toml(path.name, "the file is too large for a codebook")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _not_toml(path.name, f"the file cannot be opened ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _not_toml(path.name, "the file is not UTF-8 text") from None
    return codebook_from_toml(text, folder=path.parent, name=path.name)


def codebook_from_toml(text: str, *, folder: str | Path = ".", name: str = "codebook") -> Codebook:
    r"""Make a codebook of TOML text; errors as in `read_codebook`.

    Examples
    --------
    >>> codebook_from_toml('[study]\nid = "x"\nfile = "x.sav"').study_id
    'x'
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # tomllib's messages name the fault and its line and column, which hold no data.
        raise _not_toml(name, f"not TOML: {str(error)[:160]}") from None
    try:
        shape = CodebookShape.model_validate(raw)
    except ValidationError as error:
        raise InputError(_shape_problems(error, raw), name) from None
    except RecursionError:
        raise _not_toml(name, "the tables are nested too deeply") from None
    codebook = _codebook(shape, str(folder))
    raise_if_stopping(check_consistency(codebook, shape), name)
    return codebook


def _not_toml(name: str, what: str) -> InputError:
    return InputError(
        [Problem("E190", what, name, 1, "mend the line named, or start from riskmodels codebook draft")], name
    )


def _shape_problems(error: ValidationError, raw: Mapping[str, Any]) -> list[Problem]:
    """Say what pydantic found in words: the dotted place, what is wrong, what is allowed."""
    problems = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(
            str(part)
            for part in found["loc"]
            if not str(part).startswith(("list[", "function-", "int", "float", "str"))
        )
        if found["type"] == "extra_forbidden":
            remedy = _nearest_key(found["loc"])
            problems.append(Problem("E195", "a key that codebooks do not have", where, 1, remedy))
        elif found["type"] == "missing":
            problems.append(Problem("E195", "a key that must be there is absent", where, 1, "add it"))
        else:
            problems.append(
                Problem("E195", f"an impossible value: {found['msg'].lower()}", where, 1, "see docs/codebook.md")
            )
    return list(dict.fromkeys(problems))


def _nearest_key(place: tuple[int | str, ...]) -> str:
    known = sorted({name for part in _parts() for name in part})
    near = difflib.get_close_matches(str(place[-1]), known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else "remove it; docs/codebook.md lists every key"


def _parts() -> Iterable[Iterable[str]]:
    from riskmodels.survey.codebook import shape

    for part in vars(shape).values():
        if isinstance(part, type) and issubclass(part, shape.Shape):
            yield part.model_fields


def _missing(shape: Mapping[MissingKind, list[Code]]) -> dict[MissingKind, tuple[Code, ...]]:
    return {kind: tuple(codes) for kind, codes in shape.items()}


def _conditions(shape: ConditionShape) -> tuple[Condition, ...]:
    return tuple(
        Condition(name, low=rule.low, high=rule.high) if isinstance(rule, RangeShape) else Condition(name, tuple(rule))
        for name, rule in shape.items()
    )


def _asked_if(shape: ConditionShape) -> Condition | None:
    conditions = _conditions(shape)
    return conditions[0] if conditions else None


def _variable(name: str, shape: VariableShape) -> Variable:
    answers = Answers(
        shape.column, {level: tuple(codes) for level, codes in shape.levels.items()}, _missing(shape.missing)
    )
    by_country = {
        country: Answers(
            other.column or answers.column,
            answers.levels if other.levels is None else {level: tuple(codes) for level, codes in other.levels.items()},
            answers.missing if other.missing is None else _missing(other.missing),
        )
        for country, other in shape.by_country.items()
    }
    labels = tuple(shape.labels.get(level, level) for level in shape.levels) if shape.labels else ()
    return Variable(
        name,
        shape.label or name,
        answers,
        labels=labels,
        ordered=shape.ordered,
        low=shape.low,
        high=shape.high,
        by_country=by_country,
        dimension=shape.dimension,
        asked_if=_asked_if(shape.asked_if),
    )


def _indicator(name: str, shape: IndicatorShape) -> Indicator:
    answers = None
    by_country = {}
    if shape.column is not None:
        answers = Answers(shape.column, {"no": tuple(shape.no), "yes": tuple(shape.yes)}, _missing(shape.missing))
        by_country = {
            country: Answers(
                other.column or shape.column,
                {
                    "no": tuple(shape.no if other.no is None else other.no),
                    "yes": tuple(shape.yes if other.yes is None else other.yes),
                },
                answers.missing if other.missing is None else _missing(other.missing),
            )
            for country, other in shape.by_country.items()
        }
    return Indicator(
        name,
        shape.label or name,
        answers,
        any_of=tuple(shape.any_of),
        base=shape.base,
        recall=shape.recall,
        sensitive=shape.sensitive,
        asked_if=_asked_if(shape.asked_if),
        by_country=by_country,
    )


def _options(
    prefix: str, shape: ResponseSetShape, *, parent: Indicator | None, dimension: str | None
) -> dict[str, Indicator]:
    """Indicators of a multiple-response question, one per option."""
    base: Base = shape.base or (parent.base if parent else "all asked")
    asked = _asked_if(shape.asked_if) or (Condition(parent.name, ("yes",)) if parent else None)
    recall = shape.recall if shape.recall is not None else parent.recall if parent else ""
    codes = {"no": tuple(shape.no), "yes": tuple(shape.yes)}
    return {
        f"{prefix}.{option}": Indicator(
            f"{prefix}.{option}",
            ": ".join(part for part in (parent.label if parent else shape.label, found.label or option) if part),
            Answers(found.column, codes, _missing(shape.missing)),
            base=base,
            recall=recall,
            sensitive=parent.sensitive if parent else True,
            asked_if=asked,
            follows=parent.name if parent else None,
            dimension=dimension,
        )
        for option, found in shape.options.items()
    }


def _design(shape: DesignShape) -> DesignColumns:
    replicates = None
    if shape.replicates is not None:
        found = shape.replicates
        rscales = None if found.rscales is None else tuple(found.rscales)
        replicates = Replicates(tuple(found.columns), found.kind, found.fay, found.scale, rscales)
    return DesignColumns(
        country=shape.country,
        one_country=shape.one_country,
        countries=shape.countries,
        country_labels=shape.country_labels,
        weight=shape.weight,
        stratum=shape.stratum,
        psu=shape.psu,
        child_id=shape.child_id,
        replicates=replicates,
        lonely_psu=shape.lonely_psu,
    )


def _codebook(shape: CodebookShape, folder: str) -> Codebook:
    indicators: dict[str, Indicator] = {}
    response_sets: dict[str, tuple[str, ...]] = {}
    for name, found in shape.indicators.items():
        indicators[name] = _indicator(name, found)
        for dimension, follow_up in found.follow_ups.items():
            options = _options(f"{name}.{dimension}", follow_up, parent=indicators[name], dimension=dimension)
            indicators |= options
            response_sets[f"{name}.{dimension}"] = tuple(options)
    for name, response_set in shape.response_sets.items():
        options = _options(name, response_set, parent=None, dimension=None)
        indicators |= options
        response_sets[name] = tuple(options)
    scales = {
        name: Scale(name, found.label or name, tuple(found.items), found.rule, found.at_least, tuple(found.reverse))
        for name, found in shape.scales.items()
    }
    return Codebook(
        study_id=shape.study.id,
        title=shape.study.title or shape.study.id,
        population=shape.study.population,
        file=shape.study.file,
        synthetic=shape.study.synthetic,
        design=_design(shape.design),
        variables={name: _variable(name, found) for name, found in shape.variables.items()},
        indicators=indicators,
        scales=scales,
        response_sets=response_sets,
        eligibility=_conditions(shape.eligibility),
        citation=shape.study.citation,
        folder=folder,
    )
