"""A result as plain text for a terminal: the numbers first, then what must be known, then what can be done next."""

from __future__ import annotations

import textwrap

from metaback.effects.effect_sizes import NOT_STATED
from metaback.numbers import df_text, fixed, humanise, p_phrase
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.postestimation.words import (
    asks_prediction,
    comparison,
    counts,
    difference_statistic,
    effect_digits,
    i2_shown,
    i2_source,
    level_words,
    limits_cell,
    mean_test,
    percent,
    percent_cell,
    plural,
    point_text,
    prediction_words,
    sentence_case,
)
from metaback.report.sections import notes
from metaback.report.words import clean, measure_words, model_words, one_line, tau2_texts

WIDTH = 100
NOTE_LINES = 6
NEXT_STEPS = "Next: .forest()  .to_frame()  .studies()  .report()"


def summary_text(analysis: Analysis, *, hint: bool = True, checks: str = "") -> str:
    """Return about a dozen lines: what was pooled, the estimate, its range, the heterogeneity, subgroups and notes.

    Subgroups (one line each) are the only part that grows with the data; notes beyond six lines are counted.
    checks: what the check of the table found, in words. hint: whether to end with what a result can do next, which is
    of use in a session of Python only.
    """
    effects, spec, pool = analysis.fitted.effects, analysis.spec, analysis.overall
    people = f", {plural(pool.n, 'participant')}" if pool.n is not None else ""
    lines = [
        f"{comparison(analysis).title} ({counts(pool)}{people})",
        f"{sentence_case(measure_words(effects))}, {model_words(spec)}, k = {pool.k}",
        "",
        f"  Estimate             {_mean_line(analysis, pool)}",
        *_prediction_lines(analysis),
        f"  Heterogeneity        {_heterogeneity_line(analysis, pool)}",
        *_subgroup_lines(analysis),
        *_note_lines(analysis),
        *([f"Check of the table: {checks}"] if checks else []),
        *([NEXT_STEPS] if hint else []),
    ]
    return "\n".join(part for line in lines for part in _shown(line))


def _mean_line(analysis: Analysis, pool: PoolSummary) -> str:
    mean, digits = pool.mean, effect_digits(analysis.overall.mean)
    estimate = f"{point_text(mean, digits)}  {percent(mean.level)} CI {limits_cell(mean, digits)}"
    return f"{estimate}   {mean_test(mean, brief=True)}".rstrip()


def _prediction_lines(analysis: Analysis) -> list[str]:
    spec, prediction = analysis.spec, analysis.overall.prediction
    if not asks_prediction(spec):
        return []
    if prediction is None:
        return [f"  Prediction interval  not estimable (k = {analysis.overall.k})"]
    limits = limits_cell(prediction, effect_digits(analysis.overall.mean))
    return [f"  Prediction interval  {limits}   ({prediction_words(prediction, spec)})"]


def _heterogeneity_line(analysis: Analysis, pool: PoolSummary) -> str:
    found, spec = pool.heterogeneity, analysis.spec
    if found.q_df == 0:
        return "not estimable from one effect"
    parts: list[str] = []
    if found.tau2 is not None:
        point, ends = tau2_texts(found)
        parts.append(f"τ² {point} ({' to '.join(ends)})" if ends else f"τ² {point}")
    parts.append(f"I² {percent_cell(i2_shown(found, spec))} (from {i2_source(spec)})")
    parts.append(f"Q {fixed(found.q)}, df {df_text(found.q_df)}, {p_phrase(found.q_p)}")
    return "   ".join(parts)


def _subgroup_lines(analysis: Analysis) -> list[str]:
    groups = analysis.subgroups
    if groups is None:
        return []
    width = min(24, max((len(one_line(level_words(groups.name, level))) for level in groups.levels), default=0))
    shared = " (one τ² for all)" if groups.tau2 == "common" else ""
    lines = [f"  Subgroups by {humanise(groups.name)}{shared}:"]
    for level, pool in zip(groups.levels, groups.pools, strict=True):
        name = textwrap.shorten(one_line(level_words(groups.name, level)) or "(blank)", 24, placeholder="…")
        lines.append(f"    {name:<{width}}  k = {pool.k}  {_mean_line(analysis, pool)}")
    if groups.test is not None:
        letter, value, df = difference_statistic(groups.test)
        lines.append(f"    difference: {letter} = {value}, df {', '.join(df)}, {p_phrase(groups.test.p_value)}")
    elif analysis.dependent and sum(level != NOT_STATED for level in groups.levels) > 1:
        lines.append("    difference: no test (too few studies, or a subgroup of one study alone)")
    return lines


def _note_lines(analysis: Analysis) -> list[str]:
    points = notes(analysis).points
    if not points:
        return [""]
    lines: list[str] = []
    for position, point in enumerate(points):
        wrapped = textwrap.wrap(one_line(point), WIDTH - 4, max_lines=2, placeholder=" …") or ["(blank)"]
        last = position == len(points) - 1
        if len(lines) + len(wrapped) > NOTE_LINES - (0 if last else 1):
            return [*lines, f"  ! {plural(len(points) - position, 'more note')}: see .report()"]
        lines += [f"  ! {wrapped[0]}", *(f"    {line}" for line in wrapped[1:])]
    return lines


def _shown(line: str) -> list[str]:
    """Make a line safe and short enough: names are cut, numbers go on in the next line; the gaps that align it stay."""
    text = clean(line).translate({ord(space): " " for space in "\n\t\v\f\u2028\u2029"}).rstrip()
    if len(text) <= WIDTH:
        return [text]
    if not text.startswith(" "):
        return [f"{text[: WIDTH - 1].rstrip()}…"]
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=" " * 23, replace_whitespace=False, max_lines=3, placeholder=" …"
    )
