"""Known truth comes back: slopes, country predictors, extra variation between cells, calibration in small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import riskmodels as rm
from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.fit import fit_many
from riskmodels.survey.countries import ISO_ALPHA_3
from riskmodels.survey.factors import Factor

CODES = tuple(sorted(ISO_ALPHA_3))
LAPLACE = rm.SamplerSpec(engine="laplace")


def by_country(yes: np.ndarray, n: np.ndarray, codes: tuple[str, ...]) -> Cells:
    frame = pd.DataFrame({"country": codes, "n": n, "n_effective": n, "yes_effective": yes})
    return cells_from_frame(
        frame, [Factor("country", codes)], base="all asked", source="published aggregates", synthetic=True
    )


def test_slope_of_a_country_predictor() -> None:
    """20 tables of 30 countries, slope 0.5 per SD, residual SD 0.4: mean of estimates within 3 standard errors, ends cover."""
    rng = np.random.default_rng(5)
    codes, means, covered = CODES[:30], [], 0
    for _ in range(20):
        x = rng.normal(size=30)
        z = (x - x.mean()) / x.std()
        n = np.full(30, 800.0)
        yes = rng.binomial(800, special.expit(-2 + 0.5 * z + rng.normal(0, 0.4, 30))).astype(float)
        fit = rm.fit_model(
            by_country(yes, n, codes),
            rm.PrevalenceSpec(country_predictors={"gdp": dict(zip(codes, x, strict=True))}),
            LAPLACE,
        )
        draws = fit.draws["slope_gdp"].to_numpy().ravel()
        means.append(draws.mean())
        covered += bool(np.quantile(draws, 0.05) < 0.5 < np.quantile(draws, 0.95))
    assert abs(np.mean(means) - 0.5) < 3 * 0.08 / np.sqrt(20) + 0.01
    assert covered >= stats.binom.ppf(0.001, 20, 0.9)


def test_slopes_that_vary_by_country() -> None:
    """Age in years as a continuous factor: common slope, spread of slopes and their correlation with the intercepts."""
    rng = np.random.default_rng(6)
    countries, ages = CODES[:40], tuple(str(age) for age in range(12, 18))
    z = (np.arange(6) - 2.5) / np.arange(6).std()
    effects = rng.multivariate_normal([0, 0], [[0.36, 0.6 * 0.6 * 0.3], [0.6 * 0.6 * 0.3, 0.09]], 40)
    eta = -2 + effects[:, :1] + (0.4 + effects[:, 1:]) * z
    frame = pd.DataFrame([(c, a) for c in countries for a in ages], columns=["country", "age"]).assign(
        n=300.0, n_effective=300.0, yes_effective=rng.binomial(300, special.expit(eta)).ravel().astype(float)
    )
    cells = cells_from_frame(
        frame,
        [Factor("country", countries), Factor("age", ages)],
        base="all asked",
        source="published aggregates",
        synthetic=True,
    )
    fit = rm.fit_model(cells, rm.PrevalenceSpec(continuous=("age",)), LAPLACE)
    assert fit.passed
    draws = fit.draws
    for name, truth, at in (
        ("slope_age", 0.4 + effects[:, 1].mean(), ()),
        ("country_sd", 0.6, (0,)),
        ("country_sd", 0.3, (1,)),
        ("country_correlation", 0.6, (0, 1)),
    ):
        values = draws[name].to_numpy()[(..., *at)].ravel()
        assert np.quantile(values, 0.005) < truth < np.quantile(values, 0.995), name
    own = draws["country_effect"].to_numpy()[..., 1].mean(axis=(0, 1))
    assert np.corrcoef(own, effects[:, 1])[0, 1] > 0.8
    new = rm.new_country_estimates(fit, ["age"]).table
    assert (np.diff(new["estimate"]) > 0).all()


@pytest.mark.fit
def test_extra_variation_between_cells() -> None:
    """Beta-binomial by NUTS on 6 tables of 60 cells: correlation between children of one cell 0.03 is found again."""
    rng = np.random.default_rng(7)
    codes, tables = CODES[:60], []
    for _ in range(6):
        p = special.expit(-2 + rng.normal(0, 0.3, 60))
        size = 1 / 0.03 - 1
        tables.append(
            by_country(rng.binomial(500, rng.beta(p * size, (1 - p) * size)).astype(float), np.full(60, 500.0), codes)
        )
    spec = rm.PrevalenceSpec(likelihood="beta-binomial", country="none")
    fits = list(fit_many(spec, tables, rm.SamplerSpec(draws=500, tune=500)))
    assert {fit.engine for fit in fits} == {"nuts"}
    found = [float(fit.draws["overdispersion"].mean()) for fit in fits]
    # Without country effects their variance, (0.3 p (1 - p))^2, counts as correlation too: about 0.01 more.
    assert 0.03 < np.mean(found) < 0.05


def test_ranks_of_the_truth_are_uniform() -> None:
    """Calibration in small: 120 tables drawn from the priors; the full run is `make calibrate`."""
    rng = np.random.default_rng(8)
    codes, ranks = CODES[:8], []
    for _ in range(120):
        centre, sd, raw = special.logit(0.1) + 1.2 * rng.normal(), abs(0.75 * rng.normal()), rng.normal(size=8)
        p = special.expit(centre + sd * (raw - raw.mean()))
        fit = rm.fit_model(by_country(rng.binomial(300, p).astype(float), np.full(8, 300.0), codes), sampler=LAPLACE)
        weights = fit.weights.ravel()  # type: ignore[union-attr]
        ranks.append(
            [
                weights @ (fit.posterior[name].to_numpy()[(..., *at)].ravel() < truth)
                for name, at, truth in (("country_sd", (), sd), ("intercept", (), centre), ("prevalence", (0,), p[0]))
            ]
        )
    for column in np.array(ranks).T:
        assert stats.kstest(column, "uniform").pvalue > 0.001
