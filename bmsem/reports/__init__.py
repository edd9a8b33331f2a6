"""The report of a randomized explanatory trial: three questions, answered in words and numbers."""

from bmsem.reports.answers import Answer, ChainAnswer, TrialAnswers
from bmsem.reports.report import TrialReport, report

__all__ = ["Answer", "ChainAnswer", "TrialAnswers", "TrialReport", "report"]
