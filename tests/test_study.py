"""Studies by simulation: measures, resuming after a kill, calibration, plots."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from study_script import TRIAL, study

import bmsem
from bmsem.study.journal import Journal
from bmsem.study.measures import MEASURES, performance
from bmsem.study.pool import run_tasks

SCRIPT = Path(__file__).with_name("study_script.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study without an interruption, in this process."""
    return study(str(tmp_path_factory.mktemp("study") / "whole.jsonl"))


def test_measures_are_those_of_their_definitions():
    """Against sums over replications, written out; known standard errors of Morris et al."""
    random = np.random.default_rng(1)
    truth = np.array([0.5, 0.0])
    estimate = truth[:, None] + 0.1 + 0.4 * random.normal(size=(2, 400))
    sd = random.uniform(0.3, 0.5, (2, 400))
    lower, upper = estimate - 1.5 * sd, estimate + 1.5 * sd
    found = performance(truth, estimate, estimate + 1.0, sd, lower, upper)
    assert set(found) == set(MEASURES)
    for i in range(2):
        e = estimate[i] - truth[i]
        bias, se = found["bias"][0][i], found["bias"][1][i]
        assert bias == pytest.approx(e.mean())
        assert se == pytest.approx(estimate[i].std(ddof=1) / 20)
        assert found["rmse"][0][i] == pytest.approx(np.sqrt((e**2).mean()))
        assert found["rmse_mean"][0][i] == pytest.approx(np.sqrt(((e + 1) ** 2).mean()))
        assert found["posterior_sd"][0][i] == pytest.approx(np.sqrt((sd[i] ** 2).mean()))
        inside = (lower[i] <= truth[i]) & (truth[i] <= upper[i])
        assert found["coverage"][0][i] == inside.mean()
        assert found["coverage"][1][i] == pytest.approx(inside.std() / 20)
        excludes = (lower[i] > 0) | (upper[i] < 0)
        assert found["excludes_zero"][0][i] == excludes.mean()
    # The delta method's error of the RMSE, by brute force.
    e = estimate[0] - truth[0]
    resampled = [np.sqrt((random.choice(e, 400) ** 2).mean()) for _ in range(4000)]
    assert found["rmse"][1][0] == pytest.approx(np.std(resampled), rel=0.06)


def test_a_failed_replication_is_left_out_of_the_measures():
    estimate = np.array([[1.0, np.nan, 3.0]])
    one = np.where(np.isfinite(estimate), 1.0, np.nan)
    found = performance(np.array([1.0]), estimate, estimate, one, estimate - 1, estimate + 1)
    assert found["bias"][0][0] == 1.0
    assert found["coverage"][0][0] == 0.5


def test_a_study_holds_every_replication(whole):
    data = whole.data
    assert dict(data.sizes) == {
        "scenario": 2, "clusters": 2, "priors": 2, "effect": 2, "replication": 12
    }  # fmt: skip
    assert np.isfinite(data["median"]).all()
    assert (data["lower"] < data["median"]).all()
    assert (data["median"] < data["upper"]).all()
    assert data["truth"].sel(scenario="effect", effect="b").values == pytest.approx(0.5)
    assert data["truth"].sel(scenario="none", effect="icc(y)").values == pytest.approx(0.1)
    assert not len(whole.errors)
    # Priors see the same data: the estimates go together.
    medians = data["median"].sel(effect="b", clusters=8)
    pair = [medians.sel(priors=p).values.ravel() for p in ("weak", "informative")]
    assert np.corrcoef(pair)[0, 1] > 0.98
    assert 0 < float(whole.measures["coverage"].sel(effect="b").mean()) <= 1


def test_tables_and_print(whole):
    assert len(whole.table()) == 2 * 2 * 2 * 2
    one = whole.table("b", ["bias", "coverage"], errors=True)
    assert list(one)[-4:] == ["bias", "bias_mcse", "coverage", "coverage_mcse"]
    assert "Type I error" in str(whole)
    assert "<table" in whole._repr_html_()
    with pytest.raises(bmsem.ModelError, match="no effect 'c'"):
        whole.table("c")
    with pytest.raises(bmsem.ModelError, match="Did you mean 'bias'"):
        whole.table("b", ["biass"])


def test_paired_differences(whole):
    found = whole.differences("weak", "b").set_index(["scenario", "clusters"])
    medians = whole.data["median"].sel(effect="b", scenario="effect", clusters=6)
    errors = (medians - 0.5) ** 2
    off = (errors.sel(priors="informative") - errors.sel(priors="weak")).values
    row = found.loc[("effect", 6)]
    assert row["priors"] == "informative"
    assert row["mse"] == pytest.approx(off.mean())
    assert row["mse_mcse"] == pytest.approx(off.std(ddof=1) / np.sqrt(12))
    assert (found["width"] < 0).all()
    with pytest.raises(bmsem.ModelError, match="no priors 'week'"):
        whole.differences("week")


def test_plots_show_every_prior(whole, tmp_path):
    figure = whole.plot("b")
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"weak", "informative"}
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(tmp_path / "study.png")
    assert (tmp_path / "study.png").stat().st_size > 10_000
    with pytest.raises(bmsem.ModelError, match="no scenario 'nul'"):
        whole.plot(scenario="nul")


def test_saved_results_are_netcdf(whole, tmp_path):
    path = whole.save(tmp_path / "study.nc")
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert found["rmse"].values == pytest.approx(whole.measures["rmse"].values)


def journal_lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize(
    ("sign", "cores"), [(signal.SIGKILL, 1), (signal.SIGINT, 2), (signal.SIGKILL, 2)]
)
def test_an_interrupted_study_goes_on_to_the_same_table(whole, tmp_path, sign, cores):
    path = tmp_path / "study.jsonl"
    command = [sys.executable, str(SCRIPT), str(path), str(cores)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    begun = time.monotonic()
    while journal_lines(path) < 6 and process.poll() is None:
        assert time.monotonic() - begun < 240
        time.sleep(0.01)
    if sign == signal.SIGKILL:
        os.killpg(process.pid, sign)
    else:
        process.send_signal(sign)
    _, error = process.communicate(timeout=120)
    assert process.returncode != 0, "the study was done before it could be interrupted"
    if sign == signal.SIGINT:
        assert b"KeyboardInterrupt" in error
        assert b"of 48 replications are kept in" in error
    kept = journal_lines(path)
    assert 6 <= kept < 49
    if sign == signal.SIGKILL:
        with path.open("a") as file:
            file.write('{"key": "none/8/11", "value": {"we')  # a line that was cut off
    before = path.read_bytes().splitlines()[:kept]
    again = study(str(path))
    assert path.read_bytes().splitlines()[:kept] == before
    xr.testing.assert_identical(again.data.drop_vars("seconds"), whole.data.drop_vars("seconds"))


def test_more_replications_go_on_from_the_file(whole, tmp_path):
    path = tmp_path / "study.jsonl"
    study(str(path), replications=2)
    begun = journal_lines(path)
    more = study(str(path), replications=3)
    assert (begun, journal_lines(path)) == (9, 13)
    xr.testing.assert_identical(
        more.data.drop_vars("seconds"),
        whole.data.isel(replication=slice(0, 3)).drop_vars("seconds"),
    )


def test_a_file_of_another_study_is_refused(tmp_path):
    path = tmp_path / "study.jsonl"
    Journal(path, {"seed": 1, "model": "y ~ x"}).close()
    with pytest.raises(bmsem.DataError, match="another study: its seed differ"):
        Journal(path, {"seed": 2, "model": "y ~ x"})
    path.write_text("not a study\n")
    with pytest.raises(bmsem.DataError, match="is not the file of a study"):
        Journal(path, {"seed": 1})
    with pytest.raises(bmsem.DataError, match="cannot be used"):
        Journal(tmp_path / "nowhere" / "study.jsonl", {"seed": 1})


@pytest.mark.parametrize("text", [b'{"a": 1}', b"my precious notes"])
def test_a_file_that_is_no_study_is_left_alone(tmp_path, text):
    path = tmp_path / "notes"
    path.write_bytes(text)
    with pytest.raises(bmsem.DataError, match="is not the file of a study"):
        Journal(path, {"seed": 1})
    assert path.read_bytes() == text
    # The beginning of this study's own first line is what a kill leaves.
    path.write_bytes(b'{"seed"')
    Journal(path, {"seed": 1}).close()
    assert path.read_bytes() == b'{"seed": 1}\n'


def with_covariate(scale, path=None, prior="weak", **options):
    import pymc as pm

    text = "level: within\n y ~~ y\nlevel: between\n y ~ b*w"
    priors = pm.Exponential.dist(scale) if prior == "own" else "HalfNormal(1)"
    values = np.arange(8.0) * (1 if prior == "own" else scale)
    return bmsem.study.few_clusters(
        text, {"b": 0.5, "within: sd(y)": 1, "between: sd(y)": 0.5}, clusters=[8],
        priors={"p": {"between: sd(y)": priors}}, replications=1, size=5,
        covariates={"w": values}, draws=100, tune=100, cores=1, path=path, progress=False, **options,
    )  # fmt: skip


def test_a_study_knows_the_values_of_its_design_and_the_arguments_of_its_priors(tmp_path):
    one, hundred = with_covariate(1.0), with_covariate(100.0)
    ratio = float(one.data["sd"].mean() / hundred.data["sd"].mean())
    assert ratio > 20  # nothing of the first study is used for the second
    path = tmp_path / "study.jsonl"
    with_covariate(1.0, path)
    with pytest.raises(bmsem.DataError, match="its designs differ"):
        with_covariate(100.0, path)
    path = tmp_path / "priors.jsonl"
    with_covariate(3.0, path, "own")
    with pytest.raises(bmsem.DataError, match="its priors differ"):
        with_covariate(5.0, path, "own")


def test_failures_are_reported_not_dropped(monkeypatch):
    from bmsem.study import replicate

    def fail(bound, priors, setup, seed):
        raise bmsem.SamplingError("no starting point")

    monkeypatch.setattr(replicate, "_estimates", fail)
    found = study(None, replications=2)
    assert len(found.errors) == 2 * 2 * 2 * 2
    assert "16 fits failed" in str(found)
    assert float(found.measures["failed"].min()) == 1.0


def test_progress_counts_what_was_done_before():
    seen, done = [], []
    run_tasks(abs, [-1, -2], lambda t, r: done.append(r), cores=1, already=3,
              progress=lambda i, n: seen.append((i, n)))  # fmt: skip
    assert seen == [(4, 5), (5, 5)]
    assert done == [1, 2]


TRUTH = {"b": 0.5, "within: y ~~ y": 0.9, "icc(y)": 0.1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth": {"b": 0.5}}, "within: y ~~ y"),
        ({"truth": {}}, "mapping of names to values"),
        ({"truth": TRUTH | {"c": 1.0}}, "c"),
        ({"effects": ["d"]}, "d"),
        ({"priors": {"mine": {"q": "Normal(0, 1)"}}}, "not a parameter"),
        ({"priors": {"mine": "week"}}, "Did you mean 'weak'"),
        ({"priors": {}}, "at least one set of priors"),
        ({"clusters": [1, 5]}, "two or more"),
        ({"clusters": [5, 5]}, "different numbers"),
        ({"replications": 0}, "at least 1"),
        ({"width": 95}, "width between 0 and 1"),
        ({"interval": "hdi"}, "'equal' or 'hpd'"),
        ({"arms": {}}, "treat"),
        ({"model": "y ~ b*x"}, "no levels"),
        (
            {"design": bmsem.Design.from_data({"g": [1, 1, 2], "treat": [0, 0, 1]}, cluster="g")},
            "that of real data",
        ),
        ({"priors": {"mine": {"b": "Norml(0, 1)"}}}, "Did you mean 'Normal'"),
        ({"priors": {"mine": {"b": "Normal(0, -1)"}}}, "It needs sigma > 0"),
        (
            {"model": f"{TRIAL}\nlevel: within\n y ~~ vw*y\nlevel: between\n y ~~ vb*y\nvw == 4*vb",
             "truth": {"b": 0.5, "vb": 0.2}, "priors": {"mine": {"icc(y)": "Beta(1, 9)"}}},
            "needs its within variance",
        ),
        ({"priors": "weak"}, "by a name of your own, such as"),
        ({"priors": ["weak", "mplus"]}, "by a name of your own"),
        ({"priors": {"a": None}}, "The set of priors 'a' is None: give a preset"),
        ({"priors": {"mine": {"b": None}}}, "The prior of 'b' is None"),
        ({"seed": -1}, "seed=-1: give a whole number from 0"),
        ({"clusters": "ten"}, "give different numbers"),
        ({"design": bmsem.Design(6, 5, arms={"treat": 0.5})}, "A design and arms= are given"),
        (
            {"arms": None, "size": 20, "covariates": {},
             "design": bmsem.Design(6, 5, arms={"treat": 0.5})},
            "A design and size=, covariates= are given",
        ),
    ],
)  # fmt: skip
def test_studies_that_cannot_be(changes, message):
    given = {"model": TRIAL, "truth": TRUTH, "clusters": [6], "arms": {"treat": 0.5},
             "progress": False, "cores": 1}  # fmt: skip
    with pytest.raises(bmsem.BmsemError, match=message):
        bmsem.study.few_clusters(**(given | changes))


def test_what_stands_alone_is_a_list_of_one(whole):
    assert list(whole.table(measures="bias"))[-1] == "bias"
    assert len(whole.plot("b", "coverage").axes) == 1
    found = bmsem.study.few_clusters(
        TRIAL, TRUTH, 6, {"weak": "weak"}, 1, arms={"treat": 0.5}, effects="b", draws=50, tune=50,
        cores=1, progress=False,
    )  # fmt: skip
    assert found.data["clusters"].values.tolist() == [6]


def test_a_design_takes_the_place_of_its_parts():
    design = bmsem.Design(6, 5, arms={"treat": 0.5})
    found = bmsem.study.few_clusters(
        TRIAL, TRUTH, [6], {"weak": "weak"}, 1, design=design, draws=50, tune=50, cores=1,
        progress=False,
    )  # fmt: skip
    assert "of 5" in found.settings["designs"]["6"]


# Calibration. ----------------------------------------------------------------------------------

CALIBRATED = {"preset": "weak", "paths": "Normal(0, 1)", "sds": "HalfNormal(1)",
              "intercepts": "Normal(0, 1)"}  # fmt: skip


@pytest.fixture(scope="module")
def calibration():
    design = bmsem.Design(rows=30, covariates={"x": "Normal(0, 1)"})
    return bmsem.study.calibrate(
        "y ~ b*x\ntwice := 2*b", design, 60, priors=CALIBRATED, ranks=19, draws=100, tune=200,
        seed=1, cores=1, progress=False,
    )  # fmt: skip


def test_calibration_of_a_regression(calibration):
    ranks = calibration.data["rank"]
    assert list(calibration.data["quantity"].values) == [
        "b", "y ~ 1", "y ~~ y", "twice", "log likelihood"
    ]  # fmt: skip
    assert ranks.min() >= 0
    assert ranks.max() <= 19
    assert (ranks.sel(quantity="b") == ranks.sel(quantity="twice")).all()
    assert calibration.calibrated
    assert calibration.frame["coverage_50"].between(0.2, 0.8).all()
    assert "No departure from calibration" in str(calibration)


def test_calibration_finds_a_wrong_prior(calibration):
    """Ranks of a posterior that is too narrow pile up at both ends."""
    from bmsem.study.ranks import Calibration

    random = np.random.default_rng(1)
    results = [
        {"ranks": [int((random.normal(size=19) < 2 * random.normal()).sum())], "rhat": 1.0,
         "divergent": 0, "seconds": 0.1}
        for _ in range(200)
    ]  # fmt: skip
    found = Calibration.collect({}, results, ["b"], 19, calibration.priors)
    assert not found.calibrated
    assert str(found).startswith("NOT CALIBRATED")
    assert found.frame["coverage_50"][0] < 0.4


def test_too_few_replications_are_no_verdict(calibration):
    from bmsem.study.ranks import Calibration

    results = [{"ranks": [3], "rhat": 1.0, "divergent": 0, "seconds": 0.1}] * 4
    found = Calibration.collect({}, results, ["b"], 19, calibration.priors)
    assert str(found).startswith("Too few replications to tell; 4 replications")


def test_calibration_plots(calibration, tmp_path):
    calibration.plot().savefig(tmp_path / "ecdf.png")
    calibration.plot_ranks().savefig(tmp_path / "ranks.png")
    for name in ("ecdf.png", "ranks.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    with pytest.raises(bmsem.ModelError, match="was not ranked"):
        calibration.plot(["q"])


def test_calibration_needs_proper_priors():
    design = bmsem.Design(rows=30, covariates={"x": "Normal(0, 1)"})
    with pytest.raises(bmsem.ModelError, match="Simulation-based calibration needs draws"):
        bmsem.study.calibrate("y ~ b*x", design, 5, priors="mplus", progress=False)
    with pytest.raises(bmsem.ModelError, match="ranks=0"):
        bmsem.study.calibrate("y ~ b*x", design, 5, ranks=0, progress=False)
    with pytest.raises(bmsem.ModelError, match="No parameter 'q'"):
        bmsem.study.calibrate("y ~ b*x", design, 5, names=["q"], progress=False)


def test_priors_of_a_design_without_data_are_those_of_unit_variables(calibration):
    design = bmsem.Design(20, 5, covariates={"x": "Normal(0, 2)"})
    from bmsem.simulation import simulator
    from bmsem.study.calibrate import _reference

    ready = simulator(bmsem.model("level: within\n y ~ x\nlevel: between\n y ~~ y").spec, design)
    scales = _reference(ready, design).scales
    assert scales.sd["between", "y"] == scales.sd["within", "y"] == 1.0
    assert scales.sd["within", "x"] == pytest.approx(2.0, rel=0.3)


def test_a_calibration_goes_on_with_more_replications(tmp_path):
    """With priors of single correlations some draws are drawn again: the first ones stay the same."""
    text = "y1 ~~ y2 + 0*y3\ny2 ~~ y3"
    priors = {"correlations": "LKJ(1)", "sds": "HalfNormal(1)", "intercepts": "Normal(0, 1)"}

    def ranked(count, path=None):
        return bmsem.study.calibrate(
            text, bmsem.Design(rows=20), count, priors=priors, names="y1 ~~ y2", ranks=9, draws=50,
            tune=50, seed=3, cores=1, path=path, progress=False,
        ).data.drop_vars("seconds")  # fmt: skip

    path = tmp_path / "calibration.jsonl"
    ranked(2, path)
    before = path.read_bytes()
    more = ranked(4, path)
    assert path.read_bytes().startswith(before)
    assert journal_lines(path) == 5
    assert list(more["quantity"].values) == ["y1 ~~ y2"]
    xr.testing.assert_identical(more, ranked(4))


def test_one_name_of_a_calibration(calibration):
    assert len(calibration.plot_ranks("b").axes) == 1
    with pytest.raises(bmsem.ModelError, match="seed=-1"):
        bmsem.study.calibrate("y ~ 1", bmsem.Design(rows=20), 2, seed=-1)
