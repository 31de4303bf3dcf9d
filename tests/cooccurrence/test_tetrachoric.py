"""Tetrachoric correlations: recovered, against scipy, symmetric, exact where nothing hangs together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from riskmodels.estimates.tetrachoric import bivariate_normal, tetrachoric

SHARES = st.floats(0.005, 0.995)


@pytest.mark.parametrize("correlation", [-0.9, -0.4, 0.0, 0.2, 0.7, 0.95])
@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.1, 0.3), (0.02, 0.6), (0.01, 0.01), (0.5, 0.2)])
def test_normal_probability_is_that_of_scipy(correlation: float, first: float, second: float) -> None:
    h, k = special.ndtri([first, second])
    cov = [[1, correlation], [correlation, 1]]
    expected = stats.multivariate_normal([0, 0], cov).cdf([h, k])
    assert bivariate_normal(np.array([h]), np.array([k]), np.array([correlation]))[0] == pytest.approx(
        expected, abs=1e-10
    )


@given(SHARES, SHARES, st.floats(-0.85, 0.93))
def test_recovers_a_known_correlation(first: float, second: float, correlation: float) -> None:
    h, k = special.ndtri([first]), special.ndtri([second])
    both = bivariate_normal(h, k, np.array([correlation]))
    smallest = min(float(x) for x in (both[0], first - both[0], second - both[0], 1 - first - second + both[0]))
    if smallest > 1e-6:
        found = tetrachoric(both, np.array([first]), np.array([second]))[0]
        assert found == pytest.approx(correlation, abs=1e-8)


@given(SHARES, SHARES, st.floats(0.02, 0.98))
def test_inverts_any_table(first: float, second: float, place: float) -> None:
    low, high = max(0.0, first + second - 1), min(first, second)
    both = low + place * (high - low)
    found = tetrachoric(np.array([both]), np.array([first]), np.array([second]))
    again = bivariate_normal(special.ndtri([first]), special.ndtri([second]), found)[0]
    assert again == pytest.approx(both, abs=1e-10)
    turned = tetrachoric(np.array([second - both]), np.array([1 - first]), np.array([second]))[0]
    assert turned == pytest.approx(-found[0], abs=1e-6)


def test_exact_cases() -> None:
    first, second = np.array([0.3, 0.5, 0.2]), np.array([0.1, 0.5, 0.4])
    np.testing.assert_array_equal(tetrachoric(first * second, first, second), 0.0)
    # medial split: P(both) = 1/4 + asin(r) / (2 pi) (Sheppard 1899)
    r = np.array([-0.8, 0.1, 0.6])
    half = np.full(3, 0.5)
    np.testing.assert_allclose(tetrachoric(0.25 + np.arcsin(r) / (2 * np.pi), half, half), r, atol=1e-12)


def test_ends_and_nothing() -> None:
    both, first, second = np.array([0.0, 0.1, 0.2, 0.0]), np.array([0.1, 0.1, 1.0, 0.0]), np.array([0.2, 0.3, 0.2, 0.5])
    np.testing.assert_array_equal(tetrachoric(both, first, second), [-1.0, 1.0, np.nan, np.nan])


def test_keeps_the_shape() -> None:
    both = np.full((2, 3, 4), 0.05)
    assert tetrachoric(both, np.array(0.2), np.full(4, 0.2)).shape == (2, 3, 4)
