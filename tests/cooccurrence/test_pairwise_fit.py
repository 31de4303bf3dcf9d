"""The pairwise model by the countrywise engine: an exact case, NUTS, a known truth, laws, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate

import riskmodels as rm
from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.design.joint_simulated import counts_of_sample
from riskmodels.errors import FitError, InputError
from riskmodels.fit.checks import convergence
from riskmodels.fit.cooccurrence import fit_cooccurrence
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.fit.countrywise.engine import draw_countrywise
from riskmodels.fit.weighting import effective_draws
from riskmodels.models.cooccurrence_spec import AssociationPriors, CooccurrenceSpec
from riskmodels.models.joint_margins import margins_of
from riskmodels.models.latent_cooccurrence import latent_cooccurrence
from riskmodels.models.priors import Prior
from riskmodels.survey.synthetic.joint_truths import probit_truth, simulate_joint
from tests.cooccurrence.made_up import counts_from_probabilities, log_linear

FAST = rm.SamplerSpec(engine="laplace", weighted_draws=3000)


def _counts(
    seed: int = 5, *, unknown: float = 0.0, per_cell: int = 150, risks: int = 4, countries: int = 6
) -> JointCounts:
    rng = np.random.default_rng(seed)
    pairs = risks * (risks - 1) // 2
    main = rng.normal(-1.5, 0.5, (countries, 1, risks)) + rng.normal(0, 0.2, (1, 2, risks))
    bonds = np.repeat(rng.normal(0.7, 0.4, (1, pairs)) + rng.normal(0, 0.3, (countries, pairs)), 2, axis=0)
    p = log_linear(main.reshape(-1, risks), bonds)
    return counts_from_probabilities(p, (countries, 2), per_cell, seed, unknown=unknown)


def _mean(fit: CooccurrenceFit, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and its Monte Carlo error of everything under one name."""
    draws = fit.posterior[name].to_numpy()
    flat = draws.reshape(*draws.shape[:2], -1)
    if fit.weights is None:
        return flat.mean(axis=(0, 1)), convergence(flat).mcse
    mean = np.einsum("cs,csq->q", fit.weights, flat)
    return mean, effective_draws(flat, fit.weights, 0.05)[2]


def test_two_risks_of_one_group_equal_quadrature() -> None:
    """A 2 x 2 table under the priors, integrated over two logits and the association."""
    p = np.array([[0.7, 0.12, 0.1, 0.08]])
    counts = counts_from_probabilities(p, (1,), 60, 1, whole=False)
    fit = fit_cooccurrence(counts, sampler=rm.SamplerSpec(engine="laplace", weighted_draws=8000))
    intercept, bond = CooccurrenceSpec().prior_set.intercept, np.hypot(1.0, 0.75)
    grid = [np.linspace(-6, 1, 141), np.linspace(-6, 1, 141), np.linspace(-4, 6, 161)]
    a, b, c = np.meshgrid(*grid, indexing="ij")
    flat = log_linear(np.stack([a.ravel(), b.ravel()], axis=1), c.ravel()[:, None])
    n = 60 * p[0]
    log = np.log(flat) @ n - 0.5 * ((c.ravel() - 0.5) / bond) ** 2
    log += sum(intercept.log_density(one.ravel()) for one in (a, b))
    weight = np.exp(log - log.max())

    def integral(values: np.ndarray) -> float:
        cube = values.reshape(a.shape)
        for x in reversed(grid):
            cube = integrate.simpson(cube, x=x, axis=-1)
        return float(cube)

    total = integral(weight)
    margins = margins_of(flat, 2)
    for name, values in (("single", margins.single), ("both", margins.both), ("number", margins.number)):
        exact = [integral(weight * column) / total for column in values.T]
        mean, error = _mean(fit, name)
        assert (np.abs(mean - exact) < 4 * error + 1e-5).all(), name


def test_agrees_with_nuts() -> None:
    """One answer in ten unknown: the likelihood with and without completions."""
    counts = _counts(unknown=0.1)
    fast = fit_cooccurrence(counts, sampler=rm.SamplerSpec(engine="laplace", weighted_draws=8000))
    slow = fit_cooccurrence(
        counts, sampler=rm.SamplerSpec(engine="nuts", draws=1200, tune=600, chains=2, target_accept=0.95)
    )
    assert fast.passed
    for name in ("single", "both", "number", "shared", "own", "country_sd", "association_country_deviation_sd"):
        mine, error = _mean(fast, name)
        theirs, other = _mean(slow, name)
        assert np.abs((mine - theirs) / np.hypot(error, other)).max() < 4.5, name


def test_recovers_a_known_truth() -> None:
    """Probabilities of pairs in cells: 90 % intervals cover, within Monte Carlo error of 144 of them."""
    rng = np.random.default_rng(11)
    main = np.repeat(rng.normal(-1.2, 0.5, (12, 1, 4)), 2, axis=1).reshape(-1, 4)
    bonds = np.repeat(rng.normal(0.7, 0.4, (1, 6)) + rng.normal(0, 0.3, (12, 6)), 2, axis=0)
    p = log_linear(main, bonds)
    fit = fit_cooccurrence(counts_from_probabilities(p, (12, 2), 300, 3), sampler=FAST)
    both = fit.draws["both"].to_numpy().reshape(-1, 24, 6)
    low, high = np.quantile(both, [0.05, 0.95], axis=0)
    true = margins_of(p, 4).both
    assert 0.82 <= ((low < true) & (true < high)).mean() <= 0.97
    assert np.abs(both.mean(axis=0) - true).max() < 0.05


def test_order_of_risks_changes_nothing() -> None:
    counts = _counts()
    order = [2, 0, 3, 1]
    turned = JointCounts(
        factors=counts.factors,
        risks=counts.risks,
        index=counts.index,
        n=counts.n,
        weight=counts.weight,
        n_effective=counts.n_effective,
        cell=counts.cell,
        answers=counts.answers[:, order],
        count=counts.count,
        base=counts.base,
        synthetic=True,
    )
    one, other = fit_cooccurrence(counts, sampler=FAST), fit_cooccurrence(turned, sampler=FAST)
    mine, error = _mean(one, "single")
    theirs, more = _mean(other, "single")
    turned_back = mine.reshape(-1, 4)[:, order].ravel()
    assert (np.abs(turned_back - theirs) < 4.5 * np.hypot(error.reshape(-1, 4)[:, order].ravel(), more)).all()


def test_independent_risks_have_no_association() -> None:
    rng = np.random.default_rng(2)
    p = log_linear(np.repeat(rng.normal(-1, 0.3, (1, 3)), 8, axis=0), np.zeros((8, 3)))
    fit = fit_cooccurrence(counts_from_probabilities(p, (8,), 600, 2), sampler=FAST)
    bonds = fit.draws["shared"].to_numpy()[..., -3:].reshape(-1, 3)
    assert ((np.quantile(bonds, 0.005, axis=0) < 0) & (np.quantile(bonds, 0.995, axis=0) > 0)).all()


def test_same_seed_gives_the_same_draws() -> None:
    counts = _counts(per_cell=40)
    one, other = (fit_cooccurrence(counts, sampler=FAST) for _ in range(2))
    np.testing.assert_array_equal(one.posterior["both"], other.posterior["both"])
    np.testing.assert_array_equal(one.draw_weights, other.draw_weights)
    assert one.fingerprint.id == other.fingerprint.id


def test_probabilities_give_the_margins() -> None:
    fit = fit_cooccurrence(_counts(per_cell=40), sampler=FAST)
    p = fit.probabilities(np.array([0, 7, 2999]))
    assert p.shape == (12, 16, 3)
    both = fit.posterior["both"].to_numpy().reshape(-1, 12, 6)[[0, 7, 2999]]
    np.testing.assert_allclose(margins_of(p.transpose(2, 0, 1), 4).both, both, atol=1e-12)


def test_a_weight_that_is_not_a_number_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    from riskmodels.fit.countrywise import engine

    original = engine._batch

    def planted(*arguments: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shared, own, log_weights = original(*arguments)  # type: ignore[arg-type]
        log_weights[0, 3] = np.nan
        return shared, own, log_weights

    monkeypatch.setattr(engine, "_batch", planted)
    latent = latent_cooccurrence(_counts(per_cell=40), CooccurrenceSpec())
    with pytest.raises(FitError, match="no weight"):
        draw_countrywise(latent.model, 500, 1)


def test_brms_priors_and_subgroup_associations_run() -> None:
    spec = CooccurrenceSpec(priors="brms", associations_by=("country", "gender"), interactions=True)
    fit = fit_cooccurrence(_counts(), spec, FAST)
    assert fit.engine == "laplace"
    assert "association_gender_sd" in fit.posterior


def test_a_model_beyond_memory_is_refused_with_what_it_needs() -> None:
    answers = np.eye(15, dtype=int)
    cells = 3000
    from tests.cooccurrence.made_up import factor

    counts = JointCounts(
        factors=(factor("country", cells),),
        risks=factor("risk", 15),
        index=np.arange(cells)[:, None],
        n=np.full(cells, 15.0),
        weight=np.full(cells, 15.0),
        n_effective=np.full(cells, 15.0),
        cell=np.repeat(np.arange(cells), 15),
        answers=np.tile(answers, (cells, 1)),
        count=np.ones(cells * 15),
        base="valid answers",
        synthetic=True,
    )
    with pytest.raises(InputError, match="GiB"):
        fit_cooccurrence(counts)


def test_factors_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="E132"):
        fit_cooccurrence(_counts(), CooccurrenceSpec(associations_by=("country", "religion")))


def test_the_number_of_risks_is_matched_where_pairs_alone_get_it_wrong() -> None:
    """Children of a multivariate probit: pairs alone make children with exactly one risk too many."""
    truth = probit_truth(risks=6, countries=6)
    counts = counts_of_sample(simulate_joint(truth, 3, children=18_000))
    true = truth.pooled(truth.number, ())[0]

    def exactly(spec: CooccurrenceSpec) -> np.ndarray:
        draws = fit_cooccurrence(counts, spec, FAST).draws["number"].to_numpy().reshape(-1, *truth.number.shape)
        return np.asarray(np.einsum("sck,c->sk", draws, truth.share / truth.share.sum()))

    with_steps, pairs_alone = exactly(CooccurrenceSpec()), exactly(CooccurrenceSpec(number_steps=False))
    assert np.abs(with_steps.mean(axis=0) - true).max() < 0.008  # sampling error of 18,000 children: 0.0036
    assert pairs_alone[:, 1].mean() - true[1] > 0.01


def _not_asked(counts: JointCounts, country: int, risk: int) -> JointCounts:
    """The same where one country was not asked about a risk."""
    answers = counts.answers.copy()
    answers[counts.index[counts.cell, 0] == country, risk] = UNKNOWN
    return replace(counts, answers=answers, children=None)


def test_a_country_that_was_not_asked_of_a_risk_borrows_it() -> None:
    counts = _counts(risks=5, per_cell=300)
    fit = fit_cooccurrence(_not_asked(counts, 0, 4), sampler=FAST)
    assert fit.passed
    draws = fit.draws["single"].to_numpy().reshape(-1, len(counts), 5)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    width = (high - low)[:, 4].reshape(6, 2).mean(axis=1)
    assert width[0] > 2 * width[1:].mean()


def test_two_risks_that_exclude_each_other_have_no_association() -> None:
    p = np.repeat([[0.7, 0.2, 0.1, 0.0]], 6, axis=0)
    counts = counts_from_probabilities(p, (6,), 200, 1, impossible=((0, 1),))
    fit = fit_cooccurrence(counts, CooccurrenceSpec(), FAST)
    assert (fit.posterior["both"] == 0).all()
    assert np.abs(fit.draws["single"].mean(("chain", "draw", "cell")) - [0.2, 0.1]).max() < 0.03


def test_priors_of_associations_are_of_the_right_kind_and_used() -> None:
    with pytest.raises(InputError, match="mean takes normal"):
        AssociationPriors(mean=Prior("half_normal", scale=1.0))
    tight = AssociationPriors(mean=Prior("normal", location=0.0, scale=0.01), pair_sd=Prior("half_normal", scale=0.01))
    counts = counts_from_probabilities(np.array([[0.5, 0.1, 0.1, 0.3]]), (1,), 200, 1, whole=False)
    fit = fit_cooccurrence(counts, CooccurrenceSpec(association_priors=tight), FAST)
    assert float(fit.draws["shared"][..., -1].std()) < 0.02
