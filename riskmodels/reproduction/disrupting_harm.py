"""Targets of the disrupting-harm pack: how each published number is recomputed from other published rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from riskmodels.design.weighting import country_design_effects, effective_size, printed_proportion
from riskmodels.estimates.quantities import children_affected, logit_normal_draws
from riskmodels.reproduction.compare import Target
from riskmodels.reproduction.pack import Pack
from riskmodels.survey.countries import POOLED_CODES
from riskmodels.survey.published_checks import MISSING_RESPONSES, YES_RESPONSES

ANY_ONLINE = "online_any_of_9_items"
ALL_CHILDREN = "tf_csea_any_online_all_children"
Z = float(stats.norm.ppf(0.975))
DRAWS = 200_000
#: Stated tolerance of a number of children, on top of the rounding of the printed inputs.
COUNT_TOLERANCE = 0.005
#: Their Monte Carlo error of a quantile plus the rounding of the interval from which the effective n is read.
END_TOLERANCE = 0.03
#: Design effects of single items vary around the country's; half-widths may differ by this share.
WIDTH_TOLERANCE = 0.10

#: Items of the country reports, by the item of the response tables that holds the same question.
REPORT_ITEMS = {
    "unwanted_sexual_comments": "item_unwanted_sexual_comments",
    "sent_unwanted_sexual_images": "item_sent_unwanted_sexual_images",
    "request_talk_sex": "item_asked_talk_sex",
    "request_photo_private_parts": "item_asked_photo_private_parts",
    "offered_money_sexual_images": "item_offered_money_sexual_images",
    "sexual_images_shared_without_permission": "item_sexual_images_shared_without_consent",
    "threatened_blackmailed_sexual": "item_threatened_blackmailed_sexual",
}

_CANNOT = (
    (
        "ocsea_clear",
        "clear instances of OCSEA are narrower than the items printed here; their joint answers need the microdata",
    ),
    ("internet_use_12_17", "the share online is an input of Table 1; no other published row gives it"),
    ("covariate_", "a distribution of answers is an input; nothing printed gives it independently"),
    ("weighted_sample_margin", "a sample margin is an input; nothing printed gives it independently"),
    ("coping_", "coping answers are printed without counts or intervals from which they could be recomputed"),
)


def _target(family: str, row: pd.Series, quantity: str, unit: str = "per cent", **values: float | str) -> Target:
    return Target(
        family=family,
        indicator=row["indicator"],
        country=row["country_iso3"],
        quantity=quantity,
        base=str(values.pop("base", row["population"])),
        unit=unit,
        published=float(values.pop("published", row["percent"])),
        published_low=float(values.pop("published_low", row["ci_low"])),
        published_high=float(values.pop("published_high", row["ci_high"])),
        source_title=row["source_title"],
        source_page=row["source_page"],
        confidence=row["confidence"],
        **values,  # type: ignore[arg-type]
    )


def table_1(frame: pd.DataFrame, pack: Pack) -> list[Target]:
    """Nature Table 1: share among all children, number of children and their total, with intervals.

    Point values are products of the printed shares, as the printed ones prove to be; ends come from draws.
    """
    rows = frame[(frame["indicator"] == ANY_ONLINE) & ~frame["country_iso3"].isin(POOLED_CODES)]
    population = pack.population().aligned(list(rows["country_iso3"]))
    proportion, slack = printed_proportion(rows)
    n_effective = effective_size(rows).n_effective
    rng = np.random.default_rng(12)
    users = logit_normal_draws(proportion, np.sqrt(proportion * (1 - proportion) / n_effective), (DRAWS,), rng)
    online = logit_normal_draws(population.share_online, population.share_online_se, (DRAWS,), rng)
    children = children_affected(users, online, population.children)
    point = children_affected(proportion, population.share_online, population.children)
    because = "value: product of the printed shares, rounding of these inputs plus 0.5 %; ends: 3 %"
    targets = []
    for place, country in enumerate(rows["country_iso3"]):
        row = frame[(frame["indicator"] == ALL_CHILDREN) & (frame["country_iso3"] == country)].iloc[0]
        share = children[:, place] / population.children[place]
        rounding = COUNT_TOLERANCE + slack[place] / proportion[place]
        low, high = np.quantile(share, [0.025, 0.975])
        targets.append(
            _target(
                "Nature Table 1",
                row,
                "share of all children",
                recomputed=100 * proportion[place] * population.share_online[place],
                recomputed_low=100 * low,
                recomputed_high=100 * high,
                tolerance=0.05 + rounding * row["percent"],
                interval_tolerance=0.05 + END_TOLERANCE * row["percent"],
                because=because,
            )
        )
        printed = {name: float(row[name]) for name in ("count_estimate", "count_low", "count_high")}
        targets.append(
            _target(
                "Nature Table 1",
                row,
                "number of children",
                unit="children",
                published=printed["count_estimate"],
                published_low=printed["count_low"],
                published_high=printed["count_high"],
                recomputed=point[place],
                recomputed_low=low * population.children[place],
                recomputed_high=high * population.children[place],
                tolerance=rounding * printed["count_estimate"],
                interval_tolerance=END_TOLERANCE * printed["count_high"],
                because=because,
            )
        )
    total = children.sum(axis=1)
    row = frame[(frame["indicator"] == ALL_CHILDREN) & frame["country_iso3"].isin(POOLED_CODES)].iloc[0]
    low, high = np.quantile(total, [0.025, 0.975])
    targets.append(
        _target(
            "Nature Table 1",
            row,
            "number of children, total",
            unit="children",
            published=float(row["count_estimate"]),
            published_low=float(row["count_low"]),
            published_high=float(row["count_high"]),
            recomputed=point.sum(),
            recomputed_low=low,
            recomputed_high=high,
            tolerance=0.003 * float(row["count_estimate"]),
            interval_tolerance=END_TOLERANCE * float(row["count_high"]),
            because="0.3 % of the total; ends 3 %",
        )
    )
    return targets


def users_affected(frame: pd.DataFrame) -> list[Target]:
    """Nature Table 1: share among users, from the weighted count."""
    rows = frame[frame["indicator"] == "tf_csea_any_online"]
    targets = []
    for _, row in rows.iterrows():
        count, base = row["numerator_weighted"], row["n_weighted"] if row["numerator_kind"] == "weighted" else row["n"]
        half = 100 * 0.5 / base
        values = {} if np.isnan(count) else {"recomputed": 100 * count / base, "tolerance": 0.05 + half}
        targets.append(
            _target(
                "Share of users affected",
                row,
                "share of users",
                published_low=np.nan,
                published_high=np.nan,
                because="rounding of the printed per cent and of the weighted count",
                **values,
            )
        )
    return targets


def item_shares(frame: pd.DataFrame) -> list[Target]:
    """Nine items in twelve countries under both denominators, and the country reports' own figures."""
    answers = frame[(frame["subgroup_dim"] == "response") & frame["indicator"].str.startswith("item_")]
    count = answers["numerator_weighted"].fillna(answers["numerator"])
    keys = [answers["country_iso3"], answers["indicator"]]
    yes = count.where(answers["subgroup"].isin(YES_RESPONSES), 0).groupby(keys).sum()
    missing = count.where(answers["subgroup"].isin(MISSING_RESPONSES), 0).groupby(keys).sum()
    asked = answers["n"].groupby(keys).first()
    targets = []
    for _, row in frame[frame["indicator"].str.startswith("any_")].iterrows():
        key = (row["country_iso3"], row["indicator"].replace("any_", "item_", 1))
        valid = row["subgroup"] == "valid_answers_only"
        value = 100 * yes[key] / (asked[key] - missing[key] if valid else asked[key])
        targets.append(
            _target(
                "Nine items, both denominators",
                row,
                "share of users",
                base="valid answers" if valid else "all asked",
                recomputed=float(value),
                tolerance=0.05,
                because="rounding of the printed per cent",
            )
        )
    for _, row in frame[frame["indicator"].isin(REPORT_ITEMS)].iterrows():
        key = (row["country_iso3"], REPORT_ITEMS[row["indicator"]])
        over_all, over_valid = 100 * yes[key] / asked[key], 100 * yes[key] / (asked[key] - missing[key])
        half = 0.5 + 100 * 0.5 * 2 / asked[key]
        targets.append(
            _target(
                "Country reports",
                row,
                "share of users",
                base="all asked",
                recomputed=float(over_all),
                tolerance=float(half),
                because=f"printed to whole per cent; over valid answers it would be {over_valid:.1f}",
            )
        )
    return targets


def weighted_shares(frame: pd.DataFrame) -> list[Target]:
    """Online item prevalences and disclosure rates with their normal-theory intervals, from weighted counts."""
    n, size = frame["n"].to_numpy(float), effective_size(frame).n_effective
    single = ~frame["country_iso3"].isin(POOLED_CODES) & (
        frame["indicator"].str.startswith("online_") & frame["ci_low"].notna()
    )
    deff = country_design_effects(frame.loc[single, "country_iso3"], n[single], size[single])
    targets = []
    for prefix, family in (("online_", "Online items"), ("disclosure_", "Disclosure rates")):
        rows = frame[frame["indicator"].str.startswith(prefix) & frame["numerator_weighted"].notna()]
        for _, row in rows.iterrows():
            p, base = row["numerator_weighted"] / row["n_weighted"], row["n_weighted"]
            effect = deff.get(row["country_iso3"], float("nan"))
            variance = p * (1 - p) * effect / row["n"]
            if row["country_iso3"] in POOLED_CODES:
                variance = _pooled_variance(frame, row, p, deff)
            half = Z * np.sqrt(variance)
            rounding = 0.05 + 100 * 0.5 / base
            targets.append(
                _target(
                    family,
                    row,
                    "share",
                    recomputed=100 * p,
                    recomputed_low=100 * (p - half),
                    recomputed_high=100 * (p + half),
                    tolerance=rounding,
                    interval_tolerance=rounding + 100 * WIDTH_TOLERANCE * half,
                    because="rounding; ends: the country's median design effect in place of the item's own, half-width within 10 %",
                )
            )
    return targets


def _pooled_variance(frame: pd.DataFrame, pooled: pd.Series, p: float, deff: pd.Series) -> float:
    """Variance of a pooled weighted share without strata: within countries plus between them."""
    rows = frame[(frame["indicator"] == pooled["indicator"]) & ~frame["country_iso3"].isin(POOLED_CODES)]
    share = rows["numerator_weighted"] / rows["n_weighted"]
    inside = share * (1 - share) + (share - p) ** 2
    return float((rows["country_iso3"].map(deff) * rows["n"] * inside).sum() / rows["n"].sum() ** 2)


def not_comparable(frame: pd.DataFrame, covered: set[str]) -> list[Target]:
    """Every published estimate that no other published row gives, with the reason."""
    targets = []
    for _, row in frame[~frame["indicator"].isin(covered)].iterrows():
        if row["indicator"].startswith("item_"):
            continue
        reason = next(
            (why for start, why in _CANNOT if row["indicator"].startswith(start)),
            "needs follow-up answers that only the microdata hold"
            if row["study"] == "disrupting_harm_1"
            else "another study; none of its counts are printed here",
        )
        targets.append(_target("Other published estimates", row, f"share ({row['subgroup']})", because=reason))
    return targets


def associations(pack: Pack) -> list[Target]:
    """Published regression results: they need each child's answers."""
    rows = pd.read_csv(pack.folder / "associations.csv", keep_default_na=False, dtype=str)
    return [
        Target(
            family="Associations",
            indicator=row["outcome"],
            country=row["countries"],
            quantity=row["predictor"],
            base=row["population"],
            unit=row["estimate_type"],
            published=float(row["estimate"] or "nan"),
            published_low=float(row["ci_low"] or "nan"),
            published_high=float(row["ci_high"] or "nan"),
            because="a regression on each child's answers; the microdata are restricted and no cross-table is printed",
            source_title=row["source_title"],
            source_page=row["source_page"],
            confidence=row["confidence"],
        )
        for _, row in rows.iterrows()
    ]


def all_targets(pack: Pack) -> list[Target]:
    """Every published number of the pack as a target."""
    frame = pack.table().frame
    computed = [*table_1(frame, pack), *users_affected(frame), *item_shares(frame), *weighted_shares(frame)]
    return [*computed, *not_comparable(frame, {target.indicator for target in computed}), *associations(pack)]
