"""Effects from which every hierarchical predictor is built: one function per kind of term.

All sum to zero over a closed set of levels, so that the intercept is the centre of the levels and an effect is a
deviation from it. They are non-centred, except for factors whose levels the data determine well: there the centred
form mixes several times faster (Betancourt & Girolami 2015).
"""

from __future__ import annotations

from collections.abc import Sequence

import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from riskmodels.design.coords import free_dim
from riskmodels.models.blocks import trend_basis, zero_sum_basis
from riskmodels.models.priors import Prior
from riskmodels.vocabulary import COUNTRY, COUNTRY_COLUMN


def put_prior(name: str, prior: Prior) -> TensorVariable:
    """Put a scalar parameter with this prior into the model at hand."""
    if prior.family == "normal":
        return pm.Normal(name, prior.location, prior.scale)
    if prior.family == "student_t":
        return pm.StudentT(name, nu=prior.degrees, mu=prior.location, sigma=prior.scale)
    if prior.family == "half_normal":
        return pm.HalfNormal(name, prior.scale)
    return pm.HalfStudentT(name, nu=prior.degrees, sigma=prior.scale)


def partial_pool(name: str, levels: int, scale: Prior, centred: bool) -> TensorVariable:
    """Exchangeable deviations of the levels of one factor, sized by an estimated SD.

    `centred` chooses the parameterisation, not the model.
    """
    sd = put_prior(f"{name}_sd", scale)
    raw = pm.Normal(f"{name}_raw", 0.0, sd if centred else 1.0, dims=free_dim(name))
    spread = pt.dot(zero_sum_basis(levels), raw)
    return pm.Deterministic(f"{name}_effect", spread if centred else sd * spread, dims=name)


def ordered_trend(name: str, levels: int, step: Prior) -> TensorVariable:
    """First-order random walk over the levels of an ordered factor (Gao, Kennedy, Simpson & Gelman 2021)."""
    sd = put_prior(f"{name}_step_sd", step)
    raw = pm.Normal(f"{name}_raw", 0.0, 1.0, dims=free_dim(name))
    return pm.Deterministic(f"{name}_effect", sd * pt.dot(trend_basis(levels), raw), dims=name)


def interaction(first: str, second: str, levels: tuple[int, int], scale: Prior) -> TensorVariable:
    """Deviations of every pair of levels from the sum of their main effects, zero-sum both ways."""
    name = f"{first}_x_{second}"
    sd = put_prior(f"{name}_sd", scale)
    raw = pm.Normal(f"{name}_raw", 0.0, 1.0, dims=(free_dim(first), free_dim(second)))
    spread = pt.dot(pt.dot(zero_sum_basis(levels[0]), raw), zero_sum_basis(levels[1]).T)
    return pm.Deterministic(f"{name}_effect", sd * spread, dims=(first, second))


def correlated_slopes(countries: int, columns: Sequence[str], scale: Prior, correlation: Prior) -> TensorVariable:
    """Country effects per indicator (and slopes per country), correlated: a rare item borrows from its neighbours.

    References
    ----------
    Lewandowski, Kurowicka & Joe 2009, Journal of Multivariate Analysis 100, 1989-2001 (LKJ).
    """
    size = len(columns)
    pm.modelcontext(None).add_coords(
        {
            COUNTRY_COLUMN: list(columns),
            f"{COUNTRY_COLUMN}_other": list(columns),
            "country_packed_entry": list(range(size * (size + 1) // 2)),
        }
    )
    sizes = (
        pm.HalfNormal.dist(scale.scale, shape=size)
        if scale.family == "half_normal"
        else pm.HalfStudentT.dist(nu=scale.degrees, sigma=scale.scale, shape=size)
    )
    packed = pm.LKJCholeskyCov(
        "country_packed", n=size, eta=correlation.shape, sd_dist=sizes, compute_corr=False, dims="country_packed_entry"
    )
    root = pm.math.expand_packed_triangular(size, packed, lower=True)
    sd = pm.Deterministic("country_sd", pt.sqrt(pt.sum(root**2, axis=1)), dims=COUNTRY_COLUMN)
    unit = root / sd[:, None]
    pm.Deterministic("country_correlation", pt.dot(unit, unit.T), dims=(COUNTRY_COLUMN, f"{COUNTRY_COLUMN}_other"))
    raw = pm.Normal("country_raw", 0.0, 1.0, dims=(free_dim(COUNTRY), COUNTRY_COLUMN))
    return pm.Deterministic(
        "country_effect", pt.dot(pt.dot(zero_sum_basis(countries), raw), root.T), dims=(COUNTRY, COUNTRY_COLUMN)
    )
