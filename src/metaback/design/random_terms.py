"""From random formulas and the columns of a table to random terms over its rows: levels, factors, slopes, positions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.design.formula import FormulaDesign, build_design
from metaback.design.moderators import Bools, Floats, cell_text, levels_of
from metaback.design.random_words import PLACED, ROW, SLOPES, WHOLE, RandomWords, unknown_columns
from metaback.errors import DataError, OptionError, Problem, suggestion
from metaback.numbers import parse_number
from metaback.stats.mixed import Term

Places = NDArray[np.intp]
SHOWN = 10  # names that an error lists
ORDERED = ("AR", "HAR")  # the order of the levels makes their correlations
REPEATED = ("UN", "DIAG", "HCS", "HAR", *SLOPES)  # variances that only several levels of the grouping show
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
ASYMMETRY = 1e-8  # of a known correlation matrix, relative: what writing to a file can do
LOWEST = -1e-8  # eigenvalue of a known correlation matrix, as share of its largest, that is rounding


@dataclass(frozen=True, slots=True)
class Grouping:
    """A random effect's levels: `codes` (n,) of the rows in use, in the order of first appearance, and their names.

    first: (levels,) the first row of each level; columns: which columns make a level; table: their cells as texts.
    """

    columns: tuple[str, ...]
    codes: Places
    first: Places
    texts: tuple[NDArray[np.object_], ...]

    @property
    def count(self) -> int:
        """Count the levels."""
        return self.first.size

    @property
    def name(self) -> str:
        """Return the name of the level, from coarse to fine: "study/effect"."""
        return "/".join(self.columns)

    def labels(self) -> tuple[str, ...]:
        """Return the name of each level, coarse to fine: "Smith 2001/3"."""
        return tuple("/".join(str(text[i]) for text in self.texts) for i in self.first.tolist())


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """One random term of the model: the words that asked for it, its levels, and what the engine needs.

    key: how it is called in tables, e.g. "study", "study/effect", "outcome | study". inner_levels: names of the levels
    of a factor, or of the columns of slopes; empty for an intercept. known: whether its levels have a given
    correlation. also: keys of terms that are the same grouping and therefore one with it, in a sum. slopes: the design
    of random slopes, None for other terms.
    """

    key: str
    words: RandomWords
    struct: str
    grouping: Grouping
    term: Term
    inner_levels: tuple[str, ...] = ()
    inner_name: str = ""
    known: bool = False
    also: tuple[str, ...] = ()
    slopes: FormulaDesign | None = None


@dataclass(frozen=True, slots=True)
class KnownCorrelation:
    """How the levels of a grouping correlate: their names on the rows and on the columns, and values (m, m)."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Floats


@dataclass(frozen=True, slots=True)
class RandomTable:
    """A table from which random terms are made.

    columns: (k,) values by name; used: (k,) rows in the model; rows: where each stands; orders: values of pandas
    categories in their order. known: correlations of levels by the column of these.
    """

    columns: Mapping[str, NDArray[Any]]
    used: Bools
    rows: Sequence[str]
    source: str = "the table"
    orders: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    known: Mapping[str, KnownCorrelation] = field(default_factory=dict[str, KnownCorrelation])


@dataclass(frozen=True, slots=True)
class RandomDesign:
    """The random part of a model: its terms, and what was asked for but cannot be told apart, as sentences.

    dropped: key of a term that is not in the model -> why.
    """

    terms: tuple[RandomTerm, ...]
    dropped: Mapping[str, str]
    notes: tuple[str, ...]


def build_random(found: Sequence[RandomWords], table: RandomTable) -> RandomDesign:
    """Return the random terms of formulas over the rows in use.

    A level that has the same rows as a coarser one (one effect per study) is no term of its own: the two variances
    cannot be told apart, and their sum is estimated under the coarser name. A grouping with a single level has no
    variance that the data could show, and is left out, on record.

    Raises `OptionError` for columns that the table does not have, `DataError` for blank cells of a grouping, times
    that are no numbers, and known correlations that do not fit, all at once.

    >>> from metaback.design.random_words import read_random
    >>> columns = {"study": np.array(["A", "A", "B"], dtype=object)}
    >>> table = RandomTable(columns, np.ones(3, dtype=bool), ("2", "3", "4"))
    >>> built = build_random(read_random(["~ 1 | study/effect"]), table)
    >>> [(term.key, term.grouping.count) for term in built.terms]
    [('study', 2), ('study/effect', 3)]
    """
    names = [str(name) for name in table.columns]
    if unknown := unknown_columns(found, names):
        told = [words.text for words in found]
        shown = repr(told[0] if len(told) == 1 else told)
        raise OptionError(f"random={shown}: {'; '.join(unknown)}; the columns are: {', '.join(names)}")
    problems: list[Problem] = []
    cells = _cells(found, table, problems)
    _unclear_row(found, table, cells, problems)
    if problems:
        raise DataError(table.source, problems)
    terms = [term for words in found for term in _terms(words, table, cells, problems)]
    unused = [key for key in table.known if not any(term.known and key == term.grouping.columns[-1] for term in terms)]
    if problems:
        raise DataError(table.source, problems)
    if unused:
        groups = [term.grouping.columns[-1] for term in terms if not term.inner_levels]
        raise OptionError(str(OptionError.unknown("R", unused[0], groups)))
    return replace(design := _told_apart(terms), notes=(*design.notes, *_taken(terms, table)))


def _taken(terms: Sequence[RandomTerm], table: RandomTable) -> list[str]:
    """Tell what was made of words in an order, and of known covariances."""
    notes: list[str] = []
    for term in terms:
        words = any(parse_number(level) is None for level in term.inner_levels)
        if term.struct in ORDERED and words and term.inner_name not in table.orders:
            shown = ", ".join(term.inner_levels[:SHOWN]) + (", ..." if len(term.inner_levels) > SHOWN else "")
            notes.append(
                f"{term.struct} takes the levels of {term.inner_name} in the order {shown}; another one is that of "
                "a pandas Categorical."
            )
        spread = np.diag(table.known[term.grouping.columns[-1]].values) if term.known else np.ones(1)
        if np.abs(spread - 1).max() > ASYMMETRY:
            notes.append(
                f"R of {term.grouping.columns[-1]} holds covariances (variances {spread.min():.4g} to "
                f"{spread.max():.4g}); their correlations were used, so that all levels have one variance."
            )
    return notes


Cells = Mapping[str, tuple[Places, NDArray[np.object_]]]


def _cells(found: Sequence[RandomWords], table: RandomTable, problems: list[Problem]) -> Cells:
    """Return codes (n,) and names of the levels of every column that groups, and list its blank cells by row."""
    wanted = dict.fromkeys(name for words in found for name in (*words.outer[-1], *words.columns))
    used = np.flatnonzero(table.used)
    out: dict[str, tuple[Places, NDArray[np.object_]]] = {}
    for name in wanted:
        if name in (ROW, WHOLE):
            continue
        codes, texts = coded(table.columns[name][used])
        fix = "Fill in the level of the row, or take the row out of the table"
        rule = "is blank, and the random effects need to know the level of every row"
        gaps: list[int] = used[codes < 0].tolist()
        problems += [Problem(rule, fix, name, table.rows[i]) for i in gaps]
        out[name] = codes, texts
    return out


def coded(values: NDArray[Any]) -> tuple[Places, NDArray[np.object_]]:
    """Return the codes (n,) of values in the order of first appearance, -1 where blank, and the text of each level.

    Values that are written the same are the same level: 3, 3.0 and " 3 ".

    >>> codes, names = coded(np.array(["b", "a", "b ", None], dtype=object))
    >>> codes.tolist(), names.tolist()
    ([0, 1, 0, -1], ['b', 'a'])
    """
    codes, uniques = pd.factorize(values)
    found = np.asarray(uniques, dtype=object)
    levels = found.tolist()
    texts = [cell_text(value) for value in levels]
    if texts == levels and "" not in texts and codes.min(initial=0) >= 0:
        return codes.astype(np.intp, copy=False), found  # plain texts: nothing is blank or written twice
    number = {text: i for i, text in enumerate(dict.fromkeys(text for text in texts if text))}
    merged = np.array([number.get(text, -1) for text in texts] + [-1], dtype=np.intp)
    return merged[codes], np.array(list(number), dtype=object)


def _unclear_row(found: Sequence[RandomWords], table: RandomTable, cells: Cells, problems: list[Problem]) -> None:
    """Refuse the word for the row where a column of that name groups rows in another way."""
    asked = [level for words in found for level in words.outer if ROW in level]
    if not asked or ROW not in table.columns or "yi" in table.columns or problems:
        return
    values = table.columns[ROW][table.used]
    numbers = [parse_number(cell_text(value)) for value in values.tolist()]
    if any(n is not None and not float(n).is_integer() for n in numbers):
        return  # printed effects: the column is not one of levels
    codes, names = coded(values)
    for level in asked:
        others = [(cells[name][0], cells[name][1].size) for name in level if name != ROW]
        if _joined([*others, (codes, names.size)]).max(initial=-1) + 1 < values.size:
            rule = f"the table has a column {ROW!r} that repeats, and in a random formula {ROW!r} is the row itself"
            problems.append(Problem(rule, "Rename the column, and name it in the formula where you mean it", ROW))
            return


def _joined(parts: Sequence[tuple[Places, int]]) -> Places:
    """Return one code (n,) for every combination of codes that occurs, in the order of first appearance."""
    codes = parts[0][0]
    for more, size in parts[1:]:
        codes = np.asarray(pd.factorize(codes * size + more)[0], dtype=np.intp)
    return codes


def _grouping(level: tuple[str, ...], table: RandomTable, cells: Cells) -> Grouping:
    """Return the levels that columns make together."""
    n = int(table.used.sum())
    if ROW in level:
        numbered = "row " in "".join(table.rows)
        names = [row.removeprefix("row ") for row in table.rows] if numbered else table.rows
        rows = np.array(names, dtype=object)[table.used]
        texts = (*(cells[name][1][cells[name][0]] for name in level if name != ROW), rows)
        return Grouping(level, np.arange(n), np.arange(n), texts)
    if level == (WHOLE,):
        return Grouping(("all rows",), np.zeros(n, dtype=np.intp), np.zeros(1, dtype=np.intp), ())
    codes = _joined([(cells[name][0], cells[name][1].size) for name in level])
    first = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.intp)
    first[codes[::-1]] = np.arange(n)[::-1]
    return Grouping(level, codes, first, tuple(cells[name][1][cells[name][0]] for name in level))


def _terms(
    words: RandomWords,
    table: RandomTable,
    cells: Cells,
    problems: list[Problem],
) -> list[RandomTerm]:
    """Return the terms of one formula."""
    groupings = [_grouping(level, table, cells) for level in words.outer]
    if words.intercept:
        return [_intercept(words, grouping, table, problems) for grouping in groupings]
    struct = words.struct or ("UN" if words.columns and _is_factor(words.columns[0], table) else "GEN")
    if struct in SLOPES:
        return [_slopes(words, struct, groupings[0], table)]
    if struct in PLACED:
        return [_placed(words, struct, groupings[0], table, problems)]
    return [_factor(words, struct, groupings[0], table, problems)]


def _intercept(words: RandomWords, grouping: Grouping, table: RandomTable, problems: list[Problem]) -> RandomTerm:
    """Return a random intercept, with the known correlation of its levels where there is one."""
    matrix = table.known.get(grouping.columns[-1])
    known = None if matrix is None else known_correlation(matrix, grouping, problems)
    term = Term("ID0", grouping.codes, None, 1, known=known)
    return RandomTerm(grouping.name, words, "ID0", grouping, term, known=known is not None)


def _is_factor(name: str, table: RandomTable) -> bool:
    """Tell whether a column holds words (or categories) in the rows in use."""
    values = table.columns[name][table.used]
    if name in table.orders or values.dtype.kind == "b":
        return True
    return values.dtype == object and any(parse_number(cell_text(value)) is None for value in values.tolist())


def _factor(
    words: RandomWords, struct: str, grouping: Grouping, table: RandomTable, problems: list[Problem]
) -> RandomTerm:
    """Return a term over the levels of a factor: UN, CS, AR and their kin."""
    if len(words.columns) != 1:
        rule = f"random={words.text!r}: struct={struct!r} takes one column left of the bar"
        raise OptionError(f"{rule}; for coordinates use one of {', '.join(PLACED)}")
    name = words.columns[0]
    codes, texts = coded(table.columns[name][table.used])
    levels = levels_of(texts.tolist(), table.orders.get(name, ()))
    levels = by_number(levels) if struct in ORDERED and name not in table.orders else levels
    place = {level: i for i, level in enumerate(levels)}
    inner = np.array([place[text] for text in texts.tolist()], dtype=np.intp)[codes]
    if len(levels) < 2:
        rule = f"all rows with an effect have {''.join(levels)!r}, so effects cannot differ by it"
        problems.append(Problem(rule, f"Use random='~ 1 | {grouping.name}'", name))
    term = Term(struct, grouping.codes, inner, len(levels))
    return RandomTerm(f"{name} | {grouping.name}", words, struct, grouping, term, levels, name)


def by_number(levels: Sequence[str]) -> tuple[str, ...]:
    """Return levels that differ in one number alone by the size of it; others as they are.

    >>> by_number(("week 12", "week 4")), by_number(("2 weeks", "baseline"))
    (('week 4', 'week 12'), ('2 weeks', 'baseline'))
    """
    parts = [_NUMBER.split(level) for level in levels]
    if any(len(part) != 3 for part in parts) or len({(part[0], part[2]) for part in parts}) > 1:
        return tuple(levels)
    return tuple(
        level for _, level in sorted((float(part[1]), level) for part, level in zip(parts, levels, strict=True))
    )


def _placed(
    words: RandomWords, struct: str, grouping: Grouping, table: RandomTable, problems: list[Problem]
) -> RandomTerm:
    """Return a term over times or coordinates; rows at one place share its effect."""
    if struct == "CAR" and len(words.columns) != 1:
        raise OptionError(f"random={words.text!r}: struct='CAR' takes one column of times left of the bar")
    position = np.empty((int(table.used.sum()), len(words.columns)))
    for j, name in enumerate(words.columns):
        texts = [cell_text(value) for value in table.columns[name][table.used].tolist()]
        numbers = [parse_number(text) for text in texts]
        rows = [row for row, use in zip(table.rows, table.used.tolist(), strict=True) if use]
        fix = "Write plain numbers with a decimal point"
        problems += [
            Problem(f"is no number, and struct={struct!r} needs distances", fix, name, rows[i], texts[i])
            for i, number in enumerate(numbers)
            if number is None
        ]
        position[:, j] = [np.nan if number is None else number for number in numbers]
    inner = np.unique(position, axis=0, return_inverse=True)[1].reshape(-1).astype(np.intp)
    name = " + ".join(words.columns)
    term = Term(struct, grouping.codes, inner, int(inner.max(initial=-1)) + 1, position=position)
    return RandomTerm(f"{name} | {grouping.name}", words, struct, grouping, term, (), name)


def _slopes(words: RandomWords, struct: str, grouping: Grouping, table: RandomTable) -> RandomTerm:
    """Return random slopes: the columns of the inner formula, with an intercept unless it says `0 +` or `- 1`."""
    design = build_design(f"~ {words.inner}", table.columns, table.used, table.rows, table.source, table.orders)
    gaps = np.flatnonzero(table.used & ~design.used).tolist()
    if gaps:
        rule = f"has no value, and the random slopes {words.text!r} need one in every row"
        columns = [c for c in design.moderators if c.missing[gaps].any()]
        found = [
            Problem(rule, "Fill it in, or take the row out of the table", c.name, table.rows[i])
            for c in columns
            for i in gaps
            if c.missing[i]
        ]
        raise DataError(table.source, found)
    levels = design.design.columns
    term = Term(struct, grouping.codes, None, len(levels), Z=design.X)
    key = f"{words.inner} | {grouping.name}"
    return RandomTerm(key, words, struct, grouping, term, levels, words.inner, slopes=design)


def known_correlation(matrix: KnownCorrelation, grouping: Grouping, problems: list[Problem]) -> Floats | None:
    """Return the known correlation of the levels of a grouping in their order, (levels, levels).

    matrix: may hold more levels; a covariance is brought to correlations. Problems (names that are missing, asymmetry,
    a negative eigenvalue) are added to the list.
    """
    name = grouping.columns[-1]
    names = matrix.rows
    if names != matrix.columns or len(set(names)) < len(names):
        rule = f"R[{name!r}] must have the same names, each once, on its rows and its columns, in one order"
        problems.append(Problem(rule, "Use pd.DataFrame(matrix, index=names, columns=names)"))
        return None
    place = {text: i for i, text in enumerate(names)}
    wanted = [str(grouping.texts[-1][i]) for i in grouping.first.tolist()]
    missing = [text for text in wanted if text not in place]
    if missing:
        shown = ", ".join(f"{text!r}{suggestion(text, names)}" for text in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        rule = f"R[{name!r}] has no row for {shown}{more}"
        problems.append(Problem(rule, "Add these levels to the matrix, or correct their spelling", name))
        return None
    order = np.array([place[text] for text in wanted], dtype=np.intp)
    values = matrix.values[np.ix_(order, order)]
    spread = np.diag(values)
    if not np.isfinite(values).all() or (spread <= 0).any():
        problems.append(Problem(f"R[{name!r}] holds cells that are no numbers, or a variance of 0", "Correct them"))
        return None
    scaled = values / np.sqrt(np.outer(spread, spread))
    if np.abs(scaled - scaled.T).max(initial=0.0) > ASYMMETRY:
        problems.append(Problem(f"R[{name!r}] is not symmetric", "Give a matrix of correlations"))
        return None
    scaled = (scaled + scaled.T) / 2
    eigenvalues = np.linalg.eigvalsh(scaled)
    if eigenvalues[0] < LOWEST * eigenvalues[-1]:
        rule = f"R[{name!r}] has a negative eigenvalue ({eigenvalues[0]:.3g}), so it is no matrix of correlations"
        problems.append(Problem(rule, "Correct it, or use the nearest matrix that is one"))
    return scaled


def _told_apart(terms: Sequence[RandomTerm]) -> RandomDesign:
    """Keep the terms whose variances the data can show apart, and say what became of the others."""
    kept: list[RandomTerm] = []
    dropped: dict[str, str] = {}
    notes: list[str] = []
    for term in terms:
        plain = not term.inner_levels and not term.inner_name and not term.known
        if term.grouping.count < 2 and (plain or term.struct in REPEATED):
            what = "its variance" if plain else "its variances"
            why = f"all rows belong to one {term.grouping.columns[-1]}, so {what} cannot be estimated"
            dropped[term.key] = why
            notes.append(f"The random effect of {term.key} was left out: {why}; the interval is about that one alone.")
            continue
        twin = next((i for i, other in enumerate(kept) if plain and _same(term, other)), None)
        if twin is None:
            kept.append(term)
            continue
        other = kept[twin]
        kept[twin] = replace(other, also=(*other.also, term.key))
        dropped[term.key] = (
            f"{other.key} and {term.key} cannot be told apart: every level of the one is a level of the other "
            f"(one {term.grouping.columns[-1]} per {other.grouping.columns[-1]}); only their sum is estimated"
        )
        notes.append(f"The variances of {dropped[term.key]}.")
    return RandomDesign(tuple(kept), dropped, tuple(notes))


def _same(term: RandomTerm, other: RandomTerm) -> bool:
    """Tell whether two plain intercepts group the rows in the same way."""
    if other.inner_levels or other.inner_name or other.known or term.grouping.count != other.grouping.count:
        return False
    return bool(np.array_equal(term.grouping.codes, other.grouping.codes))


def is_slopes(term: RandomTerm) -> bool:
    """Tell whether a term is of random slopes."""
    return term.struct in SLOPES
