"""`hqnas measure`: the metrics of circuits in files, outside any search.

    file ──▶ JSON ──▶ Circuit ──▶ one measurement a metric ──▶ a line of JSON or a table

A file that cannot be measured is one sentence on standard error; the others are still measured, and the exit code is 2.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from pydantic import ValidationError

from hqnas.cli.bench import Bench, Document, with_samples
from hqnas.cli.circuit_files import CannotMeasure, read_circuit
from nas.circuits import InvalidCircuit
from nas.errors import EvaluationError
from nas.spec import METRICS
from nas.spec.errors import problems_from
from nas.spec.limits import ENGINE_QUBITS, MAX_BINS, MAX_FISHER_DRAWS, MAX_FRAME_ORDER, MAX_SAMPLES
from nas.spec.settings import MetricSettings

_METRICS: Final = tuple(name for name, info in METRICS.items() if info.is_of_circuit)
_SAMPLES: Final = "5000 pairs, 1000 states, 200 gradients"
_MAX_SENTENCE: Final = 300

_SAMPLING: Final = "Sampling"
_HARDWARE: Final = "Hardware"

MEASURE_EXAMPLE: Final = "\n".join(
    [
        "\b\nMetrics:",
        *(f"  {name:<23} {METRICS[name].summary}" for name in _METRICS),
        "\n\b\nExamples:",
        "  hqnas measure circuit.json --metric expressibility --samples 5000 --seed 1",
        "  hqnas measure *.json --metric gradient_variance --json",
        "  hqnas measure circuit.json --metric routed_depth --coupling-map heavy-hex",
    ]
)


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


def _coupling(text: str) -> Any:
    """Returns a name as it is, and pairs such as 0-1,1-2 as lists of numbers where they are numbers."""
    if "," not in text and not text[:1].isdigit():
        return text
    return [[int(end) if end.isdigit() else end for end in pair.strip().split("-")] for pair in text.split(",")]


def measure(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Circuits as JSON.")],
    metric: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="What to measure; may be repeated. Listed below.", callback=_known_metrics),
    ],
    samples: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=MAX_SAMPLES,
            help="Pairs of states, states or gradients.",
            show_default=_SAMPLES,
            rich_help_panel=_SAMPLING,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="Of the random weights; the same seed gives the same value.", rich_help_panel=_SAMPLING
        ),
    ] = 0,
    estimator: Annotated[
        Literal["haar_quantile", "sim75"], typer.Option(help="Of expressibility.", rich_help_panel=_SAMPLING)
    ] = "haar_quantile",
    bins: Annotated[
        int, typer.Option(min=2, max=MAX_BINS, help="Of the estimator haar_quantile.", rich_help_panel=_SAMPLING)
    ] = 75,
    order: Annotated[
        int,
        typer.Option(min=1, max=MAX_FRAME_ORDER, help="t of the frame potential F^(t).", rich_help_panel=_SAMPLING),
    ] = 2,
    fisher_samples: Annotated[
        int,
        typer.Option(
            min=2, max=MAX_FISHER_DRAWS, help="Draws of weights for quantum_fisher_rank.", rich_help_panel=_SAMPLING
        ),
    ] = 10,
    coupling_map: Annotated[
        str,
        typer.Option(
            metavar="MAP",
            help="For routed metrics: line, ring, grid, heavy-hex, or coupled pairs such as 0-1,1-2.",
            rich_help_panel=_HARDWARE,
        ),
    ] = "line",
    routing_seed: Annotated[
        int, typer.Option(min=0, help="Of the placements that the router tries.", rich_help_panel=_HARDWARE)
    ] = 0,
    routing_trials: Annotated[
        int, typer.Option(min=1, help="Placements that it tries; the best counts.", rich_help_panel=_HARDWARE)
    ] = 4,
    one_qubit_error: Annotated[
        float | None,
        typer.Option(min=0, help="Chance that a gate on one wire fails: expected_success.", rich_help_panel=_HARDWARE),
    ] = None,
    two_qubit_error: Annotated[
        float | None,
        typer.Option(min=0, help="Chance that a gate on two wires fails.", rich_help_panel=_HARDWARE),
    ] = None,
    readout_error: Annotated[
        float, typer.Option(min=0, help="Chance that reading a wire fails.", rich_help_panel=_HARDWARE)
    ] = 0.0,
    gradient_error: Annotated[
        float,
        typer.Option(min=0, help="Standard error to reach: shots_for_gradient.", rich_help_panel=_HARDWARE),
    ] = 0.1,
    engine: Annotated[
        str, typer.Option(help=f"One of {', '.join(ENGINE_QUBITS)}.", callback=_known_engine)
    ] = "batched",
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON a file.")] = False,
) -> None:
    """Measures circuits in files: expressibility, entanglement, trainability, and costs on a simulator or a device."""
    metrics = list(dict.fromkeys(metric))
    rates = {"one_qubit": one_qubit_error, "two_qubit": two_qubit_error, "readout": readout_error}
    if "expected_success" in metrics and None in rates.values():
        raise typer.BadParameter("expected_success needs --one-qubit-error and --two-qubit-error")
    settings = _settings(
        {
            "expressibility": {"estimator": estimator, "bins": bins},
            "frame_potential": {"order": order},
            "quantum_fisher_rank": {"samples": fisher_samples},
            "routing": {"coupling_map": _coupling(coupling_map), "seed": routing_seed, "trials": routing_trials},
            "error_rates": None if None in rates.values() else rates,
            "shots_for_gradient": {"error": gradient_error},
        }
    )
    _measure_all(files, metrics, Bench(engine, with_samples(settings, samples), seed), as_json=as_json)


#: Where a setting of a spec has another name as an option.
_OPTIONS: Final = {
    "expressibility": "--bins",
    "routing.coupling_map": "--coupling-map",
    "routing.seed": "--routing-seed",
    "routing.trials": "--routing-trials",
    "error_rates.one_qubit": "--one-qubit-error",
    "error_rates.two_qubit": "--two-qubit-error",
    "error_rates.readout": "--readout-error",
    "shots_for_gradient.error": "--gradient-error",
}


def _settings(document: dict[str, Any]) -> MetricSettings:
    try:
        return MetricSettings.model_validate(document)
    except ValidationError as error:
        problem = problems_from(error.errors(include_url=False))[0]
        option = next((option for path, option in _OPTIONS.items() if problem.path.startswith(path)), problem.path)
        raise typer.BadParameter(problem.message, param_hint=f"'{option}'") from error


def _measure_all(files: list[Path], metrics: list[str], bench: Bench, *, as_json: bool) -> None:
    has_failed = False
    for file in files:
        try:
            document = bench.measure(read_circuit(file), metrics)
        except (CannotMeasure, InvalidCircuit, EvaluationError) as error:
            _complain(file, str(error))
            has_failed = True
            continue
        if as_json:
            typer.echo(json.dumps(document, allow_nan=False))
        else:
            _print_table(file, document)
    if has_failed:
        raise typer.Exit(2)


def _complain(file: Path, sentence: str) -> None:
    text = sentence if len(sentence) <= _MAX_SENTENCE else sentence[: _MAX_SENTENCE - 3] + "..."
    typer.echo(f"hqnas: {_shown(file)}: {text}", err=True)


def _shown(file: Path) -> str:
    """Returns a path without control characters or bytes that no terminal takes."""
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
        if found.get("dead_parameters") and "dead_parameters" not in document:
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
