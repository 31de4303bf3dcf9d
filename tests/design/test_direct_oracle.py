"""Agreement with R `survey` (stored results, see tests/oracle/survey/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from riskmodels.design.direct import (
    DirectEstimate,
    ReplicateWeights,
    covariance_of_proportions,
    direct_mean,
    direct_proportion,
    direct_ratio,
    direct_total,
)
from riskmodels.survey.codebook.records import Replicates

HERE = Path(__file__).parents[1] / "oracle" / "survey"
ORACLE: dict[str, Any] = json.loads((HERE / "survey.json").read_text())
CHILDREN = pd.read_csv(HERE / "children.csv", keep_default_na=False)
REPLICATED = pd.read_csv(HERE / "replicates.csv", keep_default_na=False)

ESTIMATE = {"rtol": 1e-8, "atol": 1e-8}
ERROR = {"rtol": 1e-6, "atol": 1e-9}
INTERVALS = ("logit", "Wilson", "Korn-Graubard", "normal")


def members(frame: pd.DataFrame, where: str | None) -> np.ndarray:
    if where is None:
        return np.ones(len(frame), dtype=bool)
    words = where.replace("%in% c(", "in [").replace(")", "]") if "%in%" in where else where
    return frame.eval(words).to_numpy(bool)


def estimate(
    frame: pd.DataFrame, args: dict[str, Any], design: dict[str, Any], interval: str = "logit"
) -> DirectEstimate:
    """The call of a stored case; children outside the domain stay in the sample, with no domain."""
    domain = np.where(members(frame, args.get("where")), "in", None)
    options = {**design, "domain": domain, "probability": args.get("probability") or 0.95}
    y, weight = frame[args["y"]], frame[args.get("weight") or "weight"]
    match args["quantity"]:
        case "proportion":
            return direct_proportion(y, weight, interval=interval, **options)
        case "mean":
            return direct_mean(y, weight, **options)
        case "total":
            return direct_total(y, weight, **options)
    return direct_ratio(y, frame[args["x"]], weight, **options)


def taylor(name: str, interval: str = "logit") -> tuple[DirectEstimate, dict[str, Any]]:
    args, expected = ORACLE["cases"][name]["args"], ORACLE["cases"][name]["r"]
    frame = CHILDREN[CHILDREN["country"].isin(args["keep"])] if args.get("keep") else CHILDREN
    design = {"country": frame["country"], "lonely_psu": args["lonely_psu"]}
    design |= {label: frame[args[label]] for label in ("stratum", "psu") if args[label]}
    return estimate(frame, args, design, interval), expected


def replicated(name: str, interval: str = "logit") -> tuple[DirectEstimate, dict[str, Any]]:
    args, expected = ORACLE["replicates"][name]["args"], ORACLE["replicates"][name]["r"]
    columns = tuple(column for column in REPLICATED if column.startswith(args["pattern"]))
    rscales = tuple(args["rscales"]) if args["rscales"] else None
    how = Replicates(columns, args["kind"], fay=args["fay"] or 0.0, rscales=rscales)
    weights = ReplicateWeights(REPLICATED[list(columns)].to_numpy(), how, "estimate" if args["mse"] else "mean")
    return estimate(REPLICATED, args, {"replicates": weights}, interval), expected


def number(value: float | str | None) -> float:
    """NaN as R's JSON writes it: null or text."""
    return float("nan") if value is None or isinstance(value, str) else value


def agree(found: DirectEstimate, expected: dict[str, Any]) -> None:
    np.testing.assert_allclose(found.estimate[0], expected["estimate"], **ESTIMATE)
    np.testing.assert_allclose(found.standard_error[0], expected["standard_error"], **ERROR)
    assert found.n[0] == expected["n"]
    if "degrees_of_freedom" in expected:
        assert found.degrees_of_freedom[0] == expected["degrees_of_freedom"]
    if "design_effect" in expected and np.isfinite(found.design_effect[0]):
        np.testing.assert_allclose(found.design_effect[0], expected["design_effect"], **ERROR)


def test_forty_cases_and_more() -> None:
    assert len(ORACLE["cases"]) >= 70
    assert len(ORACLE["replicates"]) >= 50
    assert {case["args"]["lonely_psu"] for case in ORACLE["cases"].values()} == {
        "error", "certainty", "average", "centred", "merge",
    }  # fmt: skip


@pytest.mark.parametrize("name", ORACLE["cases"])
def test_taylor_agrees(name: str) -> None:
    agree(*taylor(name))


@pytest.mark.parametrize("name", ORACLE["replicates"])
def test_replicate_weights_agree(name: str) -> None:
    agree(*replicated(name))


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_agree(interval: str) -> None:
    compared = 0
    for make, group in ((taylor, "cases"), (replicated, "replicates")):
        for name, case in ORACLE[group].items():
            wanted = interval == "normal" or case["args"]["quantity"] == "proportion"
            if not wanted or interval not in case["r"]:
                continue
            found, expected = make(name, interval)
            if found.interval_kind[0] != interval:
                assert found.note[0], name
                continue
            np.testing.assert_allclose([found.low[0], found.high[0]], expected[interval], **ERROR, err_msg=name)
            compared += 1
    assert compared >= 50


def test_logit_interval_is_that_of_the_logistic_model() -> None:
    """Under Taylor, svyciprop(method="logit") fits a model with an intercept: the same to the model's convergence."""
    for name, case in ORACLE["cases"].items():
        if "glm_logit" in case["r"]:
            found, expected = taylor(name)
            if found.interval_kind[0] == "logit":
                np.testing.assert_allclose([found.low[0], found.high[0]], expected["glm_logit"], atol=1e-6, rtol=0)


def test_nothing_or_everything_affected() -> None:
    """R gives a standard error of 0 and no interval there; riskmodels says an upper (lower) end and how."""
    for name, p in (("0 %", 0.0), ("100 %", 1.0), ("0 % of girls", 0.0)):
        found, expected = taylor(name)
        assert found.estimate[0] == p == expected["estimate"]
        assert found.standard_error[0] == expected["standard_error"] == 0
        assert found.interval_kind[0] == "Korn-Graubard"
        assert "Kish" in found.note[0]
        assert found.low[0] <= p <= found.high[0]
        assert 0.001 < found.high[0] - found.low[0] < 0.2


def test_a_domain_in_one_psu_has_no_interval() -> None:
    found, expected = taylor("domain in one PSU")
    assert expected["degrees_of_freedom"] == found.degrees_of_freedom[0] == 0
    assert np.isnan([found.low[0], found.high[0], found.effective_n[0], found.design_effect[0]]).all()
    assert "too few PSUs" in found.note[0]


@pytest.mark.parametrize("name", ORACLE["joint"])
def test_covariance_of_indicators_agrees(name: str) -> None:
    case = ORACLE["joint"][name]
    args = case["args"]
    answers = CHILDREN[args["columns"]].to_numpy(float)
    answers[~members(CHILDREN, args["where"])] = np.nan
    labels = {label: CHILDREN[label] for label in ("stratum", "psu", "country") if args.get(label, True)}
    found = covariance_of_proportions(answers, CHILDREN["weight"], lonely_psu=args["lonely_psu"], **labels)
    np.testing.assert_allclose(found.estimate, case["estimate"], **ESTIMATE)
    np.testing.assert_allclose(found.covariance, case["covariance"], rtol=1e-8, atol=1e-14)


def test_covariance_of_domains_agrees() -> None:
    case = ORACLE["domains"]
    y = CHILDREN["y"].to_numpy(float)
    answers = np.stack([np.where(CHILDREN["gender"] == gender, y, np.nan) for gender in ("boy", "girl")], axis=1)
    labels = {label: CHILDREN[label] for label in ("stratum", "psu", "country")}
    found = covariance_of_proportions(answers, CHILDREN["weight"], lonely_psu="centred", **labels)
    np.testing.assert_allclose(found.estimate, case["estimate"], **ESTIMATE)
    np.testing.assert_allclose(found.covariance, case["covariance"], rtol=1e-8, atol=1e-14)
