"""Laws of the quantities, poststratification, burden, claims, store and release."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskmodels as rm
from riskmodels.errors import GateError, StoreError
from riskmodels.estimates import quantities
from riskmodels.estimates.poststratify import domains_of
from riskmodels.estimates.summarise import summarise
from riskmodels.fit import fit as fit_module
from riskmodels.fit.checks import CheckResult, below, check_convergence
from riskmodels.fit.fit import Fit
from riskmodels.fit.store import load_fit, save_fit
from riskmodels.fit.weighting import smoothed_weights
from riskmodels.release.gate import clear_published
from riskmodels.report.export import combined_table, staged_folder, write_csv, write_workbook
from riskmodels.sensitivity.priors import prior_sensitivity
from riskmodels.survey.factors import Factor
from riskmodels.survey.population import PopulationFrame
from tests.conftest import COUNTRIES, make_cells, make_fit

SHARES = st.floats(0.001, 0.999)


def frame(se: float = 0.03) -> PopulationFrame:
    size = np.arange(1, 7) * 1e6
    return PopulationFrame(COUNTRIES, size, np.full(6, 0.5), np.full(6, se))


@given(SHARES, SHARES)
def test_ratio_laws(a: float, b: float) -> None:
    x, y = np.array([a]), np.array([b])
    assert quantities.ratio(x, y) * quantities.ratio(y, x) == pytest.approx(1)
    assert quantities.odds_ratio(x, y) * quantities.odds_ratio(y, x) == pytest.approx(1)
    assert quantities.difference(x, y) == -quantities.difference(y, x)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 1000))
def test_weights_times_a_constant_change_nothing(factor: float) -> None:
    cells = make_cells()
    scaled = replace(cells, weight=cells.weight * factor)
    values = np.linspace(0.01, 0.4, len(cells))
    pooled = domains_of(cells, []).average(values)
    np.testing.assert_allclose(domains_of(scaled, []).average(values), pooled)
    for item, value in enumerate(pooled):
        own = values[cells.position("indicator") == item]
        assert own.min() <= value <= own.max()


def test_poststratification_weighs_users() -> None:
    cells = make_cells(items=("common",))
    values = np.linspace(0.05, 0.3, 6)
    expected = (values * frame().users).sum() / frame().users.sum()
    assert domains_of(cells, [], frame()).average(values)[0] == pytest.approx(expected)


def test_relabelled_countries_permute_results(fit: Fit) -> None:
    turned = fit.cells.select(country=COUNTRIES[::-1])
    assert dict(zip(turned.frame()["country"] + turned.frame()["indicator"], turned.direct)) == dict(
        zip(fit.cells.frame()["country"] + fit.cells.frame()["indicator"], fit.cells.direct)
    )


def test_burden_total_is_the_sum_of_draws(fit: Fit) -> None:
    burden = rm.burden_estimates(fit, frame(0.0))
    table = burden.table[burden.table["indicator"] == "common"]
    parts, total = table[table["country"] != "all countries"], table[table["country"] == "all countries"].iloc[0]
    assert total["estimate"] == pytest.approx(parts["estimate"].sum())
    assert total["high"] - total["low"] < (parts["high"] - parts["low"]).sum()


def test_burden_with_known_share_is_prevalence_times_users(fit: Fit) -> None:
    burden = rm.burden_estimates(fit, frame(0.0)).table
    prevalence = rm.prevalence_estimates(fit).table
    joined = burden.merge(prevalence, on=["country", "indicator"], suffixes=("_b", "_p"))
    users = dict(zip(COUNTRIES, frame().users))
    np.testing.assert_allclose(joined["estimate_b"], joined["estimate_p"] * joined["country"].map(users), rtol=1e-12)


def test_ranks_and_claims(fit: Fit) -> None:
    ranks = rm.rank_estimates(fit)
    by_item = ranks.table.groupby("indicator")["estimate"].sum()
    np.testing.assert_allclose(by_item, 21)
    one = rm.probability_that(fit, "KEN", "UGA").table["estimate"].to_numpy()
    other = rm.probability_that(fit, "UGA", "KEN").table["estimate"].to_numpy()
    np.testing.assert_allclose(one + other, 1)
    assert (rm.exceedance_estimates(fit, 0.0).table["estimate"] == 1).all()
    contrast = rm.contrast_estimates(fit, reference="KEN")
    assert len(contrast) == 10


def test_intervals_are_equal_tailed_and_say_so() -> None:
    draws = np.random.default_rng(0).normal(size=(4, 2000, 1))
    row = summarise(draws, 0.95, "equal-tailed").iloc[0]
    np.testing.assert_allclose([row["low"], row["high"]], np.quantile(draws, [0.025, 0.975]))
    assert (row["interval_kind"], row["probability"]) == ("equal-tailed", 0.95)
    hdi = summarise(np.abs(draws), 0.9, "highest-density").iloc[0]
    assert hdi["low"] < np.quantile(np.abs(draws), 0.05)
    with pytest.raises(rm.InputError, match="E195"):
        summarise(np.full((2, 100, 1), np.nan), 0.95, "equal-tailed")


def test_unknown_is_a_failure() -> None:
    assert not below("x", "y", float("nan"), 1.0).passed
    stuck = np.repeat(np.arange(4.0)[:, None], 500, axis=1)[..., None]
    assert not all(check.passed for check in check_convergence({"stuck": stuck}, "parameters"))
    assert not all(check.passed for check in check_convergence({"constant": np.ones((4, 500, 1))}, "parameters"))


def test_failed_checks_cannot_be_released(fit: Fit) -> None:
    bad = replace(fit, checks=(CheckResult("R-hat", "x", float("nan"), "< 1.01", False),))
    with pytest.raises(GateError, match="R-hat"):
        bad.require_passed()
    with pytest.raises(GateError):
        clear_published(rm.prevalence_estimates(bad))
    assert "override" in clear_published(rm.prevalence_estimates(bad), override="teaching").decision


def test_microdata_estimates_are_not_exported(fit: Fit) -> None:
    micro = replace(fit, fingerprint=replace(fit.fingerprint, source="microdata"))
    with pytest.raises(GateError, match="microdata"):
        clear_published(rm.prevalence_estimates(micro))


def test_store_round_trip_and_another_fingerprint(tmp_path: Path, fit: Fit) -> None:
    home = save_fit(fit, tmp_path)
    again = load_fit(home, fit.cells, fit.spec, fit.sampler)
    np.testing.assert_array_equal(again.draws["prevalence"], fit.draws["prevalence"])
    assert again.checks == fit.checks
    with pytest.raises(StoreError, match="spec"):
        load_fit(home, fit.cells, rm.PrevalenceSpec(priors="wide"), fit.sampler)
    assert not list(home.glob(".*"))


@pytest.mark.parametrize("name", ["posterior.nc", "fit.json"])
def test_a_flipped_byte_is_refused(tmp_path: Path, fit: Fit, name: str) -> None:
    home = save_fit(fit, tmp_path)
    raw = bytearray((home / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (home / name).write_bytes(bytes(raw))
    with pytest.raises(StoreError, match=name):
        load_fit(home, fit.cells, fit.spec, fit.sampler)


def test_nothing_is_left_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "out") as staging:
        (staging / "half.csv").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_text_never_becomes_a_formula(tmp_path: Path, fit: Fit) -> None:
    table = combined_table([clear_published(rm.prevalence_estimates(fit))])
    table.loc[0, "note"] = "=cmd|' /C calc'!A0"
    write_workbook({"Estimates": table}, tmp_path / "t.xlsx", about=["x"], synthetic=True)
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["Estimates"]
    assert sheet.cell(1, 1).value.startswith("SYNTHETIC")
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    write_csv(table, tmp_path / "t.csv")
    assert "'=cmd" in (tmp_path / "t.csv").read_text()


def test_changed_model_code_gives_another_fingerprint(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fit_module.fingerprint_of(fit.cells, fit.spec, fit.sampler).id
    assert before == fit_module.fingerprint_of(fit.cells, fit.spec, fit.sampler).id
    monkeypatch.setattr(fit_module, "MODEL_CODE", ("models",))
    assert before != fit_module.fingerprint_of(fit.cells, fit.spec, fit.sampler).id


def test_reweighting_to_the_same_priors_changes_nothing() -> None:
    same = prior_sensitivity(make_fit(make_cells(items=("common",))), ["default", "wide"])
    unchanged = same[same["priors"] == "default"]
    np.testing.assert_allclose(unchanged["shift_in_sd"], 0, atol=1e-9)
    assert (same["low"] < same["estimate"]).all()


def test_weights_favour_what_the_other_prior_favours() -> None:
    """Importance weights of Normal(0.5, 1) on draws of Normal(0, 1): mean 0.5; inverted weights would give -0.5."""
    x = np.random.default_rng(0).normal(size=20_000)
    weights, k_hat = smoothed_weights(0.5 * x - 0.125)
    assert weights @ x == pytest.approx(0.5, abs=0.04)
    assert k_hat < 0.5


def test_synthetic_cells_are_branded() -> None:
    fit = make_fit(make_cells(synthetic=True))
    assert fit.fingerprint.synthetic
    assert "SYNTHETIC" in rm.prevalence_estimates(fit)._repr_html_()
    assert "SYNTHETIC" in fit.cells._repr_html_()


def test_new_country_has_the_spread_between_countries() -> None:
    """Centre at the intercept, logit variance sd^2 (1 + 1/C), rebuilt from the draws by hand."""
    fit = make_fit(make_cells(items=("common",)))
    new = rm.new_country_estimates(fit, seed=4)
    assert new.table["country"].tolist() == ["a country not in the sample"]
    assert "not measured" in new.table["note"][0]
    logit = np.log(new.draws / (1 - new.draws)).ravel()
    intercept, sd = fit.draws["intercept"].to_numpy().ravel(), fit.draws["country_sd"].to_numpy().ravel()
    assert logit.mean() == pytest.approx(intercept.mean(), abs=0.06)
    assert logit.var() == pytest.approx(intercept.var() + (sd**2).mean() * 7 / 6, rel=0.12)
    np.testing.assert_array_equal(new.draws, rm.new_country_estimates(fit, seed=4).draws)
    one = replace(fit, cells=fit.cells.select(country=["KEN"]))
    with pytest.raises(rm.InputError, match="E142"):
        rm.new_country_estimates(one)


def test_ahead_counts_sum_to_the_countries(fit: Fit) -> None:
    counts = rm.ahead_counts(fit)
    np.testing.assert_allclose(counts.draws.sum(axis=-1), 6)
    assert counts.table.set_index("indicator")["estimate"]["common"] > 5
    with pytest.raises(rm.InputError, match="E145"):
        rm.ahead_counts(fit, ["common"])
    with pytest.raises(rm.InputError, match="E195"):
        rm.probability_that(fit, "KEN", "KEN")


def test_ahead_counts_keep_indicators_apart() -> None:
    rows = [(c, ch, i) for c in COUNTRIES for ch in ("social media", "game") for i in ("a", "b", "c")]
    frame = pd.DataFrame(rows, columns=["country", "channel", "indicator"]).assign(n=500.0, n_effective=400.0)
    frame["yes_effective"] = np.where(frame["channel"] == "game", 80.0, 20.0)
    cells = rm.cells_from_frame(
        frame,
        [
            Factor("country", COUNTRIES),
            Factor("channel", ("social media", "game")),
            Factor("indicator", ("a", "b", "c")),
        ],
        base="all asked",
        source="published aggregates",
    )
    counts = rm.ahead_counts(make_fit(cells), factor="channel").table
    assert len(counts) == 6
    assert (counts[counts["channel"] == "game"]["estimate"] > 5.9).all()
    assert set(counts["note"]) == {"of 6 asked about all 2"}


def test_share_online_is_drawn_apart_from_the_prevalence() -> None:
    """One country: the logit of children affected splits into two independent parts (their sum of variances)."""
    cells = make_cells(("KEN",), items=("common",))
    one = rm.fit_model(cells, sampler=rm.SamplerSpec(engine="laplace", weighted_draws=1000))
    population = PopulationFrame(("KEN",), np.array([1e6]), np.array([0.5]), np.array([0.05]))
    children = rm.burden_estimates(one, population).draws[..., 0]
    prevalence = one.posterior["prevalence"].to_numpy()[..., 0]
    assert abs(np.corrcoef(np.log(children / prevalence).ravel(), np.log(prevalence).ravel())[0, 1]) < 0.12


def test_undeclared_levels_and_wrong_groups_are_refused() -> None:
    good = pd.DataFrame({"country": ["KEN", "UGA"], "n_effective": [100.0, 100.0], "yes_effective": [5.0, 9.0]})
    factors = [Factor("country", ("KEN", "UGA"))]
    with pytest.raises(rm.InputError, match="E145") as error:
        rm.cells_from_frame(
            good.assign(country=["KEN", "secret-id-77"]), factors, base="all asked", source="published aggregates"
        )
    assert "secret" not in str(error.value)
    with pytest.raises(rm.InputError, match="no cell has"):
        rm.cells_from_frame(
            good, [Factor("country", ("KEN", "UGA", "NAM"))], base="all asked", source="published aggregates"
        )
    with pytest.raises(rm.InputError, match="same children"):
        rm.cells_from_frame(good.assign(same_children=[0, 0]), factors, base="all asked", source="published aggregates")


def test_benchmarking_is_the_normal_update() -> None:
    """Against the conjugate formula on a proportion whose draws are nearly normal."""
    sampled = make_fit(make_cells(items=("common",)))
    with pytest.raises(rm.InputError, match="NUTS"):
        rm.benchmarked(sampled, pd.DataFrame({"country": ["KEN"], "prevalence": [0.1], "standard_error": [0.01]}))
    fit = replace(sampled, weights=np.full((4, 500), 1 / 2000), engine="laplace")
    before = rm.prevalence_estimates(fit).table.set_index(
        "country_code" if "country_code" in rm.prevalence_estimates(fit).table else "country"
    )
    mean, sd = before.loc["KEN", ["estimate", "sd"]].astype(float)
    known = pd.DataFrame({"country": ["KEN"], "prevalence": [mean + sd], "standard_error": [sd]})
    after = rm.benchmarked(fit, known)
    assert after.passed
    table = rm.prevalence_estimates(after).table
    assert table["estimate"][0] == pytest.approx(mean + sd / 2, abs=0.1 * sd)
    assert table["sd"][0] == pytest.approx(sd / np.sqrt(2), rel=0.1)
    assert table["estimate"][1] == pytest.approx(before["estimate"].iloc[1], abs=0.1 * before["sd"].iloc[1])
    assert after.fingerprint.id != fit.fingerprint.id
    far = known.assign(prevalence=min(0.9, mean + 12 * sd), standard_error=sd / 4)
    assert not rm.benchmarked(fit, far).passed
    with pytest.raises(rm.InputError, match="E181") as error:
        rm.benchmarked(
            fit, pd.DataFrame({"country": ["KEN", "XXX"], "prevalence": [14.0, 0.1], "standard_error": [0.01, 0.01]})
        )
    assert "E145" in str(error.value)
