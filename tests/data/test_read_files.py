"""Files that people send: each gives exactly the right table, or one error that names place, value, rule and cure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.errors import DataError, FileError

Reader = Callable[..., Trials]
NUMBER = "is not a number"


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Write bytes (or text as UTF-8) to a file and read it."""

    def reader(content: bytes | str, **options: object) -> Trials:
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return read_trials(path, **options)

    return reader


def places(error: DataError) -> list[tuple[str | None, str | None, str | None]]:
    """List column, row and value of every problem."""
    return [(p.column, p.row, p.value) for p in error.problems]


def refused(read: Reader, content: bytes | str, **options: object) -> DataError:
    """Read a table that must be refused; every problem must say what to do."""
    with pytest.raises(DataError) as caught:
        read(content, **options)
    for problem in caught.value.problems:
        assert problem.rule
        assert problem.fix
    for problem in caught.value.problems[: DataError.SHOWN]:
        assert str(problem) in str(caught.value)
    return caught.value


# ---------------------------------------------------------------- encodings, line ends, delimiters

PLAIN = "study,yi,sei\nA,0.1,0.2\nB,-0.3,0.4\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        b'"study","yi","sei"\n"A","0.1","0.2"\n"B","-0.3","0.4"\n',
        b" study , yi , sei \n A , 0.1 , 0.2 \n B , -0.3 , 0.4 \n",
    ],
    ids=["plain", "bom", "crlf", "cr", "no end", "semicolon", "tab", "bar", "quoted", "spaces"],
)
def test_one_table_in_many_dresses(read: Reader, content: bytes) -> None:
    trials = read(content)
    assert trials.roles == {"study": "study", "yi": "yi", "sei": "sei"}
    assert trials.texts("study") == ("A", "B")
    assert trials.numbers("yi").tolist() == [0.1, -0.3]
    assert trials.numbers("sei").tolist() == [0.2, 0.4]
    assert trials.rows == ("row 2", "row 3")
    assert (trials.source.name, trials.source.rows, trials.source.columns) == ("table.csv", 2, 3)
    assert trials.source.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["t.tsv", "t.tab", "t.txt", "t.dat", "t", "t.CSV", "t.json"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_text_table_is_known_by_what_is_in_it(tmp_path: Path, name: str, mark: str) -> None:
    path = tmp_path / name
    path.write_text(PLAIN.replace(",", mark))
    assert read_trials(path).numbers("yi").tolist() == [0.1, -0.3]


def test_a_quoted_cell_may_hold_the_delimiter_and_quotes(read: Reader) -> None:
    assert read('study,yi,sei\n"Smith, Jones",0.1,0.2\n"the ""big"" one",0.1,0.2\n').texts("study") == (
        "Smith, Jones",
        'the "big" one',
    )


def test_the_other_delimiters_are_text(read: Reader) -> None:
    assert read("study;yi;sei\nSmith, 2001|a;0.1;0.2\n").texts("study") == ("Smith, 2001|a",)


LABELS = ("NA", "None", "007", "1e5", "null", "nan", "-", "True", "1_000", "=1+1", "<b>x</b>", "Müller", "李")


def test_labels_stay_as_they_are_written(read: Reader) -> None:
    text = "study,outcome,yi,sei\n" + "".join(f"{label},{label},1,2\n" for label in LABELS)
    trials = read(text)
    assert trials.texts("study") == LABELS
    assert trials.texts("outcome") == LABELS


@pytest.mark.parametrize("minus", ["-", "\u2212", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\ufe63", "\uff0d"])
def test_every_minus_sign_is_a_minus(read: Reader, minus: str) -> None:
    assert read(f"study,yi,sei\nA,{minus}0.13,0.2\nB,1e{minus}3,0.2\n").numbers("yi").tolist() == [-0.13, 0.001]


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2009", "\u2007", "\u200b"])
def test_pasted_spaces_around_a_number_are_no_part_of_it(read: Reader, space: str) -> None:
    assert read(f"study,yi,sei\nA,{space}0.1{space},0.2\n").numbers("yi").tolist() == [0.1]


@pytest.mark.parametrize(
    "blank", ["", " ", "NA", "na", "n/a", "NaN", "None", "null", ".", "-", "\u2013", "NR", "not reported"]
)
def test_blank_numbers_are_missing(read: Reader, blank: str) -> None:
    trials = read(f"study,yi,sei\nA,{blank},0.2\nB,0.5,0.2\n")
    assert str(trials.numbers("yi").tolist()) == "[nan, 0.5]"


# ---------------------------------------------------------------- rows are named as in the file


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("study,yi,sei\nA,1,2\nB,x,2\n", "row 3"),
        ("\n\nstudy,yi,sei\n\nA,1,2\n\n,,\nB,x,2\n", "row 8"),
        ('study,yi,sei\n"A\n2001",1,2\nB,x,2\n', "row 4"),
        ('study,yi,sei\n"A\n2001",x,2\nB,1,2\n', "row 2"),
        ('study,yi,sei\r\n"A\r\n\r\n2001",1,2\r\nB,x,2\r\n', "row 5"),
        ('"study\nlabel",yi,sei,author\nA,1,2,a\nB,x,2,b\n', "row 4"),
        ("study,yi,sei\rA,1,2\rB,x,2\r", "row 3"),
        ("study,yi,sei\nA\u2028B,1,2\nB\x0b\x0c,x,2\n", "row 3"),
    ],
    ids=["plain", "blank lines", "after a cell of two lines", "in it", "crlf", "header", "cr", "unicode line ends"],
)
def test_a_bad_cell_is_found_where_an_editor_shows_it(read: Reader, content: str, row: str) -> None:
    assert places(refused(read, content)) == [("yi", row, "x")]


def test_a_cell_of_two_lines_keeps_them(read: Reader) -> None:
    assert read('study,yi,sei\n"A\n2001",1,2\n').texts("study") == ("A\n2001",)


# ---------------------------------------------------------------- not a table

NOT_A_TABLE = {
    "empty": (b"", "the file is empty"),
    "blank": (b" \n\t\r\n ", "the file is empty"),
    "zip": (b"PK\x03\x04 and so on", "workbook or zip archive"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook"),
    "pdf": (b"%PDF-1.7\n", "a PDF"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "half a utf-16": ("study,yi,sei\nA,1,2\n".encode("utf-16")[:-1], "the UTF-16 text is damaged"),
    "utf-16 without mark": ("study,yi,sei\nA,1,2\n".encode("utf-16-le"), "binary data"),
    "binary": (b"study,yi,sei\nA\x00,1,2\n", "binary data"),
    "no encoding": (b"study,yi,sei\nA,1,2\nM\x81ller,1,2\n", "row 3 is not UTF-8"),
    "two encodings": ("study,yi,sei\nÅ,1,2\n".encode() + "Müller,1,2\n".encode("cp1252"), "row 3 is not UTF-8"),
    "prose": (b"Dear colleague, please find the table enclosed.\n", "table"),
    "one line of prose": (b"This is a letter about things.\n", "is not a header of columns"),
    "html": (b"<html><table><tr><td>study</td></tr></table></html>", "is not a header of columns"),
    "open quote": (b'study,yi,sei\n"A,1,2\nB,1,2\n', "row 2 cannot be read"),
    "text after a quote": (b'study,yi,sei\nB,1,2\n"A"x,1,2\n', "row 3 cannot be read"),
    "a huge cell": (b"study,yi,sei\n" + b"A" * (2 << 20) + b",1,2\n", "row 2 cannot be read"),
}


@pytest.mark.parametrize("kind", NOT_A_TABLE)
def test_what_is_not_a_table_is_named(read: Reader, kind: str) -> None:
    content, words = NOT_A_TABLE[kind]
    with pytest.raises((FileError, DataError)) as caught:
        read(content)
    assert words in str(caught.value)
    assert "table.csv" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        read_trials(tmp_path / "absent.csv")
    with pytest.raises(FileError, match="cannot be read"):
        read_trials(tmp_path)  # a folder


# ---------------------------------------------------------------- structure

STRUCTURE = {
    "header only": ("study,yi,sei\n", ["the table has no rows"]),
    "no study": ("name,yi,sei\nA,1,2\n", ["no column names the studies"]),
    "no way": ("study,foo\nA,1\n", ["no column of effects, means or counts was recognised"]),
    "half a way": ("study,yi,x\nA,1,2\n", ["found yi but not vi"]),
    "means without an SD": (
        "study,n1,m1,sd1,n2,m2\nA,1,2,3,4,5\n",
        ["found n_1, mean_1, sd_1, n_2, mean_2 but not sd_2"],
    ),
    "neither": ("name,foo\nA,1\n", ["no column names the studies", "no effect size can be computed"]),
    "a name twice": ("study,yi,yi,sei\nA,1,2,3\n", ["the header has 'yi' more than once"]),
    "no name": ("study,,yi,sei\nA,1,2,3\n", ["column 2 has no name"]),
    "both": ("study,,yi,yi,sei\nA,1,2,3,4\n", ["the header has 'yi' more than once", "column 2 has no name"]),
}


@pytest.mark.parametrize("kind", STRUCTURE)
def test_a_table_that_cannot_be_pooled_says_why(read: Reader, kind: str) -> None:
    content, words = STRUCTURE[kind]
    problems = refused(read, content).problems
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem.rule


def test_rows_of_another_width_are_all_named(read: Reader) -> None:
    found = refused(read, "study,yi,sei\nA,1\nB,1,2\nSmith, 2001,1,2\nD,1,2,3,4\n").problems
    assert [(p.row, p.rule) for p in found] == [
        ("row 2", "has 2 cells where the header has 3"),
        ("row 4", "has 4 cells where the header has 3"),
        ("row 5", "has 5 cells where the header has 3"),
    ]
    assert all("double quotes" in p.fix for p in found)


# ---------------------------------------------------------------- cells

WORDS = ["x", "about 3", "12 (60%)", "<0.001", "15%", "0.2**x", "0,1", "1.2.3", "- 1", "--1", "1 000", "1e", "+", "2-3"]
PYTHON = ["1_000", "infinity", "inf", "-inf", "1e400", "0x10", "\u0661\u0662", "\uff11", "1j", "True", "1e+-2"]


@pytest.mark.parametrize("cell", WORDS + PYTHON)
def test_what_is_not_a_plain_number_is_refused(read: Reader, cell: str) -> None:
    error = refused(read, f"study;yi;sei\nA;0.1;0.2\nB;{cell};0.2\n")
    assert places(error) == [("yi", "row 3", cell)]
    assert error.problems[0].rule == NUMBER


@pytest.mark.parametrize(
    ("cell", "value"), [("1e-3", 0.001), ("+.5", 0.5), ("5.", 5.0), ("1E2", 100.0), ("007", 7.0), ("-0", 0)]
)
def test_plain_numbers_are_read(read: Reader, cell: str, value: float) -> None:
    assert read(f"study,yi,sei\nA,{cell},1\n").numbers("yi").tolist() == [value]


MEANS = "study,n1,mean1,sd1,n2,mean2,sd2\n"
COUNTS = "study,ai,n1i,ci,n2i\n"
PRINTED = "study,effect,ci_low,ci_high\n"
RULES = {
    "negative SD": (MEANS + "A,10,2,-3,10,5,1\n", ("sd1", "row 2", "-3"), "must not be negative"),
    "nobody": (MEANS + "A,0,2,3,10,5,1\n", ("n1", "row 2", "0"), "must be a whole number of people, 1 or more"),
    "half a person": (MEANS + "A,10,2,3,10.5,5,1\n", ("n2", "row 2", "10.5"), "a whole number of people, 1 or more"),
    "negative count": (COUNTS + "A,-1,10,3,20\n", ("ai", "row 2", "-1"), "must be a whole number of people, 0 or more"),
    "a share": (COUNTS + "A,0.3,10,3,20\n", ("ai", "row 2", "0.3"), "must be a whole number of people, 0 or more"),
    "too many events": (COUNTS + "A,1,10,21,20\n", ("ci", "row 2", "21"), "more events than the 20 people of the arm"),
    "swapped limits": (PRINTED + "A,0.1,0.5,-0.2\n", ("ci_low", "row 2", "0.5"), "is not below the upper limit -0.2"),
    "equal limits": (PRINTED + "A,0.1,0.1,0.1\n", ("ci_low", "row 2", "0.1"), "the lower limit is not below"),
    "outside": (PRINTED + "A,0.9,0.1,0.5\n", ("effect", "row 2", "0.9"), "lies outside its own interval 0.1 to 0.5"),
    "sign lost": (PRINTED + "A,0.3,-0.5,-0.1\n", ("effect", "row 2", "0.3"), "lies outside its own interval"),
    "one limit": (PRINTED + "A,0.1,,0.5\n", ("effect", "row 2", "0.1"), "only one limit of its interval is given"),
    "no error": ("study,yi,sei\nA,1,0\n", ("sei", "row 2", "0"), "must be above 0"),
    "negative error": ("study,yi,vi\nA,1,-0.2\n", ("vi", "row 2", "-0.2"), "must be above 0"),
    "no label": ("study,yi,sei\n,1,2\n", ("study", "row 2", ""), "a study needs a label"),
    "perhaps": (
        "study,yi,sei,higher_is_better\nA,1,2,perhaps\n",
        ("higher_is_better", "row 2", "perhaps"), "must be true or false",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", RULES)
def test_a_cell_that_breaks_a_rule_is_named(read: Reader, kind: str) -> None:
    content, place, rule = RULES[kind]
    error = refused(read, content)
    assert places(error) == [place]
    assert rule in error.problems[0].rule


def test_numbers_that_only_just_keep_the_rules_are_taken(read: Reader) -> None:
    assert len(read(COUNTS + "A,0,1,20,20\n")) == 1
    assert len(read(MEANS + "A,1,0,0,1,0,0\n")) == 1
    assert len(read(PRINTED + "A,0.1,0.1,0.5\n")) == 1  # an effect on its limit: rounding
    assert len(read("study,ai,n1i,ci,n2i\nA,1,2.0,1,3e0\n")) == 1


def test_all_problems_of_a_table_come_at_once(read: Reader) -> None:
    text = "study,n1,mean1,sd1,n2,mean2,sd2,effect,ci_low,ci_high\n,10,x,-3,0,5,1,0.9,0.1,0.5\nB,10,2,3,10,5,1,1,9,3\n"
    assert set(places(refused(read, text))) == {
        ("study", "row 2", ""),
        ("mean1", "row 2", "x"),
        ("sd1", "row 2", "-3"),
        ("n2", "row 2", "0"),
        ("effect", "row 2", "0.9"),
        ("ci_low", "row 3", "9"),
    }


def test_many_problems_are_all_kept_and_the_message_stays_short(read: Reader) -> None:
    error = refused(read, "study,yi,sei\n" + "A,x,1\n" * 50)
    assert len(error.problems) == 50
    assert "50 problems" in str(error)
    assert "and 30 more" in str(error)
    assert str(error).count("\n") == 21


# ---------------------------------------------------------------- roles


def test_roles_given_by_hand_win(read: Reader) -> None:
    trials = read("name,yi,est,err\nA,9,0.1,0.2\n", roles={"study": "name", "yi": "est", "sei": "err"})
    assert trials.texts("study") == ("A",)
    assert trials.numbers("yi").tolist() == [0.1]


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("slab,m1i,sd1i,n1i,m2i,sd2i,n2i", "study mean_1 sd_1 n_1 mean_2 sd_2 n_2"),
        ("studlab,mean.e,sd.e,n.e,mean.c,sd.c,n.c", "study mean_1 sd_1 n_1 mean_2 sd_2 n_2"),
        ("studlab,event.e,n.e,event.c,n.c", "study events_1 n_1 events_2 n_2"),
        ("Study,ai,bi,ci,di", "study events_1 nonevents_1 events_2 nonevents_2"),
        ("author,TE,seTE", "study yi sei"),
        ("Study ID,Experimental Cases,Experimental N,Control Cases,Control N", "study events_1 n_1 events_2 n_2"),
        ("Trial,Estimate,CI lower,CI upper", "study effect ci_low ci_high"),
        ("STUDY,GIV Mean,GIV SE", "study effect se"),
    ],
)
def test_the_spellings_of_other_programs_are_known(read: Reader, header: str, roles: str) -> None:
    columns = header.split(",")
    cells = {"ci_low": "0", "ci_high": "9", "n_1": "50", "n_2": "50"}
    row = ",".join("A" if role == "study" else cells.get(role, "1") for role in roles.split())
    assert read(f"{header}\n{row}\n").roles == dict(zip(roles.split(), columns, strict=True))


def test_the_role_s_own_name_wins_over_other_spellings(read: Reader) -> None:
    assert read("study,author,yi,te,sei\nA,x,1,2,3\n").roles == {"study": "study", "yi": "yi", "sei": "sei"}


def test_ambiguous_columns_are_one_problem_with_a_way_out(read: Reader) -> None:
    problems = refused(read, "study,te,TE,sei\nA,1,2,3\n").problems
    assert "columns 'te', 'TE' could all be 'yi'" in problems[0].rule
    assert "roles={'yi': 'te'}" in problems[0].fix
    assert len(problems) == 1  # that there is no yi follows from it and is no second problem


def test_an_unknown_role_or_column_is_named_with_what_was_meant(read: Reader) -> None:
    first = refused(read, PLAIN, roles={"stdy": "study"}).problems[0]
    assert first.rule == "'stdy' is not a role (did you mean 'study'?)"
    second = refused(read, PLAIN, roles={"yi": "efect"}).problems[0]
    assert second.rule.startswith("there is no column 'efect' for role 'yi'")
    assert "study, yi, sei" in second.fix


# ---------------------------------------------------------------- the table that comes out


def test_columns_without_a_role_are_kept_as_text(read: Reader) -> None:
    trials = read("study,yi,sei,note\nA,1,2,007\nB,1,2,NA\n")
    assert trials.frame["note"].tolist() == ["007", "NA"]


def test_a_selection_keeps_the_places_of_its_rows(read: Reader) -> None:
    trials = read("study,yi,sei,outcome,year\nA,1,2,pain,2001\nB,1,2,sleep,2010\nC,3,2,pain,2015\n")
    kept = trials.query("outcome == 'pain' and year >= 2010")
    assert (kept.texts("study"), kept.rows, len(trials)) == (("C",), ("row 4",), 3)
    assert trials.take([True, False, True]).rows == ("row 2", "row 4")
    assert kept.source == trials.source


def test_roles_that_a_table_does_not_have_are_blank(read: Reader) -> None:
    trials = read(PLAIN)
    assert str(trials.numbers("n_1").tolist()) == "[nan, nan]"
    assert trials.texts("outcome") == ("", "")
    assert trials.flags("higher_is_better") == (None, None)


@pytest.mark.parametrize(
    ("word", "flag"), [("true", True), ("YES", True), ("1", True), ("No", False), ("0", False), ("", None)]
)
def test_yes_and_no(read: Reader, word: str, flag: bool | None) -> None:
    assert read(f"study,yi,sei,higher_is_better\nA,1,2,{word}\n").flags("higher_is_better") == (flag,)


def test_what_a_browser_shows_is_escaped(read: Reader) -> None:
    shown = read("study,yi,sei\n<script>alert(1)</script>,1,2\n")._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
