"""A regression as plain arrays for the fast engine, and its draws under the names of its coefficients.

Columns shared by all countries are centred at their means over the sample's children, so that the intercept's prior is
that of the average child. Deviations of countries sum to zero in the engine. What brms calls a coefficient is that of a
country drawn from the same population: it differs from the average of the countries at hand by the mean of as many
deviations, which is drawn and subtracted; importance weights account for the prior being that of the former.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import special

from riskmodels.design.ordered_outcome import middle_threshold
from riskmodels.design.regression_rows import RegressionRows
from riskmodels.models.cell_likelihood import BinomialCounts, CellLikelihood, OrderedCounts, thresholds_at
from riskmodels.models.hyperparameters import Hyper, hyper_values
from riskmodels.models.latent import (
    Effect,
    LatentGaussian,
    own_root,
    places_in_countries,
    shared_scale,
)
from riskmodels.models.priors import Prior
from riskmodels.models.regression_design import own_design, shared_design
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
TERM, VARYING, THRESHOLD = "term", "varying", "threshold_name"


@dataclass(frozen=True, eq=False)
class LatentRegression:
    """The arrays of a regression, and what its columns mean.

    Parameters
    ----------
    latent
        For the engine.
    names, own_names
        Columns shared by all countries (intercept first), and those that vary.
    means
        Means of the shared columns; 0 for the intercept.
    thresholds, threshold_prior
        Of an ordered outcome: names of the thresholds, and the prior of each for the average child.
    """

    latent: LatentGaussian
    names: tuple[str, ...]
    own_names: tuple[str, ...]
    means: FloatArray
    thresholds: tuple[str, ...] = ()
    threshold_prior: Prior | None = None


def level_counts_of(rows: RegressionRows, spec: RegressionSpec) -> FloatArray:
    """Children per row and level of an ordered outcome, as the likelihood counts them."""
    assert rows.counts is not None
    assert rows.weight_counts is not None
    if spec.weights == "none":
        return rows.counts
    divisor = rows.design_effect[rows.country] if spec.weights == "effective" else np.ones(len(rows))
    return np.asarray(rows.weight_counts / divisor[:, None])


def counts_of(rows: RegressionRows, spec: RegressionSpec) -> tuple[FloatArray, FloatArray]:
    """Affected and children per row, as the likelihood counts them."""
    if spec.weights == "none":
        return rows.yes, rows.n
    divisor = rows.design_effect[rows.country] if spec.weights == "effective" else 1.0
    return rows.weight_yes / divisor, rows.weight / divisor


def varies(rows: RegressionRows, spec: RegressionSpec) -> bool:
    """Whether coefficients vary by country: not where there is only one."""
    return bool(spec.varying) and len(rows.countries) > 1


def latent_regression(rows: RegressionRows, spec: RegressionSpec) -> LatentRegression:
    """Write a regression as plain arrays.

    Parameters
    ----------
    rows, spec
        Data and model.
    """
    names, shared = shared_design(spec, rows, rows.values)
    own_names, own = own_design(spec, rows, rows.values) if varies(rows, spec) else ([], np.zeros((len(rows), 0)))
    means = np.average(shared, axis=0, weights=rows.n)
    means[0] = 0.0
    priors = spec.prior_set
    hypers: list[Hyper] = []
    effects = []

    def hyper(name: str, kind: str, prior: object, size: int = 1) -> int:
        hypers.append(Hyper(name, kind, prior, sum(h.size for h in hypers), size))  # type: ignore[arg-type]
        return len(hypers) - 1

    for place, name in enumerate(names):
        prior = priors.slope if place else intercept_prior(rows, spec)
        mixing = (hyper(f"{name}_mixing", "mixing", prior),) if prior.family == "student_t" else ()
        location, scale = float(prior.location or 0.0), float(prior.scale or 1.0)
        effects.append(Effect(name, False, place, 1, None, mixing, location, scale))
    if own_names:
        sized = [hyper(f"country_sd[{k}]", "sd", priors.group_sd) for k in range(len(own_names))]
        size = len(own_names) * (len(own_names) - 1) // 2
        if size:
            sized.append(hyper("country_correlation", "correlation", priors.correlation, size))
        effects.append(Effect(COUNTRY, True, 0, len(own_names), np.eye(len(own_names)), tuple(sized)))
    groups = rows.country if own_names else np.zeros(len(rows), dtype=np.int64)
    place_of, width = places_in_countries(groups)
    countries = int(groups.max()) + 1

    def padded(values: FloatArray) -> FloatArray:
        out = np.zeros((countries * width, *values.shape[1:]))
        out[place_of] = values
        return out.reshape(countries, width, *values.shape[1:])

    centred = padded(shared - means)
    likelihood: CellLikelihood
    if rows.outcome_levels is None:
        yes, n = counts_of(rows, spec)
        likelihood = BinomialCounts(padded(yes), padded(n))
    else:
        likelihood = OrderedCounts(padded(level_counts_of(rows, spec)))
        hypers += _steps(level_counts_of(rows, spec), sum(one.size for one in hypers))
    latent = LatentGaussian(
        likelihood=likelihood,
        offset=padded(np.zeros(len(rows))),
        shared=centred,
        own=padded(own),
        plain_shared=centred,
        plain_own=padded(own),
        place=place_of,
        effects=tuple(effects),
        hypers=tuple(hypers),
    )
    if rows.outcome_levels is None:
        return LatentRegression(latent, tuple(names), tuple(own_names), means)
    between = threshold_names(rows.outcome_levels)
    return LatentRegression(latent, tuple(names), tuple(own_names), means, between, priors.threshold)


def threshold_names(levels: Factor) -> tuple[str, ...]:
    """Words for what lies on both sides of each threshold."""
    return tuple(f"{low} | {high}" for low, high in pairwise(levels.labels))


def intercept_prior(rows: RegressionRows, spec: RegressionSpec) -> Prior:
    """Prior of the logit at the average child; of an ordered outcome that of being above the middle threshold."""
    return spec.prior_set.intercept if rows.outcome_levels is None else _mirrored(spec.prior_set.threshold)


def _mirrored(prior: Prior) -> Prior:
    """Prior of minus a threshold."""
    return replace(prior, location=-float(prior.location or 0.0))


def _steps(counts: FloatArray, start: int) -> list[Hyper]:
    """Distances between neighbouring thresholds: a first guess from all children, its error as the unit."""
    total = counts.sum(axis=0) + 0.5
    cumulative = np.cumsum(total)[:-1] / total.sum()
    guesses = np.diff(special.logit(cumulative))
    prior = Prior("normal", location=0.0, scale=1.0, reason="of the log around a first guess; reweighted to the prior")
    return [
        Hyper(f"step[{k}]", "step", prior, start + k, 1, float(guess), float(np.sqrt(1 / total[k + 1])))
        for k, guess in enumerate(guesses)
    ]


def regression_draws(
    model: LatentRegression, countries: tuple[str, ...], zeta: FloatArray, h: FloatArray, v: FloatArray, seed: int
) -> tuple[xr.Dataset, FloatArray]:
    """Name the engine's draws, and move coefficients from the countries at hand to the population of countries.

    Parameters
    ----------
    model
        The arrays.
    countries
        Codes, in order.
    zeta, h, v
        Draws, shapes (dimension, pairs), (G, 2, pairs), (B, countries, 2, pairs).
    seed
        Seed of the mean deviation.

    Returns
    -------
    tuple
        Dataset with `coefficient` (population), `average_coefficient` (countries at hand), `country_deviation` (from the
        average), `country_sd`, `country_correlation`, `threshold` of an ordered outcome (``logit P(above) = coefficients
        without the intercept - threshold``); and the change of the log weights, shape (2, pairs).
    """
    latent, pairs = model.latent, zeta.shape[1]
    values = hyper_values(latent.hypers, zeta)
    mean, scale = shared_scale(latent, values, pairs)
    centred = mean[:, None, None] + scale[:, None] * h
    average = centred.copy()
    average[0] -= np.einsum("g,gcs->cs", model.means, centred)
    data: dict[str, tuple[tuple[str, ...], FloatArray]] = {"average_coefficient": ((TERM,), average)}
    change = np.zeros(h.shape[1:])
    population = average
    if model.own_names:
        root = own_root(latent, values, pairs)
        own = np.einsum("bks,kucs->bucs", root, v)
        noise = np.random.default_rng([seed, 5]).standard_normal((len(root), pairs)) / np.sqrt(len(countries))
        shift = np.einsum("bks,ks->bs", root, noise)
        place = [model.names.index(name) for name in model.own_names]
        moved = np.stack([shift, -shift], axis=1)
        population = average.copy()
        population[place] -= moved
        recentred = population.copy()
        recentred[0] += np.einsum("g,gcs->cs", model.means, population)
        before, after = h, (recentred - mean[:, None, None]) / scale[:, None]
        change = 0.5 * (before**2).sum(axis=0) - 0.5 * (after**2).sum(axis=0)
        data["country_deviation"] = ((VARYING, COUNTRY), own)
        sds = [value for hyper, value in zip(latent.hypers, values, strict=True) if hyper.kind == "sd"]
        data["country_sd"] = ((VARYING,), np.repeat(np.stack(sds)[:, None], 2, axis=1))
        for hyper, value in zip(latent.hypers, values, strict=True):
            if hyper.kind == "correlation":
                matrix = np.einsum("iks,jks->ijs", value, value)
                data["country_correlation"] = ((VARYING, f"{VARYING}_other"), np.repeat(matrix[:, :, None], 2, axis=2))
    data["coefficient"] = ((TERM,), population)
    coords = {TERM: list(model.names)}
    if isinstance(latent.likelihood, OrderedCounts):
        steps = np.array([v for hyper, v in zip(latent.hypers, values, strict=True) if hyper.kind == "step"])
        offsets = np.repeat(thresholds_at(steps.reshape(-1, pairs))[:, None], 2, axis=1)
        data["threshold"] = ((THRESHOLD,), offsets - population[0])
        coords[THRESHOLD] = list(model.thresholds)
        of_average_child = offsets - population[0] - np.einsum("g,gcs->cs", model.means, population)
        change = change + _threshold_prior(latent, model.threshold_prior, steps, of_average_child)
    if model.own_names:
        coords |= {COUNTRY: list(countries), VARYING: list(model.own_names)}
    variables = {
        name: (("chain", "draw", *dims), np.moveaxis(array, (-2, -1), (0, 1))) for name, (dims, array) in data.items()
    }
    return xr.Dataset(variables, coords=coords), change


def _threshold_prior(
    latent: LatentGaussian, prior: Prior | None, steps: FloatArray, thresholds: FloatArray
) -> FloatArray:
    """Log of the prior of the thresholds over what the engine drew from, shape (2, pairs), up to a constant.

    The middle threshold is minus the intercept, whose prior the engine has; every other threshold has the same prior,
    given their order. Distances enter by their logs: the Jacobian is their product.
    """
    assert prior is not None
    middle = middle_threshold(len(thresholds) + 1)
    others = np.delete(thresholds, middle, axis=0)
    guesses = np.array([hyper.centre for hyper in latent.hypers if hyper.kind == "step"])
    logs = np.log(steps)
    working = -0.5 * ((logs - np.log(guesses)[:, None]) ** 2).sum(axis=0) if len(guesses) else np.zeros(1)
    jacobian = logs.sum(axis=0) if len(guesses) else np.zeros(1)
    return np.asarray(prior.log_density(others).sum(axis=0) + jacobian - working)
