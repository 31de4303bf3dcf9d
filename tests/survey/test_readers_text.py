"""CSV: nothing is guessed in silence. Parquet: types come from the schema. Neither is read into memory."""

from __future__ import annotations

import traceback
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from riskmodels.errors import InputError
from riskmodels.survey.readers import delimited, read_source, reading
from tests.survey.reader_files import CANARY, write_csv, write_parquet
from tests.survey.test_readers import table


def refused(path: Path, **options: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_source(path, **options)  # type: ignore[arg-type]
    assert CANARY not in str(caught.value)
    return [f"{problem.code} {problem.what} {problem.where} {problem.remedy}" for problem in caught.value.problems]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_delimiter_and_mark_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    source = read_source(write_csv(tmp_path / "s.csv", delimiter, encoding), ["country", "G4c"])
    assert source.frame is None
    assert source.delimiter == delimiter
    assert source.all_columns == ("country", "G4c", "age", "seen", "note")
    assert table(source)["G4c"].tolist()[:4] == ["1.0", "2.0", "888.0", "999.0"]
    assert table(source).dtypes.astype(str).unique().tolist() == ["str"]


def test_decimal_commas_and_quoted_fields_do_not_fool_the_sniffer(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b'weight;label;age\r\n1,5;"a;b ""c"", d";13\r\n0,7;"line\none";14\r\n')
    source = read_source(path)
    assert source.delimiter == ";"
    assert table(source).to_numpy().tolist() == [["1,5", 'a;b "c", d', "13"], ["0,7", "line\none", "14"]]


def test_leading_zeros_and_one_column_survive(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("id\n007\nNA\n1e5\ntrue\n")
    assert table(read_source(tmp_path / "s.csv"))["id"].tolist() == ["007", "NA", "1e5", "true"]


@pytest.mark.parametrize("name", ["s[1].csv", "s*.csv", "it's (2).csv", "año ?.csv"])
def test_the_file_named_is_the_file_read(tmp_path: Path, name: str) -> None:
    """A browser's `s[1].csv` is a search pattern to SQL, which would open `s1.csv` instead."""
    for other in ("s1.csv", "s2.csv", "año x.csv"):
        (tmp_path / other).write_text("country\nWRONG\n")
    (tmp_path / name).write_text("country\nKEN\n")
    assert table(read_source(tmp_path / name))["country"].tolist() == ["KEN"]


@pytest.mark.parametrize(
    ("text", "encoding", "proposal"),
    [
        ("año,país\n1,España\n", "cp1252", "windows-1252"),
        ("страна,возраст\n1,Россия\n", "cp1251", "windows-1251"),
        ("country,age\nKEN,13\n", "utf-16", "utf-16"),
    ],
)
def test_other_encodings_are_proposed_then_read(tmp_path: Path, text: str, encoding: str, proposal: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text, encoding=encoding)
    (message,) = refused(path)
    assert message.startswith("E170")
    assert proposal in message
    found = table(read_source(path, encoding=encoding))
    assert [list(found.columns), found.iloc[0].tolist()] == [row.split(",") for row in text.split()]


def test_encodings_that_cannot_be(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "s.csv")
    assert refused(path, encoding="klingon")[0].startswith("E170 the encoding named is not known")
    path.write_bytes(b"a,b\n" + "aé".encode("cp1252") + b",1\n")
    assert refused(path, encoding="utf-8")[0].startswith("E170")
    path.write_bytes(b"a,b\n\x81\x8d,1\n")
    assert refused(path, encoding="cp1252")[0].startswith("E170")


def test_a_byte_that_is_not_utf8_is_found_far_into_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a letter lies across two blocks, which is no fault."""
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 7)
    good = "a,b\n" + "é,ü\n" * 50
    (tmp_path / "s.csv").write_text(good, encoding="utf-8")
    assert len(table(read_source(tmp_path / "s.csv"))) == 50
    (tmp_path / "s.csv").write_bytes(good.encode() + b"\xe9,1\n")
    assert f"from byte {len(good.encode()) + 1:,} on" in refused(tmp_path / "s.csv")[0]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,a", "same name stands over several columns"),
        ("a,,b", "columns without a name"),
        ("a,a,", "columns without a name"),
        (f"KEN,13,{CANARY}", "numbers where names"),
    ],
)
def test_headers(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(f"{header}\n1,2,3\n")
    messages = refused(tmp_path / "s.csv")
    assert any(message in found and found.startswith("E190") for found in messages)
    assert len(messages) == (2 if header == "a,a," else 1)


@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_misshapen_lines_are_named_by_number(tmp_path: Path, encoding: str | None) -> None:
    (tmp_path / "s.csv").write_text(f"a,b\n1,2\n{CANARY}\n4,5,{CANARY}\n6,7\n", encoding=encoding or "utf-8")
    (message,) = refused(tmp_path / "s.csv", **({"encoding": encoding} if encoding else {}))
    assert "lines 3, 4" in message


def test_a_line_broken_after_the_door_shows_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database quotes the line it stumbles over; `reading` does not."""
    monkeypatch.setattr(delimited, "CHECKED_WHOLE_BYTES", 0)
    (tmp_path / "s.csv").write_text(f"a,b\n1,2\n{CANARY}\n")
    with pytest.raises(InputError) as caught:
        table(read_source(tmp_path / "s.csv"))
    assert caught.value.problems[0].code == "E190"
    assert CANARY not in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value, chain=True))


def test_header_alone_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a,b\n")
    assert len(table(read_source(tmp_path / "s.csv"))) == 0


def test_parquet_types(tmp_path: Path) -> None:
    source = read_source(write_parquet(tmp_path / "s.parquet"))
    assert source.frame is None
    assert {c.name: c.numeric for c in source.columns} == {
        "country": False,
        "G4c": True,
        "age": True,
        "seen": False,
        "note": False,
    }


def test_parquet_ignores_what_pandas_stored(tmp_path: Path) -> None:
    """An index stored beside the columns is one more column to SQL, and is not in the table unless asked for."""
    frame = pd.DataFrame({"country": pd.Categorical(["NA", "NO"])}, index=pd.Index([5, 6], name="child"))
    frame.to_parquet(tmp_path / "s.parquet")
    source = read_source(tmp_path / "s.parquet", ["country"])
    assert table(source).to_dict("list") == {"country": ["NA", "NO"]}
    assert source.all_columns == ("country", "child")


def test_parquet_of_lists_is_refused_and_only_if_declared(tmp_path: Path) -> None:
    content = pa.table({"a": [1], "b": [[1, 2]], "c": [{"x": 1}], "d": [b"x"]})
    pq.write_table(content, tmp_path / "s.parquet")
    messages = refused(tmp_path / "s.parquet")
    assert [message[:4] for message in messages] == ["E163"] * 3
    assert table(read_source(tmp_path / "s.parquet", ["a"]))["a"].tolist() == [1]


def test_parquet_broken_inside_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    pd.DataFrame({"a": [f"{CANARY}{k}" for k in range(2000)]}).to_parquet(path)
    data = bytearray(path.read_bytes())
    data[40:400] = bytes(360)
    path.write_bytes(bytes(data))
    source = read_source(path)
    with pytest.raises(InputError, match="E190") as caught, reading(source):
        source.connect().execute("SELECT * FROM source").fetchall()
    assert CANARY not in str(caught.value)
