"""Coverage and accuracy on simulated 12 x 9 tables with known truth: `make coverage-study`.

Writes benchmarks/results/coverage_study.json: coverage of 90 % intervals and RMSE of cell prevalences, with the
likelihood that counts each child once (tetrachoric 0.4, as simulated), with items taken as separate samples, and with
a free correlation matrix of country effects (by NUTS) instead of equal correlations.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.fit import fit_many
from riskmodels.fit.sampler import SamplerSpec
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.provenance import hashes_of_code, installed_versions
from riskmodels.survey.factors import Factor
from riskmodels.survey.synthetic import SimulatedTable, simulate_table

RESULTS = Path(__file__).parent / "results" / "coverage_study.json"
#: The code that this study certifies.
CERTIFIES = (
    "design/dependence.py",
    "models/blocks.py",
    "models/cell_likelihood.py",
    "models/effects.py",
    "models/hyperparameters.py",
    "models/latent.py",
    "models/likelihoods.py",
    "models/predictor.py",
    "models/prevalence.py",
    "models/priors.py",
    "fit/laplace",
    "survey/synthetic/tables.py",
)


def cells_of(table: SimulatedTable) -> Cells:
    factors = [Factor("country", table.countries), Factor("indicator", table.indicators)]
    return cells_from_frame(table.frame, factors, base="all asked", source="published aggregates", synthetic=True)


def country_centre(p: np.ndarray, indicators: int) -> np.ndarray:
    """Mean logit over the items of a country: what shared children inform least."""
    shaped = p.reshape(*p.shape[:-1], -1, indicators)
    return np.log(shaped / (1 - shaped)).mean(axis=-1)


def study(tables: list[SimulatedTable], spec: PrevalenceSpec) -> dict[str, object]:
    sampler = SamplerSpec(draws=1000, tune=700, seed=7)
    covered, centre_covered, errors, direct_errors, engines, passed = [], [], [], [], Counter[str](), 0
    many = [cells_of(table) for table in tables]
    for table, cells, fit in zip(tables, many, fit_many(spec, many, sampler), strict=True):
        draws = fit.draws["prevalence"].to_numpy().reshape(-1, len(cells))
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        covered.append(float(((low <= table.truth) & (table.truth <= high)).mean()))
        items = len(table.indicators)
        centre_low, centre_high = np.quantile(country_centre(draws, items), [0.05, 0.95], axis=0)
        true_centre = country_centre(table.truth, items)
        centre_covered.append(float(((centre_low <= true_centre) & (true_centre <= centre_high)).mean()))
        errors.append(float(((draws.mean(axis=0) - table.truth) ** 2).mean()))
        direct_errors.append(float(((cells.direct - table.truth) ** 2).mean()))
        passed += fit.passed
        engines[fit.engine] += 1
    count = len(tables)
    return {
        "coverage_90_cells": float(np.mean(covered)),
        "coverage_90_cells_mc_error": float(np.std(covered, ddof=1) / count**0.5),
        "coverage_90_country_centre": float(np.mean(centre_covered)),
        "coverage_90_country_centre_mc_error": float(np.std(centre_covered, ddof=1) / count**0.5),
        "rmse_model_points": 100 * float(np.mean(errors)) ** 0.5,
        "rmse_direct_points": 100 * float(np.mean(direct_errors)) ** 0.5,
        "fits_that_passed_the_gate": passed,
        "engines": dict(engines),
    }


def main(count: int) -> None:
    started = time.perf_counter()
    tables = [simulate_table(seed) for seed in range(1000, 1000 + count)]
    result = {
        "tables": count,
        "counts each child once": study(tables, PrevalenceSpec()),
        "items as separate samples": study(tables, PrevalenceSpec(within_child_correlation=0.0)),
        "free correlation matrix": study(tables, PrevalenceSpec(country_correlation="free")),
        "seconds": round(time.perf_counter() - started, 1),
        "versions": installed_versions(),
        "code_sha256": hashes_of_code(*CERTIFIES),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
