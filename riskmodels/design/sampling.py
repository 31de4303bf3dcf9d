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
    shared
        Weighted share of children whom two indicators have in common (1 on the diagonal), same shape.
    rho
        Correlation between answers of two children of one PSU, same shape.
    spread
        Factor by which the design-based variance exceeds what unequal weights and clusters explain (weights related to
        answers; strata), shape (countries, indicators).
    degrees
        Degrees of freedom, PSUs (or children) minus strata, shape (countries,).
    measured
        Where a country's own answers sufficed, shape (countries, indicators).
    """

    proportion: FloatArray
    phi: FloatArray
    shared: FloatArray
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
    degrees, measured, shared = np.zeros(countries), np.zeros(shape, dtype=bool), np.ones((*shape, size))
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
        shared[number], weights, clusters = _overlap_of_country(totals, rows, totals.together[number, :, :, 0])
        both = enough[:, None] & enough[None, :]
        with np.errstate(all="ignore"):
            found = np.where(clusters > 1e-12, (unit - phi[number] * weights) / clusters, 0.0)
            rho[number] = np.where(both, np.clip(found, -0.2, 1.0), np.nan) if totals.has_psu else 0.0
            # What clusters cannot explain (few children share PSUs, weights go with answers) is the children's own.
            rest = (np.diagonal(unit) - np.nan_to_num(np.diagonal(rho[number]) * np.diagonal(clusters))) / np.diagonal(
                weights
            )
        spread[number] = np.where(enough, np.maximum(rest, 1.0) if totals.has_psu else rest, np.nan)
    return Clustering(proportion, phi, shared, _filled(rho), _filled(spread, 1.0), degrees, measured)


def _overlap_of_country(
    totals: SurveyTotals, rows: npt.NDArray[np.bool_], both: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Children in common, and products of weights of the same and of different children of one PSU, over the totals.

    Every indicator counts the children of its own base. `both` holds the weights of children in two bases.

    Returns
    -------
    tuple of numpy.ndarray
        Shapes (indicators, indicators).
    """
    weight, square = totals.sums[:, rows, 2], totals.sums[:, rows, 4]
    total, squares = np.maximum(weight.sum(axis=1), 1e-300), square.sum(axis=1)
    shared = both / np.sqrt(total[:, None] * total[None, :])
    np.fill_diagonal(shared, 1.0)
    products = total[:, None] * total[None, :]
    same = shared * np.sqrt(squares[:, None] * squares[None, :]) / products
    if not totals.has_psu:
        return shared, same, np.zeros_like(same)
    psu = _sum_by(totals.units.loc[rows, "psu"].to_numpy(np.int64), weight.T)
    return shared, same, psu.T @ psu / products - same


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
    totals: SurveyTotals, clustering: Clustering, number: int, cells: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Covariance of a country's cells x indicators, in units of ``sqrt(p (1 - p))`` of each.

    Parameters
    ----------
    number
        The country.
    cells
        Cell of every row of `units` of this country; -1 for none.

    Returns
    -------
    tuple of numpy.ndarray
        Variances, shape (cells, indicators), and the correlation matrix, shape (cells x indicators, same), indicator
        changing fastest. Where no child of a cell has a weight in an indicator's base, the entry means nothing.
    """
    inside, rows = cells >= 0, totals.units[COUNTRY].to_numpy() == number
    count, size = int(cells.max()) + 1, len(totals.indicators)
    weight, square = (_sum_by(cells[inside], totals.sums[:, rows, k][:, inside].T) for k in (2, 4))
    empty = weight <= 0
    weight = np.where(empty, 1.0, weight)
    own = np.where(empty, 1.0, np.sqrt(square) / weight)
    phi, shared, rho = clustering.phi[number], clustering.shared[number], clustering.rho[number]
    same = np.einsum("cd,ij,ci,cj->cidj", np.eye(count), shared, own, own)
    root_spread = np.sqrt(clustering.spread[number])
    full = same * (phi * root_spread[:, None] * root_spread[None, :])[None, :, None, :]
    if totals.has_psu:
        psu = totals.units.loc[rows, "psu"].to_numpy(np.int64)[inside]
        _, place = np.unique(psu, return_inverse=True)
        by_psu = np.zeros((place.max() + 1, count, size))
        np.add.at(by_psu, (place, cells[inside]), totals.sums[:, rows, 2][:, inside].T)
        by_psu /= weight
        full = full + (np.einsum("pci,pdj->cidj", by_psu, by_psu) - same) * rho[None, :, None, :]
    flat = full.reshape(count * size, count * size)
    variance = np.maximum(np.diagonal(flat), 0.2 * own.ravel() ** 2)
    root = np.sqrt(variance)
    correlation = flat / root[:, None] / root[None, :]
    np.fill_diagonal(correlation, 1.0)
    return variance.reshape(count, size), positive_definite(correlation)


def positive_definite(correlation: FloatArray) -> FloatArray:
    """Nearest correlation matrix by lifting small eigenvalues."""
    values, vectors = np.linalg.eigh(0.5 * (correlation + correlation.T))
    if values[0] >= LEAST_EIGENVALUE:
        return correlation
    lifted = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    root = np.sqrt(np.diagonal(lifted))
    return np.asarray(lifted / root[:, None] / root[None, :])
