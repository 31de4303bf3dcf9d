"""The pairwise model of co-occurrence as a graph for NUTS: the priors of the fast engine, its likelihood written anew."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models.country_model import CountryModel, PriorBlock
from riskmodels.models.joint_margins import has_risk
from riskmodels.models.latent_cooccurrence import LatentCooccurrence
from riskmodels.models.priors import Prior
from riskmodels.vocabulary import COUNTRY


def _positive(name: str, prior: Prior) -> pt.TensorVariable:
    if prior.family == "half_normal":
        return pm.HalfNormal(name, sigma=prior.scale)
    return pm.HalfStudentT(name, sigma=prior.scale, nu=prior.degrees)


def _block(block: PriorBlock, label: str, sds: list[pt.TensorVariable], rows: int) -> pt.TensorVariable:
    """Coefficients of one block, shape (rows, positions)."""
    count = len(block.positions)
    if block.exact is not None:
        prior = block.exact
        return pm.StudentT(label, nu=prior.degrees, mu=prior.location, sigma=prior.scale, shape=(rows, count))
    deviation = block.deviation if block.deviation_hyper is None else sds[block.deviation_hyper]
    common = block.common if block.common_hyper is None else sds[block.common_hyper]
    found = block.mean + deviation * pm.Normal(f"{label}_raw", 0, 1, shape=(rows, count))
    if block.common or block.common_hyper is not None:
        found = found + common * pm.Normal(f"{label}_common_raw", 0, 1, shape=(rows, 1))
    return found


def _assembled(
    blocks: tuple[PriorBlock, ...], label: str, size: int, sds: list[pt.TensorVariable], rows: int
) -> pt.TensorVariable:
    found = pt.zeros((rows, size))
    for number, block in enumerate(blocks):
        found = pt.set_subtensor(found[:, np.array(block.positions)], _block(block, f"{label}_{number}", sds, rows))
    return found


def build_cooccurrence_model(counts: JointCounts, latent: LatentCooccurrence) -> pm.Model:
    """Build the pairwise model.

    Parameters
    ----------
    counts
        Data.
    latent
        The same model as `latent_cooccurrence` writes it, for its priors and covariates.

    Returns
    -------
    pymc.Model
        With `shared` (coefficient) and `own` (country, own coefficient) in the order of the fast engine.
    """
    model: CountryModel = latent.model
    with pm.Model() as graph:
        sds = [_positive(hyper.name, hyper.prior) for hyper in model.hypers]
        shared = pm.Deterministic("shared", _assembled(model.shared_blocks, "shared", model.size, sds, 1)[0])
        coefficients = pt.repeat(shared[None], model.countries, axis=0)
        if len(model.own):
            own = _assembled(model.own_blocks, "own", len(model.own), sds, model.countries)
            coefficients = pt.inc_subtensor(coefficients[:, model.own], pm.Deterministic("own", own))
        pm.Potential("answers", _log_likelihood(counts, latent, coefficients))
    return graph


def _log_likelihood(
    counts: JointCounts, latent: LatentCooccurrence, coefficients: pt.TensorVariable
) -> pt.TensorVariable:
    """Log probability of all patterns, each a sum over its completions."""
    likelihood, risks = latent.likelihood, len(counts.risks)
    has = has_risk(risks)
    first, second = np.triu_indices(risks, 1)
    pairs = has[:, first] * has[:, second]
    forbidden = np.setdiff1d(np.arange(len(first)), latent.free)
    possible = np.where(pairs[:, forbidden].any(axis=1), -np.inf, 0.0)
    country, place = counts.position(COUNTRY), latent.place
    main_covariates = likelihood.main.reshape(-1, likelihood.main.shape[-1])[place]
    pair_covariates = likelihood.association.reshape(-1, likelihood.association.shape[-1])[place]
    split = risks * main_covariates.shape[1]
    own = coefficients[country]
    main = (main_covariates[:, :, None] * own[:, :split].reshape((len(counts), -1, risks))).sum(axis=1)
    end = likelihood.size - likelihood.steps
    bonds = own[:, split:end].reshape((len(counts), pair_covariates.shape[1], len(latent.free)))
    association = (pair_covariates[:, :, None] * bonds).sum(axis=1)
    at_least = (has.sum(axis=1)[:, None] >= 3 + np.arange(likelihood.steps)).astype(float)
    eta = main @ has.T + association @ pairs[:, latent.free].T + own[:, end:] @ at_least.T + possible
    log_p = eta - pt.logsumexp(eta, axis=1, keepdims=True)
    total = pt.zeros(())
    for unknown in np.unique((counts.answers == UNKNOWN).sum(axis=1)):
        rows = np.flatnonzero((counts.answers == UNKNOWN).sum(axis=1) == unknown)
        completions = np.stack(
            [np.flatnonzero(((a == UNKNOWN) | (a == has)).all(axis=1)) for a in counts.answers[rows]]
        )
        found = log_p[counts.cell[rows][:, None], completions]
        total = total + (counts.count[rows] * pt.logsumexp(found, axis=1)).sum()
    return total
