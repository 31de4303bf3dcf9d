"""The regression as a PyMC graph: the reference that the fast engine is compared with."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy import special

from riskmodels.design.ordered_outcome import middle_threshold
from riskmodels.design.regression_rows import RegressionRows
from riskmodels.models.effects import put_prior
from riskmodels.models.latent_regression import (
    TERM,
    THRESHOLD,
    VARYING,
    counts_of,
    level_counts_of,
    threshold_names,
    varies,
)
from riskmodels.models.priors import Prior
from riskmodels.models.regression_design import design_matrix, own_design, shared_design
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.vocabulary import COUNTRY

#: The slab that bounds large coefficients of a horseshoe: its scale and degrees of freedom.
SLAB_SCALE, SLAB_DEGREES = 2.0, 4.0


def build_regression_model(rows: RegressionRows, spec: RegressionSpec) -> pm.Model:
    """Build the graph of a logistic regression; nothing is compiled or sampled.

    Parameters
    ----------
    rows, spec
        Data and model.

    Returns
    -------
    pymc.Model
        `coefficient` (intercept at the references first), `threshold` of an ordered outcome (whose middle one is minus
        the intercept), and where coefficients vary `country_deviation`, `country_sd`, `country_correlation`: deviations
        are not tied to sum to zero, as in brms.
    """
    names, shared = shared_design(spec, rows, rows.values)
    means = np.average(shared, axis=0, weights=rows.n)
    means[0] = 0.0
    priors, ordered = spec.prior_set, rows.outcome_levels
    coords = {TERM: names, COUNTRY: list(rows.countries.levels), "row": list(range(len(rows)))}
    with pm.Model(coords=coords) as model:
        if ordered is None:
            parts = [put_prior("intercept", priors.intercept)]
        else:
            thresholds = _thresholds(level_counts_of(rows, spec), priors.threshold)
            parts = [-thresholds[middle_threshold(len(ordered))]]
        parts += _slopes(rows, spec)
        centred = pt.stack(parts)
        eta = pt.dot(shared - means, centred)
        reference = centred - pt.concatenate([pt.dot(means, centred)[None], pt.zeros(len(names) - 1)])
        pm.Deterministic("coefficient", reference, dims=TERM)
        if varies(rows, spec):
            own_names, own = own_design(spec, rows, rows.values)
            eta = eta + _own_part(rows, own_names, own, spec)
        if ordered is None:
            yes, n = (pm.Data(name, value) for name, value in data_of(rows, spec).items())
            pm.Potential("likelihood", pt.sum(yes * eta - n * pt.softplus(eta)))
        else:
            model.add_coord(THRESHOLD, list(threshold_names(ordered)))
            pm.Deterministic("threshold", thresholds + pt.dot(means, centred), dims=THRESHOLD)
            counts = pm.Data("counts", level_counts_of(rows, spec))
            _ordered_likelihood(counts, len(rows), eta - centred[0], thresholds)
    return model


def data_of(rows: RegressionRows, spec: RegressionSpec) -> dict[str, np.ndarray]:
    """Everything in the graph that changes with the answers."""
    if rows.outcome_levels is not None:
        return {"counts": level_counts_of(rows, spec)}
    return dict(zip(("yes", "n"), counts_of(rows, spec), strict=True))


def _slopes(rows: RegressionRows, spec: RegressionSpec) -> list[pt.TensorVariable]:
    """Coefficients of all columns but the intercept, in the order of the design."""
    plain = [term for term in spec.terms if term[0] not in spec.monotonic]
    sizes = {term: design_matrix(spec, rows, (term,), rows.values)[1].shape[1] for term in spec.terms}
    count = sum(sizes[term] for term in plain)
    free = iter(_horseshoe(spec.horseshoe, count, rows.n.sum()) if spec.horseshoe else _independent(spec, count))
    parts: list[pt.TensorVariable] = []
    for term in spec.terms:
        if term in plain:
            parts += [next(free) for _ in range(sizes[term])]
        else:
            step = put_prior(f"average_step_of_{term[0]}", spec.prior_set.slope)
            share = pm.Dirichlet(f"shares_of_steps_of_{term[0]}", np.ones(sizes[term]))
            parts += [step * sizes[term] * share[k] for k in range(sizes[term])]
    return parts


def _independent(spec: RegressionSpec, count: int) -> list[pt.TensorVariable]:
    return [put_prior(f"slope_{k + 1}", spec.prior_set.slope) for k in range(count)]


def _horseshoe(expected: float, count: int, children: float) -> list[pt.TensorVariable]:
    """Slopes of which `expected` are thought to differ from zero; 2 is the pseudo-sigma of a logistic regression."""
    ratio = min(expected, count - 0.5) / (count - min(expected, count - 0.5))
    overall = pm.HalfCauchy("horseshoe_scale", ratio * 2 / np.sqrt(children))
    local = pm.HalfCauchy("horseshoe_local", 1.0, shape=count)
    slab = pm.InverseGamma("horseshoe_slab", SLAB_DEGREES / 2, SLAB_DEGREES / 2 * SLAB_SCALE**2)
    bounded = local * pt.sqrt(slab / (slab + (overall * local) ** 2))
    slopes = pm.Normal("horseshoe_raw", 0.0, 1.0, shape=count) * overall * bounded
    return [slopes[k] for k in range(count)]


def _thresholds(counts: np.ndarray, prior: Prior) -> pt.TensorVariable:
    """Thresholds of the average child, each with the same prior, in their order."""
    total = counts.sum(axis=0) + 0.5
    start = special.logit(np.cumsum(total)[:-1] / total.sum())
    ordered = pm.distributions.transforms.ordered
    if prior.family == "normal":
        return pm.Normal(
            "centred_threshold", prior.location, prior.scale, shape=len(start), transform=ordered, initval=start
        )
    return pm.StudentT(
        "centred_threshold",
        nu=prior.degrees,
        mu=prior.location,
        sigma=prior.scale,
        shape=len(start),
        transform=ordered,
        initval=start,
    )


def _ordered_likelihood(
    counts: pt.TensorVariable, rows: int, eta: pt.TensorVariable, thresholds: pt.TensorVariable
) -> None:
    """Multinomial log density of the levels, from differences of cumulative probabilities."""
    below = pt.sigmoid(thresholds[None, :] - eta[:, None])
    edges = pt.concatenate([pt.zeros((rows, 1)), below, pt.ones((rows, 1))], axis=1)
    shares = pt.maximum(edges[:, 1:] - edges[:, :-1], 1e-300)
    pm.Potential("likelihood", pt.sum(counts * pt.log(shares)))


def _own_part(rows: RegressionRows, names: list[str], own: np.ndarray, spec: RegressionSpec) -> pt.TensorVariable:
    """Deviations of countries, non-centred, with an LKJ prior on their correlation."""
    priors, size = spec.prior_set, len(names)
    pm.modelcontext(None).add_coords(
        {VARYING: names, f"{VARYING}_other": names, "entry": list(range(size * (size + 1) // 2))}
    )
    sd_of = (
        pm.HalfNormal.dist(priors.group_sd.scale, shape=size)
        if priors.group_sd.family == "half_normal"
        else pm.HalfStudentT.dist(nu=priors.group_sd.degrees, sigma=priors.group_sd.scale, shape=size)
    )
    raw = pm.Normal("raw", 0.0, 1.0, dims=(COUNTRY, VARYING))
    if size == 1:
        sd = pt.stack([put_prior("sd", priors.group_sd)])
        root = pt.diag(sd)
    else:
        root, correlation, sd = pm.LKJCholeskyCov(
            "packed", n=size, eta=priors.correlation.shape, sd_dist=sd_of, compute_corr=True
        )
        pm.Deterministic("country_correlation", correlation, dims=(VARYING, f"{VARYING}_other"))
    pm.Deterministic("country_sd", sd, dims=VARYING)
    deviation = pm.Deterministic("country_deviation", pt.dot(raw, root.T).T, dims=(VARYING, COUNTRY))
    return pt.sum(own * deviation.T[rows.country], axis=1)
