"""Which items of PRISMA 2020 a report answers, where, and which only the authors can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaback.models.plans import Plan
from metaback.postestimation.summary import Analysis
from metaback.report.document import Block, Heading, Paragraph, Table

OUTSIDE = "not covered by this tool"
ABSENT_HERE = "not in this report"


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What a report has, besides what every report has (studies, pooled results, heterogeneity, methods, provenance).

    plan: a plan file; question: its question; registration: an identifier; deviations: listed or stated to be none;
    checks: the check of the table; subgroups, sensitivity, regression: such analyses; judgements: risk of bias per
    study; bias: an assessment of missing results; certainty: ratings of people; flow: a flow diagram from counts.
    """

    plan: bool = False
    question: bool = False
    registration: bool = False
    deviations: bool = False
    checks: bool = False
    subgroups: bool = False
    sensitivity: bool = False
    regression: bool = False
    judgements: bool = False
    bias: bool = False
    certainty: bool = False
    flow: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the checklist.

    number: as PRISMA numbers it; section, topic: own short wording; place: where a report answers it, "" where none
    can; needs: fields of `ReportParts`, one of which must be there ("" for always); without: what is missing otherwise;
    authors: what remains for the authors, "" where nothing does.
    """

    number: str
    section: str
    topic: str
    place: str = ""
    needs: tuple[str, ...] = ()
    without: str = ""
    authors: str = ""


ITEMS: tuple[Item, ...] = (
    Item("1", "Title", "Kind of report named in the title", authors="the title of the review"),
    Item("2", "Abstract", "Abstract by the list for abstracts", authors="the abstract"),
    Item("3", "Introduction", "Why the review is needed", authors="the background"),
    Item("4", "Introduction", "Questions or aims", "Question", ("question",), "the plan has no [question]",
         "the wording of the aims"),
    Item("5", "Methods", "Who and what was eligible; how studies were grouped", "Question; Overview", ("question",),
         "the plan has no [question]", "the full criteria of eligibility"),
    Item("6", "Methods", "Sources searched, with dates", authors="the search"),
    Item("7", "Methods", "Full search strategies", authors="the search strings"),
    Item("8", "Methods", "How studies were selected", authors="screening: people, independence, software"),
    Item("9", "Methods", "How data were collected", "Check of the table", ("checks",), "the table was not checked",
         "extraction: people, independence, contact with authors of studies"),
    Item("10a", "Methods", "Outcomes sought, and which results of each were chosen", "Overview; Studies", (), "",
         "the rule by which results were chosen"),
    Item("10b", "Methods", "Other variables sought, and what was assumed where data were missing",
         "Methods; numbers that were derived", (), "", "variables that are not in the table"),
    Item("11", "Methods", "How risk of bias was judged", "Further figures: risk of bias", ("judgements",),
         "the table has no judgements of risk of bias", "tool, people and process"),
    Item("12", "Methods", "Effect measure of each outcome", "Methods"),
    Item("13a", "Methods", "Which studies entered each synthesis", "Studies, with the reason of each row left out"),
    Item("13b", "Methods", "Preparation of data: conversions, missing statistics",
         "Methods; numbers that were derived; notes"),
    Item("13c", "Methods", "Tables and figures used", "Studies; forest plot"),
    Item("13d", "Methods", "Model, estimators, intervals, heterogeneity, software", "Methods; Provenance"),
    Item("13e", "Methods", "Exploration of heterogeneity", "Methods; Pooled results by subgroup or regression",
         ("subgroups", "regression"), "no subgroups and no regression"),
    Item("13f", "Methods", "Sensitivity analyses", "Sensitivity analyses", ("sensitivity",),
         "the plan names no [[sensitivity]]"),
    Item("14", "Methods", "How bias from missing results was assessed", "Further figures: funnel plot", ("bias",),
         "no funnel plot is shown", "tests of asymmetry, and what selective reporting may hide"),
    Item("15", "Methods", "How certainty was assessed", "Certainty of the evidence", ("certainty",),
         "the plan has no [[grade]] with a rating", "people and process of the rating"),
    Item("16a", "Results", "Flow of records to included studies", "Flow of studies", ("flow",),
         "no counts of records were given"),
    Item("16b", "Results", "Studies that seemed eligible but were excluded, and why",
         authors="reports excluded in screening (rows that were not pooled stand under Studies)"),
    Item("17", "Results", "Characteristics of each study", "Studies: sizes, groups, numbers as reported", (), "",
         "characteristics that are not in the table, and citations of the studies"),
    Item("18", "Results", "Risk of bias of each study", "Further figures: risk of bias", ("judgements",),
         "the table has no judgements of risk of bias"),
    Item("19", "Results", "Numbers and effect of each study", "Studies; forest plot"),
    Item("20a", "Results", "Characteristics and risk of bias behind each synthesis", "Further figures: risk of bias",
         ("judgements",), "the table has no judgements of risk of bias", "a summary in words"),
    Item("20b", "Results", "Result of each synthesis, precision, heterogeneity, direction",
         "Answer; Pooled results; Heterogeneity"),
    Item("20c", "Results", "Causes of heterogeneity", "Pooled results by subgroup or regression",
         ("subgroups", "regression"), "no subgroups and no regression"),
    Item("20d", "Results", "Results of sensitivity analyses", "Sensitivity analyses", ("sensitivity",),
         "the plan names no [[sensitivity]]"),
    Item("21", "Results", "Risk of bias from missing results", "Further figures: funnel plot", ("bias",),
         "no funnel plot is shown", "tests of asymmetry, and what selective reporting may hide"),
    Item("22", "Results", "Certainty of each outcome", "Certainty of the evidence", ("certainty",),
         "the plan has no [[grade]] with a rating"),
    Item("23a", "Discussion", "Interpretation beside other evidence", authors="the discussion"),
    Item("23b", "Discussion", "Limits of the evidence", authors="the discussion (notes and findings are its material)"),
    Item("23c", "Discussion", "Limits of the review process", authors="the discussion"),
    Item("23d", "Discussion", "What follows for practice, policy and research", authors="the discussion"),
    Item("24a", "Other", "Registration", "Question", ("registration",), "the plan has no registration"),
    Item("24b", "Other", "Where the protocol is, or that there is none", authors="the protocol"),
    Item("24c", "Other", "Changes to registration or protocol", "Deviations from the plan", ("deviations",),
         "the analysis has no plan", "changes outside the analysis"),
    Item("25", "Other", "Funding and support", authors="the statement"),
    Item("26", "Other", "Competing interests", authors="the statement"),
    Item("27", "Other", "Data, code and other material", "Provenance; files of the report", (), "",
         "where they are published, and forms of extraction"),
)  # fmt: skip

# What the guidance for exercise, rehabilitation and sport asks for beside the items; in own words.
SPORT: tuple[Item, ...] = (
    Item("5", "Sport", "Exercise: who trained, dose, setting and adherence as criteria", authors="the criteria"),
    Item("10b", "Sport", "Exercise dose, supervision, adherence and adverse events as variables",
         authors="variables that are not in the table"),
    Item("12", "Sport", "Meaning of an effect in units that people know", "Clinical reading"),
    Item("20b", "Sport", "Which direction favours whom, for each instrument", "Answer; forest plot"),
)  # fmt: skip


def report_parts(plan: Plan | None, analyses: Sequence[Analysis], **known: bool) -> ReportParts:
    """Return what a report has as far as its plan and analyses tell; known: fields that only the caller knows.

    Raises `TypeError` for a field that `ReportParts` does not have.

    >>> report_parts(None, (), checks=True).checks
    True
    """
    found: dict[str, bool] = {"subgroups": any(analysis.subgroups is not None for analysis in analyses)}
    if plan is not None:
        question = plan.question
        asked = (question.population, question.intervention, question.comparator, question.outcome)
        found |= {
            "plan": True,
            "question": any(asked),
            "registration": question.registration is not None,
            "deviations": True,
            "sensitivity": bool(plan.sensitivity),
            "certainty": any(part.certainty is not None for part in plan.grade),
        }
    return ReportParts(**{**found, **known})


def prisma_blocks(parts: ReportParts, *, sport: bool = False) -> tuple[Block, ...]:
    """Return the map of PRISMA 2020 items as heading, sentence and table.

    sport: adds what the guidance for exercise, rehabilitation and sport (PERSiST) asks for. Source: Page et al. 2021;
    Ardern et al. 2022.
    """
    items = (*ITEMS, *(SPORT if sport else ()))
    rows = tuple((item.number, item.section, item.topic, where(item, parts)) for item in items)
    answered = sum(_answers(item, parts) for item in ITEMS)
    guidance = " Rows of the section Sport follow PERSiST (Ardern et al. 2022)." if sport else ""
    text = (
        f"Items of PRISMA 2020 (Page et al. 2021) in short, and where this report speaks to them: {answered} of "
        f"{len(ITEMS)} items and sub-items in full or in part. The rest is for the authors of the review.{guidance}"
    )
    return (
        Heading(2, "PRISMA 2020 items", "prisma"),
        Paragraph(text),
        Table("PRISMA 2020 items and their places.", ("Item", "Section", "Topic", "Where"), rows, (False,) * 4),
    )


def prisma_keys(*, sport: bool = False) -> tuple[str, ...]:
    """Return the keys of the references of the map."""
    return ("page2021", "ardern2022") if sport else ("page2021",)


def where(item: Item, parts: ReportParts) -> str:
    """Say where a report answers an item, and what remains.

    >>> where(ITEMS[0], ReportParts())
    'not covered by this tool: the title of the review'
    """
    rest = f"{OUTSIDE}: {item.authors}" if item.authors else ""
    if not item.place:
        return rest
    here = item.place if _answers(item, parts) else f"{ABSENT_HERE}: {item.without}"
    return "; ".join(text for text in (here, rest) if text)


def _answers(item: Item, parts: ReportParts) -> bool:
    """Tell whether a report speaks to an item at all."""
    return bool(item.place) and (not item.needs or any(getattr(parts, name) for name in item.needs))
