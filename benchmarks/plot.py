"""How time grows, as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.contenders.catalogue import BATCHED, DEFAULT_ENGINE, LIGHTNING_ENGINE
from benchmarks.results import BUNDLE, ONE_BY_ONE, TRAINING_STEP, Point, Results
from benchmarks.sections import bundles, growth

#: Colour, marker and line of each contender (Okabe and Ito's colours, which colour-blind people tell apart).
STYLES: Final = {
    BATCHED[0]: ("#E69F00", "o", "-"),
    BATCHED[1]: ("#D55E00", "s", "-"),
    "tensorcircuit-ng complex64": ("#009E73", "v", "--"),
    DEFAULT_ENGINE: ("#0072B2", "D", "-"),
    "pyqtorch": ("#CC79A7", "^", "-"),
    LIGHTNING_ENGINE: ("#555555", "P", "-"),
}
LABELS: Final = {"tensorcircuit-ng complex64": "tensorcircuit-ng complex64, compiled step"}


def draw(results: Results, path: Path) -> None:
    """Writes the picture: milliseconds over qubits, layers, batch and bundle."""
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10.0, 7.6), layout="constrained")
        axes = figure.subplots(2, 2)
        _growth(axes[0][0], results, growth.QUBITS, "qubits", "Qubits (4 layers, 32 samples)")
        _growth(axes[0][1], results, growth.LAYERS, "layers", "Layers (4 qubits, 32 samples)")
        _growth(axes[1][0], results, growth.BATCH, "rows", "Samples in the batch (4 qubits, 4 layers)")
        _bundles(axes[1][1], results)
        handles = {line.get_label(): line for axis in axes.flat for line in axis.get_lines()}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
        figure.suptitle("Time of one training step, one thread", fontsize=12)
        figure.savefig(path, dpi=150)


def _growth(axis: Any, results: Results, points: Sequence[Point], field: str, label: str) -> None:
    for name in STYLES:
        rows = [row for row in (results.find(TRAINING_STEP, p, name) for p in points) if row]
        _line(axis, name, [getattr(row.point, field) for row in rows], [row.seconds for row in rows])
    _scales(axis, [getattr(point, field) for point in points], label, is_log=field != "qubits")
    axis.set_ylabel("ms per step")


def _bundles(axis: Any, results: Results) -> None:
    for name in BATCHED:
        for suffix, line in (("", "-"), (ONE_BY_ONE, ":")):
            rows = [row for row in (results.find(BUNDLE, point, name + suffix) for point in bundles.POINTS) if row]
            sizes = [row.point.rows for row in rows]
            seconds = [row.seconds / row.point.rows for row in rows]
            _line(axis, name, sizes, seconds, label=(LABELS.get(name, name) + suffix), line=line)
    _scales(axis, [p.rows for p in bundles.POINTS], "Candidates in the bundle (4 qubits, 4 layers)", is_log=True)
    axis.set_ylabel("ms per step and candidate")


def _line(
    axis: Any, name: str, x: list[int], seconds: list[float], *, label: str | None = None, line: str | None = None
) -> None:
    if not x:
        return
    colour, marker, own_line = STYLES[name]
    axis.plot(
        x,
        [1e3 * s for s in seconds],
        color=colour,
        marker=marker,
        markersize=5,
        linestyle=line or own_line,
        linewidth=1.5,
        label=label or LABELS.get(name, name),
    )


def _scales(axis: Any, ticks: list[int], label: str, *, is_log: bool) -> None:
    axis.set_xlabel(label)
    axis.set_yscale("log")
    if is_log:
        axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    low, high = axis.get_ylim()
    # Within two decades, powers of ten alone would be too few numbers to read a value by.
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * low else (1.0,)))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.grid(which="major", color="#dddddd", linewidth=0.7)
    axis.set_axisbelow(True)
