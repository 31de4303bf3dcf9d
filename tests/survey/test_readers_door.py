"""What is said of files that cannot be read: name, size, what they should be, what they look like, and no answer."""

from __future__ import annotations

import os
import sqlite3
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskmodels.errors import InputError, Problem
from riskmodels.survey.readers import list_columns, names, read_source
from riskmodels.survey.readers.signatures import kind_of
from tests.survey.reader_files import CANARY, DECLARED, WRITERS, children, write_csv, write_dta, write_sav


def refused(path: Path, encoding: str | None = None) -> Problem:
    with pytest.raises(InputError) as caught:
        read_source(path, encoding=encoding)
    assert CANARY not in str(caught.value)
    stopping = [problem for problem in caught.value.problems if problem.stops]
    assert len(stopping) == 1
    assert path.name in stopping[0].where
    return stopping[0]


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", CANARY)


def _database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()


LOOKALIKES = {
    "ZIP": _zip,
    "SQLite": _database,
    "PDF": lambda path: path.write_bytes(b"%PDF-1.7\n%\xe2\xe3"),
    "HTML": lambda path: path.write_text(f"\n <!DOCTYPE html><p>{CANARY}"),
    "plain text": lambda path: path.write_text(f"country,age\n{CANARY},1\n"),
    "old Excel": lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50)),
    "gzip": lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(50)),
    "nothing that is known": lambda path: path.write_bytes(bytes(range(256))),
    "portable": lambda path: path.write_text("ASCII SPSS PORT FILE".ljust(40) * 5),
    "password": lambda path: path.write_bytes(b"\x1c" + bytes(7) + b"ENCRYPTEDSAV" + bytes(40)),
}


@pytest.mark.parametrize("ending", [".sav", ".dta", ".parquet"])
@pytest.mark.parametrize("kind", sorted(LOOKALIKES))
def test_other_kinds_of_file_are_named(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"survey{ending}"
    LOOKALIKES[kind](path)
    problem = refused(path)
    assert problem.code == "E190"
    assert kind in problem.what
    assert ending in problem.what
    assert "bytes" in problem.what or "MB" in problem.what


@pytest.mark.parametrize("kind", ["ZIP", "SQLite", "PDF", "HTML", "old Excel", "gzip", "portable", "password"])
def test_other_kinds_of_file_named_csv(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "survey.csv"
    LOOKALIKES[kind](path)
    assert kind in refused(path).what


@pytest.mark.parametrize("true", sorted(WRITERS))
@pytest.mark.parametrize("false", sorted(WRITERS))
def test_renamed_files(tmp_path: Path, true: str, false: str) -> None:
    path = WRITERS[true](tmp_path / f"survey{true}").rename(tmp_path / f"renamed{false}")
    if true == false or {true, false} == {".sav", ".zsav"}:
        assert len(read_source(path).columns) == 5
    else:
        problem = refused(path)
        assert problem.code == "E190"
        assert f"rename it to end in {true.replace('.z', '.')}" in problem.remedy


def test_a_header_that_spells_a_magic_number_is_text(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("PKEY,PAR1\nx,y\n")
    assert read_source(tmp_path / "s.csv").all_columns == ("PKEY", "PAR1")


def test_missing_empty_folder_unknown_ending(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.sav").what
    (tmp_path / "empty.dta").touch()
    assert "empty (0 bytes)" in refused(tmp_path / "empty.dta").what
    (tmp_path / "folder.csv").mkdir()
    assert "folder" in refused(tmp_path / "folder.csv").what
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04" + bytes(30))
    assert "ZIP" in refused(tmp_path / "book.xlsx").what
    (tmp_path / "old.por").write_text("x")
    assert "why an answer is missing" in refused(tmp_path / "old.por").what
    os.mkfifo(tmp_path / "pipe.sav")
    assert "ordinary" in refused(tmp_path / "pipe.sav").what


@pytest.mark.parametrize("ending", [".sav", ".zsav", ".dta", ".parquet"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path: Path, ending: str, share: float) -> None:
    data = WRITERS[ending](tmp_path / f"whole{ending}").read_bytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(data[: int(share * len(data))])
    problem = refused(path)
    assert problem.code == "E190"
    assert "cannot be read" in problem.what


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    """Names of Stata columns stand in fixed fields: make the second the same as the first."""
    path = tmp_path / "s.dta"
    pd.DataFrame({"aaa": [1.0], "bbb": [2.0]}).to_stata(path, write_index=False, version=118)
    path.write_bytes(path.read_bytes().replace(b"bbb", b"aaa"))
    assert refused(path).what == "two columns have the same name"


def test_garbled_labels_stop_and_a_chosen_encoding_warns(tmp_path: Path) -> None:
    path = write_sav(tmp_path / "s.sav", children().rename(columns={"age": "año".encode().decode("latin-1")}))
    problem = refused(path)
    assert problem.code == "E170"
    assert 'encoding="utf-8"' in problem.remedy
    assert "W170" in [note.code for note in read_source(path, encoding="utf-8").notes]


def test_old_stata_files_in_cyrillic(tmp_path: Path) -> None:
    """Before version 14 Stata named no encoding: Cyrillic arrives as western accents and is never let pass."""
    label = "Возраст ребёнка"
    pd.DataFrame({"age": [1.0, 2.0]}).to_stata(
        tmp_path / "s.dta",
        version=114,
        write_index=False,
        variable_labels={"age": label.encode("cp1251").decode("latin-1")},
    )
    problem = refused(tmp_path / "s.dta")
    assert problem.code == "E170"
    assert "windows-1251" in problem.remedy
    source = read_source(tmp_path / "s.dta", encoding="windows-1251")
    assert source.columns[0].label == label
    assert not [note for note in source.notes if note.code == "W170"]


@pytest.mark.parametrize("ending", [".sav", ".dta"])
def test_text_that_does_not_fit_its_encoding(tmp_path: Path, ending: str) -> None:
    path = (write_sav if ending == ".sav" else write_dta)(tmp_path / f"s{ending}")
    broken = path.read_bytes().replace("País".encode(), b"Pa\xff\xffs")
    path.write_bytes(broken)
    assert refused(path).code == "E170"
    path.write_bytes(WRITERS[ending](path).read_bytes())
    assert refused(path, encoding="klingon").code == "E170"


@given(st.text(min_size=1, max_size=30))
def test_western_reading_of_utf8_is_always_seen(text: str) -> None:
    """Law: whatever is not ASCII, stored as UTF-8 and read as Latin-1, is called garbled."""
    if not text.isascii() and text.isprintable():
        assert names.proposed_encoding([text.encode().decode("latin-1")])[1] == 1


@pytest.mark.parametrize(
    "text", ["¿Edad? Año", "Zażółć gęślą jaźń", "Ngôn ngữ", "Возраст", "عمر", "Größe", "naïveté", "Côte d'Ivoire", "İ"]
)
def test_honest_labels_pass(text: str) -> None:
    assert names.proposed_encoding([text]) == ("", 0)


@given(st.binary(max_size=600))
def test_any_first_bytes_have_a_kind(head: bytes) -> None:
    assert kind_of(head)


def test_every_format_lists_its_columns(tmp_path: Path) -> None:
    assert list_columns(write_csv(tmp_path / "s.csv")).all_columns == tuple(children().columns)
    assert [c.name for c in list_columns(write_sav(tmp_path / "s.sav")).columns][:3] == list(DECLARED)
