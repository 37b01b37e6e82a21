"""The house proved from its syntax trees: directions, libraries, cycles, budgets and bans.

Every rule is a function from a `House` to a list of sentences; an empty list means that the rule is kept. The rules
read text only and import nothing of the package. Each rule is also run on a small bad house, so that it can fail.
"""

from __future__ import annotations

import ast
import importlib
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = "metaback"

# From the ground up. A family may import the families of lower rows only; those of one row do not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("status", "numbers", "progress", "vocabulary"),  # L0
    ("errors",),
    ("registry",),
    ("stats",),  # L1
    ("data",),  # L2
    ("effects", "checks", "design"),  # L3
    ("models",),  # L4
    ("postestimation", "bias"),  # L5
    ("plots", "report"),  # L6
    ("bundle", "level_bundle", "engines", "universes", "audits", "prisma"),  # L7
    ("result",),
    ("regression", "levels", "digits", "many", "verification", "living"),
    ("cli",),
    (PACKAGE,),  # the public names, on top of all
    ("__main__",),  # `python -m metaback`
)
RANK = {family: rank for rank, row in enumerate(LAYERS) for family in row}

LIBRARIES: dict[str, frozenset[str]] = {
    "stats": frozenset({"numpy", "scipy"}),
    "data": frozenset({"numpy", "pandas", "pyarrow", "python_calamine"}),
    "effects": frozenset({"numpy", "pandas"}),
    "checks": frozenset({"numpy", "pandas"}),
    "design": frozenset({"numpy", "pandas", "formulaic"}),
    "models": frozenset({"numpy", "pydantic", "pydantic_core", "statsmodels"}),
    "postestimation": frozenset({"numpy", "scipy", "pandas", "statsmodels"}),
    "bias": frozenset({"numpy", "scipy", "pandas"}),
    "plots": frozenset({"numpy", "matplotlib", "PIL"}),
    "report": frozenset({"numpy", "pandas", "jinja2", "markupsafe", "docx", "typst", "xlsxwriter"}),
    "bundle": frozenset({"numpy", "pandas"}),
    "level_bundle": frozenset(),
    "universes": frozenset({"numpy", "pandas"}),
    "audits": frozenset({"pandas"}),
    "prisma": frozenset(),
    "result": frozenset({"numpy", "pandas"}),
    "regression": frozenset({"numpy", "pandas"}),
    "levels": frozenset({"numpy", "pandas"}),
    "digits": frozenset({"numpy", "pandas"}),
    "many": frozenset({"numpy", "pandas"}),
    "verification": frozenset(),
    "living": frozenset(),
    "engines": frozenset({"dask", "distributed"}),
    "cli": frozenset({"click", "rich"}),
    **dict.fromkeys(
        ("status", "numbers", "progress", "vocabulary", "errors", "registry", PACKAGE, "__main__"), frozenset[str]()
    ),
}

# What may be imported inside a function: extras that a machine need not have, and libraries that take long to load.
EXTRAS = frozenset({"python_calamine", "pyarrow", "xlsxwriter", "docx", "typst", "dask", "distributed"})
SLOW = frozenset({"matplotlib", "statsmodels", "formulaic"})
# These return figures, and may name matplotlib for type checkers.
NAMES_FIGURES = frozenset({"bundle", "level_bundle", "levels", "prisma", "regression", "result", "universes"})
# Public names and commands are found from strings; everywhere else an import must be visible.
# A table can be asked to check itself, which only the top of the house can do.
# The help of a command answers before what it runs is loaded.
# Effects can be asked for one effect per study, which is made by what stands on them.
IMPORTS_BY_NAME = frozenset(
    {
        PACKAGE,
        f"{PACKAGE}.cli.main",
        f"{PACKAGE}.cli.later",
        f"{PACKAGE}.data.trials",
        f"{PACKAGE}.effects.effect_sizes",
    }
)

FUNCTION_LINES = 40
LONG_FUNCTION_LINES = 60
FILE_LINES = 600
PARAMETERS = 8
KEYWORDS_OF_A_VERB = 12
# Solver loops that read better in one piece, each with its reason. Functions named draw_* have the same allowance.
LONG_FUNCTIONS: dict[str, str] = {}

BANNED_CALLS = frozenset({"eval", "exec", "__import__"})
BANNED_MODULES = {
    "scipy.stats": "takes a second to load; scipy.special has the distributions",
    "matplotlib.pyplot": "keeps global state; use matplotlib.figure.Figure",
    "pickle": "runs code from files",
}
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
SILENT_TOKENS = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module as it is written: its full name, its line, and whether it loads only later."""

    target: str
    line: int
    in_function: bool
    for_types: bool


@dataclass(frozen=True)
class Module:
    """One source file with what the rules ask of it."""

    name: str
    text: str

    @property
    def family(self) -> str:
        """Name the family (second part of the dotted name), or the package itself for its `__init__`."""
        return self.name.split(".")[1] if "." in self.name else self.name

    @cached_property
    def tree(self) -> ast.Module:
        """Parse the text."""
        return ast.parse(self.text)

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """Number the lines that hold code: no blank line, comment or docstring."""
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in SILENT_TOKENS:
                lines.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Module | ast.ClassDef | FunctionNode) and ast.get_docstring(node) is not None:
                lines.difference_update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
        return frozenset(lines)

    @cached_property
    def functions(self) -> tuple[tuple[str, FunctionNode], ...]:
        """List every function and method with its dotted name inside the module, nested ones too."""
        return tuple((name, node) for name, node in _definitions(self.tree, "") if isinstance(node, FunctionNode))

    def at(self, line: int) -> str:
        """Name a place of the module for a message."""
        return f"{self.name}:{line}"


@dataclass(frozen=True)
class House:
    """The package as texts: dotted module names and their sources."""

    sources: dict[str, str]

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """Wrap the sources, in the order of their names."""
        return tuple(Module(name, self.sources[name]) for name in sorted(self.sources))

    def imports(self, module: Module) -> tuple[Import, ...]:
        """List the imports of one module; `from package import module` counts as an import of that module."""
        return tuple(self._imports(module.tree, in_function=False, for_types=False))

    def internal(self, module: Module) -> tuple[Import, ...]:
        """List the imports of one module that stay inside the house."""
        return tuple(i for i in self.imports(module) if _root(i.target) == PACKAGE)

    @cached_property
    def public_verbs(self) -> frozenset[tuple[str, str]]:
        """Name the functions that `metaback/__init__.py` re-exports, as (family, name)."""
        nodes = [n for n in ast.walk(ast.parse(self.sources.get(PACKAGE, ""))) if isinstance(n, ast.ImportFrom)]
        ours = [n for n in nodes if n.module and _root(n.module) == PACKAGE]
        return frozenset((Module(n.module or "", "").family, alias.name) for n in ours for alias in n.names)

    def _imports(self, node: ast.AST, *, in_function: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            for target in self._targets(child):
                waits = in_function and not (isinstance(child, ast.Call) and _called(child) == "later")
                yield Import(target, getattr(child, "lineno", 0), waits, for_types)
            inside = in_function or isinstance(child, FunctionNode | ast.Lambda)
            typing = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            yield from self._imports(child, in_function=inside, for_types=typing)

    def _targets(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            return [self._member(node.module or "", alias.name) for alias in node.names]
        if isinstance(node, ast.Call) and _called(node) in {"import_module", "later"}:
            names = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            return [f"{PACKAGE}.{name}" for name in names] if _called(node) == "later" else names
        return []

    def _member(self, source: str, name: str) -> str:
        full = f"{source}.{name}"
        return full if full in self.sources or _root(source) != PACKAGE else source


def _root(target: str) -> str:
    return target.partition(".")[0]


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode | ast.ClassDef):
            name = f"{prefix}{child.name}"
            yield name, child
            yield from _definitions(child, f"{name}.")
        else:
            yield from _definitions(child, prefix)


# ---------------------------------------------------------------- directions


def every_family_has_a_layer(house: House) -> list[str]:
    """Every module belongs to a family that stands in LAYERS."""
    return [f"{m.name}: family '{m.family}' has no layer" for m in house.modules if m.family not in RANK]


def imports_run_downward(house: House) -> list[str]:
    """A module imports its own family and lower rows, never a sibling or a floor above; deferred imports count."""
    faults: list[str] = []
    for module in house.modules:
        for imported in house.internal(module):
            family = Module(imported.target, "").family
            if family == module.family and module.name != PACKAGE:
                continue
            if RANK.get(family, len(LAYERS)) >= RANK.get(module.family, -1):
                where = "a sibling" if RANK.get(family) == RANK.get(module.family) else "above"
                faults.append(f"{module.at(imported.line)} imports {imported.target}, which is {where}")
    return faults


def no_cycles(house: House) -> list[str]:
    """No module reaches itself through imports, deferred ones and those for type checkers included."""
    graph = {m.name: sorted({i.target for i in house.internal(m)} & set(house.sources)) for m in house.modules}
    done: set[str] = set()
    faults: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            faults.append(" -> ".join((*path[path.index(name) :], name)))
        elif name not in done:
            for target in graph[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    return faults


def only_slow_imports_wait(house: House) -> list[str]:
    """Inside functions stand only extras, slow libraries and the modules that load matplotlib."""
    loads_matplotlib = _loaders(house, "matplotlib")
    faults: list[str] = []
    for module in house.modules:
        for imported in house.imports(module):
            root = _root(imported.target)
            allowed = root in EXTRAS | SLOW or imported.target in loads_matplotlib or imported.for_types
            if imported.in_function and not allowed:
                faults.append(f"{module.at(imported.line)} imports {imported.target} inside a function")
    return faults


def _loaders(house: House, library: str) -> set[str]:
    """Name the modules that load a library, directly or through the modules that they import at the top."""
    tops = {m.name: [i.target for i in house.imports(m) if not (i.in_function or i.for_types)] for m in house.modules}
    found = {name for name, targets in tops.items() if library in map(_root, targets)}
    while more := {name for name, targets in tops.items() if found.intersection(targets)} - found:
        found |= more
    return found


def extras_wait(house: House) -> list[str]:
    """An extra that a machine need not have is imported inside the function that needs it."""
    return [
        f"{m.at(i.line)} imports the extra {i.target} at the top"
        for m in house.modules
        for i in house.imports(m)
        if _root(i.target) in EXTRAS and not (i.in_function or i.for_types)
    ]


def imports_are_visible(house: House) -> list[str]:
    """Modules are not looked up by computed names, which would hide an import from these rules."""
    return [
        f"{m.at(node.lineno)} imports a module by a computed name"
        for m in house.modules
        if m.name not in IMPORTS_BY_NAME
        for node in ast.walk(m.tree)
        if isinstance(node, ast.Call)
        and _called(node) in {"import_module", "later"}
        and not isinstance(node.args[0], ast.Constant)
    ]


def libraries_stay_in_their_layer(house: House) -> list[str]:
    """Each family knows only the libraries of its row in LIBRARIES."""
    known = sys.stdlib_module_names | {PACKAGE}
    faults: list[str] = []
    for module in house.modules:
        libraries = LIBRARIES.get(module.family, frozenset())
        words = ", ".join(sorted(libraries)) or "none"
        figures = {"matplotlib"} if module.family in NAMES_FIGURES else set[str]()
        foreign = (i for i in house.imports(module) if _root(i.target) not in known | libraries)
        foreign = (i for i in foreign if not (i.for_types and _root(i.target) in figures))
        faults += [f"{module.at(i.line)} imports {i.target}; {module.family} may use {words}" for i in foreign]
    return faults


# ---------------------------------------------------------------- budgets


def functions_are_short(house: House) -> list[str]:
    """A function has at most 40 lines of code; 60 for a named solver loop or a draw function."""
    faults: list[str] = []
    for module in house.modules:
        for name, node in module.functions:
            lines = len(module.code_lines & set(range(node.lineno, (node.end_lineno or 0) + 1)))
            long = node.name.startswith("draw_") or f"{module.name}.{name}" in LONG_FUNCTIONS
            limit = LONG_FUNCTION_LINES if long else FUNCTION_LINES
            if lines > limit:
                faults.append(f"{module.at(node.lineno)} {name} has {lines} lines of code, {limit} are allowed")
    return faults


def allowances_are_used(house: House) -> list[str]:
    """LONG_FUNCTIONS names only functions that exist and have a reason."""
    names = {f"{m.name}.{name}" for m in house.modules for name, _ in m.functions}
    return [
        f"{name} is allowed more lines without need"
        for name, why in LONG_FUNCTIONS.items()
        if name not in names or not why
    ]


def files_are_short(house: House) -> list[str]:
    """A file has at most 600 lines."""
    counts = ((m.name, len(m.text.splitlines())) for m in house.modules)
    return [f"{name} has {count} lines, {FILE_LINES} are allowed" for name, count in counts if count > FILE_LINES]


def signatures_are_short(house: House) -> list[str]:
    """A function takes at most 8 parameters, a public verb or a command 12 by keyword, a measure its raw numbers."""
    faults: list[str] = []
    for module in house.modules:
        for name, node in module.functions:
            if _is_measure(node):
                continue
            positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in {"self", "cls"}]
            keywords = len(node.args.kwonlyargs)
            verb = (module.family, name) in house.public_verbs or _is_command(node)
            limit = KEYWORDS_OF_A_VERB if verb else PARAMETERS - len(positional)
            if len(positional) > PARAMETERS or keywords > limit:
                count = f"{len(positional)} + {keywords}"
                faults.append(f"{module.at(node.lineno)} {name} takes {count} parameters (positional + keyword-only)")
    return faults


def _is_measure(node: FunctionNode) -> bool:
    """Tell a measure, whose parameters are the columns it is computed from: two groups measured twice have ten."""
    calls = [d.func for d in node.decorator_list if isinstance(d, ast.Call)]
    return any(isinstance(c, ast.Name) and c.id == "measure" for c in calls)


def _is_command(node: FunctionNode) -> bool:
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(c, ast.Attribute) and c.attr in {"command", "group"} for c in calls)


# ---------------------------------------------------------------- words


def public_things_are_documented(house: House) -> list[str]:
    """Every module, public class and public function or method has a docstring."""
    faults = [f"{m.name} has no docstring" for m in house.modules if ast.get_docstring(m.tree) is None]
    for module in house.modules:
        for name, node in _public(module):
            if ast.get_docstring(node) is None:
                faults.append(f"{module.at(node.lineno)} {name} has no docstring")
    return faults


def public_things_are_annotated(house: House) -> list[str]:
    """Every parameter and result of a public function or method has a type."""
    faults: list[str] = []
    for module in house.modules:
        for name, node in _public(module):
            if isinstance(node, ast.ClassDef):
                continue
            bare = [a.arg for a in _parameters(node) if a.annotation is None and a.arg not in {"self", "cls"}]
            bare += ["return"] if node.returns is None else []
            if bare:
                faults.append(f"{module.at(node.lineno)} {name} has no type for {', '.join(bare)}")
    return faults


def _public(module: Module) -> Iterator[tuple[str, ast.ClassDef | FunctionNode]]:
    inside_functions = tuple(f"{name}." for name, _ in module.functions)
    for name, node in _definitions(module.tree, ""):
        private = any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
        if not private and not name.startswith(inside_functions) and isinstance(node, FunctionNode | ast.ClassDef):
            yield name, node


def _parameters(node: FunctionNode) -> list[ast.arg]:
    a = node.args
    return [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x is not None)]


# ---------------------------------------------------------------- bans


def nothing_banned_is_imported(house: House) -> list[str]:
    """No slow, stateful or unsafe module is imported, and none by a relative path."""
    faults = [
        f"{m.at(i.line)} imports {banned}: {why}"
        for m in house.modules
        for i in house.imports(m)
        for banned, why in BANNED_MODULES.items()
        if f"{i.target}.".startswith(f"{banned}.")
    ]
    relative = ((m, n) for m in house.modules for n in ast.walk(m.tree) if isinstance(n, ast.ImportFrom) and n.level)
    return faults + [f"{m.at(n.lineno)} imports by a relative path" for m, n in relative]


def nothing_banned_is_called(house: House) -> list[str]:
    """No text is run as code, and only the command line prints."""
    faults: list[str] = []
    for module in house.modules:
        for node in ast.walk(module.tree):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called in BANNED_CALLS or (called == "print" and module.family != "cli"):
                faults.append(f"{module.at(node.lineno)} calls {called}")
    return faults


def nothing_is_unfinished(house: House) -> list[str]:
    """No file says that something is still to be done: that is what issues are for."""
    return [
        f"{m.at(number)} says {found.group()}"
        for m in house.modules
        for number, line in enumerate(m.text.splitlines(), 1)
        if (found := UNFINISHED.search(line))
    ]


RULES: tuple[Callable[[House], list[str]], ...] = (
    every_family_has_a_layer,
    imports_run_downward,
    no_cycles,
    only_slow_imports_wait,
    extras_wait,
    imports_are_visible,
    libraries_stay_in_their_layer,
    functions_are_short,
    allowances_are_used,
    files_are_short,
    signatures_are_short,
    public_things_are_documented,
    public_things_are_annotated,
    nothing_banned_is_imported,
    nothing_banned_is_called,
    nothing_is_unfinished,
)


# ---------------------------------------------------------------- the house as it stands


def _read_house() -> House:
    sources: dict[str, str] = {}
    for path in sorted((SRC / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return House(sources)


HOUSE = _read_house()


def test_the_house_is_found() -> None:
    assert {PACKAGE, f"{PACKAGE}.errors", f"{PACKAGE}.registry"} <= set(HOUSE.sources)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[House], list[str]]) -> None:
    assert rule(HOUSE) == []


def test_every_layer_has_its_libraries() -> None:
    assert set(LIBRARIES) == set(RANK)


# ---------------------------------------------------------------- every rule can fail

DOC = '"""x."""\n'
LONG_BODY = "\n".join(f"    a = {i}" for i in range(FUNCTION_LINES))
VERB = "def read(a, *, b, c, d, e, f, g, h, i, j, k, l, m): ..."
COMMENTED = "\n".join(f"    # {i}\n" for i in range(FUNCTION_LINES))
BAD: tuple[tuple[Callable[[House], list[str]], dict[str, str], str], ...] = (
    (every_family_has_a_layer, {"metaback.misc": ""}, "no layer"),
    (imports_run_downward, {"metaback.stats.a": "from metaback.models import specs"}, "above"),
    (imports_run_downward, {"metaback.stats.a": "import metaback"}, "above"),
    (imports_run_downward, {"metaback.effects.a": "import metaback.checks.b"}, "a sibling"),
    (imports_run_downward, {"metaback.plots.a": "def f():\n    from metaback.report import b"}, "a sibling"),
    (imports_run_downward, {"metaback.bundle": "if TYPE_CHECKING:\n    from metaback.result import R"}, "above"),
    (imports_run_downward, {"metaback.stats.a": "import_module('metaback.cli')"}, "above"),
    (
        no_cycles,
        {
            "metaback.stats.a": "from metaback.stats import b",
            "metaback.stats.b": "def f():\n    from metaback.stats.a import g",
        },
        "metaback.stats.a -> metaback.stats.b -> metaback.stats.a",
    ),
    (
        no_cycles,
        {"metaback.cli.a": "from metaback.cli import b", "metaback.cli.b": "def f():\n    later('cli.a', 'g')()"},
        "metaback.cli.a -> metaback.cli.b -> metaback.cli.a",
    ),
    (imports_are_visible, {"metaback.cli.a": "def f(name):\n    later(name, 'g')()"}, "computed"),
    (only_slow_imports_wait, {"metaback.stats.a": "def f():\n    import scipy"}, "inside a function"),
    (only_slow_imports_wait, {"metaback.result": "def f():\n    import metaback.stats.a"}, "inside a function"),
    (extras_wait, {"metaback.data.a": "import python_calamine"}, "at the top"),
    (imports_are_visible, {"metaback.stats.a": "import_module(name)"}, "computed"),
    (libraries_stay_in_their_layer, {"metaback.stats.a": "import pandas as pd"}, "numpy, scipy"),
    (libraries_stay_in_their_layer, {"metaback.errors": "import numpy"}, "none"),
    (libraries_stay_in_their_layer, {"metaback.result": "import matplotlib"}, "numpy, pandas"),
    (functions_are_short, {"metaback.stats.a": f"def f():\n{LONG_BODY}"}, "f has 41 lines"),
    (files_are_short, {"metaback.stats.a": "\n" * 601}, "601 lines"),
    (signatures_are_short, {"metaback.stats.a": "def f(a, b, c, d, e, *, f, g, h, i): ..."}, "5 + 4"),
    (signatures_are_short, {"metaback.stats.a": "def f(a, b, c, d, e, f, g, h, i): ..."}, "9 + 0"),
    (public_things_are_documented, {"metaback.stats.a": "x = 1"}, "metaback.stats.a has no docstring"),
    (public_things_are_documented, {"metaback.stats.a": f"{DOC}class A:\n    {DOC}    def f(self): ..."}, "A.f"),
    (public_things_are_annotated, {"metaback.stats.a": "def f(a, *b: int): ..."}, "no type for a, return"),
    (nothing_banned_is_imported, {"metaback.stats.a": "from scipy import stats"}, "scipy.stats"),
    (nothing_banned_is_imported, {"metaback.stats.a": "from scipy.stats import norm"}, "scipy.stats"),
    (nothing_banned_is_imported, {"metaback.plots.a": "import matplotlib.pyplot as plt"}, "pyplot"),
    (nothing_banned_is_imported, {"metaback.stats.a": "from . import b"}, "relative"),
    (nothing_banned_is_called, {"metaback.stats.a": "eval('1')"}, "eval"),
    (nothing_banned_is_called, {"metaback.stats.a": "print(1)"}, "print"),
    (nothing_is_unfinished, {"metaback.stats.a": "x = 1  # TO" + "DO better"}, "says"),
)
GOOD: tuple[tuple[Callable[[House], list[str]], dict[str, str]], ...] = (
    (imports_run_downward, {"metaback.models.a": "from metaback.models import b\nfrom metaback.stats import c"}),
    (imports_run_downward, {PACKAGE: "if TYPE_CHECKING:\n    from metaback.result import pool"}),
    (only_slow_imports_wait, {"metaback.data.a": "def f():\n    import python_calamine"}),
    (
        only_slow_imports_wait,
        {
            "metaback.plots.a": "import matplotlib",
            "metaback.bundle": "from metaback.plots import a",
            "metaback.result": "def f():\n    from metaback.plots import a\n    from metaback import bundle",
        },
    ),
    (libraries_stay_in_their_layer, {"metaback.result": "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"}),
    (functions_are_short, {"metaback.stats.a": f"def f():\n    {DOC}\n{COMMENTED}\n    return 1"}),
    (functions_are_short, {"metaback.plots.a": f"def draw_a():\n{LONG_BODY}"}),
    (signatures_are_short, {PACKAGE: "from metaback.data import read", "metaback.data.a": VERB}),
    (
        public_things_are_documented,
        {"metaback.stats.a": f"{DOC}def _f():\n    def g(): ...\nclass _A:\n    def f(self): ..."},
    ),
    (nothing_banned_is_called, {"metaback.cli.a": "print(1)"}),
)


@pytest.mark.parametrize(("rule", "sources", "words"), BAD)
def test_rule_refuses(rule: Callable[[House], list[str]], sources: dict[str, str], words: str) -> None:
    faults = rule(House(sources))
    assert len(faults) == 1
    assert words in faults[0]


@pytest.mark.parametrize(("rule", "sources"), GOOD)
def test_rule_allows(rule: Callable[[House], list[str]], sources: dict[str, str]) -> None:
    assert rule(House(sources)) == []


def test_every_rule_is_shown_to_fail() -> None:
    assert {rule for rule, _, _ in BAD} | {allowances_are_used} == set(RULES)


def test_an_allowance_without_need_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LONG_FUNCTIONS, "metaback.stats.gone", "it was long once")
    assert len(allowances_are_used(House({}))) == 1


# ---------------------------------------------------------------- what loads when


def _loaded_by(code: str) -> set[str]:
    show = "import sys as s; s.stderr.write(' '.join({n.split('.')[0] for n in s.modules}))"
    run = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


def test_importing_metaback_loads_nothing_slow() -> None:
    assert not _loaded_by("import metaback") & {"pandas", "scipy", "matplotlib", "statsmodels"}


def test_help_loads_neither_scipy_nor_matplotlib() -> None:
    code = (
        "import sys\nfrom metaback.cli import main\nsys.argv = ['metaback', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert not _loaded_by(code) & {"scipy", "matplotlib", "statsmodels"}


def test_public_names_are_the_same_for_people_and_for_type_checkers() -> None:
    metaback = importlib.import_module(PACKAGE)
    names = set(metaback.__all__) - {"__version__"}
    assert names == {name for _, name in HOUSE.public_verbs}
    assert all(hasattr(metaback, name) for name in names)
