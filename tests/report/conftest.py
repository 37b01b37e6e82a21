"""Hand-made analyses for the tests of reports, and texts that try to break out of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.fitted import Design, Estimate, Fit, Fitted
from metaback.models.specs import PoolSpec, resolve_spec
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary, Subgroups, SubgroupTest
from metaback.report.document import Block, Case, Code, Figure, Fold, Heading, Listing, Notes, Paragraph, Table

VOID = frozenset({"meta", "br", "hr", "img", "link", "base", "input", "embed", "source"})
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</td></tr></table><script>alert(1)</script>",
    "</caption></table><h1>x</h1>",
    "</svg><script>alert(1)</script>",
    "</figcaption></figure><img src=x onerror=alert(1)>",
    "</code></pre><b>x</b>",
    "</textarea><b>x</b>",
    "<img src=x onerror=alert(1)>",
    "<img src='http://example.org/a.png'>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '" autofocus onfocus=alert(1) x="',
    "` onmouseover=alert(1) `",
    '" style="background:url(http://example.org)',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mi xlink:href='data:x,<script>alert(1)</script>'></mi></math>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=x></object>",
    "<embed src=x>",
    "<link rel=stylesheet href=http://example.org/x.css>",
    "<meta http-equiv=refresh content='0;url=http://example.org'>",
    "<base href=http://example.org/>",
    "<form action=http://example.org><input name=a></form>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=http://example.org>x</a>",
    "<style>*{display:none}</style>",
    "<body onload=alert(1)>",
    "<html><head></head></html>",
    "<!-- x",
    "-->",
    "<!--><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "]]>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE html>",
    "<!ENTITY a 'b'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&#x3c;script&#x3e;",
    "&amp;&amp;",
    "&quot; onclick=&quot;alert(1)",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "{{ config.items() }}",
    "{# comment #}",
    "${7*7}",
    "<%= 7*7 %>",
    "#{7*7}",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\x00<script>\x00alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "line\nbreak\r\nand\ttab",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\ud800lone surrogate",
    "\ufeffmark\u200b",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    '=HYPERLINK("http://example.org","x")',
    "A" * 3000,
    "\u0645\u0631\u062d\u0628\u0627 <b>",
    "O'Neil & Søn <2004>",
)
MARKUP = (  # of Markdown, typst, Word and spreadsheets
    "# heading",
    "heading\n===",
    "> quote",
    "- item",
    "+ item",
    "3. item",
    "3) item",
    "---",
    "***",
    "**bold** __bold__ *em* _em_ ~~gone~~",
    "`code`",
    "``` fence",
    "~~~ fence",
    "    indented",
    "| a | b |",
    "a | b",
    "\\| a \\",
    "[x](javascript:alert(1))",
    "](javascript:alert(1))",
    "![x](http://example.org/a.png)",
    "[x]: http://example.org",
    "[x][y] [[z]] [^1]",
    "<http://example.org> <a@example.org>",
    "https://example.org www.example.org a@example.org",
    "$x$ $$x$$ \\(x\\)",
    '#read("/etc/passwd")',
    '#import "@preview/x:0.1.0"',
    '#panic("x")',
    '#link("http://example.org")[x]',
    "= heading",
    "/ term: text",
    "@label <label>",
    "// comment /* comment */",
    "\\u{41} \\#",
    '"), panic("x',
    "</w:t></w:r><w:br/>",
    '<w:hyperlink r:id="rId1">x</w:hyperlink>',
    " HYPERLINK http://example.org ",
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1+1",
    "\u6f22\u5b57 \U0001f600",
    "\u2028line\u2029paragraph\u0085next",
)
NUMBERS = (
    ("Aasa 2015", -0.13, 0.0575, "early"),
    ("Atalay 2017", -0.33, 0.2041, "early"),
    ("Kell 2009", -0.87, 0.2475, "late"),
    ("Kell 2009", -0.91, 0.1500, "late"),
    ("Nil 2012", math.nan, math.nan, "late"),
)


def build_effects(**changes: object) -> EffectSizes:
    """Return five rows of four studies, the last one not estimable."""
    k = len(NUMBERS)
    blank = np.full(k, math.nan)
    effects = EffectSizes(
        yi=np.array([row[1] for row in NUMBERS]),
        vi=np.array([row[2] for row in NUMBERS]),
        estimable=np.array([True, True, True, True, False]),
        labels=tuple(row[0] for row in NUMBERS),
        rows=tuple(f"row {i + 2}" for i in range(k)),
        clusters=np.array([0, 1, 2, 2, 3]),
        measure="SMD",
        options={"vtype": "RevMan"},
        obtained=("means and SDs", "means and SDs", "printed effect with 95% CI", "printed effect with 95% CI", ""),
        reasons=("", "", "", "", "sd_1 not given"),
        corrections=("", "arms swapped", "", "", ""),
        inputs={
            "n_1": np.array([35.0, 10, 9, 9, 12]),
            "mean_1": np.array([2.5, -3.25, math.nan, math.nan, 1.0]),
            "sd_1": np.array([1.24, 1.5, math.nan, math.nan, math.nan]),
            "n_2": np.array([35.0, 10, 9, 9, 12]),
            "mean_2": np.array([3.1, 1234.5678, math.nan, math.nan, 1.0]),
            "sd_2": np.array([0.9, 0.000123, math.nan, math.nan, math.nan]),
            "weeks": blank,
        },
        by=tuple(row[3] for row in NUMBERS),
        by_name="training_time",
        context=Context("pain", "posterior_chain", "general_exercise", higher_is_better=False),
        source="trials.csv",
        notes=("Kell 2009 enters 2 times (row 4, row 5).",),
    )
    return replace(effects, **changes)


def build_pool(**changes: object) -> PoolSummary:
    """Return a pool with round numbers."""
    mean = Estimate(-0.4135, -0.7411, -0.0859, 0.1421, 0.95, "linear", -2.9107, 3.0, 0.0196)
    pool = PoolSummary(
        mean=mean,
        prediction=Estimate(-0.4135, -1.2134, 0.3864, 0.35, 0.95, "linear", df=3.0),
        heterogeneity=Heterogeneity(16.14, 3, 0.0404, 0.101, 0.0, 0.4711, 50.4, 49.6, 0.0, 82.2, 1.98),
        weights=np.full(5, 50.0),
        k=4,
        studies=3,
        n=106,
        notes=("The wider interval is shown.",),
    )
    return replace(pool, **changes)


def build_analysis(effects: EffectSizes | None = None, spec: PoolSpec | None = None, **pool: object) -> Analysis:
    """Return an analysis with two subgroups (none when the effects have none)."""
    effects = effects if effects is not None else build_effects()
    zero = np.zeros(())
    fit = Fit(np.zeros(1), np.zeros((1, 1)), np.zeros(1), zero, zero, np.zeros((), np.int64), np.zeros((), np.int64))
    fitted = Fitted(spec or resolve_spec(independent=True), effects, Design(np.ones((5, 1)), ("mean",)), fit)
    groups = None
    if effects.by is not None:
        levels = tuple(dict.fromkeys(effects.by))
        pools = tuple(build_pool(k=2, studies=2, notes=(), n=None, prediction=None) for _ in levels)
        groups = Subgroups(effects.by_name or "", levels, pools, SubgroupTest(1.1, 1, 0.295))
    overall = build_pool(**{"weights": np.array([40.0, 20.0, 20.0, 20.0, math.nan]), **pool})
    rows = zip(effects.labels, effects.rows, effects.reasons, strict=True)
    left_out = (f"{label} ({row}) is not pooled: {reason}." for label, row, reason in rows if reason)
    overall = replace(overall, notes=(*overall.notes, *effects.notes, *left_out))  # as `analyse` puts them together
    return Analysis(fitted, overall, groups)


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def hostile(request: pytest.FixtureRequest) -> str:
    """Give each hostile text."""
    return request.param


@pytest.fixture
def all_hostile() -> tuple[str, ...]:
    """Give all hostile texts."""
    return HOSTILE


@pytest.fixture(params=(*HOSTILE, *MARKUP), ids=range(len(HOSTILE) + len(MARKUP)))
def attack(request: pytest.FixtureRequest) -> str:
    """Give each hostile text, and each text that is markup of some format."""
    return request.param


@pytest.fixture(scope="session")
def attacks() -> tuple[str, ...]:
    """Give them all."""
    return (*HOSTILE, *MARKUP)


DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="150pt" viewBox="0 0 300 150">'
    '<title>t</title><path d="M 0 0 L 300 150" style="stroke: #000000"/></svg>'
)


def build_every_block(text: str) -> tuple[Block, ...]:
    """Return one block of each kind, with one text wherever a text can stand."""
    small = Table(text, (text, text), ((text, text),), (False, True))
    return (
        Heading(2, text, text),
        Paragraph(text, "answer"),
        Paragraph(text),
        Paragraph(text, "small"),
        Table(text, (text, text, text), ((text, text, text),) * 2, (False, True, False), text, (1,), ((0, 2),)),
        Figure(DRAWING, text, text, text),
        Notes(text, (text, text)),
        Notes(text, (text,), "information"),
        Listing((text, text)),
        Listing((text, text), numbered=True),
        Code(" ".join(text.split())),
        Case(text, text, text, (text,), (small,), ((text, text),), "error"),
        Fold(text, (Paragraph(text), Figure(DRAWING, text, text, text))),
    )


@pytest.fixture
def every_block() -> Callable[[str], tuple[Block, ...]]:
    """Give the maker of one block of each kind."""
    return build_every_block


@pytest.fixture
def make_effects() -> Callable[..., EffectSizes]:
    """Give the maker of effects."""
    return build_effects


@pytest.fixture
def make_analysis() -> Callable[..., Analysis]:
    """Give the maker of analyses."""
    return build_analysis


@pytest.fixture
def analysis() -> Analysis:
    """Give the plain analysis."""
    return build_analysis()


def build_ratio() -> Analysis:
    """Return a risk ratio without subgroups, treatments or direction."""
    effects = build_effects(
        measure="RR",
        options={"zeros": "RevMan"},
        by=None,
        by_name=None,
        context=Context(),
        obtained=("counts",) * 4 + ("",),
        clusters=np.arange(5),
        inputs={
            "events_1": np.array([4.0, 6, 3, 2, 0]),
            "n_1": np.array([123.0, 306, 231, 100, 90]),
            "events_2": np.array([11.0, 29, 11, 9, 0]),
            "n_2": np.array([139.0, 303, 220, 98, 95]),
        },
        notes=(),
    )
    mean = Estimate(-1.43, -1.66, -1.2, 0.12, 0.95, "log", -11.07, math.inf, 1e-20)
    prediction = Estimate(-1.43, -1.83, 0.02, 0.2, 0.95, "log", df=3.0)
    return build_analysis(effects, mean=mean, prediction=prediction, studies=4)


@pytest.fixture
def ratio() -> Analysis:
    """Give an analysis of ratios."""
    return build_ratio()


class Page(HTMLParser):
    """The elements of a page with their attributes, its texts, and what is neither."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.data: list[str] = []
        self.odd: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data.append(data)

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)

    def kinds(self) -> set[tuple[str, str]]:
        """Give each pair of element and attribute, and each element alone."""
        return {(tag, name) for tag, attrs in self.elements for name in ("", *attrs)}

    def count(self, tag: str) -> int:
        """Count an element."""
        return sum(name == tag for name, _ in self.elements)

    def values(self, *names: str) -> set[str | None]:
        """Give the values of some attributes."""
        return {attrs[name] for _, attrs in self.elements for name in names if name in attrs}

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Give elements and attribute names; classes of cells depend on the length of their text."""
        return [(tag, tuple(n for n in attrs if n != "class")) for tag, attrs in self.elements]

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.elements if tag in tags]


@pytest.fixture(scope="session")
def page_of() -> type[Page]:
    """Return what reads a page for a test."""
    return Page
