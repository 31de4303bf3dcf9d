"""Replicate weights from file to model: the variance they say, in direct estimates and in effective numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

import riskmodels as rm
from riskmodels.design.collapse import collapse
from riskmodels.design.direct import ReplicateWeights, direct_proportion
from riskmodels.design.sampling import t_penalty
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.estimates.estimates import direct_columns
from riskmodels.estimates.poststratify import domains_of
from riskmodels.survey.codebook.records import Codebook, Replicates
from tests.design.surveys import as_source, make_codebook, make_frame

COUNT = 30


def study(seed: int = 1) -> tuple[pd.DataFrame, Codebook]:
    """A clustered survey with bootstrap weights of its PSUs, drawn country by country."""
    frame = make_frame(seed)
    rng = np.random.default_rng(seed)
    unit = frame["cntry"].astype(int) * 100 + frame["ea"].astype(int)
    names = tuple(f"rw{k}" for k in range(COUNT))
    for name in names:
        times = np.zeros(1000)
        for country in (1, 2):
            psus = unit[frame["cntry"] == country].unique()
            drawn = rng.choice(psus, len(psus) - 1)
            times += np.bincount(drawn, minlength=1000) * len(psus) / (len(psus) - 1)
        frame[name] = frame["wgt"] * times[unit]
    codebook = make_codebook()
    design = replace(codebook.design, replicates=Replicates(names, "bootstrap"))
    return frame, replace(codebook, design=design)


def test_direct_estimates_are_those_of_the_rows() -> None:
    frame, codebook = study()
    table = rm.study_from_frame(frame, codebook).direct("a", by=["country", "gender"])
    replicates = ReplicateWeights(
        frame[list(codebook.design.replicates.columns)].to_numpy(), codebook.design.replicates
    )  # type: ignore[union-attr, arg-type]
    groups = pd.DataFrame(
        {
            "country": pd.Categorical(frame["cntry"].map({1.0: "Kenya", 2.0: "Namibia"}), ["Kenya", "Namibia"]),
            "gender": pd.Categorical(frame["q_gender"].map({1.0: "boy", 2.0: "girl"}), ["boy", "girl"]),
        }
    )
    yes = frame["q_a"].isin([2, 3]).astype(float)
    found = direct_proportion(yes, frame["wgt"], domain=groups, country=frame["cntry"], replicates=replicates).frame()
    for column in ("n", "estimate", "standard_error", "low", "high", "degrees_of_freedom"):
        np.testing.assert_allclose(table[column].astype(float), found[column].astype(float), rtol=1e-10)
    assert list(table["country"]) == list(found["country"])


def test_models_are_as_uncertain_as_the_replicates_say() -> None:
    frame, codebook = study(2)
    totals = collapse(codebook, as_source(frame), ["a"], base="all asked")
    assert totals.replicate_variance is not None
    assert not totals.has_psu
    cells = cells_of_survey(totals)
    p = cells.direct
    expected = p * (1 - p) / totals.replicate_variance[:, 0] * t_penalty(totals.replicate_degrees)  # type: ignore[arg-type]
    np.testing.assert_allclose(cells.n_effective, np.minimum(expected, cells.n), rtol=1e-9)
    assert (cells.n_effective < 0.8 * cells.n).all()
    split = cells_of_survey(collapse(codebook, as_source(frame), ["a"], ["age"], base="all asked"))
    whole, parts = (direct_columns(c, domains_of(c, ["country"]), 0.95)["n_effective"] for c in (cells, split))
    np.testing.assert_allclose(parts, whole, rtol=0.2)


def test_faulty_replicate_weights_are_told_by_the_checks() -> None:
    frame, codebook = study(3)
    assert not [p for p in rm.study_from_frame(frame, codebook).check() if "replicate" in p.what]
    bad = frame.copy()
    bad.loc[:4, "rw0"] = -1.0
    bad.loc[:2, "rw1"] = np.nan
    bad["rw2"] *= 100
    found = {p.code: p for p in rm.study_from_frame(bad, codebook).check() if "replicate" in p.what}
    assert {code: p.count for code, p in found.items()} == {"E110": 5, "E112": 3, "W115": 1}
    ages = replace(codebook, design=replace(codebook.design, replicates=Replicates(("q_age", "q_a"), "brr")))
    assert "E195" in {p.code for p in rm.study_from_frame(frame, ages).check()}
