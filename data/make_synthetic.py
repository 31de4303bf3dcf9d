"""Write data/synthetic anew, byte for byte the same: `make synthetic`.

python data/make_synthetic.py [FOLDER]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from riskmodels.reproduction.pack import pack_path
from riskmodels.survey.synthetic import SurveyTruth, simulate_survey
from riskmodels.survey.synthetic.children import CHANNELS, COPING, PERPETRATORS, SKILL_ITEMS, TOLD
from riskmodels.survey.synthetic.files import BRAND, write_csv, write_dta, write_parquet, write_sav
from riskmodels.survey.synthetic.twin import simulate_twin

HOME = Path(__file__).parent / "synthetic"
CODEBOOKS = Path(__file__).parent / "codebooks"
#: Invented countries: code in the file, code, name in its own script.
COUNTRIES = {
    1: ("AXA", "Ålvaria"),
    2: ("BOR", "Бориния"),
    3: ("CYR", "زهرابند"),
    4: ("DEL", "Delmària"),
    5: ("ERL", "Érland"),
}
TRUTH = SurveyTruth(countries=tuple(code for code, _ in COUNTRIES.values()), children=252, psus=12)
OFTEN = {
    1.0: "Never",
    2.0: "Rarely",
    3.0: "Sometimes",
    4.0: "Often",
    5.0: "Very often",
    888.0: "Prefer not to say",
    999.0: "Don't know",
}
YES_NO = {0.0: "No", 1.0: "Yes"}
RISKS = {
    "comments": "Unwanted sexual comments",
    "images": "Sent unwanted sexual images",
    "requests": "Asked to talk about sex",
    "threats": "Threatened or blackmailed",
}


def invented() -> tuple[pd.DataFrame, dict[str, str], dict[str, dict[float, str]], dict[str, tuple[float, ...]]]:
    """The invented study as a file's columns, with labels, value labels and user-missing codes."""
    frame = simulate_survey(TRUTH, seed=2026).frame
    rng = np.random.default_rng(99)
    out, labels, values, missing = {}, {}, {}, {}

    def add(
        name: str, column: object, label: str, codes: dict[float, str] | None = None, gone: tuple[float, ...] = ()
    ) -> None:
        out[name], labels[name] = column, label
        if codes:
            values[name] = codes
        if gone:
            missing[name] = gone

    size = len(frame)
    add("SYNTHETIC", np.ones(size), BRAND)
    add("id", np.arange(1, size + 1, dtype=float), "Number of the made-up child")
    add("cntry", frame["country"] + 1.0, "Country (invented)", {float(k): name for k, (_, name) in COUNTRIES.items()})
    add("strat", frame["area"] + 1.0 + 10.0 * (frame["country"] + 1), "Stratum: area within country")
    add("ea", frame["psu"] + 1.0 + 100.0 * (frame["country"] + 1), "Enumeration area")
    add("wgt_scaled", frame["weight"].round(6), "Weight, mean 1 per country")
    gender = np.where(rng.uniform(size=size) < 0.01, 888.0, frame["girl"] + 1.0)
    add(
        "Q2",
        gender,
        "Are you a boy or a girl? / Ты мальчик или девочка? / ¿Eres niño o niña?",
        {1.0: "Boy / niño", 2.0: "Girl / niña", 888.0: "Prefer not to say"},
        (888.0,),
    )
    add("Q1", frame["age"], "How old are you?")
    add("area", frame["area"] + 1.0, "Area", {1.0: "Urban", 2.0: "Peri-urban", 3.0: "Rural"})
    add(
        "ses",
        frame["ses"] + 1.0,
        "Socio-economic group of the household",
        {1.0: "Lowest", 2.0: "Low", 3.0: "High", 4.0: "Highest"},
    )
    add("relig", frame["religion"], "Religion of the family", {1.0: "A", 2.0: "B", 3.0: "None"})
    add("disab", frame["disability"], "Any disability", YES_NO)
    add("ethn", frame["ethnic_origin"], "Ethnic origin", {1.0: "Majority", 2.0: "Minority"})
    add("selfeff", frame["self_efficacy"], "Self-efficacy, 0 to 10")
    add("sdq", frame["difficulties"], "Psychological difficulties, 0 to 10")
    add("help", frame["knows_help"], "Would know where to get help", YES_NO)
    add("sexed", frame["sex_education"], "Had sex education", YES_NO)
    for name, label in RISKS.items():
        add(f"G_{name}", frame[f"risk_{name}"], f"{label}, past year", OFTEN, (888.0, 999.0))
    for prefix, names, words in (
        ("channel", CHANNELS, "Where"),
        ("who", PERPETRATORS, "Who"),
        ("told", TOLD, "Whom did you tell"),
    ):
        for name in names:
            add(
                f"GC_{prefix}_{name}",
                frame[f"{prefix}_{name}"],
                f"{words} (comments): {name.replace('_', ' ')}",
                YES_NO,
            )
    for item in range(1, SKILL_ITEMS + 1):
        add(
            f"S{item}",
            frame[f"skill_{item}"],
            f"Digital skill {item}: how true of you",
            {1.0: "Not at all", 2.0: "Not very", 3.0: "Mostly", 4.0: "Very true"},
        )
    add("cyber", frame["cyberbullied"], "Treated in a hurtful way online, past year", YES_NO)
    for name in COPING:
        add(f"C_{name}", frame[f"coped_{name}"], f"What did you do: {name}", YES_NO)
    add(
        "distress",
        frame["distress"],
        "How upset were you",
        {1.0: "Not at all", 2.0: "A little", 3.0: "Fairly", 4.0: "Very"},
    )
    return pd.DataFrame(out), labels, values, missing


def broken(frame: pd.DataFrame) -> pd.DataFrame:
    """The same study with faults planted; data/synthetic/README.md lists them."""
    bad = frame.copy()
    text = bad.astype(object)
    bad.loc[0:3, "wgt_scaled"] = -1.0
    bad.loc[10:14, "wgt_scaled"] = np.nan
    bad.loc[bad["cntry"] == 2, "wgt_scaled"] *= 5000
    bad.loc[20:22, "cntry"] = 9.0
    bad.loc[30:41, "G_images"] = 7.0
    bad.loc[bad["cntry"] == 3, "G_threats"] = np.nan
    bad.loc[50:55, "Q1"] = 160.0
    bad.loc[60:61, "id"] = 1.0
    bad.loc[70, "strat"] = 99.0
    bad.loc[71:73, "ea"] = np.nan
    bad.loc[80, "strat"] = 88.0
    bad["sdq"] = 1.0
    text = bad.astype(object)
    text.loc[90:92, "selfeff"] = ["4,5", "six", "2024-01-05"]
    text["wgt_scaled"] = bad["wgt_scaled"]
    return text


def write_invented(home: Path) -> None:
    """The invented study in four formats, its truth, its population and its broken copy."""
    frame, labels, values, missing = invented()
    home.mkdir(parents=True, exist_ok=True)
    write_sav(frame, home / "study.sav", labels, values, missing)
    write_dta(frame, home / "study.dta", labels, values, {888.0: "a", 999.0: "b"}, missing)
    write_csv(frame, home / "study.csv")
    write_parquet(frame, home / "study.parquet")
    write_csv(broken(frame), home / "broken.csv")
    truth = {
        "brand": BRAND,
        "countries": list(TRUTH.countries),
        "risks": list(TRUTH.risks),
        "prevalence": np.round(TRUTH.prevalence(), 6).tolist(),
        "both_of_two": np.round(TRUTH.pairs(), 6).tolist(),
        "reporting": TRUTH.reporting,
        "refusal": [TRUTH.refusal, TRUTH.refusal_if_affected],
        "dont_know": TRUTH.dont_know,
    }
    (home / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    children = [812_000, 1_930_000, 455_000, 2_310_000, 96_000]
    population = pd.DataFrame(
        {
            "country": list(TRUTH.countries),
            "total": children,
            "internet_share_pct": [88, 61, 74, 93, 97],
            "internet_share_se_pct": 2.5,
            "source": BRAND,
        }
    )
    population.to_csv(home / "population.csv", index=False, lineterminator="\n")
    book = (CODEBOOKS / "invented.toml").read_text(encoding="utf-8")
    (home / "study.toml").write_text(book, encoding="utf-8")
    (home / "broken.toml").write_text(
        book.replace('file = "study.sav"', 'file = "broken.csv"').replace(
            'lonely_psu = "certainty"', 'lonely_psu = "error"'
        ),
        encoding="utf-8",
    )


def write_twin(home: Path) -> None:
    """The twin of the Disrupting Harm survey, and how near its margins are to the published ones."""
    home.mkdir(parents=True, exist_ok=True)
    published = pd.read_csv(pack_path("disrupting-harm") / "estimates.csv")
    twin = simulate_twin(published[published["study"] == "disrupting_harm_1"], seed=2026)
    frame = twin.frame.assign(weight=twin.frame["weight"].round(6))
    frame.columns = [name.removeprefix("item_").removeprefix("covariate_") for name in frame.columns]
    write_parquet(frame, home / "twin_SYNTHETIC.parquet")
    twin.agreement.round(3).to_csv(home / "agreement.csv", index=False, lineterminator="\n")
    (home / "study.toml").write_text((CODEBOOKS / "twin.toml").read_text(encoding="utf-8"), encoding="utf-8")


def main(home: Path = HOME) -> None:
    """Write everything."""
    write_invented(home / "invented")
    write_twin(home / "twin")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HOME)
