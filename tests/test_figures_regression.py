"""Figures and tables of regressions: words not codes, reference lines, banners, nothing drawn of small bases."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import riskmodels as rm
from riskmodels.estimates.regression_shares import children_of, share_estimates
from riskmodels.estimates.regression_words import coefficient_words
from riskmodels.families.family import RegressionFamily
from riskmodels.fit.regression import RegressionFit
from riskmodels.models.regression_spec import regression_formula
from riskmodels.report.tables_regression import file_table, regression_table

matplotlib.use("Agg")
from matplotlib import pyplot

INVENTED = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented"


@pytest.fixture(scope="module")
def study() -> rm.Study:
    return rm.load_study(INVENTED / "study.toml", data=INVENTED / "study.csv")


@pytest.fixture(scope="module")
def fit(study: rm.Study) -> RegressionFit:
    spec = regression_formula(
        "any_risk ~ gender * age + area + (1 + gender | country)",
        numbers={"age": (14.5, 1.0)},
        references={"area": "rural"},
    )
    return study.regression(spec)


@pytest.fixture(scope="module")
def family(study: rm.Study) -> RegressionFamily:
    return study.harm(predictors="gender + age")


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    pyplot.close("all")


def words_on(figure: Any) -> str:
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    return " | ".join(text.replace("\n", " ") for text in texts if text)


def reference_lines(axis: Any) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axis.lines if line.get_linestyle() == "--"]


def test_words_say_what_is_compared_and_where(fit: RegressionFit) -> None:
    words = coefficient_words(fit)
    assert list(words) == [str(name) for name in fit.posterior["term"].to_numpy()]
    assert words["gender: Girls"] == "Gender: Girls against Boys (at Age in years 14.5)"
    assert words["age"] == "Age in years, per unit (at Gender: Boys)"
    assert words["area: Urban"] == "Area: Urban against Rural"
    assert words["gender: Girls x age"].startswith("Interaction: ")


@pytest.mark.parametrize(
    ("kind", "line", "label"), [("odds ratios", 1.0, "odds ratio"), ("marginal effects", 0.0, "percentage points")]
)
def test_forest_of_a_family(family: RegressionFamily, kind: str, line: float, label: str) -> None:
    figure = family.plot(kind)
    said = words_on(figure)
    assert "SYNTHETIC DATA" in said
    assert "not cleared" in said
    assert "Gender: Girls against Boys" in said
    assert "Treated in a hurtful way online" in said
    assert "gender:" not in said
    assert "risk: it happened" in said
    assert "harm: how bad it was" in said
    assert label in figure.axes[-1].get_xlabel()
    assert [reference_lines(axis) for axis in figure.axes] == [[line]] * 2
    assert figure.axes[-1].get_xscale() == ("log" if line else "linear")


def test_forest_of_one_regression_draws_its_medians(fit: RegressionFit) -> None:
    figure = rm.plot_coefficients(fit)
    drawn = sorted(line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o")
    table = rm.coefficient_estimates(fit, odds_ratios=True).table
    np.testing.assert_allclose(drawn, sorted(table["median"]))
    assert "Area: Urban against Rural" in words_on(figure)


def test_small_bases_are_not_drawn_and_not_written(family: RegressionFamily) -> None:
    table = family.table.copy()
    hidden = table["concept"] == "harm"
    table.loc[hidden, "n"] = 24.0
    said = words_on(rm.plot_forest(table, synthetic=True))
    assert "How upset" not in said
    assert "Treated in a hurtful way online" in said
    written = file_table(table, synthetic=True)
    assert (
        written.loc[hidden, ["n", "estimate", "median", "low", "high", "sd", "probability_of_direction"]]
        .isna()
        .all(axis=None)
    )
    assert written.loc[~hidden, "estimate"].notna().all()
    assert set(written["release"]) == {"not cleared for release"}
    assert written["synthetic"].str.contains("SYNTHETIC").all()
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(regression_table(table, "Odds ratios"))
    text = console.export_text()
    harm = text[text.index("How upset") :]
    first = table[hidden].iloc[0]
    assert "*" in harm
    assert f"{first['median']:.2f}" not in harm
    assert "[harm]" in text


@pytest.mark.parametrize(("predictor", "split"), [("age", None), ("age", "gender"), ("area", None), ("area", "gender")])
def test_curves_by_country(fit: RegressionFit, predictor: str, split: str | None) -> None:
    figure = rm.plot_curves(fit, predictor, split, points=5)
    said = words_on(figure)
    for label in fit.rows.countries.labels:
        assert label in said
    assert fit.rows.labels[predictor] in said
    assert "per cent affected" in said
    assert "SYNTHETIC DATA" in said
    if split:
        assert "Girls" in said
    axis = figure.axes[0]
    drawn = np.asarray(axis.lines[0].get_ydata())
    value = float(fit.rows.values["age"].min()) if predictor == "age" else "urban"
    at: dict[str, Any] = {predictor: [value]} | ({split: ["boy"]} if split else {})
    expected = rm.prediction_estimates(fit, at, ["country"]).table
    row = expected[expected["country"] == fit.rows.countries.labels[0]]
    assert drawn[0] == pytest.approx(100 * float(row["estimate"].iloc[0]))


def test_countries_with_a_small_base_are_not_drawn(fit: RegressionFit) -> None:
    n = np.where(fit.rows.country == 2, fit.rows.n * 0.01, fit.rows.n)
    small = replace(fit, rows=replace(fit.rows, n=n))
    for figure in (rm.plot_curves(small, "age", points=3), rm.plot_country_slopes(small)):
        said = words_on(figure)
        assert fit.rows.countries.labels[2] not in said
        assert fit.rows.countries.labels[1] in said


def test_slopes_of_countries(study: rm.Study, fit: RegressionFit) -> None:
    figure = rm.plot_country_slopes(fit)
    said = words_on(figure)
    assert "average of the countries" in said
    assert "Girls against Boys" in figure.axes[0].get_xlabel()
    assert reference_lines(figure.axes[0]) == [0.0]
    with pytest.raises(rm.InputError, match="E195"):
        rm.plot_country_slopes(fit, "age")
    alone = study.regression("any_risk ~ gender")
    with pytest.raises(rm.InputError, match="let it vary"):
        rm.plot_country_slopes(alone)


def test_rows_lost_by_hand_and_drawn(study: rm.Study) -> None:
    frame = pd.read_csv(INVENTED / "study.csv")
    frame.loc[frame.index[::7], "sdq"] = np.nan
    frame.loc[(frame["cntry"] == 1) & (frame["Q1"] > 15), "selfeff"] = np.nan
    torn = rm.study_from_frame(frame, study.survey.codebook)
    table = rm.predictor_loss(torn.survey.codebook, torn.survey.source, "any_risk", ["difficulties", "self_efficacy"])
    asked = frame[frame["Q1"].between(12, 17)]
    own = asked["wgt_scaled"] / asked.groupby("cntry")["wgt_scaled"].transform("mean")
    gone = {"difficulties": asked["sdq"].isna(), "self_efficacy": asked["selfeff"].isna()}
    gone["any of them"] = gone["difficulties"] | gone["self_efficacy"]
    assert list(table["predictor"]) == list(gone)
    assert set(table["n"]) == {len(asked)}
    for place, lost in enumerate(gone.values()):
        assert table["share"].iloc[place] == pytest.approx(lost.mean(), abs=1e-12)
        assert table["weighted_share"].iloc[place] == pytest.approx((own * lost).sum() / own.sum(), abs=1e-12)
    figure = rm.plot_missing(table, synthetic=True)
    said = words_on(figure)
    assert "Psychological difficulties" in said
    assert "weighted" in said
    assert "per cent of the children" in figure.axes[0].get_xlabel()


def test_n_of_groups_is_that_of_the_group(family: RegressionFamily) -> None:
    by_country = family.marginal_effects("age", by=["country", "gender"])
    counted = family.shares(by=["country", "gender"])
    for outcome in by_country["outcome"].unique():
        one, two = (table[table["outcome"] == outcome] for table in (by_country, counted))
        keys = ["country", "gender"]
        merged = one.merge(two, on=keys, suffixes=("", "_counted"))
        assert len(merged) == 10
        np.testing.assert_array_equal(merged["n"], merged["n_counted"])


def test_shares_average_to_the_whole(fit: RegressionFit) -> None:
    """A law: shares of groups, weighted by the groups' children, are the share of all; the base is never lost."""
    whole = share_estimates(fit)
    parts = share_estimates(fit, ["country", "gender"])
    own = fit.rows.weight
    keys = fit.rows.country * 2 + fit.rows.values["gender"].astype(int)
    weight = np.bincount(keys, own)
    np.testing.assert_allclose(parts.draws @ weight / weight.sum(), whole.draws[..., 0], rtol=1e-10)
    assert parts.table["n"].sum() == fit.rows.n.sum() == whole.table["n"].iloc[0]
    assert list(children_of(fit, parts.table)) == list(parts.table["n"])
