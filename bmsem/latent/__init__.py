"""What was integrated out, recovered draw by draw from its exact conditional distribution."""

from bmsem.latent.recover import between_draws, within_draws

__all__ = ["between_draws", "within_draws"]
