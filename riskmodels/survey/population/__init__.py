"""Population frames: how many children each group stands for, from tables, margins or weight totals."""

from riskmodels.survey.population.cells import PopulationCells
from riskmodels.survey.population.frame import PopulationFrame, frame_from_cells, population_from_table
from riskmodels.survey.population.levels import map_levels
from riskmodels.survey.population.raking import MarginFit, RakedFrame, RakingReport, rake_population
from riskmodels.survey.population.read import (
    DEFAULT_SHARE_SE,
    read_margins,
    read_population,
    read_population_table,
)
from riskmodels.survey.population.shares import with_share_online
from riskmodels.survey.population.weights import population_from_weights

__all__ = [
    "DEFAULT_SHARE_SE",
    "MarginFit",
    "PopulationCells",
    "PopulationFrame",
    "RakedFrame",
    "RakingReport",
    "frame_from_cells",
    "map_levels",
    "population_from_table",
    "population_from_weights",
    "rake_population",
    "read_margins",
    "read_population",
    "read_population_table",
    "with_share_online",
]
