"""Fits of joint models of several risks: the countrywise engine where its diagnostics pass, NUTS otherwise."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import FitError, InputError, Problem
from riskmodels.fit.checks import check_convergence, check_pareto, check_sampler, check_weighted
from riskmodels.fit.cooccurrence_classes import fit_classes
from riskmodels.fit.cooccurrence_factor import fit_factor
from riskmodels.fit.cooccurrence_fit import CELL, HOW_MANY, PAIR, RISK, CooccurrenceFit
from riskmodels.fit.cooccurrence_gate import identity
from riskmodels.fit.countrywise.conditional import coefficients_of
from riskmodels.fit.countrywise.engine import draw_countrywise
from riskmodels.fit.sampler import CompiledModel, Progress, SamplerSpec, no_progress
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.country_model import CountryModel
from riskmodels.models.hyperparameters import hyper_values
from riskmodels.models.joint_likelihood import NUMBERS_AT_ONCE, JointLikelihood
from riskmodels.models.joint_tables import margins_of_tables
from riskmodels.models.latent_cooccurrence import LatentCooccurrence, latent_cooccurrence
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Bytes that the largest tables of a fit may take.
BYTES_AT_MOST = 4 * 2**30


def pair_labels(counts: JointCounts) -> list[str]:
    """Pairs by their names, in the order of `JointCounts.pairs`."""
    return [f"{counts.risks.levels[first]} & {counts.risks.levels[second]}" for first, second in counts.pairs]


def _probabilities_of(
    likelihood: JointLikelihood, place: IntArray, model: CountryModel, shared: FloatArray, own: FloatArray
) -> FloatArray:
    """Pattern probabilities (2^J, draws, cells) at coefficients (draws, D) and (draws, C, B)."""
    return likelihood.probabilities(coefficients_of(model, shared, own))[:, :, place]


def _margins(latent: LatentCooccurrence, shared: FloatArray, own: FloatArray) -> dict[str, FloatArray]:
    """`single`, `both` and `number` of every draw and cell, shapes (draws, cells, ...)."""
    risks, cells = latent.likelihood.risks, len(latent.place)
    step = max(1, NUMBERS_AT_ONCE // (2**risks * cells))
    out = {
        "single": np.empty((len(shared), cells, risks)),
        "both": np.empty((len(shared), cells, risks * (risks - 1) // 2)),
        "number": np.empty((len(shared), cells, risks + 1)),
    }

    def fill(at: int) -> None:
        part = slice(at, at + step)
        table = _probabilities_of(latent.likelihood, latent.place, latent.model, shared[part], own[part])
        found = margins_of_tables(table, latent.likelihood.index)
        for name, target in out.items():
            target[part] = np.moveaxis(getattr(found, name), 0, -1)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(fill, range(0, len(shared), step)))
    return out


def _posterior(
    counts: JointCounts, latent: LatentCooccurrence, shared: FloatArray, own: FloatArray, sds: dict[str, FloatArray]
) -> xr.Dataset:
    """Name draws of shape (chain, draw, ...)."""
    lead = shared.shape[:2]
    count = lead[0] * lead[1]
    flat = (shared.reshape(count, -1), own.reshape(count, *own.shape[2:]))
    margins = {name: values.reshape(*lead, *values.shape[1:]) for name, values in _margins(latent, *flat).items()}
    chain = ("chain", "draw")
    pairs = pair_labels(counts)
    data = {
        "single": ((*chain, CELL, RISK), margins["single"]),
        "both": ((*chain, CELL, PAIR), margins["both"]),
        "number": ((*chain, CELL, HOW_MANY), margins["number"]),
        "shared": ((*chain, "coefficient"), shared),
        **{name: (chain, values) for name, values in sds.items()},
    }
    if own.shape[-1]:
        data["own"] = ((*chain, COUNTRY, "own_coefficient"), own)
    coords = {
        RISK: list(counts.risks.levels),
        PAIR: pairs,
        HOW_MANY: np.arange(len(counts.risks) + 1),
        "coefficient": _coefficient_names(counts, latent, pairs),
    }
    if own.shape[-1]:
        coords[COUNTRY] = list(counts.factors[0].levels)
    return xr.Dataset(data, coords=coords)


def _coefficient_names(counts: JointCounts, latent: LatentCooccurrence, pairs: list[str]) -> list[str]:
    names = [f"{covariate}, {risk}" for covariate in latent.main_names for risk in counts.risks.levels]
    free = [pairs[k] for k in latent.free]
    names += [f"{covariate}, {pair}" for covariate in latent.association_names for pair in free]
    return names + [f"at least {3 + step}" for step in range(latent.likelihood.steps)]


def _judged(counts: JointCounts, posterior: xr.Dataset) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Parameters, and probabilities averaged over the cells of every country; impossible pairs are left out.

    What is reported of other groups is judged when it is estimated.
    """
    country, size = counts.position(COUNTRY), len(counts.factors[0])
    share = np.zeros((size, len(counts)))
    share[country, np.arange(len(counts))] = counts.weight
    share /= share.sum(axis=1, keepdims=True)
    margins = {}
    for name in ("single", "both", "number"):
        values = share @ posterior[name].to_numpy()
        flat = values.reshape(*values.shape[:2], -1)
        margins[name] = flat[..., flat.max(axis=(0, 1)) > 0]
    parameters = {str(name): posterior[name].to_numpy() for name in posterior if name not in margins}
    return parameters, {name: values for name, values in margins.items() if values.size}


def _make(
    counts: JointCounts,
    spec: CooccurrenceSpec,
    sampler: SamplerSpec,
    latent: LatentCooccurrence,
    posterior: xr.Dataset,
    started: float,
    **made: object,
) -> CooccurrenceFit:
    shared = posterior["shared"].to_numpy().reshape(-1, latent.model.size)
    own = (
        posterior["own"].to_numpy()
        if "own" in posterior
        else np.zeros((*posterior["shared"].shape[:2], latent.model.countries, 0))
    )
    own = own.reshape(len(shared), latent.model.countries, len(latent.model.own))

    def probabilities(positions: IntArray) -> FloatArray:
        at = np.asarray(positions)
        table = _probabilities_of(latent.likelihood, latent.place, latent.model, shared[at], own[at])
        return np.asarray(table.transpose(2, 0, 1))

    return CooccurrenceFit(
        spec=spec,
        counts=counts,
        sampler=sampler,
        posterior=posterior,
        fingerprint=identity(counts, spec, sampler),
        seconds=time.perf_counter() - started,
        notes=counts.warnings,
        probabilities=probabilities,
        **made,  # type: ignore[arg-type]
    )


def _by_engine(counts: JointCounts, spec: CooccurrenceSpec, sampler: SamplerSpec, draws: int) -> CooccurrenceFit:
    started = time.perf_counter()
    latent = latent_cooccurrence(counts, spec)
    rounds = 3 if memory_needed(counts, 4 * draws) <= BYTES_AT_MOST else 1
    found = draw_countrywise(latent.model, draws, sampler.seed, rounds=rounds)
    values = hyper_values(latent.model.hypers, found.zeta)
    sds = {hyper.name: np.tile(value, (2, 1)) for hyper, value in zip(latent.model.hypers, values, strict=True)}
    posterior = _posterior(counts, latent, found.shared, found.own, sds)
    parameters, margins = _judged(counts, posterior)
    checks = (
        check_pareto(found.pareto_k),
        *check_weighted(parameters, found.weights, "parameters"),
        *check_weighted(margins, found.weights, "probabilities of countries"),
    )
    reason = f"k-hat {found.pareto_k:.2f}, {found.weights.size:,} weighted draws"
    return _make(
        counts,
        spec,
        sampler,
        latent,
        posterior,
        started,
        checks=checks,
        weights=found.weights,
        engine="laplace",
        engine_reason=reason,
    )


def _by_nuts(
    counts: JointCounts, spec: CooccurrenceSpec, sampler: SamplerSpec, reason: str, progress: Progress
) -> CooccurrenceFit:
    from riskmodels.models.cooccurrence import build_cooccurrence_model

    started = time.perf_counter()
    latent = latent_cooccurrence(counts, spec)
    progress("compiling", 0, 1)
    compiled = CompiledModel(build_cooccurrence_model(counts, latent))
    progress("compiling", 1, 1)
    sampled = compiled.sample(sampler, progress)
    found = sampled.posterior
    shared = found["shared"].to_numpy()
    own = found["own"].to_numpy() if "own" in found else np.zeros((*shared.shape[:2], latent.model.countries, 0))
    sds = {hyper.name: found[hyper.name].to_numpy() for hyper in latent.model.hypers}
    posterior = _posterior(counts, latent, shared, own, sds)
    parameters, margins = _judged(counts, posterior)
    checks = (
        *check_convergence(parameters, "parameters"),
        *check_convergence(margins, "probabilities of countries"),
        *check_sampler(sampled.statistics["diverging"].to_numpy(), sampled.statistics["energy"].to_numpy()),
    )
    return _make(counts, spec, sampler, latent, posterior, started, checks=checks, engine="nuts", engine_reason=reason)


def memory_needed(counts: JointCounts, draws: int) -> int:
    """Bytes that the margins of so many draws and the largest table at one draw take."""
    risks = len(counts.risks)
    margins = draws * len(counts) * (risks + risks * (risks - 1) // 2 + risks + 1) * 8
    return int(4 * margins + 12 * len(counts) * 2**risks * 8)


def _refuse_what_does_not_fit(counts: JointCounts, draws: int) -> None:
    needed = memory_needed(counts, draws)
    if needed > BYTES_AT_MOST:
        remedy = "take fewer risks, split children less, or ask for fewer draws"
        what = f"the joint model would need about {needed / 2**30:.1f} GiB of memory"
        raise InputError([Problem("E148", what, "risks", len(counts.risks), remedy)], "co-occurrence")


def fit_cooccurrence(
    counts: JointCounts,
    spec: CooccurrenceSpec | None = None,
    sampler: SamplerSpec | None = None,
    *,
    progress: Progress = no_progress,
) -> CooccurrenceFit:
    """Fit a joint model of several yes/no risks.

    Parameters
    ----------
    counts
        Effective counts of combinations of answers, from `joint_counts`.
    spec
        The model; by default every pair of risks has an association that may differ by country.
    sampler
        Engine and settings; the fast engine where its diagnostics pass, else NUTS.
    progress
        As in `fit_model`.

    Returns
    -------
    CooccurrenceFit
        Read `passed` first.

    Raises
    ------
    InputError
        E132 for factors that the cells do not have, E148 for a model too large for the memory.
    FitError
        If no usable posterior was found.
    """
    spec, sampler = spec or CooccurrenceSpec(), sampler or SamplerSpec()
    if spec.structure != "pairwise":
        other = fit_factor if spec.structure == "factor" else fit_classes
        return other(counts, spec, sampler, progress=progress)
    if sampler.engine == "nuts":
        _refuse_what_does_not_fit(counts, sampler.chains * sampler.draws)
        return _by_nuts(counts, spec, sampler, "asked for", progress)
    _refuse_what_does_not_fit(counts, sampler.weighted_draws)
    progress("exploring", 0, 1)
    try:
        fit = _by_engine(counts, spec, sampler, sampler.weighted_draws)
        if not fit.passed and memory_needed(counts, 3 * sampler.weighted_draws) <= BYTES_AT_MOST:
            fit = _by_engine(counts, spec, sampler, 3 * sampler.weighted_draws)
    except FitError as error:
        if sampler.engine == "laplace":
            raise
        _refuse_what_does_not_fit(counts, sampler.chains * sampler.draws)
        return _by_nuts(counts, spec, sampler, f"the fast engine found no posterior: {error}", progress)
    progress("exploring", 1, 1)
    if fit.passed or sampler.engine == "laplace":
        return fit
    _refuse_what_does_not_fit(counts, sampler.chains * sampler.draws)
    failed = "; ".join(str(check) for check in fit.checks if not check.passed)
    return _by_nuts(counts, spec, sampler, f"the fast engine failed its checks: {failed}", progress)
