"""The regressions of the best published analysis, as one run: `python benchmarks/whole_analysis.py [--imputations 30]`.

On the synthetic twin of Disrupting Harm: four models of exposure; disclosure (anyone, formal, informal, each channel
the twin has) with six predictors; every disclosure model again with one predictor's slope free between countries, in
turn. All over the same number of imputations of the missing predictors, on two cores. The same in brms is reckoned
from single fits of brms that were timed (tests/oracle/regression/brms_*.json). Writes
benchmarks/results/whole_analysis.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import riskmodels as rm
from riskmodels.design.completed_rows import rows_of_drawn
from riskmodels.design.missing_predictors import missing_predictors
from riskmodels.design.regression_rows import RegressionRows
from riskmodels.fit.imputed import fit_imputed
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.survey.codebook.records import Indicator, Scale
from riskmodels.survey.imputation import draw_sets

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "whole_analysis.json"
AGE = {"age": (14.5, 1.0)}
NUMBERS = {**AGE, "skills": (1.5, 1.0)}
EXPOSURE = (
    "any_item ~ sex + (1 | country)",
    "any_item ~ age + (1 | country)",
    "any_item ~ sex * age + (1 | country)",
    "any_item ~ sex * age + (sex * age | country)",
)
PREDICTORS = ("sex", "age", "area", "skills", "knows_help", "sex_education")
DISCLOSURE = ("told_anyone", "told_formal", "told_informal", "told_friend", "told_mother", "told_police")


def study_of_disclosure() -> rm.Study:
    """The twin, with who was told put together: anyone, formal, informal."""
    study = rm.load_study(ROOT / "data" / "synthetic" / "twin" / "study.toml")
    book = study.survey.codebook
    known = book.indicators
    made = {
        "told_anyone": ("told_friend", "told_mother", "told_police"),
        "told_formal": ("told_police",),
        "told_informal": ("told_friend", "told_mother"),
    }
    more = {
        name: Indicator(name, name.replace("_", " "), None, any_of=parts, base=known[parts[0]].base)
        for name, parts in made.items()
    }
    skills = Scale("skills", "Knows how to report content, 0 to 3", ("skill_to_report",))
    book = replace(book, indicators={**known, **more}, scales={"skills": skills})
    return replace(study, survey=replace(study.survey, codebook=book))


def models() -> Iterator[tuple[str, RegressionSpec]]:
    """Name and specification of every model, pseudo-weights and priors as in the published analysis."""
    options = {"weights": "pseudo", "priors": "brms"}
    for formula in EXPOSURE:
        numbers = AGE if "age" in formula else {}
        yield formula, rm.regression_formula(formula, numbers=numbers, **options)  # type: ignore[arg-type]
    right = " + ".join(PREDICTORS)
    for outcome in DISCLOSURE:
        for slope in ("1", *(f"1 + {name}" for name in PREDICTORS)):
            formula = f"{outcome} ~ {right} + ({slope} | country)"
            yield formula, rm.regression_formula(formula, numbers=NUMBERS, **options)  # type: ignore[arg-type]


def completed_rows(study: rm.Study, spec: RegressionSpec, imputations: int, seed: int) -> tuple[RegressionRows, ...]:
    """Rows of every completed set; one set where nothing is missing."""
    survey = study.survey
    missing = missing_predictors(survey.codebook, survey.source, spec.outcome, spec.terms, base=spec.base)
    needed = imputations if missing.answers.incomplete else 1
    return rows_of_drawn(survey.codebook, missing, draw_sets(missing.answers, needed, seed=seed, workers=2))


def seconds_of_brms() -> dict[str, float]:
    """Wall seconds of single fits by brms, compilation included."""
    folder = ROOT / "tests" / "oracle" / "regression"
    return {p.stem: json.loads(p.read_text())["seconds"]["elapsed"] for p in sorted(folder.glob("brms_*.json"))}


def main() -> None:
    """Run everything, tell how long it took and what did not pass."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--imputations", type=int, default=30)
    parser.add_argument("--models", type=int, default=0, help="only the first so many")
    options = parser.parse_args()
    study = study_of_disclosure()
    chosen = list(models())[: options.models or None]
    sampler = rm.SamplerSpec(engine="auto")
    fits, failed, refused, engines, rows = 0, [], {}, {}, []
    sets: dict[object, tuple[RegressionRows, ...]] = {}
    started = time.perf_counter()
    for name, spec in chosen:
        at = time.perf_counter()
        try:
            key = (spec.outcome, spec.terms)
            if key not in sets:  # models that differ in their slopes only share the imputed sets
                sets[key] = completed_rows(study, spec, options.imputations, sampler.seed)
            pooled = fit_imputed(sets[key], spec, sampler, workers=2)
        except rm.InputError as error:
            refused[name] = sorted({problem.code for problem in error.problems})
            print(f"{name}: refused, {refused[name]}", flush=True)
            continue
        fits += len(pooled.fits)
        failed += [] if pooled.passed else [name]
        for one in pooled.fits:
            engines[one.engine] = engines.get(one.engine, 0) + 1
        rows.append(round(time.perf_counter() - at, 1))
        print(f"{name}: {len(pooled.fits)} fits, {rows[-1]} s, {pooled.engine}, passed {pooled.passed}", flush=True)
    seconds = time.perf_counter() - started
    brms = seconds_of_brms()
    per_fit = sum(brms.values()) / max(len(brms), 1)
    found = {
        "models": len(chosen),
        "imputations": options.imputations,
        "fits": fits,
        "fits by engine": engines,
        "seconds": round(seconds, 1),
        "seconds per model": rows,
        "refused": refused,
        "did not pass the gate": failed,
        "brms, seconds of single fits (four chains on one core, one after the other)": brms,
        "brms, hours reckoned from their mean": round(per_fit * fits / 3600, 1),
        "ratio": round(per_fit * fits / seconds),
    }
    print(json.dumps(found, indent=1))
    if not options.models:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
