"""Survey to the score totals of a regression: what PSUs within strata, or replicate weights, say of its sampling error.

The rows of a regression forget who was sampled together. Here the children who answered the outcome and every predictor
are summed once more, per country, stratum, PSU and row of the regression; PSUs without such a child count too, since
the design is that of everybody asked. From then on the covariance of a country's score, the weighted sum of
``(y - p) x`` over its children, needs no child: PSU totals are sums of a few entries, for any coefficients. Where the
survey declares no PSUs each child is its own, and sums of squared weights of the affected and of the others suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from riskmodels.design.coding import PSU, STRATUM, WEIGHT, coded_select, quoted
from riskmodels.design.collapse import base_codes, not_fielded_in
from riskmodels.design.direct import ReplicateWeights
from riskmodels.design.direct.replicates import check_replicates, factors, replicate_rank
from riskmodels.design.direct.units import Strata, check_labels, locate_strata, locate_units, settle
from riskmodels.design.regression_rows import RegressionRows
from riskmodels.design.survey_factors import check_names
from riskmodels.errors import InputError, Problem, raise_if_stopping
from riskmodels.provenance import hash_record
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.readers import reading
from riskmodels.survey.source import SourceTable
from riskmodels.vocabulary import COUNTRY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Units = Literal["PSUs", "children", "replicates"]

#: Weighted sums may differ by this share from those of the rows before the data count as changed.
SAME_WEIGHTS = 1e-6
#: Column that no variable is named like.
ROW = ":row of the regression"


@dataclass(frozen=True, eq=False, kw_only=True)
class RegressionClusters:
    """The children of a regression's rows, summed per PSU and row, or per replicate and row.

    Weights are those of the rows: mean 1 per child within a country.

    Parameters
    ----------
    units
        What was drawn independently: ``"PSUs"``; ``"children"`` where none are declared; or ``"replicates"``.
    rows
        Number of rows of the regression.
    countries
        Number of countries.
    row, unit
        Row of the regression and PSU of every entry (stratum, where children are the units).
    yes, other
        Sums of weights of the affected and of the others per entry; for replicates per row and replicate.
    yes_squared, other_squared
        Sums of squared weights, where children are the units; else empty.
    strata, stratum
        Strata of the whole sample, and the stratum of every PSU.
    full_yes, full_other
        The same sums under the full weights per row, for replicates; else empty.
    factor
        Factor of every replicate in the variance; else empty.
    degrees
        Degrees of freedom per country: PSUs minus strata among those with such children, or the rank of the replicate
        weights minus 1.
    """

    units: Units
    rows: int
    countries: int
    row: IntArray
    unit: IntArray
    yes: FloatArray
    other: FloatArray
    yes_squared: FloatArray
    other_squared: FloatArray
    strata: Strata
    stratum: IntArray
    full_yes: FloatArray
    full_other: FloatArray
    factor: FloatArray
    degrees: FloatArray

    def __repr__(self) -> str:
        """Say what it is, never what is in it."""
        return f"RegressionClusters({self.units} of {self.countries} countries, {self.degrees.sum():,.0f} degrees of freedom)"

    @property
    def content_hash(self) -> str:
        """Equal for equal sums and designs."""
        names = ("row", "unit", "yes", "other", "yes_squared", "other_squared", "stratum", "factor", "degrees")
        record: dict[str, object] = {name: getattr(self, name) for name in names}
        strata = {"country": self.strata.country, "psus": self.strata.psus, "policy": self.strata.lonely_psu}
        return hash_record({**record, **strata, "units": self.units})


def regression_clusters(
    codebook: Codebook, source: SourceTable, outcome: str, rows: RegressionRows
) -> RegressionClusters:
    """Sum the children of a regression's rows per PSU, or per replicate weight.

    Parameters
    ----------
    codebook, source
        The study that `rows` were made of.
    outcome
        Indicator.
    rows
        Rows of the regression, from `regression_rows`; also those of a fit that exists (``fit.rows``).

    Returns
    -------
    RegressionClusters
        For `score_covariance.score_covariance` and `fit.design_adjustment.design_adjusted`; read `units` to see what the codebook
        declares, and `degrees` for how much each country says about its sampling error.

    Raises
    ------
    InputError
        E123 where the codebook declares neither weights nor strata, PSUs or replicate weights; E132 for unknown names;
        E151 where the survey is not the one that the rows were made of; E120, E121, E122 (strata and PSUs); E110,
        E112, E132, E195 (replicate weights).

    Examples
    --------
    >>> import riskmodels as rm
    >>> from riskmodels.design.regression_clusters import regression_clusters
    >>> from riskmodels.design.regression_rows import regression_rows
    >>> survey = rm.load_study("data/synthetic/invented/study.toml").survey
    >>> rows = regression_rows(survey.codebook, survey.source, "any_risk", ["gender"])
    >>> regression_clusters(survey.codebook, survey.source, "any_risk", rows).units
    'PSUs'
    """
    check_names(codebook, [outcome], [])
    design = codebook.design
    if design.weight is None and design.stratum is None and design.psu is None and design.replicates is None:
        remedy = "declare weight, strata, PSUs or replicate weights in [design], or leave the fit as it is"
        raise InputError(
            [Problem("E123", "the codebook declares no sampling design", "[design]", 1, remedy)], codebook.study_id
        )
    table = _coded(codebook, source, outcome, rows)
    if design.replicates is not None:
        return _of_replicates(codebook, table, outcome, rows)
    return _of_units(codebook, table, outcome, rows)


def _coded(codebook: Codebook, source: SourceTable, outcome: str, rows: RegressionRows) -> pd.DataFrame:
    """Coded children of the rows' countries: one by one with replicate weights, else counted; `row` -1 outside."""
    design = codebook.design
    names = [outcome, *rows.values]
    keys = [COUNTRY, *names]
    carried: tuple[str, ...] = ()
    if design.replicates is not None:
        carried = design.replicates.columns
    else:
        keys += [alias for alias, column in ((STRATUM, design.stratum), (PSU, design.psu)) if column]
    with reading(source), source.connect() as connection:
        fielded = not_fielded_in(connection, codebook, source, [n for n in names if n not in codebook.scales])
        statement = coded_select(codebook, source, names, fielded, carried=carried)
        if not carried:
            listed, weight = ", ".join(quoted(key) for key in keys), quoted(WEIGHT)
            statement = (
                f"SELECT {listed}, count(*) AS children, sum({weight}) AS total, sum({weight} * {weight}) AS squares "
                f"FROM ({statement}) GROUP BY {listed} ORDER BY ALL"
            )
        table = connection.execute(statement).df()
    if carried:
        table = table.assign(children=1, total=table[WEIGHT], squares=table[WEIGHT] ** 2)
    table = table[table[COUNTRY].isin(rows.countries.levels)].reset_index(drop=True)
    return table.assign(**{ROW: _row_of(codebook, table, outcome, rows)})


def _row_of(codebook: Codebook, table: pd.DataFrame, outcome: str, rows: RegressionRows) -> IntArray:
    """Row of the regression that every entry belongs to; -1 outside the base or without every predictor."""
    known = pd.DataFrame({COUNTRY: np.array(rows.countries.levels, dtype=object)[rows.country]})
    for name, values in rows.values.items():
        if name in rows.factors:
            declared = list(codebook.variables[name].factor.levels)
            codes = np.array([declared.index(level) for level in rows.factors[name].levels], dtype=float)
            known[name] = codes[values.astype(np.int64)]
        else:
            known[name] = values
    keys = [COUNTRY, *rows.values]
    found = table[keys].astype(dict.fromkeys(rows.values, float)).astype({COUNTRY: object})
    place = found.merge(known.assign(**{ROW: np.arange(len(known))}), on=keys, how="left")[ROW].to_numpy(float)
    inside = table[outcome].isin(base_codes(rows.base)).to_numpy() & np.isfinite(place)
    return np.where(inside, np.nan_to_num(place, nan=-1.0), -1).astype(np.int64)


def _sums(table: pd.DataFrame, outcome: str, rows: RegressionRows) -> tuple[pd.DataFrame, FloatArray]:
    """Entries inside the rows with weights of mean 1 and whether they are affected; E151 if they are not the rows'."""
    inside = table[table[ROW] >= 0].reset_index(drop=True)
    row, yes = inside[ROW].to_numpy(), (inside[outcome] == 1).to_numpy(dtype=np.float64)
    children = inside["children"].to_numpy(float)
    count = np.bincount(row, children, len(rows)), np.bincount(row, children * yes, len(rows))
    totals = np.bincount(rows.country[row], inside["total"], len(rows.countries))
    with np.errstate(all="ignore"):
        scale = np.bincount(rows.country, rows.n, len(rows.countries)) / totals
        weight = np.bincount(row, inside["total"] * scale[rows.country[row]], len(rows))
    same = np.array_equal(count[0], rows.n) and np.array_equal(count[1], rows.yes)
    if not same or not np.allclose(weight, rows.weight, rtol=SAME_WEIGHTS):
        what, remedy = "the survey is not the one that was fitted", "give the survey that the fit was made of"
        raise InputError([Problem("E151", what, "source", len(inside), remedy)], "design adjustment")
    own = scale[rows.country[row]]
    weighted = inside.assign(total=inside["total"] * own, squares=inside["squares"] * own**2)
    return weighted, np.asarray(yes, dtype=np.float64)


def _of_units(codebook: Codebook, table: pd.DataFrame, outcome: str, rows: RegressionRows) -> RegressionClusters:
    country = pd.Series(pd.Categorical(table[COUNTRY], categories=pd.Index(rows.countries.levels)))
    labels = table.get(STRATUM)
    policy = codebook.design.lonely_psu
    inside, yes = _sums(table, outcome, rows)
    held = (table[ROW] >= 0).to_numpy()
    if PSU in table:
        found = locate_units(country, labels, table[PSU], len(table), policy)
        strata, stratum, unit = found.strata, found.stratum, found.row_unit[held]
        drawn = np.unique(unit[inside["total"].to_numpy() > 0])
        psus, in_strata = stratum[drawn], np.unique(stratum[drawn])
        degrees = np.bincount(strata.country[psus], minlength=len(rows.countries)).astype(float)
    else:
        raise_if_stopping(check_labels({"country": country, "stratum": labels}, len(table)), "design adjustment")
        of_row, of_country, names = locate_strata(country, labels, len(table))
        psus_in = np.bincount(of_row, table["children"], len(of_country)).astype(np.int64)
        strata, group = settle(Strata(of_country, psus_in, names, policy))
        stratum, unit = np.arange(len(strata)), group[of_row][held]
        in_strata = np.unique(unit)
        degrees = np.bincount(rows.country[inside[ROW]], inside["children"], len(rows.countries))
    degrees = degrees - np.bincount(strata.country[in_strata], minlength=len(rows.countries))
    by_child, empty = PSU not in table, np.zeros(0)
    return RegressionClusters(
        units="children" if by_child else "PSUs",
        rows=len(rows),
        countries=len(rows.countries),
        row=inside[ROW].to_numpy(np.int64),
        unit=np.asarray(unit, dtype=np.int64),
        yes=inside["total"].to_numpy(float) * yes,
        other=inside["total"].to_numpy(float) * (1 - yes),
        yes_squared=inside["squares"].to_numpy(float) * yes if by_child else empty,
        other_squared=inside["squares"].to_numpy(float) * (1 - yes) if by_child else empty,
        strata=strata,
        stratum=stratum,
        full_yes=empty,
        full_other=empty,
        factor=empty,
        degrees=degrees,
    )


def _of_replicates(codebook: Codebook, table: pd.DataFrame, outcome: str, rows: RegressionRows) -> RegressionClusters:
    how = codebook.design.replicates
    assert how is not None
    columns = [f"carried:{column}" for column in how.columns]
    every = table[columns].to_numpy(float)
    raise_if_stopping(check_replicates(ReplicateWeights(every, how), len(table)), "design adjustment")
    inside, yes = _sums(table, outcome, rows)
    row = inside[ROW].to_numpy(np.int64)
    country = rows.country[row]
    scale = np.bincount(rows.country, rows.n) / np.bincount(country, table.loc[table[ROW] >= 0, "total"])
    weights = inside[columns].to_numpy(float) * scale[country][:, None]
    degrees = [max(replicate_rank(weights[country == number]) - 1, 0) for number in range(len(rows.countries))]

    def per_row(mark: FloatArray) -> FloatArray:
        collect = sparse.csr_matrix((mark, (row, np.arange(len(row)))), shape=(len(rows), len(row)))
        return np.asarray(collect @ weights)

    overall, each = factors(how)
    none = np.zeros(0)
    return RegressionClusters(
        units="replicates",
        rows=len(rows),
        countries=len(rows.countries),
        row=np.zeros(0, dtype=np.int64),
        unit=np.zeros(0, dtype=np.int64),
        yes=per_row(yes),
        other=per_row(1 - yes),
        yes_squared=none,
        other_squared=none,
        strata=Strata(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), (), "certainty"),
        stratum=np.zeros(0, dtype=np.int64),
        full_yes=rows.weight_yes,
        full_other=rows.weight - rows.weight_yes,
        factor=overall * each,
        degrees=np.array(degrees, dtype=float),
    )
