"""The pairwise model of co-occurrence as plain arrays for the countrywise engine.

``log P(y | cell) = sum_j a_j y_j + sum_{j<k} b_jk y_j y_k - log Z``. Main effects ``a_j`` have a country effect (a part
common to all risks and a deviation), effects of subgroups, and on request country with subgroup; associations ``b_jk``
a mean over pairs, a deviation per pair, and deviations of countries (and of other groups asked for), again a part common
to all pairs and one of each pair. With pairs alone the shares of children with exactly one, two, ... risks come out wrong
where risks hang together by unseen propensities (by 2.5 points in a multivariate probit), so that each step from two risks
on has a term of its own, the same in all countries: ``+ sum_{k>=3} d_k 1[sum_j y_j >= k]``.

References
----------
Cressie & Holland 1983, Psychometrika 48, 129-141; Tjur 1982, Scandinavian Journal of Statistics 9, 23-30 (log-linear models
with terms for how many answers are yes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskmodels.design.joint_counts import UNKNOWN, JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.models.blocks import trend_basis, zero_sum_basis
from riskmodels.models.cooccurrence_spec import CooccurrenceSpec
from riskmodels.models.country_model import CountryModel, PriorBlock
from riskmodels.models.hyperparameters import Hyper
from riskmodels.models.joint_likelihood import Incomplete, JointLikelihood
from riskmodels.models.joint_margins import has_risk
from riskmodels.models.latent import places_in_countries
from riskmodels.models.priors import Prior
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Steps from which their spread is estimated; that of fewer is the prior's scale.
FEW_STEPS = 2


@dataclass(frozen=True, eq=False)
class LatentCooccurrence:
    """A pairwise model and what its coefficients mean.

    Parameters
    ----------
    model
        For the engine.
    likelihood
        Of the data.
    place
        Flat padded place of every cell, shape (cells,).
    main_names, association_names
        Covariates of main effects and of associations, ``"all"`` first, then e.g. ``"age: 1"``.
    free
        Pairs that have an association.
    """

    model: CountryModel
    likelihood: JointLikelihood
    place: IntArray
    main_names: tuple[str, ...]
    association_names: tuple[str, ...]
    free: IntArray


def check_groups(counts: JointCounts, spec: CooccurrenceSpec) -> None:
    """Refuse factors that the cells do not have, or too few countries to compare (E132, E195)."""
    known = [one.name for one in counts.factors]
    absent = sorted({*spec.associations_by, *spec.ordered} - set(known))
    if absent:
        remedy = f"choose among {', '.join(known)}"
        raise InputError(
            [Problem("E132", "the cells are not split by", ", ".join(absent), len(absent), remedy)], "CooccurrenceSpec"
        )


def _covariates(counts: JointCounts, spec: CooccurrenceSpec, names: list[str]) -> tuple[FloatArray, list[str]]:
    """Columns of the subgroup factors named, after a column of ones; shape (cells, columns)."""
    columns, labels = [np.ones((len(counts), 1))], ["all"]
    for name in names:
        levels = len(counts.factor(name))
        basis = trend_basis(levels) if name in spec.ordered else zero_sum_basis(levels)
        columns.append(basis[counts.position(name)])
        labels += [f"{name}: {k + 1}" for k in range(basis.shape[1])]
    return np.concatenate(columns, axis=1), labels


class _Priors:
    """Collects blocks and hyperparameters."""

    def __init__(self) -> None:
        self.hypers: list[Hyper] = []
        self.shared: list[PriorBlock] = []
        self.own: list[PriorBlock] = []

    def sd(self, name: str, prior: Prior) -> int:
        self.hypers.append(Hyper(name, "sd", prior, len(self.hypers), 1))
        return len(self.hypers) - 1


def _blocks(
    counts: JointCounts,
    spec: CooccurrenceSpec,
    main: list[str],
    pairs: list[str],
    free: int,
    steps: int,
    varying: bool,
) -> tuple[_Priors, IntArray]:
    """Priors of all coefficients, and the positions of those that vary by country."""
    build, priors, bonds, risks = _Priors(), spec.prior_set, spec.association_priors, len(counts.risks)
    split = risks * len(main)

    def of_risk(place: int) -> tuple[int, ...]:
        return tuple(range(place * risks, (place + 1) * risks))

    def of_pair(place: int, start: int = split) -> tuple[int, ...]:
        return tuple(range(start + place * free, start + (place + 1) * free))

    build.shared.append(_intercepts(priors.intercept, of_risk(0)))
    pair_sd = build.sd("association_pair_sd", bonds.pair_sd) if free > 1 else None
    location, scale = float(bonds.mean.location or 0.0), float(bonds.mean.scale or 1.0)
    if free:
        build.shared.append(
            PriorBlock("association", of_pair(0), location, common=scale, deviation_hyper=pair_sd)
            if free > 1
            else PriorBlock("association", of_pair(0), location, float(np.hypot(scale, bonds.pair_sd.scale or 0.0)))
        )
    for factor in dict.fromkeys(name.split(": ")[0] for name in main[1:]):
        ordered = factor in spec.ordered
        sd = build.sd(f"{factor}_{'step_' if ordered else ''}sd", priors.trend_step if ordered else priors.group_sd)
        for place, name in enumerate(main):
            if name.split(": ")[0] == factor and place:
                build.shared.append(PriorBlock(name, of_risk(place), deviation_hyper=sd))
    for factor in dict.fromkeys(name.split(": ")[0] for name in pairs[1:] if free):
        common = build.sd(f"association_{factor}_sd", bonds.group_sd)
        deviation = build.sd(f"association_{factor}_deviation_sd", bonds.deviation_sd) if free > 1 else None
        for place, name in enumerate(pairs):
            if place and name.split(": ")[0] == factor:
                build.shared.append(_two_part(f"association {name}", of_pair(place), common, deviation))
    if steps:
        start = split + len(pairs) * free
        step_sd = build.sd("number_step_sd", bonds.step_sd) if steps > FEW_STEPS else None
        scale = float(bonds.step_sd.scale or 1.0)
        build.shared.append(
            PriorBlock("at least", tuple(range(start, start + steps)), deviation=scale, deviation_hyper=step_sd)
        )
    own: list[int] = []
    if not varying:
        return build, np.array(own, dtype=np.int64)
    common = build.sd("country_sd", priors.group_sd)
    deviation = build.sd("country_deviation_sd", priors.group_sd)
    build.own.append(PriorBlock("country", of_risk(0), deviation_hyper=deviation, common_hyper=common))
    own += of_risk(0)
    if spec.interactions and len(main) > 1:
        sd = build.sd("country_subgroup_sd", priors.group_sd)
        build.own.append(PriorBlock("country x subgroup", tuple(range(len(own), split)), deviation_hyper=sd))
        own = list(range(split))
    if COUNTRY in spec.associations_by and free:
        common = build.sd("association_country_sd", bonds.group_sd)
        deviation_of_pair = build.sd("association_country_deviation_sd", bonds.deviation_sd) if free > 1 else None
        block = _two_part("country association", of_pair(0, len(own)), common, deviation_of_pair)
        build.own.append(block)
        own += of_pair(0)
    return build, np.array(own, dtype=np.int64)


def _two_part(name: str, positions: tuple[int, ...], common: int, deviation: int | None) -> PriorBlock:
    """Deviations of pairs in a common part and one of each pair; of a single pair there is only one part."""
    if deviation is None:
        return PriorBlock(name, positions, deviation_hyper=common)
    return PriorBlock(name, positions, deviation_hyper=deviation, common_hyper=common)


def _intercepts(prior: Prior, positions: tuple[int, ...]) -> PriorBlock:
    location, scale = float(prior.location or 0.0), float(prior.scale or 1.0)
    exact = prior if prior.family != "normal" else None
    return PriorBlock("all", positions, location, scale, exact=exact)


def latent_cooccurrence(counts: JointCounts, spec: CooccurrenceSpec) -> LatentCooccurrence:
    """Write the pairwise model of these counts as plain arrays.

    Parameters
    ----------
    counts, spec
        Data and model.

    Raises
    ------
    InputError
        E132 for factors that the cells do not have.
    """
    check_groups(counts, spec)
    subgroups = [one.name for one in counts.factors if one.name != COUNTRY]
    main, main_names = _covariates(counts, spec, subgroups)
    pairs, pair_names = _covariates(counts, spec, [name for name in subgroups if name in spec.associations_by])
    free = np.array([k for k, pair in enumerate(counts.pairs) if pair not in counts.impossible], dtype=np.int64)
    country = counts.position(COUNTRY)
    place, width = places_in_countries(country)
    countries = int(country.max()) + 1
    steps = max(len(counts.risks) - 2, 0) if spec.number_steps else 0
    likelihood = _likelihood(counts, main, pairs, free, steps, place, (countries, width))
    build, own = _blocks(counts, spec, main_names, pair_names, len(free), steps, countries > 1)
    start = np.zeros(likelihood.size)
    start[: len(counts.risks)] = _pooled_logits(counts)
    model = CountryModel(
        likelihood=likelihood,
        size=likelihood.size,
        countries=countries,
        own=own,
        shared_blocks=tuple(build.shared),
        own_blocks=tuple(build.own),
        hypers=tuple(build.hypers),
        start=start,
    )
    return LatentCooccurrence(model, likelihood, place, tuple(main_names), tuple(pair_names), free)


def _pooled_logits(counts: JointCounts) -> FloatArray:
    """Logit of every risk among all children who answered."""
    yes = ((counts.answers == 1) * counts.count[:, None]).sum(axis=0) + 0.5
    no = ((counts.answers == 0) * counts.count[:, None]).sum(axis=0) + 0.5
    return np.asarray(np.log(yes / no))


def _likelihood(
    counts: JointCounts,
    main: FloatArray,
    pairs: FloatArray,
    free: IntArray,
    steps: int,
    place: IntArray,
    shape: tuple[int, int],
) -> JointLikelihood:
    def padded(values: FloatArray) -> FloatArray:
        out = np.zeros((shape[0] * shape[1], *values.shape[1:]))
        out[place] = values
        return out.reshape(*shape, *values.shape[1:])

    whole = (counts.answers != UNKNOWN).all(axis=1)
    first, second = np.array(counts.pairs, dtype=np.int64).reshape(-1, 2)[free].T
    yes = (counts.answers == 1).astype(float)
    at_least = (yes.sum(axis=1)[:, None] >= 3 + np.arange(steps)).astype(float)
    statistics = np.concatenate([yes, yes[:, first] * yes[:, second], at_least], axis=1) * counts.count[:, None]
    summed = np.zeros((len(counts), statistics.shape[1]))
    np.add.at(summed, counts.cell[whole], statistics[whole])
    covariates = padded(pairs)
    covariates[..., 0] = 1.0  # empty places share their country's table
    return JointLikelihood(
        risks=len(counts.risks),
        free=free,
        steps=steps,
        main=padded(main),
        association=covariates,
        n=padded(counts.n_effective),
        statistics=padded(summed),
        incomplete=_incomplete(counts, ~whole, place),
    )


def _incomplete(counts: JointCounts, rows: npt.NDArray[np.bool_], place: IntArray) -> Incomplete:
    """All completions of the patterns with unknown answers."""
    has = has_risk(len(counts.risks))
    completions = [
        np.flatnonzero(((answers == UNKNOWN) | (answers == has)).all(axis=1)) for answers in counts.answers[rows]
    ]
    lengths = np.array([len(one) for one in completions], dtype=np.int64)
    cell = place[counts.cell[rows]]
    return Incomplete(
        cell=cell,
        count=np.asarray(counts.count[rows]),
        completion=np.concatenate(completions) if completions else np.zeros(0, dtype=np.int64),
        completion_cell=np.repeat(cell, lengths),
        starts=np.cumsum(lengths) - lengths,
    )
