"""Direct estimates of any domain from a survey's totals, as a tidy table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskmodels.design.collapse import base_codes
from riskmodels.design.direct import Interval, proportions_from_totals
from riskmodels.design.replicated import replicate_estimates
from riskmodels.design.totals import NO_LEVEL, SurveyTotals
from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.factors import Factor
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, INDICATOR

SUMS = ("n", "yes", "w", "wy", "w2", "w2y")


def _labelled(factor: Factor, positions: pd.Series) -> pd.Categorical[str]:
    codes = positions.to_numpy(np.int64)
    labels: pd.Index[str] = pd.Index(factor.labels)
    return pd.Categorical.from_codes(np.where(codes == NO_LEVEL, -1, codes), categories=labels)


def _rows(totals: SurveyTotals, place: int, by: Sequence[str]) -> pd.DataFrame:
    """Sums of one indicator with its design and domain, weights of every country scaled to mean 1."""
    units = totals.units
    country = units[COUNTRY].to_numpy(np.int64)
    children, weight = np.bincount(country, units["n"]), np.bincount(country, units["w"])
    scale = (children / weight)[country]
    sums = dict(zip(SUMS, totals.sums[place].T, strict=True))
    power = {"n": 0, "yes": 0, "w": 1, "wy": 1, "w2": 2, "w2y": 2}
    frame = pd.DataFrame({name: values * scale ** power[name] for name, values in sums.items()})
    factors = {factor.name: factor for factor in totals.factors}
    frame["country"] = country
    frame["stratum"] = units["stratum"].to_numpy()
    if totals.has_psu:
        frame["psu"] = units["psu"].to_numpy()
    for name in by:
        frame[f"by {name}"] = _labelled(factors[name], units[name])
    frame["everyone"] = "all"
    return frame


def direct_estimates(
    totals: SurveyTotals,
    by: Sequence[str] = (COUNTRY,),
    *,
    interval: Interval = "logit",
    probability: float = 0.95,
) -> pd.DataFrame:
    """Design-based proportions per indicator and domain.

    Parameters
    ----------
    totals
        What `collapse` gave.
    by
        Factors of the totals; empty for everybody. Where countries are pooled, each counts by its sample size.
    interval
        ``"logit"``, ``"Wilson"`` or ``"Korn-Graubard"``.
    probability
        Coverage the interval aims at.

    Returns
    -------
    pandas.DataFrame
        Columns of `by` (words), `indicator` where there are several, then those of
        `design.direct.DIRECT_ESTIMATE_COLUMNS`.

    Raises
    ------
    InputError
        E132 for factors that the totals do not have, E121 for strata with one PSU where the policy is error.
    """
    known = [factor.name for factor in totals.factors]
    unknown = [name for name in by if name not in known]
    if unknown:
        raise InputError(
            [
                Problem(
                    "E132",
                    "no such factor in the totals",
                    ", ".join(unknown),
                    len(unknown),
                    f"choose among {', '.join(known)}",
                )
            ],
            "by",
        )
    children = totals.units.groupby([COUNTRY, "stratum"], sort=True)["n"].sum().reset_index()
    strata = None
    if not totals.has_psu:
        strata = pd.DataFrame({"country": children[COUNTRY], "stratum": children["stratum"], "psus": children["n"]})
    columns = [f"by {name}" for name in by] or ["everyone"]
    frames = []
    for place, label in enumerate(totals.indicators.labels):
        found = proportions_from_totals(
            _rows(totals, place, by),
            by=columns,
            strata=strata,
            lonely_psu=totals.lonely_psu,
            interval=interval,
            probability=probability,
        ).frame()
        found.columns = [str(name).removeprefix("by ") for name in found.columns]
        found = found.drop(columns="everyone", errors="ignore")
        if len(totals.indicators) > 1:
            found.insert(0, INDICATOR, label)
        frames.append(found[found["n"] > 0])
    return pd.concat(frames, ignore_index=True)


def direct_by_replicates(
    codebook: Codebook,
    source: SourceTable,
    totals: SurveyTotals,
    by: Sequence[str] = (COUNTRY,),
    *,
    interval: Interval = "logit",
    probability: float = 0.95,
) -> pd.DataFrame:
    """Design-based proportions per indicator and domain, of a study with replicate weights.

    Parameters
    ----------
    codebook, source
        The study.
    totals
        What `collapse` gave: its factors and denominators are used.
    by, interval, probability
        As in `direct_estimates`.

    Returns
    -------
    pandas.DataFrame
        As `direct_estimates` gives.
    """
    known = {factor.name: factor for factor in totals.factors}
    factors = []
    for name in by:
        factor = known[name]
        variable = codebook.variables.get(name)
        if variable is None:
            codes: list[object] = list(factor.levels)
        elif variable.is_number:
            codes = [float(level) for level in factor.levels]
        else:
            codes = [list(variable.answers.levels).index(level) for level in factor.levels]
        factors.append((name, factor, codes))
    bases = [(base, base_codes(base)) for base in totals.bases]
    return replicate_estimates(
        codebook, source, totals.indicators.levels, factors, bases, interval=interval, probability=probability
    )
