"""JSON schema of codebooks, with which an editor completes and checks while typing."""

from __future__ import annotations

from typing import Any

from riskmodels.survey.codebook.shape import CodebookShape


def codebook_schema() -> dict[str, Any]:
    """Give the JSON schema of a codebook.

    Returns
    -------
    dict
        JSON Schema 2020-12; TOML editors such as taplo read it.

    Examples
    --------
    >>> codebook_schema()["title"]
    'riskmodels codebook'
    """
    schema = CodebookShape.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "riskmodels codebook"}
