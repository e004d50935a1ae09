"""The front as a picture: each pair of objectives, and the hypervolume over the evaluations."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Final

from hqnas.client.results import Candidate, Generation, Objective, Search, losses
from hqnas.export import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS: Final = 5  #: of objectives; more would be too small to read

_EVALUATED: Final = "evaluated"
_ON_FRONT: Final = "on the front, ± one standard error"
_BEST_MEMBER: Final = "best member"
_LEGEND_ORDER: Final = (_EVALUATED, _ON_FRONT, _BEST_MEMBER)

_ROW: Final = 4.2  #: inches, as the following
_COLUMN: Final = 5.4
_HEADING: Final = 0.75
_LEGEND: Final = 0.4


def picture(
    search: Search,
    candidates: Sequence[Candidate],
    generations: Sequence[Generation],
    *,
    best: Candidate | None = None,
) -> bytes:
    """Returns a PNG of all evaluated candidates, the front with its standard errors, and the hypervolume.

    With more than three objectives, the first is drawn against each of the others.

    Args:
        search: names the picture and its axes.
        candidates: all of the search; those not evaluated are left out.
        generations: of the search, in order.
        best: marked with a star.

    Raises:
        CannotExport: matplotlib is not installed.
    """
    shown = [c for c in candidates if all(map(math.isfinite, losses(c, search.objectives)))]
    pairs = _pairs(search.objectives)
    n_columns = 2 if len(pairs) < 4 else 3
    n_rows = math.ceil((len(pairs) + 1) / n_columns)
    with style.drawing():
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        height = _ROW * n_rows + _HEADING + _LEGEND
        body = (0.006, _LEGEND / height, 0.988, _ROW * n_rows / height)
        engine = ConstrainedLayoutEngine(rect=body, wspace=0.06, hspace=0.06)
        figure = Figure(figsize=(_COLUMN * n_columns, height), dpi=150, layout=engine)
        panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
        for axes, (x, y) in zip(panels, pairs, strict=False):
            _draw_pair(axes, shown, x, y, best=best, has_stairs=len(search.objectives) == 2)
        _draw_hypervolume(panels[len(pairs)], generations)
        for axes in panels[len(pairs) + 1 :]:
            axes.remove()
        _write_heading(figure, search, shown)
        _write_legend(figure, panels[0])
        return style.to_png(figure)


def _pairs(objectives: Sequence[Objective]) -> Sequence[tuple[Objective | None, Objective]]:
    """Returns what to draw on x and y; an x of `None` is the order of the proposals."""
    if len(objectives) == 1:
        return [(None, objectives[0])]
    if len(objectives) <= 3:
        return list(combinations(objectives, 2))
    return [(other, objectives[0]) for other in objectives[1:]][:_MOST_PANELS]


def _draw_pair(
    axes: "Axes",
    candidates: Sequence[Candidate],
    x: Objective | None,
    y: Objective,
    *,
    best: Candidate | None,
    has_stairs: bool,
) -> None:
    order = {candidate.id: float(number) for number, candidate in enumerate(candidates, start=1)}

    def at(candidate: Candidate, objective: Objective | None) -> float:
        return order[candidate.id] if objective is None else (candidate.objectives or {})[objective.metric]

    others = [c for c in candidates if not c.is_on_front]
    front = [c for c in candidates if c.is_on_front]
    axes.scatter(
        [at(c, x) for c in others], [at(c, y) for c in others], s=20, c=style.GREY, lw=0, alpha=0.75, label=_EVALUATED
    )
    if has_stairs and x is not None:
        _draw_stairs(axes, front, x, y)
    axes.errorbar(
        [at(c, x) for c in front],
        [at(c, y) for c in front],
        xerr=None if x is None else [_error(c, x) for c in front],
        yerr=[_error(c, y) for c in front],
        fmt="o",
        ms=6.5,
        mfc=style.ACCENT,
        mec="white",
        mew=0.8,
        ecolor=style.ACCENT,
        elinewidth=0.9,
        capsize=0,
        zorder=3,
        label=_ON_FRONT,
    )
    if best is not None and best.id in order:
        axes.plot(
            at(best, x),
            at(best, y),
            "*",
            ms=17,
            mfc=style.SECOND,
            mec="white",
            mew=1.0,
            zorder=4,
            ls="",
            label=_BEST_MEMBER,
        )
    style.scale(axes, "x", x, [at(c, x) for c in candidates])
    style.scale(axes, "y", y, [at(c, y) for c in candidates])
    axes.set_xlabel("candidate, in the order of proposal" if x is None else style.label(x), parse_math=False)
    axes.set_ylabel(style.label(y), parse_math=False)


def _draw_stairs(axes: "Axes", front: Sequence[Candidate], x: Objective, y: Objective) -> None:
    """Draws the border between the values that the front reached and what lies beyond."""
    values = steps(front, x, y)
    corners = [value for (_, y0), (x1, y1) in pairwise(values) for value in ((x1, y0), (x1, y1))]
    line = [*values[:1], *corners]
    axes.plot([p[0] for p in line], [p[1] for p in line], color=style.ACCENT, lw=1.2, alpha=0.5, zorder=2)


def steps(front: Sequence[Candidate], x: Objective, y: Objective) -> list[tuple[float, float]]:
    """Returns the values of the members that no other is as good as in both objectives, in the order of x.

    The other members are behind by less than the errors.
    """
    found: list[tuple[float, float]] = []
    best = math.inf
    for member in sorted(front, key=lambda c: losses(c, (x, y))):
        loss = losses(member, (y,))[0]
        if loss < best:
            best = loss
            found.append(((member.objectives or {})[x.metric], (member.objectives or {})[y.metric]))
    return found


def _draw_hypervolume(axes: "Axes", generations: Sequence[Generation]) -> None:
    known = [(g.evaluations, g.hypervolume) for g in generations if g.hypervolume is not None]
    axes.set_xlabel("candidates evaluated")
    axes.set_ylabel("hypervolume of the values found  better →")
    if not known:
        reason = "no hypervolume on the way" if generations else "no generation has ended yet"
        axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", color="#868e96")
        return
    axes.plot(*zip(*known, strict=True), color=style.ACCENT, lw=1.8, marker="o", ms=5.5, mec="white", mew=0.8)


def _write_heading(figure: Any, search: Search, shown: Sequence[Candidate]) -> None:
    height = figure.get_figheight()
    n_front = sum(c.is_on_front for c in shown)
    facts = [
        search.state,
        f"{len(shown)} evaluated",
        *([f"{search.progress.failed} failed"] if search.progress.failed else []),
        f"{n_front} on the front",
        *([] if search.progress.hypervolume is None else [f"hypervolume {search.progress.hypervolume:.4g}"]),
    ]
    name = search.name if len(search.name) <= 80 else search.name[:79] + "…"
    figure.text(0.012, 1 - 0.16 / height, name, size=15, weight="bold", va="top", parse_math=False)
    figure.text(0.012, 1 - 0.5 / height, "  ·  ".join(facts), size=10, color="#495057", va="top")


def _write_legend(figure: Any, axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    names = [name for name in _LEGEND_ORDER if name in by_label]
    figure.legend([by_label[name] for name in names], names, loc="lower left", ncols=len(names), frameon=False)


def _error(candidate: Candidate, objective: Objective) -> float:
    metric = candidate.metrics.get(objective.metric)
    return (metric.error if metric else None) or 0.0
