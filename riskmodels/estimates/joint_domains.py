"""Joint probabilities of cells become those of domains: averaged draw by draw, before any ratio is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.cells import Cells
from riskmodels.design.joint_counts import JointCounts
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.estimates import label_columns
from riskmodels.estimates.poststratify import Domains, domains_of
from riskmodels.fit.cooccurrence_fit import CELL, HOW_MANY, PAIR, RISK, CooccurrenceFit
from riskmodels.survey.factors import Factor
from riskmodels.survey.population import PopulationFrame
from riskmodels.survey.population.cells import without_unused_levels

FloatArray = npt.NDArray[np.float64]


def cells_of_counts(counts: JointCounts) -> Cells:
    """The cells of joint counts as `Cells`, for everything that only asks who the children of a cell are.

    Parameters
    ----------
    counts
        Joint counts.

    Returns
    -------
    Cells
        Same cells in the same order, levels that no cell has left out; no affected children, since several risks are
        counted at once.
    """
    factors, index = without_unused_levels(counts.factors, counts.index)
    return Cells(
        factors=factors,
        index=index,
        n=counts.n,
        n_effective=counts.n,
        yes_effective=np.zeros(len(counts)),
        weight=counts.weight,
        same_children=np.arange(len(counts)),
        base=counts.base,
        source=counts.source,
        synthetic=counts.synthetic,
        warnings=counts.warnings,
    )


@dataclass(frozen=True, eq=False)
class JointDomains:
    """Domains of joint counts: what each is called, which cells make it up and how many children answered.

    Parameters
    ----------
    counts
        The joint counts.
    cells
        Their cells, as population and labels know them.
    domains
        The partition of the cells.
    """

    counts: JointCounts
    cells: Cells
    domains: Domains

    def __len__(self) -> int:
        """Give the number of domains."""
        return len(self.domains)

    @property
    def labels(self) -> pd.DataFrame:
        """Words for the factors of each domain; without columns where all children are one domain."""
        return label_columns(self.cells, self.domains)

    @property
    def n(self) -> FloatArray:
        """Unweighted children of each domain with at least one answer."""
        return np.bincount(self.domains.of_cell, self.counts.n, minlength=len(self))

    @property
    def shares(self) -> FloatArray:
        """Share of its domain that every cell makes up, shape (domains, cells), rows summing to 1."""
        matrix = np.zeros((len(self), len(self.counts)))
        matrix[self.domains.of_cell, np.arange(len(self.counts))] = self.domains.share
        return matrix

    def find(self, within: Mapping[str, str]) -> int:
        """Position of the domain of these levels (codes or labels), one per factor; E145 where there is none."""
        matches = np.ones(len(self), dtype=bool)
        for name, level in within.items():
            place = position_of(self.cells.factor(name), level)
            matches &= self.domains.index[:, self.domains.by.index(name)] == place
        if not matches.any():
            where = ", ".join(within.values())
            raise InputError(
                [Problem("E145", "nobody in this group", where, 1, "choose levels that go together")], "within"
            )
        return int(np.flatnonzero(matches)[0])


def position_of(factor: Factor, level: str) -> int:
    """Position of a level given by its code, or by its label where no level has that code (E145)."""
    for names in (factor.levels, factor.labels):
        if level in names:
            return names.index(level)
    remedy = f"choose among {', '.join(factor.levels)}"
    raise InputError([Problem("E145", f"no such level of {factor.name}", level, 1, remedy)], "level")


def joint_domains(
    counts: JointCounts, by: Sequence[str] = (), population: PopulationFrame | None = None
) -> JointDomains:
    """Partition the cells of joint counts into domains.

    Parameters
    ----------
    counts
        Joint counts.
    by
        Factors to keep; the others are averaged over. Everybody together where empty.
    population
        Children per country or per cell; weight totals of the cells (usually sample sizes) if omitted.

    Returns
    -------
    JointDomains
        Each cell's share of its domain: children online in the cell over those in the domain.

    Raises
    ------
    InputError
        E132 for factors that the cells do not have, E185 as in `match_population`.
    """
    cells = cells_of_counts(counts)
    return JointDomains(counts, cells, domains_of(cells, by, population))


@dataclass(frozen=True, eq=False)
class JointDraws:
    """Joint probabilities of domains, draw by draw.

    Parameters
    ----------
    where
        The domains.
    single
        P(risk), shape (chain, draw, domain, risk).
    both
        P(both risks of a pair), shape (chain, draw, domain, pair), in the order of `JointCounts.pairs`.
    number
        P(exactly k), shape (chain, draw, domain, k), k = 0 ... J.
    """

    where: JointDomains
    single: FloatArray
    both: FloatArray
    number: FloatArray

    @property
    def at_least(self) -> FloatArray:
        """P(at least k), shape (chain, draw, domain, k), k = 0 ... J."""
        return np.asarray(np.cumsum(self.number[..., ::-1], axis=-1)[..., ::-1])


def joint_draws(fit: CooccurrenceFit, by: Sequence[str] = (), population: PopulationFrame | None = None) -> JointDraws:
    """Average a fit's joint probabilities over the children of each domain.

    Parameters
    ----------
    fit
        A checked fit.
    by, population
        As in `joint_domains`.

    Returns
    -------
    JointDraws
        To be used with `fit.weights`. A ratio of averages is taken of these, never an average of the cells' ratios:
        groups in which a risk is commoner would else look like risks that come together.
    """
    where = joint_domains(fit.counts, by, population)
    shares = where.shares

    def averaged(name: str, last: str) -> FloatArray:
        return np.asarray(shares @ fit.posterior[name].transpose("chain", "draw", CELL, last).to_numpy())

    return JointDraws(where, averaged("single", RISK), averaged("both", PAIR), averaged("number", HOW_MANY))
