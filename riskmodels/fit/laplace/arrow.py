"""Linear algebra of arrow-shaped systems: one small block per country, one block that all countries share.

Everything works on many draws at once: matrices have shape (rows, columns, ..., draws), so each step of a small
factorisation is one vectorised operation over countries and draws.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def cholesky(matrix: FloatArray) -> FloatArray:
    """Lower Cholesky factor of matrices of shape (k, k, ...); NaN where one is not positive definite."""
    size = matrix.shape[0]
    lower = np.zeros_like(matrix)
    for j in range(size):
        done = lower[j:, :j]
        column = matrix[j:, j] - np.einsum("ik...,k...->i...", done, lower[j, :j]) if j else matrix[j:, j]
        with np.errstate(invalid="ignore"):
            pivot = np.sqrt(column[0])
        lower[j, j] = pivot
        lower[j + 1 :, j] = column[1:] / pivot
    return lower


def forward(lower: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``L x = right`` for right sides of shape (k, ..) with any number of columns after the first axis."""
    solved = np.empty(_solution_shape(lower, right))
    for i in range(len(lower)):
        rest = right[i] - np.einsum("k...,k...->...", _spread(lower[i, :i], right), solved[:i]) if i else right[i]
        solved[i] = rest / _spread(lower[i, i][None], right)[0]
    return solved


def backward(lower: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``L' x = right``."""
    solved = np.empty(_solution_shape(lower, right))
    for i in range(len(lower) - 1, -1, -1):
        rest = (
            right[i] - np.einsum("k...,k...->...", _spread(lower[i + 1 :, i], right), solved[i + 1 :])
            if i + 1 < len(lower)
            else right[i]
        )
        solved[i] = rest / _spread(lower[i, i][None], right)[0]
    return solved


def _spread(rows: FloatArray, right: FloatArray) -> FloatArray:
    """Insert axes so that (k, batch) entries meet right sides of shape (k, columns, batch)."""
    extra = right.ndim - rows.ndim
    return rows.reshape(rows.shape[0], *(1,) * extra, *rows.shape[1:])


def _solution_shape(lower: FloatArray, right: FloatArray) -> tuple[int, ...]:
    return np.broadcast_shapes(right.shape, _spread(lower[0], right).shape) if len(lower) else right.shape


def log_determinant(lower: FloatArray) -> FloatArray:
    """Log determinant of ``L L'``, shape of the batch."""
    return np.asarray(2 * np.log(np.einsum("ii...->i...", lower)).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Arrow:
    """Factorised precision of (h, v_1 ... v_C), the v_c conditioned to sum to zero over the countries.

    Parameters
    ----------
    own
        Cholesky factor of every country's block, shape (B, B, C, draws).
    link
        Its inverse times the block that links country and shared effects, shape (B, G, C, draws).
    shared
        Cholesky factor of the Schur complement of the shared block, shape (G, G, draws).
    pull_shared, pull_own
        Solution of the system for unit forces on the sums, shapes (G, B, draws) and (B, B, C, draws).
    sums
        Cholesky factor of the covariance of the unconstrained sums, shape (B, B, draws).
    """

    own: FloatArray
    link: FloatArray
    shared: FloatArray
    pull_shared: FloatArray
    pull_own: FloatArray
    sums: FloatArray

    @property
    def log_determinant(self) -> FloatArray:
        """Log determinant of the precision within the constraint, up to the constant ``B log C``."""
        return log_determinant(self.own).sum(axis=0) + log_determinant(self.shared) + log_determinant(self.sums)

    def solve(self, shared: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Minimise the quadratic with these linear terms, shapes (G, draws) and (B, C, draws), sums zero."""
        first = forward(self.own, own)
        h = backward(self.shared, forward(self.shared, shared - np.einsum("bgcs,bcs->gs", self.link, first)))
        v = backward(self.own, first - np.einsum("bgcs,gs->bcs", self.link, h))
        return self.restore(h, v)

    def restore(self, h: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Condition a point (or a draw) on its country effects summing to zero."""
        if not len(self.own):
            return h, v
        force = backward(self.sums, forward(self.sums, v.sum(axis=1)))
        return h - np.einsum("gks,ks->gs", self.pull_shared, force), v - np.einsum("bkcs,ks->bcs", self.pull_own, force)

    def spread(self, shared_noise: FloatArray, own_noise: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Turn standard normals, shapes (G, draws) and (B, C, draws), into deviations with this precision.

        The third value is the quadratic form of the precision at these deviations, shape (draws,).
        """
        h = backward(self.shared, shared_noise)
        v = backward(self.own, own_noise - np.einsum("bgcs,gs->bcs", self.link, h))
        square = (shared_noise**2).sum(axis=0) + (own_noise**2).sum(axis=(0, 1))
        if len(self.own):
            square = square - (forward(self.sums, v.sum(axis=1)) ** 2).sum(axis=0)
        return *self.restore(h, v), square

    def take(self, draws: npt.NDArray[np.bool_]) -> Arrow:
        """Only some of the draws."""
        return Arrow(*(getattr(self, part.name)[..., draws] for part in fields(self)))


def factorise(shared: FloatArray, link: FloatArray, own: FloatArray) -> Arrow:
    """Factorise a precision given by its blocks.

    Parameters
    ----------
    shared
        Shape (G, G, draws).
    link
        Blocks between country and shared effects, shape (B, G, C, draws).
    own
        Blocks of the countries, shape (B, B, C, draws).
    """
    width = len(own)
    root = cholesky(own)
    linked = forward(root, link)
    schur = cholesky(shared - np.einsum("bgcs,bhcs->ghs", linked, linked))
    unit = np.broadcast_to(np.eye(width)[:, :, None, None], own.shape) if width else own
    pushed = forward(root, unit)
    pull_shared = -backward(schur, forward(schur, np.einsum("bgcs,bkcs->gks", linked, pushed)))
    pull_own = backward(root, pushed - np.einsum("bgcs,gks->bkcs", linked, pull_shared))
    return Arrow(
        own=root,
        link=linked,
        shared=schur,
        pull_shared=pull_shared,
        pull_own=pull_own,
        sums=cholesky(pull_own.sum(axis=2)),
    )
