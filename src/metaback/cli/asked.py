"""What a command is asked for: its plan, its table and its options, read and put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaback.data.plan_file import read_plan
from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.effects.instruments import read_instrument_file
from metaback.errors import FileError, OptionError
from metaback.models.plans import Plan, make_plan
from metaback.plots.prisma_data import prisma_data
from metaback.postestimation.planned import Planned, planned_requests
from metaback.postestimation.planned_levels import OF_RUN, OF_TABLE, PlannedLevels, narrowed, planned_levels
from metaback.report.provenance import PlanFile

SAID = (
    "outcome", "compare", "by", "measure", "preset", "model", "tau2", "weights", "tau2_ci", "ci", "pi", "level", "rng",
    "draws", "subgroup_tau2", "independent", "rho", "r", "r_grid", "mixed_scores", "higher_is_better",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command is asked for: the table, the plan file, and the requests that both make together."""

    table: Path
    trials: Trials
    planned: Planned
    plan: PlanFile | None
    roles: Mapping[str, str]

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Return the files that must survive."""
        return (self.table,)


def asked(table: Path | None, options: Mapping[str, Any]) -> Asked:
    """Read the plan and the table, and return what is asked for.

    Without a table that of the plan is read, from where the plan stands. Raises `FileError` for a table whose bytes
    are not those that the plan fixes.
    """
    plan, described = plan_of(options["plan"])
    said = {name: options[name] for name in SAID}
    found = planned_requests(plan, {**said, "options": dict(options["conventions"]), **_instruments(options)})
    file, trials, roles = _table(table, options, plan)
    return Asked(file, trials, found, described, roles)


@dataclass(frozen=True, slots=True)
class AskedLevels:
    """What is asked of one model of dependent effects; rows: those of the table that enter it; see `Asked`."""

    table: Path
    trials: Trials
    rows: Trials
    planned: PlannedLevels
    plan: PlanFile | None
    roles: Mapping[str, str]


def asked_levels(table: Path | None, options: Mapping[str, Any]) -> AskedLevels:
    """Read the plan and the table, and return what is asked of one model of dependent effects; see `asked`."""
    plan, described = plan_of(options["plan"])
    names = dict.fromkeys((*OF_RUN, *OF_TABLE, "covariance"))
    said = {name: options.get(name) for name in names} | {"options": dict(options["conventions"])}
    found = planned_levels(plan, said | {"fixed": dict(options["fixed"])} | _instruments(options))
    file, trials, roles = _table(table, options, plan)
    return AskedLevels(file, trials, narrowed(trials, found.request), found, described, roles)


def plan_of(path: Path | None) -> tuple[Plan | None, PlanFile | None]:
    """Read a plan file; boxes of its flow diagram that do not add up are told before anything is pooled."""
    if path is None:
        return None, None
    text = read_plan(path)
    plan = make_plan(text.content, str(path))
    if plan.prisma is not None:
        prisma_data(plan.prisma.counts)
    return plan, PlanFile(path.name, text.sha256)


def _table(table: Path | None, options: Mapping[str, Any], plan: Plan | None) -> tuple[Path, Trials, Mapping[str, str]]:
    """Read the table that is named, or that of the plan, with the columns that were named by hand."""
    path: Path | None = options["plan"]
    file = table or (None if path is None or plan is None or plan.data.file is None else path.parent / plan.data.file)
    if file is None:
        raise OptionError("name the table, e.g. data/trials.csv, or a plan that names one ([data] file = ...)")
    roles = {**({} if plan is None else plan.data.columns), **dict(options["roles"])}
    trials = read_trials(file, roles=roles)
    fixed = None if plan is None else plan.data.sha256
    if fixed is not None and trials.source.sha256 != fixed:
        raise FileError(f"{file} is not the table of the plan: its SHA-256 is {trials.source.sha256}, not {fixed}")
    return file, trials, roles


def _instruments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the instruments' file, nothing where none is named."""
    facts = instruments_of(options["instruments"])
    return {} if facts is None else {"instruments": facts}


def instruments_of(path: Path | None) -> Mapping[str, Any] | None:
    """Return the facts about instruments of a JSON file, None where no file is named."""
    return None if path is None else read_instrument_file(path)
