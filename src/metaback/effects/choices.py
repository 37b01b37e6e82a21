"""What a user may say about effects besides the measure: frozen, and the same for a function call and the command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict, cast

from metaback.effects.instruments import Instrument, read_instruments
from metaback.errors import OptionError


class EffectWords(TypedDict, total=False):
    """The keywords that `pool` and `pool_table` hand on to `effect_sizes`; what they mean is said there."""

    options: Mapping[str, str] | None
    r: float | None
    r_grid: Iterable[float] | None
    mixed_scores: str | None
    instruments: Mapping[str, Instrument | Mapping[str, Any]] | None
    higher_is_better: bool | None


@dataclass(frozen=True, slots=True)
class EffectChoices:
    """How effects are to be computed, every choice checked.

    options: conventions of the measure by name; r: pre-post correlation that is assumed where it is neither stated
    nor solvable, in (-1, 1); r_grid: others to pool under; mixed_scores: why change and final scores may be mixed, in
    the user's words; instruments: by name in small letters; higher_is_better: the direction of the pool, None for
    that of most rows.
    """

    options: Mapping[str, str] = field(default_factory=dict[str, str])
    r: float | None = None
    r_grid: tuple[float, ...] = ()
    mixed_scores: str = ""
    instruments: Mapping[str, Instrument] = field(default_factory=dict[str, Instrument])
    higher_is_better: bool | None = None

    def words(self) -> EffectWords:
        """Return the keywords that make the same choices again."""
        return {
            "options": self.options,
            "r": self.r,
            "r_grid": self.r_grid,
            "mixed_scores": self.mixed_scores or None,
            "instruments": self.instruments,
            "higher_is_better": self.higher_is_better,
        }


def effect_choices(**words: Any) -> EffectChoices:
    """Check the keywords of `EffectWords` and return the choices; None stands for what is not said.

    Raises `OptionError` with everything that is wrong at once.

    >>> effect_choices(r=0.5, r_grid=[0.3, 0.7]).r_grid
    (0.3, 0.7)
    """
    known = [f.name for f in fields(EffectChoices)]
    faults = [str(OptionError.unknown("option", name, known)) for name in words if name not in known]
    r = words.get("r")
    grid = words.get("r_grid")
    numbers = _numbers(grid)
    if grid is not None and grid != () and not numbers:
        faults.append(f"r_grid={grid!r} must be several numbers, e.g. (0.3, 0.5, 0.7)")
    for name, value in (("r", r), *(("r_grid", one) for one in numbers)):
        if value is not None and not _correlation(value):
            faults.append(f"{name}={value!r} must be a correlation above -1 and below 1")
    if numbers and r is None:
        faults.append("r_grid needs r, the correlation that the main result assumes; say both")
    mixed = words.get("mixed_scores")
    if mixed is not None and (not isinstance(mixed, str) or not mixed.strip()):
        faults.append("mixed_scores wants the reason in words, for they stand in the report")
    better = words.get("higher_is_better")
    if better is not None and not isinstance(better, bool):
        faults.append(f"higher_is_better={better!r} must be True or False")
    instruments = _instruments(words.get("instruments"), faults)
    if faults:
        raise OptionError("; ".join(faults))
    return EffectChoices(
        options=dict(words.get("options") or {}),
        r=None if r is None else float(r),
        r_grid=tuple(sorted({float(value) for value in numbers})),
        mixed_scores=(mixed or "").strip(),
        instruments=instruments,
        higher_is_better=better,
    )


COMPUTING = frozenset({"measure", "by", *EffectWords.__annotations__})  # what `effect_sizes` takes


def refuse_late(words: Mapping[str, Any]) -> None:
    """Raise `OptionError` for words about a table where effects are given: nothing would read them.

    words: name -> value; None, and what is empty, stands for what is not said.

    >>> refuse_late({"measure": None, "options": {}})
    """
    said = {name: value for name, value in words.items() if not _unsaid(value)}
    if said:
        raise OptionError("; ".join(late_word(name, value) for name, value in said.items()))


def late_word(name: str, value: Any) -> str:
    """Say that a word is for a table, and where it belongs.

    >>> late_word("study", "lab")
    "study='lab' is for a table; these are effects already: leave it out"
    """
    where = ", or say it to effect_sizes" if name in COMPUTING else ""
    return f"{name}={value!r} is for a table; these are effects already: leave it out{where}"


def _unsaid(value: Any) -> bool:
    """Tell whether a value says nothing; 0 and False say something."""
    return value is None or (isinstance(value, Sized) and len(value) == 0)


def _numbers(grid: Any) -> tuple[Any, ...]:
    """Return the members of a grid, nothing where it is none."""
    return tuple(cast("Iterable[Any]", grid)) if isinstance(grid, Iterable) and not isinstance(grid, str) else ()


def _correlation(value: Any) -> bool:
    """Tell whether a value is a correlation that two measurements can have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1 < value < 1


def _instruments(given: Any, faults: list[str]) -> dict[str, Instrument]:
    """Read the instruments and add what is wrong with them."""
    if given is not None and not isinstance(given, Mapping):
        faults.append(f"instruments={given!r} must be a mapping from names to facts")
        return {}
    try:
        return read_instruments(cast("Mapping[str, Any] | None", given))
    except OptionError as error:
        faults.append(str(error))
        return {}
