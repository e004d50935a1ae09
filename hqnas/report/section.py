"""A section of a report: a picture, a table and what they say, in plain words."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hqnas.export import style
from hqnas.export.table import plain_cell

Cell = str | int | float | None

#: Inches that a name of a legend takes at the style's font size: its mark with the gaps, a character, a row.
_LEGEND_MARK: Final = 0.65
_LEGEND_CHARACTER: Final = 0.078
_LEGEND_ROW: Final = 0.2


@dataclass(frozen=True, slots=True)
class Table:
    """Columns with their headings. Real numbers keep all their digits in a file, and four on the page."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_csv(self) -> str:
        """Returns the table as CSV; nothing in it can be run as a formula."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(map(plain_cell, self.columns))
        writer.writerows([_exact(cell) for cell in row] for row in self.rows)
        return out.getvalue()

    def shown(self) -> list[list[str]]:
        """Returns the cells as the page shows them."""
        return [[_short(cell) for cell in row] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Section:
    """What a report says of one question. Without a picture there was too little to draw, and the text says so."""

    name: str  #: of its files
    title: str
    sentences: tuple[str, ...]
    table: Table | None = None
    picture: bytes | None = field(default=None, repr=False)  #: PNG


def canvas(n_rows: int, n_columns: int, *, width: float, height: float) -> tuple[Any, list[Any]]:
    """Returns a figure of panels, inches each, and the panels row by row. To be called in `style.drawing()`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * n_columns, height * n_rows), dpi=150, layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def legend(figure: Any, axes: Sequence[Any]) -> None:
    """Writes one legend for all panels under them, each name once, in as many columns as have room."""
    found = dict[str, Any]()
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if not found:
        return
    width, height = figure.get_size_inches()
    n_columns = next(n for n in (4, 3, 2, 1) if n == 1 or _width_of_legend(list(found), n) <= width)
    n_rows = -(-len(found) // n_columns)
    figure.set_size_inches(width, height + (n_rows - 1) * _LEGEND_ROW)
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=n_columns, frameon=False)


def _width_of_legend(names: list[str], n_columns: int) -> float:
    """Returns about how many inches names take in columns, which are filled one behind the other."""
    n_rows = -(-len(names) // n_columns)
    columns = [names[start : start + n_rows] for start in range(0, len(names), n_rows)]
    return sum(_LEGEND_MARK + max(map(len, column)) * _LEGEND_CHARACTER for column in columns)


def colour_of(number: int) -> str:
    """Returns the colour of the n-th of several things."""
    return style.PALETTE[number % len(style.PALETTE)]


def _exact(cell: Cell) -> str:
    if cell is None:
        return ""
    return plain_cell(cell) if isinstance(cell, str) else repr(cell)


def _short(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
