"""Verifying a report: its files against their hashes, and its analysis run again and held against what it says."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from metaback.errors import DataError, EstimationError, FileError, MetabackError
from metaback.report.bundle_io import MANIFEST, State, bundle_state, read_manifest
from metaback.report.comparing import Change, changes, page_words, part_of, read_record, table_record, word_changes
from metaback.report.kept import TABLE
from metaback.report.provenance import versions

Grade = Literal["bytes same", "numbers same", "numbers differ", "not run again"]
RECORD = "results.json"
NOTHING = (
    "It was made in Python and keeps neither a command nor what it was made from, because an input has values that "
    "cannot be written. Give the table itself."
)
CELLS = 10  # cells of a changed table that are named among the causes
APART = ("provenance", "schema", "schema_version")  # what a record says about itself and not about the trials
SAID: Mapping[Grade, str] = {
    "bytes same": "The analysis was run again: every file has the same bytes.",
    "numbers same": "The analysis was run again: every number is the same to 1e-8, and some files have other bytes.",
    "numbers differ": "The analysis was run again, and numbers differ.",
    "not run again": "The analysis was not run again.",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a report is made again: the files that it needs, as they were named, and what makes it from them.

    inputs: option -> the file as it was named; depth: how many folders down the report was put; run: takes the files
    by option, and the folder to write into; whole: the report keeps its table, and needs no file.
    """

    inputs: Mapping[str, str]
    depth: int
    run: Callable[[Mapping[str, Path], Path], None]
    whole: bool = False


@dataclass(frozen=True, repr=False)
class Verification:
    """What came of verifying a report; `ok` tells whether all of it holds. Frozen.

    grade: "bytes same", "numbers same" (to 1e-8), "numbers differ" or "not run again". changed, missing, extra: files
    against the manifest (other bytes; not there; not listed, which is told and does no harm). files: those whose bytes
    differ from the ones that were made again. numbers, words: what differs in them, with place, old and new value
    (words are compared where the same versions made both). causes: what explains it. reason: why nothing was run again.
    """

    folder: str
    grade: Grade
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    numbers: tuple[Change, ...] = ()
    words: tuple[Change, ...] = ()
    causes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the files are as they were written and the numbers came back."""
        whole = not (self.changed or self.missing or self.words)
        return whole and self.grade in {"bytes same", "numbers same"}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "schema": "metaback/verification",
            "schema_version": 1,
            "folder": self.folder,
            "ok": self.ok,
            "grade": self.grade,
            "reason": self.reason or None,
            **{name: list(getattr(self, name)) for name in ("changed", "missing", "extra", "files", "causes")},
            "numbers": [one.to_dict() for one in self.numbers],
            "words": [one.to_dict() for one in self.words],
        }

    def __repr__(self) -> str:
        """Return the verdict, what differs (the first 20 of each kind), and what explains it."""
        lines = [f"{self.folder}: {self.grade}", SAID[self.grade] + (f" {self.reason}" if self.reason else "")]
        if not (self.changed or self.missing):
            lines.append("Every file is as it was written.")
        listed = (
            ("Changed since it was written", self.changed),
            ("Missing", self.missing),
            ("Not of this report", self.extra),
            ("Numbers that differ", self.numbers),
            ("Words that differ", self.words),
            ("Files with other bytes", self.files),
            ("Likely cause", self.causes),
        )
        for head, entries in listed:
            lines += _listing(head, tuple(shorten(str(entry), 200, placeholder=" ...") for entry in entries))
        return "\n".join(lines)


def verify_bundle(
    folder: str | Path,
    recipe_of: Callable[[str], Recipe],
    kept_of: Callable[[Path], Recipe | None] = lambda _: None,
    *,
    table: str | Path | None = None,
    plan: str | Path | None = None,
) -> Verification:
    """Verify a report with a function that turns its recorded command into a recipe, and one that reads a kept recipe.

    table, plan: where these files are now; None looks for them under their recorded names, from the current folder and
    from the folders above the report. Nothing is written into the report. Raises `FileError` for a folder that is no
    report and for a `table` or `plan` that cannot be read; what else stands in the way is the `reason`.
    """
    target = Path(folder)
    state = bundle_state(target)
    record: dict[str, Any] = (read_manifest(target) or {}).get("provenance") or {}
    given = {name: Path(path) for name, path in (("table", table), ("plan", plan)) if path is not None}
    for path in given.values():
        if not path.is_file():
            raise FileError(f"cannot read '{path}': no such file")
    command = record.get("command")
    try:
        recipe = recipe_of(command) if isinstance(command, str) else kept_of(target)
        if recipe is None:
            return _ungraded(target, state, NOTHING)
        found = _inputs(recipe, given, target, record)
        with tempfile.TemporaryDirectory(prefix="metaback-") as made, _dated(record):
            inputs = {
                name: _copied(path, recipe.inputs.get(name, "-"), Path(made) / name) for name, path in found.items()
            }
            again = Path(made) / "report"
            recipe.run(inputs, again)
            if read_manifest(again) is None:
                raise FileError("The recorded command makes no report.")
            return _graded(target, again, state, record, _moved(inputs, record))
    except (DataError, EstimationError) as error:
        return _ungraded(target, state, f"Making it again was refused: {error}")
    except MetabackError as error:
        return _ungraded(target, state, str(error))


def _ungraded(folder: Path, state: State, reason: str) -> Verification:
    return Verification(_name(folder), "not run again", state.changed, state.missing, state.extra, reason=reason)


def _name(folder: Path) -> str:
    return folder.resolve().name


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error


def _recorded(name: str, record: Mapping[str, Any]) -> str:
    """Return the SHA-256 that the record has of an input, "" where it has none."""
    return str(part_of(record, "input" if name == "table" else name).get("sha256") or "")


def _inputs(recipe: Recipe, given: Mapping[str, Path], folder: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """Return the files that a recipe needs; a table that no word names stands in the plan."""
    if recipe.whole:
        return {name: path for name, path in given.items() if name == "table"}
    found = {name: given.get(name) or _find(word, name, folder, recipe, record) for name, word in recipe.inputs.items()}
    if "table" in found:
        return found
    named = _planned_table(found["plan"]) if "plan" in found else ""
    if not named and "table" not in given:
        raise FileError("The recorded command names no table; name it with --table.")
    found["table"] = given.get("table") or found["plan"].parent / named
    return found


def _planned_table(plan: Path) -> str:
    """Return the table that a plan names, relative to the plan; "" where it names none."""
    try:
        content = tomllib.loads(plan.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(f"cannot read '{plan}': {error}") from error
    return str(part_of(content, "data").get("file") or "")


def _find(word: str, name: str, folder: Path, recipe: Recipe, record: Mapping[str, Any]) -> Path:
    """Return the file that was named in the command: the one with the recorded hash, else the first of that name."""
    if word == "-":
        raise FileError(f"The {name} came from standard input; name its file with --{name}.")
    place = folder.resolve()
    roots = [Path(), *place.parents[: recipe.depth], place.parent]
    candidates = [*(root / word for root in roots), place.parent / Path(word).name, Path(Path(word).name)]
    there = [path for path in dict.fromkeys(candidates) if path.is_file()]
    if not there:
        raise FileError(f"The {name} '{word}' was not found from here or beside the report; name it with --{name}.")
    digest = _recorded(name, record)
    return next((path for path in there if _hash(path) == digest), there[0])


def _copied(path: Path, word: str, folder: Path) -> Path:
    """Copy an input under its recorded name, so that the report names it as it did and nobody changes it meanwhile."""
    folder.mkdir()
    name = path.name if word == "-" else Path(word).name
    try:
        return Path(shutil.copyfile(path, folder / name))
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error


@contextmanager
def _dated(record: Mapping[str, Any]) -> Generator[None]:
    """Give the re-run the date of the source that the report has, and take it away again."""
    name, date = "SOURCE_DATE_EPOCH", record.get("date")
    try:
        day = datetime.fromisoformat(date).replace(tzinfo=UTC) if isinstance(date, str) else None
    except ValueError as error:
        raise FileError(f"The date {date!r} of the record cannot be read.") from error
    before = os.environ.pop(name, None)
    try:
        if day is not None:
            os.environ[name] = str(int(day.timestamp()))
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def _moved(inputs: Mapping[str, Path], record: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which inputs are not those that the report was made from."""
    found: list[str] = []
    for name, path in inputs.items():
        now, then = _hash(path), _recorded(name, record)
        if then and now != then:
            found.append(
                f"the {name} {path.name!r} is not the one that the report was made from: SHA-256 {now[:12]}..., "
                f"recorded {then[:12]}..."
            )
    return tuple(found)


def _graded(folder: Path, made: Path, state: State, record: Mapping[str, Any], moved: tuple[str, ...]) -> Verification:
    """Hold the report against the one that was made again."""
    names = sorted({*state.listed, *bundle_state(made).listed})
    files = tuple(name for name in names if _content(folder / name) != _content(made / name))
    then: dict[str, str] = record.get("versions") or {}
    now = versions()
    same_versions = then == now and not moved
    found = [change for name in files for change in _differences(name, folder, made)]
    if same_versions:
        found += [change for name in files for change in _texts(name, folder, made)]
    numbers = tuple(change for change in found if change.numeric)
    words = tuple(change for change in found if not change.numeric) if same_versions else ()
    if not files and _content(folder / MANIFEST) != _content(made / MANIFEST):
        files = (MANIFEST,)
    grade: Grade = "numbers differ" if numbers else "numbers same" if files or state.missing else "bytes same"
    edited = (*state.changed, *state.missing)
    told = _cells(numbers if moved or TABLE in edited else ())
    causes = _causes(edited, (*moved, *told), then, now) if files else ()
    return Verification(_name(folder), grade, state.changed, state.missing, state.extra, files, numbers, words, causes)


def _cells(numbers: tuple[Change, ...]) -> tuple[str, ...]:
    """Name the pooled cells that another table brought: the numbers of its rows, else their effects."""
    own = [one for one in numbers if one.file == RECORD and ", inputs, " in one.where]
    own = own or [one for one in numbers if one.file == RECORD and one.where.endswith((", yi", ", vi"))]
    told = [one.said for one in own]
    more = [f"... and {len(told) - CELLS} more"] if len(told) > CELLS else []
    return tuple(f"in the table: {words}" for words in (*told[:CELLS], *more))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _differences(name: str, folder: Path, made: Path) -> tuple[Change, ...]:
    """Return the values of one file that differ, nothing for a file that is no record and no table."""
    if name != RECORD and not name.endswith(".csv"):
        return ()
    read = _results if name == RECORD else table_record
    return changes(name, read(_content(folder / name) or b""), read(_content(made / name) or b""))


def _results(content: bytes) -> dict[str, Any]:
    return {name: value for name, value in (read_record(content) or {}).items() if name not in APART}


def _texts(name: str, folder: Path, made: Path) -> tuple[Change, ...]:
    """Return where the text of a page differs, apart from its drawings."""
    if not name.endswith((".html", ".md")):
        return ()
    old, new = (_content(place / name) or b"" for place in (folder, made))
    if name.endswith(".html"):
        return word_changes(name, page_words(old), page_words(new))
    return word_changes(name, *(text.decode("utf-8", "replace").splitlines() for text in (old, new)))


def _causes(
    edited: tuple[str, ...], moved: tuple[str, ...], then: Mapping[str, str], now: Mapping[str, str]
) -> tuple[str, ...]:
    """Say what explains a difference, the likeliest first."""
    causes = [f"{name} was changed after it was written: its hash is not that of {MANIFEST}" for name in edited]
    causes += moved
    other = [f"{name} {then.get(name, 'none')} then, {now[name]} now" for name in now if then.get(name) != now[name]]
    causes += [f"other versions: {', '.join(other)}"] if other else []
    if not causes:
        causes.append(
            "versions and inputs are the same: fonts or settings of matplotlib, another processor or platform, or a "
            f"report whose files and {MANIFEST} were changed together"
        )
    return tuple(causes)


def _listing(head: str, entries: tuple[str, ...], most: int = 20) -> list[str]:
    if not entries:
        return []
    more = [f"  ... and {len(entries) - most} more"] if len(entries) > most else []
    return [f"{head} ({len(entries)}):", *(f"  {entry}" for entry in entries[:most]), *more]
