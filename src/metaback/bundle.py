"""From analyses to the files of a report: figures, page, tables and record, as bytes that are the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaback.data.trials import Source
from metaback.effects.instruments import Instrument
from metaback.models.plans import Plan
from metaback.models.specs import PoolSpec, chosen, estimates_tau2
from metaback.plots.forest import draw_forest, draw_forest_pages, forest_data
from metaback.plots.forest_data import ForestChoices, ForestData
from metaback.plots.forest_layouts import forest_layout
from metaback.plots.prisma import draw_prisma, prisma_data
from metaback.plots.report_figures import LeftOut, ReportFigure, report_figures
from metaback.plots.save import XML_DECLARATION, figure_bytes, svg_text
from metaback.postestimation.audit import Audit
from metaback.postestimation.clinical import reference_sd, settings_beyond
from metaback.postestimation.further_subgroups import FurtherSubgroups, further_subgroups
from metaback.postestimation.planned import Planned
from metaback.postestimation.summary import Analysis
from metaback.postestimation.table import Request, TableAnalysis
from metaback.postestimation.working_levels import limited
from metaback.report.audit_records import audit_record, findings_csv
from metaback.report.audit_sections import audit_blocks, audit_keys, flags_of, lead_blocks
from metaback.report.bibliography import cite_mark, selected_bibtex
from metaback.report.bundle_io import write_bundle
from metaback.report.clinical import chosen_mid, clinical_blocks, clinical_keys, grade_of
from metaback.report.document import Block, Figure, PaperPage
from metaback.report.figure_sections import FLOW_KEYS, figure_blocks, figures_record, flow_blocks
from metaback.report.formats import document_files, known_formats
from metaback.report.frames import listed_record
from metaback.report.grade import certainty_blocks, certainty_keys, certainty_words
from metaback.report.html import render_html
from metaback.report.kept import Made, kept_files
from metaback.report.listing import listing_blocks
from metaback.report.plan_sections import further_blocks, further_record, plan_blocks, subgroup_blocks
from metaback.report.plan_toml import resolved_toml
from metaback.report.prisma_map import prisma_blocks, prisma_keys, report_parts
from metaback.report.provenance import (
    InputFile,
    PlanFile,
    file_name,
    portable,
    provenance,
    provenance_blocks,
    reading_blocks,
)
from metaback.report.records import json_text, pooled_csv, results_record, studies_csv
from metaback.report.reproduce import NAME as SCRIPT
from metaback.report.reproduce import Call, decision_words, reproduce_script
from metaback.report.robustness import Robustness, robustness, robustness_blocks, sensitivity_record, standard_record
from metaback.report.route_table import routes_csv
from metaback.report.sections import Beside, document_keys, report_document
from metaback.report.words import anchor, comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

Progress = Callable[[str], None]
PAPER = ("docx", "pdf")
SHORT = "m"  # before the ids of a drawing, which the page makes its own: they are a good part of the bytes
TALL = 60  # rows of a forest plot above which paper has it in pages


@dataclass(frozen=True, slots=True)
class Checked:
    """The check of the table that a report is about, and whether it was asked for in spite of open errors."""

    audit: Audit
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """What a report was made from: the table's source, the request, the check, the words that make it again, the plan.

    plan: the file that the decisions of the check came from, None where they came from elsewhere. request: what was
    asked of the whole table, None where a part of it was pooled; with it goes a script that makes the numbers again.
    planned: what a plan and the run asked for together; roles: columns that were named by hand.
    layout: of the forest plots. made: the table and the calls of a result that was made in Python.
    """

    source: Source
    spec: PoolSpec
    checked: Checked | None = None
    command: tuple[str, ...] | None = None
    plan: PlanFile | None = None
    request: Request | None = None
    planned: Planned | None = None
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    layout: str = "standard"
    made: Made | None = None


def write_report(
    folder: str | Path,
    table: TableAnalysis,
    origin: Origin,
    *,
    force: bool = False,
    keep: Sequence[Path] = (),
    formats: tuple[str, ...] = (),
    progress: Progress = lambda _: None,
) -> tuple[str, ...]:
    """Write the report of one or more comparisons as one folder, whole or not at all, and return its file names.

    origin: what the report was made from. force: write into a folder that metaback did not make, other files in it
    kept; keep: files that must survive. formats: "docx" and "pdf" beside the page and Markdown. Raises `OptionError`,
    before any work, for a format that is not known or whose extra is missing, and `FileError` when the folder cannot
    be written; it is then as it was.
    """
    wanted = known_formats(formats)
    kept = {} if origin.made is None else kept_files(origin.made, layout=origin.layout, formats=list(formats))
    record = _provenance(origin, recipe=bool(kept))
    files = report_files(table, origin, record, formats=wanted, progress=progress)
    files |= _script(origin)
    files |= kept
    return write_bundle(Path(folder), files, provenance=record, force=force, keep=keep)


def report_files(
    table: TableAnalysis,
    origin: Origin,
    record: Mapping[str, object],
    *,
    formats: tuple[str, ...] = (),
    progress: Progress = lambda _: None,
) -> dict[str, bytes | str]:
    """Make every file of a report; `record` is its provenance, `formats` what is written beside page and Markdown."""
    table = replace(table, analyses=tuple(map(limited, table.analyses)))
    pooled = tuple(analysis for analysis in table.analyses if analysis.overall.k > 1)
    single = tuple(analysis for analysis in table.analyses if analysis.overall.k == 1)
    audit = None if origin.checked is None else origin.checked.audit
    studio = _Studio({}, {}, formats)
    parts: list[_Part] = []
    for position, analysis in enumerate(pooled):
        progress(comparison(analysis).title)
        parts.append(_part(analysis, position + 1, origin, studio))
    cites = tuple(dict.fromkeys((*_flow_keys(origin), *(key for part in parts for key in part.cites))))
    keys = document_keys(pooled, cites)
    flow = _flow(origin, table, studio, keys)
    document = report_document(
        pooled,
        title=_title(origin),
        figures={position: part.forest for position, part in enumerate(parts)},
        lead=(*_lead(origin, audit, record), *flow),
        tail=(*listing_blocks(single, table.unpooled), *_map(origin, pooled, parts), *provenance_blocks(record)),
        flags=flags_of(audit),
        checks=(*certainty_blocks(_plan(origin), pooled, instruments=_facts(origin)), *audit_blocks(audit)),
        beside={
            i: replace(_beside(analysis, origin, parts[i], keys), cites=cites) for i, analysis in enumerate(pooled)
        },
    )
    files = studio.files | _records(table, origin, record, parts)
    files |= document_files(document, formats, files | studio.painted)
    return files | {"report.html": render_html(document)}


@dataclass(frozen=True, slots=True)
class _Part:
    """What was made of one comparison.

    Its forest plot, further figures with those left out, sensitivity analyses, and subgroups by further columns.
    """

    forest: Figure
    further: tuple[tuple[ReportFigure, Figure], ...]
    left_out: tuple[LeftOut, ...]
    robust: Robustness
    groups: tuple[FurtherSubgroups, ...]

    @property
    def cites(self) -> tuple[str, ...]:
        """Return the keys that figures cite."""
        return tuple(key for drawn, _ in self.further for key in drawn.cites)


@dataclass(frozen=True, slots=True)
class _Studio:
    """Where figures become files; painted: pictures for Word alone, which the folder does not hold.

    formats: what the report is written as beside page and Markdown.
    """

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

    def pages(self, data: ForestData, name: str) -> tuple[PaperPage, ...]:
        """Cut a tall forest plot into pages where the report goes on paper."""
        if len(data.rows) <= TALL or not set(PAPER).intersection(self.formats):
            return ()
        made: list[PaperPage] = []
        for number, drawn in enumerate(draw_forest_pages(data), 1):
            page = f"{name}-page-{number}"
            made.append(PaperPage(svg_text(drawn, SHORT), f"{page}.svg", str(drawn.get_label())))
            if "docx" in self.formats:
                self.painted[f"figures/{page}.png"] = figure_bytes(drawn, "png")
        return tuple(made)


def _part(analysis: Analysis, number: int, origin: Origin, studio: _Studio) -> _Part:
    """Draw and compute what stands beside the numbers of one comparison."""
    plan = _plan(origin)
    slug = f"{number:02d}-{anchor(comparison(analysis).title)}"
    asked = None if plan is None else plan.report.figures
    further: list[tuple[ReportFigure, Figure]] = []
    left_out: list[LeftOut] = []
    for found in report_figures(analysis, asked, layout=origin.layout):
        if isinstance(found, LeftOut):
            left_out.append(found)
            continue
        title = f"{found.title}: {found.subject}"
        name = f"{found.key}-{slug}"
        made = studio.picture(found.drawing, name, "", found.alt, title=title, painted=False)
        further.append((found, made))
    forest = _forest(analysis, slug, origin.layout, studio)
    return _Part(forest, tuple(further), tuple(left_out), robustness(analysis, plan), further_subgroups(analysis, plan))


def _flow_keys(origin: Origin) -> tuple[str, ...]:
    """Return what a flow diagram cites, nothing where there is none."""
    plan = _plan(origin)
    return () if plan is None or plan.prisma is None else FLOW_KEYS


def _flow(origin: Origin, table: TableAnalysis, studio: _Studio, keys: Sequence[str]) -> tuple[Block, ...]:
    """Return the flow diagram of the plan's counts, nothing where it has none."""
    plan = _plan(origin)
    if plan is None or plan.prisma is None:
        return ()
    data = prisma_data(plan.prisma.counts)
    caption = f"PRISMA 2020 flow diagram{cite_mark(keys, *FLOW_KEYS)}."
    drawn = studio.picture(draw_prisma(data), "flow", caption, data.alt, title="Flow diagram")
    names = {label for each in table.analyses for label in each.fitted.effects.labels}
    names |= {label for effects in table.unpooled for label in effects.labels}
    return flow_blocks(drawn, plan.prisma, len(names))


def _plan(origin: Origin) -> Plan | None:
    """Return the plan of a report, None where there is none."""
    return None if origin.planned is None else origin.planned.plan


def _facts(origin: Origin) -> Mapping[str, Instrument]:
    """Return what is known of instruments."""
    return {} if origin.request is None else origin.request.choices.instruments


def _beside(analysis: Analysis, origin: Origin, part: _Part, keys: Sequence[str]) -> Beside:
    """Return what stands beside the numbers of one comparison: what the result means, hangs on and looks like.

    keys: of the references, in the order of their numbers.
    """
    grade, facts = grade_of(_plan(origin), analysis), _facts(origin)
    name = anchor(comparison(analysis).title)
    style = forest_layout(origin.layout).numbers
    mid, _ = chosen_mid(analysis, grade, facts, reference_sd(analysis.fitted.effects, facts))
    captioned = [(drawn.title, replace(made, caption=_caption(drawn, keys))) for drawn, made in part.further]
    blocks = (
        *subgroup_blocks(analysis, origin.planned),
        *further_blocks(analysis, part.groups, anchor=name, style=style),
        *clinical_blocks(analysis, grade=grade, instruments=facts, anchor=name),
        *robustness_blocks(analysis, part.robust, anchor=name, style=style),
        *figure_blocks(captioned, [found.why for found in part.left_out], anchor=name),
    )
    return Beside(blocks, certainty_words(grade), beyond=settings_beyond(analysis, mid), style=style)


def _caption(drawn: ReportFigure, keys: Sequence[str]) -> str:
    """Write title with its references, comparison, and what to read in a figure."""
    parts = (f"{drawn.title}{cite_mark(keys, *drawn.cites)}", drawn.subject, drawn.read)
    return " ".join(f"{part.removesuffix('.')}." for part in parts if part)


def _map(origin: Origin, pooled: Sequence[Analysis], parts: Sequence[_Part]) -> tuple[Block, ...]:
    """Return which items of the reporting guideline this report speaks to."""
    plan = _plan(origin)
    shown = {drawn.key for part in parts for drawn, _ in part.further}
    found = report_parts(
        plan,
        pooled,
        checks=origin.checked is not None,
        sensitivity=bool(parts),
        judgements="risk-of-bias" in shown,
        bias="funnel" in shown,
        flow=plan is not None and plan.prisma is not None,
    )
    return prisma_blocks(found, sport=True) if pooled else ()


def _other_keys(origin: Origin, pooled: Sequence[Analysis]) -> tuple[str, ...]:
    """Return the references that the parts besides the methods rest on."""
    plan = _plan(origin)
    clinical = (key for analysis in pooled for key in clinical_keys(analysis, grade=grade_of(plan, analysis)))
    return tuple(dict.fromkeys((*clinical, *certainty_keys(plan), *prisma_keys(sport=True))))


def _lead(origin: Origin, audit: Audit | None, record: Mapping[str, object]) -> tuple[Block, ...]:
    """Return what stands before the first section: open errors, the plan, and how the table was read."""
    accepted = origin.checked is not None and origin.checked.accepted
    return (*lead_blocks(audit, accepted=accepted), *_plan_blocks(origin), *reading_blocks(record))


def _records(
    table: TableAnalysis,
    origin: Origin,
    record: Mapping[str, object],
    parts: Sequence[_Part],
) -> dict[str, bytes | str]:
    """Return the files of a report that hold data: results, tables, references and the resolved plan."""
    pooled = tuple(analysis for analysis in table.analyses if analysis.overall.k > 1)
    single = tuple(analysis for analysis in table.analyses if analysis.overall.k == 1)
    audit = None if origin.checked is None else origin.checked.audit
    planned = origin.planned
    files: dict[str, bytes | str] = {} if audit is None else {"tables/checks.csv": findings_csv(audit)}
    results = results_record(pooled, title=_title(origin), provenance=record)
    results["listed"] = listed_record(single, table.unpooled)
    results["checks"] = None if audit is None else audit_record(audit)
    made = list(zip(pooled, parts, strict=True))
    results["standard_sensitivity"] = [standard_record(analysis, part.robust) for analysis, part in made]
    results["figures"] = [_figures_of(analysis, part) for analysis, part in made]
    if planned is not None and planned.plan is not None:
        results["further_subgroups"] = [further_record(analysis, part.groups) for analysis, part in made if part.groups]
        results["sensitivity"] = [sensitivity_record(analysis, part.robust.planned) for analysis, part in made]
        results["flow"] = None if planned.plan.prisma is None else planned.plan.prisma.counts
        files["plan.resolved.toml"] = resolved_toml(planned.plan, origin.spec)
    return files | {
        "results.json": json_text(results),
        "tables/pooled.csv": pooled_csv(pooled),
        "tables/studies.csv": studies_csv((*pooled, *single)),
        "tables/routes.csv": routes_csv((*pooled, *single)),
        "references.bib": selected_bibtex(
            (
                *document_keys(pooled),
                *(key for part in parts for key in part.cites),
                *audit_keys(audit),
                *_other_keys(origin, pooled),
            )
        ),
    }


def _title(origin: Origin) -> str:
    """Return the title of the plan, else one that names the table."""
    plan = None if origin.planned is None else origin.planned.plan
    named = None if plan is None else plan.report.title or plan.question.title
    return named or f"Meta-analysis of {origin.source.name}"


def _plan_blocks(origin: Origin) -> tuple[Block, ...]:
    """Return the question and how the analysis stands to its plan; nothing where the plan holds decisions alone."""
    planned = origin.planned
    if planned is None or planned.plan is None or not planned.plan.model_fields_set - {"checks", "data"}:
        return ()
    return plan_blocks(planned.plan, "" if origin.plan is None else origin.plan.sha256, planned.overridden)


def _forest(analysis: Analysis, slug: str, layout: str, studio: _Studio) -> Figure:
    """Draw one forest plot, add its files and return the figure of the page."""
    data = forest_data(analysis, ForestChoices(layout=layout))
    title, name = comparison(analysis).title, f"forest-{slug}"
    made = studio.picture(draw_forest(data), name, f"Forest plot. {title}.", data.alt, title=title)
    return replace(made, pages=studio.pages(data, name))


def _figures_of(analysis: Analysis, part: _Part) -> dict[str, object]:
    """Return which figures one comparison has in the report, and why it lacks others, as plain JSON values."""
    drawn = [("forest", part.forest.name), *((found.key, made.name) for found, made in part.further)]
    return figures_record(comparison(analysis).title, drawn, [(found.key, found.why) for found in part.left_out])


def _script(origin: Origin) -> dict[str, bytes | str]:
    """Return the script that makes the numbers again, nothing where the table is no file or was pooled in part."""
    request, source = origin.request, origin.source
    if request is None or not source.sha256:
        return {}
    words: dict[str, Any] = {name: getattr(request, name) for name in ("outcome", "compare", "by", "measure")}
    words |= chosen(origin.spec) | dict(request.choices.words())
    words["instruments"] = {name: asdict(facts) for name, facts in request.choices.instruments.items()}
    words["accept"] = decision_words(() if origin.checked is None else origin.checked.audit.decisions)
    named = (word for word in map(portable, origin.command or ()) if file_name(word) == source.name)
    roles = dict(origin.roles)
    return {SCRIPT: reproduce_script(Call(next(named, source.name), source.sha256, words, roles))}


def _provenance(origin: Origin, *, recipe: bool) -> dict[str, object]:
    """Describe input, plan, options and versions."""
    source, spec = origin.source, origin.spec
    described = InputFile(source.name, source.sha256, source.rows, source.roles, source.notes)
    idle = set[str]() if estimates_tau2(spec) else {"tau2", "pi", "subgroup_tau2"}
    options = spec.model_dump(mode="json", exclude=idle)
    found = provenance(described, plan=origin.plan, command=origin.command, options=options)
    return {**found, **(origin.made.told if recipe and origin.made is not None else {})}
