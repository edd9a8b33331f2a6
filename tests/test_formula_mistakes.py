"""Mistakes in formula text: each is pointed at, with what was expected or what to do."""

from __future__ import annotations

import pytest

from bmsem.errors import ModelSyntaxError
from bmsem.language import parse_formula

# The caret is expected under what stands between « and »; then a part of the message, and a part of
# what it says to do.
MISTAKES = [
    # Headers and blocks
    ("«levle»: within\n y ~ x", "unknown header 'levle:'", "Did you mean 'level'?"),
    ("level: «wihtin»\n y ~ x", "unknown level 'wihtin'", "Did you mean 'within'?"),
    ("level: within «x»\n y ~ x", "unexpected 'x'", "end of the line"),
    ("level «within»\n y ~ x", "not a formula", "Is ':' missing after 'level'?"),
    ("within«:»\n y ~ x", "nothing follows 'within:'", "write 'level: within'"),
    ("within: y «~» x", "unexpected '~' in a declaration", "write 'level: within'"),
    ("cluster: a, «b»\ny ~ x", "one cluster variable", ""),
    ("within: «w»\ny ~ w", "the model has no levels", "under 'level: within'"),
    ("within: x\nbetween: «x»\nlevel: within\n y ~ x", "both within-only and between-only", ""),
    ("«y ~ x»\nlevel: within\n y ~ x", "before the first level", "under 'level: within'"),
    ("«i | x XWITH z»\nlevel: within\n y ~ i", "before the first level", "under 'level: within'"),
    ("define: «x» = 3\ny ~ x", "on a line of its own", "after 'define:'"),
    ("define:\n x «log»(z)\ny ~ x", "makes no variable", "name = expression"),
    ("«define:»\n x = 3", "no formula in this model", "y ~ x"),
    # Operators
    ("y «=» x", "'=' is not an operator", "':=' (defined)"),
    ("y «~=» x", "'~=' is not an operator", "Did you mean '=~'"),
    ("y «x»", "not a formula", "an operator such as '~'"),
    ("y «ON» x", "not a formula", "read_mplus"),
    ("y ~«»", "nothing follows '~'", "a variable"),
    ("«~» x", "nothing stands before '~'", "a variable"),
    ("y «~»\nz ~ x", "nothing follows '~'", "goes on with the next line"),
    ("y ~ x «+»\nz ~ w", "nothing follows '+'", "goes on with the next line"),
    ("level: within\n y ~ x «+»\nlevel: between\n y ~ x", "ends too early", "a variable"),
    ("y «<~» x", "not supported", "'=~'"),
    ("y «~*~» y", "not supported", "continuous"),
    ("y «|» t1 + t2", "neither a varying slope nor a product", "Thresholds"),
    ("y ~ a*x\na «>=» 0", "'>=' is not an operator", "Write '>'"),
    ("y ~ a*x\n0 < a «<» 1", "a second '<'", "two constraints"),
    # Terms and modifiers
    ("y ~ x «z»", "unexpected 'z'", "joined by '+'"),
    ("y ~ x «~» z", "unexpected '~'", "new line"),
    ("y ~ «strat»(0.8)*x", "unknown modifier 'strat'", "Did you mean 'start'?"),
    ("y ~ «log»(x)", "unknown modifier 'log'", "'define:' block"),
    ("y ~ «c»(a, b)*x", "multiple groups", "one modifier"),
    ('y ~ «equal»("a")*x', "not supported", "label"),
    ("y ~ start(«a»)*x", "takes a number", ""),
    ("y ~ start(1) «x»", "needs a variable", "'*'"),
    ("y ~ prior(Normal«(»0, 1))*x", "unexpected '('", "in quotes"),
    ('y ~ prior("Normal(0, «b»)")*x', "'b' is not an argument", "a number"),
    ("y ~ a*«b»*x", "two different values", "Keep one"),
    ("y ~ a*x + b*«x»", "two different labels: a and b", "Keep one"),
    ("y ~ 1*x\ny ~ 2*«x»", "two different fixed values", "Keep one"),
    ("y ~ NA*«0.5»*x", "both fixed and freed", "Keep one"),
    ("f =~ 1*y1 + y2\nf =~ NA*«y1»", "both fixed and freed", "Keep one"),
    ("y ~ x*«0.5»", "'0.5' is not a variable", "0.5*x"),
    ("y ~ «0.5»", "'0.5' is not a variable", "'0.5*1'"),
    ("y ~ «2x»", "neither a number nor a name", "2*x"),
    ("y ~ «-»x", "'-' can only stand before a fixed value", "-1*x"),
    ("y ~ «y»", "regressed on itself", "y ~~ y"),
    ("f =~ «1»", "belongs to '~'", ""),
    ("y ~~ «a»:b", "only be a predictor", ""),
    ("«a»:b ~ y", "right side", ""),
    ("y ~ a:b«:»c", "unexpected ':'", "XWITH"),
    # Varying slopes and products
    ("«s» | y ~ x", "the model has no levels", "level: between"),
    ("level: between\n «s» | y ~ x", "at the within level", "Move it"),
    ('level: within\n y ~ rv("s")*a*«x»', "no other modifiers", "s ~ 1"),
    ('level: within\n y ~~ rv("s")*«x»', "belongs to a regression", ""),
    ("level: within\n s | y ~ x\n «s» | y ~ z", "'s' is defined twice", "another name"),
    ("level: within\n s | y «~» x + z", "one outcome and one predictor", "name | outcome"),
    ("level: within\n i | a «XWITH» b + c", "joins two variables", "first XWITH second"),
    ("x «XWITH» z", "not a formula", "int | x XWITH z"),
    # Define and priors
    ("define:\n m = «cluster_mean»(a) + log(b)\ny ~ m", "stands alone", "variable of its own"),
    ("define:\n m = center(x, «grandman»)\ny ~ m", "center(…) takes", "Did you mean 'grandmean'?"),
    ("define:\n x = z «?» 2\ny ~ x", "has no meaning", ""),
    ("define:\n x = «f»oo(z)\ny ~ x", "unknown function 'foo'", "log"),
    ("y ~ b*x\npriors:\n «bb» ~ Normal(0, 1)", "not a parameter of the model", "Did you mean 'b'?"),
    ("y ~ b*x\npriors:\n «b ~ x»", "not a prior", "Distribution(arguments)"),
    ("y ~ b*x\npriors:\n b «Normal»(0, 1)", "not a prior", "target ~ Distribution"),
    ("y ~ b*x\npriors:\n «sd(y, x)» ~ HalfNormal(1)", "takes one variable", "sd(y)"),
    ("y ~ b*x\npriors:\n «betwen»: y ~ x ~ Normal(0, 1)", "unknown level", "Did you mean 'between'?"),
    ('y ~ prior("Normal(0, 1)")*b*x\npriors:\n «b» ~ Normal(0, 2)', "two different priors", "Keep one"),
    # Expressions and names
    ("y ~ a*x\nd := «b»*2", "'b', which is neither a label nor defined", "Known: a"),
    ("y ~ adv*x\n2 == «advv»", "uses 'advv', which is not a label", "Did you mean 'adv'?"),
    ("y ~ a*x\nd := a\n«d» := 2*a", "defined twice", "another name"),
    ("y ~ a*x\n«a» := 2*a", "also the label", "another name"),
    ("y ~ a*x\n«d + e» := 2*a", "one name on its left", "name := expression"),
    ("y ~ a*x\nd := a *«»", "ends too early", "a number, a name"),
    ("y ~ a*x\nd := «(»a + 1\nz ~ x", "not closed", "')'"),
    ("y ~ x«)»", "never opened", ""),
    ("y ~ «'»x", "not closed", ""),
    ("y«@»1", "'@' has no meaning", "read_mplus"),
    ("y ~ “x”".replace("“", "«“»", 1), "has no meaning", "straight"),
    # What only the whole model shows
    ("within: z\nlevel: within\n y ~ x\nlevel: between\n y ~ z".replace("z", "«z»", 1),
     "'z' is declared within-only but used at the between level", "Take it out"),
    ("level: within\n y ~ «m»\ndefine:\n m = cluster_mean(a)",
     "'m' is declared between-only but used at the within level", "Take it out"),
    ("«f» =~ NA*y1 + y2", "has no scale", "f ~~ 1*f"),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "message", "advice"), MISTAKES)
def test_mistakes_are_pointed_at(marked, message, advice):
    start = marked.index("«")
    end = marked.index("»") - 1
    text = marked.replace("«", "").replace("»", "")
    with pytest.raises(ModelSyntaxError) as caught:
        parse_formula(text)
    error = caught.value
    assert message in error.reason
    assert advice in f"{error.expected} {error.hint}"
    if start < end:
        assert (error.place.start, error.place.end) == (start, end), str(error)
    else:
        # Nothing is there: the place is the last thing before it.
        assert text[:start].rstrip().endswith(text[error.place.start : error.place.end])
    line = text.count("\n", 0, start) + 1
    report = str(error).split("\n")
    assert report[0].startswith(f"model, line {line}, column ")
    assert report[1].removeprefix("    ") == text.split("\n")[line - 1]
    assert report[2].index("^") == 4 + error.place.column - 1


def test_a_message_says_what_where_and_what_to_do():
    with pytest.raises(ModelSyntaxError) as caught:
        parse_formula("level: within\n  mvpa ~ strat(1)*advant", source="my model")
    assert str(caught.value) == (
        "my model, line 2, column 10: unknown modifier 'strat'\n"
        "      mvpa ~ strat(1)*advant\n"
        "             ^^^^^\n"
        "Did you mean 'start'? Known: cluster_mean, label, lower, prior, rv, start, upper."
    )


@pytest.mark.parametrize("text", ["", "  \n\n", "# only a comment"])
def test_an_empty_model_is_refused(text):
    with pytest.raises(ModelSyntaxError, match="the model is empty"):
        parse_formula(text)
