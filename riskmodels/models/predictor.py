"""The linear predictor: intercept plus the terms of a specification, one value per cell."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from riskmodels.design.cells import Cells
from riskmodels.models.blocks import (
    country_columns,
    country_loadings,
    standardised_levels,
    standardised_predictor,
    well_determined,
)
from riskmodels.models.effects import correlated_slopes, interaction, ordered_trend, partial_pool, put_prior
from riskmodels.models.priors import Priors
from riskmodels.models.specs import PrevalenceSpec, Term


def _effect_per_cell(term: Term, cells: Cells, priors: Priors) -> TensorVariable:
    """Put one term into the graph and read it at every cell."""
    sizes = tuple(len(cells.factor(name)) for name in term.factors)
    at = tuple(cells.position(name) for name in term.factors)
    if term.kind == "pool":
        return partial_pool(term.name, sizes[0], priors.group_sd, well_determined(cells, term.name))[at[0]]
    if term.kind == "trend":
        return ordered_trend(term.name, sizes[0], priors.trend_step)[at[0]]
    if term.kind == "slope":
        return put_prior(f"slope_{term.name}", priors.slope) * standardised_levels(cells, term.name)[at[0]]
    if term.kind == "interaction":
        return interaction(term.factors[0], term.factors[1], (sizes[0], sizes[1]), priors.group_sd)[at[0], at[1]]
    effect = correlated_slopes(sizes[0], country_columns(term, cells), priors.group_sd, priors.correlation)
    if not term.slopes:
        return effect[at[0], at[1]]
    return pt.sum(effect[at[0]] * country_loadings(term, cells), axis=1)


def hierarchical_predictor(cells: Cells, spec: PrevalenceSpec) -> TensorVariable:
    """Logit prevalence of every cell, dims ``cell``, inside the model at hand."""
    priors = spec.prior_set
    eta = put_prior("intercept", priors.intercept)
    for term in spec.terms_for(cells).terms:
        eta = eta + _effect_per_cell(term, cells, priors)
    for name, values in spec.country_predictors.items():
        eta = eta + put_prior(f"slope_{name}", priors.slope) * standardised_predictor(cells, dict(values))
    return pm.Deterministic("eta", eta + np.zeros(len(cells)), dims="cell")
