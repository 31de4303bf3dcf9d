"""Joint counts and fits made up around known pattern probabilities: everything downstream of an engine, without one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.sampler import SamplerSpec
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_margins import has_risk, margins_of
from riskmodels.provenance import Fingerprint
from riskmodels.survey.factors import Factor

FloatArray = npt.NDArray[np.float64]

COUNTRIES = Factor("country", ("KEN", "NAM", "UGA"), ("Kenya", "Namibia", "Uganda"))
GROUPS = Factor("group", ("others", "vulnerable"), ("Other children", "Vulnerable children"))


def risks_of(size: int) -> Factor:
    return Factor("indicator", tuple(f"r{k}" for k in range(size)), tuple(f"Risk number {k + 1}" for k in range(size)))


def loglinear(main: FloatArray, pair: FloatArray) -> FloatArray:
    """Pattern probabilities of a log-linear model with pairs, leading axes as given."""
    risks = main.shape[-1]
    has = has_risk(risks)
    one, two = np.triu_indices(risks, 1)
    eta = main @ has.T + pair @ (has[:, one] * has[:, two]).T
    eta = np.exp(eta - eta.max(axis=-1, keepdims=True))
    return np.asarray(eta / eta.sum(axis=-1, keepdims=True))


def truth_of(cells: int, risks: int, seed: int = 1, association: float = 1.0) -> FloatArray:
    """Pattern probabilities per cell, shape (cells, 2^risks)."""
    rng = np.random.default_rng(seed)
    pairs = risks * (risks - 1) // 2
    main = rng.normal(-2.3, 0.5, (cells, risks)) * np.ones((cells, risks))
    pair = association * np.abs(rng.normal(0.8, 0.5, pairs)) + np.zeros((cells, pairs))
    return loglinear(main, pair)


def counts_of(
    truth: FloatArray,
    risks: int,
    *,
    factors: tuple[Factor, ...] = (COUNTRIES, GROUPS),
    children: int | Sequence[int] = 400,
    design_effect: float = 1.25,
    impossible: tuple[tuple[int, int], ...] = (),
    missing: float = 0.0,
    drawn: bool = False,
    synthetic: bool = True,
    seed: int = 2,
) -> JointCounts:
    """Joint counts whose patterns are in proportion to the truth, or drawn from it."""
    index = np.array(list(itertools.product(*(range(len(factor)) for factor in factors))))
    rng = np.random.default_rng(seed)
    sizes = np.broadcast_to(np.asarray(children, dtype=float), len(index))
    has = has_risk(risks).astype(np.int64)
    cell, answers, count = [], [], []
    for place, probability in enumerate(truth):
        own = rng.multinomial(int(sizes[place]), probability) if drawn else sizes[place] * probability
        for pattern in np.flatnonzero(own > 0):
            parts = [(has[pattern], own[pattern] * (1 - missing))]
            if missing:
                gap = has[pattern].copy()
                gap[pattern % risks] = UNKNOWN
                parts.append((gap, own[pattern] * missing))
            for gave, number in parts:
                cell.append(place)
                answers.append(gave)
                count.append(number / design_effect)
    counted = np.array(count, dtype=float)
    return JointCounts(
        factors=factors,
        risks=risks_of(risks),
        index=index,
        n=sizes,
        weight=sizes,
        n_effective=np.bincount(cell, counted, len(index)),
        cell=np.array(cell),
        answers=np.array(answers),
        count=counted,
        base="all asked",
        impossible=impossible,
        synthetic=synthetic,
    )


def fit_of(
    counts: JointCounts, patterns: FloatArray, *, weights: FloatArray | None = None, passed: bool = True
) -> CooccurrenceFit:
    """A fit whose draws are these pattern probabilities, shape (chain, draw, cell, 2^risks)."""
    risks = len(counts.risks)
    found = margins_of(patterns, risks)
    posterior = xr.Dataset(
        {
            "single": (("chain", "draw", "cell", "risk"), found.single),
            "both": (("chain", "draw", "cell", "pair"), found.both),
            "number": (("chain", "draw", "cell", "how_many"), found.number),
        }
    )
    flat = patterns.reshape(-1, *patterns.shape[2:])
    return CooccurrenceFit(
        spec=CooccurrenceSpec(),
        counts=counts,
        sampler=SamplerSpec(),
        posterior=posterior,
        checks=(CheckResult("R-hat", "both", 1.0 if passed else 1.3, "< 1.01", passed),),
        fingerprint=Fingerprint(counts.content_hash, "spec", "sampler", 1, (), counts.synthetic, counts.source),
        seconds=0.1,
        weights=weights,
        engine="nuts" if weights is None else "laplace",
        probabilities=lambda positions: np.moveaxis(flat[positions], 0, -1),
    )


def noisy(truth: FloatArray, *, draws: int = 500, chains: int = 4, spread: float = 0.1, seed: int = 3) -> FloatArray:
    """Pattern probabilities scattered around a truth, shape (chain, draw, cell, patterns): log-linear noise."""
    risks = int(np.log2(truth.shape[-1]))
    rng = np.random.default_rng(seed)
    has = has_risk(risks)
    one, two = np.triu_indices(risks, 1)
    features = np.hstack([has, has[:, one] * has[:, two]]).T
    noise = spread * rng.normal(size=(chains, draws, len(truth), features.shape[0])) @ features
    found = truth * np.exp(noise)
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def made_fit(
    risks: int = 4,
    *,
    association: float = 1.0,
    weighted: bool = False,
    spread: float = 0.1,
    impossible: tuple[tuple[int, int], ...] = (),
    missing: float = 0.0,
    children: int = 400,
    passed: bool = True,
    synthetic: bool = True,
    seed: int = 1,
) -> CooccurrenceFit:
    """A fit of three countries and two groups around a known truth."""
    truth = truth_of(6, risks, seed, association)
    counts = counts_of(
        truth,
        risks,
        impossible=impossible,
        missing=missing,
        children=children,
        drawn=children < 200,
        synthetic=synthetic,
    )
    weights = None
    if weighted:
        log = 0.3 * np.random.default_rng(seed).normal(size=(4, 500))
        weights = np.exp(log) / np.exp(log).sum()
    return fit_of(counts, noisy(truth, spread=spread, seed=seed + 2), weights=weights, passed=passed)
