"""What a fit says of rows it was not made from: countries it knows, and countries it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from arviz_stats.base import array_stats
from scipy import special

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.estimates.comparison.new_country import UnseenCountry, log_likelihood, shares_of_a_new_country
from riskmodels.estimates.comparison.scores import answer_counts, flat_draws, log_draw_weights, softplus
from riskmodels.estimates.comparison.smoothing import smoothed_ratios, tail_length
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.latent_regression import varies
from riskmodels.models.regression_design import own_design, shared_design
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
    shared: FloatArray
    own: FloatArray
    mass: FloatArray

    def predicted(self, fit: RegressionFit, at: IntArray, rng: np.random.Generator) -> tuple[FloatArray, float]:
        """Log probability of the answers at some rows, per draw, and the sum of each child's alone."""
        log_weights = log_draw_weights(fit)
        joint, alone = np.zeros(len(log_weights)), 0.0
        yes, n = self.mass[:, 1], self.mass.sum(axis=1)
        for number in np.unique(self.rows.country[at]):
            here = at[self.rows.country[at] == number]
            code = self.rows.countries.levels[number]
            if code in fit.rows.countries.levels:
                eta = flat_draws(fit, "average_coefficient", "term") @ self.shared[here].T
                if "country_deviation" in fit.posterior:
                    deviation = flat_draws(fit, "country_deviation", "country", "varying")
                    eta = eta + deviation[:, fit.rows.countries.levels.index(code)] @ self.own[here].T
                joint += eta @ yes[here] - softplus(eta) @ n[here]
                share = special.expit(eta)
            else:
                country = unseen_country(fit, yes[here], n[here], self.shared[here], self.own[here])
                joint += log_likelihood(country, rng)
                share = shares_of_a_new_country(country)
            affected = np.clip(np.exp(log_weights) @ share, 1e-300, 1 - 1e-16)
            alone += float((self.mass[here] * np.log(np.stack([1 - affected, affected], axis=-1))).sum())
        return joint, alone


def held_out(rows: RegressionRows, spec: RegressionSpec) -> HeldOut:
    """All rows, ready to be predicted by fits that lack some of them."""
    _, shared = shared_design(spec, rows, rows.values)
    _, own = own_design(spec, rows, rows.values)
    return HeldOut(rows, shared, own, answer_counts(rows, spec)[1])


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
    _, k = smoothed_ratios(log_parts[:, None], tail_length(len(log_parts), 1.0))
    return value, error, float(k[0])
