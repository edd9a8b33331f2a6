"""The model as a table of parameters, before any data are seen."""

from bmsem.spec.defaults import complete, with_auxiliary
from bmsem.spec.statements import Statement, StatementBuilder, Statements
from bmsem.spec.table import (
    Constraint,
    Definition,
    Interaction,
    Level,
    ModelSpec,
    On,
    Parameter,
    Prior,
    RandomSlope,
    Transform,
)
from bmsem.spec.targets import Target

__all__ = [
    "Constraint",
    "Definition",
    "Interaction",
    "Level",
    "ModelSpec",
    "On",
    "Parameter",
    "Prior",
    "RandomSlope",
    "Statement",
    "StatementBuilder",
    "Statements",
    "Target",
    "Transform",
    "complete",
    "with_auxiliary",
]
