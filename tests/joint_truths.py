"""Made-up joint answers with known joint probabilities, as `JointCounts`, for tests of every structure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models.joint_margins import has_risk
from riskmodels.survey.factors import Factor

FloatArray = npt.NDArray[np.float64]


def layout(countries: int, age_groups: int) -> tuple[tuple[Factor, ...], npt.NDArray[np.int64]]:
    """Factors and cells: country, and age group where there are two or more."""
    factors = [Factor("country", tuple(f"C{k:02d}" for k in range(countries)))]
    if age_groups > 1:
        factors.append(Factor("age", tuple(f"age {k}" for k in range(age_groups))))
    index = np.stack(np.meshgrid(*(np.arange(len(f)) for f in factors), indexing="ij"), axis=-1)
    return tuple(factors), index.reshape(-1, len(factors))


def cell_logits(index: npt.NDArray[np.int64], risks: int, seed: int) -> FloatArray:
    """Log odds of every risk in every cell: risks, countries and ages differ."""
    rng = np.random.default_rng([seed, 1])
    level = np.linspace(-2.2, -0.8, risks)
    country = rng.normal(0, 0.5, (index[:, 0].max() + 1, risks))
    age = 0.25 * (index[:, -1] - index[:, -1].mean()) if index.shape[1] > 1 else np.zeros(len(index))
    return level + country[index[:, 0]] + age[:, None]


def of_factors(logits: FloatArray, loadings: FloatArray, half_width: float = 8.0, nodes: int = 161) -> FloatArray:
    """Pattern probabilities of a factor model by a plain dense grid, shape (cells, 2^risks)."""
    has = has_risk(loadings.shape[0])
    at = np.linspace(-half_width, half_width, nodes)
    grid = np.stack(np.meshgrid(*[at] * loadings.shape[1], indexing="ij"), axis=-1).reshape(-1, loadings.shape[1])
    weight = np.exp(-0.5 * (grid**2).sum(axis=1))
    total = np.zeros((len(logits), len(has)))
    for node, share in zip(grid, weight / weight.sum()):
        if share < 1e-12:
            continue
        p = 1 / (1 + np.exp(-(logits + loadings @ node)))
        total += share * np.prod(np.where(has == 1, p[:, None, :], 1 - p[:, None, :]), axis=2)
    return total


def of_probit(logits: FloatArray, correlation: FloatArray, seed: int, draws: int = 200_000) -> FloatArray:
    """Pattern probabilities of a multivariate probit with these margins, by simulation."""
    from scipy import special

    risks = logits.shape[1]
    normals = np.random.default_rng([seed, 2]).multivariate_normal(np.zeros(risks), correlation, draws)
    cut = special.ndtri(special.expit(logits))
    code = 1 << np.arange(risks)
    found = [np.bincount((normals < one) @ code, minlength=2**risks) / draws for one in cut]
    return np.stack(found)


def of_classes(shares: FloatArray, within: FloatArray) -> FloatArray:
    """Pattern probabilities of latent classes."""
    has = has_risk(within.shape[1])
    return shares @ np.prod(np.where(has == 1, within[:, None, :], 1 - within[:, None, :]), axis=2)


def drawn(
    factors: tuple[Factor, ...],
    index: npt.NDArray[np.int64],
    truth: FloatArray,
    children: int,
    seed: int,
    *,
    unknown: float = 0.0,
    design_effect: float = 1.0,
) -> JointCounts:
    """Children drawn from pattern probabilities (cells, 2^risks), some answers unknown at random."""
    rng = np.random.default_rng([seed, 3])
    risks = int(np.log2(truth.shape[1]))
    cell = np.arange(children) % len(index)
    ends = np.cumsum(truth, axis=1)
    pattern = (rng.random(children)[:, None] * ends[cell, -1:] > ends[cell]).sum(axis=1)
    answers = has_risk(risks).astype(np.int64)[pattern]
    hidden = rng.random(answers.shape) < unknown
    hidden[hidden.all(axis=1), 0] = False
    answers[hidden] = UNKNOWN
    rows, count = np.unique(np.column_stack([cell, answers]), axis=0, return_counts=True)
    n = np.bincount(cell, minlength=len(index)).astype(float)
    return JointCounts(
        factors=factors,
        risks=Factor("risk", tuple(f"risk {j}" for j in range(risks))),
        index=index,
        n=n,
        weight=n,
        n_effective=n / design_effect,
        cell=rows[:, 0],
        answers=rows[:, 1:],
        count=count / design_effect,
        base="valid answers",
        synthetic=True,
        source="simulation",
    )
