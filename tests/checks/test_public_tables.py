"""What the check says of public data sets, as R's metadat has them: every error is defended, and noise cannot grow.

`docs/checks/public-tables.md` has the verdict on each error and warning. The tables are written by
`tests/reference/generate_check_tables.R`.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import pytest

import metaback as mb
from metaback.audits import Checks
from metaback.checks.findings import Finding

FOLDER = Path(__file__).parent / "public"
FEWEST_TABLES = 45
# Table -> measure ("" for effects that are given), and how many warnings it has at most.
TABLES: dict[str, tuple[str, int]] = {
    "aloe2013": ("PCOR", 0),
    "anand1999": ("OR", 2),
    "assink2016": ("", 1),
    "axfors2021": ("OR", 1),
    "bakdash2021": ("", 22),
    "baker2009": ("OR", 0),
    "bangertdrowns2004": ("", 0),
    "baskerville2012": ("", 2),
    "bcg": ("RR", 0),
    "begg1989": ("", 4),
    "berkey1998": ("", 0),
    "besson2016": ("SMD", 46),
    "bonett2010": ("ABT", 0),
    "bornmann2007": ("OR", 4),
    "bourassa1996": ("OR", 1),
    "cannon2006": ("OR", 0),
    "cohen1981": ("ZCOR", 1),
    "collins1985a": ("OR", 0),
    "collins1985b": ("OR", 0),
    "craft2003": ("ZCOR", 0),
    "crede2010": ("ZCOR", 4),
    "curtis1998": ("ROM", 7),
    "dagostino1998": ("SMD", 0),
    "dagostino1998_counts": ("OR", 0),
    "damico2009": ("OR", 0),
    "debruin2009": ("PLO", 0),
    "dogliotti2014": ("OR", 0),
    "dorn2007": ("OR", 0),
    "egger2001": ("RR", 0),
    "fine1993": ("OR", 0),
    "franchini2012": ("MD", 0),
    "gibson2002": ("MD", 0),
    "gibson2002_counts": ("OR", 0),
    "graves2010": ("OR", 3),
    "gurusamy2011": ("OR", 0),
    "hackshaw1998": ("OR", 1),
    "hahn2001": ("OR", 0),
    "hannum2020": ("PLO", 0),
    "hart1999": ("IRR", 0),
    "hartmannboyce2018": ("OR", 1),
    "hasselblad1998": ("OR", 4),
    "hine1989": ("RD", 0),
    "ishak2007": ("MD", 1),
    "kalaian1996": ("", 0),
    "kearon1998": ("OR", 0),
    "knapp2017": ("", 5),
    "konstantopoulos2011": ("", 1),
    "landenberger2005": ("OR", 5),
    "laopaiboon2015": ("OR", 0),
    "lau1992": ("RR", 0),
    "lee2004": ("OR", 0),
    "lehmann2018": ("SMD", 2),
    "li2007": ("OR", 0),
    "linde2005": ("OR", 0),
    "linde2015": ("OR", 0),
    "linde2016": ("OR", 0),
    "lopez2019": ("", 8),
    "mccurdy2020": ("", 1),
    "mcdaniel1994": ("ZCOR", 1),
    "michael2013": ("MD", 1),
    "molloy2014": ("ZCOR", 0),
    "nakagawa2007": ("ZCOR", 0),
    "nielweise2007": ("OR", 0),
    "nielweise2008": ("IRR", 0),
    "normand1999": ("MD", 1),
    "pagliaro1992": ("OR", 0),
    "pignon2000": ("HR", 0),
    "pritz1997": ("PFT", 0),
    "raudenbush1985": ("", 1),
    "riley2003": ("", 0),
    "senn2013": ("MD", 3),
    "stowe2010": ("MD", 0),
    "tannersmith2016": ("", 1),
    "vanhowe1999": ("OR", 0),
    "viechtbauer2021": ("OR", 1),
    "white2020": ("ZCOR", 7),
    "yusuf1985": ("OR", 0),
}
DEFENDED: dict[str, dict[tuple[str, str], str]] = {
    "besson2016": {
        ("shared-control", "s_01"): "the documentation of the data counts control groups that are used several times",
        ("shared-control", "s_09"): "control groups used several times, as the column multi_use_con of the data says",
        ("shared-control", "s_30"): "control groups used several times, as the column multi_use_con of the data says",
        ("shared-control", "s_74"): "control groups used several times, as the column multi_use_con of the data says",
        (
            "se-as-sd",
            "s_15",
        ): "times on the open arm with SDs of 1.6 beside 14 to 98 in the five other studies: another "
        "unit or another statistic, and d = 3.9",
        ("implausible-effect", "s_33"): "d = -4.1 of rats: nobody should pool it before having looked",
        ("implausible-effect", "s_57"): "d = 3.0 of 8 rats per group: nobody should pool it before having looked",
        ("implausible-effect", "s_61"): "d = -4.2 of 36 and 32 rats: nobody should pool it before having looked",
    },
    "curtis1998": {
        ("shared-control", "paper 2223"): "two tree species have the same control mean, SD and n to four digits: a row "
        "was copied, or one of the species is wrong",
    },
    "fine1993": {("several-rows", "1"): "the same patients counted at 6, 12, 18 and 24 months"},
    "knapp2017": {("several-rows", "Elliott et al."): "12 patients with two tasks at four difficulties, as documented"},
}


@cache
def checked(name: str, preset: str = "cochrane") -> Checks:
    """Return the check of one table; a Python warning is a failure."""
    measure = TABLES[name][0] or None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return mb.check(FOLDER / f"{name}.csv", measure=measure, preset=preset, ci="HKSJ")


def of_severity(found: Checks, severity: str) -> list[tuple[Finding, str]]:
    """Return findings of one severity, each with the study of its first row."""
    studies = found.audit.trials.texts("study")
    findings = [reviewed.finding for reviewed in found.audit.findings]
    return [(finding, studies[finding.rows[0]]) for finding in findings if finding.severity == severity]


def test_the_tables_are_those_of_the_folder_and_cannot_become_fewer() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.csv")) == sorted(TABLES)
    assert len(TABLES) >= FEWEST_TABLES


@pytest.mark.parametrize("name", TABLES)
def test_every_error_is_one_that_can_be_defended(name: str) -> None:
    errors = {(finding.rule, study) for finding, study in of_severity(checked(name), "error")}
    assert errors == set(DEFENDED.get(name, {}))


@pytest.mark.parametrize("name", TABLES)
def test_warnings_do_not_become_more(name: str) -> None:
    told = [f"{finding.rule}: {study}" for finding, study in of_severity(checked(name), "warning")]
    assert len(told) <= TABLES[name][1], told


@pytest.mark.parametrize("name", TABLES)
def test_effects_can_be_computed(name: str) -> None:
    assert checked(name).audit.refused == ()


def test_defended_errors_are_written_down_with_their_verdicts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks" / "public-tables.md").read_text(encoding="utf-8")
    rows = {tuple(part.strip(" `") for part in line.split("|")[1:3]) for line in page.splitlines() if "|" in line}
    told = {
        (name, f"{severity}: {finding.rule}")
        for name in TABLES
        for severity in ("error", "warning")
        for finding, _ in of_severity(checked(name), severity)
    }
    assert told - rows == set()


@pytest.mark.parametrize("name", ["bcg", "normand1999", "li2007", "curtis1998", "cannon2006"])
def test_another_preset_makes_no_more_errors(name: str) -> None:
    errors = {(finding.rule, study) for finding, study in of_severity(checked(name, "revman5"), "error")}
    assert errors == set(DEFENDED.get(name, {}))


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("curtis1998", "SMD"),
        ("curtis1998", "MD"),
        ("normand1999", "SMD"),
        ("michael2013", "SMD"),
        ("gibson2002", "SMD"),
        ("bcg", "OR"),
        ("bcg", "RD"),
        ("lau1992", "PETO"),
        ("anand1999", "RR"),
        ("molloy2014", "COR"),
        ("pritz1997", "PR"),
    ],
)
def test_another_measure_makes_no_more_errors(name: str, measure: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mb.check(FOLDER / f"{name}.csv", measure=measure, ci="HKSJ")
    errors = {(finding.rule, study) for finding, study in of_severity(found, "error")}
    assert errors <= set(DEFENDED.get(name, {}))
