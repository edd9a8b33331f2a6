"""Plots: each is drawn to a file, shows the numbers that it should, and names what is missing."""

from __future__ import annotations

import matplotlib
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

import bmsem
from bmsem.errors import ModelError, NotSupportedError
from bmsem.plots import Plots
from bmsem.plots.style import COLOURS, LEVEL_COLOURS
from bmsem.results.quantities import record

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def weak_fit():
    """Table 25.3 with proper priors."""
    model = bmsem.read_mplus(bmsem.examples.path("mvpa", "table_25_3.inp"))
    return model.fit(priors="weak", draws=1000, seed=1, progress=False)


def axes_of(collection, index=0):
    return collection.viz["figure"].item().axes[index]


def texts(collection):
    """Every word of a figure."""
    figure = collection.viz["figure"].item()
    found = [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
    return "\n".join(found)


DRAWN = {
    "posterior": ("mvpa_fit", lambda p: p.posterior("tot", {"tot": 20 / 7})),
    "forest": ("mvpa_fit", lambda p: p.forest()),
    "forest standardised": ("mvpa_fit", lambda p: p.forest(standardized="stdyx")),
    "forest of some": ("mvpa_fit", lambda p: p.forest(["tot", "treat -> advant"])),
    "prior and posterior": ("weak_fit", lambda p: p.prior_posterior(["tot", "p3bc"])),
    "trace": ("mvpa_fit", lambda p: p.trace(["tot", "con1"])),
    "rank": ("mvpa_fit", lambda p: p.rank(["tot", "con1"])),
    "psr": ("mvpa_fit", lambda p: p.psr()),
    "discrepancy": ("mvpa_fit", lambda p: p.discrepancy()),
    "correlations": ("mvpa_fit", lambda p: p.moments()),
    "variances": ("mvpa_fit", lambda p: p.moments("variance")),
    "means": ("mvpa_fit", lambda p: p.moments("mean")),
    "cluster means": ("mvpa_fit", lambda p: p.cluster_means()),
    "residuals": ("mvpa_fit", lambda p: p.residuals()),
    "intercepts by cluster": ("mvpa_fit", lambda p: p.caterpillar("mvpa")),
    "slopes by cluster": ("varying", lambda p: p.caterpillar("vs1")),
    "context": ("mvpa_fit", lambda p: p.context("mvpa", "advant")),
    "context on real data": ("hsb_fit", lambda p: p.context("math", "ses")),
    "loo": ("mvpa_fit", lambda p: p.loo()),
    "loo of slopes": ("varying", lambda p: p.loo()),
    "zero variance": ("weak_fit", lambda p: p.zero_variance("between: mvpa ~~ mvpa")),
    "simple slopes": ("moderation", lambda p: p.simple_slopes("lyb", "lmb", by="treat")),
    "Johnson-Neyman": (
        "moderation",
        lambda p: p.johnson_neyman("lyb", "lmb", by="treat", bounds=(-0.5, 1.5)),
    ),
    "forest of loadings": ("moderation", lambda p: p.forest()),
}


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_every_plot_is_drawn_to_a_file_and_fits_its_page(name, request, tmp_path):
    fixture, draw = DRAWN[name]
    collection = draw(request.getfixturevalue(fixture).plot)
    path = tmp_path / "plot.png"
    collection.savefig(path, dpi=60)
    picture = matplotlib.image.imread(path)[..., :3]
    ink = (picture < 0.9).any(axis=-1)
    assert 0.005 < ink.mean() < 0.9
    # Nothing is cut off: the outermost pixels are empty.
    assert not any(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_every_plot_of_a_fit_is_drawn_here():
    offered = {n for n in vars(Plots) if not n.startswith("_") and n != "fit"}
    import inspect

    source = inspect.getsource(inspect.getmodule(test_every_plot_of_a_fit_is_drawn_here))
    assert all(f"p.{name}(" in source for name in offered)


def test_settings_of_the_session_are_left_alone(mvpa_fit):
    before = dict(matplotlib.rcParams)
    mvpa_fit.plot.forest()
    assert dict(matplotlib.rcParams) == before


def test_a_collection_can_be_saved_as_svg_and_pdf(mvpa_fit, tmp_path):
    collection = mvpa_fit.plot.psr()
    for suffix in ("svg", "pdf"):
        collection.savefig(tmp_path / f"psr.{suffix}")
        assert (tmp_path / f"psr.{suffix}").stat().st_size > 2000


def test_posterior_shows_interval_standard_and_probability(mvpa_fit):
    collection = mvpa_fit.plot.posterior("tot", {"tot": 20 / 7})
    draws = mvpa_fit.draws("tot")
    found = record(draws, 0.95, "hpd")
    shown = texts(collection)
    assert f"{found['median']:.3g} [{found['lower']:.3g}, {found['upper']:.3g}]" in shown
    assert f"P(> 2.86) = {(draws > 20 / 7).mean():.3f}" in shown
    dashed = [li for li in axes_of(collection).lines if li.get_linestyle() == "--"]
    assert dashed[0].get_xdata()[0] == pytest.approx(20 / 7)


def test_a_negative_standard_points_the_other_way(mvpa_fit):
    shown = texts(mvpa_fit.plot.posterior("con1", {"con1": -1.0}))
    assert f"P(< -1) = {(mvpa_fit.draws('con1') < -1).mean():.3f}" in shown


def test_forest_has_every_path_once_at_its_level(mvpa_fit):
    collection = mvpa_fit.plot.forest()
    labels = [t.get_text() for t in axes_of(collection).get_yticklabels()]
    assert labels[:2] == ["advant → mvpa", "peers → mvpa"]
    assert labels.count("advant → mvpa") == 2
    assert labels[-5:] == list(mvpa_fit.defined)
    medians = [li.get_xdata()[0] for li in axes_of(collection).lines if li.get_marker() == "o"]
    assert medians[-3] == pytest.approx(np.median(mvpa_fit.draws("tot")))


def test_discrepancy_counts_the_points_above_the_line(mvpa_fit):
    shown = texts(mvpa_fit.plot.discrepancy())
    found = mvpa_fit.ppp()
    for part in ("overall", "within", "between"):
        assert f"PPP = {found.at(part):.3f}" in shown


def test_residual_heatmap_has_the_table_s_numbers(mvpa_fit):
    shown = texts(mvpa_fit.plot.residuals()).split("\n")
    frame = mvpa_fit.residuals().frame
    for row in frame[frame["moment"] == "correlation"].to_dict("records"):
        assert f"{row['observed']:.2f}" in shown
        assert f"{row['median']:.2f}" in shown


def test_caterpillar_is_in_order_and_marks_clusters_apart_from_the_mean(varying, mvpa_fit):
    axes = axes_of(mvpa_fit.plot.caterpillar("mvpa"))
    points = sorted(
        (x, y)
        for li in axes.lines
        if li.get_marker() == "o"
        for x, y in zip(li.get_xdata(), li.get_ydata(), strict=True)
    )
    assert len(points) == 50
    heights = [y for _, y in points]
    assert heights == sorted(heights)
    assert "0 of 50 intervals exclude" in texts(varying.plot.caterpillar("vs1"))


def test_context_plot_s_points_have_the_slopes_of_the_model(hsb_fit):
    """A line through the cluster means by least squares is near the model's between slope."""
    axes = axes_of(hsb_fit.plot.context("math", "ses"))
    people, clusters = (np.asarray(c.get_offsets()) for c in axes.collections[:2])
    assert len(people) == hsb_fit.bound.rows
    slope = np.polyfit(clusters[:, 0], clusters[:, 1], 1)[0]
    between = np.median(hsb_fit.draws("b"))
    assert slope == pytest.approx(between, abs=0.5)


def test_partial_residuals_take_out_the_other_predictors(mvpa_fit):
    from bmsem.plots.clusters import _partial

    columns = [*mvpa_fit.bound.structure.outcomes]
    x, y, xc, yc, codes = _partial(mvpa_fit, "mvpa", "advant", columns)
    within = np.polyfit(x - xc[codes], y - yc[codes], 1)[0]
    assert within == pytest.approx(np.median(mvpa_fit.draws("p1wc")), abs=0.15)
    assert np.polyfit(xc, yc, 1)[0] == pytest.approx(np.median(mvpa_fit.draws("p3bc")), abs=0.6)


def test_simple_slopes_are_those_of_the_table(moderation):
    shown = texts(moderation.plot.simple_slopes("lyb", "lmb", by="treat"))
    frame = moderation.simple_slopes("lyb", "lmb", by="treat").frame
    for row in frame.to_dict("records")[:2]:
        limits = f"{row['median']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}]"
        assert f"treat = {row['treat']}: {limits}" in shown


def test_loo_names_influential_clusters(mvpa_fit):
    shown = texts(mvpa_fit.plot.loo())
    pointwise = mvpa_fit.loo().pointwise
    assert str(pointwise["pareto_k"].idxmax()) in shown.split("\n")
    assert str(pointwise["elpd"].idxmin()) in shown.split("\n")


def test_comparison_has_weights_and_a_plot(mvpa_fit, weak_fit, tmp_path):
    found = bmsem.compare({"uniform": mvpa_fit, "weak": weak_fit})
    assert found.frame["weight"].sum() == pytest.approx(1.0, abs=1e-6)
    assert (found.frame["waic_se"] > 0).all()
    collection = found.plot()
    collection.savefig(tmp_path / "models.png")
    assert f"uniform ({found.frame.set_index('model').loc['uniform', 'weight']:.2f})" in texts(
        collection
    )


def test_stacking_weights_find_the_mixture_of_the_truth():
    """Two models that are each right about a part of the units share the weight accordingly."""
    import pandas as pd

    from bmsem.comparison import _stacking_weights
    from bmsem.criteria.cross_validation import ELPD

    def elpd(values):
        frame = pd.DataFrame({"elpd": values, "p": 0.0, "pareto_k": 0.1})
        return ELPD("LOO", "cluster", float(np.sum(values)), 1.0, 1.0, frame, 0.7, 4000)

    right, wrong = -1000.0, -1003.0
    first = np.array([right] * 70 + [wrong] * 30)
    second = np.array([wrong] * 70 + [right] * 30)
    weights = _stacking_weights([elpd(first), elpd(second)])
    # Maximum of 0.7 log(w + (1 - w) r) + 0.3 log(1 - w + w r) with r = exp(-3).
    r = np.exp(-3.0)
    grid = np.linspace(0, 1, 10_001)
    best = grid[np.argmax(0.7 * np.log(grid + (1 - grid) * r) + 0.3 * np.log(1 - grid + grid * r))]
    assert weights[0] == pytest.approx(best, abs=1e-3)


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: p.posterior("totl"),
        lambda p: p.forest("totl"),
        lambda p: p.trace(["totl"]),
        lambda p: p.rank("totl"),
    ],
)
def test_a_quantity_that_is_not_there_names_the_nearest(mvpa_fit, draw):
    with pytest.raises(ModelError, match=r"'totl'.*[Dd]id you mean 'tot'"):
        draw(mvpa_fit.plot)


def test_bad_input_says_what_was_expected(mvpa_fit, varying):
    plot = mvpa_fit.plot
    with pytest.raises(ModelError, match=r"no path mvpa ~ treat at both levels.*mvpa ~ advant"):
        plot.context("mvpa", "treat")
    with pytest.raises(
        ModelError, match=r"Unknown moment 'corelation'. Did you mean 'correlation'"
    ):
        plot.moments("corelation")
    with pytest.raises(ModelError, match=r"'mvp'.*[Dd]id you mean 'mvpa'"):
        plot.cluster_means("mvp")
    with pytest.raises(ModelError, match="width of an interval"):
        plot.forest(width=95)
    with pytest.raises(ModelError, match="Unknown standardisation"):
        plot.forest(standardized="beta")
    with pytest.raises(ModelError, match="does not moderate"):
        plot.simple_slopes("mvpa", "advant", by="treat")
    with pytest.raises(NotSupportedError, match=r"bmsem\.compare"):
        varying.plot.discrepancy()
    with pytest.raises(ModelError, match="latent"):
        _latent_context()
    with pytest.raises(ModelError, match="no free variance"):
        plot.zero_variance("tot")


def _latent_context():
    """A path between factors of one name at both levels has no data to be drawn over."""
    text = "level: within\n f =~ y1 + y2 + y3\n f ~ m1\nlevel: between\n f =~ y1 + y2 + y3\n f ~ m1"
    model = bmsem.model(text)
    frame = bmsem.read_mplus(bmsem.examples.path("moderation", "table_25_9.inp")).default_data()
    fit = model.fit(frame, cluster="school", draws=50, tune=200, chains=2, seed=1, progress=False)
    return fit.plot.context("f", "m1")


def test_colours_can_be_told_apart_by_the_colour_blind():
    """Pairs of colours keep a distance under simulated protanopia and deuteranopia (Vienot 1999)."""
    protan = np.array([[0.1121, 0.8853, -0.0005], [0.1127, 0.8897, -0.0001], [0.0045, 0.0, 1.0019]])
    deutan = np.array([[0.2920, 0.7054, -0.0003], [0.2934, 0.7089, 0.0], [-0.0210, 0.0256, 1.0019]])
    pairs = [(COLOURS[0], COLOURS[1]), (LEVEL_COLOURS["within"], LEVEL_COLOURS["between"])]
    for first, second in pairs:
        a, b = (np.array(matplotlib.colors.to_rgb(c)) ** 2.2 for c in (first, second))
        for seen in (protan, deutan):
            assert np.abs(seen @ a - seen @ b).max() > 0.15


def test_single_chain_has_no_psr_or_rank(mvpa_fit):
    from dataclasses import replace

    single = replace(mvpa_fit, parameters=mvpa_fit.parameters[:1], sample_stats={})
    for draw in (single.plot.psr, single.plot.rank):
        with pytest.raises(ModelError, match="single one"):
            draw()
    single.plot.trace("tot")


def test_the_accessor_lists_its_plots(mvpa_fit):
    assert "caterpillar" in repr(mvpa_fit.plot)
