"""Simulation-based calibration and coverage of models and engines: `make calibrate`.

    python calibration/calibrate.py [--replicates 1000] [--workers 2] [--only NAME]

Truths are drawn from the priors, counts from the truth, and each table is fitted. If model and engine are right, the
posterior probability below the truth is uniform. Judged for every hyperparameter, an effect, cells and their mean, and
a quantity that depends on the data (the log likelihood), by the simultaneous band of the empirical distribution
function (99.9 %, found by simulation). Coverage of 50, 90 and 95 % intervals of the cells is kept beside it. Results
stand in calibration/*.json with hashes of the code they certify; a test compares them.

References: Talts et al. 2018, arXiv 1804.06788; Modrak et al. 2023, Bayesian Analysis (data-dependent quantities);
Saeilynoja, Buerkner & Vehtari 2022, Statistics and Computing 32, 32 (simultaneous bands).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

import riskmodels as rm
from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.fit import fit_many
from riskmodels.models.latent import latent_prevalence_model
from riskmodels.models.latent_draws import named_draws
from riskmodels.provenance import hashes_of_code, installed_versions
from riskmodels.survey.countries import ISO_ALPHA_3
from riskmodels.survey.factors import Factor

HERE = Path(__file__).parent
#: The code that these results certify.
CERTIFIES = (
    "design/dependence.py",
    "models/blocks.py",
    "models/cell_likelihood.py",
    "models/effects.py",
    "models/hyperparameters.py",
    "models/latent.py",
    "models/latent_draws.py",
    "models/likelihoods.py",
    "models/predictor.py",
    "models/prevalence.py",
    "models/priors.py",
    "fit/laplace",
    "fit/sampler.py",
    "fit/weighting.py",
)
BAND = 0.999


@dataclass(frozen=True)
class Case:
    """A model to calibrate: layout of cells, specification, engine, replicates of a full run."""

    layout: Callable[[], Cells]
    spec: rm.PrevalenceSpec
    sampler: rm.SamplerSpec
    replicates: int


def layout(countries: int, indicators: int, n: float, ages: int = 1) -> Cells:
    """Cells without answers yet: countries x ages x indicators."""
    codes, items, groups = (
        tuple(sorted(ISO_ALPHA_3)[:countries]),
        tuple(f"item_{k + 1}" for k in range(indicators)),
        tuple(str(13 + 2 * k) for k in range(ages)),
    )
    frame = pd.DataFrame(
        [(c, a, i) for c in codes for a in groups for i in items], columns=["country", "age", "indicator"]
    ).assign(n=n, n_effective=n, yes_effective=0.0)
    factors = [Factor("country", codes), *([Factor("age", groups)] if ages > 1 else []), Factor("indicator", items)]
    return cells_from_frame(frame, factors, base="all asked", source="published aggregates", synthetic=True)


INDEPENDENT = rm.PrevalenceSpec(within_child_correlation=0.0)
LAPLACE = rm.SamplerSpec(engine="laplace")
CASES = {
    "one indicator, 12 countries": Case(lambda: layout(12, 1, 800), INDEPENDENT, LAPLACE, 1000),
    "nine indicators, 12 countries": Case(lambda: layout(12, 9, 800), INDEPENDENT, LAPLACE, 1000),
    "age as a trend by country": Case(
        lambda: layout(8, 1, 300, ages=4),
        rm.PrevalenceSpec(within_child_correlation=0.0, ordered=("age",)),
        LAPLACE,
        1000,
    ),
    "age with slopes by country": Case(
        lambda: layout(8, 1, 300, ages=4),
        rm.PrevalenceSpec(within_child_correlation=0.0, continuous=("age",)),
        LAPLACE,
        1000,
    ),
    "one indicator, 12 countries, NUTS": Case(
        lambda: layout(12, 1, 800), INDEPENDENT, rm.SamplerSpec(engine="nuts", draws=250, tune=500, chains=4), 200
    ),
}


def draw_truth(cells: Cells, spec: rm.PrevalenceSpec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One draw of every named quantity from the priors, by the latent model's own map, its priors tested elsewhere."""
    latent = latent_prevalence_model(cells, spec)
    zeta = np.empty((latent.dimension, 1))
    for hyper in latent.hypers:
        if hyper.kind != "correlation":
            zeta[hyper.start] = rng.normal()
            continue
        size = round((1 + np.sqrt(1 + 8 * hyper.size)) / 2)
        columns = np.concatenate([np.arange(row) for row in range(1, size)])
        shape = float(hyper.prior.shape or 1) + (size - 2 - columns) / 2
        zeta[hyper.start : hyper.start + hyper.size, 0] = np.arctanh(2 * rng.beta(shape, shape) - 1)
    h = rng.normal(size=(latent.shared.shape[-1], 1, 1))
    v = rng.normal(size=(latent.own.shape[-1], latent.own.shape[0], 1, 1))
    named = named_draws(latent, cells, spec, zeta, h, v - v.mean(axis=1, keepdims=True))
    return {str(name): values.to_numpy()[0, 0] for name, values in named.items()}


def quantities(named: dict[str, np.ndarray], yes: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    """Scalars that are ranked; leading axes are draws."""
    p = np.clip(named["prevalence"], 1e-12, 1 - 1e-12)
    found = {
        "first cell": p[..., 0],
        "last cell": p[..., -1],
        "mean of all cells": p.mean(axis=-1),
        "log likelihood": (yes * np.log(p) + (n - yes) * np.log1p(-p)).sum(axis=-1),
    }
    for name, values in named.items():
        if name == "prevalence":
            continue
        lead = p.shape[:-1]
        flat = values.reshape(*lead, -1)
        if name == "country_correlation":
            found[name] = flat[..., 1]
        elif name.endswith("_effect"):
            found[f"{name}, first"] = flat[..., 0]
        else:
            found |= {
                f"{name}[{k}]" if flat.shape[-1] > 1 else name: flat[..., k] for k in range(min(flat.shape[-1], 3))
            }
    return found


def simulated(case: Case, number: int) -> tuple[dict[str, np.ndarray], Cells]:
    """One truth from the priors, and a table of counts drawn from it."""
    rng = np.random.default_rng([number, 77])
    empty = case.layout()
    truth = draw_truth(empty, case.spec, rng)
    yes = rng.binomial(empty.n_effective.astype(int), truth["prevalence"]).astype(float)
    frame = pd.DataFrame({f.name: np.array(f.levels)[empty.position(f.name)] for f in empty.factors}).assign(
        n=empty.n, n_effective=empty.n_effective, yes_effective=yes
    )
    return truth, cells_from_frame(
        frame, empty.factors, base="all asked", source="published aggregates", synthetic=True
    )


def replicate(name: str, number: int) -> dict[str, object]:
    """One truth, one table, one fit with a seed of its own, judged."""
    case = CASES[name]
    truth, cells = simulated(case, number)
    return judged(truth, cells, rm.fit_model(cells, case.spec, replace(case.sampler, seed=number)))


def judged(truth: dict[str, np.ndarray], cells: Cells, fit: rm.Fit) -> dict[str, object]:
    """Posterior probability below the truth of every quantity, and how many cells the intervals cover."""
    yes = cells.yes_effective
    named = {str(key): values.transpose("chain", "draw", ...).to_numpy() for key, values in fit.posterior.items()}
    weights = (
        np.full(named["prevalence"].shape[:2], 1 / named["prevalence"][..., 0].size)
        if fit.weights is None
        else fit.weights
    )
    mine, theirs = quantities(named, yes, cells.n_effective), quantities(truth, yes, cells.n_effective)
    below = {
        key: float((weights * ((mine[key] < theirs[key]) + 0.5 * (mine[key] == theirs[key]))).sum()) for key in theirs
    }
    flat, own = named["prevalence"].reshape(-1, len(cells)), weights.ravel()
    share = own @ (flat < truth["prevalence"])
    return {
        "below": below,
        "covers": {str(level): float((np.abs(share - 0.5) < level / 2).mean()) for level in (0.5, 0.9, 0.95)},
        "passed": fit.passed,
        "engine": fit.engine,
    }


def band(replicates: int, simulations: int = 20_000) -> float:
    """Largest distance of an empirical distribution function, in units of its own standard error, that chance gives."""
    rng = np.random.default_rng(0)
    grid = np.arange(1, 100) / 100
    worst = []
    for _ in range(simulations // 1000):
        counts = rng.multinomial(replicates, np.full(100, 0.01), size=1000).cumsum(axis=1)[:, :-1]
        worst.append((np.abs(counts / replicates - grid) / np.sqrt(grid * (1 - grid) / replicates)).max(axis=1))
    return float(np.quantile(np.concatenate(worst), BAND))


def distance(values: np.ndarray) -> float:
    """Distance of values' distribution function from the uniform, in the units of `band`."""
    grid = np.arange(1, 100) / 100
    share = (values[:, None] <= grid).mean(axis=0)
    return float((np.abs(share - grid) / np.sqrt(grid * (1 - grid) / len(values))).max())


def calibrated(name: str, replicates: int, workers: int) -> list[dict[str, object]]:
    """Every replicate of one case, judged."""
    case = CASES[name]
    if case.sampler.engine == "nuts":
        truths, tables = zip(*(simulated(case, number) for number in range(replicates)), strict=True)
        fits = fit_many(case.spec, tables, case.sampler)
        return [judged(truth, cells, fit) for truth, cells, fit in zip(truths, tables, fits, strict=True)]
    return list(Parallel(n_jobs=workers)(delayed(replicate)(name, number) for number in range(replicates)))


def certificate(name: str, found: list[dict], certifies: Sequence[str]) -> dict[str, object]:  # type: ignore[type-arg]
    """What the replicates of one case say together."""
    replicates = len(found)
    limit = band(replicates)
    distances = {key: round(distance(np.array([row["below"][key] for row in found])), 3) for key in found[0]["below"]}
    coverage = {
        level: {
            "covered": round(float(np.mean([row["covers"][level] for row in found])), 4),
            "mc_error": round(float(np.std([row["covers"][level] for row in found], ddof=1) / np.sqrt(replicates)), 4),
        }
        for level in ("0.5", "0.9", "0.95")
    }
    return {
        "case": name,
        "replicates": replicates,
        "band": round(limit, 3),
        "largest_distance": max(distances.values()),
        "outside_the_band": sorted(key for key, value in distances.items() if not value < limit),
        "distances": distances,
        "coverage_of_cells": coverage,
        "fits_that_passed_the_gate": int(sum(row["passed"] for row in found)),
        "engine": "nuts" if name.endswith("NUTS") else "laplace",
        "versions": installed_versions(),
        "code_sha256": hashes_of_code(*certifies),
        "commit": commit(),
    }


def commit() -> str:
    """Give the commit at hand."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=HERE
    ).stdout.strip()


def main(
    cases: Mapping[str, Any],
    run: Callable[[str, int, int], list[dict]],  # type: ignore[type-arg]
    certifies: Sequence[str],
) -> None:
    """Run all cases, or one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for name, case in cases.items():
        if options.only and options.only != name:
            continue
        started = time.perf_counter()
        found = run(name, options.replicates or case.replicates, options.workers)
        result = {**certificate(name, found, certifies), "seconds": round(time.perf_counter() - started, 1)}
        print(
            json.dumps(
                {
                    key: result[key]
                    for key in (
                        "case",
                        "replicates",
                        "band",
                        "largest_distance",
                        "outside_the_band",
                        "coverage_of_cells",
                        "fits_that_passed_the_gate",
                        "seconds",
                    )
                }
            ),
            flush=True,
        )
        if not options.replicates:
            (HERE / f"{name.replace(',', '').replace(' ', '_')}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(CASES, calibrated, CERTIFIES)
