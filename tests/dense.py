"""One cluster's joint normal distribution of latent variables and data, written out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bmsem.data import BoundModel
from bmsem.moments import implied_moments


@dataclass
class Joint:
    """Mean and covariance of (eta_between, eta_within of each member), and the map to the data."""

    mean: np.ndarray
    covariance: np.ndarray
    design: np.ndarray
    data: np.ndarray
    n_between: int

    def density(self) -> float:
        """log p(data)."""
        return normal(
            self.data, self.design @ self.mean, self.design @ self.covariance @ self.design.T
        )

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the latent vector given the data."""
        to_data = self.covariance @ self.design.T
        gain = to_data @ np.linalg.inv(self.design @ to_data)
        mean = self.mean + gain @ (self.data - self.design @ self.mean)
        return mean, self.covariance - gain @ to_data.T


def normal(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    _, logdet = np.linalg.slogdet(covariance)
    error = x - mean
    quadratic = error @ np.linalg.solve(covariance, error)
    return float(-0.5 * (len(x) * np.log(2 * np.pi) + logdet + quadratic))


def groups_of(bound: BoundModel, frame: pd.DataFrame) -> list[pd.DataFrame]:
    if bound.spec.multilevel:
        return [g for _, g in frame.groupby(bound.cluster_ids.name, sort=False)]
    return [frame.iloc[[i]] for i in range(len(frame))]


def joint(bound: BoundModel, group: pd.DataFrame, theta: np.ndarray) -> Joint:
    """The joint distribution of a cluster's latent variables and data at ``theta``."""
    s = bound.structure
    within, between = implied_moments(s.within, theta), implied_moments(s.between, theta)
    nz, p, n = len(s.between_outcomes), len(s.outcomes), len(group)
    if not bound.spec.multilevel:
        n = 0
    nb, nw = len(s.between.variables), len(s.within.variables)
    x_between = np.r_[1.0, group[list(s.between_covariates)].iloc[0].to_numpy(float)]
    mean = [between.coefficients @ x_between]
    covariance = np.zeros((nb + n * nw, nb + n * nw))
    covariance[:nb, :nb] = between.covariance
    design = np.zeros((nz + n * p, nb + n * nw))
    design[:nz, :nz] = np.eye(nz)
    for i in range(n):
        x = group[list(s.within_covariates)].iloc[i].to_numpy(float)
        mean.append(within.coefficients @ np.r_[1.0, x])
        own = slice(nb + i * nw, nb + (i + 1) * nw)
        covariance[own, own] = within.covariance
        rows = slice(nz + i * p, nz + (i + 1) * p)
        design[rows, nz : nz + p] = np.eye(p)
        design[rows, nb + i * nw : nb + i * nw + p] = np.eye(p)
    z = group[list(s.between_outcomes)].iloc[0].to_numpy(float)
    y = group[list(s.outcomes)].to_numpy(float).ravel() if n else np.empty(0)
    return Joint(np.concatenate(mean), covariance, design, np.r_[z, y], nb)
