"""What answers by the same children to several items are worth together: the curvature adjustment.

Nine items answered by the same 1,000 children are not nine samples. The product of nine binomials is a composite
likelihood: each item's own information is right, their joint information is not. Following Chandler & Bate (2007,
Biometrika 94, 167-183) and Ribatet, Cooley & Davison (2012, Statistica Sinica 22, 813-845), the composite
log-likelihood of a group of cells with logits eta is evaluated at ``anchor + C (eta - anchor)``, with C chosen so that
its curvature at the anchor is that of the correlated data: ``C' D C = V^-1``, where D holds each item's information
and V is the sampling covariance of the item logits. The adjusted log-likelihood stays concave, and without correlation
C is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats
from scipy.special import owens_t

from riskmodels.design.cells import Cells
from riskmodels.errors import InputError, Problem

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def bivariate_normal_upper(a: FloatArray, b: FloatArray, correlation: float) -> FloatArray:
    """P(X > a, Y > b) for standard normals with one correlation, by Owen's T function.

    References
    ----------
    Owen 1956, Annals of Mathematical Statistics 27, 1075-1090.
    """
    if correlation == 0:
        return np.asarray(stats.norm.sf(a) * stats.norm.sf(b))
    h, k = -np.asarray(a, dtype=float), -np.asarray(b, dtype=float)
    tiny = 1e-300
    h, k = np.where(h == 0, tiny, h), np.where(k == 0, tiny, k)
    root = np.sqrt(1 - correlation**2)
    opposite = (h * k < 0).astype(float)
    return np.asarray(
        0.5 * (stats.norm.cdf(h) + stats.norm.cdf(k))
        - owens_t(h, (k - correlation * h) / (h * root))
        - owens_t(k, (h - correlation * k) / (k * root))
        - 0.5 * opposite
    )


def within_child_correlation(proportion: FloatArray, tetrachoric: float) -> FloatArray:
    """Correlation between yes/no answers of one child that a tetrachoric correlation implies.

    Parameters
    ----------
    proportion
        Share answering yes per item, shape (items,).
    tetrachoric
        Correlation of the underlying normal liabilities, the same for every pair.

    Returns
    -------
    numpy.ndarray
        Phi coefficients, shape (items, items), ones on the diagonal.

    Examples
    --------
    >>> import numpy as np
    >>> float(within_child_correlation(np.array([0.5, 0.5]), 0.4)[0, 1].round(4))  # 2/pi * arcsin(0.4)
    0.262
    """
    p = np.asarray(proportion, dtype=float)
    threshold = stats.norm.isf(p)
    both = bivariate_normal_upper(threshold[:, None], threshold[None, :], tetrachoric)
    spread = np.sqrt(p * (1 - p))
    correlation = (both - p[:, None] * p[None, :]) / (spread[:, None] * spread[None, :])
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)


@dataclass(frozen=True)
class Dependence:
    """How to read the cells' logits so that children are counted once.

    Parameters
    ----------
    anchor
        Logit around which each cell is read, shape (cells,).
    rotation
        C of each group of cells, padded with the identity, shape (groups, size, size).
    member
        Cell in each place of each group, shape (groups, size); padding repeats the group's first cell.
    place
        Flat place of every cell in `member`, shape (cells,).
    """

    anchor: FloatArray
    rotation: FloatArray
    member: IntArray
    place: IntArray

    def turn(self, step: FloatArray) -> FloatArray:
        """Rotate differences of logits, shape (..., cells), group by group."""
        turned = np.einsum("gij,...gj->...gi", self.rotation, step[..., self.member])
        return np.asarray(turned.reshape(*turned.shape[:-2], self.member.size)[..., self.place])

    def apply(self, eta: FloatArray) -> FloatArray:
        """Rotate logits, shape (..., cells), around the anchor."""
        return np.asarray(self.anchor + self.turn(eta - self.anchor))


def _rotation(n_effective: FloatArray, proportion: FloatArray, correlation: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(correlation)
    inverse_root = (vectors / np.sqrt(values)) @ vectors.T
    root_information = np.sqrt(n_effective * proportion * (1 - proportion))
    return np.asarray(inverse_root * root_information[None, :] / root_information[:, None])


def dependence_between_items(cells: Cells, tetrachoric: float) -> Dependence | None:
    """Build the adjustment for cells that share children, None where no two cells do or the correlation is 0.

    Parameters
    ----------
    cells
        Cells; `same_children` says which were answered by the same children.
    tetrachoric
        Assumed within-child tetrachoric correlation between items, in [0, 1); not used for cells from microdata,
        which carry the correlation of their sampling errors.

    Returns
    -------
    Dependence or None
        The anchor of a cell is its empirical logit ``log((y + 1/2) / (n - y + 1/2))``.
    """
    if not 0 <= tetrachoric < 1:
        raise InputError(
            [
                Problem(
                    "E195",
                    "within-child correlation must lie in [0, 1)",
                    "within_child_correlation",
                    1,
                    "use 0.4, or 0 for independent items",
                )
            ],
            "specification",
        )
    groups = [np.flatnonzero(cells.same_children == group) for group in np.unique(cells.same_children)]
    size = max(len(group) for group in groups)
    measured = cells.sampling_correlation
    if size == 1 or (tetrachoric == 0 and not measured):
        return None
    proportion = (cells.yes_effective + 0.5) / (cells.n_effective + 1)
    rotation = np.tile(np.eye(size), (len(groups), 1, 1))
    member = np.zeros((len(groups), size), dtype=np.int64)
    place = np.zeros(len(cells), dtype=np.int64)
    for number, group in enumerate(groups):
        member[number] = np.concatenate([group, np.full(size - len(group), group[0])])
        place[group] = number * size + np.arange(len(group))
        correlation = measured[number] if measured else within_child_correlation(proportion[group], tetrachoric)
        rotation[number, : len(group), : len(group)] = _rotation(
            cells.n_effective[group], proportion[group], correlation
        )
    return Dependence(anchor=np.asarray(special.logit(proportion)), rotation=rotation, member=member, place=place)
