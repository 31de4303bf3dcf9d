"""Rows of the skill pathway as arrays: unique item patterns, cells, and what the exposed answered.

A row's likelihood is a sum over skill of the product of what its items say (one vector per item pattern) and of what
everything else says (one vector per combination of cell, exposure, coping and distress). Both kinds of vectors are far
fewer than children, and only combinations of the exposed carry coping and distress.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import sparse

from riskmodels.design.skill_rows import UNKNOWN, SkillRows
from riskmodels.models.skill_spec import SkillPathwaySpec

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SkillArrays:
    """What the likelihood needs of the data.

    Parameters
    ----------
    levels
        Levels per item.
    shifted
        Positions of the items whose thresholds differ by country.
    countries, mediators
        How many countries, and how many ways coping enters distress (1, or one per strategy).
    blocks
        Item patterns by country (one block where no item is shifted): indicator matrices, (patterns, levels of all items).
    cell_country, cell_weight, design
        Cells (country x covariates): country, sum of weights, and centred covariates, shape (cells, columns).
    columns, means
        Names of the covariate columns and the means that were taken off.
    cell_theta
        Skill taken as known, shape (cells, 1); None where it is latent.
    combo_cell
        Cell of every combination of the exposed.
    entry_combo, entry_coping, entry_known, entry_distress
        Complete coping patterns that a combination may stand for, in the order of combinations: coping as 1 or 0, whether
        it was asked, distress level or `UNKNOWN`.
    row_pattern, row_combo, count
        Item pattern, combination (first one per cell for the unexposed, then those of the exposed) and effective children.
    """

    levels: tuple[int, ...]
    shifted: IntArray
    countries: int
    mediators: int
    distress_levels: int
    blocks: tuple[FloatArray, ...]
    cell_country: IntArray
    cell_weight: FloatArray
    design: FloatArray
    columns: tuple[str, ...]
    means: FloatArray
    cell_theta: FloatArray | None
    combo_cell: IntArray
    entry_combo: IntArray
    entry_coping: FloatArray
    entry_known: FloatArray
    entry_distress: IntArray
    row_pattern: IntArray
    row_combo: IntArray
    count: FloatArray

    @property
    def strategies(self) -> int:
        """Number of coping strategies."""
        return self.entry_coping.shape[1]

    @property
    def entry_cell(self) -> IntArray:
        """Cell of every entry."""
        return np.asarray(self.combo_cell[self.entry_combo])

    @property
    def entry_mediators(self) -> FloatArray:
        """How coping enters the distress of every entry, shape (entries, mediators)."""
        return self.entry_coping if self.mediators > 1 else self.entry_coping.max(axis=1, keepdims=True)

    @property
    def sum_combos(self) -> sparse.csr_array:
        """Matrix that sums combinations of the exposed over cells."""
        return _summing(self.combo_cell, len(self.cell_country))

    @property
    def sum_entries(self) -> sparse.csr_array:
        """Matrix that sums entries over combinations."""
        return _summing(self.entry_combo, len(self.combo_cell))


def _summing(into: IntArray, size: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(into)), (into, np.arange(len(into)))), shape=(size, len(into)))


def skill_columns(spec: SkillPathwaySpec, rows: SkillRows) -> tuple[tuple[str, ...], FloatArray]:
    """Names and columns of the covariates, not centred: levels against the first, numbers per scale."""
    names, columns = [], []
    for name in spec.covariates:
        if name in rows.factors:
            for place, label in enumerate(rows.factors[name].labels[1:], start=1):
                names.append(f"{name}: {label}")
                columns.append((rows.values[name] == place).astype(float))
        else:
            centre, scale = spec.numbers.get(name, (0.0, 1.0))
            names.append(name)
            columns.append((rows.values[name] - centre) / scale)
    return tuple(names), np.column_stack(columns) if columns else np.zeros((len(rows), 0))


def _unique(columns: FloatArray) -> tuple[FloatArray, IntArray]:
    found, place = np.unique(columns, axis=0, return_inverse=True)
    return found, np.asarray(place.reshape(-1), dtype=np.int64)


def _entries(combos: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Complete coping patterns each combination may stand for: all of them only where distress is known and coping not."""
    places, patterns, known, distress = [], [], [], []
    for place, (*coping, level) in enumerate(combos[:, 1:].tolist()):
        asked = [answer != UNKNOWN for answer in coping]
        open_ = [(0, 1) if not seen and level != UNKNOWN else (max(answer, 0),) for answer, seen in zip(coping, asked)]
        for pattern in product(*open_):
            places.append(place)
            patterns.append(pattern)
            known.append([seen or level != UNKNOWN for seen in asked])
            distress.append(level)
    width = combos.shape[1] - 2
    shape = (len(places), width)
    return tuple(
        np.array(a, dtype=np.int64).reshape(s)
        for a, s in ((places, (-1,)), (patterns, shape), (known, shape), (distress, (-1,)))
    )  # type: ignore[return-value]


def skill_arrays(rows: SkillRows, spec: SkillPathwaySpec, theta: FloatArray | None = None) -> SkillArrays:
    """Take rows apart into patterns, cells and combinations.

    Parameters
    ----------
    rows, spec
        Data and model.
    theta
        Skill of every row where it is taken as known, as in an analysis of scores; None where it is latent.
    """
    columns, design = skill_columns(spec, rows)
    means = np.average(design, axis=0, weights=rows.weight) if len(columns) else np.zeros(0)
    known = [] if theta is None else [theta]
    cells, cell = _unique(np.column_stack([rows.country, design - means, *known]))
    shifted = np.array(
        [rows.items.index(item) for item in rows.items if item.name in spec.dif and len(rows.countries) > 1],
        dtype=np.int64,
    )
    group = rows.country if len(shifted) else np.zeros(len(rows), dtype=np.int64)
    answers = rows.answers if theta is None else np.full_like(rows.answers, UNKNOWN)
    patterns, pattern = _unique(np.column_stack([group, answers]))
    levels = tuple(len(item) for item in rows.items)
    blocks = []
    for one in range(int(group.max()) + 1):
        own = patterns[patterns[:, 0] == one, 1:]
        blocks.append(
            np.column_stack(
                [(own[:, j] == level).astype(float) for j, size in enumerate(levels) for level in range(size)]
            )
        )
    exposed = rows.exposed == 1
    combos, combo = _unique(np.column_stack([cell, rows.coping, rows.distress])[exposed])
    row_combo = cell.copy()
    row_combo[exposed] = len(cells) + combo
    places, coping, asked, distress = _entries(combos.astype(np.int64))
    keys, row = _unique(np.column_stack([pattern, row_combo]))
    return SkillArrays(
        levels=levels,
        shifted=shifted,
        countries=len(rows.countries),
        mediators=1 if spec.coping_effect == "any" else rows.coping.shape[1],
        distress_levels=len(rows.distress_levels),
        blocks=tuple(blocks),
        cell_country=cells[:, 0].astype(np.int64),
        cell_weight=np.bincount(cell, rows.weight),
        design=cells[:, 1 : 1 + len(columns)],
        columns=columns,
        means=means,
        cell_theta=None if theta is None else cells[:, -1:],
        combo_cell=combos[:, 0].astype(np.int64),
        entry_combo=places,
        entry_coping=coping.astype(float),
        entry_known=asked.astype(float),
        entry_distress=distress,
        row_pattern=keys[:, 0].astype(np.int64),
        row_combo=keys[:, 1].astype(np.int64),
        count=np.bincount(row, rows.counts(spec.weights)),
    )
