"""The one-page verdict, and the page that lists every code."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import riskmodels as rm
from riskmodels.errors import Problem
from riskmodels.report.export import SYNTHETIC_BANNER
from riskmodels.report.verdict import Checked, render_html, render_json, render_text
from riskmodels.survey.checks.catalogue import RULES
from tests.survey.test_checks import CASES

ROOT = Path(rm.__file__).parent
DOCS = (ROOT.parent / "docs" / "checks.md").read_text(encoding="utf-8")
CHECKED = Checked("Children <online>", "a&b.sav", 1200, 1000, synthetic=True)
FOUND = [
    Problem("I171", "names beyond plain letters", "Q2", 1, "nothing to do"),
    Problem("W143", "fewer than five countries", "KEN, UGA", 2, "read the prior sensitivity"),
    Problem("E110", "negative weights <0", "wgt & co", 1, "mend them"),
    Problem("E190", "truncated", "a.sav", 1, "fetch it again"),
]


class Page(HTMLParser):
    """Collect the text of a page, its tags, and whether each that was opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "wbr"):
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells[-1] += data


def test_text_puts_errors_first_and_says_what_to_do() -> None:
    text = render_text(FOUND, CHECKED, width=60)
    assert [line[:4] for line in text.splitlines() if re.match(r"[EWI]\d", line)] == ["E110", "E190", "W143", "I171"]
    assert "Not ready: 2 errors, 1 warning, 1 note." in text
    assert "1,200 rows read, 1,000 eligible" in text
    assert "wgt & co (1 row)" in text and "KEN, UGA (2 countries)" in text and "-> mend them" in text
    assert max(map(len, text.splitlines()[1:])) <= 60
    assert text.startswith(f"*** {SYNTHETIC_BANNER}")


def test_only_made_up_children_carry_the_banner() -> None:
    real = Checked("A", "a.sav", 10, 10)
    assert all(SYNTHETIC_BANNER not in render([], real) for render in (render_text, render_html, render_json))
    assert SYNTHETIC_BANNER in render_html([], CHECKED).replace("&#x27;", "'")


def test_html_is_one_page_of_its_own() -> None:
    page = render_html(FOUND, CHECKED)
    parsed = Page(page)
    assert parsed.open == []
    assert not {"script", "link", "img", "iframe"} & set(parsed.tags) and "url(" not in page and "://" not in page
    assert parsed.cells[:5] == ["E110", "negative weights <0", "wgt & co", "1 row", "mend them"]
    assert parsed.cells[::5] == ["E110", "E190", "W143", "I171"]
    assert "Children &lt;online&gt;" in page and "a&amp;b.sav" in page


def test_right_to_left_names_do_not_move_the_numbers_beside_them() -> None:
    page = render_html([Problem("W114", "totals \u0632\u0647\u0631\u0627 252", "wgt", 1, "compare")], CHECKED)
    assert "totals <bdi>\u0632\u0647\u0631\u0627</bdi> 252" in page


def test_json_holds_what_the_page_shows() -> None:
    read = json.loads(render_json(FOUND, CHECKED))
    assert (read["ready"], read["rows"], read["eligible"], read["synthetic"]) == (False, 1200, 1000, True)
    assert [one["code"] for one in read["problems"]] == ["E110", "E190", "W143", "I171"]
    assert (
        Problem(**{name: read["problems"][0][name] for name in ("code", "what", "where", "count", "remedy")})
        == FOUND[2]
    )
    assert json.loads(render_json(FOUND[:2], CHECKED))["ready"] is True


def documented() -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in DOCS.splitlines() if re.match(r"\| [EWI]\d{3} \|", line)]
    codes = [row[0] for row in rows]
    assert len(codes) == len(set(codes)), "a code has two lines"
    return {row[0]: row[1:] for row in rows}


def test_every_code_has_its_line_and_a_test_that_triggers_it() -> None:
    lines = documented()
    assert set(CASES) == set(RULES)
    assert {code: lines[code][:2] for code in RULES} == {code: [rule.what, rule.remedy] for code, rule in RULES.items()}


def test_every_code_of_the_package_has_a_line() -> None:
    raised = {code for path in ROOT.rglob("*.py") for code in re.findall(r'"([EWI]\d{3})"', path.read_text())}
    assert raised - set(documented()) == set()


def test_every_code_says_something_else() -> None:
    assert len({rule.what for rule in RULES.values()}) == len(RULES)
    assert len({words[0] for words in documented().values()}) == len(documented())
