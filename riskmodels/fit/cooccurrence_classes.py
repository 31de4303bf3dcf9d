"""Fits of joint answers by latent classes: a few kinds of children, each with its own probability of every risk."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import Problem
from riskmodels.fit.checks import CheckResult, at_most
from riskmodels.fit.cooccurrence_fit import CELL, RISK, CooccurrenceFit
from riskmodels.fit.cooccurrence_gate import (
    REASON,
    Run,
    gate,
    identity,
    in_told_coordinates,
    joint_dataset,
    notes_on,
    runs,
    sampled,
)
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.fit.whitened_nuts import distinct_tops, frozen, neighbourhood
from riskmodels.models.class_model import (
    ClassModel,
    class_margins,
    class_model,
    class_patterns,
    class_starts,
    matched_classes,
)
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_margins import has_risk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CLASS = "class"
#: Random places from which the highest mode is looked for.
STARTS = 16
#: Other solutions may hold this share of the posterior's mass.
OTHER_MASS = 0.01


@dataclass(frozen=True, eq=False)
class _Prepared:
    """The model in suited coordinates, its mode with classes in order, and what is known of other modes."""

    model: ClassModel
    start: FloatArray
    pivot: FloatArray
    check: CheckResult


def fit_classes(
    counts: JointCounts,
    spec: CooccurrenceSpec,
    sampler: SamplerSpec | None = None,
    *,
    progress: Progress = no_progress,
) -> CooccurrenceFit:
    """Fit latent classes to joint answers.

    Parameters
    ----------
    counts
        Effective children per cell and combination of answers.
    spec
        ``structure="classes"``; `classes`, `ordered`, `interactions` and `priors` (SDs) apply.
    sampler
        As in `fit_factor`.
    progress
        As in `fit_model`.

    Returns
    -------
    CooccurrenceFit
        Read `passed` first. Besides the joint probabilities: `share` (cell, class); `risk_in_class` (class, risk),
        P(risk | class), shared by all countries; `..._sd` of every factor of the cells, on the scale of class logits.

        Classes are numbered by the mean number of risks at the mode, fewest first; classes of a draw are matched to
        those of the mode. Data rarely say that there *are* so many kinds of children: a class is a summary. All chains
        start at the highest of the modes found from many starts; the share of the posterior that other modes hold
        (Laplace's approximation, from the modes found) is a check.

    Raises
    ------
    InputError
        E195 for an ordered factor that the cells do not have.
    FitError
        If no usable posterior was found, or the Laplace engine was insisted on.

    References
    ----------
    Lazarsfeld & Henry 1968, Latent structure analysis; Stephens 2000, JRSS B 62, 795-809 (labels).

    Examples
    --------
    >>> from riskmodels.models.joint_margins import has_risk
    >>> from riskmodels.survey.factors import Factor
    >>> countries, risks = Factor("country", ("KEN",)), Factor("risk", ("a", "b", "c"))
    >>> together = np.array([500, 40, 50, 20, 60, 20, 30, 80])
    >>> counts = JointCounts(
    ...     (countries,), risks, np.zeros((1, 1), int), np.array([800]), np.array([800.0]), np.array([800.0]),
    ...     np.zeros(8, int), has_risk(3).astype(int), together, "valid answers", synthetic=True,
    ... )
    >>> spec = CooccurrenceSpec(structure="classes", factors=1, classes=2)
    >>> fit = fit_classes(counts, spec, SamplerSpec(engine="nuts", draws=200, tune=100, chains=2))
    >>> expected = (20 + 80) / 800
    >>> bool(abs(fit.posterior["both"].to_numpy()[..., 0, 0].mean() - expected) < 0.02)
    True
    """
    sampler = sampler or SamplerSpec()
    plans = runs(sampler, spec.structure)
    started = time.perf_counter()
    prepared = _prepared(counts, spec, sampler.seed)
    for run in plans:
        fit = _fit_once(counts, spec, sampler, prepared, run, progress, started)
        if fit.passed or not prepared.check.passed:
            break
    return fit


def _prepared(counts: JointCounts, spec: CooccurrenceSpec, seed: int) -> _Prepared:
    model = class_model(counts, spec)
    held = frozen(model.density, len(model.predictor.terms))

    def in_order(x: FloatArray) -> FloatArray:
        return model.renumbered(x, np.argsort(model.within(x).sum(axis=1)))

    starts = class_starts(model, counts, seed, STARTS)
    tops = distinct_tops(held, starts, lambda x: model.within(in_order(x)).ravel())
    modes = [neighbourhood(held, place, value) for place, value in tops]
    mass = np.exp([mode.log_mass - max(other.log_mass for other in modes) for mode in modes])
    best = in_order(modes[int(mass.argmax())].place)
    told, start = in_told_coordinates(model, best)
    rest = float(1 - mass.max() / mass.sum())
    check = at_most("share of other solutions", f"{len(modes)} found from {STARTS} starts", rest, OTHER_MASS)
    return _Prepared(told, start, model.within(best), check)


def _fit_once(
    counts: JointCounts,
    spec: CooccurrenceSpec,
    sampler: SamplerSpec,
    prepared: _Prepared,
    run: Run,
    progress: Progress,
    started: float,
) -> CooccurrenceFit:
    model = prepared.model
    found = sampled(model, prepared.start, sampler, run, progress)
    shape = (found.draws.shape[0], found.draws.shape[1])
    x = found.draws.reshape(-1, found.draws.shape[-1])
    within = model.within(x)
    order = matched_classes(within, prepared.pivot)
    within = np.take_along_axis(within, order[..., None], axis=1)
    shares = np.take_along_axis(model.shares(x), order[:, None, :], axis=2)
    sds = model.predictor.sds(model.predictor.parts(x[:, : model.predictor.size])[0])
    parameters: dict[str, tuple[tuple[str, ...], FloatArray]] = {
        "share": ((CELL, CLASS), shares.reshape(*shape, *shares.shape[1:])),
        "risk_in_class": ((CLASS, RISK), within.reshape(*shape, *within.shape[1:])),
        **{f"{term.name}_sd": ((), sds[:, k].reshape(shape)) for k, term in enumerate(model.predictor.terms)},
    }
    posterior = joint_dataset(counts, shape, class_margins(shares, within), parameters)
    has = has_risk(len(counts.risks))

    def probabilities(which: IntArray) -> FloatArray:
        return class_patterns(shares[which], within[which], has)

    return CooccurrenceFit(
        spec=spec,
        counts=counts,
        sampler=sampler,
        posterior=posterior,
        checks=gate({name: values for name, (_, values) in parameters.items()}, posterior, found, [prepared.check]),
        fingerprint=identity(counts, spec, sampler),
        seconds=time.perf_counter() - started,
        notes=(*notes_on(counts, spec), _note_on_labels(order)),
        engine="nuts",
        engine_reason=REASON.format(structure=spec.structure),
        probabilities=probabilities,
    )


def _note_on_labels(order: IntArray) -> Problem:
    """How classes were numbered, and in how many draws they had changed places."""
    switched = int((order != np.arange(order.shape[1])).any(axis=1).sum())
    return Problem(
        "I197",
        "classes are numbered by their mean number of risks, and matched to the mode from draw to draw",
        f"{switched} of {len(order)} draws had other numbers",
        switched,
        "read joint probabilities; a class means something beside the others only",
    )
