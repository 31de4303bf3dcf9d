"""Laws of the whole path from rows to estimates: what must not matter does not, to 1e-10."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm
from riskmodels.survey.codebook.records import Answers, Codebook
from tests.design.surveys import make_codebook, make_frame

SAMPLER = rm.SamplerSpec(engine="laplace", weighted_draws=1000)


def direct_and_model(frame: pd.DataFrame, codebook: Codebook) -> tuple[pd.DataFrame, pd.DataFrame]:
    study = rm.study_from_frame(frame, codebook)
    direct = study.direct(["a", "b"], by=["country", "gender"])
    model = (
        study.prevalence(["a", "b"], by=["country", "gender"], sampler=SAMPLER).estimates(["country", "gender"]).table
    )
    return direct, model


def unchanged(one: tuple[pd.DataFrame, pd.DataFrame], two: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    for column in ("n", "estimate", "standard_error", "low", "high"):
        np.testing.assert_allclose(one[0][column], two[0][column], rtol=1e-10, err_msg=column)
    for column in ("direct", "direct_low", "direct_high", "n_effective"):
        np.testing.assert_allclose(one[1][column], two[1][column], rtol=1e-10, err_msg=column)
    for column in ("estimate", "low", "high", "sd"):
        np.testing.assert_allclose(one[1][column], two[1][column], rtol=1e-6, err_msg=column)


@pytest.fixture(scope="module")
def expected() -> tuple[pd.DataFrame, pd.DataFrame]:
    return direct_and_model(make_frame(1), make_codebook())


def test_rows_in_another_order(expected: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    unchanged(expected, direct_and_model(make_frame(1).sample(frac=1, random_state=3), make_codebook()))


def test_codes_with_other_names(expected: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    frame, codebook = make_frame(1), make_codebook()
    frame["q_gender"] = frame["q_gender"].map({1.0: "m", 2.0: "w", 888.0: "x"})
    answers = Answers("q_gender", {"boy": ("m",), "girl": ("w",)}, {"prefer_not_to_say": ("x",)})
    variables = {**codebook.variables, "gender": replace(codebook.variables["gender"], answers=answers)}
    unchanged(expected, direct_and_model(frame, replace(codebook, variables=variables)))


def test_weights_of_a_country_on_another_scale(expected: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    frame = make_frame(1)
    frame["wgt"] *= np.where(frame["cntry"] == 1, 1234.5, 1.0)
    unchanged(expected, direct_and_model(frame, make_codebook()))


def test_a_level_that_nobody_has(expected: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    codebook = make_codebook()
    answers = codebook.variables["gender"].answers
    more = replace(answers, levels={"other": (7,), **answers.levels})
    variables = {**codebook.variables, "gender": replace(codebook.variables["gender"], answers=more)}
    unchanged(expected, direct_and_model(make_frame(1), replace(codebook, variables=variables)))


def test_a_country_declared_without_children(expected: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    codebook = make_codebook()
    design = replace(codebook.design, countries={"3": "UGA", **codebook.design.countries})
    unchanged(expected, direct_and_model(make_frame(1), replace(codebook, design=design)))


def test_every_child_twice_at_half_the_weight(expected: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Estimates and, with PSUs, standard errors stay; only the unweighted n doubles."""
    frame = make_frame(1)
    twice = pd.concat([frame, frame], ignore_index=True).assign(wgt=lambda f: f["wgt"] / 2)
    direct, _ = direct_and_model(twice, make_codebook())
    np.testing.assert_array_equal(direct["n"], 2 * expected[0]["n"])
    for column in ("estimate", "standard_error"):
        np.testing.assert_allclose(direct[column], expected[0][column], rtol=1e-10, err_msg=column)
