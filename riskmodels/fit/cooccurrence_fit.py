"""CooccurrenceFit: a checked posterior of a joint model of several risks, whatever its structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import JointCounts
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec

FloatArray = npt.NDArray[np.float64]

CELL, RISK, PAIR, HOW_MANY = "cell", "risk", "pair", "how_many"


@dataclass(frozen=True, eq=False, kw_only=True)
class CooccurrenceFit(CheckedPosterior):
    """Posterior of a joint model of several yes/no risks on the cells of a survey.

    `posterior` holds, whatever the structure: `single` (chain, draw, cell, risk), P(risk); `both` (chain, draw, cell,
    pair), P(both), pairs in the order of `JointCounts.pairs`; `number` (chain, draw, cell, how_many), P(exactly k); and
    parameters of the structure. The gate judged all of them.

    Parameters
    ----------
    spec, counts
        What was fitted to what. For the rest see `CheckedPosterior`.
    probabilities
        Pattern probabilities of some draws: positions in the flattened (chain, draw) -> (cells, 2^J, draws), patterns
        numbered as in `models/joint_margins.py`.
    """

    spec: CooccurrenceSpec
    counts: JointCounts
    probabilities: Callable[[npt.NDArray[np.int64]], FloatArray]

    @property
    def base(self) -> str:
        """Denominator of the answers."""
        return self.counts.base

    def __repr__(self) -> str:
        """Say what it is in a line."""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        brand = "SYNTHETIC, " if self.counts.synthetic else ""
        size = f"{len(self.counts.risks)} risks, {len(self.counts)} cells, {self.counts.n.sum():,.0f} children"
        return f"CooccurrenceFit({brand}{self.spec.structure}, {size}, {self.engine}, {self.seconds:.1f} s, {verdict})"

    def _repr_html_(self) -> str:
        return self.summary_in_html(f"{self.spec.structure} model of {len(self.counts.risks)} risks together")
