"""Strata and PSUs of the whole sample as indices, and what becomes of strata that hold one PSU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.design.direct.records import LONELY_POLICIES, IntArray, LonelyPsu
from riskmodels.errors import InputError, Problem, raise_if_stopping

#: Anything with one label per row: a list, an array, a Series, a Categorical.
Labels = Sequence[Any] | pd.Series | pd.Categorical | np.ndarray

SOURCE = "direct estimates"
NAMES_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Strata:
    """Strata of the whole sample, in order within their countries.

    Parameters
    ----------
    country
        Index of each stratum's country.
    psus
        PSUs in each stratum, counted over the whole sample whatever domain is estimated.
    names
        Names for messages.
    lonely_psu
        What is done with a stratum that holds one PSU.
    """

    country: IntArray
    psus: IntArray
    names: tuple[str, ...]
    lonely_psu: LonelyPsu = "error"

    def __len__(self) -> int:
        """Count the strata."""
        return len(self.psus)

    @property
    def countries(self) -> int:
        """Number of countries."""
        return int(self.country.max()) + 1 if len(self.country) else 0


@dataclass(frozen=True, eq=False)
class Units:
    """Where each row (a child, or a PSU's totals) stands in the sample.

    Parameters
    ----------
    strata
        Strata of the whole sample.
    stratum
        Stratum of each PSU.
    row_unit
        PSU of each row.
    """

    strata: Strata
    stratum: IntArray
    row_unit: IntArray


def codes_of(values: Labels) -> tuple[IntArray, pd.Index]:
    """Number the labels: the order of a Categorical, else sorted; -1 where a label is missing."""
    given = pd.Series(values)
    if isinstance(given.dtype, pd.CategoricalDtype):
        return np.array(given.cat.codes, dtype=np.int64), pd.Index(given.cat.categories)
    codes, labels = given.factorize(sort=True)
    return np.array(codes, dtype=np.int64), pd.Index(labels)


def _codes_or_one(values: Labels | None, rows: int) -> tuple[IntArray, pd.Index | None]:
    if values is None:
        return np.zeros(rows, np.int64), None
    return codes_of(values)


def check_labels(columns: Mapping[str, Labels | None], rows: int) -> list[Problem]:
    """E151, E122: columns of different lengths; a design column with empty fields."""
    given = {name: values for name, values in columns.items() if values is not None}
    problems = [
        Problem("E151", "a column has another number of rows than the others", name, len(values), f"give {rows} rows")
        for name, values in given.items()
        if len(values) != rows
    ]
    for name, values in given.items():
        empty = int(pd.isna(pd.Series(values)).sum())
        if empty:
            what = f"rows without a {name}"
            problems.append(Problem("E122", what, name, empty, f"fill {name} in, or leave it out for the whole study"))
    return problems


def check_policy(lonely_psu: str) -> list[Problem]:
    """E195: a policy for lonely PSUs that does not exist."""
    if lonely_psu in LONELY_POLICIES:
        return []
    return [Problem("E195", "unknown lonely_psu", "lonely_psu", 1, f"choose among {', '.join(LONELY_POLICIES)}")]


def name_some(names: Sequence[str]) -> str:
    """List names, cut after a few."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def check_lonely(strata: Strata) -> list[Problem]:
    """E121: strata with one PSU under the policy ``"error"``, or where a policy finds no other stratum to lean on."""
    lonely = strata.psus == 1
    names = [strata.names[place] for place in np.flatnonzero(lonely)]
    if strata.lonely_psu == "error" and names:
        remedy = "choose lonely_psu: centred (cautious), average, merge, or certainty if the PSU was taken for sure"
        return [Problem("E121", "strata that hold one PSU", name_some(names), len(names), remedy)]
    if strata.lonely_psu in ("average", "merge"):
        sound = np.bincount(strata.country, weights=~lonely, minlength=strata.countries)
        strata_count = np.bincount(strata.country, minlength=strata.countries)
        helpless = (sound == 0) & (strata_count > 0)
        if strata.lonely_psu == "merge":
            helpless &= strata_count == 1
        stuck = [strata.names[place] for place in np.flatnonzero(lonely & helpless[strata.country])]
        if stuck:
            what = f"lonely_psu={strata.lonely_psu} finds no other stratum in the country"
            return [Problem("E121", what, name_some(stuck), len(stuck), "choose centred, or give the true PSUs")]
    return []


def merged_groups(strata: Strata) -> IntArray:
    """Group of each stratum once lonely ones are merged: with the stratum after it, the last with the one before it.

    Strata stand in their order within the country (the order of a Categorical, else sorted).
    """
    group = np.empty(len(strata), np.int64)
    current = -1
    for country in np.unique(strata.country):
        first, size = current + 1, 2
        for place in np.flatnonzero(strata.country == country):
            if size > 1:
                current, size = current + 1, 0
            group[place] = current
            size += int(strata.psus[place])
        if size == 1 and current > first:
            group[group == current] = current - 1
            current -= 1
    return group


def apply_merge(strata: Strata) -> tuple[Strata, IntArray]:
    """Strata under the policy ``"merge"``, and which of them each old stratum went to; unchanged otherwise."""
    if strata.lonely_psu != "merge" or not (strata.psus == 1).any():
        return strata, np.arange(len(strata))
    group = merged_groups(strata)
    count = int(group.max()) + 1
    country = np.zeros(count, np.int64)
    country[group] = strata.country
    psus = np.bincount(group, weights=strata.psus, minlength=count).astype(np.int64)
    names: list[list[str]] = [[] for _ in range(count)]
    for place, name in enumerate(strata.names):
        names[group[place]].append(name)
    return Strata(country, psus, tuple(" + ".join(parts) for parts in names), "merge"), group


def stratum_names(country: pd.Index | None, stratum: pd.Index | None, pairs: IntArray, width: int) -> tuple[str, ...]:
    """Words for strata, in messages."""
    found = []
    for pair in pairs:
        parts = [
            str(labels[code])
            for labels, code in ((country, pair // width), (stratum, pair % width))
            if labels is not None
        ]
        found.append(" / ".join(parts) or "the whole sample")
    return tuple(found)


def locate_strata(
    country: Labels | None, stratum: Labels | None, rows: int
) -> tuple[IntArray, IntArray, tuple[str, ...]]:
    """Stratum of each row, country of each stratum, names of the strata; strata are nested in countries."""
    country_code, country_labels = _codes_or_one(country, rows)
    stratum_code, stratum_labels = _codes_or_one(stratum, rows)
    width = 1 if stratum_labels is None else len(stratum_labels)
    pairs, row_stratum = np.unique(country_code * width + stratum_code, return_inverse=True)
    return row_stratum.astype(np.int64), pairs // width, stratum_names(country_labels, stratum_labels, pairs, width)


def locate_units(
    country: Labels | None, stratum: Labels | None, psu: Labels | None, rows: int, lonely_psu: LonelyPsu
) -> Units:
    """Strata and PSUs of the whole sample, from labels of rows.

    Parameters
    ----------
    country, stratum, psu
        One label per row; None: one country, one stratum per country, every row its own PSU. The same stratum label
        in two countries is two strata, the same PSU label in two countries two PSUs.
    rows
        Number of rows.
    lonely_psu
        What to do with a stratum that holds one PSU.

    Raises
    ------
    InputError
        E151, E122, E195 (see `check_labels`, `check_policy`), E120 where a PSU of one country lies in several strata,
        E121 for strata that hold one PSU.
    """
    problems = check_labels({"country": country, "stratum": stratum, "psu": psu}, rows) + check_policy(lonely_psu)
    raise_if_stopping(problems, SOURCE)
    row_stratum, stratum_country, names = locate_strata(country, stratum, rows)
    row_unit, unit_stratum = number_psus(row_stratum, stratum_country, psu)
    psus = np.bincount(unit_stratum, minlength=len(stratum_country))
    strata, group = settle(Strata(stratum_country, psus, names, lonely_psu))
    return Units(strata, group[unit_stratum], row_unit)


def number_psus(row_stratum: IntArray, stratum_country: IntArray, psu: Labels | None) -> tuple[IntArray, IntArray]:
    """PSU of each row and stratum of each PSU; every row its own where no labels are given.

    Raises
    ------
    InputError
        E120 where a PSU of one country lies in several strata.
    """
    if psu is None:
        return np.arange(len(row_stratum)), row_stratum
    psu_code, labels = codes_of(psu)
    keys = stratum_country[row_stratum] * len(labels) + psu_code
    _, first, row_unit = np.unique(keys, return_index=True, return_inverse=True)
    unit_stratum = row_stratum[first]
    astray = np.unique(row_unit[unit_stratum[row_unit] != row_stratum])
    if len(astray):
        remedy = "make PSU codes unique within the country, e.g. stratum code and PSU code together"
        raise InputError([Problem("E120", "PSUs that lie in several strata", "psu", len(astray), remedy)], SOURCE)
    return row_unit.astype(np.int64), unit_stratum


def settle(strata: Strata) -> tuple[Strata, IntArray]:
    """Check the policy for lonely PSUs, and merge where it says so; also where each old stratum went."""
    raise_if_stopping(check_lonely(strata), SOURCE)
    return apply_merge(strata)
