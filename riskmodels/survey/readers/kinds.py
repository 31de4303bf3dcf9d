"""Which columns of a CSV file hold numbers: the format itself does not say."""

from __future__ import annotations

from dataclasses import replace

from riskmodels.survey.readers.read import reading
from riskmodels.survey.source import VIEW, SourceTable, quoted_name


def with_numbers_told(source: SourceTable) -> SourceTable:
    """Mark the columns of a CSV file all of whose entries are numbers, for drafting a codebook.

    Parameters
    ----------
    source
        What `list_columns` gave.

    Returns
    -------
    SourceTable
        The same, with `numeric` set; other formats say it themselves and are returned as they are. Only counts are
        read from the rows.
    """
    if source.format != "csv" or not source.columns:
        return source
    parts = []
    for column in source.columns:
        name = f"trim(CAST({quoted_name(column.name)} AS VARCHAR))"
        parts.append(
            f"count(*) FILTER ({name} <> '' AND TRY_CAST({name} AS DOUBLE) IS NULL), count(*) FILTER ({name} <> '')"
        )
    with reading(source), source.connect() as connection:
        row = connection.execute(f"SELECT {', '.join(parts)} FROM {VIEW}").fetchone()
    counts = row if row is not None else (1,) * (2 * len(source.columns))
    columns = tuple(
        replace(column, numeric=counts[2 * place] == 0 and counts[2 * place + 1] > 0)
        for place, column in enumerate(source.columns)
    )
    return replace(source, columns=columns)
