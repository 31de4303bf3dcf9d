"""Fits of the skill pathway: importance weights where their diagnostics pass, Hamiltonian Monte Carlo otherwise."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.design.skill_checks import check_skill_rows
from riskmodels.design.skill_rows import SkillRows
from riskmodels.errors import FitError, Problem
from riskmodels.fit.checks import CheckResult, at_most, check_convergence, check_pareto, check_sampler, check_weighted
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.fit.skill_approximation import SkillApproximation, approximate
from riskmodels.fit.skill_hmc import sample
from riskmodels.fit.skill_importance import SkillDraws, weighted_draws
from riskmodels.fit.skill_natural import known_skill, natural_draws
from riskmodels.fit.weighting import smoothed_weights
from riskmodels.models.skill_arrays import SkillArrays, skill_arrays
from riskmodels.models.skill_kernel import SkillKernel
from riskmodels.models.skill_posterior import SkillPosterior
from riskmodels.models.skill_spec import SkillPathwaySpec
from riskmodels.provenance import Fingerprint, hash_of_code, installed_versions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SKILL_CODE = ("models", "fit", "design/skill_rows.py")
#: Draws added, in multiples of those asked for, while too few are effective.
MORE_DRAWS = (1, 1, 1, 1)
#: Draws per chain of Hamiltonian Monte Carlo: first, and at most twice as often doubled.
FIRST_DRAWS, TUNING = 500, 200
#: Error of the log likelihood, against three times the nodes, above which more nodes are asked for.
NODE_ERROR = 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class SkillFit(CheckedPosterior):
    """Posterior of a skill pathway.

    `posterior` holds the arrays of `skill_natural.natural_draws`, dims (chain, draw, ...).

    Parameters
    ----------
    spec, rows
        What was fitted to what. For the rest see `CheckedPosterior`.
    arrays
        The rows as the likelihood saw them: cells (country x covariates) and centred covariates.
    """

    spec: SkillPathwaySpec
    rows: SkillRows
    arrays: SkillArrays

    @property
    def base(self) -> str:
        """Denominator of exposure."""
        return self.rows.base

    def __repr__(self) -> str:
        """Say what it is in a line."""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        brand = "SYNTHETIC, " if self.rows.synthetic else ""
        size = f"{self.rows.n.sum():,.0f} children"
        return f"SkillFit({brand}{self.spec.formula}; {size}, {self.spec.measurement}, {self.engine}, {self.seconds:.1f} s, {verdict})"

    def _repr_html_(self) -> str:
        return self.summary_in_html(f"{html.escape(self.spec.formula)}; {self.rows.n.sum():,.0f} children")


def _fingerprint(rows: SkillRows, spec: SkillPathwaySpec, sampler: SamplerSpec) -> Fingerprint:
    versions = {**installed_versions(), "model code": hash_of_code(*SKILL_CODE)}
    return Fingerprint(
        cells=rows.content_hash,
        spec=spec.content_hash,
        sampler=sampler.content_hash,
        seed=sampler.seed,
        versions=tuple(sorted(versions.items())),
        synthetic=rows.synthetic,
        source="microdata",
    )


def _judged(posterior: xr.Dataset) -> dict[str, FloatArray]:
    """Parameters that vary; the level of distress at the average of countries is its thresholds."""
    found = {}
    for name, values in posterior.items():
        flat = values.to_numpy().reshape(*values.shape[:2], -1)
        moving = np.ptp(flat, axis=(0, 1)) > 0
        if moving.any():
            found[str(name)] = flat[..., moving]
    return found


def _nodes_check(approximation: SkillApproximation) -> CheckResult:
    """Whether three times the nodes give the same likelihood at the mode."""
    posterior = approximation.posterior
    point = posterior.point(posterior.natural(approximation.mode))
    finer = SkillKernel(posterior.arrays, 3 * posterior.spec.nodes, posterior.spec.rho).value(point)
    return at_most(
        "error of summing over skill", "log likelihood", abs(posterior.kernel.value(point) - finer), NODE_ERROR
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """What an engine gives back."""

    posterior: xr.Dataset
    checks: tuple[CheckResult, ...]
    reason: str
    engine: str
    weights: FloatArray | None = None


def _joined(parts: list[SkillDraws]) -> tuple[SkillDraws, FloatArray]:
    logs = np.concatenate([part.log_weights for part in parts if part.log_weights is not None], axis=1)
    x, sd = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("x", "sd"))
    return SkillDraws(x, sd, logs), logs


def _by_weights(
    approximation: SkillApproximation, rows: SkillRows, sampler: SamplerSpec, extra: tuple[CheckResult, ...]
) -> _Found:
    """Weighted draws, more of them while only their number is wanting."""
    posterior = approximation.posterior
    parts: list[SkillDraws] = []
    for round_, multiple in enumerate(MORE_DRAWS):
        parts.append(weighted_draws(approximation, multiple * sampler.weighted_draws, sampler.seed + 7919 * round_))
        joined, logs = _joined(parts)
        weights, pareto = smoothed_weights(logs.ravel())
        weights = weights.reshape(logs.shape)
        draws = natural_draws(posterior, rows, joined)
        checks = (check_pareto(pareto), *check_weighted(_judged(draws), weights, "parameters"), *extra)
        if all(check.passed for check in checks) or not checks[0].passed:
            break
    reason = f"k-hat {pareto:.2f}, {weights.size:,} weighted draws"
    return _Found(draws, checks, reason, "laplace", weights)


def _by_hmc(
    approximation: SkillApproximation,
    rows: SkillRows,
    sampler: SamplerSpec,
    reason: str,
    extra: tuple[CheckResult, ...],
) -> _Found:
    """Hamiltonian Monte Carlo, longer while the checks fail and the sampler's draws allow."""
    draws = min(FIRST_DRAWS, sampler.draws)
    while True:
        found = sample(
            approximation,
            chains=sampler.chains,
            tune=min(TUNING, sampler.tune),
            draws=draws,
            target=sampler.target_accept,
            seed=sampler.seed,
        )
        kept = natural_draws(approximation.posterior, rows, found.draws)
        checks = (
            *check_convergence(_judged(kept), "parameters"),
            *check_sampler(found.diverging, found.energy),
            *extra,
        )
        if all(check.passed for check in checks) or draws >= sampler.draws:
            return _Found(kept, checks, reason, "hmc")
        draws = min(2 * draws, sampler.draws)


def fit_skills(
    rows: SkillRows, spec: SkillPathwaySpec, sampler: SamplerSpec | None = None, *, progress: Progress = no_progress
) -> SkillFit:
    """Fit skill -> exposure -> coping -> distress, skill measured with error by its items.

    Parameters
    ----------
    rows
        Collapsed survey, from `skill_rows`.
    spec
        The model.
    sampler
        Engine and settings: ``"laplace"`` weighted draws, ``"nuts"`` Hamiltonian Monte Carlo (at most `draws` a chain),
        ``"auto"`` the first where its diagnostics pass.
    progress
        As in `fit_model`.

    Returns
    -------
    SkillFit
        Read `passed` first.

    Raises
    ------
    InputError
        E201-E203, E206-E208 before anything is fitted.
    FitError
        If no mode was found.

    Examples
    --------
    >>> from riskmodels.models.skill_simulation import SkillTruth, simulate_skills
    >>> rows = simulate_skills(SkillTruth(countries=1, children=600, girl=None), seed=3).rows
    >>> spec = SkillPathwaySpec(tuple(item.name for item in rows.items), "exposed", rows.strategies.levels, "distress")
    >>> fit = fit_skills(rows, spec, SamplerSpec(weighted_draws=2000))
    >>> fit.passed, fit.engine
    (True, 'laplace')
    """
    sampler, started = sampler or SamplerSpec(), time.perf_counter()
    notes: tuple[Problem, ...] = (*rows.warnings, *check_skill_rows(rows))
    progress("exploring", 0, 1)
    posterior = SkillPosterior(skill_arrays(rows, spec, known_skill(rows, spec)), spec)
    try:
        approximation = approximate(posterior)
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"no approximation of the posterior was found ({error}); use fewer covariates or items"
        ) from error
    extra = (_nodes_check(approximation),) if posterior.kernel.latent else ()
    if sampler.engine == "nuts":
        found = _by_hmc(approximation, rows, sampler, "asked for", extra)
    else:
        found = _by_weights(approximation, rows, sampler, extra)
        if sampler.engine == "auto" and not all(check.passed for check in found.checks):
            failed = "; ".join(str(check) for check in found.checks if not check.passed)
            found = _by_hmc(approximation, rows, sampler, f"weighted draws failed their checks: {failed}", extra)
    progress("exploring", 1, 1)
    return SkillFit(
        spec=spec,
        rows=rows,
        arrays=posterior.arrays,
        sampler=sampler,
        posterior=found.posterior,
        checks=found.checks,
        fingerprint=_fingerprint(rows, spec, sampler),
        seconds=time.perf_counter() - started,
        engine=found.engine,
        engine_reason=found.reason,
        notes=notes,
        weights=found.weights,
    )
