"""Settings that every test shares: how Hypothesis searches, and figures without a screen."""

import os

from hypothesis import settings

os.environ["MPLBACKEND"] = "Agg"

# `house` gives the same examples on every run and machine; `nightly` searches anew and longer:
# make test-all with HYPOTHESIS_PROFILE=nightly, or pytest --hypothesis-profile=nightly.
settings.register_profile("house", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("nightly", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
