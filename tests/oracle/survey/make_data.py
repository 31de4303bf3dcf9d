"""Make the SYNTHETIC samples that R `survey` and riskmodels are compared on; every child is invented, seeded.

Run from the repository's root: `python tests/oracle/survey/make_data.py`. Byte for byte the same at every run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
SEED = 20261124
#: Invented countries: how many PSUs each of their strata holds (1: a lonely one).
COUNTRIES = {"Aldova": (4, 6, 3, 5), "Borland": (5, 1, 4, 2), "Cirra": (1, 3, 6, 1), "Dunmark": (8, 7)}
CHILDREN_PER_PSU = (3, 9)
STRATA_FOR_BRR = 6


def children() -> pd.DataFrame:
    """Children in PSUs in strata in four invented countries."""
    rng = np.random.default_rng(SEED)
    rows = []
    psu = 0
    for country, strata in COUNTRIES.items():
        for place, count in enumerate(strata):
            level = rng.normal(-1.2, 0.5)
            for _ in range(count):
                psu += 1
                of_psu = rng.normal(level, 0.6)
                for _ in range(int(rng.integers(*CHILDREN_PER_PSU))):
                    hours = float(np.round(rng.gamma(3.0, 1.0), 2))
                    y = int(rng.random() < 1 / (1 + np.exp(-of_psu - 0.2 * (hours - 3))))
                    z = int(rng.random() < (0.45 if y else 0.12))
                    rows.append(
                        {
                            "country": country,
                            "stratum": f"{country[0]}{place + 1}",
                            "psu": f"{country[0]}{psu:03d}",
                            "weight": float(np.round(rng.gamma(4.0, 250.0) * (1 + 0.5 * y), 1)),
                            "gender": str(rng.choice(["boy", "girl"])),
                            "age": int(rng.integers(12, 18)),
                            "y": y,
                            "z": z,
                            "hours": hours,
                            "incidents": int(rng.poisson(0.3 * hours)) if y else 0,
                        }
                    )
    frame = pd.DataFrame(rows)
    frame["never"] = 0
    frame["always"] = 1
    frame["weight_zero"] = frame["weight"].where(rng.random(len(frame)) > 0.1, 0.0)
    frame["answered"] = (rng.random(len(frame)) > 0.15).astype(int)
    pairs = {"B2": "B23", "B3": "B23", "C1": "C12", "C2": "C12", "C3": "C34", "C4": "C34"}
    frame["merged"] = frame["stratum"].replace(pairs)
    frame.insert(0, "synthetic", "SYNTHETIC")
    return frame


def with_replicates() -> pd.DataFrame:
    """Another sample: six strata of two PSUs, with replicate weights of every kind."""
    rng = np.random.default_rng(SEED + 1)
    rows = []
    for stratum in range(STRATA_FOR_BRR):
        for half in range(2):
            level = rng.normal(-0.8, 0.7)
            for _ in range(int(rng.integers(6, 12))):
                hours = float(np.round(rng.gamma(3.0, 1.0), 2))
                y = int(rng.random() < 1 / (1 + np.exp(-level)))
                rows.append(
                    {
                        "stratum": stratum,
                        "psu": 2 * stratum + half,
                        "half": half,
                        "y": y,
                        "hours": hours,
                        "incidents": int(rng.poisson(hours / 3)),
                        "gender": str(rng.choice(["boy", "girl"])),
                        "weight": float(np.round(rng.gamma(4.0, 250.0), 1)),
                    }
                )
    frame = pd.DataFrame(rows)
    psus = 2 * STRATA_FOR_BRR
    columns: dict[str, np.ndarray] = {}
    weight, psu = frame["weight"].to_numpy(), frame["psu"].to_numpy()
    stratum, half = frame["stratum"].to_numpy(), frame["half"].to_numpy()
    for dropped in range(psus):
        columns[f"jk1_{dropped + 1}"] = weight * np.where(psu == dropped, 0.0, psus / (psus - 1))
        same = stratum == dropped // 2
        columns[f"jkn_{dropped + 1}"] = weight * np.where(psu == dropped, 0.0, np.where(same, 2.0, 1.0))
    hadamard = np.array([[1]])
    while len(hadamard) <= STRATA_FOR_BRR:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    for place, row in enumerate(hadamard):
        kept = (row[1 + stratum] > 0) == (half == 0)
        columns[f"brr_{place + 1}"] = weight * np.where(kept, 2.0, 0.0)
        columns[f"fay_{place + 1}"] = weight * np.where(kept, 1.7, 0.3)
    for place in range(40):
        times = np.bincount(rng.integers(0, psus, psus - 1), minlength=psus) * psus / (psus - 1)
        columns[f"boot_{place + 1}"] = weight * times[psu]
    frame = pd.concat([frame.drop(columns="half"), pd.DataFrame(columns)], axis=1)
    frame["few"] = np.where(psu == 3, "few", "rest")
    frame.insert(0, "synthetic", "SYNTHETIC")
    return frame


def main() -> None:
    """Write both samples beside this script."""
    children().to_csv(HERE / "children.csv", index=False)
    with_replicates().to_csv(HERE / "replicates.csv", index=False)


if __name__ == "__main__":
    main()
