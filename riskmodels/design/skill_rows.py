"""SkillRows: children's answers on skill, exposure, coping and distress, one row per combination of answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from riskmodels.errors import InputError, Problem
from riskmodels.provenance import hash_record
from riskmodels.survey.factors import Factor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: An answer that is not known (or was not asked for).
UNKNOWN = -1
#: Name of the factor of coping strategies.
STRATEGY = "strategy"


@dataclass(frozen=True, eq=False)
class SkillRows:
    """Children per combination of country, covariates and answers.

    Parameters
    ----------
    countries
        Countries, in order.
    items
        Skill items with their levels, lowest skill first.
    strategies
        Coping strategies, as a factor.
    distress_levels
        Levels of distress, lowest first.
    factors
        Covariates with levels, by name; the other covariates are numbers.
    country
        Country of every row, shape (rows,).
    answers
        Level position of every item, `UNKNOWN` where not known, shape (rows, items).
    values
        Covariate -> level position, or number, per row.
    exposed
        1 exposed, 0 not, shape (rows,).
    coping
        1 used, 0 not, `UNKNOWN` where not known and where not exposed, shape (rows, strategies).
    distress
        Level position, `UNKNOWN` where not known and where not exposed, shape (rows,).
    n
        Unweighted children.
    weight
        Sum of their weights, mean 1 per child within a country.
    design_effect
        Design effect of exposure per country.
    base
        Denominator in words.
    labels
        Words for the questions.
    synthetic
        Whether the children are made up.
    warnings
        What a reader must know.
    """

    countries: Factor
    items: tuple[Factor, ...]
    strategies: Factor
    distress_levels: Factor
    factors: Mapping[str, Factor]
    country: IntArray
    answers: IntArray
    values: Mapping[str, FloatArray]
    exposed: IntArray
    coping: IntArray
    distress: IntArray
    n: FloatArray
    weight: FloatArray
    design_effect: FloatArray
    base: str = "valid answers"
    labels: Mapping[str, str] = field(default_factory=dict)
    synthetic: bool = False
    warnings: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        """Hold every array read-only and refuse impossible answers (E200)."""
        for name in ("country", "answers", "exposed", "coping", "distress", "n", "weight", "design_effect"):
            array = np.array(getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        levels = np.array([len(item) for item in self.items])
        off = self.exposed == 0
        wrong = {
            "answers that are not levels of their item": bool(
                ((self.answers < UNKNOWN) | (self.answers >= levels)).any()
            ),
            "exposure that is not yes or no": not np.isin(self.exposed, (0, 1)).all(),
            "coping that is not yes, no or unknown": not np.isin(self.coping, (0, 1, UNKNOWN)).all(),
            "distress that is not one of its levels": bool(
                ((self.distress < UNKNOWN) | (self.distress >= len(self.distress_levels))).any()
            ),
            "counts that are not positive": not (np.isfinite(self.n) & (self.n > 0) & (self.weight > 0)).all(),
        }
        problems = [
            Problem("E200", what, "skill rows", 1, "collapse the survey again") for what, bad in wrong.items() if bad
        ]
        recorded = off & ((self.distress != UNKNOWN) | (self.coping != UNKNOWN).any(axis=1))
        if recorded.any():
            what = "coping or distress recorded for children who were not exposed"
            remedy = "declare asked_if for these questions, or check the exposure question"
            problems.append(Problem("E204", what, "coping, distress", int(self.n[recorded].sum()), remedy))
        if problems:
            raise InputError(problems, "skill rows")

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.n)

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        size = f"{len(self)} rows of {self.n.sum():,.0f} children in {len(self.countries)} countries"
        return f"SkillRows({brand}{len(self.items)} items, {len(self.strategies)} strategies, {size})"

    def counts(self, weights: str) -> FloatArray:
        """How often the likelihood counts every row: children, weights, or weights over the design effect."""
        if weights == "none":
            return self.n
        divisor = self.design_effect[self.country] if weights == "effective" else 1.0
        return np.asarray(self.weight / divisor)

    @cached_property
    def content_hash(self) -> str:
        """Equal for equal rows."""
        names = ("country", "answers", "exposed", "coping", "distress", "n", "weight", "design_effect")
        factors = (self.countries, *self.items, self.strategies, self.distress_levels, *self.factors.values())
        return hash_record(
            {name: getattr(self, name) for name in names}
            | {f"value {name}": np.asarray(values) for name, values in self.values.items()}
            | {"factors": [[one.name, list(one.levels)] for one in factors], "base": self.base}
        )


def collapse_children(
    countries: Factor,
    items: tuple[Factor, ...],
    strategies: Factor,
    distress_levels: Factor,
    *,
    country: IntArray,
    answers: IntArray,
    exposed: IntArray,
    coping: IntArray,
    distress: IntArray,
    values: Mapping[str, FloatArray] | None = None,
    factors: Mapping[str, Factor] | None = None,
    weight: FloatArray | None = None,
    design_effect: FloatArray | None = None,
    synthetic: bool = False,
) -> SkillRows:
    """Count equal children once: rows from arrays with one entry per child, as in a simulation.

    Parameters
    ----------
    countries, items, strategies, distress_levels, factors
        As in `SkillRows`.
    country, answers, exposed, coping, distress, values, weight
        One entry per child; coping and distress of children who were not exposed are `UNKNOWN`.
    design_effect
        Per country; 1 where None.
    synthetic
        Whether the children are made up.

    Returns
    -------
    SkillRows
        Rows in the order of their codes.
    """
    values = {} if values is None else values
    weight = np.ones(len(country)) if weight is None else weight
    keys = np.column_stack([country, answers, exposed, coping, distress, *values.values()])
    unique, row = np.unique(keys, axis=0, return_inverse=True)
    row = row.reshape(-1)
    scale = (np.bincount(country) / np.maximum(np.bincount(country, weight), 1e-300))[country]
    whole = unique[:, : unique.shape[1] - len(values)].astype(np.int64)
    last = 1 + len(items)
    return SkillRows(
        countries=countries,
        items=items,
        strategies=strategies,
        distress_levels=distress_levels,
        factors={} if factors is None else factors,
        country=whole[:, 0],
        answers=whole[:, 1:last],
        exposed=whole[:, last],
        coping=whole[:, last + 1 : -1],
        distress=whole[:, -1],
        values={name: unique[:, whole.shape[1] + k].astype(float) for k, name in enumerate(values)},
        n=np.bincount(row).astype(float),
        weight=np.bincount(row, weight * scale),
        design_effect=np.ones(len(countries)) if design_effect is None else design_effect,
        synthetic=synthetic,
    )
