"""Tables of a codebook file that keep the rules, turned into records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from riskmodels.survey.codebook.local import follow_ups_of
from riskmodels.survey.codebook.records import (
    Answers,
    Code,
    Condition,
    DesignColumns,
    Indicator,
    Replicates,
    Scale,
    Variable,
)
from riskmodels.survey.codebook.shape import (
    ConditionShape,
    DesignShape,
    FollowUpShape,
    IndicatorCountryShape,
    IndicatorShape,
    MissingShape,
    OptionShape,
    OptionsShape,
    RangeShape,
    ReplicatesShape,
    ResponseSetShape,
    ScaleShape,
    VariableShape,
)
from riskmodels.vocabulary import MISSING_KINDS, MissingKind


def missing_record(shape: MissingShape | None) -> dict[MissingKind, tuple[Code, ...]]:
    """Kinds of missing that are given, with their codes."""
    if shape is None:
        return {}
    return {kind: codes for kind in MISSING_KINDS if (codes := getattr(shape, kind)) is not None}


def condition_record(name: str, shape: ConditionShape) -> Condition:
    """One condition."""
    if isinstance(shape, RangeShape):
        return Condition(name, low=shape.low, high=shape.high)
    return Condition(name, tuple(shape))


def asked_if_record(shape: Mapping[str, ConditionShape] | None) -> Condition | None:
    """Skip pattern, where there is one."""
    return None if shape is None else next(condition_record(name, one) for name, one in shape.items())


def variable_record(name: str, shape: VariableShape) -> Variable:
    """Turn the table of a variable into its record."""
    levels = shape.levels or {}
    answers = Answers(shape.column, levels, missing_record(shape.missing))
    by_country = {}
    for country, other in shape.by_country.items():
        there = answers.levels if other.levels is None else {level: other.levels[level] for level in levels}
        missing = answers.missing if other.missing is None else missing_record(other.missing)
        by_country[country] = Answers(other.column or answers.column, there, missing)
    return Variable(
        name=name,
        label=shape.label or name,
        answers=answers,
        labels=tuple(shape.labels.get(level, level) for level in levels) if shape.labels else (),
        ordered=shape.ordered,
        low=shape.low,
        high=shape.high,
        by_country=by_country,
        dimension=shape.dimension,
        asked_if=asked_if_record(shape.asked_if),
    )


def _elsewhere(answers: Answers, other: IndicatorCountryShape) -> Answers:
    return Answers(
        other.column or answers.column,
        {"no": other.no or answers.levels["no"], "yes": other.yes or answers.levels["yes"]},
        answers.missing if other.missing is None else missing_record(other.missing),
    )


def indicator_records(name: str, shape: IndicatorShape) -> Iterator[Indicator]:
    """Turn the table of an indicator into its record and those of its follow-ups' options, in this order."""
    answers = None
    if shape.any_of is None:
        assert shape.column is not None and shape.no is not None and shape.yes is not None
        answers = Answers(shape.column, {"no": shape.no, "yes": shape.yes}, missing_record(shape.missing))
    parent = Indicator(
        name=name,
        label=shape.label or name,
        answers=answers,
        any_of=tuple(shape.any_of or ()),
        base=shape.base,
        recall=shape.recall,
        sensitive=shape.sensitive,
        asked_if=asked_if_record(shape.asked_if),
        by_country={country: _elsewhere(answers, other) for country, other in shape.by_country.items()}
        if answers is not None
        else {},
    )
    yield parent
    for dimension, follow_up in follow_ups_of(shape).items():
        yield from follow_up_records(parent, dimension, follow_up)


def _option_answers(shape: OptionsShape, option: OptionShape) -> Answers:
    no, yes = option.no or shape.no, option.yes or shape.yes
    assert no is not None and yes is not None
    missing = shape.missing if option.missing is None else option.missing
    return Answers(option.column, {"no": no, "yes": yes}, missing_record(missing))


def follow_up_records(parent: Indicator, dimension: str, shape: FollowUpShape) -> Iterator[Indicator]:
    """Turn a follow-up into one indicator per option, put to children who answered yes to the parent."""
    for option, one in shape.options.items():
        answers = _option_answers(shape, one)
        yield Indicator(
            name=f"{parent.name}.{dimension}.{option}",
            label=one.label or option,
            answers=answers,
            base=shape.base or parent.base,
            recall=parent.recall if shape.recall is None else shape.recall,
            sensitive=parent.sensitive if shape.sensitive is None else shape.sensitive,
            asked_if=Condition(parent.name, ("yes",)),
            by_country={country: _elsewhere(answers, other) for country, other in one.by_country.items()},
            follows=parent.name,
            dimension=dimension,
        )


def response_set_records(name: str, shape: ResponseSetShape) -> Iterator[Indicator]:
    """Turn a multi-response question into one indicator per option."""
    plain = IndicatorShape()
    for option, one in shape.options.items():
        answers = _option_answers(shape, one)
        yield Indicator(
            name=f"{name}.{option}",
            label=one.label or option,
            answers=answers,
            base=shape.base or plain.base,
            recall=shape.recall or "",
            sensitive=plain.sensitive if shape.sensitive is None else shape.sensitive,
            asked_if=asked_if_record(shape.asked_if),
            by_country={country: _elsewhere(answers, other) for country, other in one.by_country.items()},
        )


def scale_record(name: str, shape: ScaleShape) -> Scale:
    """Turn the table of a scale into its record."""
    return Scale(name, shape.label or name, tuple(shape.items), shape.rule, shape.at_least, tuple(shape.reverse))


def replicates_record(shape: ReplicatesShape) -> Replicates:
    """Turn the table of the replicate weights into its record."""
    rscales = None if shape.rscales is None else tuple(shape.rscales)
    return Replicates(tuple(shape.columns), shape.kind, shape.fay or 0.0, shape.scale, rscales)


def design_record(shape: DesignShape) -> DesignColumns:
    """Turn the table of the sampling design into its record."""
    return DesignColumns(
        country=shape.country,
        one_country=shape.one_country,
        countries=shape.countries,
        country_labels=shape.country_labels,
        weight=shape.weight,
        stratum=shape.stratum,
        psu=shape.psu,
        child_id=shape.child_id,
        replicates=None if shape.replicates is None else replicates_record(shape.replicates),
        lonely_psu=shape.lonely_psu,
    )
