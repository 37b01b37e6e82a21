"""People who stand in a pool twice under different names: repeated rows, reports of one trial, copied numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from metaback.checks.arms import ROW, ArmTable, Repeated, Shared, arm_table, row_digits, rows_at
from metaback.checks.dependence import MANY, TOGETHER, arm_covariance, nested, outcome_of, times
from metaback.checks.findings import Cell, Finding, Joint, Outcome, Proposal, Severity
from metaback.checks.rules import rule
from metaback.checks.scene import Pooled, Scene
from metaback.checks.words import column_words
from metaback.numbers import as_given
from metaback.stats.same_arms import MOST, digits

# Digits that two groups of people do not share by chance. Two arms with equal n and k digits of mean and SD agree with
# a chance of about 10^-(k - 1), because the leading digits of one outcome are much alike; these numbers keep a chance
# agreement rare among the thousands of pairs of a large table.
ROW_OF_COUNTS = 9  # of counts and sizes of both arms, which take few values in small trials
ARM = 5  # of mean and SD of one arm
ARM_OF_COUNTS = 7  # of events and size of one arm
PRINTED = 6  # of an effect and its standard error or limits, within one study
LUCK, CAP = 4, 4  # the same among k studies: 4 + log10 of the number of pairs; of each number at most 4 digits count,
# because effects of small samples take few values, however many decimals a computer gives them
PRINTED_ROLES = ("effect", "se", "ci_low", "ci_high", "yi", "vi", "sei")
PEOPLE = 4  # studies with one registration; more are not reports of one trial but share a source
SHORT = 6  # letters that a name must have before one letter more, less or other is taken for a slip
REGISTRIES = re.compile(
    r"NCT ?\d{8}|ISRCTN ?\d{6,8}|ACTRN ?\d{14}|ChiCTR[-\w]*\d{8,}|CTRI/\d{4}/\d{2,3}/\d+|DRKS ?\d{8}|IRCT\d+[NA]?\d*"
    r"|UMIN ?\d{9}|JapicCTI-\d{6}|jRCT\w?\d{9,}|TCTR ?\d{8,}|KCT ?\d{7}|RBR-\w{6,}|PACTR ?\d{15,}|SLCTR/\d{4}/\d+"
    r"|\d{4}-\d{6}-\d{2}",
    re.IGNORECASE,
)
ROMAN = re.compile(r"(x{0,3})(ix|iv|v?i{1,3}|v)|x{1,3}")
SOURCES = ("registry", "registration", "trial_registration", "registration_number", "nct", "note", "notes", "comment")
MORE_SOURCES = ("comments", "source", "reference", "remarks")
CHECK = "Compare authors, centres, dates, sizes and registrations of both reports; keep one of them if it is one trial"


def _studies(scene: Scene) -> list[str]:
    """Return the study of each row as it is compared."""
    return [text.strip().casefold() for text in scene.texts("study")]


def _later(studies: Sequence[str], places: Sequence[int]) -> tuple[int, ...]:
    """Return the rows of all studies but the first."""
    return tuple(place for place in places if studies[place] != studies[places[0]])


@rule(
    "row-twice",
    severity="error",
    title="one row of a study entered twice",
    why="A row that stands in the table twice counts its people twice and lends the study twice its weight. It comes "
    "from copying and from merging tables.",
    cite="senn2009",
)
def row_twice(scene: Scene) -> Outcome:
    """Find rows of one study in one pool with the same effect and the same numbers in both arms.

    An error where numbers of the arms are given, with six digits or more together (nine if they are counts), and also
    the labels, outcome, instrument, time, stratum and year are the same; else a warning. Rows that have nothing but an
    effect and its precision, six digits or more, are an information: small samples give equal effects by chance. Equal
    counts at two outcomes, with two instruments or at two times are not told: nobody may have had an event between.
    """
    arms, studies = arm_table(scene), _studies(scene)
    findings: list[Finding] = []
    for pool in scene.pools:
        bare: list[tuple[int, ...]] = []
        for alike in _equal_rows(arms, pool, one_study=True, studies=studies):
            places = alike.places
            if _only_counts(arms, places[0]) and len({arms.settings[place] for place in places}) > 1:
                continue
            if row_digits(arms, places[0]) >= ROW:
                findings.append(_twice_finding(scene, arms, places))
            elif _no_numbers(arms, places[0]) and _printed_digits(scene, places[0]) >= PRINTED:
                bare.append(places)
        if bare:
            findings.append(_bare_finding(scene, bare))
    return outcome_of(scene, findings)


def _no_numbers(arms: ArmTable, place: int) -> bool:
    """Tell whether the arms of a row have no other number than n."""
    return all(value is None for side in "12" for value in arms.keys[side][place][1:])


def _only_counts(arms: ArmTable, place: int) -> bool:
    """Tell whether the arms of a row have counts and sizes, and no other numbers."""
    return not _no_numbers(arms, place) and not any(arms.uncounted(place, side) for side in "12")


def _given(scene: Scene, arms: ArmTable, places: Sequence[int]) -> tuple[Cell, ...]:
    """Return the cells of some rows that hold numbers of arms or effects."""
    both = (f"{stem}_{arm}" for stem in arms.stems for arm in "12")
    roles = [role for role in (*both, *PRINTED_ROLES) if scene.has(role)]
    columns = {role: scene.numbers(role) for role in roles}
    return tuple(Cell(place, role) for place in places for role in roles if not np.isnan(columns[role][place]))


def _bare_finding(scene: Scene, sets: Sequence[tuple[int, ...]]) -> Finding:
    """Tell rows of the studies of one pool that have the same effect and precision, and nothing else to compare."""
    listed = "; ".join(scene.labels(places) for places in sets[:MANY])
    more = f"; and {len(sets) - MANY} more sets" if len(sets) > MANY else ""
    return Finding(
        rule="row-twice",
        severity="information",
        rows=tuple(place for places in sets for place in places),
        says=f"The effect and its precision are the same in {listed}{more}. A row may have been copied.",
        fix="Take copied rows out; small samples can give equal effects by chance",
        evidence={"sets": float(len(sets))},
        proposals=(Proposal("one of these rows only", without=tuple(i for places in sets for i in places[1:])),),
        whole=True,
    )


def _twice_finding(scene: Scene, arms: ArmTable, places: tuple[int, ...]) -> Finding:
    """Word one row that stands in the table several times."""
    texts = {
        (
            arms.settings[i],
            arms.labels["1"][i],
            arms.labels["2"][i],
            arms.strata[i],
            str(arms.years[i]),
        )  # nan is equal as text
        for i in places
    }
    counts = not any(arms.uncounted(places[0], side) for side in "12")
    enough = row_digits(arms, places[0]) >= (ROW_OF_COUNTS if counts else ROW)
    told = "" if len(texts) == 1 else ", though they are not about the same outcome, time, stratum or arms"
    return Finding(
        rule="row-twice",
        severity="error" if enough and len(texts) == 1 else "warning",
        rows=places,
        says=f"{scene.labels(places)}: all numbers of these rows are the same{told}; the same people look counted "
        f"{times(len(places))}.",
        fix="Take all but one of these rows out, or correct the one that was copied",
        evidence={"rows": float(len(places))},
        cells=_given(scene, arms, places),
        proposals=(Proposal("one of these rows only", without=places[1:]),),
    )


def _equal_rows(arms: ArmTable, pool: Pooled, *, one_study: bool, studies: Sequence[str]) -> Iterator[Repeated]:
    """Yield rows of a pool with the same effect, variance and numbers of both arms: of one study, or of several."""
    spots = np.flatnonzero(pool.estimable)
    places = pool.places[spots]
    columns = [pool.yi[spots], pool.vi[spots], arms.values["1"][places], arms.values["2"][places]]
    for where in _classes(np.column_stack(columns)):
        found = tuple(int(spots[i]) for i in where)
        parts: dict[str, list[int]] = {}
        for spot in found:
            parts.setdefault(studies[int(pool.places[spot])], []).append(spot)
        if one_study:
            yield from (rows_at(pool, part) for part in parts.values() if len(part) > 1)
        elif len(parts) > 1:
            yield rows_at(pool, found)


def _classes(rows: np.ndarray) -> Iterator[list[int]]:
    """Yield the numbers of rows that are equal in all columns, blanks included, two or more at a time."""
    clean = np.ascontiguousarray(np.where(np.isnan(rows), np.inf, rows + 0.0))
    found: dict[bytes, list[int]] = {}
    for i, row in enumerate(clean):
        found.setdefault(row.tobytes(), []).append(i)
    yield from (where for where in found.values() if len(where) > 1)


def _printed_digits(scene: Scene, place: int, cap: int = 12) -> int:
    """Count the digits of the effect and of its precision as they stand in the table, at most `cap` of each.

    Of several columns that tell the precision the one with the fewest digits counts: the others follow from it, as a
    variance of 0.4096 follows from a standard error of 0.64.
    """
    told = {role: float(scene.numbers(role)[place]) for role in PRINTED_ROLES if scene.has(role)}
    if told.get("vi", -1.0) >= 0:
        told.setdefault("sei", round(told["vi"] ** 0.5, MOST))
    known = {role: min(cap, digits((value,))) for role, value in told.items() if not np.isnan(value)}
    effect: int = min((known[role] for role in ("effect", "yi") if role in known), default=0)
    errors: list[int] = [known[role] for role in ("se", "sei", "vi") if role in known]
    limits: list[int] = [known[role] for role in ("ci_low", "ci_high") if role in known]
    if limits:
        errors.append(max(limits))
    return effect + min(errors, default=0)


@rule(
    "same-numbers",
    severity="error",
    title="the same numbers in different studies",
    why="Two trials do not have the same means and SDs. Where they do, one trial was published twice or entered under "
    "two names, a row was copied, or both trials were compared with one historical control group. Either way the same "
    "people count more than once.",
    cite="tramer1997 senn2009",
)
def same_numbers(scene: Scene) -> Outcome:
    """Find rows of different studies in one pool with equal numbers.

    Both arms: n, means and SDs equal with six digits or more (of means and SDs together): an error; counts and sizes
    with nine digits: a warning. One arm: mean and SD with five digits (counts and n with seven), and with n more than
    4 + log10(pairs of rows): a warning. Effects without numbers of arms: effect and standard error (or limits) with
    4 + log10(pairs of rows) digits: a warning.
    """
    arms, studies = arm_table(scene), _studies(scene)
    findings: list[Finding] = []
    for pool in scene.pools:
        told: set[int] = set()
        copied: dict[tuple[object, ...], list[Repeated]] = {}
        for alike in _equal_rows(arms, pool, one_study=False, studies=studies):
            severity = _weight_of_row(scene, arms, alike)
            if severity is not None:
                told.update(alike.spots)
                copied.setdefault((severity, *sorted({studies[i] for i in alike.places})), []).append(alike)
        findings += [_copied_finding(scene, arms, studies, sets) for sets in copied.values()]
        for side in "21":
            for part in _equal_arms(arms, pool, side, studies, told):
                told.update(part.rows.spots)
                findings.append(_historical_finding(scene, arms, studies, part))
    return outcome_of(scene, findings)


def _weight_of_row(scene: Scene, arms: ArmTable, alike: Repeated) -> Severity | None:
    """Return how telling it is that another study has all numbers of this row; None where chance can do it."""
    place, k = alike.places[0], int(alike.pool.estimable.sum())
    if _no_numbers(arms, place):
        luck = LUCK + np.log10(k * (k - 1) / 2)
        return "warning" if _printed_digits(scene, place, CAP) >= luck else None
    values = [value for side in "12" for value in arms.uncounted(place, side)]
    if values:
        return "error" if digits(values) >= ROW else None
    return "warning" if row_digits(arms, place) >= ROW_OF_COUNTS else None


def _copied_finding(scene: Scene, arms: ArmTable, studies: Sequence[str], sets: Sequence[Repeated]) -> Finding:
    """Word rows of several studies whose numbers are all the same; one set of rows, or several of the same studies."""
    places = tuple(place for alike in sets for place in alike.places)
    severity = _weight_of_row(scene, arms, sets[0]) or "warning"
    often = "" if len(sets) == 1 else f", in {len(sets)} sets of rows"
    return Finding(
        rule="same-numbers",
        severity=severity,
        rows=places,
        says=f"{scene.labels(places)}: these studies have exactly the same numbers{often}, which two groups of people "
        "hardly have. They look like one trial under two names, or a row that was copied.",
        fix=CHECK,
        evidence={"rows": float(len(places))},
        cells=_given(scene, arms, places),
        proposals=(
            Proposal(
                "the first of these studies only",
                without=tuple(place for alike in sets for place in _later(studies, alike.places)),
            ),
        ),
    )


def _equal_arms(arms: ArmTable, pool: Pooled, side: str, studies: Sequence[str], told: set[int]) -> Iterator[Shared]:
    """Yield rows of different studies that have one arm in common, by n and other numbers with enough digits."""
    spots = np.array([spot for spot in np.flatnonzero(pool.estimable).tolist() if spot not in told], dtype=np.intp)
    if not spots.size:
        return
    luck = LUCK + np.log10(max(spots.size * (spots.size - 1) / 2, 1))
    for where in _classes(arms.values[side][pool.places[spots]]):
        found = rows_at(pool, (int(spots[i]) for i in where))
        place = found.places[0]
        key, known = arms.keys[side][place], arms.uncounted(place, side)
        enough = (digits(known) >= ARM if known else digits(key) >= ARM_OF_COUNTS) and digits(key) >= luck
        if enough and key[0] is not None and len({studies[i] for i in found.places}) > 1:
            yield Shared(found, side, "numbers" if known else "counts", certain=False)


def _historical_finding(scene: Scene, arms: ArmTable, studies: Sequence[str], part: Shared) -> Finding:
    """Word an arm that stands in several studies."""
    places = part.rows.places
    group = "control group" if part.side == "2" else "treated group"
    words = ", ".join(f"{stem} {as_given(value)}" for stem, value in arms.told(places[0], part.side).items())
    roles = [(place, arms.role(stem, place, part.side)) for place in places for stem in arms.stems]
    joint = Joint(places, nested(arm_covariance(arms, part).cov))
    return Finding(
        rule="same-numbers",
        severity="warning",
        rows=places,
        says=f"{scene.labels(places)}: the {group} has the same numbers in these studies ({words}). It looks like one "
        "trial published twice, or one (historical) group that several studies were compared with.",
        fix=CHECK,
        evidence={"rows": float(len(places))},
        cells=tuple(
            Cell(place, role) for place, role in roles if scene.has(role) and not np.isnan(scene.numbers(role)[place])
        ),
        proposals=(
            Proposal(TOGETHER, joint=(joint,)),
            Proposal("the first of these studies only", without=_later(studies, places)),
        ),
    )


@dataclass(frozen=True, slots=True)
class Label:
    """A study's label, taken apart: letters of the names without accents; numbers; the letter after the year.

    Numbers are also single letters and Roman numerals, which tell parts of a series apart: "centre B", "1965-ii".
    """

    names: str
    numbers: tuple[str, ...]
    letter: str


def take_apart(text: str) -> Label:
    """Return what a label says apart from its spelling.

    >>> take_apart("M\u00fcller et al., 2010a"), take_apart("muller 2010")
    (Label(names='muller', numbers=('2010',), letter='a'), Label(names='muller', numbers=('2010',), letter=''))
    """
    plain = text.casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain.replace("\u00f8", "o"))  # casefold makes ss of a sharp s
        plain = "".join(character for character in plain if not unicodedata.combining(character))
    plain = re.sub(r"\bet al\b\.?|\band\b|&", " ", plain)
    years = re.findall(r"\b(?:19|20)\d\d([a-z])\b", plain)
    plain = re.sub(r"\b((?:19|20)\d\d)[a-z]\b", r"\1", plain)
    words = re.findall(r"[^\W\d_]+|\d+", plain)
    numbers = tuple(word for word in words if word.isdigit() or len(word) == 1 or ROMAN.fullmatch(word))
    return Label("".join(word for word in words if word not in numbers), numbers, "".join(years))


@rule(
    "study-twice",
    severity="warning",
    title="labels of studies that may name one study",
    why="One study under two spellings counts as two: its rows are taken as independent, and no rule can see that they "
    "belong together. Reports of one author and year, told apart by a letter, are often reports of one trial.",
    cite="tramer1997",
)
def study_twice(scene: Scene) -> Outcome:
    """Find different labels of one pool that differ in spelling, or in one letter.

    A warning for labels that are the same but for case, accents, marks and words like "et al."; and for names of six
    letters or more with one letter more, less or other inside and the same numbers, where also an arm has the same n.
    One author and year with different letters (2020a, 2020b) is an information, a warning if both arms have the same n.
    """
    findings: list[Finding] = []
    texts, sizes = scene.texts("study"), [scene.numbers(f"n_{arm}").tolist() for arm in "12"]
    for pool in scene.pools:
        rows: dict[str, list[int]] = {}
        for place in map(int, pool.places[pool.estimable]):
            rows.setdefault(texts[place].strip(), []).append(place)
        labels = {text: take_apart(text) for text in rows if text}
        letters: list[tuple[str, ...]] = []
        for names, reason in (*_spellings(labels), *_slips(labels)):
            found = {text: rows[text] for text in names}
            equal = [_equal_n(found, column) for column in sizes]
            if reason == "letter" and not all(equal):
                letters.append(names)
            elif reason != "slip" or any(equal):
                findings.append(_label_finding(scene, found, reason))
        if letters:
            findings.append(_letters_finding(scene, [{text: rows[text] for text in names} for names in letters]))
    return outcome_of(scene, findings)


def _equal_n(rows: Mapping[str, Sequence[int]], sizes: Sequence[float]) -> bool:
    """Tell whether some number of people stands in rows of all labels."""
    known = [{sizes[place] for place in places if not np.isnan(sizes[place])} for places in rows.values()]
    return bool(known[0].intersection(*known[1:]))


def _spellings(labels: Mapping[str, Label]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield labels that say the same, and labels that differ by the letter after the year."""
    same: dict[Label, list[str]] = {}
    lettered: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for text, label in labels.items():
        if label.names:
            same.setdefault(label, []).append(text)
    for label, texts in same.items():
        lettered.setdefault((label.names, label.numbers), []).append(texts[0])
        one = {text.casefold() for text in texts}
        if len(one) > 1:
            yield tuple(texts), "spelling"
    yield from ((tuple(texts), "letter") for texts in lettered.values() if len(texts) > 1)


def _slips(labels: Mapping[str, Label]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield pairs of labels with the same numbers whose names differ in one letter that is not among the ends.

    The first three letters and the last one must be the same: other surnames differ there.
    """
    blocks: dict[tuple[str, str, tuple[str, ...], str], dict[str, str]] = {}
    for text, label in labels.items():
        if len(label.names) >= SHORT:
            mark = (label.names[:3], label.names[-1], label.numbers, label.letter)
            blocks.setdefault(mark, {}).setdefault(label.names, text)
    for names in blocks.values():
        for one, two in combinations(names, 2):
            if one_letter_apart(one, two):
                yield (names[one], names[two]), "slip"


def one_letter_apart(one: str, two: str) -> bool:
    """Tell whether two texts differ by one letter more, less or other.

    >>> one_letter_apart("schmidt", "schmitt"), one_letter_apart("rasmusen", "rasmussen"), one_letter_apart("li", "wu")
    (True, True, False)
    """
    if abs(len(one) - len(two)) > 1 or one == two:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    if len(one) == len(two):
        return one[start + 1 :] == two[start + 1 :]
    short, long = sorted((one, two), key=len)
    return short[start:] == long[start + 1 :]


def _label_finding(scene: Scene, rows: Mapping[str, Sequence[int]], reason: str) -> Finding:
    """Word labels that look like one study."""
    places = tuple(sorted(place for found in rows.values() for place in found))
    listed = " and ".join(f"'{text}'" for text in rows)
    why = {
        "spelling": "differ in spelling only",
        "slip": "differ in one letter, and an arm has the same number of people",
        "letter": "differ in the letter after the year only, and both arms have the same number of people",
    }[reason]
    studies = [text.strip() for text in scene.texts("study")]
    return Finding(
        rule="study-twice",
        severity="warning",
        rows=places,
        says=f"{scene.labels(places)}: the labels {listed} {why}. If they name one study, its people are counted "
        f"{times(len(rows))}, and its rows are taken as independent.",
        fix="Write the label in one way where it is one study; " + CHECK.lower(),
        evidence={"labels": float(len(rows)), "differ_in": reason},
        cells=tuple(Cell(place, "study") for place in places),
        proposals=(Proposal("the first of these studies only", without=_later(studies, places)),),
    )


def _letters_finding(scene: Scene, sets: Sequence[Mapping[str, Sequence[int]]]) -> Finding:
    """Tell authors and years that stand in one pool with several letters."""
    places = tuple(sorted(place for rows in sets for found in rows.values() for place in found))
    listed = "; ".join(", ".join(rows) for rows in sets[:6]) + (f" and {len(sets) - 6} more" if len(sets) > 6 else "")
    return Finding(
        rule="study-twice",
        severity="information",
        rows=places,
        says=f"Labels of one author and year stand in one pool: {listed}. They may be reports, arms or subgroups of "
        "one study.",
        fix=CHECK,
        evidence={"sets": float(len(sets))},
        cells=tuple(Cell(place, "study") for place in places),
        whole=True,
    )


@rule(
    "same-registration",
    severity="warning",
    title="different studies with one trial registration",
    why="A trial is registered once. Two studies of a pool with one registration number are reports of one trial, "
    "so that its people are counted twice.",
    cite="tramer1997",
)
def same_registration(scene: Scene) -> Outcome:
    """Find studies of one pool with the same registration number, in a column of its own or in notes and sources.

    Known by their form: ClinicalTrials.gov, ISRCTN, ANZCTR, ChiCTR, CTRI, DRKS, IRCT, UMIN, JapicCTI, jRCT, TCTR,
    CRIS, ReBec, PACTR, SLCTR, EudraCT. A number with more than four studies is taken for that of a common source.
    """
    numbers = _registrations(scene)
    examined = sum(bool(found) for found in numbers)
    if not examined:
        return Outcome(passed_over=("no column, note or source holds a registration number",))
    studies = _studies(scene)
    findings: list[Finding] = []
    for pool in scene.pools:
        rows: dict[str, list[int]] = {}
        for place in map(int, pool.places[pool.estimable]):
            for number in numbers[place]:
                rows.setdefault(number, []).append(place)
        found = [
            (number, tuple(places))
            for number, places in rows.items()
            if 1 < len({studies[place] for place in places}) <= PEOPLE
        ]
        sets = [found] if len(found) > MANY else [[one] for one in found]
        findings += [_registration_finding(scene, studies, one) for one in sets]
    return Outcome(tuple(findings), examined)


def _registrations(scene: Scene) -> list[list[str]]:
    """Return the registration numbers of each row, without spaces and in upper case."""
    found: list[list[str]] = [[] for _ in range(scene.k)]
    for name in (*SOURCES, *MORE_SOURCES):
        for i, text in enumerate(column_words(scene, name)):
            if text:
                found[i] += [number.replace(" ", "").upper() for number in REGISTRIES.findall(text)]
    return [list(dict.fromkeys(numbers)) for numbers in found]


def _registration_finding(scene: Scene, studies: Sequence[str], sets: Sequence[tuple[str, tuple[int, ...]]]) -> Finding:
    """Word studies with one registration, or many such sets together."""
    places = tuple(place for _, found in sets for place in found)
    listed = "; ".join(f"{scene.labels(found)} carry {number}" for number, found in sets[:MANY])
    more = f"; and {len(sets) - MANY} more numbers" if len(sets) > MANY else ""
    return Finding(
        rule="same-registration",
        severity="warning",
        rows=places,
        says=f"Different studies with one registration number look like reports of one trial: {listed}{more}.",
        fix=CHECK,
        evidence={"registration": sets[0][0], "numbers": float(len(sets))},
        cells=tuple(Cell(place, "study") for place in places),
        proposals=(
            Proposal(
                "the first of these studies only",
                without=tuple(place for _, found in sets for place in _later(studies, found)),
            ),
        ),
        whole=len(sets) > 1,
    )
