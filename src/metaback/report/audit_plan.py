"""The `[checks]` section of a plan file: decisions about findings as a person writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from metaback.checks.decisions import Decision, Values
from metaback.postestimation.audit import Audit, Reviewed
from metaback.report.audit_words import headline, said, where
from metaback.report.words import one_line

HEAD = """\
# Decisions about the findings of `metaback check`, for a plan file.
# action: "accept" (the table is right as it stands), "correct" (as the finding proposes, or with the right numbers:
# values = { sd_1 = 5.4 }, by row where there are several: values = { "row 8" = { n_2 = 8 }, "row 9" = { n_2 = 7 } }),
# "exclude" (the rows stay in the table and out of the pools; rows = ["row 9"] for some of them).
# A decision without reason and name is refused."""


def decisions_template(audit: Audit) -> str:
    """Return the decisions that were made, and one to fill in for each open finding, as TOML.

    Errors are to be filled in; warnings and notes stand there as comments, because a report does not wait for them.
    """
    parts = [HEAD, f"# {one_line(audit.trials.source.name)}: {headline(audit)}.", ""]
    parts += [_made(decision) for decision in audit.decisions if decision not in audit.idle]
    parts += [_open(audit, found) for found in audit.findings if found.open]
    return "\n".join(parts)


def _made(decision: Decision) -> str:
    """Write a decision that was made."""
    lines = ["[[checks.decision]]", *(f"{name} = {_text(getattr(decision, name))}" for name in ("finding", "action"))]
    if decision.values:
        lines.append(f"values = {_inline(decision.values)}")
    if decision.rows:
        lines.append(f"rows = [{', '.join(map(_text, decision.rows))}]")
    lines += [f"{name} = {_text(getattr(decision, name))}" for name in ("reason", "by")]
    return "\n".join([*lines, ""])


def _open(audit: Audit, found: Reviewed) -> str:
    """Write a decision to be filled in."""
    finding = found.finding
    mark = "" if finding.severity == "error" else "# "
    about = f"# {finding.severity}: {where(audit.trials, finding.rows)}: {said(audit.trials, found)}"
    lines = ["[[checks.decision]]", f"finding = {_text(found.id)}", 'action = "accept"', 'reason = ""', 'by = ""']
    return "\n".join([one_line(about), *(f"{mark}{line}" for line in lines), ""])


def _inline(values: Values) -> str:
    """Write numbers by role, or by row and role, as an inline table."""
    pairs = (
        f"{_text(name)} = {_inline(value) if isinstance(value, Mapping) else repr(float(value))}"
        for name, value in values.items()
    )
    return f"{{ {', '.join(pairs)} }}"


def _text(value: str) -> str:
    """Write a text as TOML does: quotes, and escapes that JSON and TOML share."""
    return json.dumps(one_line(value), ensure_ascii=False)
