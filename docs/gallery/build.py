"""Build every figure of metaback as a small picture, and the index that shows them: `python docs/gallery/build.py`.

The lines in the index are the lines that run here. All data are shipped, published or drawn from a fixed seed, so a
second run on the same versions gives the same bytes.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from metaback.plots.forest_layouts import LAYOUTS
from metaback.plots.save import figure_bytes

HERE = Path(__file__).parent
DPI, COLOURS = 100, 256  # a screen's resolution, and colours enough that none of a single mark is lost
SETUP = (HERE / "data.py").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its file without the ending, its caption, the line that makes it, and what it shows of metaback."""

    name: str
    caption: str
    line: str
    shows: str


def _pictures() -> Iterator[Picture]:
    """List all pictures: the layouts of the forest plot, its options, and every other figure."""
    for layout in LAYOUTS.values():
        yield Picture(
            f"forest-{layout.key}", f"Forest plot, layout of {layout.title}", f'vaccine.forest(layout="{layout.key}")',
            "forest",
        )  # fmt: skip
    for name, caption, line, shows in _ROWS:
        yield Picture(name, caption, line, shows)


_ROWS = (
    ("forest-subgroups", "Subgroups, each with its own statistics, and the test of their differences",
     'pain.forest(title="Pain")', "forest"),
    ("forest-risk-of-bias", "Judgements of the risk of bias beside the effects, by symbol as well as colour",
     'mb.pool(exercise.head(12), measure="MD").forest(risk_of_bias=True)', "forest"),
    ("forest-density", "The prediction interval as a density, rows sorted by weight",
     'vaccine.forest(pi_style="density", sort="weight")', "forest"),
    ("forest-line-mcid", "The prediction interval as a line, and the smallest important difference on both sides",
     'trained.forest(layout="plain", pi_style="line", mcid=(-5, 5), sort="effect")', "forest"),
    ("forest-columns", "Columns of the table beside the effects",
     'vaccine.forest(columns={"latitude": "Latitude", "allocation": ("Allocation", "left")}, sort="year")', "forest"),
    ("forest-single-column", "The width of one column of a journal", 'pain.forest(width="single", layout="plain")',
     "forest"),
    ("forest-studies", "Several effects of a study under its name, with their mean and the sum of their weights",
     'dependent.forest(sort="weight")', "forest"),
    ("forest-levels", "A three-level model: effects within studies, which are sorted by their mean",
     'mb.multilevel(several, "~ 1 | study/effect").forest(layout="bmj", columns=["setting"], sort="effect")',
     "forest"),
    ("leave-one-out", "The pool without each study in turn", 'vaccine.figure("leave-one-out")', "leave-one-out"),
    ("cumulative", "The pool as it grew, by year", 'vaccine.figure("cumulative", order="year")', "cumulative"),
    ("funnel", "Funnel plot with contours of P around no effect", 'vaccine.figure("funnel")', "funnel"),
    ("funnel-few", "Below ten studies the funnel says that it must not be read", 'pain.figure("funnel")', "funnel"),
    ("funnel-precision", "The funnel by precision, every study named",
     'vaccine.figure("funnel", y="precision", names="all")', "funnel"),
    ("baujat", "Who adds heterogeneity, and who moves the result", 'vaccine.figure("baujat")', "baujat"),
    ("radial", "Radial plot of Galbraith with its arc", 'vaccine.figure("radial")', "radial"),
    ("labbe", "Risks of both arms, with the pooled effect as a curve", 'vaccine.figure("labbe")', "labbe"),
    ("drapery", "P value functions of all studies, the pool and the prediction", 'vaccine.figure("drapery")',
     "drapery"),
    ("influence", "Eight diagnostics of every study with their rules of thumb", 'vaccine.figure("influence")',
     "influence"),
    ("gosh", "The pools of all 8,191 subsets of the studies", 'vaccine.figure("gosh")', "gosh"),
    ("gosh-study", "The same cloud, split by one study", 'vaccine.figure("gosh", study="TPT Madras 1980")', "gosh"),
    ("profile", "The restricted likelihood of τ² and the interval that it gives", 'vaccine.figure("profile")',
     "profile"),
    ("orchard", "All effects as a cloud, with confidence and prediction intervals of the subgroups",
     'by_kind.figure("orchard")', "orchard"),
    ("risk-of-bias", "Judgements of every study and their summary", 'trained.figure("risk-of-bias")', "risk-of-bias"),
    ("bubble", "Meta-regression on a number, with confidence and prediction bands",
     'mb.regress(bcg, "~ latitude", measure="RR").figure("bubble")', "bubble"),
    ("bubble-factor", "Meta-regression on a factor",
     'mb.regress(bcg, "~ C(allocation)", measure="RR").figure("bubble")', "bubble"),
    ("baujat-regression", "The plot of Baujat of a meta-regression",
     'mb.regress(bcg, "~ latitude", measure="RR").figure("baujat")', "baujat"),
    ("specification", "Every way to analyse, sorted by its estimate, above the choices that made it",
     'mb.multiverse(trials, exclude=["each study", "outliers"]).plot()', "specification"),
    ("prisma", "PRISMA 2020 flow diagram from counts that add up", "mb.prisma_flow(flow)", "prisma"),
)  # fmt: skip
PICTURES = tuple(_pictures())


def scene() -> dict[str, Any]:
    """Return the names that the lines use."""
    names: dict[str, Any] = {}
    exec(SETUP, names)  # noqa: S102 the text is what readers copy, so it is what runs
    return names


def made(picture: Picture, names: dict[str, Any]) -> Figure:
    """Draw one picture by its line."""
    figure = eval(picture.line, names)  # noqa: S307 see `scene`
    assert isinstance(figure, Figure)  # noqa: S101 a line that makes no figure is a mistake in this file
    return figure


def small(figure: Figure) -> bytes:
    """Return a figure as a PNG of few colours."""
    drawn = Image.open(io.BytesIO(figure_bytes(figure, "png", dpi=DPI))).convert("RGB")
    target = io.BytesIO()
    drawn.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(target, "png", optimize=True)
    return target.getvalue()


def index() -> str:
    """Return the page that shows all pictures with the lines that make them."""
    parts = [
        "# Gallery\n",
        "Every figure and every layout of the forest plot, built by `make gallery`. Each has the line that makes it;",
        "the names in these lines are made at the [end](#data) of this page. Figures are saved with",
        '`save_figure(figure, "name.svg")` of `metaback.plots.save`, also as PNG, PDF, TIFF or EPS.\n',
    ]
    for picture in PICTURES:
        parts += [f"## {picture.caption}\n", f"```python\n{picture.line}\n```\n"]
        parts += [f"![{picture.caption}]({picture.name}.png)\n"]
    return "\n".join([*parts, "## Data\n", f"```python\n{SETUP}```\n"])


def build(folder: Path) -> None:
    """Write all pictures and the index into a folder, and remove pictures that are no longer made."""
    names = scene()
    for picture in PICTURES:
        (folder / f"{picture.name}.png").write_bytes(small(made(picture, names)))
    for old in folder.glob("*.png"):
        if old.stem not in {picture.name for picture in PICTURES}:
            old.unlink()
    (folder / "README.md").write_text(index(), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the pictures")
    build(parser.parse_args().out)
