"""Direct (design-based) estimates: what the sample alone says, with the sampling design in the variance."""

from riskmodels.design.direct.collapsed import proportions_from_totals
from riskmodels.design.direct.joint import (
    JointRatios,
    covariance_from_sums,
    covariance_of_proportions,
    covariance_of_ratios,
)
from riskmodels.design.direct.records import DIRECT_ESTIMATE_COLUMNS, DirectEstimate, Interval, LonelyPsu
from riskmodels.design.direct.replicates import ReplicateWeights
from riskmodels.design.direct.rows import direct_mean, direct_proportion, direct_ratio, direct_total

__all__ = [
    "DIRECT_ESTIMATE_COLUMNS",
    "DirectEstimate",
    "Interval",
    "JointRatios",
    "LonelyPsu",
    "ReplicateWeights",
    "covariance_from_sums",
    "covariance_of_proportions",
    "covariance_of_ratios",
    "direct_mean",
    "direct_proportion",
    "direct_ratio",
    "direct_total",
    "proportions_from_totals",
]
