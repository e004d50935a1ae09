"""The commands of `hqnas`, in three groups."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import hqnas
from hqnas.cli import run, searches
from hqnas.cli.check import CHECK_EXAMPLE, check
from hqnas.cli.circuit import CIRCUIT_EXAMPLE, circuit
from hqnas.cli.confirming import CONFIRM_EXAMPLE, confirm
from hqnas.cli.engines import ENGINES_EXAMPLE, engines
from hqnas.cli.failures import explain
from hqnas.cli.measure import measure
from hqnas.cli.measure_options import MEASURE_EXAMPLE
from hqnas.cli.report import REPORT_EXAMPLE, report
from hqnas.cli.space import SPACE_EXAMPLE, space
from hqnas.cli.sweep import SWEEP_EXAMPLE, sweep
from hqnas.cli.up import up


class _Commands(TyperGroup):
    """Ends every command in one way: known errors as sentences, an interruption without a word."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help:
            # typer breaks later paragraphs where the docstring does, and again where the terminal ends.
            command.help = "\n\n".join(" ".join(part.split("\n")) for part in command.help.split("\n\n"))
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Older versions of typer write "Aborted!" and leave with 1.
            raise typer.Exit(130) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            exit_code = explain(error)
            if exit_code is None:
                raise
            raise typer.Exit(exit_code) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nStart with:\n  hqnas up                               # everything on this machine\n"
    "  hqnas submit examples/wine.yaml --watch\n  hqnas front latest",
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"hqnas {hqnas.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="The API to talk to.", show_default="HQNAS_URL, or http://127.0.0.1:8000")
    ] = None,
    version: Annotated[  # noqa: ARG001  # its callback does the work
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Finds hybrid classical-quantum neural networks: multi-objective architecture search as a service."""
    context.obj = url


_RUN, _SEARCH, _MEASURE = "Run", "Search", "Measure"

app.command(rich_help_panel=_RUN)(up)
app.command(rich_help_panel=_RUN, epilog=run.API_EXAMPLE)(run.api)
app.command(rich_help_panel=_RUN)(run.controller)
app.command(rich_help_panel=_RUN, epilog=run.WORKER_EXAMPLE)(run.worker)
app.command(rich_help_panel=_RUN)(run.migrate)
app.command(rich_help_panel=_RUN, epilog=CHECK_EXAMPLE)(check)
app.command(rich_help_panel=_SEARCH, epilog=SPACE_EXAMPLE)(space)
app.command(rich_help_panel=_SEARCH, epilog=searches.SUBMIT_EXAMPLE)(searches.submit)
app.command(rich_help_panel=_SEARCH, epilog=SWEEP_EXAMPLE)(sweep)
app.command(rich_help_panel=_SEARCH)(searches.watch)
app.command("list", rich_help_panel=_SEARCH)(searches.list_searches)
app.command(rich_help_panel=_SEARCH, epilog=searches.FRONT_EXAMPLE)(searches.front)
app.command(rich_help_panel=_SEARCH, epilog=searches.SHOW_EXAMPLE)(searches.show)
app.command(rich_help_panel=_SEARCH)(searches.cancel)
app.command(rich_help_panel=_SEARCH, epilog=searches.EXPORT_EXAMPLE)(searches.export)
app.command(rich_help_panel=_SEARCH, epilog=REPORT_EXAMPLE)(report)
app.command(rich_help_panel=_SEARCH, epilog=searches.WEIGHTS_EXAMPLE)(searches.weights)
app.command(rich_help_panel=_SEARCH, epilog=CONFIRM_EXAMPLE)(confirm)
app.command(rich_help_panel=_MEASURE, epilog=MEASURE_EXAMPLE)(measure)
app.command(rich_help_panel=_MEASURE, epilog=CIRCUIT_EXAMPLE)(circuit)
app.command(rich_help_panel=_MEASURE, epilog=ENGINES_EXAMPLE)(engines)
