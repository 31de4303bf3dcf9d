"""A published table becomes cells: effective counts under the denominator asked for."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.design.weighting import effective_size, printed_proportion
from riskmodels.errors import InputError, Problem
from riskmodels.survey.countries import POOLED_CODES
from riskmodels.survey.factors import Factor
from riskmodels.survey.published import PublishedTable, read_published_table
from riskmodels.survey.published_checks import MISSING_RESPONSES, NO_RESPONSES, YES_RESPONSES
from riskmodels.vocabulary import COUNTRY, INDICATOR, MULTI_RESPONSE_DIMS, Base

#: Indicators whose n differ by more than this share were not asked of the same children.
SAME_CHILDREN_TOLERANCE = 0.10


def read_published(
    path: str | Path,
    *,
    indicators: Sequence[str] | None = None,
    by: Sequence[str] = (),
    base: Base = "all asked",
    design_effect: float | None = None,
) -> Cells:
    """Read any published table of country x indicator (x subgroup) as cells.

    Parameters
    ----------
    path
        CSV with columns `country_iso3`, `indicator` and, where printed, `n`, `percent`, `ci_low`, `ci_high`,
        `numerator`, `subgroup_dim`, `subgroup`, `design_effect`, `n_effective`; see `docs/published-tables.md`.
    indicators
        Names or patterns (``"item_*"``) of the indicators to keep; all by default.
    by
        Subgroup factors, e.g. ``["sex"]`` for rows with `subgroup_dim` ``sex``; rows crossed by two factors have
        `subgroup_dim` ``sex*age_group`` and `subgroup` ``girl*12-14``.
    base
        ``"all asked"`` counts refusals and don't-knows in the denominator, ``"valid answers"`` leaves them out;
        it matters where the table prints the distribution of answers (`subgroup_dim` ``response``).
    design_effect
        Design effect for rows about which the table itself says nothing.

    Returns
    -------
    Cells
        Effective n from the row's own interval where printed, else from the country's design effect; `warnings`
        says which rows were left aside and why.

    Raises
    ------
    InputError
        All problems at once: code, what, rows, count, remedy.

    Examples
    --------
    >>> import riskmodels as rm
    >>> table = rm.pack_path("disrupting-harm") / "estimates.csv"
    >>> cells = rm.read_published(table, indicators=["item_*"], base="valid answers")
    >>> len(cells), cells.base
    (108, 'valid answers')

    References
    ----------
    Effective counts: Chen, Wakefield & Lumley 2014, Spatial and Spatio-temporal Epidemiology 11, 33-43.
    """
    return collapse_published(
        read_published_table(path), indicators=indicators, by=by, base=base, design_effect=design_effect
    )


def collapse_published(
    table: PublishedTable,
    *,
    indicators: Sequence[str] | None = None,
    by: Sequence[str] = (),
    base: Base = "all asked",
    design_effect: float | None = None,
) -> Cells:
    """Collapse a checked table to cells; parameters as in `read_published`."""
    size = effective_size(table.frame, design_effect)
    frame = table.frame.assign(n_effective=size.n_effective, method=size.method)
    frame, notes = _select_rows(frame, indicators, tuple(by))
    rows = pd.concat([_plain_rows(frame), _response_rows(frame, base)], ignore_index=True)
    if rows.empty:
        raise InputError(
            [
                *notes,
                Problem(
                    "E101",
                    "no row of the table can become a cell",
                    table.name,
                    0,
                    "check indicators=, by= and that n or an interval is printed",
                ),
            ],
            table.name,
        )
    if (rows["method"] == "none").any():
        count = int((rows["method"] == "none").sum())
        notes.append(
            Problem(
                "W118",
                "no interval, effective n or design effect: simple random sampling is assumed",
                "intervals too narrow",
                count,
                "state design_effect=",
            )
        )
    rows["same_children"] = _same_children(rows, tuple(by))
    factors = [
        _factor(rows, COUNTRY, "country_label"),
        *(_factor(rows, name, name) for name in by),
        _factor(rows, INDICATOR, "indicator_label"),
    ]
    notes += _fielding_notes(rows)
    return cells_from_frame(
        rows,
        factors,
        base=base,
        source="published aggregates",
        synthetic=table.synthetic,
        warnings=[*table.warnings, *notes],
    )


def _select_rows(
    frame: pd.DataFrame, indicators: Sequence[str] | None, by: tuple[str, ...]
) -> tuple[pd.DataFrame, list[Problem]]:
    """Keep the rows asked for; say how many were left aside and why."""
    notes: list[Problem] = []

    def leave(mask: pd.Series, why: str, remedy: str, code: str = "I146") -> None:
        nonlocal frame
        if mask.any():
            names = sorted(frame.loc[mask, "indicator"].unique())
            notes.append(
                Problem(code, why, ", ".join(names[:4]) + (" ..." if len(names) > 4 else ""), int(mask.sum()), remedy)
            )
            frame = frame[~mask]

    if indicators is not None:
        unmatched = [
            pattern
            for pattern in indicators
            if not frame["indicator"].map(lambda name, p=pattern: fnmatchcase(name, p)).any()
        ]
        if unmatched:
            raise InputError(
                [
                    Problem(
                        "E132",
                        "no indicator of that name",
                        ", ".join(unmatched),
                        len(unmatched),
                        "see the column indicator for the names there are",
                    )
                ],
                "selection",
            )
        frame = frame[frame["indicator"].map(lambda name: any(fnmatchcase(name, pattern) for pattern in indicators))]
    leave(
        frame["country_iso3"].isin(POOLED_CODES),
        "rows that pool countries are not cells",
        "they are targets for comparison, not input",
    )
    wanted = "*".join(by) if by else "all"
    crossed = frame["subgroup_dim"].map(lambda dim: tuple(sorted(dim.split("*")))) == tuple(sorted(by))
    taken = (
        (frame["subgroup_dim"] == wanted)
        | (crossed if by else False)
        | (frame["subgroup_dim"].isin(("response", *MULTI_RESPONSE_DIMS)) if not by else False)
    )
    leave(~taken, "rows by other subgroups", f"read them with by= (now: {', '.join(by) or 'none'})")
    responses = frame["subgroup_dim"] == "response"
    known = frame["subgroup"].isin(NO_RESPONSES | YES_RESPONSES | MISSING_RESPONSES)
    unclear = frame.loc[responses & ~known, "indicator"].unique()
    leave(
        responses & frame["indicator"].isin(unclear),
        "answers that are neither yes, no nor a known kind of missing",
        "recode them to yes / no first",
        "W160",
    )
    no_base = frame["n"].isna() & frame["n_effective"].isna()
    no_cases = frame["percent"].isna() & frame["numerator"].isna() & frame["numerator_weighted"].isna()
    leave(no_base | no_cases, "rows without n or interval, or without a figure", "print n or the interval", "W147")
    return frame, notes


def _split_subgroups(frame: pd.DataFrame) -> pd.DataFrame:
    """Spread ``sex*age`` / ``girl*12-14`` into one column per factor."""
    frame = frame.copy()
    for position, row in enumerate(zip(frame["subgroup_dim"], frame["subgroup"], strict=True)):
        for name, level in zip(row[0].split("*"), row[1].split("*"), strict=True):
            if name not in ("all", "response", *MULTI_RESPONSE_DIMS):
                frame.loc[frame.index[position], name] = level
    return frame


def _plain_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows that are cells already."""
    plain = _split_subgroups(frame[frame["subgroup_dim"] != "response"])
    several = plain.groupby(["country_iso3", "indicator"])["subgroup"].transform("nunique") > 1
    sub_indicator = plain["subgroup_dim"].isin(MULTI_RESPONSE_DIMS) & several
    plain["indicator"] = plain["indicator"].where(~sub_indicator, plain["indicator"] + "/" + plain["subgroup"])
    plain["indicator_label"] = plain["indicator_label"].where(
        ~sub_indicator, plain["indicator_label"] + " - " + plain["subgroup"]
    )
    plain["yes_effective"] = plain["n_effective"] * printed_proportion(plain)[0]
    plain["weight"] = plain["n_weighted"].fillna(plain["n"]).fillna(plain["n_effective"])
    return plain.assign(
        **{
            COUNTRY: plain["country_iso3"],
            "country_label": plain["country"].where(plain["country"] != "", plain["country_iso3"]),
        }
    )


def _response_rows(frame: pd.DataFrame, base: Base) -> pd.DataFrame:
    """Collapse distributions of answers (never ... very often, refused, don't know) to yes over the base."""
    answers = frame[frame["subgroup_dim"] == "response"]
    collapsed = []
    for (country, indicator), group in answers.groupby(["country_iso3", "indicator"], sort=False):
        count = group["numerator_weighted"].fillna(group["numerator"])
        yes = float(count[group["subgroup"].isin(YES_RESPONSES)].sum())
        missing = float(count[group["subgroup"].isin(MISSING_RESPONSES)].sum())
        first = group.iloc[0]
        n = float(first["n"]) - (missing if base == "valid answers" else 0.0)
        n_effective = n * float(first["n_effective"]) / float(first["n"])
        collapsed.append(
            {
                COUNTRY: country,
                INDICATOR: indicator,
                "country_label": first["country"] or country,
                "indicator_label": first["indicator_label"],
                "n": n,
                "n_effective": n_effective,
                "yes_effective": yes / n * n_effective,
                "weight": n,
                "method": first["method"],
            }
        )
    return pd.DataFrame(collapsed)


def _same_children(rows: pd.DataFrame, by: tuple[str, ...]) -> np.ndarray:
    """Number the groups of children: same country, same subgroup, (nearly) the same n."""
    group = np.zeros(len(rows), dtype=np.int64)
    next_group = 0
    for _, part in rows.groupby([COUNTRY, *by], sort=False):
        first_n = -np.inf
        for position in part["n"].fillna(part["n_effective"]).sort_values().index:
            size = (
                rows.loc[position, "n"] if not np.isnan(rows.loc[position, "n"]) else rows.loc[position, "n_effective"]
            )
            if size > first_n * (1 + SAME_CHILDREN_TOLERANCE) or first_n < 0:
                first_n, next_group = size, next_group + 1
            group[rows.index.get_loc(position)] = next_group
    return group


def _factor(rows: pd.DataFrame, name: str, label: str) -> Factor:
    """Levels in the order in which the table shows them."""
    unique = rows.drop_duplicates(name)
    labels = tuple(text or code for text, code in zip(unique[label].astype(str), unique[name].astype(str), strict=True))
    return Factor(
        name, tuple(unique[name].astype(str)), tuple(text.split(" - response distribution")[0] for text in labels)
    )


def _fielding_notes(rows: pd.DataFrame) -> list[Problem]:
    """W131, W140, W102: items absent in some countries, cells at 0 or 100 per cent, small bases."""
    notes = []
    n_countries = rows[COUNTRY].nunique()
    fielded = rows.groupby(INDICATOR)[COUNTRY].nunique()
    partly = fielded[fielded < n_countries]
    if len(partly):
        notes.append(
            Problem(
                "W131",
                f"indicators printed for some of {n_countries} countries only",
                ", ".join(partly.index[:4]),
                len(partly),
                "their other countries are estimated by nobody: not shown",
            )
        )
    extreme = (rows["yes_effective"] <= 0) | (rows["yes_effective"] >= rows["n_effective"])
    if extreme.any():
        notes.append(
            Problem(
                "W140",
                "cells at 0 % or 100 %",
                "estimate borrowed from other groups",
                int(extreme.sum()),
                "read the upper end of the interval, not the zero",
            )
        )
    if (rows["n"] < 25).any():
        notes.append(
            Problem(
                "W102", "cells with a base under 25", "cannot be released", int((rows["n"] < 25).sum()), "pool groups"
            )
        )
    return notes
