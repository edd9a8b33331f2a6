"""Effects along paths, contextual effects, standards of meaningfulness, Cohen's d."""

from __future__ import annotations

import numpy as np
import pytest
from models_and_designs import make_data

import bmsem
from bmsem.effects.meaning import judge

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")

CHAIN = """
level: within
  y1 ~ c*y2 + d*y3
  y2 ~ e*y3
level: between
  y1 ~ b1*y2 + c1*w
  y2 ~ b2*y3 + c2*w
  y3 ~ b3*w
total := c1 + c2*b1 + b3*b2*b1
longest := b3*b2*b1
standards:
  total = 1/2
  between: y2 ~ w = -0.25
  w -> y3 -> y2 -> y1 = 0.1
"""


@pytest.fixture(scope="module")
def fit():
    frame = make_data([4, 6, 3, 5, 8, 2] * 6)
    model = bmsem.model(CHAIN)
    return model.fit(
        frame, cluster="cluster", draws=300, tune=400, chains=2, seed=1, progress=False
    )


def test_total_and_specific_effects(fit):
    found = fit.effects("w", "y1")
    frame = found.frame.set_index("path")
    assert list(found.frame["effect"]) == [
        "total", "total indirect", "direct", "specific", "specific"
    ]  # fmt: skip
    longest = fit.draws("longest")
    row = frame.loc["w -> y3 -> y2 -> y1"]
    assert row["median"] == pytest.approx(np.median(longest))
    assert row["sd"] == pytest.approx(longest.std(ddof=1))
    total = found.frame.iloc[0]
    assert total["median"] == pytest.approx(np.median(fit.draws("total")))
    indirect = fit.draws("total") - fit.draws("c1")
    assert found.frame.iloc[1]["median"] == pytest.approx(np.median(indirect))
    assert len(found.links) == 2 + 3
    signs = np.prod([np.sign(fit.draws(n)) == np.sign(np.median(fit.draws(n)))
                     for n in ("b1", "b2", "b3")], axis=0)  # fmt: skip
    assert row["p_links"] == pytest.approx(signs.mean())
    assert "broken" in str(found) or "excludes zero" in str(found)


def test_effects_at_both_levels_and_through_one_variable(fit):
    both = fit.effects("y3", "y1").frame
    assert set(both["level"]) == {"within", "between"}
    only = fit.effects("y3", "y1", level="within").frame
    assert set(only["level"]) == {"within"}
    via = fit.effects("w", "y1", via="y3").frame
    assert list(via["path"]) == ["w -> y3 -> y2 -> y1"]
    assert via["effect"].iloc[0] == "specific"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("treat", "y1"), {}, "No variable 'treat'"),
        (("y1", "w"), {}, "No path leads from 'y1' to 'w'"),
        (("w", "y1"), {"level": "within"}, "No path leads from 'w' to 'y1' at the within level"),
        (("w", "y1"), {"level": "middle"}, "No level 'middle'"),
        (("w", "y3"), {"via": "y2"}, "no such path"),
    ],
)
def test_mistakes(fit, arguments, options, message):
    with pytest.raises(bmsem.ModelError, match=message):
        fit.effects(*arguments, **options)


def test_feedback_is_said_and_the_total_is_the_inverse():
    frame = make_data([4, 6, 3, 5] * 5)
    text = "y1 ~ a*y2 + x\ny2 ~ b*y1 + c*x2\ny1 ~~ 0*y2"
    fit = bmsem.model(text).fit(frame, draws=200, tune=400, chains=2, seed=1, progress=False)
    found = fit.effects("x2", "y1")
    a, b, c = (fit.draws(n) for n in "abc")
    assert found.frame["median"].iloc[0] == pytest.approx(np.median(c * a / (1 - a * b)))
    assert "feedback" in str(found)


def test_contextual_effects_are_differences(fit):
    frame = fit.contextual_effects().frame
    assert set(frame["path"]) == {"y1 ~ y2", "y2 ~ y3"}
    rows = frame[(frame["path"] == "y1 ~ y2") & (frame["coefficient"] == "between - within")]
    expected = fit.draws("b1") - fit.draws("c")
    assert rows["median"].iloc[0] == pytest.approx(np.median(expected))


def test_standards_of_the_model_text(fit):
    assert dict(fit.spec.standards)["total"] == 0.5
    frame = fit.meaningfulness().frame.set_index("quantity")
    draws = fit.draws("total")
    row = frame.loc["total"]
    assert row["p_exceeds"] == pytest.approx((draws > 0.5).mean())
    assert row["p_equivalent"] == pytest.approx((np.abs(draws) < 0.5).mean())
    assert row["margin_lower"] == pytest.approx(row["lower"] - row["estimate"])
    negative = frame.loc["between: y2 ~ w"]
    assert negative["p_exceeds"] == pytest.approx((fit.draws("c2") < -0.25).mean())
    chain = frame.loc["w -> y3 -> y2 -> y1"]
    assert chain["estimate"] == pytest.approx(np.median(fit.draws("longest")))


def test_standards_survive_writing_and_files(fit, tmp_path):
    assert bmsem.model(bmsem.model(CHAIN).formula).spec == fit.spec
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    assert str(again.meaningfulness()) == str(fit.meaningfulness())


def test_mplus_indirect_requests(tmp_path):
    make_data([4, 6, 3, 5] * 5).assign(g=lambda f: f["cluster"].str[1:].astype(int))[
        ["y1", "y2", "y3", "w", "g"]
    ].to_csv(tmp_path / "d.dat", header=False, index=False)
    text = """DATA: FILE IS d.dat;
    VARIABLE: NAMES ARE y1 y2 y3 w g; CLUSTER IS g; BETWEEN IS w;
    ANALYSIS: TYPE = TWOLEVEL; ESTIMATOR = BAYES;
    MODEL:
    %WITHIN%
    y1 y2 y3;
    %BETWEEN%
    y1 ON y2 y3 w; y2 ON y3; y3 ON w;
    MODEL INDIRECT:
    y1 IND w; y1 IND y2 y3 w; y1 VIA y3 w;
    """
    path = tmp_path / "m.inp"
    path.write_text(text)
    fit = bmsem.read_mplus(path).fit(draws=100, tune=400, chains=2, seed=1, progress=False)
    every, exact, via = fit.indirect_effects()
    assert len(every.frame) == 2 + 3
    assert list(exact.frame["path"]) == ["w -> y3 -> y2 -> y1"]
    assert via.frame["effect"].to_list() == ["total via y3", "specific", "specific"]
    assert set(via.frame["path"][1:]) == {"w -> y3 -> y1", "w -> y3 -> y2 -> y1"}
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    assert [str(t) for t in again.indirect_effects()] == [str(t) for t in fit.indirect_effects()]


@pytest.mark.parametrize(
    ("standard", "lower", "upper", "clears", "words"),
    [
        (1.0, 1.2, 3.0, True, "meaningful"),
        (1.0, 0.2, 3.0, False, "not zero, but may be short"),
        (1.0, -0.2, 3.0, False, "not shown to differ"),
        (1.0, -0.4, 0.8, False, "too small to matter"),
        (1.0, -3.0, -0.5, False, "in the other direction"),
        (-1.0, -3.0, -1.2, True, "meaningful"),
        (-1.0, 0.5, 3.0, False, "in the other direction"),
    ],
)
def test_verdicts(standard, lower, upper, clears, words):
    draws = np.linspace(lower, upper, 1001)
    found = judge(draws, standard, float(np.median(draws)), lower, upper)
    assert found.clears is clears
    assert words in found.verdict
    beyond = draws > standard if standard > 0 else draws < standard
    assert found.p_exceeds == pytest.approx(beyond.mean())


@pytest.mark.parametrize(
    ("standards", "message"),
    [
        ({}, "No standards were given"),
        ({"total": 0.0}, "smallest effect that would matter"),
        ({"totl": 1.0}, "No parameter 'totl'.*total"),
        ({"y1 ~ y2": 1.0}, "stands at both levels"),
        ({"w -> y2 -> y3 -> y1": 1.0}, "No path 'w -> y2 -> y3 -> y1'"),
    ],
)
def test_standards_that_cannot_be_held(fit, standards, message):
    with pytest.raises(bmsem.ModelError, match=message):
        fit.meaningfulness(standards)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("totl = 1", "something that is not in the model"),
        ("total = b", "'b' is a name"),
        ("total = 0", "cannot be 0"),
        ("total 1", "this is not a standard"),
        ("total = 1\n  total = 2", "two standards"),
    ],
)
def test_standards_that_cannot_be_read(line, message):
    with pytest.raises(bmsem.ModelSyntaxError, match=message):
        bmsem.model(f"y ~ b*x\ntotal := 2*b\nstandards:\n  {line}")


def test_cohens_d_is_the_chapters(mvpa_fit):
    """The coefficient over the root of the residual variance."""
    frame = mvpa_fit.effect_sizes().frame
    row = frame[(frame["path"] == "advant ~ treat")].iloc[0]
    d = mvpa_fit.draws("p1bc") / np.sqrt(mvpa_fit.draws("between: advant ~~ advant"))
    assert row["d"] == pytest.approx(np.median(d))
    assert row["sd"] == pytest.approx(d.std(ddof=1))
