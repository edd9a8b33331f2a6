"""What was integrated out, recovered draw by draw from its exact conditional distribution."""

from bmsem.latent.moments import average_between_moments, average_people_moments
from bmsem.latent.recover import between_draws, within_draws
from bmsem.latent.slopes import between_draws_given, between_matrices, people_draws_given

__all__ = [
    "average_between_moments",
    "average_people_moments",
    "between_draws",
    "between_draws_given",
    "between_matrices",
    "people_draws_given",
    "within_draws",
]
