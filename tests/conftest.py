"""Settings that every test shares: how Hypothesis searches, and figures without a screen."""

import os

from hypothesis import settings

os.environ["MPLBACKEND"] = "Agg"

# `house` gives the same few examples on every run and machine, `long` more of them (make test-all); `nightly` searches
# anew and longer: make test-all HYPOTHESIS_PROFILE=nightly, or pytest --hypothesis-profile=nightly.
settings.register_profile("house", derandomize=True, max_examples=20, deadline=None)
settings.register_profile("long", derandomize=True, max_examples=100, deadline=None)
settings.register_profile("nightly", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
