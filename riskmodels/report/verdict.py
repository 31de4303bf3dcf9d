"""The verdict on a survey file, on one page: terminal text, JSON and HTML. Problems only; no value of a child."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from riskmodels.errors import Problem
from riskmodels.report.export import SYNTHETIC_BANNER
from riskmodels.survey.checks.catalogue import RULES

#: What the first letter of a code means, in the order in which problems are shown.
SEVERITIES: dict[str, tuple[str, str, str]] = {
    "E": ("error", "errors", "nothing can be computed before these are mended"),
    "W": ("warning", "warnings", "read these beside every result"),
    "I": ("note", "notes", "worth knowing"),
}


@dataclass(frozen=True)
class Checked:
    """What was checked.

    Parameters
    ----------
    title
        Title of the study.
    file
        Name of the data file, without its folder.
    rows, eligible
        Rows read, and rows left after the eligibility rule.
    synthetic
        Whether the children are made up; shown as a banner.
    """

    title: str
    file: str
    rows: int
    eligible: int
    synthetic: bool = False

    @property
    def size(self) -> str:
        """Rows read and left, in words."""
        return f"{self.rows:,} rows read, {self.eligible:,} eligible"


def sort_problems(problems: Sequence[Problem]) -> list[Problem]:
    """Order problems: errors, warnings, notes; each by code."""
    order = list(SEVERITIES)
    return sorted(problems, key=lambda one: (order.index(one.code[0]), one.code))


def say_verdict(problems: Sequence[Problem]) -> str:
    """Give the verdict in one sentence.

    Examples
    --------
    >>> say_verdict([Problem("W143", "fewer than five countries", "KEN", 3, "read the prior sensitivity")])
    'Ready: no errors, 1 warning.'
    >>> say_verdict([])
    'Ready: nothing to mend.'
    """
    counts = {letter: sum(one.code[0] == letter for one in problems) for letter in SEVERITIES}
    if not problems:
        return "Ready: nothing to mend."
    words = [
        f"{count or 'no'} {SEVERITIES[letter][0 if count == 1 else 1]}"
        for letter, count in counts.items()
        if count or letter == "E"
    ]
    return f"{'Not ready' if counts['E'] else 'Ready'}: {', '.join(words)}."


def count_in_words(one: Problem) -> str:
    """Give the count with what it counts.

    Examples
    --------
    >>> count_in_words(Problem("W143", "fewer than five countries", "KEN", 3, "read the prior sensitivity"))
    '3 countries'
    """
    rule = RULES.get(one.code)
    return f"{one.count:,} {rule.unit[one.count != 1]}" if rule else f"{one.count:,}"


def render_text(problems: Sequence[Problem], checked: Checked, width: int = 100) -> str:
    """Render the verdict for a terminal.

    Parameters
    ----------
    problems
        What `check_survey` found.
    checked
        What was checked.
    width
        Columns of the terminal.

    Returns
    -------
    str
        Errors first; each problem with its code, what is wrong, where, how many, and the one thing to do.

    Examples
    --------
    >>> print(render_text([], Checked("A study", "a.sav", 1200, 1000)))
    A study
    a.sav: 1,200 rows read, 1,000 eligible
    Ready: nothing to mend.
    """
    lines = [f"*** {SYNTHETIC_BANNER} ***"] if checked.synthetic else []
    lines += [checked.title, f"{checked.file}: {checked.size}", say_verdict(problems)]
    for letter, (_, many, words) in SEVERITIES.items():
        chosen = [one for one in sort_problems(problems) if one.code[0] == letter]
        if chosen:
            lines += ["", f"{many.upper()} ({words})"]
        for one in chosen:
            lines += _wrapped(f"{one.code}  ", one.what, width)
            lines += _wrapped("      where: ", f"{one.where} ({count_in_words(one)})", width)
            lines += _wrapped("      -> ", one.remedy, width)
    return "\n".join(lines)


def _wrapped(start: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width, 40), initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
    ) or [start]


def render_json(problems: Sequence[Problem], checked: Checked) -> str:
    """Render the verdict as JSON, for other programs.

    Returns
    -------
    str
        An object with `title`, `file`, `rows`, `eligible`, `synthetic`, `ready`, `verdict`, and `problems`: a list of
        objects with `code`, `severity`, `what`, `where`, `count`, `unit` (what is counted), `remedy`.

    Examples
    --------
    >>> import json
    >>> json.loads(render_json([], Checked("A study", "a.sav", 1200, 1000)))["ready"]
    True
    """
    found: dict[str, Any] = {
        "title": checked.title,
        "file": checked.file,
        "rows": checked.rows,
        "eligible": checked.eligible,
        "synthetic": checked.synthetic,
        "ready": not any(one.stops for one in problems),
        "verdict": say_verdict(problems),
        "problems": [
            {
                "code": one.code,
                "severity": SEVERITIES[one.code[0]][0],
                "what": one.what,
                "where": one.where,
                "count": one.count,
                "unit": RULES[one.code].unit[1] if one.code in RULES else "",
                "remedy": one.remedy,
            }
            for one in sort_problems(problems)
        ],
    }
    return json.dumps(found, ensure_ascii=False, indent=2)


#: Runs of Hebrew, Arabic and kindred letters.
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]+(?:\\s+[\u0590-\u08ff\ufb1d-\ufefc]+)*")

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.45 "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1b1b1b; background: #fff;
       max-width: 62rem; margin: 1.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.45rem; margin: 0; }
.file { color: #555; margin: .15rem 0 1rem; overflow-wrap: anywhere; }
.banner { border: 2px dashed #b00020; color: #b00020; font-weight: 700; text-align: center; padding: .45rem;
          margin-bottom: 1rem; letter-spacing: .02em; }
.verdict { border-left: .4rem solid; padding: .55rem .8rem; font-size: 1.1rem; font-weight: 600; margin: 0 0 1.1rem; }
.stop { border-color: #b00020; background: #fdecee; } .ready { border-color: #1b6e3c; background: #eaf6ee; }
h2 { font-size: 1.05rem; margin: 1.2rem 0 .35rem; } h2 small { font-weight: 400; color: #555; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .4rem .55rem .4rem 0; border-bottom: 1px solid #ddd;
         overflow-wrap: break-word; }
th { font-size: .8rem; color: #555; font-weight: 600; border-bottom: 2px solid #999; }
.code { width: 4rem; font-weight: 700; white-space: nowrap; } .where { width: 26%; }
.count { width: 6.6rem; } .remedy { width: 26%; }
.E .code { color: #b00020; } .W .code { color: #8a5300; } .I .code { color: #37506b; }
footer { color: #555; font-size: .85rem; margin-top: 1.2rem; }
@media print { html { font-size: 10.5px; } body { font-size: 10.5px; line-height: 1.22; margin: 0; max-width: none; padding: 0; }
  th, td { padding: .16rem .5rem .16rem 0; } tr { break-inside: avoid; } h2 { break-after: avoid; margin-top: .7rem; } .verdict, .banner { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  @page { size: A4; margin: 11mm; } }
"""


def render_html(problems: Sequence[Problem], checked: Checked) -> str:
    """Render the verdict as a page of its own: no script, no other file, readable in print.

    Returns
    -------
    str
        An HTML document.

    Examples
    --------
    >>> "<script" in render_html([], Checked("A study", "a.sav", 1200, 1000))
    False
    """
    banner = f'<div class="banner">{escape(SYNTHETIC_BANNER)}</div>\n' if checked.synthetic else ""
    stops = any(one.stops for one in problems)
    tables = "".join(_section(letter, problems) for letter in SEVERITIES)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(checked.title)}: check of {escape(checked.file)}</title>
<style>{STYLE}</style></head>
<body>
{banner}<header><h1>{escape(checked.title)}</h1>
<p class="file">{escape(checked.file)}: {escape(checked.size)}</p></header>
<p class="verdict {"stop" if stops else "ready"}">{escape(say_verdict(problems))}</p>
{tables}<footer>Counts of answers by fewer than 10 children are not shown. No child's answer is on this page.</footer>
</body>
</html>
"""


def _html(text: str) -> str:
    """Escape, let long names break, and keep words from right to left from reordering the numbers beside them."""
    broken = re.sub(r"(?<=\w)([._])(?=\w)", r"\1<wbr>", escape(text))
    return RIGHT_TO_LEFT.sub(r"<bdi>\g<0></bdi>", broken)


def _section(letter: str, problems: Sequence[Problem]) -> str:
    chosen = [one for one in sort_problems(problems) if one.code[0] == letter]
    if not chosen:
        return ""
    _, many, words = SEVERITIES[letter]
    rows = "\n".join(
        f'<tr><td class="code">{escape(one.code)}</td><td>{_html(one.what)}</td><td class="where">{_html(one.where)}'
        f'</td><td class="count">{escape(count_in_words(one))}</td><td class="remedy">{escape(one.remedy)}</td></tr>'
        for one in chosen
    )
    return f"""<section class="{letter}"><h2>{many.capitalize()} <small>({escape(words)})</small></h2>
<table><thead><tr><th class="code">Code</th><th>What</th><th class="where">Where</th><th class="count">How many</th>
<th class="remedy">What to do</th></tr></thead>
<tbody>
{rows}
</tbody></table></section>
"""
