"""Shape of a codebook file: every key that may stand in it, with the words an editor shows beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from riskmodels.vocabulary import Base, MissingKind

#: A code as it stands in the file.
CodeShape = Annotated[int | float | str, Field(union_mode="left_to_right")]
Codes = list[CodeShape]
MissingShape = dict[MissingKind, Codes]
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


class Shape(BaseModel):
    """Base of all parts: unknown keys are refused, values never shown in errors."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=False)


class StudyShape(Shape):
    """The study: who was asked, and where the data are."""

    id: str = Field(description="Short name of the study, used in file names.")
    title: str = Field("", description="Name of the study for people.")
    population: str = Field("", description='Who was sampled, e.g. "internet-using children 12-17".')
    file: str = Field(description="Data file (.sav, .zsav, .dta, .csv, .parquet), relative to this codebook.")
    synthetic: bool = Field(False, description="True if the children are made up: brands every result.")
    citation: str = Field("", description="How to cite the data.")


class ReplicatesShape(Shape):
    """Replicate weights."""

    columns: list[str] = Field(description="Columns of the replicate weights.")
    kind: Literal["jackknife-1", "jackknife-n", "bootstrap", "brr", "fay"] = Field(description="How they were made.")
    fay: float = Field(0.0, ge=0, lt=1, description="Fay's factor.")
    scale: float | None = Field(
        None, gt=0, description="Overall factor of the variance; usual one of the kind if omitted."
    )
    rscales: list[float] | None = Field(None, description="Factor of each replicate.")


class DesignShape(Shape):
    """Sampling design: which columns hold country, weight, strata and clusters."""

    country: str | None = Field(None, description="Country column.")
    one_country: str | None = Field(None, description="Code of the country where the file has no country column.")
    countries: dict[str, str] = Field(
        default_factory=dict,
        description='Code in the file = ISO 3166-1 alpha-3 code, e.g. { 1 = "KEN" }, in display order.',
    )
    country_labels: dict[str, str] = Field(default_factory=dict, description="Words for the countries, by code.")
    weight: str | None = Field(None, description="Weight column.")
    stratum: str | None = Field(None, description="Stratum column.")
    psu: str | None = Field(None, description="Primary sampling unit (cluster, enumeration area).")
    child_id: str | None = Field(None, description="Identifier of the child, to find duplicates; never shown.")
    lonely_psu: Literal["error", "certainty", "average", "centred", "merge"] = Field(
        "error", description="What to do with a stratum that holds one PSU."
    )
    replicates: ReplicatesShape | None = None


class RangeShape(Shape):
    """Range of a number."""

    low: float | None = Field(None, description="Least value.")
    high: float | None = Field(None, description="Largest value.")


ConditionShape = dict[str, list[str] | RangeShape]


class VariableAnswersShape(Shape):
    """What differs in one country."""

    column: str | None = Field(None, description="Column there.")
    levels: dict[str, Codes] | None = Field(None, description="Level = codes there.")
    missing: MissingShape | None = Field(None, description="Kind of missing = codes there.")


class VariableShape(Shape):
    """A variable that splits or describes children."""

    column: str = Field(description="Column of the file.")
    label: str = Field("", description="Words for people.")
    levels: dict[str, Codes] = Field(default_factory=dict, description="Level = codes, in order; omit for a number.")
    labels: dict[str, str] = Field(default_factory=dict, description="Words for the levels.")
    ordered: bool = Field(False, description="True if the levels are steps of one scale.")
    low: float | None = Field(None, description="Least allowed value of a number.")
    high: float | None = Field(None, description="Largest allowed value of a number.")
    missing: MissingShape = Field(default_factory=dict, description="Kind of missing answer = codes.")
    dimension: Dimension | None = Field(None, description="Dimension of General Comment No. 25 it stands for.")
    asked_if: ConditionShape = Field(default_factory=dict, description="Only these children were asked.")
    by_country: dict[str, VariableAnswersShape] = Field(default_factory=dict, description="Countries that differ.")


class IndicatorAnswersShape(Shape):
    """What differs in one country."""

    column: str | None = Field(None, description="Column there.")
    yes: Codes | None = Field(None, description="Codes of yes there.")
    no: Codes | None = Field(None, description="Codes of no there.")
    missing: MissingShape | None = Field(None, description="Kind of missing = codes there.")


class OptionShape(Shape):
    """One option of a multiple-response question."""

    column: str = Field(description="Column of the option.")
    label: str = Field("", description="Words for people.")


class ResponseSetShape(Shape):
    """A multiple-response question: one column per option."""

    label: str = Field("", description="The question in words.")
    options: dict[str, OptionShape] = Field(description="Option = its column and label, in order.")
    yes: Codes = Field([1], description="Codes of an option that was named.")
    no: Codes = Field([0], description="Codes of an option that was not named.")
    missing: MissingShape = Field(default_factory=dict, description="Kind of missing answer = codes.")
    base: Base | None = Field(None, description="Denominator; that of the indicator followed if omitted.")
    recall: str | None = Field(None, description="Period asked about.")
    asked_if: ConditionShape = Field(default_factory=dict, description="Only these children were asked.")


class IndicatorShape(Shape):
    """A yes/no question with its denominator, or the union of several."""

    column: str | None = Field(None, description="Column of the file; omit with any_of.")
    label: str = Field("", description="Words for people.")
    yes: Codes = Field(default_factory=list, description="Codes of children who are affected.")
    no: Codes = Field(default_factory=list, description="Codes of children who are not.")
    missing: MissingShape = Field(default_factory=dict, description="Kind of missing answer = codes.")
    any_of: list[str] = Field(default_factory=list, description="Indicators of which at least one is yes.")
    base: Base = Field("all asked", description="Denominator: all asked, or valid answers only.")
    recall: str = Field("", description='Period asked about, e.g. "past year".')
    sensitive: bool = Field(True, description="Whether the stricter release rules hold.")
    asked_if: ConditionShape = Field(default_factory=dict, description="Only these children were asked.")
    by_country: dict[str, IndicatorAnswersShape] = Field(default_factory=dict, description="Countries that differ.")
    follow_ups: dict[Literal["channel", "perpetrator", "told", "why_not_told"], ResponseSetShape] = Field(
        default_factory=dict, description="What children who said yes were asked next."
    )


class ScaleShape(Shape):
    """A score over several variables."""

    items: list[str] = Field(description="Variables of the scale.")
    label: str = Field("", description="Words for people.")
    rule: Literal["sum", "mean"] = Field("mean", description="How items are put together.")
    at_least: int = Field(1, ge=1, description="Items that must be answered.")
    reverse: list[str] = Field(default_factory=list, description="Items counted from the other end.")


class CodebookShape(Shape):
    """A codebook of riskmodels: what every code of a survey file means."""

    study: StudyShape
    design: DesignShape = DesignShape()
    eligibility: ConditionShape = Field(default_factory=dict, description="Children who do not fulfil it are left out.")
    variables: dict[str, VariableShape] = Field(default_factory=dict)
    indicators: dict[str, IndicatorShape] = Field(default_factory=dict)
    response_sets: dict[str, ResponseSetShape] = Field(default_factory=dict)
    scales: dict[str, ScaleShape] = Field(default_factory=dict)
