"""The multiverse: one analysis under every combination of choices that could have been made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

import numpy as np
import pandas as pd

from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.effects.choices import effect_choices
from metaback.effects.compute import default_measure, effect_sizes
from metaback.effects.effect_sizes import CorrelationGrid, EffectSizes
from metaback.effects.instruments import Instrument
from metaback.errors import DataError, OptionError
from metaback.models.specs import PRESETS, WITHOUT_TAU2, PoolSpec, SpecWords, chosen
from metaback.postestimation.exclusions import Exclude
from metaback.postestimation.specification_words import (
    sentences,
    shares_frame,
    smallest_changes,
    summary_lines,
)
from metaback.postestimation.specifications import (
    LIMIT,
    OF_REQUEST,
    Menu,
    Source,
    Specifications,
    explore,
    specifications_frame,
)
from metaback.postestimation.working import by_working_model
from metaback.progress import Progress, teller
from metaback.stats.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaback.plots.style import Style

TAU2 = ("REML", "PM", "DL")  # what is varied where nothing is said: the usual estimators and interval rules
CI = ("HKSJ-wider", "HKSJ", "Wald")
TAU2_OF_LEVELS = ("REML", "ML", "DL")  # the same around a pool of dependent rows: the first two have a working model
CI_OF_LEVELS = ("CR2", "HKSJ", "Wald")
SHOWN = 15  # lines of text
NAMED = ("measure", "preset", "model", "tau2", "ci", "pi", "exclude", "r", "level", "main", "mcid", "limit")
Words = str | Iterable[str] | None
Tau2Words = str | float | Iterable[str | float] | None


class MultiverseWords(SpecWords, total=False):
    """The keywords that are the same in every specification, see `PoolSpec` and `effect_sizes`, and `progress`."""

    progress: Progress | bool | None
    options: Mapping[str, str] | None
    mixed_scores: str | None
    instruments: Mapping[str, Instrument | Mapping[str, Any]] | None
    higher_is_better: bool | None


class AroundWords(TypedDict, total=False):
    """What varies around a result that stands already; see `multiverse`."""

    preset: Words
    model: Words
    tau2: Tau2Words
    ci: Words
    pi: Words
    mcid: float | Mapping[str, float] | None
    limit: int
    progress: Progress | bool | None


@dataclass(frozen=True, repr=False)
class Multiverse:
    """All specifications of one analysis: their table, what turns the conclusion, and their figure. Frozen.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = mb.multiverse(pain, tau2=("REML", "DL"), ci=("HKSJ", "Wald"))
    >>> len(found), found.varied
    (36, ('tau2', 'ci', 'exclude'))
    """

    specifications: Specifications

    def __len__(self) -> int:
        """Count the specifications."""
        return self.specifications.n

    @property
    def varied(self) -> tuple[str, ...]:
        """Return the names of the choices that vary."""
        return tuple(self.specifications.choices[j].name for j in self.specifications.varied)

    @property
    def flips(self) -> tuple[str, ...]:
        """Return, in words, how often the conclusion of the main specification stays and what turns it."""
        return sentences(self.specifications)

    @property
    def smallest_flips(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Return the smallest sets of changes that turn the conclusion: (choice, new option) pairs, () for none."""
        return smallest_changes(self.specifications)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what was left out or repeated, and what is slow."""
        return self.specifications.notes

    def shares(self) -> pd.DataFrame:
        """Return one row per option of each choice: how many of its specifications keep and turn the conclusion."""
        return shares_frame(self.specifications)

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return one tidy row per specification: every choice, its numbers, and what its interval says.

        transform: None leaves estimates and limits on the analysis scale (column `scale` says which); "natural"
        carries them back, e.g. logs to ratios.
        """
        return specifications_frame(self.specifications, transform=transform)

    def plot(self, *, title: str | None = None, style: Style | None = None) -> Figure:
        """Draw the specification curve: sorted estimates with their intervals above the choices that made them."""
        from metaback.plots.specification import draw_specification, specification_data

        return draw_specification(specification_data(self.specifications, title=title), style=style)

    def __repr__(self) -> str:
        """Return about 15 lines of text."""
        lines = summary_lines(self.specifications)
        lines += [f"note: {note}" for note in self.notes]
        more = len(lines) - SHOWN
        return "\n".join(lines if more <= 0 else [*lines[: SHOWN - 1], f"... and {more + 1} more lines: see .notes"])

    def _repr_html_(self) -> str:
        """Return the same as a small card for notebooks; names from files are escaped."""
        head, *lines = summary_lines(self.specifications)
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        return f"<div><p><strong>{escape(head)}</strong></p><ul>{items}</ul>{notes}</div>"


def multiverse(
    data: Trials | pd.DataFrame | str | Path,
    *,
    measure: Words = None,
    preset: Words = "cochrane",
    model: Words = None,
    tau2: Tau2Words = None,
    ci: Words = None,
    pi: Words = None,
    exclude: Exclude = "each study",
    r: float | Iterable[float] | None = None,
    level: float | None = None,
    main: Mapping[str, Any] | None = None,
    mcid: float | Mapping[str, float] | None = None,
    limit: int = LIMIT,
    **choices: Unpack[MultiverseWords],
) -> Multiverse:
    """Pool one comparison under every combination of choices, and say which of them turn its conclusion.

    data: checked trials, a frame or a file, of one outcome and comparison, as for `pool`.
    measure, preset, model, tau2, ci, pi: one word or several of those that `pool` knows; the first of each makes the
    main specification. Where neither tau2 nor ci is said and there is one preset, tau2 is REML, PM and DL and ci is
    HKSJ-wider, HKSJ and Wald; otherwise None is as each preset has it. Presets bring their conventions of the effects.
    exclude: what is left out, besides nothing: "each study" in turn; "each finding" of the check of the table (errors
    and warnings); "outliers", the rows whose studentised deleted residual is beyond 1.96 under the first of each
    choice; a query that names the rows to leave OUT, e.g. "rob == 'high'"; a mapping from names to queries, to one
    True or False per row, or to labels of studies; or a list of all these. None: nothing.
    r: pre-post correlations assumed where one is needed. level: in (0, 1). main: choices of the main specification,
    e.g. {"tau2": "DL"}. mcid: smallest difference that matters on the natural scale, {"SMD": 0.2, "MD": 10} for
    several measures. limit: more specifications are refused before any work is done.
    choices: what is the same in all of them: i2, rng, draws, options, mixed_scores, instruments, higher_is_better;
    and progress, as in `pool_many`, in specifications.

    Every row has the numbers of `pool` with its choices and independent=True: rows of one study count as studies of
    their own in every specification, and the first of `notes` says so where a study has several. tau2 is estimated
    once for each estimator, measure and r, for all exclusions in one batch. Combinations that no method allows,
    measures that cannot be computed and combinations that repeat others are left out, and `notes` tells them. Raises
    `OptionError` for unknown words.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = multiverse(pain, preset=("cochrane", "revman5", "metafor"), exclude=None)
    >>> found.to_frame()[["tau2_estimator", "ci", "conclusion"]].values.tolist()[1]
    ['DL', 'Wald', 'below no effect']
    """
    known = MultiverseWords.__annotations__
    if unknown := [name for name in choices if name not in known]:
        raise OptionError("; ".join(str(OptionError.unknown("option", name, (*NAMED, *known))) for name in unknown))
    if choices.get("independent") is False or choices.get("rho") is not None:
        raise OptionError(
            "every specification of a multiverse takes rows as independent; leave out independent and rho, and see "
            "pool() for a working model of rows that depend on each other"
        )
    tell = teller(choices.pop("progress", None), "specifications")
    trials = data if isinstance(data, Trials) else read_trials(data)
    effect_words = {name: word for name, word in choices.items() if name not in SpecWords.__annotations__}
    fixed = {name: word for name, word in choices.items() if name in SpecWords.__annotations__}
    menu = menu_of(preset, model, tau2, ci, pi, exclude, fixed | {"level": level})
    measures = _several(measure) or (default_measure(trials),)
    sources = _sources(trials, cast("tuple[str, ...]", measures), menu.preset, _correlations(r), effect_words)
    return Multiverse(explore(sources, menu, main=main, mcid=mcid, limit=limit, tell=tell))


def multiverse_of(effects: EffectSizes, spec: PoolSpec, exclude: Exclude, **choices: Unpack[AroundWords]) -> Multiverse:
    """Make the multiverse around one pool: effects that are computed already, and those under other correlations.

    spec: the request of the pool, which is the main specification; what is not varied stays as `spec` has it. Where the
    working model of dependent rows answers it, so it does all specifications that it can; the others, and `notes`
    says which, take rows as independent.
    """
    if unknown := [name for name in choices if name not in AroundWords.__annotations__]:
        if of_effects := [name for name in unknown if name in (*NAMED, *MultiverseWords.__annotations__)]:
            words = f"{', '.join(of_effects)} would need other effects or another request; use mb.multiverse(data, ...)"
            raise OptionError(f"a result's multiverse takes its effects as they are: {words}")
        raise OptionError.unknown("option", unknown[0], ("exclude", *AroundWords.__annotations__))
    own: dict[str, Any] = {name: getattr(spec, name) for name in OF_REQUEST}
    modelled = by_working_model(spec, effects)
    if spec.model in WITHOUT_TAU2:
        own |= {"tau2": None, "pi": None}
    asked: dict[str, Any] = {name: choices.get(name) for name in OF_REQUEST}
    if asked["preset"] is None and asked["tau2"] is None and asked["ci"] is None:
        asked |= {"tau2": TAU2, "ci": CI} if not modelled else {"tau2": TAU2_OF_LEVELS, "ci": CI_OF_LEVELS}
    fixed = {name: value for name, value in chosen(spec).items() if name not in OF_REQUEST}
    fixed |= {"independent": False} if modelled else {}
    varied = {name: _first_own(own[name], _several(asked[name])) for name in OF_REQUEST}
    menu = Menu(**varied, fixed=fixed, exclude=exclude)
    sets: dict[float | None, EffectSizes] = {None: effects}
    if (grid := effects.grid) is not None:
        sets = {grid.assumed: effects}
        sets |= {float(r): _under(effects, grid, i) for i, r in enumerate(grid.r) if r != grid.assumed}
    pairs = product(sets.items(), menu.preset)
    sources = tuple(Source(effects.measure, r, preset, each) for (r, each), preset in pairs)
    tell, limit = teller(choices.get("progress"), "specifications"), choices.get("limit", LIMIT)
    return Multiverse(explore(sources, menu, mcid=choices.get("mcid"), limit=limit, tell=tell))


def _first_own(own: Any, words: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put the choice of the pool itself before the others."""
    return (own, *(word for word in words if word != own))


def menu_of(
    preset: Words, model: Words, tau2: Tau2Words, ci: Words, pi: Words, exclude: Exclude, fixed: Mapping[str, Any]
) -> Menu:
    """Return what is varied in the requests, from one word or several for each choice."""
    presets = _several(preset) or ("cochrane",)
    usual = tau2 is None and ci is None and len(presets) == 1
    if unknown := [word for word in presets if word not in PRESETS]:
        raise OptionError.unknown("preset", unknown[0], PRESETS)
    return Menu(
        preset=cast("tuple[str, ...]", presets),
        model=cast("tuple[str | None, ...]", _several(model) or (None,)),
        tau2=(TAU2 if usual else _several(tau2)) or (None,),
        ci=cast("tuple[str | None, ...]", (CI if usual else _several(ci)) or (None,)),
        pi=cast("tuple[str | None, ...]", _several(pi) or (None,)),
        fixed=fixed,
        exclude=exclude,
    )


def _several(words: str | float | Iterable[Any] | None) -> tuple[Any, ...]:
    """Return one word or several as a tuple, each once; () for None."""
    if words is None:
        return ()
    if isinstance(words, str | int | float):
        return (words,)
    return tuple(dict.fromkeys(words))


def _correlations(r: float | Iterable[float] | None) -> tuple[float | None, ...]:
    """Return the correlations that are assumed, checked; (None,) for none."""
    values = _several(r)
    faults: list[str] = []
    for value in values:
        try:
            effect_choices(r=value)
        except OptionError as error:
            faults.append(str(error))
    if faults:
        raise OptionError("; ".join(faults))
    return tuple(float(value) for value in values) or (None,)


def _sources(
    trials: Trials, measures: tuple[str, ...], presets: tuple[str, ...], correlations: tuple[float | None, ...],
    words: Mapping[str, Any],
) -> tuple[Source, ...]:  # fmt: skip
    """Compute the effects under every measure, correlation and preset; a table that refuses one says why."""
    if unknown := [key for key in measures if key not in MEASURES]:
        raise OptionError("; ".join(str(OptionError.unknown("measure", key, MEASURES)) for key in unknown))
    out: list[Source] = []
    for key, r, preset in product(measures, correlations, presets):
        try:
            effects: EffectSizes | str = effect_sizes(trials, measure=key, preset=preset, r=r, **words)
        except DataError as error:
            if len(measures) == 1:
                raise
            effects = str(error.problems[0])
        out.append(Source(key, r, preset, effects))
    return tuple(out)


def _under(effects: EffectSizes, grid: CorrelationGrid, i: int) -> EffectSizes:
    """Return the effects under one correlation of their grid."""
    yi, vi = grid.yi[i], grid.vi[i]
    ok = np.isfinite(yi) & (vi > 0)
    without = "no effect under this correlation"
    reasons = tuple("" if fine else reason or without for reason, fine in zip(effects.reasons, ok, strict=True))
    return replace(effects, yi=yi, vi=vi, estimable=ok, reasons=reasons, grid=None, cov=None)
