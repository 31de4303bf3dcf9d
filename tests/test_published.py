"""Published tables: every fault named at once, effective n from what is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskmodels as rm
from riskmodels.design.weighting import effective_n_from_interval
from tests.conftest import write_table


def codes(path: Path, **options: object) -> list[str]:
    with pytest.raises(rm.InputError) as caught:
        rm.read_published(path, **options)
    return [problem.code for problem in caught.value.problems if problem.stops]


def test_good_table_becomes_cells(tmp_path: Path, good_rows: list[str]) -> None:
    cells = rm.read_published(write_table(tmp_path / "t.csv", good_rows))
    assert cells.names == ("country", "indicator")
    assert cells.factor("country").labels == ("Kenya", "Namibia", "Uganda")
    np.testing.assert_allclose(cells.direct, [0.10, 0.05, 0.20])
    np.testing.assert_allclose(cells.n_effective[0], 0.1 * 0.9 / (0.02 / 1.959964) ** 2, rtol=1e-5)
    assert (cells.n_effective <= cells.n).all()


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("THA,Thailand,threatened,500,10.0,8.0,12.0,600", "E180"),
        ("THA,Thailand,threatened,-5,10.0,8.0,12.0,", "E180"),
        ("THA,Thailand,threatened,500.5,10.0,,,50", "E180"),
        ("THA,Thailand,threatened,500,0.10,,,50", "E181"),
        ("THA,Thailand,threatened,500,10.0,12.0,14.0,50", "E181"),
        ("THA,Thailand,threatened,500,10.0,12.0,8.0,50", "E181"),
        ("THA,Thailand,threatened,500,10.0,8.0,,50", "E181"),
        ("THA,Thailand,threatened,500,110,,,", "E181"),
        (",Norway,threatened,500,10.0,,,50", "E172"),
        ("NOX,Norway,threatened,500,10.0,,,50", "E172"),
        ('THA,Thailand,threatened,500,"10,5",,,50', "E173"),
        ("THA,Thailand,threatened,many,10.5,,,50", "E163"),
        ("THA,Thailand,,500,10.5,,,50", "E163"),
        ("KEN,Kenya,threatened,1000,10.0,8.0,12.0,100", "E150"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, good_rows: list[str], row: str, code: str) -> None:
    assert code in codes(write_table(tmp_path / "t.csv", [*good_rows, row]))


def test_all_faults_at_once_with_rows_and_no_values(tmp_path: Path, good_rows: list[str]) -> None:
    rows = [
        *good_rows,
        "THA,Thailand,threatened,500,10.0,8.0,12.0,7777",
        "PHL,Philippines,threatened,500,10.0,12.0,14.0,50",
        "VNM,Viet Nam,threatened,500,0.10,,,50",
    ]
    with pytest.raises(rm.InputError) as caught:
        rm.read_published(write_table(tmp_path / "t.csv", rows))
    assert sorted(p.code for p in caught.value.problems) == ["E180", "E181", "E181"]
    text = str(caught.value)
    assert all(f"row {line}" in text for line in (5, 6, 7))
    assert "7777" not in text


def test_missing_columns_offer_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(rm.InputError, match=r"E132.*country_iso3") as caught:
        rm.read_published(
            write_table(tmp_path / "t.csv", ["KEN,threatened,100,10"], header="country_iso,indicator,n,percent")
        )
    assert "rename country_iso" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E190"),
        (b"country_iso3,indicator,n,percent\n", "E101"),
        (b"\xff\xfe\x00x", "E170"),
        (b"country_iso3,indicator,n,percent\nKEN,a,100\n", "E190"),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert code in codes(tmp_path / "t.csv")


def test_answers_that_do_not_add_up(tmp_path: Path) -> None:
    header = "country_iso3,indicator,subgroup_dim,subgroup,n,numerator"
    rows = [
        "KEN,item,response,never,100,80",
        "KEN,item,response,often,100,5",
        "KEN,item,response,prefer_not_to_say,100,2",
    ]
    assert codes(write_table(tmp_path / "t.csv", rows, header)) == ["E181"]


def test_both_denominators(tmp_path: Path) -> None:
    header = "country_iso3,indicator,subgroup_dim,subgroup,n,numerator"
    rows = [
        "KEN,item,response,never,100,80",
        "KEN,item,response,often,100,10",
        "KEN,item,response,prefer_not_to_say,100,10",
    ]
    path = write_table(tmp_path / "t.csv", rows, header)
    assert rm.read_published(path, base="all asked").direct[0] == pytest.approx(0.10)
    valid = rm.read_published(path, base="valid answers")
    assert valid.direct[0] == pytest.approx(10 / 90)
    assert valid.n[0] == 90
    assert "W118" in [w.code for w in valid.warnings]


def test_subgroups_crossed(tmp_path: Path) -> None:
    header = "country_iso3,indicator,subgroup_dim,subgroup,n,percent"
    rows = [
        f"{c},item,sex*age_group,{s}*{a},200,{p}"
        for c in ("KEN", "UGA")
        for s, a, p in (("girl", "12-14", 5), ("girl", "15-17", 15), ("boy", "12-14", 4), ("boy", "15-17", 9))
    ]
    cells = rm.read_published(write_table(tmp_path / "t.csv", rows, header), by=["sex", "age_group"], design_effect=1.5)
    assert cells.names == ("country", "sex", "age_group", "indicator")
    np.testing.assert_allclose(cells.n_effective, 200 / 1.5)


def test_single_dimension_reads_only_its_rows(tmp_path: Path) -> None:
    header = "country_iso3,indicator,subgroup_dim,subgroup,n,percent"
    rows = ["KEN,item,all,all,400,10", "KEN,item,sex,girl,200,12", "KEN,item,sex,boy,200,8"]
    cells = rm.read_published(write_table(tmp_path / "t.csv", rows, header), by=["sex"])
    assert len(cells) == 2
    assert "I146" in [w.code for w in cells.warnings]


@settings(max_examples=60, deadline=None)
@given(p=st.floats(0.05, 0.95), n=st.floats(150, 2000))
def test_effective_n_survives_printing_to_tenths(p: float, n: float) -> None:
    half = 1.959964 * (p * (1 - p) / n) ** 0.5
    printed = [np.array([round(100 * v, 1)]) for v in (p, p - half, p + half)]
    found = effective_n_from_interval(printed[0], printed[1], printed[2], np.array([0.95]))[0]
    if not np.isnan(found):
        assert abs(found / n - 1) < 0.3


def test_pack_reads_as_documented() -> None:
    cells = rm.load_pack("disrupting-harm").cells(base="valid answers")
    assert len(cells) == 108
    assert set(rm.pack_path("disrupting-harm").iterdir()) >= {rm.pack_path("disrupting-harm") / "README.md"}


def test_population_frame_names_the_missing(tmp_path: Path) -> None:
    frame = rm.read_population(
        write_table(tmp_path / "p.csv", ["KEN,1000,67"], "country_iso3,total,internet_share_pct")
    )
    with pytest.raises(rm.InputError, match=r"E185.*UGA"):
        frame.aligned(["KEN", "UGA"])
    with pytest.raises(rm.InputError, match="E185"):
        rm.read_population(write_table(tmp_path / "q.csv", ["KEN,0,67"], "country_iso3,total,internet_share_pct"))
