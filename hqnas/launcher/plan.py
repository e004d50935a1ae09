"""What a launch runs: the processes of the service with their commands, and where the API listens."""

import ipaddress
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hqnas.launcher.child import ProcessSpec
from hqnas.launcher.errors import PortUnavailable

ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised here, never bound to by itself


@dataclass(frozen=True, slots=True)
class Plan:
    """One launch, decided before anything is touched.

    Attributes:
        home: the folder that everything is kept in.
        host: where the API listens; all is up when `/health` answers 200 there.
        port: its port, 0 for any free one.
        setup: run one after the other to their end before anything else (migrations).
        processes: gives, for host and port, the processes in the order they start; they stop role by role in the
            reverse one.
        command: run once all is up; its end ends the launch. Empty to serve until stopped.
        is_fresh: whether the home is emptied first.
        has_postgres: whether a PostgreSQL is embedded.
        stops_with_parent: whether the launch ends when the process that started it does.
    """

    home: Path
    host: str
    port: int
    setup: Sequence[ProcessSpec]
    processes: Callable[[str, int], Sequence[ProcessSpec]]
    command: Sequence[str] = ()
    is_fresh: bool = False
    has_postgres: bool = True
    stops_with_parent: bool = False


def hqnas(*arguments: str) -> tuple[str, ...]:
    """Returns the command line that runs `hqnas` with this interpreter, whatever stands on PATH."""
    # -P: a folder named `api` or `worker` where the person stands must not be imported instead of ours.
    return (sys.executable, "-P", "-m", "hqnas.cli", *arguments)


def service(host: str, port: int, *, n_workers: int, n_slots: int, n_controllers: int) -> list[ProcessSpec]:
    """Returns the processes of the service, in the order they start."""
    processes = [ProcessSpec("api", "api", hqnas("api", "--host", host, "--port", str(port)))]
    processes += [
        ProcessSpec(f"controller-{number}", "controller", hqnas("controller")) for number in range(1, n_controllers + 1)
    ]
    for number in range(1, n_workers + 1):
        name = f"worker-{number}"
        processes.append(ProcessSpec(name, "worker", hqnas("worker", "--slots", str(n_slots), "--name", name)))
    return processes


def migration() -> ProcessSpec:
    """Returns the process that brings the database to the newest schema."""
    return ProcessSpec("migrate", "setup", hqnas("migrate"))


def find_port(host: str, port: int) -> int:
    """Returns the port if the API can listen there, or a free one for 0.

    Raises:
        PortUnavailable: somebody else listens there, or the host or port is not ours to use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # As the server itself does: connections of an earlier server that linger do not count.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
            found: int = listener.getsockname()[1]
            return found
    except socket.gaierror as error:
        raise PortUnavailable(f"{host!r} is no address of this machine; give one as --host") from error
    except PermissionError as error:
        raise PortUnavailable(f"port {port} is reserved for root; choose another one with --port") from error
    except OSError as error:
        raise PortUnavailable(
            f"port {port} on {host} is not free ({error.strerror}); choose another one with --port, or --port 0 for any"
        ) from error


def reach(host: str, port: int) -> str:
    """Returns the URL by which this machine reaches an API that listens there."""
    if host in ANY_ADDRESS:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
