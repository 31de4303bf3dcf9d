"""Truths of joint answers are exact where an independent calculation exists, and samples and surveys come out at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from riskmodels.design.joint_answers import joint_counts
from riskmodels.design.joint_counts import JointCounts
from riskmodels.design.joint_simulated import counts_of_sample
from riskmodels.errors import InputError
from riskmodels.models.joint_margins import margins_of
from riskmodels.survey.synthetic.joint_survey import JointSurveyDesign, simulate_joint_survey
from riskmodels.survey.synthetic.joint_truths import (
    JointTruth,
    independent_truth,
    probit_truth,
    simulate_joint,
    two_factor_truth,
)
from tests.design.surveys import as_source

TRUTHS = {"probit": probit_truth, "two factors": two_factor_truth, "independent": independent_truth}


@pytest.fixture(scope="module", params=list(TRUTHS))
def truth(request: pytest.FixtureRequest) -> JointTruth:
    make: Callable[..., JointTruth] = TRUTHS[request.param]
    return make(seed=4)


def test_single_risks_are_those_of_normal_liabilities(truth: JointTruth) -> None:
    np.testing.assert_allclose(truth.single, stats.norm.cdf(truth.liability), atol=1e-6)
    assert truth.error < 2e-6
    assert truth.probabilities.shape == (78, 256)
    np.testing.assert_allclose(truth.probabilities.sum(axis=1), 1, atol=1e-12)


def test_pairs_are_those_of_the_bivariate_normal(truth: JointTruth) -> None:
    """Oracle: the bivariate normal distribution of SciPy, which knows of no factor."""
    for cell in (0, 40):
        correlation = truth.correlation[truth.index[cell, 0]]
        for place, (one, other) in enumerate(truth.pairs):
            r = correlation[one, other]
            expected = stats.multivariate_normal.cdf(truth.liability[cell, [one, other]], cov=[[1, r], [r, 1]])
            assert truth.both[cell, place] == pytest.approx(expected, abs=1e-6)


def test_all_of_four_risks_are_those_of_the_normal_of_four_dimensions() -> None:
    """Oracle: Genz's integration in SciPy."""
    truth = probit_truth(risks=4, countries=2)
    for cell in (0, 11):
        expected = stats.multivariate_normal.cdf(
            truth.liability[cell],
            cov=truth.correlation[truth.index[cell, 0]],
            abseps=1e-7,
            rng=np.random.default_rng(1),
        )
        assert truth.probabilities[cell, 15] == pytest.approx(expected, abs=2e-5)


def test_margins_are_those_of_the_models(truth: JointTruth) -> None:
    margins = margins_of(truth.probabilities, truth.risks)
    for name in ("single", "both", "number"):
        np.testing.assert_allclose(getattr(truth, name), getattr(margins, name), atol=1e-14)


def test_correlations_are_free_and_differ_by_country_in_the_probit_only() -> None:
    first, second = np.triu_indices(8, 1)
    probit, factors = (make(seed=2).correlation[:, first, second] for make in (probit_truth, two_factor_truth))
    assert probit.mean(axis=0).std() > 0.08
    assert probit.std(axis=0).mean() > 0.03
    assert factors.std(axis=0).max() < 1e-12
    # tetrads of one factor vanish: r12 r56 = r15 r26; here they do not
    matrix = two_factor_truth(seed=2).correlation[0]
    assert matrix[0, 1] * matrix[4, 5] - matrix[0, 4] * matrix[1, 5] > 0.05


def test_pooling_averages_cells_by_their_shares(truth: JointTruth) -> None:
    everyone = truth.pooled(truth.single, ())
    by_country = truth.pooled(truth.single)
    np.testing.assert_allclose(everyone[0], by_country.mean(axis=0), atol=1e-12)
    cells = truth.pooled(truth.single, ("country", "gender", "age_group"))
    np.testing.assert_allclose(cells, truth.single, atol=1e-12)
    at = truth.index[:, 0] == 3
    np.testing.assert_allclose(by_country[3], np.average(truth.single[at], axis=0, weights=truth.share[at]))


def observed(counts: JointCounts, pairs: Sequence[tuple[int, int]] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Weighted P(both) per country and pair where both are known, and its standard error by the effective number."""
    country = counts.position("country")[counts.cell]
    scale = (counts.weight / counts.n_effective)[counts.cell] * counts.count
    shares, errors = [], []
    for number in range(len(counts.factors[0])):
        at = country == number
        for one, other in pairs or counts.pairs:
            known = at & (counts.answers[:, [one, other]] >= 0).all(axis=1)
            yes = (counts.answers[known][:, [one, other]] == 1).all(axis=1)
            share = scale[known][yes].sum() / scale[known].sum()
            shares.append(share)
            errors.append(np.sqrt(share * (1 - share) / counts.count[known].sum()))
    return np.array(shares), np.array(errors)


@pytest.mark.parametrize("unanswered", [0.0, 0.1])
def test_samples_come_out_at_the_truth(truth: JointTruth, unanswered: float) -> None:
    counts = counts_of_sample(simulate_joint(truth, 3, children=400_000, unanswered=unanswered))
    assert counts.n.sum() == pytest.approx(400_000, abs=20)
    found, error = observed(counts)
    z = (found - truth.pooled(truth.both).ravel()) / error
    assert abs(z.mean()) < 0.5
    assert 0.8 < z.std() < 1.2
    assert np.abs(z).max() < 4.5
    unknown = (counts.answers == -1).sum(axis=1) @ counts.count / counts.count.sum() / 8
    assert unknown == pytest.approx(unanswered, abs=0.002)


def test_same_seed_same_children(truth: JointTruth) -> None:
    one, two, three = (counts_of_sample(simulate_joint(truth, seed, unanswered=0.05)) for seed in (1, 1, 2))
    assert one.content_hash == two.content_hash != three.content_hash
    again = TRUTHS[truth.kind](seed=4)
    np.testing.assert_array_equal(again.probabilities, truth.probabilities)


def test_a_survey_comes_out_at_the_truth_by_its_weights_and_design() -> None:
    """Clusters, informative weights and answers missing by kind: errors as large as the effective numbers say."""
    truth = probit_truth(seed=5)
    design = JointSurveyDesign(children=60_000, psus=40, psu_sd=0.25, not_fielded={"risk_8": ("XAA", "XAB")})
    survey = simulate_joint_survey(truth, 7, design=design)
    counts = joint_counts(survey.codebook, as_source(survey.frame), truth.names, [name for name, _ in truth.subgroups])
    assert [problem.code for problem in counts.warnings if problem.code == "W158"] == ["W158"]
    lacking = np.isin(counts.position("country"), (0, 1))
    assert ((counts.answers[:, 7] == -1) | ~lacking[counts.cell]).all()
    second = np.array(counts.pairs)[:, 1]
    asked = ~((second == 7)[None, :] & (np.arange(13) < 2)[:, None]).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        found, error = observed(counts)
    z = ((found - truth.pooled(truth.both).ravel()) / error)[asked]
    assert abs(z.mean()) < 0.5
    assert 0.75 < z.std() < 1.15
    naive = joint_counts(survey.codebook, as_source(survey.frame), truth.names, weights="none")
    with np.errstate(invalid="ignore", divide="ignore"):
        found, error = observed(naive)
    wrong = ((found - truth.pooled(truth.both).ravel()) / error)[asked]
    assert wrong.mean() > 1.0
    assert wrong.std() > 1.15


def test_intervals_by_effective_numbers_cover_single_risks_and_err_wide_for_pairs() -> None:
    """Eight surveys with a design effect of about 2; 832 and 2,900 intervals of 90 %, of which 0.01 and 0.006 is chance.

    Intervals of a survey and country are related, so that the bands are wider than that.
    """
    truth = probit_truth(seed=5)
    single, both, effect = [], [], []
    for seed in range(8):
        survey = simulate_joint_survey(truth, seed, design=JointSurveyDesign(psus=40, psu_sd=0.35))
        counts = joint_counts(survey.codebook, as_source(survey.frame), truth.names)
        effect.append(float((counts.n / counts.n_effective).mean()))
        for store, pairs, true in (
            (single, [(k, k) for k in range(8)], truth.pooled(truth.single)),
            (both, truth.pairs, truth.pooled(truth.both)),
        ):
            found, error = observed(counts, pairs)
            seen = found > 0
            expected = error[seen] * np.sqrt((true.ravel() * (1 - true.ravel()))[seen] / (found * (1 - found))[seen])
            store.append(np.abs(found - true.ravel())[seen] < 1.645 * expected)
    assert 1.7 < np.mean(effect) < 2.4
    assert 0.87 < np.concatenate(single).mean() < 0.93
    assert 0.90 < np.concatenate(both).mean() < 0.975


def test_children_of_a_psu_cannot_share_more_than_one_child_does() -> None:
    truth = independent_truth(risks=4, countries=2)
    with pytest.raises(InputError, match="E195"):
        simulate_joint_survey(truth, design=JointSurveyDesign(children=400, psu_sd=0.6))
