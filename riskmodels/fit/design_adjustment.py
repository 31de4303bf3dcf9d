"""Design adjustment: intervals of a weighted regression that know of clusters, strata and unequal weights.

A pseudo-likelihood counts each child by its weight as if children were drawn one by one, so its posterior is too narrow
(or, for contrasts within PSUs, too wide). Here its draws are moved, without a new fit, until their covariance is what
the sampling design implies.

*Parameters moved*: the shared coefficients ``beta`` and the deviations ``u_c`` of the countries from them, together:
``theta = (beta, u_1 ... u_C)``. Standard deviations and correlations between countries stay as they were fitted: they
are not score equations of the children, and they already hold what clusters add to the differences between countries.
They are too large by about that much (the excess of the design-based over the pseudo-variance of a country's
coefficients), so adjusted intervals of countries err to the cautious side; ``weights="effective"`` has no such excess.

*H* is the curvature of the log posterior given the spread between countries: ``H = sum_c A_c' I_c A_c + P``, with
``I_c = sum w p (1 - p) x x'`` the pseudo-information of a country's total coefficients ``beta + u_c = A_c theta`` and
``P`` the prior's precision: those of the coefficients, and the inverse of the posterior mean of the covariance between
countries for every ``u_c``.

*The meat* is ``K = sum_c A_c' J_c A_c + P``, with ``J_c`` the design-based covariance of the country's score (PSUs
within strata, replicate weights, or children), by the linearised jackknife: scores of PSUs that drew the estimate
towards themselves are read as a step from the estimate without them (`design.score_covariance`). ``P`` belongs in
it: the estimate solves ``score - P theta = 0``, hence
``estimate - theta = H^-1 (score - P theta)``, where the score has covariance J and ``P theta`` has covariance P, since
country effects are themselves drawn from their distribution. Leaving P out (the sandwich as it is used for global
parameters) takes shrinkage for precision, and intervals of small countries collapse. With one coefficient, the variance
changes by ``(d I + P) / (I + P)``: in full by the design effect d where the data speak, not at all where the prior does.
With flat priors and one country this is ``H^-1 J H^-1``.

*The map*: ``theta -> mean + T (theta - mean)`` with ``T = V sqrt(m) V' H`` from the eigenproblem ``K V = H V m``,
``V' H V = 1``. It turns a covariance of ``H^-1`` into ``H^-1 K H^-1``, keeps every mean, is the identity where K = H, and
moves draws least in the metric of the posterior, whatever the order of coefficients. The eigenvalues ``m`` are never
negative, so no variance can turn into NaN.

*Few PSUs*: a country's J_c has rank PSUs minus strata at most, and is drawn towards what the design does in the other
countries; see `design_effects_pooled`.

References
----------
Williams & Savitsky 2021, International Statistical Review 89, 72-107 (the map for global parameters); Williams,
McGuire & Savitsky, arXiv 2510.09401 (multi-level models need country effects adjusted with care); Ribatet, Cooley &
Davison 2012, Statistica Sinica 22, 813-845; Yung & Rao 1996, Survey Methodology 22, 23-31 (linearised jackknife). The
meat with P and the pooling of design effects are derived above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import linalg, special

from riskmodels.design.regression_clusters import RegressionClusters
from riskmodels.design.regression_rows import refuse_ordered
from riskmodels.design.score_covariance import score_covariance
from riskmodels.errors import InputError, Problem
from riskmodels.fit.checks import CheckResult, check_convergence, check_weighted
from riskmodels.fit.design_effects_pooled import information_root, pooled_design_effects
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.priors import Prior
from riskmodels.models.regression_design import own_design, shared_design
from riskmodels.provenance import hash_of_code

FloatArray = npt.NDArray[np.float64]

#: Degrees of freedom (PSUs minus strata, over all countries) below which design effects are not measured.
DEGREES = 5
#: Name of the adjustment among the versions of a fingerprint.
ADJUSTMENT = "design adjustment"
ADJUSTMENT_CODE = (
    "fit/design_adjustment.py",
    "fit/design_effects_pooled.py",
    "design/regression_clusters.py",
    "design/score_covariance.py",
    "design/direct",
    "design/sampling.py",
)


@dataclass(frozen=True, eq=False)
class Curvature:
    """The two matrices of the adjustment, for ``theta = (beta, u_1, ..., u_C)``.

    Parameters
    ----------
    bread
        H: curvature of the log posterior given the spread between countries.
    meat
        K: covariance of what the estimate solves.
    effects
        Design effects per country, in units of its own information, shape (countries, coefficients, coefficients).
    """

    bread: FloatArray
    meat: FloatArray
    effects: FloatArray


def _prior_precision(prior: Prior, value: float) -> float:
    """Precision of a prior; that of a Student-t as its normal mixture has it at the estimate."""
    distance = (value - float(prior.location or 0.0)) / float(prior.scale or 1.0)
    weight = 1.0
    if prior.family == "student_t" and prior.degrees is not None:
        weight = (prior.degrees + 1) / (prior.degrees + distance**2)
    return weight / float(prior.scale or 1.0) ** 2


def _shared_precision(fit: RegressionFit, shared: FloatArray, mean: FloatArray) -> FloatArray:
    """Prior precision of the coefficients; the intercept's prior is that of the average child."""
    priors = fit.spec.prior_set
    average = np.average(shared, axis=0, weights=fit.rows.n)
    average[0] = 1.0
    found = _prior_precision(priors.intercept, float(average @ mean)) * np.outer(average, average)
    for place in range(1, len(mean)):
        found[place, place] += _prior_precision(priors.slope, float(mean[place]))
    return np.asarray(found)


def _spread(fit: RegressionFit, weights: FloatArray) -> FloatArray:
    """Posterior mean of the covariance between countries of the varying coefficients."""
    sd = fit.posterior["country_sd"].transpose("chain", "draw", "varying").to_numpy()
    correlation = np.eye(sd.shape[-1])
    if "country_correlation" in fit.posterior:
        correlation = fit.posterior["country_correlation"].transpose("chain", "draw", "varying", ...).to_numpy()
    return np.asarray(np.einsum("cs,csij->ij", weights, sd[..., :, None] * sd[..., None, :] * correlation))


def _theta(fit: RegressionFit, place: list[int]) -> FloatArray:
    """Draws of the coefficients and of every country's deviations from them, shape (chain, draw, parameters)."""
    names = ("chain", "draw", "term")
    beta = fit.posterior["coefficient"].transpose(*names).to_numpy()
    if not place:
        return beta
    average = fit.posterior["average_coefficient"].transpose(*names).to_numpy()
    deviation = fit.posterior["country_deviation"].transpose("chain", "draw", "country", "varying").to_numpy()
    effects = deviation + (average - beta)[..., None, place]
    return np.concatenate([beta, effects.reshape(*beta.shape[:2], -1)], axis=-1)


def _place(fit: RegressionFit) -> list[int]:
    """Which coefficients vary by country."""
    if "country_deviation" not in fit.posterior:
        return []
    names = [str(name) for name in fit.posterior["term"].to_numpy()]
    return [names.index(str(name)) for name in fit.posterior["varying"].to_numpy()]


def curvature(fit: RegressionFit, clusters: RegressionClusters) -> Curvature:
    """Bread and meat of the adjustment; see the module's words.

    Parameters
    ----------
    fit
        A pseudo-likelihood fit.
    clusters
        Its children per PSU, or under replicate weights.
    """
    rows, place, weights = fit.rows, _place(fit), fit.draw_weights
    _, shared = shared_design(fit.spec, rows, rows.values)
    countries, size = len(rows.countries), shared.shape[1]
    mean = np.einsum("cs,csq->q", weights, _theta(fit, place))
    eta = shared @ mean[:size]
    if place:
        _, own = own_design(fit.spec, rows, rows.values)
        eta = eta + (own * mean[size:].reshape(countries, len(place))[rows.country]).sum(axis=1)
    share = special.expit(eta)
    information = np.zeros((countries, size, size))
    worth = rows.weight * share * (1 - share)
    np.add.at(information, rows.country, worth[:, None, None] * shared[:, :, None] * shared[:, None, :])
    prior = np.zeros((len(mean), len(mean)))
    prior[:size, :size] = _shared_precision(fit, shared, mean[:size])
    if place:
        precision = np.linalg.inv(_spread(fit, weights))
        prior[size:, size:] = np.kron(np.eye(countries), precision)
    root, _ = information_root(information)
    turned = np.swapaxes(root, -1, -2)
    bread = _assembled(root @ turned, place) + prior
    own = _of_countries(np.linalg.inv(bread), countries, size, place)
    scores = score_covariance(clusters, rows.country, shared, share, own)
    effects = pooled_design_effects(information, scores, clusters.degrees)
    return Curvature(bread, _assembled(root @ effects @ turned, place) + prior, effects)


def _of_countries(covariance: FloatArray, countries: int, size: int, place: list[int]) -> FloatArray:
    """Covariance ``A_c V A_c'`` of every country's own coefficients, shape (countries, size, size)."""
    varying = len(place)
    found = np.zeros((countries, size, size))
    for number in range(countries):
        choose = np.zeros((size, len(covariance)))
        choose[:, :size] = np.eye(size)
        choose[place, size + number * varying + np.arange(varying)] = 1.0
        found[number] = choose @ covariance @ choose.T
    return found


def _assembled(parts: FloatArray, place: list[int]) -> FloatArray:
    """Sum of ``A_c' M_c A_c`` over countries, where ``A_c`` adds a country's deviations to the coefficients."""
    countries, size = parts.shape[:2]
    varying = len(place)
    full = np.zeros((size + countries * varying,) * 2)
    full[:size, :size] = parts.sum(axis=0)
    for number in range(countries if varying else 0):
        at = slice(size + number * varying, size + (number + 1) * varying)
        full[at, at] = parts[number][np.ix_(place, place)]
        full[at, :size] = parts[number][place]
        full[:size, at] = parts[number][:, place]
    return full


def least_moving_map(bread: FloatArray, meat: FloatArray) -> FloatArray:
    """The linear map that turns a covariance ``H^-1`` into ``H^-1 K H^-1`` and moves least in the metric of H.

    Parameters
    ----------
    bread, meat
        H (positive definite) and K (positive semi-definite).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(least_moving_map(np.diag([4.0, 1.0]), np.diag([16.0, 1.0])), 12).tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """
    values, vectors = linalg.eigh(meat, bread)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T @ bread)


def _moved(fit: RegressionFit, change: FloatArray, place: list[int]) -> xr.Dataset:
    theta, weights = _theta(fit, place), fit.draw_weights
    mean = np.einsum("cs,csq->q", weights, theta)
    moved = mean + (theta - mean) @ change.T
    posterior = fit.posterior
    size, dims = posterior.sizes["term"], ("chain", "draw", "term")
    beta = moved[..., :size]
    average = beta.copy()
    new: dict[str, tuple[tuple[str, ...], FloatArray]] = {"coefficient": (dims, beta)}
    if place:
        effects = moved[..., size:].reshape(*beta.shape[:2], len(fit.rows.countries), len(place))
        centre = effects.mean(axis=2)
        average[..., place] += centre
        own = np.swapaxes(effects - centre[:, :, None], -1, -2)
        new["country_deviation"] = (("chain", "draw", "varying", "country"), own)
    return posterior.assign({**new, "average_coefficient": (dims, average)})


def _check(fit: RegressionFit, clusters: RegressionClusters) -> None:
    problems = []
    if fit.spec.weights != "pseudo":
        what, remedy = f"weights={fit.spec.weights!r} cannot be adjusted for the design", 'fit with weights="pseudo"'
        problems.append(Problem("E195", what, "weights", 1, remedy))
    if ADJUSTMENT in dict(fit.fingerprint.versions):
        what, remedy = "the fit is adjusted for the design already", "use it as it is"
        problems.append(Problem("E195", what, "fit", 1, remedy))
    if (clusters.rows, clusters.countries) != (len(fit.rows), len(fit.rows.countries)):
        what, remedy = "clusters of other rows than those fitted", "make them from fit.rows"
        problems.append(Problem("E151", what, "clusters", clusters.rows, remedy))
    degrees = float(clusters.degrees.sum())
    if degrees < DEGREES:
        what = f"fewer than {DEGREES} degrees of freedom (PSUs minus strata) in all countries: nothing can be measured"
        remedy = 'check stratum and PSU in [design], or state that children were drawn one by one and use weights="effective"'
        problems.append(Problem("E124", what, "[design]", int(degrees), remedy))
    if problems:
        raise InputError(problems, "design adjustment")


def _notes(clusters: RegressionClusters, found: Curvature) -> tuple[Problem, ...]:
    root = np.sqrt(np.einsum("cii->ci", found.effects))
    low, high = float(root[:, 0].min()), float(root[:, 0].max())
    what = (
        f"intervals are adjusted for the sampling design ({clusters.units}): standard errors of a country's level "
        f"change by {low:.2f} to {high:.2f} before shrinkage"
    )
    remedy = "quote them in place of the unadjusted; SDs between countries are not adjusted"
    notes = [Problem("I124", what, "countries", clusters.countries, remedy)]
    if clusters.units == "children":
        what = "the codebook declares no PSUs: every child counts as drawn by itself"
        notes.append(Problem("W123", what, "[design] psu", 1, "declare the PSUs if children were sampled in groups"))
    few = int((clusters.degrees < DEGREES).sum())
    if few:
        what = f"countries with fewer than {DEGREES} PSUs minus strata take their design effects from the others"
        notes.append(Problem("W124", what, "countries", few, "declare more PSUs or strata if there were any"))
    return tuple(notes)


def design_adjusted(fit: RegressionFit, clusters: RegressionClusters) -> RegressionFit:
    """Adjust the draws of a weighted regression for clusters, strata and unequal weights, without fitting again.

    Parameters
    ----------
    fit
        A fit with ``weights="pseudo"``, by either engine, made now or read from disk.
    clusters
        Children of ``fit.rows`` per PSU or under replicate weights, from `regression_clusters`.

    Returns
    -------
    RegressionFit
        A new record with its own fingerprint; point estimates stay, intervals of coefficients, of country effects and
        of everything made of them (predictions, marginal effects) are those of the design. SDs and correlations
        between countries are as fitted. `notes` says by how much standard errors of a country's level change.

    Raises
    ------
    InputError
        E195 for other weights than ``"pseudo"`` or a fit adjusted already, E151 for clusters of other rows, E124 for
        too few PSUs in all countries, E121 (lonely PSUs).

    Examples
    --------
    >>> import riskmodels as rm
    >>> from riskmodels.design.regression_clusters import regression_clusters
    >>> from riskmodels.fit.design_adjustment import design_adjusted
    >>> from riskmodels.models.regression_spec import regression_formula
    >>> study = rm.load_study("data/synthetic/invented/study.toml")
    >>> spec = regression_formula("any_risk ~ gender + (1 | country)", weights="pseudo")
    >>> fit = study.regression(spec, sampler=rm.SamplerSpec(engine="laplace"))
    >>> clusters = regression_clusters(study.survey.codebook, study.survey.source, "any_risk", fit.rows)
    >>> "I124" in {note.code for note in design_adjusted(fit, clusters).notes}
    True

    References
    ----------
    Williams & Savitsky 2021, International Statistical Review 89, 72-107.
    """
    refuse_ordered(fit.rows.outcome_levels, "the adjustment for the design")
    _check(fit, clusters)
    found = curvature(fit, clusters)
    posterior = _moved(fit, least_moving_map(found.bread, found.meat), _place(fit))
    versions = {
        **dict(fit.fingerprint.versions),
        ADJUSTMENT: hash_of_code(*ADJUSTMENT_CODE),
        f"{ADJUSTMENT}: clusters": clusters.content_hash,
    }
    return replace(
        fit,
        posterior=posterior,
        checks=(*fit.checks, *_checks(fit, posterior)),
        fingerprint=replace(fit.fingerprint, versions=tuple(sorted(versions.items()))),
        notes=(*fit.notes, *_notes(clusters, found)),
        engine_reason=f"{fit.engine_reason}; draws adjusted for the sampling design",
    )


def _checks(fit: RegressionFit, posterior: xr.Dataset) -> list[CheckResult]:
    """The gate, for the adjusted parameters."""
    names = [name for name in ("coefficient", "average_coefficient", "country_deviation") if name in posterior]
    values = {name: posterior[name].transpose("chain", "draw", ...).to_numpy() for name in names}
    if fit.weights is None:
        return check_convergence(values, "adjusted parameters")
    return check_weighted(values, fit.weights, "adjusted parameters")
