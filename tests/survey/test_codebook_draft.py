"""Drafts: a codebook that can be read at once, with design, missing answers and items recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskmodels.survey.codebook.draft import draft_codebook
from riskmodels.survey.codebook.read import codebook_from_toml
from riskmodels.survey.readers import list_columns
from riskmodels.survey.source import ColumnInfo, SourceTable

HOME = Path(__file__).parents[2] / "data" / "synthetic" / "invented"


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_draft_of_the_invented_study(ending: str) -> None:
    text = draft_codebook(list_columns(HOME / f"study.{ending}"))
    book = codebook_from_toml(text.replace("synthetic = false", "synthetic = true"))
    design = book.design
    assert (design.country, design.weight, design.stratum, design.psu, design.child_id) == (
        "cntry",
        "wgt_scaled",
        "strat",
        "ea",
        "id",
    )
    assert design.countries["2"] == "Бориния"
    risk = book.indicators["g_comments"].answers
    assert risk is not None
    assert risk.levels == {"no": (1,), "yes": (2, 3, 4, 5)}
    if ending == "sav":
        assert risk.missing == {"prefer_not_to_say": (888,), "dont_know": (999,)}
    assert book.indicators["cyber"].answers.levels["yes"] == (1,)  # type: ignore[union-attr]
    assert book.variables["ses"].factor.labels[0] == "Lowest"
    assert book.variables["s1"].ordered
    assert book.variables["q1"].is_number
    assert "# TODO" in text
    assert "# guess" in text


def test_labels_in_other_languages_and_hostile_ones() -> None:
    columns = (
        ColumnInfo("peso_final", "Factor de ponderación"),
        ColumnInfo("conglomerado", "Conglomerado"),
        ColumnInfo(
            "p1", 'Con "comillas" y \\ barra\n', {1.0: "Sí", 2.0: "No", 98.0: "No sabe", 99.0: "Prefiero no contestar"}
        ),
        ColumnInfo("p2", "Souvent?", {1.0: "Jamais", 2.0: "Parfois", 3.0: "Souvent", 9.0: "Ne sait pas"}),
        ColumnInfo("nombre", "Nombre", numeric=False),
        ColumnInfo("weight", "", {1.0: "a", 2.0: "b"}),
        ColumnInfo("متغير", "سؤال", {1.0: "نعم", 2.0: "لا"}),
    )
    text = draft_codebook(SourceTable(columns, None, Path("datos.sav"), "sav"))
    book = codebook_from_toml(text)
    assert (book.design.weight, book.design.psu) == ("peso_final", "conglomerado")
    first = book.indicators["p1"].answers
    assert first is not None
    assert first.levels == {"no": (2,), "yes": (1,)}
    assert first.missing == {"dont_know": (98,), "prefer_not_to_say": (99,)}
    assert book.indicators["p2"].answers.levels["yes"] == (2, 3)  # type: ignore[union-attr]
    assert "nombre" not in text
    assert "weight_2" in book.variables
    assert len(book.variables) + len(book.indicators) == 4
