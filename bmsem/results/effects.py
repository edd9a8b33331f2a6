"""Effects of one variable on another as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.effects.paths import Chain, LevelEffects
from bmsem.errors import ModelError
from bmsem.results.quantities import record
from bmsem.tables import Grid, Row, Tabular, number

Array = NDArray[np.float64]

_KEYS = ("median", "sd", "p_one_tailed", "lower", "upper", "star")


@dataclass(frozen=True, eq=False)
class EffectTable(Tabular):
    """Effects of ``source`` on ``target``; print it.

    Attributes
    ----------
    frame
        A row an effect: ``level``, ``effect`` (total, total indirect, direct, specific), ``path``,
        the posterior, and for a specific effect ``all_links``: whether every link's interval excludes
        zero, and ``p_links``: the posterior probability that all links have the sign of their
        estimates.
    links
        A row a link of each chain: ``level``, ``path``, ``link`` and the posterior.
    """

    source: str
    target: str
    frame: pd.DataFrame
    links: pd.DataFrame
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        found: list[LevelEffects],
        via: tuple[str, ...],
        width: float,
        kind: str,
        exact: tuple[str, ...] | None = None,
        moderated: tuple[str, ...] = (),
    ) -> EffectTable:
        """The effects at each level; only chains ``via`` some variables, or one ``exact`` chain.

        ``moderated`` are notes on products in the equations.
        """
        records, links, notes = [], [], list(moderated)
        for effects in found:
            chains = [c for c in effects.chains if set(via) <= set(c.variables[1:-1])]
            if exact is not None:
                chains = [c for c in chains if c.variables == exact]
            if not chains:
                continue
            at = effects.level or ""
            where = f"{effects.source} -> {effects.target}"
            specific = [c for c in chains if not c.direct]
            if not via and exact is None:
                records.append(_row(at, "total", where, effects.total, width, kind))
                if specific:
                    records.append(_row(at, "total indirect", where, effects.indirect, width, kind))
            elif len(specific) > 1:
                total = np.sum([c.draws for c in specific], axis=0)
                records.append(_row(at, f"total via {', '.join(via)}", where, total, width, kind))
            for chain in chains:
                row = _row(
                    at,
                    "direct" if chain.direct else "specific",
                    str(chain),
                    chain.draws,
                    width,
                    kind,
                )
                if not chain.direct:
                    own = [_row(at, "link", k.name, k.draws, width, kind) for k in chain.links]
                    for link in own:
                        link["link"] = link.pop("path")
                        links.append({"level": at, "path": str(chain), **link})
                    row["all_links"] = all(link["star"] for link in own)
                    row["p_links"] = _same_signs(chain)
                records.append(row)
            if effects.loops:
                notes.append(
                    f"The {at + ' level' if at else 'model'} has feedback: the specific effects do "
                    f"not add up to the total."
                )
        if not records:
            first = found[0]
            what = " -> ".join(exact) if exact else f"a path through {', '.join(via)}"
            raise ModelError(
                f"The model has no such path from '{first.source}' to '{first.target}': {what}."
            )
        frame = pd.DataFrame(records)
        link_frame = pd.DataFrame(links)
        if len(link_frame):
            link_frame = link_frame[["level", "path", "link", *_KEYS]]
        return cls(found[0].source, found[0].target, frame, link_frame, tuple(dict.fromkeys(notes)))

    def __str__(self) -> str:
        lines = [f"Effects of {self.source} on {self.target}", ""]
        wide = max([len(f"{r['effect']}  {r['path']}") for r in self._records()] + [30]) + 6
        lines.append(f"{'':<{wide}} {'estimate':>9} {'S.D.':>8} {'P':>7} {'lower':>9} {'upper':>9}")
        level = None
        for row in self._records():
            if row["level"] != level:
                level = row["level"]
                lines.append(f"  {level.title()} level" if level else "  Model")
            name = f"    {row['effect']}  {row['path']}"
            lines.append(f"{name:<{wide}}{_numbers(row)}")
            if row["effect"] == "specific":
                verdict = (
                    "every link's interval excludes zero"
                    if row["all_links"]
                    else "the chain is broken: a link's interval includes zero"
                )
                lines.append(f"      {verdict}; P(all links as estimated) = {row['p_links']:.3f}")
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def grid(self) -> Grid:
        """The table as text cells, under headings of level."""
        rows: list[Row] = []
        level = None
        for row in self._records():
            if row["level"] != level:
                level = row["level"]
                rows.append(Row((f"{level.title()} Level" if level else "Model",), True, 1))
            chain = ""
            if row["effect"] == "specific":
                chain = "unbroken" if row["all_links"] else "broken"
            values = (row[k] for k in _KEYS[:-1])
            cells = (row["effect"], row["path"], *map(number, values), "*" if row["star"] else "")
            rows.append(Row((*cells, chain, number(row.get("p_links", np.nan))), depth=1))
        heads = (
            "", "path", "Estimate", "Post. S.D.", "P (1-tail)", "Lower", "Upper", "", "Chain",
            "P(links)",
        )  # fmt: skip
        notes = list(self.notes)
        if len(self.links):
            notes.append(
                "A chain is unbroken if every link's interval excludes zero; P(links): all links "
                "have the signs of their estimates."
            )
        title = f"Effects of {self.source} on {self.target}"
        return Grid(heads, tuple(rows), title, notes=tuple(notes), text_columns=(0, 1, 8))

    def _records(self) -> list[dict]:
        return self.frame.to_dict("records")


def _row(level: str, effect: str, path: str, draws: Array, width: float, kind: str) -> dict:
    found = record(np.asarray(draws), width, kind)
    return {"level": level, "effect": effect, "path": path, **{k: found[k] for k in _KEYS}}


def _same_signs(chain: Chain) -> float:
    same = [np.sign(k.draws) == np.sign(np.median(k.draws)) for k in chain.links]
    return float(np.all(same, axis=0).mean())


def _numbers(row: dict) -> str:
    star = " *" if row["star"] else ""
    return (
        f" {row['median']:>9.3f} {row['sd']:>8.3f} {row['p_one_tailed']:>7.3f} "
        f"{row['lower']:>9.3f} {row['upper']:>9.3f}{star}"
    )
