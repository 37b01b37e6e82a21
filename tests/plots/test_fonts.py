"""Fonts that stand in for characters that the main one lacks."""

from __future__ import annotations

import pytest

from metaback.plots import fonts


def test_any_installed_font_stands_in_after_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "DejaVu Sans": frozenset("ab"),
        "Noto Sans": frozenset("c"),
        "Anta": frozenset("d"),
        "cmr10": frozenset("e"),
    }
    monkeypatch.setattr(fonts, "_characters", known.__getitem__)
    monkeypatch.setattr(fonts, "_installed", lambda: set(known))
    face = fonts.typeface("DejaVu Sans", ["abcde"])
    assert face.families == ("DejaVu Sans", "Noto Sans", "Anta")
    assert face.printable("abcde") == f"abcd{fonts.MISSING}"
    assert fonts.typeface("DejaVu Sans", ["abc"]).families == ("DejaVu Sans", "Noto Sans")
