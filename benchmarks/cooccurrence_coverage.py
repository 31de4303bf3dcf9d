"""Truth from other models than ours: do 90 % intervals of P(B given A) cover, and how large is the error?

    python benchmarks/cooccurrence_coverage.py [REPLICATES] [MINUTES]

Children of 13 countries (13,000 in all, 8 risks, 78 cells) are drawn from a multivariate probit with free tetrachoric
correlations that differ by country, and from a two-factor model. The pairwise model is fitted to each sample; a model of
one factor, and one of pairs alone (without terms for the number of risks), to the first few, to show that they fail.
Judged are P(B given A), all 56 ordered pairs, and the shares of children with exactly 0, 1, 2, 3, 4 risks, of every
country and of all countries. The sampling limit is the error of the direct estimate, which is unbiased and can do no better than chance
allows. Results are kept in benchmarks/results; a run goes on where the last one stopped.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

import riskmodels as rm
from riskmodels.design.joint_counts import JointCounts
from riskmodels.design.joint_simulated import counts_of_sample as counts_of_sample
from riskmodels.fit.cooccurrence import fit_cooccurrence
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.provenance import hashes_of_code, installed_versions
from riskmodels.survey.synthetic.joint_truths import JointTruth, probit_truth, simulate_joint, two_factor_truth

RESULT = Path(__file__).parent / "results" / "cooccurrence_coverage.json"
CERTIFIES = (
    "design/joint_counts.py",
    "design/joint_simulated.py",
    "fit/cooccurrence.py",
    "fit/countrywise",
    "models/country_model.py",
    "models/joint_likelihood.py",
    "models/joint_tables.py",
    "models/latent_cooccurrence.py",
    "survey/synthetic/joint_truths.py",
)
TRUTHS = {"multivariate probit": probit_truth, "two factors": two_factor_truth}
PAIRWISE = CooccurrenceSpec(ordered=("age_group",))
ONE_FACTOR = CooccurrenceSpec(structure="factor", factors=1, ordered=("age_group",))
#: Samples to which the models that fail are fitted too.
FAILING_SAMPLES = 3
#: Numbers of risks judged: 0 to 4.
NUMBERS = 5


def given(single: np.ndarray, both: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    """P(B given A) of every ordered pair, last axis pairs, then pairs the other way round."""
    first, second = np.array(pairs).T
    return np.concatenate([both / single[..., first], both / single[..., second]], axis=-1)


def averaged(truth: JointTruth, values: np.ndarray, by: tuple[str, ...]) -> np.ndarray:
    """Average over cells, shape (..., cells, k) -> (..., groups, k)."""
    return np.moveaxis(truth.pooled(np.moveaxis(values, -2, 0), by), 0, -2)


def direct(counts: JointCounts, truth: JointTruth, by: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Shares among the children drawn, cells weighted as in the truth: P(B given A), and of each number of risks."""
    size = len(counts)
    yes = (counts.answers == 1).astype(float)
    first, second = np.array(truth.pairs).T
    exactly = (yes.sum(axis=1)[:, None] == np.arange(NUMBERS)).astype(float)

    def share(values: np.ndarray) -> np.ndarray:
        sums = np.stack([np.bincount(counts.cell, column * counts.count, size) for column in values.T], axis=1)
        return averaged(truth, sums / counts.n_effective[:, None], by)

    return given(share(yes), share(yes[:, first] * yes[:, second]), truth.pairs), share(exactly)


def judged(fit: CooccurrenceFit, truth: JointTruth) -> dict[str, dict[str, float]]:
    """Coverage, squared error and bias in countries and in all of them together."""
    draws = {name: fit.draws[name].to_numpy() for name in ("single", "both", "number")}
    single, both, number = (values.reshape(-1, *values.shape[2:]) for values in draws.values())
    found = {}
    for name, by in (("countries", ("country",)), ("all countries", ())):
        mine = given(averaged(truth, single, by), averaged(truth, both, by), truth.pairs)
        true = given(truth.pooled(truth.single, by), truth.pooled(truth.both, by), truth.pairs)
        plain = direct(fit.counts, truth, by)
        found[f"P(B|A), {name}"] = compared(mine, true, plain[0])
        exactly = averaged(truth, number, by)[..., :NUMBERS]
        found[f"exactly k, {name}"] = compared(exactly, truth.pooled(truth.number, by)[..., :NUMBERS], plain[1])
    return found


def compared(mine: np.ndarray, true: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    """Draws and direct estimates against the truth."""
    low, high = np.quantile(mine, [0.05, 0.95], axis=0)
    mean = mine.mean(axis=0)
    return {
        "covered": float(((low < true) & (true < high)).mean()),
        "squared_error": float(((mean - true) ** 2).mean()),
        "squared_error_direct": float(((plain - true) ** 2).mean()),
    }


@cache
def truth_of(name: str) -> JointTruth:
    """Make a truth once."""
    return TRUTHS[name]()


def one(name: str, number: int) -> dict[str, object]:
    """Fit one sample of one truth."""
    truth = truth_of(name)
    counts = counts_of_sample(simulate_joint(truth, seed=number))
    sampler = rm.SamplerSpec(engine="laplace", seed=number)
    fit = fit_cooccurrence(counts, PAIRWISE, sampler)
    row: dict[str, object] = {"truth": name, "number": number, "passed": fit.passed, "pairwise": judged(fit, truth)}
    if number < FAILING_SAMPLES:
        row["pairs alone"] = judged(fit_cooccurrence(counts, replace(PAIRWISE, number_steps=False), sampler), truth)
        row["one factor"] = judged(fit_cooccurrence(counts, ONE_FACTOR, rm.SamplerSpec(seed=number)), truth)
    return row


def summary(rows: list[dict]) -> dict[str, object]:  # type: ignore[type-arg]
    """Means over samples, with Monte Carlo errors."""
    out: dict[str, object] = {"samples": len(rows), "fits_that_passed": sum(row["passed"] for row in rows)}
    for model in ("pairwise", "pairs alone", "one factor"):
        own = [row[model] for row in rows if model in row]
        for group in own[0] if own else ():
            covered = np.array([row[group]["covered"] for row in own])
            rmse, limit = (
                float(np.sqrt(np.mean([row[group][key] for row in own])))
                for key in ("squared_error", "squared_error_direct")
            )
            out[f"{model}: {group}"] = {
                "samples": len(own),
                "covered_90": round(float(covered.mean()), 4),
                "mc_error": round(float(covered.std(ddof=1) / np.sqrt(len(own))), 4) if len(own) > 1 else None,
                "error_points": round(100 * rmse, 3),
                "sampling_limit_points": round(100 * limit, 3),
            }
    return out


def main() -> None:
    """Run what is missing, keep what was run."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    limit = time.monotonic() + 60 * (float(sys.argv[2]) if len(sys.argv) > 2 else 1e6)
    code = hashes_of_code(*CERTIFIES)
    rows = []
    if RESULT.exists():
        stored = json.loads(RESULT.read_text())
        rows = stored["rows"] if stored["code_sha256"] == code else []
    done = {(row["truth"], row["number"]) for row in rows}
    for number in range(replicates):
        for name in TRUTHS:
            if (name, number) in done or time.monotonic() > limit:
                continue
            rows.append(one(name, number))
        result = {
            **{name: summary([row for row in rows if row["truth"] == name]) for name in TRUTHS},
            "children": 13_000,
            "risks": 8,
            "cells": 78,
            "rows": rows,
            "versions": installed_versions(),
            "code_sha256": code,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: result[name] for name in TRUTHS}, indent=1))


if __name__ == "__main__":
    main()
