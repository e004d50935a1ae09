"""Writes docs/performance.md: the prose of `performance.template.md`, with what was measured in its places."""

from pathlib import Path
from string import Template

from benchmarks import plot, tables, targets
from benchmarks.problems import DRAWS, SAMPLES
from benchmarks.problems import PAIRS as N_PAIRS
from benchmarks.results import (
    BUNDLE,
    BUNDLE_CANDIDATES,
    CANDIDATE,
    EPOCHS,
    GPU_BUNDLE,
    GPU_STEP,
    GRADIENT_DRAWS,
    PAIRS,
    TRAINING_STEP,
    Point,
    Results,
    counted,
)
from benchmarks.sections import bundles, growth, metrics, training
from benchmarks.sections.gpu import BUNDLE_POINT, WIDE

_TEMPLATE = Path(__file__).with_name("performance.template.md")


def write(results: Results, path: Path) -> None:
    """Writes the document."""
    text = _TEMPLATE.read_text(encoding="utf-8")
    places = {
        "machine": "\n".join(f"- {name}: {value}" for name, value in results.machine.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items())),
        "targets": targets.table(results),
        "deviation": tables.deviation(results),
        "memory": tables.memory(results),
        "profiles": tables.profiles(results, _size),
        "notes": "\n".join(f"- {note}" for note in results.notes) or "- Everybody took part, and all results agreed.",
        **_times(results),
        **_growth(results),
        "gpu": _gpu(results),
    }
    path.write_text(Template(text).substitute(places), encoding="utf-8")


def _times(results: Results) -> dict[str, str]:
    steps = [Point(*size, SAMPLES) for size in training.SIZES]
    pairs, draws = ([Point(*size, rows) for size in metrics.SIZES] for rows in (N_PAIRS, DRAWS))
    epochs = [Point(*size, SAMPLES) for size in training.EPOCHS_SIZES]
    return {
        "steps": tables.times(results, TRAINING_STEP, steps, _size),
        "pairs": tables.times(results, PAIRS, pairs, _size),
        "draws": tables.times(results, GRADIENT_DRAWS, draws, _size),
        "candidate": tables.times(results, CANDIDATE, [Point(4, 4, 1)], _size),
        "epochs": tables.times(results, EPOCHS, epochs, _size),
        "bundle_candidates": tables.times(
            results, BUNDLE_CANDIDATES, [bundles.CANDIDATES_POINT], lambda point: counted(point.rows, "candidate")
        ),
        "bundles": tables.times(results, BUNDLE, bundles.POINTS, lambda point: counted(point.rows, "candidate")),
    }


def _growth(results: Results) -> dict[str, str]:
    grown = {
        "by_qubits": (growth.QUBITS, lambda point: counted(point.qubits, "qubit")),
        "by_layers": (growth.LAYERS, lambda point: counted(point.layers, "layer")),
        "by_batch": (growth.BATCH, lambda point: counted(point.rows, "sample")),
    }
    return {
        place: tables.times(results, TRAINING_STEP, points, label, only=plot.STYLES)
        for place, (points, label) in grown.items()
    }


def _gpu(results: Results) -> str:
    if not results.of(GPU_BUNDLE) and not results.of(GPU_STEP):
        return "No GPU on this machine: not measured."
    found = []
    if results.of(GPU_BUNDLE):
        bundle = tables.times(results, GPU_BUNDLE, [BUNDLE_POINT], lambda point: counted(point.rows, "candidate"))
        found.append(f"A training step of 64 candidates of 8 qubits, on one core and on the GPU:\n\n{bundle}")
    if results.of(GPU_STEP):
        wide = tables.times(results, GPU_STEP, WIDE, lambda point: counted(point.qubits, "qubit"))
        found.append(f"One sample of 2 layers; the engine is to be within 10 % of the script:\n\n{wide}")
    return "\n\n".join(found)


def _size(point: Point) -> str:
    return f"{point.qubits} x {point.layers}"
