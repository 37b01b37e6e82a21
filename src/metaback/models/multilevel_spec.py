"""The frozen request of a model of dependent effects: words and numbers only, every choice resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from metaback.design.random_words import RandomWords, read_random
from metaback.errors import OptionError
from metaback.models.specs import Correlation, Level
from metaback.models.working_models import WORKING_MODELS, WorkingModel, working_model
from metaback.vocabulary import DegreesOfFreedom, Robust


class MultilevelSpec(BaseModel):
    """How dependent effects are to be modelled, every choice resolved.

    random: formulas of the random effects; struct: for each of the form "~ inner | outer" its structure, None where the
    column decides. working: key of the working model that was asked for by name, None for formulas; by: its column of
    subgroups. formula: of the fixed effects. rho: assumed correlation of sampling errors within a study (within the
    subgroups of a study where the working model says so), None where the covariances come with the effects, or are 0.
    known: groupings whose correlation matrix was given. fixed: components that are given, by name. method: "REML" or
    "ML", "moments" for working models without a likelihood. test: "t" or "z"; df: rule of the degrees of freedom of t,
    "satterthwaite" where the variance is robust; by moments it may be "residual", clusters less coefficients.
    robust: adjustment of the cluster-robust variance, or "none"; cluster: column of the clusters, None for the first
    grouping that holds all rows that are correlated. level: confidence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    random: tuple[str, ...]
    struct: tuple[str | None, ...] = ()
    working: str | None = None
    by: str | None = None
    formula: str = "~ 1"
    rho: Correlation | None = None
    known: tuple[str, ...] = ()
    fixed: dict[str, float] = Field(default_factory=dict)
    method: Literal["REML", "ML", "moments"] = "REML"
    test: Annotated[str, Field(pattern="^[tz]$")] = "t"
    df: DegreesOfFreedom = "containment"
    robust: Robust = "none"
    cluster: str | None = None
    level: Level = 0.95


def resolve_multilevel(random: str | Sequence[str], **choices: Any) -> MultilevelSpec:
    """Resolve a request: a formula, several, or the name of a working model, and the choices that go with it.

    None stands for the usual: no robust variance for formulas and CR2 for working models. Raises `OptionError` with
    every problem at once.

    >>> spec = resolve_multilevel("CHE")
    >>> spec.random, spec.rho, spec.robust
    (('~ 1 | study/effect',), 0.6, 'CR2')
    """
    said = {name: value for name, value in choices.items() if value is not None}
    problems: list[str] = []
    values: dict[str, Any] = {}
    try:
        values, struct = _asked(random, said)
        words = read_random(values["random"], struct)
        values["struct"] = tuple(part.struct for part in words if not part.intercept)
    except OptionError as error:
        problems.append(str(error))
        values = {"random": ("~ 1 | study",)}
    said.pop("struct", None)
    values |= said
    weights = values.get("working") is not None and bool(WORKING_MODELS[values["working"]].weights)
    problems += _of_moments(values, said) if weights else _of_likelihood(values)
    robust = values.get("robust", "none") != "none"
    large = weights and said.get("df") == "residual"
    if robust and said.get("df") not in (None, "satterthwaite") and not large:
        problems.append(
            f"df={said['df']!r} is a rule of the model's variance; a robust variance has Satterthwaite's: leave df out"
        )
    if robust and not large:
        values["df"] = "satterthwaite"
    spec = None
    try:
        spec = MultilevelSpec.model_validate(values)
    except ValidationError as error:
        problems += dict.fromkeys(_words(problem) for problem in error.errors())
    if problems or spec is None:
        raise OptionError("; ".join(problems))
    return spec


def _of_moments(values: dict[str, Any], said: Mapping[str, Any]) -> list[str]:
    """Set what follows from weights by moments, and list what they cannot have."""
    key = values["working"]
    problems: list[str] = []
    if said.get("method", "REML") not in ("REML", "moments"):
        problems.append(f"method={said['method']!r}: the components of {key} are found by moments; leave method out")
    if values.get("robust") == "none":
        problems.append(f"robust='none': the weights of {key} are right only with a robust variance; leave robust out")
    if values.get("fixed"):
        problems.append(f"fixed: the components of {key} are found by moments and cannot be held; use random='CHE'")
    if key == "HIER" and said.get("rho") is not None:
        problems.append("rho: the weights of HIER know no sampling correlation; leave rho out, or use CORR or CHE")
    if isinstance(said.get("rho"), int | float) and said["rho"] < 0:
        problems.append(f"rho={said['rho']!r}: {key} takes a correlation from 0 to 1")
    values["method"] = "moments"
    return problems


def _of_likelihood(values: Mapping[str, Any]) -> list[str]:
    """List what only weights by moments have."""
    if values.get("method") != "moments":
        return []
    return ["method='moments' belongs to random='CORR' and random='HIER'; use 'REML' or 'ML'"]


def _asked(random: str | Sequence[str], said: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the values that a formula or a working model sets, and the structures to be read with it."""
    if not isinstance(random, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"random={random!r} is no formula; write e.g. random='~ 1 | study/effect'")
    formulas = (random,) if isinstance(random, str) else tuple(random)
    named = [asked for asked in map(working_model, filter(_is_text, formulas)) if asked is not None]
    if not named:
        return {"random": formulas}, said.get("struct")
    if len(formulas) > 1:
        raise OptionError(f"random={list(formulas)!r}: a working model stands alone, without formulas beside it")
    asked = named[0]
    if said.get("struct") is not None:
        raise OptionError(f"random={random!r} sets the structure itself; leave struct out, or write formulas")
    values = {
        "random": asked.random,
        "working": asked.model.key,
        "by": asked.by,
        "rho": asked.model.rho,
        "robust": "CR2",
    }
    return values, asked.struct or None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def working_of(spec: MultilevelSpec) -> WorkingModel | None:
    """Return the working model of a request, None where it was written as formulas."""
    return None if spec.working is None else WORKING_MODELS[spec.working]


def words_of_random(spec: MultilevelSpec) -> tuple[RandomWords, ...]:
    """Return the random formulas of a request as they are read."""
    return _read(tuple(spec.random), tuple(spec.struct or ()))


@lru_cache(maxsize=256)  # every part of a fit asks for the words of its request
def _read(random: tuple[str, ...], struct: tuple[str | None, ...]) -> tuple[RandomWords, ...]:
    """Read formulas once."""
    return read_random(random, struct or None)


def said_in(spec: MultilevelSpec) -> dict[str, Any]:
    """Return a request as the keywords that make it again.

    >>> resolve_multilevel(**said_in(resolve_multilevel("CHE", rho=0.4))).rho
    0.4
    """
    values: dict[str, Any] = spec.model_dump(exclude={"working", "by", "known"})
    if spec.robust != "none" and spec.df == "satterthwaite":
        values.pop("df")
    if spec.method == "moments":
        values.pop("method")
    if spec.working is not None:
        values |= {"random": spec.working if spec.by is None else f"{spec.working}({spec.by})"}
        values.pop("struct")
    elif not spec.struct:
        values.pop("struct")
    return values


def _words(problem: ErrorDetails) -> str:
    """Word one problem that pydantic found."""
    name, value = str(problem["loc"][0]), problem["input"]
    if problem["type"] == "extra_forbidden":
        return str(OptionError.unknown("option", name, MultilevelSpec.model_fields))
    if problem["type"] == "literal_error":
        annotation = MultilevelSpec.model_fields[name].annotation
        return str(OptionError.unknown(name, value, map(str, get_args(annotation))))
    if name == "test":
        return str(OptionError.unknown(name, value, ("t", "z")))
    if name == "rho":
        return (
            f"rho={value!r}: an assumed correlation is a number above -1 and below 1 (rows at 1 would be one effect: "
            "take them together with es.aggregate()); several go into .sweep(rho=[...])"
        )
    return f"{name}={value!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
