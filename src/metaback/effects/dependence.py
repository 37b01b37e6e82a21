"""Effects of one study that share people: which rows, why, and how their sampling errors vary together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.effects.covariances import (
    EQUAL_ARM,
    EXACT_ARM,
    GIVEN,
    KINDS,
    NEAR_ARM,
    NONE,
    NOT_ASKED,
    Assumed,
    Paired,
    Rho,
    covariances,
    kinds_of,
    parts_of,
)
from metaback.effects.dependence_words import dependence_notes, notes_of, unsound_problems
from metaback.effects.effect_sizes import EffectSizes, repeat_notes
from metaback.effects.given_covariance import given_covariance
from metaback.effects.same_people import Codes, Described, Links, described, links
from metaback.errors import DataError, OptionError, Problem
from metaback.stats.blocks import BlockMatrix, blocks_of, from_pairs
from metaback.stats.working_covariance import RHO, joined_by, mended, pairs_within, unsound

Floats = NDArray[np.float64]
TIMES = ("CAR", "AR")
SDS = ("pair", "study")
WITHOUT_RHO = (NONE, EXACT_ARM, NEAR_ARM, EQUAL_ARM, NOT_ASKED, GIVEN)


@dataclass(frozen=True, slots=True, repr=False)
class SamplingCovariance:
    """How the sampling errors of effects vary together, and where each covariance comes from.

    effects: the rows. matrix: their covariance (n, n) in blocks, `vi` on the diagonal, nan for rows without an effect.
    first, second: (p,) places of the two rows of each pair of one study; kinds: (p,) places in `KINDS`; covariance:
    (p,). rho: the correlation that `matrix` assumes, None where several or none were. grid: the matrix under other
    values of it, for a sweep in one call. notes: for the report, one sentence each: which studies, what was assumed.
    """

    effects: EffectSizes
    matrix: BlockMatrix
    first: Codes
    second: Codes
    kinds: Codes
    covariance: Floats
    rho: float | None
    grid: tuple[tuple[float, BlockMatrix], ...]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair of rows of a study: study, both rows, kind, covariance, correlation."""
        i, j, v = self.first, self.second, self.effects.vi
        labels, rows = np.array(self.effects.labels, dtype=object), np.array(self.effects.rows, dtype=object)
        return pd.DataFrame(
            {
                "study": labels[i],
                "row_1": rows[i],
                "row_2": rows[j],
                "kind": np.array(KINDS, dtype=object)[self.kinds],
                "covariance": self.covariance,
                "correlation": self.covariance / np.sqrt(v[i] * v[j]),
            }
        )

    def dependence(self) -> Dependence:
        """Return which rows depend on each other and why, whatever was assumed of their correlation."""
        return _dependence(self.effects, self.first, self.second, self.kinds)

    @property
    def from_table(self) -> bool:
        """Tell whether the table and assumptions made it, or a matrix did that the user has."""
        return bool((self.kinds != GIVEN).any()) if self.kinds.size else not self.notes

    @property
    def assumed(self) -> float | None:
        """Return the correlation that some covariance rests on, None where the numbers of arms make all of them."""
        return None if bool(np.isin(self.kinds, WITHOUT_RHO).all()) else self.rho

    def with_effects(self) -> EffectSizes:
        """Return the effects with this covariance, for a model of dependent effects."""
        es = self.effects
        repeats = set(repeat_notes(es.labels, es.rows, es.estimable))  # they say that nobody looked at the dependence
        notes = (note for note in es.notes if note not in repeats)
        return replace(es, cov=self.matrix, notes=(*notes, *self.notes))

    def __repr__(self) -> str:
        """Say how many pairs depend, and what was assumed."""
        shared = int((self.kinds != NONE).sum())
        return "\n".join(
            [f"Sampling covariance of {self.effects.k:,} effects; pairs that share people: {shared:,}", *self.notes]
        )


@dataclass(frozen=True, slots=True, repr=False)
class Dependence:
    """Which rows of a set of effects depend on each other, and why.

    first, second: (p,) places of two rows of one study; kinds: (p,) places in `KINDS`. clusters: (n,) number of the
    study of each row, for a random effect of studies. people: (n,) number of the block of rows that are linked by
    shared people. notes: sentences for the report.
    """

    first: Codes
    second: Codes
    kinds: Codes
    clusters: Codes
    people: Codes
    notes: tuple[str, ...]

    @property
    def same_study(self) -> bool:
        """Tell whether any two effects are of one study."""
        return self.first.size > 0

    @property
    def same_people(self) -> bool:
        """Tell whether any two effects share people."""
        return bool((self.kinds != NONE).any())

    @property
    def apart(self) -> tuple[str, ...]:
        """Return what the notes say of rows of one study that are of different people."""
        return self.notes[-1:] if (self.kinds == NONE).any() else ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair of rows of a study: places of both rows, and how they depend."""
        kinds = np.array(KINDS, dtype=object)[self.kinds]
        return pd.DataFrame({"place_1": self.first, "place_2": self.second, "kind": kinds})

    def __repr__(self) -> str:
        """Tell it in sentences."""
        return "\n".join(self.notes) or "No study has several effects: nothing depends on anything."


def sampling_covariance(
    es: EffectSizes,
    *,
    rho: Any = RHO,
    grid: Iterable[float] = (),
    phi: float | None = None,
    times: Literal["CAR", "AR"] = "CAR",
    shared: bool = True,
    subgroups: Any = "disjoint",
    exact: bool = False,
    pooled_sd: Literal["pair", "study"] = "pair",
    matrix: Any = None,
    nearest: bool = False,
    columns: Mapping[str, str] | None = None,
) -> SamplingCovariance:
    """Build the covariance of the sampling errors of effects: rows of one study that share people are correlated.

    What rows have in common is read from study, outcome, instrument, weeks (else months, days, visit ...), stratum,
    labels and numbers of the arms:
    - one arm in common (a control group of two treatments): exact, from the numbers of that arm, for MD, SMD, SMDH,
      SMD1, SMD1H, ROM, OR, RR, RD, AS, IRR, IRD, IRSD, VR and CVR; with a minus where it is the first arm of one row
      and the second of the other; from the sizes of the arms, or half of both variances, where numbers are missing;
    - the same two arms at other outcomes or times: r sqrt(v_i v_j), with r = rho for two outcomes or instruments,
      and phi^|t_i - t_j| for two times ("CAR", times in the unit of their column) or phi^(steps between them) ("AR");
      both: the product. phi=None takes rho for any two rows. In a study of several treatments r times what both arms
      have in common, which is a little less, so that all its covariances fit each other;
    - one arm in common at other outcomes or times: r times the part of that arm, and so where an arm of one name and
      size has other numbers in a table that tells no outcome or no time;
    - all people ("all", "overall", "total" ... in `stratum`) and some of them: the variance of the effect of all;
    - other people: 0.

    rho: a number; a mapping by pairs of outcomes, {("pain", "disability"): 0.5}, also with "same" (two measurements of
    one outcome) and "other" (any two outcomes); a frame of correlations; or a list, whose first value is used and
    whose others make the grid. grid: numbers for a sweep. shared=False leaves single common arms out. subgroups:
    "disjoint" (strata of a study at one outcome and time are different people, but for those of all), "ignored", the
    share of people that strata have in common (0 to 1), or the number of these people, {("women", "older"): 20}.
    exact: several outcomes by the parts that both arms have in both variances, rho (m_1 m_1' + m_2 m_2') with m = the
    root of the part of an arm, in the place of rho sqrt(v v'); for SMDs rho (1/n_1 + 1/n_2) + rho^2 d d'/(2 N). rho
    is then the correlation of the outcomes of a person in each arm, for counts of the two yes-or-no answers.
    pooled_sd: "study" where SMDs of a study were divided by one SD of all its arms. matrix: the covariance itself, for
    tables that have it: a matrix of all rows, a list with one per study, or the names of columns that hold it row by
    row. nearest: take the nearest possible matrix in the place of an impossible one, on record. columns: role -> column
    for other names ("study", "outcome", "instrument", "time", "stratum", "arm_1", "arm_2").

    Raises `DataError` for studies whose matrix is not positive definite, `OptionError` for options out of range.
    Source: Gleser & Olkin 2009; Wei & Higgins 2013; Hausman 1978; Higham 2002. Same as `metafor::vcalc` and
    `clubSandwich::impute_covariance_matrix`.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> es = effect_sizes(load_dataset("backpain").query("study == 'Jackson 2011'"))
    >>> sampling_covariance(es).to_frame()[["row_1", "kind"]].values.tolist()
    [['row 8', 'shared arm, assumed equal']]
    """
    if matrix is not None:
        return _given(es, matrix, columns, nearest=nearest)
    values, base = _values(rho, grid)
    _check_words(phi, times, subgroups, pooled_sd)
    overlap = None if isinstance(subgroups, str) else subgroups
    asked = Assumed(base, phi, times, shared, exact, pooled_sd == "study", overlap)
    places = _repeated(es, columns)
    parts = parts_of(es, places, whole_sd=asked.whole_sd)
    rows, i, j, found = _links(es, places, columns, strata=subgroups if overlap is None else "overlapping")
    if phi is not None:
        _check_times(es, places, rows, i, j, found)
    pairs = Paired(rows, i, j, found, kinds_of(rows, i, j, found, parts, asked))
    made = {value: covariances(es, places, pairs, parts, replace(asked, rho=value)) for value in values}
    first = made[values[0]] if values else covariances(es, places, pairs, parts, asked)
    i, j = places[i], places[j]
    matrices = {value: _matrix(es, i, j, pairs.kinds, cov) for value, cov in made.items()}
    main = matrices[values[0]] if values else _matrix(es, i, j, pairs.kinds, first)
    main, told = _sound(es, main, nearest=nearest, at=base)
    swept = tuple((value, _sound(es, V, nearest=nearest, at=value)[0]) for value, V in matrices.items())
    kept = {"rho": float(base)} if isinstance(base, (int, float)) else {"rho": None}
    notes = (*notes_of(es, i, j, pairs, asked), *told)
    return SamplingCovariance(es, main, i, j, pairs.kinds, first, **kept, grid=swept[: len(values)], notes=notes)


def dependent(es: EffectSizes, *, columns: Mapping[str, str] | None = None) -> Dependence:
    """Tell which effects depend on each other: rows of one study, and those of them that share people.

    Rows that the table states to be of different people (subgroups of a study) share the effect of their study only.
    columns: as in `sampling_covariance`. Edges: one effect per study gives no pair and no note.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> found = dependent(effect_sizes(load_dataset("backpain").query("study == 'Jackson 2011'")))
    >>> found.same_people, found.people.tolist()
    (True, [0, 0])
    """
    places = _repeated(es, columns)
    rows, i, j, found = _links(es, places, columns, strata="disjoint")
    asked = Assumed(RHO, None, "CAR", True, False, False, None)
    kinds = kinds_of(rows, i, j, found, parts_of(es, places), asked)
    return _dependence(es, places[i], places[j], kinds)


def _dependence(es: EffectSizes, i: Codes, j: Codes, kinds: Codes) -> Dependence:
    """Return the record of pairs of rows (p,), i < j."""
    linked_ = kinds != NONE
    people = joined_by(es.yi.size, i[linked_], j[linked_])
    return Dependence(i, j, kinds, es.clusters.astype(np.intp), people, dependence_notes(es, i, j, kinds))


def _repeated(es: EffectSizes, columns: Mapping[str, str] | None) -> Codes:
    """Return the places of the rows with an effect whose study has more of them."""
    ok = np.flatnonzero(es.estimable)
    if columns and "study" in columns:
        return ok
    codes = np.unique(es.clusters[ok], return_inverse=True)[1]
    return ok[np.bincount(codes)[codes] > 1]


def _links(
    es: EffectSizes, places: Codes, columns: Mapping[str, str] | None, *, strata: str
) -> tuple[Described, Codes, Codes, Links]:
    """Return what the table says of some rows, the pairs of one study among them, and what these have in common."""
    rows = described(es, places, columns)
    one, two = pairs_within(np.where(rows.study < 0, -1 - np.arange(places.size), rows.study))
    i, j = np.minimum(one, two), np.maximum(one, two)
    order = np.lexsort((j, i))
    i, j = i[order], j[order]
    return rows, i, j, links(rows, i, j, strata=strata)


def _values(rho: Any, grid: Iterable[float]) -> tuple[list[float], Rho]:
    """Return the values of rho for a sweep, and what the main matrix assumes."""
    swept = [float(value) for value in grid]
    if isinstance(rho, Sequence | np.ndarray) and not isinstance(rho, str):
        swept = [float(value) for value in cast("Sequence[float]", rho)] + swept
        if not swept:
            raise OptionError("rho=[] has no value; give at least one correlation")
        rho = swept[0]
    elif swept and isinstance(rho, (int, float)):
        swept = [float(rho), *swept]
    if isinstance(rho, pd.DataFrame):
        rho = _pairs_of_frame(rho)
    if isinstance(rho, bool) or not isinstance(rho, (int, float, Mapping)):
        raise OptionError(f"rho={rho!r} is no correlation; give a number, pairs of outcomes, or a list of numbers")
    known = cast("float | Mapping[Any, float]", rho)
    numbers = [*(map(float, known.values()) if isinstance(known, Mapping) else [known]), *swept]
    bad = [value for value in numbers if not -1 <= value <= 1]
    if bad:
        raise OptionError(f"rho has {bad[0]:g}, but a correlation lies between -1 and 1")
    return list(dict.fromkeys(swept)), known


def _pairs_of_frame(rho: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return a frame of correlations as a mapping by pairs; a diagonal of ones says nothing and is left out."""
    one, two = [str(name) for name in rho.index], [str(name) for name in rho.columns]
    if set(one) != set(two):
        raise OptionError("rho is a frame whose rows and columns are not the same outcomes; name both alike")
    values = rho.to_numpy(dtype=float)
    cells = {(a, b): float(values[i, j]) for i, a in enumerate(one) for j, b in enumerate(two)}
    return {pair: value for pair, value in cells.items() if not (pair[0] == pair[1] and value == 1)}


def _check_words(phi: float | None, times: str, subgroups: Any, pooled_sd: str) -> None:
    """Raise for options outside their range."""
    if times not in TIMES:
        raise OptionError.unknown("times", times, TIMES)
    if pooled_sd not in SDS:
        raise OptionError.unknown("pooled_sd", pooled_sd, SDS)
    if phi is not None and not (0 if times == "CAR" else -1) <= phi < 1:
        low = "0" if times == "CAR" else "-1"
        raise OptionError(f"phi={phi:g} is out of range: a correlation per unit of time lies from {low} to below 1")
    if isinstance(subgroups, str) and subgroups not in {"disjoint", "ignored"}:
        raise OptionError.unknown("subgroups", subgroups, ("disjoint", "ignored"))
    if isinstance(subgroups, (int, float)) and not 0 <= subgroups <= 1:
        raise OptionError(f"subgroups={subgroups:g} is no share of people; give a number from 0 to 1")


def _check_times(es: EffectSizes, places: Codes, rows: Described, i: Codes, j: Codes, found: Links) -> None:
    """Raise where rows of the same people stand at different times of which one is no number: phi cannot be used."""
    same = found.both | found.turned | found.one.any(axis=0)
    lost = same & (rows.when[i] != rows.when[j]) & np.isnan(rows.time[i] - rows.time[j])
    ends = np.unique(np.concatenate([i[lost], j[lost]]))
    bad: list[int] = places[ends[np.isnan(rows.time[ends])]].tolist()
    if bad:
        rule = "phi is the correlation of two times, and the time of this row is no number"
        fix = "Give all times of the study as numbers of one unit, or leave phi out"
        raise DataError(es.source, [Problem(f"{rule} ({es.labels[row]})", fix, row=es.rows[row]) for row in bad])


def _matrix(es: EffectSizes, i: Codes, j: Codes, kinds: Codes, cov: Floats) -> BlockMatrix:
    """Return the covariance of all rows: those that share people stand in one block."""
    linked_ = (kinds != NONE) & (kinds != NOT_ASKED) | (cov != 0)
    i, j = i[linked_], j[linked_]
    return from_pairs(blocks_of(joined_by(es.yi.size, i, j)), es.vi, i, j, cov[linked_])


def _sound(es: EffectSizes, matrix: BlockMatrix, *, nearest: bool, at: Any = None) -> tuple[BlockMatrix, list[str]]:
    """Return a positive definite matrix and what was done to it, or raise with every study that has none."""
    bad = unsound(matrix)
    if not bad:
        return matrix, []
    if not nearest:
        raise DataError(es.source, unsound_problems(es, bad, at))
    better = mended(matrix)
    studies = list(dict.fromkeys(es.labels[int(block.rows[0])] for block in bad))
    note = (
        f"The sampling covariance of {', '.join(studies)} was not positive definite and was replaced by the nearest "
        "matrix that is, with the variances as they were"
    )
    return better, [f"{note} (Higham 2002)."]


def _given(es: EffectSizes, matrix: Any, columns: Mapping[str, str] | None, *, nearest: bool) -> SamplingCovariance:
    """Return a covariance that the user has."""
    study = es.clusters.astype(np.intp)
    if columns and "study" in columns:
        study = described(es, np.arange(es.yi.size), columns).study
    i, j, cov = given_covariance(es, matrix, study)
    main = from_pairs(blocks_of(joined_by(es.yi.size, i, j)), es.vi, i, j, cov)
    main, told = _sound(es, main, nearest=nearest)
    kinds = np.full(i.size, GIVEN, dtype=np.intp)
    note = f"The sampling covariances of {i.size:,} pairs of effects were given."
    return SamplingCovariance(es, main, i, j, kinds, cov, None, (), (note, *told))
