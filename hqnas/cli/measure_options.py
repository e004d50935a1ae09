"""The options of `hqnas measure`: what they are called, how far they go, and how the help tells them."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from nas.spec import METRICS
from nas.spec.engines import Precision
from nas.spec.limits import ENGINE_QUBITS, MAX_BINS, MAX_FISHER_DRAWS, MAX_FRAME_ORDER, MAX_SAMPLES

_METRICS: Final = tuple(name for name, info in METRICS.items() if info.is_of_circuit)
_SAMPLES: Final = "5000 pairs, 1000 states, 200 gradients"

_SAMPLING: Final = "Sampling"
_HARDWARE: Final = "Hardware"

MEASURE_EXAMPLE: Final = "\n".join(
    [
        "\b\nMetrics:",
        *(f"  {name:<23} {METRICS[name].summary}" for name in _METRICS),
        "\n\b\nExamples:",
        "  hqnas measure circuit.json --metric expressibility --samples 5000 --seed 1",
        "  hqnas measure *.json --metric gradient_variance --json",
        "  hqnas circuit sim-14 --layers 2 | hqnas measure - --metric expressibility",
        "  hqnas measure circuit.json --metric routed_depth --coupling-map heavy-hex",
    ]
)


def _known_metrics(names: list[str]) -> list[str]:
    for name in names:
        if name not in _METRICS:
            reason = "needs more than a circuit" if name in METRICS else "does not exist"
            close = [] if name in METRICS else get_close_matches(name, _METRICS, n=1)
            hint = f"did you mean '{close[0]}'? Or choose" if close else "choose"
            raise typer.BadParameter(f"the metric '{name}' {reason}; {hint} from {', '.join(_METRICS)}")
    return names


def _known_engine(name: str) -> str:
    if name not in ENGINE_QUBITS:
        raise typer.BadParameter(f"there is no engine '{name}'; choose from {', '.join(ENGINE_QUBITS)}")
    return name


def coupling_of(text: str) -> Any:
    """Returns a name as it is, and pairs such as 0-1,1-2 as lists of numbers where they are numbers."""
    if "," not in text and not text[:1].isdigit():
        return text
    return [[_wire(end) for end in pair.strip().split("-")] for pair in text.split(",")]


def _wire(text: str) -> int | str:
    # Python refuses numbers of thousands of digits; what is no number is refused with the rest of the settings.
    return int(text) if text.isdecimal() and len(text) < 10 else text


Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Circuits as JSON; '-' is the standard input.")]

Metrics = Annotated[
    list[str],
    typer.Option(metavar="NAME", help="What to measure; may be repeated. Listed below.", callback=_known_metrics),
]

Samples = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=MAX_SAMPLES,
        help="Pairs of states, states or gradients.",
        show_default=_SAMPLES,
        rich_help_panel=_SAMPLING,
    ),
]

Seed = Annotated[
    int,
    typer.Option(min=0, help="Of the random weights; the same seed gives the same value.", rich_help_panel=_SAMPLING),
]

Estimator = Annotated[
    Literal["haar_quantile", "sim75"], typer.Option(help="Of expressibility.", rich_help_panel=_SAMPLING)
]

Bins = Annotated[
    int, typer.Option(min=2, max=MAX_BINS, help="Of the estimator haar_quantile.", rich_help_panel=_SAMPLING)
]

Order = Annotated[
    int,
    typer.Option(min=1, max=MAX_FRAME_ORDER, help="t of the frame potential F^(t).", rich_help_panel=_SAMPLING),
]

FisherSamples = Annotated[
    int,
    typer.Option(
        min=2, max=MAX_FISHER_DRAWS, help="Draws of weights for quantum_fisher_rank.", rich_help_panel=_SAMPLING
    ),
]

CouplingMap = Annotated[
    str,
    typer.Option(
        metavar="MAP",
        help="For routed metrics: line, ring, grid, heavy-hex, or coupled pairs such as 0-1,1-2.",
        rich_help_panel=_HARDWARE,
    ),
]

RoutingSeed = Annotated[
    int, typer.Option(min=0, help="Of the placements that the router tries.", rich_help_panel=_HARDWARE)
]

RoutingTrials = Annotated[
    int, typer.Option(min=1, help="Placements that it tries; the best counts.", rich_help_panel=_HARDWARE)
]

OneQubitError = Annotated[
    float | None,
    typer.Option(min=0, help="Chance that a gate on one wire fails: expected_success.", rich_help_panel=_HARDWARE),
]

TwoQubitError = Annotated[
    float | None,
    typer.Option(min=0, help="Chance that a gate on two wires fails.", rich_help_panel=_HARDWARE),
]

ReadoutError = Annotated[
    float, typer.Option(min=0, help="Chance that reading a wire fails.", rich_help_panel=_HARDWARE)
]

GradientError = Annotated[
    float,
    typer.Option(min=0, help="Standard error to reach: shots_for_gradient.", rich_help_panel=_HARDWARE),
]

Engine = Annotated[str, typer.Option(help=f"One of {', '.join(ENGINE_QUBITS)}.", callback=_known_engine)]

PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="Of the amplitudes. default.qubit has complex128 alone.")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON a file.")]
