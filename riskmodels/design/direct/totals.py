"""Sums per PSU and domain, and the estimate, design effect and effective n that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskmodels.design.direct import intervals, taylor
from riskmodels.design.direct.records import DirectEstimate, FloatArray, IntArray, Interval, Quantity
from riskmodels.design.direct.replicates import ReplicateSpread
from riskmodels.design.direct.units import Strata


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums over the children of the base, one entry per PSU (or stratum) and domain that holds any.

    Parameters
    ----------
    stratum, unit, domain
        Where the entry belongs; `unit` is None where every child is its own PSU and entries are sums over strata.
    n, n_positive
        Children, and those with a weight above zero.
    weight, weight_squared
        Sums of w and w^2.
    y, x, yy, xy, xx
        Sums of w y, w x, w y^2, w x y, w x^2; x is 1 for means and proportions.
    yes_weight_squared
        Sum of w^2 y for y of 0 and 1; needed where `unit` is None.
    """

    stratum: IntArray
    unit: IntArray | None
    domain: IntArray
    n: FloatArray
    n_positive: FloatArray
    weight: FloatArray
    weight_squared: FloatArray
    y: FloatArray
    x: FloatArray
    yy: FloatArray
    xy: FloatArray
    xx: FloatArray
    yes_weight_squared: FloatArray | None = None

    def over(self, values: FloatArray, domains: int) -> FloatArray:
        """Add entries up per domain."""
        return np.bincount(self.domain, weights=values, minlength=domains)


@dataclass(frozen=True, eq=False)
class Point:
    """Estimate per domain, its denominator's total (1 for totals), and the variance under simple random sampling."""

    estimate: FloatArray
    denominator: FloatArray
    simple_variance: FloatArray


def collect(
    stratum: IntArray, unit: IntArray, domain: IntArray, weight: FloatArray, y: FloatArray, x: FloatArray
) -> Totals:
    """Sums per PSU and domain from one entry per child of the base."""
    domains = int(domain.max()) + 1 if len(domain) else 1
    pairs, first, place = np.unique(unit * domains + domain, return_index=True, return_inverse=True)

    def add(values: FloatArray) -> FloatArray:
        return np.bincount(place, weights=values, minlength=len(pairs))

    ones = np.ones(len(weight))
    return Totals(
        stratum=stratum[first],
        unit=unit[first],
        domain=domain[first],
        n=add(ones),
        n_positive=add((weight > 0).astype(float)),
        weight=add(weight),
        weight_squared=add(weight**2),
        y=add(weight * y),
        x=add(weight * x),
        yy=add(weight * y**2),
        xy=add(weight * x * y),
        xx=add(weight * x**2),
    )


def point(totals: Totals, domains: int, quantity: Quantity) -> Point:
    """Estimate each domain: a total, or a ratio of totals (Hajek)."""
    n, weight = totals.over(totals.n_positive, domains), totals.over(totals.weight, domains)
    y, yy = totals.over(totals.y, domains), totals.over(totals.yy, domains)
    with np.errstate(divide="ignore", invalid="ignore"):
        if quantity == "total":
            return Point(y, np.ones(domains), (weight * yy - y**2) / (n - 1))
        x = totals.over(totals.x, domains)
        estimate = np.where(x != 0, y / x, np.nan)
        xy, xx = totals.over(totals.xy, domains), totals.over(totals.xx, domains)
        residual = yy - 2 * estimate * xy + estimate**2 * xx
        return Point(estimate, x, weight * residual / x**2 / (n - 1))


def taylor_variance(strata: Strata, totals: Totals, found: Point, domains: int, quantity: Quantity) -> FloatArray:
    """Variance by linearisation, whichever form the sums came in."""
    domain = totals.domain
    with np.errstate(divide="ignore", invalid="ignore"):
        if quantity == "total":
            z = totals.y
        else:
            z = np.nan_to_num((totals.y - found.estimate[domain] * totals.x) / found.denominator[domain])
        if totals.unit is not None:
            sums = taylor.sums_of_units(strata, totals.stratum, domain, z)
        else:
            p, yes = found.estimate[domain], totals.yes_weight_squared
            if yes is None:
                raise ValueError("sums over strata need yes_weight_squared")
            squares = yes * (1 - p) ** 2 + (totals.weight_squared - yes) * p**2
            squares = np.nan_to_num(squares / found.denominator[domain] ** 2)
            sums = taylor.sums_of_squares(strata, totals.stratum, domain, z, squares)
    return np.where(np.isnan(found.estimate), np.nan, taylor.variance(strata, sums, domains))


def taylor_degrees_of_freedom(totals: Totals, domains: int) -> FloatArray:
    """PSUs minus strata, among those with children of the domain whose weight is above zero (R: ``degf``)."""
    held = totals.n_positive > 0
    strata = np.unique(totals.stratum[held] * domains + totals.domain[held]) % domains
    if totals.unit is None:
        psus = totals.over(totals.n_positive, domains)
    else:
        psus = np.bincount(totals.domain[held], minlength=domains).astype(float)
    return psus - np.bincount(strata, minlength=domains)


def conclude(
    quantity: Quantity,
    labels: pd.Index,
    strata: Strata,
    totals: Totals,
    interval: Interval,
    probability: float,
    replicated: ReplicateSpread | None = None,
) -> DirectEstimate:
    """Put estimate, variance, interval, design effect and effective n together."""
    domains = len(labels)
    found = point(totals, domains, quantity)
    n, kish = totals.over(totals.n, domains), _kish(totals, domains)
    if replicated is None:
        variance = taylor_variance(strata, totals, found, domains, quantity)
        df = taylor_degrees_of_freedom(totals, domains)
    else:
        variance = np.where(np.isnan(found.estimate), np.nan, replicated.variance)
        df = replicated.degrees_of_freedom
    error = np.sqrt(variance)
    if quantity == "proportion":
        ends = intervals.proportion_interval(found.estimate, error, df, n, kish, interval, probability)
    else:
        ends = intervals.number_interval(found.estimate, error, df, n, probability)
    with np.errstate(divide="ignore", invalid="ignore"):
        deff = variance / found.simple_variance
        p = found.estimate
        effective = np.minimum(p * (1 - p) / variance if quantity == "proportion" else n / deff, n)
    telling = (df > 0) & (error > intervals.NO_SPREAD * (1.0 if quantity == "proportion" else np.abs(found.estimate)))
    blank = (n == 0) & (quantity == "total")
    return DirectEstimate(
        quantity=quantity,
        domains=labels,
        n=n.astype(np.int64),
        n_weighted=totals.over(totals.weight, domains),
        estimate=np.where(blank, np.nan, found.estimate),
        standard_error=np.where(blank, np.nan, error),
        low=ends.low,
        high=ends.high,
        interval_kind=ends.kind,
        probability=probability,
        degrees_of_freedom=df,
        design_effect=np.where(telling, deff, np.nan),
        effective_n=np.where(telling, effective, np.nan),
        kish_n=kish,
        note=_with_left_out(ends.note, replicated),
    )


def _kish(totals: Totals, domains: int) -> FloatArray:
    squares = totals.over(totals.weight_squared, domains)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, totals.over(totals.weight, domains) ** 2 / squares, 0.0)


def _with_left_out(note: np.ndarray, replicated: ReplicateSpread | None) -> np.ndarray:
    if replicated is None:
        return note
    added = [
        f"{count} replicates hold no child of the base and were left out" if count else ""
        for count in replicated.left_out
    ]
    return np.array(["; ".join(filter(None, parts)) for parts in zip(note, added, strict=True)], dtype=object)
