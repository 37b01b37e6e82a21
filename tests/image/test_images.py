"""Ten figures are pinned as pictures: coarsely on every machine, to the byte where drawing library and fonts agree.

After a change that is meant, and after a look at the pictures: `python tests/image/test_images.py` renews the pins.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager, ft2font
from matplotlib.figure import Figure
from PIL import Image

from metaback.plots.forest_layouts import LAYOUTS
from metaback.plots.registry import FIGURES
from metaback.plots.save import figure_bytes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PINS = HERE / "pins.json"
COMMAND = "python tests/image/test_images.py"
NAMES = (
    "forest-standard", "forest-jama", "forest-subgroups", "forest-risk-of-bias", "funnel", "labbe", "influence",
    "profile", "specification", "prisma",
)  # fmt: skip
CELLS = 24  # the picture as a chessboard of 24 x 24 mean greys
MEAN_OFF = 2.0  # of 255 greys, the mean over all cells: at 97, 103 and 141 dots per inch, where all letters move, 1.0
CELL_OFF = 20.0  # of 255 greys, in the worst cell: there 13, and 24 for the odds ratio in place of the risk ratio
SHAPE_OFF = 0.03  # of the height over the width: letters that are wider may break a note into one more line
SMALL = 62_000  # bytes of one picture of the gallery: it is kept with the source


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # records look their own module up while they are made
    spec.loader.exec_module(module)
    return module


GALLERY = load(ROOT / "docs" / "gallery" / "build.py")
PICTURES = {picture.name: picture for picture in GALLERY.PICTURES}


def coarse(figure: Figure) -> tuple[np.ndarray, float]:
    """Return the mean grey of each cell, and the height over the width."""
    drawn = Image.open(io.BytesIO(figure_bytes(figure, "png", dpi=100))).convert("L")
    cells = np.asarray(drawn.resize((CELLS, CELLS), Image.Resampling.BOX), dtype=float)
    return cells, drawn.height / drawn.width


def digest(figure: Figure) -> str:
    return hashlib.sha256(figure_bytes(figure, "svg")).hexdigest()


def drawn_with() -> dict[str, str]:
    """Return what the bytes of a figure depend on besides this package."""
    font = Path(font_manager.findfont("DejaVu Sans")).read_bytes()
    return {
        "matplotlib": mpl.__version__,
        "freetype": ft2font.__freetype_version__,
        "font": hashlib.sha256(font).hexdigest(),
    }


def renew() -> None:
    names = GALLERY.scene()
    pins: dict[str, Any] = {}
    for name in NAMES:
        cells, shape = coarse(GALLERY.made(PICTURES[name], names))
        sha256 = digest(GALLERY.made(PICTURES[name], names))
        pins[name] = {"sha256": sha256, "shape": round(shape, 4), "grey": cells.astype(np.uint8).tobytes().hex()}
    text = json.dumps({"renew": COMMAND, "drawn_with": drawn_with(), "pins": pins}, indent=1)
    PINS.write_text(text + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def scene() -> dict[str, Any]:
    return GALLERY.scene()


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    return json.loads(PINS.read_text(encoding="utf-8"))


def off(cells: np.ndarray, pin: dict[str, Any]) -> tuple[float, float]:
    """Return by how many greys a picture is off its pin: the mean and the worst cell."""
    grey = np.frombuffer(bytes.fromhex(pin["grey"]), dtype=np.uint8).reshape(CELLS, CELLS).astype(float)
    apart = np.abs(cells - grey)
    return float(apart.mean()), float(apart.max())


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_looks_as_it_was_pinned(name: str, scene: dict[str, Any], pinned: dict[str, Any]) -> None:
    cells, shape = coarse(GALLERY.made(PICTURES[name], scene))
    pin = pinned["pins"][name]
    mean, worst = off(cells, pin)
    advice = f"{name}: look at it; where the change is meant, renew the pins by `{COMMAND}`"
    assert shape == pytest.approx(pin["shape"], rel=SHAPE_OFF), advice
    assert mean <= MEAN_OFF, advice
    assert worst <= CELL_OFF, advice


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_pinned_bytes(name: str, scene: dict[str, Any], pinned: dict[str, Any]) -> None:
    here = drawn_with()
    if here != pinned["drawn_with"]:
        differ = ", ".join(key for key, value in here.items() if value != pinned["drawn_with"][key])
        pytest.skip(f"pinned with another {differ}: bytes say nothing here, the coarse pictures do")
    assert digest(GALLERY.made(PICTURES[name], scene)) == pinned["pins"][name]["sha256"], f"renew by `{COMMAND}`"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("forest-standard", 'vaccine.forest(pi_style="density")'),
        ("forest-standard", 'mb.pool(bcg, measure="OR", tau2="DL").forest()'),
        ("forest-standard", 'vaccine.forest(pi_style="line")'),
        ("funnel", 'vaccine.figure("funnel", contours=())'),
        ("funnel", 'vaccine.figure("funnel", names="none")'),
        ("profile", 'trained.figure("profile")'),
        ("labbe", 'vaccine.figure("labbe", names="all")'),
        ("forest-jama", 'vaccine.forest(layout="bmj")'),
    ],
)
def test_another_figure_is_not_the_pinned_one(
    name: str, line: str, scene: dict[str, Any], pinned: dict[str, Any]
) -> None:
    cells, shape = coarse(eval(line, scene))  # noqa: S307 the lines above
    pin = pinned["pins"][name]
    mean, worst = off(cells, pin)
    assert abs(shape / pin["shape"] - 1) > SHAPE_OFF or mean > MEAN_OFF or worst > CELL_OFF


def test_the_gallery_shows_every_figure_and_every_layout() -> None:
    importlib.import_module("metaback.plots.figures")  # it imports the modules that register figures
    shown = {picture.shows for picture in GALLERY.PICTURES}
    assert shown >= {entry.key for entry in FIGURES.entries()} | {"specification", "prisma"}
    assert {f"forest-{key}" for key in LAYOUTS} <= set(PICTURES)


def test_the_index_of_the_gallery_is_that_of_its_pictures() -> None:
    folder = ROOT / "docs" / "gallery"
    assert (folder / "README.md").read_text(encoding="utf-8") == GALLERY.index(), "run `make gallery`"
    files = {path.stem: path.stat().st_size for path in folder.glob("*.png")}
    assert set(files) == set(PICTURES), "run `make gallery`"
    assert max(files.values()) < SMALL
    links = re.findall(r"\]\(([^)]+)\.png\)", GALLERY.index())
    assert sorted(links) == sorted(PICTURES)


if __name__ == "__main__":
    renew()
