"""Every free parameter with its prior and what becomes of it: sampled, integrated, determined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bmsem.errors import ModelError
from bmsem.expressions import Expression
from bmsem.priors.blocks import CovarianceBlock, Wishart
from bmsem.priors.support import natural_range, support
from bmsem.spec import On, Prior
from bmsem.structure import FreeParameter

Role = Literal["sampled", "integrated", "determined"]


@dataclass(frozen=True)
class ParameterPrior:
    """One free parameter's prior.

    ``prior`` is a `Prior`, a PyMC distribution object that the user gave, ``None`` if the prior of a
    matrix covers it or if it is determined by ``expression``. ``reference`` is what turns an ICC or an
    R-square into a variance: the index of the within variance, or -1 and a fixed variance.
    """

    parameter: FreeParameter
    role: Role
    prior: Prior | Any | None
    source: str
    expression: Expression | None = None
    lower: float | None = None
    upper: float | None = None
    given_on: On = "parameter"
    reference: tuple[int, float] = (-1, 0.0)

    @property
    def on(self) -> On:
        """The quantity that has the prior."""
        return self.prior.on if isinstance(self.prior, Prior) else self.given_on

    @property
    def proper(self) -> bool:
        """Whether the prior is a probability distribution."""
        return not (
            isinstance(self.prior, Prior) and self.prior.distribution in ("Flat", "HalfFlat")
        )


@dataclass(frozen=True)
class PriorTable:
    """The priors of a bound model; printable, and a data frame by `to_frame`.

    Attributes
    ----------
    rows
        One for each free parameter, in the order of the parameter vector.
    blocks
        Covariance blocks, each with the prior of its matrix.
    """

    preset: str
    rows: tuple[ParameterPrior, ...]
    blocks: tuple[CovarianceBlock, ...]

    @property
    def flat_covariances(self) -> bool:
        """Whether some density is uniform over covariance matrices."""
        return any(b.flat for b in self.blocks)

    @property
    def proper(self) -> bool:
        return not self.flat_covariances and all(r.proper for r in self.rows)

    def require_proper(self, what: str) -> None:
        """Refuse improper priors where draws from them are needed, naming them.

        Raises
        ------
        ModelError
        """
        if self.proper:
            return
        flat = {i for b in self.blocks if b.flat for _, _, i in b.pairs}
        names = [r.parameter.name for r in self.rows if not r.proper or r.parameter.index in flat]
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        raise ModelError(
            f"{what} needs draws from the prior, and these priors are improper ({self.preset}): "
            f"{shown}. Give them proper priors, or use priors='weak'."
        )

    def wishart(self, index: int) -> Wishart | None:
        """The inverse-Wishart prior that a variance is part of."""
        found = (b.wishart for b in self.blocks if b.wishart and index in b.wishart.variances)
        return next(found, None)

    def role(self, role: Role) -> tuple[ParameterPrior, ...]:
        return tuple(r for r in self.rows if r.role == role)

    def to_frame(self) -> pd.DataFrame:
        """Level, parameter, label, prior, the quantity it is on, role and where it comes from."""
        return pd.DataFrame(
            [
                {
                    "level": row.parameter.rows[0].level or "",
                    "parameter": row.parameter.rows[0].name,
                    "label": row.parameter.label or "",
                    "prior": self._shown(row),
                    "role": row.role,
                    "source": row.source,
                }
                for row in self.rows
            ]
        )

    def _shown(self, row: ParameterPrior) -> str:
        if row.role == "determined":
            return f"= {row.expression}"
        if row.prior is None:
            return self._shown_matrix(row.parameter.index)
        text = str(row.prior) if isinstance(row.prior, Prior) else _dist_text(row.prior)
        if row.on == "icc":
            within, fixed = row.reference
            other = self.rows[within].parameter.name if within >= 0 else f"{fixed:g}"
            text += f"; variance = ({other}) icc / (1 - icc)"
        elif row.on == "r_square":
            text += f"; variance = {row.reference[1]:g} (1 - r_square)"
        elif isinstance(row.prior, Prior):
            own = natural_range(row.parameter.kind, row.on)
            if support(row.prior)[0] < own[0] and row.lower is None:
                text += f", cut off below {own[0]:g}"
            if support(row.prior)[1] > own[1] and row.upper is None:
                text += f", cut off above {own[1]:g}"
        if row.lower is not None or row.upper is not None:
            low = "-inf" if row.lower is None else f"{row.lower:g}"
            high = "inf" if row.upper is None else f"{row.upper:g}"
            text += f" in [{low}, {high}]"
        return text

    def _shown_matrix(self, index: int) -> str:
        wishart = self.wishart(index)
        if wishart is not None:
            return str(wishart)
        block = next(b for b in self.blocks if any(p[2] == index for p in b.pairs))
        if block.wishart is not None:
            return str(block.wishart)
        size = f"{block.size} x {block.size}"
        if not block.full:
            shape = 1.0 if block.flat else block.lkj + (block.size - 2) / 2.0
            each = "Uniform(-1, 1)" if shape == 1.0 else f"Beta({shape:g}, {shape:g}) on (-1, 1)"
            return f"correlation ~ {each} where {size} is positive definite"
        if block.flat:
            return f"uniform over {size} covariance matrices"
        return f"correlation ~ LKJ({block.lkj:g}), {size}"

    def __str__(self) -> str:
        head = f"Priors (preset {self.preset}{'' if self.proper else ', improper'})"
        return f"{head}\n{self.to_frame().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


def _dist_text(dist: Any) -> str:
    op = getattr(getattr(dist, "owner", None), "op", None)
    return f"{getattr(op, '_print_name', [type(dist).__name__])[0]} (PyMC distribution)"
