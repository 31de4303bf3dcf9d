"""Questions that only some children were asked: no average with the weights of all children."""

from __future__ import annotations

from pathlib import Path

import pytest

import riskmodels as rm
from riskmodels.errors import InputError

STUDY = Path(__file__).parents[1] / "data" / "synthetic" / "invented" / "study.toml"


@pytest.mark.parametrize(
    "names, by", [("coped_deleted", ["country", "gender"]), (["coped_deleted", "cyberbullied"], ["country"])]
)
def test_a_filtered_question_is_refused_where_its_groups_would_be_averaged_wrongly(names, by):
    with pytest.raises(InputError, match="filtered questions"):
        rm.load_study(STUDY).prevalence(names, by=by)
