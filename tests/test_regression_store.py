"""Stored regressions: the same draws come back, damage and foreign content are refused, nothing per child is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import riskmodels as rm
from riskmodels.errors import StoreError
from riskmodels.fit.regression import RegressionFit
from riskmodels.fit.store import (
    DRAWS,
    MANIFEST,
    load_fit,
    load_or_fit_regression,
    load_regression,
    save_fit,
)
from riskmodels.models.regression_spec import RegressionSpec, regression_formula
from riskmodels.provenance import hash_text
from tests.conftest import make_cells, make_fit

INVENTED = Path(rm.__file__).parents[1] / "data" / "synthetic" / "invented"
FORMULA = "any_risk ~ gender * age + (1 + gender | country)"
SPEC = regression_formula(FORMULA, numbers={"age": (14.5, 1.0)})


@pytest.fixture(scope="module")
def fit() -> RegressionFit:
    return rm.load_study(INVENTED / "study.toml", data=INVENTED / "study.csv").regression(SPEC)


def test_the_same_regression_comes_back(fit: RegressionFit, tmp_path: Path) -> None:
    home = save_fit(fit, tmp_path)
    again = load_regression(home, fit.rows, fit.spec, fit.sampler)
    assert set(again.posterior.data_vars) == set(fit.posterior.data_vars)
    for name, values in fit.posterior.data_vars.items():
        np.testing.assert_array_equal(values.to_numpy(), again.posterior[name].to_numpy())
        assert values.dims == again.posterior[name].dims
    assert [str(term) for term in again.posterior["term"].to_numpy()] == [
        str(t) for t in fit.posterior["term"].to_numpy()
    ]
    np.testing.assert_array_equal(fit.weights, again.weights)  # type: ignore[arg-type]
    assert (again.checks, again.notes, again.fingerprint) == (fit.checks, fit.notes, fit.fingerprint)
    for ask in (rm.coefficient_estimates, lambda one: rm.marginal_effects(one, "gender")):
        pd.testing.assert_frame_equal(ask(fit).table, ask(again).table, rtol=1e-12)


def test_load_or_fit_fits_once(fit: RegressionFit, tmp_path: Path) -> None:
    _, loaded = load_or_fit_regression(tmp_path, fit.rows, fit.spec)
    assert not loaded
    again, loaded = load_or_fit_regression(tmp_path, fit.rows, fit.spec)
    assert loaded
    np.testing.assert_array_equal(again.posterior["coefficient"].to_numpy(), fit.posterior["coefficient"].to_numpy())
    (tmp_path / fit.fingerprint.id / DRAWS).write_bytes(b"")
    with pytest.raises(StoreError, match="damaged"):
        load_or_fit_regression(tmp_path, fit.rows, fit.spec)


def test_damage_is_refused_with_the_file_named(fit: RegressionFit, tmp_path: Path) -> None:
    home = save_fit(fit, tmp_path)
    whole = (home / DRAWS).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (bytes(flipped), whole[:-100], b""):
        (home / DRAWS).write_bytes(content)
        with pytest.raises(StoreError, match=DRAWS):
            load_regression(home, fit.rows, fit.spec, fit.sampler)
    (home / DRAWS).write_bytes(whole)
    load_regression(home, fit.rows, fit.spec, fit.sampler)
    text = (home / MANIFEST).read_text()
    for content in (text.replace("any_risk", "images"), text[:-30], "", "[]"):
        (home / MANIFEST).write_text(content)
        with pytest.raises(StoreError, match=MANIFEST):
            load_regression(home, fit.rows, fit.spec, fit.sampler)
    (home / MANIFEST).unlink()
    with pytest.raises(StoreError, match="not finished"):
        load_regression(home, fit.rows, fit.spec, fit.sampler)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (replace(SPEC, weights="none"), "spec"),
        (replace(SPEC, numbers={"age": (15.0, 1.0)}), "spec"),
        (replace(SPEC, priors="wide"), "spec"),
        (rm.SamplerSpec(seed=7), "seed"),
        (rm.SamplerSpec(engine="laplace"), "sampler"),
    ],
)
def test_another_model_is_refused(
    fit: RegressionFit, tmp_path: Path, changed: RegressionSpec | rm.SamplerSpec, named: str
) -> None:
    home = save_fit(fit, tmp_path)
    spec = changed if isinstance(changed, RegressionSpec) else fit.spec
    sampler = changed if isinstance(changed, rm.SamplerSpec) else fit.sampler
    with pytest.raises(StoreError, match=f"other {named}"):
        load_regression(home, fit.rows, spec, sampler)


def test_other_children_are_refused(fit: RegressionFit, tmp_path: Path) -> None:
    home = save_fit(fit, tmp_path)
    others = replace(fit.rows, n=fit.rows.n + 1)
    with pytest.raises(StoreError, match="other cells"):
        load_regression(home, others, fit.spec, fit.sampler)


def test_kinds_of_fits_are_not_mistaken_for_one_another(fit: RegressionFit, tmp_path: Path) -> None:
    prevalence = make_fit(make_cells())
    other, own = save_fit(prevalence, tmp_path), save_fit(fit, tmp_path)
    with pytest.raises(StoreError, match="prevalence fit, not a regression"):
        load_regression(other, fit.rows, fit.spec, fit.sampler)
    with pytest.raises(StoreError, match="regression fit, not a prevalence"):
        load_fit(own, prevalence.cells, prevalence.spec, prevalence.sampler)


def test_manifests_without_a_kind_are_prevalence_fits(tmp_path: Path) -> None:
    fit = make_fit(make_cells())
    home = save_fit(fit, tmp_path)
    content = json.loads((home / MANIFEST).read_text())["content"]
    del content["kind"]
    body = json.dumps(content, indent=1, sort_keys=True)
    (home / MANIFEST).write_text(json.dumps({"sha256_of_content": hash_text(body), "content": content}))
    assert load_fit(home, fit.cells, fit.spec, fit.sampler).passed


def test_nothing_per_child_and_no_count_is_stored(fit: RegressionFit, tmp_path: Path) -> None:
    home = save_fit(fit, tmp_path)
    stored = xr.load_dataset(home / DRAWS, engine="h5netcdf")
    assert set(stored.dims) <= {"chain", "draw", "term", "varying", "varying_again", "varying_other", "country"}
    sizes = {name: size for name, size in stored.sizes.items() if name not in ("chain", "draw")}
    assert max(sizes.values()) <= 5
    content = json.loads((home / MANIFEST).read_text())["content"]
    assert set(content) == {
        *("format", "kind", "fingerprint", "spec", "sampler", "checks", "seconds"),
        *("engine", "engine_reason", "synthetic", "sha256"),
    }
    assert content["spec"]["formula"] == fit.spec.formula
    assert sorted(path.name for path in home.iterdir()) == [MANIFEST, DRAWS]
