"""From a bound model and its priors to a `pymc.Model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.errors import ModelError
from bmsem.expressions import FUNCTIONS
from bmsem.graph.coordinates import PathCoordinates, path_coordinates
from bmsem.graph.correlations import correlations_from_partials, lkj_shapes
from bmsem.graph.inverse_wishart import inverse_wishart, scale_factor
from bmsem.graph.op import cluster_log_likelihood, two_level_log_likelihood
from bmsem.graph.variables import DataVector, group_name, prior_groups, prior_variable
from bmsem.likelihood.cells import model_cells, sampled_values
from bmsem.likelihood.cluster_inputs import (
    cluster_inputs,
    sampled_scale,
    score_scale,
    value_scale,
)
from bmsem.likelihood.inputs import KernelInputs, kernel_inputs
from bmsem.priors import ParameterPrior, PriorTable
from bmsem.spec import Level
from bmsem.structure.sampled import SampledQuantities


@dataclass(frozen=True)
class GraphVariable:
    """A random variable of the graph and the parameters that it stands for.

    ``scale`` says what it holds: the ``"parameter"`` itself, its ``"sd"``, ``"icc"`` or ``"r_square"``
    (``references`` then has what `bmsem.priors.ParameterPrior.reference` says), the ``"correlation"`` of
    a covariance, or (r + 1) / 2 of partial correlations (``"unit"``), block by block: ``sizes`` has the
    size of each full block of more than two variables, and 0 for every other correlation. One part of
    Bartlett's factor of a matrix with an inverse-Wishart prior is the ``"bartlett_diagonal"``, squared,
    the other is ``"bartlett_below"``; ``factor`` is the scale's. One that holds quantities of
    ``"cluster"``s or people stands for no parameters; its indices count its elements, which are
    (quantity - ``centre``) / ``spread``.
    """

    name: str
    indices: tuple[int, ...]
    scale: str
    sizes: tuple[int, ...] = ()
    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    references: tuple[tuple[int, float], ...] = ()
    factor: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Graph:
    """A PyMC model and how its variable ``parameters`` lines up with the parameter vector.

    Attributes
    ----------
    model
        Vectors of priors by kind, a ``Deterministic`` ``parameters`` in natural units, and the
        likelihood as a potential. Its one `pm.Data`, ``data``, holds the priors' arguments and the
        sufficient statistics: two models of one shape differ in nothing else.
    inputs
        The kernel's arrays; ``inputs.order`` is the order of ``parameters``.
    variables
        The free random variables, in the model's order.
    plan
        Which quantities of clusters and people are sampled; they follow the parameters in
        ``parameters``, cluster by cluster and then person by person, missing values last.
    by_cell
        Whether the likelihood is that of `bmsem.likelihood.cluster_kernel`.
    coordinates, scales
        Paths that the sampler sees rescaled, and by what: for each random variable a vector, a
        function of the others.
    """

    model: pm.Model
    inputs: KernelInputs
    variables: tuple[GraphVariable, ...]
    plan: SampledQuantities
    coordinates: PathCoordinates | None = None
    scales: dict[str, Any] = field(default_factory=dict)
    by_cell: bool = False

    @property
    def of_people(self) -> bool:
        """Whether numbers of people are sampled: scores, or missing values."""
        return any(v.name in ("person_scores", "missing_values") for v in self.variables)

    @property
    def size(self) -> int:
        """Length of ``parameters``: parameters, and the sampled quantities of clusters and people."""
        return sum(len(v.indices) for v in self.variables if v.scale == "cluster") + len(
            self.inputs.order
        )


def build_graph(bound: BoundModel, table: PriorTable) -> Graph:
    """Build the PyMC model of a bound model.

    Parameters with one kind and family of prior are one vector, so that the graph stays small and
    compiles fast: ``paths``, ``loadings``, ``intercepts``, ``sds`` or ``variances``, ``covariances``,
    and ``correlations_unit``, which holds (z + 1) / 2 for partial correlations z. A parameter with a
    prior of its own is a variable of its own, named by its label or row.

    Raises
    ------
    ModelError
        If the prior of an ICC needs a within variance that is not there.
    """
    with pm.Model() as model:
        data = DataVector()
        theta = _parameters(bound, table, model, data)
        plan = bound.plan
        order = tuple(theta.order)
        names = [bound.structure.parameters[i].name for i in order]
        if bound.by_cell:
            names += theta.add_cluster_quantities(plan, data)
        model.add_coord("parameter", names)
        vector = pt.concatenate(theta.pieces) if theta.pieces else pt.zeros((0,))
        parameters = pm.Deterministic("parameters", vector, dims="parameter")
        coordinates = path_coordinates(bound, table)
        scales = theta.scales(coordinates, data) if coordinates is not None else {}
        if bound.by_cell:
            inputs = cluster_inputs(bound, table, order, joined=True)
            value = _by_cell(parameters, inputs, data)
        else:
            inputs = kernel_inputs(bound, table, order)
            value, _ = two_level_log_likelihood(
                parameters,
                data.slice(inputs.data),
                pt.constant(inputs.integers),
                pt.constant(inputs.reals),
            )
        pm.Potential("log_likelihood", value)
        data.fill()
    return Graph(model, inputs, tuple(theta.variables), plan, coordinates, scales, bound.by_cell)


def _by_cell(parameters: Any, inputs: KernelInputs, data: DataVector) -> Any:
    """The likelihood with everything that depends on the data, cells and patterns included, as data."""
    count = len(inputs.integers)
    whole = data.rest(np.concatenate([[count], inputs.integers, inputs.data]))
    end = 1 + pt.cast(whole[0], "int64")
    integers = pt.cast(whole[1:end], "int64")
    value, _ = cluster_log_likelihood(parameters, whole[end:], integers, pt.constant(inputs.reals))
    return value


def build_prior_graph(bound: BoundModel, table: PriorTable, forward: bool = False) -> PriorGraph:
    """The priors alone: for their density, or ``forward`` for draws from them."""
    with pm.Model() as model:
        data = DataVector()
        theta = _parameters(bound, table, model, data, forward)
        data.fill()
    return PriorGraph(
        model, tuple(theta.order), tuple(theta.variables), pt.concatenate(theta.pieces)
    )


@dataclass(frozen=True)
class PriorGraph:
    """The random variables of a model's parameters, without data.

    ``parameters`` are all sampled and determined parameters in natural units, in the ``order`` of
    indices of the parameter vector.
    """

    model: pm.Model
    order: tuple[int, ...]
    variables: tuple[GraphVariable, ...]
    parameters: Any


def _parameters(
    bound: BoundModel,
    table: PriorTable,
    model: pm.Model,
    data: DataVector,
    forward: bool = False,
) -> _Theta:
    """All parameters that are not integrated out."""
    theta = _Theta(bound)
    groups = prior_groups(table)
    # An ICC needs the within variance to become a variance.
    for rows in sorted(groups, key=lambda rows: rows[0].on == "icc"):
        if rows[0].on == "icc":
            theta.add_wisharts(table, model, data)
            theta.add_determined(table)
        name = group_name(rows, set(model.named_vars))
        vector = prior_variable(name, rows, model, data, forward, theta.sizes(rows))
        theta.add_group(name, rows, vector, data)
    theta.add_wisharts(table, model, data)
    theta.add_determined(table)
    theta.add_correlations(table, model, data, forward)
    theta.add_determined(table)
    return theta


@dataclass
class _Theta:
    """The parameter vector while it is put together, piece by piece."""

    bound: BoundModel
    order: list[int] = field(default_factory=list)
    pieces: list[Any] = field(default_factory=list)
    variables: list[GraphVariable] = field(default_factory=list)
    # Piece and position of each parameter.
    _places: dict[int, tuple[int, int]] = field(default_factory=dict)
    # Standard deviations, which turn correlations into covariances.
    _sds: list[Any] = field(default_factory=list)
    _sd_position: dict[tuple[Level, str], int] = field(default_factory=dict)
    _sd_count: int = 0

    def __post_init__(self) -> None:
        fixed = [r for r in self.bound.spec.parameters if r.is_variance and r.fixed is not None]
        for row in fixed:
            self._add_sds([(row.level, row.lhs)], pt.constant([float(np.sqrt(row.fixed or 0.0))]))

    def _add(self, indices: list[int], values: Any) -> None:
        self._places |= {index: (len(self.pieces), i) for i, index in enumerate(indices)}
        self.order += indices
        self.pieces.append(values)

    def _add_sds(self, names: list[tuple[Level, str]], values: Any) -> None:
        for i, name in enumerate(names):
            self._sd_position[name] = self._sd_count + i
        self._sds.append(values)
        self._sd_count += len(names)

    def add_group(
        self, name: str, rows: list[ParameterPrior], vector: Any, data: DataVector
    ) -> None:
        """A vector of parameters that were sampled together."""
        indices = tuple(r.parameter.index for r in rows)
        references = tuple(r.reference for r in rows)
        on = rows[0].on
        self.variables.append(GraphVariable(name, indices, on, references=references))
        values = vector
        if rows[0].parameter.kind == "variance":
            if on == "sd":
                values = vector**2
            elif on == "icc":
                values = self._within_variances(rows, data) * vector / (1.0 - vector)
            elif on == "r_square":
                values = data.slice(np.array([v for _, v in references])) * (1.0 - vector)
            self._name_sds(rows, vector if on == "sd" else pt.sqrt(values))
        self._add([r.parameter.index for r in rows], values)

    def sizes(self, rows: list[ParameterPrior]) -> NDArray[np.float64] | None:
        """What the data say about the size of standard deviations or variances."""
        if rows[0].parameter.kind != "variance" or rows[0].on not in ("sd", "parameter"):
            return None
        places = [next(r for r in row.parameter.rows if r.is_variance) for row in rows]
        sds = [self.bound.scales.sd.get((place.level, place.lhs), 1.0) for place in places]
        return np.array(sds) ** (1.0 if rows[0].on == "sd" else 2.0)

    def _within_variances(self, rows: list[ParameterPrior], data: DataVector) -> Any:
        found = []
        for row in rows:
            index, fixed = row.reference
            if index >= 0 and index not in self.order:
                raise ModelError(
                    f"The ICC of {row.parameter.rows[0].lhs} needs its within variance, which "
                    f"constraints compute from a between variance. Give a prior to the variance."
                )
            found.append(self.value(index) if index >= 0 else data.slice(np.array([fixed]))[0])
        return pt.stack(found)

    def add_wisharts(self, table: PriorTable, model: pm.Model, data: DataVector) -> None:
        """Covariance matrices with an inverse-Wishart prior, from Bartlett's factor."""
        for block in table.blocks:
            wishart = block.wishart
            if wishart is None or wishart.variances[0] in self.order:
                continue
            size = block.size
            factor = scale_factor(wishart.scale)
            name = f"bartlett_{block.level or 'model'}_{'_'.join(block.variables)}"
            diagonal = pm.ChiSquared(
                f"{name}_diagonal", data.slice(wishart.freedom - np.arange(float(size))), shape=size
            )
            below = pm.Normal(f"{name}_below", 0.0, 1.0, shape=size * (size - 1) // 2)
            pairs = tuple(index for _, _, index in block.pairs)
            known = tuple(map(tuple, factor.tolist()))
            for part, indices in (("diagonal", wishart.variances), ("below", pairs)):
                self.variables.append(
                    GraphVariable(f"{name}_{part}", indices, f"bartlett_{part}", factor=known)
                )
            variances, covariances = inverse_wishart(diagonal, below, factor)
            places = [(block.level, v) for v in block.variables]
            self._add_sds(places, pt.sqrt(variances))
            self._add([*wishart.variances, *pairs], pt.concatenate([variances, covariances]))

    def _name_sds(self, rows: list[ParameterPrior], sds: Any) -> None:
        start = self._sd_count
        self._add_sds([(r.parameter.rows[0].level, r.parameter.rows[0].lhs) for r in rows], sds)
        for i, row in enumerate(rows):
            for place in row.parameter.rows:
                self._sd_position[place.level, place.lhs] = start + i

    def add_cluster_quantities(self, plan: SampledQuantities, data: DataVector) -> list[str]:
        """The sampled quantities of clusters and people: their density is part of the likelihood.

        They are sampled in units of the width that the data leave them, about where the data put
        them, so that the sampler starts near and adapts soon.
        """
        names: list[str] = []
        bound = self.bound
        if plan.rows:
            variables = [bound.structure.between.variables[r] for r in plan.rows]
            names += [f"{v}[{i}]" for i in bound.cluster_ids for v in variables]
            self._add_standard("cluster_quantities", *sampled_scale(bound, plan), data)
        if plan.scores:
            people = bound.structure.within if bound.spec.multilevel else bound.structure.between
            variables = [people.variables[r] for r in plan.scores]
            names += [f"{v}[person {i}]" for i in range(bound.rows) for v in variables]
            self._add_standard("person_scores", *score_scale(bound, plan), data)
        if sampled_values(bound, plan):
            cells = model_cells(bound, plan)
            owner = (
                bound.people.index[cells.people] if bound.people is not None else bound.cluster_ids
            )
            outcomes = bound.structure.outcomes or bound.structure.between_outcomes
            names += [f"{outcomes[o]}[person {owner[r]}]" for r, o in cells.filled]
            self._add_standard("missing_values", *value_scale(bound, plan), data)
        return names

    def _add_standard(self, name: str, centre: Any, spread: Any, data: DataVector) -> None:
        wide = np.broadcast_to(spread, centre.shape).ravel()
        centre = centre.ravel()
        standard = pm.Flat(name, shape=(centre.size,))
        self.variables.append(
            GraphVariable(
                name, tuple(range(centre.size)), "cluster", centre=tuple(centre), spread=tuple(wide)
            )
        )
        self.pieces.append(data.slice(centre) + data.slice(wide) * standard)

    def scales(self, coordinates: PathCoordinates, data: DataVector) -> dict[str, Any]:
        """What the random variables with rescaled paths are multiplied by."""
        found = coordinates.scales(self.value, data.slice(coordinates.numbers))
        return {
            v.name: pt.stack([found.get(i, pt.constant(1.0)) for i in v.indices])
            for v in self.variables
            if v.scale == "parameter" and any(i in found for i in v.indices)
        }

    def value(self, index: int) -> Any:
        """The scalar of one parameter."""
        piece, position = self._places[index]
        return self.pieces[piece][position]

    def add_determined(self, table: PriorTable) -> None:
        """Parameters that constraints make functions of those that are there already."""
        by_name = {p.name: p.index for p in self.bound.structure.parameters}
        functions = {k: getattr(pt, v) for k, v in FUNCTIONS.items() if hasattr(pt, v)}
        functions["phi"] = lambda x: 0.5 * (1.0 + pt.erf(x / np.sqrt(2.0)))
        for row in table.role("determined"):
            if row.expression is None or row.parameter.index in self.order:
                continue
            names = row.expression.names()
            if any(by_name[n] not in self.order for n in names):
                continue
            values = {n: self.value(by_name[n]) for n in names}
            result = pt.as_tensor_variable(row.expression.evaluate(values, functions))
            result = pt.atleast_1d(result.astype("float64"))
            if row.parameter.kind == "variance":
                self._name_sds([row], pt.sqrt(result))
            self._add([row.parameter.index], result)

    def add_correlations(
        self, table: PriorTable, model: pm.Model, data: DataVector, forward: bool = False
    ) -> None:
        """Covariances that are sampled as correlations."""
        own = {
            r.parameter.index: r
            for r in table.role("sampled")
            if r.on == "correlation" and r.prior is not None
        }
        taken = set(self.order) | set(own) | {r.parameter.index for r in table.role("determined")}
        shapes: list[float] = []
        unit: list[tuple[int, tuple[Level, str, str]]] = []
        flat: list[bool] = []
        sizes: list[int] = []  # of full blocks larger than a pair; 0 for a single correlation
        for block in table.blocks:
            pairs = [p for p in block.pairs if p[2] not in taken]
            if not pairs:
                continue
            names = [(block.level, block.variables[i], block.variables[j]) for i, j, _ in pairs]
            unit += [(index, name) for (_, _, index), name in zip(pairs, names, strict=True)]
            flat += [block.flat] * len(pairs)
            if block.full:
                shapes += lkj_shapes(block.size, block.lkj)
                sizes += [block.size] if block.size > 2 else [0]
            else:
                # Uniform over the covariances, or the marginal distribution of one correlation
                # under LKJ; that the matrix is positive definite is checked by the likelihood.
                marginal = 1.0 if block.flat else block.lkj + (block.size - 2) / 2.0
                shapes += [marginal] * len(pairs)
                sizes += [0] * len(pairs)
        indices, names, parts = [], [], []
        if unit:
            model.add_coord(
                "correlation", [self.bound.structure.parameters[i].name for i, _ in unit]
            )
            shape = data.slice(np.array(shapes))
            variable = pm.Beta("correlations_unit", shape, shape, dims="correlation")
            partials = 2.0 * variable - 1.0
            self.variables.append(
                GraphVariable("correlations_unit", tuple(i for i, _ in unit), "unit", tuple(sizes))
            )
            indices += [i for i, _ in unit]
            names += [n for _, n in unit]
            parts.append(_blockwise(partials, sizes))
        for index, row in own.items():
            name = f"cor({row.parameter.name})"
            parts.append(prior_variable(name, [row], model, data, forward))
            self.variables.append(GraphVariable(name, (index,), "correlation"))
            place = row.parameter.rows[0]
            indices.append(index)
            names.append((place.level, place.lhs, place.rhs))
        if not parts:
            return
        correlations = pt.concatenate(parts) if len(parts) > 1 else parts[0]
        sds = pt.concatenate(self._sds) if len(self._sds) > 1 else self._sds[0]
        first = sds[np.array([self._sd_position[level, a] for level, a, _ in names])]
        second = sds[np.array([self._sd_position[level, b] for level, _, b in names])]
        self._add(indices, correlations * first * second)
        if any(flat):
            # Uniform over covariances, sampled as correlations: d cov = sd_i sd_j d r.
            # LKJ(1) is uniform over correlation matrices, so nothing else is needed. A correlation
            # with a prior of its own, behind these, has that prior and no other.
            at = np.flatnonzero(flat)
            pm.Potential("flat_covariances", pt.sum(pt.log(first[at] * second[at])))


def _blockwise(partials: Any, sizes: list[int]) -> Any:
    """Correlations of all blocks from their partial correlations."""
    if not any(sizes):
        return partials
    parts, start, singles = [], 0, 0
    for size in sizes:
        if not size:
            singles += 1
            continue
        if singles:
            parts.append(partials[start : start + singles])
            start, singles = start + singles, 0
        count = size * (size - 1) // 2
        parts.append(correlations_from_partials(partials[start : start + count], size))
        start += count
    if singles:
        parts.append(partials[start:])
    return pt.concatenate(parts) if len(parts) > 1 else parts[0]
