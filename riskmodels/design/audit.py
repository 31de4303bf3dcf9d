"""Disaggregation audit: which groups of children a study can speak of, and which it cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import WEIGHT, coded_select, quoted
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY

#: Dimensions by which data on children's rights in the digital environment are to be broken down: United Nations,
#: Committee on the Rights of the Child, General Comment No. 25 (2021), paragraph 30.
DIMENSIONS = (
    "age",
    "gender",
    "religion",
    "disability",
    "location",
    "ethnic origin",
    "national origin",
    "socio-economic background",
)
#: Bases below the first say nothing; below the second only with brackets (as in reports of the DHS programme).
SAYS_NOTHING, IN_BRACKETS = 25, 50


@dataclass(frozen=True, eq=False)
class Audit:
    """What a study can be broken down by.

    Parameters
    ----------
    dimensions
        One row per dimension of General Comment No. 25: `dimension`, `variables` that stand for it, `available`.
    bases
        One row per country, variable and level: `n` (unweighted), `share` (weighted), `speaks`: ``"yes"``,
        ``"in brackets"`` (25 to 49) or ``"no"`` (under 25). Small numbers are shown as "under 25", never exactly, and
        where a country has one, the next smallest is withheld.
    synthetic
        Whether the children are made up.
    """

    dimensions: pd.DataFrame
    bases: pd.DataFrame
    synthetic: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Dimensions that the study does not have."""
        return tuple(self.dimensions.loc[~self.dimensions["available"], "dimension"])

    def _repr_html_(self) -> str:
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.synthetic else ""
        return banner + self.dimensions.to_html(index=False) + self.bases.to_html(index=False)


def audit_survey(codebook: Codebook, source: SourceTable) -> Audit:
    """Say which dimensions of General Comment No. 25 a study has, with base sizes per country and level.

    Parameters
    ----------
    codebook, source
        The study.

    Returns
    -------
    Audit
        Levels with fewer than 25 children in a country can be described only together with others.

    References
    ----------
    Committee on the Rights of the Child 2021, General Comment No. 25 on children's rights in relation to the digital
    environment, paragraph 30.
    """
    found = {
        dimension: [v.name for v in codebook.variables.values() if v.dimension == dimension] for dimension in DIMENSIONS
    }
    dimensions = pd.DataFrame(
        {
            "dimension": list(found),
            "variables": [
                ", ".join(codebook.variables[name].label or name for name in names) for names in found.values()
            ],
            "available": [bool(names) for names in found.values()],
        }
    )
    names = [name for own in found.values() for name in own]
    frames = []
    with reading(source), source.connect() as connection:
        for name in names:
            variable = codebook.variables[name]
            level = f"CAST({quoted(name)} AS DOUBLE)"
            table = connection.execute(
                f"SELECT {quoted(COUNTRY)} AS country, {level} AS level, count(*) AS n, sum({quoted(WEIGHT)}) AS w "
                f"FROM ({coded_select(codebook, source, [name])}) WHERE {level} IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
            ).df()
            frames.append(_bases(codebook, variable.name, table))
    bases = (
        pd.concat(frames, ignore_index=True)
        if frames
        else pd.DataFrame(columns=["country", "variable", "level", "n", "share", "speaks"])
    )
    return Audit(dimensions=dimensions, bases=bases, synthetic=codebook.synthetic)


def _complementary(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Levels whose number is withheld so that the one small number of a country does not follow by subtraction."""
    withheld = np.zeros(len(table), dtype=bool)
    n, country = table["n"].to_numpy(), table["country"].to_numpy()
    for code in pd.unique(country):
        at = np.flatnonzero(country == code)
        small = n[at] < SAYS_NOTHING
        if small.sum() == 1 and len(at) > 1:
            others = at[~small]
            withheld[others[np.argmin(n[others])]] = True
    return withheld


def _bases(codebook: Codebook, name: str, table: pd.DataFrame) -> pd.DataFrame:
    variable = codebook.variables[name]
    if not variable.is_number:
        table = table[table["level"] >= 0]
    total = table.groupby("country")["w"].transform("sum")
    labels = variable.factor.labels if not variable.is_number else ()
    words = [f"{value:g}" if variable.is_number else labels[int(value)] for value in table["level"]]
    n = table["n"].to_numpy()
    withheld = _complementary(table)
    speaks = np.select([n < SAYS_NOTHING, n < IN_BRACKETS], ["no", "in brackets"], "yes")
    return pd.DataFrame(
        {
            "country": [codebook.design.country_labels.get(code, code) for code in table["country"]],
            "variable": variable.label or name,
            "level": words,
            "n": [
                f"under {SAYS_NOTHING}" if value < SAYS_NOTHING else "withheld" if held else f"{value:,}"
                for value, held in zip(n, withheld, strict=True)
            ],
            "share": np.where((n < SAYS_NOTHING) | withheld, np.nan, (table["w"] / total).to_numpy()),
            "speaks": speaks,
        }
    )
