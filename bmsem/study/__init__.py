"""Studies by simulation: few clusters under several priors, calibration of one's own model."""

from bmsem.study.calibrate import calibrate
from bmsem.study.few_clusters import few_clusters
from bmsem.study.ranks import Calibration
from bmsem.study.results import Study

__all__ = ["Calibration", "Study", "calibrate", "few_clusters"]
