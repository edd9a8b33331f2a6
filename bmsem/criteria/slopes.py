"""Information criteria of models in which cluster quantities were sampled.

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
from bmsem.likelihood.cluster_inputs import cluster_inputs, cluster_log_likelihood_at
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
    the unit.

    Raises
    ------
    NotSupportedError
        With more than two sampled quantities a cluster, or one a person in a model with levels: the
        integral would need too many nodes.
    """
    by_score = bool(plan.scores)
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

    Between-only outcomes would enter through p(z | u, s, theta), which is not defined where products
    make the between level non-linear; with a product within clusters it is open which factor scores
    belong to what is conditioned on.
    """
    structure = bound.structure
    nz, q = len(structure.between_outcomes), plan.size
    if nz or plan.by_person or not bound.spec.multilevel:
        return None
    inputs = cluster_inputs(bound)
    hidden = [r for r in range(q) if r not in plan.rows]
    values = np.zeros((bound.clusters, q))
    deviance = 0.0
    for theta, c in zip(parameters, sampled, strict=True):
        _, _, mean, _, by_cluster = cluster_log_likelihood_at(theta, c, inputs)
        deviance += by_cluster[:, 1].sum() / len(parameters)
        values[:, hidden] += mean / len(parameters)
        values[:, list(plan.rows)] += c / len(parameters)
    at_mean = deviance_at(bound, parameters.mean(axis=0), values)
    return DIC("conditional", 2.0 * deviance - at_mean, deviance - at_mean, deviance, at_mean)


def deviance_at(bound: BoundModel, theta: Array, values: Array) -> float:
    """-2 log p(y | u, s, theta) at the between variables' ``values`` (J, q)."""
    structure, members = bound.structure, bound.members
    assert members is not None
    flat = members.by_cluster()
    products, sizes = flat.cross_products()[:, 0], flat.counts[:, 0]
    p, nz = len(structure.outcomes), len(structure.between_outcomes)
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
        scatter = residual @ products[j] @ residual.T
        _, logdet = np.linalg.slogdet(sigma)
        trace = float(np.trace(np.linalg.solve(sigma, scatter)))
        total_deviance += sizes[j] * (p * np.log(2 * np.pi) + logdet) + trace
    return float(total_deviance)
