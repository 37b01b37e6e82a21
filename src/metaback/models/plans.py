"""The plan of an analysis: what is asked, of which table, how it is pooled and what was decided. Frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from metaback.errors import OptionError, suggestion
from metaback.models.multilevel_spec import resolve_multilevel
from metaback.models.specs import (
    Correlation,
    Draws,
    GivenTau2,
    I2Definition,
    Level,
    MeanInterval,
    Model,
    PredictionInterval,
    Preset,
    Seed,
    SubgroupTau2,
    Tau2,
    Tau2Interval,
)
from metaback.vocabulary import Criterion, DegreesOfFreedom, Format, Layout, Robust, SamplingSource, TestLaw

_COUNT = {"type": "integer", "minimum": 0}
_PARTS = {"anyOf": [_COUNT, {"type": "object", "minProperties": 1, "additionalProperties": _COUNT}]}


def _count(value: object) -> int:
    """Return a count, or say what one is."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PydanticCustomError("count", "give a whole number of at least 0")
    return value


def _parts(value: object) -> int | dict[str, int]:
    """Return a count, or the counts of parts by their names."""
    if isinstance(value, dict) and value:
        return {str(name): _part(str(name), part) for name, part in cast("dict[object, object]", value).items()}
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PydanticCustomError("count", 'give a whole number of at least 0, or parts such as { "MEDLINE" = 310 }')
    return value


def _part(name: str, value: object) -> int:
    """Return the count of one part."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PydanticCustomError("count", "the part {name} is no whole number of at least 0", {"name": repr(name)})
    return value


def _formulas(value: object) -> tuple[str, ...]:
    """Return one text or a list of them as a tuple."""
    listed = list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else [value]
    if not listed or not all(isinstance(part, str) and part.strip() for part in listed):
        raise PydanticCustomError("formulas", 'give a text such as "~ 1 | study/effect", or a list of them')
    return tuple(str(part) for part in listed)


Text = Annotated[str, Field(min_length=1)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Action = Literal["accept", "correct", "exclude"]
Certainty = Literal["high", "moderate", "low", "very low"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, PlainValidator(_count), WithJsonSchema(_COUNT)]
Parts = Annotated[int | dict[str, int], PlainValidator(_parts), WithJsonSchema(_PARTS)]
Formulas = Annotated[
    tuple[str, ...],
    BeforeValidator(_formulas),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Drawn = Literal[
    "funnel", "leave-one-out", "cumulative", "baujat", "influence", "risk-of-bias", "radial", "labbe", "drapery",
    "orchard", "profile", "gosh",
]  # fmt: skip
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


# Fields of [model] and [[sensitivity]] that say how pools are made, and those of one model of dependent effects.
OF_POOLS = ("model", "tau2", "weights", "tau2_ci", "ci", "pi", "i2", "subgroup_tau2", "independent", "rng", "draws")
OF_LEVELS = ("struct", "formula", "covariance", "method", "test", "df", "robust", "cluster", "fixed")
AS_MODERATOR = "in one model a column is a moderator: model.formula = '~ {}'"


class _Section(BaseModel):
    """A section: frozen, and an unknown word in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Section):
    """What is asked, in the words of the protocol; registration: e.g. "PROSPERO CRD42020123456"."""

    title: Text | None = None
    population: Text | None = None
    intervention: Text | None = None
    comparator: Text | None = None
    outcome: Text | None = None
    registration: Text | None = None


class Data(_Section):
    """The table: file, relative to the plan; sha256 of its bytes, where it is fixed; columns: role -> column."""

    file: Text | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    columns: dict[str, Text] = Field(default_factory=dict)


class Analysis(_Section):
    """Which comparisons are made: one outcome and pair (or all), and the column of subgroups."""

    outcome: Text | None = None
    compare: tuple[Text, Text] | None = None
    by: Text | None = None


class InstrumentFacts(_Section):
    """What is known of one instrument, in the units of its scores."""

    higher_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    mid: float | None = None


class Effect(_Section):
    """How effects are computed; as in `effect_sizes`."""

    measure: Text | None = None
    options: dict[str, Text] = Field(default_factory=dict)
    r: Correlation | None = None
    r_grid: tuple[Correlation, ...] = ()
    mixed_scores: Text | None = None
    higher_is_better: bool | None = None
    instruments: dict[str, InstrumentFacts] = Field(default_factory=dict)


class Pooling(_Section):
    """How effects are pooled; as in `PoolSpec`, None as the preset has it.

    random: formulas of random effects, or the name of a working model: one model of dependent effects in the place of
    pools, as in `multilevel`; the fields after it belong to that, as does rho. covariance: "table" for sampling
    covariances as the table tells them.
    """

    preset: Preset = "cochrane"
    model: Model | None = None
    tau2: Tau2 | GivenTau2 | None = None
    weights: Text | None = None
    tau2_ci: Tau2Interval | None = None
    ci: MeanInterval | None = None
    pi: PredictionInterval | None = None
    i2: I2Definition | None = None
    subgroup_tau2: SubgroupTau2 | None = None
    independent: bool | None = None
    rho: Correlation | None = None
    level: Level | None = None
    rng: Seed | None = None
    draws: Draws | None = None
    random: Formulas | None = None
    struct: Formulas | None = None
    formula: Text | None = None
    covariance: SamplingSource | None = None
    method: Criterion | None = None
    test: TestLaw | None = None
    df: DegreesOfFreedom | None = None
    robust: Robust | None = None
    cluster: Text | None = None
    fixed: dict[str, float] | None = None


class Subgroup(_Section):
    """A column of subgroups: whether it was named beforehand, and why it matters."""

    column: Text
    prespecified: bool = True
    why: Text | None = None


class Sensitivity(_Section):
    """A sensitivity analysis: what differs from the main analysis, whether it was named beforehand, and why.

    exclude: "outliers", or a query over the columns that names the rows to leave OUT, e.g. "rob == 'high'". The fields
    after it, as in `Pooling`, are for models of dependent effects, which have no "outliers".
    """

    name: Text
    prespecified: bool = True
    why: Text | None = None
    model: Model | None = None
    tau2: Tau2 | GivenTau2 | None = None
    ci: MeanInterval | None = None
    pi: PredictionInterval | None = None
    exclude: Text | None = None
    random: Formulas | None = None
    struct: Formulas | None = None
    formula: Text | None = None
    covariance: SamplingSource | None = None
    method: Criterion | None = None
    robust: Robust | None = None
    rho: Correlation | None = None


class PlannedDecision(_Section):
    """A decision about a finding of the check; see `Decision`."""

    finding: Text
    action: Action
    reason: Text
    by: Text
    values: dict[str, float | dict[str, float]] = Field(default_factory=dict)
    rows: tuple[Text, ...] = ()


class PlannedChecks(_Section):
    """What was decided about the findings of the check."""

    decision: tuple[PlannedDecision, ...] = ()


class Deviation(_Section):
    """Something that was done in another way than the registered plan said."""

    date: Date
    what: Text
    why: Text


class GradeReasons(_Section):
    """Why people rated the certainty down or up, per domain, in their words."""

    risk_of_bias: Text | None = None
    inconsistency: Text | None = None
    indirectness: Text | None = None
    imprecision: Text | None = None
    publication_bias: Text | None = None
    other: Text | None = None


class Grade(_Section):
    """How certain people rate the evidence on one comparison, and what its clinical reading rests on.

    outcome, compare: which comparisons it is about, None for every one; certainty: None where nobody has rated yet.
    baseline_risk: of the event without the intervention, as a share; baseline_source: where it comes from.
    mid: smallest difference that matters, in the units of the measure (a ratio such as 0.75 for ratios); mid_source:
    where it comes from.
    """

    outcome: Text | None = None
    compare: tuple[Text, Text] | None = None
    certainty: Certainty | None = None
    reasons: GradeReasons = GradeReasons()
    baseline_risk: Share | None = None
    baseline_source: Text | None = None
    mid: Positive | None = None
    mid_source: Text | None = None


class ReportWords(_Section):
    """How the report is written: title; layout of the forest plots; formats beside page and Markdown.

    figures: those beside the forest plots, in their order; None for the usual ones where they can be read, () for none.
    """

    title: Text | None = None
    layout: Layout | None = None
    formats: tuple[Format, ...] = ()
    figures: tuple[Drawn, ...] | None = None


class Flow(_Section):
    """Counts of the PRISMA 2020 flow diagram: numbers, or parts by their names where `Parts` says so.

    Whether the boxes add up is checked before anything is pooled.
    """

    databases: Parts | None = None
    registers: Parts | None = None
    duplicates: Count | None = None
    automation: Count | None = None
    removed: Count | None = None
    screened: Count | None = None
    excluded: Parts | None = None
    sought: Count | None = None
    not_retrieved: Count | None = None
    assessed: Count | None = None
    reports_excluded: Parts | None = None
    other_sources: Parts | None = None
    other_sought: Count | None = None
    other_not_retrieved: Count | None = None
    other_assessed: Count | None = None
    other_excluded: Parts | None = None
    studies: Count | None = None
    reports: Count | None = None
    previous_studies: Count | None = None
    previous_reports: Count | None = None
    total_studies: Count | None = None
    total_reports: Count | None = None

    @property
    def counts(self) -> dict[str, Any]:
        """Return the counts that were given."""
        return self.model_dump(exclude_none=True)


class Run(_Section):
    """date: of the analysis, as it is to stand in the report."""

    date: Date | None = None


class Plan(_Section):
    """A whole plan; every section may be left out."""

    question: Question = Question()
    data: Data = Data()
    analysis: Analysis = Analysis()
    effect: Effect = Effect()
    model: Pooling = Pooling()
    subgroup: tuple[Subgroup, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    checks: PlannedChecks = PlannedChecks()
    grade: tuple[Grade, ...] = ()
    prisma: Flow | None = None
    report: ReportWords = ReportWords()
    run: Run = Run()
    deviation: tuple[Deviation, ...] = ()


def make_plan(content: Mapping[str, Any], name: str = "the plan") -> Plan:
    """Check the content of a plan file and return the plan.

    Raises `OptionError` with every problem at once: where it stands, what stands there, what is allowed and the likely
    intent.

    >>> make_plan({"model": {"tau2": "PM"}, "effect": {"measure": "SMD"}}).model.tau2
    'PM'
    """
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        told = [problem for problem in problems if _meant(problem, problems)]
        found = dict.fromkeys(_words(problem) for problem in told)
        raise OptionError("\n".join([f"{name}: {len(found)} problem{'s' if len(found) > 1 else ''}", *found])) from None
    wrong = [*_twice(plan), *_contradictions(plan)]
    if wrong:
        raise OptionError("\n".join([f"{name}: {len(wrong)} problem{'s' if len(wrong) > 1 else ''}", *wrong]))
    return plan


def _twice(plan: Plan) -> list[str]:
    """Name what stands twice and may stand once."""
    lists = {
        "subgroup.column": [part.column for part in plan.subgroup],
        "sensitivity.name": [part.name for part in plan.sensitivity],
        "checks.decision.finding": [part.finding for part in plan.checks.decision],
        "grade": [" ".join((part.outcome or "every outcome", *(part.compare or ()))) for part in plan.grade],
    }
    return [
        f"  - {where} = {name!r} stands there twice"
        for where, names in lists.items()
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def _contradictions(plan: Plan) -> list[str]:
    """Name what belongs to pools beside a model of dependent effects, and what needs such a model and has none."""
    parts: list[tuple[str, _Section]] = [("model", plan.model)]
    parts += [(f"sensitivity[{place}]", part) for place, part in enumerate(plan.sensitivity, 1)]
    levels = plan.model.random is not None
    wrong = OF_POOLS if levels else OF_LEVELS
    said = [
        f"  - {where}.{name} = {value!r} belongs to "
        + ("pools, and model.random asks for one model" if levels else "models of dependent effects: say model.random")
        for where, part in parts
        for name in wrong
        if (value := getattr(part, name, None)) not in (None, {})
    ]
    if not levels:
        return said + [
            f"  - {where}.{name} = {value!r} belongs to models of dependent effects: say model.random"
            for where, part in parts[1:]
            for name in ("random", "rho")
            if (value := getattr(part, name)) is not None
        ]
    if plan.analysis.by is not None:
        said.append(f"  - analysis.by = {plan.analysis.by!r} belongs to pools; {AS_MODERATOR.format(plan.analysis.by)}")
    said += [
        f"  - subgroup.column = {part.column!r} belongs to pools; {AS_MODERATOR.format(part.column)}"
        for part in plan.subgroup
    ]
    return said + _unreadable(plan)


def _unreadable(plan: Plan) -> list[str]:
    """Name what a model of dependent effects cannot be asked for, in its own words."""
    model = plan.model
    said: list[str] = []
    if model.covariance is not None and model.rho is None and model.random in (("CORR",), ("HIER",)):
        said.append(f"  - model.covariance: the weights of {model.random[0]} know variances only; leave it out")
    try:
        resolve_multilevel(**level_words(model))
    except OptionError as error:
        said += [f"  - model: {error}"]
    return said


def level_words(part: Pooling | Sensitivity) -> dict[str, Any]:
    """Return what a section says of a model of dependent effects, as keywords of `multilevel`; covariance apart."""
    names = [name for name in (*OF_LEVELS, "random", "rho", "level") if name != "covariance"]
    return {name: value for name in names if (value := getattr(part, name, None)) not in (None, {})}


def _words(problem: ErrorDetails) -> str:
    """Word one problem that pydantic found."""
    steps = _steps(problem)
    where = _place(problem)
    value = problem["input"]
    if problem["type"] == "extra_forbidden":
        known = _known(steps[:-1])
        hint = suggestion(str(steps[-1]), known)
        return f"  - {where} is not known{hint}; use one of: {', '.join(known)}"
    if problem["type"] == "literal_error":
        allowed = [str(word) for word in _allowed(steps)]
        return (
            f"  - {where} = {value!r} is not known{suggestion(str(value), allowed)}; use one of: {', '.join(allowed)}"
        )
    return f"  - {where}{_shape(problem, steps, where)}"


def _shape(problem: ErrorDetails, steps: list[int | str], where: str) -> str:
    """Word what is wrong with a value that is no word of a vocabulary."""
    value, message = problem["input"], problem["msg"]
    wrong = {"date": "a date such as 2026-03-01", "sha256": "64 hexadecimal digits"}
    several = problem["type"] == "tuple_type" and _section(_field(steps)) is not None
    said = {
        "missing": " is missing",
        "string_too_short": " is blank",
        "model_type": f" = {value!r}: write it as a section, [{where}]",
        "string_pattern_mismatch": f" = {value!r} is not {wrong.get(str(steps[-1]), 'in its form')}",
        "tuple_type": f" = {value!r}: write each one under a line [[{where}]]" if several else None,
    }
    return said.get(problem["type"]) or f" = {value!r}: {message[0].lower()}{message[1:]}"


def _meant(problem: ErrorDetails, problems: list[ErrorDetails]) -> bool:
    """Tell whether a problem is about what was meant: a field that takes a word or a number fails in both ways."""
    literal = problem["type"] == "literal_error"
    rivals = [
        part for part in problems if _place(part) == _place(problem) and (part["type"] == "literal_error") != literal
    ]
    return not rivals or literal == isinstance(problem["input"], str)


def _steps(problem: ErrorDetails) -> list[int | str]:
    """Return where a problem stands, without the kinds of values that were tried there."""
    tried = ("literal[", "float", "constrained")
    return [step for step in problem["loc"] if not (isinstance(step, str) and step.startswith(tried))]


def _place(problem: ErrorDetails) -> str:
    """Write where a problem stands: `checks.decision[1].action`."""
    return "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in _steps(problem)).lstrip(".")


def _known(steps: list[int | str]) -> list[str]:
    """Return the words that a section knows."""
    section: Any = Plan
    for step in steps:
        if isinstance(step, str) and step in section.model_fields:
            section = _section(section.model_fields[step].annotation)
    return [str(name) for name in section.model_fields]


def _field(steps: list[int | str]) -> Any:
    """Return what a field may hold; for a place in a list, what the list may hold."""
    section: Any = Plan
    while isinstance(steps[-1], int):
        steps = steps[:-1]
    for step in steps[:-1]:
        if isinstance(step, str) and step in section.model_fields:
            section = _section(section.model_fields[step].annotation)
    return section.model_fields[str(steps[-1])].annotation


def _allowed(steps: list[int | str]) -> tuple[Any, ...]:
    """Return the words that a field may hold."""
    return _literals(_field(steps))


def _section(annotation: Any) -> Any:
    """Return the section that a field holds, one or many of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)


def _literals(annotation: Any) -> tuple[Any, ...]:
    """Return the words of all literals within an annotation."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for part in get_args(annotation) for word in _literals(part))


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan, for editors that complete and check TOML."""
    found = Plan.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "metaback-plan", **found}
