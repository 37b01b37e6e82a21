"""What `metaback multilevel` does, and `metaback pool` with a plan that asks for one model of dependent effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from metaback.cli.asked import AskedLevels, asked_levels
from metaback.cli.running import progress_of, stop_at_errors
from metaback.errors import FileError, OptionError
from metaback.level_bundle import LevelOrigin, write_level_report
from metaback.levels import Multilevel, fit_levels
from metaback.models.plans import Plan
from metaback.postestimation.audit import Audit
from metaback.postestimation.planned_levels import audit_rows, effects_of_rows
from metaback.report.bibliography import reference_list
from metaback.report.multilevel_methods import planned_methods
from metaback.report.multilevel_text import multilevel_text
from metaback.report.plan_sections import status_line
from metaback.report.plan_toml import resolved_levels_toml
from metaback.report.records import json_text
from metaback.report.reproduce import decision_words

OF_POOLS = ("by", "model", "tau2", "weights", "tau2_ci", "ci", "pi", "rng", "draws", "subgroup_tau2", "independent")


def run(table: Path | None, options: dict[str, Any]) -> None:
    """Model a table and write its report, or print its results."""
    found = asked_levels(table, options)
    if options["dry_run"]:
        click.echo(dry_run(found))
        return
    with progress_of(options["quiet"]) as tell:
        tell("checking the table")
        planned = found.planned
        audit = audit_rows(found.rows, planned.request, planned.preset, planned.spec.level, planned.decisions)
        stop_at_errors(audit, found.table, accepted=options["accept_findings"])
        tell("fitting the model")
        effects = effects_of_rows(audit.trials, planned.request, planned.preset, audit.answers)
        fit = fit_levels(effects, found.trials.source, planned.words, planned.covariance, None)
        fit = replace(fit, audit=audit)
        names = _write(found, fit, audit, options, tell) if options["output"] == "report" else ()
    if options["output"] == "json":
        click.echo(json_text(fit.to_dict()).encode(), nl=False)
    elif options["output"] == "text":
        click.echo(multilevel_text(fit.analysis, hint=False))
    elif not options["quiet"]:
        click.echo(multilevel_text(fit.analysis, hint=False))
        click.echo(f"Report: {options['out'] / 'report.html'} ({len(names)} files)")


def run_plan(table: Path | None, options: Mapping[str, Any]) -> None:
    """Model what `metaback pool` was asked for by a plan whose [model] has random effects.

    Raises `OptionError` for options that belong to pools.
    """
    wrong = [name for name in OF_POOLS if options.get(name) is not None]
    if wrong:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise OptionError(f"{listed}: the plan asks for one model of dependent effects (model.random), no pools")
    run(table, {**dict.fromkeys(("random", "struct", "fixed"), ()), **options})


def _write(
    found: AskedLevels, fit: Multilevel, audit: Audit, options: Mapping[str, Any], tell: Callable[[str], None]
) -> tuple[str, ...]:
    """Write the report with the command that makes it again."""
    words: tuple[str, ...] = click.get_current_context().obj
    out: Path = options["out"]
    if out.resolve() == found.table.resolve():
        raise FileError(f"--out {out} is the table itself")
    planned = found.planned
    written = (planned.plan or Plan()).report
    origin = LevelOrigin(
        found.trials.source,
        audit,
        accepted=options["accept_findings"],
        command=words,
        plan=found.plan,
        written=planned.plan,
        overridden=planned.overridden,
        covariance=fit.covariance,
        call=_call(found),
        roles=found.roles,
        layout=options["layout"] or written.layout or "standard",
        instruments=planned.request.choices.instruments,
    )
    keep = (found.table,) if options["plan"] is None else (found.table, options["plan"])
    formats = options["formats"] or written.formats
    return write_level_report(
        out, fit.analysis, origin, force=options["force"], keep=keep, formats=formats, progress=tell
    )


def _call(found: AskedLevels) -> dict[str, Any]:
    """Return the keywords of `multilevel` that make the same model."""
    planned, request = found.planned, found.planned.request
    words: dict[str, Any] = dict(planned.words) | {"V": planned.covariance}
    words |= {"outcome": request.outcome, "compare": request.compare, "measure": request.measure}
    words |= {"preset": None if planned.preset == "cochrane" else planned.preset, **request.choices.words()}
    words["instruments"] = {name: asdict(facts) for name, facts in request.choices.instruments.items()}
    words["accept"] = decision_words(planned.decisions)
    return words


def dry_run(found: AskedLevels) -> str:
    """Write the resolved plan, the hash of the plan that is registered, and what would be modelled."""
    planned = found.planned
    plan = planned.plan or Plan()
    parts = [
        resolved_levels_toml(plan, planned.spec, _call(found)),
        f"# Table: {found.table} ({len(found.trials)} rows)",
    ]
    if found.plan is not None:
        parts.append(f"# {status_line(plan, found.plan.sha256, planned.overridden)}")
    parts += [f"# {words}" for words in planned.overridden]
    effects = effects_of_rows(found.rows, planned.request, planned.preset)
    text, keys = planned_methods(planned.spec, effects, planned.covariance, planned.words.get("rho"))
    sources = [f"{number}. {source}" for number, source in enumerate(reference_list(keys), 1)]
    return "\n".join([*parts, "", text, "", *sources])
