"""Measures the named templates at four qubits, and writes docs/templates.md: `make templates`.

hqnas circuit ──files──▶ hqnas measure, once for each estimator ──lines of JSON──▶ tables, drawings
"""

import argparse
import json
import string
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hqnas.cli.circuit import template_circuit
from nas.circuits.drawing import draw
from nas.space.templates import FIGURES

N_QUBITS = 4
LAYERS = range(1, 6)
SAMPLES = 5_000
SEED = 1
TEMPLATE = Path(__file__).with_name("templates.template.md")

#: What is measured, by name of the table: metric, and the estimator of expressibility.
TABLES = {
    "sim75": ("expressibility", "sim75"),
    "haar_quantile": ("expressibility", "haar_quantile"),
    "entangling_capability": ("entangling_capability", "haar_quantile"),
}
COSTS = ("quantum_parameters", "gates", "two_qubit_gates", "circuit_depth")
Found = dict[tuple[str, int], dict[str, Any]]  #: by template and layers: measurements by name of the table or cost


def main() -> None:
    """Measures all templates and writes the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.templates", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/templates.md"))
    arguments = parser.parse_args()
    found = measured()
    arguments.output.write_text(page(found), encoding="utf-8")
    print(f"Wrote {arguments.output}.")


def measured() -> Found:
    """Returns all measurements; each number is what `hqnas measure` says of the circuit alone."""
    keys = [(name, layers) for name in FIGURES for layers in LAYERS]
    found: Found = {key: {} for key in keys}
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, layers in keys:
            files.append(Path(folder) / f"{name}.{layers}.json")
            files[-1].write_text(json.dumps(template_circuit(name, N_QUBITS, layers).to_json()))
        for table, (metric, estimator) in TABLES.items():
            options = ["--metric", metric, "--estimator", estimator, "--samples", str(SAMPLES), "--seed", str(SEED)]
            for key, document in zip(keys, _measure(files, options), strict=True):
                found[key][table] = document[metric]
        for key, document in zip(keys, _measure(files, [f"--metric={name}" for name in COSTS]), strict=True):
            found[key].update(document)
    return found


def _measure(files: list[Path], options: list[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "hqnas.cli", "measure", *map(str, files), *options, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def page(found: Found) -> str:
    """Returns the page as Markdown."""
    text = string.Template(TEMPLATE.read_text(encoding="utf-8"))
    tables = {table: _by_layers(found, table) for table in TABLES}
    sections = "\n\n".join(_section(found, name) for name in FIGURES)
    return text.substitute(samples=SAMPLES, seed=SEED, sections=sections, **tables)


def _by_layers(found: Found, table: str) -> str:
    rows = [[f"`{name}`", *(_value(found[name, layers][table]) for layers in LAYERS)] for name in FIGURES]
    return _table(["template", *(f"L = {layers}" for layers in LAYERS)], rows)


def _section(found: Found, name: str) -> str:
    rows = [
        [
            str(layers),
            *(str(found[name, layers][cost]["value"]) for cost in COSTS),
            *(_value(found[name, layers][table]) for table in TABLES),
        ]
        for layers in LAYERS
    ]
    headings = ["L", "parameters", "gates", "two-qubit gates", "depth", "sim75", "haar_quantile", "Q"]
    # The observables, which no figure here depends on, stand in the last line.
    drawing = draw(template_circuit(name, N_QUBITS, 1)).rpartition("\n\n")[0]
    return f"### {name}\n\n```text\n{drawing}\n```\n\n{_table(headings, rows)}"


def _value(measurement: dict[str, Any]) -> str:
    # Adding zero turns a negative zero into zero.
    return f"{round(measurement['value'], 4) + 0.0:.4f} ± {measurement['std_error']:.4f}"


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
