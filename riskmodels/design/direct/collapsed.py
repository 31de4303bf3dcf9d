"""Direct estimates from totals that SQL has collapsed: the same numbers as from rows, without a row in sight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskmodels.design.direct.intervals import check_interval
from riskmodels.design.direct.records import DirectEstimate, FloatArray, IntArray, Interval, LonelyPsu
from riskmodels.design.direct.sample import domains_of, numbers_of
from riskmodels.design.direct.totals import Totals, conclude
from riskmodels.design.direct.units import (
    Labels,
    Strata,
    check_labels,
    check_policy,
    locate_strata,
    number_psus,
    settle,
)
from riskmodels.errors import InputError, Problem, raise_if_stopping

SOURCE = "totals per PSU and domain"
SUMS = ("n", "yes", "w", "wy", "w2", "w2y")
PARTS = (("yes", "n"), ("wy", "w"), ("w2y", "w2"), ("n_positive", "n"))
DESIGN = ("country", "stratum", "psu")
#: A sum over those affected may pass the sum over all by this share: rounding.
ROUNDING = 1e-9


def check_totals(totals: pd.DataFrame, by: Sequence[str]) -> list[Problem]:
    """E132, E112, E180: columns that are absent, sums that are missing, negative, or larger than their base."""
    needed = [*SUMS, *by]
    absent = [name for name in needed if name not in totals.columns]
    problems = [Problem("E132", "a column is absent", name, 1, f"give {', '.join(needed)}") for name in absent]
    numbers: dict[str, FloatArray] = {}
    for name in (*SUMS, "n_positive"):
        if name not in totals.columns:
            continue
        values, text = numbers_of(totals[name], name)
        problems += text
        if text:
            continue
        numbers[name] = values
        unknown, negative = int((~np.isfinite(values)).sum()), int((values < 0).sum())
        if unknown:
            problems.append(Problem("E112", "missing or infinite sums", name, unknown, "sum over rows with a weight"))
        if negative:
            problems.append(Problem("E180", "negative sums", name, negative, "weights must be zero or more"))
    for part, whole in PARTS:
        if part in numbers and whole in numbers:
            larger = int((numbers[part] > numbers[whole] * (1 + ROUNDING)).sum())
            if larger:
                problems.append(Problem("E180", f"{part} larger than {whole}", part, larger, "count cases in the base"))
    return problems


def _column(frame: pd.DataFrame, name: str) -> pd.Series | None:
    return frame[name] if name in frame.columns else None


def _both(first: pd.DataFrame, second: pd.DataFrame | None, name: str) -> Labels | None:
    if name not in first.columns:
        return None
    return first[name] if second is None else pd.concat([first[name], second[name]], ignore_index=True)


def check_strata(totals: pd.DataFrame, strata: pd.DataFrame | None) -> list[Problem]:
    """E132, E180: a list of strata without the columns of the totals, or with fewer than one PSU somewhere."""
    if strata is None:
        return []
    names = [name for name in ("country", "stratum") if name in totals.columns]
    absent = [name for name in (*names, "psus") if name not in strata.columns]
    problems = [
        Problem("E132", "a column of strata is absent", name, 1, "give country, stratum, psus") for name in absent
    ]
    if "psus" in strata.columns:
        odd = int((~(numbers_of(strata["psus"], "psus")[0] >= 1)).sum())
        if odd:
            problems.append(
                Problem("E180", "strata with fewer than one PSU", "psus", odd, "count PSUs, or drop the stratum")
            )
    return problems


def locate_totals(
    totals: pd.DataFrame, strata: pd.DataFrame | None, lonely_psu: LonelyPsu
) -> tuple[Strata, IntArray, IntArray | None]:
    """Strata of the whole sample, stratum of each row of totals, PSU of each row (None: children are PSUs)."""
    rows = len(totals)
    listed = 0 if strata is None else len(strata)
    place, country, names = locate_strata(
        _both(totals, strata, "country"), _both(totals, strata, "stratum"), rows + listed
    )
    row_stratum = place[:rows]
    if "psu" in totals.columns:
        unit, unit_stratum = number_psus(row_stratum, country, totals["psu"])
        psus = np.bincount(unit_stratum, minlength=len(country))
    else:
        unit = None
        psus = np.bincount(row_stratum, weights=totals["n"].to_numpy(float), minlength=len(country)).astype(np.int64)
    if strata is not None:
        stated = np.bincount(place[rows:], weights=strata["psus"].to_numpy(float), minlength=len(country)).astype(
            np.int64
        )
        short = int((stated < psus).sum())
        if short:
            raise InputError(
                [
                    Problem(
                        "E180",
                        "strata with fewer PSUs than the totals hold",
                        "psus",
                        short,
                        "count the PSUs of the whole sample",
                    )
                ],
                SOURCE,
            )
        psus = stated
    held = psus > 0
    renumbered = np.cumsum(held) - 1
    kept = Strata(
        country[held], psus[held], tuple(name for name, keep in zip(names, held, strict=True) if keep), lonely_psu
    )
    settled, group = settle(kept)
    return settled, group[np.maximum(renumbered[row_stratum], 0)], unit


def proportions_from_totals(
    totals: pd.DataFrame,
    *,
    by: Sequence[str] = ("domain",),
    strata: pd.DataFrame | None = None,
    lonely_psu: LonelyPsu = "error",
    interval: Interval = "logit",
    probability: float = 0.95,
) -> DirectEstimate:
    """Proportions of children affected per domain, from sums that a database has made.

    Parameters
    ----------
    totals
        One row per country, stratum, PSU and domain (the first three where the study has them), with the sums over
        children of the base: `n`, `yes` (unweighted), `w`, `wy` (weights, weights of those affected), `w2`, `w2y`
        (squared weights), and `n_positive` (children with a weight above zero) where some weights are zero. Without a
        column `psu` every child is its own PSU. A row whose domain is missing belongs to no domain, but its PSU (or
        its n children) belongs to the sample.
    by
        Columns that make the domain; ``"country"`` may be one of them.
    strata
        Strata of the *whole sample*: `country`, `stratum`, and `psus`, the PSUs (without a column `psu` in the
        totals: the children) in each, those without children in any base included. None: what `totals` holds is the
        whole sample.
    lonely_psu, interval, probability
        As in `direct_proportion`.

    Returns
    -------
    DirectEstimate
        The same, to rounding, as `direct_proportion` gives from rows.

    Raises
    ------
    InputError
        E112, E132, E180 (the table), E120, E121, E122 (design), E195 (options).

    Examples
    --------
    >>> import pandas as pd
    >>> from riskmodels.design.direct import proportions_from_totals
    >>> totals = pd.DataFrame({
    ...     "stratum": [1, 1, 2, 2], "psu": [1, 2, 3, 4], "domain": ["girl"] * 4, "n": [2, 2, 2, 2],
    ...     "yes": [1, 0, 1, 1], "w": [4, 2, 6, 2], "wy": [2, 0, 3, 1], "w2": [8, 2, 18, 2], "w2y": [4, 0, 9, 1],
    ... })
    >>> found = proportions_from_totals(totals)
    >>> round(float(found.estimate[0]), 4), round(float(found.standard_error[0]), 4)
    (0.4286, 0.0841)
    """
    design = {name: _column(totals, name) for name in DESIGN}
    problems = check_totals(totals, by) + check_strata(totals, strata) + check_labels(design, len(totals))
    raise_if_stopping(problems + check_policy(lonely_psu) + check_interval(interval, probability), SOURCE)
    settled, row_stratum, unit = locate_totals(totals, strata, lonely_psu)
    code, labels = domains_of(totals[by[0]] if len(by) == 1 else totals[list(by)], len(totals))
    inside = (code >= 0) & (totals["n"].to_numpy(float) > 0)

    def column(name: str) -> FloatArray:
        return totals[name].to_numpy(np.float64)[inside]

    sums = Totals(
        stratum=row_stratum[inside],
        unit=None if unit is None else unit[inside],
        domain=code[inside],
        n=column("n"),
        n_positive=column("n_positive") if "n_positive" in totals.columns else column("n"),
        weight=column("w"),
        weight_squared=column("w2"),
        y=column("wy"),
        x=column("w"),
        yy=column("wy"),
        xy=column("wy"),
        xx=column("w"),
        yes_weight_squared=column("w2y"),
    )
    return conclude("proportion", labels, settled, sums, interval, probability)
