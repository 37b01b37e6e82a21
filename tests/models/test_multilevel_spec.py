"""Requests of models of dependent effects: what stands for what, JSON, and every problem at once."""

from __future__ import annotations

from typing import Any

import pytest

from metaback.errors import OptionError
from metaback.models.multilevel_spec import MultilevelSpec, resolve_multilevel, said_in, words_of_random
from metaback.models.working_models import WORKING_MODELS, working_model


@pytest.mark.parametrize(
    ("random", "choices"),
    [
        ("~ 1 | study/effect", {}),
        (["~ 1 | study", "~ 1 | lab"], {"method": "ML", "test": "z", "level": 0.9}),
        ("~ outcome | study", {"struct": "UN", "df": "satterthwaite"}),
        ("CHE", {"rho": 0.3}),
        ("SCE(outcome)", {"robust": "CR1"}),
        ("~ outcome | study", {"struct": "CS", "fixed": {"rho": 0.5}, "robust": "CR2", "cluster": "lab"}),
    ],
)
def test_a_request_survives_json_and_its_own_words(random: Any, choices: dict[str, Any]) -> None:
    spec = resolve_multilevel(random, **choices)
    assert MultilevelSpec.model_validate_json(spec.model_dump_json()) == spec
    assert resolve_multilevel(**said_in(spec)) == spec
    assert [words.text for words in words_of_random(spec)] == list(spec.random)


def test_a_working_model_sets_its_formula_rho_and_robust_variance() -> None:
    spec = resolve_multilevel("SCE(outcome)")
    assert (spec.random, spec.struct, spec.rho, spec.by) == (("~ outcome | study",), ("DIAG",), 0.6, "outcome")
    assert (spec.robust, spec.df, spec.working) == ("CR2", "satterthwaite", "SCE")
    assert resolve_multilevel("HE").rho is None


def test_formulas_have_no_robust_variance_unless_asked() -> None:
    spec = resolve_multilevel("~ 1 | study")
    assert (spec.robust, spec.df, spec.rho) == ("none", "containment", None)
    assert resolve_multilevel("~ 1 | study", robust="CR2").df == "satterthwaite"


@pytest.mark.parametrize(
    ("random", "choices", "said"),
    [
        ("CHEE", {}, "did you mean 'CHE'?"),
        ("SCE", {}, "needs the column of subgroups"),
        ("CHE(outcome)", {}, "CHE takes no column"),
        ("CHE", {"struct": "UN"}, "sets the structure itself"),
        (["CHE", "~ 1 | lab"], {}, "a working model stands alone"),
        ("~ 1 | study", {"method": "DL"}, "method='DL' is not known"),
        ("~ 1 | study", {"df": "kr"}, "df='kr' is not known"),
        ("~ 1 | study", {"robust": "CR9"}, "robust='CR9' is not known"),
        ("~ 1 | study", {"robust": "CR2", "df": "residual"}, "leave df out"),
        ("~ 1 | study", {"test": "F"}, "test='F' is not known"),
        ("~ 1 | study", {"rho": 1.0}, "an assumed correlation is a number above -1 and below 1"),
        ("~ 1 | study", {"level": 95}, "level=95"),
    ],
)
def test_what_is_wrong_is_said(random: Any, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        resolve_multilevel(random, **choices)
    assert said in str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        resolve_multilevel("1 | study", method="XX", robust="YY", rho=3)
    assert all(word in str(caught.value) for word in ("begin with '~'", "method='XX'", "robust='YY'", "rho=3"))


@pytest.mark.parametrize("key", WORKING_MODELS)
def test_every_working_model_can_be_asked_for_and_has_its_references(key: str) -> None:
    model = WORKING_MODELS[key]
    asked = working_model(f"{key}(outcome)" if model.needs else key)
    assert asked is not None
    assert asked.model is model
    assert model.cite
    assert model.text.split(":")[0].endswith("working model") != bool(model.weights)  # moments weigh, and model nothing
