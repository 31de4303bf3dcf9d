"""Simulation-based calibration of the pairwise model of co-occurrence: part of `make calibrate`.

    python calibration/calibrate_cooccurrence.py [--replicates 1000] [--workers 2] [--only NAME]

As `calibrate.py`: truths from the priors, answers of children of six countries from the truth, one fit each. Ranked are
the hyperparameters, coefficients shared and of one country, P(both) of the first cell and the log likelihood. In the
case with unknown answers one in twelve is not known, whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import calibrate
import numpy as np
from joblib import Parallel, delayed

import riskmodels as rm
from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.fit.cooccurrence import fit_cooccurrence
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.countrywise.conditional import coefficients_of
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.country_model import PriorBlock
from riskmodels.models.joint_margins import has_risk, margins_of
from riskmodels.models.latent_cooccurrence import LatentCooccurrence, latent_cooccurrence
from riskmodels.survey.factors import Factor

CERTIFIES = (
    "design/joint_counts.py",
    "fit/cooccurrence.py",
    "fit/countrywise",
    "fit/laplace/heavy_tails.py",
    "fit/laplace/hyperposterior.py",
    "fit/weighting.py",
    "models/blocks.py",
    "models/cooccurrence.py",
    "models/country_model.py",
    "models/hyperparameters.py",
    "models/joint_likelihood.py",
    "models/joint_margins.py",
    "models/joint_tables.py",
    "models/latent_cooccurrence.py",
    "models/priors.py",
)
COUNTRIES, GROUPS, RISKS, CHILDREN = 6, 2, 4, 80


@dataclass(frozen=True)
class Case:
    """A joint model to calibrate: share of answers that are unknown, engine, replicates of a full run."""

    unknown: float
    sampler: rm.SamplerSpec
    replicates: int
    spec: CooccurrenceSpec


LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=2000)
NUTS = rm.SamplerSpec(engine="nuts", draws=500, tune=500, chains=2)
CASES = {
    "co-occurrence, four risks": Case(0.0, LAPLACE, 1000, CooccurrenceSpec()),
    "co-occurrence, unknown answers": Case(1 / 12, LAPLACE, 1000, CooccurrenceSpec()),
}


def counts_of(answers: np.ndarray) -> JointCounts:
    """Joint counts of answers of shape (cells, children, risks)."""
    names = (("country", COUNTRIES), ("gender", GROUPS))
    factors = tuple(Factor(name, (levels := tuple(f"{name}{k}" for k in range(size))), levels) for name, size in names)
    index = np.stack(np.meshgrid(np.arange(COUNTRIES), np.arange(GROUPS), indexing="ij"), axis=-1).reshape(-1, 2)
    parts = []
    for cell, children in enumerate(answers):
        found, times = np.unique(children[(children != UNKNOWN).any(axis=1)], axis=0, return_counts=True)
        parts.append((np.full(len(found), cell), found, times.astype(float)))
    cell, patterns, count = (np.concatenate([part[k] for part in parts]) for k in range(3))
    total = np.bincount(cell, count, len(index))
    risks = tuple(f"risk{k}" for k in range(RISKS))
    return JointCounts(
        factors=factors,
        risks=Factor("indicator", risks, risks),
        index=index,
        n=total,
        weight=total,
        n_effective=total,
        cell=cell,
        answers=patterns,
        count=count,
        base="valid answers",
        synthetic=True,
    )


@cache
def layout(spec: CooccurrenceSpec) -> LatentCooccurrence:
    """Covariates and priors, which do not depend on the answers."""
    return latent_cooccurrence(counts_of(np.zeros((COUNTRIES * GROUPS, 1, RISKS), dtype=int)), spec)


def _block(block: PriorBlock, sds: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    deviation = block.deviation if block.deviation_hyper is None else sds[block.deviation_hyper]
    common = block.common if block.common_hyper is None else sds[block.common_hyper]
    return np.asarray(
        block.mean + deviation * rng.normal(size=(rows, len(block.positions))) + common * rng.normal(size=(rows, 1))
    )


def draw_truth(spec: CooccurrenceSpec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One draw of every parameter from its prior: `sds`, `shared` (D,), `own` (countries, B)."""
    model = layout(spec).model
    sds = np.abs([rng.normal(0, hyper.prior.scale) for hyper in model.hypers])
    shared, own = np.zeros((1, model.size)), np.zeros((model.countries, len(model.own)))
    for block in model.shared_blocks:
        shared[:, list(block.positions)] = _block(block, sds, 1, rng)
    for block in model.own_blocks:
        own[:, list(block.positions)] = _block(block, sds, model.countries, rng)
    return {"sds": sds, "shared": shared[0], "own": own}


def patterns_at(spec: CooccurrenceSpec, shared: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Pattern probabilities (draws, cells, 2^J) at draws of the coefficients."""
    latent = layout(spec)
    table = latent.likelihood.probabilities(coefficients_of(latent.model, shared, own))
    return np.asarray(table[:, :, latent.place].transpose(1, 2, 0))


def simulated(case: Case, number: int) -> tuple[dict[str, np.ndarray], JointCounts]:
    """One truth and the answers of its children."""
    rng = np.random.default_rng([number, 79])
    truth = draw_truth(case.spec, rng)
    p = patterns_at(case.spec, truth["shared"][None], truth["own"][None])[0]
    drawn = np.stack([rng.choice(2**RISKS, CHILDREN, p=one / one.sum()) for one in p])
    answers = has_risk(RISKS)[drawn].astype(int)
    answers[rng.uniform(size=answers.shape) < case.unknown] = UNKNOWN
    return truth, counts_of(answers)


def quantities(
    sds: np.ndarray, shared: np.ndarray, own: np.ndarray, p: np.ndarray, counts: JointCounts
) -> dict[str, np.ndarray]:
    """Scalars that are ranked; leading axis draws."""
    model = layout(CASES["co-occurrence, four risks"].spec).model
    has = has_risk(RISKS)
    fits = ((counts.answers[:, None] == UNKNOWN) | (counts.answers[:, None] == has)).all(axis=2).astype(float)
    found = np.log(np.maximum(np.einsum("spk,pk->sp", p[:, counts.cell], fits), 1e-300))
    return {
        **{hyper.name: sds[:, k] for k, hyper in enumerate(model.hypers)},
        **{f"shared {k}": shared[:, k] for k in range(0, model.size, 3)},
        **{f"own {k}": own[:, 0, k] for k in (0, len(model.own) - 1)},
        "both, first cell": margins_of(p[:, 0], RISKS).both[:, 0],
        "any, first cell": 1 - p[:, 0, 0],
        "log likelihood": found @ counts.count,
    }


def judged(truth: dict[str, np.ndarray], counts: JointCounts, fit: CooccurrenceFit) -> dict[str, object]:
    """Posterior probability below the truth of every quantity; how many P(both) are covered."""
    model = layout(fit.spec).model
    sds = np.stack([fit.posterior[hyper.name].to_numpy().ravel() for hyper in model.hypers], axis=1)
    shared = fit.posterior["shared"].to_numpy().reshape(-1, model.size)
    own = fit.posterior["own"].to_numpy().reshape(len(shared), model.countries, -1)
    p = fit.probabilities(np.arange(len(shared))).transpose(2, 0, 1)
    true = patterns_at(fit.spec, truth["shared"][None], truth["own"][None])
    weights = fit.draw_weights.ravel()
    mine = quantities(sds, shared, own, p, counts)
    theirs = quantities(truth["sds"][None], truth["shared"][None], truth["own"][None], true, counts)
    below = {key: float(weights @ (mine[key] < theirs[key][0])) for key in theirs}
    both = fit.posterior["both"].to_numpy().reshape(len(shared), -1)
    share = weights @ (both < margins_of(true[0], RISKS).both.ravel())
    covers = {str(level): float((np.abs(share - 0.5) < level / 2).mean()) for level in (0.5, 0.9, 0.95)}
    return {"below": below, "covers": covers, "passed": fit.passed, "engine": fit.engine}


def replicate(name: str, number: int) -> dict[str, object]:
    """One truth, one table, one fit with a seed of its own, judged."""
    case = CASES[name]
    truth, counts = simulated(case, number)
    return judged(truth, counts, fit_cooccurrence(counts, case.spec, replace(case.sampler, seed=number)))


def calibrated(name: str, replicates: int, workers: int) -> list[dict[str, object]]:
    """Every replicate of one case, judged."""
    return list(Parallel(n_jobs=workers)(delayed(replicate)(name, number) for number in range(replicates)))


if __name__ == "__main__":
    calibrate.main(CASES, calibrated, CERTIFIES)
