"""Frozen requests: words and numbers only, the same object for a function call, a plan file and the command line."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from metaback.errors import OptionError
from metaback.numbers import significant
from metaback.stats.inference import DRAWS, MEAN_RULES, PREDICTION_RULES, whole_prediction, whole_rule
from metaback.stats.working_covariance import RHO
from metaback.vocabulary import (
    I2Definition,
    MeanInterval,
    Model,
    PredictionInterval,
    Preset,
    SubgroupTau2,
    Tau2,
    Tau2Interval,
)

GivenTau2 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Level = Annotated[float, Field(gt=0, lt=1)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]
Seed = Annotated[int, Field(ge=0)]
Draws = Annotated[int, Field(ge=99, le=1_000_000)]


class PoolSpec(BaseModel):
    """How a set of effects is to be pooled, every choice resolved.

    preset: where the choices that the user did not make came from.
    model: "random" (tau2 estimated); "equal" (all studies have one effect, tau2 is 0); "fixed" (effects may differ, the
    mean of these studies' own effects is estimated: the same numbers as "equal", other words); "IVhet" (weights of the
    equal-effects model, variance with tau2).
    tau2: estimator of the between-study variance, or its value where that is known; without meaning for "equal" and
    "fixed". weights: column of the user's weights of the mean; the numbers of the column take the place of
    1 / (v + tau2), the variance stays honest.
    tau2_ci: rule of the interval of tau2, and with it of I2 and H2.
    ci: rule of the interval of the mean; pi: rule of the prediction interval. Those that are more than a factor and
    degrees of freedom (from "KR" on) need model="random" and no weights of the user.
    i2: which definition of I2 is printed first (both are computed).
    subgroup_tau2: whether each subgroup has its own tau2 ("separate") or one serves all ("common": a regression on the
    subgroups, which also tests their difference); the overall pool is the same under both.
    independent: whether rows of one study are taken for studies of their own; where they are not, a table in which
    studies repeat is pooled by a working model of their dependence with robust variance. rho: the correlation that is
    assumed there between effects on the same people.
    level: confidence level of every interval, e.g. 0.95.
    rng: seed of rules that resample; draws: how many samples they draw.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Preset = "cochrane"
    model: Model = "random"
    tau2: Tau2 | GivenTau2 = "REML"
    weights: str | None = None
    tau2_ci: Tau2Interval = "QP"
    ci: MeanInterval = "HKSJ-wider"
    pi: PredictionInterval = "t(k-1)"
    i2: I2Definition = "tau2"
    subgroup_tau2: SubgroupTau2 = "separate"
    independent: bool = False
    rho: Correlation = RHO
    level: Level = 0.95
    rng: Seed = 1
    draws: Draws = DRAWS


class SpecWords(TypedDict, total=False):
    """The rarer keywords of a pool, which `pool` and `pool_table` take besides those that they name; see `PoolSpec`."""

    tau2_ci: str | None
    i2: str | None
    subgroup_tau2: str | None
    independent: bool | None
    rho: float | None
    rng: int | None
    draws: int | None


WITHOUT_TAU2 = ("equal", "fixed")
WITH_T = ("Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1")  # rules of the mean with the t distribution


def estimates_tau2(spec: PoolSpec) -> bool:
    """Tell whether the model has a between-study variance (estimated, or given by the user)."""
    return spec.model not in WITHOUT_TAU2


def tau2_label(spec: PoolSpec) -> str:
    """Return the word of the estimator of tau2, or the value that the user gave.

    >>> tau2_label(PoolSpec()), tau2_label(PoolSpec(tau2=0.04))
    ('REML', '0.0400, given')
    """
    return spec.tau2 if isinstance(spec.tau2, str) else f"{significant(spec.tau2)}, given"


PRESETS: dict[str, dict[str, str]] = {
    "cochrane": {"tau2": "REML", "ci": "HKSJ-wider", "pi": "t(k-1)", "i2": "tau2"},
    "revman5": {"tau2": "DL", "ci": "Wald", "pi": "none", "i2": "Q"},
    "metafor": {"tau2": "REML", "ci": "Wald", "pi": "z", "i2": "tau2"},
}


def resolve_spec(preset: str = "cochrane", **choices: object) -> PoolSpec:
    """Resolve a preset and the choices that override it (None stands for "as the preset has it").

    The equal- and fixed-effects models have no tau2 to account for, so they take the Wald interval unless told
    otherwise, and have no prediction interval. IVhet takes the DerSimonian-Laird tau2 and the Wald interval, as it was
    published. Presets that are named after other programs take rows as independent, as these do. Under the preset
    "metafor" the prediction interval follows the t distribution where the interval of the mean does, as in
    `predict.rma`. Raises `OptionError` with every unknown word at once.
    """
    if preset not in PRESETS:
        raise OptionError.unknown("preset", preset, PRESETS)
    values: dict[str, object] = {"preset": preset, **PRESETS[preset], "independent": preset != "cochrane"}
    model = choices.get("model")
    if model in WITHOUT_TAU2:
        if choices.get("tau2") is not None or choices.get("pi") not in (None, "none"):
            raise OptionError(f"model={model!r} has no tau2 to estimate or to predict with; leave out tau2 and pi")
        values |= {"ci": "Wald", "pi": "none", "i2": "Q"}
    if model == "IVhet":
        if choices.get("weights") is not None:
            raise OptionError("model='IVhet' sets the weights itself; leave out weights, or use model='random'")
        values |= {"tau2": "DL", "ci": "Wald", "pi": "none"}
    if isinstance(choices.get("tau2"), bool):
        raise OptionError(f"tau2={choices['tau2']!r}: a word or a number of at least 0 is needed")
    values |= {name: value for name, value in choices.items() if value is not None}
    if preset == "metafor" and values["pi"] == "z" and choices.get("pi") is None and values["ci"] in WITH_T:
        values["pi"] = "t(k-1)"
    try:
        spec = PoolSpec.model_validate(values)
    except ValidationError as error:
        raise OptionError("; ".join(dict.fromkeys(_words(problem) for problem in error.errors()))) from None
    if problems := [*_needs_random(spec), *_not_shared(spec)]:
        raise OptionError("; ".join(problems))
    return spec


def _needs_random(spec: PoolSpec) -> list[str]:
    """Name the interval rules of the spec that its model cannot have: they estimate tau2 and the mean themselves."""
    if spec.model == "random" and spec.weights is None:
        return []
    where = f"model={spec.model!r}" if spec.model != "random" else "weights of your own"
    ways = f"needs model='random' and no weights of your own, not {where}; use ci='Wald'"
    problems = [f"ci={spec.ci!r} ({MEAN_RULES[spec.ci].title}) {ways}"] if whole_rule(spec.ci) else []
    if spec.pi != "none" and whole_prediction(spec.pi):
        problems.append(
            f"pi={spec.pi!r} ({PREDICTION_RULES[spec.pi].title}) {ways.replace('ci=', 'pi=').replace('Wald', 'z')}"
        )
    return problems


RULES_FOR_SEVERAL = ("Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1")  # serve every coefficient of a model alike
ROBUST = "CR2"  # also serves several, each coefficient with df of its own
PREDICTION_FOR_SEVERAL = ("none", "z", "t(k-1)", "t(k-2)")


def _not_shared(spec: PoolSpec) -> list[str]:
    """Name what subgroups with one tau2 cannot have: they are a regression, whose rules serve all its coefficients."""
    if spec.subgroup_tau2 == "separate":
        return []
    said = "subgroup_tau2='common'"
    if spec.model != "random" or spec.weights is not None:
        where = f"model={spec.model!r}" if spec.model != "random" else "weights of your own"
        return [f"{said} needs model='random' and no weights of your own, not {where}; leave it out"]
    problems: list[str] = []
    for name, value, allowed in (("ci", spec.ci, RULES_FOR_SEVERAL), ("pi", spec.pi, PREDICTION_FOR_SEVERAL)):
        if value not in allowed:
            problems.append(
                f"{said} is a regression on the subgroups, and {name}={value!r} is a rule of a single mean; use one of "
                f"{', '.join(allowed)}"
            )
    return problems


def chosen(spec: PoolSpec) -> dict[str, Any]:
    """Return what a request says besides what its preset (and model) would have said."""
    said: dict[str, Any] = {"preset": spec.preset} | ({"model": spec.model} if spec.model != "random" else {})
    usual = resolve_spec(**said).model_dump()
    found = {name: value for name, value in spec.model_dump().items() if value != usual[name]}
    found.pop("pi", None)  # it may follow the interval of the mean
    if spec.pi != resolve_spec(**said, **found).pi:
        found["pi"] = spec.pi
    return said | found


def _words(problem: ErrorDetails) -> str:
    """Word one problem that pydantic found: the option, the value, what is allowed and the likely intent."""
    name, value = str(problem["loc"][0]), problem["input"]
    if name == "tau2" and not _is_number(value):  # a word or a number: say what is wrong with what was meant
        return str(OptionError.unknown(name, value, get_args(Tau2)))
    if name == "tau2":
        return f"{name}={value!r}: a given tau2 must be a number of at least 0"
    if problem["type"] == "extra_forbidden":
        return str(OptionError.unknown("option", name, PoolSpec.model_fields))
    if problem["type"] == "literal_error":
        allowed = get_args(PoolSpec.model_fields[name].annotation)
        return str(OptionError.unknown(name, value, map(str, allowed)))
    return f"{name}={value!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _is_number(value: object) -> bool:
    """Tell whether something is a number or its text."""
    try:
        float(str(value))
    except ValueError:
        return False
    return True
