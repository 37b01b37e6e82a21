"""Trials in which something else than people was counted: limbs, sessions, teams."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from metaback.checks.dependence import outcome_of
from metaback.checks.findings import Cell, Change, Finding, Joint, Outcome, Proposal, Severity
from metaback.checks.rules import rule
from metaback.checks.scene import Floats, Pooled, Scene
from metaback.checks.words import column_words
from metaback.data.roles import normal_name
from metaback.numbers import as_given, fixed, significant

UNIT = ("unit_of_analysis", "analysis_unit", "unit")
BODY = re.compile(
    r"\b(limb|leg|arm|knee|hip|ankle|foot|feet|shoulder|elbow|wrist|hand|eye|ear|tooth|teeth|implant|breast|side|muscle"
    r"|tendon|joint|session|trial|repetition|measurement|observation|visit|lesion|wound)s?\b",
    re.IGNORECASE,
)
CLUSTER = re.compile(
    r"\b(team|club|class|school|ward|practice|village|clinic|centre|center|hospital|household|cluster|squad|gym)(e?s)?\b",
    re.IGNORECASE,
)
CLUSTERED = re.compile(
    r"\b(cluster|group)[- ]?randomi[sz](ed|ation)\b|\bcluster[- ](rct|trial|design|allocat\w*)|^cluster(ed)?$",
    re.IGNORECASE,
)
CROSSED = re.compile(r"cross.?over|within", re.IGNORECASE)
PEOPLE = ("n_people", "people", "participants", "n_participants", "n_persons", "n_patients")
CLUSTER_SIZE = ("cluster_size", "mean_cluster_size", "average_cluster_size")
ICC = ("icc", "intracluster_correlation", "intraclass_correlation")
PER_PERSON = (0.3, 0.5, 0.8)  # correlation of two limbs or measurements of one person: low, proposed, high
IN_CLUSTER = (0.01, 0.05, 0.1)  # of two people of one cluster: usual values of trials in schools and practices
PAIR, SOME = 2.0, 20.0  # limbs of a person and people of a cluster, for an example where the table does not tell


@dataclass(frozen=True, slots=True)
class _Unit:
    """One pooled row that counts something else than people, by its position in the pool and its place in the table.

    body: parts or measurements of a person; else people of clusters. word: the unit in the words of the table. size:
    observations per person, or people per cluster, nan where unknown. icc: nan where the table does not give it.
    """

    spot: int
    place: int
    body: bool
    word: str
    size: float
    icc: float

    def effect(self, which: int) -> float:
        """Return the design effect 1 + (M - 1) ICC: under the low, the proposed or the high correlation, if assumed."""
        assumed = (PER_PERSON if self.body else IN_CLUSTER)[which]
        return 1 + (self.size - 1) * (assumed if np.isnan(self.icc) else self.icc)


def _number_column(scene: Scene, names: Sequence[str]) -> Floats:
    """Return the first column of numbers that has one of some names, (k,), nan where none has."""
    frame = scene.trials.frame
    columns = {normal_name(column): column for column in frame.columns}
    for name in names:
        if name in columns and frame[columns[name]].dtype.kind in "iuf":
            return frame[columns[name]].to_numpy(dtype=float)
    return np.full(scene.k, np.nan)


@rule(
    "unit-of-analysis",
    severity="error",
    title="limbs, sessions or teams counted as if they were people",
    why="The variance of an effect supposes that all observations are independent. Two knees of one person are not, "
    "and neither are the players of one team that was allocated as a whole. Counted one by one they make a trial look "
    "larger than it is: the variance is too small by the design effect 1 + (M - 1) ICC, with M observations per person "
    "or people per cluster that correlate by ICC.",
    cite="donner2002 higgins2024",
)
def unit_of_analysis(scene: Scene) -> Outcome:
    """Find pooled rows that count limbs, sessions or other parts of a person, or people of clusters, as independent.

    What a row counts is read from a column `unit` (`unit_of_analysis`); whether clusters were allocated, from `design`
    and notes; the number of people from `n_people`, that of a cluster from `cluster_size`, the correlation from `icc`.
    An error where the effect comes from raw numbers and n_1 + n_2 is above the number of people, in a trial that is not
    a cross-over; else a warning, because a printed effect may come from a model that knew. Unknown correlations are 0.5
    for parts of a person (0.3 and 0.8 in the evidence) and 0.05 for clusters (0.01 and 0.1).
    """
    body = _bodies(scene)
    clusters = _clusters(scene)
    people = _number_column(scene, PEOPLE)
    told = any(body) or any(clusters) or bool(np.isfinite(people).any())
    columns = bool(column_words(scene, *UNIT)) or bool(column_words(scene, "design")) or bool(np.isfinite(people).any())
    if not told and not columns:
        return Outcome(passed_over=("no column unit, n_people or design says what was counted or allocated",))
    findings: list[Finding] = []
    for pool in scene.pools:
        parts: dict[tuple[bool, Severity, bool], list[_Unit]] = {}
        for unit in _units(scene, pool, body, clusters, people):
            raw = bool(pool.computed[unit.spot])
            sure: Severity = "error" if raw and unit.size > 1 else "warning"
            severity: Severity = sure if unit.body else "warning" if raw else "information"
            parts.setdefault((unit.body, severity, bool(np.isfinite(unit.size))), []).append(unit)
        findings += [_finding(scene, pool, severity, units) for (_, severity, _), units in parts.items()]
    return outcome_of(scene, findings)


def _bodies(scene: Scene) -> list[str]:
    """Return for each row the part of a person that it counts, "" where it counts people or does not say."""
    words = column_words(scene, *UNIT)
    return [text if BODY.search(text) else "" for text in words] or [""] * scene.k


def _clusters(scene: Scene) -> list[str]:
    """Return for each row the words that tell that clusters were allocated, "" where none do."""
    found = [""] * scene.k
    for i, text in enumerate(column_words(scene, *UNIT)):
        found[i] = text if CLUSTER.search(text) else ""
    for name in ("design", "study_design", "note", "notes", "comment"):
        for i, text in enumerate(column_words(scene, name)):
            hit = CLUSTERED.search(text)
            if hit and not found[i] and not re.search(r"\b(not|no) (a )?$", text[: hit.start()], re.IGNORECASE):
                found[i] = hit[0]
    return found


def _units(scene: Scene, pool: Pooled, body: Sequence[str], clusters: Sequence[str], people: Floats) -> Iterator[_Unit]:
    """Yield the rows of a pool that count something else than people.

    Where each person stands in both arms, n_1 + n_2 is twice the number of people: that is a cross-over trial.
    """
    counted = scene.numbers("n_1") + scene.numbers("n_2")
    size, icc = _number_column(scene, CLUSTER_SIZE), _number_column(scene, ICC)
    design = column_words(scene, "design", "study_design") or ("",) * scene.k
    for spot in np.flatnonzero(pool.estimable):
        i = int(pool.places[spot])
        ratio = float(counted[i] / people[i]) if people[i] > 0 else np.nan
        crossed = CROSSED.search(design[i]) is not None or (not body[i] and ratio == 2)
        if ratio > 1 and not crossed:
            yield _Unit(int(spot), i, True, body[i] or "observations", ratio, float(icc[i]))
        elif body[i] and np.isnan(ratio):
            yield _Unit(int(spot), i, True, body[i], np.nan, float(icc[i]))
        elif clusters[i]:
            yield _Unit(int(spot), i, False, clusters[i], float(size[i]), float(icc[i]))


def _finding(scene: Scene, pool: Pooled, severity: Severity, units: Sequence[_Unit]) -> Finding:
    """Word the rows of one pool that count alike."""
    places, body = tuple(unit.place for unit in units), units[0].body
    words = ", ".join(list(dict.fromkeys(f"'{unit.word}'" for unit in units))[:4])
    what = (
        f"observations ({words}) were counted, several of one person" if body else f"clusters ({words}) were allocated"
    )
    return Finding(
        rule="unit-of-analysis",
        severity=severity,
        rows=places,
        says=f"{scene.labels(places)}: {what}. {_so(scene, units)}",
        fix=_fix(pool, units),
        evidence=_evidence(units),
        cells=tuple(Cell(place, role) for place in places for role in ("n_1", "n_2") if scene.has(role)),
        proposals=_proposals(scene, pool, units),
    )


def _so(scene: Scene, units: Sequence[_Unit]) -> str:
    """Say what counting them as people does to the standard error."""
    body, icc = units[0].body, [unit.icc for unit in units]
    assumed = (PER_PERSON if body else IN_CLUSTER)[1]
    rho = f"a correlation of {significant(assumed, 2)} (assumed)" if np.isnan(icc).any() else "the correlation given"
    noun = "observations per person" if body else "people per cluster"
    if np.isnan(units[0].size):
        example = PAIR if body else SOME
        factor = float(np.sqrt(1 + (example - 1) * assumed))
        return (
            f"The table does not say how many {noun} there are; with {as_given(example)} and {rho} the standard error "
            f"is {fixed(factor)} times what the pool takes it for."
        )
    factors = [float(np.sqrt(unit.effect(1))) for unit in units]
    sizes = [unit.size for unit in units]
    many = (
        f"{significant(min(sizes), 3)} to {significant(max(sizes), 3)}" if len(units) > 1 else significant(sizes[0], 3)
    )
    times = f"{fixed(min(factors))} to {fixed(max(factors))}" if len(units) > 1 else fixed(factors[0])
    return f"With {many} {noun} and {rho} the standard error is {times} times what the pool takes it for."


def _fix(pool: Pooled, units: Sequence[_Unit]) -> str:
    """Say what to do."""
    if units[0].body:
        return (
            "Take one observation or the mean of each person from the report, or divide the numbers of both arms by "
            "the design effect; state the correlation that was assumed"
        )
    fix = "Divide the numbers of both arms by the design effect, and try several correlations"
    lacking = " (a column cluster_size, and icc where a trial states it, is needed for it)"
    told = lacking if np.isnan(units[0].size) else ""
    printed = (
        "" if pool.computed[[unit.spot for unit in units]].all() else "; leave it if the trial's analysis was adjusted"
    )
    return fix + told + printed


def _evidence(units: Sequence[_Unit]) -> dict[str, float | str]:
    """Return the numbers of the finding: of one row, or the means of several."""
    found: dict[str, float | str] = {"rows": float(len(units))}
    if np.isfinite(units[0].size):
        found["size"] = float(np.mean([unit.size for unit in units]))
        for i, name in enumerate(("low", "proposed", "high")):
            found[f"design_effect_{name}"] = float(np.mean([unit.effect(i) for unit in units]))
    return found


def _proposals(scene: Scene, pool: Pooled, units: Sequence[_Unit]) -> tuple[Proposal, ...]:
    """Propose numbers of people divided by the design effect, or a variance times it where there are none to divide."""
    if np.isnan(units[0].size):
        return ()
    roles = [f"{stem}_{arm}" for stem in ("n", "events", "nonevents") for arm in "12"]
    changes: list[Change] = []
    joints: list[Joint] = []
    for unit in units:
        effect = unit.effect(1)
        values = {role: float(scene.numbers(role)[unit.place]) for role in roles if scene.has(role)}
        if pool.computed[unit.spot] and np.isfinite([values.get("n_1", np.nan), values.get("n_2", np.nan)]).all():
            found = [(role, value) for role, value in values.items() if np.isfinite(value)]
            changes += [Change(unit.place, role, value / effect) for role, value in found]
        else:
            joints.append(Joint((unit.place,), ((float(pool.vi[unit.spot]) * effect,),)))
    return (Proposal("with the design effect", tuple(changes), joint=tuple(joints)),)
