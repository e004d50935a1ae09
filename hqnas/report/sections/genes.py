"""Which genes matter, and what the architectures on the fronts share."""

from typing import Final

from hqnas.export import in_words, style
from hqnas.report.comparison import GeneShare, gene_shares
from hqnas.report.correlation import Estimate
from hqnas.report.importance import FEWEST, Importance, importance
from hqnas.report.intervals import draw_intervals
from hqnas.report.section import Cell, Section, Table, canvas, colour_of, legend
from hqnas.report.study import Study

_IMPORTANCE: Final = "Importance of genes"
_SHARED: Final = "What the architectures on the fronts share"

_MOST_VALUES: Final = 8  #: of one gene in the picture


def gene_importance(study: Study) -> Section:
    """Returns how much a random forest loses on each objective when one gene is shuffled, search by search."""
    found: dict[tuple[str, str], Importance] = {}
    for member in study.members:
        for objective in member.search.objectives:
            one = importance(member.rows, objective.metric)
            if one is not None:
                found[member.label, objective.metric] = one
    if not found:
        text = f"Fewer than {FEWEST} candidates, or nothing varies: a forest has nothing to learn from."
        return Section("importance", _IMPORTANCE, (text,))
    sentences = [
        "Loss of R² on candidates that a random forest did not see, when the values of one gene are shuffled; the line "
        "is one standard deviation over folds and repeats. Genes that go together share their importance; an "
        "entangler that is one gate wherever there is one is left to the topology."
    ]
    sentences += [
        f"{label}, {in_words(metric)}: the forest explains {max(0.0, one.r2):.0%} of the variance"
        + (f"; most depends on {in_words(one.genes[0].gene)}." if one.r2 > 0.1 else ", too little to read it.")
        for (label, metric), one in found.items()
    ]
    rows = tuple(
        (label, metric, one.n, one.r2, gene.gene, gene.value, gene.spread)
        for (label, metric), one in found.items()
        for gene in one.genes
    )
    table = Table(("search", "metric", "candidates", "R² unseen", "gene", "importance", "sd"), rows)
    panels: dict[str, dict[tuple[str, str], Estimate]] = {}
    for (label, metric), one in found.items():
        panels.setdefault(in_words(metric), {}).update(
            {
                (label, in_words(gene.gene)): Estimate(gene.value, gene.value - gene.spread, gene.value + gene.spread)
                for gene in one.genes
            }
        )
    labels = [member.label for member in study.members]
    picture = draw_intervals(panels, groups=labels, x_label="loss of R² when the gene is shuffled, ± one sd")
    return Section("importance", _IMPORTANCE, tuple(sentences), table, picture)


def shared_genes(study: Study) -> Section:
    """Returns how often each value of a gene is on each front, beside its share of all that was evaluated."""
    shares = gene_shares(study)
    if not shares:
        return Section("genes", _SHARED, ("All evaluated candidates have the same genes.",))
    labels = [member.label for member in study.members]
    columns = ("gene", "value", *(name for label in labels for name in (f"{label}: front", f"{label}: evaluated")))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.gene, one.value, *(cell for label in labels for cell in (one.on_front[label], one.evaluated[label])))
        for one in shares
    )
    sentences = [
        _favourite(member.label, shares, len(member.front))
        if member.front
        else f"{member.label}: nothing is on the front."
        for member in study.members
    ]
    sentences.append(
        "A value says something where its share of the front differs from its share of all evaluated, by more than so "
        "few members give by chance."
    )
    drawn = _most_frequent(shares)
    if len(drawn) < len(shares):
        sentences.append(
            f"Of a gene with more than {_MOST_VALUES} values, those most frequent on a front are drawn; the table has "
            "all."
        )
    return Section("genes", _SHARED, tuple(sentences), Table(columns, rows), _draw(drawn, labels))


def _favourite(label: str, shares: list[GeneShare], n_members: int) -> str:
    common = [one for one in shares if one.on_front[label] >= 0.75]  # three members in four
    if not common:
        return f"{label}: no gene has one value on three quarters of the front."
    texts = (
        f"{in_words(one.gene)} {one.value} ({one.on_front[label] * n_members:.0f} of {n_members}, "
        f"{one.evaluated[label]:.0%} of all)"
        for one in common
    )
    return f"{label}: most of the front has {', '.join(texts)}."


def _most_frequent(shares: list[GeneShare]) -> list[GeneShare]:
    """Returns the values of each gene that are most frequent on a front, and then anywhere, in their order.

    A gene that may differ from layer to layer has hundreds of sequences as its values.
    """

    def frequency(one: GeneShare) -> tuple[float, float]:
        return max(one.on_front.values()), max(one.evaluated.values())

    kept: set[tuple[str, str]] = set()
    for gene in {one.gene for one in shares}:
        ordered = sorted((one for one in shares if one.gene == gene), key=frequency, reverse=True)
        kept |= {(gene, one.value) for one in ordered[:_MOST_VALUES]}
    return [one for one in shares if (one.gene, one.value) in kept]


def _draw(shares: list[GeneShare], labels: list[str]) -> bytes:
    names = [f"{in_words(one.gene)}: {_short(one.value)}" for one in shares]
    with style.drawing():
        figure, (panel,) = canvas(1, 1, width=7.6, height=1.3 + 0.26 * len(names) * (1 + 0.3 * (len(labels) - 1)))
        thickness = 0.8 / len(labels)
        for number, label in enumerate(labels):
            places = [place + (number - (len(labels) - 1) / 2) * thickness for place in range(len(names))]
            on_front = [100 * one.on_front[label] for one in shares]
            name = f"{style.plain_text(label)}: front"
            panel.barh(places, on_front, thickness * 0.85, color=colour_of(number), label=name)
            evaluated = [100 * one.evaluated[label] for one in shares]
            panel.plot(
                evaluated, places, "|", color=style.INK, ms=9, mew=1.6, label="all evaluated" if not number else None
            )
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.set_xlim(0, 103)
        panel.set_xlabel("share (%)")
        legend(figure, [panel])
        return style.to_png(figure)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
