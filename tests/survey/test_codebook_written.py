"""A codebook written as TOML reads back as itself; the JSON schema knows every key and accepts the example."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskmodels.errors import InputError
from riskmodels.survey.codebook.read import codebook_from_toml, read_codebook
from riskmodels.survey.codebook.records import Codebook
from riskmodels.survey.codebook.schema import codebook_schema
from riskmodels.survey.codebook.write import codebook_to_toml
from riskmodels.vocabulary import MISSING_KINDS

EXAMPLE = Path(__file__).parent / "example_study.toml"
KINDS = st.sampled_from(MISSING_KINDS)
WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12).filter(str.strip)
NAMES = st.text("abcxyzåñ_0189", min_size=1, max_size=6)
CODES = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS.filter(lambda text: text == text.strip()),
)
COUNTRIES = ("KEN", "NAM", "NOR")


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def table(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


@st.composite
def answers(draw: st.DrawFn, levels: list[str]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Distinct codes for every level and for some kinds of missing."""
    kinds = draw(st.lists(KINDS, unique=True, max_size=3))
    size = 2 * (len(levels) + len(kinds))
    unique_by = lambda code: str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)  # noqa: E731
    codes = iter(draw(st.lists(CODES, unique_by=unique_by, min_size=size, max_size=size)))
    share = {name: [next(codes) for _ in range(draw(st.integers(1, 2)))] for name in (*levels, *kinds)}
    missing = {kind: share[kind] for kind in kinds}
    return {level: share[level] for level in levels}, missing or draw(st.sampled_from([None, {}]))


@st.composite
def conditions(draw: st.DrawFn, variables: dict[str, Any], indicators: list[str]) -> dict[str, Any]:
    name = draw(st.sampled_from([*variables, *indicators]))
    if name in indicators:
        return {name: draw(st.sampled_from([["yes"], ["no"], ["no", "yes"]]))}
    if "levels" in variables[name]:
        levels = list(variables[name]["levels"])
        return {name: draw(st.lists(st.sampled_from(levels), min_size=1, unique=True))}
    return {name: draw(st.sampled_from([{"low": 1}, {"high": 2.5}, {"low": 0, "high": 7}]))}


@st.composite
def variable_tables(draw: st.DrawFn) -> dict[str, Any]:
    about = {"column": draw(WORDS), "label": draw(optional(WORDS)), "dimension": draw(st.sampled_from([None, "age"]))}
    if draw(st.booleans()):
        _, missing = draw(answers([]))
        return table({**about, "missing": missing, "low": draw(st.sampled_from([None, 0, 1.5, 1e300]))})
    levels = draw(st.lists(NAMES.map(lambda name: f"l-{name}"), min_size=1, max_size=4, unique=True))
    given_levels, missing = draw(answers(levels))
    labels = {level: draw(WORDS) for level in draw(st.lists(st.sampled_from(levels), unique=True))}
    by_country = {}
    if draw(st.booleans()):
        there, other = draw(answers(levels))
        by_country = {"KEN": table({"levels": there, "missing": other or {}, "column": draw(optional(WORDS))})}
    return table(
        {
            **about,
            "levels": given_levels,
            "labels": labels or None,
            "missing": missing,
            "ordered": draw(st.booleans()),
            "by_country": by_country,
        }
    )


@st.composite
def yes_no(draw: st.DrawFn) -> dict[str, Any]:
    codes, missing = draw(answers(["yes", "no"]))
    return table({**codes, "missing": missing})


@st.composite
def question(draw: st.DrawFn) -> dict[str, Any]:
    """A question with several options, codes given once or per option."""
    options: dict[str, Any] = {}
    for place, name in enumerate(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))):
        own = draw(yes_no()) if draw(st.booleans()) else {}
        options[name] = {"column": f"{place}{draw(WORDS)}", **own}
        if draw(st.booleans()):
            options[name]["by_country"] = {draw(st.sampled_from(COUNTRIES)): {"column": draw(WORDS), "missing": {}}}
    about = {"base": draw(st.sampled_from([None, "valid answers"])), "sensitive": draw(optional(st.booleans()))}
    return table({"options": options, **draw(yes_no()), **about, "recall": draw(st.sampled_from([None, "", "ever"]))})


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    names = iter(draw(st.lists(NAMES, min_size=8, max_size=8, unique=True)))
    variables = {f"v_{next(names)}": draw(variable_tables()) for _ in range(3)}
    indicators: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        indicator = {"column": draw(WORDS), **draw(yes_no())}
        if draw(st.booleans()):
            indicator["asked_if"] = draw(conditions(variables, list(indicators)))
        if draw(st.booleans()):
            indicator["follow_ups"] = {draw(st.sampled_from(["channel", "told"])): draw(question())}
        indicators[f"i_{next(names)}"] = indicator
    some = draw(st.lists(st.sampled_from(list(indicators)), min_size=1, unique=True))
    indicators["joined"] = {"any_of": some, "label": draw(WORDS)}
    sets = {"set": draw(question())} if draw(st.booleans()) else {}
    if sets and draw(st.booleans()):
        sets["set"]["asked_if"] = draw(conditions(variables, ["joined"]))
    return {
        "study": {"id": "s", "population": draw(WORDS), "file": draw(WORDS), "citation": draw(WORDS)},
        "design": {"country": "c", "countries": {draw(WORDS) + str(i): code for i, code in enumerate(COUNTRIES)}},
        "eligibility": draw(conditions(variables, list(indicators))) if draw(st.booleans()) else {},
        "variables": variables,
        "indicators": indicators,
        "response_sets": sets,
    }


def orders(codebook: Codebook) -> Iterator[list[str]]:
    """Every order that a codebook keeps and that `==` of mappings does not see."""
    yield list(codebook.design.countries)
    yield from (list(part) for part in (codebook.variables, codebook.indicators, codebook.response_sets))
    yield from (list(variable.answers.levels) for variable in codebook.variables.values())


def assert_round_trip(codebook: Codebook) -> None:
    again = codebook_from_toml(codebook_to_toml(codebook), codebook.folder)
    assert again == codebook
    assert list(orders(again)) == list(orders(codebook))


def test_the_example_reads_back_as_itself() -> None:
    assert_round_trip(read_codebook(EXAMPLE))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents())
def test_any_codebook_reads_back_as_itself(document: dict[str, Any]) -> None:
    assert_round_trip(codebook_from_toml(tomli_w.dumps(document)))


def test_what_the_format_cannot_say_is_refused_not_lost() -> None:
    codebook = read_codebook(EXAMPLE)
    odd = replace(codebook.indicators["images_shared.told.friend"], recall="this week")
    changed = replace(codebook, indicators={**codebook.indicators, odd.name: odd})
    with pytest.raises(InputError, match="E195  the codebook holds something that the format cannot express"):
        codebook_to_toml(changed)


def test_schema_accepts_the_example_and_what_is_written() -> None:
    schema = codebook_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    text = EXAMPLE.read_text(encoding="utf-8")
    for one in (text, codebook_to_toml(codebook_from_toml(text))):
        assert list(validator.iter_errors(tomllib.loads(one))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("population =", "populaton ="),
        ('base = "valid answers"', 'base = "all"'),
        ("yes = [1]\nno = [2]\nbase", "yes = 1\nno = [2]\nbase"),
        ("levels = { boy = [1]", "levels = { boy = []"),
        ("low = 12", 'low = "12"'),
        ("sensitive = true", 'sensitive = "true"'),
    ],
)
def test_schema_and_reader_refuse_the_same(old: str, new: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert old in text
    broken = text.replace(old, new, 1)
    assert not jsonschema.Draft202012Validator(codebook_schema()).is_valid(tomllib.loads(broken))
    with pytest.raises(InputError):
        codebook_from_toml(broken)


def test_every_key_explains_itself_and_stands_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "codebook.md").read_text(encoding="utf-8")
    schema = codebook_schema()
    for part in (schema, *schema["$defs"].values()):
        for key, described in part["properties"].items():
            assert described.get("title") and described.get("description"), key
            assert "anyOf" not in described or {"type": "null"} not in described["anyOf"]
            assert f"`{key}`" in docs, f"{key} of {part['title']} is not in docs/codebook.md"
