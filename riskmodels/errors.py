"""What can go wrong, said once: problems with a code, a place, a count and one remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong (or worth knowing) about an input.

    Parameters
    ----------
    code
        Catalogue code; ``E`` stops, ``W`` warns, ``I`` notes.
    what
        What is wrong, in words, without any respondent's value.
    where
        Column, row numbers or level names.
    count
        How many rows or levels are concerned.
    remedy
        The one thing to do about it.
    """

    code: str
    what: str
    where: str
    count: int
    remedy: str

    @property
    def stops(self) -> bool:
        """Whether this problem forbids going on."""
        return self.code.startswith("E")

    def __str__(self) -> str:
        """Render as one line: code, what, where, how many, remedy."""
        return f"{self.code}  {self.what}  [where: {self.where}; count: {self.count}]  -> {self.remedy}"


class RiskModelsError(Exception):
    """Base of every error that riskmodels raises on purpose."""


class InputError(RiskModelsError):
    """Input that cannot be used; carries *all* problems found, not only the first."""

    def __init__(self, problems: Iterable[Problem], source: str = "input") -> None:
        self.problems = tuple(problems)
        self.source = source
        stopping = [problem for problem in self.problems if problem.stops]
        noun = "problem" if len(stopping) == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{source}: {len(stopping)} {noun} to mend before anything can be computed\n{lines}")

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...], str]]:
        """Travel whole between processes."""
        return InputError, (self.problems, self.source)


class FitError(RiskModelsError):
    """A fit that gave no usable posterior (a non-finite draw, an aborted chain)."""


class GateError(RiskModelsError):
    """A fit or a reported quantity that did not pass its checks and was not overridden."""


class StoreError(RiskModelsError):
    """A stored fit that is damaged, incomplete or belongs to another specification."""


def raise_if_stopping(problems: Iterable[Problem], source: str) -> tuple[Problem, ...]:
    """Raise `InputError` when any problem stops; otherwise return the warnings and notes."""
    found = tuple(problems)
    if any(problem.stops for problem in found):
        raise InputError(found, source)
    return found


def name_rows(rows: Iterable[int], limit: int = 8) -> str:
    """List row numbers as a person counts them in the file, cut after `limit`."""
    numbers = list(rows)
    shown = ", ".join(str(number) for number in numbers[:limit])
    more = f" and {len(numbers) - limit} more" if len(numbers) > limit else ""
    return f"row {shown}" if len(numbers) == 1 else f"rows {shown}{more}"
