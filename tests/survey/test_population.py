"""Population frames: margins fitted, categories mapped, names recognised, groups that weigh what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskmodels as rm
from riskmodels.estimates.poststratify import cell_population, domains_of
from riskmodels.survey.countries import ISO_ALPHA_3, country_code
from riskmodels.survey.population import (
    PopulationFrame,
    map_levels,
    population_from_weights,
    rake_population,
    read_population,
)

positive = st.floats(0.5, 50.0)


def table(numbers: np.ndarray) -> pd.DataFrame:
    rows, columns = np.indices(numbers.shape)
    return pd.DataFrame(
        {
            "age": [f"a{k}" for k in rows.ravel()],
            "gender": [f"g{k}" for k in columns.ravel()],
            "children": numbers.ravel(),
        }
    )


def margins_of(numbers: np.ndarray) -> list[pd.DataFrame]:
    full = table(numbers)
    return [full.groupby(name)["children"].sum().reset_index() for name in ("age", "gender")]


@given(st.lists(positive, min_size=12, max_size=12), st.lists(positive, min_size=12, max_size=12))
@settings(max_examples=40, deadline=None)
def test_raking_meets_margins_and_keeps_odds_ratios(target: list[float], seed: list[float]) -> None:
    wanted, start = np.reshape(target, (4, 3)), np.reshape(seed, (4, 3))
    raked = rake_population(margins_of(wanted), seed_table=table(start))
    assert raked.converged
    found = raked.table["children"].to_numpy().reshape(4, 3)
    np.testing.assert_allclose(found.sum(axis=0), wanted.sum(axis=0), rtol=1e-8)
    np.testing.assert_allclose(found.sum(axis=1), wanted.sum(axis=1), rtol=1e-8)

    def odds(x: np.ndarray) -> np.ndarray:
        return x[1:, 1:] * x[0, 0] / (x[1:, :1] * x[:1, 1:])

    np.testing.assert_allclose(odds(found), odds(start), rtol=1e-6)
    other = rake_population(margins_of(wanted)[::-1], seed_table=table(start)).table.set_index(["age", "gender"])
    pd.testing.assert_frame_equal(
        raked.table.set_index(["age", "gender"]),
        other.reindex(raked.table.set_index(["age", "gender"]).index),
        rtol=1e-7,
    )


def test_margins_already_met_are_left_alone() -> None:
    numbers = np.array([[3.0, 5.0], [7.0, 2.0]])
    raked = rake_population(margins_of(numbers), seed_table=table(numbers))
    np.testing.assert_allclose(raked.table["children"], numbers.ravel(), rtol=1e-12)
    assert raked.iterations == 1


def test_margins_that_cannot_be_met() -> None:
    numbers = np.array([[3.0, 5.0], [7.0, 2.0]])
    age, gender = margins_of(numbers)
    with pytest.raises(rm.InputError, match="totals differ by 10 %"):
        rake_population([age, gender.assign(children=gender["children"] * 1.1)])
    with pytest.raises(rm.InputError, match="seed has none"):
        rake_population([age, gender], seed_table=table(np.array([[0.0, 0.0], [7.0, 2.0]])))
    with pytest.raises(rm.InputError, match="only some margins have"):
        rake_population([age.assign(country="KEN"), gender.assign(country="UGA")])
    slow = rake_population([age, gender], seed_table=table(np.array([[1e-12, 1.0], [1.0, 1.0]])), max_iterations=1)
    assert not slow.converged
    assert slow.report["largest_deviation"].max() > 1e-10


def test_mapping_adds_up_and_leaves_nothing_over() -> None:
    ages = pd.DataFrame({"country": "KEN", "age": [str(a) for a in range(12, 18)], "children": np.arange(1.0, 7.0)})
    groups = {"12": "12-14", "13": "12-14", "14": "12-14", "15": "15-17", "16": "15-17", "17": "15-17"}
    mapped = map_levels(ages, "age", groups, levels=["12-14", "15-17"])
    assert mapped["children"].tolist() == [6.0, 15.0]
    with pytest.raises(rm.InputError) as caught:
        map_levels(ages, "age", {k: v for k, v in groups.items() if k != "17"}, levels=["12-14", "15-17", "18+"])
    assert len(caught.value.problems) == 2
    assert "17" in str(caught.value)
    assert "18+" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Viet Nam", "VNM"), ("vietnam", "VNM"), ("Côte d'Ivoire", "CIV"), ("Ivory Coast", "CIV"),
        ("Türkiye", "TUR"), ("Turkey", "TUR"), ("Tanzania", "TZA"), ("United Republic of Tanzania", "TZA"), ("NA", "NAM"),
        ("NO", "NOR"), ("Iran", "IRN"), ("Bolivia", "BOL"), ("Lao PDR", None), ("Laos", "LAO"), ("Moldova", "MDA"),
        ("DR Congo", "COD"), ("Eswatini", "SWZ"), ("Czech Republic", "CZE"), ("Korea", None), ("South Korea", "KOR"),
        ("España", "ESP"), ("Cambodge", "KHM"), ("404", "KEN"), ("", None), ("Atlantis", None), ("KEN", "KEN"),
    ],
)  # fmt: skip
def test_names_of_countries(text: str, code: str | None) -> None:
    assert country_code(text) == code


def test_every_code_is_known_under_its_own_name() -> None:
    import pycountry

    for country in pycountry.countries:
        assert country.alpha_3 in ISO_ALPHA_3
        assert country_code(country.name) == country.alpha_3
        assert country_code(country.alpha_2) == country.alpha_3


def _cells() -> rm.Cells:
    from riskmodels.design.cells import cells_from_frame
    from riskmodels.survey.factors import Factor

    frame = pd.DataFrame(
        [(c, g, a) for c in ("KEN", "UGA") for g in ("boy", "girl") for a in ("12-14", "15-17")],
        columns=["country", "gender", "age"],
    ).assign(n=100.0, n_effective=100.0, yes_effective=np.arange(8.0) * 3 + 2, weight=np.arange(1.0, 9.0))
    factors = [
        Factor("country", ("KEN", "UGA")),
        Factor("gender", ("boy", "girl"), ("Boys", "Girls")),
        Factor("age", ("12-14", "15-17")),
    ]
    return cells_from_frame(frame, factors, base="all asked", source="published aggregates")


def groups(**numbers: list[float]) -> PopulationFrame:
    frame = pd.DataFrame(
        {
            "country": ["KEN", "KEN", "UGA", "UGA"],
            "gender": ["boy", "girl", "boy", "girl"],
            "children": numbers["children"],
        }
    )
    return PopulationFrame(("KEN", "UGA"), np.array([1000.0, 500.0]), np.array([0.5, 0.8]), np.zeros(2), groups=frame)


def test_groups_of_the_frame_decide_within_countries() -> None:
    cells = _cells()
    children = cell_population(cells, groups(children=[300.0, 100.0, 50.0, 150.0]))
    np.testing.assert_allclose(children.reshape(2, 2, 2).sum(axis=2), [[375, 125], [100, 300]])
    np.testing.assert_allclose(children[0] / children[1], 1 / 2)  # weight totals decide within a group
    average = domains_of(cells, ["country"], groups(children=[300.0, 100.0, 50.0, 150.0])).average(cells.direct)
    by_hand = (
        0.75 * (cells.direct[0] + 2 * cells.direct[1]) / 3 + 0.25 * (3 * cells.direct[2] + 4 * cells.direct[3]) / 7
    )
    assert average[0] == pytest.approx(by_hand)


def test_a_frame_as_fine_as_the_weights_changes_nothing() -> None:
    cells = _cells()
    table = cells.frame(labels=False)[["country", "gender", "age"]].assign(weight=cells.weight)
    frame = population_from_weights(table)
    np.testing.assert_allclose(domains_of(cells, ["country"], frame).share, domains_of(cells, ["country"]).share)


def test_levels_may_be_named_in_words_and_must_match() -> None:
    cells = _cells()
    words = groups(children=[300.0, 100.0, 50.0, 150.0])
    named = words.groups.assign(gender=["Boys", "Girls", "Boys", "Girls"])  # type: ignore[union-attr]
    other = PopulationFrame(words.countries, words.children, words.share_online, words.share_online_se, groups=named)
    np.testing.assert_allclose(cell_population(cells, other), cell_population(cells, words))
    strange = named.assign(gender=["Boys", "Girls", "Boys", "Other"])
    with pytest.raises(rm.InputError, match="only in the frame: Other"):
        cell_population(
            cells,
            PopulationFrame(words.countries, words.children, words.share_online, words.share_online_se, groups=strange),
        )


def test_groups_nobody_of_whom_was_asked_are_noted() -> None:
    cells = _cells().select(country=["KEN", "UGA"])
    from dataclasses import replace

    keep = ~((cells.position("country") == 1) & (cells.position("gender") == 1))
    part = replace(
        cells,
        index=cells.index[keep],
        **{
            name: getattr(cells, name)[keep]
            for name in ("n", "n_effective", "yes_effective", "weight", "same_children")
        },
    )
    fit = rm.fit_model(part, sampler=rm.SamplerSpec(engine="laplace"))
    notes = rm.prevalence_estimates(fit, population=groups(children=[300.0, 100.0, 50.0, 150.0])).table["note"]
    assert notes.tolist() == ["", "75.0 % of the children of UGA are in groups nobody of whom was asked"]


def test_files_by_group_and_with_names(tmp_path: Path) -> None:
    path = tmp_path / "population.csv"
    path.write_text(
        "country,gender,total,internet_share_pct,internet_share_se_pct\n"
        "Kenya,boy,300,50,2\nKenya,girl,100,100,2\nNA,boy,10,50,\nNA,girl,10,50,\n"
    )
    frame = read_population(path)
    assert frame.countries == ("KEN", "NAM")
    assert frame.factors == ("gender",)
    np.testing.assert_allclose(frame.children, [400, 20])
    np.testing.assert_allclose(frame.share_online, [250 / 400, 0.5])
    np.testing.assert_allclose(frame.users, frame.groups.groupby("country", sort=False)["children"].sum())  # type: ignore[union-attr]
    path.write_text("country,total\nKenia,5\nAtlantis,-1\n")
    with pytest.raises(rm.InputError) as caught:
        read_population(path)
    assert "KEN" in str(caught.value)


def test_faulty_groups_are_refused() -> None:
    good = groups(children=[300.0, 100.0, 50.0, 150.0])
    assert good.groups is not None
    for bad, code in (
        (good.groups.assign(children=[0.0, 1, 1, 1]), "E185"),
        (good.groups.assign(gender="boy"), "E150"),
        (good.groups.iloc[:2], "E185"),
        (good.groups.drop(columns="gender"), "E132"),
    ):
        with pytest.raises(rm.InputError, match=code):
            PopulationFrame(good.countries, good.children, good.share_online, good.share_online_se, groups=bad)
