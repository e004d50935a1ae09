"""The fronts, over one another where there are several."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from hqnas.client.results import Objective
from hqnas.export import architecture, in_words, style
from hqnas.report.comparison import coverages
from hqnas.report.section import Cell, Section, Table, canvas, colour_of, legend
from hqnas.report.study import Member, Row, Study

_ORDER: Final = "candidate, in the order of proposal"


def fronts(study: Study) -> Section:
    """Returns the fronts of all searches in the objectives that they share."""
    objectives = study.shared_objectives
    sentences = [
        f"{member.label} ({member.mode}): {len(member.front)} of {len(member.rows)} evaluated candidates are on the "
        f"front; the search is {member.search.state}."
        for member in study.members
    ]
    if not objectives:
        sentences.append("The searches have no objective in common, so their fronts cannot be drawn over one another.")
        return Section("fronts", "Fronts", tuple(sentences), _table(study))
    sentences += [_apart(study, one) for one in objectives if one not in study.comparable_objectives]
    if len(study.members) > 1 and study.comparable_objectives:
        sentences += _coverage_sentences(study, study.comparable_objectives)
    return Section("fronts", "Fronts", tuple(sentences), _table(study), _draw(study, objectives))


def _apart(study: Study, objective: Objective) -> str:
    """Returns why searches are not held against one another in an objective that has one name in all of them."""
    texts = (f"{text or 'of another version'} in {label}" for label, text in study.conditions(objective.metric).items())
    return (
        f"{in_words(objective.metric)} is not one quantity in these searches: {'; '.join(texts)}. It is drawn, but the "
        "fronts are not held against one another in it."
    )


def _coverage_sentences(study: Study, objectives: tuple[Objective, ...]) -> list[str]:
    names = ", ".join(in_words(objective.metric) for objective in objectives)
    has_more = any(not set(member.search.objectives) <= set(objectives) for member in study.members)
    what = ", over what is non-dominated in these alone" if has_more else ""
    return [f"Compared in {names}{what}."] + [
        f"Of the front of {found.of}, {_of(found.share, found.n)} are matched or dominated by {found.by} by value, "
        f"and {_of(found.share_within_errors, found.n)} where values within the standard errors count as equal."
        for found in coverages(study, objectives)
    ]


def _of(share: float, n: int) -> str:
    return f"{round(share * n)} of {n} ({share:.0%})"


def _draw(study: Study, objectives: Sequence[Objective]) -> bytes:
    pairs: list[tuple[Objective | None, Objective]] = list(combinations(objectives, 2)) or [(None, objectives[0])]
    with style.drawing():
        n_columns = min(3, len(pairs))
        figure, panels = canvas(-(-len(pairs) // n_columns), n_columns, width=5.4, height=4.4)
        for panel, (x, y) in zip(panels, pairs, strict=False):
            for number, member in enumerate(study.members):
                _draw_member(panel, member, x, y, colour_of(number))
            for side, objective in (("x", x), ("y", y)):
                values = [] if objective is None else [row.value(objective.metric) for row in study.rows]
                style.scale(panel, side, objective, values)
            panel.set_xlabel(_ORDER if x is None else _label(study, x), parse_math=False)
            panel.set_ylabel(_label(study, y), parse_math=False)
        for panel in panels[len(pairs) :]:
            panel.remove()
        legend(figure, panels[:1])
        return style.to_png(figure)


def _label(study: Study, objective: Objective) -> str:
    return style.label(objective) + ("" if objective in study.comparable_objectives else "\n(not one quantity)")


def _draw_member(panel: Any, member: Member, x: Objective | None, y: Objective, colour: str) -> None:
    """Draws one search; an `x` of None is the order of the proposals."""
    others = [row for row in member.rows if not row.candidate.is_on_front]
    name = style.plain_text(member.label)
    panel.scatter(*_values(member, others, x, y), s=14, c=colour, lw=0, alpha=0.22, label=f"{name}: evaluated")
    panel.errorbar(
        *_values(member, member.front, x, y),
        xerr=None if x is None else [row.error(x.metric) for row in member.front],
        yerr=[row.error(y.metric) for row in member.front],
        fmt="o",
        ms=6,
        mfc=colour,
        mec="white",
        mew=0.8,
        ecolor=colour,
        elinewidth=0.9,
        zorder=3,
        label=f"{name}: front, ± one standard error",
    )


def _values(member: Member, rows: Sequence[Row], x: Objective | None, y: Objective) -> tuple[list[float], list[float]]:
    order = {row.candidate.id: float(number) for number, row in enumerate(member.rows, start=1)}
    places = [order[row.candidate.id] if x is None else row.value(x.metric) for row in rows]
    return places, [row.value(y.metric) for row in rows]


def _table(study: Study) -> Table:
    metrics = tuple(dict.fromkeys(o.metric for member in study.members for o in member.search.objectives))
    columns = ("search", "mode", "candidate", "architecture", *(name for m in metrics for name in (m, f"{m} ±")))
    rows: list[tuple[Cell, ...]] = [
        (
            row.label,
            row.mode,
            f"{row.candidate.generation}.{row.candidate.index}",
            architecture(row.candidate.genome),
            *(cell for metric in metrics for cell in (row.value(metric), row.error(metric))),
        )
        for member in study.members
        for row in member.front
    ]
    return Table(columns, tuple(rows))
