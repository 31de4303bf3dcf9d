"""Does the skill pathway find what was simulated? And how much does an analysis of scores miss?

    python benchmarks/skills_recovery.py [DATA_SETS] [MINUTES] [null]

Each data set: 13 countries of 1,000 children, 6 items of 4 levels, about 1,000 exposed, three coping strategies, distress
of four levels (`SkillTruth`; countries differ in mean skill, in levels and in effects of skill, deviations sum to zero). Fits
with latent skill and with the standardised mean of the items. With ``null``, nothing depends on skill. Each data set's
figures are kept in out/, so that a run that was stopped goes on where it was, as long as the code has not changed. Writes
benchmarks/results/skills_recovery.json.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import riskmodels as rm
from riskmodels.estimates.skill_effects import coping_paths, skill_slopes
from riskmodels.estimates.skill_population import Population, average, exposed_weight, groups_of
from riskmodels.fit.skill_fit import SkillFit, fit_skills
from riskmodels.models.skill_simulation import SimulatedSkills, SkillTruth, simulate_skills
from riskmodels.models.skill_spec import SkillPathwaySpec
from riskmodels.provenance import hash_record, hashes_of_code, installed_versions

RESULTS = Path(__file__).parent / "results"
CERTIFIES = (
    "design/skill_rows.py",
    "estimates/skill_effects.py",
    "estimates/skill_population.py",
    "fit/skill_approximation.py",
    "fit/skill_fit.py",
    "fit/skill_importance.py",
    "fit/skill_natural.py",
    "models/skill_arrays.py",
    "models/skill_kernel.py",
    "models/skill_posterior.py",
    "models/skill_row_sums.py",
    "models/skill_simulation.py",
    "models/skill_spec.py",
)
PROBABILITIES = (0.5, 0.9, 0.95)
SAMPLER = rm.SamplerSpec(engine="laplace")
TRUTH = SkillTruth()
NULL = replace(
    TRUTH,
    exposure=(TRUTH.exposure[0], 0.0),
    coping=tuple((level, 0.0) for level, _ in TRUTH.coping),
    distress=(0.0, TRUTH.distress[1], 0.0),
    slope_sd=0.0,
)


def specification(made: SimulatedSkills, measurement: str) -> SkillPathwaySpec:
    """The model that was simulated."""
    return SkillPathwaySpec(
        skill_items=tuple(item.name for item in made.rows.items),
        exposure="exposed",
        coping=made.rows.strategies.levels,
        distress="distress",
        covariates=tuple(made.rows.values),
        measurement=measurement,  # type: ignore[arg-type]
        weights="none",
    )


def true_population(made: SimulatedSkills, fit: SkillFit) -> Population:
    """The truth as one draw of the parameters."""
    truth, country, design = made.truth, fit.arrays.cell_country, fit.arrays.design
    on_skill, on_exposure, on_coping, on_distress = truth.girl or (0.0, 0.0, 0.0, 0.0)
    effects = np.array([on_exposure, *[on_coping] * len(truth.coping), on_distress])
    girl = design[:, 0] + fit.arrays.means[0] - 0.5
    return Population(
        mean=(made.mean[country] + on_skill * girl)[None],
        level=(made.level[country] + girl[:, None] * effects)[None],
        slope=made.slope[country][None],
        threshold=np.array(truth.distress_threshold)[None],
        on_coping=np.array([[truth.distress[1]]]),
        on_product=np.array([[truth.distress[2]]]),
        known=None,
    )


def true_paths(population: Population, fit: SkillFit) -> np.ndarray:
    """Total, direct and indirect effects of one SD more on distress, in the order of `coping_paths`."""
    weight, now = exposed_weight(population, groups_of(fit, ())), population.skill
    start, moved, whole = (
        average(population.distress(own, coped), weight)
        for own, coped in ((now, now), (now + 1, now), (now + 1, now + 1))
    )
    return np.stack([whole - start, moved - start, whole - moved], axis=1).ravel()


def placed(draws: np.ndarray, weights: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """Where the truth lies in the posterior, its error, and the posterior SD."""
    flat, own = draws.reshape(weights.size, -1), weights.ravel()
    mean = own @ flat
    return {
        "below": np.round(own @ (flat < truth.ravel()), 5).tolist(),
        "error": np.round(mean - truth.ravel(), 6).tolist(),
        "sd": np.round(np.sqrt(own @ (flat - mean) ** 2), 6).tolist(),
        "truth": np.round(truth.ravel(), 6).tolist(),
    }


def found_by(fit: SkillFit, made: SimulatedSkills) -> dict[str, dict[str, list[float]]]:
    """Quantities of one fit against the truth."""
    weights, posterior = fit.draw_weights, fit.posterior
    average_slope = made.slope.mean(axis=0)
    found = {
        "effect of skill": placed(posterior["average_slope"].to_numpy(), weights, average_slope),
        "effect of skill in countries": placed(posterior["slope"].to_numpy(), weights, made.slope),
        "effect of coping": placed(posterior["on_coping"].to_numpy(), weights, np.array([made.truth.distress[1]])),
        "skill x coping": placed(posterior["on_product"].to_numpy(), weights, np.array([made.truth.distress[2]])),
    }
    paths = coping_paths(fit)
    found["paths"] = placed(paths.draws, weights, true_paths(true_population(made, fit), fit))
    found["slopes"] = {"mean": np.round(skill_slopes(fit, (0.0,)).table["estimate"].to_numpy(), 5).tolist()}
    return found


def data_sets(count: int, minutes: float, truth: SkillTruth, runs: Path) -> Iterator[dict[str, object]]:
    """Figures of every data set, old ones from the file, new ones until the time is up."""
    code = hash_record({"code": hashes_of_code(*CERTIFIES), "truth": repr(truth)})
    kept: dict[int, dict[str, object]] = {}
    if runs.exists():
        lines = [json.loads(line) for line in runs.read_text().splitlines()]
        kept = {line["seed"]: line for line in lines if line["code"] == code}
    runs.parent.mkdir(exist_ok=True)
    until = time.monotonic() + 60 * minutes
    for seed in range(1, count + 1):
        if seed not in kept:
            if time.monotonic() > until:
                return
            made, figures = simulate_skills(truth, seed), {}
            for measurement in ("latent", "score"):
                started = time.process_time()
                fit = fit_skills(made.rows, specification(made, measurement), SAMPLER)
                seconds = time.process_time() - started
                figures[measurement] = found_by(fit, made) | {"passed": fit.passed, "cpu_seconds": round(seconds, 2)}
            kept[seed] = {"seed": seed, "code": code, **figures}
            with runs.open("a") as handle:
                handle.write(json.dumps(kept[seed]) + "\n")
        yield kept[seed]


def summed_up(figures: list[dict[str, dict[str, list[float]]]], name: str) -> dict[str, object]:
    """Bias, error and coverage of one kind of quantity over data sets."""
    below, error, sd, truth = (
        np.array([one[name][part] for one in figures]) for part in ("below", "error", "sd", "truth")
    )
    covered = {str(p): np.round((np.abs(below - 0.5) < p / 2).mean(axis=0), 3) for p in PROBABILITIES}
    wide = below.shape[1] > 12
    short = (lambda values: round(float(np.mean(values)), 4)) if wide else (lambda values: np.round(values, 4).tolist())
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = error.mean(axis=0) / np.abs(truth.mean(axis=0))
    return {
        "truth": short(truth.mean(axis=0)),
        "bias": short(error.mean(axis=0)),
        "relative_bias": short(relative) if np.isfinite(relative).all() else "truth is zero",
        "error_of_bias": short(error.std(axis=0) / np.sqrt(len(error))),
        "rmse": short(np.sqrt((error**2).mean(axis=0))),
        "posterior_sd": short(sd.mean(axis=0)),
        "covered": {p: short(values) for p, values in covered.items()},
    }


def main() -> None:
    """Run, sum up and write."""
    numbers = [float(part) for part in sys.argv[1:] if part != "null"]
    null = "null" in sys.argv[1:]
    count, minutes = int(numbers[0]) if numbers else 200, numbers[1] if len(numbers) > 1 else 120.0
    name = "skills_recovery_null" if null else "skills_recovery"
    runs = RESULTS.parents[1] / "out" / f"{name}.jsonl"
    found = list(data_sets(count, minutes, NULL if null else TRUTH, runs))
    result: dict[str, object] = {"data_sets": len(found), "versions": installed_versions()}
    result["code_sha256"] = hashes_of_code(*CERTIFIES)
    for measurement in ("latent", "score"):
        own = [one[measurement] for one in found]
        kinds = ("effect of skill", "effect of skill in countries", "effect of coping", "skill x coping", "paths")
        result[measurement] = {kind: summed_up(own, kind) for kind in kinds} | {  # type: ignore[arg-type]
            "share_passed": float(np.mean([one["passed"] for one in own])),  # type: ignore[index]
            "cpu_seconds": float(np.median([one["cpu_seconds"] for one in own])),  # type: ignore[index]
        }
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{name}.json"
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("data_sets", "latent", "score")}, indent=1))


if __name__ == "__main__":
    main()
