"""Replicate weights: as many rules as for the weight itself, read by SQL as counts."""

from __future__ import annotations

from riskmodels.errors import Problem
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.readers import reading
from riskmodels.survey.source import VIEW, SourceTable, quoted_name

#: A replicate's total may differ from that of the weights by this share before it is taken for something else.
TOTALS_APART = 0.5


def check_replicate_weights(source: SourceTable, codebook: Codebook) -> list[Problem]:
    """E110, E112, E195, W115: replicate weights that are negative, missing, another column, or of another scale.

    Parameters
    ----------
    source, codebook
        The study; counts and sums only are read.
    """
    design = codebook.design
    if design.replicates is None:
        return []
    columns = design.replicates.columns
    others = {
        answers.column for part in codebook.variables.values() for answers in (part.answers, *part.by_country.values())
    }
    others |= {part.answers.column for part in codebook.indicators.values() if part.answers is not None}
    shared = sorted(set(columns) & (others | {design.weight, design.stratum, design.psu, design.child_id}))
    problems = []
    if shared:
        what = "replicate weights that are columns of something else"
        problems.append(
            Problem("E195", what, ", ".join(map(str, shared[:8])), len(shared), "name the replicate weights only")
        )
    numbers = [f"TRY_CAST({quoted_name(column)} AS DOUBLE)" for column in columns]
    weight = "1.0" if design.weight is None else f"TRY_CAST({quoted_name(design.weight)} AS DOUBLE)"
    parts = [f"count(*) FILTER ({number} < 0)" for number in numbers]
    parts += [f"count(*) FILTER (NOT coalesce(isfinite({number}), false))" for number in numbers]
    parts += [f"coalesce(sum({number}), 0)" for number in numbers]
    with reading(source), source.connect() as connection:
        row = connection.execute(f"SELECT {', '.join(parts)}, sum({weight}) FROM {VIEW}").fetchone()
    assert row is not None
    size = len(columns)
    negative, unknown, totals, total = row[:size], row[size : 2 * size], row[2 * size : 3 * size], row[-1]
    if sum(negative):
        problems.append(
            Problem("E110", "negative replicate weights", "replicates", sum(negative), "mend them: 0 or more")
        )
    if sum(unknown):
        what = "replicate weights that are missing, not finite or not a number"
        problems.append(
            Problem("E112", what, "replicates", sum(unknown), "mend them, or drop these rows before reading")
        )
    apart = [c for c, t in zip(columns, totals, strict=True) if total and not abs(t / total - 1) <= TOTALS_APART]
    if apart and not shared:
        what = "replicate weights whose totals are far from that of the weights: another column, or factors?"
        remedy = "declare weights that include the full-sample weight"
        problems.append(Problem("W115", what, ", ".join(apart[:8]), len(apart), remedy))
    return problems
