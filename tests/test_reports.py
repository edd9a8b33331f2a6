"""The report of a trial: the chapter's conclusions on Table 25.3, and every number's origin."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess
import sys
import time

import matplotlib
import numpy as np
import pytest

import bmsem
from bmsem import examples
from bmsem.errors import DataError, ModelError

matplotlib.use("Agg")

# Minutes a day: 20 a week; half a unit of a mediator; 3 minutes for each unit of one.
STANDARDS = {
    "mvpa": 20 / 7, "advant": 0.5, "peers": 0.5, "advant -> mvpa": 3.0, "peers -> mvpa": 3.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def trial(mvpa_fit):
    return bmsem.report(
        mvpa_fit, treatment="treat", outcome="mvpa", mediators=["advant", "peers"],
        standards=STANDARDS,
    )  # fmt: skip


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


# -- the chapter's conclusions --------------------------------------------------------------------


def test_the_chapter_s_conclusions(trial):
    found = trial.answers
    assert found.total.estimate == pytest.approx(7.34, abs=0.3)
    assert found.total.nonzero and found.total.lower > 0
    # The standard of 2.86 is not exceeded with 95% confidence.
    assert found.total.standard == pytest.approx(20 / 7)
    assert found.total.meaningful is False
    assert 0.9 < found.total.p_exceeds < 0.975
    for mediator in ("advant", "peers"):
        answer = found.on_mediators[mediator]
        assert answer.nonzero and answer.meaningful is False
    assert found.of_mediators["peers"].meaningful is True
    assert found.of_mediators["advant"].meaningful is False
    assert found.of_mediators["advant"].nonzero
    assert {c.variables for c in found.chains} == {
        ("treat", "advant", "mvpa"), ("treat", "peers", "mvpa"),
    }  # fmt: skip
    assert all(c.unbroken for c in found.chains)
    assert all(c.omnibus.nonzero for c in found.chains)
    assert set(found.context) == {"advant", "peers"}
    assert not any(a.nonzero for a in found.context.values())
    assert found.direct is None


def test_published_numbers(trial, published):
    """Estimates, SDs and limits as the chapter prints them, within its rounding."""
    rows, found = published["mvpa"]["bayes"], trial.answers
    by_mediator = {c.variables[1]: c.omnibus for c in found.chains}
    printed = [
        (found.total, rows["new"]["tot"]),
        (by_mediator["advant"], rows["new"]["medadv"]),
        (by_mediator["peers"], rows["new"]["medpeer"]),
        (found.context["advant"], rows["new"]["con1"]),
        (found.context["peers"], rows["new"]["con2"]),
        *((found.on_mediators[m], rows["between"][f"{m} ON treat"]) for m in found.mediators),
        *((found.of_mediators[m], rows["between"][f"mvpa ON {m}"]) for m in found.mediators),
    ]
    for answer, (estimate, sd, p, lower, upper) in printed:
        assert answer.estimate == pytest.approx(estimate, abs=0.1 * sd)
        assert answer.sd == pytest.approx(sd, rel=0.06)
        assert answer.p == pytest.approx(p, abs=0.012)
        assert answer.lower == pytest.approx(lower, abs=0.2 * sd)
        assert answer.upper == pytest.approx(upper, abs=0.2 * sd)


def test_margins_of_error_are_limits_less_the_estimate(trial):
    for a in trial.answers.all:
        assert a.margin_lower == pytest.approx(a.lower - a.estimate)
        assert a.margin_upper == pytest.approx(a.upper - a.estimate)


def test_every_number_can_be_traced_to_parameters(trial, mvpa_fit):
    """The expression beside an answer, computed from the draws of its labels, gives the answer."""
    labels = {r.label: mvpa_fit.draws(r.label) for r in mvpa_fit.rows if r.label}
    assert len(trial.answers.all) == 9
    for answer in trial.answers.all:
        expression = re.sub(r" \(\w+\)$", "", answer.parameter)
        draws = eval(expression, {}, labels)
        assert np.median(draws) == pytest.approx(answer.estimate, rel=1e-9)
        assert draws.std(ddof=1) == pytest.approx(answer.sd, rel=1e-6)
    assert trial.answers.total.parameter.endswith("(tot)")
    assert trial.answers.context["advant"].parameter == "p3bc - p1wc (con1)"


def test_the_words_say_what_the_structure_says(trial):
    text = str(trial)
    total = trial.answers.total
    assert f"was {total.estimate:.2f} (95% credible interval (CrI) = {total.lower:.2f}" in text
    assert "cannot be said with 95% confidence that the effect is meaningful" in text
    assert "can be judged meaningful with 95% confidence" in text
    assert "are unbroken chains" in text
    assert text.count("no evidence of a context effect") == 2


def test_structured_form_is_plain(trial):
    found = json.loads(json.dumps(trial.answers.to_dict()))
    assert found["total"]["name"] == "treat -> mvpa"
    links = {link["parameter"] for chain in found["chains"] for link in chain["links"]}
    assert links == {"p1bc", "p2bc", "p3bc", "p4bc"}


# -- standards ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tot", "mvpa", "treat -> mvpa", "treat → mvpa", "treat->mvpa"])
def test_the_total_effect_s_standard_by_any_of_its_names(mvpa_fit, name):
    found = bmsem.report(mvpa_fit, "treat", "mvpa", standards={name: 20 / 7}).answers
    assert found.total.standard == pytest.approx(20 / 7)
    assert found.others == ()
    assert found.on_mediators["advant"].standard is None


def test_standards_of_labels_and_of_other_quantities(mvpa_fit):
    found = bmsem.report(
        mvpa_fit, "treat", "mvpa", standards={"p3bc": 3.0, "con1": 1.0, "p1wc": 2.0}
    ).answers
    assert found.of_mediators["advant"].standard == 3.0
    assert found.context["advant"].standard == 1.0
    (other,) = found.others
    assert other.parameter == "p1wc" and other.meaningful


def test_bad_input_names_what_is_there(mvpa_fit):
    def made(treatment="treat", outcome="mvpa", **options):
        return bmsem.report(mvpa_fit, treatment, outcome, **options)

    with pytest.raises(ModelError, match=r"treatment of the report: No variable 'tret'.*'treat'"):
        made("tret")
    with pytest.raises(ModelError, match=r"outcome of the report: No variable 'mvp'"):
        made(outcome="mvp")
    with pytest.raises(ModelError, match="No path leads from 'mvpa' to 'treat'"):
        made("mvpa", "treat")
    with pytest.raises(ModelError, match=r"'mvpa' is no mediator.*Mediators of the model: "):
        made(mediators="mvpa")
    with pytest.raises(ModelError, match=r"No variable 'pers'"):
        made(mediators=["pers"])
    with pytest.raises(ModelError, match="standard of 'tot' is 0"):
        made(standards={"tot": 0.0})
    with pytest.raises(ModelError, match=r"No parameter 'totl'.*'tot'"):
        made(standards={"totl": 1.0})
    with pytest.raises(ModelError, match="Unknown interval"):
        made(interval="hdi")


# -- other models ---------------------------------------------------------------------------------


def test_a_broken_chain_is_said_to_be_broken(varying):
    found = bmsem.report(varying, "treat", "mvpa", width=0.999).answers
    assert not all(c.unbroken for c in found.chains)
    text = str(bmsem.report(varying, "treat", "mvpa", width=0.999))
    assert "is broken: the interval of" in text
    assert "99.9%" in text or "100%" in text


def test_a_report_of_varying_slopes_has_their_plot_and_says_what_is_not_defined(varying):
    report = bmsem.report(varying, "treat", "mvpa")
    titles = [s.title for s in report.document.sections]
    assert "Slopes that vary" in titles
    assert {p.name for p in report.document.pictures} >= {"slope_vs1", "effects", "paths"}
    assert "covariances differ" in report.to_markdown()


def test_a_treatment_with_a_direct_effect_and_without_mediators(hsb_fit, masks_fit):
    found = bmsem.report(masks_fit, "treat", "intent", standards={"intent": 0.2}).answers
    assert found.level == "between"
    assert found.total.meaningful is False
    with pytest.raises(ModelError, match=r"both levels.*level='between'"):
        bmsem.report(hsb_fit, "ses", "math")
    plain = bmsem.report(hsb_fit, "ses", "math", level="between")
    assert plain.answers.mediators == ()
    assert plain.answers.chains == ()
    assert [s.title for s in plain.document.sections][:2] == [
        "What was fitted",
        "1. Does ses affect math?",
    ]
    assert plain.answers.context["ses"].nonzero


# -- as a page ------------------------------------------------------------------------------------


def test_html_is_one_file_with_alternative_texts(trial):
    text = trial.to_html()
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == 1
    assert "script" not in names and "link" not in names and "iframe" not in names
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) >= 6
    for attrs in images:
        assert attrs["src"].startswith("data:image/")
        assert len(attrs["alt"]) > 20
    # Nothing is asked of a network: no address but those inside of the page and of namespaces.
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "@import" not in text and not re.search(r"url\((?!['\"]?data:)", text)
    assert dict(page.tags)["html"] == {"lang": "en"}
    links = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert links == {a["id"] for tag, a in page.tags if tag == "section"}
    for row in trial.fit.summary().frame.to_dict("records"):
        assert f"{row['median']:.3f}" in page.words


def test_words_of_the_model_cannot_become_tags():
    import pandas as pd

    random = np.random.default_rng(1)
    frame = pd.DataFrame({"a<b>": random.normal(size=80), "g": np.repeat(np.arange(8), 10)})
    frame["y&z"] = frame["a<b>"] + random.normal(size=80)
    model = bmsem.model("`y&z` ~ `a<b>`")
    fit = model.fit(frame, draws=100, tune=200, chains=2, seed=1, progress=False)
    text = bmsem.report(fit, "a<b>", "y&z").to_html()
    assert "<b>" not in text.replace("<b>Priors", "").replace("<b>Model fit</b>", "").replace(
        "<b>R-square</b>", ""
    )


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser is installed")
def test_the_page_opens_in_a_browser_without_a_network(trial, tmp_path):
    path = trial.save(tmp_path / "report.html")
    picture = tmp_path / "page.png"
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--proxy-server=127.0.0.1:9", "--window-size=1000,3000", f"--screenshot={picture}",
         f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert picture.is_file(), done.stderr
    image = matplotlib.image.imread(picture)[..., :3]
    assert 0.02 < (image < 0.8).any(axis=-1).mean() < 0.7


def test_markdown_links_its_pictures(trial, tmp_path):
    path = trial.save(tmp_path / "report.md")
    text = path.read_text()
    assert text.startswith("# ")
    linked = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(linked) >= 6
    for name in linked:
        assert (tmp_path / name).stat().st_size > 1000
    assert re.search(r"`p\dbc \* p\dbc \+ p\dbc \* p\dbc \(tot\)`", text)
    assert "![" not in trial.to_markdown()


def test_a_bad_name_leaves_no_file(trial, tmp_path):
    with pytest.raises(ModelError, match=r"written as .html or .md, not as '.docx'"):
        trial.save(tmp_path / "report.docx")
    for name in ("report.html", "report.md"):
        with pytest.raises(DataError, match="does not exist"):
            trial.save(tmp_path / "missing" / name)
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_the_report_without_a_second_page(trial):
    text = trial._repr_html_()
    assert "<html" not in text
    assert 'class="bmsem-report"' in text


def test_without_graphviz_the_report_says_so(mvpa_fit, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    text = bmsem.report(mvpa_fit, "treat", "mvpa").to_markdown()
    assert "The path diagram is left out" in text
    assert "apt install graphviz" in text


def test_a_large_fit_is_reported_in_seconds(large_fit, tmp_path):
    start = time.perf_counter()
    bmsem.report(large_fit, "treat", "g3").save(tmp_path / "report.html")
    taken = time.perf_counter() - start
    # The target is 20 seconds; the bound leaves room for a busy machine.
    assert taken < 40, f"{taken:.1f} s"


# -- from the command line ------------------------------------------------------------------------


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bmsem", *map(str, arguments)], capture_output=True, text=True
    )


def test_command_line_writes_a_report(tmp_path):
    source = examples.path("mvpa", "table_25_3.inp")
    path = tmp_path / "out.html"
    done = run("run", source, "--report", path, "--draws", 500, "--tune", 500, "--seed", 1)
    assert done.returncode in (0, 1), done.stderr
    assert "Total effect of treat on mvpa" in done.stdout
    assert "<!DOCTYPE html>" in path.read_text()[:30]


def test_command_line_asks_before_it_samples(tmp_path):
    source = examples.path("mvpa", "table_25_3.inp")
    for arguments, message in (
        (["--report", tmp_path / "a.docx"], "written as .html or .md"),
        (["--report", tmp_path / "a.html", "--treatment", "tret"], "Did you mean 'treat'"),
        (["--treatment", "treat"], "add --report"),
        (["--report", tmp_path / "none" / "a.html"], "nothing was sampled"),
    ):
        done = run("run", source, *arguments)
        assert done.returncode == 2
        assert message in done.stderr, done.stderr
        assert "sampling" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_products_on_the_way_are_said_to_make_effects_conditional(moderation):
    report = bmsem.report(moderation, "treat", "lyb")
    assert report.answers.moderated == (("lyb", "lmb", "treat"),)
    text = str(report)
    assert "depends on treat; the effects above are those where what they depend on is zero" in text
    (section,) = [s for s in report.document.sections if s.title == "Moderation"]
    table, picture = section.blocks
    slopes = moderation.simple_slopes("lyb", "lmb", by="treat").frame
    assert table.frame["median"].tolist() == pytest.approx(slopes["median"].tolist())
    assert picture.name == "moderation_lyb_lmb"
    assert "depend on each other" in str(moderation.effects("treat", "lyb"))
    assert "depend" not in str(moderation.effects("treat", "lmb"))
