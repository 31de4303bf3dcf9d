"""Children lost to a regression because a predictor is missing: per predictor and together, raw and weighted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from riskmodels.design.regression_rows import regression_rows
from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import Base

#: Row of the table that stands for all predictors at once.
ANY_PREDICTOR = "any of them"


def predictor_loss(
    codebook: Codebook, source: SourceTable, outcome: str, predictors: Sequence[str], *, base: Base | None = None
) -> pd.DataFrame:
    """Share of the children in the base of an outcome whose predictors are missing.

    Parameters
    ----------
    codebook, source
        The study.
    outcome
        Indicator; the children in its base are those of which shares are taken.
    predictors
        Variables and scales.
    base
        Denominator; the indicator's own where None.

    Returns
    -------
    pandas.DataFrame
        One row per predictor, then ``"any of them"`` (what complete cases lose): `predictor`, `label`, `n` (children in
        the base), `share` and `weighted_share` lost, 0 to 1; weights have mean 1 within each country.

    Raises
    ------
    InputError
        As `regression_rows`.
    """
    if not predictors:
        remedy = "name predictors"
        raise InputError(
            [Problem("E195", "no predictor can be missing where there is none", outcome, 0, remedy)], "rows lost"
        )
    found = []
    for names in ([name] for name in predictors):
        found.append(_lost(codebook, source, outcome, names, base))
    found.append(
        {
            **_lost(codebook, source, outcome, predictors, base),
            "predictor": ANY_PREDICTOR,
            "label": "any of them: lost to complete cases",
        }
    )
    return pd.DataFrame(found)


def _lost(
    codebook: Codebook, source: SourceTable, outcome: str, names: Sequence[str], base: Base | None
) -> dict[str, object]:
    rows = regression_rows(codebook, source, outcome, names, base=base)
    kept = dict(zip(rows.countries.levels, np.bincount(rows.country, rows.n), strict=True))
    gone = rows.lost["children"].to_numpy(float)
    whole = gone + np.array([kept.get(code, 0.0) for code in rows.lost["country"]])
    return {
        "predictor": names[0],
        "label": rows.labels[names[0]],
        "n": float(whole.sum()),
        "share": float(gone.sum() / whole.sum()),
        "weighted_share": float((rows.lost["weighted_share"].to_numpy(float) * whole).sum() / whole.sum()),
    }
