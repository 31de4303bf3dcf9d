"""Fits of joint answers by latent factors: children differ in one or two unseen propensities that move all risks."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import Problem
from riskmodels.fit.checks import CheckResult, below
from riskmodels.fit.cooccurrence_fit import RISK, CooccurrenceFit
from riskmodels.fit.cooccurrence_gate import (
    REASON,
    Run,
    climbed_given_sds,
    gate,
    identity,
    in_told_coordinates,
    joint_dataset,
    notes_on,
    runs,
    sampled,
)
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.factor_likelihood import STEP, factor_likelihood, factor_margins, factor_patterns
from riskmodels.models.factor_model import FactorModel, factor_model, starting_point

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FACTOR = "factor"
#: The log likelihood may differ by so much, from draw to draw, between this quadrature and one twice as fine ...
LOG_LIKELIHOOD_ERROR = 0.1
#: ... and a probability by so much.
PROBABILITY_ERROR = 1e-4
#: Draws on which both are measured.
MEASURED = 20


def fit_factor(
    counts: JointCounts,
    spec: CooccurrenceSpec,
    sampler: SamplerSpec | None = None,
    *,
    progress: Progress = no_progress,
) -> CooccurrenceFit:
    """Fit one or two latent factors to joint answers.

    Parameters
    ----------
    counts
        Effective children per cell and combination of answers.
    spec
        ``structure="factor"``; `factors`, `ordered`, `interactions` and `priors` apply.
    sampler
        Engine and settings. ``"auto"`` makes 1.5 times `weighted_draws` draws first, and twice as many, with a higher
        target acceptance, if a check fails; ``"nuts"`` makes `draws` per chain.
    progress
        As in `fit_model`.

    Returns
    -------
    CooccurrenceFit
        Read `passed` first. Besides the joint probabilities: `loading` (risk, factor), logits per SD of the factor, the
        anchors' positive and the first anchor's second zero; `intercept` (risk), at the centre of all levels and at
        factors of 0, hence not the logit of a prevalence; `..._effect` and `..._sd` of every factor of the cells.

        One factor says that a single propensity explains all that comes together. Where there are two groups of risks,
        that is wrong, and intervals of P(B given A) are wrong with it: see `check_margins` and `compare_structures`.

    Raises
    ------
    InputError
        E195 for an ordered factor that the cells do not have.
    FitError
        If no usable posterior was found, or the Laplace engine was insisted on.

    References
    ----------
    Bock & Aitkin 1981, Psychometrika 46, 443-459; Hoffman & Gelman 2014, JMLR 15, 1593-1623 (NUTS).

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
    >>> spec = CooccurrenceSpec(structure="factor", factors=1, classes=2)
    >>> fit = fit_factor(counts, spec, SamplerSpec(engine="nuts", draws=200, tune=100, chains=2))
    >>> expected = (20 + 80) / 800
    >>> bool(abs(fit.posterior["both"].to_numpy()[..., 0, 0].mean() - expected) < 0.02)
    True
    """
    sampler = sampler or SamplerSpec()
    plans = runs(sampler, spec.structure)
    started = time.perf_counter()
    model, start, step = _prepared(counts, spec, sampler.seed)
    for run in plans:
        fit = _fit_once(counts, spec, sampler, model, start, step, run, progress, started)
        if fit.passed:
            break
    return fit


def _prepared(counts: JointCounts, spec: CooccurrenceSpec, seed: int) -> tuple[FactorModel, FloatArray, float]:
    """The model with anchors, in suited coordinates and with nodes close enough, and where to start."""
    model = factor_model(counts, spec)
    place, _ = climbed_given_sds(model, starting_point(model, counts, seed))
    model, place = model.anchored(place)
    step = STEP[spec.factors]
    for _ in range(2):
        fine = replace(model, likelihood=factor_likelihood(counts, spec.factors, step / 2))
        if abs(fine.density(place)[0] - model.density(place)[0]) < LOG_LIKELIHOOD_ERROR / 2:
            break
        model, step = fine, step / 2
    return *in_told_coordinates(model, place), step


def _quadrature_checks(
    model: FactorModel, counts: JointCounts, x: FloatArray, logits: FloatArray, step: float
) -> list[CheckResult]:
    """Compare with quadrature twice as fine at some draws."""
    some = np.linspace(0, len(x) - 1, MEASURED).astype(int)
    fine = replace(model, likelihood=factor_likelihood(counts, model.factors, step / 2))
    gaps = np.array([fine.density(x[k])[0] - model.density(x[k])[0] for k in some])
    loadings = model.loadings(x[some])
    pairs = zip(factor_margins(logits[some], loadings, step / 2), factor_margins(logits[some], loadings, step))
    largest = max(float(np.abs(one - other).max()) for one, other in pairs)
    return [
        below("quadrature error of the log likelihood", "draws", float(np.ptp(gaps)), LOG_LIKELIHOOD_ERROR),
        below("quadrature error of joint probabilities", "all cells", largest, PROBABILITY_ERROR),
    ]


def _fit_once(
    counts: JointCounts,
    spec: CooccurrenceSpec,
    sampler: SamplerSpec,
    model: FactorModel,
    start: FloatArray,
    step: float,
    run: Run,
    progress: Progress,
    started: float,
) -> CooccurrenceFit:
    found = sampled(model, start, sampler, run, progress)
    shape = (found.draws.shape[0], found.draws.shape[1])
    x = found.draws.reshape(-1, found.draws.shape[-1])
    own = found.draws[..., : model.predictor.size]
    logits = model.predictor.predictors(own.reshape(len(x), -1))
    loadings = model.signed_loadings(found.draws)
    flat = loadings.reshape(len(x), *loadings.shape[2:])
    zeta, intercepts, _ = model.predictor.parts(own)
    sds = model.predictor.sds(zeta)
    parameters: dict[str, tuple[tuple[str, ...], FloatArray]] = {
        "loading": ((RISK, FACTOR), loadings),
        "intercept": ((RISK,), intercepts),
        **{f"{term.name}_sd": ((), sds[..., k]) for k, term in enumerate(model.predictor.terms)},
        **{f"{name}_effect": ((name, RISK), value) for name, value in model.predictor.effects(own).items()},
    }
    posterior = joint_dataset(counts, shape, factor_margins(logits, flat, step), parameters)
    judged = {name: values for name, (_, values) in parameters.items() if name != "loading"}
    judged["loading"] = loadings[..., model.free]

    def probabilities(which: IntArray) -> FloatArray:
        return factor_patterns(logits[which], flat[which], step)

    anchors = [counts.risks.levels[k] for k in model.anchors]
    remedy = "read joint probabilities; loadings mean something beside these anchors only"
    note = Problem("I197", "factors are turned so that anchors tell them apart", ", ".join(anchors), 1, remedy)
    return CooccurrenceFit(
        spec=spec,
        counts=counts,
        sampler=sampler,
        posterior=posterior,
        checks=gate(judged, posterior, found, _quadrature_checks(model, counts, x, logits, step)),
        fingerprint=identity(counts, spec, sampler),
        seconds=time.perf_counter() - started,
        notes=(*notes_on(counts, spec), *([note] if spec.factors == 2 else [])),
        engine="nuts",
        engine_reason=REASON.format(structure=spec.structure),
        probabilities=probabilities,
    )
