"""What a clustered, weighted sample is worth: clustering of answers within PSUs, and effective numbers per cell.

The design-based covariance of a country's estimates (Taylor linearisation over strata and PSUs) is taken apart into
what unequal weights do, what answers of one child to several questions share (phi), and what children of one PSU
share (rho). Put together again for any subgroup, it gives the covariance of all cells of a country: cells of one
country are not independent, since they share PSUs, and a country's total must be as uncertain as the design says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from riskmodels.design.direct import covariance_of_ratios
from riskmodels.design.totals import SurveyTotals
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]

#: Cases and non-cases needed in a country before its clustering of an indicator is measured.
CASES_TO_MEASURE = 10
#: Degrees of freedom (PSUs minus strata) needed for that.
DEGREES_TO_MEASURE = 5
#: Least eigenvalue kept in a correlation matrix of cells.
LEAST_EIGENVALUE = 0.02


@dataclass(frozen=True, eq=False)
class Clustering:
    """What the design does to each country's estimates.

    Parameters
    ----------
    proportion
        Weighted share affected, shape (countries, indicators).
    phi
        Correlation between answers of one child, shape (countries, indicators, indicators).
    rho
        Correlation between answers of two children of one PSU, same shape.
    spread
        Factor by which the design-based variance exceeds that of unequal weights where children are not clustered
        (strata, weights related to answers), shape (countries, indicators); 1 with PSUs.
    degrees
        Degrees of freedom, PSUs (or children) minus strata, shape (countries,).
    measured
        Where a country's own answers sufficed, shape (countries, indicators).
    """

    proportion: FloatArray
    phi: FloatArray
    rho: FloatArray
    spread: FloatArray
    degrees: FloatArray
    measured: npt.NDArray[np.bool_]


def _phi(totals: SurveyTotals) -> FloatArray:
    """Correlation of the answers to every pair of indicators, per country."""
    w, first, second, both = np.moveaxis(totals.together, -1, 0)
    size = len(totals.indicators)
    with np.errstate(all="ignore"):
        p, q, r = first / w, second / w, both / w
        phi = (r - p * q) / np.sqrt(p * (1 - p) * q * (1 - q))
    phi = np.where(np.isfinite(phi), np.clip(phi, -0.99, 0.99), 0.0)
    phi[:, np.arange(size), np.arange(size)] = 1.0
    return np.asarray(phi)


def _sum_by(keys: npt.NDArray[np.int64], values: FloatArray) -> FloatArray:
    """Sum rows of `values` (rows, ...) over equal keys, in the order of the keys."""
    unique, inverse = np.unique(keys, return_inverse=True)
    out = np.zeros((len(unique), *values.shape[1:]))
    np.add.at(out, inverse, values)
    return out


def _country_variance(totals: SurveyTotals, rows: npt.NDArray[np.bool_], p: FloatArray) -> tuple[FloatArray, float]:
    """Design-based covariance of a country's proportions, and its degrees of freedom."""
    units = totals.units.loc[rows]
    _, _, w, wy, w2, w2y = np.moveaxis(totals.sums[:, rows], -1, 0)
    z = ((wy - p[:, None] * w) / np.maximum(w.sum(axis=1), 1e-300)[:, None]).T
    stratum = units["stratum"].to_numpy(np.int64)
    covariance, psus = np.zeros((len(p), len(p))), 0
    if totals.has_psu:
        psu, first = np.unique(units["psu"].to_numpy(np.int64), return_index=True)
        place = np.searchsorted(psu, units["psu"].to_numpy(np.int64))
        sums = _sum_by(place, np.stack([wy.T, w.T], axis=-1))
        of_psu = stratum[first]
        found = covariance_of_ratios(sums[..., 0], sums[..., 1], stratum=of_psu, lonely_psu=totals.lonely_psu)
        return np.nan_to_num(found.covariance), float(len(psu) - len(np.unique(of_psu)))
    squares = ((w2y * (1 - 2 * p[:, None]) + p[:, None] ** 2 * w2) / np.maximum(w.sum(axis=1), 1e-300)[:, None] ** 2).T
    for number in np.unique(stratum):
        at = stratum == number
        m = float(units.loc[at, "n"].sum())
        psus += int(m)
        if m > 1:
            total = z[at].sum(axis=0)
            covariance += np.diag(m / (m - 1) * (squares[at].sum(axis=0) - total**2 / m))
    return covariance, float(psus - len(np.unique(stratum)))


def measure_clustering(totals: SurveyTotals) -> Clustering:
    """Take the design-based covariance of every country apart.

    Parameters
    ----------
    totals
        The collapsed survey.

    Returns
    -------
    Clustering
        Where a country has fewer than 10 cases (or non-cases) of an indicator, or hardly any degrees of freedom, the
        average of its other indicators stands in, else that of the other countries.

    References
    ----------
    Taylor linearisation as in Lumley 2010, Complex Surveys, chapter 2; the split of a design effect into weights and
    clusters as in Gabler, Haeder & Lahiri 1999, Survey Methodology 25, 105-106.
    """
    country = totals.units[COUNTRY].to_numpy()
    countries, size = len(totals.factors[0]), len(totals.indicators)
    phi = _phi(totals)
    shape = (countries, size)
    proportion, rho, spread = np.zeros(shape), np.full((*shape, size), np.nan), np.full(shape, np.nan)
    degrees, measured = np.zeros(countries), np.zeros(shape, dtype=bool)
    for number in range(countries):
        rows = country == number
        n, yes, w, wy, _, _ = totals.sums[:, rows].sum(axis=1).T
        p = np.divide(wy, w, out=np.zeros(size), where=w > 0)
        if totals.replicate_variance is not None and totals.replicate_degrees is not None:
            covariance, degrees[number] = np.diag(totals.replicate_variance[number]), totals.replicate_degrees[number]
        else:
            covariance, degrees[number] = _country_variance(totals, rows, p)
        proportion[number] = p
        enough = (yes >= CASES_TO_MEASURE) & (n - yes >= CASES_TO_MEASURE) & (degrees[number] >= DEGREES_TO_MEASURE)
        measured[number] = enough
        root = np.sqrt(np.maximum(p * (1 - p), 1e-12))
        unit = covariance / root[:, None] / root[None, :]
        weights, clusters = _overlap_of_country(totals, rows)
        if clusters > 1e-12:
            found = (unit - phi[number] * weights) / clusters
            rho[number] = np.where(enough[:, None] & enough[None, :], np.clip(found, -0.2, 1.0), np.nan)
            spread[number] = 1.0
        else:
            rho[number] = 0.0
            spread[number] = np.where(enough, np.diagonal(unit) / weights, np.nan)
    return Clustering(proportion, phi, _filled(rho), _filled(spread, 1.0), degrees, measured)


def _overlap_of_country(totals: SurveyTotals, rows: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Sum of squared weights, and of products of weights of different children of one PSU, over the squared total."""
    units = totals.units.loc[rows]
    total = float(units["w"].sum()) ** 2
    if not totals.has_psu:
        return float(units["w2"].sum()) / total, 0.0
    psu = _sum_by(units["psu"].to_numpy(np.int64), units[["w", "w2"]].to_numpy(float))
    return float(psu[:, 1].sum()) / total, float((psu[:, 0] ** 2 - psu[:, 1]).sum()) / total


def _filled(values: FloatArray, default: float = 0.0) -> FloatArray:
    """Fill what could not be measured: pairs by the country's mean, then by the mean of all, then by `default`.

    Diagonal entries (one indicator) and others (two) are filled apart.
    """
    filled = values.copy()
    size = values.shape[-1]
    diagonal = np.eye(size, dtype=bool) if values.ndim == 3 else np.ones(size, dtype=bool)
    for part in (diagonal, ~diagonal):
        if not part.any():
            continue
        inside = filled[:, part]
        overall = float(np.nanmean(inside)) if np.isfinite(inside).any() else default
        for number in range(len(filled)):
            own = filled[number][part]
            mean = float(np.nanmean(own)) if np.isfinite(own).any() else overall
            filled[number][part] = np.where(np.isfinite(own), own, mean)
    return filled


def t_penalty(degrees: FloatArray) -> FloatArray:
    """Factor on an effective n that widens intervals as few degrees of freedom ask for.

    References
    ----------
    Korn & Graubard 1998, Survey Methodology 24, 193-201.
    """
    return np.asarray((stats.norm.ppf(0.975) / stats.t.ppf(0.975, np.maximum(degrees, 1.0))) ** 2)


def cell_covariance(
    totals: SurveyTotals, clustering: Clustering, number: int, cells: npt.NDArray[np.int64], members: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Covariance of a country's cells x indicators, in units of ``sqrt(p (1 - p))`` of each.

    Parameters
    ----------
    number
        The country.
    cells
        Cell of every row of `units` of this country; -1 for none.
    members
        Sum of weights and of squared weights per row, shape (rows, 2).

    Returns
    -------
    tuple of numpy.ndarray
        Variances, shape (cells, indicators), and the correlation matrix, shape (cells x indicators, same), indicator
        changing fastest.
    """
    inside = cells >= 0
    count = int(cells.max()) + 1
    weight = np.bincount(cells[inside], members[inside, 0], count)
    square = np.bincount(cells[inside], members[inside, 1], count) / weight**2
    country_rows = totals.units[COUNTRY].to_numpy() == number
    together = np.zeros((count, count))
    if totals.has_psu:
        psu = totals.units.loc[country_rows, "psu"].to_numpy(np.int64)[inside]
        _, place = np.unique(psu, return_inverse=True)
        by_psu = np.zeros((place.max() + 1, count))
        np.add.at(by_psu, (place, cells[inside]), members[inside, 0])
        together = by_psu.T @ by_psu / weight[:, None] / weight[None, :]
        together[np.arange(count), np.arange(count)] -= square
    phi, rho = clustering.phi[number], clustering.rho[number]
    root_spread = np.sqrt(clustering.spread[number])
    own = phi * root_spread[:, None] * root_spread[None, :]
    full = np.einsum("cd,ij->cidj", np.diag(square), own) + np.einsum("cd,ij->cidj", together, rho)
    full = full.reshape(count * len(phi), -1)
    variance = np.maximum(np.diagonal(full), np.repeat(square, len(phi)) * 0.2)
    root = np.sqrt(variance)
    correlation = full / root[:, None] / root[None, :]
    np.fill_diagonal(correlation, 1.0)
    return variance.reshape(count, -1), positive_definite(correlation)


def positive_definite(correlation: FloatArray) -> FloatArray:
    """Nearest correlation matrix by lifting small eigenvalues."""
    values, vectors = np.linalg.eigh(0.5 * (correlation + correlation.T))
    if values[0] >= LEAST_EIGENVALUE:
        return correlation
    lifted = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    root = np.sqrt(np.diagonal(lifted))
    return np.asarray(lifted / root[:, None] / root[None, :])
