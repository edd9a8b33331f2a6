"""Which standard of meaningfulness belongs to which effect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import ModelError
from bmsem.results import FitResults
from bmsem.spec import Level

Array = NDArray[np.float64]


class Standards:
    """Standards by the effects that they are about.

    A name is a variable (the outcome: the total effect; a mediator: the treatment's effect on it), an
    effect (``"advant -> mvpa"``), or a label, derived parameter or row, which is recognised in an
    effect by its draws: ``tot`` is the total effect whatever it is called.

    Parameters
    ----------
    fit
        The fit.
    given
        Standards by name.
    treatment, outcome, mediators
        What the variables are.
    level
        At which the treatment acts.

    Attributes
    ----------
    draws
        Of what is named otherwise than by a variable.

    Raises
    ------
    ModelError
        If a standard is zero or not finite, or nothing has its name.
    """

    def __init__(
        self,
        fit: FitResults,
        given: Mapping[str, float],
        treatment: str,
        outcome: str,
        mediators: Sequence[str],
        level: Level,
    ) -> None:
        self.draws: dict[str, Array] = {}
        self._by_effect: dict[str, tuple[str, float]] = {}
        self._by_draws: dict[str, tuple[Array, float]] = {}
        self._used: set[str] = set()
        self._names = tuple(given)
        for name, value in given.items():
            if not np.isfinite(value) or value == 0:
                raise ModelError(
                    f"The standard of '{name}' is {value}: give the smallest effect that would "
                    f"matter, with its sign."
                )
            if name in (outcome, *mediators):
                self._by_effect[f"{treatment} -> {name}"] = (name, float(value))
                continue
            chain = re.split(r"\s*(?:->|→)\s*", name.strip())
            if len(chain) > 1:
                self._by_effect[" -> ".join(chain)] = (name, float(value))
            self.draws[name] = _draws(fit, name, chain, level)
            self._by_draws[name] = (self.draws[name], float(value))
        # Derived parameters name effects, whether they have a standard or not.
        self._defined = {n: np.asarray(d) for n, d in fit.defined.items()}

    def of(self, effect: str, draws: Array) -> tuple[str | None, float | None]:
        """The derived parameter that an effect is, and its standard."""
        defined = next((n for n, d in self._defined.items() if _same(d, draws)), None)
        if effect in self._by_effect:
            name, standard = self._by_effect[effect]
            self._used.add(name)
            return defined, standard
        for name, (own, standard) in self._by_draws.items():
            if _same(own, draws):
                self._used.add(name)
                return defined, standard
        return defined, None

    def unused(self) -> list[str]:
        """Names of standards that belong to no effect of the trial's questions."""
        return [n for n in self._names if n not in self._used]


def _draws(fit: FitResults, name: str, chain: list[str], level: Level) -> Array:
    """Draws of what a standard is about; chains are those of the trial's level."""
    if len(chain) == 1:
        return fit.quantity(name)
    (found,) = fit.level_effects_of(chain[0], chain[-1], level)
    if len(chain) == 2:
        return np.asarray(found.total)
    own = [c.draws for c in found.chains if c.variables == tuple(chain)]
    if not own:
        raise ModelError(f"No path '{' -> '.join(chain)}' in the model.")
    return np.asarray(own[0])


def _same(a: Array, b: Array) -> bool:
    # Equal but for the order of sums; a constant equals too much.
    return a.shape == b.shape and bool(np.ptp(a) > 0) and bool(np.allclose(a, b, rtol=1e-9, atol=0))
