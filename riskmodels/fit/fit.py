"""Fit: a checked posterior that knows what it was made from, and the functions that make it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from riskmodels.design.cells import Cells
from riskmodels.design.dependence import dependence_between_items
from riskmodels.errors import GateError, Problem
from riskmodels.fit.checks import CheckResult, check_convergence, check_sampler
from riskmodels.fit.sampler import CompiledModel, Progress, SampledDraws, SamplerSpec, no_progress
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.provenance import Fingerprint, hash_of_code, installed_versions

#: Variables that are not kept: functions of others, or a second scale of the same parameter.
NOT_KEPT = ("eta",)
#: Source that decides the draws of given cells: a fit made by other code has another fingerprint.
MODEL_CODE = ("models", "design/dependence.py", "fit/sampler.py")


@dataclass(frozen=True, eq=False)
class Fit:
    """Posterior of a specification on cells.

    Parameters
    ----------
    spec, cells, sampler
        What was fitted to what, and how.
    draws
        Posterior draws, dims (chain, draw, ...); `prevalence` has dims (chain, draw, cell).
    checks
        Verdicts of the gate on every parameter and on every cell's prevalence.
    fingerprint
        Identity of the result.
    seconds
        Wall time of compilation and sampling.
    notes
        What a reader must know: one country, few countries, counts at 0 %.
    """

    spec: PrevalenceSpec
    cells: Cells
    sampler: SamplerSpec
    draws: xr.Dataset
    checks: tuple[CheckResult, ...]
    fingerprint: Fingerprint
    seconds: float
    notes: tuple[Problem, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def require_passed(self) -> None:
        """Raise `GateError` with the failed checks unless all passed."""
        if not self.passed:
            failed = "\n".join(f"  {check}" for check in self.checks if not check.passed)
            raise GateError(f"the fit did not pass its checks, its numbers cannot be released:\n{failed}\nraise draws or target_accept, or simplify the model")

    def _repr_html_(self) -> str:
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.cells.synthetic else ""
        rows = "".join(f"<tr><td>{'&#10003;' if c.passed else '&#10007; FAILED'}</td><td>{c.name}</td><td>{c.value:.4g}</td><td>{c.rule}</td></tr>" for c in self.checks)
        head = f"<p>Fit {self.fingerprint.id}: {len(self.cells)} cells, {self.sampler.chains} x {self.sampler.draws} draws, {self.seconds:.1f} s</p>"
        return f"{banner}{head}<table><tr><th></th><th>check</th><th>worst value</th><th>needed</th></tr>{rows}</table>"


def fingerprint_of(cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec) -> Fingerprint:
    """Identity that a fit of these three would have."""
    return Fingerprint(
        cells=cells.content_hash, spec=spec.content_hash, sampler=sampler.content_hash, seed=sampler.seed,
        versions=tuple(sorted({**installed_versions(), "model code": hash_of_code(*MODEL_CODE)}.items())), synthetic=cells.synthetic, source=cells.source,
    )  # fmt: skip


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


def _checked(sampled: SampledDraws) -> tuple[CheckResult, ...]:
    """Run the gate on every parameter and every cell's prevalence."""
    skip = {*NOT_KEPT, "country_correlation", "prevalence"}
    parameters = {str(name): values.to_numpy() for name, values in sampled.posterior.items() if name not in skip}
    quantities = {"prevalence": sampled.posterior["prevalence"].to_numpy()}
    return (
        *check_convergence(parameters, "parameters"),
        *check_convergence(quantities, "cell prevalences"),
        *check_sampler(sampled.statistics["diverging"].to_numpy(), sampled.statistics["energy"].to_numpy()),
    )


def _make_fit(cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec, sampled: SampledDraws, started: float) -> Fit:
    kept = sampled.posterior.drop_vars([name for name in sampled.posterior if name in NOT_KEPT or str(name).endswith(("_raw", "_packed"))])
    used = {str(dim) for values in kept.data_vars.values() for dim in values.dims}
    kept = kept.drop_vars([name for name in kept.coords if name not in used])
    kept.attrs = {}
    return Fit(
        spec=spec, cells=cells, sampler=sampler, draws=kept, checks=_checked(sampled), fingerprint=fingerprint_of(cells, spec, sampler),
        seconds=time.perf_counter() - started, notes=(*cells.warnings, *spec.terms_for(cells).notes),
    )  # fmt: skip


def fit_model(cells: Cells, spec: PrevalenceSpec | None = None, sampler: SamplerSpec | None = None, *, progress: Progress = no_progress) -> Fit:
    """Fit a prevalence model to cells by NUTS.

    Parameters
    ----------
    cells
        Effective counts per cell.
    spec
        The model; the default specification if omitted.
    sampler
        Sampler settings; 4 chains of 2,000 draws if omitted.
    progress
        Called with a stage, steps done and steps in all; see `riskmodels.fit.progress.show_progress`.

    Returns
    -------
    Fit
        Read `fit.passed` first: a fit that failed its checks cannot be released.

    Examples
    --------
    >>> import riskmodels as rm
    >>> cells = rm.load_pack("disrupting-harm").cells(base="all asked").select(indicator=["item_threatened_blackmailed_sexual"])
    >>> fit = rm.fit_model(cells, sampler=rm.SamplerSpec(draws=1000, tune=500, seed=1))
    >>> fit.draws["prevalence"].sizes["cell"]
    12
    """
    spec, sampler = spec or PrevalenceSpec(), sampler or SamplerSpec()
    spec.terms_for(cells)
    started = time.perf_counter()
    progress("compiling", 0, 1)
    compiled = compile_prevalence(cells, spec)
    progress("compiling", 1, 1)
    return _make_fit(cells, spec, sampler, compiled.sample(sampler, progress), started)


def fit_many(many_cells: Sequence[Cells], spec: PrevalenceSpec, sampler: SamplerSpec) -> Iterator[Fit]:
    """Fit the same specification to several sets of counts of one layout, compiling once.

    Parameters
    ----------
    many_cells
        Cells with the same factors and index; only counts differ.
    spec, sampler
        As in `fit_model`.

    Yields
    ------
    Fit
        One per set of cells, in order.
    """
    if not many_cells:
        return
    first = many_cells[0]
    layout = (first.factors, first.index.tobytes(), first.same_children.tobytes())
    if any((cells.factors, cells.index.tobytes(), cells.same_children.tobytes()) != layout for cells in many_cells):
        raise ValueError("fit_many needs cells with the same factors, levels and groups of children")
    compiled = compile_prevalence(first, spec)
    for cells in many_cells:
        started = time.perf_counter()
        yield _make_fit(cells, spec, sampler, compiled.with_data(_data_of(cells, spec)).sample(sampler), started)
