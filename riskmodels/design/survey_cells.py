"""Totals of a survey to cells: effective numbers that are as uncertain as the sampling design says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.cells import Cells
from riskmodels.design.sampling import Clustering, cell_covariance, measure_clustering, t_penalty
from riskmodels.design.totals import NO_LEVEL, SurveyTotals
from riskmodels.errors import InputError, Problem
from riskmodels.survey.factors import Factor
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]

MICRODATA = "microdata"


def _domains(totals: SurveyTotals) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Subgroup of every row of the totals (-1 where a level is missing), and the levels of each subgroup."""
    names = [factor.name for factor in totals.factors]
    positions = totals.units[names].to_numpy(np.int64)
    whole = (positions != NO_LEVEL).all(axis=1)
    levels, place = np.unique(positions[whole], axis=0, return_inverse=True)
    domain = np.full(len(positions), NO_LEVEL)
    domain[whole] = place.reshape(-1)
    return domain, levels


def cells_of_survey(totals: SurveyTotals, *, ignore_design: bool = False) -> Cells:
    """Turn totals into the cells that models are fitted to.

    Parameters
    ----------
    totals
        What `collapse` gave.
    ignore_design
        Take children as a simple random sample: unweighted counts, no clusters. Only to show what that does.

    Returns
    -------
    Cells
        Per country x subgroup x indicator: unweighted n, effective n and cases, weight total (mean 1 per child within
        a country, so that no country's weights decide its influence on others). Cells of one country carry the
        correlation of their sampling errors: through children who answered several questions and through shared PSUs.

    Raises
    ------
    InputError
        E101 where no cell has an answer.
    """
    domain, levels = _domains(totals)
    if not len(levels):
        raise InputError(
            [Problem("E101", "no child has a level of every factor", "by", 0, "check the variables asked for")],
            "survey",
        )
    clustering = measure_clustering(totals)
    weights = totals.units[["w", "w2"]].to_numpy(float)
    country = totals.units[COUNTRY].to_numpy(np.int64)
    frames, correlations = [], []
    for number in range(len(totals.factors[0])):
        rows = country == number
        frame, correlation = _country_cells(totals, clustering, number, domain, levels, weights, rows, ignore_design)
        frames.append(frame)
        correlations.append(correlation)
    return _assembled(totals, pd.concat(frames, ignore_index=True), [] if ignore_design else correlations)


def _country_cells(
    totals: SurveyTotals,
    clustering: Clustering,
    number: int,
    domain: npt.NDArray[np.int64],
    levels: npt.NDArray[np.int64],
    weights: FloatArray,
    rows: npt.NDArray[np.bool_],
    ignore_design: bool,
) -> tuple[pd.DataFrame, FloatArray]:
    """Cells of one country, and the correlation of their sampling errors."""
    own = np.unique(domain[rows & (domain >= 0)])
    local = np.searchsorted(own, domain[rows])
    local = np.where(domain[rows] >= 0, local, NO_LEVEL)
    size, count = len(totals.indicators), len(own)
    inside = local >= 0
    sums = np.zeros((count, size, 6))
    np.add.at(sums, local[inside], totals.sums[:, rows][:, inside].transpose(1, 0, 2))
    n, yes, w, wy, _, _ = np.moveaxis(sums, -1, 0)
    weight = np.bincount(local[inside], weights[rows][inside, 0], count)
    children = totals.units.loc[rows, "n"].to_numpy(float)[inside].sum()
    clustered = totals.has_psu or totals.replicate_variance is not None
    variance, correlation = cell_covariance(totals, clustering, number, local, weights[rows])
    # A question that some children of a cell did not answer has fewer children than the cell.
    answered = np.divide(w, weight[:, None], out=np.zeros_like(w), where=weight[:, None] > 0)
    effective = answered / variance * (t_penalty(clustering.degrees[number]) if clustered else 1.0)
    effective = np.minimum(n if ignore_design else effective, n)
    share = np.divide(yes if ignore_design else wy, n if ignore_design else w, out=np.zeros_like(w), where=w > 0)
    keep = (n > 0) & (w > 0)
    cell, item = np.nonzero(keep)
    frame = pd.DataFrame({factor.name: levels[own[cell], place] for place, factor in enumerate(totals.factors)})
    frame = frame.assign(
        item=item,
        n=n[keep],
        n_effective=effective[keep],
        yes_effective=(share * effective)[keep],
        weight=(weight / weight.sum() * children)[cell],
        same_children=number if not ignore_design else cell + 100_000 * number,
    )
    flat = np.flatnonzero(keep.ravel())
    return frame, correlation[np.ix_(flat, flat)]


def _assembled(totals: SurveyTotals, frame: pd.DataFrame, correlations: list[FloatArray]) -> Cells:
    """Make cells, with factors that hold only the levels that occur."""
    factors, columns = [], []
    for factor, column in [
        *((factor, frame[factor.name]) for factor in totals.factors),
        (totals.indicators, frame["item"]),
    ]:
        used = np.unique(column)
        factors.append(
            Factor(factor.name, tuple(factor.levels[k] for k in used), tuple(factor.labels[k] for k in used))
        )
        columns.append(np.searchsorted(used, column))
    base = totals.bases[0]
    mixed = len(set(totals.bases)) > 1
    notes = totals.notes + (
        (
            Problem(
                "W181",
                "indicators with different bases in one fit",
                ", ".join(totals.indicators.levels),
                len(totals.bases),
                "give base= to use one denominator for all",
            ),
        )
        if mixed
        else ()
    )
    return Cells(
        factors=tuple(factors),
        index=np.column_stack(columns),
        n=frame["n"].to_numpy(float),
        n_effective=frame["n_effective"].to_numpy(float),
        yes_effective=frame["yes_effective"].to_numpy(float),
        weight=frame["weight"].to_numpy(float),
        same_children=frame["same_children"].to_numpy(np.int64),
        base=base,
        source=MICRODATA,
        synthetic=totals.synthetic,
        warnings=notes,
        sampling_correlation=tuple(correlations),
    )
