"""`hqnas measure`: the metrics of circuits in files, outside any search.

    file ──▶ JSON ──▶ Circuit ──▶ one measurement a metric ──▶ a line of JSON or a table

A file that cannot be measured is one sentence on standard error; the others are still measured, and the exit code is 2.
"""

import json
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import ValidationError

from hqnas.cli import measure_options as options
from hqnas.cli.bench import Bench, Document, with_samples
from hqnas.cli.circuit_files import CannotMeasure, read_circuit
from nas.circuits import InvalidCircuit
from nas.errors import EvaluationError
from nas.spec.errors import problems_from
from nas.spec.settings import MetricSettings

_MAX_SENTENCE: Final = 300


def measure(
    files: options.Files,
    metric: options.Metrics,
    samples: options.Samples = None,
    seed: options.Seed = 0,
    estimator: options.Estimator = "haar_quantile",
    bins: options.Bins = 75,
    order: options.Order = 2,
    fisher_samples: options.FisherSamples = 10,
    coupling_map: options.CouplingMap = "line",
    routing_seed: options.RoutingSeed = 0,
    routing_trials: options.RoutingTrials = 4,
    one_qubit_error: options.OneQubitError = None,
    two_qubit_error: options.TwoQubitError = None,
    readout_error: options.ReadoutError = 0.0,
    gradient_error: options.GradientError = 0.1,
    engine: options.Engine = "batched",
    precision: options.PrecisionOption = "complex128",
    as_json: options.AsJson = False,
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
            "routing": {
                "coupling_map": options.coupling_of(coupling_map),
                "seed": routing_seed,
                "trials": routing_trials,
            },
            "error_rates": None if None in rates.values() else rates,
            "shots_for_gradient": {"error": gradient_error},
        }
    )
    if engine == "default.qubit" and precision != "complex128":
        raise typer.BadParameter(f"default.qubit computes in complex128 and not in {precision}; take another engine")
    _measure_all(files, metrics, Bench(engine, precision, with_samples(settings, samples), seed), as_json=as_json)


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
        if found.get("dead_parameters") and "dead_parameters" not in document:
            table.add_row("dead_parameters", _number(found["dead_parameters"]), "exact", "share")
        notes.extend([] if is_defined else [found["reason"]])
    console = Console(highlight=False)
    console.print(table)
    protocols = [found["protocol"] for found in document.values() if "engine" in found["protocol"]]
    if protocols:
        notes.append(f"simulated by {protocols[0]['engine']}, {protocols[0]['precision']}")
    for note in notes:
        console.print(Text(note, "dim"))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
