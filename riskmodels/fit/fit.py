"""Fit: a checked posterior that knows what it was made from, and the functions that make it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from threadpoolctl import threadpool_limits

from riskmodels.design.cells import Cells
from riskmodels.design.dependence import dependence_between_items
from riskmodels.errors import FitError
from riskmodels.fit import limits
from riskmodels.fit.checks import CheckResult, check_convergence, check_pareto, check_sampler, check_weighted
from riskmodels.fit.laplace.engine import draw_by_laplace
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.fit.sampler import CompiledModel, Progress, SampledDraws, SamplerSpec, no_progress
from riskmodels.models.blocks import centred_factors
from riskmodels.models.latent import latent_prevalence_model
from riskmodels.models.latent_draws import named_draws
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.provenance import Fingerprint, hash_of_code, installed_versions

FloatArray = npt.NDArray[np.float64]

#: Variables that are not kept: functions of others, or a second scale of the same parameter.
NOT_KEPT = ("eta",)
#: Source that decides the draws of given cells: a fit made by other code has another fingerprint.
MODEL_CODE = ("models", "design/cells.py", "design/dependence.py", "fit")


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit(CheckedPosterior):
    """Posterior of a prevalence specification on cells; `draws` holds `prevalence` with dims (chain, draw, cell).

    Parameters
    ----------
    spec, cells
        What was fitted to what. For the rest see `CheckedPosterior`: the gate judged every parameter and every cell's
        prevalence.
    """

    spec: PrevalenceSpec
    cells: Cells

    @property
    def base(self) -> str:
        """Denominator of the cells."""
        return self.cells.base

    def __repr__(self) -> str:
        """Say what it is in a line."""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        brand = "SYNTHETIC, " if self.cells.synthetic else ""
        return f"Fit({brand}{len(self.cells)} cells, {self.engine}, {self.seconds:.1f} s, {verdict}, {self.fingerprint.id})"

    def _repr_html_(self) -> str:
        return self.summary_in_html(f"{len(self.cells)} cells")


def fingerprint_of(cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec) -> Fingerprint:
    """Identity that a fit of these three would have."""
    return Fingerprint(
        cells=cells.content_hash,
        spec=spec.content_hash,
        sampler=sampler.content_hash,
        seed=sampler.seed,
        versions=tuple(sorted({**installed_versions(), "model code": hash_of_code(*MODEL_CODE)}.items())),
        synthetic=cells.synthetic,
        source=cells.source,
    )


def compile_prevalence(cells: Cells, spec: PrevalenceSpec) -> CompiledModel:
    """Build and compile the prevalence model of these cells."""
    from riskmodels.models.prevalence import build_prevalence_model

    return CompiledModel(build_prevalence_model(cells, spec))


def _data_of(cells: Cells, spec: PrevalenceSpec) -> dict[str, np.ndarray]:
    """Everything in the graph that changes with the counts."""
    data = {"n_effective": cells.n_effective, "yes_effective": cells.yes_effective}
    dependence = dependence_between_items(cells, spec.within_child_correlation)
    if dependence is not None:
        data |= {"anchor": dependence.anchor, "rotation": dependence.rotation}
    return data


def _judged_parameters(posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Every parameter, a correlation matrix by its lower triangle (the rest is constant or the same again)."""
    found = {
        str(name): values.to_numpy()
        for name, values in posterior.items()
        if name not in (*NOT_KEPT, "country_correlation", "prevalence")
    }
    if "country_correlation" in posterior:
        matrix = posterior["country_correlation"].to_numpy()
        first, second = np.tril_indices(matrix.shape[-1], -1)
        found["country_correlation"] = matrix[..., first, second]
    return found


def _checked(sampled: SampledDraws) -> tuple[CheckResult, ...]:
    """Run the gate on every parameter and every cell's prevalence."""
    parameters = _judged_parameters(sampled.posterior)
    quantities = {"prevalence": sampled.posterior["prevalence"].to_numpy()}
    return (
        *check_convergence(parameters, "parameters"),
        *check_convergence(quantities, "cell prevalences"),
        *check_sampler(sampled.statistics["diverging"].to_numpy(), sampled.statistics["energy"].to_numpy()),
    )


def _make_fit(
    cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec, sampled: SampledDraws, started: float, reason: str
) -> Fit:
    kept = sampled.posterior.drop_vars(
        [name for name in sampled.posterior if name in NOT_KEPT or str(name).endswith(("_raw", "_packed"))]
    )
    used = {str(dim) for values in kept.data_vars.values() for dim in values.dims}
    kept = kept.drop_vars([name for name in kept.coords if name not in used])
    kept.attrs = {}
    return Fit(
        spec=spec,
        cells=cells,
        sampler=sampler,
        posterior=kept,
        checks=_checked(sampled),
        fingerprint=fingerprint_of(cells, spec, sampler),
        seconds=time.perf_counter() - started,
        notes=(*cells.warnings, *spec.terms_for(cells).notes),
        engine="nuts",
        engine_reason=reason,
    )


def _fit_by_laplace(cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec) -> Fit:
    """Fit with as many draws as asked for; where that narrowly fails the checks, once more with four times as many.

    Small products of matrices are slower by several threads, and much slower beside other work.
    """
    with threadpool_limits(limits=1):
        fit = _weighted_fit(cells, spec, sampler, sampler.weighted_draws)
        return fit if fit.passed else _weighted_fit(cells, spec, sampler, 4 * sampler.weighted_draws)


def _weighted_fit(cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec, draws: int) -> Fit:
    started = time.perf_counter()
    latent = latent_prevalence_model(cells, spec)
    found = draw_by_laplace(latent, draws, sampler.seed)
    posterior = named_draws(latent, cells, spec, found.zeta, found.h, found.v)
    weights = found.weights
    parameters = _judged_parameters(posterior)
    checks = (
        check_pareto(found.pareto_k),
        *check_weighted(parameters, weights, "parameters"),
        *check_weighted({"prevalence": posterior["prevalence"].to_numpy()}, weights, "cell prevalences"),
    )
    reason = f"k-hat {found.pareto_k:.2f}, {weights.size:,} weighted draws, at least {found.effective:,.0f} effective for every hyperparameter"
    return Fit(
        spec=spec,
        cells=cells,
        sampler=sampler,
        posterior=posterior,
        checks=checks,
        fingerprint=fingerprint_of(cells, spec, sampler),
        weights=weights,
        seconds=time.perf_counter() - started,
        notes=(*cells.warnings, *spec.terms_for(cells).notes),
        engine="laplace",
        engine_reason=reason,
    )


def why_not_laplace(cells: Cells, spec: PrevalenceSpec) -> str:
    """Say why the Laplace engine does not cover a specification on these cells; empty where it does."""
    if spec.likelihood != "binomial":
        return f"the {spec.likelihood} likelihood is not log-concave"
    dimension = latent_prevalence_model(cells, spec).dimension
    if dimension > limits.LAPLACE_HYPERPARAMETERS_AT_MOST:
        return f"{dimension} hyperparameters: importance weights would degenerate"
    return ""


def _try_laplace(cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec) -> tuple[Fit | None, str]:
    """Fit by the Laplace engine where it applies, None where NUTS must do it, with the reason."""
    if sampler.engine == "nuts":
        return None, "asked for"
    reason = why_not_laplace(cells, spec)
    if sampler.engine == "laplace":
        if spec.likelihood != "binomial":
            raise FitError(f"the Laplace engine cannot fit this: {reason}; use engine='auto' or 'nuts'")
        return _fit_by_laplace(cells, spec, sampler), ""
    if reason:
        return None, reason
    try:
        fit = _fit_by_laplace(cells, spec, sampler)
    except (FitError, np.linalg.LinAlgError) as error:
        return None, f"the Laplace engine found no posterior: {error}"
    failed = "; ".join(str(check) for check in fit.checks if not check.passed)
    return (fit, "") if fit.passed else (None, f"the Laplace engine failed its checks: {failed}")


def _try_all(
    jobs: Sequence[tuple[PrevalenceSpec, Cells]], sampler: SamplerSpec, workers: int
) -> Iterator[tuple[Fit | None, str]]:
    """Run the Laplace engine on every job, in order; one process after another or side by side."""
    if workers == 1 or len(jobs) == 1:
        return (_try_laplace(cells, spec, sampler) for spec, cells in jobs)
    from joblib import Parallel, delayed

    runner = Parallel(n_jobs=workers, return_as="generator", batch_size=max(1, min(16, len(jobs) // (4 * workers))))
    return iter(runner(delayed(_try_laplace)(cells, spec, sampler) for spec, cells in jobs))


def fit_model(
    cells: Cells,
    spec: PrevalenceSpec | None = None,
    sampler: SamplerSpec | None = None,
    *,
    progress: Progress = no_progress,
) -> Fit:
    """Fit a prevalence model to cells.

    Parameters
    ----------
    cells
        Effective counts per cell.
    spec
        The model; the default specification if omitted.
    sampler
        Engine and settings; by default the Laplace engine where it applies and its diagnostics pass, else NUTS.
    progress
        Called with a stage, steps done and steps in all; see `riskmodels.fit.progress.show_progress`.

    Returns
    -------
    Fit
        Read `fit.passed` first: a fit that failed its checks cannot be released. `fit.engine` and
        `fit.engine_reason` say which engine made it and why.

    Raises
    ------
    InputError
        For a specification that the cells cannot carry.
    FitError
        If no usable posterior was found.

    Examples
    --------
    >>> import riskmodels as rm
    >>> cells = rm.load_pack("disrupting-harm").cells(base="all asked").select(indicator=["item_threatened_blackmailed_sexual"])
    >>> fit = rm.fit_model(cells)
    >>> fit.engine, fit.draws["prevalence"].sizes["cell"]
    ('laplace', 12)
    """
    spec, sampler = spec or PrevalenceSpec(), sampler or SamplerSpec()
    spec.terms_for(cells)
    started = time.perf_counter()
    progress("exploring", 0, 1)
    fit, reason = _try_laplace(cells, spec, sampler)
    progress("exploring", 1, 1)
    if fit is not None:
        return fit
    progress("compiling", 0, 1)
    compiled = compile_prevalence(cells, spec)
    progress("compiling", 1, 1)
    return _make_fit(cells, spec, sampler, compiled.sample(sampler, progress), started, reason)


def fit_many(
    specs: PrevalenceSpec | Sequence[PrevalenceSpec],
    cells: Cells | Sequence[Cells],
    sampler: SamplerSpec | None = None,
    *,
    workers: int = 1,
) -> Iterator[Fit]:
    """Fit many specifications to the same cells, one specification to many sets of cells, or pairs of both.

    Parameters
    ----------
    specs, cells
        One, or as many of one as of the other.
    sampler
        As in `fit_model`.
    workers
        Processes that fit side by side, one thread of linear algebra each; only cells travel to them.

    Yields
    ------
    Fit
        One per pair, in order. Models that only NUTS can fit are compiled again only where specification or layout of
        cells changes from one pair to the next.
    """
    sampler = sampler or SamplerSpec()
    count = max(1 if isinstance(specs, PrevalenceSpec) else len(specs), 1 if isinstance(cells, Cells) else len(cells))
    all_specs = [specs] * count if isinstance(specs, PrevalenceSpec) else list(specs)
    all_cells = [cells] * count if isinstance(cells, Cells) else list(cells)
    if len(all_specs) != len(all_cells):
        raise ValueError(
            f"{len(all_specs)} specifications for {len(all_cells)} sets of cells: give one, or as many of one as of the other"
        )
    jobs = list(zip(all_specs, all_cells, strict=True))
    compiled: dict[tuple[object, ...], CompiledModel] = {}
    for (spec, own), (fit, reason) in zip(jobs, _try_all(jobs, sampler, workers), strict=True):
        started = time.perf_counter()
        if fit is None:
            layout = (
                spec.content_hash,
                own.factors,
                own.index.tobytes(),
                own.same_children.tobytes(),
                centred_factors(own),
            )
            if layout not in compiled:
                compiled = {layout: compile_prevalence(own, spec)}
            fit = _make_fit(
                own, spec, sampler, compiled[layout].with_data(_data_of(own, spec)).sample(sampler), started, reason
            )
        yield fit
