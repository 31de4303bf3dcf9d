"""What a fit says of rows it was not made from: countries it knows, and countries it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from arviz_stats.base import array_stats
from scipy import special

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.estimates.comparison.new_country import UnseenCountry, log_likelihood, shares_of_a_new_country
from riskmodels.estimates.comparison.scores import flat_draws, log_draw_weights, log_probabilities
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.latent_regression import counts_of, varies
from riskmodels.models.regression_spec import RegressionSpec

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def unseen_country(
    fit: RegressionFit, yes: FloatArray, n: FloatArray, shared: FloatArray, own: FloatArray
) -> UnseenCountry:
    """A country outside the fit: coefficients of the population of countries, and the spread around them."""
    centre = flat_draws(fit, "coefficient", "term") @ shared.T
    if not varies(fit.rows, fit.spec):
        return UnseenCountry(yes, n, centre, np.zeros((len(n), 0)), np.zeros((len(centre), 0, 0)))
    sd = flat_draws(fit, "country_sd", "varying")
    root = np.broadcast_to(np.eye(sd.shape[1]), (*sd.shape, sd.shape[1]))
    if "country_correlation" in fit.posterior:
        matrix = flat_draws(fit, "country_correlation", "varying", "varying_other")
        root = np.linalg.cholesky(matrix + 1e-10 * np.eye(sd.shape[1]))
    return UnseenCountry(yes, n, centre, own, sd[..., None] * root)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows left out, with all that a fit needs to predict them."""

    rows: RegressionRows
    spec: RegressionSpec
    shared: FloatArray
    own: FloatArray
    mass: FloatArray

    def predicted(self, fit: RegressionFit, at: IntArray, rng: np.random.Generator) -> tuple[FloatArray, float]:
        """Log probability of the answers at some rows, per draw, and the sum of each child's alone."""
        log_weights = log_draw_weights(fit)
        joint, alone = np.zeros(len(log_weights)), 0.0
        yes, n = counts_of(self.rows, self.spec)
        for number in np.unique(self.rows.country[at]):
            here = at[self.rows.country[at] == number]
            code = self.rows.countries.levels[number]
            if code in fit.rows.countries.levels:
                eta = flat_draws(fit, "average_coefficient", "term") @ self.shared[here].T
                if "country_deviation" in fit.posterior:
                    deviation = flat_draws(fit, "country_deviation", "country", "varying")
                    eta = eta + deviation[:, fit.rows.countries.levels.index(code)] @ self.own[here].T
                log_p = log_probabilities(eta)
                joint += np.einsum("sra,ra->s", log_p, self.mass[here])
            else:
                country = unseen_country(fit, yes[here], n[here], self.shared[here], self.own[here])
                joint += log_likelihood(country, rng)
                share = np.clip(shares_of_a_new_country(country), 1e-300, 1 - 1e-16)
                log_p = np.log(np.stack([1 - share, share], axis=-1))
            alone += float((special.logsumexp(log_weights[:, None, None] + log_p, axis=0) * self.mass[here]).sum())
        return joint, alone


def averaged(fit: RegressionFit, joint: FloatArray) -> tuple[float, float, float]:
    """Log of the mean over draws, its Monte Carlo error, and Pareto k of what the mean is taken over."""
    log_parts = log_draw_weights(fit) + joint
    value = float(special.logsumexp(log_parts))
    parts = np.exp(log_parts - value)
    chains = fit.posterior.sizes["chain"]
    if fit.weights is None:
        ratio = (parts * len(parts)).reshape(chains, -1)
        error = float(np.asarray(array_stats.mcse(ratio, method="mean", chain_axis=0, draw_axis=1)))
    else:  # mirrored pairs share what decides their weights: each counts as one
        pairs = parts.reshape(chains, -1).sum(axis=0) - fit.weights.sum(axis=0)
        error = float(np.sqrt((pairs**2).sum()))
    if np.ptp(log_parts) < 1e-12:
        return value, error, 0.0
    _, k = array_stats.psislw(-log_parts)  # takes minus the log weights
    return value, error, float(np.asarray(k))
