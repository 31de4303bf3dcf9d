"""Profile: what a survey file holds, as counts and sums only; every check reads this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from riskmodels.survey.checks.catalogue import FEW_NAMED, MOST_NAMED, SMALL_CELL, listed
from riskmodels.survey.checks.profile.queries import Columns
from riskmodels.survey.checks.profile.reading import Raw, Reading
from riskmodels.survey.codebook.records import Codebook


class Tally(NamedTuple):
    """Children of one country who share a value.

    Parameters
    ----------
    country, eligible, asked
        Who they are; `asked` tells whether the skip pattern has them answer.
    raw, kind, reading
        The value, its kind (empty, reason, number, fraction, infinite, comma, date, text), and what it means.
    rows
        How many they are.
    """

    country: str | None
    eligible: bool
    asked: bool
    raw: Raw
    kind: str
    reading: Reading
    rows: int


class Weights(NamedTuple):
    """Weights of one country's children; sums and quantiles are over the positive ones.

    `top_share` is the part of the total that the largest 1 % of the children hold.
    """

    country: str | None
    rows: int
    unusable: int
    negative: int
    zero: int
    positive: int
    median: float
    largest: float
    total: float
    squares: float
    top_share: float

    @property
    def mean(self) -> float:
        """Mean of the positive weights."""
        return self.total / self.positive if self.positive else float("nan")

    @property
    def effective_n(self) -> float:
        """Kish's effective number of children, ``sum(w)^2 / sum(w^2)``."""
        return self.total**2 / self.squares if self.squares > 0 else float("nan")


class AllWeights(NamedTuple):
    """The weight column as a whole: distinct values, smallest and largest, whether all are whole numbers."""

    rows: int
    distinct: int
    smallest: float
    largest: float
    whole: bool


class Unit(NamedTuple):
    """Children of one country, stratum and PSU; None where empty or not declared."""

    country: str | None
    stratum: str | None
    psu: str | None
    rows: int


class Spelling(NamedTuple):
    """How the codes of a design column are written: distinct codes of each kind, summed over countries.

    `twice` counts codes that stand with and without leading zeros.
    """

    column: str
    twice: int
    scientific: int
    dates: int
    commas: int
    fractions: int


class Identifiers(NamedTuple):
    """Identifiers on several rows: how many, their rows, rows that repeat another in full; rows without any."""

    repeated: int
    rows: int
    identical: int
    empty: int


class Group(NamedTuple):
    """Children of one country and one combination of levels; None where the answer is missing."""

    country: str | None
    levels: tuple[str | None, ...]
    rows: int


@dataclass(frozen=True)
class Profile:
    """A survey file as counts and sums. It holds small cells and codes: for checks, never for release.

    Parameters
    ----------
    rows, eligible
        Rows of the file, and rows that fulfil the eligibility rule.
    kept
        Per condition of the eligibility rule: name, rows that fulfil it alone.
    country_rows
        Eligible children per country (all children where none is eligible).
    lost_countries
        Country codes that are not declared: value and rows.
    answers
        Variable or indicator -> its distinct values per country.
    columns
        Declared columns and their types.
    weights, all_weights
        Weights per country, and as a whole; empty and None where the file has none.
    units
        Children per stratum and PSU.
    spellings
        How design columns are written.
    identifiers
        Repeated identifiers; None where no column is declared.
    twins
        Pairs of questions whose columns hold the same in every row.
    by, groups
        Variables asked for, and children per country and combination of their levels.
    """

    rows: int
    eligible: int
    kept: tuple[tuple[str, int], ...]
    country_rows: Mapping[str | None, int]
    lost_countries: tuple[tuple[Raw, int], ...]
    answers: Mapping[str, tuple[Tally, ...]]
    columns: Columns
    weights: tuple[Weights, ...] = ()
    all_weights: AllWeights | None = None
    units: tuple[Unit, ...] = ()
    spellings: tuple[Spelling, ...] = ()
    identifiers: Identifiers | None = None
    twins: tuple[tuple[str, str], ...] = ()
    by: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        return f"Profile({self.rows:,} rows, {self.eligible:,} eligible, {len(self.answers)} questions)"

    @property
    def countries(self) -> tuple[str, ...]:
        """Countries with children, in alphabetical order."""
        return tuple(sorted(country for country in self.country_rows if country is not None))

    def analysed(self, name: str, *, asked: bool | None = None) -> list[Tally]:
        """Values of a question among children who enter the analysis (all children where none is eligible)."""
        return [
            tally
            for tally in self.answers.get(name, ())
            if (tally.eligible or not self.eligible) and (asked is None or tally.asked is asked)
        ]


def names_by_countries(profile: Profile, codebook: Codebook, found: Mapping[str, Sequence[str]]) -> str:
    """List names with the countries concerned, names of the same countries together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, countries in found.items():
        groups.setdefault(tuple(countries), []).append(name)
    parts = [
        f"{country_names(profile, codebook, countries)}: {listed(names, FEW_NAMED)}"
        for countries, names in groups.items()
    ]
    more = f"; and {len(parts) - MOST_NAMED} more" if len(parts) > MOST_NAMED else ""
    return "; ".join(parts[:MOST_NAMED]) + more


def country_names(profile: Profile, codebook: Codebook, countries: Sequence[str]) -> str:
    """List countries; one that only the file names, and on fewer than ten rows, is not named.

    A code on so few rows may be anything that slipped into the column.
    """
    design = codebook.design
    declared = {*design.countries.values(), *design.country_labels, design.one_country or "ONE"}
    named = [
        design.country_labels.get(country, country)
        for country in countries
        if country in declared or profile.country_rows.get(country, 0) >= SMALL_CELL
    ]
    hidden = len(countries) - len(named)
    rest = [f"{hidden} not named (under {SMALL_CELL} rows)"] if hidden else []
    return "; ".join([part for part in (listed(named), *rest) if part])
