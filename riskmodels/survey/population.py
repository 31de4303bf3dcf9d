"""PopulationFrame: how many children each cell stands for, and what share of them is online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, name_rows, raise_if_stopping
from riskmodels.survey.countries import is_country
from riskmodels.survey.factors import match_levels
from riskmodels.survey.published import read_text_table
from riskmodels.survey.published_checks import parse_numbers

FloatArray = npt.NDArray[np.float64]

#: Standard error of a share online for which the source prints none (as Ghai et al. 2026 assume).
DEFAULT_SHARE_SE = 0.03


@dataclass(frozen=True, eq=False)
class PopulationFrame:
    """Children per country, the share online and its uncertainty.

    Parameters
    ----------
    countries
        Country codes.
    children
        Number of children in the age range, shape (countries,).
    share_online
        Share of them who use the internet, 0 to 1.
    share_online_se
        Standard error of that share; 0 where it is known exactly.
    source
        Where the figures come from.
    """

    countries: tuple[str, ...]
    children: FloatArray
    share_online: FloatArray
    share_online_se: FloatArray
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse empty, negative or impossible figures, all at once (E185)."""
        problems = []
        rules = (
            (
                "number of children is zero, negative or missing",
                ~(np.isfinite(self.children) & (self.children > 0)),
                "give the number of children, above 0",
            ),
            (
                "share online lies outside 0 to 1",
                ~((self.share_online > 0) & (self.share_online <= 1)),
                "write a proportion here, per cent in the file",
            ),
            (
                "standard error of the share is negative or above 0.5",
                ~((self.share_online_se >= 0) & (self.share_online_se <= 0.5)),
                "write it as a proportion, e.g. 0.03",
            ),
        )
        for what, bad, remedy in rules:
            if np.any(bad):
                names = [code for code, is_bad in zip(self.countries, bad, strict=True) if is_bad]
                problems.append(Problem("E185", what, ", ".join(names[:8]), len(names), remedy))
        if len(set(self.countries)) != len(self.countries):
            problems.append(
                Problem(
                    "E150",
                    "a country stands twice in the population frame",
                    "countries",
                    len(self.countries),
                    "keep one row per country",
                )
            )
        raise_if_stopping(problems, "population frame")

    @property
    def users(self) -> FloatArray:
        """Expected number of children online per country."""
        return np.asarray(self.children * self.share_online)

    def aligned(self, countries: Sequence[str]) -> PopulationFrame:
        """Give the frame in the order of `countries`; E185 names levels that only one side has."""
        missing, unused = match_levels(countries, self.countries)
        if missing:
            names = f"only in the cells: {', '.join(missing)}" + (
                f"; only in the frame: {', '.join(unused)}" if unused else ""
            )
            raise InputError(
                [
                    Problem(
                        "E185",
                        "countries of the cells are not in the population frame",
                        names,
                        len(missing),
                        "add them, or map the names onto one another",
                    )
                ],
                "population frame",
            )
        at = [self.countries.index(code) for code in countries]
        return PopulationFrame(
            tuple(countries), self.children[at], self.share_online[at], self.share_online_se[at], self.source
        )


def read_population(path: str | Path, *, default_se: float = DEFAULT_SHARE_SE) -> PopulationFrame:
    """Read a population frame from CSV.

    Parameters
    ----------
    path
        Columns `country_iso3`, `total` (children), and optionally `internet_share_pct` (100 if absent) and
        `internet_share_se_pct` (percentage points).
    default_se
        Standard error of the share, as a proportion, where the file gives none.

    Returns
    -------
    PopulationFrame
        One entry per country.
    """
    path = Path(path)
    raw = read_text_table(path)
    absent = [name for name in ("country_iso3", "total") if name not in raw]
    raise_if_stopping(
        [
            Problem("E132", f"column {name} is absent", "header", 1, "population files need country_iso3 and total")
            for name in absent
        ],
        path.name,
    )
    frame, problems = parse_numbers(raw, ("total", "internet_share_pct", "internet_share_se_pct"))
    unknown = ~frame["country_iso3"].map(is_country)
    if unknown.any():
        problems.append(
            Problem(
                "E172",
                "country code empty or not in ISO 3166 alpha-3",
                name_rows(frame.loc[unknown, "row"]),
                int(unknown.sum()),
                "write the three-letter code",
            )
        )
    share = frame["internet_share_pct"]
    if share.notna().any() and share.max() <= 1:
        problems.append(
            Problem(
                "E181",
                "every share online is 1 or less: a column of proportions?",
                "column internet_share_pct",
                int(share.notna().sum()),
                "write per cent",
            )
        )
    raise_if_stopping(problems, path.name)
    default = 0.0 if share.isna().all() else default_se
    return PopulationFrame(
        countries=tuple(frame["country_iso3"]),
        children=frame["total"].to_numpy(float),
        share_online=(share.fillna(100.0) / 100).to_numpy(float),
        share_online_se=(frame["internet_share_se_pct"] / 100).fillna(default).to_numpy(float),
        source="; ".join(pd.unique(frame["source"])) if "source" in frame else path.name,
    )
