"""Two groups of a study whose numbers of people change places between its outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Proposal
from metaback.checks.scene import Scene, groups
from metaback.numbers import as_given

APART = 3  # people by which two groups must differ, so that their numbers can be told to have changed places
SHARE = 0.1  # of the mean group, likewise
MOST = 50  # rows of one study and outcome among which pairs are looked for
TOLD_APART_BY = ("arm_1", "arm_2", "treatment_1", "treatment_2", "stratum")  # and weeks
Size = tuple[float, float]
Label = tuple[str, ...]
Pair = tuple[int, int]


def groups_exchanged(scene: Scene) -> list[Finding]:
    """Find two rows of a study whose numbers of people stand the other way round than for another outcome.

    Rows l and m of outcome A have n = s and n = t (both arms), and the rows with the same labels of outcome B have
    n = t and n = s, where the sums of s and t differ by at least 3 people and a tenth of their mean. The labels are
    arms, treatments, stratum and weeks, and must tell l from m; another instrument is another outcome here. People who
    leave make one pair of numbers smaller, and do not exchange two. Told are the rows of the outcome that is first by
    its name, so that the order of the table does not matter. A study with more than 50 rows of one outcome is not
    looked at.
    """
    n1, n2 = (scene.numbers(f"n_{arm}") for arm in "12")
    sizes: list[Size] = [(float(one), float(two)) for one, two in zip(n1, n2, strict=True)]
    columns = (*(scene.texts(role) for role in TOLD_APART_BY), map(str, scene.numbers("weeks").tolist()))
    labels = list(zip(*columns, strict=True))
    settings = tuple(zip(scene.texts("outcome"), scene.texts("instrument"), strict=True))
    findings: list[Finding] = []
    told: set[int] = set()
    for _, places in groups(scene.texts("study")):
        rows = [int(i) for i in places if np.isfinite(n1[i] + n2[i])]
        for first, second in _mirrored(rows, settings, labels, sizes) if len(rows) > 3 else ():
            if told.isdisjoint(second):
                findings.append(_exchange(scene, first, second))
                told.update(second)
    return findings


def _mirrored(
    rows: Sequence[int], settings: Sequence[Label], labels: Sequence[Label], sizes: Sequence[Size]
) -> Iterator[tuple[Pair, Pair]]:
    """Yield two rows of one outcome, and those of an outcome before it with their sizes exchanged."""
    outcomes: dict[Label, list[int]] = {}
    for i in rows:
        outcomes.setdefault(settings[i], []).append(i)
    seen: dict[tuple[Label, Label, Size, Size], Pair] = {}
    for _, own in sorted(outcomes.items(), reverse=True):
        if len(own) > MOST or len({labels[i] for i in own}) < len(own):
            continue
        for i, j in combinations(sorted(own, key=lambda row: labels[row]), 2):
            if not _apart(sizes[i], sizes[j]):
                continue
            if (first := seen.get((labels[i], labels[j], sizes[j], sizes[i]))) is not None:
                yield first, (i, j)
            seen.setdefault((labels[i], labels[j], sizes[i], sizes[j]), (i, j))


def _apart(s: Size, t: Size) -> bool:
    """Tell whether two groups are so different in size that an exchange can be seen."""
    return abs(sum(s) - sum(t)) >= max(APART, SHARE * (sum(s) + sum(t)) / 2)


def _exchange(scene: Scene, first: Pair, second: Pair) -> Finding:
    """Word two groups whose sizes change places; `second` holds the rows that are told, in the order of `first`."""
    rows = tuple(sorted(second))
    mate = dict(zip(second, first, strict=True))
    n = {i: tuple(as_given(float(scene.numbers(f"n_{arm}")[i])) for arm in "12") for i in (*first, *second)}
    listed = " and ".join(f"{n[i][0]} + {n[i][1]}" for i in rows)
    mates = scene.labels(tuple(mate[i] for i in rows))
    before = " and ".join(f"{n[mate[i]][0]} + {n[mate[i]][1]}" for i in rows)
    outcomes = [scene.texts("outcome")[i] or "another outcome" for i in (rows[0], first[0])]
    cells = tuple(Cell(i, f"n_{arm}") for i in rows for arm in "12")
    changes = tuple(Change(i, f"n_{arm}", float(scene.numbers(f"n_{arm}")[mate[i]])) for i in rows for arm in "12")
    return Finding(
        rule="arms-swapped",
        severity="warning",
        rows=rows,
        says=f"{scene.labels(rows)}: the two groups have {listed} people for {outcomes[0]}, and just the other way "
        f"round {before} for {outcomes[1]} ({mates}). In one of the two outcomes their "
        "labels or their numbers of people have changed places.",
        fix="Look into the trial's report which group had how many people. A pool of both groups is the same if whole "
        "rows changed places; one of a single group, or subgroups by what tells them apart, is not",
        evidence={"n_1": float(scene.numbers("n_1")[rows[0]]), "n_2": float(scene.numbers("n_2")[rows[0]])},
        cells=cells,
        proposals=(Proposal("only the numbers of people exchanged", changes),),
    )
