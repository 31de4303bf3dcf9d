"""Do intervals of regressions cover under clustered, informative sampling? And children drawn one by one?

    python benchmarks/regression_coverage.py [SURVEYS]

Each survey: 12 countries, 40 school classes (PSUs) of 25 children. Children of one class share an effect and, nearly,
their age. Classes with many affected children are likelier to be drawn, and within classes affected children likelier to
answer; weights undo both, and vary besides. Class effects follow the bridge distribution, so that log odds *of the
population* are exactly linear in gender, age and country (Wang & Louis 2003, Biometrika 90, 765-775): the coefficients
and average marginal effects that intervals must cover are known without error. Fits of ``y ~ gender + age + (1 |
country)``: pseudo-likelihood, the same with design adjustment, effective counts; and for children drawn one by one,
equal weights, the plain model. Each survey's figures are kept in out/, so that a run that was stopped goes on
where it was, as long as the code has not changed. Writes benchmarks/results/regression_coverage.json.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

import riskmodels as rm
from riskmodels.design.regression_clusters import regression_clusters
from riskmodels.design.regression_rows import regression_rows
from riskmodels.estimates.regression import marginal_effects
from riskmodels.fit.design_adjustment import design_adjusted
from riskmodels.fit.regression import RegressionFit, fit_regression
from riskmodels.models.regression_spec import RegressionSpec, Weights, regression_formula
from riskmodels.provenance import hash_record, hash_source, hashes_of_code, installed_versions
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import source_from_frame

HERE = Path(__file__).parent / "results"
RESULTS = HERE / "regression_coverage.json"
RUNS = HERE.parents[1] / "out" / "regression_coverage.jsonl"
CERTIFIES = (
    "design/direct",
    "design/regression_clusters.py",
    "design/regression_rows.py",
    "design/score_covariance.py",
    "estimates/regression.py",
    "fit/design_adjustment.py",
    "fit/design_effects_pooled.py",
    "fit/laplace",
    "fit/regression.py",
    "fit/tailed_proposal.py",
    "models/latent_regression.py",
    "models/regression_design.py",
)
COUNTRIES, CLASSES, CHILDREN = 12, 40, 25
INTERCEPT, GIRL, AGE, SPREAD = -1.8, 0.3, 0.12, 0.5
#: Log odds of the population over those within a class; the SD of class effects is 0.8.
ATTENUATION = 0.915
AGES = np.arange(11, 19)
PROBABILITIES = (0.5, 0.9, 0.95)
LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=2000)


def codebook(clustered: bool) -> Codebook:
    """What the simulated file declares."""
    return Codebook(
        study_id="coverage",
        title="SYNTHETIC",
        population="made-up children",
        file="frame",
        synthetic=True,
        design=DesignColumns(country="country", weight="weight", psu="psu" if clustered else None),
        variables={
            "gender": Variable("gender", "Gender", Answers("girl", {"boy": (0,), "girl": (1,)})),
            "age": Variable("age", "Age", Answers("age", {}), low=10, high=19),
        },
        indicators={"affected": Indicator("affected", "Affected", Answers("yes", {"no": (0,), "yes": (1,)}))},
    )


def bridge(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Class effects whose average over classes keeps log odds linear."""
    u = rng.uniform(size=size)
    return np.asarray(np.log(np.sin(ATTENUATION * np.pi * u) / np.sin(ATTENUATION * np.pi * (1 - u))) / ATTENUATION)


def first_accepted(rng: np.random.Generator, chance: np.ndarray, wanted: int) -> np.ndarray:
    """Positions along the last axis of the first accepted candidates."""
    order = np.argsort(rng.uniform(size=chance.shape) >= chance, axis=-1, kind="stable")
    return order[..., :wanted]


def simulate(seed: int, clustered: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """A survey and the true deviations of its countries."""
    rng = np.random.default_rng([seed, 777, clustered])
    deviation = rng.normal(0, SPREAD, COUNTRIES)
    effect = bridge(rng, (COUNTRIES, 6 * CLASSES))
    chance = 0.15 + 0.85 * special.expit(1.5 * effect) if clustered else np.ones(effect.shape)
    drawn = first_accepted(rng, chance, CLASSES)
    effect, chance = (np.take_along_axis(values, drawn, axis=-1)[..., None] for values in (effect, chance))
    shape = (COUNTRIES, CLASSES, 3 * CHILDREN)
    grade = rng.integers(12, 18, (*shape[:2], 1))
    age = grade + rng.choice([-1, 0, 1], shape, p=[0.15, 0.7, 0.15])
    girl = rng.integers(0, 2, shape)
    marginal = INTERCEPT + deviation[:, None, None] + GIRL * girl + AGE * (age - 14.5)
    if not clustered:
        effect = bridge(rng, shape)  # a class of one's own
    yes = rng.uniform(size=shape) < special.expit(marginal / ATTENUATION + effect)
    answers = np.where(yes, 1.0, 0.75) if clustered else np.ones(shape)
    # 25 children who answer are sought, so a child is the likelier reached the more rarely its class answers.
    reached = chance * answers / answers.mean(axis=-1, keepdims=True)
    weight = np.exp(0.25 * rng.normal(size=shape)) / reached if clustered else np.ones(shape)
    taken = first_accepted(rng, answers, CHILDREN)
    psu = np.arange(COUNTRIES * CLASSES).reshape(COUNTRIES, CLASSES, 1)
    columns = {"girl": girl, "age": age, "yes": yes, "weight": weight}
    frame = pd.DataFrame(
        {name: np.take_along_axis(values, taken, axis=-1).ravel().astype(float) for name, values in columns.items()}
    )
    frame["psu"] = np.broadcast_to(psu, taken.shape).ravel().astype(float)
    frame["country"] = np.repeat([f"C{k:02d}" for k in range(COUNTRIES)], CLASSES * CHILDREN)
    return frame, deviation


def true_effects(deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average marginal effects of gender and of a year of age in the population, per country."""
    share = np.convolve(np.full(6, 1 / 6), [0.15, 0.7, 0.15])
    at = INTERCEPT + deviation[:, None] + AGE * (AGES - 14.5)
    boy, girl = special.expit(at), special.expit(at + GIRL)
    return (girl - boy) @ share, AGE * (0.5 * (boy * (1 - boy) + girl * (1 - girl))) @ share


def placed(draws: np.ndarray, weights: np.ndarray, truth: np.ndarray | float) -> dict[str, list[float]]:
    """Where the truth lies in the posterior, its error, and the posterior SD."""
    flat, own = draws.reshape(weights.size, -1), weights.ravel()
    mean = own @ flat
    return {
        "below": np.round(own @ (flat < truth), 5).tolist(),
        "error": np.round(mean - truth, 6).tolist(),
        "sd": np.round(np.sqrt(own @ (flat - mean) ** 2), 6).tolist(),
    }


def found_by(fit: RegressionFit, deviation: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """Every quantity of one fit against the truth."""
    assert fit.weights is not None
    weights, posterior = fit.weights, fit.posterior.transpose("chain", "draw", "term", "varying", "country", ...)
    beta, average = posterior["coefficient"].to_numpy(), posterior["average_coefficient"].to_numpy()
    own = average[..., :1] + posterior["country_deviation"].to_numpy()[:, :, 0]
    girl, age = true_effects(deviation)

    # Countries are of one size, so the average over all children is that of the countries.
    of_gender, of_age = (marginal_effects(fit, name, ("country",)).draws for name in ("gender", "age"))
    return {
        "intercept (population of countries)": placed(beta[..., :1], weights, INTERCEPT),
        "intercept (average of countries)": placed(average[..., :1], weights, INTERCEPT + deviation.mean()),
        "gender": placed(beta[..., 1:2], weights, GIRL),
        "age": placed(beta[..., 2:3], weights, AGE),
        "country intercepts": placed(own, weights, INTERCEPT + deviation),
        "country SD": placed(posterior["country_sd"].to_numpy(), weights, SPREAD),
        "marginal effect of gender": placed(of_gender.mean(axis=-1), weights, girl.mean()),
        "marginal effect of age": placed(of_age.mean(axis=-1), weights, age.mean()),
        "marginal effects of gender by country": placed(of_gender, weights, girl),
        "marginal effects of age by country": placed(of_age, weights, age),
    }


def survey(seed: int) -> dict[str, object]:
    """One clustered and one plain survey through all fits."""

    def spec_of(weights: Weights) -> RegressionSpec:
        return regression_formula(
            "affected ~ gender + age + (1 | country)", numbers={"age": (14.5, 1.0)}, weights=weights
        )

    found: dict[str, object] = {}
    laplace = replace(LAPLACE, seed=seed)  # one seed for all surveys would be one Monte Carlo error, shared by all
    for clustered in (True, False):
        frame, deviation = simulate(seed, clustered)
        source, book = source_from_frame(frame), codebook(clustered)
        rows = regression_rows(book, source, "affected", ["gender", "age"])
        if not clustered:
            found["plain"] = found_by(fit_regression(rows, spec_of("none"), laplace), deviation)
            continue
        pseudo = fit_regression(rows, spec_of("pseudo"), laplace)
        adjusted = design_adjusted(pseudo, regression_clusters(book, source, "affected", rows))
        effective = fit_regression(rows, spec_of("effective"), laplace)
        fits = {"unadjusted": pseudo, "adjusted": adjusted, "effective": effective}
        found |= {name: found_by(fit, deviation) for name, fit in fits.items()}
        found["design effect"] = float(rows.design_effect.mean())
        found["failed"] = [name for name, fit in fits.items() if not fit.passed]
    return found


def surveys_with(code: str, surveys: int) -> Iterator[dict[str, object]]:
    """All surveys, those run before by this very code read back."""
    RUNS.parent.mkdir(exist_ok=True)
    lines = [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []
    known = {line["seed"]: line["found"] for line in lines if line["code"] == code}
    if len(known) < len(lines):
        RUNS.write_text("".join(json.dumps(line) + "\n" for line in lines if line["code"] == code))
    for seed in range(surveys):
        if seed not in known:
            known[seed] = survey(seed)
            with RUNS.open("a") as handle:
                handle.write(json.dumps({"seed": seed, "code": code, "found": known[seed]}) + "\n")
        yield known[seed]


def table(rows: list[dict[str, object]]) -> dict[str, dict[str, dict[str, object]]]:
    """Coverage with Monte Carlo errors over surveys, bias, and posterior SD over that of the errors."""
    result: dict[str, dict[str, dict[str, object]]] = {}
    for fit in ("unadjusted", "adjusted", "effective", "plain"):
        result[fit] = {}
        for quantity in rows[0][fit]:  # type: ignore[attr-defined]
            values = {k: np.array([row[fit][quantity][k] for row in rows]) for k in ("below", "error", "sd")}  # type: ignore[index]
            inside = {level: (np.abs(values["below"] - 0.5) < level / 2).mean(axis=1) for level in PROBABILITIES}
            error, count = values["error"], max(len(rows) - 1, 1) ** 0.5
            result[fit][quantity] = {
                **{
                    str(level): {"covered": round(float(x.mean()), 4), "mc_error": round(float(x.std() / count), 4)}
                    for level, x in inside.items()
                },
                "mean_error": round(float(error.mean()), 5),
                "sd_over_error": round(float(np.sqrt((values["sd"] ** 2).mean() / (error**2).mean())), 3),
            }
    return result


def in_markdown(found: dict[str, dict[str, dict[str, object]]]) -> str:
    """The table of docs/regression.md: how often 95 % intervals cover."""
    names = {
        "age": "age (children of a class are of one age)",
        "gender": "gender (varies within classes)",
        "country intercepts": "country intercepts",
        "intercept (average of countries)": "average of the countries' intercepts",
        "marginal effect of age": "average marginal effect of age",
        "marginal effect of gender": "average marginal effect of gender",
    }
    fits = ("unadjusted", "adjusted", "effective", "plain")
    lines = ["| quantity | pseudo, unadjusted | pseudo, adjusted | effective | children drawn one by one |"]
    for name, words in names.items():
        lines.append(" | ".join([f"| {words}", *(f"{found[fit][name]['0.95']['covered']:.3f}" for fit in fits)]) + " |")  # type: ignore[index]
    return "\n".join([lines[0], "|---|---|---|---|---|", *lines[1:]])


def main(surveys: int) -> None:
    """Run all surveys, print the table, store what was found."""
    started = time.perf_counter()
    code = hash_record({**hashes_of_code(*CERTIFIES), "benchmark": hash_source(Path(__file__))})
    rows = list(surveys_with(code, surveys))
    found = table(rows)
    for fit, quantities in found.items():
        for name, part in quantities.items():
            shares = "  ".join(f"{part[str(p)]['covered']:.3f} ({part[str(p)]['mc_error']:.3f})" for p in PROBABILITIES)  # type: ignore[index]
            print(f"{fit:10s}  {name:38s}  {shares}  bias {part['mean_error']:+.4f}  sd/error {part['sd_over_error']}")
    result = {
        "surveys": surveys,
        "mean design effect": round(float(np.mean([row["design effect"] for row in rows])), 3),  # type: ignore[misc]
        "fits that failed the gate": int(sum(len(row["failed"]) for row in rows)),  # type: ignore[arg-type, misc]
        **found,
        "seconds of this run": round(time.perf_counter() - started, 1),
        "versions": installed_versions(),
    }
    print(in_markdown(found))
    print(f"design effect {result['mean design effect']}, {result['fits that failed the gate']} fits failed the gate")
    RESULTS.write_text(json.dumps({**result, "code_sha256": hashes_of_code(*CERTIFIES)}, indent=1) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
