"""Make the disrupting-harm pack from the transcription: the facts unchanged, counts in notes lifted into columns.

    python data/prepare_disrupting_harm.py TRANSCRIPTION_FOLDER

The notes of the transcription name weighted and unweighted numerators in words; here they become the columns
`numerator_kind`, `numerator_weighted` and `n_weighted`. No figure is changed, rounded or left out.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pandas as pd

PACK = Path(__file__).parents[1] / "riskmodels" / "reproduction" / "packs" / "disrupting_harm"


def lift_counts(row: pd.Series) -> tuple[str, str, str]:
    """Kind of numerator, weighted numerator and weighted base of one row, empty where not stated."""
    note = row["denominator_note"]
    if match := re.search(r"weighted numerator (\d+) of (\d+)", note):
        return "unweighted", match[1], match[2]
    if re.search(r"numerator unweighted", note, re.IGNORECASE):
        match = re.search(r"(?<!un)weighted victims (\d+)", note)
        return "unweighted", match[1] if match else "", row["n"]
    if "weighted count" in note or "numerator weighted" in note:
        return "weighted", row["numerator"], row["n"]
    if note.startswith("derived"):
        return "weighted", row["numerator"], row["n"]
    return "", "", ""


def main(source: Path) -> None:
    """Write the pack's CSV files."""
    PACK.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(source / "estimates.csv", dtype=str, keep_default_na=False)
    lifted = [lift_counts(row) for _, row in table.iterrows()]
    for place, name in enumerate(("numerator_kind", "numerator_weighted", "n_weighted")):
        table.insert(table.columns.get_loc("numerator") + 1 + place, name, [values[place] for values in lifted])
    table.to_csv(PACK / "estimates.csv", index=False, lineterminator="\n")
    for name in ("margins.csv", "associations.csv"):
        shutil.copyfile(source / name, PACK / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
