"""Likelihood of joint answers under one or two latent factors, integrated out by quadrature.

``logit P(risk j | f, cell) = a[cell, j] + loading[j] . f`` with standard normal `f`. Nothing is held per child: rows are
combinations of answers of one cell, answers that are not known drop out of the product over risks. With
``e^(a + loading f) = e^a e^(loading f)`` the costly functions are evaluated per cell and risk and per risk and node only;
the rest is products, in compiled loops.

References
----------
Bock & Aitkin 1981, Psychometrika 46, 443-459 (marginal likelihood by quadrature).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models.joint_margins import has_risk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Distance between neighbouring nodes, by the number of factors; half of it must give the same (checked in every fit).
STEP = {1: 0.2, 2: 0.5}
#: Nodes lie this far from the centre at most; beyond lie 2e-7 (one factor: 2e-9, at 6) of the children.
REACH = {1: 6.0, 2: 5.5}


def quadrature(factors: int, step: float | None = None) -> tuple[FloatArray, FloatArray]:
    """Nodes (nodes, factors) and weights, summing to one, of independent standard normals.

    Parameters
    ----------
    factors
        1 or 2.
    step
        Distance of neighbouring nodes; the default of `STEP` where None.

    Notes
    -----
    Evenly spaced: the error falls as ``exp(-2 pi^2 / (step * largest loading))``. As many nodes of Gauss-Hermite
    quadrature lie further apart in the middle and reach out to where nobody is: at loadings of 2 to 4 their error was
    ten to a thousand times larger.

    References
    ----------
    Trefethen & Weideman 2014, SIAM Review 56, 385-458.

    Examples
    --------
    >>> where, weight = quadrature(2)
    >>> [float(round(weight @ f**2, 5)) for f in where.T]
    [1.0, 1.0]
    """
    step = STEP[factors] if step is None else step
    count = int(REACH[factors] / step)
    at = step * np.arange(-count, count + 1)
    where = np.stack(np.meshgrid(*[at] * factors, indexing="ij"), axis=-1).reshape(-1, factors)
    squared = (where**2).sum(axis=1)
    where, squared = where[squared <= REACH[factors] ** 2], squared[squared <= REACH[factors] ** 2]
    weight = np.exp(-0.5 * squared)
    return np.ascontiguousarray(where), weight / weight.sum()


@dataclass(frozen=True, eq=False)
class FactorLikelihood:
    """Rows of joint answers, sorted into groups of one cell and one set of known answers.

    Parameters
    ----------
    nodes, weights
        Quadrature.
    count, row_yes
        Of every row: effective children, and its place in `yes`.
    starts
        First row of every group, and the number of rows at the end.
    group_cell, known
        Cell of every group and whether each risk is known in it.
    yes
        Different combinations of "yes", 0 or 1, shape (combinations, risks).
    yes_total
        Effective children with each risk, by cell.
    """

    nodes: FloatArray
    weights: FloatArray
    count: FloatArray
    row_yes: IntArray
    starts: IntArray
    group_cell: IntArray
    known: npt.NDArray[np.bool_]
    yes: FloatArray
    yes_total: FloatArray

    def density_and_gradient(
        self, logits: FloatArray, loadings: FloatArray
    ) -> tuple[float, tuple[FloatArray, FloatArray]]:
        """Weighted log likelihood and its gradient.

        Parameters
        ----------
        logits
            Shape (cells, risks).
        loadings
            Shape (risks, factors).

        Returns
        -------
        tuple
            Sum of `count` times the log probability, minus infinity where it underflows; gradients of both arguments.
        """
        linear = loadings @ self.nodes.T
        odds = np.exp(np.clip(logits, -600.0, 600.0))
        lift = np.exp(np.clip(linear, -600.0, 600.0))
        risen = np.exp(np.clip(self.yes @ linear, -600.0, 600.0))
        total, by_logit, by_lift, by_yes = _likelihood(
            odds,
            lift,
            risen,
            self.weights,
            self.count,
            self.row_yes,
            self.starts,
            self.group_cell,
            self.known,
        )
        total += float((self.yes_total * logits).sum())
        by_linear = self.yes.T @ by_yes - by_lift
        return total, (self.yes_total - by_logit, by_linear @ self.nodes)


def factor_likelihood(counts: JointCounts, factors: int, step: float | None = None) -> FactorLikelihood:
    """Sort joint answers for the likelihood.

    Parameters
    ----------
    counts
        Joint answers.
    factors, step
        As in `quadrature`.
    """
    known = counts.answers != UNKNOWN
    mask = known @ (1 << np.arange(known.shape[1]))
    group, of_row = np.unique(np.column_stack([counts.cell, mask]), axis=0, return_inverse=True)
    order = np.argsort(of_row, kind="stable")
    yes, row_yes = np.unique((counts.answers == 1).astype(float), axis=0, return_inverse=True)
    yes_total = np.zeros((len(counts), known.shape[1]))
    np.add.at(yes_total, counts.cell, counts.count[:, None] * (counts.answers == 1))
    first = np.searchsorted(of_row[order], np.arange(len(group) + 1))
    where, weight = quadrature(factors, step)
    return FactorLikelihood(
        nodes=where,
        weights=weight,
        count=np.ascontiguousarray(counts.count[order]),
        row_yes=np.ascontiguousarray(row_yes[order].astype(np.int64)),
        starts=first.astype(np.int64),
        group_cell=group[:, 0].astype(np.int64),
        known=np.ascontiguousarray(((group[:, 1][:, None] >> np.arange(known.shape[1])) & 1).astype(bool)),
        yes=yes,
        yes_total=yes_total,
    )


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _likelihood(  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    odds, lift, risen, weights, count, row_yes, starts, group_cell, known
):
    """Sum of log probabilities without the part that is linear in logits, and its slopes.

    Slopes: by the logit of every cell and risk (minus), by the linear predictor of every node through "no" (minus), and
    through "yes".
    """
    cells, risks = odds.shape
    nodes = len(weights)
    by_logit = np.zeros((cells, risks))
    by_lift = np.zeros((risks, nodes))
    by_yes = np.zeros((len(risen), nodes))
    no = np.empty((risks, nodes))
    none = np.empty(nodes)
    pulled = np.empty(nodes)
    total = 0.0
    at = -1
    for g in range(len(group_cell)):
        cell = group_cell[g]
        if cell != at:
            at = cell
            for j in range(risks):
                for q in range(nodes):
                    no[j, q] = 1.0 / (1.0 + odds[cell, j] * lift[j, q])
        for q in range(nodes):
            none[q] = weights[q]
            pulled[q] = 0.0
        for j in range(risks):
            if known[g, j]:
                for q in range(nodes):
                    none[q] *= no[j, q]
        for r in range(starts[g], starts[g + 1]):
            u = row_yes[r]
            probability = np.dot(none, risen[u])
            if not probability > 0.0 or not np.isfinite(probability):
                return -np.inf, by_logit, by_lift, by_yes
            total += count[r] * np.log(probability)
            share = count[r] / probability
            for q in range(nodes):
                part = share * none[q] * risen[u, q]
                pulled[q] += part
                by_yes[u, q] += part
        for j in range(risks):
            if known[g, j]:
                own = 0.0
                for q in range(nodes):
                    part = pulled[q] * (1.0 - no[j, q])
                    own += part
                    by_lift[j, q] += part
                by_logit[cell, j] += own
    return total, by_logit, by_lift, by_yes


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _margins(logits, linear, weights):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """P(risk), P(both), P(exactly k) of every cell for one draw."""
    cells, risks = logits.shape
    nodes = len(weights)
    single = np.zeros((cells, risks))
    both = np.zeros((cells, risks * (risks - 1) // 2))
    number = np.zeros((cells, risks + 1))
    p = np.empty(risks)
    exactly = np.empty(risks + 1)
    lift = np.exp(linear)
    for cell in range(cells):
        for q in range(nodes):
            exactly[:] = 0.0
            exactly[0] = weights[q]
            for j in range(risks):
                odds = np.exp(logits[cell, j]) * lift[j, q]
                p[j] = odds / (1.0 + odds)
                for k in range(j + 1, 0, -1):
                    exactly[k] += p[j] * (exactly[k - 1] - exactly[k])
                exactly[0] *= 1.0 - p[j]
            pair = 0
            for i in range(risks):
                single[cell, i] += weights[q] * p[i]
                for j in range(i + 1, risks):
                    both[cell, pair] += weights[q] * p[i] * p[j]
                    pair += 1
            for k in range(risks + 1):
                number[cell, k] += exactly[k]
    return single, both, number


def factor_margins(
    logits: FloatArray, loadings: FloatArray, step: float | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P(risk), P(both of a pair), P(exactly k) of every draw and cell.

    Parameters
    ----------
    logits, loadings
        Draws, shapes (draws, cells, risks) and (draws, risks, factors).
    step
        As in `quadrature`.

    Returns
    -------
    tuple
        Shapes (draws, cells, risks), (draws, cells, pairs), (draws, cells, risks + 1).
    """
    where, weight = quadrature(loadings.shape[-1], step)
    found = [_margins(a, np.ascontiguousarray(loading @ where.T), weight) for a, loading in zip(logits, loadings)]
    return tuple(np.stack(parts) for parts in zip(*found))  # type: ignore[return-value]


def factor_patterns(logits: FloatArray, loadings: FloatArray, step: float | None = None) -> FloatArray:
    """Probabilities of all combinations of answers, shape (cells, 2^risks, draws), numbered by their bits.

    Parameters
    ----------
    logits, loadings, step
        As in `factor_margins`.
    """
    where, weight = quadrature(loadings.shape[-1], step)
    risks = logits.shape[-1]
    has = has_risk(risks)
    out = np.empty((logits.shape[1], 2**risks, len(logits)))
    for draw, (a, loading) in enumerate(zip(logits, loadings)):
        linear = loading @ where.T
        eta = a[:, :, None] + linear
        none = np.exp(np.log(weight) - np.logaddexp(0.0, eta).sum(axis=1))
        out[..., draw] = np.exp(a @ has.T) * (none @ np.exp(has @ linear).T)
    return out
