"""Draws of one variable's missing answers from its Bayesian regression on others: levels, and numbers by matching."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import BayesianRidge, LogisticRegression

FloatArray = npt.NDArray[np.float64]

#: Prior variance of a coefficient, per indicator or standard deviation of a number: Normal(0, 2.5).
PRIOR_VARIANCE = 2.5**2
#: Hyperprior by which a ridge regression keeps that variance. One learnt from the data shrinks the outcome's coefficient
#: among many that are nearly zero, and with it the regression's: by 7 % where 300 children of a country had an answer.
PRIOR_STRENGTH = 1e6
#: Prior variance of an intercept among several: only their differences matter.
INTERCEPT_VARIANCE = 100.0
#: Children among whom one answer, or one residual, is taken.
DONORS, RESIDUAL_DONORS = 5, 10
#: Numbers of more values than this are drawn by residuals: scores, not years of age.
FEW_VALUES = 40


def _centred(fitted: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Columns with mean 0 over the children fitted; constant ones are left out."""
    mean, keep = fitted.mean(axis=0), np.ptp(fitted, axis=0) > 1e-9
    return (fitted - mean)[:, keep], (asked - mean)[:, keep]


def draw_levels(fitted: FloatArray, levels: FloatArray, asked: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw levels from the posterior predictive of a logistic regression.

    Parameters
    ----------
    fitted, asked
        Columns of children with and without an answer.
    levels
        Answers of the former.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        One level per child asked for. Coefficients come from the normal approximation of their posterior.
    """
    found, codes = np.unique(levels, return_inverse=True)
    if len(found) == 1:
        return np.full(len(asked), found[0])
    x, z = _centred(fitted, asked)
    if not x.shape[1]:
        return rng.choice(levels, len(asked))
    binary = len(found) == 2
    solver = "newton-cholesky" if binary else "lbfgs"
    model = LogisticRegression(C=PRIOR_VARIANCE, solver=solver, tol=1e-5, max_iter=1000).fit(x, codes)
    mode = np.column_stack([model.intercept_, model.coef_])
    x1, z1 = np.column_stack([np.ones(len(x)), x]), np.column_stack([np.ones(len(z)), z])
    if binary:
        share = 1 / (1 + np.exp(-(x1 @ mode[0])))
        precision = x1.T @ (x1 * (share * (1 - share))[:, None])
        precision[np.diag_indices_from(precision)] += np.r_[1e-6, np.full(x.shape[1], 1 / PRIOR_VARIANCE)]
        chance = 1 / (1 + np.exp(-(z1 @ _normal_draw(mode[0], precision, rng))))
        return found[(rng.uniform(size=len(z1)) < chance).astype(np.int64)]
    drawn = _normal_draw(mode.ravel(), _multinomial_precision(x1, mode), rng).reshape(mode.shape)
    log_share = z1 @ drawn.T
    noise = rng.gumbel(size=log_share.shape)
    return np.asarray(found[(log_share + noise).argmax(axis=1)])


def _normal_draw(mean: FloatArray, precision: FloatArray, rng: np.random.Generator) -> FloatArray:
    root = np.linalg.cholesky(precision)
    return np.asarray(mean + np.linalg.solve(root.T, rng.standard_normal(len(mean))))


def _multinomial_precision(x1: FloatArray, mode: FloatArray) -> FloatArray:
    """Curvature of the log posterior of a multinomial logit at its mode, levels by columns."""
    eta = x1 @ mode.T
    share = np.exp(eta - eta.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    levels, size = mode.shape
    precision = np.zeros((levels, size, levels, size))
    for j in range(levels):
        for k in range(j + 1):
            own = share[:, j] * ((j == k) - share[:, k])
            precision[j, :, k] = x1.T @ (x1 * own[:, None])
            precision[k, :, j] = precision[j, :, k].T
    prior = np.r_[1 / INTERCEPT_VARIANCE, np.full(size - 1, 1 / PRIOR_VARIANCE)]
    return precision.reshape(levels * size, levels * size) + np.diag(np.tile(prior, levels))


def draw_matched(fitted: FloatArray, numbers: FloatArray, asked: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw numbers by predictive mean matching, those of many values by local residuals.

    Parameters
    ----------
    fitted, asked, numbers, rng
        As in `draw_levels`.

    Returns
    -------
    numpy.ndarray
        Answers of other children; of a number with more than `FEW_VALUES` values its own expected answer and another
        child's residual, within the range that was answered: among few hundred donors whole answers come from too near
        the centre, which attenuates the regression. Expected answers of children asked for rest on drawn coefficients,
        those of the others on the mode. All children as near as the last donor wanted are donors: ties are not cut.

    References
    ----------
    Morris, White & Royston 2014, BMC Medical Research Methodology 14:75 (matching and local residual draws).
    """
    x, z = _centred(fitted, asked)
    if np.ptp(numbers) == 0 or not x.shape[1]:
        return rng.choice(numbers, len(asked))
    scaled = (numbers - numbers.mean()) / numbers.std()
    model = BayesianRidge(lambda_1=PRIOR_STRENGTH, lambda_2=PRIOR_STRENGTH * PRIOR_VARIANCE).fit(x, scaled)
    values, vectors = np.linalg.eigh(model.sigma_)
    drawn = model.coef_ + vectors @ (np.sqrt(np.maximum(values, 0)) * rng.standard_normal(len(values)))
    shift = rng.standard_normal() / np.sqrt(model.alpha_ * len(x))
    expected, wanted = x @ model.coef_, z @ drawn + shift
    order = np.argsort(expected, kind="stable")
    ordered = expected[order]
    many = len(np.unique(numbers)) > FEW_VALUES
    reach = _distance_of_donors(ordered, wanted, RESIDUAL_DONORS if many else DONORS) * (1 + 1e-9) + 1e-12
    low, high = np.searchsorted(ordered, wanted - reach), np.searchsorted(ordered, wanted + reach, side="right")
    taken = np.minimum(low + (rng.uniform(size=len(wanted)) * (high - low)).astype(np.int64), high - 1)
    donors = order[taken]
    if not many:
        return np.asarray(numbers[donors])
    drawn_numbers = numbers.mean() + numbers.std() * (wanted + (scaled - expected)[donors])
    return np.asarray(np.clip(drawn_numbers, numbers.min(), numbers.max()))


def _distance_of_donors(ordered: FloatArray, wanted: FloatArray, donors: int) -> FloatArray:
    """Distance to the last donor needed; fewer donors than wanted are all taken."""
    count = min(donors, len(ordered))
    place = np.searchsorted(ordered, wanted)
    window = place[:, None] + np.arange(-count, count)
    inside = (window >= 0) & (window < len(ordered))
    distance = np.abs(ordered[np.clip(window, 0, len(ordered) - 1)] - wanted[:, None])
    return np.asarray(np.sort(np.where(inside, distance, np.inf), axis=1)[:, count - 1])
