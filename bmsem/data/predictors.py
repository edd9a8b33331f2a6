"""Which version of a predictor a varying slope is on, in words.

The latent cluster mean, the observed one, and the raw score answer different questions (Luedtke, Marsh,
Robitzsch, Trautwein, Asparouhov & Muthen 2008, Psychological Methods 13, 203-229; Enders & Tofighi 2007,
Psychological Methods 12, 121-138).
"""

from __future__ import annotations

from bmsem.spec import ModelSpec
from bmsem.structure import Structure


def slope_notes(spec: ModelSpec, structure: Structure) -> list[str]:
    """A line for each varying slope: latent mean, observed mean, or raw score, and how to change it."""
    centred = {t.name for t in spec.transforms if t.function == "center_groupmean"}
    notes = []
    for slope, place in zip(spec.slopes, structure.slopes, strict=True):
        x = slope.predictor
        if place.kind == "factor":
            continue
        if x in centred:
            what = f"the deviation from the observed cluster mean ({x})"
            other = "a variable used at both levels has a latent cluster mean instead"
        elif x in spec.within_only:
            what = f"{x} as it is: raw scores, differences between clusters included"
            other = (
                f"use {x} at the between level too for deviations from its latent cluster mean, or "
                f"center({x}, groupmean) for deviations from the observed one"
            )
        else:
            what = f"the within part of {x}: deviations from its latent cluster mean"
            other = (
                f"declare 'within: {x}' for raw scores, or use center({x}, groupmean) and "
                f"cluster_mean({x}) for the observed mean"
            )
        notes.append(f"{slope.name} is the slope on {what} ({other}).")
    return notes
