"""Rules that make intervals of the mean and of prediction; `metaback.stats.inference` has them all by key."""

from metaback.stats.intervals import simple

__all__ = ["simple"]  # loaded first, so that the simplest rules stand first in the families
