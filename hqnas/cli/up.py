"""`hqnas up`: the whole service on this machine, with nothing installed but Python."""

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from config.settings import InvalidSettings, Settings


def up(
    home: Annotated[
        Path | None, typer.Option(help="Folder for data and logs.", show_default="HQNAS_HOME, or ~/.local/share/hqnas")
    ] = None,
    host: Annotated[str, typer.Option(help="Address that the API listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes.")] = 1,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Evaluations at once in each worker.", show_default="cores / workers")
    ] = None,
    controllers: Annotated[int, typer.Option(min=0, help="Controller processes.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Empty the home first: all its searches and logs.")] = False,
    stop_with_parent: Annotated[
        bool, typer.Option("--stop-with-parent", help="Stop when the process that started this one ends.")
    ] = False,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND ...]", help="Run this once all is up, then stop.")
    ] = None,
) -> None:
    """Runs database, API, controller and workers on this machine until Ctrl-C, or for the time of a command.

    With HQNAS_DATABASE_URL or HQNAS_BROKER_URL set, it uses those instead of a database and a broker in the home.
    """
    try:
        from hqnas.launcher.command import check_command
        from hqnas.launcher.errors import LauncherError
        from hqnas.launcher.launcher import launch
        from hqnas.launcher.plan import Plan, is_loopback, migration, service
    except ModuleNotFoundError as error:
        typer.echo(f"hqnas up needs {error.name}, which is not installed; run pip install 'hqnas[local]'", err=True)
        raise typer.Exit(1) from error
    n_slots = slots if slots is not None else max(1, (os.cpu_count() or 1) // max(1, workers))
    try:
        settings = Settings.load()
        check_command(command or ())
        plan = Plan(
            home=(home if home is not None else settings.home).expanduser().absolute(),
            host=host,
            port=port,
            setup=[migration()],
            processes=lambda host, port: service(
                host, port, n_workers=workers, n_slots=n_slots, n_controllers=controllers
            ),
            command=command or (),
            is_fresh=fresh,
            has_postgres=settings.database_url is None,
            stops_with_parent=stop_with_parent,
        )
        if settings.database_url is not None:
            settings.require_database_url()
            _say(f"hqnas: searches are in the database of HQNAS_DATABASE_URL, not in {plan.home}")
        if not is_loopback(host):
            _say(f"hqnas: whoever reaches this machine can use the API on {host}; there is no authentication yet")
        status = launch(plan, environment={**os.environ, "HQNAS_HOME": str(plan.home)}, say=_say)
    except (LauncherError, InvalidSettings) as error:
        _say(f"hqnas: {error}")
        raise typer.Exit(1) from error
    raise typer.Exit(status)


def _say(text: str) -> None:
    # The terminal may be gone (a closed window, a killed make); that must not keep anything from stopping.
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)
