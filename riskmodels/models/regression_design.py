"""Design matrices of a regression: for the rows of the data, and for any values a question is asked at."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from riskmodels.design.regression_rows import RegressionRows
from riskmodels.errors import InputError, Problem
from riskmodels.models.regression_spec import RegressionSpec, TermNames

FloatArray = npt.NDArray[np.float64]
Values = Mapping[str, FloatArray]


def _reference(spec: RegressionSpec, rows: RegressionRows, name: str) -> int:
    factor = rows.factors[name]
    wanted = spec.references.get(name)
    if wanted is None:
        return 0
    for place, (level, label) in enumerate(zip(factor.levels, factor.labels, strict=True)):
        if wanted in (level, label):
            return place
    problem = Problem(
        "E145", "no such reference level", f"{name}: {wanted}", 1, f"choose among {', '.join(factor.levels)}"
    )
    raise InputError([problem], "RegressionSpec")


def _columns(spec: RegressionSpec, rows: RegressionRows, name: str, values: Values) -> list[tuple[str, FloatArray]]:
    """Columns of one main effect, with their names; one per step between levels where the effect is monotonic."""
    if name in spec.monotonic:
        labels = rows.factors[name].labels
        steps = [f"{name}: {low} to {high}" for low, high in pairwise(labels)]
        return [(step, (values[name] > place).astype(float)) for place, step in enumerate(steps)]
    if name not in rows.factors:
        centre, scale = spec.numbers.get(name, (0.0, 1.0))
        return [(name, (values[name] - centre) / scale)]
    reference, factor = _reference(spec, rows, name), rows.factors[name]
    return [
        (f"{name}: {label}", (values[name] == place).astype(float))
        for place, label in enumerate(factor.labels)
        if place != reference
    ]


def design_matrix(
    spec: RegressionSpec, rows: RegressionRows, terms: tuple[TermNames, ...], values: Values
) -> tuple[list[str], FloatArray]:
    """Columns of some terms at some values; the empty term is the intercept.

    Returns
    -------
    tuple
        Names of the columns, and the matrix, shape (values, columns).
    """
    names: list[str] = []
    columns: list[FloatArray] = []
    count = len(next(iter(values.values()))) if values else len(rows)
    for term in terms:
        if not term:
            names.append("Intercept")
            columns.append(np.ones(count))
            continue
        for parts in product(*(_columns(spec, rows, name, values) for name in term)):
            names.append(" x ".join(label for label, _ in parts))
            columns.append(np.prod([column for _, column in parts], axis=0))
    return names, np.column_stack(columns) if columns else np.zeros((count, 0))


def shared_design(spec: RegressionSpec, rows: RegressionRows, values: Values) -> tuple[list[str], FloatArray]:
    """Intercept and all terms that countries share."""
    return design_matrix(spec, rows, ((), *spec.terms), values)


def own_design(spec: RegressionSpec, rows: RegressionRows, values: Values) -> tuple[list[str], FloatArray]:
    """Terms whose coefficients vary by country."""
    return design_matrix(spec, rows, spec.varying, values)
