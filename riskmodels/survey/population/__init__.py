"""How many children each country and group holds, and what share of them is online."""

from riskmodels.survey.population.frame import DEFAULT_SHARE_SE, PopulationFrame
from riskmodels.survey.population.mapping import map_levels
from riskmodels.survey.population.raking import RakedFrame, rake_population
from riskmodels.survey.population.read import population_from_weights, read_population

__all__ = [
    "DEFAULT_SHARE_SE",
    "PopulationFrame",
    "RakedFrame",
    "map_levels",
    "population_from_weights",
    "rake_population",
    "read_population",
]
