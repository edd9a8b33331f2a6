"""Models that the moments cannot determine are named before anything is sampled."""

from __future__ import annotations

import pytest
from models_and_designs import DESIGNS, MODELS, make_data

import bmsem
from bmsem.moments import unidentified
from bmsem.priors import prior_table


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
@pytest.mark.parametrize("name", [m for m in MODELS if m != "single level"])
def test_identified_models_pass(name):
    bound = bmsem.model(MODELS[name]).bind(make_data(DESIGNS["balanced"]), cluster="cluster")
    assert unidentified(bound.structure) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("f =~ y1 + y2", {"f =~ y2", "y1 ~~ y1", "y2 ~~ y2", "f ~~ f"}),
        ("y1 ~ a*y2\ny2 ~ b*y1", {"a", "b", "y1 ~~ y1", "y2 ~~ y2"}),
        ("f =~ y1 + y2 + y3\nf ~ 1", {"f ~ 1", "y1 ~ 1", "y2 ~ 1", "y3 ~ 1"}),
    ],
)
def test_unidentified_parameters_are_named(text, named):
    model, frame = bmsem.model(text), make_data(DESIGNS["balanced"])
    assert named <= set(unidentified(model.bind(frame).structure))
    with pytest.raises(bmsem.ModelError, match=r"not identified.*improper priors"):
        model.priors(frame, priors="mplus")
    with pytest.warns(bmsem.ModelWarning, match="Their posterior is their prior"):
        model.priors(frame, priors="weak")


def test_a_constraint_can_identify():
    frame = make_data(DESIGNS["balanced"])
    model = bmsem.model("f =~ y1 + b*y2\ny1 ~~ e*y1\ny2 ~~ e*y2\nb == 1")
    assert model.priors(frame, priors="mplus").role("determined")


@pytest.mark.filterwarnings("error::bmsem.errors.ModelWarning")
@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
def test_the_mean_of_a_varying_slope_identifies_a_factor_of_two():
    """The third covariance of a factor of two indicators is that with what its slope leads to."""
    text = "level: within\n f =~ y1 + y2\n s | y4 ~ f\nlevel: between\n y4 ~~ y4"
    bound = bmsem.model(text).bind(make_data(DESIGNS["balanced"]), cluster="cluster")
    prior_table(bound, "weak")
