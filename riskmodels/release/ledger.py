"""Ledger: what a study has released so far, so that two tables together give away no more than each alone."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from riskmodels.errors import InputError, Problem
from riskmodels.fit.store import write_atomically
from riskmodels.release.audit import Group, group_of


@dataclass(frozen=True)
class Released:
    """One group of one outcome: numbers shown at worst; None where withheld. Numbers withheld are nowhere in it."""

    outcome: str
    group: Group
    n: float | None
    yes: float | None


@dataclass(frozen=True)
class Ledger:
    """Everything released of a study. Confidential like the study, though it holds no count below the thresholds."""

    entries: tuple[Released, ...] = ()

    def of(self, outcome: str) -> tuple[Released, ...]:
        """What was released about one outcome."""
        return tuple(entry for entry in self.entries if entry.outcome == outcome)

    def with_entries(self, new: list[Released]) -> Ledger:
        """The ledger with more entries; a group stands in it once, a number once shown stays shown."""
        found = {(entry.outcome, entry.group): entry for entry in self.entries}
        for entry in new:
            found.setdefault((entry.outcome, entry.group), entry)
        return Ledger(tuple(found.values()))


def read_ledger(path: str | Path) -> Ledger:
    """Read a ledger; empty where there is no file yet, E214 where the file is damaged."""
    file = Path(path)
    if not file.exists():
        return Ledger()
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["released"]
        found = [Released(row["outcome"], group_of(row["group"]), row["n"], row["yes"]) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = Problem("E214", "a damaged ledger", file.name, 1, "restore it: without it no table can be released")
        raise InputError([problem], "release") from error
    return Ledger(tuple(found))


def write_ledger(ledger: Ledger, path: str | Path) -> None:
    """Write a ledger beside its place and move it there."""
    rows = [{"outcome": one.outcome, "group": dict(one.group), "n": one.n, "yes": one.yes} for one in ledger.entries]
    text = json.dumps({"format": 1, "released": rows}, indent=1, ensure_ascii=False) + "\n"

    def fill(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_atomically(Path(path), fill)


def plain(value: float, hidden: bool) -> float | None:
    """A number as the ledger keeps it."""
    return None if hidden or math.isnan(value) else float(value)
