"""Taylor linearisation: variances of linearised totals over PSUs within strata within countries.

Everything stands on two numbers per stratum and estimate: the total of the linearised values z over the stratum's
PSUs, and their sum of squares about the stratum's mean. Both come from rows, from totals of PSUs, or (where every
child is its own PSU) from sums and sums of squares, so a table collapsed by SQL gives the same variance as rows.

PSUs without a member of the domain count, with z = 0: the sample design is that of everybody asked, not of a domain.
A stratum is lonely when it holds one PSU in the whole sample; one whose *domain members* fall into one PSU is not
(R: ``options(survey.adjust.domain.lonely = FALSE)``, the default). No finite-population correction.

Lonely strata, by policy (R's ``survey.lonely.psu`` in brackets): *certainty* adds nothing (certainty); *average* adds
the mean of the other strata of the country that hold members of the domain (average); *centred* adds the square of
its total, that is, its distance from the centre of the whole sample, where linearised values of a mean or ratio sum
to zero (adjust; for totals the centre is 0, as in R, which is very cautious); *merge* joins it with the stratum after
it, the last with the one before (R: relabel the strata).

References
----------
Woodruff 1971, JASA 66, 411-414; Lumley 2010, Complex Surveys, ch. 2 and appendix; Binder 1983, Int. Stat. Rev. 51.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riskmodels.design.direct.records import FloatArray, IntArray
from riskmodels.design.direct.units import Strata

#: A sum of squares below this share of the raw one is rounding, not spread.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class StratumSums:
    """Totals and spread of linearised values per stratum and domain: one entry where the stratum holds members.

    Parameters
    ----------
    stratum, domain
        Where the entry belongs.
    total
        Sum of z over the PSUs of the stratum.
    within
        Sum over *all* its PSUs, those without members included, of the squared distance of z from the stratum's mean.
    """

    stratum: IntArray
    domain: IntArray
    total: FloatArray
    within: FloatArray


def sums_of_units(strata: Strata, stratum: IntArray, domain: IntArray, z: FloatArray) -> StratumSums:
    """Sums per stratum and domain, from one entry per PSU and domain (PSUs without members left out).

    Parameters
    ----------
    strata
        Strata of the whole sample.
    stratum, domain, z
        Per entry: its stratum, its domain, the linearised total of the PSU.
    """
    domains = int(domain.max()) + 1 if len(domain) else 1
    pairs, place = np.unique(stratum * domains + domain, return_inverse=True)
    of_stratum = pairs // domains
    psus = strata.psus[of_stratum]
    total = np.bincount(place, weights=z, minlength=len(pairs))
    members = np.bincount(place, minlength=len(pairs))
    mean = total / psus
    spread = np.bincount(place, weights=(z - mean[place]) ** 2, minlength=len(pairs))
    return StratumSums(of_stratum, pairs % domains, total, spread + (psus - members) * mean**2)


def sums_of_squares(
    strata: Strata, stratum: IntArray, domain: IntArray, total: FloatArray, squares: FloatArray
) -> StratumSums:
    """Sums per stratum and domain where every child is its own PSU, from sums of z and of z^2.

    Parameters
    ----------
    strata
        Strata of the whole sample; `psus` counts its children.
    stratum, domain, total, squares
        Per entry: its stratum, its domain, the sums of z and of z^2 over its children. Entries of the same stratum and
        domain are added.
    """
    domains = int(domain.max()) + 1 if len(domain) else 1
    pairs, place = np.unique(stratum * domains + domain, return_inverse=True)
    of_stratum = pairs // domains
    total = np.bincount(place, weights=total, minlength=len(pairs))
    squares = np.bincount(place, weights=squares, minlength=len(pairs))
    within = squares - total**2 / strata.psus[of_stratum]
    return StratumSums(of_stratum, pairs % domains, total, np.where(within > ROUNDING * squares, within, 0.0))


def variance(strata: Strata, sums: StratumSums, domains: int) -> FloatArray:
    """Variance of each domain's estimate; countries are separate samples, so their variances add.

    Parameters
    ----------
    strata
        Strata of the whole sample, with the policy for lonely PSUs.
    sums
        Totals and spread of the linearised values.
    domains
        Number of domains.

    Returns
    -------
    numpy.ndarray
        Variance per domain; NaN where the policy ``"average"`` finds no other stratum with members of the domain.
    """
    psus = strata.psus[sums.stratum]
    lonely = psus == 1
    part = sums.within * psus / np.maximum(psus - 1, 1)
    alone = sums.total**2 if strata.lonely_psu == "centred" else np.zeros(len(psus))
    part = np.where(lonely, alone, part)
    if strata.lonely_psu == "average":
        part = (
            part * average_factor(strata, sums.stratum, sums.domain, domains)[strata.country[sums.stratum], sums.domain]
        )
    return np.bincount(sums.domain, weights=part, minlength=domains)


def average_factor(strata: Strata, stratum: IntArray, domain: IntArray, domains: int) -> FloatArray:
    """Strata with members over those of them that hold two PSUs or more, per country and domain.

    Parameters
    ----------
    strata
        Strata of the whole sample.
    stratum, domain
        Each pair of a stratum and a domain with members, once.
    domains
        Number of domains.

    Returns
    -------
    numpy.ndarray
        Country x domain; NaN where every stratum with members is lonely, 1 where there are no members.
    """
    shape = (strata.countries, domains)
    place = np.ravel_multi_index((strata.country[stratum], domain), shape)
    size = shape[0] * shape[1]
    present = np.bincount(place, minlength=size).reshape(shape)
    sound = np.bincount(place, weights=strata.psus[stratum] > 1, minlength=size).reshape(shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(present == 0, 1.0, np.where(sound > 0, present / sound, np.nan))


def covariance_of_units(strata: Strata, stratum: IntArray, z: FloatArray, present: FloatArray) -> FloatArray:
    """Covariance matrix of several estimates, from linearised totals of PSUs.

    Parameters
    ----------
    strata
        Strata of the whole sample.
    stratum
        Stratum of each PSU; every PSU of the sample is there.
    z
        PSU x estimate: linearised totals, zero where a PSU adds nothing.
    present
        PSU x estimate: whether the PSU holds members of the estimate's base.

    Returns
    -------
    numpy.ndarray
        Estimate x estimate; its diagonal is what `variance` gives.
    """
    totals = np.zeros((len(strata), z.shape[1]))
    np.add.at(totals, stratum, z)
    mean = totals / strata.psus[:, None]
    held = np.zeros(totals.shape, dtype=bool)
    np.logical_or.at(held, stratum, present.astype(bool))
    scale = _scale(strata, held)
    factor = np.where(strata.psus > 1, strata.psus / np.maximum(strata.psus - 1, 1), 0.0)
    about = (z - mean[stratum]) * scale[stratum] * np.sqrt(factor[stratum])[:, None]
    return about.T @ about + _lonely_part(strata, totals)


def covariance_of_sums(strata: Strata, totals: FloatArray, products: FloatArray, held: FloatArray) -> FloatArray:
    """Covariance matrix of several estimates, from sums and cross-products of z per stratum.

    Parameters
    ----------
    strata
        Strata of the whole sample.
    totals
        Stratum x estimate: sum of z over PSUs.
    products
        Stratum x estimate x estimate: sum over PSUs of z z'.
    held
        Stratum x estimate: whether the stratum holds members of the estimate's base.
    """
    factor = np.where(strata.psus > 1, strata.psus / np.maximum(strata.psus - 1, 1), 0.0)
    within = products - totals[:, :, None] * totals[:, None, :] / strata.psus[:, None, None]
    scale = _scale(strata, held.astype(bool))
    return np.einsum("s,sa,sb,sab->ab", factor, scale, scale, within) + _lonely_part(strata, totals)


def _scale(strata: Strata, held: np.ndarray) -> FloatArray:
    """Square root of the factor by which the policy ``"average"`` scales a country's variance; 1 otherwise."""
    if strata.lonely_psu != "average":
        return np.ones(held.shape)
    stratum, estimate = np.nonzero(held)
    factor = average_factor(strata, stratum, estimate, held.shape[1])
    return np.sqrt(factor)[strata.country]


def _lonely_part(strata: Strata, totals: FloatArray) -> FloatArray:
    """What lonely strata add under the policy ``"centred"``; nothing otherwise."""
    if strata.lonely_psu != "centred":
        return np.zeros((totals.shape[1], totals.shape[1]))
    alone = totals[strata.psus == 1]
    return alone.T @ alone
