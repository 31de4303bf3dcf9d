"""Readers: what stands in a file stands in the table, kinds of missing apart, and nothing else is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from riskmodels.errors import InputError
from riskmodels.survey.readers import list_columns, read_source, reading, source_from_frame, worker
from riskmodels.survey.source import SourceTable
from tests.survey.reader_files import CANARY, DECLARED, G4C, WRITERS, add_record, children, write_dta, write_sav

FORMATS = sorted(WRITERS)


def make(folder: Path, ending: str) -> Path:
    return WRITERS[ending](folder / f"survey{ending}")


def table(source: SourceTable) -> pd.DataFrame:
    """All rows through SQL, as every later step sees them."""
    with reading(source):
        return source.connect().execute("SELECT * FROM source").df()


@pytest.mark.parametrize("ending", FORMATS)
def test_countries_na_and_no_survive(tmp_path: Path, ending: str) -> None:
    found = table(read_source(make(tmp_path, ending), DECLARED))["country"]
    assert found.astype(object).where(found.notna(), None).tolist()[:5] == ["NA", "NA", "NO", "NO", "KEN"]


@pytest.mark.parametrize("ending", FORMATS)
def test_only_declared_columns_are_read(tmp_path: Path, ending: str) -> None:
    source = read_source(make(tmp_path, ending), DECLARED)
    found = table(source)
    assert [c for c in found.columns if not c.endswith("__reason")] == list(DECLARED)
    assert CANARY not in found.to_csv()
    assert CANARY not in repr(source)
    assert "note" in source.all_columns
    assert table(read_source(source.path))["note"].tolist() == [CANARY] * 6


def test_the_parser_is_asked_for_the_declared_columns_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First what the file says, then the rows of the declared columns: nothing else is ever in memory."""
    asked: list[tuple[bool, list[str] | None]] = []
    read_sav = pyreadstat.read_sav

    def spy(path: str, metadataonly: bool = False, usecols: list[str] | None = None, **options: Any) -> Any:
        asked.append((metadataonly, usecols))
        return read_sav(path, metadataonly=metadataonly, usecols=usecols, **options)

    monkeypatch.setattr(pyreadstat, "read_sav", spy)
    request = {"path": str(make(tmp_path, ".sav")), "format": "sav", "columns": ["age"], "rows": True, "encoding": None}
    assert list(worker.read(request)[1]) == ["age"]
    assert asked == [(True, None), (False, ["age"])]


@pytest.mark.parametrize("ending", FORMATS)
def test_columns_stand_in_the_order_declared(tmp_path: Path, ending: str) -> None:
    source = read_source(make(tmp_path, ending), ["age", "country", "age"])
    assert [column.name for column in source.columns] == ["age", "country"]
    assert list(table(source).columns) == ["age", "country"]


@pytest.mark.parametrize("ending", [".sav", ".zsav"])
@pytest.mark.parametrize("cells_as_lists", [0, 10**9])
def test_spss_keeps_refusals_apart_from_nothing(
    tmp_path: Path, ending: str, cells_as_lists: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways of reading (lists, arrays) give the table that was written, 888 and 999 where they stood."""
    monkeypatch.setattr(worker, "CELLS_READ_AS_LISTS", cells_as_lists)
    path = make(tmp_path, ending)
    request = {"path": str(path), "format": "sav", "columns": None, "rows": True, "encoding": None}
    _, arrays = worker.read(request)
    np.testing.assert_array_equal(np.asarray(arrays["G4c"]), children()["G4c"])
    np.testing.assert_array_equal(np.asarray(arrays["age"]), children()["age"])
    assert arrays["country"].to_pylist() == ["NA", "NA", "NO", "NO", "KEN", None]
    assert np.isfinite(np.asarray(arrays["seen"])).all()


def test_what_an_spss_file_says_is_kept(tmp_path: Path) -> None:
    source = read_source(make(tmp_path, ".sav"), DECLARED)
    item, age, country = (source.info(name) for name in ("G4c", "age", "country"))
    assert item is not None
    assert age is not None
    assert country is not None
    assert (item.label, item.measure, item.numeric) == ("Изображения опубликованы", "nominal", True)
    assert item.value_labels == G4C
    assert item.missing_codes == (888.0, 999.0)
    assert (age.missing_ranges, age.missing_codes, age.label) == (((97.0, 99.0),), (97.0, 98.0), "العمر")
    assert (country.missing_codes, country.numeric, country.measure) == (("KEN",), False, "")
    assert country.value_labels == {"NA": "Namibia", "NO": "Norway"}
    assert source.encoding == "UTF-8"
    assert [note.code for note in source.notes] == ["I171"]
    assert source.frame is not None
    np.testing.assert_array_equal(source.frame["G4c"], children()["G4c"])


def test_multiple_response_sets_name_their_columns(tmp_path: Path) -> None:
    path = add_record(make(tmp_path, ".sav"), 7, b"$risks=D1 2 5 Risks g4c age\n")
    assert read_source(path, DECLARED).response_sets == {"risks": ("G4c", "age")}


@pytest.mark.parametrize("version", [8, 10, 12, 13, 14, 15])
@pytest.mark.parametrize("cells_as_lists", [0, 10**9])
def test_stata_letters_stand_beside_their_number(
    tmp_path: Path, version: int, cells_as_lists: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CELLS_READ_AS_LISTS", cells_as_lists)
    path = write_dta(tmp_path / "s.dta", version)
    request = {"path": str(path), "format": "dta", "columns": ["G4c"], "rows": True, "encoding": None}
    _, arrays = worker.read(request)
    np.testing.assert_array_equal(np.asarray(arrays["G4c"]), [1, 2, np.nan, np.nan, 3, 1])
    assert arrays["G4c__reason"].to_pylist() == [None, None, ".r", ".d", None, None]
    source = read_source(path, ["G4c", "country"])
    info = source.info("G4c")
    assert info is not None
    assert info.has_reason
    assert info.missing_codes == (".d", ".r")
    assert info.value_labels[".r"] == "refused"
    assert source.frame is not None
    assert list(source.frame.columns) == ["G4c", "G4c__reason", "country"]


def test_stata_system_missing_has_no_reason(tmp_path: Path) -> None:
    source = read_source(make(tmp_path, ".dta"), ["age"])
    assert source.frame is not None
    assert list(source.frame.columns) == ["age"]
    assert source.frame["age"].isna().tolist() == [False] * 5 + [True]


def test_trailing_blanks_of_text_are_stripped(tmp_path: Path) -> None:
    frame = pd.DataFrame({"country": ["KEN  ", " NA", "  "]})
    frame.to_stata(tmp_path / "s.dta", write_index=False)
    assert table(read_source(tmp_path / "s.dta"))["country"].tolist()[:2] == ["KEN", " NA"]
    assert table(read_source(tmp_path / "s.dta"))["country"].isna().tolist() == [False, False, True]


def test_trailing_blanks_of_text_codes_are_stripped() -> None:
    """A label's code is compared with the column's text, so both lose the blanks that pad them."""
    assert worker._code("NA ") == "NA"
    assert worker._code(" NA") == " NA"
    assert worker._ranges([{"lo": "NA ", "hi": "NA "}]) == [["NA", "NA"]]


@pytest.mark.parametrize("ending", FORMATS)
def test_absent_columns_are_named_all_at_once(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputError) as caught:
        read_source(make(tmp_path, ending), ["Country ", "g4c", "weihgt", "age"])
    assert [problem.code for problem in caught.value.problems if problem.stops] == ["E132"] * 3
    assert [problem.remedy for problem in caught.value.problems][:2] == [
        "write country in the codebook if that is the one",
        "write G4c in the codebook if that is the one",
    ]
    assert CANARY not in str(caught.value)


def test_absent_column_in_another_unicode_form(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("an\u0303o,age\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="another Unicode form"):
        read_source(tmp_path / "s.csv", ["a\u00f1o"])


@pytest.mark.parametrize("ending", FORMATS)
def test_listing_columns_reads_no_row(tmp_path: Path, ending: str) -> None:
    source = list_columns(make(tmp_path, ending))
    assert [column.name for column in source.columns] == list(children().columns)
    assert CANARY not in repr(source)
    if source.frame is not None:
        assert len(table(source)) == 0
        assert source.info("G4c") is not None


def test_listing_columns_of_a_file_whose_rows_are_broken(tmp_path: Path) -> None:
    """Names and labels are there although the rows are cut off: so no row was read."""
    whole = write_sav(tmp_path / "s.sav", pd.concat([children()] * 200, ignore_index=True))
    cut = tmp_path / "cut.sav"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert len(list_columns(cut).columns) == 5
    with pytest.raises(InputError, match=r"E190.*truncated"):
        read_source(cut, DECLARED)


class TestFrame:
    def test_types(self) -> None:
        mine = pd.DataFrame(
            {
                "n": pd.array([1, None, 888], dtype="Int64"),
                "b": [True, False, True],
                "c": pd.Categorical(["NA", "NO", None]),
                "k": pd.Categorical([1, 2, 2]),
                "o": pd.Series([1, None, 2.5], dtype=object),
                "t": pd.Series(["NA", None, "x "], dtype=object),
                "d": pd.to_datetime(["2026-01-01", None, "2026-01-02"]),
            },
        ).set_axis([7, 7, 9])
        before = mine.copy(deep=True)
        source = source_from_frame(mine, labels={"n": {888: "refused"}})
        pd.testing.assert_frame_equal(mine, before)
        assert source.frame is not None
        assert [column.name for column in source.columns if column.numeric] == ["n", "b", "k", "o"]
        np.testing.assert_array_equal(source.frame["n"], [1, np.nan, 888])
        np.testing.assert_array_equal(source.frame["k"], [1, 2, 2])
        found = table(source)
        assert found["c"].tolist()[:2] == ["NA", "NO"]
        assert found["t"].tolist()[::2] == ["NA", "x"]
        assert found["c"].isna().tolist() == [False, False, True]
        assert found["d"].tolist()[0].startswith("2026-01-01")
        info = source.info("n")
        assert info is not None
        assert info.value_labels == {888: "refused"}

    def test_mixed_types_and_absent_columns_at_once_without_values(self) -> None:
        mine = pd.DataFrame({"a": [1, CANARY, 2], "b": [[1], [2], "x"], "c": [1, 2, 3]})
        with pytest.raises(InputError) as caught:
            source_from_frame(mine)
        assert [problem.code for problem in caught.value.problems] == ["E163", "E163"]
        assert "2 numbers, 1 text" in str(caught.value)
        assert CANARY not in str(caught.value)
        with pytest.raises(InputError, match="E132"):
            source_from_frame(mine, columns=["d"])

    def test_doubled_names(self) -> None:
        with pytest.raises(InputError, match=r"E190.*several columns"):
            source_from_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))
