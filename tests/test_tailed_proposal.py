"""The proposal of two halves: a density that is its own, and the same posterior with fewer lost draws."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import special

from riskmodels.design.regression_rows import regression_rows
from riskmodels.fit.laplace.engine import LaplaceDraws, draw_by_laplace
from riskmodels.fit.laplace.hyperposterior import SplitT
from riskmodels.fit.tailed_proposal import TailedProposal, along_coordinates, draw_with_tails
from riskmodels.fit.weighting import effective_draws
from riskmodels.models.latent import LatentGaussian
from riskmodels.models.latent_regression import latent_regression
from riskmodels.models.regression_spec import regression_formula
from riskmodels.survey.readers import source_from_frame
from tests.test_design_adjustment import CODEBOOK

TURNED = np.array([[0.8, -0.6], [0.6, 0.8]])


def proposal() -> TailedProposal:
    tails = SplitT(np.array([0.5, -0.2]), np.eye(2), np.array([1.5, 0.7]), np.array([0.4, 0.5]))
    return TailedProposal(np.zeros(2), TURNED, np.array([0.5, 1.0]), np.array([0.8, 0.6]), 12.0, tails)


def test_the_density_is_that_of_the_draws() -> None:
    """On a grid it integrates to one; averages over draws are its integrals."""
    mixture = proposal()
    axis = np.linspace(-25, 25, 1001)
    grid = np.stack(np.meshgrid(axis, axis)).reshape(2, -1)
    density = np.exp(mixture.log_density(grid)) * (axis[1] - axis[0]) ** 2
    assert density.sum() == pytest.approx(1, abs=2e-3)
    drawn = mixture.draw(20_001, 3)
    assert drawn.shape == (2, 20_001)
    for value in (lambda z: z[0], lambda z: z[1] ** 2, lambda z: (z[0] < -1) * 1.0, lambda z: z[0] * z[1]):
        assert value(drawn).mean() == pytest.approx(density @ value(grid), abs=0.02)


def test_one_half_alone_is_the_proposal_of_the_engine() -> None:
    mixture = proposal()
    plain = SplitT(mixture.centre, mixture.axes, mixture.left, mixture.right, mixture.degrees)
    alone = TailedProposal(mixture.centre, mixture.axes, mixture.left, mixture.right, mixture.degrees)
    np.testing.assert_array_equal(alone.draw(64, 5), plain.draw(64, 5))
    np.testing.assert_array_equal(alone.log_density(plain.draw(64, 5)), plain.log_density(plain.draw(64, 5)))


def test_scales_are_those_of_a_normal() -> None:
    found = along_coordinates(lambda z: -0.5 * ((z / np.array([[0.3], [1.2]])) ** 2).sum(axis=0), np.zeros(2))
    np.testing.assert_allclose([found.left, found.right], [[0.3, 1.2]] * 2, rtol=1e-9)


@functools.cache
def small_spreads() -> LatentGaussian:
    """Twelve countries that differ little: both SDs may be near zero."""
    rng = np.random.default_rng(12)
    size = 12 * 150
    country, girl = np.repeat(np.arange(12), 150), rng.integers(0, 2, size)
    eta = -0.8 + 0.12 * rng.normal(size=12)[country] + (0.3 + 0.1 * rng.normal(size=12)[country]) * girl
    names = np.array([f"C{k:02d}" for k in range(12)])
    frame = pd.DataFrame({"c": names[country], "s": 0.0, "u": np.arange(size) // 10, "w": 1.0, "g": girl, "a": 15.0})
    frame["y"] = (rng.uniform(size=size) < special.expit(eta)).astype(float)
    spec = regression_formula("y ~ gender + (1 + gender | country)", weights="none", priors="brms")
    rows = regression_rows(CODEBOOK, source_from_frame(frame), "y", ["gender"])
    return latent_regression(rows, spec).latent


def moments(found: LaplaceDraws) -> tuple[np.ndarray, np.ndarray]:
    """Means of hyperparameters, shared and country effects and of their squares, and the Monte Carlo errors."""
    draws = [np.broadcast_to(found.zeta[:, None], (len(found.zeta), *found.weights.shape))]
    draws += [found.h, found.v.reshape(-1, *found.weights.shape)]
    values = np.moveaxis(np.concatenate(draws), 0, -1)
    values = np.concatenate([values, values**2], axis=-1)
    _, _, error = effective_draws(values, found.weights, 0.05)
    return np.einsum("cs,csq->q", found.weights, values), error


def test_the_posterior_is_the_engines_and_fewer_draws_are_lost() -> None:
    """Within 4 Monte Carlo errors on every mean and square; the largest weight falls by a third or more."""
    plain = draw_by_laplace(small_spreads(), 16_000, 1, rounds=1)
    tailed = draw_with_tails(small_spreads(), 16_000, 2, rounds=1)
    (first, error), (second, other) = moments(plain), moments(tailed)
    assert (np.abs(first - second) < 4 * np.hypot(error, other) + 1e-12).all()
    assert tailed.weights.max() < 0.7 * plain.weights.max()
    assert tailed.pareto_k < plain.pareto_k
    assert tailed.effective > 1.3 * plain.effective


def test_draws_are_the_same_for_the_same_seed() -> None:
    first, again, other = (draw_with_tails(small_spreads(), 1000, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.zeta[:, :10], other.zeta[:, :10])
