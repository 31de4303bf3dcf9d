"""How likely a country's answers are under a regression that never saw it: its own effects integrated out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from riskmodels.estimates.comparison.scores import softplus

FloatArray = npt.NDArray[np.float64]

#: Mirrored pairs of importance draws of a country's effects, for each posterior draw.
PAIRS = 4
#: Degrees of freedom of these draws: heavier tails than any country's posterior, so that no weight runs away.
DEGREES = 8.0
#: Numbers held at a time.
BATCH = 4_000_000


@dataclass(frozen=True, eq=False)
class UnseenCountry:
    """A country's counts, and what a regression's draws say before its own effects.

    Parameters
    ----------
    yes, n
        Affected and children per row, as the likelihood counts them, shape (rows,).
    centre
        Log odds of a country with no effects of its own, shape (draws, rows).
    own
        Design of the country's own effects, shape (rows, effects).
    root
        Matrices with ``root @ root.T`` the covariance of a country's effects, shape (draws, effects, effects).
    """

    yes: FloatArray
    n: FloatArray
    centre: FloatArray
    own: FloatArray
    root: FloatArray

    def part(self, at: slice) -> UnseenCountry:
        """Some of the draws."""
        return UnseenCountry(self.yes, self.n, self.centre[at], self.own, self.root[at])

    @property
    def loading(self) -> FloatArray:
        """Design of the effects as independent standard normals, shape (draws, rows, effects)."""
        return np.asarray(self.own @ self.root)


def _log_joint(country: UnseenCountry, loading: FloatArray, z: FloatArray) -> FloatArray:
    """Log density of the answers and of standardised effects (without the constant of the normal), shape (draws,)."""
    eta = country.centre + np.einsum("sre,se->sr", loading, z)
    answers = eta @ country.yes - softplus(eta) @ country.n
    return np.asarray(answers - 0.5 * (z**2).sum(axis=1))


def _mode(country: UnseenCountry, loading: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Most probable effects of each draw and the Cholesky factors of the information there."""
    draws, _, effects = loading.shape
    z, identity = np.zeros((draws, effects)), np.eye(effects)
    value = _log_joint(country, loading, z)
    for _ in range(60):
        p = special.expit(country.centre + np.einsum("sre,se->sr", loading, z))
        slope = np.einsum("sre,sr->se", loading, country.yes - country.n * p) - z
        information = identity + loading.swapaxes(1, 2) @ (loading * (country.n * p * (1 - p))[..., None])
        step = np.linalg.solve(information, slope[..., None])[..., 0]
        if np.abs(step).max() < 1e-8:
            break
        for _ in range(30):
            reached = _log_joint(country, loading, z + step)
            worse = reached < value - 1e-10
            if not worse.any():
                break
            step[worse] *= 0.5
        z, value = z + step, reached
    return z, np.linalg.cholesky(information)


def log_likelihood(country: UnseenCountry, rng: np.random.Generator) -> FloatArray:
    """Log of the probability of a country's answers under each draw, its effects integrated out.

    Each draw gets an unbiased estimate of the probability: importance sampling of the effects around their mode, by
    mirrored pairs of multivariate t draws.

    Parameters
    ----------
    country
        Counts and draws.
    rng
        Source of the importance draws.

    Returns
    -------
    numpy.ndarray
        Shape (draws,); for the answers of each child in turn, so without binomial coefficients.

    References
    ----------
    Owen 2013, Monte Carlo theory, methods and examples, chapters 8 (antithetic) and 9 (importance) sampling.
    """
    draws, rows = country.centre.shape
    step = max(1, BATCH // (rows * (country.own.shape[1] + 2)))
    return np.concatenate([_integrated(country.part(slice(at, at + step)), rng) for at in range(0, draws, step)])


def _integrated(country: UnseenCountry, rng: np.random.Generator) -> FloatArray:
    loading = country.loading
    draws, _, effects = loading.shape
    if not effects:
        return _log_joint(country, loading, np.zeros((draws, 0)))
    mode, factor = _mode(country, loading)
    half = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    constant = (
        special.gammaln((DEGREES + effects) / 2) - special.gammaln(DEGREES / 2) - 0.5 * effects * np.log(DEGREES / 2)
    )  # that of the t density, less that of the standard normal
    found = []
    for _ in range(PAIRS):
        noise = rng.standard_normal((draws, effects)) / np.sqrt(rng.chisquare(DEGREES, (draws, 1)) / DEGREES)
        move = np.linalg.solve(factor.swapaxes(1, 2), noise[..., None])[..., 0]
        proposed = constant + half - 0.5 * (DEGREES + effects) * np.log1p((noise**2).sum(axis=1) / DEGREES)
        found += [_log_joint(country, loading, mode + sign * move) - proposed for sign in (1, -1)]
    return np.asarray(special.logsumexp(found, axis=0) - np.log(2 * PAIRS))


def shares_of_a_new_country(country: UnseenCountry) -> FloatArray:
    """Share affected of every row, averaged over the effects a new country may have, shape (draws, rows)."""
    spread = np.sqrt(np.einsum("sre,sre->sr", country.loading, country.loading))
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    total = np.zeros_like(country.centre)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * special.expit(country.centre + node * spread)
    return total
