"""Do intervals cover under clustered, informative sampling? 1,000 surveys at design effects of about 1.5, 2 and 4.

    python benchmarks/design_coverage.py [SURVEYS]

Each survey: 12 countries, 40 PSUs of 25 children, PSUs with many affected children likelier to be drawn, weights that
undo this. Three fits by the whole path from rows to estimates: country cells; cells by country and gender, averaged
back to countries; and children taken as a simple random sample, which must fail. Writes
benchmarks/results/design_coverage.json; a test checks the hashes of the code it certifies.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

import riskmodels as rm
from riskmodels.design.collapse import collapse
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.provenance import hashes_of_code, installed_versions
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import source_from_frame
from riskmodels.survey.synthetic import simulate_clustered

RESULTS = Path(__file__).parent / "results" / "design_coverage.json"
CERTIFIES = (
    "design/dependence.py",
    "design/direct",
    "design/sampling.py",
    "design/survey_cells.py",
    "survey/synthetic/clustered.py",
)
CODEBOOK = Codebook(
    study_id="coverage",
    title="SYNTHETIC",
    population="made-up children",
    file="frame",
    synthetic=True,
    design=DesignColumns(country="country", weight="weight", psu="psu"),
    variables={"gender": Variable("gender", "Gender", Answers("girl", {"boy": (0,), "girl": (1,)}))},
    indicators={"affected": Indicator("affected", "Affected", Answers("yes", {"no": (0,), "yes": (1,)}))},
)
LAPLACE = rm.SamplerSpec(engine="laplace", weighted_draws=2000)
PROBABILITIES = (0.5, 0.9, 0.95)


def intervals(fit: rm.Fit, truth: np.ndarray) -> dict[str, float]:
    """Share of countries whose truth lies inside the intervals."""
    estimates = rm.prevalence_estimates(fit, ["country"])
    below = np.einsum("cs,csq->q", estimates.weights, (estimates.draws < truth).astype(float))
    return {str(level): float((np.abs(below - 0.5) < level / 2).mean()) for level in PROBABILITIES}


def survey(seed: int, design_effect: float) -> dict[str, object]:
    """One survey through the three fits."""
    sample = simulate_clustered(seed, design_effect)
    frame = pd.DataFrame(
        {
            "country": np.array([f"C{k:02d}" for k in range(len(sample.truth))])[sample.country],
            "psu": sample.psu.astype(float),
            "girl": sample.girl.astype(float),
            "weight": sample.weight,
            "yes": sample.yes,
        }
    )
    source = source_from_frame(frame)
    whole, split = collapse(CODEBOOK, source, ["affected"]), collapse(CODEBOOK, source, ["affected"], ["gender"])
    cells = cells_of_survey(whole)
    chosen = {
        "model": cells,
        "model by gender": cells_of_survey(split),
        "design ignored": cells_of_survey(whole, ignore_design=True),
    }
    found: dict[str, object] = {"design effect": float(np.mean(cells.n / cells.n_effective))}
    for name, own in chosen.items():
        found[name] = intervals(rm.fit_model(own, sampler=LAPLACE), sample.truth)
    return found


def main(surveys: int) -> None:
    """Run all design effects and store what was found."""
    started = time.perf_counter()
    result: dict[str, object] = {"surveys": surveys}
    for design_effect in (1.5, 2.0, 4.0):
        rows = Parallel(n_jobs=2)(delayed(survey)(seed, design_effect) for seed in range(surveys))
        part: dict[str, object] = {
            "mean design effect": round(float(np.mean([row["design effect"] for row in rows])), 3)
        }
        for name in ("model", "model by gender", "design ignored"):
            part[name] = {
                str(level): {
                    "covered": round(float(np.mean([row[name][str(level)] for row in rows])), 4),
                    "mc_error": round(
                        float(np.std([row[name][str(level)] for row in rows], ddof=1) / np.sqrt(surveys)), 4
                    ),
                }
                for level in PROBABILITIES
            }
        result[f"design effect about {design_effect:g}"] = part
        print(json.dumps(part), flush=True)
    result |= {"seconds": round(time.perf_counter() - started, 1), "versions": installed_versions()}
    RESULTS.write_text(json.dumps({**result, "code_sha256": hashes_of_code(*CERTIFIES)}, indent=1) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
