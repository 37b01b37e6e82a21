"""Text tables as people send them: what a careful person would read, every guess told, or one error that names it."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.errors import DataError, FileError, MetabackError, OptionError

NAN = math.nan


def read(content: str | bytes, **options: object) -> Trials:
    """Read a table from bytes."""
    return read_trials(content if isinstance(content, bytes) else content.encode(), **options)


def refused(content: str | bytes, **options: object) -> list[tuple[str | None, str | None, str | None, str]]:
    """Return place, value and rule of every problem of a table that must be refused."""
    with pytest.raises(DataError) as caught:
        read(content, **options)
    assert all(problem.fix for problem in caught.value.problems)
    return [(p.column, p.row, p.value, p.rule) for p in caught.value.problems]


def same(found: list[float], expected: list[float]) -> bool:
    """Compare numbers, nan equal to nan."""
    return len(found) == len(expected) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(found, expected, strict=True)
    )


# ---------------------------------------------------------------- loads exactly

COUNTS = "study,events_1,n_1,events_2,n_2\n"
GOOD: dict[str, tuple[str | bytes, dict[str, list[float]], tuple[str, ...]]] = {
    # content, numbers by role, words that must be told
    "utf-16 tab text": ("study\tyi\tsei\nÅ\t0.1\t0.2\n".encode("utf-16"), {"yi": [0.1]}, ()),
    "utf-16 big-endian": (b"\xfe\xff" + "study,yi,sei\nA,0.1,0.2\n".encode("utf-16-be"), {"yi": [0.1]}, ()),
    "cp1252": ("study;yi;sei\nMüller;0.1;0.2\n".encode("cp1252"), {"yi": [0.1]}, ("Windows-1252", "Müller")),
    "cp1252 dash for minus": (b"study,yi,sei\nA,\x960.1,0.2\n", {"yi": [-0.1]}, ("Windows-1252",)),
    "cr only": (b"study,yi,sei\rA,0.1,0.2\r", {"yi": [0.1]}, ()),
    "mixed line ends": (b"study,yi,sei\r\nA,0.1,0.2\rB,0.2,0.2\n", {"yi": [0.1, 0.2]}, ()),
    "sep line": ("sep=;\nstudy;yi;sei\nA;0.1;0.2\n", {"yi": [0.1]}, ()),
    "sep line, unusual": ("sep=:\nstudy:yi:sei\nA:0.1:0.2\n", {"yi": [0.1]}, ()),
    "quoted sep line": ('"sep=|"\nstudy|yi|sei\nA|0.1|0.2\n', {"yi": [0.1]}, ()),
    "commas in names": ('"effect, SMD";study;yi;sei\nx;A;0.1;0.2\n', {"yi": [0.1]}, ()),
    "mean and SD, its own column blank": (
        "study;n_1;mean_1;sd_1;n_2;mean_2;sd_2\nA;20;31,2 (14,8);;20;30,1;13,2\nB;22;30,2;12,1;21;30,1;13,2\n",
        {"mean_1": [31.2, 30.2], "sd_1": [14.8, 12.1]},
        ("read as mean and SD ('sd_1') from one cell; check that it is not a standard error",),
    ),
    "interval beside the same limits": (
        "study,effect,ci_low,ci_high\nA,0.5 (0.2 to 0.8),0.2,0.8\n",
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("the effect and its 95% interval were read from one cell",),
    ),
    "column of intervals": (
        "study,OR,95% CI\nA,2,1-4\nB,2,1 to 4\nC,2,[1; 4]\nD,2,\nE,2,(1.0 \u2013 4.0)\nF,2,NR\n",
        {"ci_low": [1, 1, 1, NAN, 1, NAN], "ci_high": [4, 4, 4, NAN, 4, NAN]},
        ("read as the limits of the 95% interval of the effect ('1-4' in row 2 and 3 more)",),
    ),
    "column of intervals with decimal commas": (
        "study;effect;95% CI\nA;2,5;1,1-4,2\nB;-2,5;-4,2--1,1\n",
        {"ci_low": [1.1, -4.2], "ci_high": [4.2, -1.1]},
        ("limits of the 95% interval", "decimal mark"),
    ),
    "bound on the P of a change": (
        "study,n_1,mean_change_1,p_change_1,n_2,mean_change_2,sd_change_2\nA,20,5,<0.001,20,3,2\nB,20,5,0.04,20,3,2\n",
        {"p_change_1": [NAN, 0.04]},
        ("kept as text in column 'p_change_1_bound'",),
    ),
    "decimal comma": ("study;yi;sei\nA;0,1;0,2\nB;-1,25;0,3\n", {"yi": [0.1, -1.25], "sei": [0.2, 0.3]}, ("decimal",)),
    "quoted decimal comma": ('study,yi,sei\nA,"0,1","0,2"\n', {"yi": [0.1]}, ("',' was read as decimal mark",)),
    "one column each": ("study;yi;sei\nA;0,1;0.2\n", {"yi": [0.1], "sei": [0.2]}, ("column 'yi': ','",)),
    "1.020 beside others": ("study;yi;sei\nA;1.020;0.2\nB;0.5;0.2\n", {"yi": [1.02, 0.5]}, ()),
    "1,020 beside others": ("study;yi;sei\nA;1,020;0,2\nB;0,5;0,2\n", {"yi": [1.02, 0.5]}, ("decimal mark",)),
    "1.020 settled by others": ("study;yi;sei\nA;1.020;0.2\n", {"yi": [1.02]}, ()),
    "1.020 between commas": ("study,yi,sei\nA,1.020,2.345\n", {"yi": [1.02], "sei": [2.345]}, ()),
    "1.020 people with decimal commas": (
        "study;n1;m1;sd1;n2;m2;sd2\nA;1.020;5,1;2,0;980;5,0;2,1\n",
        {"n_1": [1020], "mean_1": [5.1]},
        ("'.' was read as thousands mark",),
    ),
    "thousands of people": (COUNTS + 'A,12,"1,020",15,"1,044"\n', {"n_1": [1020], "n_2": [1044]}, ("thousands",)),
    "spaces for thousands": (COUNTS + "A,12,1\u202f020,15,1\u00a0044\n", {"n_1": [1020]}, ("a space was read",)),
    "apostrophes": (COUNTS + "A,12,1'020,15,1\u2019044\n", {"n_1": [1020], "n_2": [1044]}, ("thousands mark",)),
    "hidden spaces": ("study,yi,sei\nA,0.\u200b1,\ufeff0.2\u2060\n", {"yi": [0.1], "sei": [0.2]}, ()),
    "bar for minus": ("study,yi,sei\nA,\u20150.1,0.2\n", {"yi": [-0.1]}, ()),
    "percentages": (
        COUNTS + "A,12 (60%),20,5 (25.0 %),20\n",
        {"events_1": [12], "events_2": [5]},
        ("12 (60%)", "fits"),
    ),
    "percentages cut off": (COUNTS + "A,2 (66%),3,1 [33%],3\n", {"events_1": [2]}, ("fits",)),
    "percentages before sizes": (
        "study,events_1,events_2,n_1,n_2\nA,12 (60%),5 (25%),20,20\n",
        {"events_1": [12]},
        ("fits",),
    ),
    "percentages without sizes": (
        COUNTS + "A,12 (60%),,5,20\n",
        {"events_1": [12], "n_1": [NAN]},
        ("could not be checked",),
    ),
    "interval to": (
        "study,effect\nA,0.50 (0.20 to 0.80)\n",
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("from one cell",),
    ),
    "interval brackets": ('study,effect\nA,"0.50 [0.20, 0.80]"\n', {"ci_low": [0.2], "ci_high": [0.8]}, ("one cell",)),
    "interval hyphen": ("study,effect\nA,0.50 (0.20-0.80)\n", {"ci_low": [0.2], "ci_high": [0.8]}, ("one cell",)),
    "interval semicolon": (
        'study,effect\nA,"0.50; 0.20 to 0.80"\n',
        {"ci_low": [0.2], "ci_high": [0.8]},
        ("one cell",),
    ),
    "interval of dashes": (
        "study,effect\nA,\u22120.41 (\u22120.72\u2013\u22120.10)\n",
        {"effect": [-0.41], "ci_low": [-0.72]},
        ("one cell",),
    ),
    "interval with its level": ("study,effect\nA,0.5 (95% CI: 0.2 to 0.8)\n", {"ci_high": [0.8]}, ("95% interval",)),
    "interval named in the header": ("study,Effect (95% CI)\nA,0.5 (0.2 to 0.8)\n", {"effect": [0.5]}, ("one cell",)),
    "interval with decimal commas": (
        "study;effect\nA;0,50 (0,20 to 0,80)\n",
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("one cell",),
    ),
    "some cells with intervals": (
        "study,effect,se\nA,0.5 (0.2 to 0.8),\nB,0.4,0.1\n",
        {"effect": [0.5, 0.4], "ci_low": [0.2, NAN], "se": [NAN, 0.1]},
        ("one cell",),
    ),
    "mean (SD)": (
        "study,n1,mean1,n2,mean2\nA,20,5.1 (2.0),20,4.8 \u00b1 1.9\n",
        {"mean_1": [5.1], "sd_1": [2.0], "mean_2": [4.8], "sd_2": [1.9]},
        ("check that it is not a standard error",),
    ),
    "interval with brackets and semicolon": (
        "study,effect\nA,0.50 [0.20; 0.80]\n",
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("one cell",),
    ),
    "interval with level and comma": (
        'study,effect\nA,"0.50 (95% CI 0.20, 0.80)"\n',
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("one cell",),
    ),
    "interval with the level outside": (
        "study,effect\nA,0.50 95%CI [0.20-0.80]\n",
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("one cell",),
    ),
    "interval with the level behind": (
        "study,effect\nA,0.50 (CI95% 0.20-0.80)\n",
        {"effect": [0.5], "ci_low": [0.2], "ci_high": [0.8]},
        ("one cell",),
    ),
    "limits that begin with 95": (
        "study,effect\nA,1000 (951 to 1200)\nB,95.5 (95.1 to 95.9)\n",
        {"effect": [1000, 95.5], "ci_low": [951, 95.1], "ci_high": [1200, 95.9]},
        ("one cell",),
    ),
    "events over their group": (
        "study,ai,ci\nA,12/20,5 of 21\nB,1 / 20 (5%),2 out of 21\n",
        {"events_1": [12, 1], "n_1": [20, 20], "events_2": [5, 2], "n_2": [21, 21]},
        ("read as events and the size of the group ('n_1')", "its percentage fits"),
    ),
    "events over a group with its own column": (
        "study,ai,n1i,ci,n2i\nA,12/20,20,5/21,\nB,3,30,4,31\n",
        {"events_1": [12, 3], "n_1": [20, 30], "events_2": [5, 4], "n_2": [21, 31]},
        ("is that of its own column", "read as events and the size of the group ('n_2')"),
    ),
    "n/N in the header": (
        "study,Intervention n/N,Control n/N\nA,12/20,5/21\n",
        {"events_1": [12], "n_1": [20], "events_2": [5], "n_2": [21]},
        ("from one cell",),
    ),
    "mean (SE) by the header": (
        "study,yi,sei,Mean (SE) intervention\nA,1,1,5.1 (0.4)\n",
        {"mean_1": [5.1], "se_1": [0.4], "sd_1": [NAN]},
        ("read as mean and SE ('se_1') from one cell (",),
    ),
    "mean (SE) by the cell": (
        "study,yi,sei,m1,m2\nA,1,1,5.1 (SE 0.4),5.0 \u00b1 SD 1.5\n",
        {"mean_1": [5.1], "se_1": [0.4], "sd_2": [1.5]},
        ("SE ('se_1')", "SD ('sd_2') from one cell ("),
    ),
    "mean (95% CI)": (
        "study,yi,sei,mean_1\nA,1,1,5.1 (4.2 to 6.0)\n",
        {"mean_1": [5.1], "mean_ci_low_1": [4.2], "mean_ci_high_1": [6.0]},
        ("the mean and its 95% interval",),
    ),
    "mean change (SD)": (
        "study,yi,sei,mean_change_1\nA,1,1,-5.1 (4.2)\n",
        {"mean_change_1": [-5.1], "sd_change_1": [4.2]},
        ("('sd_change_1')",),
    ),
    "median (IQR) by the header": (
        'study,yi,sei,Median (IQR) control\nA,1,1,12 (8-15)\nB,1,1,"10 [7, 14]"\n',
        {"median_2": [12, 10], "q1_2": [8, 7], "q3_2": [15, 14]},
        ("read as median, 'q1_2' and 'q3_2'",),
    ),
    "median by its words": (
        "study,yi,sei,median_1\nA,1,1,12 (IQR 7)\nB,1,1,12 (range: 2 to 30)\nC,1,1,12 (Q1-Q3 8 to 15)\n",
        {
            "median_1": [12, 12, 12],
            "iqr_1": [7, NAN, NAN],
            "min_1": [NAN, 2, NAN],
            "max_1": [NAN, 30, NAN],
            "q1_1": [NAN, NAN, 8],
        },
        ("interquartile range ('iqr_1')", "'min_1' and 'max_1'", "'q1_1' and 'q3_1'"),
    ),
    "percentages by name": ("study,yi,sei,percent_1\nA,1,1,60%\nB,1,1,25\n", {"percent_1": [60, 25]}, ()),
    "a p value as a bound": (
        "study,yi,sei,p\nA,0.1,0.2,<0.001\nB,0.1,0.2,p = 0.04\n",
        {"p": [NAN, 0.04]},
        ("kept as text in column 'p_bound'",),
    ),
    "a share as a percentage": ("study,yi,sei,auc\nA,0.1,0.2,75%\n", {"auc": [0.75]}, ("a percentage was read",)),
    "footnotes": ("study,yi,sei\nA,0.2*,0.1\nB,0.3\u2020,0.1\n", {"yi": [0.2, 0.3]}, ("a footnote mark", "and 1 more")),
    "missing words": (
        "study,yi,sei\nA,n.a.,0.1\nB,NR*,0.1\nC,.,1\nD,0.5,1\n",
        {"yi": [NAN, NAN, NAN, 0.5]},
        ("missing",),
    ),
    "title above": ("Table 2. Trials of exercise,,\n\nstudy,yi,sei\nA,0.1,0.2\n", {"yi": [0.1]}, ("passed over",)),
    "title without commas": ("Table 2\nstudy,yi,sei\nA,0.1,0.2\n", {"yi": [0.1]}, ("'Table 2' above the header",)),
    "two-row header": (
        ",Experimental,,,Control,,\nStudy,Mean,SD,N,Mean,SD,N\nA,5.1,2,20,4.8,1.9,21\n",
        {"mean_1": [5.1], "sd_1": [2], "n_1": [20], "mean_2": [4.8], "n_2": [21]},
        ("two rows, row 1 and row 2",),
    ),
    "two-row header, repeated groups": (
        "Study,Experimental,Experimental,Control,Control\n,Events,Total,Events,Total\nA,1,20,2,21\n",
        {"events_1": [1], "n_1": [20], "events_2": [2], "n_2": [21]},
        ("two rows",),
    ),
    "two-row header with a column behind": (
        ",Experimental,,Control,,\nStudy,Events,N,Events,N,Year\nA,1,20,2,21,2001\n",
        {"n_2": [21], "year": [2001]},
        ("two",),
    ),
    "empty columns and rows": ("study,yi,sei,,\nA,0.1,0.2,,\n,,,,\n\n , , ,,\n", {"yi": [0.1]}, ()),
    "empty cells at the end": ("study,yi,sei\nA,0.1,0.2,,,\nB,0.1,0.2\n", {"yi": [0.1, 0.1]}, ()),
    "an empty column inside": ("study,,yi,sei\nA,,0.1,0.2\n", {"yi": [0.1]}, ()),
    "17 digits": ("study,yi,sei\nA,0.12345678901234567,0.2\n", {"yi": [0.12345678901234567]}, ()),
    "a sum below": ("study,yi,sei\nA,1,1\nTotal (95% CI),1,1\n", {"yi": [1, 1]}, ("reads like a sum",)),
    "a date for a label": ("study,yi,sei\n1-Mar,1,1\n", {"yi": [1]}, ("looks like a date",)),
    "a text file named xlsx": ("study,yi,sei\nA,0.1,0.2\n", {"yi": [0.1]}, ()),
}


@pytest.mark.parametrize("kind", GOOD)
def test_what_a_careful_person_would_read(kind: str) -> None:
    content, numbers, told = GOOD[kind]
    trials = read(content)
    for role, expected in numbers.items():
        assert same(trials.numbers(role).tolist(), expected), role
    assert all(any(word in note for note in trials.notes) for word in told), trials.notes
    assert bool(told) == bool(trials.notes), trials.notes


def test_a_bound_stays_with_its_row() -> None:
    trials = read("study,yi,sei,p\nA,0.1,0.2,0.03\nB,0.1,0.2,P<.001\n")
    assert trials.texts("p_bound") == ("", "<0.001")
    assert trials.roles["p_bound"] == "p_bound"


def test_notes_name_column_row_and_text() -> None:
    assert read("study,yi,sei\nA,0.2*,0.1\nB,0.3,0.1\nC,0.1*,1\n").notes == (
        "column 'yi': a footnote mark was passed over ('0.2*' in row 2 and 1 more)",
    )


def test_a_plain_table_has_no_notes_and_a_selection_keeps_them() -> None:
    assert read("study,yi,sei\nA,0.2,0.1\n").notes == ()
    told = read("study,yi,sei\nA,0.2*,0.1\nB,0.3,0.1\n")
    assert told.take([False, True]).notes == told.notes != ()


# ---------------------------------------------------------------- fails with the right error

NUMBER = "is not a number"
BAD: dict[str, tuple[str, list[tuple[str | None, str | None, str | None, str]]]] = {
    "1.020 alone": (
        "study;yi;sei\nA;1.020;2\n",
        [("yi", "row 2", "1.020", "could be 1020 or 1.020: the '.' may part thousands or decimals")],
    ),
    "1,020 alone": (
        "study;yi;sei\nA;1,020;2\n",
        [("yi", "row 2", "1,020", "could be 1020 or 1.020: the ',' may part thousands or decimals")],
    ),
    "1.020 people": (
        "study;ai;n1i;ci;n2i\nA;1;1.020;2;999\n",
        [("n1i", "row 2", "1.020", "could be 1020 or 1.020: the '.' may part thousands or decimals")],
    ),
    "1,020 among small effects": (
        "study;yi;sei\nA;1,020;0.2\nB;0.5;0.2\n",
        [("yi", "row 2", "1,020", "could be 1020 or 1.020: the ',' may part thousands or decimals")],
    ),
    "two decimal marks": ("study;yi;sei\nA;0.1;1\nB;0.2;1\nC;0,3;1\n", [("yi", "row 4", "0,3", NUMBER)]),
    "groups of two": ('study,yi,sei\nA,"1,02,000",1\n', [("yi", "row 2", "1,02,000", NUMBER)]),
    "percentage as effect": ("study,yi,sei\nA,15%,1\n", [("yi", "row 2", "15%", NUMBER)]),
    "percentage as events": ("study,ai,n1i,ci,n2i\nA,60%,20,5,20\n", [("ai", "row 2", "60%", NUMBER)]),
    "bound as effect": ("study,yi,sei\nA,<0.001,1\n", [("yi", "row 2", "<0.001", NUMBER)]),
    "count and share as effect": ("study,yi,sei\nA,12 (60%),1\n", [("yi", "row 2", "12 (60%)", NUMBER)]),
    "share that does not fit": (
        "study,ai,n1i,ci,n2i\nA,12 (50%),20,5,20\n",
        [("ai", "row 2", "12 (50%)", "the percentage does not fit: 12 of 20 are 60.0%")],
    ),
    "events over another size": (
        "study,ai,n1i,ci,n2i\nA,12/20,20,5/21,22\n",
        [("ci", "row 2", "5/21", "the size of the group is 22 in column 'n2i'")],
    ),
    "more events than people": (
        "study,ai,ci\nA,21/20,5/21\n",
        [("ai", "row 2", "21", "more events than the 20 people of the arm")],
    ),
    "events of nobody": ("study,ai,ci\nA,0/0,5/21\n", [("ai", "row 2", "0/0", "a group has 1 person or more")]),
    "median with quartiles or range": (
        "study,yi,sei,median_1\nA,1,1,12 (8-15)\n",
        [("median_1", "row 2", "12 (8-15)", "the numbers beside the median could be quartiles or the range")],
    ),
    "median outside of its quartiles": (
        "study,yi,sei,Median (IQR) control\nA,1,1,12 (20-30)\n",
        [("Median (IQR) control", "row 2", "12 (20-30)", "the median lies outside of 20 to 30")],
    ),
    "a percentage above 100": (
        "study,yi,sei,percent_1\nA,1,1,120%\n",
        [("percent_1", "row 2", "120%", "must be between 0 and 100")],
    ),
    "three numbers in one": ("study,effect\nA,3-2-5\n", [("effect", "row 2", "3-2-5", NUMBER)]),
    "a comma between decimals or limits": ('study,effect\nA,"3,2-5"\n', [("effect", "row 2", "3,2-5", NUMBER)]),
    "spread with decimal commas": ("study;effect\nA;3,2 (2,5)\n", [("effect", "row 2", "3,2 (2,5)", NUMBER)]),
    "count with a percentage or a size": (
        "study,ai,n1i,ci,n2i\nA,12 (60),,5,20\n",
        [("ai", "row 2", "12 (60)", "60 could be a percentage or the size of the group")],
    ),
    "count with its size": (
        "study,ai,n1i,ci,n2i\nA,12 (60),60,5,20\n",
        [("ai", "row 2", "12 (60)", "the percentage does not fit: 12 of 60 are 20.0%")],
    ),
    "interval beside its own columns": (
        "study,effect,ci_low,ci_high\nA,0.5 (0.2 to 0.8),0.3,0.8\n",
        [("effect", "row 2", "0.5 (0.2 to 0.8)", "'ci_low' is 0.3 in column 'ci_low'")],
    ),
    "SD beside another one of its own column": (
        "study,n1i,m1i,sd1i,n2i,m2i,sd2i\nA,20,31.2 (14.8),14.9,20,30,13\n",
        [("m1i", "row 2", "31.2 (14.8)", "'sd_1' is 14.9 in column 'sd1i'")],
    ),
    "interval that is none": (
        "study,effect,se,95% CI\nA,0.5,0.1,0.4\nB,0.5,0.1,0.2 -0.8\nC,0.5,0.1,90% CI 0.2 to 0.8\n",
        [
            ("95% CI", "row 2", "0.4", "is not an interval"),
            ("95% CI", "row 3", "0.2 -0.8", "is not an interval"),  # the dash could be a minus sign
            ("95% CI", "row 4", "90% CI 0.2 to 0.8", "is not an interval"),
        ],
    ),
    "interval against its limits": (
        "study,effect,ci_low,ci_high,95% CI\nA,0.5,0.2,0.8,0.2 to 0.9\n",
        [("95% CI", "row 2", "0.2 to 0.9", "'ci_high' is 0.8 in column 'ci_high'")],
    ),
    "interval of another level": (
        "study,effect\nA,0.5 (90% CI 0.2 to 0.8)\n",
        [("effect", "row 2", "0.5 (90% CI 0.2 to 0.8)", NUMBER)],
    ),
    "impossible interval": (
        "study,effect\nA,0.5 (0.8 to 0.2)\n",
        [
            ("ci_low", "row 2", "0.8", "the lower limit is not below the upper limit 0.2"),
        ],
    ),
    "effect outside": (
        "study,effect\nA,5 (0.2 to 0.8)\n",
        [("effect", "row 2", "5", "the effect lies outside its own interval 0.2 to 0.8")],
    ),
    "effect with a spread": ("study,effect,se\nA,0.5 (0.2),0.2\n", [("effect", "row 2", "0.5 (0.2)", NUMBER)]),
    "mean (SD) beside SDs": (
        "study,n1,m1,sd1,n2,m2,sd2\nA,9,5.1 (2.0),3,9,5,2\n",
        [("m1", "row 2", "5.1 (2.0)", "'sd_1' is 3 in column 'sd1'")],
    ),
    "mean (SE) beside SEs": (
        "study,yi,sei,m1,se_1\nA,1,1,5.1 (SE 2.0),3\n",
        [("m1", "row 2", "5.1 (SE 2.0)", "'se_1' is 3 in column 'se_1'")],
    ),
    "code for missing": (
        "study,yi,sei\nA,-99,0.2\nB,0.5,0.2\n",
        [("yi", "row 2", "-99", "looks like a code for a missing value")],
    ),
    "code for missing SD": (
        "study,n1,m1,sd1,n2,m2,sd2\nA,9,5,-99,9,5,2\n",
        [("sd1", "row 2", "-99", "looks like a code for a missing value")],
    ),
    "9999": (
        "study,yi,sei\nA,0.5,9999\nB,1,0.2\n",
        [("sei", "row 2", "9999", "looks like a code for a missing value")],
    ),
    "people beyond counting": (
        "study,ai,n1i,ci,n2i\nA,1,99999999999999999999,1,9\n",
        [("n1i", "row 2", "99999999999999999999", "is too large to be a number of people")],
    ),
    "more decimals than digits": ("study,yi,sei\nA,1.2.3,1\n", [("yi", "row 2", "1.2.3", NUMBER)]),
    "a letter for a footnote": ("study,yi,sei\nA,0.2a,1\n", [("yi", "row 2", "0.2a", NUMBER)]),
    "a power": ("study,yi,sei\nA,10\u00b2,1\n", [("yi", "row 2", "10\u00b2", NUMBER)]),
    "a formula": ("study,yi,sei\nA,=1+1,1\n", [("yi", "row 2", "=1+1", NUMBER)]),
    "unquoted decimal commas": (
        "study,yi,sei\nA,0,1,0,2\n",
        [(None, "row 2", None, "has 5 cells where the header has 3")],
    ),
    "an unquoted comma in every label": (
        "study,yi,sei\nSmith, 2001,1,2\n",
        [(None, "row 2", None, "has 4 cells where the header has 3")],
    ),
    "a column without a name": ("study,yi,sei,\nA,1,2,x\n", [(None, None, None, "column 4 has no name")]),
    "two columns of effects": (
        "study,te,meta_es,sei\nA,1,2,3\n",
        [(None, None, None, "columns 'te', 'meta_es' could all be 'yi'")],
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_is_named(kind: str) -> None:
    content, expected = BAD[kind]
    found = refused(content)
    assert [(c, r, v, rule) for c, r, v, rule in found if "no effect size" not in rule] == expected


def test_the_cure_says_how_to_settle_it() -> None:
    with pytest.raises(DataError, match=r"say decimal='\.' or decimal=','"):
        read("study;yi;sei\nA;1.020;2\n")
    assert read("study;yi;sei\nA;1.020;2\n", decimal=".").numbers("yi").tolist() == [1.02]
    assert read("study;yi;sei\nA;1.020;2\n", decimal=",").numbers("yi").tolist() == [1020]
    with pytest.raises(DataError, match=r"Say missing=\[-99\] if it is one, or missing=\[\] if it is a number"):
        read("study,yi,sei\nA,-99,0.2\nB,0.5,0.2\n")
    declared = read("study,yi,sei\nA,-99,0.2\nB,0.5,0.2\n", missing=[-99])
    assert same(declared.numbers("yi").tolist(), [NAN, 0.5])
    assert "as declared" in declared.notes[0]
    assert read("study,yi,sei\nA,-99,0.2\nB,0.5,0.2\n", missing=[]).numbers("yi").tolist() == [-99, 0.5]
    assert math.isnan(read("study,yi,sei\nA,absent,0.2\nB,0.5,0.2\n", missing="absent").numbers("yi")[0])
    with pytest.raises(OptionError, match="decimal=';' is not known"):
        read("study,yi,sei\nA,1,2\n", decimal=";")


NO_TABLE: dict[str, tuple[bytes, str]] = {
    "pickle": (b"\x80\x04\x95\x10\x00\x00", "a Python pickle, which is never opened"),
    "gzip": (b"\x1f\x8b\x08\x00", "a compressed file"),
    "spss": (b"$FL2@(#) SPSS", "an SPSS file"),
    "nul in utf-16": ("study,yi,sei\nA\0,1,2\n".encode("utf-16"), "binary data"),
    "nul in cp1252": (b"study,yi,sei\n\xfc\0,1,2\n", "binary data"),
    "control characters": (b"study,yi,sei\n\xfc\x01,1,2\n", "row 2 is not UTF-8 text"),
    "only a mark": (b"\xef\xbb\xbf \n", "the file is empty"),
    "yaml": (b"!!python/object/apply:os.system ['ls']\n", "is not a header of columns"),
    "xml with an entity": (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        "is not a header of columns",
    ),
    "too many columns": (b",".join(b"c%d" % i for i in range(1001)) + b"\n", "more than 1000 columns"),
}


@pytest.mark.parametrize("kind", NO_TABLE)
def test_what_is_no_table_is_refused(kind: str) -> None:
    content, words = NO_TABLE[kind]
    with pytest.raises((FileError, DataError), match="the bytes") as caught:
        read(content)
    assert words in str(caught.value)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaback.data.text_table.MAX_ROWS", 2)
    monkeypatch.setattr("metaback.data.read.MAX_ROWS", 2)
    assert len(read("study,yi,sei\n" + "A,1,2\n" * 2)) == 2
    for rows in (3, 4, 9):
        with pytest.raises(FileError, match="rows"):
            read("study,yi,sei\n" + "A,1,2\n" * rows)


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("metaback.data.read.MAX_BYTES", 20)
    path = tmp_path / "large.csv"
    path.write_text("study,yi,sei\nA,1,2\nB,1,2\n")
    with pytest.raises(FileError, match="larger than"):
        read_trials(path)


# ---------------------------------------------------------------- where a table may come from

PLAIN = b"study,yi,sei\nA,0.1,0.2\n"


def test_a_table_may_come_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(PLAIN)
    sources: list[Callable[[], object]] = [
        lambda: path,
        lambda: str(path),
        lambda: PLAIN,
        lambda: bytearray(PLAIN),
        lambda: memoryview(PLAIN),
        lambda: io.BytesIO(PLAIN),
        lambda: io.StringIO(PLAIN.decode()),
    ]
    shas = {read_trials(source()).source.sha256 for source in sources}
    assert len(shas) == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PLAIN)))
    trials = read_trials("-")
    assert (trials.source.name, trials.source.sha256) == ("standard input", shas.pop())
    with path.open("rb") as file:
        assert read_trials(file).source.name == "table.csv"


def test_text_with_the_name_of_a_workbook_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    path.write_bytes(PLAIN)
    assert "named as a .xlsx file but holds text" in read_trials(path).notes[0]


@pytest.mark.parametrize("sheet", [1, "data"])
def test_a_sheet_is_only_asked_of_a_workbook(sheet: object) -> None:
    with pytest.raises(OptionError, match="sheet"):
        read(PLAIN, sheet=sheet)


def test_a_file_in_the_wrong_encoding_that_is_already_open(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("study,yi,sei\nMüller,1,2\n".encode("cp1252"))
    with path.open(encoding="utf-8") as file, pytest.raises(FileError, match="binary mode"):
        read_trials(file)


@pytest.mark.parametrize("source", [3, None, object(), {"study": ["A"]}, ["A"], [1, 2]], ids=repr)
def test_what_is_no_source_is_refused(source: object) -> None:
    with pytest.raises(MetabackError):
        read_trials(source)  # type: ignore[arg-type]


# ---------------------------------------------------------------- vocabulary

COCHRANE = (
    "Analysis group,Analysis number,Analysis name,Subgroup,Applicability,Study,Study year,GIV Mean,GIV SE,"
    "Experimental mean,Experimental SD,Experimental cases,Experimental N,Control mean,Control SD,Control cases,"
    "Control N,O-E,Variance,Weight,Mean,CI start,CI end,Footnotes"
)
HEADERS = {
    "cochrane data package": (
        COCHRANE,
        {
            "study": "Study",
            "year": "Study year",
            "outcome": "Analysis name",
            "stratum": "Subgroup",
            "n_1": "Experimental N",
            "n_2": "Control N",
            "mean_1": "Experimental mean",
            "mean_2": "Control mean",
            "sd_1": "Experimental SD",
            "sd_2": "Control SD",
            "events_1": "Experimental cases",
            "events_2": "Control cases",
            "effect": "Mean",
            "ci_low": "CI start",
            "ci_high": "CI end",
            "yi": "GIV Mean",
            "sei": "GIV SE",
        },
    ),
    "stata": ("_meta_studylabel,_meta_es,_meta_se", {"study": "_meta_studylabel", "yi": "_meta_es", "sei": "_meta_se"}),
    "stata counts": (
        "study,n11,n12,n21,n22",
        {"study": "study", "events_1": "n11", "events_2": "n21", "nonevents_1": "n12", "nonevents_2": "n22"},
    ),
    "metafor single means": (
        "study,mi,sdi,ni,yi,vi",
        {"study": "study", "n": "ni", "mean": "mi", "sd": "sdi", "yi": "yi", "vi": "vi"},
    ),
    "metafor proportions": (
        "slab,xi,mi,yi,vi",
        {"study": "slab", "events": "xi", "nonevents": "mi", "yi": "yi", "vi": "vi"},
    ),
    "metafor d": (
        "study,di,n1i,n2i,yi,vi",
        {"study": "study", "n_1": "n1i", "n_2": "n2i", "d": "di", "yi": "yi", "vi": "vi"},
    ),
    "metafor rates": (
        "study,x1i,t1i,x2i,t2i,yi,vi",
        {
            "study": "study",
            "events_1": "x1i",
            "events_2": "x2i",
            "time_1": "t1i",
            "time_2": "t2i",
            "yi": "yi",
            "vi": "vi",
        },
    ),
}


@pytest.mark.parametrize("program", HEADERS)
def test_the_headers_of_programs_are_known(program: str) -> None:
    header, roles = HEADERS[program]
    cells = {"study": "A", "outcome": "pain", "stratum": "s", "n_1": "9", "n_2": "9", "ci_low": "0", "ci_high": "9"}
    role_of = {column: role for role, column in roles.items()}
    row = ",".join(cells.get(role_of.get(name, ""), "1") for name in header.split(","))
    assert dict(read(f"{header}\n{row}\n").roles) == roles
