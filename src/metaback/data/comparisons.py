"""Cutting a table into the questions it can answer: one per outcome and pair of treatments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from metaback.data.trials import Trials
from metaback.errors import DataError, OptionError, Problem
from metaback.numbers import humanise


@dataclass(frozen=True)
class Comparison:
    """One question: an outcome ("" when the table has none), two treatments ("" likewise) and the rows about it.

    places: where its rows stand in the table that it was cut from, 0 for the first.
    """

    outcome: str
    treatment_1: str
    treatment_2: str
    trials: Trials
    places: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name the question in words, "" where the table has neither outcomes nor treatments."""
        pair = " vs ".join(humanise(name) for name in (self.treatment_1, self.treatment_2) if name)
        return ", ".join(part for part in (humanise(self.outcome), pair) if part)


def comparisons(
    trials: Trials, *, outcome: str | None = None, compare: tuple[str, str] | None = None
) -> tuple[Comparison, ...]:
    """Return the outcome x treatment pairs of a table in order of first appearance.

    A pair keeps the order of its first row (or of `compare`); rows that name it the other way round belong to it too.
    outcome, compare: narrow to one outcome and one pair; unknown names are refused with the known ones.
    """
    outcomes = trials.texts("outcome")
    problems = _check_keys(trials)
    if problems:
        raise DataError(trials.source.name, problems)
    if outcome is not None and outcome not in outcomes:
        raise OptionError.unknown("outcome", outcome, sorted(set(outcomes) - {""}))
    pairs = list(zip(trials.texts("treatment_1"), trials.texts("treatment_2"), strict=True))
    if compare is not None:
        _check_pair(compare, set(pairs))
    found = tuple(_cut(trials, outcomes, pairs, outcome, compare))
    if not found:
        asked = f"outcome '{outcome}'" if outcome else "the table"
        pair = f" comparing {' with '.join(compare)}" if compare else ""
        raise DataError(trials.source.name, [Problem(f"{asked} has no row{pair}", "Ask for another outcome or pair")])
    return found


def _check_keys(trials: Trials) -> list[Problem]:
    """Refuse keys that would cut the table in the wrong places: blank here and there, or written in two ways."""
    problems: list[Problem] = []
    for role in (role for role in ("outcome", "treatment_1", "treatment_2") if role in trials.roles):
        texts = trials.texts(role)
        column = trials.roles.get(role, role)
        if any(texts) and "" in texts:
            fix = f"Write the {role.split('_')[0]} of this row"
            blank = (row for row, text in zip(trials.rows, texts, strict=True) if not text)
            problems += [Problem("is blank here and not in other rows", fix, column, row, "") for row in blank]
        spelt: dict[str, str] = {}
        first_of = {text: spelt.setdefault(text.casefold(), text) for text in dict.fromkeys(texts)}
        for row, text in zip(trials.rows, texts, strict=True) if len(spelt) < len(first_of) else ():
            first = first_of[text]
            if text != first:
                rule = f"is written '{first}' in an earlier row and would become a comparison of its own"
                problems.append(Problem(rule, "Write it in one way", column, row, text))
    if not {"treatment_1", "treatment_2"} <= trials.roles.keys():
        return problems
    pairs = zip(trials.rows, trials.texts("treatment_1"), trials.texts("treatment_2"), strict=True)
    column = trials.roles.get("treatment_2", "treatment_2")
    same = [(row, two) for row, one, two in pairs if one and one == two]
    rule = "is compared with itself"
    return problems + [Problem(rule, "Name the two treatments of this row", column, row, two) for row, two in same]


def _check_pair(compare: tuple[str, str], pairs: set[tuple[str, str]]) -> None:
    """Refuse treatments that the table does not have."""
    known = sorted({name for pair in pairs for name in pair} - {""})
    for name in compare:
        if name not in known:
            raise OptionError.unknown("compare", name, known)


def _cut(
    trials: Trials,
    outcomes: tuple[str, ...],
    pairs: list[tuple[str, str]],
    outcome: str | None,
    compare: tuple[str, str] | None,
) -> Iterator[Comparison]:
    """Yield the comparisons that were asked for."""
    sets = {pair: frozenset(pair) for pair in set(pairs)}
    keys = [(name, sets[pair]) for name, pair in zip(outcomes, pairs, strict=True)]
    places: dict[tuple[str, frozenset[str]], list[int]] = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    for key, rows in places.items():
        if outcome is not None and key[0] != outcome:
            continue
        if compare is not None and key[1] != frozenset(compare):
            continue
        yield Comparison(key[0], *(compare or pairs[rows[0]]), trials.at(rows), tuple(rows))
