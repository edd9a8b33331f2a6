"""Log-likelihoods of bound models and what follows from them."""
