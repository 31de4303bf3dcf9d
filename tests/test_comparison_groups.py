"""Leaving out countries and other groups: against numerical integration, quadrature and a refit by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import special, stats

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.estimates.comparison import grouped_cross_validation
from riskmodels.estimates.comparison.groups import some_rows
from riskmodels.estimates.comparison.held_out import unseen_country
from riskmodels.estimates.comparison.new_country import UnseenCountry, log_likelihood, shares_of_a_new_country
from riskmodels.estimates.comparison.scores import answer_counts
from riskmodels.estimates.regression import predicted_shares
from riskmodels.fit.regression import fit_regression
from riskmodels.models.regression_spec import RegressionSpec
from tests.test_comparison import (
    FAST,
    INTERCEPTS,
    MANY,
    POOLED,
    children,
    halved,
    likelihood,
    pooled_posterior,
    rows_of,
)


def new_country_by_integration(rows: RegressionRows, spec: RegressionSpec, left: int) -> tuple[float, float]:
    """log p(answers of one country | all others), and the sum of each child's alone, of `y ~ 1 + (1 | country)`.

    The intercept and the SD on a grid, each country's effect by 101 Gauss-Hermite points.
    """
    prior = spec.prior_set
    intercept, sd = np.meshgrid(np.linspace(-5, 3, 161), np.linspace(1e-3, 3.5, 140), indexing="ij")
    log_prior = stats.norm(prior.intercept.location, prior.intercept.scale).logpdf(intercept)
    log_prior = log_prior + stats.halfnorm(scale=prior.group_sd.scale).logpdf(sd)
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(101)
    eta = intercept[..., None] + sd[..., None] * nodes
    log_node = np.log(node_weights / node_weights.sum())
    mass = answer_counts(rows, spec)[1]

    def country(counts: np.ndarray) -> np.ndarray:
        answers = -counts[0] * np.logaddexp(0, eta) - counts[1] * np.logaddexp(0, -eta)
        return np.asarray(special.logsumexp(log_node + answers, axis=-1))

    others = log_prior + sum(country(mass[k]) for k in range(len(rows)) if k != left)
    total = special.logsumexp(others)
    joint = float(special.logsumexp(others + country(mass[left])) - total)
    alone = [special.logsumexp(others + country(np.eye(2)[answer])) - total for answer in (0, 1)]
    return joint, float(mass[left] @ alone)


@pytest.mark.parametrize("weights", ["none", "pseudo"])
def test_a_country_left_out_against_numerical_integration(weights: str) -> None:
    spec = replace(INTERCEPTS, weights=weights)
    rows = rows_of(children(5))
    found = grouped_cross_validation(rows, spec, MANY)
    exact = np.array([new_country_by_integration(rows, spec, k) for k in range(len(rows))])
    assert (np.abs(found.joint - exact[:, 0]) < 4 * found.error + 1e-3).all()
    assert found.error.max() < 0.02
    np.testing.assert_allclose(found.each_child, exact[:, 1], atol=0.1)
    assert found.elpd == pytest.approx(exact[:, 0].sum(), abs=0.05)
    assert found.passed
    assert list(found.table["group"][:-1]) == list(rows.countries.labels)


def test_two_effects_of_an_unseen_country_against_quadrature() -> None:
    """Intercept and slope, correlated, with few and with no affected children; shares by the same quadrature."""
    rng = np.random.default_rng(6)
    own = np.column_stack([np.ones(6), np.arange(6) - 2.5])
    root = np.linalg.cholesky(np.array([[0.8, 0.2], [0.2, 0.3]]))
    centre = np.tile([-2.0, -1.5, -1.0, -0.5, 0.0, 0.5], (400, 1))
    n = np.full(6, 40.0)
    nodes, weight = np.polynomial.hermite_e.hermegauss(201)
    z = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_weight = np.log(np.outer(weight, weight).ravel() / weight.sum() ** 2 + 1e-300)
    eta = centre[0] + z @ root.T @ own.T
    for yes in (np.array([1.0, 6, 3, 20, 35, 39]), np.zeros(6), n):
        country = UnseenCountry(yes, n, centre, own, np.broadcast_to(root, (400, 2, 2)))
        exact = special.logsumexp(log_weight + eta @ yes - np.logaddexp(0, eta) @ n)
        found = np.exp(log_likelihood(country, rng) - exact)
        assert abs(found.mean() - 1) < 4 * found.std() / 20
        assert found.std() < 0.5
    shares = np.exp(log_weight) @ special.expit(eta)
    np.testing.assert_allclose(shares_of_a_new_country(country)[0], shares, atol=1e-5)


@pytest.mark.parametrize("folds", [None, 2])
def test_any_groups_against_exact_integrals(folds: int | None) -> None:
    """Halves of rows as groups; where countries do not vary, each group's joint density is an integral over a line."""
    rows, label = halved(rows_of(children(7, countries=3)))
    found = grouped_cross_validation(rows, POOLED, MANY, groups=label, folds=folds)
    grid, prior = pooled_posterior(POOLED)
    each = likelihood(answer_counts(rows, POOLED)[1], grid)
    for group in range(len(found.joint)):
        kept = prior + each[found.fold[label] != found.fold[group]].sum(axis=0)
        inside = each[label == group].sum(axis=0)
        exact = special.logsumexp(kept + inside) - special.logsumexp(kept)
        assert found.joint[group] == pytest.approx(exact, abs=4 * found.error[group] + 1e-3)
    assert found.table["group"].tolist() == [f"all {len(found.joint)} groups"]  # other groups are never listed


def test_a_cluster_of_a_known_country_keeps_the_countrys_effects() -> None:
    """Against the refit by hand: mean over draws of the product of its children's probabilities."""
    rows, label = halved(rows_of(children(8)))
    found = grouped_cross_validation(rows, INTERCEPTS, FAST, groups=label)
    place = 7
    at = label == place
    fit = fit_regression(some_rows(rows, ~at), INTERCEPTS, FAST)
    here = np.flatnonzero(fit.rows.country == rows.country[at][0])[0]
    share = predicted_shares(fit, fit.rows.values)["yes"][..., here]
    density = share ** rows.yes[at] * (1 - share) ** (rows.n - rows.yes)[at]
    assert found.joint[place] == pytest.approx(np.log((fit.weights * density).sum()), abs=1e-9)


def test_leaving_out_rows_knows_every_array_of_the_rows() -> None:
    """A new array per row must be cut in `some_rows` too."""
    rows = rows_of(children(14), "gender", "age")
    part = some_rows(rows, rows.country != 0)
    for entry in fields(rows):
        whole, cut = getattr(rows, entry.name), getattr(part, entry.name)
        if isinstance(whole, np.ndarray) and entry.name != "design_effect":
            assert len(cut) == len(part) < len(whole), entry.name
    assert len(part.design_effect) == len(part.countries) == len(rows.countries) - 1
    assert part.n.sum() == rows.n[rows.country != 0].sum()


def test_an_unseen_country_has_the_posteriors_sds_and_correlations() -> None:
    rows = rows_of(children(15, countries=6, each=150), "gender")
    spec = RegressionSpec("y", (("gender",),), varying=((), ("gender",)), weights="none")
    fit = fit_regression(rows, spec, FAST)
    held = np.ones((3, 2))
    country = unseen_country(fit, np.ones(3), np.ones(3), held, held)
    sd, correlation = (fit.posterior[name].to_numpy() for name in ("country_sd", "country_correlation"))
    expected = sd[..., :, None] * correlation * sd[..., None, :]
    found = (country.root @ country.root.swapaxes(1, 2)).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    total = fit.posterior["coefficient"].sum("term").to_numpy().ravel()
    np.testing.assert_allclose(country.centre, np.repeat(total[:, None], 3, axis=1))
