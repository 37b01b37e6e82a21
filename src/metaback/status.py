"""How a fit ended: the words are data, so that a bad row in a batch is a value and not an exception."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Outcome of one fit; `ok` tells whether its numbers may be used, `sentence` what happened and the cure."""

    CONVERGED = 0
    NO_STUDIES = 1
    TOO_FEW_STUDIES = 2
    RANK_DEFICIENT = 3
    NOT_CONVERGED = 4
    IMPOSSIBLE_NUMBERS = 5
    NO_WEIGHT = 6
    TOO_FEW_CLUSTERS = 7

    @property
    def ok(self) -> bool:
        """Tell whether the numbers of the fit may be used."""
        return self is Status.CONVERGED

    @property
    def sentence(self) -> str:
        """Say what happened and what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.CONVERGED: "The estimate was found.",
    Status.NO_STUDIES: "No study has a usable effect and variance; check the columns that the effect is computed from.",
    Status.TOO_FEW_STUDIES: "Fewer studies than coefficients; drop moderators or pool more studies.",
    Status.RANK_DEFICIENT: "Moderators are collinear; drop one of those that repeat each other.",
    Status.IMPOSSIBLE_NUMBERS: "An effect is not finite or a variance is not above 0; check or mask that study.",
    Status.TOO_FEW_CLUSTERS: "A robust variance needs two clusters or more; take the model's own variance.",
    Status.NO_WEIGHT: "Too few studies have a weight above 0; check the column of weights.",
    Status.NOT_CONVERGED: "The search for tau2 did not end within its limit; please report the data.",
}
