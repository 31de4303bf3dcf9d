"""Cells of a survey are as uncertain as its sampling design says, in every country and in every breakdown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.design.cells import Cells
from riskmodels.design.collapse import collapse
from riskmodels.design.sampling import measure_clustering, positive_definite, t_penalty
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.design.totals import SurveyTotals
from riskmodels.estimates.estimates import direct_columns
from riskmodels.estimates.poststratify import domains_of
from tests.design.surveys import as_source, make_codebook, make_frame


def taylor_variance(frame: pd.DataFrame, column: str) -> tuple[float, float]:
    """Weighted share of yes among all asked and its linearised variance, written out child by child."""
    y = frame[column].isin([2, 3]).to_numpy(float)
    w = frame["wgt"].to_numpy()
    p = (w * y).sum() / w.sum()
    z = pd.Series(w * (y - p) / w.sum()).groupby([frame["strat"].to_numpy(), frame["ea"].to_numpy()]).sum()
    variance = 0.0
    for _, inside in z.groupby(level=0):
        m = len(inside)
        variance += m / (m - 1) * ((inside - inside.mean()) ** 2).sum()
    return float(p), float(variance)


def totals_of(frame: pd.DataFrame, by: tuple[str, ...] = (), names: tuple[str, ...] = ("a",)) -> SurveyTotals:
    return collapse(make_codebook(), as_source(frame), list(names), list(by), base="all asked")


def test_country_cells_have_the_design_based_variance() -> None:
    frame = make_frame(1)
    cells = cells_of_survey(totals_of(frame))
    for place, code in enumerate((1.0, 2.0)):
        own = frame[frame["cntry"] == code]
        p, variance = taylor_variance(own, "q_a")
        assert cells.direct[place] == pytest.approx(p, rel=1e-10)
        expected = p * (1 - p) / variance * t_penalty(np.array([15 - 2.0]))[0]
        assert cells.n_effective[place] == pytest.approx(min(expected, cells.n[place]), rel=1e-9)
    assert (cells.n_effective < 0.7 * cells.n).all()  # clustered and weighted: the test is not empty


@pytest.mark.parametrize("by", [("gender",), ("gender", "age")])
def test_breaking_down_does_not_make_a_country_more_certain(by: tuple[str, ...]) -> None:
    """The direct estimate of a country keeps its uncertainty when the same children are split into subgroups."""
    frame = make_frame(2)
    frame["q_gender"] = frame["q_gender"].replace(888.0, 1.0)
    whole = cells_of_survey(totals_of(frame))
    split = cells_of_survey(totals_of(frame, by))
    one, other = (direct_columns(c, domains_of(c, ["country"]), 0.95) for c in (whole, split))
    np.testing.assert_allclose(one["direct"], other["direct"], rtol=1e-9)
    np.testing.assert_allclose(other["n_effective"], one["n_effective"], rtol=0.12)
    naive = replace(split, sampling_correlation=(), same_children=np.arange(len(split)))
    too_sure = direct_columns(naive, domains_of(naive, ["country"]), 0.95)
    assert (too_sure["n_effective"] > 1.3 * one["n_effective"]).all()


def test_items_of_the_same_children_carry_their_measured_correlation() -> None:
    frame = make_frame(3)
    totals = totals_of(frame, names=("a", "b"))
    cells = cells_of_survey(totals)
    clustering = measure_clustering(totals)
    for number, code in enumerate((1.0, 2.0)):
        own = frame[frame["cntry"] == code]
        y = own[["q_a", "q_b"]].isin([2, 3]).to_numpy(float)
        w = own["wgt"].to_numpy()
        centred = y - (w @ y) / w.sum()
        covariance = (centred * w[:, None]).T @ centred
        phi = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert clustering.phi[number, 0, 1] == pytest.approx(phi, rel=1e-9)
        assert 0 < cells.sampling_correlation[number][0, 1] < 1


def same_cells(one: Cells, two: Cells) -> None:
    np.testing.assert_allclose(one.n_effective, two.n_effective, rtol=1e-10)
    np.testing.assert_allclose(one.yes_effective, two.yes_effective, rtol=1e-10)
    for a, b in zip(one.sampling_correlation, two.sampling_correlation, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_laws_of_weights_and_rows() -> None:
    """Weights of a country times a constant, rows in another order: nothing changes."""
    frame = make_frame(4)
    expected = cells_of_survey(totals_of(frame, ("gender",), ("a", "b")))
    scaled = frame.assign(wgt=frame["wgt"] * np.where(frame["cntry"] == 1, 1000.0, 0.01))
    same_cells(expected, cells_of_survey(totals_of(scaled, ("gender",), ("a", "b"))))
    same_cells(expected, cells_of_survey(totals_of(frame.sample(frac=1, random_state=1), ("gender",), ("a", "b"))))


def test_rows_doubled_at_half_weight_change_nothing() -> None:
    frame = make_frame(5)
    twice = pd.concat([frame, frame], ignore_index=True).assign(wgt=lambda f: f["wgt"] / 2)
    one, two = cells_of_survey(totals_of(frame)), cells_of_survey(totals_of(twice))
    np.testing.assert_allclose(one.n_effective, two.n_effective, rtol=1e-10)
    np.testing.assert_allclose(one.direct, two.direct, rtol=1e-10)


def test_another_country_does_not_matter_to_the_direct_figures() -> None:
    frame = make_frame(6)
    both, alone = cells_of_survey(totals_of(frame)), cells_of_survey(totals_of(frame[frame["cntry"] == 2]))
    np.testing.assert_allclose(both.n_effective[1], alone.n_effective[0], rtol=1e-12)
    assert alone.factor("country").levels == ("NAM",)


def test_simple_random_sample_has_no_design_effect() -> None:
    """Without weights, strata and PSUs the effective n is n, for any number of countries."""
    frame = make_frame(7).assign(wgt=3.0)
    codebook = make_codebook(psu=False, stratum=False)
    cells = cells_of_survey(collapse(codebook, as_source(frame), ["a"], base="all asked"))
    np.testing.assert_allclose(cells.n_effective, cells.n, rtol=2 / 600)


def test_zero_weights_add_nothing_and_stay_in_n() -> None:
    frame = make_frame(8)
    frame.loc[:9, "wgt"] = 0.0
    cells = cells_of_survey(totals_of(frame))
    assert cells.n.sum() == len(frame)
    p, _ = taylor_variance(frame[frame["cntry"] == 1], "q_a")
    assert cells.direct[0] == pytest.approx(p, rel=1e-10)


def test_nobody_affected_keeps_a_finite_effective_n() -> None:
    frame = make_frame(9)
    frame.loc[frame["cntry"] == 1, "q_a"] = 1.0
    cells = cells_of_survey(totals_of(frame))
    assert cells.yes_effective[0] == 0
    assert 50 < cells.n_effective[0] < 600  # clustering is taken from the other country


def test_correlation_is_made_positive_definite() -> None:
    matrix = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    mended = positive_definite(matrix)
    assert np.linalg.eigvalsh(mended)[0] > 0
    np.testing.assert_allclose(np.diagonal(mended), 1)


def test_select_keeps_the_right_correlations() -> None:
    cells = cells_of_survey(totals_of(make_frame(1), ("gender",), ("a", "b")))
    part = cells.select(country=["NAM"], indicator=["b", "a"])
    assert len(part.sampling_correlation) == 1
    whole, chosen = cells.sampling_correlation[1], part.sampling_correlation[0]
    np.testing.assert_array_equal(whole, chosen)
    girls = cells.select(gender=["girl"])
    np.testing.assert_array_equal(girls.sampling_correlation[0], cells.sampling_correlation[0][2:, 2:])
    assert girls.content_hash != replace(girls, sampling_correlation=(np.eye(2), np.eye(2))).content_hash
    with pytest.raises(rm.InputError, match="E180"):
        replace(girls, sampling_correlation=(np.eye(2),))


def test_both_engines_read_the_correlation() -> None:
    """The likelihood of cells with measured correlations is that of the sampled graph."""
    from riskmodels.design.dependence import dependence_between_items

    cells = cells_of_survey(totals_of(make_frame(2), ("gender",), ("a", "b")))
    dependence = dependence_between_items(cells, 0.4)
    assert dependence is not None
    p = (cells.yes_effective + 0.5) / (cells.n_effective + 1)
    first = np.flatnonzero(cells.same_children == 0)
    information = np.diag(cells.n_effective[first] * p[first] * (1 - p[first]))
    rotation = dependence.rotation[0]
    error = 1 / np.sqrt(np.diagonal(information))
    covariance = cells.sampling_correlation[0] * error[:, None] * error[None, :]
    np.testing.assert_allclose(rotation.T @ information @ rotation, np.linalg.inv(covariance), rtol=1e-8)
    fit = rm.fit_model(cells, sampler=rm.SamplerSpec(engine="laplace"))
    assert fit.passed
