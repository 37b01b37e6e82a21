"""Which rows a specification leaves out: each study, outliers, findings of the check, or rows that a user names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from metaback.data.queries import NO_CONDITION, rows_where
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError, MetabackError, OptionError, suggestion
from metaback.models.pool import fit_pool
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.audit import audit_fit
from metaback.postestimation.influence import influence
from metaback.postestimation.study_influence import StudyInfluence, influence_of
from metaback.postestimation.working import by_working_model
from metaback.stats.wls import Bools

NOTHING = "nothing"  # the name of leaving out no row
EACH_STUDY, EACH_FINDING, OUTLIERS = "each study", "each finding", "outliers"
Exclude = str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Rows that are left out together: how they are called, and (rows,) which they are."""

    name: str
    rows: Bools


def exclusions(effects: EffectSizes, exclude: Exclude, spec: PoolSpec) -> tuple[Exclusion, ...]:
    """Return what can be left out, nothing first.

    exclude: "each study"; "each finding" (the rows of each error and warning of the check of the table); "outliers"
    (the rows, or studies where `spec` models their rows together, whose studentised deleted residual is beyond 1.96);
    another text is a pandas query over the columns of the table that names the rows to leave OUT, e.g.
    `"rob == 'high'"`; a mapping from names to such texts, to one True or False per row, or to labels of studies; or a
    list of all these. None leaves out nothing.

    Raises `OptionError` with everything that is wrong at once.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> es = effect_sizes(load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'"))
    >>> [found.name for found in exclusions(es, {"before 2012": "year < 2012"}, PoolSpec())]
    ['nothing', 'before 2012']
    """
    faults: list[str] = []
    found = [Exclusion(NOTHING, np.zeros(len(effects.labels), dtype=bool))]
    for name, said in _named(exclude, faults):
        try:
            found += _parts(effects, name, said, spec)
        except OptionError as error:
            faults.append(str(error))
    names = [part.name for part in found]
    faults += [f"exclude names {name!r} twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise OptionError("; ".join(faults))
    return tuple(found)


def _named(exclude: Any, faults: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the name of everything that is to be left out, "" where it has none, and what was said of it."""
    if exclude is None:
        return
    if isinstance(exclude, str):
        yield "", exclude
    elif isinstance(exclude, Mapping):
        for name, said in cast("Mapping[Any, Any]", exclude).items():
            yield str(name), said
    elif isinstance(exclude, Iterable):
        for part in cast("Iterable[Any]", exclude):
            if isinstance(part, str | Mapping):
                yield from _named(part, faults)
            else:
                faults.append(f"exclude holds {part!r}; give texts, or a mapping from names to rows")
    else:
        faults.append(f"exclude={exclude!r} must be a text, a mapping from names to rows, or a list of these")


def _parts(effects: EffectSizes, name: str, said: Any, spec: PoolSpec) -> list[Exclusion]:
    """Return the parts that one wish stands for."""
    if isinstance(said, str) and said == EACH_STUDY:
        firsts: NDArray[np.intp] = np.sort(np.unique(effects.clusters, return_index=True)[1])
        places: list[int] = firsts.tolist()
        return [Exclusion(effects.labels[i], effects.clusters == effects.clusters[i]) for i in places]
    if isinstance(said, str) and said == EACH_FINDING:
        return _findings(effects, spec)
    if isinstance(said, str) and said == OUTLIERS:
        return [Exclusion(name or OUTLIERS, _outliers(effects, spec))]
    if isinstance(said, str):
        return [Exclusion(name or f"rows where {said}", _queried(effects, said))]
    if isinstance(said, Iterable):
        members = list(cast("Iterable[Any]", said))
        return [Exclusion(name, _listed(effects, name, members))]
    raise OptionError(f"exclude[{name!r}]={said!r} must be a query, one True or False per row, or labels of studies")


def _findings(effects: EffectSizes, spec: PoolSpec) -> list[Exclusion]:
    """Return the rows of each error and warning of the check that leaves something to pool, the same rows once."""
    try:
        audit = audit_fit(fit_pool(effects, spec))
    except EstimationError:
        return []
    found: dict[bytes, Exclusion] = {}
    for part in audit.findings:
        finding = part.finding
        rows = np.isin(np.arange(len(effects.labels)), finding.rows)
        counts = part.open and finding.severity != "information" and not finding.whole
        if counts and (rows & effects.estimable).any() and (~rows & effects.estimable).any():
            who = ", ".join(dict.fromkeys(effects.labels[i] for i in finding.rows))
            found.setdefault(rows.tobytes(), Exclusion(f"{finding.rule}: {who}", rows))
    return list(found.values())


def _outliers(effects: EffectSizes, spec: PoolSpec) -> Bools:
    """Return the rows that are outlying under a request; none where it cannot be made of these effects."""
    try:
        if by_working_model(spec, effects):
            return _outlying_studies(effects, spec)
        return influence(fit_pool(effects, spec)).outlying
    except MetabackError:
        return np.zeros(len(effects.labels), dtype=bool)


def _outlying_studies(effects: EffectSizes, spec: PoolSpec) -> Bools:
    """Return the rows of the studies that are outlying under a working model of dependent rows."""
    found = influence_of(analyse(effects, spec))
    if len(found.outlying) == effects.yi.size and not isinstance(found, StudyInfluence):
        return found.outlying
    firsts = np.sort(np.unique(effects.clusters, return_index=True)[1])
    return np.isin(effects.clusters, effects.clusters[firsts][found.outlying])


def _queried(effects: EffectSizes, query: str) -> Bools:
    """Return the rows for which a pandas query over the columns of the table holds; see `rows_where`."""
    columns = {str(name): values for name, values in effects.moderators.items()}
    if "@" in query:
        raise OptionError(f"exclude={query!r}: a query names columns only, and no variable with @")
    n = len(effects.labels)
    listed = ", ".join(columns)
    hint = suggestion(query, (EACH_STUDY, EACH_FINDING, OUTLIERS))
    words = f"{hint}; use {EACH_STUDY}, {EACH_FINDING}, {OUTLIERS}, or a query over the columns: {listed}"
    try:
        return rows_where(columns, n, query)
    except ValueError as error:
        why = str(error)
    if why == NO_CONDITION:
        raise OptionError(f"exclude={query!r} {why}{words}")
    quote = "; texts stand in quotes, as in \"rob == 'high'\"" if "is not defined" in why else ""
    raise OptionError(f"exclude={query!r} cannot be used ({why}{quote}){words}")


def _listed(effects: EffectSizes, name: str, said: Sequence[Any]) -> Bools:
    """Return rows that are named one by one: by True and False, or by the labels of their studies."""
    if all(isinstance(value, bool | np.bool_) for value in said):
        if len(said) != len(effects.labels):
            raise OptionError(f"exclude[{name!r}] has {len(said)} values, and the table has {len(effects.labels)} rows")
        return np.array(said, dtype=bool)
    known = set(effects.labels)
    if unknown := [value for value in said if value not in known]:
        hint = suggestion(str(unknown[0]), known)
        raise OptionError(f"exclude[{name!r}] names {unknown[0]!r}{hint}, which is no study of the table")
    return np.isin(np.array(effects.labels, dtype=object), list(said))
