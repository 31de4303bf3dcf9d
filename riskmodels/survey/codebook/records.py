"""Codebook: what every code of a survey file means, as frozen records; `read.py` makes them from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import Base, MissingKind

#: A code as it stands in a file: a number, a text, or a Stata extended missing value written ".a" to ".z".
Code = int | float | str


@dataclass(frozen=True)
class Answers:
    """How the codes of one column are to be read.

    Parameters
    ----------
    column
        Column of the file.
    levels
        Level name -> codes that mean it, in the order of the levels. For an indicator: ``{"no": ..., "yes": ...}``.
        Empty for a number, whose values are read as they stand.
    missing
        Kind of missing -> codes that mean it. Empty fields are `system_missing` without being named.
    """

    column: str
    levels: Mapping[str, tuple[Code, ...]]
    missing: Mapping[MissingKind, tuple[Code, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """Who is meant: children with one of some levels of a variable (or ``"yes"`` on an indicator), or in a range.

    Parameters
    ----------
    name
        Variable or indicator.
    levels
        Levels that qualify; empty for a number, whose range is given instead.
    low, high
        Range that qualifies, ends included, for a number; None where that side is open.
    """

    name: str
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Variable:
    """Something that splits or describes children: gender, age, area, a skill item, a scale's item.

    Parameters
    ----------
    name, label
        Name in `by=`, and words for people.
    answers
        How its column is read; `answers.levels` is empty for a number.
    labels
        Words for the levels, in their order; the level names where omitted.
    ordered
        Whether the levels are steps of one scale.
    low, high
        Range allowed for a number.
    by_country
        Countries whose file codes the question differently.
    dimension
        Which dimension of General Comment No. 25 it stands for: ``"age"``, ``"gender"``, ``"religion"``,
        ``"disability"``, ``"location"``, ``"ethnic origin"``, ``"national origin"``, ``"socio-economic background"``.
    asked_if
        Only children who fulfil this were asked.
    """

    name: str
    label: str
    answers: Answers
    labels: tuple[str, ...] = ()
    ordered: bool = False
    low: float | None = None
    high: float | None = None
    by_country: Mapping[str, Answers] = field(default_factory=dict)
    dimension: str | None = None
    asked_if: Condition | None = None

    @property
    def is_number(self) -> bool:
        """Whether values are read as numbers."""
        return not self.answers.levels

    @property
    def factor(self) -> Factor:
        """Levels in their order, with labels."""
        levels = tuple(self.answers.levels)
        return Factor(self.name, levels, self.labels or levels)


@dataclass(frozen=True)
class Indicator:
    """A yes/no question with its denominator; or the union of several (`any_of`).

    Parameters
    ----------
    name, label
        Name in calls, and words for people.
    answers
        How its column is read (levels ``"no"`` and ``"yes"``); None where `any_of` is given.
    any_of
        Indicators of which at least one is yes. Yes if any is yes; no if all that were asked are no; else the first
        kind of missing in the order of `vocabulary.MISSING_KINDS` that occurs among them.
    base
        Which answers form the denominator.
    recall
        Period asked about, e.g. ``"past year"``.
    sensitive
        Whether the stricter release rules hold.
    asked_if
        Skip pattern: only children who fulfil this were asked; the others are `not_asked`.
    by_country
        Countries whose file codes the question differently.
    follows, dimension
        For a follow-up: the indicator it follows and what it tells about it (``"channel"``, ``"perpetrator"``,
        ``"told"``, ``"why_not_told"``); its base are then children who answered yes there.
    """

    name: str
    label: str
    answers: Answers | None
    any_of: tuple[str, ...] = ()
    base: Base = "all asked"
    recall: str = ""
    sensitive: bool = True
    asked_if: Condition | None = None
    by_country: Mapping[str, Answers] = field(default_factory=dict)
    follows: str | None = None
    dimension: str | None = None


@dataclass(frozen=True)
class Scale:
    """A score over several variables whose levels are numbered 0, 1, 2 ... in their order, or over numbers.

    Parameters
    ----------
    name, label
        Name and words for people.
    items
        Variables.
    rule
        ``"sum"`` (of the answered items, times items over answered) or ``"mean"`` of the answered items.
    at_least
        Number of items that must be answered; below it the score is system missing.
    reverse
        Items counted from the other end.
    """

    name: str
    label: str
    items: tuple[str, ...]
    rule: Literal["sum", "mean"] = "mean"
    at_least: int = 1
    reverse: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replicates:
    """Replicate weights: their columns and how their spread becomes a variance.

    Parameters
    ----------
    columns
        Columns of the replicate weights, full weights included in each.
    kind
        ``"jackknife-1"``, ``"jackknife-n"``, ``"bootstrap"``, ``"brr"`` or ``"fay"``.
    fay
        Fay's factor (kind ``"fay"``).
    scale, rscales
        Overall and per-replicate factors; by the usual formula of the kind where None. ``"jackknife-n"`` needs `rscales`.
    """

    columns: tuple[str, ...]
    kind: Literal["jackknife-1", "jackknife-n", "bootstrap", "brr", "fay"]
    fay: float = 0.0
    scale: float | None = None
    rscales: tuple[float, ...] | None = None


@dataclass(frozen=True)
class DesignColumns:
    """Which columns hold the sampling design.

    Parameters
    ----------
    country
        Country column; None for a single-country study, whose country is `one_country`.
    one_country
        ISO 3166-1 alpha-3 code (or an invented name) where there is no country column.
    countries
        Code in the file -> code used from then on, in the order of the levels; empty: as they stand in the file,
        in the order of first appearance after sorting.
    country_labels
        Words for the countries, by code used.
    weight, stratum, psu, child_id
        Columns; None where the file has none.
    replicates
        Replicate weights.
    lonely_psu
        What to do with a stratum that holds one PSU.
    """

    country: str | None = None
    one_country: str | None = None
    countries: Mapping[str, str] = field(default_factory=dict)
    country_labels: Mapping[str, str] = field(default_factory=dict)
    weight: str | None = None
    stratum: str | None = None
    psu: str | None = None
    child_id: str | None = None
    replicates: Replicates | None = None
    lonely_psu: Literal["error", "certainty", "average", "centred", "merge"] = "error"


@dataclass(frozen=True)
class Codebook:
    """Everything declared about one study.

    Parameters
    ----------
    study_id, title, population, citation
        Who was asked, and how to cite it.
    file
        Data file, relative to the codebook's folder.
    synthetic
        Whether the children are made up; brands everything made from the file.
    design
        Sampling design.
    eligibility
        Children who do not fulfil every condition are left out, and counted.
    variables, indicators, scales
        By name, in the order declared.
    response_sets
        Name -> indicators that are the options of one multi-response question, in order.
    folder
        Folder of the codebook.
    """

    study_id: str
    title: str
    population: str
    file: str
    synthetic: bool
    design: DesignColumns
    variables: Mapping[str, Variable]
    indicators: Mapping[str, Indicator]
    scales: Mapping[str, Scale] = field(default_factory=dict)
    response_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    eligibility: tuple[Condition, ...] = ()
    citation: str = ""
    folder: str = "."

    def columns(self) -> tuple[str, ...]:
        """Columns of the file that the codebook declares, each once, in the order of first mention."""
        design = self.design
        found = [design.country, design.weight, design.stratum, design.psu, design.child_id]
        found += list(design.replicates.columns) if design.replicates else []
        parts: list[Variable | Indicator] = [*self.variables.values(), *self.indicators.values()]
        for part in parts:
            found += [answers.column for answers in (part.answers, *part.by_country.values()) if answers is not None]
        return tuple(dict.fromkeys(name for name in found if name is not None))
