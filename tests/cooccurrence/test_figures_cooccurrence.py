"""Figures of co-occurrence: words not codes, banners, nothing of failed fits, small groups or rare combinations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import GateError, InputError
from riskmodels.estimates.cooccurrence import pair_estimates
from riskmodels.estimates.cooccurrence_combinations import (
    LEAST_CHILDREN,
    NONE,
    OTHER,
    _shown,
    combination_estimates,
)
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.report.figures import save_figure
from riskmodels.report.figures_cooccurrence import KINDS, plot_cooccurrence
from riskmodels.report.figures_cooccurrence_curve import plot_curve
from riskmodels.report.figures_cooccurrence_matrix import plot_matrix
from riskmodels.report.figures_cooccurrence_network import plot_network
from riskmodels.report.figures_cooccurrence_shared import rarely_seen
from riskmodels.report.figures_cooccurrence_upset import plot_upset
from tests.cooccurrence.made_fits import counts_of, fit_of, made_fit, noisy, truth_of

matplotlib.use("Agg")
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colors, pyplot


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def fit() -> CooccurrenceFit:
    return made_fit(4)


def words_on(figure: Any) -> str:
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_visible()]
    return " | ".join(text.replace("\n", " ") for text in texts if text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_says_what_it_is(fit: CooccurrenceFit, kind: str, tmp_path: Path) -> None:
    figure = plot_cooccurrence(fit, kind)
    said = words_on(figure)
    assert "SYNTHETIC DATA" in said
    assert "INTERNAL: not cleared for release" in said
    assert "95 % intervals" in said
    assert "base: all asked" in said
    assert "r0" not in said
    assert ("Kenya" if kind == "curve" else "Risk number 1") in said
    save_figure(figure, tmp_path / kind)
    assert "Risk number 1" not in (tmp_path / f"{kind}.svg").name
    assert (tmp_path / f"{kind}.png").stat().st_size > 5000


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_fit_is_not_drawn_unless_told(kind: str) -> None:
    failed = made_fit(3, passed=False, synthetic=False)
    with pytest.raises(GateError, match="checks failed"):
        plot_cooccurrence(failed, kind)
    said = words_on(plot_cooccurrence(failed, kind, show_failed=True))
    assert "CHECKS FAILED: not to be released" in said
    assert "SYNTHETIC" not in said


def test_unknown_figures_and_measures(fit: CooccurrenceFit) -> None:
    for call in (
        lambda: plot_cooccurrence(fit, "pie"),
        lambda: plot_matrix(fit, "any"),  # type: ignore[arg-type]
        lambda: plot_network(fit, "both"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match="E195"):
            call()
    with pytest.raises(InputError, match="E145"):
        plot_matrix(fit, within={"country": "Atlantis"})


def test_matrix_shows_median_and_interval_and_mutes_what_is_open(fit: CooccurrenceFit) -> None:
    table = pair_estimates(fit, "ratio").table
    figure = plot_matrix(fit)
    said = words_on(figure)
    for row in table.to_dict("records"):
        assert f"{row['median']:.2f}" in said
        assert f"{row['low']:.2f} to {row['high']:.2f}" in said
    chance = made_fit(3, association=0.0)
    grey = colors.to_rgb("#EBEBEB")
    boxes = [patch.get_facecolor()[:3] for patch in plot_matrix(chance).axes[0].patches]
    open_ = pair_estimates(chance, "ratio").table.eval("low <= 1 <= high").sum()
    assert sum(np.allclose(box, grey) for box in boxes) == open_ > 0


def test_matrix_in_both_directions_and_of_one_country(fit: CooccurrenceFit) -> None:
    said = words_on(plot_matrix(fit, "given", {"country": "Kenya"}))
    table = pair_estimates(fit, "given", ["country"]).table
    for row in table[table["country"] == "Kenya"].to_dict("records"):
        assert f"{100 * row['low']:.1f} to {100 * row['high']:.1f}" in said
    assert "Kenya; 95 %" in said
    assert words_on(plot_matrix(fit, "given", {"country": "KEN"})).replace("KEN;", "Kenya;") == said


def test_matrix_of_impossible_and_rare_pairs() -> None:
    made = made_fit(3, impossible=((0, 2),))
    assert "cannot be" in words_on(plot_matrix(made, "odds ratio"))
    few = made_fit(3, children=30)
    assert "fewer than 10 children were seen with both" in words_on(plot_matrix(few, show_failed=True))
    assert "seen with both" not in words_on(plot_matrix(made_fit(3, children=4000)))
    assert rarely_seen(made, {}) == set()


@pytest.mark.parametrize("draw", [plot_matrix, plot_network])
def test_small_groups_are_not_drawn(draw: Any) -> None:
    truth = truth_of(6, 3)
    counts = counts_of(truth, 3, children=[500, 500, 12, 10, 500, 500])
    small = fit_of(counts, noisy(truth))
    with pytest.raises(GateError, match="fewer than 25"):
        draw(small, within={"country": "Namibia"})
    said = words_on(plot_curve(small))
    assert "Namibia" not in said
    assert "1 with a base under 25 not shown" in said
    with pytest.raises(GateError, match="fewer than 25"):
        plot_curve(fit_of(counts_of(truth, 3, children=8), noisy(truth)))


def test_conditional_shares_of_few_children_are_not_drawn() -> None:
    """60 children per country, about 8 of them with a risk: nothing is said of these 8."""
    truth = truth_of(6, 3)
    few = fit_of(counts_of(truth, 3, children=30), noisy(truth))
    figure = plot_matrix(few, "given", {"country": "Kenya"})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("*") == 6


def test_network_draws_only_what_is_sure() -> None:
    made = made_fit(5, association=1.0, children=4000)
    table = pair_estimates(made, "odds ratio").table
    sure = int(((table["low"] > 1) | (table["high"] < 1)).sum())
    figure = plot_network(made)
    assert len(figure.axes[0].lines) == sure > 0
    widths = [line.get_linewidth() for line in figure.axes[0].lines]
    assert max(widths) > 1.5 * min(widths)
    assert f"Not drawn: {10 - sure} of 10" in words_on(figure) or sure == 10
    p = np.array([0.2, 0.3, 0.4])
    has = (np.arange(8)[:, None] >> np.arange(3)) & 1
    chance = np.tile((p**has * (1 - p) ** (1 - has)).prod(axis=1), (6, 1))
    assert len(plot_network(fit_of(counts_of(chance, 3), noisy(chance, spread=0.01))).axes[0].lines) in (0, 1)


def seen_by(counts: JointCounts, risks: int) -> np.ndarray:
    return np.bincount(counts.answers @ (1 << np.arange(risks)), counts.count, 2**risks)


def test_combinations_add_up_and_rare_ones_stay_together() -> None:
    made = made_fit(5, children=150)
    found = combination_estimates(made, top=40)
    table = found.estimates.table
    np.testing.assert_allclose(found.estimates.draws.sum(axis=-1), 1)
    np.testing.assert_allclose(table["direct"].sum(), 1)
    assert table["combination"].tolist()[-2:] == [NONE, OTHER]
    children = seen_by(made.counts, 5)
    patterns = found.members[:-2] @ (1 << np.arange(5))
    assert (children[patterns] >= LEAST_CHILDREN).all()
    assert set(patterns) == set(np.flatnonzero(children >= LEAST_CHILDREN)) - {0}
    assert (np.diff(table["direct"][:-2]) <= 1e-12).all()


@given(st.lists(st.integers(0, 40), min_size=8, max_size=8), st.integers(1, 8))
def test_neither_a_combination_nor_the_rest_holds_few_children(children: list[int], top: int) -> None:
    counted = np.array(children, dtype=float)
    shown = _shown(counted, top)
    assert (counted[shown] >= LEAST_CHILDREN).all()
    rest = counted.sum() - counted[shown].sum()
    assert rest == 0 or rest >= LEAST_CHILDREN or not len(shown)


def test_model_share_of_a_combination_is_that_of_its_pattern(fit: CooccurrenceFit) -> None:
    found = combination_estimates(fit, top=3)
    patterns = found.members[:3] @ (1 << np.arange(4))
    every = fit.probabilities(np.arange(2000))
    expected = np.einsum("c,cps->sp", fit.counts.weight / fit.counts.weight.sum(), every[:, patterns])
    np.testing.assert_allclose(found.estimates.draws[..., :3].reshape(2000, 3), expected)


def test_weighted_draws_are_thinned_with_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from riskmodels.estimates import cooccurrence_combinations as module

    made = made_fit(4, weighted=True)
    none = 1 - made.posterior["number"].sel(how_many=slice(1, None)).sum("how_many").mean("cell").to_numpy()
    own = np.exp(1.5 * (none - none.mean()) / none.std())  # draws that have more children without risks weigh more
    made = replace(made, weights=own / own.sum())
    whole = combination_estimates(made, top=4).estimates
    monkeypatch.setattr(module, "WORK", 1)
    some = combination_estimates(made, top=4).estimates
    assert some.draws.shape[:2] == (4, 250)
    assert some.weights is not None
    assert some.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(some.table["estimate"], whole.table["estimate"], atol=0.002)
    equal = combination_estimates(replace(made, weights=None), top=4).estimates
    assert (whole.table["estimate"] - equal.table["estimate"])[4] > 0.008


def test_upset_has_a_column_per_combination_and_one_for_the_rest(fit: CooccurrenceFit) -> None:
    figure = plot_upset(fit, top=6)
    bars = list(figure.axes[1].patches)
    assert len(bars) == 7
    said = words_on(figure)
    assert "all other combinations" in said
    assert "None of the risks: " in said


def test_observed_points_of_few_children_are_not_drawn(fit: CooccurrenceFit) -> None:
    """At least four of four risks: about three effective children per country."""
    hollow = [line for line in plot_curve(fit).axes[0].lines if line.get_label() == "observed in this group"]
    assert 4 not in hollow[0].get_xdata()
    assert 1 in hollow[0].get_xdata()


def test_a_figure_is_the_same_twice(fit: CooccurrenceFit, tmp_path: Path) -> None:
    for stem in ("one", "two"):
        save_figure(plot_matrix(fit), tmp_path / stem)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_result_plots(fit: CooccurrenceFit) -> None:
    from riskmodels.cooccurrence_result import CooccurrenceResult

    assert "How many risks" in words_on(CooccurrenceResult(replace(fit)).plot("curve"))


def test_all_combinations_shown_leave_no_rest() -> None:
    made = made_fit(2)
    table = combination_estimates(made).estimates.table
    assert OTHER not in set(table["combination"])
    assert len(table) == 4
    assert "all other" not in words_on(plot_upset(made))


def test_no_combination_of_ten_children_is_not_shown() -> None:
    truth = np.full((6, 32), 1 / 32)
    few = fit_of(counts_of(truth, 5, children=30), noisy(truth))
    with pytest.raises(GateError, match="10 children"):
        plot_upset(few)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("risks", [2, 4])
def test_words_stay_within_the_figure(kind: str, risks: int) -> None:
    figure = plot_cooccurrence(made_fit(risks), kind)
    figure.canvas.draw()
    box = figure._suptitle.get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert box.x0 >= 0


def test_many_risks_are_numbered_in_the_network() -> None:
    truth = truth_of(6, 10)
    figure = plot_network(fit_of(counts_of(truth, 10), noisy(truth, draws=150)), show_failed=True)
    assert "10 Risk number 10" in " ".join(words_on(figure).split())


def test_pairs_without_a_mean_are_drawn_by_their_median(fit: CooccurrenceFit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rows without a median do not exist."""
    from riskmodels.report import figures_cooccurrence_matrix as module

    def without_mean(*args: Any, **settings: Any) -> Any:
        made = pair_estimates(*args, **settings)
        return replace(made, table=made.table.assign(estimate=np.nan))

    expected = words_on(plot_matrix(fit))
    monkeypatch.setattr(module, "pair_estimates", without_mean)
    assert words_on(plot_matrix(fit)) == expected
