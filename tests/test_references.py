"""Every reference that the code, its templates or the documents name stands in references.bib, complete and once."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIB = ROOT / "references.bib"
SRC = ROOT / "src" / "metaback"

ENTRY = re.compile(r"^[ \t]*@(\w+)[ \t]*\{[ \t]*([^,\s]+)[ \t]*,", re.MULTILINE)
FIELD = re.compile(
    r"^[ \t]*([\w-]+)[ \t]*=[ \t]*(?:\{(.*?)\}|\"(.*?)\"|(\w+))[ \t]*,?[ \t]*$", re.MULTILINE | re.DOTALL
)
MENTION = re.compile(r"(?<!`)\[@([^\]\s][^\]]*)\]")  # not inside a code span
KEY = re.compile(r"@?([A-Za-z][\w:-]*)")
NOT_ENTRIES = frozenset({"comment", "preamble", "string"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the bibliography: its key and its fields by lower-case name."""

    key: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Mention:
    """A key that a file names, and the place."""

    key: str
    place: str


def entries_of(text: str) -> list[Entry]:
    """Read BibTeX entries whose fields stand on lines of their own."""
    heads = [m for m in ENTRY.finditer(text) if m.group(1).lower() not in NOT_ENTRIES]
    ends = [m.start() for m in heads[1:]] + [len(text)]
    return [Entry(m.group(2), _fields(text[m.end() : end])) for m, end in zip(heads, ends, strict=True)]


def _fields(body: str) -> dict[str, str]:
    return {m.group(1).lower(): (m.group(2) or m.group(3) or m.group(4) or "").strip() for m in FIELD.finditer(body)}


def cites_of(text: str, place: str) -> Iterator[Mention]:
    """Find the keys of every `cite=` argument; a value that is not plain text is shown as the key `?`."""
    for node in ast.walk(ast.parse(text)):
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            value = keyword.value
            if keyword.arg != "cite" or (isinstance(value, ast.Name) and value.id == "cite"):
                continue  # `cite=cite` hands on what another decorator was given
            keys = value.value.split() if isinstance(value, ast.Constant) and isinstance(value.value, str) else ["?"]
            yield from (Mention(key, f"{place}:{value.lineno}") for key in keys)


def mentions_of(text: str, place: str) -> Iterator[Mention]:
    """Find the keys of every `[@key]` or `[@key; @other, p. 3]`."""
    for found in MENTION.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        for part in found.group(1).split(";"):
            key = KEY.match(part.strip())
            yield Mention(key.group(1) if key else "?", f"{place}:{line}")


def faults_of(entry: Entry) -> list[str]:
    """Say what an entry lacks: title, year, and one way to find it."""
    missing = [name for name in ("title", "year") if not entry.fields.get(name)]
    if not any(entry.fields.get(name) for name in ("doi", "url", "isbn")):
        missing.append("doi, url or isbn")
    return missing


@cache
def all_mentions() -> list[Mention]:
    """Collect the mentions of all source files, templates and documents."""
    found: list[Mention] = []
    for path in sorted(p for p in SRC.rglob("*") if p.suffix in {".py", ".html", ".md", ".j2", ".jinja", ".txt"}):
        text, place = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        found += cites_of(text, place) if path.suffix == ".py" and "cite=" in text else ()
        found += mentions_of(text, place)
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data").glob("*.md")]):
        found += mentions_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    return found


ENTRIES = entries_of(BIB.read_text(encoding="utf-8"))


def test_the_bibliography_is_read_whole() -> None:
    assert ENTRIES
    assert len(ENTRIES) == len(
        re.findall(r"^\s*@(?!comment|string|preamble)", BIB.read_text(encoding="utf-8"), re.MULTILINE | re.IGNORECASE)
    )


def test_no_key_stands_twice() -> None:
    assert [key for key, count in Counter(e.key.lower() for e in ENTRIES).items() if count > 1] == []


def test_no_doi_stands_twice() -> None:
    dois = Counter(e.fields["doi"].lower() for e in ENTRIES if e.fields.get("doi"))
    assert [doi for doi, count in dois.items() if count > 1] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.key)
def test_entry_can_be_found_by_a_reader(entry: Entry) -> None:
    assert faults_of(entry) == []


def test_every_mention_resolves() -> None:
    known = {e.key for e in ENTRIES}
    assert [f"{m.place} cites {m.key}" for m in all_mentions() if m.key not in known] == []


def test_the_code_cites_something() -> None:
    assert all_mentions()


def test_a_bad_entry_is_seen() -> None:
    text = '@string{a = "b"}\n@article{one2001,\n  title = {A {B} c},\n  year = 2001,\n}\n@book{two, isbn = {1},\n}\n'
    one, two = entries_of(text)
    assert one == Entry("one2001", {"title": "A {B} c", "year": "2001"})
    assert faults_of(one) == ["doi, url or isbn"]
    assert faults_of(two)[:2] == ["title", "year"]


def test_mentions_are_seen() -> None:
    code = '@rule("x", cite="a1 b2")\ndef f() -> None:\n    """As in [@c3; @d4, p. 5]."""\n\n\ng(cite=h)\n'
    assert {m.key for m in cites_of(code, "x")} == {"?", "a1", "b2"}
    assert [m.key for m in mentions_of(code, "x")] == ["c3", "d4"]
