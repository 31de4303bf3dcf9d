"""Importance weights of draws: Pareto smoothing, k-hat, effective draws, and equal-weight resampling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from arviz_stats.base import array_stats

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Largest contribution, in means, below which there is no tail (a k-hat of 0.5 gives about 20 among 1,500 draws).
NO_TAIL = 5.0


def smoothed_weights(log_weights: FloatArray) -> tuple[FloatArray, float]:
    """Pareto-smoothed importance weights that sum to one, and their k-hat.

    Parameters
    ----------
    log_weights
        One per draw, up to a constant.

    Returns
    -------
    tuple
        Weights, and k-hat: above 0.7 the weights cannot be trusted. Weights that are all equal need no smoothing:
        their k-hat is 0 by definition.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao & Gabry 2024, Journal of Machine Learning Research 25 (72).
    """
    if np.ptp(log_weights) < 1e-12:
        return np.full(len(log_weights), 1 / len(log_weights)), 0.0
    smoothed, k_hat = array_stats.psislw(-log_weights)  # the function takes minus the log weights
    weights = np.exp(smoothed - np.max(smoothed))
    return weights / weights.sum(), float(np.asarray(k_hat))


def systematic_resample(weights: FloatArray, count: int, rng: np.random.Generator) -> IntArray:
    """Positions of `count` equal-weight draws, in random order; each draw is taken within one of its expected times.

    References
    ----------
    Kitagawa 1996, Journal of Computational and Graphical Statistics 5, 1-25.
    """
    ends = np.cumsum(weights)
    points = (np.arange(count) + rng.uniform()) / count
    taken = np.minimum(np.searchsorted(ends / ends[-1], points, side="right"), len(weights) - 1)
    return np.asarray(rng.permutation(taken), dtype=np.int64)


def equal_weight_draws(posterior: xr.Dataset, weights: FloatArray, seed: int) -> xr.Dataset:
    """As many draws as there are, dims (chain, draw, ...), taken in proportion to their weights (chain, draw)."""
    taken = systematic_resample(weights.ravel(), weights.size, np.random.default_rng([seed, 3]))
    data = {}
    for name, values in posterior.data_vars.items():
        flat = values.transpose("chain", "draw", ...)
        data[name] = (flat.dims, flat.to_numpy().reshape(weights.size, *flat.shape[2:])[taken].reshape(flat.shape))
    return xr.Dataset(data, coords=posterior.coords)


def weighted_quantile(values: FloatArray, weights: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Quantiles of weighted draws, by linear interpolation of the mid-point distribution function.

    Parameters
    ----------
    values
        Shape (draws, quantities).
    weights
        Shape (draws,), summing to one.
    probabilities
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Shape (probabilities, quantities).
    """
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    own = weights[order]
    middle = np.cumsum(own, axis=0) - 0.5 * own
    return np.stack([np.interp(probabilities, middle[:, k], ordered[:, k]) for k in range(values.shape[1])], axis=-1)


def pareto_k(values: FloatArray, weights: FloatArray) -> FloatArray:
    """k-hat of weighted means, one per quantity: the heavier tail of the weights and of weight times distance.

    Parameters
    ----------
    values
        Shape (chain, draw, quantities); draws at the same place of several chains are added up, since mirrored pairs
        share what decides their weights.
    weights
        Shape (chain, draw), summing to one.

    Returns
    -------
    numpy.ndarray
        Shape (quantities,); NaN for values that are not finite; 0 at most where no draw contributes more than
        `NO_TAIL` times the mean, since contributions that are nearly equal have no tail to fit.

    References
    ----------
    Vehtari et al. 2024 (as in `smoothed_weights`); Zhang & Stephens 2009, Technometrics 51, 316-325 (the fit).
    """
    finite = np.isfinite(values).all(axis=(0, 1))
    if np.ptp(weights) < 1e-12 * weights.max():
        return np.where(finite, 0.0, np.nan)
    count = weights.shape[1]
    tail = int(np.ceil(min(0.2 * count, 3 * np.sqrt(count))))
    mean = np.einsum("cs,csq->q", weights, values)
    ratios = np.column_stack([weights.sum(axis=0), np.einsum("cs,csq->sq", weights, np.abs(values - mean))])
    largest = np.sort(np.partition(ratios, count - tail - 1, axis=0)[count - tail - 1 :], axis=0)
    with np.errstate(all="ignore"):
        found = _pareto_shape(largest[1:] - largest[0])
    found = np.where(largest[-1] < NO_TAIL * ratios.mean(axis=0), np.fmin(found, 0.0), found)
    return np.where(finite, np.fmax(found[0], found[1:]), np.nan)


def _pareto_shape(excess: FloatArray) -> FloatArray:
    """Shape of generalised Pareto distributions, columns sorted upwards, by the weakly informed profile estimate."""
    size = len(excess)
    grid = 30 + int(size**0.5)
    quarter = excess[int(size / 4 + 0.5) - 1]
    place = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = place[:, None] / (3 * quarter) + 1 / excess[-1]
    k = np.stack([np.log1p(-row * excess).mean(axis=0) for row in b])
    profile = size * (np.log(-b / k) - k - 1)
    share = np.exp(profile - profile.max(axis=0))
    best = (b * share).sum(axis=0) / share.sum(axis=0)
    shape = np.log1p(-best * excess).mean(axis=0)
    return np.asarray((shape * size + 0.5 * 10) / (size + 10))


def effective_draws(values: FloatArray, weights: FloatArray, tail: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Effective draws of weighted means and of tail probabilities, and the Monte Carlo error of the mean.

    Draws at the same place of several chains count as one cluster, so that mirrored pairs, which share
    hyperparameters and whose other errors cancel, are judged by what they are worth together.

    Parameters
    ----------
    values
        Shape (chain, draw, quantities).
    weights
        Shape (chain, draw), summing to one.
    tail
        Probability beyond each interval end.

    Returns
    -------
    tuple of numpy.ndarray
        Bulk and tail effective draws and the error, one per quantity; NaN for a quantity that never varies. Where
        errors cancel, effective draws can exceed the draws made.

    References
    ----------
    Owen 2013, Monte Carlo theory, methods and examples, chapters 8 (antithetic) and 9 (self-normalised) sampling.
    """
    flat, own = values.reshape(-1, values.shape[-1]), weights.ravel()

    def squared_error(deviation: FloatArray) -> FloatArray:
        return np.asarray((np.einsum("cs,csq->sq", weights, deviation.reshape(values.shape)) ** 2).sum(axis=0))

    with np.errstate(all="ignore"):
        deviation = flat - own @ flat
        variance, error = own @ deviation**2, squared_error(deviation)
        bulk = np.where(variance > 0, variance / error, np.nan)
        equal = flat[systematic_resample(own, len(own), np.random.default_rng(0))]
        tails = []
        for end in np.quantile(equal, [tail, 1 - tail], axis=0):
            below = (flat <= end).astype(float)
            share = own @ below
            tails.append(share * (1 - share) / squared_error(below - share))
    return bulk, np.where(variance > 0, np.minimum(*tails), np.nan), np.sqrt(error)
