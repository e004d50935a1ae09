"""`hqnas report`: a page of one search, or of several over one another."""

from pathlib import Path
from typing import Annotated

import typer

from hqnas.cli import connection

REPORT_EXAMPLE = (
    "\b\nExamples:\n  hqnas report latest --output wine.html\n"
    "  hqnas report 0198a1 0198b2 --output modes.html       # two searches over one another"
)


def report(
    context: typer.Context,
    searches: Annotated[
        list[str],
        typer.Argument(metavar="SEARCH...", help="Ids of searches, the beginnings of them, or 'latest'."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file; its parts go into a folder beside.")],
) -> None:
    """Writes a report: fronts, hypervolume, expressibility against trainability, proxies and genes.

    The page needs no other file. Its pictures (PNG) and tables (CSV) lie in a folder of the same name beside it.
    """
    from hqnas.export import CannotExport
    from hqnas.report import gather, make_report, write_report

    if output.suffix.lower() not in (".html", ".htm"):
        raise CannotExport(f"cannot write '{output}': a report is a page, and its name has to end in .html")
    with connection.connect(context) as client:
        study = gather(client, [connection.search_id(client, text) for text in searches])
    write_report(make_report(study, folder=output.stem), output)
    typer.echo(str(output))
