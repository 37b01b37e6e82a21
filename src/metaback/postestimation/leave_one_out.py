"""Leave-one-out: the pool without each row, or without each study, and what flips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metaback.design.moderators import cell_text
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.postestimation.flips import extremes, flip_words, flipped, interval_text, listed, one_line
from metaback.postestimation.subsets import Subsets, at, pool_subsets, row_labels, shown
from metaback.postestimation.summary import Analysis
from metaback.postestimation.working import working_subsets
from metaback.stats.wls import Bools
from metaback.status import Status

NOT_STATED = "(not stated)"


@dataclass(frozen=True, slots=True, repr=False)
class LeaveOneOut:
    """Pools without each part in turn, in the order of the table.

    by: "row", "study" where all rows of a study leave together, or a column of which those of a value do. labels: (n,)
    who is left out; pools: (n,) what remains, nan where there is nothing to leave out (a row without an effect) or
    nothing left; reasons: why, "" else.
    flips: (n,) whether the interval then leads to another conclusion than that of all; whole: the mean of all.
    """

    by: str
    labels: tuple[str, ...]
    pools: Subsets
    reasons: tuple[str, ...]
    flips: Bools
    whole: Estimate
    effects: EffectSizes

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each part without which the conclusion is another."""
        return tuple(
            f"Without {self._who(i)} {flip_words(self.whole, self.pools, i, self.effects)}."
            for i in np.flatnonzero(self.flips).tolist()
        )

    def _who(self, i: int) -> str:
        """Name what is left out: a study by its label, a value with its column."""
        named = self.labels[i] if self.by in ("row", "study") else f"{self.by} {self.labels[i]}"
        return one_line(named)

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return one tidy row per part left out; transform="natural" carries estimates and limits back."""
        columns = {"left_out": self.labels, **shown(self.pools, self.effects, transform)}
        return pd.DataFrame(columns | {"flips": self.flips, "reason": self.reasons})

    def __repr__(self) -> str:
        """Return what flips, or the range of the estimates."""
        found = extremes(self.pools.estimate)
        head = f"Leave-one-out by {self.by}: {int(np.isfinite(self.pools.estimate).sum())} pools"
        if found is None:
            return f"{head}; nothing is left without any of them."
        low, high = (f"{interval_text(self.pools, i, self.effects)} without {self._who(i)}" for i in found)
        lines = list(self.sentences) or ["The conclusion stays the same whichever is left out."]
        return "\n".join([head, f"lowest {low}", f"highest {high}", listed(lines)])


def leave_one_out(analysis: Analysis, *, by: str | None = None) -> LeaveOneOut:
    """Pool the effects without each row in turn, in one masked batch call, tau2 estimated anew each time.

    by: "row" leaves out one row at a time; "study" all rows of a study together; the name of a column all rows
    of each of its values, blank cells together as "(not stated)". None is "row", or "study" where rows of a study are
    modelled as dependent; where some of these are left out, the others stay with their covariance. Everything else is
    as the pool has it: estimator, interval rules, weights, level; tau2 that was given stays.

    Edges: k = 1 leaves nothing, and k = 2 a single study, whose own interval is given. Rows without an effect keep
    their place with the reason. Raises `OptionError` for an unknown column. Same as `metafor::leave1out`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = leave_one_out(mb.pool(pain, preset="revman5").analysis)
    >>> found.by, len(found.labels) == len(found.pools.estimate)
    ('row', True)
    """
    fitted = analysis.fitted
    effects = fitted.effects
    if by is None:
        by = "study" if analysis.dependent else "row"
    if by == "row":
        labels, parts = _rows(effects)
    elif by == "study":
        labels, parts = _studies(effects)
    elif by in effects.moderators:
        labels, parts = _values(effects, by)
    else:
        raise OptionError.unknown("by", by, dict.fromkeys(("row", "study", *effects.moderators)))
    has = np.flatnonzero((parts & effects.estimable).any(axis=1))
    pools = at(_pooled(analysis, ~parts[has]), has, len(labels))
    return LeaveOneOut(
        by=by,
        labels=labels,
        pools=pools,
        reasons=_reasons(effects, parts, pools),
        flips=flipped(analysis.overall.mean, pools, effects),
        whole=analysis.overall.mean,
        effects=effects,
    )


def _pooled(analysis: Analysis, masks: Bools) -> Subsets:
    """Pool sets of rows by the model of the pool."""
    if analysis.working is None or not analysis.dependent:
        return pool_subsets(analysis.fitted, masks)
    return working_subsets(analysis.fitted.effects, analysis.fitted.spec, masks, analysis.working.V)


def _rows(effects: EffectSizes) -> tuple[tuple[str, ...], Bools]:
    """Return the label of each row, and which row each part has: itself."""
    return row_labels(effects), np.eye(len(effects.labels), dtype=bool)


def _studies(effects: EffectSizes) -> tuple[tuple[str, ...], Bools]:
    """Return the label of each study in order of first appearance, and its rows, (studies, rows)."""
    firsts: list[int] = sorted(np.unique(effects.clusters, return_index=True)[1].tolist())
    labels = tuple(effects.labels[i] for i in firsts)
    return labels, effects.clusters[firsts][:, None] == effects.clusters


def _values(effects: EffectSizes, column: str) -> tuple[tuple[str, ...], Bools]:
    """Return each value of a column in order of first appearance, and its rows, (values, rows)."""
    texts = np.array([cell_text(cell) or NOT_STATED for cell in effects.moderators[column]], dtype=object)
    labels = tuple(dict.fromkeys(texts.tolist()))
    return labels, np.array([texts == label for label in labels], dtype=bool).reshape(len(labels), texts.size)


def _reasons(effects: EffectSizes, parts: Bools, pools: Subsets) -> tuple[str, ...]:
    """Say why a part has no pool without it."""
    words = [""] * len(parts)
    for i in np.flatnonzero(pools.status != Status.CONVERGED).tolist():
        own = [effects.reasons[j] for j in np.flatnonzero(parts[i]).tolist()]
        if all(own):
            words[i] = "not pooled: " + "; ".join(dict.fromkeys(own))
        else:
            code = Status(int(pools.status[i]))
            words[i] = "no effect is left" if code is Status.NO_STUDIES else code.sentence
    return tuple(words)
