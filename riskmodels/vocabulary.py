"""Words used in more than one room: dimensions, columns of results, reserved names."""

from __future__ import annotations

from typing import Literal

COUNTRY = "country"
INDICATOR = "indicator"
#: What varies between countries together: one column per indicator, then one per slope.
COUNTRY_COLUMN = "country_column"
ALL_LEVELS = "all"

Base = Literal["all asked", "valid answers"]
BASES: tuple[Base, ...] = ("all asked", "valid answers")

MissingKind = Literal["dont_know", "prefer_not_to_say", "not_asked", "not_fielded", "system_missing"]
#: Kinds of missing answers; the code of a kind in coded data is -1, -2, ... in this order.
MISSING_KINDS: tuple[MissingKind, ...] = (
    "dont_know",
    "prefer_not_to_say",
    "not_asked",
    "not_fielded",
    "system_missing",
)
#: Kinds that belong to the denominator "all asked": the child was asked and gave no answer.
ASKED_BUT_MISSING: tuple[MissingKind, ...] = ("dont_know", "prefer_not_to_say")

IntervalKind = Literal["equal-tailed", "highest-density"]
INTERVAL_KINDS: tuple[IntervalKind, ...] = ("equal-tailed", "highest-density")
DEFAULT_PROBABILITY = 0.95
DEFAULT_INTERVAL: IntervalKind = "equal-tailed"

#: Dimensions whose levels overlap: one child can name several of them.
MULTI_RESPONSE_DIMS: tuple[str, ...] = ("channel", "perpetrator")

#: Columns that describe a posterior summary, in the order in which every table shows them.
SUMMARY_COLUMNS: dict[str, str] = {
    "estimate": "posterior mean, on the scale of the quantity (proportions run from 0 to 1)",
    "median": "posterior median",
    "sd": "posterior standard deviation",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "interval_kind": "equal-tailed or highest-density",
    "probability": "posterior probability inside the interval",
    "mcse": "Monte Carlo standard error of the posterior mean",
    "rhat": "split R-hat (rank-normalised) of this very quantity; empty where draws carry importance weights",
    "pareto_k": "k-hat of the importance weights behind this very quantity; empty where draws were sampled by NUTS",
    "ess_bulk": "effective draws for the centre",
    "ess_tail": "effective draws for the interval ends",
}

#: Columns that set the design-based figure beside the model's.
DIRECT_COLUMNS: dict[str, str] = {
    "n": "unweighted number of children in the base",
    "n_effective": "effective number of children after the design effect",
    "direct": "direct (design-based) estimate from this domain alone",
    "direct_low": "lower end of the direct interval, same probability",
    "direct_high": "upper end of the direct interval, same probability",
}

#: Every column an estimates table may have besides the factors it is broken down by.
ESTIMATE_COLUMNS: dict[str, str] = {
    "quantity": "what is estimated: prevalence, children affected, difference, rank ...",
    "unit": "proportion, children, rank or probability",
    "base": "which children the denominator holds, in words",
    **SUMMARY_COLUMNS,
    **DIRECT_COLUMNS,
    "note": "anything a reader must know about this row",
}

#: Names a user's own factors may not take.
RESERVED_NAMES: frozenset[str] = frozenset(ESTIMATE_COLUMNS) | {
    *("cell", "chain", "draw", "eta", "affected"),
    # columns of coded data
    *("weight", "stratum", "psu", "child_id", "children", "total", "squares"),
}
