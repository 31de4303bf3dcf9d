"""What a direct estimate is, and the words for its choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.object_]

LonelyPsu = Literal["error", "certainty", "average", "centred", "merge"]
LONELY_POLICIES: tuple[LonelyPsu, ...] = ("error", "certainty", "average", "centred", "merge")

Quantity = Literal["proportion", "mean", "total", "ratio"]

Interval = Literal["logit", "Wilson", "Korn-Graubard", "normal"]
INTERVALS: tuple[Interval, ...] = ("logit", "Wilson", "Korn-Graubard", "normal")

#: Columns of `DirectEstimate.frame()` after the domain, in order.
DIRECT_ESTIMATE_COLUMNS: dict[str, str] = {
    "n": "children in the base, unweighted, those of weight zero included",
    "n_weighted": "sum of their weights",
    "estimate": "design-based estimate; proportions run from 0 to 1",
    "standard_error": "its design-based standard error",
    "low": "lower end of the confidence interval",
    "high": "upper end of the confidence interval",
    "interval_kind": "logit, Wilson, Korn-Graubard or normal; empty where there is no interval",
    "probability": "coverage the interval aims at",
    "degrees_of_freedom": "PSUs minus strata, among those that hold children of the domain",
    "design_effect": "variance over that of a simple random sample of the same n drawn with replacement",
    "effective_n": "size of the simple random sample that would be as precise; never above n; empty if unknown",
    "kish_n": "(sum of weights)^2 / sum of squared weights: what unequal weights alone leave of n",
    "note": "anything a reader must know about this row",
}


@dataclass(frozen=True, eq=False)
class DirectEstimate:
    """Design-based estimates of one quantity in one or more domains; every array runs over the domains.

    Parameters
    ----------
    quantity
        What is estimated.
    domains
        One entry per domain (a MultiIndex where domains are made of several factors); ``"all"`` for everybody.
    n
        Children in the base, unweighted; children of weight zero count.
    n_weighted
        Sum of their weights.
    estimate, standard_error
        Estimate and its design-based standard error; NaN where the sample cannot tell.
    low, high, interval_kind, probability
        Confidence interval, how it was made, and the coverage it aims at. The kind is empty where there is none.
    degrees_of_freedom
        PSUs minus strata (of the PSUs and strata that hold children of the domain with a weight above zero), or the
        rank of the domain's replicate weights minus 1.
    design_effect
        Variance over that of a simple random sample of the same n drawn with replacement (R's ``deff="replace"``,
        which does not depend on the scale of the weights).
    effective_n
        ``p (1 - p) / variance`` for proportions, ``n / design_effect`` otherwise; never above n. NaN where the
        variance is zero or cannot be estimated: take the design effect of a larger domain there.
    kish_n
        Kish's effective n, from the weights alone.
    note
        What a reader must know; empty otherwise.
    """

    quantity: Quantity
    domains: pd.Index
    n: IntArray
    n_weighted: FloatArray
    estimate: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray
    interval_kind: TextArray
    probability: float
    degrees_of_freedom: FloatArray
    design_effect: FloatArray
    effective_n: FloatArray
    kish_n: FloatArray
    note: TextArray

    def __len__(self) -> int:
        """Count the domains."""
        return len(self.domains)

    def frame(self) -> pd.DataFrame:
        """Tidy table: one row per domain, its factors first, then `DIRECT_ESTIMATE_COLUMNS`; nothing rounded."""
        values = pd.DataFrame({name: getattr(self, name) for name in DIRECT_ESTIMATE_COLUMNS})
        factors = self.domains.to_frame(index=False)
        return pd.concat([factors, values], axis=1)
