"""Clustered data with given moments exactly, for the examples of which only statistics are printed.

Balanced data with given cluster means' covariance (divisor J, in each arm or about the arms' means) and
pooled within covariance (divisor N - J) are sufficient for the posterior of a random-intercept model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def white(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Deviates with mean zero and covariance exactly the identity (divisor rows)."""
    draws = random.standard_normal((rows, columns))
    basis, _ = np.linalg.qr(np.hstack([np.ones((rows, 1)), draws]))
    return basis[:, 1:] * np.sqrt(rows)


def two_arm_trial(
    random: np.random.Generator,
    means: list[np.ndarray],
    between: list[np.ndarray],
    within: np.ndarray,
    clusters: int,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Treatment (J,) and scores (J, n, p); ``means`` and ``between`` are those of the two arms."""
    arm = clusters // 2
    treat = np.repeat([0.0, 1.0], arm)
    centres = []
    for mean, covariance in zip(means, between, strict=True):
        factor = np.linalg.cholesky(covariance + within / size)
        centres.append(mean + white(random, arm, len(mean)) @ factor.T)
    p = within.shape[0]
    draws = random.standard_normal((clusters, size, p))
    draws -= draws.mean(axis=1, keepdims=True)
    flat = draws.reshape(-1, p)
    scatter = flat.T @ flat / (clusters * (size - 1))
    flat = flat @ np.linalg.inv(np.linalg.cholesky(scatter)).T @ np.linalg.cholesky(within).T
    return treat, np.vstack(centres)[:, None, :] + flat.reshape(clusters, size, p)


def factor_covariance(
    loadings: tuple[np.ndarray, np.ndarray],
    path: float,
    variances: tuple[float, float],
    residuals: tuple[float, float],
) -> np.ndarray:
    """Covariance of y1-y3, m1-m3 when the factor of y is regressed on that of m.

    ``loadings`` of y and m; ``variances`` of the mediator and of the outcome's residual; ``residuals``
    of the indicators of y and of m.
    """
    design = np.zeros((6, 2))
    design[:3, 0], design[3:, 1] = loadings
    vm, vy = variances
    factors = np.array([[path**2 * vm + vy, path * vm], [path * vm, vm]])
    return design @ factors @ design.T + np.diag(np.repeat(residuals, 3))


def with_misfit(
    random: np.random.Generator, covariance: np.ndarray, tangent: np.ndarray, freedom: float
) -> np.ndarray:
    """The covariance as a sample of ``freedom`` would misfit it, without moving the parameters.

    A sampled deviation less its projection on the model's tangent space (the derivatives of the
    covariance matrix, (parameters, p, p)), in the metric of normal theory: tr(S^-1 D S^-1 E).
    """
    p = len(covariance)
    factor = np.linalg.cholesky(covariance)
    draws = random.standard_normal((int(freedom), p)) @ factor.T
    deviation = draws.T @ draws / freedom - covariance
    inverse = np.linalg.inv(covariance)
    weighted = np.array([inverse @ d @ inverse for d in tangent])
    gram = np.einsum("aij,bij->ab", weighted, tangent)
    slopes = np.einsum("aij,ij->a", weighted, deviation)
    weights = np.linalg.pinv(gram, hermitian=True) @ slopes
    return covariance + deviation - np.einsum("a,aij->ij", weights, tangent)


def derivatives(function, values: np.ndarray) -> np.ndarray:
    """Central differences of a matrix-valued function."""
    found = []
    for i in range(len(values)):
        step = np.zeros(len(values))
        step[i] = 1e-5
        found.append((function(values + step) - function(values - step)) / 2e-5)
    return np.array(found)


def write(path: Path, treat: np.ndarray, scores: np.ndarray) -> None:
    """Columns y1 y2 y3 m1 m2 m3 treat school."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        for j in range(scores.shape[0]):
            for row in scores[j]:
                values = " ".join(f"{v:10.6f}" for v in row)
                file.write(f"{values} {treat[j]:.0f} {j + 1:3d}\n")
