"""Fits on disk: draws with checksums, manifest last, written beside and moved into place, refused when damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from riskmodels.design.cells import Cells
from riskmodels.design.regression_rows import RegressionRows, check_rows
from riskmodels.errors import StoreError
from riskmodels.fit.checks import CheckResult
from riskmodels.fit.fit import Fit, fingerprint_of, fit_model
from riskmodels.fit.posterior import CheckedPosterior
from riskmodels.fit.regression import RegressionFit, fit_regression, regression_fingerprint
from riskmodels.fit.sampler import Progress, SamplerSpec, no_progress
from riskmodels.models.regression_design import shared_design
from riskmodels.models.regression_spec import RegressionSpec
from riskmodels.models.specs import PrevalenceSpec
from riskmodels.provenance import Fingerprint, hash_file, hash_text

FORMAT = 2
DRAWS, MANIFEST = "posterior.nc", "fit.json"
WEIGHT = "importance_weight"
PREVALENCE, REGRESSION = "prevalence", "regression"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk, then move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        with beside.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_draws(fit: CheckedPosterior, path: Path) -> None:
    draws = fit.posterior if fit.weights is None else fit.posterior.assign({WEIGHT: (("chain", "draw"), fit.weights)})
    encoding = {str(name): {"zlib": True, "complevel": 4, "fletcher32": True} for name in draws.data_vars}
    draws.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def _described(spec: RegressionSpec) -> dict[str, object]:
    """A regression's specification for people who open the manifest; its identity is in the fingerprint."""
    return {
        "formula": spec.formula,
        "numbers": {name: list(pair) for name, pair in sorted(spec.numbers.items())},
        "references": dict(sorted(spec.references.items())),
        "base": spec.base or "the indicator's own",
        "weights": spec.weights,
        "priors": spec.priors if isinstance(spec.priors, str) else asdict(spec.priors),
    }


def save_fit(fit: Fit | RegressionFit, folder: str | Path) -> Path:
    """Store a fit: draws only, no counts, nothing per child.

    Parameters
    ----------
    fit
        A fit of a prevalence model or of a regression.
    folder
        Parent folder; the fit gets a folder of its own, named by its fingerprint.

    Returns
    -------
    pathlib.Path
        The fit's folder with `posterior.nc` (netCDF, checksummed chunks) and `fit.json` (written last).
    """
    home = Path(folder) / fit.fingerprint.id
    write_atomically(home / DRAWS, lambda path: _write_draws(fit, path))
    content = {
        "format": FORMAT,
        "kind": REGRESSION if isinstance(fit, RegressionFit) else PREVALENCE,
        "fingerprint": asdict(fit.fingerprint),
        "spec": _described(fit.spec) if isinstance(fit, RegressionFit) else fit.spec.to_toml(),
        "sampler": asdict(fit.sampler),
        "checks": [asdict(check) for check in fit.checks],
        "seconds": fit.seconds,
        "engine": fit.engine,
        "engine_reason": fit.engine_reason,
        "synthetic": fit.fingerprint.synthetic,
        "sha256": {DRAWS: hash_file(home / DRAWS)},
    }
    body = json.dumps(content, indent=1, sort_keys=True)
    sealed = json.dumps({"sha256_of_content": hash_text(body), "content": content}, indent=1, sort_keys=True)

    def write_manifest(path: Path) -> None:
        path.write_text(sealed)

    write_atomically(home / MANIFEST, write_manifest)
    return home


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        outer = json.loads(path.read_text())
        content: dict[str, Any] = outer["content"]
        intact = outer["sha256_of_content"] == hash_text(json.dumps(content, indent=1, sort_keys=True))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        intact = False
    if not intact:
        raise StoreError(f"{path}: the manifest is damaged; delete the folder {path.parent} and fit again")
    if content["format"] != FORMAT:
        raise StoreError(
            f"{path}: written in format {content['format']}, this version reads {FORMAT}; delete the folder and fit again"
        )
    return content


def _read_whole(home: Path, kind: str, wanted: Fingerprint) -> tuple[dict[str, Any], xr.Dataset]:
    """Manifest and draws of a stored fit, if it is whole, of this kind and of this fingerprint."""
    for name in (MANIFEST, DRAWS):
        if not (home / name).is_file():
            raise StoreError(f"{home / name}: not there; the fit was not finished. Fit again")
    content = _read_manifest(home / MANIFEST)
    if hash_file(home / DRAWS) != content["sha256"][DRAWS]:
        raise StoreError(
            f"{home / DRAWS}: the file is damaged (its checksum differs from the one in {MANIFEST}); delete the folder {home} and fit again"
        )
    stored = content.get("kind", PREVALENCE)  # manifests without a kind are older than stored regressions
    if stored != kind:
        raise StoreError(f"{home}: holds a {stored} fit, not a {kind} fit; use the loader of that kind")
    differing = wanted.differences(content["fingerprint"])
    if differing:
        raise StoreError(
            f"{home}: holds a fit of other {', '.join(differing)}; use the folder of the right fingerprint ({wanted.id}) or fit again"
        )
    return content, xr.load_dataset(home / DRAWS, engine="h5netcdf")


def _common(
    content: dict[str, Any], draws: xr.Dataset, sampler: SamplerSpec, fingerprint: Fingerprint
) -> dict[str, Any]:
    """What the records of all kinds of fits share."""
    return {
        "sampler": sampler,
        "posterior": draws.drop_vars(WEIGHT, errors="ignore"),
        "checks": tuple(CheckResult(**check) for check in content["checks"]),
        "fingerprint": fingerprint,
        "seconds": content["seconds"],
        "weights": draws[WEIGHT].to_numpy() if WEIGHT in draws else None,
        "engine": content["engine"],
        "engine_reason": content["engine_reason"],
    }


def load_fit(home: str | Path, cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec) -> Fit:
    """Load a stored fit, if it is whole and is the fit of these cells, this specification and this sampler.

    Raises
    ------
    StoreError
        Names the file that is missing, incomplete or damaged, or the part of the fingerprint that differs.
    """
    wanted = fingerprint_of(cells, spec, sampler)
    content, draws = _read_whole(Path(home), PREVALENCE, wanted)
    notes = (*cells.warnings, *spec.terms_for(cells).notes)
    return Fit(spec=spec, cells=cells, notes=notes, **_common(content, draws, sampler, wanted))


def load_regression(
    home: str | Path, rows: RegressionRows, spec: RegressionSpec, sampler: SamplerSpec | None = None
) -> RegressionFit:
    """Load a stored regression, if it is whole and is the fit of these rows, this specification and this sampler.

    Parameters
    ----------
    home
        Folder that `save_fit` gave.
    rows
        The collapsed survey, from `regression_rows`: stored fits hold no counts.
    spec, sampler
        As they were given to `fit_regression`.

    Returns
    -------
    RegressionFit
        Equal to the one that was stored, draw by draw.

    Raises
    ------
    StoreError
        Names the file that is missing, incomplete or damaged, or the part of the fingerprint that differs.
    """
    sampler = sampler or SamplerSpec()
    wanted = regression_fingerprint(rows, spec, sampler)
    content, draws = _read_whole(Path(home), REGRESSION, wanted)
    names, design = shared_design(spec, rows, rows.values)
    notes = check_rows(rows, len(names) - 1, design, names)
    return RegressionFit(spec=spec, rows=rows, notes=notes, **_common(content, draws, sampler, wanted))


def load_or_fit_regression(
    folder: str | Path,
    rows: RegressionRows,
    spec: RegressionSpec,
    sampler: SamplerSpec | None = None,
    *,
    progress: Progress = no_progress,
) -> tuple[RegressionFit, bool]:
    """Load the regression with this fingerprint from `folder`, or fit and store it.

    Returns
    -------
    tuple
        The fit, and whether it was loaded.

    Raises
    ------
    StoreError
        If a fit with this fingerprint is there but damaged: it is never silently refitted.
    """
    home = Path(folder) / regression_fingerprint(rows, spec, sampler or SamplerSpec()).id
    if (home / MANIFEST).exists():
        return load_regression(home, rows, spec, sampler), True
    fit = fit_regression(rows, spec, sampler, progress=progress)
    save_fit(fit, folder)
    return fit, False


def load_or_fit(
    folder: str | Path, cells: Cells, spec: PrevalenceSpec, sampler: SamplerSpec, *, progress: Progress = no_progress
) -> tuple[Fit, bool]:
    """Load the fit with this fingerprint from `folder`, or fit and store it.

    Returns
    -------
    tuple
        The fit, and whether it was loaded.

    Raises
    ------
    StoreError
        If a fit with this fingerprint is there but damaged: it is never silently refitted.
    """
    home = Path(folder) / fingerprint_of(cells, spec, sampler).id
    if (home / MANIFEST).exists():
        return load_fit(home, cells, spec, sampler), True
    fit = fit_model(cells, spec, sampler, progress=progress)
    save_fit(fit, folder)
    return fit, False
