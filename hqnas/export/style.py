"""How pictures look: colours, labels that say which way is better, and scales."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from hqnas.client.results import Objective
from hqnas.export.files import CannotExport
from hqnas.export.names import in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY: Final = "#b8c0c8"
ACCENT: Final = "#0b7285"
SECOND: Final = "#e8590c"
INK: Final = "#212529"
FAINT: Final = "#e9ecef"
MUTED: Final = "#868e96"

#: For things that stand beside one another, told apart also by those who see no red and green.
PALETTE: Final = (ACCENT, SECOND, "#7048e8", "#2b8a3e", "#c2255c", "#5c3d00", "#1971c2", "#868e96")

_LOG_RATIO: Final = 50.0  #: positive values that span more than this are drawn on a log axis
_ROUNDING: Final = 1e-9  #: of the largest value: what is smaller is 0 but for rounding, and no decade of an axis
_LONGEST_NAME: Final = 30

_STYLE: Final = {
    "font.size": 9.5,
    "axes.edgecolor": "#adb5bd",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "xtick.color": "#495057",
    "ytick.color": "#495057",
    "text.color": INK,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Sets the style for what is drawn inside.

    Raises:
        CannotExport: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise CannotExport("drawing needs matplotlib, which is not installed; install 'hqnas[plot]'") from error
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no reason to write to the terminal.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def to_png(figure: Any) -> bytes:
    """Returns a figure as PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", facecolor="white")
    return out.getvalue()


def plain_text(text: str) -> str:
    """Returns somebody's text so that matplotlib draws it as it is, in a legend too; of a long one, both ends."""
    if len(text) > _LONGEST_NAME:
        text = f"{text[: _LONGEST_NAME - 16]}…{text[-15:]}"
    # Between dollars it would be a formula, and a legend leaves out what begins with an underscore.
    escaped = text.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def label(objective: Objective) -> str:
    """Returns the label of an axis, with an arrow towards the better end."""
    # The label of y is turned by a quarter, so that its arrow to the right points up.
    unit = f" ({objective.unit})" if objective.unit else ""
    name = in_words(objective.metric) + unit
    return f"{name}  better →" if objective.is_maximized else f"← better  {name}"


def scale(axes: "Axes", side: str, objective: Objective | None, values: Sequence[float]) -> None:
    """Sets whole ticks for counts, and a log axis for positive values over many orders of magnitude."""
    if objective is None or objective.unit == "count":
        axes.locator_params(axis=side, integer=True)  # type: ignore[arg-type]  # side is "x" or "y"
    elif values and min(values) > _ROUNDING * max(values) > 0 and max(values) / min(values) > _LOG_RATIO:
        axes.set(**{f"{side}scale": "log"})
