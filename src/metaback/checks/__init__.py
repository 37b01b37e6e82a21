"""The audit of a table of trials before it is pooled: one rule is one decorated function."""

from __future__ import annotations

from metaback.checks.findings import Cell, Change, Coverage, Finding, Joint, Outcome, Proposal, Severity

from metaback.checks import spreads  # isort: skip (the order of the families is that of the rules)
from metaback.checks import arm_spreads, outliers  # isort: skip
from metaback.checks import dependence, duplicates, units_of_analysis  # isort: skip
from metaback.checks import scores, directions, scales, designs, plans  # isort: skip (as above)
from metaback.checks import variances, intervals, printed, integers, tallies  # isort: skip (as above)
from metaback.checks.rules import RULES, inspect
from metaback.checks.scene import Plan, Pooled, Scene

__all__ = [
    "RULES",
    "Cell",
    "Change",
    "Coverage",
    "Finding",
    "Joint",
    "Outcome",
    "Plan",
    "Pooled",
    "Proposal",
    "Scene",
    "Severity",
    "arm_spreads",
    "dependence",
    "designs",
    "directions",
    "duplicates",
    "inspect",
    "integers",
    "intervals",
    "outliers",
    "plans",
    "printed",
    "scales",
    "scores",
    "spreads",
    "tallies",
    "units_of_analysis",
    "variances",
]
