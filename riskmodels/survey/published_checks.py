"""One function per rule for published tables, each giving a list of problems, never a cell value."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskmodels.errors import Problem, name_rows
from riskmodels.survey.countries import POOLED_CODES, is_country

#: Response labels of a distribution that sums to n.
NO_RESPONSES = frozenset({"never", "no", "not_at_all"})
YES_RESPONSES = frozenset({"yes", "rarely", "once", "sometimes", "often", "very_often", "always"})
MISSING_RESPONSES = frozenset({"prefer_not_to_say", "refused", "dont_know", "do_not_know", "no_answer", "not_stated"})

HALF_PRINTED_UNIT = 0.05 + 1e-9


def _rows(frame: pd.DataFrame, mask: pd.Series | np.ndarray) -> list[int]:
    return [int(row) for row in frame.loc[np.asarray(mask, dtype=bool), "row"]]


def _problem(code: str, what: str, frame: pd.DataFrame, mask: pd.Series | np.ndarray, remedy: str) -> list[Problem]:
    rows = _rows(frame, mask)
    return [Problem(code, what, name_rows(rows), len(rows), remedy)] if rows else []


def check_columns(frame: pd.DataFrame, known: Sequence[str]) -> list[Problem]:
    """E132: a required column is absent; the nearest names are offered."""
    problems = []
    have = [column for column in frame.columns if column != "row"]
    for needed in ("country_iso3", "indicator"):
        if needed not in have:
            near = difflib.get_close_matches(needed, have, n=2, cutoff=0.5)
            hint = f"rename {' or '.join(near)} to {needed}" if near else f"add a column {needed}"
            problems.append(Problem("E132", f"column {needed} is absent", "header", 1, hint))
    if not {"n", "percent"} & set(have):
        problems.append(
            Problem(
                "E132",
                "neither n nor percent is there",
                "header",
                2,
                "add n and a numerator, or percent with its interval",
            )
        )
    misspelt = [c for c in have if c not in known and difflib.get_close_matches(c, known, n=1, cutoff=0.85)]
    for column in misspelt:
        near_name = difflib.get_close_matches(column, known, n=1, cutoff=0.85)[0]
        problems.append(
            Problem(
                "W132",
                "a column is not known and is left aside",
                column,
                1,
                f"rename it to {near_name} if that is what it is",
            )
        )
    return problems


def parse_numbers(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, list[Problem]]:
    """E163, E173: text where a number belongs; decimal commas and per cent signs are named as such."""
    frame = frame.copy()
    problems: list[Problem] = []
    for column in columns:
        if column not in frame:
            frame[column] = np.nan
            continue
        text = frame[column].astype("str").str.strip()
        number = pd.to_numeric(text.where(text != "", None), errors="coerce").astype(float)
        bad = (text != "") & ~np.isfinite(number.fillna(np.nan))
        comma = bad & text.str.fullmatch(r"-?\d+,\d+%?")
        problems += _problem(
            "E173", f"decimal commas or thousands separators in {column}", frame, comma, "write 12.5 and 1200"
        )
        problems += _problem(
            "E163",
            f"{column} holds text that is not a number",
            frame,
            bad & ~comma,
            "leave the field empty where nothing is printed",
        )
        frame[column] = number.where(np.isfinite(number))
    return frame, problems


def check_countries(frame: pd.DataFrame) -> list[Problem]:
    """E172: country code empty (NA or NO lost on the way) or not an ISO 3166 alpha-3 code."""
    code = frame["country_iso3"]
    empty = code == ""
    unknown = ~empty & ~code.map(is_country) & ~code.isin(POOLED_CODES)
    return [
        *_problem(
            "E172",
            "country code empty",
            frame,
            empty,
            "was NA (Namibia) or NO (Norway) lost by a spreadsheet? write the three-letter code",
        ),
        *_problem(
            "E172",
            "country code not in ISO 3166 alpha-3",
            frame,
            unknown,
            "write the three-letter code, e.g. VNM for Viet Nam",
        ),
    ]


def check_names(frame: pd.DataFrame) -> list[Problem]:
    """E163: rows without an indicator."""
    return _problem("E163", "indicator is empty", frame, frame["indicator"] == "", "name the indicator in every row")


def check_counts(frame: pd.DataFrame) -> list[Problem]:
    """E180: cases above the base, negative counts, counts that are not whole without an effective n."""
    problems: list[Problem] = []
    n, weighted_n = frame["n"], frame["n_weighted"]
    for column, base in (("numerator", n), ("numerator_weighted", weighted_n.fillna(n))):
        above = (frame[column] > base + 1e-9).fillna(False)
        problems += _problem(
            "E180", f"{column} exceeds its base", frame, above, "check which column holds the base; swapped columns?"
        )
    for column in ("n", "numerator", "numerator_weighted", "n_weighted", "n_effective", "design_effect"):
        low = 0.0 if column.startswith("numerator") else 1e-12
        problems += _problem(
            "E180",
            f"{column} is {'negative' if low == 0 else 'not positive'}",
            frame,
            (frame[column] < low).fillna(False),
            "counts start at 0, bases above 0",
        )
    has_effective = frame["n_effective"].notna() | frame["design_effect"].notna() | frame["ci_low"].notna()
    fractional = ((n % 1 != 0) & n.notna()) & ~has_effective
    problems += _problem(
        "E180",
        "n is not a whole number and no effective n, design effect or interval says why",
        frame,
        fractional,
        "give n_effective, design_effect or the interval",
    )
    problems += _problem(
        "E180",
        "n_effective exceeds n",
        frame,
        (frame["n_effective"] > n + 0.5).fillna(False),
        "the effective number never exceeds the number of children; a design effect below 1 cannot be used",
    )
    return problems


def _printed_ratio(frame: pd.DataFrame) -> pd.Series:
    """Per cent that the row's own counts give (weighted where weighted counts stand)."""
    weighted = 100 * frame["numerator_weighted"] / frame["n_weighted"].fillna(frame["n"])
    return weighted.fillna(100 * frame["numerator"] / frame["n"])


def check_percents(frame: pd.DataFrame) -> list[Problem]:
    """E181: per cent against proportion, and rows whose per cent and counts tell two stories."""
    percent, ratio = frame["percent"], _printed_ratio(frame)
    outside = ((percent < 0) | (percent > 100)).fillna(False)
    proportion = ((percent <= 1) & (ratio > 5) & ((100 * percent - ratio).abs() < 0.25 * ratio)).fillna(False)
    apart = ((percent - ratio).abs() > 10).fillna(False) & ~proportion & ~outside & ~(ratio > 100).fillna(False)
    problems = [
        *_problem("E181", "percent outside 0 to 100", frame, outside, "write per cent, not counts or per mille"),
        *_problem(
            "E181",
            "percent looks like a proportion: a hundredth of numerator / n",
            frame,
            proportion,
            "multiply by 100: the column holds per cent",
        ),
        *_problem(
            "E181", "percent and numerator / n lie more than 10 points apart", frame, apart, "check the base of both"
        ),
    ]
    interval = frame["ci_high"] - frame["ci_low"]
    printed = percent.dropna()
    all_small = len(printed) >= 3 and printed.max() <= 1 and printed.max() > 0 and not proportion.any()
    if all_small and ratio.isna().all() and (interval.isna().all() or interval.max() < 1):
        problems.append(
            Problem(
                "E181",
                "every percent is 1 or less: a column of proportions?",
                "column percent",
                len(printed),
                "multiply by 100, or add n and numerator so that it can be told",
            )
        )
    return problems


def check_intervals(frame: pd.DataFrame) -> list[Problem]:
    """E181: intervals that exclude their estimate, stand upside down or lack an end."""
    low, high, percent = frame["ci_low"], frame["ci_high"], frame["percent"]
    reversed_ends = (low > high).fillna(False)
    centre = percent.fillna(_printed_ratio(frame))
    tolerance = HALF_PRINTED_UNIT + 0.5 * (frame["percent"].isna())
    excludes = ((centre < low - tolerance) | (centre > high + tolerance)).fillna(False) & ~reversed_ends
    half = low.isna() != high.isna()
    level = frame["ci_level"]
    return [
        *_problem("E181", "interval ends stand upside down", frame, reversed_ends, "put the lower end into ci_low"),
        *_problem(
            "E181",
            "interval excludes its own estimate",
            frame,
            excludes,
            "check for swapped rows or a proportion among per cents",
        ),
        *_problem("E181", "only one end of the interval is there", frame, half, "give both ends or none"),
        *_problem(
            "E181",
            "ci_level is not between 0 and 1",
            frame,
            ((level <= 0) | (level >= 1)).fillna(False),
            "write 0.95 for 95 %",
        ),
    ]


def check_sums(frame: pd.DataFrame) -> list[Problem]:
    """E181: response distributions that do not add up to n."""
    responses = frame[(frame["subgroup_dim"] == "response") & frame["numerator"].notna() & frame["n"].notna()]
    known = responses["subgroup"].isin(NO_RESPONSES | YES_RESPONSES | MISSING_RESPONSES)
    bad_rows: list[int] = []
    groups = 0
    for _, group in responses[known].groupby(["country_iso3", "indicator"], sort=False):
        slack = 0.5 * len(group) + 1
        complete = group["subgroup"].isin(NO_RESPONSES).any() and group["subgroup"].isin(YES_RESPONSES).any()
        if group["n"].nunique() > 1 or (complete and abs(group["numerator"].sum() - group["n"].iloc[0]) > slack):
            bad_rows += [int(row) for row in group["row"]]
            groups += 1
    if not bad_rows:
        return []
    return [
        Problem(
            "E181",
            "answers of one item do not add up to n, or n differs between them",
            name_rows(bad_rows),
            groups,
            "check for a missing answer category or another base",
        )
    ]


def check_duplicates(frame: pd.DataFrame) -> list[Problem]:
    """E150: the same study, country, indicator and subgroup twice with a usable figure."""
    usable = frame["n"].notna() | frame["ci_low"].notna()
    key = ["country_iso3", "indicator", "subgroup_dim", "subgroup", "year"]
    twice = usable & frame[usable].duplicated(key, keep=False).reindex(frame.index, fill_value=False)
    return _problem(
        "E150",
        "the same country, indicator and subgroup stand in more than one row",
        frame,
        twice,
        "keep one row of each; name different definitions differently",
    )


def check_table(frame: pd.DataFrame) -> list[Problem]:
    """Run every rule of the catalogue that applies to a published table."""
    return [
        problem
        for rule in (
            check_names,
            check_countries,
            check_counts,
            check_percents,
            check_intervals,
            check_sums,
            check_duplicates,
        )
        for problem in rule(frame)
    ]
