"""Population frames from files and from the weights of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from riskmodels.errors import Problem, name_rows, raise_if_stopping
from riskmodels.survey.countries import country_code, near_countries
from riskmodels.survey.population.frame import DEFAULT_SHARE_SE, PopulationFrame
from riskmodels.survey.published import read_text_table
from riskmodels.survey.published_checks import parse_numbers
from riskmodels.vocabulary import COUNTRY

NUMBERS = ("total", "internet_share_pct", "internet_share_se_pct")
WORDS = ("country", "country_iso3", "year", "population", "source", "confidence", "row")


def read_population(
    path: str | Path, *, default_se: float = DEFAULT_SHARE_SE, countries: Sequence[str] = ()
) -> PopulationFrame:
    """Read a population frame from CSV: one row per country, or per group within countries.

    Parameters
    ----------
    path
        Columns `country_iso3` (or `country`: names, two- or three-letter codes), `total` (children), and optionally
        `internet_share_pct` (100 if absent) and `internet_share_se_pct` (percentage points). Any further column splits
        countries into groups: its values are the levels.
    default_se
        Standard error of the share, as a proportion, where the file gives none.
    countries
        Codes that count as countries although ISO 3166 does not know them (invented countries).

    Returns
    -------
    PopulationFrame
        Totals per country; with groups where the file has them.

    Raises
    ------
    InputError
        E132, E163, E172 (unknown countries, with the nearest names), E181, E185: all at once.
    """
    path = Path(path)
    raw = read_text_table(path)
    column = "country_iso3" if "country_iso3" in raw else "country"
    absent = [name for name in (column, "total") if name not in raw]
    raise_if_stopping(
        [
            Problem("E132", f"column {name} is absent", "header", 1, "population files need country_iso3 and total")
            for name in absent
        ],
        path.name,
    )
    frame, problems = parse_numbers(raw, NUMBERS)
    codes = frame[column].map(lambda text: text if text in countries else country_code(text))
    problems += _unknown_countries(frame, column, codes)
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
    frame = frame.assign(**{COUNTRY: codes})
    factors = [str(name) for name in frame if name not in (*NUMBERS, *WORDS, COUNTRY)]
    default = 0.0 if share.isna().all() else default_se
    return _frame(frame, factors, default, "; ".join(pd.unique(frame["source"])) if "source" in frame else path.name)


def _unknown_countries(frame: pd.DataFrame, column: str, codes: pd.Series) -> list[Problem]:
    unknown = codes.isna()
    if not unknown.any():
        return []
    near = near_countries([str(text) for text in frame.loc[unknown, column]])
    where = name_rows(int(row) for row in frame.loc[unknown, "row"])
    remedy = f"write the three-letter code{f'; did you mean {near}?' if near else ''}"
    what = (
        "country empty or not in ISO 3166" if column == "country" else "country code empty or not in ISO 3166 alpha-3"
    )
    return [Problem("E172", what, where, int(unknown.sum()), remedy)]


def _frame(frame: pd.DataFrame, factors: list[str], default_se: float, source: str) -> PopulationFrame:
    """Totals per country; the share online of a country is that of its groups, weighted by their children."""
    frame = frame.assign(
        share=(frame["internet_share_pct"].fillna(100.0) / 100).to_numpy(float),
        share_se=(frame["internet_share_se_pct"] / 100).fillna(default_se).to_numpy(float),
    )
    if not factors:
        return PopulationFrame(
            countries=tuple(frame[COUNTRY]),
            children=frame["total"].to_numpy(float),
            share_online=frame["share"].to_numpy(float),
            share_online_se=frame["share_se"].to_numpy(float),
            source=source,
        )
    online = frame["total"] * frame["share"]
    totals = pd.DataFrame(
        {
            COUNTRY: frame[COUNTRY],
            "total": frame["total"],
            "online": online,
            "error": frame["total"] * frame["share_se"],
        }
    )
    sums = totals.groupby(COUNTRY, sort=False).sum()
    return PopulationFrame(
        countries=tuple(sums.index),
        children=sums["total"].to_numpy(float),
        share_online=(sums["online"] / sums["total"]).to_numpy(float),
        share_online_se=(sums["error"] / sums["total"]).to_numpy(float),
        source=source,
        groups=frame[[COUNTRY, *factors]].assign(children=online.to_numpy(float)),
    )


def population_from_weights(
    weights: pd.DataFrame, *, totals: PopulationFrame | None = None, source: str = "weight totals of the sample"
) -> PopulationFrame:
    """Make a population frame of a sample's weight totals.

    Parameters
    ----------
    weights
        Columns `country`, factors, and `weight` (sum of weights per group).
    totals
        Children per country and share online, which the groups are scaled to; without it a country counts as many
        children as its weights sum to, all online.

    Returns
    -------
    PopulationFrame
        Groups in proportion to the weights.
    """
    factors = [str(name) for name in weights if name not in (COUNTRY, "weight")]
    summed = weights.groupby(COUNTRY, sort=False)["weight"].sum()
    countries = tuple(str(code) for code in summed.index)
    if totals is None:
        children, share, error = summed.to_numpy(float), np.ones(len(summed)), np.zeros(len(summed))
    else:
        aligned = totals.aligned(countries)
        children, share, error = aligned.children, aligned.share_online, aligned.share_online_se
    scale = dict(zip(countries, children / summed.to_numpy(float), strict=True))
    groups = None
    if factors:
        scaled = weights["weight"] * weights[COUNTRY].map(scale).astype(float)
        groups = weights[[COUNTRY, *factors]].astype(str).assign(children=scaled.to_numpy(float))
    return PopulationFrame(countries, children, share, error, source, groups)
