"""How outlying and how influential each study is: residuals, leverage, and what the fit becomes without it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.models.fitted import Fitted
from metaback.models.pool import own_weights
from metaback.models.regression import FittedRegression
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.models.univariate import fit_univariate
from metaback.numbers import fixed
from metaback.postestimation.flips import listed, one_line
from metaback.postestimation.subsets import CHUNK, row_labels
from metaback.stats.deletion import (
    Deleted,
    Deletion,
    Whole,
    beside,
    deletion_diagnostics,
    fitted_spread,
    flags,
    residual_spread,
)
from metaback.stats.heterogeneity import cochran_q
from metaback.stats.inference import MEAN_RULES
from metaback.stats.regression import in_basis
from metaback.stats.wls import Bools, Floats, coefficients, prepare, with_weights
from metaback.status import Status

OUTLYING = 1.959963984540054  # standard normal quantile of 0.975: a deleted residual beyond it is told as outlying


@dataclass(frozen=True, slots=True, repr=False)
class Influence:
    """Diagnostics of each row, in the order of the table; nan where a row is not in use or the fit without it fails.

    labels: (n,) rows; columns: names of the coefficients. rstandard, rstudent: standardised residual, and studentised
    deleted residual; dffits, cook, cov_ratio, dfbetas (n, p): what the fit loses or gains with the row, see
    `metaback.stats.deletion.deletion_diagnostics`; pearson, shift: the axes of the plot of Baujat. tau2_deleted,
    q_deleted: tau2 and Q (of a regression QE) without it; hat: leverage; weight: percent, of a regression the shares
    of 1 / (v + tau2). influential: by the usual rules of thumb; outlying: |rstudent| > 1.96. reasons: why a row has no
    numbers, "" where it has.
    """

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rstandard: Floats
    rstudent: Floats
    dffits: Floats
    cook: Floats
    cov_ratio: Floats
    tau2_deleted: Floats
    q_deleted: Floats
    hat: Floats
    weight: Floats
    dfbetas: Floats
    pearson: Floats
    shift: Floats
    influential: Bools
    outlying: Bools
    status: NDArray[np.int64]
    reasons: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each row that is outlying or influential."""
        return tuple(sentence_of(self, i) for i in np.flatnonzero(self.influential | self.outlying).tolist())

    def to_frame(self) -> pd.DataFrame:
        """Return one tidy row per row of the table; the DFBETAS have a column for each coefficient."""
        names = ("rstandard", "rstudent", "dffits", "cook", "cov_ratio", "tau2_deleted", "q_deleted", "hat", "weight")
        columns: dict[str, object] = {"study": self.labels, **{name: getattr(self, name) for name in names}}
        single = self.columns == ("Intercept",)
        for j, name in enumerate(self.columns):
            columns["dfbetas" if single else f"dfbetas[{name}]"] = self.dfbetas[:, j]
        tails = {"influential": self.influential, "outlying": self.outlying, "reason": self.reasons}
        return pd.DataFrame(columns | tails)

    def __repr__(self) -> str:
        """Return who is outlying or influential."""
        used = sum(not reason for reason in self.reasons)
        if not used:
            return "Influence: no effect can be left out, so there is nothing to compare."
        lines = list(self.sentences) or ["No study is outlying or influential by the usual rules of thumb."]
        return f"Influence of {used} effect{'s' if used != 1 else ''}\n{listed(lines)}"


def sentence_of(found: Influence, i: int) -> str:
    """Say what is out of the ordinary of a row that is outlying or influential."""
    kinds = [name for name, of in (("outlying", found.outlying), ("influential", found.influential)) if of[i]]
    numbers = f"deleted residual {fixed(found.rstudent[i])}, Cook's distance {fixed(found.cook[i])}"
    return f"{one_line(found.labels[i])} is {' and '.join(kinds)}: {numbers}, hat {fixed(found.hat[i])}."


def influence(fitted: Fitted | FittedRegression) -> Influence:
    """Return residuals, leverage and influence of each study, from one masked batch call.

    The model is refitted without each row, tau2 estimated anew. Covariances are those under the interval rule where
    that is a factor (HKSJ and its kin), else the model's. Equations: `metaback.stats.deletion.deletion_diagnostics`;
    flags: `metaback.stats.deletion.flags`.

    The refits are made of the residuals of the whole fit: their coefficients are the change itself, which so keeps its
    digits however far from 0 the effects are.

    Edges: k = 1 leaves nothing, so that all but hat and weight is nan; a study without which the moderators cannot be
    told apart has nan too, with the reason. Source: Viechtbauer & Cheung 2010. Same as `metafor::influence`,
    `rstudent` and `rstandard`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = influence(mb.pool(pain, preset="revman5").fitted)
    >>> bool(np.isclose(found.hat.sum(), 1))
    True
    """
    inputs = _of_pool(fitted) if isinstance(fitted, Fitted) else _of_regression(fitted)
    tau2 = float(fitted.fit.theta.ravel()[0])
    cov = np.atleast_2d(fitted.fit.cov if isinstance(fitted, Fitted) else fitted.inner.cov)
    whole, weight = _whole(inputs, tau2, cov)
    refits = _refits(inputs, whole)
    found = deletion_diagnostics(whole, refits.deleted)
    return _record(inputs, found, refits, weight)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """A pool or a regression in the same terms: rows in use, design or None, weights of the user or None."""

    labels: tuple[str, ...]
    spec: PoolSpec
    used: Bools
    reasons: tuple[str, ...]
    columns: tuple[str, ...]
    y: Floats
    v: Floats
    X: Floats | None
    own: Floats | None
    turn: Floats


def _of_pool(fitted: Fitted) -> _Inputs:
    """Return a pool; its effects are counted from the most precise one, so that residuals keep their digits."""
    effects, used = fitted.effects, fitted.effects.estimable
    y, v, own = effects.yi[used], effects.vi[used], own_weights(effects, fitted.spec)
    own = None if own is None else own[used]
    origin = y[np.argmin(v)]
    names = ("Intercept",)
    return _Inputs(row_labels(effects), fitted.spec, used, effects.reasons, names, y - origin, v, None, own, np.eye(1))


def _of_regression(fitted: FittedRegression) -> _Inputs:
    """Return a regression in its orthonormal basis; `turn` leads back to the columns of the formula."""
    effects, design = fitted.effects, fitted.design
    reasons = tuple(a or b for a, b in zip(effects.reasons, design.reasons, strict=True))
    names = tuple(design.design.columns)
    turn = in_basis(fitted.basis, np.eye(len(names)))
    y, v = effects.yi[design.used], effects.vi[design.used]
    return _Inputs(row_labels(effects), fitted.spec.pool, design.used, reasons, names, y, v, fitted.basis.Q, None, turn)


def _whole(inputs: _Inputs, tau2: float, cov: Floats) -> tuple[Whole, Floats]:
    """Return the whole fit, and the weight of each study in percent."""
    y, v, X = inputs.y, inputs.v, inputs.X
    m = v + tau2
    w = 1 / m if inputs.own is None else inputs.own
    own = None if inputs.own is None else inputs.own[None]
    part = prepare(y[None], v[None], np.ones((1, y.size), dtype=bool), None if X is None else X[None], own)
    fit = with_weights(part, coefficients(part, np.array([tau2])), np.array([tau2]))
    ones = np.ones((y.size, 1)) if X is None else X
    if X is None:
        hat, remain = w / w.sum(), beside(w) / w.sum()
    else:
        basis = np.linalg.qr(np.sqrt(w)[:, None] * X)[0]
        hat = (basis * basis).sum(axis=1)
        remain = 1 - hat
    spread = residual_spread(hat, remain, m, inputs.own)
    whole = Whole(ones, v, m, y - ones @ fit.beta[0], spread, hat, cov, inputs.turn)
    return whole, 100 * w / w.sum()


@dataclass(frozen=True, slots=True)
class _Refits:
    """The fits without each study, their Cochran's Q (k,) and how they ended (k,)."""

    deleted: Deleted
    q: Floats
    status: NDArray[np.int64]


def _refits(inputs: _Inputs, whole: Whole) -> _Refits:
    """Fit the residuals without each study in turn, in chunks of bounded memory."""
    k = whole.residual.size
    step = max(1, CHUNK // max(k, 1))
    parts = [_refit(inputs, whole, np.arange(start, min(start + step, k))) for start in range(0, k, step)]
    names = ("change", "cov", "tau2", "factor", "cov_all", "at_fit")
    together = {name: np.concatenate([getattr(part.deleted, name) for part in parts]) for name in names}
    q, status = (np.concatenate([getattr(part, name) for part in parts]) for name in ("q", "status"))
    return _Refits(Deleted(**together), q, status)


def _refit(inputs: _Inputs, whole: Whole, rows: NDArray[np.intp]) -> _Refits:
    """Fit without each of some studies."""
    residual, k, n = whole.residual, whole.residual.size, rows.size
    mask = rows[:, None] != np.arange(k)
    X = None if inputs.X is None else np.broadcast_to(inputs.X, (n, *inputs.X.shape))
    y, v = np.broadcast_to(residual, (n, k)), np.broadcast_to(inputs.v, (n, k))
    own = None if inputs.own is None else np.broadcast_to(inputs.own, (n, k))
    fit = fit_univariate(y, v, mask, inputs.spec, X, own)
    good = np.flatnonzero(fit.status == Status.CONVERGED)
    q, cov_all = np.full(n, np.nan), np.full(fit.cov.shape, np.nan)
    if good.size:
        some = slice(None) if good.size == n else good
        at, X = fit.theta[some, 0], None if X is None else X[some]
        own = None if own is None else own[some]
        q[some] = cochran_q(prepare(y[some], v[some], mask[some], X))[0]
        every = prepare(y[some], v[some], np.ones((good.size, k), dtype=bool), X, own)
        cov_all[some] = with_weights(every, coefficients(every, at), at).cov
    factor = MEAN_RULES[inputs.spec.ci].function(fit.q1, fit.m, inputs.spec.level)[0]
    tau2, weighted = fit.theta[:, 0], inputs.own is not None
    at_fit = fitted_spread(whole.hat[rows], whole.v[rows] + tau2, whole.X[rows], cov_all, weighted=weighted)
    return _Refits(Deleted(fit.beta, fit.cov, tau2, factor, cov_all, at_fit), q, fit.status)


def _record(inputs: _Inputs, found: Deletion, refits: _Refits, weight: Floats) -> Influence:
    """Put the numbers of the rows in use into the places that they have in the table."""
    used, n = inputs.used, len(inputs.labels)
    k, p = found.dfbetas.shape

    def spread(values: Floats) -> Floats:
        out = np.full((n, *values.shape[1:]), np.nan)
        out[used] = values
        return out

    influential, outlying = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    influential[used] = flags(found, k, p)
    outlying[used] = np.abs(found.rstudent) > OUTLYING
    status = np.full(n, int(Status.NO_STUDIES))
    status[used] = refits.status
    reasons = [reason or "" for reason in inputs.reasons]
    for i in np.flatnonzero(used).tolist():
        if status[i] != Status.CONVERGED:
            reasons[i] = f"without it: {Status(int(status[i])).sentence}"
    random = estimates_tau2(inputs.spec)
    return Influence(
        labels=inputs.labels,
        columns=inputs.columns,
        tau2_deleted=spread(np.where(random, refits.deleted.tau2, np.nan)),
        q_deleted=spread(refits.q),
        weight=spread(weight),
        influential=influential,
        outlying=outlying,
        status=status,
        reasons=tuple(reasons),
        **{part.name: spread(getattr(found, part.name)) for part in fields(Deletion)},
    )
