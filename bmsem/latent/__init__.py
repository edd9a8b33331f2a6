"""What was integrated out, recovered draw by draw from its exact conditional distribution."""

from bmsem.latent.moments import average_between_moments, average_within_moments
from bmsem.latent.recover import between_draws, within_draws
from bmsem.latent.slopes import between_draws_given, between_matrices, within_draws_given

__all__ = [
    "average_between_moments",
    "average_within_moments",
    "between_draws",
    "between_draws_given",
    "between_matrices",
    "within_draws",
    "within_draws_given",
]
