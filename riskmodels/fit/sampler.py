"""The one seam to a sampler: compile a PyMC graph once, draw from its posterior with NUTS."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from riskmodels.errors import FitError, Problem, raise_if_stopping
from riskmodels.provenance import hash_record

Engine = Literal["auto", "laplace", "nuts"]
Progress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class SamplerSpec:
    """Engine and settings of a fit.

    Parameters
    ----------
    engine
        ``"auto"``: the Laplace engine with importance weights where it applies and its diagnostics pass, else NUTS;
        ``"laplace"`` or ``"nuts"`` insist.
    weighted_draws
        Draws of the Laplace engine; more are added by itself if too few are effective.
    draws, tune
        Kept and adaptation draws per chain of NUTS.
    chains
        Independent chains; at least 2, since convergence cannot be judged from one.
    seed
        Same seed, versions and machine: identical draws.
    target_accept
        Target acceptance of NUTS; raise towards 1 if transitions diverge.
    """

    engine: Engine = "auto"
    weighted_draws: int = 4000
    draws: int = 2000
    tune: int = 1000
    chains: int = 4
    seed: int = 2026
    target_accept: float = 0.9

    def __post_init__(self) -> None:
        """Refuse absurd settings, all at once (E196)."""
        problems = []
        if self.engine not in ("auto", "laplace", "nuts"):
            problems.append(Problem("E196", "no such engine", "engine", 1, "choose among auto, laplace, nuts"))
        for name, least, remedy in (
            ("weighted_draws", 500, "use 4000 or more"),
            ("draws", 100, "use 1000 or more"),
            ("tune", 100, "use 500 or more"),
            ("chains", 2, "use 4: convergence cannot be judged from one chain"),
            ("seed", 0, "use a whole number from 0"),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                problems.append(Problem("E196", f"{name} must be a whole number of at least {least}", name, 1, remedy))
        if not 0.5 <= self.target_accept < 1:
            problems.append(Problem("E196", "target_accept must lie in [0.5, 1)", "target_accept", 1, "use 0.9"))
        if isinstance(self.seed, int) and self.seed >= 2**63:
            problems.append(Problem("E196", "seed is too large", "seed", 1, "use a number below 2**63"))
        raise_if_stopping(problems, "SamplerSpec")

    @property
    def content_hash(self) -> str:
        """Equal for equal settings, the seed left out."""
        return hash_record({key: value for key, value in asdict(self).items() if key != "seed"})


@dataclass(frozen=True)
class SampledDraws:
    """What a sampler gives back: posterior draws and statistics of the run, dims (chain, draw, ...)."""

    posterior: xr.Dataset
    statistics: xr.Dataset


def quiet_import() -> Any:
    """Import PyMC without PyTensor's remark on a missing BLAS, which numba does not use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*BLAS.*")
        import pymc

        return pymc


class CompiledModel:
    """A compiled posterior that can be sampled again with other counts of the same shape."""

    def __init__(self, model: Any) -> None:
        quiet_import()
        import nutpie
        import pytensor

        # Without fast-math the compiled density does not depend on how much of it came from the compilation
        # cache, so a first and a second run give the same draws to the last bit.
        with pytensor.config.change_flags(numba__fastmath=False), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*BLAS.*")
            self._compiled = nutpie.compile_pymc_model(model)

    def with_data(self, data: Mapping[str, np.ndarray]) -> CompiledModel:
        """Give the same posterior with other observed counts; nothing is compiled."""
        other = object.__new__(CompiledModel)
        other._compiled = self._compiled.with_data(**data)
        return other

    def sample(self, spec: SamplerSpec, progress: Progress = no_progress) -> SampledDraws:
        """Draw from the posterior.

        Parameters
        ----------
        spec
            Sampler settings.
        progress
            Called with a stage, draws done and draws in all.

        Raises
        ------
        FitError
            If any draw is not finite.
        KeyboardInterrupt
            Passed on at once; no partial draws are returned.
        """
        import nutpie

        total = spec.chains * (spec.draws + spec.tune)

        def report(chains: list[Any]) -> None:
            progress("sampling", sum(chain.finished_draws for chain in chains), total)

        with threadpool_limits(limits=1):
            running = nutpie.sample(
                self._compiled,
                draws=spec.draws,
                tune=spec.tune,
                chains=spec.chains,
                cores=min(spec.chains, os.cpu_count() or 1),
                seed=spec.seed,
                target_accept=spec.target_accept,
                progress_bar=False,
                progress_callback=report,
                progress_rate=200,
                save_warmup=False,
                blocking=False,
            )
            try:
                tree = running.wait()
            except KeyboardInterrupt:
                running.cancel()
                raise
        progress("sampling", total, total)
        posterior, statistics = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
        broken = [str(name) for name, values in posterior.items() if not np.isfinite(values.to_numpy()).all()]
        if broken or posterior.sizes["draw"] != spec.draws or posterior.sizes["chain"] != spec.chains:
            raise FitError(
                f"the sampler gave draws that are missing or not finite ({', '.join(broken[:5]) or 'too few draws'}); check cells and priors"
            )
        return SampledDraws(posterior=posterior, statistics=statistics)
