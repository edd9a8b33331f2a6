"""The model as a table of parameters, before any data are seen."""

from bmsem.spec.defaults import complete
from bmsem.spec.statements import StatementBuilder, Statements
from bmsem.spec.table import (
    Constraint,
    Definition,
    Interaction,
    Level,
    ModelSpec,
    Parameter,
    Prior,
    RandomSlope,
    Transform,
)

__all__ = [
    "Constraint",
    "Definition",
    "Interaction",
    "Level",
    "ModelSpec",
    "Parameter",
    "Prior",
    "RandomSlope",
    "StatementBuilder",
    "Statements",
    "Transform",
    "complete",
]
