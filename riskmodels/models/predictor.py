"""The linear predictor: intercept plus the terms of a specification, one value per cell."""

from __future__ import annotations

import numpy as np
import pymc as pm
from pytensor.tensor.variable import TensorVariable

from riskmodels.design.cells import Cells
from riskmodels.models.effects import correlated_slopes, interaction, ordered_trend, partial_pool, put_prior
from riskmodels.models.priors import Priors
from riskmodels.models.specs import PrevalenceSpec, Term
from riskmodels.vocabulary import COUNTRY

#: A typical SD between groups on the logit scale, against which the data's information is held.
TYPICAL_SD = 0.5


def well_determined(cells: Cells, name: str) -> bool:
    """Whether the answers alone tell every level of a factor to within half of the spread between levels.

    Compares the binomial information on the logit of each level with the variance between levels; decides only how
    an effect is parameterised.
    """
    p = (cells.yes_effective + 0.5) / (cells.n_effective + 1)
    information = np.bincount(cells.position(name), weights=cells.n_effective * p * (1 - p), minlength=len(cells.factor(name)))
    return bool(information.min() * TYPICAL_SD**2 > 4)


def _effect_per_cell(term: Term, cells: Cells, priors: Priors) -> TensorVariable:
    """Put one term into the graph and read it at every cell."""
    sizes = tuple(len(cells.factor(name)) for name in term.factors)
    at = tuple(cells.position(name) for name in term.factors)
    if term.kind == "pool":
        return partial_pool(term.name, sizes[0], priors.group_sd, well_determined(cells, term.name))[at[0]]
    if term.kind == "trend":
        return ordered_trend(term.name, sizes[0], priors.trend_step)[at[0]]
    if term.kind == "interaction":
        return interaction(term.factors[0], term.factors[1], (sizes[0], sizes[1]), priors.group_sd)[at[0], at[1]]
    return correlated_slopes(sizes[0], sizes[1], priors.group_sd, priors.correlation)[at[0], at[1]]


def standardised_predictor(cells: Cells, values: dict[str, float]) -> np.ndarray:
    """Country predictor per cell, mean 0 and SD 1 over the countries."""
    per_country = np.array([values[code] for code in cells.factor(COUNTRY).levels], dtype=float)
    return np.asarray(((per_country - per_country.mean()) / per_country.std())[cells.position(COUNTRY)])


def hierarchical_predictor(cells: Cells, spec: PrevalenceSpec) -> TensorVariable:
    """Logit prevalence of every cell, dims ``cell``, inside the model at hand."""
    priors = spec.prior_set
    eta = put_prior("intercept", priors.intercept)
    for term in spec.terms_for(cells).terms:
        eta = eta + _effect_per_cell(term, cells, priors)
    for name, values in spec.country_predictors.items():
        eta = eta + put_prior(f"slope_{name}", priors.slope) * standardised_predictor(cells, dict(values))
    return pm.Deterministic("eta", eta + np.zeros(len(cells)), dims="cell")
