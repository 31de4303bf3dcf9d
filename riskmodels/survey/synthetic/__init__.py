"""Made-up children and tables with known truth; always branded synthetic, never anyone's answers."""

from riskmodels.survey.synthetic.children import SimulatedSurvey, simulate_survey
from riskmodels.survey.synthetic.clustered import ClusteredSample, simulate_clustered
from riskmodels.survey.synthetic.tables import SimulatedSubgroups, SimulatedTable, simulate_subgroups, simulate_table
from riskmodels.survey.synthetic.truth import SurveyTruth

__all__ = [
    "ClusteredSample",
    "SimulatedSubgroups",
    "SimulatedSurvey",
    "SimulatedTable",
    "SurveyTruth",
    "simulate_clustered",
    "simulate_subgroups",
    "simulate_survey",
    "simulate_table",
]
