"""What forbids or burdens a skill pathway on some rows, before anything is fitted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riskmodels.design.skill_rows import UNKNOWN, SkillRows
from riskmodels.errors import Problem, raise_if_stopping

FloatArray = npt.NDArray[np.float64]

LEAST_ITEMS = 3
#: Exposed children below which a country says little of its own.
EXPOSED_IN_COUNTRY = 50
#: Exposed children in all below which nothing can be said of coping and distress.
EXPOSED_AT_LEAST = 50
FEW_COUNTRIES = 5


def _named(names: list[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _item_problems(rows: SkillRows) -> list[Problem]:
    problems = []
    if len(rows.items) < LEAST_ITEMS:
        remedy = "add items: two cannot tell skill from what else they share"
        problems.append(
            Problem("E202", f"fewer than {LEAST_ITEMS} skill items", "skill items", len(rows.items), remedy)
        )
    used = [np.unique(column[column != UNKNOWN]) for column in rows.answers.T]
    flat = [item.name for item, levels in zip(rows.items, used, strict=True) if len(levels) < 2]
    if flat:
        problems.append(
            Problem("E201", "a skill item with one answer only", _named(flat), len(flat), "leave the item out")
        )
    gaps = [item.name for item, levels in zip(rows.items, used, strict=True) if 1 < len(levels) < len(item)]
    if gaps:
        remedy = "join these levels with their neighbours: their thresholds would be the prior's"
        problems.append(Problem("W209", "levels that no child gave", _named(gaps), len(gaps), remedy))
    pairs = (rows.answers != UNKNOWN).sum(axis=1) > 1
    same = np.where(rows.answers == UNKNOWN, rows.answers.max(axis=1)[:, None], rows.answers)
    if len(rows.items) > 1 and pairs.any() and bool((same[pairs] == same[pairs, :1]).all()):
        remedy = "check whether one column was read for all items"
        problems.append(
            Problem(
                "E203", "all skill items hold the same answers for every child", "skill items", len(rows.items), remedy
            )
        )
    return problems


def _outcome_problems(rows: SkillRows) -> list[Problem]:
    problems, exposed = [], rows.exposed == 1
    total = float(rows.n[exposed].sum())
    if total < EXPOSED_AT_LEAST or total == rows.n.sum():
        what = f"fewer than {EXPOSED_AT_LEAST} children are exposed, or all are"
        problems.append(Problem("E207", what, "exposure", 1, "choose a wider exposure, or pool surveys"))
    constant = [
        name
        for name, column in zip(rows.strategies.levels, rows.coping.T, strict=True)
        if len(np.unique(column[column != UNKNOWN])) < 2
    ]
    graded = np.unique(rows.distress[rows.distress != UNKNOWN])
    if len(graded) < 2:
        constant.append(rows.distress_levels.name)
    if constant:
        what = "coping or distress with fewer than two answers among the exposed"
        problems.append(
            Problem("E208", what, _named(constant), len(constant), "leave it out, or choose another question")
        )
    elif len(graded) < len(rows.distress_levels):
        remedy = "join these levels with their neighbours: their thresholds would be the prior's"
        problems.append(Problem("W209", "levels that no child gave", rows.distress_levels.name, 1, remedy))
    return problems


def _country_problems(rows: SkillRows) -> list[Problem]:
    problems, exposed = [], rows.exposed == 1
    count = len(rows.countries)
    for place, name in enumerate(rows.strategies.levels):
        asked = np.bincount(rows.country, rows.n * (rows.coping[:, place] != UNKNOWN), count) > 0
        without = [label for label, seen in zip(rows.countries.labels, asked, strict=True) if not seen]
        if without and asked.any():
            what = "a coping strategy was asked of some countries only"
            remedy = "read its figures for these countries as borrowed from the others, or leave the strategy out"
            problems.append(Problem("W205", what, f"{name}: {_named(without)}", len(without), remedy))
    per_country = np.bincount(rows.country, rows.n * exposed, count)
    few = [label for label, n in zip(rows.countries.labels, per_country, strict=True) if n < EXPOSED_IN_COUNTRY]
    if few:
        what = f"fewer than {EXPOSED_IN_COUNTRY} children exposed in a country"
        remedy = "read these countries' coping and distress as mostly borrowed; quote the pooled figures"
        problems.append(Problem("W206", what, _named(few), len(few), remedy))
    if 1 < count < FEW_COUNTRIES:
        remedy = "compare other priors of the SDs between countries"
        problems.append(Problem("W143", "fewer than five countries", "country", count, remedy))
    return problems


def check_skill_rows(rows: SkillRows) -> tuple[Problem, ...]:
    """Refuse rows on which a skill pathway cannot stand, and warn of those on which it stands badly.

    Returns
    -------
    tuple of Problem
        W143 few countries, W205 strategies asked of some countries only, W206 few exposed in a country, W209 levels
        that no child gave.

    Raises
    ------
    InputError
        E201 an item with one answer, E202 fewer than three items, E203 items all equal, E207 too few exposed, E208
        coping or distress without variation; all at once.
    """
    return raise_if_stopping(
        [*_item_problems(rows), *_outcome_problems(rows), *_country_problems(rows)], "skill pathway"
    )
