"""Prior sensitivity by importance weights on existing draws; a Pareto k-hat above its limit is said, not hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.estimates.estimates import label_columns
from riskmodels.estimates.poststratify import domains_of
from riskmodels.estimates.prevalence import cell_draws
from riskmodels.fit.checks import convergence
from riskmodels.fit.fit import Fit
from riskmodels.fit.limits import ESS_AT_LEAST, PARETO_K_BELOW
from riskmodels.fit.weighting import effective_draws, pareto_k, smoothed_weights, weighted_quantile
from riskmodels.models.priors import Priors, lkj_log_kernel, prior_preset
from riskmodels.vocabulary import COUNTRY, DEFAULT_PROBABILITY

FloatArray = npt.NDArray[np.float64]


def log_prior(fit: Fit, priors: Priors) -> FloatArray:
    """Log density of the hyperparameters under some priors, per draw, up to a constant of the family.

    Given the hyperparameters the density of the effects is the same under every choice, so only these matter.
    """
    total = np.zeros((fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]))
    for name, values in fit.posterior.data_vars.items():
        key = str(name)
        array = values.to_numpy()
        prior = {"intercept": priors.intercept, "overdispersion": priors.overdispersion}.get(key)
        if key.startswith("slope_"):
            prior = priors.slope
        elif key.endswith("_step_sd"):
            prior = priors.trend_step
        elif key.endswith("_sd"):
            prior = priors.group_sd
        if key == "country_correlation":
            total += lkj_log_kernel(array, float(priors.correlation.shape or 1.0))
        elif prior is not None:
            density = prior.log_density(array)
            total += density.reshape(*density.shape[:2], -1).sum(axis=-1)
    return total


def prior_sensitivity(
    fit: Fit, alternatives: Sequence[str] = ("tight", "wide"), *, by: Sequence[str] = (COUNTRY,)
) -> pd.DataFrame:
    """Prevalence under other prior presets, beside the fitted one.

    Parameters
    ----------
    fit
        A checked fit.
    alternatives
        Names of presets.
    by
        Factors to keep.

    Returns
    -------
    pandas.DataFrame
        One row per domain and preset: estimate, low, high (95 %, equal-tailed), `shift_in_sd` from the fitted
        priors, `pareto_k`, `effective_draws`, and `reliable`: False means that the draws cannot tell and the model must
        be refitted with these priors.

    References
    ----------
    Kallioinen, Paananen, Buerkner & Vehtari 2024, Statistics and Computing 34, 57.
    """
    domains = domains_of(fit.cells, by)
    values = domains.average(cell_draws(fit)).reshape(-1, len(domains))
    labels = label_columns(fit.cells, domains)
    base = log_prior(fit, fit.spec.prior_set)
    shaped = values.reshape(*base.shape, len(domains))
    independent = (
        np.clip(convergence(shaped).ess_tail / base.size, 0, 1) if fit.weights is None else np.ones(len(domains))
    )
    fitted = fit.draw_weights.ravel()
    centre = fitted @ values
    spread = np.sqrt(fitted @ (values - centre) ** 2)
    tail = (1 - DEFAULT_PROBABILITY) / 2
    frames = []
    for preset in alternatives:
        log_weights = np.log(np.maximum(fitted, 1e-300)) + (log_prior(fit, prior_preset(preset)) - base).ravel()
        weights, k_hat = smoothed_weights(log_weights)
        low, high = weighted_quantile(values, weights, np.array([tail, 1 - tail]))
        bulk, tails, _ = effective_draws(shaped, weights.reshape(shaped.shape[:2]), tail)
        worst_k = np.fmax(k_hat, pareto_k(shaped, weights.reshape(shaped.shape[:2])))
        effective = independent * np.minimum(bulk, tails)
        reliable = (worst_k < PARETO_K_BELOW) & (effective >= ESS_AT_LEAST) & fit.passed
        mean = weights @ values
        frames.append(
            labels.assign(
                priors=preset,
                estimate=mean,
                low=low,
                high=high,
                shift_in_sd=(mean - centre) / spread,
                pareto_k=worst_k,
                effective_draws=effective,
                reliable=reliable,
            )
        )
    return pd.concat(frames, ignore_index=True)
