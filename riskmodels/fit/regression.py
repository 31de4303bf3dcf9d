"""Fits of regressions: the fast engine where its diagnostics pass, NUTS otherwise."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.design.regression_rows import RegressionRows, check_rows
from riskmodels.errors import FitError, Problem
from riskmodels.fit.checks import check_convergence, check_pareto, check_sampler, check_weighted
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.fit.sampler import CompiledModel, Progress, SamplerSpec, no_progress
from riskmodels.fit.tailed_proposal import draw_with_tails
from riskmodels.fit.weighting import smoothed_weights
from riskmodels.models.latent_regression import latent_regression, regression_draws
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.provenance import Fingerprint, hash_of_code, installed_versions

FloatArray = npt.NDArray[np.float64]

REGRESSION_CODE = ("models", "fit", "design/regression_rows.py")


@dataclass(frozen=True, eq=False, kw_only=True)
class RegressionFit(CheckedPosterior):
    """Posterior of a regression.

    `posterior` holds `coefficient` (of the population of countries, as brms reports it), `average_coefficient` (of the
    countries at hand), `threshold` of an ordered outcome, `country_deviation`, `country_sd` and `country_correlation`; dims (chain, draw, ...).

    Parameters
    ----------
    spec, rows
        What was fitted to what. For the rest see `CheckedPosterior`.
    """

    spec: RegressionSpec
    rows: RegressionRows

    @property
    def base(self) -> str:
        """Denominator of the outcome."""
        return self.rows.base

    def __repr__(self) -> str:
        """Say what it is in a line."""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        brand = "SYNTHETIC, " if self.rows.synthetic else ""
        return f"RegressionFit({brand}{self.spec.formula}; {self.rows.n.sum():,.0f} children, {self.engine}, {self.seconds:.1f} s, {verdict})"

    def _repr_html_(self) -> str:
        return self.summary_in_html(f"{html.escape(self.spec.formula)}; {self.rows.n.sum():,.0f} children")


def regression_fingerprint(rows: RegressionRows, spec: RegressionSpec, sampler: SamplerSpec) -> Fingerprint:
    """Identity of the fit of a regression to these rows."""
    versions = {**installed_versions(), "model code": hash_of_code(*REGRESSION_CODE)}
    return Fingerprint(
        cells=rows.content_hash,
        spec=spec.content_hash,
        sampler=sampler.content_hash,
        seed=sampler.seed,
        versions=tuple(sorted(versions.items())),
        synthetic=rows.synthetic,
        source="microdata",
    )


def _judged(posterior: xr.Dataset) -> dict[str, np.ndarray]:
    found = {str(name): values.to_numpy() for name, values in posterior.items() if name != "country_correlation"}
    if "country_correlation" in posterior:
        matrix = posterior["country_correlation"].to_numpy()
        first, second = np.tril_indices(matrix.shape[-1], -1)
        found["country_correlation"] = matrix[..., first, second]
    return found


def _by_laplace(
    rows: RegressionRows, spec: RegressionSpec, sampler: SamplerSpec, draws: int, notes: Sequence[Problem]
) -> RegressionFit:
    started = time.perf_counter()
    model = latent_regression(rows, spec)
    found = draw_with_tails(model.latent, draws, sampler.seed)
    posterior, change = regression_draws(model, rows.countries.levels, found.zeta, found.h, found.v, sampler.seed)
    with np.errstate(divide="ignore"):
        log_weights = np.maximum(np.log(found.weights) + change, -700.0)
    weights, pareto = smoothed_weights(log_weights.ravel())
    weights = weights.reshape(found.weights.shape)
    checks = (check_pareto(max(pareto, found.pareto_k)), *check_weighted(_judged(posterior), weights, "parameters"))
    reason = f"k-hat {max(pareto, found.pareto_k):.2f}, {weights.size:,} weighted draws"
    return RegressionFit(
        spec=spec,
        rows=rows,
        sampler=sampler,
        posterior=posterior,
        checks=checks,
        fingerprint=regression_fingerprint(rows, spec, sampler),
        seconds=time.perf_counter() - started,
        engine="laplace",
        engine_reason=reason,
        notes=tuple(notes),
        weights=weights,
    )


def reported_draws(posterior: xr.Dataset) -> xr.Dataset:
    """What a sampler drew, in the terms of a `RegressionFit`: deviations of countries from the countries at hand."""
    names = ("coefficient", "threshold", "country_deviation", "country_sd", "country_correlation")
    kept = posterior[[name for name in names if name in posterior]]
    average = kept["coefficient"].copy()
    if "country_deviation" in kept:
        mean = kept["country_deviation"].mean("country")
        for name in kept["varying"].to_numpy():
            average.loc[{"term": name}] += mean.sel(varying=name).drop_vars("varying")
        kept = kept.assign(country_deviation=kept["country_deviation"] - mean)
    return kept.assign(average_coefficient=average)


def _by_nuts(
    rows: RegressionRows,
    spec: RegressionSpec,
    sampler: SamplerSpec,
    reason: str,
    notes: Sequence[Problem],
    progress: Progress,
) -> RegressionFit:
    from riskmodels.models.regression import build_regression_model

    started = time.perf_counter()
    progress("compiling", 0, 1)
    compiled = CompiledModel(build_regression_model(rows, spec))
    progress("compiling", 1, 1)
    sampled = compiled.sample(sampler, progress)
    kept = reported_draws(sampled.posterior)
    checks = (
        *check_convergence(_judged(kept), "parameters"),
        *check_sampler(sampled.statistics["diverging"].to_numpy(), sampled.statistics["energy"].to_numpy()),
    )
    return RegressionFit(
        spec=spec,
        rows=rows,
        sampler=sampler,
        posterior=kept,
        checks=checks,
        fingerprint=regression_fingerprint(rows, spec, sampler),
        seconds=time.perf_counter() - started,
        engine="nuts",
        engine_reason=reason,
        notes=tuple(notes),
    )


def why_not_laplace(spec: RegressionSpec) -> str:
    """Say why the Laplace engine does not cover a specification; empty where it does."""
    if spec.monotonic:
        return "the likelihood of monotonic effects is not log-concave"
    return "a horseshoe prior is not log-concave" if spec.horseshoe else ""


def fit_regression(
    rows: RegressionRows, spec: RegressionSpec, sampler: SamplerSpec | None = None, *, progress: Progress = no_progress
) -> RegressionFit:
    """Fit a hierarchical logistic regression: of a yes/no outcome, or of ordered levels (cumulative logit).

    Parameters
    ----------
    rows
        Collapsed survey, from `regression_rows`.
    spec
        The model.
    sampler
        Engine and settings; the fast engine where its diagnostics pass, else NUTS.
    progress
        As in `fit_model`.

    Returns
    -------
    RegressionFit
        Read `passed` first.

    Raises
    ------
    InputError
        E141, E147 before anything is sampled.
    FitError
        If no usable posterior was found.
    """
    sampler = sampler or SamplerSpec()
    names, design = shared_design(spec, rows, rows.values)
    notes = check_rows(rows, len(names) - 1, design, names)
    if sampler.engine == "nuts":
        return _by_nuts(rows, spec, sampler, "asked for", notes, progress)
    reason = why_not_laplace(spec)
    if reason:
        if sampler.engine == "laplace":
            raise FitError(f"the Laplace engine cannot fit this: {reason}; use engine='auto' or 'nuts'")
        return _by_nuts(rows, spec, sampler, reason, notes, progress)
    progress("exploring", 0, 1)
    try:
        fit = _by_laplace(rows, spec, sampler, sampler.weighted_draws, notes)
        if not fit.passed:
            fit = _by_laplace(rows, spec, sampler, 4 * sampler.weighted_draws, notes)
    except (FitError, np.linalg.LinAlgError) as error:
        if sampler.engine == "laplace":
            raise
        return _by_nuts(rows, spec, sampler, f"the Laplace engine found no posterior: {error}", notes, progress)
    progress("exploring", 1, 1)
    if fit.passed or sampler.engine == "laplace":
        return fit
    failed = "; ".join(str(check) for check in fit.checks if not check.passed)
    return _by_nuts(rows, spec, sampler, f"the Laplace engine failed its checks: {failed}", notes, progress)
