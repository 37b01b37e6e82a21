"""Standard deviations that do not fit: standard errors in their place, and the other way round."""

from __future__ import annotations

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.rules import rule
from metaback.checks.scene import Floats, Places, Scene, groups, units
from metaback.numbers import significant

ARMS = "n_1 sd_1 n_2 sd_2"
LOG2 = float(np.log(2))
FEWEST = 5  # rows of one outcome and instrument without which there is nothing to compare a spread with


def log_spread(scene: Scene) -> tuple[Floats, Floats]:
    """Return per row ln of the pooled SD of both arms, and half ln of the mean arm size, nan where a number lacks.

    SD = sqrt(((n1 - 1) sd1^2 + (n2 - 1) sd2^2) / (n1 + n2 - 2)).
    """
    n1, sd1, n2, sd2 = (scene.numbers(role) for role in ARMS.split())
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))
        spread = np.where(pooled > 0, np.log(pooled), np.nan)
        size = 0.5 * np.log((n1 + n2) / 2)
    return spread, size


@rule(
    "se-as-sd",
    severity="error",
    title="standard errors in the place of standard deviations",
    why="A standard error is the SD divided by the square root of n. Taken for an SD it makes a trial look far more "
    "precise, and its standardised difference far larger, than it is: by sqrt(n), about four times in a trial with 15 "
    "people per arm.",
    needs=[ARMS],
    cite="kadlec2023",
)
def se_as_sd(scene: Scene) -> Outcome:
    """Find rows whose SDs are too small by about the square root of n, against the other rows of their outcome.

    With L = ln SD and m its median over the rows of one outcome and instrument: m - L > ln 2, and L + ln(n) / 2 lies
    within ln 2 of m and nearer to it than L does. An error where also |d| > 3, else a warning.
    """
    spread, size = log_spread(scene)
    findings: list[Finding] = []
    passed: list[str] = []
    examined = 0
    for values, places in groups(units(scene)):
        known = places[np.isfinite(spread[places])]
        if known.size < FEWEST:
            passed.append(f"{values[0].split('|')[0] or 'the table'}: {known.size} rows with SDs, {FEWEST} needed")
            continue
        examined += known.size
        middle = float(np.median(spread[known]))
        as_sd = spread[known] + size[known]
        low = (middle - spread[known] > LOG2) & (np.abs(as_sd - middle) < LOG2)
        low &= np.abs(as_sd - middle) < middle - spread[known]
        findings += [_se_finding(scene, int(place), middle, known) for place in known[low]]
    return Outcome(tuple(findings), examined, tuple(passed))


def _se_finding(scene: Scene, place: int, middle: float, known: Places) -> Finding:
    """Word one row whose SDs look like standard errors."""
    changes = tuple(
        Change(place, f"sd_{arm}", float(scene.numbers(f"sd_{arm}")[place] * np.sqrt(scene.numbers(f"n_{arm}")[place])))
        for arm in "12"
    )
    sds = " and ".join(significant(float(scene.numbers(f"sd_{arm}")[place])) for arm in "12")
    right = " and ".join(significant(change.value) for change in changes)
    usual = significant(float(np.exp(middle)))
    return Finding(
        rule="se-as-sd",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: the SDs {sds} are far below the usual {usual} of the {known.size} rows with this "
        f"outcome; read as standard errors they would be SDs of {right}, which fits.",
        fix="Look into the trial's report whether these are SDs or SEs (SEM), and put SDs into the table",
        evidence={"usual_sd": float(np.exp(middle))},
        cells=(Cell(place, "sd_1"), Cell(place, "sd_2")),
        proposals=(Proposal("SEs turned into SDs", changes),),
    )
