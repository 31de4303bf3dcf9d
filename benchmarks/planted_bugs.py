"""Fourteen bugs planted one at a time in a copy of the package: do the tests see them?

    python benchmarks/planted_bugs.py

Writes benchmarks/results/planted_bugs.json. A bug counts as caught when the tests of models, engine and recovery fail.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "planted_bugs.json"
TESTS = [
    "tests/test_laplace.py",
    "tests/test_models.py",
    "tests/test_engine_choice.py",
    "tests/test_recovery.py",
    "tests/test_estimates.py",
]

BUGS = {
    "sign of the softplus in the likelihood": (
        "models/cell_likelihood.py",
        "- self.n[:, None] @ softplus",
        "+ self.n[:, None] @ softplus",
    ),
    "SD taken for a variance": (
        "models/latent.py",
        'scale[at] *= np.sqrt(value) if latent.hypers[position].kind == "mixing" else value',
        "scale[at] *= np.sqrt(value)",
    ),
    "missing Jacobian of the partial correlations": (
        "models/hyperparameters.py",
        "+ (size - 2 - columns) / 2",
        "+ (size - 2 - columns) / 2 - 1",
    ),
    "inverted importance weights": (
        "fit/weighting.py",
        "array_stats.psislw(-log_weights)",
        "array_stats.psislw(log_weights)",
    ),
    "log determinant of the proposal forgotten": (
        "fit/laplace/integration.py",
        "log_heavy((noise**2).sum(axis=0), len(noise)) - 0.5 * log_determinant(self.root)",
        "log_heavy((noise**2).sum(axis=0), len(noise))",
    ),
    "country of a cell off by one": (
        "models/latent.py",
        "return groups * counts.max() + within, int(counts.max())",
        "return (groups + 1) % len(counts) * counts.max() + within, int(counts.max())",
    ),
    "hyperprior left out of the weight": (
        "fit/laplace/integration.py",
        "fixed = log_hyper_prior(latent.hypers, zeta) - proposal.log_density(zeta)",
        "fixed = -proposal.log_density(zeta)",
    ),
    "remainder of the link left out": (
        "fit/laplace/integration.py",
        "log_weight = log_countries + moved.log_link + remainder - moved.log_proposal",
        "log_weight = log_countries + moved.log_link - moved.log_proposal",
    ),
    "zero-sum constraint not restored": (
        "fit/laplace/integration.py",
        "w - mean[:, None], log_weight))",
        "w, log_weight))",
    ),
    "split scales of the proposal swapped": (
        "fit/laplace/hyperposterior.py",
        "z = z / np.where(z < 0, self.left[:, None], self.right[:, None])",
        "z = z / np.where(z < 0, self.right[:, None], self.left[:, None])",
    ),
    "prior mean of the intercept dropped": ("models/latent.py", "mean[at] = effect.mean", "mean[at] = 0.0"),
    "half-normal taken for a normal quantile": (
        "models/hyperparameters.py",
        "upper = 0.5 * special.ndtr(-zeta)",
        "upper = special.ndtr(-zeta)",
    ),
    "trend used as exchangeable levels": (
        "models/latent.py",
        "basis = trend_basis(levels) if trend else zero_sum_basis(levels)",
        "basis = zero_sum_basis(levels)",
    ),
    "weights ignored in a summary": (
        "estimates/summarise.py",
        "    mean = own @ flat\n",
        "    mean = flat.mean(axis=0)\n",
    ),
}


def caught(file: str, right: str, wrong: str) -> str:
    """First test that fails with the bug planted, or an empty string."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", ".*_cache"))
        path = copy / "riskmodels" / file
        text = path.read_text()
        if text.count(right) != 1:
            raise SystemExit(f"{file}: the line to break is not there once: {right}")
        path.write_text(text.replace(right, wrong))
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-m", "not fit and not slow", *TESTS],
            cwd=copy,
            env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin", "HOME": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        failed = [line for line in ended.stdout.splitlines() if line.startswith("FAILED")]
        return failed[0].split(" ")[1] if ended.returncode == 1 and failed else ""


def main() -> None:
    found = {}
    for name, bug in BUGS.items():
        found[name] = caught(*bug)
        print(f"{'caught' if found[name] else 'MISSED'}: {name} {found[name]}", flush=True)
    RESULTS.write_text(
        json.dumps({"bugs": len(found), "caught": sum(bool(test) for test in found.values()), "by": found}, indent=1)
        + "\n"
    )


if __name__ == "__main__":
    main()
