"""Ten thousand broken codebooks: only InputError is ever raised, and none hangs."""

from __future__ import annotations

import copy
import datetime
import random
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from riskmodels.errors import InputError
from riskmodels.survey.codebook.read import codebook_from_toml, read_codebook
from riskmodels.survey.codebook.write import codebook_to_toml

GOOD = (Path(__file__).parent / "example_study.toml").read_text(encoding="utf-8")
REAL = GOOD.replace("AVL", "KEN").replace("BRD", "NAM").replace("CÔR", "NOR").replace("synthetic = true", "")
VALUES = (
    "true", "[]", "{}", "nan", "-inf", "1e999", "9" * 400, "9" * 5000, "-0.0", "2026-01-01", "07:32:00", '""', '" "',
    '"\\u0000"', '"\\u202e"', '"' + "x" * 3000 + '"', "[[1]]", "[{}]", "{ a = { b = { c = [1] } } }", "[1, 'a', 2.5]",
    "'all'", "['yes']", "{ low = 1 }", "{ low = nan }", "['images_shared']", "['ocsea_any', 'formal_help']", "0x1F", "''",
    "[" * 300 + "]" * 300, "[true]", "[1, 1.0, '1']", "'ALL'", "'KEN'", '"""\na\n"""',
)  # fmt: skip
KEYS = (
    "column", "levels", "missing", "asked_if", "any_of", "by_country", "follow_ups", "options", "yes", "no", "low", "é",
    '""', '"a.b"', "a.b.c", "\u202e", "labels", "items", "country", "one_country", "countries", ".".join("a" * 2000),
)  # fmt: skip
LETTERS = "[]{}=\"',.#\n\t\\ \x00\x07\u00e9\u202e\U0001f600\ufeff09eE+-_"


def lines_of(text: str) -> list[str]:
    return text.split("\n")


def delete_line(text: str, rng: random.Random) -> str:
    lines = lines_of(text)
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def copy_line(text: str, rng: random.Random) -> str:
    lines = lines_of(text)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return "\n".join(lines)


def change_value(text: str, rng: random.Random) -> str:
    lines = lines_of(text)
    place = rng.choice([i for i, line in enumerate(lines) if " = " in line] or [0])
    lines[place] = f"{lines[place].partition(' = ')[0]} = {rng.choice(VALUES)}"
    return "\n".join(lines)


def change_key(text: str, rng: random.Random) -> str:
    lines = lines_of(text)
    place = rng.choice([i for i, line in enumerate(lines) if " = " in line] or [0])
    lines[place] = f"{rng.choice(KEYS)} = {lines[place].partition(' = ')[2]}"
    return "\n".join(lines)


def add_line(text: str, rng: random.Random) -> str:
    lines = lines_of(text)
    key, value = rng.choice(KEYS), rng.choice(VALUES)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice([f"{key} = {value}", f"[{key}]", f"[[{key}]]"]))
    return "\n".join(lines)


def change_heading(text: str, rng: random.Random) -> str:
    lines = lines_of(text)
    place = rng.choice([i for i, line in enumerate(lines) if line.startswith("[")] or [0])
    parts = lines[place].strip("[]").split(".")
    parts.insert(rng.randrange(len(parts) + 1), rng.choice(KEYS))
    lines[place] = f"[{'.'.join(rng.sample(parts, rng.randint(1, len(parts))))}]"
    return "\n".join(lines)


def change_letters(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(LETTERS) + text[place + rng.randint(0, 2) :]
    return text


def swap_words(text: str, rng: random.Random) -> str:
    names = [
        "images_shared",
        "gender",
        "age",
        "uses_internet",
        "ocsea_any",
        "KEN",
        "NAM",
        "boy",
        "yes",
        "1",
        "true",
        "false",
    ]
    return text.replace(rng.choice(names), rng.choice(names), rng.randint(1, 4))


def cut(text: str, rng: random.Random) -> str:
    start = rng.randrange(len(text))
    return text[: rng.randrange(len(text))] if rng.random() < 0.5 else text[:start] + text[start + 200 :]


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    delete_line, copy_line, change_value, change_value, change_key, add_line, change_heading, change_letters, swap_words,
    cut,
)  # fmt: skip


JUNK = (
    True, 0, -1, 3, 2**70, 1.5, float("nan"), float("inf"), "", " ", "x", "all", "yes", "KEN", "a\nb", [], [[]], {}, {"": 1},
    [1], [1, 1], ["yes"], ["images_shared"], ["gender", "age"], {"low": 1}, {"low": 9, "high": 1}, {"gender": ["boy"]},
    {"x": {"column": "c"}}, {"dont_know": [1]}, datetime.date(2026, 1, 1), [{"a": [1]}],
)  # fmt: skip


def tables_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = [document]
    for table in found:
        found += [value for value in table.values() if isinstance(value, dict)]
    return found


def mutated_document(text: str, rng: random.Random) -> str:
    """Valid TOML with wrong contents: values replaced, keys renamed, dropped and added, tables moved elsewhere."""
    document = tomllib.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        tables = tables_in(document)
        table = rng.choice([one for one in tables if one] or [document])
        key = rng.choice(list(table) or ["study"])
        action = rng.randrange(5)
        if action == 0:
            table[key] = copy.deepcopy(rng.choice(JUNK))
        elif action == 1:
            table.pop(key, None)
        elif action == 2:
            table[rng.choice(KEYS[:-1])] = copy.deepcopy(rng.choice((*JUNK, table.get(key, 1))))
        elif action == 3:
            table[rng.choice(KEYS[:-1])] = table.pop(key, 1)
        else:
            table[key] = copy.deepcopy(rng.choice(tables))
    return tomli_w.dumps(document)


def broken_text(seed: int) -> str:
    rng = random.Random(seed)
    if seed % 4 > 1:
        return mutated_document(GOOD if seed % 2 else REAL, rng)
    text = GOOD if seed % 2 else REAL
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        text = rng.choice(MUTATIONS)(text or GOOD, rng)
    return text


def fuzz(seeds: range, folder: Path) -> dict[str, int]:
    """Read every broken text, now and then as random bytes of a file; count what came of it."""
    counts: dict[str, int] = {"read": 0}
    for seed in seeds:
        text = broken_text(seed)
        began = time.perf_counter()
        try:
            if seed % 10 == 0:
                raw = bytearray(text.encode("utf-8") or b"a")
                rng = random.Random(-seed)
                for _ in range(rng.randint(1, 20)):
                    raw[rng.randrange(len(raw))] = rng.randrange(256)
                (folder / "broken.toml").write_bytes(raw)
                codebook = read_codebook(folder / "broken.toml")
            else:
                codebook = codebook_from_toml(text)
            assert codebook_from_toml(codebook_to_toml(codebook), codebook.folder) == codebook, seed
            counts["read"] += 1
        except InputError as error:
            assert error.problems, seed
            assert all(problem.where and problem.remedy and problem.what for problem in error.problems), seed
            assert str(error).count("\n") == len(error.problems), seed
            for code in {problem.code for problem in error.problems}:
                counts[code] = counts.get(code, 0) + 1
        assert time.perf_counter() - began < 5, f"seed {seed} took too long"
    return counts


def test_broken_codebooks_raise_only_input_errors(tmp_path: Path) -> None:
    counts = fuzz(range(300), tmp_path)
    assert set(counts) >= {"read", "E190", "E195", "E145", "E150", "E172"}


@pytest.mark.slow
def test_ten_thousand_broken_codebooks(tmp_path: Path) -> None:
    counts = fuzz(range(1_000, 11_000), tmp_path)
    print(counts)
    assert sum(count for code, count in counts.items() if code != "read") > 5_000


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 500_000) + " = 1",
        "[" + ".".join(["'a'"] * 300_000) + "]",
        "a" * 3_900_000,
        '"' * 3_900_000,
        "a = '" + "." * 3_900_000,
        'a = "' + r"\n" * 1_900_000 + '"',
        "a = [" + "{}," * 300_000 + "]",
        "[[a]]\n" * 100_000,
        "a.b = 1\n" * 10,
        "".join(f"[a{'.b' * (i % 90)}.c{i}]\n" for i in range(3_000)),
        "a = " + "{ b = " * 200 + "1" + " }" * 200,
        "".join(f'[indicators.i{i}]\nany_of = ["i{(i + 1) % 2000}"]\n' for i in range(2_000)),
        "".join(f'[indicators.i{i}]\nany_of = ["j{i}"]\n' for i in range(5_000)),
        "".join(f'[variables.v{i}]\ncolumn = "c"\nlow = {i}\n' for i in range(20_000)),
        "[variables.v]\ncolumn = 'c'\nlevels = {" + ", ".join(f"l{i} = [{i}, 7]" for i in range(5_000)) + "}",
    ],
)
def test_large_and_deep_texts_do_not_hang(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(InputError):
        codebook_from_toml(text)
    assert time.perf_counter() - began < 20
