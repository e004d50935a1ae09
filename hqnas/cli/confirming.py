"""`hqnas confirm`: what a search found, trained anew beside controls and tested on data that no search sees."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hqnas.cli import connection
from hqnas.cli.searches import JsonOption, SearchArgument

if TYPE_CHECKING:
    from hqnas.client import Client, Confirmation

CONFIRM_EXAMPLE: Final = (
    "\b\nExamples:\n  hqnas confirm latest --seeds 10 --wait\n  hqnas confirm latest --member 2.14 --member 3.0\n"
    "  hqnas confirm latest --output confirmation.csv"
)
_SUFFIXES: Final = (".csv", ".json")


def confirm(
    context: typer.Context,
    search: SearchArgument,
    seeds: Annotated[
        int | None, typer.Option(min=3, help="Trainings of each network, with a seed each.", show_default="5")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Of each training; no fewer than the search's.", show_default="the search's"),
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(help="A candidate to confirm, by place or id; may be repeated.", show_default="the front"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Confirm anew: the test split is opened once more, and that is counted.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the confirmation has ended.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the confirmation; what was measured stays.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write every training as .csv, or everything as .json.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Trains a search's front anew with several seeds, beside three controls, and tests it on the held-out split.

    The controls: the same network with its circuit frozen, the same without entanglement, and a classical net of as
    many parameters. A search that has a confirmation already shows it; `--again` makes another. `--output` alone writes
    the one that is there, and starts none.
    """
    if cancel and (again or wait or seeds or epochs or member):
        raise typer.BadParameter("--cancel goes with no other option but --json")
    if output is not None and output.suffix.lower() not in _SUFFIXES:
        raise typer.BadParameter(f"cannot write '{output}': the name has to end in {' or '.join(_SUFFIXES)}")
    with connection.connect(context, patience_s=connection.WATCHING_S if wait else connection.ASKING_S) as client:
        search_id = connection.search_id(client, search)
        if cancel:
            found = client.cancel_confirmation(search_id)
        else:
            is_new = again or wait or bool(seeds or epochs or member)
            found = _asked(client, search_id, seeds, epochs, member, is_again=again, may_start=is_new or output is None)
        if wait:
            found = _wait(client, found, to_stderr=as_json)
    if output is not None:
        _write(output, found)
    _show(found, as_json=as_json)
    if found.state == "failed" or (wait and found.state != "finished"):
        raise typer.Exit(1)


def _asked(
    client: "Client",
    search_id: str,
    seeds: int | None,
    epochs: int | None,
    members: list[str] | None,
    *,
    is_again: bool,
    may_start: bool,
) -> "Confirmation":
    """Returns the confirmation that is there, or a new one."""
    from hqnas.client import Conflict, NotFound

    try:
        there = None if is_again else client.confirmation(search_id)
    except NotFound:
        there = None
    if there is None and not may_start:
        raise NotFound(
            f"search {search_id} has no confirmation to write yet; start one with `hqnas confirm {search_id} --wait`"
        )
    if there is None:
        ids = [connection.candidate_at(client, search_id, place).id for place in members or ()]
        return client.confirm(search_id, seeds=seeds, epochs=epochs, members=ids or None)
    if members or (seeds or len(there.seeds), epochs or there.epochs) != (len(there.seeds), there.epochs):
        raise Conflict(
            f"search {search_id} has confirmation {there.number} already, with {len(there.seeds)} seeds, "
            f"{there.epochs} epochs and {there.n_members} members; add --again to open its test split once more"
        )
    return there


def _wait(client: "Client", confirmation: "Confirmation", *, to_stderr: bool) -> "Confirmation":
    from rich.console import Console

    from hqnas.cli.confirmation_screen import progress_text

    console = Console(stderr=to_stderr)
    states = client.watch_confirmation(confirmation.search_id, number=confirmation.number)
    try:
        last = next(states)
        if console.is_terminal:
            with console.status(progress_text(last)) as status:
                for last in states:
                    status.update(progress_text(last))
        else:
            console.print(progress_text(last), soft_wrap=True)
            for last in states:
                console.print(progress_text(last), soft_wrap=True)
    except KeyboardInterrupt:
        typer.echo(
            f"\nhqnas: the confirmation goes on; `hqnas confirm {confirmation.search_id} --cancel` stops it", err=True
        )
        raise
    return last


def _write(path: Path, confirmation: "Confirmation") -> None:
    from hqnas.export import trials_to_csv, write_file

    if path.suffix.lower() == ".csv":
        write_file(path, trials_to_csv(confirmation))
    else:
        write_file(path, json.dumps(confirmation.document, indent=2, ensure_ascii=False) + "\n")
    typer.echo(str(path), err=True)


def _show(confirmation: "Confirmation", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(confirmation.document, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from hqnas.cli.confirmation_screen import confirmation_view

    console = Console()
    console.print(confirmation_view(confirmation, width=console.width))
