"""The Laplace engine against long NUTS runs: every cell, every reported quantity, every hyperparameter.

    python benchmarks/engine_agreement.py

Writes benchmarks/results/engine_agreement.json. `largest_z` is the largest difference of posterior means in Monte
Carlo standard errors of the two runs together, over all quantities named; `largest_quantile_shift` the largest
difference of a hyperparameter's 5 or 95 % quantile in posterior SDs.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import riskmodels as rm
from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.checks import convergence
from riskmodels.fit.fit import MODEL_CODE, Fit
from riskmodels.fit.weighting import effective_draws, weighted_quantile
from riskmodels.provenance import hash_of_code, installed_versions
from riskmodels.survey.factors import Factor
from riskmodels.survey.synthetic import simulate_subgroups

RESULTS = Path(__file__).parent / "results" / "engine_agreement.json"
LONG = rm.SamplerSpec(engine="nuts", draws=10_000, tune=2000, chains=4, target_accept=0.95, seed=11)
FAST = rm.SamplerSpec(engine="laplace", weighted_draws=8000, seed=12)


def subgroup_cells(seed: int, countries: int = 13) -> Cells:
    table = simulate_subgroups(seed, countries=countries)
    return cells_from_frame(
        table.frame,
        [Factor(name, levels) for name, levels in table.levels.items()],
        base="all asked",
        source="published aggregates",
        synthetic=True,
    )


def cases() -> dict[str, tuple[Cells, rm.PrevalenceSpec]]:
    pack = rm.load_pack("disrupting-harm")
    subgroups = rm.PrevalenceSpec(ordered=("age", "ses"), interactions=(("country", "age"), ("country", "gender")))
    online = dict(zip(pack.population().countries, pack.population().share_online, strict=True))
    return {
        "disrupting-harm, any abuse online": (pack.cells(indicators=["online_any_of_9_items"]), rm.PrevalenceSpec()),
        "disrupting-harm, nine items": (pack.cells(), rm.PrevalenceSpec()),
        "disrupting-harm, nine items, valid answers": (pack.cells(base="valid answers"), rm.PrevalenceSpec()),
        "one indicator, brms priors, country predictor": (
            pack.cells(indicators=["online_any_of_9_items"]),
            rm.PrevalenceSpec(priors="brms", country_predictors={"online": online}),
        ),
        "312 cells, subgroups": (subgroup_cells(1), subgroups),
        "312 cells, continuous age with slopes per country": (
            subgroup_cells(2),
            rm.PrevalenceSpec(continuous=("age",), interactions=(("country", "gender"), ("gender", "ses"))),
        ),
    }


def hyperparameters(fit: Fit) -> dict[str, np.ndarray]:
    names = [
        str(name)
        for name in fit.posterior.data_vars
        if str(name).endswith("_sd")
        or str(name) == "intercept"
        or str(name).startswith("slope_")
        or str(name) == "country_correlation"
    ]
    return {
        name: fit.posterior[name].to_numpy().reshape(fit.posterior[name].shape[0], fit.posterior[name].shape[1], -1)
        for name in names
    }


def reported(fit: Fit) -> np.ndarray:
    """Cells, countries, all countries together, and differences to the first country: (chain, draw, quantity)."""
    found = [
        fit.posterior["prevalence"].to_numpy(),
        rm.prevalence_estimates(fit).draws,
        rm.prevalence_estimates(fit, []).draws,
    ]
    return np.concatenate(
        [
            *found,
            rm.contrast_estimates(fit, reference=fit.cells.factor("country").levels[0]).draws,
            rm.rank_estimates(fit).draws,
        ],
        axis=-1,
    )


def moments(fit: Fit, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    flat = draws.reshape(-1, draws.shape[-1])
    ends = np.array([0.05, 0.95])
    if fit.weights is None:
        return flat.mean(axis=0), flat.std(axis=0), convergence(draws).mcse, np.quantile(flat, ends, axis=0)
    weights = fit.weights.ravel()
    mean = weights @ flat
    return (
        mean,
        np.sqrt(weights @ (flat - mean) ** 2),
        effective_draws(draws, fit.weights, 0.05)[2],
        weighted_quantile(flat, weights, ends),
    )


def compare(cells: Cells, spec: rm.PrevalenceSpec) -> dict[str, object]:
    fast, long = rm.fit_model(cells, spec, FAST), rm.fit_model(cells, spec, LONG)
    a, b = moments(fast, reported(fast)), moments(long, reported(long))
    varies = b[1] > 1e-12
    z = np.abs(a[0] - b[0])[varies] / np.sqrt(a[2] ** 2 + b[2] ** 2)[varies]
    shifts, hyper_z = {}, 0.0
    for name, draws in hyperparameters(long).items():
        x, y = moments(fast, hyperparameters(fast)[name]), moments(long, draws)
        keep = y[1] > 1e-9
        shifts[name] = round(float(np.abs((x[3] - y[3]) / y[1])[:, keep].max()), 3)
        hyper_z = max(hyper_z, float((np.abs(x[0] - y[0]) / np.sqrt(x[2] ** 2 + y[2] ** 2))[keep].max()))
    return {
        "quantities": int(varies.sum()),
        "largest_z": round(float(z.max()), 2),
        "share_of_z_above_2": round(float((z > 2).mean()), 3),
        "largest_z_of_hyperparameters": round(hyper_z, 2),
        "largest_quantile_shift": max(shifts.values()),
        "quantile_shift": shifts,
        "seconds_laplace": round(fast.seconds, 2),
        "seconds_nuts": round(long.seconds, 1),
        "laplace": fast.engine_reason,
        "both_passed": fast.passed and long.passed,
        "nuts_failed": [str(check) for check in long.checks if not check.passed],
    }


def main() -> None:
    found = {}
    for name, (cells, spec) in cases().items():
        found[name] = compare(cells, spec)
        print(name, json.dumps(found[name]), flush=True)
    RESULTS.write_text(
        json.dumps(
            {"cases": found, "versions": installed_versions(), "model_code": hash_of_code(*MODEL_CODE)}, indent=1
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
