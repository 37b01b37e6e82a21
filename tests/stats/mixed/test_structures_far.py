"""Ranges without end: where the likelihood rises towards one effect for all places, the fit reaches that end."""

from __future__ import annotations

import numpy as np
import pytest

from metaback.stats.blocks import blocks_of, diagonal
from metaback.stats.mixed import Term, fit_mixed

NEAR = 1e-7  # log-likelihood that a range of 1e10 times the longest distance leaves below that of an intercept


@pytest.mark.parametrize("structure", ["SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH"])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_effects_that_are_alike_within_studies_have_the_likelihood_of_an_intercept(structure: str, method: str) -> None:
    study = np.repeat(np.arange(6), 4)
    level = np.array([-0.9, 0.4, 1.3, -0.2, 0.7, -1.1])
    y = level[study] + 0.001 * np.tile([1.0, -1.0, -1.0, 1.0], 6)  # closer together than their errors are large
    V = diagonal(blocks_of(np.arange(24)), np.full(24, 0.05))
    X = np.ones((24, 1))
    place = np.tile([1.0, 2.0, 4.0, 7.0], 6)[:, None]
    term = Term(structure, study, np.tile(np.arange(4), 6), 4, position=place)
    far = fit_mixed(y, X, V, [term], method)
    one = fit_mixed(y, X, V, [Term("ID0", study, None, 1)], method)
    assert float(far.loglik) == pytest.approx(float(one.loglik), abs=NEAR)
    assert far.theta[0] == pytest.approx(one.theta[0], rel=1e-6)
