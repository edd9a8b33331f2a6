"""Data simulated from a model: designs, true values, forward simulation level by level."""

from bmsem.simulation.design import Design
from bmsem.simulation.distributions import Covariate
from bmsem.simulation.generate import Simulator, simulate, simulator
from bmsem.simulation.seeds import whole_seed
from bmsem.simulation.truth import check_values, parameter_values

__all__ = [
    "Covariate",
    "Design",
    "Simulator",
    "check_values",
    "parameter_values",
    "simulate",
    "simulator",
    "whole_seed",
]
