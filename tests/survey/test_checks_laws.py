"""Laws of the checks: no value in any message, order and names of codes do not matter, broken frames raise nothing else."""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from riskmodels.design.coding import MISSING_CODE, UNDECLARED, coded_select
from riskmodels.errors import InputError
from riskmodels.report.verdict import Checked, render_html, render_json, render_text
from riskmodels.survey.checks import check_survey, profile_source
from riskmodels.survey.codebook.records import Answers, Codebook, Condition, Indicator, Variable
from riskmodels.survey.source import ColumnInfo, SourceTable
from tests.survey.checked import COUNTRIES, MISSING, YES_NO, codebook, frame, problems, table
from tests.survey.test_checks import CASES

COLUMNS = tuple(frame())


def canaries(kind: str) -> pd.DataFrame:
    """Replace every value of the clean survey by one that stands nowhere else."""
    values = frame()
    size = len(values)
    made = {}
    for place, name in enumerate(values):
        numbers = 7_000_000 + 10_000 * place + np.arange(size)
        made[name] = numbers + 0.25 if kind == "number" else [f"canary{number}x" for number in numbers]
    return pd.DataFrame(made)


def reveals(text: str, values: pd.DataFrame) -> list[str]:
    """Values of a frame of canaries that a text holds, however it writes them."""
    plain = text.replace(",", "")
    return re.findall(r"canary\d*", plain) + re.findall(r"\b7\d{6}\b", plain)


@pytest.mark.parametrize("kind", ["number", "text"])
@pytest.mark.parametrize("eligibility", [True, False])
@pytest.mark.parametrize("declared", [True, False])
def test_no_value_in_any_message(kind: str, eligibility: bool, declared: bool) -> None:
    book = codebook()
    design = book.design if declared else replace(book.design, countries={})
    book = replace(book, design=design, synthetic=False, eligibility=book.eligibility if eligibility else ())
    values = canaries(kind)
    found = problems(values, book, by=("country", "gender"))
    assert len(found) >= 3
    text = "\n".join([*map(str, found), *(repr(one) for one in found)])
    checked = Checked("tiny", "tiny.csv", len(values), 0)
    text += render_text(found, checked) + render_html(found, checked) + render_json(found, checked)
    assert reveals(text, values) == []


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("kind", ["number", "text"])
def test_no_value_of_one_column_in_any_message(column: str, kind: str) -> None:
    """One column of canaries among good ones: rules further down the way are reached too."""
    values = frame()
    values[column] = canaries(kind)[column]
    assert reveals(str([*map(str, problems(values, codebook(eligibility=()), by=("country",)))]), values) == []


def test_an_error_that_the_database_raises_is_not_passed_on() -> None:
    values = frame().astype({"G1": object})
    values.loc[3, "G1"] = "canary1x"
    values.at[4, "G1"] = {"canary2x": 1}
    try:
        text = str(problems(values, codebook()))
    except InputError as error:
        assert error.__cause__ is None and error.__suppress_context__
        text = str(error)
    assert "canary" not in text


def test_counts_under_ten_of_answers_are_not_shown() -> None:
    values = frame()
    values.loc[values.index[[3, 4, 5]], "G2"] = 7.0
    values.loc[values.index[[6, 7]], "age"] = 99.0
    found = problems(values, codebook(eligibility=()))
    assert [one.code for one in found] == ["E160", "E166"]
    assert all("fewer than 10 rows" in one.what and one.count == 1 for one in found)
    assert not any(number in str(one) for one in found for number in ("3 rows", "2 rows", ": 7", "99"))


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(code: str, random: object) -> None:
    values = frame()
    values.loc[3:9, "G2"] = 7.0
    values.loc[20:24, "wgt"] = -1.0
    values.loc[30:34, "ea"] = 109.0
    values.loc[40:45, "id"] = "c00001"
    order = np.random.default_rng(random.randint(0, 2**31)).permutation(len(values))  # type: ignore[attr-defined]
    mixed = values.iloc[order].reset_index(drop=True)
    assert problems(mixed, codebook()) == problems(values, codebook())


@settings(max_examples=15, deadline=None)
@given(st.permutations(["1", "2", "3", "888", "999", "7"]), st.booleans())
def test_names_of_codes_do_not_matter(names: list[str], as_text: bool) -> None:
    """Codes renamed in the file and in the codebook alike: the same problems, but for the codes they name."""
    old = [1, 2, 3, 888, 999, 7]
    new = {code: (f"code {name}" if as_text else int(name)) for code, name in zip(old, names, strict=True)}
    values = frame()
    values.loc[3:30, "G2"] = 7.0
    renamed = values.assign(G2=values["G2"].map(new), G1=values["G1"].map(new))

    def book(codes: dict[int, object]) -> Codebook:
        levels = {level: tuple(codes[code] for code in group) for level, group in YES_NO.items()}
        missing = {kind: tuple(codes[code] for code in group) for kind, group in MISSING.items()}
        changed = {
            name: replace(codebook().indicators[name], answers=Answers(column, levels, missing))  # type: ignore[arg-type]
            for name, column in (("images", "G1"), ("threatened", "G2"))
        }
        return codebook(indicators={**codebook().indicators, **changed})

    first, second = problems(values, book({code: code for code in old})), problems(renamed, book(new))
    assert [(one.code, one.what, one.count) for one in first] == [(one.code, one.what, one.count) for one in second]
    assert [one.code for one in first] == ["E160"]
    assert second[0].where.endswith(f": {new[7]}")


VALUES = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 1000).map(float),
    st.text(string.printable, max_size=6),
    st.sampled_from(["", " ", "1", "01", "1,5", "2026-01-02", "1-Mar", "nan", "inf", "1e400", ".a", "NA", "False", "1.2E+11"]),
)  # fmt: skip


@st.composite
def broken_frames(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(0, 12))
    kept = draw(st.lists(st.sampled_from(COLUMNS), unique=True))
    values = frame().iloc[:size].reset_index(drop=True)[kept]
    for column in draw(st.lists(st.sampled_from(kept), unique=True)) if kept else []:
        kind = draw(st.sampled_from(["mixed", "number", "text", "whole", "truth", "date", "empty"]))
        drawn = draw(st.lists(VALUES, min_size=size, max_size=size))
        texts = pd.Series([None if value is None else str(value) for value in drawn], dtype="str")
        values[column] = {
            "mixed": pd.Series(drawn, dtype=object),
            "number": pd.to_numeric(pd.Series(texts), errors="coerce").astype(float),
            "text": texts,
            "whole": pd.Series(range(size), dtype="int64"),
            "truth": pd.Series([value is None for value in drawn], dtype=bool),
            "date": pd.Series(pd.Timestamp("2026-01-01"), index=range(size)),
            "empty": pd.Series([None] * size, dtype=object),
        }[kind]
    return values


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken_frames(), st.booleans(), st.booleans())
@example(pd.DataFrame(), False, False)
@example(pd.DataFrame({"G1": [b"\xff\xfe"], "wgt": [1e308]}), False, True)
def test_a_broken_frame_raises_nothing_but_input_errors(values: pd.DataFrame, eligibility: bool, numeric: bool) -> None:
    infos = {name: ColumnInfo(name, numeric=numeric, has_reason=numeric) for name in values}
    book = codebook() if eligibility else codebook(eligibility=())
    try:
        found = problems(values, book, infos, by=("country", "gender", "age"))
    except InputError as error:
        found = list(error.problems)
    assert all(one.what and one.where and one.remedy for one in found)


def coded_counts(book: Codebook, source: SourceTable, name: str) -> Counter[tuple[str | None, int]]:
    with source.connect() as connection:
        rows = connection.execute(
            f'SELECT country, "{name}", count(*) FROM ({coded_select(book, source, [name])}) GROUP BY ALL'
        ).fetchall()
    return Counter({(row[0], row[1]): row[2] for row in rows})


def profile_counts(book: Codebook, source: SourceTable, name: str) -> Counter[tuple[str | None, int]]:
    order = ("no", "yes") if name in book.indicators else tuple(book.variables[name].answers.levels)
    found: Counter[tuple[str | None, int]] = Counter()
    for tally in profile_source(source, book).answers[name]:
        reading = tally.reading
        code = (
            MISSING_CODE["not_asked"]
            if not tally.asked and reading.missing != "not_fielded"
            else order.index(reading.level)
            if reading.level is not None
            else MISSING_CODE[reading.missing]
            if reading.missing is not None
            else UNDECLARED
        )
        found[tally.country, code] += tally.rows if tally.eligible else 0
    return Counter({key: count for key, count in found.items() if count})


def book_to_read(draw_codes: list[object]) -> Codebook:
    one, two, three, four = draw_codes
    base = Answers("G1", {"no": (one,), "yes": (two, 2)}, {"dont_know": (three,), "not_asked": (four, ".b")})  # type: ignore[arg-type]
    elsewhere = Answers("G1", {"no": (two,), "yes": (one,)}, {"prefer_not_to_say": (".a",)})  # type: ignore[arg-type]
    images = Indicator("images", "Images", base, by_country={"UGA": elsewhere})
    grades = Variable("grade", "Grade", Answers("G2", {"low": (1, "x"), "high": (three, "01")}, {"dont_know": (".a",)}))  # type: ignore[arg-type]
    told = Indicator("told", "Told", base, asked_if=Condition("grade", ("low",)))
    later = Indicator(
        "later", "Later", Answers("G2", {"no": (1,), "yes": (2,)}), asked_if=Condition("told", ("yes", "no"))
    )
    return codebook(
        variables={**codebook().variables, "grade": grades},
        indicators={"images": images, "told": told, "later": later},
        eligibility=(),
    )


CODES = st.sampled_from([1, 2, 3.0, "1", "01", "x", " x", "7", ".a", 999, "1.0"])
CELLS = st.sampled_from([None, "1", "2", "3", " 2 ", "01", "1.0", "x", " x", "7", "999", "", "1e0", "nan"])


@settings(max_examples=60, deadline=None)
@given(st.lists(CODES, min_size=4, max_size=4), st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
def test_values_are_read_as_the_coding_reads_them(
    codes: list[object], cells: list[tuple[str | None, str | None]]
) -> None:
    values = pd.DataFrame({"country": ["UGA", "KEN"] * len(cells)})
    for place, name in enumerate(("G1", "G2")):
        values[name] = pd.Series([cell[place] for cell in cells for _ in range(2)], dtype="str")
    book, source = book_to_read(codes), table(values)
    book = replace(book, design=replace(book.design, weight=None, stratum=None, psu=None, child_id=None))
    for name in ("images", "grade", "told", "later"):
        assert profile_counts(book, source, name) == coded_counts(book, source, name)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(CODES, min_size=4, max_size=4),
    st.lists(st.sampled_from([1.0, 2.0, 3.0, 7.0, 999.0, None]), min_size=6, max_size=6),
)
def test_numbers_and_reasons_are_read_as_the_coding_reads_them(codes: list[object], cells: list[float | None]) -> None:
    reasons = [None if cell is not None else reason for cell, reason in zip(cells, [".a", ".b", None] * 2)]
    values = pd.DataFrame({"country": ["UGA", "KEN"] * 3, "G1": pd.Series(cells, dtype=float), "G2": 1.0})
    values["G1__reason"] = pd.Series(reasons, dtype="str")
    infos = {"G1": ColumnInfo("G1", has_reason=True)}
    book = book_to_read(codes)
    book = replace(book, design=replace(book.design, weight=None, stratum=None, psu=None, child_id=None))
    for name in ("images", "told"):
        assert profile_counts(book, table(values, infos), name) == coded_counts(book, table(values, infos), name)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_gives_the_problems_of_its_frame(tmp_path: Path, suffix: str) -> None:
    values = frame()
    values.loc[3:30, "G2"] = 7.0
    values.loc[20:24, "wgt"] = -1.0
    path = tmp_path / f"tiny.{suffix}"
    with duckdb.connect() as connection:
        connection.register("t", values)
        connection.execute(f"COPY t TO '{path}' (FORMAT {suffix})")
    infos = tuple(ColumnInfo(name, numeric=suffix == "parquet" and values[name].dtype == float) for name in values)
    source = SourceTable(infos, None, path, suffix, tuple(values), delimiter="," if suffix == "csv" else "")
    assert check_survey(profile_source(source, codebook()), codebook(), source) == problems(values, codebook())


def test_columns_with_many_values_are_counted_by_kind() -> None:
    """Income: too many values to keep, yet its missing codes, its range and stray text are seen."""
    size = 3000
    income = np.arange(size, dtype=float) + 0.5
    income[:20] = 888888.0
    income[20:40] = -4.0
    values = pd.DataFrame(
        {"country": np.resize(list(COUNTRIES), size), "income": income, "G1": [f"free text {k}" for k in range(size)]}
    )
    design = replace(codebook().design, weight=None, stratum=None, psu=None, child_id=None)
    variable = Variable("income", "Income", Answers("income", {}, {"dont_know": (888888,)}), low=0, high=5000)
    images = codebook().indicators["images"]
    book = codebook(design=design, variables={"income": variable}, indicators={"images": images}, eligibility=())
    profile = profile_source(table(values), book)
    kept = {tally.reading.missing: tally.rows for tally in profile.analysed("income") if tally.reading.missing}
    assert sum(tally.rows for tally in profile.analysed("income")) == size
    assert kept and all(count > 0 for count in kept.values())
    found = {one.code: one for one in check_survey(profile, book, table(values))}
    assert set(found) == {"E160", "E166"}
    assert "20 rows outside 0 to 5000" in found["E166"].what
    assert "1 or more codes on 3,000 rows" in found["E160"].what
    as_text = values.assign(income=values["income"].map("{:g}".format))
    as_text.loc[50:70, "income"] = "much"
    as_text.loc[80:99, "income"] = "12,5"
    assert {one.code for one in problems(as_text, book)} == {"E160", "E163", "E166", "E173"}


def test_a_hundred_thousand_clean_rows_of_forty_columns_have_no_problem() -> None:
    """Large enough that several threads read; how long it takes is measured in benchmarks/collapse_scale.py."""
    size, random = 100_000, np.random.default_rng(7)
    values = pd.concat([frame()] * (size // 720 + 1), ignore_index=True).iloc[:size].drop(columns="area")
    values = values.assign(id=np.arange(size, dtype=float), wgt=random.uniform(0.5, 1.5, size))
    more = {f"X{place}": random.choice([1.0, 1.0, 2.0, 888.0], size) for place in range(29)}
    values = pd.concat([values, pd.DataFrame(more)], axis=1)
    extra = {name.lower(): Indicator(name.lower(), name, Answers(name, YES_NO, MISSING)) for name in more}
    variables = {name: part for name, part in codebook().variables.items() if name != "area"}
    book = codebook(indicators={**codebook().indicators, **extra}, variables=variables)
    assert len(book.columns()) == 40
    source = table(values)
    assert check_survey(profile_source(source, book), book, source) == []
