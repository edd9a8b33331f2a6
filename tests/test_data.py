"""Binding: statistics against brute force, any ids and order, roles, transforms, files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from models_and_designs import DESIGNS, make_data

import bmsem
from bmsem.data import read_data
from bmsem.data.statistics import cluster_statistics
from bmsem.priors import prior_table

TWO = "level: within\n  y1 ~ y2\nlevel: between\n  y1 ~ y2 + w"


def bound_to(frame, text=TWO, cluster="cluster"):
    return bmsem.model(text).bind(frame, cluster=cluster)


@pytest.fixture
def frame():
    return make_data(DESIGNS["unequal"])


def test_cluster_statistics_by_brute_force():
    random = np.random.default_rng(3)
    codes = random.permutation(np.repeat([0, 1, 2, 3], [1, 5, 3, 8]))
    values = random.normal(size=(17, 3)) + 1e5
    found = cluster_statistics(values, codes, 4)
    for j in range(4):
        rows = values[codes == j]
        assert found.counts[j, 0] == len(rows)
        assert found.means[j, 0] == pytest.approx(rows.mean(0), rel=1e-14)
        off = rows - rows.mean(0)
        assert found.scatter[j, 0] == pytest.approx(off.T @ off, rel=1e-9, abs=1e-9)
        full = np.column_stack([np.ones(len(rows)), rows])
        assert found.cross_products()[j, 0] == pytest.approx(full.T @ full, rel=1e-12)


def test_cells_add_up_to_their_cluster():
    random = np.random.default_rng(4)
    values, codes = random.normal(size=(60, 2)), np.repeat(np.arange(6), 10)
    whole = cluster_statistics(values, codes, 6)
    halves = [cluster_statistics(values[k::2], codes[k::2], 6) for k in (0, 1)]
    joined = type(whole)(
        *(
            np.concatenate([getattr(h, name) for h in halves], axis=1)
            for name in ("counts", "means", "scatter")
        )
    )
    again = joined.by_cluster()
    for name in ("counts", "means", "scatter"):
        assert getattr(again, name) == pytest.approx(getattr(whole, name))
    assert joined.cross_products().sum(1) == pytest.approx(whole.cross_products().sum(1))


def test_pooled_statistics_by_brute_force(frame):
    bound = bound_to(frame)
    pooled = bound.pooled
    y = frame[["y1", "y2"]]
    off = y - y.groupby(frame.cluster).transform("mean")
    assert pooled.scatter == pytest.approx((off.T @ off).to_numpy())
    assert pooled.freedom == len(frame) - frame.cluster.nunique()
    sizes = frame.groupby("cluster").size()
    for g, size in enumerate(pooled.sizes):
        same = sizes.index[sizes == size]
        assert pooled.counts[g] == len(same)
        means = y.groupby(frame.cluster).mean().loc[same].to_numpy()
        w = frame.groupby("cluster").w.first().loc[same].to_numpy()
        rows = np.column_stack([means, np.ones(len(same)), w]) - pooled.shift
        assert pooled.cross[g] == pytest.approx(rows.T @ rows)


def test_order_of_rows_and_kind_of_ids_do_not_matter(frame):
    expected = bound_to(frame).pooled
    ids = {c: i for i, c in enumerate(sorted(frame.cluster.unique()))}
    kinds = {
        "integer": frame.cluster.map(ids),
        "tuple": frame.cluster.map(lambda c: ("school", c)),
        "mixed": frame.cluster.map(lambda c: ids[c] if ids[c] % 2 else c),
        "category": frame.cluster.astype("category"),
        "time": pd.Timestamp("2020-01-01") + pd.to_timedelta(frame.cluster.map(ids), unit="D"),
    }
    for values in kinds.values():
        found = bound_to(frame.assign(cluster=values).sort_values("y1")).pooled
        assert found.scatter == pytest.approx(expected.scatter)
        assert found.cross == pytest.approx(expected.cross)


def test_columns_of_any_numeric_type(frame):
    half = frame.assign(w=(frame.w > 0).astype(float), y1=frame.y1.round())
    expected = bound_to(half).pooled.cross
    other = half.assign(
        w=half.w.astype(bool), y1=half.y1.astype("Int64"), y2=half.y2.astype("Float64")
    )
    other.index = pd.Index([f"row {i}" for i in range(len(other))])
    assert bound_to(other).pooled.cross == pytest.approx(expected)
    assert bound_to(other.to_dict("list")).pooled.cross == pytest.approx(expected)


def test_roles_that_the_data_decide(frame):
    text = "level: within\n  y1 ~~ y1\nlevel: between\n  y1 ~ y2 + w"
    bound = bound_to(frame, text)
    assert bound.spec.split == ("y1", "y2")
    assert bound.spec.between_only == ("w",)
    assert any("y2 varies inside clusters" in note for note in bound.notes)
    assert any("y2 is regressed on w" in note for note in bound.notes)
    declared = bmsem.model("between: w\n" + text).bind(frame, cluster="cluster")
    assert declared.spec.split == ("y1", "y2")


def test_observed_cluster_means_and_centring(frame):
    text = """
    define:
      m = cluster_mean(x)
      xw = center(x, groupmean)
      big = y2*2 + 1
      c = center(big, grandmean)
    level: within
      y1 ~ xw + c
    level: between
      y1 ~ m
    """
    model = bmsem.model("within: xw, c\n" + text)
    bound = model.bind(frame, cluster="cluster")
    means = frame.groupby("cluster").x.mean().loc[bound.cluster_ids].to_numpy()
    assert bound.between_covariates[:, 0] == pytest.approx(means)
    column = 1 + bound.structure.within_covariates.index("xw")
    assert bound.members.means[:, 0, column] == pytest.approx(0, abs=1e-12)
    total = bound.cluster_sizes @ bound.members.means[:, 0, 2]
    assert total == pytest.approx(0, abs=1e-9)
    with pytest.raises(bmsem.DataError, match="not a finite number"):
        bmsem.model("define:\n l = log(x - 5)\ny1 ~ l").bind(frame)


@pytest.mark.parametrize("separator", [" ", "\t", ",", " , "])
def test_free_format_files(tmp_path, separator):
    path = tmp_path / "x.dat"
    rows = [(1.5, -2.0, 3), (4.0, 5e-1, 6)]
    lead = "" if "," in separator else "  "
    path.write_text("".join(lead + separator.join(map(str, r)) + "\n" for r in rows))
    frame = read_data(path, names=["a", "b", "c"])
    assert frame.to_numpy().tolist() == [list(map(float, r)) for r in rows]
    with pytest.raises(bmsem.DataError, match="has 3 columns, but 2 names"):
        read_data(path, names=["a", "b"])


def test_frames_of_other_libraries(frame):
    class Other:
        def to_pandas(self):
            return frame

    assert read_data(Other()) is frame
    with pytest.raises(bmsem.DataError, match=r"There is no data file.*folder does not exist"):
        read_data("no/such/file.csv")


def test_scales_are_moment_estimates(frame):
    bound = bound_to(frame)
    y = frame.y1
    groups = y.groupby(frame.cluster)
    within = ((y - groups.transform("mean")) ** 2).sum() / (len(y) - groups.ngroups)
    between = groups.mean().var() - within * (1 / groups.size()).mean()
    assert bound.scales.sd["within", "y1"] ** 2 == pytest.approx(within)
    assert bound.scales.sd["between", "y1"] ** 2 == pytest.approx(
        max(between, 0.01 * (within + groups.mean().var()))
    )


def test_priors_table(frame):
    model = bmsem.model(TWO.replace("y1 ~ y2 + w", "y1 ~ b*y2 + w"))
    table = model.priors(frame, cluster="cluster", priors={
        "preset": "mplus", "b": "Normal(0, 1)", "between: sds": "HalfNormal(2)",
    })  # fmt: skip
    shown = table.to_frame().set_index(["level", "parameter"])
    assert shown.loc[("between", "y1 ~ y2"), "prior"] == "Normal(0, 1)"
    assert shown.loc[("between", "y1 ~~ y1"), "prior"] == "sd ~ HalfNormal(2)"
    assert shown.loc[("within", "y1 ~~ y1"), "prior"] == "HalfFlat()"
    assert shown.loc[("between", "y1 ~ 1"), "role"] == "integrated"
    scaled = bound_to(frame.assign(y1=frame.y1 * 100))
    weak = prior_table
    for one, other in zip(weak(bound_to(frame)).rows, weak(scaled).rows, strict=True):
        if one.parameter.name == "within: y1 ~~ y1":
            ratio = other.prior.arguments[1][1] / one.prior.arguments[1][1]
            assert ratio == pytest.approx(100, rel=0.01)
