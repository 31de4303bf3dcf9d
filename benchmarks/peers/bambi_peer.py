"""Peer bambi, in an environment of its own: `pip install bambi`.

    python benchmarks/peers/bambi_peer.py benchmarks/peers/cells_312.csv OUTPUT.json SEED [TARGET]

The same model as brms.R; bambi's own parameterisation and its default sampler, PyMC's NUTS.
TARGET: target acceptance of NUTS, 0.8 (the default of PyMC) if absent.
"""

# ruff: noqa: E402 -- the clock starts before the slow imports
from __future__ import annotations

import time

IMPORT_START = time.perf_counter()

import json
import sys
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import arviz as az
    import bambi as bmb
    import numpy as np
    import pandas as pd

IMPORT_SECONDS = time.perf_counter() - IMPORT_START
CORES = 2
GROUPS = ["country", "age", "gender", "ses", "country:age", "country:gender"]


def by_country(p: np.ndarray, cells: pd.DataFrame) -> dict[str, np.ndarray]:
    """Prevalence draws per country (chain, draw), cells weighted by their n."""
    draws = {}
    for country in sorted(cells["country"].unique()):
        here = (cells["country"] == country).to_numpy()
        draws[country] = p[..., here] @ (cells["n"].to_numpy()[here] / cells["n"].to_numpy()[here].sum())
    return draws


def main() -> None:
    warnings.simplefilter("ignore")
    data, output, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    target = float(sys.argv[4]) if len(sys.argv) > 4 else 0.8
    start = time.perf_counter()
    cells = pd.read_csv(data)
    priors = {"Intercept": bmb.Prior("Normal", mu=-2.1972, sigma=1.2)}
    priors |= {f"1|{group}": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=0.75)) for group in GROUPS}
    model = bmb.Model(
        "p(yes, n) ~ 1 + " + " + ".join(f"(1|{group})" for group in GROUPS), cells, family="binomial", priors=priors
    )
    model.build()
    built_at = time.perf_counter()
    trace = model.fit(
        draws=1000, tune=1000, chains=4, cores=CORES, random_seed=seed, target_accept=target, progressbar=False
    )
    model.predict(trace, kind="response_params")
    prevalence = by_country(trace["posterior"]["p"].transpose("chain", "draw", ...).to_numpy(), cells)
    sds = {f"sd_{group}": trace["posterior"][f"1|{group}_sigma"].to_numpy() for group in GROUPS}
    ess = {name: float(az.ess(x)) for name, x in (prevalence | sds).items()}
    means = {name: float(x.mean()) for name, x in prevalence.items()}
    end = time.perf_counter()
    least = min(ess, key=lambda name: ess[name])
    record = {
        "peer": "bambi",
        "version": version("bambi"),
        "pymc": version("pymc"),
        "python": sys.version.split()[0],
        "seed": seed,
        "chains": 4,
        "warmup": 1000,
        "draws": 1000,
        "cores": CORES,
        "target_accept": target,
        "wall_seconds": end - start,
        "compile_seconds": None,
        "sample_seconds": None,
        "build_seconds": built_at - start,
        "note": "bambi compiles inside its fit, so compilation is in wall_seconds and cannot be told apart",
        "import_seconds": IMPORT_SECONDS,
        "min_ess": ess[least],
        "min_ess_of": least,
        "max_rhat": max(float(az.rhat(x)) for x in (prevalence | sds).values()),
        "divergent": int(trace["sample_stats"]["diverging"].sum()),
        "priors": "intercept normal(-2.1972, 1.2); every sd half-normal(0, 0.75)",
        "country_prevalence": means,
        "sd_mean": {name: float(x.mean()) for name, x in sds.items()},
        "date": datetime.now(UTC).date().isoformat(),
    }
    Path(output).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
