"""How the Laplace engine scales: `make bench` runs it after the peers; alone: python benchmarks/scaling.py.

Children per country 1,000 to 1,000,000; countries 10 to 200; cells to 50,000; and 1,000 fits of the 312-cell model
under different priors on two cores. Writes benchmarks/results/scaling.json.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import riskmodels as rm
from riskmodels.design.cells import Cells, cells_from_frame
from riskmodels.fit.fit import MODEL_CODE
from riskmodels.provenance import hash_of_code, installed_versions
from riskmodels.survey.factors import Factor
from riskmodels.survey.synthetic import simulate_subgroups

RESULTS = Path(__file__).parent / "results" / "scaling.json"
SPEC = rm.PrevalenceSpec(ordered=("age", "ses"), interactions=(("country", "age"), ("country", "gender")))
LAPLACE = rm.SamplerSpec(engine="laplace")


def cells_of(countries: int, children: int) -> Cells:
    table = simulate_subgroups(1, countries=countries, children=children)
    return cells_from_frame(
        table.frame,
        [Factor(name, levels) for name, levels in table.levels.items()],
        base="all asked",
        source="published aggregates",
        synthetic=True,
    )


def many_cells(countries: int, cells: int) -> Cells:
    """Cells of many indicators in 24 subgroups: the same simulated table under several names."""
    import pandas as pd

    table = simulate_subgroups(1, countries=countries)
    indicators = tuple(f"item_{k + 1}" for k in range(-(-cells // len(table.frame))))
    frame = pd.concat(
        [simulate_subgroups(k, countries=countries).frame.assign(indicator=name) for k, name in enumerate(indicators)],
        ignore_index=True,
    )
    return cells_from_frame(
        frame,
        [*(Factor(name, levels) for name, levels in table.levels.items()), Factor("indicator", indicators)],
        base="all asked",
        source="published aggregates",
        synthetic=True,
    )


def timed(
    cells: Cells, spec: rm.PrevalenceSpec = SPEC, seeds: tuple[int, ...] = (1, 2, 3), draws: int = 4000
) -> dict[str, object]:
    """Seconds of a fit and its country estimates, with what every reported quantity is worth; the median of the runs."""
    seconds = []
    for seed in seeds:
        start = time.perf_counter()
        fit = rm.fit_model(cells, spec, replace(LAPLACE, seed=seed, weighted_draws=draws))
        table = rm.prevalence_estimates(fit).table
        seconds.append(time.perf_counter() - start)
    worst = {check.name: round(check.value, 2) for check in fit.checks}
    return {
        "cells": len(cells),
        "seconds": round(float(np.median(seconds)), 2),
        "passed": fit.passed,
        "draws": fit.engine_reason,
        "worst": worst,
        "least_effective_of_countries": float(table["ess_bulk"].min()),
        "k_hat_of_countries": float(table["pareto_k"].max()),
    }


def thousand_fits(count: int = 1000) -> dict[str, object]:
    """Different priors, the same cells, two processes."""
    cells, default = cells_of(13, 1000), rm.prior_preset("default")
    specs = [
        replace(
            SPEC,
            priors=replace(
                default,
                group_sd=replace(default.group_sd, scale=scale),
                intercept=replace(default.intercept, scale=width),
            ),
        )
        for scale in np.geomspace(0.3, 1.5, count // 20)
        for width in np.geomspace(0.6, 2.5, 20)
    ]
    start = time.perf_counter()
    fits = 0
    passed = 0
    for fit in rm.fit_many(specs, cells, LAPLACE, workers=2):
        fits += 1
        passed += fit.passed
    return {"fits": fits, "passed": passed, "seconds": round(time.perf_counter() - start, 1)}


def store(found: dict[str, object]) -> None:
    """Write what has been measured so far."""
    RESULTS.write_text(
        json.dumps({**found, "versions": installed_versions(), "code_sha256": hash_of_code(*MODEL_CODE)}, indent=1)
        + "\n"
    )


def measured_before() -> dict[str, object]:
    """What is stored of the code at hand; a run that was cut off goes on where it was."""
    if not RESULTS.exists():
        return {}
    stored = json.loads(RESULTS.read_text())
    kept = stored.pop("code_sha256", "") == hash_of_code(*MODEL_CODE)
    stored.pop("versions", None)
    return stored if kept else {}


def main() -> None:
    found: dict[str, object] = {"children per country": {}, "countries": {}, "cells": {}, **measured_before()}

    def measure(part: str, size: int, cells: Cells, *arguments: object) -> None:
        if str(size) not in found[part]:  # type: ignore[operator]
            found[part][str(size)] = timed(cells, *arguments)  # type: ignore[index, arg-type]
            store(found)
        print(part, size, found[part][str(size)], flush=True)  # type: ignore[index]

    if "a thousand fits, two cores" not in found:
        found["a thousand fits, two cores"] = thousand_fits()
        store(found)
    print(found["a thousand fits, two cores"], flush=True)
    timed(cells_of(13, 1000))
    for children in (1000, 10_000, 100_000, 1_000_000):
        measure("children per country", children, cells_of(13, children))
    for countries in (10, 25, 50, 100, 200):
        measure("countries", countries, cells_of(countries, 1000))
    several = replace(SPEC, within_child_correlation=0.0)
    measure("cells", 1000, many_cells(20, 1000), several)
    # Draws of all cells are kept in memory: fewer of them, and one run, where cells are many.
    for cells in (10_000, 50_000):
        measure("cells", cells, many_cells(100, cells), several, (1,), 1000)


if __name__ == "__main__":
    main()
