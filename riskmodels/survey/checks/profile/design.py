"""What the profile holds of the sampling design: weights, strata and PSUs, identifiers; sums only."""

from __future__ import annotations

import duckdb

from riskmodels.survey.checks.profile.queries import SCIENTIFIC, TEXT_KINDS, Columns, literal, number_of
from riskmodels.survey.checks.profile.records import AllWeights, Identifiers, Spelling, Unit, Weights
from riskmodels.survey.codebook.records import Codebook


def profile_weights(
    connection: duckdb.DuckDBPyConnection, codebook: Codebook, columns: Columns, rows: str
) -> tuple[tuple[Weights, ...], AllWeights | None]:
    """Summarise weights per country and as a whole; empty where the file has none."""
    column = codebook.design.weight
    if column is None or column in columns.absent:
        return (), None
    weight = number_of(columns.value(column), numeric=columns.kinds[column].numeric)
    weights = f"(SELECT country, {weight} AS w FROM {rows})"
    good = "isfinite(w) AND w > 0"
    connection.execute(
        f"""CREATE TABLE weight_summary AS SELECT country, count(*) AS n,
        count(*) FILTER (NOT coalesce(isfinite(w), false)) AS unusable, count(*) FILTER (isfinite(w) AND w < 0) AS negative,
        count(*) FILTER (w = 0) AS zero, count(*) FILTER ({good}) AS positive,
        coalesce(quantile_disc(w, 0.5) FILTER ({good}), 0) AS middle, coalesce(max(w) FILTER ({good}), 0) AS largest,
        coalesce(sum(w) FILTER ({good}), 0) AS total, coalesce(sum(w * w) FILTER ({good}), 0) AS squares,
        coalesce(quantile_disc(w, 0.99) FILTER ({good}), 0) AS high FROM {weights} GROUP BY country"""
    )
    found = connection.execute(
        f"""SELECT s.country, any_value(n), any_value(unusable), any_value(negative), any_value(zero), any_value(positive),
        any_value(middle), any_value(largest), any_value(total), any_value(squares),
        (coalesce(sum(w) FILTER ({good} AND w > high), 0)
         + any_value(high) * (ceil(any_value(positive) / 100) - count(*) FILTER ({good} AND w > high)))
        / nullif(any_value(total), 0)
        FROM {weights} AS w JOIN weight_summary AS s ON w.country IS NOT DISTINCT FROM s.country
        GROUP BY s.country ORDER BY s.country"""
    ).fetchall()
    whole = connection.execute(
        f"SELECT count(*), count(DISTINCT w), min(w), max(w), bool_and(w = floor(w)) FROM {weights} WHERE isfinite(w)"
    ).fetchone()
    every = AllWeights(*whole) if whole is not None and whole[0] else None
    return tuple(Weights._make((*row[:10], 0.0 if row[10] is None else float(row[10]))) for row in found), every


def profile_units(
    connection: duckdb.DuckDBPyConnection, codebook: Codebook, columns: Columns, rows: str
) -> tuple[Unit, ...]:
    """Count children per country, stratum and PSU."""
    design = codebook.design
    if design.stratum is None and design.psu is None:
        return ()
    parts = [
        "NULL" if column is None else f"CAST({columns.value(column)} AS VARCHAR)"
        for column in (design.stratum, design.psu)
    ]
    found = connection.execute(
        f"SELECT country, {parts[0]} AS s, {parts[1]} AS p, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return tuple(Unit(*row) for row in found)


def profile_spellings(
    connection: duckdb.DuckDBPyConnection, codebook: Codebook, columns: Columns, rows: str
) -> tuple[Spelling, ...]:
    """Count codes of stratum, PSU and identifier that a spreadsheet may have rewritten, and weights with commas."""
    design = codebook.design
    names = [
        name
        for name in dict.fromkeys((design.stratum, design.psu, design.child_id, design.weight))
        if name is not None and name not in columns.absent
    ]
    if not names:
        return ()
    parts = []
    for name in names:
        value, numeric = columns.value(name), columns.kinds[name].numeric
        number = number_of(value, numeric=numeric)
        parts += ["0"] * 4 if numeric else [
            "0" if name == design.weight else f"count(DISTINCT {value}) - count(DISTINCT ltrim({value}, '0'))",
            f"count(DISTINCT {value}) FILTER (regexp_full_match({value}, {literal(SCIENTIFIC)}))",
            f"count(DISTINCT {value}) FILTER (regexp_full_match({value}, {literal(TEXT_KINDS['date'])}))",
            f"count(DISTINCT {value}) FILTER (regexp_full_match({value}, {literal(TEXT_KINDS['comma'])}))",
        ]  # fmt: skip
        parts.append(
            "0"
            if name == design.weight
            else f"count(DISTINCT {number}) FILTER (isfinite({number}) AND {number} <> floor({number}))"
        )
    sums = ", ".join(f"coalesce(sum(c{place}), 0)::BIGINT" for place in range(len(parts)))
    inner = ", ".join(f"{part} AS c{place}" for place, part in enumerate(parts))
    row = connection.execute(f"SELECT {sums} FROM (SELECT {inner} FROM {rows} GROUP BY country)").fetchone()
    assert row is not None
    return tuple(Spelling(name, *row[5 * place : 5 * place + 5]) for place, name in enumerate(names))


def profile_identifiers(
    connection: duckdb.DuckDBPyConnection, codebook: Codebook, columns: Columns, rows: str
) -> Identifiers | None:
    """Count identifiers that stand on several rows of one country, and rows that repeat another in full."""
    column = codebook.design.child_id
    if column is None or column in columns.absent:
        return None
    value = columns.value(column)
    everything = ", ".join(key for name in columns.names for key in columns.keys(name))
    connection.execute(
        f"CREATE TABLE repeated AS SELECT country, {value} AS id, count(*) AS n FROM {rows} WHERE {value} IS NOT NULL "
        f"GROUP BY ALL HAVING count(*) > 1"
    )
    row = connection.execute(
        f"""SELECT (SELECT count(*) FROM repeated), (SELECT coalesce(sum(n), 0)::BIGINT FROM repeated),
        (SELECT count(*) FROM {rows} WHERE {value} IS NULL)"""
    ).fetchone()
    assert row is not None
    identical = 0
    if row[0]:
        distinct = connection.execute(
            f"""SELECT count(*) FROM (SELECT DISTINCT b.country, hash({everything}) FROM {rows} AS b JOIN repeated AS r
            ON b.{value} = r.id AND b.country IS NOT DISTINCT FROM r.country)"""
        ).fetchone()
        identical = row[1] - (distinct[0] if distinct else 0)
    return Identifiers(row[0], row[1], identical, row[2])
