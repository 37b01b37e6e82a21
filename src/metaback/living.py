"""What moved between two reports of a living review: studies, cells, decisions, and what became of each answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from metaback.errors import FileError
from metaback.numbers import as_given, estimate_text, fixed, interval, p_phrase, significant
from metaback.report.bundle_io import read_manifest
from metaback.report.comparing import Change, changes, part_of, parts_of, read_record, same_number
from metaback.report.multilevel_compared import COMPONENT, SCHEMA, as_pools
from metaback.stats.measures.family import has_null

RECORD = "results.json"
Kind = Literal["entered", "left", "changed"]
_PLACE = frozenset({"row", "cluster", "weight", "sei"})  # follow from the other rows, or from what is compared anyway
_POOL = ("k", "estimate", "ci_low", "ci_high", "p_value", "tau2", "i2", "pi_low", "pi_high")
_LABELS = {"k": "k", "tau2": "\u03c4\u00b2", "i2": "I\u00b2"}
SAYS = {
    -1: "the interval lies below no effect",
    0: "the interval holds no effect",
    1: "the interval lies above no effect",
}
Numbers = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class StudyMove:
    """A row that entered, left or changed in one comparison; `cells` says what changed in it, inputs among it."""

    comparison: str
    study: str
    row: str
    kind: Kind
    cells: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolMove:
    """What became of one pool: its numbers in both reports (None for a pool that one of them has not).

    pool: "overall" or the subgroup. old, new: k, estimate, its interval and P value, tau2, I2 (percent) and prediction
    interval, on the analysis scale; natural_old and natural_new: estimate and intervals on the natural scale. says: on
    which side of no effect the intervals lie, in words; turned: whether that changed.
    """

    comparison: str
    pool: str
    measure: str
    old: Numbers | None
    new: Numbers | None
    natural_old: Numbers | None = None
    natural_new: Numbers | None = None
    says: tuple[str, str] = ("", "")

    @property
    def turned(self) -> bool:
        """Tell whether the interval says something else about no effect."""
        return self.says[0] != self.says[1] and all(self.says)

    @property
    def moved(self) -> bool:
        """Tell whether a number differs by more than 1e-8."""
        if self.old is None or self.new is None:
            return True
        return any(not _same(self.old[name], self.new[name]) for name in _POOL)


@dataclass(frozen=True, repr=False)
class Difference:
    """What moved between two reports. Frozen; `same` tells whether every study, decision and number is the same.

    studies: rows that entered, left or changed; pools: every pool of either report, those that did not move too.
    decisions, findings: of the check, as "entered", "left" or "changed" with their words. choices: options, versions
    and inputs that differ.
    """

    old: str
    new: str
    studies: tuple[StudyMove, ...]
    pools: tuple[PoolMove, ...]
    decisions: tuple[tuple[Kind, str], ...]
    findings: tuple[tuple[Kind, str], ...]
    choices: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Tell whether every study, decision and number is the same."""
        return not (self.studies or self.decisions or self.moved)

    @property
    def moved(self) -> tuple[PoolMove, ...]:
        """Return the pools that moved."""
        return tuple(pool for pool in self.pools if pool.moved)

    @property
    def turned(self) -> tuple[PoolMove, ...]:
        """Return the pools whose conclusion turned."""
        return tuple(pool for pool in self.pools if pool.turned)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "schema": "metaback/difference",
            "schema_version": 1,
            "old": self.old,
            "new": self.new,
            "same": self.same,
            "studies": [asdict(move) | {"cells": [cell.to_dict() for cell in move.cells]} for move in self.studies],
            "pools": [asdict(pool) | {"moved": pool.moved, "turned": pool.turned} for pool in self.pools],
            "decisions": [{"kind": kind, "decision": words} for kind, words in self.decisions],
            "findings": [{"kind": kind, "finding": words} for kind, words in self.findings],
            "choices": [choice.to_dict() for choice in self.choices],
        }

    def to_markdown(self) -> str:
        """Return the same as the text, as Markdown."""
        return _written(self, "## {}", "- {}", _escaped)

    def __repr__(self) -> str:
        """Return what moved as text."""
        return _written(self, "{}", "  {}", str)


def diff(old: str | Path, new: str | Path) -> Difference:
    """Say what moved between two reports of the same question: studies, cells, decisions, and every answer.

    old, new: folders of reports. Studies are matched by their labels within a comparison, and rows of one study by
    their numbers before their order, so that a row may stand elsewhere in the table. Raises `FileError` for a folder
    that is no report.
    """
    before, after = _record(Path(old)), _record(Path(new))
    pairs = _paired(before, after)
    return Difference(
        old=Path(old).resolve().name,
        new=Path(new).resolve().name,
        studies=tuple(move for title, one, two in pairs for move in _studies(title, one, two)),
        pools=tuple(move for title, one, two in pairs for move in _pools(title, one, two)),
        decisions=_listed(_decisions(before), _decisions(after)),
        findings=_listed(_findings(before), _findings(after)),
        choices=_choices(before, after),
    )


def _record(folder: Path) -> dict[str, Any]:
    """Return the results of a report."""
    if read_manifest(folder) is None:
        raise FileError(f"'{folder}' is no report of metaback; name a folder that `metaback pool` wrote")
    try:
        found = read_record((folder / RECORD).read_bytes())
    except OSError as error:
        raise FileError(f"cannot read '{folder / RECORD}': {error.strerror or error}") from error
    if found is not None and found.get("schema") == SCHEMA:
        found = as_pools(found)
    if found is None or not isinstance(found.get("comparisons"), list):
        raise FileError(f"'{folder / RECORD}' is no record of results")
    return found


def _paired(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Match the comparisons of two records by outcome, treatments and measure; one that is missing is empty."""
    old, new = ({_key(one): one for one in record["comparisons"]} for record in (before, after))
    keys = [*old, *(key for key in new if key not in old)]
    return [(str((old.get(key) or new[key])["title"]), old.get(key, {}), new.get(key, {})) for key in keys]


def _key(comparison: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(comparison.get(name)) for name in ("outcome", "treatment_1", "treatment_2", "measure"))


def _studies(title: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[StudyMove]:
    """Return what happened to the rows of one comparison."""
    before, after = _by_label(old.get("studies", [])), _by_label(new.get("studies", []))
    moves: list[StudyMove] = []
    for label in [*before, *(label for label in after if label not in before)]:
        pairs, left, entered = _matched(before.get(label, []), after.get(label, []))
        moves += [StudyMove(title, label, str(row["row"]), "left") for row in left]
        moves += [StudyMove(title, label, str(row["row"]), "entered") for row in entered]
        for one, two in pairs:
            if cells := _cells(one, two):
                moves.append(StudyMove(title, label, str(two["row"]), "changed", cells))
    return moves


def _by_label(studies: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for study in studies:
        found.setdefault(str(study["study"]), []).append(study)
    return found


Rows = list[Mapping[str, Any]]


def _matched(old: Rows, new: Rows) -> tuple[list[tuple[Mapping[str, Any], Mapping[str, Any]]], Rows, Rows]:
    """Match the rows of one study: those with the same numbers first, the rest in order; return what is left over."""
    rest = list(new)
    unmatched: Rows = []
    pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for row in old:
        twin = next((other for other in rest if not _cells(row, other)), None)
        if twin is None:
            unmatched.append(row)
        else:
            rest.remove(twin)
    count = min(len(unmatched), len(rest))
    pairs = list(zip(unmatched[:count], rest[:count], strict=True))
    return pairs, unmatched[count:], rest[count:]


def _cells(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two rows, apart from where they stand and what others do to their weight."""
    one, two = ({name: value for name, value in row.items() if name not in _PLACE} for row in (old, new))
    return changes("table", one, two)


def _pools(title: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[PoolMove]:
    """Return what happened to the pools of one comparison: overall, then subgroups."""
    before, after = _named_pools(old), _named_pools(new)
    measure = str((old or new).get("measure"))
    moves: list[PoolMove] = []
    for name in [*before, *(name for name in after if name not in before)]:
        one, two = before.get(name), after.get(name)
        moves.append(
            PoolMove(
                comparison=title,
                pool=name,
                measure=measure,
                old=_numbers(one, old),
                new=_numbers(two, new),
                natural_old=_natural(one),
                natural_new=_natural(two),
                says=(_says(one, measure), _says(two, measure)),
            )
        )
    return moves


def _named_pools(comparison: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    if not comparison:
        return {}
    groups = parts_of(part_of(comparison, "subgroups"), "pools")
    return {"overall": comparison["overall"], **{str(group["subgroup"]): group for group in groups}}


def _numbers(pool: Mapping[str, Any] | None, comparison: Mapping[str, Any]) -> Numbers | None:
    """Return the numbers of a pool on the analysis scale."""
    if pool is None:
        return None
    mean, prediction, found = (part_of(pool, name) for name in ("mean", "prediction", "heterogeneity"))
    i2 = "i2_q" if comparison["model"].get("i2") == "Q" else "i2_tau2"
    return {
        "k": pool["k"],
        **{name: mean.get(name) for name in ("estimate", "ci_low", "ci_high", "p_value")},
        "tau2": found.get("tau2"),
        "i2": found.get(i2),
        "pi_low": prediction.get("pi_low"),
        "pi_high": prediction.get("pi_high"),
    }


def _natural(pool: Mapping[str, Any] | None) -> Numbers | None:
    """Return estimate and intervals of a pool on the natural scale."""
    if pool is None:
        return None
    mean, prediction = (part_of(part_of(pool, name), "natural") for name in ("mean", "prediction"))
    names = ("estimate", "ci_low", "ci_high")
    return {name: mean.get(name) for name in names} | {n: prediction.get(n) for n in ("pi_low", "pi_high")}


def _says(pool: Mapping[str, Any] | None, measure: str) -> str:
    """Say on which side of no effect the interval of a pool lies, nothing where there is no such thing."""
    if pool is None or measure == COMPONENT or not has_null(measure):
        return ""
    low, high = pool["mean"].get("ci_low"), pool["mean"].get("ci_high")
    if low is None or high is None:
        return ""
    return SAYS[int(low > 0) - int(high < 0)]


def _same(old: float | None, new: float | None) -> bool:
    return old == new if old is None or new is None else same_number(old, new)


def _decisions(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the decisions of the check in words, by their finding."""
    listed = parts_of(part_of(record, "checks"), "decisions")
    return {
        str(one["finding"]): f"{one['finding']}: {one['action']} ({one['reason']}; {one['by']})"
        + (f" {json.dumps(one['values'], ensure_ascii=False)}" if one.get("values") else "")
        for one in listed
    }


def _findings(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the findings of the check in words, by their identifiers: nothing in them has an order of rows.

    What they say is left out, because it names rows and lists studies as they stand in the table.
    """
    listed = parts_of(part_of(record, "checks"), "findings")
    return {
        str(one["id"]): f"{one['id']} ({one['severity']}), {', '.join(sorted(map(str, one.get('studies', []))))}"
        for one in listed
    }


def _listed(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[tuple[Kind, str], ...]:
    left: list[tuple[Kind, str]] = [("left", words) for name, words in old.items() if name not in new]
    entered: list[tuple[Kind, str]] = [("entered", words) for name, words in new.items() if name not in old]
    both = [name for name in old if name in new and old[name] != new[name]]
    changed: list[tuple[Kind, str]] = [("changed", f"{old[name]} became {new[name]}") for name in both]
    return (*left, *entered, *changed)


def _choices(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs in how the reports were made: options, inputs, plan, versions."""
    parts = ("input", "plan", "options", "versions")
    one, two = ({name: part_of(record, "provenance").get(name) for name in parts} for record in (before, after))
    return changes("provenance", one, two)


# ---------------------------------------------------------------- words


def _written(found: Difference, head: str, entry: str, safe: Any) -> str:
    """Write what moved, heads and entries in the shapes that are given."""
    parts: list[tuple[str, list[str]]] = [
        ("Conclusions that turned", [_turned(pool) for pool in found.turned]),
        ("What moved", [_moved(pool) for pool in found.moved]),
        ("Studies", [_study(move) for move in found.studies]),
        ("Decisions", [f"{kind}: {words}" for kind, words in found.decisions]),
        ("Findings of the check", [f"{kind}: {words}" for kind, words in found.findings]),
        ("How the reports were made", [choice.said for choice in found.choices]),
    ]
    still = sum(not pool.moved for pool in found.pools)
    count = Counter(move.kind for move in found.studies)
    told = ", ".join(f"{count[kind]} {kind}" for kind in ("entered", "left", "changed"))
    first = "Every study, decision and number is the same." if found.same else (
        f"Rows: {told}. Pools: {len(found.moved)} moved, {still} did not. Conclusions that turned: {len(found.turned)}."
    )  # fmt: skip
    lines = [head.format(safe(f"{found.old} to {found.new}")), "", safe(first)]
    for title, entries in parts:
        if entries:
            lines += [
                "",
                head.format(title),
                *([""] if head != "{}" else []),
                *(entry.format(safe(e)) for e in entries),
            ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Take the meaning of Markdown and HTML from the signs of a text."""
    for sign in "\\`*_[]<>#|!":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return " ".join(text.split())


def _pool_name(pool: PoolMove) -> str:
    return pool.comparison if pool.pool == "overall" else f"{pool.comparison}, {pool.pool}"


def _turned(pool: PoolMove) -> str:
    return f"{_pool_name(pool)}: {pool.says[0]}; now {pool.says[1]}"


def _study(move: StudyMove) -> str:
    cells = "; ".join(cell.said for cell in move.cells)
    return f"{move.kind}: {move.study} ({move.row}), {move.comparison}" + (f": {cells}" if cells else "")


def _moved(pool: PoolMove) -> str:
    """Say what became of one pool, with the decimals that show it."""
    name = f"{_pool_name(pool)} ({pool.measure})"
    if pool.old is None or pool.new is None:
        kind = "entered" if pool.old is None else "left"
        return f"{name}: {kind}: {_answer(pool.natural_new or pool.natural_old or {}, 2)}"
    old, new = pool.natural_old or {}, pool.natural_new or {}
    parts = [_both(_answer, old, new)]
    parts += [
        f"{label} {_plain(pool.old[key], key)} to {_plain(pool.new[key], key)}"
        for key, label in _LABELS.items()
        if not _same(pool.old[key], pool.new[key])
    ]
    if not all(_same(old.get(end), new.get(end)) for end in ("pi_low", "pi_high")):
        parts.append(f"prediction {_both(_prediction, old, new)}")
    if not _same(pool.old["p_value"], pool.new["p_value"]):
        parts.append(
            f"{p_phrase(pool.old['p_value'])} to {p_phrase(pool.new['p_value']).removeprefix('P ').lstrip('= ')}"
        )
    return f"{name}: {'; '.join(parts)}"


def _both(write: Callable[[Numbers, int], str], old: Numbers, new: Numbers) -> str:
    """Write two states with as many decimals as tell them apart, two at least."""
    texts = next(
        (pair for digits in range(2, 11) if len(set(pair := (write(old, digits), write(new, digits)))) == 2),
        (write(old, 2), write(new, 2)),
    )
    return f"{texts[0]} to {texts[1]}" if texts[0] != texts[1] else texts[0]


def _answer(numbers: Numbers, digits: int) -> str:
    return estimate_text(numbers.get("estimate"), numbers.get("ci_low"), numbers.get("ci_high"), digits)


def _prediction(numbers: Numbers, digits: int) -> str:
    return interval(numbers.get("pi_low"), numbers.get("pi_high"), digits)


def _plain(value: float | None, key: str) -> str:
    if value is None:
        return "none"
    if key == "k":
        return as_given(value)
    return f"{fixed(value, 1)}%" if key == "i2" else significant(value)


def text_of(found: Difference, output: str) -> str:
    """Return what moved as "text", "md" or "json"."""
    if output == "json":
        return json.dumps(found.to_dict(), indent=2, ensure_ascii=False)
    return found.to_markdown() if output == "md" else repr(found)
