"""Effects that point the wrong way: directions that are not stated, signs reversed, arms that changed places."""

from __future__ import annotations

from collections import Counter

import numpy as np

from metaback.checks.findings import Cell, Finding, Outcome, Proposal
from metaback.checks.groups_exchanged import groups_exchanged
from metaback.checks.mends import arms_exchanged, turned_round
from metaback.checks.quick_pools import Quick, name_of, pools_text, shown, usable, whole_pools, without_each
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Pooled, Scene, groups
from metaback.numbers import as_given, fixed, significant
from metaback.stats.coincidences import beyond_chance
from metaback.stats.measures import about, raw_roles

FEWEST = 5  # rows of a pool below which the mean of the others says too little about the sign of one
OUTLYING = 2.0  # deleted residual from which a row is looked at
PER_ROW = 2.0  # how many times likelier per row of the pool the other sign must be; simulated, see `sign_swapped`
LOOKED_AT = 64  # rows of a pool, the farthest, for which the mean of the others is computed
APART = 3  # people by which two arms must differ, so that their numbers can be told to have changed places
SHARE = 0.1  # of the mean arm, likewise
# Instruments of which everybody knows which way they point, in small letters: only used where the table says nothing.
HIGHER = ("sf-36", "sf-12", "eq-5d", "psfs", "koos", "hoos", "6mwt", "6mwd", "6-minute walk", "berg balance", "sppb")
LOWER = ("oswestry", "odi", "rmdq", "roland", "nprs", "phq-9", "hads", "bdi", "womac", "ndi", "dash", "timed up and go")


# ---------------------------------------------------------------- directions that are not said


@rule(
    "direction-missing",
    severity="error",
    title="instruments whose direction is not stated",
    why="On some instruments a high score is good, on others it is bad. Pooled without a word on it, an improvement on "
    "one cancels an improvement on the other, and the pooled effect is too small or points the wrong way.",
    needs=["instrument"],
    cite="gotzsche2007 higgins2024",
)
def direction_missing(scene: Scene) -> Outcome:
    """Find pools of several instruments of which not each is said to be better when high or when low.

    A warning; an error where the names of the silent instruments are known to point different ways (a PSFS beside an
    ODI). Not asked of counts and of measures without a direction.
    """
    names = [text.strip() for text in scene.texts("instrument")]
    findings: list[Finding] = []
    examined = 0
    for pool in scene.pools:
        facts = about(pool.measure)
        if facts.turn == "same" or facts.kind == "counts":
            continue
        places = [int(place) for place in pool.places[pool.estimable]]
        examined += len(places)
        spoken = {names[i].casefold() for i in places if scene.scales and scene.scales[i].higher_is_better is not None}
        every = {names[i].casefold(): names[i] for i in places if names[i]}
        silent = {key: name for key, name in every.items() if key not in spoken}
        if len(every) > 1 and silent:
            rows = tuple(i for i in places if names[i].casefold() in silent)
            findings.append(_silent(scene, pool, rows, silent, every))
    return Outcome(tuple(findings), examined)


def _silent(
    scene: Scene, pool: Pooled, rows: tuple[int, ...], silent: dict[str, str], every: dict[str, str]
) -> Finding:
    """Word a pool of instruments without a direction."""
    up = [name for key, name in silent.items() if any(word in key for word in HIGHER)]
    down = [name for key, name in silent.items() if any(word in key for word in LOWER)]
    listed = ", ".join(silent.values())
    clash = f"; on {up[0]} a high score is usually good, on {down[0]} bad" if up and down else ""
    return Finding(
        rule="direction-missing",
        severity="error" if clash else "warning",
        rows=rows,
        says=f"{name_of(pool)}: {len(every)} instruments are pooled, and the table does not say whether higher is "
        f"better on {listed} ({len(rows)} rows){clash}.",
        fix="Fill a column higher_is_better with true or false for each row, or describe the instruments "
        "(instruments={'ODI': {'higher_is_better': False}}); rows that point the other way are then turned",
        evidence={"instruments": float(len(every)), "silent": ", ".join(sorted(silent.values(), key=str.casefold))},
        whole=True,
    )


# ---------------------------------------------------------------- signs


@rule(
    "sign-swapped",
    severity="warning",
    title="effects with the wrong sign",
    why="A difference taken the wrong way round, or a score on which low is good read as one on which high is good, "
    "turns a benefit into a harm. One such row pulls the pooled effect towards zero and makes the trials look far more "
    "heterogeneous than they are.",
    cite="gotzsche2007 viechtbauer2010b",
)
def sign_swapped(scene: Scene) -> Outcome:
    """Find rows that fit the others of their pool much better with the other sign, and rows that contradict `sign`.

    With m, s2 the mean of the k - 1 other rows and its variance, tau2 theirs by DerSimonian and Laird and
    S = v + tau2 + s2: |y - m| / sqrt(S) > 2, |-y - m| / sqrt(S) < 2, and the ratio of the t densities (k - 2 df) of
    both residuals is above 2 k. In pools of 6, 10 and 20 clean trials with 10 to 30 people per arm, d of 0.3 to 2 and
    tau of 0 to 0.4 this flags 0 to 6% of pools, and finds 79 to 95% of turned signs of d = 1 at tau = 0.2; at d = 0.3
    hardly any, because there the sign cannot be told from chance, which the coverage says.
    """
    findings = _stated_signs(scene)
    known = {finding.rows for finding in findings}
    dim = blurred = examined = 0
    signless = [pool.measure for pool in scene.pools if not _can_turn(pool.measure)]
    signed = [(pool, int(usable(pool).sum())) for pool in scene.pools if _can_turn(pool.measure)]
    enough = [(pool, count) for pool, count in signed if count >= FEWEST]
    few = len(signed) - len(enough)
    for (pool, count), whole in zip(enough, whole_pools([pool for pool, _ in enough]), strict=True):
        told = int(_told_apart(pool, whole).sum())
        examined += told
        dim, blurred = dim + (count > told), blurred + count - told
        rows = [row for row in _reversed(pool, whole) if (pool.places[row[0]],) not in known]
        findings += [_sign_finding(scene, pool, *row) for row in rows]
    passed = [f"{key}: its effects have no other sign to compare with" for key in dict.fromkeys(signless)]
    passed += [f"{pools_text(few)} with fewer than {FEWEST} effects"] if few else []
    passed += (
        [f"{blurred} rows of {pools_text(dim)} in which a wrong sign could not be told from chance"] if dim else []
    )
    return Outcome(tuple(findings), examined, tuple(passed))


def _can_turn(measure: str) -> bool:
    """Tell whether minus the effect is what the row would have with its arms (or its direction) the other way round."""
    facts, roles = about(measure), raw_roles(measure)
    arms = any(role.endswith("_1") for role in roles) and any(role.endswith("_2") for role in roles)
    return measure in {"HR", "HD"} or facts.turn == "sign" or (facts.turn != "complement" and arms)


def _evidence(y: Floats, mean: Floats, total: Floats, k: int) -> tuple[Floats, Floats, Floats]:
    """Return both residuals in standard errors, and ln of the ratio of their t densities on k - 2 df."""
    df = k - 2.0
    as_is, turned = (y - mean) / np.sqrt(total), (-y - mean) / np.sqrt(total)
    return as_is, turned, (df + 1) / 2 * (np.log1p(as_is**2 / df) - np.log1p(turned**2 / df))


def _told_apart(pool: Pooled, found: Quick) -> Bools:
    """Tell the rows of which a reversed sign would be found if they lay right at the mean, (m,)."""
    ok = usable(pool)
    total = np.where(ok, pool.vi, 1.0) + found.tau2[0] + found.variance[0]
    mean = np.full(ok.size, found.mean[0])
    as_is, _, ratio = _evidence(-mean, mean, total, int(ok.sum()))
    return ok & (np.abs(as_is) > OUTLYING) & (ratio > np.log(PER_ROW * ok.sum()))


def _reversed(pool: Pooled, found: Quick) -> list[tuple[int, float, float, float]]:
    """Return the rows that fit with the other sign: position in the pool, mean of the others, residual, ratio."""
    ok = usable(pool)
    k = int(ok.sum())
    y, v = np.where(ok, pool.yi, 0.0), np.where(ok, pool.vi, 1.0)
    away = np.abs(y - found.mean[0]) / np.sqrt(v + found.tau2[0])
    candidates = np.flatnonzero(ok & (y * found.mean[0] < 0) & (away > OUTLYING / 2))
    rows = candidates[np.argsort(-away[candidates], kind="stable")][:LOOKED_AT]
    if not rows.size:
        return []
    others: Quick = without_each(pool, rows)
    as_is, turned, ratio = _evidence(y[rows], others.mean, v[rows] + others.tau2 + others.variance, k)
    hit = (np.abs(as_is) > OUTLYING) & (np.abs(turned) < OUTLYING) & (ratio > np.log(PER_ROW * k))
    return [
        (int(row), float(mean), float(residual), float(np.exp(log)))
        for row, mean, residual, log, flagged in zip(rows, others.mean, as_is, ratio, hit, strict=True)
        if flagged
    ]


def _sign_finding(scene: Scene, pool: Pooled, row: int, mean: float, residual: float, ratio: float) -> Finding:
    """Word one row that fits with the other sign."""
    place = int(pool.places[row])
    effect, usual, other = (fixed(float(value)) for value in shown(pool, np.array([pool.yi[row], mean, -pool.yi[row]])))
    changes = turned_round(scene, pool, place)
    counted = any(change.role.startswith("events") for change in changes)
    name = "the arms the other way round" if counted else "the effect with the other sign"
    count = int(usable(pool).sum()) - 1
    return Finding(
        rule="sign-swapped",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: the {pool.measure} of {effect} lies {fixed(abs(residual), 1)} standard errors "
        f"from {usual}, the mean of the {count} other rows, on the other side of no effect; the other way round it "
        f"would be {other}, which fits {significant(ratio, 2)} times as well.",
        fix="Look into the trial's report which arm did better, and whether a high score is good; then put the means "
        "into the right columns, or correct higher_is_better or the sign",
        evidence={"effect": float(pool.yi[row]), "others": mean, "residual": residual, "likelihood_ratio": ratio},
        cells=tuple(Cell(place, change.role) for change in changes if scene.has(change.role)),
        proposals=(Proposal(name, changes),) if changes else (),
    )


def _stated_signs(scene: Scene) -> list[Finding]:
    """Find rows whose difference has another sign than the one that the table states for it."""
    if not scene.has("sign"):
        return []
    stated = np.sign(scene.numbers("sign"))
    own = _raw_sign(scene)
    found: list[Finding] = []
    pools = {int(place): pool for pool in scene.pools for place in pool.places[pool.estimable]}
    for place in np.flatnonzero(stated * own < 0).tolist():
        changes = turned_round(scene, pools[place], place) if place in pools else ()
        numbers = {role: as_given(float(scene.numbers(role)[place])) for role in ("mean_1", "mean_2", "effect", "yi")}
        listed = ", ".join(f"{role} {text}" for role, text in numbers.items() if scene.has(role) and len(text) > 0)
        words = "positive" if stated[place] > 0 else "negative"
        found.append(
            Finding(
                rule="sign-swapped",
                severity="warning",
                rows=(place,),
                says=f"{scene.label(place)}: column {scene.column('sign')} says that the effect is {words}, and the "
                f"numbers of the row give the other sign ({listed}).",
                fix="Find out which of the two is right; sign is that of arm 1 minus arm 2",
                evidence={"stated": float(stated[place])},
                cells=(Cell(place, "sign"), *(Cell(place, change.role) for change in changes)),
                proposals=(Proposal("the effect with the stated sign", changes),) if changes else (),
            )
        )
    return found


def _raw_sign(scene: Scene) -> Floats:
    """Return the sign of arm 1 minus arm 2 as the numbers of each row have it, nan where they do not tell."""
    found = np.full(scene.k, np.nan)
    ratio = np.array([_is_ratio(text) for text in scene.texts("measure")], dtype=bool)
    effect = scene.numbers("effect")
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(ratio, np.log(effect), effect)
    pairs = (("mean_1", "mean_2"), ("mean_post_1", "mean_post_2"), ("mean_change_1", "mean_change_2"))
    sources = [*(scene.numbers(one) - scene.numbers(two) for one, two in pairs), scene.numbers("yi"), effect]
    for values in sources:
        found = np.where(np.isnan(found), np.sign(values), found)
    return found


def _is_ratio(text: str) -> bool:
    """Tell whether a row names a measure whose printed effects are ratios."""
    return text.upper() in {"OR", "RR", "HR", "IRR", "ROM", "PETO"}


# ---------------------------------------------------------------- arms


@rule(
    "arms-swapped",
    severity="warning",
    title="arms or groups of a study that change places between its rows",
    why="Where one row of a study has the numbers of arm 1 in the columns of arm 2, its effect gets the wrong sign. "
    "The numbers of people give it away: they change places against the other rows of the same study. Where two groups "
    "of a study (younger and older people) change places, the pool of one of them has the results of the other.",
    needs=["n_1 n_2"],
    cite="gotzsche2007",
)
def arms_swapped(scene: Scene) -> Outcome:
    """Find rows whose arms have the numbers of people of another row of their study, in reverse.

    n1 = a, n2 = b against n1 = b, n2 = a after the treatments of both rows were put into one order, where a and b
    differ by at least 3 people and a tenth of their mean. The side with fewer rows is told; of two rows the later one.
    And two groups of a study whose numbers of people change places between two outcomes; see `groups_exchanged`.
    Where the arms of a study have many sizes, some stand the other way round by chance: told are the studies with the
    fewest such chances, `_by_chance`, up to where chance would give half of what is told.
    """
    n1, n2 = scene.numbers("n_1"), scene.numbers("n_2")
    words = [zip(scene.texts(f"treatment_{arm}"), scene.texts(f"arm_{arm}"), strict=True) for arm in "12"]
    first, second = ([f"{treatment}|{name}" for treatment, name in arm] for arm in words)
    pairs = tuple("||".join(sorted(pair)) for pair in zip(first, second, strict=True))
    reverse = np.array([one.casefold() > two.casefold() for one, two in zip(first, second, strict=True)], dtype=bool)
    a, b = np.where(reverse, n2, n1), np.where(reverse, n1, n2)
    clear = np.isfinite(a + b) & (np.abs(a - b) >= np.maximum(APART, SHARE * (a + b) / 2))
    every = (places[clear[places]] for _, places in groups(scene.texts("study"), pairs))
    studies = [rows for rows in every if rows.size > 1]
    passed = () if studies else ("no study has two rows with arms of different size about the same treatments",)
    mixed = [rows for rows in studies if len({*zip(a[rows].tolist(), b[rows].tolist(), strict=True)}) > 1]
    odd = [_odd(rows, a, b) for rows in mixed]
    told = beyond_chance(np.array([_by_chance(rows, a, b) for rows in mixed]), np.array([float(len(x)) for x in odd]))
    if left := sum(len(x) > 0 for x, ok in zip(odd, told, strict=True) if not ok):
        passed = (f"{left} studies whose arms have so many sizes that some stand the other way round by chance",)
    found = [
        _exchanged(scene, *each, (a, b)) for each, ok in zip(zip(mixed, odd, strict=True), told, strict=True) if ok
    ]
    examined = sum(rows.size for rows in studies)
    return Outcome((*(one for part in found for one in part), *groups_exchanged(scene)), examined, passed)


def _odd(rows: Places, a: Floats, b: Floats) -> set[tuple[float, float]]:
    """Return the sizes of arms of one study that stand the other way round than in most of its rows."""
    counts = Counter((float(a[i]), float(b[i])) for i in rows)
    order = {pair: place for place, pair in enumerate(counts)}
    return {pair for pair in counts if _fewer(pair, counts, order)}


def _by_chance(rows: Places, a: Floats, b: Floats) -> float:
    """Return how many pairs of rows with different sizes would have them in reverse by chance.

    D(D - 1)/2 pairs of the D different sizes, each with a chance of 1/W^2 of being the other's reverse, where W is the
    number of sizes from the smallest arm to the largest.
    """
    sizes = np.unique(np.column_stack([a[rows], b[rows]]), axis=0)
    width = float(sizes.max() - sizes.min()) + 1
    return len(sizes) * (len(sizes) - 1) / 2 / width**2


def _exchanged(
    scene: Scene, rows: Places, odd: set[tuple[float, float]], sizes: tuple[Floats, Floats]
) -> list[Finding]:
    """Word the rows of one study whose numbers of people stand the other way round than in most of its rows."""
    pairs = {int(i): (float(sizes[0][i]), float(sizes[1][i])) for i in rows}
    alike: dict[tuple[float, float], list[int]] = {}
    for place, pair in pairs.items():
        alike.setdefault(pair, []).append(place)
    found: list[Finding] = []
    for place, (first, second) in pairs.items():
        if (first, second) not in odd:
            continue
        mates = alike[second, first]
        one, two = (as_given(float(scene.numbers(f"n_{arm}")[place])) for arm in "12")
        changes = arms_exchanged(scene, place)
        found.append(
            Finding(
                rule="arms-swapped",
                severity="warning",
                rows=(place,),
                says=f"{scene.label(place)}: the arms have {one} and {two} people, just the other way round than in "
                f"{scene.labels(mates)} of the same study and treatments; the numbers of the arms may have changed "
                "places.",
                fix="Look into the trial's report which arm had how many people, and put the numbers of each arm into "
                "its columns",
                evidence={"n_1": float(scene.numbers("n_1")[place]), "n_2": float(scene.numbers("n_2")[place])},
                cells=tuple(Cell(place, change.role) for change in changes),
                proposals=(Proposal("the numbers of both arms exchanged", changes),),
            )
        )
    return found


def _fewer(
    pair: tuple[float, float], counts: Counter[tuple[float, float]], order: dict[tuple[float, float], int]
) -> bool:
    """Tell whether the mirror of a pair of sizes has more rows, or as many and stood there first."""
    mirror = (pair[1], pair[0])
    count, other = counts[pair], counts[mirror]
    return bool(other) and (count < other or (count == other and order[mirror] < order[pair]))
