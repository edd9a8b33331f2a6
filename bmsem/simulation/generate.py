"""Data from a model, forward: residuals are drawn, then the equations evaluated in their order.

Nothing is taken from the reduced form that likelihoods use, so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import observed_products
from bmsem.errors import ModelError
from bmsem.simulation.computed import Computed, find_computed
from bmsem.simulation.covariates import (
    Covariates,
    Layout,
    check_levels,
    design_layout,
    draw_covariates,
)
from bmsem.simulation.design import Design
from bmsem.simulation.levels import Equations, level_equations
from bmsem.simulation.roles import roles_by_data
from bmsem.simulation.seeds import any_seed
from bmsem.simulation.truth import check_values, parameter_values
from bmsem.spec import Level, ModelSpec
from bmsem.structure import Structure, build_structure
from bmsem.structure.sampled import sampled_quantities

Array = NDArray[np.float64]
Latents = dict[str, Array]
Seed = int | np.random.Generator | np.random.SeedSequence | None


@dataclass(frozen=True, eq=False)
class Simulator:
    """A model and a design, ready for data sets to be drawn; make one with `simulator`.

    Attributes
    ----------
    spec
        The model to which the data sets bind: products of observed variables are variables of their
        own, undeclared variables have the roles that the spec or real data show, and transforms that
        the simulated data cannot undergo again are left out.
    design
        The design.
    structure
        The model as matrices; its parameters are those that `data` takes.
    layout
        Who is in which cluster.
    """

    spec: ModelSpec
    design: Design
    structure: Structure
    layout: Layout
    computed: Computed
    within: Equations
    between: Equations
    fixed: Covariates | None

    def values(self, given: Mapping[str, float]) -> Array:
        """The parameter vector of true values; see `parameter_values`."""
        return parameter_values(self.spec, given)

    def covariates(self, random: np.random.Generator) -> Covariates:
        """Covariates and arms of one data set."""
        if self.fixed is not None:
            return self.fixed
        return draw_covariates(self.design, self.structure, self.computed, self.layout, random)

    def data(
        self, theta: Array, seed: Seed = None, covariates: Covariates | None = None
    ) -> tuple[pd.DataFrame, Latents]:
        """A data set at a parameter vector (P,), and what is latent in it; see `simulate`.

        The vector is not checked; `bmsem.simulation.check_values` does that, once for many data sets.
        """
        random = np.random.default_rng(seed)
        if covariates is None:
            covariates = self.covariates(random)
        codes, structure = self.layout.codes, self.structure
        of_people = covariates.inputs
        first = self.layout.first
        of_clusters = {k: {n: v[first] for n, v in own.items()} for k, own in of_people.items()}
        between, made = self.between.evaluate(
            theta, covariates.between, random, inputs=of_clusters, shift={}
        )
        z, p = len(structure.between_outcomes), len(structure.outcomes)
        columns = {n: between[i][codes] for i, n in enumerate(structure.between_outcomes)}
        columns |= {n: v[codes] for n, v in made.items()}
        factors = structure.between.variables[z + p :]
        latents: Latents = dict(zip(factors, between[z + p :], strict=True))
        if self.spec.multilevel:
            parts = between[z : z + p]
            shift = dict(zip(structure.outcomes, parts[:, codes], strict=True))
            within, made = self.within.evaluate(
                theta, covariates.within, random, inputs=of_people, shift=shift,
                slopes={s.name: between[s.row][codes] for s in structure.slopes},
                known={n: columns[n] for n in structure.between_outcomes},
            )  # fmt: skip
            columns |= made
            for i, name in enumerate(structure.outcomes):
                columns[name] = shift[name] + within[i]
                latents[f"within: {name}"] = within[i]
                if name in self.spec.split:
                    latents[f"between: {name}"] = parts[i]
            latents |= dict(zip(structure.within.variables[p:], within[p:], strict=True))
        return self._frame(covariates.columns | columns), latents

    def _frame(self, columns: dict[str, Array]) -> pd.DataFrame:
        for t in self.computed.dropped:
            # The mean of a constant is the constant: the original model binds to the data too.
            (name, *others) = sorted(t.expression.names()) or [""]
            mean = t.function == "cluster_mean" and str(t.expression) == name and not others
            if mean and t.name in columns and name not in columns:
                columns[name] = columns[t.name]
        order = [n for n in self.spec.observed if n in columns]
        order += [n for n in columns if n not in order]
        found: dict[str, Any] = {}
        if self.layout.cluster is not None:
            found[self.layout.cluster] = self.layout.ids.to_numpy()[self.layout.codes]
        found |= {n: columns[n] for n in order}
        return pd.DataFrame(found, index=self.layout.index)


def simulator(spec: ModelSpec, design: Design) -> Simulator:
    """Prepare a model and a design for many data sets.

    Undeclared variables have the roles that the spec shows. With `Design.from_data` they have those
    that the columns of the data decide, as when a model is fitted to them.

    Raises
    ------
    ModelError, DataError
        If the model and the design do not go together; see `simulate`.

    Examples
    --------
    >>> from bmsem.language import parse_formula
    >>> ready = simulator(parse_formula("y ~ b*x"), Design(rows=5, covariates={"x": "Normal(0, 1)"}))
    >>> theta = ready.values({"b": 0.5, "sd(y)": 1.0})
    >>> [ready.data(theta, seed)[0].shape for seed in range(2)]
    [(5, 2), (5, 2)]
    """
    if spec.multilevel and not design.multilevel:
        raise ModelError(
            "The model has a within and a between level, but the design has no clusters: give their "
            "number and size, Design(50, 20), or the cluster variable of real data."
        )
    if not spec.multilevel and design.multilevel:
        raise ModelError(
            "The design has clusters, but the model has no levels. Give the number of people only, "
            "Design(rows=1000), or write the model's parts under 'level: within' and 'level: between'."
        )
    spec = observed_products(spec)
    layout = design_layout(design, spec.cluster)
    if design.data is not None:
        spec = roles_by_data(spec, design.data, layout)
    structure = build_structure(spec)
    sampled_quantities(structure, spec.within_only)  # raises for products that cannot be
    if layout.cluster is not None and layout.cluster in spec.observed:
        raise ModelError(
            f"'{layout.cluster}' names the clusters; it cannot also be in the model. Name the cluster "
            f"variable: 'cluster: …' in the model."
        )
    computed = find_computed(spec, structure, design)
    check_levels(design, computed, layout)
    top: Level = "between" if spec.multilevel else None
    within = level_equations(structure, "within", computed.later_at(structure, "within"))
    between = level_equations(structure, top, computed.later_at(structure, "between"))
    first = draw_covariates(design, structure, computed, layout, design.stream("covariates"))
    return Simulator(
        computed.without_dropped(spec), design, structure, layout, computed, within, between,
        None if design.redraw and design.drawn else first,
    )  # fmt: skip


@overload
def simulate(
    spec: ModelSpec,
    values: Mapping[str, float] | Array,
    design: Design,
    seed: Seed = None,
    latent: Literal[False] = False,
) -> pd.DataFrame: ...


@overload
def simulate(
    spec: ModelSpec,
    values: Mapping[str, float] | Array,
    design: Design,
    seed: Seed = None,
    *,
    latent: Literal[True],
) -> tuple[pd.DataFrame, Latents]: ...


def simulate(
    spec: ModelSpec,
    values: Mapping[str, float] | Array,
    design: Design,
    seed: Seed = None,
    latent: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, Latents]:
    """A data set from a model at true values.

    Parameters
    ----------
    spec
        The model. Variables that are not declared have the role that it shows: outcomes, and what
        is used at both levels, are simulated; the others are conditioned on.
    values
        True values by name (see `parameter_values`), or a parameter vector (P,) in the order of
        `Simulator.structure`.
    design
        Clusters, people, arms and covariates.
    seed
        The same seed gives the same data; a generator goes on from where it is.
    latent
        Whether to give what is latent too.

    Returns
    -------
    frame : pandas.DataFrame
        The cluster variable, every observed variable, and what others are computed from.
    latents : dict
        Only if asked for: parts (``"between: y"`` (J,), ``"within: y"`` (N,)), varying slopes and
        between factors (J,), within factors (N,) by name. Clusters in order of first appearance.

    Notes
    -----
    y_ij = u_j + w_ij: between parts, slopes and factors of clusters are drawn first, then people. A
    variable that ``define:`` computes from what the design gives is computed, and the data hold what
    it is computed from, so that they bind to the same model. One that the model has as an outcome is
    simulated as the model says, as if it had been observed. One that is computed row by row from
    simulated outcomes, such as the product of a mediator and a covariate, is computed on the way. The
    data of a model of which `Simulator.spec` leaves transforms out are to be fitted with that spec.

    Raises
    ------
    ModelError
        If true values are missing or impossible, the design lacks a covariate, or the equations
        cannot be evaluated one after the other.
    DataError
        If values of the design do not fit the model.

    Examples
    --------
    >>> from bmsem.language import parse_formula
    >>> spec = parse_formula('''
    ...     level: within
    ...       y ~~ y
    ...     level: between
    ...       y ~ b*treat
    ... ''')
    >>> frame = simulate(spec, {"b": 0.5, "within: y ~~ y": 0.9, "icc(y)": 0.1},
    ...                  Design(40, 10, arms={"treat": 0.5}), seed=1)
    >>> frame.shape, list(frame), frame["treat"].mean()
    ((400, 3), ['cluster', 'y', 'treat'], np.float64(0.5))
    """
    seed = any_seed(seed)
    ready = simulator(spec, design)
    if isinstance(values, Mapping):
        theta = ready.values(values)
    else:
        theta = np.asarray(values, dtype=float)
        check_values(ready.spec, theta)
    frame, latents = ready.data(theta, seed)
    return (frame, latents) if latent else frame
