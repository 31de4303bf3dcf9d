"""The house: imports point up only, files stay short, public names exist, nothing heavy loads early."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import riskmodels as rm
from riskmodels.provenance import hashes_of_code

ROOMS = [
    "errors",
    "vocabulary",
    "provenance",
    "survey",
    "design",
    "models",
    "fit",
    "estimates",
    "release",
    "report",
    "sensitivity",
    "reproduction",
    "families",
    "prevalence_result",
    "cooccurrence_result",
    "study_regression",
    "study_cooccurrence",
    "study_skills",
    "study",
    "cli_regression",
    "cli_cooccurrence",
    "cli",
]
ROOT = Path(rm.__file__).parent


def test_imports_point_up() -> None:
    rank = {room: place for place, room in enumerate(ROOMS)}
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                parts = name.split(".")
                if parts[0] == "riskmodels" and len(parts) > 1 and here in rank:
                    assert rank[parts[1]] <= rank[here], f"{path.name} imports {name}"


def test_files_stay_under_400_lines() -> None:
    long = [
        path.name
        for folder in (ROOT, ROOT.parent / "tests")
        for path in folder.rglob("*.py")
        if len(path.read_text().splitlines()) > 400
    ]
    assert long == []


def test_public_names_exist_and_are_documented() -> None:
    for name in rm.__all__:
        assert (getattr(rm, name).__doc__ or "").strip(), name


def test_calibration_certifies_the_code_at_hand() -> None:
    """Simulation-based calibration: nothing outside the 99.9 % band, coverage within the bands of 1,000 replicates."""
    results = [json.loads(path.read_text()) for path in sorted((ROOT.parent / "calibration").glob("*.json"))]
    assert {result["engine"] for result in results} == {"laplace", "nuts"}
    for result in results:
        changed = [name for name, digest in result["code_sha256"].items() if hashes_of_code(name) != {name: digest}]
        assert changed == [], f"run make calibrate again: the code has changed since {result['case']}"
        assert result["outside_the_band"] == [], result["case"]
        if result["engine"] == "laplace":
            assert result["replicates"] >= 1000
            for level, (low, high) in {"0.5": (0.448, 0.552), "0.9": (0.868, 0.930), "0.95": (0.926, 0.971)}.items():
                assert low <= result["coverage_of_cells"][level]["covered"] <= high, result["case"]


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, riskmodels; from riskmodels import cli; print([m for m in ('pymc', 'pandas', 'arviz_stats', 'nutpie', 'matplotlib') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_lock_holds_no_addresses() -> None:
    text = (ROOT.parent / "requirements.lock").read_text()
    assert "://" not in text
    assert text.count("--hash=sha256:") > text.count("==")


def test_coverage_study_certifies_the_code_at_hand() -> None:
    result = json.loads((ROOT.parent / "benchmarks" / "results" / "coverage_study.json").read_text())
    changed = [name for name, digest in result["code_sha256"].items() if hashes_of_code(name) != {name: digest}]
    assert changed == [], "run make coverage-study again: the code it certifies has changed"
    adjusted = result["counts each child once"]
    assert result["tables"] >= 50
    assert 0.85 <= adjusted["coverage_90_cells"] <= 0.95
    assert adjusted["rmse_model_points"] < adjusted["rmse_direct_points"]


def test_design_coverage_certifies_the_code_at_hand() -> None:
    """95 % intervals cover 93-97 % under clustered informative sampling; a fit that ignores the design fails."""
    result = json.loads((ROOT.parent / "benchmarks" / "results" / "design_coverage.json").read_text())
    changed = [name for name, digest in result["code_sha256"].items() if hashes_of_code(name) != {name: digest}]
    assert changed == [], "run python benchmarks/design_coverage.py again: the code it certifies has changed"
    assert result["surveys"] >= 1000
    for part in (value for name, value in result.items() if name.startswith("design effect")):
        for name in ("model", "model by gender"):
            assert 0.93 <= part[name]["0.95"]["covered"] <= 0.97
        assert part["design ignored"]["0.95"]["covered"] < 0.90


def test_regression_coverage_certifies_the_code_at_hand() -> None:
    """Children drawn one by one: the bands of 1,000 replicates. Clusters: ignored they show, adjusted for nearly not."""
    result = json.loads((ROOT.parent / "benchmarks" / "results" / "regression_coverage.json").read_text())
    changed = [name for name, digest in result["code_sha256"].items() if hashes_of_code(name) != {name: digest}]
    assert changed == [], "run python benchmarks/regression_coverage.py again: the code it certifies has changed"
    assert result["surveys"] >= 1000
    assert result["fits that failed the gate"] == 0
    for name, part in result["plain"].items():
        for level, (low, high) in {"0.5": (0.448, 0.552), "0.9": (0.868, 0.930), "0.95": (0.926, 0.971)}.items():
            assert low <= part[level]["covered"] <= high, name
    for name in ("age", "country intercepts", "marginal effect of age", "marginal effects of age by country"):
        assert result["unadjusted"][name]["0.95"]["covered"] < 0.85
    for name, part in result["adjusted"].items():
        assert 0.93 <= part["0.95"]["covered"] <= 0.97, name


def test_cooccurrence_coverage_certifies_the_code_at_hand() -> None:
    """Truths of other models: intervals of P(B given A) hold, the error is that of sampling; what fails is shown failing."""
    result = json.loads((ROOT.parent / "benchmarks" / "results" / "cooccurrence_coverage.json").read_text())
    changed = [name for name, digest in result["code_sha256"].items() if hashes_of_code(name) != {name: digest}]
    assert changed == [], "run python benchmarks/cooccurrence_coverage.py again: the code it certifies has changed"
    for truth in ("multivariate probit", "two factors"):
        part = result[truth]
        given = part["pairwise: P(B|A), countries"]
        assert 0.86 <= given["covered_90"] <= 0.94
        assert given["error_points"] <= 1.1 * given["sampling_limit_points"]
        assert part["one factor: P(B|A), countries"]["covered_90"] < given["covered_90"]
        alone = part["pairs alone: exactly k, all countries"]
        assert alone["covered_90"] < part["pairwise: exactly k, all countries"]["covered_90"]
