"""One real posterior: recovery of known truth, the gate, the store and the same draws twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import riskmodels as rm
from riskmodels.design.cells import cells_from_frame
from riskmodels.fit.fit import fit_many
from riskmodels.fit.store import load_or_fit
from riskmodels.survey.factors import Factor
from riskmodels.survey.synthetic import simulate_table

pytestmark = pytest.mark.fit


def simulated_cells(seed: int) -> tuple[rm.Cells, np.ndarray]:
    table = simulate_table(seed, countries=8, indicators=3)
    factors = [Factor("country", table.countries), Factor("indicator", table.indicators)]
    return cells_from_frame(
        table.frame, factors, base="all asked", source="published aggregates", synthetic=True
    ), table.truth


def test_recovery_of_known_truth() -> None:
    """90 % intervals over 10 tables x 24 cells: binomial SD of the coverage about 0.02 (cells taken as independent)."""
    many, truths = zip(*[simulated_cells(seed) for seed in range(10)])
    covered, model_error, direct_error = [], [], []
    for cells, truth, fit in zip(many, truths, fit_many(rm.PrevalenceSpec(), many)):
        draws = fit.draws["prevalence"].to_numpy().reshape(-1, len(cells))
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        covered.append(np.mean((low <= truth) & (truth <= high)))
        model_error.append(np.mean((draws.mean(axis=0) - truth) ** 2))
        direct_error.append(np.mean((cells.direct - truth) ** 2))
    assert 0.80 <= np.mean(covered) <= 0.97
    assert np.mean(model_error) < np.mean(direct_error)


@pytest.mark.parametrize("engine", ["laplace", "nuts"])
def test_store_and_repeat(tmp_path: Path, engine: str) -> None:
    cells = rm.example_cells()
    sampler = rm.SamplerSpec(engine=engine, draws=1000, tune=500, seed=5)
    first, loaded_first = load_or_fit(tmp_path, cells, rm.PrevalenceSpec(), sampler)
    second, loaded_second = load_or_fit(tmp_path, cells, rm.PrevalenceSpec(), sampler)
    assert (loaded_first, loaded_second) == (False, True)
    again = rm.fit_model(cells, sampler=sampler)
    np.testing.assert_array_equal(first.draws["prevalence"], again.draws["prevalence"])
    np.testing.assert_array_equal(first.draws["prevalence"], second.draws["prevalence"])
    assert first.passed
    shrunk = rm.prevalence_estimates(first).table
    centre = shrunk["direct"].mean()
    toward = (shrunk["estimate"] - shrunk["direct"]) * np.sign(centre - shrunk["direct"])
    assert (toward[np.abs(shrunk["direct"] - centre) > 0.05] > 0).all()


def test_subgroups_trend_and_beta_binomial(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    header = "country_iso3,indicator,subgroup_dim,subgroup,n,numerator,design_effect\n"
    rows = [
        f"{c},item,age_group*sex,{a}*{s},250,{rng.binomial(250, 0.05 + 0.05 * k)},1.2"
        for c in ("KEN", "UGA", "NAM", "THA", "PHL")
        for k, a in enumerate(("12-13", "14-15", "16-17"))
        for s in ("girl", "boy")
    ]
    (tmp_path / "t.csv").write_text(header + "\n".join(rows))
    cells = rm.read_published(tmp_path / "t.csv", by=["age_group", "sex"])
    fit = rm.fit_model(
        cells,
        rm.PrevalenceSpec(ordered=("age_group",), likelihood="beta-binomial"),
        rm.SamplerSpec(draws=500, tune=700, target_accept=0.95),
    )
    ages = rm.prevalence_estimates(fit, by=["age_group"]).table["estimate"].to_numpy()
    assert (np.diff(ages) > 0).all()


def test_readme_examples_work_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(rm.__file__).parents[1]
    monkeypatch.chdir(root)
    microdata, published = (part.split("```")[0] for part in (root / "README.md").read_text().split("```python\n")[1:3])
    names: dict[str, object] = {}
    exec(compile(microdata, "README.md", "exec"), names)
    assert not any(problem.stops for problem in names["problems"])
    assert len(names["direct"]) == 5
    assert len(names["table"]) == 10
    names = {}
    exec(compile(published, "README.md", "exec"), names)
    assert len(names["risk"].table) == 108
    assert set(names["fragile"]["priors"]) == {"tight", "wide"}
