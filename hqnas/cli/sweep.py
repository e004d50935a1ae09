"""`hqnas sweep`: one spec, a search for each of its training modes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hqnas.cli import connection
from hqnas.cli.searches import JsonOption, exit_as, follow_to_the_end, print_json

if TYPE_CHECKING:
    from hqnas.client import SpecProblem

SWEEP_EXAMPLE = (
    "\b\nExamples:\n  hqnas sweep examples/paper-sweep.yaml --watch\n"
    "  for id in $(hqnas sweep examples/paper-sweep.yaml --watch); do hqnas export $id --all --output $id.csv; done"
)


def sweep(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="YAML or JSON file with the spec; '-' is the standard input.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the searches until all have ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Checks a spec and submits a search for each mode in its training.mode, which may be a list.

    Prints their ids, one a line. The mode is added to the name; pure-quantum leaves out pre_layers and post_layers.
    """
    from hqnas.client.documents import to_document
    from hqnas.client.sweep import searches_of

    document = to_document(file)
    _check(searches_of(document))
    with connection.connect(context, patience_s=connection.WATCHING_S if watch else connection.ASKING_S) as client:
        found = client.sweep(document)
        if not as_json:
            for search in found:
                typer.echo(search.id)
        if watch:
            found = tuple(follow_to_the_end(client, search.id, to_stderr=True) for search in found)
    if as_json:
        print_json([search.document for search in found])
    if watch:
        for search in found:
            exit_as(search)


def _check(documents: Sequence[dict[str, Any]]) -> None:
    from hqnas.client import RefusedSpec
    from nas.spec import InvalidSpec, parse_spec

    problems: dict[tuple[str, str], list[str]] = {}
    for document in documents:
        try:
            parse_spec(document)
        except InvalidSpec as error:
            for one in error.problems:
                problems.setdefault((one.path, one.message), []).append(_mode_of(document))
    if problems:
        raise RefusedSpec(tuple(_problem(*key, modes, len(documents)) for key, modes in problems.items()))


def _mode_of(document: dict[str, Any]) -> str:
    training = document.get("training")
    return str(training.get("mode")) if isinstance(training, dict) else ""


def _problem(path: str, message: str, modes: list[str], n_searches: int) -> "SpecProblem":
    from hqnas.client import SpecProblem

    return SpecProblem(path, message if len(modes) == n_searches else f"{message} (in {', '.join(modes)})")
