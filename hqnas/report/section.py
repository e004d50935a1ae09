"""A section of a report: a picture, a table and what they say, in plain words."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hqnas.export import style
from hqnas.export.table import plain_cell

Cell = str | int | float | None


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


_LETTERS_PER_INCH: Final = 12  #: of a legend's text
_LETTERS_OF_MARK: Final = 6


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
    """Writes one legend for all panels under them, each name once."""
    found = dict[str, Any]()
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        most = int(figure.get_figwidth() * _LETTERS_PER_INCH / (max(map(len, found)) + _LETTERS_OF_MARK))
        n_columns = max(1, min(4, len(found), most))
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=n_columns, frameon=False)


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
