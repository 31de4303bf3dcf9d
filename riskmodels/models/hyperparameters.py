"""Hyperparameters of a latent Gaussian model: unconstrained coordinates, each with a density close to normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from riskmodels.models.priors import Prior

FloatArray = npt.NDArray[np.float64]
HyperKind = Literal["sd", "correlation", "mixing", "step"]


@dataclass(frozen=True)
class Hyper:
    """One hyperparameter (or one correlation matrix) and the unconstrained coordinates that stand for it.

    Parameters
    ----------
    name
        Name in the fit's draws.
    kind
        ``"sd"``, ``"correlation"``, ``"mixing"`` (the variance that makes a normal prior Student-t) or ``"step"``: the
        distance between neighbouring thresholds of an ordered outcome, log-normal with SD 1 around a first guess.
    prior
        Its prior; of a step, that of its log around the guess.
    start, size
        Place among the unconstrained coordinates, and how many.
    centre, unit
        Of a step: what 0 stands for, and what a change by 1 adds to its log.
    """

    name: str
    kind: HyperKind
    prior: Prior
    start: int
    size: int
    centre: float = 1.0
    unit: float = 1.0


def _sd_of(prior: Prior, zeta: FloatArray) -> FloatArray:
    """SD at the quantile of its prior that `zeta` is of a standard normal."""
    upper = 0.5 * special.ndtr(-zeta)
    if prior.family == "half_normal":
        return np.asarray(np.maximum(-float(prior.scale or 1.0) * special.ndtri(upper), 1e-10))
    return np.asarray(
        np.maximum(-float(prior.scale or 1.0) * special.stdtrit(float(prior.degrees or 1.0), upper), 1e-10)
    )


def _mixing_of(prior: Prior, zeta: FloatArray) -> FloatArray:
    """Variance factor, inverse gamma (df/2, df/2), at the quantile that `zeta` is of a standard normal."""
    half = float(prior.degrees or 1.0) / 2
    lower = special.gammaincinv(half, special.ndtr(-np.maximum(zeta, 0.0)))
    upper = special.gammainccinv(half, special.ndtr(np.minimum(zeta, 0.0)))
    return np.asarray(half / np.maximum(np.where(zeta > 0, lower, upper), 1e-8))


def correlation_root(partial: FloatArray, size: int) -> FloatArray:
    """Cholesky factor of the correlation matrix with these partial correlations, row by row.

    Parameters
    ----------
    partial
        Shape (size (size - 1) / 2, draws), between -1 and 1, in the order (1,0), (2,0), (2,1), (3,0) ...

    References
    ----------
    Lewandowski, Kurowicka & Joe 2009, Journal of Multivariate Analysis 100, 1989-2001.
    """
    root = np.zeros((size, size, partial.shape[-1]))
    root[0, 0] = 1.0
    entry = 0
    for row in range(1, size):
        left = np.ones(partial.shape[-1])
        for column in range(row):
            root[row, column] = partial[entry] * np.sqrt(left)
            left = left * (1 - partial[entry] ** 2)
            entry += 1
        root[row, row] = np.sqrt(left)
    return root


def matrix_size(entries: int) -> int:
    """Rows of the matrix that has so many entries below its diagonal."""
    return round((1 + math.sqrt(1 + 8 * entries)) / 2)


def hyper_values(hypers: Sequence[Hyper], zeta: FloatArray) -> list[FloatArray]:
    """Hyperparameters at unconstrained coordinates of shape (dimension, draws), one array each."""
    values = []
    for hyper in hypers:
        part = zeta[hyper.start : hyper.start + hyper.size]
        if hyper.kind == "step":
            values.append(hyper.centre * np.exp(hyper.unit * part[0]))
        elif hyper.kind == "sd":
            values.append(_sd_of(hyper.prior, part[0]))
        elif hyper.kind == "mixing":
            values.append(_mixing_of(hyper.prior, part[0]))
        else:
            values.append(correlation_root(np.tanh(part), matrix_size(hyper.size)))
    return values


def log_hyper_prior(hypers: Sequence[Hyper], zeta: FloatArray) -> FloatArray:
    """Log prior density of the unconstrained coordinates, shape (draws,), up to a constant."""
    total = np.zeros(zeta.shape[-1])
    for hyper in hypers:
        part = zeta[hyper.start : hyper.start + hyper.size]
        if hyper.kind != "correlation":
            total -= 0.5 * (hyper.unit * part[0]) ** 2
            continue
        size = matrix_size(hyper.size)
        columns = np.concatenate([np.arange(row) for row in range(1, size)])
        shape = float(hyper.prior.shape or 1.0) + (size - 2 - columns) / 2
        total += (shape[:, None] * 2 * (math.log(2.0) - np.abs(part) - np.log1p(np.exp(-2 * np.abs(part))))).sum(axis=0)
    return total
