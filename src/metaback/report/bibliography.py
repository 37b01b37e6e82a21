"""The references that methods are cited by: read from the packaged BibTeX file, written as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from metaback.errors import FileError

FILE = "references.bib"
AUTHORS_SHOWN = 6
_ENTRY = re.compile(r"^@(\w+)\{\s*([^,\s]+)\s*,", re.MULTILINE)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*?)\}\s*,?\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of the bibliography: its key, kind ("article", "book", ...) and fields by lower-case name."""

    key: str
    kind: str
    fields: Mapping[str, str]

    def field(self, name: str) -> str:
        """Return a field as plain text, "" where the entry has none."""
        return self.fields.get(name, "")


def bibtex() -> str:
    """Return the text of references.bib: the copy inside the package, or the one of the repository it lives in."""
    here = Path(__file__)
    for path in (here.parents[1] / FILE, here.parents[3] / FILE):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileError(f"{FILE} is missing from the installation; install metaback again")


@cache
def references() -> Mapping[str, Reference]:
    """Return the bibliography by key, in the order of the file."""
    return MappingProxyType(read_bibtex(bibtex()))


def read_bibtex(text: str) -> dict[str, Reference]:
    """Read entries whose fields stand on lines of their own in braces; braces that protect capitals are dropped."""
    heads = list(_ENTRY.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    entries: dict[str, Reference] = {}
    for head, end in zip(heads, ends, strict=True):
        found = _FIELD.finditer(text, head.end(), end)
        fields = {match.group(1).lower(): _plain(match.group(2)) for match in found}
        entries[head.group(2)] = Reference(head.group(2), head.group(1).lower(), MappingProxyType(fields))
    return entries


def reference_text(key: str) -> str:
    """Write the reference of that key in the Vancouver manner."""
    known = references()
    if key not in known:
        raise KeyError(f"{key!r} is not in {FILE}")
    return written_reference(known[key])


def reference_list(keys: Iterable[str]) -> tuple[str, ...]:
    """Write references in the order of their numbers."""
    return tuple(reference_text(key) for key in keys)


def cite_mark(keys: Sequence[str], *cited: str) -> str:
    """Return the mark of some references by their places in the list of a document, "" for none that it has.

    >>> cite_mark(("a", "b", "c"), "c", "a"), cite_mark(("a",), "d")
    (' [1, 3]', '')
    """
    numbers = sorted(keys.index(key) + 1 for key in dict.fromkeys(cited) if key in keys)
    return f" [{', '.join(map(str, numbers))}]" if numbers else ""


def selected_bibtex(keys: Iterable[str]) -> str:
    """Return the entries of those keys as BibTeX, to be given along with a report."""
    text = bibtex()
    heads = list(_ENTRY.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    wanted = set(keys)
    spans = zip(heads, ends, strict=True)
    return "\n\n".join(text[head.start() : end].strip() for head, end in spans if head.group(2) in wanted) + "\n"


def written_reference(reference: Reference) -> str:
    """Write one reference: authors, title, source, year, place in the source, DOI, address or ISBN."""
    field = reference.field
    title = field("title")
    parts = [f"{_authors(field('author'))}." if field("author") else "", title if title.endswith("?") else f"{title}."]
    parts.append(_source(reference))
    if field("doi"):
        parts.append(f"doi:{field('doi')}")
    elif field("url"):
        parts.append(field("url"))
    elif field("isbn"):
        parts.append(f"ISBN {field('isbn')}")
    return " ".join(part for part in parts if part)


def _source(reference: Reference) -> str:
    field = reference.field
    year = field("year")
    if reference.kind == "article":
        issue = f"({field('number')})" if field("number") else ""
        place = f"{field('volume')}{issue}:{field('pages')}" if field("volume") else field("pages")
        return f"{field('journal')} {year};{place}." if place else f"{field('journal')} {year}."
    inside = f"In: {field('booktitle')}. " if field("booktitle") else ""
    publisher = field("publisher") or field("institution")
    where = f"{field('address')}: {publisher}" if field("address") else publisher
    return f"{inside}{where}; {year}."


def _authors(text: str) -> str:
    known, others, _ = text.partition(" and others")
    names = [_author(name) for name in known.split(" and ")]
    if len(names) > AUTHORS_SHOWN or others:
        return f"{', '.join(names[:AUTHORS_SHOWN])}, et al"
    return ", ".join(names)


def _author(name: str) -> str:
    family, _, given = name.partition(",")
    initials = "".join(part[0] for word in given.split() for part in word.split("-") if part)
    return f"{family.strip()} {initials}".strip()


def _plain(value: str) -> str:
    return " ".join(value.replace("{", "").replace("}", "").replace("--", "\u2013").split())
