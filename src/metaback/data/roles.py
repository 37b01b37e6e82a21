"""The vocabulary of trial tables: which column plays which role, under the spellings that programs and people use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from metaback.errors import Problem, suggestion

Kind = Literal["label", "text", "number", "boolean"]
Rule = Literal["any", "positive", "not negative", "count", "sample size", "probability", "percent"]


@dataclass(frozen=True, slots=True)
class Role:
    """One role: its kind of value, the rule each value must keep, and other names that columns have for it."""

    name: str
    kind: Kind
    rule: Rule = "any"
    spellings: tuple[str, ...] = ()


def _arms(stem: str, kind: Kind, rule: Rule, one: str, two: str) -> list[Role]:
    """Make the roles of both arms."""
    return [Role(f"{stem}_1", kind, rule, tuple(one.split())), Role(f"{stem}_2", kind, rule, tuple(two.split()))]


_WITH_INTERVAL = ("effect_95_ci", "estimate_95_ci", "es_95_ci", "effect_ci", "estimate_ci", "effect_size_95_ci")
_INTERVAL = (
    "95_ci",
    "ci_95",
    "95ci",
    "ci95",
    "95_confidence_interval",
    "confidence_interval_95",
)  # both limits, 1 cell
_STUDY = (
    *("study_id", "studyid", "studlab", "slab", "author", "authors", "first_author", "author_year", "study_author"),
    *("trial", "trial_id", "trial_name", "study_name", "label", "meta_studylabel"),
)
_GROUPS = {"1": ("experimental", "exp", "intervention", "treatment", "treated"), "2": ("control", "ctrl", "comparator")}
_CELLS = {
    "n": ("n", "total"),
    "mean": ("mean", "mean_sd", "mean_se", "mean_sem", "mean_95_ci", "mean_ci"),
    "sd": ("sd",),
    "events": ("cases", "events", "events_n", "events_total", "n_n"),
    "se": ("se", "sem"),
    "median": ("median", "median_iqr", "median_interquartile_range", "median_q1_q3", "median_range", "median_min_max"),
    "iqr": ("iqr",),
    "q1": ("q1", "p25", "lower_quartile"),
    "q3": ("q3", "p75", "upper_quartile"),
    "min": ("min", "minimum"),
    "max": ("max", "maximum"),
    "mad": ("mad",),
    "percent": ("percent", "pct"),
    "mean_ci_low": ("ci_low", "ci_lower", "mean_ci_lower"),
    "mean_ci_high": ("ci_high", "ci_upper", "mean_ci_upper"),
    "mean_change": ("mean_change", "change"),
    "sd_change": ("sd_change",),
    "se_change": ("se_change",),
}
_SUFFIXES = {"1": ("e", "exp"), "2": ("c", "ctrl")}  # of the R package meta, and as people shorten the groups


def _by_group(stem: str, arm: str) -> str:
    """Spell a role with the names that groups have: `Experimental Mean`, `mean_control`."""
    pairs = [(group, cell) for group in _GROUPS[arm] for cell in _CELLS[stem]]
    numbered = [f"{cell}_{arm}" for cell in _CELLS[stem][1:]] if stem in {"mean", "median"} else []
    named = [f"{group}_{cell}" for group, cell in pairs] + [f"{cell}_{group}" for group, cell in pairs]
    return " ".join(named + numbered)


def _summaries(stem: str, rule: Rule = "any", *others: str) -> list[Role]:
    """Make the roles of a summary of both arms, under the names that meta and people give to arms.

    others: spellings without the mark of the arm, to which `1i` is added, as in metafor's `sd1i`.
    """
    words = [[f"{stem}_{end}" for end in _SUFFIXES[arm]] + _by_group(stem, arm).split() for arm in "12"]
    marked = [[f"{word}{arm}{i}" for word in (stem, *others) for i in ("", "i")] for arm in "12"]
    one, two = (tuple(dict.fromkeys((*a, *b))) for a, b in zip(words, marked, strict=True))
    return [Role(f"{stem}_1", "number", rule, one), Role(f"{stem}_2", "number", rule, two)]


def _by_name(stem: str, rule: Rule = "any") -> list[Role]:
    """Make the roles of a statistic of the change within each arm."""
    return _arms(stem, "number", rule, f"{stem}_e {stem}_exp", f"{stem}_c {stem}_ctrl")


_ALL = [
    Role("study", "label", spellings=_STUDY),
    Role("year", "number", spellings=("study_year", "pubyear", "publication_year")),
    Role("review", "text"),
    Role("outcome", "text", spellings=("analysis_name", "endpoint")),
    Role("instrument", "text", spellings=("scale_name", "questionnaire")),
    Role("higher_is_better", "boolean"),
    Role("score_type", "text", spellings=("scores", "type_of_scores", "outcome_type", "final_or_change")),
    Role("standardiser", "text", spellings=("standardizer", "standardised_by", "standardized_by")),
    Role("weeks", "number", spellings=("follow_up_weeks",)),
    Role("stratum", "text", spellings=("subgroup", "subgroup_name")),
    *_arms("treatment", "text", "any", "treat1 t1 intervention", "treat2 t2 comparator"),
    *_arms("arm", "text", "any", "arm1", "arm2"),
    *_arms("n", "number", "sample size", f"n1i n1 n_e {_by_group('n', '1')}", f"n2i n2 n_c {_by_group('n', '2')}"),
    *_arms(
        "mean",
        "number",
        "any",
        f"m1i mean1 mean_e m1 mean_sd_1 {_by_group('mean', '1')}",
        f"m2i mean2 mean_c m2 mean_sd_2 {_by_group('mean', '2')}",
    ),
    *_arms(
        "sd",
        "number",
        "not negative",
        f"sd1i sd1 sd_e {_by_group('sd', '1')}",
        f"sd2i sd2 sd_c {_by_group('sd', '2')}",
    ),
    *_arms(
        "events",
        "number",
        "count",
        f"ai event_e events_e x1i n11 {_by_group('events', '1')}",
        f"ci event_c events_c x2i n21 {_by_group('events', '2')}",
    ),
    *_arms("nonevents", "number", "count", "bi n12", "di n22"),
    Role("events_total", "number", "count", ("total_events", "events_both")),
    *_summaries("percent", "percent"),
    *_summaries("se", "not negative"),
    *_summaries("mean_ci_low"),
    *_summaries("mean_ci_high"),
    *_summaries("median", "any", "med"),
    *_summaries("min"),
    *_summaries("q1"),
    *_summaries("q3"),
    *_summaries("max"),
    *_summaries("iqr", "not negative"),
    *_summaries("mad", "not negative"),
    *_arms("time", "number", "positive", "t1i time_e", "t2i time_c"),
    Role("pairs_11", "number", "count"),
    Role("pairs_12", "number", "count"),
    Role("pairs_21", "number", "count"),
    Role("pairs_22", "number", "count"),
    Role("n", "number", "sample size", ("ni", "n_total", "total_n", "meta_studysize")),
    Role("events", "number", "count", ("xi", "event")),
    Role("nonevents", "number", "count"),
    Role("time", "number", "positive", ("person_time",)),
    Role("mean", "number"),
    Role("sd", "number", "not negative", ("sdi",)),
    Role("median", "number"),
    Role("min", "number"),
    Role("q1", "number"),
    Role("q3", "number"),
    Role("max", "number"),
    Role("iqr", "number", "not negative"),
    Role("mad", "number", "not negative"),
    Role("percent", "number", "percent"),
    Role("r", "number", spellings=("ri", "correlation")),
    Role("r2", "number", "not negative", ("r2i",)),
    Role("predictors", "number", "count"),
    Role("alpha", "number", spellings=("cronbach_alpha",)),
    Role("items", "number", "sample size"),
    Role("t", "number", spellings=("t_statistic", "t_value")),
    Role("f_value", "number", "not negative", ("f_statistic", "f_test")),
    Role("chi2", "number", "any", ("chi_square", "chi_squared")),
    Role("sign", "number", "any", ("direction_of_effect",)),
    Role("p", "number", "probability", ("p_value", "pval")),
    Role("p_bound", "text"),
    *(Role(f"p_change{arm}_bound", "text") for arm in ("", "_1", "_2")),
    Role("d", "number", spellings=("cohen_d", "cohens_d")),
    Role("auc", "number", "not negative", ("cles",)),
    *_arms("r", "number", "any", "r_pre_post_1", "r_pre_post_2"),
    *_arms("mean_pre", "number", "any", "", ""),
    *_arms("sd_pre", "number", "not negative", "", ""),
    *_arms("mean_post", "number", "any", "", ""),
    *_arms("sd_post", "number", "not negative", "", ""),
    *_summaries("mean_change"),
    *_summaries("sd_change", "not negative"),
    *_summaries("se_change", "not negative"),
    *_by_name("ci_low_change"),
    *_by_name("ci_high_change"),
    *_by_name("t_change"),
    *_by_name("f_change", "not negative"),
    *_by_name("p_change", "probability"),
    Role("sd_change", "number", "not negative"),
    Role("se_change", "number", "not negative"),
    Role("ci_low_change", "number"),
    Role("ci_high_change", "number"),
    Role("t_change", "number"),
    Role("f_change", "number", "not negative"),
    Role("p_change", "number", "probability"),
    *_arms("mean_adj", "number", "any", "mean_adjusted_1 adjusted_mean_1", "mean_adjusted_2 adjusted_mean_2"),
    Role("sd_residual", "number", "not negative", ("residual_sd", "rmse")),
    Role("r_covariate", "number"),
    Role("scale_low", "number", spellings=("scale_min",)),
    Role("scale_high", "number", spellings=("scale_max",)),
    Role("sd_reference", "number", "positive", ("reference_sd",)),
    Role("mid", "number", "positive", ("mcid", "minimal_important_difference")),
    Role("homozygotes_1", "number", "count"),
    Role("heterozygotes", "number", "count"),
    Role("homozygotes_2", "number", "count"),
    Role("measure", "text"),
    Role("effect", "number", spellings=("estimate", "es", "giv_mean", *_WITH_INTERVAL)),
    Role("se", "number", "positive", ("std_err", "standard_error", "giv_se")),
    Role("ci_low", "number", spellings=("ci_lb", "ci_lower", "lower", "ci_start")),
    Role("ci_high", "number", spellings=("ci_ub", "ci_upper", "upper", "ci_end")),
    Role("ci_limits", "text", spellings=_INTERVAL),
    Role("ci_level", "number", "percent", ("confidence_level",)),
    Role("yi", "number", spellings=("te", "meta_es")),
    Role("vi", "number", "positive"),
    Role("sei", "number", "positive", ("sete", "meta_se")),
]
ROLES: Mapping[str, Role] = {role.name: role for role in _ALL}
_BY_SPELLING = {spelling: role.name for role in _ALL for spelling in (role.name, *role.spellings)}


@dataclass(frozen=True, slots=True)
class _Context:
    """A spelling whose role depends on what else is in the header."""

    spelling: str
    role: str
    needs: frozenset[str]
    without: frozenset[str] = frozenset()


def _context(spelling: str, role: str, needs: str, without: str = "") -> _Context:
    return _Context(spelling, role, frozenset(needs.split()), frozenset(without.split()))


# The first that fits counts. metafor's `mi`, `ti` and `di` mean other things with other measures. In the Cochrane data
# package, `Mean` is the effect as it is printed and `GIV Mean` the one on the analysis scale.
_IN_CONTEXT = (
    _context("mean", "effect", "ci_start ci_end"),
    _context("giv_mean", "yi", "mean ci_start ci_end"),
    _context("giv_se", "sei", "mean ci_start ci_end"),
    _context("level", "ci_level", "ci_low ci_high"),
    _context("level", "ci_level", "ci_lb ci_ub"),
    _context("level", "ci_level", "ci_lower ci_upper"),
    _context("level", "ci_level", "lower upper"),
    _context("level", "ci_level", "ci_low"),
    _context("level", "ci_level", "ci_high"),
    _context("ai", "alpha", "mi ni", "bi ci di n1i n2i xi"),
    _context("mi", "items", "ai ni", "xi sdi ri ti bi ci"),
    _context("mi", "nonevents", "xi"),
    _context("mi", "mean", "sdi"),
    _context("mi", "predictors", "ti ni", "xi sdi"),
    _context("mi", "predictors", "ri ni", "xi sdi"),
    _context("ti", "time", "xi"),
    _context("ti", "t", "ni", "xi"),
    _context("di", "d", "n1i n2i", "ai bi ci"),
    _context("ti", "t", "n1i n2i"),
    _context("pi", "p", "n1i n2i"),
    _context("pi", "p", "ni"),
    _context("fi", "f_value", "n1i n2i"),
    _context("di", "d", "ni", "ai bi ci xi"),
)


@lru_cache(maxsize=4096)  # tables of one review have few headers, and each asks for every table
def _role_of(name: str, names: frozenset[str]) -> str | None:
    """Return the role of a normal name among the other names of its header."""
    for context in _IN_CONTEXT:
        if name == context.spelling and context.needs <= names and not context.without & names:
            return context.role
    return _BY_SPELLING.get(name)


def normal_name(column: object) -> str:
    """Write a column's name as the vocabulary does: lower case, one underscore for whatever separates words."""
    return _normal(str(column))


@lru_cache(maxsize=4096)
def _normal(name: str) -> str:
    """Write a name as the vocabulary does."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def recognise(
    columns: Iterable[object], given: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[Problem]]:
    """Give roles to columns; `given` (role to column) overrides. Return the roles and what is wrong with them.

    A column named as the role itself wins over other spellings; two other spellings of one role are ambiguous.
    """
    names = [str(column) for column in columns]
    given = {role: str(column) for role, column in (given or {}).items()}
    problems = _bad_requests(given, names)
    taken = set(given.values())
    found: dict[str, list[str]] = {}
    header = frozenset(map(normal_name, names))
    for name in names:
        role = _role_of(normal_name(name), header)
        if role and role not in given and name not in taken:
            found.setdefault(role, []).append(name)
    roles = {role: column for role, column in given.items() if role in ROLES and column in names}
    for role, candidates in found.items():
        exact = [name for name in candidates if normal_name(name) == role]
        best = exact or candidates
        if len(best) > 1:
            listed = ", ".join(f"'{name}'" for name in best)
            fix = f"Say which one it is: roles={{'{role}': {best[0]!r}}}, or rename the others"
            problems.append(Problem(f"columns {listed} could all be '{role}'", fix))
        else:
            roles[role] = best[0]
    return {role: roles[role] for role in ROLES if role in roles}, problems


NAMED = ("OR", "RR", "HR", "RD", "IRR", "MD", "SMD", "ROM")  # measures that people head a column of effects with
_HEADS = {f"{key.lower()}{end}": key for key in NAMED for end in ("", "_95_ci", "_ci_95", "_95ci")}
RAW = ("yi", "measure", "mean_1", "median_1", "events_1", "mean_post_1", "mean_change_1", "percent_1")


def named_effect(columns: Iterable[object], known: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the column of printed effects that is headed by its measure, with that measure: `OR (95% CI)`, `HR`.

    None where two columns are, or where the table has effects or raw numbers of its own, which are better. A column
    that was given the role by hand is read by its head too.

    >>> named_effect(["Study", "OR (95% CI)"], {"study": "Study"}), named_effect(["Study", "OR", "RR"], {})
    (('OR (95% CI)', 'OR'), None)
    """
    if any(role in known for role in RAW):
        return None
    heads = ((str(column), _HEADS.get(normal_name(column))) for column in columns)
    found = [(column, key) for column, key in heads if key is not None]
    taken = set(known.values()) if "effect" not in known else set(known.values()) - {known["effect"]}
    free = [(column, key) for column, key in found if column not in taken]
    if "effect" in known:
        free = [(column, key) for column, key in free if column == known["effect"]]
    return free[0] if len(free) == 1 else None


def _bad_requests(given: Mapping[str, str], names: list[str]) -> list[Problem]:
    """Check the roles that the user gave by hand."""
    problems: list[Problem] = []
    for role, column in given.items():
        if role not in ROLES:
            fix = f"Use one of: {', '.join(ROLES)}"
            problems.append(Problem(f"'{role}' is not a role{suggestion(role, ROLES)}", fix))
        if column not in names:
            fix = f"Use one of the columns: {', '.join(names)}"
            problems.append(Problem(f"there is no column '{column}' for role '{role}'{suggestion(column, names)}", fix))
    return problems
