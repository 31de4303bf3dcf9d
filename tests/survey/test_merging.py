"""Caregiver files: no child is doubled, none is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import riskmodels as rm


def test_every_child_keeps_one_row_in_its_place() -> None:
    children = pd.DataFrame({"household": [3.0, 1.0, 1.0, 9.0, np.nan], "age": [12, 13, 14, 15, 16]})
    caregivers = pd.DataFrame({"household": [1.0, 3.0, np.nan], "age": [40, 50, 60], "job": ["a", "b", "c"]})
    merged = rm.merge_caregivers(children, caregivers, "household")
    assert merged["age"].tolist() == [12, 13, 14, 15, 16]
    assert merged["job"].iloc[:3].tolist() == ["b", "a", "a"]
    assert merged["age_caregiver"].isna().tolist() == [False, False, False, True, True]


def test_many_to_many_is_refused_with_the_rows_it_would_give() -> None:
    children = pd.DataFrame({"household": [1, 1, 2]})
    caregivers = pd.DataFrame({"household": [1, 1, 2]})
    with pytest.raises(rm.InputError, match="3 children would become 5 rows") as caught:
        rm.merge_caregivers(children, caregivers, "household")
    assert caught.value.problems[0].code == "E151"
    with pytest.raises(rm.InputError, match="E132"):
        rm.merge_caregivers(children, caregivers, "family")
