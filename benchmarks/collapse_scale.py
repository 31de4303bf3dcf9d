"""How long millions of children take to become cells: 10 and 100 million Parquet rows, and the checks of 100,000.

    python benchmarks/collapse_scale.py [LARGEST_IN_MILLIONS]

SYNTHETIC rows of 13 countries, 40 PSUs each, with nine items. Each size runs in a process of its own, whose peak memory is
kept; results must equal those of the same rows read as a frame (at the smallest size). Writes
benchmarks/results/collapse_scale.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from riskmodels.design.collapse import collapse
from riskmodels.design.survey_cells import cells_of_survey
from riskmodels.provenance import hashes_of_code, installed_versions
from riskmodels.survey.checks import check_survey, profile_source
from riskmodels.survey.codebook.records import Answers, Codebook, DesignColumns, Indicator, Variable
from riskmodels.survey.readers import read_source, source_from_frame

RESULTS = Path(__file__).parent / "results" / "collapse_scale.json"
ITEMS = "abcdefghi"
MISSING = {"prefer_not_to_say": (888,), "dont_know": (999,)}
CODEBOOK = Codebook(
    study_id="scale",
    title="SYNTHETIC",
    population="made-up children",
    file="scale.parquet",
    synthetic=True,
    design=DesignColumns(
        country="cntry", countries={str(k): f"C{k:02d}" for k in range(1, 14)}, weight="wgt", stratum="strat", psu="ea"
    ),
    variables={
        "gender": Variable("gender", "Gender", Answers("q_gender", {"boy": (1,), "girl": (2,)})),
        "age": Variable("age", "Age", Answers("q_age", {}, MISSING), low=12, high=17),
    },
    indicators={
        item: Indicator(item, item, Answers(f"q_{item}", {"no": (1,), "yes": (2,)}, MISSING)) for item in ITEMS
    },
)


def write_rows(rows: int, path: Path) -> None:
    """Made-up rows, written by SQL."""
    items = ", ".join(
        f"(CASE WHEN hash(i * 31 + {k}) % 100 < 5 THEN 888 WHEN hash(i * 37 + {k}) % 100 < 3 THEN 999 "
        f"WHEN hash(i * 41 + {k}) % 100 < 10 THEN 2 ELSE 1 END)::DOUBLE AS q_{item}"
        for k, item in enumerate(ITEMS)
    )
    duckdb.sql(
        f"COPY (SELECT (1 + i % 13)::DOUBLE AS cntry, (10 * (1 + i % 13) + (i // 13) % 2)::DOUBLE AS strat, "
        f"((i // 13) % 40)::DOUBLE AS ea, 0.5 + (hash(i) % 1000) / 1000.0 AS wgt, (1 + hash(i + 7) % 2)::DOUBLE AS q_gender, "
        f"(12 + hash(i + 9) % 6)::DOUBLE AS q_age, {items} FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)"
    )


def timed(path: Path, indicators: str, by: list[str]) -> dict[str, float]:
    """Seconds from the file to cells, in this process."""
    start = time.perf_counter()
    source = read_source(path, CODEBOOK.columns())
    cells = cells_of_survey(collapse(CODEBOOK, source, list(indicators), by))
    return {"seconds": round(time.perf_counter() - start, 2), "cells": len(cells)}


def in_a_process(path: Path, indicators: str, by: str) -> dict[str, float]:
    """The same in a fresh process, with its peak memory."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import collapse_scale as c, json, resource; "
        f"from pathlib import Path; r = c.timed(Path({str(path)!r}), {indicators!r}, {by.split(',')!r}); "
        "r['peak_gigabytes'] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2); print(json.dumps(r))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def check_speed(path: Path) -> dict[str, float]:
    """Seconds of all checks, from a file and from a frame; the median of five."""
    source = read_source(path, CODEBOOK.columns())
    with source.connect() as connection:
        frame = source_from_frame(connection.execute("SELECT * FROM source").df())
    found = {}
    for name, own in (("file", source), ("frame", frame)):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            check_survey(profile_source(own, CODEBOOK), CODEBOOK, own)
            seconds.append(time.perf_counter() - start)
        found[f"seconds_of_checks_{name}"] = round(float(np.median(seconds)), 2)
    return found


def main(largest: int) -> None:
    """Measure every size and store what was found."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in (100_000, 10_000_000, largest * 1_000_000):
            path = Path(folder) / f"{rows}.parquet"
            write_rows(rows, path)
            part: dict[str, object] = {"megabytes": round(path.stat().st_size / 1e6)}
            if rows == 100_000:
                source = read_source(path, CODEBOOK.columns())
                with source.connect() as connection:
                    frame = source_from_frame(connection.execute("SELECT * FROM source").df())
                hashes = {
                    cells_of_survey(collapse(CODEBOOK, own, list("abc"), ["gender"])).content_hash
                    for own in (source, frame)
                }
                part["file_and_frame_give_the_same_cells"] = len(hashes) == 1
                part |= check_speed(path)
            part["one indicator by gender"] = in_a_process(path, "a", "gender")
            part["nine indicators by gender and age"] = in_a_process(path, ITEMS, "gender,age")
            found[f"{rows:,} rows"] = part
            print(json.dumps({f"{rows:,} rows": part}), flush=True)
            path.unlink()
    code = hashes_of_code("design/coding.py", "design/collapse.py", "design/survey_cells.py", "survey/checks")
    RESULTS.write_text(json.dumps({**found, "versions": installed_versions(), "code_sha256": code}, indent=1) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
