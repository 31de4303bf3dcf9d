"""A twin of the Disrupting Harm survey: made-up children whose weighted counts are the published ones.

Nothing is known of the real children but published margins; how answers go together is invented. It serves to try
out an analysis before access to the restricted data, and says nothing about any country.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

FloatArray = npt.NDArray[np.float64]

#: Answers of the nine items, in the order in which the published rows give them, and their codes.
ANSWERS: Mapping[str, float] = {
    "never": 1.0,
    "rarely": 2.0,
    "sometimes": 3.0,
    "often": 4.0,
    "very_often": 5.0,
    "prefer_not_to_say": 888.0,
    "dont_know": 999.0,
}
#: Loading of every item on the child's one factor: answers of one child correlate by its square.
LOADING = 0.7
#: SD of the log of the weights before they are raked.
WEIGHT_SPREAD = 0.45
PSUS = 50


@dataclass(frozen=True, eq=False)
class Twin:
    """Made-up children and how far their margins are from the published ones.

    Parameters
    ----------
    frame
        One row per child.
    agreement
        One row per published margin: `country`, `indicator`, `level`, `published`, `twin`, `difference` (weighted
        numbers of children; per cents for disclosure and channels).
    """

    frame: pd.DataFrame
    agreement: pd.DataFrame


def _counts(rows: pd.DataFrame, key: str = "subgroup") -> dict[str, float]:
    return {str(level): float(count) for level, count in zip(rows[key], rows["numerator"], strict=True) if count > 0}


def allocate(
    order: FloatArray,
    weight: FloatArray,
    counts: Mapping[str, float],
    codes: Mapping[str, float],
    inside: npt.NDArray[np.bool_],
) -> FloatArray:
    """Give answers to children in a random order that goes with their liability, so that weighted counts come out.

    Parameters
    ----------
    order
        Liability; the highest get the last answers of `counts`.
    weight, counts, codes
        Weights; weighted number of children per answer, lowest first; code of each answer.
    inside
        Who is asked; the others get NaN.

    Returns
    -------
    numpy.ndarray
        Codes; each weighted count is met within half a child's weight.
    """
    answer = np.full(len(order), np.nan)
    ranked = np.flatnonzero(inside)[np.argsort(order[inside], kind="stable")]
    total = sum(counts.values())
    ends = np.cumsum(list(counts.values())) / total
    middle = (np.cumsum(weight[ranked]) - 0.5 * weight[ranked]) / weight[ranked].sum()
    place = np.minimum(np.searchsorted(ends, middle), len(ends) - 1)
    answer[ranked] = np.array([codes[name] for name in counts])[place]
    return answer


def _item(
    liability: FloatArray, weight: FloatArray, counts: Mapping[str, float], rng: np.random.Generator
) -> FloatArray:
    """Answers to one item: first who refuses or does not know, then how often, by liability."""
    silent = {name: counts[name] for name in ("prefer_not_to_say", "dont_know") if name in counts}
    spoken = {name: count for name, count in counts.items() if name not in silent}
    refusal = 0.3 * liability + rng.normal(size=len(liability))
    first = allocate(
        refusal,
        weight,
        {"spoken": sum(spoken.values()), **silent},
        {"spoken": 0.0, **ANSWERS},
        np.ones(len(weight), bool),
    )
    answers = allocate(liability, weight, spoken, ANSWERS, first == 0)
    return np.where(first == 0, answers, first)


def _rake(weight: FloatArray, margins: Sequence[tuple[npt.NDArray[np.int64], FloatArray]]) -> FloatArray:
    """Weights with the margins given, by iterative proportional fitting."""
    for _ in range(200):
        for group, target in margins:
            weight = weight * (target / np.bincount(group, weight, len(target)))[group]
    return weight


def _background(rows: pd.DataFrame, n: int, rng: np.random.Generator) -> tuple[dict[str, FloatArray], FloatArray]:
    """Sex, age and area with raked weights that sum to the published weighted n."""
    margins, columns = [], {}
    for dim in ("sex", "age", "area"):
        counts = _counts(rows[(rows["indicator"] == "weighted_sample_margin") & (rows["subgroup_dim"] == dim)])
        share = np.array(list(counts.values())) / sum(counts.values())
        group = rng.choice(len(share), n, p=share)
        group[: len(share)] = np.arange(len(share))
        margins.append((group, share * n))
        columns[dim] = np.array([float(level) if dim == "age" else place for place, level in enumerate(counts)])[group]
    weight = _rake(np.exp(WEIGHT_SPREAD * rng.normal(size=n)), margins)
    return {name: values.astype(float) for name, values in columns.items()}, weight


def simulate_twin(published: pd.DataFrame, seed: int = 1) -> Twin:
    """Make up children whose weighted counts are the published ones.

    Parameters
    ----------
    published
        Rows of the Disrupting Harm study in the published record: `country_iso3`, `indicator`, `subgroup_dim`,
        `subgroup`, `n`, `percent`, `numerator`.
    seed
        Same seed, same children.

    Returns
    -------
    Twin
        SYNTHETIC children; the published margins are met within rounding, everything else is invented.
    """
    frames, agreements = [], []
    countries = sorted(code for code in published["country_iso3"].unique() if code != "ALL")
    for number, code in enumerate(countries):
        rows = published[(published["country_iso3"] == code) & published["numerator"].notna()]
        sizes = rows.loc[rows["subgroup_dim"] == "response", "n"].dropna()
        if sizes.empty:
            continue
        frame, agreement = _country(code, rows, int(sizes.mode().iloc[0]), np.random.default_rng([seed, number]))
        frames.append(frame)
        agreements.append(agreement)
    whole = pd.concat(frames, ignore_index=True)
    whole.insert(0, "child_id", np.arange(1, len(whole) + 1, dtype=float))
    whole.insert(0, "synthetic", 1.0)
    return Twin(whole, pd.concat(agreements, ignore_index=True))


def _country(code: str, rows: pd.DataFrame, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns, weight = _background(rows, n, rng)
    factor = rng.normal(size=n) + 0.12 * (columns["age"] - 14.5)
    agreement: list[dict[str, object]] = []

    def compare(indicator: str, level: str, target: float, found: float) -> None:
        agreement.append(
            {
                "country": code,
                "indicator": indicator,
                "level": level,
                "published": target,
                "twin": found,
                "difference": found - target,
            }
        )

    answers: dict[str, FloatArray] = {}
    for indicator in sorted(name for name in rows["indicator"].unique() if name.startswith("item_")):
        counts = _counts(rows[rows["indicator"] == indicator])
        ordered = {name: counts[name] for name in ANSWERS if name in counts}
        liability = LOADING * factor + np.sqrt(1 - LOADING**2) * rng.normal(size=n)
        answers[indicator] = _item(liability, weight, ordered, rng)
        scale = n / sum(ordered.values())
        for name, count in ordered.items():
            compare(indicator, name, count, float(weight[answers[indicator] == ANSWERS[name]].sum() / scale))
    affected = np.isin(np.stack(list(answers.values())), (2, 3, 4, 5)).any(axis=0)
    online, found = _online(rows, weight, affected, rng)
    compare("online_any_of_9_items", "per cent", *found)
    told = _told(rows, weight, online == 1, rng, compare)
    covariates = {}
    for indicator in ("covariate_digitalskills", "covariate_helpseeking", "covariate_sexed"):
        counts = _counts(rows[rows["indicator"] == indicator])
        if not counts:
            continue
        codes = {name: ANSWERS.get(name, np.nan) if not name.isdigit() else float(name) for name in counts}
        covariates[indicator] = allocate(rng.normal(size=n), weight, counts, codes, np.ones(n, bool))
        scale = n / sum(counts.values())
        for name, count in counts.items():
            compare(indicator, name, count, float(weight[covariates[indicator] == codes[name]].sum() / scale))
    psu = np.floor(stats.norm.cdf(0.5 * factor / 1.1 + 0.87 * rng.normal(size=n)) * PSUS).clip(0, PSUS - 1)
    frame = pd.DataFrame(
        {"country": code, "weight": weight, "psu": psu, **columns, **answers, "online": online, **told, **covariates}
    )
    return frame, pd.DataFrame(agreement)


def _online(
    rows: pd.DataFrame, weight: FloatArray, affected: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[FloatArray, tuple[float, float]]:
    """Whether it happened on social media or in an online game, among children who named an item."""
    target = float(rows.loc[rows["indicator"] == "online_any_of_9_items", "percent"].iloc[0])
    wanted = min(target / 100 * weight.sum(), weight[affected].sum())
    counts = {"no": weight[affected].sum() - wanted, "yes": wanted}
    online = allocate(rng.normal(size=len(weight)), weight, counts, {"no": 0.0, "yes": 1.0}, affected)
    return online, (target, float(100 * weight[online == 1].sum() / weight.sum()))


def _told(
    rows: pd.DataFrame,
    weight: FloatArray,
    asked: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    compare: Callable[[str, str, float, float], None],
) -> dict[str, FloatArray]:
    """Whom children affected online told; the answers overlap."""
    columns = {}
    for name in ("did_not_disclose", "told_friend", "told_mother", "told_police"):
        target = float(rows.loc[rows["indicator"] == f"disclosure_{name}", "percent"].iloc[0])
        counts = {"no": 100 - target, "yes": target}
        columns[name] = allocate(rng.normal(size=len(weight)), weight, counts, {"no": 0.0, "yes": 1.0}, asked)
        found = float(100 * weight[columns[name] == 1].sum() / weight[asked].sum())
        compare(f"disclosure_{name}", "per cent", target, found)
    return columns
