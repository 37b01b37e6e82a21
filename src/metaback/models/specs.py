"""Frozen requests: words and numbers only, the same object for a function call, a plan file and the command line."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

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


PRESETS: dict[Preset, dict[str, str]] = {
    "cochrane": {"tau2": "REML", "ci": "HKSJ-wider", "pi": "t(k-1)", "i2": "tau2"},
    "revman5": {"tau2": "DL", "ci": "Wald", "pi": "none", "i2": "Q"},
    "metafor": {"tau2": "REML", "ci": "Wald", "pi": "z", "i2": "tau2"},
}
MEASURE_PRESETS: dict[Preset, dict[str, str]] = {
    "cochrane": {"vtype": "RevMan", "zeros": "RevMan"},
    "revman5": {"vtype": "RevMan", "zeros": "RevMan"},
    "metafor": {"vtype": "LS", "zeros": "metafor"},
}
PRESET_NAMES: tuple[str, ...] = get_args(Preset)
