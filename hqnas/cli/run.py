"""Commands that are processes of the service: api, controller, worker, and the migration of the database.

hqnas up    starts all of them on one machine; a cluster starts each by itself
"""

import errno
import os
import socket
from enum import StrEnum
from typing import Annotated, Final

import typer

from hqnas.cli.failures import needs_worker_packages

API_EXAMPLE = "\b\nExample:\n  HQNAS_DATABASE_URL=postgresql://… hqnas api --host 0.0.0.0 --port 8000"
WORKER_EXAMPLE = "\b\nExample:\n  hqnas worker --slots 4\n  hqnas worker --device gpu --slots 1 --name gpu-node-3"

#: Streams of events never end by themselves; after this they are cut, so that a stop is one.
_SHUTDOWN_S: Final = 5


class Device(StrEnum):
    """What a worker computes on."""

    cpu = "cpu"
    gpu = "gpu"


def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
) -> None:
    """Serves the REST API, to whoever reaches it: there is no authentication yet.

    Takes HQNAS_DATABASE_URL from the environment.
    """
    import uvicorn

    from config import Settings
    from config.logging import configure_logging

    settings = Settings.load()
    configure_logging(settings, process="api")
    # Bound here and not by uvicorn, which would log an error of its own and leave.
    with _listening(host, port) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                "api.app:create_app",
                factory=True,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )
        )
        server.run(sockets=[listener])


def controller() -> None:
    """Advances searches and sends out their evaluations. Any number may run.

    Takes HQNAS_DATABASE_URL and HQNAS_BROKER_URL from the environment.
    """
    from config import Settings
    from config.logging import configure_logging

    with needs_worker_packages("controller"):
        from worker.controller import run_controller

    settings = Settings.load()
    configure_logging(settings, process="controller")
    run_controller(settings)


def worker(
    slots: Annotated[
        int | None,
        typer.Option(help="Evaluations at a time, a process each.", min=1, show_default="number of cores; 1 on a GPU"),
    ] = None,
    device: Annotated[Device, typer.Option(help="What to compute on.")] = Device.cpu,
    name: Annotated[
        str | None,
        typer.Option(help="Name in logs and results, unique on this host.", show_default="device and process id"),
    ] = None,
) -> None:
    """Evaluates candidates on this machine.

    Takes HQNAS_DATABASE_URL and HQNAS_BROKER_URL from the environment.
    """
    from config import Settings
    from config.logging import configure_logging

    with needs_worker_packages("worker"):
        from worker.process import run_worker

    settings = Settings.load()
    configure_logging(settings, process="worker")
    n_slots = slots or (1 if device == Device.gpu else len(os.sched_getaffinity(0)))
    run_worker(settings, slots=n_slots, device=device.value, name=name)


def migrate() -> None:
    """Brings the database of HQNAS_DATABASE_URL to the schema of this version."""
    from config import Settings
    from config.logging import configure_logging
    from models.migrate import migrate as migrate_database

    settings = Settings.load()
    url = settings.require_database_url()
    configure_logging(settings, process="migrate")
    migrate_database(url)
    typer.echo("The database has the schema of this version.")


def _listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens; says what is wrong in a sentence where that fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = f"port {port} on {host} is in use; choose another with --port, or stop what listens there"
        else:
            sentence = f"cannot listen on {host}, port {port}: {error.strerror or error}"
        typer.echo(f"hqnas: {sentence}", err=True)
        raise typer.Exit(1) from error
