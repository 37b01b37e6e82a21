"""Drawings inside a page keep what is seen and lose everything else."""

from __future__ import annotations

import pytest

from metaback.report.svg import inline_svg

SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
HEAD = f'<svg {SPACES} viewBox="0 0 90 30" width="72pt">'


def drawn(inside: str, prefix: str = "f1-") -> str:
    return inline_svg(f"{HEAD}{inside}</svg>", prefix=prefix, label="a <b> c")[0]


def test_ids_and_their_uses_get_a_prefix() -> None:
    text = drawn('<g id="a"/><use xlink:href="#a"/><path clip-path="url(#a)" style="fill: url(\'#a\')"/>')
    assert 'id="f1-a"' in text
    assert 'href="#f1-a"' in text
    assert 'clip-path="url(#f1-a)"' in text
    assert "fill: url('#f1-a')" in text


def test_the_name_is_escaped_and_the_role_is_image() -> None:
    text = drawn("")
    assert 'role="img"' in text
    assert 'aria-label="a &lt;b&gt; c"' in text


@pytest.mark.parametrize(
    "bad",
    [
        '<a href="http://example.org"><text>x</text></a>',
        '<image href="http://example.org/a.png"/>',
        '<use href="http://example.org/a.svg#x"/>',
        '<path style="fill: url(http://example.org)"/>',
        "<path fill=\"url('http://example.org')\"/>",
        '<g onclick="http://example.org"/>',
        '<set attributeName="href" to="http://example.org"/>',
        '<style>@import "http://example.org"</style>',
        "<foreignObject>http://example.org</foreignObject>",
        "<metadata>http://example.org</metadata>",
        '<g class="scroll http://example.org"/>',
    ],
)
def test_nothing_leads_outside(bad: str) -> None:
    assert "example.org" not in drawn(bad)


def test_embedded_pictures_and_running_text_stay() -> None:
    assert "data:image/png;base64,AAAA" in drawn('<image href="data:image/png;base64,AAAA"/>')
    assert "<text>a<tspan>b</tspan>c</text>" in drawn("<text>a<tspan>b</tspan>c</text>")
    assert "data:image/svg" not in drawn('<image href="data:image/svg+xml;base64,AAAA"/>')


@pytest.mark.parametrize(
    ("width", "pixels"),
    [('width="72pt"', 96), ('width="2in"', 192), ('width="50"', 50), ("", 90), ('width="100%"', 90)],
)
def test_width_in_pixels(width: str, pixels: int) -> None:
    text = HEAD.replace('width="72pt"', width) + "</svg>"
    assert inline_svg(text, prefix="", label="")[1] == pixels


@pytest.mark.parametrize("text", ["", "<svg>", "<html/>", f'<!DOCTYPE svg [<!ENTITY a "b">]>{HEAD}&a;</svg>'])
def test_what_is_not_a_drawing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SVG"):
        inline_svg(text, prefix="", label="")


@pytest.mark.parametrize("name", ["stroke-linejoin", "stroke-linecap", "stroke-dasharray"])
def test_how_lines_meet_survives(name: str) -> None:
    assert f'{name}="round"' in drawn(f'<path d="M 0 0 L 9 9" {name}="round"/>')
