"""How long a joint model of several risks takes, beside models with latent factors by NUTS, on the same children.

    python benchmarks/cooccurrence_speed.py [--peers]

Children are drawn from a multivariate probit (13 countries, 78 cells). The pairwise model: 8, 12 and 15 risks, 13,000
and 130,000 children. Peers, with --peers: two factors by our own quadrature kernel and NUTS, and the textbook form in
PyMC, two latent numbers per child sampled by NUTS, stopped after PEER_SECONDS; its time is reckoned from the draws made
until then, with 1,000 adaptation and 1,000 kept draws in each of two chains. Wall seconds on this machine, all in one run;
results are kept in benchmarks/results.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import riskmodels as rm
from riskmodels.design.joint_counts import JointCounts
from riskmodels.design.joint_simulated import counts_of_sample
from riskmodels.fit.weighting import effective_draws, pareto_k
from riskmodels.provenance import installed_versions
from riskmodels.survey.synthetic.joint_truths import probit_truth, simulate_joint, two_factor_truth

RESULT = Path(__file__).parent / "results" / "cooccurrence_speed.json"
PEER_SECONDS = 240.0
SPEC = rm.CooccurrenceSpec(ordered=("age_group",))


def reported(fit: rm.CooccurrenceFit) -> dict[str, float]:
    """Worst k-hat and effective draws of what is reported by country: pairs given, and numbers of risks."""
    worst = {"k_hat": 0.0, "effective_bulk": np.inf, "effective_tail": np.inf}
    for found in (
        rm.pair_estimates(fit, "given", ["country"]),
        rm.pair_estimates(fit, "ratio", ["country"]),
        rm.number_estimates(fit, "any", ["country"]),
    ):
        flat = found.draws.reshape(*found.draws.shape[:2], -1)
        bulk, tail, _ = effective_draws(flat, fit.draw_weights, 0.025)
        worst = {
            "k_hat": max(worst["k_hat"], float(np.nanmax(pareto_k(flat, fit.draw_weights)))),
            "effective_bulk": min(worst["effective_bulk"], float(np.nanmin(bulk))),
            "effective_tail": min(worst["effective_tail"], float(np.nanmin(tail))),
        }
    return {name: round(value, 2) for name, value in worst.items()}


def timed(counts: JointCounts, spec: rm.CooccurrenceSpec, repeats: int, draws: int = 4000) -> dict[str, object]:
    """Fastest and median wall time, and how good the draws are."""
    seconds, processor = [], []
    for number in range(repeats):
        wall, own = time.perf_counter(), time.process_time()
        fit = rm.fit_cooccurrence(counts, spec, rm.SamplerSpec(engine="laplace", seed=number, weighted_draws=draws))
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - own)
    return {
        "seconds": round(float(np.median(seconds)), 2),
        "fastest": round(min(seconds), 2),
        "processor_seconds": round(float(np.median(processor)), 2),
        "passed": fit.passed,
        "engine_reason": fit.engine_reason,
        **reported(fit),
    }


def textbook(counts: JointCounts) -> dict[str, object]:
    """Two latent numbers per child in PyMC, NUTS, reckoned from the draws made in the time given."""
    import nutpie
    import pymc as pm
    import pytensor.tensor as pt

    rows = np.repeat(np.arange(len(counts.count)), counts.count.astype(int))
    answers, cell = counts.answers[rows], counts.cell[rows]
    country = counts.position("country")[cell]
    started = time.perf_counter()
    with pm.Model() as model:
        sd = pm.HalfNormal("country_sd", 0.75)
        level = pm.Normal("level", -2.2, 1.2, shape=len(counts.risks))
        effect = sd * pm.Normal("country_raw", 0, 1, shape=(len(counts.factors[0]), len(counts.risks)))
        loading = pm.Normal("loading", 0, 1, shape=(2, len(counts.risks)))
        factor = pm.Normal("factor", 0, 1, shape=(len(answers), 2))
        eta = level + effect[country] + factor @ loading
        pm.Potential("answers", (answers * eta - pt.softplus(eta)).sum())
    compiled = nutpie.compile_pymc_model(model)
    compile_seconds = time.perf_counter() - started
    started = time.perf_counter()
    running = nutpie.sample(
        compiled, draws=1000, tune=1000, chains=2, cores=2, progress_bar=False, blocking=False, seed=1
    )
    made = 0
    while time.perf_counter() - started < PEER_SECONDS and not running.is_finished:
        time.sleep(1)
    trace = running.abort()
    sampled_for = time.perf_counter() - started
    for group in ("warmup_posterior", "posterior"):
        if trace is not None and group in trace.children:
            made += int(trace[group].sizes["draw"])
    return {
        "compile_seconds": round(compile_seconds, 1),
        "seconds_sampled": round(sampled_for, 1),
        "draws_per_chain_made": made,
        "reckoned_seconds_for_2000_draws": round(compile_seconds + sampled_for * 2000 / made, 0) if made else None,
    }


def main() -> None:
    """Run all, or add the peers to what was run."""
    eight = counts_of_sample(simulate_joint(probit_truth(), children=13_000))
    result: dict[str, object] = {
        "8 risks, 13,000 children": timed(eight, SPEC, 5),
        "8 risks, 130,000 children": timed(counts_of_sample(simulate_joint(probit_truth(), children=130_000)), SPEC, 3),
        "8 risks, 3 % unknown": timed(
            counts_of_sample(simulate_joint(probit_truth(), children=13_000, unanswered=0.03)), SPEC, 3
        ),
    }
    print(json.dumps(result, indent=1), flush=True)
    for risks in (12, 15):
        truth = two_factor_truth(risks=risks)
        counts = counts_of_sample(simulate_joint(truth, children=13_000))
        result[f"{risks} risks, 13,000 children"] = timed(counts, SPEC, 1)
        print(risks, result[f"{risks} risks, 13,000 children"], flush=True)
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if "--peers" in sys.argv:
        started = time.perf_counter()
        factor = rm.fit_cooccurrence(eight, rm.CooccurrenceSpec(structure="factor", factors=2, ordered=("age_group",)))
        result["two factors, own kernel, NUTS"] = {
            "seconds": round(time.perf_counter() - started, 1),
            "passed": factor.passed,
        }
        print(result["two factors, own kernel, NUTS"], flush=True)
        result["two latent numbers per child, PyMC with nutpie"] = textbook(eight)
    result |= {"cores": os.cpu_count(), "versions": installed_versions()}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
