"""Conventions of effect sizes by preset: what each program means by the same name."""

from __future__ import annotations

MEASURE_PRESETS: dict[str, dict[str, str]] = {
    "cochrane": {"vtype": "RevMan", "zeros": "RevMan"},
    "revman5": {"vtype": "RevMan", "zeros": "RevMan"},
    "metafor": {"vtype": "LS", "zeros": "metafor"},
}
