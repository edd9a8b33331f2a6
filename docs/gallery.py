"""The pictures of the gallery: ``python -m docs.gallery`` writes them and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DPI = 80

# File, what stands above it, code, what is seen.
PICTURES: tuple[tuple[str, str, str, str], ...] = (
    ("diagram", "Path diagram", "fit.diagram()",
     "Observed variables between the lines, their between parts above, their within parts below. "
     "Dashed: the interval includes zero."),
    ("diagram_slopes", "Path diagram with a path that varies", 'varying.diagram(standardized="stdyx")',
     "The black dot marks the path; its slope is an outcome between clusters."),
    ("diagram_factors", "Path diagram of latent variables", "moderated.diagram(intervals=False)",
     "Factors at both levels, and a product with one of them."),
    ("posterior", "Posterior against a standard",
     'fit.plot.posterior(["tot", "p3bc"], {"tot": 20 / 7, "p3bc": 3})',
     "Shaded: beyond the standard of meaningfulness."),
    ("forest", "Forest", "fit.plot.forest()",
     "Every path by level; hollow where the interval includes zero."),
    ("prior_posterior", "Prior and posterior", 'fit.plot.prior_posterior(["tot", "p3bc"])',
     "What the data did to the prior."),
    ("trace", "Trace", 'fit.plot.trace(["tot", "con1"])', "Draws by iteration, a colour a chain."),
    ("rank", "Ranks", 'fit.plot.rank(["tot", "con1"])', "Ranks of each chain's draws among all."),
    ("psr", "PSR by iteration", "fit.plot.psr()", "As in TECH8: the largest of all parameters."),
    ("discrepancy", "Predictive check by level", "fit.plot.discrepancy()",
     "A point a draw; the share above the line is the p-value."),
    ("moments", "Correlations against replicates", "fit.plot.moments()",
     "Every correlation of the data beside the interval of its replicates."),
    ("cluster_means", "Cluster means", "fit.plot.cluster_means()",
     "The distribution of the schools' means and of replicated ones."),
    ("residuals", "Data against model", "fit.plot.residuals()",
     "Correlations of the data below the diagonal, of the model above it."),
    ("context", "Context effect", 'fit.plot.context("mvpa", "peers")',
     "The slope within schools (blue) and between them (orange), over the data."),
    ("caterpillar", "Clusters in order", 'fit.plot.caterpillar("mvpa")',
     "Varying intercepts; blue where the interval excludes the mean."),
    ("slopes", "Slopes in order", 'varying.plot.caterpillar("vs1")', "Varying slopes."),
    ("zero_variance", "A variance near zero", 'varying.plot.zero_variance("between: vs1 ~~ vs1")',
     "Prior, posterior, and the Bayes factor for a standard deviation next to zero."),
    ("simple_slopes", "Simple slopes", 'moderated.plot.simple_slopes("lyb", "lmb", by="treat")',
     "A moderated path at the moderator's values."),
    ("johnson_neyman", "Johnson-Neyman region",
     'moderated.plot.johnson_neyman("lyb", "lmb", by="treat", bounds=(0, 1))',
     "Where the slope's interval excludes zero."),
    ("loo", "Influence", "fit.plot.loo()", "Pareto k and predictive density of every school, left out."),
    ("compare", "Models compared", 'bmsem.compare({"one slope": fit, "slopes vary": varying}).plot()',
     "Differences of the expected log predictive density, with stacking weights."),
)  # fmt: skip

HEAD = """# Gallery

Made by `python -m docs.gallery` from three fits:

```python
import bmsem

def fitted(example, table):
    model = bmsem.read_mplus(bmsem.examples.path(example, f"table_25_{table}.inp"))
    return model.fit(priors="weak", seed=1, progress=False)

fit, varying, moderated = fitted("mvpa", 3), fitted("mvpa", 5), fitted("moderation", 9)
```

Colours are Okabe and Ito's, which the colour-blind can tell apart; nothing is said by colour alone.
"""


def page() -> str:
    """The gallery as Markdown."""
    parts = [HEAD]
    for file, title, code, seen in PICTURES:
        parts.append(
            f"## {title}\n\n```python\n{code}\n```\n\n![{seen}](gallery/{file}.png)\n\n{seen}\n"
        )
    return "\n".join(parts)


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    space: dict[str, Any] = {}
    exec(HEAD.split("```python")[1].split("```")[0], space)
    for file, _, code, _ in PICTURES:
        made = eval(code, space)
        target = HERE / "gallery" / f"{file}.png"
        if file.startswith("diagram"):
            target.write_bytes(made.png(DPI))
        else:
            made.savefig(target, dpi=DPI)
    (HERE / "gallery.md").write_text(page())


if __name__ == "__main__":
    main()
