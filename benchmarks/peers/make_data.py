"""Write the two data files that the R peers and the oracles read.

    python benchmarks/peers/make_data.py

Writes benchmarks/peers/cells_312.csv (SYNTHETIC, seed 312) and tests/oracle/oracle_country.csv (published shares of
twelve countries, effective counts rounded to whole children).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import riskmodels as rm

HERE = Path(__file__).parent
ORACLE = Path(__file__).parents[2] / "tests" / "oracle"
SEED = 312
COUNTRIES, CHILDREN = 13, 1000
AGE = np.array([-0.3, 0.0, 0.3])
GENDER = np.array([-0.15, 0.15])
SES = np.array([0.25, 0.1, -0.1, -0.25])


def synthetic_cells() -> pd.DataFrame:
    """13 countries x 3 ages x 2 genders x 4 socio-economic groups, 1,000 made-up children per country."""
    rng = np.random.default_rng(SEED)
    per_country = len(AGE) * len(GENDER) * len(SES)
    country = rng.normal(0.0, 0.6, COUNTRIES)
    country_age = rng.normal(0.0, 0.2, (COUNTRIES, len(AGE)))
    country_gender = rng.normal(0.0, 0.15, (COUNTRIES, len(GENDER)))
    rows = []
    for c in range(COUNTRIES):
        counts = iter(rng.multinomial(CHILDREN, rng.dirichlet(np.full(per_country, 20.0))))
        for a in range(len(AGE)):
            for g in range(len(GENDER)):
                for s in range(len(SES)):
                    n = int(next(counts))
                    logit = -2.0 + country[c] + AGE[a] + GENDER[g] + SES[s] + country_age[c, a] + country_gender[c, g]
                    yes = int(rng.binomial(n, 1 / (1 + np.exp(-logit))))
                    rows.append((f"c{c + 1:02d}", f"a{a + 1}", f"g{g + 1}", f"s{s + 1}", n, yes))
    frame = pd.DataFrame(rows, columns=["country", "age", "gender", "ses", "n", "yes"])
    assert (frame["n"] > 0).all()
    return frame


def published_countries() -> pd.DataFrame:
    """One row per country: effective children and effective children affected, as whole numbers."""
    cells = rm.load_pack("disrupting-harm").cells(indicators=["online_any_of_9_items"])
    codes = np.array(cells.factor("country").levels)[cells.position("country")]
    return pd.DataFrame(
        {
            "country": codes,
            "n": np.round(cells.n_effective).astype(int),
            "yes": np.round(cells.yes_effective).astype(int),
        }
    )


def main() -> None:
    synthetic_cells().to_csv(HERE / "cells_312.csv", index=False, lineterminator="\n")
    published_countries().to_csv(ORACLE / "oracle_country.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
