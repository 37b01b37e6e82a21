"""Many specifications of one analysis: every combination of the choices, as one frozen table of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError, OptionError
from metaback.models.specs import PoolSpec, estimates_tau2, resolve_spec, tau2_label
from metaback.numbers import as_given
from metaback.postestimation.exclusions import NOTHING, Exclude, Exclusion, exclusions
from metaback.postestimation.scales import natural_way, way_back
from metaback.postestimation.specification_fits import (
    SpecificationNumbers,
    specification_numbers,
    together,
    working_numbers,
)
from metaback.postestimation.subsets import natural_columns
from metaback.postestimation.working import by_working_model, in_its_words, repeats
from metaback.progress import Progress, silent, within
from metaback.stats.inference import is_seeded
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.transforms import back
from metaback.stats.wls import Floats
from metaback.status import Status

LIMIT = 200_000  # specifications that are made without a word of the user
OF_REQUEST = ("preset", "model", "tau2", "ci", "pi")
DIMENSIONS = ("measure", "r", *OF_REQUEST, "exclude")
NO_MEANING = -1  # the code of a choice that the model of a specification does not have
NATURAL = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
# What the interval of a specification says: codes, and their words.
NOT_ESTIMABLE, NO_NULL = 8, 9
CONCLUSIONS: Mapping[int, str] = {
    -2: "below no effect, beyond the MCID",
    -1: "below no effect",
    0: "includes no effect",
    1: "above no effect",
    2: "above no effect, beyond the MCID",
    NOT_ESTIMABLE: "not estimable",
    NO_NULL: "no value of no effect",
}
Codes = NDArray[np.int64]
ALONE = {"independent": True}  # every specification takes each row for a study of its own, unless the menu says not


@dataclass(frozen=True, slots=True)
class Source:
    """One way to make effects of the table: the words that name it, and the effects, or why there are none."""

    measure: str
    r: float | None
    preset: str
    effects: EffectSizes | str


@dataclass(frozen=True, slots=True)
class Menu:
    """What is varied in the request; the first of each stands for the main specification, None is as the preset has it.

    fixed: choices that are the same in all, e.g. level; independent=False lets specifications that a working model can
    answer be its own. exclude: see `exclusions`.
    """

    preset: tuple[str, ...] = ("cochrane",)
    model: tuple[str | None, ...] = (None,)
    tau2: tuple[str | float | None, ...] = (None,)
    ci: tuple[str | None, ...] = (None,)
    pi: tuple[str | None, ...] = (None,)
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    exclude: Exclude = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice that can be made: its name, and what it can be, as words."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Specifications:
    """n specifications with their numbers, in the order of the choices.

    choices: measure, r, preset, model, tau2, ci, pi, exclude. codes: (n, choices) which option each took, -1 where it
    has no meaning under the model. shown: (n,) columns with the resolved words. conclusion: (n,) see `CONCLUSIONS`.
    main: the row that the others are compared with. sources: the sets of effects; at: (n,) which of them. mcid: by
    measure, on the analysis scale. notes: what was left out, and what a reader must know.
    """

    choices: tuple[Choice, ...]
    codes: Codes
    shown: Mapping[str, NDArray[Any]]
    numbers: SpecificationNumbers
    conclusion: Codes
    main: int
    level: float
    sources: tuple[EffectSizes, ...]
    at: Codes
    mcid: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Count the specifications."""
        return int(self.conclusion.size)

    @property
    def varied(self) -> tuple[int, ...]:
        """Return the places of the choices that are made in more than one way."""
        return tuple(j for j in range(len(self.choices)) if len(self.taken(j)) > 1)

    def taken(self, j: int) -> tuple[int, ...]:
        """Return the options of a choice that some specification takes, as codes."""
        return tuple(np.unique(self.codes[self.codes[:, j] != NO_MEANING, j]).tolist())

    def natural(self, name: str) -> Floats:
        """Return a column of numbers on the scale of readers."""
        columns = {name: getattr(self.numbers, name) for name in NATURAL}
        out = np.full(self.n, np.nan)
        for i, effects in enumerate(self.sources):
            here = self.at == i
            part = {key: values[here] for key, values in columns.items()}
            out[here] = natural_columns(part, way_back(effects), self.numbers.size[here])[name]
        return out


def explore(
    sources: tuple[Source, ...],
    menu: Menu,
    *,
    main: Mapping[str, Any] | None = None,
    mcid: float | Mapping[str, float] | None = None,
    limit: int = LIMIT,
    tell: Progress = silent,
) -> Specifications:
    """Make every combination of the choices, fits in masked batches: tau2 once for each estimator and set of effects.

    main: choices of the main specification, those not named are the first of their list. mcid: the smallest difference
    that matters on the natural scale, by measure where there are several. limit: more combinations are refused.
    tell: hears of specifications done.

    Combinations that no method allows, and those that repeat another, are left out and counted in `notes`. Raises
    `OptionError` for unknown words and for more combinations than the limit, `EstimationError` when nothing can be
    pooled at all.
    """
    _check_words(menu)
    first = _first(sources)
    requests = _Requests(menu)
    parts = exclusions(first, menu.exclude, requests.main())
    combinations = len(sources) * len(list(product(menu.model, menu.tau2, menu.ci, menu.pi)))
    if combinations * len(parts) > limit:
        raise OptionError(
            f"{combinations * len(parts):,} specifications are more than limit={limit:,}; vary fewer choices, or "
            "raise the limit"
        )
    ways = _ways(sources, requests)
    left_out = _left_out(ways.sources, menu, requests.main())
    choices = _choices(sources, menu, parts)
    made = _made(ways, left_out, parts, tell)
    conclusion = _conclusions(made, ways.sources, _mcid(ways.sources, mcid))
    found = Specifications(
        choices=choices,
        codes=made.codes,
        shown=made.shown,
        numbers=made.numbers,
        conclusion=conclusion,
        main=0,
        level=requests.main().level,
        sources=ways.sources,
        at=made.at,
        mcid=_mcid(ways.sources, mcid),
        notes=(*_rows_alone(ways), *ways.notes(), *_silent(parts, left_out), *_slow(ways)),
    )
    return replace(found, main=_main(found, main or {}, ways))


def _rows_alone(ways: _Ways) -> tuple[str, ...]:
    """Say first that rows of one study are taken as independent, where a study has several."""
    if not any(repeats(effects) for effects in ways.sources):
        return ()
    modelled = sum(by_working_model(way.spec, ways.sources[way.source]) for way in ways.ways)
    if modelled:
        others = len(ways.ways) - modelled
        told = (
            f"{_times(modelled)} (before exclusions) with ci='CR2' by REML or ML model that rows of a study depend on "
            f"each other; {_times(others)} with other choices take them as independent."
        )
        return (told,)
    return ("Every specification takes rows of one study as independent: intervals can be too narrow. See pool().",)


def _check_words(menu: Menu) -> None:
    """Refuse words that no specification could have, all at once."""
    faults: list[str] = []
    for name in OF_REQUEST:
        for word in getattr(menu, name):
            try:
                resolve_spec(**({name: word} if name != "preset" else {"preset": word}))
            except OptionError as error:
                faults.append(str(error))
    try:
        resolve_spec(**{name: value for name, value in menu.fixed.items() if name != "weights"})
    except OptionError as error:
        faults.append(str(error))
    if faults:
        raise OptionError("; ".join(dict.fromkeys(faults)))


def _first(sources: tuple[Source, ...]) -> EffectSizes:
    """Return the first set of effects that can be pooled."""
    for source in sources:
        if isinstance(source.effects, EffectSizes) and source.effects.k:
            return source.effects
    reasons = dict.fromkeys(str(_why(source)) for source in sources)
    raise EstimationError("no specification has an effect to pool: " + "; ".join(reasons))


def _why(source: Source) -> str | None:
    """Return why a source has nothing to pool, None where it has."""
    if isinstance(source.effects, str):
        return f"{source.measure}: {source.effects}"
    if source.effects.k:
        return None
    reasons = [reason for reason in source.effects.reasons if reason]
    return f"{source.measure}: no row has an effect to pool ({reasons[0] if reasons else 'no row'})"


class _Requests:
    """The requests of a menu, resolved once each."""

    def __init__(self, menu: Menu) -> None:
        self.menu = menu
        self._known: dict[tuple[Any, ...], PoolSpec | str] = {}

    def main(self) -> PoolSpec:
        """Return the request of the first words, or the nearest one to it that is possible."""
        menu = self.menu
        for _, found in self.of(menu.preset[0]):
            if isinstance(found, PoolSpec):
                return found
        return resolve_spec(menu.preset[0], **{**ALONE, **menu.fixed})

    def of(self, preset: str) -> Iterator[tuple[tuple[int, ...], PoolSpec | str]]:
        """Yield the codes of model, tau2, ci and pi with their request, or why there is none."""
        menu = self.menu
        places = product(*(range(len(getattr(menu, name))) for name in OF_REQUEST[1:]))
        for at in places:
            words = [getattr(menu, name)[i] for name, i in zip(OF_REQUEST[1:], at, strict=True)]
            found = self._resolved(preset, *words)
            if isinstance(found, PoolSpec) and not estimates_tau2(found):
                yield (at[0], NO_MEANING, at[2], NO_MEANING), found
            else:
                yield at, found

    def _resolved(self, preset: str, model: Any, tau2: Any, ci: Any, pi: Any) -> PoolSpec | str:
        """Return the request; a model without tau2 is not asked for its estimator or its prediction."""
        if model in ("equal", "fixed"):
            tau2 = pi = None
        key = (preset, model, tau2, ci, pi)
        if key not in self._known:
            try:
                self._known[key] = resolve_spec(
                    preset, model=model, tau2=tau2, ci=ci, pi=pi, **{**ALONE, **self.menu.fixed}
                )
            except OptionError as error:
                self._known[key] = str(error)
        return self._known[key]


@dataclass(frozen=True, slots=True)
class _Way:
    """One request for one set of effects: codes of all choices but the last, and the place of the effects."""

    codes: tuple[int, ...]
    source: int
    spec: PoolSpec
    r: float | None


@dataclass(frozen=True, slots=True)
class _Ways:
    """All that is to be fitted; `first` leads from the codes of a repeated combination to those of the one kept."""

    ways: tuple[_Way, ...]
    sources: tuple[EffectSizes, ...]
    refused: Mapping[str, int]
    repeated: Mapping[tuple[int, ...], tuple[int, ...]]

    def notes(self) -> Iterator[str]:
        """Tell what was left out."""
        for reason, count in self.refused.items():
            yield f"Left out as impossible ({_times(count)} before exclusions): {reason}."
        if self.repeated:
            rest = "repeats another and counts" if len(self.repeated) == 1 else "repeat others and count"
            yield f"{_times(len(self.repeated))} (before exclusions) {rest} once."


def _times(count: int) -> str:
    """Write `1 combination`, `12 combinations`."""
    return f"{count:,} combination{'s' if count != 1 else ''}"


def _ways(sources: tuple[Source, ...], requests: _Requests) -> _Ways:
    """List what is to be fitted: what cannot be is told, and what repeats another is kept once."""
    names = [list(dict.fromkeys(getattr(source, name) for source in sources)) for name in ("measure", "r")]
    sets: dict[tuple[Any, ...], int] = {}
    kept: dict[tuple[int, PoolSpec], _Way] = {}
    effects: list[EffectSizes] = []
    refused: Counter[str] = Counter()
    repeated: dict[tuple[int, ...], tuple[int, ...]] = {}
    for source in sources:
        here = (names[0].index(source.measure), names[1].index(source.r))
        if isinstance(source.effects, str) or not source.effects.k:
            refused[str(_why(source))] += sum(1 for _ in requests.of(source.preset))
            continue
        place = sets.setdefault(_key(source.effects), len(sets))
        if place == len(effects):
            effects.append(source.effects)
        for codes, spec in requests.of(source.preset):
            if isinstance(spec, str):
                refused[spec] += 1
                continue
            whole = (*here, requests.menu.preset.index(source.preset), *codes)
            made = in_its_words(spec) if by_working_model(spec, source.effects) else spec
            way = _Way(whole, place, made, source.r)
            first = kept.setdefault((place, made.model_copy(update={"preset": "cochrane"})), way)
            if first is not way and first.codes != whole:
                repeated[whole] = first.codes
    if not kept:
        raise OptionError("no combination of these choices is possible: " + "; ".join(refused))
    return _Ways(tuple(kept.values()), tuple(effects), refused, repeated)


def _key(effects: EffectSizes) -> tuple[Any, ...]:
    """Return what makes a set of effects the same as another."""
    return effects.measure, effects.yi.tobytes(), effects.vi.tobytes(), effects.estimable.tobytes()


def _left_out(effects: tuple[EffectSizes, ...], menu: Menu, spec: PoolSpec) -> tuple[tuple[Exclusion, ...], ...]:
    """Return the exclusions of each set of effects: outliers of one measure need not be those of another."""
    return tuple(exclusions(each, menu.exclude, spec) for each in effects)


def _choices(sources: tuple[Source, ...], menu: Menu, parts: tuple[Exclusion, ...]) -> tuple[Choice, ...]:
    """Name the choices and their options."""
    measures = tuple(dict.fromkeys(source.measure for source in sources))
    r = tuple("not assumed" if v is None else as_given(v) for v in dict.fromkeys(source.r for source in sources))
    asked = {name: tuple(_word(word) for word in getattr(menu, name)) for name in OF_REQUEST}
    options = {"measure": measures, "r": r, **asked, "exclude": tuple(part.name for part in parts)}
    return tuple(Choice(name, options[name]) for name in DIMENSIONS)


def _word(word: str | float | None) -> str:
    """Write an option as a word."""
    return "as the preset has it" if word is None else word if isinstance(word, str) else as_given(word)


@dataclass(frozen=True, slots=True)
class _Made:
    """The rows of the table as columns."""

    codes: Codes
    shown: Mapping[str, NDArray[Any]]
    numbers: SpecificationNumbers
    at: Codes


def _made(
    ways: _Ways, left_out: tuple[tuple[Exclusion, ...], ...], parts: tuple[Exclusion, ...], tell: Progress
) -> _Made:
    """Fit everything, one batch call for each model, estimator of tau2 and set of effects."""
    names = [part.name for part in parts]
    own = [_acting(effects, mine) for effects, mine in zip(ways.sources, left_out, strict=True)]
    masks = [np.array([~part.rows for part in mine]) for mine in own]
    codes = [np.array([names.index(part.name) for part in mine], dtype=np.int64) for mine in own]
    batches: dict[tuple[Any, ...], list[int]] = {}
    for i, way in enumerate(ways.ways):
        modelled = by_working_model(way.spec, ways.sources[way.source])
        batches.setdefault((way.source, way.spec.model, str(way.spec.tau2), modelled), []).append(i)
    found: dict[int, SpecificationNumbers] = {}
    counts = [codes[way.source].size for way in ways.ways]
    done = 0
    for (*_, modelled), members in batches.items():
        source, specs = ways.ways[members[0]].source, [ways.ways[i].spec for i in members]
        stop = done + len(members) * codes[source].size
        told = within(tell, done, stop, sum(counts))
        numbers = (working_numbers if modelled else specification_numbers)(
            ways.sources[source], masks[source], specs, told
        )
        found |= dict(zip(members, numbers, strict=True))
        done = stop
    whole = np.repeat(np.array([way.codes for way in ways.ways], dtype=np.int64), counts, axis=0)
    last = np.concatenate([codes[way.source] for way in ways.ways])
    shown: dict[str, NDArray[Any]] = {
        name: np.repeat(np.array(words, dtype=object), counts) for name, words in _shown(ways).items()
    }
    return _Made(
        codes=np.column_stack([whole, last]),
        shown=shown | {"exclude": np.array(names, dtype=object)[last]},
        numbers=together([found[i] for i in range(len(ways.ways))]),
        at=np.repeat(np.array([way.source for way in ways.ways], dtype=np.int64), counts),
    )


def _acting(effects: EffectSizes, parts: tuple[Exclusion, ...]) -> list[Exclusion]:
    """Return the exclusions that leave out a row which would be pooled, and the one of nothing."""
    return [part for part in parts if part.name == NOTHING or (part.rows & effects.estimable).any()]


def _shown(ways: _Ways) -> dict[str, list[Any]]:
    """Return the words of every request, as they were resolved."""
    specs = [way.spec for way in ways.ways]
    return {
        "measure": [ways.sources[way.source].measure for way in ways.ways],
        "r": [np.nan if way.r is None else way.r for way in ways.ways],
        "preset": [spec.preset for spec in specs],
        "model": [spec.model for spec in specs],
        "tau2": [tau2_label(spec) if estimates_tau2(spec) else "" for spec in specs],
        "ci": [spec.ci for spec in specs],
        "pi": [spec.pi for spec in specs],
    }


def _silent(parts: tuple[Exclusion, ...], left_out: tuple[tuple[Exclusion, ...], ...]) -> Iterator[str]:
    """Tell exclusions that leave out no row that is pooled."""
    for j, part in enumerate(parts):
        if part.name != NOTHING and not any(mine[j].rows.any() for mine in left_out):
            yield f"Excluding {part.name} leaves out no row, and is no specification of its own."


def _slow(ways: _Ways) -> Iterator[str]:
    """Tell rules that resample."""
    for key in dict.fromkeys(way.spec.ci for way in ways.ways if is_seeded(way.spec.ci)):
        yield f"ci={key!r} resamples in every specification, which is slow."


def _mcid(effects: tuple[EffectSizes, ...], mcid: float | Mapping[str, float] | None) -> dict[str, float]:
    """Return the smallest difference that matters on the analysis scale, by measure."""
    measures = list(dict.fromkeys(each.measure for each in effects))
    if mcid is None:
        return {}
    if not isinstance(mcid, Mapping):
        if len(measures) > 1:
            raise OptionError(f"mcid={mcid!r} needs a mapping, e.g. {{{measures[0]!r}: {mcid!r}}}: measures differ")
        mcid = {measures[0]: mcid}
    if unknown := [name for name in mcid if name not in measures]:
        raise OptionError.unknown("mcid", unknown[0], measures)
    if words := [value for value in mcid.values() if not isinstance(value, Real)]:
        raise OptionError(f"mcid={words[0]!r} is no number; give the smallest difference that matters")
    found = {name: abs(_on_scale(name, value)) for name, value in mcid.items()}
    if bad := [name for name, value in found.items() if not (np.isfinite(value) and value > 0)]:
        raise OptionError(f"mcid={mcid[bad[0]]!r} is no difference of {bad[0]}; give one on its natural scale")
    return found


def _on_scale(measure: str, value: float) -> float:
    """Return a value of the natural scale on that of the analysis, nan where it has none."""
    way = back(natural_way(measure))
    with np.errstate(all="ignore"):
        return float(np.asarray(way.forward(np.array([float(value)]))).ravel()[0]) if not way.size else np.nan


def _conclusions(made: _Made, sources: tuple[EffectSizes, ...], mcid: Mapping[str, float]) -> Codes:
    """Return what the interval of each specification says; a limit at no effect includes it."""
    low, high = made.numbers.ci_low, made.numbers.ci_high
    out = (low > 0).astype(np.int64) - (high < 0).astype(np.int64)
    beyond = np.array([mcid.get(effects.measure, np.inf) for effects in sources])[made.at]
    out += (low > beyond).astype(np.int64) - (high < -beyond).astype(np.int64)
    without = np.array([not has_null(effects.measure) for effects in sources])[made.at]
    out[without] = NO_NULL
    out[(made.numbers.status != Status.CONVERGED) | np.isnan(low) | np.isnan(high)] = NOT_ESTIMABLE
    return out


def _main(found: Specifications, said: Mapping[str, Any], ways: _Ways) -> int:
    """Return the row of the main specification."""
    codes = [0] * len(DIMENSIONS)
    faults: list[str] = []
    for name, word in said.items():
        if name not in DIMENSIONS:
            faults.append(str(OptionError.unknown("main", name, DIMENSIONS)))
            continue
        j = DIMENSIONS.index(name)
        options = found.choices[j].options
        if _word(word) not in options:
            faults.append(str(OptionError.unknown(f"main[{name!r}]", _word(word), options)))
        else:
            codes[j] = options.index(_word(word))
    if faults:
        raise OptionError("; ".join(faults))
    without = tuple(codes[:-1])
    model = found.choices[DIMENSIONS.index("model")].options[codes[3]]
    if model in ("equal", "fixed"):
        without = (*without[:4], NO_MEANING, without[5], NO_MEANING)
    wanted = (*ways.repeated.get(without, without), codes[-1])
    rows = np.flatnonzero((found.codes == np.array(wanted)).all(axis=1))
    if not rows.size and not said:
        return 0  # the first of each is impossible together: the first combination that is not
    if not rows.size:
        words = ", ".join(f"{c.name} {c.options[i]}" for c, i in zip(found.choices, codes, strict=True))
        raise OptionError(f"the main specification ({words}) is not among those that can be made; name another in main")
    return int(rows[0])


def specifications_frame(found: Specifications, *, transform: str | None = None) -> pd.DataFrame:
    """Return one tidy row per specification: every choice, its numbers, and what its interval says.

    transform: None leaves estimates and limits on the analysis scale, "natural" carries them back. Raises
    `OptionError` for another word.
    """
    if transform not in (None, "natural"):
        raise OptionError.unknown("transform", transform, ["natural"])
    numbers = found.numbers
    names = ("k", "estimate", "se", "ci_low", "ci_high", "p_value", "pi_low", "pi_high", "tau2", "i2")
    columns: dict[str, Any] = {name: getattr(numbers, name) for name in names}
    scales = np.array([about(effects.measure).scale for effects in found.sources], dtype=object)
    if transform:
        columns |= {name: found.natural(name) for name in NATURAL}
        bent = [way_back(effects) != "identity" for effects in found.sources]
        scales = np.where(bent, "natural", scales)
    words = {"tau2_estimator" if name == "tau2" else name: found.shown[name] for name in DIMENSIONS}
    statuses = {int(status): status.name.lower() for status in Status}
    columns["scale"] = scales[found.at]
    columns["status"] = [statuses[code] for code in numbers.status.tolist()]
    columns["conclusion"] = [CONCLUSIONS[code] for code in found.conclusion.tolist()]
    main = np.arange(found.n) == found.main
    return pd.DataFrame({**words, **columns, "main": main}).astype({"r": float})
