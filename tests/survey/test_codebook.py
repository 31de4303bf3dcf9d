"""Codebooks: every key means what the docs say, everything wrong is told at once, nothing else than InputError."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import jsonschema
import pytest

from riskmodels.errors import InputError
from riskmodels.survey.codebook.read import codebook_from_toml, read_codebook
from riskmodels.survey.codebook.records import Answers, Condition
from riskmodels.survey.codebook.schema import codebook_schema, key_tables

EXAMPLE = Path(__file__).with_name("example_study.toml")
TEXT = EXAMPLE.read_text()


def problems(text: str) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        codebook_from_toml(text)
    return {problem.code: str(problem) for problem in caught.value.problems}


def test_every_key_of_the_example() -> None:
    book = read_codebook(EXAMPLE)
    assert book.study_id == "example-2026"
    assert book.synthetic
    assert book.eligibility == (Condition("age", low=12, high=17), Condition("online", ("yes",)))
    assert book.design.replicates is not None
    assert book.design.replicates.columns == ("rw1", "rw2")
    assert list(book.design.countries.values()) == ["KEN", "NAM", "VNM"]
    gender = book.variables["gender"]
    assert gender.factor.labels == ("Boys", "Girls")
    assert gender.answers.missing == {"prefer_not_to_say": (888, ".a")}
    assert book.variables["age"].is_number
    assert book.variables["skill_block"].by_country["NAM"].levels["never"] == (3,)
    item = book.indicators["images_shared"]
    assert item.by_country["VNM"] == Answers("G4c_vn", {"no": ("khong",), "yes": ("co",)}, item.answers.missing)  # type: ignore[union-attr]
    assert book.response_sets["images_shared.channel"] == (
        "images_shared.channel.social_media",
        "images_shared.channel.in_person",
    )
    channel = book.indicators["images_shared.channel.social_media"]
    assert (channel.follows, channel.dimension) == ("images_shared", "channel")
    assert channel.asked_if == Condition("images_shared", ("yes",))
    assert channel.base == "all asked"
    assert channel.recall == "past year"
    assert channel.label.endswith("On social media")
    assert book.indicators["ocsea_any"].any_of == ("images_shared", "offered_money")
    assert book.indicators["help_known.helpline"].label == "Where children would turn: A helpline"
    assert book.scales["skills"].reverse == ("skill_block",)
    columns = book.columns()
    assert len(columns) == len(set(columns))
    assert {"cntry", "rw2", "G4c_vn", "G4c_t1", "H2", "S2"} <= set(columns)


def test_schema_accepts_the_example_and_explains_itself() -> None:
    schema = codebook_schema()
    jsonschema.validate(tomllib.loads(TEXT), schema)
    text = json.dumps(schema)
    assert "Denominator: all asked, or valid answers only." in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"study": {"id": "x", "file": "y", "colour": 1}}, schema)


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ('id = "example-2026"', "id = ", "E190", "line 2"),
        ("weight = ", "wieght = ", "E195", "weight"),
        ("low = 9", "low = [9]", "E195", "variables.age.low"),
        ('any_of = ["images_shared"', 'any_of = ["image_shared"', "E145", "images_shared"),
        ("items = [", 'items = ["skil_report", ', "E145", "skill_report"),
        ("asked_if = { online", "asked_if = { onlin", "E145", "online"),
        ('asked_if = { online = ["yes"] }', 'asked_if = { online = ["maybe"] }', "E145", "choose among no, yes"),
        ("yes = [2, 3, 4, 5]\nno = [1]\nasked_if", "yes = [1, 2]\nno = [1]\nasked_if", "E150", "means two things"),
        ("[variables.online]", "[variables.images_shared]", "E150", "stands for two things"),
        ("[variables.online]", "[variables.weight]", "E195", "weight"),
        ("low = 9\nhigh = 17", "low = 19\nhigh = 17", "E195", "low exceeds high"),
        ("synthetic = true", "synthetic = false\n", "", ""),
        ('3 = "VNM"', '3 = "XXX"', "E145", "VNM"),
        ('any_of = ["images_shared", "offered_money"]', 'any_of = ["ocsea_any"]', "E195", "rests on itself"),
        (
            '[indicators.offered_money]\ncolumn = "G4d"',
            "[indicators.offered_money]",
            "E195",
            "either a column or any_of",
        ),
        ('kind = "bootstrap"', 'kind = "jackknife-n"', "E195", "rscales"),
        ('labels = { boy = "Boys"', 'labels = { boys = "Boys"', "E145", "labels for levels"),
        ("at_least = 2", "at_least = 5", "E195", "at_least exceeds"),
        ("any_of = [", 'asked_if = { online = ["yes"] }\nany_of = [', "E195", "ocsea_any.asked_if"),
    ],
)
def test_each_fault_is_named(old: str, new: str, code: str, says: str) -> None:
    assert TEXT.count(old) >= 1
    text = TEXT.replace(old, new, 1)
    if not code:
        assert codebook_from_toml(text).synthetic is False
        return
    assert says in problems(text)[code]


def test_real_studies_need_real_countries() -> None:
    text = TEXT.replace("synthetic = true", "synthetic = false").replace("KEN", "AXA")
    assert "AXA" in problems(text)["E172"]
    assert codebook_from_toml(TEXT.replace("KEN", "AXA")).design.countries["1"] == "AXA"


def test_all_faults_at_once() -> None:
    text = TEXT.replace("at_least = 2", "at_least = 5").replace("asked_if = { online", "asked_if = { onlin")
    text = text.replace('any_of = ["images_shared"', 'any_of = ["image_shared"')
    with pytest.raises(InputError) as caught:
        codebook_from_toml(text)
    assert len(caught.value.problems) == 3


def broken(text: str, rng: random.Random) -> str:
    """One codebook, broken in one to four ways."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] = lines[at].replace("=", rng.choice(["", "==", "= =", ":"]), 1)
            case 3:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
            case 4:
                head = lines[at].split("=")[0]
                values = [
                    "1e400",
                    "[]",
                    "{}",
                    "true",
                    '""',
                    "-1",
                    "9" * 400,
                    "nan",
                    '[["a"]]',
                    "1979-05-27",
                    '"\\u0000"',
                    "{a.b.c=1}",
                ]
                lines[at] = f"{head} = {rng.choice(values)}"
            case 5:
                place = rng.randrange(len(lines[at]) + 1)
                lines[at] = (
                    lines[at][:place]
                    + chr(rng.choice([0, 9, 34, 39, 91, 93, 0x202E, 0x1F600, rng.randrange(1, 0xD7FF)]))
                    + lines[at][place:]
                )
            case 6:
                lines[at] = f"[{'.'.join(['a'] * rng.randint(1, 300))}]"
            case _:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
        if not lines:
            break
    return "\n".join(lines)


def only_input_errors(count: int, seed: int) -> int:
    rng, refused = random.Random(seed), 0
    for _ in range(count):
        try:
            codebook_from_toml(broken(TEXT, rng))
        except InputError as error:
            refused += 1
            assert error.problems
    return refused


def test_broken_codebooks_raise_nothing_else() -> None:
    assert only_input_errors(300, 1) > 150


@pytest.mark.slow
def test_ten_thousand_broken_codebooks() -> None:
    assert only_input_errors(10_000, 2) > 5_000


def test_files_that_are_no_codebooks(tmp_path: Path) -> None:
    for name, content in (("a.toml", b"\xff\xfe\x00"), ("b.toml", b"a" * 6_000_000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="E190"):
            read_codebook(tmp_path / name)
    with pytest.raises(InputError, match="E190"):
        read_codebook(tmp_path / "absent.toml")
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert read_codebook(tmp_path / "c.toml").study_id == "example-2026"


def test_docs_list_every_key_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "codebook.md").read_text()
    assert page.endswith(key_tables().rstrip() + "\n")
    example = (
        page.split("```toml\n")[1]
        .split("```")[0]
        .replace('any_of = ["images_shared", "offered_money"]', 'any_of = ["images_shared"]')
    )
    assert len(codebook_from_toml(example).indicators) == 4
