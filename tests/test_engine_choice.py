"""Which engine makes a fit and why; cells that make a mode escape; weights that cannot be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.errors import FitError, GateError
from riskmodels.fit import fit as fit_module
from riskmodels.fit import limits
from riskmodels.fit.fit import fit_many, why_not_laplace
from riskmodels.survey.factors import Factor
from tests.conftest import make_cells

LAPLACE = rm.SamplerSpec(engine="laplace")


def counts(yes: list[float], n: list[float], items: tuple[str, ...] = ("a",)) -> Cells:
    countries = ("KEN", "NAM", "UGA", "VNM", "THA", "PHL")[: len(n) // len(items)]
    frame = pd.DataFrame([(c, i) for c in countries for i in items], columns=["country", "indicator"]).assign(
        n=np.nan, n_effective=n, yes_effective=yes
    )
    return cells_from_frame(
        frame,
        [Factor("country", countries), Factor("indicator", items)],
        base="all asked",
        source="published aggregates",
    )


@pytest.mark.parametrize(
    ("cells", "check"),
    [
        (counts([0.0] * 6, [50.0] * 6), lambda low, high: (high < 0.15).all() and (high > 0.005).all()),
        (counts([50.0] * 6, [50.0] * 6), lambda low, high: (low > 0.85).all() and (low < 0.999).all()),
        (counts([3.0], [40.0]), lambda low, high: low[0] < 0.075 < high[0]),
        (counts([0.2, 0.1, 0.3, 0.0], [0.6, 0.4, 0.9, 0.5]), lambda low, high: (high - low > 0.2).all()),
        (
            counts([0, 9, 0, 12, 0, 7, 0, 10], [90.0] * 8, ("never", "some")),
            lambda low, high: (high[::2] < 0.12).all() and (high[::2] > 0.002).all(),
        ),
        (counts([0.0, 30.0], [1e-3, 1e6]), lambda low, high: high[0] - low[0] > 1e-5 and low[1] < 3e-5 < high[1]),
    ],
    ids=[
        "nobody",
        "everybody",
        "one country",
        "effective n below 1",
        "an indicator with no yes",
        "almost empty beside huge",
    ],
)
def test_cells_that_make_the_mode_escape(cells: Cells, check: object) -> None:
    fit = rm.fit_model(cells, sampler=LAPLACE)
    assert fit.passed, [str(c) for c in fit.checks if not c.passed]
    table = rm.prevalence_estimates(fit).table
    assert np.isfinite(table[["estimate", "low", "high", "sd", "mcse"]].to_numpy(float)).all()
    assert check(table["low"].to_numpy(), table["high"].to_numpy())  # type: ignore[operator]


def test_the_result_says_which_engine_and_why() -> None:
    fit = rm.fit_model(make_cells())
    assert fit.engine == "laplace"
    assert "k-hat" in fit.engine_reason
    assert "laplace" in fit._repr_html_()
    assert "not log-concave" in why_not_laplace(make_cells(), rm.PrevalenceSpec(likelihood="beta-binomial"))
    many = make_cells(items=tuple(f"i{k}" for k in range(8)))
    assert "hyperparameters" in why_not_laplace(many, rm.PrevalenceSpec(country_correlation="free"))
    assert why_not_laplace(many, rm.PrevalenceSpec()) == ""
    with pytest.raises(FitError, match="log-concave"):
        rm.fit_model(make_cells(), rm.PrevalenceSpec(likelihood="beta-binomial"), LAPLACE)
    with pytest.raises(rm.InputError, match="E196"):
        rm.SamplerSpec(engine="magic")  # type: ignore[arg-type]


def test_a_k_hat_above_its_limit_never_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARETO_K_BELOW", -9.0)
    fit = rm.fit_model(make_cells(), sampler=LAPLACE)
    assert not fit.passed
    with pytest.raises(GateError, match="k-hat"):
        fit.require_passed()
    asked: list[str] = []

    class Stop(Exception):
        pass

    def refuse(*_: object) -> None:
        asked.append("nuts")
        raise Stop

    monkeypatch.setattr(fit_module, "compile_prevalence", refuse)
    with pytest.raises(Stop):
        rm.fit_model(make_cells())
    assert asked == ["nuts"]


def test_nan_in_a_weight_or_a_draw_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = rm.fit_model(make_cells(), sampler=LAPLACE)
    broken = fit.posterior.copy(deep=True)
    broken["prevalence"][0, 5, 0] = np.nan
    with pytest.raises(rm.InputError, match="not finite"):
        rm.prevalence_estimates(replace(fit, posterior=broken))
    from riskmodels.fit.laplace import integration

    original = integration.log_hyper_prior

    def one_unknown(*arguments: Any) -> np.ndarray:
        """A single draw of a batch without a weight, as an overflow would leave it."""
        values = original(*arguments)
        values[3] = np.nan
        return values

    monkeypatch.setattr(integration, "log_hyper_prior", one_unknown)
    with pytest.raises(FitError, match="draws of the Laplace engine have no weight"):
        rm.fit_model(make_cells(), sampler=LAPLACE)


def test_same_seed_same_bits_other_seed_other_draws() -> None:
    cells = make_cells()
    first, second, other = (rm.fit_model(cells, sampler=replace(LAPLACE, seed=seed)) for seed in (1, 1, 2))
    for name in first.posterior:
        np.testing.assert_array_equal(first.posterior[name], second.posterior[name])
    assert not np.array_equal(first.posterior["prevalence"], other.posterior["prevalence"])
    a, b = (rm.prevalence_estimates(fit).table for fit in (first, other))
    assert (np.abs(a["estimate"] - b["estimate"]) < 5 * np.hypot(a["mcse"], b["mcse"])).all()


def test_fit_many_is_fit_model_many_times() -> None:
    cells = make_cells()
    specs = [rm.PrevalenceSpec(priors=name) for name in ("default", "tight", "wide")]
    together = list(fit_many(specs, cells, LAPLACE))
    alone = [rm.fit_model(cells, spec, LAPLACE) for spec in specs]
    side_by_side = list(fit_many(specs, cells, LAPLACE, workers=2))
    for one, two, three in zip(together, alone, side_by_side, strict=True):
        assert one.fingerprint == two.fingerprint == three.fingerprint
        np.testing.assert_array_equal(one.posterior["prevalence"], two.posterior["prevalence"])
        np.testing.assert_array_equal(one.posterior["prevalence"], three.posterior["prevalence"])
    with pytest.raises(ValueError, match="specifications"):
        list(fit_many(specs, [cells, cells], LAPLACE))


def test_relabelled_countries_permute_the_posterior() -> None:
    """Renaming and reordering countries moves estimates by Monte Carlo error only."""
    cells = make_cells(items=("common",))
    turned = cells.select(country=cells.factor("country").levels[::-1])
    a = rm.prevalence_estimates(rm.fit_model(cells, sampler=LAPLACE)).table.set_index("country")
    b = rm.prevalence_estimates(rm.fit_model(turned, sampler=LAPLACE)).table.set_index("country").loc[a.index]
    assert (np.abs(a["estimate"] - b["estimate"]) < 5 * np.hypot(a["mcse"], b["mcse"])).all()


@pytest.mark.fit
@pytest.mark.parametrize("names", ["a", ["a", "b"]])
def test_one_country_whose_cells_hang_together_is_fitted_as_nuts_fits_it(names: Any) -> None:
    from tests.design.surveys import make_codebook, make_frame

    frame = make_frame(3)
    study = rm.study_from_frame(frame[frame["cntry"] == 1], make_codebook())
    cells = study.cells(names, ["gender"], base="all asked")
    fast, slow = (rm.fit_model(cells, sampler=rm.SamplerSpec(engine=engine)) for engine in ("auto", "nuts"))
    assert (fast.engine, slow.engine) == ("laplace", "nuts")
    assert fast.passed
    a, b = (rm.prevalence_estimates(fit, ["gender"]).table for fit in (fast, slow))
    assert (np.abs(a["estimate"] - b["estimate"]) < 4 * np.hypot(a["mcse"], b["mcse"])).all()
    assert (np.abs(a["estimate"] - a["direct"]) < 0.1).all()
