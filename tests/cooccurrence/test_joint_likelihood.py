"""Tables of patterns and the likelihood of the pairwise model: against enumeration and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.models import joint_likelihood
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.joint_margins import has_risk, margins_of
from riskmodels.models.joint_tables import (
    association_table,
    margins_of_tables,
    normalising_sum,
    pattern_index,
    unnormalised_table,
)
from riskmodels.models.latent_cooccurrence import LatentCooccurrence, latent_cooccurrence
from tests.cooccurrence.made_up import counts_from_probabilities, log_linear


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31))
def test_tables_equal_enumeration(risks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    main, pairs = rng.normal(-1, 1, (3, risks)), rng.normal(0.5, 1, (3, risks * (risks - 1) // 2))
    table = association_table(np.exp(pairs.T), risks)
    whole = unnormalised_table(table, np.exp(main.T))
    np.testing.assert_allclose((whole / whole.sum(axis=0)).T, log_linear(main, pairs), rtol=1e-10)
    np.testing.assert_allclose(normalising_sum(table, np.exp(main.T)), whole.sum(axis=0), rtol=1e-12)
    found = margins_of_tables(whole / whole.sum(axis=0), pattern_index(risks))
    expected = margins_of(log_linear(main, pairs), risks)
    for name in ("single", "both", "number"):
        np.testing.assert_allclose(getattr(found, name).T, getattr(expected, name), atol=1e-12)


def _model(case: str) -> tuple[JointCounts, LatentCooccurrence]:
    rng = np.random.default_rng(3)
    shape = (3, 2, 2)
    p = log_linear(rng.normal(-1, 0.5, (12, 4)), rng.normal(0.5, 0.5, (12, 6)))
    impossible: tuple[tuple[int, int], ...] = ()
    if case == "impossible pair":
        impossible = ((1, 2),)
        p = p * (1 - has_risk(4)[:, 1] * has_risk(4)[:, 2])
    unknown = 0.15 if case == "unknown answers" else 0.0
    counts = counts_from_probabilities(p, shape, 60, 1, unknown=unknown, impossible=impossible)
    by = ("country", "disability") if case == "associations of subgroups" else ("country",)
    return counts, latent_cooccurrence(
        counts,
        CooccurrenceSpec(associations_by=by, interactions=case == "interactions", number_steps=case != "pairs only"),
    )


CASES = ("plain", "pairs only", "unknown answers", "impossible pair", "associations of subgroups", "interactions")


def _by_enumeration(counts: JointCounts, latent: LatentCooccurrence, coefficients: np.ndarray) -> np.ndarray:
    """Log likelihood of each country, child by child over all completions."""
    likelihood = latent.likelihood
    has = has_risk(likelihood.risks)
    total = np.zeros(len(coefficients))
    for cell in range(len(counts)):
        country = counts.index[cell, 0]
        own, split = coefficients[country], likelihood.risks * likelihood.main.shape[-1]
        main = likelihood.main.reshape(-1, likelihood.main.shape[-1])[latent.place[cell]]
        pair = likelihood.association.reshape(-1, likelihood.association.shape[-1])[latent.place[cell]]
        a = main @ own[:split].reshape(-1, likelihood.risks)
        b = np.full(likelihood.risks * (likelihood.risks - 1) // 2, -np.inf)
        end = likelihood.size - likelihood.steps
        b[latent.free] = pair @ own[split:end].reshape(-1, len(latent.free))
        first, second = np.triu_indices(likelihood.risks, 1)
        held = has[:, first] * has[:, second]
        eta = has @ a + np.where(held > 0, b, 0.0).sum(axis=1)
        for step, height in enumerate(own[end:]):
            eta = eta + height * (has.sum(axis=1) >= 3 + step)
        log_p = eta - np.logaddexp.reduce(eta)
        for row in np.flatnonzero(counts.cell == cell):
            answers = counts.answers[row]
            fits = ((answers == UNKNOWN) | (answers == has)).all(axis=1)
            total[country] += counts.count[row] * np.logaddexp.reduce(log_p[fits])
    return total


@pytest.mark.parametrize("case", CASES)
def test_log_density_equals_enumeration(case: str) -> None:
    counts, latent = _model(case)
    rng = np.random.default_rng(0)
    at = latent.model.start + rng.normal(0, 0.3, (2, 3, latent.model.size))
    found = latent.likelihood.log_density(at)
    expected = np.stack([_by_enumeration(counts, latent, one) for one in at])
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_score_and_information_are_derivatives(case: str) -> None:
    _, latent = _model(case)
    size = latent.model.size
    at = latent.model.start + np.random.default_rng(0).normal(0, 0.2, (1, 3, size))
    likelihood = latent.likelihood.settled_at(at[0])
    score, information = likelihood.score(at), likelihood.information(at)
    for place in range(size):
        step = np.zeros(size)
        step[place] = 1e-4
        slope = (likelihood.log_density(at + step) - likelihood.log_density(at - step)) / 2e-4
        np.testing.assert_allclose(slope, score[..., place], atol=1e-5)
        curve = -(likelihood.score(at + step) - likelihood.score(at - step)) / 2e-4
        np.testing.assert_allclose(curve, information[..., place, :], atol=1e-5)


def test_impossible_pairs_have_no_probability() -> None:
    _, latent = _model("impossible pair")
    at = latent.model.start + np.zeros((1, 3, latent.model.size))
    p = latent.likelihood.probabilities(at)
    together = (has_risk(4)[:, 1] * has_risk(4)[:, 2]).astype(bool)
    assert (p[together] == 0).all()
    np.testing.assert_allclose(p.sum(axis=0), 1)


@pytest.mark.parametrize("case", CASES)
def test_tables_too_large_for_a_number_are_worked_out_by_logs(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far out in the tails of a proposal: finite, and equal to the ordinary way where both exist."""
    _, latent = _model(case)
    likelihood = latent.likelihood
    at = latent.model.start + np.random.default_rng(1).normal(0, 1, (2, 3, latent.model.size))
    ordinary = [
        f(at) for f in (likelihood.log_density, likelihood.score, likelihood.information, likelihood.probabilities)
    ]
    monkeypatch.setattr(joint_likelihood, "LARGEST_LOG", -1.0)
    by_logs = [
        f(at) for f in (likelihood.log_density, likelihood.score, likelihood.information, likelihood.probabilities)
    ]
    for one, other in zip(ordinary, by_logs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    monkeypatch.undo()
    far = at.copy()
    far[0, 1, :] += 300.0
    assert not np.isnan(likelihood.log_density(far)).any()
    assert np.isfinite(likelihood.score(far)).all()
