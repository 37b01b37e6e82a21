"""The pool under the usual estimators of tau2 and interval rules, beside every result whether or not a plan asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.specs import MeanInterval, PoolSpec, chosen, estimates_tau2, resolve_spec, tau2_label
from metaback.postestimation.flips import turned
from metaback.postestimation.specification_fits import SpecificationNumbers, specification_numbers
from metaback.postestimation.summary import Analysis
from metaback.stats.inference import is_seeded
from metaback.status import Status

ESTIMATORS = ("REML", "PM", "DL", "ML", "HE", "SJ")
RULES: tuple[MeanInterval, ...] = ("Wald", "HKSJ", "HKSJ-wider")
EQUAL = "none"  # stands for tau2 = 0: equal effects
WITHOUT = frozenset({"tau2", "pi", "ci", "i2", "tau2_ci", "subgroup_tau2"})  # what equal effects have no use for


@dataclass(frozen=True, slots=True)
class StandardPool:
    """The same effects under one estimator of tau2 and one interval rule.

    tau2_rule: label of the estimator, "none" for equal effects; ci: key of the rule; mean: None where it fails; tau2,
    i2 (percent): nan where there are none. main: whether it is the main analysis; turns: whether its interval
    says something else about no effect than that of the main analysis.
    """

    tau2_rule: str
    ci: str
    mean: Estimate | None
    tau2: float
    i2: float
    main: bool
    turns: bool


def standard_sensitivity(analysis: Analysis) -> tuple[StandardPool, ...]:
    """Pool the effects of an analysis under equal effects and under six estimators of tau2 with three interval rules.

    Estimators: REML, Paule-Mandel, DerSimonian-Laird, ML, Hedges and Sidik-Jonkman; rules: Wald, HKSJ and the wider of
    the two; the estimator and the rule of the main analysis are among them, whatever they are, but for rules that
    resample. What else was chosen stays (level, weights). All rules of an estimator share one fit. Edges: a combination
    that the model does not allow is left out; one that fails has no mean. All take every row as independent: where the
    answer is that of a working model of dependent rows, none is the main analysis, and it is the answer that they are
    held against.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9")
    >>> found = standard_sensitivity(mb.pool(pain, independent=True).analysis)
    >>> len(found), [part.ci for part in found if part.main]
    (19, ['HKSJ-wider'])
    """
    spec, effects = analysis.fitted.spec, analysis.fitted.effects
    everything = np.ones((1, len(effects.labels)), dtype=bool)
    out: list[StandardPool] = []
    for name, requests in _requests(spec):
        found = specification_numbers(effects, everything, requests)
        out += [_pool(analysis, name, one, part) for one, part in zip(requests, found, strict=True)]
    return tuple(out)


def _requests(main: PoolSpec) -> Iterator[tuple[str, list[PoolSpec]]]:
    """Return requests that share a fit, under the label of their estimator."""
    own = [tau2_label(main)] if estimates_tau2(main) else []
    rules: list[MeanInterval] = list(RULES)
    if estimates_tau2(main) and main.ci not in rules and not is_seeded(main.ci):
        rules.append(main.ci)
    for label in dict.fromkeys((*own, *ESTIMATORS)):
        tau2 = main.tau2 if label in own else label
        made = [_resolved(main, model=_random(main), tau2=tau2, ci=rule) for rule in rules]
        if requests := [one for one in made if one is not None]:
            yield label, requests
    equal = main if main.model == "equal" else _resolved(main, model="equal")
    if equal is not None:
        yield EQUAL, [equal]


def _random(main: PoolSpec) -> str:
    """Return the model whose tau2 varies: that of the main analysis, random effects where it has no tau2."""
    return main.model if estimates_tau2(main) else "random"


def _resolved(main: PoolSpec, **said: object) -> PoolSpec | None:
    """Return the main request with other words, None where they do not go together."""
    drop = WITHOUT if said["model"] == "equal" else frozenset[str]()
    kept = {name: value for name, value in chosen(main).items() if name not in drop}
    try:
        return resolve_spec(**{**kept, **said})  # type: ignore[reportArgumentType]
    except OptionError:
        return None


def _pool(analysis: Analysis, name: str, spec: PoolSpec, found: SpecificationNumbers) -> StandardPool:
    """Read one pool of the batch."""
    main, own = analysis.overall.mean, analysis.fitted.spec
    same = not analysis.dependent and (spec.model, str(spec.tau2), spec.ci) == (own.model, str(own.tau2), own.ci)
    mean = None
    if found.status[0] == Status.CONVERGED:
        numbers = (found.estimate, found.ci_low, found.ci_high, found.se, found.p_value, found.size)
        point, lower, upper, se, p_value, size = (float(values[0]) for values in numbers)
        size = None if np.isnan(size) else size
        mean = replace(main, point=point, lower=lower, upper=upper, se=se, p_value=p_value, size=size)
    turns = turned(main, mean, analysis.fitted.effects.measure)
    return StandardPool(name, spec.ci, mean, float(found.tau2[0]), float(found.i2[0]), same, turns)
