"""The `[checks]` section of a plan file: decisions about findings as a person writes them."""

from __future__ import annotations

import json

from metaback.checks.decisions import Decision
from metaback.postestimation.audit import Audit, Reviewed
from metaback.report.audit_words import headline, said, where
from metaback.report.words import one_line

HEAD = """\
# Decisions about the findings of `metaback check`, for a plan file.
# action: "accept" (the table is right as it stands), "correct" (with values, or as the finding proposes),
# "exclude" (the rows stay in the table and out of the pools). A decision without reason and name is refused."""


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
        pairs = ", ".join(f"{role} = {value!r}" for role, value in decision.values.items())
        lines.append(f"values = {{ {pairs} }}")
    lines += [f"{name} = {_text(getattr(decision, name))}" for name in ("reason", "by")]
    return "\n".join([*lines, ""])


def _open(audit: Audit, found: Reviewed) -> str:
    """Write a decision to be filled in."""
    finding = found.finding
    mark = "" if finding.severity == "error" else "# "
    about = f"# {finding.severity}: {where(audit.trials, finding.rows)}: {said(audit.trials, found)}"
    lines = ["[[checks.decision]]", f"finding = {_text(found.id)}", 'action = "accept"', 'reason = ""', 'by = ""']
    return "\n".join([one_line(about), *(f"{mark}{line}" for line in lines), ""])


def _text(value: str) -> str:
    """Write a text as TOML does: quotes, and escapes that JSON and TOML share."""
    return json.dumps(one_line(value), ensure_ascii=False)
