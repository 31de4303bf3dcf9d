"""Questions that only some children were asked: every average is over the children asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.design.cells import Cells
from riskmodels.errors import InputError
from riskmodels.estimates.estimates import direct_columns, label_columns
from riskmodels.estimates.poststratify import domains_of
from riskmodels.survey.population import population_from_table
from tests.design.surveys import make_codebook, make_frame

STUDY = Path(__file__).parents[1] / "data" / "synthetic" / "invented" / "study.toml"


def direct_of(cells: Cells, by: list[str]) -> pd.DataFrame:
    """Direct estimates by averages of cells, as the tables of models show them."""
    domains = domains_of(cells, by)
    return pd.concat([label_columns(cells, domains), direct_columns(cells, domains, 0.95)], axis=1)


@pytest.mark.parametrize("base", ["all asked", "valid answers"])
def test_cells_of_whole_countries_are_the_direct_estimates(base):
    study = rm.load_study(STUDY)
    cells, direct = study.cells("coped_deleted", base=base), study.direct("coped_deleted", base=base)
    np.testing.assert_allclose(cells.direct, direct["estimate"], rtol=1e-12)
    np.testing.assert_array_equal(cells.n, direct["n"])
    assert (cells.n_effective <= direct["effective_n"] + 1e-9).all(), "few PSUs make wider intervals, never narrower"


@pytest.mark.parametrize("by", [["gender"], ["gender", "age"]])
def test_groups_average_to_the_direct_estimate_of_the_children_asked(by):
    study = rm.load_study(STUDY)
    direct = study.direct("coped_deleted")["estimate"].to_numpy()
    np.testing.assert_allclose(direct_of(study.cells("coped_deleted", by), ["country"])["direct"], direct, rtol=1e-12)


def test_a_filtered_question_beside_another_keeps_its_own_children():
    study = rm.load_study(STUDY)
    names = ["coped_deleted", "cyberbullied"]
    both, alone = study.cells(names), [study.cells(name) for name in names]
    for name, own in zip(names, alone, strict=True):
        part = both.select(indicator=[name])
        for field in ("n", "direct", "weight"):
            np.testing.assert_allclose(getattr(part, field), getattr(own, field), rtol=1e-9, err_msg=field)
        # Where few cases leave the clustering unmeasured, that of the other indicator stands in.
        np.testing.assert_allclose(part.n_effective, own.n_effective, rtol=0.02)


def test_the_weight_of_a_filtered_question_is_that_of_the_children_asked():
    study = rm.study_from_frame(make_frame(5), make_codebook())
    asked, everyone = study.cells("c", ["gender"]), study.cells("a", ["gender"])
    assert (asked.weight < 0.8 * everyone.weight).all()
    codes = [problem.code for problem in study.cells(["a", "c"]).warnings]
    assert codes.count("W145") == 1
    assert "W145" not in [problem.code for problem in everyone.warnings]


def test_a_population_of_all_children_is_refused_before_anything_is_fitted():
    frame = make_frame(5)
    population = population_from_table(pd.DataFrame({"country": ["KEN", "NAM"], "total": [7e6, 1e6]}))
    study = rm.study_from_frame(frame, make_codebook(), population=population)
    with pytest.raises(InputError, match="filtered question") as error:
        study.prevalence("c")
    assert "E185" in str(error.value)


@pytest.mark.fit
def test_the_model_of_groups_stays_near_the_direct_estimates():
    result = rm.load_study(STUDY).prevalence("coped_deleted", by=["country", "gender"])
    assert result.fit.passed
    table = result.estimates().table
    assert table["estimate"].between(table["direct_low"], table["direct_high"]).all()


def test_a_domain_without_a_case_is_worth_no_more_than_its_clusters():
    """Cells that share PSUs: the average of cells without a case is as uncertain as one cell of all their children."""
    frame = make_frame(5).assign(q_a=1)
    study = rm.study_from_frame(frame, make_codebook())
    whole, split = (direct_of(study.cells(["a", "b"], by), ["country", "indicator"]) for by in ([], ["gender"]))
    empty = (whole["direct"] == 0).to_numpy()
    assert empty.any()
    np.testing.assert_allclose(split["n_effective"][empty], whole["n_effective"][empty], rtol=0.02)
    pooled = domains_of(study.cells(["a", "b"], ["gender"]), ["country", "indicator"])
    added_up = np.bincount(pooled.of_cell, weights=study.cells(["a", "b"], ["gender"]).n_effective)
    assert (split["n_effective"][empty] < 0.95 * added_up[empty]).all(), "the sample must be clustered for this test"
