"""Multiple imputation by chained equations: draws of missing answers from what else is known of each child.

Every incomplete variable is drawn in turn from a Bayesian regression on all others, on the outcome and on the weight,
within each country that has children enough and over all countries (with their indicators) elsewhere:

* levels: a logistic regression (multinomial beyond two levels); coefficients are drawn from the normal approximation of
  their posterior, then the level is drawn;
* numbers, and ordered levels beyond `MOST_LEVELS`: matching. Coefficients are drawn from a Bayesian ridge regression,
  and a child takes the answer of a child whose expected answer is as near (whole years stay whole years); of a number
  of many values, its expected answer and that child's residual. Nothing leaves the range that was answered.

Assumed: missing at random given the outcome, the other variables and the weight. Where the regression lets an imputed
variable interact with another, outcome x that other variable explains it too, so that the interaction is not lost. A
country without a model of its own borrows coefficients from all countries, so its own slopes are drawn towards theirs.

References
----------
van Buuren 2018, Flexible imputation of missing data, 2nd ed., chapters 3 (draws, matching with drawn coefficients) and
4 (chains); Seaman, White, Copas & Li 2012, Biometrics 68, 129-137 (weights as predictors).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import sklearn
from threadpoolctl import threadpool_limits

from riskmodels.survey.imputation_draws import draw_levels, draw_matched

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Kind = Literal["number", "levels", "ordered"]
#: Variable -> values drawn for the children whose answer is missing, in their order.
Drawn = Mapping[str, FloatArray]

#: Ordered variables of more levels are matched, not drawn level by level.
MOST_LEVELS = 5
#: Children with an answer (for levels: other than the commonest) that a country needs per column to have its own model.
CHILDREN_PER_COLUMN = 5
#: Rounds of the chain before a set is kept.
CYCLES = 5


@dataclass(frozen=True, eq=False)
class IncompleteAnswers:
    """Answers of children with gaps.

    Parameters
    ----------
    values
        Variable -> level positions or numbers, NaN where the answer is to be drawn.
    kinds
        Variable -> how it is drawn and how it explains others.
    country
        Country of every child, 0, 1, ...
    outcome
        Answer to the outcome as a position; a missing answer of the base has a position of its own.
    weight
        Survey weights.
    terms
        Terms of the regression to come: its interactions are kept.
    """

    values: Mapping[str, FloatArray]
    kinds: Mapping[str, Kind]
    country: IntArray
    outcome: IntArray
    weight: FloatArray
    terms: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        """Give the number of children."""
        return len(self.country)

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        return (
            f"IncompleteAnswers({len(self):,} children, {len(self.values)} variables, {len(self.incomplete)} with gaps)"
        )

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Variables with gaps, those with the fewest first."""
        gaps = {name: int(np.isnan(values).sum()) for name, values in self.values.items()}
        return tuple(sorted((name for name, count in gaps.items() if count), key=lambda name: gaps[name]))


def _matched(answers: IncompleteAnswers, name: str) -> bool:
    """Whether a variable is drawn by matching."""
    kind, values = answers.kinds[name], answers.values[name]
    return kind == "number" or (kind == "ordered" and len(np.unique(values[~np.isnan(values)])) > MOST_LEVELS)


def _indicators(values: FloatArray, levels: FloatArray) -> FloatArray:
    """One column per level but the first."""
    return (values[:, None] == levels[None, 1:]).astype(float)


def _block(answers: IncompleteAnswers, name: str, values: FloatArray) -> FloatArray:
    """Columns by which one variable explains others."""
    observed = answers.values[name][~np.isnan(answers.values[name])]
    if _matched(answers, name):
        return ((values - observed.mean()) / (observed.std() or 1.0))[:, None]
    return _indicators(values, np.unique(observed))


def _crossed(first: FloatArray, second: FloatArray) -> FloatArray:
    """Products of every column of one block with every column of another."""
    return np.asarray((first[:, :, None] * second[:, None, :]).reshape(len(first), first.shape[1] * second.shape[1]))


def _known_columns(answers: IncompleteAnswers) -> tuple[FloatArray, FloatArray]:
    """Outcome; and outcome, weight and their product: what explains every variable."""
    outcome = _indicators(answers.outcome.astype(float), np.unique(answers.outcome).astype(float))
    mean = np.bincount(answers.country, answers.weight) / np.bincount(answers.country)
    relative = answers.weight / np.where(mean > 0, mean, 1.0)[answers.country]
    weight = np.log(np.maximum(relative, 1e-3))[:, None]
    if np.ptp(weight) < 1e-9:
        return outcome, outcome
    weight /= weight.std()
    return outcome, np.column_stack([outcome, weight, _crossed(outcome, weight)] if outcome.size else [weight])


def _columns(
    answers: IncompleteAnswers, target: str, blocks: Mapping[str, FloatArray], outcome: FloatArray, known: FloatArray
) -> FloatArray:
    """Everything that explains one variable: the others, outcome, weight, and outcome x what it interacts with."""
    parts = [known, *(block for name, block in blocks.items() if name != target)]
    for term in answers.terms:
        if target not in term or len(term) < 2:
            continue
        others = [blocks[name] for name in term if name != target]
        together = others[0]
        for block in others[1:]:
            together = _crossed(together, block)
        parts += [together] if len(others) > 1 else []
        parts += [_crossed(outcome, together)] if outcome.size else []
    return np.column_stack(parts)


def own_model(answers: IncompleteAnswers, name: str, columns: int) -> BoolArray:
    """Per country: whether its children answered a variable often enough for a model of their own."""
    values = answers.values[name]
    known = ~np.isnan(values)
    enough = np.zeros(int(answers.country.max()) + 1, dtype=bool)
    for number in range(len(enough)):
        own = values[known & (answers.country == number)]
        common = 0 if _matched(answers, name) else np.unique(own, return_counts=True)[1].max(initial=0)
        enough[number] = len(own) - common >= CHILDREN_PER_COLUMN * columns
    return enough


def _redrawn(answers: IncompleteAnswers, name: str, columns: FloatArray, rng: np.random.Generator) -> FloatArray:
    """New answers for every gap of one variable."""
    values = answers.values[name]
    gap = np.isnan(values)
    draw = draw_matched if _matched(answers, name) else draw_levels
    enough = own_model(answers, name, columns.shape[1])
    found = values.copy()
    for number in np.flatnonzero(enough):
        own = answers.country == number
        fitted, asked = own & ~gap, own & gap
        if asked.any():
            found[asked] = draw(columns[fitted], values[fitted], columns[asked], rng)
    asked = gap & ~enough[answers.country]
    if asked.any():
        indicators = _indicators(answers.country.astype(float), np.arange(len(enough), dtype=float))
        every = np.column_stack([columns, indicators])
        found[asked] = draw(every[~gap], values[~gap], every[asked], rng)
    return found


def _first_guess(answers: IncompleteAnswers, name: str, rng: np.random.Generator) -> FloatArray:
    """Answers of random children of the same country."""
    values = answers.values[name].copy()
    gap = np.isnan(values)
    for number in np.unique(answers.country[gap]):
        own = answers.country == number
        donors = values[own & ~gap]
        values[own & gap] = rng.choice(donors if len(donors) else values[~gap], int((own & gap).sum()))
    return values


def draw_one_set(answers: IncompleteAnswers, rng: np.random.Generator, cycles: int = CYCLES) -> Drawn:
    """Run one chain and keep what it drew last.

    Parameters
    ----------
    answers
        What is known.
    rng
        Source of randomness.
    cycles
        Rounds; one where a single variable has gaps, since the chain has then nothing to wait for.

    Returns
    -------
    Drawn
        Values for the gaps of every incomplete variable.
    """
    names = answers.incomplete
    outcome, known = _known_columns(answers)
    current = {name: _first_guess(answers, name, rng) for name in names}
    blocks = {name: _block(answers, name, current.get(name, values)) for name, values in answers.values.items()}
    with threadpool_limits(limits=1), sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for _ in range(cycles if len(names) > 1 else 1):
            for name in names:
                current[name] = _redrawn(answers, name, _columns(answers, name, blocks, outcome, known), rng)
                blocks[name] = _block(answers, name, current[name])
    return {name: current[name][np.isnan(answers.values[name])] for name in names}


def draw_sets(
    answers: IncompleteAnswers,
    imputations: int,
    *,
    seed: int = 1,
    cycles: int = CYCLES,
    workers: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Drawn, ...]:
    """Draw several completed sets, each from a chain of its own.

    Parameters
    ----------
    answers
        What is known.
    imputations
        Sets.
    seed
        Same seed and versions: the same sets, whatever `workers` and whatever `imputations` (the first ones agree).
    cycles
        Rounds per chain.
    workers
        Processes side by side.
    progress
        Called with a stage, sets done and sets in all.

    Returns
    -------
    tuple of Drawn
        Values for the gaps only; everything else is as answered.

    Examples
    --------
    >>> import numpy as np
    >>> values = {"girl": np.array([0, 1, np.nan, 1, 0, 1, 0, 1.0])}
    >>> zero = np.zeros(8, dtype=int)
    >>> answers = IncompleteAnswers(values, {"girl": "levels"}, zero, np.array([0, 1, 1, 1, 0, 0, 0, 1]), np.ones(8))
    >>> [sorted(one) for one in draw_sets(answers, 2)]
    [['girl'], ['girl']]
    """
    from joblib import Parallel, delayed

    jobs = (
        delayed(draw_one_set)(answers, np.random.default_rng([seed, number]), cycles) for number in range(imputations)
    )
    found: list[Drawn] = []
    for one in Parallel(n_jobs=workers, return_as="generator")(jobs):
        found.append(one)
        if progress is not None:
            progress("imputing", len(found), imputations)
    return tuple(found)


def completed(values: Mapping[str, FloatArray], drawn: Drawn, names: Sequence[str]) -> dict[str, FloatArray]:
    """Put drawn answers into their gaps; what was answered stays."""
    found = {}
    for name in names:
        found[name] = values[name].copy()
        if name in drawn:
            found[name][np.isnan(values[name])] = drawn[name]
    return found
