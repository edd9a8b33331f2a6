"""The design of a study: clusters, their sizes, arms, and covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import read_data
from bmsem.errors import DataError, ModelError, did_you_mean
from bmsem.simulation.distributions import Covariate
from bmsem.simulation.sizes import drawn_sizes

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Design:
    """What a study is made of before anybody answers: clusters, people, arms and covariates.

    Parameters
    ----------
    clusters
        How many.
    size
        People in a cluster: one number for all, a sequence with a number for each cluster, or a
        distribution as text, from which the sizes are drawn once, by the design's ``seed``: every
        data set of a study has the same ones. A size below 1 is drawn again.
    rows
        How many people, for a model without levels.
    arms
        By variable: the share that is coded 1 (the others are 0), or shares by code. As many are in
        an arm as its share says, up to rounding, and who is in it is random. Clusters are allocated
        if the model has the variable at the between level, people if it has it within; people are
        balanced inside their clusters as well. Several variables are allocated independently.
    covariates
        By variable: a distribution as text with PyMC's names and arguments, a `Covariate`, or the
        values themselves: one for each cluster or one for each person, the people of the first cluster
        first.
    levels
        ``"within"`` or ``"between"`` for variables that only serve to compute others, where the model
        does not tell.
    redraw
        Whether arms and covariates that are drawn are drawn anew for each data set; otherwise once,
        by the design's ``seed``.
    seed
        Of what is drawn once.

    Raises
    ------
    DataError
        If the numbers make no study.
    ModelError
        If a text is no distribution.

    Examples
    --------
    >>> print(Design(50, 20, arms={"treat": 0.5}, covariates={"ses": Covariate("Normal(0, 1)", 0.1)}))
    Design
      1,000 people in 50 clusters of 20
      arms, treat:  0.5 of 0, 0.5 of 1
      covariate:    ses ~ Normal(0, 1), icc 0.1
      arms and covariates are drawn anew for each data set
    """

    clusters: int | None = None
    size: int | Sequence[int] | str | None = None
    rows: int | None = field(default=None, kw_only=True)
    arms: Mapping[str, float | Mapping[float, float]] = field(default_factory=dict, kw_only=True)
    covariates: Mapping[str, str | Covariate | Sequence[float]] = field(
        default_factory=dict, kw_only=True
    )
    levels: Mapping[str, Literal["within", "between"]] = field(default_factory=dict, kw_only=True)
    redraw: bool = field(default=True, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    data: pd.DataFrame | None = field(default=None, kw_only=True)
    cluster: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        given = {"clusters": self.clusters, "rows": self.rows, "data": self.data}
        if sum(v is not None for v in given.values()) != 1:
            raise DataError(
                "A design has clusters and a size (Design(50, 20)), or rows without clusters "
                "(Design(rows=200)), or those of real data (Design.from_data(frame, cluster='…'))."
            )
        if self.rows is not None and (self.size is not None or self.rows < 2):
            raise DataError(
                f"rows={self.rows} and size={self.size}: give two rows or more, no size."
            )
        for what in ("clusters", "rows", "seed"):
            value = getattr(self, what)
            if value is not None and (int(value) != value or value < 0):
                raise DataError(f"{what}={value}: give a whole number.")
        if self.clusters is not None and self.clusters < 2:
            raise DataError(f"clusters={self.clusters}: a design with levels has two or more.")
        for what, example in (("arms", "{'treat': 0.5}"), ("covariates", "{'x': 'Normal(0, 1)'}")):
            if not isinstance(getattr(self, what), Mapping):
                raise DataError(
                    f"{what}={getattr(self, what)!r}: give them by name, {what}={example}."
                )
        twice = sorted(set(self.arms) & set(self.covariates))
        if twice:
            raise DataError(f"'{twice[0]}' is given as arms and as a covariate. Keep one of them.")
        unknown = [n for n in self.levels if n not in {*self.arms, *self.covariates}]
        if unknown:
            raise DataError(
                f"A level is given to '{unknown[0]}', which is neither an arm nor a covariate of the "
                f"design. {did_you_mean(unknown[0], [*self.arms, *self.covariates])}"
            )
        for name, level in self.levels.items():
            if level not in ("within", "between"):
                raise DataError(f"The level of '{name}' is {level!r}: give 'within' or 'between'.")
        for name in self.arms:
            self.shares(name)
        _ = self.cluster_sizes
        _ = self._covariates

    @classmethod
    def from_data(cls, data: Any, cluster: str | None = None, **changes: Any) -> Design:
        """The clusters, sizes and covariates of real data; their outcomes are replaced.

        Parameters
        ----------
        data
            A data frame, a mapping of columns, or the path of a CSV file.
        cluster
            The column that tells the clusters apart; leave it out for a model without levels.
        **changes
            ``arms``, ``covariates``, ``levels``, ``redraw`` and ``seed`` as in `Design`: what is
            given here replaces the columns of the same name.

        Examples
        --------
        >>> frame = {"school": ["b", "b", "a"], "treat": [1, 1, 0]}
        >>> print(Design.from_data(frame, cluster="school"))
        Design
          3 people in 2 clusters of 1 to 2, mean 1.5 (those of the data, by school)
          covariates of the data: treat
        """
        frame = read_data(data).copy()
        if cluster is not None and cluster not in frame.columns:
            raise DataError(
                f"The cluster variable '{cluster}' is not a column of the data. "
                f"{did_you_mean(cluster, map(str, frame.columns))}"
            )
        return cls(data=frame, cluster=cluster, **changes)

    @property
    def multilevel(self) -> bool:
        """Whether people are in clusters."""
        return self.clusters is not None or self.cluster is not None

    @cached_property
    def cluster_sizes(self) -> Integers:
        """People in each cluster (J,), in the order of first appearance; one row each without."""
        if self.data is not None:
            if self.cluster is None:
                return np.ones(len(self.data), dtype=np.int64)
            absent = int(self.data[self.cluster].isna().sum())
            if absent:
                raise DataError(
                    f"The cluster variable '{self.cluster}' is missing in {absent} row(s)."
                )
            codes, _ = pd.factorize(self.data[self.cluster])
            return np.bincount(codes).astype(np.int64)
        if self.rows is not None:
            return np.ones(self.rows, dtype=np.int64)
        assert self.clusters is not None
        return drawn_sizes(self.clusters, self.size, self.stream("sizes"))

    @property
    def people(self) -> int:
        """N."""
        return int(self.cluster_sizes.sum())

    def stream(self, purpose: str) -> np.random.Generator:
        """Random numbers of the design's own seed; what is added to a design changes no other."""
        return np.random.default_rng([self.seed, crc32(purpose.encode())])

    def shares(self, name: str) -> dict[float, float]:
        """Shares of an arm variable by code."""
        given = self.arms[name]
        try:
            if isinstance(given, Mapping):
                shares = {float(k): float(v) for k, v in given.items()}
            else:
                shares = {0.0: 1.0 - float(given), 1.0: float(given)}
        except (TypeError, ValueError):
            shares = {}
        if len(shares) < 2 or any(not 0.0 < s < 1.0 for s in shares.values()):
            raise DataError(
                f"The arms of '{name}' are {given}: give a share between 0 and 1, or shares of two or "
                f"more codes, which are numbers, such as {{0: 0.5, 1: 0.5}}."
            )
        if abs(sum(shares.values()) - 1.0) > 1e-6:
            raise DataError(f"The shares of '{name}' sum to {sum(shares.values()):g}, not to 1.")
        return shares

    def covariate(self, name: str) -> Covariate | Array:
        """What is to be drawn, or the values."""
        return self._covariates[name]

    @property
    def drawn(self) -> list[str]:
        """Arms and covariates that are drawn."""
        found = [n for n, c in self._covariates.items() if isinstance(c, Covariate)]
        return [*self.arms, *found]

    @cached_property
    def _covariates(self) -> dict[str, Covariate | Array]:
        return {name: self._read(name, given) for name, given in self.covariates.items()}

    def _read(self, name: str, given: Any) -> Covariate | Array:
        if isinstance(given, Covariate):
            return given
        if isinstance(given, str):
            try:
                return Covariate(given)
            except ModelError as error:
                raise ModelError(f"Covariate '{name}': {error}") from error
        try:
            values = np.asarray(given, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(f"The values of '{name}' are not numbers: {error}.") from error
        people, clusters = self.people, len(self.cluster_sizes)
        if values.shape not in ((people,), (clusters,)):
            wanted = f"{clusters:,} (one a cluster) or {people:,} (one a person)"
            raise DataError(
                f"'{name}' has values of shape {values.shape}; give "
                f"{wanted if self.multilevel else f'{people:,}, one a person'}."
            )
        if not np.isfinite(values).all():
            raise DataError(f"'{name}' has values that are missing or infinite.")
        return values

    def __str__(self) -> str:
        return "\n".join(["Design", *_described(self)])

    __repr__ = __str__


def _described(design: Design) -> list[str]:
    lines = []
    if design.multilevel:
        sizes = design.cluster_sizes
        low, high = sizes.min(), sizes.max()
        shown = f"{low}" if low == high else f"{low} to {high}, mean {sizes.mean():.1f}"
        whence = f", drawn from {design.size}" if isinstance(design.size, str) else ""
        whence += f" (those of the data, by {design.cluster})" if design.cluster else ""
        lines.append(f"  {design.people:,} people in {len(sizes):,} clusters of {shown}{whence}")
    else:
        lines.append(f"  {design.people:,} people, no clusters")
    for name in design.arms:
        shares = ", ".join(f"{s:g} of {c:g}" for c, s in design.shares(name).items())
        lines.append(f"  arms, {name}:  {shares}")
    for name in design.covariates:
        given = design.covariate(name)
        if isinstance(given, Covariate):
            lines.append(f"  covariate:    {name} ~ {given}")
        else:
            lines.append(f"  covariate:    {name}, {given.size:,} values")
    if design.data is not None:
        own = [str(c) for c in design.data.columns if c != design.cluster]
        kept = [c for c in own if c not in (*design.arms, *design.covariates)]
        if kept:
            lines.append(f"  covariates of the data: {', '.join(kept)}")
    if design.drawn:
        when = "anew for each data set" if design.redraw else f"once (seed {design.seed})"
        lines.append(f"  arms and covariates are drawn {when}")
    return lines
