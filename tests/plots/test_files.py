"""Files of figures: tips of every mark in SVG, TIFF and EPS as journals want them, for every figure that there is."""

from __future__ import annotations

import errno
import io
import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from PIL import Image

import metaback as mb
from metaback.plots.dots import MOST
from metaback.plots.figures import MODULES
from metaback.plots.registry import FIGURES
from metaback.plots.save import figure_bytes, save_figure, svg_text

SVG = "{http://www.w3.org/2000/svg}"
K = 7
NAMES = tuple(f"Author {letter} 20{number:02d}" for number, letter in enumerate("abcdefg", 1))
COMPRESSION, LZW, ALPHA = 259, 5, 338  # tags and values of TIFF: Compression, LZW, ExtraSamples
# Figures without a mark for each study: a curve, and a cloud of subsets; their text alternatives say what they show.
WITHOUT = {"profile", "gosh"}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = rng.integers(20, 60, (K, 2))
    counts = {"events_1": n[:, 0] // 4 + 1, "events_2": n[:, 1] // 3, "n_1": n[:, 0], "n_2": n[:, 1]}
    bias = {f"rob_d{number}": ["low", "high", "some concerns", "low", "low", "high", "low"] for number in range(1, 6)}
    columns = {"study": NAMES, "year": range(2001, 2001 + K), **counts, **bias, "rob_overall": ["high"] * K}
    return pd.DataFrame(columns)


def pool() -> mb.Result:
    return mb.pool(table(), measure="RR")


def drawn(key: str) -> Figure:
    """Draw a figure of a pool, else of a regression, with a tool for judgements of bias."""
    if "pool" in FIGURES[key].facts["of"]:
        return pool().figure(key, **({"tool": "RoB 2"} if key == "risk-of-bias" else {}))
    return mb.regress(table(), "~ year", measure="RR").figure(key)


def several() -> Figure:
    return mb.multiverse(table(), measure="RR", tau2=["DL", "REML"], exclude="each study").plot()


assert MODULES  # which register the figures
MAKERS: dict[str, Callable[[], Figure]] = {key: (lambda key=key: drawn(key)) for key in FIGURES}
MAKERS["specification"] = several


def tips(figure: Figure) -> list[str]:
    root = ET.fromstring(svg_text(figure, "x"))
    return [found.text or "" for found in root.iter(f"{SVG}title")]


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    """Draw every figure once."""
    return {key: make() for key, make in MAKERS.items()}


@pytest.mark.parametrize("key", MAKERS)
def test_every_study_of_a_figure_has_a_tip(key: str, figures: dict[str, Figure]) -> None:
    told = tips(figures[key])
    assert bool(told) == (key not in WITHOUT)
    if key in {*WITHOUT, "specification"}:
        return
    assert [name for name in NAMES if not any(tip.startswith(name) for tip in told)] == []


def test_tips_say_what_the_marks_are(figures: dict[str, Figure]) -> None:
    assert f"{NAMES[0]}, Randomisation process: Low risk" in tips(figures["risk-of-bias"])
    assert "Missing outcome data: Low risk 57%" in tips(figures["risk-of-bias"])
    assert len(tips(figures["influence"])) == 8 * K
    assert "Estimator of τ²: REML; Left out: Author e 2005" in tips(figures["specification"])
    weights = [float(tip.rpartition(" ")[2].rstrip("%")) for tip in tips(figures["drapery"])]
    assert sum(weights) == pytest.approx(100, abs=0.05 * K)
    assert weights == sorted(weights)  # the heaviest is drawn last


@pytest.mark.parametrize("key", MAKERS)
def test_every_figure_has_a_text_alternative(key: str, figures: dict[str, Figure]) -> None:
    root = ET.fromstring(svg_text(figures[key], "x", title="A title"))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "x-title x-desc"
    described = next(root.iter(f"{SVG}desc")).text or ""
    assert len(described) > 40


@pytest.mark.slow
def test_very_many_marks_have_no_tips_and_an_alternative() -> None:
    rng = np.random.default_rng(1)
    many = MOST + 1
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(many)], "yi": rng.normal(size=many), "vi": 0.1})
    figure = mb.pool(frame).figure("orchard")
    assert tips(figure) == []
    assert f"{many:,}" in figure.get_label()


@pytest.mark.parametrize("dpi", [300, pytest.param(600, marks=pytest.mark.slow)])
def test_a_tiff_is_rgb_with_lzw_and_its_resolution(dpi: int, figures: dict[str, Figure]) -> None:
    content = figure_bytes(figures["labbe"], "tiff", dpi=dpi)
    assert content == figure_bytes(figures["labbe"], "tiff", dpi=dpi)
    with Image.open(io.BytesIO(content)) as picture:
        found: Any = picture
        assert (found.format, found.mode) == ("TIFF", "RGB")
        assert found.info["dpi"] == (dpi, dpi)
        assert found.tag_v2[COMPRESSION] == LZW
        assert ALPHA not in found.tag_v2
        inches = [pixels / dpi for pixels in found.size]
        assert inches == pytest.approx(figures["labbe"].get_size_inches().tolist(), abs=1 / dpi)
        with Image.open(io.BytesIO(figure_bytes(figures["labbe"], "png", dpi=dpi))) as same:
            assert same.convert("RGB").tobytes() == found.tobytes()


@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=() if key in {"orchard", "labbe"} else pytest.mark.slow) for key in MAKERS]
)
def test_eps_needs_no_transparency(
    key: str, figures: dict[str, Figure], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.WARNING, logger="matplotlib"):
        content = figure_bytes(figures[key], "eps")
    assert caplog.messages == []
    assert content.startswith(b"%!PS-Adobe-3.0 EPSF-3.0")
    assert b"%%BoundingBox: " in content
    if key == "labbe":
        assert content == figure_bytes(figures[key], "eps")
    if key == "orchard" and shutil.which("gs"):
        (tmp_path / "x.eps").write_bytes(content)
        words = ["gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dEPSCrop", "-r72", "-sDEVICE=png16m"]
        done = subprocess.run(
            [*words, "-sOutputFile=x.png", "x.eps"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        with Image.open(tmp_path / "x.png") as page:
            assert len(page.getcolors(page.width * page.height) or ()) > 4


def test_a_figure_is_as_see_through_after_its_eps_as_before(figures: dict[str, Figure]) -> None:
    def look() -> list[tuple[Any, Any]]:
        found: list[Any] = figures["orchard"].findobj(Collection)
        return [(one.get_alpha(), one.get_facecolor().tolist()) for one in found]

    before, png = look(), figure_bytes(figures["orchard"], "png")
    assert any(alpha not in {None, 1.0} for alpha, _ in before)
    figure_bytes(figures["orchard"], "eps")
    assert look() == before
    assert figure_bytes(figures["orchard"], "png") == png


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, target = Figure(figsize=(1, 1)), tmp_path / "x.svg"
    save_figure(figure, target)
    before = target.read_bytes()
    assert before == figure_bytes(figure, "svg")
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        real(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_figure(figure, target, title="another")
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]
