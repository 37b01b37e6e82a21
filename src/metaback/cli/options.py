"""The kinds of values that options of several commands take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from metaback.checks.decisions import Decision, read_decisions
from metaback.data.plan_file import decisions_of, read_plan
from metaback.effects.choices import effect_choices
from metaback.effects.instruments import read_instrument_file
from metaback.models.specs import (
    PRESETS,
    MeanInterval,
    Model,
    PoolSpec,
    PredictionInterval,
    SubgroupTau2,
    Tau2,
    Tau2Interval,
    resolve_spec,
)
from metaback.postestimation.table import Request
from metaback.stats.measures import MEASURES

_Command = Callable[..., Any]


class Pair(click.ParamType[tuple[str, str]]):
    """Two treatments with a colon between them."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the colon."""
        first, colon, second = str(value).partition(":")
        if not colon or not first.strip() or not second.strip():
            self.fail(f"{value!r} is not a pair of treatments; write them as A:B", param, ctx)
        return first.strip(), second.strip()


class Convention(click.ParamType[tuple[str, str]]):
    """A name and a word with an equals sign between them."""

    name = "NAME=WORD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the equals sign."""
        name, sign, word = str(value).partition("=")
        if not sign or not name.strip() or not word.strip():
            self.fail(f"{value!r} is not a convention; write it as vtype=LS", param, ctx)
        return name.strip(), word.strip()


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "R,R,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Split at the commas."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers; write it as 0.3,0.5,0.7", param, ctx)


class WordOrNumber(click.Choice[str]):
    """A word of a vocabulary, or a number in its place."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let numbers pass; the request checks their range."""
        try:
            return float(value)
        except ValueError:
            return super().convert(value, param, ctx)


def choice_of(words: Any) -> click.Choice[str]:
    """Offer the words of a Literal type."""
    return click.Choice(words_of(words))


def words_of(words: Any) -> tuple[str, ...]:
    """Return the words of a Literal type."""
    return tuple(str(word) for word in get_args(words))


def instruments_of(path: Path | None) -> Mapping[str, Any] | None:
    """Return the facts about instruments of a JSON file, None where no file is named."""
    return None if path is None else read_instrument_file(path)


def planned(path: Path | None) -> tuple[Decision, ...]:
    """Return the decisions of a plan file, none where there is no plan."""
    return () if path is None else read_decisions(decisions_of(read_plan(path), path))


_POOLING = (
    click.option("--outcome", help="Only this outcome."),
    click.option("--compare", type=Pair(), help="Only this pair; effects are A minus B (or A over B)."),
    click.option("--by", help="Column of subgroups.  [default: stratum, where there is more than one]"),
    click.option(
        "--subgroup-tau2", type=choice_of(SubgroupTau2), help="One between-study variance for each, or for all."
    ),
    click.option(
        "--measure",
        type=click.Choice(list(MEASURES), case_sensitive=False),
        help="Effect measure.  [default: what the rows name, else SMD or RR]",
    ),
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="cochrane",
        show_default=True,
        help="Methods to start from.",
    ),
    click.option("--model", type=choice_of(Model), help="Random, equal or fixed effects, or IVhet."),
    click.option(
        "--tau2", type=WordOrNumber(words_of(Tau2)), help="Estimator of the between-study variance, or its value."
    ),
    click.option("--weights", metavar="COLUMN", help="Column of weights of your own for the mean."),
    click.option("--tau2-ci", type=choice_of(Tau2Interval), help="Interval of the between-study variance."),
    click.option("--ci", type=choice_of(MeanInterval), help="Interval of the mean."),
    click.option("--pi", type=choice_of(PredictionInterval), help="Prediction interval."),
    click.option("--level", type=float, help="Confidence level, e.g. 0.95."),
    click.option("--rng", type=int, help="Seed of intervals that resample.  [default: 1]"),
    click.option("--draws", type=int, help="Samples of intervals that resample.  [default: 4999]"),
    click.option(
        "--option",
        "conventions",
        type=Convention(),
        multiple=True,
        help="Convention of the measure, e.g. vtype=LS. Repeatable.",
    ),
    click.option("--r", type=float, help="Pre-post correlation to assume where it is not known."),
    click.option("--r-grid", type=Numbers(), help="Pool again under these correlations, e.g. 0.3,0.5,0.7,0.9."),
    click.option("--mixed-scores", help="Why SMDs of change and of final scores may be pooled; goes into the report."),
    click.option(
        "--instruments",
        type=click.Path(path_type=Path),
        help='JSON file of facts by instrument: {"VAS": {"higher_is_better": false, "low": 0, "high": 100}}.',
    ),
    click.option(
        "--higher-is-better/--lower-is-better", default=None, help="Direction of effects.  [default: that of most rows]"
    ),
)


def pooling(function: _Command) -> _Command:
    """Give a command the options that say how a table is pooled: the same for all, so that one call fits the other."""
    for option in reversed(_POOLING):
        function = option(function)
    return function


def asked(options: Mapping[str, Any]) -> tuple[PoolSpec, Request]:
    """Return what these options ask for."""
    words = ("model", "tau2", "weights", "tau2_ci", "ci", "pi", "level", "rng", "draws", "subgroup_tau2")
    spec = resolve_spec(options["preset"], **{name: options[name] for name in words})
    choices = effect_choices(
        options=dict(options["conventions"]),
        instruments=instruments_of(options["instruments"]),
        **{name: options[name] for name in ("r", "r_grid", "mixed_scores", "higher_is_better")},
    )
    return spec, Request(options["outcome"], options["compare"], options["by"], options["measure"], choices)


def given(context: click.Context) -> list[str]:
    """Return the words of those of these options that a user gave, for another command that takes them too."""

    def nothing() -> None: ...

    words: list[str] = []
    for option in click.command()(pooling(nothing)).params:
        name = str(option.name)
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append(option.opts[0] if value else option.secondary_opts[0])
        elif name == "conventions":
            words += [word for pair in value for word in (option.opts[0], "=".join(pair))]
        else:
            joined = {"compare": ":", "r_grid": ","}
            words += [option.opts[0], joined[name].join(map(str, value)) if name in joined else str(value)]
    return words
