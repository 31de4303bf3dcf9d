"""Comparison of regressions by what they predict: a child, a country or a group left out; stacking; slopes set free."""

from riskmodels.estimates.comparison.groups import GroupedResult, grouped_cross_validation, split_rows
from riskmodels.estimates.comparison.leave_one_out import LooResult, leave_one_out
from riskmodels.estimates.comparison.models import Comparison, common_rows, compare_models, stacking_weights
from riskmodels.estimates.comparison.slopes import SlopeScreen, screen_slopes

__all__ = [
    "Comparison",
    "GroupedResult",
    "LooResult",
    "SlopeScreen",
    "common_rows",
    "compare_models",
    "grouped_cross_validation",
    "leave_one_out",
    "screen_slopes",
    "split_rows",
    "stacking_weights",
]
