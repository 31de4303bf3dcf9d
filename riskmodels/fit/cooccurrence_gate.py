"""What fits of co-occurrence by NUTS on a hand-written density share: coordinates, runs, checks, identity, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import FitError, Problem
from riskmodels.fit.checks import CheckResult, check_convergence, check_sampler
from riskmodels.fit.cooccurrence_fit import CELL, HOW_MANY, PAIR, RISK
from riskmodels.fit.sampler import Progress, SamplerSpec
from riskmodels.fit.whitened_nuts import (
    WhitenedDraws,
    climb,
    frozen,
    neighbourhood,
    own_curvatures,
    sample_whitened,
)
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_predictor import JointPredictor
from riskmodels.provenance import Fingerprint, hash_of_code, installed_versions

FloatArray = npt.NDArray[np.float64]

COOCCURRENCE_CODE = ("models", "fit", "design/joint_counts.py")
#: Adaptation of a first run, which the whitening has mostly done already.
SHORT_TUNE = 300
#: Target acceptance of a second run.
CAREFUL = 0.95
REASON = "the {structure} structure is not log-concave: NUTS on its marginal likelihood, whitened at the mode"


class JointDensity(Protocol):
    """A posterior of joint answers: parameters of a predictor first, then its own."""

    @property
    def predictor(self) -> JointPredictor:
        """Hierarchical predictor, whose parameters come first."""

    def density(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior and its gradient."""

    def with_predictor(self, predictor: JointPredictor) -> Self:
        """The same with the predictor in other coordinates."""


def effect_coordinates(model: JointDensity) -> range:
    """Places of the effect coordinates among the parameters."""
    first = len(model.predictor.terms) + model.predictor.outcomes
    return range(first, model.predictor.size)


def climbed_given_sds(model: JointDensity, start: FloatArray) -> tuple[FloatArray, float]:
    """Mode of everything else given the SDs at `start`."""
    return climb(frozen(model.density, len(model.predictor.terms)), start)


def in_told_coordinates[Model: JointDensity](model: Model, place: FloatArray) -> tuple[Model, FloatArray]:
    """The model in coordinates suited to what the answers tell at a mode given SDs, and that mode in them."""
    size, where = model.predictor.size, effect_coordinates(model)
    curvature = own_curvatures(model.density, place, where).reshape(-1, model.predictor.outcomes)
    predictor, moved = model.predictor.told(place[:size], curvature)
    return model.with_predictor(predictor), np.concatenate([moved, place[size:]])


@dataclass(frozen=True)
class Run:
    """Draws and adaptation per chain, and the target acceptance, of one run."""

    draws: int
    tune: int
    target_accept: float


def sampled(
    model: JointDensity, start: FloatArray, sampler: SamplerSpec, run: Run, progress: Progress
) -> WhitenedDraws:
    """Draws of the parameters: mode, curvature there, NUTS."""
    place, value = climb(model.density, start)
    mode = neighbourhood(model.density, place, value)
    settings = replace(sampler, target_accept=run.target_accept)
    return sample_whitened(model.density, mode, settings, run.draws, run.tune, progress)


def runs(sampler: SamplerSpec, structure: str) -> list[Run]:
    """Runs to try in turn until one passes: half as many draws again as of weighted draws, then a longer, careful one.

    Thousands of joint probabilities are judged, and with 1,000 draws a chain the largest R-hat of as many good ones comes
    near its threshold by chance. Where NUTS was asked for, its settings are taken as they stand.
    """
    if sampler.engine == "laplace":
        raise FitError(
            f"the Laplace engine cannot fit this: the {structure} structure is not log-concave; "
            "use engine='auto' or 'nuts'"
        )
    if sampler.engine == "nuts":
        return [Run(sampler.draws, sampler.tune, sampler.target_accept)]
    draws = -(-3 * sampler.weighted_draws // (2 * sampler.chains))
    short = Run(draws, min(SHORT_TUNE, sampler.tune), sampler.target_accept)
    return [short, Run(max(2 * draws, sampler.draws), sampler.tune, max(CAREFUL, sampler.target_accept))]


def gate(
    parameters: Mapping[str, FloatArray], posterior: xr.Dataset, found: WhitenedDraws, more: list[CheckResult]
) -> tuple[CheckResult, ...]:
    """Judge every parameter, every P(risk), P(both) and P(exactly k), and the sampler."""
    quantities = {name: posterior[name].to_numpy() for name in ("single", "both", "number")}
    return (
        *check_convergence(parameters, "parameters"),
        *check_convergence(quantities, "joint probabilities"),
        *check_sampler(found.diverging, found.energy),
        *more,
    )


def joint_dataset(
    counts: JointCounts,
    shape: tuple[int, int],
    margins: tuple[FloatArray, FloatArray, FloatArray],
    parameters: Mapping[str, tuple[tuple[str, ...], FloatArray]],
) -> xr.Dataset:
    """Posterior with the names that every structure has, and parameters of its own given as (dims, draws)."""
    dims = {"single": (CELL, RISK), "both": (CELL, PAIR), "number": (CELL, HOW_MANY)}
    data: dict[str, tuple[tuple[str, ...], FloatArray]] = {
        name: (("chain", "draw", *dims[name]), values.reshape(*shape, *values.shape[1:]))
        for name, values in zip(dims, margins, strict=True)
    }
    data |= {name: (("chain", "draw", *own), values) for name, (own, values) in parameters.items()}
    coords: dict[str, object] = {RISK: list(counts.risks.levels), HOW_MANY: np.arange(len(counts.risks) + 1)}
    coords |= {one.name: list(one.levels) for one in counts.factors if f"{one.name}_effect" in data}
    return xr.Dataset(data, coords=coords)


def identity(counts: JointCounts, spec: CooccurrenceSpec, sampler: SamplerSpec) -> Fingerprint:
    """Identity that a fit of these three has."""
    versions = {**installed_versions(), "model code": hash_of_code(*COOCCURRENCE_CODE)}
    return Fingerprint(
        cells=counts.content_hash,
        spec=spec.content_hash,
        sampler=sampler.content_hash,
        seed=sampler.seed,
        versions=tuple(sorted(versions.items())),
        synthetic=counts.synthetic,
        source=counts.source,
    )


def notes_on(counts: JointCounts, spec: CooccurrenceSpec) -> list[Problem]:
    """What a reader of a factor or class model must know of the counts."""
    notes = list(counts.warnings)
    if len(counts.factors[0]) < 2:
        notes.append(Problem("I142", "one country: no country effects", "country", 1, "nothing to do"))
    if counts.impossible:
        names = "; ".join(f"{counts.risks.levels[j]} & {counts.risks.levels[k]}" for j, k in counts.impossible)
        what = f"pairs declared impossible, to which a {spec.structure} structure gives some probability"
        notes.append(Problem("W197", what, names, len(counts.impossible), 'use structure="pairwise"'))
    return notes
