"""Errors as a person reads them: sentences on standard error and an exit code, no traceback.

Everything is imported when something has failed, so that a command that succeeds does not pay for it.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

import typer

#: Packages of the extra `worker`; their absence is an installation to complete, not a bug.
_WORKER_PACKAGES: Final = frozenset(
    {
        "celery",
        "kombu",
        "moocore",
        "networkx",
        "numpy",
        "pennylane",
        "psutil",
        "pymoo",
        "redis",
        "rustworkx",
        "sklearn",
        "torch",
    }
)


@contextlib.contextmanager
def needs_worker_packages(command: str, *, exit_code: int = 1) -> Iterator[None]:
    """Turns a missing simulator, optimiser or queue into a sentence that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _WORKER_PACKAGES:
            raise
        typer.echo(
            f"hqnas: `hqnas {command}` needs {package}, which is not installed; install 'hqnas[worker]'", err=True
        )
        raise typer.Exit(exit_code) from error


def explain(error: Exception) -> int | None:
    """Writes a known error to standard error and returns the exit code; `None` for an error that is a bug."""
    known = _known(error)
    if known is None:
        return None
    exit_code, sentence, *details = known
    typer.echo(f"hqnas: {sentence}", err=True)
    for detail in details:
        typer.echo(f"  {detail}", err=True)
    return int(exit_code)


def _known(error: Exception) -> tuple[int | str, ...] | None:
    from config.settings import InvalidSettings
    from hqnas.client.errors import HqnasError, RefusedSpec

    if isinstance(error, RefusedSpec):
        return (error.exit_code, "the spec was refused", *map(str, error.problems))
    if isinstance(error, HqnasError):
        return (error.exit_code, str(error))
    if isinstance(error, InvalidSettings):
        return (2, str(error))
    return _known_of_servers(error)


def _known_of_servers(error: Exception) -> tuple[int | str, ...] | None:
    # An error can only come from a module that is loaded.
    if "hqnas.launcher.errors" in sys.modules:
        from hqnas.launcher.errors import LauncherError

        if isinstance(error, LauncherError):
            return (1, str(error))
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import ArgumentError, OperationalError

        if isinstance(error, OperationalError):
            return (1, f"the database of HQNAS_DATABASE_URL does not answer: {_first_line(error.orig or error)}")
        if isinstance(error, ArgumentError):
            return (2, "HQNAS_DATABASE_URL is no URL of a database; write postgresql://user:password@host/name")
    if "kombu" in sys.modules:
        from kombu.exceptions import OperationalError as BrokerError

        if isinstance(error, BrokerError):
            return (1, f"the broker of HQNAS_BROKER_URL does not answer: {_first_line(error)}")
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
