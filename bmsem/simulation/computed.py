"""Which variables a design gives, which are computed from these, and which from simulated outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bmsem.errors import ModelError, did_you_mean
from bmsem.simulation.design import Design
from bmsem.spec import Level, ModelSpec, Transform
from bmsem.structure import Structure


@dataclass(frozen=True, eq=False)
class Computed:
    """Where each covariate of a model comes from.

    Attributes
    ----------
    given
        What the design gives and the model needs, with the level at which it is given.
    known
        Transforms of what the design gives.
    later
        Transforms of simulated outcomes, row by row; covariates of the model, or inputs of such.
    order
        Both, as they were written.
    dropped
        Transforms that are not carried out: the model says how their variables come about, or the
        design gives their values.
    simulated
        Outcomes of the model.
    conditioned
        Covariates of the model, with their level.
    """

    given: dict[str, Level]
    known: tuple[Transform, ...]
    later: tuple[Transform, ...]
    order: tuple[Transform, ...]
    dropped: tuple[Transform, ...]
    simulated: frozenset[str]
    conditioned: dict[str, Level]

    def later_at(self, structure: Structure, level: Level) -> dict[str, Transform]:
        """Transforms of outcomes that covariates of a level need, by name."""
        own = structure.within_covariates if level == "within" else structure.between_covariates
        by_name = {t.name: t for t in self.later}
        found: dict[str, Transform] = {}
        stack = [n for n in own if n in by_name]
        while stack:
            name = stack.pop()
            if name not in found:
                found[name] = by_name[name]
                stack += [n for n in by_name[name].expression.names() if n in by_name]
        return found

    def without_dropped(self, spec: ModelSpec) -> ModelSpec:
        """The model to which simulated data bind as they are."""
        if not self.dropped:
            return spec
        kept = tuple(t for t in spec.transforms if t not in self.dropped)
        if spec.statements is None:
            return replace(spec, transforms=kept)
        return replace(spec, transforms=kept, statements=replace(spec.statements, transforms=kept))


def find_computed(spec: ModelSpec, structure: Structure, design: Design) -> Computed:
    """Sort the variables of a model by where their values come from.

    Raises
    ------
    ModelError
        If a covariate is neither given nor computed, depends on simulated outcomes through the mean
        of a cluster or of all rows, or varies inside clusters though it stands between them; if the
        design gives what the model does not know, or what it simulates.
    """
    top: Level = "between" if spec.multilevel else None
    simulated = frozenset((*structure.outcomes, *structure.between_outcomes))
    conditioned: dict[str, Level] = dict.fromkeys(structure.within_covariates, "within")
    conditioned |= dict.fromkeys(structure.between_covariates, top)
    named = {*design.arms, *design.covariates}
    columns = (
        set(map(str, design.data.columns)) - {design.cluster} if design.data is not None else set()
    )
    own = {t.name for t in spec.transforms if t.name in t.expression.names()}
    for name in sorted(named & simulated):
        raise ModelError(
            f"The design gives '{name}', which the model simulates: it is an outcome, or a predictor "
            f"with parts at both levels. Leave it out of the design, or declare it ('within: {name}' "
            f"or 'between: {name}') so that the model conditions on it."
        )
    state = dict.fromkeys((named | columns) - simulated, "known") | dict.fromkeys(
        simulated, "simulated"
    )
    known: list[Transform] = []
    later: list[Transform] = []
    order: list[Transform] = []
    dropped: list[Transform] = []
    reasons: dict[str, str] = {}
    for t in spec.transforms:
        inputs = t.expression.names()
        states = {state.get(n, "unknown") for n in inputs}
        if t.name in simulated:
            dropped.append(t)
        elif t.name in named and t.name not in own:
            if inputs <= named:
                raise ModelError(
                    f"The design gives both '{t.name}' and what it is computed from ({t}). Keep one."
                )
            dropped.append(t)
        elif "unknown" in states:
            dropped.append(t)
            if t.name not in columns or t.name in own:
                state.pop(t.name, None)
                lacking = sorted(n for n in inputs if state.get(n, "unknown") == "unknown")
                reasons[t.name] = f" (computed from {', '.join(lacking)}: {t})"
        elif states <= {"known"}:
            known.append(t)
            order.append(t)
            state[t.name] = "known"
        elif t.function == "compute" and "refused" not in states:
            if t.name in {x.name for x in later}:
                raise ModelError(
                    f"'{t.name}' is computed twice from simulated outcomes. Give the second one "
                    f"another name."
                )
            later.append(t)
            order.append(t)
            state[t.name] = "later"
        else:
            dropped.append(t)
            state[t.name] = "refused"
            reasons[t.name] = str(t)
    for name in conditioned:
        if state.get(name) == "refused":
            raise ModelError(
                f"The model conditions on '{name}', which depends on simulated outcomes through the "
                f"mean of a cluster or of all rows ({reasons[name]}): no order of simulating them fits "
                f"such a model. Give '{name}' in the design's covariates."
            )
    missing = [n for n in conditioned if state.get(n, "unknown") == "unknown"]
    if missing:
        raise _missing(missing, conditioned, reasons)
    later = _needed(later, conditioned)
    found = Computed(
        {}, tuple(known), tuple(later), tuple(t for t in order if t in known or t in later),
        tuple(dropped), simulated, conditioned,
    )  # fmt: skip
    _check_between(found, structure)
    return replace(found, given=_given(found, spec, design, named, columns, top))


def _missing(names: list[str], levels: dict[str, Level], reasons: dict[str, str]) -> ModelError:
    shown = [
        f"{n}{f', at the {levels[n]} level' if levels[n] else ''}{reasons.get(n, '')}"
        for n in names
    ]
    name = names[0]
    if levels[name] == "within":
        example, unit = f"'{name}': Covariate('Normal(0, 1)', icc=0.1)", "person"
    else:
        example, unit = f"'{name}': 'Normal(0, 1)'", "cluster" if levels[name] else "person"
    return ModelError(
        f"The design says nothing about these covariates, which the model conditions on: "
        f"{'; '.join(shown)}. Give them a distribution or values, one a {unit} "
        f"(covariates={{{example}}}), or make them arms (arms={{'{name}': 0.5}})."
    )


def _needed(later: list[Transform], conditioned: dict[str, Level]) -> list[Transform]:
    """Those that covariates of the model are made of; binding computes the others from the data."""
    names = set(conditioned)
    kept: list[Transform] = []
    for t in reversed(later):
        if t.name in names:
            names |= t.expression.names()
            kept.append(t)
    return kept[::-1]


def _check_between(computed: Computed, structure: Structure) -> None:
    """What clusters are conditioned on is not computed from what varies inside them."""
    members = {*structure.outcomes, *structure.within_covariates}
    for t in computed.later_at(structure, "between").values():
        inside = sorted(t.expression.names() & members)
        if inside:
            raise ModelError(
                f"A covariate of the between level is computed from '{inside[0]}', which varies inside "
                f"clusters ({t}). Use '{t.name}' at the within level, or give it in the design's "
                f"covariates."
            )


def _given(
    computed: Computed,
    spec: ModelSpec,
    design: Design,
    named: set[str],
    columns: set[str],
    top: Level,
) -> dict[str, Level]:
    """What is taken from the design, and at which level it is drawn."""
    used = {n for t in computed.order for n in t.expression.names()}
    made = {t.name for t in computed.order if t.name not in t.expression.names()}
    needed = (used | set(computed.conditioned)) & (named | columns)
    needed -= computed.simulated | (made - named)
    unused = sorted(named - needed)
    if unused:
        name = unused[0]
        only = [t for t in computed.dropped if name in t.expression.names()]
        if only:
            raise ModelError(
                f"The design gives '{name}', of which nothing is made: '{only[0]}' is not carried out, "
                f"because the model or the design says what '{only[0].name}' is. Leave '{name}' out."
            )
        raws = {n for t in spec.transforms for n in t.expression.names()} - computed.simulated
        raise ModelError(
            f"The design gives '{name}', which is no covariate of the model. "
            f"{did_you_mean(name, {*computed.conditioned, *raws})}"
        )
    found: dict[str, Level] = {}
    for name in sorted(needed):
        if name in computed.conditioned:
            found[name] = computed.conditioned[name]
        elif top is None:
            found[name] = None
        else:
            found[name] = design.levels.get(name) or _level_of_input(name, computed)
    return found


def _level_of_input(name: str, computed: Computed) -> Level:
    """Between clusters if only variables of clusters are computed from it, row by row."""
    users = [t for t in computed.order if name in t.expression.names() and t.name != name]
    by_cluster = all(
        t.function == "compute"
        and (computed.conditioned.get(t.name) or _level_of_input(t.name, computed)) == "between"
        for t in users
    )
    return "between" if users and by_cluster else "within"
