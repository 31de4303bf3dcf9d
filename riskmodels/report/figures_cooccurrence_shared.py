"""What all figures of co-occurrence share: nothing of a failed fit or a small base, words that fit, two colours."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskmodels.errors import GateError, InputError, Problem
from riskmodels.estimates.answered_tables import pair_tables
from riskmodels.estimates.cooccurrence_combinations import LEAST_CHILDREN
from riskmodels.estimates.cooccurrence_measures import OTHER_COLUMN, RISK_COLUMN
from riskmodels.estimates.estimates import Estimates
from riskmodels.estimates.joint_domains import joint_domains
from riskmodels.estimates.pair_measures import PAIR_MEASURES, pair_items
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures_forest import INTERNAL, write_title
from riskmodels.report.tables import NOT_SHOWN_BELOW

#: More and less than chance (vermillion and blue are told apart by the colour-blind), and what leaves it open.
MORE, LESS, OPEN, INK = "#D55E00", "#0072B2", "#EBEBEB", "#222222"
#: Inches that the words above a figure need.
NARROWEST = 7.6
FAILED = "CHECKS FAILED: not to be released. "


def check_passed(estimates: Sequence[Estimates], *, show_failed: bool) -> str:
    """Refuse figures of estimates that failed their checks; the words that mark them where they are asked for.

    Raises
    ------
    GateError
        Where a check failed and `show_failed` is not set.
    """
    for one in estimates:
        if not one.passed and not show_failed:
            one.require_passed()
    return FAILED if any(not one.passed for one in estimates) else ""


def rows_within(table: pd.DataFrame, within: Mapping[str, str]) -> pd.DataFrame:
    """Rows of the groups named (codes or labels); refused where their base is below 25.

    Raises
    ------
    InputError
        E145 for a level that is not there.
    GateError
        For a base below 25.
    """
    for name, level in within.items():
        same = table[name] == level
        if f"{name}_code" in table:
            same |= table[f"{name}_code"] == level
        if not same.any():
            remedy = f"choose among {', '.join(table[name].unique())}"
            raise InputError([Problem("E145", f"no such level of {name}", level, 1, remedy)], "figure")
        table = table[same]
    if (table["n"] < NOT_SHOWN_BELOW).any():
        raise GateError(f"fewer than {NOT_SHOWN_BELOW} children in this group: no figure is drawn; pool groups")
    return table.reset_index(drop=True)


def numbered_risks(fit: CooccurrenceFit, width: int = 34) -> list[str]:
    """Labels of risks, numbered from 1 and wrapped."""
    labels = fit.counts.risks.labels
    return ["\n".join(textwrap.wrap(f"{number}  {label}", width)) for number, label in enumerate(labels, 1)]


def pair_places(fit: CooccurrenceFit, table: pd.DataFrame) -> list[tuple[int, int]]:
    """Positions of the two risks of every row of a table of pairs."""
    names, found = fit.counts.risks, []
    code = f"{RISK_COLUMN}_code" in table
    known = names.levels if code else names.labels
    columns = [f"{name}_code" if code else name for name in (RISK_COLUMN, OTHER_COLUMN)]
    for first, second in zip(*(table[name] for name in columns), strict=True):
        found.append((known.index(first), known.index(second)))
    return found


def rarely_seen(fit: CooccurrenceFit, within: Mapping[str, str]) -> set[tuple[int, int]]:
    """Pairs that fewer than 10 children of a group (or of all) were seen with, both ways round.

    A figure may leave the house: it says that a pair is rare, never that nobody has it.
    """
    where = joint_domains(fit.counts, list(within))
    items = pair_items(len(fit.counts.risks), symmetric=False)
    seen = pair_tables(where, items).seen[where.find(within)]
    declared = [fit.counts.pairs.index(pair) for pair in fit.counts.impossible]
    rare = (seen < LEAST_CHILDREN) & ~np.isin(items.pair, declared)
    return {(int(first), int(second)) for first, second in zip(items.first[rare], items.second[rare], strict=True)}


def write_words(
    figure: Any,
    fit: CooccurrenceFit,
    words: str,
    *,
    mark: str,
    within: Mapping[str, str],
    probability: float,
    small: str = "",
) -> None:
    """Say above a figure what it shows, of whom, and that it is not cleared."""
    whom = ", ".join(within.values()) or "All children"
    base = f"{whom}; {100 * probability:.0f} % intervals; base: {fit.base}."
    write_title(figure, " ".join(f"{mark}{words} {base} {small} {INTERNAL}".split()), synthetic=fit.counts.synthetic)


def smallest_base(table: pd.DataFrame) -> np.ndarray:
    """Children that each row rests on: n, or (fewer) those with the risk where the share is among them.

    Parameters
    ----------
    table
        Of an `Estimates` of co-occurrence.
    """
    n = table["n"].to_numpy(float) if "n" in table else np.full(len(table), np.inf)
    conditional = table["quantity"].astype(str).str.endswith(PAIR_MEASURES["given"].words).to_numpy()
    if "n_effective" not in table:
        return n
    return np.where(conditional, np.fmin(n, np.nan_to_num(table["n_effective"].to_numpy(float))), n)
