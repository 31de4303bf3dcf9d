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
from riskmodels.vocabulary import COUNTRY, MISSING_KINDS

FloatArray = npt.NDArray[np.float64]

MICRODATA = "microdata"
#: Kinds of missing of children whom a question was not put to.
UNASKED = [MISSING_KINDS.index(kind) for kind in ("not_asked", "not_fielded")]
#: Share of a country's children not asked from which a question counts as filtered; below, as a slip of the fieldwork.
FILTERED_FROM = 0.01


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
    variance, correlation = cell_covariance(totals, clustering, number, local)
    effective = (t_penalty(clustering.degrees[number]) if clustered else 1.0) / variance
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
        weight=(_children_asked(totals, rows, local, weight, w, n) / weight.sum() * children)[keep],
        same_children=number if not ignore_design else cell + 100_000 * number,
    )
    flat = np.flatnonzero(keep.ravel())
    return frame, correlation[np.ix_(flat, flat)]


def _children_asked(
    totals: SurveyTotals,
    rows: npt.NDArray[np.bool_],
    local: npt.NDArray[np.int64],
    weight: FloatArray,
    in_base: FloatArray,
    n: FloatArray,
) -> FloatArray:
    """Weight of the children each cell stands for, per indicator: all of them, or those asked a filtered question.

    Children who were asked and gave no answer are taken to be like the others of their cell.
    """
    inside = local >= 0
    missing = np.zeros((len(weight), len(totals.indicators), len(MISSING_KINDS)))
    np.add.at(missing, local[inside], totals.missing[:, rows][:, inside].transpose(1, 0, 2))
    filtered = missing[..., UNASKED].sum(axis=(0, 2)) > 0
    everyone = np.zeros_like(n)
    np.add.at(
        everyone, local[inside], np.repeat(totals.units.loc[rows, "n"].to_numpy(float)[inside][:, None], n.shape[1], 1)
    )
    asked = everyone - missing[..., UNASKED].sum(axis=2)
    among = in_base * np.divide(asked, n, out=np.ones_like(n), where=n > 0)
    return np.where(filtered[None, :], among, weight[:, None])


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
    return Cells(
        factors=tuple(factors),
        index=np.column_stack(columns),
        n=frame["n"].to_numpy(float),
        n_effective=frame["n_effective"].to_numpy(float),
        yes_effective=frame["yes_effective"].to_numpy(float),
        weight=frame["weight"].to_numpy(float),
        same_children=frame["same_children"].to_numpy(np.int64),
        base=totals.bases[0],
        source=MICRODATA,
        synthetic=totals.synthetic,
        warnings=(*totals.notes, *_bases_that_differ(totals), *_filtered_questions(totals)),
        sampling_correlation=tuple(correlations),
    )


def _bases_that_differ(totals: SurveyTotals) -> list[Problem]:
    """W181: one fit, several denominators."""
    if len(set(totals.bases)) == 1:
        return []
    names = ", ".join(totals.indicators.levels)
    remedy = "give base= to use one denominator for all"
    return [Problem("W181", "indicators with different bases in one fit", names, len(totals.bases), remedy)]


def _filtered_questions(totals: SurveyTotals) -> list[Problem]:
    """W145: questions that only some children were asked speak of these children."""
    country, countries = totals.units[COUNTRY].to_numpy(np.int64), len(totals.factors[0])
    everyone = np.bincount(country, totals.units["n"].to_numpy(float), countries)
    names = []
    for name, missing in zip(totals.indicators.levels, totals.missing, strict=True):
        unasked = np.bincount(country, missing[:, MISSING_KINDS.index("not_asked")], countries)
        if (unasked > FILTERED_FROM * everyone).any():
            names.append(name)
    if not names:
        return []
    what = "questions that only some children were asked: figures are of the children asked"
    return [Problem("W145", what, ", ".join(names), len(names), "say so beside the figure; give no population")]
