"""The nine items of the disrupting-harm pack under three assumed within-child correlations.

    python benchmarks/shared_children.py

Writes benchmarks/results/shared_children.json: mean width of the 95 % interval of cell prevalences and of the
country centres (mean logit over the nine items), and the largest shift of a cell estimate against correlation 0.4.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import riskmodels as rm
from riskmodels.provenance import installed_versions

RESULTS = Path(__file__).parent / "results" / "shared_children.json"


def main() -> None:
    cells = rm.load_pack("disrupting-harm").cells(base="all asked")
    draws = {}
    for correlation in (0.0, 0.4, 0.7):
        fit = rm.fit_model(cells, rm.PrevalenceSpec(within_child_correlation=correlation))
        fit.require_passed()
        draws[correlation] = fit.draws["prevalence"].to_numpy().reshape(-1, len(cells))
    centre = draws[0.4].mean(axis=0)
    rows = {}
    for correlation, p in draws.items():
        low, high = np.quantile(p, [0.025, 0.975], axis=0)
        logit = np.log(p / (1 - p))
        country = np.stack([logit[:, cells.position("country") == k].mean(axis=1) for k in range(12)], axis=1)
        rows[str(correlation)] = {
            "mean_width_of_cells_points": 100 * float((high - low).mean()),
            "mean_sd_of_country_centre_logit": float(country.std(axis=0).mean()),
            "largest_shift_of_a_cell_points": 100 * float(np.abs(p.mean(axis=0) - centre).max()),
        }
    RESULTS.write_text(
        json.dumps({"within_child_correlation": rows, "versions": installed_versions()}, indent=1) + "\n"
    )
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
