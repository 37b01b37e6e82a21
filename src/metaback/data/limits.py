"""What a table may hold at most, so that no file can take the machine down."""

from __future__ import annotations

MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_BYTES = 200 << 20  # of a file, and of what is inside a compressed one
MAX_RATIO = 200  # of a compressed file's content to the file
MAX_CELLS = 30_000_000  # of the rectangle that a sheet spans, empty cells included
