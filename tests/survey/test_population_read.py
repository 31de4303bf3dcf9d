"""Population files: names of countries, every fault at once, margins in long form."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import riskmodels as rm
from riskmodels.survey.population import (
    rake_population,
    read_margins,
    read_population,
    read_population_table,
)
from tests.conftest import write_table


def problems(path: Path, header: str, *rows: str) -> list[tuple[str, str]]:
    with pytest.raises(rm.InputError) as caught:
        read_population_table(write_table(path / "p.csv", list(rows), header))
    return [(problem.code, problem.where) for problem in caught.value.problems]


def test_country_names_instead_of_codes(tmp_path: Path) -> None:
    rows = ["Viet Nam,9,60", "Côte d'Ivoire,8,50", "NA,7,40", "TZ,6,30", "834x,1,1"]
    path = write_table(tmp_path / "p.csv", rows[:-1], "country,total,internet_share_pct")
    frame = read_population(path)
    assert frame.countries == ("VNM", "CIV", "NAM", "TZA")
    assert frame.share_online_se.tolist() == [0.03] * 4
    with pytest.raises(rm.InputError, match=r"E172.*row 6"):
        read_population(write_table(path, rows, "country,total,internet_share_pct"))


def test_code_wins_and_a_shifted_column_is_seen(tmp_path: Path) -> None:
    header = "country_iso3,country,total"
    assert read_population(write_table(tmp_path / "p.csv", ["KEN,Kenya (all),5"], header)).countries == ("KEN",)
    with pytest.raises(rm.InputError, match="name two countries in one row"):
        read_population(write_table(tmp_path / "p.csv", ["KEN,Uganda,5"], header))


def test_na_among_names_is_not_taken_for_namibia(tmp_path: Path) -> None:
    with pytest.raises(rm.InputError, match=r"E172.*NA or NO.*row 3"):
        read_population(write_table(tmp_path / "p.csv", ["Kenya,5", "NA,6"], "country,total"))
    assert read_population(write_table(tmp_path / "p.csv", ["KE,5", "NA,6"], "country,total")).countries[1] == "NAM"
    assert read_population(write_table(tmp_path / "p.csv", ["NA,6"], "country,total")).countries == ("NAM",)


def test_unknown_country_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(rm.InputError, match=r"row 2: Kenya \(KEN\)\?"):
        read_population(write_table(tmp_path / "p.csv", ["Kenyaa,5", "Uganda,4"], "country,total"))


def test_invented_countries_only_when_declared(tmp_path: Path) -> None:
    path = write_table(tmp_path / "p.csv", ["Examplia,5", "KEN,6"], "country,total")
    with pytest.raises(rm.InputError, match="E172"):
        read_population(path)
    assert read_population(path, countries=["Examplia"]).countries == ("Examplia", "KEN")


def test_all_faults_of_a_country_file_at_once(tmp_path: Path) -> None:
    header = "country_iso3,total,internet_share_pct,internet_share_se_pct"
    rows = ["KEN,0,67,3", "XXX,5,67,3", "UGA,many,67,3", "VNM,5,,", "THA,5,67,80", "PHL,5,67,3", "PHL,5,67,3"]
    with pytest.raises(rm.InputError) as caught:
        read_population(write_table(tmp_path / "p.csv", rows, header))
    assert sorted({problem.code for problem in caught.value.problems}) == ["E163", "E172", "E185"]
    whats = " ".join(problem.what for problem in caught.value.problems)
    assert "in some rows only" in whats and "above 50 points" in whats and "zero" in whats
    with pytest.raises(rm.InputError, match="E150"):
        read_population(write_table(tmp_path / "p.csv", rows[-2:], header))


def test_cells_with_shares(tmp_path: Path) -> None:
    header = "country,gender,age,total,internet_share_pct,internet_share_se_pct,source,year"
    rows = [f"Kenya,{g},{a},{n},{s},,census,2020" for g, a, n, s in (("girl", 12, 10, 60), ("boy", 12, 30, 100))]
    frame = read_population_table(write_table(tmp_path / "p.csv", rows, header))
    assert frame.cells is not None
    assert frame.cells.names == ("country", "gender", "age") and frame.source == "census"
    assert frame.share_online.tolist() == [0.9]
    assert sorted(frame.cells.share_online_se.tolist()) == [0.0, 0.03]
    chosen = read_population_table(
        write_table(tmp_path / "p.csv", ["girl,x,5", "boy,y,6"], "gender,remark,total"), factors=["gender"]
    )
    assert chosen.cells is not None and chosen.cells.names == ("gender",)


def test_all_faults_of_a_cell_file_at_once(tmp_path: Path) -> None:
    header = "country_iso3,gender,age,total,internet_share_pct"
    found = problems(
        tmp_path,
        header,
        *("KEN,girl,12,5,60", "KEN,,12,5,60", "KEN,boy,12,0,60", "KEN,total,12,9,60", "KEN,boy,13,5;0,"),
        *('KEN,boy,14,"5,5",160', "UGA,girl,12,4,60", "UGA,girl,12,4,60"),
    )
    assert [code for code, _ in found if code == "E150"] == ["E150"]
    assert {code for code, _ in found} == {"E150", "E163", "E173", "E185"}
    wheres = [where for _, where in found]
    assert "column gender, row 3" in wheres and "total" in wheres and "rows 8, 9" in wheres and "row 7" in wheres


@pytest.mark.parametrize(
    ("header", "row", "code"),
    [
        ("gender,n", "girl,5", "E132"),
        ("total", "5", "E132"),
        ("margin,gender,total", "gender,girl,5", "E132"),
        ("country,gender,total", "Congo,girl,5", "E172"),
        ("country,gender,total", ",girl,5", "E172"),
        ("gender,total,internet_share_pct", "girl,5,0.6", "E181"),
        ("gender,total,internet_share_se_pct", "girl,5,3", "E185"),
        ("indicator,total", "girl,5", "E185"),
    ],
)
def test_single_faults(tmp_path: Path, header: str, row: str, code: str) -> None:
    assert code in [found for found, _ in problems(tmp_path, header, row)]


LONG = [
    *("country*gender,KEN,girl,,60", "country*gender,KEN,boy,,40"),
    *("country*age,KEN,,12-14,30", "country*age,KEN,,15-17,70"),
]


def test_margins_in_long_form_rake(tmp_path: Path) -> None:
    margins = read_margins(write_table(tmp_path / "m.csv", LONG, "margin,country,gender,age,total"))
    assert [list(margin.columns) for margin in margins] == [
        ["country", "gender", "total"],
        ["country", "age", "total"],
    ]
    table = rake_population(margins).frame.table().set_index(["gender", "age"])["total"]
    assert table["girl", "12-14"] == pytest.approx(18)


def test_margins_without_a_country_in_some_rows(tmp_path: Path) -> None:
    rows = ["country,Viet Nam,,10", "gender,,girl,4", "gender,,boy,6"]
    first, second = read_margins(write_table(tmp_path / "m.csv", rows, "margin,country,gender,total"))
    assert first["country"].tolist() == ["VNM"] and list(second.columns) == ["gender", "total"]


def test_all_faults_of_margins_at_once(tmp_path: Path) -> None:
    rows = [
        *(*LONG, "gender,,girl,12-14,5", "gender,,,,5", "area,,,,5", "age*age,,,12-14,5", "age,,,12-14,0"),
        *("age,,,all,9", "age,,,12-14,3", "country,Kenyaa,,,5", ",,,,5"),
    ]
    with pytest.raises(rm.InputError) as caught:
        read_margins(write_table(tmp_path / "m.csv", rows, "margin,country,gender,age,total"))
    found = [(problem.code, problem.where) for problem in caught.value.problems]
    assert ("E185", "row 6") in found, "a level in a column its margin does not have"
    assert ("E185", "column gender, row 7") in found
    assert {("E132", "row 8"), ("E132", "row 9"), ("E132", "row 14")} <= set(found)
    assert ("E185", "row 10") in found and ("E185", "all") in found and ("E150", "rows 10, 12") in found
    assert any(code == "E172" and "row 13" in where and "Kenya" in where for code, where in found)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=200))
def test_any_text_gives_a_frame_or_a_riskmodels_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "p.csv"
    path.write_text(f"country,gender,total\n{text}\nKenya,girl,5", encoding="utf-8", newline="")
    for reader in (read_population, read_population_table, read_margins):
        try:
            reader(path)
        except rm.RiskModelsError:
            continue
