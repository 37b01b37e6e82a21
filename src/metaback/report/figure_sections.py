"""Figures beside the forest plot as a part of a report: folded away on the page, told in words where one is missing."""

from __future__ import annotations

from collections.abc import Sequence

from metaback.models.plans import Flow
from metaback.postestimation.words import plural
from metaback.report.document import Block, Figure, Fold, Heading, Paragraph

FLOW_KEYS = ("page2021",)


def figure_blocks(drawn: Sequence[tuple[str, Figure]], missing: Sequence[str], *, anchor: str) -> tuple[Block, ...]:
    """Return heading, sentences about figures that are missing, and the figures folded away under their titles.

    drawn: (title, figure) pairs. anchor: fragment of the comparison. Nothing where there is nothing to say.
    """
    if not drawn and not missing:
        return ()
    blocks: list[Block] = [Heading(3, "Further figures", f"{anchor}-figures")]
    if missing:
        blocks.append(Paragraph(" ".join(missing)))
    if drawn:
        names = ", ".join(title[:1].lower() + title[1:] if title[1:2].islower() else title for title, _ in drawn)
        title = f"{plural(len(drawn), 'figure')}: {names}"
        blocks.append(Fold(title, tuple(figure for _, figure in drawn)))
    return tuple(blocks)


def flow_blocks(figure: Figure, flow: Flow, in_table: int) -> tuple[Block, ...]:
    """Return heading and flow diagram, and a sentence where the table does not hold the studies that it counts.

    in_table: studies of the table, told apart by their labels.
    """
    blocks: list[Block] = [Heading(2, "Flow of studies", "flow"), figure]
    counted = flow.studies if flow.total_studies is None else flow.total_studies
    if counted is not None and counted != in_table:
        blocks.append(
            Paragraph(
                f"The diagram counts {plural(counted, 'included study', 'included studies')}; the table of this report "
                f"has {plural(in_table, 'study', 'studies')} by their labels."
            )
        )
    return tuple(blocks)


def figures_record(
    title: str, drawn: Sequence[tuple[str, str]], missing: Sequence[tuple[str, str]]
) -> dict[str, object]:
    """Return the figures of one comparison as plain JSON values: key and file of each, and why others are missing."""
    return {
        "comparison": title,
        "drawn": [{"figure": key, "file": f"figures/{name}"} for key, name in drawn],
        "missing": [{"figure": key, "why": why} for key, why in missing],
    }
