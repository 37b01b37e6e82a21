"""The kinds of values that options of several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from metaback.cli.later import later
from metaback.vocabulary import (
    Criterion,
    DegreesOfFreedom,
    MeanInterval,
    Model,
    PredictionInterval,
    Preset,
    Robust,
    SamplingSource,
    SubgroupTau2,
    Tau2,
    Tau2Interval,
    TestLaw,
    words_of,
)

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


class Known(click.ParamType[tuple[str, float]]):
    """A name and a number with an equals sign between them."""

    name = "NAME=NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Split at the last equals sign."""
        name, sign, number = str(value).rpartition("=")
        try:
            return name.strip(), float(number if sign and name.strip() else "")
        except ValueError:
            self.fail(f"{value!r} is not a component with its value; write it as rho=0.5", param, ctx)


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


class Measure(click.ParamType[str]):
    """The key of an effect measure; the measures are loaded when one is named, not for the help."""

    name = "MEASURE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take the key in any case; another word is refused with those that there are."""
        return self._keys().convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the keys that begin so."""
        return self._keys().shell_complete(ctx, param, incomplete)

    def _keys(self) -> click.Choice[str]:
        return click.Choice(list(later("stats.measures", "MEASURES")), case_sensitive=False)


def choice_of(words: Any) -> click.Choice[str]:
    """Offer the words of a Literal type."""
    return click.Choice(words_of(words))


class Role(click.ParamType[tuple[str, str]]):
    """A role and the column that plays it, with an equals sign between them."""

    name = "ROLE=COLUMN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first equals sign."""
        role, sign, column = str(value).partition("=")
        if not sign or not role.strip() or not column.strip():
            self.fail(f"{value!r} is not a role with its column; write it as 'sd_1=SD Gruppe 1'", param, ctx)
        return role.strip(), column.strip()


def _with_commas(context: click.Context, option: click.Parameter, words: tuple[str, ...]) -> str | None:
    """Join the words of an option that may be repeated: `--by a --by b` is `--by a,b`."""
    return ",".join(words) or None


_ROWS = (
    click.option("--outcome", help="Only this outcome."),
    click.option("--compare", type=Pair(), help="Only this pair; effects are A minus B (or A over B)."),
)
_MEASURE = (
    click.option(
        "--measure",
        type=Measure(),
        help="Effect measure; `metaback measures` lists them.  [default: what the rows name, else SMD or RR]",
    ),
    click.option(
        "--preset",
        type=choice_of(Preset),
        help="Methods to start from.  [default: cochrane]",
    ),
)
_CONVENTIONS = (
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
    click.option("--role", "roles", type=Role(), multiple=True, help="Column of a role, e.g. sd_1=SD_E. Repeatable."),
    click.option(
        "--higher-is-better/--lower-is-better", default=None, help="Direction of effects.  [default: that of most rows]"
    ),
)
_POOLING = (
    *_ROWS,
    click.option(
        "--by",
        multiple=True,
        callback=_with_commas,
        help="Column of subgroups.  [default: stratum, where there is more than one]  Repeatable for long tables.",
    ),
    click.option(
        "--subgroup-tau2", type=choice_of(SubgroupTau2), help="One between-study variance for each, or for all."
    ),
    *_MEASURE,
    click.option("--model", type=choice_of(Model), help="Random, equal or fixed effects, or IVhet."),
    click.option(
        "--tau2", type=WordOrNumber(words_of(Tau2)), help="Estimator of the between-study variance, or its value."
    ),
    click.option("--weights", metavar="COLUMN", help="Column of weights of your own for the mean."),
    click.option("--tau2-ci", type=choice_of(Tau2Interval), help="Interval of the between-study variance."),
    click.option("--ci", type=choice_of(MeanInterval), help="Interval of the mean."),
    click.option("--pi", type=choice_of(PredictionInterval), help="Prediction interval."),
    click.option(
        "--independent",
        is_flag=True,
        default=None,
        help="Take rows of one study for studies of their own, instead of modelling that they depend on each other.",
    ),
    click.option("--rho", type=float, help="Correlation of effects on the same people, assumed.  [default: 0.6]"),
    click.option("--level", type=float, help="Confidence level, e.g. 0.95."),
    click.option("--rng", type=int, help="Seed of intervals that resample.  [default: 1]"),
    click.option("--draws", type=int, help="Samples of intervals that resample.  [default: 4999]"),
    *_CONVENTIONS,
)


def pooling(function: _Command) -> _Command:
    """Give a command the options that say how a table is pooled: the same for all, so that one call fits the other."""
    for option in reversed(_POOLING):
        function = option(function)
    return function


_LEVELS = (
    click.option(
        "--random",
        multiple=True,
        metavar="FORMULA",
        help='Random effects, e.g. "~ 1 | study/effect"; or a working model: CHE, SCE(outcome), CMVE(outcome), HE, CE, '
        "CORR, HIER. Repeatable for crossed effects.  [default: ~ 1 | study/effect]",
    ),
    click.option(
        "--struct",
        multiple=True,
        metavar="WORD",
        help='Structure of each "~ inner | outer": UN, CS, HCS, DIAG, ID, AR, HAR, CAR, SPEXP, SPGAU, SPLIN, SPRAT, '
        "SPSPH, GEN, GDIAG. Repeatable, in the order of the formulas.",
    ),
    click.option("--formula", help='Moderators, e.g. "~ weeks".  [default: ~ 1]'),
    click.option(
        "--rho", type=float, help="Correlation of sampling errors within a study, assumed.  [of CHE, SCE, CMVE: 0.6]"
    ),
    click.option(
        "--covariance",
        type=choice_of(SamplingSource),
        help="Sampling covariances as the table tells them: shared arms from their numbers, else --rho.",
    ),
    click.option("--method", type=choice_of(Criterion), help="Likelihood.  [default: REML]"),
    click.option("--test", type=choice_of(TestLaw), help="Law of the tests.  [default: t]"),
    click.option("--df", type=choice_of(DegreesOfFreedom), help="Degrees of freedom of t.  [default: containment]"),
    click.option(
        "--robust", type=choice_of(Robust), help="Cluster-robust variance.  [default: none; CR2 for working models]"
    ),
    click.option("--cluster", metavar="COLUMN", help="Column of the clusters.  [default: that of the first formula]"),
    click.option(
        "--fix",
        "fixed",
        type=Known(),
        multiple=True,
        help='A component that is known, by name, e.g. "rho=0.5". Repeatable.',
    ),
    click.option("--level", type=float, help="Confidence level, e.g. 0.95."),
)


def levelled(function: _Command) -> _Command:
    """Give a command the options of one model of dependent effects, and those of its table and effects."""
    for option in reversed((*_ROWS, *_LEVELS, *_MEASURE, *_CONVENTIONS)):
        function = option(function)
    return function


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
        elif name in {"conventions", "roles"}:
            words += [word for pair in value for word in (option.opts[0], "=".join(pair))]
        else:
            joined = {"compare": ":", "r_grid": ","}
            words += [option.opts[0], joined[name].join(map(str, value)) if name in joined else str(value)]
    return words
