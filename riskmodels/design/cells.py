"""Cells: counts of children per combination of factors, all that any model ever sees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.provenance import hash_record
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY, INDICATOR, Base

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Collapsed survey: one entry per country x subgroup x indicator.

    Parameters
    ----------
    factors
        The factors that define a cell, country first, indicator last.
    index
        Level positions, shape (cells, factors).
    n
        Unweighted children in the base; NaN where a publisher printed none.
    n_effective, yes_effective
        Effective number of children and of affected children after the design effect; not whole numbers.
    weight
        Weight total of the cell, the default poststratification weight.
    same_children
        Cells with the same number hold answers of the same children (several indicators asked of them).
    base
        ``"all asked"`` or ``"valid answers"``.
    source
        ``"published aggregates"`` or ``"microdata"``.
    synthetic
        Whether the counts were simulated.
    warnings
        What was noticed while reading, for the report.
    sampling_correlation
        From microdata: correlation of the sampling errors of the cells with the same number in `same_children`, one
        matrix per number in rising order, cells in their order. Empty where only an assumption can be made.
    """

    factors: tuple[Factor, ...]
    index: IntArray
    n: FloatArray
    n_effective: FloatArray
    yes_effective: FloatArray
    weight: FloatArray
    same_children: IntArray
    base: Base
    source: str
    synthetic: bool = False
    warnings: tuple[Problem, ...] = field(default=())
    sampling_correlation: tuple[FloatArray, ...] = ()

    def __post_init__(self) -> None:
        """Hold every array read-only and refuse impossible counts."""
        for name in ("index", "n", "n_effective", "yes_effective", "weight", "same_children"):
            array = np.array(getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        problems = [
            Problem("E180", what, "cells", int(bad.sum()), remedy)
            for what, bad, remedy in (
                (
                    "effective n is not positive and finite",
                    ~(np.isfinite(self.n_effective) & (self.n_effective > 0)),
                    "drop cells without respondents",
                ),
                (
                    "effective cases lie outside 0 to effective n",
                    ~((self.yes_effective >= -1e-9) & (self.yes_effective <= self.n_effective * (1 + 1e-9))),
                    "check numerators",
                ),
                (
                    "effective n exceeds n",
                    self.n_effective > self.n * (1 + 1e-9),
                    "a design effect below 1 cannot be used",
                ),
                (
                    "weight totals are negative or not finite",
                    ~(np.isfinite(self.weight) & (self.weight >= 0)),
                    "weights must be positive",
                ),
            )
            if bad.any()
        ]
        problems += self._correlation_problems()
        empty = [
            factor.name
            for place, factor in enumerate(self.factors)
            if len(self) and len(np.unique(self.index[:, place])) < len(factor)
        ]
        if empty:
            problems.append(
                Problem(
                    "E145",
                    "a factor declares levels that no cell has",
                    ", ".join(empty),
                    len(empty),
                    "declare only the levels that occur",
                )
            )
        if len(self) and not self._groups_hold_the_same_children():
            problems.append(
                Problem(
                    "E150",
                    "cells said to hold the same children differ in more than the indicator",
                    "same_children",
                    1,
                    "number the groups of children across countries and subgroups",
                )
            )
        if len(self) == 0:
            problems.append(
                Problem(
                    "E101", "no cell is left", "cells", 0, "check the selection of indicators, countries and subgroups"
                )
            )
        elif len(np.unique(self.index, axis=0)) != len(self.index):
            problems.append(
                Problem(
                    "E150",
                    "the same combination of levels stands twice",
                    "cells",
                    len(self.index) - len(np.unique(self.index, axis=0)),
                    "collapse duplicates first",
                )
            )
        if problems:
            raise InputError(problems, "cells")

    def _correlation_problems(self) -> list[Problem]:
        """Sampling correlations that do not fit the cells."""
        if not self.sampling_correlation:
            return []
        sizes = np.unique(self.same_children, return_counts=True)[1]
        fits = len(sizes) == len(self.sampling_correlation) and all(
            matrix.shape == (size, size) and np.isfinite(matrix).all() and np.allclose(np.diagonal(matrix), 1)
            for matrix, size in zip(self.sampling_correlation, sizes, strict=True)
        )
        what = "sampling correlations do not match the groups of cells"
        return [] if fits else [Problem("E180", what, "sampling_correlation", len(sizes), "give one matrix per group")]

    def _groups_hold_the_same_children(self) -> bool:
        """Whether groups of children have one level of each factor but indicator (of country: groups that share PSUs)."""
        shared = (COUNTRY,) if self.sampling_correlation else tuple(name for name in self.names if name != INDICATOR)
        others = [place for place, factor in enumerate(self.factors) if factor.name in shared]
        described = np.unique(np.column_stack([self.same_children, self.index[:, others]]), axis=0)
        return len(described) == len(np.unique(self.same_children))

    def __len__(self) -> int:
        """Give the number of cells."""
        return len(self.n)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors."""
        return tuple(factor.name for factor in self.factors)

    @property
    def subgroups(self) -> tuple[str, ...]:
        """Names of the factors other than country and indicator."""
        return tuple(name for name in self.names if name not in (COUNTRY, INDICATOR))

    def factor(self, name: str) -> Factor:
        """Look a factor up by name."""
        return self.factors[self.names.index(name)]

    def position(self, name: str) -> IntArray:
        """Level position of every cell in one factor."""
        return self.index[:, self.names.index(name)]

    @property
    def direct(self) -> FloatArray:
        """Direct estimate of every cell, a proportion."""
        return np.asarray(self.yes_effective / self.n_effective)

    def frame(self, labels: bool = True) -> pd.DataFrame:
        """Tidy table of the cells: factors, n, effective n, direct estimate.

        Parameters
        ----------
        labels
            Show words instead of codes.
        """
        columns: dict[str, object] = {}
        for factor in self.factors:
            shown = factor.labels if labels else factor.levels
            columns[factor.name] = [shown[i] for i in self.position(factor.name)]
        return pd.DataFrame({**columns, "n": self.n, "n_effective": self.n_effective, "direct": self.direct})

    def __repr__(self) -> str:
        """Say what it is in a line; counts are asked for by name."""
        brand = "SYNTHETIC, " if self.synthetic else ""
        sizes = " x ".join(f"{len(factor)} {factor.name}" for factor in self.factors)
        return f"Cells({brand}{len(self)} of {sizes}; base: {self.base}; from {self.source})"

    def _repr_html_(self) -> str:
        banner = "<p><strong>SYNTHETIC DATA</strong></p>" if self.synthetic else ""
        head = f"<p>{len(self)} cells from {self.source}; base: {self.base}</p>"
        return banner + head + self.frame().head(20).to_html(index=False, float_format=lambda value: f"{value:.3g}")

    def select(self, **levels: Sequence[str]) -> Cells:
        """Keep only some levels of some factors; factors keep the order given.

        Examples
        --------
        >>> import riskmodels as rm
        >>> cells = rm.load_pack("disrupting-harm").cells(base="all asked")
        >>> len(cells.select(country=["KEN", "UGA"]))
        18
        """
        keep = np.ones(len(self), dtype=bool)
        factors = {factor.name: factor for factor in self.factors}
        for name, wanted in levels.items():
            if name not in factors:
                raise InputError(
                    [Problem("E132", f"no factor {name}", "selection", 1, f"choose among {', '.join(self.names)}")],
                    "cells",
                )
            unknown = [level for level in wanted if level not in factors[name].levels]
            if unknown:
                raise InputError(
                    [
                        Problem(
                            "E145",
                            f"levels of {name} not in the cells",
                            ", ".join(unknown),
                            len(unknown),
                            "check the spelling of the codes",
                        )
                    ],
                    "cells",
                )
            old = factors[name]
            factors[name] = Factor(name, tuple(wanted), tuple(old.label_of(level) for level in wanted))
            keep &= np.isin(self.position(name), old.codes(wanted))
        recoded = []
        for factor in self.factors:
            present = [factor.levels[i] for i in self.position(factor.name)[keep]]
            recoded.append(factors[factor.name].codes(present))
        index = np.column_stack(recoded) if recoded else self.index[keep]
        parts = {
            name: getattr(self, name)[keep] for name in ("n", "n_effective", "yes_effective", "weight", "same_children")
        }
        return replace(
            self,
            factors=tuple(factors[factor.name] for factor in self.factors),
            index=index,
            sampling_correlation=self._correlation_of(keep),
            **parts,
        )

    def _correlation_of(self, keep: npt.NDArray[np.bool_]) -> tuple[FloatArray, ...]:
        """Sampling correlations of only some of the cells."""
        found = []
        for number, matrix in zip(np.unique(self.same_children), self.sampling_correlation, strict=False):
            kept = keep[self.same_children == number]
            if kept.any():
                found.append(matrix[np.ix_(kept, kept)])
        return tuple(found)

    def record(self) -> Mapping[str, object]:
        """Everything that decides the numbers, for hashing."""
        factors = [[factor.name, list(factor.levels)] for factor in self.factors]
        arrays = {
            name: getattr(self, name)
            for name in ("index", "n", "n_effective", "yes_effective", "weight", "same_children")
        }
        for number, matrix in enumerate(self.sampling_correlation):
            arrays[f"sampling_correlation_{number}"] = matrix
        return {
            "factors": json.dumps(factors),
            "base": self.base,
            "source": self.source,
            "synthetic": self.synthetic,
            **arrays,
        }

    @property
    def content_hash(self) -> str:
        """Equal for equal cells."""
        return hash_record(self.record())


def cells_from_frame(
    frame: pd.DataFrame,
    factors: Sequence[Factor],
    *,
    base: Base,
    source: str,
    synthetic: bool = False,
    warnings: Sequence[Problem] = (),
) -> Cells:
    """Make cells from a tidy frame of counts.

    Parameters
    ----------
    frame
        One row per cell: a column of level codes per factor, and `n_effective`, `yes_effective`; optional `n`
        (NaN where missing), `weight` (defaults to `n`, else effective n), `same_children` (defaults to one
        group of children per combination of the factors other than indicator).
    factors
        Declared factors; country first, indicator last.
    base, source, synthetic, warnings
        As in `Cells`.
    """
    problems = []
    for factor in factors:
        unknown = ~frame[factor.name].astype(str).isin(factor.levels)
        if unknown.any():
            problems.append(
                Problem(
                    "E145",
                    "values that are not among the declared levels",
                    factor.name,
                    int(unknown.sum()),
                    "declare every level, or leave these rows out",
                )
            )
    raise_if_stopping(problems, "cells")
    index = np.column_stack([factor.codes(frame[factor.name].astype(str)) for factor in factors])
    n = frame["n"].to_numpy(float) if "n" in frame else np.full(len(frame), np.nan)
    n_effective = frame["n_effective"].to_numpy(float)
    weight = frame["weight"].to_numpy(float) if "weight" in frame else np.where(np.isnan(n), n_effective, n)
    if "same_children" in frame:
        same_children = frame["same_children"].to_numpy(np.int64)
    else:
        others = [i for i, factor in enumerate(factors) if factor.name != INDICATOR]
        same_children = (
            np.unique(index[:, others], axis=0, return_inverse=True)[1].reshape(-1)
            if others
            else np.zeros(len(frame), dtype=np.int64)
        )
    return Cells(
        factors=tuple(factors),
        index=index,
        n=n,
        n_effective=n_effective,
        yes_effective=frame["yes_effective"].to_numpy(float),
        weight=weight,
        same_children=same_children,
        base=base,
        source=source,
        synthetic=synthetic,
        warnings=tuple(warnings),
    )
