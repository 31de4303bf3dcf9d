"""What a reader of joint answers must know of the children behind them; nothing here stops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from riskmodels.design.coding import MISSING_CODE
from riskmodels.design.joint_checks import SMALL, listed
from riskmodels.design.joint_counts import UNKNOWN
from riskmodels.design.patterns import Patterns
from riskmodels.errors import Problem

FloatArray = npt.NDArray[np.float64]

#: Ratio of a risk's own design effect to the shared one from which its intervals are told to be too narrow.
NARROW_FROM = 1.25
_WORDS = {
    "dont_know": "don't know",
    "prefer_not_to_say": "prefer not to say",
    "not_asked": "not asked",
    "not_fielded": "not fielded",
    "system_missing": "no answer",
}


def children_without_answers(
    patterns: Patterns, some: npt.NDArray[np.bool_], asked: npt.NDArray[np.bool_]
) -> list[Problem]:
    """W152: children who were put the questions and of whom no answer is known drop out."""
    lost, every = float(patterns.n[asked & ~some].sum()), float(patterns.n[asked].sum())
    if not lost:
        return []
    told = f"{100 * lost / every:.0f} %" if lost >= SMALL else f"fewer than {SMALL} children"
    what = f"children of whom no answer to any of the risks is known: left out ({told} of those asked)"
    remedy = "taken to be like the others of their group; say so beside the figures"
    return [Problem("W152", what, ", ".join(patterns.indicators.levels), len(patterns.indicators), remedy)]


def answers_unknown(patterns: Patterns, answers: npt.NDArray[np.int64], some: npt.NDArray[np.bool_]) -> list[Problem]:
    """I153: share of answers that are summed over, by kind of missing answer."""
    unknown = (answers == UNKNOWN) & some[:, None]
    total = float(patterns.n[some].sum()) * answers.shape[1]
    found = {
        kind: float((patterns.n[:, None] * (unknown & (patterns.answers == code))).sum())
        for kind, code in MISSING_CODE.items()
    }
    if not any(found.values()):
        return []
    told = [
        f"{_WORDS[kind]} {100 * count / total:.1f} %" if count >= SMALL else f"{_WORDS[kind]} fewer than {SMALL}"
        for kind, count in found.items()
        if count
    ]
    what = f"answers that are not known and are summed over: {', '.join(told)}"
    remedy = "nothing to do: a child's other answers count; the unknown are taken to follow from them"
    return [Problem("I153", what, ", ".join(patterns.indicators.levels), len(patterns.indicators), remedy)]


def design_effects_that_differ(ratio: FloatArray, mean: FloatArray, names: Sequence[str]) -> list[Problem]:
    """I152: risks that the design burdens more than the shared effective number says, in the average country."""
    with np.errstate(invalid="ignore"):
        own = np.nanmean(ratio / np.maximum(mean, 1e-12)[:, None], axis=0)
    wide = [f"{name} ({value:.1f} times)" for name, value in zip(names, own, strict=True) if value > NARROW_FROM]
    if not wide:
        return []
    what = "risks whose own design effect exceeds the one that all share here"
    remedy = "quote how common they are from a prevalence model; pairs are not concerned"
    return [Problem("I152", what, listed(wide), len(wide), remedy)]
