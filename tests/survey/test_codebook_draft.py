"""Drafts from a file's own labels: the guesses, what is left to the user, and what never gets in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from riskmodels.errors import InputError
from riskmodels.survey.codebook.draft import draft_codebook
from riskmodels.survey.codebook.guess import missing_kind_of
from riskmodels.survey.codebook.read import codebook_from_toml
from riskmodels.survey.codebook.records import Answers, Code, Codebook
from riskmodels.survey.source import ColumnInfo, SourceTable

YES_NO = {1.0: "Yes", 2.0: "No", 888.0: "Prefer not to say", 999.0: "Don't know"}


def source(*columns: ColumnInfo, sets: Mapping[str, tuple[str, ...]] | None = None) -> SourceTable:
    return SourceTable(columns, None, Path("my survey.sav"), "sav", response_sets=sets or {})


def finished(text: str) -> Codebook:
    """Fill the header as a user would, and read."""
    text = text.replace('population = ""', 'population = "children"').replace('one_country = ""', 'one_country = "KEN"')
    return codebook_from_toml(text.replace("synthetic = false", "synthetic = true"))


STUDY = source(
    ColumnInfo("ID", "Respondent number"),
    ColumnInfo("cntry", "Country", {1.0: "Kenya", 2.0: "Viet Nam"}),
    ColumnInfo("stratum"),
    ColumnInfo("ea", "Enumeration area"),
    ColumnInfo("Q1", "Age of child", {98.0: "Refused"}),
    ColumnInfo("Q2", "Gender", {1.0: "Boy", 2.0: "Girl", 888.0: "Prefer not to say"}),
    ColumnInfo("G4c", "Shared images", {1.0: "Never", 2.0: "Once", 3.0: "Sometimes", 4.0: "Very often", 999.0: "DK"}),
    ColumnInfo("G5", "Threatened", YES_NO),
    ColumnInfo("S1", "Can change settings", {1.0: "Not at all true", 2.0: "A little true", 3.0: "Very true of me"}),
    ColumnInfo("note", "Comments", numeric=False),
    ColumnInfo("gps", "GPS of household"),
    ColumnInfo("wgt_scaled", "Scaled weight"),
)


def test_a_draft_stops_until_the_header_is_filled_then_reads() -> None:
    text = draft_codebook(STUDY)
    with pytest.raises(InputError) as caught:
        codebook_from_toml(text)
    assert [(p.code, p.where) for p in caught.value.problems] == [("E195", "study.population")]
    codebook = finished(text)
    design = codebook.design
    assert (design.country, design.weight, design.stratum, design.psu) == ("cntry", "wgt_scaled", "stratum", "ea")
    assert (design.child_id, codebook.study_id, codebook.file) == ("ID", "my-survey", "my survey.sav")
    assert list(codebook.variables) == ["q1", "q2", "s1"]
    assert list(codebook.indicators) == ["g4c", "g5"]


def test_kinds_of_columns_are_guessed() -> None:
    codebook = finished(draft_codebook(STUDY))
    assert codebook.variables["q1"].is_number
    assert codebook.variables["q1"].dimension == "age"
    gender = codebook.variables["q2"]
    assert gender.answers == Answers("Q2", {"boy": (1,), "girl": (2,)}, {"prefer_not_to_say": (888,)})
    assert (gender.labels, gender.dimension, gender.ordered) == (("Boy", "Girl"), "gender", False)
    assert codebook.variables["s1"].ordered
    assert codebook.indicators["g4c"].answers == Answers("G4c", {"no": (1,), "yes": (2, 3, 4)}, {"dont_know": (999,)})
    assert codebook.indicators["g5"].answers == Answers(
        "G5", {"no": (2,), "yes": (1,)}, {"dont_know": (999,), "prefer_not_to_say": (888,)}
    )
    assert all(indicator.sensitive for indicator in codebook.indicators.values())


def test_guesses_and_decisions_are_marked_and_free_text_stays_out() -> None:
    text = draft_codebook(STUDY)
    assert {"note", "gps"}.isdisjoint(finished(text).columns())
    tables = text.split("\n[")[3:]
    assert all("# guess:" in table and "TODO:" in table for table in tables)
    assert "# in the file: 1 is Kenya; 2 is Viet Nam" in text
    design = text[text.index("[design]") : text.index("[variables")]
    assert all("# guess:" in line for line in design.splitlines() if " = " in line and not line.startswith("#"))


def test_country_labels_that_are_codes_are_taken() -> None:
    column = ColumnInfo("country", "", {1.0: "KEN", 2.0: "NAM"})
    assert finished(draft_codebook(source(column))).design.countries == {"1": "KEN", "2": "NAM"}


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Don't know", "dont_know"),
        ("DON'T KNOW / CAN'T SAY", "dont_know"),
        ("Ne sait pas", "dont_know"),
        ("No sabe", "dont_know"),
        ("Não sei", "dont_know"),
        ("Weiß nicht", "dont_know"),
        ("Không biết", "dont_know"),
        ("Prefer not to say", "prefer_not_to_say"),
        ("Refused", "prefer_not_to_say"),
        ("Refus de répondre", "prefer_not_to_say"),
        ("No responde", "prefer_not_to_say"),
        ("Prefiere no contestar", "prefer_not_to_say"),
        ("Keine Angabe", "prefer_not_to_say"),
        ("Not applicable", "not_asked"),
        ("N/A", "not_asked"),
        ("No aplica", "not_asked"),
        ("Sans objet", "not_asked"),
        ("No", None),
        ("Non", None),
        ("Not at all", None),
        ("Never", None),
        ("Not very often", None),
        ("No one", None),
        ("Nobody", None),
        ("Skating", None),
    ],
)
def test_kinds_of_missing_in_several_languages(label: str, kind: str | None) -> None:
    assert missing_kind_of(label) == kind


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (("pays", "poids", "grappe", "strate"), ("pays", "poids", "grappe", "strate")),
        (("pais", "peso", "conglomerado", "estrato"), ("pais", "peso", "conglomerado", "estrato")),
        (("Land", "Gewicht", "Klumpen", "Schicht"), ("Land", "Gewicht", "Klumpen", "Schicht")),
        (("COUNTRY", "hh_weight", "cluster_no", "strata"), ("COUNTRY", "hh_weight", "cluster_no", "strata")),
        (("country_of_birth", "body_weight", "area", "island"), (None, None, None, None)),
    ],
)
def test_design_columns_in_several_languages(columns: tuple[str, ...], roles: tuple[str | None, ...]) -> None:
    design = finished(draft_codebook(source(*map(ColumnInfo, columns)))).design
    assert (design.country, design.weight, design.psu, design.stratum) == roles


def test_marked_codes_without_a_kind_are_never_answers() -> None:
    column = ColumnInfo("Q9", "", {1.0: "Yes", 2.0: "No", 7.0: "Spontaneous"}, missing_codes=(7.0, 9.0))
    text = draft_codebook(source(column))
    answers = finished(text).indicators["q9"].answers
    assert answers == Answers("Q9", {"no": (2,), "yes": (1,)}, {"system_missing": (7, 9)})
    assert text.count("# TODO: 7 (Spontaneous)") == text.count("# TODO: 9 is marked missing") == 1


def test_counts_warn_but_never_show_a_value() -> None:
    ends = ColumnInfo("S9", "Trust", {0.0: "None", 10.0: "Full"})
    short = ColumnInfo("Q3", "Where", {1.0: "Home", 2.0: "School"})
    counts: dict[str, dict[Code, int]] = {"S9": dict.fromkeys(range(11), 50), "Q3": {1: 60, 2: 50, 77123: 12}}
    text = draft_codebook(source(ends, short), counts)
    codebook = finished(text)
    assert codebook.variables["s9"].is_number
    assert list(codebook.variables["q3"].answers.levels) == ["home", "school"]
    assert "codes without a label" in text[text.index("[variables.q3]") :]
    assert "77123" not in text
    assert list(finished(draft_codebook(source(ends))).variables["s9"].answers.levels) == ["none", "full"]


def test_declared_response_sets_become_response_sets() -> None:
    ticked = {0.0: "Not mentioned", 1.0: "Mentioned"}
    columns = [ColumnInfo(f"W{i}", f"Where {i}", ticked) for i in (1, 2)]
    odd = ColumnInfo("W3", "Where else", {1.0: "Home", 2.0: "School"})
    codebook = finished(draft_codebook(source(*columns, odd, sets={"$where": ("W1", "W2", "W3", "W9")})))
    assert codebook.response_sets == {"where": ("where.w1", "where.w2")}
    assert codebook.indicators["where.w2"].answers == Answers("W2", {"no": (0,), "yes": (1,)}, {})
    assert list(codebook.variables) == ["w3"]


def test_order_of_columns_is_kept_and_names_stay_apart() -> None:
    names = ["Q1", "q1", "Q 1", "n", "country_2", "all", "ü-1", "数", "1"]
    codebook = finished(draft_codebook(source(*map(ColumnInfo, names))))
    assert [variable.answers.column for variable in codebook.variables.values()] == [
        name for name in names if name != codebook.design.country
    ]


TEXTS = st.text(max_size=12) | st.sampled_from(["Yes", "No", "Never", "Don't know", "Refused", "age", "weight", "a\nb"])
COLUMNS = st.builds(
    ColumnInfo,
    name=TEXTS,
    label=TEXTS,
    value_labels=st.dictionaries(st.floats() | st.integers(-5, 5).map(float) | TEXTS, TEXTS, max_size=6),
    missing_codes=st.lists(st.floats() | TEXTS, max_size=3).map(tuple),
    numeric=st.booleans(),
    measure=st.sampled_from(["", "nominal", "ordinal", "scale"]),
)


ZERO_TWICE = ColumnInfo("v", "", value_labels={0.0: "", 1.0: "one"}, missing_codes=("0",), numeric=False, measure="")


@settings(max_examples=150, deadline=None)
@example([ZERO_TWICE], False)
@given(st.lists(COLUMNS, max_size=6, unique_by=lambda column: column.name), st.booleans())
def test_any_file_gives_a_draft_that_reads(columns: list[ColumnInfo], grouped: bool) -> None:
    sets = {"$r\n1": tuple(column.name for column in columns[:3])} if grouped else {}
    finished(draft_codebook(source(*columns, sets=sets)))
