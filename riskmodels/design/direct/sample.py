"""Rows of a sample, checked and numbered: weights, strata, PSUs, domains, replicate weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskmodels.design.direct.records import FloatArray, IntArray, LonelyPsu
from riskmodels.design.direct.replicates import ReplicateWeights, check_replicates
from riskmodels.design.direct.units import SOURCE, Labels, Units, check_labels, check_policy, codes_of, locate_units
from riskmodels.errors import Problem, raise_if_stopping

#: Anything with one number per row; NaN: no answer that counts.
Numbers = Sequence[float] | npt.NDArray[Any] | pd.Series

EVERYBODY = pd.Index(["all"], name="domain")


@dataclass(frozen=True, eq=False)
class Sample:
    """The whole sample, one entry per child.

    Parameters
    ----------
    weight
        Survey weight.
    units
        Strata and PSUs.
    domain, domains
        Index of each child's domain (-1: none), and the domains.
    country
        Index of each child's country.
    replicates
        Replicate weights, where the variance comes from them.
    """

    weight: FloatArray
    units: Units
    domain: IntArray
    domains: pd.Index
    country: IntArray
    replicates: ReplicateWeights | None = None


def numbers_of(values: Numbers, name: str) -> tuple[FloatArray, list[Problem]]:
    """Read as float64, missing values of any kind as NaN; never the caller's own memory.

    Returns
    -------
    tuple
        The numbers, and E163 where something is text (which no message repeats); the numbers are NaN then.
    """
    try:
        return np.array(pd.Series(values).astype("Float64").to_numpy(np.float64, na_value=np.nan)), []
    except (ValueError, TypeError):
        text = int(pd.Series(values).map(lambda value: isinstance(value, str)).sum())
        problem = Problem("E163", "text where a number belongs", name, text, "code the answers as numbers first")
        return np.full(len(values), np.nan), [problem]


def check_weights(weight: FloatArray, where: str = "weight") -> list[Problem]:
    """E110, E111, E112: negative, all zero, missing or infinite weights."""
    negative, unknown = int((weight < 0).sum()), int((~np.isfinite(weight)).sum())
    problems = []
    if negative:
        problems.append(Problem("E110", "negative weights", where, negative, "weights must be zero or more"))
    if unknown:
        problems.append(Problem("E112", "missing or infinite weights", where, unknown, "fill them in or drop the rows"))
    if not negative and not unknown and not (weight > 0).any():
        problems.append(Problem("E111", "all weights are zero", where, len(weight), "read another weight column"))
    return problems


def check_numbers(name: str, values: FloatArray, rows: int) -> list[Problem]:
    """E151, E163: another number of rows than the weights; infinite values."""
    if len(values) != rows:
        return [
            Problem("E151", "a column has another number of rows than the weights", name, len(values), "align them")
        ]
    infinite = int(np.isinf(values).sum())
    return [Problem("E163", "infinite values", name, infinite, "code them as missing")] if infinite else []


def check_binary(values: FloatArray) -> list[Problem]:
    """E160: answers that are neither 0, nor 1, nor missing."""
    other = int((~np.isnan(values) & (values != 0) & (values != 1)).sum())
    what = "answers other than 0 (no), 1 (yes) or missing"
    remedy = "code 1 for affected, 0 for not, missing for outside the base"
    return [Problem("E160", what, "y", other, remedy)] if other else []


def domains_of(domain: Labels | pd.DataFrame | None, rows: int) -> tuple[IntArray, pd.Index]:
    """Number the domains: all levels of a Categorical in their order, else those found, sorted; -1 where missing.

    Of a frame of factors, the combinations found, in the order of their levels.
    """
    if domain is None:
        return np.zeros(rows, np.int64), EVERYBODY
    if not isinstance(domain, pd.DataFrame):
        code, labels = codes_of(domain)
        return code, labels.rename(getattr(domain, "name", None) or "domain")
    coded = [codes_of(domain[name]) for name in domain.columns]
    codes = np.stack([code for code, _ in coded], axis=1)
    known = (codes >= 0).all(axis=1)
    found, place = np.unique(codes[known], axis=0, return_inverse=True)
    row_domain = np.full(rows, -1, np.int64)
    row_domain[known] = place.ravel()
    levels = [labels[found[:, column]] for column, (_, labels) in enumerate(coded)]
    return row_domain, pd.MultiIndex.from_arrays(levels, names=list(domain.columns))


def read_sample(
    weight: Numbers,
    stratum: Labels | None,
    psu: Labels | None,
    domain: Labels | pd.DataFrame | None,
    country: Labels | None,
    lonely_psu: LonelyPsu,
    replicates: ReplicateWeights | None,
    problems: Sequence[Problem] = (),
) -> Sample:
    """Check and number the columns of a sample.

    Parameters
    ----------
    weight, stratum, psu, domain, country, lonely_psu, replicates
        As in `direct_proportion`.
    problems
        What has been found before, raised together with what is found here.

    Raises
    ------
    InputError
        Every problem of the weights, labels and replicate weights at once; then E120 and E121 of `locate_units`.
    """
    weights, found = numbers_of(weight, "weight")
    rows = len(weights)
    found = [*problems, *(found or check_weights(weights)), *check_policy(lonely_psu)]
    found += check_labels({"country": country, "stratum": stratum, "psu": psu}, rows)
    if domain is not None and len(domain) != rows:
        found.append(
            Problem("E151", "a column has another number of rows than the others", "domain", len(domain), "align them")
        )
    if replicates is not None:
        found += check_replicates(replicates, rows)
        if stratum is not None or psu is not None:
            what = "strata or PSUs given beside replicate weights"
            found.append(Problem("E195", what, "replicates", 1, "give one of them: replicate weights hold the design"))
    raise_if_stopping(found, SOURCE)
    if replicates is None:
        units = locate_units(country, stratum, psu, rows, lonely_psu)
    else:
        units = locate_units(country, None, None, rows, "certainty")
    code, domains = domains_of(domain, rows)
    country_code = np.zeros(rows, np.int64) if country is None else codes_of(country)[0]
    return Sample(weights, units, code, domains, country_code, replicates)
