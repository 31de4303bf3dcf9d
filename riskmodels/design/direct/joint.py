"""Several proportions or ratios at once, with their covariances: indicators answered by the same children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskmodels.design.direct import taylor
from riskmodels.design.direct.records import FloatArray, IntArray, LonelyPsu
from riskmodels.design.direct.sample import Numbers, check_weights, numbers_of
from riskmodels.design.direct.units import (
    SOURCE,
    Labels,
    Strata,
    check_labels,
    check_policy,
    codes_of,
    locate_units,
    settle,
)
from riskmodels.errors import Problem, raise_if_stopping


@dataclass(frozen=True, eq=False)
class JointRatios:
    """Ratios of totals and their design-based covariance.

    Parameters
    ----------
    estimate
        Ratios, in the order of the columns given; NaN where the denominator is zero.
    covariance
        Covariance matrix; NaN in rows and columns of ratios that cannot be estimated.
    """

    estimate: FloatArray
    covariance: FloatArray

    @property
    def standard_error(self) -> FloatArray:
        """Standard errors: the root of the diagonal."""
        return np.sqrt(np.diag(self.covariance))


def _matrix(values: npt.ArrayLike, name: str) -> tuple[FloatArray, list[Problem]]:
    """Read as a matrix of float64; E163 where something is text, which no message repeats."""
    try:
        matrix = np.array(values, dtype=np.float64)
    except (ValueError, TypeError):
        what = "text, or rows of unequal length, where numbers belong"
        return np.zeros((0, 0)), [Problem("E163", what, name, 1, "code the answers as numbers first")]
    return (matrix[:, None] if matrix.ndim == 1 else matrix), []


def _check_matrices(top: FloatArray, bottom: FloatArray) -> list[Problem]:
    problems = []
    if top.shape != bottom.shape:
        what = "numerators and denominators of different shapes"
        problems.append(Problem("E151", what, "denominators", len(bottom), "give one denominator per numerator"))
    unknown = int((~np.isfinite(top)).sum() + (~np.isfinite(bottom)).sum())
    if unknown:
        where = "numerators, denominators"
        problems.append(Problem("E112", "missing or infinite totals", where, unknown, "give 0 outside the base"))
    return problems


def _joint(top: FloatArray, bottom: FloatArray) -> tuple[FloatArray, FloatArray]:
    total = bottom.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return top.sum(axis=0) / total, 1 / total


def _blank(estimate: FloatArray, covariance: FloatArray) -> FloatArray:
    unknown = ~np.isfinite(estimate)
    return np.where(unknown[:, None] | unknown[None, :], np.nan, covariance)


def covariance_of_ratios(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    *,
    stratum: Labels | None = None,
    psu: Labels | None = None,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
) -> JointRatios:
    """Ratios of totals and their covariance matrix, the whole sampling design kept.

    Parameters
    ----------
    numerators, denominators
        Row x estimate: weighted totals (``w y``, ``w x``) of each PSU, or of each child with `psu` given; 0 where the
        row has no member of the estimate's base. *Every* PSU of the sample needs a row, also one of zeros.
    stratum, psu, country, lonely_psu
        As in `direct_proportion`; without `psu` every row is a PSU.

    Returns
    -------
    JointRatios
        Estimates may be indicators, domains, or both: a column per pair. Off the diagonal stands how much two
        estimates move together from sample to sample because they stand on the same children or the same PSUs. Under
        ``"average"`` a stratum counts as holding a base where the denominator is above zero.

    Raises
    ------
    InputError
        E112, E151 (totals), E120, E121, E122 (design), E195 (options).

    Examples
    --------
    Two indicators answered by the same four children, synthetic:

    >>> import numpy as np
    >>> from riskmodels.design.direct import covariance_of_ratios
    >>> found = covariance_of_ratios([[1, 1], [0, 0], [0, 1], [0, 0]], np.ones((4, 2)))
    >>> found.estimate.tolist(), np.round(found.covariance, 4).tolist()
    ([0.25, 0.5], [[0.0625, 0.0417], [0.0417, 0.0833]])

    References
    ----------
    Binder 1983, International Statistical Review 51, 279-292.
    """
    (top, of_top), (bottom, of_bottom) = _matrix(numerators, "numerators"), _matrix(denominators, "denominators")
    raise_if_stopping(of_top + of_bottom, SOURCE)
    rows = len(top)
    problems = _check_matrices(top, bottom) + check_policy(lonely_psu)
    raise_if_stopping(problems + check_labels({"country": country, "stratum": stratum, "psu": psu}, rows), SOURCE)
    units = locate_units(country, stratum, psu, rows, lonely_psu)
    if psu is not None:
        top, bottom = (_add(values, units.row_unit, len(units.stratum)) for values in (top, bottom))
    estimate, inverse = _joint(top, bottom)
    z = np.nan_to_num((top - estimate * bottom) * inverse)
    covariance = taylor.covariance_of_units(units.strata, units.stratum, z, bottom != 0)
    return JointRatios(estimate, _blank(estimate, covariance))


def _add(values: FloatArray, place: IntArray, size: int) -> FloatArray:
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, place, values)
    return total


def covariance_of_proportions(
    answers: npt.NDArray[Any],
    weight: Numbers,
    *,
    stratum: Labels | None = None,
    psu: Labels | None = None,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
) -> JointRatios:
    """Proportions of several indicators answered by the same children, and their covariance matrix.

    Parameters
    ----------
    answers
        Child x indicator: 1 affected, 0 not, NaN outside the base. An indicator within a domain is a column that is
        NaN outside it.
    weight, stratum, psu, country, lonely_psu
        As in `direct_proportion`.

    Returns
    -------
    JointRatios
        Proportions and their covariance.

    Raises
    ------
    InputError
        As `direct_proportion`.

    Examples
    --------
    >>> import numpy as np
    >>> from riskmodels.design.direct import covariance_of_proportions
    >>> answers = np.array([[1, 1], [0, np.nan], [0, 1], [0, 0]], dtype=float)
    >>> np.round(covariance_of_proportions(answers, [1, 1, 1, 1]).estimate, 4).tolist()
    [0.25, 0.6667]
    """
    (matrix, problems), (weights, text) = _matrix(answers, "answers"), numbers_of(weight, "weight")
    raise_if_stopping(problems + text, SOURCE)
    if len(matrix) != len(weights):
        what = "answers of another number of rows than the weights"
        raise_if_stopping([Problem("E151", what, "answers", len(matrix), f"give {len(weights)} rows")], SOURCE)
    other = int((~np.isnan(matrix) & (matrix != 0) & (matrix != 1)).sum())
    found = check_weights(weights)
    if other:
        found.append(
            Problem("E160", "answers other than 0, 1 or missing", "answers", other, "code 1 for affected, 0 for not")
        )
    raise_if_stopping(found, SOURCE)
    held = ~np.isnan(matrix)
    return covariance_of_ratios(
        np.where(held, matrix, 0.0) * weights[:, None],
        held * weights[:, None],
        stratum=stratum,
        psu=psu,
        country=country,
        lonely_psu=lonely_psu,
    )


def covariance_from_sums(
    psus: npt.ArrayLike,
    totals: npt.ArrayLike,
    products: npt.ArrayLike,
    *,
    country: Labels | None = None,
    lonely_psu: LonelyPsu = "error",
) -> JointRatios:
    """Ratios and their covariance from sums and cross-products per stratum, as SQL makes them.

    Parameters
    ----------
    psus
        PSUs (children, where each is its own PSU) in each stratum of the whole sample.
    totals
        Stratum x 2K: sums over PSUs of the K numerators, then of the K denominators.
    products
        Stratum x 2K x 2K: sums over PSUs of the products of every two of those (``w^2 y_a y_b``, ``w^2 y_a x_b`` ...).
    country
        Country of each stratum.
    lonely_psu
        As in `direct_proportion`; ``"merge"`` goes by the order of the strata given.

    Returns
    -------
    JointRatios
        The same, to rounding, as `covariance_of_ratios` gives from PSUs.

    Raises
    ------
    InputError
        E151 (shapes), E121, E122 (design), E195 (options).

    Examples
    --------
    >>> import numpy as np
    >>> from riskmodels.design.direct import covariance_from_sums
    >>> v = np.array([[1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]], dtype=float)
    >>> found = covariance_from_sums([4], [v.sum(axis=0)], [v.T @ v])
    >>> np.round(found.covariance, 4).tolist()
    [[0.0625, 0.0417], [0.0417, 0.0833]]
    """
    counts, sums, cross = np.asarray(psus, np.int64), np.asarray(totals, float), np.asarray(products, float)
    size = sums.shape[1] if sums.ndim == 2 else 0
    problems = check_policy(lonely_psu) + check_labels({"country": country}, len(counts))
    if (counts < 1).any():
        few = int((counts < 1).sum())
        problems.append(Problem("E180", "strata with fewer than one PSU", "psus", few, "leave such strata out"))
    if size % 2 or size == 0 or len(sums) != len(counts) or cross.shape != (len(counts), size, size):
        what = "sums and cross-products that do not fit together"
        problems.append(Problem("E151", what, "totals, products", len(sums), "give S, S x 2K and S x 2K x 2K numbers"))
    raise_if_stopping(problems, SOURCE)
    place = _strata_of(counts, country, lonely_psu)
    settled, group = settle(place)
    sums, cross = _add(sums, group, len(settled)), _add(cross, group, len(settled))
    half = size // 2
    estimate, inverse = _joint(sums[:, :half], sums[:, half:])
    slope = np.hstack([np.diag(np.nan_to_num(inverse)), np.diag(np.nan_to_num(-estimate * inverse))])
    z = sums @ slope.T
    spread = np.einsum("ap,spq,bq->sab", slope, cross, slope)
    covariance = taylor.covariance_of_sums(settled, z, spread, sums[:, half:] != 0)
    return JointRatios(estimate, _blank(estimate, covariance))


def _strata_of(psus: IntArray, country: Labels | None, lonely_psu: LonelyPsu) -> Strata:
    code = np.zeros(len(psus), np.int64) if country is None else codes_of(country)[0]
    return Strata(code, psus, tuple(f"stratum {place + 1}" for place in range(len(psus))), lonely_psu)
