"""Margins to a full table: iterative proportional fitting, with a report of how well it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Margins whose totals differ by more than this share contradict each other.
TOTALS_DIFFER = 1e-6


@dataclass(frozen=True, eq=False)
class RakedFrame:
    """A full table with given margins.

    Parameters
    ----------
    table
        One row per combination of levels, with `children`.
    report
        One row per margin: `margin` (its factors), `largest_deviation` (relative, after the last step).
    iterations
        Rounds through all margins.
    converged
        Whether every margin is met to the tolerance asked for.
    """

    table: pd.DataFrame
    report: pd.DataFrame
    iterations: int
    converged: bool


def _check(margins: Sequence[pd.DataFrame], value: str) -> list[Problem]:
    problems = []
    for place, margin in enumerate(margins):
        factors = [str(name) for name in margin if name != value]
        where = f"margin {place + 1} ({', '.join(factors)})"
        if value not in margin or not factors:
            problems.append(
                Problem("E132", f"a margin needs at least one factor and {value}", where, 1, "add the column")
            )
            continue
        numbers = margin[value].to_numpy(float)
        bad = ~(np.isfinite(numbers) & (numbers >= 0))
        if bad.any():
            problems.append(
                Problem(
                    "E185",
                    "negative or missing numbers in a margin",
                    where,
                    int(bad.sum()),
                    "give numbers of 0 or more",
                )
            )
        twice = int(margin.duplicated(factors).sum())
        if twice:
            problems.append(
                Problem("E150", "a combination stands twice in a margin", where, twice, "keep one row of each")
            )
    if problems or not margins:
        return problems or [Problem("E132", "no margin is given", "margins", 0, "give at least one")]
    totals = [float(margin[value].sum()) for margin in margins]
    apart = max(totals) / min(totals) - 1 if min(totals) > 0 else np.inf
    if apart > TOTALS_DIFFER:
        what = f"margins contradict each other: their totals differ by {100 * apart:.2g} %"
        problems.append(
            Problem("E185", what, "margins", len(margins), "use margins of one source and year, or scale them")
        )
    return problems


def rake_population(
    margins: Sequence[pd.DataFrame],
    *,
    seed_table: pd.DataFrame | None = None,
    value: str = "children",
    tolerance: float = 1e-10,
    max_iterations: int = 1000,
) -> RakedFrame:
    """Fit a full table of groups to margins.

    Parameters
    ----------
    margins
        Tables of numbers of children by one or more factors, e.g. by country and age, and by country and gender.
    seed_table
        What is known of how factors go together, e.g. a sample's weight totals; every group alike if omitted. Groups
        that it lacks stay empty.
    value
        Column of the numbers.
    tolerance
        Largest relative deviation of any margin at which fitting ends.
    max_iterations
        Rounds at most.

    Returns
    -------
    RakedFrame
        The table nearest to the seed (in the sense of relative entropy) that has these margins: odds ratios of the
        seed are kept.

    Raises
    ------
    InputError
        E185 for margins that contradict each other, levels that only some of them have, and margins that an empty
        group of the seed makes impossible; E150, E132.

    Examples
    --------
    >>> import pandas as pd
    >>> age = pd.DataFrame({"age": ["12-14", "15-17"], "children": [60.0, 40.0]})
    >>> gender = pd.DataFrame({"gender": ["boy", "girl"], "children": [50.0, 50.0]})
    >>> rake_population([age, gender]).table["children"].round(6).tolist()
    [30.0, 30.0, 20.0, 20.0]

    References
    ----------
    Deming & Stephan 1940, Annals of Mathematical Statistics 11, 427-444.
    """
    raise_if_stopping(_check(margins, value), "margins")
    table = _start(margins, seed_table, value)
    groups, targets = _targets(margins, table, value)
    numbers = table[value].to_numpy(float)
    deviation = np.inf
    iterations = 0
    while iterations < max_iterations and deviation > tolerance:
        for group, target in zip(groups, targets, strict=True):
            now = np.bincount(group, numbers, len(target))
            numbers = numbers * np.divide(target, now, out=np.zeros_like(target), where=now > 0)[group]
        deviation = max(_deviation(group, target, numbers) for group, target in zip(groups, targets, strict=True))
        iterations += 1
    report = pd.DataFrame(
        {
            "margin": [", ".join(str(name) for name in margin if name != value) for margin in margins],
            "largest_deviation": [
                _deviation(group, target, numbers) for group, target in zip(groups, targets, strict=True)
            ],
        }
    )
    return RakedFrame(table.assign(**{value: numbers}), report, iterations, bool(deviation <= tolerance))


def _deviation(group: IntArray, target: FloatArray, numbers: FloatArray) -> float:
    now = np.bincount(group, numbers, len(target))
    return float(np.max(np.abs(now - target) / np.maximum(target, 1e-300), where=target > 0, initial=0.0))


def _start(margins: Sequence[pd.DataFrame], seed: pd.DataFrame | None, value: str) -> pd.DataFrame:
    """Every combination of the levels, with the seed's numbers or 1."""
    levels: dict[str, list[object]] = {}
    problems = []
    for margin in margins:
        for name in (str(column) for column in margin if column != value):
            own = list(pd.unique(margin[name]))
            if name in levels and set(own) != set(levels[name]):
                only = sorted(map(str, set(own) ^ set(levels[name])))
                problems.append(
                    Problem(
                        "E185",
                        "levels that only some margins have",
                        f"{name}: {', '.join(only[:8])}",
                        len(only),
                        "give every margin all levels",
                    )
                )
            levels.setdefault(name, own)
    raise_if_stopping(problems, "margins")
    full = pd.MultiIndex.from_product(list(levels.values()), names=list(levels)).to_frame(index=False)
    if seed is None:
        return full.assign(**{value: 1.0})
    absent = [name for name in levels if name not in seed]
    raise_if_stopping(
        [Problem("E132", "the seed table lacks factors of the margins", ", ".join(absent), len(absent), "add them")]
        if absent
        else [],
        "seed table",
    )
    summed = seed.groupby(list(levels), sort=False)[value].sum().reset_index()
    return full.merge(summed, how="left", on=list(levels)).fillna({value: 0.0})


def _targets(
    margins: Sequence[pd.DataFrame], table: pd.DataFrame, value: str
) -> tuple[list[IntArray], list[FloatArray]]:
    """For every margin, the group of each row of the table and the number each group must reach."""
    groups, targets, problems = [], [], []
    for margin in margins:
        factors = [str(name) for name in margin if name != value]
        key = pd.MultiIndex.from_frame(margin[factors])
        group = key.get_indexer(pd.MultiIndex.from_frame(table[factors]))
        missing = group < 0
        target = np.append(margin[value].to_numpy(float), 0.0)
        group = np.where(missing, len(target) - 1, group).astype(np.int64)
        reachable = np.bincount(group, table[value].to_numpy(float), len(target)) > 0
        impossible = int(((target > 0) & ~reachable).sum())
        if impossible:
            what = "a margin asks for children where the seed has none"
            problems.append(
                Problem(
                    "E185", what, ", ".join(factors), impossible, "merge levels, or give the seed a small number there"
                )
            )
        groups.append(group)
        targets.append(target)
    if problems:
        raise InputError(problems, "margins")
    return groups, targets
