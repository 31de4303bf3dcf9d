"""Design effects of a country's coefficients, countries with few PSUs leaning on the others.

A country's score covariance J_c has rank PSUs minus strata at most. In units of the country's own information
(``D_c = L^-1 J_c L^-T``, ``L L' = I_c``, the intercept first) it is a matrix of design effects, and these are alike
between countries: their mean over countries, by degrees of freedom, is what a country has without PSUs of its own, and
``D_c`` is drawn towards it: its own part is ``t / (t + 2 / df_c)``, where t is the relative variance of design effects
between countries beyond the ``2 / df_c`` that few PSUs give. The mean itself is drawn towards its diagonal, by
``p / (df + p)`` for p coefficients, which makes it regular; eigenvalues below `LEAST` are lifted to it. Variances are
widened by the square of Student's t over the normal quantile at the degrees of freedom, as those of cells are
(`design.sampling.t_penalty`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riskmodels.design.sampling import t_penalty

FloatArray = npt.NDArray[np.float64]

#: Least design effect kept in any direction.
LEAST = 0.2
#: A coefficient whose information given those before it is below this share of its own is not told apart.
NOT_TOLD_APART = 1e-9


def information_root(information: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Cholesky factors per country, and which coefficients are told apart; columns of the others are zero."""
    size = information.shape[-1]
    root = np.zeros_like(information)
    found = np.zeros(information.shape[:2], dtype=bool)
    for j in range(size):
        below = information[:, j:, j] - np.einsum("cik,ck->ci", root[:, j:, :j], root[:, j, :j])
        told = below[:, 0] > NOT_TOLD_APART * np.maximum(information[:, j, j], 1e-300)
        pivot = np.sqrt(np.where(told, below[:, 0], 1.0))
        root[:, j:, j] = np.where(told[:, None], below / pivot[:, None], 0.0)
        found[:, j] = told
    return root, found


def _in_units(scores: FloatArray, root: FloatArray, told: npt.NDArray[np.bool_]) -> FloatArray:
    full = root + (~told)[:, :, None] * np.eye(root.shape[-1])
    half = np.linalg.solve(full, scores)
    return np.asarray(np.linalg.solve(full, np.swapaxes(half, -1, -2)))


def _lifted(effects: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(0.5 * (effects + np.swapaxes(effects, -1, -2)))
    return np.asarray(np.einsum("...ik,...k,...jk->...ij", vectors, np.maximum(values, LEAST), vectors))


def pooled_design_effects(information: FloatArray, scores: FloatArray, degrees: FloatArray) -> FloatArray:
    """Design effects of each country's coefficients, those of countries with few PSUs drawn towards the mean of all.

    Parameters
    ----------
    information
        Pseudo-information per country, shape (countries, coefficients, coefficients).
    scores
        Design-based covariance of the scores, same shape.
    degrees
        PSUs minus strata per country.

    Returns
    -------
    numpy.ndarray
        Same shape, in units of ``L`` (``L L'`` the information): 1 on the diagonal for children drawn one by one; every
        eigenvalue at least `LEAST`.

    Examples
    --------
    A country of two PSUs takes the mean of the others, synthetic:

    >>> import numpy as np
    >>> one = np.ones((3, 1, 1))
    >>> found = pooled_design_effects(one, np.array([3.0, 3.0, 0.1])[:, None, None], np.array([99.0, 99.0, 1.0]))
    >>> bool(found[2, 0, 0] > 2)
    True
    """
    root, told = information_root(information)
    own = _in_units(scores, root, told)
    size = own.shape[-1]
    counts = told[:, :, None] & told[:, None, :]
    weight = degrees[:, None, None] * counts
    total = weight.sum(axis=0)
    mean = np.where(total > 0, (weight * own).sum(axis=0) / np.maximum(total, 1e-300), np.eye(size))
    every = float(degrees.sum())
    diagonal = np.diagonal(mean)
    ratio = np.einsum("cii->ci", own) / np.maximum(diagonal, 1e-300) - 1
    worth = degrees[:, None] * told
    usable = np.maximum(degrees, 1.0)[:, None]
    excess = (worth * (ratio**2 - 2 / usable)).sum() / max(worth.sum(), 1e-300)
    countries = int((degrees > 0).sum())
    between = max(0.0, excess) * countries / max(countries - 1, 1)
    mean = (every * mean + size * np.diag(diagonal)) / (every + size)
    kept = np.where(degrees > 0, between / (between + 2 / np.maximum(degrees, 1.0)), 0.0)
    if countries < 2:
        kept = np.zeros(len(degrees))  # the mean is the country's own
    shrunk = kept[:, None, None] * own + (1 - kept)[:, None, None] * mean
    known = 1 / (kept**2 / np.maximum(degrees, 1.0) + (1 - kept**2) / every)
    return _lifted(shrunk) / t_penalty(known)[:, None, None]
