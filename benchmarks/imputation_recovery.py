"""Does multiple imputation recover known coefficients with 40 % of predictor values missing at random?

    python benchmarks/imputation_recovery.py [REPLICATES] [IMPUTATIONS] [MINUTES]

Each replicate: four countries of 500 children; a binary, an ordered and a continuous predictor, 40 % of whose values are
missing, more often among affected girls and affected older children, so that complete cases mislead. Three fits by the
whole path from rows to estimates: nothing missing, imputed and pooled, complete cases. Stops after MINUTES
and says how many replicates were made. Writes benchmarks/results/imputation_recovery.json.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

import riskmodels as rm
from riskmodels.design.regression_rows import regression_rows
from riskmodels.estimates.imputed import imputed_coefficients
from riskmodels.estimates.regression import coefficient_estimates
from riskmodels.fit.imputed import impute_and_fit
from riskmodels.fit.regression import fit_regression
from riskmodels.models.regression_spec import regression_formula
from riskmodels.provenance import hashes_of_code, installed_versions
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import source_from_frame

RESULTS = Path(__file__).parent / "results" / "imputation_recovery.json"
CERTIFIES = (
    "survey/imputation.py",
    "survey/imputation_draws.py",
    "design/missing_predictors.py",
    "design/completed_rows.py",
    "fit/imputed.py",
    "fit/pooling.py",
    "estimates/imputed.py",
)
COUNTRIES, CHILDREN, COUNTRY_SD = 4, 500, 0.3
FORMULA = "y ~ gender * disability + age + means + skill + (1 | country)"
TRUTH = {
    "Intercept": -1.0,
    "gender: girl": 0.4,
    "disability: yes": 0.6,
    "age": 0.15,
    "means: middle": -0.3,
    "means: high": -0.6,
    "skill": 0.5,
    "gender: girl x disability: yes": 0.5,
}
LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=1000)
CODEBOOK = Codebook(
    study_id="imputation",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=DesignColumns(country="c", weight="w"),
    variables={
        "gender": Variable("gender", "Gender", Answers("g", {"boy": (0,), "girl": (1,)})),
        "age": Variable("age", "Age", Answers("a", {}), low=12, high=17),
        "disability": Variable("disability", "Disability", Answers("d", {"no": (0,), "yes": (1,)})),
        "means": Variable("means", "Means", Answers("m", {"low": (0,), "middle": (1,), "high": (2,)}), ordered=True),
        "skill": Variable("skill", "Skill", Answers("s", {})),
    },
    indicators={"y": Indicator("y", "Y", Answers("y", {"no": (0,), "yes": (1,)}))},
)


def simulated(seed: int, countries: int = COUNTRIES, children: int = CHILDREN) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Children as they are, and as the survey knows them; predictors depend on one another and on the country."""
    rng = np.random.default_rng([seed, 11])
    country = np.repeat(np.arange(countries), children)
    size = len(country)
    own = rng.normal(0, COUNTRY_SD, countries)
    girl, age = rng.integers(0, 2, size), rng.integers(12, 18, size)
    disability = rng.uniform(size=size) < special.expit(-0.9 + 0.3 * girl + 0.2 * (country - 2))
    latent = rng.logistic(size=size) - 0.5 * disability + 0.2 * (country - 2)
    means = (latent > -0.6).astype(int) + (latent > 0.8)
    skill = rng.normal(size=size) + 0.15 * (age - 14.5) + 0.3 * means - 0.4 * disability
    eta = (
        TRUTH["Intercept"]
        + own[country]
        + TRUTH["gender: girl"] * girl
        + TRUTH["disability: yes"] * disability
        + TRUTH["age"] * (age - 14.5)
        + np.array([0.0, TRUTH["means: middle"], TRUTH["means: high"]])[means]
        + TRUTH["skill"] * skill
        + TRUTH["gender: girl x disability: yes"] * girl * disability
    )
    y = (rng.uniform(size=size) < special.expit(eta)).astype(float)
    whole = pd.DataFrame(
        {
            "c": np.array([f"C{k}" for k in range(countries)])[country],
            "w": rng.choice([1.0, 2.0, 3.0], size),
            "g": girl.astype(float),
            "a": age.astype(float),
            "d": disability.astype(float),
            "m": means.astype(float),
            "s": skill,
            "y": y,
        }
    )
    known = whole.copy()
    for name in ("d", "m", "s"):
        logit = 1.2 * y * girl + 0.4 * y * (age - 14.5) - 0.3 * girl
        centre = _centre(logit, 0.4)
        known.loc[rng.uniform(size=size) < special.expit(centre + logit), name] = np.nan
    return whole, known


def _centre(logit: np.ndarray, share: float) -> float:
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if special.expit(middle + logit).mean() < share else (low, middle)
    return low


def spec_of(weights: str = "none") -> rm.RegressionSpec:
    return regression_formula(FORMULA, numbers={"age": (14.5, 1.0)}, weights=weights)  # type: ignore[arg-type]


def replicate(seed: int, imputations: int) -> dict[str, dict[str, list[float]]]:
    """Estimate and ends of the 95 % interval of every coefficient, by three ways."""
    whole, known = simulated(seed)
    spec, sampler = spec_of(), replace(LAPLACE, seed=seed)
    source = source_from_frame(known)
    full = coefficient_estimates(
        fit_regression(regression_rows(CODEBOOK, source_from_frame(whole), "y", spec.predictors), spec, sampler)
    )
    pooled = impute_and_fit(CODEBOOK, source, spec, imputations=imputations, sampler=sampler)
    assert pooled.complete_case is not None
    found = {
        "nothing missing": full,
        "imputed": imputed_coefficients(pooled),
        "complete cases": coefficient_estimates(pooled.complete_case),
    }
    columns = ["estimate", "low", "high", "sd"]
    result = {way: e.table.set_index("coefficient")[columns].T.to_dict("list") for way, e in found.items()}
    result["missing information"] = (
        found["imputed"].table.set_index("coefficient")[["fraction_of_missing_information"]].T.to_dict("list")
    )
    result["passed"] = {"fit": [float(pooled.passed)]}
    return result


def main(wanted: int, imputations: int, minutes: float) -> None:
    """Run the replicates and store what was found."""
    started = time.perf_counter()
    runs = []
    for seed in range(wanted):
        if time.perf_counter() - started < 60 * minutes:
            runs.append(replicate(seed, imputations))
    replicates = len(runs)
    result: dict[str, object] = {"replicates": replicates, "imputations": imputations, "formula": FORMULA}
    result["passed"] = float(np.mean([run["passed"]["fit"][0] for run in runs]))
    for way in ("nothing missing", "imputed", "complete cases"):
        part = {}
        for name, truth in TRUTH.items():
            numbers = np.array([run[way][name] for run in runs])
            full = np.array([run["nothing missing"][name][0] for run in runs])
            part[name] = {
                "bias": round(float(numbers[:, 0].mean() - truth), 4),
                "mc_error": round(float(numbers[:, 0].std(ddof=1) / np.sqrt(replicates)), 4),
                "bias_against_nothing_missing": round(float((numbers[:, 0] - full).mean()), 4),
                "mc_error_against_nothing_missing": round(
                    float((numbers[:, 0] - full).std(ddof=1) / np.sqrt(replicates)), 4
                ),
                "covered_95": round(float(((numbers[:, 1] < truth) & (truth < numbers[:, 2])).mean()), 4),
                "mean_posterior_sd": round(float(numbers[:, 3].mean()), 4),
                "sd_of_estimates": round(float(numbers[:, 0].std(ddof=1)), 4),
            }
        result[way] = part
        print(way, pd.DataFrame(part).T.to_string(), sep="\n", flush=True)
    result["mean fraction of missing information"] = {
        name: round(float(np.mean([run["missing information"][name][0] for run in runs])), 3) for name in TRUTH
    }
    result |= {"seconds": round(time.perf_counter() - started, 1), "versions": installed_versions()}
    result["code_sha256"] = hashes_of_code(*CERTIFIES)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(result["mean fraction of missing information"], result["seconds"])


if __name__ == "__main__":
    given = [float(text) for text in sys.argv[1:]]
    main(*[int(number) for number in [*given[:2], *(100, 10)[len(given[:2]) :]]], (given[2:] or [60.0])[0])
