"""Made-up surveys: the truth is recovered, the design is real, files are branded and the same every time."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest

import riskmodels as rm
from riskmodels.survey.synthetic import SurveyTruth, simulate_clustered, simulate_survey
from riskmodels.survey.synthetic.files import BRAND
from riskmodels.survey.synthetic.twin import allocate

ROOT = Path(rm.__file__).parents[1]
DATA = ROOT / "data" / "synthetic"


def weighted_shares(seed: int, truth: SurveyTruth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted and unweighted shares affected per country and risk, and the weighted share of the first pair."""
    survey = simulate_survey(truth, seed)
    country, weight = survey.frame["country"].to_numpy(), survey.frame["weight"].to_numpy()
    groups = [country == number for number in range(len(truth.countries))]
    weighted = np.array([weight[g] @ survey.affected[g] / weight[g].sum() for g in groups])
    plain = np.array([survey.affected[g].mean(axis=0) for g in groups])
    both = survey.affected[:, 0] & survey.affected[:, 1]
    return weighted, plain, np.array([weight[g] @ both[g] / weight[g].sum() for g in groups])


def test_weights_recover_the_truth_and_ignoring_them_does_not() -> None:
    truth = SurveyTruth()
    runs = [weighted_shares(seed, truth) for seed in range(30)]
    weighted, plain, both = (np.stack(part) for part in zip(*runs, strict=True))
    error = weighted.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(weighted.mean(axis=0) - truth.prevalence()) < 4.5 * error).all()
    assert (plain.mean(axis=0) > truth.prevalence() + 2 * error).mean() > 0.9
    pair = truth.pairs()[:, 0, 1]
    assert (np.abs(both.mean(axis=0) - pair) < 4.5 * both.std(axis=0, ddof=1) / np.sqrt(len(runs))).all()
    assert (truth.pairs().max(axis=-1) <= truth.prevalence() + 1e-12).all()


def test_refusals_depend_on_the_truth_and_follow_ups_on_the_answer() -> None:
    survey = simulate_survey(SurveyTruth(children=4000), seed=3)
    answer, affected = survey.frame["risk_comments"], survey.affected[:, 0]
    refused = (answer == 888).to_numpy()
    assert refused[affected].mean() > 2.5 * refused[~affected].mean()
    says_yes = answer.isin([2, 3, 4, 5])
    assert not says_yes[~affected].any()
    assert 0.8 < says_yes[affected].mean() < 0.9
    for column in ("channel_social_media", "who_adult_known", "told_nobody"):
        assert (survey.frame[column].notna() == says_yes).all()
    assert (survey.frame.loc[survey.frame["told_nobody"] == 1, ["told_friend", "told_mother"]] == 0).all(axis=None)
    exposed = survey.frame["cyberbullied"] == 1
    assert (survey.frame["distress"].notna() == exposed).all()


def test_same_seed_same_children() -> None:
    one, two, other = (simulate_survey(SurveyTruth(children=200), seed=s).frame for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


@pytest.mark.parametrize(("asked", "low", "high"), [(1.5, 1.3, 1.7), (2.0, 1.7, 2.4), (4.0, 3.2, 4.8)])
def test_design_effects_are_about_those_asked_for(asked: float, low: float, high: float) -> None:
    """Variance of weighted shares between surveys, over that of a simple random sample of the same size."""
    ratios = []
    for seed in range(60):
        sample = simulate_clustered(seed, asked)
        sums = [np.bincount(sample.country, values) for values in (sample.weight * sample.yes, sample.weight)]
        p = sums[0] / sums[1]
        ratios.append((p - sample.truth) ** 2 / (sample.truth * (1 - sample.truth) / 1000))
    assert low < np.mean(ratios) < high


def test_allocation_meets_weighted_counts_within_half_a_weight() -> None:
    rng = np.random.default_rng(0)
    weight = np.exp(0.5 * rng.normal(size=500))
    counts = {"never": 300.0, "rarely": 150.0, "often": 50.0}
    codes = {"never": 1.0, "rarely": 2.0, "often": 4.0}
    found = allocate(rng.normal(size=500), weight, counts, codes, np.ones(500, bool))
    share = np.array([weight[found == code].sum() for code in codes.values()]) / weight.sum()
    assert np.abs(share * 500 - list(counts.values())).max() < weight.max()


def test_the_twin_has_the_published_margins() -> None:
    agreement = pd.read_csv(DATA / "twin" / "agreement.csv")
    items = agreement[agreement["indicator"].str.startswith("item_")]
    assert len(items) > 700
    assert items["difference"].abs().max() < 2.5  # children out of a thousand, weighted
    assert agreement[agreement["level"] == "per cent"]["difference"].abs().max() < 2.0  # points; half a child of few
    twin = pd.read_parquet(DATA / "twin" / "twin_SYNTHETIC.parquet")
    assert len(twin) == 11_912


def test_every_file_says_that_it_is_synthetic() -> None:
    for name in ("invented/study.toml", "invented/broken.toml", "twin/study.toml"):
        assert rm.read_codebook(DATA / name).synthetic
    assert pq.read_schema(DATA / "twin" / "twin_SYNTHETIC.parquet").metadata[b"riskmodels"].decode() == BRAND
    for ending, read in (("sav", pyreadstat.read_sav), ("dta", pyreadstat.read_dta)):
        _, about = read(str(DATA / "invented" / f"study.{ending}"), metadataonly=True)
        assert "SYNTHETIC" in about.file_label
    for name in ("study.csv", "broken.csv"):
        assert (DATA / "invented" / name).read_text(encoding="utf-8").startswith("SYNTHETIC,")
    assert "SYNTHETIC" in json.loads((DATA / "invented" / "truth.json").read_text())["brand"]
    study = rm.load_study(DATA / "invented" / "study.toml", data=DATA / "invented" / "study.csv")
    cells = study.cells("threats")
    assert cells.synthetic
    assert rm.fit_model(cells, sampler=rm.SamplerSpec(engine="laplace", weighted_draws=500)).fingerprint.synthetic


def test_files_are_made_anew_byte_for_byte(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_synthetic", ROOT / "data" / "make_synthetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    kept = sorted(path.relative_to(DATA) for path in DATA.rglob("*") if path.is_file() and path.name != "README.md")
    assert made == kept
    for name in made:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name
