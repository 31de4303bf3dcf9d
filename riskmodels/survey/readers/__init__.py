"""Readers: the only door through which microdata come in."""

from riskmodels.survey.readers.frames import source_from_frame
from riskmodels.survey.readers.guarded import DEFAULT_LIMITS, Limits
from riskmodels.survey.readers.kinds import with_numbers_told
from riskmodels.survey.readers.read import list_columns, read_source, reading

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "list_columns",
    "read_source",
    "reading",
    "source_from_frame",
    "with_numbers_told",
]
