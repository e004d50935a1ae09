"""`hqnas measure`: the metrics of circuits in files, outside any search.

    file ──▶ JSON ──▶ Circuit ──▶ one measurement a metric ──▶ a line of JSON or a table

A file that cannot be measured is one sentence on standard error; the others are still measured, and the exit code is 2.
"""

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from hqnas.cli.failures import needs_worker_packages
from nas.circuits import Circuit, InvalidCircuit, circuit_from_json
from nas.errors import EvaluationError, UndefinedMetric
from nas.metrics.costs import circuit_costs
from nas.spec import METRICS
from nas.spec.limits import ENGINE_QUBITS, MAX_GRADIENT_BYTES, MAX_SAMPLES

if TYPE_CHECKING:
    from nas.engines import Engine

Document = dict[str, dict[str, Any]]

#: Sampled metrics of a bare circuit, with the number of samples that a search takes if it says nothing.
_SAMPLES: Final = {"expressibility": 5_000, "entangling_capability": 1_000, "gradient_variance": 200}
_COSTS: Final = ("qubits", "circuit_depth", "gates", "two_qubit_gates", "quantum_parameters", "flops")
_METRICS: Final = (*_SAMPLES, *_COSTS)

_MAX_FILE_BYTES: Final = 32 * 2**20
_MAX_SENTENCE: Final = 300

MEASURE_EXAMPLE: Final = (
    "Example:\n\n\b\n  hqnas measure circuit.json --metric expressibility --samples 5000 --seed 1\n"
    "  hqnas measure *.json --metric gradient_variance --json\n"
    "  hqnas circuit sim-14 --layers 2 | hqnas measure - --metric expressibility"
)


#: Fewer samples than these say nothing, not even how uncertain they are.
_FEWEST: Final = {"expressibility": 100, "entangling_capability": 10, "gradient_variance": 10}


class _CannotMeasure(Exception):
    """A file that gives no measurement; the message is for the person who named it."""


def _known_metrics(names: list[str]) -> list[str]:
    for name in names:
        if name not in _METRICS:
            reason = "needs more than a circuit" if name in METRICS else "does not exist"
            raise typer.BadParameter(f"the metric '{name}' {reason}; choose from {', '.join(_METRICS)}")
    return names


def _known_engine(name: str) -> str:
    if name not in ENGINE_QUBITS:
        raise typer.BadParameter(f"there is no engine '{name}'; choose from {', '.join(ENGINE_QUBITS)}")
    return name


def measure(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Circuits as JSON; '-' is the standard input.")
    ],
    metric: Annotated[
        list[str],
        typer.Option(help=f"What to measure; may be repeated. One of {', '.join(_METRICS)}.", callback=_known_metrics),
    ],
    samples: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=MAX_SAMPLES,
            help="Pairs of states, states or gradients.",
            show_default=", ".join(f"{number} for {name}" for name, number in _SAMPLES.items()),
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random weights; the same seed gives the same value.")] = 0,
    estimator: Annotated[Literal["haar_quantile", "sim75"], typer.Option(help="Of expressibility.")] = "haar_quantile",
    engine: Annotated[
        str, typer.Option(help=f"One of {', '.join(ENGINE_QUBITS)}.", callback=_known_engine)
    ] = "batched",
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON a file.")] = False,
) -> None:
    """Measures circuits in files: expressibility, entanglement, trainability and exact costs."""
    metrics = list(dict.fromkeys(metric))
    has_failed = False
    bench = _Bench(engine, samples, seed, estimator)
    for file in files:
        try:
            document = bench.measure(_read(file), metrics)
        except (_CannotMeasure, InvalidCircuit, EvaluationError) as error:
            _complain(file, str(error))
            has_failed = True
            continue
        if as_json:
            typer.echo(json.dumps(document, allow_nan=False))
        else:
            _print_table(file, document)
    if has_failed:
        raise typer.Exit(2)


class _Bench:
    """Measures one circuit after another under the same conditions; the simulator is loaded when first needed."""

    def __init__(self, engine_name: str, samples: int | None, seed: int, estimator: Any) -> None:
        self._engine_name, self._samples, self._seed, self._estimator = engine_name, samples, seed, estimator
        self._engine: Engine | None = None

    def measure(self, circuit: Circuit, metrics: Sequence[str]) -> Document:
        """Returns the JSON of every metric, in the order asked for."""
        costs = circuit_costs(circuit)
        return {
            name: self._sampled(circuit, name) if name in _SAMPLES else _exact(name, costs[name]) for name in metrics
        }

    def _sampled(self, circuit: Circuit, name: str) -> dict[str, Any]:
        with needs_worker_packages("measure"):
            import numpy as np

            from nas.metrics.entangling_capability import entangling_capability
            from nas.metrics.expressibility import expressibility
            from nas.metrics.gradient_variance import pure_gradients

            engine = self._loaded_engine()
        n_samples = self._samples or _SAMPLES[name]
        if n_samples < _FEWEST[name]:
            raise _CannotMeasure(f"{n_samples} samples are too few for {name}; take at least {_FEWEST[name]}")
        if name == "gradient_variance" and n_samples * circuit.n_weights * 8 > MAX_GRADIENT_BYTES:
            raise _CannotMeasure(
                f"{n_samples} gradients of {circuit.n_weights} weights are too many to keep; lower --samples"
            )
        # The name is part of the seed, so a value does not depend on what else is measured.
        rng = np.random.default_rng([self._seed, *name.encode()])
        if name == "expressibility":
            return expressibility(circuit, engine, n_pairs=n_samples, rng=rng, estimator=self._estimator).to_json()
        if name == "entangling_capability":
            return entangling_capability(circuit, engine, n_states=n_samples, rng=rng).to_json()
        return _gradient_document(pure_gradients(circuit, engine, n_samples, rng))

    def _loaded_engine(self) -> "Engine":
        if self._engine is None:
            import torch

            from nas.engines import make_engine

            torch.set_num_threads(1)  # the order of sums, and so the last digits, depends on it
            self._engine = make_engine(self._engine_name)
        return self._engine


def _exact(name: str, value: int) -> dict[str, Any]:
    from nas.metrics.measurement import Measurement

    return Measurement(name, value, None).to_json()


def _gradient_document(draws: Any) -> dict[str, Any]:
    """Returns the JSON of gradient_variance, with a value of null and the reason where it is undefined."""
    from nas.metrics.gradient_variance import gradient_variance, parameter_details

    try:
        return gradient_variance(draws).to_json()
    except UndefinedMetric as error:
        info = METRICS["gradient_variance"]
        return {
            "value": None,
            "std_error": None,
            "unit": info.unit,
            "version": info.version,
            "reason": str(error),
            "protocol": {"definition": draws.definition, **draws.protocol},
            **parameter_details(draws),
        }


def _read(file: Path) -> Circuit:
    """Returns the circuit in a file.

    Raises:
        _CannotMeasure: the file cannot be read or is not JSON.
        InvalidCircuit: the JSON is not a circuit.
    """
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _CannotMeasure(f"cannot be read: {error.strerror or error}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise _CannotMeasure(f"is larger than {_MAX_FILE_BYTES >> 20} MiB; no circuit needs that")
    try:
        document = json.loads(
            content.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_distinct_keys
        )
    except UnicodeDecodeError as error:
        raise _CannotMeasure("is not JSON: it is not UTF-8 text") from error
    except RecursionError as error:
        raise _CannotMeasure("is not a circuit: its JSON is nested too deeply") from error
    except ValueError as error:
        raise _CannotMeasure(f"is not JSON: {error}") from error
    return circuit_from_json(document)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _complain(file: Path, sentence: str) -> None:
    text = sentence if len(sentence) <= _MAX_SENTENCE else sentence[: _MAX_SENTENCE - 3] + "..."
    typer.echo(f"hqnas: {_shown(file)}: {text}", err=True)


def _shown(file: Path) -> str:
    """Returns a path without control characters or bytes that no terminal takes."""
    if str(file) == "-":
        return "standard input"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(file))


def _print_table(file: Path, document: Document) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(_shown(file), "bold"), title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading in ("metric", "value", "± error", "unit"):
        table.add_column(heading, justify="left" if heading in ("metric", "unit") else "right")
    notes = []
    for name, found in document.items():
        is_defined = found["value"] is not None
        error = found["std_error"] if found["std_error"] == "exact" else _number(found["std_error"])
        table.add_row(name, _number(found["value"]) if is_defined else "undefined", error, found["unit"])
        if found.get("dead_parameters"):
            table.add_row("dead_parameters", _number(found["dead_parameters"]), "exact", "share")
        notes.extend([] if is_defined else [found["reason"]])
    console = Console(highlight=False)
    console.print(table)
    for note in notes:
        console.print(Text(note, "dim"))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
