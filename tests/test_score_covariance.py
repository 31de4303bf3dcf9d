"""Covariance of scores: the linearised jackknife against the algebra it stands for and against refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from riskmodels.design.regression_clusters import regression_clusters
from riskmodels.design.regression_rows import regression_rows
from riskmodels.design.score_covariance import one_step, score_covariance
from riskmodels.models.regression_design import shared_design
from riskmodels.survey.codebook.records import DesignColumns
from riskmodels.survey.readers import source_from_frame
from tests.test_design_adjustment import CODEBOOK, clustered, spec_of, with_replicates


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_one_step_is_a_newton_step_without_the_unit(seed: int, size: int) -> None:
    """``(H + A' D A)^-1 A' s = H^-1 A' (1 + D V)^-1 s`` for a country among others with common coefficients."""
    rng = np.random.default_rng(seed)
    part = rng.normal(size=(size + 2, 3 * size))
    bread = part.T @ part + 2 * np.eye(3 * size)
    choose = np.hstack([np.eye(size), np.zeros((size, size)), np.eye(size)])
    half = rng.normal(size=(size, size))
    within = np.linalg.inv(choose @ np.linalg.inv(bread) @ choose.T)
    change = -0.6 * within @ np.linalg.inv(within + half @ half.T) @ within  # less than all of its information
    score = rng.normal(size=size)
    direct = np.linalg.solve(bread + choose.T @ change @ choose, choose.T @ score)
    covariance = choose @ np.linalg.inv(bread) @ choose.T
    stepped = one_step(score[None], change[None], covariance[None])[0]
    np.testing.assert_allclose(np.linalg.solve(bread, choose.T @ stepped), direct, rtol=1e-6, atol=1e-9)


def _newton(x: np.ndarray, y: np.ndarray, w: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    beta = start.copy()
    for _ in range(30):
        p = special.expit(x @ beta)
        information = (x * (w * p * (1 - p))[:, None]).T @ x
        step = np.linalg.solve(information, x.T @ (w * (y - p)))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return beta, np.linalg.inv(information)


def _uneven(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, object]:
    """One country of 24 PSUs whose weights differ sixfold; design matrix, outcome, weights, frame."""
    frame = clustered(seed, countries=1, psus=24)
    frame["w"] = frame["w"] * (1 + 5 * (frame["u"] % 4 == 0))
    x = np.column_stack([np.ones(len(frame)), frame["g"], frame["a"] - 15])
    w = (frame["w"] / frame["w"].mean()).to_numpy()
    return x, frame["y"].to_numpy(), w, frame


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_linearised_jackknife_is_that_of_refits(seed: int) -> None:
    """Delete one PSU, fit again: variances within 12 %; plain linearisation stays 7 % or more below them."""
    x, y, w, frame = _uneven(seed)
    beta, covariance = _newton(x, y, w, np.zeros(3))
    jackknife = np.zeros((3, 3))
    units, strata = frame["u"].to_numpy(), frame["s"].to_numpy()  # type: ignore[attr-defined]
    for stratum in np.unique(strata):
        own = np.unique(units[strata == stratum])
        moves = []
        for unit in own:
            left = np.where(strata == stratum, w * len(own) / (len(own) - 1), w) * (units != unit)
            moves.append(_newton(x, y, left, beta)[0])
        about = np.array(moves) - np.mean(moves, axis=0)
        jackknife += (len(own) - 1) / len(own) * about.T @ about
    source = source_from_frame(frame)  # type: ignore[arg-type]
    rows = regression_rows(CODEBOOK, source, "y", ["gender", "age"])
    clusters = regression_clusters(CODEBOOK, source, "y", rows)
    _, design = shared_design(spec_of(), rows, rows.values)
    share = special.expit(design @ beta)
    found = [
        covariance @ score_covariance(clusters, rows.country, design, share, own)[0] @ covariance
        for own in (covariance[None], None)
    ]
    stepped, linear = (np.diag(one) / np.diag(jackknife) for one in found)
    np.testing.assert_allclose(stepped, 1, atol=0.12)
    assert (linear < stepped).all() and linear.mean() < 0.93


def test_replicate_weights_of_the_jackknife_say_the_same() -> None:
    """PSUs and their jackknife replicates: equal but for the centre, the estimate or the mean of replicates."""
    _, _, _, frame = _uneven(4)
    wide, book = with_replicates(frame)  # type: ignore[arg-type]
    found = []
    for codebook, data in ((CODEBOOK, frame), (book, wide)):
        source = source_from_frame(data)  # type: ignore[arg-type]
        rows = regression_rows(codebook, source, "y", ["gender", "age"])
        clusters = regression_clusters(codebook, source, "y", rows)
        _, design = shared_design(spec_of(), rows, rows.values)
        share = np.full(len(rows), 0.3)
        p = rows.weight * share * (1 - share)
        covariance = np.linalg.inv((design * p[:, None]).T @ design)[None]
        found.append(score_covariance(clusters, rows.country, design, share, covariance)[0])
    np.testing.assert_allclose(found[0], found[1], rtol=0.1, atol=0.05 * np.abs(found[0]).max())


def test_units_of_equal_information_are_left_as_they_are() -> None:
    """Intercepts only, PSUs of equal weight and share: the factor n / (n - 1) is all there is to mend."""
    frame = clustered(5, countries=2, psus=8, weighted=False)
    book = replace(CODEBOOK, design=DesignColumns(country="c", weight="w", stratum="s", psu="u"))
    source = source_from_frame(frame)
    rows = regression_rows(book, source, "y", ["gender"])
    clusters = regression_clusters(book, source, "y", rows)
    design, share = np.ones((len(rows), 1)), np.full(len(rows), 0.3)
    plain = score_covariance(clusters, rows.country, design, share)
    covariance = 1 / (np.bincount(rows.country, rows.weight) * 0.21)[:, None, None]
    same = np.ptp(np.bincount(clusters.unit, clusters.yes + clusters.other)) < 1e-9
    assert same
    np.testing.assert_allclose(score_covariance(clusters, rows.country, design, share, covariance), plain, rtol=1e-12)
