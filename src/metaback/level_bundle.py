"""From a model of dependent effects to the files of its report: the same bytes on every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaback.data.trials import Source
from metaback.effects.dependence import SamplingCovariance
from metaback.effects.instruments import Instrument
from metaback.models.plans import Plan
from metaback.plots.forest import draw_forest, draw_forest_pages
from metaback.plots.forest_data import ForestChoices
from metaback.plots.multilevel_forest_data import multilevel_forest_data
from metaback.plots.prisma import draw_prisma, prisma_data
from metaback.plots.registry import FIGURES as KNOWN
from metaback.plots.report_figures import LeftOut, report_figures
from metaback.plots.save import XML_DECLARATION, figure_bytes, svg_text
from metaback.postestimation.audit import Audit
from metaback.postestimation.level_robustness import LevelRobustness, level_robustness
from metaback.postestimation.multilevel import MultilevelAnalysis
from metaback.postestimation.multilevel_pool import as_pool
from metaback.postestimation.multilevel_profile import components_ci, components_frame
from metaback.report.audit_records import audit_record, findings_csv
from metaback.report.audit_sections import audit_blocks, audit_keys, lead_blocks
from metaback.report.bibliography import cite_mark
from metaback.report.bundle_io import write_bundle
from metaback.report.document import Block, Figure, PaperPage
from metaback.report.figure_sections import FLOW_KEYS, figure_blocks, flow_blocks
from metaback.report.formats import known_formats
from metaback.report.kept import Made, kept_files
from metaback.report.multilevel_certainty import certainty_part, rated_pool, rating_keys, rating_words, reading_part
from metaback.report.multilevel_page import Around, has_one_mean, methods_keys, multilevel_files
from metaback.report.multilevel_robustness import (
    SENSITIVITY,
    robustness_record,
    robustness_rows,
    robustness_sections,
)
from metaback.report.plan_sections import plan_blocks
from metaback.report.plan_toml import resolved_levels_toml
from metaback.report.prisma_map import prisma_blocks, prisma_keys, report_parts
from metaback.report.provenance import InputFile, PlanFile, file_name, portable, provenance
from metaback.report.records import csv_text
from metaback.report.reproduce import NAME as SCRIPT
from metaback.report.reproduce import Call, reproduce_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure as Drawing

SHORT = "m"  # before the ids of a drawing, which the page makes its own: they are a good part of the bytes
TALL = 60  # rows of a forest plot above which paper has it in pages
PAPER = ("docx", "pdf")
FIGURES = ("risk-of-bias", "funnel")  # that mean the same for effects that depend on each other
OF_POOLS = "No figure “{}”: it is of pools, and this is one model of effects that depend on each other."
EFFECTS_NOT_STUDIES = "Points are effects, and those of one study depend on each other."


@dataclass(frozen=True, slots=True)
class LevelOrigin:
    """What a report was made from.

    source: of the table. audit: the check of the rows, accepted: whether the report was asked for in spite of its open
    errors. command: words that make it again; plan, written, overridden: the plan file, its content, and where the run
    left it. covariance: what V came from. call: keywords of `multilevel` that make the numbers again from the file, for
    a script, None where there is no file; roles: columns that were named by hand. layout: of the forest plot. made: the
    table or effects, and the calls, of a model that was made in Python. instruments: what is known of them, by name.
    """

    source: Source
    audit: Audit | None = None
    accepted: bool = False
    command: tuple[str, ...] | None = None
    plan: PlanFile | None = None
    written: Plan | None = None
    overridden: tuple[str, ...] = ()
    covariance: SamplingCovariance | None = None
    call: Mapping[str, Any] | None = None
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    layout: str = "standard"
    made: Made | None = None
    instruments: Mapping[str, Instrument] = field(default_factory=dict[str, Instrument])


def write_level_report(
    folder: str | Path,
    analysis: MultilevelAnalysis,
    origin: LevelOrigin,
    *,
    force: bool = False,
    keep: Sequence[Path] = (),
    formats: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[str, ...]:
    """Write the report of one model as a folder, whole or not at all, and return its file names.

    force: write into a folder that metaback did not make; keep: files that must survive; formats: "docx", "pdf" and
    "xlsx" beside the page and Markdown. Raises `OptionError` for a format that is not known or whose extra is missing,
    before any work, and `FileError` where the folder cannot be written.
    """
    wanted = known_formats(formats)
    kept = {} if origin.made is None else kept_files(origin.made, layout=origin.layout, formats=list(formats))
    record = _provenance(analysis, origin, recipe=bool(kept))
    progress("intervals of the components")
    by_moments = analysis.fitted.moments is not None
    components = components_frame(analysis.components) if by_moments else components_ci(analysis.fitted)
    progress("sensitivity analyses")
    planned = () if origin.written is None else origin.written.sensitivity
    robust = level_robustness(analysis, planned, origin.covariance)
    progress("figures")
    studio = _Studio({}, {}, wanted)
    forest = _forest(analysis, origin.layout, studio) if has_one_mean(analysis) else None
    around = _around(analysis, origin, robust, studio)
    files = multilevel_files(analysis, components, forest, name=origin.source.name, record=record, around=around)
    return write_bundle(Path(folder), files | _script(origin) | kept, provenance=record, force=force, keep=keep)


@dataclass(frozen=True, slots=True)
class _Studio:
    """Where figures become files; painted: pictures for Word alone, which the folder does not hold."""

    files: dict[str, bytes | str]
    painted: dict[str, bytes | str]
    formats: tuple[str, ...]

    def picture(self, drawn: Drawing, name: str, caption: str, alt: str, *, title: str, painted: bool = True) -> Figure:
        """Add the files of one figure and return it; painted: whether a PNG goes into the folder too."""
        svg = svg_text(drawn, SHORT, title=title)
        self.files[f"figures/{name}.svg"] = XML_DECLARATION + svg
        if painted or "docx" in self.formats:
            (self.files if painted else self.painted)[f"figures/{name}.png"] = figure_bytes(drawn, "png")
        return Figure(svg, f"{name}.svg", caption, alt)


def _forest(analysis: MultilevelAnalysis, layout: str, studio: _Studio) -> Figure:
    """Draw the forest plot, add its files and return the figure of the page."""
    data = multilevel_forest_data(analysis, ForestChoices(layout=layout))
    made = studio.picture(draw_forest(data), "forest", "Forest plot.", data.alt, title="Forest plot")
    if len(data.rows) <= TALL or not set(PAPER).intersection(studio.formats):
        return made
    pages: list[PaperPage] = []
    for number, drawn in enumerate(draw_forest_pages(data), 1):
        name = f"forest-page-{number}"
        pages.append(PaperPage(svg_text(drawn, SHORT), f"{name}.svg", str(drawn.get_label())))
        if "docx" in studio.formats:
            studio.painted[f"figures/{name}.png"] = figure_bytes(drawn, "png")
    return Figure(made.svg, made.name, made.caption, made.alt, tuple(pages))


def _around(analysis: MultilevelAnalysis, origin: LevelOrigin, robust: LevelRobustness, studio: _Studio) -> Around:
    """Return what stands around the numbers of the model."""
    plan, audit, pool = origin.written, origin.audit, rated_pool(analysis)
    flow = plan is not None and plan.prisma is not None
    drawn, missing, shown, cites = _further(analysis, origin, studio)
    keys = methods_keys(analysis, cites)
    lead = (*lead_blocks(audit, accepted=origin.accepted), *_plan_blocks(origin), *_flow(analysis, plan, studio, keys))
    parts = report_parts(
        plan,
        (),
        checks=audit is not None,
        sensitivity=True,
        regression=analysis.moderators is not None,
        judgements="risk-of-bias" in shown,
        bias="funnel" in shown,
        flow=flow,
        **({} if pool is not None else {"certainty": False}),
    )
    return Around(
        title=None if plan is None else plan.report.title or plan.question.title,
        lead=lead,
        sensitivity=robustness_sections(analysis, robust),
        figures=figure_blocks(drawn, missing, anchor="model"),
        certainty=rating_words(pool, plan),
        reading=reading_part(pool, plan, origin.instruments),
        checks=(*certainty_part(analysis, pool, plan, origin.instruments), *audit_blocks(audit)),
        tail=prisma_blocks(parts, sport=True),
        cites=cites,
        bib=(*audit_keys(audit), *rating_keys(pool, plan), *prisma_keys(sport=True)),
        record={
            "checks": None if audit is None else audit_record(audit),
            "sensitivity": robustness_record(robust),
            "flow": None if plan is None or plan.prisma is None else plan.prisma.counts,
        },
        files=studio.files | _tables(analysis, origin, robust),
        formats=studio.formats,
        painted=studio.painted,
    )


def _tables(analysis: MultilevelAnalysis, origin: LevelOrigin, robust: LevelRobustness) -> dict[str, bytes | str]:
    """Return the tables of the sensitivity analyses and of the check, and the plan as it was understood."""
    files: dict[str, bytes | str] = {"tables/sensitivity.csv": csv_text(SENSITIVITY, robustness_rows(robust))}
    if origin.audit is not None:
        files["tables/checks.csv"] = findings_csv(origin.audit)
    if origin.written is not None:
        files["plan.resolved.toml"] = resolved_levels_toml(origin.written, analysis.fitted.spec, origin.call or {})
    return files


def _further(
    analysis: MultilevelAnalysis, origin: LevelOrigin, studio: _Studio
) -> tuple[list[tuple[str, Figure]], list[str], set[str], tuple[str, ...]]:
    """Draw the figures beside the forest plot; return them, why others are missing, their keys, and what they cite."""
    asked = None if origin.written is None else origin.written.report.figures
    flow: tuple[str, ...] = FLOW_KEYS if origin.written is not None and origin.written.prisma is not None else ()
    missing = [OF_POOLS.format(KNOWN[key].title) for key in asked or () if key not in (*FIGURES, "forest")]
    if not has_one_mean(analysis):
        return [], missing, set(), flow
    wanted = None if asked is None else tuple(key for key in asked if key in FIGURES)
    drawn: list[tuple[str, Figure]] = []
    shown: set[str] = set()
    cites: list[str] = list(flow)
    for found in report_figures(as_pool(analysis).analysis, wanted, layout=origin.layout, usual=FIGURES):
        if isinstance(found, LeftOut):
            missing.append(found.why)
            continue
        keys = methods_keys(analysis, (*cites, *found.cites))
        read = f"{found.read} {EFFECTS_NOT_STUDIES}" if found.key == "funnel" else found.read
        caption = f"{found.title}{cite_mark(keys, *found.cites)}. {read}"
        made = studio.picture(found.drawing, found.key, caption, found.alt, title=found.title, painted=False)
        drawn.append((found.title, made))
        shown.add(found.key)
        cites += found.cites
    return drawn, missing, shown, tuple(dict.fromkeys(cites))


def _plan_blocks(origin: LevelOrigin) -> tuple[Block, ...]:
    """Return the question and how the analysis stands to its plan; nothing where the plan holds decisions alone."""
    if origin.written is None or not origin.written.model_fields_set - {"checks", "data"}:
        return ()
    return plan_blocks(origin.written, "" if origin.plan is None else origin.plan.sha256, origin.overridden)


def _flow(analysis: MultilevelAnalysis, plan: Plan | None, studio: _Studio, keys: Sequence[str]) -> tuple[Block, ...]:
    """Return the flow diagram of the plan's counts, nothing where it has none."""
    if plan is None or plan.prisma is None:
        return ()
    data = prisma_data(plan.prisma.counts)
    caption = f"PRISMA 2020 flow diagram{cite_mark(keys, *FLOW_KEYS)}."
    drawn = studio.picture(draw_prisma(data), "flow", caption, data.alt, title="Flow diagram")
    return flow_blocks(drawn, plan.prisma, len(set(analysis.fitted.effects.labels)))


def _script(origin: LevelOrigin) -> dict[str, bytes | str]:
    """Return the script that makes the numbers again, nothing where the table is no file."""
    if origin.call is None or not origin.source.sha256:
        return {}
    named = (word for word in map(portable, origin.command or ()) if file_name(word) == origin.source.name)
    table = next(named, origin.source.name)
    return {SCRIPT: reproduce_levels(Call(table, origin.source.sha256, origin.call, dict(origin.roles)))}


def _provenance(analysis: MultilevelAnalysis, origin: LevelOrigin, *, recipe: bool) -> dict[str, object]:
    """Describe input, plan, options and versions."""
    source, spec = origin.source, analysis.fitted.spec
    described = InputFile(source.name, source.sha256, source.rows, source.roles, source.notes)
    options = spec.model_dump(mode="json", exclude_none=True)
    if origin.call is not None and origin.call.get("V") == "table":
        options["covariance"] = "table"
    found = provenance(described, plan=origin.plan, command=origin.command, options=options)
    return {**found, **(origin.made.told if recipe and origin.made is not None else {})}
