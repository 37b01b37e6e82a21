"""How outlying and how influential each study is where its rows depend on each other: it leaves with all its rows."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from metaback.errors import OptionError
from metaback.models.dependent_deletion import StudiesOut, studies_out
from metaback.models.specs import estimates_tau2
from metaback.numbers import p_phrase
from metaback.postestimation.dependent_sets import rows_of
from metaback.postestimation.flips import listed
from metaback.postestimation.influence import OUTLYING, Influence, influence, sentence_of
from metaback.postestimation.summary import Analysis
from metaback.stats.deletion import Deletion, beside, flags
from metaback.stats.wls import Bools, Floats
from metaback.status import Status


@dataclass(frozen=True, slots=True, repr=False)
class StudyInfluence(Influence):
    """Diagnostics of each study, in the order of the table, by the names of those of rows; see `study_influence`.

    rows: (n,) pooled rows of each; chi2, chi2_p: distance of its rows from the mean of the others, on as many df.
    between_deleted, within_deleted: variance components without it, of which `tau2_deleted` is the sum.
    """

    rows: NDArray[np.int64]
    chi2: Floats
    chi2_p: Floats
    between_deleted: Floats
    within_deleted: Floats

    def to_frame(self) -> pd.DataFrame:
        """Return one tidy row per study."""
        frame = Influence.to_frame(self)
        frame.insert(1, "rows", self.rows)
        columns = {"chi2": self.chi2, "chi2_df": self.rows, "chi2_p": self.chi2_p}
        columns |= {"between_deleted": self.between_deleted, "within_deleted": self.within_deleted}
        for name, values in columns.items():
            frame.insert(frame.columns.get_loc("influential"), name, values)  # type: ignore[arg-type]  # names are unique
        return frame

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each study that is outlying or influential."""
        places = np.flatnonzero(self.influential | self.outlying).tolist()
        rows = {i: f"; its {self.rows[i]} rows together {p_phrase(float(self.chi2_p[i]))}" for i in places}
        return tuple(f"{sentence_of(self, i)[:-1]}{rows[i] if self.rows[i] > 1 else ''}." for i in places)

    def __repr__(self) -> str:
        """Return who is outlying or influential."""
        used = sum(not reason for reason in self.reasons)
        if not used:
            return "Influence: no study can be left out, so there is nothing to compare."
        lines = list(self.sentences) or ["No study is outlying or influential by the usual rules of thumb."]
        return f"Influence of {used} studies, each with all its rows\n{listed(lines)}"


def influence_of(analysis: Analysis) -> Influence:
    """Return the diagnostics of a pool: of its rows, or of its studies where rows of a study are modelled together."""
    return study_influence(analysis) if analysis.dependent else influence(analysis.fitted)


def study_influence(analysis: Analysis) -> StudyInfluence:
    """Return residuals, leverage and influence of each study of a pool by the working model, from one batch call.

    With b the mean and C its variance as the working model has it (not the robust one), (-j) for the fit without study
    j and its components anew, M_j the covariance of the rows of the study, d_j their mean 1'M_j^-1 y_j / p_j and
    p_j = 1'M_j^-1 1:

    rstandard_j = (d_j - b) / sqrt(1 / p_j - C); rstudent_j = (d_j(-j) - b(-j)) / sqrt(1 / p_j(-j) + C(-j));
    chi2_j = e_j'(M_j(-j) + C(-j) 11')^-1 e_j with e_j = y_j - b(-j), on as many df as the study has rows;
    dffits_j = dfbetas_j = (b - b(-j)) sqrt(sum of all p(-j)); cook_j = (b - b(-j))^2 / C; cov_ratio_j = C(-j) / C;
    hat_j = p_j C, the sum of the leverages of its rows; pearson_j = (y_j - b)'M_j^-1 (y_j - b), which sum to the
    generalised Q, and shift_j = (b - b(-j))^2 / C(-j), the axes of the plot of Baujat.

    Flags as of rows, with studies in their place. Edges: two studies leave one, with the variance of its own
    covariance and no tau2; one study leaves nothing. Source: Viechtbauer & Cheung 2010. chi2, cook, dfbetas and the
    sums of hat are those of `metafor::rstudent`, `cooks.distance`, `dfbetas` with cluster= and `hatvalues`.

    >>> import metaback as mb
    >>> res = mb.pool(mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9"))
    >>> found = study_influence(res.analysis)
    >>> bool(np.isclose(np.nansum(found.hat), 1)), found.labels[:1]
    (True, ('Aasa 2015',))
    """
    working, effects = analysis.working, analysis.fitted.effects
    if working is None or not analysis.dependent:
        raise OptionError("study_influence() is for a pool that models rows of a study together; see influence()")
    rows = rows_of(effects, working.V)
    found = studies_out(
        effects.yi[rows.places], rows.V, rows.study, method=str(working.spec.tau2), level=working.spec.level
    )
    return _record(analysis, found, estimates=estimates_tau2(working.spec))


def _diagnostics(found: StudiesOut) -> Deletion:
    """Return the diagnostics (J,) of the studies that are pooled."""
    here, apart, spread = found.here, found.apart, float(found.whole.variance[0])
    change = found.whole.mean[0] - found.without.mean
    hat = here.precision / here.total
    with np.errstate(divide="ignore", invalid="ignore"):
        remain = beside(here.precision) / here.total
        moved = change * np.sqrt(apart.total)
        return Deletion(
            rstandard=here.away / np.sqrt(remain / here.precision),
            rstudent=apart.away / np.sqrt(1 / apart.precision + found.without.variance),
            dffits=moved,
            cook=change**2 / spread,
            cov_ratio=found.without.variance / spread,
            hat=hat,
            dfbetas=moved[:, None],
            pearson=here.squares,
            shift=change**2 / found.without.variance,
        )


def _distance(found: StudiesOut) -> Floats:
    """Return e'(M + c 11')^-1 e for each study, by the formula of Sherman and Morrison."""
    apart, c = found.apart, found.without.variance
    return apart.squares - c * (apart.away * apart.precision) ** 2 / (1 + c * apart.precision)


def _record(analysis: Analysis, found: StudiesOut, *, estimates: bool) -> StudyInfluence:
    """Put the numbers of the studies in use into the order of the table."""
    effects = analysis.fitted.effects
    firsts: list[int] = sorted(np.unique(effects.clusters, return_index=True)[1].tolist())
    place = {number: i for i, number in enumerate(effects.clusters[firsts].tolist())}
    at = np.array([place[number] for number in found.numbers.tolist()], dtype=np.intp)
    diagnostics = _diagnostics(found)
    j = found.numbers.size

    def spread(values: Floats) -> Floats:
        out = np.full((len(firsts), *values.shape[1:]), np.nan)
        out[at] = values
        return out

    def marked(values: Bools) -> Bools:
        out = np.zeros(len(firsts), dtype=bool)
        out[at] = values
        return out

    rows = np.zeros(len(firsts), dtype=np.int64)
    rows[at] = found.rows
    status = np.full(len(firsts), int(Status.NO_STUDIES))
    status[at] = found.without.status
    chi2 = _distance(found)
    between, within = (part if estimates else part * np.nan for part in (found.without.between, found.without.within))
    with np.errstate(invalid="ignore"):
        outlying = marked(np.abs(diagnostics.rstudent) > OUTLYING)
    return StudyInfluence(
        labels=tuple(effects.labels[i] for i in firsts),
        columns=("Intercept",),
        tau2_deleted=spread(between + within),
        q_deleted=spread(found.without.q),
        weight=spread(100 * diagnostics.hat),
        influential=marked(flags(diagnostics, j, 1)),
        outlying=outlying,
        status=status,
        reasons=_reasons(analysis, firsts, status),
        rows=rows,
        chi2=spread(chi2),
        chi2_p=spread(np.asarray(chdtrc(found.rows, chi2))),
        between_deleted=spread(between),
        within_deleted=spread(within),
        **{part.name: spread(getattr(diagnostics, part.name)) for part in fields(Deletion)},
    )


def _reasons(analysis: Analysis, firsts: list[int], status: NDArray[np.int64]) -> tuple[str, ...]:
    """Say why a study has no numbers, "" where it has."""
    effects = analysis.fitted.effects
    out: list[str] = []
    for i, first in enumerate(firsts):
        own = effects.clusters == effects.clusters[first]
        if not (own & effects.estimable).any():
            out.append("; ".join(dict.fromkeys(effects.reasons[row] for row in np.flatnonzero(own).tolist())))
        elif status[i] != Status.CONVERGED:
            out.append(f"without it: {Status(int(status[i])).sentence}")
        else:
            out.append("")
    return tuple(out)
