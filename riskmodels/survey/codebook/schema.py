"""JSON schema of the codebook format, so that an editor completes keys and explains them on hovering."""

from __future__ import annotations

from typing import Any

from riskmodels.survey.codebook.shape import CodebookShape


def codebook_schema() -> dict[str, Any]:
    """Give the JSON schema of a codebook file, for editors.

    Returns
    -------
    dict
        JSON schema (draft 2020-12): every key has a title and a description. It knows keys and types; what refers to
        what, and whether a code means two things, only `read_codebook` checks.

    Examples
    --------
    >>> codebook_schema()["$defs"]["ScaleShape"]["properties"]["rule"]["enum"]
    ['sum', 'mean']
    """
    schema = CodebookShape.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_null(schema)}


def _without_null(part: Any) -> Any:
    """Take out the null that pydantic allows for a key that may be left out: TOML has none."""
    if isinstance(part, list):
        return [_without_null(one) for one in part]
    if not isinstance(part, dict):
        return part
    whole = {key: _without_null(value) for key, value in part.items() if not (key == "default" and value is None)}
    branches = whole.get("anyOf")
    if isinstance(branches, list) and {"type": "null"} in branches:
        kept = [branch for branch in branches if branch != {"type": "null"}]
        rest = {key: value for key, value in whole.items() if key != "anyOf"}
        return {**kept[0], **rest} if len(kept) == 1 else {**rest, "anyOf": kept}
    return whole
