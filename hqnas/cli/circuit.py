"""`hqnas circuit`: a named circuit as JSON, to be measured, drawn or changed by hand."""

import json
from difflib import get_close_matches
from typing import Annotated, Final, Literal

import typer

from nas.circuits import Circuit, build_circuit
from nas.circuits.reader import MAX_QUBITS
from nas.space.genome import Genome
from nas.space.templates import FIGURES
from nas.spec.genes import Encoding, Observable
from nas.spec.limits import MAX_LAYERS

CIRCUIT_EXAMPLE: Final = (
    "\b\nExamples:\n  hqnas circuit sim-3 --draw\n  hqnas circuit sim-3 --qubits 4 --layers 2 > c.json\n"
    "  hqnas circuit sim-14 | hqnas measure - --metric expressibility --samples 5000"
)


def _known_template(name: str) -> str:
    if name not in FIGURES:
        close = get_close_matches(name, FIGURES, n=1)
        hint = f"did you mean '{close[0]}'? There are" if close else "there are"
        raise typer.BadParameter(f"there is no template '{name}'; {hint} {', '.join(FIGURES)}")
    return name


def circuit(
    template: Annotated[
        str, typer.Argument(metavar="TEMPLATE", help=f"One of {', '.join(FIGURES)}.", callback=_known_template)
    ],
    qubits: Annotated[int, typer.Option(min=1, max=MAX_QUBITS, help="Width of the circuit.")] = 4,
    layers: Annotated[int, typer.Option(min=1, max=MAX_LAYERS, help="How often its layer is repeated.")] = 1,
    encoding: Annotated[
        Literal["none", Encoding], typer.Option(help="Operations that put features in; as many as there are qubits.")
    ] = "none",
    reuploading: Annotated[bool, typer.Option("--reuploading", help="Encode before every layer.")] = False,
    observable: Annotated[Observable, typer.Option(help="Whose expectations come out.")] = "z-all",
    as_drawing: Annotated[bool, typer.Option("--draw", help="Draw the circuit instead.")] = False,
) -> None:
    """Prints a circuit of the literature as JSON, on any number of qubits."""
    built = template_circuit(
        template, qubits, layers, encoding=encoding, reuploading=reuploading, observable=observable
    )
    if as_drawing:
        from nas.circuits.drawing import draw

        typer.echo(draw(built))
    else:
        typer.echo(json.dumps(built.to_json()))


def template_circuit(
    template: str,
    qubits: int,
    layers: int,
    *,
    encoding: str = "none",
    reuploading: bool = False,
    observable: str = "z-all",
) -> Circuit:
    """Returns a named circuit, with or without an encoding of as many features as it has qubits."""
    has_encoding = encoding != "none"
    genome = Genome.canonical(
        qubits=qubits,
        layers=layers,
        encoding=encoding if has_encoding else "angle-y",
        reuploading=reuploading,
        rotations=(),
        entangler=(),
        topology=(),
        observable=observable,
        pre_layers=(),
        post_layers=(),
        learning_rate=None,
        template=template,
    )
    return build_circuit(genome, qubits if has_encoding else 0)
