"""Shared inputs: a small published table, cells, and a stand-in fit that needs no sampler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import settings

from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.fit import Fit, fingerprint_of
from riskmodels.fit.sampler import SamplerSpec
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.survey.factors import Factor

# A busy machine must not turn a law red: time is measured in benchmarks/, never in tests.
settings.register_profile("riskmodels", deadline=None)
settings.load_profile("riskmodels")

COUNTRIES = ("KEN", "NAM", "UGA", "VNM", "THA", "PHL")
ITEMS = ("rare", "common")


def make_cells(
    countries: tuple[str, ...] = COUNTRIES, items: tuple[str, ...] = ITEMS, synthetic: bool = False
) -> Cells:
    rng = np.random.default_rng(3)
    rows = [(c, i) for c in countries for i in items]
    frame = pd.DataFrame(rows, columns=["country", "indicator"])
    frame["n"] = 1000.0
    frame["n_effective"] = 800.0
    frame["yes_effective"] = rng.binomial(800, [0.03 if item == "rare" else 0.15 for _, item in rows]).astype(float)
    factors = [Factor("country", countries), Factor("indicator", items)]
    return cells_from_frame(frame, factors, base="all asked", source="published aggregates", synthetic=synthetic)


def make_fit(cells: Cells, seed: int = 1) -> Fit:
    """A fit whose draws come from a generator, for everything downstream of sampling."""
    rng = np.random.default_rng(seed)
    sampler = SamplerSpec(draws=500, seed=seed)
    centre = np.log(cells.direct / (1 - cells.direct))
    p = 1 / (1 + np.exp(-(centre + 0.1 * rng.normal(size=(4, 500, len(cells))))))
    draws = xr.Dataset(
        {
            "prevalence": (("chain", "draw", "cell"), p),
            "intercept": (("chain", "draw"), rng.normal(-2.2, 0.3, (4, 500))),
            "country_sd": (("chain", "draw"), np.abs(rng.normal(0.6, 0.1, (4, 500)))),
        }
    )
    checks = (CheckResult("R-hat", "prevalence", 1.0, "< 1.01", True),)
    return Fit(
        spec=PrevalenceSpec(),
        cells=cells,
        sampler=sampler,
        posterior=draws,
        checks=checks,
        fingerprint=fingerprint_of(cells, PrevalenceSpec(), sampler),
        seconds=0.0,
    )


@pytest.fixture
def cells() -> Cells:
    return make_cells()


@pytest.fixture
def fit(cells: Cells) -> Fit:
    return make_fit(cells)


def write_table(
    path: Path, rows: list[str], header: str = "country_iso3,country,indicator,n,percent,ci_low,ci_high,numerator"
) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def good_rows() -> list[str]:
    return [
        "KEN,Kenya,threatened,1000,10.0,8.0,12.0,100",
        "NAM,Namibia,threatened,1000,5.0,3.5,6.5,50",
        "UGA,Uganda,threatened,900,20.0,17.2,22.8,180",
    ]
