"""Packs: published figures with their sources, shipped as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from riskmodels.design.cells import Cells
from riskmodels.design.published import collapse_published
from riskmodels.errors import InputError, Problem
from riskmodels.survey.population import PopulationFrame, read_population
from riskmodels.survey.published import PublishedTable, read_published_table
from riskmodels.vocabulary import Base

_PACKS = {"disrupting-harm": "disrupting_harm"}


@dataclass(frozen=True)
class Pack:
    """A folder of published figures.

    Parameters
    ----------
    name
        Name on the command line.
    folder
        Where its CSV files and README stand.
    """

    name: str
    folder: Path

    def table(self) -> PublishedTable:
        """Every published estimate, checked."""
        return read_published_table(self.folder / "estimates.csv")

    def cells(self, *, indicators: Sequence[str] = ("item_*",), base: Base = "all asked") -> Cells:
        """Cells of some indicators under one denominator."""
        return collapse_published(self.table(), indicators=indicators, base=base)

    def population(self) -> PopulationFrame:
        """Children of 12-17 and the share online per country."""
        return read_population(self.folder / "margins.csv")


def pack_path(name: str) -> Path:
    """Folder of a shipped pack; `InputError` names the packs there are."""
    if name not in _PACKS:
        raise InputError(
            [Problem("E132", "no pack of that name", name, 1, f"choose among {', '.join(_PACKS)}")], "pack"
        )
    return Path(__file__).parent / "packs" / _PACKS[name]


def load_pack(name: str) -> Pack:
    """Open a shipped pack.

    Examples
    --------
    >>> load_pack("disrupting-harm").population().countries[:2]
    ('KHM', 'ETH')
    """
    return Pack(name=name, folder=pack_path(name))


def example_cells() -> Cells:
    """Twelve countries, one indicator: technology-facilitated abuse, past year (Ghai et al. 2026)."""
    return load_pack("disrupting-harm").cells(indicators=["online_any_of_9_items"])
