"""Made-up joint counts for tests of the pairwise model."""

from __future__ import annotations

import numpy as np

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models.joint_margins import has_risk
from riskmodels.survey.factors import Factor


def factor(name: str, levels: int) -> Factor:
    """Levels a0, a1, ... of a factor."""
    names = tuple(f"{name[0]}{k}" for k in range(levels))
    return Factor(name, names, names)


def counts_from_probabilities(
    probabilities: np.ndarray,
    shape: tuple[int, ...],
    per_cell: int,
    seed: int,
    *,
    unknown: float = 0.0,
    impossible: tuple[tuple[int, int], ...] = (),
    whole: bool = True,
) -> JointCounts:
    """Draw so many children per cell; cells are countries x further factors of these sizes.

    Parameters
    ----------
    probabilities
        Of patterns, shape (cells, 2^J).
    unknown
        Share of answers that are not known.
    whole
        Whether counts are drawn; else they are the expected ones.
    """
    rng = np.random.default_rng(seed)
    risks = int(np.log2(probabilities.shape[1]))
    names = ("country", "gender", "disability")
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1).reshape(-1, len(shape))
    cell, answers, count = [], [], []
    for number, p in enumerate(probabilities):
        if whole:
            children = has_risk(risks)[rng.choice(2**risks, per_cell, p=p / p.sum())].astype(int)
            children[rng.uniform(size=children.shape) < unknown] = UNKNOWN
            children = children[(children != UNKNOWN).any(axis=1)]
            found, times = np.unique(children, axis=0, return_counts=True)
        else:
            found, times = has_risk(risks).astype(int), per_cell * p
        cell.append(np.full(len(found), number))
        answers.append(found)
        count.append(times.astype(float))
    where, counts = np.concatenate(cell), np.concatenate(count)
    total = np.bincount(where, counts, len(index))
    return JointCounts(
        factors=tuple(factor(name, size) for name, size in zip(names, shape, strict=False)),
        risks=factor("risk", risks),
        index=index,
        n=np.ceil(total),
        weight=total,
        n_effective=total,
        cell=where,
        answers=np.concatenate(answers),
        count=counts,
        base="valid answers",
        impossible=impossible,
        synthetic=True,
    )


def log_linear(main: np.ndarray, association: np.ndarray) -> np.ndarray:
    """Pattern probabilities of main effects (cells, J) and associations (cells, pairs), each pattern by itself."""
    risks = main.shape[1]
    has = has_risk(risks)
    first, second = np.triu_indices(risks, 1)
    eta = main @ has.T + association @ (has[:, first] * has[:, second]).T
    p = np.exp(eta - eta.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
