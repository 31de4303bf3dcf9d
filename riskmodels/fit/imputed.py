"""One regression on several completed sets: fits pooled into one mixture of draws, complete cases beside it."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from riskmodels.design.completed_rows import CompletedSet, sets_of_completed, sets_of_drawn
from riskmodels.design.missing_predictors import missing_predictors
from riskmodels.design.regression_clusters import RegressionClusters, regression_clusters
from riskmodels.design.regression_rows import RegressionRows, regression_rows
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.fit.design_adjustment import design_adjusted
from riskmodels.fit.pooling import equal_mixture, missing_information, worst_checks
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.provenance import Fingerprint, hash_of_code, hash_text, version_of
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.imputation import CYCLES, draw_sets
from riskmodels.survey.source import SourceTable

FloatArray = npt.NDArray[np.float64]

IMPUTATION_CODE = (
    "survey/imputation.py",
    "survey/imputation_draws.py",
    "design/missing_predictors.py",
    "design/completed_rows.py",
    "fit/imputed.py",
    "fit/pooling.py",
)
#: Sets made where the user does not say how many.
IMPUTATIONS = 30


@dataclass(frozen=True, eq=False, kw_only=True)
class PooledRegressionFit(CheckedPosterior):
    """Posterior of a regression with missing predictors: an equal mixture of the posteriors of its completed sets.

    It passes where every one of its fits does. What averages over children (predicted shares, marginal effects) is
    computed per completed set and then pooled: `riskmodels.estimates.imputed.pooled_estimates`.

    Parameters
    ----------
    spec
        The model.
    fits
        One fit per completed set. For the rest see `CheckedPosterior`.
    complete_case
        The same model on the children who answered every predictor; None where they are too few (a note says why).
    missing
        Children in the base without an answer per country and predictor: `children`, `share`, `weighted_share`. Internal:
        small counts are not cleared for release.
    """

    spec: RegressionSpec
    fits: tuple[RegressionFit, ...]
    complete_case: RegressionFit | None = None
    missing: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def base(self) -> str:
        """Denominator of the outcome."""
        return self.fits[0].base

    def __repr__(self) -> str:
        """Say what it is in a line."""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        brand = "SYNTHETIC, " if self.fingerprint.synthetic else ""
        children = self.fits[0].rows.n.sum()
        return (
            f"PooledRegressionFit({brand}{self.spec.formula}; {children:,.0f} children, {len(self.fits)} imputations, "
            f"{self.engine}, {self.seconds:.1f} s, {verdict})"
        )

    def _repr_html_(self) -> str:
        children = f"{self.fits[0].rows.n.sum():,.0f} children, {len(self.fits)} imputations"
        return self.summary_in_html(f"{html.escape(self.spec.formula)}; {children}")


def _joined(fits: Sequence[RegressionFit]) -> tuple[xr.Dataset, FloatArray]:
    data, weights = {}, np.zeros(0)
    for name, values in fits[0].posterior.data_vars.items():
        dims = tuple(dim for dim in values.dims if dim not in ("chain", "draw"))
        arrays = [fit.posterior[name].transpose("chain", "draw", *dims).to_numpy() for fit in fits]
        parts, weights = equal_mixture(arrays, [fit.weights for fit in fits])
        data[name] = (("chain", "draw", *dims), np.concatenate(parts, axis=1))
    kept = {str(k): v for k, v in fits[0].posterior.coords.items() if k not in ("chain", "draw")}
    return xr.Dataset(data, coords=kept), weights


def _fingerprint(fits: Sequence[RegressionFit], sampler: SamplerSpec) -> Fingerprint:
    first = fits[0].fingerprint
    more = {"scikit-learn": version_of("scikit-learn"), "imputation code": hash_of_code(*IMPUTATION_CODE)}
    return replace(
        first,
        cells=hash_text("".join(fit.fingerprint.cells for fit in fits)),
        sampler=sampler.content_hash,
        seed=sampler.seed,
        versions=tuple(sorted({**dict(first.versions), **more}.items())),
        source=f"microdata, {len(fits)} imputations",
    )


def _few_imputations(fits: Sequence[RegressionFit]) -> list[Problem]:
    """W148: fewer sets than 100 times the largest fraction of missing information of a coefficient."""
    moments = [_moments(fit) for fit in fits]
    largest = float(missing_information(*(np.array(part) for part in zip(*moments))).fraction.max())
    if len(fits) >= 100 * largest:
        return []
    what = f"few imputations for a fraction of missing information of {largest:.2f}: another seed moves intervals"
    remedy = f"use imputations={int(np.ceil(100 * largest))} for figures to be published"
    return [Problem("W148", what, "imputations", len(fits), remedy)]


def _moments(fit: RegressionFit) -> tuple[FloatArray, FloatArray]:
    values = fit.posterior["coefficient"].transpose("chain", "draw", "term").to_numpy()
    flat = values.reshape(-1, values.shape[-1])
    own = fit.draw_weights.ravel()
    mean = own @ flat
    return mean, own @ (flat - mean) ** 2


def pool_fits(
    fits: Sequence[RegressionFit],
    sampler: SamplerSpec,
    *,
    complete_case: RegressionFit | None = None,
    missing: pd.DataFrame | None = None,
    notes: Sequence[Problem] = (),
    seconds: float | None = None,
) -> PooledRegressionFit:
    """Pool fits of one specification to completed sets: an equal mixture of their draws, their worst verdicts.

    Parameters
    ----------
    fits
        One per completed set.
    sampler
        Settings of the whole.
    complete_case, missing, notes, seconds
        As in `PooledRegressionFit`.

    References
    ----------
    Gelman, Carlin, Stern, Dunson, Vehtari & Rubin 2013, Bayesian Data Analysis, 3rd ed., section 18.2 (mixing draws);
    Zhou & Reiter 2010, The American Statistician 64, 159-163 (mixtures of few sets are too narrow); White, Royston &
    Wood 2011, Statistics in Medicine 30, 377-399 (how many sets).
    """
    if not fits:
        raise InputError([Problem("E195", "no completed set", "imputations", 0, "give at least 2")], "imputations")
    posterior, weights = _joined(fits)
    engines = sorted({fit.engine for fit in fits})
    told: dict[tuple[str, str], Problem] = {}
    for note in (note for fit in fits for note in fit.notes):
        told.setdefault((note.code, note.where), note)  # sets differ in figures, not in what a reader must know
    few = _few_imputations(fits) if len(fits) > 1 else []
    return PooledRegressionFit(
        spec=fits[0].spec,
        fits=tuple(fits),
        complete_case=complete_case,
        missing=pd.DataFrame() if missing is None else missing,
        sampler=sampler,
        posterior=posterior,
        checks=worst_checks([fit.checks for fit in fits]),
        fingerprint=_fingerprint(fits, sampler),
        seconds=sum(fit.seconds for fit in fits) if seconds is None else seconds,
        notes=(*notes, *told.values(), *few),
        weights=weights,
        engine=" and ".join(engines),
        engine_reason=f"{len(fits)} imputations, {weights.size:,} weighted draws",
    )


def _fit_one(
    rows: RegressionRows, spec: RegressionSpec, sampler: SamplerSpec, clusters: RegressionClusters | None
) -> RegressionFit:
    fit = fit_regression(rows, spec, sampler)
    return fit if clusters is None else design_adjusted(fit, clusters)


def _fit_each(
    rows: Sequence[RegressionRows],
    spec: RegressionSpec,
    sampler: SamplerSpec,
    clusters: Sequence[RegressionClusters | None],
    workers: int,
) -> Iterator[RegressionFit]:
    from joblib import Parallel, delayed

    jobs = (
        delayed(_fit_one)(own, spec, replace(sampler, seed=sampler.seed + number), its)
        for number, (own, its) in enumerate(zip(rows, clusters, strict=True))
    )
    return iter(Parallel(n_jobs=workers, return_as="generator")(jobs))


def fit_imputed(
    rows: Sequence[RegressionRows],
    spec: RegressionSpec,
    sampler: SamplerSpec | None = None,
    *,
    clusters: Sequence[RegressionClusters] | None = None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> PooledRegressionFit:
    """Fit one regression to the rows of every completed set and pool the draws.

    Parameters
    ----------
    rows
        One per completed set.
    spec, sampler
        As in `fit_regression`; set k is drawn with the seed plus k.
    clusters
        Children of every set per PSU or replicate: each fit is adjusted for the sampling design, then they are pooled.
    workers
        Processes side by side.
    progress
        Called with ``"fitting imputations"``, fits done and fits in all.

    Returns
    -------
    PooledRegressionFit
        Passes where every fit passes.

    Raises
    ------
    InputError, FitError
        As `fit_regression`, for the first set that cannot be fitted.
    """
    sampler = sampler or SamplerSpec()
    started = time.perf_counter()
    fits: list[RegressionFit] = []
    each = [None] * len(rows) if clusters is None else list(clusters)
    for fit in _fit_each(rows, spec, sampler, each, workers):
        fits.append(fit)
        progress("fitting imputations", len(fits), len(rows))
    return pool_fits(fits, sampler, seconds=time.perf_counter() - started)


def _complete_case(
    codebook: Codebook, source: SourceTable, spec: RegressionSpec, sampler: SamplerSpec, design_adjust: bool
) -> tuple[RegressionFit | None, list[Problem]]:
    """The fit to complete cases; a note with the codes of what forbids it where it cannot be made."""
    try:
        rows = regression_rows(codebook, source, spec.outcome, spec.predictors, base=spec.base)
        clusters = regression_clusters(codebook, source, spec.outcome, rows) if design_adjust else None
        return _fit_one(rows, spec, sampler, clusters), []
    except InputError as error:
        codes = ", ".join(sorted({problem.code for problem in error.problems if problem.stops}))
        what = f"complete cases alone cannot be fitted ({codes}): no figure stands beside the imputed ones"
        return None, [Problem("I149", what, spec.outcome, 1, "read the imputed figures with care")]


def impute_and_fit(
    codebook: Codebook,
    source: SourceTable,
    spec: RegressionSpec,
    *,
    imputations: int | Sequence[pd.DataFrame] = IMPUTATIONS,
    auxiliary: Sequence[str] = (),
    cycles: int = CYCLES,
    design_adjust: bool = False,
    seed: int | None = None,
    sampler: SamplerSpec | None = None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> PooledRegressionFit:
    """Fill missing predictors several times, fit every completed set, pool the draws; complete cases beside.

    Parameters
    ----------
    codebook, source
        The study.
    spec
        The regression.
    imputations
        How many completed sets to draw; or completed copies of the survey made elsewhere, see `rows_of_completed`.
    auxiliary
        Variables that are no predictors but help to fill gaps.
    cycles
        Rounds of each chain.
    design_adjust
        Adjust every fit, which must have ``weights="pseudo"``, for the sampling design, then pool: the covariance within
        sets is that of the design, the covariance between sets is added by pooling (Rubin 1987, chapter 3).
    seed
        Seed of the imputations; the sampler's where None.
    sampler, workers, progress
        As in `fit_imputed`; progress is also told ``"imputing"``.

    Returns
    -------
    PooledRegressionFit
        `coefficient_estimates` works on it; `missing` counts the children whose gaps were filled, raw and weighted.
        Where nothing is missing it holds one fit.

    Raises
    ------
    InputError
        As `missing_predictors`, `rows_of_completed`, `fit_regression`; E195 for fewer than 2 imputations.

    References
    ----------
    Rubin 1987, Multiple imputation for nonresponse in surveys; how gaps are filled: `riskmodels.survey.imputation`.

    Examples
    --------
    >>> import riskmodels as rm
    >>> from riskmodels.models.regression_spec import regression_formula
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> spec = regression_formula("any_risk ~ gender + age")
    >>> fit = impute_and_fit(survey.codebook, survey.source, spec, imputations=2)
    >>> len(fit.fits), fit.passed
    (2, True)
    """
    sampler = sampler or SamplerSpec()
    count = imputations if isinstance(imputations, int) else len(imputations)
    problems = []
    if design_adjust and spec.outcome not in codebook.indicators and spec.outcome in codebook.variables:
        what, remedy = "the adjustment for the design covers yes/no outcomes only", "use an indicator"
        problems.append(Problem("E195", what, spec.outcome, 1, remedy))
    if count < 2:
        problems.append(Problem("E195", "fewer than 2 imputations", "imputations", 1, f"use {IMPUTATIONS}"))
    if cycles < 1:
        problems.append(Problem("E195", "fewer than 1 cycle", "cycles", 1, f"use {CYCLES}"))
    if design_adjust and spec.weights != "pseudo":
        what, remedy = f"weights={spec.weights!r} cannot be adjusted for the design", 'fit with weights="pseudo"'
        problems.append(Problem("E195", what, "weights", 1, remedy))
    raise_if_stopping(problems, "imputations")
    started = time.perf_counter()
    missing = missing_predictors(codebook, source, spec.outcome, spec.terms, base=spec.base, auxiliary=auxiliary)
    if isinstance(imputations, int):
        needed = count if any(name in missing.predictors for name in missing.answers.incomplete) else 1
        chosen = sampler.seed if seed is None else seed
        sets = draw_sets(missing.answers, needed, seed=chosen, cycles=cycles, workers=workers, progress=progress)
        found: tuple[CompletedSet, ...] = sets_of_drawn(codebook, missing, sets)
    else:
        found = sets_of_completed(codebook, missing, imputations)
    clusters = [one.clusters(spec.outcome) for one in found] if design_adjust else None
    rows = [one.rows for one in found]
    pooled = fit_imputed(rows, spec, sampler, clusters=clusters, workers=workers, progress=progress)
    complete, told = _complete_case(codebook, source, spec, sampler, design_adjust)
    return replace(
        pooled,
        complete_case=complete,
        missing=missing.missing,
        notes=(*missing.notes, *told, *pooled.notes),
        seconds=time.perf_counter() - started,
    )
