"""Rows as Markdown tables: contenders down, sizes across."""

from collections.abc import Callable, Collection, Sequence

from benchmarks.contenders.catalogue import BATCHED
from benchmarks.problems import SAMPLES
from benchmarks.results import TRAINING_STEP, Point, Results, Row

#: What a fresh process may hold.
MEMORY_BOUND = 2**30


def times(
    results: Results,
    work: str,
    points: Sequence[Point],
    label: Callable[[Point], str],
    *,
    only: Collection[str] | None = None,
) -> str:
    """Returns one line a contender and one column a point, and a line for what was compiled before."""
    measured = [p for p in points if any(row.point == p for row in results.of(work))]
    if not measured:
        return "Not measured in this run."
    found = dict.fromkeys(row.contender for row in results.of(work) if row.point in measured)
    names = [name for name in found if only is None or name in only]
    lines = ["| | " + " | ".join(map(label, measured)) + " |", "|---" * (len(measured) + 1) + "|"]
    for name in sorted(names, key=lambda name: (name not in BATCHED, names.index(name))):
        rows = [results.find(work, point, name) for point in measured]
        lines.append(f"| {name} | " + " | ".join(map(_time, rows)) + " |")
        if any(row is not None and row.preparation_s > 0.5 for row in rows):
            compiled = ("" if row is None else duration(row.preparation_s) for row in rows)
            lines.append(f"| {name}, its compilation | " + " | ".join(compiled) + " |")
    return "\n".join(lines)


def deviation(results: Results) -> str:
    """Returns the largest difference between results that were timed against each other, in words."""
    rows = [row for row in results.of(TRAINING_STEP) if row.point.rows == SAMPLES]
    return f"{max((row.deviation for row in rows), default=0.0):.0e}"


def memory(results: Results) -> str:
    """Returns the peaks of fresh processes."""
    lines = ["| work at 12 qubits x 6 layers | | peak | before the work | at most 1 GiB |", "|---|---|---|---|---|"]
    for row in results.memory:
        verdict = "yes" if row.peak <= MEMORY_BOUND else "**no**"
        lines.append(f"| {row.work} | {row.contender} | {_mib(row.peak)} | {_mib(row.before)} | {verdict} |")
    return "\n".join(lines) if results.memory else "Not measured in this run."


def profiles(results: Results, label: Callable[[Point], str]) -> str:
    """Returns where a training step's time goes, one column a size."""
    found = results.profiles
    if not found:
        return "Not measured in this run."
    lines = {
        "a step, not profiled": [duration(one.plain_s) for one in found],
        "a step, profiled": [duration(one.profiled_s) for one in found],
        "calls into torch": [f"{one.calls:.0f}" for one in found],
        "in these calls": [duration(one.torch_s) for one in found],
        "of it, products of matrices": [duration(one.products_s) for one in found],
        "in autograd's engine": [duration(one.autograd_s) for one in found],
        "in Python": [duration(one.profiled_s - one.torch_s - one.autograd_s) for one in found],
    }
    header = " | ".join(label(one.point) for one in found)
    rows = [f"| {name} | " + " | ".join(cells) + " |" for name, cells in lines.items()]
    return "\n".join([f"| | {header} |", "|---" * (len(found) + 1) + "|", *rows])


def duration(seconds: float) -> str:
    """Returns three significant digits with a unit."""
    if seconds >= 100:
        return f"{seconds:.0f} s"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _time(row: Row | None) -> str:
    if row is None:
        return ""
    return duration(row.seconds) + (" (once)" if row.turns == 1 else "")


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MiB"
