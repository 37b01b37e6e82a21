"""The exceptions of metaback: what went wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class MetabackError(Exception):
    """Root of every error that metaback raises on purpose."""


OF_METAFOR = {  # (option, word) that users of metafor bring, and what says the same here
    ("option", "method"): "tau2= or model=",
    ("option", "test"): "ci=",
    ("option", "vi"): "se=, or a column that is named vi",
    ("option", "sei"): "se=",
    ("option", "yi"): "effect=",
    ("option", "slab"): "study=",
    ("option", "mods"): "regress(data, '~ ...')",
    ("ci", "z"): "ci='Wald'",
    ("ci", "t"): "ci='Wald-t'",
    ("ci", "knha"): "ci='HKSJ'",
    ("ci", "adhoc"): "ci='HKSJ-q1'",
    ("tau2", "EE"): "model='equal'",
    ("tau2", "CE"): "model='equal'",
    ("tau2", "FE"): "model='fixed'",
    ("pi", "t"): "pi='t(k-1)'",
    ("pi", "riley"): "pi='t(k-2)'",
}


class OptionError(MetabackError, ValueError):
    """An option has a value outside its vocabulary."""

    @classmethod
    def unknown(cls, option: str, value: object, allowed: Iterable[str]) -> OptionError:
        """Name the option, the value given, the allowed words and the likely intent."""
        words = list(allowed)
        same = OF_METAFOR.get((option, str(value)))
        hint = f" (in metafor's words; here it is {same})" if same else suggestion(str(value), words)
        return cls(f"{option}={value!r} is not known{hint}; use one of: {', '.join(words)}")


class FileError(MetabackError):
    """A file cannot be found, opened or understood as a table."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a table: where it stands, what stands there, which rule it breaks and the cure."""

    rule: str
    fix: str
    column: str | None = None
    row: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        """Put the problem in one line."""
        place = ", ".join(p for p in (f"column '{self.column}'" if self.column else "", self.row or "") if p)
        found = f": found {self.value!r}" if self.value is not None else ""
        head = f"{place}{found}: " if place else ""
        return f"{head}{self.rule}. {self.fix}."


class DataError(MetabackError, ValueError):
    """A table was read but its content is refused; `problems` holds every reason at once."""

    SHOWN = 20

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        """Collect all problems of one table under one message."""
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{source}: {count} problem{'s' if count != 1 else ''} in the table"]
        lines += [f"  - {problem}" for problem in self.problems[: self.SHOWN]]
        if count > self.SHOWN:
            lines.append(f"  - ... and {count - self.SHOWN} more (see the error's `problems`)")
        super().__init__("\n".join(lines))


class OpenFindingsError(DataError):
    """A table is not pooled because nobody decided about errors that the check found in it."""

    def __init__(self, source: str, problems: Sequence[Problem], cure: str) -> None:
        """Tell every open error, and how to decide about them."""
        super().__init__(source, problems)
        count = len(self.problems)
        head = f"{source}: the check found {count} error{'s' if count != 1 else ''} that nobody decided about"
        lines = str(self).splitlines()[1:]
        self.args = ("\n".join([head, *lines, cure]),)


class EstimationError(MetabackError):
    """A model could not be estimated."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?"-style text for the closest known word, or nothing."""
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" (did you mean '{by_lower[close[0]]}'?)" if close else ""
