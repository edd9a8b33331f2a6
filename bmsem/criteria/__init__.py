"""Whether a model fits: predictive checks, information criteria, fit indices; over plain arrays."""
