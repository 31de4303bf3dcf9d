"""Codebooks: what the format means, and every fault of a file named at its place, all at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from riskmodels.errors import InputError, Problem
from riskmodels.survey.codebook.read import codebook_from_toml, read_codebook
from riskmodels.survey.codebook.records import Answers, Codebook, Condition
from riskmodels.survey.codebook.rules import check_codebook

EXAMPLE = Path(__file__).parent / "example_study.toml"

HEAD = """
[study]
id = "s"
population = "p"
file = "f.sav"
[design]
one_country = "KEN"
"""
GENDER = '[variables.gender]\ncolumn = "Q2"\nlevels = { boy = [1], girl = [2] }\n'
SHARED = '[indicators.shared]\ncolumn = "G4"\nyes = [1]\nno = [2]\n'


@pytest.fixture(scope="module")
def example() -> Codebook:
    return read_codebook(EXAMPLE)


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        codebook_from_toml(text)
    return caught.value.problems


def test_study_design_and_eligibility(example: Codebook) -> None:
    assert (example.study_id, example.synthetic, example.file) == ("example-2026", True, "survey.sav")
    assert Path(example.folder) == EXAMPLE.parent
    assert list(example.design.countries.items()) == [("1", "AVL"), ("2", "BRD"), ("03", "CÔR")]
    assert example.design.replicates is not None
    assert example.design.replicates.rscales == (0.5, 0.5, 1.0)
    assert example.eligibility == (
        Condition("age", low=12, high=17),
        Condition("uses_internet", ("yes",)),
        Condition("area", ("urban", "rural")),
    )


def test_variables_keep_the_order_of_levels_and_know_numbers(example: Codebook) -> None:
    assert [name for name, one in example.variables.items() if one.is_number] == ["age", "worry"]
    area = example.variables["area"]
    assert area.factor.levels == ("urban", "peri-urban", "rural")
    assert area.factor.labels == ("Urban", "peri-urban", "rural")
    assert example.variables["skill_privacy"].asked_if == Condition("age", low=12)


def test_a_country_replaces_only_the_keys_it_gives(example: Codebook) -> None:
    assert example.variables["age"].by_country["BRD"] == Answers(
        "Q1_years", {}, {"prefer_not_to_say": (888,), "system_missing": (-1,)}
    )
    assert example.variables["gender"].by_country["BRD"] == Answers("sex", {"boy": ("M", "m"), "girl": ("F",)}, {})
    assert example.variables["area"].by_country["AVL"].levels["peri-urban"] == ()
    shared = example.indicators["images_shared"]
    assert shared.answers is not None
    assert shared.by_country["BRD"] == Answers("G4c", {"no": (2,), "yes": (1,)}, shared.answers.missing)
    assert shared.by_country["CÔR"] == Answers("G4c_cor", shared.answers.levels, {"dont_know": ("DK",)})


def test_follow_ups_become_indicators_after_their_parent(example: Codebook) -> None:
    names = list(example.indicators)
    first = names.index("images_shared")
    assert names[first + 1 : first + 4] == [
        f"images_shared.channel.{option}" for option in ("social_media", "online_game", "in_person")
    ]
    media = example.indicators["images_shared.channel.social_media"]
    assert (media.follows, media.dimension, media.label) == ("images_shared", "channel", "On social media")
    assert media.asked_if == Condition("images_shared", ("yes",))
    assert (media.base, media.recall, media.sensitive) == ("all asked", "past year", True)
    assert media.answers == Answers("G4c_where_1", {"no": (0,), "yes": (1,)}, {"dont_know": (999,)})
    told = example.indicators["images_shared.told.police"]
    assert (told.base, told.recall, told.sensitive) == ("valid answers", "ever", False)
    in_person = example.indicators["images_shared.channel.in_person"]
    assert in_person.answers == Answers("G4c_where_3", {"no": (0,), "yes": (1,)}, {})
    assert in_person.by_country["AVL"] == Answers("G4c_where_face", {"no": ("n",), "yes": ("y",)}, {})
    assert example.response_sets["images_shared.told"] == ("images_shared.told.friend", "images_shared.told.police")


def test_response_sets_of_their_own(example: Codebook) -> None:
    assert example.response_sets["devices"] == ("devices.phone", "devices.computer")
    phone = example.indicators["devices.phone"]
    assert (phone.follows, phone.dimension, phone.base, phone.sensitive) == (None, None, "valid answers", False)
    assert phone.asked_if == Condition("uses_internet", ("yes",))


def test_columns_name_everything_once(example: Codebook) -> None:
    columns = example.columns()
    assert len(set(columns)) == len(columns)
    assert {"country", "wgt_scaled", "rep2", "sex", "G4c_cor", "G4c_where_face", "D_2"} <= set(columns)


@pytest.mark.parametrize(
    ("text", "code", "where", "remedy"),
    [
        (HEAD.replace("population", "populaton"), "E195", "study.populaton", "did you mean population"),
        (HEAD + "[variabels.x]\n", "E195", "variabels", "did you mean variables"),
        (HEAD.replace('"p"', "3"), "E195", "study.population", "quotes"),
        (HEAD.replace('"p"', '" "'), "E195", "study.population", "mend"),
        (HEAD.replace("[design]", "[x]"), "E195", "design", "add [design]"),
        (HEAD.replace('"s"', '"a/../b"'), "E195", "study.id", "letters"),
        (HEAD.replace("KEN", "KEX"), "E172", "design.one_country", "KEN"),
        (HEAD.replace("KEN", "NO"), "E172", "design.one_country", "synthetic"),
        (HEAD + 'country = "c"', "E195", "design", "one country"),
        (HEAD.replace('one_country = "KEN"', ""), "E195", "design", "country column"),
        (HEAD + "lonely_psu = true", "E195", "design.lonely_psu", "'certainty'"),
        (HEAD + 'country_labels = { UGA = "Uganda" }', "E145", "design.country_labels.UGA", "declare"),
        (HEAD + 'replicates = { columns = ["a"], kind = "brr" }', "E195", "design.replicates.columns", "all their"),
        (HEAD + 'replicates = { columns = ["a", "b"], kind = "fay" }', "E195", "design.replicates.fay", "manual"),
        (HEAD + 'replicates = { columns = ["a", "a"], kind = "brr" }', "E150", "design.replicates.columns", "once"),
        (HEAD + 'replicates = { columns = ["a", "b"], kind = "jackknife-n" }', "E195", "design.replicates", "factor"),
        (HEAD + '[variables.estimate]\ncolumn = "x"', "E195", "variables.estimate", "rename"),
        (HEAD + '[variables.country]\ncolumn = "x"', "E195", "variables.country", "rename"),
        (HEAD + '[variables."a b"]\ncolumn = "x"', "E195", 'variables."a b"', "rename"),
        (HEAD + '[variables.x]\ncolumn = "x"\nlevels = { all = [1] }', "E195", "variables.x.levels.all", "rename"),
        (HEAD + '[variables.x]\ncolumn = "x"\nlevels = { dont_know = [1] }', "E195", "levels.dont_know", "missing"),
        (HEAD + '[variables.x]\ncolumn = "x"\nlevels = { a = [true] }', "E195", "variables.x.levels.a", "mend"),
        (HEAD + '[variables.x]\ncolumn = "x"\nlevels = { a = [nan] }', "E195", "variables.x.levels.a", "mend"),
        (HEAD + '[variables.x]\ncolumn = "x"\nlevels = { a = [] }', "E195", "variables.x.levels.a", "mend"),
        (HEAD + '[variables.x]\ncolumn = "x"\nlow = 3\nhigh = 2', "E195", "variables.x", "lower end"),
        (HEAD + '[variables.x]\ncolumn = "x"\nordered = true', "E195", "variables.x.ordered", "levels"),
        (HEAD + GENDER + "low = 1", "E195", "variables.gender", "leave out one"),
        (HEAD + GENDER + 'labels = { boi = "B" }', "E145", "variables.gender.labels.boi", "did you mean boy"),
        (HEAD + GENDER + 'dimension = "sex"', "E195", "variables.gender.dimension", "'gender'"),
        (HEAD + GENDER.replace("[2]", "[2, 1.0]"), "E150", "variables.gender", "one thing"),
        (HEAD + GENDER + 'missing = { dont_know = ["2"] }', "E150", "variables.gender", "one thing"),
        (HEAD + GENDER + "missing = { dontknow = [9] }", "E195", "gender.missing.dontknow", "did you mean dont_know"),
        (HEAD + GENDER + "by_country.KEN.levels = { boy = [3] }", "E195", "gender.by_country.KEN.levels", "girl too"),
        (HEAD + GENDER + "by_country.KEN.missing = { dont_know = [2] }", "E150", "gender.by_country.KEN", "one thing"),
        (HEAD + GENDER + 'by_country.UGA.column = "q"', "E145", "gender.by_country.UGA", "declare"),
        (HEAD + GENDER + "by_country.KEN = {}", "E195", "gender.by_country.KEN", "differs"),
        (HEAD + SHARED.replace("no = [2]", ""), "E195", "indicators.shared", "add no"),
        (HEAD + SHARED.replace("[2]", "[1]"), "E150", "indicators.shared", "one thing"),
        (HEAD + SHARED.replace("[1]", "[1, 1]"), "E150", "indicators.shared", "once"),
        (HEAD + SHARED + 'base = "everyone"', "E195", "indicators.shared.base", "'valid answers'"),
        (HEAD + SHARED + "sensitive = 1", "E195", "indicators.shared.sensitive", "true or false"),
        (HEAD + SHARED + 'any_of = ["b"]', "E195", "indicators.shared.column", "leave out one"),
        (HEAD + SHARED + '[indicators.a]\nany_of = ["shred"]', "E145", "indicators.a.any_of", "did you mean shared"),
        (HEAD + '[indicators.a]\nany_of = ["a"]', "E195", "a", "take one of them out"),
        (HEAD + SHARED + "asked_if = { gender = ['boy'] }", "E145", "indicators.shared.asked_if", "declare"),
        (HEAD + GENDER + SHARED + "asked_if = { gender = ['bot'] }", "E145", "indicators.shared.asked_if", "boy"),
        (
            HEAD + GENDER + SHARED + "asked_if = { gender = { low = 1 } }",
            "E195",
            "indicators.shared.asked_if",
            "levels",
        ),
        (HEAD + SHARED + "asked_if = {}", "E195", "indicators.shared.asked_if", "name one"),
        (HEAD + SHARED + "follow_ups.were.yes = [1]", "E195", "indicators.shared.follow_ups.were", "channel"),
        (HEAD + SHARED + "follow_ups.told.options.a = { column = 'x' }", "E195", "told.options.a", "beside options"),
        (HEAD + "[variables.shared]\ncolumn = 'x'\n" + SHARED, "E150", "indicators.shared", "rename"),
        (HEAD + "[scales.s]\nitems = ['a', 'b']", "E145", "scales.s.items", "declare"),
        (HEAD + GENDER + "[scales.s]\nitems = ['gender', 'gender']", "E150", "scales.s.items", "once"),
        (HEAD + "[eligibility]\nage = { low = 12 }", "E145", "eligibility.age", "declare"),
        (HEAD + SHARED + "[eligibility]\nshared = ['Yes']", "E145", "eligibility.shared", "yes"),
        (HEAD + "[eligibility]\nx.a.b = ['yes']", "E195", "eligibility.x.a", "quotes"),
    ],
)
def test_each_fault_is_named_at_its_place(text: str, code: str, where: str, remedy: str) -> None:
    found = problems_of(text)
    assert any(p.code == code and p.where.endswith(where) and remedy in p.remedy for p in found), found


def test_two_options_that_read_the_same_answer() -> None:
    options = "{ a = { column = 'x' }, b = { column = 'x' } }"
    text = f"{HEAD}[response_sets.r]\nyes = [1]\nno = [0]\noptions = {options}"
    assert [p.code for p in problems_of(text)] == ["E150"]


def test_scale_items_must_be_countable() -> None:
    three = '[variables.{0}]\ncolumn = "x"\nlevels = {{ a = [1], b = [2], c = [3] }}\n{1}\n'
    scale = '[scales.s]\nitems = ["p", "q"]\n'
    found = problems_of(HEAD + three.format("p", "") + three.format("q", "ordered = true") + scale)
    assert [(p.code, p.what.split()[0]) for p in found] == [("E195", "p")]
    number = '[variables.q]\ncolumn = "x"\n'
    found = problems_of(HEAD + three.format("p", "ordered = true") + number + scale + 'reverse = ["q"]')
    assert "low and high" in found[0].remedy
    codebook_from_toml(HEAD + three.format("p", "ordered = true") + number + scale)


def test_circles_are_found_across_any_of_and_asked_if() -> None:
    text = (
        SHARED + "asked_if = { any = ['yes'] }\n[indicators.any]\nany_of = ['shared']\n[indicators.b]\nany_of = ['b']"
    )
    found = problems_of(HEAD + text)
    assert [(p.code, p.count) for p in found] == [("E195", 2), ("E195", 1)]


def test_all_faults_at_once_and_no_noise_about_faulty_tables() -> None:
    text = HEAD.replace("KEN", "XXX") + GENDER.replace("column", "colum") + SHARED + "asked_if = { gender = ['boy'] }\n"
    found = problems_of(text + "[scales.s]\nitems = ['gender', 'shared']\n[indicators.c]\nyes = 3\ncolumn = 'a'")
    assert sorted((p.code, p.where) for p in found) == [
        ("E145", "scales.s.items"),
        ("E172", "design.one_country"),
        ("E195", "indicators.c.yes"),
        ("E195", "variables.gender.colum"),
        ("E195", "variables.gender.column"),
    ]


def test_a_synthetic_study_may_invent_countries_but_not_pooled_ones() -> None:
    invented = HEAD.replace("KEN", "Avalon")
    assert problems_of(invented)[0].code == "E172"
    assert codebook_from_toml(invented.replace("[design]", "synthetic = true\n[design]")).design.one_country == "Avalon"
    pooled = HEAD.replace("KEN", "ALL").replace("[design]", "synthetic = true\n[design]")
    assert problems_of(pooled)[0].code == "E172"


@pytest.mark.parametrize(
    ("content", "where", "remedy"),
    [
        (b'[study]\nid = "a\n', "line 2", "quotes"),
        (b"[study]\nid = sav\n", "line 2", "texts need quotes"),
        (b"[study]\nid = 'a'\nid = 'b'\n", "line 3", "twice"),
        (b"[study]\n[study]\n", "line 2", "twice"),
        (b"\xff\xfe[\x00s\x00", "line 1", "UTF-8"),
        (b"[study]\ntitle = 'N\xe4'", "line 2", "UTF-8"),
        (b"$FL2@(#) SPSS DATA FILE\x00\x01", "line 1", ""),
        (b"a = " + b"[" * 50_000, "study.toml", "nested"),
        (b"a = " + b"9" * 5_000, "study.toml", "digits"),
        (b"#" * 4_000_001, "study.toml", "data file"),
    ],
)
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes, where: str, remedy: str) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_codebook(tmp_path / "study.toml")
    (problem,) = caught.value.problems
    assert problem.code == "E190"
    assert problem.where.startswith(where)
    assert remedy in problem.remedy


def test_an_absent_file_and_a_byte_order_mark(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E190  there is no such file"):
        read_codebook(tmp_path / "none.toml")
    with pytest.raises(InputError, match="E190  the file cannot be opened"):
        read_codebook(tmp_path)
    (tmp_path / "bom.toml").write_text(HEAD, encoding="utf-8-sig")
    assert read_codebook(tmp_path / "bom.toml").study_id == "s"


def test_a_data_file_named_by_mistake_shows_no_content(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text("id,answer\n1,canary7731\ncanary7731 = 'canary7731\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_codebook(tmp_path / "study.csv")
    assert "canary" not in str(caught.value)


def test_values_never_stand_in_messages() -> None:
    document = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    document["study"]["population"] = ["canary7731"]
    document["variables"]["gender"]["ordered"] = "canary7731"
    document["variables"]["area"]["dimension"] = "canary7731"
    document["indicators"]["threatened"]["yes"] = [{"x": "canary7731"}]
    assert "canary" not in "".join(map(str, problems_of(tomli_w.dumps(document))))


def test_endless_faults_are_cut(example: Codebook) -> None:
    text = HEAD + "".join(f'[variables.v{i}]\ncolum = "{i}"\n' for i in range(3000))
    assert len(problems_of(text)) == 201
    assert list(check_codebook(example)) == []


def test_what_is_left_out_is_cautious_and_follow_ups_inherit() -> None:
    plain = codebook_from_toml(HEAD + SHARED).indicators["shared"]
    assert (plain.sensitive, plain.base, plain.recall, plain.label) == (True, "all asked", "", "shared")
    follow = "follow_ups.told = { yes = [1], no = [0], options = { a = { column = 'x' } } }"
    about = "base = 'valid answers'\nrecall = 'ever'\nsensitive = false\n"
    option = codebook_from_toml(HEAD + SHARED + about + follow).indicators["shared.told.a"]
    assert (option.sensitive, option.base, option.recall, option.label) == (False, "valid answers", "ever", "a")
    assert codebook_from_toml(HEAD).synthetic is False


def test_an_unknown_key_hides_no_other_fault_of_its_table() -> None:
    found = problems_of(HEAD + '[variables.x]\ncolumn = "c"\nlow = 3\nhigh = 2\nlabell = "X"')
    assert [p.where for p in found] == ["variables.x.labell", "variables.x"]
