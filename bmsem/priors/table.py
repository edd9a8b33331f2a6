"""Every free parameter with its prior and what becomes of it: sampled, integrated, determined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bmsem.errors import ModelError
from bmsem.expressions import Expression
from bmsem.priors.blocks import CovarianceBlock
from bmsem.priors.given import family_of, written
from bmsem.priors.support import natural_range, support
from bmsem.spec import On, Prior
from bmsem.structure import FreeParameter
from bmsem.tables import Grid, Row, Tabular

Role = Literal["sampled", "integrated", "determined"]


@dataclass(frozen=True)
class ParameterPrior:
    """One free parameter's prior.

    ``prior`` is a `Prior`, a PyMC distribution object that the user gave, ``None`` if the prior of a
    matrix covers it or if it is determined by ``expression``. ``reference`` is what turns an ICC or an
    R-square into a variance: the index of the within variance and its value in the data, or -1 and a
    fixed variance.
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
    given_total: float | None = None

    @property
    def on(self) -> On:
        """The quantity that has the prior."""
        return self.prior.on if isinstance(self.prior, Prior) else self.given_on

    @property
    def proper(self) -> bool:
        """Whether the prior is a probability distribution."""
        return self.prior is None or family_of(self.prior) not in ("Flat", "HalfFlat")


@dataclass(frozen=True)
class PriorTable(Tabular):
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
        text = written(row.prior)
        if row.on in ("icc", "r_square"):
            return text
        own, given = natural_range(row.parameter.kind, row.on), support(row.prior)
        if given is not None and given[0] < own[0] and row.lower is None:
            text += f", cut off below {own[0]:g}"
        if given is not None and given[1] > own[1] and row.upper is None:
            text += f", cut off above {own[1]:g}"
        if row.lower is not None or row.upper is not None:
            low = "-inf" if row.lower is None else f"{row.lower:g}"
            high = "inf" if row.upper is None else f"{row.upper:g}"
            text += f" in [{low}, {high}]"
        return text

    def _shown_matrix(self, index: int) -> str:
        block = next(
            b
            for b in self.blocks
            if index in b.scale_elements or any(index == pair[2] for pair in b.pairs)
        )
        size = f"{block.size} x {block.size}"
        if block.wishart is not None:
            element, freedom = block.scale_elements[index], block.wishart.freedom
            return f"inverse-Wishart(S = {element:g}, d = {freedom:g}), {size}"
        if not block.full:
            shape = 1.0 if block.flat else block.lkj + (block.size - 2) / 2.0
            each = "Uniform(-1, 1)" if shape == 1.0 else f"Beta({shape:g}, {shape:g}) on (-1, 1)"
            return f"correlation ~ {each} where {size} is positive definite"
        if block.flat:
            return f"uniform over {size} covariance matrices"
        return f"correlation ~ LKJ({block.lkj:g}), {size}"

    @property
    def _title(self) -> str:
        return f"Priors (preset {self.preset}{'' if self.proper else ', improper'})"

    def __str__(self) -> str:
        return "\n".join([self._title, self.to_frame().to_string(index=False), *self.notes])

    def grid(self) -> Grid:
        """The table as text cells, under headings of level."""
        rows: list[Row] = []
        level = None
        for row in self.to_frame().to_dict("records"):
            if row["level"] != level:
                level = row["level"]
                rows.append(Row((f"{level.title()} Level" if level else "Model",), True, 1))
            cells = (row[k] for k in ("parameter", "label", "prior", "role", "source"))
            rows.append(Row(tuple(cells), depth=1))
        heads = ("Parameter", "Label", "Prior", "Role", "Source")
        words = tuple(range(len(heads)))
        return Grid(heads, tuple(rows), self._title, notes=self.notes, text_columns=words)

    @property
    def notes(self) -> tuple[str, ...]:
        """The variances that priors on ICCs and R-squares imply; what S is."""
        found = [self._implied(r) for r in self.rows if r.on in ("icc", "r_square")]
        if any(b.wishart for b in self.blocks):
            found.append("S of an inverse-Wishart is the row's element of the scale matrix.")
        return tuple(found)

    def _implied(self, row: ParameterPrior) -> str:
        # SciPy's distributions take a while to import.
        from bmsem.priors.families import FAMILIES, frozen

        name = row.parameter.rows[0].full_name
        index, variance = row.reference
        if row.on == "icc":
            within = self.rows[index].parameter.rows[0].full_name if index >= 0 else "the fixed one"
            text = f"{name} = ({within}) icc / (1 - icc)"
            at = f"at a within variance of {variance:.3g}"
        else:
            text = f"{name} = {variance:.3g} (1 - r_square)"
            at = ""
        if not isinstance(row.prior, Prior) or row.prior.distribution not in FAMILIES:
            return text
        try:
            own = frozen(row.prior)
        except ModelError:
            # Written in another way that PyMC takes, by mean and standard deviation perhaps.
            return text
        # Of the part that an ICC or an R-square can have.
        below, above = float(own.cdf(0.0)), float(own.cdf(1.0))
        low, high = (float(own.ppf(below + q * (above - below))) for q in (0.025, 0.975))
        if row.on == "icc":
            ends = [variance * q / (1 - q) for q in (low, high)]
        else:
            ends = [variance * (1 - q) for q in (high, low)]
        where = f"{at}, between" if at else "between"
        return f"{text}; {where} {ends[0]:.3g} and {ends[1]:.3g} with 95% probability"
