"""How a problem of a codebook is put into words: its dotted place, and the nearest names that are allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from riskmodels.errors import Problem

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_NAME = 60
_MOST_NAMES = 400


def shown(name: object) -> str:
    """Give a name in a form that is safe on a terminal: printable, and cut where it is long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(name)[: _LONGEST_NAME + 1])
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "..."


def dotted(*place: str | int) -> str:
    """Write a place of the file as TOML writes it, quoting the parts that need it; list places count from 1."""
    parts = ""
    for part in place:
        if isinstance(part, int):
            parts += f"[{part + 1}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) and len(part) <= _LONGEST_NAME else f'"{shown(part)}"'
            parts += f".{name}" if parts else name
    return parts or "top of the file"


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Find up to three of `names` that look like `name`."""
    if len(name) > _LONGEST_NAME:
        return []
    alike = [other for other in names if abs(len(other) - len(name)) <= max(4, len(name))][:_MOST_NAMES]
    by_lower = {other.lower(): other for other in alike}
    return [by_lower[found] for found in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]


def offer(name: str, names: Iterable[str], otherwise: str) -> str:
    """Word a remedy: the nearest names, or `otherwise`."""
    near = nearest(name, names)
    return f"did you mean {' or '.join(shown(other) for other in near)}?" if near else otherwise


def fault(what: str, where: str, remedy: str, code: str = "E195", count: int = 1) -> Problem:
    """Make a problem of the codebook; E195 unless another code is given."""
    return Problem(code, what, where, count, remedy)


def undeclared(kind: str, name: str, names: Iterable[str], where: str) -> Problem:
    """E145: something refers to a name that is not declared."""
    remedy = offer(name, names, f"declare it, or write the name of one of the declared: {kind}")
    return fault(f"{shown(name)} is not declared among the {kind}", where, remedy, "E145")
