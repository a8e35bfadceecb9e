"""The search for hyperparameters: where to look, and what was found."""
