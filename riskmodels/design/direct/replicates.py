"""Variances from replicate weights: jackknife, bootstrap, balanced repeated replication, Fay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from riskmodels.design.direct.records import FloatArray, IntArray
from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Replicates

#: Directions of the replicate weights whose share of the largest is below this count as dependent (R: 1e-5 before
#: squaring).
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class ReplicateWeights:
    """Replicate weights of a sample, and how their spread becomes a variance.

    Parameters
    ----------
    weights
        Child x replicate; full weights included in each (R: ``combined.weights = TRUE``).
    how
        Kind and factors, from the codebook.
    centre
        ``"estimate"``: squared distances from the full-sample estimate (R: ``mse = TRUE``), never smaller for equal
        factors and so the default; ``"mean"``: from the mean of the replicates (R: ``mse = FALSE``).
    """

    weights: npt.NDArray[Any]
    how: Replicates
    centre: Literal["estimate", "mean"] = "estimate"


@dataclass(frozen=True, eq=False)
class ReplicateSpread:
    """Variance per domain, replicates left out because they hold no child of the domain, degrees of freedom."""

    variance: FloatArray
    left_out: IntArray
    degrees_of_freedom: FloatArray


def check_replicates(replicates: ReplicateWeights, rows: int) -> list[Problem]:
    """E110, E112, E132, E151, E195: replicate weights that do not fit the sample or their own kind."""
    weights, how = np.asarray(replicates.weights), replicates.how
    if weights.ndim != 2 or len(weights) != rows or weights.shape[1] != len(how.columns):
        remedy = f"give {rows} rows and one column for each of the {len(how.columns)} replicates declared"
        return [
            Problem("E151", "replicate weights of another shape than the sample", "replicates", len(weights), remedy)
        ]
    if weights.dtype.kind not in "fiu":
        what = "replicate weights that are not numbers"
        return [Problem("E163", what, "replicates", len(weights), "read the columns as numbers")]
    problems = []
    unknown = int((~np.isfinite(weights.astype(float))).any(axis=1).sum())
    negative = int((weights < 0).any(axis=1).sum())
    if unknown:
        problems.append(
            Problem("E112", "missing or infinite replicate weights", "replicates", unknown, "drop the rows")
        )
    if negative:
        problems.append(
            Problem("E110", "negative replicate weights", "replicates", negative, "weights must be zero or more")
        )
    if len(how.columns) < 2:
        problems.append(
            Problem("E195", "fewer than two replicates", "replicates", len(how.columns), "declare them all")
        )
    if how.kind == "jackknife-n" and how.rscales is None:
        problems.append(
            Problem(
                "E132",
                "jackknife-n without rscales",
                "replicates",
                1,
                "give a factor per replicate: (n - 1) / n of its stratum",
            )
        )
    if how.rscales is not None and len(how.rscales) != len(how.columns):
        problems.append(
            Problem(
                "E195",
                "rscales of another length than the replicates",
                "replicates",
                len(how.rscales),
                f"give {len(how.columns)}",
            )
        )
    if how.kind == "fay" and not 0 < how.fay < 1:
        problems.append(Problem("E195", "Fay's factor outside 0 to 1", "replicates", 1, "give the factor, e.g. 0.5"))
    return problems


def factors(how: Replicates) -> tuple[float, FloatArray]:
    """Overall and per-replicate factors: those declared, else the usual ones of the kind.

    References
    ----------
    Wolter 2007, Introduction to Variance Estimation; Judkins 1990, J. Official Statistics 6, 223-239 (Fay).
    """
    count = len(how.columns)
    usual = {
        "jackknife-1": (count - 1) / count,
        "jackknife-n": 1.0,
        "bootstrap": 1 / (count - 1),
        "brr": 1 / count,
        "fay": 1 / (count * (1 - how.fay) ** 2),
    }
    scale = usual[how.kind] if how.scale is None else how.scale
    return scale, np.ones(count) if how.rscales is None else np.asarray(how.rscales, float)


def replicate_totals(
    replicates: ReplicateWeights, cell: IntArray, cells: int, values: FloatArray, inside: npt.NDArray[np.bool_]
) -> FloatArray:
    """Weighted totals of a value per cell, under each replicate: cell x replicate."""
    rows = np.flatnonzero(inside)
    collect = sparse.csr_matrix((values[rows], (cell[rows], rows)), shape=(cells, len(cell)))
    return np.asarray(collect @ np.asarray(replicates.weights, float))


def spread(
    replicates: ReplicateWeights,
    numerator: FloatArray,
    denominator: FloatArray | None,
    full: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, IntArray]:
    """Variance per domain from totals under each replicate; countries are separate samples.

    Parameters
    ----------
    replicates
        Replicate weights.
    numerator, denominator
        Country x domain x replicate totals; no denominator for totals.
    full
        Country x domain totals of numerator and denominator under the full weights.

    Returns
    -------
    tuple of numpy.ndarray
        Variance, and how many replicates were left out because the domain has no weight there. While one country's
        weights are replicated the other countries keep theirs, so that independent samples add their variances.
    """
    scale, rscales = factors(replicates.how)
    top, bottom = full[0].sum(axis=0), full[1].sum(axis=0)
    domains = len(top)
    total, left_out = np.zeros(domains), np.zeros(domains, np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = top if denominator is None else top / bottom
        for place in range(len(full[0])):
            theta = (top - full[0][place])[:, None] + numerator[place]
            if denominator is not None:
                theta = theta / ((bottom - full[1][place])[:, None] + denominator[place])
            known = np.isfinite(theta)
            left_out += (~known).sum(axis=1)
            if replicates.centre == "mean":
                counted = known & (rscales > 0)
                about = np.where(counted, theta, 0.0).sum(axis=1) / counted.sum(axis=1)
            else:
                about = centre
            squares = np.where(known, rscales * (theta - about[:, None]) ** 2, 0.0)
            total += np.where(known.any(axis=1), scale * squares.sum(axis=1), np.nan)
    return total, left_out


def replicate_rank(weights: FloatArray) -> int:
    """Number of independent columns of replicate weights."""
    gram = weights.T @ weights
    values = np.linalg.eigvalsh(gram)
    return int((values > RANK_TOLERANCE * max(float(values[-1]), 0.0)).sum()) if values[-1] > 0 else 0


def degrees_of_freedom(
    replicates: ReplicateWeights, cell: IntArray, shape: tuple[int, int], inside: npt.NDArray[np.bool_]
) -> FloatArray:
    """Rank of the replicate weights of each country and domain minus 1, added over countries."""
    weights = np.asarray(replicates.weights, float)
    rows = np.flatnonzero(inside)
    ordered = rows[np.argsort(cell[rows], kind="stable")]
    held, start = np.unique(cell[ordered], return_index=True)
    found = np.zeros(shape)
    for key, members in zip(held, np.split(ordered, start[1:]), strict=True):
        found[np.unravel_index(key, shape)] = max(replicate_rank(weights[members]) - 1, 0)
    return found.sum(axis=0)


def spread_of_rows(
    replicates: ReplicateWeights,
    country: IntArray,
    domain: IntArray,
    domains: int,
    weight: FloatArray,
    numerator: FloatArray,
    denominator: FloatArray | None,
) -> ReplicateSpread:
    """Variance of totals or of ratios of totals per domain, from one entry per child.

    Parameters
    ----------
    replicates
        Replicate weights.
    country, domain
        Index of each child's country and domain (-1: outside).
    domains
        Number of domains.
    weight
        Full weights.
    numerator, denominator
        Values whose weighted totals are taken; no denominator for totals.
    """
    inside = domain >= 0
    shape = (int(country.max()) + 1, domains)
    cell = np.where(inside, country * domains + domain, 0)
    cells = shape[0] * shape[1]

    def both(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        full = np.bincount(cell[inside], weights=(weight * values)[inside], minlength=cells)
        return replicate_totals(replicates, cell, cells, values, inside).reshape(*shape, -1), full.reshape(shape)

    top, full_top = both(numerator)
    bottom, full_bottom = (None, np.ones(shape)) if denominator is None else both(denominator)
    variance, left_out = spread(replicates, top, bottom, (full_top, full_bottom))
    return ReplicateSpread(variance, left_out, degrees_of_freedom(replicates, cell, shape, inside))
