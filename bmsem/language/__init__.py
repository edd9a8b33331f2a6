"""Model languages: text to `bmsem.spec.ModelSpec` and back."""

from bmsem.language.formula import parse_formula
from bmsem.language.prior_text import parse_prior
from bmsem.language.targets import find_target, parse_target
from bmsem.language.writer import write_formula

__all__ = ["find_target", "parse_formula", "parse_prior", "parse_target", "write_formula"]
