"""Effective numbers of children: from printed intervals, stated design effects, or a country's other rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

FloatArray = npt.NDArray[np.float64]

#: A design effect read off an interval is used when rounding of the print moves it by less than this share.
ROUNDING_TOLERANCE = 0.25
#: Per cents are printed to tenths: a width may be off by one tenth.
PRINTED_WIDTH_ERROR = 0.001


@dataclass(frozen=True)
class EffectiveSize:
    """Effective number of children per row, with how it was found.

    Parameters
    ----------
    n_effective
        Effective n; never above n.
    method
        ``"stated"``, ``"interval"``, ``"country design effect"``, ``"overall design effect"`` or ``"none"``.
    """

    n_effective: FloatArray
    method: npt.NDArray[np.str_]


def effective_n_from_interval(percent: FloatArray, low: FloatArray, high: FloatArray, level: FloatArray) -> FloatArray:
    """Effective n that a printed interval implies, NaN where rounding leaves too little to tell.

    Parameters
    ----------
    percent, low, high
        Per cent and its interval, 0 to 100.
    level
        Probability of the interval, e.g. 0.95.

    Returns
    -------
    numpy.ndarray
        ``p (1 - p) / se^2``. Symmetric intervals are read on the proportion scale, asymmetric ones on the logit
        scale, intervals cut at zero by their upper half.

    Examples
    --------
    >>> import numpy as np
    >>> p, half = 0.147, 1.96 * (0.147 * 0.853 / 800) ** 0.5
    >>> ends = 100 * np.array([p - half, p + half])
    >>> float(np.round(effective_n_from_interval(np.array([14.7]), ends[:1], ends[1:], np.array([0.95]))[0]))
    800.0
    """
    p, low, high = percent / 100, low / 100, high / 100
    z = stats.norm.ppf(0.5 + level / 2)
    with np.errstate(all="ignore"):
        upper, lower = high - p, p - low
        symmetric = np.abs(upper - lower) <= 1.5 * PRINTED_WIDTH_ERROR
        cut = (low <= 0) & (upper > lower + 1.5 * PRINTED_WIDTH_ERROR)
        half_width = np.where(cut, upper, (high - low) / 2)
        plain = p * (1 - p) / (half_width / z) ** 2
        on_logit = (special.logit(high) - special.logit(low)) / (2 * z)
        by_logit = 1 / (p * (1 - p) * on_logit**2)
        n_effective = np.where(symmetric | cut, plain, by_logit)
        rounding = 2 * PRINTED_WIDTH_ERROR / (2 * half_width)
        usable = (p > 0) & (p < 1) & (half_width > 0) & (rounding <= ROUNDING_TOLERANCE) & np.isfinite(n_effective)
    return np.where(usable, n_effective, np.nan)


def printed_proportion(frame: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Proportion that is compatible with everything a row prints, and half the width of what rounding leaves open.

    Parameters
    ----------
    frame
        Columns of a `PublishedTable` frame.

    Returns
    -------
    tuple of numpy.ndarray
        Midpoint of the values that round to the printed per cent *and* to the printed weighted count; the per cent
        alone where the two exclude each other; counts alone where no per cent is printed.
    """
    percent = frame["percent"].to_numpy(float)
    whole = (percent % 1 == 0) & ~(frame["ci_low"].to_numpy(float) % 1 > 0)
    half_unit = np.where(whole & ~frame["numerator_weighted"].notna().to_numpy(), 0.005, 0.0005)
    plain_count = frame["numerator"].where(frame["numerator_kind"] != "unweighted")
    count = frame["numerator_weighted"].fillna(plain_count).to_numpy(float)
    base = frame["n_weighted"].where(frame["numerator_weighted"].notna()).fillna(frame["n"]).to_numpy(float)
    low = np.fmax(percent / 100 - half_unit, np.maximum(count - 0.5, 0) / base)
    high = np.fmin(percent / 100 + half_unit, np.minimum(count + 0.5, base) / base)
    unweighted_only = (frame["numerator"] / frame["n"]).to_numpy(float)
    exact = np.where(count == 0, 0.0, np.where(count == base, 1.0, (low + high) / 2))
    value = np.where(
        np.isnan(percent),
        np.where(np.isnan(count), unweighted_only, count / base),
        np.where(low <= high, exact, percent / 100),
    )
    slack = np.where(low <= high, (high - low) / 2, half_unit)
    return np.asarray(value), np.asarray(np.nan_to_num(slack, nan=0.0005))


def country_design_effects(country: pd.Series, n: FloatArray, n_effective: FloatArray) -> pd.Series:
    """Design effect per country: the median over rows on (nearly) the whole sample, never below 1."""
    deff = pd.Series(np.maximum(n / n_effective, 1.0), index=country.index)
    largest = pd.Series(n, index=country.index).groupby(country).transform("max")
    whole_sample = deff.where(n >= 0.5 * largest)
    return whole_sample.groupby(country).median()


def effective_size(frame: pd.DataFrame, design_effect: float | None = None) -> EffectiveSize:
    """Effective n for every row of a published table, by the best evidence that the table holds.

    Parameters
    ----------
    frame
        Columns of a `PublishedTable` frame.
    design_effect
        Stated design effect for rows about which the table itself says nothing.

    Returns
    -------
    EffectiveSize
        In order: the row's own `n_effective` or `design_effect`; its interval; the country's design effect; the
        `design_effect` stated here, else the median over countries; else n itself (method ``"none"``).
    """
    n = frame["n"].to_numpy(float)
    level = frame["ci_level"].fillna(0.95).to_numpy(float)
    stated = frame["n_effective"].fillna(frame["n"] / frame["design_effect"]).to_numpy(float)
    from_interval = effective_n_from_interval(
        frame["percent"].to_numpy(float), frame["ci_low"].to_numpy(float), frame["ci_high"].to_numpy(float), level
    )
    own = np.where(np.isnan(stated), from_interval, stated)
    own = np.where(np.isnan(n), own, np.minimum(own, n))
    by_country = country_design_effects(frame["country_iso3"], n, own)
    country_deff = frame["country_iso3"].map(by_country).to_numpy(float)
    overall = (
        design_effect
        if design_effect is not None
        else float(by_country.median())
        if by_country.notna().any()
        else np.nan
    )
    choices = [~np.isnan(own), ~np.isnan(country_deff), np.full(len(n), not np.isnan(overall))]
    values = np.select(
        choices,
        [own, n / np.where(np.isnan(country_deff), 1, country_deff), n / (1.0 if np.isnan(overall) else overall)],
        default=n,
    )
    named = np.where(~np.isnan(stated), "stated", "interval")
    method = np.select(
        choices,
        [named, np.full(len(n), "country design effect"), np.full(len(n), "overall design effect")],
        default="none",
    )
    return EffectiveSize(n_effective=np.asarray(values, dtype=float), method=method.astype(str))


def direct_interval(
    yes_effective: FloatArray, n_effective: FloatArray, probability: float
) -> tuple[FloatArray, FloatArray]:
    """Korn-Graubard interval: Clopper-Pearson on effective counts; honest at 0 and at 100 per cent.

    Parameters
    ----------
    yes_effective, n_effective
        Effective cases and effective base.
    probability
        Coverage, e.g. 0.95.

    References
    ----------
    Korn & Graubard 1998, Survey Methodology 24, 193-201.
    """
    tail = (1 - probability) / 2
    no = n_effective - yes_effective
    with np.errstate(all="ignore"):
        low = np.where(yes_effective <= 1e-12, 0.0, stats.beta.ppf(tail, yes_effective, no + 1))
        high = np.where(no <= 1e-12, 1.0, stats.beta.ppf(1 - tail, yes_effective + 1, no))
    return low, high
