"""Readers of microdata files; the only code that opens them."""

from riskmodels.survey.readers.read import list_columns, read_source, source_from_frame

__all__ = ["list_columns", "read_source", "source_from_frame"]
