"""Exact combinations of risks: the model's share with intervals, the observed share, small ones taken together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.errors import GateError
from riskmodels.estimates.answered_tables import AnsweredAverages, sum_patterns
from riskmodels.estimates.estimates import Estimates, make_estimates
from riskmodels.estimates.joint_domains import joint_domains
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.models.joint_margins import has_risk
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Combinations seen by fewer children are never shown by themselves.
LEAST_CHILDREN = 10
#: Probabilities of combinations computed in all, draws taken at least, and probabilities held at a time (80 MB).
WORK, LEAST_DRAWS, HELD = 400_000_000, 1000, 10_000_000
NONE, OTHER = "none of the risks", "all other combinations together"


@dataclass(frozen=True, eq=False)
class Combinations:
    """The most common combinations of risks among some children.

    Parameters
    ----------
    estimates
        One row per combination shown, the commonest first, then `NONE` (where large enough to be shown) and `OTHER`.
    members
        Which risks each row of the table holds, shape (rows, risks); all False in the last rows.
    """

    estimates: Estimates
    members: npt.NDArray[np.bool_]


def _thinned(fit: CooccurrenceFit) -> tuple[CooccurrenceFit, IntArray]:
    """The fit with the weights of some of its draws, evenly spread over all chains, and the positions of these."""
    chains, draws = fit.draw_weights.shape
    wanted = max(LEAST_DRAWS, WORK // (len(fit.counts) * 2 ** len(fit.counts.risks)))
    taken = np.linspace(0, draws - 1, min(draws, -(-wanted // chains))).round().astype(np.int64)
    positions = np.arange(chains)[:, None] * draws + taken
    if fit.weights is None:
        return fit, positions
    own = fit.weights[:, taken]
    return replace(fit, weights=own / own.sum()), positions


def _pattern_draws(fit: CooccurrenceFit, share: FloatArray, patterns: IntArray, positions: IntArray) -> FloatArray:
    """Probability of some patterns where cells have these shares, shape (draws, patterns)."""
    each = max(1, HELD // (len(fit.counts) * 2 ** len(fit.counts.risks)))
    parts = [
        np.einsum("c,cps->sp", share, np.asarray(fit.probabilities(positions[start : start + each]))[:, patterns])
        for start in range(0, len(positions), each)
    ]
    return np.concatenate(parts)


def _possible(counts: JointCounts) -> int:
    """Number of combinations that no declared impossible pair rules out."""
    has = has_risk(len(counts.risks)).astype(bool)
    ruled_out = np.zeros(len(has), dtype=bool)
    for first, second in counts.impossible:
        ruled_out |= has[:, first] & has[:, second]
    return int((~ruled_out).sum())


def _shown(children: FloatArray, top: int) -> IntArray:
    """Patterns to show, commonest first, so that neither one of them nor the rest holds 1 to 9 children."""
    order = np.argsort(-children, kind="stable")
    shown = [int(k) for k in order if children[k] >= LEAST_CHILDREN and k != 0][:top]
    nothing = [0] if children[0] >= LEAST_CHILDREN else []
    while shown and 0 < children.sum() - children[[*shown, *nothing]].sum() < LEAST_CHILDREN:
        shown.pop()
    if 0 < children.sum() - children[[*shown, *nothing]].sum() < LEAST_CHILDREN:
        nothing = []
    return np.array([*shown, *nothing], dtype=np.int64)


def combination_estimates(
    fit: CooccurrenceFit,
    within: Mapping[str, str] | None = None,
    *,
    top: int = 15,
    population: PopulationFrame | None = None,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
) -> Combinations:
    """How many children have exactly which risks, for the most common combinations.

    Parameters
    ----------
    fit
        A checked fit.
    within
        Factor -> level, for one group only, e.g. ``{"country": "Kenya"}``; all children together where None.
    top
        Combinations shown at most.
    population, probability, interval
        As in `number_estimates`.

    Returns
    -------
    Combinations
        Shares of children with *exactly* these risks and no other; `direct` is the share among those who answered
        every question. Combinations that fewer than 10 of these gave are only in ``all other combinations together``,
        which never holds 1 to 9 children either. The whole adds up to 1.

    Raises
    ------
    GateError
        Where no combination was given by 10 children.
    """
    groups = dict(within or {})
    where = joint_domains(fit.counts, list(groups), population)
    place = where.find(groups)
    counts, risks = where.counts, len(where.counts.risks)
    complete = (counts.answers != UNKNOWN).all(axis=1)
    here = complete & (where.domains.of_cell[counts.cell] == place)
    number = np.where(complete, (counts.answers == 1) @ (1 << np.arange(risks)), -1)
    assert counts.children is not None
    children = np.bincount(number[here], counts.children[here], minlength=2**risks)
    patterns = _shown(children, top)
    if not len(patterns):
        raise GateError(
            f"no combination was given by {LEAST_CHILDREN} children: none can be shown; ask for fewer risks"
        )
    thinned, positions = _thinned(fit)
    model = _pattern_draws(fit, where.shares[place], patterns, positions.ravel()).reshape(*positions.shape, -1)
    rest = len(patterns) < _possible(counts)
    draws = np.concatenate([model, 1 - model.sum(axis=-1, keepdims=True)], axis=-1) if rest else model
    averages = AnsweredAverages(where, sum_patterns(counts, complete[:, None].astype(float)))
    observed = averages.average(averages.of_cell(sum_patterns(counts, (number[:, None] == patterns).astype(float))))[
        place
    ]
    members = ((patterns[:, None] >> np.arange(risks)) & 1).astype(bool)
    labels = [" + ".join(np.array(counts.risks.labels)[own]) if own.any() else NONE for own in members]
    whom = {name: where.labels[name].iloc[place] for name in where.labels}
    direct = pd.DataFrame(
        {"n": where.n[place], "direct": [*observed, *([max(0.0, 1 - observed.sum())] if rest else [])]}
    )
    made = make_estimates(
        thinned,
        pd.DataFrame({**whom, "combination": [*labels, *([OTHER] if rest else [])]}),
        draws,
        quantity="share of children with exactly these risks",
        probability=probability,
        interval=interval,
        direct=direct,
        notes=[where.domains.note] * len(direct),
    )
    return Combinations(made, np.vstack([members, np.zeros((int(rest), risks), dtype=bool)]))
