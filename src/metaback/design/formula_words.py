"""What a formula may say: its Python parts are read as syntax and compared with a list, never run to find out."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from metaback.errors import OptionError, suggestion

TRANSFORMS = ("C", "I", "bs", "cr", "poly", "center", "scale", "log", "log2", "log10", "sqrt", "exp")
CODINGS = ("treatment", "sum", "helmert", "diff", "poly")
LONGEST = 1000  # characters; a formula for readers is far shorter, a longer one is meant to stall the parser
HIGHEST = 20  # whole numbers inside a transform: degrees, degrees of freedom, powers
BROADEST = 5000  # terms that products and powers of the formula could expand to

_QUOTED_NAME = re.compile(r"`([^`]*)`")
_TEXT = re.compile(r"('[^'\\]*'|\"[^\"\\]*\")")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_ARGUMENTS = frozenset(
    {"df", "degree", "knots", "include_intercept", "lower_bound", "upper_bound", "constraints", "levels", "raw"}
    | {"center", "scale", "ddof", "base", "contrasts", "extrapolation"}
)


@dataclass(frozen=True, slots=True)
class Used:
    """What one Python part of a formula uses: columns, those of them inside `C()`, and transforms."""

    columns: frozenset[str]
    factors: frozenset[str]
    transforms: frozenset[str]


def plain_formula(formula: str) -> tuple[str, dict[str, str]]:
    """Return a formula without quoted names and with `**` for powers, and the names that stand behind its aliases.

    Names in backticks, as in "~ `publication year`", become plain aliases; a formula without "~" is a right side.
    Raises `OptionError` for an empty, a two-sided or an over-long formula.

    >>> plain_formula("`my col`^2")
    ('~ _q0_**2', {'_q0_': 'my col'})
    """
    if len(formula) > LONGEST:
        raise OptionError(f"the formula has {len(formula)} characters, {LONGEST} are allowed")
    names: dict[str, str] = {}

    def alias(found: re.Match[str]) -> str:
        known = {name: key for key, name in names.items()}
        key = known.get(found.group(1), f"_q{len(names)}_")
        names[key] = found.group(1)
        return key

    text = _QUOTED_NAME.sub(alias, formula.strip())
    text = "".join(part if i % 2 else part.replace("^", "**") for i, part in enumerate(_TEXT.split(text)))
    left, tilde, right = text.partition("~")
    if tilde and left.strip():
        raise OptionError(
            f"formula={formula!r}: the effects are the left side already; begin with '~', as in '~{right.rstrip()}'"
        )
    right = right if tilde else text
    if not right.strip():
        raise OptionError("the formula is empty; name at least one column, as in '~ weeks'")
    return f"~ {right.strip()}", names


def check_python(code: str) -> Used:
    """Return what a Python part of a formula uses; raise `OptionError` for anything that is not on the list.

    Allowed are arithmetic on columns and numbers, the `TRANSFORMS` with plain arguments, and `contr.treatment(...)`
    and its kin inside `C()`.

    >>> sorted(check_python("I(weeks ** 2)").columns)
    ['weeks']
    """
    try:
        tree = ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise OptionError(f"formula: {code!r} cannot be read; quote names of columns with backticks") from None
    walker = _Walker(code)
    try:
        walker.visit(tree, inside="")
    except RecursionError:
        raise OptionError("formula: its parts are nested too deeply") from None
    return Used(frozenset(walker.columns), frozenset(walker.factors), frozenset(walker.transforms))


class _Walker:
    """Walks one expression and keeps what it finds."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.columns: set[str] = set()
        self.factors: set[str] = set()
        self.transforms: set[str] = set()

    def visit(self, node: ast.expr, inside: str) -> None:
        """Check one node; `inside` is the transform whose argument it is."""
        if isinstance(node, ast.Name):
            (self.factors if inside == "C" else self.columns).add(node.id)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
            self._arithmetic(node, inside)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            self.visit(node.operand, inside)
        elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
            raise self._refuse(node)

    def _arithmetic(self, node: ast.BinOp, inside: str) -> None:
        """Check a sum, product, quotient or power of columns and numbers."""
        if isinstance(node.op, ast.Pow):
            power = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
            value = power.value if isinstance(power, ast.Constant) else None
            small = isinstance(value, int | float) and value <= HIGHEST
            if not small or not any(isinstance(part, ast.Name) for part in ast.walk(node.left)):
                raise OptionError(
                    f"formula: {ast.unparse(node)!r} is not allowed; powers are of columns, at most {HIGHEST}"
                )
            self.visit(node.left, inside)
            return
        self.visit(node.left, inside)
        self.visit(node.right, inside)

    def _call(self, node: ast.Call) -> None:
        """Check a transform: its name, one argument with columns, then plain ones."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in TRANSFORMS:
            raise self._refuse(node.func)
        self.transforms.add(name)
        if not node.args:
            raise OptionError(f"formula: {ast.unparse(node)!r} names no column")
        self.visit(node.args[0], name)
        for value in [*node.args[1:], *(k.value for k in node.keywords)]:
            self._plain(value, coding=name == "C")
        for keyword in node.keywords:
            if keyword.arg not in _ARGUMENTS:
                raise OptionError(f"formula: {name}() takes no argument {keyword.arg!r} here")
        for value in [*node.args[1:2], *(k.value for k in node.keywords if k.arg in {"df", "degree"})]:
            if isinstance(value, ast.Constant) and type(value.value) is int and value.value > HIGHEST:
                raise OptionError(f"formula: {value.value} is too large in {ast.unparse(node)!r}, at most {HIGHEST}")

    def _plain(self, node: ast.expr, *, coding: bool) -> None:
        """Check an argument without columns: a number, a word, a list of them, or the coding of a factor."""
        if isinstance(node, ast.List | ast.Tuple):
            for item in node.elts:
                self._plain(item, coding=False)
        elif coding and isinstance(node, ast.Call) and _is_coding(node):
            for value in [*node.args, *(k.value for k in node.keywords)]:
                self._plain(value, coding=False)
            self.transforms.add("contr")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            self._plain(node.operand, coding=False)
        elif not isinstance(node, ast.Constant) or type(node.value) not in (int, float, str, bool):
            raise self._refuse(node)

    def _refuse(self, node: ast.AST) -> OptionError:
        """Word the error for what is not on the list."""
        shown = ast.unparse(node)
        hint = suggestion(shown, TRANSFORMS)
        return OptionError(
            f"formula: {shown!r} is not allowed in {self.code!r}{hint}; use columns, numbers, + - * / ** and "
            f"{', '.join(TRANSFORMS)}; quote names of columns that are not plain words with backticks"
        )


def _is_coding(node: ast.Call) -> bool:
    """Tell `contr.treatment(...)` and its kin."""
    if not isinstance(node.func, ast.Attribute):
        return False
    of = node.func.value
    return isinstance(of, ast.Name) and of.id == "contr" and node.func.attr in CODINGS
