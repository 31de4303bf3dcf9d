"""How common: the hierarchical prevalence model as a PyMC graph."""

from __future__ import annotations

import pymc as pm

from riskmodels.design.cells import Cells
from riskmodels.design.coords import model_coords
from riskmodels.design.dependence import dependence_between_items
from riskmodels.models.likelihoods import beta_binomial, binomial, rotate_for_shared_children
from riskmodels.models.predictor import hierarchical_predictor
from riskmodels.models.specs import PrevalenceSpec


def build_prevalence_model(cells: Cells, spec: PrevalenceSpec) -> pm.Model:
    """Build the graph of a prevalence model; nothing is compiled or sampled.

    Parameters
    ----------
    cells
        Effective counts per cell.
    spec
        Terms, likelihood and priors.

    Returns
    -------
    pymc.Model
        `prevalence` (dims ``cell``) is what estimates are made of; `eta` is its logit; `affected` the effective
        counts. Every variable has dims or is a scalar.

    Examples
    --------
    >>> import riskmodels as rm
    >>> cells = rm.load_pack("disrupting-harm").cells(base="all asked")
    >>> model = build_prevalence_model(cells, rm.PrevalenceSpec())
    >>> model.named_vars_to_dims["prevalence"]
    ('cell',)
    """
    with pm.Model(coords=model_coords(cells)) as model:
        eta = hierarchical_predictor(cells, spec)
        pm.Deterministic("prevalence", pm.math.sigmoid(eta), dims="cell")
        read = rotate_for_shared_children(eta, dependence_between_items(cells, spec.within_child_correlation))
        if spec.likelihood == "binomial":
            binomial(cells.yes_effective, cells.n_effective, read)
        else:
            beta_binomial(cells.yes_effective, cells.n_effective, read, spec.prior_set.overdispersion)
    return model
