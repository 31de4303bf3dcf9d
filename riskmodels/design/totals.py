"""SurveyTotals: what a survey comes down to; sums per country, subgroup, stratum and PSU, and no child."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.direct.records import LonelyPsu
from riskmodels.errors import Problem
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY, INDICATOR, MISSING_KINDS, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Position of children whose answer to a factor is missing: they stay in the design, but in no subgroup.
NO_LEVEL = -1


@dataclass(frozen=True, eq=False)
class SurveyTotals:
    """What a survey comes down to for some indicators and subgroups; no child is in it.

    Parameters
    ----------
    factors
        Country first, then the factors asked for.
    indicators
        The indicators, as a factor.
    bases
        Denominator of each indicator.
    units
        One row per country x subgroup x stratum x PSU: positions in `factors` (-1: no level), `stratum`, `psu`
        (numbered; one stratum where none is declared, -1 where every child is its own PSU), and over all eligible
        children `n`, `w` (sum of weights) and `w2` (sum of squared weights).
    sums
        Shape (indicators, rows of `units`, 6): per indicator n, yes, sum of w, w y, w^2, w^2 y over its base.
    missing
        Shape (indicators, rows of `units`, kinds): children per kind of missing answer.
    together
        Shape (countries, indicators, indicators, 4): over children in both bases, sums of w, w y_i, w y_j, w y_i y_j.
    rows_read, rows_left
        Rows of the file, and children left after the eligibility rule.
    synthetic
        Whether the children are made up.
    weighted
        Whether the file has weights.
    lonely_psu
        What is done with strata of one PSU.
    replicate_variance, replicate_degrees
        Where the study has replicate weights: variance of each country's proportions, shape (countries, indicators),
        and its degrees of freedom, shape (countries,). Strata and PSUs are then not used.
    """

    factors: tuple[Factor, ...]
    indicators: Factor
    bases: tuple[Base, ...]
    units: pd.DataFrame
    sums: FloatArray
    missing: IntArray
    together: FloatArray
    rows_read: int
    rows_left: int
    synthetic: bool
    weighted: bool
    lonely_psu: LonelyPsu = "error"
    replicate_variance: FloatArray | None = None
    replicate_degrees: FloatArray | None = None
    notes: tuple[Problem, ...] = field(default=())

    @property
    def has_psu(self) -> bool:
        """Whether children are clustered in PSUs."""
        return bool((self.units["psu"] >= 0).any())


def significant(values: FloatArray, digits: int = 13) -> FloatArray:
    """Round to significant digits, so that the order in which threads add up does not show.

    Examples
    --------
    >>> import numpy as np
    >>> bool(significant(np.array([0.1 + 0.2]))[0] == significant(np.array([0.3]))[0])
    True
    """
    with np.errstate(divide="ignore"):
        exponent = np.where(values == 0, 0, np.floor(np.log10(np.abs(values))))
    scale = 10.0 ** (digits - 1 - exponent)
    return np.asarray(np.where(scale >= 1, np.round(values * scale) / scale, values))


def kinds_of_missing(totals: SurveyTotals) -> pd.DataFrame:
    """Children per country and indicator, unweighted: all, answered, and each kind of missing answer."""
    country = totals.units[COUNTRY].to_numpy()
    rows: list[dict[str, object]] = []
    for place, indicator in enumerate(totals.indicators.levels):
        for number, code in enumerate(totals.factors[0].levels):
            at = country == number
            missing = totals.missing[place, at].sum(axis=0)
            children = int(totals.units.loc[at, "n"].sum())
            row: dict[str, object] = {COUNTRY: code, INDICATOR: indicator, "children": children}
            row |= {"answered": children - int(missing.sum())}
            row |= {str(kind): int(count) for kind, count in zip(MISSING_KINDS, missing, strict=True)}
            rows.append(row)
    return pd.DataFrame(rows)
