"""Estimates with their intervals as a picture: a line each, groups beside one another."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hqnas.export import style
from hqnas.report.correlation import Estimate
from hqnas.report.section import canvas, colour_of, legend

_APART: Final = 0.22  #: of groups on one line, where lines are 1 apart, unless there are many
_MOST_LINES: Final = 60  #: more would be a picture that nothing shows


def draw_intervals(
    panels: Mapping[str, Mapping[tuple[str, str], Estimate]],
    *,
    groups: Sequence[str],
    x_label: str,
    x_limits: tuple[float, float] | None = None,
) -> bytes:
    """Returns a PNG of estimates with a line at 0.

    Args:
        panels: by title, which may be empty; in each, estimates by (group, name). Names are lines, in their order.
        groups: in the order of their colours.
        x_label: what is estimated.
        x_limits: by default what the intervals need.
    """
    names = list(dict.fromkeys(name for estimates in panels.values() for _, name in estimates))
    if len(names) > _MOST_LINES:
        x_label += f"\n(the first {_MOST_LINES} of {len(names)}; the table has all)"
        names = names[:_MOST_LINES]
    texts = [style.plain_text(name) for name in names]
    with style.drawing():
        height = 1.3 + 0.24 * len(names) * (1 + 0.4 * (len(groups) - 1))
        figure, drawn = canvas(1, len(panels), width=7.6 if len(panels) == 1 else 4.6, height=height)
        for panel, (title, estimates) in zip(drawn, panels.items(), strict=True):
            for number, group in enumerate(groups):
                shift = (number - (len(groups) - 1) / 2) * min(_APART, 0.8 / len(groups))
                lines = [
                    (names.index(name) + shift, one)
                    for (of, name), one in estimates.items()
                    if of == group and name in names
                ]
                _draw_lines(panel, lines, group, colour_of(number))
            panel.axvline(0, color=style.INK, lw=0.8)
            panel.set_title(style.plain_text(title), fontsize=10)
            panel.set_xlabel(x_label)
            panel.set_ylim(len(names) - 0.4, -0.6)
            panel.set_yticks(range(len(names)), texts if panel is drawn[0] else [""] * len(names))
            if x_limits is not None:
                panel.set_xlim(*x_limits)
        legend(figure, drawn)
        return style.to_png(figure)


def _draw_lines(panel: Any, lines: Sequence[tuple[float, Estimate]], label: str, colour: str) -> None:
    places = [place for place, _ in lines]
    # Ends and value apart: a percentile interval of few candidates need not hold the value.
    panel.hlines(places, [one.low for _, one in lines], [one.high for _, one in lines], color=colour, lw=1.2)
    panel.plot([one.value for _, one in lines], places, "o", ms=5, color=colour, label=style.plain_text(label))
