"""JSON schema of codebooks, with which an editor completes and checks while typing."""

from __future__ import annotations

from typing import Any

from riskmodels.survey.codebook import shape
from riskmodels.survey.codebook.shape import CodebookShape

#: Tables of a codebook file and the shape of each, in the order in which the docs show them.
TABLES: dict[str, type[shape.Shape]] = {
    "[study]": shape.StudyShape,
    "[design]": shape.DesignShape,
    "[design.replicates]": shape.ReplicatesShape,
    "[eligibility] and asked_if: NAME = [levels], or a range": shape.RangeShape,
    "[variables.NAME]": shape.VariableShape,
    "[variables.NAME.by_country.CODE]": shape.VariableAnswersShape,
    "[indicators.NAME]": shape.IndicatorShape,
    "[indicators.NAME.by_country.CODE]": shape.IndicatorAnswersShape,
    "[indicators.NAME.follow_ups.channel], also perpetrator, told, why_not_told; [response_sets.NAME]": shape.ResponseSetShape,
    "options = { OPTION = { ... } }": shape.OptionShape,
    "[scales.NAME]": shape.ScaleShape,
}


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


def key_tables() -> str:
    """Every key of a codebook as Markdown tables, for the docs; a test compares them.

    Examples
    --------
    >>> key_tables().splitlines()[0]
    '### `[study]`'
    """
    lines: list[str] = []
    for name, part in TABLES.items():
        lines += [f"### `{name}`", "", "| key | meaning | if left out |", "|---|---|---|"]
        for key, found in part.model_fields.items():
            default = "must be there" if found.is_required() else _said(found.get_default(call_default_factory=True))
            lines.append(f"| `{key}` | {found.description or part.__doc__} | {default} |")
        lines.append("")
    return "\n".join(lines)


def _said(default: object) -> str:
    if default is None or default == "" or default == {} or default == []:
        return "nothing"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
