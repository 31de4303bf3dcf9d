"""Every measure of co-occurrence of a fit, by domain and draw, with its direct figure and what must be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.answered_tables import (
    AnsweredAverages,
    PairTables,
    direct_mean_columns,
    direct_pair_columns,
    direct_share_columns,
    sum_patterns,
)
from riskmodels.estimates.joint_domains import JointDomains, JointDraws, joint_draws
from riskmodels.estimates.pair_measures import PAIR_MEASURES, PairItems, PairMeasure, pair_items
from riskmodels.fit.cooccurrence_fit import CooccurrenceFit
from riskmodels.survey.population import PopulationFrame
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
NumberMeasureName = Literal["any", "at least", "exactly", "mean"]
#: Measures of how many risks a child has, and what their rows say.
NUMBER_MEASURES: dict[str, str] = {
    "any": "share of children with any of the risks",
    "at least": "share of children with at least how_many of the risks",
    "exactly": "share of children with exactly how_many of the risks",
    "mean": "mean number of risks per child",
}
#: Share of children with each single risk, under the joint model.
SINGLE = "prevalence"
MEASURES = (SINGLE, *NUMBER_MEASURES, *PAIR_MEASURES)

RISK_COLUMN, OTHER_COLUMN, HOW_MANY_COLUMN = "risk", "other_risk", "how_many"
NOTE_IMPOSSIBLE = "declared impossible: no child can have both"
NOTE_TOO_MANY = "pairs are declared impossible: no child can have so many"
NOTE_EMPTY = "one of the two risks never comes without (or with) the other here: no such figure exists"
ANSWERED_ALL = "answered all questions"
NOTE_ONE_WORLD = "all countries as one: that a country has more of both risks counts as coming together too"
NOTE_NEVER_SEEN = "nobody here was seen with both, though it is possible: the figure rests on the model"


@dataclass(frozen=True, eq=False)
class Measured:
    """One measure of a fit in every domain, draw by draw.

    Parameters
    ----------
    where
        The domains.
    labels
        What every row is, domains one after another: the domain, then the item (a risk, a pair, a number of risks).
    draws
        Shape (chain, draw, domain, item).
    exists
        Where the measure exists, shape (domain, item).
    notes
        What a reader must know, shape (domain, item).
    direct
        Direct columns, domains one after another.
    quantity, unit
        In words.
    none
        Value where risks come together by chance only; None where there is none.
    base
        Denominator in words.
    """

    where: JointDomains
    labels: pd.DataFrame
    draws: FloatArray
    exists: npt.NDArray[np.bool_]
    notes: npt.NDArray[np.object_]
    direct: pd.DataFrame
    quantity: str
    unit: str
    none: float | None
    base: str


def _row_labels(where: JointDomains, items: pd.DataFrame) -> pd.DataFrame:
    """Words for every row: each domain with every item."""
    own = where.labels.iloc[np.repeat(np.arange(len(where)), len(items))].reset_index(drop=True)
    each = items.iloc[np.tile(np.arange(len(items)), len(where))].reset_index(drop=True)
    return pd.concat([own, each], axis=1)


def risk_columns(counts: JointCounts, **positions: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Words for risks, and their codes before them where these differ.

    Parameters
    ----------
    counts
        Joint counts.
    positions
        Name of a column -> positions of risks.
    """
    columns: dict[str, list[str]] = {}
    risks = counts.risks
    for name, places in positions.items():
        if risks.labels != risks.levels:
            columns[f"{name}_code"] = [risks.levels[k] for k in places]
        columns[name] = [risks.labels[k] for k in places]
    return pd.DataFrame(columns, index=range(len(next(iter(positions.values())))))


def check_measure(name: str, allowed: Sequence[str] = MEASURES) -> None:
    """Refuse a measure that does not exist (E195)."""
    if name not in allowed:
        remedy = f"choose among {', '.join(allowed)}"
        raise InputError([Problem("E195", "no such measure of co-occurrence", "measure", 1, remedy)], "co-occurrence")


def measure(
    fit: CooccurrenceFit,
    name: str,
    by: Sequence[str] = (),
    *,
    population: PopulationFrame | None = None,
    probability: float,
) -> Measured:
    """Compute a measure in every domain, draw by draw, from the domain's own averaged 2 x 2 tables.

    Parameters
    ----------
    fit
        A checked fit.
    name
        One of `MEASURES`.
    by, population
        As in `joint_domains`.
    probability
        Of the direct intervals.

    Raises
    ------
    InputError
        E195 for an unknown measure; otherwise as `joint_domains`.
    """
    check_measure(name)
    draws = joint_draws(fit, by, population)
    if name in PAIR_MEASURES:
        return _of_pairs(fit, draws, PAIR_MEASURES[name], probability)
    return _of_single(draws, probability) if name == SINGLE else _of_number(draws, name, probability)


def _measured(draws: JointDraws, items: pd.DataFrame, values: FloatArray, direct: pd.DataFrame, words: str) -> Measured:
    """A measure that exists everywhere."""
    where = draws.where
    shape = (len(where), len(items))
    notes = np.full(shape, where.domains.note, dtype=object)
    unit, base = ("proportion", str(where.counts.base))
    return Measured(
        where, _row_labels(where, items), values, np.ones(shape, dtype=bool), notes, direct, words, unit, None, base
    )


def _of_single(draws: JointDraws, probability: float) -> Measured:
    counts = draws.where.counts
    known, yes = ((counts.answers != UNKNOWN).astype(float), (counts.answers == 1).astype(float))
    items = risk_columns(counts, risk=np.arange(len(counts.risks)))
    direct = direct_share_columns(draws.where, probability, known, yes)
    found = _measured(draws, items, draws.single, direct, "prevalence")
    averages = AnsweredAverages(draws.where, sum_patterns(counts, known))
    return replace(found, notes=_answered_notes(found.notes, averages, "answered the question"))


def _answered_notes(
    notes: npt.NDArray[np.object_],
    averages: AnsweredAverages,
    what: str,
    among: npt.NDArray[np.bool_] | bool = True,
) -> npt.NDArray[np.object_]:
    """Say where nobody, or nobody of some groups, gave the answers that a direct figure needs."""
    answered, share = averages.total(averages.known) > 0, averages.answered_share
    answered, share = np.broadcast_to(answered, notes.shape), np.broadcast_to(share, notes.shape)
    alone = f"nobody here {what}: the model's figure alone, borrowed from other groups"
    notes = _add_note(notes, among & ~answered, alone)
    for domain, item in zip(*np.nonzero(among & answered & (share < 0.995)), strict=True):
        text = f"direct figure without the {100 * (1 - share[domain, item]):.0f} % of children in groups where nobody {what}"
        one = np.zeros(notes.shape, dtype=bool)
        one[domain, item] = True
        notes = _add_note(notes, one, text)
    return notes


def _of_number(draws: JointDraws, name: str, probability: float) -> Measured:
    """P(any), P(at least k), P(exactly k) or the mean; direct figures of children whose answers are all known."""
    counts, risks = draws.where.counts, len(draws.where.counts.risks)
    complete = (counts.answers != UNKNOWN).all(axis=1, keepdims=True).astype(float)
    number = (counts.answers == 1).sum(axis=1, keepdims=True).astype(float)
    averages = AnsweredAverages(draws.where, sum_patterns(counts, complete))
    if name == "mean":
        direct = direct_mean_columns(draws.where, probability, complete, number)
        values = draws.single.sum(axis=-1, keepdims=True)
        found = _measured(draws, pd.DataFrame(index=range(1)), values, direct, NUMBER_MEASURES[name])
        return replace(found, unit="risks", notes=_answered_notes(found.notes, averages, ANSWERED_ALL))
    steps = np.arange(0 if name == "exactly" else 1, 2 if name == "any" else risks + 1)
    holds = (number == steps) if name == "exactly" else (number >= steps)
    known = np.broadcast_to(complete, holds.shape).astype(float)
    direct = direct_share_columns(draws.where, probability, known, holds.astype(float))
    items = pd.DataFrame(index=range(1)) if name == "any" else pd.DataFrame({HOW_MANY_COLUMN: steps})
    values = (draws.number if name == "exactly" else draws.at_least)[..., steps]
    found = _measured(draws, items, values, direct, NUMBER_MEASURES[name])
    possible = values.max(axis=(0, 1)) > 0
    notes = _answered_notes(found.notes, averages, ANSWERED_ALL)
    return replace(found, exists=possible, notes=_add_note(notes, ~possible, NOTE_TOO_MANY))


def _of_pairs(fit: CooccurrenceFit, draws: JointDraws, measure: PairMeasure, probability: float) -> Measured:
    counts = draws.where.counts
    items = pair_items(len(counts.risks), symmetric=measure.symmetric)
    both, first, second = draws.both[..., items.pair], draws.single[..., items.first], draws.single[..., items.second]
    declared = np.isin(items.pair, [counts.pairs.index(pair) for pair in counts.impossible])
    tables, direct = direct_pair_columns(draws.where, measure, items, probability)
    empty = ~measure.exists(both, first, second).all(axis=(0, 1))
    exists = ~(empty | declared)
    with np.errstate(all="ignore"):
        values = np.where(exists, measure.value(both, first, second), np.nan)
    direct.loc[np.tile(declared, len(draws.where)), ["direct", "direct_low", "direct_high"]] = np.nan
    found = _measured(draws, risk_columns(counts, risk=items.first, other_risk=items.second), values, direct, "")
    notes = _pair_notes(found.notes, tables, items, declared, empty)
    general = [_note_of_associations(fit, draws.where)]
    general += [NOTE_ONE_WORLD] if measure.none is not None and _is_pooled(draws.where) else []
    for text in filter(None, general):
        notes = _add_note(notes, exists, text)
    base = f"{counts.base}; share among those with risk" if measure.name == "given" else str(counts.base)
    return replace(
        found,
        exists=exists,
        notes=notes,
        quantity=measure.words,
        unit=measure.unit,
        none=measure.none,
        base=base,
    )


def _is_pooled(where: JointDomains) -> bool:
    """Whether several countries are taken as one."""
    return COUNTRY not in where.domains.by and len(where.cells.factor(COUNTRY)) > 1


def _note_of_associations(fit: CooccurrenceFit, where: JointDomains) -> str:
    """Say where the model itself lets associations be the same in all groups that are kept apart."""
    same = [name for name in where.domains.by if name not in fit.spec.associations_by]
    if fit.spec.structure != "pairwise" or not same:
        return ""
    return f"the model lets risks hang together alike for every {', '.join(same)} (associations_by): no finding"


def _pair_notes(
    notes: npt.NDArray[np.object_],
    tables: PairTables,
    items: PairItems,
    declared: npt.NDArray[np.bool_],
    empty: npt.NDArray[np.bool_],
) -> npt.NDArray[np.object_]:
    """Say what a pair rests on, the gravest first."""
    possible = np.broadcast_to(~declared, notes.shape)
    answered = tables.answered > 0
    notes = _add_note(notes, ~possible, NOTE_IMPOSSIBLE)
    notes = _add_note(notes, possible & empty, NOTE_EMPTY)
    notes = _add_note(notes, possible & answered & (tables.seen == 0), NOTE_NEVER_SEEN)
    return _answered_notes(notes, tables.averages, "answered both questions", possible)


def _add_note(notes: npt.NDArray[np.object_], at: npt.NDArray[np.bool_], text: str) -> npt.NDArray[np.object_]:
    """Notes with one more where it holds."""
    found = notes.copy()
    for place in zip(*np.nonzero(at), strict=True):
        found[place] = "; ".join(part for part in (str(notes[place]), text) if part)
    return found
