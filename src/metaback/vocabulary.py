"""The words of a request that the command line offers too: light, so that help answers before anything is loaded.

Each type stands beside a registry or a table that knows what its words mean; tests compare the two.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

Preset = Literal["cochrane", "revman5", "metafor"]
Model = Literal["random", "equal", "fixed", "IVhet"]
Tau2 = Literal[
    "DL", "DL2", "HE", "HE2", "HS", "HSk", "SJ", "GENQ", "PM", "EB", "SJIT", "DLIT", "PMM", "GENQM", "ML", "REML",
]  # fmt: skip
Tau2Interval = Literal["QP", "BJ", "J", "PL", "PL-ML", "Wald", "Wald-ML"]
MeanInterval = Literal[
    "Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1", "KR", "CR2", "HC", "PL", "perm", "boot-percentile",
    "boot-basic", "boot-BCa", "pboot-percentile", "pboot-basic",
]  # fmt: skip
PredictionInterval = Literal["none", "z", "t(k-1)", "t(k-2)", "HK", "HK-PR", "KR", "KR-PR", "NNF"]
I2Definition = Literal["tau2", "Q"]
SubgroupTau2 = Literal["separate", "common"]
Criterion = Literal["REML", "ML"]
Robust = Literal["none", "CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3"]
DegreesOfFreedom = Literal["containment", "satterthwaite", "residual"]
SamplingSource = Literal["table"]
TestLaw = Literal["t", "z"]
Layout = Literal["standard", "revman", "jama", "bmj", "lancet", "plain"]
Format = Literal["docx", "pdf", "xlsx"]


def words_of(words: Any) -> tuple[str, ...]:
    """Return the words of a Literal type.

    >>> words_of(SubgroupTau2)
    ('separate', 'common')
    """
    return tuple(str(word) for word in get_args(words))
