"""Tables of architectures that fit the terminal: the front of a search, and samples of a space.

An architecture is a long line. Where it does not fit beside the numbers, it stands in a list of its own under them.
"""

import textwrap
from collections.abc import Sequence
from typing import Final, Literal

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hqnas.cli.screen import measured, number, plain
from hqnas.client import Front
from hqnas.client.results import losses
from hqnas.export.genes import architecture
from hqnas.export.names import in_words

_GATES: Final = "two_qubit_gates"
_HEADING_WIDTH: Final = 16
_GAP: Final = 2  #: between columns
_KEY: Final = "q: qubits, l: layers"
_KEY_OF_STAR: Final = "*: encodes before every layer"


def front_view(front: Front, *, width: int) -> RenderableType:
    """Returns the front for a terminal of some width, best first in the order of the objectives."""
    headings = [_heading(f"{in_words(o.metric)} {'↑' if o.is_maximized else '↓'}") for o in front.objectives]
    has_gates = any(objective.metric == _GATES for objective in front.objectives)
    rows, architectures = [], []
    for member in sorted(front.items, key=lambda c: (losses(c, front.objectives), c.digest)):
        gates = member.metrics.get(_GATES)
        rows.append(
            [
                f"{member.generation}.{member.index}",
                *(measured(member, objective) for objective in front.objectives),
                *([] if has_gates else [number(gates.value) if gates else ""]),
            ]
        )
        architectures.append(architecture(member.genome))
    columns = ["place", *headings, *([] if has_gates else [_heading("two-qubit gates")])]
    return with_architectures(columns, rows, architectures, width=width)


def with_architectures(
    columns: Sequence[str], rows: Sequence[Sequence[str]], architectures: Sequence[str], *, width: int
) -> RenderableType:
    """Returns a table whose rows have architectures, beside the cells where the width allows, else under them.

    Args:
        columns: headings, which may have lines; the first names the rows.
        rows: their cells.
        architectures: one a row.
        width: of the terminal.
    """
    widths = [max(map(_width, cells)) for cells in zip(columns, *rows, strict=True)]
    longest = max(map(_width, [*architectures, "architecture"]))
    if sum(widths) + longest + _GAP * len(widths) <= width:
        cells = [[*row, text] for row, text in zip(rows, architectures, strict=True)]
        parts: list[RenderableType] = [_table([*columns, "architecture"], cells, last="left")]
    else:
        named = [[row[0], text] for row, text in zip(rows, architectures, strict=True)]
        parts = [_table(columns, rows), "", _table([columns[0], "architecture"], named, last="left")]
    has_star = any("*" in text for text in architectures)
    key = f"{_KEY}; {_KEY_OF_STAR}" if has_star else _KEY
    return Group(*parts, Text(key, "dim"))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, last: Literal["left", "right"] = "right") -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, heading in enumerate(columns):
        justify = "left" if place == 0 else last if place == len(columns) - 1 else "right"
        table.add_column(heading, justify=justify, no_wrap=place == 0, overflow="fold", vertical="bottom")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    return table


def _heading(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _HEADING_WIDTH, break_long_words=False, break_on_hyphens=False))


def _width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))
