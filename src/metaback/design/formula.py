"""From a formula and the columns of a table to a design matrix; the only file that knows formulaic."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.design.design import Design
from metaback.design.formula_words import BROADEST, Used, check_python, plain_formula
from metaback.design.moderators import Bools, Floats, Moderator, levels_of, moderator
from metaback.errors import DataError, OptionError, Problem, suggestion

INTERCEPT = "Intercept"
LEARNING = frozenset({"bs", "cr", "poly", "center", "scale"})  # transforms that depend on all rows: knots, means
DEPENDENT = 1e-6  # share of a column in a combination that vanishes, above which the column is named


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a formula: its name and the positions of its columns in X; a factor has several."""

    name: str
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FormulaDesign:
    """A formula turned into a matrix, with what is needed to turn new rows into the same columns.

    formula: as the user wrote it; design: X (rows in use, p) and its column names; terms: without the intercept.
    used: (k,) rows of the table that enter; reasons: per row why not ("" where it does, or where it has no effect).
    moderators: the columns that the formula names; intercept: whether it has one.
    """

    formula: str
    design: Design
    terms: tuple[Term, ...]
    used: Bools
    reasons: tuple[str, ...]
    moderators: tuple[Moderator, ...]
    intercept: bool
    model: Any  # formulaic's ModelSpec: knots, means and codings as learned from the rows in use
    aliases: Mapping[str, str]

    @property
    def X(self) -> Floats:  # noqa: N802  (a matrix, as in the literature)
        """Return the design matrix."""
        return np.asarray(self.design.X, dtype=float)


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A formula that has passed every check: the text for formulaic, its columns and which of them are factors.

    learns: whether a transform depends on all rows, so that each table needs its own.
    """

    text: str
    names: dict[str, str]
    columns: tuple[str, ...]
    factors: frozenset[str]
    learns: bool


@dataclass(frozen=True, slots=True)
class DesignTable:
    """A table from which a design is made: (k,) values by column, rows with an effect, and where each row stands."""

    columns: Mapping[str, NDArray[Any]]
    usable: Bools
    rows: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Read:
    """A table whose columns have been read: the moderators with their levels, and (k,) the rows that enter."""

    table: DesignTable
    source: str
    found: tuple[Moderator, ...]
    used: Bools


def build_design(
    formula: str,
    columns: Mapping[str, NDArray[Any]],
    usable: Bools,
    rows: Sequence[str],
    source: str = "the table",
    orders: Mapping[str, Sequence[Any]] | None = None,
) -> FormulaDesign:
    """Return the design of a formula over the rows that have an effect and every moderator.

    formula: the right side, e.g. "~ weeks + C(stratum)" (factors, `a:b`, `a * b`, `bs(x, df=4)`, `cr(x, df=4)`,
    `poly(x, 2)`, `I(x**2)`, `- 1` for no intercept); powers may be written `^`. Text is never run: see `check_python`.
    columns: (k,) values by name; usable: (k,) rows with an effect; rows: where each row stands, for messages; orders:
    values of pandas categories in their order, which levels keep; the first is what the others are compared with.

    Raises `OptionError` for a formula that cannot be read or names an unknown column, `DataError` for cells that are
    no numbers, a factor with one level, no more rows than coefficients, and columns that repeat each other.

    >>> x = {"weeks": np.array([4.0, 8.0, np.nan, 12.0])}
    >>> build_design("~ weeks", x, np.ones(4, bool), ("2", "3", "4", "5")).design.columns
    ('Intercept', 'weeks')
    """
    parsed = _parse(formula, columns)
    table = DesignTable(columns, usable, rows)
    read = _read(parsed, table, source, orders or {})
    X, model = _materialise(parsed.text, _frame(read, parsed.names), formula)
    return _finished(formula, parsed, read, X, model)


def build_designs(
    formula: str, tables: Sequence[DesignTable], source: str, orders: Mapping[str, Sequence[Any]] | None = None
) -> list[FormulaDesign | DataError | OptionError]:
    """Return for each of many tables of the same columns what `build_design` returns or raises.

    A formula whose transforms learn nothing from the rows (`LEARNING` names those that do) is evaluated once for all
    tables in which its factors have the same levels; any other, table by table.
    """
    if not tables:
        return []
    try:
        parsed = _parse(formula, tables[0].columns)
    except OptionError as error:
        return [error for _ in tables]
    out: dict[int, FormulaDesign | DataError | OptionError] = {}
    alike: dict[tuple[Any, ...], list[tuple[int, _Read]]] = {}
    for i, table in enumerate(tables):
        try:
            read = _read(parsed, table, source, orders or {})
        except DataError as error:
            out[i] = error
            continue
        coding = tuple(None if column.numbers is not None else column.levels for column in read.found)
        alike.setdefault((i,) if parsed.learns else coding, []).append((i, read))
    for several in alike.values():
        out |= _designs_of(formula, parsed, several)
    return [out[i] for i in range(len(tables))]


def _designs_of(
    formula: str, parsed: _Parsed, several: list[tuple[int, _Read]]
) -> dict[int, FormulaDesign | DataError | OptionError]:
    """Return the designs of tables that share one coding, which is learned from all of their rows."""
    whole = pd.concat([_frame(read, parsed.names) for _, read in several], ignore_index=True)
    try:
        X, model = _materialise(parsed.text, whole, formula)
    except OptionError as error:
        return {i: error for i, _ in several}
    out: dict[int, FormulaDesign | DataError | OptionError] = {}
    stop = 0
    for i, read in several:
        start, stop = stop, stop + int(read.used.sum())
        try:
            out[i] = _finished(formula, parsed, read, X[start:stop], model)
        except DataError as error:
            out[i] = error
    return out


def _read(parsed: _Parsed, table: DesignTable, source: str, orders: Mapping[str, Sequence[Any]]) -> _Read:
    """Read the columns of a formula and tell which rows enter, before anything is evaluated."""
    found, problems = _moderators(parsed, table.columns, table.rows)
    if problems:
        raise DataError(source, problems)
    missing = np.array([column.missing for column in found], dtype=bool).reshape(len(found), table.usable.size)
    used = table.usable & ~missing.any(axis=0)
    if not used.any():
        raise DataError(source, [Problem("no row has an effect and every moderator", "Fill in or drop a moderator")])
    found = tuple(_with_levels(column, used, orders.get(column.name, ())) for column in found)
    problems = [_one_level(column) for column in found if column.numbers is None and len(column.levels) < 2]
    if problems:
        raise DataError(source, problems)
    return _Read(table, source, found, used)


def _finished(formula: str, parsed: _Parsed, read: _Read, X: Floats, model: Any) -> FormulaDesign:
    """Check the matrix of a table and return its design."""
    found, used, usable = read.found, read.used, read.table.usable
    names = tuple(_shown(name, parsed.names) for name in model.column_names)
    _check_matrix(X, names, found, [row for row, use in zip(read.table.rows, used, strict=True) if use], read.source)
    gaps = [(column.name, column.missing) for column in found]
    reasons = tuple(
        f"no value of {' and '.join(name for name, gap in gaps if gap[i])}" if usable[i] and not used[i] else ""
        for i in range(usable.size)
    )
    terms = tuple(
        Term(_shown(str(term), parsed.names), tuple(model.term_indices[term]))
        for term in model.terms
        if str(term) != "1"
    )
    intercept = INTERCEPT in names
    return FormulaDesign(formula, Design(X, names), terms, used, reasons, found, intercept, model, parsed.names)


def new_rows(design: FormulaDesign, frame: pd.DataFrame) -> Floats:
    """Return the rows of X for new values of the moderators, (rows, p), coded as in the fit.

    Raises `DataError` with every column that is missing, blank cell and level that the fit did not see, every value
    beyond the ends of a `bs()`, and every row in which a term is not a number, such as the log of a negative one.
    """
    k, problems = len(frame), list[Problem]()
    if not k:
        raise DataError("the new rows", [Problem("there is no row", "Give one row per setting")])
    rows = tuple(f"index {index}" for index in frame.index)
    found: list[Moderator] = []
    for known in design.moderators:
        if known.name not in frame.columns:
            problems.append(Problem("the moderator is missing from the new rows", "Add the column", known.name))
            continue
        values = np.asarray(frame[known.name].to_numpy(dtype=object))
        column, odd = moderator(known.name, values, rows, factor=known.numbers is None)
        if known.numbers is not None and column.numbers is None:
            numbers = [isinstance(value, bool) for value in values]
            odd = odd or tuple(
                Problem("is not a number", "Give the moderator as a number", known.name, row, text)
                for row, text, ok in zip(rows, column.texts, numbers, strict=True)
                if text and not ok
            )
            numbered = [
                float(value is True) if text else math.nan for value, text in zip(values, column.texts, strict=True)
            ]
            column = replace(column, numbers=np.array(numbered))
        problems += odd
        problems += _unseen(known, column, rows)
        found.append(replace(column, levels=known.levels))
    problems += _beyond_splines(design, tuple(found), rows)
    if problems:
        raise DataError("the new rows", problems)
    X = _evaluate(
        design.model, _named_frame(tuple(found), dict(design.aliases), np.ones(k, dtype=bool)), design.formula
    )
    broken: list[list[int]] = np.argwhere(~np.isfinite(X)).tolist()
    if broken:
        names, fix = design.design.columns, "Change the value, or the transform of the formula"
        raise DataError("the new rows", [Problem(f"{names[j]} is not a number", fix, None, rows[i]) for i, j in broken])
    return X


def outside(design: FormulaDesign, frame: pd.DataFrame) -> tuple[str, ...]:
    """Tell for each new row which moderators lie beyond the values of the fit, "" where none does.

    frame: rows that `new_rows` takes.

    >>> x = {"weeks": np.array([4.0, 8.0, 10.0, 12.0])}
    >>> design = build_design("~ weeks", x, np.ones(4, bool), ("2", "3", "4", "5"))
    >>> outside(design, pd.DataFrame({"weeks": [6.0, 20.0]}))
    ('', 'weeks beyond 4 to 12')
    """
    told: list[list[str]] = [[] for _ in range(len(frame))]
    for column in design.moderators:
        if column.numbers is None:
            continue
        low, high = _ends(column, design.used)
        values = moderator(column.name, np.asarray(frame[column.name].to_numpy(dtype=object)), (), factor=False)[
            0
        ].numbers
        for i, value in enumerate([] if values is None else values.tolist()):
            if not low <= value <= high:
                told[i].append(f"{column.name} beyond {low:g} to {high:g}")
    return tuple("; ".join(words) for words in told)


def _ends(column: Moderator, used: Bools) -> tuple[float, float]:
    """Return the smallest and the largest value of a numeric moderator in the rows in use."""
    values = np.array([math.nan]) if column.numbers is None else column.numbers[used]
    return float(values.min()), float(values.max())


def _beyond_splines(design: FormulaDesign, found: tuple[Moderator, ...], rows: Sequence[str]) -> list[Problem]:
    """List the values beyond the ends of a `bs()`, where that spline does not exist."""
    aliases = {name: alias for alias, name in design.aliases.items()}
    problems: list[Problem] = []
    by_name = {known.name: known for known in design.moderators}
    for column in found:
        known = by_name[column.name]
        word = re.escape(aliases.get(known.name, known.name))
        splined = any(re.search(rf"\bbs\(\s*(\w+\()*{word}\b", str(term)) for term in design.model.terms)
        if known.numbers is None or column.numbers is None or not splined:
            continue
        low, high = _ends(known, design.used)
        fix = "Stay within, or use cr(), which goes on as a line"
        problems += [
            Problem(f"lies beyond {low:g} to {high:g}, where bs() ends", fix, known.name, row, f"{value:g}")
            for row, value in zip(rows, column.numbers.tolist(), strict=True)
            if math.isfinite(value) and not low <= value <= high
        ]
    return problems


def _unseen(known: Moderator, column: Moderator, rows: Sequence[str]) -> list[Problem]:
    """List blank cells and levels that the fit does not know."""
    problems = [
        Problem("has no value", "Give one in every new row", known.name, row)
        for row, gap in zip(rows, column.missing, strict=True)
        if gap
    ]
    if known.numbers is None:
        fix = f"Use one of: {', '.join(known.levels)}"
        problems += [
            Problem(f"is not a level of the fit{suggestion(text, known.levels)}", fix, known.name, row, text)
            for row, text in zip(rows, column.texts, strict=True)
            if text and text not in known.levels
        ]
    return problems


def average_rows(design: FormulaDesign, factor: str, frame: pd.DataFrame) -> dict[str, Floats]:
    """Return, per level of a factor, the mean of X over the rows of `frame` with that factor set to the level, (p,).

    These are the rows of adjusted means: what the model expects if every row had that level.
    """
    known = {column.name: column for column in design.moderators}
    factors = [name for name, column in known.items() if column.numbers is None]
    if factor not in factors:
        raise OptionError.unknown("factor", factor, factors)
    return {level: new_rows(design, frame.assign(**{factor: level})).mean(axis=0) for level in known[factor].levels}


def observed(design: FormulaDesign) -> pd.DataFrame:
    """Return the moderators of the rows in use, as a frame that `new_rows` reads."""
    return pd.DataFrame(
        {
            column.name: column.numbers[design.used]
            if column.numbers is not None
            else [text for text, use in zip(column.texts, design.used, strict=True) if use]
            for column in design.moderators
        }
    )


def _parse(formula: str, columns: Mapping[str, NDArray[Any]]) -> _Parsed:
    """Check a formula's syntax, columns and size before anything of it is evaluated."""
    from formulaic import Formula, SimpleFormula
    from formulaic.errors import FormulaicError

    text, names = plain_formula(formula)
    parts = _parts(text)
    uses = [_checked(code, names) for code, python in parts if python]
    for use in uses:
        clash = use.transforms & (use.columns | use.factors)
        if clash:
            raise OptionError(f"formula: {min(clash)!r} is the name of a column and of a transform; rename the column")
    bare = {code for code, python in parts if not python}
    wanted = dict.fromkeys([*sorted(bare), *sorted({c for use in uses for c in use.columns | use.factors})])
    known = [str(column) for column in columns]
    unknown = [names.get(name, name) for name in wanted if names.get(name, name) not in columns]
    if unknown:
        words = "; ".join(f"{name!r} is not a column{suggestion(name, known)}" for name in unknown)
        raise OptionError(f"formula={formula!r}: {words}; the columns are: {', '.join(known)}")
    read: Any = Formula
    try:
        whole = read(text)
    except (FormulaicError, SyntaxError, ValueError, TypeError, KeyError, RecursionError) as error:
        told = str(error).strip().splitlines() or ["it cannot be read"]
        raise OptionError(f"formula={formula!r} cannot be read: {_plain_words(told[0])}") from None
    if not isinstance(whole, SimpleFormula):
        raise OptionError(f"formula={formula!r}: give one right side, as in '~ weeks + C(stratum)'")
    if not list(whole):
        raise OptionError(f"formula={formula!r} has no term")
    for term in whole:
        uses += [_checked(str(f.expr), names) for f in term.factors if f.eval_method.value == "python"]
    learns = any(use.transforms & LEARNING for use in uses)
    return _Parsed(text, names, tuple(names.get(name, name) for name in wanted), _factors(uses, bare, names), learns)


def _checked(code: str, names: Mapping[str, str]) -> Used:
    """Check a Python part, and speak of columns by their own names if it is refused."""
    try:
        return check_python(code)
    except OptionError as error:
        raise OptionError(_shown(str(error), names)) from None


def _factors(uses: list[Used], bare: set[str], names: Mapping[str, str]) -> frozenset[str]:
    """Name the columns that stand in `C()` and nowhere else."""
    plain = bare | {name for use in uses for name in use.columns}
    return frozenset(names.get(name, name) for use in uses for name in use.factors if name not in plain)


def _parts(text: str) -> list[tuple[str, bool]]:
    """Split a formula into names and Python parts, and refuse one that would expand without end."""
    from formulaic.errors import FormulaicError
    from formulaic.parser.algos.tokenize import tokenize  # pyright: ignore[reportUnknownVariableType]

    split: Any = tokenize  # pyright: ignore[reportUnknownVariableType]
    try:
        tokens = list(split(text))
    except (FormulaicError, SyntaxError, ValueError) as error:
        raise OptionError(f"the formula cannot be read: {_plain_words(str(error).splitlines()[0])}") from None
    kinds = [(str(token.token), token.kind.value) for token in tokens]
    count = sum(kind in ("name", "python") for _, kind in kinds)
    crossings = 1 + sum(kind == "operator" and word in ("*", ":", "/", "%in%") for word, kind in kinds)
    size = (count / crossings + 1) ** crossings
    for (word, kind), (power, _) in pairwise(kinds):
        if kind == "operator" and word == "**":
            size *= (count + 1.0) ** min(float(power), 50.0) if power.isdigit() else BROADEST + 1
    if size > BROADEST:
        raise OptionError(
            f"the formula expands to too many terms (more than {BROADEST}); write out those that you mean"
        )
    if any(word in (".", "|", "~") for word, kind in kinds[1:] if kind in ("operator", "value")):
        raise OptionError("the formula must be one right side that names its columns, as in '~ weeks + C(stratum)'")
    return [(word, kind == "python") for word, kind in kinds if kind in ("name", "python")]


def _plain_words(text: str) -> str:
    """Leave out the marks of colour that formulaic puts into its errors."""
    return "".join(c for c in text if c.isprintable()).rstrip(".")


def _moderators(
    parsed: _Parsed, columns: Mapping[str, NDArray[Any]], rows: Sequence[str]
) -> tuple[tuple[Moderator, ...], list[Problem]]:
    """Read the columns that a formula names, with all their problems at once."""
    read = [moderator(name, columns[name], rows, factor=name in parsed.factors) for name in parsed.columns]
    return tuple(column for column, _ in read), [problem for _, problems in read for problem in problems]


def _with_levels(column: Moderator, used: Bools, order: Sequence[Any]) -> Moderator:
    """Give a factor the levels of the rows in use."""
    if column.numbers is not None:
        return column
    return replace(column, levels=levels_of([t for t, use in zip(column.texts, used, strict=True) if use], order))


def _one_level(column: Moderator) -> Problem:
    """Word the problem of a factor that does not vary."""
    rule = f"all rows with an effect have {column.levels[0]!r}, so it explains no difference"
    return Problem(rule, "Leave it out of the formula", column.name)


def _frame(read: _Read, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the frame that formulaic evaluates: the columns named, under their aliases, and no other."""
    return _named_frame(read.found, names, read.used)


def _named_frame(columns: tuple[Moderator, ...], names: Mapping[str, str], used: Bools) -> pd.DataFrame:
    """Return moderators under their aliases."""
    known = {name: alias for alias, name in names.items()}
    data: dict[str, Any] = {}
    for column in columns:
        texts = [text for text, use in zip(column.texts, used, strict=True) if use]
        levels = list(column.levels)
        values = pd.Categorical(texts, categories=levels) if column.numbers is None else column.numbers[used]
        data[known.get(column.name, column.name)] = values
    return pd.DataFrame(data, index=range(int(used.sum())))


def _materialise(text: str, frame: pd.DataFrame, formula: str) -> tuple[Floats, Any]:
    """Learn the coding from the rows in use and return their matrix."""
    from formulaic import Formula

    context = {"sqrt": np.sqrt}
    read: Any = Formula
    build: Any = read(text).get_model_matrix
    spec = _guarded(lambda: build(frame, context=context, na_action="ignore"), formula).model_spec
    return _evaluate(spec, frame, formula), spec


def _evaluate(spec: Any, frame: pd.DataFrame, formula: str) -> Floats:
    """Return the matrix of rows under a coding that is known."""
    matrix = _guarded(lambda: spec.get_model_matrix(frame, context={"sqrt": np.sqrt}), formula)
    return np.asarray(matrix, dtype=float).reshape(len(frame), -1)


def _guarded(call: Any, formula: str) -> Any:
    """Evaluate with formulaic and turn its errors into ours."""
    from formulaic.errors import FormulaicError

    try:
        with np.errstate(all="ignore"):
            return call()
    except (FormulaicError, ValueError, TypeError, ArithmeticError, LookupError, np.linalg.LinAlgError) as error:
        told = str(error).strip().splitlines() or ["it cannot be evaluated"]
        raise OptionError(f"formula={formula!r}: {_plain_words(told[0])}") from None


def _shown(name: str, names: Mapping[str, str]) -> str:
    """Write a term with the names of the table instead of their aliases."""
    for alias, known in names.items():
        name = name.replace(alias, known)
    return name


def _check_matrix(
    X: Floats, names: tuple[str, ...], columns: tuple[Moderator, ...], rows: Sequence[str], source: str
) -> None:
    """Refuse numbers that are none, too few rows, and columns that repeat each other."""
    k, p = X.shape
    broken: list[list[int]] = np.argwhere(~np.isfinite(X)).tolist()
    if broken:
        fix = "Change the transform, or leave the row's moderator blank"
        raise DataError(source, [Problem(f"{names[j]} is not a number", fix, None, str(rows[i])) for i, j in broken])
    if k <= p:
        wide = [f"{c.name} has {len(c.levels)} levels" for c in columns if c.numbers is None]
        more = f" ({'; '.join(wide)})" if wide else ""
        rule = f"{k} rows cannot estimate {p} coefficients{more}; there must be more rows than coefficients"
        raise DataError(source, [Problem(rule, "Drop moderators or merge levels")])
    dependent = collinear(X)
    if dependent:
        words = ", ".join(repr(names[j]) for j in dependent)
        rule = f"these columns of the design repeat each other: {words}"
        fix = "Drop one of them, or merge levels that always occur together"
        if any(names[j].startswith("cr(") for j in dependent):
            fix = "A cr() holds the intercept already: write cr(..., constraints='center'), or '- 1'"
        raise DataError(source, [Problem(rule, fix)])


def collinear(X: Floats) -> tuple[int, ...]:
    """Return the positions of columns that are a combination of each other; empty for full rank.

    Columns are brought to unit length first, so that a raw year beside its square is not mistaken for a repetition.

    X: (k, p). The rank is that of `numpy.linalg.matrix_rank` at its usual tolerance, max(k, p) x eps.

    >>> collinear(np.array([[1.0, 2.0, 4.0], [1.0, 3.0, 6.0], [1.0, 5.0, 10.0], [1.0, 7.0, 14.0]]))
    (1, 2)
    """
    norm = np.sqrt((X * X).sum(axis=0))
    empty = np.flatnonzero(norm == 0)
    if empty.size:
        return tuple(int(j) for j in empty)
    _, size, right = np.linalg.svd(X / norm, full_matrices=False)
    null = right[size <= size[0] * max(X.shape) * np.finfo(float).eps]
    return tuple(int(j) for j in np.flatnonzero((np.abs(null) > DEPENDENT).any(axis=0)))
