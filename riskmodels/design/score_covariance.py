"""Design-based covariance of a country's score: PSUs within strata, children, or replicate weights; jackknife.

The score of a country is the weighted sum of ``(y - p) x`` over its children. Its residuals are taken at the estimate,
which was drawn towards the very children it is compared with, most where a PSU holds a large part of the weight; their
spread is then too small. The linearised jackknife mends it: without PSU k of stratum h, and the stratum's others
counted ``n / (n - 1)`` times, the score changes by ``s_k = -n / (n - 1) (z_k - mean z)`` and the information by
``D_k = -n / (n - 1) (I_k - mean I)``, so that one Newton step from the estimate is ``(H + A' D_k A)^-1 A' s_k``, which
is exactly ``H^-1 A' (1 + D_k V)^-1 s_k`` with ``V = A H^-1 A'``, the covariance of the country's coefficients. Scores
are therefore read as ``(1 + D_k V)^-1 s_k``. PSUs that hold equal information are left as they are. The same holds of
replicate weights, whose changes of score and information are known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from riskmodels.design.direct import taylor
from riskmodels.design.direct.units import Strata
from riskmodels.design.regression_clusters import RegressionClusters
from riskmodels.errors import InputError, Problem

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Information that a replicate keeps at least in any direction: a single Newton step cannot tell less apart.
LEAST_KEPT = 0.1


def score_covariance(
    clusters: RegressionClusters,
    country: IntArray,
    design: FloatArray,
    share: FloatArray,
    covariance: FloatArray | None = None,
) -> FloatArray:
    """Design-based covariance of each country's score, the weighted sum of ``(y - p) x`` over its children.

    Parameters
    ----------
    clusters
        From `regression_clusters`.
    country
        Country of every row of the regression.
    design
        Design matrix, shape (rows, coefficients).
    share
        Share affected that the coefficients imply, per row.
    covariance
        Covariance ``A H^-1 A'`` of each country's coefficients, shape (countries, coefficients, coefficients): the
        jackknife. None: no correction for estimated coefficients, plain linearisation. Children who are units of their
        own are so many that it makes no difference, and are linearised.

    Returns
    -------
    numpy.ndarray
        Shape (countries, coefficients, coefficients), in the units of the pseudo-information ``sum w p (1 - p) x x'``:
        equal to it, on average, for children drawn one by one with equal weights.

    Raises
    ------
    InputError
        E121 where the policy ``"average"`` finds no stratum with two PSUs that hold such children.

    References
    ----------
    Binder 1983, International Statistical Review 51, 279-292 (linearisation); Yung & Rao 1996, Survey Methodology 22,
    23-31 (linearised jackknife under stratified multistage designs); Bell & McCaffrey 2002, Survey Methodology 28,
    169-181 (why residuals of few, unequal PSUs spread too little).
    """
    if clusters.units == "replicates":
        return _of_replicates(clusters, country, design, share, covariance)
    p = share[clusters.row]
    residual = clusters.yes * (1 - p) - clusters.other * p
    z = _per_unit(clusters, residual, design)
    if covariance is not None and clusters.units == "PSUs":
        z = _without_each(clusters, z, _information_of_units(clusters, design, p), covariance)
    held = np.bincount(clusters.unit, minlength=len(clusters.stratum)) > 0
    found = np.stack([_of_country(clusters, number, z, held, design, p) for number in range(clusters.countries)])
    if not np.isfinite(found).all():
        remedy = "choose lonely_psu: centred (cautious), or merge"
        lost = int((~np.isfinite(found)).any(axis=(1, 2)).sum())
        what = "countries in which every stratum with such children holds one PSU"
        raise InputError([Problem("E121", what, "lonely_psu", lost, remedy)], "design adjustment")
    return found


def _per_unit(clusters: RegressionClusters, worth: FloatArray, columns: FloatArray) -> FloatArray:
    shape = (len(clusters.stratum), clusters.rows)
    return np.asarray(sparse.csr_matrix((worth, (clusters.unit, clusters.row)), shape=shape) @ columns)


def _products(design: FloatArray) -> FloatArray:
    return np.asarray((design[:, :, None] * design[:, None, :]).reshape(len(design), -1))


def _information_of_units(clusters: RegressionClusters, design: FloatArray, p: FloatArray) -> FloatArray:
    size = design.shape[1]
    found = _per_unit(clusters, (clusters.yes + clusters.other) * p * (1 - p), _products(design))
    return found.reshape(-1, size, size)


def _without_each(
    clusters: RegressionClusters, z: FloatArray, information: FloatArray, covariance: FloatArray
) -> FloatArray:
    """Scores of PSUs as the jackknife reads them; those of lonely PSUs as they are."""
    stratum, psus = clusters.stratum, clusters.strata.psus

    def about_the_mean(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        total = np.zeros((len(psus), *values.shape[1:]))
        np.add.at(total, stratum, values)
        mean = (total / psus.reshape(-1, *[1] * (values.ndim - 1)))[stratum]
        return mean, values - mean

    factor = np.where(psus > 1, psus / np.maximum(psus - 1, 1), 0.0)[stratum]
    mean, about = about_the_mean(z)
    change = -factor[:, None, None] * about_the_mean(information)[1]
    return mean + one_step(about, change, covariance[clusters.strata.country[stratum]])


def one_step(scores: FloatArray, change: FloatArray, covariance: FloatArray) -> FloatArray:
    """Scores s of replicates as ``(1 + D V)^-1 s``, where D changes the information and V is the covariance.

    Parameters
    ----------
    scores
        Shape (replicates, coefficients).
    change, covariance
        D and V, shape (replicates, coefficients, coefficients); V positive definite.

    Examples
    --------
    A PSU that holds half of all information counts double, synthetic:

    >>> import numpy as np
    >>> one_step(np.array([[3.0]]), np.array([[[-5.0]]]), np.array([[[0.1]]])).round(12).tolist()
    [[6.0]]
    """
    root = np.linalg.cholesky(covariance)
    turned = np.swapaxes(root, -1, -2)
    kept, vectors = np.linalg.eigh(np.eye(scores.shape[-1]) + turned @ change @ root)
    inner = np.swapaxes(vectors, -1, -2) @ (turned @ scores[..., None])
    stretched = vectors @ (inner / np.maximum(kept, LEAST_KEPT)[..., None])
    return np.asarray(np.linalg.solve(turned, stretched)[..., 0])


def _of_replicates(
    clusters: RegressionClusters,
    country: IntArray,
    design: FloatArray,
    share: FloatArray,
    covariance: FloatArray | None,
) -> FloatArray:
    size, replicates = design.shape[1], clusters.yes.shape[1]
    change_yes = clusters.yes - clusters.full_yes[:, None]
    change_other = clusters.other - clusters.full_other[:, None]
    residual = change_yes * (1 - share)[:, None] - change_other * share[:, None]
    worth = (change_yes + change_other) * (share * (1 - share))[:, None]
    found = np.zeros((clusters.countries, size, size))
    for number in range(clusters.countries):
        at = country == number
        scores = residual[at].T @ design[at]
        if covariance is not None:
            change = (worth[at].T @ _products(design[at])).reshape(replicates, size, size)
            scores = one_step(scores, change, np.broadcast_to(covariance[number], change.shape))
        found[number] = np.einsum("ri,r,rj->ij", scores, clusters.factor, scores)
    return found


def _of_country(
    clusters: RegressionClusters,
    number: int,
    z: FloatArray,
    held: npt.NDArray[np.bool_],
    design: FloatArray,
    p: FloatArray,
) -> FloatArray:
    """One country's covariance: strata of other countries left out."""
    all_strata = clusters.strata
    own = all_strata.country == number
    place = np.cumsum(own) - 1
    names = tuple(name for name, inside in zip(all_strata.names, own, strict=True) if inside)
    strata = Strata(np.zeros(int(own.sum()), dtype=np.int64), all_strata.psus[own], names, all_strata.lonely_psu)
    at = own[clusters.stratum]
    wide = np.repeat(held[at][:, None], z.shape[1], axis=1)
    if clusters.units == "PSUs":
        return taylor.covariance_of_units(strata, place[clusters.stratum[at]], z[at], wide)
    entry = own[clusters.unit]
    x, q = design[clusters.row[entry]], p[entry]
    squares = clusters.yes_squared[entry] * (1 - q) ** 2 + clusters.other_squared[entry] * q**2
    products = np.zeros((len(strata), x.shape[1], x.shape[1]))
    np.add.at(products, place[clusters.unit[entry]], squares[:, None, None] * x[:, :, None] * x[:, None, :])
    return taylor.covariance_of_sums(strata, z[at], products, wide)
