"""A trial's report, as an object that can be printed, shown and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bmsem.effects.paths import require_names
from bmsem.errors import ModelError
from bmsem.files import require_folder, write_whole
from bmsem.reports import words
from bmsem.reports.answers import TrialAnswers, trial_answers
from bmsem.reports.build import document
from bmsem.reports.document import Document
from bmsem.reports.formats import html, markdown
from bmsem.results import FitResults


@dataclass(frozen=True, eq=False)
class TrialReport:
    """The report of a trial.

    Attributes
    ----------
    fit
        What it reports.
    answers
        The structured form: every number with the parameter that it comes from.
    title
        Of the report.
    figures
        Whether it has plots and the path diagram.
    """

    fit: FitResults
    answers: TrialAnswers
    title: str
    figures: bool = True

    @cached_property
    def document(self) -> Document:
        """Sections of paragraphs, tables and pictures."""
        return document(self.fit, self.answers, self.title, self.figures)

    def to_html(self) -> str:
        """One page with everything inside: no script, font or image is loaded from elsewhere."""
        return html(self.document)

    def to_markdown(self, folder: str | None = None) -> str:
        """As Markdown; pictures are linked as files in ``folder``, and left out without one."""
        return markdown(self.document, folder)

    def save(self, path: str | Path) -> Path:
        """Write the report: ``.html``, or ``.md`` with its pictures in a folder beside it.

        The file appears complete or not at all.

        Raises
        ------
        ModelError
            If the name ends otherwise.
        DataError
            If the file cannot be written.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".html" | ".htm":
                write_whole(path, self.to_html().encode())
            case ".md" | ".markdown":
                folder = path.with_name(f"{path.stem}_files")
                text = self.to_markdown(folder.name)
                require_folder(path)
                folder.mkdir(exist_ok=True)
                for picture in self.document.pictures:
                    write_whole(folder / f"{picture.name}.{picture.kind}", picture.content)
                write_whole(path, text.encode())
            case other:
                raise ModelError(
                    f"A report is written as .html or .md, not as '{other or path.name}'."
                )
        return path

    def __str__(self) -> str:
        found = self.answers
        blocks = [
            self.title, *self.fit.convergence.lines,
            "\n".join(f"- {line}" for line in words.summary(found)),
            f"Does {found.treatment} affect {found.outcome}?", *words.question_outcome(found),
        ]  # fmt: skip
        if found.mediators:
            blocks += [
                f"Does {found.treatment} affect the mediators?", *words.question_mediators(found),
                f"Do the mediators affect {found.outcome}?", *words.question_paths(found),
                "Mediation", *words.mediation(found),
            ]  # fmt: skip
        if found.context:
            blocks += ["Context effects", *words.context(found)]
        return "\n\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html(self.document, whole=False)


def report(
    fit: FitResults,
    treatment: str,
    outcome: str,
    mediators: str | Sequence[str] | None = None,
    standards: Mapping[str, float] | None = None,
    *,
    level: str | None = None,
    width: float = 0.95,
    interval: str | None = None,
    title: str | None = None,
    figures: bool = True,
) -> TrialReport:
    """The report of a randomized explanatory trial, in words and numbers.

    Parameters
    ----------
    fit
        A fitted model.
    treatment, outcome
        Variables of the model.
    mediators
        By default every variable on a path from the treatment to the outcome.
    standards
        The smallest effects that would matter, with their signs. A name is the outcome (the total
        effect of the treatment on it), a mediator (the treatment's effect on that), an effect
        (``"advant -> mvpa"``), or a label, derived parameter or row. By default those of the model's
        ``standards:`` block.
    level
        At which the treatment acts, if it acts at both.
    width, interval
        Of the credible intervals.
    title
        Of the report.
    figures
        Whether to draw plots and the path diagram.

    Returns
    -------
    TrialReport
        Print it, show it in a notebook, ``save("report.html")``, or take ``.answers``.

    Raises
    ------
    ModelError
        If a variable is not in the model, no path leads from treatment to outcome, a mediator is not
        on one, or a standard is zero or belongs to nothing.

    Examples
    --------
    >>> found = report(fit, treatment="treat", outcome="mvpa",
    ...                standards={"mvpa": 20 / 7, "advant": 0.5, "advant -> mvpa": 3})
    >>> found.answers.total.nonzero, found.answers.total.meaningful
    (True, False)
    >>> path = found.save("report.html")
    """
    for role, name in (("treatment", treatment), ("outcome", outcome)):
        try:
            require_names(fit.bound, name)
        except ModelError as error:
            raise ModelError(f"The {role} of the report: {error}") from None
    given = dict(fit.spec.standards) if standards is None else dict(standards)
    chosen = [mediators] if isinstance(mediators, str) else mediators
    answers = trial_answers(
        fit, treatment, outcome, chosen, given, level=level, width=width, interval=interval
    )
    return TrialReport(
        fit, answers, title or fit.title or f"Effects of {treatment} on {outcome}", figures
    )
