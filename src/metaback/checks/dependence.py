"""Rows of one study that are pooled as if other people stood behind each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

import numpy as np

from metaback.checks.arms import (
    ROW,
    ArmTable,
    Key,
    Repeated,
    Shared,
    arm_table,
    repeated,
    row_digits,
    same,
    shared_arms,
)
from metaback.checks.findings import Cell, Change, Finding, Joint, Outcome, Proposal, Severity
from metaback.checks.rules import rule
from metaback.checks.scene import Floats, Scene
from metaback.data.roles import normal_name
from metaback.numbers import as_given, fixed
from metaback.stats.same_arms import LEFT
from metaback.stats.shared_arm import (
    HALF,
    SharedArm,
    assumed_covariance,
    se_factor,
    shared_arm_covariance,
    sizes_covariance,
    with_variances,
)

LOW, HIGH = 0.3, 0.8  # correlations of effects on the same people that are told beside the one that is proposed
MANY = 5  # studies of one pool that are told one by one; more become one finding
CHOSEN = frozenset({"selected", "chosen", "primary", "included", "include", "decision", "selection_rule", "eligible"})
NOTHING = "no effect could be computed, so that nothing would be pooled"
TOGETHER = "taken together as one effect"
FIRST = "first row of each study only"
MEND = (
    "Combine the rows of the study into one, keep the one that a rule written beforehand names, or pool with a model "
    "for dependent effects"
)
HANDLED = (
    "Rows of one study are pooled by a model of their dependence; see that they are what they seem to be, and that "
    "what the model assumes of them is right"
)
SAID = "The request says that these rows are independent; keep a reason for that in the report"


def outcome_of(scene: Scene, findings: Iterable[Finding]) -> Outcome:
    """Return what was found among the rows that are pooled."""
    examined = sum(int(pool.estimable.sum()) for pool in scene.pools)
    return Outcome(tuple(findings), examined, () if examined else (NOTHING,))


def times(m: int) -> str:
    """Say how often: `twice`, `3 times`."""
    return "twice" if m == 2 else f"{m} times"


def nested(cov: Floats) -> tuple[tuple[float, ...], ...]:
    """Return a matrix as nested tuples."""
    return tuple(tuple(row) for row in cov.tolist())


@rule(
    "shared-control",
    severity="error",
    title="one group of people used in several rows of a study",
    why="A trial with several arms and one control group gives several comparisons. Entered as rows of their own, the "
    "people of the control group are counted once for each, and the rows are correlated. Pooled as if they were "
    "independent, the study weighs too much and the interval is too narrow: with two equal arms the standard error of "
    "their mean is 1.22 times as large as such a pool takes it for, with three 1.41 times.",
    needs=("n_1 n_2", "arm_1 arm_2"),
    cite="gleser2009 senn2009",
)
def shared_control(scene: Scene) -> Outcome:
    """Find rows of one study in one pool with the same control group (or the same treated group).

    The same: n and every other number of the arm are equal, or agree to the fewer decimals; or the arm has the same
    label and no number that differs, at the same outcome, instrument and time. The other arms must differ. An error
    where mean and SD are equal in at least four digits together, or where the label itself says that the group is used
    in several comparisons; else a warning: equal counts and equal labels may be two groups.

    The covariance of the effects is that of `shared_arm_covariance`; where the measure or the table does not give it,
    it is taken from the sizes of the arms, and without these from a correlation of 0.5, that of equal arms. More than
    five groups of one pool become one finding.
    """
    arms = arm_table(scene)
    found: dict[tuple[int, bool], list[Shared]] = {}
    for rows in repeated(scene):
        for part in shared_arms(arms, rows):
            found.setdefault((id(rows.pool), part.certain), []).append(part)
    findings: list[Finding] = []
    for parts in found.values():
        each = [_shared_finding(scene, arms, part) for part in parts]
        findings += each if len(each) <= MANY else [_many_shared(scene, parts, each)]
    return outcome_of(scene, findings)


def _many_shared(scene: Scene, parts: Sequence[Shared], findings: Sequence[Finding]) -> Finding:
    """Word many groups of one pool that are used in several rows, with what was found about each of them."""
    groups_, rows = len(parts), sum(len(part.rows.places) for part in parts)
    studies = list(dict.fromkeys(scene.texts("study")[part.rows.places[0]] for part in parts))
    listed = ", ".join(studies[:MANY]) + (f" and {len(studies) - MANY} more" if len(studies) > MANY else "")
    factors = [float(found.evidence["se_factor"]) for found in findings]
    names = [proposal.name for proposal in findings[0].proposals][:2]
    same = [[found.proposals[i] for found in findings] for i in range(len(names))]
    return replace(
        findings[0],
        rows=tuple(sorted({place for found in findings for place in found.rows})),
        says=f"{groups_} groups of people stand in {rows} rows of one pool ({listed}). {findings[0].says} The others "
        f"are alike: the standard error of the mean of their rows is typically {fixed(float(np.median(factors)))} "
        f"times what {_taker(scene)} takes it for.",
        evidence={"groups": float(groups_), "rows": float(rows), "se_factor": float(np.median(factors))},
        cells=tuple(dict.fromkeys(cell for found in findings for cell in found.cells)),
        proposals=tuple(
            Proposal(
                name,
                without=tuple(sorted({place for one in every for place in one.without})),
                joint=_apart_only(joint for one in every for joint in one.joint),
            )
            for name, every in zip(names, same, strict=True)
        ),
        whole=True,
    )


def _apart_only(joints: Iterable[Joint]) -> tuple[Joint, ...]:
    """Return joint rows, each row in one of them."""
    kept: list[Joint] = []
    taken: set[int] = set()
    for joint in joints:
        if taken.isdisjoint(joint.places):
            kept.append(joint)
            taken.update(joint.places)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class ArmCovariance:
    """Sampling covariance of some rows, and in words where it comes from."""

    cov: Floats
    source: str


def arm_covariance(arms: ArmTable, part: Shared) -> ArmCovariance:
    """Return the covariance that the shared arm gives the effects of its rows: exact, from sizes, or assumed."""
    rows, side, other = part.rows, part.side, "1" if part.side == "2" else "2"
    first = rows.places[0]
    own = np.array([arms.number("n", place, other) for place in rows.places])
    known = {stem: arms.number(stem, first, side) for stem in ("n", "mean", "sd", "events")}
    exact = shared_arm_covariance(rows.pool.measure, rows.yi, SharedArm(**known, total=known["n"] + float(own.sum())))
    if np.isfinite(exact).all():
        return ArmCovariance(with_variances(exact, rows.vi), "from the numbers of that group")
    sized = sizes_covariance(rows.vi, own, known["n"])
    if np.isfinite(sized).all():
        return ArmCovariance(sized, "near enough, from the sizes of the groups")
    return ArmCovariance(assumed_covariance(rows.vi), "assumed, as for groups of equal size; the table lacks the sizes")


def _shared_finding(scene: Scene, arms: ArmTable, part: Shared) -> Finding:
    """Word one group of people that stands in several rows."""
    places, side = part.rows.places, part.side
    m, first = len(places), places[0]
    found = arm_covariance(arms, part)
    factor, spread = float(se_factor(found.cov)), np.sqrt(np.diagonal(found.cov))
    rho = float((found.cov / np.outer(spread, spread))[np.triu_indices(m, 1)].mean())
    severity = _weighed(scene, "error" if part.certain else "warning")
    group = "control group" if side == "2" else "treated group"
    seems, rows = "is" if part.certain else "looks like", "both rows" if m == 2 else f"all {m} rows"
    stems = ("arm",) if part.by == "label" else arms.stems
    roles = [(place, arms.role(stem, place, side)) for place in places for stem in stems]
    return Finding(
        rule="shared-control",
        severity=severity,
        rows=places,
        says=f"{scene.labels(places)}: arm {arms.arm(first, side)} {seems} one {group} in {rows} "
        f"({_what(scene, arms, part)}), so that its people are counted {times(m)}. The effects then correlate by "
        f"{fixed(rho)} ({found.source}), and the standard error of their mean is {fixed(factor)} times what "
        f"{_taker(scene)} takes it for.{_other_strata(scene, arms, places)}",
        fix=_mend(scene, f"{MEND}; or share the people of the group out among the rows"),
        evidence={
            "rows": float(m),
            "se_factor": factor,
            "correlation": rho,
            "covariance": float(found.cov[0, 1]),
            "seen_by": part.by,
        },
        cells=tuple(Cell(place, role) for place, role in roles if scene.has(role)),
        proposals=_shared_proposals(arms, part, found.cov),
    )


def _other_strata(scene: Scene, arms: ArmTable, places: Sequence[int]) -> str:
    """Say that rows with one group are about different strata, in which there should be different people."""
    strata = list(dict.fromkeys(arms.strata[place] for place in places if arms.strata[place]))
    if len(strata) < len(places):
        return ""
    return f" The rows are about different strata ({_listed(strata)}), so that one of them may also be a copy."


def _what(scene: Scene, arms: ArmTable, part: Shared) -> str:
    """Say by which label or numbers a group of people is the same."""
    first, side = part.rows.places[0], part.side
    if part.by == "label":
        text = scene.texts(arms.role("arm", first, side))[first]
        return f"the same label {text!r}"
    return "the same " + ", ".join(f"{stem} {as_given(value)}" for stem, value in arms.told(first, side).items())


def _shared_proposals(arms: ArmTable, part: Shared, cov: Floats) -> tuple[Proposal, ...]:
    """Propose to take the rows together, to keep the first, and to share the people of the group out."""
    places, m = part.rows.places, len(part.rows.places)
    proposals = [
        Proposal(TOGETHER, joint=(Joint(places, nested(cov)),)),
        Proposal(FIRST, without=places[1:]),
    ]
    changes: list[Change] = []
    for spot, place in zip(part.rows.spots, places, strict=True):
        values = {stem: arms.number(stem, place, part.side) for stem in ("n", "sd", "events", "nonevents")}
        if (
            not part.rows.pool.computed[spot]
            or np.isnan(values["n"])
            or np.isnan([values["sd"], values["events"]]).all()
        ):
            return tuple(proposals)
        stems = [stem for stem in ("n", "events", "nonevents") if np.isfinite(values[stem])]
        changes += [Change(place, arms.role(stem, place, part.side), values[stem] / m) for stem in stems]
    return (*proposals, Proposal(f"people of the group shared out, {m} parts", tuple(changes)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the rows of one study differ: "outcomes", "times", "instruments", "people", "strata", "arms" or "unclear"."""

    rows: Repeated
    name: str
    same_people: bool
    words: str


@rule(
    "several-rows",
    severity="error",
    title="several rows of one study pooled as independent",
    why="A study that is measured at several times, with several instruments or outcomes, gives several effects of the "
    "same people. Pooled as if they were different studies, its people count several times: the study weighs too much "
    "and the interval is too narrow, by the square root of 1 + (m - 1) rho for m rows that correlate by rho.",
    cite="kadlec2023 page2015 tendal2011 borenstein2009",
)
def several_rows(scene: Scene) -> Outcome:
    """Find studies that give one pool more effects than one, for another reason than a shared control group.

    By what tells the rows of a study apart: outcomes, times (`weeks`) or instruments are an error where both arms have
    the same n and no arm has another label, so that the same people are counted again; else a warning. Groups of
    people that look separate (other years; or other numbers in both arms, where also n differs by a tenth or more in
    both, or labels or strata differ) are an information. Rows that nothing tells apart are a warning. More than five
    studies of one kind become one finding.

    The standard error of the mean of m such rows is sqrt(1 + (m - 1) rho) times what the pool takes it for where
    variances are equal; rho = 0.5 is assumed, 0.3 and 0.8 stand in the evidence.
    """
    arms = arm_table(scene)
    sorted_: dict[tuple[int, Severity], list[_Kind]] = {}
    for rows in repeated(scene):
        kind = _kind(scene, arms, rows)
        if kind is not None:
            sorted_.setdefault((id(rows.pool), _severity(scene, kind)), []).append(kind)
    findings: list[Finding] = []
    for (_, severity), kinds in sorted_.items():
        if kinds[0].name == "people":
            findings.append(_people_finding(scene, kinds))
        elif len(kinds) > MANY:
            findings.append(_many_finding(scene, severity, kinds))
        else:
            findings += [_several_finding(scene, severity, kind) for kind in kinds]
    return outcome_of(scene, findings)


def _severity(scene: Scene, kind: _Kind) -> Severity:
    """Return how bad it is to pool these rows as independent."""
    if kind.name == "people":
        return "information"
    counted = kind.same_people and kind.name in {"outcomes", "times", "instruments"}
    return _weighed(scene, "error" if counted else "warning")


def _weighed(scene: Scene, severity: Severity) -> Severity:
    """Return how bad repeated rows are under the request: less where it models them or calls them independent."""
    if scene.plan.independent:
        return "information"
    return "warning" if scene.plan.modelled else severity


def _mend(scene: Scene, cure: str) -> str:
    """Return what to do about repeated rows under the request."""
    if scene.plan.independent:
        return SAID
    return HANDLED if scene.plan.modelled else cure


def _taker(scene: Scene) -> str:
    """Name the pool whose standard error is too small."""
    return "a pool of independent rows" if scene.plan.modelled else "the pool"


def _kind(scene: Scene, arms: ArmTable, rows: Repeated) -> _Kind | None:
    """Tell how the rows of a study differ; None where one shared arm or one repeated row explains them.

    Which row of several with one arm stands for them follows from their numbers, not from their order in the table.
    """
    places = dict(zip(rows.spots, rows.places, strict=True))

    def content(spot: int) -> tuple[str, ...]:
        place = places[spot]
        return (*(repr(arms.keys[side][place]) for side in "12"), *map(str, arms.settings[place]))

    later = {spot for part in shared_arms(arms, rows) for spot in sorted(part.rows.spots, key=content)[1:]}
    seen: set[tuple[Key, Key]] = set()
    left: list[int] = []
    for spot in sorted(rows.spots, key=content):
        place = places[spot]
        mark = (arms.keys["1"][place], arms.keys["2"][place])
        if spot not in later and (mark not in seen or row_digits(arms, place) < ROW):
            left.append(place)
            seen.add(mark)
    left.sort()
    if len(left) < 2:
        return None
    labels = any(len({arms.labels[side][place] for place in left}) > 1 for side in "12")
    equal_n = same(arms, left, "1", "n") and same(arms, left, "2", "n")
    for i, (name, role) in enumerate((("outcomes", "outcome"), ("instruments", "instrument"), ("times", "weeks"))):
        values = list(dict.fromkeys(arms.settings[place][i] for place in left))
        told = [value for value in values if value not in {"", "nan"}]
        if len(told) > 1:
            return _Kind(rows, name, equal_n and not labels, f"{scene.column(role)} {_listed(told)}")
    if _apart(scene, arms, left):
        return _Kind(rows, "people", False, "")
    strata = [stratum for stratum in dict.fromkeys(arms.strata[place] for place in left) if stratum]
    if not labels and len(strata) > 1:
        return _Kind(rows, "strata", False, f"{scene.column('stratum')} {_listed(strata)}")
    return _Kind(rows, "arms" if labels else "unclear", False, "labels of the arms" if labels else "nothing")


def _listed(values: Sequence[str]) -> str:
    """List the values that tell rows apart, the first four of many; numbers without needless decimals."""
    shown = [value.removesuffix(".0") for value in values[:4]]
    return ", ".join(shown) + (f" and {len(values) - 4} more" if len(values) > 4 else "")


def _apart(scene: Scene, arms: ArmTable, places: Sequence[int]) -> bool:
    """Tell whether rows look like separate groups of people.

    Either the years differ, as of two studies of one author; or all numbers differ in both arms, and so do the sizes,
    the labels of an arm or the strata; or, where there is one group, its size.
    """
    years = {arms.years[place] for place in places}
    if len(years) == len(places) and not np.isnan(list(years)).any():
        return True
    if not scene.has("n_1") and not scene.has("n_2"):
        return _other_sizes([float(arms.single[place]) for place in places])
    keys = [[arms.keys[side][place] for place in places] for side in "12"]
    known = all(any(value is not None for value in key) for side in keys for key in side)
    if not known or any(len(set(side)) < len(places) for side in keys):
        return False
    sizes = all(_other_sizes([arms.number("n", place, side) for place in places]) for side in "12")
    labels = any(len({arms.labels[side][place] for place in places}) == len(places) for side in "12")
    return sizes or labels or len({arms.strata[place] for place in places}) == len(places)


def _other_sizes(n: Sequence[float]) -> bool:
    """Tell whether numbers of people differ by more, each from the next, than people who leave a trial explain."""
    order = sorted(n)
    return all(isfinite(size) for size in order) and all(b >= LEFT * a for a, b in pairwise(order))


def _factors(kinds: Sequence[_Kind]) -> dict[str, float]:
    """Return by how much the standard error of a study's mean is too small under three correlations: their median."""
    sizes: dict[int, list[Floats]] = {}
    for kind in kinds:
        sizes.setdefault(len(kind.rows.spots), []).append(kind.rows.vi)
    stacks = [np.array(found) for found in sizes.values()]
    return {
        f"se_factor_{rho}": float(np.median(np.concatenate([se_factor(assumed_covariance(v, rho)) for v in stacks])))
        for rho in (LOW, HALF, HIGH)
    }


def _several_finding(scene: Scene, severity: Severity, kind: _Kind) -> Finding:
    """Word the rows of one study."""
    places, factors = kind.rows.places, _factors((kind,))
    study = scene.texts("study")[places[0]]
    where = ", ".join(scene.trials.rows[place] for place in places[:MANY]) + (" ..." if len(places) > MANY else "")
    why = {
        "arms": "They differ in the labels of their arms",
        "unclear": "No column tells what differs between them",
    }.get(kind.name, f"They differ in {kind.words}")
    people = ", with the same number of people in both arms, so that the same people are counted again"
    return Finding(
        rule="several-rows",
        severity=severity,
        rows=places,
        says=f"{study} enters one pool {times(len(places))} ({where}). {why}{people if kind.same_people else ''}. If "
        f"the effects correlate by {fixed(HALF, 1)}, the standard error of their mean is "
        f"{fixed(factors[f'se_factor_{HALF}'])} times what {_taker(scene)} takes it for "
        f"({fixed(factors[f'se_factor_{LOW}'])} at {fixed(LOW, 1)}, {fixed(factors[f'se_factor_{HIGH}'])} at "
        f"{fixed(HIGH, 1)}).",
        fix=_mend(scene, MEND),
        evidence={"rows": float(len(places)), "differ_in": kind.name, **factors},
        cells=_cells(scene, (kind,)),
        proposals=_several_proposals((kind,)),
    )


def _many_finding(scene: Scene, severity: Severity, kinds: Sequence[_Kind]) -> Finding:
    """Word the rows of many studies of one pool together."""
    places = tuple(place for kind in kinds for place in kind.rows.places)
    pool, studies = kinds[0].rows.pool, scene.texts("study")
    usable = [int(place) for place in pool.places[pool.estimable]]
    sources = len({studies[place].strip().casefold() for place in usable})
    names = ", ".join(f"{studies[kind.rows.places[0]]} ({len(kind.rows.places)} rows)" for kind in kinds[:MANY])
    factors = _factors(kinds)
    people = ", each with the same number of people in both arms" if severity == "error" else ""
    return Finding(
        rule="several-rows",
        severity=severity,
        rows=places,
        says=f"{_intake(scene, len(usable), sources)}: {len(kinds)} studies enter more than once, with "
        f"{len(places)} rows{people} ({names} and {len(kinds) - MANY} more). If the effects of a study "
        f"correlate by {fixed(HALF, 1)}, the standard error of its mean is typically "
        f"{fixed(factors[f'se_factor_{HALF}'])} times what {_taker(scene)} takes it for.",
        fix=_mend(scene, MEND),
        evidence={"rows": float(len(usable)), "studies": float(sources), "repeated": float(len(kinds)), **factors},
        cells=_cells(scene, kinds),
        proposals=_several_proposals(kinds),
        whole=True,
    )


def _intake(scene: Scene, rows: int, sources: int) -> str:
    """Say how many rows of how many studies the pool takes in, and as what."""
    if scene.plan.modelled:
        return f"The pool has {rows} rows of {sources} studies, which it models as dependent"
    return f"The pool takes {rows} rows of {sources} studies as independent"


def _people_finding(scene: Scene, kinds: Sequence[_Kind]) -> Finding:
    """Tell the studies of one pool whose rows look like separate groups of people."""
    places = tuple(place for kind in kinds for place in kind.rows.places)
    studies, rows = scene.texts("study"), scene.trials.rows
    names = [
        f"{studies[kind.rows.places[0]]} ({', '.join(rows[place] for place in kind.rows.places)})"
        for kind in kinds[:MANY]
    ]
    more = f" and {len(kinds) - MANY} more" if len(kinds) > MANY else ""
    return Finding(
        rule="several-rows",
        severity="information",
        rows=places,
        says=f"{', '.join(names)}{more}: several rows of a study in one pool, of other years or "
        "with other numbers of people, which looks like separate groups. Then nobody is counted twice.",
        fix="Make sure that the groups do not overlap, and that they are not the same people at several times",
        evidence={"studies": float(len(kinds)), "rows": float(len(places))},
        cells=_cells(scene, kinds),
        whole=True,
    )


def _cells(scene: Scene, kinds: Sequence[_Kind]) -> tuple[Cell, ...]:
    """Return the cells that tell the rows apart, or those of the study's name."""
    roles = {"outcomes": "outcome", "instruments": "instrument", "times": "weeks", "strata": "stratum"}
    places = [(place, roles.get(kind.name, "study")) for kind in kinds for place in kind.rows.places]
    return tuple(Cell(place, role) for place, role in places if scene.has(role))


def _several_proposals(kinds: Sequence[_Kind]) -> tuple[Proposal, ...]:
    """Propose to take the rows of each study together under the assumed correlation, and to keep the first of each."""
    joints = tuple(Joint(kind.rows.places, nested(assumed_covariance(kind.rows.vi))) for kind in kinds)
    later = tuple(place for kind in kinds for place in kind.rows.places[1:])
    return Proposal(f"{TOGETHER}, correlation {fixed(HALF, 1)}", joint=joints), Proposal(FIRST, without=later)


@rule(
    "choice-of-rows",
    severity="information",
    title="several eligible rows of a study and no word on which to choose",
    why="Half of all trial reports give several times, scales or analyses for one outcome. Who picks one after having "
    "seen the results can move the pooled effect a long way; a rule that was written beforehand, or a look at all "
    "choices, shows that nobody did.",
    cite="page2015 tendal2011",
)
def choice_of_rows(scene: Scene) -> Outcome:
    """Find pools in which studies offer several times, instruments or outcomes, and bound what a choice could do.

    The proposals keep the lowest and the highest effect of each such study. Tables with a column that tells the chosen
    rows (`selected`, `primary`, `decision` ...) are left alone.
    """
    if CHOSEN & {normal_name(column) for column in scene.trials.frame.columns}:
        return outcome_of(scene, ())
    arms = arm_table(scene)
    pools: dict[int, list[_Kind]] = {}
    for rows in repeated(scene):
        kind = _kind(scene, arms, rows)
        if kind is not None and kind.name in {"outcomes", "times", "instruments"}:
            pools.setdefault(id(rows.pool), []).append(kind)
    return outcome_of(scene, (_choice_finding(scene, kinds) for kinds in pools.values()))


def _choice_finding(scene: Scene, kinds: Sequence[_Kind]) -> Finding:
    """Word the choices that one pool leaves open, with both ends of what they can do."""
    places = tuple(place for kind in kinds for place in kind.rows.places)
    ends: dict[str, list[int]] = {"lowest": [], "highest": []}
    for kind in kinds:
        order = np.argsort(kind.rows.yi, kind="stable")
        for name, kept in (("lowest", order[0]), ("highest", order[-1])):
            ends[name] += [place for i, place in enumerate(kind.rows.places) if i != kept]
    noun = "study offers" if len(kinds) == 1 else "studies offer"
    return Finding(
        rule="choice-of-rows",
        severity="information",
        rows=places,
        says=f"{len(kinds)} {noun} {len(places)} rows that differ in {_listed(sorted({kind.name for kind in kinds}))}, "
        "and no column says which of them was chosen beforehand.",
        fix="Name the rule by which a time, instrument or outcome is chosen, in a column or in the protocol, and look "
        "at all choices",
        evidence={"studies": float(len(kinds)), "rows": float(len(places))},
        proposals=tuple(Proposal(f"{name} effect of each study", without=tuple(out)) for name, out in ends.items()),
        whole=True,
    )
