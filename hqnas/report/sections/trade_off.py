"""The question of arXiv 2605.25768: does expressibility cost trainability?

Both are read so that a trade-off is one sign everywhere: expressibility is a divergence (lower is more expressive),
trainability is log10 of a gradient variance (higher is more trainable). A positive coefficient therefore says that the
less expressive circuits are the more trainable ones: a trade-off.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from hqnas.export import gene_of, style
from hqnas.report.correlation import COEFFICIENTS, FEWEST, Association, Estimate, association, coefficients
from hqnas.report.intervals import draw_intervals
from hqnas.report.section import Section, Table, canvas, legend
from hqnas.report.study import Row, Study

_MARKERS: Final = "X<osD^vP*>"  #: by number of qubits
_LINEAR_BELOW: Final = 0.01  #: nats; about the noise floor of 5,000 pairs

_X: Final = "expressibility"
_Y: Final = "gradient_variance"
_TITLE: Final = "Expressibility against trainability"
_STRATA_TITLE: Final = "The same within depth, qubits and topology"
_STRATA: Final = ("qubits", "layers", "topology")


def trade_off(study: Study) -> Section:
    """Returns, for each training mode, how expressibility and trainability go together."""
    by_mode = study.groups(_X, _Y)
    found = {mode: _association(rows) for mode, rows in by_mode.items()}
    if not any(found.values()):
        return Section("trade-off", _TITLE, (_missing(study),))
    sentences = [f"{mode}: {_verdict(one)}" for mode, one in found.items()]
    sentences.append(
        "Intervals are of 95 %, from a bootstrap over candidates. Candidates that an algorithm has selected are no "
        "random sample of the space: these coefficients describe what was visited; a grid or a random search asks the "
        "space itself."
    )
    table = Table(
        ("mode", *COEFFICIENTS), tuple((mode, *coefficients(one, n=len(by_mode[mode]))) for mode, one in found.items())
    )
    return Section("trade-off", _TITLE, tuple(sentences), table, _draw(by_mode, found))


def strata(study: Study) -> Section:
    """Returns the coefficients among candidates of one depth, one width or one topology.

    Over all candidates, qubits and depth move both metrics at once; within a stratum one of them stands still.
    """
    rows: list[tuple[Any, ...]] = []
    drawn: dict[tuple[str, str], Estimate] = {}
    groups = study.groups(_X, _Y)
    for mode, of_mode in groups.items():
        for gene in _STRATA:
            for value, members in _by_gene(of_mode, gene):
                one = _association(members)
                rows.append((mode, gene, value, *coefficients(one, n=len(members))))
                if one is not None:
                    drawn[mode, f"{gene} {value}"] = one.spearman
    if not drawn:
        text = f"No depth, width or topology has {FEWEST} candidates in which both metrics vary."
        return Section("strata", _STRATA_TITLE, (text,), Table(("mode", "gene", "value", *COEFFICIENTS), tuple(rows)))
    sentences = (
        "A coefficient over all candidates can come from qubits or depth alone, which move both metrics; here one of "
        "them stands still. A dash stands for fewer than 8 candidates, or where a metric does not vary.",
    )
    table = Table(("mode", "gene", "value", *COEFFICIENTS), tuple(rows))
    label = "Spearman ρ of expressibility and log10 gradient variance, 95 % interval  trade-off →"
    picture = draw_intervals({"": drawn}, groups=tuple(groups), x_label=label, x_limits=(-1.05, 1.05))
    return Section("strata", _STRATA_TITLE, sentences, table, picture)


def _association(rows: Sequence[Row]) -> Association | None:
    return association(np.array([row.value(_X) for row in rows]), np.array([row.value(_Y) for row in rows]))


def _missing(study: Study) -> str:
    absent = [name for name in (_X, _Y) if name not in study.metrics]
    if absent:
        return f"Not measured: {', '.join(absent)}. Add it to `metrics.also` of the spec to ask this question."
    return f"Fewer than {FEWEST} candidates of a mode have both metrics, or one of them does not vary."


def _verdict(one: Association | None) -> str:
    if one is None:
        return "too few candidates to say anything."
    rho = one.spearman
    numbers = f"Spearman ρ = {rho}, Kendall τ-b = {one.kendall}, {one.n} candidates"
    if not rho.is_clear:
        return f"no trade-off is shown, and none is ruled out beyond the interval ({numbers})."
    if rho.value > 0:
        return f"a {_strength(rho.value)} trade-off: the less expressive circuits are the more trainable ({numbers})."
    return f"the opposite of a trade-off: the more expressive circuits are the more trainable ({numbers})."


def _strength(value: float) -> str:
    return "weak" if abs(value) < 0.3 else "moderate" if abs(value) < 0.6 else "strong"


def _by_gene(rows: Sequence[Row], gene: str) -> list[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        text = gene_of(row.candidate.genome, gene)
        if text:  # a gene that a template leaves without effect has none
            found.setdefault(text, []).append(row)
    key: Callable[[tuple[str, list[Row]]], Any] = lambda pair: (len(pair[0]), pair[0])  # noqa: E731  # 10 behind 9
    return sorted(found.items(), key=key)


def _draw(by_mode: Mapping[str, Sequence[Row]], found: dict[str, Association | None]) -> bytes:
    depths = sorted({int(row.candidate.genome["layers"]) for rows in by_mode.values() for row in rows})
    with style.drawing():
        import matplotlib as mpl

        figure, panels = canvas(1, len(by_mode), width=5.2, height=4.6)
        colours = mpl.colormaps["viridis"]
        norm = mpl.colors.Normalize(min(depths), max(depths) if len(depths) > 1 else min(depths) + 1)
        for panel, (mode, rows) in zip(panels, by_mode.items(), strict=True):
            for qubits, of_width in _by_gene(rows, "qubits"):
                marker = _MARKERS[int(qubits) % len(_MARKERS)]
                panel.errorbar(
                    [row.value(_X) for row in of_width],
                    [row.value(_Y) for row in of_width],
                    xerr=[row.error(_X) for row in of_width],
                    yerr=[row.error(_Y) for row in of_width],
                    fmt="none",
                    ecolor=style.GREY,
                    elinewidth=0.7,
                    zorder=1,
                )
                panel.scatter(
                    [row.value(_X) for row in of_width],
                    [row.value(_Y) for row in of_width],
                    c=[colours(norm(row.candidate.genome["layers"])) for row in of_width],
                    marker=marker,
                    s=30,
                    lw=0.4,
                    edgecolors="white",
                    zorder=2,
                )
                panel.plot([], [], marker, color=style.MUTED, label=f"{qubits} qubits")
            one = found[mode]
            name = style.plain_text(mode)
            panel.set_title(name if one is None else f"{name}: ρ = {one.spearman}", fontsize=10)
            panel.set_xscale("symlog", linthresh=_LINEAR_BELOW)
            panel.set_xlabel("← more expressive  expressibility (nats; linear below 0.01)")
            panel.set_ylabel("gradient variance (log10)  more trainable →")
        figure.colorbar(mpl.cm.ScalarMappable(norm, colours), ax=panels, label="layers", ticks=depths[:12])
        legend(figure, panels)
        return style.to_png(figure)
