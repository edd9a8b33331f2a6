"""NUTS: starting values, compiled log-densities, and the draws."""

from bmsem.sampling.run import Samples, sample

__all__ = ["Samples", "sample"]
