"""How the searches went: dominated volume over evaluations."""

from hqnas.client.results import Objective
from hqnas.export import in_words, style
from hqnas.report.comparison import growth, own_reference_point
from hqnas.report.section import Section, Table, canvas, colour_of, legend
from hqnas.report.study import Study

_TITLE = "Hypervolume over evaluations"


_OF_ALL = "worse by a tenth of the span than every candidate; the volume is in the product of the objectives' units."


def hypervolume(study: Study) -> Section:
    """Returns the volume that the candidates so far dominate, after each generation."""
    objectives = study.comparable_objectives
    if not objectives:
        text = "The searches have no objective in common that is one quantity in all of them, to span a volume."
        return Section("hypervolume", _TITLE, (text,))
    found = growth(study, objectives)
    sentences = _sentences(study, objectives)
    with style.drawing():
        figure, (panel,) = canvas(1, 1, width=7.2, height=4.2)
        for number, one in enumerate(found):
            panel.plot(
                one.n_evaluated,
                one.volumes,
                color=colour_of(number),
                marker="o",
                ms=5,
                mec="white",
                lw=1.8,
                label=style.plain_text(one.member.label),
            )
        panel.set_xlabel("candidates evaluated")
        panel.set_ylabel("hypervolume  better →")
        panel.locator_params(axis="x", integer=True)
        legend(figure, [panel])
        picture = style.to_png(figure)
    rows = tuple(
        (one.member.label, n, volume) for one in found for n, volume in zip(one.n_evaluated, one.volumes, strict=True)
    )
    return Section("hypervolume", _TITLE, sentences, Table(("search", "evaluated", "hypervolume"), rows), picture)


def _sentences(study: Study, objectives: tuple[Objective, ...]) -> tuple[str, ...]:
    names = ", ".join(in_words(objective.metric) for objective in objectives)
    if len(study.members) > 1:
        return (f"Of {names}. All searches are measured up to one reference point, {_OF_ALL}",)
    (member,) = study.members
    if not any(row.candidate.violation == 0 for row in member.rows):
        return ("No candidate holds the constraints, so nothing is dominated.",)
    if any(generation.hypervolume is not None for generation in member.generations):
        return ("The reference point was fixed after the first generation that had a candidate within the bounds.",)
    if own_reference_point(member, objectives) is not None:
        return ("The reference point was fixed at the end of the search, from all that it had evaluated.",)
    return (f"The search ended before it had a reference point; here it is {_OF_ALL}",)
