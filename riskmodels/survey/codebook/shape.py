"""What a codebook file may hold, key by key: pydantic tables that check types and feed the JSON schema."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from riskmodels.survey.codebook.records import Code
from riskmodels.vocabulary import Base

LONGEST_TEXT = 2000
#: Whole numbers beyond this are not exact in a statistics file, which stores codes as doubles.
LARGEST_CODE = 2**53
#: Marks that pydantic puts into the place of an error in a condition; taken out again before a person sees it.
CONDITION_TAGS = ("levels?", "range?")

Dimension = Literal[
    "age",
    "gender",
    "religion",
    "disability",
    "location",
    "ethnic origin",
    "national origin",
    "socio-economic background",
]


def _readable(text: str) -> str:
    if any(unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\n\t" for letter in text):
        raise PydanticCustomError("text", "the text holds control characters")
    return text


def _one_line(text: str) -> str:
    if not text.strip() or any(letter in "\n\t" for letter in text):
        raise PydanticCustomError("text", "one line of text is wanted, not empty")
    return _readable(text)


def _code(value: object) -> Code:
    if isinstance(value, str) and value and value == value.strip() and len(value) <= LONGEST_TEXT:
        return _one_line(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_CODE:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise PydanticCustomError("codes", "a code is a number or a text in quotes as it stands in the file")


def _codes(value: object) -> tuple[Code, ...]:
    if not isinstance(value, list | tuple):
        raise PydanticCustomError("codes", "a list of codes is wanted, e.g. [1] or [1, 2]")
    return tuple(_code(item) for item in value)


def _some_codes(value: object) -> tuple[Code, ...]:
    codes = _codes(value)
    if not codes:
        raise PydanticCustomError("codes", "the list of codes is empty")
    return codes


_CODE_SCHEMA = {"type": "array", "items": {"type": ["number", "string"]}}
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_readable)]
Line = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_one_line)]
Codes = Annotated[tuple[Code, ...], PlainValidator(_some_codes), WithJsonSchema({**_CODE_SCHEMA, "minItems": 1})]
CodesOrNone = Annotated[tuple[Code, ...], PlainValidator(_codes), WithJsonSchema(_CODE_SCHEMA)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Table(BaseModel):
    """A table of the file: no unknown keys, no types bent to fit, nothing of the input in messages."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class RangeShape(Table):
    """A range of a number, ends included."""

    low: Number | None = Field(
        default=None, title="Lowest", description="Lowest value that qualifies; open if left out."
    )
    high: Number | None = Field(
        default=None, title="Highest", description="Highest value that qualifies; open if left out."
    )


def _tag(value: object) -> str:
    return CONDITION_TAGS[1] if isinstance(value, dict | RangeShape) else CONDITION_TAGS[0]


ConditionShape = Annotated[
    Annotated[list[Line], Tag(CONDITION_TAGS[0])] | Annotated[RangeShape, Tag(CONDITION_TAGS[1])],
    Discriminator(_tag),
]


class MissingShape(Table):
    """Kinds of answers that are not answers; each holds the codes that mean it."""

    dont_know: Codes | None = Field(default=None, title="Don't know", description='The child answered "don\'t know".')
    prefer_not_to_say: Codes | None = Field(
        default=None, title="Prefer not to say", description="The child refused; on abuse, this is informative."
    )
    not_asked: Codes | None = Field(default=None, title="Not asked", description="Left out by a skip pattern.")
    not_fielded: Codes | None = Field(
        default=None, title="Not fielded", description="The item was not in this country's form."
    )
    system_missing: Codes | None = Field(
        default=None,
        title="System missing",
        description="No answer for no stated reason; empty fields are this anyway.",
    )


_COLUMN = "Column of the data file."
_MISSING = "Codes that are not answers, by kind: dont_know, prefer_not_to_say, not_asked, not_fielded, system_missing."
_YES = 'Codes that mean yes, e.g. [2, 3, 4, 5] where 1 is "never".'
_NO = "Codes that mean no."
_BASE = 'Denominator: "all asked" (don\'t know and prefer not to say stay in) or "valid answers".'
_RECALL = 'Period asked about, e.g. "past year".'
_SENSITIVE = "Whether the stricter release rules hold."
_ASKED_IF = 'Skip pattern: who was asked. One name and its levels, e.g. { uses_internet = ["yes"] }, or a range.'
_COUNTRY = "Countries whose file differs, by code used; only the keys given there replace those above."


class VariableCountryShape(Table):
    """How one country's file differs for a variable."""

    column: Line | None = Field(default=None, title="Column", description=_COLUMN)
    levels: dict[str, CodesOrNone] | None = Field(
        default=None,
        title="Levels",
        description="Codes of every level in this country; [] for a level it does not offer.",
    )
    missing: MissingShape | None = Field(default=None, title="Missing", description=_MISSING)


class IndicatorCountryShape(Table):
    """How one country's file differs for a yes/no question."""

    column: Line | None = Field(default=None, title="Column", description=_COLUMN)
    yes: Codes | None = Field(default=None, title="Yes", description=_YES)
    no: Codes | None = Field(default=None, title="No", description=_NO)
    missing: MissingShape | None = Field(default=None, title="Missing", description=_MISSING)


class VariableShape(Table):
    """Something that splits or describes children: gender, age, area, an item of a scale."""

    column: Line = Field(title="Column", description=_COLUMN)
    label: Text = Field(default="", title="Label", description="Words for people; the name if left out.")
    levels: dict[str, Codes] | None = Field(
        default=None,
        title="Levels",
        description="Level -> codes that mean it, in the order of tables. Leave out for a number.",
    )
    labels: dict[str, Line] = Field(default={}, title="Labels", description="Level -> words for people.")
    ordered: bool = Field(default=False, title="Ordered", description="Whether the levels are steps of one scale.")
    low: Number | None = Field(default=None, title="Lowest", description="Lowest number that can be true.")
    high: Number | None = Field(default=None, title="Highest", description="Highest number that can be true.")
    missing: MissingShape | None = Field(default=None, title="Missing", description=_MISSING)
    dimension: Dimension | None = Field(
        default=None, title="Dimension", description="Which dimension of General Comment No. 25 it stands for."
    )
    asked_if: dict[str, ConditionShape] | None = Field(default=None, title="Asked if", description=_ASKED_IF)
    by_country: dict[str, VariableCountryShape] = Field(default={}, title="By country", description=_COUNTRY)


class OptionShape(Table):
    """One option of a question that allows several answers."""

    column: Line = Field(title="Column", description=_COLUMN)
    label: Text = Field(default="", title="Label", description="Words for people; the option's name if left out.")
    yes: Codes | None = Field(
        default=None, title="Yes", description=f"{_YES} The codes of the whole question if left out."
    )
    no: Codes | None = Field(default=None, title="No", description=f"{_NO} Those of the whole question if left out.")
    missing: MissingShape | None = Field(default=None, title="Missing", description=_MISSING)
    by_country: dict[str, IndicatorCountryShape] = Field(default={}, title="By country", description=_COUNTRY)


class OptionsShape(Table):
    """A question that allows several answers, each option with its own column."""

    options: dict[str, OptionShape] = Field(
        title="Options", description="Option -> its column, in the order of tables."
    )
    yes: Codes | None = Field(default=None, title="Yes", description="Codes that mean the option was named.")
    no: Codes | None = Field(default=None, title="No", description="Codes that mean the option was not named.")
    missing: MissingShape | None = Field(default=None, title="Missing", description=_MISSING)
    base: Base | None = Field(default=None, title="Base", description=_BASE)
    recall: Text | None = Field(default=None, title="Recall period", description=_RECALL)
    sensitive: bool | None = Field(default=None, title="Sensitive", description=_SENSITIVE)


class FollowUpShape(OptionsShape):
    """A follow-up, put to children who answered yes; base, recall and sensitive are the parent's if left out."""


class ResponseSetShape(OptionsShape):
    """A multi-response question of its own."""

    asked_if: dict[str, ConditionShape] | None = Field(default=None, title="Asked if", description=_ASKED_IF)


class FollowUpsShape(Table):
    """What was asked about an indicator that was answered with yes."""

    channel: FollowUpShape | None = Field(default=None, title="Channel", description="Where it happened.")
    perpetrator: FollowUpShape | None = Field(default=None, title="Perpetrator", description="Who did it.")
    told: FollowUpShape | None = Field(default=None, title="Told", description="Whom the child told.")
    why_not_told: FollowUpShape | None = Field(
        default=None, title="Why not told", description="What kept the child silent."
    )


class IndicatorShape(Table):
    """A yes/no question with its denominator, or the union of several."""

    column: Line | None = Field(default=None, title="Column", description=_COLUMN)
    label: Text = Field(default="", title="Label", description="Words for people; the name if left out.")
    yes: Codes | None = Field(default=None, title="Yes", description=_YES)
    no: Codes | None = Field(default=None, title="No", description=_NO)
    missing: MissingShape | None = Field(default=None, title="Missing", description=_MISSING)
    any_of: list[Line] | None = Field(
        default=None,
        title="Any of",
        description="Indicators of which at least one is yes; instead of column, yes and no.",
    )
    base: Base = Field(default="all asked", title="Base", description=_BASE)
    recall: Text = Field(default="", title="Recall period", description=_RECALL)
    sensitive: bool = Field(default=True, title="Sensitive", description=_SENSITIVE)
    asked_if: dict[str, ConditionShape] | None = Field(default=None, title="Asked if", description=_ASKED_IF)
    by_country: dict[str, IndicatorCountryShape] = Field(default={}, title="By country", description=_COUNTRY)
    follow_ups: FollowUpsShape | None = Field(
        default=None, title="Follow-ups", description="Questions put to children who answered yes."
    )


class ScaleShape(Table):
    """A score over several variables."""

    label: Text = Field(default="", title="Label", description="Words for people; the name if left out.")
    items: list[Line] = Field(title="Items", description="Variables: numbers, or ordered levels counted 0, 1, 2 ...")
    rule: Literal["sum", "mean"] = Field(
        default="mean", title="Rule", description='"sum" or "mean" of the answered items.'
    )
    at_least: int = Field(default=1, title="At least", description="Items that must be answered for a score.")
    reverse: list[Line] = Field(default=[], title="Reversed", description="Items counted from the other end.")


class ReplicatesShape(Table):
    """Replicate weights: their columns and how they were made."""

    columns: list[Line] = Field(title="Columns", description="Columns of the replicate weights.")
    kind: Literal["jackknife-1", "jackknife-n", "bootstrap", "brr", "fay"] = Field(
        title="Kind", description="How the replicates were made."
    )
    fay: Number | None = Field(
        default=None, title="Fay's factor", description='Needed for kind "fay": above 0, below 1.'
    )
    scale: Number | None = Field(
        default=None, title="Scale", description="Overall factor; the kind's usual one if left out."
    )
    rscales: list[Number] | None = Field(
        default=None, title="Factors", description='Factor per replicate; needed for "jackknife-n".'
    )


class DesignShape(Table):
    """Columns that hold the sampling design."""

    country: Line | None = Field(default=None, title="Country column", description="Column that names the country.")
    one_country: Line | None = Field(
        default=None, title="The one country", description="Three-letter code, where there is no country column."
    )
    countries: dict[str, Line] = Field(
        default={}, title="Countries", description="Code in the file -> three-letter code, in the order of tables."
    )
    country_labels: dict[str, Line] = Field(
        default={}, title="Country labels", description="Three-letter code -> words for people."
    )
    weight: Line | None = Field(default=None, title="Weight", description="Column of the survey weights.")
    stratum: Line | None = Field(default=None, title="Stratum", description="Column of the sampling strata.")
    psu: Line | None = Field(default=None, title="PSU", description="Column of the primary sampling units (clusters).")
    child_id: Line | None = Field(
        default=None, title="Child", description="Column that identifies a child; never in results."
    )
    lonely_psu: Literal["error", "certainty", "average", "centred", "merge"] = Field(
        default="error", title="Lonely PSU", description="What to do with a stratum that holds one PSU."
    )
    replicates: ReplicatesShape | None = Field(default=None, title="Replicates", description="Replicate weights.")


class StudyShape(Table):
    """Name, population and data file of the study."""

    id: Line = Field(title="Name", description="Short name of the study, used in the names of files.")
    title: Text = Field(default="", title="Title", description="Words for people; the id if left out.")
    population: Line = Field(title="Population", description='Who was asked, e.g. "internet users aged 12-17".')
    file: Line = Field(title="Data file", description="Data file, relative to this codebook's folder.")
    synthetic: bool = Field(default=False, title="Synthetic", description="Whether the children are made up.")
    citation: Text = Field(default="", title="Citation", description="How to cite the study.")


class CodebookShape(Table):
    """Codebook of one survey: what every code of its data file means."""

    study: StudyShape = Field(title="Study", description="What the study is.")
    design: DesignShape = Field(title="Design", description="The sampling design.")
    eligibility: dict[str, ConditionShape] = Field(
        default={},
        title="Eligibility",
        description="Children who do not fulfil every condition are left out, and counted.",
    )
    variables: dict[str, VariableShape] = Field(
        default={}, title="Variables", description="What splits or describes children."
    )
    indicators: dict[str, IndicatorShape] = Field(default={}, title="Indicators", description="Yes/no questions.")
    response_sets: dict[str, ResponseSetShape] = Field(
        default={}, title="Response sets", description="Multi-response questions outside a follow-up."
    )
    scales: dict[str, ScaleShape] = Field(default={}, title="Scales", description="Scores over several variables.")


def table_at(kind: Any, place: Sequence[str | int]) -> type[Table] | None:
    """Find the table that stands at a place of the file; None where none does."""
    if isinstance(kind, type) and issubclass(kind, Table):
        if not place:
            return kind
        field = kind.model_fields.get(str(place[0]))
        return table_at(field.annotation, place[1:]) if field else None
    if get_origin(kind) is dict:
        return table_at(get_args(kind)[1], place[1:]) if place else None
    return next((found for part in get_args(kind) if (found := table_at(part, place)) is not None), None)
