"""Fixed and random parts of a model: what X and the variance components are."""
