"""Surveys that come with replicate weights instead of strata and PSUs: their rows, and what the replicates say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.coding import WEIGHT, coded_select
from riskmodels.design.direct import Interval, ReplicateWeights, direct_proportion
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.factors import Factor
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY, INDICATOR, Base

FloatArray = npt.NDArray[np.float64]


def _coded_rows(codebook: Codebook, source: SourceTable, names: Sequence[str]) -> tuple[pd.DataFrame, ReplicateWeights]:
    """Coded answers of every eligible child, and its replicate weights."""
    assert codebook.design.replicates is not None
    columns = codebook.design.replicates.columns
    with reading(source), source.connect() as connection:
        table = connection.execute(coded_select(codebook, source, names, carried=columns)).df()
    carried = [f"carried:{column}" for column in columns]
    weights = ReplicateWeights(table[carried].to_numpy(float), codebook.design.replicates)
    return table.drop(columns=carried), weights


def _answers(codes: pd.Series, in_base: Sequence[int]) -> FloatArray:
    """1 affected, 0 not, NaN outside the base."""
    return np.where(codes.isin(in_base), (codes == 1).astype(float), np.nan)


def replicate_variances(
    codebook: Codebook,
    source: SourceTable,
    indicators: Sequence[str],
    in_base: Sequence[Sequence[int]],
    countries: Factor,
) -> tuple[FloatArray, FloatArray]:
    """Variance of each country's proportions, and its degrees of freedom, by replicate weights.

    Returns
    -------
    tuple of numpy.ndarray
        Shapes (countries, indicators) and (countries,).
    """
    table, replicates = _coded_rows(codebook, source, indicators)
    domain = pd.Categorical(table[COUNTRY], categories=pd.Index(countries.levels))
    variance = np.zeros((len(countries), len(indicators)))
    degrees = np.zeros(len(countries))
    for place, (name, codes) in enumerate(zip(indicators, in_base, strict=True)):
        found = direct_proportion(
            _answers(table[name], codes), table[WEIGHT], domain=domain, country=table[COUNTRY], replicates=replicates
        )
        variance[:, place] = np.nan_to_num(found.standard_error) ** 2
        degrees = np.maximum(degrees, np.nan_to_num(found.degrees_of_freedom))
    return variance, degrees


def replicate_estimates(
    codebook: Codebook,
    source: SourceTable,
    indicators: Sequence[str],
    factors: Sequence[tuple[str, Factor, Sequence[object]]],
    bases: Sequence[tuple[Base, Sequence[int]]],
    *,
    interval: Interval = "logit",
    probability: float = 0.95,
) -> pd.DataFrame:
    """Design-based proportions per indicator and domain, by replicate weights.

    Parameters
    ----------
    codebook, source
        The study.
    indicators
        Indicators.
    factors
        Name, factor, and the coded values of its levels, for everything to break down by.
    bases
        Denominator of each indicator, and the codes it holds.
    interval, probability
        As in `design.domains.direct_estimates`.

    Returns
    -------
    pandas.DataFrame
        As `design.domains.direct_estimates` gives.
    """
    table, replicates = _coded_rows(codebook, source, [*(n for n, _, _ in factors if n != COUNTRY), *indicators])
    by = {}
    for name, factor, codes in factors:
        position = table[name].map({code: place for place, code in enumerate(codes)}).fillna(-1).astype(int)
        labels: pd.Index[str] = pd.Index(factor.labels)
        by[name] = pd.Categorical.from_codes(position.to_numpy(), categories=labels)
    frames = []
    for name, (_, in_base) in zip(indicators, bases, strict=True):
        found = direct_proportion(
            _answers(table[name], in_base),
            table[WEIGHT],
            domain=pd.DataFrame(by) if by else None,
            country=table[COUNTRY],
            replicates=replicates,
            interval=interval,
            probability=probability,
        ).frame()
        found = found.drop(columns=[column for column in found if column == 0 or column == "domain"], errors="ignore")
        if len(indicators) > 1:
            found.insert(0, INDICATOR, codebook.indicators[name].label)
        frames.append(found[found["n"] > 0])
    return pd.concat(frames, ignore_index=True)
