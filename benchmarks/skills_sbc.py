"""Simulation-based calibration of the skill pathway: parameters from the prior, children from them, fits, ranks.

    python benchmarks/skills_sbc.py [REPLICATES] [MINUTES]

Each replicate: parameters drawn from `PRIORS` (the package's, with thresholds and levels kept where five countries of 500
children answer most of them), children simulated, the same model fitted. Where the truth lies in its posterior must be
uniform. Data sets that the checks refuse (too few exposed) or on which a fit fails its gate are counted, not hidden. Each
replicate's figures are kept in out/, so that a run that was stopped goes on where it was, as long as the code has not
changed. Writes benchmarks/results/skills_sbc.json.

Reference: Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv 1804.06788.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy import special, stats
from skills_recovery import CERTIFIES

import riskmodels as rm
from riskmodels.design.skill_rows import UNKNOWN, SkillRows, collapse_children
from riskmodels.errors import InputError
from riskmodels.fit.skill_fit import SkillFit, fit_skills
from riskmodels.models.priors import Prior
from riskmodels.models.skill_arrays import skill_arrays
from riskmodels.models.skill_posterior import Natural, SkillPosterior
from riskmodels.models.skill_simulation import SkillTruth, simulate_skills
from riskmodels.models.skill_spec import SkillPathwaySpec, SkillPriors
from riskmodels.provenance import hash_record, hashes_of_code, installed_versions

RESULTS = Path(__file__).parent / "results" / "skills_sbc.json"
RUNS = RESULTS.parents[2] / "out" / "skills_sbc.jsonl"
COUNTRIES, CHILDREN = 5, 500
PRIORS = SkillPriors(
    item_threshold=Prior("normal", location=0.0, scale=1.5),
    exposure=Prior("normal", location=-1.0, scale=0.5),
    coping=Prior("normal", location=0.0, scale=1.0),
    slope=Prior("normal", location=0.0, scale=0.7),
    distress_threshold=Prior("normal", location=0.0, scale=1.5),
)
SAMPLER = rm.SamplerSpec(engine="laplace")
TEMPLATE = SkillTruth(countries=COUNTRIES, children=CHILDREN, discrimination=(1.0,) * 4, item_levels=3, girl=None)


def specification(rows: SkillRows) -> SkillPathwaySpec:
    """The model, without covariates."""
    items = tuple(item.name for item in rows.items)
    return SkillPathwaySpec(items, "exposed", rows.strategies.levels, "distress", weights="none", priors=PRIORS)


def drawn_from_prior(posterior: SkillPosterior, rng: np.random.Generator) -> tuple[Natural, np.ndarray]:
    """Parameters, and the SDs of all classes."""
    x = np.zeros(posterior.size)
    for name, block in posterior.blocks.items():
        values = rng.normal(block.prior.location, block.prior.scale, block.stop - block.start)
        if name in posterior.firsts:
            parts = [np.sort(part) for part in np.split(values, posterior.firsts[name][1:])]
            values = np.concatenate([np.concatenate([part[:1], np.log(np.diff(part))]) for part in parts])
        x[block.start : block.stop] = values
    sd = posterior.sds(rng.normal(size=(len(posterior.classes), 1)))[:, 0]
    x[posterior.shared :] = rng.normal(size=posterior.deviations) * sd[posterior.class_of]
    return posterior.natural(x), sd


def simulated(posterior: SkillPosterior, template: SkillRows, natural: Natural, rng: np.random.Generator) -> SkillRows:
    """Children who answer as the parameters say."""
    point = posterior.point(natural)
    cell = np.repeat(np.arange(COUNTRIES), CHILDREN)
    theta = point.mean[cell] + rng.normal(size=len(cell))

    def ordered(eta: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        return ((eta + rng.logistic(size=len(eta)))[:, None] > thresholds).sum(axis=1)

    thresholds = np.split(point.item_threshold, posterior.firsts["item_threshold"][1:])
    answers = [ordered(a * theta, own) for a, own in zip(point.discrimination, thresholds, strict=True)]
    logit = point.level[cell] + point.slope[cell] * theta[:, None]
    exposed = (rng.uniform(size=len(cell)) < special.expit(logit[:, 0])).astype(np.int64)
    coping = (rng.uniform(size=(len(cell), logit.shape[1] - 2)) < special.expit(logit[:, 1:-1])).astype(np.int64)
    coped = coping.max(axis=1)
    distress = ordered(
        logit[:, -1] + coped * (point.on_coping[0] + theta * point.on_product[0]), point.distress_threshold
    )
    return collapse_children(
        template.countries,
        template.items,
        template.strategies,
        template.distress_levels,
        country=posterior.arrays.cell_country[cell],
        answers=np.column_stack(answers),
        exposed=exposed,
        coping=np.where(exposed[:, None] == 1, coping, UNKNOWN),
        distress=np.where(exposed == 1, distress, UNKNOWN),
        synthetic=True,
    )


def places(fit: SkillFit, posterior: SkillPosterior, natural: Natural, sd: np.ndarray) -> dict[str, list[float]]:
    """Posterior probability below the truth of every parameter."""
    point = posterior.point(natural)
    by_country = np.argsort(posterior.arrays.cell_country)
    truth = {
        "discrimination": point.discrimination,
        "item_threshold": point.item_threshold,
        "skill_mean": natural.deviation[0],
        "average_slope": natural.shared["slope"],
        "slope": point.slope[by_country],
        "distress_threshold": point.distress_threshold,
        "on_coping": point.on_coping,
        "on_product": point.on_product,
        "country_sd": sd,
    }
    own = fit.draw_weights.ravel()
    found = {}
    for name, values in truth.items():
        draws = fit.posterior[name].transpose("chain", "draw", ...).to_numpy().reshape(len(own), -1)
        found[name] = np.round(own @ (draws < values.ravel()), 5).tolist()
    return found


def replicate(seed: int) -> dict[str, object]:
    """One replicate, or why there is none."""
    rng = np.random.default_rng([seed, 909])
    template = simulate_skills(TEMPLATE, 1).rows
    posterior = SkillPosterior(skill_arrays(template, specification(template)), specification(template))
    natural, sd = drawn_from_prior(posterior, rng)
    rows = simulated(posterior, template, natural, rng)
    try:
        fit = fit_skills(rows, specification(rows), SAMPLER)
    except InputError as error:
        return {"refused": sorted({problem.code for problem in error.problems if problem.stops})}
    return {"passed": fit.passed, "below": places(fit, posterior, natural, sd)}


def main() -> None:
    """Run, sum up and write."""
    numbers = [float(part) for part in sys.argv[1:]]
    count, minutes = int(numbers[0]) if numbers else 200, numbers[1] if len(numbers) > 1 else 120.0
    code = hash_record({"code": hashes_of_code(*CERTIFIES), "priors": repr(PRIORS), "size": [COUNTRIES, CHILDREN]})
    RUNS.parent.mkdir(exist_ok=True)
    lines = [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []
    kept = {line["seed"]: line for line in lines if line["code"] == code}
    until = time.monotonic() + 60 * minutes
    for seed in range(1, count + 1):
        if seed not in kept and time.monotonic() < until:
            kept[seed] = {"seed": seed, "code": code, **replicate(seed)}
            with RUNS.open("a") as handle:
                handle.write(json.dumps(kept[seed]) + "\n")
    found = [kept[seed] for seed in sorted(kept)]
    fitted = [one for one in found if "below" in one]
    result: dict[str, object] = {
        "replicates": len(fitted),
        "refused": len(found) - len(fitted),
        "share_passed": float(np.mean([one["passed"] for one in fitted])),
        "versions": installed_versions(),
        "code_sha256": hashes_of_code(*CERTIFIES),
    }
    for name in fitted[0]["below"]:
        below = np.array([one["below"][name] for one in fitted])
        result[name] = {
            "covered": {str(p): round(float((np.abs(below - 0.5) < p / 2).mean()), 4) for p in (0.5, 0.9, 0.95)},
            "least_p_of_uniformity": round(float(min(stats.kstest(own, "uniform").pvalue for own in below.T)), 5),
            "mean": round(float(below.mean()), 4),
        }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k not in ("versions", "code_sha256")}, indent=1))


if __name__ == "__main__":
    main()
