"""The same 312 cells through riskmodels and every peer that is installed: `make bench`.

Each peer runs as a process of its own, `--repeats` times with different seeds; finished runs are kept under
benchmarks/results/runs and not repeated. Efficiency is measured the same way for all: seconds of a run, everything
but imports included, times the squared Monte Carlo error of the 13 country prevalences (their variance over the
repeats). The ratio of two such products is the ratio of times at matched accuracy. Times are given twice: wall time,
and processor time divided by the two cores, which other work on the machine cannot inflate and which flatters peers.
Writes benchmarks/results/bench.json and docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
RUNS, RESULTS, PAGE = HERE / "results" / "runs", HERE / "results" / "bench.json", ROOT / "docs" / "benchmarks.md"
DATA = "benchmarks/peers/cells_312.csv"
CORES = 2
#: Peers whose finished runs are shown where the peer itself is not installed.
STORED = ("bambi", "rstanarm", "brms")


def peers() -> dict[str, list[str]]:
    """Commands of the peers found on this machine; BAMBI_PYTHON names an interpreter that has bambi."""
    found = {
        "riskmodels": [sys.executable, "benchmarks/peers/riskmodels_peer.py", DATA, "{out}", "{seed}"],
        "nutpie (warm cache)": [sys.executable, "benchmarks/peers/nutpie_pymc.py", DATA, "{out}", "{seed}", "0.98"],
        "riskmodels, NUTS": [sys.executable, "benchmarks/peers/riskmodels_peer.py", DATA, "{out}", "{seed}", "nuts"],
    }
    bambi = os.environ.get("BAMBI_PYTHON")
    if bambi:
        found["bambi"] = [bambi, "benchmarks/peers/bambi_peer.py", DATA, "{out}", "{seed}"]
    rscript = shutil.which("Rscript")
    if rscript:
        for name in ("lme4", "rstanarm", "brms"):
            if subprocess.run([rscript, "-e", f"library({name})"], capture_output=True, check=False).returncode == 0:
                found[name] = [rscript, f"benchmarks/peers/{name}.R", DATA, "{out}", "{seed}"]
    return found


def run_once(name: str, command: list[str], seed: int) -> dict[str, object]:
    """One run in a process of its own, or its stored record."""
    path = RUNS / f"{name.replace(' ', '_').replace(',', '').replace('(', '').replace(')', '')}-{seed}.json"
    if not path.exists():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        partial = path.with_suffix(".part")
        subprocess.run(
            [word.format(out=partial.relative_to(ROOT), seed=seed) for word in command],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        record = json.loads(partial.read_text())
        record["processor_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        path.write_text(json.dumps(record, indent=1) + "\n")
        partial.unlink()
    return dict(json.loads(path.read_text()))


def summary(records: list[dict[str, object]]) -> dict[str, object]:
    """Median times, squared error and their product, over the repeats of one peer."""
    means = np.array([[float(v) for _, v in sorted(r["country_prevalence"].items())] for r in records])  # type: ignore[attr-defined]
    wall = float(np.median([r["wall_seconds"] for r in records]))  # type: ignore[type-var]
    busy = (
        float(np.median([max(float(r["processor_seconds"]) - float(r["import_seconds"]), 0.0) for r in records]))
        / CORES
    )  # type: ignore[arg-type]
    error = float(means.var(axis=0, ddof=1).mean()) if len(records) > 1 else float("nan")
    worst = [float(r["max_rhat"]) for r in records if "max_rhat" in r]  # type: ignore[arg-type]
    return {
        "repeats": len(records),
        "version": records[0]["version"],
        "wall_seconds": wall,
        "processor_seconds_over_cores": busy,
        "compile_seconds": float(np.median([r.get("compile_seconds") or 0.0 for r in records])),  # type: ignore[type-var]
        "least_effective_draws": float(np.median([r.get("min_ess") or np.nan for r in records])),
        "squared_error": error,
        "wall_x_error": wall * error,
        "busy_x_error": min(busy, wall) * error,  # type: ignore[type-var]
        "mean": means.mean(axis=0).tolist(),
        "worst_rhat": max(worst) if worst else None,
    }


def page(found: dict[str, dict[str, object]]) -> str:
    ours = found["riskmodels"]
    lines = [
        "# Speed beside other software",
        "",
        "Made by `make bench` (`benchmarks/bench.py`); stored in `benchmarks/results/bench.json`. One indicator, 13 countries x 3 ages x 2 genders x 4 socio-economic groups, 13,000 SYNTHETIC children, 312 cells;",
        "country, age, gender, group, country x age and country x gender effects. What differs between peers stands in `benchmarks/peers/README.md`.",
        "",
        "| | wall s | of it compile s | least effective draws | error of a country, points | time at matched accuracy, ratio to riskmodels | the same by processor time / 2 cores | largest difference of a country from riskmodels, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        exact = row["squared_error"] == row["squared_error"] and float(row["squared_error"]) > 1e-14  # type: ignore[arg-type]
        ratio = f"{float(row['wall_x_error']) / float(ours['wall_x_error']):.0f}" if exact else "-"  # type: ignore[arg-type]
        busy = f"{float(row['busy_x_error']) / float(ours['wall_x_error']):.0f}" if exact else "-"  # type: ignore[arg-type]
        error = f"{100 * float(row['squared_error']) ** 0.5:.4f}" if exact else "-"  # type: ignore[arg-type]
        effective = (
            "-"
            if row["least_effective_draws"] != row["least_effective_draws"]
            else f"{row['least_effective_draws']:.0f}"
        )
        off = 100 * np.abs(np.array(row["mean"]) - np.array(ours["mean"])).max()
        lines.append(
            f"| {name} {row['version']} ({row['repeats']} {'earlier ' if row.get('stored') else ''}runs) | {row['wall_seconds']:.2f} | {row['compile_seconds']:.1f} | {effective} | {error} | {ratio} | {busy} | {off:.3f} |"
        )
    lines += [
        "",
        "How to read it: *time at matched accuracy* is wall time x squared Monte Carlo error, over the repeats, relative to riskmodels; lme4 gives point estimates only (maximum likelihood), so it has no such error.",
        "Effective draws of importance weights and of a chain are not the same measure: compare the errors. riskmodels runs on one core, the peers' chains on two.",
        "*Earlier runs* are stored ones of the same data on another machine of the same kind (two cores), made with other work beside them; the other rows were run one after another, also with other work beside them: trust processor times more than wall times.",
        "nutpie runs a model written by hand without knowledge of riskmodels, at target acceptance 0.98 (at 0.8 it does not converge here); riskmodels, NUTS samples the graph of this package with the same sampler.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--only", default="", help="names of peers, separated by semicolons")
    options = parser.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    found, wanted = {}, [name for name in options.only.split(";") if name]
    for name, command in peers().items():
        if wanted and name not in wanted:
            continue
        if "warm cache" in name:
            run_once(name, command, 0)
        records = [run_once(name, command, seed) for seed in range(1, options.repeats + 1)]
        found[name] = summary(records)
        print(name, json.dumps({key: value for key, value in found[name].items() if key != "mean"}), flush=True)
    for name in STORED:
        # Peers that take minutes a run, or are not installed: their stored runs on the same data count.
        stored = sorted(RUNS.glob(f"{name}-*.json"))
        if name not in found and not wanted and stored:
            found[name] = summary([json.loads(path.read_text()) for path in stored])
            found[name]["stored"] = True
    if not wanted:
        about = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
        RESULTS.write_text(json.dumps({"about": about, "peers": found}, indent=1) + "\n")
        PAGE.write_text(page(found))
        print(page(found))


if __name__ == "__main__":
    main()
