"""Frozen requests: words and numbers only, the same object for a function call, a plan file and the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from metaback.errors import OptionError

Preset = Literal["cochrane", "revman5", "metafor"]
Model = Literal["random", "equal"]
Tau2 = Literal["DL", "PM", "REML"]
MeanInterval = Literal["Wald", "Wald-t", "HKSJ", "HKSJ-wider"]
PredictionInterval = Literal["none", "z", "t(k-1)", "t(k-2)"]
I2Definition = Literal["tau2", "Q"]
Level = Annotated[float, Field(gt=0, lt=1)]


class PoolSpec(BaseModel):
    """How a set of effects is to be pooled, every choice resolved.

    preset: where the choices that the user did not make came from.
    model: "random" (tau2 estimated) or "equal" (tau2 fixed at 0).
    tau2: estimator of the between-study variance; without meaning for the equal-effects model.
    ci: rule of the interval of the mean; pi: rule of the prediction interval.
    i2: which definition of I2 is printed first (both are computed).
    level: confidence level of every interval, e.g. 0.95.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Preset = "cochrane"
    model: Model = "random"
    tau2: Tau2 = "REML"
    ci: MeanInterval = "HKSJ-wider"
    pi: PredictionInterval = "t(k-1)"
    i2: I2Definition = "tau2"
    level: Level = 0.95


PRESETS: dict[str, dict[str, str]] = {
    "cochrane": {"tau2": "REML", "ci": "HKSJ-wider", "pi": "t(k-1)", "i2": "tau2"},
    "revman5": {"tau2": "DL", "ci": "Wald", "pi": "none", "i2": "Q"},
    "metafor": {"tau2": "REML", "ci": "Wald", "pi": "z", "i2": "tau2"},
}


def resolve_spec(preset: str = "cochrane", **choices: object) -> PoolSpec:
    """Resolve a preset and the choices that override it (None stands for "as the preset has it").

    The equal-effects model has no tau2 to account for, so it takes the Wald interval unless told otherwise, and has no
    prediction interval. Raises `OptionError` with every unknown word at once.
    """
    if preset not in PRESETS:
        raise OptionError.unknown("preset", preset, PRESETS)
    values: dict[str, object] = {"preset": preset, **PRESETS[preset]}
    if choices.get("model") == "equal":
        if choices.get("tau2") is not None or choices.get("pi") not in (None, "none"):
            raise OptionError("model='equal' has no tau2 to estimate or to predict with; leave out tau2 and pi")
        values |= {"ci": "Wald", "pi": "none", "i2": "Q"}
    values |= {name: value for name, value in choices.items() if value is not None}
    try:
        return PoolSpec.model_validate(values)
    except ValidationError as error:
        raise OptionError("; ".join(_words(problem) for problem in error.errors())) from None


def chosen(spec: PoolSpec) -> dict[str, Any]:
    """Return what a request says besides what its preset (and model) would have said."""
    said: dict[str, Any] = {"preset": spec.preset} | ({"model": spec.model} if spec.model != "random" else {})
    usual = resolve_spec(**said).model_dump()
    return said | {name: value for name, value in spec.model_dump().items() if value != usual[name]}


def _words(problem: ErrorDetails) -> str:
    """Word one problem that pydantic found: the option, the value, what is allowed and the likely intent."""
    name, value = ".".join(map(str, problem["loc"])), problem["input"]
    if problem["type"] == "extra_forbidden":
        return str(OptionError.unknown("option", name, PoolSpec.model_fields))
    if problem["type"] == "literal_error":
        allowed = get_args(PoolSpec.model_fields[name].annotation)
        return str(OptionError.unknown(name, value, map(str, allowed)))
    return f"{name}={value!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
