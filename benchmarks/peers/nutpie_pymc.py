"""Peer nutpie: a PyMC model written by hand, independent of riskmodels.

    python benchmarks/peers/nutpie_pymc.py benchmarks/peers/cells_312.csv OUTPUT.json SEED [TARGET]

The same model as brms.R: independent (not zero-sum) non-centred effects, half-normal(0, 0.75) on every sd.
TARGET: target acceptance of NUTS, 0.8 (the default of nutpie) if absent.
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

import arviz as az
import numpy as np
import pandas as pd

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nutpie
    import pymc as pm

IMPORT_SECONDS = time.perf_counter() - IMPORT_START
CORES = 2
GROUPS = {
    "country": ["country"],
    "age": ["age"],
    "gender": ["gender"],
    "ses": ["ses"],
    "country_age": ["country", "age"],
    "country_gender": ["country", "gender"],
}


def build(cells: pd.DataFrame) -> pm.Model:
    with pm.Model() as model:
        eta = pm.Normal("intercept", -2.1972, 1.2)
        for name, columns in GROUPS.items():
            level = cells.groupby(columns).ngroup().to_numpy()
            sd = pm.HalfNormal(f"sd_{name}", 0.75)
            eta = eta + (sd * pm.Normal(f"z_{name}", 0.0, 1.0, shape=int(level.max()) + 1))[level]
        pm.Deterministic("p", pm.math.sigmoid(eta))
        pm.Binomial("yes", n=cells["n"].to_numpy(), logit_p=eta, observed=cells["yes"].to_numpy())
    return model


def by_country(p: np.ndarray, cells: pd.DataFrame) -> dict[str, np.ndarray]:
    """Prevalence draws per country (chain, draw), cells weighted by their n."""
    draws = {}
    for country in sorted(cells["country"].unique()):
        here = (cells["country"] == country).to_numpy()
        draws[country] = p[..., here] @ (cells["n"].to_numpy()[here] / cells["n"].to_numpy()[here].sum())
    return draws


def main() -> None:
    data, output, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    target = float(sys.argv[4]) if len(sys.argv) > 4 else 0.8
    start = time.perf_counter()
    cells = pd.read_csv(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = nutpie.compile_pymc_model(build(cells))
    compiled_at = time.perf_counter()
    trace = nutpie.sample(
        compiled, draws=1000, tune=1000, chains=4, cores=CORES, seed=seed, target_accept=target, progress_bar=False
    )
    prevalence = by_country(trace["posterior"]["p"].to_numpy(), cells)
    sds = {f"sd_{name}": trace["posterior"][f"sd_{name}"].to_numpy() for name in GROUPS}
    ess = {name: float(az.ess(x)) for name, x in (prevalence | sds).items()}
    means = {name: float(x.mean()) for name, x in prevalence.items()}
    end = time.perf_counter()
    least = min(ess, key=lambda name: ess[name])
    record = {
        "peer": "nutpie",
        "version": version("nutpie"),
        "pymc": version("pymc"),
        "numba": version("numba"),
        "python": sys.version.split()[0],
        "seed": seed,
        "chains": 4,
        "warmup": 1000,
        "draws": 1000,
        "cores": CORES,
        "target_accept": target,
        "wall_seconds": end - start,
        "compile_seconds": compiled_at - start,
        "sample_seconds": end - compiled_at,
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
