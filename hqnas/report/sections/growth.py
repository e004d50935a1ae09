"""How the searches went: dominated volume over evaluations."""

from hqnas.export import style
from hqnas.report.comparison import growth
from hqnas.report.section import Section, Table, canvas, colour_of, legend, listed
from hqnas.report.study import Study

_TITLE = "Hypervolume over evaluations"


def hypervolume(study: Study) -> Section:
    """Returns the volume that the candidates so far dominate, after each generation."""
    objectives = study.comparable_objectives
    if not objectives:
        text = "The searches have no objective in common to span a volume, or none that is one quantity in all modes."
        return Section("hypervolume", _TITLE, (text,))
    found = growth(study, objectives)
    sentences = (
        "The reference point was fixed after the search's first generation."
        if len(study.members) == 1
        else f"The volume that the candidates dominate in {listed(one.metric for one in objectives)}, in the product "
        "of the units, up to one reference point for all searches, worse by a tenth of the span than every candidate.",
    )
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
                label=one.member.label,
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
