"""Peer riskmodels: python benchmarks/peers/riskmodels_peer.py DATA.csv OUTPUT.json SEED [ENGINE] (from the repository's root)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

IMPORT_START = time.perf_counter()
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import riskmodels as rm  # noqa: E402
from riskmodels.design.cells import cells_from_frame  # noqa: E402
from riskmodels.survey.factors import Factor  # noqa: E402

FACTORS = ("country", "age", "gender", "ses")


def main(data: str, output: str, seed: int, engine: str = "laplace") -> None:
    rm.fit_model, rm.prevalence_estimates  # noqa: B018  (imports belong to import_seconds)
    import_seconds = time.perf_counter() - IMPORT_START
    start = time.perf_counter()
    frame = pd.read_csv(data, dtype=dict.fromkeys(FACTORS, str))
    frame = frame.assign(n_effective=frame["n"].astype(float), yes_effective=frame["yes"].astype(float))
    factors = [Factor(name, tuple(sorted(frame[name].unique()))) for name in FACTORS]
    cells = cells_from_frame(frame, factors, base="all asked", source="published aggregates", synthetic=True)
    spec = rm.PrevalenceSpec(interactions=(("country", "age"), ("country", "gender")))
    fit = rm.fit_model(cells, spec, rm.SamplerSpec(engine=engine, seed=seed, draws=1000, tune=1000))  # type: ignore[arg-type]
    table = rm.prevalence_estimates(fit).table
    end = time.perf_counter()
    record = {
        "peer": f"riskmodels, {engine}",
        "version": rm.__version__,
        "seed": seed,
        "cores": 1 if engine == "laplace" else 2,
        "wall_seconds": end - start,
        "compile_seconds": 0.0,
        "import_seconds": import_seconds,
        "min_ess": float(np.floor(table["ess_bulk"].min())),
        "passed": fit.passed,
        "reason": fit.engine_reason,
        "country_prevalence": dict(zip(table["country"], table["estimate"], strict=True)),
    }
    Path(output).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:5])
