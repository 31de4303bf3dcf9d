"""CheckedPosterior: draws, their weights, the gate's verdicts and the identity behind them; what every fit is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.errors import GateError, Problem
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.sampler import SamplerSpec
from riskmodels.fit.weighting import equal_weight_draws
from riskmodels.provenance import Fingerprint

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedPosterior:
    """A posterior that was judged, whatever the model.

    Parameters
    ----------
    sampler
        How it was made.
    posterior
        Posterior draws, dims (chain, draw, ...), to be used together with `weights`; most users want `draws`.
    checks
        Verdicts of the gate.
    fingerprint
        Identity of the result.
    seconds
        Wall time.
    notes
        What a reader must know.
    weights
        Importance weight of every draw, shape (chain, draw), summing to one; None where all draws count the same.
    engine, engine_reason
        ``"laplace"`` or ``"nuts"``, and why it was this one.
    """

    sampler: SamplerSpec
    posterior: xr.Dataset
    checks: tuple[CheckResult, ...]
    fingerprint: Fingerprint
    seconds: float
    notes: tuple[Problem, ...] = field(default=())
    weights: FloatArray | None = None
    engine: str = "nuts"
    engine_reason: str = ""

    @property
    def base(self) -> str:
        """Denominator of what was fitted."""
        raise NotImplementedError

    @property
    def draw_weights(self) -> FloatArray:
        """Weight of every draw, shape (chain, draw), summing to one, whichever engine made them."""
        if self.weights is not None:
            return self.weights
        shape = (self.posterior.sizes["chain"], self.posterior.sizes["draw"])
        return np.full(shape, 1 / (shape[0] * shape[1]))

    @cached_property
    def draws(self) -> xr.Dataset:
        """Posterior draws that all count the same, dims (chain, draw, ...)."""
        if self.weights is None:
            return self.posterior
        return equal_weight_draws(self.posterior, self.weights, self.sampler.seed)

    @property
    def passed(self) -> bool:
        """Whether every check passed; never where none was run."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def require_passed(self) -> None:
        """Raise `GateError` with the failed checks unless all passed."""
        if not self.passed:
            failed = "\n".join(f"  {check}" for check in self.checks if not check.passed)
            raise GateError(
                f"the fit did not pass its checks, its numbers cannot be released:\n{failed}\n"
                "raise draws or target_accept, or simplify the model"
            )

    def summary_in_html(self, what: str) -> str:
        """How it was made and what the gate said, as a table; `what` says what was fitted."""
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.fingerprint.synthetic else ""
        rows = "".join(
            f"<tr><td>{'&#10003;' if c.passed else '&#10007; FAILED'}</td><td>{c.name}</td><td>{c.value:.4g}</td><td>{c.rule}</td></tr>"
            for c in self.checks
        )
        shape = " x ".join(str(self.posterior.sizes[dim]) for dim in ("chain", "draw"))
        engine = f"engine {self.engine} ({self.engine_reason})"
        head = f"<p>Fit {self.fingerprint.id}: {what}, {engine}, {shape} draws, {self.seconds:.1f} s</p>"
        table = f"<table><tr><th></th><th>check</th><th>worst value</th><th>needed</th></tr>{rows}</table>"
        return banner + head + table
