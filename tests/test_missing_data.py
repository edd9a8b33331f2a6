"""Missing values: what is dropped, refused, modelled and said; the unrestricted model; recovery."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense import Joint, groups_of, joint
from models_and_designs import DESIGNS, MODELS, make_data
from test_missing_likelihood import delete, dense_clusters, setup

import bmsem
from bmsem.cli import main
from bmsem.criteria.deviance import conditional_dic
from bmsem.criteria.incomplete import compared, observed_discrepancies
from bmsem.criteria.slopes import conditional_dic_given
from bmsem.descriptives.incomplete import incomplete_moments
from bmsem.descriptives.information import standard_errors
from bmsem.language import parse_formula, write_formula
from bmsem.language.mplus import parse_mplus
from bmsem.latent import between_draws_given, people_draws_given
from bmsem.likelihood.canonical import Layout, layout_of, observed_data, reduced_from
from bmsem.likelihood.saturated import Saturated
from bmsem.likelihood.unrestricted import unrestricted
from bmsem.moments import implied_moments

TRIAL = """
cluster: cluster
within: x
between: w
level: within
  y1 ~ y2 + x
level: between
  y1 ~ y2 + w
  y2 ~ w
"""


@pytest.fixture
def frame():
    return make_data([7] * 12)


def bind(frame, text=TRIAL, **how):
    return bmsem.model(text).bind(frame, **how)


# -- what is read, dropped, refused and said --------------------------------------------------


@pytest.mark.parametrize("sign", [None, np.nan, pd.NA])
def test_signs_of_missing_values(frame, sign):
    column = frame["y1"].astype(object)
    column[[2, 5]] = sign
    bound = bind(frame.assign(y1=column))
    assert bound.gaps.patterns.tolist() == [[True, True], [False, True]]
    assert np.isnan(bound.people.values[:, 0]).sum() == 2
    nullable = frame.assign(y1=column.astype("Float64"))
    assert (bind(nullable).gaps.pattern == bound.gaps.pattern).all()


def test_people_without_any_outcome_are_dropped_and_counted(frame):
    frame.loc[[1, 4, 9], ["y1", "y2"]] = np.nan
    frame.loc[3, "y1"] = np.nan
    bound = bind(frame)
    assert bound.rows == len(frame) - 3 and 4 not in bound.people.index
    assert any("3 of 84 rows have no value of any of y1, y2" in n for n in bound.notes)


def test_a_cluster_with_a_variable_wholly_missing_stays_in(frame):
    frame.loc[frame["cluster"] == "c3", "y1"] = np.nan
    bound = bind(frame)
    assert bound.clusters == 12 and bound.rows == 84
    j = list(bound.cluster_ids).index("c3")
    assert bound.moments.counts[j, 0] == 0 and bound.moments.counts[j, 1] == 7
    frame.loc[frame["cluster"] == "c3", "y2"] = np.nan
    bound = bind(frame)
    assert bound.clusters == 11
    assert any("1 cluster(s) have nobody left" in n for n in bound.notes)


def test_what_some_members_lack_of_their_cluster_the_others_tell(frame):
    first = frame.groupby("cluster").head(1).index
    known = bind(frame).between_covariates
    frame.loc[first, "w"] = np.nan
    assert (bind(frame).between_covariates == known).all()


def test_listwise_says_what_it_costs(frame):
    frame.loc[frame["cluster"] == "c3", "w"] = np.nan
    frame.loc[[i for i in range(10) if frame.loc[i, "cluster"] != "c3"][:3], "y2"] = np.nan
    bound = bind(frame, missing="listwise")
    assert bound.gaps is None and bound.rows == 84 - 7 - 3 and bound.clusters == 11
    assert "10 of 84 rows and 1 of 12 clusters" in bound.notes[-1]
    assert "y2 (3), w (7)" in bound.notes[-1]


def test_incomplete_covariates_can_be_modelled(frame):
    frame.loc[frame["cluster"] == "c3", "w"] = np.nan
    frame.loc[[0, 1], "x"] = np.nan
    with pytest.raises(bmsem.DataError, match=r"x \(2\), w \(7\)"):
        bind(frame)
    bound = bind(frame, missing="model")
    assert set(bound.structure.outcomes) == {"y1", "y2", "x"}
    assert bound.structure.between_outcomes == ("w",)
    assert any("x (2), w (7)" in n and "normal distribution" in n for n in bound.notes)
    assert np.isnan(bound.between_outcomes).sum() == 1
    # Complete covariates of its level predict it, and a note says so.
    frame["v2"] = frame["u"]
    both = TRIAL.replace("within: x", "within: x, v2").replace("y2 + x", "y2 + x + v2")
    found = bind(frame, both, missing="model")
    assert "x ~ v2" in [p.name for p in found.spec.at("within")]
    assert any("x is regressed on v2" in n for n in found.notes)
    # The same by naming a mean or a variance.
    named = TRIAL.replace("y1 ~ y2 + x", "y1 ~ y2 + x\n  x ~~ x").replace(
        "y2 ~ w", "y2 ~ w\n  w ~ 1"
    )
    assert bind(frame, named).spec == bound.spec


def test_missing_says_the_patterns_and_the_coverage(frame):
    random = np.random.default_rng(1)
    frame.loc[random.random(84) < 0.3, "y1"] = np.nan
    frame.loc[frame["y1"].notna() & (random.random(84) < 0.2), "y2"] = np.nan
    table = bind(frame).missing()
    known = frame[["y1", "y2"]].notna()
    assert table.coverage.loc["y1", "y2"] == pytest.approx(known.all(axis=1).mean())
    assert table.coverage.loc["y1", "y1"] == pytest.approx(known["y1"].mean())
    assert table.patterns["people"].sum() == 84
    assert "Covariance coverage" in str(table) and not table.complete
    assert "x" in table._repr_html_()
    assert bind(make_data([7] * 12)).missing().complete


def test_low_coverage_is_warned_of(frame):
    frame = make_data([20] * 12)
    frame.loc[~frame["cluster"].isin(["c3", "c4"]) | (frame.index % 2 == 0), "y1"] = np.nan
    share = frame["y1"].notna().mean()
    with pytest.warns(bmsem.DataWarning, match=rf"coverage below 10% for y1 \({share:.1%}\)"):
        bind(frame)
    frame.loc[frame["cluster"] == "c4", "y1"] = np.nan
    with pytest.raises(bmsem.DataError, match="observed in a single cluster"):
        bind(frame)


def test_a_variable_missing_everywhere_is_refused(frame):
    with pytest.raises(bmsem.DataError, match="missing in every row: y1"):
        bind(frame.assign(y1=np.nan))


def test_a_missing_cluster_is_refused(frame):
    with pytest.raises(bmsem.DataError, match=r"missing in 1 row.*first of which is row 5"):
        bind(frame.assign(cluster=frame["cluster"].where(frame.index != 5)))


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
def test_a_pattern_that_leaves_a_parameter_unidentified_is_named(frame):
    half = frame.index < 42
    frame.loc[half, "y1"] = np.nan
    frame.loc[~half, "y2"] = np.nan
    model = bmsem.model(TRIAL)
    with pytest.warns(bmsem.ModelWarning, match="no two people of one cluster have values of both"):
        model.priors(frame, priors="weak")
    with pytest.raises(bmsem.ModelError, match="within: y1 ~ y2") as caught:
        model.priors(frame, priors="mplus")
    assert "between: y1 ~ y2" not in str(caught.value)
    frame.loc[frame.index[:3], "y1"] = 1.0  # in three clusters, one person each
    assert bind(frame).never_together


def test_unknown_ways_and_lists_are_refused(frame):
    with pytest.raises(bmsem.ModelError, match="'likelihood', 'model', 'listwise'"):
        bind(frame, missing="fiml")
    with pytest.raises(bmsem.ModelError, match="fitted as a whole"):
        bind([frame, frame])


def test_a_product_with_a_missing_variable_of_clusters_is_refused(frame):
    text = """
    cluster: cluster
    level: within
      f =~ y1 + y2 + y3
    level: between
      fb =~ y1 + y2 + y3
      int | w XWITH fb
      z ~ fb + w + int
      w ~~ w
    """
    frame.loc[frame["cluster"] == "c3", "w"] = np.nan
    with pytest.raises(bmsem.NotSupportedError, match="product of two unknowns"):
        bind(frame, text)


def test_the_command_line_says_what_is_missing(frame, tmp_path, capsys):
    frame.loc[[0, 1], "x"] = np.nan
    frame.loc[[2, 5], "y1"] = np.nan
    frame.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "model.bms").write_text(TRIAL)
    call = ["check", str(tmp_path / "model.bms"), "--data", str(tmp_path / "data.csv")]
    assert main(call) == 2
    assert "three ways out" in capsys.readouterr().err
    assert main([*call, "--missing", "model", "--auxiliary", "u"]) == 0
    text = capsys.readouterr().out
    assert "Covariance coverage" in text and "auxiliary:" in text
    assert main([*call, "--missing", "listwise"]) == 0
    assert "4 of 84 rows" in capsys.readouterr().out


# -- codes in Mplus files ---------------------------------------------------------------------


def mplus(missing: str, extra: str = ""):
    return parse_mplus(
        f"""
        DATA: FILE IS x.dat;
        VARIABLE: NAMES ARE y m a c; USEVARIABLES ARE y m; CLUSTER IS c;
        MISSING {missing}; {extra}
        ANALYSIS: TYPE = TWOLEVEL;
        MODEL: %WITHIN% y ON m; %BETWEEN% y ON m;
        """
    )


def test_codes_of_mplus():
    data = pd.DataFrame({"y": [1.0, 999.0, -9.0], "m": [-9.0, 2.0, 3.0], "a": 1.0, "c": 1})

    def absent(given):
        return given.prepare(data)[["y", "m"]].isna().to_numpy().tolist()

    assert absent(mplus("= ALL (999 -9)")) == [[False, True], [True, False], [True, False]]
    assert absent(mplus("ARE ALL (-9)")) == [[False, True], [False, False], [True, False]]
    assert mplus("ARE y (7-9, 99) m (-9 -8)").missing == (
        ("y", ("7", "8", "9", "99")), ("m", ("-9", "-8")),
    )  # fmt: skip
    words = pd.DataFrame({"y": ["1", "*", "2"], "m": [".", "3", "4"], "a": 1, "c": 1})
    given = mplus("= . *")
    assert given.prepare(words)["y"].isna().tolist() == [False, True, False]
    assert given.prepare(words)["m"].isna().tolist() == [True, False, False]


def test_a_code_that_is_data_elsewhere_is_said():
    data = pd.DataFrame({"y": [1.0, 999.0], "m": [999.0, 2.0], "a": 999.0, "c": 1})
    with pytest.warns(bmsem.DataWarning) as caught:
        mplus("ARE y (999)").prepare(data)
    (message,) = [str(w.message) for w in caught]
    assert "m (in 1 rows)" in message and "MISSING ARE y m (999);" in message
    assert "a (" not in message  # not used


def test_auxiliary_variables_of_mplus():
    given = mplus("= ALL (-9)", "AUXILIARY = (M) a;")
    assert given.spec.auxiliary == ("a",)
    assert not [i for i in given.ignored if "AUXILIARY" in i.text]
    assert [i for i in mplus("= .", "AUXILIARY = a;").ignored if "AUXILIARY" in i.text]
    with pytest.raises(bmsem.ModelSyntaxError, match="not supported"):
        mplus("= .", "AUXILIARY = (R3STEP) a;")


# -- auxiliary variables ----------------------------------------------------------------------


def test_auxiliary_variables_restrict_nothing_and_leave_the_model_alone(frame):
    plain, with_them = bind(frame), bind(frame, auxiliary=["u", "z"])
    assert with_them.spec.auxiliary == ("u", "z") and with_them.spec.split[-1] == "u"
    # z is constant in its clusters.
    assert "z" in with_them.spec.between_only
    random = np.random.default_rng(3)
    theta = {p.full_name: random.uniform(0.3, 0.9) for p in plain.structure.parameters}
    every = {p.full_name: random.uniform(0.3, 0.9) for p in with_them.structure.parameters}

    def moments(bound, values):
        vector = np.array([values[p.full_name] for p in bound.structure.parameters])
        found = {}
        for level in ("within", "between"):
            s = bound.structure.level(level)
            implied = implied_moments(s, vector)
            at = [s.variables.index(n) for n in ("y1", "y2")]
            found[level] = (implied.covariance[np.ix_(at, at)], implied.coefficients[at])
        return found

    a, b = moments(plain, theta), moments(with_them, every | theta)
    for level in a:
        for mine, theirs in zip(a[level], b[level], strict=True):
            assert mine == pytest.approx(theirs)
    # As many more parameters as there are moments with them.
    more = len(with_them.structure.parameters) - len(plain.structure.parameters)
    within = 1 + 3  # variance of u, its paths from y1, y2 and x
    between = (1 + 1 + 3) + (1 + 1 + 4)  # variance, mean and paths of u, then of z
    assert more == within + between


def test_auxiliary_variables_are_written_and_read(frame):
    text = "auxiliary: u\n" + TRIAL
    spec = parse_formula(text)
    assert spec.auxiliary == ("u",) and parse_formula(write_formula(spec)) == spec
    assert bind(frame, text).spec == bind(frame, auxiliary=["u"]).spec
    with pytest.raises(bmsem.ModelError, match="already in the model"):
        bind(frame, auxiliary=["y2"])


# -- the unrestricted model -------------------------------------------------------------------


def saturated_of(name: str, share: float, patterns: str = "many"):
    frame, bound, theta = setup(name, "unequal", share, patterns)
    return frame, bound, Saturated.of(bound), theta


@pytest.mark.parametrize(
    "name", ["paths", "between-only outcome", "covariates at both levels", "within-only outcome"]
)
def test_without_missing_values_it_is_the_unrestricted_model(name):
    _, bound, found, _ = saturated_of(name, 0.0)
    layout = layout_of(bound)
    other = unrestricted(observed_data(bound)[None], layout, 1e-12)
    assert found.value == pytest.approx(float(other.value[0]), abs=1e-6)
    mine, theirs = found.reduced(found.parameters), reduced_from(other.parts, layout)[0]
    for key in ("between_covariance", "within_covariance", "within_coefficients"):
        a, b = getattr(mine, key), getattr(theirs, key)
        assert a == pytest.approx(b, abs=2e-3 * (1 + np.abs(b).max(initial=0.0)))


@pytest.mark.parametrize("patterns", ["few", "many"])
@pytest.mark.parametrize("name", ["paths", "between-only outcome", "single level"])
def test_its_maximum_is_one_of_the_dense_likelihood(name, patterns):
    frame, _, found, theta = saturated_of(name, 0.2, patterns)
    own = found.bound

    def dense(point):
        return sum(dense_clusters(own, frame, point))

    def possible(point):
        levels = (own.structure.level(k) for k in own.spec.levels)
        return min(np.linalg.eigvalsh(s.matrices(point)[1])[0] for s in levels) > -1e-12

    best = found.parameters
    assert dense(best) == pytest.approx(found.value, abs=1e-7)
    error = np.sqrt(np.diag(found.covariance))
    random = np.random.default_rng(1)
    steps = random.normal(size=(200, best.size)) * error * 0.03
    tried = [s for s in steps if possible(best + s)][:12]
    # Where clusters are few the maximum is on the boundary; inside of it there are steps to try.
    tried += [
        t * (inside - best) for inside in (found.implied(theta[None])[0],) for t in (0.01, 0.1)
    ]
    assert all(dense(best + s) < found.value + 1e-6 for s in tried)


def test_one_level_free_is_between_the_model_and_the_maximum():
    _, _, found, theta = saturated_of("paths", 0.2)
    at = found.implied(theta[None])[0]
    data = found.inputs.data
    fixed = found.log_likelihood(at, data)
    free = [found.maximise(at, data, level)[0] for level in ("within", "between")]
    assert all(fixed < value < found.value for value in free)
    for level, value in zip(("within", "between"), free, strict=True):
        _, where = found.maximise(at, data, level)
        same = ~found._of_level[level]
        assert where[same] == pytest.approx(at[same], rel=1e-5, abs=1e-5)
        assert found.log_likelihood(where, data) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("name", ["paths", "covariates at both levels", "between-only outcome"])
def test_what_a_model_implies_has_the_same_likelihood(name):
    frame, bound, found, theta = saturated_of(name, 0.2)
    implied = found.implied(theta[None])[0]
    value = found.log_likelihood(implied, found.inputs.data)
    assert value == pytest.approx(sum(dense_clusters(bound, frame, theta)), rel=1e-9)
    (d,) = observed_discrepancies(bound, found, theta[None]).overall
    assert d == pytest.approx(2 * (found.value - value))


def test_standard_errors_of_complete_balanced_data_are_those_of_the_expected_information():
    frame = make_data([8] * 40)
    codes, ids = pd.factorize(frame["cluster"])
    layout = Layout(1, np.array([0, 1]), np.array([], dtype=np.intp), 0, 0)
    y, z = frame[["y1", "y2"]].to_numpy(), frame.groupby("cluster", sort=False)[["z"]].first()
    *_, sb, sw, errors = incomplete_moments(
        y, z.to_numpy(), codes, pd.Index(ids), ["y1", "y2"], ["z"], layout
    )
    expected = standard_errors(sb, sw, layout, np.array([8.0]), np.array([40.0]))
    for key in ("mean", "between", "within", "between_r", "within_r", "icc"):
        mine, theirs = getattr(errors, key), getattr(expected, key)
        lower = np.ones_like(mine, dtype=bool)
        if mine.ndim == 2:
            lower = np.tril(lower, -1 if key.endswith("_r") else 0)
        assert mine[lower] == pytest.approx(theirs[lower], rel=1e-3)


def test_describe_takes_missing_values(frame):
    whole = bmsem.describe(frame, "cluster", ["y1", "y2", "w"])
    frame.loc[frame.index % 5 == 0, "y1"] = np.nan
    found = bmsem.describe(frame, "cluster", ["y1", "y2", "w"])
    assert any("y1 17" in n for n in found.notes)
    assert found.icc.loc["y2", "icc"] == pytest.approx(whole.icc.loc["y2", "icc"], abs=1e-4)
    assert found.icc.loc["y1", "se"] > 0
    assert found.log_likelihood > whole.log_likelihood
    table = bmsem.icc(frame, "cluster", "y1", bayes=False).frame
    alone = bmsem.icc(frame.dropna(subset=["y1"]), "cluster", "y1", bayes=False).frame
    assert table.equals(alone)


# -- replicates, criteria ---------------------------------------------------------------------


def test_replicates_keep_the_pattern_and_have_the_chi_squares_of_the_model():
    """Of the saturated model itself D is about chi-square with as many freedoms as parameters."""
    frame = delete(make_data([12] * 60), 0.2, "few")
    bound = bmsem.model(MODELS["paths"]).bind(frame, cluster="cluster")
    found = Saturated.of(bound)
    own = Saturated.of(found.bound)
    draws = np.repeat(found.parameters[None], 120, axis=0)
    mine, theirs, moments = compared(found.bound, own, draws, np.random.default_rng(5))
    assert mine.overall == pytest.approx(0.0, abs=1e-4)
    freedom = len(found.bound.structure.parameters)
    error = np.sqrt(2 * freedom / 120)
    assert theirs.overall.mean() == pytest.approx(freedom, abs=4 * error + 0.5)
    # Each level by itself has its own parameters; W is estimated from a known number of differences.
    assert theirs.within.mean() == pytest.approx(6, abs=1.5)
    assert theirs.between.mean() == pytest.approx(freedom - 6, abs=2.5)
    observed = found.reduced(found.parameters).within_covariance
    assert moments["within"].covariance.mean(axis=0) == pytest.approx(observed, rel=0.2, abs=0.1)


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
@pytest.mark.parametrize("name", ["paths", "between-only outcome"])
def test_conditional_dic_by_cells_is_that_of_pooled_statistics(name):
    bound = bmsem.model(MODELS[name]).bind(make_data(DESIGNS["unequal"]), cluster="cluster")
    _, _, theta = setup(name, "unequal", 0.0, "many")
    random = np.random.default_rng(2)
    draws = theta + 0.02 * random.normal(size=(5, theta.size))
    none = np.empty((5, bound.clusters, 0))
    mine = conditional_dic_given(bound, bound.plan, draws, none)
    theirs = conditional_dic(bound, draws)
    assert mine.mean_deviance == pytest.approx(theirs.mean_deviance, rel=1e-9)
    assert mine.deviance_at_mean == pytest.approx(theirs.deviance_at_mean, rel=1e-9)


# -- what was integrated out ------------------------------------------------------------------


def posterior(whole: Joint) -> tuple[np.ndarray, np.ndarray]:
    seen = ~np.isnan(whole.data)
    return Joint(
        whole.mean, whole.covariance, whole.design[seen], whole.data[seen], whole.n_between
    ).posterior()


@pytest.mark.parametrize("patterns", ["few", "many"])
@pytest.mark.parametrize(
    "name", ["paths", "between-only outcome", "factors at both levels", "within-only outcome"]
)
def test_draws_have_the_conditional_mean_and_covariance(name, patterns):
    frame, bound, theta = setup(name, "unequal", 0.3, patterns)
    count = 20_000
    parameters = np.repeat(theta[None], count, axis=0)
    random = np.random.default_rng(4)
    none = np.empty((count, bound.clusters, 0))
    between = between_draws_given(bound, bound.plan, parameters, none, random)
    people, scores = bound.people, np.empty((count, bound.rows, 0))
    within = people_draws_given(
        bound, bound.plan, people.values, people.clusters, parameters, between, scores, random
    )
    position = {label: i for i, label in enumerate(people.index)}
    for j in (0, 3, 7):
        group = groups_of(bound, frame)[j]
        mean, covariance = posterior(joint(bound, group, theta))
        found = np.hstack([between[:, j], within[:, position[group.index[0]]]])
        size = found.shape[1]
        scale = np.sqrt(np.maximum(np.diag(covariance)[:size], 0.0))
        assert found.mean(axis=0) == pytest.approx(mean[:size], abs=0.03 * (scale.max() + 0.01))
        expected = covariance[:size, :size]
        error = 0.05 * (np.abs(expected).max() + 1e-9)
        assert np.cov(found.T) == pytest.approx(expected, abs=error)
