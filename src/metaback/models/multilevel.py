"""A model of dependent effects: effects, formulas and a request in, a finished fit with its covariance and df out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.design.design import Design
from metaback.design.formula import INTERCEPT, FormulaDesign, build_design
from metaback.design.moderators import NOTHING
from metaback.design.random_terms import KnownCorrelation, RandomDesign, RandomTable, RandomTerm, build_random, coded
from metaback.design.random_words import ROW
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import DataError, EstimationError, OptionError, Problem, suggestion
from metaback.models.moments import moment_fit, weighing
from metaback.models.multilevel_spec import MultilevelSpec, words_of_random, working_of
from metaback.models.pool import no_effects
from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, indefinite, on_diagonal, selected, separate
from metaback.stats.mixed import MixedFit, Term, clusters_of, correlation_ends, fit_mixed, marginal
from metaback.stats.mixed.structures import chart_of
from metaback.stats.mixed_df import satterthwaite
from metaback.stats.mixed_inference import constant_correlation, containment_df
from metaback.stats.robust import Robust, cluster_robust
from metaback.stats.robust_tests import contrast_tests
from metaback.stats.rve import RveFit
from metaback.status import Status

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
SAME_VARIANCE = 1e-6  # relative: sampling variances of V and of the effects that differ by more are not the same table
FLAT = 1e-6  # difference in log-likelihood that is none
MOVED = 1e-4  # of a standard error: a coefficient that moves by more along a flat likelihood is not known
PLAIN = ("~1", "1", "~1+0", "")


@dataclass(frozen=True, slots=True)
class Loose:
    """Coefficients (p,) and covariance (p, p) at another value of a component that the data do not tell."""

    component: str
    beta: Floats
    cov: Floats


@dataclass(frozen=True, slots=True)
class FittedMultilevel:
    """A finished model of dependent effects over the n rows in use.

    design: fixed part; random: random part, with what could not be told apart; V: sampling covariance of the rows in
    use; given: over all k rows as it was given, None where it follows from the request. fit: the engine's numbers.
    clusters: (n,) codes of the clusters of the robust variance; cluster_names: their names. robust: None where the
    variance is the model's. cov: (p, p) of the coefficients under the request; df: (p,) of their t, inf for z, nan
    where there are none. known: named correlations of groupings. moments: weights and components of a working model
    without a likelihood, None for the rest.
    """

    spec: MultilevelSpec
    effects: EffectSizes
    design: FormulaDesign
    random: RandomDesign
    V: BlockMatrix
    given: BlockMatrix | None
    fit: MixedFit
    clusters: Places
    cluster_names: tuple[str, ...]
    robust: Robust | None
    cov: Floats
    df: Floats
    loose: tuple[Loose, ...]
    known: Mapping[str, KnownCorrelation]
    moments: RveFit | None = None

    @property
    def y(self) -> Floats:
        """Return the effects of the rows in use, (n,)."""
        return self.effects.yi[self.design.used]

    @property
    def terms(self) -> tuple[Term, ...]:
        """Return the random terms as the engine has them."""
        return engine_terms(self.random.terms)


def engine_terms(terms: Sequence[RandomTerm]) -> tuple[Term, ...]:
    """Return the random terms as the engine has them."""
    return tuple(part.term for part in terms)


def fit_multilevel(
    effects: EffectSizes,
    spec: MultilevelSpec,
    *,
    V: BlockMatrix | None = None,
    known: Mapping[str, KnownCorrelation] | None = None,
) -> FittedMultilevel:
    """Fit y = X beta + sum of Z u + e, e ~ N(0, V), over the rows that have an effect and every moderator.

    V: sampling covariance over all k rows of the effects; None takes the one that they carry, or independent errors,
    or those of the correlation that the request assumes. known: correlations of groupings, as named frames.

    Raises `EstimationError` where no row has an effect or the search fails, `DataError` for what the table lacks, a V
    that is not positive definite or has other variances than the effects, and what the formulas raise.
    """
    known = dict(known or {})
    _only_variances(spec, V, known)
    if not effects.estimable.any():
        raise no_effects(effects)
    columns = with_study(effects, spec)
    design = fixed_design(effects, spec.formula, {**columns, **effects.moderators})
    table = RandomTable(columns, design.used, effects.rows, effects.source, effects.categories, known)
    random = build_random(words_of_random(spec), table)
    random = replace(random, notes=(*random.notes, *_namesake(effects, spec)))
    given = V if V is not None or weighing(spec) else getattr(effects, "cov", None)
    if given is not None and spec.rho is not None and working_of(spec) is None:
        raise OptionError("V gives the sampling covariances and rho assumes them: give one of the two")
    if given is not None:
        spec = spec.model_copy(update={"rho": None})
    part = sampling_part(effects, spec, design, columns, given)
    random = with_fixed(random, spec.fixed)
    fit, moments = _numbers(effects, spec, design, random, part)
    status = Status(int(fit.status))
    if not status.ok:
        raise EstimationError(f"{effects.source}: {status.sentence}")
    spec = with_cluster(spec, columns, design, random, part)
    clusters, names = cluster_codes(spec.cluster or "study", columns, design, effects, random)
    blank = np.empty(0)
    fitted = FittedMultilevel(
        spec, effects, design, random, part, given, fit, clusters, names, None, fit.cov, blank, (), known, moments
    )
    return with_variance(fitted if moments is not None else replace(fitted, loose=loose_ends(fitted)))


def _only_variances(spec: MultilevelSpec, V: BlockMatrix | None, known: Mapping[str, KnownCorrelation]) -> None:
    """Refuse covariances for a working model whose weights know variances only."""
    if weighing(spec) and (V is not None or known):
        what = "V" if V is not None else "R"
        raise OptionError(
            f"{what}: the weights of {spec.working} know variances only; leave it out, or use random='CHE'"
        )


def _numbers(
    effects: EffectSizes, spec: MultilevelSpec, design: FormulaDesign, random: RandomDesign, V: BlockMatrix
) -> tuple[MixedFit, RveFit | None]:
    """Return the fit by likelihood, or by moments with its weights."""
    used = design.used
    if not weighing(spec):
        return fit_mixed(effects.yi[used], design.X, V, engine_terms(random.terms), spec.method), None
    if len(random.terms) < len(working_levels(spec)):
        raise EstimationError(f"{effects.source}: random={spec.working!r}: {' '.join(random.notes)} Use mb.pool.")
    study = random.terms[0].grouping.codes
    return moment_fit(spec, effects.yi[used], effects.vi[used], design.X, study, effects.source)


def working_levels(spec: MultilevelSpec) -> tuple[str, ...]:
    """Return the levels of a formula of nested intercepts: ("study", "effect") of "~ 1 | study/effect"."""
    return tuple(spec.random[0].partition("|")[2].strip().split("/"))


def with_cluster(
    spec: MultilevelSpec,
    columns: Mapping[str, NDArray[Any]],
    design: FormulaDesign,
    random: RandomDesign,
    V: BlockMatrix,
) -> MultilevelSpec:
    """Return the request with a column of clusters: the first grouping that holds all rows that are correlated."""
    if spec.cluster is not None:
        return spec
    names = [words.outer[0][0] for words in words_of_random(spec) if words.outer[0][0] in columns] or ["study"]
    if _holds(levels_in(names[0], columns, design, random)[0], random, V):
        return spec.model_copy(update={"cluster": names[0]})
    parts = clusters_of(V, engine_terms(random.terms))
    first = np.unique(parts, return_index=True)[1]
    for name in names:
        codes = levels_in(name, columns, design, random)[0]
        if np.array_equal(codes, codes[first][parts]):
            return spec.model_copy(update={"cluster": name})
    return spec.model_copy(update={"cluster": names[0]})


def levels_in(
    name: str, columns: Mapping[str, NDArray[Any]], design: FormulaDesign, random: RandomDesign
) -> tuple[Places, NDArray[np.object_]]:
    """Return the code (n,) of each row in use in a column and the names of its levels, as `coded` does.

    A random term that groups by this column has them already.
    """
    for part in random.terms if name != ROW else ():
        grouping = part.grouping
        if grouping.columns == (name,) and grouping.texts:
            return grouping.codes, grouping.texts[0][grouping.first]
    return coded(columns[name][design.used])


def _holds(codes: Places, random: RandomDesign, V: BlockMatrix) -> bool:
    """Tell whether no random term and no block of V reaches beyond a code; False also where that takes a search."""
    if any(part.known for part in random.terms):
        return False
    groupings = [part.grouping for part in random.terms]
    return all(np.array_equal(codes, codes[own.first][own.codes]) for own in groupings) and all(
        bool((codes[rows] == codes[rows[:, :1]]).all()) for rows in V.blocks.rows if rows.shape[1] > 1
    )


def loose_ends(fitted: FittedMultilevel) -> tuple[Loose, ...]:
    """Return the coefficients at other values of variances that the data do not tell, where the likelihood is as high.

    Each such variance is held at half its value, and well above it, first with all other components as they are, and
    where the likelihood falls then, with everything else estimated anew; what the coefficients do shows which of them
    rest on a number that nobody knows.
    """
    fit, terms = fitted.fit, fitted.random.terms
    out: list[Loose] = []
    place = -1
    for i, part in enumerate(terms):
        for j, (kind, levels) in enumerate(chart_of(part.term).kinds):
            place += 1
            if fit.identifiable[place] or kind != "variance":
                continue
            at = float(fit.theta[place])
            for value in (at / 2, 4 * at + float(np.median(fitted.effects.vi[fitted.design.used]))):
                held = list(part.term.fixed or (None,) * kinds_of(part))
                held[j] = value
                term = replace(part.term, fixed=tuple(held))
                others = (*engine_terms(terms[:i]), term, *engine_terms(terms[i + 1 :]))
                for asked in (_all_held(fitted, place, value), others):
                    again = fit_mixed(fitted.y, fitted.design.X, fitted.V, asked, fitted.spec.method)
                    if Status(int(again.status)).ok and abs(float(again.loglik - fit.loglik)) < FLAT:
                        out.append(Loose(component_name(part, kind, inner_of(part, levels)), again.beta, again.cov))
                        break
    return tuple(out)


def _all_held(fitted: FittedMultilevel, place: int, value: float) -> tuple[Term, ...]:
    """Return the random terms with one component at a value and all others at their estimates."""
    theta = fitted.fit.theta.copy()
    theta[place] = value
    out: list[Term] = []
    start = 0
    for part in fitted.random.terms:
        stop = start + kinds_of(part)
        out.append(replace(part.term, fixed=tuple(theta[start:stop].tolist())))
        start = stop
    return tuple(out)


def undecided(fitted: FittedMultilevel, contrasts: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which combinations (r, p) of coefficients, and which of their variances, rest on what nobody knows."""
    point = contrasts @ fitted.fit.beta
    size = np.einsum("ra,ab,rb->r", contrasts, fitted.fit.cov, contrasts)
    moved, spread = np.zeros(point.size, dtype=bool), np.zeros(point.size, dtype=bool)
    for other in fitted.loose:
        moved |= np.abs(contrasts @ other.beta - point) > MOVED * np.sqrt(size)
        spread |= np.abs(np.einsum("ra,ab,rb->r", contrasts, other.cov, contrasts) - size) > MOVED * size
    return moved, moved | spread


def with_fixed(random: RandomDesign, fixed: Mapping[str, float]) -> RandomDesign:
    """Return the random part with components that the user gives: by full name, or by its first word where one has it.

    Names are those of the components, in letters that every keyboard has: "sigma2 study", "rho outcome | study", "rho".
    Raises `OptionError` for names that mean no component or several, and values out of their range.
    """
    if not fixed:
        return random
    places: list[tuple[int, int]] = []
    names: list[str] = []
    kinds: list[str] = []
    for i, part in enumerate(random.terms):
        for j, (kind, levels) in enumerate(chart_of(part.term).kinds):
            names.append(plain_name(component_name(part, kind, inner_of(part, levels))))
            places.append((i, j))
            kinds.append(kind)
    values: list[list[float | None]] = [list(part.term.fixed or (None,) * kinds_of(part)) for part in random.terms]
    for word, value in fixed.items():
        key = plain_name(word)
        found = [at for at, name in enumerate(names) if name == key] or [
            at for at, name in enumerate(names) if name.split(" ")[0] == key
        ]
        if len(found) != 1:
            raise OptionError(str(OptionError.unknown("fixed", word, names)))
        low, high = {"variance": (0.0, np.inf), "correlation": (-1.0, 1.0)}.get(kinds[found[0]], (1e-300, np.inf))
        if not low <= value <= high:
            raise OptionError(f"fixed: {word}={value!r} is out of its range, {low:g} to {high:g}")
        i, j = places[found[0]]
        values[i][j] = float(value)
    for (i, j), name, kind in zip(places, names, kinds, strict=True):
        if kind == "correlation" and values[i][j] is not None:
            _in_range(name, random.terms[i], values[i], j)
    terms = tuple(
        replace(part, term=replace(part.term, fixed=tuple(own) if any(v is not None for v in own) else ()))
        for part, own in zip(random.terms, values, strict=True)
    )
    return replace(random, terms=terms)


def _in_range(name: str, part: RandomTerm, values: Sequence[float | None], place: int) -> None:
    """Raise where a correlation that the user gives makes no covariance matrix of the inner levels."""
    term = part.term
    low, high = correlation_ends(term, np.array([1.0 if v is None else v for v in values[: term.levels]]))
    value = values[place]
    if value is not None and not low <= value <= high:
        raise OptionError(
            f"fixed: {name}={value!r} is out of its range, {low:g} to {high:g}: effects of its {term.levels} levels "
            "cannot be correlated so"
        )


def kinds_of(part: RandomTerm) -> int:
    """Count the components of a term."""
    return len(chart_of(part.term).kinds)


def inner_of(part: RandomTerm, levels: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the inner levels that a component is about."""
    return tuple(part.inner_levels[i] if i < len(part.inner_levels) else str(i) for i in levels)


def component_name(part: RandomTerm, kind: str, inner: tuple[str, ...]) -> str:
    """Return how a component is called: `σ² study`, `τ² pain (outcome | study)`, `ρ pain, x (outcome | study)`."""
    if not part.inner_name and not part.inner_levels:
        return f"σ² {' + '.join((part.key, *part.also))}"
    letter = {"variance": "τ²", "correlation": "ρ"}.get(kind, "range")
    return f"{letter} {', '.join(inner)} ({part.key})" if inner else f"{letter} {part.key}"


def plain_name(name: str) -> str:
    """Return the name of a component in letters that every keyboard has.

    >>> plain_name("σ² study/effect")
    'sigma2 study/effect'
    """
    words = {"σ²": "sigma2", "τ²": "tau2", "ρ": "rho"}
    first, _, rest = " ".join(name.split()).partition(" ")
    return f"{words.get(first, first)} {rest}".strip()


def with_variance(fitted: FittedMultilevel) -> FittedMultilevel:
    """Return a fit with the covariance of the coefficients and the degrees of freedom that its request asks for."""
    from_model = replace(fitted, robust=None, cov=fitted.fit.cov)
    if fitted.spec.robust != "none":
        robust = robust_variance(fitted, fitted.spec.robust, fitted.clusters, str(fitted.spec.cluster))
        from_model = replace(fitted, robust=robust, cov=robust.cov)
    return replace(from_model, df=degrees(from_model, np.eye(fitted.design.X.shape[1])))


def fixed_design(effects: EffectSizes, formula: str, columns: Mapping[str, NDArray[Any]]) -> FormulaDesign:
    """Return the fixed part; the intercept alone needs no parser of formulas."""
    if formula.replace(" ", "") not in PLAIN:
        return build_design(formula, columns, effects.estimable, effects.rows, effects.source, effects.categories)
    k = effects.k
    if k < 2:
        rule = "1 row with an effect cannot show how effects differ; a model of dependent effects needs at least 2"
        raise DataError(effects.source, [Problem(rule, "Use mb.pool, or add rows")])
    reasons = ("",) * len(effects.rows)
    return FormulaDesign(
        formula, Design(np.ones((k, 1)), (INTERCEPT,)), (), effects.estimable, reasons, (), True, None, {}
    )


def with_study(effects: EffectSizes, spec: MultilevelSpec) -> dict[str, NDArray[Any]]:
    """Return the columns of a table with one named "study".

    A working model means the studies of the table by it, whichever column holds them; a formula means the column of
    that name, and the studies where there is none.
    """
    columns = dict(effects.moderators)
    if "study" not in columns or (spec.working is not None and _another_study(effects)):
        columns["study"] = np.array(effects.labels, dtype=object)
    return columns


def _another_study(effects: EffectSizes) -> bool:
    """Tell whether a column named "study" puts rows together in another way than the studies of the table."""
    if "study" not in effects.moderators:
        return False
    cells = effects.moderators["study"]
    if tuple(cells.tolist()) == effects.labels and not {*NOTHING} & set(effects.labels):
        return False  # the usual table, at once: the column is that of the labels
    own, column = effects.clusters, coded(cells)[0]
    pairs = np.unique(np.column_stack([own, column]), axis=0)
    return len(pairs) > min(np.unique(own).size, np.unique(column).size)


def _namesake(effects: EffectSizes, spec: MultilevelSpec) -> tuple[str, ...]:
    """Tell where a formula means a column named "study" that does not hold the studies of the table."""
    named = {name for words in words_of_random(spec) for outer in words.outer for name in outer}
    if spec.working is not None or "study" not in named | {spec.cluster} or not _another_study(effects):
        return ()
    note = (
        "Here study is the column of that name, which groups the rows in another way than the studies of the table do; "
        "name the column of the studies if these are meant."
    )
    return (note,)


def sampling_part(
    effects: EffectSizes,
    spec: MultilevelSpec,
    design: FormulaDesign,
    columns: Mapping[str, NDArray[Any]],
    given: BlockMatrix | None,
) -> BlockMatrix:
    """Return V (n, n) of the rows in use: given, of an assumed correlation, or diagonal. Raises `DataError`."""
    used = np.flatnonzero(design.used)
    v = effects.vi[used]
    if given is None and spec.rho is None:
        return diagonal(separate(used.size), v)
    if given is None:
        labels = effects.clusters[used]
        model = working_of(spec)
        if model is not None and model.within and spec.by is not None:
            codes, _ = coded(columns[spec.by][used])
            labels = labels * (codes.max() + 1) + codes
        V = constant_correlation(v, labels, float(spec.rho or 0.0))
    else:
        if given.blocks.n != effects.yi.size:
            raise OptionError(f"V is of {given.blocks.n} rows and the effects have {effects.yi.size}; give one per row")
        V = selected(given, used)
    problems = [*_other_variances(V, v, effects, used), *_not_positive(V, effects, used)]
    if problems:
        raise DataError(effects.source, problems)
    return V


def _other_variances(V: BlockMatrix, v: Floats, effects: EffectSizes, used: Places) -> list[Problem]:
    """List rows whose sampling variance is another in V than in the table."""
    found = on_diagonal(V)
    odd: list[int] = np.flatnonzero(~(np.abs(found - v) <= SAME_VARIANCE * v)).tolist()
    places: list[int] = used.tolist()
    fix = "Order V as the rows of the table, or correct the variance"
    return [
        Problem(f"V has the variance {found[i]:.6g} there and the table {v[i]:.6g}", fix, None, effects.rows[places[i]])
        for i in odd
    ]


def _not_positive(V: BlockMatrix, effects: EffectSizes, used: Places) -> list[Problem]:
    """List the blocks of V that are no covariance, by study."""
    bad = set(indefinite(V).tolist())
    if not bad:
        return []
    problems: list[Problem] = []
    for rows, number in zip(V.blocks.rows, V.blocks.number, strict=True):
        for i in np.flatnonzero(np.isin(number, list(bad))).tolist():
            places: list[int] = used[rows[i]].tolist()
            names = ", ".join(dict.fromkeys(effects.labels[j] for j in places))
            where = ", ".join(effects.rows[j] for j in places)
            rule = f"the sampling covariance of {names} is not positive definite"
            fix = "Correct its covariances, or assume a smaller correlation"
            problems.append(Problem(rule, fix, None, where))
    return problems


def cluster_codes(
    name: str,
    columns: Mapping[str, NDArray[Any]],
    design: FormulaDesign,
    effects: EffectSizes,
    random: RandomDesign,
) -> tuple[Places, tuple[str, ...]]:
    """Return the cluster of each row in use, (n,), and the names of the clusters. Raises `OptionError`."""
    if name == "effect":
        n = int(design.used.sum())
        return np.arange(n), tuple(row for row, use in zip(effects.rows, design.used.tolist(), strict=True) if use)
    if name not in columns:
        known = [str(column) for column in columns]
        raise OptionError(f"cluster={name!r} is not a column{suggestion(name, known)}; use one of: {', '.join(known)}")
    codes, texts = levels_in(name, columns, design, random)
    blank = np.flatnonzero(codes < 0)
    if blank.size:
        rows = [row for row, use in zip(effects.rows, design.used.tolist(), strict=True) if use]
        fix = "Fill it in, or name another column"
        raise DataError(
            effects.source, [Problem("is blank, and cluster= names it", fix, name, rows[i]) for i in blank.tolist()]
        )
    return codes, tuple(map(str, texts.tolist()))


def robust_variance(fitted: FittedMultilevel, kind: str, clusters: Places, name: str) -> Robust:
    """Return the cluster-robust covariance of the coefficients, with the weights of the model.

    Raises `OptionError` where rows of different clusters are correlated in the model, `EstimationError` for one
    cluster.
    """
    residuals = fitted.y - fitted.design.X @ fitted.fit.beta
    if fitted.moments is None and not _within(connected(fitted), clusters):  # seen before M is made, which may be large
        raise _correlated(fitted, name)
    try:
        found = cluster_robust(fitted.design.X, residuals, weights_of(fitted), clusters, kind=kind)
    except ValueError:
        raise _correlated(fitted, name) from None
    if not found.status.ok:
        cure = " Say robust='none'." if found.status is Status.TOO_FEW_CLUSTERS else ""
        raise EstimationError(f"{fitted.effects.source}: robust={kind!r} by {name}: {found.status.sentence}{cure}")
    return found


def _correlated(fitted: FittedMultilevel, name: str) -> OptionError:
    """Return the error of clusters that do not hold all rows that are correlated."""
    groups = ", ".join(dict.fromkeys(term.grouping.columns[0] for term in fitted.random.terms))
    return OptionError(
        f"cluster={name!r}: in the model, rows of different clusters are correlated (random effects of {groups}, "
        "or V); robust variance needs clusters that hold all rows that are correlated: name a coarser column, or "
        "robust='none'"
    )


def _within(parts: Places, clusters: Places) -> bool:
    """Tell whether each part lies within one cluster."""
    first = np.unique(parts, return_index=True)[1]
    return bool(np.array_equal(clusters, clusters[first][parts]))


def model_covariance(fitted: FittedMultilevel) -> BlockMatrix:
    """Return M = V + sum of the random terms, at the estimates."""
    return marginal(fitted.fit.theta, fitted.V, fitted.terms)


def weights_of(fitted: FittedMultilevel) -> BlockMatrix:
    """Return the weights W of b = (X'WX)^-1 X'Wy: M^-1, or the diagonal ones of a working model by moments."""
    if fitted.moments is None:
        return inverted(model_covariance(fitted))
    weights = fitted.moments.weights
    return diagonal(blocks_of(np.arange(weights.size)), weights)


def inverted(M: BlockMatrix) -> BlockMatrix:
    """Return M^-1, block by block."""
    parts = tuple(np.linalg.inv(part) for part in M.parts)
    return BlockMatrix(M.blocks, tuple((part + part.swapaxes(-1, -2)) / 2 for part in parts))


def degrees(fitted: FittedMultilevel, contrasts: Floats) -> Floats:
    """Return the degrees of freedom (r,) of linear combinations (r, p) of the coefficients under the request.

    inf for z. Of a combination, the containment rule takes the fewest of the coefficients in it.
    """
    spec = fitted.spec
    if spec.test == "z":
        return np.repeat(np.inf, contrasts.shape[0])
    if fitted.robust is not None:
        return contrast_tests(fitted.fit.beta, fitted.robust, contrasts, df=spec.df).df
    if spec.df == "residual":
        n, p = fitted.design.X.shape
        return np.repeat(float(n - p), contrasts.shape[0])
    if spec.df == "containment":
        own = containment(fitted)
        taking_part = np.where(contrasts != 0, own, np.inf)
        fewest = taking_part.min(axis=1, initial=np.inf)
        return np.asarray(np.where(np.isnan(taking_part).any(axis=1), np.nan, fewest), dtype=float)
    y, X, theta = fitted.y, fitted.design.X, fitted.fit.theta
    return satterthwaite(y, X, fitted.V, fitted.terms, theta, contrasts, method=spec.method)


def connected(fitted: FittedMultilevel) -> Places:
    """Return the connected component (n,) of each row: rows of different ones are independent in the model."""
    return clusters_of(fitted.V, fitted.terms)


def containment(fitted: FittedMultilevel) -> Floats:
    """Return the containment degrees of freedom (p,) of the coefficients; nan where a level cannot carry one."""
    X = fitted.design.X
    groupings: list[tuple[Places, int]] = []
    slopes: list[tuple[Floats, int]] = []
    for part in fitted.random.terms:
        codes, inner = part.grouping.codes, part.term.inner
        if part.grouping.count > 1:  # one level holds all rows: what varies there varies within it
            groupings.append((codes, part.grouping.count))
        if inner is not None:
            both = np.unique(codes * (int(inner.max()) + 1) + inner, return_inverse=True)[1].astype(np.intp)
            groupings.append((both, int(both.max()) + 1))
        if part.term.Z is not None:
            slopes.append((part.term.Z, part.grouping.count))
    df = containment_df(X, groupings, slopes)
    return np.where(df >= 1, df, np.nan)
