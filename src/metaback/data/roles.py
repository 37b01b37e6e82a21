"""The vocabulary of trial tables: which column plays which role, under the spellings that programs and people use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from metaback.errors import Problem, suggestion

Kind = Literal["label", "text", "number", "boolean"]
Rule = Literal["any", "positive", "not negative", "count", "sample size"]


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


_ALL = [
    Role("study", "label", spellings=("study_id", "studlab", "slab", "author", "trial", "study_name", "label")),
    Role("year", "number", spellings=("study_year", "pubyear", "publication_year")),
    Role("review", "text"),
    Role("outcome", "text", spellings=("analysis_name", "endpoint")),
    Role("instrument", "text", spellings=("scale_name", "questionnaire")),
    Role("higher_is_better", "boolean"),
    Role("weeks", "number", spellings=("follow_up_weeks",)),
    Role("stratum", "text", spellings=("subgroup", "subgroup_name")),
    *_arms("treatment", "text", "any", "treat1 t1 intervention", "treat2 t2 comparator"),
    *_arms("arm", "text", "any", "", ""),
    *_arms("n", "number", "sample size", "n1i n1 n_e experimental_n", "n2i n2 n_c control_n"),
    *_arms("mean", "number", "any", "m1i mean1 mean_e m1 experimental_mean", "m2i mean2 mean_c m2 control_mean"),
    *_arms("sd", "number", "not negative", "sd1i sd1 sd_e experimental_sd", "sd2i sd2 sd_c control_sd"),
    *_arms("events", "number", "count", "ai event_e events_e experimental_cases", "ci event_c events_c control_cases"),
    *_arms("nonevents", "number", "count", "bi", "di"),
    *_arms("time", "number", "positive", "t1i time_e", "t2i time_c"),
    Role("pairs_11", "number", "count"),
    Role("pairs_12", "number", "count"),
    Role("pairs_21", "number", "count"),
    Role("pairs_22", "number", "count"),
    Role("n", "number", "sample size", ("ni", "n_total", "total_n")),
    Role("events", "number", "count", ("xi",)),
    Role("nonevents", "number", "count"),
    Role("time", "number", "positive", ("person_time",)),
    Role("mean", "number"),
    Role("sd", "number", "not negative", ("sdi",)),
    Role("r", "number", spellings=("ri", "correlation")),
    Role("r2", "number", "not negative", ("r2i",)),
    Role("predictors", "number", "count"),
    Role("alpha", "number", spellings=("cronbach_alpha",)),
    Role("items", "number", "sample size"),
    Role("t", "number", spellings=("t_statistic", "t_value")),
    Role("p", "number", "not negative", ("p_value",)),
    Role("d", "number", spellings=("cohen_d", "cohens_d")),
    Role("auc", "number", "not negative", ("cles",)),
    *_arms("r", "number", "any", "r_pre_post_1", "r_pre_post_2"),
    *_arms("mean_pre", "number", "any", "", ""),
    *_arms("sd_pre", "number", "not negative", "", ""),
    *_arms("mean_post", "number", "any", "", ""),
    *_arms("sd_post", "number", "not negative", "", ""),
    *_arms("mean_change", "number", "any", "", ""),
    *_arms("sd_change", "number", "not negative", "", ""),
    Role("measure", "text"),
    Role("effect", "number", spellings=("estimate", "es", "giv_mean")),
    Role("se", "number", "positive", ("std_err", "standard_error", "giv_se")),
    Role("ci_low", "number", spellings=("ci_lb", "ci_lower", "lower", "ci_start")),
    Role("ci_high", "number", spellings=("ci_ub", "ci_upper", "upper", "ci_end")),
    Role("yi", "number", spellings=("te",)),
    Role("vi", "number", "positive"),
    Role("sei", "number", "positive", ("sete",)),
]
ROLES: Mapping[str, Role] = {role.name: role for role in _ALL}
_BY_SPELLING = {spelling: role.name for role in _ALL for spelling in (role.name, *role.spellings)}


def normal_name(column: object) -> str:
    """Write a column's name as the vocabulary does: lower case, one underscore for whatever separates words."""
    return re.sub(r"[^0-9a-z]+", "_", str(column).strip().lower()).strip("_")


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
    for name in names:
        role = _BY_SPELLING.get(normal_name(name))
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
