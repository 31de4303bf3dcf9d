"""How strong an unmeasured common cause of exposure and distress would have to be to change the conclusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.skill_rows import SkillRows
from riskmodels.errors import InputError, Problem
from riskmodels.estimates.skill_effects import coping_paths
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.fit.skill_fit import fit_skills
from riskmodels.models.skill_spec import SkillPathwaySpec
from riskmodels.vocabulary import DEFAULT_INTERVAL, DEFAULT_PROBABILITY, IntervalKind

FloatArray = npt.NDArray[np.float64]
RHOS = (-0.5, -0.25, 0.0, 0.25, 0.5)


@dataclass(frozen=True, eq=False)
class SelectionSensitivity:
    """Total effect of skill on the distress of exposed children, at some assumed correlations.

    Parameters
    ----------
    table
        The table of `coping_paths` (totals) at every `rho`, with `passed`.
    tipping
        Per level of distress: `rho_of_doubt`, the assumed correlation nearest to 0 at which the interval holds 0, and
        `rho_of_reversal`, at which the estimate is 0; interpolated, NaN where no value within the grid does it.
    """

    table: pd.DataFrame
    tipping: pd.DataFrame


def nearest_zero(rho: FloatArray, values: FloatArray) -> float:
    """Point nearest to ``rho = 0`` at which `values` changes sign, by straight lines between points; NaN where none does."""
    found = []
    for left in range(len(rho) - 1):
        low, high = values[left], values[left + 1]
        if low == 0:
            found.append(rho[left])
        elif low * high < 0:
            found.append(rho[left] - low * (rho[left + 1] - rho[left]) / (high - low))
    if len(values) and values[-1] == 0:
        found.append(rho[-1])
    return float(min(found, key=abs)) if found else float("nan")


def selection_sensitivity(
    rows: SkillRows,
    spec: SkillPathwaySpec,
    rhos: Sequence[float] = RHOS,
    *,
    sampler: SamplerSpec | None = None,
    step: float = 1.0,
    probability: float = DEFAULT_PROBABILITY,
    interval: IntervalKind = DEFAULT_INTERVAL,
    progress: Progress = no_progress,
) -> SelectionSensitivity:
    """Refit under an unmeasured cause that exposure and distress share, of several assumed strengths.

    Distress is seen only among exposed children. If something unmeasured (time online, risk taking) makes children both
    more exposed and more distressed, exposed children of low skill differ from those of high skill in that cause too, and
    the effect of skill on distress is biased. The data cannot say how strong it is; the reader must judge.

    Parameters
    ----------
    rows, spec
        Data and model; the specification's own `rho` is not used.
    rhos
        Assumed correlations of the liabilities of exposure and distress, given skill and covariates. All are checked
        before the first fit.
    sampler, progress
        As in `fit_skills`.
    step, probability, interval
        As in `coping_paths`.

    Returns
    -------
    SelectionSensitivity
        Read `tipping` first.

    Raises
    ------
    InputError
        E195 for correlations that are impossible or too few.

    References
    ----------
    Heckman 1979, Econometrica 47, 153-161; Copas & Li 1997, Journal of the Royal Statistical Society B 59, 55-95.
    """
    grid = tuple(sorted(set(rhos)))
    if len(grid) < 2:
        raise InputError(
            [Problem("E195", "a sensitivity needs several values", "rhos", len(grid), "give two or more")], "rhos"
        )
    specs = [replace(spec, rho=float(rho)) for rho in grid]
    frames = []
    for done, one in enumerate(specs):
        progress("sensitivity", done, len(specs))
        fit = fit_skills(rows, one, sampler)
        found = coping_paths(fit, step=step, probability=probability, interval=interval)
        frames.append(found.table[found.table["path"] == "total"].assign(rho=one.rho, passed=found.passed))
    progress("sensitivity", len(specs), len(specs))
    table = pd.concat(frames, ignore_index=True)
    rows_of = []
    for outcome, part in table.groupby("outcome", sort=False):
        rho, low, high = (part[name].to_numpy(float) for name in ("rho", "low", "high"))
        inside = np.maximum(low, -high)  # above 0 where the interval lies on one side of 0
        rows_of.append(
            {
                "outcome": outcome,
                "rho_of_doubt": nearest_zero(rho, inside),
                "rho_of_reversal": nearest_zero(rho, part["estimate"].to_numpy(float)),
            }
        )
    return SelectionSensitivity(table, pd.DataFrame(rows_of))
