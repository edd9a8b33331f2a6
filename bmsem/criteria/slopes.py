"""Information criteria where quantities were sampled, or values are missing.

The marginal log-likelihood of a cluster integrates over these as well,

    log p(y_j | theta) = log int p(y_j, C_j | theta) dC_j,

by Gauss-Hermite quadrature about the posterior of C_j (Liu & Pierce 1994, Biometrika 81, 624-629). The
conditional deviance is -2 log p(y | u, s, theta) given all cluster effects and varying slopes; its
expectation over those that were integrated out is exact.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bmsem.criteria.deviance import DIC
from bmsem.data import BoundModel
from bmsem.errors import NotSupportedError
from bmsem.likelihood.cells import by_pattern, model_cells, sampled_values
from bmsem.likelihood.cluster_inputs import cluster_inputs, cluster_log_likelihood_at
from bmsem.moments import implied_moments
from bmsem.structure.sampled import SampledQuantities

Array = NDArray[np.float64]

# Nodes in one and in two dimensions.
_NODES = {1: 15, 2: 9}


def marginal_log_likelihood_given(
    bound: BoundModel,
    plan: SampledQuantities,
    parameters: Array,
    sampled: Array,
    scores: Array | None = None,
) -> Array:
    """Marginal log-likelihood of each cluster (D, J) at draws (D, P).

    ``sampled`` (D, J, m) places the quadrature; without levels ``scores`` (D, N, f) do, a person being
    the unit. Missing values are integrated out exactly.

    Raises
    ------
    NotSupportedError
        With more than two sampled quantities a cluster, or one a person in a model with levels: the
        integral would need too many nodes.
    """
    by_score = bool(plan.scores)
    _require_nothing_filled(bound, plan, "the marginal DIC, WAIC and LOO")
    if by_score and bound.spec.multilevel:
        raise NotSupportedError(
            "A factor score of each person was sampled: the marginal likelihood of a cluster, and with "
            "it the marginal DIC, WAIC and LOO, would need an integral over all its people's scores at "
            "once. Judge the interaction by the posterior of its coefficient."
        )
    if by_score and scores is not None:
        sampled = scores
    m = sampled.shape[-1]

    def by_unit(theta: Array, point: Array) -> Array:
        none = np.empty((bound.clusters, 0))
        pair = (none, point) if by_score else (point, None)
        return cluster_log_likelihood_at(theta, pair[0], inputs, pair[1])[4][:, 0]

    inputs = cluster_inputs(bound)
    if m == 0:
        return np.stack([by_unit(p, sampled[0]) for p in parameters])
    if m not in _NODES:
        raise NotSupportedError(
            f"{m} quantities of each {'person' if by_score else 'cluster'} were sampled: the "
            f"marginal likelihood, and with it the marginal DIC, WAIC and LOO, would need an integral "
            f"over {m} dimensions for each of them and each draw."
        )
    centre = sampled.mean(axis=0)  # (J, m)
    off = sampled - centre
    covariance = np.einsum("dja,djb->jab", off, off) / max(len(sampled) - 1, 1)
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(m))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES[m])
    logdet = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    points, log_weights = [], []
    for index in product(range(_NODES[m]), repeat=m):
        u = nodes[list(index)]
        points.append(centre + root @ u)
        log_weights.append(np.log(weights[list(index)]).sum() + 0.5 * u @ u)
    result = np.empty((len(parameters), bound.clusters))
    for d, theta in enumerate(parameters):
        terms = np.array([by_unit(theta, point) for point in points])
        result[d] = logsumexp(terms + np.array(log_weights)[:, None], axis=0) + logdet
    return result


def marginal_dic_given(
    bound: BoundModel,
    plan: SampledQuantities,
    parameters: Array,
    sampled: Array,
    log_likelihood: Array,
    scores: Array | None = None,
) -> DIC:
    """Marginal DIC; ``log_likelihood`` (D, J) from `marginal_log_likelihood_given`."""
    mean = float(-2.0 * log_likelihood.sum(axis=1).mean())
    centre = parameters.mean(axis=0)[None]
    at_mean = -2.0 * float(
        marginal_log_likelihood_given(bound, plan, centre, sampled, scores).sum()
    )
    return DIC("marginal", 2.0 * mean - at_mean, mean - at_mean, mean, at_mean)


def conditional_dic_given(
    bound: BoundModel, plan: SampledQuantities, parameters: Array, sampled: Array
) -> DIC | None:
    """Conditional DIC given cluster effects and slopes; ``None`` where it is not defined.

    Between-only outcomes enter through p(z | u, theta), of what is observed of them. With varying slopes
    or products that would be p(z | u, s, theta), which is not defined where products make the between
    level non-linear; with a product within clusters it is open which factor scores belong to what is
    conditioned on.
    """
    structure = bound.structure
    nz, q = len(structure.between_outcomes), plan.size
    if (nz and plan.needed) or plan.by_person or not bound.spec.multilevel:
        return None
    _require_nothing_filled(bound, plan, "the conditional DIC")
    inputs = cluster_inputs(bound)
    known = [*range(nz), *plan.rows]
    hidden = [r for r in range(q) if r not in known]
    values = np.zeros((bound.clusters, q))
    deviance = 0.0
    for theta, c in zip(parameters, sampled, strict=True):
        _, _, mean, covariance, by_cluster = cluster_log_likelihood_at(theta, c, inputs)
        own = by_cluster[:, 1].sum() + _between_deviance(bound, theta, mean, covariance)
        deviance += own / len(parameters)
        values[:, hidden] += mean / len(parameters)
        values[:, list(plan.rows)] += c / len(parameters)
    centre = parameters.mean(axis=0)
    at_mean = deviance_at(bound, centre, values)
    if nz:
        at_mean += _between_deviance(bound, centre, values[:, hidden], None)
    return DIC("conditional", 2.0 * deviance - at_mean, deviance - at_mean, deviance, at_mean)


def _require_nothing_filled(bound: BoundModel, plan: SampledQuantities, what: str) -> None:
    filled = sampled_values(bound, plan)
    if filled:
        names = bound.structure.outcomes or bound.structure.between_outcomes
        raise NotSupportedError(
            f"Missing values of {', '.join(names[i] for i in filled)}, which a varying slope or a "
            f"product multiplies, were sampled: {what} would need an integral over all of a cluster's "
            f"at once."
        )


def _between_deviance(
    bound: BoundModel, theta: Array, effects: Array, covariance: Array | None
) -> float:
    """E[-2 log p(z | u, theta)] over u with means (J, p) and covariances (J, p, p), of observed z."""
    structure = bound.structure
    nz = len(structure.between_outcomes)
    if not nz:
        return 0.0
    implied = implied_moments(structure.between, theta)
    x = np.hstack([np.ones((bound.clusters, 1)), bound.between_covariates])
    centre = x @ implied.observed_coefficients.T
    sigma = implied.observed_covariance
    inner = np.linalg.pinv(sigma[nz:, nz:], rcond=1e-10, hermitian=True)
    slopes = sigma[:nz, nz:] @ inner
    rest = sigma[:nz, :nz] - slopes @ sigma[nz:, :nz]
    error = bound.between_outcomes - centre[:, :nz] - (effects - centre[:, nz:]) @ slopes.T
    value = 0.0
    for members, seen in by_pattern(~np.isnan(bound.between_outcomes)):
        if not seen.any():
            continue
        own = rest[np.ix_(seen, seen)]
        precision = np.linalg.inv(own)
        constant = seen.sum() * np.log(2 * np.pi) + np.linalg.slogdet(own)[1]
        value += len(members) * constant
        off = error[members][:, seen]
        value += float(np.einsum("ja,ab,jb->", off, precision, off))
        if covariance is not None:
            spread = slopes[seen] @ covariance[members].sum(axis=0) @ slopes[seen].T
            value += float(np.trace(precision @ spread))
    return float(value)


def deviance_at(bound: BoundModel, theta: Array, values: Array) -> float:
    """-2 log p(y | u, s, theta) at the between variables' ``values`` (J, q), of what is observed."""
    structure = bound.structure
    cells = model_cells(bound, bound.plan)
    p, nz = len(structure.outcomes), len(structure.between_outcomes)
    numbers = cells.numbers(np.zeros(p), 0)
    paths, psi, coefficients = structure.within.matrices(theta)
    n = len(paths)
    total_deviance = 0.0
    for j in range(bound.clusters):
        a = paths.copy()
        for slope in structure.slopes:
            if slope.kind == "factor":
                a[slope.target, slope.source] += values[j, slope.row]
        total = np.linalg.inv(np.eye(n) - a)
        sigma = (total @ psi @ total.T)[:p, :p]
        reduced = (total @ coefficients)[:p]
        # Residuals as a linear function of (1, y, x).
        residual = np.hstack([np.zeros((p, 1)), np.eye(p), -reduced[:, 1:]])
        residual[:, 0] = -reduced[:, 0] - values[j, nz : nz + p]
        for slope in structure.slopes:
            if slope.kind == "factor":
                continue
            source = np.zeros(residual.shape[1])
            if slope.kind == "covariate":
                source[p + slope.source] = 1.0
            else:
                source[1 + slope.source] = 1.0
                source[0] = -values[j, nz + slope.source]
            residual -= values[j, slope.row] * np.outer(total[:p, slope.target], source)
        for c in range(cells.start[j], cells.start[j + 1]):
            seen = cells.seen[cells.group[c]]
            products = np.outer(numbers[c], numbers[c]) if numbers.ndim == 2 else numbers[c]
            scatter = (residual @ products @ residual.T)[np.ix_(seen, seen)]
            own = sigma[np.ix_(seen, seen)]
            _, logdet = np.linalg.slogdet(own)
            trace = float(np.trace(np.linalg.solve(own, scatter)))
            total_deviance += cells.sizes[c] * (seen.sum() * np.log(2 * np.pi) + logdet) + trace
    return float(total_deviance)
