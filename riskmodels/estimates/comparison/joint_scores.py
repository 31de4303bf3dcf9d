"""Scores of joint models of several risks: log probability of all that a child answered, whatever the structure.

Everything is computed from the joint probabilities of a fit. Children of one cell with the same answers are exchangeable:
one density stands for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.joint_counts import UNKNOWN
from riskmodels.estimates.comparison.scores import UNIT_WORDS, Scores, table_in_html
from riskmodels.estimates.comparison.smoothing import log_sum, smoothed_ratios, tail_length
from riskmodels.fit import limits
from riskmodels.fit.checks import CheckResult, below
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.models.joint_margins import has_risk

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Numbers held at a time while draws are gone through.
BATCH = 4_000_000
CHILD = "leaving one child out"
NEW_COUNTRY = "leaving one country out, each child predicted alone"


@dataclass(frozen=True, eq=False)
class JointScore:
    """Predictive accuracy of a joint model for answers it had not seen; internal, not cleared for release.

    Parameters
    ----------
    structure
        The model in words.
    counts_hash
        Identity of the joint counts.
    criterion
        What was left out.
    scores
        One unit per cell and combination of answers (a child left out) or per country.
    stacked, stacked_mass
        Log densities on which stacking works, and what each counts: always of cells and combinations of answers.
    pareto_k
        Pareto k of every unit; 0 where models were fitted again.
    p_loo
        Effective number of parameters; NaN where a country was left out.
    synthetic
        Whether the children are made up.
    checks
        Verdicts.
    """

    structure: str
    counts_hash: str
    criterion: str
    scores: Scores
    stacked: FloatArray
    stacked_mass: FloatArray
    pareto_k: FloatArray
    p_loo: float
    synthetic: bool
    checks: tuple[CheckResult, ...]

    @property
    def elpd(self) -> float:
        """Expected log predictive density of all that each child answered; nearer to 0 is better."""
        return self.scores.total

    @property
    def se(self) -> float:
        """Its sampling standard error; a difference between models has a smaller one of its own."""
        return self.scores.error_of(self.scores.density)

    @property
    def largest_k(self) -> float:
        """Largest Pareto k; NaN where any is unknown."""
        return float(self.pareto_k.max()) if np.isfinite(self.pareto_k).all() else float("nan")

    @property
    def passed(self) -> bool:
        """Whether every check passed; never where none was run."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def table(self) -> pd.DataFrame:
        """One row: `structure`, `elpd`, `se`, `p_loo`, `largest_k`, `passed`, `unit`."""
        unit = UNIT_WORDS["effective"] if self.criterion == CHILD else "summed over countries, taken as independent"
        found = {"structure": self.structure, "elpd": self.elpd, "se": self.se, "p_loo": self.p_loo}
        return pd.DataFrame([found | {"largest_k": self.largest_k, "passed": self.passed, "unit": unit}])

    def __repr__(self) -> str:
        """Say what it is in a line."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        verdict = "all checks passed" if self.passed else "CHECKS FAILED"
        return (
            f"JointScore({brand}{self.structure}; {self.criterion}; elpd {self.elpd:.1f}, SE {self.se:.1f}, {verdict})"
        )

    def _repr_html_(self) -> str:
        return table_in_html(self.table, self.criterion, self.checks, synthetic=self.synthetic)


def structure_in_words(fit: CooccurrenceFit) -> str:
    """What was fitted, e.g. ``"factor, 2 factors"``."""
    spec = fit.spec
    more = {"factor": f", {spec.factors} factor{'s' * (spec.factors > 1)}", "classes": f", {spec.classes} classes"}
    return f"{spec.structure}{more.get(spec.structure, '')}"


def answer_densities(fit: CooccurrenceFit) -> FloatArray:
    """Log probability of every combination of answers in its cell, draw by draw; unknown answers summed over.

    Returns
    -------
    numpy.ndarray
        Shape (draws, patterns), draws with chains one after the other.
    """
    counts = fit.counts
    draws = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    out = np.empty((draws, len(counts.count)))
    fitting = fitting_patterns(counts.answers)
    step = max(1, BATCH // (len(counts) * 2 ** len(counts.risks)))
    for start in range(0, draws, step):
        which = np.arange(start, min(start + step, draws))
        table = fit.probabilities(which)
        for rows, patterns in fitting:
            found = table[counts.cell[rows][:, None], patterns].sum(axis=1)
            out[which[:, None], rows] = found.T
    return np.log(np.maximum(out, np.finfo(float).tiny))


def fitting_patterns(answers: IntArray) -> list[tuple[IntArray, IntArray]]:
    """Rows with as many unknown answers as each other, and the complete patterns that fit each, (rows, 2^unknown)."""
    risks = answers.shape[1]
    bit = 1 << np.arange(risks)
    unknown = answers == UNKNOWN
    found = []
    for number in np.unique(unknown.sum(axis=1)):
        rows = np.flatnonzero(unknown.sum(axis=1) == number)
        places = np.nonzero(unknown[rows])[1].reshape(len(rows), number)
        fill = has_risk(int(number)).astype(np.int64) @ np.eye(int(number), dtype=np.int64)
        base = ((answers[rows] == 1) * bit).sum(axis=1)
        found.append((rows, base[:, None] + bit[places] @ fill.T))
    return found


def leave_child_out(fit: CooccurrenceFit) -> JointScore:
    """How well a joint model predicts all that one child answered from all other children, without refitting.

    Parameters
    ----------
    fit
        A checked fit of any structure.

    Returns
    -------
    JointScore
        `elpd`: higher is better; only differences between models mean anything (`compare_structures`).

    Notes
    -----
    Observed counts are effective numbers of children and enter the likelihood as weights of its logarithm. A child counts
    ``n_effective / n`` of its cell there, which is what leaving it out takes away; what is predicted is the answers of one
    whole child, never a power of their probability. Sums run over effective children, and standard errors take as many
    independent children as there are effective ones: unequal weights and clusters are in them through the design effect
    of the cell, and only so.

    References
    ----------
    Vehtari, Gelman & Gabry 2017, Statistics and Computing 27, 1413-1432; Vehtari, Simpson, Gelman, Yao & Gabry 2024,
    Journal of Machine Learning Research 25 (72).
    """
    counts = fit.counts
    density = answer_densities(fit)
    log_weights = np.log(np.maximum(fit.draw_weights.ravel(), np.finfo(float).tiny))
    part = (counts.n_effective / np.maximum(counts.n, 1.0))[counts.cell]
    tail = tail_length(len(density), 1.0)
    found = np.empty((len(counts.count), 3))
    step = max(1, BATCH // len(density))
    for start in range(0, len(found), step):
        own = density[:, start : start + step]
        ratios, k = smoothed_ratios(log_weights[:, None] - part[start : start + step] * own, tail)
        left_out = log_sum(ratios + own) - log_sum(ratios)
        found[start : start + step] = np.column_stack([left_out, log_sum(log_weights[:, None] + own), k])
    mass = np.array(counts.count)
    largest = float(found[:, 2].max()) if np.isfinite(found[:, 2]).all() else float("nan")
    check = below("Pareto k of leaving one child out", "all children", largest, limits.PARETO_K_BELOW)
    return JointScore(
        structure=structure_in_words(fit),
        counts_hash=counts.content_hash,
        criterion=CHILD,
        scores=Scores(found[:, 0], mass, mass, mass),
        stacked=found[:, 0],
        stacked_mass=mass,
        pareto_k=found[:, 2],
        p_loo=float(mass @ (found[:, 1] - found[:, 0])),
        synthetic=counts.synthetic,
        checks=(*fit.checks, check),
    )
