"""Bad input: one clear message that says what, where, and what to do; nothing half-written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from models_and_designs import DESIGNS, make_data

import bmsem
from bmsem import examples
from bmsem.cli import main
from bmsem.language import parse_formula
from bmsem.language.mplus import parse_mplus

LISTING = examples.path("mvpa", "table_25_3.inp").read_text()

# What is changed in the input of Table 25.3; the line that must be named, the word under the caret, and
# a part of the message.
MPLUS = [
    ("ESTIMATOR", "ESTIMTOR", 12, "ESTIMTOR", "Did you mean 'ESTIMATOR'"),
    ("MODEL :", "MODLE :", 14, "MODLE", "Did you mean 'MODEL'"),
    ("mvpa ON advant peers (p1wc", "mvpa OON advant peers (p1wc", 17, "OON", "Did you mean ON"),
    ("(p1wc p2wc);", "(p1wc p2wc)", 18, "peers", "';' at the end of line 17"),
    ("medadv = p1bc*p3bc ;", "medadv = p1bc*p3bc", 31, "medpeer", "';' at the end of line 30"),
    ("TYPE = TWOLEVEL ;", "TYPE = TWOLEVEL", 12, "ESTIMATOR", "';' at the end of line 11"),
    ("CLUSTER IS school ;", "CLUSTER IS school", 9, "BETWEEN", "';' at the end of line 8"),
    ("peers WITH advant ;", "peers WITH advnt ;", 18, "advnt", "Did you mean 'advant'"),
    ("BETWEEN IS treat ;", "BETWEEN IS treta ;", 9, "treta", "Did you mean 'treat'"),
    ("advant ON treat (p1bc)", "advant ON treat (p1bc p9)", 25, "(", "2 labels for 1 parameter"),
    ("p1bc*p3bc", "p1bc*p99", 30, "medadv", "'p99', which is not a label"),
    ("%BETWEEN%", "%BETWEN%", 19, "%BETWEN%", "Did you mean 'between'"),
    ("[mvpa] ;", "[mvpa$1] ;", 20, "mvpa$1", "thresholds are not supported"),
    ("CLUSTER IS school ;", "", 3, "VARIABLE", "needs a cluster variable"),
    ("TYPE = TWOLEVEL", "TYPE = THREELEVEL", 11, "THREELEVEL", "THREELEVEL is not supported"),
    ("OUTPUT: STAND", "OUTPUT: STNAD", 35, "STNAD", "unknown output"),
    ("DATA: FILE", "MODEL TEST: FILE", 2, "MODEL TEST", "not supported"),
    ("mvpa ;      ", "mvpa@1; mvpa@2;", 16, "mvpa", "two different fixed values"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "word", "message"), MPLUS)
def test_mplus_input(old, new, line, word, message):
    assert old in LISTING
    with pytest.raises(bmsem.ModelSyntaxError) as caught:
        parse_mplus(LISTING.replace(old, new, 1), source="trial.inp")
    error = caught.value
    assert error.place.line == line
    assert error.place.text[error.place.start :].startswith(word)
    assert message in str(error)
    assert f"trial.inp, line {line}" in str(error)
    caret = str(error).splitlines()[2]
    assert caret.index("^") == 4 + error.place.column - 1


FORMULA = [
    ("levle: within\n  y ~ x", 1, "levle", "Did you mean 'level'"),
    ("level: withn", 1, "withn", "Did you mean 'within'"),
    ("y = x", 1, "=", "'~' (regressed on)"),
    ("y ~ x\nz ~", 2, "~", "nothing follows '~'"),
    ("y ~ x z", 1, "z", "joined by '+'"),
    ("y ~ x ~ z", 1, "~ z", "new line or after ';'"),
    ("y x", 1, "x", "not a formula"),
    ("y ~ strat(1)*x", 1, "strat", "Did you mean 'start'"),
    ("y ~ c(a, b)*x", 1, "c", "multiple groups"),
    ("y ~ x\nlevel: within\n  y ~ x", 1, "y ~ x", "before the first level"),
    ("f =~ NA*y1 + y2 + y3", 1, "f", "no scale"),
    ("y ~ a*1*x\nz ~ a*2*x", 2, "x", "conflicting fixed values (y ~ x = 1.0; z ~ x = 2.0)"),
    ("y ~ a*x\nd := a*b", 2, "b", "'b', which is neither a label nor defined"),
    ("d := a*(b", 1, "(b", "bracket is not closed"),
    ("d := sqr(a)", 1, "sqr", "Did you mean 'sqrt'"),
    ("y ~ 'x", 1, "'", "quotation mark is not closed"),
    ("y ~ 2", 1, "2", "a variable, or 1 for the intercept"),
    ("y ~ x\ny <~ x", 2, "<~", "formative"),
    ('y ~ prior("Normal(0 1)")*x', 1, "0 1", "name=number"),
    ("within: x\nbetween: x\nlevel: within\n y ~ x", 2, "x", "both within-only and between-only"),
    ("level: between\n  s | y ~ x", 2, "s", "defined at the within level"),
    ("y ~ y", 1, "y", "regressed on itself"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "word", "message"), FORMULA)
def test_formula_text(text, line, word, message):
    with pytest.raises(bmsem.ModelSyntaxError) as caught:
        parse_formula(text, source="trial.bms")
    error = caught.value
    assert error.place.line == line
    assert error.place.text[error.place.start :].startswith(word)
    assert message in str(error)
    caret = str(error).splitlines()[2]
    assert caret.index("^") == 4 + error.place.column - 1


TWO = "level: within\n  y1 ~ y2\nlevel: between\n  y1 ~ y2 + w"


@pytest.fixture
def frame():
    return make_data(DESIGNS["unequal"])


def data_error(frame, text=TWO, cluster="cluster"):
    with pytest.raises(bmsem.DataError) as caught:
        bmsem.model(text).bind(frame, cluster=cluster)
    return str(caught.value)


def test_unknown_variable_names_the_line_and_the_nearest(frame):
    text = data_error(frame.rename(columns={"y2": "y_2"}))
    assert "'y2' is not a column" in text
    assert "Did you mean 'y_2'" in text
    assert "line 2" in text


def test_between_variable_that_varies(frame):
    frame.loc[frame.cluster == "c3", "w"] += np.arange((frame.cluster == "c3").sum())
    text = data_error(frame, "between: w\n" + TWO)
    rows = frame.index[frame.cluster == "c3"]
    assert "'w' is a between-level variable but varies inside cluster 'c3'" in text
    assert f"in row {rows[0]}" in text
    assert f"in row {rows[1]}" in text
    assert "cluster_mean(w)" in text


def test_no_variance_within(frame):
    flat = frame.assign(y2=frame.w)
    assert "'y2' has no variance inside clusters" in data_error(flat)


def test_no_variance_between(frame):
    centred = frame.assign(y2=frame.y2 - frame.groupby("cluster").y2.transform("mean"))
    with pytest.warns(bmsem.DataWarning, match="'y2' has the same mean in every cluster"):
        bmsem.model(TWO).bind(centred, cluster="cluster")


def test_constant_variable(frame):
    assert "y2 (always 4)" in data_error(frame.assign(y2=4.0))


def test_not_numeric(frame):
    words = frame.y2.astype(object)
    words.iloc[7] = "high"
    text = data_error(frame.assign(y2=words))
    assert "'y2' is not numeric: 'high' in row 7" in text


def test_missing_values_of_covariates_are_counted(frame):
    frame.loc[[3, 5, 8], "y1"] = np.nan
    frame.loc[frame["cluster"] == "c2", "w"] = np.nan
    count = int((frame["cluster"] == "c2").sum())
    text = data_error(frame)
    assert f"w ({count})" in text and "y1" not in text
    for way in ("missing='listwise'", "missing='model'", "w ~~ w", "imputed data frames"):
        assert way in text


def test_infinite_values(frame):
    frame.loc[6, "y1"] = -np.inf
    assert "'y1' has 1 infinite value(s), the first in row 6" in data_error(frame)


def test_few_clusters(frame):
    few = frame[frame.cluster.isin(["c0", "c1", "c2"])]
    with pytest.warns(bmsem.DataWarning, match="3 clusters for 3 variables at the between level"):
        bmsem.model(TWO).bind(few, cluster="cluster")


def test_clusters(frame):
    assert "Did you mean 'cluster'" in data_error(frame, cluster="clutser")
    assert "only one cluster ('cluster' is 'c4'" in data_error(frame[frame.cluster == "c4"])
    assert "single member" in data_error(frame.groupby("cluster").head(1))
    holes = frame.assign(cluster=frame.cluster.where(frame.index != 2))
    assert "missing in 1 row" in data_error(holes)
    with pytest.raises(bmsem.ModelError, match="no cluster variable is named"):
        bmsem.model(TWO).bind(frame)
    with pytest.raises(bmsem.ModelError, match="the model has no levels"):
        bmsem.model("y1 ~ y2").bind(frame, cluster="cluster")


def test_empty_frame(frame):
    assert "no rows" in data_error(frame.iloc[:0])


def test_collinear_indicators(frame):
    model = "level: within\n f =~ y1 + y2 + y3\nlevel: between\n y1 ~~ y2 + y3"
    text = data_error(frame.assign(y3=2 * frame.y1 - frame.y2), model)
    assert "perfectly collinear inside clusters: y1, y2, y3" in text


def test_duplicate_columns(frame):
    assert "two columns named 'y1'" in data_error(frame.rename(columns={"x": "y1"}))


def test_unknown_priors(frame):
    model = bmsem.model(TWO)
    with pytest.raises(bmsem.ModelError, match="Did you mean 'weak'"):
        model.priors(frame, cluster="cluster", priors="week")
    with pytest.raises(bmsem.ModelError, match="not a parameter of the model"):
        model.priors(frame, cluster="cluster", priors={"b": "Normal(0, 1)"})


def command(capsys, *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    return code, capsys.readouterr().err


def test_command_line_errors(tmp_path, capsys, frame):
    """Exit code 2, one message, no traceback, no output file."""
    data = tmp_path / "data.csv"
    frame.to_csv(data, index=False)
    inputs = {
        "missing.bms": None,
        "nodata.bms": TWO,
        "typo.bms": "level: withn\n  y ~ x",
        "unknown.bms": TWO.replace("y2", "y22"),
        "bad.inp": LISTING.replace("ESTIMATOR", "ESTIMTOR"),
        "slopes.inp": LISTING.replace("mvpa ON advant peers (p1wc p2wc)", "s | mvpa ON advant")
        .replace("mvpa.dat", str(examples.path("mvpa", "mvpa.dat"))),
        "nofile.inp": LISTING.replace("mvpa.dat", "mpva.dat"),
    }  # fmt: skip
    for name, text in inputs.items():
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        out = tmp_path / "out.json", tmp_path / "out.nc"
        arguments = ["run", str(path), "--json", str(out[0]), "--save", str(out[1])]
        if name.endswith(".bms") and name != "nodata.bms":
            arguments += ["--data", str(data), "--cluster", "cluster"]
        code, error = command(capsys, *arguments)
        assert code == 2, name
        assert error.startswith("bmsem: "), name
        assert error.count("bmsem:") == 1, name
        assert "Traceback" not in error, name
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"data.csv", *inputs} - {"missing.bms"}


def test_output_folder_is_checked_before_sampling(tmp_path, capsys):
    path = examples.path("mvpa", "table_25_3.inp")
    code, error = command(capsys, "run", str(path), "--json", str(tmp_path / "no" / "out.json"))
    assert code == 2
    assert "nothing was sampled" in error


def test_run_writes_json_and_tells_convergence(tmp_path, capsys):
    path = examples.path("mvpa", "table_25_3.inp")
    out = tmp_path / "out.json"
    assert main(["run", str(path), "--seed", "1", "--json", str(out)]) == 0
    assert "Converged" in capsys.readouterr().out
    assert pd.read_json(out, typ="series")["settings"]["priors"] == "mplus"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]
    assert main(["run", str(path), "--draws", "10", "--tune", "5", "--chains", "2"]) == 1
    assert "NOT CONVERGED" in capsys.readouterr().out


def test_check_prints_spec_roles_priors_and_plan(capsys):
    path = examples.path("masks", "table_25_6.inp")
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    for part in ("ModelSpec", "between only:", "Priors (preset mplus", "sampled by NUTS",
                 "integrated out exactly", "matt = cluster_mean(att)"):  # fmt: skip
        assert part in out
