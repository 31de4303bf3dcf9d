"""Collapsing loses nothing: a model of single children and the model of their cells have the same posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import riskmodels as rm
from riskmodels.models.effects import zero_sum_basis
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable


@pytest.mark.fit
def test_rows_and_cells_agree() -> None:
    """Bernoulli per child by NUTS, written out here, against cells by both engines: within 4 Monte Carlo errors."""
    rng = np.random.default_rng(5)
    countries, children = 6, 120
    country = np.repeat(np.arange(countries), children)
    girl = rng.integers(0, 2, len(country))
    logit = -1.5 + rng.normal(0, 0.6, countries)[country] + 0.3 * (girl - 0.5)
    yes = (rng.uniform(size=len(country)) < 1 / (1 + np.exp(-logit))).astype(float)
    codes = ("KEN", "NAM", "UGA", "VNM", "THA", "PHL")
    frame = pd.DataFrame({"c": np.array(codes)[country], "g": girl.astype(float), "y": yes})
    codebook = Codebook(
        study_id="rows",
        title="",
        population="",
        file="frame",
        synthetic=True,
        design=DesignColumns(country="c"),
        variables={"gender": Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)}))},
        indicators={"y": Indicator("y", "Y", Answers("y", {"no": (0,), "yes": (1,)}))},
    )
    cells = rm.study_from_frame(frame, codebook).cells("y", by=["gender"])
    place = {code: number for number, code in enumerate(cells.factor("country").levels)}
    own = np.array([place[code] for code in codes])[country]
    spec = rm.PrevalenceSpec(interactions=())
    bases = {"country": zero_sum_basis(countries), "gender": zero_sum_basis(2)}
    with pm.Model():
        eta = pm.Normal("intercept", np.log(0.1 / 0.9), 1.2)
        for name, levels in (("country", own), ("gender", girl)):
            sd = pm.HalfNormal(f"{name}_sd", 0.75)
            eta = eta + ((bases[name] @ pm.Normal(f"{name}_raw", 0, 1, shape=bases[name].shape[1])) * sd)[levels]
        pm.Bernoulli("y", logit_p=eta, observed=yes)
        groups = [(c, g) for c in range(countries) for g in (0, 1)]
        first = [int(np.flatnonzero((own == c) & (girl == g))[0]) for c, g in groups]
        pm.Deterministic("p", pm.math.sigmoid(eta[first]))
        rows = pm.sample(2000, tune=1500, chains=4, random_seed=1, progressbar=False, target_accept=0.95)
    values = rows["posterior"]["p"].to_numpy()
    from riskmodels.fit.checks import convergence

    error = convergence(values).mcse
    for engine in ("laplace", "nuts"):
        draws = 4000 if engine == "laplace" else 2000
        fit = rm.fit_model(
            cells,
            spec,
            rm.SamplerSpec(engine=engine, seed=3, draws=draws if engine == "nuts" else 1000, target_accept=0.95),
        )  # type: ignore[arg-type]
        table = rm.prevalence_estimates(fit, ["country", "gender"]).table
        distance = np.abs(table["estimate"].to_numpy() - values.mean(axis=(0, 1))) / np.hypot(table["mcse"], error)
        assert distance.max() < 4, engine
