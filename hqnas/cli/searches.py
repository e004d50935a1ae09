"""Commands of a person who searches: submit, watch, list, front, show, cancel, export, weights."""

import json
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hqnas.cli import connection

if TYPE_CHECKING:
    from hqnas.client import Client, Search

SUBMIT_EXAMPLE = (
    "\b\nExamples:\n  hqnas submit examples/wine.yaml --watch\n  cat my-search.json | hqnas submit - --json"
)
FRONT_EXAMPLE = "\b\nExamples:\n  hqnas front latest\n  hqnas front latest --json | jq '.items[0].genome'"
SHOW_EXAMPLE = (
    "\b\nExamples:\n  hqnas show latest/best\n  hqnas show latest/2.14\n  hqnas show latest/2.14 --source > net.py"
)
EXPORT_EXAMPLE = (
    "\b\nExamples:\n  hqnas export latest --output front.csv\n  hqnas export latest --output front.png\n"
    "  hqnas export latest --output net.py --candidate 2.14"
)

WEIGHTS_EXAMPLE = (
    "\b\nExamples:\n  hqnas weights latest 2.14 -o net.safetensors\n  hqnas weights latest best -o net.safetensors"
)

SearchArgument = Annotated[
    str, typer.Argument(metavar="SEARCH", help="Id of a search, the beginning of it, or 'latest'.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print what the API answered, as JSON.")]


class State(StrEnum):
    """States of a search."""

    queued = "queued"
    running = "running"
    finished = "finished"
    cancelled = "cancelled"
    failed = "failed"


def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="YAML or JSON file with the spec; '-' is the standard input.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the search until it has ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Checks a spec and submits it as a search."""
    from hqnas.client.documents import to_document

    document = to_document(file)
    _check(document)
    with connection.connect(context, patience_s=connection.WATCHING_S if watch else connection.ASKING_S) as client:
        search = client.submit(document)
        if not as_json:
            typer.echo(search.id)
        if watch:
            search = follow_to_the_end(client, search.id, to_stderr=as_json)
    if as_json:
        print_json(search.document)
    if watch:
        exit_as(search)


def watch(context: typer.Context, search: SearchArgument) -> None:
    """Follows a search until it has ended.

    The exit code is 0 if the search finished, 1 if it failed or was cancelled.
    """
    with connection.connect(context, patience_s=connection.WATCHING_S) as client:
        last = follow_to_the_end(client, connection.search_id(client, search), to_stderr=False)
    exit_as(last)


def list_searches(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="Show at most so many.", min=1)] = 20,
    state: Annotated[State | None, typer.Option(help="Only searches in this state.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists searches, newest first."""
    with connection.connect(context) as client:
        found = list(islice(client.searches(state=state.value if state else None), limit))
    if as_json:
        print_json([search.document for search in found])
    elif found:
        from rich.console import Console

        from hqnas.cli.screen import search_table

        Console().print(search_table(found))
    else:
        typer.echo("There is no search yet; make one with `hqnas submit FILE`.", err=True)


def front(context: typer.Context, search: SearchArgument, as_json: JsonOption = False) -> None:
    """Shows the front of a search: its non-dominated candidates."""
    with connection.connect(context) as client:
        found = client.front(connection.search_id(client, search))
    if as_json:
        print_json(found.document)
    elif not found.items:
        typer.echo("The front is empty so far: no candidate was evaluated that holds the constraints.", err=True)
    else:
        from rich.console import Console

        from hqnas.cli.architecture_tables import front_view

        console = Console(highlight=False)
        console.print(front_view(found, width=console.width))


def show(
    context: typer.Context,
    candidate: Annotated[
        str,
        typer.Argument(
            metavar="CANDIDATE", help="SEARCH/PLACE as in 'latest/2.14', SEARCH/best, or the id of a candidate."
        ),
    ],
    source: Annotated[bool, typer.Option("--source", help="Print the model as PennyLane source.")] = False,
    drawing: Annotated[bool, typer.Option("--drawing", help="Print the drawing of the circuit.")] = False,
    curves: Annotated[
        bool, typer.Option("--curves", help="Print the learning curves of all replicates as CSV.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Shows a candidate: its genes, its metrics and its circuit."""
    if source + drawing + curves + as_json > 1:
        raise typer.BadParameter("choose one of --source, --drawing, --curves and --json")
    with connection.connect(context) as client:
        found = client.candidate(connection.candidate_id(client, candidate))
    if as_json:
        print_json(found.document)
    elif source or drawing:
        typer.echo((found.pennylane if source else found.drawing).rstrip("\n"))
    elif curves:
        from hqnas.export import curves_to_csv

        typer.echo(curves_to_csv(found.curves).rstrip("\n"))
    else:
        from rich.console import Console

        from hqnas.cli.screen import candidate_view

        Console().print(candidate_view(found), soft_wrap=True)


def cancel(context: typer.Context, search: SearchArgument, as_json: JsonOption = False) -> None:
    """Stops a search. What was evaluated stays."""
    with connection.connect(context) as client:
        found = client.cancel(connection.search_id(client, search))
    if as_json:
        print_json(found.document)
    else:
        typer.echo(f"{found.id} {found.state}")


def export(
    context: typer.Context,
    search: SearchArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .csv, .json, .png, or .py for PennyLane source.")
    ],
    candidate: Annotated[
        str | None, typer.Option(help="The candidate for .py, by place or id.", show_default="the best member")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="With .csv: every evaluated candidate, not the front.")] = False,
) -> None:
    """Writes a search's front as CSV, JSON or a picture, or its best member as PennyLane source."""
    from hqnas.cli.exporting import check_request, content_of
    from hqnas.export import write_file

    check_request(output, candidate=candidate, is_all=is_all)
    with connection.connect(context) as client:
        content = content_of(
            client, connection.search_id(client, search), output.suffix.lower(), place=candidate, is_all=is_all
        )
    write_file(output, content)
    typer.echo(str(output))


def weights(
    context: typer.Context,
    search: SearchArgument,
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="A member of its front, by place or id, or 'best'.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .safetensors.")],
) -> None:
    """Writes the fitted parameters of a front's member as a safetensors file.

    Every tensor is named by its replicate and its place in the model that `hqnas show --source` prints. Without the
    prefix 'replicate.0.', those of the first replicate are what its Network.load_state_dict takes. The metadata hold,
    as JSON under 'hqnas', how the network was built, trained and fed.

    The best member has the highest validation accuracy, or else is best in the first objective; ties go to fewer
    two-qubit gates.
    """
    from hqnas.cli.exporting import check_weights_output, member_id
    from hqnas.export import write_file

    check_weights_output(output)
    with connection.connect(context) as client:
        search_id = connection.search_id(client, search)
        content = client.weights(search_id, member_id(client, search_id, candidate))
    write_file(output, content)
    typer.echo(str(output))


def _check(document: dict[str, Any]) -> None:
    from hqnas.client.errors import RefusedSpec, SpecProblem
    from nas.spec import InvalidSpec, parse_spec

    try:
        parse_spec(document)
    except InvalidSpec as error:
        raise RefusedSpec(tuple(SpecProblem(item.path, item.message) for item in error.problems)) from error


def follow_to_the_end(client: "Client", search_id: str, *, to_stderr: bool) -> "Search":
    """Shows a search until it has ended, and returns it."""
    from rich.console import Console

    from hqnas.cli.screen import follow

    try:
        return follow(client, search_id, Console(stderr=to_stderr))
    except KeyboardInterrupt:
        typer.echo(f"\nhqnas: the search goes on; `hqnas cancel {search_id}` stops it", err=True)
        raise


def exit_as(search: "Search") -> None:
    """Leaves with 1 if the search did not finish."""
    if search.state != "finished":
        raise typer.Exit(1)


def print_json(document: Any) -> None:
    """Prints what the API answered."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
